/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TEMPLATE_H
#define KVOL_TEMPLATE_H

/*
 * Part of <kvol/kvol.h>, which includes it.
 *
 * Templates: what makes a formatted volume appear in the time of a snapshot. kvol_create clones an
 * empty file system that mkfs has made once for the pool, and the clone gets a UUID of its own
 * before its first mount. There is one template for each file system and size, and for each mkfs,
 * by its program's size and date and that of its configuration. kvol_create makes those that it
 * lacks; a pool keeps the 16 newest. An encrypted or thick volume cannot be a clone, and has its own
 * mkfs. Once the kernel's count of snapshots (struct kvol_pool_info) is within 2^20 of its end, the
 * rest is for snapshots and clones that are asked for: volumes are copies of the template, of what
 * mkfs has written, which takes longer and no snapshot.
 *
 * Templates are in no count, limit or listing of volumes, but in kvol_list_filtered with
 * KVOL_LIST_TEMPLATES. They have the pool's space that their file system takes: with ext4 4 to
 * 16 MiB, with xfs that of its log, 64 to 512 MiB, which its clones share.
 */

#ifndef KVOL_KVOL_H
#error "include <kvol/kvol.h>"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes the template for volumes of BYTES with FS_TYPE ("ext4", "xfs", "btrfs") ahead of the first
 * kvol_create that needs it.
 *
 * Idempotent: the template being there is 0.
 * Durable: when it returns 0. A crash before leaves nothing.
 * Blocks: on mkfs, its own or that of another call, at most 5 minutes each.
 * Errors: as kvol_create.
 * Since: 0.1
 */
int kvol_template_make(struct kvol_pool *pool, const char *fs_type, uint64_t bytes,
		       struct kvol_error *reterr);

/*
 * Deletes the templates for volumes of BYTES (0: of any size) with FS_TYPE (NULL or "": with any),
 * whichever mkfs made them. Volumes that were cloned of them stay whole.
 *
 * Idempotent: there being none is 0.
 * Durable: when it returns 0. After a crash each is wholly there or gone.
 * Blocks: for creations that are cloning them, at most 30 seconds; two flushes for each.
 * Errors: -EINVAL KVOL_R_UNSUPPORTED: an unknown file system.
 * Since: 0.1
 */
int kvol_template_delete(struct kvol_pool *pool, const char *fs_type, uint64_t bytes,
			 struct kvol_error *reterr);

#ifdef __cplusplus
}
#endif

#endif
