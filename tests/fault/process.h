/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef PROCESS_H
#define PROCESS_H

/* Inside the schedules: processes, that take turns at the library's steps. */

#include <ucontext.h>

#include "schedule.h"
#include "shadow.h"

#define PROCESSES  3
#define NAMES_EACH 3
#define KILLS	   2
#define STACK	   (512u << 10)

struct process {
	unsigned number;
	ucontext_t context;
	char *stack;
	void *fake_stack; /* ASan's */
	bool done;
	int ns, saved_errno;
	struct kvol_pool *pool;
	unsigned verbs_left;
	unsigned waits, waits_alone; /* in this verb */
	bool faulted;		     /* this verb met a fault */
	struct shadow names[NAMES_EACH];
};

enum fault {
	NO_FAULT,
	STEP_FAILS,	/* once */
	STEPS_FAIL,	/* for a while */
	COMMITS_LOST,	/* of the thin pool, behind its back */
	POOL_READ_ONLY, /* by a whim of the kernel's */
	OUT_OF_DATA,
	OUT_OF_METADATA,
	N_FAULTS,
};

struct schedules {
	struct machine m;
	struct model_saved *blank;
	struct schedule_figures *figures;
	FILE *log;
	ucontext_t main;
	const void *main_stack;
	size_t main_stack_size;
	void *main_fake_stack;
	struct process processes[PROCESSES];
	unsigned n_processes;
	struct process *current;
	unsigned steps;
	unsigned kill_at[KILLS];
	unsigned cut_at;
	enum fault fault;
	unsigned fault_at, fault_steps;
	bool faulted;  /* from here on errors are no surprise */
	bool cut;      /* the power is gone: everybody dies */
	unsigned idle; /* waits since the last step of anybody */
	uint64_t mark;
	uint64_t trace; /* of all that happened */
	char bad[640];
};

/* process.c: runs all to their ends, from the first verb to the last close. `body` is
 * what each does. */
void processes_run(struct schedules *x,
		   void (*body)(struct schedules *, struct process *));
/* Between the two the library's calls pass no step, and nobody else comes in between. */
void processes_hold(void);
void processes_go_on(void);
void process_died(struct schedules *x, struct process *p);

/* verbs.c: one verb, drawn, and what its result says. */
void random_verb(struct schedules *x, struct process *p);
/* A name whose owner died over it: sees what has become of it. */
void look_at_names(struct schedules *x, struct process *p);

void broke(struct schedules *x, const char *fmt, ...) KV_PRINTF(2, 3);
void note(struct schedules *x, const char *fmt, ...) KV_PRINTF(2, 3);
unsigned draw(unsigned n); /* 0 to n - 1 */

#endif
