/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The verbs on volumes with each of their steps failing, on the model: create, snapshot,
 * clone, expand, delete, stat, list.
 */

#include <sys/stat.h>

#include "failures.h"
#include "util.h"

#define ANY_VOLUME "'v'|'x'|'raw'|'s'|'tank'"
#define ANY_PUBLISH ANY_VOLUME "|target '|mount namespace '"
#define GROWN	   (600 * MIB)

/* --- Disks and boots -------------------------------------------------------------- */

static void empty_pool(struct fixture *f)
{
	(void)f;
}

static void one_of_each(struct fixture *f)
{
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "b", "btrfs"));
	succeeds(f, kvol_create(f->pool, "raw", 64 * MIB, NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	model_file("/v", S_IFDIR);
	model_file("/v.img", S_IFREG);
	model_file("/raw.img", S_IFREG);
}

static void with_template(struct fixture *f)
{
	model->mkfs_bytes = 4096;
	succeeds(f, kvol_template_make(f->pool, "ext4", 512 * MIB, &f->e));
	model_file("/x", S_IFDIR);
}

/* So it is copied, not cloned. */
static void with_few_snapshots_left(struct fixture *f)
{
	with_template(f);
	close_pool(f);
	doctor(f, "UPDATE pool SET snapshots = (1 << 24) - (1 << 16) - 1000");
	open_pool(f);
}

/* Never mounted: it has its template's identity yet. */
static void with_a_clone(struct fixture *f)
{
	with_template(f);
	succeeds(f, create_volume(f, "x", "ext4"));
}

/* An expand that stopped half-way. */
static void half_grown(struct fixture *f)
{
	one_of_each(f);
	model_fail("fs grow", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", GROWN, 0, &f->e), -EIO, KVOL_R_IO);
}

static void open_here(struct fixture *f)
{
	open_pool(f);
}

/* The handle has ids in hand: nothing is to be reserved. */
static void ids_in_hand(struct fixture *f)
{
	open_pool(f);
	succeeds(f, kvol_create(f->pool, "other", MIB, NULL, &f->e));
}

static void published(struct fixture *f)
{
	open_pool(f);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
}

static void published_as_block(struct fixture *f)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };

	open_pool(f);
	succeeds(f, kvol_publish(f->pool, "v", "/v.img", &o, &f->e));
	succeeds(f, kvol_publish(f->pool, "raw", "/raw.img", &o, &f->e));
}

/* Unmounted behind our back: the device is active, and a record without a mount. */
static void unmounted(struct fixture *f)
{
	published(f);
	model_umount(NULL, "/v");
}

/* So many deletes that the next commit drops their tombstones. */
static void many_deleted(struct fixture *f)
{
	char name[16];

	open_pool(f);
	for (int i = 0; i < 16; i++) {
		(void)snprintf(name, sizeof(name), "d%d", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
		succeeds(f, kvol_delete(f->pool, name, 0, &f->e));
	}
}

static void listing(struct fixture *f)
{
	published(f);
	succeeds(f, kvol_list(f->pool, 0, &open_iter, &f->e));
}

/* --- Calls ------------------------------------------------------------------------ */

static int call_create_raw(struct fixture *f)
{
	return kvol_create(f->pool, "x", 64 * MIB, NULL, &f->e);
}

static int call_create_ext4(struct fixture *f)
{
	return create_volume(f, "x", "ext4");
}

static int call_template_make(struct fixture *f)
{
	return kvol_template_make(f->pool, "ext4", 256 * MIB, &f->e);
}

static int call_template_delete(struct fixture *f)
{
	return kvol_template_delete(f->pool, "ext4", 0, &f->e);
}

static int call_publish_clone(struct fixture *f)
{
	return kvol_publish(f->pool, "x", "/x", NULL, &f->e);
}

static int call_create_btrfs(struct fixture *f)
{
	return create_volume(f, "x", "btrfs");
}

static int call_create_owned(struct fixture *f)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_OWNER | KVOL_CREATE_MODE,
				      .fs_type = "ext4",
				      .uid = 1000,
				      .gid = 2000,
				      .mode = 02770 };

	return kvol_create(f->pool, "x", 512 * MIB, &o, &f->e);
}

static int create_thick(struct fixture *f, const char *name, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_THICK,
				      .fs_type = fs };

	return kvol_create(f->pool, name, 128 * MIB, &o, &f->e);
}

