// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The failures that other volume managers are known for, one test for each: what LVM and
 * the CSI drivers around it, Docker, containerd, Convoy, Stratis, udisks and bare dm-thin
 * do to their users must not happen here. Each name says the failure; the line above each
 * function says whose it was.
 *
 * All of them work on one pool with known contents, and leave it as it was.
 */
#include "neighbours.h"

const char *raw_volume(const char *name)
{
	char at[64];

	assert_ok(kvol_create(pool, name, MIB(16), NULL, &err));
	(void)snprintf(at, sizeof(at), "%s.raw", name);
	return make_file(at);
}

const char *fs_volume(const char *name, const char *fs_type)
{
	char at[64];

	assert_ok(create_fs(name, strcmp(fs_type, "ext4") ? MIB(300) : MIB(32), fs_type));
	(void)snprintf(at, sizeof(at), "%s.at", name);
	return make_dir(at);
}

const char *dm_name_of(const char *name)
{
	static char dm_name[128];

	assert_sh("cat /sys/block/%s/dm/name", strrchr(info_of(name).device, '/') + 1);
	assert_int_equal(sscanf(sh_output(), "%127s", dm_name), 1);
	return dm_name;
}

static int up(void **state)
{
	watch_start();
	if (contents_up(state) < 0)
		return -1;
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_ok(kvol_create(pool, "warm", MIB(1), NULL, &err));
	assert_ok(kvol_delete(pool, "warm", 0, &err));
	return 0;
}

static int down(void **state)
{
	int r = contents_down(state);

	watch_end();
	return r;
}

/* What a test that failed has left must not fail the next. */
static int tidy(void **state)
{
	static const char *const names[] = { "v", "copied", "later", "shot", "guest" };

	(void)state;
	if (!pool)
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	if (count(0) == CONTENTS)
		return 0;
	(void)sh("umount /usr/sbin/mke2fs; grep -o ' %s/[^ ]* ' /proc/self/mountinfo | "
		 "sort -r | xargs -r umount",
		 dir);
	for (size_t i = 0; i < N_OF(names); i++)
		(void)kvol_delete(pool, names[i], 0, NULL);
	return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, tidy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mount_copied_into_another_namespace_does_not_wedge_delete),
		TEST(killed_container_leaves_no_mount_that_holds_the_volume),
		TEST(double_publish_makes_one_mount),
		TEST(nothing_is_staged_beside_a_publish),
		TEST(mount_taken_away_by_hand_is_noticed),
		TEST(symbolic_link_as_target_leads_nowhere),
		TEST(busy_device_is_refused_and_kept),
		TEST(mount_source_is_a_device_that_exists),
		TEST(xfs_clone_mounts_beside_its_origin),
		TEST(btrfs_clone_mounts_beside_its_origin),
		TEST(ext4_clone_mounts_beside_its_origin),
		TEST(publishing_never_formats_a_blank_device),
		TEST(snapshot_of_a_mounted_volume_is_not_torn),
		TEST(copied_disk_is_refused_beside_its_original),
		TEST(second_pool_of_the_same_name_is_refused),
		TEST(loop_devices_do_not_leak),
		TEST(pool_on_a_disk_of_4096_byte_sectors),
		TEST(pool_copied_from_512_to_4096_byte_sectors),
		TEST(stock_tools_see_that_the_disk_is_taken),
		TEST(disk_with_data_is_not_formatted),
		TEST(dead_device_beside_the_pool_stops_nothing),
		TEST(guests_disk_inside_a_volume_stays_its_own),
		TEST(pool_of_another_host_is_refused),
		TEST(catalogue_behind_the_thin_pool_opens_for_audit),
		TEST(snapshots_for_life_are_refused_before_the_kernel_wraps),
		TEST(no_program_is_started_for_what_needs_none),
		TEST(slow_mkfs_stops_no_other_volume),
		TEST(words_of_a_failed_helper_stay_off_our_stderr),
		TEST(killed_creation_is_repeated_without_object_already_exists),
		TEST(killed_process_leaves_no_mount_and_no_lock),
		TEST(frozen_origin_of_a_killed_snapshot_is_thawed),
		TEST(thin_ids_are_not_handed_out_twice),
		TEST(empty_snapshot_costs_no_data_space),
		TEST(deleting_gives_the_space_back),
		TEST(no_space_is_said_only_when_there_is_none),
		TEST(full_pool_is_refused_early_and_comes_back_by_deleting),
		TEST(new_volume_shows_nothing_of_a_deleted_one),
		TEST(smaller_size_never_shrinks),
		TEST(names_never_become_paths_or_device_names),
		TEST(threads_need_no_lock_around_the_library),
		TEST(forked_child_cannot_use_the_handle),
		TEST(files_of_the_pool_are_not_inherited_by_programs),
		TEST(no_udev_cookie_is_left),
		TEST(error_codes_are_errnos_with_a_reason),
	};

	need_device_mapper();
	printf("# figure classes of neighbours' failures: %zu\n", N_OF(tests));
	return cmocka_run_group_tests_name("neighbours", tests, up, down);
}
