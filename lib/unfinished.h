/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_UNFINISHED_H
#define KV_UNFINISHED_H

/* L3: what a process has begun that must not be left half-done until the next open:
 * suspended volumes and commits of the catalogue. */

#include "lock.h"

struct kvol_pool;

/* So many volumes of one pool can be suspended at once; one more waits. */
#define KV_SUSPEND_SLOTS 64

/* A slot of the file that says "I am suspending this volume". */
struct kv_suspend {
	int fd;
	unsigned slot;
};

/* The file, in the pool's run directory. Returns an fd. */
int kv_unfinished_open(int dir_fd);

/* Around whatever suspends a volume: begin before the suspend, end after the resume.
 * running: the device runs again; if it could not be resumed, the next call of anybody
 * tries. The caller holds the volume's lock. -ETIMEDOUT: no slot was to be had. */
int kv_suspend_begin(const struct kvol_pool *pool, uint32_t id, struct kv_suspend *ret);
void kv_suspend_end(struct kv_suspend *suspend, bool running);

/* Around a COMMIT, by who has the database's write lock. fd: the file, on a description
 * of the committer's own. begin fails: nobody would know of the commit if it came to
 * nothing, so it must not be made. settled: it succeeded; if not, the next call of anybody
 * makes sure that it never will. */
int kv_commit_begin(int fd);
void kv_commit_end(int fd, bool settled);
/* Some commit's end is owed, or it is under way just now. */
bool kv_commit_unfinished(int fd);

/* Resumes what the dead left suspended, and settles a commit that one died in, or that
 * failed. One pread when there is nothing to do. Negative: a commit is in doubt and stays
 * so; nothing may be acknowledged that its coming into force would contradict. */
int kv_unfinished_settle(const struct kvol_pool *pool);

/* kv_lock_take, settling while it waits: who holds the lock may himself be waiting for a
 * volume that a dead process froze. dir_fd: whose lock file. */
int kv_unfinished_lock(const struct kvol_pool *pool, int dir_fd, uint64_t byte,
		       int64_t deadline_ms, struct kv_lock *ret);
/* A volume's lock. When it is had, the volume is not frozen, and what its last holder
 * committed is committed for good, or never will be. */
int kv_lock_volume(const struct kvol_pool *pool, uint32_t id, int64_t deadline_ms,
		   struct kv_lock *ret);

#endif
