// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Templates: volumes that are cloned of them are file systems of their own, for the
 * kernel, for fsck, and for whoever asks for their UUIDs.
 */
#include <unistd.h>

#include "system.h"

#define EACH 3

#define FEW_LEFT ((1u << 24) - (1u << 16) - (1u << 19))

struct type {
	const char *name;
	uint64_t bytes;
	const char *check; /* a read-only check; %s is the device */
};

static const struct type types[] = {
	{ "ext4", MIB(64), "e2fsck -fn %s" },
	{ "xfs", MIB(300), "xfs_repair -n %s" },
	{ "btrfs", MIB(256), "btrfs check --readonly %s" },
};

static const char *name_of(const struct type *t, int i)
{
	static char name[16];

	(void)snprintf(name, sizeof(name), "%s%d", t->name, i);
	return name;
}

static void assert_uuid(const char *device, const char *uuid)
{
	assert_sh("blkid -p -o value -s UUID %s", device);
	assert_int_equal(strncmp(sh_output(), uuid, 36), 0);
}

/* As somebody would who has the device. */
static void check(const struct type *t, const char *name)
{
	char command[256];

	assert_ok(publish(name, make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_uuid(in_dir("dev"), info_of(name).uuid);
	(void)snprintf(command, sizeof(command), t->check, in_dir("dev"));
	assert_sh("%s", command);
	assert_ok(kvol_unpublish(pool, name, in_dir("dev"), NULL, &err));
}

static void each_is_a_file_system_of_its_own(const struct type *t)
{
	for (int i = 0; i < EACH; i++) {
		const char *name = name_of(t, i);

		assert_ok(create_fs(name, t->bytes, t->name));
		if (i == 0) /* before any mount */
			check(t, name);
		assert_ok(kvol_publish(pool, name, make_dir(name), NULL, &err));
		write_file(in_dir("%s/file", name), name);
		assert_uuid(info_of(name).device, info_of(name).uuid);
	}
	for (int i = 0; i < EACH; i++) {
		const char *name = name_of(t, i);

		assert_string_equal(read_file(in_dir("%s/file", name)), name);
		assert_true(fs_bytes(in_dir("%s", name)) > t->bytes / 4);
		assert_ok(kvol_unpublish(pool, name, in_dir("%s", name), NULL, &err));
		check(t, name);
	}
}

static void all_file_systems(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++)
		each_is_a_file_system_of_its_own(&types[i]);
	assert_int_equal(count(KVOL_LIST_TEMPLATES), N_OF(types));
}

/* A golden image: what is in it is there, under an identity of its own. */
static void clone_of_a_published_ext4_is_another_one(void **state)
{
	(void)state;
	assert_ok(kvol_publish(pool, "ext40", in_dir("ext40"), NULL, &err));
	assert_ok(kvol_clone(pool, "ext40", "copy", NULL, &err));
	assert_ok(kvol_publish(pool, "copy", make_dir("copy"), NULL, &err));
	assert_string_equal(read_file(in_dir("copy/file")), "ext40");
	assert_string_not_equal(info_of("copy").uuid, info_of("ext40").uuid);
	assert_uuid(info_of("copy").device, info_of("copy").uuid);
	assert_uuid(info_of("ext40").device, info_of("ext40").uuid);
	assert_ok(kvol_unpublish(pool, "copy", in_dir("copy"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "ext40", in_dir("ext40"), NULL, &err));
	check(&types[0], "copy");
}

/* The volume keeps what it needs. */
static void template_may_go_and_its_volumes_stay(void **state)
{
	(void)state;
	assert_ok(kvol_template_delete(pool, NULL, 0, &err));
	assert_int_equal(count(KVOL_LIST_TEMPLATES), 0);
	pool_cycle();
	for (size_t i = 0; i < N_OF(types); i++)
		check(&types[i], name_of(&types[i], 1));
}

static void large_one_is_as_large(void **state)
{
	(void)state;
	assert_ok(kvol_template_make(pool, "ext4", GIB(1024), &err));
	assert_ok(create_fs("large", GIB(1024), "ext4"));
	assert_ok(kvol_publish(pool, "large", make_dir("large"), NULL, &err));
	assert_true(fs_bytes(in_dir("large")) > GIB(1000));
	assert_ok(kvol_expand(pool, "large", GIB(1025), 0, &err));
	assert_ok(kvol_unpublish(pool, "large", in_dir("large"), NULL, &err));
}

/* Before its first mount, and encrypted beside it. */
static void grown_before_it_was_ever_mounted(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		const struct type *t = &types[i];

		assert_ok(create_fs("grown", t->bytes, t->name));
		assert_ok(kvol_expand(pool, "grown", 2 * t->bytes, 0, &err));
		check(t, "grown");
		assert_ok(kvol_delete(pool, "grown", 0, &err));
	}
}

/* As if the pool had lived long: what is left of its snapshots is for snapshots. */
static void leave_few_snapshots(void)
{
	assert_ok(kvol_pool_deactivate(pool, &err));
	assert_sh("loop=$(losetup -f -P --show %s) && mount ${loop}p1 %s && "
		  "sqlite3 %s/catalogue.db 'UPDATE pool SET snapshots = %u'; r=$?; "
		  "umount ${loop}p1 && losetup -d $loop && exit $r",
		  pool_path, make_dir("catalogue"), in_dir("catalogue"), FEW_LEFT);
	pool_reopen();
}

static void made_at(const char *name, char ret[64])
{
	assert_ok(publish(name, make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("dumpe2fs -h %s 2>&1 | sed -n 's/^Filesystem created: *//p'",
		  in_dir("dev"));
	assert_true(snprintf(ret, 64, "%s", sh_output()) > 10);
	assert_ok(kvol_unpublish(pool, name, in_dir("dev"), NULL, &err));
}

/* Of one mkfs, block by block, and file systems of their own all the same. */
static void copied_where_snapshots_run_low(void **state)
{
	char first[64], second[64];
	uint64_t left;

	(void)state;
	leave_few_snapshots();
	left = pool_info().snapshots_left;
	assert_ok(create_fs("first", MIB(96), "ext4"));
	(void)sleep(2);
	assert_ok(create_fs("second", MIB(96), "ext4"));
	made_at("first", first);
	made_at("second", second);
	assert_string_equal(first, second);
	for (size_t i = 0; i < N_OF(types); i++) {
		const struct type *t = &types[i];

		assert_ok(create_fs("copy0", t->bytes, t->name));
		assert_ok(create_fs("copy1", t->bytes, t->name));
		assert_string_not_equal(info_of("copy0").uuid, info_of("copy1").uuid);
		check(t, "copy0");
		assert_ok(kvol_publish(pool, "copy1", make_dir("copy1"), NULL, &err));
		write_file(in_dir("copy1/file"), "of a copy");
		assert_ok(kvol_unpublish(pool, "copy1", in_dir("copy1"), NULL, &err));
		check(t, "copy1");
		assert_ok(kvol_delete(pool, "copy0", 0, &err));
		assert_ok(kvol_delete(pool, "copy1", 0, &err));
	}
	pool_reopen();
	assert_int_equal(pool_info().snapshots_left, left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_file_systems),
		cmocka_unit_test(clone_of_a_published_ext4_is_another_one),
		cmocka_unit_test(template_may_go_and_its_volumes_stay),
		cmocka_unit_test(large_one_is_as_large),
		cmocka_unit_test(grown_before_it_was_ever_mounted),
		cmocka_unit_test(copied_where_snapshots_run_low),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("template", tests, pool_up, pool_down);
}
