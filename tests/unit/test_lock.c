/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Locks on the real kernel: they exclude threads as well as processes, and death releases
 * them.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lock.h"

#define SOON_MS 50

struct place {
	char path[64];
	int dir_fd;
	int pipe[2];
	int inherited;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->path, sizeof(p->path), "/tmp/kvol-lock-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir_fd >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	(void)unlinkat(p->dir_fd, "lock", 0);
	(void)close(p->dir_fd);
	assert_int_equal(rmdir(p->path), 0);
	free(p);
	return 0;
}

/* Runs fn in a child that ends with what it returns. */
static pid_t start(struct place *p, int (*fn)(struct place *p))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(p));
	return pid;
}

static int result(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void one_byte_is_held_once(void **state)
{
	struct kv_lock a = KV_LOCK_NONE, b = KV_LOCK_NONE, other = KV_LOCK_NONE;
	struct place *p = *state;

	assert_int_equal(kv_lock_take(p->dir_fd, KV_LOCK_VOLUME(7), 0, &a), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, KV_LOCK_VOLUME(7), 0, &b), -EBUSY);
	assert_int_equal(b.fd, -1);
	assert_int_equal(kv_lock_take(p->dir_fd, KV_LOCK_VOLUME(8), 0, &other), 0);
	assert_true(fcntl(a.fd, F_GETFD) & FD_CLOEXEC);
	kv_lock_release(&a);
	assert_int_equal(a.fd, -1);
	kv_lock_release(&a); /* once more is nothing */
	assert_int_equal(kv_lock_take(p->dir_fd, KV_LOCK_VOLUME(7), 0, &b), 0);
	kv_lock_release(&b);
	kv_lock_release(&other);
}

static void bytes_do_not_collide(void **state)
{
	const uint64_t bytes[] = {
		KV_LOCK_POOL,
		KV_LOCK_MESSAGE,
		KV_LOCK_RECOVERY,
		KV_LOCK_VOLUME(0),
		KV_LOCK_VOLUME(UINT32_MAX),
		KV_LOCK_OWNER(0),
		KV_LOCK_OWNER((UINT64_C(1) << 40) - 1),
	};
	struct kv_lock locks[KV_ARRAY_SIZE(bytes)];
	struct place *p = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(bytes); i++)
		assert_int_equal(kv_lock_take(p->dir_fd, bytes[i], 0, &locks[i]), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(bytes); i++)
		kv_lock_release(&locks[i]);
}

static void lock_ends_with_its_scope(void **state)
{
	struct place *p = *state;
	struct kv_lock again = KV_LOCK_NONE;

	{
		_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;

		assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	}
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &again), 0);
	kv_lock_release(&again);
}

static void shared_holders_exclude_an_exclusive_one(void **state)
{
	struct place *p = *state;
	int a = kv_lock_open(p->dir_fd), b = kv_lock_open(p->dir_fd),
	    c = kv_lock_open(p->dir_fd);

	assert_int_equal(kv_lock_shared(a, KV_LOCK_POOL, 0), 0);
	assert_int_equal(kv_lock_shared(b, KV_LOCK_POOL, 0), 0);
	assert_int_equal(kv_lock_exclusive(c, KV_LOCK_POOL, 0), -EBUSY);
	assert_int_equal(kv_lock_exclusive(a, KV_LOCK_POOL, 0), -EBUSY);
	kv_lock_drop(b, KV_LOCK_POOL);
	assert_int_equal(kv_lock_exclusive(a, KV_LOCK_POOL, 0), 0);
	assert_int_equal(kv_lock_shared(c, KV_LOCK_POOL, 0), -EBUSY);
	assert_int_equal(kv_lock_shared(a, KV_LOCK_POOL, 0), 0); /* down again */
	assert_int_equal(kv_lock_shared(c, KV_LOCK_POOL, 0), 0);
	(void)close(a);
	(void)close(b);
	(void)close(c);
}

static void wait_ends_at_the_deadline(void **state)
{
	struct kv_lock a = KV_LOCK_NONE, b = KV_LOCK_NONE;
	struct place *p = *state;
	int64_t deadline;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &a), 0);
	deadline = kv_deadline(SOON_MS);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, deadline, &b), -ETIMEDOUT);
	assert_true(kv_expired(deadline));
	assert_int_equal(kv_lock_shared(b.fd, 5, kv_deadline(SOON_MS)), -EBADF);
	kv_lock_release(&a);
}

static void *wait_for_it(void *arg)
{
	struct kv_lock lock = KV_LOCK_NONE;
	struct place *p = arg;
	int r = kv_lock_take(p->dir_fd, 5, kv_deadline(30000), &lock);

	kv_lock_release(&lock);
	return (void *)(intptr_t)r;
}

static void waiting_thread_gets_it_when_it_is_free(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE;
	struct place *p = *state;
	pthread_t thread;
	void *r;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_it, p), 0);
	kv_lock_release(&lock);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_null(r);
}

static unsigned inside, most;

