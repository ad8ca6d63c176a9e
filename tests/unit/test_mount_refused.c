/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mounts where the kernel lacks a call, refuses one, or shows what it should not. No
 * privilege is needed: the calls are played. What the real ones do is for test_mount.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/mount.h>
#include "mount.h"

#define DEV makedev(253, 7)

static struct {
	const char *fail; /* the nth call of that name */
	unsigned nth;
	int error;
	unsigned calls;		/* of that name */
	char options[512];	/* what was set, one after the other */
	const char *const *log; /* what a file system context has to say */
	int fs_fd;
	struct stat st;
	struct statx stx;
	bool dead;  /* statx of what is below the parent fails */
	unsigned statxes;
	int mnt_id; /* by name_to_handle_at */
} kernel;

static char detail[128];

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_statx(int dir_fd, const char *path, int flags, unsigned mask,
		 struct statx *ret);
int __real_openat(int dir_fd, const char *path, int flags, ...);
int __wrap_openat(int dir_fd, const char *path, int flags, ...);
int __wrap_fchdir(int fd);
int __wrap_name_to_handle_at(int dir_fd, const char *path, struct file_handle *handle,
			     int *ret_mnt_id, int flags);

static bool fails(const char *call)
{
	if (!kernel.fail || strcmp(kernel.fail, call) != 0)
		return false;
	kernel.calls++;
	if (kernel.nth && kernel.calls != kernel.nth)
		return false;
	errno = kernel.error;
	return true;
}

static long configured(unsigned long cmd, const char *key, const char *value)
{
	size_t n = strlen(kernel.options);

	if (fails("fsconfig"))
		return -1;
	if (cmd != FSCONFIG_CMD_CREATE)
		(void)snprintf(kernel.options + n, sizeof(kernel.options) - n, "%s%s%s;",
			       key, value ? "=" : "", value ? value : "");
	return 0;
}

static long a_file(const char *call)
{
	return fails(call) ? -1 : memfd_create(call, MFD_CLOEXEC);
}

