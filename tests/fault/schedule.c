/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See schedule.h: what is drawn for a schedule, what its processes do, and the judgement.
 *
 * A pool that was made to fail is repaired before it is judged, as its owner would: taken
 * down, checked, and opened again.
 */

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "process.h"

#define VERBS_MAX      12
#define STEPS_A_VERB   24 /* about */
#define RECOVERY_STEPS 48
#define USE_ONE_IN     16

unsigned draw(unsigned n)
{
	return (unsigned)(model_random() >> 16) % n;
}

void broke(struct schedules *x, const char *fmt, ...)
{
	va_list ap;

	if (x->bad[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(x->bad, sizeof(x->bad), fmt, ap);
	va_end(ap);
}

void note(struct schedules *x, const char *fmt, ...)
{
	va_list ap;

	if (!x->log)
		return;
	va_start(ap, fmt);
	(void)vfprintf(x->log, fmt, ap);
	va_end(ap);
	(void)fputc('\n', x->log);
}

/* --- What there is ---------------------------------------------------------------- */

struct schedules *schedules_start(struct schedule_figures *figures)
{
	struct schedules *x = calloc(1, sizeof(*x));
	char path[MODEL_PATH];

	assert_non_null(x);
	x->figures = figures;
	machine_start_with_pool(&x->m);
	for (unsigned i = 0; i < PROCESSES; i++) {
		for (unsigned j = 0; j < NAMES_EACH; j++) {
			(void)snprintf(path, sizeof(path), "/n%u%ud", i, j);
			model_file(path, S_IFDIR);
			(void)snprintf(path, sizeof(path), "/n%u%uf", i, j);
			model_file(path, S_IFREG);
		}
	}
	model_file("/sd", S_IFDIR);
	x->blank = model_save_running();
	return x;
}

void schedules_end(struct schedules *x)
{
	for (unsigned i = 0; i < PROCESSES; i++)
		if (x->processes[i].stack)
			(void)munmap(x->processes[i].stack, STACK);
	model_saved_free(x->blank);
	machine_end(&x->m);
	free(x);
}

static void plan(struct schedules *x)
{
	unsigned verbs, steps;

	x->n_processes = 1 + draw(PROCESSES);
	verbs = 1 + draw(VERBS_MAX);
	steps = (verbs + x->n_processes) * STEPS_A_VERB;
	for (unsigned i = 0; i < PROCESSES; i++) {
		struct process *p = &x->processes[i];

		p->number = i;
		p->verbs_left = (verbs + i) / x->n_processes;
		p->faulted = false;
		for (unsigned j = 0; j < NAMES_EACH; j++) {
			memset(&p->names[j], 0, sizeof(p->names[j]));
			(void)snprintf(p->names[j].name, sizeof(p->names[j].name),
				       "n%u%u", i, j);
			p->names[j].n = 1;
		}
	}
	for (unsigned i = 0; i < KILLS; i++)
		x->kill_at[i] = draw(2) ? 1 + draw(steps) : 0;
	x->cut_at = draw(2) ? 1 + draw(steps) : 0;
	x->fault = draw(2) ? NO_FAULT : 1 + draw(N_FAULTS - 1);
	x->fault_at = 1 + draw(steps);
	x->fault_steps = x->fault == STEPS_FAIL ? 2 + draw(30) : 1;
	x->steps = x->idle = 0;
	x->mark = x->trace = 0;
	x->faulted = x->cut = false;
	x->bad[0] = '\0';
}

/* --- What a process does ---------------------------------------------------------- */

static void open_pool(struct schedules *x, struct process *p)
{
	struct kvol_error e = { .code = 0 };
	int r;

	p->waits = p->waits_alone = 0;
	note(x, "%u: open", p->number);
	r = kvol_pool_open(x->m.ctx, x->m.path, NULL, &p->pool, &e);
	if (model_dead)
		return;
	note(x, "%u: open: %d %s", p->number, r, r < 0 ? e.msg : "");
	if (r < 0 && !x->faulted)
		broke(x, "open: failed for no reason: %d %s", r, e.msg);
	if (r == 0)
		look_at_names(x, p);
}

static void live(struct schedules *x, struct process *p)
{
	p->pool = NULL;
	while (p->verbs_left && !x->cut) {
		p->verbs_left--;
		if (!p->pool)
			open_pool(x, p);
		if (p->pool && !model_dead)
			random_verb(x, p);
		if (model_dead)
			process_died(x, p);
	}
	kvol_pool_close(p->pool);
	model_dead = false;
}

/* --- Afterwards ------------------------------------------------------------------- */

static void forget_publishes(struct schedules *x)
{
	for (unsigned i = 0; i < x->n_processes; i++)
		for (unsigned j = 0; j < NAMES_EACH; j++)
			shadow_power_cut(&x->processes[i].names[j]);
}

static void cut_power(struct schedules *x)
{
	model_power_cut_losing((enum model_loss)draw(3));
	forget_publishes(x);
	x->figures->power_cuts++;
}

static void repair(struct schedules *x)
{
	struct model_disk *disk = model_disk(x->m.path);

	disk->lose_commits = 0;
	if (disk->metadata.needs_check || disk->mode == MODEL_READ_ONLY ||
	    disk->mode == MODEL_OUT_OF_METADATA)
		cut_power(x);
	disk->metadata.needs_check = false;
	disk->mode = MODEL_RW;
}

/* Opens, and dies over it. */
static void crash_in_recovery(struct schedules *x)
{
	struct kvol_pool *pool = NULL;
	unsigned nth = 1 + draw(RECOVERY_STEPS), passed;

	note(x, "open, to die at step %u", nth);
	die_at(nth);
	(void)kvol_pool_open(x->m.ctx, x->m.path, NULL, &pool, NULL);
	kvol_pool_close(pool);
	passed = steps_since();
	x->trace = model_hash(&passed, sizeof(passed), x->trace);
	x->figures->recovery_crashes += model_dead;
	model_hook = NULL;
	model_dead = false;
	if (draw(2))
		cut_power(x);
}

static const struct seen_volume *find(const struct seen *seen, const char *name)
{
	for (unsigned i = 0; i < seen->n; i++)
		if (!strcmp(seen->volumes[i].name, name))
			return &seen->volumes[i];
	return NULL;
}

static const char *compare(struct schedules *x, const struct seen *seen)
{
	const char *bad = NULL;

	for (unsigned i = 0; !bad && i < x->n_processes; i++) {
		for (unsigned j = 0; !bad && j < NAMES_EACH; j++) {
			struct shadow *s = &x->processes[i].names[j];

			bad = shadow_meets(s, find(seen, s->name), true);
		}
	}
	return bad;
}

static void judge(struct schedules *x)
{
	struct kvol_pool *pool = NULL;
	struct kvol_error e;
	struct seen seen;
	const char *bad;

	if (kvol_pool_open(x->m.ctx, x->m.path, NULL, &pool, &e) < 0) {
		broke(x, "the last open: %.240s", e.msg);
		return;
	}
	bad = broken(pool, x->m.path, &seen);
	if (!bad)
		bad = compare(x, &seen);
	if (!bad && !draw(USE_ONE_IN)) {
		bad = broken_in_use(pool, x->m.path, &seen);
		pool = NULL;
	}
	kvol_pool_close(pool);
	if (bad)
		broke(x, "%s", bad);
}

const char *schedule_run(struct schedules *x, uint64_t seed, FILE *log)
{
	x->log = log;
	model_restore(x->blank);
	model->disaster[0] = '\0';
	model_seed(seed);
	sqlite3_randomness(0, NULL); /* its numbers, too, begin anew */
	plan(x);
	processes_run(x, live);
	if (x->cut)
		cut_power(x);
	if (model->disaster[0])
		broke(x, "%s", model->disaster);
	repair(x);
	for (unsigned n = draw(3); n; n--)
		crash_in_recovery(x);
	model_waiting = NULL;
	judge(x);
	for (int i = 0; i < MODEL_HOLDS; i++)
		if (model->holds[i].used)
			broke(x, "a file descriptor is left open");
	x->figures->schedules++;
	return x->bad[0] ? x->bad : NULL;
}

uint64_t schedule_trace(const struct schedules *x)
{
	return x->trace;
}
