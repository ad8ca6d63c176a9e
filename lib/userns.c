// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * User namespaces, for mounts whose ids are mapped by one.
 *
 * Only a process can be born into a new one, and the embedder's has threads and may not
 * change. So there is a child, cloned with no exit signal, which never execs: it waits at
 * a pipe while its maps are written, and is killed and reaped before the call returns. It
 * is lent the caller's memory, for to copy that, page by page, takes the longer the more
 * the embedder has; so it makes raw system calls only, none that may fail (errno is the
 * caller's as well), on a stack of its own, with all signals blocked. Nothing of the
 * embedder's runs in it, neither handlers nor what is registered at exit. Should the
 * caller be killed meanwhile, it dies with it. The namespace then lives by its fd, and
 * later by the mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "spawn.h"
#include "userns.h"

int kv_userns_open(const char *path, struct kv_ns *ret)
{
	_cleanup_close_ int fd = -1, parent_fd = -1;
	struct stat st;

	do {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWUSER)
		return -EINVAL;
	parent_fd = ioctl(fd, NS_GET_PARENT);
	if (parent_fd < 0)
		return errno == EPERM ? -EINVAL : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	return kv_take_fd(&fd);
}

/* --- In the child ----------------------------------------------------------------- */

struct child {
	int pipe_fd;
	pid_t caller;
	alignas(16) char stack[8 * 1024]; /* for system calls alone */
};

/* No sanitizer: by the same memory it takes this for the caller. */
static int __attribute__((noreturn, no_sanitize("address", "thread", "undefined")))
wait_for_end(void *arg)
{
	const struct child *child = arg;
	unsigned fd = (unsigned)child->pipe_fd;
	pid_t parent;
	char c;

	(void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* The caller may have died before that; 0 is one outside of our pid namespace. */
	parent = (pid_t)syscall(SYS_getppid);
	if ((parent == child->caller || parent == 0) &&
	    (fd == 0 || syscall(SYS_close_range, 0U, fd - 1, 0U) == 0) &&
	    syscall(SYS_close_range, fd + 1, ~0U, 0U) == 0)
		(void)syscall(SYS_read, fd, &c, 1);
	for (;;)
		(void)syscall(SYS_exit_group, 0);
}

/* --- In the caller ---------------------------------------------------------------- */

static int start(struct child *child, int *ret_pidfd)
{
	sigset_t all, old;
	int r;

	/* By syscall(): the child must not be the first for whom the linker looks it up. */
	child->caller = (pid_t)syscall(SYS_getpid);
	(void)sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r != 0)
		return -r;
	r = clone(wait_for_end, child->stack + sizeof(child->stack),
		  CLONE_NEWUSER | CLONE_VM | CLONE_PIDFD, child, ret_pidfd);
	r = r < 0 ? -errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	/* ENOSPC: user.max_user_namespaces is 0, most likely. */
	return r == -ENOSYS || r == -EINVAL || r == -ENOSPC ? -EOPNOTSUPP : r;
}

/* The child's number in the /proc that we see, which may be of another pid namespace than
 * we are: a number of our own could be another process's there. */
static int find_pid(int pidfd, int *ret)
{
	char path[64], info[512];
	const char *line;
	int r;

	(void)snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", pidfd);
	r = kv_read_file_at(AT_FDCWD, path, info, sizeof(info));
	if (r < 0)
		return r == -ENOENT ? -EOPNOTSUPP : r;
	line = strstr(info, "\nPid:");
	*ret = line ? atoi(line + strlen("\nPid:")) : 0;
	return *ret > 0 ? 0 : -EOPNOTSUPP;
}

static int write_map(int pid, const char *name, const char *map)
{
	_cleanup_close_ int fd = -1;
	size_t n = strlen(map);
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* The kernel takes it in one write, or not at all. */
	if (fd < 0 || write(fd, map, n) < 0)
		return -errno;
	return 0;
}

static int fill(int pidfd, const char *uid_map, const char *gid_map)
{
	char path[64];
	int pid = -1, fd, r;

	r = find_pid(pidfd, &pid);
	if (r == 0)
		r = write_map(pid, "uid_map", uid_map);
	if (r == 0)
		r = write_map(pid, "gid_map", gid_map);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int kv_userns_make(const char *uid_map, const char *gid_map)
{
	_cleanup_close_ int read_fd = -1, write_fd = -1, pidfd = -1;
	struct child child;
	int pipe_fds[2], r;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	child.pipe_fd = read_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	r = start(&child, &pidfd);
	if (r < 0)
		return r;
	r = fill(pidfd, uid_map, gid_map);
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	kv_reap(pidfd);
	return r;
}
