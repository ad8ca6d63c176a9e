/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RACE_PLAYER_H
#define RACE_PLAYER_H

/* Between history.c, which starts the processes, and player.c, which is what they do. */

#include <stdatomic.h>
#include <stdbool.h>

#include "history.h"

#define SLOTS_MAX (RACE_PROCESSES_MAX * RACE_THREADS_MAX)

struct slot {
	atomic_uint begun, done;    /* calls of this round */
	atomic_uint_fast64_t since; /* of the call under way, 0: none */
	atomic_int tid;
	struct event events[RACE_CALLS_MAX];
};

struct shared {
	_Alignas(64) atomic_uint round;
	atomic_bool quit, faulty;
	char fault[512];
	atomic_uint ready[RACE_PROCESSES_MAX], finished[RACE_PROCESSES_MAX];
	struct slot slots[SLOTS_MAX];
};

uint64_t race_now_ns(void);

/* One call, as e says, without and with the times and the result. */
int race_call(struct kvol_pool *pool, const struct race_config *c, struct event *e,
	      struct kvol_error *err);
void race_perform(struct kvol_pool *pool, const struct race_config *c, struct event *e);

/* The whole life of a child, to its exit code. It plays from the round after last_round on. */
int race_child(const struct race_config *c, struct shared *shared, struct kvol_ctx *ctx,
	       unsigned process, unsigned last_round, uint64_t random);

#endif
