// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing as container runtimes need it.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

static char a[256], b[256], node[256]; /* targets */

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	assert_ok(create_fs("v", MIB(64), "ext4"));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	return 0;
}

static int publish_as(const char *name, const char *target,
		      const struct kvol_publish_opts *opts)
{
	struct kvol_publish_opts o = *opts;

	o.size = sizeof(o);
	return kvol_publish(pool, name, target, &o, &err);
}

#define PUBLISH(name, target, ...) \
	publish_as(name, target, &(struct kvol_publish_opts){ __VA_ARGS__ })
#define UNPUBLISH(name, target) kvol_unpublish(pool, name, target, NULL, &err)

/* --- Access ------------------------------------------------------------------------- */

static void a_single_writer_is_alone(void **state)
{
	(void)state;
	assert_ok(PUBLISH("v", a, .access = KVOL_ACCESS_SINGLE_WRITER));
	assert_int_equal(info_of("v").access, KVOL_ACCESS_SINGLE_WRITER);
	assert_ok(PUBLISH("v", a, .access = KVOL_ACCESS_SINGLE_WRITER));
	assert_kvol(PUBLISH("v", a, .access = KVOL_ACCESS_MULTI_WRITER), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(PUBLISH("v", b, .flags = 0), -EBUSY, KVOL_R_ACCESS_CONFLICT);
	assert_non_null(strstr(err.msg, a));
	assert_kvol(PUBLISH("v", b, .access = KVOL_ACCESS_READER), -EBUSY,
		    KVOL_R_ACCESS_CONFLICT);
	assert_ok(UNPUBLISH("v", a));
	assert_ok(PUBLISH("v", a, .access = KVOL_ACCESS_READER));
	assert_int_equal(open(in_dir("a/x"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	assert_ok(PUBLISH("v", b, .access = KVOL_ACCESS_MULTI_WRITER));
	assert_ok(UNPUBLISH("v", a));
	assert_kvol(PUBLISH("v", a, .access = KVOL_ACCESS_SINGLE_WRITER), -EBUSY,
		    KVOL_R_ACCESS_CONFLICT);
	assert_ok(UNPUBLISH("v", b));
	assert_invalid(PUBLISH("v", a, .access = 4));
}

/* Of several processes that want to be the only one, one is. */
static void one_of_several_processes_gets_it(void **state)
{
	enum { PROCESSES = 4 };
	int status, won = 0, lost = 0;
	char target[256];
	pid_t pids[PROCESSES];

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		(void)snprintf(target, sizeof(target), "t%d", i);
		(void)make_dir(target);
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		if (kvol_pool_open(ctx, pool_path, NULL, &pool, &err) < 0)
			_exit(9);
		status = PUBLISH("v", in_dir("t%d", i), .access = KVOL_ACCESS_SINGLE_WRITER);
		_exit(status == 0					? 1
		      : err.reason == KVOL_R_ACCESS_CONFLICT ? 2
								: 3);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(waitpid(pids[i], &status, 0) == pids[i]);
		assert_true(WIFEXITED(status));
		won += WEXITSTATUS(status) == 1;
		lost += WEXITSTATUS(status) == 2;
	}
	assert_int_equal(won, 1);
	assert_int_equal(lost, PROCESSES - 1);
	assert_int_equal(info_of("v").n_targets, 1);
	for (int i = 0; i < PROCESSES; i++)
		assert_ok(UNPUBLISH("v", in_dir("t%d", i)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_writer_is_alone),
		cmocka_unit_test(one_of_several_processes_gets_it),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("placement", tests, up, pool_down);
}
