/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The partition table on plain files: what is written is read back, damage is told from
 * absence, and no table, however hostile, is believed beyond its bounds. Hostile ones are
 * built here, byte by byte and with correct checksums.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "gpt.h"

#define MIB	   (UINT64_C(1) << 20)
#define DISK_BYTES (128 * MIB)
#define UUID	   "0f1e2d3c-4b5a-4968-8776-655443322110"

/* As doc/on-disk-format.md has them, in the order of the bytes on the disk. */
static const unsigned char type_catalogue[16] = {
	0xb5, 0x53, 0xae, 0xe4, 0xd6, 0x99, 0x5c, 0x4c,
	0xaf, 0xf7, 0xe3, 0x58, 0xa5, 0xe8, 0x97, 0x30,
};
static const unsigned char type_metadata[16] = {
	0x3d, 0x70, 0x06, 0x51, 0x5c, 0xc9, 0xfc, 0x4d,
	0x99, 0xf3, 0x88, 0xbe, 0xa1, 0xcf, 0xd8, 0xba,
};
static const unsigned char type_data[16] = {
	0x65, 0x73, 0xce, 0x49, 0xed, 0xaa, 0x0e, 0x47,
	0x8e, 0xc3, 0x0f, 0x8c, 0x7c, 0x03, 0xbf, 0xce,
};
static const unsigned char type_linux[16] = {
	0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47,
	0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4,
};

/* --- Files ------------------------------------------------------------------------ */

