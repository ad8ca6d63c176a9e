/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * XFS: mkfs.xfs, and growing by XFS_IOC_FSGROWFSDATA while mounted.
 *
 * The kernel refuses to mount two file systems of one UUID, which a volume and its
 * snapshot are: every mount says "nouuid", the original's too. The log of a snapshot is
 * replayed by its first mount, also by a read-only one: the device below must be writable
 * then.
 *
 * A crash in make leaves a device whose contents nobody has been promised. Growing is one
 * transaction: a crash leaves the old size or the new one.
 */

#include <errno.h>
#include <linux/types.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "fs.h"
#include "spawn.h"

/*
 * From fs/xfs/libxfs/xfs_fs.h of the kernel, which xfsprogs installs as <xfs/xfs_fs.h>:
 * too small a part to depend on a package for.
 */
struct geometry {
	__u32 blocksize;
	__u32 rtextsize;
	__u32 agblocks;
	__u32 agcount;
	__u32 logblocks;
	__u32 sectsize;
	__u32 inodesize;
	__u32 imaxpct;
	__u64 datablocks;
	__u64 rtblocks;
	__u64 rtextents;
	__u64 logstart;
	unsigned char uuid[16];
	__u32 sunit;
	__u32 swidth;
	__s32 version;
	__u32 flags;
	__u32 logsectsize;
	__u32 rtsectsize;
	__u32 dirblocksize;
};

struct growth {
	__u64 newblocks;
	__u32 imaxpct;
};

#define GET_GEOMETRY _IOR('X', 100, struct geometry) /* XFS_IOC_FSGEOMETRY_V1 */
#define GROW_DATA    _IOW('X', 110, struct growth)   /* XFS_IOC_FSGROWFSDATA */

/* An allocation group has at least so many blocks (XFS_MIN_AG_BLOCKS): a shorter rest
 * is not used. */
#define MIN_GROUP_BLOCKS 64

/* mkfs.xfs refuses less since 5.19. */
#define MIN_BYTES (UINT64_C(300) << 20)

static int make(const char *device, const char *uuid, bool zeros, char *detail,
		size_t detail_size)
{
	char id[KV_UUID_LEN + sizeof("uuid=")];
	const char *const argv[] = {
		"mkfs.xfs", "-q", "-f", "-K", "-m", id, device, NULL,
	};

	(void)zeros; /* it relies on none */
	(void)snprintf(id, sizeof(id), "uuid=%s", uuid);
	return kv_spawn(argv, kv_deadline(KV_FS_MAKE_MS), detail, detail_size);
}

static int grow(int root_fd, uint64_t device_bytes)
{
	struct growth growth;
	struct geometry geo;
	uint64_t rest;

	if (ioctl(root_fd, GET_GEOMETRY, &geo) < 0)
		return -errno;
	if (geo.blocksize == 0 || geo.agblocks == 0)
		return -EUCLEAN;
	growth = (struct growth){
		.newblocks = device_bytes / geo.blocksize,
		.imaxpct = geo.imaxpct,
	};
	rest = growth.newblocks % geo.agblocks;
	if (rest < MIN_GROUP_BLOCKS)
		growth.newblocks -= rest;
	if (growth.newblocks <= geo.datablocks)
		return 0;
	if (ioctl(root_fd, GROW_DATA, &growth) < 0)
		return -errno;
	return 0;
}

const struct kv_fs kv_fs_xfs = {
	.name = "xfs",
	.min_bytes = MIN_BYTES,
	.mount_options = "nouuid",
	.make = make,
	.grow = grow,
};
