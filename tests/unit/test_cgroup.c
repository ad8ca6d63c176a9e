/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A cgroup's io.max, in a directory that is said to be a cgroup. */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cmocka.h>

#include "cgroup.h"

#define LINE "253:7 rbps=1 wbps=2 riops=3 wiops=max"

static bool is_cgroup = true;
static int write_error, statfs_error;
static char dir[] = "/tmp/kvol-cgroup-XXXXXX", path[128];

int __real_fstatfs(int fd, struct statfs *st);
int __wrap_fstatfs(int fd, struct statfs *st);
int __wrap_fstatfs(int fd, struct statfs *st)
{
	int r = __real_fstatfs(fd, st);

	if (statfs_error) {
		errno = statfs_error;
		return -1;
	}
	if (r == 0 && is_cgroup)
		st->f_type = CGROUP2_SUPER_MAGIC;
	return r;
}

ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	errno = write_error;
	if (write_error == EINTR)
		write_error = 0;
	else if (!write_error)
		return __real_write(fd, buf, n);
	return -1;
}

static const char *in_dir(const char *name)
{
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void line_is_written_whole(void **state)
{
	char got[KV_CGROUP_LINE] = "";
	_cleanup_close_ int fd = open(in_dir("io.max"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	write_error = EINTR; /* once */
	assert_int_equal(kv_cgroup_io_max(dir, LINE), 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), strlen(LINE));
	assert_string_equal(got, LINE);
	write_error = ENODEV;
	assert_int_equal(kv_cgroup_io_max(dir, LINE), -ENODEV);
	write_error = 0;
	assert_int_equal(unlink(in_dir("io.max")), 0);
}

static void what_is_no_cgroup_is_told(void **state)
{
	(void)state;
	assert_int_equal(kv_cgroup_io_max(dir, LINE), -EOPNOTSUPP);
	is_cgroup = false;
	assert_int_equal(kv_cgroup_io_max(dir, LINE), -EMEDIUMTYPE);
	is_cgroup = true;
	statfs_error = EIO;
	assert_int_equal(kv_cgroup_io_max(dir, LINE), -EIO);
	statfs_error = 0;
	assert_int_equal(kv_cgroup_io_max(in_dir("absent"), LINE), -ENOENT);
	assert_int_equal(symlink(dir, in_dir("link")), 0);
	assert_int_equal(kv_cgroup_io_max(in_dir("link"), LINE), -ELOOP);
	assert_int_equal(kv_cgroup_io_max(in_dir("link/."), LINE), -ELOOP);
	assert_int_equal(unlink(in_dir("link")), 0);
	assert_int_equal(kv_cgroup_io_max("/etc/passwd", LINE), -ENOTDIR);
}

static void link_in_its_place_is_not_followed(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/null", in_dir("io.max")), 0);
	assert_int_equal(kv_cgroup_io_max(dir, LINE), -ELOOP);
	assert_int_equal(unlink(in_dir("io.max")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_written_whole),
		cmocka_unit_test(what_is_no_cgroup_is_told),
		cmocka_unit_test(link_in_its_place_is_not_followed),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
	(void)rmdir(dir);
	return r;
}
