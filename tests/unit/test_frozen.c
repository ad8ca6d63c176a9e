/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Volumes that a killed process left suspended: the next call of anybody thaws them, the
 * living are never disturbed, and the slots cannot be broken by what is found in them.
 */

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"
#include "verb.h"

static int setup(void **state)
{
	struct fixture *f;

	(void)setup_pool(state);
	f = *state;
	model_file("/v", S_IFDIR);
	model_file("/w", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "w", "ext4"));
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	return 0;
}

static bool suspended(struct fixture *f, const char *name)
{
	struct model_dev *d = dev_of(f, name, false);

	return d && d->suspended;
}

static int snapshot_v(struct kvol_pool *pool, void *arg)
{
	return kvol_snapshot(pool, "v", arg ? arg : "s", NULL, NULL);
}

static void freeze(struct fixture *f)
{
	killed_at(f, "message create_snap", 1, snapshot_v, NULL);
	assert_true(suspended(f, "v"));
}

static int open_slots(struct fixture *f)
{
	_cleanup_close_ int dir = open_run_pool(f);
	int fd = openat(dir, "frozen", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void assert_slots_empty(struct fixture *f)
{
	_cleanup_close_ int fd = open_slots(f);
	uint64_t word;

	for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
		if (pread(fd, &word, sizeof(word), (off_t)(i * sizeof(word))) > 0)
			assert_int_equal(word, 0);
}

/* --- The next call --- */

static int do_pool_stat(struct kvol_pool *p)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	return kvol_pool_stat(p, &info, NULL);
}

static int do_stat(struct kvol_pool *p)
{
	struct kvol_info info = { .size = sizeof(info) };

	return kvol_stat(p, "w", &info, NULL);
}

static int do_list(struct kvol_pool *p)
{
	struct kvol_iter *iter = NULL;
	int r = kvol_list(p, 0, &iter, NULL);

	kvol_iter_free(iter);
	return r;
}

static int do_create(struct kvol_pool *p)
{
	return kvol_create(p, "new", MIB, NULL, NULL);
}

static int do_snapshot(struct kvol_pool *p)
{
	return kvol_snapshot(p, "w", "of w", NULL, NULL);
}

static int do_snapshot_v(struct kvol_pool *p)
{
	return kvol_snapshot(p, "v", "of v", NULL, NULL);
}

static int do_clone(struct kvol_pool *p)
{
	return kvol_clone(p, "v", "clone", NULL, NULL);
}

static int do_expand(struct kvol_pool *p)
{
	return kvol_expand(p, "v", 600 * MIB, 0, NULL);
}

static int do_delete(struct kvol_pool *p)
{
	return kvol_delete(p, "v", 0, NULL) == -EBUSY ? 0 : -EINVAL;
}

static int do_publish(struct kvol_pool *p)
{
	return kvol_publish(p, "w", "/w", NULL, NULL);
}

static int do_publish_v(struct kvol_pool *p)
{
	return kvol_publish(p, "v", "/w2", NULL, NULL);
}

static int do_unpublish(struct kvol_pool *p)
{
	return kvol_unpublish(p, "w", "/w", NULL, NULL);
}

static int do_refused(struct kvol_pool *p)
{
	return kvol_delete(p, "a/b", 0, NULL) == -EINVAL ? 0 : -EIO;
}

static int do_deactivate(struct kvol_pool *p)
{
	return kvol_pool_deactivate(p, NULL) == -EBUSY ? 0 : -EINVAL;
}

/* Any call, about whatever volume, by a handle that was open all the time; and none of
 * them waits for what is frozen. */
static void any_call_thaws(void **state)
{
	static int (*const calls[])(struct kvol_pool *) = {
		do_pool_stat, do_stat,	     do_list,	    do_create,	do_snapshot,
		do_clone,     do_snapshot_v, do_expand,	    do_delete,	do_publish,
		do_publish_v, do_unpublish,  do_deactivate, do_refused,
	};
	struct fixture *f = *state;

	model_file("/w2", S_IFDIR);
	for (size_t i = 0; i < KV_ARRAY_SIZE(calls); i++) {
		freeze(f);
		f->log_priority = 99;
		assert_int_equal(calls[i](f->pool), 0);
		assert_false(suspended(f, "v"));
		assert_int_equal(f->log_priority, LOG_WARNING);
		assert_slots_empty(f);
	}
}

static void listing_goes_on_and_thaws(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;
	struct kvol_iter *iter;

	succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
	freeze(f);
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	assert_false(suspended(f, "v"));
	kvol_iter_free(iter);
}

static void closing_a_handle_thaws(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *other = another_handle(f);

	freeze(f);
	kvol_pool_close(other);
	assert_false(suspended(f, "v"));
}

static void death_after_each_step_of_a_snapshot_freezes_nobody(void **state)
{
	static const char *const steps[] = { "dm suspend", "message create_snap",
					     "dm resume", "commit" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		killed_at(f, steps[i], 1, snapshot_v, NULL);
		(void)pool_info(f);
		assert_false(suspended(f, "v"));
		assert_slots_empty(f);
		assert_false(exists(f, "s"));
	}
}

static int expand_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_expand(pool, "v", 700 * MIB, 0, NULL);
}

