/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_LABEL_H
#define KV_LABEL_H

/* L2, pure: what labels are allowed, and sets of them. */

#include "error.h"

#define KV_LABEL_PREFIX_MAX 253
#define KV_LABEL_NAME_MAX   63

bool kv_label_key_valid(const char *key);     /* [1-253 of A-Za-z0-9.- and '/'] name */
bool kv_label_value_valid(const char *value); /* up to 4096 bytes of UTF-8, no control */

/* Those of a call: valid, each key once, no more than an object can have. `removes`: a
 * NULL value is one to be removed. The error has the index of the one at fault. `what` is
 * whose labels they are. */
int kv_labels_check(const struct kvol_label *labels, uint64_t n, bool removes,
		    const char *what, struct kvol_error *e);

/* A set: KEY NUL VALUE NUL for each, and pointers into that once it is whole. */
struct kv_labels {
	char *text;
	size_t size;
	struct kvol_label *of;
	uint64_t n;
};

/* -ENOMEM. */
int kv_labels_add(struct kv_labels *set, const char *key, const char *value);
/* Sets `of`. -EUCLEAN: the text is no set of valid labels. */
int kv_labels_finish(struct kv_labels *set);
void kv_labels_clear(struct kv_labels *set);
#define _cleanup_labels_ _cleanup_(kv_labels_clear)

#endif
