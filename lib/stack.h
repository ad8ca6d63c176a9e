/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_STACK_H
#define KV_STACK_H

/* L3: a pool's own devices: linear maps of the three partitions, and the thin pool on
 * them. */

#include "dm.h"
#include "layout.h"

struct kv_stack {
	dev_t member; /* the disk or loop device below */
	dev_t catalogue, metadata, data, pool;
};

/* Maps the catalogue, the metadata alone, or all but the catalogue. Devices that are
 * there already are checked and kept. blank: the metadata may be zeros, which the kernel
 * formats; otherwise that is -EUCLEAN. -EEXIST: a device of this pool's name maps
 * something else; -EBUSY: the member is in use by somebody. */
int kv_stack_map_catalogue(const struct kv_dm *dm, const struct kv_layout *layout,
			   dev_t member, struct kv_stack *stack);
int kv_stack_map_metadata(const struct kv_dm *dm, const struct kv_layout *layout,
			  dev_t member, struct kv_stack *stack);
int kv_stack_map_pool(const struct kv_dm *dm, const struct kv_layout *layout,
		      dev_t member, uint64_t block_bytes, bool blank,
		      struct kv_stack *stack);
/* Finds the devices of an active pool. -ENXIO: it is not, or not wholly, active. */
int kv_stack_find(const struct kv_dm *dm, const char *pool_uuid, struct kv_stack *ret);
/* Removes whatever is there of them, topmost first. */
int kv_stack_remove(const struct kv_dm *dm, const char *pool_uuid);

#endif
