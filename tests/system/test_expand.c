// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_expand, but for what file systems make of it (test_fs).
 */
#include "system.h"

static void an_idle_volume(void **state)
{
	(void)state;
	assert_ok(kvol_create(pool, "v", MIB(16), NULL, &err));
	assert_ok(kvol_expand(pool, "v", MIB(32), 0, &err));
	assert_int_equal(info_of("v").bytes, MIB(32));
	assert_string_equal(info_of("v").device, "");
	assert_ok(publish("v", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("test $(blockdev --getsize64 %s) = %llu", in_dir("dev"),
		  (unsigned long long)MIB(32));
	assert_ok(kvol_unpublish(pool, "v", in_dir("dev"), NULL, &err));
}

static void never_smaller(void **state)
{
	struct kvol_info before = info_of("v"), after;

	(void)state;
	assert_ok(kvol_expand(pool, "v", MIB(32), 0, &err));
	assert_ok(kvol_expand(pool, "v", MIB(16), 0, &err));
	assert_ok(kvol_expand(pool, "v", 1, 0, &err));
	after = info_of("v");
	assert_memory_equal(&before, &after, sizeof(before));
}

static void sizes_are_rounded_up(void **state)
{
	(void)state;
	assert_ok(kvol_expand(pool, "v", MIB(32) + 1, 0, &err));
	assert_int_equal(info_of("v").bytes, MIB(32) + 4096);
	pool_cycle();
	assert_int_equal(info_of("v").bytes, MIB(32) + 4096);
}

static void refused(void **state)
{
	(void)state;
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_kvol(kvol_expand(pool, "s", MIB(64), 0, &err), -EINVAL,
		    KVOL_R_UNSUPPORTED);
	assert_kvol(kvol_expand(pool, "absent", MIB(64), 0, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_invalid(kvol_expand(pool, "v", 0, 0, &err));
	assert_invalid(kvol_expand(pool, "v", UINT64_MAX, 0, &err));
	assert_invalid(kvol_expand(pool, "v", MIB(64), 1, &err));
	assert_invalid(kvol_expand(pool, "v", MIB(64), UNKNOWN_FLAG, &err));
	assert_invalid(kvol_expand(NULL, "v", MIB(64), 0, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++)
		assert_invalid(kvol_expand(pool, bad_names[i], MIB(64), 0, &err));
}

/* What is taken of it keeps its own size. */
static void relatives_keep_their_size(void **state)
{
	uint64_t was = info_of("v").bytes;

	(void)state;
	assert_ok(kvol_clone(pool, "v", "c", NULL, &err));
	assert_ok(kvol_expand(pool, "v", MIB(64), 0, &err));
	assert_int_equal(info_of("s").bytes, was);
	assert_int_equal(info_of("c").bytes, was);
	assert_ok(kvol_expand(pool, "c", MIB(48), 0, &err));
	assert_int_equal(info_of("v").bytes, MIB(64));
	/* The size is what create compares with. */
	assert_ok(kvol_create(pool, "v", MIB(64), NULL, &err));
	assert_kvol(kvol_create(pool, "v", MIB(16), NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
}

static void far_beyond_the_pool(void **state)
{
	(void)state;
	assert_ok(kvol_expand(pool, "v", GIB(4096), 0, &err));
	assert_int_equal(info_of("v").bytes, GIB(4096));
	assert_ok(publish("v", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("test $(blockdev --getsize64 %s) = %llu", in_dir("dev"),
		  (unsigned long long)GIB(4096));
	assert_ok(kvol_expand(pool, "v", GIB(8192), 0, &err));
	assert_sh("test $(blockdev --getsize64 %s) = %llu", in_dir("dev"),
		  (unsigned long long)GIB(8192));
	assert_ok(kvol_unpublish(pool, "v", in_dir("dev"), NULL, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_volume),
		cmocka_unit_test(never_smaller),
		cmocka_unit_test(sizes_are_rounded_up),
		cmocka_unit_test(refused),
		cmocka_unit_test(relatives_keep_their_size),
		cmocka_unit_test(far_beyond_the_pool),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("expand", tests, pool_up, pool_down);
}
