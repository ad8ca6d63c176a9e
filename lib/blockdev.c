/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Block devices by number: their paths, opening them, and what is done to them as a
 * whole.
 *
 * A path proves nothing: /dev may belong to a container, be stale, or be somebody else's
 * to write. So whatever a path leads to is looked at through an O_PATH fd first (which
 * opens no device, waits for nothing and follows no link), compared with the number that
 * was asked for, and only then opened, through that fd. Where /dev has no such node, one
 * is made in a tmpfs of its own that is never attached anywhere: it goes with its fd, so
 * that a crash leaves nothing.
 *
 * /proc must be mounted; /sys need not be. Making a node takes CAP_MKNOD, and the device
 * cgroup must agree.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blockdev.h"

#define NODE_NAME  "dev"
#define PAGE	   4096
#define ZERO_CHUNK 65536u
#define COPY_CHUNK (UINT64_C(1) << 20)

/* --- Paths ------------------------------------------------------------------------ */

static bool is_node(const char *path, dev_t dev)
{
	struct stat st;

	return !lstat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev;
}

/* The kernel's own name of the device, as devtmpfs uses it. -ENODEV: the kernel has no
 * such device; -ENOENT: there is no sysfs to ask. */
static int path_by_uevent(dev_t dev, char ret[KV_DEV_PATH])
{
	static const char key[] = "DEVNAME=";
	char file[64], buf[1024];
	char *line, *end;
	int r;

	(void)snprintf(file, sizeof(file), "/sys/dev/block/%u:%u/uevent", major(dev),
		       minor(dev));
	r = kv_read_file_at(AT_FDCWD, file, buf, sizeof(buf));
	if (r == -ENOENT)
		return access("/sys/dev/block", F_OK) < 0 ? -ENOENT : -ENODEV;
	if (r < 0)
		return r;

	for (line = buf; line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (strncmp(line, key, sizeof(key) - 1))
			continue;
		r = snprintf(ret, KV_DEV_PATH, "/dev/%s", line + sizeof(key) - 1);
		return r < KV_DEV_PATH ? 0 : -ENAMETOOLONG;
	}
	return -ENODEV;
}

int kv_blockdev_path(dev_t dev, char ret[KV_DEV_PATH])
{
	char path[KV_DEV_PATH];
	int r;

	/* Nearly every call is for a device-mapper device: that saves reading sysfs. */
	(void)snprintf(path, sizeof(path), "/dev/dm-%u", minor(dev));
	if (!is_node(path, dev)) {
		r = path_by_uevent(dev, path);
		if (r < 0)
			return r;
	}
	memcpy(ret, path, sizeof(path));
	return 0;
}

/* --- A node of our own ------------------------------------------------------------ */

/* The system calls themselves: glibc has wrappers from 2.36 on only. */
static int sys_fsopen(const char *fs, unsigned flags)
{
	return (int)syscall(SYS_fsopen, fs, flags);
}

