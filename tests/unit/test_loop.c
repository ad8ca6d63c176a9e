// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * lib/loop.c on loop devices that this file plays: /dev/loop-control, the devices' nodes
 * and sysfs are wrapped by the linker, so that neither root nor a free device is needed,
 * and every race with another process can be had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockdev.h"
#include "loop.h"
#include "util.h"

#define CONTROL "/dev/loop-control"
#define LOOPS	3

static struct {
	int control_errno, sys_errno, direct_errno;
	const char *dev_file; /* what sysfs says; NULL: "7:N" */
	bool no_sysfs;
	int attached[LOOPS];   /* the file's fd, 0: free */
	uint32_t flags[LOOPS]; /* as configured */
	int get_free_errno;    /* once */
	int open_errno;	       /* of a loop device's node, once */
	int configure_errno;   /* once, or for ever: */
	bool for_ever;
	bool refuse_direct_io;
	int status_errno;
	unsigned configured;
	int fds[64]; /* which loop an fd is, plus 1 */
} kernel;

static char sys_block[] = "/tmp/kvol-loops-XXXXXX";

/* --- The kernel's side ------------------------------------------------------------ */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long cmd, void *arg);
int __wrap_access(const char *path, int mode);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __wrap_kv_blockdev_open(dev_t dev, int flags);
int __wrap_kv_read_file_at(int dir_fd, const char *path, char *buf, size_t size);
int __wrap_kv_backoff(unsigned *step, int64_t deadline);

static int once(int *error)
{
	const int e = *error;

	if (!kernel.for_ever)
		*error = 0;
	return e;
}

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, CONTROL) == 0) {
		errno = kernel.control_errno;
		return errno ? -1 : __real_open("/dev/null", flags);
	}
	if (flags & O_DIRECT && kernel.direct_errno) {
		errno = kernel.direct_errno;
		return -1;
	}
	return __real_open(path, flags & ~O_DIRECT, 0600);
}

static int get_free(void)
{
	errno = once(&kernel.get_free_errno);
	if (errno)
		return -1;
	for (int i = 0; i < LOOPS; i++)
		if (!kernel.attached[i])
			return i;
	errno = ENOSPC;
	return -1;
}

static int configure(int loop, const struct loop_config *config)
{
	kernel.configured++;
	assert_true(config->info.lo_flags & LO_FLAGS_AUTOCLEAR);
	errno = once(&kernel.configure_errno);
	if (!errno && kernel.refuse_direct_io &&
	    config->info.lo_flags & LO_FLAGS_DIRECT_IO)
		errno = EINVAL;
	if (!errno && kernel.attached[loop])
		errno = EBUSY;
	if (errno)
		return -1;
	kernel.attached[loop] = (int)config->fd;
	kernel.flags[loop] = config->info.lo_flags;
	return 0;
}

static int get_status(int loop, struct loop_info64 *info)
{
	struct stat st;

	errno = kernel.status_errno;
	if (!errno && !kernel.attached[loop])
		errno = ENXIO;
	if (errno)
		return -1;
	assert_int_equal(fstat(kernel.attached[loop], &st), 0);
	*info = (struct loop_info64){
		/* huge_encode_dev() */
		.lo_device = (minor(st.st_dev) & 0xff) | major(st.st_dev) << 8 |
			     (uint64_t)(minor(st.st_dev) & ~0xffu) << 12,
		.lo_inode = st.st_ino,
	};
	return 0;
}

int __wrap_ioctl(int fd, unsigned long cmd, void *arg)
{
	int loop = fd < 64 ? kernel.fds[fd] - 1 : -1;

	switch (cmd) {
	case LOOP_CTL_GET_FREE:
		return get_free();
	case LOOP_CONFIGURE:
		return configure(loop, arg);
	case LOOP_GET_STATUS64:
		return get_status(loop, arg);
	}
	errno = ENOTTY;
	return -1;
}

int __wrap_kv_blockdev_open(dev_t dev, int flags)
{
	int fd, error = once(&kernel.open_errno);

	(void)flags;
	assert_int_equal(major(dev), LOOP_MAJOR);
	if (error)
		return -error;
	fd = __real_open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && fd < 64);
	kernel.fds[fd] = (int)minor(dev) + 1;
	return fd;
}

