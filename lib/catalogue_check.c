// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue as repair sees it: is the database sound, is its tally that of the rows,
 * which ids does it know, and taking the thin pool's word where the two do not belong together.
 *
 * Accepting is one commit. It drops the reservations: they are of another history, and
 * recovery would delete every id in them that has no row, which here may be somebody's
 * volume. Rows and tombstones stay, for somebody meant each of them.
 */
#include <errno.h>

#include "catalogue_db.h"
#include "thin.h"

int kv_catalogue_check(struct kv_catalogue *cat, bool mend)
{
	int r, tally;

	kv_catalogue_lock(cat);
	r = kv_catalogue_unlock(cat, kv_db_check(cat->db, mend));
	/* An index that has errors may hide rows. */
	if (r < 0 || (r == 1 && !mend))
		return r;
	tally = kv_tally_check(cat, mend);
	return tally < 0 ? tally : tally || r;
}

int kv_catalogue_next_id(struct kv_catalogue *cat, uint32_t from, uint32_t *ret_id,
			 bool *ret_named)
{
	struct kv_stmt *stmt;
	int64_t id;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(cat->db, &stmt,
			"SELECT id, name IS NOT NULL FROM volume WHERE id >= ?"
			" ORDER BY id LIMIT 1",
			"i", (int64_t)from);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	if (r == 1) {
		id = kv_stmt_int(stmt, 0);
		r = id > KV_THIN_ID_MAX ? -EUCLEAN : 0;
		if (r == 0) {
			*ret_id = (uint32_t)id;
			*ret_named = kv_stmt_int(stmt, 1);
		}
	} else if (r == 0) {
		r = -ENOENT;
	}
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_reserved(struct kv_catalogue *cat, uint32_t id)
{
	struct kv_stmt *stmt;
	int r;

	kv_catalogue_lock(cat);
	r = kv_db_query(
		cat->db, &stmt,
		"SELECT 1 FROM reservation WHERE first <= ?1 AND first + count > ?1", "i",
		(int64_t)id);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	r = kv_stmt_step(stmt);
	kv_stmt_reset(stmt);
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_accept(struct kv_catalogue *cat, uint64_t epoch, uint64_t snapshots,
			uint32_t next_id)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = kv_db_do(cat->db, "DELETE FROM reservation", "");
	if (r >= 0)
		r = kv_db_do(cat->db,
			     "UPDATE pool SET epoch = ?, snapshots = max(snapshots, ?),"
			     " next_id = max(next_id, ?)",
			     "iii", (int64_t)epoch, (int64_t)snapshots, (int64_t)next_id);
	return kv_catalogue_finish(cat, r == 0 ? -EUCLEAN : r);
}
