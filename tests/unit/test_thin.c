/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "thin.h"

/* --- Writing ---------------------------------------------------------------------- */

static void tables_are_as_the_kernel_documents_them(void **state)
{
	const dev_t meta = makedev(254, 1), data = makedev(254, 2);
	char buf[KV_THIN_LINE];

	(void)state;
	assert_int_equal(kv_thin_pool_params(buf, meta, data, 128, 7), 0);
	assert_string_equal(buf, "254:1 254:2 128 7 1 error_if_no_space");
	assert_int_equal(kv_thin_params(buf, makedev(254, 300), KV_THIN_ID_MAX), 0);
	assert_string_equal(buf, "254:300 16777215");
	assert_int_equal(kv_thin_linear_params(buf, makedev(7, 0), UINT64_MAX), 0);
	assert_string_equal(buf, "7:0 18446744073709551615");
}

static void messages_are_as_the_kernel_documents_them(void **state)
{
	char buf[KV_THIN_LINE];

	(void)state;
	assert_int_equal(kv_thin_msg_create(buf, 0), 0);
	assert_string_equal(buf, "create_thin 0");
	assert_int_equal(kv_thin_msg_snapshot(buf, 2, 1), 0);
	assert_string_equal(buf, "create_snap 2 1");
	assert_int_equal(kv_thin_msg_delete(buf, KV_THIN_ID_MAX), 0);
	assert_string_equal(buf, "delete 16777215");
	assert_int_equal(kv_thin_msg_transaction(buf, 0, UINT64_MAX), 0);
	assert_string_equal(buf, "set_transaction_id 0 18446744073709551615");
}

static void ids_beyond_24_bits_are_refused(void **state)
{
	char buf[KV_THIN_LINE];

	(void)state;
	assert_int_equal(kv_thin_params(buf, makedev(1, 1), KV_THIN_ID_MAX + 1), -EINVAL);
	assert_int_equal(kv_thin_msg_create(buf, KV_THIN_ID_MAX + 1), -EINVAL);
	assert_int_equal(kv_thin_msg_snapshot(buf, KV_THIN_ID_MAX + 1, 1), -EINVAL);
	assert_int_equal(kv_thin_msg_snapshot(buf, 1, KV_THIN_ID_MAX + 1), -EINVAL);
	assert_int_equal(kv_thin_msg_delete(buf, UINT32_MAX), -EINVAL);
}

static void block_sizes_the_kernel_refuses_are_refused(void **state)
{
	static const struct {
		uint32_t sectors;
		int want;
	} cases[] = {
		{ 0, -EINVAL },
		{ 1, -EINVAL },
		{ 64, -EINVAL },
		{ 127, -EINVAL },
		{ 128, 0 },
		{ 129, -EINVAL },
		{ 192, -EINVAL },
		{ 256, 0 },
		{ 384, 0 },
		{ 2097152, 0 },
		{ 2097152 + 128, -EINVAL },
		{ UINT32_MAX, -EINVAL },
	};
	char buf[KV_THIN_LINE];
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(cases); i++)
		assert_int_equal(kv_thin_pool_params(buf, 1, 2, cases[i].sectors, 0),
				 cases[i].want);
}

static void longest_line_fits(void **state)
{
	const dev_t all = (dev_t)-1;
	char buf[KV_THIN_LINE];

	(void)state;
	assert_int_equal(kv_thin_pool_params(buf, all, all, 2097152, UINT64_MAX), 0);
	assert_true(strlen(buf) < KV_THIN_LINE - 1);
}

/* --- Reading ---------------------------------------------------------------------- */

/* The words between mode and needs_check of an ordinary pool. */
#define USUAL "discard_passdown error_if_no_space"

/* On the heap and exactly as long as it is, so that AddressSanitizer sees any byte read
 * beyond. */
static int parse_pool(const char *line, struct kv_pool_status *ret)
{
	char *copy = strdup(line);
	int r;

	assert_non_null(copy);
	r = kv_pool_status_parse(copy, ret);
	free(copy);
	return r;
}

static int parse_thin(const char *line, struct kv_thin_status *ret)
{
	char *copy = strdup(line);
	int r;

	assert_non_null(copy);
	r = kv_thin_status_parse(copy, ret);
	free(copy);
	return r;
}

