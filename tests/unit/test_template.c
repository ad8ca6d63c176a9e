/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Templates, on the model: what is cloned of one, what is not, and that nobody takes them
 * for volumes.
 */

#include "fixture.h"
#include "verb.h"

#define SIZE (512 * MIB)

static const char templates[] = "SELECT count(*) FROM volume WHERE kind = 3"
				" AND name IS NOT NULL";
static const char snapshots[] = "SELECT snapshots FROM pool";

static int setup(void **state)
{
	int r = setup_pool(state);

	model->mkfs_bytes = 4096;
	return r;
}

static void publish_at(struct fixture *f, const char *name, const char *target)
{
	model_file(target, S_IFDIR);
	succeeds(f, publish(f, name, target, 0, NULL, NULL));
}

static uint32_t time_of(struct fixture *f)
{
	return disk_of(f)->metadata.time;
}

/* How many snapshots it took. */
static uint32_t create(struct fixture *f, const char *name, const char *fs, uint64_t bytes)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs };
	uint32_t before = time_of(f);

	succeeds(f, kvol_create(f->pool, name, bytes, &o, &f->e));
	return time_of(f) - before;
}

static void volumes_of_one_size_are_clones_of_one_template(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;
	char name[16], path[32];

	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		for (int j = 0; j < 3; j++) {
			(void)snprintf(name, sizeof(name), "%s-%d", types[i], j);
			(void)snprintf(path, sizeof(path), "/%s", name);
			assert_int_equal(create(f, name, types[i], SIZE), 1);
			assert_string_equal(thin_of(f, name)->content.fs, types[i]);
			assert_null(dev_of(f, name, false));
			publish_at(f, name, path);
			assert_string_equal(thin_of(f, name)->content.uuid,
					    info_of(f, name).uuid);
		}
		assert_int_equal(query(f, templates), i + 1);
	}
	assert_int_equal(create(f, "larger", "ext4", 2 * SIZE), 1);
	assert_int_equal(query(f, templates), 4);
	assert_int_equal(thin_of(f, "larger")->content.bytes, 2 * SIZE);
	assert_int_equal(model_thins(disk_of(f)), 14);
}

static void block_device_has_its_identity_from_the_first_publish_on(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };
	struct fixture *f = *state;

	(void)create(f, "v", "ext4", SIZE);
	model_file("/f", S_IFREG);
	succeeds(f, kvol_publish(f->pool, "v", "/f", &o, &f->e));
	assert_string_equal(thin_of(f, "v")->content.uuid, info_of(f, "v").uuid);
	/* What its holder puts on it keeps the identity that it has. */
	assert_int_equal(query(f, "SELECT flags FROM volume WHERE name = 'v'"), 0);
	(void)kv_strcpy(thin_of(f, "v")->content.uuid, KV_UUID_LEN + 1,
			"11111111-2222-4333-8444-555555555555");
	succeeds(f, kvol_unpublish(f->pool, "v", "/f", NULL, &f->e));
	succeeds(f, kvol_publish(f->pool, "v", "/f", &o, &f->e));
	assert_string_equal(thin_of(f, "v")->content.uuid,
			    "11111111-2222-4333-8444-555555555555");
}

/* A tenant has written over it: that is no reason to keep the device from him. */
static void block_device_without_a_file_system_is_published(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };
	struct fixture *f = *state;

	(void)create(f, "v", "ext4", SIZE);
	model_file("/f", S_IFREG);
	model_fail("fs renew", 1, -EUCLEAN);
	succeeds(f, kvol_publish(f->pool, "v", "/f", &o, &f->e));
	assert_int_equal(query(f, "SELECT flags FROM volume WHERE name = 'v'"), 0);
}

static void copies_of_what_was_never_published_have_theirs(void **state)
{
	struct fixture *f = *state;

	(void)create(f, "v", "ext4", SIZE);
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	publish_at(f, "c", "/c");
	publish_at(f, "s", "/s");
	publish_at(f, "v", "/v");
	assert_string_equal(thin_of(f, "c")->content.uuid, info_of(f, "c").uuid);
	assert_string_equal(thin_of(f, "s")->content.uuid, info_of(f, "s").uuid);
	assert_string_equal(thin_of(f, "v")->content.uuid, info_of(f, "v").uuid);
}

