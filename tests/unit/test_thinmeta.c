/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The reader of dm-thin's metadata, on metadata built here: what is there is found, and
 * nothing is believed that contradicts itself, even with correct checksums.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "thin.h"
#include "thinmeta.h"

#define N_BLOCKS     64u
#define INTERNAL     1u
#define LEAF	     2u
#define DETAILS_MAX  126u
#define CHILDREN_MAX 252u

/* A walk and its repetitions come to this at the most: no loop runs free. */
#define READS_MAX 200

struct disk {
	unsigned char blocks[N_BLOCKS][KV_THINMETA_BLOCK];
	int reads;
	int fail_read; /* which read fails (from 1), with what */
	int fail_code;
	void (*before_read)(struct disk *d,
			    uint64_t block); /* d->reads counts it already */
	uint32_t generation;
};

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

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

/* Bit by bit, so that it shares nothing with what it checks. */
static uint32_t crc32c(const unsigned char *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return crc;
}

static void seal(struct disk *d, unsigned block)
{
	unsigned char *b = d->blocks[block];

	put32(b, crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ (block ? 121107u : 160774u));
}

static int read_disk(void *arg, uint64_t block, void *buf)
{
	struct disk *d = arg;

	assert_true(block < N_BLOCKS);
	assert_int_equal((uintptr_t)buf % KV_THINMETA_BLOCK, 0);
	assert_true(++d->reads < READS_MAX);
	if (d->before_read)
		d->before_read(d, block);
	if (d->reads == d->fail_read)
		return d->fail_code;
	memcpy(buf, d->blocks[block], KV_THINMETA_BLOCK);
	return 0;
}

/* --- Building --------------------------------------------------------------------- */

static void put_super(struct disk *d, uint64_t details_root)
{
	unsigned char *b = d->blocks[0];

	memset(b, 0, KV_THINMETA_BLOCK);
	put64(b + 32, 27022010);
	put32(b + 40, 2);
	put32(b + 44, 77);	      /* time */
	put64(b + 48, 1234567890123); /* transaction id */
	put64(b + 192, N_BLOCKS);     /* metadata space map: number of blocks */
	put64(b + 320, 60);	      /* mapping root */
	put64(b + 328, details_root);
	put32(b + 336, 128); /* data block: 64 KiB */
	put32(b + 340, 8);
	put64(b + 344, N_BLOCKS / 2); /* from before the device grew */
	seal(d, 0);
}

static unsigned char *put_node(struct disk *d, unsigned block, uint32_t flags)
{
	unsigned char *b = d->blocks[block];

	memset(b, 0, KV_THINMETA_BLOCK);
	put32(b + 4, flags);
	put64(b + 8, block);
	put32(b + 20, flags == LEAF ? DETAILS_MAX : CHILDREN_MAX);
	put32(b + 24, flags == LEAF ? 24 : 8);
	seal(d, block);
	return b;
}

static void add_child(struct disk *d, unsigned block, uint64_t key, uint64_t child)
{
	unsigned char *b = d->blocks[block];
	uint32_t n = get32(b + 16);

	put64(b + 32 + 8 * n, key);
	put64(b + 32 + 8 * CHILDREN_MAX + 8 * n, child);
	put32(b + 16, n + 1);
	seal(d, block);
}

/* Details that tell which id they belong to. */
static void add_device(struct disk *d, unsigned block, uint32_t id)
{
	unsigned char *b = d->blocks[block];
	uint32_t n = get32(b + 16);
	unsigned char *v = b + 32 + 8 * DETAILS_MAX + 24 * n;

	put64(b + 32 + 8 * n, id);
	put64(v, (uint64_t)id * 1000 + 1);
	put64(v + 8, (uint64_t)id + 7);
	put32(v + 16, id + 1);
	put32(v + 20, id + 2);
	put32(b + 16, n + 1);
	seal(d, block);
}

