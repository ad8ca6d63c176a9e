/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ext4: mkfs.ext4, and growing by EXT4_IOC_RESIZE_FS while mounted.
 *
 * What decides how far and how well a file system can grow is given explicitly, as it
 * must not depend on the size that the volume starts with, nor on the host's mke2fs.conf:
 * blocks of 4 KiB, an inode for every 16 KiB, 64-bit block numbers, and descriptor blocks
 * kept free for growing to 1024 times the size. Beyond those the kernel goes over to
 * meta_bg by itself.
 *
 * What the kernel does when it meets damage is said at each mount. Left to the
 * superblock, whoever can write the volume's device could have it panic the host.
 *
 * A copy gets a UUID of its own by its superblock alone: checksums are seeded with another
 * number that stays (metadata_csum_seed). The superblock's backups keep the UUID of the
 * origin; e2fsck(8) brings them up to date. A copy that was caught mounted has the old
 * superblock in its journal, too, and keeps it all.
 *
 * A crash in make leaves a device whose contents nobody has been promised. Growing is a
 * series of journalled steps: a crash leaves a smaller file system, which the next call
 * grows on. Renewing is one write of half a sector's worth: whole or absent.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "fs.h"
#include "spawn.h"

/* fs/ext4/ext4.h; in <linux/ext4.h> since 5.19. */
#ifndef EXT4_IOC_RESIZE_FS
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, __u64)
#endif

/* mke2fs makes no journal in less than 2048 blocks, and not having one is no choice of
 * ours. */
#define MIN_BYTES (UINT64_C(2048) * 4096)

static int mkfs(const char *device, const char *uuid, const char *extended,
		int64_t deadline_ms, char *detail, size_t detail_size)
{
	/* No blocks are kept back for root (-m 0): a volume has one owner, whose quota
	 * it is, and the space that keeps a host alive is on another file system. */
	const char *const argv[] = {
		"mkfs.ext4",
		"-q",
		"-F",
		"-U",
		uuid,
		"-m",
		"0",
		"-b",
		"4096",
		"-I",
		"256",
		"-i",
		"16384",
		"-O",
		"has_journal,extent,flex_bg,64bit,metadata_csum,metadata_csum_seed,"
		"resize_inode",
		"-E",
		extended,
		device,
		NULL,
	};

	return kv_spawn(argv, deadline_ms, detail, detail_size);
}

static int make(const char *device, const char *uuid, bool zeros, char *detail,
		size_t detail_size)
{
	int64_t deadline_ms = kv_deadline(KV_FS_MAKE_MS);
	int r = -EIO;

	/* A new thin volume reads as zeros. To say so keeps the kernel from writing zeros
	 * over the inode tables (1.6 % of the volume) after the first mount. */
	if (zeros)
		r = mkfs(device, uuid, "nodiscard,assume_storage_prezeroed=1",
			 deadline_ms, detail, detail_size);
	if (r != -EIO)
		return r;
	/* e2fsprogs before 1.47 do not know it; if something else was wrong it is so
	 * again. In noise there is no block of a journal either. */
	return mkfs(device, uuid, "nodiscard,lazy_itable_init=1,lazy_journal_init=1",
		    deadline_ms, detail, detail_size);
}

/* The C library has it, and declares it nowhere. */
int capget(cap_user_header_t header, cap_user_data_t data);