static void root_directory_is_given_away_in_a_clone_too(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "xfs",
				      .flags = KVOL_CREATE_OWNER,
				      .uid = 7,
				      .gid = 8 };
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "v", SIZE, &o, &f->e));
	assert_int_equal(thin_of(f, "v")->content.uid, 7);
	assert_string_equal(thin_of(f, "v")->content.uuid, info_of(f, "v").uuid);
	assert_int_equal(query(f, "SELECT flags FROM volume WHERE name = 'v'"), 0);
	assert_int_equal(query(f, templates), 1);
	/* And of nobody else. */
	(void)create(f, "w", "xfs", SIZE);
	assert_int_equal(thin_of(f, "w")->content.uid, 0);
}

static void encrypted_and_thick_volumes_are_made_for_themselves(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "ext4",
				      .flags = KVOL_CREATE_THICK };
	struct fixture *f = *state;
	uint32_t before = time_of(f);

	succeeds(f, kvol_create(f->pool, "t", 16 * MIB, &o, &f->e));
	o.flags = 0;
	o.secret = "open sesame";
	o.secret_bytes = 11;
	succeeds(f, kvol_create(f->pool, "e", SIZE, &o, &f->e));
	assert_int_equal(time_of(f), before);
	assert_int_equal(query(f, templates), 0);
	assert_int_equal(create(f, "raw", NULL, SIZE), 0);
}

