/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A reader of dm-thin's metadata: the superblock, and the tree of device details.
 *
 * The formats are the kernel's: drivers/md/dm-thin-metadata.c; of blocks and nodes
 * thinnode.c tells. All is little-endian. Nothing that is read is believed.
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
#include "thinnode.h"

#define SUPER_BLOCK    0
#define SUPER_MAGIC    27022010
#define NEEDS_CHECK    1u
#define METADATA_BLOCKS 192 /* where it is */
/* struct disk_device_details */
#define DETAILS_SIZE 24u

/* Commits come at most once a second, unless somebody asks for them: a walk of
 * milliseconds that is overtaken this many times is no accident. */
#define TRIES	      8
#define TRIES_DAMAGED 2

/* --- Superblock ------------------------------------------------------------------- */

static void put_le32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static void put_le64(unsigned char *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}

static int parse_super(const unsigned char *b, struct kv_thinmeta_super *ret)
{
	struct kv_thinmeta_super s = {
		.time = kv_thin_le32(b + 44),
		.transaction_id = kv_thin_le64(b + 48),
		.data_mapping_root = kv_thin_le64(b + 320),
		.device_details_root = kv_thin_le64(b + 328),
		.data_block_sectors = kv_thin_le32(b + 336),
		.needs_check = kv_thin_le32(b + 4) & NEEDS_CHECK,
		/* The root of the metadata's space map begins with it. The
		 * superblock's own field (at 344) is as it was at format, however much
		 * the device has grown since. */
		.metadata_blocks = kv_thin_le64(b + METADATA_BLOCKS),
	};
	uint64_t data_block_bytes = (uint64_t)s.data_block_sectors * KV_SECTOR;

	if (kv_thin_le64(b + 32) != SUPER_MAGIC)
		return -EUCLEAN;
	if (kv_thin_le32(b + 340) != KV_THINMETA_BLOCK / KV_SECTOR)
		return -EUCLEAN;
	if (kv_thin_le32(b + 360)) /* incompatible features: none is known */
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
		r = kv_thinnode_block(read, arg, SUPER_BLOCK, KV_THINNODE_SUPER_XOR, buf);
	return r;
}

int kv_thinmeta_super(kv_thinmeta_read_fn *read, void *arg, struct kv_thinmeta_super *ret)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	int r = read_super(read, arg, buf);

	return r < 0 ? r : parse_super(buf, ret);
}

/* The kernel wipes the roots of the space maps in it: how large the metadata is stands in
 * the live one, which does not shrink. */
int kv_thinmeta_held(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		     struct kv_thinmeta_super *ret)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	struct kv_thinmeta_super live;
	int r;

	r = kv_thinmeta_super(read, arg, &live);
	if (r == 0 && (!block || block >= live.metadata_blocks))
		r = -EUCLEAN;
	if (r == 0)
		r = kv_thinnode_block(read, arg, block, KV_THINNODE_SUPER_XOR, buf);
	if (r < 0)
		return r;
	put_le64(buf + METADATA_BLOCKS, live.metadata_blocks);
	return parse_super(buf, ret);
}

/* --- Tree ------------------------------------------------------------------------- */

static void parse_details(const unsigned char *v, struct kv_thinmeta_device *ret)
{
	*ret = (struct kv_thinmeta_device){
		.mapped_blocks = kv_thin_le64(v),
		.transaction_id = kv_thin_le64(v + 8),
		.creation_time = kv_thin_le32(v + 16),
		.snapshotted_time = kv_thin_le32(v + 20),
	};
}

