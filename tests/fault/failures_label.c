/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Labels, the listings that tell of them, and the pool's policy, with each of their steps failing, on the
 * model.
 */

#include <sys/stat.h>

#include "failures.h"
#include "util.h"

#define ANY_OBJECT "'v'|'x'|'tank'|kvol_"

static const struct kvol_label two[] = { { "a", "1" }, { "kvol.io/b", "two" } };

/* --- Disks and boots -------------------------------------------------------------- */

static void labelled(struct fixture *f)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "ext4",
				      .labels = two,
				      .n_labels = 2 };

	succeeds(f, kvol_create(f->pool, "v", 512 * MIB, &o, &f->e));
	succeeds(f, kvol_create(f->pool, "w", 512 * MIB, NULL, &f->e));
	succeeds(f, kvol_label_set(f->pool, NULL, two, 2, &f->e));
	model_file("/v", S_IFDIR);
}

static void open_here(struct fixture *f)
{
	open_pool(f);
}

static int publish_labelled(struct fixture *f)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .labels = two, .n_labels = 2 };

	return kvol_publish(f->pool, "v", "/v", &o, &f->e);
}

static void published(struct fixture *f)
{
	open_pool(f);
	succeeds(f, publish_labelled(f));
}

static void labels_listed(struct fixture *f)
{
	open_pool(f);
	succeeds(f, kvol_label_list(f->pool, "v", &open_labels, &f->e));
}

static int set_policy(struct fixture *f, uint64_t percent)
{
	struct kvol_policy_opts o = { .size = sizeof(o),
				      .flags = KVOL_SET_OVERCOMMIT | KVOL_SET_MAX_PUBLISHED,
				      .overcommit = percent,
				      .max_published = 1 };

	return kvol_pool_set(f->pool, &o, &f->e);
}

static void with_policy(struct fixture *f)
{
	open_pool(f);
	succeeds(f, set_policy(f, 500));
}

static void at_its_limit(struct fixture *f)
{
	open_pool(f);
	succeeds(f, set_policy(f, 1));
}

static void publishes_listed(struct fixture *f)
{
	published(f);
	succeeds(f, kvol_publish_list(f->pool, NULL, &open_publishes, &f->e));
}

/* --- Calls ------------------------------------------------------------------------ */

static int call_set(struct fixture *f)
{
	static const struct kvol_label labels[] = { { "a", "2" },
						    { "kvol.io/b", NULL },
						    { "c", "" } };

	return kvol_label_set(f->pool, "v", labels, 3, &f->e);
}

static int call_set_pool(struct fixture *f)
{
	static const struct kvol_label labels[] = { { "a", NULL }, { "z", "26" } };

	return kvol_label_set(f->pool, NULL, labels, 2, &f->e);
}

static int call_set_same(struct fixture *f)
{
	return kvol_label_set(f->pool, "v", two, 2, &f->e);
}

static int call_set_none(struct fixture *f)
{
	return kvol_label_set(f->pool, "x", two, 2, &f->e);
}

static int call_get(struct fixture *f)
{
	char value[64];
	int r;

	memset(value, PATTERN, sizeof(value));
	r = kvol_label_get(f->pool, "v", "kvol.io/b", value, sizeof(value), &f->e);
	if (r < 0 && touched(value, sizeof(value)))
		flaw("the output is touched");
	if (r == 0 && strcmp(value, "two"))
		flaw("it gives '%s'", value);
	return r;
}

static int call_list(struct fixture *f)
{
	struct kvol_label_iter *iter;
	int r;

	memset(&iter, PATTERN, sizeof(iter));
	r = kvol_label_list(f->pool, "v", &iter, &f->e);
	if (r < 0 && touched(&iter, sizeof(iter)))
		flaw("the output is touched");
	if (r == 0)
		kvol_label_iter_free(iter);
	return r;
}

static int call_next(struct fixture *f)
{
	struct kvol_label label;
	unsigned n = 0;

	(void)f;
	while (kvol_label_iter_next(open_labels, &label) == 1)
		if (n++ < 2 && strcmp(label.value, two[n - 1].value))
			flaw("label %u is %s=%s", n, label.key, label.value);
	if (n != 2)
		flaw("it ends after %u", n);
	return 0;
}

static int call_free(struct fixture *f)
{
	(void)f;
	kvol_label_iter_free(open_labels);
	open_labels = NULL;
	return 0;
}

static int call_filtered(struct fixture *f)
{
	struct kvol_list_opts o = { .size = sizeof(o), .label_key = "a", .limit = 1 };
	struct kvol_iter *iter;
	int r;

	memset(&iter, PATTERN, sizeof(iter));
	r = kvol_list_filtered(f->pool, &o, &iter, &f->e);
	if (r < 0 && touched(&iter, sizeof(iter)))
		flaw("the output is touched");
	if (r == 0)
		kvol_iter_free(iter);
	return r;
}

static int call_create(struct fixture *f)
{
	struct kvol_create_opts o = { .size = sizeof(o), .labels = two, .n_labels = 2 };

	return kvol_create(f->pool, "x", 64 * MIB, &o, &f->e);
}

