/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THINWALK_H
#define KV_THINWALK_H

/* L2, pure but for a read callback: the mappings of thin devices, in a metadata snapshot,
 * whose trees stand still for as long as it is held. */

#include "thinmeta.h"

struct kv_thinwalk {
	kv_thinmeta_read_fn *read;
	void *arg;
	struct kv_thinmeta_super super;
	uint64_t data_blocks;	/* the pool's */
	unsigned char *buffers; /* one for each level of a tree */
	unsigned char *seen;	/* nodes, by their number */
};

struct kv_thinmapping {
	uint64_t at;	/* in the device, in blocks */
	uint64_t block; /* of the pool's data, less than data_blocks */
	uint32_t time;	/* the count of the pool's snapshots when it was made */
};

/* 0, or a negative errno, which ends the walk. */
typedef int kv_thinwalk_fn(void *arg, const struct kv_thinmapping *m);

/* held: the block of the snapshot's superblock. Allocates, also when it fails:
 * kv_thinwalk_end frees. */
int kv_thinwalk_start(struct kv_thinwalk *w, kv_thinmeta_read_fn *read, void *arg,
		      uint64_t held, uint64_t data_blocks);
void kv_thinwalk_end(struct kv_thinwalk *w);
/* Calls fn for each mapping of a device, in its order. `once`: not for those in nodes that
 * any such walk has been to; trees that were copied share theirs. -ENODATA: there is no
 * such id; -EUCLEAN: damaged. */
int kv_thinwalk_device(struct kv_thinwalk *w, uint32_t id, bool once, kv_thinwalk_fn *fn,
		       void *fn_arg);

#endif
