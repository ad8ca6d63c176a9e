// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Many at a time: a fleet of volumes that appears at once, and life cycles and snapshots by
 * many threads, or by many processes.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define SNAPSHOTS 4 /* of each in a round */
#define CYCLES	  6

struct worker {
	const struct contestant *c;
	void (*work)(const struct worker *w);
	int number, of, volumes, round;
	pthread_t thread;
	pid_t pid;
};

static void *start(void *arg)
{
	const struct worker *w = arg;

	w->work(w);
	return NULL;
}

/* Each returns how long they took, in ms. */
static double run_threads(struct worker *workers, int n)
{
	uint64_t from = now_ns();

	for (int t = 0; t < n; t++)
		check(-pthread_create(&workers[t].thread, NULL, start, &workers[t]),
		      "pthread_create");
	for (int t = 0; t < n; t++)
		pthread_join(workers[t].thread, NULL);
	return (double)(now_ns() - from) / 1e6;
}

/* A process says that it is ready, and waits for the end of the other pipe. */
static void child(const struct worker *w, const int ready[2], const int go[2])
{
	char byte = 0;

	close(ready[0]);
	close(go[1]);
	if (w->c->join)
		w->c->join();
	if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 0)
		die("pipe: %s", strerror(errno));
	w->work(w);
	_exit(0);
}

static double run_processes(struct worker *workers, int n)
{
	int ready[2], go[2], status;
	uint64_t from;
	char byte;

	if (pipe(ready) < 0 || pipe(go) < 0)
		die("pipe: %s", strerror(errno));
	for (int t = 0; t < n; t++) {
		workers[t].pid = fork();
		if (workers[t].pid == 0)
			child(&workers[t], ready, go);
		if (workers[t].pid < 0)
			die("fork: %s", strerror(errno));
	}
	close(ready[1]);
	for (int t = 0; t < n; t++)
		if (read(ready[0], &byte, 1) != 1)
			die("a process has ended");
	from = now_ns();
	close(go[0]);
	close(go[1]);
	for (int t = 0; t < n; t++)
		if (waitpid(workers[t].pid, &status, 0) < 0 || status)
			die("a process has failed");
	close(ready[0]);
	return (double)(now_ns() - from) / 1e6;
}

static int volumes_of(struct crowd crowd)
{
	return crowd.volumes ? crowd.volumes : crowd.n;
}

static double run(const struct contestant *c, void (*work)(const struct worker *w),
		  struct crowd crowd, int round)
{
	struct worker workers[MAX_THREADS];

	for (int t = 0; t < crowd.n; t++)
		workers[t] = (struct worker){ .c = c,
					      .work = work,
					      .number = t,
					      .of = crowd.n,
					      .volumes = volumes_of(crowd),
					      .round = round };
	return crowd.processes ? run_processes(workers, crowd.n)
			       : run_threads(workers, crowd.n);
}

static void appear(const struct worker *w)
{
	for (int n = w->number; n < N_FLEET; n += w->of)
		w->c->appear(n);
}

static void vanish(const struct worker *w)
{
	for (int n = w->number; n < N_FLEET; n += w->of)
		w->c->vanish(n);
}

double fleet_ms(const struct contestant *c)
{
	const struct crowd crowd = { .n = N_THREADS };
	double ms;

	if (c->fleet)
		return c->fleet();
	ms = run(c, appear, crowd, 0);
	(void)run(c, vanish, crowd, 0);
	return ms;
}

static void live(const struct worker *w)
{
	for (int i = 0; i < CYCLES; i++)
		w->c->cycle(w->number, w->round * CYCLES + i);
}

double cycles_per_second(const struct contestant *c, struct crowd crowd, int round)
{
	return crowd.n * CYCLES / run(c, live, crowd, round) * 1e3;
}

static void take(const struct worker *w)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		for (int v = w->number; v < w->volumes; v += w->of)
			w->c->snapshot(v, i);
}

static void forget(const struct worker *w)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		for (int v = w->number; v < w->volumes; v += w->of)
			w->c->forget(v, i);
}

double snapshots_per_second(const struct contestant *c, struct crowd crowd, int round)
{
	double ms = run(c, take, crowd, round);

	crowd.processes = false;
	(void)run(c, forget, crowd, round);
	return volumes_of(crowd) * SNAPSHOTS / ms * 1e3;
}
