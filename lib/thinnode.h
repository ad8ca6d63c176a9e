/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THINNODE_H
#define KV_THINNODE_H

/* L2, pure but for a read callback: blocks of dm-thin's metadata, and the nodes of its
 * trees. Every block is checked: checksum, block number, node type and bounds. */

#include "thinmeta.h"

#define KV_THINNODE_SUPER_XOR 160774u
#define KV_THINNODE_XOR	      121107u

/* A node that is not the root is at least a third full: eight levels hold more than the
 * metadata has blocks. */
#define KV_THINNODE_DEPTH 8

struct kv_thinnode {
	const unsigned char *keys;
	const unsigned char *values;
	uint32_t n;
	bool leaf;
};

/* The keys that may be below a node: from first up to, and without, end. */
struct kv_thinrange {
	uint64_t first;
	uint64_t end;
};

uint32_t kv_thin_le32(const unsigned char *p);
uint64_t kv_thin_le64(const unsigned char *p);

/* Reads a block that begins with its checksum and has its number at 8, as all of them
 * do. -EUCLEAN: it is none. */
int kv_thinnode_block(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		      uint32_t csum_xor, unsigned char *buf);
/* Reads a node. leaf_size: of a leaf's values. *ret points into buf. */
int kv_thinnode_read(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		     uint64_t metadata_blocks, const struct kv_thinrange *range,
		     uint32_t leaf_size, unsigned char *buf, struct kv_thinnode *ret);
uint64_t kv_thinnode_key(const struct kv_thinnode *n, uint32_t i);
/* A value of eight bytes: a child's block, or a leaf's. */
uint64_t kv_thinnode_value(const struct kv_thinnode *n, uint32_t i);
/* The number of keys that are at most key: the one looked for, or its subtree, is the last
 * of them. */
uint32_t kv_thinnode_count_up_to(const struct kv_thinnode *n, uint64_t key);
/* What may be below the i-th child of a node that may have *range. */
struct kv_thinrange kv_thinnode_below(const struct kv_thinnode *n, uint32_t i,
				      const struct kv_thinrange *range);

#endif
