// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The thin pool as the verbs see it: may this be done now, and did the kernel really do
 * it.
 *
 * A thin-pool message returns 0 even when its commit failed and the pool went read-only
 * behind it, so every message is followed by reading the status back; nothing is believed
 * before that. Status is asked for without flushing: it never waits for the pool's I/O.
 *
 * A pool without room for metadata refuses every message, also the delete that would make
 * room, and stays so until its table is loaded anew. So deleting does that; then the
 * delete draws on the blocks that the kernel keeps back for such cases, and its commit
 * decides whether the pool can go on.
 *
 * Nothing here keeps state; a crash between message and status is the verbs' business.
 */
#include <errno.h>
#include <inttypes.h>

#include "pool_state.h"

/* Free metadata blocks, by the kernel's count without those that it keeps back, below
 * which a read-only pool is taken to be so for want of them. */
#define METADATA_FULL 16

/* Creations are refused before the pool is full, while deleting still has room to work
 * in. */
static uint64_t data_reserve(uint64_t total_blocks)
{
	return total_blocks / 100 > 1024 ? 1024 : total_blocks / 100 + 1;
}

static uint64_t metadata_reserve(uint64_t total_blocks)
{
	return total_blocks / 32 > 1024 ? 1024 : total_blocks / 32 + 32;
}

int kv_pool_status(const struct kvol_pool *pool, struct kv_pool_status *ret)
{
	char line[KV_THIN_LINE];
	int r;

	r = kv_dm_status(&pool->dm, pool->pool_dm_uuid, 0, line, sizeof(line), NULL);
	return r < 0 ? r : kv_pool_status_parse(line, ret);
}

bool kv_pool_metadata_full(const struct kv_pool_status *st)
{
	return st->mode == KV_POOL_RO && !st->needs_check &&
	       st->metadata_total - st->metadata_used < METADATA_FULL;
}

bool kv_pool_low_data(const struct kv_pool_status *st)
{
	return st->mode == KV_POOL_OUT_OF_DATA ||
	       (st->mode != KV_POOL_FAIL &&
		st->data_total - st->data_used < data_reserve(st->data_total));
}

bool kv_pool_low_metadata(const struct kv_pool_status *st)
{
	return st->mode != KV_POOL_FAIL && st->metadata_total - st->metadata_used <
						   metadata_reserve(st->metadata_total);
}

uint64_t kv_pool_spare_data(const struct kv_pool_status *st)
{
	uint64_t left = st->data_total - st->data_used;
	uint64_t reserve = data_reserve(st->data_total);

	return left > reserve ? left - reserve : 0;
}

uint64_t kv_pool_spare_metadata(const struct kv_pool_status *st)
{
	uint64_t left = st->metadata_total - st->metadata_used;
	uint64_t reserve = metadata_reserve(st->metadata_total);

	return left > reserve ? left - reserve : 0;
}

/* What the state itself forbids, whoever asks; but for deleting in a pool without room
 * for metadata, which is what makes room. */
static int refuse_state(const struct kvol_pool *pool, const struct kv_pool_status *st,
			bool grows, struct kvol_error *e)
{
	const char *name = pool->conf.name;

	if (st->mode == KV_POOL_FAIL)
		return kv_error(e, -EROFS, KVOL_R_POOL_READ_ONLY,
				"pool '%s': the thin pool has "
				"failed: deactivate it and check its metadata",
				name);
	if (st->needs_check)
		return kv_error(e, -EROFS, KVOL_R_POOL_NEEDS_CHECK,
				"pool '%s': the thin pool's "
				"metadata needs a check: deactivate it and repair it",
				name);
	if (kv_pool_metadata_full(st))
		return !grows ? 0
			      : kv_error(e, -ENOSPC, KVOL_R_NO_METADATA_SPACE,
					 "pool '%s': metadata is full "
					 "(%" PRIu64 " of %" PRIu64
					 " blocks): delete volumes or snapshots",
					 name, st->metadata_used, st->metadata_total);
	if (st->mode == KV_POOL_RO)
		return kv_error(e, -EROFS, KVOL_R_POOL_READ_ONLY,
				"pool '%s': the thin pool is "
				"read-only",
				name);
	return 0;
}

