// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thin ids in batches. A batch is one catalogue commit (range, owner, next epoch) and
 * then one set_transaction_id to the same epoch, under the pool's message lock. The thin
 * pool's transaction id so always equals the catalogue's epoch, or is one behind it when
 * a crash came in between; any other difference means that the two do not belong
 * together.
 *
 * An id is free to use while its reservation stands and no row names it. A crash leaves
 * the reservation; its owner's lock byte is free then, and recovery deletes every id in
 * it that has no row. Closing a handle gives back the ids that it never handed out.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "pool_state.h"

#define BATCH	     KV_RESERVATION_MAX
#define FINISHED_MAX 16

int kv_ids_init(struct kvol_pool *pool)
{
	uint64_t owner;
	int r;

	for (;;) {
		if (getrandom(&owner, sizeof(owner), 0) != sizeof(owner))
			return -EIO;
		owner &= (UINT64_C(1) << 40) - 1;
		r = kv_lock_exclusive(pool->lock_fd, KV_LOCK_OWNER(owner), 0);
		if (r != -EBUSY) /* else somebody drew the same number */
			break;
	}
	pool->ids.owner = owner;
	pool->ids.taken = pool->conf.snapshots;
	return r;
}

int kv_ids_settle_epoch(const struct kvol_pool *pool, bool *ret_known)
{
	struct kv_pool_status st;
	struct kv_pool_row row;
	char msg[KV_THIN_LINE];
	int r;

	*ret_known = false;
	r = kv_catalogue_pool(pool->cat, &row);
	if (r < 0)
		return r;
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return r;
	*ret_known = true;
	if (st.mode == KV_POOL_FAIL || st.transaction_id == row.epoch)
		return 0; /* a failed pool tells nothing; it refuses changes itself */
	if (st.transaction_id + 1 != row.epoch)
		return 1;
	r = kv_thin_msg_transaction(msg, st.transaction_id, row.epoch);
	return r < 0 ? r : kv_pool_message(pool, msg);
}

static uint32_t snapshots_left(const struct kv_range *x)
{
	return x->res.snapshots > x->snapshots ? x->res.snapshots - x->snapshots : 0;
}

/* Ranges that nothing can come back to; at most FINISHED_MAX at a time. */
static unsigned finished(const struct kv_ids *ids, struct kv_finished ret[FINISHED_MAX])
{
	unsigned n = 0;

	for (const struct kv_range *x = ids->ranges; x && n < FINISHED_MAX; x = x->link)
		if (x->next == x->res.count && !x->in_flight && !x->dirty)
			ret[n++] = (struct kv_finished){ x->res.row, snapshots_left(x) };
	return n;
}

static void drop_ranges(struct kv_ids *ids, const struct kv_finished *done, unsigned n)
{
	for (struct kv_range **at = &ids->ranges, *x; (x = *at);) {
		bool gone = false;

		for (unsigned i = 0; i < n; i++)
			gone = gone || done[i].row == x->res.row;
		if (gone) {
			*at = x->link;
			free(x);
		} else {
			at = &x->link;
		}
	}
}

/* The new range is in memory before its epoch is settled: if that fails, nothing is lost.
 */
