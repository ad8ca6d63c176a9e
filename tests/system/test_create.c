// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_create.
 */
#include <time.h>
#include <unistd.h>

#include "system.h"

static void a_raw_volume(void **state)
{
	struct kvol_info info;
	uint64_t before = count(0);

	(void)state;
	assert_ok(kvol_create(pool, "raw", MIB(64), NULL, &err));
	info = info_of("raw");
	assert_int_equal(info.bytes, MIB(64));
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.kind, KVOL_KIND_VOLUME);
	assert_int_equal(info.allocated, 0);
	assert_int_equal(info.n_targets, 0);
	assert_string_equal(info.source, "");
	assert_string_equal(info.fs_type, "");
	assert_string_equal(info.device, "");
	assert_int_equal(strlen(info.uuid), 36);
	assert_true(info.created > 0 && info.created <= (uint64_t)time(NULL));
	assert_int_equal(count(0), before + 1);
}

static void repeating(void **state)
{
	struct kvol_info first = info_of("raw"), again;

	(void)state;
	assert_ok(kvol_create(pool, "raw", MIB(64), NULL, &err));
	assert_ok(kvol_create(pool, "raw", MIB(64) - 1, NULL,
			      &err)); /* rounds up to the same */
	assert_ok(create_fs("raw", MIB(64), ""));
	again = info_of("raw");
	assert_memory_equal(&first, &again, sizeof(first));

	assert_kvol(kvol_create(pool, "raw", MIB(65), NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_create(pool, "raw", MIB(63), NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(create_fs("raw", MIB(64), "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);

	assert_ok(kvol_snapshot(pool, "raw", "snap", NULL, &err));
	assert_kvol(kvol_create(pool, "snap", MIB(64), NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_clone(pool, "raw", "copy", NULL, &err));
	assert_kvol(kvol_create(pool, "copy", MIB(64), NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_delete(pool, "copy", 0, &err));
	assert_ok(kvol_delete(pool, "snap", 0, &err));
}

static void sizes(void **state)
{
	(void)state;
	assert_invalid(kvol_create(pool, "size", 0, NULL, &err));
	assert_invalid(kvol_create(pool, "size", UINT64_MAX, NULL, &err));
	assert_invalid(kvol_create(pool, "size", (uint64_t)INT64_MAX + 1, NULL, &err));
	assert_ok(kvol_create(pool, "size", 1, NULL, &err));
	assert_int_equal(info_of("size").bytes, 4096);
	assert_ok(kvol_create(pool, "size2", 4097, NULL, &err));
	assert_int_equal(info_of("size2").bytes, 8192);
	/* Far more than the pool has: that is what thin is for. */
	assert_ok(kvol_create(pool, "large", GIB(1024) * 16, NULL, &err));
	assert_int_equal(info_of("large").bytes, GIB(1024) * 16);
	assert_ok(kvol_delete(pool, "large", 0, &err));
}

static void names(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(bad_names); i++)
		assert_invalid(kvol_create(pool, bad_names[i], MIB(1), NULL, &err));
	assert_invalid(kvol_create(pool, name_of_length(256), MIB(1), NULL, &err));
	for (size_t i = 0; i < N_OF(odd_names); i++) {
		assert_ok(kvol_create(pool, odd_names[i], MIB(1), NULL, &err));
		assert_int_equal(info_of(odd_names[i]).bytes, MIB(1));
	}
	assert_ok(kvol_create(pool, name_of_length(255), MIB(1), NULL, &err));
	assert_int_equal(info_of(name_of_length(255)).bytes, MIB(1));
	for (size_t i = 0; i < N_OF(odd_names); i++)
		assert_ok(kvol_delete(pool, odd_names[i], 0, &err));
	assert_ok(kvol_delete(pool, name_of_length(255), 0, &err));
}

static void names_are_compared_by_bytes(void **state)
{
	(void)state;
	assert_ok(kvol_create(pool, "case", MIB(1), NULL, &err));
	assert_ok(kvol_create(pool, "Case", MIB(2), NULL, &err));
	assert_ok(kvol_create(pool, "case ", MIB(3), NULL, &err));
	assert_int_equal(info_of("Case").bytes, MIB(2));
	assert_int_equal(info_of("case").bytes, MIB(1));
}

static void bad_arguments(void **state)
{
	(void)state;
	assert_invalid(kvol_create(NULL, "x", MIB(1), NULL, &err));
	assert_opts_rules(struct kvol_create_opts, bytes,
			  kvol_create(pool, "newer", MIB(1), o, &err));
	{
		struct kvol_create_opts o = { .size = sizeof(o), .bytes = MIB(1) };

		assert_invalid(kvol_create(pool, "x", MIB(1), &o, &err));
	}
	assert_kvol(create_fs("x", MIB(512), "ntfs"), -EINVAL, KVOL_R_UNSUPPORTED);
	assert_kvol(create_fs("x", MIB(512), "EXT4"), -EINVAL, KVOL_R_UNSUPPORTED);
	assert_kvol(create_fs("x", MIB(512), "ext4 -F"), -EINVAL, KVOL_R_UNSUPPORTED);
	assert_kvol(create_fs("x", MIB(512), "../ext4"), -EINVAL, KVOL_R_UNSUPPORTED);
	/* Without an error struct as well. */
	assert_int_equal(kvol_create(pool, "a/b", MIB(1), NULL, NULL), -EINVAL);
	assert_int_equal(kvol_create(pool, "raw", MIB(65), NULL, NULL), -EEXIST);
}

/* What the message names as the least is enough, and a page less is not. */
static void least_sizes(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	uint64_t least;
	const char *p;

	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		assert_invalid(create_fs(types[i], MIB(1), types[i]));
		p = strstr(err.msg, "at least ");
		assert_non_null(p);
		least = strtoull(p + strlen("at least "), NULL, 10);
		assert_true(least > MIB(1));
		assert_invalid(create_fs(types[i], least - 4096, types[i]));
		assert_ok(create_fs(types[i], least, types[i]));
		assert_string_equal(info_of(types[i]).fs_type, types[i]);
		assert_true(info_of(types[i]).allocated > 0);
		assert_string_equal(info_of(types[i]).device, "");
		assert_ok(kvol_delete(pool, types[i], 0, &err));
	}
}

static void a_missing_mkfs(void **state)
{
	char *path = strdup(getenv("PATH"));

	(void)state;
	assert_non_null(path);
	assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
	/* PATH may be left unused: then it must work, and be what was asked for. */
	before_call(NULL, false);
	if (create_fs("nomkfs", MIB(16), "ext4") == 0)
		assert_string_equal(info_of("nomkfs").fs_type, "ext4");
	else
		assert_int_equal(err.reason, KVOL_R_UNSUPPORTED);
	assert_int_equal(setenv("PATH", path, 1), 0);
	free(path);
	assert_ok(kvol_delete(pool, "nomkfs", 0, &err));
}

/* The number of volumes is limited by what the pool was made for. */
static void the_limit(void **state)
{
	struct kvol_format_opts f = { .size = sizeof(f),
				      .file_bytes = GIB(1),
				      .max_volumes = 3 };
	struct kvol_pool *all = pool;
	char path[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_dir("small"));
	assert_ok(kvol_pool_format(ctx, "small", path, &f, &err));
	pool = NULL;
	assert_ok(kvol_pool_open(ctx, path, NULL, &pool, &err));
	assert_int_equal(pool_info().max_volumes, 3);
	assert_ok(kvol_create(pool, "1", MIB(1), NULL, &err));
	assert_ok(kvol_create(pool, "2", MIB(1), NULL, &err));
	assert_ok(kvol_snapshot(pool, "1", "3", NULL, &err));
	assert_kvol(kvol_create(pool, "4", MIB(1), NULL, &err), -ENOSPC, KVOL_R_LIMIT);
	assert_kvol(kvol_snapshot(pool, "1", "4", NULL, &err), -ENOSPC, KVOL_R_LIMIT);
	assert_kvol(kvol_clone(pool, "1", "4", NULL, &err), -ENOSPC, KVOL_R_LIMIT);
	assert_ok(kvol_create(pool, "1", MIB(1), NULL, &err));
	assert_ok(kvol_delete(pool, "1", 0, &err));
	assert_ok(kvol_create(pool, "4", MIB(1), NULL, &err));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = all;
	assert_int_equal(unlink(path), 0);
}

static void what_was_made_survives(void **state)
{
	uint64_t before = count(0);
	struct kvol_info info = info_of("raw"), again;

	(void)state;
	pool_cycle();
	assert_int_equal(count(0), before);
	again = info_of("raw");
	assert_memory_equal(&info, &again, sizeof(info));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_raw_volume),
		cmocka_unit_test(repeating),
		cmocka_unit_test(sizes),
		cmocka_unit_test(names),
		cmocka_unit_test(names_are_compared_by_bytes),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(least_sizes),
		cmocka_unit_test(a_missing_mkfs),
		cmocka_unit_test(the_limit),
		cmocka_unit_test(what_was_made_survives),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("create", tests, pool_up, pool_down);
}