static int new_file(uint64_t bytes)
{
	char path[] = "/tmp/kvol-test-gpt-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void poke(int fd, uint64_t at, const void *data, size_t n)
{
	assert_int_equal(kv_pwrite_full(fd, data, n, at), 0);
}

static void zero(int fd, uint64_t at, size_t n)
{
	void *zeros = calloc(1, n);

	assert_non_null(zeros);
	poke(fd, at, zeros, n);
	free(zeros);
}

static void flip(int fd, uint64_t at)
{
	unsigned char c;

	assert_int_equal(kv_pread_full(fd, &c, 1, at), 0);
	c ^= 0x10;
	poke(fd, at, &c, 1);
}

static uint64_t hash_file(int fd, uint64_t bytes)
{
	char *buf = malloc(MIB);
	uint64_t hash = 0;

	assert_non_null(buf);
	for (uint64_t at = 0; at < bytes; at += MIB) {
		assert_int_equal(kv_pread_full(fd, buf, MIB, at), 0);
		hash = kv_hash64(buf, MIB, hash);
	}
	free(buf);
	return hash;
}

static void plan(uint64_t bytes, struct kv_layout *ret)
{
	struct kv_geometry geo = { 0 };

	assert_int_equal(kv_layout_plan(bytes, &geo, ret, NULL), 0);
	assert_true(kv_strcpy(ret->uuid, sizeof(ret->uuid), UUID));
}

static void assert_same(const struct kv_layout *a, const struct kv_layout *b)
{
	assert_string_equal(a->uuid, b->uuid);
	assert_int_equal(a->device_bytes, b->device_bytes);
	assert_memory_equal(&a->catalogue, &b->catalogue, sizeof(a->catalogue));
	assert_memory_equal(&a->metadata, &b->metadata, sizeof(a->metadata));
	assert_memory_equal(&a->data, &b->data, sizeof(a->data));
}

/* A file with a whole label on it. */
static int new_pool(struct kv_layout *ret)
{
	int fd = new_file(DISK_BYTES);

	plan(DISK_BYTES, ret);
	assert_int_equal(kv_gpt_write(fd, "test.img", ret), 0);
	return fd;
}

/* Reads and expects r; on failure the output must be untouched. */
static void expect(int fd, int r)
{
	struct kv_layout got, before;

	memset(&got, 0x5a, sizeof(got));
	before = got;
	assert_int_equal(kv_gpt_read(fd, &got), r);
	if (r < 0)
		assert_memory_equal(&got, &before, sizeof(got));
}

static void expect_layout(int fd, const struct kv_layout *l)
{
	struct kv_layout got;

	assert_int_equal(kv_gpt_read(fd, &got), 0);
	assert_same(&got, l);
}

/* --- Tables of our own making ----------------------------------------------------- */

struct entry {
	const unsigned char *type;
	uint64_t first_lba;
	uint64_t last_lba;
};

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static void put64(unsigned char *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t crc32(const unsigned char *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
	}
	return ~crc;
}

static void put_header(int fd, unsigned sector, uint64_t lba, uint64_t other,
		       uint64_t entries_lba, uint64_t last, uint32_t n_entries,
		       uint32_t entries_crc)
{
	unsigned char h[92] = "EFI PART";

	put32(h + 8, 0x00010000);
	put32(h + 12, sizeof(h));
	put64(h + 24, lba);
	put64(h + 32, other);
	put64(h + 40, 34);
	put64(h + 48, last - 33);
	memcpy(h + 56, type_linux, 16); /* any GUID will do */
	put64(h + 72, entries_lba);
	put32(h + 80, n_entries);
	put32(h + 84, 128);
	put32(h + 88, entries_crc);
	put32(h + 16, crc32(h, sizeof(h)));
	poke(fd, lba * sector, h, sizeof(h));
}

static int new_table(unsigned sector, uint32_t n_entries, const struct entry *e, size_t n)
{
	static unsigned char entries[128 * 128];
	unsigned char mbr[512] = { 0 };
	int fd = new_file(DISK_BYTES);
	uint64_t last = DISK_BYTES / sector - 1;
	uint64_t backup = last - sizeof(entries) / sector;
	uint32_t crc;

	memset(entries, 0, sizeof(entries));
	for (size_t i = 0; i < n; i++) {
		unsigned char *p = entries + i * 128;

		memcpy(p, e[i].type, 16);
		p[16] = (unsigned char)(i + 1);
		put64(p + 32, e[i].first_lba);
		put64(p + 40, e[i].last_lba);
	}
	crc = crc32(entries, sizeof(entries));
	poke(fd, 2 * sector, entries, sizeof(entries));
	poke(fd, backup * sector, entries, sizeof(entries));
	put_header(fd, sector, 1, last, 2, last, n_entries, crc);
	put_header(fd, sector, last, 1, backup, last, n_entries, crc);

	mbr[446 + 4] = 0xee;
	put32(mbr + 446 + 8, 1);
	put32(mbr + 446 + 12, (uint32_t)last);
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	poke(fd, 0, mbr, sizeof(mbr));
	return fd;
}

static void expect_table(const struct entry *e, size_t n, int r)
{
	int fd = new_table(512, 128, e, n);

	expect(fd, r);
	close(fd);
}

/* Sectors of 512 bytes in 1 MiB; the good table that the bad ones differ from. */
#define M 2048u
#define CATALOGUE                                 \
	{                                         \
		type_catalogue, 1 * M, 34 * M - 1 \
	}
#define METADATA                                  \
	{                                         \
		type_metadata, 34 * M, 43 * M - 1 \
	}
#define DATA                                   \
	{                                      \
		type_data, 43 * M, 127 * M - 1 \
	}

/* --- Writing and reading ---------------------------------------------------------- */

static void what_is_written_is_read_back(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	expect_layout(fd, &l);
	close(fd);
}

/* That is, what other tools see. */
static void types_names_and_attributes_are_as_documented(void **state)
{
	static const unsigned char *const types[] = { type_catalogue, type_metadata,
						      type_data };
	static const char *const names[] = { "kvol-catalogue", "kvol-metadata",
					     "kvol-data" };
	/* UUID, its first three fields little-endian */
	static const unsigned char guid[16] = {
		0x3c, 0x2d, 0x1e, 0x0f, 0x5a, 0x4b, 0x68, 0x49,
		0x87, 0x76, 0x65, 0x54, 0x43, 0x32, 0x21, 0x10,
	};
	unsigned char buf[512], entry[128], attributes[8];
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	assert_int_equal(kv_pread_full(fd, buf, sizeof(buf), 512), 0);
	assert_memory_equal(buf, "EFI PART", 8);
	assert_memory_equal(buf + 56, guid, 16);
	put64(attributes, UINT64_C(1) << 63);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(kv_pread_full(fd, entry, sizeof(entry), 1024 + i * 128),
				 0);
		assert_memory_equal(entry, types[i], 16);
		assert_memory_equal(entry + 48, attributes, 8);
		for (size_t c = 0; c <= strlen(names[i]); c++) {
			assert_int_equal(entry[56 + 2 * c], names[i][c]);
			assert_int_equal(entry[57 + 2 * c], 0);
		}
	}
	assert_int_equal(kv_pread_full(fd, entry, sizeof(entry), 1024 + 3 * 128), 0);
	assert_int_equal(entry[0], 0);
	close(fd);
}

