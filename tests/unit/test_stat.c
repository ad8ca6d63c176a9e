/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Describing and listing volumes, on the model: any size of struct, one consistent
 * listing, and space that is told alike for active and inactive volumes.
 */

#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

static void bad_arguments_are_refused(void **state)
{
	struct kvol_info info = { .size = sizeof(info) }, small = { .size = 7 };
	struct kvol_iter *iter = NULL;
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	fails(f, kvol_stat(NULL, "v", &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_stat(f->pool, NULL, &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_stat(f->pool, "", &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_stat(f->pool, "v", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_stat(f->pool, "v", &small, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_stat(f->pool, "none", &info, &f->e), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, kvol_list(NULL, 0, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_list(f->pool, 0, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_list(f->pool, 8, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_list(f->pool, KVOL_LIST_TEMPLATES | KVOL_LIST_VOLUMES, &iter, &f->e),
	      -EINVAL, KVOL_R_INVALID);
	assert_null(iter);
	assert_int_equal(kvol_iter_next(NULL, &info), -EINVAL);
	succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
	assert_int_equal(kvol_iter_next(iter, NULL), -EINVAL);
	assert_int_equal(kvol_iter_next(iter, &small), -EINVAL);
	assert_int_equal(kvol_iter_next(iter, &info), 1); /* nothing was skipped */
	kvol_iter_free(iter);
	kvol_iter_free(NULL);
}

static void info_of_any_size_is_filled(void **state)
{
	union {
		struct kvol_info info;
		unsigned char bytes[2048];
	} u;
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	memset(&u, 0xee, sizeof(u));
	u.info.size = 24;
	succeeds(f, kvol_stat(f->pool, "v", &u.info, &f->e));
	assert_int_equal(u.info.size, 24);
	assert_int_equal(u.info.bytes, 512 * MIB);
	for (size_t i = 24; i < sizeof(u); i++)
		assert_int_equal(u.bytes[i], 0xee);
	u.info.size = sizeof(u);
	succeeds(f, kvol_stat(f->pool, "v", &u.info, &f->e));
	assert_int_equal(u.info.size, sizeof(u.info));
	assert_string_equal(u.info.name, "v");
	for (size_t i = sizeof(u.info); i < sizeof(u); i++)
		assert_int_equal(u.bytes[i], 0);
}

static void space_is_told_alike_active_or_not(void **state)
{
	struct fixture *f = *state;
	uint64_t allocated;

	model_file("/v", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	allocated = info_of(f, "v").allocated;
	assert_int_equal(allocated, 4 * 65536);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	assert_int_equal(info_of(f, "v").allocated, allocated);
	assert_int_equal(pool_info(f).data_used, allocated);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_int_equal(info_of(f, "s").allocated, allocated);
	assert_int_equal(pool_info(f).data_used, allocated); /* shared */
	assert_true(info_of(f, "v").created > 1500000000);
}

/* More than one node of the metadata's tree. */
static void space_is_found_among_many_volumes(void **state)
{
	struct fixture *f = *state;
	char name[16];

	succeeds(f, create_volume(f, "first", "ext4"));
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
	}
	succeeds(f, create_volume(f, "last", "ext4"));
	assert_int_equal(info_of(f, "first").allocated, 4 * 65536);
	assert_int_equal(info_of(f, "v200").allocated, 0);
	assert_int_equal(info_of(f, "last").allocated, 4 * 65536);
}

static void failed_reading_of_the_metadata_hides_the_space_alone(void **state)
{
	static const int failures[] = { -EIO, -EUCLEAN };
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	for (size_t i = 0; i < KV_ARRAY_SIZE(failures); i++) {
		model_fail("device open", 1, failures[i]);
		succeeds(f, kvol_stat(f->pool, "v", &info, &f->e));
		assert_string_equal(info.fs_type, "ext4");
		assert_int_equal(info.allocated, 0);
	}
	/* Nothing else is guessed: this one is no disk's failure. */
	model_fail("device open", 1, -EMFILE);
	fails(f, kvol_stat(f->pool, "v", &info, &f->e), -EMFILE, KVOL_R_SYSTEM);
	succeeds(f, kvol_stat(f->pool, "v", &info, &f->e));
	assert_int_equal(info.allocated, 4 * 65536);
}

static void listing_is_in_the_order_of_bytes(void **state)
{
	static const char *const sorted[] = {
		"10", "9", "A", "a", "a.s", "b", "\xc3\xa4"
	};
	static const unsigned order[] = { 3, 0, 6, 1, 5, 2 };
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct kvol_iter *iter;

	for (size_t i = 0; i < KV_ARRAY_SIZE(order); i++)
		succeeds(f, kvol_create(f->pool, sorted[order[i]], MIB, NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "a", "a.s", NULL, &f->e));
	succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
	for (size_t i = 0; i < KV_ARRAY_SIZE(sorted); i++) {
		assert_int_equal(kvol_iter_next(iter, &info), 1);
		assert_string_equal(info.name, sorted[i]);
		assert_int_equal(info.kind,
				 i == 4 ? KVOL_KIND_SNAPSHOT : KVOL_KIND_VOLUME);
	}
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	kvol_iter_free(iter);
}

static int count(struct fixture *f, uint32_t flags)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	int n = 0, r;

	succeeds(f, kvol_list(f->pool, flags, &iter, &f->e));
	while ((r = kvol_iter_next(iter, &info)) == 1)
		n++;
	assert_int_equal(r, 0);
	kvol_iter_free(iter);
	return n;
}

static void listing_may_be_of_one_kind(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(count(f, 0), 0);
	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, create_volume(f, "w", NULL));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_int_equal(count(f, 0), 3);
	assert_int_equal(count(f, KVOL_LIST_VOLUMES), 2);
	assert_int_equal(count(f, KVOL_LIST_SNAPSHOTS), 1);
	assert_int_equal(count(f, KVOL_LIST_VOLUMES | KVOL_LIST_SNAPSHOTS), 3);
	/* A tombstone is nobody's volume. */
	model_fail("message delete", 1, -EIO);
	succeeds(f, kvol_delete(f->pool, "w", 0, &f->e));
	assert_int_equal(count(f, 0), 2);
	assert_int_equal(pool_info(f).n_volumes, 1);
}

static void listing_stands_while_volumes_come_and_go(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct kvol_iter *iter;
	char name[16];

	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
	}
	succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		succeeds(f, kvol_delete(f->pool, name, 0, &f->e));
		(void)snprintf(name, sizeof(name), "w%d", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(kvol_iter_next(iter, &info), 1);
		assert_int_equal(info.name[0], 'v');
		assert_int_equal(info.allocated, 0);
	}
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	kvol_iter_free(iter);
}

static void damaged_row_ends_the_listing_with_an_error(void **state)
{
	static const char *const bad[] = {
		"bytes = 0",	 "bytes = 4097",
		"bytes = -4096", "kind = 4",
		"name = 'a/b'",	 "uuid = 'x'",
		"name = ''",	 "fs_type = '0123456789abcdefg'",
		"id = 16777216", "id = -1",
	};
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct model_saved *saved;
	struct kvol_iter *iter;
	char sql[128];

	succeeds(f, create_volume(f, "v", NULL));
	close_pool(f);
	saved = model_save();
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		(void)snprintf(sql, sizeof(sql), "UPDATE volume SET %s", bad[i]);
		doctor(f, sql);
		open_pool(f);
		succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
		assert_int_equal(kvol_iter_next(iter, &info), -EUCLEAN);
		assert_int_equal(kvol_iter_next(iter, &info), -EUCLEAN);
		kvol_iter_free(iter);
		close_pool(f);
		model_restore(saved);
	}
	open_pool(f);
	model_saved_free(saved);
}

/* --- How full, how well ----------------------------------------------------------- */

static struct kvol_volume_stats stats_of(struct fixture *f, const char *name)
{
	struct kvol_volume_stats s = { .size = sizeof(s) };

	succeeds(f, kvol_volume_stat(f->pool, name, &s, &f->e));
	assert_int_equal(!s.message[0], s.condition == KVOL_CONDITION_OK);
	return s;
}

static void figures_are_the_file_system_s(void **state)
{
	struct fixture *f = *state;
	struct kvol_volume_stats s;

	model_file("/v", S_IFDIR);
	model_ns_start("/proc/7/ns/mnt");
	succeeds(f, create_volume(f, "v", "ext4"));
	s = stats_of(f, "v");
	assert_int_equal(s.flags, 0);
	assert_int_equal(s.condition, KVOL_CONDITION_OK);
	assert_int_equal(s.allocated, 4 * 65536);
	succeeds(f, publish(f, "v", "/v", KVOL_PUBLISH_READONLY, NULL, "/proc/7/ns/mnt"));
	s = stats_of(f, "v");
	assert_int_equal(s.flags, KVOL_STATS_ACTIVE | KVOL_STATS_FS);
	assert_int_equal(s.condition, KVOL_CONDITION_OK); /* as it was asked for */
	assert_int_equal(s.fs_bytes, 512 * MIB);
	assert_int_equal(s.fs_used, MODEL_FS_USED);
	assert_int_equal(s.fs_available, 512 * MIB - MODEL_FS_USED);
	assert_int_equal(s.fs_inodes, 1000);
	assert_int_equal(s.fs_inodes_used, 11);
	assert_int_equal(s.fs_inodes_available, 989);
	/* Covered, or in a namespace that is gone: they are left out. */
	model_mount_stranger("/proc/7/ns/mnt", "/v");
	assert_int_equal(stats_of(f, "v").flags, KVOL_STATS_ACTIVE);
	model_ns_end("/proc/7/ns/mnt");
	assert_int_equal(stats_of(f, "v").fs_bytes, 0);
}

static void device_has_no_figures(void **state)
{
	struct fixture *f = *state;

	model_file("/f", S_IFREG);
	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, publish(f, "v", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	assert_int_equal(stats_of(f, "v").flags, KVOL_STATS_ACTIVE);
}

static void file_system_that_made_itself_read_only_is_told(void **state)
{
	struct fixture *f = *state;

	model_file("/v", S_IFDIR);
	model_file("/w", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, publish(f, "v", "/v", KVOL_PUBLISH_READONLY, NULL, NULL));
	succeeds(f, publish(f, "v", "/w", 0, NULL, NULL));
	assert_int_equal(stats_of(f, "v").condition, KVOL_CONDITION_OK);
	model->fs_errors = true;
	assert_int_equal(stats_of(f, "v").condition, KVOL_CONDITION_FS_ERROR);
	model_mount_at(NULL, "/v")->super_readonly = true;
	model_mount_at(NULL, "/w")->super_readonly = true;
	assert_int_equal(stats_of(f, "v").condition, KVOL_CONDITION_READ_ONLY);
	assert_int_equal(stats_of(f, "v").fs_bytes, 512 * MIB);
	model_mount_at(NULL, "/v")->super_readonly = false;
	model_mount_at(NULL, "/w")->super_readonly = false;
}

static void failing_file_system_and_device_are_told(void **state)
{
	struct fixture *f = *state;

	model_file("/v", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, publish(f, "v", "/v", 0, NULL, NULL));
	model_fail("usage", 0, -EIO);
	assert_int_equal(stats_of(f, "v").condition, KVOL_CONDITION_DEVICE_ERROR);
	assert_int_equal(stats_of(f, "v").flags, KVOL_STATS_ACTIVE);
	model_forget_plans();
	succeeds(f, unpublish(f, "v", "/v", NULL));
	model_fail("device open", 1, -EIO);
	assert_int_equal(stats_of(f, "v").condition, KVOL_CONDITION_DEVICE_ERROR);
	model_fail("device open", 1, -EUCLEAN);
	assert_int_equal(stats_of(f, "v").condition, KVOL_CONDITION_DEVICE_ERROR);
}

static void bad_arguments_of_volume_stat_are_refused(void **state)
{
	struct kvol_volume_stats s = { .size = 7 };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	fails(f, kvol_volume_stat(f->pool, "v", &s, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_volume_stat(f->pool, "v", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	s.size = sizeof(s);
	fails(f, kvol_volume_stat(f->pool, NULL, &s, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_volume_stat(f->pool, "x", &s, &f->e), -ENOENT, KVOL_R_NOT_FOUND);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(bad_arguments_are_refused),
		on_pool(info_of_any_size_is_filled),
		on_pool(space_is_told_alike_active_or_not),
		on_pool(space_is_found_among_many_volumes),
		on_pool(failed_reading_of_the_metadata_hides_the_space_alone),
		on_pool(listing_is_in_the_order_of_bytes),
		on_pool(listing_may_be_of_one_kind),
		on_pool(listing_stands_while_volumes_come_and_go),
		on_pool(figures_are_the_file_system_s),
		on_pool(device_has_no_figures),
		on_pool(file_system_that_made_itself_read_only_is_told),
		on_pool(failing_file_system_and_device_are_told),
		on_pool(bad_arguments_of_volume_stat_are_refused),
		on_pool(damaged_row_ends_the_listing_with_an_error),
	};

	return cmocka_run_group_tests_name("stat", tests, NULL, NULL);
}
