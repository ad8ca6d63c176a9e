/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FIXTURE_H
#define FIXTURE_H

/*
 * What the tests on the model share: a machine with one disk and a pool on it, and checks
 * that hold of every call and at the end of every test (no fd left over, nothing torn,
 * nothing formatted twice).
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <kvol/kvol.h>

#include "model.h"

#define MIB	    (UINT64_C(1) << 20)
#define POOL_NAME   "tank"
#define POOL_BYTES  (UINT64_C(1) << 30)
#define MAX_VOLUMES 600

struct fixture {
	struct kvol_ctx *ctx;
	struct kvol_pool *pool; /* NULL when a test has closed it */
	struct kvol_error e;
	uint32_t index; /* the next failure's, as fails_at() has it */
	char path[MODEL_PATH]; /* of the disk */
	char run_dir[MODEL_PATH];
	int n_fds;
	unsigned n_logged;
	int log_priority; /* the most urgent so far */
};

/* cmocka's setups: a blank disk; a formatted one; an open pool, also on a machine alone.
 * One teardown for all. */
int setup_machine(void **state);
int setup_disk(void **state);
int setup_pool(void **state);
int setup_pool_alone(void **state);
int teardown(void **state);

/* A call that must give 0 and leave the error alone; one that must fail like this. `call`
 * passes &f->e. */
#define succeeds(f, call)                                          \
	do {                                                       \
		prepare_error(f);                                  \
		check_success(f, call, #call, __FILE__, __LINE__); \
	} while (0)
#define fails(f, call, code, reason)                                             \
	do {                                                                     \
		prepare_error(f);                                                \
		check_failure(f, call, code, reason, #call, __FILE__, __LINE__); \
	} while (0)

/* At this element of an array. */
#define fails_at(f, call, code, reason, i)    \
	do {                                  \
		(f)->index = (i);             \
		fails(f, call, code, reason); \
		(f)->index = 0;               \
	} while (0)

void prepare_error(struct fixture *f);
void check_success(struct fixture *f, int r, const char *call, const char *file,
		   int line);
void check_failure(struct fixture *f, int r, int code, uint32_t reason, const char *call,
		   const char *file, int line);

void open_pool(struct fixture *f);
void close_pool(struct fixture *f);
void reopen_pool(struct fixture *f);
/* A second handle, which the caller closes. */
struct kvol_pool *another_handle(struct fixture *f);

/* Runs verb in a child with a handle of its own, in which the nth step called `step`
 * kills it. Fails the test if it was not killed. */
typedef int verb_fn(struct kvol_pool *pool, void *arg);
void killed_at(struct fixture *f, const char *step, unsigned nth, verb_fn *verb,
	       void *arg);

/* SQL on the catalogue, behind the library's back. */
void doctor(struct fixture *f, const char *sql);
/* For who takes rows away so: the pool's tally is theirs again. */
#define TALLY_COLUMNS "n_volumes, n_snapshots, pages, thick_pages, thick_blocks"
#define TALLY_OF_ROWS                                                            \
	"SELECT coalesce(sum(kind = 1), 0), coalesce(sum(kind = 2), 0),"          \
	" coalesce(sum((kind = 1) * bytes / 4096), 0),"                           \
	" coalesce(sum((kind = 1 AND flags & 8) * bytes / 4096), 0),"             \
	" coalesce(sum((kind = 1 AND flags & 8) *"                                \
	"  ((bytes + (SELECT block_bytes FROM pool) - 1) /"                       \
	"   (SELECT block_bytes FROM pool))), 0)"                                 \
	" FROM volume WHERE name IS NOT NULL"
#define TALLY_ANEW "UPDATE pool SET (" TALLY_COLUMNS ") = (" TALLY_OF_ROWS ");"
int64_t query(struct fixture *f, const char *sql);

int create_volume(struct fixture *f, const char *name, const char *fs); /* of 512 MiB */
/* With the fields that these two take; NULL and 0: not given. */
int publish(struct fixture *f, const char *name, const char *target, uint32_t flags,
	    const char *options, const char *ns);
int unpublish(struct fixture *f, const char *name, const char *target, const char *ns);
int count_fds(void);
struct kvol_info info_of(struct fixture *f, const char *name);
struct kvol_pool_info pool_info(struct fixture *f);
bool exists(struct fixture *f, const char *name);
uint32_t id_of(struct fixture *f, const char *name);
struct model_dev *dev_of(struct fixture *f, const char *name,
			 bool readonly); /* NULL: inactive */
struct model_dev *face_of(struct fixture *f, const char *name, enum kv_face face);
struct model_disk *disk_of(struct fixture *f);
struct model_thin *thin_of(struct fixture *f, const char *name);

/* The pool's own directory under the run directory; the caller closes it. */
int open_run_pool(struct fixture *f);
/* Somebody has written over all records of publishes that the volume has. */
void damage_records(struct fixture *f, const char *name);

#endif
