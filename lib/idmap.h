/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_IDMAP_H
#define KV_IDMAP_H

/* L2, pure: maps of user or group ids, as user_namespaces(7) has them. */

#include "util.h"

#define KV_IDMAP_EXTENTS 340  /* the kernel takes no more */
#define KV_IDMAP_SIZE	 4096 /* ... and no longer a text, with the NUL in our case */

/* "INSIDE OUTSIDE COUNT", as newuidmap(1) orders them, several separated by commas or line
 * breaks, into the lines that the kernel takes: two maps of the same text are the same
 * map. -EINVAL: it is none; -ERANGE: an id that there is not, or that two of them have;
 * -E2BIG: too many of them. The output is untouched then. */
int kv_idmap_parse(const char *map, char ret[KV_IDMAP_SIZE]);

#endif
