/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The checker of histories, checked: against trying every order, on histories of a
 * register; and on histories of the pool that are known to be right or wrong.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <cmocka.h>

#include "history.h"

#define MIB(n) ((uint64_t)(n) << 20)

/* --- Against trying every order: a register with write, read and compare-and-swap --- */

#define TRIED_MAX 7

enum { WRITE, READ, SWAP };

struct op {
	int kind, a, b; /* SWAP: a by b, result in ok */
	bool ok;
};

struct tried {
	struct lin_call calls[TRIED_MAX];
	struct op ops[TRIED_MAX];
	unsigned n;
};

static bool register_step(const void *arg, unsigned i, void *state)
{
	const struct tried *t = arg;
	const struct op *op = &t->ops[i];
	int value, before;
	bool fits = true;

	memcpy(&value, state, sizeof(value));
	before = value;
	if (op->kind == WRITE) {
		value = op->a;
	} else if (op->kind == READ) {
		fits = value == op->a;
	} else {
		fits = t->calls[i].pending || op->ok == (value == op->a);
		value = value == op->a ? op->b : value;
	}
	memcpy(state, &value, sizeof(value));
	return fits && !(t->calls[i].pending && before == value);
}

/* Puts call after call behind what is there, in every order. */
static bool try_all(const struct tried *t, unsigned taken, int value)
{
	bool all = true;

	for (unsigned i = 0; i < t->n; i++)
		all = all && (taken >> i & 1 || t->calls[i].pending);
	if (all)
		return true;
	for (unsigned i = 0; i < t->n; i++) {
		const struct lin_call *c = &t->calls[i];
		bool may = !(taken >> i & 1);
		int next = value;

		for (unsigned j = 0; j < t->n; j++) {
			const struct lin_call *o = &t->calls[j];

			if (taken >> j & 1)
				may = may && !(c->end < o->begin);
			else if (j != i && !o->pending)
				may = may && !(o->end < c->begin);
		}
		if (may && register_step(t, i, &next) &&
		    try_all(t, taken | 1u << i, next))
			return true;
	}
	return false;
}

static void make_random(struct tried *t, uint64_t *random)
{
	t->n = 2 + (unsigned)(race_random(random) % (TRIED_MAX - 1));
	for (unsigned i = 0; i < t->n; i++) {
		struct op *op = &t->ops[i];

		t->calls[i].begin = race_random(random) % 12;
		t->calls[i].end = t->calls[i].begin + race_random(random) % 8;
		op->kind = (int)(race_random(random) % 3);
		op->a = (int)(race_random(random) % 3);
		op->b = (int)(race_random(random) % 3);
		op->ok = race_random(random) % 2;
		t->calls[i].pending = op->kind != READ && race_random(random) % 5 == 0;
		t->calls[i].reads = op->kind == READ || (op->kind == SWAP && !op->ok);
	}
}

static void agrees_with_trying_every_order(void **state)
{
	uint64_t random = race_seed(7) | 1;
	unsigned yes = 0, n = race_long() ? 2000000 : 60000;
	struct lin_result result;
	struct tried t;
	int zero = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		struct lin_history h = { .calls = t.calls,
					 .state = &zero,
					 .state_size = sizeof(zero),
					 .step = register_step,
					 .arg = &t,
					 .budget = 100000 };
		bool expected;

		make_random(&t, &random);
		h.n = t.n;
		lin_check(&h, &result);
		expected = try_all(&t, 0, 0);
		if (result.verdict != (expected ? LIN_YES : LIN_NO))
			print_error("history %u\n", i);
		assert_int_equal(result.verdict, expected ? LIN_YES : LIN_NO);
		yes += expected;
	}
	/* Both kinds were there. */
	assert_true(yes > n / 20 && yes < n - n / 20);
	printf("# figure histories checked against trying every order: %u, %u good\n", n,
	       yes);
}

static void order_is_one_that_explains(void **state)
{
	struct tried t = {
		.calls = { { 5, 9, false, false },
			   { 0, 8, false, true },
			   { 0, 4, false, false } },
		.ops = { { WRITE, 1, 0, false },
			 { READ, 1, 0, false },
			 { WRITE, 2, 0, false } },
		.n = 3,
	};
	int zero = 0, end;
	struct lin_history h = {
		t.calls, 3, &zero, sizeof(zero), register_step, &t, 100
	};
	struct lin_result result;

	(void)state;
	lin_check(&h, &result);
	assert_int_equal(result.verdict, LIN_YES);
	assert_int_equal(result.n_order, 3);
	assert_int_equal(result.order[0], 2);
	assert_int_equal(result.order[1], 0);
	assert_int_equal(result.order[2], 1);
	memcpy(&end, result.state, sizeof(end));
	assert_int_equal(end, 1);
	t.ops[1].a = 7;
	h.budget = 1;
	lin_check(&h, &result);
	assert_int_equal(result.verdict, LIN_UNDECIDED);
	h.budget = 100;
	lin_check(&h, &result);
	assert_int_equal(result.verdict, LIN_NO);
}

