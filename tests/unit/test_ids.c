/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Thin ids, on the model: one commit and one message for many, none handed out twice, and
 * all that was not used given back.
 */

#include <pthread.h>
#include <unistd.h>

#include "fixture.h"
#include "pool_state.h"

static struct kv_id take(struct fixture *f, bool for_snapshot)
{
	struct kv_id id;

	succeeds(f, kv_ids_take(f->pool, for_snapshot, "v", &id, &f->e));
	return id;
}

static void ids_come_in_batches(void **state)
{
	struct fixture *f = *state;
	struct kv_id id;

	assert_int_equal(query(f, "SELECT epoch FROM pool"), 0);
	for (uint32_t i = 0; i < 150; i++) {
		id = take(f, i % 2);
		assert_int_equal(id.id, i);
		kv_ids_done(f->pool, &id, false);
		assert_int_equal(query(f, "SELECT epoch FROM pool"), i / 64 + 1);
		assert_int_equal(disk_of(f)->metadata.transaction_id, i / 64 + 1);
	}
	/* Finished batches have gone with the reservation of the next. */
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 1);
	close_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
	assert_int_equal(query(f, "SELECT next_id FROM pool"), 150);
	assert_int_equal(query(f, "SELECT snapshots FROM pool"), 75);
}

static void close_gives_back_what_was_not_handed_out(void **state)
{
	struct fixture *f = *state;
	struct kv_id id;

	for (int i = 0; i < 5; i++) {
		id = take(f, false);
		assert_int_equal(id.id, i);
		kv_ids_done(f->pool, &id, false);
		reopen_pool(f);
		assert_int_equal(query(f, "SELECT next_id FROM pool"), i + 1);
		assert_int_equal(query(f, "SELECT snapshots FROM pool"), 0);
		assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
	}
}

static void batch_with_one_in_flight_is_not_dropped(void **state)
{
	struct fixture *f = *state;
	struct kv_id held = take(f, false), id;

	for (int i = 0; i < 70; i++) {
		id = take(f, false);
		assert_int_equal(id.id, i + 1);
		kv_ids_done(f->pool, &id, false);
	}
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 2);
	kv_ids_done(f->pool, &held, false);
	for (int i = 0; i < 64; i++) {
		id = take(f, false);
		kv_ids_done(f->pool, &id, false);
	}
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 1);
}

static void batch_with_a_leftover_is_left_to_recovery(void **state)
{
	struct fixture *f = *state;
	struct kv_id id = take(f, false);

	kv_ids_done(f->pool, &id, true);
	close_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 1);
	open_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
	id = take(f, false);
	assert_int_equal(id.id, 64);
	kv_ids_done(f->pool, &id, false);
}

static void handles_have_batches_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *other = another_handle(f);
	struct kv_id a = take(f, false), b;

	assert_true(other->ids.owner != f->pool->ids.owner);
	succeeds(f, kv_ids_take(other, false, "v", &b, &f->e));
	assert_int_equal(a.id, 0);
	assert_int_equal(b.id, 64);
	kv_ids_done(f->pool, &a, false);
	kv_ids_done(other, &b, false);
	kvol_pool_close(other);
}

static void failed_reservation_is_an_error_and_no_id(void **state)
{
	static const struct {
		const char *step;
		int code;
		uint32_t reason;
	} steps[] = {
		{ "commit", -EIO, KVOL_R_IO },
		{ "commit", -ENOSPC, KVOL_R_SYSTEM },
		{ "dm status", -EIO, KVOL_R_IO },
		{ "message set_transaction_id", -EIO, KVOL_R_IO },
	};
	struct fixture *f = *state;
	struct kv_id id = { .id = 77 };

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, 1, steps[i].code);
		if (steps[i].code == -ENOSPC) /* not to be taken for the limit */
			fails(f, kv_ids_take(f->pool, false, "v", &id, &f->e), -ENOSPC,
			      steps[i].reason);
		else
			fails(f, kv_ids_take(f->pool, false, "v", &id, &f->e),
			      steps[i].code, steps[i].reason);
		assert_int_equal(id.id, 77);
	}
	id = take(f, false);
	assert_int_equal(id.id, 0);
	kv_ids_done(f->pool, &id, false);
}

