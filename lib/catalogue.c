// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue: one SQLite database on the pool's own partition, mounted where no path
 * leads. doc/on-disk-format.md describes the tables.
 *
 * A volume exists when its row has a name. A row without a name is a tombstone: the
 * volume is gone for everybody, its thin id not yet given back. Ids are handed out from
 * reservations, and never while a row, a tombstone or another reservation names them.
 *
 * The database comes with a disk, which may come from anybody: its schema must be ours
 * (schema.c), and each row that is read one that could have been written here (-EUCLEAN).
 *
 * One connection per handle, guarded by a mutex that is held for SQL only: never across
 * an ioctl, a mount or a mkfs. A crash leaves each commit whole or absent.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <kvol/kvol.h>
#include "catalogue_db.h"
#include "thin.h"

#define FILE_NAME "catalogue.db"

#define ROW_COLUMNS "id, name, kind, flags, bytes, created, source, fs_type, uuid"

struct kv_cursor {
	struct kv_db *db;
	struct kv_stmt *stmt;
	int step; /* result of the step that is not handed out yet */
};

/* --- Making, opening, closing --- */

int kv_catalogue_create(int dir_fd, const struct kv_pool_row *pool)
{
	struct kv_db *db;
	int r;

	r = kv_db_open(dir_fd, FILE_NAME, KV_DB_CREATE, &db);
	if (r < 0)
		return r;
	r = kv_schema_create(db);
	if (r == 0)
		r = kv_db_do(db, "INSERT INTO pool VALUES (1, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)",
			     "ttiiii", pool->uuid, pool->name, (int64_t)time(NULL),
			     (int64_t)pool->block_bytes, (int64_t)pool->max_volumes,
			     (int64_t)pool->epoch);
	if (r >= 0)
		r = kv_db_warm(db);
	kv_db_close(db);
	return r < 0 ? r : 0;
}

int kv_catalogue_open(int dir_fd, struct kv_catalogue **ret)
{
	struct kv_catalogue *cat;
	int r;

	cat = calloc(1, sizeof(*cat));
	if (!cat) {
		(void)kv_close(dir_fd);
		return -ENOMEM;
	}
	cat->dir_fd = dir_fd;
	cat->unfinished_fd = -1;
	pthread_mutex_init(&cat->mutex, NULL);
	pthread_cond_init(&cat->ended, NULL);
	r = kv_db_open(dir_fd, FILE_NAME, 0, &cat->db);
	if (r == 0)
		r = kv_schema_check(cat->db);
	if (r < 0) {
		kv_catalogue_close(cat);
		return r == -ENOENT ? -EUCLEAN : r;
	}
	*ret = cat;
	return 0;
}

int kv_catalogue_flush(struct kv_catalogue *cat)
{
	kv_catalogue_lock(cat);
	return kv_catalogue_unlock(cat, kv_db_flush(cat->db));
}

void kv_catalogue_close(struct kv_catalogue *cat)
{
	if (!cat)
		return;
	(void)kv_catalogue_forget_now(cat); /* else recovery does it */
	if (cat->in_doubt)
		(void)kv_catalogue_settle(cat);
	kv_db_close(cat->db);
	(void)kv_close(cat->unfinished_fd);
	(void)kv_close(cat->dir_fd);
	pthread_cond_destroy(&cat->ended);
	pthread_mutex_destroy(&cat->mutex);
	free(cat);
}

/* --- The pool --- */

int kv_catalogue_pool(struct kv_catalogue *cat, struct kv_pool_row *ret)
{
	struct kv_pool_row row = { 0 };
	struct kv_stmt *stmt;
	bool fits = false;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(
		cat->db, &stmt,
		"SELECT uuid, name, block_bytes, max_volumes, epoch, snapshots FROM pool",
		"");
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	if (r == 1) {
		fits = kv_stmt_check(stmt, "ttiiii") == 0 &&
		       kv_strcpy(row.uuid, sizeof(row.uuid), kv_stmt_text(stmt, 0)) &&
		       kv_strcpy(row.name, sizeof(row.name), kv_stmt_text(stmt, 1));
		row.block_bytes = (uint64_t)kv_stmt_int(stmt, 2);
		row.max_volumes = (uint64_t)kv_stmt_int(stmt, 3);
		row.epoch = (uint64_t)kv_stmt_int(stmt, 4);
		row.snapshots = (uint64_t)kv_stmt_int(stmt, 5);
	}
	kv_stmt_reset(stmt);
	kv_catalogue_unlock(cat, 0);
	if (r < 0)
		return r;
	if (!fits || !kv_uuid_valid(row.uuid) || !kv_pool_name_valid(row.name) ||
	    row.block_bytes < KV_THIN_BLOCK_MIN || row.block_bytes > KV_THIN_BLOCK_MAX ||
	    row.block_bytes % KV_THIN_BLOCK_MIN || !row.max_volumes ||
	    row.max_volumes > KV_THIN_ID_MAX || row.snapshots > INT64_MAX)
		return -EUCLEAN;
	*ret = row;
	return 0;
}

