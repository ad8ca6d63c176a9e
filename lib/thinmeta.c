/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A reader of dm-thin's metadata: the superblock, and the tree of device details.
 *
 * The formats are the kernel's: drivers/md/dm-thin-metadata.c (superblock, details) and
 * persistent-data/dm-btree-internal.h (nodes). All is little-endian. Nothing that is read
 * is believed: a block must carry its checksum and its own number, a node must fit its
 * block and hold its keys in order and within the range that its parent gave it, a tree
 * must be shallow.
 *
 * A live pool changes under us. The kernel never overwrites a block that the committed
 * superblock leads to, so that a walk is consistent if the superblock is the same before
 * and after it. It may have changed twice and look the same; then a walk can stray into a
 * block that has been used again, which the checks above see: so damage is believed only
 * if a second look finds it, too.
 *
 * Pure but for the read callback. Allocates nothing; two blocks live on the stack.
 */

#include <errno.h>
#include <string.h>

#include "thin.h"
#include "thinmeta.h"

#define SUPER_BLOCK    0
#define SUPER_MAGIC    27022010
#define SUPER_CSUM_XOR 160774u
#define NEEDS_CHECK    1u
#define NODE_CSUM_XOR  121107u

#define NODE_INTERNAL 1u
#define NODE_LEAF     2u
#define NODE_HEADER   32u

/* struct disk_device_details, and a child's block number */
#define DETAILS_SIZE 24u
#define CHILD_SIZE   8u

/* A node that is not the root is at least a third full (42 of 126 details, 84 of 252
 * children): four levels hold more than the 2^24 ids there are. */
#define DEPTH_MAX 8

/* Commits come at most once a second, unless somebody asks for them: a walk of
 * milliseconds that is overtaken this many times is no accident. */
#define TRIES	      8
#define TRIES_DAMAGED 2

/* --- Bytes
 * -------------------------------------------------------------------------------- */

