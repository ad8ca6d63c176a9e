/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THINUSAGE_H
#define KV_THINUSAGE_H

/* L2, pure but for a read callback: which blocks of a thin device are its own. */

#include "thinmeta.h"

struct kv_thinusage {
	uint64_t exclusive; /* blocks that no other device maps */
	uint64_t shared;
};

/* Reads the trees of a metadata snapshot, whose superblock is the block `held`: they stand
 * still for as long as it is held. data_blocks: the pool's. Memory: a bit for each block
 * of the pool, one for each of its metadata, and 40 KiB. -ENODATA: no such id then;
 * -EUCLEAN: damaged. */
int kv_thinusage(kv_thinmeta_read_fn *read, void *arg, uint64_t held,
		 uint64_t data_blocks, uint32_t id, struct kv_thinusage *ret);

#endif
