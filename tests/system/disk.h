/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_DISK_H
#define KVOL_TESTS_DISK_H

/*
 * A disk that can be made bad while a pool on it is in use, a watchdog over calls, and
 * the verbs as a list, for tests that try each of them in each state.
 */

#include "system.h"

/* The parts of a pool that can fail by themselves. */
enum disk_part {
	DISK_CATALOGUE,
	DISK_SUPERBLOCK, /* the first block of the thin pool's metadata */
	DISK_METADATA,	 /* the rest of it */
	DISK_DATA,
	DISK_SPARE, /* behind all of it: nothing is written there but flushes, which
		       device-mapper sends to every slice that takes them */
	DISK_PARTS
};

enum disk_fault {
	DISK_GOOD,
	DISK_DEAD,	   /* reads and writes fail, flushes pass by */
	DISK_ERROR_WRITES, /* reads work, and flushes of the whole disk fail */
	DISK_DROP_WRITES,  /* writes are lost, and said to be done */
};

/* Makes ctx, dir, the disk, and a pool on it, and opens it. */
int disk_up(const struct kvol_format_opts *o, uint64_t bytes);
/* Takes down what disk_up made; the pool is deactivated already. */
int disk_down(void **state);
/* The whole disk's faults at once; NULL: it is good. */
void disk_set(const enum disk_fault faults[DISK_PARTS]);

/* The thin pool by itself, as the kernel's administrators see it. */
const char *thin_pool_name(void);
const char *thin_pool_status(void);
/* On an inactive pool: runs shell commands with the metadata's device in $metadata, or in
 * the catalogue's directory. */
void with_metadata(const char *commands);
void in_catalogue(const char *commands);

/* A call that is not over after this many seconds ends the program, loudly. It is far
 * above the bounds of the header, for a machine with much else to do. */
#define WATCH_SECONDS 240

/* disk_up and disk_down do so. Before there is a pool: a child would hold its catalogue
 * by SQLite's shared memory. */
void watch_start(void);
void watch_end(void);
void watched(const char *what);
void unwatched(void);
/* /dev/dm-MINOR; any of a pool's, or -1. */
bool is_suspended(unsigned minor);
int suspended_now(void);
/* No device that is suspended, and no task of this program that hangs. */
void assert_nothing_frozen(const char *what);

#endif
