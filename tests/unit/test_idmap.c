/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Maps of ids: what is taken is what the kernel takes, and one map has one text. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "idmap.h"

static void gives(const char *map, const char *text)
{
	char got[KV_IDMAP_SIZE];

	if (kv_idmap_parse(map, got) != 0)
		print_error("'%s'\n", map);
	assert_int_equal(kv_idmap_parse(map, got), 0);
	assert_string_equal(got, text);
	assert_int_equal(kv_idmap_parse(text, got), 0);
	assert_string_equal(got, text);
}

static void one_map_has_one_text(void **state)
{
	(void)state;
	gives("0 100000 65536", "0 100000 65536\n");
	gives("\t0  100000\t65536 \n", "0 100000 65536\n");
	gives("00 0100000 065536,", "0 100000 65536\n");
	gives("0 1000 1,1 100000 65536", "0 1000 1\n1 100000 65536\n");
	gives("0 1000 1\n1 100000 65536\n", "0 1000 1\n1 100000 65536\n");
	gives(",\n 0 1 1 ,, \n1 0 1", "0 1 1\n1 0 1\n");
	gives("0 0 4294967295", "0 0 4294967295\n");
	gives("4294967294 0 1", "4294967294 0 1\n");
}

static void what_is_no_map_is_refused(void **state)
{
	static const struct {
		const char *map;
		int code;
	} bad[] = {
		{ "", -EINVAL },
		{ " ", -EINVAL },
		{ ",\n", -EINVAL },
		{ "0", -EINVAL },
		{ "0 0", -EINVAL },
		{ "0 0 1 1", -EINVAL },
		{ "0 0 1 1 1 1", -EINVAL },
		{ "0,0 1", -EINVAL },
		{ "0:100000:65536", -EINVAL },
		{ "-1 0 1", -EINVAL },
		{ "+1 0 1", -EINVAL },
		{ "0x1 0 1", -EINVAL },
		{ "a 0 1", -EINVAL },
		{ "0 0 1a", -EINVAL },
		{ "0 0 1;", -EINVAL },
		{ "0 0 1\r\n", -EINVAL },
		{ "0 0 0", -ERANGE },
		{ "0 0 4294967296", -ERANGE },
		{ "1 0 4294967295", -ERANGE },
		{ "0 1 4294967295", -ERANGE },
		{ "4294967295 0 1", -ERANGE },
		{ "0 4294967295 1", -ERANGE },
		{ "99999999999999999999 0 1", -ERANGE },
		{ "0 0 10,9 100 1", -ERANGE },
		{ "0 100 10,100 109 1", -ERANGE },
		{ "5 100 1,5 200 1", -ERANGE },
	};
	char got[KV_IDMAP_SIZE] = "untouched";

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		if (kv_idmap_parse(bad[i].map, got) != bad[i].code)
			print_error("'%s'\n", bad[i].map);
		assert_int_equal(kv_idmap_parse(bad[i].map, got), bad[i].code);
		assert_string_equal(got, "untouched");
	}
}

static void no_more_is_taken_than_by_the_kernel(void **state)
{
	static char map[400 * 40], got[KV_IDMAP_SIZE];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < KV_IDMAP_EXTENTS; i++)
		n += (size_t)snprintf(map + n, sizeof(map) - n, "%u %u 1,", i, i);
	assert_int_equal(kv_idmap_parse(map, got), 0);
	(void)snprintf(map + n, sizeof(map) - n, "1000 1000 1");
	assert_int_equal(kv_idmap_parse(map, got), -E2BIG);
	n = 0;
	for (unsigned i = 0; i < KV_IDMAP_EXTENTS; i++)
		n += (size_t)snprintf(map + n, sizeof(map) - n, "%u %u 1,",
				      1000000000 + i, 1000000000 + i);
	assert_int_equal(kv_idmap_parse(map, got), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_map_has_one_text),
		cmocka_unit_test(what_is_no_map_is_refused),
		cmocka_unit_test(no_more_is_taken_than_by_the_kernel),
	};

	return cmocka_run_group_tests_name("idmap", tests, NULL, NULL);
}
