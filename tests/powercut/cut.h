/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CUT_H
#define CUT_H

/*
 * A power cut: all that a flush made durable, and of the requests that completed after it
 * none, all, or some, whole or in part. `base` is the entry behind the flush, `end` the
 * one behind the last request that completed; the rest is drawn from the seed. Written
 * BASE:END:MODE:SEED.
 */

#include "history.h"

enum cut_mode {
	CUT_NONE,     /* all that was not flushed is lost */
	CUT_ALL,      /* nothing is: the order of completion was that of the medium */
	CUT_SOME,     /* each request is lost or not, with even chances */
	CUT_ALL_BUT,  /* one is lost */
	CUT_ONLY,     /* one is not lost */
	CUT_TORN,     /* as CUT_SOME, and of some only some sectors arrived */
	CUT_TORN_END, /* of the last one only the first sectors arrived */
	CUT_TORN_AT,  /* of the last one as many sectors as the seed says */
	CUT_MODES
};

struct cut {
	uint32_t base, end;
	enum cut_mode mode;
	uint64_t seed;
};

#define CUT_TEXT 64

/* Called for each range that changes: data NULL means zeros. */
typedef int cut_write_fn(void *arg, uint64_t offset, const void *data, uint64_t bytes);

struct cut_choice {
	uint32_t from;	/* an entry: nothing before it */
	long n_flushes; /* of the cuts at flushes; 0: each one */
	long n_between; /* that lose part of what was not flushed */
	bool whole;	/* without torn requests among those between */
	bool torn;	/* and tear each request of no more than a block at each sector */
	uint64_t seed;
};

/* Chooses cuts all over the log, ordered by base. Returns their number, or -1. */
long cut_choose(const struct wlog *log, const struct history *h,
		const struct cut_choice *choice, struct cut **ret);

/* The requests from one entry up to before another, whole. */
int cut_replay(const struct wlog *log, const struct history *h, uint32_t from,
	       uint32_t to, cut_write_fn *fn, void *arg);
/* Onto a disk that holds what stands before cut->base. */
int cut_apply(const struct wlog *log, const struct history *h, const struct cut *cut,
	      cut_write_fn *fn, void *arg);

void cut_print(const struct cut *cut, char ret[CUT_TEXT]);
int cut_parse(const char *text, const struct wlog *log, struct cut *ret);

#endif
