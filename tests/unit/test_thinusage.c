/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which blocks are a device's own: on metadata that is built here as the kernel does it,
 * by writes and snapshots that come as they may, held against a count of them; and on
 * damaged metadata.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "thinusage.h"
#include "thinwalk.h"

#define N_BLOCKS    4096u /* of metadata */
#define DATA_BLOCKS 4096u
#define HELD	    9u
#define MAPPING	    10u
#define DETAILS	    11u
#define FIRST	    12u /* of the nodes that are made as they come */
#define DEVICES	    12u
#define VIRTUAL	    200u /* blocks of a device */
#define FANOUT	    20u  /* entries of a node here: so trees have three levels */

struct mapping {
	bool there;
	uint64_t block;
	uint32_t time;
};

struct device {
	bool there;
	uint32_t created, snapshotted;
	struct mapping map[VIRTUAL];
};

struct disk {
	unsigned char (*blocks)[KV_THINMETA_BLOCK];
	unsigned next, reads, fail_read;
	struct device devices[DEVICES];
	uint64_t next_data;
	uint32_t time;
	uint32_t seed;
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

static uint32_t crc32c(const unsigned char *p, size_t n)
{
	static uint32_t table[256];
	uint32_t crc = ~0u;

	for (uint32_t i = 0; !table[255] && i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		table[i] = c;
	}
	while (n--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return crc;
}

static void seal(struct disk *d, unsigned block, bool super)
{
	unsigned char *b = d->blocks[block];

	put64(b + 8, block);
	put32(b, crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ (super ? 160774u : 121107u));
}

static int read_disk(void *arg, uint64_t block, void *buf)
{
	struct disk *d = arg;

	assert_true(block < N_BLOCKS);
	assert_int_equal((uintptr_t)buf % KV_THINMETA_BLOCK, 0);
	if (++d->reads == d->fail_read)
		return -EIO;
	memcpy(buf, d->blocks[block], KV_THINMETA_BLOCK);
	return 0;
}

/* --- Building --------------------------------------------------------------------- */

static unsigned put_node(struct disk *d, unsigned block, bool leaf, uint32_t value_size,
			 const uint64_t *keys, const void *values, unsigned n)
{
	uint32_t max = value_size == 24 ? 126 : 252;
	unsigned char *b = d->blocks[block];

	memset(b, 0, KV_THINMETA_BLOCK);
	put32(b + 4, leaf ? 2 : 1);
	put32(b + 16, n);
	put32(b + 20, max);
	put32(b + 24, value_size);
	for (unsigned i = 0; i < n; i++)
		put64(b + 32 + 8 * i, keys[i]);
	memcpy(b + 32 + 8 * max, values, (size_t)n * value_size);
	seal(d, block, false);
	return block;
}

static unsigned find_node(struct disk *d, bool leaf, const uint64_t *keys,
			  const uint64_t *values, unsigned n)
{
	unsigned char little[FANOUT * 8];
	unsigned new = d->next;

	assert_true(new < N_BLOCKS);
	for (unsigned i = 0; i < n; i++)
		put64(little + 8 * i, values[i]);
	put_node(d, new, leaf, 8, keys, little, n);
	/* Devices that were copied share their nodes: equal ones are one. */
	for (unsigned b = FIRST; b < new; b++)
		if (!memcmp(d->blocks[b] + 16, d->blocks[new] + 16,
			    KV_THINMETA_BLOCK - 16) &&
		    !memcmp(d->blocks[b] + 4, d->blocks[new] + 4, 4))
			return b;
	d->next++;
	return new;
}

/* Levels of nodes, from the leaves up. */
static unsigned put_tree(struct disk *d, uint64_t *keys, uint64_t *values, unsigned n)
{
	bool leaf = true;

	if (n == 0)
		return find_node(d, true, keys, values, 0);
	for (;; leaf = false) {
		unsigned nodes = 0;

		for (unsigned i = 0; i < n; i += FANOUT) {
			unsigned count = n - i < FANOUT ? n - i : FANOUT;
			uint64_t first = keys[i];
			unsigned block = find_node(d, leaf, keys + i, values + i, count);

			keys[nodes] = first;
			values[nodes++] = block;
		}
		n = nodes;
		if (n == 1)
			return (unsigned)values[0];
	}
}

static void put_super(struct disk *d, unsigned block)
{
	unsigned char *b = d->blocks[block];

	memset(b, 0, KV_THINMETA_BLOCK);
	put64(b + 32, 27022010);
	put32(b + 40, 2);
	put32(b + 44, d->time);
	put64(b + 192, block ? 0 : N_BLOCKS); /* the kernel wipes it in a snapshot */
	put64(b + 320, MAPPING);
	put64(b + 328, DETAILS);
	put32(b + 336, 128);
	put32(b + 340, 8);
	seal(d, block, true);
}

static void build(struct disk *d)
{
	uint64_t ids[DEVICES], keys[VIRTUAL], values[VIRTUAL];
	unsigned char roots[DEVICES * 8], details[DEVICES * 24] = { 0 };
	unsigned n = 0, mapped;

	d->next = FIRST;
	for (unsigned i = 0; i < DEVICES; i++) {
		const struct device *dev = &d->devices[i];

		if (!dev->there)
			continue;
		mapped = 0;
		for (unsigned v = 0; v < VIRTUAL; v++) {
			if (!dev->map[v].there)
				continue;
			keys[mapped] = v;
			values[mapped++] = dev->map[v].block << 24 | dev->map[v].time;
		}
		put64(details + 24 * n, mapped);
		put32(details + 24 * n + 16, dev->created);
		put32(details + 24 * n + 20, dev->snapshotted);
		put64(roots + 8 * n, put_tree(d, keys, values, mapped));
		ids[n++] = i;
	}
	put_node(d, MAPPING, true, 8, ids, roots, n);
	put_node(d, DETAILS, true, 24, ids, details, n);
	put_super(d, 0);
	put_super(d, HELD);
}

/* --- What the kernel does --------------------------------------------------------- */

static uint32_t draw(struct disk *d, uint32_t n)
{
	d->seed = d->seed * 1664525u + 1013904223u;
	return (d->seed >> 8) % n;
}

static void create(struct disk *d, unsigned i)
{
	d->devices[i] = (struct device){ .there = true,
					 .created = d->time,
					 .snapshotted = d->time };
}

static void copy(struct disk *d, unsigned from, unsigned to)
{
	d->time++;
	d->devices[from].snapshotted = d->time;
	d->devices[to] = d->devices[from];
	d->devices[to].created = d->time;
}

static void write_block(struct disk *d, unsigned i, unsigned v)
{
	struct mapping *m = &d->devices[i].map[v];

	if (m->there && m->time >= d->devices[i].snapshotted)
		return; /* its own */
	assert_true(d->next_data < DATA_BLOCKS);
	*m = (struct mapping){ true, d->next_data++, d->time };
}

static void act(struct disk *d)
{
	unsigned i = draw(d, DEVICES), j = draw(d, DEVICES);
	unsigned v = draw(d, VIRTUAL), n = draw(d, 30);

	if (!d->devices[i].there)
		create(d, i);
	switch (draw(d, 8)) {
	case 0:
		if (i != j)
			copy(d, i, j);
		break;
	case 1:
		d->devices[i].there = false;
		break;
	case 2:
		d->devices[i].map[v].there = false; /* a discard */
		break;
	default:
		for (; n && v < VIRTUAL; n--, v++)
			write_block(d, i, v);
	}
}

static bool others_have(const struct disk *d, unsigned i, uint64_t block)
{
	for (unsigned j = 0; j < DEVICES; j++)
		for (unsigned v = 0; j != i && d->devices[j].there && v < VIRTUAL; v++)
			if (d->devices[j].map[v].there &&
			    d->devices[j].map[v].block == block)
				return true;
	return false;
}

static void check(struct disk *d, unsigned i)
{
	struct kv_thinusage want = { 0 }, got;

	for (unsigned v = 0; v < VIRTUAL; v++) {
		const struct mapping *m = &d->devices[i].map[v];

		if (m->there && others_have(d, i, m->block))
			want.shared++;
		else if (m->there)
			want.exclusive++;
	}
	d->reads = 0;
	assert_int_equal(kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, i, &got), 0);
	assert_int_equal(got.exclusive, want.exclusive);
	assert_int_equal(got.shared, want.shared);
	/* No node more than twice: as the device's, and as another's. */
	assert_true(d->reads <= 2 * d->next + 4 * DEVICES);
}

struct expected {
	const struct device *dev;
	unsigned at;
};

static int is_next(void *arg, const struct kv_thinmapping *m)
{
	struct expected *x = arg;
	const struct mapping *want;

	while (x->at < VIRTUAL && !x->dev->map[x->at].there)
		x->at++;
	assert_true(x->at < VIRTUAL);
	want = &x->dev->map[x->at];
	assert_int_equal(m->at, x->at++);
	assert_int_equal(m->block, want->block);
	assert_int_equal(m->time, want->time);
	return 0;
}

/* All mappings, in their order. */
static void check_walk(struct disk *d, unsigned i)
{
	struct expected x = { .dev = &d->devices[i] };
	struct kv_thinwalk w;

	assert_int_equal(kv_thinwalk_start(&w, read_disk, d, HELD, DATA_BLOCKS), 0);
	assert_int_equal(kv_thinwalk_device(&w, i, false, is_next, &x), 0);
	kv_thinwalk_end(&w);
	while (x.at < VIRTUAL)
		assert_false(x.dev->map[x.at++].there);
}

static int stop_at_third(void *arg, const struct kv_thinmapping *m)
{
	(void)m;
	return ++*(int *)arg == 3 ? -ECANCELED : 0;
}

/* --- Tests ------------------------------------------------------------------------ */

static int setup(void **state)
{
	struct disk *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->blocks = calloc(N_BLOCKS, KV_THINMETA_BLOCK);
	assert_non_null(d->blocks);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct disk *d = *state;

	free(d->blocks);
	free(d);
	return 0;
}

static void any_history_is_counted_right(void **state)
{
	struct disk *d = *state;

	for (uint32_t seed = 1; seed <= 40; seed++) {
		memset(d->devices, 0, sizeof(d->devices));
		d->next_data = d->time = 0;
		d->seed = seed;
		for (int i = 0; i < 120; i++)
			act(d);
		build(d);
		for (unsigned i = 0; i < DEVICES; i++)
			if (d->devices[i].there) {
				check(d, i);
				check_walk(d, i);
			}
	}
}

static void walk_ends_where_it_is_told_to(void **state)
{
	struct disk *d = *state;
	struct kv_thinwalk w;
	int n = 0;

	create(d, 0);
	for (unsigned v = 0; v < 50; v++)
		write_block(d, 0, v);
	build(d);
	assert_int_equal(kv_thinwalk_start(&w, read_disk, d, HELD, DATA_BLOCKS), 0);
	assert_int_equal(kv_thinwalk_device(&w, 0, false, stop_at_third, &n), -ECANCELED);
	assert_int_equal(n, 3);
	assert_int_equal(kv_thinwalk_device(&w, 1, false, stop_at_third, &n), -ENODATA);
	kv_thinwalk_end(&w);
}

/* A device that was never copied costs its own tree alone. */
static void others_are_not_read_without_need(void **state)
{
	struct disk *d = *state;
	struct kv_thinusage got;

	create(d, 0);
	create(d, 1);
	for (unsigned v = 0; v < VIRTUAL; v++) {
		write_block(d, 0, v);
		write_block(d, 1, v);
	}
	copy(d, 1, 2);
	create(d, 3);
	for (unsigned v = 0; v < 10; v++)
		write_block(d, 3, v);
	build(d);
	assert_int_equal(kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, 3, &got), 0);
	assert_int_equal(got.exclusive, 10);
	/* Two superblocks, the details, the root of all trees, and one leaf. */
	assert_int_equal(d->reads, 5);
}

