/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_PROBE_H
#define KV_PROBE_H

/* L1: what a device carries, by libblkid. A probe cannot tell blank from unreadable: both
 * are asked. */

#include "util.h"

/* 1: there is a signature, its name (such as "ext4", "gpt", "LVM2_member") in ret; 0:
 * none, and the places where one could be were readable; negative: they were not. */
int kv_probe_signature(int fd, char *ret, size_t size);
/* Removes every signature that libblkid knows, and flushes. Only for kvol_pool_format. */
int kv_probe_wipe(int fd);

#endif
