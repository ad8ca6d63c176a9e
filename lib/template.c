// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Templates: what mkfs made once, for every later volume of this size to be a clone of, or
 * a copy (template_copy.c).
 *
 * A template is a row of a kind of its own, whose name no volume can have: file system,
 * size, and a word for the mkfs that made it (kv_fs_recipe). It is made like a volume, is
 * never active afterwards and never written again, so that a clone of it needs no suspend.
 *
 * Who clones or copies one shares its lock, who deletes it has the lock alone: a thin id
 * that was given to another volume meanwhile would be that volume's contents in a
 * stranger's. One makes a template at a time, and the others wait for it rather than run a
 * mkfs each.
 *
 * A crash while one is made leaves what the creation of a volume leaves.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "template.h"

/* Then the oldest goes: sizes that nobody asks for any more must not fill the pool. */
#define TEMPLATES_MAX 16

static void make_name(char ret[KV_NAME_MAX + 1], const struct kv_fs *fs, uint64_t bytes,
		      const char *recipe)
{
	(void)snprintf(ret, KV_NAME_MAX + 1, KV_TEMPLATE_PREFIX "%s/%" PRIu64 "/%s",
		       fs->name, bytes, recipe);
}

/* Under its lock, alone. */
static int bury(struct kvol_pool *pool, const struct kv_row *row, struct kvol_error *e)
{
	int r = kv_device_deactivate(pool, row->id, KV_DM_DEFERRED);

	if (r < 0)
		return kv_error_errno(e, r, "template '%s': deactivate", row->name);
	return kv_volume_bury(pool, row, e);
}

/* --- Using one -------------------------------------------------------------------- */

/* The disk may come from anybody: what a name says of its row has to be true. */
static int check_row(const struct kv_row *row, const struct kv_fs *fs, uint64_t bytes,
		     struct kvol_error *e)
{
	if (row->kind == KVOL_KIND_TEMPLATE && row->bytes == bytes &&
	    !strcmp(row->fs_type, fs->name) && !(row->flags & ~(uint32_t)KV_ROW_RENEW))
		return 0;
	return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
			"template '%s': is not what its name says", row->name);
}

/* 1: it is there, and stays. 0: there is none. */
static int share(struct kvol_pool *pool, const char *name, struct kv_template *t)
{
	struct kv_row row;
	int r;

	r = kv_catalogue_find(pool->cat, name, &row);
	if (r == 0)
		r = kv_lock_share(pool->dir_fd, KV_LOCK_VOLUME(row.id),
				  kv_deadline(KV_LOCK_WAIT_MS), &t->lock);
	if (r == 0) {
		r = kv_catalogue_get(pool->cat, row.id, &t->row);
		if (r == 0 && strcmp(t->row.name, name))
			r = -ENOENT;
		if (r < 0)
			kv_lock_release(&t->lock);
	}
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : 1;
}

/* Not while somebody clones it: then the next one that is made tries again. */
static void drop_oldest(struct kvol_pool *pool)
{
	uint32_t ids[TEMPLATES_MAX + 1];
	struct kv_row row;
	int n = kv_catalogue_templates(pool->cat, 0, ids, KV_ARRAY_SIZE(ids));

	if (n <= TEMPLATES_MAX)
		return;
	for (unsigned i = 0; i + 1 < (unsigned)n; i++) {
		_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;

		if (kv_volume_try_lock(pool, ids[i], &lock, &row) == 1 &&
		    bury(pool, &row, NULL) == 0)
			return;
	}
}

static int make(struct kvol_pool *pool, const char *name, const struct kv_fs *fs,
		uint64_t bytes, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	int r;

	r = kv_unfinished_lock(pool, pool->dir_fd, KV_LOCK_TEMPLATE,
			       kv_deadline(KV_FS_MAKE_MS + KV_LOCK_WAIT_MS), &lock);
	if (r < 0)
		return kv_error_errno(e, r, "template '%s': wait for another one", name);
	r = kv_volume_make_template(pool, name, fs, bytes, e);
	if (r == 0)
		drop_oldest(pool);
	return r;
}

int kv_template_take(struct kvol_pool *pool, const struct kv_fs *fs, uint64_t bytes,
		     struct kv_template *ret, struct kvol_error *e)
{
	char name[KV_NAME_MAX + 1], recipe[KV_FS_RECIPE_SIZE];
	int r;