/* As libc: six, however many there are. */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (size_t i = 0; i < KV_ARRAY_SIZE(a); i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	switch (number) {
	case SYS_fsopen:
		kernel.fs_fd = (int)a_file("fsopen");
		return kernel.fs_fd;
	case SYS_fsconfig:
		return configured((unsigned long)a[1], (const char *)a[2],
				  (const char *)a[3]);
	case SYS_fsmount:
		return a_file("fsmount");
	case SYS_open_tree:
		return a_file("open_tree");
	case SYS_openat2:
		return a_file("openat2");
	case SYS_mount_setattr:
		return fails("mount_setattr") ? -1 : 0;
	case SYS_move_mount:
		return fails("move_mount") ? -1 : 0;
	case SYS_umount2:
		return fails("umount2") ? -1 : 0;
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	if (fd != kernel.fs_fd)
		return __real_read(fd, buf, n);
	if (!kernel.log || !*kernel.log) {
		errno = ENODATA;
		return kernel.log ? -1 : 0;
	}
	if (!**kernel.log) {
		kernel.log++;
		errno = EINTR;
		return -1;
	}
	assert_true(strlen(*kernel.log) <= n);
	memcpy(buf, *kernel.log, strlen(*kernel.log));
	return (ssize_t)strlen(*kernel.log++);
}

int __wrap_fstat(int fd, struct stat *st)
{
	(void)fd;
	*st = kernel.st;
	return fails("fstat") ? -1 : 0;
}

int __wrap_statx(int dir_fd, const char *path, int flags, unsigned mask,
		 struct statx *ret)
{
	(void)dir_fd;
	(void)path;
	(void)flags;
	(void)mask;
	*ret = kernel.stx;
	/* Every other one: a target's, then its parent's. */
	if (kernel.dead && kernel.statxes++ % 2 == 0) {
		errno = EIO;
		return -1;
	}
	return fails("statx") ? -1 : 0;
}

int __wrap_openat(int dir_fd, const char *path, int flags, ...)
{
	return fails("openat") ? -1 : __real_openat(dir_fd, path, flags, 0600);
}

int __wrap_fchdir(int fd)
{
	(void)fd;
	return fails("fchdir") ? -1 : 0;
}

int __wrap_name_to_handle_at(int dir_fd, const char *path, struct file_handle *handle,
			     int *ret_mnt_id, int flags)
{
	(void)dir_fd;
	assert_string_equal(path, "");
	assert_int_equal(handle->handle_bytes, 0);
	assert_int_equal(flags, AT_EMPTY_PATH);
	if (fails("name_to_handle_at"))
		return -1;
	*ret_mnt_id = kernel.mnt_id;
	errno = EOVERFLOW;
	return -1;
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.fs_fd = -1;
	kernel.st.st_mode = S_IFBLK;
	kernel.st.st_rdev = DEV;
	kernel.stx.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID;
	kernel.stx.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
	kernel.stx.stx_attributes = STATX_ATTR_MOUNT_ROOT;
	kernel.stx.stx_mnt_id = 70;
	kernel.stx.stx_ino = 2;
	kernel.stx.stx_dev_major = 253;
	kernel.stx.stx_dev_minor = 7;
	return 0;
}

static void refuse(const char *call, unsigned nth, int error)
{
	kernel.fail = call;
	kernel.nth = nth;
	kernel.error = error;
	kernel.calls = 0;
	kernel.options[0] = '\0';
}

static int mount_with(const char *fs_options, const char *super, bool readonly)
{
	struct kv_mount_opts o = { .attr_set = 0 };
	int fd;

	assert_true(kv_strcpy(o.super, sizeof(o.super), super ? super : ""));
	fd = kv_mount_device("ext4", "/dev/dm-7", fs_options, super ? &o : NULL, readonly,
			     detail, sizeof(detail));
	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

/* --- Devices ---------------------------------------------------------------------- */

static void options_reach_the_kernel_in_order(void **state)
{
	struct kv_mount_opts o;

	(void)state;
	assert_int_equal(kv_mount_opts_parse("c=\"x,y\",noatime,d=", &o, NULL), 0);
	assert_string_equal(o.super, "c=\"x,y\",d=");
	assert_int_equal(mount_with("a,b=1", "c=\"x,y\",d=", true), 0);
	assert_string_equal(kernel.options, "source=/dev/dm-7;a;b=1;c=x,y;d=;ro;");
	assert_string_equal(detail, "");
}

static void each_refusal_is_told(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error, result;
		const char *detail;
	} cases[] = {
		{ "fsopen", 1, ENODEV, -EOPNOTSUPP, "" },
		{ "fsopen", 1, ENOSYS, -EOPNOTSUPP, "" },
		{ "fsopen", 1, EPERM, -EPERM, "" },
		{ "fsconfig", 1, ENOMEM, -ENOMEM, "" }, /* the source */
		{ "fsconfig", 2, EINVAL, -EINVAL, "option \"a\" is refused" },
		{ "fsconfig", 3, EINVAL, -EINVAL, "option \"b=1\" is refused" },
		{ "fsconfig", 4, EINVAL, -EINVAL, "" }, /* "ro" */
		{ "fsconfig", 5, EUCLEAN, -EUCLEAN, "" },
		{ "fsmount", 1, EMFILE, -EMFILE, "" },
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		refuse(cases[i].call, cases[i].nth, cases[i].error);
		assert_int_equal(mount_with("a", "b=1", true), cases[i].result);
		assert_string_equal(detail, cases[i].detail);
	}
	/* Nobody has to want to know. */
	refuse("fsconfig", 2, EINVAL);
	assert_int_equal(kv_mount_device("ext4", "/dev/dm-7", "a", NULL, false, NULL, 0),
			 -EINVAL);
}

static void kernel_s_last_error_is_told(void **state)
{
	static const char *const warned[] = { "w first\n", "w second\n", NULL };
	static const char *const failed[] = {
		"w one\n", "", "e bad\x01thing\x7f\n\n", "w later\n", "x", NULL,
	};

	(void)state;
	refuse("fsmount", 1, EIO);
	kernel.log = warned;
	assert_int_equal(mount_with(NULL, NULL, false), -EIO);
	assert_string_equal(detail, "second");
	refuse("fsconfig", 2, EINVAL);
	kernel.log = failed;
	assert_int_equal(mount_with("a", NULL, false), -EINVAL);
	assert_string_equal(detail, "bad thing ");
}

static void options_that_no_kernel_takes_are_refused(void **state)
{
	char option[400];

	(void)state;
	memset(option, 'n', sizeof(option));
	option[256] = '\0';
	assert_int_equal(mount_with(option, NULL, false), -EINVAL);
	option[255] = '\0';
	assert_int_equal(mount_with(option, NULL, false), 0);
	memset(option, 'n', sizeof(option));
	option[1] = '=';
	option[2 + 256] = '\0';
	assert_int_equal(mount_with(option, NULL, false), -EINVAL);
	assert_int_equal(strncmp(detail, "option \"n=", 10), 0);
	option[2 + 255] = '\0';
	assert_int_equal(mount_with(option, NULL, false), 0);
	assert_int_equal(mount_with("a=\"b", NULL, false), -EINVAL);
	assert_int_equal(mount_with(NULL, "a=\"b", false), -EINVAL);
}

/* --- Nodes ------------------------------------------------------------------------ */

static void node_that_cannot_be_bound_is_told(void **state)
{
	static const struct {
		const char *call;
		int error, result;
	} cases[] = {
		{ "open_tree", ENOENT, -ENODEV },
		{ "open_tree", ENOTDIR, -ENODEV },
		{ "open_tree", EINVAL, -ENODEV }, /* on a mount of no namespace */
		{ "open_tree", ENOSYS, -EOPNOTSUPP },
		{ "open_tree", EPERM, -EPERM },
		{ "fstat", EIO, -EIO },
		{ "mount_setattr", ENOSYS, -EOPNOTSUPP },
		{ "mount_setattr", EPERM, -EPERM },
	};
	int fd;

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		refuse(cases[i].call, 1, cases[i].error);
		assert_int_equal(kv_mount_node("/dev/dm-7", DEV, 0), cases[i].result);
	}
	fd = kv_mount_node("/dev/dm-7", DEV, MOUNT_ATTR_NOATIME);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(kv_mount_node("/dev/dm-7", DEV + 1, 0), -ENODEV);
	kernel.st.st_mode = S_IFCHR;
	assert_int_equal(kv_mount_node("/dev/dm-7", DEV, 0), -ENODEV);
}

