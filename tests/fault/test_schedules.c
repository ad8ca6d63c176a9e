/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Random schedules with crashes and faults: see schedule.h. The short form runs as many
 * as fit into a few seconds' work; KVOL_TEST_LONG=1 runs a million, in KVOL_TEST_JOBS
 * processes.
 *
 * KVOL_TEST_SEED=S draws all from S; KVOL_TEST_SEED=S:N runs schedule N of S alone, and
 * tells what happens in it; S:N-M runs those from N to M. KVOL_TEST_SCHEDULES=N runs
 * another number of them.
 */

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "schedule.h"

#define SHORT_FORM   3000
#define LONG_FORM    1000000
#define DEFAULT_SEED 20240229
#define JOBS_MAX     64
#define FAILURES_MAX 5
#define REPEATED     60

struct job {
	struct schedule_figures figures;
	unsigned failures;
};

static struct job *jobs; /* shared with the processes that do them */
static unsigned n_jobs = 1;
static uint64_t seed = DEFAULT_SEED, first, end = SHORT_FORM; /* the one behind the last */
static FILE *out;

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 10) : otherwise;
}

static void read_range(const char *range)
{
	char *behind;

	first = strtoull(range, &behind, 10);
	end = *behind == '-' ? strtoull(behind + 1, NULL, 10) + 1 : first + 1;
	if (*behind != '-') {
		n_jobs = 1;
		out = stderr;
	}
}

static void read_environment(void)
{
	const char *s = getenv("KVOL_TEST_SEED"), *colon = s ? strchr(s, ':') : NULL;
	bool is_long = getenv("KVOL_TEST_LONG");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (is_long) {
		end = LONG_FORM;
		seed = (uint64_t)__real_time(NULL);
		n_jobs = (unsigned)number_from("KVOL_TEST_JOBS",
					       cpus > 0 ? (uint64_t)cpus : 1);
	}
	if (n_jobs < 1)
		n_jobs = 1;
	if (n_jobs > JOBS_MAX)
		n_jobs = JOBS_MAX;
	end = number_from("KVOL_TEST_SCHEDULES", end);
	seed = number_from("KVOL_TEST_SEED", seed);
	if (colon)
		read_range(colon + 1);
}

static void run_some(struct job *job, uint64_t from, uint64_t step)
{
	struct schedules *x = schedules_start(&job->figures);
	const char *bad;

	for (uint64_t n = from; n < end; n += step) {
		bad = schedule_run(x, model_hash(&n, sizeof(n), seed), out);
		if (!bad)
			continue;
		fprintf(stderr,
			"schedule %" PRIu64 ": %s\n  again: KVOL_TEST_SEED=%" PRIu64
			":%" PRIu64 "\n",
			n, bad, seed, n);
		if (++job->failures == FAILURES_MAX)
			break;
	}
	schedules_end(x);
}

static void crashes_and_faults_in_random_schedules(void **state)
{
	unsigned failures = 0;
	int status;

	(void)state;
	for (unsigned i = 1; i < n_jobs; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			run_some(&jobs[i], first + i, n_jobs);
			_exit(0);
		}
	}
	run_some(&jobs[0], first, n_jobs);
	for (unsigned i = 1; i < n_jobs; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (unsigned i = 0; i < n_jobs; i++)
		failures += jobs[i].failures;
	assert_int_equal(failures, 0);
}

/* What ran before it makes no difference: else what fails could not be run again. */
static void schedules_are_functions_of_their_seeds(void **state)
{
	struct schedule_figures figures = { .schedules = 0 };
	struct schedules *x = schedules_start(&figures);
	uint64_t traces[REPEATED];

	(void)state;
	for (uint64_t n = 0; n < REPEATED; n++) {
		(void)schedule_run(x, model_hash(&n, sizeof(n), seed), NULL);
		traces[n] = schedule_trace(x);
	}
	for (uint64_t n = REPEATED; n-- > 0;) {
		(void)schedule_run(x, model_hash(&n, sizeof(n), seed), NULL);
		assert_int_equal(schedule_trace(x), traces[n]);
	}
	schedules_end(x);
	x = schedules_start(&figures);
	for (uint64_t n = 1; n < REPEATED; n += 2) {
		(void)schedule_run(x, model_hash(&n, sizeof(n), seed), NULL);
		assert_int_equal(schedule_trace(x), traces[n]);
	}
	schedules_end(x);
}

static void print_figures(double seconds)
{
	static const char *const names[] = {
		"random schedules",	"verbs in schedules",
		"of them acknowledged", "processes killed in schedules",
		"power cuts",		"crashes inside recovery",
		"faults hit",		"changes of process within a verb",
	};
	uint64_t sums[KV_ARRAY_SIZE(names)] = { 0 };

	_Static_assert(sizeof(sums) == sizeof(struct schedule_figures), "one name each");
	for (unsigned i = 0; i < n_jobs; i++) {
		uint64_t figures[KV_ARRAY_SIZE(names)];

		memcpy(figures, &jobs[i].figures, sizeof(figures));
		for (size_t j = 0; j < KV_ARRAY_SIZE(names); j++)
			sums[j] += figures[j];
	}
	for (size_t j = 0; j < KV_ARRAY_SIZE(names); j++)
		printf("# figure %s: %" PRIu64 "\n", names[j], sums[j]);
	printf("# figure schedules a second of processor time: %.0f\n",
	       seconds > 0 ? (double)sums[0] / seconds : 0);
	printf("# seed: KVOL_TEST_SEED=%" PRIu64 "\n", seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(schedules_are_functions_of_their_seeds),
		cmocka_unit_test(crashes_and_faults_in_random_schedules),
	};
	int r;

	jobs = mmap(NULL, JOBS_MAX * sizeof(*jobs), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jobs == MAP_FAILED)
		return 1;
	read_environment();
	/* One thread, and memory that is not given back between schedules. */
	(void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	printf("# seed %" PRIu64 ", %" PRIu64 " schedules, %u jobs\n", seed, end - first,
	       n_jobs);
	r = cmocka_run_group_tests_name("schedules", tests, NULL, NULL);
	print_figures((double)clock() / CLOCKS_PER_SEC);
	return r;
}
