/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_SOAK_H
#define KVOL_TESTS_SOAK_H

/*
 * What test_kill's processes share: workers that are killed at any moment write what they
 * are about to do, and what came of it, into memory that outlives them. Read in its order
 * the journal is a sequential program for each worker, whose names are his alone; so the
 * model of what must be there is exact, but for the one call that was in flight.
 */

#include <stdatomic.h>

#include "system.h"

#define WORKERS	    4
#define NAMES	    6
#define RECORDS	    8192
#define SHARED	    NAMES /* as a source: the volume that all of them snapshot */
#define SHARED_NAME "shared"
#define SHARED_LINE 1u
#define PAGE	    4096

enum op {
	OP_CREATE,
	OP_SNAPSHOT,
	OP_CLONE,
	OP_EXPAND,
	OP_DELETE,
	OP_PUBLISH,
	OP_UNPUBLISH,
	OP_STAMP, /* a page that says who wrote it and the how manieth it is, fsynced */
	OP_LOOK,
	N_OPS,
};

/* What was written into a volume: page `line` holds a number from lo to hi. */
struct line {
	uint32_t id; /* 0: nothing was */
	uint32_t lo, hi;
};

/* What a name stands for. */
struct look {
	bool there, fs, published;
	uint32_t kind;
	uint64_t bytes;
	char source[16];
	struct line own, inherited;
};

struct model {
	struct entry {
		struct look now;
		struct look other; /* if `unsure`: or this */
		bool unsure;
	} e[NAMES];
};

/* CALLING is in flight; BEGUN never was. */
enum rec_state { REC_NONE, REC_BEGUN, REC_CALLING, REC_DONE };

struct rec {
	uint32_t op, name, source;
	uint64_t bytes;
	uint32_t fs;
	uint32_t line, n; /* OP_STAMP */
	uint32_t lo;	  /* copies of the shared volume: what was in it before, ... */
	uint32_t hi;	  /* ... and at most after */
	int32_t r;
	_Atomic uint32_t state;
};

struct soak {
	_Atomic uint32_t hold; /* nobody begins a call */
	_Atomic uint32_t
		commits; /* calls that are little else than a commit, no others */
	_Atomic uint32_t next_line;
	_Atomic uint32_t shared_begun, shared_done; /* the writer's stamps */
	_Atomic uint32_t shared_minor;
	_Atomic uint32_t faulty;
	char fault[600];
	struct {
		_Atomic uint32_t asked, answered;
		char name[16]; /* "": the pool */
		int32_t r;
		uint64_t bytes;
	} witness;
	struct {
		struct model start; /* of the round */
		_Atomic uint32_t n;
		struct rec recs[RECORDS];
		_Atomic uint32_t minors[NAMES]; /* of the devices of what is published */
	} w[WORKERS];
};

extern struct soak *soak;

/* soak_model.c */
void model_apply(struct model *m, const struct rec *rec, unsigned worker);
void model_of(unsigned worker, struct model *ret); /* the journal, played */
const char *name_in(unsigned worker, unsigned i, char ret[16]);
/* NULL, or what is wrong. */
const char *look_differs(const struct look *l, int stat_result,
			 const struct kvol_info *info);

/* soak_worker.c: these do not return */
void be_worker(unsigned k, unsigned seed);
void be_writer(void);
void be_witness(void);

const char *target_of(unsigned worker, unsigned i, bool fs);
int stamp(const char *path, bool fs, uint32_t line, uint32_t n);
/* The number that is there, 0 if there is none; negative: torn or unreadable. */
int64_t stamp_read(const char *path, bool fs, uint32_t line);
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
