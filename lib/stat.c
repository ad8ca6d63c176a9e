// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Telling about volumes: the catalogue's row, and what the kernel and the run directory
 * say beside it.
 *
 * Nothing is locked and nothing changed: a volume that another call is changing is shown
 * as before or after. A listing reads from one snapshot of the catalogue; what is not in
 * the catalogue (the device, the publishes, the space) is as of the moment when the item
 * is handed out.
 *
 * The space is the only thing that is read from the thin pool. Where that has failed, or
 * its metadata cannot be read, everything else is told all the same: what is on a disk
 * that fails is never of more interest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blockdev.h"
#include "verb.h"

struct kvol_iter {
	struct kvol_pool *pool; /* a call on it, for as long as the iterator is there */
	struct kv_cursor *cursor;
	struct kv_row row; /* the next item, if `ready` */
	bool ready;
};

static int add_publish(const struct kv_publication *p, void *arg)
{
	struct kvol_info *info = arg;

	if (info->n_targets++ == 0)
		info->access = p->access;
	else if (info->access != p->access)
		info->access = KVOL_ACCESS_ANY;
	return 0;
}

static int fill(struct kvol_pool *pool, const struct kv_row *row, struct kvol_info *info)
{
	struct kv_dm_info dm;
	int r;

	memset(info, 0, sizeof(*info));
	info->bytes = row->bytes;
	info->created = row->created;
	info->kind = row->kind;
	(void)kv_strcpy(info->name, sizeof(info->name), row->name);
	(void)kv_strcpy(info->source, sizeof(info->source), row->source);
	(void)kv_strcpy(info->fs_type, sizeof(info->fs_type), row->fs_type);
	(void)kv_strcpy(info->uuid, sizeof(info->uuid), row->uuid);

	info->flags = (row->flags & KV_ROW_ENCRYPTED ? KVOL_INFO_ENCRYPTED : 0) |
		      (row->flags & KV_ROW_THICK ? KVOL_INFO_THICK : 0) |
		      (row->flags & KV_ROW_EPHEMERAL ? KVOL_INFO_EPHEMERAL : 0);
	r = kv_volume_top(pool, row, &dm);
	if (r == 0) {
		info->dev_major = major(dm.dev);
		info->dev_minor = minor(dm.dev);
		r = kv_blockdev_path(dm.dev, info->device);
	}
	/* Inactive, or /dev has no node for it. */
	if (r < 0 && r != -ENXIO && r != -ENODEV && r != -ENOENT)
		return r;
	r = kv_publication_each(pool->dir_fd, row->id, add_publish, info);
	if (r < 0)
		return r;
	r = kv_device_allocated(pool, row->id, &info->allocated);
	/* Between the catalogue's word and the pool's: deleted since, or just being made.
	 */
	if (r == -ENODATA || r == -EAGAIN || r == -EIO || r == -EUCLEAN)
		return 0;
	return r;
}

int kvol_stat(struct kvol_pool *pool, const char *name, struct kvol_info *ret_info,
	      struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_info info;
	struct kv_row row;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0)
		r = kv_info_check(ret_info, "kvol_info", reterr);
	if (r < 0)
		return r;
	r = kv_volume_find(pool, name, "volume", &row, reterr);
	if (r < 0)
		return r;
	r = fill(pool, &row, &info);
	if (r < 0)
		return kv_error_errno(reterr, r, "volume '%s': look at its device", name);
	kv_info_out(ret_info, &info, sizeof(info));
	return 0;
}

/* What both ways of listing begin with: the flags are those of the one named `what`. */
static int check_list(const char *what, uint32_t flags, struct kvol_iter **ret_iter,
		      struct kvol_error *e)
{
	const uint32_t known = KVOL_LIST_VOLUMES | KVOL_LIST_SNAPSHOTS | KVOL_LIST_TEMPLATES;

	if (!ret_iter)
		return kv_error_invalid(e, "%s: ret_iter is NULL", what);
	if (flags & ~known)
		return kv_error_invalid(e, "%s: unknown flags 0x%x", what, flags & ~known);
	if ((flags & KVOL_LIST_TEMPLATES) && flags != KVOL_LIST_TEMPLATES)
		return kv_error_invalid(e, "%s: templates and something else", what);
	return 0;
}