static void writing_replaces_an_older_table(void **state)
{
	static const struct entry other[] = { { type_linux, 2 * M, 100 * M - 1 } };
	struct kv_layout l;
	int fd = new_table(512, 128, other, 1);

	(void)state;
	plan(DISK_BYTES, &l);
	assert_int_equal(kv_gpt_write(fd, "test.img", &l), 0);
	expect_layout(fd, &l);
	assert_true(kv_strcpy(l.uuid, sizeof(l.uuid),
			      "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"));
	assert_int_equal(kv_gpt_write(fd, "test.img", &l), 0);
	expect_layout(fd, &l);
	close(fd);
}

static void a_layout_beyond_the_device_is_not_written(void **state)
{
	struct kv_layout l;
	int fd = new_file(DISK_BYTES / 2);

	(void)state;
	plan(DISK_BYTES, &l);
	assert_true(kv_gpt_write(fd, "test.img", &l) < 0);
	expect(fd, -EMEDIUMTYPE);
	close(fd);
}

static void writing_through_a_readonly_fd_fails(void **state)
{
	struct kv_layout l;
	char path[64];
	int fd = new_file(DISK_BYTES), ro;

	(void)state;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ro >= 0);
	plan(DISK_BYTES, &l);
	assert_true(kv_gpt_write(ro, "test.img", &l) < 0);
	expect(fd, -EMEDIUMTYPE);
	close(ro);
	close(fd);
}

static void reading_writes_nothing(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);
	uint64_t before;

	(void)state;
	flip(fd, 512 + 60); /* a reader that repairs would repair this */
	before = hash_file(fd, DISK_BYTES);
	expect_layout(fd, &l);
	assert_true(hash_file(fd, DISK_BYTES) == before);
	close(fd);
}

static void no_table_is_no_pool(void **state)
{
	static const uint64_t sizes[] = { 0,	1,   512,     4096,	 8191,
					  8192, MIB, 2 * MIB, DISK_BYTES };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(sizes); i++) {
		int fd = new_file(sizes[i]);

		expect(fd, -EMEDIUMTYPE);
		close(fd);
	}
}

static void what_is_no_disk_is_an_error(void **state)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	expect(fd, -ENOTBLK);
	close(fd);
	expect(-1, -EBADF);
}

/* --- Damage ----------------------------------------------------------------------- */

static void one_damaged_copy_is_no_harm(void **state)
{
	/* primary header, primary entries, backup entries, backup header */
	const uint64_t at[] = {
		512, 512 + 60, 1024, 1024 + 40, DISK_BYTES - 33 * 512, DISK_BYTES - 512
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(at); i++) {
		struct kv_layout l;
		int fd = new_pool(&l);

		flip(fd, at[i]);
		expect_layout(fd, &l);
		close(fd);
	}
}

