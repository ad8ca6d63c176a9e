/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_PUBLICATION_H
#define KV_PUBLICATION_H

/* L3: what is to be remembered of a publish until the boot ends. */

#include <limits.h>
#include "idmap.h"
#include "label.h"
#include "mount.h"

#define KV_PUBLICATION_KEY 17
#define KV_PUBLICATION_LABELS 8192

struct kv_publication {
	uint32_t volume;
	/* "": the record is whole. Else it does not parse, this is its name, and of the
	 * rest nothing but the volume is known. */
	char damaged[KV_PUBLICATION_KEY];
	uint32_t flags; /* KVOL_PUBLISH_* in effect */
	struct kv_ns ns;
	uint64_t mnt_id; /* of its mount, and the device that is seen there: this */
	dev_t dev;	 /* is how it is known again */
	uint64_t attr;	 /* MOUNT_ATTR_* asked for */
	uint32_t access; /* KVOL_ACCESS_* */
	uint32_t propagation; /* KVOL_PROPAGATION_* */
	uint32_t group;	      /* with KVOL_PUBLISH_GROUP */
	struct kv_ns user_ns; /* that maps its ids; 0: none, or the maps that follow */
	char uid_map[KV_IDMAP_SIZE], gid_map[KV_IDMAP_SIZE]; /* "": none */
	char super[512]; /* superblock options asked for */
	char target[PATH_MAX];
	char ns_path[PATH_MAX]; /* as given, "" for the caller's own */
	uint32_t labels_size;
	char labels[KV_PUBLICATION_LABELS]; /* as struct kv_labels has them */
};

/* All take the pool's run directory. Reading: -ENOENT: none; -EUCLEAN: damaged. */
int kv_publication_write(int dir_fd, const struct kv_publication *p);
int kv_publication_read(int dir_fd, uint32_t volume, const struct kv_ns *ns,
			const char *target, struct kv_publication *ret);
int kv_publication_remove(int dir_fd, const struct kv_publication *p);
/* Calls fn for each publication of the volume, those with a damaged record among them,
 * until it returns non-zero, which is then returned. fn may remove the one that it is
 * given. */
int kv_publication_each(int dir_fd, uint32_t volume,
			int (*fn)(const struct kv_publication *p, void *arg), void *arg);
int kv_publication_count(int dir_fd, uint32_t volume);
/* Calls fn for each volume that has any, in no order, until it returns non-zero, which is
 * then returned. */
int kv_publication_volumes(int dir_fd, int (*fn)(uint32_t volume, void *arg), void *arg);
/* How many of them there are. */
int kv_publication_count_volumes(int dir_fd, uint64_t *ret);

#endif
