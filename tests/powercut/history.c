// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From marks to expectations. Calls on one name come one after the other, except that
 * files are written while the volume is snapshotted or expanded; calls on different names
 * may overlap. So each name is in one of at most two states, whatever the others are in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvol/kvol.h>
#include "history.h"

static const char *const verbs[] = {
	[VERB_OTHER] = "other",
	[VERB_FORMAT] = "format",
	[VERB_CREATE] = "create",
	[VERB_SNAPSHOT] = "snapshot",
	[VERB_CLONE] = "clone",
	[VERB_EXPAND] = "expand",
	[VERB_DELETE] = "delete",
	[VERB_WRITE_FILE] = "write_file",
	[VERB_REMOVE_FILE] = "remove_file",
	[VERB_WRITE_BLOCK] = "write_block",
};

const char *verb_name(uint32_t verb)
{
	return verb < sizeof(verbs) / sizeof(verbs[0]) ? verbs[verb] : "?";
}

static int take_mark(struct history *h, uint32_t at, const struct mark *m)
{
	struct op *ops;

	h->end = at;
	if (m->kind == MARK_SLICE) {
		h->slice_sector = m->offset / WLOG_SECTOR;
		h->slice_sectors = m->bytes / WLOG_SECTOR;
	} else if (m->kind == MARK_INTENT) {
		ops = realloc(h->ops, (h->n_ops + 1) * sizeof(*ops));
		if (!ops)
			return -1;
		h->ops = ops;
		if (!h->n_ops)
			h->first = at;
		ops[h->n_ops++] = (struct op){ *m, at, NEVER, NEVER };
	} else if (m->kind == MARK_ACK || m->kind == MARK_ABORT) {
		for (unsigned i = h->n_ops; i-- > 0;)
			if (h->ops[i].m.op == m->op) {
				*(m->kind == MARK_ACK ? &h->ops[i].ack
						      : &h->ops[i].abort) = at;
				return 0;
			}
		return -1;
	}
	return 0;
}

int history_read(const struct wlog *log, struct history *ret)
{
	struct history h = { 0 };
	struct mark m;

	for (uint32_t i = 0; i < log->n; i++) {
		if (log->entries[i].n_sectors != 1 || !log->entries[i].data)
			continue;
		memcpy(&m, log->entries[i].data, sizeof(m));
		if (memcmp(m.magic, MARK_MAGIC, sizeof(m.magic)))
			continue;
		if (take_mark(&h, i, &m) < 0) {
			fprintf(stderr, "the log's marks make no sense at entry %u\n", i);
			history_free(&h);
			return -1;
		}
	}
	if (!h.n_ops || !h.slice_sectors) {
		fprintf(stderr, "the log has no marks\n");
		history_free(&h);
		return -1;
	}
	*ret = h;
	return 0;
}

void history_free(struct history *h)
{
	free(h->ops);
}

/* --- What is there at some point -------------------------------------------------- */

static struct item *find(struct expected *x, const char *name)
{
	for (unsigned i = 0; i < x->n_items; i++)
		if (!strcmp(x->items[i].name, name))
			return &x->items[i];
	return NULL;
}

static struct item *find_or_add(struct expected *x, const char *name)
{
	struct item *item = find(x, name);

	if (item || x->n_items == ITEMS_MAX)
		return item;
	item = &x->items[x->n_items++];
	memset(item, 0, sizeof(*item));
	memcpy(item->name, name, sizeof(item->name));
	return item;
}

static int add_file(struct volume *v, const struct op *op, bool must)
{
	if (v->n_files == FILES_MAX)
		return -1;
	v->files[v->n_files++] = (struct file){ op, must, NULL };
	return 0;
}

static void make(const struct op *op, struct volume *v)
{
	memset(v, 0, sizeof(*v));
	v->there = true;
	v->kind = KVOL_KIND_VOLUME;
	v->bytes = op->m.bytes;
	memcpy(v->fs_type, op->m.fs_type, sizeof(v->fs_type));
}

/* Files that were being written or removed when the copy was made may be in it. */
static int copy(struct expected *x, const struct op *op, struct volume *v)
{
	const struct item *source = find(x, op->m.source);
	int r = 0;

	if (!source)
		return -1;
	*v = source->was;
	v->copy = true;
	v->kind = op->m.verb == VERB_SNAPSHOT ? KVOL_KIND_SNAPSHOT : KVOL_KIND_VOLUME;
	if (op->m.bytes)
		v->bytes = op->m.bytes;
	memcpy(v->source, op->m.source, sizeof(v->source));
	v->n_files = 0;
	for (unsigned i = 0; i < source->was.n_files && r == 0; i++) {
		const struct file *f = &source->was.files[i];

		if (!f->removed || f->removed->ack >= op->intent)
			r = add_file(v, f->op, f->must && f->op->ack < op->intent);
	}
	return r;
}

