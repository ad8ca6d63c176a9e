/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SCHEDULE_H
#define SCHEDULE_H

/*
 * Random schedules: a few processes with a handle each run verbs, step by step in turns;
 * at some steps one is killed, the disk fails, or the power goes. Afterwards the pool is
 * opened, with more crashes on the way, and judged.
 *
 * Everything is drawn from one seed, so that a schedule can be run again.
 */

#include <stdio.h>

#include "crash.h"

struct schedule_figures {
	uint64_t schedules;
	uint64_t verbs;
	uint64_t acknowledged; /* of them */
	uint64_t kills;
	uint64_t power_cuts;
	uint64_t recovery_crashes;
	uint64_t faults;   /* steps that failed, and pools that were made to fail */
	uint64_t switches; /* from one process to another in the middle of a verb */
};

/* Between two calls nothing is remembered but the machine to start from. */
struct schedules;
struct schedules *schedules_start(struct schedule_figures *figures);
void schedules_end(struct schedules *x);

/* NULL, or what was broken. `log`: what happens, line by line, or NULL. */
const char *schedule_run(struct schedules *x, uint64_t seed, FILE *log);
/* A hash of the last one's steps and results. */
uint64_t schedule_trace(const struct schedules *x);

#endif
