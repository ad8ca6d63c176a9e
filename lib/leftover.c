// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is left in the kernel by a process that was killed while it mapped a pool's parts,
 * and that no later open would find, because no disk carries the pool's UUID: not yet, for
 * a format writes the partition table last; or no longer, when a format wipes it. Such
 * maps hold the disk or file, so that nothing could be done with it, or the last of them
 * has no table yet and tells nobody what it was for.
 *
 * Whoever formats announces the new pool's UUID in the run directory before the first
 * map, in a file format-UUID, under a lock that dies with him (lock.h), and withdraws it
 * after the last map is gone. What is announced and not locked is a dead one's: its maps
 * go by their UUID, which is a random one and nobody else's. So no device is ever looked
 * at, and a map is never taken for a leftover because of what it lies on. What somebody
 * has open stays, announced, for the next format.
 *
 * A crash in here leaves an announcement, or fewer of the maps.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rundir.h"
#include "verb.h"

#define PREFIX	  "format-"
#define NAME_SIZE (sizeof(PREFIX) + KV_UUID_LEN)
#define OWN_BYTE  0 /* the one that is locked */
#define WAIT_MS	  5000

static void name_of(const char *uuid, char ret[NAME_SIZE])
{
	(void)snprintf(ret, NAME_SIZE, PREFIX "%s", uuid);
}

/* A lock on the file, if it is still the one of that name. -ENOENT: it is not. */
static int lock_file(int run_fd, const char *name, int flags)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	fd = openat(run_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (fd < 0)
		return -errno;
	r = kv_lock_exclusive(fd, OWN_BYTE, 0);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;
	return st.st_nlink ? kv_take_fd(&fd) : -ENOENT;
}

int kv_leftover_announce(int run_fd, const char *uuid)
{
	int64_t deadline = kv_deadline(WAIT_MS);
	char name[NAME_SIZE];
	unsigned step = 0;
	int r;

	name_of(uuid, name);
	/* Between the making and the lock somebody may take it for a dead one's. */
	do
		r = lock_file(run_fd, name, O_CREAT);
	while ((r == -ENOENT || r == -EBUSY) && kv_backoff(&step, deadline) == 0);
	return r;
}

void kv_leftover_withdraw(int run_fd, const char *uuid)
{
	char name[NAME_SIZE];

	name_of(uuid, name);
	(void)unlinkat(run_fd, name, 0); /* else the next format does it */
}

static int remove_one(const struct kv_dm *dm, int run_fd, const char *uuid)
{
	_cleanup_close_ int fd = -1;
	char name[NAME_SIZE];
	int r;

	name_of(uuid, name);
	fd = lock_file(run_fd, name, 0);
	if (fd < 0) /* its format lives, or has just ended */
		return fd == -EBUSY || fd == -ENOENT ? 0 : fd;
	r = kv_stack_remove(dm, uuid);
	if (r == 0)
		kv_leftover_withdraw(run_fd, uuid);
	return r == -EBUSY ? 0 : r;
}

struct search {
	const struct kv_dm *dm;
	int run_fd;
};

static int remove_if_one(const char *name, void *arg)
{
	const struct search *search = arg;

	if (strncmp(name, PREFIX, strlen(PREFIX)) || !kv_uuid_valid(name + strlen(PREFIX)))
		return 0;
	return remove_one(search->dm, search->run_fd, name + strlen(PREFIX));
}

int kv_leftover_remove(const struct kv_dm *dm, int run_fd)
{
	struct search search = { dm, run_fd };

	return kv_dir_each(run_fd, remove_if_one, &search);
}

int kv_leftover_remove_pool(const struct kv_dm *dm, int run_fd, const char *uuid)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir_fd = -1;
	struct kv_dm_info info;
	struct kv_dm_id id;
	int r;

	/* It is mapped first and removed last. */
	kv_dm_id_part(&id, uuid, "catalogue");
	r = kv_dm_info(dm, id.uuid, &info);
	if (r < 0)
		return r == -ENXIO ? 0 : r;
	dir_fd = kv_run_open_pool(run_fd, uuid);
	if (dir_fd < 0)
		return dir_fd;
	r = kv_lock_take(dir_fd, KV_LOCK_POOL, 0, &lock);
	return r < 0 ? r : kv_stack_remove(dm, uuid);
}
