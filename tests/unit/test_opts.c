/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opts.h"

/* The same struct as three versions of a header have it. */
struct v1 {
	uint32_t size, flags;
	uint64_t a;
};

struct v2 {
	uint32_t size, flags;
	uint64_t a, b;
};

struct v3 {
	uint32_t size, flags;
	uint64_t a, b, c;
};

#define KNOWN 0x5u

static int in(struct v2 *dst, const void *src, struct kvol_error *e)
{
	return kv_opts_in(dst, sizeof(*dst), sizeof(struct v1), src, KNOWN, "kvol_x_opts",
			  e);
}

/* Exactly as large as it says, so that AddressSanitizer sees each byte read beyond. */
static void *on_heap(const void *src, size_t size)
{
	void *p = malloc(size);

	assert_non_null(p);
	memcpy(p, src, size);
	return p;
}

static void null_means_defaults(void **state)
{
	const struct v2 defaults = { .size = sizeof(struct v2) };
	struct v2 dst;

	(void)state;
	memset(&dst, 0xff, sizeof(dst));
	assert_int_equal(in(&dst, NULL, NULL), 0);
	assert_memory_equal(&dst, &defaults, sizeof(dst));
}

static void same_version_is_copied(void **state)
{
	const struct v2 src = { .size = sizeof(src), .flags = 0x4, .a = 1, .b = 2 };
	void *p = on_heap(&src, sizeof(src));
	struct v2 dst;

	(void)state;
	memset(&dst, 0xff, sizeof(dst));
	assert_int_equal(in(&dst, p, NULL), 0);
	assert_memory_equal(&dst, &src, sizeof(dst));
	free(p);
}

static void older_caller_gets_zeros(void **state)
{
	const struct v1 src = { .size = sizeof(src), .flags = 0x1, .a = 7 };
	const struct v2 want = { .size = sizeof(want), .flags = 0x1, .a = 7, .b = 0 };
	void *p = on_heap(&src, sizeof(src));
	struct v2 dst;

	(void)state;
	memset(&dst, 0xff, sizeof(dst));
	assert_int_equal(in(&dst, p, NULL), 0);
	assert_memory_equal(&dst, &want, sizeof(dst));
	free(p);
}

static void newer_caller_is_fine_with_zeros(void **state)
{
	const struct v3 src = { .size = sizeof(src), .a = 1, .b = 2, .c = 0 };
	const struct v2 want = { .size = sizeof(want), .a = 1, .b = 2 };
	void *p = on_heap(&src, sizeof(src));
	struct v2 dst;

	(void)state;
	assert_int_equal(in(&dst, p, NULL), 0);
	assert_memory_equal(&dst, &want, sizeof(dst));
	free(p);
}

static void newer_caller_with_a_new_field_is_refused(void **state)
{
	struct v3 src = { .size = sizeof(src) };
	struct kvol_error e;
	struct v2 dst, before;
	size_t i;

	(void)state;
	memset(&dst, 0xab, sizeof(dst));
	before = dst;
	for (i = sizeof(struct v2); i < sizeof(src); i++) {
		memset(&src, 0, sizeof(src));
		src.size = sizeof(src);
		((char *)&src)[i] = 1;
		assert_int_equal(in(&dst, &src, &e), -E2BIG);
		assert_int_equal(e.code, -E2BIG);
		assert_int_equal(e.reason, KVOL_R_INVALID);
		assert_non_null(strstr(e.msg, "kvol_x_opts"));
		assert_memory_equal(&dst, &before, sizeof(dst));
	}
}

static void too_small_is_refused_without_reading_on(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 4, 8, sizeof(struct v1) - 1 };
	struct kvol_error e;
	struct v2 dst;
	uint32_t *p;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(sizes); i++) {
		p = on_heap(&sizes[i], sizeof(sizes[i]));
		assert_int_equal(in(&dst, p, &e), -EINVAL);
		assert_int_equal(e.reason, KVOL_R_INVALID);
		assert_non_null(strstr(e.msg, "kvol_x_opts"));
		free(p);
	}
}

static void beyond_a_page_is_refused_without_reading_on(void **state)
{
	static const uint32_t sizes[] = { 4097, UINT32_MAX };
	struct kvol_error e;
	struct v2 dst;
	uint32_t *p;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(sizes); i++) {
		p = on_heap(&sizes[i], sizeof(sizes[i]));
		assert_int_equal(in(&dst, p, &e), -E2BIG);
		assert_int_equal(e.reason, KVOL_R_INVALID);
		free(p);
	}
}

static void a_page_is_taken(void **state)
{
	uint32_t *p = calloc(1, 4096);
	struct v2 dst;

	(void)state;
	assert_non_null(p);
	p[0] = 4096;
	assert_int_equal(in(&dst, p, NULL), 0);
	assert_int_equal(dst.size, sizeof(dst));
	free(p);
}

