// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pool's metadata snapshot: mappings that stand still while volumes are written to.
 *
 * The kernel has one in a pool, and does not count who wants it. It is taken under a lock
 * of the pool's, and let go under the same. Whoever finds one while he has the lock finds
 * what a dead process left, and lets it go: the next one who takes it, or recovery. While
 * it is held, what changes in the metadata needs new blocks; so not below the reserve, and
 * not for longer than a walk may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "blockdev.h"
#include "metasnap.h"

/* Lets one go that nobody holds any more; under the lock. */
static int let_go_stale(const struct kvol_pool *pool)
{
	struct kv_pool_status st;
	int r = kv_pool_status(pool, &st);

	if (r < 0 || !st.held_root)
		return r;
	return kv_pool_message(pool, "release_metadata_snap");
}

void kv_metasnap_recover(const struct kvol_pool *pool)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	int r = kv_lock_take(pool->dir_fd, KV_LOCK_SNAPSHOT, 0, &lock);

	if (r == -EBUSY) /* somebody uses it */
		return;
	if (r == 0)
		r = let_go_stale(pool);
	if (r < 0)
		kv_log(&pool->log, LOG_WARNING,
		       "pool '%s': its metadata snapshot could not be let go now (%s)",
		       pool->conf.name, strerror(-r));
}

static int open_held(struct kv_metasnap *m)
{
	struct kv_pool_status st;
	int r = kv_pool_status(m->pool, &st);

	if (r < 0)
		return r;
	m->held = st.held_root;
	m->data_blocks = st.data_total;
	m->fd = kv_blockdev_open(m->pool->stack.metadata, O_RDONLY | O_DIRECT);
	return m->fd < 0 ? m->fd : 0;
}

int kv_metasnap_take(const struct kvol_pool *pool, int64_t deadline, int64_t for_ms,
		     struct kv_metasnap *ret)
{
	int r;

	*ret = KV_METASNAP_NONE;
	r = kv_lock_take(pool->dir_fd, KV_LOCK_SNAPSHOT, deadline, &ret->lock);
	if (r < 0)
		return r;
	r = let_go_stale(pool);
	if (r == 0)
		r = kv_pool_message(pool, "reserve_metadata_snap");
	if (r < 0) {
		kv_lock_release(&ret->lock);
		return r;
	}
	ret->pool = pool;
	ret->deadline = kv_deadline(for_ms);
	r = open_held(ret);
	if (r < 0)
		(void)kv_metasnap_let_go(ret);
	return r;
}

int kv_metasnap_let_go(struct kv_metasnap *m)
{
	int r;

	if (!m->pool)
		return 0;
	m->fd = kv_close(m->fd);
	r = kv_pool_message(m->pool, "release_metadata_snap");
	kv_lock_release(&m->lock);
	m->pool = NULL;
	return r;
}

int kv_metasnap_read(void *arg, uint64_t block, void *buf)
{
	const struct kv_metasnap *m = arg;
	int r;

	if (kv_expired(m->deadline))
		return -ETIMEDOUT;
	r = kv_pread_full(m->fd, buf, KV_THINMETA_BLOCK, block * KV_THINMETA_BLOCK);
	return r == -ENODATA ? -EUCLEAN : r; /* a number beyond the device */
}