static int reserve(struct kvol_pool *pool, const char *name, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock message = KV_LOCK_NONE;
	_cleanup_free_ struct kv_range *range = calloc(1, sizeof(*range));
	struct kv_finished done[FINISHED_MAX];
	char msg[KV_THIN_LINE];
	uint64_t epoch;
	unsigned n;
	bool known;
	int r;

	if (!range)
		return kv_error_errno(e, -ENOMEM, "volume '%s'", name);
	r = kv_lock_take(pool->dir_fd, KV_LOCK_MESSAGE, kv_deadline(KV_LOCK_WAIT_MS),
			 &message);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': wait for another reservation",
				      name);
	r = kv_ids_settle_epoch(pool, &known);
	if (r > 0)
		return kv_error(e, -EROFS, KVOL_R_POOL_READ_ONLY,
				"pool '%s': the catalogue and the "
				"thin pool disagree on their epoch",
				pool->conf.name);
	if (r < 0)
		return kv_pool_error(pool, r, "settle the epoch", name, e);

	n = finished(&pool->ids, done);
	r = kv_catalogue_reserve(pool->cat, pool->ids.owner, BATCH, done, n, &range->res,
				 &epoch);
	if (r == -EDQUOT) /* and not -ENOSPC, which is the catalogue's disk */
		return kv_error(e, -ENOSPC, KVOL_R_LIMIT,
				"volume '%s': pool '%s' has reached its "
				"limit of %llu volumes",
				name, pool->conf.name,
				(unsigned long long)pool->conf.max_volumes);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': reserve ids in the catalogue",
				      name);
	pool->ids.taken = range->res.taken;
	drop_ranges(&pool->ids, done, n);
	range->link = pool->ids.ranges;
	pool->ids.ranges = range;
	range = NULL;

	r = kv_thin_msg_transaction(msg, epoch - 1, epoch);
	if (r == 0)
		r = kv_pool_message(pool, msg);
	return r < 0 ? kv_pool_error(pool, r, "set the epoch", name, e) : 0;
}

static struct kv_range *usable(const struct kv_ids *ids, bool for_snapshot)
{
	for (struct kv_range *x = ids->ranges; x; x = x->link)
		if (x->next < x->res.count && (!for_snapshot || x->res.snapshots))
			return x;
	return NULL;
}

void kv_ids_counted(struct kvol_pool *pool, uint64_t snapshots)
{
	pthread_mutex_lock(&pool->ids.mutex);
	pool->ids.taken = snapshots;
	pthread_mutex_unlock(&pool->ids.mutex);
}

bool kv_ids_plenty(struct kvol_pool *pool)
{
	uint64_t taken;

	pthread_mutex_lock(&pool->ids.mutex);
	taken = pool->ids.taken;
	pthread_mutex_unlock(&pool->ids.mutex);
	return taken < KV_SNAPSHOTS_MAX - KV_SNAPSHOTS_SPARE;
}

int kv_ids_take(struct kvol_pool *pool, bool for_snapshot, const char *name,
		struct kv_id *ret, struct kvol_error *e)
{
	struct kv_range *range;
	int r = 0;

	pthread_mutex_lock(&pool->ids.mutex);
	range = usable(&pool->ids, for_snapshot);
	if (!range) {
		r = reserve(pool, name, e);
		range = r < 0 ? NULL : usable(&pool->ids, for_snapshot);
	}
	if (range) {
		ret->range = range;
		ret->id = range->res.first + range->next++;
		range->snapshots += for_snapshot;
		range->in_flight++;
	} else if (r == 0) {
		r = kv_error(e, -ENOSPC, KVOL_R_LIMIT,
			     "snapshot '%s': pool '%s' has taken all the "
			     "snapshots that the kernel can count",
			     name, pool->conf.name);
	}
	pthread_mutex_unlock(&pool->ids.mutex);
	return r;
}

void kv_ids_done(struct kvol_pool *pool, struct kv_id *id, bool dirty)
{
	pthread_mutex_lock(&pool->ids.mutex);
	id->range->in_flight--;
	id->range->dirty = id->range->dirty || dirty;
	pthread_mutex_unlock(&pool->ids.mutex);
}

void kv_ids_free(struct kvol_pool *pool)
{
	struct kv_range *x;

	while ((x = pool->ids.ranges)) {
		/* What an undo left behind is for recovery, which finds the reservation.
		 */
		if (!x->dirty && !x->in_flight)
			(void)kv_catalogue_release(pool->cat, &x->res,
						   x->res.count - x->next,
						   snapshots_left(x));
		pool->ids.ranges = x->link;
		free(x);
	}
}
