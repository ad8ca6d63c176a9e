/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Growing, on the model: the catalogue first, then the device, then the file system, then
 * the mark goes; whoever comes next goes on from where it stopped.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

static int64_t flags_of(struct fixture *f, const char *name)
{
	char sql[128];

	(void)snprintf(sql, sizeof(sql), "SELECT flags FROM volume WHERE name = '%s'",
		       name);
	return query(f, sql);
}

static uint64_t device_bytes(struct fixture *f, const char *name, bool readonly)
{
	struct model_dev *d = dev_of(f, name, readonly);

	return d ? d->table.sectors * KV_SECTOR : 0;
}

static void publish_at(struct fixture *f, const char *name, const char *target,
		       uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = flags };

	model_file(target, flags & KVOL_PUBLISH_BLOCK ? S_IFREG : S_IFDIR);
	succeeds(f, kvol_publish(f->pool, name, target, &o, &f->e));
}

static void unpublished_volume_grows_with_its_file_system(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		succeeds(f, create_volume(f, types[i], types[i]));
		succeeds(f, kvol_expand(f->pool, types[i], 600 * MIB, 0, &f->e));
		assert_int_equal(info_of(f, types[i]).bytes, 600 * MIB);
		assert_int_equal(thin_of(f, types[i])->content.bytes, 600 * MIB);
		assert_int_equal(flags_of(f, types[i]), 0);
		assert_null(dev_of(f, types[i], false));
		assert_int_equal(model_n_mounts(), 0);
	}
}

static void published_volume_grows_while_in_use(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
	assert_int_equal(device_bytes(f, "v", false), 600 * MIB);
	assert_int_equal(flags_of(f, "v"), 0);
	assert_int_equal(model_n_mounts(), 1);
	assert_int_equal(info_of(f, "v").n_targets, 1);
}

static void volume_published_read_only_grows(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", KVOL_PUBLISH_READONLY);
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
}

static void raw_volume_grows(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(flags_of(f, "v"), 0);
	publish_at(f, "v", "/v", KVOL_PUBLISH_BLOCK);
	assert_int_equal(device_bytes(f, "v", false), 600 * MIB);
	publish_at(f, "v", "/r", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY);
	succeeds(f, kvol_expand(f->pool, "v", 700 * MIB, 0, &f->e));
	assert_int_equal(device_bytes(f, "v", false), 700 * MIB);
	assert_int_equal(device_bytes(f, "v", true), 700 * MIB);
	assert_int_equal(flags_of(f, "v"), 0);
}

/* It belongs to whoever holds the device. */
static void file_system_on_a_published_device_is_left_alone(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", KVOL_PUBLISH_BLOCK);
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(device_bytes(f, "v", false), 600 * MIB);
	assert_int_equal(thin_of(f, "v")->content.bytes, 512 * MIB);
	assert_int_equal(flags_of(f, "v"), KV_ROW_GROW);
	succeeds(f, kvol_unpublish(f->pool, "v", "/v", NULL, &f->e));
	publish_at(f, "v", "/fs", 0);
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
	assert_int_equal(flags_of(f, "v"), 0);
}

static void expand_to_less_is_nothing(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_expand(f->pool, "v", 512 * MIB, 0, &f->e));
	succeeds(f, kvol_expand(f->pool, "v", 1, 0, &f->e));
	assert_int_equal(info_of(f, "v").bytes, 512 * MIB);
	succeeds(f, kvol_expand(f->pool, "v", 512 * MIB + 1, 0, &f->e));
	assert_int_equal(info_of(f, "v").bytes, 512 * MIB + 4096);
	disk_of(f)->mode = MODEL_READ_ONLY;
	succeeds(f, kvol_expand(f->pool, "v", 512 * MIB, 0, &f->e));
}