/* Block 1: the root, with leaves 2 (ids 0, 2, ... 50) and 3 (ids 100, 102, ... 150). */
static int setup(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	put_super(d, 1);
	put_node(d, 1, INTERNAL);
	put_node(d, 2, LEAF);
	put_node(d, 3, LEAF);
	add_child(d, 1, 0, 2);
	add_child(d, 1, 100, 3);
	for (uint32_t id = 0; id <= 50; id += 2) {
		add_device(d, 2, id);
		add_device(d, 3, id + 100);
	}
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void expect_found(struct disk *d, uint32_t id)
{
	struct kv_thinmeta_device got;

	d->reads = 0;
	assert_int_equal(kv_thinmeta_device(read_disk, d, id, &got), 0);
	assert_int_equal(got.mapped_blocks, (uint64_t)id * 1000 + 1);
	assert_int_equal(got.transaction_id, (uint64_t)id + 7);
	assert_int_equal(got.creation_time, id + 1);
	assert_int_equal(got.snapshotted_time, id + 2);
}

static void expect_error(struct disk *d, uint32_t id, int r)
{
	struct kv_thinmeta_device got, before;

	d->reads = 0;
	memset(&got, 0x5a, sizeof(got));
	before = got;
	assert_int_equal(kv_thinmeta_device(read_disk, d, id, &got), r);
	assert_memory_equal(&got, &before, sizeof(got));
}

static void expect_super_error(struct disk *d, int r)
{
	struct kv_thinmeta_super got, before;

	d->reads = 0;
	memset(&got, 0x5a, sizeof(got));
	before = got;
	assert_int_equal(kv_thinmeta_super(read_disk, d, &got), r);
	assert_memory_equal(&got, &before, sizeof(got));
	expect_error(d, 0, r);
}

/* --- All of them ------------------------------------------------------------------ */

/* Lists in steps of n, and expects what is in the fixture's two leaves. */
static void expect_list(struct disk *d, unsigned n)
{
	struct kv_thinmeta_entry got[64];
	uint32_t from = 0, id = 0;
	unsigned found = 0;
	int r;

	while (from <= KV_THIN_ID_MAX) {
		d->reads = 0;
		r = kv_thinmeta_list(read_disk, d, from, got, n, &from);
		assert_in_range(r, 0, n);
		for (int i = 0; i < r; i++) {
			assert_int_equal(got[i].id, id);
			assert_int_equal(got[i].device.mapped_blocks,
					 (uint64_t)id * 1000 + 1);
			id = id == 50 ? 100 : id + 2;
			found++;
		}
	}
	assert_int_equal(found, 52);
}

static void all_are_listed_in_order(void **state)
{
	for (unsigned n = 1; n <= 64; n++)
		expect_list(*state, n);
}

static void listing_begins_anywhere(void **state)
{
	static const struct {
		uint32_t from, first;
	} at[] = { { 1, 2 }, { 50, 50 }, { 51, 100 }, { 99, 100 }, { 101, 102 } };
	struct kv_thinmeta_entry got;
	uint32_t next;

	for (size_t i = 0; i < KV_ARRAY_SIZE(at); i++) {
		assert_int_equal(
			kv_thinmeta_list(read_disk, *state, at[i].from, &got, 1, &next),
			1);
		assert_int_equal(got.id, at[i].first);
	}
	assert_int_equal(kv_thinmeta_list(read_disk, *state, 151, &got, 1, &next), 0);
	assert_true(next > KV_THIN_ID_MAX);
}

static void damaged_tree_is_not_listed(void **state)
{
	struct kv_thinmeta_entry got[64];
	struct disk *d = *state;
	uint32_t next = 7;

	d->blocks[3][100] ^= 1;
	assert_int_equal(kv_thinmeta_list(read_disk, d, 60, got, 64, &next), -EUCLEAN);
	assert_int_equal(next, 7);
	d->blocks[0][100] ^= 1;
	assert_int_equal(kv_thinmeta_list(read_disk, d, 0, got, 1, &next), -EUCLEAN);
}

static void lost_roots_are_seen(void **state)
{
	static const unsigned blocks[] = { 0, 1, 60 };
	struct disk *d = *state;

	put_node(d, 60, INTERNAL);
	assert_int_equal(kv_thinmeta_roots(read_disk, d), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(blocks); i++) {
		d->blocks[blocks[i]][2000] ^= 1;
		assert_int_equal(kv_thinmeta_roots(read_disk, d), -EUCLEAN);
		d->blocks[blocks[i]][2000] ^= 1;
	}
	d->blocks[2][2000] ^= 1; /* what is below them is not looked at */
	assert_int_equal(kv_thinmeta_roots(read_disk, d), 0);
}

static void needs_check_and_counter_are_in_the_superblock(void **state)
{
	unsigned char garbage[KV_THINMETA_BLOCK] = { 0 };
	struct kv_thinmeta_super s;
	struct disk *d = *state;

	assert_int_equal(kv_thinmeta_super(read_disk, d, &s), 0);
	assert_false(s.needs_check);
	put32(d->blocks[0] + 4, 1);
	assert_int_equal(kv_thinmeta_set_time(d->blocks[0], 4711), 0); /* and seals it */
	assert_int_equal(kv_thinmeta_super(read_disk, d, &s), 0);
	assert_true(s.needs_check);
	assert_int_equal(s.time, 4711);
	assert_int_equal(s.transaction_id, 1234567890123);
	assert_int_equal(kv_thinmeta_set_time(garbage, 1), -EUCLEAN);
}

/* --- What is there ---------------------------------------------------------------- */

static void the_superblock_is_read(void **state)
{
	struct kv_thinmeta_super s;

	assert_int_equal(kv_thinmeta_super(read_disk, *state, &s), 0);
	assert_int_equal(s.transaction_id, 1234567890123);
	assert_int_equal(s.time, 77);
	assert_int_equal(s.data_mapping_root, 60);
	assert_int_equal(s.device_details_root, 1);
	assert_int_equal(s.data_block_sectors, 128);
	assert_int_equal(s.metadata_blocks,
			 N_BLOCKS); /* as it is now, not as at format */
}

static void ids_that_are_there_are_found(void **state)
{
	for (uint32_t id = 0; id <= 50; id += 2) {
		expect_found(*state, id);
		expect_found(*state, id + 100);
	}
}

static void ids_that_are_not_there_are_not_found(void **state)
{
	static const uint32_t ids[] = { 1,	   49,	51,  99,
					101,	   149, 151, KV_THIN_ID_MAX,
					UINT32_MAX };

	for (size_t i = 0; i < KV_ARRAY_SIZE(ids); i++)
		expect_error(*state, ids[i], -ENODATA);
}

static void an_empty_tree_has_nothing(void **state)
{
	struct disk *d = *state;

	put_node(d, 1, LEAF);
	expect_error(d, 0, -ENODATA);
	expect_error(d, 5, -ENODATA);
}

static void a_single_leaf_is_a_tree(void **state)
{
	struct disk *d = *state;

	put_super(d, 3);
	expect_found(d, 100);
	expect_found(d, 150);
	expect_error(d, 0, -ENODATA);
	expect_error(d, 151, -ENODATA);
}

static void full_nodes_are_read_to_their_ends(void **state)
{
	struct disk *d = *state;

	put_super(d, 10);
	put_node(d, 10, INTERNAL);
	for (uint32_t i = 0; i < CHILDREN_MAX; i++)
		add_child(d, 10, (uint64_t)i * DETAILS_MAX,
			  i == CHILDREN_MAX - 1 ? 11 : 2);
	put_node(d, 11, LEAF);
	for (uint32_t i = 0; i < DETAILS_MAX; i++)
		add_device(d, 11, (CHILDREN_MAX - 1) * DETAILS_MAX + i);
	expect_found(d, (CHILDREN_MAX - 1) * DETAILS_MAX);
	expect_found(d, CHILDREN_MAX * DETAILS_MAX - 1);
	expect_error(d, CHILDREN_MAX * DETAILS_MAX, -ENODATA);
}

/* What removing leaves: a key above may be lower than all that is left below. */
static void keys_above_may_be_lower_than_those_below(void **state)
{
	struct disk *d = *state;

	put_super(d, 10);
	put_node(d, 10, INTERNAL);
	add_child(d, 10, 0, 2);
	add_child(d, 10, 60, 3);
	expect_found(d, 150);
	expect_error(d, 60, -ENODATA);
}

/* From block 10 down: `depth` internal nodes, then leaf 2. */
static void put_chain(struct disk *d, unsigned depth)
{
	for (unsigned i = 0; i < depth; i++) {
		put_node(d, 10 + i, INTERNAL);
		add_child(d, 10 + i, 0, i + 1 < depth ? 11 + i : 2);
	}
	put_super(d, 10);
}

static void trees_may_be_as_deep_as_the_kernel_makes_them_and_no_deeper(void **state)
{
	put_chain(*state, 4);
	expect_found(*state, 50);
	put_chain(*state, 20);
	expect_error(*state, 50, -EUCLEAN);
}

/* --- What contradicts itself ------------------------------------------------------ */

static void a_bad_superblock_is_refused(void **state)
{
	static const struct {
		unsigned at;
		uint64_t value;
		bool wide;
	} cases[] = {
		{ 8, 1, true },		/* its number */
		{ 32, 27022011, true }, /* magic */
		{ 192, 0, true },	/* blocks: none, too many */
		{ 192, KV_THIN_METADATA_MAX / 4096 + 1, true },
		{ 192, UINT64_MAX, true },
		{ 320, 0, true }, /* mapping root */
		{ 320, N_BLOCKS, true },
		{ 328, 0, true }, /* details root */
		{ 328, N_BLOCKS, true },
		{ 328, UINT64_MAX, true },
		{ 336, 0, false }, /* data block */
		{ 336, 127, false },
		{ 336, 129, false },
		{ 336, 2097152 + 128, false },
		{ 336, UINT32_MAX, false },
		{ 340, 16, false }, /* metadata block */
		{ 360, 1, false },  /* incompatible features */
	};
	struct disk *d = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		put_super(d, 1);
		if (cases[i].wide)
			put64(d->blocks[0] + cases[i].at, cases[i].value);
		else
			put32(d->blocks[0] + cases[i].at, (uint32_t)cases[i].value);
		seal(d, 0);
		expect_super_error(d, -EUCLEAN);
	}
	memset(d->blocks[0], 0, KV_THINMETA_BLOCK);
	expect_super_error(d, -EUCLEAN);
	seal(d, 0);
	expect_super_error(d, -EUCLEAN);
}

