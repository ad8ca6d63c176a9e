// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "usermaps.h"
#include "userns.h"

void kv_usermaps_init(struct kv_usermaps *maps)
{
	pthread_mutex_init(&maps->mutex, NULL);
	maps->fd = -1;
}

static int dup_fd(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

static int find(struct kv_usermaps *maps, const char *uid_map, const char *gid_map)
{
	int r = -ENOENT;

	pthread_mutex_lock(&maps->mutex);
	if (maps->fd >= 0 && !strcmp(maps->uid_map, uid_map) &&
	    !strcmp(maps->gid_map, gid_map))
		r = dup_fd(maps->fd);
	pthread_mutex_unlock(&maps->mutex);
	return r;
}

/* In the last one's place, or not at all. */
static void keep(struct kv_usermaps *maps, const char *uid_map, const char *gid_map, int fd)
{
	int copy = dup_fd(fd);

	if (copy < 0)
		return;
	pthread_mutex_lock(&maps->mutex);
	(void)kv_close(maps->fd);
	maps->fd = copy;
	(void)kv_strcpy(maps->uid_map, sizeof(maps->uid_map), uid_map);
	(void)kv_strcpy(maps->gid_map, sizeof(maps->gid_map), gid_map);
	pthread_mutex_unlock(&maps->mutex);
}

int kv_usermaps_get(struct kv_usermaps *maps, const char *uid_map, const char *gid_map)
{
	int r = find(maps, uid_map, gid_map);

	if (r != -ENOENT)
		return r;
	r = kv_userns_make(uid_map, gid_map);
	if (r >= 0)
		keep(maps, uid_map, gid_map, r);
	return r;
}

void kv_usermaps_free(struct kv_usermaps *maps)
{
	maps->fd = kv_close(maps->fd);
	pthread_mutex_destroy(&maps->mutex);
}
