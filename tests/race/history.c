// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The runner of histories: see history.h.
 *
 * The parent has one thread and forks; children open the pool and start threads. They
 * share one mapping: which round it is, what every thread is doing and since when, and
 * what it has seen. A round begins when the parent moves the number on, and ends when
 * each thread has made its calls or its process is dead. Then the parent opens the pool,
 * lists it, takes down what is published, and looks that nothing is left active; what it
 * saw is the end of this round's history and the beginning of the next one's.
 *
 * A process that is killed leaves a call on each thread that may or may not have
 * happened, before the parent saw it dead. Another one takes its place in the same round,
 * so that opening and recovery run beside the others' calls.
 *
 * A call that takes longer than its bound is reported with what the kernel tells of every
 * thread (wchan, stack), and ends the run.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "player.h"

#define BUDGET	     UINT64_C(4000000)
#define AUDIT_MAX    (SPEC_NAMES + 1)
#define SETTLE_MS    30000
#define OPEN_BOUND_S 180

struct run {
	const struct race_config *c;
	struct race_figures *f;
	struct shared *shared;
	struct kvol_ctx *ctx;
	pid_t pids[RACE_PROCESSES_MAX];
	bool active[RACE_PROCESSES_MAX]; /* since before this round */
	uint64_t random, began;
	uint64_t killed_at; /* ns, 0: nobody in this round */
	struct seen begin[SPEC_NAMES];
	struct event audit[AUDIT_MAX];
	unsigned n_audit;
};

static void pause_us(unsigned us)
{
	const struct timespec t = { .tv_nsec = us * 1000L };

	(void)nanosleep(&t, NULL);
}

static bool spawn(struct run *run, unsigned process)
{
	unsigned round = atomic_load(&run->shared->round);
	uint64_t random = race_random(&run->random);
	pid_t pid;

	atomic_store(&run->shared->ready[process], 0);
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(race_child(run->c, run->shared, run->ctx, process, round, random));
	run->pids[process] = pid;
	return pid > 0;
}

/* --- The parent: what is wrong ---------------------------------------------------- */

static void say_file(const char *dir, const char *name)
{
	char path[512], line[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		printf("#   %s: %.*s\n", name, (int)strcspn(line, "\n"), line);
	if (f)
		(void)fclose(f);
}

static void say_threads(pid_t pid)
{
	char path[64], dir[512];
	struct dirent *d;
	DIR *tasks;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (d = readdir(tasks))) {
		if (d->d_name[0] == '.')
			continue;
		(void)snprintf(dir, sizeof(dir), "%s/%s", path, d->d_name);
		printf("# thread %s of %d\n", d->d_name, pid);
		say_file(dir, "wchan");
		say_file(dir, "syscall");
		say_file(dir, "stack");
	}
	if (tasks)
		(void)closedir(tasks);
}

static void say_stuck(struct run *run)
{
	char line[1024];

	for (unsigned i = 0; i < run->c->processes * run->c->threads; i++) {
		struct slot *slot = &run->shared->slots[i];
		uint64_t since = atomic_load(&slot->since);
		unsigned begun = atomic_load(&slot->begun);
		struct event e;

		if (!since || !begun)
			continue;
		e = slot->events[begun - 1];
		e.end = race_now_ns();
		e.r = 1;
		spec_print_event(&e, run->began, line, sizeof(line));
		printf("# under way: %s\n", line);
	}
	for (unsigned p = 0; p < run->c->processes; p++)
		say_threads(run->pids[p]);
}

static int wrong(struct run *run, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct run *run, const char *fmt, ...)
{
	va_list ap;

	printf("# round %u of seed %" PRIu64 ": ", run->f->rounds, run->c->seed);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	(void)fflush(stdout);
	return -1;
}

/* --- The parent: one round -------------------------------------------------------- */