/* --- Histories of the pool -------------------------------------------------------- */

static struct event events[32];
static unsigned n_events;
static struct seen at_first[SPEC_NAMES];

static struct event *add(uint64_t begin, uint64_t end, enum verb verb, unsigned name,
			 int r, uint32_t reason)
{
	struct event *e = &events[n_events++];

	assert_true(n_events <= sizeof(events) / sizeof(events[0]));
	*e = (struct event){ .begin = begin,
			     .end = end,
			     .verb = (uint8_t)verb,
			     .name = (uint8_t)name,
			     .r = r,
			     .reason = reason };
	return e;
}

static void create(uint64_t begin, uint64_t end, unsigned name, uint64_t mib, int r)
{
	add(begin, end, VERB_CREATE, name, r, r < 0 ? KVOL_R_EXISTS_DIFFERENT : 0)
		->bytes = MIB(mib);
}

static void copy(uint64_t begin, uint64_t end, enum verb verb, unsigned name,
		 unsigned other, int r)
{
	add(begin, end, verb, name, r,
	    r == -ENOENT   ? KVOL_R_NOT_FOUND
	    : r == -EEXIST ? KVOL_R_EXISTS_DIFFERENT
			   : 0)
		->other = (uint8_t)other;
}

static void gone(uint64_t begin, uint64_t end, unsigned name, int r)
{
	(void)add(begin, end, VERB_DELETE, name, r, r < 0 ? KVOL_R_BUSY_PUBLISHED : 0);
}

static void expand(uint64_t begin, uint64_t end, unsigned name, uint64_t mib, int r)
{
	add(begin, end, VERB_EXPAND, name, r, r < 0 ? KVOL_R_NOT_FOUND : 0)->bytes =
		MIB(mib);
}

static void publish(uint64_t begin, uint64_t end, unsigned name, unsigned target, int r)
{
	add(begin, end, VERB_PUBLISH, name, r, r == -EBUSY ? KVOL_R_BUSY_OPEN : 0)
		->target = (uint8_t)target;
}

static void unpublish(uint64_t begin, uint64_t end, unsigned name, unsigned target)
{
	add(begin, end, VERB_UNPUBLISH, name, 0, 0)->target = (uint8_t)target;
}

static void show(struct event *e, unsigned name, uint64_t mib, unsigned source,
		 uint64_t uuid)
{
	e->seen[name] = (struct seen){ .bytes = MIB(mib),
				       .uuid = uuid,
				       .kind = KVOL_KIND_VOLUME,
				       .source = (uint8_t)source };
}

/* uuid 0: there is none */
static void look(uint64_t begin, uint64_t end, unsigned name, uint64_t mib, uint64_t uuid)
{
	struct event *e = add(begin, end, VERB_STAT, name, uuid ? 0 : -ENOENT,
			      uuid ? 0 : KVOL_R_NOT_FOUND);

	if (uuid)
		show(e, name, mib, 0, uuid);
}

static struct event *list(uint64_t begin, uint64_t end)
{
	return add(begin, end, VERB_LIST, 0, 0, 0);
}

static enum lin_verdict verdict(void)
{
	static const struct event *pointers[32];
	static struct lin_result result;
	static struct spec spec;

	for (unsigned i = 0; i < n_events; i++)
		pointers[i] = &events[i];
	assert_true(spec_init(&spec, pointers, n_events, at_first, 1000000));
	lin_check(&spec.history, &result);
	return result.verdict;
}

static int clear(void **state)
{
	(void)state;
	n_events = 0;
	memset(events, 0, sizeof(events));
	memset(at_first, 0, sizeof(at_first));
	return 0;
}

#define is_right() assert_int_equal(verdict(), LIN_YES)
#define is_wrong() assert_int_equal(verdict(), LIN_NO)

