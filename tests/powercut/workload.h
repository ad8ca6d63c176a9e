/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WORKLOAD_H
#define WORKLOAD_H

/* The workload's calls and writes, each between its marks. What fails ends the process.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <kvol/kvol.h>
#include "mark.h"

#define MIB(n)	    ((uint64_t)(n) << 20)
#define EXT4_BYTES  MIB(32)
#define XFS_BYTES   MIB(300)
#define RAW_BYTES   MIB(16)
#define VOLUMES_MAX 70 /* of one thread */
#define FILES_MOST \
	40 /* of one volume: history.c has room for those of its sources, too */

struct vol {
	char name[64];
	char fs_type[16];
	uint64_t bytes;
	bool there, snapshot, published;
	unsigned n_files;
	unsigned n_own; /* files that were written here, not copied */
	uint64_t own[FILES_MOST];
	char target[128];
};

/* What one thread works on; names begin with its letter. */
struct set {
	char letter;
	uint64_t random;
	unsigned n;
	unsigned calls;
	struct vol vols[VOLUMES_MAX];
};

extern struct kvol_ctx *ctx;
extern struct kvol_pool *pool;
extern _Thread_local struct kvol_error err;
extern const char *slice; /* the pool's device */
extern char dir[];	  /* of the targets */
extern uint64_t seed;
extern int marks_fd;
extern atomic_ulong last_op;

/* Held while a file is written. */
extern pthread_mutex_t busy_mutex;

void die(const char *what) __attribute__((noreturn));

void put_mark(const struct mark *m);
void mark_slice(void);
struct mark begin(enum verb verb, const char *name, const char *source, uint64_t bytes);
void acknowledge(struct mark *m, int r, const char *what);

/* CALL is evaluated between the marks. */
#define MARKED(m, what, call)                    \
	do {                                     \
		put_mark(&(m));                  \
		acknowledge(&(m), (call), what); \
	} while (0)

void new_file(struct vol *v, uint64_t *random); /* under busy_mutex */
void new_block(const struct vol *v, uint64_t *random);
/* The thread that writes and removes files, of the volume that keep_busy says. */
void start_writer(void);
void stop_writer(void);
void keep_busy(struct vol *v);

int call(struct kvol_pool *p, const struct mark *m);
/* A new volume and the mark for making it, blank or (from is not NULL) as a copy; NULL:
 * there are enough of them. */
struct vol *plan_new(struct set *set, enum verb verb, struct vol *from,
		     const char *fs_type, uint64_t bytes, struct mark *ret);
struct vol *create(struct set *set, const char *fs_type, uint64_t bytes);
struct vol *derive(struct set *set, struct vol *from, enum verb verb, uint64_t bytes);
void publish(struct vol *v);
void unpublish(struct vol *v);
void expand(struct vol *v);
void delete (struct vol *v);
void open_pool(void);
void close_pool(bool deactivate);
void format(const char *name, uint32_t flags);

#endif