static void slots_of_a_killed_expand_are_emptied(void **state)
{
	struct fixture *f = *state;

	killed_at(f, "dm resume", 1, expand_v, NULL);
	/* As the kernel leaves it when it refuses a table and the old one is not back. */
	dev_of(f, "v", false)->suspended = true;
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
	assert_slots_empty(f);
	succeeds(f, kvol_expand(f->pool, "v", 700 * MIB, 0, &f->e));
	assert_slots_empty(f);
}

static void read_only_face_is_thawed_as_well(void **state)
{
	struct kvol_publish_opts o = {
		.size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY
	};
	struct fixture *f = *state;

	model_file("/r", S_IFREG);
	succeeds(f, kvol_publish(f->pool, "v", "/r", &o, &f->e));
	freeze(f);
	dev_of(f, "v", true)->suspended = true;
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
	assert_false(dev_of(f, "v", true)->suspended);
}

/* The process lives and could not resume: it goes on being tried. */
static void failed_resume_is_tried_again_by_the_next_call(void **state)
{
	struct fixture *f = *state;

	model_fail("dm resume", 0, -EIO);
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -EIO, KVOL_R_IO);
	(void)pool_info(f);
	assert_true(suspended(f, "v"));
	/* Who needs the volume is told, instead of waiting for ever. */
	fails(f, kvol_unpublish(f->pool, "v", "/v", NULL, &f->e), -EIO, KVOL_R_IO);
	model_forget_plans();
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
	assert_slots_empty(f);
}

static void nothing_but_a_look_when_nothing_is_frozen(void **state)
{
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;

	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_slots_empty(f);
	/* Whatever opened it again would make it. */
	dir = open_run_pool(f);
	assert_int_equal(unlinkat(dir, "frozen", 0), 0);
	(void)pool_info(f);
	assert_true(exists(f, "s"));
	assert_int_equal(do_delete(f->pool), 0);
	assert_int_equal(faccessat(dir, "frozen", F_OK, 0), -1);
}

/* --- The living --- */

static unsigned n_looks;

static struct kvol_pool *other_handle;
static struct fixture *fix;

static int stat_in_window(const char *what, unsigned step)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	(void)step;
	if (strncmp(what, "message create_snap", 19))
		return 0;
	model_hook = NULL;
	assert_int_equal(kvol_pool_stat(other_handle, &info, NULL), 0);
	assert_int_equal(kvol_pool_stat(fix->pool, &info, NULL), 0);
	assert_true(suspended(fix, "v"));
	n_looks++;
	return 0;
}

static void the_livings_suspend_is_left_alone(void **state)
{
	struct fixture *f = *state;

	fix = f;
	n_looks = 0;
	other_handle = another_handle(f);
	model_hook = stat_in_window;
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	model_hook = NULL;
	assert_int_equal(n_looks, 1);
	assert_false(thin_of(f, "s")->content.torn);
	kvol_pool_close(other_handle);
}

/* A slot of a dead process names a volume that a living one suspends just now: a thaw
 * for the first would tear the second's snapshot. */
