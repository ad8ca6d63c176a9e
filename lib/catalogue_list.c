// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Listings of the catalogue: ids of rows that wait for something, a few at a time; and
 * cursors over all rows. A cursor has a connection of its own, and so a snapshot that
 * stands while others write, and takes no lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "catalogue_db.h"
#include "thin.h"

struct kv_cursor {
	struct kv_db *db;
	struct kv_stmt *stmt;
	int step; /* result of the step that is not handed out yet */
};

/* --- Ids -------------------------------------------------------------------------- */

static int ids(struct kv_catalogue *cat, const char *sql, uint32_t from, uint32_t *ret,
	       unsigned n)
{
	struct kv_stmt *stmt;
	unsigned found = 0;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt, sql, "ii", (int64_t)from, (int64_t)n);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	while (found < n && (r = kv_stmt_step(stmt)) == 1) {
		int64_t id = kv_stmt_int(stmt, 0);

		/* Ascending, whatever a damaged index says: callers go on behind the
		 * last. */
		if (id < from || id > KV_THIN_ID_MAX) {
			r = -EUCLEAN;
			break;
		}
		ret[found++] = (uint32_t)id;
		from = (uint32_t)id + 1;
	}
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r < 0 ? r : (int)found);
}

int kv_catalogue_tombstones(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			    unsigned n)
{
	return ids(
		cat,
		"SELECT id FROM volume WHERE name IS NULL AND id >= ? ORDER BY id LIMIT ?",
		from, ret, n);
}

int kv_catalogue_spare(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			 unsigned n)
{
	return ids(
		cat,
		"SELECT id FROM volume WHERE " KV_SQL_SPARE
		" AND name IS NOT NULL AND id >= ? ORDER BY id LIMIT ?",
		from, ret, n);
}

int kv_catalogue_templates(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			   unsigned n)
{
	return ids(cat,
		   "SELECT id FROM volume WHERE kind = 3 AND name IS NOT NULL"
		   " AND id >= ? ORDER BY id LIMIT ?",
		   from, ret, n);
}

int kv_catalogue_ephemerals(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			    unsigned n)
{
	return ids(cat,
		   "SELECT volume FROM ephemeral WHERE volume >= ?"
		   " ORDER BY volume LIMIT ?",
		   from, ret, n);
}

/* --- Cursors ---------------------------------------------------------------------- */

int kv_cursor_open(struct kv_catalogue *cat, uint32_t kind, struct kv_cursor **ret)
{
	const struct kv_filter filter = { .kind = kind };

	return kv_cursor_open_filtered(cat, &filter, ret);
}

/* Two statements: behind a name the index leads to where a page begins; without one no
 * row may be passed over, whatever a damaged name is. */
#define FILTERED(begin)                                                     \
	"SELECT " KV_SQL_ROW " FROM volume WHERE " begin                   \
	" AND (kind = ?2 OR (?2 = 0 AND kind <> 3)) AND (?3 IS NULL OR source = ?3)"        \
	" AND (?4 IS NULL OR EXISTS"                                        \
	"  (SELECT 1 FROM label WHERE label.volume = volume.id AND key = ?4" \
	"   AND (?5 IS NULL OR value = ?5)))"                               \
	" ORDER BY name LIMIT ?6"

static int query_filtered(struct kv_cursor *cur, const struct kv_filter *f)
{
	static const char from_first[] = FILTERED("name IS NOT NULL AND ?1 IS NULL");
	static const char from_name[] = FILTERED("name > ?1");
	const int64_t limit =
		f->limit && f->limit < INT64_MAX ? (int64_t)f->limit : INT64_MAX;

	/* The cursor outlives the call, and the filter's strings do not. */
	return kv_db_query(cur->db, &cur->stmt, f->after ? from_name : from_first,
			   "TiTTTi", f->after, (int64_t)f->kind, f->source, f->label_key,
			   f->label_value, limit);
}

int kv_cursor_open_filtered(struct kv_catalogue *cat, const struct kv_filter *filter,
			    struct kv_cursor **ret)
{
	struct kv_cursor *cur;
	int r;

	cur = calloc(1, sizeof(*cur));
	if (!cur)
		return -ENOMEM;
	r = kv_db_open(cat->dir_fd, KV_CATALOGUE_FILE, KV_DB_READONLY, &cur->db);
	if (r == 0)
		r = kv_db_begin_read(cur->db);
	if (r >= 0)
		r = query_filtered(cur, filter);
	if (r >= 0)
		r = cur->step =
			kv_stmt_step(cur->stmt); /* from here on the listing stands */
	if (r < 0) {
		kv_cursor_close(cur);
		return r;
	}
	*ret = cur;
	return 0;
}

int kv_cursor_next(struct kv_cursor *cur, struct kv_row *ret)
{
	int r;

	if (cur->step != 1)
		return cur->step;
	r = kv_row_read(cur->stmt, ret);
	if (r < 0)
		return cur->step = r;
	cur->step = kv_stmt_step(cur->stmt);
	return 1;
}

void kv_cursor_close(struct kv_cursor *cur)
{
	if (!cur)
		return;
	kv_db_close(cur->db);
	free(cur);
}
