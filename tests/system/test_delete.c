// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_delete.
 */
#include <fcntl.h>
#include <unistd.h>

#include "system.h"

static void it_is_gone_and_its_name_free(void **state)
{
	(void)state;
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_false(exists("v"));
	assert_int_equal(count(0), 0);
	assert_ok(kvol_create(pool, "v", MIB(16), NULL, &err));
	assert_int_equal(info_of("v").bytes, MIB(16));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	pool_cycle();
	assert_false(exists("v"));
}

static void what_is_not_there_is_deleted(void **state)
{
	(void)state;
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_ok(kvol_delete(pool, "never was", 0, &err));
	assert_ok(kvol_delete(pool, name_of_length(255), 0, &err));
}

static void bad_arguments(void **state)
{
	(void)state;
	assert_invalid(kvol_delete(NULL, "v", 0, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++)
		assert_invalid(kvol_delete(pool, bad_names[i], 0, &err));
	assert_invalid(kvol_delete(pool, name_of_length(256), 0, &err));
	assert_invalid(kvol_delete(pool, "v", 1, &err));
	assert_invalid(kvol_delete(pool, "v", UNKNOWN_FLAG, &err));
}

static void the_space_comes_back(void **state)
{
	uint64_t before = pool_info().data_used, now;

	(void)state;
	assert_ok(kvol_create(pool, "space", MIB(64), NULL, &err));
	assert_ok(publish("space", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("dd if=/dev/urandom of=%s bs=1M count=16 conv=fsync", in_dir("dev"));
	assert_true(pool_info().data_used >= before + MIB(16));
	assert_true(info_of("space").allocated >= MIB(16));
	assert_ok(kvol_unpublish(pool, "space", in_dir("dev"), NULL, &err));
	assert_int_equal(info_of("space").allocated, MIB(16));
	assert_ok(kvol_delete(pool, "space", 0, &err));
	/* The pool frees blocks when it commits. */
	for (int i = 0; (now = pool_info().data_used) != before && i < 100; i++)
		(void)usleep(50000);
	assert_int_equal(now, before);
}

static void a_published_one_is_refused(void **state)
{
	char a[256];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	assert_ok(create_fs("fs", MIB(16), "ext4"));
	assert_ok(kvol_publish(pool, "fs", a, NULL, &err));
	write_file(in_dir("a/file"), "kept");
	assert_kvol(kvol_delete(pool, "fs", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_non_null(strstr(err.msg, a));
	assert_string_equal(read_file(in_dir("a/file")), "kept");
	assert_ok(kvol_unpublish(pool, "fs", a, NULL, &err));
	assert_ok(publish("fs", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_kvol(kvol_delete(pool, "fs", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_ok(kvol_unpublish(pool, "fs", in_dir("dev"), NULL, &err));
	assert_ok(kvol_delete(pool, "fs", 0, &err));
}

static void an_open_one_is_refused(void **state)
{
	int fd;

	(void)state;
	assert_ok(kvol_create(pool, "open", MIB(16), NULL, &err));
	assert_ok(publish("open", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	fd = open(info_of("open").device, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(kvol_unpublish(pool, "open", in_dir("dev"), NULL, &err));
	assert_kvol(kvol_delete(pool, "open", 0, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_true(exists("open"));
	assert_int_equal(close(fd), 0);
	assert_ok(kvol_delete(pool, "open", 0, &err));
}

/* A volume of the family goes, in any order; the others stay whole. */
static void relatives_stay_whole(void **state)
{
	static const char *const left[] = { "clone", "s2" };
	char a[256];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	assert_ok(create_fs("top", MIB(16), "ext4"));
	assert_ok(kvol_publish(pool, "top", a, NULL, &err));
	write_file(in_dir("a/file"), "one");
	assert_ok(kvol_snapshot(pool, "top", "s1", NULL, &err));
	write_file(in_dir("a/file"), "two");
	assert_ok(kvol_snapshot(pool, "top", "s2", NULL, &err));
	assert_ok(kvol_unpublish(pool, "top", a, NULL, &err));
	assert_ok(kvol_clone(pool, "s1", "clone", NULL, &err));
	assert_ok(kvol_delete(pool, "s1", 0, &err));
	assert_ok(kvol_delete(pool, "top", 0, &err));
	assert_listing(left, N_OF(left), 0);
	assert_ok(kvol_publish(pool, "clone", a, NULL, &err));
	assert_string_equal(read_file(in_dir("a/file")), "one");
	assert_ok(kvol_unpublish(pool, "clone", a, NULL, &err));
	assert_ok(kvol_publish(pool, "s2", a, NULL, &err));
	assert_string_equal(read_file(in_dir("a/file")), "two");
	assert_ok(kvol_unpublish(pool, "s2", a, NULL, &err));
	assert_string_equal(info_of("s2").source, "top");
}

static void touch_blocks(const char *path)
{
	static char page[4096] = "x";
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (off_t at = 0; at < (off_t)MIB(8); at += 65536)
		assert_int_equal(pwrite(fd, page, sizeof(page), at), sizeof(page));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(close(fd), 0);
}

/* Volumes never see what a deleted one had written. */
static void old_contents_are_not_seen(void **state)
{
	(void)state;
	assert_ok(kvol_create(pool, "old", MIB(8), NULL, &err));
	assert_ok(publish("old", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("yes secret | dd of=%s bs=64K count=128 iflag=fullblock conv=fsync",
		  in_dir("dev"));
	assert_ok(kvol_unpublish(pool, "old", in_dir("dev"), NULL, &err));
	assert_ok(kvol_delete(pool, "old", 0, &err));
	for (int i = 0; i < 2; i++) {
		assert_ok(kvol_create(pool, "new", MIB(8), NULL, &err));
		assert_ok(publish("new", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
		/* One page in each block: the rest of it must read as zeros. */
		touch_blocks(in_dir("dev"));
		assert_sh("! grep -qa secret %s", in_dir("dev"));
		assert_ok(kvol_unpublish(pool, "new", in_dir("dev"), NULL, &err));
		assert_ok(kvol_delete(pool, "new", 0, &err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_gone_and_its_name_free),
		cmocka_unit_test(what_is_not_there_is_deleted),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(the_space_comes_back),
		cmocka_unit_test(a_published_one_is_refused),
		cmocka_unit_test(an_open_one_is_refused),
		cmocka_unit_test(relatives_stay_whole),
		cmocka_unit_test(old_contents_are_not_seen),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("delete", tests, pool_up, pool_down);
}
