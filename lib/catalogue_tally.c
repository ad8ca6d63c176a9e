// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The tally: how many volumes and snapshots there are, and how much the volumes promise.
 * It stands in the pool's row, and the commit that makes, buries or resizes one changes
 * it: to count the rows instead would cost each creation what the pool is large.
 *
 * Rows without a name and templates are in no count. Sizes are summed up in pages of 4096
 * bytes, which no number of volumes that anybody has brings beyond an integer; those of
 * thick volumes, which have whole blocks of the pool, once more by themselves.
 *
 * A tally that no rows add up to, or that what goes now was never in, is -EUCLEAN: who
 * has written there was somebody else. It keeps nobody from reading; repair counts anew.
 *
 * A crash leaves each commit whole or absent, and so the tally is that of the rows.
 */
#include <errno.h>

#include <kvol/kvol.h>
#include "catalogue_db.h"
#include "thin.h"

/* An id for each. */
static bool is_count(uint64_t n)
{
	return n <= (uint64_t)KV_THIN_ID_MAX + 1;
}

static bool is_tally(const struct kv_tally *t)
{
	uint64_t thick_bytes;

	return is_count(t->volumes) && is_count(t->snapshots) &&
	       is_count(t->volumes + t->snapshots) && t->pages <= INT64_MAX &&
	       t->thick_pages <= t->pages && t->block_bytes >= KV_THIN_BLOCK_MIN &&
	       t->block_bytes <= KV_THIN_BLOCK_MAX && t->thick_blocks <= INT64_MAX &&
	       !__builtin_mul_overflow(t->thick_blocks, t->block_bytes, &thick_bytes) &&
	       thick_bytes <= INT64_MAX && thick_bytes / KV_TALLY_PAGE >= t->thick_pages;
}

/* Without asking whether it can be. */
static int read_raw(struct kv_db *db, struct kv_tally *ret)
{
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(db, &stmt,
			"SELECT n_volumes, n_snapshots, pages, thick_pages, thick_blocks,"
			" block_bytes FROM pool",
			"");
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	if (r == 1)
		r = kv_stmt_check(stmt, "iiiiii");
	else if (r == 0)
		r = -EUCLEAN;
	ret->volumes = (uint64_t)kv_stmt_int(stmt, 0);
	ret->snapshots = (uint64_t)kv_stmt_int(stmt, 1);
	ret->pages = (uint64_t)kv_stmt_int(stmt, 2);
	ret->thick_pages = (uint64_t)kv_stmt_int(stmt, 3);
	ret->thick_blocks = (uint64_t)kv_stmt_int(stmt, 4);
	ret->block_bytes = (uint64_t)kv_stmt_int(stmt, 5);
	kv_stmt_reset(stmt);
	return r;
}

int kv_tally_read(struct kv_catalogue *cat, struct kv_tally *ret)
{
	struct kv_tally t;
	int r = read_raw(cat->db, &t);

	if (r < 0)
		return r;
	if (!is_tally(&t))
		return -EUCLEAN;
	*ret = t;
	return 0;
}

static int write_tally(struct kv_catalogue *cat, const struct kv_tally *t)
{
	int r = kv_db_do(cat->db,
			 "UPDATE pool SET n_volumes = ?, n_snapshots = ?, pages = ?,"
			 " thick_pages = ?, thick_blocks = ?",
			 "iiiii", (int64_t)t->volumes, (int64_t)t->snapshots,
			 (int64_t)t->pages, (int64_t)t->thick_pages,
			 (int64_t)t->thick_blocks);

	return r < 0 ? r : 0;
}

/* What one row is in it. */
static struct kv_tally of_row(const struct kv_row *row, uint64_t block_bytes)
{
	struct kv_tally t = { .block_bytes = block_bytes };

	t.snapshots = row->kind == KVOL_KIND_SNAPSHOT;
	t.volumes = row->kind == KVOL_KIND_VOLUME;
	if (t.volumes)
		t.pages = row->bytes / KV_TALLY_PAGE;
	if (t.volumes && row->flags & KV_ROW_THICK) {
		t.thick_pages = t.pages;
		t.thick_blocks = kv_round_up(row->bytes, block_bytes) / block_bytes;
	}
	return t;
}

/* Both are tallies: no sum of two such numbers overflows. */
static void add(struct kv_tally *t, const struct kv_tally *x)
{
	t->volumes += x->volumes;
	t->snapshots += x->snapshots;
	t->pages += x->pages;
	t->thick_pages += x->thick_pages;
	t->thick_blocks += x->thick_blocks;
}

