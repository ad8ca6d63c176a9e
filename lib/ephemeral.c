// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ephemeral volumes: deleting them when their last publish is gone, and collecting those
 * that a crash has left.
 *
 * A publish makes the volume, marked in its row, and keeps the volume's lock until it
 * stands or the volume is deleted again. So whoever gets the lock knows that its maker is
 * done, or dead: what no record of this boot says to be published, and nobody has open or
 * bound, is left over. Where the catalogue has another boot's id its records say nothing,
 * for publishes end with the boot. What is in use is never deleted, whatever the records
 * say; and a row that only half says that it is ephemeral is left alone.
 *
 * Leftovers go when the pool is opened, when a verb of publishing meets them by name, and
 * a few with each one that is made. A crash in here leaves one, or a tombstone.
 */
#include <errno.h>
#include <string.h>

#include "verb.h"

#define SWEEP_N 16
#define IDLE_MS 1000 /* an udev worker may look for a moment */

/* 1: in use, for as long as we were ready to wait. */
static int wait_idle(const struct kvol_pool *pool, uint32_t id)
{
	int64_t deadline = kv_deadline(IDLE_MS);
	unsigned step = 0;
	int r;

	while ((r = kv_volume_in_use(pool, id)) == 1 && kv_backoff(&step, deadline) == 0)
		;
	return r;
}

/* 1: it belongs to a boot that is over; 0: to this one, or it is not known. */
static int of_another_boot(struct kvol_pool *pool, uint32_t id)
{
	char boot[KV_UUID_LEN + 1];
	int r = kv_catalogue_boot(pool->cat, id, boot);

	if (r < 0)
		return r;
	return boot[0] && pool->host.boot[0] && strcmp(boot, pool->host.boot) != 0;
}

/* Not in use, and published nowhere. */
static int drop(struct kvol_pool *pool, const struct kv_row *row, struct kvol_error *e)
{
	int r = kv_device_deactivate(pool, row->id, 0);

	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': deactivate", row->name);
	return kv_volume_bury(pool, row, e);
}

/* 1: left over. */
static int is_left(struct kvol_pool *pool, const struct kv_row *row)
{
	unsigned live = 0;
	int other, r;

	r = kv_volume_in_use(pool, row->id);
	if (r != 0)
		return r < 0 ? r : 0;
	other = of_another_boot(pool, row->id);
	if (other < 0)
		return other == -ENOENT ? 0 : other;
	if (other) /* and with the device the records lose their meaning */
		r = kv_device_deactivate(pool, row->id, 0);
	if (r == 0)
		r = kv_publications_prune(pool, row->id, &live, NULL);
	if (r < 0)
		return r == -EBUSY ? 0 : r;
	return !live;
}

int kv_ephemeral_collect(struct kvol_pool *pool, const struct kv_row *row,
			 struct kvol_error *e)
{
	int r;

	if (!(row->flags & KV_ROW_EPHEMERAL))
		return 0;
	r = is_left(pool, row);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look for its publishes",
				      row->name);
	if (r == 0)
		return 0;
	r = kv_pool_admit(pool, false, e);
	if (r == 0)
		r = drop(pool, row, e);
	if (r < 0)
		return r;
	kv_log(&pool->log, LOG_INFO, "volume '%s': ephemeral, and left over: deleted",
	       row->name);
	return 1;
}

int kv_ephemeral_collect_id(struct kvol_pool *pool, uint32_t id)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;
	int r;

	r = kv_volume_try_lock(pool, id, &lock, &row);
	return r == 1 ? kv_ephemeral_collect(pool, &row, NULL) : r;
}

void kv_ephemeral_sweep(struct kvol_pool *pool)
{
	uint32_t ids[SWEEP_N];
	int n;

	n = kv_catalogue_ephemerals(pool->cat, pool->next_sweep, ids, SWEEP_N);
	pool->next_sweep = n == SWEEP_N ? ids[n - 1] + 1 : 0;
	for (int i = 0; i < n; i++)
		if (kv_publication_count(pool->dir_fd, ids[i]) == 0)
			(void)kv_ephemeral_collect_id(pool, ids[i]);
}

/* A pool that takes no changes keeps nobody from unpublishing. */
static bool takes_none(struct kvol_pool *pool)
{
	if (kv_pool_admit(pool, false, NULL) == 0 && kv_pool_certain(pool, NULL) == 0)
		return false;
	kv_log(&pool->log, LOG_WARNING,
	       "pool '%s' takes no changes: its ephemeral volumes stay until it does",
	       pool->conf.name);
	return true;
}

int kv_ephemeral_unpublished(struct kvol_pool *pool, const struct kv_row *row,
			     struct kvol_error *e)
{
	unsigned live;
	int r;

	r = kv_publications_prune(pool, row->id, &live, NULL);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look for its publishes",
				      row->name);
	if (live)
		return 0;
	if (takes_none(pool)) {
		(void)kv_device_deactivate(pool, row->id, KV_DM_DEFERRED);
		return 0;
	}
	r = wait_idle(pool, row->id);
	if (r == 0)
		return drop(pool, row, e);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look at its device", row->name);
	(void)kv_device_deactivate(pool, row->id, KV_DM_DEFERRED);
	return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN,
			"volume '%s': unpublished, and somebody has it open yet: it is "
			"deleted after that",
			row->name);
}

void kv_ephemeral_undo(struct kvol_pool *pool, const struct kv_row *row)
{
	struct kvol_error e = { .msg = "it is in use" };
	unsigned live = 1;
	int r;

	r = kv_publications_prune(pool, row->id, &live, NULL);
	if (r >= 0 && !live)
		r = wait_idle(pool, row->id);
	if (r == 0 && !live && drop(pool, row, &e) == 0)
		return;
	kv_log(&pool->log, LOG_WARNING,
	       "volume '%s': not published, and could not be deleted now (%s); "
	       "the next open does it",
	       row->name, e.msg);
}
