// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_snapshot: of idle, of published, of written-to volumes, and of snapshots.
 */
#include <fcntl.h>
#include <unistd.h>

#include "system.h"

static void of_an_idle_volume(void **state)
{
	struct kvol_info s;

	(void)state;
	assert_ok(kvol_create(pool, "v", MIB(64), NULL, &err));
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	s = info_of("s");
	assert_int_equal(s.kind, KVOL_KIND_SNAPSHOT);
	assert_int_equal(s.bytes, MIB(64));
	assert_string_equal(s.source, "v");
	assert_string_not_equal(s.uuid, info_of("v").uuid);
	assert_int_equal(count(KVOL_LIST_SNAPSHOTS), 1);
	assert_int_equal(pool_info().n_snapshots, 1);
}

static void repeating(void **state)
{
	struct kvol_info first = info_of("s"), again;

	(void)state;
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	again = info_of("s");
	assert_memory_equal(&first, &again, sizeof(first));
	assert_ok(kvol_create(pool, "w", MIB(64), NULL, &err));
	assert_kvol(kvol_snapshot(pool, "w", "s", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_snapshot(pool, "v", "w", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_snapshot(pool, "v", "v", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_clone(pool, "v", "c", NULL, &err));
	assert_kvol(kvol_snapshot(pool, "v", "c", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_clone(pool, "v", "s", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
}

static void of_what_is_not_there(void **state)
{
	(void)state;
	assert_kvol(kvol_snapshot(pool, "absent", "x", NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_non_null(strstr(err.msg, "absent"));
	assert_kvol(kvol_snapshot(pool, "x", "x", NULL, &err), -ENOENT, KVOL_R_NOT_FOUND);
}

static void bad_arguments(void **state)
{
	(void)state;
	assert_invalid(kvol_snapshot(NULL, "v", "x", NULL, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++) {
		assert_invalid(kvol_snapshot(pool, "v", bad_names[i], NULL, &err));
		assert_invalid(kvol_snapshot(pool, bad_names[i], "x", NULL, &err));
	}
	assert_invalid(kvol_snapshot(pool, "v", name_of_length(256), NULL, &err));
	assert_invalid(kvol_snapshot(pool, name_of_length(256), "x", NULL, &err));
	assert_opts_rules(struct kvol_snapshot_opts, flags,
			  kvol_snapshot(pool, "v", "newer", o, &err));
	assert_ok(kvol_snapshot(pool, "v", name_of_length(255), NULL, &err));
	assert_string_equal(info_of(name_of_length(255)).source, "v");
}

static void of_a_snapshot(void **state)
{
	(void)state;
	assert_ok(kvol_snapshot(pool, "s", "ss", NULL, &err));
	assert_string_equal(info_of("ss").source, "s");
	assert_int_equal(info_of("ss").kind, KVOL_KIND_SNAPSHOT);
}

static void it_outlives_its_source(void **state)
{
	(void)state;
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_string_equal(info_of("s").source, "v");
	/* A repeat needs no source, and another volume of that name changes nothing. */
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_kvol(kvol_snapshot(pool, "v", "s2", NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_ok(kvol_clone(pool, "s", "back", NULL, &err));
	assert_int_equal(info_of("back").bytes, MIB(64));
}

/* What was written before it is in the snapshot and whole, although nobody called sync.
 */
static void of_a_published_file_system(void **state)
{
	char a[256], b[256];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	assert_ok(create_fs("fs", MIB(64), "ext4"));
	assert_ok(kvol_publish(pool, "fs", a, NULL, &err));
	write_file(in_dir("a/file"), "before");
	assert_ok(kvol_snapshot(pool, "fs", "fs@1", NULL, &err));
	write_file(in_dir("a/file"), "after");
	assert_ok(kvol_publish(pool, "fs@1", b, NULL, &err));
	assert_string_equal(read_file(in_dir("b/file")), "before");
	assert_string_equal(read_file(in_dir("a/file")), "after");
	assert_int_equal(open(in_dir("b/new"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	assert_ok(kvol_unpublish(pool, "fs@1", b, NULL, &err));

	/* No journal had to be replayed: the snapshot is clean, not just recoverable. */
	assert_ok(publish("fs@1", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("e2fsck -fn %s", info_of("fs@1").device);
	assert_sh(
		"dumpe2fs -h %s 2>/dev/null | grep '^Filesystem features' | grep -vq needs_recovery",
		info_of("fs@1").device);
	assert_ok(kvol_unpublish(pool, "fs@1", in_dir("dev"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "fs", a, NULL, &err));
}

/* The origin goes on as if nothing had happened, snapshot after snapshot. */
static void many_while_somebody_writes(void **state)
{
	char a[256], name[16];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	assert_ok(kvol_publish(pool, "fs", a, NULL, &err));
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "many%d", i);
		write_file(in_dir("a/file"), name);
		assert_ok(kvol_snapshot(pool, "fs", name, NULL, &err));
	}
	assert_ok(kvol_unpublish(pool, "fs", a, NULL, &err));
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "many%d", i);
		assert_ok(kvol_publish(pool, name, a, NULL, &err));
		assert_string_equal(read_file(in_dir("a/file")), name);
		assert_ok(kvol_unpublish(pool, name, a, NULL, &err));
		assert_ok(kvol_delete(pool, name, 0, &err));
	}
}

/* A counter for the pool's life: deleting gives nothing back. Handles take some ahead and
 * give back what they did not use, so it is read between handles. */
static void what_is_left_is_counted(void **state)
{
	uint64_t left;

	(void)state;
	pool_cycle();
	left = pool_info().snapshots_left;
	assert_true(left > (1u << 23));
	assert_ok(kvol_snapshot(pool, "s", "counted", NULL, &err));
	assert_ok(kvol_clone(pool, "s", "counted too", NULL, &err));
	assert_ok(kvol_delete(pool, "counted", 0, &err));
	assert_ok(kvol_delete(pool, "counted too", 0, &err));
	assert_true(pool_info().snapshots_left <= left - 2);
	pool_cycle();
	assert_int_equal(pool_info().snapshots_left, left - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_an_idle_volume),
		cmocka_unit_test(repeating),
		cmocka_unit_test(of_what_is_not_there),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(of_a_snapshot),
		cmocka_unit_test(it_outlives_its_source),
		cmocka_unit_test(of_a_published_file_system),
		cmocka_unit_test(many_while_somebody_writes),
		cmocka_unit_test(what_is_left_is_counted),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("snapshot", tests, pool_up, pool_down);
}
