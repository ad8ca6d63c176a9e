/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every step of every verb: dying there, and dying again at every step of the recovery
 * from it, leaves wholly old or wholly new, and what was acknowledged is there. See
 * crash.h.
 *
 * KVOL_TEST_LONG=1: the recovery after each point is taken apart, and not only after each
 * that left another state; at every step, not at each third; and in all four ways of
 * dying.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crash.h"

#define NS_A   "/proc/7/ns/mnt"
#define SECRET "open sesame"
#define OTHER  "swordfish"

static struct figures all, formats;

/* --- What setups and verbs are made of -------------------------------------------- */

static uint64_t next_mark = 1;

static int create(struct kvol_pool *pool, const char *name, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs };

	return kvol_create(pool, name, 512 * MIB, &o, NULL);
}

static int publish_with(struct kvol_pool *pool, const char *name, const char *target,
			uint32_t flags, const char *ns)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .mount_namespace = ns };

	return kvol_publish(pool, name, target, &o, NULL);
}

static int publish(struct kvol_pool *pool, const char *name, const char *target)
{
	return publish_with(pool, name, target, 0, NULL);
}

static void make_targets(void)
{
	model_file("/a", S_IFDIR);
	model_file("/b", S_IFDIR);
	model_file("/f", S_IFREG);
	model_file("/g", S_IFREG);
}

static int with_volume(struct kvol_pool *pool, const char *fs)
{
	int r = create(pool, "v", fs);

	make_targets();
	if (r == 0)
		write_mark(pool, "v", next_mark++);
	return r;
}

/* The volume has one that is to be kept, one to be changed and one to be removed. */
static int has_labels(struct kvol_pool *pool)
{
	static const struct kvol_label labels[] = { { "a", "1" },
						    { "b", "1" },
						    { "c", "1" } };
	int r = with_volume(pool, NULL);

	if (r == 0)
		r = kvol_label_set(pool, "v", labels, 3, NULL);
	return r < 0 ? r : kvol_label_set(pool, NULL, labels, 1, NULL);
}

static int has_raw(struct kvol_pool *pool)
{
	return with_volume(pool, NULL);
}

static int has_policy(struct kvol_pool *pool)
{
	struct kvol_policy_opts o = { .size = sizeof(o),
				      .flags = KVOL_SET_OVERCOMMIT | KVOL_SET_MAX_PUBLISHED,
				      .overcommit = 300,
				      .max_published = 1 };
	int r = has_raw(pool);

	return r < 0 ? r : kvol_pool_set(pool, &o, NULL);
}

static int has_ext4(struct kvol_pool *pool)
{
	return with_volume(pool, "ext4");
}

/* The kernel has counted nearly as many snapshots as it can: the next open sees it. */
static int has_few_snapshots_left(struct kvol_pool *pool)
{
	int r = has_ext4(pool);

	leave_snapshots(pool, 1000);
	return r;
}

static int has_xfs(struct kvol_pool *pool)
{
	return with_volume(pool, "xfs");
}

static int has_btrfs(struct kvol_pool *pool)
{
	return with_volume(pool, "btrfs");
}

static int has_mounted(struct kvol_pool *pool)
{
	int r = has_ext4(pool);

	return r < 0 ? r : publish(pool, "v", "/a");
}

static int has_mounted_xfs(struct kvol_pool *pool)
{
	int r = has_xfs(pool);

	return r < 0 ? r : publish(pool, "v", "/a");
}

static int has_dead_xfs(struct kvol_pool *pool)
{
	int r = has_mounted_xfs(pool);

	if (r == 0)
		model_shut_down(NULL, "/a");
	return r;
}

static int has_mounted_btrfs(struct kvol_pool *pool)
{
	int r = has_btrfs(pool);

	return r < 0 ? r : publish(pool, "v", "/a");
}

static int has_block(struct kvol_pool *pool)
{
	int r = has_raw(pool);

	return r < 0 ? r : publish_with(pool, "v", "/f", KVOL_PUBLISH_BLOCK, NULL);
}

static int has_ext4_as_block(struct kvol_pool *pool)
{
	int r = has_ext4(pool);

	return r < 0 ? r : publish_with(pool, "v", "/f", KVOL_PUBLISH_BLOCK, NULL);
}

