/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_BLOCKDEV_H
#define KV_BLOCKDEV_H

/* L1: block devices by number. */

#include "util.h"

#define KV_DEV_PATH 128

/* The device's usual path: /dev/dm-N, /dev/loopN, or what the kernel's uevent file says.
 */
int kv_blockdev_path(dev_t dev, char ret[KV_DEV_PATH]);
/* Opens it (O_CLOEXEC added), checks that what opened is dev. Where /dev lacks the node
 * (a container) one in a detached tmpfs serves. */
int kv_blockdev_open(dev_t dev, int flags);
/* A path by which this process and its children can name the device to mount and mkfs:
 * ret is /dev/... where that is the device, else /proc/PID/fd/.../... under *ret_fd,
 * which the caller closes
 * (-1 otherwise). */
int kv_blockdev_name(dev_t dev, char ret[KV_DEV_PATH], int *ret_fd);

int kv_blockdev_size(int fd, uint64_t *ret_bytes); /* of a device or a regular file */
int kv_blockdev_flush(int fd);
int kv_blockdev_discard(int fd, uint64_t offset, uint64_t bytes);
/* Writes zeros over the start and flushes, past the page cache's reach of other names. */
int kv_blockdev_zero(int fd, uint64_t offset, uint64_t bytes);
/* Writes a page of zeros at offset and every `step` bytes on from there, `count` times;
 * what comes of it is told by kv_blockdev_flush on the same fd. */
int kv_blockdev_touch(int fd, uint64_t offset, uint64_t step, uint64_t count);
/* Copies to a device that reads as zeros there, so that zeros need not be written. Both
 * are opened with O_DIRECT: neither goes by what the page cache has of the other's blocks
 * under another name. */
int kv_blockdev_copy(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t bytes);
/* Until its next table device-mapper's device takes no discards. -EOPNOTSUPP: no /sys. */
int kv_blockdev_no_discards(dev_t dev);
/* Claims a whole device as its owner for as long as the fd is open (O_EXCL): -EBUSY if it
 * is mounted or claimed. */
int kv_blockdev_open_exclusive(const char *path);

#endif
