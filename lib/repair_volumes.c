// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Does the thin pool's metadata hold what the catalogue lists?
 *
 * Both are read in the order of ids, side by side, so that the size of the pool does not
 * matter. thin_repair gives metadata that is sound and lacks whole volumes, and
 * thin_check finds nothing wrong with it: this comparison is what a repair is judged by.
 *
 * Only accepting writes: one commit of the catalogue's. Nothing here deletes an id or a
 * volume.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "repair.h"
#include "thin.h"

#define AT_ONCE	 64
#define TOLD_MAX 1000 /* names in the log; the rest are counted */

int kv_repair_read(void *arg, uint64_t block, void *buf)
{
	const struct kv_repair_source *s = arg;

	return kv_pread_full(s->fd, buf, KV_THINMETA_BLOCK, block * KV_THINMETA_BLOCK);
}

/* --- Two lists, one thing at a time ----------------------------------------------- */

struct side {
	struct kv_repair_source *metadata;
	struct kv_thinmeta_entry entries[AT_ONCE];
	unsigned n, at;
	uint32_t next;
};

/* 1 and the next device of the metadata; 0: no more. */
static int next_device(struct side *s, const struct kv_thinmeta_entry **ret)
{
	int r;

	if (s->at == s->n) {
		if (s->next > KV_THIN_ID_MAX)
			return 0;
		r = kv_thinmeta_list(kv_repair_read, s->metadata, s->next, s->entries,
				     AT_ONCE, &s->next);
		if (r <= 0)
			return r;
		s->n = (unsigned)r;
		s->at = 0;
	}
	*ret = &s->entries[s->at++];
	return 1;
}

struct compare {
	struct kv_repair *x;
	struct kv_repair_source *older;
	struct kv_repair_tally t;
	uint64_t told;
	bool tell;
};

static void tell(struct compare *c, const struct kv_row *row, const char *what)
{
	(void)kv_strcpy(c->t.example, sizeof(c->t.example), row->name);
	if (c->tell && c->told++ < TOLD_MAX)
		kv_log(&c->x->ctx->log, LOG_WARNING, "'%s': %s '%s' (id %" PRIu32 "): %s",
		       c->x->path,
		       row->kind == KVOL_KIND_SNAPSHOT ? "snapshot" : "volume", row->name,
		       row->id, what);
}

/* A device without a row. */
static int judge_stray(struct compare *c, uint32_t id)
{
	int r = kv_catalogue_reserved(c->x->cat, id);

	if (r != 0)
		return r < 0 ? r : 0;
	c->t.strays++;
	if (c->tell && c->told++ < TOLD_MAX)
		kv_log(&c->x->ctx->log, LOG_WARNING,
		       "'%s': thin id %" PRIu32 " is not in the catalogue", c->x->path,
		       id);
	return 0;
}

/* A row, with its device, or NULL. */
static int judge_row(struct compare *c, uint32_t id, const struct kv_thinmeta_device *d)
{
	struct kv_thinmeta_device before;
	struct kv_row row;
	int r;

	r = kv_catalogue_get(c->x->cat, id, &row);
	if (r < 0)
		return r;
	if (!d) {
		c->t.lost++;
		tell(c, &row, "the metadata does not hold it");
		return 0;
	}
	if (!c->older || kv_thinmeta_device(kv_repair_read, c->older, id, &before) < 0)
		return 0;
	if (before.mapped_blocks > d->mapped_blocks) {
		c->t.cut++;
		tell(c, &row, "it lost blocks");
	}
	return 0;
}

static void note_device(struct compare *c, const struct kv_thinmeta_entry *entry)
{
	c->t.end = entry->id + 1;
	if (entry->device.creation_time > c->t.time)
		c->t.time = entry->device.creation_time;
	if (entry->device.snapshotted_time > c->t.time)
		c->t.time = entry->device.snapshotted_time;
}

