/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_FS_H
#define KV_FS_H

/* L1: file systems, one driver per file (fs_ext4.c, fs_xfs.c, fs_btrfs.c), found
 * through fs.c. */

#include "util.h"

struct kv_fs {
	const char *name;	   /* as mount and the catalogue call it */
	uint64_t min_bytes;	   /* the least volume that it can live in */
	const char *mount_options; /* for every superblock ("nouuid"), or NULL */
	/* The program, and NULL or the file that it takes its defaults from; the number
	 * changes with its options. */
	const char *program, *defaults;
	unsigned revision;
	/* device: a path as kv_blockdev_name gives it. detail: the last line of a
	 * failed program. uuid: the file system's, but for btrfs, which gets a random
	 * one. zeros: the whole device reads so. */
	int (*make)(const char *device, const char *uuid, bool zeros, char *detail,
		    size_t detail_size);
	/* Grows to the end of the device. fd: the root directory, on a writable mount.
	 * 0 when it already reaches the end (within what the file system can use).
	 * -EPERM: no CAP_SYS_RESOURCE, which ext4 asks for. */
	int (*grow)(int root_fd, uint64_t device_bytes);
	/* Gives a copy that is not mounted the identity `uuid`, where that can be done
	 * without replaying a log; otherwise it keeps its origin's, and that is 0, unless
	 * needs_identity. May be run again after a crash, and any time later: what has this
	 * identity is left as it is. -EUCLEAN: it is not this file system, or damaged;
	 * -EBUSY: mounted; -EOPNOTSUPP: not as our make made it. */
	int (*renew)(const char *device, const char *uuid);
	/* The kernel takes two of one identity for one: snapshots, too, get their own. */
	bool needs_identity;
	/* 1: it is mounted and has met errors since it was last checked; 0: none that it
	 * tells of. NULL: it goes read-only, or fails altogether, and that is seen. */
	int (*has_errors)(dev_t dev);
};

extern const struct kv_fs kv_fs_ext4, kv_fs_xfs, kv_fs_btrfs;

/* A word for what make would make here and now: another one with other programs, another
 * configuration, or other options. "" where its program is not installed. */
#define KV_FS_RECIPE_SIZE 17
void kv_fs_recipe(const struct kv_fs *fs, char ret[KV_FS_RECIPE_SIZE]);

/* How long a mkfs or the renewal of an identity may take; then -ETIMEDOUT. */
#define KV_FS_MAKE_MS (5 * 60 * 1000)

const struct kv_fs *kv_fs_find(const char *name); /* NULL: unknown */

#endif