static void epochs_that_differ_otherwise_are_not_settled(void **state)
{
	static const struct {
		uint64_t transaction;
		int64_t epoch;
		int r;
	} cases[] = {
		{ 5, 5, 0 }, { 5, 6, 0 }, { 5, 7, 1 },
		{ 5, 4, 1 }, { 5, 0, 1 }, { 0, -1, 1 },
	};
	struct fixture *f = *state;
	char sql[64];
	bool known;

	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		(void)snprintf(sql, sizeof(sql), "UPDATE pool SET epoch = %lld",
			       (long long)cases[i].epoch);
		doctor(f, sql);
		disk_of(f)->metadata.transaction_id = cases[i].transaction;
		assert_int_equal(kv_ids_settle_epoch(f->pool, &known), cases[i].r);
		assert_true(known);
		assert_int_equal(disk_of(f)->metadata.transaction_id,
				 cases[i].r ? cases[i].transaction
					    : (uint64_t)cases[i].epoch);
	}
	disk_of(f)->metadata.transaction_id = 0;
	doctor(f, "UPDATE pool SET epoch = 1");
	model_fail("message", 1, -EIO);
	assert_int_equal(kv_ids_settle_epoch(f->pool, &known), -EIO);
	assert_true(known);
	model_fail("dm status", 1, -EIO);
	assert_int_equal(kv_ids_settle_epoch(f->pool, &known), -EIO);
	assert_false(known);
	disk_of(f)->mode = MODEL_FAIL;
	assert_int_equal(kv_ids_settle_epoch(f->pool, &known), 0);
}

struct taker {
	struct fixture *f;
	pthread_t thread;
	uint32_t ids[100];
	int failed;
};

static void *take_many(void *arg)
{
	struct taker *t = arg;
	struct kv_id id;

	for (size_t i = 0; i < KV_ARRAY_SIZE(t->ids); i++) {
		if (kv_ids_take(t->f->pool, true, "v", &id, NULL) < 0) {
			t->failed++;
			continue;
		}
		t->ids[i] = id.id;
		kv_ids_done(t->f->pool, &id, false);
	}
	return NULL;
}

static void threads_never_get_the_same_id(void **state)
{
	static struct taker takers[4];
	bool seen[4096] = { false };

	for (size_t i = 0; i < KV_ARRAY_SIZE(takers); i++) {
		takers[i] = (struct taker){ .f = *state };
		assert_int_equal(
			pthread_create(&takers[i].thread, NULL, take_many, &takers[i]),
			0);
	}
	for (size_t i = 0; i < KV_ARRAY_SIZE(takers); i++) {
		assert_int_equal(pthread_join(takers[i].thread, NULL), 0);
		assert_int_equal(takers[i].failed, 0);
	}
	for (size_t i = 0; i < KV_ARRAY_SIZE(takers); i++) {
		for (size_t j = 0; j < KV_ARRAY_SIZE(takers[i].ids); j++) {
			assert_true(takers[i].ids[j] < KV_ARRAY_SIZE(seen));
			assert_false(seen[takers[i].ids[j]]);
			seen[takers[i].ids[j]] = true;
		}
	}
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(ids_come_in_batches),
		on_pool(close_gives_back_what_was_not_handed_out),
		on_pool(batch_with_one_in_flight_is_not_dropped),
		on_pool(batch_with_a_leftover_is_left_to_recovery),
		on_pool(handles_have_batches_of_their_own),
		on_pool(failed_reservation_is_an_error_and_no_id),
		on_pool(epochs_that_differ_otherwise_are_not_settled),
		on_pool(threads_never_get_the_same_id),
	};

	return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