static int has_block_readonly(struct kvol_pool *pool)
{
	const uint32_t flags = KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY;
	int r = has_raw(pool);

	return r < 0 ? r : publish_with(pool, "v", "/f", flags, NULL);
}

static int has_two_targets(struct kvol_pool *pool)
{
	int r = has_mounted(pool);

	return r < 0 ? r : publish(pool, "v", "/b");
}

static int has_snapshots(struct kvol_pool *pool)
{
	int r = has_ext4(pool);

	if (r == 0)
		r = kvol_snapshot(pool, "v", "s", NULL, NULL);
	if (r == 0)
		r = kvol_snapshot(pool, "v", "t", NULL, NULL);
	return r < 0 ? r : kvol_clone(pool, "s", "c", NULL, NULL);
}

static int has_clone_of(struct kvol_pool *pool, const char *fs, uint64_t bytes)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = bytes };
	int r = with_volume(pool, fs);

	return r < 0 ? r : kvol_clone(pool, "v", "c", &o, NULL);
}

static int has_btrfs_clone(struct kvol_pool *pool)
{
	return has_clone_of(pool, "btrfs", 0);
}

static int has_larger_clone(struct kvol_pool *pool)
{
	return has_clone_of(pool, "ext4", 600 * MIB);
}

static int has_larger_btrfs_clone(struct kvol_pool *pool)
{
	return has_clone_of(pool, "btrfs", 600 * MIB);
}

static int has_mounted_in_namespace(struct kvol_pool *pool)
{
	int r = has_ext4(pool);

	model_ns_start(NS_A);
	return r < 0 ? r : publish_with(pool, "v", "/a", 0, NS_A);
}

static int create_encrypted(struct kvol_pool *pool, const char *name, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = fs,
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET) };

	return kvol_create(pool, name, 512 * MIB, &o, NULL);
}

static int publish_encrypted(struct kvol_pool *pool, const char *name,
			     const char *target, uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .secret = SECRET,
				       .secret_bytes = strlen(SECRET) };

	return kvol_publish(pool, name, target, &o, NULL);
}

static int has_encrypted(struct kvol_pool *pool)
{
	int r = create_encrypted(pool, "v", "ext4");

	make_targets();
	if (r == 0)
		write_mark(pool, "v", next_mark++);
	return r;
}

static int has_mounted_encrypted(struct kvol_pool *pool)
{
	int r = has_encrypted(pool);

	return r < 0 ? r : publish_encrypted(pool, "v", "/a", 0);
}

static int has_encrypted_block(struct kvol_pool *pool)
{
	int r = create_encrypted(pool, "v", NULL);

	make_targets();
	if (r == 0)
		write_mark(pool, "v", next_mark++);
	return r < 0 ? r : publish_encrypted(pool, "v", "/f", KVOL_PUBLISH_BLOCK);
}

static int has_grown_encrypted(struct kvol_pool *pool)
{
	int r = has_encrypted(pool);

	return r < 0 ? r : kvol_expand(pool, "v", 600 * MIB, 0, NULL);
}

/* Its mount was taken away by hand: device and record are left. */
static int has_leftover(struct kvol_pool *pool)
{
	int r = has_mounted(pool);

	model_umount(NULL, "/a");
	return r;
}

/* Everything that there is. */
static int has_many(struct kvol_pool *pool)
{
	int r = has_snapshots(pool);

	if (r == 0)
		r = create(pool, "r", NULL);
	if (r == 0)
		r = publish(pool, "v", "/a");
	if (r == 0)
		r = publish_with(pool, "r", "/f", KVOL_PUBLISH_BLOCK, NULL);
	return r < 0 ? r : kvol_delete(pool, "t", 0, NULL);
}

/* --- Verbs ------------------------------------------------------------------------ */

static int create_raw(struct kvol_pool *pool)
{
	return create(pool, "x", NULL);
}

static int create_ext4(struct kvol_pool *pool)
{
	return create(pool, "x", "ext4");
}

static int make_template(struct kvol_pool *pool)
{
	return kvol_template_make(pool, "ext4", 256 * MIB, NULL);
}