/* Another program's file systems are not those of this one. */
static void another_mkfs_makes_another_template(void **state)
{
	struct fixture *f = *state;

	(void)create(f, "a", "ext4", SIZE);
	model->mkfs_bytes = 8192;
	(void)create(f, "b", "ext4", SIZE);
	assert_int_equal(query(f, templates), 2);
	model->mkfs_bytes = 0; /* it is gone: so whoever makes it says so */
	assert_int_equal(create(f, "c", "ext4", SIZE), 0);
	fails(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	assert_int_equal(query(f, templates), 2);
}

static void the_oldest_of_many_goes(void **state)
{
	struct fixture *f = *state;

	for (uint64_t i = 0; i < 20; i++)
		succeeds(f, kvol_template_make(f->pool, "ext4", SIZE + i * 4096, &f->e));
	assert_int_equal(query(f, templates), 16);
	assert_int_equal(query(f, "SELECT count(*) FROM volume WHERE name IS NOT NULL"
				  " AND bytes < 536870912 + 4 * 4096"),
			 0);
	assert_int_equal(model_thins(disk_of(f)), 16);
}

static void nobody_takes_them_for_volumes(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_list_opts o = { .size = sizeof(o), .flags = KVOL_LIST_TEMPLATES };
	struct kvol_pool_info pool = { .size = sizeof(pool) };
	struct fixture *f = *state;
	struct kvol_iter *iter;

	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	kvol_iter_free(iter);
	succeeds(f, kvol_pool_stat(f->pool, &pool, &f->e));
	assert_int_equal(pool.n_volumes, 0);
	assert_int_equal(pool.n_snapshots, 0);
	assert_int_equal(pool.provisioned, 0);
	succeeds(f, kvol_list_filtered(f->pool, &o, &iter, &f->e));
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	assert_int_equal(info.kind, KVOL_KIND_TEMPLATE);
	assert_int_equal(info.bytes, SIZE);
	assert_string_equal(info.fs_type, "ext4");
	fails(f, kvol_delete(f->pool, info.name, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_clone(f->pool, info.name, "c", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	kvol_iter_free(iter);
}

static void limits_are_for_volumes(void **state)
{
	struct kvol_policy_opts p = { .size = sizeof(p),
				      .flags = KVOL_SET_MAX_VOLUMES,
				      .max_volumes = 1 };
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct fixture *f = *state;

	succeeds(f, kvol_pool_set(f->pool, &p, &f->e));
	(void)create(f, "v", "ext4", SIZE);
	fails(f, kvol_create(f->pool, "w", SIZE, &o, &f->e), -ENOSPC, KVOL_R_LIMIT);
}

static void deleted_ones_are_made_again(void **state)
{
	struct fixture *f = *state;

	(void)create(f, "v", "ext4", SIZE);
	(void)create(f, "w", "xfs", SIZE);
	(void)create(f, "x", "ext4", 2 * SIZE);
	succeeds(f, kvol_template_delete(f->pool, "ext4", 2 * SIZE, &f->e));
	assert_int_equal(query(f, templates), 2);
	succeeds(f, kvol_template_delete(f->pool, "ext4", 0, &f->e));
	assert_int_equal(query(f, templates), 1);
	succeeds(f, kvol_template_delete(f->pool, NULL, 0, &f->e));
	succeeds(f, kvol_template_delete(f->pool, "", 0, &f->e));
	assert_int_equal(query(f, templates), 0);
	assert_int_equal(model_thins(disk_of(f)), 3);
	assert_int_equal(create(f, "y", "ext4", SIZE), 1);
	assert_int_equal(query(f, templates), 1);
}

/* As a repair may leave it. */
static void one_that_the_pool_has_lost_is_made_again(void **state)
{
	struct fixture *f = *state;

	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	model_thin(disk_of(f), (uint32_t)query(f, "SELECT id FROM volume"))->used = false;
	assert_int_equal(create(f, "v", "ext4", SIZE), 1);
	assert_int_equal(query(f, templates), 1);
	assert_int_equal(model_thins(disk_of(f)), 2);
}

#define FEW_LEFT ((1 << 24) - (1 << 16) - (1 << 20))

static void few_left(struct fixture *f)
{
	char sql[64];

	close_pool(f);
	(void)snprintf(sql, sizeof(sql), "UPDATE pool SET snapshots = %d", FEW_LEFT);
	doctor(f, sql);
	open_pool(f);
}

/* The kernel never stops counting: what is left is for those who need it. */
static void scarce_snapshots_are_not_spent_on_creations(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;
	struct model_thin *copy;
	char path[32];

	few_left(f);
	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		(void)snprintf(path, sizeof(path), "/%s", types[i]);
		assert_int_equal(create(f, types[i], types[i], SIZE), 0);
		assert_int_equal(query(f, templates), i + 1);
		assert_null(dev_of(f, types[i], false));
		copy = thin_of(f, types[i]);
		assert_string_equal(copy->content.fs, types[i]);
		assert_false(copy->content.torn);
		publish_at(f, types[i], path);
		assert_string_equal(copy->content.uuid, info_of(f, types[i]).uuid);
	}
	assert_false(disk_of(f)->metadata.snapshot);
	succeeds(f, kvol_snapshot(f->pool, "ext4", "s", NULL, &f->e));
	assert_true(query(f, snapshots) > FEW_LEFT);
}

/* Where the kernel's count is ahead of the catalogue's, at once. */
static void others_snapshots_make_them_scarce(void **state)
{
	struct fixture *f = *state;

	close_pool(f);
	disk_of(f)->metadata.time = FEW_LEFT;
	model_render(disk_of(f), -1);
	open_pool(f);
	assert_int_equal(create(f, "v", "ext4", SIZE), 0);
	assert_int_equal(query(f, templates), 1);
}

static void root_directory_is_given_away_in_a_copy_too(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "ext4",
				      .flags = KVOL_CREATE_OWNER,
				      .uid = 7,
				      .gid = 8 };
	struct fixture *f = *state;

	few_left(f);
	succeeds(f, kvol_create(f->pool, "v", SIZE, &o, &f->e));
	assert_int_equal(thin_of(f, "v")->content.uid, 7);
	assert_string_equal(thin_of(f, "v")->content.uuid, info_of(f, "v").uuid);
	(void)create(f, "w", "ext4", SIZE);
	assert_int_equal(thin_of(f, "w")->content.uid, 0);
}

/* Its last block is the pool's, but ends with the volume. */
static void copy_ends_where_the_volume_does(void **state)
{
	struct fixture *f = *state;

	few_left(f);
	assert_int_equal(create(f, "v", "ext4", SIZE + 4096), 0);
	assert_int_equal(thin_of(f, "v")->content.bytes, SIZE + 4096);
}

/* Somebody looks at the metadata: mkfs does not need to. */
static void nobody_waits_long_for_the_metadata(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;

	few_left(f);
	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	dir = open_run_pool(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_SNAPSHOT, 0, &lock), 0);
	model->deadline_divisor = 20;
	assert_int_equal(create(f, "v", "ext4", SIZE), 0);
	assert_string_equal(thin_of(f, "v")->content.fs, "ext4");
	assert_string_equal(thin_of(f, "v")->content.uuid, info_of(f, "v").uuid);
}

static void lost_one_is_made_again_for_a_copy(void **state)
{
	struct fixture *f = *state;

	few_left(f);
	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	model_thin(disk_of(f), (uint32_t)query(f, "SELECT id FROM volume"))->used = false;
	assert_int_equal(create(f, "v", "ext4", SIZE), 0);
	assert_int_equal(query(f, templates), 1);
	assert_int_equal(model_thins(disk_of(f)), 2);
	assert_string_equal(thin_of(f, "v")->content.fs, "ext4");
}

static void failures_of_a_copy_leave_nothing(void **state)
{
	static const char *const steps[] = { "message reserve_metadata_snap",
					     "message release_metadata_snap",
					     "device copy", "device flush", "commit" };
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct fixture *f = *state;

	few_left(f);
	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i], 1, -EIO);
		assert_true(kvol_create(f->pool, "v", SIZE, &o, &f->e) < 0);
		reopen_pool(f);
		assert_false(exists(f, "v"));
		assert_int_equal(model_thins(disk_of(f)), 1);
		assert_false(disk_of(f)->metadata.snapshot);
	}
	model_fail("device copy", 1, -ENOSPC);
	fails(f, kvol_create(f->pool, "v", SIZE, &o, &f->e), -ENOSPC,
	      KVOL_R_NO_DATA_SPACE);
	(void)create(f, "v", "ext4", SIZE);
}

