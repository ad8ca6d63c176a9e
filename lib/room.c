// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Deleting from a pool whose metadata is full. Deleting is what makes room, and the
 * kernel refuses it there, as it refuses every message, until its table is loaded again:
 * then it tries anew whether the pool can be written.
 *
 * Until the message has come through, whoever writes to a volume takes the blocks that
 * the delete itself needs. When none is left for the commit, the kernel fails the whole
 * pool, and with it every volume that is published. So the pool's volumes are held for
 * as long as that takes, a few milliseconds: suspended without flush or freeze, which
 * makes their I/O wait. Those that somebody else has locked, for a snapshot perhaps, are
 * not ours to resume, and are left out.
 *
 * Who is killed in between leaves volumes suspended, in the slots of unfinished.c: the
 * next call of anybody resumes them, as after a snapshot.
 */
#include <errno.h>
#include <stdlib.h>

#include "pool_state.h"
#include "thin.h"
#include "unfinished.h"

/* Half of the slots: snapshots want some, too. */
#define HELD_MAX (KV_SUSPEND_SLOTS / 2)

struct held {
	const struct kvol_pool *pool;
	unsigned n;
	struct {
		struct kv_lock lock;
		struct kv_suspend suspend;
		struct kv_dm_id id;
	} of[HELD_MAX];
};

static bool runs(const struct kvol_pool *pool, const char *uuid)
{
	struct kv_dm_info info;

	return kv_dm_info(&pool->dm, uuid, &info) == 0 && info.live_table &&
	       !info.suspended;
}

/* What cannot be held is not: the delete is tried all the same. */
static int hold(const struct kv_dm_id *id, dev_t dev, void *arg)
{
	struct held *held = arg;
	const struct kvol_pool *pool = held->pool;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_suspend suspend;
	enum kv_face face;
	uint32_t number;
	int r;

	(void)dev;
	if (held->n == HELD_MAX)
		return 1;
	if (!kv_dm_uuid_volume(id->uuid, pool->conf.uuid, &number, &face) ||
	    face != KV_FACE_THIN)
		return 0;
	if (kv_lock_volume(pool, number, 0, &lock) < 0 || !runs(pool, id->uuid) ||
	    kv_suspend_begin(pool, number, &suspend) < 0)
		return 0;
	r = kv_dm_suspend(&pool->dm, id->uuid, 0);
	if (r < 0) {
		kv_suspend_end(&suspend, runs(pool, id->uuid));
		return 0;
	}
	held->of[held->n].id = *id;
	held->of[held->n].suspend = suspend;
	held->of[held->n++].lock = lock;
	lock.fd = -1;
	return 0;
}

static struct held *hold_volumes(const struct kvol_pool *pool)
{
	struct held *held = calloc(1, sizeof(*held));
	struct kv_dm_id prefix;

	if (!held)
		return NULL;
	held->pool = pool;
	kv_dm_id_part(&prefix, pool->conf.uuid, "");
	(void)kv_dm_list(&pool->dm, prefix.uuid, hold, held);
	return held;
}

static void release_volumes(struct held *held)
{
	if (!held)
		return;
	while (held->n > 0) {
		held->n--;
		kv_suspend_end(&held->of[held->n].suspend,
			       kv_dm_resume(&held->pool->dm, held->of[held->n].id.uuid) ==
				       0);
		kv_lock_release(&held->of[held->n].lock);
	}
	free(held);
}

/* The same table again. */
static int wake(const struct kvol_pool *pool, const struct kv_pool_status *st)
{
	uint32_t block_sectors = (uint32_t)(pool->conf.block_bytes / KV_SECTOR);
	struct kv_dm_target t = { .length_sectors = st->data_total * block_sectors,
				  .type = "thin-pool" };
	char params[KV_THIN_LINE];
	int r;

	r = kv_thin_pool_params(params, pool->stack.metadata, pool->stack.data,
				block_sectors, 0);
	t.params = params;
	return r < 0 ? r : kv_dm_reload(&pool->dm, pool->pool_dm_uuid, &t, 0);
}

/* One at a time: another's delete would be refused while the table is changed. */
static int delete_for_room(const struct kvol_pool *pool, const char *msg)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct held *held = NULL;
	struct kv_pool_status st;
	int r;

	r = kv_lock_take(pool->dir_fd, KV_LOCK_MESSAGE, kv_deadline(KV_LOCK_WAIT_MS),
			 &lock);
	if (r == 0)
		r = kv_pool_status(pool, &st);
	if (r == 0 && kv_pool_metadata_full(&st)) {
		held = hold_volumes(pool);
		r = wake(pool, &st);
	}
	if (r == 0)
		r = kv_pool_message(pool, msg);
	release_volumes(held);
	return r;
}

int kv_pool_delete_id(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_pool_status st;
	char msg[KV_THIN_LINE];
	int r;

	r = kv_thin_msg_delete(msg, id);
	if (r < 0)
		return r;
	r = kv_pool_message(pool, msg);
	if (r == -EOPNOTSUPP && kv_pool_status(pool, &st) == 0 &&
	    kv_pool_metadata_full(&st))
		r = delete_for_room(pool, msg);
	return r == -ENODATA ? 0 : r;
}
