/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The run directory: whose it must be, and that no record in it is believed that is not
 * well-formed.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "rundir.h"

#define UUID_A "0a0a0a0a-0000-4000-8000-00000000000a"
#define UUID_B "0b0b0b0b-0000-4000-8000-00000000000b"

struct place {
	char base[64], path[96];
	int run_fd, pool_fd;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->base, sizeof(p->base), "/tmp/kvol-run-XXXXXX");
	assert_non_null(mkdtemp(p->base));
	(void)snprintf(p->path, sizeof(p->path), "%s/run", p->base);
	p->run_fd = kv_run_open(p->path);
	assert_true(p->run_fd >= 0);
	p->pool_fd = kv_run_open_pool(p->run_fd, UUID_A);
	assert_true(p->pool_fd >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	static const char *const dirs[] = { UUID_A, UUID_B, "other" };
	struct place *p = *state;
	char name[128];

	for (size_t i = 0; i < KV_ARRAY_SIZE(dirs); i++) {
		(void)snprintf(name, sizeof(name), "%s/pool", dirs[i]);
		(void)unlinkat(p->run_fd, name, 0);
		(void)unlinkat(p->run_fd, dirs[i], AT_REMOVEDIR);
	}
	(void)close(p->run_fd);
	(void)close(p->pool_fd);
	assert_int_equal(rmdir(p->path), 0);
	assert_int_equal(rmdir(p->base), 0);
	free(p);
	return 0;
}

