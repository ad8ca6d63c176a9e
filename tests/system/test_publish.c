// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_publish and kvol_unpublish of file systems, in the caller's own mount namespace.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

#define RO KVOL_PUBLISH_READONLY

static char a[256], b[256]; /* two targets */

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	assert_ok(create_fs("v", MIB(64), "ext4"));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	return 0;
}

static void there_and_away(void **state)
{
	struct kvol_info info;
	struct world w;

	(void)state;
	world_now(&w);
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_true(is_mounted(a));
	info = info_of("v");
	assert_int_equal(info.n_targets, 1);
	assert_sh("grep -q ' %s .* - ext4 %s ' /proc/self/mountinfo", a, info.device);
	write_file(in_dir("a/file"), "text");
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_false(is_mounted(a));
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_string_equal(info_of("v").device, "");
	assert_world(&w, "a publish", __FILE__, __LINE__);
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_string_equal(read_file(in_dir("a/file")), "text");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
}

static void several_targets(void **state)
{
	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_ok(kvol_publish(pool, "v", b, NULL, &err));
	assert_int_equal(info_of("v").n_targets, 2);
	write_file(in_dir("a/both"), "seen");
	assert_string_equal(read_file(in_dir("b/both")), "seen");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_string_equal(read_file(in_dir("b/both")), "seen");
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(kvol_unpublish(pool, "v", b, NULL, &err));
}