static int delete_templates(struct kvol_pool *pool)
{
	return kvol_template_delete(pool, NULL, 0, NULL);
}

static int create_xfs(struct kvol_pool *pool)
{
	return create(pool, "x", "xfs");
}

static int create_btrfs(struct kvol_pool *pool)
{
	return create(pool, "x", "btrfs");
}

static const struct kvol_label one_label = { "k", "v" };

static int create_labelled(struct kvol_pool *pool)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .labels = &one_label,
				      .n_labels = 1 };

	return kvol_create(pool, "x", 512 * MIB, &o, NULL);
}

static int create_owned_with(struct kvol_pool *pool, const char *secret)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_OWNER | KVOL_CREATE_MODE,
				      .fs_type = "ext4",
				      .secret = secret,
				      .secret_bytes = secret ? strlen(secret) : 0,
				      .uid = 1000,
				      .gid = 2000,
				      .mode = 02770 };

	return kvol_create(pool, "x", 512 * MIB, &o, NULL);
}

static int create_owned(struct kvol_pool *pool)
{
	return create_owned_with(pool, NULL);
}

static int create_owned_encrypted(struct kvol_pool *pool)
{
	return create_owned_with(pool, SECRET);
}

static int create_thick_with(struct kvol_pool *pool, const char *name, const char *fs,
			     const char *secret)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_THICK,
				      .fs_type = fs,
				      .secret = secret,
				      .secret_bytes = secret ? strlen(secret) : 0 };

	return kvol_create(pool, name, 128 * MIB, &o, NULL);
}

static int create_thick(struct kvol_pool *pool)
{
	return create_thick_with(pool, "x", NULL, NULL);
}

static int create_thick_ext4(struct kvol_pool *pool)
{
	return create_thick_with(pool, "x", "ext4", NULL);
}

static int create_thick_encrypted(struct kvol_pool *pool)
{
	return create_thick_with(pool, "x", "ext4", SECRET);
}

static int with_thick(struct kvol_pool *pool, const char *fs, const char *secret)
{
	int r = create_thick_with(pool, "v", fs, secret);

	make_targets();
	if (r == 0)
		write_mark(pool, "v", next_mark++);
	return r;
}

static int has_thick(struct kvol_pool *pool)
{
	return with_thick(pool, NULL, NULL);
}

static int has_mounted_thick(struct kvol_pool *pool)
{
	int r = with_thick(pool, "ext4", NULL);

	return r < 0 ? r : publish(pool, "v", "/a");
}

static int has_thick_block(struct kvol_pool *pool)
{
	int r = has_thick(pool);

	return r < 0 ? r : publish_with(pool, "v", "/f", KVOL_PUBLISH_BLOCK, NULL);
}

static int has_mounted_thick_encrypted(struct kvol_pool *pool)
{
	int r = with_thick(pool, "ext4", SECRET);

	return r < 0 ? r : publish_encrypted(pool, "v", "/a", 0);
}

static int expand_thick(struct kvol_pool *pool)
{
	return kvol_expand(pool, "v", 160 * MIB, 0, NULL);
}

static int snapshot_labelled(struct kvol_pool *pool)
{
	struct kvol_snapshot_opts o = { .size = sizeof(o),
					.labels = &one_label,
					.n_labels = 1 };

	return kvol_snapshot(pool, "v", "x", &o, NULL);
}

static int label_v(struct kvol_pool *pool)
{
	static const struct kvol_label labels[] = { { "b", "2" },
						    { "c", NULL },
						    { "d", "2" } };

	return kvol_label_set(pool, "v", labels, 3, NULL);
}

static int label_pool(struct kvol_pool *pool)
{
	static const struct kvol_label labels[] = { { "a", "2" }, { "d", "2" } };

	return kvol_label_set(pool, NULL, labels, 2, NULL);
}

static int set_policy(struct kvol_pool *pool)
{
	struct kvol_policy_opts o = { .size = sizeof(o),
				      .flags = KVOL_SET_OVERCOMMIT,
				      .overcommit = 300 };

	return kvol_pool_set(pool, &o, NULL);
}