	kv_fs_recipe(fs, recipe);
	if (!recipe[0])
		return 1;
	make_name(name, fs, bytes, recipe);
	for (int i = 0; i < KV_NAME_TRIES; i++) {
		r = share(pool, name, ret);
		if (r < 0)
			return kv_error_errno(e, r, "template '%s': look for it", name);
		if (r == 0)
			r = make(pool, name, fs, bytes, e);
		else
			return check_row(&ret->row, fs, bytes, e);
		if (r < 0)
			return r;
	}
	return kv_name_unstable(name, e);
}

void kv_template_release(struct kv_template *t)
{
	kv_lock_release(&t->lock);
}

void kv_template_lost(struct kvol_pool *pool, struct kv_template *t)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;

	kv_lock_release(&t->lock);
	if (kv_volume_try_lock(pool, t->row.id, &lock, &row) == 1 &&
	    !strcmp(row.name, t->row.name))
		(void)bury(pool, &row, NULL);
}

/* --- Ahead, and away -------------------------------------------------------------- */

/* NULL, if it may be any. */
static int find_fs(const char *fs_type, const struct kv_fs **ret, struct kvol_error *e)
{
	*ret = NULL;
	if (kv_str_empty(fs_type))
		return 0;
	*ret = kv_fs_find(fs_type);
	return *ret ? 0
		    : kv_error(e, -EINVAL, KVOL_R_UNSUPPORTED,
			       "template: unknown file system '%.32s'", fs_type);
}

int kvol_template_make(struct kvol_pool *pool, const char *fs_type, uint64_t bytes,
		       struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kv_template t = KV_TEMPLATE_NONE;
	const struct kv_fs *fs = NULL;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = find_fs(fs_type, &fs, reterr);
	if (r == 0 && !fs)
		r = kv_error_invalid(reterr, "template: which file system?");
	if (r == 0)
		r = kv_bytes_check("template", bytes, &bytes, reterr);
	if (r == 0)
		r = kv_fs_fits(fs, "template", bytes, reterr);
	if (r == 0)
		r = kv_template_take(pool, fs, bytes, &t, reterr);
	kv_template_release(&t);
	return r == 1 ? kv_no_mkfs(fs, "template", fs->name, reterr) : r;
}

/* One that is asked for goes; -EBUSY: a clone is made of it just now, for too long. */
static int delete_one(struct kvol_pool *pool, uint32_t id, const struct kv_fs *fs,
		      uint64_t bytes, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;
	int r;

	r = kv_lock_volume(pool, id, kv_deadline(KV_LOCK_WAIT_MS), &lock);
	if (r < 0)
		return kv_error_errno(e, r, "template %" PRIu32 ": wait for its users", id);
	r = kv_catalogue_get(pool->cat, id, &row);
	if (r < 0)
		return r == -ENOENT ? 0
				    : kv_error_errno(e, r, "template %" PRIu32 ": look it up",
						     id);
	if (row.kind != KVOL_KIND_TEMPLATE || (bytes && row.bytes != bytes) ||
	    (fs && strcmp(row.fs_type, fs->name)))
		return 0;
	return bury(pool, &row, e);
}

int kvol_template_delete(struct kvol_pool *pool, const char *fs_type, uint64_t bytes,
			 struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	const struct kv_fs *fs = NULL;
	uint32_t ids[TEMPLATES_MAX], from = 0;
	int n, r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = find_fs(fs_type, &fs, reterr);
	if (r == 0 && bytes)
		r = kv_bytes_check("template", bytes, &bytes, reterr);
	if (r == 0)
		r = kv_pool_admit(pool, false, reterr);
	if (r < 0)
		return r;
	while ((n = kv_catalogue_templates(pool->cat, from, ids, KV_ARRAY_SIZE(ids))) > 0) {
		for (int i = 0; i < n && r == 0; i++)
			r = delete_one(pool, ids[i], fs, bytes, reterr);
		if (r < 0)
			return r;
		from = ids[n - 1] + 1;
	}
	return n < 0 ? kv_error_errno(reterr, n, "pool '%s': list its templates",
				      pool->conf.name)
		     : 0;
}
