/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Verbs of a schedule: drawn, run, and their results held against what they must be. A
 * process follows the volumes whose names it owns; with the names that all share it does
 * anything, and nothing is followed.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "process.h"
#include "verb.h"

#define BYTES (512 * MIB)
#define MORE  (64 * MIB)

/* One verb, and what it must lead to. */
struct job {
	struct schedules *x;
	struct process *p;
	struct kvol_error e;
	char what[128];
	bool expected; /* nothing is in its way: it must succeed */
};

/* --- Results ---------------------------------------------------------------------- */

static void begin(struct job *job, const char *verb, const char *name)
{
	(void)snprintf(job->what, sizeof(job->what), "%s '%s'", verb, name);
	note(job->x, "%u: %s", job->p->number, job->what);
	job->e.code = 0;
	job->e.msg[0] = '\0';
}

/* 1: acknowledged; 0: refused; -1: it died over it. */
static int result(struct job *job, int r)
{
	job->x->figures->verbs++;
	if (model_dead)
		return -1;
	job->x->trace = model_hash(&r, sizeof(r), job->x->trace);
	note(job->x, "%u: %s: %d %s", job->p->number, job->what, r, job->e.msg);
	if (r == 0) {
		job->x->figures->acknowledged++;
		return 1;
	}
	/* Ids that others have set aside count. */
	if (job->expected && !job->x->faulted &&
	    !(r == -ENOSPC && job->e.reason == KVOL_R_LIMIT))
		broke(job->x, "%s: failed for no reason: %d %s", job->what, r,
		      job->e.msg);
	return 0;
}

static const struct form nothing;

/* Takes what the result says of s; `new` is what success means. */
static void conclude(struct job *job, struct shadow *s, int r, const struct form *new)
{
	int said = result(job, r);

	if (said > 0)
		shadow_set(s, new);
	else if (said < 0 || (job->p->faulted && job->x->fault == STEPS_FAIL))
		shadow_or(s, new); /* a disk that fails for long is like a death */
}

/* --- Volumes ---------------------------------------------------------------------- */

static void write_new_mark(struct job *job, struct shadow *s)
{
	processes_hold();
	write_mark(job->p->pool, s->name, ++job->x->mark);
	processes_go_on();
	s->forms[0].mark = job->x->mark;
}

static bool same_form(const struct form *a, const struct form *b)
{
	return a->kind == b->kind && a->bytes == b->bytes && !strcmp(a->fs, b->fs) &&
	       !strcmp(a->source, b->source);
}

static void create(struct job *job, struct shadow *s)
{
	static const char *const types[] = { "", "ext4", "xfs", "btrfs" };
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = types[draw(4)] };
	struct form new = { .there = true, .kind = KVOL_KIND_VOLUME, .bytes = BYTES };
	const struct form old = s->forms[0];
	int r;

	(void)kv_strcpy(new.fs, sizeof(new.fs), o.fs_type);
	job->expected = !old.there || same_form(&old, &new);
	begin(job, "create", s->name);
	r = kvol_create(job->p->pool, s->name, BYTES, &o, &job->e);
	if (old.there && r == 0 && !model_dead && !same_form(&old, &new))
		broke(job->x, "%s: another one was there", job->what);
	conclude(job, s, r, old.there ? &old : &new);
	if (r == 0 && !model_dead && !old.there)
		write_new_mark(job, s);
}

/* A copy has the size of its source, which may have grown in an expand that failed. */
static void may_have_any_size_of(struct shadow *copy, const struct shadow *source)
{
	for (unsigned i = 1; i < source->n; i++) {
		struct form other = copy->forms[0];

		other.bytes = source->forms[i].bytes;
		if (source->forms[i].there)
			shadow_or(copy, &other);
	}
}

static void copy(struct job *job, struct shadow *s, const struct shadow *from, bool clone)
{
	const struct form old = s->forms[0], *source = &from->forms[0];
	struct kvol_create_opts o = { .size = sizeof(o) };
	struct form new = *source;
	int r;

	new.kind = clone ? KVOL_KIND_VOLUME : KVOL_KIND_SNAPSHOT;
	(void)kv_strcpy(new.source, sizeof(new.source), from->name);
	if (clone && source->there && !draw(2))
		new.bytes = o.bytes = source->bytes + MORE;
	job->expected = !old.there && source->there;
	begin(job, clone ? "clone to" : "snapshot to", s->name);
	if (clone)
		r = kvol_clone(job->p->pool, from->name, s->name, &o, &job->e);
	else
		r = kvol_snapshot(job->p->pool, from->name, s->name, NULL, &job->e);
	if (!old.there && !source->there && r == 0 && !model_dead)
		broke(job->x, "%s: of nothing", job->what);
	conclude(job, s, r, old.there || !source->there ? &old : &new);
	if (r == 0 && !model_dead && !old.there && !o.bytes)
		may_have_any_size_of(s, from);
}

