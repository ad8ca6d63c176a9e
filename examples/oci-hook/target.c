/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Targets inside a container that is being made: its mounts are there, its root is still the
 * host's. The image is a stranger's, and a link in it must lead nowhere: openat2(2) says so to the
 * kernel, for each step.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH, strsep() */
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"

static int open_below(int dir_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* The root file system as the container's first process sees it: a mount of the container's may
 * cover what the host has there. */
static int open_rootfs(const struct container *c)
{
	char path[64];
	int top, fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)c->pid);
	top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return -1;
	fd = open_below(top, c->rootfs[1] ? c->rootfs + 1 : ".");
	(void)close(top);
	return fd;
}

/* Goes down one name, and makes the directory if there is none. Takes dir_fd. */
static int enter(int dir_fd, const char *name)
{
	int fd = open_below(dir_fd, name);

	if (fd < 0 && errno == ENOENT && (mkdirat(dir_fd, name, 0755) == 0 || errno == EEXIST))
		fd = open_below(dir_fd, name);
	(void)close(dir_fd);
	return fd;
}

int container_make_target(const struct container *c, const char *target, char *path, size_t size)
{
	char copy[4096], *rest = copy, *name;
	int fd, n;

	n = snprintf(path, size, "%s", strcmp(c->rootfs, "/") ? c->rootfs : "");
	if (*target != '/' || strlen(target) >= sizeof(copy))
		return complain("target '%s' is no absolute path", target);
	(void)snprintf(copy, sizeof(copy), "%s", target);
	fd = open_rootfs(c);
	while (fd >= 0 && n >= 0 && (size_t)n < size && (name = strsep(&rest, "/"))) {
		if (!*name || !strcmp(name, "."))
			continue;
		fd = enter(fd, name);
		n += snprintf(path + n, size - (size_t)n, "/%s", name);
	}
	if (fd < 0)
		return complain("target '%s': %s", target, strerror(errno));
	(void)close(fd);
	return n >= 0 && (size_t)n < size ? 0 : complain("target '%s': too long", target);
}
