/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a killed process left unfinished: the next call of anybody thaws volumes that it
 * had suspended, and settles a commit that it died in. The living are never disturbed,
 * and the file cannot be broken by what is found in it.
 */

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
	bool r;

	model_lock();
	r = d && d->suspended;
	model_unlock();
	return r;
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
	int fd = openat(dir, "unfinished", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void assert_slots_empty(struct fixture *f)
{
	_cleanup_close_ int fd = open_slots(f);
	uint64_t word;

	for (unsigned i = 0; i <= KV_SUSPEND_SLOTS; i++)
		if (pread(fd, &word, sizeof(word), (off_t)(i * sizeof(word))) > 0)
			assert_int_equal(word, 0);
}

/* --- The next call ---------------------------------------------------------------- */

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

static int delete_spare(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_delete(pool, "spare", 0, NULL);
}

/* Nobody writes while a pool that is full of metadata is woken for a delete. */
static void death_in_a_delete_that_makes_room_freezes_nobody(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
		bool held;
	} steps[] = {
		{ "dm suspend", 1, false }, { "dm load", 1, true },
		{ "dm resume", 1, true },   { "message delete", 2, true },
		{ "dm resume", 2, true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		succeeds(f, create_volume(f, "spare", NULL));
		disk_of(f)->mode = MODEL_OUT_OF_METADATA;
		killed_at(f, steps[i].step, steps[i].nth, delete_spare, NULL);
		assert_int_equal(suspended(f, "v"), steps[i].held);
		(void)pool_info(f);
		assert_false(suspended(f, "v"));
		assert_slots_empty(f);
		assert_false(exists(f, "spare"));
		disk_of(f)->mode = MODEL_RW;
		reopen_pool(f); /* deletes what was buried */
	}
	succeeds(f, create_volume(f, "spare", NULL));
	disk_of(f)->mode = MODEL_OUT_OF_METADATA;
	succeeds(f, kvol_delete(f->pool, "spare", 0, &f->e));
	assert_false(suspended(f, "v"));
	assert_slots_empty(f);
	assert_int_equal(pool_info(f).flags, 0);
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
	assert_int_equal(unlinkat(dir, "unfinished", 0), 0);
	(void)pool_info(f);
	assert_true(exists(f, "s"));
	assert_int_equal(do_delete(f->pool), 0);
	assert_int_equal(faccessat(dir, "unfinished", F_OK, 0), -1);
}

/* --- The living ------------------------------------------------------------------- */

static _Atomic unsigned n_looks;

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
	for (i = 0; i < KV_SUSPEND_SLOTS && !word; i++)
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
	model->deadline_divisor = 600;
	(void)pool_info(f);
	assert_true(suspended(f, "v"));
	kv_lock_release(&lock);
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
}

static uint32_t v_id;

static void *lock_v(void *arg)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct fixture *f = arg;

	if (kv_lock_take(f->pool->dir_fd, KV_LOCK_VOLUME(v_id), 0, &lock) < 0)
		return arg;
	n_looks = 1;
	(void)nanosleep(&moment, NULL);
	return kv_device_thaw(f->pool, v_id) < 0 ? arg : NULL;
}

/* He has the lock and is about to: the call does not return before he did. */
static void call_waits_for_the_one_who_thaws(void **state)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct fixture *f = *state;
	pthread_t thread;
	void *fault;

	freeze(f);
	n_looks = 0;
	v_id = id_of(f, "v");
	assert_int_equal(pthread_create(&thread, NULL, lock_v, f), 0);
	while (!n_looks)
		(void)nanosleep(&moment, NULL);
	(void)pool_info(f);
	assert_false(suspended(f, "v"));
	assert_slots_empty(f);
	assert_int_equal(pthread_join(thread, &fault), 0);
	assert_null(fault);
}

/* --- Waiting ---------------------------------------------------------------------- */

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

/* --- Slots ------------------------------------------------------------------------ */

