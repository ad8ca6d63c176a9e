/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_USERMAPS_H
#define KV_USERMAPS_H

/* L3: user namespaces for maps of ids. Making one costs a process; the containers of one
 * runtime mostly have the same maps, and a container's volumes always. So the last one is
 * kept, as an fd: there is no process in it. */

#include <pthread.h>

#include "idmap.h"

struct kv_usermaps {
	pthread_mutex_t mutex;
	int fd; /* -1: none yet */
	char uid_map[KV_IDMAP_SIZE], gid_map[KV_IDMAP_SIZE];
};

void kv_usermaps_init(struct kv_usermaps *maps);
/* An fd for the caller to close; errors as of kv_userns_make. */
int kv_usermaps_get(struct kv_usermaps *maps, const char *uid_map, const char *gid_map);
void kv_usermaps_free(struct kv_usermaps *maps);

#endif
