// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Growing volumes, and settling what rows still owe.
 *
 * The new size is committed first, with a mark that device and file system have yet to
 * follow; then the device's table is reloaded and the file system grown by its ioctl,
 * through a mount out of sight, whether or not it is published. The mark goes last. A
 * crash in between leaves the mark: recovery (for a volume that is active) or the next
 * publish goes on from there. The same goes for an encrypted volume that is not active.
 * A smaller table is never loaded.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "mount.h"
#include "verb.h"

int kv_fs_grow(const struct kv_row *row, dev_t dev, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1, mnt = -1, root = -1;
	char source[KV_DEV_PATH], detail[128] = "";
	const struct kv_fs *fs;
	int r;

	r = kv_row_fs(row, &fs, e);
	if (r < 0 || !fs)
		return r;
	r = kv_blockdev_name(dev, source, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': find its device", row->name);
	mnt = kv_mount_device(fs->name, source, fs->mount_options, NULL, false, detail,
			      sizeof(detail));
	if (mnt < 0)
		return kv_error_errno(e, mnt, "volume '%s': mount it to grow it (%s)",
				      row->name, detail);
	root = kv_mount_root(mnt);
	r = root < 0 ? root : fs->grow(root, row->bytes);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': grow %s to %" PRIu64 " bytes",
				      row->name, fs->name, row->bytes);
	if (syncfs(root) < 0)
		return kv_error_errno(e, -errno, "volume '%s': flush", row->name);
	return 0;
}

int kv_fs_renew(const struct kv_row *row, dev_t dev)
{
	_cleanup_close_ int node_fd = -1;
	char device[KV_DEV_PATH];
	const struct kv_fs *fs;
	int r;

	r = kv_row_fs(row, &fs, NULL);
	if (r < 0 || !fs)
		return r;
	r = kv_blockdev_name(dev, device, &node_fd);
	return r < 0 ? r : fs->renew(device, row->uuid);
}

int kv_renew_error(int r, const struct kv_row *row, struct kvol_error *e)
{
	const struct kv_fs *fs;
	int known = kv_row_fs(row, &fs, e);

	return known < 0 ? known
			 : kv_error_errno(e, r,
					  "volume '%s': give its %s an identity of its own",
					  row->name, row->fs_type);
}

/* Before its first mount. What is mounted already had it then, and only the catalogue may
 * not know yet. */
static int renew(struct kvol_pool *pool, struct kv_row *row, dev_t dev, bool fresh,
		 struct kvol_error *e)
{
	int r = kv_fs_renew(row, dev);

	if (r == -EBUSY && !fresh)
		return 0;
	if (r < 0)
		return kv_renew_error(r, row, e);
	kv_catalogue_renewed_later(pool->cat, row->id);
	row->flags &= ~KV_ROW_RENEW;
	return 0;
}

int kv_volume_resize(const struct kvol_pool *pool, const struct kv_row *row,
		     struct kvol_error *e)
{
	int r = kv_device_resize(pool, row);

	if (r == -ENOKEY)
		return kv_error(e, r, KVOL_R_NEEDS_SECRET,
				"volume '%s': grow its device: the kernel does not have "
				"its key; the next publish grows it",
				row->name);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': grow its device", row->name)
		     : 0;
}

int kv_volume_settle(struct kvol_pool *pool, struct kv_row *row, dev_t dev, bool fresh,
		     struct kvol_error *e)
{
	int r;

	if ((row->flags & KV_ROW_GROW) && !fresh) {
		r = kv_volume_resize(pool, row, e);
		if (r < 0)
			return r;
	}
	return row->flags & KV_ROW_RENEW ? renew(pool, row, dev, fresh, e) : 0;
}

static int clear_mark(struct kvol_pool *pool, struct kv_row *row, struct kvol_error *e)
{
	int r;

	r = kv_catalogue_set_flags(pool->cat, row->id, row->flags & ~KV_ROW_GROW);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': commit to the catalogue",
				      row->name);
	row->flags &= ~KV_ROW_GROW;
	return 0;
}

static int only_blocks(const struct kv_publication *p, void *arg)
{
	if (p->damaged[0])
		return -EUCLEAN; /* it may have been either */
	*(bool *)arg = *(bool *)arg && (p->flags & KVOL_PUBLISH_BLOCK);
	return 0;
}

/* A file system on a device that is handed out as such belongs to whoever holds it: it
 * keeps its mark and is grown when it is published as a file system again. */
static int held_as_block(struct kvol_pool *pool, const struct kv_row *row)
{
	bool only = true;
	unsigned live;
	int r;

	r = kv_publications_prune(pool, row->id, &live, NULL);
	if (r < 0)
		return r;
	if (!live)
		return 0;
	r = kv_publication_each(pool->dir_fd, row->id, only_blocks, &only);
	return r < 0 ? r : only;
}

/* The device that is to follow: 1, or 0 for an encrypted one that is not active. Only a
 * publish brings its secret, and the next one grows it. */