static int compare(struct compare *c, struct side *s)
{
	const struct kv_thinmeta_entry *entry = NULL;
	uint32_t id = 0;
	bool named = false;
	int have_device, have_row, r = 0;

	have_device = next_device(s, &entry);
	have_row = kv_catalogue_next_id(c->x->cat, 0, &id, &named);
	while (r == 0 && (have_device > 0 || have_row == 0)) {
		bool both = have_device > 0 && have_row == 0 && entry->id == id;
		bool device = have_device > 0 && (have_row < 0 || entry->id <= id);
		bool row = have_row == 0 && (have_device <= 0 || id <= entry->id);

		if (have_device < 0 || (have_row < 0 && have_row != -ENOENT))
			break;
		if (device)
			note_device(c, entry);
		if (row && named)
			r = judge_row(c, id, both ? &entry->device : NULL);
		else if (device && !row)
			r = judge_stray(c, entry->id);
		if (device)
			have_device = next_device(s, &entry);
		if (row)
			have_row = id == KV_THIN_ID_MAX
					   ? -ENOENT
					   : kv_catalogue_next_id(c->x->cat, id + 1, &id,
								  &named);
	}
	if (r == 0 && have_device < 0)
		r = have_device;
	return r == 0 && have_row < 0 && have_row != -ENOENT ? have_row : r;
}

int kv_repair_compare(struct kv_repair *x, struct kv_repair_source *metadata,
		      struct kv_repair_source *older, bool tell_them,
		      struct kv_repair_tally *ret)
{
	struct compare c = { .x = x, .older = older, .tell = tell_them };
	struct side s = { .metadata = metadata };
	struct kv_thinmeta_super super;
	int r;

	r = kv_thinmeta_super(kv_repair_read, metadata, &super);
	if (r == 0)
		r = compare(&c, &s);
	if (r < 0)
		return r;
	if (super.time > c.t.time)
		c.t.time = super.time;
	*ret = c.t;
	return 0;
}

/* --- The verdict ------------------------------------------------------------------ */

static int settle_epoch(struct kv_repair *x, const struct kv_thinmeta_super *super,
			const struct kv_repair_tally *t, struct kvol_error *e)
{
	int r;

	/* One behind is a reservation that was cut short: opening settles that. */
	if (super->transaction_id == x->conf.epoch ||
	    super->transaction_id + 1 == x->conf.epoch)
		return 0;
	kv_repair_found(x, KVOL_FAULT_EPOCH,
			"catalogue and thin pool are not of one time: the pool opens for "
			"audit only");
	if (kv_repair_checks(x) || !(x->o.flags & KVOL_REPAIR_ACCEPT))
		return 0;
	r = kv_catalogue_accept(x->cat, super->transaction_id, t->time, t->end);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': write the epoch to the catalogue",
				      x->path);
	kv_repair_mended(x, KVOL_FAULT_EPOCH,
			 "the catalogue has taken over the thin pool's transaction id");
	return 0;
}

int kv_repair_volumes(struct kv_repair *x, struct kvol_error *e)
{
	_cleanup_close_ int fd = kv_blockdev_open(x->stack.metadata, O_RDONLY | O_DIRECT);
	struct kv_repair_source metadata = { fd };
	struct kv_thinmeta_super super;
	struct kv_repair_tally t;
	int r;

	r = fd < 0 ? fd : kv_thinmeta_super(kv_repair_read, &metadata, &super);
	if (r == 0)
		r = kv_repair_compare(x, &metadata, NULL, true, &t);
	if (r < 0)
		return kv_error_errno(
			e, r, "'%s': hold the metadata against the catalogue", x->path);
	x->info.n_lost = t.lost;
	x->info.n_strays = t.strays;
	if (t.lost || x->info.n_short)
		kv_repair_found(
			x, KVOL_FAULT_VOLUMES,
			"the metadata does not hold all that the catalogue lists");
	r = settle_epoch(x, &super, &t, e);
	if (r == 0 && t.strays)
		kv_repair_found(x, KVOL_FAULT_STRAYS,
				"the metadata holds what the catalogue does not know");
	return r;
}
