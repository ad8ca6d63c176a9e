// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Control groups, version 2, as far as the limits of a device in one of them go.
 *
 * The path comes from whoever runs containers and may be of their making: it is opened
 * without following a link anywhere, and must lie in a cgroup2 file system before
 * anything in it is touched. io.max is there only where the io controller is enabled.
 * One write is one change, whole or refused by the kernel; it ends with the device or
 * with the cgroup, and nothing is left behind by a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup.h"

static int open_cgroup(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS };
	struct statfs st;
	int fd;

	fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &st) < 0) {
		int r = -errno;

		(void)kv_close(fd);
		return r;
	}
	if (st.f_type != CGROUP2_SUPER_MAGIC) {
		(void)kv_close(fd);
		return -EMEDIUMTYPE;
	}
	return fd;
}

int kv_cgroup_io_max(const char *path, const char *line)
{
	_cleanup_close_ int dir_fd = open_cgroup(path), fd = -1;
	size_t n = strlen(line);
	ssize_t written;

	if (dir_fd < 0)
		return dir_fd;
	fd = openat(dir_fd, "io.max", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	do
		written = write(fd, line, n);
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return -errno;
	return (size_t)written == n ? 0 : -EIO;
}
