/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * XFS: mkfs.xfs, and growing by XFS_IOC_FSGROWFSDATA while mounted.
 *
 * The kernel refuses to mount two file systems of one UUID, which a volume and its
 * snapshot are: every mount says "nouuid", the original's too. The log of a snapshot is
 * replayed by its first mount, also by a read-only one: the device below must be writable
 * then.
 *
 * A copy that was never mounted gets a UUID of its own, by its superblocks (the feature
 * meta_uuid: they go on naming the UUID that all else carries) and by the one record that
 * mkfs.xfs has put in its log, whose UUID has to be the superblock's. Where the log has
 * more in it the kernel would have to replay that first: such a copy keeps its origin's.
 *
 * A crash in make leaves a device whose contents nobody has been promised. Growing is one
 * transaction: a crash leaves the old size or the new one, and until the next call the old
 * size in the groups' superblocks, which xfs_repair reads and the kernel does not. Renewing
 * writes the first superblock last: before that the copy has its old UUID for whoever asks,
 * cannot be mounted, and must be renewed again.
 */

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

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
	/* The kernel writes the superblocks of the groups when the growth is committed, and
	 * does so again if there is nothing left to grow: a crash in between left old ones. */
	if (growth.newblocks < geo.datablocks)
		return 0;
	if (ioctl(root_fd, GROW_DATA, &growth) < 0)
		return -errno;
	return 0;
}

/* --- A new UUID ------------------------------------------------------------------- */

/* The superblock of each allocation group, as far as it matters here (struct xfs_dsb of the
 * kernel's fs/xfs/libxfs/xfs_format.h). Big-endian, but for its checksum. */
#define SECTOR	     512
#define BLOCK_SIZE   4
#define UUID	     32
#define LOG_START    48
#define GROUP_BLOCKS 84
#define N_GROUPS     88
#define SECTOR_SIZE  102
#define GROUP_LOG    124 /* log2 of the blocks of a group, as block numbers count them */
#define INCOMPAT     216
#define CSUM	     224
#define META_UUID    248
#define SB_VERSION	     100

#define INCOMPAT_META_UUID (1u << 2)

/* A log record's header (struct xlog_rec_header of libxfs/xfs_log_format.h). */
#define RECORD_MAGIC 0xfeedbabeu
#define RECORD_CYCLE 4
#define RECORD_LEN   12
#define RECORD_LSN   16
#define RECORD_TAIL  24
#define RECORD_UUID  304
#define RECORD_SIZE  320
#define RECORD_MAX   32768 /* larger ones have more than one sector of header */

#define GROUPS_MAX 4096 /* mkfs.xfs makes 4, or one for each TiB */

static uint32_t get32(const unsigned char *p, size_t at)
{
	uint32_t v;

	memcpy(&v, p + at, sizeof(v));
	return be32toh(v);
}

static uint64_t get64(const unsigned char *p, size_t at)
{
	return (uint64_t)get32(p, at) << 32 | get32(p, at + 4);
}

static uint32_t checksum(const unsigned char super[SECTOR])
{
	unsigned char copy[SECTOR];

	memcpy(copy, super, SECTOR);
	memset(copy + CSUM, 0, 4);
	return ~kv_crc32c(copy, SECTOR);
}

/* 1: a superblock of ours, of version 5 with sectors of 512 bytes; 0: of another make. */
static int read_super(int fd, uint64_t place, unsigned char super[SECTOR])
{
	uint32_t block_size, csum;
	int r = kv_pread_full(fd, super, SECTOR, place);

	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	block_size = get32(super, BLOCK_SIZE);
	if (memcmp(super, "XFSB", 4) != 0 || block_size < SECTOR || block_size > 65536)
		return -EUCLEAN;
	if ((super[SB_VERSION + 1] & 15) != 5 || super[SECTOR_SIZE] != SECTOR >> 8 ||
	    super[SECTOR_SIZE + 1] != 0)
		return 0;
	memcpy(&csum, super + CSUM, sizeof(csum));
	return le32toh(csum) == checksum(super) ? 1 : -EUCLEAN;
}

