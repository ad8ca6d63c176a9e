/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "error.h"
#include "log.h"

/* --- Reasons ---------------------------------------------------------------------- */

static void every_reason_has_its_own_name(void **state)
{
	uint32_t i, k;

	(void)state;
	assert_string_equal(kvol_reason_str(KVOL_R_NONE), "KVOL_R_NONE");
	assert_string_equal(kvol_reason_str(KVOL_R_BUSY_OPEN), "KVOL_R_BUSY_OPEN");
	assert_string_equal(kvol_reason_str(KVOL_R_ACCESS_CONFLICT),
			    "KVOL_R_ACCESS_CONFLICT");
	assert_string_equal(kvol_reason_str(KVOL_R_WRONG_SECRET), "KVOL_R_WRONG_SECRET");
	for (i = 0; i <= KVOL_R_WRONG_SECRET; i++) {
		assert_string_not_equal(kvol_reason_str(i), "KVOL_R_UNKNOWN");
		for (k = 0; k < i; k++)
			assert_string_not_equal(kvol_reason_str(i), kvol_reason_str(k));
	}
}

static void unknown_reason_is_named_so(void **state)
{
	(void)state;
	assert_string_equal(kvol_reason_str(KVOL_R_WRONG_SECRET + 1), "KVOL_R_UNKNOWN");
	assert_string_equal(kvol_reason_str(UINT32_MAX), "KVOL_R_UNKNOWN");
}

/* --- Errors ----------------------------------------------------------------------- */

static void every_field_is_set(void **state)
{
	struct kvol_error e;
	int r;

	(void)state;
	memset(&e, 0xff, sizeof(e));
	r = kv_error(&e, -EEXIST, KVOL_R_EXISTS_DIFFERENT, "volume %s: is %d", "a", 7);
	assert_int_equal(r, -EEXIST);
	assert_int_equal(e.code, -EEXIST);
	assert_int_equal(e.reason, KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(e.index, 0);
	assert_int_equal(e.reserved0, 0);
	assert_string_equal(e.msg, "volume a: is 7");
	assert_int_equal(e.msg[sizeof(e.msg) - 1], 0);
}

static void struct_is_256_bytes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct kvol_error), 256);
}

static void null_error_is_fine(void **state)
{
	(void)state;
	assert_int_equal(kv_error(NULL, -EROFS, KVOL_R_POOL_READ_ONLY, "x"), -EROFS);
	assert_int_equal(kv_error_errno(NULL, -EIO, "%s", "x"), -EIO);
	assert_int_equal(kv_error_invalid(NULL, "%s", "x"), -EINVAL);
}

static void errno_survives(void **state)
{
	struct kvol_error e;

	(void)state;
	errno = EXDEV;
	(void)kv_error(&e, -EINVAL, KVOL_R_INVALID, "x");
	assert_int_equal(errno, EXDEV);
	(void)kv_error_errno(&e, -ENOENT, "x");
	assert_int_equal(errno, EXDEV);
}

static void errno_text_is_added_for_system_errors_only(void **state)
{
	struct kvol_error e;

	(void)state;
	(void)kv_error(&e, -ENOENT, KVOL_R_SYSTEM, "/dev/x: open");
	assert_string_equal(e.msg, "/dev/x: open: No such file or directory");
	(void)kv_error(&e, -EIO, KVOL_R_IO, "/dev/x: read");
	assert_string_equal(e.msg, "/dev/x: read: Input/output error");
	(void)kv_error(&e, -ENOENT, KVOL_R_NOT_FOUND, "volume x: no such volume");
	assert_string_equal(e.msg, "volume x: no such volume");
	(void)kv_error_invalid(&e, "name: empty");
	assert_string_equal(e.msg, "name: empty");
	assert_int_equal(e.reason, KVOL_R_INVALID);
}

static void reason_follows_from_the_errno(void **state)
{
	static const struct {
		int code;
		uint32_t reason;
		const char *msg;
	} cases[] = {
		{ -EIO, KVOL_R_IO, "x: Input/output error" },
		{ -EUCLEAN, KVOL_R_CORRUPT, "x: Structure needs cleaning" },
		{ -ETIMEDOUT, KVOL_R_TIMEOUT, "x: Timed out" },
		{ -ENOMEM, KVOL_R_SYSTEM, "x: Cannot allocate memory" },
		{ -12345, KVOL_R_SYSTEM, "x: Unknown error" },
	};
	struct kvol_error e;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		assert_int_equal(kv_error_errno(&e, cases[i].code, "x"), cases[i].code);
		assert_int_equal(e.code, cases[i].code);
		assert_int_equal(e.reason, cases[i].reason);
		assert_string_equal(e.msg, cases[i].msg);
	}
}

