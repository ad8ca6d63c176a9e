// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the processes of a history do: in each round, on each thread, some calls chosen at
 * random, each written down in memory that the parent shares.
 *
 * A call is written down as begun before it is made and as done after its result is:
 * whoever is killed in between has a call under way, and the parent sees which.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "player.h"

#define MIB(n) ((uint64_t)(n) << 20)

uint64_t race_now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t race_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

bool race_long(void)
{
	const char *s = getenv("KVOL_TEST_LONG");

	return s && !strcmp(s, "1");
}

uint64_t race_seed(uint64_t fixed)
{
	const char *s = getenv("KVOL_TEST_SEED");
	uint64_t seed = fixed;

	if (s && *s)
		seed = strtoull(s, NULL, 0);
	else if (race_long())
		seed = race_now_ns() ^ (uint64_t)getpid() << 40;
	printf("# seed %" PRIu64 " (KVOL_TEST_SEED)\n", seed);
	return seed;
}

struct thread {
	struct shared *shared;
	const struct race_config *c;
	struct kvol_ctx *ctx;
	struct kvol_pool *pool;
	unsigned process, number, last_round;
	uint64_t random;
};

static void fault(struct shared *shared, const char *what, int r,
		  const struct kvol_error *e)
{
	if (atomic_exchange(&shared->faulty, true))
		return;
	(void)snprintf(shared->fault, sizeof(shared->fault),
		       "process %d: %s: %d %s: %.200s", getpid(), what, r,
		       r < 0 ? kvol_reason_str(e->reason) : "", r < 0 ? e->msg : "");
}

static uint64_t hash_string(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	while (*s)
		h = (h ^ (unsigned char)*s++) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

/* The number of a name of ours, -1 for any other. */
static int number_of(const char *name)
{
	return name[0] == 'n' && name[1] >= '0' && name[1] < '0' + SPEC_NAMES && !name[2]
		       ? name[1] - '0'
		       : -1;
}

static void see(struct event *e, const struct kvol_info *info)
{
	int n = number_of(info->name), source = number_of(info->source);

	if (n < 0 || (source < 0 && info->source[0]) || e->seen[n].uuid ||
	    (info->fs_type[0] && strcmp(info->fs_type, "ext4")) ||
	    (e->verb == VERB_STAT && n != e->name)) {
		e->odd = 1;
		return;
	}
	e->seen[n] = (struct seen){
		.bytes = info->bytes,
		.uuid = hash_string(info->uuid),
		.kind = (uint8_t)info->kind,
		.ext4 = info->fs_type[0] != '\0',
		.source = (uint8_t)(source + 1),
		.n_targets = (uint8_t)info->n_targets,
	};
}

static int list(struct kvol_pool *pool, struct event *e, struct kvol_error *err)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	int r;

	r = kvol_list(pool, 0, &iter, err);
	if (r < 0)
		return r;
	while ((r = kvol_iter_next(iter, &info)) == 1)
		see(e, &info);
	kvol_iter_free(iter);
	return r;
}

int race_call(struct kvol_pool *pool, const struct race_config *c, struct event *e,
	      struct kvol_error *err)
{
	static const char *const names[] = { "n0", "n1", "n2", "n3", "n4", "n5" };
	struct kvol_create_opts create = { .size = sizeof(create),
					   .fs_type = e->ext4 ? "ext4" : NULL };
	struct kvol_create_opts clone = { .size = sizeof(clone), .bytes = e->bytes };
	struct kvol_publish_opts publish = {
		.size = sizeof(publish),
		.flags = (e->readonly ? KVOL_PUBLISH_READONLY : 0) |
			 (e->target >= SPEC_TARGETS / 2 ? KVOL_PUBLISH_BLOCK : 0),
	};
	struct kvol_info info = { .size = sizeof(info) };
	const char *name = names[e->name];
	int r;

	switch (e->verb) {
	case VERB_CREATE:
		return kvol_create(pool, name, e->bytes, &create, err);
	case VERB_SNAPSHOT:
		return kvol_snapshot(pool, name, names[e->other], NULL, err);
	case VERB_CLONE:
		return kvol_clone(pool, name, names[e->other], &clone, err);
	case VERB_EXPAND:
		return kvol_expand(pool, name, e->bytes, 0, err);
	case VERB_DELETE:
		return kvol_delete(pool, name, 0, err);
	case VERB_STAT:
		r = kvol_stat(pool, name, &info, err);
		if (r == 0)
			see(e, &info);
		return r;
	case VERB_LIST:
		return list(pool, e, err);
	case VERB_PUBLISH:
		return kvol_publish(pool, name, c->targets[e->target], &publish, err);
	default:
		return kvol_unpublish(pool, name, c->targets[e->target], NULL, err);
	}
}

