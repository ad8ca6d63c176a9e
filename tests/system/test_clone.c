// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_clone.
 */
#include "system.h"

static int clone_of(const char *source, const char *name, uint64_t bytes,
		    const char *fs_type)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .bytes = bytes,
				      .fs_type = fs_type };

	return kvol_clone(pool, source, name, &o, &err);
}

static void of_a_volume_and_of_a_snapshot(void **state)
{
	struct kvol_info c;

	(void)state;
	assert_ok(kvol_create(pool, "v", MIB(64), NULL, &err));
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_ok(kvol_clone(pool, "v", "of-v", NULL, &err));
	assert_ok(kvol_clone(pool, "s", "of-s", NULL, &err));
	c = info_of("of-s");
	assert_int_equal(c.kind, KVOL_KIND_VOLUME);
	assert_int_equal(c.bytes, MIB(64));
	assert_string_equal(c.source, "s");
	assert_string_equal(info_of("of-v").source, "v");
	assert_string_not_equal(c.uuid, info_of("v").uuid);
	assert_int_equal(count(KVOL_LIST_VOLUMES), 3);
}

static void repeating(void **state)
{
	struct kvol_info first = info_of("of-s"), again;

	(void)state;
	assert_ok(kvol_clone(pool, "s", "of-s", NULL, &err));
	assert_ok(clone_of("s", "of-s", MIB(64), ""));
	assert_ok(clone_of("s", "of-s", MIB(64) - 1, NULL));
	again = info_of("of-s");
	assert_memory_equal(&first, &again, sizeof(first));
	assert_kvol(kvol_clone(pool, "v", "of-s", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(clone_of("s", "of-s", MIB(65), NULL), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(clone_of("s", "of-s", 0, "xfs"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_clone(pool, "v", "s", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_clone(pool, "v", "v", NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
}

static void refused(void **state)
{
	(void)state;
	assert_kvol(kvol_clone(pool, "absent", "x", NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_invalid(clone_of("v", "x", MIB(63), NULL));
	assert_invalid(clone_of("v", "x", 1, NULL));
	assert_invalid(clone_of("v", "x", UINT64_MAX, NULL));
	assert_invalid(clone_of("v", "x", 0, "ext4"));
	assert_invalid(clone_of("v", "x", 0, "nonsense"));
	assert_invalid(kvol_clone(NULL, "v", "x", NULL, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++) {
		assert_invalid(kvol_clone(pool, "v", bad_names[i], NULL, &err));
		assert_invalid(kvol_clone(pool, bad_names[i], "x", NULL, &err));
	}
	assert_opts_rules(struct kvol_create_opts, bytes,
			  kvol_clone(pool, "v", "newer", o, &err));
}

/* Beside each other, each with its own contents. */
static void beside_its_origin(void **state)
{
	char a[256], b[256], c[256];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(c, sizeof(c), "%s", make_dir("c"));
	assert_ok(create_fs("fs", MIB(64), "ext4"));
	assert_ok(kvol_publish(pool, "fs", a, NULL, &err));
	write_file(in_dir("a/file"), "origin");
	assert_ok(clone_of("fs", "live", 0, "ext4"));
	assert_ok(kvol_snapshot(pool, "fs", "fs@1", NULL, &err));
	assert_ok(kvol_clone(pool, "fs@1", "later", NULL, &err));
	assert_ok(kvol_publish(pool, "live", b, NULL, &err));
	assert_ok(kvol_publish(pool, "later", c, NULL, &err));
	write_file(in_dir("b/file"), "live");
	write_file(in_dir("c/other"), "later");
	assert_string_equal(read_file(in_dir("a/file")), "origin");
	assert_string_equal(read_file(in_dir("b/file")), "live");
	assert_string_equal(read_file(in_dir("c/file")), "origin");
	assert_string_equal(read_file(in_dir("a/other")), "");
	assert_ok(kvol_unpublish(pool, "fs", a, NULL, &err));
	assert_ok(kvol_delete(pool, "fs", 0, &err));
	assert_ok(kvol_delete(pool, "fs@1", 0, &err));
	assert_string_equal(read_file(in_dir("b/file")), "live");
	assert_ok(kvol_unpublish(pool, "live", b, NULL, &err));
	assert_ok(kvol_unpublish(pool, "later", c, NULL, &err));
}

/* The file system of a larger clone is grown when it is published. */
static void larger_than_its_source(void **state)
{
	uint64_t was;
	char a[256];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	assert_ok(kvol_publish(pool, "live", a, NULL, &err));
	was = fs_bytes(a);
	assert_ok(kvol_unpublish(pool, "live", a, NULL, &err));
	assert_ok(clone_of("live", "larger", MIB(128), NULL));
	assert_int_equal(info_of("larger").bytes, MIB(128));
	assert_ok(clone_of("live", "larger", MIB(128), NULL));
	pool_reopen();
	assert_ok(kvol_publish(pool, "larger", a, NULL, &err));
	assert_true(fs_bytes(a) > was + MIB(50));
	assert_string_equal(read_file(in_dir("a/file")), "live");
	assert_ok(kvol_unpublish(pool, "larger", a, NULL, &err));
	/* A snapshot of one that was never published owes the growth as well. */
	assert_ok(clone_of("live", "unseen", MIB(128), NULL));
	assert_ok(kvol_snapshot(pool, "unseen", "unseen@1", NULL, &err));
	assert_ok(kvol_publish(pool, "unseen@1", a, NULL, &err));
	assert_string_equal(read_file(in_dir("a/file")), "live");
	assert_true(strstr(mount_options(a, false), "ro") == mount_options(a, false));
	assert_ok(kvol_unpublish(pool, "unseen@1", a, NULL, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_volume_and_of_a_snapshot),
		cmocka_unit_test(repeating),
		cmocka_unit_test(refused),
		cmocka_unit_test(beside_its_origin),
		cmocka_unit_test(larger_than_its_source),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("clone", tests, pool_up, pool_down);
}
