/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_OPTS_H
#define KV_OPTS_H

/* L0: the struct rules, in one place. Below the API layer nobody compares sizes. */

#include <stddef.h>

#include "error.h"

/* The size of a struct up to and with one of its fields: that of its first version. */
#define KV_SIZE_TO(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/*
 * Copies a caller's options struct into a zeroed local one. NULL: defaults. `size` below
 * min_size (the first version's): -EINVAL; a non-zero byte beyond what we know: -E2BIG; a
 * flag outside `known_flags`: -EINVAL. dst->size is set to dst_size.
 */
int kv_opts_in(void *dst, size_t dst_size, size_t min_size, const void *src,
	       uint32_t known_flags, const char *what, struct kvol_error *e);

/* Copies an info struct out to a caller's one of any size from 8 bytes on: what fits is
 * copied, the surplus zeroed, and the filled size is written back. */
int kv_info_check(const void *dst, const char *what, struct kvol_error *e);
void kv_info_out(void *dst, const void *src, size_t src_size);

#endif
