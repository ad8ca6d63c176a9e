// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reservations: batches of thin ids, set aside in the catalogue for one open handle at a
 * time.
 *
 * Ids ascend and are used again only after 2^24 others; a batch never overlaps a row, a
 * tombstone or another batch. Reserved ids count against max_volumes, so that the limit
 * is never overrun. The kernel's 24-bit snapshot counter is provided for here as well:
 * what is set aside counts as taken until it is given back.
 *
 * Each function is one commit; a crash leaves the batch, and recovery asks its owner's
 * lock.
 */
#include <errno.h>

#include "catalogue_db.h"
#include "thin.h"

/* One integer by a query; inside a transaction. A sum over damaged rows may be a floating
 * point number: that is refused. */
static int get_int(struct kv_db *db, const char *sql, const char *types, int64_t a,
		   int64_t b, int64_t *ret)
{
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(db, &stmt, sql, types, a, b);
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	if (r == 1 && kv_stmt_check(stmt, "i") < 0)
		r = -EUCLEAN;
	if (r == 1)
		*ret = kv_stmt_int(stmt, 0);
	kv_stmt_reset(stmt);
	return r;
}

/*
 * The next run of free ids. They ascend, so that an id is reused only after 2^24 others;
 * then the search steps over whatever rows and reservations still stand in the way.
 */
static int free_run(struct kv_db *db, uint32_t count, uint32_t *ret_first,
		    uint32_t *ret_count)
{
	int64_t next, taken, end;
	int r;

	r = get_int(db, "SELECT next_id FROM pool", "", 0, 0, &next);
	if (r != 1)
		return r < 0 ? r : -EUCLEAN;
	for (unsigned wraps = 0;;) {
		if (next < 0 || next > KV_THIN_ID_MAX) {
			if (wraps++)
				return -EDQUOT;
			next = 0;
		}
		r = get_int(db,
			    "SELECT coalesce(max(first + count), 0) FROM reservation"
			    " WHERE first <= ?1 AND first + count > ?1",
			    "i", next, 0, &end);
		if (r < 0)
			return r;
		if (r == 1 && end > next) {
			next = end;
			continue;
		}
		r = get_int(db, "SELECT 1 FROM volume WHERE id = ?", "i", next, 0,
			    &taken);
		if (r < 0)
			return r;
		if (r == 0)
			break;
		next++;
	}
	end = next + count;
	if (end > (int64_t)KV_THIN_ID_MAX + 1)
		end = (int64_t)KV_THIN_ID_MAX + 1;
	r = get_int(
		db,
		"SELECT coalesce(min(x), 0) FROM ("
		"SELECT min(id) AS x FROM volume WHERE id > ?1 AND id < ?2"
		" UNION ALL SELECT min(first) FROM reservation WHERE first > ?1 AND first < ?2)",
		"ii", next, end, &taken);
	if (r < 0)
		return r;
	if (r == 1 && taken > next)
		end = taken;
	*ret_first = (uint32_t)next;
	*ret_count = (uint32_t)(end - next);
	return 0;
}

/* How many more there may be. Reserved ids count as used, so the limit is never overrun;
 * near it batches shrink, so that one handle's batch does not starve the others. */
static int room(struct kv_catalogue *cat, uint32_t *count)
{
	int64_t left = 0, used, n;
	struct kv_tally tally;
	int r;

	r = kv_tally_read(cat, &tally);
	if (r == 0)
		r = get_int(cat->db,
			    "SELECT max_volumes - (SELECT coalesce(sum(count), 0)"
			    " FROM reservation) FROM pool",
			    "", 0, 0, &left);
	if (r < 0)
		return r;
	used = (int64_t)(tally.volumes + tally.snapshots);
	if (left <= used)
		return -EDQUOT;
	left -= used;
	n = left / 8 > 1 ? left / 8 : 1;
	if (*count > n)
		*count = (uint32_t)n;
	return 0;
}

static int reserve(struct kv_catalogue *cat, uint64_t owner, uint32_t count,
		   struct kv_reservation *ret, uint64_t *ret_epoch)
{
	int64_t row, epoch, taken;
	struct kv_db *db = cat->db;
	int r;

