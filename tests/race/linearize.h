/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RACE_LINEARIZE_H
#define RACE_LINEARIZE_H

/*
 * Is there an order of these calls, one after the other, that explains every result and
 * keeps every call that had ended before another began in front of it?
 *
 * What the calls mean is the caller's: a state of fixed size, and a function that makes one
 * step in it. Nothing here knows of volumes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIN_CALLS_MAX 1024
#define LIN_STATE_MAX 512

struct lin_call {
	uint64_t begin, end; /* of one clock, end >= begin */
	bool pending; /* its caller died, by `end`: it has happened before that, or never */
	bool reads;   /* what it returned says that it changed nothing */
};

struct lin_history {
	const struct lin_call *calls;
	unsigned n;
	const void *state; /* at the beginning */
	size_t state_size;
	/* Makes call i in *state: false if it could not have returned there what it did. Of a
	 * pending call any result will do. Every byte of the state counts. */
	bool (*step)(const void *arg, unsigned i, void *state);
	const void *arg;
	uint64_t budget; /* states to visit at the most */
};

enum lin_verdict {
	LIN_YES,
	LIN_NO,
	LIN_UNDECIDED, /* the budget, or the memory, was not enough */
};

struct lin_result {
	enum lin_verdict verdict;
	uint64_t visited;
	/* The longest order that was found: of all calls but pending ones if LIN_YES. */
	unsigned order[LIN_CALLS_MAX], n_order;
	unsigned char state[LIN_STATE_MAX]; /* after it */
};

void lin_check(const struct lin_history *h, struct lin_result *ret);

#endif