static bool unpublished(const struct shadow *s)
{
	return s->published[0] == NO && s->published[1] == NO;
}

static void expand(struct job *job, struct shadow *s)
{
	const struct form old = s->forms[0];
	struct form new = old;
	int r;

	new.bytes += MORE;
	job->expected = old.there && old.kind == KVOL_KIND_VOLUME && unpublished(s);
	begin(job, "expand", s->name);
	r = kvol_expand(job->p->pool, s->name, old.there ? new.bytes : BYTES, 0, &job->e);
	if (r == 0 && !model_dead && (!old.there || old.kind == KVOL_KIND_SNAPSHOT))
		broke(job->x, "%s: it cannot", job->what);
	conclude(job, s, r, old.there ? &new : &old);
	/* When only the file system could not follow, it has its new size. */
	if (r < 0 && !model_dead && old.there)
		shadow_or(s, &new);
}

static void delete (struct job *job, struct shadow *s)
{
	const struct form old = s->forms[0];
	int r;

	job->expected = !old.there || unpublished(s);
	begin(job, "delete", s->name);
	r = kvol_delete(job->p->pool, s->name, 0, &job->e);
	if (r == 0 && !model_dead && old.there &&
	    (s->published[0] == YES || s->published[1] == YES))
		broke(job->x, "%s: it is published", job->what);
	conclude(job, s, r, &nothing);
}

/* --- Publishes -------------------------------------------------------------------- */

static void target_of(const struct shadow *s, unsigned i, char ret[48])
{
	(void)snprintf(ret, 48, "/%s%c", s->name, i ? 'f' : 'd');
}

static void publish(struct job *job, struct shadow *s)
{
	struct kvol_publish_opts o = { .size = sizeof(o) };
	unsigned i = draw(TARGETS);
	char target[48];
	int said;

	target_of(s, i, target);
	o.flags = (i ? KVOL_PUBLISH_BLOCK : 0) | (draw(3) ? 0 : KVOL_PUBLISH_READONLY);
	job->expected = s->forms[0].there && unpublished(s) && (i || s->forms[0].fs[0]);
	begin(job, i ? "publish as a device" : "publish", s->name);
	said = result(job, kvol_publish(job->p->pool, s->name, target, &o, &job->e));
	if (said > 0 && !s->forms[0].there)
		broke(job->x, "%s: there is none", job->what);
	if (said > 0)
		s->published[i] = YES;
	else if (said < 0 && s->published[i] == NO)
		s->published[i] = MAYBE;
}

static void unpublish(struct job *job, struct shadow *s)
{
	unsigned i = draw(TARGETS);
	char target[48];
	int said;

	target_of(s, i, target);
	job->expected = true;
	begin(job, i ? "unpublish as a device" : "unpublish", s->name);
	said = result(job, kvol_unpublish(job->p->pool, s->name, target, NULL, &job->e));
	if (said > 0)
		s->published[i] = NO;
	else if (s->published[i] == YES) /* unmounted, and its device would not go */
		s->published[i] = MAYBE;
}

/* --- Reading, and the pool -------------------------------------------------------- */

/* An expand that fails may have made it larger all the same. */
static bool may_have(const struct shadow *s, uint64_t bytes)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->forms[i].there && s->forms[i].bytes == bytes)
			return true;
	return false;
}

static void stat_one(struct job *job, const struct shadow *s)
{
	struct kvol_info info = { .size = sizeof(info) };
	int said;

	job->expected = s->forms[0].there;
	begin(job, "stat", s->name);
	said = result(job, kvol_stat(job->p->pool, s->name, &info, &job->e));
	if (said > 0 && !may_have(s, info.bytes))
		broke(job->x, "%s: is another one", job->what);
}

static void list_all(struct job *job)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter = NULL;
	int r;

	job->expected = true;
	begin(job, "list", "");
	r = kvol_list(job->p->pool, 0, &iter, &job->e);
	while (r == 0 && (r = kvol_iter_next(iter, &info)) == 1)
		r = 0;
	kvol_iter_free(iter);
	(void)result(job, r);
}

static void stat_pool(struct job *job)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	job->expected = true;
	begin(job, "stat pool", "");
	(void)result(job, kvol_pool_stat(job->p->pool, &info, &job->e));
}

