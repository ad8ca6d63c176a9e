/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * File systems on thin devices: the drivers behind lib/fs.c's table, in the place of
 * lib/fs_*.c. What they need to live in and what their mounts must say is as in the real
 * ones.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

#define MKFS_BLOCKS 4 /* of the pool, that an empty file system takes */

static int say(int r, char *detail, size_t detail_size)
{
	if (r < 0 && detail && detail_size)
		(void)kv_strcpy(detail, detail_size, "the model says no");
	return r;
}

static int put_fs(const char *fs, dev_t dev, const char *uuid, bool zeros)
{
	struct model_dev *d = model_dev_by_number(dev);
	struct model_thin *thin = model_thin_under(dev);
	int r;

	if (!d || !thin)
		return -EIO;
	r = model_wait_running(dev);
	if (r < 0)
		return r;
	if (thin->content.fs[0])
		model_disaster("mkfs.%s on %s, which has %s", fs, d->id.name,
			       thin->content.fs);
	if (model_mounted(dev))
		model_disaster("mkfs.%s on %s, which is mounted", fs, d->id.name);
	if (thin->content.luks != !strcmp(d->table.type, "crypt"))
		model_disaster("mkfs.%s on %s, in clear", fs, d->id.name);
	if (thin->content.luks && zeros)
		model_disaster("mkfs.%s takes noise for zeros", fs);
	(void)kv_strcpy(thin->content.fs, sizeof(thin->content.fs), fs);
	(void)kv_strcpy(thin->content.uuid, sizeof(thin->content.uuid), uuid);
	thin->content.bytes = d->table.sectors * KV_SECTOR;
	if (!thin->content.reserved)
		model_write(dev, thin->n_blocks, MKFS_BLOCKS);
	return 0;
}

static int make(const char *fs, const char *device, const char *uuid, bool zeros,
		char *detail, size_t detail_size)
{
	char what[32];
	int r;

	(void)snprintf(what, sizeof(what), "mkfs %s", fs);
	r = model_step(what);
	if (r < 0)
		return say(r, detail, detail_size);
	model_lock();
	r = put_fs(fs, model_dev_of_path(device), uuid, zeros);
	model_unlock();
	return r;
}

static int make_ext4(const char *device, const char *uuid, bool zeros,
		     char *detail, size_t detail_size)
{
	return make("ext4", device, uuid, zeros, detail, detail_size);
}

static int make_xfs(const char *device, const char *uuid, bool zeros, char *detail,
		    size_t detail_size)
{
	return make("xfs", device, uuid, zeros, detail, detail_size);
}

static int make_btrfs(const char *device, const char *uuid, bool zeros, char *detail,
		      size_t detail_size)
{
	return make("btrfs", device, uuid, zeros, detail, detail_size);
}

static int grow_mounted(int root_fd, uint64_t device_bytes)
{
	struct model_hold *hold = model_hold_of(root_fd);
	struct model_mount *m;
	struct model_thin *thin;

	if (!hold || hold->kind != MODEL_HOLD_MOUNT)
		return -ENOTTY;
	m = &model->mounts[hold->mount];
	thin = model_thin_under(m->dev);
	if (!thin)
		return -EIO;
	if (m->super_readonly)
		return -EROFS;
	if (device_bytes > model_dev_bytes(m->dev))
		return -EINVAL;
	if (thin->content.bytes < device_bytes)
		thin->content.bytes = device_bytes;
	return 0;
}

static int grow(int root_fd, uint64_t device_bytes)
{
	int r = model_step("fs grow");

	if (r < 0)
		return r;
	model_lock();
	r = grow_mounted(root_fd, device_bytes);
	model_unlock();
	return r;
}

static int renew(const char *device, const char *uuid)
{
	dev_t dev = model_dev_of_path(device);
	struct model_thin *thin;
	int r = model_step("fs renew");

	if (r < 0)
		return r;
	model_lock();
	thin = model_thin_under(dev);
	if (!thin)
		r = -EIO;
	else if (model_mounted(dev))
		r = -EBUSY;
	else
		(void)kv_strcpy(thin->content.uuid, sizeof(thin->content.uuid), uuid);
	if (r == 0) /* the real one syncs */
		thin->flushed = thin->content;
	model_unlock();
	return r;
}

static int has_errors(dev_t dev)
{
	(void)dev;
	return model->fs_errors;
}

const struct kv_fs kv_fs_ext4 = {
	.name = "ext4",
	.min_bytes = UINT64_C(8) << 20,
	.program = "mkfs.ext4",
	.make = make_ext4,
	.grow = grow,
	.renew = renew,
	.has_errors = has_errors,
};

const struct kv_fs kv_fs_xfs = {
	.name = "xfs",
	.min_bytes = UINT64_C(300) << 20,
	.mount_options = "nouuid",
	.program = "mkfs.xfs",
	.make = make_xfs,
	.grow = grow,
	.renew = renew,
};

const struct kv_fs kv_fs_btrfs = {
	.name = "btrfs",
	.min_bytes = UINT64_C(256) << 20,
	.program = "mkfs.btrfs",
	.make = make_btrfs,
	.grow = grow,
	.renew = renew,
	.needs_identity = true,
};