static void one_after_the_other(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	create(3, 4, 0, 16, 0);
	create(5, 6, 0, 20, -EEXIST);
	look(7, 8, 0, 16, 77);
	expand(9, 10, 0, 24, 0);
	look(11, 12, 0, 24, 77);
	gone(13, 14, 0, 0);
	gone(15, 16, 0, 0);
	look(17, 18, 0, 0, 0);
	create(19, 20, 0, 16, 0);
	look(21, 22, 0, 16, 78);
	is_right();
}

static void what_was_acknowledged_is_there(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	look(3, 4, 0, 0, 0);
	is_wrong();
}

static void what_overlaps_may_be_before_or_after(void **state)
{
	(void)state;
	create(1, 5, 0, 16, 0);
	look(2, 3, 0, 0, 0);
	look(4, 6, 0, 16, 77);
	is_right();
}

static void what_was_seen_stays_seen(void **state)
{
	(void)state;
	create(1, 9, 0, 16, 0);
	look(2, 3, 0, 16, 77);
	look(4, 5, 0, 0, 0);
	is_wrong();
}

static void two_cannot_make_one_name_differently(void **state)
{
	(void)state;
	create(1, 5, 0, 16, 0);
	create(2, 6, 0, 20, 0);
	is_wrong();
}

static void unless_it_was_deleted_in_between(void **state)
{
	(void)state;
	create(1, 5, 0, 16, 0);
	create(2, 6, 0, 20, 0);
	gone(1, 8, 0, 0);
	is_right();
}

static void deleted_volume_does_not_come_back(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	look(3, 4, 0, 16, 77);
	gone(5, 6, 0, 0);
	create(7, 8, 0, 16, 0);
	look(9, 10, 0, 16, 78);
	is_right();
	events[4].seen[0].uuid = 77;
	is_wrong();
}

static void uuid_belongs_to_one_name(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	create(3, 4, 1, 16, 0);
	look(5, 6, 0, 16, 77);
	look(7, 8, 1, 16, 77);
	is_wrong();
}

static void volume_never_shrinks(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	expand(3, 9, 0, 24, 0);
	expand(3, 9, 0, 20, 0);
	look(4, 5, 0, 24, 77);
	look(6, 7, 0, 24, 77);
	is_right();
	events[4].seen[0].bytes = MIB(20);
	is_wrong();
}

static void expand_is_not_lost(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	expand(3, 4, 0, 24, 0);
	look(5, 6, 0, 16, 77);
	is_wrong();
}

/* The library's own mistake, once: see the commit that looks at both names. */
static void no_source_is_wrong_while_the_copy_is_there(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	copy(3, 9, VERB_SNAPSHOT, 0, 1, -ENOENT);
	copy(4, 5, VERB_SNAPSHOT, 0, 1, 0);
	gone(6, 7, 0, 0);
	is_wrong();
	/* It is right if the copy went as well, at any time. */
	gone(8, 12, 1, 0);
	is_right();
}

static void copy_has_a_size_that_its_source_had(void **state)
{
	struct event *e;

	(void)state;
	create(1, 2, 0, 16, 0);
	expand(3, 8, 0, 24, 0);
	copy(4, 7, VERB_CLONE, 0, 1, 0);
	e = list(9, 10);
	show(e, 0, 24, 0, 77);
	show(e, 1, 16, 1, 78);
	is_right();
	e->seen[1].bytes = MIB(24);
	is_right();
	e->seen[1].bytes = MIB(20);
	is_wrong();
	e->seen[1].bytes = MIB(24);
	e->seen[1].source = 0;
	is_wrong();
}

static void listing_is_of_one_moment(void **state)
{
	struct event *e;

	(void)state;
	create(1, 2, 0, 16, 0);
	create(3, 4, 1, 16, 0);
	gone(5, 6, 0, 0);
	create(7, 8, 2, 16, 0);
	e = list(1, 9);
	show(e, 0, 16, 0, 77);
	show(e, 1, 16, 0, 78);
	is_right();
	show(e, 2, 16, 0, 79); /* made when the first was gone */
	is_wrong();
	memset(&e->seen[0], 0, sizeof(e->seen[0]));
	is_right();
	memset(&e->seen[1], 0, sizeof(e->seen[1])); /* it was there all the time */
	is_wrong();
}

static void listing_with_a_stranger_is_wrong(void **state)
{
	(void)state;
	list(1, 2)->odd = 1;
	is_wrong();
}

static void target_takes_one(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	create(1, 2, 1, 16, 0);
	publish(3, 6, 0, 2, 0);
	publish(3, 6, 1, 2, -EBUSY);
	gone(7, 8, 0, -EBUSY);
	unpublish(9, 10, 0, 2);
	gone(11, 12, 0, 0);
	is_right();
	events[3].r = 0;
	events[3].reason = 0;
	is_wrong();
}