int kv_thinmeta_device_at(kv_thinmeta_read_fn *read, void *arg,
			  const struct kv_thinmeta_super *super, uint32_t id,
			  struct kv_thinmeta_device *ret)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	uint64_t block = super->device_details_root;
	struct kv_thinrange range = { 0, (uint64_t)KV_THIN_ID_MAX + 1 };

	for (int depth = 0; depth < KV_THINNODE_DEPTH; depth++) {
		struct kv_thinnode node;
		uint32_t i;
		int r;

		r = kv_thinnode_read(read, arg, block, super->metadata_blocks, &range,
				     DETAILS_SIZE, buf, &node);
		if (r < 0)
			return r;

		i = kv_thinnode_count_up_to(&node, id);
		if (!i)
			return -ENODATA;
		i--;
		if (node.leaf) {
			if (kv_thinnode_key(&node, i) != id)
				return -ENODATA;
			parse_details(node.values + i * DETAILS_SIZE, ret);
			return 0;
		}
		range = kv_thinnode_below(&node, i, &range);
		block = kv_thinnode_value(&node, i);
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
		found = kv_thinmeta_device_at(read, arg, &super, id, &device);
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

/* --- All of them ------------------------------------------------------------------ */

/* The leaf in which `from` is or would be. *range is what it may hold. */
static int find_leaf(kv_thinmeta_read_fn *read, void *arg,
		     const struct kv_thinmeta_super *super, uint32_t from,
		     unsigned char *buf, struct kv_thinnode *node, struct kv_thinrange *range)
{
	uint64_t block = super->device_details_root;

	*range = (struct kv_thinrange){ 0, (uint64_t)KV_THIN_ID_MAX + 1 };
	for (int depth = 0; depth < KV_THINNODE_DEPTH; depth++) {
		uint32_t i;
		int r;

		r = kv_thinnode_read(read, arg, block, super->metadata_blocks, range,
				     DETAILS_SIZE, buf, node);
		if (r < 0 || node->leaf)
			return r;
		i = kv_thinnode_count_up_to(node, from);
		i -= i > 0; /* before the first key: what follows is in the first child */
		*range = kv_thinnode_below(node, i, range);
		block = kv_thinnode_value(node, i);
	}
	return -EUCLEAN;
}

int kv_thinmeta_list_at(kv_thinmeta_read_fn *read, void *arg,
			const struct kv_thinmeta_super *super, uint32_t from,
			struct kv_thinmeta_entry *ret, unsigned n, uint32_t *ret_next)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	struct kv_thinrange range;
	struct kv_thinnode node;
	unsigned found = 0;
	int r = 0;

	while (r == 0 && found < n && from <= KV_THIN_ID_MAX) {
		r = find_leaf(read, arg, super, from, buf, &node, &range);
		if (r < 0)
			break;
		for (uint32_t i = 0; i < node.n; i++) {
			if (kv_thinnode_key(&node, i) < from)
				continue;
			if (found == n) {
				range.end = kv_thinnode_key(&node, i);
				break;
			}
			ret[found].id = (uint32_t)kv_thinnode_key(&node, i);
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

int kv_thinmeta_list(kv_thinmeta_read_fn *read, void *arg, uint32_t from,
		     struct kv_thinmeta_entry *ret, unsigned n, uint32_t *ret_next)
{
	struct kv_thinmeta_super super;
	int r = kv_thinmeta_super(read, arg, &super);

	return r < 0 ? r : kv_thinmeta_list_at(read, arg, &super, from, ret, n, ret_next);
}

int kv_thinmeta_roots(kv_thinmeta_read_fn *read, void *arg)
{
	_Alignas(KV_THINMETA_BLOCK) unsigned char buf[KV_THINMETA_BLOCK];
	struct kv_thinmeta_super super;
	int r;

	r = kv_thinmeta_super(read, arg, &super);
	if (r == 0)
		r = kv_thinnode_block(read, arg, super.device_details_root, KV_THINNODE_XOR, buf);
	if (r == 0)
		r = kv_thinnode_block(read, arg, super.data_mapping_root, KV_THINNODE_XOR, buf);
	return r;
}

int kv_thinmeta_set_time(void *block, uint32_t time)
{
	struct kv_thinmeta_super super;
	unsigned char *b = block;
	int r = parse_super(b, &super);

	if (r < 0)
		return r;
	put_le32(b + 44, time);
	put_le32(b, kv_crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ KV_THINNODE_SUPER_XOR);
	return 0;
}