	r = room(cat, &count);
	if (r == 0)
		r = free_run(db, count, &ret->first, &ret->count);
	if (r < 0)
		return r;
	r = get_int(db, "SELECT snapshots FROM pool", "", 0, 0, &taken);
	if (r != 1)
		return r < 0 ? r : -EUCLEAN;
	ret->taken = taken < 0 ? UINT64_MAX : (uint64_t)taken;
	ret->snapshots = ret->count;
	if (taken < 0 || (uint64_t)taken + ret->count > KV_SNAPSHOTS_MAX)
		ret->snapshots = 0;
	ret->owner = owner;
	r = kv_db_do(db, "INSERT INTO reservation (owner, first, count) VALUES (?, ?, ?)",
		     "iii", (int64_t)owner, (int64_t)ret->first, (int64_t)ret->count);
	if (r < 0)
		return r;
	/* No pool gets there by itself, and SQLite would go on with a floating point
	 * number. */
	r = kv_db_do(
		db,
		"UPDATE pool SET epoch = epoch + 1, next_id = ?, snapshots = snapshots + ?"
		" WHERE epoch < 9223372036854775807",
		"ii", (int64_t)ret->first + ret->count, (int64_t)ret->snapshots);
	if (r <= 0)
		return r < 0 ? r : -EUCLEAN;
	r = get_int(db, "SELECT max(row) FROM reservation WHERE owner = ?", "i",
		    (int64_t)owner, 0, &row);
	if (r == 1)
		r = get_int(db, "SELECT epoch FROM pool", "", 0, 0, &epoch);
	if (r != 1)
		return r < 0 ? r : -EUCLEAN;
	ret->row = row;
	*ret_epoch = (uint64_t)epoch;
	return 0;
}

/* Inside a transaction. */
static int drop_reservation(struct kv_db *db, int64_t row, uint32_t snapshots_left)
{
	int r;

	r = kv_db_do(db, "DELETE FROM reservation WHERE row = ?", "i", row);
	if (r > 0 && snapshots_left > 0)
		r = kv_db_do(db, "UPDATE pool SET snapshots = max(snapshots - ?, 0)", "i",
			     (int64_t)snapshots_left);
	return r;
}

int kv_catalogue_reserve(struct kv_catalogue *cat, uint64_t owner, uint32_t count,
			 const struct kv_finished *finished, unsigned n_finished,
			 struct kv_reservation *ret, uint64_t *ret_epoch)
{
	struct kv_reservation res = { 0 };
	uint64_t epoch = 0;
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < n_finished && r >= 0; i++)
		r = drop_reservation(cat->db, finished[i].row,
				     finished[i].snapshots_left);
	if (r >= 0)
		r = reserve(cat, owner, count, &res, &epoch);
	r = kv_catalogue_finish(cat, r);
	if (r < 0)
		return r;
	*ret = res;
	*ret_epoch = epoch;
	return 0;
}

int kv_catalogue_release(struct kv_catalogue *cat, const struct kv_reservation *res,
			 uint32_t unused, uint32_t snapshots_left)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = drop_reservation(cat->db, res->row, snapshots_left);
	/* Ids that were never handed out go back, if nobody reserved behind them. */
	if (r > 0 && unused > 0)
		r = kv_db_do(cat->db,
			     "UPDATE pool SET next_id = next_id - ? WHERE next_id = ?",
			     "ii", (int64_t)unused, (int64_t)res->first + res->count);
	return kv_catalogue_finish(cat, r);
}

int kv_catalogue_count_snapshots(struct kv_catalogue *cat, uint64_t taken)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = kv_db_do(cat->db, "UPDATE pool SET snapshots = max(snapshots, ?)", "i",
		     (int64_t)taken);
	return kv_catalogue_finish(cat, r);
}

int kv_catalogue_next_reservation(struct kv_catalogue *cat, int64_t after,
				  struct kv_reservation *ret)
{
	struct kv_stmt *stmt;
	int64_t row, owner, first, count;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT row, owner, first, count FROM reservation"
			" WHERE row > ? ORDER BY row LIMIT 1",
			"i", after);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	if (r == 1) {
		row = kv_stmt_int(stmt, 0);
		owner = kv_stmt_int(stmt, 1);
		first = kv_stmt_int(stmt, 2);
		count = kv_stmt_int(stmt, 3);
		r = kv_stmt_check(stmt, "iiii");
		/* In a damaged tree the next row may be one before: the caller would go
		 * round for ever. */
		if (r < 0 || row <= after || owner < 0 || owner >= INT64_C(1) << 40 ||
		    first < 0 || first > KV_THIN_ID_MAX || count < 0 ||
		    count > KV_RESERVATION_MAX ||
		    count > (int64_t)KV_THIN_ID_MAX + 1 - first) {
			r = -EUCLEAN;
		} else {
			ret->row = row;
			ret->owner = (uint64_t)owner;
			ret->first = (uint32_t)first;
			ret->count = (uint32_t)count;
			r = 0;
		}
	} else if (r == 0) {
		r = -ENOENT;
	}
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}
