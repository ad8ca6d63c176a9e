/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_SECRET_H
#define KV_SECRET_H

/* L0: memory for keys: locked, left out of core dumps, wiped when it is freed. */

#include "util.h"

/* What a caller passes: borrowed, never copied by us. */
struct kv_secret {
	const void *data; /* NULL: none */
	size_t bytes;
};

/* NULL and errno: also where RLIMIT_MEMLOCK does not let it be locked. */
void *kv_secret_alloc(size_t bytes);
void kv_secret_free(void *p, size_t bytes); /* NULL is a no-op */

#endif