static void more_suspends_than_slots_wait_and_end_at_their_deadline(void **state)
{
	struct kv_suspend all[KV_SUSPEND_SLOTS];
	struct fixture *f = *state;
	uint32_t id = id_of(f, "w");

	for (unsigned i = 0; i < KV_SUSPEND_SLOTS; i++)
		assert_int_equal(kv_suspend_begin(f->pool, id, &all[i]), 0);
	model->deadline_divisor = 600;
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	assert_false(suspended(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 2);
	kv_suspend_end(&all[17], true);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	for (unsigned i = 0; i < KV_SUSPEND_SLOTS; i++)
		if (i != 17)
			kv_suspend_end(&all[i], true);
	assert_slots_empty(f);
}

static void slots_of_the_dead_are_used_again(void **state)
{
	struct kv_suspend frozen;
	struct fixture *f = *state;
	uint64_t word;
	int fd;

	/* Every slot names a dead one's volume, and no call has come by yet. */
	freeze(f);
	fd = open_slots(f);
	word = (UINT64_C(1) << 32) | id_of(f, "v");
	for (unsigned i = 0; i < KV_SUSPEND_SLOTS; i++)
		assert_int_equal(
			pwrite(fd, &word, sizeof(word), (off_t)(i * sizeof(word))),
			sizeof(word));
	(void)close(fd);
	assert_int_equal(kv_suspend_begin(f->pool, id_of(f, "w"), &frozen), 0);
	assert_false(suspended(f, "v"));
	kv_suspend_end(&frozen, true);
	(void)pool_info(f);
	assert_slots_empty(f);
}

static void threads_hold_slots_of_their_own(void **state)
{
	struct kv_suspend a, b;
	struct fixture *f = *state;

	assert_int_equal(kv_suspend_begin(f->pool, id_of(f, "v"), &a), 0);
	assert_int_equal(kv_suspend_begin(f->pool, id_of(f, "v"), &b), 0);
	assert_int_not_equal(a.slot, b.slot);
	kv_suspend_end(&a, true);
	kv_suspend_end(&b, true);
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

/* --- Commits ---------------------------------------------------------------------- */

static bool dying, failing;

/* In the place of libc's, for SQLite: a process that is killed while it waits for the
 * disk dies when the disk is done. */
static int sync_and_die(long call, int fd)
{
	int r = (int)syscall(call, fd);

	if (dying)
		_exit(MODEL_CRASHED);
	if (failing) {
		failing = false;
		errno = EIO;
		return -1;
	}
	return r;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return sync_and_die(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return sync_and_die(SYS_fsync, fd);
}

static int die_in_commit(const char *what, unsigned step)
{
	(void)step;
	dying = dying || !strcmp(what, "commit");
	return 0;
}

struct victim {
	struct fixture *f;
	int (*call)(struct kvol_pool *p);
};

static int be_killed_in_commit(void *arg)
{
	struct victim *v = arg;
	struct kvol_pool *pool;

	if (kvol_pool_open(v->f->ctx, v->f->path, NULL, &pool, NULL) < 0)
		return 1;
	model_hook = die_in_commit;
	(void)v->call(pool);
	return 2;
}

static void kill_in_commit(struct fixture *f, int (*call)(struct kvol_pool *p))
{
	struct victim v = { f, call };

	assert_int_equal(model_in_child(be_killed_in_commit, &v), MODEL_CRASHED);
}

static int delete_w(struct kvol_pool *p)
{
	return kvol_delete(p, "w", 0, NULL);
}

static int grow_w(struct kvol_pool *p)
{
	return kvol_expand(p, "w", 600 * MIB, 0, NULL);
}

static uint64_t bytes_of(struct fixture *f, const char *name)
{
	return exists(f, name) ? info_of(f, name).bytes : 0;
}

/* Without more ado the frames that it left in the log would come into force when the
 * catalogue is opened after all. */
static void what_was_seen_of_a_killed_commit_stays(void **state)
{
	static int (*const calls[])(struct kvol_pool *) = { delete_w, grow_w, do_create };
	struct fixture *f = *state;
	uint64_t w, new;

	for (size_t i = 0; i < KV_ARRAY_SIZE(calls); i++) {
		kill_in_commit(f, calls[i]);
		w = bytes_of(f, "w");
		new = bytes_of(f, "new");
		assert_slots_empty(f);
		reopen_pool(f);
		assert_int_equal(bytes_of(f, "w"), w);
		assert_int_equal(bytes_of(f, "new"), new);
	}
}

/* With nobody left it came into force, and is as good as acknowledged by whoever looks.
 */
static void commit_of_the_last_one_is_settled_by_the_next_open(void **state)
{
	struct fixture *f = *state;

	close_pool(f);
	kill_in_commit(f, grow_w);
	open_pool(f);
	assert_int_equal(bytes_of(f, "w"), 600 * MIB);
	assert_slots_empty(f);
}

static uint64_t commit_word(struct fixture *f)
{
	_cleanup_close_ int fd = open_slots(f);
	uint64_t word = 0;

	(void)pread(fd, &word, sizeof(word), KV_SUSPEND_SLOTS * sizeof(word));
	return word;
}

/* It was deleted, and is not: who publishes it must be able to rely on that, even when
 * the dying one still has all his locks but the volume's. */
static void killed_delete_of_what_is_published_then_does_not_happen(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct fixture *f = *state;

	kill_in_commit(f, delete_w);
	lock.fd = open_slots(f);
	lock.byte = KV_SUSPEND_SLOTS * sizeof(uint64_t);
	assert_int_equal(kv_lock_exclusive(lock.fd, lock.byte, 0), 0);
	(void)pool_info(f);
	assert_int_not_equal(commit_word(f), 0);
	succeeds(f, kvol_publish(f->pool, "w", "/w", NULL, &f->e));
	assert_int_equal(commit_word(f), 0);
	kv_lock_release(&lock);
	reopen_pool(f);
	assert_true(exists(f, "w"));
	assert_non_null(model_mount_at(NULL, "/w"));
}

static void failed_commit_never_comes_into_force(void **state)
{
	struct fixture *f = *state;

	model_fail("commit", 1, -EIO);
	fails(f, kvol_delete(f->pool, "w", 0, &f->e), -EIO, KVOL_R_IO);
	assert_slots_empty(f);
	model_fail("commit", 0, -EIO);
	fails(f, kvol_delete(f->pool, "w", 0, &f->e), -EIO, KVOL_R_IO);
	assert_int_not_equal(commit_word(f), 0);
	model_forget_plans();
	(void)pool_info(f);
	assert_slots_empty(f);
	assert_true(exists(f, "w"));
}

static int fail_in_commit(const char *what, unsigned step)
{
	(void)step;
	if (!strcmp(what, "commit")) {
		model_hook = NULL;
		failing = true;
	}
	return 0;
}

/* The disk has it, and says that it has not. */
static void commit_whose_flush_failed_never_comes_into_force(void **state)
{
	static int (*const calls[])(struct kvol_pool *) = { delete_w, grow_w, do_create };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(calls); i++) {
		model_hook = fail_in_commit;
		assert_int_not_equal(calls[i](f->pool), 0);
		assert_false(failing);
		assert_slots_empty(f);
		reopen_pool(f);
		assert_int_equal(bytes_of(f, "w"), 512 * MIB);
		assert_false(exists(f, "new"));
	}
}

/* It may come into force at the next open, so nothing is acknowledged that this would
 * contradict: not even that there is nothing to do. */
static void refuses_changes(struct fixture *f, struct kvol_pool *p)
{
	fails(f, kvol_delete(p, "new", 0, &f->e), -EIO, KVOL_R_IO);
	fails(f, kvol_create(p, "w", 512 * MIB, NULL, &f->e), -EIO, KVOL_R_IO);
	fails(f, kvol_expand(p, "w", MIB, 0, &f->e), -EIO, KVOL_R_IO);
	fails(f, kvol_snapshot(p, "v", "s", NULL, &f->e), -EIO, KVOL_R_IO);
	fails(f, kvol_clone(p, "v", "c", NULL, &f->e), -EIO, KVOL_R_IO);
	fails(f, kvol_publish(p, "v", "/v", NULL, &f->e), -EIO, KVOL_R_IO);
}

static void nothing_is_acknowledged_while_a_commit_is_in_doubt(void **state)
{
	struct fixture *f = *state;
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_pool *other = another_handle(f);

	model_fail("commit", 0, -EIO);
	fails(f, kvol_create(f->pool, "new", MIB, NULL, &f->e), -EIO, KVOL_R_IO);
	refuses_changes(f, f->pool);
	refuses_changes(f, other);
	succeeds(f, kvol_stat(other, "v", &info, &f->e));
	succeeds(f, kvol_unpublish(f->pool, "v", "/v", NULL, &f->e));
	model_forget_plans();
	succeeds(f, kvol_delete(f->pool, "new", 0, &f->e));
	assert_slots_empty(f);
	succeeds(f, kvol_publish(other, "v", "/v", NULL, &f->e));
	kvol_pool_close(other);
	reopen_pool(f);
	assert_false(exists(f, "new"));
}

/* Nobody else would know that its end is in doubt. */
static void commit_that_cannot_be_announced_is_not_made(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	model_fail("run write", 0, -EIO);
	fails(f, create_volume(f, "new", NULL), -EIO, KVOL_R_IO);
	assert_false(kv_catalogue_in_doubt(f->pool->cat));
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EIO, KVOL_R_IO);
	succeeds(f, kvol_delete(f->pool, "new", 0, &f->e));
	model_forget_plans();
	reopen_pool(f);
	assert_true(exists(f, "v"));
	assert_false(exists(f, "new"));
}

static int look_in_commit(const char *what, unsigned step)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	uint64_t word;

	(void)step;
	if (strcmp(what, "commit") != 0)
		return 0;
	model_hook = NULL;
	word = commit_word(fix);
	assert_int_not_equal(word, 0);
	assert_int_equal(kvol_pool_stat(other_handle, &info, NULL), 0);
	assert_int_equal(commit_word(fix), word);
	n_looks++;
	return 0;
}

