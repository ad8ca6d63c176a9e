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

/* --- Making, opening, closing ----------------------------------------------------- */

int kv_catalogue_create(int dir_fd, const struct kv_pool_row *pool)
{
	struct kv_db *db;
	int r;

	r = kv_db_open(dir_fd, KV_CATALOGUE_FILE, KV_DB_CREATE, &db);
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
	r = kv_db_open(dir_fd, KV_CATALOGUE_FILE, 0, &cat->db);
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

/* --- The pool --------------------------------------------------------------------- */

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

/* --- Rows ------------------------------------------------------------------------- */

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

int kv_row_read(struct kv_stmt *stmt, struct kv_row *ret)
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
		r = kv_row_read(stmt, ret);
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
			"SELECT " KV_SQL_ROW " FROM volume WHERE name = ?", "t", name);
	return one_row(cat, stmt, r, ret);
}

int kv_catalogue_find_first(struct kv_catalogue *cat, const char *name, const char *other,
			    struct kv_row *ret)
{
	struct kv_stmt *stmt = NULL;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT " KV_SQL_ROW " FROM volume WHERE name IN (?1, ?2)"
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
			"SELECT " KV_SQL_ROW
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
			 "INSERT INTO volume (" KV_SQL_ROW ") VALUES (?,?,?,?,?,?,?,?,?)",
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
