// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whom the root directory of a new volume belongs to. Of encrypted ones test_encryption
 * tells.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

static const struct type {
	const char *name;
	uint64_t bytes;
	const char *check;
} types[] = {
	{ "ext4", MIB(64), "e2fsck -fn %s" },
	{ "xfs", MIB(300), "xfs_repair -n %s" },
	{ "btrfs", MIB(256), "btrfs check --readonly %s" },
};

static int create_as(const char *name, const struct type *t, uint32_t flags, uint32_t uid,
		     uint32_t gid, uint32_t mode)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = flags,
				      .fs_type = t ? t->name : NULL,
				      .uid = uid,
				      .gid = gid,
				      .mode = mode };

	return kvol_create(pool, name, t ? t->bytes : MIB(64), &o, &err);
}

/* As it was made, before the first mount that anybody sees. */
static void assert_sound(const char *name, const struct type *t)
{
	char command[256];

	assert_string_equal(info_of(name).device, "");
	assert_ok(publish(name, make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	(void)snprintf(command, sizeof(command), t->check, in_dir("dev"));
	assert_sh("%s", command);
	assert_ok(kvol_unpublish(pool, name, in_dir("dev"), NULL, &err));
}

static void assert_root(const char *name, uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct stat st;

	assert_ok(kvol_publish(pool, name, make_dir("a"), NULL, &err));
	assert_int_equal(stat(in_dir("a"), &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_ok(kvol_unpublish(pool, name, in_dir("a"), NULL, &err));
}

static void one_type(const struct type *t)
{
	const uint32_t both = KVOL_CREATE_OWNER | KVOL_CREATE_MODE;

	assert_ok(create_as("v", t, both, 1000, 2000, 02770));
	assert_sound("v", t);
	assert_root("v", 1000, 2000, 02770);
	/* Not compared, and not changed. */
	assert_ok(create_as("v", t, both, 1, 2, 0777));
	assert_root("v", 1000, 2000, 02770);
	assert_ok(kvol_clone(pool, "v", "c", NULL, &err));
	assert_root("c", 1000, 2000, 02770);
	assert_ok(kvol_delete(pool, "c", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_ok(create_as("v", t, KVOL_CREATE_OWNER, UINT32_MAX - 1, 3, 0));
	assert_root("v", UINT32_MAX - 1, 3, 0755);
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_ok(create_as("v", t, KVOL_CREATE_MODE, 9, 9, 07000));
	assert_root("v", 0, 0, 07000);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

static void each_file_system(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++)
		one_type(&types[i]);
}

/* Who is inside of a user namespace sees it by the map. */
static void mapped(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .uid_map = "0 100000 65536" };
	struct stat st;

	(void)state;
	assert_ok(create_as("v", &types[0], KVOL_CREATE_OWNER, 1000, 0, 0));
	assert_ok(kvol_publish(pool, "v", make_dir("a"), &o, &err));
	assert_int_equal(stat(in_dir("a"), &st), 0);
	assert_int_equal(st.st_uid, 101000);
	assert_int_equal(st.st_gid, 100000);
	assert_ok(kvol_unpublish(pool, "v", in_dir("a"), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

static void refused(void **state)
{
	(void)state;
	assert_invalid(create_as("x", NULL, KVOL_CREATE_OWNER, 1, 2, 0));
	assert_invalid(create_as("x", NULL, KVOL_CREATE_MODE, 0, 0, 0700));
	assert_invalid(create_as("x", &types[0], KVOL_CREATE_OWNER, UINT32_MAX, 2, 0));
	assert_invalid(create_as("x", &types[0], KVOL_CREATE_MODE, 0, 0, 010000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_system),
		cmocka_unit_test(mapped),
		cmocka_unit_test(refused),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("owner", tests, pool_up, pool_down);
}
