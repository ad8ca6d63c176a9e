// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * lib/blockdev.c on device nodes that this file plays: a node is an entry in a table, its
 * opened fd a memfd, and the calls that tell the two apart are wrapped by the linker. So
 * it takes no root to meet a /dev that lacks a node, or one where somebody put another
 * device.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockdev.h"
#include "util.h"

#define DEV   makedev(253, 7)
#define OTHER makedev(8, 1)
#define FDS   64
#define SIZE  (1u << 20)

struct node {
	const char *path;
	dev_t dev;
	mode_t type; /* 0: block */
};

static struct {
	struct node nodes[4];
	const char *uevent; /* of DEV */
	int uevent_errno;
	bool no_sysfs;
	dev_t fds[FDS]; /* what an fd stands for; 0: none of ours */
	mode_t fd_types[FDS];
	int tmpfs_fd;	  /* the detached tmpfs's root, -1: none made */
	dev_t made;	  /* the node in it */
	const char *fail; /* the call that fails, with */
	int error;
	bool interrupt; /* the next interruptible call */
	bool no_zeroout;
	unsigned zeroouts, discards, syncs;
	int sysfs; /* discard_max_bytes of DEV */
	int open_flags; /* of the last open of a device */
} kernel;

/* --- The kernel's side ------------------------------------------------------------ */

int __wrap_lstat(const char *path, struct stat *st);
int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int dir_fd, const char *path, int flags, ...);
int __wrap_access(const char *path, int mode);
int __wrap_ioctl(int fd, unsigned long cmd, void *arg);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
long __wrap_syscall(long number, ...);
int __wrap_mknodat(int dir_fd, const char *name, mode_t mode, dev_t dev);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size);
int __wrap_kv_read_file_at(int dir_fd, const char *path, char *buf, size_t size);

static bool fails(const char *call)
{
	if (!kernel.fail || strcmp(kernel.fail, call) != 0)
		return false;
	errno = kernel.error;
	return true;
}

static bool interrupted(void)
{
	const bool now = kernel.interrupt;

	kernel.interrupt = false;
	errno = EINTR;
	return now;
}

static const struct node *node_at(const char *path)
{
	for (size_t i = 0; i < KV_ARRAY_SIZE(kernel.nodes); i++)
		if (kernel.nodes[i].path && strcmp(kernel.nodes[i].path, path) == 0)
			return &kernel.nodes[i];
	errno = ENOENT;
	return NULL;
}

static void show(struct stat *st, dev_t dev, mode_t type)
{
	*st = (struct stat){ .st_mode = (type ? type : S_IFBLK) | 0600, .st_rdev = dev };
}

static int fd_of(dev_t dev, mode_t type)
{
	const int fd = memfd_create("device", MFD_CLOEXEC);

	assert_true(fd >= 0 && fd < FDS);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	kernel.fds[fd] = dev;
	kernel.fd_types[fd] = type;
	return fd;
}

int __wrap_lstat(const char *path, struct stat *st)
{
	const struct node *node = node_at(path);

	if (!node)
		return -1;
	show(st, node->dev, node->type);
	return 0;
}

int __wrap_fstat(int fd, struct stat *st)
{
	if (fails("fstat"))
		return -1;
	if (fd < FDS && fd >= 0 && kernel.fds[fd]) {
		show(st, kernel.fds[fd], kernel.fd_types[fd]);
		return 0;
	}
	return __real_fstat(fd, st);
}

/* Through an O_PATH fd that was looked at, or the O_PATH fd of a path that a person gave.
 */
