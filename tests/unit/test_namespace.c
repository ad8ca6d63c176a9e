/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Namespaces and threads where the kernel refuses a call, and what is found in another
 * namespace's mountinfo. The calls are played; what the real ones do is for test_mount.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "mount.h"
#include "thread.h"

#define NS     "/proc/123/ns/mnt"
#define OWN_NS "/proc/thread-self/ns/mnt"

static struct {
	const char *_Atomic fail; /* the next call of that name, and only it */
	int error;
	int type; /* of the namespace */
	ino_t ino;
	const char *mountinfo;
	unsigned mountinfos; /* opened */
} kernel;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int dir_fd, const char *path, int flags, ...);
int __wrap_openat(int dir_fd, const char *path, int flags, ...);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_setns(int fd, int type);
int __wrap_unshare(int flags);
int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __real_pthread_attr_init(pthread_attr_t *attr);
int __wrap_pthread_attr_init(pthread_attr_t *attr);
int __real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);

static bool fails(const char *call)
{
	const char *next = kernel.fail;

	if (!next || strcmp(next, call) != 0)
		return false;
	kernel.fail = NULL;
	errno = kernel.error;
	return true;
}

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, NS) == 0)
		return fails("open") ? -1 : memfd_create("ns", MFD_CLOEXEC);
	if (strcmp(path, "/proc") == 0 && fails("open /proc"))
		return -1;
	return __real_open(path, flags, 0600);
}

int __wrap_openat(int dir_fd, const char *path, int flags, ...)
{
	const char *base = strchr(path, '/');
	int fd;

	if (!base || strcmp(base, "/mountinfo") != 0)
		return __real_openat(dir_fd, path, flags, 0600);
	kernel.mountinfos++;
	if (fails("mountinfo"))
		return -1;
	fd = memfd_create("mountinfo", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, kernel.mountinfo, strlen(kernel.mountinfo), 0),
			 strlen(kernel.mountinfo));
	return fd;
}

int __wrap_stat(const char *path, struct stat *st)
{
	assert_string_equal(path, OWN_NS);
	memset(st, 0, sizeof(*st));
	st->st_ino = 1;
	return fails("stat") ? -1 : 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->st_ino = kernel.ino;
	return fails("fstat") ? -1 : 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	(void)fd;
	(void)request;
	return kernel.type;
}

int __wrap_setns(int fd, int type)
{
	assert_true(fd >= 0);
	assert_int_equal(type, CLONE_NEWNS);
	return fails("setns") ? -1 : 0;
}

int __wrap_unshare(int flags)
{
	assert_int_equal(flags, CLONE_FS);
	return fails("unshare") ? -1 : 0;
}

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	return fails("pthread_create") ? kernel.error
				       : __real_pthread_create(ret, attr, fn, arg);
}

int __wrap_pthread_attr_init(pthread_attr_t *attr)
{
	return fails("pthread_attr_init") ? kernel.error : __real_pthread_attr_init(attr);
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return fails("pthread_sigmask") ? kernel.error
					: __real_pthread_sigmask(how, set, old);
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.type = CLONE_NEWNS;
	kernel.ino = 2;
	kernel.mountinfo = "";
	return 0;
}

static void refuse(const char *call, int error)
{
	kernel.fail = call;
	kernel.error = error;
}

static int note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
	return 42;
}

/* --- Threads ---------------------------------------------------------------------- */

static void thread_that_cannot_start_is_told(void **state)
{
	static const struct {
		const char *call;
		int error, result;
	} cases[] = {
		{ "pthread_sigmask", EINVAL, -EINVAL },
		{ "pthread_attr_init", ENOMEM, -ENOMEM },
		{ "pthread_create", EAGAIN, -EAGAIN },
		{ "unshare", EPERM, -EPERM },
		/* The stack is too small for the embedder's thread-local variables. */
		{ "pthread_create", EINVAL, 42 },
	};
	pthread_t thread;
	sigset_t before, after;
	int cancel;

	(void)state;
	assert_int_equal(__real_pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		thread = pthread_self();
		refuse(cases[i].call, cases[i].error);
		assert_int_equal(kv_thread_run(note_thread, &thread), cases[i].result);
		assert_int_equal(pthread_equal(thread, pthread_self()) == 0,
				 cases[i].result == 42);
		/* The caller's signals and its cancelling are as they were. */
		assert_int_equal(__real_pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
		for (int sig = 1; sig < NSIG; sig++)
			assert_int_equal(sigismember(&before, sig),
					 sigismember(&after, sig));
		assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel),
				 0);
		assert_int_equal(cancel, PTHREAD_CANCEL_ENABLE);
	}
}

