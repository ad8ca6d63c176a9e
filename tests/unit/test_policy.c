/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pool's policy, on the model: what it refuses, what it leaves, and what is told of
 * it.
 */

#include <sys/mount.h>
#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

#define POLICY(...)                                                                       \
	(&(struct kvol_policy_opts){ .size = sizeof(struct kvol_policy_opts), __VA_ARGS__ })

static void set(struct fixture *f, const struct kvol_policy_opts *o)
{
	succeeds(f, kvol_pool_set(f->pool, o, &f->e));
}

static int create_of(struct fixture *f, const char *name, uint64_t bytes)
{
	return kvol_create(f->pool, name, bytes, NULL, &f->e);
}

static void fields_that_are_not_named_stay(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool_info info = pool_info(f);

	assert_int_equal(info.max_volumes, MAX_VOLUMES);
	assert_int_equal(info.max_published + info.overcommit + info.publish_flags, 0);
	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT | KVOL_SET_MAX_VOLUMES,
		      .overcommit = 150, .max_volumes = 7, .max_published = 9));
	set(f, POLICY(.flags = KVOL_SET_MAX_PUBLISHED, .max_published = 3));
	set(f, POLICY(.flags = KVOL_SET_PUBLISH_FLAGS,
		      .publish_flags = KVOL_POLICY_NOSUID));
	set(f, NULL);
	reopen_pool(f);
	info = pool_info(f);
	assert_int_equal(info.overcommit, 150);
	assert_int_equal(info.max_volumes, 7);
	assert_int_equal(info.max_published, 3);
	assert_int_equal(info.publish_flags, KVOL_POLICY_NOSUID);
	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT | KVOL_SET_MAX_VOLUMES));
	info = pool_info(f);
	assert_int_equal(info.overcommit, 0);
	assert_int_equal(info.max_volumes, MAX_VOLUMES);
	assert_int_equal(info.max_published, 3);
}

static void bad_policies_are_refused(void **state)
{
	struct kvol_policy_opts o = { .size = sizeof(o) - 1 };
	struct fixture *f = *state;

	fails(f, kvol_pool_set(f->pool, &o, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_set(NULL, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_set(f->pool, POLICY(.flags = 1u << 4), &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f,
	      kvol_pool_set(f->pool,
			    POLICY(.flags = KVOL_SET_MAX_VOLUMES,
				   .max_volumes = MAX_VOLUMES + 1),
			    &f->e),
	      -EINVAL, KVOL_R_INVALID);
	fails(f,
	      kvol_pool_set(f->pool,
			    POLICY(.flags = KVOL_SET_MAX_PUBLISHED,
				   .max_published = UINT64_MAX),
			    &f->e),
	      -EINVAL, KVOL_R_INVALID);
	fails(f,
	      kvol_pool_set(f->pool,
			    POLICY(.flags = KVOL_SET_OVERCOMMIT,
				   .overcommit = KVOL_OVERCOMMIT_MAX + 1),
			    &f->e),
	      -EINVAL, KVOL_R_INVALID);
	fails(f,
	      kvol_pool_set(f->pool,
			    POLICY(.flags = KVOL_SET_PUBLISH_FLAGS, .publish_flags = 8),
			    &f->e),
	      -EINVAL, KVOL_R_INVALID);
	assert_int_equal(query(f, "SELECT count(*) FROM policy"), 0);
}

static void same_policy_costs_no_commit(void **state)
{
	struct fixture *f = *state;

	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT, .overcommit = 100));
	model_fail("commit", 0, -EIO);
	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT, .overcommit = 100));
	set(f, POLICY(.flags = 0));
	fails(f,
	      kvol_pool_set(f->pool, POLICY(.flags = KVOL_SET_OVERCOMMIT), &f->e), -EIO,
	      KVOL_R_IO);
	model_forget_plans();
	assert_int_equal(pool_info(f).overcommit, 100);
}