static int create_raw_encrypted(struct kvol_pool *pool)
{
	return create_encrypted(pool, "x", NULL);
}

static int create_ext4_encrypted(struct kvol_pool *pool)
{
	return create_encrypted(pool, "x", "ext4");
}

static int publish_a_encrypted(struct kvol_pool *pool)
{
	return publish_encrypted(pool, "v", "/a", 0);
}

static int publish_encrypted_readonly(struct kvol_pool *pool)
{
	return publish_encrypted(pool, "v", "/g",
				 KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY);
}

static int change_secret(struct kvol_pool *pool)
{
	return kvol_change_secret(pool, "v", SECRET, strlen(SECRET), OTHER,
				  strlen(OTHER), 0, NULL);
}

static int create_first(struct kvol_pool *pool)
{
	return create(pool, "first", NULL);
}

static int create_and_delete_first(struct kvol_pool *pool)
{
	int r = create(pool, "first", NULL);

	return r < 0 ? r : kvol_delete(pool, "first", 0, NULL);
}

static int snapshot(struct kvol_pool *pool)
{
	return kvol_snapshot(pool, "v", "x", NULL, NULL);
}

static int clone_v(struct kvol_pool *pool)
{
	return kvol_clone(pool, "v", "x", NULL, NULL);
}

static int clone_larger(struct kvol_pool *pool)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = 600 * MIB };

	return kvol_clone(pool, "v", "x", &o, NULL);
}

static int clone_snapshot(struct kvol_pool *pool)
{
	return kvol_clone(pool, "s", "x", NULL, NULL);
}

static int expand(struct kvol_pool *pool)
{
	return kvol_expand(pool, "v", 600 * MIB, 0, NULL);
}

static int expand_clone(struct kvol_pool *pool)
{
	return kvol_expand(pool, "c", 700 * MIB, 0, NULL);
}

static int delete_v(struct kvol_pool *pool)
{
	return kvol_delete(pool, "v", 0, NULL);
}

static int delete_snapshot(struct kvol_pool *pool)
{
	return kvol_delete(pool, "s", 0, NULL);
}

static int publish_a(struct kvol_pool *pool)
{
	return publish(pool, "v", "/a");
}

static int publish_readonly(struct kvol_pool *pool)
{
	return publish_with(pool, "v", "/a", KVOL_PUBLISH_READONLY, NULL);
}

static int publish_single_writer(struct kvol_pool *pool)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .access = KVOL_ACCESS_SINGLE_WRITER };

	return kvol_publish(pool, "v", "/a", &o, NULL);
}

static int publish_shared(struct kvol_pool *pool)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .propagation = KVOL_PROPAGATION_SHARED };

	return kvol_publish(pool, "v", "/a", &o, NULL);
}

static int publish_mapped(struct kvol_pool *pool)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .uid_map = "0 100000 65536" };

	return kvol_publish(pool, "v", "/a", &o, NULL);
}

static int publish_for_group(struct kvol_pool *pool)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = KVOL_PUBLISH_GROUP,
				       .group = 1000 };

	return kvol_publish(pool, "v", "/a", &o, NULL);
}

static int publish_b(struct kvol_pool *pool)
{
	return publish(pool, "v", "/b");
}

static int publish_block(struct kvol_pool *pool)
{
	return publish_with(pool, "v", "/f", KVOL_PUBLISH_BLOCK, NULL);
}

static int publish_block_readonly(struct kvol_pool *pool)
{
	return publish_with(pool, "v", "/g", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY,
			    NULL);
}

static int publish_snapshot(struct kvol_pool *pool)
{
	return publish(pool, "s", "/a");
}

static int publish_snapshot_block(struct kvol_pool *pool)
{
	return publish_with(pool, "s", "/f", KVOL_PUBLISH_BLOCK, NULL);
}

static int publish_clone(struct kvol_pool *pool)
{
	return publish(pool, "c", "/a");
}

static int publish_in_namespace(struct kvol_pool *pool)
{
	model_ns_start(NS_A);
	return publish_with(pool, "v", "/a", 0, NS_A);
}

static int publish_labelled(struct kvol_pool *pool)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .labels = &one_label,
				       .n_labels = 1 };

	return kvol_publish(pool, "v", "/a", &o, NULL);
}

