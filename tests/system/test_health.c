// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Statistics and condition of a volume, on a disk that is made bad and in a pool that is
 * filled.
 */
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "disk.h"

#define POOL_BYTES MIB(256)

static struct kvol_volume_stats stats_of(const char *name)
{
	struct kvol_volume_stats s = { .size = sizeof(s) };

	watched("volume_stat");
	assert_ok(kvol_volume_stat(pool, name, &s, &err));
	unwatched();
	return s;
}

static void assert_condition(const char *name, uint32_t condition)
{
	struct kvol_volume_stats s = stats_of(name);

	if (s.condition != condition)
		print_error("condition %u: %s\n", s.condition, s.message);
	assert_int_equal(s.condition, condition);
	assert_int_equal(!s.message[0], condition == KVOL_CONDITION_OK);
}

/* Makes and publishes one that stops writing after an error, as ext4 does by itself when
 * its journal fails. */
static const char *published(const char *name, uint64_t bytes)
{
	const char *target = make_dir(name);

	assert_ok(create_fs(name, bytes, "ext4"));
	assert_ok(publish(name, target, 0, "errors=remount-ro"));
	return target;
}

static void gone(const char *name, const char *target)
{
	assert_ok(kvol_unpublish(pool, name, target, NULL, &err));
	assert_ok(kvol_delete(pool, name, 0, &err));
}

static void figures_are_those_of_statvfs(void **state)
{
	const char *target = published("v", MIB(64));
	struct kvol_volume_stats s;
	struct statvfs st;

	(void)state;
	assert_sh("dd if=/dev/urandom of=%s/file bs=1M count=5 conv=fsync status=none",
		  target);
	s = stats_of("v");
	assert_int_equal(statvfs(target, &st), 0);
	assert_int_equal(s.flags, KVOL_STATS_ACTIVE | KVOL_STATS_FS);
	assert_int_equal(s.fs_bytes, st.f_blocks * st.f_frsize);
	assert_int_equal(s.fs_available, st.f_bavail * st.f_frsize);
	assert_true(s.fs_used >= MIB(5) && s.fs_used < s.fs_bytes);
	assert_int_equal(s.fs_inodes, st.f_files);
	assert_int_equal(s.fs_inodes_used, 12);
	assert_true(s.allocated >= MIB(5));
	assert_condition("v", KVOL_CONDITION_OK);
	assert_ok(kvol_unpublish(pool, "v", target, NULL, &err));
	assert_int_equal(stats_of("v").flags, 0);
	assert_int_equal(stats_of("v").fs_bytes, 0);
	assert_ok(publish("v", target, KVOL_PUBLISH_READONLY, NULL));
	assert_condition("v", KVOL_CONDITION_OK);
	gone("v", target);
}

static void file_system_stops_writing_after_an_error(void **state)
{
	const enum disk_fault dead[DISK_PARTS] = { [DISK_DATA] = DISK_DEAD };
	const char *target = published("v", MIB(64));

	(void)state;
	assert_condition("v", KVOL_CONDITION_OK);
	disk_set(dead);
	/* The journal fails first; who asks it for a transaction then finds that out. */
	(void)sh("touch %s/a; sync -f %s; touch %s/b; sync -f %s; touch %s/c", target,
		 target, target, target, target);
	assert_int_not_equal(sh("touch %s/d", target), 0);
	/* Kernels up to 6.1 show it as read-only, later ones do not. */
	assert_in_range(stats_of("v").condition, KVOL_CONDITION_FS_ERROR,
			KVOL_CONDITION_READ_ONLY);
	assert_true(stats_of("v").message[0]);
	disk_set(NULL);
	assert_in_range(stats_of("v").condition, KVOL_CONDITION_FS_ERROR,
			KVOL_CONDITION_READ_ONLY);
	gone("v", target);
}

static void pool_is_full(void **state)
{
	const char *target = published("v", MIB(64));
	const char *node = make_file("node");

	(void)state;
	assert_ok(kvol_create(pool, "big", GIB(1), NULL, &err));
	assert_ok(publish("big", node, KVOL_PUBLISH_BLOCK, NULL));
	assert_int_not_equal(
		sh("dd if=/dev/zero of=%s bs=1M oflag=direct status=none", node), 0);
	assert_condition("v", KVOL_CONDITION_NO_SPACE);
	assert_condition("big", KVOL_CONDITION_NO_SPACE);
	gone("big", node);
	assert_condition("v", KVOL_CONDITION_OK);
	gone("v", target);
}

static void bad_arguments(void **state)
{
	struct kvol_volume_stats s = { .size = sizeof(s) };

	(void)state;
	assert_invalid(kvol_volume_stat(NULL, "v", &s, &err));
	assert_invalid(kvol_volume_stat(pool, "v", NULL, &err));
	assert_kvol(kvol_volume_stat(pool, "absent", &s, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	s.size = 7;
	assert_invalid(kvol_volume_stat(pool, "v", &s, &err));
}

static int up(void **state)
{
	(void)state;
	return disk_up(NULL, POOL_BYTES);
}

static int down(void **state)
{
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	return disk_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_are_those_of_statvfs),
		cmocka_unit_test(file_system_stops_writing_after_an_error),
		cmocka_unit_test(pool_is_full),
		cmocka_unit_test(bad_arguments),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("health", tests, up, down);
}
