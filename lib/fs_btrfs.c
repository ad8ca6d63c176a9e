/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Btrfs: mkfs.btrfs, growing by BTRFS_IOC_RESIZE while mounted, and a new identity for
 * copies.
 *
 * The kernel knows a btrfs by its fsid and takes a second device of the same fsid for
 * another path of the first: mounting both would mix them up. So a copy gets a new fsid
 * before its first mount. That is a change of the superblock alone, with the feature
 * metadata_uuid: it goes on naming the old fsid as the one that all tree blocks carry. It
 * is not left to btrfstune, whose transaction throws away a log tree (what was fsynced
 * before a power cut) and leaves a superblock that still points at it.
 *
 * A crash in make leaves a device whose contents nobody has been promised. Renewing
 * writes the mirrors first and the superblock itself last: a crash leaves the old one,
 * the new one, or a torn one that is replaced from its mirror when renew is run again, as
 * it must be before the copy is mounted.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "blockdev.h"
#include "fs.h"
#include "spawn.h"

/* mkfs.btrfs is content with 109 MiB (metadata twice, data once), but the kernel
 * resizes to no less than 256 MiB: between the two, a volume could not be expanded. */
#define MIN_BYTES (UINT64_C(256) << 20)

static int make(const char *device, const char *uuid, bool zeros, char *detail,
		size_t detail_size)
{
	const char *const argv[] = {
		"mkfs.btrfs", "-q", "-f", "-K", "-m", "dup", "-d", "single", device, NULL,
	};

	/* Given a UUID (-U), mkfs.btrfs looks for it on every block device of the
	 * host. It makes a random one without looking. */
	(void)uuid;
	(void)zeros; /* it relies on none */
	return kv_spawn(argv, kv_deadline(KV_FS_MAKE_MS), detail, detail_size);
}

static int grow(int root_fd, uint64_t device_bytes)
{
	/* A volume is the only device of its file system, hence number 1. */
	struct btrfs_ioctl_vol_args args = { .name = "1:max" };
	int r;

	(void)device_bytes;
	r = ioctl(root_fd, BTRFS_IOC_RESIZE, &args);
	if (r < 0)
		return -errno;
	/* BTRFS_ERROR_DEV_EXCL_RUN_IN_PROGRESS: somebody balances or resizes it. */
	return r > 0 ? -EBUSY : 0;
}

/* --- A new fsid ------------------------------------------------------------------- */

/*
 * The superblock, as far as it matters here (struct btrfs_super_block of the kernel's
 * fs/btrfs/ctree.h, since 6.4 in <linux/btrfs_tree.h>). Little-endian, and not aligned.
 */
#define SUPER_SIZE    4096
#define FSID	      0x20
#define BYTENR	      0x30
#define MAGIC	      0x40
#define NUM_DEVICES   0x88
#define INCOMPAT      0xbc
#define CSUM_TYPE     0xc4
#define DEVICE_BYTES  0xd1 /* dev_item.total_bytes */
#define METADATA_UUID 0x23b
#define UUID_SIZE     16
#define CSUM_SIZE     32

#define INCOMPAT_METADATA_UUID (UINT64_C(1) << 10)

static const uint64_t places[] = {
	UINT64_C(64) << 10,
	UINT64_C(64) << 20,
	UINT64_C(256) << 30,
};

static uint64_t get64(const unsigned char *super, size_t offset)
{
	uint64_t v;

	memcpy(&v, super + offset, sizeof(v));
	return le64toh(v);
}

static void put64(unsigned char *super, size_t offset, uint64_t v)
{
	v = htole64(v);
	memcpy(super + offset, &v, sizeof(v));
}

static uint32_t checksum(const unsigned char *super)
{
	return ~kv_crc32c(super + CSUM_SIZE, SUPER_SIZE - CSUM_SIZE);
}

/* -EUCLEAN: no superblock, or a damaged one. -EOPNOTSUPP: of a kind that mkfs did not
 * make for us. */
static int read_super(int fd, uint64_t place, unsigned char super[SUPER_SIZE])
{
	uint32_t crc;
	int r;

	r = kv_pread_full(fd, super, SUPER_SIZE, place);
	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	if (memcmp(super + MAGIC, "_BHRfS_M", 8) != 0 || get64(super, BYTENR) != place)
		return -EUCLEAN;
	if (super[CSUM_TYPE] != 0 || super[CSUM_TYPE + 1] != 0 ||
	    get64(super, NUM_DEVICES) != 1)
		return -EOPNOTSUPP;
	memcpy(&crc, super, sizeof(crc));
	return le32toh(crc) == checksum(super) ? 0 : -EUCLEAN;
}

static int write_super(int fd, uint64_t place, unsigned char super[SUPER_SIZE])
{
	uint32_t crc;

	put64(super, BYTENR, place);
	memset(super, 0, CSUM_SIZE);
	crc = htole32(checksum(super));
	memcpy(super, &crc, sizeof(crc));
	return kv_pwrite_full(fd, super, SUPER_SIZE, place);
}

/* What a torn superblock is replaced from: only a mirror that was written by a
 * renewal, since others may be older than the superblock and not know of its log tree. */
static int read_renewed_mirror(int fd, unsigned char super[SUPER_SIZE])
{
	int r = read_super(fd, places[1], super);

	if (r < 0)
		return r;
	return get64(super, INCOMPAT) & INCOMPAT_METADATA_UUID ? 0 : -EUCLEAN;
}

static void set_fsid(unsigned char super[SUPER_SIZE], const unsigned char id[UUID_SIZE])
{
	uint64_t incompat = get64(super, INCOMPAT);

	if (!(incompat & INCOMPAT_METADATA_UUID)) {
		memcpy(super + METADATA_UUID, super + FSID, UUID_SIZE);
		put64(super, INCOMPAT, incompat | INCOMPAT_METADATA_UUID);
	}
	memcpy(super + FSID, id, UUID_SIZE);
}

static int renew(const char *device, const char *uuid)
{
	unsigned char super[SUPER_SIZE], id[KV_UUID_BYTES];
	_cleanup_close_ int fd = -1;
	uint64_t device_bytes, real_bytes;
	int r;

	kv_uuid_bytes(uuid, id);
	/* O_EXCL: not a device that is mounted. */
	fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = read_super(fd, places[0], super);
	if (r == 0 && !memcmp(super + FSID, id, sizeof(id)))
		return 0;
	if (r == -EUCLEAN)
		r = read_renewed_mirror(fd, super);
	if (r < 0)
		return r;
	r = kv_blockdev_size(fd, &real_bytes);
	if (r < 0)
		return r;
	/* Anybody with the device can write this number; the kernel refuses such a file
	 * system, too. Before anything is written: a refusal leaves it as it was. */
	device_bytes = get64(super, DEVICE_BYTES);
	if (device_bytes > real_bytes)
		return -EUCLEAN;
	set_fsid(super, id);
	for (size_t i = KV_ARRAY_SIZE(places); i-- > 0;) {
		if (i > 0 && places[i] + SUPER_SIZE >= device_bytes)
			continue;
		r = write_super(fd, places[i], super);
		if (r < 0)
			return r;
		if (fsync(fd) < 0)
			return -errno;
	}
	return 0;
}

const struct kv_fs kv_fs_btrfs = {
	.name = "btrfs",
	.min_bytes = MIN_BYTES,
	.program = "mkfs.btrfs",
	.revision = 1,
	.make = make,
	.grow = grow,
	.renew = renew,
	.needs_identity = true,
};
