/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_TREE_H
#define KV_TREE_H

/* L1: ownership of what is in a file system. */

#include "util.h"

#define KV_TREE_DEPTH 200

/* Gives all that is below a directory, and it last, to a group that may read and write it,
 * and what will be made in its directories, too. What is so already is left alone; so is
 * what may not be changed (immutable files, read-only subvolumes). root_fd: on a mount
 * with nodev, that nobody need keep from changing meanwhile. -ETIMEDOUT: not all of it;
 * -ELOOP: deeper than KV_TREE_DEPTH. */
int kv_tree_group(int root_fd, uint32_t group, int64_t deadline_ms);
/* 1: the directory itself is so already. */
int kv_tree_has_group(int root_fd, uint32_t group);

#define KV_OWN_IDS  (1u << 0)
#define KV_OWN_MODE (1u << 1)

struct kv_owner {
	unsigned what; /* KV_OWN_*: which of the others count */
	uint32_t uid, gid;
	uint32_t mode; /* of 07777 */
};
/* Gives one directory, and nothing in it, an owner and a mode. -EPERM: the kernel left a
 * bit of the mode out (no CAP_FSETID). */
int kv_tree_own(int fd, const struct kv_owner *owner);

#endif
