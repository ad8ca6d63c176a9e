// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_pool_open, kvol_pool_close, kvol_pool_deactivate.
 */
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system.h"

static int open_path(const char *path, struct kvol_pool **ret)
{
	return kvol_pool_open(ctx, path, NULL, ret, &err);
}

static void by_path_and_by_name(void **state)
{
	struct kvol_pool *p, *q;

	(void)state;
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(open_path(pool_path, &p));
	assert_ok(open_path(pool_name, &q));
	assert_ok(kvol_create(p, "by path", MIB(8), NULL, &err));
	assert_ok(kvol_create(q, "by name", MIB(8), NULL, &err));
	assert_true(exists("by path"));
	assert_true(exists("by name"));
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	kvol_pool_close(p);
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	kvol_pool_close(q);
	kvol_pool_close(NULL);
	/* A refused one did not hurt. */
	assert_ok(kvol_create(pool, "after", MIB(8), NULL, &err));
}

static void closed_but_active(void **state)
{
	(void)state;
	kvol_pool_close(pool);
	pool = NULL;
	assert_ok(open_path(pool_name, &pool));
	assert_true(exists("v"));
	/* Attached with direct I/O, so that nothing is cached twice. */
	assert_sh(
		"grep -qx 1 $(dirname $(grep -lx %s /sys/block/loop*/loop/backing_file))/dio",
		pool_path);
}

static void what_is_not_there(void **state)
{
	struct kvol_pool *p = (void *)0x10;

	(void)state;
	assert_kvol(open_path("nobody", &p), -ENOENT, KVOL_R_NOT_FOUND);
	assert_kvol(open_path(in_dir("absent"), &p), -ENOENT, KVOL_R_NOT_FOUND);
	assert_kvol(open_path(in_dir("pool/x"), &p), -ENOENT, KVOL_R_NOT_FOUND);
	assert_invalid(open_path(NULL, &p));
	assert_invalid(open_path("", &p));
	assert_invalid(open_path("bad name", &p));
	assert_invalid(open_path("..", &p));
	assert_invalid(open_path(pool_path, NULL));
	assert_invalid(kvol_pool_open(NULL, pool_path, NULL, &p, &err));
	assert_ptr_equal(p, (void *)0x10);
	p = NULL;
	assert_opts_rules(struct kvol_open_opts, flags,
			  kvol_pool_open(ctx, pool_path, o, &p, &err));
	assert_non_null(p);
	kvol_pool_close(p);
}

static void every_call_after_deactivation(void **state)
{
	struct kvol_pool_info p = { .size = sizeof(p) };
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter = NULL;
	struct kvol_pool_info before = pool_info();
	struct kvol_pool *again;

	(void)state;
	assert_ok(kvol_pool_deactivate(pool, &err));
	assert_ok(kvol_pool_deactivate(pool, &err));
	assert_sh("! dmsetup info -c --noheadings -o uuid | grep -q %s", before.uuid);
	assert_sh("! losetup -a | grep -q %s", pool_path);
#define SHUT(call) assert_kvol(call, -ESHUTDOWN, KVOL_R_INVALID)
	SHUT(kvol_pool_stat(pool, &p, &err));
	SHUT(kvol_create(pool, "x", MIB(1), NULL, &err));
	SHUT(kvol_snapshot(pool, "v", "x", NULL, &err));
	SHUT(kvol_clone(pool, "v", "x", NULL, &err));
	SHUT(kvol_expand(pool, "v", MIB(64), 0, &err));
	SHUT(kvol_delete(pool, "v", 0, &err));
	SHUT(kvol_stat(pool, "v", &info, &err));
	SHUT(kvol_list(pool, 0, &iter, &err));
	SHUT(publish("v", dir, 0, NULL));
	SHUT(kvol_unpublish(pool, "v", dir, NULL, &err));
#undef SHUT
	assert_kvol(open_path(pool_name, &again), -ENOENT, KVOL_R_NOT_FOUND);
	/* Another handle may bring the pool up again; this one stays shut. */
	assert_ok(open_path(pool_path, &again));
	assert_int_equal(kvol_stat(pool, "v", &info, NULL), -ESHUTDOWN);
	assert_ok(kvol_pool_deactivate(pool, &err));
	assert_ok(kvol_stat(again, "v", &info, &err));
	kvol_pool_close(pool);
	pool = again;
	assert_true(exists("v"));
	assert_invalid(kvol_pool_deactivate(NULL, &err));
}

static void the_disk_moves(void **state)
{
	char moved[256];

	(void)state;
	(void)snprintf(moved, sizeof(moved), "%s", in_dir("moved"));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	assert_int_equal(rename(pool_path, moved), 0);
	assert_ok(open_path(moved, &pool));
	assert_string_equal(pool_info().device, moved);
	assert_string_equal(pool_info().name, pool_name);
	assert_true(exists("v"));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	assert_int_equal(rename(moved, pool_path), 0);
	assert_ok(open_path(pool_path, &pool));
}

