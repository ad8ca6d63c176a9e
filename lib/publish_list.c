// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Listing publishes: the records of the run directory, under their volumes' names.
 *
 * Nothing is locked, and no mount is looked at: a publish that is on its way may be told
 * of or not, and one that somebody unmounted by hand is, until the next call on its
 * volume drops the record. All is read at the call, so that an iterator needs neither
 * pool nor run directory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "verb.h"

struct item {
	uint32_t flags;
	dev_t dev; /* 0: none */
	char *volume, *target, *ns_path;
	struct kv_labels labels;
};

struct kvol_publish_iter {
	struct item *items;
	size_t n, allocated, next;
};

/* One volume's records on their way into the iterator. */
struct reading {
	struct kvol_pool *pool;
	struct kvol_publish_iter *iter;
	struct kv_row row;
};

static void free_item(struct item *item)
{
	free(item->volume);
	free(item->target);
	free(item->ns_path);
	kv_labels_clear(&item->labels);
}

static int copy_labels(const struct kv_publication *p, struct kv_labels *ret)
{
	if (!p->labels_size)
		return 0;
	ret->text = malloc(p->labels_size);
	if (!ret->text)
		return -ENOMEM;
	memcpy(ret->text, p->labels, p->labels_size);
	ret->size = p->labels_size;
	return kv_labels_finish(ret);
}

/* A number may be another device's by now, if the volume is not active any more: what a
 * container is given must be one of the volume's own. 0: it has none. */
static int find_device(struct kvol_pool *pool, const struct kv_row *row,
		       const struct kv_publication *p, dev_t *ret)
{
	struct kv_dm_info info;
	int r;

	*ret = 0;
	if (p->damaged[0])
		return 0;
	if (!(p->flags & KVOL_PUBLISH_BLOCK)) {
		r = kv_volume_top(pool, row, &info);
		if (r == 0)
			*ret = info.dev;
		return r == -ENXIO ? 0 : r;
	}
	for (enum kv_face face = 0; face < KV_FACES; face++) {
		r = kv_device_info(pool, row->id, face, &info);
		if (r < 0 && r != -ENXIO)
			return r;
		if (r == 0 && info.dev == p->dev)
			*ret = info.dev;
	}
	return 0;
}

static int make_item(const struct kv_publication *p, const struct reading *x,
		     struct item *ret)
{
	struct item item = { .flags = p->flags };
	int r = -ENOMEM;

	item.volume = strdup(x->row.name);
	item.target = strdup(p->target);
	item.ns_path = strdup(p->ns_path);
	if (item.volume && item.target && item.ns_path)
		r = copy_labels(p, &item.labels);
	if (r == 0)
		r = find_device(x->pool, &x->row, p, &item.dev);
	if (r < 0)
		free_item(&item);
	else
		*ret = item;
	return r;
}

static int take_one(const struct kv_publication *p, void *arg)
{
	const struct reading *x = arg;
	struct kvol_publish_iter *iter = x->iter;
	struct item *items;
	size_t room;
	int r;

	if (iter->n == iter->allocated) {
		room = iter->allocated ? 2 * iter->allocated : 16;
		items = realloc(iter->items, room * sizeof(*items));
		if (!items)
			return -ENOMEM;
		iter->items = items;
		iter->allocated = room;
	}
	r = make_item(p, x, &iter->items[iter->n]);
	iter->n += r == 0;
	return r;
}

static int take_volume(uint32_t volume, void *arg)
{
	struct reading *x = arg;
	int r;

	r = kv_catalogue_get(x->pool->cat, volume, &x->row);
	if (r == -ENOENT) /* deleted since */
		return 0;
	return r < 0 ? r : kv_publication_each(x->pool->dir_fd, volume, take_one, x);
}

static int compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	int c = strcmp(x->volume, y->volume);

	if (!c)
		c = strcmp(x->target, y->target);
	return c ? c : strcmp(x->ns_path, y->ns_path);
}

static int read_all(struct kvol_pool *pool, const char *name,
		    struct kvol_publish_iter *iter, struct kvol_error *e)
{
	struct reading x = { .pool = pool, .iter = iter };
	int r;

	if (!name) {
		r = kv_publication_volumes(pool->dir_fd, take_volume, &x);
		return r < 0 ? kv_error_errno(e, r, "pool '%s': look for its publishes",
					      pool->conf.name)
			     : 0;
	}
	r = kv_volume_find(pool, name, "volume", &x.row, e);
	if (r < 0)
		return r;
	r = kv_publication_each(pool->dir_fd, x.row.id, take_one, &x);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': look for its publishes", name)
		     : 0;
}

int kvol_publish_list(struct kvol_pool *pool, const char *name,
		      struct kvol_publish_iter **ret_iter, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_publish_iter *iter;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0 && name)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r < 0)
		return r;
	if (!ret_iter)
		return kv_error_invalid(reterr, "kvol_publish_list: ret_iter is NULL");
	iter = calloc(1, sizeof(*iter));
	if (!iter)
		return kv_error_errno(reterr, -ENOMEM, "pool '%s'", pool->conf.name);
	r = read_all(pool, name, iter, reterr);
	if (r < 0) {
		kvol_publish_iter_free(iter);
		return r;
	}
	if (iter->n)
		qsort(iter->items, iter->n, sizeof(*iter->items), compare);
	*ret_iter = iter;
	return 0;
}

int kvol_publish_iter_next(struct kvol_publish_iter *iter,
			   struct kvol_publish_info *ret_info)
{
	struct kvol_publish_info info = { 0 };
	const struct item *item;
	int r;

	if (!iter)
		return -EINVAL;
	r = kv_info_check(ret_info, "kvol_publish_info", NULL);
	if (r < 0)
		return r;
	if (iter->next == iter->n)
		return 0;
	item = &iter->items[iter->next++];
	info.flags = item->flags;
	info.volume = item->volume;
	info.target = item->target;
	info.mount_namespace = item->ns_path;
	info.labels = item->labels.of;
	info.n_labels = item->labels.n;
	info.dev_major = major(item->dev);
	info.dev_minor = minor(item->dev);
	kv_info_out(ret_info, &info, sizeof(info));
	return 1;
}

void kvol_publish_iter_free(struct kvol_publish_iter *iter)
{
	if (!iter)
		return;
	for (size_t i = 0; i < iter->n; i++)
		free_item(&iter->items[i]);
	free(iter->items);
	free(iter);
}
