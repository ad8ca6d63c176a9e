/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_MOUNTINFO_H
#define KV_MOUNTINFO_H

/* L2, pure: a line of /proc/PID/mountinfo, as proc(5) has it. */

#include "util.h"

/* What tells a mount from others. The strings are spans of the line, escapes and all. */
struct kv_mountinfo {
	uint64_t id;
	dev_t dev; /* the superblock's; stat may show another one (btrfs) */
	const char *root;
	size_t root_len; /* what of the file system is mounted: "/", or "/dm-7" */
	const char *point;
	size_t point_len; /* where it is now, as seen from the namespace's root */
	const char *fs_type;
	size_t fs_type_len;
	const char *source; /* may be empty; the file system's own word for its device */
	size_t source_len;
};

/* -EBADMSG: no such line; the output is untouched then. */
int kv_mountinfo_parse(const char *line, struct kv_mountinfo *ret);
/* Can this be the mount that had this id when it was made, and on which dev was seen?
 * node: it is a bind mount of the node of device-mapper's device dev. Ids are used again.
 */
bool kv_mountinfo_is(const struct kv_mountinfo *m, uint64_t id, dev_t dev, bool node);
/* Without knowing it from before: is it of device-mapper's device dev, the file system on
 * it, or (node) a bind mount of its node? */
bool kv_mountinfo_shows(const struct kv_mountinfo *m, dev_t dev, bool node);
/* The mount point without its escapes; false if it does not fit. */
bool kv_mountinfo_point(const struct kv_mountinfo *m, char *ret, size_t size);

#endif
