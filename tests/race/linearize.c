// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Wing and Gong's search with Lowe's memory: depth first over which call to take next,
 * never entering twice what was left without success.
 *
 * A call may come next if no call that is still to come had ended before it began. What
 * has been taken, as a set, and the state that it led to are all that the rest depends
 * on; so a pair of both that has failed once has failed for good. Pairs are remembered by
 * a hash of 128 bits: the chance that one is mistaken for another is nothing beside a
 * memory fault.
 *
 * A call that changes nothing, and is explained by the state as it is, is taken at once,
 * with nothing else tried: if any order of the rest works, it does so with this call
 * moved to its front. (Not so for one that "returned 0" and happens to change nothing
 * here: elsewhere it might have, and others may count on it.) What is left to try are the
 * changes, and the search is short although dozens of calls run at once. Of those that a
 * pending call stands before, and which it would have to be given up for, one is tried for
 * all.
 */
#include <stdlib.h>
#include <string.h>

#include "linearize.h"

#define WORDS	     (LIN_CALLS_MAX / 64)
#define MEMORY_FIRST (UINT64_C(1) << 12)
#define MEMORY_MAX   (UINT64_C(1) << 24)

struct key {
	uint64_t a, b; /* both 0: empty */
};

struct search {
	const struct lin_history *h;
	struct lin_result *ret;
	unsigned by_begin[LIN_CALLS_MAX];
	uint64_t taken[WORDS]; /* by place in by_begin */
	unsigned order[LIN_CALLS_MAX];
	unsigned n_order, n_must; /* calls that are not pending and still to come */
	struct key *memory;
	uint64_t size, n_memory;
	bool exhausted;
};

static const struct lin_call *call_at(const struct search *s, unsigned place)
{
	return &s->h->calls[s->by_begin[place]];
}

static bool is_taken(const struct search *s, unsigned place)
{
	return s->taken[place / 64] >> place % 64 & 1;
}

/* --- Memory ----------------------------------------------------------------------- */

static uint64_t hash(const void *data, size_t n, uint64_t h, uint64_t prime)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		h = (h ^ word) * prime;
		h ^= h >> 29;
	}
	while (n--)
		h = (h ^ *p++) * prime;
	return h ^ h >> 32;
}

static struct key key_of(const struct search *s, const void *state)
{
	size_t words = (s->h->n + 63) / 64 * sizeof(uint64_t);
	struct key k;

	k.a = hash(s->taken, words, UINT64_C(0x9e3779b97f4a7c15),
		   UINT64_C(0xff51afd7ed558ccd));
	k.a = hash(state, s->h->state_size, k.a, UINT64_C(0xff51afd7ed558ccd));
	k.b = hash(s->taken, words, UINT64_C(0xc2b2ae3d27d4eb4f),
		   UINT64_C(0x9fb21c651e98df25));
	k.b = hash(state, s->h->state_size, k.b, UINT64_C(0x9fb21c651e98df25)) | 1;
	return k;
}

static bool put(struct key *memory, uint64_t size, struct key k)
{
	uint64_t at = k.a & (size - 1);

	for (; memory[at].b; at = (at + 1) & (size - 1))
		if (memory[at].a == k.a && memory[at].b == k.b)
			return false;
	memory[at] = k;
	return true;
}

static bool grow(struct search *s)
{
	uint64_t size = s->size ? 2 * s->size : MEMORY_FIRST;
	struct key *memory;

	if (size > MEMORY_MAX)
		return false;
	memory = calloc(size, sizeof(*memory));
	if (!memory)
		return false;
	for (uint64_t i = 0; i < s->size; i++)
		if (s->memory[i].b)
			(void)put(memory, size, s->memory[i]);
	free(s->memory);
	s->memory = memory;
	s->size = size;
	return true;
}

/* False: this was tried before, or there is no room to remember it. */
static bool remember(struct search *s, const void *state)
{
	if (2 * s->n_memory >= s->size && !grow(s)) {
		s->exhausted = true;
		return false;
	}
	if (!put(s->memory, s->size, key_of(s, state)))
		return false;
	s->n_memory++;
	if (++s->ret->visited > s->h->budget)
		s->exhausted = true;
	return !s->exhausted;
}

/* --- Search ----------------------------------------------------------------------- */

static void take(struct search *s, unsigned place)
{
	s->taken[place / 64] |= UINT64_C(1) << place % 64;
	s->order[s->n_order++] = place;
	s->n_must -= !call_at(s, place)->pending;
}

static void untake(struct search *s, unsigned n_order)
{
	while (s->n_order > n_order) {
		unsigned place = s->order[--s->n_order];

		s->taken[place / 64] &= ~(UINT64_C(1) << place % 64);
		s->n_must += !call_at(s, place)->pending;
	}
}

static void note_longest(struct search *s, const void *state)
{
	if (s->n_order < s->ret->n_order)
		return;
	s->ret->n_order = s->n_order;
	for (unsigned i = 0; i < s->n_order; i++)
		s->ret->order[i] = s->by_begin[s->order[i]];
	memcpy(s->ret->state, state, s->h->state_size);
}

