/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CRASH_H
#define CRASH_H

/*
 * Dying at every step: of a verb, and of the recovery after it.
 *
 * A scenario is a machine that setup() has brought somewhere, and a verb. The verb is run
 * once to its end, to see how many steps it has and what it makes of the volumes. Then it
 * is run again and dies at its first step, at its second, and so on: killed (the kernel's
 * state stays), and by a power cut that keeps all, nothing or some of what was not
 * flushed. After each the pool is opened, and everything must be wholly as before the
 * verb or wholly as after it. Then the same once more, dying at each step of that opening
 * as well.
 */

#include "invariants.h"

#define MIB	   (UINT64_C(1) << 20)
#define POOL_NAME  "tank"
#define POOL_BYTES (UINT64_C(1) << 30)

struct machine {
	struct kvol_ctx *ctx;
	char path[MODEL_PATH]; /* the pool's file */
	char run_dir[MODEL_PATH];
};

struct scenario {
	const char *name;
	/* In a process of its own, which ends; NULL: a pool without volumes. */
	int (*setup)(struct kvol_pool *pool);
	bool powered_off; /* then there is a power cut */
	/* Before the verb, in its process. */
	int (*before)(struct kvol_pool *pool);
	/* NULL: opening itself is the verb. */
	int (*verb)(struct kvol_pool *pool);
};

struct figures {
	unsigned points; /* steps of verbs */
	unsigned died;	 /* of them tried, in all four ways */
	unsigned nested; /* steps of recoveries at which it died again */
	unsigned opened; /* machines that were opened and looked at */
	unsigned states; /* different ones that a crash left */
};

/* A blank machine, or with a pool on it. Ends the one before. */
void machine_start(struct machine *m);
void machine_start_with_pool(struct machine *m);
void machine_end(struct machine *m);

/* One volume's contents get an identity, as if somebody had written something. */
void write_mark(struct kvol_pool *pool, const char *name, uint64_t mark);
/* The kernel counts snapshots as if so many were left. */
void leave_snapshots(struct kvol_pool *pool, uint32_t n);

/* Dies at its nth step from here on; 0: not at all. *ret_steps is how many there were
 * since. */
void die_at(unsigned nth);
unsigned steps_since(void);

/* Runs one to its end; adds to the figures. Prints what is broken, and returns how much.
 */
unsigned run_scenario(const struct scenario *s, bool thorough, struct figures *figures);

/* The same of kvol_pool_format, which has no pool to begin with: crash_format.c. */
struct format_case {
	const char *name;
	uint64_t size_before; /* of the file; 0: there is none */
	bool pool;	      /* there is one on it already, with a volume */
	bool kept;	      /* and it is to stay */
	struct kvol_format_opts opts;
};
unsigned run_format(const struct format_case *c, bool thorough, struct figures *figures);

/* Ways of losing power: what was not flushed is kept, lost, or drawn. */
enum way { KILLED, CUT, CUT_LOSING_ALL, CUT_LOSING_SOME, N_WAYS };
extern const char *const way_names[N_WAYS];
void lose_power(enum way way);

#endif
