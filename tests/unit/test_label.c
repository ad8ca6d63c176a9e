/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What labels are allowed, and sets of them. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "label.h"

static const char *repeat(char c, size_t n)
{
	static char text[8192];

	memset(text, c, n);
	text[n] = '\0';
	return text;
}

static void keys_are_those_of_kubernetes(void **state)
{
	static const char *const good[] = { "a",
					    "A-b_c.9",
					    "topology.kubernetes.io/zone",
					    "csi.storage.k8s.io/pod.name",
					    "9/0",
					    "-/a" };
	static const char *const bad[] = { "",	   "/a",  "a/",	  "a/b/c", "-a",
					   "a-",   ".",	  "a b",  "a=b",   "\xc3\xa4",
					   "a_/b", "a\n", "a/_b", "a,b",   "*" };
	char key[400];

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(good); i++)
		assert_true(kv_label_key_valid(good[i]));
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++)
		assert_false(kv_label_key_valid(bad[i]));
	assert_true(kv_label_key_valid(repeat('a', 63)));
	assert_false(kv_label_key_valid(repeat('a', 64)));
	(void)strcat(strcpy(key, repeat('p', 253)), "/");
	(void)strcat(key, repeat('a', 63));
	assert_int_equal(strlen(key), KVOL_LABEL_KEY_MAX);
	assert_true(kv_label_key_valid(key));
	(void)strcat(strcpy(key, repeat('p', 254)), "/a");
	assert_false(kv_label_key_valid(key));
	assert_false(kv_label_key_valid(repeat('a', 4000)));
}

static void values_are_lines_of_utf8(void **state)
{
	(void)state;
	assert_true(kv_label_value_valid(""));
	assert_true(kv_label_value_valid(" a = b, \xe2\x82\xac "));
	assert_true(kv_label_value_valid(repeat('v', 4096)));
	assert_false(kv_label_value_valid(repeat('v', 4097)));
	assert_false(kv_label_value_valid("a\nb"));
	assert_false(kv_label_value_valid("\x7f"));
	assert_false(kv_label_value_valid("\xff"));
	assert_false(kv_label_value_valid("\xc2\x80"));
}

static void fault_is_told_with_its_index(void **state)
{
	static const struct kvol_label bad[] = { { NULL, "1" },
						 { "-", "1" },
						 { "a", NULL },
						 { "b", "\n" },
						 { "x", "2" } };
	struct kvol_label labels[3] = { { "x", "1" }, { "y", "" } };
	struct kvol_error e;

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		labels[2] = bad[i];
		assert_int_equal(kv_labels_check(labels, 2, false, "v", &e), 0);
		assert_int_equal(kv_labels_check(labels, 3, false, "v", &e), -EINVAL);
		assert_int_equal(e.reason, KVOL_R_INVALID);
		assert_int_equal(e.index, 2);
		assert_non_null(strstr(e.msg, "'v'"));
		assert_int_equal(kv_labels_check(labels, 3, false, "v", NULL), -EINVAL);
	}
	labels[2] = bad[2];
	assert_int_equal(kv_labels_check(labels, 3, true, "v", &e), 0);
	assert_int_equal(kv_labels_check(NULL, 1, true, "v", &e), -EINVAL);
	assert_int_equal(kv_labels_check(NULL, 0, true, "v", &e), 0);
	assert_int_equal(kv_labels_check(labels, KVOL_LABELS_MAX + 1, true, "v", &e),
			 -ENOSPC);
	assert_int_equal(e.reason, KVOL_R_LIMIT);
}

static void set_is_what_was_put_in(void **state)
{
	_cleanup_labels_ struct kv_labels set = { 0 };

	(void)state;
	assert_int_equal(kv_labels_finish(&set), 0);
	assert_int_equal(set.n, 0);
	assert_int_equal(kv_labels_add(&set, "a", "1"), 0);
	assert_int_equal(kv_labels_add(&set, "b", ""), 0);
	assert_int_equal(kv_labels_finish(&set), 0);
	assert_int_equal(set.n, 2);
	assert_string_equal(set.of[0].value, "1");
	assert_string_equal(set.of[1].key, "b");
	assert_string_equal(set.of[1].value, "");
}

static void text_that_is_no_set_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} bad[] = {
		{ "a", 1 },	      { "a", 2 },	    { "a\0b", 3 },
		{ "a\0b\0c", 6 },     { "\0b", 3 },	    { "a\0\n", 4 },
		{ "a\0b\0a\0c", 8 },  { "a\0b\0c\0d", 7 },
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		struct kv_labels set = { .size = bad[i].size };

		set.text = malloc(bad[i].size);
		assert_non_null(set.text);
		memcpy(set.text, bad[i].text, bad[i].size);
		assert_int_equal(kv_labels_finish(&set), -EUCLEAN);
		assert_null(set.of);
		kv_labels_clear(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_kubernetes),
		cmocka_unit_test(values_are_lines_of_utf8),
		cmocka_unit_test(fault_is_told_with_its_index),
		cmocka_unit_test(set_is_what_was_put_in),
		cmocka_unit_test(text_that_is_no_set_is_refused),
	};

	return cmocka_run_group_tests_name("label", tests, NULL, NULL);
}