/* Was a copy of op's volume being made while op was under way? */
static bool is_being_copied(const struct item *c, const struct op *op)
{
	return c->made && !strcmp(c->made->m.source, op->m.name) &&
	       c->made->ack > op->intent;
}

static int write_file(struct expected *x, const struct op *op, bool done)
{
	struct item *item = find(x, op->m.name);
	int r;

	if (!item)
		return -1;
	r = add_file(&item->was, op, done);
	if (r == 0 && item->two)
		r = add_file(&item->will, op, done);
	for (unsigned i = 0; i < x->n_items && r == 0; i++) {
		struct item *c = &x->items[i];

		if (!is_being_copied(c, op))
			continue;
		r = add_file(&c->was, op, false);
		if (r == 0 && c->two)
			r = add_file(&c->will, op, false);
	}
	return r;
}

static void remove_from(struct volume *v, const struct op *op, bool here)
{
	for (unsigned i = 0; i < v->n_files; i++)
		if (v->files[i].op->m.op == op->m.offset) {
			v->files[i].must = false;
			if (here)
				v->files[i].removed = op;
		}
}

static int remove_file(struct expected *x, const struct op *op)
{
	struct item *item = find(x, op->m.name);

	if (!item)
		return -1;
	remove_from(&item->was, op, true);
	remove_from(&item->will, op, true);
	for (unsigned i = 0; i < x->n_items; i++)
		if (is_being_copied(&x->items[i], op)) {
			remove_from(&x->items[i].was, op, false);
			remove_from(&x->items[i].will, op, false);
		}
	return 0;
}

/* Until then a copy that was begun before the removal ended has to find it. */
static void drop_removed(struct volume *v, uint32_t end)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->n_files; i++)
		if (!v->files[i].removed || v->files[i].removed->ack >= end)
			v->files[n++] = v->files[i];
	v->n_files = n;
}

static int write_block(struct expected *x, const struct op *op, bool done)
{
	struct item *item = find(x, op->m.name);
	uint64_t first = op->m.offset / BLOCK_UNIT, n = op->m.bytes / BLOCK_UNIT;

	if (!item || first + n > BLOCK_UNITS)
		return -1;
	for (uint64_t i = first; i < first + n; i++) {
		struct unit u = { item->was.units[i].op, (uint32_t)op->m.op };

		if (done)
			u = (struct unit){ (uint32_t)op->m.op, 0 };
		item->was.units[i] = u;
		item->will.units[i] = u;
	}
	return 0;
}

static int change(struct expected *x, const struct op *op, bool done)
{
	struct item *item = find_or_add(x, op->m.name);
	struct volume *v;
	int r = 0;

	if (!item)
		return -1;
	v = done ? &item->was : &item->will;
	item->two = !done;
	if (op->m.verb != VERB_EXPAND && op->m.verb != VERB_DELETE)
		item->made = op;
	switch (op->m.verb) {
	case VERB_CREATE:
		make(op, v);
		break;
	case VERB_SNAPSHOT:
	case VERB_CLONE:
		r = copy(x, op, v);
		break;
	case VERB_EXPAND:
		*v = item->was;
		v->bytes = op->m.bytes;
		break;
	case VERB_DELETE:
		v->there = false;
		break;
	}
	return r;
}

static int step(struct expected *x, const struct op *op, bool done)
{
	switch (op->m.verb) {
	case VERB_OTHER:
		return 0;
	case VERB_FORMAT:
		if (done) {
			x->n_items = 0;
			x->pool = op->m.name;
		} else {
			x->new = op->m.name;
		}
		return 0;
	case VERB_WRITE_FILE:
		return write_file(x, op, done);
	case VERB_REMOVE_FILE:
		return remove_file(x, op);
	case VERB_WRITE_BLOCK:
		return write_block(x, op, done);
	default:
		return change(x, op, done);
	}
}

int history_at(const struct history *h, uint32_t end, struct expected *ret)
{
	ret->pool = ret->new = NULL;
	ret->n_items = 0;
	for (unsigned i = 0; i < h->n_ops && h->ops[i].intent < end; i++) {
		const struct op *op = &h->ops[i];

		if (op->abort >= end && step(ret, op, op->ack < end) < 0) {
			fprintf(stderr,
				"call %llu (%s '%s') does not fit what went before\n",
				(unsigned long long)op->m.op, verb_name(op->m.verb),
				op->m.name);
			return -1;
		}
	}
	for (unsigned i = 0; i < ret->n_items; i++) {
		drop_removed(&ret->items[i].was, end);
		drop_removed(&ret->items[i].will, end);
	}
	return 0;
}
