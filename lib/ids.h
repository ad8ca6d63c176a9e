/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_IDS_H
#define KV_IDS_H

/* L3: thin ids, handed out from batches that this handle has reserved in the catalogue.
 */

#include <pthread.h>
#include "error.h"
#include "catalogue.h"

struct kvol_pool;

struct kv_range {
	struct kv_range *link;
	struct kv_reservation res;
	uint32_t next;	    /* offset of the first id that was not handed out */
	uint32_t snapshots; /* how many were handed out for snapshots */
	uint32_t in_flight; /* handed out, neither committed nor undone yet */
	bool dirty;	    /* an undo failed: a thin id may be there without a row */
};

struct kv_ids {
	pthread_mutex_t mutex;
	uint64_t owner; /* its lock byte tells that this handle lives */
	struct kv_range *ranges;
	uint64_t taken; /* snapshots, when this handle last reserved */
};

struct kv_id {
	uint32_t id;
	struct kv_range *range;
};

int kv_ids_init(struct kvol_pool *pool);
/* Takes an id: mostly from memory; every 64th or so costs a commit and a message. */
int kv_ids_take(struct kvol_pool *pool, bool for_snapshot, const char *name,
		struct kv_id *ret, struct kvol_error *e);
/* The pool's life has seen so many snapshots; somebody else took some. */
void kv_ids_counted(struct kvol_pool *pool, uint64_t snapshots);
/* Are there snapshots enough left to spend them on what can be had without? */
bool kv_ids_plenty(struct kvol_pool *pool);
/* The id has a row now, or nothing was left of it; `dirty` when that is not certain. */
void kv_ids_done(struct kvol_pool *pool, struct kv_id *id, bool dirty);
/* Gives back what was not used. */
void kv_ids_free(struct kvol_pool *pool);

/* Brings the thin pool's transaction id to the catalogue's epoch if a half-done
 * reservation explains the difference. 1: they do not belong together. *ret_known is set
 * in any case, to false if an error kept us from comparing the two. The caller holds the
 * message lock. */
int kv_ids_settle_epoch(const struct kvol_pool *pool, bool *ret_known);

#endif
