// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Many threads on one handle, and many processes on one pool, on overlapping names.
 *
 * No cmocka assertion runs outside of the main thread: workers report what they met.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

#define WORKERS 4
#define NAMES	5

static char a[256], node[256];

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	assert_ok(create_fs("fs", MIB(32), "ext4"));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	return 0;
}

/* --- The same call by all at once: each gets 0, and it is done once --------------- */

struct race {
	int (*call)(struct kvol_error *e);
	pthread_barrier_t *barrier;
	int r;
	struct kvol_error e;
};

static void *racer(void *arg)
{
	struct race *x = arg;

	(void)pthread_barrier_wait(x->barrier);
	x->r = x->call(&x->e);
	return NULL;
}

static void race(int (*call)(struct kvol_error *e), const char *what)
{
	struct race races[WORKERS];
	pthread_t threads[WORKERS];
	pthread_barrier_t barrier;

	assert_int_equal(pthread_barrier_init(&barrier, NULL, WORKERS), 0);
	for (int i = 0; i < WORKERS; i++) {
		races[i] = (struct race){ .call = call, .barrier = &barrier };
		assert_int_equal(pthread_create(&threads[i], NULL, racer, &races[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	(void)pthread_barrier_destroy(&barrier);
	for (int i = 0; i < WORKERS; i++) {
		if (races[i].r)
			print_error("%s: %s\n", what, races[i].e.msg);
		assert_int_equal(races[i].r, 0);
	}
}

static int create_one(struct kvol_error *e)
{
	return kvol_create(pool, "one", MIB(8), NULL, e);
}

static int create_with_fs(struct kvol_error *e)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };

	return kvol_create(pool, "with fs", MIB(16), &o, e);
}

static int snapshot_one(struct kvol_error *e)
{
	return kvol_snapshot(pool, "one", "one@1", NULL, e);
}

static int clone_one(struct kvol_error *e)
{
	return kvol_clone(pool, "one@1", "two", NULL, e);
}

static int expand_one(struct kvol_error *e)
{
	return kvol_expand(pool, "with fs", MIB(32), 0, e);
}

static int publish_fs(struct kvol_error *e)
{
	return kvol_publish(pool, "with fs", a, NULL, e);
}

static int unpublish_fs(struct kvol_error *e)
{
	return kvol_unpublish(pool, "with fs", a, NULL, e);
}

static int publish_node(struct kvol_error *e)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };

	return kvol_publish(pool, "one", node, &o, e);
}

static int unpublish_node(struct kvol_error *e)
{
	return kvol_unpublish(pool, "one", node, NULL, e);
}

static int delete_all(struct kvol_error *e)
{
	static const char *const names[] = { "one", "two", "one@1", "with fs" };
	int r = 0;

	for (size_t i = 0; i < N_OF(names) && r == 0; i++)
		r = kvol_delete(pool, names[i], 0, e);
	return r;
}

static int open_and_close(struct kvol_error *e)
{
	struct kvol_pool *p;
	int r = kvol_pool_open(ctx, pool_path, NULL, &p, e);

	if (r == 0)
		kvol_pool_close(p);
	return r;
}

static void the_same_at_once(void **state)
{
	struct world w;

	(void)state;
	world_now(&w);
	for (int i = 0; i < 3; i++) {
		race(create_one, "create");
		race(create_with_fs, "create with a file system");
		race(snapshot_one, "snapshot");
		race(clone_one, "clone");
		assert_int_equal(count(0), 6);
		race(publish_fs, "publish");
		assert_sh("test $(grep -c ' %s ' /proc/self/mountinfo) = 1", a);
		race(expand_one, "expand");
		race(unpublish_fs, "unpublish");
		assert_false(is_mounted(a));
		race(publish_node, "publish a device");
		race(unpublish_node, "unpublish a device");
		race(delete_all, "delete");
		assert_int_equal(count(0), 2);
	}
	assert_world(&w, "racing", __FILE__, __LINE__);
}

static void all_activate_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_ok(kvol_pool_deactivate(pool, &err));
		kvol_pool_close(pool);
		pool = NULL;
		race(open_and_close, "open");
		assert_ok(kvol_pool_open(ctx, pool_name, NULL, &pool, &err));
	}
}

/* --- Anything by anybody: each result is one that the contract has ---------------- */

