/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_HOLDERS_H
#define KV_HOLDERS_H

/* L1: who holds a device, or what is mounted of it, as /proc and /sys tell. */

#include "util.h"

#define KV_HOLDERS_MAX 4096 /* so many of one kind are told of */

#define KV_HOLDERS_DEVS 3

struct kv_holders_query {
	dev_t devs[KV_HOLDERS_DEVS]; /* the volume's own; 0: none */
	const uint64_t *mnt_ids; /* of its publishes */
	size_t n_mnt_ids;
	int64_t deadline_ms;
};

struct kv_holder {
	uint32_t kind;	/* KVOL_WHY_* */
	uint32_t how;	/* KVOL_WHY_BY_* */
	uint32_t pid, uid;
	uint64_t ns, mnt_id;
	const char *what, *target;
};

/* Calls fn for each until it returns non-zero, which is then returned. Nothing is opened
 * but files of /proc and /sys, so a file system that hangs does not hang us. -ETIMEDOUT:
 * not all were looked at; -E2BIG: there are more. */
int kv_holders_each(const struct kv_holders_query *q,
		    int (*fn)(const struct kv_holder *h, void *arg), void *arg);
/* The same in other directories than /proc and /sys, for tests. */
int kv_holders_scan(int proc_fd, int sys_fd, const struct kv_holders_query *q,
		    int (*fn)(const struct kv_holder *h, void *arg), void *arg);

#endif
