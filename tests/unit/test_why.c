/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who holds a volume, on the model: the list that is given out. */

#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

#define NS "/proc/11/ns/mnt"

static int setup(void **state)
{
	struct fixture *f;

	(void)setup_pool(state);
	f = *state;
	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	return 0;
}

static struct kvol_why_iter *ask(struct fixture *f)
{
	struct kvol_why_iter *iter = NULL;

	succeeds(f, kvol_why(f->pool, "v", 0, &iter, &f->e));
	assert_non_null(iter);
	return iter;
}

static void item(struct kvol_why_iter *iter, uint32_t kind, uint32_t flags,
		 const char *target)
{
	struct kvol_why_info info = { .size = sizeof(info) };

	assert_int_equal(kvol_why_next(iter, &info), 1);
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.kind, kind);
	assert_int_equal(info.flags, flags);
	assert_string_equal(info.target, target);
}

static void end(struct kvol_why_iter *iter, int code)
{
	struct kvol_why_info info = { .size = sizeof(info), .kind = 77 };

	assert_int_equal(kvol_why_next(iter, &info), code);
	assert_int_equal(kvol_why_next(iter, &info), code);
	assert_int_equal(info.kind, 77);
	kvol_why_free(iter);
}

static void volume_that_nobody_holds(void **state)
{
	end(ask(*state), 0);
}

static void publishes_are_told_from_other_mounts(void **state)
{
	struct fixture *f = *state;
	struct kvol_why_iter *iter;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	model_ns_start(NS); /* copies it */
	succeeds(f, publish(f, "v", "/u", 0, NULL, NULL));
	iter = ask(f);
	item(iter, KVOL_WHY_MOUNT, KVOL_WHY_PUBLISHED, "/t");
	item(iter, KVOL_WHY_NAMESPACE, 0, "/t");
	item(iter, KVOL_WHY_MOUNT, KVOL_WHY_PUBLISHED, "/u");
	end(iter, 0);
}

static void publish_behind_another_mount_of_its_namespace_is_told(void **state)
{
	struct fixture *f = *state;
	struct kvol_why_iter *iter;

	model_ns_start(NS);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS));
	succeeds(f, publish(f, "v", "/u", 0, NULL, NS));
	iter = ask(f);
	item(iter, KVOL_WHY_NAMESPACE, KVOL_WHY_PUBLISHED, "/t");
	item(iter, KVOL_WHY_MOUNT, KVOL_WHY_PUBLISHED, "/u");
	end(iter, 0);
}

static void list_that_is_not_whole_ends_so(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	model_fail("holders", 1, -ETIMEDOUT);
	end(ask(f), -ETIMEDOUT);
	model_fail("holders", 1, -E2BIG);
	end(ask(f), -E2BIG);
}

static void list_outlives_the_handle(void **state)
{
	struct fixture *f = *state;
	struct kvol_why_iter *iter;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	iter = ask(f);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	kvol_pool_close(f->pool);
	f->pool = NULL;
	item(iter, KVOL_WHY_MOUNT, KVOL_WHY_PUBLISHED, "/t");
	end(iter, 0);
	open_pool(f);
}

static void bad_arguments_are_refused(void **state)
{
	struct kvol_why_info info = { .size = 4 };
	struct kvol_why_iter *iter = NULL;
	struct fixture *f = *state;

	fails(f, kvol_why(NULL, "v", 0, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_why(f->pool, NULL, 0, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_why(f->pool, "a/b", 0, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_why(f->pool, "v", 1, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_why(f->pool, "v", 0, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_why(f->pool, "none", 0, &iter, &f->e), -ENOENT, KVOL_R_NOT_FOUND);
	assert_null(iter);
	assert_int_equal(kvol_why_next(NULL, &info), -EINVAL);
	iter = ask(f);
	assert_int_equal(kvol_why_next(iter, &info), -EINVAL);
	assert_int_equal(kvol_why_next(iter, NULL), -EINVAL);
	kvol_why_free(iter);
	kvol_why_free(NULL);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(volume_that_nobody_holds),
		on_pool(publishes_are_told_from_other_mounts),
		on_pool(publish_behind_another_mount_of_its_namespace_is_told),
		on_pool(list_that_is_not_whole_ends_so),
		on_pool(list_outlives_the_handle),
		on_pool(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("why", tests, NULL, NULL);
}