static void *work(void *arg)
{
	struct place *p = arg;

	for (int i = 0; i < 200; i++) {
		_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
		unsigned now;

		if (kv_lock_take(p->dir_fd, 5, kv_deadline(30000), &lock) < 0)
			return p;
		now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		if (now > __atomic_load_n(&most, __ATOMIC_SEQ_CST))
			__atomic_store_n(&most, now, __ATOMIC_SEQ_CST);
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void threads_exclude_each_other(void **state)
{
	pthread_t threads[4];
	void *failed;

	for (size_t i = 0; i < KV_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, *state), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(most, 1);
}

static int try_it(struct place *p)
{
	struct kv_lock lock = KV_LOCK_NONE;

	return -kv_lock_take(p->dir_fd, 5, 0, &lock);
}

static void processes_exclude_each_other(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE;
	struct place *p = *state;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	assert_int_equal(result(start(p, try_it)), EBUSY);
	kv_lock_release(&lock);
	assert_int_equal(result(start(p, try_it)), 0);
}

static int hold_for_ever(struct place *p)
{
	struct kv_lock lock = KV_LOCK_NONE;

	if (kv_lock_take(p->dir_fd, 5, 0, &lock) < 0 || write(p->pipe[1], "", 1) != 1)
		return 1;
	while (pause() < 0)
		;
	return 1;
}

static void death_releases(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE;
	struct place *p = *state;
	pid_t pid;
	char c;

	assert_int_equal(pipe2(p->pipe, O_CLOEXEC), 0);
	pid = start(p, hold_for_ever);
	(void)close(p->pipe[1]); /* its end is an end of file */
	assert_int_equal(read(p->pipe[0], &c, 1), 1);
	(void)close(p->pipe[0]);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(result(pid), -1);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	kv_lock_release(&lock);
}

static int linger(struct place *p)
{
	(void)p;
	while (pause() < 0)
		;
	return 1;
}

/* --- Fork and exec: a child shares what its parent has open ----------------------- */

/* Ends with the pipe's other end, in the parent's hand. */
static void wait_for_the_end(struct place *p)
{
	char c;

	(void)close(p->pipe[1]);
	(void)!read(p->pipe[0], &c, 1);
}

static int just_ends(struct place *p)
{
	(void)p;
	return 0;
}

static int closes_its_copy(struct place *p)
{
	return close(p->inherited) == 0 ? 0 : 1;
}

static void childs_close_and_exit_leave_the_parents_lock(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE, other = KV_LOCK_NONE;
	struct place *p = *state;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	p->inherited = lock.fd;
	assert_int_equal(result(start(p, just_ends)), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &other), -EBUSY);
	assert_int_equal(result(start(p, closes_its_copy)), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &other), -EBUSY);
	kv_lock_release(&lock);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &other), 0);
	kv_lock_release(&other);
}

static int unlocks_its_copy(struct place *p)
{
	kv_lock_drop(p->inherited, 5);
	return 0;
}

/* Why nothing in the library may unlock in a forked child. */
static void childs_unlock_takes_the_parents_lock_away(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE, other = KV_LOCK_NONE;
	struct place *p = *state;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	p->inherited = lock.fd;
	assert_int_equal(result(start(p, unlocks_its_copy)), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &other), 0);
	kv_lock_release(&other);
	kv_lock_release(&lock);
}

static int takes_what_the_parent_has(struct place *p)
{
	return kv_lock_exclusive(p->inherited, 5, 0) == 0 ? 0 : 1;
}

/* Why a handle is refused in a child: by the kernel's account they are one. */
static void copies_of_one_description_do_not_exclude_each_other(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE;
	struct place *p = *state;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	p->inherited = lock.fd;
	assert_int_equal(result(start(p, takes_what_the_parent_has)), 0);
	assert_int_equal(result(start(p, try_it)), EBUSY);
	kv_lock_release(&lock);
}

static int keeps_it_open(struct place *p)
{
	wait_for_the_end(p);
	return 0;
}

static int executes(struct place *p)
{
	/* From here on it has nothing of ours but the pipe. */
	if (dup2(p->pipe[0], 0) != 0)
		return 1;
	(void)execl("/bin/cat", "cat", (char *)NULL);
	return 1;
}

/* Closed without a word, as by a parent that is killed. */
static void lock_is_held_until_the_last_copy_is_closed(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE, other = KV_LOCK_NONE;
	struct place *p = *state;
	pid_t pid;

	assert_int_equal(pipe2(p->pipe, O_CLOEXEC), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	pid = start(p, keeps_it_open);
	(void)close(lock.fd);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &other), -EBUSY);
	(void)close(p->pipe[1]);
	(void)close(p->pipe[0]);
	assert_int_equal(result(pid), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &other), 0);
	kv_lock_release(&other);
}