static void root_of_a_mount_is_opened(void **state)
{
	int dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

	(void)state;
	assert_true(dir_fd >= 0);
	refuse("openat", 1, EINTR);
	fd = kv_mount_root(dir_fd);
	assert_true(fd >= 0);
	(void)close(fd);
	refuse("openat", 1, EACCES);
	assert_int_equal(kv_mount_root(dir_fd), -EACCES);
	(void)close(dir_fd);
}

/* --- Targets ---------------------------------------------------------------------- */

static void target_has_to_end_in_a_name(void **state)
{
	static const char *const paths[] = { NULL,  "",	    "a",     "a/b", "/",
					     "/a/", "/a/.", "/a/..", "/.",  "/.." };
	struct kv_target t;
	char path[PATH_MAX + 16];

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(paths); i++) {
		assert_int_equal(kv_target_open(paths[i], &t), -EINVAL);
		assert_int_equal(kv_target_detach(paths[i], &t), -EINVAL);
	}
	memset(path, 'a', sizeof(path));
	path[0] = path[PATH_MAX] = '/';
	path[PATH_MAX + 2] = '\0';
	assert_int_equal(kv_target_open(path, &t), -ENAMETOOLONG);
	assert_int_equal(kv_target_detach(path, &t), -ENAMETOOLONG);
}

static void target_is_what_the_kernel_says(void **state)
{
	struct kv_target t;

	(void)state;
	assert_int_equal(kv_target_open("/a/b", &t), 0);
	(void)close(t.fd);
	assert_int_equal(t.mnt_id, 70);
	assert_int_equal(t.ino, 2);
	assert_true(t.dev == DEV && t.mount_root);
	assert_int_equal(kv_target_describe(1, &t), 0);
	assert_int_equal(t.fd, -1);
	refuse("statx", 1, EACCES);
	assert_int_equal(kv_target_open("/a/b", &t), -EACCES);
	/* Before 5.8 it does not say what is needed. */
	kernel.stx.stx_mask = STATX_BASIC_STATS;
	assert_int_equal(kv_target_open("/a/b", &t), -EOPNOTSUPP);
	kernel.stx.stx_mask |= STATX_MNT_ID;
	kernel.stx.stx_attributes_mask = 0;
	assert_int_equal(kv_target_open("/a/b", &t), -EOPNOTSUPP);
}

/* A file system that is shut down: nothing but the mount's id can be had. */
static void dead_target_is_known_by_its_id(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error, result;
	} cases[] = {
		{ "name_to_handle_at", 1, EOPNOTSUPP, -EIO },
		{ "name_to_handle_at", 1, ENOSYS, -EIO },
		{ "statx", 1, EIO, -EIO }, /* the parent is dead, too */
		{ "statx", 1, EACCES, -EACCES },
		{ "openat2", 2, ENOENT, -ENOENT },
		{ "openat2", 3, ENOENT, -ENOENT },
		{ "openat2", 3, ELOOP, -ELOOP },
	};
	struct kv_target t;

	(void)state;
	kernel.dead = true;
	kernel.mnt_id = 71;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		kernel.statxes = 0;
		t.fd = -7;
		refuse(cases[i].call, cases[i].nth, cases[i].error);
		assert_int_equal(kv_target_open("/a/b", &t), cases[i].result);
		assert_int_equal(t.fd, -7);
	}
	kernel.statxes = 0;
	assert_int_equal(kv_target_open("/a/b", &t), 0);
	(void)close(t.fd);
	assert_true(t.dead && t.mount_root);
	assert_int_equal(t.mnt_id, 71);
	/* What is on the parent's own mount is no root. */
	kernel.mnt_id = 70;
	assert_int_equal(kv_target_open("/a/b", &t), -EIO);
}