static void a_damaged_copy_is_found_and_mended(void **state)
{
	static const uint64_t places[] = { 512 + 30, 1024 + 40, DISK_BYTES - 512 + 16,
					   DISK_BYTES - 33 * 512 + 5 };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(places); i++) {
		struct kv_layout l;
		int fd = new_pool(&l);
		uint64_t whole = hash_file(fd, DISK_BYTES);

		assert_int_equal(kv_gpt_check(fd), 0);
		flip(fd, places[i]);
		assert_int_equal(kv_gpt_check(fd), 1);
		assert_int_equal(kv_gpt_mend(fd, "test.img"), 0);
		assert_int_equal(kv_gpt_check(fd), 0);
		assert_int_equal(hash_file(fd, DISK_BYTES), whole);
		expect_layout(fd, &l);
		(void)close(fd);
	}
}

static void two_damaged_copies_are_not_mended(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);
	uint64_t hash;

	(void)state;
	flip(fd, 512 + 30);
	flip(fd, DISK_BYTES - 512 + 16);
	hash = hash_file(fd, DISK_BYTES);
	assert_int_equal(kv_gpt_check(fd), -EUCLEAN);
	assert_true(kv_gpt_mend(fd, "test.img") < 0);
	assert_int_equal(hash_file(fd, DISK_BYTES), hash);
	(void)close(fd);
}

static void two_damaged_headers_are_no_pool(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	flip(fd, 512 + 60);
	flip(fd, DISK_BYTES - 512 + 60);
	expect(fd, -EMEDIUMTYPE);
	close(fd);
}

/* A header is whole, and one of our types can still be read: somebody's volumes are
 * here. */
static void damaged_entries_in_both_copies_are_a_damaged_pool(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	flip(fd, 1024 + 40);
	flip(fd, DISK_BYTES - 33 * 512 + 40);
	expect(fd, -EUCLEAN);
	close(fd);
}

/* As mkfs of another leaves it; the backup must not bring the pool back. */
static void a_wiped_first_sector_is_no_pool(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	zero(fd, 0, 512);
	expect(fd, -EMEDIUMTYPE);
	zero(fd, 0, 64 * 1024);
	expect(fd, -EMEDIUMTYPE);
	close(fd);
}

static void a_truncated_file_is_a_damaged_pool(void **state)
{
	/* from one byte off to nothing but the primary table left */
	static const uint64_t sizes[] = {
		DISK_BYTES - 1, DISK_BYTES - 512, DISK_BYTES - 4096, DISK_BYTES - MIB,
		DISK_BYTES / 2, 3 * MIB,	  2 * MIB,	     MIB,
		64 * 1024,
	};
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(sizes); i++) {
		assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
		expect(fd, -EUCLEAN);
	}
	close(fd);
}

static void a_grown_file_keeps_its_layout(void **state)
{
	struct kv_layout l;
	int fd = new_pool(&l);

	(void)state;
	assert_int_equal(ftruncate(fd, 2 * DISK_BYTES), 0);
	expect_layout(fd, &l); /* with the size that the label was written for */
	close(fd);
}

static void a_truncated_disk_of_others_is_no_pool(void **state)
{
	static const struct entry e[] = { { type_linux, 2 * M, 100 * M - 1 } };
	int fd = new_table(512, 128, e, 1);

	(void)state;
	assert_int_equal(ftruncate(fd, DISK_BYTES / 2), 0);
	expect(fd, -EMEDIUMTYPE);
	close(fd);
}

/* Deterministic noise: whatever happens to a table, the answer is the truth or an
 * error. */
static void noise_is_never_believed(void **state)
{
	struct kv_layout l, got;
	int fd = new_pool(&l);
	unsigned char good[2][20480];
	uint32_t x = 1;

	(void)state;
	assert_int_equal(kv_pread_full(fd, good[0], sizeof(good[0]), 0), 0);
	assert_int_equal(
		kv_pread_full(fd, good[1], sizeof(good[1]), DISK_BYTES - sizeof(good[1])),
		0);
	for (int round = 0; round < 400; round++) {
		for (int i = 0; i < 6; i++) {
			uint64_t at;

			x = x * 1664525 + 1013904223;
			at = (x >> 8) % 1536; /* MBR, header, first entries */
			if (x & 0x80)
				at = DISK_BYTES - 512 + at % 512;
			else if (x & 0x40)
				at = DISK_BYTES - 33 * 512 + at % 512;
			flip(fd, at);
		}
		memset(&got, 0, sizeof(got));
		switch (kv_gpt_read(fd, &got)) {
		case 0:
			assert_same(&got, &l);
			break;
		case -EUCLEAN:
		case -EMEDIUMTYPE:
			break;
		default:
			fail();
		}
		poke(fd, 0, good[0], sizeof(good[0]));
		poke(fd, DISK_BYTES - sizeof(good[1]), good[1], sizeof(good[1]));
	}
	close(fd);
}

