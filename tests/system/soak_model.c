// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sequential model of test_kill: what the acknowledged calls make of a worker's
 * names, and which two things the one that was in flight can have made of its name.
 */
#include "soak.h"

const char *name_in(unsigned worker, unsigned i, char ret[16])
{
	if (i == SHARED)
		(void)snprintf(ret, 16, SHARED_NAME);
	else
		(void)snprintf(ret, 16, "w%u.%u", worker, i);
	return ret;
}

static struct look copied(const struct model *m, const struct rec *rec, unsigned worker)
{
	struct look l = { .there = true };

	l.kind = rec->op == OP_CLONE ? KVOL_KIND_VOLUME : KVOL_KIND_SNAPSHOT;
	l.bytes = rec->bytes;
	(void)name_in(worker, rec->source, l.source);
	if (rec->source == SHARED) {
		l.fs = true;
		l.inherited = (struct line){ SHARED_LINE, rec->lo, rec->hi };
	} else {
		const struct look *s = &m->e[rec->source].now;

		l.fs = s->fs;
		l.inherited = s->own.id ? s->own : s->inherited;
	}
	return l;
}

static struct look after(const struct model *m, const struct rec *rec, unsigned worker)
{
	struct look l = m->e[rec->name].now;

	switch (rec->op) {
	case OP_CREATE:
		l = (struct look){ .there = true,
				   .fs = rec->fs,
				   .kind = KVOL_KIND_VOLUME,
				   .bytes = rec->bytes };
		break;
	case OP_SNAPSHOT:
	case OP_CLONE:
		return copied(m, rec, worker);
	case OP_EXPAND:
		l.bytes = rec->bytes;
		break;
	case OP_DELETE:
		memset(&l, 0, sizeof(l));
		break;
	case OP_PUBLISH:
		l.published = true;
		break;
	case OP_UNPUBLISH:
		l.published = false;
		break;
	case OP_STAMP:
		l.own = (struct line){ rec->line, rec->n, rec->n };
		break;
	default:
		break;
	}
	return l;
}

void model_apply(struct model *m, const struct rec *rec, unsigned worker)
{
	struct entry *e = &m->e[rec->name];
	uint32_t state = atomic_load(&rec->state);

	if (state == REC_DONE && rec->r == 0) {
		e->now = after(m, rec, worker);
		e->unsure = false;
	} else if (state == REC_CALLING && rec->op == OP_STAMP) {
		/* One more or not: the range says it, and the name stays in use. */
		if (!e->now.own.id)
			e->now.own = (struct line){ rec->line, 0, 0 };
		e->now.own.hi = rec->n;
	} else if (state == REC_CALLING) {
		e->other = after(m, rec, worker);
		e->unsure = true;
	}
}

void model_of(unsigned worker, struct model *ret)
{
	uint32_t n = atomic_load(&soak->w[worker].n);

	*ret = soak->w[worker].start;
	for (uint32_t i = 0; i < n; i++)
		model_apply(ret, &soak->w[worker].recs[i], worker);
}

const char *look_differs(const struct look *l, int stat_result,
			 const struct kvol_info *info)
{
	if (!l->there)
		return stat_result == -ENOENT ? NULL : "it is there";
	if (stat_result == -ENOENT)
		return "it is not there";
	if (info->kind != l->kind)
		return "it is of the other kind";
	if (info->bytes != l->bytes)
		return "it has another size";
	if (strcmp(info->fs_type, l->fs ? "ext4" : "") != 0)
		return "it has another file system";
	if (strcmp(info->source, l->source) != 0)
		return "it has another source";
	return NULL;
}