static void overcommit_bounds_the_sum_of_sizes(void **state)
{
	struct kvol_create_opts larger = { .size = sizeof(larger) };
	struct fixture *f = *state;
	struct kvol_pool_info info = pool_info(f);
	uint64_t all = info.data_bytes;

	assert_int_equal(info.capacity, info.data_bytes - info.data_used);
	assert_int_equal(info.largest_volume, UINT64_C(1) << 60);
	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT, .overcommit = 200));
	info = pool_info(f);
	assert_int_equal(info.capacity, 2 * all);
	assert_int_equal(info.largest_volume, 2 * all);
	succeeds(f, create_of(f, "a", all));
	succeeds(f, create_of(f, "b", all - MIB));
	info = pool_info(f);
	assert_int_equal(info.provisioned, 2 * all - MIB);
	assert_int_equal(info.capacity, MIB);
	fails(f, create_of(f, "c", MIB + 4096), -ENOSPC, KVOL_R_LIMIT);
	fails(f, kvol_expand(f->pool, "b", all + 4096, 0, &f->e), -ENOSPC, KVOL_R_LIMIT);
	assert_int_equal(info_of(f, "b").bytes, all - MIB);
	fails(f, kvol_clone(f->pool, "a", "c", NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	succeeds(f, kvol_snapshot(f->pool, "a", "s", NULL, &f->e)); /* promises nothing */
	larger.bytes = 2 * all;
	fails(f, kvol_clone(f->pool, "s", "c", &larger, &f->e), -ENOSPC, KVOL_R_LIMIT);
	assert_false(exists(f, "c"));
	succeeds(f, create_of(f, "a", all)); /* a repeat is one */
	succeeds(f, create_of(f, "c", MIB));
	assert_int_equal(pool_info(f).capacity, 0);
	assert_int_equal(pool_info(f).largest_volume, 0);
	succeeds(f, kvol_delete(f->pool, "a", 0, &f->e));
	succeeds(f, kvol_expand(f->pool, "b", all, 0, &f->e));
	/* Below what is there: nothing goes, and nothing more comes. */
	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT, .overcommit = 1));
	fails(f, create_of(f, "d", 4096), -ENOSPC, KVOL_R_LIMIT);
	assert_true(exists(f, "b"));
	succeeds(f, kvol_delete(f->pool, "c", 0, &f->e));
	set(f, POLICY(.flags = KVOL_SET_OVERCOMMIT));
	succeeds(f, create_of(f, "d", UINT64_C(1) << 60));
	succeeds(f, create_of(f, "e", UINT64_C(1) << 60));
	assert_int_equal(pool_info(f).provisioned, (UINT64_C(1) << 61) + all);
}

/* The look before the work is no more than that. */
static void limit_holds_in_the_commit(void **state)
{
	const struct kv_limit limit = { .volumes = 2, .bytes = 3 * MIB };
	struct kv_row row = { .id = 500, .kind = KVOL_KIND_VOLUME, .bytes = MIB };
	struct fixture *f = *state;

	succeeds(f, create_of(f, "a", 2 * MIB));
	(void)kv_strcpy(row.name, sizeof(row.name), "x");
	(void)kv_strcpy(row.uuid, sizeof(row.uuid), f->pool->conf.uuid);
	row.bytes = MIB + 4096;
	assert_int_equal(kv_catalogue_insert_labelled(f->pool->cat, &row, NULL, 0, &limit),
			 -EDQUOT);
	assert_false(exists(f, "x"));
	assert_int_equal(kv_catalogue_resize_within(f->pool->cat, id_of(f, "a"), 4 * MIB,
						    0, &limit),
			 -EDQUOT);
	assert_int_equal(info_of(f, "a").bytes, 2 * MIB);
	succeeds(f, create_of(f, "b", 4096));
	row.bytes = 4096;
	assert_int_equal(kv_catalogue_insert_labelled(f->pool->cat, &row, NULL, 0, &limit),
			 -EDQUOT);
}