static void published_volume_is_not_deleted(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	publish(3, 4, 0, 2, 0);
	gone(5, 6, 0, 0);
	is_wrong();
	unpublish(5, 7, 0, 2);
	is_right();
}

static void targets_are_counted_when_it_is_quiet(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	publish(3, 4, 0, 2, 0);
	publish(3, 4, 0, 3, 0);
	look(5, 6, 0, 16, 77);
	events[3].quiet = 1;
	events[3].seen[0].n_targets = 2;
	is_right();
	events[3].seen[0].n_targets = 1;
	is_wrong();
	events[3].quiet = 0;
	is_right();
}

/* --- The killed ------------------------------------------------------------------- */

static void killed_call_may_have_happened_or_not(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	gone(3, 6, 0, 1);
	look(7, 8, 0, 16, 77);
	is_right();
	clear(NULL);
	create(1, 2, 0, 16, 0);
	gone(3, 6, 0, 1);
	look(7, 8, 0, 0, 0);
	is_right();
}

static void killed_call_does_not_happen_twice(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	gone(3, 20, 0, 1);
	look(7, 8, 0, 0, 0);
	create(9, 10, 0, 16, 0);
	look(11, 12, 0, 0, 0);
	is_wrong();
}

static void killed_call_does_not_happen_later(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	gone(3, 6, 0, 1);
	look(7, 8, 0, 16, 77);
	look(9, 10, 0, 0, 0);
	is_wrong();
}

static void killed_call_does_all_or_nothing(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	expand(3, 6, 0, 32, 1);
	look(7, 8, 0, 32, 77);
	is_right();
	events[2].seen[0].bytes = MIB(24);
	is_wrong();
}

static void device_may_be_held_for_a_moment_by_the_dead_alone(void **state)
{
	(void)state;
	create(1, 2, 0, 16, 0);
	gone(3, 4, 0, -EBUSY);
	events[1].reason = KVOL_R_BUSY_OPEN;
	is_wrong();
	events[1].after_kill = 1;
	is_right();
	events[1].reason = KVOL_R_BUSY_PUBLISHED;
	is_wrong();
}

static void result_without_a_reason_in_the_contract_is_wrong(void **state)
{
	(void)state;
	create(1, 2, 0, 16, -ETIMEDOUT);
	events[0].reason = KVOL_R_TIMEOUT;
	is_wrong();
	events[0].r = 0; /* a success that fills the error */
	is_wrong();
	events[0].reason = KVOL_R_NONE;
	is_right();
}

static void round_begins_where_the_last_one_ended(void **state)
{
	(void)state;
	at_first[0] =
		(struct seen){ .bytes = MIB(16), .uuid = 77, .kind = KVOL_KIND_VOLUME };
	look(1, 2, 0, 16, 77);
	create(3, 4, 0, 16, 0);
	is_right();
	look(5, 6, 0, 16, 78);
	is_wrong();
}

#define of_pool(test) cmocka_unit_test_setup(test, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_trying_every_order),
		cmocka_unit_test(order_is_one_that_explains),
		of_pool(one_after_the_other),
		of_pool(what_was_acknowledged_is_there),
		of_pool(what_overlaps_may_be_before_or_after),
		of_pool(what_was_seen_stays_seen),
		of_pool(two_cannot_make_one_name_differently),
		of_pool(unless_it_was_deleted_in_between),
		of_pool(deleted_volume_does_not_come_back),
		of_pool(uuid_belongs_to_one_name),
		of_pool(volume_never_shrinks),
		of_pool(expand_is_not_lost),
		of_pool(no_source_is_wrong_while_the_copy_is_there),
		of_pool(copy_has_a_size_that_its_source_had),
		of_pool(listing_is_of_one_moment),
		of_pool(listing_with_a_stranger_is_wrong),
		of_pool(target_takes_one),
		of_pool(published_volume_is_not_deleted),
		of_pool(targets_are_counted_when_it_is_quiet),
		of_pool(killed_call_may_have_happened_or_not),
		of_pool(killed_call_does_not_happen_twice),
		of_pool(killed_call_does_not_happen_later),
		of_pool(killed_call_does_all_or_nothing),
		of_pool(device_may_be_held_for_a_moment_by_the_dead_alone),
		of_pool(result_without_a_reason_in_the_contract_is_wrong),
		of_pool(round_begins_where_the_last_one_ended),
	};

	return cmocka_run_group_tests_name("linearize", tests, NULL, NULL);
}