static void unknown_flags_are_named_in_hex(void **state)
{
	const struct v2 src = { .size = sizeof(src), .flags = 0x80000003 };
	struct v2 dst, before;
	struct kvol_error e;

	(void)state;
	memset(&dst, 0xab, sizeof(dst));
	before = dst;
	assert_int_equal(in(&dst, &src, &e), -EINVAL);
	assert_int_equal(e.reason, KVOL_R_INVALID);
	assert_string_equal(e.msg, "kvol_x_opts: unknown flags 0x80000002");
	assert_memory_equal(&dst, &before, sizeof(dst));
}

static void unaligned_struct_is_read(void **state)
{
	const struct v2 src = { .size = sizeof(src), .flags = 0x1, .a = 3 };
	char buf[sizeof(src) + 1];
	struct v2 dst;

	(void)state;
	memcpy(buf + 1, &src, sizeof(src));
	assert_int_equal(in(&dst, buf + 1, NULL), 0);
	assert_memory_equal(&dst, &src, sizeof(dst));
}

/* --- Info structs ----------------------------------------------------------------- */

static void info_size_is_checked(void **state)
{
	static const struct {
		uint32_t size;
		int want;
	} cases[] = {
		{ 0, -EINVAL }, { 7, -EINVAL },	  { 8, 0 },
		{ 4096, 0 },	{ 4097, -E2BIG }, { UINT32_MAX, -E2BIG },
	};
	struct kvol_error e;
	uint32_t *p;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		p = on_heap(&cases[i].size, sizeof(cases[i].size));
		memset(&e, 0, sizeof(e));
		assert_int_equal(kv_info_check(p, "kvol_x_info", &e), cases[i].want);
		assert_int_equal(e.code, cases[i].want);
		free(p);
	}
	assert_int_equal(kv_info_check(NULL, "kvol_x_info", &e), -EINVAL);
	assert_int_equal(e.reason, KVOL_R_INVALID);
	assert_string_equal(e.msg, "kvol_x_info: NULL");
}

static void info_of_the_same_size_is_filled(void **state)
{
	const struct v2 src = { .size = 99, .flags = 1, .a = 2, .b = 3 };
	struct v2 dst = { .size = sizeof(dst) };

	(void)state;
	kv_info_out(&dst, &src, sizeof(src));
	assert_int_equal(dst.size, sizeof(dst));
	assert_int_equal(dst.flags, 1);
	assert_true(dst.a == 2 && dst.b == 3);
}

static void smaller_info_gets_what_fits(void **state)
{
	const struct v2 src = { .flags = 1, .a = 2, .b = 3 };
	const struct v1 init = { .size = sizeof(init) };
	struct v1 *dst = on_heap(&init, sizeof(init));

	(void)state;
	kv_info_out(dst, &src, sizeof(src));
	assert_int_equal(dst->size, sizeof(*dst));
	assert_int_equal(dst->flags, 1);
	assert_true(dst->a == 2);
	free(dst);
}

static void larger_info_is_zeroed_beyond(void **state)
{
	const struct v2 src = { .flags = 1, .a = 2, .b = 3 };
	struct v3 dst;

	(void)state;
	memset(&dst, 0xff, sizeof(dst));
	dst.size = sizeof(dst);
	kv_info_out(&dst, &src, sizeof(src));
	assert_int_equal(dst.size, sizeof(src));
	assert_true(dst.a == 2 && dst.b == 3 && dst.c == 0);
	/* And once more into the same struct, as a loop over an iterator does. */
	kv_info_out(&dst, &src, sizeof(src));
	assert_int_equal(dst.size, sizeof(src));
	assert_true(dst.b == 3 && dst.c == 0);
}

static void least_info_is_filled(void **state)
{
	const struct v2 src = { .flags = 5, .a = 2 };
	const uint32_t init[2] = { 8, 0 };
	uint32_t *dst = on_heap(init, sizeof(init));

	(void)state;
	kv_info_out(dst, &src, sizeof(src));
	assert_int_equal(dst[0], 8);
	assert_int_equal(dst[1], 5);
	free(dst);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_means_defaults),
		cmocka_unit_test(same_version_is_copied),
		cmocka_unit_test(older_caller_gets_zeros),
		cmocka_unit_test(newer_caller_is_fine_with_zeros),
		cmocka_unit_test(newer_caller_with_a_new_field_is_refused),
		cmocka_unit_test(too_small_is_refused_without_reading_on),
		cmocka_unit_test(beyond_a_page_is_refused_without_reading_on),
		cmocka_unit_test(a_page_is_taken),
		cmocka_unit_test(unknown_flags_are_named_in_hex),
		cmocka_unit_test(unaligned_struct_is_read),
		cmocka_unit_test(info_size_is_checked),
		cmocka_unit_test(info_of_the_same_size_is_filled),
		cmocka_unit_test(smaller_info_gets_what_fits),
		cmocka_unit_test(larger_info_is_zeroed_beyond),
		cmocka_unit_test(least_info_is_filled),
	};

	return cmocka_run_group_tests_name("opts", tests, NULL, NULL);
}