static int unpublish_a(struct kvol_pool *pool)
{
	return kvol_unpublish(pool, "v", "/a", NULL, NULL);
}

static int unpublish_block(struct kvol_pool *pool)
{
	return kvol_unpublish(pool, "v", "/f", NULL, NULL);
}

static int unpublish_in_namespace(struct kvol_pool *pool)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .mount_namespace = NS_A };

	return kvol_unpublish(pool, "v", "/a", &o, NULL);
}

static int deactivate(struct kvol_pool *pool)
{
	return kvol_pool_deactivate(pool, NULL);
}

static int only_close(struct kvol_pool *pool)
{
	(void)pool;
	return 0;
}

static int stat_all(struct kvol_pool *pool)
{
	struct kvol_pool_info pool_info = { .size = sizeof(pool_info) };
	struct kvol_volume_stats stats = { .size = sizeof(stats) };
	struct kvol_info info = { .size = sizeof(info) };
	int r = kvol_pool_stat(pool, &pool_info, NULL);

	if (r == 0)
		r = kvol_stat(pool, "v", &info, NULL);
	return r < 0 ? r : kvol_volume_stat(pool, "v", &stats, NULL);
}

static int usage_of_v(struct kvol_pool *pool)
{
	struct kvol_usage_info info = { .size = sizeof(info) };

	return kvol_usage(pool, "v", &info, NULL);
}

static int list_all(struct kvol_pool *pool)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	int r = kvol_list(pool, 0, &iter, NULL);

	if (r < 0)
		return r;
	while ((r = kvol_iter_next(iter, &info)) == 1)
		;
	kvol_iter_free(iter);
	return r;
}

/* --- Ephemeral volumes ------------------------------------------------------------ */

static int publish_ephemeral(struct kvol_pool *pool, const char *target, const char *source,
			     uint32_t flags, const char *secret)
{
	struct kvol_ephemeral_opts of = { .size = sizeof(of),
					  .bytes = 512 * MIB,
					  .source = source };
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .secret = secret,
				       .secret_bytes = secret ? strlen(secret) : 0,
				       .ephemeral = &of };

	if (!source && !(flags & KVOL_PUBLISH_BLOCK))
		of.fs_type = "ext4";
	if (source && !strcmp(source, "s"))
		of.bytes = 600 * MIB;
	return kvol_publish(pool, "e", target, &o, NULL);
}

static int has_targets(struct kvol_pool *pool)
{
	(void)pool;
	make_targets();
	return 0;
}

static int has_ephemeral(struct kvol_pool *pool)
{
	make_targets();
	return publish_ephemeral(pool, "/a", NULL, 0, NULL);
}

static int has_ephemeral_twice(struct kvol_pool *pool)
{
	int r = has_ephemeral(pool);

	return r < 0 ? r : publish_ephemeral(pool, "/b", NULL, 0, NULL);
}

static int has_ephemeral_block(struct kvol_pool *pool)
{
	make_targets();
	return publish_ephemeral(pool, "/f", NULL,
				 KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY, NULL);
}

static int has_ephemeral_leftover(struct kvol_pool *pool)
{
	int r = has_ephemeral(pool);

	model_umount(NULL, "/a");
	return r;
}

static int ephemeral_a(struct kvol_pool *pool)
{
	return publish_ephemeral(pool, "/a", NULL, 0, NULL);
}

static int ephemeral_b(struct kvol_pool *pool)
{
	return publish_ephemeral(pool, "/b", NULL, 0, NULL);
}

static int ephemeral_block(struct kvol_pool *pool)
{
	return publish_ephemeral(pool, "/f", NULL, KVOL_PUBLISH_BLOCK, NULL);
}

static int ephemeral_encrypted(struct kvol_pool *pool)
{
	return publish_ephemeral(pool, "/a", NULL, 0, SECRET);
}

static int ephemeral_clone_larger(struct kvol_pool *pool)
{
	return publish_ephemeral(pool, "/a", "s", 0, NULL);
}

static int unpublish_ephemeral(struct kvol_pool *pool)
{
	return kvol_unpublish(pool, "e", "/a", NULL, NULL);
}