static void healthy_pool_is_read(void **state)
{
	struct kv_pool_status st;

	(void)state;
	memset(&st, 0xff, sizeof(st));
	/* With the blank at the end that the kernel writes. */
	assert_int_equal(parse_pool("5 17/1024 3/512 - rw " USUAL " - 1024 ", &st), 0);
	assert_int_equal(st.mode, KV_POOL_RW);
	assert_false(st.needs_check);
	assert_true(st.transaction_id == 5);
	assert_true(st.metadata_used == 17 && st.metadata_total == 1024);
	assert_true(st.data_used == 3 && st.data_total == 512);
	assert_true(st.held_root == 0);
}

static void every_state_of_a_pool_is_read(void **state)
{
	static const struct {
		const char *line;
		enum kv_pool_mode mode;
		bool needs_check;
		uint64_t held_root;
	} cases[] = {
		{ "0 1/2 3/4 99 rw no_discard_passdown queue_if_no_space - 9", KV_POOL_RW,
		  false, 99 },
		{ "0 1/2 3/4 - ro " USUAL " - 9", KV_POOL_RO, false, 0 },
		{ "0 1/2 3/4 - ro " USUAL " needs_check 9", KV_POOL_RO, true, 0 },
		{ "0 1/2 4/4 - out_of_data_space ignore_discard error_if_no_space - 9",
		  KV_POOL_OUT_OF_DATA, false, 0 },
		{ "0 1/2 3/4 - rw " USUAL " needs_check", KV_POOL_RW, true, 0 },
		{ "0 1/2 3/4 - rw " USUAL " - 9 newer words", KV_POOL_RW, false, 0 },
		{ "18446744073709551615 0/0 0/0 18446744073709551615 rw discard_passdown "
		  "error_if_no_space -",
		  KV_POOL_RW, false, UINT64_MAX },
		{ "Fail", KV_POOL_FAIL, false, 0 },
		{ "Fail ", KV_POOL_FAIL, false, 0 },
		{ "Error", KV_POOL_FAIL, false, 0 },
	};
	struct kv_pool_status st;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		memset(&st, 0xff, sizeof(st));
		assert_int_equal(parse_pool(cases[i].line, &st), 0);
		assert_int_equal(st.mode, cases[i].mode);
		assert_int_equal(st.needs_check, cases[i].needs_check);
		assert_true(st.held_root == cases[i].held_root);
	}
}

static void hostile_pool_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"-",
		"Failure",
		"fail",
		"Errors",
		"rw",
		"5",
		"5 17",
		"5 17/1024",
		"5 17/1024 3/512",
		"5 17/1024 3/512 -",
		"5 17/1024 3/512 - rw",
		"5 17/1024 3/512 - rw discard_passdown",
		"5 17/1024 3/512 - rw " USUAL,
		"-5 1/2 3/4 - rw " USUAL " - 9",
		"+5 1/2 3/4 - rw " USUAL " - 9",
		"0x5 1/2 3/4 - rw " USUAL " - 9",
		" 5 1/2 3/4 - rw " USUAL " - 9",
		"5\t1/2 3/4 - rw " USUAL " - 9",
		"18446744073709551616 1/2 3/4 - rw " USUAL " - 9",
		"99999999999999999999999999 1/2 3/4 - rw " USUAL " - 9",
		"5 2/1 3/4 - rw " USUAL " - 9",
		"5 1/2 4/3 - rw " USUAL " - 9",
		"5 1 /2 3/4 - rw " USUAL " - 9",
		"5 1/ 3/4 - rw " USUAL " - 9",
		"5 /2 3/4 - rw " USUAL " - 9",
		"5 1/2x 3/4 - rw " USUAL " - 9",
		"5 1/2 3/4 -- rw " USUAL " - 9",
		"5 1/2 3/4 -1 rw " USUAL " - 9",
		"5 1/2 3/4 - rwx " USUAL " - 9",
		"5 1/2 3/4 - RW " USUAL " - 9",
		"5 1/2 3/4 - rw discards error_if_no_space - 9",
		"5 1/2 3/4 - rw discard_passdown error - 9",
		"5 1/2 3/4 - rw " USUAL " check 9",
		"5 1/2 3/4 rw " USUAL " - 9",
	};
	struct kv_pool_status st, before;
	size_t i;

	(void)state;
	memset(&st, 0xab, sizeof(st));
	before = st;
	for (i = 0; i < KV_ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse_pool(lines[i], &st), -EBADMSG);
		assert_memory_equal(&st, &before, sizeof(st));
	}
}

