/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FAILPOINT_H
#define FAILPOINT_H

/*
 * Makes the N-th call of a kind fail, once or from there on, SQLite's way: a test repeats
 * a call with N = 1, 2, ... until it ends without having met its failure.
 *
 * Only the library's own calls count. Its objects are linked into one,
 * tests/fault/core.o, whose references to these functions lead here; the model, the
 * fixture and the tests call the real ones. Below SQLite stand an allocator and a VFS of
 * ours, and the model asks before each of its steps (model_hook).
 */

#include <stdbool.h>

enum failpoint_kind {
	FAIL_MEMORY,	    /* malloc and its kin, and what in libc gives ENOMEM */
	FAIL_SQLITE_MEMORY, /* SQLite's allocator */
	FAIL_SQLITE,	    /* open, prepare, bind, step, exec: SQLITE_IOERR */
	FAIL_DB_READ,	    /* the catalogue's files */
	FAIL_DB_WRITE,
	FAIL_DB_FULL,
	FAIL_DB_FLUSH,
	FAIL_DB_OTHER, /* open, truncate, lock, map, ... */
	FAIL_DB_BUSY,  /* a lock that somebody else has */
	FAIL_OPEN,     /* open, mkdirat: no more of them */
	FAIL_READ,
	FAIL_WRITE,
	FAIL_FLUSH, /* fsync, syncfs */
	FAIL_LOCK,
	FAIL_FILE,  /* fstat, renameat, unlinkat, getrandom, ... */
	FAIL_IOCTL, /* of the model from here on: device-mapper */
	FAIL_IOCTL_MEMORY,
	FAIL_IOCTL_BUSY,
	FAIL_MOUNT,  /* mounts, targets, namespaces */
	FAIL_DEVICE, /* the other adapters: disks, loop devices, probes, programs */
	FAILPOINT_KINDS
};

extern const char *const failpoint_names[FAILPOINT_KINDS];

/* First of all, before anything uses SQLite. */
void failpoint_start(void);

/* The nth call (from 1 on) fails; with `forever` all after it do as well. */
void failpoint_arm(enum failpoint_kind kind, unsigned nth, bool forever);
/* How many have failed since, and (unless NULL) how many of each kind there were in all.
 */
unsigned failpoint_disarm(unsigned ret_passed[FAILPOINT_KINDS]);

/* The library's allocations that are not freed: those of SQLite included, those inside
 * other libraries not. */
long failpoint_allocated(void);

#endif
