/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_POOL_STATE_H
#define KV_POOL_STATE_H

/* L3: what an open pool is, and the thin pool's and volumes' devices as the verbs use
 * them. */

#include <pthread.h>

#include "catalogue.h"
#include "dm.h"
#include "error.h"
#include "unfinished.h"
#include "host.h"
#include "ids.h"
#include "lock.h"
#include "log.h"
#include "stack.h"
#include "thin.h"
#include "usermaps.h"

struct kvol_pool {
	pid_t pid; /* of the opener: a forked child is refused */
	struct kv_log log;
	char *run_dir;
	int run_fd;	   /* the run directory: shared by all pools */
	int dir_fd;	   /* the pool's own directory in it */
	int lock_fd;	   /* holds the pool's byte (shared) and the owner's */
	int unfinished_fd; /* for looking; nothing is locked on it */
	struct kv_dm dm;
	struct kv_stack stack;
	char pool_dm_uuid[KV_DM_UUID_SIZE];
	char device[128];      /* the member, as kvol_pool_info shows it */
	struct kv_host host;   /* who we are */
	struct kv_claim claim; /* as it stood at the open */
	struct kv_catalogue *cat;
	struct kv_pool_row conf; /* as read at open: uuid, name, block size */
	struct kv_ids ids;
	bool audit;		     /* catalogue and thin pool disagree: no changes */
	bool unflushed;		     /* the catalogue cannot be relied on: no changes */
	pthread_mutex_t calls_mutex; /* guards the next three */
	unsigned calls;		     /* under way on this handle, and its open listings */
	bool ending;		     /* a deactivation is under way: the others wait */
	bool deactivated;	     /* the catalogue is closed, for good */
	bool down;		     /* and the devices are gone */
	bool activated;		     /* by this handle: its open mapped the devices */
	_Atomic uint32_t next_sweep; /* where kv_ephemeral_sweep goes on */
	int metadata_fd;	     /* for thinmeta; -1 until first used */
	pthread_mutex_t metadata_mutex;
	struct kv_usermaps usermaps;
};

/* The thin pool's status as it stands; does not wait for its I/O. */
int kv_pool_status(const struct kvol_pool *pool, struct kv_pool_status *ret);

/* No room for metadata: the kernel refuses every message, and kv_pool_delete_id alone
 * knows what to do. */
bool kv_pool_metadata_full(const struct kv_pool_status *st);
/* Below the reserve, which is kept for what exists: nothing new is made. */
bool kv_pool_low_data(const struct kv_pool_status *st);
bool kv_pool_low_metadata(const struct kv_pool_status *st);
/* Free blocks above the reserve. */
uint64_t kv_pool_spare_data(const struct kv_pool_status *st);
uint64_t kv_pool_spare_metadata(const struct kv_pool_status *st);

/* Nothing is changed through this handle, as long as it lives. */
bool kv_pool_only_reads(const struct kvol_pool *pool);
/* Refuses what the pool's state does not allow; `grows`: the verb takes space. */
int kv_pool_admit(const struct kvol_pool *pool, bool grows, struct kvol_error *e);

/* Sends a message and reads the status back: a message returns 0 even when its commit
 * failed and the pool went read-only. Plain negative errno; -EROFS: it went read-only. */
int kv_pool_message(const struct kvol_pool *pool, const char *msg);
/* The two by themselves, for a message that is sent inside a suspend. */
int kv_pool_send(const struct kvol_pool *pool, const char *msg);
int kv_pool_verify(const struct kvol_pool *pool);
/* The error for a failed message: names the state that the pool is in now. */
int kv_pool_error(const struct kvol_pool *pool, int r, const char *step, const char *name,
		  struct kvol_error *e);
/* The same for a volume's device that could not be activated. */
int kv_pool_activate_error(const struct kvol_pool *pool, int r, const char *name,
			   struct kvol_error *e);
/* ... or not be written. */
int kv_pool_write_error(const struct kvol_pool *pool, int r, const char *name,
			const char *step, struct kvol_error *e);
/* Deletes a thin id: 0 when it is gone, or was not there. */
int kv_pool_delete_id(const struct kvol_pool *pool, uint32_t id);

/* The kernel's count of snapshots, as of the last commit. */
int kv_pool_snapshot_time(const struct kvol_pool *pool, uint32_t *ret);

/* A volume's device. The caller holds the volume's lock. */
struct kv_device {
	dev_t dev;
	bool was_active; /* the thin device was, and perhaps no more than that */
	bool readonly;	 /* the thin device itself */
};
/* Does more than the thin device belong to it? What it says is the upper one then. */
static inline bool kv_row_layered(const struct kv_row *row)
{
	return row->flags & (KV_ROW_ENCRYPTED | KV_ROW_THICK);
}
/* How large the thin device of a volume of `bytes` is. */
uint64_t kv_row_thin_bytes(const struct kv_row *row, uint64_t bytes);
/* The thin device. `readonly`: make it so if it is not active yet. A thick volume's takes
 * no discards. */
int kv_device_activate(const struct kvol_pool *pool, const struct kv_row *row,
		       bool readonly, struct kv_device *ret);
/* On it the upper one of a layered volume: from then on device->dev is that. dm-crypt for
 * an encrypted one, whose key the kernel has (-ENOKEY). */
int kv_device_activate_upper(const struct kvol_pool *pool, const struct kv_row *row,
			     struct kv_device *device);
/* The read-only face, a linear map of the whole device that refuses writes. */
int kv_device_activate_readonly(const struct kvol_pool *pool, const struct kv_row *row,
				dev_t dev, dev_t *ret);
/* Makes the active devices as large as the row says. Never smaller. -ENOKEY: the kernel
 * does not have an encrypted volume's key any more. */
int kv_device_resize(const struct kvol_pool *pool, const struct kv_row *row);
/* The thin device alone, of an active layered volume; it takes discards from then on. */
int kv_device_stretch(const struct kvol_pool *pool, const struct kv_row *row);
/* Where what is mapped of an active thin device ends. */
int kv_device_highest(const struct kvol_pool *pool, uint32_t id, uint64_t *ret_bytes);
/* flags: KV_DM_DEFERRED or 0. 0 when it is not active any more, or will be when it is
 * closed. */
int kv_device_deactivate(const struct kvol_pool *pool, uint32_t id, unsigned flags);
/* 1: one of its faces is suspended; 0: running, or inactive. */
int kv_device_suspended(const struct kvol_pool *pool, uint32_t id);
/* Resumes what is suspended of it. -EBUSY and the like: could not. */
int kv_device_thaw(const struct kvol_pool *pool, uint32_t id);
int kv_device_info(const struct kvol_pool *pool, uint32_t id, enum kv_face face,
		   struct kv_dm_info *ret);
/* All of its faces at one look. */
struct kv_device_look {
	uint32_t openers; /* as kv_device_openers */
	bool suspended;	  /* one of them is */
	bool has_readonly;
};
int kv_device_look(const struct kvol_pool *pool, uint32_t id, struct kv_device_look *ret);
/* All faces' openers: each of them itself holds the one below open once. */
int kv_device_openers(const struct kvol_pool *pool, uint32_t id, uint32_t *ret);
/* Removes the read-only face, unless somebody has it open. */
int kv_device_drop_face(const struct kvol_pool *pool, uint32_t id);
/* Bytes of pool space that are mapped, whether it is active or not. */
int kv_device_allocated(struct kvol_pool *pool, uint32_t id, uint64_t *ret);

#endif