/* Places of the calls that may come next, those that ended first in front. *ret_bar: what
 * began after that may not be taken without a thought, for a pending call that may have
 * come before it would have to be given up. */
static unsigned candidates(const struct search *s, uint16_t ret[], uint64_t *ret_bar)
{
	uint64_t min_end = UINT64_MAX, last_begin = 0;
	unsigned n = 0, kept = 0;

	*ret_bar = UINT64_MAX;
	for (unsigned i = 0; i < s->h->n; i++) {
		const struct lin_call *c = call_at(s, i);

		if (is_taken(s, i)) {
			last_begin = c->begin;
			continue;
		}
		if (!c->pending && c->end < min_end)
			min_end = c->end;
		if (c->pending && c->end < *ret_bar)
			*ret_bar = c->end;
		ret[n++] = (uint16_t)i;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct lin_call *c = call_at(s, ret[i]);
		uint16_t place = ret[i];
		unsigned j;

		if (c->begin > min_end)
			break;
		if (c->pending && last_begin > c->end)
			continue;
		for (j = kept++; j > 0 && call_at(s, ret[j - 1])->end > c->end; j--)
			ret[j] = ret[j - 1];
		ret[j] = place;
	}
	return kept;
}

/* A call that changes nothing, and is explained by the state as it is. */
static bool is_read_that_fits(const struct search *s, unsigned place, const void *state)
{
	unsigned char copy[LIN_STATE_MAX];

	if (!call_at(s, place)->reads || call_at(s, place)->pending)
		return false;
	memcpy(copy, state, s->h->state_size);
	return s->h->step(s->h->arg, s->by_begin[place], copy) &&
	       !memcmp(copy, state, s->h->state_size);
}

/* Takes whatever changes nothing and fits as it is. */
static bool take_reads(struct search *s, const void *state)
{
	uint16_t next[LIN_CALLS_MAX];
	uint64_t bar;
	unsigned n = candidates(s, next, &bar);
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		if (call_at(s, next[i])->begin > bar ||
		    !is_read_that_fits(s, next[i], state))
			continue;
		take(s, next[i]);
		any = true;
	}
	return any;
}

/* Leaves one of the reads behind the bar that fit, the one that began first, and so gives
 * up fewest pending calls: where an order has another of them next, this one can be moved
 * in front of that. */
static unsigned leave_first_read(const struct search *s, const void *state,
				 uint16_t next[], unsigned n)
{
	bool fits[LIN_CALLS_MAX];
	unsigned kept = 0, first = n;

	for (unsigned i = 0; i < n; i++) {
		fits[i] = is_read_that_fits(s, next[i], state);
		if (fits[i] && (first == n || call_at(s, next[i])->begin <
						      call_at(s, next[first])->begin))
			first = i;
	}
	for (unsigned i = 0; i < n; i++)
		if (!fits[i] || i == first)
			next[kept++] = next[i];
	return kept;
}

static bool search(struct search *s, const void *state)
{
	unsigned char next_state[LIN_STATE_MAX];
	unsigned n_order = s->n_order, n;
	uint16_t next[LIN_CALLS_MAX];
	uint64_t bar;

	while (s->n_must && take_reads(s, state))
		;
	if (!s->n_must)
		s->ret->n_order = 0; /* this is the one */
	note_longest(s, state);
	if (!s->n_must)
		return true;
	if (remember(s, state)) {
		n = candidates(s, next, &bar);
		n = leave_first_read(s, state, next, n);
		for (unsigned i = 0; i < n && !s->exhausted; i++) {
			memcpy(next_state, state, s->h->state_size);
			if (!s->h->step(s->h->arg, s->by_begin[next[i]], next_state))
				continue;
			take(s, next[i]);
			if (search(s, next_state))
				return true;
			untake(s, s->n_order - 1);
		}
	}
	untake(s, n_order);
	return false;
}

static const struct lin_call *sorting;

static int by_begin(const void *a, const void *b)
{
	const struct lin_call *x = &sorting[*(const unsigned *)a],
			      *y = &sorting[*(const unsigned *)b];

	return (x->begin > y->begin) - (x->begin < y->begin);
}

void lin_check(const struct lin_history *h, struct lin_result *ret)
{
	struct search *s = calloc(1, sizeof(*s));

	memset(ret, 0, sizeof(*ret));
	ret->verdict = LIN_UNDECIDED;
	if (!s || h->n > LIN_CALLS_MAX || h->state_size > LIN_STATE_MAX) {
		free(s);
		return;
	}
	s->h = h;
	s->ret = ret;
	for (unsigned i = 0; i < h->n; i++) {
		s->by_begin[i] = i;
		s->n_must += !h->calls[i].pending;
	}
	sorting = h->calls;
	qsort(s->by_begin, h->n, sizeof(s->by_begin[0]), by_begin);
	if (search(s, h->state))
		ret->verdict = LIN_YES;
	else if (!s->exhausted)
		ret->verdict = LIN_NO;
	free(s->memory);
	free(s);
}