/* --- Namespaces ------------------------------------------------------------------- */

static void namespace_that_cannot_be_told_is_no_other(void **state)
{
	static const struct {
		const char *call;
		int error, result;
	} cases[] = {
		{ "stat", ENOENT, -EOPNOTSUPP }, /* no /proc: not one that is gone */
		{ "stat", EACCES, -EACCES },	 { "open", ENOENT, -ENOENT },
		{ "open", ESRCH, -ENOENT }, /* its process has just ended */
		{ "open", EACCES, -EACCES },	 { "fstat", EIO, -EIO },
	};
	struct kv_ns ns, before;
	pthread_t thread = 0;

	(void)state;
	memset(&ns, 0xa5, sizeof(ns));
	before = ns;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		refuse(cases[i].call, cases[i].error);
		assert_int_equal(kv_ns_id(NS, &ns), cases[i].result);
		assert_memory_equal(&ns, &before, sizeof(ns));
		refuse(cases[i].call, cases[i].error);
		assert_int_equal(kv_ns_run(NS, note_thread, &thread), cases[i].result);
		assert_true(thread == 0);
	}
	kernel.type = CLONE_NEWNET;
	assert_int_equal(kv_ns_id(NS, &ns), -EINVAL);
	kernel.type = -1;
	assert_int_equal(kv_ns_run(NS, note_thread, &thread), -EINVAL);
	assert_true(thread == 0);
}

static void namespace_is_entered_on_a_thread(void **state)
{
	pthread_t thread = pthread_self();
	struct kv_ns ns;

	(void)state;
	refuse("open", EINTR);
	assert_int_equal(kv_ns_id(NS, &ns), 0);
	assert_int_equal(ns.ino, 2);
	assert_int_equal(kv_ns_id("", &ns), 0);
	assert_int_equal(ns.ino, 1);
	refuse("setns", EPERM);
	assert_int_equal(kv_ns_run(NS, note_thread, &thread), -EPERM);
	assert_true(pthread_equal(thread, pthread_self()));
	assert_int_equal(kv_ns_run(NS, note_thread, &thread), 42);
	assert_false(pthread_equal(thread, pthread_self()));
	/* Its own by another name. */
	kernel.ino = 1;
	assert_int_equal(kv_ns_run(NS, note_thread, &thread), 42);
	assert_true(pthread_equal(thread, pthread_self()));
}

static int note_call(void *arg)
{
	return ++*(int *)arg;
}

static void visit_is_to_one_namespace(void **state)
{
	_cleanup_visit_ struct kv_visit visit = KV_VISIT_NONE;
	pthread_t first = pthread_self(), second = first;

	(void)state;
	kernel.ino = 2;
	assert_int_equal(kv_visit_begin(NS, &visit), 0);
	assert_int_equal(visit.ns.ino, 2);
	assert_int_equal(kv_visit_run(&visit, note_thread, &first), 42);
	refuse("open", ENOENT); /* its path is of no concern any more */
	assert_int_equal(kv_visit_run(&visit, note_thread, &second), 42);
	refuse(NULL, 0);
	assert_false(pthread_equal(first, pthread_self()));
	assert_true(pthread_equal(first, second));
	kv_visit_end(&visit);
	/* In place. */
	kernel.ino = 1;
	assert_int_equal(kv_visit_begin(NS, &visit), 0);
	assert_int_equal(kv_visit_run(&visit, note_thread, &first), 42);
	assert_true(pthread_equal(first, pthread_self()));
	kernel.ino = 2;
}