/* What falls below 0 is no tally's number any more. */
static void take(struct kv_tally *t, const struct kv_tally *x)
{
	t->volumes -= x->volumes;
	t->snapshots -= x->snapshots;
	t->pages -= x->pages;
	t->thick_pages -= x->thick_pages;
	t->thick_blocks -= x->thick_blocks;
}

int kv_tally_change(struct kv_catalogue *cat, const struct kv_row *gone,
		    const struct kv_row *come)
{
	struct kv_tally t, x;
	int r = kv_tally_read(cat, &t);

	if (r < 0)
		return r;
	if (gone) {
		x = of_row(gone, t.block_bytes);
		take(&t, &x);
		if (!is_tally(&t))
			return -EUCLEAN;
	}
	if (come) {
		x = of_row(come, t.block_bytes);
		add(&t, &x);
		if (!is_tally(&t))
			return -EDQUOT;
	}
	return write_tally(cat, &t);
}

/* --- By the rows ------------------------------------------------------------------ */

/* Statements begin with it; and the rows in question are named, and of two kinds. */
#define COUNTED "SELECT kind, flags, bytes FROM volume WHERE name IS NOT NULL"

static int row_from(struct kv_stmt *stmt, struct kv_row *ret)
{
	int64_t kind = kv_stmt_int(stmt, 0), flags = kv_stmt_int(stmt, 1),
		bytes = kv_stmt_int(stmt, 2);

	if (kv_stmt_check(stmt, "iii") < 0 || kind < KVOL_KIND_VOLUME ||
	    kind > KVOL_KIND_TEMPLATE || flags & ~(int64_t)KV_ROW_KNOWN || bytes <= 0 ||
	    (uint64_t)bytes > KV_ROW_BYTES_MAX || bytes % KV_TALLY_PAGE)
		return -EUCLEAN;
	ret->kind = (uint32_t)kind;
	ret->flags = (uint32_t)flags;
	ret->bytes = (uint64_t)bytes;
	return 0;
}

int kv_tally_row(struct kv_catalogue *cat, uint32_t id, struct kv_row *ret)
{
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(cat->db, &stmt, COUNTED " AND id = ?", "i", (int64_t)id);
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	if (r == 1)
		r = row_from(stmt, ret);
	else if (r == 0)
		r = -ENOENT;
	kv_stmt_reset(stmt);
	return r;
}

/* A row that is none of ours is in no count: no verb will ever take it out again. */
static int count_rows(struct kv_catalogue *cat, uint64_t block_bytes,
		      struct kv_tally *ret)
{
	struct kv_tally t = { .block_bytes = block_bytes }, x;
	struct kv_stmt *stmt;
	struct kv_row row;
	int r;

	r = kv_db_query(cat->db, &stmt, COUNTED, "");
	if (r < 0)
		return r;
	while ((r = kv_stmt_step(stmt)) == 1) {
		if (row_from(stmt, &row) < 0)
			continue;
		x = of_row(&row, block_bytes);
		add(&t, &x);
		if (!is_tally(&t)) {
			r = -EUCLEAN;
			break;
		}
	}
	kv_stmt_reset(stmt);
	if (r == 0)
		*ret = t;
	return r;
}

static bool same(const struct kv_tally *a, const struct kv_tally *b)
{
	return a->volumes == b->volumes && a->snapshots == b->snapshots &&
	       a->pages == b->pages && a->thick_pages == b->thick_pages &&
	       a->thick_blocks == b->thick_blocks;
}

int kv_tally_check(struct kv_catalogue *cat, bool mend)
{
	struct kv_tally stands = { 0 }, counted;
	int r, wrong;

	r = kv_catalogue_begin(cat);
	if (r < 0)
		return r;
	/* Numbers that are none do not keep from counting; a block size does. */
	wrong = read_raw(cat->db, &stands);
	if (wrong == -EUCLEAN)
		stands.volumes = UINT64_MAX;
	r = wrong < 0 && wrong != -EUCLEAN ? wrong : 0;
	if (r == 0 && (stands.block_bytes < KV_THIN_BLOCK_MIN ||
		       stands.block_bytes > KV_THIN_BLOCK_MAX))
		r = -EUCLEAN;
	if (r == 0)
		r = count_rows(cat, stands.block_bytes, &counted);
	wrong = r == 0 && !same(&stands, &counted);
	if (r == 0 && wrong && mend)
		r = write_tally(cat, &counted);
	if (r < 0 || !wrong || !mend) { /* nothing to commit */
		(void)kv_catalogue_finish(cat, -ECANCELED);
		return r < 0 ? r : wrong;
	}
	r = kv_catalogue_finish(cat, 0);
	return r < 0 ? r : 1;
}