static int unpublish_ephemeral_block(struct kvol_pool *pool)
{
	return kvol_unpublish(pool, "e", "/f", NULL, NULL);
}

/* --- All of them ------------------------------------------------------------------ */

static const struct scenario scenarios[] = {
	{ "open and activate", .powered_off = true },
	{ "open and activate with volumes", .setup = has_many, .powered_off = true },
	{ "join", .setup = has_many },
	{ "create raw", .verb = create_raw },
	{ "create raw with ids in hand", .before = create_first, .verb = create_raw },
	{ "create ext4", .verb = create_ext4 },
	{ "create ext4 of a template", .setup = has_ext4, .verb = create_ext4 },
	{ "create ext4 as a copy of a template", .setup = has_few_snapshots_left,
	  .verb = create_ext4 },
	{ "make a template", .verb = make_template },
	{ "delete templates", .setup = has_many, .verb = delete_templates },
	{ "create xfs", .verb = create_xfs },
	{ "create btrfs", .verb = create_btrfs },
	{ "create beside others", .setup = has_many, .verb = create_ext4 },
	{ "create with labels", .verb = create_labelled },
	{ "create thick", .verb = create_thick },
	{ "create thick ext4", .verb = create_thick_ext4 },
	{ "create thick ext4 encrypted", .verb = create_thick_encrypted },
	{ "expand thick", .setup = has_thick, .verb = expand_thick },
	{ "expand mounted thick", .setup = has_mounted_thick, .verb = expand_thick },
	{ "expand thick block", .setup = has_thick_block, .verb = expand_thick },
	{ "expand mounted thick encrypted", .setup = has_mounted_thick_encrypted,
	  .verb = expand_thick },
	{ "snapshot of mounted thick", .setup = has_mounted_thick, .verb = snapshot },
	{ "clone of thick block", .setup = has_thick_block, .verb = clone_v },
	{ "delete thick", .setup = has_thick, .verb = delete_v },
	{ "publish thick block", .setup = has_thick, .verb = publish_block },
	{ "unpublish thick", .setup = has_mounted_thick, .verb = unpublish_a },
	{ "create with an owner", .verb = create_owned },
	{ "create encrypted with an owner", .verb = create_owned_encrypted },
	{ "snapshot with labels", .setup = has_labels, .verb = snapshot_labelled },
	{ "label a volume", .setup = has_labels, .verb = label_v },
	{ "label the pool", .setup = has_labels, .verb = label_pool },
	{ "set the policy", .setup = has_raw, .verb = set_policy },
	{ "create under a policy", .setup = has_policy, .verb = create_raw },
	{ "publish under a policy", .setup = has_policy, .verb = publish_block },
	{ "create raw encrypted", .verb = create_raw_encrypted },
	{ "create ext4 encrypted", .verb = create_ext4_encrypted },
	{ "snapshot of encrypted", .setup = has_encrypted, .verb = snapshot },
	{ "snapshot of mounted encrypted", .setup = has_mounted_encrypted,
	  .verb = snapshot },
	{ "snapshot of encrypted block", .setup = has_encrypted_block, .verb = snapshot },
	{ "clone of mounted encrypted, larger", .setup = has_mounted_encrypted,
	  .verb = clone_larger },
	{ "expand encrypted", .setup = has_encrypted, .verb = expand },
	{ "expand mounted encrypted", .setup = has_mounted_encrypted, .verb = expand },
	{ "expand encrypted block", .setup = has_encrypted_block, .verb = expand },
	{ "delete encrypted", .setup = has_encrypted, .verb = delete_v },
	{ "publish encrypted", .setup = has_encrypted, .verb = publish_a_encrypted },
	{ "publish grown encrypted", .setup = has_grown_encrypted,
	  .verb = publish_a_encrypted },
	{ "publish encrypted block read-only", .setup = has_encrypted_block,
	  .verb = publish_encrypted_readonly },
	{ "unpublish encrypted", .setup = has_mounted_encrypted, .verb = unpublish_a },
	{ "change secret", .setup = has_encrypted, .verb = change_secret },
	{ "change secret of mounted", .setup = has_mounted_encrypted,
	  .verb = change_secret },
	{ "snapshot of raw", .setup = has_raw, .verb = snapshot },
	{ "snapshot of ext4", .setup = has_ext4, .verb = snapshot },
	{ "snapshot of block", .setup = has_block, .verb = snapshot },
	{ "snapshot of mounted ext4", .setup = has_mounted, .verb = snapshot },
	{ "snapshot of mounted xfs", .setup = has_mounted_xfs, .verb = snapshot },
	{ "snapshot of mounted btrfs", .setup = has_mounted_btrfs, .verb = snapshot },
	{ "clone of raw", .setup = has_raw, .verb = clone_v },
	{ "clone of ext4", .setup = has_ext4, .verb = clone_v },
	{ "clone of block", .setup = has_block, .verb = clone_v },
	{ "clone of mounted ext4", .setup = has_mounted, .verb = clone_v },
	{ "clone of mounted btrfs", .setup = has_mounted_btrfs, .verb = clone_v },
	{ "clone, larger", .setup = has_ext4, .verb = clone_larger },
	{ "clone of snapshot", .setup = has_snapshots, .verb = clone_snapshot },
	{ "expand raw", .setup = has_raw, .verb = expand },
	{ "expand ext4", .setup = has_ext4, .verb = expand },
	{ "expand btrfs", .setup = has_btrfs, .verb = expand },
	{ "expand mounted ext4", .setup = has_mounted, .verb = expand },
	{ "expand mounted xfs", .setup = has_mounted_xfs, .verb = expand },
	{ "expand block", .setup = has_block, .verb = expand },
	{ "expand ext4 held as block", .setup = has_ext4_as_block, .verb = expand },
	{ "expand block with its read-only face", .setup = has_block_readonly,
	  .verb = expand },
	{ "expand clone of btrfs", .setup = has_btrfs_clone, .verb = expand_clone },
	{ "delete", .setup = has_ext4, .verb = delete_v },
	{ "delete with labels", .setup = has_labels, .verb = delete_v },
	{ "delete with snapshots", .setup = has_snapshots, .verb = delete_v },
	{ "delete snapshot", .setup = has_snapshots, .verb = delete_snapshot },
	{ "delete what somebody unmounted", .setup = has_leftover, .verb = delete_v },
	{ "publish", .setup = has_ext4, .verb = publish_a },
	{ "publish with labels", .setup = has_ext4, .verb = publish_labelled },
	{ "publish read-only", .setup = has_ext4, .verb = publish_readonly },
	{ "publish for a single writer", .setup = has_ext4,
	  .verb = publish_single_writer },
	{ "publish for a single writer after a dead one", .setup = has_leftover,
	  .verb = publish_single_writer },
	{ "publish with a propagation", .setup = has_ext4, .verb = publish_shared },
	{ "publish with ids mapped", .setup = has_ext4, .verb = publish_mapped },
	{ "publish for a group", .setup = has_ext4, .verb = publish_for_group },
	{ "publish at a second target", .setup = has_mounted, .verb = publish_b },
	{ "publish block", .setup = has_raw, .verb = publish_block },
	{ "publish block read-only", .setup = has_raw, .verb = publish_block_readonly },
	{ "publish block read-only, too", .setup = has_block,
	  .verb = publish_block_readonly },
	{ "publish snapshot", .setup = has_snapshots, .verb = publish_snapshot },
	{ "publish snapshot as block", .setup = has_snapshots,
	  .verb = publish_snapshot_block },
	{ "publish clone of btrfs", .setup = has_btrfs_clone, .verb = publish_clone },
	{ "publish larger clone", .setup = has_larger_clone, .verb = publish_clone },
	{ "publish larger btrfs clone", .setup = has_larger_btrfs_clone,
	  .verb = publish_clone },
	{ "publish in a namespace", .setup = has_ext4, .verb = publish_in_namespace },
	{ "unpublish", .setup = has_mounted, .verb = unpublish_a },
	{ "unpublish one of two", .setup = has_two_targets, .verb = unpublish_a },
	{ "unpublish xfs that is shut down", .setup = has_dead_xfs,
	  .verb = unpublish_a },
	{ "unpublish block", .setup = has_block, .verb = unpublish_block },
	{ "unpublish block read-only", .setup = has_block_readonly,
	  .verb = unpublish_block },
	{ "unpublish in a namespace", .setup = has_mounted_in_namespace,
	  .verb = unpublish_in_namespace },
	{ "publish ephemeral", .setup = has_targets, .verb = ephemeral_a },
	{ "publish ephemeral block", .setup = has_targets, .verb = ephemeral_block },
	{ "publish ephemeral encrypted", .setup = has_targets,
	  .verb = ephemeral_encrypted },
	{ "publish ephemeral clone, larger", .setup = has_snapshots,
	  .verb = ephemeral_clone_larger },
	{ "publish ephemeral at a second target", .setup = has_ephemeral,
	  .verb = ephemeral_b },
	{ "open with an ephemeral one that is left", .setup = has_ephemeral_leftover },
	{ "open after a power cut with an ephemeral one", .setup = has_ephemeral_block,
	  .powered_off = true },
	{ "unpublish ephemeral", .setup = has_ephemeral, .verb = unpublish_ephemeral },
	{ "unpublish ephemeral, one of two", .setup = has_ephemeral_twice,
	  .verb = unpublish_ephemeral },
	{ "unpublish ephemeral block", .setup = has_ephemeral_block,
	  .verb = unpublish_ephemeral_block },
	{ "deactivate", .setup = has_snapshots, .verb = deactivate },
	{ "deactivate what somebody unmounted", .setup = has_leftover,
	  .verb = deactivate },
	{ "close", .before = create_and_delete_first, .verb = only_close },
	{ "stat", .setup = has_many, .verb = stat_all },
	{ "usage", .setup = has_snapshots, .verb = usage_of_v },
	{ "list", .setup = has_many, .verb = list_all },
};