static void one_thick(struct fixture *f)
{
	succeeds(f, create_thick(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
}

static int call_create_thick(struct fixture *f)
{
	return create_thick(f, "x", "ext4");
}

static int call_expand_thick(struct fixture *f)
{
	return kvol_expand(f->pool, "v", 160 * MIB, 0, &f->e);
}

static int call_publish_thick(struct fixture *f)
{
	return kvol_publish(f->pool, "v", "/v", NULL, &f->e);
}

static int call_create_again(struct fixture *f)
{
	return create_volume(f, "v", "ext4");
}

static int call_create_other(struct fixture *f)
{
	return create_volume(f, "v", "xfs");
}

static int call_snapshot(struct fixture *f)
{
	return kvol_snapshot(f->pool, "v", "x", NULL, &f->e);
}

static int call_snapshot_again(struct fixture *f)
{
	return kvol_snapshot(f->pool, "v", "s", NULL, &f->e);
}

static int call_snapshot_of_snapshot(struct fixture *f)
{
	return kvol_snapshot(f->pool, "s", "x", NULL, &f->e);
}

static int call_clone(struct fixture *f)
{
	return kvol_clone(f->pool, "s", "x", NULL, &f->e);
}

static int call_clone_larger(struct fixture *f)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = GROWN };

	return kvol_clone(f->pool, "v", "x", &o, &f->e);
}

static int call_clone_btrfs(struct fixture *f)
{
	return kvol_clone(f->pool, "b", "x", NULL, &f->e);
}

static int call_expand(struct fixture *f)
{
	return kvol_expand(f->pool, "v", GROWN, 0, &f->e);
}

static int call_expand_raw(struct fixture *f)
{
	return kvol_expand(f->pool, "raw", 128 * MIB, 0, &f->e);
}

static int call_expand_snapshot(struct fixture *f)
{
	return kvol_expand(f->pool, "s", GROWN, 0, &f->e);
}

static int call_delete(struct fixture *f)
{
	return kvol_delete(f->pool, "v", 0, &f->e);
}

static int call_delete_snapshot(struct fixture *f)
{
	return kvol_delete(f->pool, "s", 0, &f->e);
}

static int call_delete_none(struct fixture *f)
{
	return kvol_delete(f->pool, "x", 0, &f->e);
}

/* Of a volume and its snapshot, so that others are read. */
static int call_usage(struct fixture *f)
{
	struct kvol_usage_info info;
	int r;

	memset(&info, PATTERN, sizeof(info));
	info.size = sizeof(info);
	r = kvol_usage(f->pool, "v", &info, &f->e);
	if (r < 0 && touched(&info.flags, sizeof(info) - sizeof(info.size)))
		flaw("the output is touched");
	if (r == 0 && (info.flags || info.exclusive || !info.shared))
		flaw("it tells something else: %llu and %llu bytes",
		     (unsigned long long)info.exclusive, (unsigned long long)info.shared);
	return r;
}

static int stat_one(struct fixture *f, const char *name, uint64_t bytes, uint32_t targets)
{
	struct kvol_info info;
	int r;

	memset(&info, PATTERN, sizeof(info));
	info.size = sizeof(info);
	r = kvol_stat(f->pool, name, &info, &f->e);
	if (r < 0 && touched(&info.flags, sizeof(info) - sizeof(info.size)))
		flaw("the output is touched");
	if (r == 0 && (info.bytes != bytes || info.n_targets != targets || info.flags ||
		       strcmp(info.name, name) || !info.uuid[0] || !info.created ||
		       !info.device[0] != !targets))
		flaw("it tells something else: %s of %llu bytes, %u targets, device '%s'",
		     info.name, (unsigned long long)info.bytes, info.n_targets,
		     info.device);
	return r;
}

static int call_stat(struct fixture *f)
{
	return stat_one(f, "raw", 64 * MIB, 0);
}

static int call_stat_published(struct fixture *f)
{
	return stat_one(f, "v", 512 * MIB, 1);
}

static int call_volume_stat(struct fixture *f)
{
	struct kvol_volume_stats s;
	int r;

	memset(&s, PATTERN, sizeof(s));
	s.size = sizeof(s);
	r = kvol_volume_stat(f->pool, "v", &s, &f->e);
	if (r < 0 && touched(&s.flags, sizeof(s) - sizeof(s.size)))
		flaw("the output is touched");
	if (r == 0 && !(s.flags & KVOL_STATS_ACTIVE))
		flaw("it tells something else");
	return r;
}