static void max_volumes_may_be_lowered_and_raised(void **state)
{
	struct fixture *f = *state;

	set(f, POLICY(.flags = KVOL_SET_MAX_VOLUMES, .max_volumes = 2));
	succeeds(f, create_of(f, "a", MIB));
	succeeds(f, kvol_snapshot(f->pool, "a", "s", NULL, &f->e));
	fails(f, create_of(f, "b", MIB), -ENOSPC, KVOL_R_LIMIT);
	fails(f, kvol_snapshot(f->pool, "a", "t", NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	fails(f, kvol_clone(f->pool, "a", "t", NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	assert_int_equal(pool_info(f).capacity, 0);
	succeeds(f, kvol_expand(f->pool, "a", 2 * MIB, 0, &f->e));
	set(f, POLICY(.flags = KVOL_SET_MAX_VOLUMES, .max_volumes = 3));
	succeeds(f, create_of(f, "b", MIB));
	set(f, POLICY(.flags = KVOL_SET_MAX_VOLUMES, .max_volumes = MAX_VOLUMES));
	succeeds(f, create_of(f, "c", MIB));
}

static void max_published_counts_volumes(void **state)
{
	struct fixture *f = *state;

	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	model_file("/f", S_IFREG);
	succeeds(f, create_volume(f, "a", "ext4"));
	succeeds(f, create_volume(f, "b", "ext4"));
	set(f, POLICY(.flags = KVOL_SET_MAX_PUBLISHED, .max_published = 1));
	succeeds(f, publish(f, "a", "/t", 0, NULL, NULL));
	succeeds(f, publish(f, "a", "/t", 0, NULL, NULL));
	succeeds(f, publish(f, "a", "/u", 0, NULL, NULL)); /* the same one */
	assert_int_equal(pool_info(f).n_published, 1);
	fails(f, publish(f, "b", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL), -ENOSPC,
	      KVOL_R_LIMIT);
	assert_int_equal(pool_info(f).n_published, 1);
	assert_int_equal(info_of(f, "b").n_targets, 0);
	assert_null(dev_of(f, "b", false));
	succeeds(f, unpublish(f, "a", "/t", NULL));
	fails(f, publish(f, "b", "/t", 0, NULL, NULL), -ENOSPC, KVOL_R_LIMIT);
	succeeds(f, unpublish(f, "a", "/u", NULL));
	succeeds(f, publish(f, "b", "/t", 0, NULL, NULL));
}

static void publish_flags_are_on_every_file_system(void **state)
{
	const uint64_t all = MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	struct fixture *f = *state;

	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	model_file("/f", S_IFREG);
	succeeds(f, create_volume(f, "a", "ext4"));
	succeeds(f, create_volume(f, "b", "ext4"));
	succeeds(f, publish(f, "a", "/t", 0, NULL, NULL));
	set(f, POLICY(.flags = KVOL_SET_PUBLISH_FLAGS,
		      .publish_flags = KVOL_POLICY_NOEXEC | KVOL_POLICY_NOSUID |
				       KVOL_POLICY_NODEV));
	/* What stands is left, and is what was asked for. */
	succeeds(f, publish(f, "a", "/t", 0, NULL, NULL));
	assert_int_equal(model_mount_at(NULL, "/t")->attr & all, 0);
	succeeds(f, publish(f, "a", "/u", 0, NULL, NULL));
	assert_int_equal(model_mount_at(NULL, "/u")->attr & all, all);
	succeeds(f, publish(f, "a", "/u", 0, NULL, NULL));
	fails(f, publish(f, "a", "/u", 0, "noexec", NULL), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, publish(f, "b", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	assert_int_equal(model_mount_at(NULL, "/f")->attr & all, 0);
}

static void damaged_policy_is_refused(void **state)
{
	static const char *const bad[] = {
		"INSERT INTO policy VALUES (1, -1, 0, 0, 0)",
		"INSERT INTO policy VALUES (1, 0, -1, 0, 0)",
		"INSERT INTO policy VALUES (1, 0, 0, 1000001, 0)",
		"INSERT INTO policy VALUES (1, 0, 0, 0, 8)",
		"INSERT INTO policy VALUES (1, 'x', 0, 0, 0)",
	};
	struct fixture *f = *state;
	struct model_saved *saved;

	close_pool(f);
	saved = model_save();
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		doctor(f, bad[i]);
		open_pool(f);
		fails(f, create_of(f, "v", MIB), -EUCLEAN, KVOL_R_CORRUPT);
		close_pool(f);
		model_restore(saved);
	}
	open_pool(f);
	model_saved_free(saved);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(fields_that_are_not_named_stay),
		on_pool(bad_policies_are_refused),
		on_pool(same_policy_costs_no_commit),
		on_pool(overcommit_bounds_the_sum_of_sizes),
		on_pool(limit_holds_in_the_commit),
		on_pool(max_volumes_may_be_lowered_and_raised),
		on_pool(max_published_counts_volumes),
		on_pool(publish_flags_are_on_every_file_system),
		on_pool(damaged_policy_is_refused),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
