// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A volume's devices: the thin device, and its read-only face, a linear map that refuses
 * writes, for volumes that are published read-only as a device (a read-only bind mount of
 * a device node does not stop writes to the device). A snapshot that is published as a
 * device and nothing else needs no face: nobody may write to it, so its thin device
 * itself is read-only.
 *
 * Callers hold the volume's lock. A crash leaves a device active that nobody uses;
 * recovery at the next open removes it. Deactivating may be deferred to the last close,
 * and is taken back when the volume is wanted again before that.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "blockdev.h"
#include "pool_state.h"
#include "thinmeta.h"

/* Brings what is there already into the state that creating would have given. */
static int adopt(const struct kv_dm *dm, const struct kv_dm_id *id,
		 const struct kv_dm_target *t, unsigned flags, struct kv_device *ret)
{
	struct kv_dm_info info;
	int r;

	r = kv_dm_info(dm, id->uuid, &info);
	if (r < 0)
		return r == -ENXIO ? -EEXIST : r;
	if (!info.live_table) { /* its maker died before it was one */
		r = kv_dm_remove(dm, id->uuid, 0);
		if (r == 0)
			r = kv_dm_create(dm, id, t, flags, &ret->dev);
		ret->was_active = false;
		return r;
	}
	ret->readonly = info.readonly;
	if (info.deferred_remove) {
		r = kv_dm_cancel_remove(dm, id->uuid);
		if (r == -ENXIO) { /* its last opener closed it just now */
			ret->was_active = false;
			ret->readonly = flags & KV_DM_READONLY;
			return kv_dm_create(dm, id, t, flags, &ret->dev);
		}
		if (r < 0)
			return r;
	}
	if (info.suspended) {
		r = kv_dm_resume(dm, id->uuid);
		if (r < 0)
			return r;
	}
	ret->dev = info.dev;
	ret->was_active = true;
	return 0;
}

static int activate(const struct kv_dm *dm, const struct kv_dm_id *id,
		    const struct kv_dm_target *t, unsigned flags, struct kv_device *ret)
{
	int r;

	ret->was_active = false;
	ret->readonly = flags & KV_DM_READONLY;
	r = kv_dm_create(dm, id, t, flags, &ret->dev);
	return r == -EEXIST ? adopt(dm, id, t, flags, ret) : r;
}

/* The table of either face. */
static int table_of(const struct kvol_pool *pool, uint32_t id, dev_t below,
		    uint64_t bytes, bool readonly, char params[KV_THIN_LINE],
		    struct kv_dm_target *ret)
{
	ret->start_sectors = 0;
	ret->length_sectors = bytes / KV_SECTOR;
	ret->type = readonly ? "linear" : "thin";
	ret->params = params;
	return readonly ? kv_thin_linear_params(params, below, 0)
			: kv_thin_params(params, pool->stack.pool, id);
}

int kv_device_activate(const struct kvol_pool *pool, uint32_t id, uint64_t bytes,
		       bool readonly, struct kv_device *ret)
{
	char params[KV_THIN_LINE];
	struct kv_dm_target t;
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, false);
	r = table_of(pool, id, 0, bytes, false, params, &t);
	return r < 0 ? r
		     : activate(&pool->dm, &dm_id, &t, readonly ? KV_DM_READONLY : 0,
				ret);
}

int kv_device_activate_readonly(const struct kvol_pool *pool, uint32_t id, dev_t dev,
				uint64_t bytes, dev_t *ret)
{
	char params[KV_THIN_LINE];
	struct kv_device device;
	struct kv_dm_target t;
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, true);
	r = table_of(pool, id, dev, bytes, true, params, &t);
	if (r == 0)
		r = activate(&pool->dm, &dm_id, &t, KV_DM_READONLY, &device);
	if (r == 0)
		*ret = device.dev;
	return r;
}

static int resize(const struct kvol_pool *pool, uint32_t id, uint64_t bytes)
{
	char params[KV_THIN_LINE];
	struct kv_dm_target t;
	struct kv_dm_info info;
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, false);
	r = kv_dm_info(&pool->dm, dm_id.uuid, &info);
	if (r == 0)
		r = table_of(pool, id, 0, bytes, false, params, &t);
	if (r == 0)
		r = kv_dm_reload(&pool->dm, dm_id.uuid, &t, 0);
	if (r < 0)
		return r;
	r = table_of(pool, id, info.dev, bytes, true, params, &t);
	if (r < 0)
		return r;
	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, true);
	r = kv_dm_info(&pool->dm, dm_id.uuid, &info);
	if (r == 0)
		r = kv_dm_reload(&pool->dm, dm_id.uuid, &t, KV_DM_READONLY);
	return r == -ENXIO ? 0 : r;
}

/* 1: suspended, 0: running, or not there. */
static int face_suspended(const struct kvol_pool *pool, uint32_t id, bool readonly,
			  struct kv_dm_id *ret)
{
	struct kv_dm_info info;
	int r;

	kv_dm_id_volume(ret, pool->conf.uuid, id, readonly);
	r = kv_dm_info(&pool->dm, ret->uuid, &info);
	if (r < 0)
		return r == -ENXIO ? 0 : r;
	return info.suspended;
}