static void build_copied(struct disk *d)
{
	create(d, 0);
	for (unsigned v = 0; v < 50; v++)
		write_block(d, 0, v);
	copy(d, 0, 1);
	write_block(d, 1, 7);
	build(d);
}

static void what_is_not_there_is_told(void **state)
{
	struct kv_thinusage got = { 42, 42 };
	struct disk *d = *state;

	build_copied(d);
	assert_int_equal(kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, 5, &got), -ENODATA);
	assert_int_equal(kv_thinusage(read_disk, d, 0, DATA_BLOCKS, 0, &got), -EUCLEAN);
	assert_int_equal(kv_thinusage(read_disk, d, N_BLOCKS, DATA_BLOCKS, 0, &got),
			 -EUCLEAN);
	assert_int_equal(kv_thinusage(read_disk, d, MAPPING, DATA_BLOCKS, 0, &got),
			 -EUCLEAN);
	/* Beyond the pool. */
	assert_int_equal(kv_thinusage(read_disk, d, HELD, 49, 0, &got), -EUCLEAN);
	assert_int_equal(got.exclusive, 42);
	assert_int_equal(got.shared, 42);
}

static void failed_reads_are_passed_on(void **state)
{
	struct kv_thinusage got = { 42, 42 };
	struct disk *d = *state;
	int r = -EIO;

	build_copied(d);
	for (d->fail_read = 1; r == -EIO; d->fail_read++) {
		d->reads = 0;
		r = kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, 1, &got);
		assert_true(r == 0 || got.exclusive == 42);
	}
	assert_int_equal(r, 0);
	assert_true(d->fail_read > 8);
	assert_int_equal(got.exclusive, 1);
	assert_int_equal(got.shared, 49);
}