static int call_stat_none(struct fixture *f)
{
	return stat_one(f, "x", 0, 0);
}

static int call_list(struct fixture *f)
{
	struct kvol_iter *iter;
	int r;

	memset(&iter, PATTERN, sizeof(iter));
	r = kvol_list(f->pool, KVOL_LIST_VOLUMES, &iter, &f->e);
	if (r < 0 && touched(&iter, sizeof(iter)))
		flaw("the output is touched");
	if (r == 0)
		kvol_iter_free(iter);
	return r;
}

/* After a failure it goes on where it was, or says once more that it cannot; then a new
 * listing can. */
static int call_iterate(struct fixture *f)
{
	static const char *const names[] = { "b", "raw", "s", "v" };
	static unsigned at;
	struct kvol_info info;
	int r;

	if (!open_iter) {
		r = kvol_list(f->pool, 0, &open_iter, NULL);
		if (r < 0)
			return r;
	}
	at = 0;
	do {
		memset(&info, PATTERN, sizeof(info));
		info.size = sizeof(info);
		r = kvol_iter_next(open_iter, &info);
		if (r <= 0 && touched(&info.flags, sizeof(info) - sizeof(info.size)))
			flaw("the output is touched");
		if (r == 1 && (at >= 4 || strcmp(info.name, names[at++])))
			flaw("item %u is %s", at, info.name);
	} while (r == 1);
	if (r == 0 && at != 4)
		flaw("it ends after %u", at);
	kvol_iter_free(open_iter);
	open_iter = NULL;
	return r;
}

static int call_iter_free(struct fixture *f)
{
	(void)f;
	kvol_iter_free(open_iter);
	open_iter = NULL;
	return 0;
}