#define OPTS(...)                                                                  \
	.opts = { .size = sizeof(struct kvol_format_opts), .max_volumes = 40, __VA_ARGS__ }

static const struct format_case format_cases[] = {
	{ "format a new file", OPTS(.file_bytes = POOL_BYTES) },
	{ "format a blank file", .size_before = POOL_BYTES, OPTS(.flags = 0) },
	{ "format a blank file by force", .size_before = POOL_BYTES,
	  OPTS(.flags = KVOL_FORMAT_FORCE) },
	{ "format over an old pool", .size_before = POOL_BYTES, .pool = true,
	  OPTS(.flags = KVOL_FORMAT_FORCE) },
	{ "format what is a pool already", .size_before = POOL_BYTES, .pool = true,
	  .kept = true, OPTS(.flags = 0) },
};

static void every_step_of_a_format_can_be_the_last(void **state)
{
	const char *only = getenv("KVOL_TEST_ONLY");
	bool thorough = getenv("KVOL_TEST_LONG");
	unsigned bad = 0;

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(format_cases); i++)
		if (!only || strstr(format_cases[i].name, only))
			bad += run_format(&format_cases[i], thorough, &formats);
	assert_int_equal(bad, 0);
}

static void every_step_of_every_verb_can_be_the_last(void **state)
{
	const char *only = getenv("KVOL_TEST_ONLY");
	bool thorough = getenv("KVOL_TEST_LONG");
	unsigned bad = 0;

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(scenarios); i++)
		if (!only || strstr(scenarios[i].name, only))
			bad += run_scenario(&scenarios[i], thorough, &all);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_of_a_format_can_be_the_last),
		cmocka_unit_test(every_step_of_every_verb_can_be_the_last),
	};
	int r = cmocka_run_group_tests_name("crash points", tests, NULL, NULL);

	printf("# figure crash points of every verb: %u of %u\n", all.died, all.points);
	printf("# figure ways of dying at each: killed, 3 power cuts\n");
	printf("# figure states that crashes left: %u\n", all.states);
	printf("# figure crash points inside recovery: %u\n", all.nested);
	printf("# figure crash points of a format: %u different ones of %u, and %u in the "
	       "next one\n",
	       formats.died, formats.points, formats.nested);
	printf("# figure machines opened and judged: %u\n",
	       all.opened + formats.opened);
	return r;
}
