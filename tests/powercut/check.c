// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Judges one disk: partition table, catalogue, thin pool's metadata, that these agree,
 * that they hold what was acknowledged and nothing that was not asked for, and the data
 * of raw volumes, sector by sector. File systems in volumes are left to the guest
 * (opener.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvol/kvol.h>

#include "check.h"
#include "gpt.h"
#include "util.h"

/* --- Reading, with a memory ------------------------------------------------------- */

static int catalogue(struct check *c, const struct image *im, const struct kv_layout *l,
		     const struct rows **ret, char why[WHY_SIZE])
{
	uint64_t version = image_version(im, &l->catalogue);
	char path[300];
	unsigned i;

	for (i = 0; i < REMEMBERED; i++)
		if (version && c->catalogues[i].version == version)
			break;
	if (i == REMEMBERED) {
		i = c->turn++ % REMEMBERED;
		snprintf(path, sizeof(path), "%s/catalogue.img", c->dir);
		if (image_extract(im, &l->catalogue, path) < 0)
			return wrong(why, "the catalogue could not be copied");
		c->catalogues[i].version = version;
		c->catalogues[i].r = read_rows(path, c->dir, &c->catalogues[i].rows,
					       c->catalogues[i].why);
		c->n_catalogues++;
	}
	*ret = &c->catalogues[i].rows;
	if (c->catalogues[i].r < 0)
		memcpy(why, c->catalogues[i].why, WHY_SIZE);
	return c->catalogues[i].r;
}

static int metadata(struct check *c, const struct image *im, const struct kv_layout *l,
		    const struct thins **ret, char why[WHY_SIZE])
{
	uint64_t version = image_version(im, &l->metadata);
	char path[300];
	unsigned i;

	for (i = 0; i < REMEMBERED; i++)
		if (version && c->metadata[i].version == version)
			break;
	if (i == REMEMBERED) {
		i = c->turn++ % REMEMBERED;
		snprintf(path, sizeof(path), "%s/metadata.img", c->dir);
		if (image_extract(im, &l->metadata, path) < 0)
			return wrong(why, "the metadata could not be copied");
		free_thins(&c->metadata[i].thins);
		c->metadata[i].version = version;
		c->metadata[i].r =
			read_thins(path, &c->metadata[i].thins, c->metadata[i].why);
		c->n_metadata++;
	}
	*ret = &c->metadata[i].thins;
	if (c->metadata[i].r < 0)
		memcpy(why, c->metadata[i].why, WHY_SIZE);
	return c->metadata[i].r;
}

void check_free(struct check *c)
{
	for (unsigned i = 0; i < REMEMBERED; i++)
		free_thins(&c->metadata[i].thins);
}

/* --- The catalogue against the history -------------------------------------------- */

static bool is(const struct volume *v, uint32_t kind, uint64_t bytes, const char *source,
	       const char *fs_type)
{
	return v->there && v->kind == kind && v->bytes == bytes &&
	       !strcmp(v->source, source) && !strcmp(v->fs_type, fs_type);
}

const struct volume *check_find(const struct expected *x, const char *name, uint32_t kind,
				uint64_t bytes, const char *source, const char *fs_type)
{
	for (unsigned i = 0; i < x->n_items; i++) {
		const struct item *item = &x->items[i];

		if (strcmp(item->name, name))
			continue;
		if (is(&item->was, kind, bytes, source, fs_type))
			return &item->was;
		if (item->two && is(&item->will, kind, bytes, source, fs_type))
			return &item->will;
	}
	return NULL;
}

const char *check_missing(const struct expected *x,
			  bool (*is_there)(void *arg, const char *name), void *arg)
{
	for (unsigned i = 0; i < x->n_items; i++) {
		const struct item *item = &x->items[i];
		bool may_miss = !item->was.there || (item->two && !item->will.there);

		if (!may_miss && !is_there(arg, item->name))
			return item->name;
	}
	return NULL;
}

static bool has_row(void *arg, const char *name)
{
	const struct rows *rows = arg;

	for (unsigned i = 0; i < rows->n_rows; i++)
		if (!strcmp(rows->rows[i].name, name))
			return true;
	return false;
}

static int check_rows(const struct rows *rows, const struct expected *x,
		      char why[WHY_SIZE])
{
	const char *missing;

	for (unsigned i = 0; i < rows->n_rows; i++) {
		const struct row *row = &rows->rows[i];

		if (row->kind == KVOL_KIND_TEMPLATE)
			continue; /* nobody asked for it: it comes with a creation */
		if (row->name[0] && !check_find(x, row->name, row->kind, row->bytes,
						row->source, row->fs_type))
			return wrong(
				why,
				"the catalogue has '%s' (kind %u, %llu bytes, source '%s', fs "
				"'%s'), which should not be there",
				row->name, row->kind, (unsigned long long)row->bytes,
				row->source, row->fs_type);
	}
	missing = check_missing(x, has_row, (void *)rows);
	return missing ? wrong(why, "'%s' was acknowledged and is not in the catalogue",
			       missing)
		       : 0;
}

/* --- The catalogue against the thin pool ------------------------------------------ */

static bool is_explained(const struct rows *rows, uint32_t id)
{
	for (unsigned i = 0; i < rows->n_rows; i++)
		if (rows->rows[i].id == id)
			return true;
	for (unsigned i = 0; i < rows->n_reservations; i++)
		if (id - rows->reservations[i].first < rows->reservations[i].count)
			return true;
	return false;
}

static int check_agree(const struct rows *rows, const struct thins *thins,
		       char why[WHY_SIZE])
{
	if (rows->block_bytes != thins->block_bytes)
		return wrong(
			why,
			"the catalogue has blocks of %llu, the metadata of %llu bytes",
			(unsigned long long)rows->block_bytes,
			(unsigned long long)thins->block_bytes);
	if (rows->epoch != thins->transaction && rows->epoch != thins->transaction + 1)
		return wrong(why,
			     "the catalogue's epoch is %llu, the transaction id %llu",
			     (unsigned long long)rows->epoch,
			     (unsigned long long)thins->transaction);
	if (rows->snapshots < thins->time)
		return wrong(why, "the catalogue counts %llu snapshots, the kernel %llu",
			     (unsigned long long)rows->snapshots,
			     (unsigned long long)thins->time);
	for (unsigned i = 0; i < rows->n_rows; i++)
		if (rows->rows[i].name[0] && !find_thin(thins, rows->rows[i].id))
			return wrong(why, "'%s' has no thin device %u",
				     rows->rows[i].name, rows->rows[i].id);
	for (unsigned i = 0; i < thins->n_thins; i++)
		if (!is_explained(rows, thins->thins[i].id))
			return wrong(why, "nothing explains thin device %u",
				     thins->thins[i].id);
	return 0;
}

static int check_settled(const struct rows *rows, const struct thins *thins,
			 char why[WHY_SIZE])
{
	if (rows->n_reservations)
		return wrong(why, "a reservation is left");
	for (unsigned i = 0; i < rows->n_rows; i++)
		if (!rows->rows[i].name[0])
			return wrong(why, "a tombstone is left: %u", rows->rows[i].id);
	if (thins->n_thins != rows->n_rows)
		return wrong(why, "%u thin devices, %u volumes", thins->n_thins,
			     rows->n_rows);
	if (rows->epoch != thins->transaction)
		return wrong(why, "the epoch is not settled");
	return 0;
}

/* --- The data --------------------------------------------------------------------- */

/* Where a block of a thin device lies on the disk; 0: nowhere. */
static uint64_t block_at(const struct thins *t, const struct thin *thin, uint64_t block)
{
	for (unsigned i = thin->first; i < thin->first + thin->n; i++) {
		const struct mapping *m = &t->mappings[i];

		if (block - m->origin < m->length)
			return (m->data + block - m->origin) * t->block_bytes + 1;
	}
	return 0;
}

static bool holds(const unsigned char *unit, uint32_t op, uint64_t offset)
{
	unsigned char want[BLOCK_UNIT] = { 0 };

	if (op)
		pattern_fill(want, sizeof(want), op, offset);
	return !memcmp(unit, want, sizeof(want));
}

static int check_units(const struct volume *v, const struct row *row,
		       const unsigned char *data, uint64_t offset, uint64_t bytes,
		       char why[WHY_SIZE])
{
	for (uint64_t at = 0; at < bytes; at += BLOCK_UNIT) {
		const struct unit *u = &v->units[(offset + at) / BLOCK_UNIT];

		if (!holds(data + at, u->op, offset + at) &&
		    !(u->maybe && holds(data + at, u->maybe, offset + at)))
			return wrong(why, "'%s' at %llu does not hold what call %u wrote",
				     row->name, (unsigned long long)(offset + at), u->op);
	}
	return 0;
}

static int check_raw(const struct image *im, const struct kv_layout *l,
		     const struct thins *t, const struct row *row, const struct volume *v,
		     char why[WHY_SIZE])
{
	const struct thin *thin = find_thin(t, row->id);
	_cleanup_free_ unsigned char *data = malloc(t->block_bytes);
	uint64_t bytes = t->block_bytes < BLOCK_AREA ? t->block_bytes : BLOCK_AREA, at;
	int r = 0;

	if (!data)
		return wrong(why, "out of memory");
	for (uint64_t offset = 0; offset < BLOCK_AREA && r == 0; offset += bytes) {
		memset(data, 0, bytes);
		at = block_at(t, thin, offset / t->block_bytes);
		if (at && at - 1 + bytes > l->data.bytes)
			return wrong(why, "'%s' has a block beyond the data", row->name);
		if (at &&
		    kv_pread_full(im->fd, data, bytes, l->data.start_bytes + at - 1) < 0)
			return wrong(why, "'%s': a block cannot be read", row->name);
		r = check_units(v, row, data, offset, bytes, why);
	}
	return r;
}

static int check_data(const struct image *im, const struct kv_layout *l,
		      const struct rows *rows, const struct thins *thins,
		      const struct expected *x, char why[WHY_SIZE])
{
	int r = 0;

	for (unsigned i = 0; i < rows->n_rows && r == 0; i++) {
		const struct row *row = &rows->rows[i];
		const struct thin *thin = find_thin(thins, row->id);
		const struct volume *v = check_find(x, row->name, row->kind, row->bytes,
						    row->source, row->fs_type);

		if (!row->name[0])
			continue;
		for (unsigned k = thin->first; k < thin->first + thin->n; k++) {
			const struct mapping *m = &thins->mappings[k];

			if ((m->origin + m->length - 1) * thins->block_bytes >=
			    row->bytes)
				return wrong(why, "'%s' has blocks beyond its end",
					     row->name);
		}
		if (!row->fs_type[0])
			r = check_raw(im, l, thins, row, v, why);
	}
	return r;
}

/* --- All of it -------------------------------------------------------------------- */

/* A pool that is being formatted has no volumes yet. */
static int check_new(const struct rows *rows, char why[WHY_SIZE])
{
	for (unsigned i = 0; i < rows->n_rows; i++)
		if (rows->rows[i].name[0])
			return wrong(why, "a new pool has a volume '%s'",
				     rows->rows[i].name);
	return 0;
}

static int check_pool(struct check *c, const struct image *im, const struct kv_layout *l,
		      const struct expected *x, unsigned flags, char why[WHY_SIZE])
{
	const struct rows *rows = NULL;
	const struct thins *thins = NULL;
	int r;

	r = catalogue(c, im, l, &rows, why);
	if (r == 0)
		r = metadata(c, im, l, &thins, why);
	if (r < 0)
		return r;
	if (strcmp(rows->uuid, l->uuid))
		return wrong(why, "catalogue and partition table are of two pools");
	r = check_agree(rows, thins, why);
	if (r == 0 && flags & CHECK_SETTLED)
		r = check_settled(rows, thins, why);
	if (r < 0)
		return r;
	if (x->new && !strcmp(rows->name, x->new))
		return check_new(rows, why);
	if (!x->pool || strcmp(rows->name, x->pool))
		return wrong(why, "the pool is called '%s'", rows->name);
	r = check_rows(rows, x, why);
	return r < 0 ? r : check_data(im, l, rows, thins, x, why);
}

enum verdict check_image(struct check *c, const struct image *im,
			 const struct expected *x, unsigned flags, char why[WHY_SIZE])
{
	struct kv_layout layout;
	int r = kv_gpt_read(im->fd, &layout);

	if (r == -EMEDIUMTYPE && (x->new || !x->pool))
		return VERDICT_NONE;
	if (r < 0) {
		(void)wrong(why, "the partition table: %s", strerror(-r));
		return VERDICT_WRONG;
	}
	return check_pool(c, im, &layout, x, flags, why) < 0 ? VERDICT_WRONG
							     : VERDICT_POOL;
}