static void read_only(void **state)
{
	(void)state;
	assert_ok(publish("v", a, RO, NULL));
	assert_ok(kvol_publish(pool, "v", b, NULL, &err));
	assert_int_equal(open(in_dir("a/x"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	write_file(in_dir("b/x"), "written");
	assert_string_equal(read_file(in_dir("a/x")), "written");
	assert_ok(publish("v", a, RO, NULL));
	assert_ok(publish("v", a, 0, "ro")); /* says the same */
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(publish("v", b, RO, NULL), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", b, NULL, &err));
	/* A snapshot is read-only anyhow. */
	assert_ok(kvol_publish(pool, "s", a, NULL, &err));
	assert_ok(publish("s", a, RO, NULL));
	assert_int_equal(open(in_dir("a/x"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	assert_ok(kvol_unpublish(pool, "s", a, NULL, &err));
}

static void options(void **state)
{
	const char *own;

	(void)state;
	assert_ok(publish("v", a, 0, "noatime,nodev,nosuid,noexec,commit=17"));
	own = mount_options(a, false);
	assert_non_null(strstr(own, "noatime"));
	assert_non_null(strstr(own, "nodev"));
	assert_non_null(strstr(own, "nosuid"));
	assert_non_null(strstr(own, "noexec"));
	assert_non_null(strstr(mount_options(a, true), "commit=17"));
	assert_ok(publish("v", a, 0, "noatime,nodev,nosuid,noexec,commit=17"));
	assert_ok(publish("v", a, 0, "noexec,nosuid,nodev,noatime,commit=17"));
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(publish("v", a, 0, "noatime,commit=17"), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	/* The mount's own options may differ from target to target, the file system's
	 * cannot. */
	assert_ok(publish("v", b, 0, "commit=17"));
	assert_ok(kvol_unpublish(pool, "v", b, NULL, &err));
	assert_kvol(publish("v", b, 0, "commit=18"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_publish(pool, "v", b, NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_ok(publish("v", b, 0, "commit=18"));
	assert_ok(kvol_unpublish(pool, "v", b, NULL, &err));
	/* What fstab and mount(8) know means nothing here. */
	assert_ok(publish("v", a, 0,
			  "defaults,rw,nofail,noauto,_netdev,x-systemd.automount"));
	assert_ok(publish("v", a, 0, ""));
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
}

static void refused_options(void **state)
{
	static const char *const bad[] = {
		"nonsense",
		"nonsense=1",
		"commit=never",
		"remount",
		"bind",
		"rbind",
		"move",
		"loop",
		"loop=/dev/loop0",
		"offset=4096",
		"private",
		"rshared",
		"source=/dev/null",
		"noatime,nonsense",
		"ro=1",
		"a\nb",
		"context=\"unclosed",
		"user",
	};
	char *longest = malloc(10000);

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_invalid(publish("v", a, 0, bad[i]));
	assert_invalid(publish("v", a, 0, "noatime,frobnicate"));
	assert_non_null(strstr(err.msg, "frobnicate"));
	assert_non_null(longest);
	memset(longest, 'x', 9999);
	longest[9999] = 0;
	assert_invalid(publish("v", a, 0, longest));
	free(longest);
	assert_false(is_mounted(a));
}

static void bad_arguments(void **state)
{
	(void)state;
	assert_invalid(kvol_publish(NULL, "v", a, NULL, &err));
	assert_invalid(kvol_unpublish(NULL, "v", a, NULL, &err));
	assert_invalid(kvol_publish(pool, "v", NULL, NULL, &err));
	assert_invalid(kvol_unpublish(pool, "v", NULL, NULL, &err));
	assert_invalid(kvol_publish(pool, "v", "", NULL, &err));
	assert_invalid(kvol_publish(pool, "v", "a", NULL, &err));
	assert_invalid(kvol_publish(pool, "v", "./a", NULL, &err));
	assert_invalid(kvol_unpublish(pool, "v", "a", NULL, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++) {
		assert_invalid(kvol_publish(pool, bad_names[i], a, NULL, &err));
		assert_invalid(kvol_unpublish(pool, bad_names[i], a, NULL, &err));
	}
	assert_opts_rules(struct kvol_publish_opts, mount_namespace, kvol_publish(pool, "v", a, o, &err));
	assert_opts_rules(struct kvol_publish_opts, mount_namespace,
			  kvol_unpublish(pool, "v", a, o, &err));
	assert_kvol(kvol_publish(pool, "absent", a, NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_kvol(kvol_publish(pool, "raw", a, NULL, &err), -EINVAL,
		    KVOL_R_UNSUPPORTED);
}

static void targets_that_are_not_there(void **state)
{
	static char longest[PATH_MAX + 16];

	(void)state;
	assert_kvol(kvol_publish(pool, "v", in_dir("absent"), NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_kvol(kvol_publish(pool, "v", in_dir("absent/x"), NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_kvol(kvol_publish(pool, "v", make_file("plain"), NULL, &err), -ENOTDIR,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("plain/x"), NULL, &err), -ENOTDIR,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", "/dev/null", NULL, &err), -ENOTDIR,
		    KVOL_R_INVALID);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[0] = '/';
	assert_kvol(kvol_publish(pool, "v", longest, NULL, &err), -ENAMETOOLONG,
		    KVOL_R_INVALID);
	assert_invalid(kvol_publish(pool, "v", "/", NULL, &err));
	assert_invalid(kvol_publish(pool, "v", in_dir("a/.."), NULL, &err));
	assert_int_equal(access(in_dir("absent"), F_OK), -1);
}

static void symbolic_links(void **state)
{
	(void)state;
	assert_sh(
		"cd %s && mkdir -p real/sub && ln -s real link && ln -s / root && ln -s nowhere dangling "
		"&& ln -s link again",
		dir);
	assert_kvol(kvol_publish(pool, "v", in_dir("link"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("link/"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("link//"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("link/sub"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("again"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("dangling"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", in_dir("root%s", a), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_kvol(kvol_publish(pool, "v", "/proc/self/cwd", NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_false(is_mounted(in_dir("real")));
	/* Nothing of the volume stands there, so there is nothing to take away. */
	assert_ok(kvol_publish(pool, "v", in_dir("real"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", in_dir("link"), NULL, &err));
	assert_true(is_mounted(in_dir("real")));
	assert_ok(kvol_unpublish(pool, "v", in_dir("real"), NULL, &err));
}

static void one_target_by_several_spellings(void **state)
{
	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_ok(kvol_publish(pool, "v", in_dir("a/"), NULL, &err));
	assert_ok(kvol_publish(pool, "v", in_dir("/a"), NULL, &err));
	assert_ok(kvol_publish(pool, "v", in_dir("./a//."), NULL, &err));
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(kvol_unpublish(pool, "v", in_dir(".///a/"), NULL, &err));
	assert_false(is_mounted(a));
	assert_int_equal(info_of("v").n_targets, 0);
}

static void something_else_on_the_target(void **state)
{
	(void)state;
	assert_int_equal(mount("none", a, "tmpfs", 0, NULL), 0);
	write_file(in_dir("a/foreign"), "x");
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_string_equal(read_file(in_dir("a/foreign")), "x");
	/* Below a foreign mount is a place like others. */
	assert_int_equal(mkdir(in_dir("a/sub"), 0755), 0);
	assert_ok(kvol_publish(pool, "v", in_dir("a/sub"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", in_dir("a/sub"), NULL, &err));
	assert_int_equal(umount(a), 0);

	assert_ok(kvol_publish(pool, "s", a, NULL, &err));
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_true(is_mounted(a));
	assert_ok(kvol_unpublish(pool, "s", a, NULL, &err));
}

/* The volume is still there, below: that is not "unpublished". */
static void something_else_over_the_volume(void **state)
{
	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_int_equal(mount("none", a, "tmpfs", 0, NULL), 0);
	assert_kvol(kvol_unpublish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_int_equal(umount(a), 0);
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_false(is_mounted(a));
}

static void in_use(void **state)
{
	int fd;

	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	fd = open(in_dir("a/open"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_kvol(kvol_unpublish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_true(is_mounted(a));
	assert_int_equal(close(fd), 0);
	assert_int_equal(chdir(a), 0);
	assert_kvol(kvol_unpublish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(mkdir(in_dir("a/below"), 0755), 0);
	assert_int_equal(mount("none", in_dir("a/below"), "tmpfs", 0, NULL), 0);
	assert_kvol(kvol_unpublish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_int_equal(umount(in_dir("a/below")), 0);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
}

/* The kernel is believed, not the memory of it. */
static void unmounted_by_somebody(void **state)
{
	int fd;

	(void)state;
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_int_equal(umount(a), 0);
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_true(is_mounted(a));
	assert_int_equal(umount(a), 0);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_string_equal(info_of("v").device, "");

	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	fd = open(in_dir("a/open"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(umount2(a, MNT_DETACH), 0);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	/* Published again while the old mount hangs on: one file system, one device. */
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_int_equal(write(fd, "late", 4), 4);
	assert_string_equal(read_file(in_dir("a/open")), "late");
	assert_int_equal(close(fd), 0);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_string_equal(info_of("v").device, "");
}

static void the_target_went(void **state)
{
	const char *t = make_dir("goes");

	(void)state;
	assert_ok(kvol_publish(pool, "v", t, NULL, &err));
	assert_int_equal(umount(t), 0);
	assert_int_equal(rmdir(t), 0);
	assert_ok(kvol_unpublish(pool, "v", t, NULL, &err));
	assert_int_equal(info_of("v").n_targets, 0);
	assert_ok(kvol_unpublish(pool, "absent", t, NULL, &err));
}

/* Publishes are the kernel's, not the handle's. */
static void handles_come_and_go(void **state)
{
	(void)state;
	assert_ok(publish("v", a, 0, "noatime"));
	write_file(in_dir("a/x"), "stays");
	pool_reopen();
	assert_string_equal(read_file(in_dir("a/x")), "stays");
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(publish("v", a, 0, "noatime"));
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_non_null(strstr(err.msg, "'v'"));
	assert_string_equal(read_file(in_dir("a/x")), "stays");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_ok(kvol_snapshot(pool, "v", "afterwards", NULL, &err));
	assert_ok(kvol_delete(pool, "afterwards", 0, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_away),
		cmocka_unit_test(several_targets),
		cmocka_unit_test(read_only),
		cmocka_unit_test(options),
		cmocka_unit_test(refused_options),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(targets_that_are_not_there),
		cmocka_unit_test(symbolic_links),
		cmocka_unit_test(one_target_by_several_spellings),
		cmocka_unit_test(something_else_on_the_target),
		cmocka_unit_test(in_use),
		cmocka_unit_test(unmounted_by_somebody),
		cmocka_unit_test(the_target_went),
		cmocka_unit_test(handles_come_and_go),
		cmocka_unit_test(something_else_over_the_volume),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("publish", tests, up, pool_down);
}
