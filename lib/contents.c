// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a new volume holds: its blocks, encryption, a file system, and whom its root
 * directory belongs to. All of it is made on a thin device that no row names yet, and is
 * on the disk before one does: a crash leaves an id without a row, which recovery
 * deletes, contents and all.
 *
 * Of a template the file system is there already, and gets an identity; without anything
 * else to be made that is left to the first publish.
 *
 * The root directory is given away through a mount out of sight, in one way for all file
 * systems: mkfs.ext4 could do the owner (and from 1.47.1 on the mode), mkfs.xfs needs a
 * file to be told of it, mkfs.btrfs cannot.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "mount.h"
#include "verb.h"

int kv_no_mkfs(const struct kv_fs *fs, const char *what, const char *name,
	       struct kvol_error *e)
{
	return kv_error(e, -EINVAL, KVOL_R_UNSUPPORTED, "%s '%s': mkfs.%s is not installed",
			what, name, fs->name);
}

static int make_fs(const struct kv_row *row, const struct kv_fs *fs, const char *device,
		   struct kvol_error *e)
{
	char detail[128] = "";
	int r;

	/* Through dm-crypt a blank device reads as noise. */
	r = fs->make(device, row->uuid, !(row->flags & KV_ROW_ENCRYPTED), detail,
		     sizeof(detail));
	if (r == -ENOENT)
		return kv_no_mkfs(fs, "volume", row->name, e);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': make %s (%s)", row->name,
				      fs->name, detail)
		     : 0;
}

static int give_root(const struct kv_row *row, const struct kv_fs *fs, const char *device,
		     const struct kv_owner *owner, struct kvol_error *e)
{
	_cleanup_close_ int mnt = -1, root = -1;
	char detail[128] = "";
	int r;

	mnt = kv_mount_device(fs->name, device, fs->mount_options, NULL, false, detail,
			      sizeof(detail));
	if (mnt == -EOPNOTSUPP)
		return kv_error(e, mnt, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': the kernel does not have %s", row->name,
				fs->name);
	if (mnt < 0)
		return kv_error_errno(e, mnt,
				      "volume '%s': mount it to give its root directory "
				      "away (%s)",
				      row->name, detail);
	root = kv_mount_root(mnt);
	r = root < 0 ? root : kv_tree_own(root, owner);
	if (r == 0 && syncfs(root) < 0)
		r = -errno;
	return r < 0 ? kv_error_errno(e, r, "volume '%s': give its root directory away",
				      row->name)
		     : 0;
}

static int flush(const struct kv_row *row, dev_t dev, struct kvol_error *e)
{
	_cleanup_close_ int fd = kv_blockdev_open(dev, O_RDONLY);
	int r = fd < 0 ? fd : kv_blockdev_flush(fd);

	return r < 0 ? kv_error_errno(e, r, "volume '%s': flush", row->name) : 0;
}

static int fill(const struct kv_row *row, const struct kv_contents *c, dev_t dev,
		struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1;
	char device[KV_DEV_PATH];
	int r;

	r = kv_blockdev_name(dev, device, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': find its device", row->name);
	r = c->copied ? c->fs->renew(device, row->uuid) : make_fs(row, c->fs, device, e);
	if (r < 0 && c->copied)
		return kv_renew_error(r, row, e);
	if (r == 0 && c->root.what)
		r = give_root(row, c->fs, device, &c->root, e);
	return r < 0 ? r : flush(row, dev, e);
}

int kv_contents_make(struct kvol_pool *pool, const struct kv_row *row,
		     const struct kv_contents *c, struct kvol_error *e)
{
	struct kv_device device;
	int r;

	r = kv_device_activate(pool, row, false, &device);
	if (r < 0)
		return kv_pool_activate_error(pool, r, row->name, e);
	if (c->thick)
		r = kv_thick_fill(pool, row, device.dev, 0, row->bytes, e);
	if (r == 0 && c->secret.data)
		r = kv_volume_encrypt(pool, row, &c->secret, &device, e);
	else if (r == 0 && c->thick)
		r = kv_volume_layer(pool, row, &device, e);
	if (r == 0 && c->fs)
		r = fill(row, c, device.dev, e);
	if (r < 0)
		return r;
	r = kv_device_deactivate(pool, row->id, KV_DM_DEFERRED);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': deactivate", row->name) : 0;
}
