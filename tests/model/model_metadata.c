/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A writer of dm-thin metadata: superblock, device details and mappings (a node for each
 * device), for the library's own reader. A metadata snapshot is a superblock over the same
 * trees, which nobody may change as long as somebody reads it. Written in place, leaves first
 * and superblock last, which is as consistent as one reader needs it. Unless there is no
 * device at all, leaves are below a root, so that one can be lost without the other.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"
#include "thinmeta.h"

#define LEAF_MAX     126u /* details in a node */
#define CHILDREN_MAX 252u
#define ROOT_BLOCK   1u /* and leaves from 2 on */
#define N_BLOCKS     1024u
/* The tree of devices, its leaves, and each device's own node. */
#define MAPPING_ROOT (N_BLOCKS - 1)
#define DEVICE_LEAF  16u
#define DEVICE_NODE  32u

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

static uint32_t table[8][256];

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		table[0][i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[0][i] =
				table[0][i] >> 1 ^ (table[0][i] & 1 ? 0x82f63b78u : 0);
	}
	for (int k = 1; k < 8; k++)
		for (uint32_t i = 0; i < 256; i++)
			table[k][i] =
				table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

/* Eight bytes at a time: tests that crash often have this written often. */
static uint32_t crc32c(const unsigned char *p, size_t n)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint32_t crc = ~0u;

	(void)pthread_once(&once, make_table);
	for (; n >= 8; n -= 8, p += 8) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		       (uint32_t)p[3] << 24;
		crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^
		      table[5][crc >> 16 & 0xff] ^ table[4][crc >> 24] ^ table[3][p[4]] ^
		      table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
	}
	while (n--)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 0xff];
	return crc;
}

static void write_block(int fd, unsigned char *b, uint64_t block, uint32_t xor)
{
	put64(b + 8, block);
	put32(b, crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ xor);
	if (__real_kv_pwrite_full(fd, b, KV_THINMETA_BLOCK, block * KV_THINMETA_BLOCK) <
	    0)
		abort();
}

static void start_node(unsigned char *b, bool leaf)
{
	memset(b, 0, KV_THINMETA_BLOCK);
	put32(b + 4, leaf ? 2 : 1);
	put32(b + 20, leaf ? LEAF_MAX : CHILDREN_MAX);
	put32(b + 24, leaf ? 24 : 8);
}

static int by_id(const void *a, const void *b)
{
	const struct model_thin *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

static void write_leaf(int fd, uint64_t block, const struct model_thin **thins,
		       unsigned n)
{
	unsigned char b[KV_THINMETA_BLOCK], *v;

	start_node(b, true);
	put32(b + 16, n);
	for (unsigned i = 0; i < n; i++) {
		put64(b + 32 + 8 * i, thins[i]->id);
		v = b + 32 + 8 * LEAF_MAX + 24 * i;
		put64(v, model_mapped(thins[i]));
		put64(v + 8, thins[i]->transaction_id);
		put32(v + 16, thins[i]->created);
		put32(v + 20, thins[i]->snapshotted);
	}
	write_block(fd, b, block, 121107u);
}

static void write_tree(int fd, const struct model_metadata *md)
{
	const struct model_thin *thins[MODEL_THINS];
	unsigned char root[KV_THINMETA_BLOCK];
	unsigned n = 0, leaves = 0, count;

	for (unsigned i = 0; i < MODEL_THINS; i++)
		if (md->thins[i].used)
			thins[n++] = &md->thins[i];
	if (!n) {
		write_leaf(fd, ROOT_BLOCK, thins, n);
		return;
	}
	qsort(thins, n, sizeof(thins[0]), by_id);
	start_node(root, false);
	for (unsigned i = 0; i < n; i += LEAF_MAX, leaves++) {
		count = n - i < LEAF_MAX ? n - i : LEAF_MAX;
		write_leaf(fd, ROOT_BLOCK + 1 + leaves, thins + i, count);
		put64(root + 32 + 8 * leaves, thins[i]->id);
		put64(root + 32 + 8 * CHILDREN_MAX + 8 * leaves, ROOT_BLOCK + 1 + leaves);
	}
	put32(root + 16, leaves);
	write_block(fd, root, ROOT_BLOCK, 121107u);
}

/* A node of eight byte values. */
static void write_values(int fd, uint64_t block, bool leaf, const uint64_t *keys,
			 const uint64_t *values, unsigned n)
{
	unsigned char b[KV_THINMETA_BLOCK];

	start_node(b, false);
	put32(b + 4, leaf ? 2 : 1);
	put32(b + 16, n);
	for (unsigned i = 0; i < n; i++) {
		put64(b + 32 + 8 * i, keys[i]);
		put64(b + 32 + 8 * CHILDREN_MAX + 8 * i, values[i]);
	}
	write_block(fd, b, block, 121107u);
}

static uint64_t write_device(int fd, unsigned number, const struct model_thin *thin)
{
	uint64_t keys[MODEL_BLOCKS], values[MODEL_BLOCKS];

	for (unsigned i = 0; i < thin->n_blocks; i++) {
		keys[i] = i;
		values[i] = thin->blocks[i].block << 24 | thin->blocks[i].time;
	}
	write_values(fd, DEVICE_NODE + number, true, keys, values, thin->n_blocks);
	return DEVICE_NODE + number;
}

static void write_mappings(int fd, const struct model_metadata *md)
{
	uint64_t keys[CHILDREN_MAX], values[CHILDREN_MAX], first[8], leaf[8];
	const struct model_thin *thins[MODEL_THINS];
	unsigned n = 0, leaves = 0, count;

	for (unsigned i = 0; i < MODEL_THINS; i++)
		if (md->thins[i].used)
			thins[n++] = &md->thins[i];
	qsort(thins, n, sizeof(thins[0]), by_id);
	for (unsigned i = 0; i < n; i += count, leaves++) {
		count = n - i < CHILDREN_MAX ? n - i : CHILDREN_MAX;
		for (unsigned k = 0; k < count; k++) {
			keys[k] = thins[i + k]->id;
			values[k] = write_device(fd, i + k, thins[i + k]);
		}
		first[leaves] = keys[0];
		leaf[leaves] = DEVICE_LEAF + leaves;
		write_values(fd, leaf[leaves], true, keys, values, count);
	}
	write_values(fd, MAPPING_ROOT, !leaves, first, leaf, leaves);
}

void model_render(const struct model_disk *disk, int fd)
{
	_cleanup_close_ int own_fd = -1;
	const struct model_metadata *md = &disk->metadata;
	unsigned char b[KV_THINMETA_BLOCK] = { 0 };
	char path[MODEL_PATH];

	if (fd < 0) {
		(void)snprintf(path, sizeof(path), "%s/disk%d/metadata", model->dir,
			       (int)(disk - model->disks));
		fd = own_fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			abort();
	}
	write_tree(fd, md);
	write_mappings(fd, md);
	put32(b + 4, md->needs_check);
	put64(b + 32, 27022010);
	put32(b + 40, 2);
	put32(b + 44, md->time);
	put64(b + 48, md->transaction_id);
	put64(b + 192, N_BLOCKS);
	put64(b + 320, MAPPING_ROOT);
	put64(b + 328, ROOT_BLOCK);
	put32(b + 336, md->block_sectors);
	put32(b + 340, KV_THINMETA_BLOCK / KV_SECTOR);
	put64(b + 344, N_BLOCKS);
	write_block(fd, b, 0, 160774u);
	if (!md->snapshot)
		return;
	put64(b + 192, 0); /* as the kernel does */
	write_block(fd, b, MODEL_HELD_ROOT, 160774u);
}
