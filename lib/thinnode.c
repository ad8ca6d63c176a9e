/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Blocks and tree nodes of dm-thin's metadata, as drivers/md/persistent-data has them
 * (dm-btree-internal.h, dm-block-manager.c). All is little-endian. Nothing that is read
 * is believed: a block must carry its checksum and its own number, a node must fit its
 * block and hold its keys in order and within the range that its parent gave it.
 *
 * Pure but for the read callback. Allocates nothing.
 */

#include <errno.h>

#include "thinnode.h"

#define NODE_INTERNAL 1u
#define NODE_LEAF     2u
#define NODE_HEADER   32u
#define CHILD_SIZE    8u

uint32_t kv_thin_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

uint64_t kv_thin_le64(const unsigned char *p)
{
	return kv_thin_le32(p) | (uint64_t)kv_thin_le32(p + 4) << 32;
}

int kv_thinnode_block(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		      uint32_t csum_xor, unsigned char *buf)
{
	int r = read(arg, block, buf);

	if (r < 0)
		return r;
	if (kv_thin_le32(buf) != (kv_crc32c(buf + 4, KV_THINMETA_BLOCK - 4) ^ csum_xor))
		return -EUCLEAN;
	return kv_thin_le64(buf + 8) == block ? 0 : -EUCLEAN;
}

uint64_t kv_thinnode_key(const struct kv_thinnode *n, uint32_t i)
{
	return kv_thin_le64(n->keys + i * sizeof(uint64_t));
}

uint64_t kv_thinnode_value(const struct kv_thinnode *n, uint32_t i)
{
	return kv_thin_le64(n->values + i * sizeof(uint64_t));
}

static int parse(const unsigned char *b, const struct kv_thinrange *range,
		 uint32_t leaf_size, struct kv_thinnode *ret)
{
	uint32_t flags = kv_thin_le32(b + 4);
	uint32_t n = kv_thin_le32(b + 16);
	uint32_t max = kv_thin_le32(b + 20);
	uint32_t value_size = kv_thin_le32(b + 24);
	struct kv_thinnode node = { .n = n, .leaf = flags == NODE_LEAF };

	if (flags != NODE_LEAF && flags != NODE_INTERNAL)
		return -EUCLEAN;
	if (value_size != (node.leaf ? leaf_size : CHILD_SIZE))
		return -EUCLEAN;
	if (n > max ||
	    max > (KV_THINMETA_BLOCK - NODE_HEADER) / (sizeof(uint64_t) + value_size))
		return -EUCLEAN;
	if (!n && !node.leaf)
		return -EUCLEAN;
	node.keys = b + NODE_HEADER;
	node.values = node.keys + max * sizeof(uint64_t);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t key = kv_thinnode_key(&node, i);

		if (key < range->first || key >= range->end ||
		    (i && key <= kv_thinnode_key(&node, i - 1)))
			return -EUCLEAN;
	}
	*ret = node;
	return 0;
}

int kv_thinnode_read(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		     uint64_t metadata_blocks, const struct kv_thinrange *range,
		     uint32_t leaf_size, unsigned char *buf, struct kv_thinnode *ret)
{
	int r;

	if (!block || block >= metadata_blocks)
		return -EUCLEAN;
	r = kv_thinnode_block(read, arg, block, KV_THINNODE_XOR, buf);
	return r < 0 ? r : parse(buf, range, leaf_size, ret);
}

uint32_t kv_thinnode_count_up_to(const struct kv_thinnode *n, uint64_t key)
{
	uint32_t low = 0, high = n->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (kv_thinnode_key(n, middle) <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct kv_thinrange kv_thinnode_below(const struct kv_thinnode *n, uint32_t i,
				      const struct kv_thinrange *range)
{
	return (struct kv_thinrange){
		.first = kv_thinnode_key(n, i),
		.end = i + 1 < n->n ? kv_thinnode_key(n, i + 1) : range->end,
	};
}
