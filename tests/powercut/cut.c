// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which cuts there are, and what each leaves on the disk.
 *
 * What completed before the last flush was sent is durable; of what completed after it
 * the disk's cache may have written back any part, in any order, in units of a sector:
 * the device promises no more. A discard may have happened or not, and reads as zeros
 * after it. Requests with FUA are durable when they complete.
 *
 * At a flush the cut is judged as late as can be, right before the next one is sent: the
 * disk is the same, and more has been acknowledged by then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"

#define BLOCK_SECTORS 8

/* Entries between two flushes. */
struct window {
	uint32_t base, limit;
	uint32_t n; /* requests of the pool's */
};

/* A request of the pool's; not one of the marks beside it. */
static bool is_pools(const struct history *h, const struct wlog_entry *e)
{
	return e->n_sectors && !(e->flags & WLOG_MARK) && e->sector >= h->slice_sector &&
	       e->sector + e->n_sectors <= h->slice_sector + h->slice_sectors;
}

static uint32_t count_pools(const struct wlog *log, const struct history *h,
			    uint32_t from, uint32_t to)
{
	uint32_t n = 0;

	for (; from < to; from++)
		n += is_pools(h, &log->entries[from]);
	return n;
}

/* --- Choosing --------------------------------------------------------------------- */

/* Those in which something happened that can be judged. */
static uint32_t find_windows(const struct wlog *log, const struct history *h,
			     uint32_t from, struct window *windows)
{
	uint32_t base = 0, n = 0;

	if (from < h->first)
		from = h->first;
	for (uint32_t i = 0; i <= log->n; i++) {
		if (i < log->n && !(log->entries[i].flags & WLOG_FLUSH))
			continue;
		if (i > from && i > base)
			windows[n++] =
				(struct window){ base, i, count_pools(log, h, base, i) };
		base = i + 1;
	}
	return n;
}

