/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Opening, closing, deactivating and describing pools, on the model: many handles, dead
 * activators, damaged disks, two disks of one name or one UUID.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

static void opened_pool_is_described(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool_info info;

	open_pool(f);
	info = pool_info(f);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.flags, 0);
	assert_string_equal(info.name, POOL_NAME);
	assert_string_equal(info.device, f->path);
	assert_true(kv_uuid_valid(info.uuid));
	assert_int_equal(info.max_volumes, MAX_VOLUMES);
	assert_int_equal(info.block_bytes, 65536);
	assert_int_equal(info.data_used, 0);
	assert_true(info.data_bytes > 900 * MIB && info.data_bytes < POOL_BYTES);
	assert_true(info.metadata_used > 0 && info.metadata_used < info.metadata_bytes);
	assert_int_equal(info.n_volumes + info.n_snapshots, 0);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(model_n_loops(), 1);
}

static void bad_arguments_are_refused(void **state)
{
	struct kvol_open_opts o = { .size = sizeof(o), .flags = 1u << 31 };
	struct kvol_pool_info info = { .size = 4 };
	struct kvol_pool *untouched = (struct kvol_pool *)&o, *pool = untouched;
	struct fixture *f = *state;

	fails(f, kvol_pool_open(NULL, f->path, NULL, &pool, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_open(f->ctx, NULL, NULL, &pool, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_open(f->ctx, "", NULL, &pool, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_open(f->ctx, f->path, &o, &pool, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_open(f->ctx, ".x", NULL, &pool, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	assert_ptr_equal(pool, untouched);
	open_pool(f);
	fails(f, kvol_pool_stat(NULL, &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_stat(f->pool, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_stat(f->pool, &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_deactivate(NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	kvol_pool_close(NULL);
	kvol_free(NULL);
}

static void what_is_no_pool_is_refused_and_left_alone(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *pool;
	char path[2 * MODEL_PATH];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/none", model->dir);
	fails(f, kvol_pool_open(f->ctx, path, NULL, &pool, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	(void)snprintf(path, sizeof(path), "%s/x", f->path);
	fails(f, kvol_pool_open(f->ctx, path, NULL, &pool, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_pool_open(f->ctx, POOL_NAME, NULL, &pool, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_pool_open(f->ctx, model->dir, NULL, &pool, &f->e), -EMEDIUMTYPE,
	      KVOL_R_NOT_A_POOL);
	fails(f, kvol_pool_open(f->ctx, "/dev/null", NULL, &pool, &f->e), -EMEDIUMTYPE,
	      KVOL_R_NOT_A_POOL);
	(void)snprintf(path, sizeof(path), "%s/other", model->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(kv_pwrite_full(fd, "SIG:xfs", 8, 0), 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	(void)close(fd);
	fails(f, kvol_pool_open(f->ctx, path, NULL, &pool, &f->e), -EMEDIUMTYPE,
	      KVOL_R_NOT_A_POOL);
	assert_int_equal(model_n_devs(), 0);
}

static void truncated_or_damaged_pool_is_corrupt(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *pool;

	disk_of(f)->catalogue_damaged = true;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	disk_of(f)->catalogue_damaged = false;
	disk_of(f)->has_catalogue_fs = false;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	disk_of(f)->has_catalogue_fs = true;
	disk_of(f)->metadata_damaged = true;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	disk_of(f)->metadata_damaged = false;
	/* The kernel would take it for new. */
	disk_of(f)->metadata.formatted = false;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	disk_of(f)->metadata.formatted = true;
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
	doctor(f, "UPDATE pool SET uuid = '01234567-89ab-4def-8123-456789abcdef'");
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	assert_int_equal(truncate(f->path, 500 << 20), 0);
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
}

static void hostile_catalogue_is_corrupt(void **state)
{
	static const char *const bad[] = {
		"UPDATE pool SET uuid = 'x'",
		"UPDATE pool SET name = '../x'",
		"UPDATE pool SET name = ''",
		"UPDATE pool SET block_bytes = 65537",
		"UPDATE pool SET block_bytes = 0",
		"UPDATE pool SET block_bytes = -65536",
		"UPDATE pool SET block_bytes = 'many'",
		"DELETE FROM pool",
		"PRAGMA user_version = 2",
		"PRAGMA application_id = 1",
		"DROP TABLE pool",
	};
	struct model_saved *saved = model_save();
	struct fixture *f = *state;
	struct kvol_pool *pool;

	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		doctor(f, bad[i]);
		fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EUCLEAN,
		      KVOL_R_CORRUPT);
		assert_int_equal(model_n_devs(), 0);
		model_restore(saved);
	}
	open_pool(f);
	model_saved_free(saved);
}

static void kernel_that_lacks_something_is_named(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *pool;

	model->no_device_mapper = true;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EOPNOTSUPP,
	      KVOL_R_NO_KERNEL_SUPPORT);
	model->no_device_mapper = false;
	model->no_thin_target = true;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EOPNOTSUPP,
	      KVOL_R_NO_KERNEL_SUPPORT);
	assert_int_equal(model_n_devs(), 0);
}

static void failed_activation_leaves_nothing(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
	} steps[] = {
		{ "gpt read", 1 },  { "loop attach", 1 }, { "dm open", 1 },
		{ "dm create", 1 }, { "dm create", 2 },	  { "dm create", 3 },
		{ "dm create", 4 }, { "dm load", 1 },	  { "dm load", 4 },
		{ "dm resume", 1 }, { "dm resume", 4 },	  { "mount", 1 },
		{ "dm target", 1 }, { "record", 1 },
	};
	struct fixture *f = *state;
	struct kvol_pool *pool;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, steps[i].nth, -EIO);
		fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EIO,
		      KVOL_R_IO);
		assert_int_equal(model_n_devs(), 0);
		assert_int_equal(model_n_loops(), 0);
	}
	model_fail("dm create", 1, -EBUSY);
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EBUSY,
	      KVOL_R_BUSY_OPEN);
	open_pool(f);
}

static int open_only(void *arg)
{
	struct fixture *f = arg;
	struct kvol_pool *pool;

	return -kvol_pool_open(f->ctx, f->path, NULL, &pool, NULL);
}

static void what_a_killed_activator_leaves_is_used_or_replaced(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
	} steps[] = {
		{ "dm create", 1 }, { "dm load", 1 },	{ "dm resume", 1 },
		{ "mount", 1 },	    { "dm create", 2 }, { "dm load", 2 },
		{ "dm resume", 2 }, { "dm create", 3 }, { "dm load", 3 },
		{ "dm create", 4 }, { "dm load", 4 },	{ "dm resume", 4 },
		{ "record", 1 },    { "dm list", 1 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_crash(steps[i].step, steps[i].nth);
		assert_int_equal(model_in_child(open_only, f), MODEL_CRASHED);
		model_forget_plans();
		open_pool(f);
		assert_int_equal(model_n_devs(), 4);
		assert_int_equal(model_n_loops(), 1);
		assert_string_equal(pool_info(f).device, f->path);
		succeeds(f, kvol_create(f->pool, "v", MIB, NULL, &f->e));
		succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
		close_pool(f);
		assert_int_equal(model_n_devs(), 0);
	}
}

static void pool_is_joined_by_path_and_by_name(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *other;

	open_pool(f);
	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, kvol_pool_open(f->ctx, POOL_NAME, NULL, &other, &f->e));
	assert_int_equal(model_n_devs(), 4);
	fails(f, kvol_pool_deactivate(other, &f->e), -EBUSY, KVOL_R_BUSY_OPEN);
	succeeds(f, kvol_create(other, "v", 512 * MIB, NULL, &f->e));
	close_pool(f);
	f->pool = other;
	assert_string_equal(pool_info(f).device, f->path);
	close_pool(f);
	assert_int_equal(model_n_devs(), 4); /* it stays active */
	succeeds(f, kvol_pool_open(f->ctx, POOL_NAME, NULL, &f->pool, &f->e));
}

static void open_waits_for_an_activator_until_its_deadline(void **state)
{
	_cleanup_close_ int dir = -1, lock = -1;
	struct fixture *f = *state;
	struct kvol_pool *pool;

	open_pool(f);
	dir = open_run_pool(f);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	lock = kv_lock_open(dir);
	assert_int_equal(kv_lock_exclusive(lock, KV_LOCK_POOL, 0), 0);
	model->deadline_divisor = 600;
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	kv_lock_drop(lock, KV_LOCK_POOL);
	succeeds(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e));
	kvol_pool_close(pool);
}

/* --- Two of a kind ---------------------------------------------------------------- */

static void copy_of_an_active_disk_is_refused(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *pool;
	char copy[MODEL_PATH];

	(void)snprintf(copy, sizeof(copy), "%s/copy.img", model->dir);
	model_disk_copy(f->path, copy);
	open_pool(f);
	fails(f, kvol_pool_open(f->ctx, copy, NULL, &pool, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	close_pool(f);
	fails(f, kvol_pool_open(f->ctx, copy, NULL, &pool, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	open_pool(f);
	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	succeeds(f, kvol_pool_open(f->ctx, copy, NULL, &pool, &f->e));
	assert_int_equal(kvol_delete(pool, "v", 0, NULL), 0);
	assert_int_equal(model_thins(disk_of(f)), 1);
	kvol_pool_close(pool);
}

static void second_active_pool_of_one_name_is_refused(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = POOL_BYTES };
	struct fixture *f = *state;
	struct kvol_pool *pool;
	char second[MODEL_PATH];

	(void)snprintf(second, sizeof(second), "%s/second.img", model->dir);
	succeeds(f, kvol_pool_format(f->ctx, POOL_NAME, second, &o, &f->e));
	open_pool(f);
	fails(f, kvol_pool_open(f->ctx, second, NULL, &pool, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(model_n_loops(), 1);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	succeeds(f, kvol_pool_open(f->ctx, second, NULL, &pool, &f->e));
	kvol_pool_close(pool);
}

static void two_pools_stand_side_by_side(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = POOL_BYTES };
	struct fixture *f = *state;
	struct kvol_pool *pool;
	char second[MODEL_PATH];

	(void)snprintf(second, sizeof(second), "%s/second.img", model->dir);
	succeeds(f, kvol_pool_format(f->ctx, "other", second, &o, &f->e));
	open_pool(f);
	succeeds(f, kvol_pool_open(f->ctx, second, NULL, &pool, &f->e));
	assert_int_equal(model_n_devs(), 8);
	succeeds(f, kvol_create(pool, "v", MIB, NULL, &f->e));
	assert_false(exists(f, "v"));
	succeeds(f, kvol_pool_deactivate(pool, &f->e));
	kvol_pool_close(pool);
	assert_int_equal(model_n_devs(), 4);
	succeeds(f, create_volume(f, "v", NULL));
}

/* --- Deactivating ----------------------------------------------------------------- */

static void deactivated_pool_leaves_nothing_and_moves(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	char moved[MODEL_PATH];

	open_pool(f);
	succeeds(f, create_volume(f, "v", "ext4"));
	(void)info_of(f, "v"); /* reads the metadata device */
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	fails(f, kvol_pool_stat(f->pool, &info, &f->e), -ESHUTDOWN, KVOL_R_INVALID);
	fails(f, create_volume(f, "w", NULL), -ESHUTDOWN, KVOL_R_INVALID);
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -ESHUTDOWN, KVOL_R_INVALID);
	fails(f, kvol_list(f->pool, 0, &iter, &f->e), -ESHUTDOWN, KVOL_R_INVALID);
	close_pool(f);
	(void)snprintf(moved, sizeof(moved), "%s/moved.img", model->dir);
	assert_int_equal(rename(f->path, moved), 0);
	memcpy(f->path, moved, sizeof(moved));
	open_pool(f);
	assert_string_equal(pool_info(f).device, moved);
	assert_true(exists(f, "v"));
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
}

static void pool_in_use_is_not_deactivated(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *other;
	int fd;

	open_pool(f);
	model_file("/v", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	other = another_handle(f);
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY, KVOL_R_BUSY_OPEN);
	kvol_pool_close(other);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_non_null(strstr(f->e.msg, "/v"));
	fd = kv_blockdev_open(model_dev_number(dev_of(f, "v", false)), O_RDONLY);
	succeeds(f, kvol_unpublish(f->pool, "v", "/v", NULL, &f->e));
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY, KVOL_R_BUSY_OPEN);
	/* The handle is as good as before, and others get in. */
	other = another_handle(f);
	succeeds(f, kvol_create(other, "w", MIB, NULL, &f->e));
	kvol_pool_close(other);
	assert_true(exists(f, "w"));
	(void)close(fd);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
}

static void pool_is_not_deactivated_under_an_open_listing(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct kvol_iter *iter;

	open_pool(f);
	succeeds(f, create_volume(f, "a", NULL));
	succeeds(f, create_volume(f, "b", NULL));
	succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	model->deadline_divisor = 1000;
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY, KVOL_R_BUSY_OPEN);
	model->deadline_divisor = 1;
	/* Nothing has happened to either of them. */
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	succeeds(f, create_volume(f, "c", NULL));
	kvol_iter_free(iter);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	assert_int_equal(model_n_devs(), 0);
}

static void half_deactivated_pool_is_put_up_again(void **state)
{
	struct fixture *f = *state;

	for (unsigned nth = 1; nth <= 4; nth++) {
		open_pool(f);
		model_fail("dm remove", nth, -EIO);
		fails(f, kvol_pool_deactivate(f->pool, &f->e), -EIO, KVOL_R_IO);
		close_pool(f);
		open_pool(f);
		assert_int_equal(model_n_devs(), 4);
		succeeds(f, create_volume(f, "v", NULL));
		close_pool(f);
	}
}

static void device_that_is_looked_at_for_a_moment_does_no_harm(void **state)
{
	struct fixture *f = *state;

	open_pool(f);
	model_fail("dm remove", 1, -EBUSY);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	assert_int_equal(model_n_devs(), 0);
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, setup_disk, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(opened_pool_is_described),
		on_disk(bad_arguments_are_refused),
		on_disk(what_is_no_pool_is_refused_and_left_alone),
		on_disk(truncated_or_damaged_pool_is_corrupt),
		on_disk(hostile_catalogue_is_corrupt),
		on_disk(kernel_that_lacks_something_is_named),
		on_disk(failed_activation_leaves_nothing),
		on_disk(what_a_killed_activator_leaves_is_used_or_replaced),
		on_disk(pool_is_joined_by_path_and_by_name),
		on_disk(open_waits_for_an_activator_until_its_deadline),
		on_disk(copy_of_an_active_disk_is_refused),
		on_disk(second_active_pool_of_one_name_is_refused),
		on_disk(two_pools_stand_side_by_side),
		on_disk(deactivated_pool_leaves_nothing_and_moves),
		on_disk(pool_in_use_is_not_deactivated),
		on_disk(pool_is_not_deactivated_under_an_open_listing),
		on_disk(half_deactivated_pool_is_put_up_again),
		on_disk(device_that_is_looked_at_for_a_moment_does_no_harm),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
