/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Threads of one handle share commits of the catalogue: each call's promise stays what it
 * is. Commits are slow, and the first one very, so that others come while one lasts.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "fixture.h"

#define THREADS 8
#define EACH	12
#define ALL	(THREADS * EACH)

static atomic_uint commits;

static int slow_commit(const char *what, unsigned step)
{
	struct timespec ts = { .tv_nsec = 3000000 };

	(void)step;
	if (strncmp(what, "commit", 6))
		return 0;
	if (atomic_fetch_add(&commits, 1) == 0)
		ts.tv_nsec = 300000000;
	(void)nanosleep(&ts, NULL);
	return 0;
}

struct worker {
	struct fixture *f;
	int thread;
	int results[EACH];
	pthread_t id;
};

static const char *name_of(int thread, int i, char ret[32])
{
	(void)snprintf(ret, 32, "v%d-%d", thread, i);
	return ret;
}

static void *create_some(void *arg)
{
	struct worker *w = arg;
	char name[32];

	for (int i = 0; i < EACH; i++)
		w->results[i] = kvol_create(w->f->pool, name_of(w->thread, i, name), 4096,
					    NULL, NULL);
	return NULL;
}

static void *set_label(void *arg)
{
	struct worker *w = arg;
	char key[16], value[16];
	const struct kvol_label label = { key, value };

	(void)snprintf(key, sizeof(key), "k%c", 'a' + w->thread);
	for (int i = 0; i < EACH; i++) {
		(void)snprintf(value, sizeof(value), "v%c", 'a' + i);
		w->results[i] = kvol_label_set(w->f->pool, NULL, &label, 1, NULL);
	}
	return NULL;
}

static void run(struct fixture *f, struct worker workers[THREADS], void *(*work)(void *))
{
	atomic_store(&commits, 0);
	model_hook = slow_commit;
	for (int t = 0; t < THREADS; t++) {
		workers[t] = (struct worker){ .f = f, .thread = t };
		assert_int_equal(pthread_create(&workers[t].id, NULL, work,
						&workers[t]),
				 0);
	}
	for (int t = 0; t < THREADS; t++)
		(void)pthread_join(workers[t].id, NULL);
	model_hook = NULL;
}

/* What was acknowledged is there, and nothing else; returns how many. */
static int check(struct fixture *f, const struct worker workers[THREADS])
{
	char name[32];
	int n = 0;

	reopen_pool(f);
	for (int t = 0; t < THREADS; t++) {
		for (int i = 0; i < EACH; i++) {
			assert_int_equal(exists(f, name_of(t, i, name)),
					 workers[t].results[i] == 0);
			n += workers[t].results[i] == 0;
		}
	}
	assert_int_equal(model_thins(disk_of(f)), n);
	return n;
}

static void threads_share_commits(void **state)
{
	struct worker workers[THREADS];
	struct fixture *f = *state;

	run(f, workers, set_label);
	/* Each of them changes something. */
	assert_true(atomic_load(&commits) < ALL);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < EACH; i++)
			assert_int_equal(workers[t].results[i], 0);
	reopen_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM label WHERE value = 'vl'"), THREADS);
}

static void acknowledged_is_there(void **state)
{
	struct worker workers[THREADS];
	struct fixture *f = *state;

	run(f, workers, create_some);
	assert_int_equal(check(f, workers), ALL);
}

static void change_that_is_refused_leaves_the_others(void **state)
{
	struct kvol_policy_opts p = { .size = sizeof(p),
				      .flags = KVOL_SET_MAX_VOLUMES,
				      .max_volumes = ALL / 2 };
	struct worker workers[THREADS];
	struct fixture *f = *state;

	succeeds(f, kvol_pool_set(f->pool, &p, &f->e));
	run(f, workers, create_some);
	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < EACH; i++)
			assert_true(workers[t].results[i] == 0 ||
				    workers[t].results[i] == -ENOSPC);
	assert_int_equal(check(f, workers), ALL / 2);
}

static void failed_commit_fails_all_that_are_in_it(void **state)
{
	struct worker workers[THREADS];
	struct fixture *f = *state;
	int n;

	model_fail("commit", 7, -EIO);
	run(f, workers, create_some);
	n = check(f, workers);
	assert_true(n < ALL);
	assert_true(n > 0);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(threads_share_commits),
		on_pool(acknowledged_is_there),
		on_pool(change_that_is_refused_leaves_the_others),
		on_pool(failed_commit_fails_all_that_are_in_it),
	};

	return cmocka_run_group_tests_name("group", tests, NULL, NULL);
}