/* --- Hostile tables --------------------------------------------------------------- */

static void a_table_of_ours_is_accepted(void **state)
{
	static const struct entry e[] = { CATALOGUE, METADATA, DATA };
	static const struct entry shuffled[] = { DATA, CATALOGUE, METADATA };
	static const struct entry gaps[] = {
		CATALOGUE,
		{ type_metadata, 36 * M, 40 * M - 1 },
		{ type_data, 50 * M, 100 * M - 1 },
	};

	(void)state;
	expect_table(e, 3, 0);
	expect_table(shuffled, 3, 0); /* the order of entries means nothing */
	expect_table(gaps, 3, 0);
}

static void sectors_of_4096_bytes_are_found_in_a_file(void **state)
{
	static const struct entry e[] = {
		{ type_catalogue, 256, 34 * 256 - 1 },
		{ type_metadata, 34 * 256, 43 * 256 - 1 },
		{ type_data, 43 * 256, 126 * 256 - 1 },
	};
	struct kv_layout got;
	int fd = new_table(4096, 128, e, 3);

	(void)state;
	assert_int_equal(kv_gpt_read(fd, &got), 0);
	assert_int_equal(got.device_bytes, DISK_BYTES);
	assert_int_equal(got.catalogue.start_bytes, MIB);
	assert_int_equal(got.data.start_bytes, 43 * MIB);
	assert_int_equal(got.data.bytes, 83 * MIB);
	close(fd);
}

static void tables_of_others_are_no_pool(void **state)
{
	static const struct entry e[] = { { type_linux, 2 * M, 100 * M - 1 } };

	(void)state;
	expect_table(e, 0, -EMEDIUMTYPE);
	expect_table(e, 1, -EMEDIUMTYPE);
}

static void partitions_beside_ours_must_not_share_their_space(void **state)
{
	static const struct entry beside[] = {
		CATALOGUE,
		METADATA,
		{ type_data, 43 * M, 100 * M - 1 },
		{ type_linux, 101 * M, 102 * M - 1 },
	};
	static const struct entry within[] = {
		CATALOGUE,
		METADATA,
		DATA,
		{ type_linux, 50 * M, 51 * M - 1 },
	};

	(void)state;
	expect_table(beside, 4, 0);
	expect_table(within, 4, -EUCLEAN);
}

static void a_missing_or_doubled_partition_is_damage(void **state)
{
	static const struct entry one[] = { METADATA };
	static const struct entry two[] = { CATALOGUE, DATA };
	static const struct entry doubled[] = {
		CATALOGUE,
		METADATA,
		{ type_data, 43 * M, 60 * M - 1 },
		{ type_data, 60 * M, 100 * M - 1 },
	};

	(void)state;
	expect_table(one, 1, -EUCLEAN);
	expect_table(two, 2, -EUCLEAN);
	expect_table(doubled, 4, -EUCLEAN);
}