static void a_changed_bit_anywhere_is_seen(void **state)
{
	struct disk *d = *state;

	for (unsigned at = 0; at < KV_THINMETA_BLOCK; at += 61) {
		for (unsigned block = 0; block < 3; block++) {
			d->blocks[block][at] ^= 0x40;
			expect_error(d, 50, -EUCLEAN);
			d->blocks[block][at] ^= 0x40;
		}
	}
	expect_found(d, 50);
}

/* With the superblock's salt a node is no node, and the reverse. */
static void blocks_of_one_kind_do_not_pass_for_another(void **state)
{
	struct disk *d = *state;
	unsigned char *b = d->blocks[2];

	put32(b, crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ 160774u);
	expect_error(d, 50, -EUCLEAN);
	b = d->blocks[0];
	put32(b, crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ 121107u);
	expect_super_error(d, -EUCLEAN);
}

static void bad_node_headers_are_refused(void **state)
{
	static const struct {
		unsigned at;
		uint32_t value;
		bool leaf;
	} cases[] = {
		{ 4, 0, true },
		{ 4, 3, true },
		{ 4, INTERNAL, true },
		{ 4, UINT32_MAX, true },
		{ 4, LEAF, false },
		{ 4, 0, false },
		{ 8, 3, true },		       /* another block's number */
		{ 16, DETAILS_MAX + 1, true }, /* more entries than fit */
		{ 16, UINT32_MAX, true },
		{ 16, UINT32_MAX, false },
		{ 16, 0, false },  /* an empty internal node */
		{ 20, 128, true }, /* one more than the block holds */
		{ 20, 1, true },   /* fewer than there are */
		{ 20, UINT32_MAX, true },
		{ 20, 255, false },
		{ 20, UINT32_MAX, false },
		{ 24, 8, true },
		{ 24, 0, true },
		{ 24, UINT32_MAX, true },
		{ 24, 24, false },
		{ 24, 0, false },
	};
	struct disk *d = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		unsigned block = cases[i].leaf ? 2 : 1;
		unsigned char saved[KV_THINMETA_BLOCK];

		memcpy(saved, d->blocks[block], sizeof(saved));
		put32(d->blocks[block] + cases[i].at, cases[i].value);
		seal(d, block);
		expect_error(d, 50, -EUCLEAN);
		memcpy(d->blocks[block], saved, sizeof(saved));
	}
	expect_found(d, 50);
}