static int freeze_again_in_window(const char *what, unsigned step)
{
	_cleanup_close_ int fd = -1;
	struct kvol_pool_info info = { .size = sizeof(info) };
	uint64_t word = (UINT64_C(1) << 32) | id_of(fix, "v");

	(void)step;
	if (strncmp(what, "message create_snap", 19))
		return 0;
	model_hook = NULL;
	fd = open_slots(fix);
	assert_int_equal(pwrite(fd, &word, sizeof(word), 40 * sizeof(word)),
			 sizeof(word));
	assert_int_equal(kvol_pool_stat(other_handle, &info, NULL), 0);
	assert_true(suspended(fix, "v"));
	n_looks++;
	return 0;
}

static void thaw_for_the_dead_does_not_end_a_living_suspend(void **state)
{
	struct fixture *f = *state;

	fix = f;
	n_looks = 0;
	other_handle = another_handle(f);
	model_hook = freeze_again_in_window;
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	model_hook = NULL;
	assert_int_equal(n_looks, 1);
	assert_false(thin_of(f, "s")->content.torn);
	(void)pool_info(f);
	assert_slots_empty(f);
	kvol_pool_close(other_handle);
}

/* Whoever waited for the volume's lock gets it by the suspender's death. */
static void next_holder_of_the_lock_thaws_even_while_the_slot_is_held(void **state)
{
	_cleanup_lock_ struct kv_lock slot = KV_LOCK_NONE, volume = KV_LOCK_NONE;
	struct fixture *f = *state;
	uint64_t word = 0;
	unsigned i;

	freeze(f);
	slot.fd = open_slots(f);
	for (i = 0; i < KV_FROZEN_SLOTS && !word; i++)
		assert_int_equal(
			pread(slot.fd, &word, sizeof(word), (off_t)(i * sizeof(word))),
			sizeof(word));
	slot.byte = (i - 1) * sizeof(word);
	assert_int_equal(kv_lock_exclusive(slot.fd, slot.byte, 0), 0);
	(void)pool_info(f); /* dying, not dead: not ours to judge */
	assert_true(suspended(f, "v"));
	assert_int_equal(kv_lock_volume(f->pool, id_of(f, "v"), 0, &volume), 0);
	assert_false(suspended(f, "v"));
	kv_lock_release(&volume);
	kv_lock_release(&slot);
	(void)pool_info(f);
	assert_slots_empty(f);
}

static void holder_of_the_volumes_lock_is_left_to_thaw_it(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;

	dir = open_run_pool(f);
	freeze(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_VOLUME(id_of(f, "v")), 0, &lock), 0);
	(void)pool_info(f);
	assert_true(suspended(f, "v"));
	kv_lock_release(&lock);
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
}

/* --- Waiting --- */

static void *expand_w(void *arg)
{
	struct fixture *f = arg;

	return kvol_expand(f->pool, "w", 600 * MIB, 0, NULL) == 0 ? NULL : arg;
}

static void waiting_call_thaws(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	const struct timespec moment = { .tv_nsec = 5000000 };
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;
	pthread_t thread;
	void *fault;

	dir = open_run_pool(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_VOLUME(id_of(f, "w")), 0, &lock), 0);
	freeze(f);
	assert_int_equal(pthread_create(&thread, NULL, expand_w, f), 0);
	for (int i = 0; i < 4000 && suspended(f, "v"); i++)
		(void)nanosleep(&moment, NULL);
	assert_false(suspended(f, "v"));
	/* Now that it waits: once more. */
	dev_of(f, "v", false)->suspended = true;
	{
		_cleanup_close_ int fd = open_slots(f);
		uint64_t word = (UINT64_C(1) << 32) | id_of(f, "v");

		assert_int_equal(pwrite(fd, &word, sizeof(word), 0), sizeof(word));
	}
	for (int i = 0; i < 4000 && suspended(f, "v"); i++)
		(void)nanosleep(&moment, NULL);
	assert_false(suspended(f, "v"));
	kv_lock_release(&lock);
	assert_int_equal(pthread_join(thread, &fault), 0);
	assert_null(fault);
}

/* --- Slots --- */