/* In the order of their beginning: whose call is when. */
static int by_begin(const void *a, const void *b)
{
	const struct event *x = *(const struct event *const *)a,
			   *y = *(const struct event *const *)b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

static void say_history(const struct run *run, const struct spec *spec,
			const struct lin_result *result)
{
	bool explained[LIN_CALLS_MAX] = { false };
	struct spec_state state;
	char line[2048];

	memcpy(&state, result->state, sizeof(state));
	for (unsigned i = 0; i < result->n_order; i++)
		explained[result->order[i]] = true;
	spec_print_state(spec, &spec->begin, line, sizeof(line));
	printf("# at first:%s\n# the longest order that explains anything:\n", line);
	for (unsigned i = 0; i < result->n_order; i++) {
		spec_print_event(spec->events[result->order[i]], run->began, line,
				 sizeof(line));
		printf("#   %s\n", line);
	}
	spec_print_state(spec, &state, line, sizeof(line));
	printf("# leaves:%s\n# and does not explain:\n", line);
	for (unsigned i = 0; i < spec->n; i++) {
		if (explained[i])
			continue;
		spec_print_event(spec->events[i], run->began, line, sizeof(line));
		printf("#   %s\n", line);
	}
}

static void count_event(struct race_figures *f, const struct event *e)
{
	double s = (double)(e->end - e->begin) / 1e9;

	f->calls++;
	f->pending += e->r > 0;
	f->changes += e->r == 0 && e->verb != VERB_STAT && e->verb != VERB_LIST;
	f->results[e->verb][e->r > 0 ? 2 : e->r < 0]++;
	if (s > f->longest_s)
		f->longest_s = s;
}

static int check(struct run *run)
{
	static const struct event *events[LIN_CALLS_MAX];
	static struct lin_result result;
	static struct spec spec;
	unsigned n = 0;

	for (unsigned i = 0; i < run->c->processes * run->c->threads; i++) {
		struct slot *slot = &run->shared->slots[i];
		unsigned begun = atomic_load(&slot->begun);

		for (unsigned j = 0; j < begun && n < LIN_CALLS_MAX; j++) {
			struct event *e = &slot->events[j];

			e->after_kill = run->killed_at && e->end >= run->killed_at;
			count_event(run->f, e);
			events[n++] = e;
		}
	}
	for (unsigned i = 0; i < run->n_audit && n < LIN_CALLS_MAX; i++)
		events[n++] = &run->audit[i];
	qsort(events, n, sizeof(events[0]), by_begin);
	if (!spec_init(&spec, events, n, run->begin, BUDGET))
		return wrong(run, "the history is too long for the checker");
	lin_check(&spec.history, &result);
	run->f->visited += result.visited;
	run->f->undecided += result.verdict == LIN_UNDECIDED;
	if (result.verdict == LIN_YES)
		return 0;
	(void)wrong(run,
		    result.verdict == LIN_NO ? "NOT LINEARIZABLE: %u calls, %" PRIu64
					       " states"
					     : "undecided: %u calls, %" PRIu64 " states",
		    n, result.visited);
	say_history(run, &spec, &result);
	return -1;
}

/* Was a publish or unpublish of this name cut short? Then n_targets may count its record.
 */
static bool cut_short(const struct run *run, unsigned name)
{
	for (unsigned i = 0; i < run->c->processes * run->c->threads; i++) {
		const struct slot *slot = &run->shared->slots[i];
		unsigned begun = atomic_load(&slot->begun);
		const struct event *e = slot->events + begun;

		if (begun && e[-1].r > 0 && e[-1].name == name &&
		    (e[-1].verb == VERB_PUBLISH || e[-1].verb == VERB_UNPUBLISH))
			return true;
	}
	return false;
}

/* 1: what is published of this name is on its way. */
static int take_down_one(struct run *run, struct kvol_pool *pool, unsigned name,
			 bool patient)
{
	struct event e = { .verb = VERB_UNPUBLISH, .name = (uint8_t)name };
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_error err;
	char text[8];
	int r;

	(void)snprintf(text, sizeof(text), "n%u", name);
	if (kvol_stat(pool, text, &info, NULL) < 0 ||
	    (!info.device[0] && !info.n_targets))
		return 0;
	for (unsigned t = 0; t < SPEC_TARGETS; t++) {
		e.target = (uint8_t)t;
		r = race_call(pool, run->c, &e, &err);
		if (r < 0 && !(r == -EBUSY && run->killed_at && patient))
			return wrong(run, "take %s away from t%u: %d %s", text, t, r,
				     err.msg);
	}
	if (kvol_stat(pool, text, &info, NULL) == 0 && (info.device[0] || info.n_targets))
		return patient ? 1
			       : wrong(run,
				       "%s, which is nowhere published: device '%s', "
				       "%u targets",
				       text, info.device, info.n_targets);
	return 0;
}

static int take_down(struct run *run, struct kvol_pool *pool)
{
	const uint64_t end = race_now_ns() + SETTLE_MS * UINT64_C(1000000);
	bool again;
	int r;

	do { /* what a killed process had open the kernel closes in its own time */
		again = false;
		for (unsigned i = 0; i < SPEC_NAMES; i++) {
			r = take_down_one(run, pool, i, race_now_ns() < end);
			if (r < 0)
				return r;
			again = again || r > 0;
		}
		if (again)
			pause_us(10000);
	} while (again);
	for (unsigned t = 0; t < SPEC_TARGETS; t++)
		if (run->c->is_mounted(run->c->targets[t]))
			return wrong(run, "t%u: something is still mounted", t);
	return 0;
}

/* Nobody else is about: what is there is the end of this round. */
static int audit(struct run *run, struct seen end[SPEC_NAMES])
{
	struct kvol_pool *pool;
	struct kvol_error err;
	int r;

	r = kvol_pool_open(run->ctx, run->c->pool_path, NULL, &pool, &err);
	if (r < 0)
		return wrong(run, "open after all: %d %s", r, err.msg);
	run->n_audit = 0;
	for (unsigned i = 0; i <= SPEC_NAMES; i++) {
		struct event *e = &run->audit[run->n_audit++];

		*e = (struct event){ .verb = i < SPEC_NAMES ? VERB_STAT : VERB_LIST,
				     .name = (uint8_t)(i % SPEC_NAMES),
				     .quiet = i < SPEC_NAMES && !cut_short(run, i) };
		race_perform(pool, run->c, e);
	}
	memcpy(end, run->audit[SPEC_NAMES].seen, sizeof(run->begin));
	r = run->f->rounds ? check(run) : 0;
	if (r == 0)
		r = take_down(run, pool);
	kvol_pool_close(pool);
	return r;
}

/* A child is dead. */
static int bury(struct run *run, unsigned process, int status)
{
	bool killed = run->killed_at &&
		      (run->c->kill ? !WIFSIGNALED(status) && WEXITSTATUS(status) == 99
				    : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	uint64_t died = race_now_ns();

	if (!killed)
		return wrong(run, "process %u ended by itself: status 0x%x %s", process,
			     (unsigned)status, run->shared->fault);
	for (unsigned i = 0; i < run->c->threads; i++) {
		struct slot *slot = &run->shared->slots[process * run->c->threads + i];
		unsigned begun = atomic_load(&slot->begun);

		atomic_store(&slot->since, 0);
		if (begun > atomic_load(&slot->done)) {
			slot->events[begun - 1].r = 1;
			slot->events[begun - 1].end = died;
			memset(slot->events[begun - 1].seen, 0,
			       sizeof(slot->events[0].seen));
		}
	}
	run->active[process] = false;
	run->f->kills++;
	return spawn(run, process) ? 0 : wrong(run, "fork: %s", strerror(errno));
}

static bool is_over(const struct run *run)
{
	for (unsigned p = 0; p < run->c->processes; p++) {
		if (!atomic_load(&run->shared->ready[p]))
			return false;
		if (run->active[p] &&
		    atomic_load(&run->shared->finished[p]) < run->c->threads)
			return false;
	}
	return true;
}

/* A killed process that does not die is the kernel's deadlock, and looks like this, too.
 */
static int look_for_stuck(struct run *run, uint64_t began, int dying)
{
	const uint64_t bound = run->c->bound_s * UINT64_C(1000000000),
		       now = race_now_ns();
	bool stuck = false;

	for (unsigned i = 0; i < run->c->processes * run->c->threads; i++) {
		uint64_t since = atomic_load(&run->shared->slots[i].since);

		stuck = stuck || (since && now > since && now - since > bound);
	}
	for (unsigned p = 0; p < run->c->processes; p++)
		stuck = stuck ||
			((!atomic_load(&run->shared->ready[p]) || dying == (int)p) &&
			 now - began > bound + OPEN_BOUND_S * UINT64_C(1000000000));
	if (!stuck)
		return 0;
	(void)wrong(run, "STUCK: a call, or an open, takes more than %u s",
		    run->c->bound_s);
	say_stuck(run);
	return -1;
}

static int reap(struct run *run, int *dying)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		unsigned p = 0;

		while (p < run->c->processes && run->pids[p] != pid)
			p++;
		if (p == run->c->processes)
			continue;
		if (bury(run, p, status) < 0)
			return -1;
		if (*dying == (int)p)
			*dying = -1;
	}
	return 0;
}