static void a_copy_beside_the_original(void **state)
{
	struct kvol_pool *p = NULL;
	uint64_t digest;

	(void)state;
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	assert_sh("cp --sparse=always %s %s", pool_path, in_dir("copy"));
	assert_ok(open_path(pool_path, &pool));
	digest = file_digest(in_dir("copy"));
	assert_kvol(open_path(in_dir("copy"), &p), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(file_digest(in_dir("copy")), digest);
	/* Another name for the same file is no copy. */
	assert_sh("ln %s %s", pool_path, in_dir("hardlink"));
	assert_ok(open_path(in_dir("hardlink"), &p));
	kvol_pool_close(p);
	assert_sh("rm %s %s", in_dir("copy"), in_dir("hardlink"));
}

static void two_of_one_name(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = GIB(1) };
	struct kvol_pool *p = NULL;

	(void)state;
	assert_ok(kvol_pool_format(ctx, pool_name, in_dir("twin"), &o, &err));
	assert_kvol(open_path(in_dir("twin"), &p), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_pool_deactivate(pool, &err));
	assert_ok(open_path(in_dir("twin"), &p));
	kvol_pool_close(pool);
	pool = NULL;
	assert_kvol(open_path(pool_path, &pool), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_pool_deactivate(p, &err));
	kvol_pool_close(p);
	assert_ok(open_path(pool_path, &pool));
	assert_int_equal(unlink(in_dir("twin")), 0);
}

/* A device of ours that somebody holds open. */
static void held_by_somebody(void **state)
{
	char device[128];
	FILE *f;

	(void)state;
	assert_ok(publish("v", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	(void)snprintf(device, sizeof(device), "%s", info_of("v").device);
	f = fopen(device, "re");
	assert_non_null(f);
	assert_ok(kvol_unpublish(pool, "v", in_dir("dev"), NULL, &err));
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_true(exists("v"));
	assert_int_equal(fclose(f), 0);
	pool_cycle();
}

static int without_admin(void *arg)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	struct kvol_pool *p = NULL;
	struct kvol_error e;

	CHILD_CHECK(syscall(SYS_capget, &h, d) == 0);
	d[0].effective &= ~(1u << CAP_SYS_ADMIN);
	d[0].permitted &= ~(1u << CAP_SYS_ADMIN);
	CHILD_CHECK(syscall(SYS_capset, &h, d) == 0);
	CHILD_CHECK(kvol_pool_open(ctx, arg, NULL, &p, &e) == -EPERM);
	CHILD_CHECK(e.code == -EPERM && e.reason == KVOL_R_SYSTEM && e.msg[0] && !p);
	return 0;
}

static int as_nobody(void *arg)
{
	struct kvol_pool *p = NULL;
	struct kvol_error e;

	CHILD_CHECK(setresuid(65534, 65534, 65534) == 0);
	CHILD_CHECK(kvol_pool_open(ctx, arg, NULL, &p, &e) == -EPERM);
	CHILD_CHECK(e.code == -EPERM && e.reason == KVOL_R_SYSTEM && e.msg[0] && !p);
	return 0;
}

static void without_the_privilege(void **state)
{
	(void)state;
	assert_int_equal(in_child(as_nobody, pool_name), 0);
	assert_int_equal(in_child(without_admin, pool_name), 0);
	assert_int_equal(in_child(without_admin, pool_path), 0);
	assert_true(exists("v"));
}

static void handles_leave_nothing(void **state)
{
	struct kvol_pool *p;
	struct world w;

	(void)state;
	/* SQLite keeps one file descriptor of a closed connection for the next as long as
	 * another one is open, because closing it would drop the other's locks. */
	assert_ok(open_path(pool_name, &p));
	kvol_pool_close(p);
	world_now(&w);
	for (int i = 0; i < 10; i++) {
		assert_ok(open_path(i % 2 ? pool_path : pool_name, &p));
		kvol_pool_close(p);
	}
	assert_world(&w, "opening", __FILE__, __LINE__);
	pool_cycle();
	world_now(&w);
	for (int i = 0; i < 3; i++)
		pool_cycle();
	assert_world(&w, "activating", __FILE__, __LINE__);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_path_and_by_name),
		cmocka_unit_test(closed_but_active),
		cmocka_unit_test(what_is_not_there),
		cmocka_unit_test(every_call_after_deactivation),
		cmocka_unit_test(the_disk_moves),
		cmocka_unit_test(a_copy_beside_the_original),
		cmocka_unit_test(two_of_one_name),
		cmocka_unit_test(held_by_somebody),
		cmocka_unit_test(without_the_privilege),
		cmocka_unit_test(handles_leave_nothing),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("open", tests, pool_up, pool_down);
}
