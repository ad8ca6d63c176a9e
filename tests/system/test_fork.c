// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * After fork: inherited handles are refused, may be freed, and freeing them does not hurt
 * the parent.
 */
#include <unistd.h>

#include "system.h"

static struct kvol_iter *iter;

#define REFUSED(call)                                                \
	CHILD_CHECK((memset(&e, 0, sizeof(e)), (call)) == -ECHILD && \
		    e.code == -ECHILD && e.reason == KVOL_R_INVALID && e.msg[0])

static int every_call(void *arg)
{
	struct kvol_pool_info p = { .size = sizeof(p) };
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *i = NULL;
	struct kvol_error e;

	(void)arg;
	REFUSED(kvol_pool_stat(pool, &p, &e));
	REFUSED(kvol_create(pool, "x", MIB(1), NULL, &e));
	REFUSED(kvol_snapshot(pool, "v", "x", NULL, &e));
	REFUSED(kvol_clone(pool, "v", "x", NULL, &e));
	REFUSED(kvol_expand(pool, "v", MIB(64), 0, &e));
	REFUSED(kvol_delete(pool, "v", 0, &e));
	REFUSED(kvol_stat(pool, "v", &info, &e));
	REFUSED(kvol_list(pool, 0, &i, &e));
	REFUSED(kvol_publish(pool, "v", dir, NULL, &e));
	REFUSED(kvol_unpublish(pool, "v", dir, NULL, &e));
	REFUSED(kvol_pool_deactivate(pool, &e));
	CHILD_CHECK(kvol_iter_next(iter, &info) == -ECHILD);
	CHILD_CHECK(kvol_stat(pool, "v", &info, NULL) == -ECHILD);
	return 0;
}

static void every_call_is_refused(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };

	(void)state;
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(kvol_create(pool, "w", MIB(8), NULL, &err));
	assert_ok(kvol_list(pool, 0, &iter, &err));
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	assert_int_equal(in_child(every_call, NULL), 0);
	/* The parent's iterator did not move. */
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	assert_string_equal(info.name, "w");
	assert_int_equal(kvol_iter_next(iter, &info), 0);
}

static int frees_all(void *arg)
{
	(void)arg;
	kvol_iter_free(iter);
	kvol_pool_close(pool);
	kvol_free(ctx);
	return 0;
}

static int deactivates(void *arg)
{
	struct kvol_ctx *c;
	struct kvol_pool *p;
	struct kvol_error e;

	(void)arg;
	CHILD_CHECK(kvol_new(NULL, &c, &e) == 0);
	CHILD_CHECK(kvol_pool_open(c, pool_name, NULL, &p, &e) == 0);
	CHILD_CHECK(kvol_pool_deactivate(p, &e) == -EBUSY &&
		    e.reason == KVOL_R_BUSY_OPEN);
	kvol_pool_close(p);
	kvol_free(c);
	return 0;
}

static void a_child_that_frees_hurts_nobody(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };

	(void)state;
	kvol_iter_free(iter);
	assert_ok(kvol_list(pool, 0, &iter, &err));
	assert_int_equal(in_child(frees_all, NULL), 0);
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	kvol_iter_free(iter);
	iter = NULL;
	assert_ok(kvol_create(pool, "after", MIB(8), NULL, &err));
	assert_ok(kvol_snapshot(pool, "after", "s", NULL, &err));
	assert_ok(kvol_delete(pool, "after", 0, &err));
	/* Our locks still stand: the pool counts as open here. */
	assert_int_equal(in_child(deactivates, NULL), 0);
	assert_ok(kvol_create(pool, "after", MIB(8), NULL, &err));
}

static int opens_its_own(void *arg)
{
	struct kvol_pool *p;
	struct kvol_error e;

	/* A context is good for a child, too: there is nothing in it but settings. */
	CHILD_CHECK(kvol_pool_open(ctx, arg, NULL, &p, &e) == 0);
	CHILD_CHECK(kvol_create(p, "of the child", MIB(8), NULL, &e) == 0);
	CHILD_CHECK(kvol_delete(p, "w", 0, &e) == 0);
	kvol_pool_close(p);
	return 0;
}

static void a_handle_of_its_own_works(void **state)
{
	(void)state;
	assert_int_equal(in_child(opens_its_own, pool_name), 0);
	assert_true(exists("of the child"));
	assert_false(exists("w"));
}

static int only_exits(void *arg)
{
	(void)arg;
	return 0;
}

/* The most common child: it forks, execs or exits, and knows nothing of us. */
static void a_child_that_just_ends(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(in_child(only_exits, NULL), 0);
		assert_ok(kvol_create(pool, "again", MIB(8), NULL, &err));
		assert_ok(kvol_delete(pool, "again", 0, &err));
	}
	assert_int_equal(in_child(deactivates, NULL), 0);
}

/* Nothing of ours is inherited by what is executed. */
static void nothing_is_inherited(void **state)
{
	(void)state;
	assert_sh(
		"! ls -l /proc/self/fd | grep -v '/sh.log$' | grep -E 'kvol|catalogue|dm-|mapper|loop'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_is_refused),
		cmocka_unit_test(a_child_that_frees_hurts_nobody),
		cmocka_unit_test(a_handle_of_its_own_works),
		cmocka_unit_test(a_child_that_just_ends),
		cmocka_unit_test(nothing_is_inherited),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("fork", tests, pool_up, pool_down);
}
