/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The context: what it is refused with, and that it needs nothing of what it was given
 * once it is made.
 */

#include "fixture.h"
#include "rundir.h"
#include "verb.h"

static void version_is_that_of_the_header(void **state)
{
	char version[32];

	(void)state;
	(void)snprintf(version, sizeof(version), "%d.%d.%d", KVOL_VERSION_MAJOR,
		       KVOL_VERSION_MINOR, KVOL_VERSION_PATCH);
	assert_string_equal(kvol_version(), version);
}

static void bad_arguments_are_refused(void **state)
{
	struct kvol_ctx_opts relative = { .size = sizeof(relative), .run_dir = "run" };
	struct kvol_ctx_opts small = { .size = 4 };
	struct kvol_ctx_opts blank = { .size = sizeof(blank), .host_id = "a b" };
	struct fixture *f = *state;
	struct kvol_ctx *ctx = f->ctx;

	fails(f, kvol_new(NULL, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_new(&relative, &ctx, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_non_null(strstr(f->e.msg, "'run'"));
	fails(f, kvol_new(&small, &ctx, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_new(&blank, &ctx, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_non_null(strstr(f->e.msg, "'a b'"));
	assert_ptr_equal(ctx, f->ctx); /* the output stays */
}

static void defaults_are_the_headers(void **state)
{
	struct kvol_ctx_opts empty = { .size = sizeof(empty),
				       .run_dir = "",
				       .host_id = "" };
	struct fixture *f = *state;
	struct kvol_ctx *ctx;

	succeeds(f, kvol_new(NULL, &ctx, &f->e));
	assert_string_equal(ctx->run_dir, KV_RUN_DIR);
	assert_string_equal(ctx->host_id, "");
	assert_null(ctx->log.fn);
	kvol_free(ctx);
	succeeds(f, kvol_new(&empty, &ctx, &f->e));
	assert_string_equal(ctx->run_dir, KV_RUN_DIR);
	assert_string_equal(ctx->host_id, "");
	kvol_free(ctx);
	kvol_free(NULL);
}

static void strings_are_copied(void **state)
{
	char run_dir[] = "/somewhere", host_id[] = "a-host";
	struct kvol_ctx_opts o = { .size = sizeof(o),
				   .run_dir = run_dir,
				   .host_id = host_id };
	struct fixture *f = *state;
	struct kvol_ctx *ctx;

	succeeds(f, kvol_new(&o, &ctx, &f->e));
	memset(run_dir, 'x', sizeof(run_dir) - 1);
	memset(host_id, 'x', sizeof(host_id) - 1);
	assert_string_equal(ctx->run_dir, "/somewhere");
	assert_string_equal(ctx->host_id, "a-host");
	kvol_free(ctx);
}

/* Pools copy what they need. */
static void pool_outlives_its_context(void **state)
{
	struct fixture *f = *state;

	open_pool(f);
	kvol_free(f->ctx);
	f->ctx = NULL;
	succeeds(f, create_volume(f, "a", NULL));
	assert_true(exists(f, "a"));
	close_pool(f);
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, setup_disk, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_is_that_of_the_header),
		on_disk(bad_arguments_are_refused),
		on_disk(defaults_are_the_headers),
		on_disk(strings_are_copied),
		on_disk(pool_outlives_its_context),
	};

	return cmocka_run_group_tests_name("ctx", tests, NULL, NULL);
}
