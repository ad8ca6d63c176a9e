/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_CGROUP_H
#define KV_CGROUP_H

/* L1: control groups, version 2. Nothing here keeps state. */

#include "util.h"

/* A line for io.max is shorter than this. */
#define KV_CGROUP_LINE 160

/* Writes one line to the cgroup's io.max. The path is absolute, and no component of it
 * may be a link. -ENOENT: there is no such directory; -ELOOP: a link; -ENOTDIR: no
 * directory; -EMEDIUMTYPE: not in a cgroup2 file system; -EOPNOTSUPP: the io controller
 * is not enabled in it. Others are the kernel's. */
int kv_cgroup_io_max(const char *path, const char *line);

#endif
