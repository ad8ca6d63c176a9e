/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_HOSTILE_H
#define KVOL_TESTS_HOSTILE_H

/*
 * What the parts of test_hostile share: numbers that a seed repeats, and children that
 * try a case, so that a crash in it is seen as such.
 */

#include "disk.h"
#include "member.h"

/* What a child returns; lines that failed are larger. */
#define OPENED	0
#define REFUSED 1
#define STUCK	2 /* opened, and refused to be taken out of use again */
#define EITHER	-1

extern bool long_form;

uint64_t next_random(void);
/* Flips so many bits in a range of the file. */
void flip_bits(const char *path, uint64_t from, uint64_t bytes, unsigned n);

/* How the last call went: 0 or an error that says why, or else it is told on stderr. */
bool answered(int r, const char *call);

/* In a child, with `int r`. */
#define TRY(call)                                \
	do {                                     \
		before_call(NULL, false);        \
		watched(#call);                  \
		r = (call);                      \
		unwatched();                     \
		CHILD_CHECK(answered(r, #call)); \
	} while (0)

/* The short form takes some of each list, which ones is the seed's. */
size_t first(void);
size_t step(void);

/* Before a case's random numbers: it has its own, so that each can be repeated. */
void case_begin(void);
/* Runs fn in a child; fails unless it returns what is wanted, or if it leaves anything.
 */
int case_run(const char *what, int (*fn)(void *arg), void *arg, int want);

/* The tests. */
void partition_tables(void **state);
void claims_of_strangers(void **state);
void catalogues_of_strangers(void **state);
void rows_of_strangers(void **state);
void files_of_strangers(void **state);
void flipped_catalogues(void **state);
void flipped_file_system_of_the_catalogue(void **state);
void flipped_thin_metadata(void **state);
void thin_superblocks_that_add_up(void **state);
void run_directories_of_strangers(void **state);

void flipped_file_systems(void **state);
void contents_of_another_type(void **state);
void an_ext4_that_would_panic_the_host(void **state);

#endif