static int write_super(int fd, uint64_t place, unsigned char super[SECTOR],
		       const unsigned char id[KV_UUID_BYTES])
{
	uint32_t incompat = get32(super, INCOMPAT), csum;

	if (!(incompat & INCOMPAT_META_UUID)) {
		memcpy(super + META_UUID, super + UUID, KV_UUID_BYTES);
		incompat = htobe32(incompat | INCOMPAT_META_UUID);
		memcpy(super + INCOMPAT, &incompat, sizeof(incompat));
	}
	memcpy(super + UUID, id, KV_UUID_BYTES);
	csum = htole32(checksum(super));
	memcpy(super + CSUM, &csum, sizeof(csum));
	return kv_pwrite_full(fd, super, SECTOR, place);
}

/* In bytes; *ret 0: where there can be none. */
static void find_log(const unsigned char super[SECTOR], uint64_t *ret)
{
	uint64_t start = get64(super, LOG_START);
	unsigned bits = super[GROUP_LOG];
	uint64_t group = bits < 32 ? start >> bits : UINT64_MAX;
	uint64_t block = bits < 32 ? start & ((UINT64_C(1) << bits) - 1) : 0;

	*ret = 0;
	if (start && group < GROUPS_MAX)
		*ret = (group * get32(super, GROUP_BLOCKS) + block) *
		       get32(super, BLOCK_SIZE);
}

/* 1: the log has mkfs's record, which says that there is nothing to do, and no more. */
static int read_log(int fd, uint64_t log, unsigned char record[SECTOR])
{
	unsigned char next[SECTOR];
	uint32_t len;
	int r = kv_pread_full(fd, record, SECTOR, log);

	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	len = get32(record, RECORD_LEN);
	if (get32(record, 0) != RECORD_MAGIC || get32(record, RECORD_CYCLE) != 1 ||
	    get64(record, RECORD_LSN) != UINT64_C(1) << 32 ||
	    get64(record, RECORD_TAIL) != UINT64_C(1) << 32 ||
	    get32(record, RECORD_SIZE) > RECORD_MAX || len > RECORD_MAX * 8)
		return 0;
	r = kv_pread_full(fd, next, SECTOR, log + SECTOR + kv_round_up(len, SECTOR));
	if (r < 0)
		return r == -ENODATA ? -EUCLEAN : r;
	return get32(next, 0) != RECORD_MAGIC;
}

static int renew_groups(int fd, const unsigned char first[SECTOR],
			const unsigned char id[KV_UUID_BYTES])
{
	uint64_t bytes = (uint64_t)get32(first, GROUP_BLOCKS) * get32(first, BLOCK_SIZE);
	uint32_t n = get32(first, N_GROUPS);
	unsigned char super[SECTOR];
	int r = 0;

	if (n > GROUPS_MAX)
		return -EOPNOTSUPP;
	for (uint32_t i = 1; i < n && r >= 0; i++) {
		r = read_super(fd, i * bytes, super);
		if (r == 0)
			r = -EUCLEAN; /* the first is not like that */
		if (r > 0)
			r = write_super(fd, i * bytes, super, id);
	}
	return r;
}

static int renew(const char *device, const char *uuid)
{
	unsigned char super[SECTOR], record[SECTOR], id[KV_UUID_BYTES];
	_cleanup_close_ int fd = -1;
	uint64_t log;
	int r;

	kv_uuid_bytes(uuid, id);
	/* O_EXCL: not a device that is mounted. */
	fd = open(device, O_RDWR | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = read_super(fd, 0, super);
	if (r <= 0 || !memcmp(super + UUID, id, sizeof(id)))
		return r < 0 ? r : 0;
	find_log(super, &log);
	r = log ? read_log(fd, log, record) : 0;
	if (r <= 0)
		return r;
	memcpy(record + RECORD_UUID, id, sizeof(id));
	r = renew_groups(fd, super, id);
	if (r >= 0)
		r = kv_pwrite_full(fd, record, SECTOR, log);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		r = write_super(fd, 0, super, id);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

const struct kv_fs kv_fs_xfs = {
	.name = "xfs",
	.min_bytes = MIN_BYTES,
	.mount_options = "nouuid",
	.program = "mkfs.xfs",
	.revision = 1,
	.make = make,
	.grow = grow,
	.renew = renew,
};
