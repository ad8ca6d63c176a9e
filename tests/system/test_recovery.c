// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What killed processes leave, and what the next open makes of it.
 *
 * The children do what a busy node does; they are killed at moments that spread over
 * everything that a verb does. pool_down then holds the thin pool against the catalogue.
 */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

static char a[256];

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	assert_ok(create_fs("base", MIB(32), "ext4"));
	assert_ok(kvol_publish(pool, "base", a, NULL, &err));
	write_file(in_dir("a/file"), "base");
	assert_ok(kvol_unpublish(pool, "base", a, NULL, &err));
	return 0;
}

static unsigned rounds = 12;

/* Goes through all verbs on names of its own until it is killed. */
static void busy(unsigned seed)
{
	struct kvol_create_opts fs = { .size = sizeof(fs), .fs_type = "ext4" };
	struct kvol_publish_opts block = { .size = sizeof(block),
					   .flags = KVOL_PUBLISH_BLOCK };
	char v[32], s[32], c[32];
	struct kvol_pool *p;

	if (kvol_pool_open(ctx, pool_path, NULL, &p, NULL) < 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		(void)snprintf(v, sizeof(v), "v%u-%u", seed, i % 4);
		(void)snprintf(s, sizeof(s), "s%u-%u", seed, i % 4);
		(void)snprintf(c, sizeof(c), "c%u-%u", seed, i % 4);
		(void)kvol_create(p, v, MIB(16), (i + seed) % 4 ? NULL : &fs, NULL);
		(void)kvol_snapshot(p, "base", s, NULL, NULL);
		(void)kvol_clone(p, s, c, NULL, NULL);
		(void)kvol_publish(p, c, a, NULL, NULL);
		(void)kvol_snapshot(p, c, v, NULL, NULL);
		(void)kvol_expand(p, c, MIB(32) + MIB(16) * (i % 3), 0, NULL);
		(void)kvol_unpublish(p, c, a, NULL, NULL);
		(void)kvol_publish(p, v, in_dir("dev"), &block, NULL);
		(void)kvol_unpublish(p, v, in_dir("dev"), NULL, NULL);
		(void)kvol_delete(p, s, 0, NULL);
		if (i % 2) {
			(void)kvol_delete(p, v, 0, NULL);
			(void)kvol_delete(p, c, 0, NULL);
		}
	}
}

static pid_t start(unsigned seed)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		busy(seed);
	return pid;
}

static void kill_after(pid_t pid, long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	int status;

	(void)nanosleep(&t, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

/* A volume that is listed is whole: it can be published as what it says it is, or is as
 * it was asked for. */
static void check_all(void)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;

	/* Left published by a killed one, which is no fault. */
	assert_ok(kvol_list(pool, 0, &iter, &err));
	while (kvol_iter_next(iter, &info) == 1) {
		assert_ok(kvol_unpublish(pool, info.name, a, NULL, &err));
		assert_ok(kvol_unpublish(pool, info.name, in_dir("dev"), NULL, &err));
	}
	kvol_iter_free(iter);
	assert_ok(kvol_list(pool, 0, &iter, &err));
	while (kvol_iter_next(iter, &info) == 1) {
		if (info.fs_type[0]) {
			assert_ok(kvol_publish(pool, info.name, a, NULL, &err));
			if (info.source[0] || !strcmp(info.name, "base"))
				assert_string_equal(read_file(in_dir("a/file")), "base");
			assert_ok(kvol_unpublish(pool, info.name, a, NULL, &err));
		} else {
			assert_ok(publish(info.name, in_dir("dev"), KVOL_PUBLISH_BLOCK,
					  NULL));
			assert_ok(kvol_unpublish(pool, info.name, in_dir("dev"), NULL,
						 &err));
		}
	}
	kvol_iter_free(iter);
}

static void killed_alone(void **state)
{
	(void)state;
	(void)make_file("dev");
	kvol_pool_close(pool);
	pool = NULL;
	for (unsigned i = 0; i < rounds; i++) {
		kill_after(start(i), 30 + 67 * (long)(i % 14));
		assert_ok(kvol_pool_open(ctx, i % 2 ? pool_path : pool_name, NULL, &pool,
					 &err));
		assert_int_equal(pool_info().flags, 0);
		kvol_pool_close(pool);
		pool = NULL;
	}
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	check_all();
	pool_cycle();
}

/* The others go on meanwhile. */
static void killed_beside_others(void **state)
{
	pid_t pids[2];

	(void)state;
	for (unsigned i = 0; i < rounds / 3; i++) {
		pids[0] = start(100 + 2 * i);
		pids[1] = start(101 + 2 * i);
		kill_after(pids[0], 150 + 61 * (long)(i % 14));
		assert_ok(kvol_create(pool, "beside", MIB(8), NULL, &err));
		assert_ok(kvol_snapshot(pool, "beside", "beside@1", NULL, &err));
		assert_ok(kvol_delete(pool, "beside", 0, &err));
		assert_ok(kvol_delete(pool, "beside@1", 0, &err));
		kill_after(pids[1], 100);
	}
	pool_reopen();
	check_all();
}

/* What a snapshot leaves that is killed at its worst moment: a frozen origin. */
static void a_suspended_volume_is_resumed(void **state)
{
	struct kvol_pool *p;
	const char *dm;

	(void)state;
	assert_ok(kvol_publish(pool, "base", a, NULL, &err));
	dm = strrchr(info_of("base").device, '/') + 1;
	assert_sh("dmsetup suspend $(cat /sys/block/%s/dm/name)", dm);
	assert_sh("test $(cat /sys/block/%s/dm/suspended) = 1", dm);
	assert_ok(kvol_pool_open(ctx, pool_name, NULL, &p, &err));
	assert_sh("test $(cat /sys/block/%s/dm/suspended) = 0", dm);
	kvol_pool_close(p);
	write_file(in_dir("a/thawed"), "x");
	assert_ok(kvol_snapshot(pool, "base", "thawed", NULL, &err));
	assert_ok(kvol_unpublish(pool, "base", a, NULL, &err));
	assert_ok(kvol_delete(pool, "thawed", 0, &err));
}

/* A device that was activated for nothing. */
static void an_idle_device_is_taken_down(void **state)
{
	struct kvol_pool_info p;
	struct world w;

	(void)state;
	pool_cycle();
	world_now(&w);
	p = pool_info();
	assert_sh(
		"dmsetup create --noudevsync kvol-%.8s-999 --uuid KVOL-%s-999 --notable",
		p.uuid, p.uuid);
	assert_sh("dmsetup info -c --noheadings -o uuid | grep -qx KVOL-%s-999", p.uuid);
	pool_reopen();
	assert_world(&w, "recovery", __FILE__, __LINE__);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_alone),
		cmocka_unit_test(killed_beside_others),
		cmocka_unit_test(a_suspended_volume_is_resumed),
		cmocka_unit_test(an_idle_device_is_taken_down),
	};

	need_device_mapper();
	if (getenv("KVOL_TEST_LONG"))
		rounds = 300;
	return cmocka_run_group_tests_name("recovery", tests, up, pool_down);
}
