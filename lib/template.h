/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_TEMPLATE_H
#define KV_TEMPLATE_H

/* L4: the templates that formatted volumes are cloned of. */

#include "verb.h"

/* One that nobody deletes while it is held. */
struct kv_template {
	struct kv_row row;
	struct kv_lock lock;
};
#define KV_TEMPLATE_NONE   ((struct kv_template){ .lock = KV_LOCK_NONE })
#define _cleanup_template_ _cleanup_(kv_template_release)

/* Finds the template, or makes it. 1: the mkfs that it would be of is not installed. */
int kv_template_take(struct kvol_pool *pool, const struct kv_fs *fs, uint64_t bytes,
		     struct kv_template *ret, struct kvol_error *e);
void kv_template_release(struct kv_template *t);
/* The pool does not have its blocks any more: so its row goes, too, and the next creation
 * makes another. */
void kv_template_lost(struct kvol_pool *pool, struct kv_template *t);

/* Copies its blocks to the thin device of a row that is not committed yet, empty, and
 * inactive again afterwards. Not now: the file system is to be made; lost: the pool does
 * not have the template's blocks. */
#define KV_COPY_NOT_NOW 1
#define KV_COPY_LOST	2
int kv_template_copy(struct kvol_pool *pool, const struct kv_template *t,
		     const struct kv_row *row, struct kvol_error *e);

/* Makes it as volumes are made (create.c). 0: it is there. */
int kv_volume_make_template(struct kvol_pool *pool, const char *name,
			    const struct kv_fs *fs, uint64_t bytes, struct kvol_error *e);
/* Refuses a size that the file system cannot live in. */
int kv_fs_fits(const struct kv_fs *fs, const char *name, uint64_t bytes,
	       struct kvol_error *e);

#endif
