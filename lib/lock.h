/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_LOCK_H
#define KV_LOCK_H

/* L3: who may touch what, across threads and processes: byte ranges of one file per pool.
 */

#include "util.h"

/* Order, to be kept by everybody: pool, volumes ascending, message, then SQLite. */
#define KV_LOCK_POOL                                                       \
	UINT64_C(0) /* shared: in use; exclusive: activation, deactivation \
		     */
#define KV_LOCK_MESSAGE	     UINT64_C(1) /* epoch changes */
#define KV_LOCK_RECOVERY     UINT64_C(2) /* one recovery at a time */
#define KV_LOCK_SNAPSHOT     UINT64_C(3) /* the metadata snapshot; before no other */
#define KV_LOCK_TEMPLATE     UINT64_C(4) /* one template is made at a time; before volumes */
#define KV_LOCK_VOLUME(id)   ((UINT64_C(1) << 32) + (id))
#define KV_LOCK_OWNER(owner) ((UINT64_C(1) << 40) + (owner)) /* owner < 2^40 */

#define KV_LOCK_WAIT_MS 30000

/* An open file description of its own, holding one lock: so threads exclude each other as
 * processes do. Released at the end of the scope, or by the kernel when the process dies.
 */
struct kv_lock {
	int fd;
	uint64_t byte;
};

#define KV_LOCK_NONE   ((struct kv_lock){ .fd = -1 })
#define _cleanup_lock_ _cleanup_(kv_lock_release)

/* Takes a byte exclusively. -ETIMEDOUT past the deadline; with deadline 0 -EBUSY at once.
 */
int kv_lock_take(int dir_fd, uint64_t byte, int64_t deadline_ms, struct kv_lock *ret);
/* The same, together with others who share it. */
int kv_lock_share(int dir_fd, uint64_t byte, int64_t deadline_ms, struct kv_lock *ret);
void kv_lock_release(struct kv_lock *lock);

/* On an fd that the caller keeps: one handle's hold on the pool and on its reservations.
 */
int kv_lock_open(int dir_fd);
int kv_lock_exclusive(int fd, uint64_t byte,
		      int64_t deadline_ms); /* deadlines as above */
int kv_lock_shared(int fd, uint64_t byte, int64_t deadline_ms);
/* By somebody else than this description. */
bool kv_lock_held(int fd, uint64_t byte);
void kv_lock_drop(int fd, uint64_t byte);

#endif