static void thin_status_is_read(void **state)
{
	struct kv_thin_status st;

	(void)state;
	memset(&st, 0xff, sizeof(st));
	assert_int_equal(parse_thin("1024 2047", &st), 0);
	assert_false(st.failed);
	assert_true(st.mapped_sectors == 1024 && st.highest_sector == 2047);
	assert_int_equal(parse_thin("0 -", &st), 0);
	assert_true(st.mapped_sectors == 0 && st.highest_sector == 0);
	assert_int_equal(parse_thin("0 - newer", &st), 0);
	assert_int_equal(parse_thin("Fail", &st), 0);
	assert_true(st.failed);
	assert_int_equal(parse_thin("Error", &st), 0);
	assert_true(st.failed);
}

static void hostile_thin_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"-",
		"- -",
		"1",
		"1 ",
		"1 x",
		"x 1",
		"1 -1",
		"1x 2",
		"1 2x",
		"1  --",
		"18446744073709551616 -",
		"1 18446744073709551616",
	};
	struct kv_thin_status st, before;
	size_t i;

	(void)state;
	memset(&st, 0xab, sizeof(st));
	before = st;
	for (i = 0; i < KV_ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse_thin(lines[i], &st), -EBADMSG);
		assert_memory_equal(&st, &before, sizeof(st));
	}
}

static void crypt_table_passes_discards_on_if_asked_to(void **state)
{
	char buf[KV_THIN_LINE];

	(void)state;
	assert_int_equal(kv_thin_crypt_params(buf, makedev(253, 7), 2048, 64, "kvol:x-1",
					      true),
			 0);
	assert_string_equal(buf, "aes-xts-plain64 :64:logon:kvol:x-1 0 253:7 2048 "
				 "1 allow_discards");
	assert_int_equal(kv_thin_crypt_params(buf, makedev(253, 7), 2048, 64, "kvol:x-1",
					      false),
			 0);
	assert_string_equal(buf, "aes-xts-plain64 :64:logon:kvol:x-1 0 253:7 2048");
}

static void linear_table_is_read_back(void **state)
{
	char buf[KV_THIN_LINE];
	uint64_t offset = 0;
	dev_t dev = 0;

	(void)state;
	assert_int_equal(kv_thin_linear_params(buf, makedev(4095, 1048575), 2048), 0);
	assert_int_equal(kv_thin_linear_parse(buf, &dev, &offset), 0);
	assert_true(dev == makedev(4095, 1048575));
	assert_true(offset == 2048);
}

static void hostile_linear_tables_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"7",
		"7:",
		"7:0",
		":0 1",
		"7:0 ",
		"7:0 x",
		"7:0 1 2",
		"7:0 -1",
		"7 0 1",
		"4096:0 1",
		"7:1048576 1",
		"/dev/loop0 1",
		"18446744073709551616:0 1",
		"7:0 18446744073709551616",
	};
	uint64_t offset = 5;
	dev_t dev = 6;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(lines); i++)
		assert_int_equal(kv_thin_linear_parse(lines[i], &dev, &offset), -EBADMSG);
	assert_true(dev == 6 && offset == 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_as_the_kernel_documents_them),
		cmocka_unit_test(messages_are_as_the_kernel_documents_them),
		cmocka_unit_test(ids_beyond_24_bits_are_refused),
		cmocka_unit_test(block_sizes_the_kernel_refuses_are_refused),
		cmocka_unit_test(longest_line_fits),
		cmocka_unit_test(healthy_pool_is_read),
		cmocka_unit_test(every_state_of_a_pool_is_read),
		cmocka_unit_test(hostile_pool_lines_are_refused),
		cmocka_unit_test(thin_status_is_read),
		cmocka_unit_test(hostile_thin_lines_are_refused),
		cmocka_unit_test(crypt_table_passes_discards_on_if_asked_to),
		cmocka_unit_test(linear_table_is_read_back),
		cmocka_unit_test(hostile_linear_tables_are_refused),
	};

	return cmocka_run_group_tests_name("thin", tests, NULL, NULL);
}
