/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See crash.h. All of it in one process, on a machine alone: a death is model_dead, and
 * going back to the same machine is model_restore.
 *
 * Most steps only look. The states that deaths leave are told apart by a hash, so that
 * each is judged, and its recovery taken apart, once; in the thorough form every single
 * one is.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"
#include "verb.h"

#define STATES_MAX 16384
#define SAY_MAX	   10
#define SEED	   77 /* the same names and numbers each time: equal states are equal */
/* Of the recovery's steps the short form takes each third, in every state others: states
 * that follow one another have nearly the same recovery. */
#define NESTED_ONE_IN 3

const char *const way_names[N_WAYS] = {
	"killed",
	"power cut",
	"power cut, nothing kept that was not flushed",
	"power cut, some kept that was not flushed",
};

struct run {
	const struct scenario *s;
	struct figures *figures;
	bool thorough;
	struct machine m;
	struct model_saved *start;
	unsigned points;
	unsigned bad;
	struct seen old, new;
	uint64_t states[STATES_MAX]; /* whose recovery was taken apart; 0: a free place */
	uint64_t judged[STATES_MAX]; /* that were opened and judged */
	char where[256];
};

/* --- Machines --------------------------------------------------------------------- */

void machine_start(struct machine *m)
{
	struct kvol_ctx_opts opts = { .size = sizeof(opts) };

	memset(m, 0, sizeof(*m));
	model_start_alone();
	model->mkfs_bytes = 4096; /* templates are made */
	(void)snprintf(m->path, sizeof(m->path), "%s/pool.img", model->dir);
	(void)snprintf(m->run_dir, sizeof(m->run_dir), "%s/run", model->dir);
	opts.run_dir = m->run_dir;
	assert_int_equal(kvol_new(&opts, &m->ctx, NULL), 0);
}

void machine_start_with_pool(struct machine *m)
{
	/* Few volumes make small batches of ids, and recovery tries each of them. */
	struct kvol_format_opts opts = {
		.size = sizeof(opts),
		.file_bytes = POOL_BYTES,
		.max_volumes = 40,
	};

	machine_start(m);
	assert_int_equal(kvol_pool_format(m->ctx, POOL_NAME, m->path, &opts, NULL), 0);
}

void machine_end(struct machine *m)
{
	kvol_free(m->ctx);
	model_end();
}

void write_mark(struct kvol_pool *pool, const char *name, uint64_t mark)
{
	struct model_thin *thin;
	struct kv_row row;

	assert_int_equal(kv_catalogue_find(pool->cat, name, &row), 0);
	thin = model_thin(model_disk(pool->device), row.id);
	assert_non_null(thin);
	thin->content.mark = thin->flushed.mark = mark;
}

void leave_snapshots(struct kvol_pool *pool, uint32_t n)
{
	struct model_disk *disk = model_disk(pool->device);

	disk->metadata.time = (uint32_t)KV_SNAPSHOTS_MAX - n;
	disk->stale = true;
}

/* --- Dying ------------------------------------------------------------------------ */

#define WATCHED_MAX 4096

static unsigned steps, deadly;
static bool watching;
static uint64_t state_before; /* the last step, when watching */
static bool differs_at[WATCHED_MAX];

static void watch(void)
{
	uint64_t hash = model_state_hash();

	assert_true(steps < WATCHED_MAX);
	differs_at[steps] = steps == 1 || hash != state_before;
	state_before = hash;
}

static int count_and_die(const char *what, unsigned step)
{
	(void)what;
	(void)step;
	steps++;
	if (watching)
		watch();
	if (steps != deadly)
		return 0;
	model_dead = true;
	return -EIO;
}

void die_at(unsigned nth)
{
	steps = 0;
	deadly = nth;
	model_hook = count_and_die;
}

unsigned steps_since(void)
{
	return steps;
}

/* --- One process ------------------------------------------------------------------ */

