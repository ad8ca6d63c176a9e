// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The superblock of a btrfs, which kvol itself changes in a copy before its first mount.
 * Anything may be in there: a tenant can write it. Damage is reported and left as it is.
 * What is renewed has another fsid, tree blocks that are known by the old one, and
 * nothing else changed; and what is no superblock's place stays as it was.
 *
 * Input: flags, the device's size in MiB (2 bytes), and superblocks: place (1 byte),
 * length (2 bytes), contents. With flag FIX each gets its own place and a right checksum.
 */
#include "fs.h"
#include "fuzz.h"
#include "scratch.h"

#define FIX	  0x01u
#define SUPER	  4096u
#define MIB	  (UINT64_C(1) << 20)
#define N_PLACES  3u
#define INCOMPAT  0xbcu
#define META_UUID 0x23bu
#define FSID	  0x20u
#define META_BIT  0x04u /* in the second byte of the features */

static const uint64_t places[N_PLACES] = { 64 << 10, 64 << 20, UINT64_C(256) << 30 };

static void fix(uint8_t super[SUPER], uint64_t place)
{
	uint32_t crc;

	for (int i = 0; i < 8; i++)
		super[0x30 + i] = (uint8_t)(place >> 8 * i);
	memset(super, 0, 32);
	crc = ~crc32c(super + 32, SUPER - 32);
	for (int i = 0; i < 4; i++)
		super[i] = (uint8_t)(crc >> 8 * i);
}

static bool whole(const uint8_t super[SUPER], uint64_t place)
{
	uint8_t copy[SUPER];

	memcpy(copy, super, SUPER);
	fix(copy, place);
	return !memcmp(copy, super, SUPER) && !memcmp(super + 0x40, "_BHRfS_M", 8);
}

static void read_super(int fd, unsigned i, uint8_t super[SUPER])
{
	memset(super, 0, SUPER);
	(void)!pread(fd, super, SUPER, (off_t)places[i]);
}

/* What of a superblock a renewal may change: checksum, fsid, place, feature bit, metadata
 * uuid. */
static void mask(uint8_t super[SUPER])
{
	memset(super, 0, 0x38);
	super[INCOMPAT + 1] &= (uint8_t)~META_BIT;
	memset(super + META_UUID, 0, 16);
}

#define COPY "1d3c8b63-6b4d-4d54-8eae-6b1d7b4d9c22"
static const uint8_t copy[16] = { 0x1d, 0x3c, 0x8b, 0x63, 0x6b, 0x4d, 0x4d, 0x54,
				  0x8e, 0xae, 0x6b, 0x1d, 0x7b, 0x4d, 0x9c, 0x22 };

static void check_renewed(const uint8_t *source, const uint8_t after[SUPER])
{
	uint8_t a[SUPER], b[SUPER];

	CHECK(whole(after, places[0]));
	CHECK(!memcmp(after + FSID, copy, 16));
	if (!memcmp(source + FSID, copy, 16))
		return; /* nothing to do */
	CHECK(after[INCOMPAT + 1] & META_BIT);
	CHECK(!memcmp(after + META_UUID,
		      source[INCOMPAT + 1] & META_BIT ? source + META_UUID
						      : source + FSID,
		      16));
	memcpy(a, source, SUPER);
	memcpy(b, after, SUPER);
	mask(a);
	mask(b);
	CHECK(!memcmp(a, b, SUPER));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t before[N_PLACES][SUPER], after[SUPER];
	struct input in = { data, n };
	uint8_t flags = (uint8_t)take_le(&in, 1);
	uint64_t bytes = (take_le(&in, 2) % 512) * MIB;
	char path[128];
	int fd, r;

	CHECK(scratch() >= 0);
	(void)snprintf(path, sizeof(path), "%s/device", scratch_path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	for (int i = 0; in.left && i < 8; i++) {
		uint8_t super[SUPER] = { 0 };
		unsigned place = (unsigned)take_le(&in, 1) % N_PLACES;

		take(&in, super, take_le(&in, 2) % (SUPER + 1));
		if (flags & FIX)
			fix(super, places[place]);
		if (places[place] + SUPER <= bytes)
			CHECK(pwrite(fd, super, SUPER, (off_t)places[place]) == SUPER);
	}
	for (unsigned i = 0; i < N_PLACES; i++)
		read_super(fd, i, before[i]);
	r = kv_fs_btrfs.renew(path, COPY);
	CHECK(r == 0 || r == -EUCLEAN || r == -EOPNOTSUPP);
	read_super(fd, 0, after);
	if (r == 0)
		check_renewed(whole(before[0], places[0]) ? before[0] : before[1], after);
	else
		CHECK(!memcmp(after, before[0], SUPER));
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)bytes);
	(void)close(fd);
	return 0;
}
