// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The superblocks of an ext4 and of an XFS, in which kvol itself writes a copy's own UUID:
 * fuzz_btrfs.c is the like for the third. Anything may be on the device: a tenant can
 * write it. Damage is reported; of what is renewed nothing changes but what has the
 * identity in it, which is whole then, and a second renewal changes nothing.
 *
 * Input: flags, the device's size in KiB (1 byte), and patches: sector (1 byte), length
 * (2 bytes), contents. With flag FIX the superblocks get their right checksums.
 */
#include "fs.h"
#include "fuzz.h"
#include "scratch.h"

#define XFS    0x01u
#define FIX    0x02u
#define SECTOR 512u
#define MOST   (256u << 10)

static void put_le(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void fix_xfs(uint8_t *super)
{
	put_le(super + 224, 0);
	put_le(super + 224, ~crc32c(super, SECTOR));
}

static bool is_xfs_super(const uint8_t *p)
{
	uint8_t copy[SECTOR];

	memcpy(copy, p, SECTOR);
	fix_xfs(copy);
	return !memcmp(p, "XFSB", 4) && !memcmp(copy, p, SECTOR);
}

static void fix(uint8_t *device, size_t bytes, bool xfs)
{
	if (!xfs && bytes >= 2048)
		put_le(device + 1024 + 0x3fc, crc32c(device + 1024, 0x3fc));
	for (size_t at = 0; xfs && at + SECTOR <= bytes; at += SECTOR)
		if (!memcmp(device + at, "XFSB", 4))
			fix_xfs(device + at);
}

#define COPY "1d3c8b63-6b4d-4d54-8eae-6b1d7b4d9c22"
static const uint8_t copy[16] = { 0x1d, 0x3c, 0x8b, 0x63, 0x6b, 0x4d, 0x4d, 0x54,
				  0x8e, 0xae, 0x6b, 0x1d, 0x7b, 0x4d, 0x9c, 0x22 };

/* The seed of the hashes is random until the first mount. */
static void check_ext4(const uint8_t *before, const uint8_t *after, size_t bytes)
{
	static uint8_t want[MOST];
	const size_t super = 1024;

	memcpy(want, before, bytes);
	memcpy(want + super + 0x68, copy, 16);
	if (!memcmp(before + super + 0x2c, "\0\0\0\0", 4) &&
	    !memcmp(before + super + 0x34, "\0\0", 2))
		memcpy(want + super + 0xec, after + super + 0xec, 16);
	put_le(want + super + 0x3fc, crc32c(want + super, 0x3fc));
	CHECK(!memcmp(want, after, bytes));
}

/* Each sector that has changed is a superblock with the UUID, which still has the old one
 * for what lies below it; or it is the log's one record, with that in its UUID's place. */
static void check_xfs(const uint8_t *before, const uint8_t *after, size_t bytes)
{
	unsigned records = 0;

	CHECK(is_xfs_super(after) && !memcmp(after + 32, copy, 16));
	for (size_t at = 0; at + SECTOR <= bytes; at += SECTOR) {
		uint8_t want[SECTOR];

		if (!memcmp(before + at, after + at, SECTOR))
			continue;
		memcpy(want, before + at, SECTOR);
		if (memcmp(want, "XFSB", 4) != 0) {
			memcpy(want + 304, copy, 16);
			records++;
		} else {
			if (!(want[219] & 4))
				memcpy(want + 248, want + 32, 16);
			want[219] |= 4;
			memcpy(want + 32, copy, 16);
			fix_xfs(want);
		}
		CHECK(!memcmp(want, after + at, SECTOR));
	}
	CHECK(records <= 1);
}

static void read_all(int fd, uint8_t *ret, size_t bytes)
{
	CHECK(pread(fd, ret, bytes, 0) == (ssize_t)bytes);
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t before[MOST], after[MOST], again[MOST];
	struct input in = { data, n };
	uint8_t flags = (uint8_t)take_le(&in, 1);
	const struct kv_fs *fs = flags & XFS ? &kv_fs_xfs : &kv_fs_ext4;
	size_t bytes = take_le(&in, 1) << 10;
	char path[128];
	int fd, r;

	memset(before, 0, sizeof(before));
	for (int i = 0; in.left && i < 16; i++) {
		size_t at = take_le(&in, 1) * SECTOR, length = take_le(&in, 2) % 2048;

		if (at + length <= bytes)
			take(&in, before + at, length);
	}
	if (flags & FIX)
		fix(before, bytes, flags & XFS);
	CHECK(scratch() >= 0);
	scratch_write(scratch(), "device", before, bytes);
	(void)snprintf(path, sizeof(path), "%s/device", scratch_path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	r = fs->renew(path, COPY);
	CHECK(r == 0 || r == -EUCLEAN || r == -EOPNOTSUPP);
	read_all(fd, after, bytes);
	if (r == 0 && memcmp(before, after, bytes) != 0) {
		if (flags & XFS)
			check_xfs(before, after, bytes);
		else
			check_ext4(before, after, bytes);
		CHECK(fs->renew(path, COPY) == 0);
		read_all(fd, again, bytes);
		CHECK(!memcmp(again, after, bytes));
	} else if (r < 0 && !(flags & XFS)) {
		CHECK(!memcmp(before, after, bytes));
	} else if (r < 0 && bytes >= SECTOR) {
		CHECK(!memcmp(before, after, SECTOR)); /* the first is the last one written */
	}
	(void)close(fd);
	return 0;
}
