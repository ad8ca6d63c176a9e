// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Histories of eight processes with four threads each on one pool of a real kernel, some
 * of them killed, held against the sequential pool: see tests/race/history.h.
 */
#include <sys/stat.h>

#include "system.h"
#include "../race/history.h"

static void run(struct race_config *c)
{
	struct race_figures figures;
	struct world w;
	int r;

	for (int i = 0; i < SPEC_TARGETS; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "t%d", i);
		(void)snprintf(c->targets[i], sizeof(c->targets[i]), "%s",
			       i < SPEC_TARGETS / 2 ? make_dir(name) : make_file(name));
	}
	/* Children must not inherit a handle: it would keep their locks' file open. */
	kvol_pool_close(pool);
	pool = NULL;
	world_now(&w);
	c->pool_path = pool_path;
	c->bound_s = 180;
	c->is_mounted = is_mounted;
	r = race_run(c, &figures);
	race_print_figures(c, &figures);
	if (r == 0)
		assert_world(&w, "the histories", __FILE__, __LINE__);
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_int_equal(r, 0);
}

static void everybody_lives(void **state)
{
	struct race_config c = {
		.processes = 8,
		.threads = 4,
		.calls = 3,
		.rounds = race_long() ? 2000 : 12,
		.seconds = race_long() ? 1800 : 20,
		.ext4_percent = 8,
		.seed = race_seed(3),
	};

	(void)state;
	run(&c);
}

static void some_are_killed(void **state)
{
	struct race_config c = {
		.processes = 8,
		.threads = 4,
		.calls = 3,
		.rounds = race_long() ? 2000 : 12,
		.seconds = race_long() ? 1800 : 25,
		.kill_percent = 100,
		.ext4_percent = 8,
		.seed = race_seed(4),
	};

	(void)state;
	run(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_lives),
		cmocka_unit_test(some_are_killed),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("history", tests, pool_up, pool_down);
}