static bool expected(int r, const struct kvol_error *e, bool deletes)
{
	switch (r) {
	case 0:
		return true;
	case -ENOENT:
		return e->reason == KVOL_R_NOT_FOUND;
	case -EEXIST:
		return e->reason == KVOL_R_EXISTS_DIFFERENT;
	case -EBUSY: /* others have it published, or another one stands on the target */
		return deletes ? e->reason == KVOL_R_BUSY_PUBLISHED ||
					 e->reason == KVOL_R_BUSY_OPEN
			       : e->reason == KVOL_R_BUSY_OPEN;
	case -EINVAL: /* a snapshot by that name now */
		return e->reason == KVOL_R_UNSUPPORTED;
	default:
		return false;
	}
}

static int step(struct kvol_pool *p, unsigned *seed, struct kvol_error *e,
		unsigned *ret_verb)
{
	struct kvol_publish_opts block = { .size = sizeof(block),
					   .flags = KVOL_PUBLISH_BLOCK };
	struct kvol_info info = { .size = sizeof(info) };
	char n[16], m[16];

	(void)snprintf(n, sizeof(n), "n%d", rand_r(seed) % NAMES);
	(void)snprintf(m, sizeof(m), "n%d", rand_r(seed) % NAMES);
	switch (*ret_verb = (unsigned)rand_r(seed) % 9) {
	case 0:
	case 1:
		return kvol_create(p, n, MIB(8), NULL, e);
	case 2:
		return kvol_snapshot(p, n, m, NULL, e);
	case 3:
		return kvol_clone(p, n, m, NULL, e);
	case 4:
		return kvol_expand(p, n, MIB(16), 0, e);
	case 5:
		return kvol_publish(p, n, node, &block, e);
	case 6:
		return kvol_unpublish(p, n, node, NULL, e);
	case 7:
		return kvol_stat(p, n, &info, e);
	default:
		return kvol_delete(p, n, 0, e);
	}
}

static int many_steps(struct kvol_pool *p, unsigned seed, unsigned steps, char *ret_msg,
		      size_t size)
{
	struct kvol_error e;
	unsigned verb;
	int r;

	for (unsigned i = 0; i < steps; i++) {
		r = step(p, &seed, &e, &verb);
		if (!expected(r, &e, verb == 8)) {
			(void)snprintf(ret_msg, size, "verb %u: %d (%s) %.200s", verb, r,
				       kvol_reason_str(e.reason), e.msg);
			return 1;
		}
	}
	return 0;
}

static int walk(void *arg)
{
	unsigned seed = *(unsigned *)arg;
	struct kvol_pool *p;
	char msg[512] = "";

	CHILD_CHECK(kvol_pool_open(ctx, pool_path, NULL, &p, NULL) == 0);
	if (many_steps(p, seed, 60, msg, sizeof(msg))) {
		print_error("%s\n", msg);
		return __LINE__;
	}
	kvol_pool_close(p);
	return 0;
}

static void *walk_thread(void *arg)
{
	static char msgs[WORKERS][512];
	unsigned n = *(unsigned *)arg;

	return many_steps(pool, 1000 + n, 60, msgs[n], sizeof(msgs[n])) ? msgs[n] : NULL;
}

static void check_pool(void)
{
	char name[16];

	for (int i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		assert_ok(kvol_unpublish(pool, name, node, NULL, &err));
	}
	for (int i = 0; i < NAMES; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		if (exists(name)) {
			assert_ok(publish(name, node, KVOL_PUBLISH_BLOCK, NULL));
			assert_ok(kvol_unpublish(pool, name, node, NULL, &err));
		}
		if (i % 2)
			assert_ok(kvol_delete(pool, name, 0, &err));
	}
}

static void threads(void **state)
{
	unsigned numbers[WORKERS];
	pthread_t ids[WORKERS];
	void *fault;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&ids[i], NULL, walk_thread, &numbers[i]),
				 0);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(ids[i], &fault), 0);
		if (fault)
			print_error("%s\n", (char *)fault);
		assert_null(fault);
	}
	check_pool();
}

static void processes(void **state)
{
	pid_t pids[WORKERS];
	int status;

	(void)state;
	for (unsigned i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(walk(&(unsigned){ i }) ? 1 : 0);
	}
	/* And this one as well, with listings between. */
	for (int i = 0; i < 20; i++)
		(void)count(0);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	check_pool();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_at_once),
		cmocka_unit_test(all_activate_at_once),
		cmocka_unit_test(threads),
		cmocka_unit_test(processes),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("processes", tests, up, pool_down);
}
