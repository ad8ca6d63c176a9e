// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A volume's devices: the thin device; on it, for an encrypted volume, dm-crypt, and for
 * another one that is thick, a linear map; and on top the read-only face, a linear map
 * that refuses writes, for volumes that are published read-only as a device (a read-only
 * bind mount of a device node does not stop writes to the device). A snapshot that is
 * published as a device and nothing else needs no face: nobody may write to it, so its
 * devices themselves are read-only.
 *
 * dm-crypt gets its key from the kernel's keyring, where it is for as long as the device
 * is active: it is needed for every table, so for growing as well.
 *
 * Discards would make a thick volume thin. dm-crypt is told to take none. The thin device
 * can only be told so in sysfs, and forgets it with each table. So it is never what a
 * thick volume says: the linear map on it finds, whenever it gets a table, a device that
 * takes no discards, and then takes none itself, whatever becomes of the lower one.
 *
 * Callers hold the volume's lock. A crash leaves a device active that nobody uses, or
 * only the lower ones of an encrypted volume; recovery at the next open removes them, and
 * the key. Deactivating may be deferred to the last close, and is taken back when the
 * volume is wanted again before that.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "blockdev.h"
#include "crypt.h"
#include "keyring.h"
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

uint64_t kv_row_thin_bytes(const struct kv_row *row, uint64_t bytes)
{
	return bytes + (row->flags & KV_ROW_ENCRYPTED ? KV_CRYPT_HEADER_BYTES : 0);
}

/* How large a face is, below which lies what. */
static uint64_t bytes_of(const struct kv_row *row, enum kv_face face)
{
	return face == KV_FACE_THIN ? kv_row_thin_bytes(row, row->bytes) : row->bytes;
}

static int table_of(const struct kvol_pool *pool, const struct kv_row *row,
		    enum kv_face face, dev_t below, char params[KV_THIN_LINE],
		    struct kv_dm_target *ret)
{
	char key[KV_KEY_NAME_SIZE];

	ret->start_sectors = 0;
	ret->length_sectors = bytes_of(row, face) / KV_SECTOR;
	ret->params = params;
	if (face == KV_FACE_THIN) {
		ret->type = "thin";
		return kv_thin_params(params, pool->stack.pool, row->id);
	}
	if (face == KV_FACE_READONLY || !(row->flags & KV_ROW_ENCRYPTED)) {
		ret->type = "linear";
		return kv_thin_linear_params(params, below, 0);
	}
	ret->type = "crypt";
	kv_key_name(key, pool->conf.uuid, row->id);
	return kv_thin_crypt_params(params, below, KV_CRYPT_HEADER_BYTES / KV_SECTOR,
				    KV_CRYPT_KEY_BYTES, key, !(row->flags & KV_ROW_THICK));
}

/* What the kernel needs for each table of dm-crypt's; nothing for others. */
struct key {
	bool lent;
	int32_t key;
};

static int borrow_key(const struct kvol_pool *pool, const struct kv_row *row,
		      struct key *ret)
{
	char name[KV_KEY_NAME_SIZE];
	int r;

	ret->lent = false;
	if (!(row->flags & KV_ROW_ENCRYPTED))
		return 0;
	kv_key_name(name, pool->conf.uuid, row->id);
	r = kv_keyring_lend(name, &ret->key);
	ret->lent = r == 0;
	return r;
}

static void return_key(const struct key *key)
{
	if (key->lent)
		kv_keyring_take_back(key->key);
}

static int activate_face(const struct kvol_pool *pool, const struct kv_row *row,
			 enum kv_face face, dev_t below, unsigned flags,
			 struct kv_device *ret)
{
	char params[KV_THIN_LINE];
	struct kv_dm_target t;
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, row->id, face);
	r = table_of(pool, row, face, below, params, &t);
	return r < 0 ? r : activate(&pool->dm, &dm_id, &t, flags, ret);
}

int kv_device_activate(const struct kvol_pool *pool, const struct kv_row *row,
		       bool readonly, struct kv_device *ret)
{
	struct kv_device device;
	int r;

	r = activate_face(pool, row, KV_FACE_THIN, 0, readonly ? KV_DM_READONLY : 0,
			  &device);
	if (r < 0)
		return r;
	if (row->flags & KV_ROW_THICK)
		r = kv_blockdev_no_discards(device.dev);
	if (r < 0 && !device.was_active)
		(void)kv_device_deactivate(pool, row->id, 0);
	if (r == 0)
		*ret = device;
	return r;
}

