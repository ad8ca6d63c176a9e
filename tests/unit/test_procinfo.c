/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files of /proc/PID: what they say, and that names in them say nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "procinfo.h"

static void namespaces_are_numbers(void **state)
{
	static const char *const bad[] = { "",	       "mnt:",	  "mnt:[]", "mnt:[1",
					   "mnt:[1]x", "net:[1]", "mnt:[-1]",
					   "mnt:[18446744073709551616]" };
	uint64_t ns = 7;

	(void)state;
	assert_true(kv_procinfo_ns("mnt:[4026531841]", &ns));
	assert_int_equal(ns, 4026531841);
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++)
		assert_false(kv_procinfo_ns(bad[i], &ns));
	assert_int_equal(ns, 4026531841);
}

static void files_are_on_mounts(void **state)
{
	uint64_t id = 7;

	(void)state;
	assert_true(kv_procinfo_mnt_id("pos:\t0\nflags:\t02\nmnt_id:\t29\nino:\t5\n", &id));
	assert_int_equal(id, 29);
	assert_false(kv_procinfo_mnt_id("pos:\t0\nmnt_id:\t29", &id));
	assert_false(kv_procinfo_mnt_id("pos:\t0\nxmnt_id:\t30\n", &id));
	assert_false(kv_procinfo_mnt_id("mnt_id:\t3x\n", &id));
	assert_false(kv_procinfo_mnt_id("", &id));
	assert_int_equal(id, 29);
}

static void state_and_user_are_not_from_the_name(void **state)
{
	uint32_t uid = 7;
	char letter = 0;

	(void)state;
	assert_true(kv_procinfo_status("Name:\tUid:\t5\t5\nState:\tD (disk sleep)\n"
				       "Uid:\t1000\t1001\t0\t0\n",
				       &letter, &uid));
	assert_int_equal(letter, 'D');
	assert_int_equal(uid, 1001);
	assert_false(kv_procinfo_status("State:\tS\nUid:\t1\n", &letter, &uid));
	assert_false(kv_procinfo_status("State:\nUid:\t1\t1\t", &letter, &uid));
	assert_false(kv_procinfo_status("Uid:\t1\t1\t", &letter, &uid));
	assert_false(kv_procinfo_status("State:\tS\nUid:\t1\t4294967296\t", &letter, &uid));
	assert_int_equal(uid, 1001);
}

static void maps_are_of_devices(void **state)
{
	static const char *const bad[] = {
		"",
		"7f00-7f10 rw-p 00000000 00:00 0 ",
		"7f00-7f10 rw-p 0 fd:03 131",
		"7f00 rw-p 0 fd:03 131 /a",
		"7f00-7f10",
		"xx-7f10 r--p 0 fd:03 131 /a",
		"7f00-7f10 r--p 0 1fffffffff:03 131 /a",
	};
	const char *path = NULL;
	dev_t dev = 0;

	(void)state;
	assert_true(kv_procinfo_map("7f00-7f10 r-xp 00001000 fd:1f 131      /srv/a b", &dev,
				    &path));
	assert_true(dev == makedev(0xfd, 0x1f));
	assert_string_equal(path, "/srv/a b");
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++)
		assert_false(kv_procinfo_map(bad[i], &dev, &path));
}

static void below_is_whole_components(void **state)
{
	(void)state;
	assert_true(kv_path_below("/a", "/a"));
	assert_true(kv_path_below("/a/b", "/a"));
	assert_true(kv_path_below("/a", "/"));
	assert_false(kv_path_below("/ab", "/a"));
	assert_false(kv_path_below("/", "/a"));
	assert_false(kv_path_below("", "/a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(namespaces_are_numbers),
		cmocka_unit_test(files_are_on_mounts),
		cmocka_unit_test(state_and_user_are_not_from_the_name),
		cmocka_unit_test(maps_are_of_devices),
		cmocka_unit_test(below_is_whole_components),
	};

	return cmocka_run_group_tests_name("procinfo", tests, NULL, NULL);
}
