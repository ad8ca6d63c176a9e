/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Histories of many processes and threads on the model, held against the sequential pool.
 * For volume, and under the sanitizers; tests/system/test_history.c is the same on a real
 * kernel.
 *
 * A process is killed between two steps of the model, with the model's lock held: its
 * memory is always whole, as the kernel's would be.
 */

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "history.h"

#define STEPS_MAX 120 /* of a process, in one round */

static struct {
	atomic_uint after[RACE_PROCESSES_MAX]; /* so many steps; 0: never */
} * kills;
static unsigned self;

static int hook(const char *what, unsigned step)
{
	unsigned left = atomic_load(&kills->after[self]);

	(void)what;
	(void)step;
	while (left &&
	       !atomic_compare_exchange_weak(&kills->after[self], &left, left - 1))
		;
	if (left == 1) {
		model_lock();
		_exit(MODEL_CRASHED);
	}
	return 0;
}

static void in_child(unsigned process)
{
	self = process;
	model_hook = hook;
}

static void kill_one(unsigned process, uint64_t random)
{
	atomic_store(&kills->after[process],
		     random ? 1 + (unsigned)(random % STEPS_MAX) : 0);
}

static bool is_mounted(const char *path)
{
	struct model_mount *m;

	model_lock();
	m = model_mount_at(NULL, path);
	model_unlock();
	return m;
}

static void run(struct fixture *f, struct race_config *c)
{
	static const char *const targets[SPEC_TARGETS] = { "/d0", "/d1", "/f0", "/f1" };
	struct race_figures figures;
	int r;

	kills = mmap(NULL, sizeof(*kills), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(kills != MAP_FAILED);
	for (int i = 0; i < SPEC_TARGETS; i++) {
		model_file(targets[i], i < SPEC_TARGETS / 2 ? S_IFDIR : S_IFREG);
		(void)snprintf(c->targets[i], sizeof(c->targets[i]), "%s", targets[i]);
	}
	close_pool(f);
	c->pool_path = f->path;
	c->run_dir = f->run_dir;
	c->bound_s = 120;
	c->is_mounted = is_mounted;
	c->in_child = in_child;
	c->kill = kill_one;
	r = race_run(c, &figures);
	race_print_figures(c, &figures);
	assert_int_equal(munmap(kills, sizeof(*kills)), 0);
	if (model->disaster[0])
		print_error("disaster: %s\n", model->disaster);
	assert_int_equal(r, 0);
}

static void everybody_lives(void **state)
{
	struct race_config c = {
		.processes = 4,
		.threads = 4,
		.calls = 8,
		.rounds = race_long() ? 4000 : 60,
		.seconds = race_long() ? 1800 : 20,
		.ext4_percent = 30,
		.seed = race_seed(1),
	};

	run(*state, &c);
}

static void some_are_killed(void **state)
{
	struct race_config c = {
		.processes = 4,
		.threads = 4,
		.calls = 6,
		.rounds = race_long() ? 4000 : 80,
		.seconds = race_long() ? 1800 : 20,
		.kill_percent = 80,
		.ext4_percent = 30,
		.seed = race_seed(2),
	};

	run(*state, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everybody_lives, setup_pool, teardown),
		cmocka_unit_test_setup_teardown(some_are_killed, setup_pool, teardown),
	};

	return cmocka_run_group_tests_name("history on the model", tests, NULL, NULL);
}
