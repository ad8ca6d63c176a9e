/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Loop devices for pools in regular files.
 *
 * A device is taken and set up by one ioctl (LOOP_CONFIGURE, Linux 5.8) with autoclear:
 * from its first moment it lives only as long as somebody has it open, first the fd that
 * is returned, then the device-mapper devices on top of it. So a crash at any point
 * leaves nothing, and there is no detaching here.
 *
 * Another process may take the same free number between the two ioctls; then the next one
 * is tried. Direct I/O keeps the pool out of the page cache a second time; a file system
 * that cannot do it (tmpfs) serves as well. Whether it can is tried on the file itself:
 * the kernel believes an overlayfs that promises it, whatever is below, and then fails
 * every request.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blockdev.h"
#include "loop.h"

#define ATTACH_TIMEOUT_MS 10000
#define DIRECT_IO_ALIGN	  4096

/* Numbers and minors differ where the module was loaded with max_part; without a sysfs
 * to ask it was not. */
static int loop_dev(int number, dev_t *ret)
{
	char file[64], buf[32];
	unsigned maj, min;
	int r;

	(void)snprintf(file, sizeof(file), "/sys/block/loop%d/dev", number);
	r = kv_read_file_at(AT_FDCWD, file, buf, sizeof(buf));
	if (r == -ENOENT && access("/sys/block", F_OK) < 0) {
		*ret = makedev(LOOP_MAJOR, (unsigned)number);
		return 0;
	}
	if (r < 0)
		return r;
	if (sscanf(buf, "%u:%u", &maj, &min) != 2)
		return -EIO;
	*ret = makedev(maj, min);
	return 0;
}

static int open_free(int control_fd, dev_t *ret_dev)
{
	int number, r;
	dev_t dev;

	do {
		number = ioctl(control_fd, LOOP_CTL_GET_FREE);
	} while (number < 0 && errno == EINTR);
	if (number < 0)
		return -errno;
	r = loop_dev(number, &dev);
	if (r < 0)
		return r;
	r = kv_blockdev_open(dev, O_RDWR);
	if (r >= 0)
		*ret_dev = dev;
	return r;
}

static int configure(int loop_fd, int file_fd, const char *path, unsigned flags)
{
	struct loop_config config = {
		.fd = (unsigned)file_fd,
		.info.lo_flags = flags,
	};
	char *name = (char *)config.info.lo_file_name;
	int r;

	/* For people who look at losetup; the kernel does not care. */
	(void)kv_strcpy(name, sizeof(config.info.lo_file_name), path);
	do {
		r = ioctl(loop_fd, LOOP_CONFIGURE, &config);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* An error that is no refusal is left for the pool's own reads to meet. */
static bool can_direct_io(int file_fd)
{
	_Alignas(DIRECT_IO_ALIGN) char buf[DIRECT_IO_ALIGN];
	_cleanup_close_ int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return false;
	return kv_pread_full(fd, buf, sizeof(buf), 0) != -EINVAL;
}

int kv_loop_attach(int file_fd, const char *path, dev_t *ret_dev)
{
	const int64_t deadline = kv_deadline(ATTACH_TIMEOUT_MS);
	_cleanup_close_ int control_fd = -1;
	unsigned flags = LO_FLAGS_AUTOCLEAR;
	unsigned step = 0;
	dev_t dev = 0;
	int r;

	control_fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control_fd < 0)
		return errno == ENOENT || errno == ENODEV ? -EOPNOTSUPP : -errno;
	if (can_direct_io(file_fd))
		flags |= LO_FLAGS_DIRECT_IO;
	for (;;) {
		_cleanup_close_ int fd = open_free(control_fd, &dev);

		r = fd < 0 ? fd : configure(fd, file_fd, path, flags);
		if (fd >= 0 && r == -EINVAL && flags & LO_FLAGS_DIRECT_IO) {
			flags &= ~(unsigned)LO_FLAGS_DIRECT_IO;
			r = configure(fd, file_fd, path, flags);
		}
		if (!r) {
			*ret_dev = dev;
			return kv_take_fd(&fd);
		}
		/* Taken by another, or taken and removed. */
		if (r != -EBUSY && r != -ENOENT && r != -ENXIO && r != -ENODEV)
			return r;
		if (kv_backoff(&step, deadline) < 0)
			return r;
	}
}

/* The kernel's huge_encode_dev: 8 bits of minor, 12 of major, the rest of minor. */
static dev_t decode_dev(uint64_t dev)
{
	return makedev((unsigned)(dev >> 8 & 0xfff),
		       (unsigned)((dev & 0xff) | (dev >> 12 & 0xfff00)));
}

int kv_loop_backing(dev_t dev, dev_t *ret_file_dev, ino_t *ret_file_ino)
{
	_cleanup_close_ int fd = -1;
	struct loop_info64 info;

	if (major(dev) != LOOP_MAJOR)
		return -ENXIO;
	fd = kv_blockdev_open(dev, O_RDONLY);
	if (fd < 0)
		return fd == -ENOENT || fd == -ENODEV ? -ENXIO : fd;
	if (ioctl(fd, LOOP_GET_STATUS64, &info) < 0)
		return errno == ENOTTY ? -ENXIO : -errno;
	*ret_file_dev = decode_dev(info.lo_device);
	*ret_file_ino = (ino_t)info.lo_inode;
	return 0;
}

int kv_loop_attached(dev_t file_dev, ino_t file_ino)
{
	DIR *dir = opendir("/sys/block");
	int number, n, found = 0;
	struct dirent *d;
	dev_t dev, on;
	ino_t ino;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!found && (d = readdir(dir))) {
		if (sscanf(d->d_name, "loop%d%n", &number, &n) != 1 || d->d_name[n])
			continue;
		found = loop_dev(number, &dev) == 0 &&
			kv_loop_backing(dev, &on, &ino) == 0 && on == file_dev &&
			ino == file_ino;
	}
	(void)closedir(dir);
	return found;
}
