/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A forked child and the parent's locks: whatever a child does with a handle that it
 * inherited, the library unlocks nothing in it, and what the parent holds stays held. The
 * locks are the kernel's own; the rest is the model.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "lock.h"
#include "verb.h"

static unsigned unlocked;    /* by this process */
static unsigned handles_own; /* of these, on the handle's own fd */
static int handle_fd = -1;
static struct kvol_iter *iter;

void __real_kv_lock_drop(int fd, uint64_t byte);
void __wrap_kv_lock_drop(int fd, uint64_t byte);
void __real_kv_lock_release(struct kv_lock *lock);
void __wrap_kv_lock_release(struct kv_lock *lock);

void __wrap_kv_lock_drop(int fd, uint64_t byte)
{
	unlocked++;
	handles_own += fd == handle_fd;
	__real_kv_lock_drop(fd, byte);
}

void __wrap_kv_lock_release(struct kv_lock *lock)
{
	unlocked += lock->fd >= 0;
	__real_kv_lock_release(lock);
}

/* By the handle's own fd of the directory: asking the library would wait for the call
 * that is stopped in its middle. */
static int check_lock(struct fixture *f, uint64_t byte)
{
	_cleanup_close_ int fd = kv_lock_open(f->pool->dir_fd);

	assert_true(fd >= 0);
	return kv_lock_exclusive(fd, byte, 0);
}

/* Nobody but this process has the pool open. */
static void assert_held(struct fixture *f)
{
	assert_int_equal(check_lock(f, KV_LOCK_POOL), -EBUSY);
	assert_int_equal(check_lock(f, KV_LOCK_OWNER(f->pool->ids.owner)), -EBUSY);
}

#define CHECK(x)                         \
	do {                             \
		if (!(x))                \
			return __LINE__; \
	} while (0)

/* Exit codes are bytes: the line goes by memory that both have. */
struct in_child {
	int (*fn)(struct fixture *f);
	struct fixture *f;
};

static int run_in_child(void *arg)
{
	struct in_child *x = arg;
	int line;

	unlocked = 0;
	line = x->fn(x->f);
	if (line)
		fprintf(stderr, "line %d\n", line);
	if (unlocked)
		fprintf(stderr, "%u locks were dropped in a child\n", unlocked);
	return line || unlocked;
}

static void in_child(struct fixture *f, int (*fn)(struct fixture *f))
{
	struct in_child x = { fn, f };

	assert_int_equal(model_in_child(run_in_child, &x), 0);
}

static int calls_everything(struct fixture *f)
{
	struct kvol_pool_info pool_info = { .size = sizeof(pool_info) };
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *i;

	CHECK(kvol_create(f->pool, "x", MIB, NULL, NULL) == -ECHILD);
	CHECK(kvol_snapshot(f->pool, "v", "x", NULL, NULL) == -ECHILD);
	CHECK(kvol_clone(f->pool, "v", "x", NULL, NULL) == -ECHILD);
	CHECK(kvol_expand(f->pool, "v", 600 * MIB, 0, NULL) == -ECHILD);
	CHECK(kvol_delete(f->pool, "v", 0, NULL) == -ECHILD);
	CHECK(kvol_publish(f->pool, "v", "/d", NULL, NULL) == -ECHILD);
	CHECK(kvol_unpublish(f->pool, "v", "/d", NULL, NULL) == -ECHILD);
	CHECK(kvol_stat(f->pool, "v", &info, NULL) == -ECHILD);
	CHECK(kvol_pool_stat(f->pool, &pool_info, NULL) == -ECHILD);
	CHECK(kvol_list(f->pool, 0, &i, NULL) == -ECHILD);
	CHECK(kvol_iter_next(iter, &info) == -ECHILD);
	CHECK(kvol_pool_deactivate(f->pool, NULL) == -ECHILD);
	return 0;
}

static int frees_everything(struct fixture *f)
{
	kvol_iter_free(iter);
	kvol_pool_close(f->pool);
	kvol_free(f->ctx);
	return 0;
}

static int just_ends(struct fixture *f)
{
	(void)f;
	return 0;
}

