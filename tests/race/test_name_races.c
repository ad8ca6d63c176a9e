/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Names that come to mean something else in the middle of a call. What somebody else does
 * in between is done here by a second handle, at a step of the model or when a lock is
 * about to be taken, so each race is run to the step and not left to chance.
 */

#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "lock.h"
#include "verb.h"

#define FOR_EVER  1000
#define SET_EPOCH "message set_transaction_id"

/* Another caller: does `act` at each step called `at`, before it, `times` times. */
struct other {
	const char *at;
	void (*act)(struct other *o);
	unsigned times, done;
	struct kvol_pool *pool;
	bool busy;  /* its own steps are not to be met */
	bool taken; /* what came_and_went keeps in mind */
};

static struct other other;

static void meddle(const char *what)
{
	if (!other.act || other.busy || other.done == other.times ||
	    strncmp(what, other.at, strlen(other.at)) != 0)
		return;
	other.busy = true;
	other.done++;
	other.act(&other);
	other.busy = false;
}

static int hook(const char *what, unsigned step)
{
	(void)step;
	if (strncmp(what, SET_EPOCH, strlen(SET_EPOCH)) !=
	    0) /* the message lock is held */
		meddle(what);
	return 0;
}

int __real_kv_lock_take(int dir_fd, uint64_t byte, int64_t deadline_ms,
			struct kv_lock *ret);
int __wrap_kv_lock_take(int dir_fd, uint64_t byte, int64_t deadline_ms,
			struct kv_lock *ret);

int __wrap_kv_lock_take(int dir_fd, uint64_t byte, int64_t deadline_ms,
			struct kv_lock *ret)
{
	if (byte >= KV_LOCK_VOLUME(0) && byte < KV_LOCK_OWNER(0))
		meddle("volume lock");
	return __real_kv_lock_take(dir_fd, byte, deadline_ms, ret);
}

static int setup(void **state)
{
	struct fixture *f;

	memset(&other, 0, sizeof(other));
	(void)setup_pool(state);
	f = *state;
	other.pool = another_handle(f);
	model_hook = hook;
	return 0;
}

static int finish(void **state)
{
	struct fixture *f = *state;

	other.act = NULL;
	kvol_pool_close(other.pool);
	/* No id is there without its row, and no device without a reason. */
	reopen_pool(f);
	assert_int_equal(model_thins(disk_of(f)),
			 query(f, "SELECT count(*) FROM volume"));
	assert_int_equal(model_n_devs(), 4);
	return teardown(state);
}

static void from_now_on(const char *at, unsigned times, void (*act)(struct other *o))
{
	other.at = at;
	other.times = times;
	other.act = act;
}

static void must(int r)
{
	if (r < 0)
		model_disaster("the other caller failed: %d", r);
}

static void makes_it(struct other *o)
{
	must(kvol_create(o->pool, "v", 512 * MIB, NULL, NULL));
}

static void makes_a_larger_one(struct other *o)
{
	must(kvol_create(o->pool, "v", 600 * MIB, NULL, NULL));
}

/* By turns: before the loser's message it makes the name, before the loser's undo takes
 * its id back it deletes it. */
static void comes_and_goes(struct other *o)
{
	if (!o->taken)
		must(kvol_create(o->pool, "v", 700 * MIB, NULL, NULL));
	else
		must(kvol_delete(o->pool, "v", 0, NULL));
	o->taken = !o->taken;
}

/* --- Create ----------------------------------------------------------------------- */

static void loser_of_a_race_has_what_the_winner_made(void **state)
{
	struct fixture *f = *state;

	from_now_on("message create_thin", 1, makes_it);
	succeeds(f, create_volume(f, "v", NULL));
	assert_int_equal(other.done, 1);
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static void loser_is_told_when_the_winner_made_another(void **state)
{
	struct fixture *f = *state;

	from_now_on("message create_thin", 1, makes_a_larger_one);
	fails(f, create_volume(f, "v", NULL), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(info_of(f, "v").bytes, 600 * MIB);
}

static void loser_starts_over_when_the_winner_is_deleted(void **state)
{
	struct fixture *f = *state;

	from_now_on("message", 2, comes_and_goes);
	succeeds(f, create_volume(f, "v", NULL));
	assert_int_equal(other.done, 2);
	assert_int_equal(info_of(f, "v").bytes, 512 * MIB);
}

static void loser_starts_over_with_its_file_system(void **state)
{
	struct fixture *f = *state;

	from_now_on("message", 2, comes_and_goes);
	succeeds(f, create_volume(f, "v", "ext4"));
	assert_int_equal(other.done, 2);
	assert_string_equal(thin_of(f, "v")->content.fs, "ext4");
	assert_string_equal(thin_of(f, "v")->content.uuid, info_of(f, "v").uuid);
}

/* Batches of ids run out on the way. */
static void name_that_never_rests_is_given_up(void **state)
{
	struct fixture *f = *state;

	from_now_on("message", FOR_EVER, comes_and_goes);
	fails(f, create_volume(f, "v", NULL), -ETIMEDOUT, KVOL_R_TIMEOUT);
	assert_true(other.done >= 2 * KV_NAME_TRIES);
	other.act = NULL;
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	succeeds(f, create_volume(f, "v", NULL));
}

/* --- Snapshot and clone ----------------------------------------------------------- */

static void copy_starts_over_when_the_winner_is_deleted(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "from", "ext4"));
	from_now_on("message", 2, comes_and_goes);
	succeeds(f, kvol_snapshot(f->pool, "from", "v", NULL, &f->e));
	assert_int_equal(other.done, 2);
	assert_int_equal(info_of(f, "v").kind, KVOL_KIND_SNAPSHOT);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	other.done = 0;
	succeeds(f, kvol_clone(f->pool, "from", "v", NULL, &f->e));
	assert_int_equal(other.done, 2);
	assert_int_equal(info_of(f, "v").kind, KVOL_KIND_VOLUME);
	assert_string_equal(info_of(f, "v").source, "from");
}