/* The verb, by a process that dies at its nth step. Whether it was acknowledged. */
static bool run_verb(struct run *run, unsigned nth)
{
	const struct scenario *s = run->s;
	struct kvol_pool *pool = NULL;
	struct kvol_error e;
	bool done;
	int r;

	model_hook = NULL;
	if (!s->verb)
		die_at(nth);
	r = kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, &e);
	if (r == 0 && s->verb) {
		r = s->before ? s->before(pool) : 0;
		assert_int_equal(r, 0);
		die_at(nth);
		r = s->verb(pool);
	}
	done = r == 0 && !model_dead;
	if (r < 0 && !model_dead)
		print_error("%s: %d: %s\n", s->name, r, s->verb ? "" : e.msg);
	assert_true(done || model_dead);
	kvol_pool_close(pool);
	model_hook = NULL;
	model_dead = false;
	return done;
}

void lose_power(enum way way)
{
	if (way == CUT)
		model_power_cut_losing(MODEL_LOSE_NOTHING);
	else if (way == CUT_LOSING_ALL)
		model_power_cut_losing(MODEL_LOSE_ALL);
	else if (way == CUT_LOSING_SOME)
		model_power_cut_losing(MODEL_LOSE_SOME);
}

/* --- Judging ---------------------------------------------------------------------- */

static void complain(struct run *run, const char *bad)
{
	if (run->bad++ < SAY_MAX)
		print_error("%s: %s: %s\n", run->s->name, run->where, bad);
}

static const char *judge(struct run *run, struct kvol_pool *pool, struct seen *seen,
			 bool acknowledged, bool cut)
{
	const char *bad = broken(pool, run->m.path, seen);

	if (bad)
		return bad;
	if (!acknowledged && !differs(seen, &run->old, cut))
		return NULL;
	return differs(seen, &run->new, cut);
}

/* The opening that must put everything right. */
static void open_and_judge(struct run *run, bool acknowledged, bool cut)
{
	struct kvol_pool *pool;
	struct kvol_error e;
	struct seen seen;
	const char *bad;

	run->figures->opened++;
	if (kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, &e) < 0) {
		complain(run, e.msg);
		return;
	}
	bad = judge(run, pool, &seen, acknowledged, cut);
	if (bad) {
		complain(run, bad);
		kvol_pool_close(pool);
		return;
	}
	bad = broken_in_use(pool, run->m.path, &seen);
	if (bad)
		complain(run, bad);
}

/* --- Recoveries ------------------------------------------------------------------- */

/* Whether the state that the machine is in is among them; from now on it is. */
static bool seen_before(uint64_t *states, bool acknowledged, bool cut)
{
	uint64_t hash = model_state_hash() * 4 + 2 * acknowledged + cut;
	unsigned i = (unsigned)(hash >> 32) % STATES_MAX;

	for (unsigned n = 0; n < STATES_MAX; n++, i = (i + 1) % STATES_MAX) {
		if (states[i] == hash)
			return true;
		if (!states[i]) {
			states[i] = hash;
			return false;
		}
	}
	return false; /* full: then it is done again */
}

static void die_opening(struct run *run, unsigned nth)
{
	struct kvol_pool *pool = NULL;

	die_at(nth);
	(void)kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, NULL);
	kvol_pool_close(pool);
	model_hook = NULL;
	model_dead = false;
}

/* From the state that the machine is in: dies at every step of the opening. */
static void take_recovery_apart(struct run *run, bool acknowledged, bool cut)
{
	struct model_saved *left = model_save_running();
	char outer[128];
	unsigned n;

	(void)kv_strcpy(outer, sizeof(outer), run->where);
	watching = !run->thorough;
	model_seed(SEED + 1);
	die_opening(run, 0);
	watching = false;
	n = steps_since();
	run->figures->states++;
	for (unsigned i = 1; i <= n; i++) {
		if (!run->thorough && (i + run->figures->states) % NESTED_ONE_IN)
			continue;
		for (enum way way = KILLED; way < N_WAYS; way++) {
			if (!run->thorough && way != KILLED && way != CUT_LOSING_ALL)
				continue;
			run->figures->nested++;
			/* The step before has only looked. */
			if (!run->thorough && !differs_at[i])
				continue;
			model_restore(left);
			model_seed(SEED + 1);
			die_opening(run, i);
			model_seed(SEED + 2 + i);
			lose_power(way);
			(void)snprintf(run->where, sizeof(run->where),
				       "%s; opening died at step %u of %u (%s)", outer, i,
				       n, way_names[way]);
			if (run->thorough ||
			    !seen_before(run->judged, acknowledged, cut || way != KILLED))
				open_and_judge(run, acknowledged, cut || way != KILLED);
		}
	}
	model_saved_free(left);
}