static int sys_fsconfig(int fd, unsigned cmd, const char *key, const char *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

static int sys_fsmount(int fd, unsigned flags, unsigned attr)
{
	return (int)syscall(SYS_fsmount, fd, flags, attr);
}

/* The root of a detached tmpfs that holds the node NODE_NAME. */
static int make_node(dev_t dev)
{
	_cleanup_close_ int fs_fd = -1;
	_cleanup_close_ int mnt_fd = -1;

	fs_fd = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs_fd < 0)
		return -errno;
	if (sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt_fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (mnt_fd < 0)
		return -errno;
	if (mknodat(mnt_fd, NODE_NAME, S_IFBLK | 0600, dev) < 0)
		return -errno;
	return kv_take_fd(&mnt_fd);
}

int kv_blockdev_name(dev_t dev, char ret[KV_DEV_PATH], int *ret_fd)
{
	_cleanup_close_ int node_fd = -1;
	char path[KV_DEV_PATH], pid[32];
	ssize_t n;
	int r;

	r = kv_blockdev_path(dev, path);
	if (!r && is_node(path, dev)) {
		memcpy(ret, path, sizeof(path));
		*ret_fd = -1;
		return 0;
	}

	if (r == -ENODEV)
		return r;
	node_fd = make_node(dev);
	if (node_fd < 0)
		return node_fd;
	/* By number, since "self" would be mkfs itself; and by the number that this
	 * /proc has for us, which in a container need not be getpid's. */
	n = readlink("/proc/self", pid, sizeof(pid) - 1);
	if (n < 0)
		return -errno;
	pid[n] = '\0';
	(void)snprintf(ret, KV_DEV_PATH, "/proc/%s/fd/%d/" NODE_NAME, pid, node_fd);
	*ret_fd = kv_take_fd(&node_fd);
	return 0;
}

/* --- Opening ---------------------------------------------------------------------- */

/* Opens what an O_PATH fd stands for. */
static int reopen(int path_fd, int flags)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	do {
		fd = open(path, flags | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* -ENODEV: what is there is not dev. */
static int open_node(int dir_fd, const char *path, dev_t dev, int flags)
{
	_cleanup_close_ int path_fd = -1;
	struct stat st;

	path_fd = openat(dir_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode) || st.st_rdev != dev)
		return -ENODEV;
	return reopen(path_fd, flags);
}

int kv_blockdev_open(dev_t dev, int flags)
{
	_cleanup_close_ int node_fd = -1;
	char path[KV_DEV_PATH];
	int r;

	r = kv_blockdev_path(dev, path);
	if (!r && is_node(path, dev))
		return open_node(AT_FDCWD, path, dev, flags);

	/* Not to be tried: opening the node of a loop device that is not there makes
	 * the device. */
	if (r == -ENODEV)
		return r;
	node_fd = make_node(dev);
	if (node_fd < 0)
		return node_fd;
	return open_node(node_fd, NODE_NAME, dev, flags);
}

int kv_blockdev_open_exclusive(const char *path)
{
	_cleanup_close_ int path_fd = -1;
	struct stat st;

	/* A person named it: links such as /dev/disk/by-id are meant to be followed. */
	path_fd = open(path, O_PATH | O_CLOEXEC);
	if (path_fd < 0 || fstat(path_fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	return reopen(path_fd, O_RDWR | O_EXCL);
}

/* --- Contents --------------------------------------------------------------------- */

int kv_blockdev_size(int fd, uint64_t *ret_bytes)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*ret_bytes = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -errno;
	*ret_bytes = bytes;
	return 0;
}

int kv_blockdev_flush(int fd)
{
	int r;

	do {
		r = fsync(fd);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int is_block(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISBLK(st.st_mode);
}

int kv_blockdev_discard(int fd, uint64_t offset, uint64_t bytes)
{
	uint64_t range[2] = { offset, bytes };
	int block, r;

	block = is_block(fd);
	if (block < 0)
		return block;
	do {
		r = block ? ioctl(fd, BLKDISCARD, range)
			  : fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				      (off_t)offset, (off_t)bytes);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int write_zeros(int fd, uint64_t offset, uint64_t bytes)
{
	static const char zeros[ZERO_CHUNK];
	int r;

	for (uint64_t n; bytes; offset += n, bytes -= n) {
		n = bytes < ZERO_CHUNK ? bytes : ZERO_CHUNK;
		r = kv_pwrite_full(fd, zeros, n, offset);
		if (r < 0)
			return r;
	}
	return 0;
}

int kv_blockdev_zero(int fd, uint64_t offset, uint64_t bytes)
{
	uint64_t range[2] = { offset, bytes };
	int block, r;

	block = is_block(fd);
	if (block < 0)
		return block;
	if (block) {
		do {
			r = ioctl(fd, BLKZEROOUT, range);
		} while (r < 0 && errno == EINTR);
		r = r < 0 ? -errno : 0;
	} else {
		r = -EOPNOTSUPP;
	}
	/* -EINVAL: not whole sectors. */
	if (r == -EOPNOTSUPP || r == -EINVAL)
		r = write_zeros(fd, offset, bytes);
	return r < 0 ? r : kv_blockdev_flush(fd);
}

int kv_blockdev_touch(int fd, uint64_t offset, uint64_t step, uint64_t count)
{
	static const char zeros[PAGE];
	int r = 0;

	for (; r == 0 && count; count--, offset += step)
		r = kv_pwrite_full(fd, zeros, sizeof(zeros), offset);
	return r;
}

/* Whatever is between pieces of zeros, each by one write. */
static int write_data(int fd, const char *buf, uint64_t bytes, uint64_t offset)
{
	uint64_t from = 0, n;
	int r = 0;

	for (uint64_t to = 0; r == 0 && to < bytes; to += n) {
		n = bytes - to < ZERO_CHUNK ? bytes - to : ZERO_CHUNK;
		if (!kv_is_zero(buf + to, n))
			continue;
		if (from < to)
			r = kv_pwrite_full(fd, buf + from, to - from, offset + from);
		from = to + n;
	}
	return r < 0 || from == bytes
		       ? r
		       : kv_pwrite_full(fd, buf + from, bytes - from, offset + from);
}

int kv_blockdev_copy(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t bytes)
{
	uint64_t n = bytes < COPY_CHUNK ? bytes : COPY_CHUNK;
	_cleanup_free_ char *buf = aligned_alloc(PAGE, kv_round_up(n, PAGE));
	int r = 0;

	if (!buf)
		return -ENOMEM;
	for (; r == 0 && bytes; from += n, to += n, bytes -= n) {
		n = bytes < n ? bytes : n;
		r = kv_pread_full(from_fd, buf, n, from);
		if (r == 0)
			r = write_data(to_fd, buf, n, to);
	}
	return r;
}

int kv_blockdev_no_discards(dev_t dev)
{
	_cleanup_close_ int fd = -1;
	char path[64];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/discard_max_bytes",
		       major(dev), minor(dev));
	do {
		fd = open(path, O_WRONLY | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	do {
		n = write(fd, "0", 1);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}