int __wrap_open(const char *path, int flags, ...)
{
	const struct node *node;
	int fd;

	if (sscanf(path, "/proc/self/fd/%d", &fd) == 1) {
		if (interrupted() || fails("open"))
			return -1;
		assert_true(kernel.fds[fd]);
		kernel.open_flags = flags;
		return fd_of(kernel.fds[fd], kernel.fd_types[fd]);
	}
	if (strcmp(path, "/sys/dev/block/253:7/queue/discard_max_bytes") == 0) {
		assert_int_equal(flags, O_WRONLY | O_CLOEXEC);
		return interrupted() || fails("open") ? -1 : dup(kernel.sysfs);
	}
	if (strncmp(path, "/dev/", 5) != 0) /* gcov's own files */
		return __real_open(path, flags, 0600);
	node = node_at(path);
	if (!node)
		return -1;
	assert_true(flags & O_PATH); /* never opened before it is looked at */
	return fd_of(node->dev, node->type);
}

int __wrap_openat(int dir_fd, const char *path, int flags, ...)
{
	const struct node *node;

	assert_int_equal(flags, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd >= 0) {
		assert_int_equal(dir_fd, kernel.tmpfs_fd);
		assert_true(kernel.made);
		return fd_of(kernel.made, 0);
	}
	if (fails("openat"))
		return -1;
	node = node_at(path);
	return node ? fd_of(node->dev, node->type) : -1;
}

int __wrap_access(const char *path, int mode)
{
	(void)mode;
	assert_string_equal(path, "/sys/dev/block");
	return kernel.no_sysfs ? -1 : 0;
}

int __wrap_kv_read_file_at(int dir_fd, const char *path, char *buf, size_t size)
{
	(void)dir_fd;
	if (kernel.no_sysfs)
		return -ENOENT;
	if (kernel.uevent_errno)
		return -kernel.uevent_errno;
	if (strcmp(path, "/sys/dev/block/253:7/uevent") != 0 || !kernel.uevent)
		return -ENOENT;
	return snprintf(buf, size, "%s", kernel.uevent);
}