static void only_the_dead_mount_that_was_seen_is_detached(void **state)
{
	struct kv_target alive, dead = { .mnt_id = 71, .mount_root = true, .dead = true };

	(void)state;
	assert_int_equal(kv_target_describe(1, &alive), 0);
	refuse("umount2", 9, EBUSY); /* counts */
	/* Seen dead, and it answers: that is another one. */
	kernel.stx.stx_mnt_id = 71;
	assert_int_equal(kv_target_detach("/a/b", &dead), -ESTALE);
	kernel.stx.stx_mnt_id = 70;
	kernel.dead = true;
	kernel.mnt_id = 72;
	assert_int_equal(kv_target_detach("/a/b", &dead), -ESTALE);
	kernel.mnt_id = 70; /* the parent's */
	assert_int_equal(kv_target_detach("/a/b", &dead), -EIO);
	assert_int_equal(kernel.calls, 0);
	kernel.mnt_id = 71;
	assert_int_equal(kv_target_detach("/a/b", &dead), 0);
	assert_int_equal(kernel.calls, 1);
	/* It has died since. */
	alive.mnt_id = 71;
	assert_int_equal(kv_target_detach("/a/b", &alive), 0);
	assert_int_equal(kernel.calls, 2);
}

/* Somebody renames all the time: that is not waited for without end. */
static void opening_is_repeated_so_often(void **state)
{
	struct kv_target t;

	(void)state;
	refuse("openat2", 1, EAGAIN);
	assert_int_equal(kv_target_open("/a/b", &t), 0);
	(void)close(t.fd);
	refuse("openat2", 0, EINTR);
	assert_int_equal(kv_target_open("/a/b", &t), -EINTR);
	assert_int_equal(kernel.calls, 100);
	refuse("openat2", 1, ENOSYS);
	assert_int_equal(kv_target_open("/a/b", &t), -EOPNOTSUPP);
	refuse("openat2", 1, ELOOP);
	assert_int_equal(kv_target_open("/a/b", &t), -ELOOP);
}

static void refused_attachment_is_told(void **state)
{
	struct kv_target t = { .fd = 1 };

	(void)state;
	refuse("move_mount", 1, EINVAL);
	assert_int_equal(kv_target_attach(&t, 1), -EINVAL);
	assert_int_equal(kv_target_attach(&t, 1), 0);
}

static void only_what_was_inspected_is_detached(void **state)
{
	static const struct {
		const char *call;
		int error, result;
	} cases[] = {
		{ "openat2", ENOENT, -ESTALE },	 { "openat2", ELOOP, -ESTALE },
		{ "openat2", ENOTDIR, -ESTALE }, { "openat2", EACCES, -EACCES },
		{ "fchdir", EACCES, -EACCES },	 { "statx", ENOENT, -ESTALE },
		{ "statx", EACCES, -EACCES },	 { "umount2", EINVAL, -ESTALE },
		{ "umount2", ENOENT, -ESTALE },	 { "umount2", EBUSY, -EBUSY },
	};
	struct kv_target t, other;

	(void)state;
	assert_int_equal(kv_target_describe(1, &t), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		refuse(cases[i].call, 1, cases[i].error);
		assert_int_equal(kv_target_detach("/a/b", &t), cases[i].result);
	}
	refuse("umount2", 2, EBUSY); /* counts: it must not come to that */
	for (unsigned i = 0; i < 3; i++) {
		other = t;
		other.mnt_id += i == 0;
		other.dev += i == 1;
		other.ino += i == 2;
		assert_int_equal(kv_target_detach("/a/b", &other), -ESTALE);
	}
	kernel.stx.stx_attributes = 0;
	assert_int_equal(kv_target_detach("/a/b", &t), -ESTALE);
	assert_int_equal(kernel.calls, 0);
	kernel.stx.stx_attributes = STATX_ATTR_MOUNT_ROOT;
	assert_int_equal(kv_target_detach("/a/b", &t), 0);
	assert_int_equal(kernel.calls, 1);
}

#define here(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		here(options_reach_the_kernel_in_order),
		here(each_refusal_is_told),
		here(kernel_s_last_error_is_told),
		here(options_that_no_kernel_takes_are_refused),
		here(node_that_cannot_be_bound_is_told),
		here(root_of_a_mount_is_opened),
		here(target_has_to_end_in_a_name),
		here(target_is_what_the_kernel_says),
		here(dead_target_is_known_by_its_id),
		here(only_the_dead_mount_that_was_seen_is_detached),
		here(opening_is_repeated_so_often),
		here(refused_attachment_is_told),
		here(only_what_was_inspected_is_detached),
	};

	return cmocka_run_group_tests_name("mount_refused", tests, NULL, NULL);
}
