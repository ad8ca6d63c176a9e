// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Labels of pools, volumes and snapshots: set, get, list.
 *
 * They live in the catalogue alone. No volume is locked for them: whom a name means, and
 * what is set on it, is one transaction, and nothing else of a volume depends on it. A
 * listing is read at once, and then needs the pool no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verb.h"

struct kvol_label_iter {
	struct kv_labels labels;
	uint64_t next;
};

/* Whose labels they are, for messages. */
static const char *object_of(const struct kvol_pool *pool, const char *name)
{
	return name ? name : pool->conf.name;
}

int kv_label_error(int r, const char *object, struct kvol_error *e)
{
	if (r == -EDQUOT)
		return kv_error(e, -ENOSPC, KVOL_R_LIMIT, "'%.64s': more than %u labels",
				object, KVOL_LABELS_MAX);
	if (r == -EFBIG)
		return kv_error(e, -ENOSPC, KVOL_R_LIMIT,
				"'%.64s': the catalogue has no room for more labels",
				object);
	return kv_error_errno(e, r, "'%s': commit to the catalogue", object);
}

int kv_insert_error(const struct kvol_pool *pool, int r, const char *name,
		    struct kvol_error *e)
{
	return r == -EDQUOT ? kv_limit_error(pool, name, e) : kv_label_error(r, name, e);
}

static int check_name(const char *name, struct kvol_error *e)
{
	return name ? kv_volume_name_check(name, "volume", e) : 0;
}

int kvol_label_set(struct kvol_pool *pool, const char *name,
		   const struct kvol_label *labels, uint64_t n_labels,
		   struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = check_name(name, reterr);
	if (r == 0)
		r = kv_labels_check(labels, n_labels, true, object_of(pool, name),
				    reterr);
	if (r == 0)
		r = kv_pool_admit(pool, false, reterr);
	if (r < 0)
		return r;
	r = kv_catalogue_label(pool->cat, name, labels, n_labels);
	if (r == -ENOENT)
		return kv_volume_none(pool, name, "volume", reterr);
	return r < 0 ? kv_label_error(r, object_of(pool, name), reterr) : 0;
}

static int read_labels(struct kvol_pool *pool, const char *name, struct kv_labels *ret,
		       struct kvol_error *e)
{
	int r = kv_catalogue_labels(pool->cat, name, ret);

	if (r == -ENOENT)
		return kv_volume_none(pool, name, "volume", e);
	return r < 0 ? kv_error_errno(e, r, "'%s': read its labels from the catalogue",
				      object_of(pool, name))
		     : 0;
}

int kvol_label_get(struct kvol_pool *pool, const char *name, const char *key,
		   char *ret_value, uint64_t size, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_labels_ struct kv_labels labels = { 0 };
	const char *value = NULL;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = check_name(name, reterr);
	if (r < 0)
		return r;
	if (!key || !kv_label_key_valid(key) || !ret_value)
		return kv_error_invalid(reterr, "kvol_label_get: %s",
					ret_value ? "that can be no key"
						  : "ret_value is NULL");
	r = read_labels(pool, name, &labels, reterr);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < labels.n && !value; i++)
		if (!strcmp(labels.of[i].key, key))
			value = labels.of[i].value;
	if (!value)
		return kv_error(reterr, -ENOENT, KVOL_R_NOT_FOUND,
				"'%.64s': it has no label '%.64s'", object_of(pool, name),
				key);
	if (strlen(value) >= size)
		return kv_error(reterr, -ERANGE, KVOL_R_INVALID,
				"'%.64s': label '%.64s' does not fit: %zu bytes are needed",
				object_of(pool, name), key, strlen(value) + 1);
	memcpy(ret_value, value, strlen(value) + 1);
	return 0;
}

int kvol_label_list(struct kvol_pool *pool, const char *name,
		    struct kvol_label_iter **ret_iter, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_label_iter *iter;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = check_name(name, reterr);
	if (r < 0)
		return r;
	if (!ret_iter)
		return kv_error_invalid(reterr, "kvol_label_list: ret_iter is NULL");
	iter = calloc(1, sizeof(*iter));
	if (!iter)
		return kv_error_errno(reterr, -ENOMEM, "'%s'", object_of(pool, name));
	r = read_labels(pool, name, &iter->labels, reterr);
	if (r < 0) {
		free(iter);
		return r;
	}
	*ret_iter = iter;
	return 0;
}

int kvol_label_iter_next(struct kvol_label_iter *iter, struct kvol_label *ret_label)
{
	if (!iter || !ret_label)
		return -EINVAL;
	if (iter->next == iter->labels.n)
		return 0;
	*ret_label = iter->labels.of[iter->next++];
	return 1;
}

void kvol_label_iter_free(struct kvol_label_iter *iter)
{
	if (!iter)
		return;
	kv_labels_clear(&iter->labels);
	free(iter);
}