static const struct scenario scenarios[] = {
	{ "create raw", "kvol_create", ANY_VOLUME, empty_pool, open_here,
	  .call = call_create_raw },
	{ "create raw with ids in hand", "kvol_create", ANY_VOLUME, empty_pool,
	  ids_in_hand, .call = call_create_raw },
	{ "create ext4", "kvol_create", ANY_VOLUME, empty_pool, open_here,
	  .call = call_create_ext4 },
	{ "create of a template", "kvol_create", ANY_VOLUME, with_template, open_here,
	  .call = call_create_ext4 },
	{ "create as a copy of a template", "kvol_create", ANY_VOLUME,
	  with_few_snapshots_left, open_here, .call = call_create_ext4,
	  .between = "message release_metadata_snap" },
	{ "create of a template with an owner", "kvol_create", ANY_VOLUME, with_template,
	  open_here, .call = call_create_owned },
	{ "publish for the first time", "kvol_publish", ANY_PUBLISH, with_a_clone, open_here,
	  .call = call_publish_clone, .between = "mount" },
	{ "make a template", "kvol_template_make", "'template|'tank'", with_template, open_here,
	  .call = call_template_make },
	{ "delete a template", "kvol_template_delete", "'template|template |'tank'",
	  with_template, open_here, .call = call_template_delete },
	{ "create btrfs", "kvol_create", ANY_VOLUME, one_of_each, ids_in_hand,
	  .call = call_create_btrfs },
	{ "create thick", "kvol_create", ANY_VOLUME, empty_pool, ids_in_hand,
	  .call = call_create_thick },
	{ "expand thick", "kvol_expand", ANY_VOLUME, one_thick, open_here,
	  .call = call_expand_thick, .between = "fs grow|commit#3", .idle_left = 2 },
	{ "expand a published thick", "kvol_expand", ANY_VOLUME, one_thick, published,
	  .call = call_expand_thick, .between = "fs grow|commit#3" },
	{ "publish thick", "kvol_publish", ANY_PUBLISH, one_thick, open_here,
	  .call = call_publish_thick, .between = "!target attach" },
	{ "create with an owner", "kvol_create", ANY_VOLUME, empty_pool, ids_in_hand,
	  .call = call_create_owned },
	{ "create again", "kvol_create", ANY_VOLUME, one_of_each, open_here,
	  .call = call_create_again },
	{ "create another", "kvol_create", ANY_VOLUME, one_of_each, open_here,
	  .call = call_create_other, .result = -EEXIST },
	{ "snapshot", "kvol_snapshot", ANY_VOLUME, one_of_each, open_here,
	  .call = call_snapshot },
	{ "snapshot of a published", "kvol_snapshot", ANY_VOLUME, one_of_each, published,
	  .call = call_snapshot },
	{ "snapshot of a block", "kvol_snapshot", ANY_VOLUME, one_of_each,
	  published_as_block, .call = call_snapshot },
	{ "snapshot again", "kvol_snapshot", ANY_VOLUME, one_of_each, open_here,
	  .call = call_snapshot_again },
	{ "snapshot of a snapshot", "kvol_snapshot", ANY_VOLUME, one_of_each, open_here,
	  .call = call_snapshot_of_snapshot },
	{ "clone", "kvol_clone", ANY_VOLUME, one_of_each, open_here, .call = call_clone },
	{ "clone, larger", "kvol_clone", ANY_VOLUME, one_of_each, published,
	  .call = call_clone_larger },
	{ "clone of btrfs", "kvol_clone", ANY_VOLUME "|'b'", one_of_each, open_here,
	  .call = call_clone_btrfs },
	{ "expand", "kvol_expand", ANY_VOLUME, one_of_each, open_here,
	  .call = call_expand, .between = "fs grow|commit#2", .idle_left = 1 },
	{ "expand a published", "kvol_expand", ANY_VOLUME, one_of_each, published,
	  .call = call_expand, .between = "fs grow|commit#2" },
	{ "expand a block", "kvol_expand", ANY_VOLUME, one_of_each, published_as_block,
	  .call = call_expand },
	{ "expand a half-grown", "kvol_expand", ANY_VOLUME, half_grown, open_here,
	  .call = call_expand, .between = "commit", .idle_left = 1 },
	{ "expand raw", "kvol_expand", ANY_VOLUME, one_of_each, open_here,
	  .call = call_expand_raw },
	{ "expand a raw block", "kvol_expand", ANY_VOLUME, one_of_each,
	  published_as_block, .call = call_expand_raw, .between = "dm load" },
	{ "expand a snapshot", "kvol_expand", ANY_VOLUME, one_of_each, open_here,
	  .call = call_expand_snapshot, .result = -EINVAL },
	{ "delete", "kvol_delete", ANY_VOLUME, one_of_each, open_here,
	  .call = call_delete },
	{ "delete an active", "kvol_delete", ANY_VOLUME, one_of_each, unmounted,
	  .call = call_delete, .between = "commit" },
	{ "delete the seventeenth", "kvol_delete", ANY_VOLUME, one_of_each, many_deleted,
	  .call = call_delete },
	{ "delete a snapshot", "kvol_delete", ANY_VOLUME, one_of_each, open_here,
	  .call = call_delete_snapshot },
	{ "delete nothing", "kvol_delete", ANY_VOLUME, one_of_each, open_here,
	  .call = call_delete_none },
	{ "delete a published", "kvol_delete", ANY_VOLUME, one_of_each, published,
	  .call = call_delete, .result = -EBUSY },
	{ "usage", "kvol_usage", ANY_VOLUME, one_of_each, open_here,
	  .call = call_usage, .between = "message release_metadata_snap" },
	{ "stat", "kvol_stat", ANY_VOLUME, one_of_each, open_here, .call = call_stat },
	{ "stat a published", "kvol_stat", ANY_VOLUME, one_of_each, published,
	  .call = call_stat_published },
	{ "stat nothing", "kvol_stat", ANY_VOLUME, one_of_each, open_here,
	  .call = call_stat_none, .result = -ENOENT },
	{ "volume_stat", "kvol_volume_stat", ANY_VOLUME, one_of_each, published,
	  .call = call_volume_stat },
	{ "list", "kvol_list", ANY_VOLUME "|kvol_list", one_of_each, open_here,
	  .call = call_list },
	{ "iter_next", "kvol_iter_next", "", one_of_each, listing, .call = call_iterate,
	  .silent = true },
	{ "iter_free", "kvol_iter_free", "", one_of_each, listing, .call = call_iter_free,
	  .no_repeat = true, .cannot_fail = true },
};

const struct group volume_failures = { "failures of volumes", scenarios,
				       KV_ARRAY_SIZE(scenarios) };