static void more_suspends_than_slots_wait_and_end_at_their_deadline(void **state)
{
	struct kv_frozen all[KV_FROZEN_SLOTS];
	struct fixture *f = *state;
	uint32_t id = id_of(f, "w");

	for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
		assert_int_equal(kv_frozen_begin(f->pool, id, &all[i]), 0);
	model->deadline_divisor = 600;
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	assert_false(suspended(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 2);
	kv_frozen_end(&all[17], true);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
		if (i != 17)
			kv_frozen_end(&all[i], true);
	assert_slots_empty(f);
}

static void slots_of_the_dead_are_used_again(void **state)
{
	struct kv_frozen frozen;
	struct fixture *f = *state;
	uint64_t word;
	int fd;

	/* Every slot names a dead one's volume, and no call has come by yet. */
	freeze(f);
	fd = open_slots(f);
	word = (UINT64_C(1) << 32) | id_of(f, "v");
	for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
		assert_int_equal(
			pwrite(fd, &word, sizeof(word), (off_t)(i * sizeof(word))),
			sizeof(word));
	(void)close(fd);
	assert_int_equal(kv_frozen_begin(f->pool, id_of(f, "w"), &frozen), 0);
	assert_false(suspended(f, "v"));
	kv_frozen_end(&frozen, true);
	(void)pool_info(f);
	assert_slots_empty(f);
}

static void threads_hold_slots_of_their_own(void **state)
{
	struct kv_frozen a, b;
	struct fixture *f = *state;

	assert_int_equal(kv_frozen_begin(f->pool, id_of(f, "v"), &a), 0);
	assert_int_equal(kv_frozen_begin(f->pool, id_of(f, "v"), &b), 0);
	assert_int_not_equal(a.slot, b.slot);
	kv_frozen_end(&a, true);
	kv_frozen_end(&b, true);
}

static void nonsense_in_the_file_harms_nothing(void **state)
{
	static const uint64_t words[] = { 1, UINT64_MAX, UINT64_C(7) << 32,
					  UINT64_C(0x1ffffffff) };
	struct fixture *f = *state;
	int fd = open_slots(f);

	for (size_t i = 0; i < KV_ARRAY_SIZE(words); i++)
		assert_int_equal(pwrite(fd, &words[i], sizeof(words[i]),
					(off_t)(i * 3 * sizeof(words[i]))),
				 sizeof(words[i]));
	(void)pool_info(f);
	assert_slots_empty(f);
	/* Cut short: also in the middle of a word. */
	assert_int_equal(ftruncate(fd, 0), 0);
	freeze(f);
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
	assert_int_equal(ftruncate(fd, 13), 0);
	freeze(f);
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
	assert_slots_empty(f);
	(void)close(fd);
}

/* The slot of a volume that is gone since. */
static void slot_of_no_volume_is_emptied(void **state)
{
	struct fixture *f = *state;
	int fd = open_slots(f);
	uint64_t word = (UINT64_C(1) << 32) | 12345;

	assert_int_equal(pwrite(fd, &word, sizeof(word), 8), sizeof(word));
	(void)close(fd);
	(void)pool_info(f);
	assert_slots_empty(f);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(any_call_thaws),
		on_pool(listing_goes_on_and_thaws),
		on_pool(closing_a_handle_thaws),
		on_pool(death_after_each_step_of_a_snapshot_freezes_nobody),
		on_pool(slots_of_a_killed_expand_are_emptied),
		on_pool(read_only_face_is_thawed_as_well),
		on_pool(failed_resume_is_tried_again_by_the_next_call),
		on_pool(nothing_but_a_look_when_nothing_is_frozen),
		on_pool(the_livings_suspend_is_left_alone),
		on_pool(thaw_for_the_dead_does_not_end_a_living_suspend),
		on_pool(next_holder_of_the_lock_thaws_even_while_the_slot_is_held),
		on_pool(holder_of_the_volumes_lock_is_left_to_thaw_it),
		on_pool(waiting_call_thaws),
		on_pool(more_suspends_than_slots_wait_and_end_at_their_deadline),
		on_pool(slots_of_the_dead_are_used_again),
		on_pool(threads_hold_slots_of_their_own),
		on_pool(nonsense_in_the_file_harms_nothing),
		on_pool(slot_of_no_volume_is_emptied),
	};

	return cmocka_run_group_tests_name("frozen", tests, NULL, NULL);
}