int __wrap_ioctl(int fd, unsigned long cmd, void *arg)
{
	if (interrupted() || fails("ioctl"))
		return -1;
	assert_true(kernel.fds[fd]);
	switch (cmd) {
	case BLKGETSIZE64:
		*(uint64_t *)arg = SIZE;
		return 0;
	case BLKDISCARD:
		kernel.discards++;
		return 0;
	case BLKZEROOUT:
		kernel.zeroouts++;
		errno = EOPNOTSUPP;
		return kernel.no_zeroout ? -1 : 0;
	}
	errno = ENOTTY;
	return -1;
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	(void)fd, (void)offset, (void)bytes;
	if (interrupted() || fails("fallocate"))
		return -1;
	assert_int_equal(mode, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	kernel.discards++;
	return 0;
}

int __wrap_fsync(int fd)
{
	if (interrupted() || fails("fsync"))
		return -1;
	kernel.syncs++;
	return __real_fsync(fd);
}

long __wrap_syscall(long number, ...)
{
	switch (number) {
	case SYS_fsopen:
		return fails("fsopen") ? -1 : memfd_create("fs", MFD_CLOEXEC);
	case SYS_fsconfig:
		return fails("fsconfig") ? -1 : 0;
	case SYS_fsmount:
		if (fails("fsmount"))
			return -1;
		kernel.tmpfs_fd = memfd_create("mount", MFD_CLOEXEC);
		return kernel.tmpfs_fd;
	}
	fail();
	return -1;
}

int __wrap_mknodat(int dir_fd, const char *name, mode_t mode, dev_t dev)
{
	assert_int_equal(dir_fd, kernel.tmpfs_fd);
	assert_null(strchr(name, '/'));
	assert_int_equal(mode, S_IFBLK | 0600);
	if (fails("mknodat"))
		return -1;
	kernel.made = dev;
	return 0;
}

ssize_t __wrap_readlink(const char *path, char *buf, size_t size)
{
	assert_string_equal(path, "/proc/self");
	if (fails("readlink"))
		return -1;
	return snprintf(buf, size, "4711");
}

/* --- Fixture ---------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.tmpfs_fd = -1;
	return 0;
}

static void put(unsigned i, const char *path, dev_t dev)
{
	kernel.nodes[i] = (struct node){ .path = path, .dev = dev };
}

static void opens(dev_t expected)
{
	const int fd = kv_blockdev_open(DEV, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(kernel.fds[fd], expected);
	assert_int_equal(kernel.open_flags, O_RDWR | O_CLOEXEC);
	close(fd);
}

static int zeroed(int fd, size_t offset, size_t n)
{
	char buf[4096];

	assert_true(n <= sizeof(buf));
	assert_int_equal(pread(fd, buf, n, (off_t)offset), n);
	for (size_t i = 0; i < n; i++)
		if (buf[i])
			return 0;
	return 1;
}

static void fill(int fd, char c)
{
	char buf[4096];

	memset(buf, c, sizeof(buf));
	for (off_t at = 0; at < SIZE; at += sizeof(buf))
		assert_int_equal(pwrite(fd, buf, sizeof(buf), at), sizeof(buf));
}

/* --- Paths ------------------------------------------------------------------------ */

static void the_usual_name_is_tried_without_sysfs(void **state)
{
	char path[KV_DEV_PATH];

	(void)state;
	kernel.no_sysfs = true;
	put(0, "/dev/dm-7", DEV);
	assert_int_equal(kv_blockdev_path(DEV, path), 0);
	assert_string_equal(path, "/dev/dm-7");
	put(0, "/dev/dm-7", OTHER);
	strcpy(path, "untouched");
	assert_int_equal(kv_blockdev_path(DEV, path), -ENOENT);
	assert_string_equal(path, "untouched");
}

static void the_kernels_name_comes_from_its_uevent(void **state)
{
	char path[KV_DEV_PATH], longer[300];

	(void)state;
	kernel.uevent = "MAJOR=253\nMINOR=7\nDEVNAME=mapper/x\nDEVTYPE=disk\n";
	assert_int_equal(kv_blockdev_path(DEV, path), 0);
	assert_string_equal(path, "/dev/mapper/x");
	kernel.uevent = "MAJOR=253\nMINOR=7";
	assert_int_equal(kv_blockdev_path(DEV, path), -ENODEV);
	(void)snprintf(longer, sizeof(longer), "DEVNAME=%0200d", 0);
	kernel.uevent = longer;
	assert_int_equal(kv_blockdev_path(DEV, path), -ENAMETOOLONG);
	kernel.uevent = NULL;
	assert_int_equal(kv_blockdev_path(DEV, path), -ENODEV);
	kernel.uevent_errno = EACCES;
	assert_int_equal(kv_blockdev_path(DEV, path), -EACCES);
}

static void a_name_for_children_is_the_node_or_goes_through_an_fd(void **state)
{
	char path[KV_DEV_PATH], expected[64];
	int fd = 42;

	(void)state;
	put(0, "/dev/dm-7", DEV);
	assert_int_equal(kv_blockdev_name(DEV, path, &fd), 0);
	assert_string_equal(path, "/dev/dm-7");
	assert_int_equal(fd, -1);

	put(0, NULL, 0);
	kernel.uevent = "DEVNAME=dm-7\n";
	assert_int_equal(kv_blockdev_name(DEV, path, &fd), 0);
	(void)snprintf(expected, sizeof(expected), "/proc/4711/fd/%d/dev", fd);
	assert_string_equal(path, expected);
	assert_int_equal(kernel.made, DEV);
	close(fd);

	fd = 42;
	kernel.fail = "readlink", kernel.error = EACCES;
	assert_int_equal(kv_blockdev_name(DEV, path, &fd), -EACCES);
	kernel.fail = "fsopen";
	assert_int_equal(kv_blockdev_name(DEV, path, &fd), -EACCES);
	kernel.uevent = NULL;
	assert_int_equal(kv_blockdev_name(DEV, path, &fd), -ENODEV);
	assert_int_equal(fd, 42);
}

/* --- Opening ---------------------------------------------------------------------- */

static void the_node_is_opened_once_it_is_the_device(void **state)
{
	(void)state;
	put(0, "/dev/dm-7", DEV);
	opens(DEV);
	assert_int_equal(kernel.tmpfs_fd, -1);
	kernel.interrupt = true;
	opens(DEV);
}

static void another_devices_node_is_never_opened(void **state)
{
	(void)state;
	put(0, "/dev/dm-7", OTHER);
	kernel.uevent = "DEVNAME=dm-7\n";
	opens(DEV); /* by a node of our own */
	assert_int_equal(kernel.made, DEV);
}

static void a_node_that_changes_meanwhile_is_noticed(void **state)
{
	(void)state;
	put(0, "/dev/dm-7", DEV);
	kernel.fail = "openat", kernel.error = ENOENT;
	assert_int_equal(kv_blockdev_open(DEV, O_RDONLY), -ENOENT);
	kernel.fail = "fstat", kernel.error = EIO;
	assert_int_equal(kv_blockdev_open(DEV, O_RDONLY), -EIO);
	kernel.fail = "open", kernel.error = ENXIO;
	assert_int_equal(kv_blockdev_open(DEV, O_RDONLY), -ENXIO);
}

static void a_device_that_the_kernel_lacks_is_not_made(void **state)
{
	(void)state;
	assert_int_equal(kv_blockdev_open(DEV, O_RDONLY), -ENODEV);
	assert_int_equal(kernel.tmpfs_fd, -1);
	kernel.no_sysfs = true; /* nobody to ask */
	opens(DEV);
}

static void a_node_of_our_own_fails_cleanly(void **state)
{
	static const char *const calls[] = { "fsopen", "fsconfig", "fsmount", "mknodat" };

	(void)state;
	kernel.no_sysfs = true;
	for (size_t i = 0; i < KV_ARRAY_SIZE(calls); i++) {
		kernel.fail = calls[i], kernel.error = EPERM;
		assert_int_equal(kv_blockdev_open(DEV, O_RDONLY), -EPERM);
	}
}

static void a_given_path_is_claimed_only_if_it_is_a_device(void **state)
{
	int fd;

	(void)state;
	put(0, "/dev/disk/by-id/x", OTHER);
	kernel.nodes[1] = (struct node){ "/dev/null", OTHER, S_IFCHR };
	fd = kv_blockdev_open_exclusive("/dev/disk/by-id/x");
	assert_true(fd >= 0);
	assert_int_equal(kernel.open_flags, O_RDWR | O_EXCL | O_CLOEXEC);
	close(fd);
	assert_int_equal(kv_blockdev_open_exclusive("/dev/null"), -ENOTBLK);
	assert_int_equal(kv_blockdev_open_exclusive("/dev/none"), -ENOENT);
	kernel.fail = "open", kernel.error = EBUSY;
	assert_int_equal(kv_blockdev_open_exclusive("/dev/disk/by-id/x"), -EBUSY);
	kernel.fail = "fstat", kernel.error = EIO;
	assert_int_equal(kv_blockdev_open_exclusive("/dev/disk/by-id/x"), -EIO);
}

/* --- Contents --------------------------------------------------------------------- */

static void sizes_are_those_of_devices_and_files(void **state)
{
	const int device = fd_of(DEV, 0), tty = fd_of(OTHER, S_IFCHR);
	const int file = memfd_create("file", MFD_CLOEXEC);
	uint64_t bytes = 42;

	(void)state;
	assert_int_equal(ftruncate(file, 12345), 0);
	assert_int_equal(kv_blockdev_size(tty, &bytes), -ENOTBLK);
	kernel.fail = "fstat", kernel.error = EIO;
	assert_int_equal(kv_blockdev_size(file, &bytes), -EIO);
	kernel.fail = "ioctl";
	assert_int_equal(kv_blockdev_size(device, &bytes), -EIO);
	assert_int_equal(bytes, 42);
	kernel.fail = NULL;
	assert_int_equal(kv_blockdev_size(file, &bytes), 0);
	assert_int_equal(bytes, 12345);
	assert_int_equal(kv_blockdev_size(device, &bytes), 0);
	assert_int_equal(bytes, SIZE);
	close(device), close(tty), close(file);
}

static void flush_and_discard_say_what_went_wrong(void **state)
{
	const int device = fd_of(DEV, 0), file = memfd_create("file", MFD_CLOEXEC);

	(void)state;
	kernel.interrupt = true;
	assert_int_equal(kv_blockdev_flush(device), 0);
	kernel.interrupt = true;
	assert_int_equal(kv_blockdev_discard(device, 0, 65536), 0);
	assert_int_equal(kv_blockdev_discard(file, 0, 65536), 0);
	assert_int_equal(kernel.discards, 2);
	kernel.fail = "fsync", kernel.error = EIO;
	assert_int_equal(kv_blockdev_flush(device), -EIO);
	kernel.fail = "ioctl", kernel.error = EOPNOTSUPP;
	assert_int_equal(kv_blockdev_discard(device, 0, 65536), -EOPNOTSUPP);
	kernel.fail = "fallocate";
	assert_int_equal(kv_blockdev_discard(file, 0, 65536), -EOPNOTSUPP);
	kernel.fail = "fstat", kernel.error = EIO;
	assert_int_equal(kv_blockdev_discard(file, 0, 65536), -EIO);
	assert_int_equal(kv_blockdev_zero(file, 0, 65536), -EIO);
	close(device), close(file);
}

static void zeros_are_written_where_the_device_cannot(void **state)
{
	const int device = fd_of(DEV, 0), file = memfd_create("file", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(file, SIZE), 0);
	fill(device, 'x');
	fill(file, 'x');
	kernel.interrupt = true;
	assert_int_equal(kv_blockdev_zero(device, 4096, 100000), 0);
	assert_int_equal(kernel.zeroouts, 1);
	assert_int_equal(zeroed(device, 4096, 512), 0); /* left to the device */
	kernel.no_zeroout = true;
	assert_int_equal(kv_blockdev_zero(device, 4096, 100000), 0);
	assert_int_equal(kv_blockdev_zero(file, 4096, 100000), 0);
	for (int i = 0; i < 2; i++) {
		const int fd = i ? file : device;

		assert_true(zeroed(fd, 4096, 4096));
		assert_true(zeroed(fd, 4096 + 100000 - 4096, 4096));
		assert_false(zeroed(fd, 4095, 1));
		assert_false(zeroed(fd, 4096 + 100000, 1));
	}
	assert_int_equal(kernel.syncs, 3);
	kernel.fail = "ioctl", kernel.error = EIO;
	assert_int_equal(kv_blockdev_zero(device, 0, 4096), -EIO);
	kernel.fail = "fsync";
	assert_int_equal(kv_blockdev_zero(file, 0, 4096), -EIO);
	close(file);
	assert_int_equal(kv_blockdev_zero(file, 0, 4096), -EBADF);
	close(device);
}

static void touching_writes_a_page_at_each_step(void **state)
{
	const int device = fd_of(DEV, 0);

	(void)state;
	fill(device, 'x');
	assert_int_equal(kv_blockdev_touch(device, 65536, 131072, 3), 0);
	for (unsigned at = 65536; at < 4 * 131072; at += 131072) {
		assert_int_equal(zeroed(device, at, 4096), at <= 65536 + 2 * 131072);
		assert_false(zeroed(device, at - 1, 1));
		assert_false(zeroed(device, at + 4096, 1));
	}
	assert_false(zeroed(device, 0, 1));
	assert_int_equal(kernel.syncs, 0);
	assert_int_equal(kv_blockdev_touch(device, 0, 4096, 0), 0);
	assert_false(zeroed(device, 0, 1));
	close(device);
	assert_int_equal(kv_blockdev_touch(device, 0, 4096, 1), -EBADF);
}

static void copying_leaves_zeros_out(void **state)
{
	/* Pieces of 64 KiB: zeros or not. The last is a page. */
	static const char pieces[] = "..x.xx...xxxxxxx..xx.x.........xxx..x.x.......x";
	const uint64_t piece = 65536, bytes = (sizeof(pieces) - 2) * piece + 4096;
	const int from = fd_of(DEV, 0), to = fd_of(DEV, 0);
	const char *data = "data";

	(void)state;
	assert_int_equal(ftruncate(to, 128 * piece), 0);
	assert_int_equal(ftruncate(from, 128 * piece), 0);
	for (unsigned i = 0; pieces[i]; i++)
		if (pieces[i] == 'x')
			assert_int_equal(pwrite(from, data, 4, (off_t)(i * piece + 4092)),
					 4);
	/* Where it writes is seen by what was there. */
	for (uint64_t at = 0; at < 64 * piece; at += 4096)
		assert_int_equal(pwrite(to, "old", 3, (off_t)at), 3);
	assert_int_equal(kv_blockdev_copy(from, 0, to, 4 * piece, bytes), 0);
	for (unsigned i = 0; pieces[i]; i++) {
		off_t at = (off_t)((i + 4) * piece);
		char got[4];

		assert_int_equal(zeroed(to, at, 3), pieces[i] == 'x');
		assert_int_equal(pread(to, got, 4, at + 4092), 4);
		assert_int_equal(!memcmp(got, data, 4), pieces[i] == 'x');
	}
	assert_false(zeroed(to, (off_t)(3 * piece), 3));
	assert_false(zeroed(to, (off_t)(4 * piece + bytes), 3));
	close(from);
	assert_int_equal(kv_blockdev_copy(from, 0, to, 0, 4096), -EBADF);
	close(to);
}

/* Where it is told in sysfs. */
static void discards_are_switched_off_in_sysfs(void **state)
{
	static const int errors[] = { EROFS, EACCES, EINVAL };
	char got[8] = "";

	(void)state;
	kernel.sysfs = memfd_create("sysfs", MFD_CLOEXEC);
	kernel.interrupt = true;
	assert_int_equal(kv_blockdev_no_discards(DEV), 0);
	assert_int_equal(pread(kernel.sysfs, got, sizeof(got), 0), 1);
	assert_string_equal(got, "0");
	for (size_t i = 0; i < KV_ARRAY_SIZE(errors); i++) {
		kernel.fail = "open", kernel.error = errors[i];
		assert_int_equal(kv_blockdev_no_discards(DEV), -errors[i]);
	}
	kernel.error = ENOENT;
	assert_int_equal(kv_blockdev_no_discards(DEV), -EOPNOTSUPP);
	kernel.fail = NULL;
	close(kernel.sysfs);
	kernel.sysfs = memfd_create("sysfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(fcntl(kernel.sysfs, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(kv_blockdev_no_discards(DEV), -EPERM);
	close(kernel.sysfs);
}

static void zeros_that_cannot_be_written_are_an_error(void **state)
{
	const int file = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(file, SIZE), 0);
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(kv_blockdev_zero(file, 0, 4096), -EPERM);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, setup)
		T(the_usual_name_is_tried_without_sysfs),
		T(the_kernels_name_comes_from_its_uevent),
		T(a_name_for_children_is_the_node_or_goes_through_an_fd),
		T(the_node_is_opened_once_it_is_the_device),
		T(another_devices_node_is_never_opened),
		T(a_node_that_changes_meanwhile_is_noticed),
		T(a_device_that_the_kernel_lacks_is_not_made),
		T(a_node_of_our_own_fails_cleanly),
		T(a_given_path_is_claimed_only_if_it_is_a_device),
		T(sizes_are_those_of_devices_and_files),
		T(flush_and_discard_say_what_went_wrong),
		T(zeros_are_written_where_the_device_cannot),
		T(touching_writes_a_page_at_each_step),
		T(copying_leaves_zeros_out),
		T(discards_are_switched_off_in_sysfs),
		T(zeros_that_cannot_be_written_are_an_error),
	};

	return cmocka_run_group_tests_name("blockdev", tests, NULL, NULL);
}