static void close_it(struct job *job)
{
	job->expected = true;
	begin(job, "close", "");
	kvol_pool_close(job->p->pool);
	job->p->pool = NULL;
	(void)result(job, 0);
}

static void deactivate(struct job *job)
{
	job->expected = false;
	begin(job, "deactivate", "");
	(void)result(job, kvol_pool_deactivate(job->p->pool, &job->e));
	if (!model_dead)
		close_it(job);
}

/* --- Names that nobody owns ------------------------------------------------------- */

static void on_shared(struct job *job)
{
	struct shadow s = { .n = 1 }, from = { .n = 1 };

	(void)snprintf(s.name, sizeof(s.name), "s%u", draw(2));
	if (draw(2))
		(void)snprintf(from.name, sizeof(from.name), "s%u", draw(2));
	else
		(void)snprintf(from.name, sizeof(from.name), "n%u%u",
			       draw(job->x->n_processes), draw(NAMES_EACH));
	begin(job, "something shared with", s.name);
	job->expected = false;
	switch (draw(8)) {
	case 0:
	case 1:
		(void)result(job,
			     kvol_create(job->p->pool, s.name, BYTES, NULL, &job->e));
		break;
	case 2:
	case 3:
		(void)result(job, kvol_delete(job->p->pool, s.name, 0, &job->e));
		break;
	case 4:
		(void)result(job, kvol_snapshot(job->p->pool, from.name, s.name, NULL,
						&job->e));
		break;
	case 5:
		(void)result(job,
			     kvol_clone(job->p->pool, from.name, s.name, NULL, &job->e));
		break;
	case 6:
		(void)result(job,
			     kvol_expand(job->p->pool, s.name, BYTES + MORE, 0, &job->e));
		break;
	default:
		(void)result(job, draw(2) ? kvol_publish(job->p->pool, s.name, "/sd",
							 NULL, &job->e)
					  : kvol_unpublish(job->p->pool, s.name, "/sd",
							   NULL, &job->e));
		break;
	}
}

/* --- Drawing ---------------------------------------------------------------------- */

static void on_own(struct job *job)
{
	struct shadow *s = &job->p->names[draw(NAMES_EACH)];
	struct shadow *other = &job->p->names[draw(NAMES_EACH)];

	switch (draw(20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		create(job, s);
		break;
	case 4:
	case 5:
	case 6:
		if (other != s)
			copy(job, s, other, false);
		break;
	case 7:
	case 8:
		if (other != s)
			copy(job, s, other, true);
		break;
	case 9:
	case 10:
		expand(job, s);
		break;
	case 11:
	case 12:
	case 13:
		delete (job, s);
		break;
	case 14:
	case 15:
	case 16:
		publish(job, s);
		break;
	case 17:
	case 18:
		unpublish(job, s);
		break;
	default:
		stat_one(job, s);
		break;
	}
}

void random_verb(struct schedules *x, struct process *p)
{
	struct job job = { .x = x, .p = p };
	unsigned n = draw(24);

	p->waits = p->waits_alone = 0;
	p->faulted = false;
	if (n == 0)
		list_all(&job);
	else if (n == 1)
		stat_pool(&job);
	else if (n == 2)
		close_it(&job);
	else if (n == 3)
		deactivate(&job);
	else if (n < 7)
		on_shared(&job);
	else
		on_own(&job);
}

/* --- Seeing ----------------------------------------------------------------------- */

static bool see(struct process *p, const char *path, const char *name,
		struct seen_volume *ret)
{
	struct model_thin *thin;
	struct kv_row row;

	if (kv_catalogue_find(p->pool->cat, name, &row) < 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	thin = model_thin(model_disk(path), row.id);
	ret->mark = thin ? thin->content.mark : 0;
	ret->kind = row.kind;
	ret->bytes = row.bytes;
	(void)kv_strcpy(ret->name, sizeof(ret->name), row.name);
	(void)kv_strcpy(ret->source, sizeof(ret->source), row.source);
	(void)kv_strcpy(ret->fs, sizeof(ret->fs), row.fs_type);
	return true;
}

void look_at_names(struct schedules *x, struct process *p)
{
	struct seen_volume v;
	const char *bad;
	bool there;

	for (int i = 0; i < NAMES_EACH; i++) {
		if (p->names[i].n == 1)
			continue;
		processes_hold();
		there = see(p, x->m.path, p->names[i].name, &v);
		processes_go_on();
		bad = shadow_meets(&p->names[i], there ? &v : NULL, false);
		if (bad)
			broke(x, "%s", bad);
	}
}
