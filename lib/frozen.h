/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_FROZEN_H
#define KV_FROZEN_H

/* L3: which volumes are suspended right now, and thawing those whose suspender is dead.
 */

#include "lock.h"

struct kvol_pool;

/* So many volumes of one pool can be suspended at once; one more waits. */
#define KV_FROZEN_SLOTS 64

/* A slot of the file that says "I am suspending this volume". */
struct kv_frozen {
	int fd;
	unsigned slot;
};

/* The file, in the pool's run directory. Returns an fd. */
int kv_frozen_open(int dir_fd);

/* Around whatever suspends a volume: begin before the suspend, end after the resume.
 * running: the device runs again; if it could not be resumed, the next call of anybody
 * tries. The caller holds the volume's lock. -ETIMEDOUT: no slot was to be had. */
int kv_frozen_begin(const struct kvol_pool *pool, uint32_t id, struct kv_frozen *ret);
void kv_frozen_end(struct kv_frozen *frozen, bool running);

/* Resumes what the dead left suspended. One pread when there is nothing to do. */
void kv_frozen_thaw(const struct kvol_pool *pool);

/* kv_lock_take, thawing while it waits: who holds the lock may himself be waiting for a
 * volume that a dead process froze. dir_fd: whose lock file. */
int kv_frozen_lock(const struct kvol_pool *pool, int dir_fd, uint64_t byte,
		   int64_t deadline_ms, struct kv_lock *ret);
/* A volume's lock. The volume is not frozen when it is had. */
int kv_lock_volume(const struct kvol_pool *pool, uint32_t id, int64_t deadline_ms,
		   struct kv_lock *ret);

#endif
