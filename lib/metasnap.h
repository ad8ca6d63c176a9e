/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_METASNAP_H
#define KV_METASNAP_H

/* L3: the pool's metadata snapshot, for whoever reads mappings. */

#include "pool_state.h"
#include "thinmeta.h"

struct kv_metasnap {
	const struct kvol_pool *pool;
	struct kv_lock lock;
	int fd;		      /* the metadata device */
	int64_t deadline;     /* for whatever is read */
	uint64_t held;	      /* the block of its superblock */
	uint64_t data_blocks; /* the pool's */
};
#define KV_METASNAP_NONE ((struct kv_metasnap){ .lock = KV_LOCK_NONE, .fd = -1 })

/* Takes it, for so long. -ETIMEDOUT: somebody else had it up to the deadline. While it is
 * held, take no lock. */
int kv_metasnap_take(const struct kvol_pool *pool, int64_t deadline, int64_t for_ms,
		     struct kv_metasnap *ret);
/* Lets it go; what was not taken is no harm. */
int kv_metasnap_let_go(struct kv_metasnap *m);
/* A kv_thinmeta_read_fn; arg: the snapshot. */
int kv_metasnap_read(void *arg, uint64_t block, void *buf);
/* Lets go what a dead process held. */
void kv_metasnap_recover(const struct kvol_pool *pool);

#endif
