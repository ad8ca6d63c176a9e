// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a volume alone has in the pool, and what it shares: the pool's mappings are
 * compared (thinusage.c), in a metadata snapshot, which stands still while volumes are
 * written to.
 *
 * The kernel has one metadata snapshot in a pool, and does not count who wants it. It is
 * taken under a lock of the pool's, and let go under the same. Whoever finds one while he
 * has the lock finds what a dead process left, and lets it go: the next call here, or
 * recovery. While it is held, what changes in the metadata needs new blocks; so not below
 * the reserve, and not for longer than a walk may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "blockdev.h"
#include "thinusage.h"
#include "verb.h"

/* For all that is read of the metadata; waiting for others may take as long. */
#define USAGE_MS (2 * 60 * 1000)

struct reader {
	int fd;
	int64_t deadline;
};

static int read_block(void *arg, uint64_t block, void *buf)
{
	const struct reader *reader = arg;

	if (kv_expired(reader->deadline))
		return -ETIMEDOUT;
	return kv_pread_full(reader->fd, buf, KV_THINMETA_BLOCK,
			     block * KV_THINMETA_BLOCK);
}

/* Lets one go that nobody holds any more; under the lock. */
static int let_go(const struct kvol_pool *pool)
{
	struct kv_pool_status st;
	int r = kv_pool_status(pool, &st);

	if (r < 0 || !st.held_root)
		return r;
	return kv_pool_message(pool, "release_metadata_snap");
}

void kv_usage_recover(const struct kvol_pool *pool)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	int r = kv_lock_take(pool->dir_fd, KV_LOCK_SNAPSHOT, 0, &lock);

	if (r == -EBUSY) /* somebody uses it */
		return;
	if (r == 0)
		r = let_go(pool);
	if (r < 0)
		kv_log(&pool->log, LOG_WARNING,
		       "pool '%s': its metadata snapshot could not be let go now (%s)",
		       pool->conf.name, strerror(-r));
}

static int walk(const struct kvol_pool *pool, uint32_t id, struct kv_thinusage *ret)
{
	_cleanup_close_ int fd = -1;
	struct kv_pool_status st;
	struct reader reader;
	int r;

	r = kv_pool_status(pool, &st);
	if (r == 0)
		r = fd = kv_blockdev_open(pool->stack.metadata, O_RDONLY | O_DIRECT);
	if (r < 0)
		return r;
	reader = (struct reader){ fd, kv_deadline(USAGE_MS) };
	return kv_thinusage(read_block, &reader, st.held_root, st.data_total, id, ret);
}

/* Under the lock, from taking it to letting it go. */
static int look(const struct kvol_pool *pool, uint32_t id, struct kv_thinusage *ret)
{
	int r, s;

	r = let_go(pool);
	if (r == 0)
		r = kv_pool_message(pool, "reserve_metadata_snap");
	if (r < 0)
		return r;
	r = walk(pool, id, ret);
	s = kv_pool_message(pool, "release_metadata_snap");
	return r < 0 ? r : s;
}

static int admit(const struct kvol_pool *pool, struct kvol_error *e)
{
	struct kv_pool_status st;
	int r = kv_pool_admit(pool, false, e);

	if (r < 0)
		return r;
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	return !kv_pool_low_metadata(&st)
		       ? 0
		       : kv_error(e, -ENOSPC, KVOL_R_NO_METADATA_SPACE,
				  "pool '%s': free metadata blocks are below the reserve",
				  pool->conf.name);
}

/* The name may be given to another volume at any time, but an id is not. */
static int find_and_look(struct kvol_pool *pool, const char *name,
			 struct kv_thinusage *ret, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;
	int r;

	r = kv_lock_take(pool->dir_fd, KV_LOCK_SNAPSHOT, kv_deadline(USAGE_MS), &lock);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': wait for another look", name);
	r = kv_volume_find(pool, name, "volume", &row, e);
	if (r < 0)
		return r;
	r = look(pool, row.id, ret);
	if (r == -ENODATA) /* deleted just now; or lost, which a publish tells */
		return kv_error(e, -ENOENT, KVOL_R_NOT_FOUND,
				"volume '%s': has no blocks in pool '%s'", name,
				pool->conf.name);
	return r < 0 ? kv_pool_error(pool, r, "read the pool's metadata", name, e) : 0;
}

int kvol_usage(struct kvol_pool *pool, const char *name, struct kvol_usage_info *ret_info,
	       struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_usage_info info = { 0 };
	struct kv_thinusage usage;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0)
		r = kv_info_check(ret_info, "kvol_usage_info", reterr);
	if (r == 0)
		r = admit(pool, reterr);
	if (r == 0)
		r = find_and_look(pool, name, &usage, reterr);
	if (r < 0)
		return r;
	info.exclusive = usage.exclusive * pool->conf.block_bytes;
	info.shared = usage.shared * pool->conf.block_bytes;
	kv_info_out(ret_info, &info, sizeof(info));
	return 0;
}
