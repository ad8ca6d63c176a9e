// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Partition tables. What is taken for a pool's table is one that a pool can stand on:
 * parts in order, aligned, apart, and on the disk; and it survives being written by
 * kv_gpt_write and read again. Reading never writes.
 *
 * Input: flags, the disk's size in MiB (2 bytes), the last bytes of it that are missing
 * (2 bytes), a partition entry of the protective MBR (16 bytes), a primary and a backup
 * header (92 bytes each), and then the entries, which both have. The flags are those
 * below: without right checksums hardly an input would get anywhere.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "gpt.h"

#define FIX_PRIMARY 0x01u
#define FIX_BACKUP  0x02u
#define SECTOR_4096 0x04u
#define NO_BOOT_SIG 0x08u

#define HEADER	    92u
#define ENTRIES_MAX (128u * 16)
#define MIB	    (UINT64_C(1) << 20)

static uint32_t crc32(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (; n; n--, p++) {
		c ^= *p;
		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* As many entries as the header says count in its checksum, those of zeros as well. */
static void fix(uint8_t header[HEADER], const uint8_t *entries)
{
	static uint8_t all[128 * 128];
	uint32_t n = (uint32_t)header[80] | (uint32_t)header[81] << 8;
	uint32_t size = (uint32_t)header[84] | (uint32_t)header[85] << 8;

	memset(all, 0, sizeof(all));
	memcpy(all, entries, ENTRIES_MAX);
	if ((uint64_t)n * size <= sizeof(all))
		put_le32(header + 88, crc32(all, (size_t)n * size));
	put_le32(header + 12, HEADER);
	put_le32(header + 16, 0);
	put_le32(header + 16, crc32(header, HEADER));
}

static void put(int fd, const void *data, size_t n, uint64_t at, uint64_t bytes)
{
	if (at < bytes && n <= bytes - at)
		CHECK(pwrite(fd, data, n, (off_t)at) == (ssize_t)n);
}

static uint64_t make_disk(int fd, struct input *in)
{
	uint8_t flags = (uint8_t)take_le(in, 1);
	uint64_t bytes = take_le(in, 2) * MIB, missing = take_le(in, 2);
	uint64_t sector = flags & SECTOR_4096 ? 4096 : 512;
	uint8_t mbr[16], primary[HEADER], backup[HEADER], entries[ENTRIES_MAX];
	uint8_t boot[2] = { 0x55, 0xaa };

	take(in, mbr, sizeof(mbr));
	take(in, primary, sizeof(primary));
	take(in, backup, sizeof(backup));
	take(in, entries, sizeof(entries));
	if (flags & FIX_PRIMARY)
		fix(primary, entries);
	if (flags & FIX_BACKUP)
		fix(backup, entries);
	CHECK(ftruncate(fd, (off_t)bytes) == 0);
	put(fd, mbr, sizeof(mbr), 446, bytes);
	if (!(flags & NO_BOOT_SIG))
		put(fd, boot, sizeof(boot), 510, bytes);
	put(fd, primary, HEADER, sector, bytes);
	put(fd, entries, sizeof(entries), 2 * sector, bytes);
	put(fd, backup, HEADER, bytes - sector, bytes);
	put(fd, entries, sizeof(entries), bytes - sector - 128 * 128, bytes);
	bytes -= missing < bytes ? missing : 0;
	CHECK(ftruncate(fd, (off_t)bytes) == 0);
	return bytes;
}

/* Only where there is data: a disk is large and mostly holes. */
static uint64_t digest(int fd)
{
	static uint8_t buf[65536];
	uint64_t h = 0;
	off_t from = 0, to;
	ssize_t n;

	while ((from = lseek(fd, from, SEEK_DATA)) >= 0) {
		to = lseek(fd, from, SEEK_HOLE);
		for (; from < to; from += n) {
			n = pread(fd, buf, sizeof(buf), from);
			CHECK(n > 0);
			h = kv_hash64(buf, (size_t)n, h);
		}
	}
	return h;
}

static void check_extent(const struct kv_extent *e, uint64_t disk, uint64_t unit)
{
	CHECK(e->bytes && e->start_bytes >= MIB && e->start_bytes % MIB == 0);
	CHECK(e->bytes % unit == 0);
	CHECK(e->start_bytes < disk && e->bytes <= disk - e->start_bytes);
}

static void check_layout(const struct kv_layout *l, uint64_t bytes)
{
	CHECK(kv_uuid_valid(l->uuid));
	CHECK(l->device_bytes <= bytes && l->device_bytes % 512 == 0);
	check_extent(&l->catalogue, bytes, MIB);
	check_extent(&l->metadata, bytes, MIB);
	check_extent(&l->data, bytes, 65536);
	CHECK(l->catalogue.start_bytes + l->catalogue.bytes <= l->metadata.start_bytes);
	CHECK(l->metadata.start_bytes + l->metadata.bytes <= l->data.start_bytes);
}

static bool same(const struct kv_extent *a, const struct kv_extent *b)
{
	return a->start_bytes == b->start_bytes && a->bytes == b->bytes;
}

/* libfdisk keeps 34 sectors and a MiB for itself: what it takes it must give back. */
static void check_round_trip(const struct kv_layout *l)
{
	int fd = memfd_create("again", MFD_CLOEXEC);
	struct kv_layout again;

	CHECK(fd >= 0 && ftruncate(fd, (off_t)l->device_bytes) == 0);
	if (kv_gpt_write(fd, "/dev/null", l) == 0) {
		CHECK(kv_gpt_read(fd, &again) == 0);
		CHECK(!strcmp(again.uuid, l->uuid) &&
		      same(&again.catalogue, &l->catalogue) &&
		      same(&again.metadata, &l->metadata) && same(&again.data, &l->data));
	}
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kv_layout l, untouched;
	struct input in = { data, n };
	int fd = memfd_create("disk", MFD_CLOEXEC), r;
	uint64_t bytes, before;

	CHECK(fd >= 0);
	bytes = make_disk(fd, &in);
	before = digest(fd);
	memset(&untouched, 0xa5, sizeof(untouched));
	l = untouched;
	r = kv_gpt_read(fd, &l);
	CHECK(r == 0 || r == -EMEDIUMTYPE || r == -EUCLEAN);
	CHECK(digest(fd) == before);
	if (r == 0) {
		check_layout(&l, bytes);
		check_round_trip(&l);
	} else {
		CHECK(!memcmp(&l, &untouched, sizeof(l)));
	}
	(void)close(fd);
	return 0;
}
