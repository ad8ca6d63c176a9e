// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The run directory: what has to be known of active pools by name, and nothing that has
 * to outlive the boot. A record is a hint where to look; whether the pool is active is
 * asked of the kernel.
 *
 * The directory is made with mode 0700, and refused if somebody else owns it or may write
 * to it. Pools' directories are named after UUIDs, so no name of a pool or volume is ever
 * part of a path.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rundir.h"

static int open_directory(int dir_fd, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (mkdirat(dir_fd, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	return kv_take_fd(&fd);
}

int kv_run_open(const char *path)
{
	return open_directory(AT_FDCWD, path);
}

int kv_run_open_pool(int run_fd, const char *uuid)
{
	return open_directory(run_fd, uuid);
}

int kv_run_write(int dir_fd, const struct kv_run_pool *p)
{
	char record[sizeof(*p) + 2];
	int n;

	n = snprintf(record, sizeof(record), "%s\n%s\n", p->name, p->device);
	return kv_write_file_at(dir_fd, "pool", record, (size_t)n);
}

int kv_run_read(int dir_fd, struct kv_run_pool *ret)
{
	char record[sizeof(*ret) + 3];
	struct kv_run_pool p;
	char *name_end, *end;
	int r;

	r = kv_read_file_at(dir_fd, "pool", record, sizeof(record));
	if (r < 0)
		return r;
	name_end = strchr(record, '\n');
	end = strrchr(record, '\n');
	if (!name_end || end == name_end)
		return -EUCLEAN;
	*name_end = *end = 0;
	if (!kv_strcpy(p.name, sizeof(p.name), record) || !kv_pool_name_valid(p.name) ||
	    !kv_strcpy(p.device, sizeof(p.device), name_end + 1))
		return -EUCLEAN;
	*ret = p;
	return 0;
}

int kv_run_remove(int dir_fd)
{
	return unlinkat(dir_fd, "pool", 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int read_record(int run_fd, const char *uuid, struct kv_run_pool *ret)
{
	_cleanup_close_ int fd =
		openat(run_fd, uuid, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : kv_run_read(fd, ret);
}

/* Not there, or not ours. Anything else (memory, files, I/O) must not look like that. */
static bool is_no_record(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -EUCLEAN ||
	       r == -EFBIG;
}

struct each {
	int run_fd;
	int (*fn)(const char *uuid, const struct kv_run_pool *p, void *arg);
	void *arg;
};

static int each_entry(const char *name, void *arg)
{
	const struct each *each = arg;
	struct kv_run_pool p;
	int r;

	if (!kv_uuid_valid(name))
		return 0;
	r = read_record(each->run_fd, name, &p);
	if (r == 0)
		return each->fn(name, &p, each->arg);
	return is_no_record(r) ? 0 : r;
}

int kv_run_each(int run_fd,
		int (*fn)(const char *uuid, const struct kv_run_pool *p, void *arg),
		void *arg)
{
	struct each each = { run_fd, fn, arg };

	return kv_dir_each(run_fd, each_entry, &each);
}