/* Until the round is over. victim: who is killed at that time, -1: nobody. */
static int watch(struct run *run, int victim, uint64_t kill_at)
{
	uint64_t began = race_now_ns();
	int dying = -1;

	while (victim >= 0 || dying >= 0 || !is_over(run)) {
		if (victim >= 0 && race_now_ns() >= kill_at) {
			run->killed_at = race_now_ns();
			if (run->c->kill) {
				run->c->kill((unsigned)victim,
					     race_random(&run->random) | 1);
			} else {
				(void)kill(run->pids[victim], SIGKILL);
				dying = victim;
			}
			victim = -1;
		}
		if (reap(run, &dying) < 0)
			return -1;
		if (atomic_load(&run->shared->faulty))
			return wrong(run, "%s", run->shared->fault);
		if (look_for_stuck(run, began, dying) < 0)
			return -1;
		pause_us(200);
	}
	return 0;
}

static int one_round(struct run *run, uint64_t *duration)
{
	struct seen end[SPEC_NAMES] = { { 0 } };
	uint64_t began, kill_at = 0;
	int victim = -1;

	for (unsigned i = 0; i < run->c->processes * run->c->threads; i++) {
		atomic_store(&run->shared->slots[i].begun, 0);
		atomic_store(&run->shared->slots[i].done, 0);
	}
	for (unsigned p = 0; p < run->c->processes; p++) {
		atomic_store(&run->shared->finished[p], 0);
		run->active[p] = true;
	}
	run->killed_at = 0;
	began = race_now_ns();
	if (race_random(&run->random) % 100 < run->c->kill_percent) {
		victim = (int)(race_random(&run->random) % run->c->processes);
		/* On the model the moment is chosen by what is done, not by the time. */
		kill_at = run->c->kill
				  ? began
				  : began + race_random(&run->random) % (*duration + 1);
	}
	atomic_fetch_add(&run->shared->round, 1);
	(void)syscall(SYS_futex, &run->shared->round, FUTEX_WAKE, SLOTS_MAX, NULL, NULL,
		      0);
	if (watch(run, victim, kill_at) < 0)
		return -1;
	if (victim >= 0 && run->c->kill)
		run->c->kill((unsigned)victim, 0);
	*duration = race_now_ns() - began;
	run->f->rounds++;
	if (audit(run, end) < 0)
		return -1;
	memcpy(run->begin, end, sizeof(run->begin));
	return 0;
}

