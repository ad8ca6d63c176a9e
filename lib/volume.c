// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the verbs on one volume share: checking what they were given, finding, locking,
 * and taking back what was begun.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "verb.h"

int kv_volume_name_check(const char *name, const char *what, struct kvol_error *e)
{
	if (!name)
		return kv_error_invalid(e, "the %s's name is NULL", what);
	if (!kv_volume_name_valid(name))
		return kv_error_invalid(
			e,
			"%s '%.64s': a name is 1 to 255 bytes of UTF-8 without '/' or "
			"control characters",
			what, name);
	return 0;
}

int kv_bytes_check(const char *name, uint64_t bytes, uint64_t *ret, struct kvol_error *e)
{
	if (bytes == 0)
		return kv_error_invalid(e, "volume '%s': a size of 0 bytes", name);
	if (bytes > KV_BYTES_MAX)
		return kv_error_invalid(e,
					"volume '%s': %" PRIu64
					" bytes are more than the %" PRIu64
					" that a volume can have",
					name, bytes, KV_BYTES_MAX);
	*ret = kv_round_up(bytes, KV_BYTES_UNIT);
	return 0;
}

int kv_volume_none(const struct kvol_pool *pool, const char *name, const char *what,
		   struct kvol_error *e)
{
	return kv_error(e, -ENOENT, KVOL_R_NOT_FOUND, "%s '%s': there is none in pool '%s'",
			what, name, pool->conf.name);
}

int kv_volume_find(struct kvol_pool *pool, const char *name, const char *what,
		   struct kv_row *ret, struct kvol_error *e)
{
	int r = kv_catalogue_find(pool->cat, name, ret);

	if (r == -ENOENT)
		return what ? kv_volume_none(pool, name, what, e) : r;
	return r < 0 ? kv_error_errno(e, r, "volume '%s': look it up in the catalogue",
				      name)
		     : 0;
}

int kv_name_unstable(const char *name, struct kvol_error *e)
{
	return kv_error(e, -ETIMEDOUT, KVOL_R_TIMEOUT,
			"volume '%s': the name changes hands all the time", name);
}

int kv_volume_lock(struct kvol_pool *pool, const char *name, const char *what,
		   struct kv_lock *ret_lock, struct kv_row *ret, struct kvol_error *e)
{
	int64_t deadline = kv_deadline(KV_LOCK_WAIT_MS);
	struct kv_row row;
	int r;

	/* While we wait the name may come to mean another volume: then start over. */
	for (int i = 0; i < KV_NAME_TRIES; i++) {
		_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;

		r = kv_volume_find(pool, name, what, &row, e);
		if (r < 0)
			return r;
		r = kv_lock_volume(pool, row.id, deadline, &lock);
		if (r < 0)
			return kv_error_errno(
				e, r, "volume '%s': wait for another call on it", name);
		r = kv_catalogue_get(pool->cat, row.id, ret);
		if (r == 0 && !strcmp(ret->name, name)) {
			*ret_lock = lock;
			lock.fd = -1;
			return 0;
		}
		if (r < 0 && r != -ENOENT)
			return kv_error_errno(
				e, r, "volume '%s': look it up in the catalogue", name);
	}
	return kv_name_unstable(name, e);
}

int kv_volume_try_lock(struct kvol_pool *pool, uint32_t id, struct kv_lock *ret_lock,
		       struct kv_row *ret)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	int r;

	r = kv_lock_volume(pool, id, 0, &lock);
	if (r < 0)
		return r == -EBUSY ? 0 : r;
	r = kv_catalogue_get(pool->cat, id, ret);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret_lock = lock;
	lock.fd = -1;
	return 1;
}

int kv_row_init(struct kv_row *row, uint32_t id, const char *name, uint32_t kind,
		uint64_t bytes)
{
	memset(row, 0, sizeof(*row));
	row->id = id;
	row->kind = kind;
	row->bytes = bytes;
	row->created = (uint64_t)time(NULL);
	(void)kv_strcpy(row->name, sizeof(row->name), name);
	return kv_uuid_new(row->uuid);
}

int kv_row_fs(const struct kv_row *row, const struct kv_fs **ret, struct kvol_error *e)
{
	*ret = NULL;
	if (!row->fs_type[0])
		return 0;
	*ret = kv_fs_find(row->fs_type);
	if (!*ret)
		return kv_error(
			e, -EOPNOTSUPP, KVOL_R_UNSUPPORTED,
			"volume '%s': file system %s is not known to this library",
			row->name, row->fs_type);
	return 0;
}

void kv_volume_undo(struct kvol_pool *pool, struct kv_id *id, bool made)
{
	int r = 0;

	if (made) {
		r = kv_device_deactivate(pool, id->id, 0);
		/* A row that may yet turn up must not name an id that is gone. */
		if (r == 0 && kv_catalogue_in_doubt(pool->cat))
			r = -EIO;
		if (r == 0)
			r = kv_pool_delete_id(pool, id->id);
	}
	if (r < 0)
		kv_log(&pool->log, LOG_WARNING,
		       "pool '%s': thin id %" PRIu32
		       " could not be taken back now (%s); the next open does it",
		       pool->conf.name, id->id, strerror(-r));
	kv_ids_done(pool, id, r < 0);
}

int kv_reserved_error(const char *what, const char *name, struct kvol_error *e)
{
	return kv_error(e, -E2BIG, KVOL_R_INVALID,
			"%s '%s': kvol_create_opts.reserved0 is set", what, name);
}
