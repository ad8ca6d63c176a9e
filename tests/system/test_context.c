// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_new, kvol_free, kvol_version, kvol_reason_str.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

static void defaults_are_null(void **state)
{
	struct kvol_ctx *c = NULL;

	(void)state;
	assert_ok(kvol_new(NULL, &c, &err));
	assert_non_null(c);
	kvol_free(c);
	assert_int_equal(kvol_new(NULL, &c, NULL), 0);
	kvol_free(c);
	kvol_free(NULL);
}

static void bad_arguments(void **state)
{
	struct kvol_ctx *c = (void *)0x10;

	(void)state;
	assert_invalid(kvol_new(NULL, NULL, &err));
	assert_int_equal(kvol_new(NULL, NULL, NULL), -EINVAL);
	{
		struct kvol_ctx_opts o = { .size = sizeof(o), .run_dir = "run/relative" };

		assert_invalid(kvol_new(&o, &c, &err));
	}
	assert_ptr_equal(c, (void *)0x10);
	/* Made anew at each success: free what the last one gave. */
	c = NULL;
	assert_opts_rules(struct kvol_ctx_opts, run_dir,
			  (kvol_free(c), c = NULL, kvol_new(o, &c, &err)));
	assert_non_null(c);
	kvol_free(c);
}

static void strings(void **state)
{
	char version[32];

	(void)state;
	(void)snprintf(version, sizeof(version), "%d.%d.%d", KVOL_VERSION_MAJOR,
		       KVOL_VERSION_MINOR, KVOL_VERSION_PATCH);
	assert_string_equal(kvol_version(), version);
	assert_string_equal(kvol_reason_str(KVOL_R_NONE), "KVOL_R_NONE");
	assert_string_equal(kvol_reason_str(KVOL_R_BUSY_OPEN), "KVOL_R_BUSY_OPEN");
	assert_string_equal(kvol_reason_str(KVOL_R_TIMEOUT), "KVOL_R_TIMEOUT");
	assert_string_equal(kvol_reason_str(KVOL_R_WRONG_SECRET), "KVOL_R_WRONG_SECRET");
	assert_string_equal(kvol_reason_str(KVOL_R_WRONG_SECRET + 1), "KVOL_R_UNKNOWN");
	assert_string_equal(kvol_reason_str(UINT32_MAX), "KVOL_R_UNKNOWN");
}

struct heard {
	unsigned lines;
	unsigned bad;
};

static void hear(void *arg, int priority, const char *msg)
{
	struct heard *h = arg;

	h->lines++;
	if (priority < 0 || priority > 7 || !*msg || strpbrk(msg, "\r\n"))
		h->bad++;
}

/* Pools outlive their context, log through what it said, and live in its run directory.
 */
static void a_pool_outlives_its_context(void **state)
{
	struct heard heard = { 0 };
	struct kvol_format_opts f = { .size = sizeof(f), .file_bytes = GIB(1) };
	struct kvol_ctx_opts o = { .size = sizeof(o), .log = hear, .log_arg = &heard };
	struct kvol_ctx *c;
	struct stat st;

	(void)state;
	o.run_dir = in_dir("run");
	assert_ok(kvol_new(&o, &c, &err));
	assert_int_equal(stat(o.run_dir, &st), -1);
	assert_ok(kvol_pool_format(c, "other", pool_path, &f, &err));
	assert_ok(kvol_pool_open(c, pool_path, NULL, &pool, &err));
	kvol_free(c);
	assert_int_equal(stat(o.run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(heard.lines > 0);
	assert_int_equal(heard.bad, 0);
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
}

static void a_run_directory_that_cannot_be(void **state)
{
	struct kvol_ctx_opts o = { .size = sizeof(o) };
	struct kvol_pool *p = (void *)0x10;
	struct kvol_ctx *c;
	int r;

	(void)state;
	o.run_dir = make_file("plain");
	assert_ok(kvol_new(&o, &c, &err));
	before_call(NULL, false);
	r = kvol_pool_open(c, pool_path, NULL, &p, &err);
	assert_int_equal(r, -ENOTDIR);
	assert_int_equal(err.code, r);
	assert_int_equal(err.reason, KVOL_R_SYSTEM);
	assert_non_null(strstr(err.msg, "plain"));
	assert_ptr_equal(p, (void *)0x10);
	kvol_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_null),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(strings),
		cmocka_unit_test(a_pool_outlives_its_context),
		cmocka_unit_test(a_run_directory_that_cannot_be),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("context", tests, dir_up, dir_down);
}