static void keys_out_of_order_are_refused(void **state)
{
	struct disk *d = *state;

	put64(d->blocks[2] + 32 + 8, 0); /* the first one again */
	seal(d, 2);
	expect_error(d, 50, -EUCLEAN);
	put64(d->blocks[2] + 32 + 8, 30); /* beyond the third */
	seal(d, 2);
	expect_error(d, 50, -EUCLEAN);
}

static void keys_outside_their_parents_range_are_refused(void **state)
{
	struct disk *d = *state;

	put64(d->blocks[2] + 32 + 8 * 25, 100); /* the last: where the next leaf begins */
	seal(d, 2);
	expect_error(d, 48, -EUCLEAN);
	put64(d->blocks[3] + 32, 99); /* the first: before the leaf begins */
	seal(d, 3);
	expect_error(d, 148, -EUCLEAN);
	put64(d->blocks[3] + 32, 100);
	put64(d->blocks[3] + 32 + 8 * 25,
	      (uint64_t)KV_THIN_ID_MAX + 1); /* no id at all */
	seal(d, 3);
	expect_error(d, 148, -EUCLEAN);
}

static void children_out_of_range_are_not_read(void **state)
{
	static const uint64_t children[] = { 0, N_BLOCKS, N_BLOCKS + 1, UINT32_MAX,
					     UINT64_MAX };
	struct disk *d = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(children); i++) {
		put64(d->blocks[1] + 32 + 8 * CHILDREN_MAX, children[i]);
		seal(d, 1);
		expect_error(d, 50, -EUCLEAN);
	}
}

