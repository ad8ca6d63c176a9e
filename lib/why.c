// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who holds a volume: what /proc and /sys tell (holders.c), put beside the records of its
 * publishes. All is collected at once, into a list of bounded length; nothing is locked,
 * nothing of the volume is touched, and the pool may be closed before the list is freed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "holders.h"
#include "verb.h"

#define PUBLISHES_MAX 1024
#define WHY_MS	      10000

/* A publish, and whether its mount was met. */
struct known {
	uint64_t mnt_id;
	bool met;
	char target[256], ns_path[256];
};

struct kvol_why_iter {
	struct kvol_why_info *items;
	size_t n_items, next;
	int end; /* what comes after the last item: 0, or why that is not all */
	struct known *known;
	size_t n_known;
};

static int add_item(struct kvol_why_iter *iter, const struct kvol_why_info *item)
{
	struct kvol_why_info *items;

	if (iter->n_items == KV_HOLDERS_MAX)
		return -E2BIG;
	items = reallocarray(iter->items, iter->n_items + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	iter->items = items;
	items[iter->n_items++] = *item;
	return 0;
}

static int add_known(const struct kv_publication *p, void *arg)
{
	struct kvol_why_iter *iter = arg;
	struct known *k;

	if (iter->n_known == PUBLISHES_MAX)
		return 0;
	if (p->damaged[0]) /* of its mount nothing is known */
		return 0;
	k = &iter->known[iter->n_known++];
	k->mnt_id = p->mnt_id;
	k->met = false;
	kv_str_line(k->target, sizeof(k->target), p->target);
	kv_str_line(k->ns_path, sizeof(k->ns_path), p->ns_path);
	return 0;
}

static int add_holder(const struct kv_holder *h, void *arg)
{
	struct kvol_why_iter *iter = arg;
	struct kvol_why_info item = {
		.kind = h->kind,
		.how = h->how,
		.pid = h->pid,
		.uid = h->uid,
		.mount_namespace = h->ns,
	};

	kv_str_line(item.what, sizeof(item.what), h->what);
	kv_str_line(item.target, sizeof(item.target), h->target);
	for (size_t i = 0; h->mnt_id && i < iter->n_known; i++)
		if (iter->known[i].mnt_id == h->mnt_id) {
			iter->known[i].met = true;
			item.flags |= KVOL_WHY_PUBLISHED;
		}
	return add_item(iter, &item);
}

/* In a namespace that no process is in, or that has other mounts of the volume. */
static int add_unmet(struct kvol_why_iter *iter)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < iter->n_known; i++) {
		struct kvol_why_info item = { .kind = KVOL_WHY_MOUNT,
					      .flags = KVOL_WHY_PUBLISHED };

		if (iter->known[i].met)
			continue;
		memcpy(item.what, iter->known[i].ns_path, sizeof(item.what));
		memcpy(item.target, iter->known[i].target, sizeof(item.target));
		r = add_item(iter, &item);
	}
	return r;
}

static int collect(struct kvol_pool *pool, uint32_t id, struct kvol_why_iter *iter)
{
	struct kv_holders_query q = { .deadline_ms = kv_deadline(WHY_MS) };
	_cleanup_free_ uint64_t *mnt_ids = calloc(PUBLISHES_MAX, sizeof(*mnt_ids));
	struct kv_dm_info info;
	int r;

	iter->known = calloc(PUBLISHES_MAX, sizeof(*iter->known));
	if (!iter->known || !mnt_ids)
		return -ENOMEM;
	_Static_assert(KV_FACES <= KV_HOLDERS_DEVS, "room for each");
	for (enum kv_face face = 0; face < KV_FACES; face++) {
		r = kv_device_info(pool, id, face, &info);
		if (r == -ENXIO && face == KV_FACE_THIN)
			return 0; /* inactive: there is nothing to hold */
		if (r < 0 && r != -ENXIO)
			return r;
		q.devs[face] = r == 0 ? info.dev : 0;
	}
	r = kv_publication_each(pool->dir_fd, id, add_known, iter);
	if (r < 0)
		return r;
	for (size_t i = 0; i < iter->n_known; i++)
		mnt_ids[i] = iter->known[i].mnt_id;
	q.mnt_ids = mnt_ids;
	q.n_mnt_ids = iter->n_known;
	r = kv_holders_each(&q, add_holder, iter);
	if (r == 0)
		r = add_unmet(iter);
	if (r != -ETIMEDOUT && r != -E2BIG)
		return r;
	iter->end = r;
	return 0;
}

int kvol_why(struct kvol_pool *pool, const char *name, uint32_t flags,
	     struct kvol_why_iter **ret_iter, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_why_iter *iter;
	struct kv_row row;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r < 0)
		return r;
	if (!ret_iter)
		return kv_error_invalid(reterr, "kvol_why: ret_iter is NULL");
	if (flags)
		return kv_error_invalid(reterr, "kvol_why: unknown flags 0x%x", flags);
	r = kv_volume_find(pool, name, "volume", &row, reterr);
	if (r < 0)
		return r;
	iter = calloc(1, sizeof(*iter));
	r = iter ? collect(pool, row.id, iter) : -ENOMEM;
	if (r < 0) {
		kvol_why_free(iter);
		return kv_error_errno(reterr, r, "volume '%s': look for its holders",
				      name);
	}
	*ret_iter = iter;
	return 0;
}

int kvol_why_next(struct kvol_why_iter *iter, struct kvol_why_info *ret_info)
{
	int r;

	if (!iter)
		return -EINVAL;
	r = kv_info_check(ret_info, "kvol_why_info", NULL);
	if (r < 0)
		return r;
	if (iter->next == iter->n_items)
		return iter->end;
	kv_info_out(ret_info, &iter->items[iter->next++], sizeof(*iter->items));
	return 1;
}

void kvol_why_free(struct kvol_why_iter *iter)
{
	if (!iter)
		return;
	free(iter->items);
	free(iter->known);
	free(iter);
}