static void nobody_waits_for_a_living_commit_to_look(void **state)
{
	struct fixture *f = *state;

	fix = f;
	n_looks = 0;
	other_handle = another_handle(f);
	model_hook = look_in_commit;
	succeeds(f, kvol_delete(f->pool, "w", 0, &f->e));
	model_hook = NULL;
	assert_int_equal(n_looks, 1);
	assert_slots_empty(f);
	kvol_pool_close(other_handle);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(any_call_thaws),
		on_pool(listing_goes_on_and_thaws),
		on_pool(closing_a_handle_thaws),
		on_pool(death_after_each_step_of_a_snapshot_freezes_nobody),
		on_pool(death_in_a_delete_that_makes_room_freezes_nobody),
		on_pool(slots_of_a_killed_expand_are_emptied),
		on_pool(read_only_face_is_thawed_as_well),
		on_pool(failed_resume_is_tried_again_by_the_next_call),
		on_pool(nothing_but_a_look_when_nothing_is_frozen),
		on_pool(the_livings_suspend_is_left_alone),
		on_pool(thaw_for_the_dead_does_not_end_a_living_suspend),
		on_pool(next_holder_of_the_lock_thaws_even_while_the_slot_is_held),
		on_pool(holder_of_the_volumes_lock_is_left_to_thaw_it),
		on_pool(call_waits_for_the_one_who_thaws),
		on_pool(waiting_call_thaws),
		on_pool(more_suspends_than_slots_wait_and_end_at_their_deadline),
		on_pool(slots_of_the_dead_are_used_again),
		on_pool(threads_hold_slots_of_their_own),
		on_pool(nonsense_in_the_file_harms_nothing),
		on_pool(slot_of_no_volume_is_emptied),
		on_pool(what_was_seen_of_a_killed_commit_stays),
		on_pool(commit_of_the_last_one_is_settled_by_the_next_open),
		on_pool(killed_delete_of_what_is_published_then_does_not_happen),
		on_pool(failed_commit_never_comes_into_force),
		on_pool(commit_whose_flush_failed_never_comes_into_force),
		on_pool(nothing_is_acknowledged_while_a_commit_is_in_doubt),
		cmocka_unit_test_setup_teardown(
			commit_that_cannot_be_announced_is_not_made, setup_pool_alone,
			teardown),
		on_pool(nobody_waits_for_a_living_commit_to_look),
	};

	return cmocka_run_group_tests_name("unfinished", tests, NULL, NULL);
}