int kv_device_suspended(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_dm_id dm_id;
	int r = face_suspended(pool, id, false, &dm_id);

	return r ? r : face_suspended(pool, id, true, &dm_id);
}

/* A reload suspends and resumes in one ioctl, which no death cuts in two; but one that
 * the kernel refuses is taken back by several. */
int kv_device_resize(const struct kvol_pool *pool, uint32_t id, uint64_t bytes)
{
	struct kv_suspend suspend;
	bool running;
	int r;

	r = kv_suspend_begin(pool, id, &suspend);
	if (r < 0)
		return r;
	r = resize(pool, id, bytes);
	running = r == 0 || kv_device_suspended(pool, id) == 0;
	kv_suspend_end(&suspend, running);
	return r;
}

int kv_device_thaw(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_dm_id dm_id;
	int r, n = 0;

	/* The face last: it stands on the other. */
	for (int readonly = 0; readonly < 2; readonly++) {
		r = face_suspended(pool, id, readonly, &dm_id);
		if (r == 1) {
			r = kv_dm_resume(&pool->dm, dm_id.uuid);
			n++;
		}
		if (r < 0 && r != -ENXIO)
			return r;
	}
	if (n)
		kv_log(&pool->log, LOG_WARNING,
		       "pool '%s': volume %" PRIu32 " was left suspended: resumed",
		       pool->conf.name, id);
	return 0;
}

int kv_device_deactivate(const struct kvol_pool *pool, uint32_t id, unsigned flags)
{
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, true);
	r = kv_dm_remove(&pool->dm, dm_id.uuid, flags);
	if (r < 0 && r != -ENXIO)
		return r;
	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, false);
	r = kv_dm_remove(&pool->dm, dm_id.uuid, flags);
	return r == -ENXIO ? 0 : r;
}

int kv_device_info(const struct kvol_pool *pool, uint32_t id, struct kv_dm_info *ret)
{
	struct kv_dm_id dm_id;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, false);
	return kv_dm_info(&pool->dm, dm_id.uuid, ret);
}

int kv_device_openers(const struct kvol_pool *pool, uint32_t id, uint32_t *ret)
{
	struct kv_dm_info info, face;
	struct kv_dm_id dm_id;
	int r;

	r = kv_device_info(pool, id, &info);
	if (r == -ENXIO) {
		*ret = 0;
		return 0;
	}
	if (r < 0)
		return r;
	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, true);
	r = kv_dm_info(&pool->dm, dm_id.uuid, &face);
	if (r < 0 && r != -ENXIO)
		return r;
	*ret = info.open_count;
	if (r == 0 && face.live_table)
		*ret = info.open_count - (info.open_count > 0) + face.open_count;
	return 0;
}

int kv_device_drop_face(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, true);
	r = kv_dm_remove(&pool->dm, dm_id.uuid, 0);
	return r == -ENXIO || r == -EBUSY ? 0 : r;
}

/* --- Space --- */

static int read_metadata(void *arg, uint64_t block, void *buf)
{
	return kv_pread_full(*(int *)arg, buf, KV_THINMETA_BLOCK,
			     block * KV_THINMETA_BLOCK);
}

/* From the committed metadata, past the page cache: what is on the disk is what the
 * kernel goes by. */
static int inactive_allocated(struct kvol_pool *pool, uint32_t id, uint64_t *ret)
{
	struct kv_thinmeta_device device;
	int r = 0;

	pthread_mutex_lock(&pool->metadata_mutex);
	if (pool->metadata_fd < 0)
		pool->metadata_fd = r =
			kv_blockdev_open(pool->stack.metadata, O_RDONLY | O_DIRECT);
	pthread_mutex_unlock(&pool->metadata_mutex);
	if (r >= 0)
		r = kv_thinmeta_device(read_metadata, &pool->metadata_fd, id, &device);
	if (r < 0)
		return r;
	*ret = device.mapped_blocks * pool->conf.block_bytes;
	return 0;
}

int kv_pool_snapshot_time(const struct kvol_pool *pool, uint32_t *ret)
{
	_cleanup_close_ int fd =
		kv_blockdev_open(pool->stack.metadata, O_RDONLY | O_DIRECT);
	struct kv_thinmeta_super super;
	int r;

	r = fd < 0 ? fd : kv_thinmeta_super(read_metadata, &fd, &super);
	if (r == 0)
		*ret = super.time;
	return r;
}

int kv_device_allocated(struct kvol_pool *pool, uint32_t id, uint64_t *ret)
{
	struct kv_thin_status st;
	char line[KV_THIN_LINE];
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, false);
	r = kv_dm_status(&pool->dm, dm_id.uuid, 0, line, sizeof(line), NULL);
	if (r == -ENXIO)
		return inactive_allocated(pool, id, ret);
	if (r == 0)
		r = kv_thin_status_parse(line, &st);
	if (r < 0)
		return r;
	if (st.failed)
		return -EIO;
	*ret = st.mapped_sectors * KV_SECTOR;
	return 0;
}