int kv_catalogue_counts(struct kv_catalogue *cat, uint64_t *ret_volumes,
			uint64_t *ret_snapshots)
{
	struct kv_tally tally;
	int r;

	kv_catalogue_lock(cat);
	r = kv_tally_read(cat, &tally);
	if (r == 0) {
		*ret_volumes = tally.volumes;
		*ret_snapshots = tally.snapshots;
	}
	return kv_catalogue_unlock(cat, r);
}

/* --- Rows --- */

static bool numbers_valid(struct kv_stmt *stmt)
{
	int64_t id = kv_stmt_int(stmt, 0), kind = kv_stmt_int(stmt, 2),
		flags = kv_stmt_int(stmt, 3), bytes = kv_stmt_int(stmt, 4);

	return id >= 0 && id <= KV_THIN_ID_MAX &&
	       kind >= KVOL_KIND_VOLUME && kind <= KVOL_KIND_TEMPLATE &&
	       !(flags & ~(int64_t)KV_ROW_KNOWN) && bytes > 0 && bytes % 4096 == 0 &&
	       (uint64_t)bytes <= KV_ROW_BYTES_MAX && kv_stmt_int(stmt, 5) >= 0;
}

static bool name_valid(const struct kv_row *row)
{
	return row->kind == KVOL_KIND_TEMPLATE ? kv_template_name_valid(row->name)
					       : kv_volume_name_valid(row->name);
}

static int row_from(struct kv_stmt *stmt, struct kv_row *ret)
{
	struct kv_row row = { 0 };

	if (kv_stmt_check(stmt, "itiiiittt") < 0 || !numbers_valid(stmt))
		return -EUCLEAN;
	row.id = (uint32_t)kv_stmt_int(stmt, 0);
	row.kind = (uint32_t)kv_stmt_int(stmt, 2);
	row.flags = (uint32_t)kv_stmt_int(stmt, 3);
	row.bytes = (uint64_t)kv_stmt_int(stmt, 4);
	row.created = (uint64_t)kv_stmt_int(stmt, 5);
	if (!kv_strcpy(row.name, sizeof(row.name), kv_stmt_text(stmt, 1)) ||
	    !kv_strcpy(row.source, sizeof(row.source), kv_stmt_text(stmt, 6)) ||
	    !kv_strcpy(row.fs_type, sizeof(row.fs_type), kv_stmt_text(stmt, 7)) ||
	    !kv_strcpy(row.uuid, sizeof(row.uuid), kv_stmt_text(stmt, 8)))
		return -EUCLEAN;
	/* The file system's name becomes part of messages: what holds for a volume's will
	 * do. */
	if (!name_valid(&row) || !kv_uuid_valid(row.uuid) ||
	    (row.source[0] && !kv_volume_name_valid(row.source)) ||
	    (row.fs_type[0] && !kv_volume_name_valid(row.fs_type)))
		return -EUCLEAN;
	*ret = row;
	return 0;
}

/* Steps a query for one row, gives its snapshot and the lock back. */
static int one_row(struct kv_catalogue *cat, struct kv_stmt *stmt, int r,
		   struct kv_row *ret)
{
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	if (r == 1)
		r = row_from(stmt, ret);
	else if (r == 0)
		r = -ENOENT;
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_find(struct kv_catalogue *cat, const char *name, struct kv_row *ret)
{
	struct kv_stmt *stmt = NULL;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT " ROW_COLUMNS " FROM volume WHERE name = ?", "t", name);
	return one_row(cat, stmt, r, ret);
}

int kv_catalogue_find_first(struct kv_catalogue *cat, const char *name, const char *other,
			    struct kv_row *ret)
{
	struct kv_stmt *stmt = NULL;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT " ROW_COLUMNS " FROM volume WHERE name IN (?1, ?2)"
			" ORDER BY name = ?1 DESC LIMIT 1",
			"tt", name, other);
	return one_row(cat, stmt, r, ret);
}

int kv_catalogue_get(struct kv_catalogue *cat, uint32_t id, struct kv_row *ret)
{
	struct kv_stmt *stmt = NULL;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT " ROW_COLUMNS
			" FROM volume WHERE id = ? AND name IS NOT NULL",
			"i", (int64_t)id);
	return one_row(cat, stmt, r, ret);
}

int kv_catalogue_insert(struct kv_catalogue *cat, const struct kv_row *row)
{
	return kv_catalogue_insert_labelled(cat, row, NULL, 0, NULL);
}

/* Inside a transaction. */
static int insert(struct kv_catalogue *cat, const struct kv_row *row)
{
	int r = kv_db_do(cat->db,
			 "INSERT INTO volume (" ROW_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?)",
			 "itiiiittt", (int64_t)row->id, row->name, (int64_t)row->kind,
			 (int64_t)row->flags, (int64_t)row->bytes, (int64_t)row->created,
			 row->source, row->fs_type, row->uuid);

	return r < 0 ? r : kv_tally_change(cat, NULL, row);
}