static uint32_t get_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t get_le64(const unsigned char *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

/* As in the kernel: seeded with ones and not inverted at the end. Four bits at a time. */
static uint32_t crc32c(const unsigned char *p, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* Reads a block that begins with its checksum and has its number at 8, as all of them
 * do. */
static int read_block(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		      uint32_t csum_xor, unsigned char *buf)
{
	int r = read(arg, block, buf);

	if (r < 0)
		return r;
	if (get_le32(buf) != (crc32c(buf + 4, KV_THINMETA_BLOCK - 4) ^ csum_xor))
		return -EUCLEAN;
	return get_le64(buf + 8) == block ? 0 : -EUCLEAN;
}

/* --- Superblock
 * --------------------------------------------------------------------------- */

static int parse_super(const unsigned char *b, struct kv_thinmeta_super *ret)
{
	struct kv_thinmeta_super s = {
		.time = get_le32(b + 44),
		.transaction_id = get_le64(b + 48),
		.data_mapping_root = get_le64(b + 320),
		.device_details_root = get_le64(b + 328),
		.data_block_sectors = get_le32(b + 336),
		.needs_check = get_le32(b + 4) & NEEDS_CHECK,
		/* The root of the metadata's space map begins with it. The
		 * superblock's own field (at 344) is as it was at format, however much
		 * the device has grown since. */
		.metadata_blocks = get_le64(b + 192),
	};
	uint64_t data_block_bytes = (uint64_t)s.data_block_sectors * KV_SECTOR;

	if (get_le64(b + 32) != SUPER_MAGIC)
		return -EUCLEAN;
	if (get_le32(b + 340) != KV_THINMETA_BLOCK / KV_SECTOR)
		return -EUCLEAN;
	if (get_le32(b + 360)) /* incompatible features: none is known */
		return -EUCLEAN;
	if (data_block_bytes < KV_THIN_BLOCK_MIN ||
	    data_block_bytes > KV_THIN_BLOCK_MAX || data_block_bytes % KV_THIN_BLOCK_MIN)
		return -EUCLEAN;
	if (!s.metadata_blocks ||
	    s.metadata_blocks > KV_THIN_METADATA_MAX / KV_THINMETA_BLOCK)
		return -EUCLEAN;
	if (!s.data_mapping_root || s.data_mapping_root >= s.metadata_blocks ||
	    !s.device_details_root || s.device_details_root >= s.metadata_blocks)
		return -EUCLEAN;
	*ret = s;
	return 0;
}

/* Once more if it looks damaged: it may have been read while it was written. */
static int read_super(kv_thinmeta_read_fn *read, void *arg, unsigned char *buf)
{
	int r = -EUCLEAN;

	for (int tries = 0; r == -EUCLEAN && tries < TRIES_DAMAGED; tries++)
		r = read_block(read, arg, SUPER_BLOCK, SUPER_CSUM_XOR, buf);
	return r;
}

int kv_thinmeta_super(kv_thinmeta_read_fn *read, void *arg, struct kv_thinmeta_super *ret)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	int r = read_super(read, arg, buf);

	return r < 0 ? r : parse_super(buf, ret);
}

/* --- Tree
 * --------------------------------------------------------------------------------- */

struct node {
	const unsigned char *keys;
	const unsigned char *values;
	uint32_t n;
	bool leaf;
};

/* The keys that may be below a node: from first up to, and without, end. */
struct range {
	uint64_t first;
	uint64_t end;
};

static uint64_t node_key(const struct node *n, uint32_t i)
{
	return get_le64(n->keys + i * sizeof(uint64_t));
}

static int parse_node(const unsigned char *b, const struct range *range, struct node *ret)
{
	uint32_t flags = get_le32(b + 4);
	uint32_t n = get_le32(b + 16);
	uint32_t max = get_le32(b + 20);
	uint32_t value_size = get_le32(b + 24);
	struct node node = { .n = n, .leaf = flags == NODE_LEAF };

	if (flags != NODE_LEAF && flags != NODE_INTERNAL)
		return -EUCLEAN;
	if (value_size != (node.leaf ? DETAILS_SIZE : CHILD_SIZE))
		return -EUCLEAN;
	if (n > max ||
	    max > (KV_THINMETA_BLOCK - NODE_HEADER) / (sizeof(uint64_t) + value_size))
		return -EUCLEAN;
	if (!n && !node.leaf)
		return -EUCLEAN;
	node.keys = b + NODE_HEADER;
	node.values = node.keys + max * sizeof(uint64_t);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t key = node_key(&node, i);

		if (key < range->first || key >= range->end ||
		    (i && key <= node_key(&node, i - 1)))
			return -EUCLEAN;
	}
	*ret = node;
	return 0;
}

/* The number of keys that are at most key: the one looked for, or its subtree, is the
 * last of them. */
static uint32_t count_up_to(const struct node *n, uint64_t key)
{
	uint32_t low = 0, high = n->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (node_key(n, middle) <= key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void parse_details(const unsigned char *v, struct kv_thinmeta_device *ret)
{
	*ret = (struct kv_thinmeta_device){
		.mapped_blocks = get_le64(v),
		.transaction_id = get_le64(v + 8),
		.creation_time = get_le32(v + 16),
		.snapshotted_time = get_le32(v + 20),
	};
}

static int walk(kv_thinmeta_read_fn *read, void *arg,
		const struct kv_thinmeta_super *super, uint32_t id,
		struct kv_thinmeta_device *ret)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	uint64_t block = super->device_details_root;
	struct range range = { 0, (uint64_t)KV_THIN_ID_MAX + 1 };

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		struct node node;
		uint32_t i;
		int r;

		if (!block || block >= super->metadata_blocks)
			return -EUCLEAN;
		r = read_block(read, arg, block, NODE_CSUM_XOR, buf);
		if (r < 0)
			return r;
		r = parse_node(buf, &range, &node);
		if (r < 0)
			return r;

		i = count_up_to(&node, id);
		if (!i)
			return -ENODATA;
		i--;
		if (node.leaf) {
			if (node_key(&node, i) != id)
				return -ENODATA;
			parse_details(node.values + i * DETAILS_SIZE, ret);
			return 0;
		}
		range.first = node_key(&node, i);
		if (i + 1 < node.n)
			range.end = node_key(&node, i + 1);
		block = get_le64(node.values + i * CHILD_SIZE);
	}
	return -EUCLEAN;
}