static void partitions_out_of_place_are_damage(void **state)
{
	static const struct entry cases[][3] = {
		/* overlapping: by one sector, wholly, the same */
		{ CATALOGUE, { type_metadata, 34 * M, 44 * M - 1 }, DATA },
		{ { type_catalogue, 1 * M, 127 * M - 1 }, METADATA, DATA },
		{ CATALOGUE, METADATA, { type_data, 34 * M, 43 * M - 1 } },
		/* in another order */
		{ { type_data, 1 * M, 34 * M - 1 },
		  METADATA,
		  { type_catalogue, 43 * M, 127 * M - 1 } },
		{ { type_metadata, 1 * M, 34 * M - 1 },
		  { type_catalogue, 34 * M, 43 * M - 1 },
		  DATA },
		/* misaligned: starts, sizes */
		{ { type_catalogue, M + 1, 34 * M - 1 }, METADATA, DATA },
		{ { type_catalogue, M, 34 * M - 2 }, METADATA, DATA },
		{ CATALOGUE, { type_metadata, 34 * M + 8, 43 * M - 1 }, DATA },
		{ CATALOGUE, { type_metadata, 34 * M, 43 * M - 9 }, DATA },
		{ CATALOGUE, METADATA, { type_data, 43 * M + 128, 127 * M - 1 } },
		{ CATALOGUE, METADATA, { type_data, 43 * M, 127 * M - 2 } },
		/* in the table's own place */
		{ { type_catalogue, 34, 34 * M - 1 }, METADATA, DATA },
		/* beyond the end; from beyond the end; backwards; empty; wrapping
		 * around */
		{ CATALOGUE, METADATA, { type_data, 43 * M, 128 * M - 1 } },
		{ CATALOGUE, METADATA, { type_data, 200 * M, 300 * M - 1 } },
		{ CATALOGUE, METADATA, { type_data, 127 * M, 43 * M - 1 } },
		{ CATALOGUE, METADATA, { type_data, 43 * M, 43 * M - 1 } },
		{ CATALOGUE, METADATA, { type_data, 43 * M, UINT64_MAX } },
		{ CATALOGUE, METADATA, { type_data, UINT64_MAX - M + 1, 127 * M - 1 } },
		{ CATALOGUE,
		  METADATA,
		  { type_data, (UINT64_C(1) << 55) + 43 * M, 127 * M - 1 } },
		{ { type_catalogue, UINT64_C(1) << 63, 34 * M - 1 }, METADATA, DATA },
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++)
		expect_table(cases[i], 3, -EUCLEAN);
}

static void a_table_of_absurd_length_is_not_read(void **state)
{
	static const struct entry e[] = { CATALOGUE, METADATA, DATA };
	int fd = new_table(512, 0x01ffffff, e, 3);

	(void)state;
	expect(fd, -EMEDIUMTYPE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(types_names_and_attributes_are_as_documented),
		cmocka_unit_test(writing_replaces_an_older_table),
		cmocka_unit_test(a_layout_beyond_the_device_is_not_written),
		cmocka_unit_test(writing_through_a_readonly_fd_fails),
		cmocka_unit_test(reading_writes_nothing),
		cmocka_unit_test(no_table_is_no_pool),
		cmocka_unit_test(what_is_no_disk_is_an_error),
		cmocka_unit_test(one_damaged_copy_is_no_harm),
		cmocka_unit_test(a_damaged_copy_is_found_and_mended),
		cmocka_unit_test(two_damaged_copies_are_not_mended),
		cmocka_unit_test(two_damaged_headers_are_no_pool),
		cmocka_unit_test(damaged_entries_in_both_copies_are_a_damaged_pool),
		cmocka_unit_test(a_wiped_first_sector_is_no_pool),
		cmocka_unit_test(a_truncated_file_is_a_damaged_pool),
		cmocka_unit_test(a_grown_file_keeps_its_layout),
		cmocka_unit_test(a_truncated_disk_of_others_is_no_pool),
		cmocka_unit_test(noise_is_never_believed),
		cmocka_unit_test(a_table_of_ours_is_accepted),
		cmocka_unit_test(sectors_of_4096_bytes_are_found_in_a_file),
		cmocka_unit_test(tables_of_others_are_no_pool),
		cmocka_unit_test(partitions_beside_ours_must_not_share_their_space),
		cmocka_unit_test(a_missing_or_doubled_partition_is_damage),
		cmocka_unit_test(partitions_out_of_place_are_damage),
		cmocka_unit_test(a_table_of_absurd_length_is_not_read),
	};

	return cmocka_run_group_tests_name("gpt", tests, NULL, NULL);
}
