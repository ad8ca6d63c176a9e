/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_USERNS_H
#define KV_USERNS_H

/* L1: user namespaces, for the maps of ids that they carry. */

#include "mount.h"

/* Both return an fd of the namespace. By its path: -ENOENT: it is no more; -EINVAL: no user
 * namespace, or the initial one, which maps nothing. */
int kv_userns_open(const char *path, struct kv_ns *ret);
/* A new one with these maps (lines as kv_idmap_parse gives them) and no process in it.
 * -EOPNOTSUPP: the kernel makes none, or the /proc here is no use for it. */
int kv_userns_make(const char *uid_map, const char *gid_map);

#endif