static void visit_that_cannot_enter_does_nothing(void **state)
{
	struct kv_visit visit = KV_VISIT_NONE;
	int cancel, calls = 0;

	(void)state;
	kv_visit_end(&visit);
	refuse("setns", EPERM);
	assert_int_equal(kv_visit_begin(NS, &visit), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kv_visit_run(&visit, note_call, &calls), -EPERM);
	kv_visit_end(&visit);
	kv_visit_end(&visit);
	assert_int_equal(calls, 0);
	/* Nobody came to do anything. */
	assert_int_equal(kv_visit_begin(NS, &visit), 0);
	kv_visit_end(&visit);
	refuse("pthread_create", EAGAIN);
	assert_int_equal(kv_visit_begin(NS, &visit), -EAGAIN);
	kv_visit_end(&visit);
	assert_int_equal(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &cancel), 0);
	assert_int_equal(cancel, PTHREAD_CANCEL_ENABLE);
}

/* --- What is mounted there -------------------------------------------------------- */

static void mount_is_found_wherever_it_is(void **state)
{
	char point[PATH_MAX];

	(void)state;
	kernel.mountinfo = "no such line\n"
			   "70 1 253:6 / /other rw - ext4 /dev/dm-6 rw\n"
			   "71 1 253:7 / /moved\\040away rw - ext4 /dev/dm-7 rw\n"
			   "72 1 0:5 /dm-9 /node rw - devtmpfs udev rw\n";
	assert_int_equal(kv_mount_find(NS, 71, makedev(253, 7), false, point), 1);
	assert_string_equal(point, "/moved away");
	assert_int_equal(kv_mount_find(NULL, 71, makedev(253, 7), false, NULL), 1);
	assert_int_equal(kv_mount_find(NS, 72, makedev(253, 9), true, point), 1);
	assert_string_equal(point, "/node");
	/* Gone, or another's that has its number now. */
	assert_int_equal(kv_mount_find(NS, 73, makedev(253, 7), false, point), 0);
	assert_int_equal(kv_mount_find(NS, 70, makedev(253, 7), false, point), 0);
	kernel.mountinfo = "";
	assert_int_equal(kv_mount_find(NS, 71, makedev(253, 7), false, point), 0);
}

static void mounts_are_read_once_for_many(void **state)
{
	struct kv_mounts mounts = { .n = 7 };
	int before;

	(void)state;
	kernel.mountinfo = "no such line\n"
			   "72 1 0:5 /dm-9 /node rw - devtmpfs udev rw\n"
			   "71 1 253:7 / /a rw - ext4 /dev/dm-7 rw\n"
			   "80 1 253:8 / /cut";
	before = kernel.mountinfos;
	assert_int_equal(kv_mounts_read(&mounts), 0);
	assert_int_equal(mounts.n, 2);
	assert_true(kv_mounts_have(&mounts, 71, makedev(253, 7), false));
	assert_true(kv_mounts_have(&mounts, 72, makedev(253, 9), true));
	assert_false(kv_mounts_have(&mounts, 71, makedev(253, 6), false));
	assert_false(kv_mounts_have(&mounts, 72, makedev(253, 9), false));
	assert_false(kv_mounts_have(&mounts, 70, makedev(253, 7), false));
	assert_false(kv_mounts_have(&mounts, 80, makedev(253, 8), false));
	assert_int_equal(kernel.mountinfos, before + 1);
	kv_mounts_free(&mounts);
	assert_false(kv_mounts_have(&mounts, 71, makedev(253, 7), false));
	kv_mounts_free(&mounts);
	kernel.mountinfo = "";
	assert_int_equal(kv_mounts_read(&mounts), 0);
	assert_false(kv_mounts_have(&mounts, 71, makedev(253, 7), false));
	kv_mounts_free(&mounts);

	mounts.n = 7;
	refuse("open /proc", EMFILE);
	assert_int_equal(kv_mounts_read(&mounts), -EMFILE);
	refuse("mountinfo", ENOENT);
	assert_int_equal(kv_mounts_read(&mounts), -EOPNOTSUPP);
	assert_int_equal(mounts.n, 7);
}

static void point_that_is_no_path_is_not_told(void **state)
{
	static char line[PATH_MAX + 128];
	char point[PATH_MAX] = "as it was";
	size_t n;

	(void)state;
	n = (size_t)snprintf(line, sizeof(line), "71 1 253:7 / /");
	memset(line + n, 'a', PATH_MAX);
	(void)snprintf(line + n + PATH_MAX, sizeof(line) - n - PATH_MAX,
		       " rw - ext4 /dev/dm-7 rw\n");
	kernel.mountinfo = line;
	assert_int_equal(kv_mount_find(NS, 71, makedev(253, 7), false, point), 1);
	assert_string_equal(point, "");
}