bool kv_pool_only_reads(const struct kvol_pool *pool)
{
	return pool->audit || pool->unflushed;
}

int kv_pool_admit(const struct kvol_pool *pool, bool grows, struct kvol_error *e)
{
	struct kv_pool_status st;
	uint64_t free_data, free_metadata;
	int r;

	if (kv_pool_only_reads(pool))
		return kv_error(e, -EROFS, KVOL_R_POOL_READ_ONLY,
				"pool '%s': open for %s", pool->conf.name,
				pool->audit
					? "audit only: catalogue and thin pool do not "
					  "belong together"
					: "reading only: its disk did not flush "
					  "when it was opened");
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	r = refuse_state(pool, &st, grows, e);
	if (r < 0 || !grows)
		return r;
	free_data = st.data_total - st.data_used;
	if (kv_pool_low_data(&st))
		return kv_error(e, -ENOSPC, KVOL_R_NO_DATA_SPACE,
				"pool '%s': %" PRIu64 " of %" PRIu64
				" data blocks are free, below the reserve",
				pool->conf.name, free_data, st.data_total);
	free_metadata = st.metadata_total - st.metadata_used;
	if (kv_pool_low_metadata(&st))
		return kv_error(e, -ENOSPC, KVOL_R_NO_METADATA_SPACE,
				"pool '%s': %" PRIu64 " of %" PRIu64
				" metadata blocks are free, below the reserve",
				pool->conf.name, free_metadata, st.metadata_total);
	return 0;
}

int kv_pool_verify(const struct kvol_pool *pool)
{
	struct kv_pool_status st;
	int r;

	r = kv_pool_status(pool, &st);
	if (r < 0)
		return r;
	return (st.mode == KV_POOL_RW || st.mode == KV_POOL_OUT_OF_DATA) &&
			       !st.needs_check
		       ? 0
		       : -EROFS;
}

/* Our messages are well-formed: what is invalid is what the kernel has read of its
 * metadata, or could not read. */
int kv_pool_send(const struct kvol_pool *pool, const char *msg)
{
	int r = kv_dm_message(&pool->dm, pool->pool_dm_uuid, msg);

	return r == -EINVAL ? -EIO : r;
}

int kv_pool_message(const struct kvol_pool *pool, const char *msg)
{
	int r = kv_pool_send(pool, msg);

	return r < 0 ? r : kv_pool_verify(pool);
}

int kv_pool_error(const struct kvol_pool *pool, int r, const char *step, const char *name,
		  struct kvol_error *e)
{
	struct kv_pool_status st;
	int state;

	/* EOPNOTSUPP is how the kernel says that the pool takes no messages now; a failed
	 * pool refuses everything, with whatever comes to hand. */
	if (kv_pool_status(pool, &st) == 0 &&
	    (r == -EROFS || r == -EOPNOTSUPP || st.mode == KV_POOL_FAIL)) {
		state = refuse_state(pool, &st, true, e);
		if (state < 0)
			return state;
	}
	return kv_error_errno(e, r, "'%s' in pool '%s': %s", name, pool->conf.name, step);
}

int kv_pool_activate_error(const struct kvol_pool *pool, int r, const char *name,
			   struct kvol_error *e)
{
	struct kv_pool_status st;

	if (kv_pool_status(pool, &st) == 0 && st.mode == KV_POOL_FAIL)
		return refuse_state(pool, &st, true, e);
	if (r == -ENODATA)
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"volume '%s': activate: pool '%s' has lost its blocks",
				name, pool->conf.name);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': activate: no /sys to switch discards off in",
				name);
	return kv_error_errno(e, r, "volume '%s': activate", name);
}

int kv_pool_write_error(const struct kvol_pool *pool, int r, const char *name,
			const char *step, struct kvol_error *e)
{
	if (r == -ENOSPC)
		return kv_error(e, r, KVOL_R_NO_DATA_SPACE,
				"volume '%s': %s: pool '%s' is full", name, step,
				pool->conf.name);
	return kv_error_errno(e, r, "volume '%s': %s", name, step);
}
