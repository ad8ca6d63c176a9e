/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_RUNDIR_H
#define KV_RUNDIR_H

/* L3: the run directory: RUN/lock for all pools, RUN/UUID/ for each: lock, unfinished,
 * pool, publish/; RUN/format-UUID while one is being made (leftover.c). */

#include "names.h"

#define KV_RUN_DIR "/run/kvol"

/* What is known of a pool while it is active. */
struct kv_run_pool {
	char name[KV_POOL_NAME_MAX + 1];
	char device[128];
};

/* Opens the run directory, and a pool's own in it; makes what is missing. Returns an fd.
 */
int kv_run_open(const char *path);
int kv_run_open_pool(int run_fd, const char *uuid);

int kv_run_write(int dir_fd, const struct kv_run_pool *p);
int kv_run_read(int dir_fd, struct kv_run_pool *ret); /* -ENOENT: not active */
int kv_run_remove(int dir_fd);
/* Calls fn for each pool that has a record, until it returns non-zero, which is then
 * returned. */
int kv_run_each(int run_fd,
		int (*fn)(const char *uuid, const struct kv_run_pool *p, void *arg),
		void *arg);

#endif
