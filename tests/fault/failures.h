/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FAILURES_H
#define FAILURES_H

/*
 * One call of the public interface in one starting state, with everything that it does
 * failing, one after the other. What is checked after each failure is in failures.c.
 */

#include "failpoint.h"
#include "fixture.h"

#define KIND(k)	    (1u << (k))
#define EVERY_KIND  (KIND(FAILPOINT_KINDS) - 1)
#define IOCTL_KINDS (KIND(FAIL_IOCTL) | KIND(FAIL_IOCTL_MEMORY) | KIND(FAIL_IOCTL_BUSY))
#define DB_IO_KINDS                                                      \
	(KIND(FAIL_DB_READ) | KIND(FAIL_DB_WRITE) | KIND(FAIL_DB_FULL) | \
	 KIND(FAIL_DB_FLUSH) | KIND(FAIL_DB_OTHER))

struct scenario {
	const char *name;
	const char
		*verb; /* the public function that it calls, as lib/libkvol.sym has it */
	/* What messages name: one of these words, separated by '|'. */
	const char *object;
	/* What is on the disk, made once; the pool is formatted and open, and is closed
	 * behind it. NULL: the disk is as large as a pool and blank. */
	void (*disk)(struct fixture *f);
	/* What is to be done at each boot: opens the pool, publishes. */
	void (*boot)(struct fixture *f);
	/* The call. It checks its own outputs with touched(). */
	int (*call)(struct fixture *f);
	int result; /* of the call when nothing fails */
	/* A call that failed may also stop where it does when one of these steps of the
	 * model fails: separated by '|', the second of a name is "name#2", and with '!'
	 * before it the process is killed there. */
	const char *between;
	/* Or where this, done after the boot, leads. */
	void (*stopped)(struct fixture *f);
	bool running;	  /* the boot leaves nothing open, and is done once */
	bool silent;	  /* it has no error struct to fill */
	unsigned idle_left; /* devices that nobody uses may stay until the next open */
	bool no_repeat;	  /* the call cannot be repeated on its handle */
	bool cannot_fail; /* nothing in it can: it must not come to any point */
};

/* Another handle and an iterator, that calls may leave to be closed. */
extern struct kvol_pool *other_pool;
extern struct kvol_iter *open_iter;
extern struct kvol_label_iter *open_labels;
extern struct kvol_publish_iter *open_publishes;

/* A check of a call's failed: says so, and where. */
void flaw(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Is any of it other than PATTERN? */
bool touched(const void *p, size_t n);

#define PATTERN 0xa5

struct group {
	const char *name;
	const struct scenario *scenarios;
	size_t n;
};

extern const struct group encrypt_failures, label_failures, pool_failures, publish_failures,
	volume_failures;

/* Runs all of a group's as cmocka's group of that name. */
int run_group(const struct group *group);
void print_figures(const struct group *group);
bool group_has(const struct group *group, const char *verb);
/* Has any of those that were run injected a failure into this function? Or, where nothing
 * can fail in it, called it? */
bool verb_was_failed(const char *verb);

#endif