static void mountinfo_that_cannot_be_read_is_told(void **state)
{
	static const struct {
		const char *call;
		int error, result;
	} cases[] = {
		{ "open /proc", ENOENT, -EOPNOTSUPP }, { "open /proc", EMFILE, -EMFILE },
		{ "mountinfo", ENOENT, -EOPNOTSUPP }, /* /proc is no procfs */
		{ "mountinfo", EACCES, -EACCES },      { "setns", EPERM, -EPERM },
	};
	char point[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		refuse(cases[i].call, cases[i].error);
		assert_int_equal(kv_mount_find(NS, 71, makedev(253, 7), false, point),
				 cases[i].result);
	}
}

/* --- What shows a device ---------------------------------------------------------- */

static void mount_that_shows_the_device_is_known(void **state)
{
	(void)state;
	kernel.mountinfo = "70 1 253:7 / /a rw - ext4 /dev/dm-7 rw\n"
			   "71 1 0:41 / /b rw - btrfs /dev/dm-7 rw\n"
			   "72 1 0:5 /dm-7 /node rw - devtmpfs udev rw\n";
	assert_int_equal(kv_mount_shows(NS, 70, makedev(253, 7)), 1);
	assert_int_equal(kv_mount_shows(NULL, 71, makedev(253, 7)), 1);
	assert_int_equal(kv_mount_shows(NS, 70, makedev(253, 8)), 0);
	assert_int_equal(kv_mount_shows(NS, 72, makedev(253, 7)), 0);
	assert_int_equal(kv_mount_shows(NS, 73, makedev(253, 7)), 0);
	refuse("open /proc", ENOENT);
	assert_int_equal(kv_mount_shows(NS, 70, makedev(253, 7)), -EOPNOTSUPP);
	refuse("mountinfo", EACCES);
	assert_int_equal(kv_mount_shows(NS, 70, makedev(253, 7)), -EACCES);
}

static void node_is_looked_for_in_every_process(void **state)
{
	static const int gone[] = { ENOENT, ESRCH, EINVAL };

	(void)state;
	kernel.mountinfo = "70 1 253:7 / /a rw - ext4 /dev/dm-7 rw\n"
			   "72 1 0:5 /dm-9 /node rw - devtmpfs udev rw\n";
	assert_int_equal(kv_node_bound(makedev(253, 9)), 1);
	assert_int_equal(kernel.mountinfos, 1);
	assert_int_equal(kv_node_bound(makedev(253, 7)), 0);
	assert_true(kernel.mountinfos >= 2);
	/* Whoever ends under our eyes has nothing any more. */
	for (size_t i = 0; i < KV_ARRAY_SIZE(gone); i++) {
		refuse("mountinfo", gone[i]);
		assert_int_equal(kv_node_bound(makedev(253, 7)), 0);
		assert_null(kernel.fail);
	}
	refuse("mountinfo", EACCES);
	assert_int_equal(kv_node_bound(makedev(253, 7)), -EACCES);
	refuse("open /proc", ENOENT);
	assert_int_equal(kv_node_bound(makedev(253, 7)), -EOPNOTSUPP);
	refuse("open /proc", EMFILE);
	assert_int_equal(kv_node_bound(makedev(253, 7)), -EMFILE);
}

#define here(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		here(thread_that_cannot_start_is_told),
		here(namespace_that_cannot_be_told_is_no_other),
		here(namespace_is_entered_on_a_thread),
		here(visit_is_to_one_namespace),
		here(visit_that_cannot_enter_does_nothing),
		here(mount_is_found_wherever_it_is),
		here(mounts_are_read_once_for_many),
		here(point_that_is_no_path_is_not_told),
		here(mountinfo_that_cannot_be_read_is_told),
		here(mount_that_shows_the_device_is_known),
		here(node_is_looked_for_in_every_process),
	};

	return cmocka_run_group_tests_name("namespace", tests, NULL, NULL);
}