/* --- The parent: all of it -------------------------------------------------------- */

static int end_children(struct run *run, int r)
{
	int status;

	atomic_store(&run->shared->quit, true);
	(void)syscall(SYS_futex, &run->shared->round, FUTEX_WAKE, SLOTS_MAX, NULL, NULL,
		      0);
	for (unsigned p = 0; p < run->c->processes; p++) {
		if (run->pids[p] <= 0)
			continue;
		if (r < 0)
			(void)kill(run->pids[p], SIGKILL);
		/* Stuck for good in the kernel: nothing that waiting would change. */
		for (unsigned i = 0; waitpid(run->pids[p], &status, WNOHANG) == 0; i++) {
			if (r < 0 && i > 10000)
				break;
			pause_us(1000);
		}
		if (r == 0 && status != 0)
			r = wrong(run, "process %u ended with status 0x%x", p,
				  (unsigned)status);
	}
	return r;
}

int race_run(const struct race_config *config, struct race_figures *ret)
{
	struct kvol_ctx_opts opts = { .size = sizeof(opts), .run_dir = config->run_dir };
	struct run run = { .c = config, .f = ret };
	uint64_t duration = 0;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	run.random = config->seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	run.began = race_now_ns();
	run.shared = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.shared == MAP_FAILED || kvol_new(&opts, &run.ctx, NULL) < 0)
		return wrong(&run, "no memory");
	r = audit(&run, run.begin);
	for (unsigned p = 0; p < config->processes && r == 0; p++)
		r = spawn(&run, p) ? 0 : wrong(&run, "fork: %s", strerror(errno));
	if (r == 0)
		r = watch(&run, -1, 0); /* all have opened */
	while (r == 0 && ret->rounds < config->rounds &&
	       (!config->seconds ||
		race_now_ns() - run.began < config->seconds * UINT64_C(1000000000)))
		r = one_round(&run, &duration);
	r = end_children(&run, r);
	ret->seconds = (double)(race_now_ns() - run.began) / 1e9;
	kvol_free(run.ctx);
	(void)munmap(run.shared, sizeof(*run.shared));
	return r;
}

void race_print_figures(const struct race_config *c, const struct race_figures *f)
{
	static const char *const verbs[N_VERBS] = {
		"create", "snapshot", "clone",	 "expand",    "delete",
		"stat",	  "list",     "publish", "unpublish",
	};

	for (unsigned i = 0; i < N_VERBS; i++)
		printf("# %-9s %8" PRIu64 " times 0, %8" PRIu64 " refused, %5" PRIu64
		       " killed\n",
		       verbs[i], f->results[i][0], f->results[i][1], f->results[i][2]);
	printf("# %.0f s, longest call %.2f s, %" PRIu64 " states visited\n", f->seconds,
	       f->longest_s, f->visited);
	printf("# figure processes x threads: %u x %u\n", c->processes, c->threads);
	printf("# figure calls in histories: %" PRIu64 "\n", f->calls);
	printf("# figure histories linearizable: %u of %u\n", f->rounds - f->undecided,
	       f->rounds);
	printf("# figure processes killed: %u, with %" PRIu64 " calls under way\n",
	       f->kills, f->pending);
	(void)fflush(stdout);
}
