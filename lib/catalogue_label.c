// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Labels in the catalogue: rows of a table of their own, by the volume's id; the pool's
 * are under an id that no volume has.
 *
 * All of a call's are one commit, and those of a new volume are in the commit that makes
 * it. They go with the commit that makes its row a tombstone, so that an id that is used
 * again has none. What they may take of the partition is bounded: a pool must never lack
 * the room to make, or to delete, a volume because of them.
 *
 * A crash leaves each commit whole or absent.
 */
#include <errno.h>

#include "catalogue_db.h"

#define POOL_ITSELF ((int64_t)-1)

/* --- Setting ---------------------------------------------------------------------- */

/* 1: it is so already. */
static int is_set(struct kv_catalogue *cat, int64_t object, const struct kvol_label *label)
{
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(cat->db, &stmt,
			"SELECT 1 FROM label WHERE volume = ? AND key = ? AND value = ?",
			"itt", object, label->key, label->value);
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	kv_stmt_reset(stmt);
	return r;
}

/* How many it changed. */
static int put(struct kv_catalogue *cat, int64_t object, const struct kvol_label *label)
{
	int r;

	if (!label->value)
		return kv_db_do(cat->db, "DELETE FROM label WHERE volume = ? AND key = ?",
				"it", object, label->key);
	r = is_set(cat, object, label);
	if (r != 0)
		return r < 0 ? r : 0;
	return kv_db_do(cat->db, "INSERT OR REPLACE INTO label VALUES (?, ?, ?)", "itt",
			object, label->key, label->value);
}

/* The catalogue has 32 MiB and 1 KiB for each volume (layout.c): what lies in the
 * database must leave half of that before more labels come to it. */
static int check_limits(struct kv_catalogue *cat, int64_t object)
{
	struct kv_stmt *stmt;
	int64_t n, bytes, most;
	int r;

	r = kv_db_query(cat->db, &stmt,
			"SELECT (SELECT count(*) FROM label WHERE volume = ?),"
			" 4096 * ((SELECT page_count FROM pragma_page_count)"
			"  - (SELECT freelist_count FROM pragma_freelist_count)),"
			" (32 << 20) / 2 + 1024 / 2 * max_volumes FROM pool",
			"i", object);
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	n = kv_stmt_int(stmt, 0);
	bytes = kv_stmt_int(stmt, 1);
	most = kv_stmt_int(stmt, 2);
	kv_stmt_reset(stmt);
	if (r <= 0)
		return r < 0 ? r : -EUCLEAN;
	if (n > KVOL_LABELS_MAX)
		return -EDQUOT;
	return bytes > most ? -EFBIG : 0;
}

int kv_catalogue_put_labels(struct kv_catalogue *cat, int64_t object,
			    const struct kvol_label *labels, uint64_t n)
{
	bool sets = false;
	int changed = 0, r;

	for (uint64_t i = 0; i < n; i++) {
		r = put(cat, object, &labels[i]);
		if (r < 0)
			return r;
		changed += r;
		sets = sets || labels[i].value;
	}
	r = changed && sets ? check_limits(cat, object) : 0;
	return r < 0 ? r : changed;
}

int kv_catalogue_drop_labels(struct kv_catalogue *cat, uint32_t id)
{
	int r = kv_db_do(cat->db, "DELETE FROM label WHERE volume = ?", "i", (int64_t)id);

	return r < 0 ? r : 0;
}

static int find_object(struct kv_catalogue *cat, const char *name, int64_t *ret)
{
	struct kv_stmt *stmt;
	int r;

	*ret = POOL_ITSELF;
	if (!name)
		return 0;
	r = kv_db_query(cat->db, &stmt, "SELECT id FROM volume WHERE name = ?", "t",
			name);
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	*ret = kv_stmt_int(stmt, 0);
	kv_stmt_reset(stmt);
	return r == 0 ? -ENOENT : r < 0 ? r : 0;
}

int kv_catalogue_label(struct kv_catalogue *cat, const char *name,
		       const struct kvol_label *labels, uint64_t n)
{
	int64_t object;
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = find_object(cat, name, &object);
	if (r == 0)
		r = kv_catalogue_put_labels(cat, object, labels, n);
	if (r == 0) { /* nothing to commit */
		(void)kv_catalogue_finish(cat, -ECANCELED);
		return 0;
	}
	return kv_catalogue_finish(cat, r);
}

/* --- Reading ---------------------------------------------------------------------- */

static int take_row(struct kv_stmt *stmt, struct kv_labels *set)
{
	const char *key, *value;

	if (kv_stmt_check(stmt, "nn") < 0)
		return -EUCLEAN;
	key = kv_stmt_text(stmt, 0);
	value = kv_stmt_text(stmt, 1);
	if (!key[0] && !value[0])
		return 0;
	if (!kv_label_key_valid(key) || !kv_label_value_valid(value))
		return -EUCLEAN;
	return kv_labels_add(set, key, value);
}

static int query(struct kv_catalogue *cat, const char *name, struct kv_stmt **ret)
{
	if (!name)
		return kv_db_query(cat->db, ret,
				   "SELECT key, value FROM label WHERE volume = -1"
				   " ORDER BY key LIMIT 65",
				   "");
	/* A row without a label for a volume that has none. */
	return kv_db_query(cat->db, ret,
			   "SELECT l.key, l.value FROM volume v LEFT JOIN label l"
			   " ON l.volume = v.id WHERE v.name = ? ORDER BY l.key LIMIT 65",
			   "t", name);
}

int kv_catalogue_labels(struct kv_catalogue *cat, const char *name,
			struct kv_labels *ret)
{
	_cleanup_labels_ struct kv_labels set = { 0 };
	struct kv_stmt *stmt;
	bool there = !name;
	int r;

	kv_catalogue_lock(cat);
	r = query(cat, name, &stmt);
	if (r < 0)
		return kv_catalogue_unlock(cat, r);
	while ((r = kv_stmt_step(stmt)) == 1) {
		there = true;
		r = take_row(stmt, &set);
		if (r < 0)
			break;
	}
	kv_stmt_reset(stmt);
	kv_catalogue_unlock(cat, 0);
	if (r == 0)
		r = there ? kv_labels_finish(&set) : -ENOENT;
	if (r < 0)
		return r;
	*ret = set;
	set = (struct kv_labels){ 0 };
	return 0;
}
