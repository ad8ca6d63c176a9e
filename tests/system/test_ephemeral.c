// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ephemeral volumes on a kernel: they come with a publish and go with the last unpublish,
 * and what kills, reboots and people with umount(8) leave of them is collected; never
 * what somebody uses. pool_down then holds the thin pool against the catalogue.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define KILLS	16

static char a[256], b[256], node[256];

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	assert_ok(create_fs("base", MIB(32), "ext4"));
	assert_ok(publish("base", a, 0, NULL));
	write_file(in_dir("a/file"), "base");
	assert_ok(kvol_unpublish(pool, "base", a, NULL, &err));
	assert_ok(kvol_snapshot(pool, "base", "template", NULL, &err));
	return 0;
}

static int ephemeral(struct kvol_pool *p, const char *target, const char *source,
		     uint32_t flags)
{
	struct kvol_ephemeral_opts of = { .size = sizeof(of), .source = source };
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .ephemeral = &of };

	if (!source) {
		of.bytes = MIB(32);
		of.fs_type = flags & KVOL_PUBLISH_BLOCK ? NULL : "ext4";
	}
	return kvol_publish(p, "e", target, &o, &err);
}

static void there_and_away(void **state)
{
	struct world w;

	(void)state;
	world_now(&w);
	assert_ok(ephemeral(pool, a, NULL, 0));
	assert_int_equal(info_of("e").flags, KVOL_INFO_EPHEMERAL);
	write_file(in_dir("a/file"), "text");
	assert_ok(ephemeral(pool, b, NULL, 0));
	assert_string_equal(read_file(in_dir("b/file")), "text");
	assert_kvol(kvol_delete(pool, "e", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_kvol(ephemeral(pool, b, "base", 0), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_unpublish(pool, "e", a, NULL, &err));
	assert_true(exists("e"));
	assert_ok(kvol_unpublish(pool, "e", b, NULL, &err));
	assert_false(exists("e"));
	assert_ok(kvol_unpublish(pool, "e", b, NULL, &err));
	assert_world(&w, "an ephemeral volume", __FILE__, __LINE__);
	/* Another one of the name is blank. */
	assert_ok(ephemeral(pool, a, NULL, 0));
	assert_string_equal(read_file(in_dir("a/file")), "");
	assert_ok(kvol_unpublish(pool, "e", a, NULL, &err));
	assert_world(&w, "another one", __FILE__, __LINE__);
}

static void of_a_template(void **state)
{
	static const char *const sources[] = { "base", "template" };

	(void)state;
	for (size_t i = 0; i < N_OF(sources); i++) {
		assert_ok(ephemeral(pool, a, sources[i], 0));
		assert_string_equal(read_file(in_dir("a/file")), "base");
		write_file(in_dir("a/file"), "changed");
		assert_ok(kvol_snapshot(pool, "e", "kept", NULL, &err));
		assert_ok(kvol_unpublish(pool, "e", a, NULL, &err));
		assert_false(exists("e"));
		assert_ok(publish("kept", b, 0, NULL));
		assert_string_equal(read_file(in_dir("b/file")), "changed");
		assert_ok(kvol_unpublish(pool, "kept", b, NULL, &err));
		assert_ok(kvol_delete(pool, "kept", 0, &err));
	}
}

static void as_a_device(void **state)
{
	(void)state;
	assert_ok(ephemeral(pool, node, NULL, KVOL_PUBLISH_BLOCK));
	assert_sh("dd if=/dev/urandom of=%s bs=1M count=4 conv=fsync", node);
	pool_reopen(); /* held open by nobody, and published all the same */
	assert_true(exists("e"));
	assert_ok(kvol_unpublish(pool, "e", node, NULL, &err));
	assert_false(exists("e"));
}

static void nothing_of_a_publish_that_fails(void **state)
{
	(void)state;
	assert_kvol(ephemeral(pool, in_dir("absent"), NULL, 0), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_kvol(ephemeral(pool, a, "absent", 0), -ENOENT, KVOL_R_NOT_FOUND);
	assert_sh("mount -t tmpfs none %s", a);
	assert_kvol(ephemeral(pool, a, NULL, 0), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_sh("umount %s", a);
}

/* A copy of the mount in another namespace: unpublished here, not over there. */
static void kept_by_another_namespace(void **state)
{
	struct resident r;

	(void)state;
	assert_ok(ephemeral(pool, a, NULL, 0));
	assert_sh("mount --make-rprivate /");
	r = resident_start();
	before_call(NULL, false);
	assert_int_equal(kvol_unpublish(pool, "e", a, NULL, &err), -EBUSY);
	assert_int_equal(err.reason, KVOL_R_BUSY_OPEN);
	assert_false(is_mounted(a));
	pool_reopen();
	assert_true(exists("e"));
	resident_end(&r);
	for (int i = 0; info_of("e").device[0] && i < 100; i++)
		pause_ms(50);
	assert_ok(kvol_unpublish(pool, "e", a, NULL, &err));
	assert_false(exists("e"));
}

/* As somebody does with umount(8). */
static void unmounted_by_hand(void **state)
{
	(void)state;
	assert_ok(ephemeral(pool, a, NULL, 0));
	write_file(in_dir("a/file"), "text");
	assert_sh("umount %s", a);
	assert_true(exists("e"));
	assert_ok(ephemeral(pool, b, NULL, 0));
	assert_string_equal(read_file(in_dir("b/file")), "");
	assert_sh("umount %s", b);
	pool_reopen();
	assert_false(exists("e"));
}

/* Another boot id, and a run directory without records, as after a reboot. */
static void after_a_reboot(void **state)
{
	(void)state;
	assert_ok(ephemeral(pool, a, NULL, 0));
	assert_sh("echo 5d2b2a1c-0000-4000-8000-000000000001 > %s/boot", dir);
	assert_sh("mount --bind %s/boot " BOOT_ID, dir);
	pool_reopen(); /* in use: whatever the boot id says */
	assert_true(exists("e"));
	write_file(in_dir("a/file"), "text");
	assert_sh("rm -r /run/kvol/%s/publish", pool_info().uuid);
	pool_reopen();
	assert_true(exists("e"));
	assert_string_equal(read_file(in_dir("a/file")), "text");
	assert_sh("umount %s", a);
	pool_cycle();
	assert_false(exists("e"));
	assert_sh("umount " BOOT_ID);
}

/* One after the other, until it is killed. */
static void busy(unsigned seed)
{
	struct kvol_pool *p;

	if (kvol_pool_open(ctx, pool_path, NULL, &p, NULL) < 0)
		_exit(1);
	for (unsigned i = seed;; i++) {
		(void)ephemeral(p, i % 2 ? a : b, i % 3 ? NULL : "template", 0);
		(void)kvol_unpublish(p, "e", a, NULL, NULL);
		(void)kvol_unpublish(p, "e", b, NULL, NULL);
	}
}

/* What is listed after the next open is published. */
static void killed(void **state)
{
	unsigned left = 0;
	int status;
	pid_t pid;

	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			busy(i);
		pause_ms(150 + 97 * (long)i);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		left += exists("e");
		pool_reopen();
		if (!exists("e"))
			continue;
		assert_true(is_mounted(a) != is_mounted(b));
		assert_int_equal(info_of("e").n_targets, 1);
		assert_ok(kvol_unpublish(pool, "e", is_mounted(a) ? a : b, NULL, &err));
		assert_false(exists("e"));
	}
	print_message("# figure ephemeral volumes that kills left: %u of %u\n", left,
		      KILLS);
	assert_false(is_mounted(a) || is_mounted(b));
	assert_int_equal(count(0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_away),
		cmocka_unit_test(of_a_template),
		cmocka_unit_test(as_a_device),
		cmocka_unit_test(nothing_of_a_publish_that_fails),
		cmocka_unit_test(kept_by_another_namespace),
		cmocka_unit_test(unmounted_by_hand),
		cmocka_unit_test(after_a_reboot),
		cmocka_unit_test(killed),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("ephemeral", tests, up, pool_down);
}
