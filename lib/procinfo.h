/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_PROCINFO_H
#define KV_PROCINFO_H

/* L2, pure: files of /proc/PID, as proc(5) has them. */

#include "util.h"

/* "mnt:[4026531841]", as the link in ns/ has it. */
bool kv_procinfo_ns(const char *link, uint64_t *ret);
/* fdinfo: the mount that the file is on. */
bool kv_procinfo_mnt_id(const char *fdinfo, uint64_t *ret);
/* status: the state's letter, and the effective user. */
bool kv_procinfo_status(const char *status, char *ret_state, uint32_t *ret_uid);
/* A line of maps: the device of the mapped file. *ret_path: a span up to the line's end.
 * false: nothing is mapped there that has an inode, or it is no such line. */
bool kv_procinfo_map(const char *line, dev_t *ret_dev, const char **ret_path);
/* Is the path this one, or below it? */
bool kv_path_below(const char *path, const char *dir);

#endif