static int call_snapshot(struct fixture *f)
{
	struct kvol_snapshot_opts o = { .size = sizeof(o), .labels = two, .n_labels = 2 };

	return kvol_snapshot(f->pool, "v", "x", &o, &f->e);
}

static int call_delete(struct fixture *f)
{
	return kvol_delete(f->pool, "v", 0, &f->e);
}

static int call_set_policy(struct fixture *f)
{
	return set_policy(f, 200);
}

static int publishes(struct fixture *f, const char *name)
{
	struct kvol_publish_info info = { .size = sizeof(info) };
	struct kvol_publish_iter *iter;
	int r;

	memset(&iter, PATTERN, sizeof(iter));
	r = kvol_publish_list(f->pool, name, &iter, &f->e);
	if (r < 0 && touched(&iter, sizeof(iter)))
		flaw("the output is touched");
	if (r < 0)
		return r;
	if (kvol_publish_iter_next(iter, &info) != 1 || strcmp(info.target, "/v") ||
	    info.n_labels != 2 || strcmp(info.labels[1].value, "two"))
		flaw("it tells something else");
	kvol_publish_iter_free(iter);
	return 0;
}

static int call_publishes(struct fixture *f)
{
	return publishes(f, NULL);
}

static int call_publishes_of(struct fixture *f)
{
	return publishes(f, "v");
}

static int call_publishes_next(struct fixture *f)
{
	struct kvol_publish_info info = { .size = sizeof(info) };
	unsigned n = 0;

	(void)f;
	while (kvol_publish_iter_next(open_publishes, &info) == 1)
		n++;
	if (n != 1)
		flaw("it ends after %u", n);
	return 0;
}

static int call_publishes_free(struct fixture *f)
{
	(void)f;
	kvol_publish_iter_free(open_publishes);
	open_publishes = NULL;
	return 0;
}

static const struct scenario scenarios[] = {
	{ "label_set", "kvol_label_set", ANY_OBJECT, labelled, open_here,
	  .call = call_set },
	{ "label_set of the pool", "kvol_label_set", ANY_OBJECT, labelled, open_here,
	  .call = call_set_pool },
	{ "label_set again", "kvol_label_set", ANY_OBJECT, labelled, open_here,
	  .call = call_set_same },
	{ "label_set of nothing", "kvol_label_set", ANY_OBJECT, labelled, open_here,
	  .call = call_set_none, .result = -ENOENT },
	{ "label_get", "kvol_label_get", ANY_OBJECT, labelled, open_here,
	  .call = call_get },
	{ "label_list", "kvol_label_list", ANY_OBJECT, labelled, open_here,
	  .call = call_list },
	{ "label_iter_next", "kvol_label_iter_next", "", labelled, labels_listed,
	  .call = call_next, .silent = true, .no_repeat = true, .cannot_fail = true },
	{ "label_iter_free", "kvol_label_iter_free", "", labelled, labels_listed,
	  .call = call_free, .silent = true, .no_repeat = true, .cannot_fail = true },
	{ "list_filtered", "kvol_list_filtered", ANY_OBJECT, labelled, open_here,
	  .call = call_filtered },
	{ "create with labels", "kvol_create", ANY_OBJECT, labelled, open_here,
	  .call = call_create },
	{ "snapshot with labels", "kvol_snapshot", ANY_OBJECT, labelled, open_here,
	  .call = call_snapshot },
	{ "pool_set", "kvol_pool_set", ANY_OBJECT, labelled, open_here,
	  .call = call_set_policy },
	{ "pool_set again", "kvol_pool_set", ANY_OBJECT, labelled, with_policy,
	  .call = call_set_policy },
	{ "create under a policy", "kvol_create", ANY_OBJECT, labelled, with_policy,
	  .call = call_create },
	{ "create beyond a policy", "kvol_create", ANY_OBJECT, labelled, at_its_limit,
	  .call = call_create, .result = -ENOSPC },
	{ "publish under a policy", "kvol_publish", ANY_OBJECT "|target '|mount namespace '", labelled,
	  with_policy, .call = publish_labelled },
	{ "delete with labels", "kvol_delete", ANY_OBJECT, labelled, open_here,
	  .call = call_delete },
	{ "publish with labels", "kvol_publish", ANY_OBJECT "|target '|mount namespace '", labelled,
	  open_here, .call = publish_labelled },
	{ "publish_list", "kvol_publish_list", ANY_OBJECT, labelled, published,
	  .call = call_publishes },
	{ "publish_list of one", "kvol_publish_list", ANY_OBJECT, labelled, published,
	  .call = call_publishes_of },
	{ "publish_iter_next", "kvol_publish_iter_next", "", labelled, publishes_listed,
	  .call = call_publishes_next, .silent = true, .no_repeat = true,
	  .cannot_fail = true },
	{ "publish_iter_free", "kvol_publish_iter_free", "", labelled, publishes_listed,
	  .call = call_publishes_free, .silent = true, .no_repeat = true,
	  .cannot_fail = true },
};

const struct group label_failures = { "failures of labels", scenarios,
				      KV_ARRAY_SIZE(scenarios) };