int __wrap_access(const char *path, int mode)
{
	assert_string_equal(path, "/sys/block");
	(void)mode;
	return kernel.no_sysfs ? -1 : 0;
}

DIR *__wrap_opendir(const char *path)
{
	char file[64];

	assert_string_equal(path, "/sys/block");
	errno = kernel.no_sysfs ? ENOENT : kernel.sys_errno;
	if (errno)
		return NULL;
	for (int i = 0; i <= LOOPS; i++) {
		(void)snprintf(file, sizeof(file),
			       i == LOOPS ? "%s/loop1p1" : "%s/loop%d", sys_block, i);
		assert_true(mkdir(file, 0700) == 0 || errno == EEXIST);
	}
	return __real_opendir(sys_block);
}

int __wrap_kv_read_file_at(int dir_fd, const char *path, char *buf, size_t size)
{
	int number = -1;

	(void)dir_fd;
	if (kernel.no_sysfs)
		return -ENOENT;
	if (kernel.sys_errno)
		return -kernel.sys_errno;
	assert_int_equal(sscanf(path, "/sys/block/loop%d/dev", &number), 1);
	if (kernel.dev_file)
		return snprintf(buf, size, "%s", kernel.dev_file);
	return snprintf(buf, size, "%d:%d\n", LOOP_MAJOR, number);
}

int __wrap_kv_backoff(unsigned *step, int64_t deadline)
{
	(void)deadline;
	return ++*step > 5 ? -ETIMEDOUT : 0;
}

/* --- Fixture ---------------------------------------------------------------------- */

static int file_fd, loop_fd;
static dev_t dev;

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	dev = 42;
	loop_fd = -1;
	file_fd = memfd_create("pool", MFD_CLOEXEC);
	return file_fd < 0 ? -1 : ftruncate(file_fd, 1 << 20);
}

static int teardown(void **state)
{
	(void)state;
	kv_close(loop_fd);
	kv_close(file_fd);
	return 0;
}

static int make_sys_block(void **state)
{
	(void)state;
	return mkdtemp(sys_block) ? 0 : -1;
}

static int remove_sys_block(void **state)
{
	char command[64];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -r %s", sys_block);
	return system(command);
}

static void attach_to(int loop)
{
	loop_fd = kv_loop_attach(file_fd, "/some/file", &dev);
	assert_true(loop_fd >= 0);
	assert_int_equal(dev, makedev(LOOP_MAJOR, (unsigned)loop));
	assert_int_equal(kernel.attached[loop], file_fd);
}

static void refused(int error)
{
	assert_int_equal(kv_loop_attach(file_fd, "/some/file", &dev), error);
	assert_int_equal(dev, 42);
}

/* --- Attaching -------------------------------------------------------------------- */

static void a_file_is_attached_with_direct_io_where_it_can(void **state)
{
	(void)state;
	attach_to(0);
	assert_int_equal(kernel.flags[0], LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO);
}

static void a_file_system_without_direct_io_serves_as_well(void **state)
{
	(void)state;
	kernel.direct_errno = EINVAL;
	attach_to(0);
	assert_int_equal(kernel.flags[0], LO_FLAGS_AUTOCLEAR);
}

static void a_device_that_refuses_direct_io_gets_none(void **state)
{
	(void)state;
	kernel.refuse_direct_io = true;
	attach_to(0);
	assert_int_equal(kernel.flags[0], LO_FLAGS_AUTOCLEAR);
	assert_int_equal(kernel.configured, 2);
}

static void a_device_taken_by_another_is_followed_by_the_next(void **state)
{
	static const int errors[] = { EBUSY, ENXIO, ENODEV, ENOENT };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(errors); i++) {
		kernel.configure_errno = errors[i];
		kernel.configured = 0;
		kernel.attached[0] = 0;
		attach_to(0);
		assert_int_equal(kernel.configured, 2);
		loop_fd = kv_close(loop_fd);
	}
	kernel.attached[0] = 0;
	kernel.open_errno = ENODEV;
	attach_to(0);
}

static void a_race_that_never_ends_ends_at_the_deadline(void **state)
{
	(void)state;
	kernel.configure_errno = EBUSY;
	kernel.for_ever = true;
	refused(-EBUSY);
	assert_true(kernel.configured > 2);
}