int kv_catalogue_insert_labelled(struct kv_catalogue *cat, const struct kv_row *row,
				 const struct kvol_label *labels, uint64_t n,
				 const struct kv_limit *limit)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = insert(cat, row);
	if (r >= 0)
		r = kv_catalogue_put_labels(cat, row->id, labels, n);
	if (r >= 0)
		r = kv_catalogue_within(cat, limit, 0, 0);
	return kv_catalogue_finish(cat, r);
}

int kv_catalogue_insert_ephemeral(struct kv_catalogue *cat, const struct kv_row *row,
				  const char *boot, const struct kv_limit *limit)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = insert(cat, row);
	if (r >= 0)
		r = kv_db_do(cat->db, "INSERT INTO ephemeral VALUES (?, ?)", "it",
			     (int64_t)row->id, boot);
	if (r >= 0)
		r = kv_catalogue_within(cat, limit, 0, 0);
	return kv_catalogue_finish(cat, r);
}

/* A change of one row by id that must hit it. */
static int must_change(int r)
{
	return r == 0 ? -ENOENT : r;
}

int kv_catalogue_resize(struct kv_catalogue *cat, uint32_t id, uint64_t bytes,
			uint32_t flags)
{
	return kv_catalogue_resize_within(cat, id, bytes, flags, NULL);
}

int kv_catalogue_resize_within(struct kv_catalogue *cat, uint32_t id, uint64_t bytes,
			       uint32_t flags, const struct kv_limit *limit)
{
	struct kv_row old, new;
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = kv_tally_row(cat, id, &old);
	if (r == 0)
		r = kv_db_do(cat->db, "UPDATE volume SET bytes = ?, flags = ? WHERE id = ?",
			     "iii", (int64_t)bytes, (int64_t)flags, (int64_t)id);
	if (r >= 0) {
		new = old;
		new.bytes = bytes;
		new.flags = flags;
		r = kv_tally_change(cat, &old, &new);
	}
	if (r >= 0)
		r = kv_catalogue_within(cat, limit, 0, 0);
	return kv_catalogue_finish(cat, r);
}

int kv_catalogue_set_flags(struct kv_catalogue *cat, uint32_t id, uint32_t flags)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = kv_db_do(cat->db,
		     "UPDATE volume SET flags = ? WHERE id = ? AND name IS NOT NULL",
		     "ii", (int64_t)flags, (int64_t)id);
	return kv_catalogue_finish(cat, must_change(r));
}

int kv_catalogue_bury(struct kv_catalogue *cat, uint32_t id)
{
	struct kv_row row;
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = kv_tally_row(cat, id, &row);
	if (r == 0)
		r = kv_db_do(cat->db,
			     "UPDATE volume SET name = NULL, flags = 0 WHERE id = ?", "i",
			     (int64_t)id);
	if (r >= 0)
		r = kv_tally_change(cat, &row, NULL);
	if (r >= 0)
		r = kv_catalogue_drop_labels(cat, id);
	if (r >= 0)
		r = kv_db_do(cat->db, "DELETE FROM ephemeral WHERE volume = ?", "i",
			     (int64_t)id);
	return kv_catalogue_finish(cat, r);
}

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

int kv_catalogue_boot(struct kv_catalogue *cat, uint32_t id, char ret[KV_UUID_LEN + 1])
{
	struct kv_stmt *stmt;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt, "SELECT boot FROM ephemeral WHERE volume = ?",
			"i", (int64_t)id);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	if (r == 1)
		r = kv_stmt_check(stmt, "t") == 0 &&
				    kv_strcpy(ret, KV_UUID_LEN + 1, kv_stmt_text(stmt, 0))
			    ? 0
			    : -EUCLEAN;
	else if (r == 0)
		r = -ENOENT;
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_buried_bytes(struct kv_catalogue *cat, uint32_t id, uint64_t *ret)
{
	struct kv_stmt *stmt;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT bytes FROM volume WHERE id = ? AND name IS NULL", "i",
			(int64_t)id);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	if (r == 1) {
		*ret = (uint64_t)kv_stmt_int(stmt, 0);
		r = kv_stmt_check(stmt, "i") == 0 && *ret <= KV_ROW_BYTES_MAX ? 0 : -EUCLEAN;
	} else if (r == 0) {
		r = -ENOENT;
	}
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_id_used(struct kv_catalogue *cat, uint32_t id)
{
	struct kv_stmt *stmt;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt, "SELECT 1 FROM volume WHERE id = ?", "i",
			(int64_t)id);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}

/* --- Listing --- */

int kv_cursor_open(struct kv_catalogue *cat, uint32_t kind, struct kv_cursor **ret)
{
	const struct kv_filter filter = { .kind = kind };

	return kv_cursor_open_filtered(cat, &filter, ret);
}

/* Two statements: behind a name the index leads to where a page begins; without one no
 * row may be passed over, whatever a damaged name is. */
#define FILTERED(begin)                                                     \
	"SELECT " ROW_COLUMNS " FROM volume WHERE " begin                   \
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
	r = kv_db_open(cat->dir_fd, FILE_NAME, KV_DB_READONLY, &cur->db);
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
	r = row_from(cur->stmt, ret);
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