int kv_thinmeta_device(kv_thinmeta_read_fn *read, void *arg, uint32_t id,
		       struct kv_thinmeta_device *ret)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char before[KV_THINMETA_BLOCK];
	_Alignas(KV_THINMETA_BLOCK) unsigned char after[KV_THINMETA_BLOCK];
	struct kv_thinmeta_super super;
	struct kv_thinmeta_device device;
	int damaged = 0;
	int r, found;

	r = read_super(read, arg, before);
	if (r < 0)
		return r;
	for (int tries = 0; tries < TRIES; tries++) {
		r = parse_super(before, &super);
		if (r < 0)
			return r;
		found = walk(read, arg, &super, id, &device);
		r = read_super(read, arg, after);
		if (r < 0)
			return r;
		if (memcmp(before, after, sizeof(before))) {
			memcpy(before, after, sizeof(before));
			continue;
		}
		if (found == -EUCLEAN && ++damaged < TRIES_DAMAGED)
			continue;
		if (!found)
			*ret = device;
		return found;
	}
	return -EAGAIN;
}

/* --- All of them ---------------------------------------------------------------------
 */

/* The leaf in which `from` is or would be. *range is what it may hold. */
static int find_leaf(kv_thinmeta_read_fn *read, void *arg,
		     const struct kv_thinmeta_super *super, uint32_t from,
		     unsigned char *buf, struct node *node, struct range *range)
{
	uint64_t block = super->device_details_root;

	*range = (struct range){ 0, (uint64_t)KV_THIN_ID_MAX + 1 };
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		uint32_t i;
		int r;

		if (!block || block >= super->metadata_blocks)
			return -EUCLEAN;
		r = read_block(read, arg, block, NODE_CSUM_XOR, buf);
		if (r == 0)
			r = parse_node(buf, range, node);
		if (r < 0 || node->leaf)
			return r;
		i = count_up_to(node, from);
		i -= i > 0; /* before the first key: what follows is in the first child */
		range->first = node_key(node, i);
		if (i + 1 < node->n)
			range->end = node_key(node, i + 1);
		block = get_le64(node->values + i * CHILD_SIZE);
	}
	return -EUCLEAN;
}

int kv_thinmeta_list(kv_thinmeta_read_fn *read, void *arg, uint32_t from,
		     struct kv_thinmeta_entry *ret, unsigned n, uint32_t *ret_next)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	struct kv_thinmeta_super super;
	struct range range;
	struct node node;
	unsigned found = 0;
	int r;

	r = kv_thinmeta_super(read, arg, &super);
	while (r == 0 && found < n && from <= KV_THIN_ID_MAX) {
		r = find_leaf(read, arg, &super, from, buf, &node, &range);
		if (r < 0)
			break;
		for (uint32_t i = 0; i < node.n; i++) {
			if (node_key(&node, i) < from)
				continue;
			if (found == n) {
				range.end = node_key(&node, i);
				break;
			}
			ret[found].id = (uint32_t)node_key(&node, i);
			parse_details(node.values + i * DETAILS_SIZE, &ret[found].device);
			found++;
		}
		from = (uint32_t)range.end;
	}
	if (r < 0)
		return r;
	*ret_next = from;
	return (int)found;
}

int kv_thinmeta_roots(kv_thinmeta_read_fn *read, void *arg)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	struct kv_thinmeta_super super;
	int r;

	r = kv_thinmeta_super(read, arg, &super);
	if (r == 0)
		r = read_block(read, arg, super.device_details_root, NODE_CSUM_XOR, buf);
	if (r == 0)
		r = read_block(read, arg, super.data_mapping_root, NODE_CSUM_XOR, buf);
	return r;
}

static void put_le32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

int kv_thinmeta_set_time(void *block, uint32_t time)
{
	struct kv_thinmeta_super super;
	unsigned char *b = block;
	int r = parse_super(b, &super);

	if (r < 0)
		return r;
	put_le32(b + 44, time);
	put_le32(b, crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ SUPER_CSUM_XOR);
	return 0;
}