static void bad_arguments_of_expand_are_refused(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	fails(f, kvol_expand(NULL, "v", MIB, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_expand(f->pool, NULL, MIB, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_expand(f->pool, "", MIB, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_expand(f->pool, "v", 0, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_expand(f->pool, "v", UINT64_MAX, 0, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 1, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_expand(f->pool, "none", MIB, 0, &f->e), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, kvol_expand(f->pool, "s", 600 * MIB, 0, &f->e), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	assert_int_equal(info_of(f, "v").bytes, 512 * MIB);
}

/* Whatever fails after the commit is taken up again by the next call. */
static void failed_growth_is_taken_up_by_the_next_expand(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
	} steps[] = {
		{ "dm load", 1 }, { "dm resume", 1 }, { "mount", 1 },
		{ "fs grow", 1 }, { "commit", 2 },
	};
	struct fixture *f = *state;
	uint64_t bytes = 512 * MIB;

	succeeds(f, create_volume(f, "v", "ext4"));
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		bytes += MIB;
		model_fail(steps[i].step, steps[i].nth, -EIO);
		fails(f, kvol_expand(f->pool, "v", bytes, 0, &f->e), -EIO, KVOL_R_IO);
		assert_int_equal(info_of(f, "v").bytes, bytes);
		assert_int_equal(flags_of(f, "v"), KV_ROW_GROW);
		assert_null(dev_of(f, "v", false));
		succeeds(f, kvol_expand(f->pool, "v", bytes, 0, &f->e));
		assert_int_equal(thin_of(f, "v")->content.bytes, bytes);
		assert_int_equal(flags_of(f, "v"), 0);
	}
	model_fail("commit", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", bytes + MIB, 0, &f->e), -EIO, KVOL_R_IO);
	assert_int_equal(info_of(f, "v").bytes, bytes);
}

static void failed_growth_is_taken_up_by_the_next_publish(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	model_fail("dm load", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
	assert_int_equal(device_bytes(f, "v", false), 512 * MIB);
	publish_at(f, "v", "/w", 0);
	assert_int_equal(device_bytes(f, "v", false), 600 * MIB);
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
	assert_int_equal(flags_of(f, "v"), 0);
}

static void failed_growth_is_taken_up_by_the_next_publish_of_the_device(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	publish_at(f, "v", "/v", KVOL_PUBLISH_BLOCK);
	model_fail("dm load", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
	assert_int_equal(device_bytes(f, "v", false), 512 * MIB);
	publish_at(f, "v", "/w", KVOL_PUBLISH_BLOCK);
	assert_int_equal(device_bytes(f, "v", false), 600 * MIB);
}

static void copies_owe_what_their_source_owes(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_fail("fs grow", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	publish_at(f, "c", "/c", 0);
	assert_int_equal(thin_of(f, "c")->content.bytes, 600 * MIB);
}

static void snapshot_of_an_ungrown_volume_can_be_published(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_fail("fs grow", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	publish_at(f, "s", "/s", 0);
	publish_at(f, "s", "/t", 0);
	assert_true(model_mount_at(NULL, "/s")->super_readonly);
}

static int expand_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_expand(pool, "v", 600 * MIB, 0, NULL);
}

static void killed_growth_is_finished_for_volumes_in_use(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
	} steps[] = {
		{ "dm load", 1 }, { "dm resume", 1 }, { "mount", 1 },
		{ "fs grow", 1 }, { "commit", 2 },
	};
	struct fixture *f = *state;
	char target[16];

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		(void)snprintf(target, sizeof(target), "/v%zu", i);
		succeeds(f, create_volume(f, "v", "ext4"));
		publish_at(f, "v", target, 0);
		killed_at(f, steps[i].step, steps[i].nth, expand_v, NULL);
		reopen_pool(f);
		assert_int_equal(info_of(f, "v").bytes, 600 * MIB);
		assert_int_equal(device_bytes(f, "v", false), 600 * MIB);
		succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
		assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
		succeeds(f, kvol_unpublish(f->pool, "v", target, NULL, &f->e));
		succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	}
}

static void killed_before_the_commit_nothing_has_changed(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	killed_at(f, "commit", 1, expand_v, NULL);
	reopen_pool(f);
	assert_int_equal(info_of(f, "v").bytes, 512 * MIB);
	assert_int_equal(flags_of(f, "v"), 0);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(unpublished_volume_grows_with_its_file_system),
		on_pool(published_volume_grows_while_in_use),
		on_pool(volume_published_read_only_grows),
		on_pool(raw_volume_grows),
		on_pool(file_system_on_a_published_device_is_left_alone),
		on_pool(expand_to_less_is_nothing),
		on_pool(bad_arguments_of_expand_are_refused),
		on_pool(failed_growth_is_taken_up_by_the_next_expand),
		on_pool(failed_growth_is_taken_up_by_the_next_publish),
		on_pool(failed_growth_is_taken_up_by_the_next_publish_of_the_device),
		on_pool(copies_owe_what_their_source_owes),
		on_pool(snapshot_of_an_ungrown_volume_can_be_published),
		on_pool(killed_growth_is_finished_for_volumes_in_use),
		on_pool(killed_before_the_commit_nothing_has_changed),
	};

	return cmocka_run_group_tests_name("expand", tests, NULL, NULL);
}
