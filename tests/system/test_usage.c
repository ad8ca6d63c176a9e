// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_usage, held against thin_ls of the thin-provisioning-tools, and while somebody
 * writes, snapshots and asks at the same time.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

static struct kvol_usage_info usage_of(const char *name)
{
	struct kvol_usage_info info = { .size = sizeof(info) };

	assert_ok(kvol_usage(pool, name, &info, &err));
	assert_int_equal(info.exclusive + info.shared, info_of(name).allocated);
	return info;
}

/* Random blocks, so that trees have odd shapes; of 64 KiB, whole ones. */
static void write_some(const char *name, unsigned seed, unsigned n)
{
	static _Alignas(4096) char block[KIB(64)];
	int fd;

	memset(block, 'a' + (int)(seed % 26), sizeof(block));
	assert_ok(publish(name, make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	fd = open(in_dir("dev"), O_WRONLY | O_DIRECT | O_CLOEXEC);
	assert_true(fd >= 0);
	while (n--) {
		seed = seed * 1664525u + 1013904223u;
		assert_int_equal(pwrite(fd, block, sizeof(block),
					(off_t)((seed >> 8) % 2048 * KIB(64))),
				 sizeof(block));
	}
	(void)close(fd);
	assert_ok(kvol_unpublish(pool, name, in_dir("dev"), NULL, &err));
}

/* All devices' exclusive blocks, in the order of their ids, as that tool counts them. */
static void assert_thin_ls(const char *const *names, size_t n)
{
	char pool_device[64], expected[512] = "";
	size_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(expected + used, sizeof(expected) - used, "%llu\n",
					 (unsigned long long)usage_of(names[i]).exclusive /
						 KIB(64));
	(void)snprintf(pool_device, sizeof(pool_device), "kvol-%.8s", pool_info().uuid);
	write_file(in_dir("expected"), expected);
	assert_sh("dmsetup message %s-pool 0 reserve_metadata_snap", pool_device);
	assert_sh("thin_ls --metadata-snap --no-headers -o DEV,EXCLUSIVE_BLOCKS "
		  "/dev/dm-$(dmsetup info -c --noheadings -o minor %s-metadata) >%s",
		  pool_device, in_dir("raw"));
	assert_sh("dmsetup message %s-pool 0 release_metadata_snap", pool_device);
	assert_sh("sort -n %s | awk '{ print $2 }' >%s", in_dir("raw"), in_dir("listed"));
	assert_sh("diff %s %s", in_dir("expected"), in_dir("listed"));
}

static void as_thin_ls_counts(void **state)
{
	/* In the order of their making, which is that of their ids. */
	static const char *const names[] = { "plain", "v", "s1", "s2", "c" };

	(void)state;
	assert_ok(kvol_create(pool, "plain", MIB(128), NULL, &err));
	write_some("plain", 1, 300);
	assert_int_equal(usage_of("plain").shared, 0);
	assert_true(usage_of("plain").exclusive > 0);
	assert_ok(kvol_create(pool, "v", MIB(128), NULL, &err));
	write_some("v", 2, 1500);
	assert_int_equal(usage_of("v").shared, 0);
	assert_ok(kvol_snapshot(pool, "v", "s1", NULL, &err));
	assert_int_equal(usage_of("v").exclusive, 0);
	assert_int_equal(usage_of("s1").exclusive, 0);
	assert_int_equal(usage_of("s1").shared, info_of("v").allocated);
	write_some("v", 3, 400);
	assert_ok(kvol_snapshot(pool, "v", "s2", NULL, &err));
	write_some("v", 4, 200);
	assert_ok(kvol_clone(pool, "s1", "c", NULL, &err));
	write_some("c", 5, 700);
	assert_thin_ls(names, N_OF(names));
	/* What it says comes back, and no more. */
	{
		uint64_t used = pool_info().data_used;
		uint64_t exclusive = usage_of("s2").exclusive;

		assert_true(exclusive > 0);
		assert_ok(kvol_delete(pool, "s2", 0, &err));
		assert_int_equal(pool_info().data_used, used - exclusive);
	}
	assert_ok(kvol_delete(pool, "s1", 0, &err));
	assert_int_equal(usage_of("v").shared, usage_of("c").shared);
	pool_cycle();
	assert_int_equal(usage_of("v").shared, usage_of("c").shared);
}

static pid_t ask_for_ever(const char *name)
{
	struct kvol_usage_info info = { .size = sizeof(info) };
	struct kvol_pool *mine;
	struct kvol_ctx *own;
	pid_t pid = fork();

	if (pid)
		return pid;
	if (kvol_new(NULL, &own, NULL) < 0 ||
	    kvol_pool_open(own, pool_path, NULL, &mine, NULL) < 0)
		_exit(1);
	for (;;)
		if (kvol_usage(mine, name, &info, NULL) < 0)
			_exit(2);
}

static bool held(void)
{
	return sh("dmsetup status kvol-%.8s-pool | awk '{ exit $7 == \"-\" }'",
		  pool_info().uuid) == 0;
}

/* Some ask, one is killed in it, and the volume changes all the time. */
static void many_at_once(void **state)
{
	pid_t pids[3];
	int status;

	(void)state;
	for (size_t i = 0; i < N_OF(pids); i++)
		pids[i] = ask_for_ever("v");
	for (unsigned i = 0; i < 6; i++) {
		write_some("c", i, 40);
		assert_ok(kvol_snapshot(pool, "c", "during", NULL, &err));
		(void)usage_of("plain");
		assert_ok(kvol_delete(pool, "during", 0, &err));
	}
	for (size_t i = 0; i < N_OF(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0); /* no failure */
		assert_int_equal(kill(pids[i], SIGKILL), 0);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
	}
	(void)usage_of("v");
	assert_false(held());
	/* What is left of one that was killed goes with the next open. */
	assert_sh("dmsetup message kvol-%.8s-pool 0 reserve_metadata_snap",
		  pool_info().uuid);
	assert_true(held());
	pool_reopen();
	assert_false(held());
}

static void refusals(void **state)
{
	struct kvol_usage_info info = { .size = sizeof(info) }, small = { .size = 4 };

	(void)state;
	assert_invalid(kvol_usage(NULL, "v", &info, &err));
	assert_invalid(kvol_usage(pool, NULL, &info, &err));
	assert_invalid(kvol_usage(pool, "v", NULL, &err));
	assert_invalid(kvol_usage(pool, "v", &small, &err));
	assert_kvol(kvol_usage(pool, "none", &info, &err), -ENOENT, KVOL_R_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_thin_ls_counts),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(refusals),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("usage", tests, pool_up, pool_down);
}
