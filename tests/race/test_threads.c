/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Many threads on one handle and on several, every verb, on the model: for the thread
 * sanitizer, which sees what no result tells. What the results must be is
 * test_history_model's business; here they only have to be the contract's.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "fixture.h"
#include "history.h"

#define THREADS 8
#define NAMES	5
#define TARGETS 4

struct worker {
	struct fixture *f;
	struct kvol_pool *pool;
	unsigned number, steps;
	uint64_t random;
	uint64_t calls;
	bool quiet; /* publishes nothing */
	char fault[320];
};

static atomic_uint lines; /* logged */
static atomic_bool deactivated;

static void count_line(void *arg, int priority, const char *msg)
{
	(void)arg;
	(void)priority;
	(void)msg;
	atomic_fetch_add(&lines, 1);
}

/* Results that the header has for a call among others of its kind. */
static bool is_expected(int r, uint32_t reason)
{
	switch (r) {
	case 0:
		return true;
	case -ENOENT:
		return reason == KVOL_R_NOT_FOUND;
	case -EEXIST:
		return reason == KVOL_R_EXISTS_DIFFERENT;
	case -EBUSY:
		return reason == KVOL_R_BUSY_OPEN || reason == KVOL_R_BUSY_PUBLISHED;
	case -EINVAL:
		return reason == KVOL_R_UNSUPPORTED || reason == KVOL_R_INVALID;
	case -ESHUTDOWN:
		return reason == KVOL_R_INVALID && atomic_load(&deactivated);
	default:
		return false;
	}
}

static int list_all(struct kvol_pool *pool, struct kvol_error *e)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	int r = kvol_list(pool, 0, &iter, e);

	if (r < 0)
		return r;
	while ((r = kvol_iter_next(iter, &info)) == 1)
		;
	kvol_iter_free(iter);
	e->reason = r == -ESHUTDOWN ? KVOL_R_INVALID : KVOL_R_NONE;
	return r;
}