static int start(struct kvol_pool *pool, const struct kv_row *row, struct kv_device *ret,
		 struct kvol_error *e)
{
	struct kv_dm_info top;
	int r;

	if (!(row->flags & KV_ROW_ENCRYPTED)) {
		r = kv_volume_activate(pool, row, NULL, false, ret, e);
		return r < 0 ? r : 1;
	}
	r = kv_volume_top(pool, row, &top);
	if (r == -ENXIO)
		return 0;
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look at its device", row->name);
	*ret = (struct kv_device){ .dev = top.dev, .was_active = true };
	return 1;
}

/* Device and file system follow the row. */
static int follow(struct kvol_pool *pool, struct kv_row *row, struct kvol_error *e)
{
	struct kv_device device;
	int held, r;

	held = held_as_block(pool, row);
	if (held < 0)
		return kv_error_errno(e, held, "volume '%s': look for its publishes",
				      row->name);
	r = start(pool, row, &device, e);
	if (r <= 0)
		return r;
	if (held) {
		r = kv_volume_resize(pool, row, e);
		if (r < 0)
			return r;
		return row->fs_type[0] ? 0 : clear_mark(pool, row, e);
	}
	r = kv_volume_settle(pool, row, device.dev, !device.was_active, e);
	if (r == 0)
		r = kv_fs_grow(row, device.dev, e);
	if (r == 0)
		r = clear_mark(pool, row, e);
	if (!device.was_active)
		(void)kv_device_deactivate(pool, row->id, KV_DM_DEFERRED);
	return r;
}

/* 1, or 0: a raw volume that nobody uses has nothing that must follow. */
static int must_follow(struct kvol_pool *pool, const struct kv_row *row)
{
	struct kv_dm_info info;
	int r;

	if (row->fs_type[0])
		return 1;
	r = kv_device_info(pool, row->id, KV_FACE_THIN, &info);
	if (r == -ENXIO)
		return 0;
	return r < 0 ? r : 1;
}

static int commit_size(struct kvol_pool *pool, struct kv_row *row, uint64_t bytes,
		       struct kvol_error *e)
{
	struct kv_limit limit;
	int owes, r;

	owes = must_follow(pool, row);
	if (owes < 0)
		return kv_error_errno(e, owes, "volume '%s': look at its device",
				      row->name);
	r = kv_policy_limit(pool, &limit, e);
	if (r < 0)
		return r;
	limit.volumes = 0; /* it makes none */
	row->bytes = bytes;
	row->flags |= owes ? KV_ROW_GROW : 0;
	row->flags &= ~KV_ROW_SPARE;
	r = kv_catalogue_resize_within(pool->cat, row->id, row->bytes, row->flags,
				       &limit);
	if (r == -EDQUOT)
		return kv_limit_error(pool, row->name, e);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': commit to the catalogue",
				      row->name)
		     : 0;
}

/* A thick volume has the blocks of its new part before anything says that it has one. */
static int grow_thick(struct kvol_pool *pool, struct kv_row *row, uint64_t bytes,
		      struct kvol_error *e)
{
	struct kv_row was;
	struct kv_limit limit;
	int r;

	r = kv_thick_give_back(pool, row); /* of a call that did not come so far */
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': give back what lies beyond its end",
				      row->name);
	r = kv_policy_admit(pool, row->name, 0, bytes - row->bytes, true, &limit, e);
	if (r == 0)
		r = kv_thick_grow(pool, row, bytes, e);
	if (r < 0)
		return r;
	was = *row;
	r = commit_size(pool, row, bytes, e);
	if (r < 0)
		kv_thick_forget(pool, &was);
	return r;
}

int kvol_expand(struct kvol_pool *pool, const char *name, uint64_t bytes, uint32_t flags,
		struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0 && flags)
		r = kv_error_invalid(reterr, "volume '%s': unknown flags 0x%x", name,
				     flags);
	if (r == 0)
		r = kv_bytes_check(name, bytes, &bytes, reterr);
	if (r == 0)
		r = kv_volume_lock(pool, name, "volume", &lock, &row, reterr);
	if (r < 0)
		return r;
	if (row.kind == KVOL_KIND_SNAPSHOT)
		return kv_error(reterr, -EINVAL, KVOL_R_UNSUPPORTED,
				"'%s': is a snapshot, and snapshots do not grow", name);
	if (bytes <= row.bytes && !(row.flags & KV_ROW_GROW))
		return 0;
	r = kv_pool_admit(pool, true, reterr);
	if (r < 0)
		return r;
	if (bytes > row.bytes)
		r = row.flags & KV_ROW_THICK ? grow_thick(pool, &row, bytes, reterr)
					     : commit_size(pool, &row, bytes, reterr);
	if (r < 0)
		return r;
	return row.flags & KV_ROW_GROW ? follow(pool, &row, reterr) : 0;
}
