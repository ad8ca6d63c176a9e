/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RACE_HISTORY_H
#define RACE_HISTORY_H

/*
 * Many processes with many threads each do anything to few volumes of one pool; what each
 * call was asked and what it returned is written down, with the times, and checked round by
 * round: is there an order of the calls, one after the other, that explains it all?
 *
 * Uses the public header only, so the same program runs on the model and on a real kernel.
 */

#include "spec.h"

#define RACE_PROCESSES_MAX 16
#define RACE_THREADS_MAX   16
#define RACE_CALLS_MAX	   32

struct race_config {
	const char *pool_path;
	const char *run_dir; /* NULL: the usual one */
	char targets[SPEC_TARGETS][256];
	unsigned processes, threads;
	unsigned calls; /* of each thread in one round */
	unsigned rounds;
	unsigned seconds; /* ... and no round begins after this time; 0: no limit */
	unsigned ext4_percent; /* of the volumes are made with a file system */
	unsigned kill_percent; /* of the rounds see one process killed */
	unsigned bound_s;      /* a call that takes longer is stuck */
	uint64_t seed;
	bool (*is_mounted)(const char *path);
	/* Called in each child before anything else; may be NULL. */
	void (*in_child)(unsigned process);
	/* Ends a process, with exit code 99, at some random moment from now on; with 0: not any
	 * more. NULL: SIGKILL. */
	void (*kill)(unsigned process, uint64_t random);
};

struct race_figures {
	unsigned rounds, kills;
	uint64_t calls, pending, changes, visited;
	uint64_t results[N_VERBS][3]; /* 0, refused, killed */
	unsigned undecided;
	double longest_s, seconds;
};

/* Runs and checks. Returns 0, or -1 and has said on standard output what was wrong. */
int race_run(const struct race_config *config, struct race_figures *ret);
void race_print_figures(const struct race_config *config, const struct race_figures *f);

/* KVOL_TEST_SEED; else from the clock in the long form, else `fixed`. Says what it is. */
uint64_t race_seed(uint64_t fixed);
bool race_long(void); /* KVOL_TEST_LONG=1 */

/* xorshift64*: its state is anything but 0. */
uint64_t race_random(uint64_t *state);

#endif
