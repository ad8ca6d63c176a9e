/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Processes as coroutines of one thread: each has a handle of its own, and so locks and
 * a connection of its own; they change at the library's steps, and where one has to wait
 * for another. A process that dies does not give way before it has closed its handle.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "process.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#else
#define __sanitizer_start_switch_fiber(save, bottom, size)	    ((void)(save))
#define __sanitizer_finish_switch_fiber(save, ret_bottom, ret_size) ((void)(save))
#endif

#define YIELD_ONE_IN 4
#define WAITS_MAX    2000 /* then a deadline has passed */
#define WAITS_ALONE  20	  /* nobody else will ever do anything */
#define IDLE_MAX     10000

static struct schedules *the;
static void (*the_body)(struct schedules *, struct process *);

/* --- Changing --------------------------------------------------------------------- */

static void give_way(void)
{
	struct process *p = the->current;
	int (*hook)(const char *, unsigned) = model_hook;
	int saved_errno = errno;

	p->ns = model_swap_ns(0);
	the->current = NULL;
	__sanitizer_start_switch_fiber(&p->fake_stack, the->main_stack,
				       the->main_stack_size);
	(void)swapcontext(&p->context, &the->main);
	__sanitizer_finish_switch_fiber(p->fake_stack, &the->main_stack,
					&the->main_stack_size);
	the->current = p;
	model_hook = hook;
	(void)model_swap_ns(p->ns);
	errno = saved_errno;
}

static void start(void)
{
	struct process *p = the->current;

	__sanitizer_finish_switch_fiber(NULL, &the->main_stack, &the->main_stack_size);
	the_body(the, p);
	p->done = true;
	the->current = NULL;
	/* For good. */
	__sanitizer_start_switch_fiber(NULL, the->main_stack, the->main_stack_size);
	(void)setcontext(&the->main);
}

static void resume(struct process *p)
{
	the->current = p;
	__sanitizer_start_switch_fiber(&the->main_fake_stack, p->stack, STACK);
	(void)swapcontext(&the->main, &p->context);
	__sanitizer_finish_switch_fiber(the->main_fake_stack, NULL, NULL);
}

/* --- Steps ------------------------------------------------------------------------ */

static int die(void)
{
	model_dead = true;
	return -EIO;
}

static void spoil(struct schedules *x)
{
	struct model_disk *disk = model_disk(x->m.path);

	x->faulted = true;
	x->figures->faults++;
	switch (x->fault) {
	case COMMITS_LOST:
		disk->lose_commits = 1 + draw(3);
		break;
	case POOL_READ_ONLY:
		disk->mode = MODEL_READ_ONLY;
		break;
	case OUT_OF_DATA:
		disk->mode = MODEL_OUT_OF_DATA;
		break;
	default:
		disk->mode = MODEL_OUT_OF_METADATA;
		break;
	}
}

static int fail_or_spoil(struct schedules *x, const char *what)
{
	if (x->steps < x->fault_at || x->steps >= x->fault_at + x->fault_steps)
		return 0;
	if (x->fault != STEP_FAILS && x->fault != STEPS_FAIL) {
		note(x, "  the pool gets into trouble (%d)", x->fault);
		spoil(x);
		return 0;
	}
	note(x, "  step %u fails: %s", x->steps, what);
	x->faulted = x->current->faulted = true;
	x->figures->faults++;
	return -EIO;
}

static int at_step(const char *what, unsigned step)
{
	struct schedules *x = the;

	(void)step;
	if (x->cut)
		return die();
	x->steps++;
	x->idle = 0;
	x->trace = model_hash(what, strlen(what), x->trace + x->current->number);
	note(x, "    %u: step %u: %s", x->current->number, x->steps, what);
	if (x->steps == x->cut_at) {
		note(x, "  power cut at step %u: %s", x->steps, what);
		x->cut = true;
		return die();
	}
	for (int i = 0; i < KILLS; i++) {
		if (x->steps != x->kill_at[i])
			continue;
		note(x, "  %u is killed at step %u: %s", x->current->number, x->steps,
		     what);
		x->figures->kills++;
		return die();
	}
	if (x->fault && fail_or_spoil(x, what) < 0)
		return -EIO;
	if (x->n_processes > 1 && !draw(YIELD_ONE_IN)) {
		x->figures->switches++;
		give_way();
		if (x->cut)
			return die();
	}
	return 0;
}

static int at_wait(void)
{
	struct process *p = the->current;
	bool alone = true;

	if (!p)
		return -ETIMEDOUT;
	for (unsigned i = 0; i < the->n_processes; i++)
		alone = alone && (&the->processes[i] == p || the->processes[i].done);
	if (alone)
		return p->waits_alone++ > WAITS_ALONE ? -ETIMEDOUT : 0;
	if (p->waits++ > WAITS_MAX)
		return -ETIMEDOUT;
	if (the->idle++ > IDLE_MAX) {
		broke(the, "processes wait for each other");
		return -ETIMEDOUT;
	}
	give_way();
	if (the->cut && model_hook) {
		model_dead = true;
		return -ETIMEDOUT;
	}
	return 0;
}

void processes_hold(void)
{
	model_hook = NULL;
}

void processes_go_on(void)
{
	model_hook = at_step;
}

/* --- Lives ------------------------------------------------------------------------ */

/* Its handle is closed while nothing that it does has an effect. */
void process_died(struct schedules *x, struct process *p)
{
	(void)x;
	kvol_pool_close(p->pool);
	p->pool = NULL;
	model_dead = false;
}

static void prepare(struct process *p)
{
	if (!p->stack) {
		p->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		assert_true(p->stack != MAP_FAILED);
	}
	assert_int_equal(getcontext(&p->context), 0);
	p->context.uc_stack.ss_sp = p->stack;
	p->context.uc_stack.ss_size = STACK;
	p->context.uc_link = NULL;
	p->done = false;
	p->ns = 0;
	makecontext(&p->context, start, 0);
}

void processes_run(struct schedules *x,
		   void (*body)(struct schedules *, struct process *))
{
	unsigned alive = x->n_processes, i;

	the = x;
	the_body = body;
	for (i = 0; i < x->n_processes; i++)
		prepare(&x->processes[i]);
	model_waiting = at_wait;
	while (alive) {
		for (i = draw(x->n_processes); x->processes[i].done;)
			i = (i + 1) % x->n_processes;
		model_hook = at_step;
		resume(&x->processes[i]);
		alive -= x->processes[i].done;
	}
	model_hook = NULL;
}
