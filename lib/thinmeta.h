/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THINMETA_H
#define KV_THINMETA_H

/* L2, pure but for a read callback: a reader of dm-thin's on-disk metadata (superblock
 * and the device details tree). Every block is checked: checksum, block number, node type
 * and bounds. */

#include "util.h"

#define KV_THINMETA_BLOCK 4096u

struct kv_thinmeta_super {
	uint64_t transaction_id;
	uint32_t time; /* the snapshot counter: 24 bits for the pool's whole life */
	uint64_t data_mapping_root;
	uint64_t device_details_root;
	uint64_t metadata_blocks;
	uint32_t data_block_sectors;
	bool needs_check; /* the kernel will not write it before a check has said so */
};

struct kv_thinmeta_device {
	uint64_t mapped_blocks;
	uint64_t transaction_id;
	uint32_t creation_time;
	uint32_t snapshotted_time;
};

/* Reads the 4096-byte block `block` into buf (4096 bytes, aligned to 4096). 0 or a
 * negative errno. */
typedef int kv_thinmeta_read_fn(void *arg, uint64_t block, void *buf);

/* -EUCLEAN: no such thing, or damaged. */
int kv_thinmeta_super(kv_thinmeta_read_fn *read, void *arg,
		      struct kv_thinmeta_super *ret);
/* Looks one thin id up. -ENODATA: not there. On a live pool this is consistent: the
 * committed superblock's tree is never overwritten in place, and if the superblock moved
 * on while we walked, we walk again (a few times, then -EAGAIN). */
int kv_thinmeta_device(kv_thinmeta_read_fn *read, void *arg, uint32_t id,
		       struct kv_thinmeta_device *ret);

struct kv_thinmeta_entry {
	uint32_t id;
	struct kv_thinmeta_device device;
};

/* For metadata that nobody writes: up to n devices from `from` on, ascending; returns how
 * many. *ret_next is where to go on, beyond KV_THIN_ID_MAX at the end. */
int kv_thinmeta_list(kv_thinmeta_read_fn *read, void *arg, uint32_t from,
		     struct kv_thinmeta_entry *ret, unsigned n, uint32_t *ret_next);

/* The superblock of a metadata snapshot; its trees stand still for as long as it is held,
 * and the next two read them. */
int kv_thinmeta_held(kv_thinmeta_read_fn *read, void *arg, uint64_t block,
		     struct kv_thinmeta_super *ret);
int kv_thinmeta_device_at(kv_thinmeta_read_fn *read, void *arg,
			  const struct kv_thinmeta_super *super, uint32_t id,
			  struct kv_thinmeta_device *ret);
int kv_thinmeta_list_at(kv_thinmeta_read_fn *read, void *arg,
			const struct kv_thinmeta_super *super, uint32_t from,
			struct kv_thinmeta_entry *ret, unsigned n, uint32_t *ret_next);

/* Is all there that leads to the volumes: the superblock and the roots of both trees? 0,
 * or -EUCLEAN. */
int kv_thinmeta_roots(kv_thinmeta_read_fn *read, void *arg);

/* Sets the snapshot counter in a superblock's block. -EUCLEAN: it is none. */
int kv_thinmeta_set_time(void *block, uint32_t time);

#endif
