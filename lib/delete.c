// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Deleting volumes, catalogue first: one commit makes the row a tombstone and frees its
 * name, then device and thin id go. A crash in between leaves the tombstone, whose work
 * recovery does.
 */
#include <errno.h>
#include <string.h>

#include "verb.h"

/* Refuses what is in use; otherwise the volume is inactive afterwards. */
static int put_out_of_use(struct kvol_pool *pool, const struct kv_row *row,
			  struct kvol_error *e)
{
	char target[128];
	unsigned live;
	uint32_t openers;
	int active, r;

	active = kv_publications_prune(pool, row->id, &live, target);
	if (active < 0)
		return kv_error_errno(e, active, "volume '%s': look for its publishes",
				      row->name);
	if (live)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_PUBLISHED,
				"volume '%s': published at '%s'", row->name, target);
	if (!active)
		return 0;
	r = kv_device_openers(pool, row->id, &openers);
	if (r == 0)
		r = openers ? -EBUSY : kv_device_deactivate(pool, row->id, 0);
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN, "volume '%s': its device is open",
				row->name);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': deactivate", row->name) : 0;
}

int kv_volume_bury(struct kvol_pool *pool, const struct kv_row *row, struct kvol_error *e)
{
	int r = kv_catalogue_bury(pool->cat, row->id);

	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': commit to the catalogue",
				      row->name);
	/* It is gone. What is left to do, recovery would do as well. */
	r = kv_volume_free(pool, row->id, row->bytes, kv_deadline(KV_FREE_MS));
	if (r == 0)
		kv_catalogue_forget_later(pool->cat, row->id);
	else
		kv_log(&pool->log, LOG_WARNING,
		       "volume '%s': its blocks could not be freed now (%s); "
		       "the next open does it",
		       row->name, strerror(-r));
	return 0;
}

int kvol_delete(struct kvol_pool *pool, const char *name, uint32_t flags,
		struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r < 0)
		return r;
	if (flags)
		return kv_error_invalid(reterr, "volume '%s': unknown flags 0x%x", name,
					flags);
	r = kv_volume_lock(pool, name, NULL, &lock, &row, reterr);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = kv_pool_admit(pool, false, reterr);
	if (r == 0)
		r = put_out_of_use(pool, &row, reterr);
	if (r < 0)
		return r;
	return kv_volume_bury(pool, &row, reterr);
}
