// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pool's policy in the catalogue: a row of a table of its own, which is not there as
 * long as nothing was set; and the limits that follow from it.
 *
 * A limit is looked at inside the transaction that makes a volume, or makes it larger:
 * two calls at once do not get past it together. Without a policy that costs nothing.
 *
 * A crash leaves each commit whole or absent.
 */
#include <errno.h>
#include <string.h>

#include "catalogue_db.h"

static int read_policy(struct kv_catalogue *cat, struct kv_policy *ret)
{
	struct kv_policy p = { 0 };
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(cat->db, &stmt,
			"SELECT max_volumes, max_published, overcommit, publish_flags"
			" FROM policy",
			"");
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	if (r == 1) {
		r = kv_stmt_check(stmt, "iiii");
		p.max_volumes = (uint64_t)kv_stmt_int(stmt, 0);
		p.max_published = (uint64_t)kv_stmt_int(stmt, 1);
		p.overcommit = (uint64_t)kv_stmt_int(stmt, 2);
		p.publish_flags = (uint64_t)kv_stmt_int(stmt, 3);
	}
	kv_stmt_reset(stmt);
	if (r == 0 && (p.max_volumes > INT64_MAX || p.max_published > INT64_MAX ||
		       p.overcommit > KVOL_OVERCOMMIT_MAX ||
		       p.publish_flags & ~(uint64_t)KV_POLICY_KNOWN))
		r = -EUCLEAN;
	if (r == 0)
		*ret = p;
	return r;
}

int kv_catalogue_policy(struct kv_catalogue *cat, struct kv_policy *ret)
{
	kv_catalogue_lock(cat);
	return kv_catalogue_unlock(cat, read_policy(cat, ret));
}

int kv_catalogue_set_policy(struct kv_catalogue *cat, const struct kv_policy *p,
			    uint32_t which)
{
	struct kv_policy old, new;
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	r = read_policy(cat, &old);
	if (r < 0)
		return kv_catalogue_finish(cat, r);
	new = old;
	if (which & KVOL_SET_MAX_VOLUMES)
		new.max_volumes = p->max_volumes;
	if (which & KVOL_SET_MAX_PUBLISHED)
		new.max_published = p->max_published;
	if (which & KVOL_SET_OVERCOMMIT)
		new.overcommit = p->overcommit;
	if (which & KVOL_SET_PUBLISH_FLAGS)
		new.publish_flags = p->publish_flags;
	if (!memcmp(&old, &new, sizeof(old))) { /* nothing to commit */
		(void)kv_catalogue_finish(cat, -ECANCELED);
		return 0;
	}
	r = kv_db_do(cat->db, "INSERT OR REPLACE INTO policy VALUES (1, ?, ?, ?, ?)",
		     "iiii", (int64_t)new.max_volumes, (int64_t)new.max_published,
		     (int64_t)new.overcommit, (int64_t)new.publish_flags);
	return kv_catalogue_finish(cat, r);
}

struct sums {
	uint64_t n;
	uint64_t bytes;	   /* of volumes */
	uint64_t promised; /* the same, by what each counts */
};

/* Cut to what an integer holds. */
static uint64_t bytes_of(uint64_t pages)
{
	return pages > INT64_MAX / KV_TALLY_PAGE ? INT64_MAX : pages * KV_TALLY_PAGE;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

static uint64_t percent_of(uint64_t bytes, uint64_t percent)
{
	uint64_t whole;

	if (__builtin_mul_overflow(bytes / 100, percent, &whole) || whole > INT64_MAX)
		return INT64_MAX;
	return sum_of(whole, bytes % 100 * percent / 100);
}

/* A thick volume has whole blocks of the pool. */
static int provisioned(struct kv_catalogue *cat, const struct kv_limit *limit,
		       struct sums *ret)
{
	uint64_t percent = limit && limit->thick_percent ? limit->thick_percent : 100;
	struct kv_tally t;
	int r = kv_tally_read(cat, &t);

	if (r < 0)
		return r;
	ret->n = t.volumes + t.snapshots;
	ret->bytes = bytes_of(t.pages);
	ret->promised = sum_of(bytes_of(t.pages - t.thick_pages),
			       percent_of(t.thick_blocks * t.block_bytes, percent));
	return 0;
}

int kv_catalogue_provisioned(struct kv_catalogue *cat, const struct kv_limit *limit,
			     uint64_t *ret_bytes, uint64_t *ret_promised)
{
	struct sums sums;
	int r;

	kv_catalogue_lock(cat);
	r = provisioned(cat, limit, &sums);
	if (r == 0) {
		*ret_bytes = sums.bytes;
		*ret_promised = sums.promised;
	}
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_within(struct kv_catalogue *cat, const struct kv_limit *limit,
			uint64_t more_volumes, uint64_t more_bytes)
{
	struct sums sums;
	int r;

	if (!limit || (!limit->volumes && !limit->bytes))
		return 0;
	r = provisioned(cat, limit, &sums);
	if (r < 0)
		return r;
	if (limit->volumes && sums.n + more_volumes > limit->volumes)
		return -EDQUOT;
	return limit->bytes && sums.promised + more_bytes > limit->bytes ? -EDQUOT : 0;
}

int kv_catalogue_admits(struct kv_catalogue *cat, const struct kv_limit *limit,
			uint64_t more_volumes, uint64_t more_bytes)
{
	kv_catalogue_lock(cat);
	return kv_catalogue_unlock(
		cat, kv_catalogue_within(cat, limit, more_volumes, more_bytes));
}