static int by_base(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;

	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

static struct cut at_flush(const struct window *w)
{
	return (struct cut){ w->base, w->limit, CUT_NONE, 0 };
}

static struct cut between(const struct window *w, bool whole, uint64_t *random)
{
	struct cut c = { .base = w->base };

	c.end = w->base + 1 + (uint32_t)below(random, w->limit - w->base);
	if (below(random, 4) == 0)
		c.end = w->limit;
	c.mode = CUT_ALL +
		 (enum cut_mode)below(random, (whole ? CUT_TORN : CUT_TORN_AT) - CUT_ALL);
	c.seed = next_random(random) >> 32;
	return c;
}

/* Evenly spread, each at a random place of its part. */
static void choose_flushes(const struct window *windows, uint32_t n_windows, long n,
			   uint64_t *random, struct cut *ret)
{
	for (long i = 0; i < n; i++) {
		uint64_t from = (uint64_t)i * n_windows / (uint64_t)n;
		uint64_t to = (uint64_t)(i + 1) * n_windows / (uint64_t)n;

		ret[i] = at_flush(&windows[from + below(random, to - from)]);
	}
}

/* Where more was under way there is more to lose, up to a point: making a file system is
 * hundreds of requests of one kind. Where nothing was, the marks alone make a difference:
 * seldom. */
static void choose_between(const struct window *windows, uint32_t n_windows,
			   const struct cut_choice *choice, uint64_t *random,
			   struct cut *ret)
{
	for (long n = choice->n_between; n > 0;) {
		const struct window *w = &windows[below(random, n_windows)];

		if (below(random, 64) >= 1 + (w->n < 8 ? w->n : 8) * 4)
			continue;
		*ret++ = between(w, choice->whole, random);
		n--;
	}
}

/* Blocks of 4 KiB are what file systems and dm-thin write at once, and take for whole too
 * easily. */
static long choose_torn(const struct wlog *log, const struct history *h,
			const struct window *windows, uint32_t n_windows, struct cut *ret)
{
	long n = 0;

	for (uint32_t w = 0; w < n_windows; w++)
		for (uint32_t i = windows[w].base; i < windows[w].limit; i++) {
			const struct wlog_entry *e = &log->entries[i];

			if (!e->data || e->n_sectors > BLOCK_SECTORS || !is_pools(h, e))
				continue;
			for (uint32_t k = 1; k < e->n_sectors; k++)
				ret[n++] = (struct cut){ windows[w].base, i + 1,
							 CUT_TORN_AT, k };
		}
	return n;
}

long cut_choose(const struct wlog *log, const struct history *h,
		const struct cut_choice *choice, struct cut **ret)
{
	struct window *windows = calloc(log->n_flushes + 2, sizeof(*windows));
	uint32_t n_windows = windows ? find_windows(log, h, choice->from, windows) : 0;
	uint64_t random = choice->seed;
	long n = choice->n_flushes;
	struct cut *cuts;

	if (n <= 0 || n > (long)n_windows)
		n = n_windows;
	cuts = n ? calloc((size_t)(n + choice->n_between + log->n * (BLOCK_SECTORS - 1)),
			  sizeof(*cuts))
		 : NULL;
	if (!cuts) {
		free(windows);
		return -1;
	}
	choose_flushes(windows, n_windows, n, &random, cuts);
	choose_between(windows, n_windows, choice, &random, cuts + n);
	n += choice->n_between;
	if (choice->torn)
		n += choose_torn(log, h, windows, n_windows, cuts + n);
	free(windows);
	qsort(cuts, (size_t)n, sizeof(*cuts), by_base);
	*ret = cuts;
	return n;
}

/* --- Applying --------------------------------------------------------------------- */

static uint64_t offset_of(const struct history *h, const struct wlog_entry *e)
{
	return (e->sector - h->slice_sector) * WLOG_SECTOR;
}

static int apply(const struct history *h, const struct wlog_entry *e, cut_write_fn *fn,
		 void *arg)
{
	return fn(arg, offset_of(h, e), e->data, e->n_sectors * WLOG_SECTOR);
}

int cut_replay(const struct wlog *log, const struct history *h, uint32_t from,
	       uint32_t to, cut_write_fn *fn, void *arg)
{
	int r = 0;

	for (; from < to && r == 0; from++)
		if (is_pools(h, &log->entries[from]))
			r = apply(h, &log->entries[from], fn, arg);
	return r;
}

/* Only the first n sectors arrived; n 0: some, and not only the first ones. */
static int apply_torn(const struct history *h, const struct wlog_entry *e, uint64_t n,
		      uint64_t *random, cut_write_fn *fn, void *arg)
{
	int r = 0;

	for (uint64_t i = 0; i < e->n_sectors && r == 0; i++) {
		if (n ? i >= n : below(random, 2))
			continue;
		r = fn(arg, offset_of(h, e) + i * WLOG_SECTOR,
		       e->data ? e->data + i * WLOG_SECTOR : NULL, WLOG_SECTOR);
	}
	return r;
}

/* Is request k of n kept? */
static bool is_kept(const struct cut *cut, uint32_t k, uint32_t chosen, uint64_t *random)
{
	switch (cut->mode) {
	case CUT_ALL:
	case CUT_TORN_END:
	case CUT_TORN_AT:
		return true;
	case CUT_SOME:
	case CUT_TORN:
		return below(random, 2);
	case CUT_ALL_BUT:
		return k != chosen;
	case CUT_ONLY:
		return k == chosen;
	default:
		return false;
	}
}

int cut_apply(const struct wlog *log, const struct history *h, const struct cut *cut,
	      cut_write_fn *fn, void *arg)
{
	uint32_t n = count_pools(log, h, cut->base, cut->end), k = 0;
	uint64_t random = cut->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint32_t chosen = n ? (uint32_t)below(&random, n) : 0;
	int r = 0;

	for (uint32_t i = cut->base; i < cut->end && r == 0; i++) {
		const struct wlog_entry *e = &log->entries[i];
		bool kept, last;

		if (!is_pools(h, e))
			continue;
		last = ++k == n;
		kept = is_kept(cut, k - 1, chosen, &random) || e->flags & WLOG_FUA;
		if (!kept)
			continue;
		if (e->flags & WLOG_FUA)
			r = apply(h, e, fn, arg);
		else if (cut->mode == CUT_TORN_END && last)
			r = apply_torn(h, e, 1 + below(&random, e->n_sectors), &random,
				       fn, arg);
		else if (cut->mode == CUT_TORN_AT && last)
			r = apply_torn(h, e, cut->seed, &random, fn, arg);
		else if (cut->mode == CUT_TORN && below(&random, 3) == 0)
			r = apply_torn(h, e, below(&random, e->n_sectors), &random, fn,
				       arg);
		else
			r = apply(h, e, fn, arg);
	}
	return r;
}

/* --- Text ------------------------------------------------------------------------- */

void cut_print(const struct cut *cut, char ret[CUT_TEXT])
{
	snprintf(ret, CUT_TEXT, "%u:%u:%d:%llu", cut->base, cut->end, cut->mode,
		 (unsigned long long)cut->seed);
}

int cut_parse(const char *text, const struct wlog *log, struct cut *ret)
{
	unsigned long long seed;
	unsigned base, end, mode;

	if (sscanf(text, "%u:%u:%u:%llu", &base, &end, &mode, &seed) != 4 || base > end ||
	    end > log->n || mode >= CUT_MODES) {
		fprintf(stderr, "%s: no cut of this log\n", text);
		return -1;
	}
	*ret = (struct cut){ base, end, (enum cut_mode)mode, seed };
	return 0;
}