static void directory_is_made_for_its_owner_alone(void **state)
{
	struct place *p = *state;
	struct stat st;
	int fd;

	assert_int_equal(fstat(p->run_fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(fstat(p->pool_fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_true(fcntl(p->run_fd, F_GETFD) & FD_CLOEXEC);
	fd = kv_run_open(p->path);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void directory_that_others_may_write_to_is_refused(void **state)
{
	struct place *p = *state;

	assert_int_equal(fchmod(p->run_fd, 0770), 0);
	assert_int_equal(kv_run_open(p->path), -EPERM);
	assert_int_equal(fchmod(p->run_fd, 0702), 0);
	assert_int_equal(kv_run_open(p->path), -EPERM);
	assert_int_equal(fchmod(p->run_fd, 0755), 0);
	(void)close(kv_run_open(p->path));
	assert_int_equal(fchmod(p->pool_fd, 0777), 0);
	assert_int_equal(kv_run_open_pool(p->run_fd, UUID_A), -EPERM);
}

static void link_or_file_in_its_place_is_refused(void **state)
{
	struct place *p = *state;
	int fd;

	assert_int_equal(symlinkat(UUID_A, p->run_fd, UUID_B), 0);
	fd = kv_run_open_pool(p->run_fd, UUID_B);
	assert_true(fd == -ELOOP || fd == -ENOTDIR);
	assert_int_equal(unlinkat(p->run_fd, UUID_B, 0), 0);
	(void)close(openat(p->run_fd, UUID_B, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(kv_run_open_pool(p->run_fd, UUID_B), -ENOTDIR);
	assert_int_equal(unlinkat(p->run_fd, UUID_B, 0), 0);
	assert_int_equal(kv_run_open("/nonexistent/run"), -ENOENT);
}

static void record_is_read_as_it_was_written(void **state)
{
	struct kv_run_pool a = { .name = "tank", .device = "/dev/disk/by-id/x" }, b;
	struct place *p = *state;

	assert_int_equal(kv_run_read(p->pool_fd, &b), -ENOENT);
	assert_int_equal(kv_run_write(p->pool_fd, &a), 0);
	assert_int_equal(kv_run_read(p->pool_fd, &b), 0);
	assert_string_equal(a.name, b.name);
	assert_string_equal(a.device, b.device);
	memset(a.name, 'n', KV_POOL_NAME_MAX);
	memset(a.device, 'd', sizeof(a.device) - 1);
	assert_int_equal(kv_run_write(p->pool_fd, &a), 0);
	assert_int_equal(kv_run_read(p->pool_fd, &b), 0);
	assert_string_equal(a.name, b.name);
	assert_string_equal(a.device, b.device);
	assert_int_equal(kv_run_remove(p->pool_fd), 0);
	assert_int_equal(kv_run_remove(p->pool_fd), 0);
	assert_int_equal(kv_run_read(p->pool_fd, &b), -ENOENT);
}

/* A device's path may be as odd as any path. */
static void device_with_a_newline_is_read_as_it_was_written(void **state)
{
	struct kv_run_pool a = { .name = "tank", .device = "/dev/a\nb" }, b;
	struct place *p = *state;

	assert_int_equal(kv_run_write(p->pool_fd, &a), 0);
	assert_int_equal(kv_run_read(p->pool_fd, &b), 0);
	assert_string_equal(a.device, b.device);
}

static void hostile_records_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"tank",
		"tank\n",
		"tank\ndevice",
		"\ndevice\n",
		"../x\ndevice\n",
		".\ndevice\n",
		"a b\ndevice\n",
	};
	struct kv_run_pool before = { .name = "untouched" }, p1 = before;
	struct place *p = *state;
	char big[1024];

	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			kv_write_file_at(p->pool_fd, "pool", bad[i], strlen(bad[i])), 0);
		assert_int_equal(kv_run_read(p->pool_fd, &p1), -EUCLEAN);
		assert_memory_equal(&p1, &before, sizeof(p1));
	}
	memset(big, 'x', sizeof(big));
	big[20] = '\n';
	big[sizeof(big) - 1] = '\n';
	assert_int_equal(kv_write_file_at(p->pool_fd, "pool", big, sizeof(big)), 0);
	assert_true(kv_run_read(p->pool_fd, &p1) < 0);
	big[200] = '\n';
	assert_int_equal(kv_write_file_at(p->pool_fd, "pool", big, 201), 0);
	assert_true(kv_run_read(p->pool_fd, &p1) < 0);
	assert_memory_equal(&p1, &before, sizeof(p1));
}

static int count(const char *uuid, const struct kv_run_pool *rec, void *arg)
{
	assert_true(kv_uuid_valid(uuid));
	assert_string_equal(rec->name, uuid[1] == 'a' ? "a" : "b");
	return ++*(int *)arg == 99;
}

static int stop(const char *uuid, const struct kv_run_pool *rec, void *arg)
{
	(void)uuid;
	(void)rec;
	(void)arg;
	return 42;
}

static void each_visits_well_formed_records_of_pools_alone(void **state)
{
	struct kv_run_pool a = { .name = "a", .device = "/a" },
			   b = { .name = "b", .device = "/b" };
	struct place *p = *state;
	int n = 0, fd;

	assert_int_equal(kv_run_each(p->run_fd, count, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(kv_run_write(p->pool_fd, &a), 0);
	fd = kv_run_open_pool(p->run_fd, UUID_B);
	assert_int_equal(kv_run_write(fd, &b), 0);
	assert_int_equal(mkdirat(p->run_fd, "other", 0700), 0);
	assert_int_equal(kv_run_each(p->run_fd, count, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(kv_run_each(p->run_fd, stop, NULL), 42);
	n = 0;
	assert_int_equal(kv_write_file_at(fd, "pool", "junk", 4), 0);
	assert_int_equal(kv_run_each(p->run_fd, count, &n), 0);
	assert_int_equal(n, 1);
	(void)close(fd);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(directory_is_made_for_its_owner_alone),
		in_place(directory_that_others_may_write_to_is_refused),
		in_place(link_or_file_in_its_place_is_refused),
		in_place(record_is_read_as_it_was_written),
		in_place(device_with_a_newline_is_read_as_it_was_written),
		in_place(hostile_records_are_refused),
		in_place(each_visits_well_formed_records_of_pools_alone),
	};

	return cmocka_run_group_tests_name("rundir", tests, NULL, NULL);
}