/* One block of it after the other. */
static void damage_is_noticed(void **state)
{
	struct kv_thinusage got = { 42, 42 };
	struct disk *d = *state;

	build_copied(d);
	for (unsigned b = HELD; b < d->next; b++) {
		d->blocks[b][100] ^= 1;
		assert_int_equal(kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, 1, &got),
				 -EUCLEAN);
		d->blocks[b][100] ^= 1;
	}
	/* Of a right checksum: a block twice in one device, a node below itself, and one
	 * that is empty and no root. */
	d->devices[0].map[3].block = d->devices[0].map[4].block;
	build(d);
	assert_int_equal(kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, 0, &got), -EUCLEAN);
	for (int i = 0; i < 2; i++) {
		uint64_t keys[1] = { 0 };
		unsigned char child[8];

		put64(child, i ? FIRST + 1 : FIRST);
		put_node(d, FIRST, false, 8, keys, child, 1);
		put_node(d, FIRST + 1, true, 8, keys, child, 0);
		keys[0] = 0;
		put64(child, FIRST);
		put_node(d, MAPPING, true, 8, keys, child, 1);
		assert_int_equal(kv_thinusage(read_disk, d, HELD, DATA_BLOCKS, 0, &got),
				 -EUCLEAN);
	}
	assert_int_equal(got.exclusive, 42);
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(any_history_is_counted_right),
		on_disk(walk_ends_where_it_is_told_to),
		on_disk(others_are_not_read_without_need),
		on_disk(what_is_not_there_is_told),
		on_disk(failed_reads_are_passed_on),
		on_disk(damage_is_noticed),
	};

	return cmocka_run_group_tests_name("thinusage", tests, NULL, NULL);
}