int kv_device_activate_upper(const struct kvol_pool *pool, const struct kv_row *row,
			     struct kv_device *device)
{
	unsigned flags = device->readonly ? KV_DM_READONLY : 0;
	struct kv_device upper;
	struct key key;
	int r;

	r = borrow_key(pool, row, &key);
	if (r < 0)
		return r;
	r = activate_face(pool, row, KV_FACE_CRYPT, device->dev, flags, &upper);
	return_key(&key);
	if (r == 0)
		device->dev = upper.dev;
	return r;
}

int kv_device_activate_readonly(const struct kvol_pool *pool, const struct kv_row *row,
				dev_t dev, dev_t *ret)
{
	struct kv_device device;
	int r;

	r = activate_face(pool, row, KV_FACE_READONLY, dev, KV_DM_READONLY, &device);
	if (r == 0)
		*ret = device.dev;
	return r;
}

static int face_info(const struct kvol_pool *pool, uint32_t id, enum kv_face face,
		     struct kv_dm_id *ret_id, struct kv_dm_info *ret)
{
	kv_dm_id_volume(ret_id, pool->conf.uuid, id, face);
	return kv_dm_info(&pool->dm, ret_id->uuid, ret);
}

/* The tables of what is there, from below, up to `last`. */
static int resize_faces(const struct kvol_pool *pool, const struct kv_row *row,
			enum kv_face last)
{
	char params[KV_THIN_LINE];
	struct kv_dm_target t;
	struct kv_dm_info info;
	struct kv_dm_id dm_id;
	dev_t below = 0;
	int r;

	for (enum kv_face face = 0; face <= last; face++) {
		r = face_info(pool, row->id, face, &dm_id, &info);
		if (r == -ENXIO && face != KV_FACE_THIN)
			continue;
		if (r == 0)
			r = table_of(pool, row, face, below, params, &t);
		if (r == 0)
			r = kv_dm_reload(&pool->dm, dm_id.uuid, &t,
					 face == KV_FACE_READONLY ? KV_DM_READONLY : 0);
		if (r == 0 && last > KV_FACE_THIN && face == KV_FACE_THIN &&
		    (row->flags & KV_ROW_THICK))
			r = kv_blockdev_no_discards(info.dev);
		if (r < 0)
			return r;
		below = info.dev;
	}
	return 0;
}

static int resize(const struct kvol_pool *pool, const struct kv_row *row)
{
	struct kv_dm_info info;
	struct kv_dm_id dm_id;
	struct key key;
	int r;

	r = face_info(pool, row->id, KV_FACE_CRYPT, &dm_id, &info);
	if (r == -ENXIO)
		return resize_faces(pool, row, KV_FACES - 1);
	if (r == 0)
		r = borrow_key(pool, row, &key);
	if (r < 0)
		return r;
	r = resize_faces(pool, row, KV_FACES - 1);
	return_key(&key);
	return r;
}

/* 1: suspended, 0: running, or not there. */
static int face_suspended(const struct kvol_pool *pool, uint32_t id, enum kv_face face,
			  struct kv_dm_id *ret)
{
	struct kv_dm_info info;
	int r = face_info(pool, id, face, ret, &info);

	if (r < 0)
		return r == -ENXIO ? 0 : r;
	return info.suspended;
}

int kv_device_suspended(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_dm_id dm_id;
	int r = 0;

	for (enum kv_face face = 0; r == 0 && face < KV_FACES; face++)
		r = face_suspended(pool, id, face, &dm_id);
	return r;
}

/* A reload suspends and resumes in one ioctl, which no death cuts in two; but one that
 * the kernel refuses is taken back by several. */
static int reload(const struct kvol_pool *pool, const struct kv_row *row, bool all)
{
	struct kv_suspend suspend;
	bool running;
	int r;

	r = kv_suspend_begin(pool, row->id, &suspend);
	if (r < 0)
		return r;
	r = all ? resize(pool, row) : resize_faces(pool, row, KV_FACE_THIN);
	running = r == 0 || kv_device_suspended(pool, row->id) == 0;
	kv_suspend_end(&suspend, running);
	return r;
}