void race_perform(struct kvol_pool *pool, const struct race_config *c, struct event *e)
{
	struct kvol_error err = { .reason = KVOL_R_NONE };

	e->begin = race_now_ns();
	e->r = race_call(pool, c, e, &err);
	e->end = race_now_ns();
	e->reason = err.reason;
}

/* Sizes are few, so that some calls ask for what is there already. */
static void choose(struct event *e, const struct race_config *c, uint64_t *random)
{
	static const uint8_t weights[N_VERBS] = { 15, 14, 13, 8, 17, 10, 7, 10, 6 };
	static const uint8_t sizes[] = { 16, 16, 20, 24, 32 };
	unsigned x = (unsigned)(race_random(random) % 100), verb = 0;

	while (x >= weights[verb])
		x -= weights[verb++];
	e->verb = (uint8_t)verb;
	e->name = (uint8_t)(race_random(random) % SPEC_NAMES);
	e->other = (uint8_t)(race_random(random) % SPEC_NAMES);
	e->target = (uint8_t)(race_random(random) % SPEC_TARGETS);
	e->bytes = MIB(sizes[race_random(random) % sizeof(sizes)]);
	if (verb == VERB_CREATE)
		e->ext4 = race_random(random) % 100 < c->ext4_percent;
	if (verb == VERB_PUBLISH)
		e->readonly =
			e->target < SPEC_TARGETS / 2 && race_random(random) % 4 == 0;
	if ((verb == VERB_CLONE && race_random(random) % 2) || verb == VERB_SNAPSHOT)
		e->bytes = 0;
}

/* What is not in the history: it has no result but success. */
static void open_and_close(struct thread *t)
{
	struct kvol_pool *pool;
	struct kvol_error e;
	int r = kvol_pool_open(t->ctx, t->c->pool_path, NULL, &pool, &e);

	if (r < 0)
		fault(t->shared, "open beside the others", r, &e);
	else
		kvol_pool_close(pool);
}

static void play(struct thread *t)
{
	struct slot *slot = &t->shared->slots[t->process * t->c->threads + t->number];

	for (unsigned i = 0; i < t->c->calls; i++) {
		struct event *e = &slot->events[i];

		memset(e, 0, sizeof(*e));
		e->pid = getpid();
		e->tid = atomic_load(&slot->tid);
		choose(e, t->c, &t->random);
		e->begin = race_now_ns();
		atomic_store(&slot->since, e->begin);
		atomic_store(&slot->begun, i + 1);
		race_perform(t->pool, t->c, e);
		atomic_store(&slot->since, 0);
		atomic_store(&slot->done, i + 1);
		if (race_random(&t->random) % 64 == 0)
			open_and_close(t);
	}
	atomic_fetch_add(&t->shared->finished[t->process], 1);
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct slot *slot = &t->shared->slots[t->process * t->c->threads + t->number];
	const struct timespec moment = { .tv_nsec = 100000000 };

	atomic_store(&slot->tid, (int)syscall(SYS_gettid));
	for (;;) {
		unsigned round = atomic_load(&t->shared->round);

		if (atomic_load(&t->shared->quit))
			return NULL;
		if (round == t->last_round) {
			(void)syscall(SYS_futex, &t->shared->round, FUTEX_WAIT, round,
				      &moment, NULL, 0);
			continue;
		}
		t->last_round = round;
		play(t);
	}
}

int race_child(const struct race_config *c, struct shared *shared, struct kvol_ctx *ctx,
	       unsigned process, unsigned last_round, uint64_t random)
{
	struct thread threads[RACE_THREADS_MAX];
	pthread_t ids[RACE_THREADS_MAX];
	struct kvol_pool *pools[2];
	struct kvol_error e;
	int r = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (c->in_child)
		c->in_child(process);
	/* The last thread has a handle of its own, the others share one. */
	for (int i = 0; i < 2 && r == 0; i++)
		r = kvol_pool_open(ctx, c->pool_path, NULL, &pools[i], &e);
	if (r < 0) {
		fault(shared, "open", r, &e);
		return 1;
	}
	for (unsigned i = 0; i < c->threads; i++) {
		threads[i] = (struct thread){
			.shared = shared,
			.c = c,
			.ctx = ctx,
			.pool = pools[i + 1 == c->threads],
			.process = process,
			.number = i,
			.last_round = last_round,
			.random = (random + i + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1,
		};
		if (pthread_create(&ids[i], NULL, run_thread, &threads[i]) != 0)
			return 2;
	}
	atomic_store(&shared->ready[process], 1);
	for (unsigned i = 0; i < c->threads; i++)
		(void)pthread_join(ids[i], NULL);
	for (int i = 0; i < 2; i++)
		kvol_pool_close(pools[i]);
	return 0;
}