static int step(struct worker *w, struct kvol_error *e)
{
	static const char *const targets[TARGETS] = { "/d0", "/d1", "/f0", "/f1" };
	unsigned target = (unsigned)(race_random(&w->random) % TARGETS);
	struct kvol_create_opts fs = { .size = sizeof(fs), .fs_type = "ext4" };
	struct kvol_publish_opts publish = {
		.size = sizeof(publish),
		.flags = target >= TARGETS / 2 ? KVOL_PUBLISH_BLOCK : 0,
	};
	struct kvol_pool_info pool_info = { .size = sizeof(pool_info) };
	struct kvol_info info = { .size = sizeof(info) };
	char n[8], m[8];

	(void)snprintf(n, sizeof(n), "n%u", (unsigned)(race_random(&w->random) % NAMES));
	(void)snprintf(m, sizeof(m), "n%u", (unsigned)(race_random(&w->random) % NAMES));
	switch (race_random(&w->random) % (w->quiet ? 10 : 13)) {
	case 0:
	case 1:
		return kvol_create(w->pool, n, 32 * MIB, &fs, e);
	case 2:
		return kvol_create(w->pool, n, 32 * MIB, NULL, e);
	case 3:
		return kvol_snapshot(w->pool, n, m, NULL, e);
	case 4:
		return kvol_clone(w->pool, n, m, NULL, e);
	case 5:
		return kvol_delete(w->pool, n, 0, e);
	case 6:
		return kvol_expand(w->pool, n, 64 * MIB, 0, e);
	case 7:
		return kvol_stat(w->pool, n, &info, e);
	case 8:
		return list_all(w->pool, e);
	case 9:
		return kvol_pool_stat(w->pool, &pool_info, e);
	case 10:
	case 11:
		return kvol_publish(w->pool, n, targets[target], &publish, e);
	default:
		return kvol_unpublish(w->pool, n, targets[target], NULL, e);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct kvol_error e;
	int r;

	for (unsigned i = 0; i < w->steps; i++) {
		memset(&e, 0, sizeof(e));
		r = step(w, &e);
		w->calls++;
		if (is_expected(r, e.reason))
			continue;
		(void)snprintf(w->fault, sizeof(w->fault), "%d %s: %s", r,
			       kvol_reason_str(e.reason), e.msg);
		return w;
	}
	return NULL;
}

static void *work_with_own_handle(void *arg)
{
	struct worker *w = arg;
	unsigned steps = w->steps;
	struct kvol_error e;
	void *fault = NULL;
	int r;

	w->steps = 10;
	for (unsigned i = 0; i < steps && !fault; i += w->steps) {
		r = kvol_pool_open(w->f->ctx, w->f->path, NULL, &w->pool, &e);
		if (r < 0) {
			(void)snprintf(w->fault, sizeof(w->fault), "open: %d %s", r,
				       e.msg);
			return w;
		}
		fault = work(w);
		kvol_pool_close(w->pool);
	}
	return fault;
}

static void start(struct fixture *f, struct worker *w, pthread_t *threads, unsigned n,
		  unsigned steps, void *(*fn)(void *arg), uint64_t seed)
{
	for (unsigned i = 0; i < n; i++) {
		w[i] = (struct worker){
			.f = f, .pool = f->pool, .number = i, .steps = steps
		};
		w[i].random = (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		w[i].quiet = steps == 0;
		if (!steps)
			w[i].steps = 100000;
		assert_int_equal(pthread_create(&threads[i], NULL, fn, &w[i]), 0);
	}
}

static uint64_t join(struct worker *w, const pthread_t *threads, unsigned n)
{
	uint64_t calls = 0;
	void *fault;

	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(pthread_join(threads[i], &fault), 0);
		if (fault)
			print_error("thread %u: %s\n", i, w[i].fault);
		assert_null(fault);
		calls += w[i].calls;
	}
	return calls;
}

static void check_pool(struct fixture *f)
{
	static const char *const targets[TARGETS] = { "/d0", "/d1", "/f0", "/f1" };
	char name[8];

	for (unsigned i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		for (unsigned t = 0; t < TARGETS; t++)
			succeeds(f,
				 kvol_unpublish(f->pool, name, targets[t], NULL, &f->e));
		if (exists(f, name))
			assert_int_equal(info_of(f, name).n_targets, 0);
		succeeds(f, kvol_delete(f->pool, name, 0, &f->e));
	}
	succeeds(f, kvol_template_delete(f->pool, NULL, 0, &f->e));
	reopen_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(model_n_mounts(), 0);
}

static int setup(void **state)
{
	struct kvol_ctx_opts opts = { .size = sizeof(opts), .log = count_line };
	struct fixture *f;

	(void)setup_disk(state);
	f = *state;
	model->mkfs_bytes = 4096; /* templates are made */
	/* The fixture's log function is for one thread. */
	kvol_free(f->ctx);
	opts.run_dir = f->run_dir;
	assert_int_equal(kvol_new(&opts, &f->ctx, NULL), 0);
	open_pool(f);
	model_file("/d0", S_IFDIR);
	model_file("/d1", S_IFDIR);
	model_file("/f0", S_IFREG);
	model_file("/f1", S_IFREG);
	atomic_store(&deactivated, false);
	return 0;
}

static unsigned n_steps(void)
{
	return race_long() ? 5000 : 120;
}

static void many_threads_share_a_handle(void **state)
{
	struct worker workers[THREADS];
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	uint64_t calls;

	start(f, workers, threads, THREADS, n_steps(), work, race_seed(11));
	calls = join(workers, threads, THREADS);
	check_pool(f);
	printf("# figure calls by %d threads on one handle: %llu\n", THREADS,
	       (unsigned long long)calls);
}

static void each_thread_opens_and_closes_handles_of_its_own(void **state)
{
	struct worker workers[THREADS];
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	uint64_t calls;

	start(f, workers, threads, THREADS, n_steps() / 2, work_with_own_handle,
	      race_seed(12));
	calls = join(workers, threads, THREADS);
	check_pool(f);
	printf("# figure calls by %d threads on a handle each: %llu\n", THREADS,
	       (unsigned long long)calls);
}

static void *deactivate(void *arg)
{
	struct worker *w = arg;
	struct kvol_error e;
	int r;

	atomic_store(&deactivated, true);
	r = kvol_pool_deactivate(w->pool, &e);
	if (r == 0)
		return NULL;
	(void)snprintf(w->fault, sizeof(w->fault), "%d %s: %s", r,
		       kvol_reason_str(e.reason), e.msg);
	return w;
}

static void *work_until_shut_down(void *arg)
{
	struct worker *w = arg;
	struct kvol_error e;

	while (w->calls < w->steps) {
		int r = step(w, &e);

		w->calls++;
		if (r == -ESHUTDOWN)
			return NULL;
		if (!is_expected(r, e.reason)) {
			(void)snprintf(w->fault, sizeof(w->fault), "%d %s: %s", r,
				       kvol_reason_str(e.reason), e.msg);
			return w;
		}
	}
	return NULL;
}

/* The handle's other callers see it working, or deactivated, and nothing in between. */
static void handle_is_deactivated_beside_its_other_callers(void **state)
{
	struct worker workers[THREADS], enders[2];
	unsigned rounds = race_long() ? 200 : 8;
	pthread_t threads[THREADS], ends[2];
	struct fixture *f = *state;
	uint64_t calls = 0, seed = race_seed(13);

	for (unsigned i = 0; i < rounds; i++) {
		atomic_store(&deactivated, false);
		start(f, workers, threads, THREADS, 0, work_until_shut_down, seed + i);
		start(f, enders, ends, 2, 1, deactivate, 0);
		(void)join(enders, ends, 2);
		calls += join(workers, threads, THREADS);
		assert_int_equal(model_n_devs(), 0);
		reopen_pool(f);
	}
	check_pool(f);
	printf("# figure calls beside %u deactivations: %llu\n", rounds,
	       (unsigned long long)calls);
}

#define with_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_pool(many_threads_share_a_handle),
		with_pool(each_thread_opens_and_closes_handles_of_its_own),
		with_pool(handle_is_deactivated_beside_its_other_callers),
	};

	return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
