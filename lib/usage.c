// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a volume alone has in the pool, and what it shares: the pool's mappings are
 * compared (thinusage.c), in a metadata snapshot (metasnap.c).
 */
#include <errno.h>

#include "thinusage.h"
#include "verb.h"

/* For all that is read of the metadata; waiting for others may take as long. */
#define USAGE_MS (2 * 60 * 1000)

static int admit(const struct kvol_pool *pool, struct kvol_error *e)
{
	struct kv_pool_status st;
	int r = kv_pool_admit(pool, false, e);

	if (r < 0)
		return r;
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	return !kv_pool_low_metadata(&st)
		       ? 0
		       : kv_error(e, -ENOSPC, KVOL_R_NO_METADATA_SPACE,
				  "pool '%s': free metadata blocks are below the reserve",
				  pool->conf.name);
}

/* The name may be given to another volume at any time, but an id is not. */
static int find_and_look(struct kvol_pool *pool, const char *name,
			 struct kv_thinusage *ret, struct kvol_error *e)
{
	struct kv_metasnap snap;
	struct kv_row row;
	int r, s;

	r = kv_volume_find(pool, name, "volume", &row, e);
	if (r < 0)
		return r;
	r = kv_metasnap_take(pool, kv_deadline(USAGE_MS), USAGE_MS, &snap);
	if (r == -ETIMEDOUT)
		return kv_error_errno(e, r, "volume '%s': wait for another look", name);
	if (r == 0)
		r = kv_thinusage(kv_metasnap_read, &snap, snap.held, snap.data_blocks,
				 row.id, ret);
	s = kv_metasnap_let_go(&snap);
	if (r == -ENODATA) /* deleted just now; or lost, which a publish tells */
		return kv_error(e, -ENOENT, KVOL_R_NOT_FOUND,
				"volume '%s': has no blocks in pool '%s'", name,
				pool->conf.name);
	if (r == 0)
		r = s;
	return r < 0 ? kv_pool_error(pool, r, "read the pool's metadata", name, e) : 0;
}

int kvol_usage(struct kvol_pool *pool, const char *name, struct kvol_usage_info *ret_info,
	       struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_usage_info info = { 0 };
	struct kv_thinusage usage;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0)
		r = kv_info_check(ret_info, "kvol_usage_info", reterr);
	if (r == 0)
		r = admit(pool, reterr);
	if (r == 0)
		r = find_and_look(pool, name, &usage, reterr);
	if (r < 0)
		return r;
	info.exclusive = usage.exclusive * pool->conf.block_bytes;
	info.shared = usage.shared * pool->conf.block_bytes;
	kv_info_out(ret_info, &info, sizeof(info));
	return 0;
}