static void message_is_one_line(void **state)
{
	struct kvol_error e;

	(void)state;
	(void)kv_error_invalid(&e, "volume %s: bad", "a\nb\x1b[31m\xff");
	assert_string_equal(e.msg, "volume a?b?[31m?: bad");
}

static void message_is_never_empty(void **state)
{
	struct kvol_error e;

	(void)state;
	(void)kv_error(&e, -EBUSY, KVOL_R_BUSY_OPEN, "%s", "");
	assert_string_equal(e.msg, "KVOL_R_BUSY_OPEN: Device or resource busy");
	(void)kv_error_errno(&e, -EIO, "%s", "");
	assert_string_equal(e.msg, "KVOL_R_IO: Input/output error");
}

static void long_message_is_cut_at_a_character(void **state)
{
	struct kvol_error e;
	char text[600];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[239] = '\0';
	(void)kv_error_invalid(&e, "%s", text);
	assert_string_equal(e.msg, text);

	text[239] = 'a';
	text[240] = '\0';
	(void)kv_error_invalid(&e, "%s", text);
	assert_int_equal(strlen(e.msg), 239);
	assert_string_equal(e.msg + 236, "...");

	memcpy(text + 235, "\xe2\x82\xac", 3); /* across the cut */
	(void)kv_error_invalid(&e, "%s", text);
	assert_int_equal(strlen(e.msg), 238);
	assert_string_equal(e.msg + 234, "a...");
}

static void long_message_keeps_its_errno_text(void **state)
{
	struct kvol_error e;
	char text[3000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void)kv_error_errno(&e, -EACCES, "%s: open", text);
	assert_int_equal(strlen(e.msg), 239);
	assert_non_null(strstr(e.msg, "a...: Permission denied"));
}

/* --- Log -------------------------------------------------------------------------- */

struct seen {
	int calls, priority;
	char msg[2000];
};

static void note(void *arg, int priority, const char *msg)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->priority = priority;
	(void)kv_strcpy(seen->msg, sizeof(seen->msg), msg);
	errno = EXDEV;
}

static void log_hands_over_one_line(void **state)
{
	struct seen seen = { 0 };
	struct kv_log log = { .fn = note, .arg = &seen };

	(void)state;
	errno = ENOENT;
	kv_log(&log, LOG_WARNING, "pool %s: %d\n", "p", 3);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.priority, LOG_WARNING);
	assert_string_equal(seen.msg, "pool p: 3?");
	assert_int_equal(errno, ENOENT);
}

static void log_line_is_bounded(void **state)
{
	struct seen seen = { 0 };
	struct kv_log log = { .fn = note, .arg = &seen };
	char text[5000];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	kv_log(&log, LOG_INFO, "%s", text);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(strlen(seen.msg), 1023);
	assert_string_equal(seen.msg + 1020, "...");
}

static void log_without_a_listener_does_nothing(void **state)
{
	struct seen seen = { 0 };
	struct kv_log log = { .fn = NULL, .arg = &seen };

	(void)state;
	kv_log(&log, LOG_INFO, "x");
	kv_log(NULL, LOG_INFO, "x");
	assert_int_equal(seen.calls, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_its_own_name),
		cmocka_unit_test(unknown_reason_is_named_so),
		cmocka_unit_test(every_field_is_set),
		cmocka_unit_test(struct_is_256_bytes),
		cmocka_unit_test(null_error_is_fine),
		cmocka_unit_test(errno_survives),
		cmocka_unit_test(errno_text_is_added_for_system_errors_only),
		cmocka_unit_test(reason_follows_from_the_errno),
		cmocka_unit_test(message_is_one_line),
		cmocka_unit_test(message_is_never_empty),
		cmocka_unit_test(long_message_is_cut_at_a_character),
		cmocka_unit_test(long_message_keeps_its_errno_text),
		cmocka_unit_test(log_hands_over_one_line),
		cmocka_unit_test(log_line_is_bounded),
		cmocka_unit_test(log_without_a_listener_does_nothing),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
