// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Limits of a volume's I/O in a cgroup of the real kernel: io.max says what was asked
 * for, and a writer in the cgroup is counted there.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "system.h"

static const char *root, *group;

static int limit(const struct kvol_io_limits *o)
{
	return kvol_limit_io(pool, "v", group, o, &err);
}

/* The device's number, as io.max has it. */
static const char *number(void)
{
	static char text[32];
	struct stat st;

	assert_int_equal(stat(in_dir("node"), &st), 0);
	(void)snprintf(text, sizeof(text), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	return text;
}

static void limits_are_in_io_max_and_can_be_changed(void **state)
{
	struct kvol_io_limits o = { .size = sizeof(o),
				    .write_bps = MIB(8),
				    .read_iops = 100 };
	const char *dev = number();
	char want[128];

	(void)state;
	assert_ok(limit(&o));
	(void)snprintf(want, sizeof(want), "%s rbps=max wbps=8388608 riops=100 wiops=max",
		       dev);
	assert_non_null(strstr(read_file(in_dir("cg/limited/io.max")), want));
	assert_ok(limit(&o));
	o.read_iops = 0;
	o.write_bps = MIB(4);
	assert_ok(limit(&o));
	(void)snprintf(want, sizeof(want), "%s rbps=max wbps=4194304 riops=max wiops=max",
		       dev);
	assert_non_null(strstr(read_file(in_dir("cg/limited/io.max")), want));
	/* A writer in it is counted, and under the limit. */
	assert_sh("sh -c 'echo $$ > %s/cgroup.procs; exec dd if=/dev/zero of=%s bs=64K "
		  "count=16 oflag=direct conv=notrunc status=none'",
		  group, in_dir("node"));
	assert_sh("grep '^%s .*wbytes=1048576 ' %s/io.stat", dev, group);
	assert_ok(limit(NULL));
	assert_null(strstr(read_file(in_dir("cg/limited/io.max")), dev));
}

static void what_is_not_a_cgroup_is_refused(void **state)
{
	(void)state;
	assert_kvol(kvol_limit_io(pool, "v", in_dir("cg/absent"), NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_invalid(kvol_limit_io(pool, "v", dir, NULL, &err));
	assert_invalid(kvol_limit_io(pool, "v", "relative", NULL, &err));
	assert_int_equal(symlink(group, in_dir("link")), 0);
	assert_kvol(kvol_limit_io(pool, "v", in_dir("link"), NULL, &err), -ELOOP,
		    KVOL_R_INVALID);
	assert_int_equal(unlink(in_dir("link")), 0);
	assert_kvol(kvol_limit_io(pool, "v", in_dir("node"), NULL, &err), -ENOTDIR,
		    KVOL_R_INVALID);
	/* The controller is not handed on below it. */
	make_dir("cg/limited/below");
	assert_kvol(kvol_limit_io(pool, "v", in_dir("cg/limited/below"), NULL, &err),
		    -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT);
	assert_int_equal(rmdir(in_dir("cg/limited/below")), 0);
	assert_ok(kvol_create(pool, "idle", MIB(8), NULL, &err));
	assert_kvol(kvol_limit_io(pool, "idle", group, NULL, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_ok(kvol_delete(pool, "idle", 0, &err));
}

static void options_keep_to_the_rules(void **state)
{
	(void)state;
	assert_opts_rules(struct kvol_io_limits, write_iops, limit(o));
}

static int up(void **state)
{
	int r = pool_up(state);

	if (r)
		return r;
	root = make_dir("cg");
	assert_sh("mount -t cgroup2 none %s", root);
	assert_sh("echo +io > %s/cgroup.subtree_control", root);
	group = make_dir("cg/limited");
	assert_ok(kvol_create(pool, "v", MIB(64), NULL, &err));
	assert_ok(publish("v", make_file("node"), KVOL_PUBLISH_BLOCK, NULL));
	return 0;
}

static int down(void **state)
{
	assert_ok(kvol_unpublish(pool, "v", in_dir("node"), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_int_equal(rmdir(in_dir("cg/limited")), 0);
	assert_sh("umount %s", in_dir("cg"));
	return pool_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_in_io_max_and_can_be_changed),
		cmocka_unit_test(what_is_not_a_cgroup_is_refused),
		cmocka_unit_test(options_keep_to_the_rules),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("limit", tests, up, down);
}