static void loops_end(void **state)
{
	struct disk *d = *state;

	put_super(d, 10);
	put_node(d, 10, INTERNAL);
	add_child(d, 10, 0, 10); /* itself */
	expect_error(d, 50, -EUCLEAN);
	put_node(d, 10, INTERNAL);
	put_node(d, 11, INTERNAL);
	add_child(d, 10, 0, 11); /* each other */
	add_child(d, 11, 0, 10);
	expect_error(d, 50, -EUCLEAN);
}

/* Deterministic noise below correct checksums. */
static void noise_is_survived(void **state)
{
	struct disk *d = *state;
	struct kv_thinmeta_device got;
	uint32_t x = 1;
	int r;

	for (int round = 0; round < 3000; round++) {
		unsigned block = (unsigned)round % 3;
		unsigned char saved[KV_THINMETA_BLOCK];

		memcpy(saved, d->blocks[block], sizeof(saved));
		for (int i = 0; i < 3; i++) {
			x = x * 1664525 + 1013904223;
			/* mostly the header and the first keys */
			d->blocks[block][x >> 16 & (x & 0x100 ? 0x3f : 0xfff)] =
				(unsigned char)(x >> 9);
		}
		seal(d, block);
		d->reads = 0;
		r = kv_thinmeta_device(read_disk, d, x >> 20 & 0x7f, &got);
		assert_true(r == 0 || r == -ENODATA || r == -EUCLEAN);
		memcpy(d->blocks[block], saved, sizeof(saved));
	}
	expect_found(d, 50);
}

/* --- What cannot be read, and what moves ------------------------------------------ */

static void read_errors_are_passed_on(void **state)
{
	struct disk *d = *state;
	struct kv_thinmeta_super s;

	d->fail_code = -EIO;
	/* superblock, root, leaf, superblock again */
	for (d->fail_read = 1; d->fail_read <= 4; d->fail_read++)
		expect_error(d, 50, -EIO);
	d->fail_read = 1;
	d->reads = 0;
	assert_int_equal(kv_thinmeta_super(read_disk, d, &s), -EIO);
	d->fail_read = 5;
	expect_found(d, 50);
	assert_int_equal(d->reads, 4);
}

