/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * User namespaces, made for their maps: nothing of the making is left but the fd, and
 * nothing of it is seen by the process around.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "userns.h"

#define MAP "0 100000 65536\n"

static const char *fail; /* the next call of that name */
static int error;

int __real_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd);
int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);
int __real_kv_read_file_at(int dir_fd, const char *name, char *buf, size_t size);
int __wrap_kv_read_file_at(int dir_fd, const char *name, char *buf, size_t size);

static bool fails(const char *call)
{
	if (!fail || strcmp(fail, call) != 0)
		return false;
	fail = NULL;
	errno = error;
	return true;
}

int __wrap_clone(int (*fn)(void *), void *stack, int flags, void *arg, int *pidfd)
{
	return fails("clone") ? -1 : __real_clone(fn, stack, flags, arg, pidfd);
}

int __wrap_open(const char *path, int flags, ...)
{
	const char *base = strrchr(path, '/');

	if (base && fails(base + 1))
		return -1;
	return __real_open(path, flags, 0600);
}

int __wrap_pipe2(int fds[2], int flags)
{
	return fails("pipe2") ? -1 : __real_pipe2(fds, flags);
}

/* fdinfo. */
int __wrap_kv_read_file_at(int dir_fd, const char *name, char *buf, size_t size)
{
	if (fails("fdinfo"))
		return -error;
	if (fails("other /proc")) {
		(void)kv_strcpy(buf, size, "pos:\t0\nPid:\t-1\n");
		return 0;
	}
	return __real_kv_read_file_at(dir_fd, name, buf, size);
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

/* Skipped where this user cannot have one at all. */
static int make(void)
{
	int fd = kv_userns_make(MAP, MAP);

	if (fd == -EPERM || fd == -EOPNOTSUPP) {
		print_message("no user namespace to be had here: %s\n", strerror(-fd));
		skip();
	}
	return fd;
}

static void maps_are_as_asked_for(void **state)
{
	char text[128] = "";
	unsigned fds = count_fds();
	int fd = make(), status, pipes[2];
	struct kv_ns id;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(count_fds(), fds + 1);
	assert_int_equal(pipe(pipes), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int map_fd;
		ssize_t n = 0;

		if (setns(fd, CLONE_NEWUSER) < 0)
			_exit(1);
		map_fd = __real_open("/proc/self/uid_map", O_RDONLY);
		n = read(map_fd, text, sizeof(text));
		_exit(n > 0 && write(pipes[1], text, (size_t)n) == n ? 0 : 2);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
	assert_true(read(pipes[0], text, sizeof(text) - 1) > 0);
	/* As seen from within: from the parent's ids it is the same. */
	assert_non_null(strstr(text, "65536"));
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	(void)snprintf(text, sizeof(text), "/proc/self/fd/%d", fd);
	assert_true(kv_userns_open(text, &id) >= 0);
	(void)close(fd);
}

static volatile sig_atomic_t signals;

static void on_child(int sig)
{
	(void)sig;
	signals++;
}

static void nobody_sees_the_child(void **state)
{
	struct sigaction action = { .sa_handler = on_child }, before;
	int fd;

	(void)state;
	signals = 0;
	assert_int_equal(sigaction(SIGCHLD, &action, &before), 0);
	fd = make();
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(signals, 0);
	assert_true(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
	action.sa_handler = SIG_IGN;
	assert_int_equal(sigaction(SIGCHLD, &action, NULL), 0);
	fd = kv_userns_make(MAP, MAP);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
}

static void what_the_kernel_refuses_is_told(void **state)
{
	static const struct {
		const char *fail;
		int error, code;
	} cases[] = {
		{ "pipe2", EMFILE, -EMFILE },
		{ "clone", ENOSYS, -EOPNOTSUPP },
		{ "clone", ENOSPC, -EOPNOTSUPP },
		{ "clone", EAGAIN, -EAGAIN },
		{ "fdinfo", ENOENT, -EOPNOTSUPP },
		{ "fdinfo", EACCES, -EACCES },
		{ "other /proc", 0, -EOPNOTSUPP },
		{ "uid_map", EACCES, -EACCES },
		{ "gid_map", EMFILE, -EMFILE },
		{ "user", EMFILE, -EMFILE },
	};
	unsigned fds;

	(void)state;
	(void)close(make());
	fds = count_fds();
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		fail = cases[i].fail;
		error = cases[i].error;
		assert_int_equal(kv_userns_make(MAP, MAP), cases[i].code);
		assert_null(fail);
		assert_int_equal(count_fds(), fds);
		assert_true(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
	}
	assert_int_equal(kv_userns_make("0 1\n", MAP), -EINVAL);
	assert_int_equal(count_fds(), fds);
}

static void what_is_no_user_namespace_is_refused(void **state)
{
	unsigned fds = count_fds();
	struct kv_ns id = { 1, 2 };

	(void)state;
	assert_int_equal(kv_userns_open("/proc/0/ns/user", &id), -ENOENT);
	assert_int_equal(kv_userns_open("/dev/null", &id), -EINVAL);
	assert_int_equal(kv_userns_open("/proc/self/ns/net", &id), -EINVAL);
	/* Its own, or the initial one: what is above it is not to be seen. */
	assert_int_equal(kv_userns_open("/proc/self/ns/user", &id), -EINVAL);
	assert_int_equal(id.ino, 2);
	fail = "user";
	error = ESRCH;
	assert_int_equal(kv_userns_open("/proc/self/ns/user", &id), -ENOENT);
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_are_as_asked_for),
		cmocka_unit_test(nobody_sees_the_child),
		cmocka_unit_test(what_the_kernel_refuses_is_told),
		cmocka_unit_test(what_is_no_user_namespace_is_refused),
	};

	return cmocka_run_group_tests_name("userns", tests, NULL, NULL);
}
