/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_LOOP_H
#define KV_LOOP_H

/* L1: loop devices for pools in regular files. */

#include "util.h"

/* Attaches the file with direct I/O (where its file system can) and autoclear: the kernel
 * frees the device when its last user is gone, so that nothing is leaked whatever happens
 * to this process. Returns the device's fd, which keeps it alive until something else
 * (dm-linear) does. */
int kv_loop_attach(int file_fd, const char *path, dev_t *ret_dev);
/* Which file is behind a loop device. -ENXIO: no loop device, or none attached. */
int kv_loop_backing(dev_t dev, dev_t *ret_file_dev, ino_t *ret_file_ino);
/* 1: a file is behind some loop device; 0: behind none. */
int kv_loop_attached(dev_t file_dev, ino_t file_ino);

#endif
