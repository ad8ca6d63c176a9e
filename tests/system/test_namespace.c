// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing into other mount namespaces, as for containers.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

static char a[256], node[256];
static struct resident r;

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	assert_ok(create_fs("v", MIB(64), "ext4"));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	return 0;
}

static int start(void **state)
{
	(void)state;
	r = resident_start();
	return 0;
}

static int end(void **state)
{
	(void)state;
	resident_end(&r);
	return 0;
}

static int writes_inside(void *arg)
{
	int fd;

	(void)arg;
	CHILD_CHECK(is_mounted(a));
	fd = open(in_dir("a/inside"), O_CREAT | O_WRONLY, 0600);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(write(fd, "in", 2) == 2);
	return 0;
}

static int sees_nothing(void *arg)
{
	(void)arg;
	CHILD_CHECK(!is_mounted(a));
	CHILD_CHECK(access(in_dir("a/inside"), F_OK) < 0);
	return 0;
}

static void inside_and_not_outside(void **state)
{
	(void)state;
	assert_ok(publish_in("v", a, 0, r.ns));
	assert_false(is_mounted(a));
	assert_int_equal(in_namespace(r.ns, writes_inside, NULL), 0);
	assert_int_equal(access(in_dir("a/inside"), F_OK), -1);
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(publish_in("v", a, 0, r.ns));
	assert_kvol(publish_in("v", a, KVOL_PUBLISH_READONLY, r.ns), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_ok(unpublish_in("v", a, r.ns));
	assert_int_equal(in_namespace(r.ns, sees_nothing, NULL), 0);
	assert_ok(unpublish_in("v", a, r.ns));
	assert_string_equal(info_of("v").device, "");
}

/* One path, two namespaces: two targets. */
static void the_same_path_here_and_there(void **state)
{
	(void)state;
	assert_ok(publish_in("v", a, 0, r.ns));
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_int_equal(info_of("v").n_targets, 2);
	assert_string_equal(read_file(in_dir("a/inside")), "in");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_int_equal(in_namespace(r.ns, writes_inside, NULL), 0);
	assert_ok(unpublish_in("v", a, r.ns));
	assert_int_equal(info_of("v").n_targets, 0);
}

/* However it is called, it is the same namespace. */
static void one_namespace_by_several_paths(void **state)
{
	const char *bound = make_file("bound");

	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_ok(publish_in("v", a, 0, "/proc/self/ns/mnt"));
	assert_ok(publish_in("v", a, 0, ""));
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(unpublish_in("v", a, "/proc/self/ns/mnt"));
	assert_false(is_mounted(a));

	if (mount(r.ns, bound, NULL, MS_BIND, NULL) < 0)
		skip();
	assert_ok(publish_in("v", a, 0, bound));
	assert_ok(publish_in("v", a, 0, r.ns));
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(unpublish_in("v", a, r.ns));
	assert_int_equal(in_namespace(r.ns, sees_nothing, NULL), 0);
	assert_int_equal(umount(bound), 0);
}

static void refused(void **state)
{
	(void)state;
	assert_kvol(publish_in("v", a, 0, "/proc/0/ns/mnt"), -ENOENT, KVOL_R_NOT_FOUND);
	assert_kvol(publish_in("v", a, 0, in_dir("absent")), -ENOENT, KVOL_R_NOT_FOUND);
	assert_invalid(publish_in("v", a, 0, "/proc/self/ns/net"));
	assert_invalid(publish_in("v", a, 0, node));
	assert_invalid(publish_in("v", a, 0, dir));
	assert_invalid(publish_in("v", a, 0, "/dev/null"));
	assert_kvol(publish_in("v", in_dir("absent"), 0, r.ns), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_kvol(publish_in("v", node, 0, r.ns), -ENOTDIR, KVOL_R_INVALID);
	assert_kvol(publish_in("v", a, KVOL_PUBLISH_BLOCK, r.ns), -EISDIR,
		    KVOL_R_INVALID);
	assert_sh("cd %s && mkdir -p real && ln -sfn real link", dir);
	assert_kvol(publish_in("v", in_dir("link"), 0, r.ns), -ELOOP, KVOL_R_INVALID);
	assert_ok(unpublish_in("v", a, "/proc/0/ns/mnt"));
	assert_ok(unpublish_in("v", a, in_dir("absent")));
}

static int covers(void *arg)
{
	(void)arg;
	CHILD_CHECK(mount("none", a, "tmpfs", 0, NULL) == 0);
	return 0;
}

static int uncovers(void *arg)
{
	(void)arg;
	CHILD_CHECK(umount(a) == 0);
	return 0;
}

static void something_else_on_the_target(void **state)
{
	(void)state;
	assert_int_equal(in_namespace(r.ns, covers, NULL), 0);
	assert_kvol(publish_in("v", a, 0, r.ns), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_int_equal(in_namespace(r.ns, uncovers, NULL), 0);
}

static int reads_the_device(void *arg)
{
	struct stat st;

	(void)arg;
	CHILD_CHECK(stat(node, &st) == 0 && S_ISBLK(st.st_mode));
	CHILD_CHECK(open(node, O_RDWR | O_CLOEXEC) >= 0);
	return 0;
}

static void a_device(void **state)
{
	struct stat st;

	(void)state;
	assert_ok(publish_in("raw", node, KVOL_PUBLISH_BLOCK, r.ns));
	assert_ok(publish_in("raw", node, KVOL_PUBLISH_BLOCK, r.ns));
	assert_int_equal(in_namespace(r.ns, reads_the_device, NULL), 0);
	assert_int_equal(stat(node, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_ok(unpublish_in("raw", node, r.ns));
	assert_string_equal(info_of("raw").device, "");
}

/* The kernel takes the mounts of a namespace that has ended away in its own time, and the
 * device goes with the last of them. */
static void wait_for_no_device(const char *name)
{
	for (int i = 0; i < 1500 && info_of(name).device[0]; i++)
		pause_ms(20);
	assert_string_equal(info_of(name).device, "");
}

static void cycle_in_its_own_time(void)
{
	int result = -EBUSY;

	for (int i = 0; i < 1500 && result == -EBUSY; i++) {
		result = kvol_pool_deactivate(pool, &err);
		if (result == -EBUSY)
			pause_ms(20);
	}
	assert_ok(result);
	pool_reopen();
}

/* A container's namespace ends without anybody unpublishing. */
static void the_namespace_ends(void **state)
{
	char ns[64];

	(void)state;
	assert_ok(publish_in("v", a, 0, r.ns));
	(void)snprintf(ns, sizeof(ns), "%s", r.ns);
	resident_end(&r);
	assert_ok(unpublish_in("v", a, ns));
	assert_int_equal(info_of("v").n_targets, 0);
	wait_for_no_device("v");

	r = resident_start();
	assert_ok(publish_in("v", a, 0, r.ns));
	assert_ok(publish_in("raw", node, KVOL_PUBLISH_BLOCK, r.ns));
	resident_end(&r);
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_ok(kvol_delete(pool, "s", 0, &err));
	cycle_in_its_own_time(); /* nothing is published any more */
	assert_int_equal(info_of("v").n_targets, 0);
	assert_int_equal(info_of("raw").n_targets, 0);
}

/* Another namespace copied the mount: the device goes when the copy does. */
static void a_copied_mount(void **state)
{
	struct resident copy;

	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	copy = resident_start();
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	/* Wanted again before it went: it stays. */
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	resident_end(&copy);
	assert_true(is_mounted(a));
	write_file(in_dir("a/again"), "x");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	wait_for_no_device("v");
}

static void the_caller_stays_where_it_is(void **state)
{
	char before[64], after[64], cwd[1024];

	(void)state;
	assert_int_equal(chdir(dir), 0);
	memset(before, 0, sizeof(before));
	memset(after, 0, sizeof(after));
	assert_true(readlink("/proc/thread-self/ns/mnt", before, sizeof(before) - 1) > 0);
	assert_ok(publish_in("v", a, 0, r.ns));
	assert_ok(unpublish_in("v", a, r.ns));
	assert_true(readlink("/proc/thread-self/ns/mnt", after, sizeof(after) - 1) > 0);
	assert_string_equal(before, after);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_string_equal(cwd, dir);
	assert_int_equal(chdir("/"), 0);
}

/* --- A caller that is started anew, in a namespace of its own --------------------- */

static char shared[256];

static int in_a_new_one(void *arg)
{
	struct kvol_publish_opts readonly = { .size = sizeof(readonly),
					      .flags = KVOL_PUBLISH_READONLY };
	struct kvol_ctx *mine = NULL;
	struct kvol_pool *here = NULL;
	const char *what = arg;
	int fd;

	CHILD_CHECK(unshare(CLONE_NEWNS) == 0);
	CHILD_CHECK(kvol_new(NULL, &mine, NULL) == 0);
	CHILD_CHECK(kvol_pool_open(mine, pool_path, NULL, &here, NULL) == 0);
	CHILD_CHECK(is_mounted(in_dir("shared/t")));
	if (!strcmp(what, "publish")) {
		CHILD_CHECK(kvol_publish(here, "v", shared, NULL, NULL) == 0);
		CHILD_CHECK(kvol_publish(here, "v", shared, NULL, NULL) == 0);
		CHILD_CHECK(kvol_publish(here, "v", shared, &readonly, NULL) == -EEXIST);
		CHILD_CHECK(kvol_publish(here, "raw", shared, NULL, NULL) < 0);
	}
	/* Not another volume's. */
	CHILD_CHECK(kvol_unpublish(here, "raw", shared, NULL, NULL) == 0);
	CHILD_CHECK(is_mounted(in_dir("shared/t")));
	fd = open(in_dir("shared/t/file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(kvol_unpublish(here, "v", shared, NULL, NULL) == -EBUSY);
	(void)close(fd);
	CHILD_CHECK(kvol_unpublish(here, "v", shared, NULL, NULL) == 0);
	CHILD_CHECK(!is_mounted(in_dir("shared/t")));
	CHILD_CHECK(kvol_unpublish(here, "v", shared, NULL, NULL) == 0);
	kvol_pool_close(here);
	kvol_free(mine);
	return 0;
}

static void started_anew(void **state)
{
	static char ways[][16] = { "unpublish", "publish" };
	char path[256];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", make_dir("shared"));
	assert_int_equal(mount("none", path, "tmpfs", 0, NULL), 0);
	assert_int_equal(mount(NULL, path, NULL, MS_SHARED, NULL), 0);
	(void)snprintf(shared, sizeof(shared), "%s", make_dir("shared/t"));
	for (size_t i = 0; i < N_OF(ways); i++) {
		assert_ok(kvol_publish(pool, "v", shared, NULL, &err));
		assert_int_equal(in_child(in_a_new_one, ways[i]), 0);
		assert_false(is_mounted(shared));
		wait_for_no_device("v");
		assert_int_equal(info_of("v").n_targets, 0);
		assert_ok(kvol_unpublish(pool, "v", shared, NULL, &err));
	}
	assert_int_equal(umount(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(inside_and_not_outside, start, end),
		cmocka_unit_test_setup_teardown(the_same_path_here_and_there, start, end),
		cmocka_unit_test_setup_teardown(one_namespace_by_several_paths, start,
						end),
		cmocka_unit_test_setup_teardown(refused, start, end),
		cmocka_unit_test_setup_teardown(something_else_on_the_target, start, end),
		cmocka_unit_test_setup_teardown(a_device, start, end),
		cmocka_unit_test_setup_teardown(the_namespace_ends, start, end),
		cmocka_unit_test(a_copied_mount),
		cmocka_unit_test(started_anew),
		cmocka_unit_test_setup_teardown(the_caller_stays_where_it_is, start, end),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("namespace", tests, up, pool_down);
}