static void exec_closes_the_copy(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE, other = KV_LOCK_NONE;
	struct place *p = *state;
	pid_t pid;

	assert_int_equal(pipe2(p->pipe, O_CLOEXEC), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	pid = start(p, executes);
	(void)close(lock.fd);
	/* Ours is closed: it is free as soon as the child has executed, though it lives
	 * on. */
	assert_int_equal(kv_lock_take(p->dir_fd, 5, kv_deadline(30000), &other), 0);
	assert_int_equal(kill(pid, 0), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	(void)close(p->pipe[1]);
	(void)close(p->pipe[0]);
	assert_int_equal(result(pid), 0);
	kv_lock_release(&other);
}

static int hold_shared_for_ever(struct place *p)
{
	int fd = kv_lock_open(p->dir_fd);

	if (kv_lock_shared(fd, KV_LOCK_POOL, 0) < 0 || write(p->pipe[1], "", 1) != 1)
		return 1;
	while (pause() < 0)
		;
	return 1;
}

/* As kvol_pool_deactivate does it, beside a handle whose process is killed. */
static void shared_lock_is_upgraded_when_the_other_holder_dies(void **state)
{
	struct place *p = *state;
	int fd = kv_lock_open(p->dir_fd);
	pid_t pid;
	char c;

	assert_int_equal(kv_lock_shared(fd, KV_LOCK_POOL, 0), 0);
	assert_int_equal(pipe2(p->pipe, O_CLOEXEC), 0);
	pid = start(p, hold_shared_for_ever);
	(void)close(p->pipe[1]);
	assert_int_equal(read(p->pipe[0], &c, 1), 1);
	(void)close(p->pipe[0]);
	assert_int_equal(kv_lock_exclusive(fd, KV_LOCK_POOL, 0), -EBUSY);
	assert_int_equal(kv_lock_exclusive(fd, KV_LOCK_POOL, kv_deadline(SOON_MS)),
			 -ETIMEDOUT);
	/* What it had it still has. */
	assert_int_equal(kv_lock_exclusive(fd, KV_LOCK_POOL, 0), -EBUSY);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(result(pid), -1);
	assert_int_equal(kv_lock_exclusive(fd, KV_LOCK_POOL, 0), 0);
	(void)close(fd);
}

static void *upgrade(void *arg)
{
	struct place *p = arg;

	return (void *)(intptr_t)kv_lock_exclusive(p->inherited, KV_LOCK_POOL,
						   kv_deadline(30000));
}

/* Two that want it: neither gets it before the other lets go, and neither waits for ever.
 */
static void two_upgrades_do_not_deadlock(void **state)
{
	struct place *p = *state;
	int a = kv_lock_open(p->dir_fd), b = kv_lock_open(p->dir_fd);
	pthread_t thread;
	void *r;

	assert_int_equal(kv_lock_shared(a, KV_LOCK_POOL, 0), 0);
	assert_int_equal(kv_lock_shared(b, KV_LOCK_POOL, 0), 0);
	p->inherited = b;
	assert_int_equal(pthread_create(&thread, NULL, upgrade, p), 0);
	assert_int_equal(kv_lock_exclusive(a, KV_LOCK_POOL, kv_deadline(SOON_MS)),
			 -ETIMEDOUT);
	kv_lock_drop(a, KV_LOCK_POOL);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_null(r);
	assert_int_equal(kv_lock_shared(a, KV_LOCK_POOL, 0), -EBUSY);
	(void)close(a);
	(void)close(b);
}

/* A child that was forked while it was held shares the description: releasing must not
 * wait for it. */
static void forked_child_does_not_keep_a_released_lock(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE, again = KV_LOCK_NONE;
	struct place *p = *state;
	pid_t pid;

	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), 0);
	pid = start(p, linger);
	kv_lock_release(&lock);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &again), 0);
	kv_lock_release(&again);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(result(pid), -1);
}

static void link_in_its_place_is_not_followed(void **state)
{
	struct kv_lock lock = KV_LOCK_NONE;
	struct place *p = *state;

	assert_int_equal(symlinkat("elsewhere", p->dir_fd, "lock"), 0);
	assert_int_equal(kv_lock_take(p->dir_fd, 5, 0, &lock), -ELOOP);
	assert_int_equal(faccessat(p->dir_fd, "elsewhere", F_OK, 0), -1);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(one_byte_is_held_once),
		in_place(bytes_do_not_collide),
		in_place(lock_ends_with_its_scope),
		in_place(shared_holders_exclude_an_exclusive_one),
		in_place(wait_ends_at_the_deadline),
		in_place(waiting_thread_gets_it_when_it_is_free),
		in_place(threads_exclude_each_other),
		in_place(processes_exclude_each_other),
		in_place(death_releases),
		in_place(childs_close_and_exit_leave_the_parents_lock),
		in_place(childs_unlock_takes_the_parents_lock_away),
		in_place(copies_of_one_description_do_not_exclude_each_other),
		in_place(lock_is_held_until_the_last_copy_is_closed),
		in_place(exec_closes_the_copy),
		in_place(shared_lock_is_upgraded_when_the_other_holder_dies),
		in_place(two_upgrades_do_not_deadlock),
		in_place(forked_child_does_not_keep_a_released_lock),
		in_place(link_in_its_place_is_not_followed),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