static void crash_once(struct run *run, unsigned nth, enum way way)
{
	struct model_saved *left;
	bool acknowledged, fresh;

	model_restore(run->start);
	model_seed(SEED);
	acknowledged = run_verb(run, nth);
	model_seed(SEED + 1 + nth);
	lose_power(way);
	(void)snprintf(run->where, sizeof(run->where), "died at step %u of %u (%s)", nth,
		       run->points, way_names[way]);
	/* Which sectors arrive is drawn: there, each is another state. */
	fresh = run->thorough || (way != CUT_LOSING_SOME &&
				  !seen_before(run->states, acknowledged, way != KILLED));
	left = fresh ? model_save_running() : NULL;
	open_and_judge(run, acknowledged, way != KILLED);
	if (fresh && !run->bad) {
		model_restore(left);
		take_recovery_apart(run, acknowledged, way != KILLED);
	}
	model_saved_free(left);
}

/* --- Scenarios -------------------------------------------------------------------- */

static void prepare(struct run *run)
{
	struct kvol_pool *pool;

	machine_start_with_pool(&run->m);
	assert_int_equal(kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, NULL), 0);
	assert_int_equal(run->s->setup ? run->s->setup(pool) : 0, 0);
	kvol_pool_close(pool);
	if (run->s->powered_off)
		model_power_cut();
	run->start = model_save_running();
}

/* What is there before the verb and after it, and how many steps lie between. Volumes
 * that it makes get another uuid each time. */
static void see_old_and_new(struct run *run)
{
	struct kvol_pool *pool;

	model_seed(SEED);
	assert_int_equal(kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, NULL), 0);
	assert_int_equal(run->s->before ? run->s->before(pool) : 0, 0);
	assert_null(look(pool, run->m.path, &run->old));
	kvol_pool_close(pool);

	model_restore(run->start);
	model_seed(SEED);
	assert_true(run_verb(run, 0));
	run->points = steps_since();
	assert_int_equal(kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, NULL), 0);
	assert_null(look(pool, run->m.path, &run->new));
	kvol_pool_close(pool);
	for (unsigned i = 0; i < run->new.n; i++) {
		struct seen_volume *v = &run->new.volumes[i];
		bool was = false;

		for (unsigned j = 0; j < run->old.n; j++)
			was = was || !strcmp(run->old.volumes[j].uuid, v->uuid);
		if (!was)
			v->uuid[0] = '\0';
	}
}

unsigned run_scenario(const struct scenario *s, bool thorough, struct figures *figures)
{
	struct run *run = calloc(1, sizeof(*run));
	struct figures before = *figures;
	unsigned bad;

	assert_non_null(run);
	run->s = s;
	run->figures = figures;
	run->thorough = thorough;
	prepare(run);
	see_old_and_new(run);
	assert_true(run->points > 0);
	figures->points += run->points;
	/* One more than there are: it dies when it is done. */
	for (unsigned i = 1; i <= run->points + 1; i++) {
		for (enum way way = KILLED; way < N_WAYS; way++)
			crash_once(run, i, way);
		figures->died += i <= run->points;
	}
	print_message("# %s: %u points, %u states, %u points inside recovery\n", s->name,
		      run->points, figures->states - before.states,
		      figures->nested - before.nested);
	bad = run->bad;
	model_saved_free(run->start);
	machine_end(&run->m);
	free(run);
	return bad;
}