/* Takes over *call when it succeeds. */
static int list(struct kvol_pool **call, uint32_t flags, struct kv_filter *filter,
		struct kvol_iter **ret_iter, struct kvol_error *e)
{
	struct kvol_pool *pool = *call;
	struct kvol_iter *iter;
	int r;

	if (flags == KVOL_LIST_VOLUMES)
		filter->kind = KVOL_KIND_VOLUME;
	else if (flags == KVOL_LIST_SNAPSHOTS)
		filter->kind = KVOL_KIND_SNAPSHOT;
	else if (flags == KVOL_LIST_TEMPLATES)
		filter->kind = KVOL_KIND_TEMPLATE;
	iter = calloc(1, sizeof(*iter));
	r = iter ? kv_cursor_open_filtered(pool->cat, filter, &iter->cursor) : -ENOMEM;
	if (r < 0) {
		free(iter);
		return kv_error_errno(e, r, "pool '%s': list the catalogue",
				      pool->conf.name);
	}
	iter->pool = pool;
	*call = NULL;
	*ret_iter = iter;
	return 0;
}

int kvol_list(struct kvol_pool *pool, uint32_t flags, struct kvol_iter **ret_iter,
	      struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kv_filter filter = { 0 };
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = check_list("kvol_list", flags, ret_iter, reterr);
	return r < 0 ? r : list(&call, flags, &filter, ret_iter, reterr);
}

static int check_filter(const struct kv_filter *f, struct kvol_error *e)
{
	int r = 0;

	if (f->label_key && !kv_label_key_valid(f->label_key))
		return kv_error_invalid(e, "kvol_list_opts: '%.64s' can be no label's key",
					f->label_key);
	if (f->label_value &&
	    (!f->label_key || !kv_label_value_valid(f->label_value)))
		return kv_error_invalid(e, "kvol_list_opts: %s",
					f->label_key ? "that can be no label's value"
						     : "a label's value without its key");
	if (f->source)
		r = kv_volume_name_check(f->source, "source", e);
	if (r == 0 && f->after)
		r = kv_volume_name_check(f->after, "volume", e);
	return r;
}

int kvol_list_filtered(struct kvol_pool *pool, const struct kvol_list_opts *opts,
		       struct kvol_iter **ret_iter, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kv_filter filter = { 0 };
	struct kvol_list_opts o;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_opts_in(&o, sizeof(o), sizeof(o), opts,
			       KVOL_LIST_VOLUMES | KVOL_LIST_SNAPSHOTS |
				       KVOL_LIST_TEMPLATES,
			       "kvol_list_opts", reterr);
	if (r == 0)
		r = check_list("kvol_list_filtered", o.flags, ret_iter, reterr);
	if (r < 0)
		return r;
	filter.label_key = kv_str_empty(o.label_key) ? NULL : o.label_key;
	filter.label_value = o.label_value;
	filter.source = kv_str_empty(o.source) ? NULL : o.source;
	filter.after = kv_str_empty(o.after) ? NULL : o.after;
	filter.limit = o.limit;
	r = check_filter(&filter, reterr);
	return r < 0 ? r : list(&call, o.flags, &filter, ret_iter, reterr);
}

int kvol_iter_next(struct kvol_iter *iter, struct kvol_info *ret_info)
{
	struct kvol_info info;
	int r;

	if (!iter)
		return -EINVAL;
	if (iter->pool->pid != getpid())
		return -ECHILD;
	(void)kv_unfinished_settle(iter->pool);
	r = kv_info_check(ret_info, "kvol_info", NULL);
	if (r < 0)
		return r;
	/* An item that could not be told all about is the next one again. */
	if (!iter->ready) {
		r = kv_cursor_next(iter->cursor, &iter->row);
		if (r != 1)
			return r;
		iter->ready = true;
	}
	r = fill(iter->pool, &iter->row, &info);
	if (r < 0)
		return r;
	iter->ready = false;
	kv_info_out(ret_info, &info, sizeof(info));
	return 1;
}

void kvol_iter_free(struct kvol_iter *iter)
{
	if (!iter)
		return;
	/* In a forked child the connection is the parent's. */
	if (iter->pool->pid == getpid()) {
		kv_cursor_close(iter->cursor);
		kv_pool_leave(&iter->pool);
	}
	free(iter);
}