/* As the next commit does it: a new tree elsewhere, then the superblock, then the old
 * blocks go. */
static void commit(struct disk *d)
{
	memcpy(d->blocks[20], d->blocks[1], KV_THINMETA_BLOCK);
	memcpy(d->blocks[21], d->blocks[2], KV_THINMETA_BLOCK);
	put64(d->blocks[20] + 8, 20);
	put64(d->blocks[21] + 8, 21);
	put64(d->blocks[20] + 32 + 8 * CHILDREN_MAX, 21);
	add_device(d, 21, 52);
	seal(d, 20);
	put_super(d, 20);
	memset(d->blocks[1], 0xff, KV_THINMETA_BLOCK);
	memset(d->blocks[2], 0xff, KV_THINMETA_BLOCK);
}

static int commit_at;

static void commit_once(struct disk *d, uint64_t block)
{
	(void)block;
	if (d->reads == commit_at)
		commit(d);
}

static void a_commit_during_the_walk_is_followed(void **state)
{
	/* before each read of the first walk; after the last it is too late to matter */
	for (commit_at = 1; commit_at <= 4; commit_at++) {
		struct disk *d;

		assert_int_equal(teardown(state), 0);
		assert_int_equal(setup(state), 0);
		d = *state;
		d->before_read = commit_once;
		expect_found(d, 52); /* only the new tree has it */
		assert_true(d->reads > 3);
	}
}

static void commit_always(struct disk *d, uint64_t block)
{
	if (!block) {
		put32(d->blocks[0] + 44, ++d->generation);
		seal(d, 0);
	}
}

static void a_superblock_that_never_rests_is_given_up(void **state)
{
	struct disk *d = *state;

	d->before_read = commit_always;
	expect_error(d, 50, -EAGAIN);
	expect_error(d, 51, -EAGAIN);
	d->before_read = NULL;
	expect_found(d, 50);
}

static int torn_read;

static void tear_once(struct disk *d, uint64_t block)
{
	if (d->reads == torn_read)
		d->blocks[block][2000] ^= 1;
	else if (d->reads == torn_read + 1)
		for (unsigned b = 0; b < 4; b++)
			seal(d, b);
}

/* A block that was being written when it was read, or one that had been used for
 * something else meanwhile under a superblock that looks the same. */
static void damage_must_be_seen_twice(void **state)
{
	struct disk *d = *state;

	d->before_read = tear_once;
	for (torn_read = 1; torn_read <= 4; torn_read++)
		expect_found(d, 50);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_superblock_is_read),
		T(ids_that_are_there_are_found),
		T(ids_that_are_not_there_are_not_found),
		T(an_empty_tree_has_nothing),
		T(a_single_leaf_is_a_tree),
		T(full_nodes_are_read_to_their_ends),
		T(keys_above_may_be_lower_than_those_below),
		T(trees_may_be_as_deep_as_the_kernel_makes_them_and_no_deeper),
		T(a_bad_superblock_is_refused),
		T(a_changed_bit_anywhere_is_seen),
		T(blocks_of_one_kind_do_not_pass_for_another),
		T(bad_node_headers_are_refused),
		T(keys_out_of_order_are_refused),
		T(keys_outside_their_parents_range_are_refused),
		T(children_out_of_range_are_not_read),
		T(loops_end),
		T(noise_is_survived),
		T(read_errors_are_passed_on),
		T(a_commit_during_the_walk_is_followed),
		T(a_superblock_that_never_rests_is_given_up),
		T(damage_must_be_seen_twice),
		T(all_are_listed_in_order),
		T(listing_begins_anywhere),
		T(damaged_tree_is_not_listed),
		T(lost_roots_are_seen),
		T(needs_check_and_counter_are_in_the_superblock),
	};

	return cmocka_run_group_tests_name("thinmeta", tests, NULL, NULL);
}