static void bad_arguments_are_refused(void **state)
{
	struct fixture *f = *state;

	fails(f, kvol_template_make(NULL, "ext4", SIZE, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_template_make(f->pool, NULL, SIZE, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_template_make(f->pool, "", SIZE, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_template_make(f->pool, "ext3", SIZE, &f->e), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	fails(f, kvol_template_make(f->pool, "ext4", 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_template_make(f->pool, "ext4", 4096, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_template_make(f->pool, "ext4", UINT64_MAX, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_template_delete(NULL, NULL, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_template_delete(f->pool, "ext3", 0, &f->e), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	assert_int_equal(query(f, templates), 0);
}

/* A disk may come from anybody. */
static void one_that_is_not_what_its_name_says_is_refused(void **state)
{
	static const char *const bad[] = {
		"fs_type = 'xfs'",
		"bytes = bytes + 4096",
		"kind = 1",
		"flags = 4",
	};
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct fixture *f = *state;
	struct model_saved *saved;
	char sql[64];

	succeeds(f, kvol_template_make(f->pool, "ext4", SIZE, &f->e));
	close_pool(f);
	saved = model_save();
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		(void)snprintf(sql, sizeof(sql), "UPDATE volume SET %s", bad[i]);
		doctor(f, sql);
		open_pool(f);
		fails(f, kvol_create(f->pool, "v", SIZE, &o, &f->e), -EUCLEAN, KVOL_R_CORRUPT);
		close_pool(f);
		model_restore(saved);
	}
	model_saved_free(saved);
	open_pool(f);
	(void)create(f, "v", "ext4", SIZE);
}

static void failures_leave_nothing(void **state)
{
	static const char *const steps[] = { "mkfs ext4", "message create_snap", "commit" };
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i], 1, -EIO);
		assert_true(kvol_create(f->pool, "v", SIZE, &o, &f->e) < 0);
		reopen_pool(f);
		assert_false(exists(f, "v"));
		assert_int_equal(model_thins(disk_of(f)), query(f, templates));
	}
	(void)create(f, "v", "ext4", SIZE);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(volumes_of_one_size_are_clones_of_one_template),
		on_pool(block_device_has_its_identity_from_the_first_publish_on),
		on_pool(block_device_without_a_file_system_is_published),
		on_pool(copies_of_what_was_never_published_have_theirs),
		on_pool(root_directory_is_given_away_in_a_clone_too),
		on_pool(encrypted_and_thick_volumes_are_made_for_themselves),
		on_pool(another_mkfs_makes_another_template),
		on_pool(the_oldest_of_many_goes),
		on_pool(nobody_takes_them_for_volumes),
		on_pool(limits_are_for_volumes),
		on_pool(deleted_ones_are_made_again),
		on_pool(one_that_the_pool_has_lost_is_made_again),
		on_pool(scarce_snapshots_are_not_spent_on_creations),
		on_pool(others_snapshots_make_them_scarce),
		on_pool(root_directory_is_given_away_in_a_copy_too),
		on_pool(copy_ends_where_the_volume_does),
		on_pool(nobody_waits_long_for_the_metadata),
		on_pool(lost_one_is_made_again_for_a_copy),
		on_pool(failures_of_a_copy_leave_nothing),
		on_pool(bad_arguments_are_refused),
		on_pool(one_that_is_not_what_its_name_says_is_refused),
		on_pool(failures_leave_nothing),
	};

	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