static void child_unlocks_nothing(void **state)
{
	int (*const children[])(struct fixture *) = { just_ends, calls_everything,
						      frees_everything };
	struct kvol_info info = { .size = sizeof(info) };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	for (size_t i = 0; i < KV_ARRAY_SIZE(children); i++) {
		succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
		assert_held(f);
		in_child(f, children[i]);
		assert_held(f);
		assert_int_equal(kvol_iter_next(iter, &info), 1);
		assert_int_equal(kvol_iter_next(iter, &info), 0);
		kvol_iter_free(iter);
		succeeds(f, create_volume(f, "w", NULL));
		succeeds(f, kvol_delete(f->pool, "w", 0, &f->e));
	}
	/* Here they are: the pool's and the owner's. Closing commits, too, and a commit
	 * has a lock of its own on another fd. */
	handles_own = 0;
	handle_fd = f->pool->lock_fd;
	close_pool(f);
	handle_fd = -1;
	assert_int_equal(handles_own, 2);
	open_pool(f);
}

/* --- A fork in the middle of another thread's call -------------------------------- */

static pthread_t caller;
static int reached[2], go_on[2];

static int stop_at_commit(const char *what, unsigned step)
{
	char c;

	(void)step;
	if (!strcmp(what, "commit") && pthread_equal(pthread_self(), caller))
		return write(reached[1], "", 1) == 1 && read(go_on[0], &c, 1) == 1 ? 0
										   : -EIO;
	return 0;
}

static void *delete_v(void *arg)
{
	struct fixture *f = arg;

	caller = pthread_self();
	return (void *)(intptr_t)kvol_delete(f->pool, "v", 0, NULL);
}

static void volume_stays_locked_when_a_child_is_forked_and_dies(void **state)
{
	int (*const children[])(struct fixture *) = { just_ends, frees_everything };
	struct fixture *f = *state;
	uint32_t id;
	pthread_t thread;
	void *r;
	char c;

	for (size_t i = 0; i < KV_ARRAY_SIZE(children); i++) {
		succeeds(f, create_volume(f, "v", NULL));
		id = id_of(f, "v");
		assert_int_equal(pipe2(reached, O_CLOEXEC), 0);
		assert_int_equal(pipe2(go_on, O_CLOEXEC), 0);
		model_hook = stop_at_commit;
		assert_int_equal(pthread_create(&thread, NULL, delete_v, f), 0);
		assert_int_equal(read(reached[0], &c, 1), 1);
		iter = NULL;
		in_child(f, children[i]);
		assert_held(f);
		assert_int_equal(check_lock(f, KV_LOCK_VOLUME(id)), -EBUSY);
		assert_int_equal(write(go_on[1], "", 1), 1);
		assert_int_equal(pthread_join(thread, &r), 0);
		assert_null(r);
		model_hook = NULL;
		memset(&caller, 0, sizeof(caller));
		assert_int_equal(check_lock(f, KV_LOCK_VOLUME(id)), 0);
		for (int j = 0; j < 2; j++) {
			(void)close(reached[j]);
			(void)close(go_on[j]);
		}
	}
}

/* ... and when it lives on: the call ends by unlocking, not by closing. */
static void volume_is_unlocked_though_a_child_lives_on(void **state)
{
	struct fixture *f = *state;
	uint32_t id;
	pthread_t thread;
	void *r;
	pid_t pid;
	char c;

	succeeds(f, create_volume(f, "v", NULL));
	id = id_of(f, "v");
	assert_int_equal(pipe2(reached, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go_on, O_CLOEXEC), 0);
	model_hook = stop_at_commit;
	assert_int_equal(pthread_create(&thread, NULL, delete_v, f), 0);
	assert_int_equal(read(reached[0], &c, 1), 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a check fails */
		for (;;)
			(void)pause();
	}
	assert_int_equal(write(go_on[1], "", 1), 1);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_null(r);
	model_hook = NULL;
	assert_int_equal(check_lock(f, KV_LOCK_VOLUME(id)), 0);
	/* The handle as well: the child is no reason not to take the pool out of use. */
	close_pool(f);
	open_pool(f);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int j = 0; j < 2; j++) {
		(void)close(reached[j]);
		(void)close(go_on[j]);
	}
	reopen_pool(f);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
}

#define with_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_pool(child_unlocks_nothing),
		with_pool(volume_stays_locked_when_a_child_is_forked_and_dies),
		with_pool(volume_is_unlocked_though_a_child_lives_on),
	};

	return cmocka_run_group_tests_name("fork and locks", tests, NULL, NULL);
}