static void name_that_never_rests_is_given_up_by_a_copy(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "from", NULL));
	from_now_on("message", FOR_EVER, comes_and_goes);
	fails(f, kvol_clone(f->pool, "from", "v", NULL, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	other.act = NULL;
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	succeeds(f, kvol_clone(f->pool, "from", "v", NULL, &f->e));
}

static void copies_and_deletes_the_source(struct other *o)
{
	must(kvol_snapshot(o->pool, "from", "v", NULL, NULL));
	must(kvol_delete(o->pool, "from", 0, NULL));
}

/* "No source" was never true while there was no copy. */
static void copy_that_is_there_is_found_though_its_source_went(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "from", NULL));
	from_now_on("volume lock", 1, copies_and_deletes_the_source);
	succeeds(f, kvol_snapshot(f->pool, "from", "v", NULL, &f->e));
	assert_int_equal(other.done, 1);
	succeeds(f, create_volume(f, "from", NULL));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	other.done = 0;
	fails(f, kvol_clone(f->pool, "from", "v", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(other.done, 1);
}

static void clones_and_grows_the_source(struct other *o)
{
	struct kvol_create_opts opts = { .size = sizeof(opts), .bytes = 600 * MIB };

	must(kvol_clone(o->pool, "from", "v", &opts, NULL));
	must(kvol_expand(o->pool, "from", 700 * MIB, 0, NULL));
}

/* "Less than its source" was never true while there was no clone. */
static void clone_that_is_there_is_found_though_its_source_grew(void **state)
{
	struct kvol_create_opts opts = { .size = sizeof(opts), .bytes = 600 * MIB };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "from", NULL));
	from_now_on("volume lock", 1, clones_and_grows_the_source);
	succeeds(f, kvol_clone(f->pool, "from", "v", &opts, &f->e));
	assert_int_equal(other.done, 1);
}

static void replaces_the_source(struct other *o)
{
	must(kvol_delete(o->pool, "from", 0, NULL));
	must(kvol_create(o->pool, "from", 600 * MIB, NULL, NULL));
}

static void copy_is_of_the_source_that_is_locked(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "from", NULL));
	from_now_on("volume lock", 1, replaces_the_source);
	succeeds(f, kvol_snapshot(f->pool, "from", "v", NULL, &f->e));
	assert_int_equal(other.done, 1);
	assert_int_equal(info_of(f, "v").bytes, 600 * MIB);
}

static void removes_the_source(struct other *o)
{
	must(kvol_delete(o->pool, "from", 0, NULL));
}

static void source_that_went_is_missed(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "from", NULL));
	from_now_on("volume lock", 1, removes_the_source);
	fails(f, kvol_snapshot(f->pool, "from", "v", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	assert_int_equal(other.done, 1);
	assert_false(exists(f, "v"));
}

/* --- Verbs that find the name and wait for its volume ----------------------------- */

static void replaces_it(struct other *o)
{
	must(kvol_delete(o->pool, "v", 0, NULL));
	must(kvol_create(o->pool, "v", 600 * MIB, NULL, NULL));
}

static void verbs_act_on_the_volume_of_that_name_now(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	from_now_on("volume lock", 1, replaces_it);
	succeeds(f, kvol_expand(f->pool, "v", 550 * MIB, 0, &f->e));
	assert_int_equal(other.done, 1);
	assert_int_equal(info_of(f, "v").bytes, 600 * MIB);
	other.done = 0;
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(other.done, 1);
	assert_false(exists(f, "v"));
}

static void verb_on_a_name_that_never_rests_is_given_up(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	from_now_on("volume lock", FOR_EVER, replaces_it);
	fails(f, kvol_expand(f->pool, "v", 550 * MIB, 0, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -ETIMEDOUT, KVOL_R_TIMEOUT);
	assert_int_equal(other.done, 2 * KV_NAME_TRIES);
}

#define race(test) cmocka_unit_test_setup_teardown(test, setup, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		race(loser_of_a_race_has_what_the_winner_made),
		race(loser_is_told_when_the_winner_made_another),
		race(loser_starts_over_when_the_winner_is_deleted),
		race(loser_starts_over_with_its_file_system),
		race(name_that_never_rests_is_given_up),
		race(copy_starts_over_when_the_winner_is_deleted),
		race(name_that_never_rests_is_given_up_by_a_copy),
		race(copy_that_is_there_is_found_though_its_source_went),
		race(clone_that_is_there_is_found_though_its_source_grew),
		race(copy_is_of_the_source_that_is_locked),
		race(source_that_went_is_missed),
		race(verbs_act_on_the_volume_of_that_name_now),
		race(verb_on_a_name_that_never_rests_is_given_up),
	};

	return cmocka_run_group_tests_name("name races", tests, NULL, NULL);
}