static void an_interrupted_ioctl_is_repeated(void **state)
{
	(void)state;
	kernel.get_free_errno = EINTR;
	kernel.configure_errno = EINTR;
	attach_to(0);
}

static void a_failure_is_passed_on(void **state)
{
	(void)state;
	kernel.control_errno = ENOENT;
	refused(-EOPNOTSUPP);
	kernel.control_errno = ENODEV;
	refused(-EOPNOTSUPP);
	kernel.control_errno = EACCES;
	refused(-EACCES);
	kernel.control_errno = 0;
	kernel.get_free_errno = ENOSPC;
	refused(-ENOSPC);
	kernel.open_errno = EPERM;
	refused(-EPERM);
	kernel.configure_errno = EPERM;
	refused(-EPERM);
	kernel.dev_file = "what?";
	refused(-EIO);
	kernel.dev_file = NULL;
	kernel.sys_errno = EACCES;
	refused(-EACCES);
}

static void without_sysfs_minors_are_numbers(void **state)
{
	(void)state;
	kernel.no_sysfs = true;
	attach_to(0);
}

static void minors_are_what_sysfs_says(void **state)
{
	(void)state;
	kernel.dev_file = "7:2\n"; /* loop.max_part=... */
	loop_fd = kv_loop_attach(file_fd, "/some/file", &dev);
	assert_true(loop_fd >= 0);
	assert_int_equal(dev, makedev(LOOP_MAJOR, 2));
}

/* --- Looking ---------------------------------------------------------------------- */

static void the_file_behind_a_device_is_told(void **state)
{
	struct stat st;
	dev_t on = 0;
	ino_t ino = 0;

	(void)state;
	assert_int_equal(fstat(file_fd, &st), 0);
	attach_to(0);
	assert_int_equal(kv_loop_backing(dev, &on, &ino), 0);
	assert_true(on == st.st_dev && ino == st.st_ino);
	assert_int_equal(kv_loop_attached(on, ino), 1);
	assert_int_equal(kv_loop_attached(on, ino + 1), 0);
	assert_int_equal(kv_loop_attached(on + 1, ino), 0);
}

static void what_is_no_attached_loop_device_is_enxio(void **state)
{
	const dev_t loop = makedev(LOOP_MAJOR, 1);
	dev_t on = 42;
	ino_t ino;

	(void)state;
	assert_int_equal(kv_loop_backing(makedev(8, 0), &on, &ino), -ENXIO);
	assert_int_equal(kv_loop_backing(loop, &on, &ino), -ENXIO);
	kernel.status_errno = ENOTTY;
	assert_int_equal(kv_loop_backing(loop, &on, &ino), -ENXIO);
	kernel.open_errno = ENODEV;
	assert_int_equal(kv_loop_backing(loop, &on, &ino), -ENXIO);
	kernel.open_errno = ENOENT;
	assert_int_equal(kv_loop_backing(loop, &on, &ino), -ENXIO);
	kernel.open_errno = EPERM;
	assert_int_equal(kv_loop_backing(loop, &on, &ino), -EPERM);
	kernel.status_errno = EIO;
	assert_int_equal(kv_loop_backing(loop, &on, &ino), -EIO);
	assert_int_equal(on, 42);
}

static void without_sysfs_no_device_is_known(void **state)
{
	(void)state;
	kernel.no_sysfs = true;
	assert_int_equal(kv_loop_attached(1, 1), 0);
	kernel.no_sysfs = false;
	kernel.sys_errno = EACCES;
	assert_int_equal(kv_loop_attached(1, 1), -EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_file_is_attached_with_direct_io_where_it_can),
		T(a_file_system_without_direct_io_serves_as_well),
		T(a_device_that_refuses_direct_io_gets_none),
		T(a_device_taken_by_another_is_followed_by_the_next),
		T(a_race_that_never_ends_ends_at_the_deadline),
		T(an_interrupted_ioctl_is_repeated),
		T(a_failure_is_passed_on),
		T(without_sysfs_minors_are_numbers),
		T(minors_are_what_sysfs_says),
		T(the_file_behind_a_device_is_told),
		T(what_is_no_attached_loop_device_is_enxio),
		T(without_sysfs_no_device_is_known),
	};

	return cmocka_run_group_tests_name("loop", tests, make_sys_block,
					   remove_sys_block);
}
