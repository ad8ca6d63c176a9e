// SPDX-License-Identifier: LGPL-2.1-or-later
/* Many at a time: a fleet of volumes that appears at once, and snapshots by many threads. */
#include <pthread.h>

#include "bench.h"

#define SNAPSHOTS 4 /* of each thread in a round */

struct worker {
	const struct contestant *c;
	void (*work)(const struct worker *w);
	int thread, threads, round;
	pthread_t id;
};

static void *start(void *arg)
{
	const struct worker *w = arg;

	w->work(w);
	return NULL;
}

/* Returns how long they took, in ms. */
static double run(const struct contestant *c, void (*work)(const struct worker *w),
		  int threads, int round)
{
	struct worker workers[N_THREADS];
	uint64_t from = now_ns();

	for (int t = 0; t < threads; t++) {
		workers[t] = (struct worker){ c, work, t, threads, round, 0 };
		check(-pthread_create(&workers[t].id, NULL, start, &workers[t]),
		      "pthread_create");
	}
	for (int t = 0; t < threads; t++)
		pthread_join(workers[t].id, NULL);
	return (double)(now_ns() - from) / 1e6;
}

static void appear(const struct worker *w)
{
	for (int n = w->thread; n < N_FLEET; n += w->threads)
		w->c->appear(n);
}

static void vanish(const struct worker *w)
{
	for (int n = w->thread; n < N_FLEET; n += w->threads)
		w->c->vanish(n);
}

double fleet_ms(const struct contestant *c)
{
	double ms = run(c, appear, N_THREADS, 0);

	(void)run(c, vanish, N_THREADS, 0);
	return ms;
}

static void take(const struct worker *w)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		w->c->snapshot(w->thread, i);
}

static void forget(const struct worker *w)
{
	for (int i = 0; i < SNAPSHOTS; i++)
		w->c->forget(w->thread, i);
}

double snapshots_per_second(const struct contestant *c, int threads, int round)
{
	double ms = run(c, take, threads, round);

	(void)run(c, forget, threads, round);
	return threads * SNAPSHOTS / ms * 1e3;
}
