/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_NEIGHBOURS_H
#define KVOL_TESTS_NEIGHBOURS_H

/*
 * The parts of test_neighbours: a test for each way in which other volume managers are
 * known to fail, named after it. Many are held at length elsewhere; here each can be
 * found by its name.
 */

#include "disk.h"
#include "member.h"

/* A raw volume or a file system, and a place for it that has its name. */
const char *raw_volume(const char *name);
const char *fs_volume(const char *name, const char *fs_type);
/* Its device-mapper name. */
const char *dm_name_of(const char *name);

/* Mounts, namespaces, devices in use. */
void mount_copied_into_another_namespace_does_not_wedge_delete(void **state);
void killed_container_leaves_no_mount_that_holds_the_volume(void **state);
void double_publish_makes_one_mount(void **state);
void nothing_is_staged_beside_a_publish(void **state);
void mount_taken_away_by_hand_is_noticed(void **state);
void symbolic_link_as_target_leads_nowhere(void **state);
void busy_device_is_refused_and_kept(void **state);
void mount_source_is_a_device_that_exists(void **state);
void xfs_clone_mounts_beside_its_origin(void **state);
void btrfs_clone_mounts_beside_its_origin(void **state);
void ext4_clone_mounts_beside_its_origin(void **state);
void publishing_never_formats_a_blank_device(void **state);
void snapshot_of_a_mounted_volume_is_not_torn(void **state);

/* Disks. */
void copied_disk_is_refused_beside_its_original(void **state);
void second_pool_of_the_same_name_is_refused(void **state);
void loop_devices_do_not_leak(void **state);
void pool_on_a_disk_of_4096_byte_sectors(void **state);
void pool_copied_from_512_to_4096_byte_sectors(void **state);
void stock_tools_see_that_the_disk_is_taken(void **state);
void disk_with_data_is_not_formatted(void **state);
void dead_device_beside_the_pool_stops_nothing(void **state);
void guests_disk_inside_a_volume_stays_its_own(void **state);
void pool_of_another_host_is_refused(void **state);
void catalogue_behind_the_thin_pool_opens_for_audit(void **state);
void snapshots_for_life_are_refused_before_the_kernel_wraps(void **state);

/* Work. */
void no_program_is_started_for_what_needs_none(void **state);
void slow_mkfs_stops_no_other_volume(void **state);
void words_of_a_failed_helper_stay_off_our_stderr(void **state);
void killed_creation_is_repeated_without_object_already_exists(void **state);
void killed_process_leaves_no_mount_and_no_lock(void **state);
void frozen_origin_of_a_killed_snapshot_is_thawed(void **state);
void thin_ids_are_not_handed_out_twice(void **state);

/* Space. */
void empty_snapshot_costs_no_data_space(void **state);
void deleting_gives_the_space_back(void **state);
void no_space_is_said_only_when_there_is_none(void **state);
void full_pool_is_refused_early_and_comes_back_by_deleting(void **state);
void new_volume_shows_nothing_of_a_deleted_one(void **state);
void smaller_size_never_shrinks(void **state);

/* Names, threads, handles. */
void names_never_become_paths_or_device_names(void **state);
void threads_need_no_lock_around_the_library(void **state);
void forked_child_cannot_use_the_handle(void **state);
void files_of_the_pool_are_not_inherited_by_programs(void **state);
void no_udev_cookie_is_left(void **state);
void error_codes_are_errnos_with_a_reason(void **state);

#endif