int kv_device_resize(const struct kvol_pool *pool, const struct kv_row *row)
{
	return reload(pool, row, true);
}

int kv_device_stretch(const struct kvol_pool *pool, const struct kv_row *row)
{
	return reload(pool, row, false);
}

int kv_device_thaw(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_dm_id dm_id;
	int r, n = 0;

	/* From below: what stands on another writes to it as soon as it runs. */
	for (enum kv_face face = 0; face < KV_FACES; face++) {
		r = face_suspended(pool, id, face, &dm_id);
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
	char key[KV_KEY_NAME_SIZE];
	struct kv_dm_id dm_id;
	int r;

	for (int face = KV_FACES - 1; face >= 0; face--) {
		kv_dm_id_volume(&dm_id, pool->conf.uuid, id, (enum kv_face)face);
		r = kv_dm_remove(&pool->dm, dm_id.uuid, flags);
		if (r < 0 && r != -ENXIO)
			return r;
		/* The key first of what is below it: else a crash would leave it with
		 * nothing to tell of it. */
		if (face == KV_FACE_CRYPT) {
			kv_key_name(key, pool->conf.uuid, id);
			kv_keyring_drop(key);
		}
	}
	return 0;
}

int kv_device_info(const struct kvol_pool *pool, uint32_t id, enum kv_face face,
		   struct kv_dm_info *ret)
{
	struct kv_dm_id dm_id;

	return face_info(pool, id, face, &dm_id, ret);
}

int kv_device_look(const struct kvol_pool *pool, uint32_t id, struct kv_device_look *ret)
{
	struct kv_device_look look = { 0 };
	struct kv_dm_info info;
	struct kv_dm_id dm_id;
	int r;

	for (enum kv_face face = 0; face < KV_FACES; face++) {
		r = face_info(pool, id, face, &dm_id, &info);
		if (r == -ENXIO && face == KV_FACE_THIN)
			break;
		if (r == -ENXIO)
			continue;
		if (r < 0)
			return r;
		look.suspended = look.suspended || info.suspended;
		look.has_readonly = face == KV_FACE_READONLY;
		/* With a table it is itself one of those who have the lower one open. */
		if (face == KV_FACE_THIN)
			look.openers = info.open_count;
		else if (info.live_table)
			look.openers = look.openers - (look.openers > 0) + info.open_count;
	}
	*ret = look;
	return 0;
}

int kv_device_openers(const struct kvol_pool *pool, uint32_t id, uint32_t *ret)
{
	struct kv_device_look look;
	int r = kv_device_look(pool, id, &look);

	if (r == 0)
		*ret = look.openers;
	return r;
}

int kv_device_drop_face(const struct kvol_pool *pool, uint32_t id)
{
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, KV_FACE_READONLY);
	r = kv_dm_remove(&pool->dm, dm_id.uuid, 0);
	return r == -ENXIO || r == -EBUSY ? 0 : r;
}

/* --- Space ------------------------------------------------------------------------ */

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

static int thin_status(const struct kvol_pool *pool, uint32_t id,
		       struct kv_thin_status *ret)
{
	char line[KV_THIN_LINE];
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, KV_FACE_THIN);
	r = kv_dm_status(&pool->dm, dm_id.uuid, 0, line, sizeof(line), NULL);
	if (r == 0)
		r = kv_thin_status_parse(line, ret);
	if (r == 0 && ret->failed)
		r = -EIO;
	return r;
}

int kv_device_allocated(struct kvol_pool *pool, uint32_t id, uint64_t *ret)
{
	struct kv_thin_status st;
	int r = thin_status(pool, id, &st);

	if (r == -ENXIO)
		return inactive_allocated(pool, id, ret);
	if (r == 0)
		*ret = st.mapped_sectors * KV_SECTOR;
	return r;
}

int kv_device_highest(const struct kvol_pool *pool, uint32_t id, uint64_t *ret_bytes)
{
	struct kv_thin_status st;
	int r = thin_status(pool, id, &st);

	if (r == 0)
		*ret_bytes = st.mapped_sectors ? (st.highest_sector + 1) * KV_SECTOR : 0;
	return r;
}
