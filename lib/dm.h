/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_DM_H
#define KV_DM_H

/* L1: device-mapper's control device. Devices are addressed by their uuid alone. Every
 * function returns 0 or a negative errno, is safe from any thread, allocates nothing
 * unless it says so, and shares nothing but the control fd. */

#include "names.h"

struct kv_dm {
	int fd;
};

struct kv_dm_target {
	uint64_t start_sectors;
	uint64_t length_sectors;
	const char *type; /* "linear", "thin-pool", "thin" */
	const char *params;
};

struct kv_dm_info {
	dev_t dev;
	uint32_t open_count;
	bool suspended;
	bool readonly;
	bool live_table;
	bool deferred_remove;
};

#define KV_DM_READONLY (1u << 0) /* create: a read-only device */
#define KV_DM_LOCKFS   (1u << 1) /* suspend: freeze the file system on it */
#define KV_DM_FLUSH    (1u << 2) /* suspend, status: wait for what is in flight */
#define KV_DM_DEFERRED (1u << 3) /* remove: when the last opener is gone, if not now */
#define KV_DM_TABLE    (1u << 4) /* status: the table instead */

/* -EOPNOTSUPP when the kernel has no device-mapper (or one without 4.x ioctls). */
int kv_dm_open(struct kv_dm *ret);
void kv_dm_close(struct kv_dm *dm);

/* -EOPNOTSUPP when the kernel has no such target (a module is asked for). */
int kv_dm_target_exists(const struct kv_dm *dm, const char *type);

/* -ENXIO: no such device. */
int kv_dm_info(const struct kv_dm *dm, const char *uuid, struct kv_dm_info *ret);

/* Creates, loads and resumes; all or nothing. -EEXIST: a device of this name or uuid is
 * there. */
int kv_dm_create(const struct kv_dm *dm, const struct kv_dm_id *id,
		 const struct kv_dm_target *t, unsigned flags, dev_t *ret_dev);
/* Loads a table and resumes into it, without flush or freeze. On failure the old one
 * stays live and the device is running. */
int kv_dm_reload(const struct kv_dm *dm, const char *uuid, const struct kv_dm_target *t,
		 unsigned flags);
int kv_dm_suspend(const struct kv_dm *dm, const char *uuid, unsigned flags);
int kv_dm_resume(const struct kv_dm *dm, const char *uuid);
/* -ENXIO: not there. -EBUSY: open (never with KV_DM_DEFERRED). */
int kv_dm_remove(const struct kv_dm *dm, const char *uuid, unsigned flags);
/* Takes back a deferred removal. */
int kv_dm_cancel_remove(const struct kv_dm *dm, const char *uuid);
int kv_dm_message(const struct kv_dm *dm, const char *uuid, const char *msg);
/* The first target's status (or table) line, without its start, length and type. -ENOSPC:
 * does not fit. ret_type (may be NULL) gets the target's type, 16 bytes. */
int kv_dm_status(const struct kv_dm *dm, const char *uuid, unsigned flags, char *buf,
		 size_t size, char *ret_type);
/* Calls fn for each device of the host whose uuid begins with prefix, until it returns
 * non-zero. Allocates. fn may use the other functions. */
int kv_dm_list(const struct kv_dm *dm, const char *prefix,
	       int (*fn)(const struct kv_dm_id *id, dev_t dev, void *arg), void *arg);

#endif
