/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_LAYOUT_H
#define KV_LAYOUT_H

/* L2, pure: how a disk is divided into catalogue, metadata and data. */

#include "util.h"

struct kv_extent {
	uint64_t start_bytes;
	uint64_t bytes;
};

struct kv_layout {
	char uuid[KV_UUID_LEN + 1]; /* the disk GUID: the pool's UUID, lower case */
	uint64_t device_bytes;
	struct kv_extent catalogue, metadata, data;
};

struct kv_geometry {
	uint64_t block_bytes;
	uint64_t max_volumes;
};

/* Divides a device of device_bytes. Zero fields of *geo are chosen and filled in.
 * -EINVAL: a parameter is impossible; -ENOSPC: too small, and *ret_least_bytes says what
 * would do. All extents are aligned to 1 MiB and leave room for both copies of a GPT with
 * 4096-byte sectors. */
int kv_layout_plan(uint64_t device_bytes, struct kv_geometry *geo, struct kv_layout *ret,
		   uint64_t *ret_least_bytes);

#endif