static bool may_resize(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return capget(&header, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &
		       CAP_TO_MASK(CAP_SYS_RESOURCE);
}

/* Needs CAP_SYS_RESOURCE beside CAP_SYS_ADMIN. Without it the kernel says EPERM; and also
 * for a file system that has met errors, which it does not grow before it was checked. */
static int grow(int root_fd, uint64_t device_bytes)
{
	struct statfs st;
	__u64 blocks;

	if (fstatfs(root_fd, &st) < 0)
		return -errno;
	if (st.f_bsize <= 0)
		return -EUCLEAN;
	blocks = device_bytes / (uint64_t)st.f_bsize;
	if (ioctl(root_fd, EXT4_IOC_RESIZE_FS, &blocks) < 0)
		return errno == EPERM && may_resize() ? -EUCLEAN : -errno;
	return 0;
}

/* What it keeps in its superblock. The kernel's later ones do not show it as read-only
 * after an error, although it takes no writes any more. */
static int ext4_has_errors(dev_t dev)
{
	char path[64], count[32];

	(void)snprintf(path, sizeof(path), "/sys/fs/ext4/dm-%u/errors_count", minor(dev));
	return kv_read_file_at(AT_FDCWD, path, count, sizeof(count)) == 0 &&
	       strtoull(count, NULL, 10) > 0;
}

/* --- A new UUID ------------------------------------------------------------------- */

/* The superblock, as far as it matters here (struct ext4_super_block of the kernel's
 * fs/ext4/ext4.h). Little-endian. */
#define SUPER_PLACE  1024
#define SUPER_SIZE   1024
#define MTIME	     0x2c
#define MNT_COUNT    0x34
#define MAGIC	     0x38
#define STATE	     0x3a
#define INCOMPAT     0x60
#define UUID	     0x68
#define HASH_SEED    0xec
#define HASH_SIZE    16
#define CSUM_TYPE    0x175
#define CSUM	     0x3fc

#define STATE_CLEAN	   1u
#define INCOMPAT_RECOVER   (1u << 2)
#define INCOMPAT_CSUM_SEED (1u << 13)
#define CSUM_TYPE_CRC32C   1

static uint16_t get16(const unsigned char *super, size_t at)
{
	return (uint16_t)(super[at] | super[at + 1] << 8);
}

static uint32_t get32(const unsigned char *super, size_t at)
{
	return get16(super, at) | (uint32_t)get16(super, at + 2) << 16;
}

/* 1: it can be given another UUID; 0: not without replaying its journal, or the checksums
 * hang on it. */
static int read_super(int fd, unsigned char super[SUPER_SIZE])
{
	int r = kv_pread_full(fd, super, SUPER_SIZE, SUPER_PLACE);

	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	if (get16(super, MAGIC) != 0xef53)
		return -EUCLEAN;
	if (super[CSUM_TYPE] != CSUM_TYPE_CRC32C ||
	    !(get32(super, INCOMPAT) & INCOMPAT_CSUM_SEED))
		return 0;
	if (get32(super, CSUM) != kv_crc32c(super, CSUM))
		return -EUCLEAN;
	return get16(super, STATE) == STATE_CLEAN &&
	       !(get32(super, INCOMPAT) & INCOMPAT_RECOVER);
}

/* Names in directories are hashed with a secret seed. Once there are such directories it
 * stays; before the first mount there are none. */
static int set_hash_seed(unsigned char super[SUPER_SIZE])
{
	if (get32(super, MTIME) || get16(super, MNT_COUNT))
		return 0;
	return getrandom(super + HASH_SEED, HASH_SIZE, 0) == HASH_SIZE ? 0 : -EIO;
}

static int renew(const char *device, const char *uuid)
{
	_cleanup_close_ int fd = -1;
	unsigned char super[SUPER_SIZE], id[KV_UUID_BYTES];
	uint32_t csum;
	int r;

	kv_uuid_bytes(uuid, id);
	/* O_EXCL: not a device that is mounted. */
	fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = read_super(fd, super);
	if (r <= 0 || !memcmp(super + UUID, id, sizeof(id)))
		return r < 0 ? r : 0;
	r = set_hash_seed(super);
	if (r < 0)
		return r;
	memcpy(super + UUID, id, sizeof(id));
	csum = htole32(kv_crc32c(super, CSUM));
	memcpy(super + CSUM, &csum, sizeof(csum));
	/* Mounting writes it again, and waits for that. */
	return kv_pwrite_full(fd, super, SUPER_SIZE, SUPER_PLACE);
}

const struct kv_fs kv_fs_ext4 = {
	.name = "ext4",
	.min_bytes = MIN_BYTES,
	.mount_options = "errors=remount-ro",
	.program = "mkfs.ext4",
	.defaults = "/etc/mke2fs.conf",
	.revision = 1,
	.make = make,
	.grow = grow,
	.renew = renew,
	.has_errors = ext4_has_errors,
};
