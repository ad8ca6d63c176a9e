// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishes of which little is left to go by: file systems that are shut down, or whose
 * disk is gone, and records that somebody has written over. What the kernel shows decides:
 * each can be taken away, nothing else is, and the pool goes out of use after it.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"

#define POOL_BYTES GIB(2)
#define FS_BYTES   MIB(512)
#define BLOCK	   KVOL_PUBLISH_BLOCK
#define READONLY   KVOL_PUBLISH_READONLY

/* XFS_IOC_GOINGDOWN and EXT4_IOC_SHUTDOWN; btrfs has none. */
#define GOINGDOWN	 _IOR('X', 125, uint32_t)
#define GOINGDOWN_NO_LOG 2

static const char *const types[] = { "xfs", "ext4", "btrfs" };
static char a[256], b[256], f[256]; /* targets, the last one a file */
static struct world at_rest;
/* Started before there is a pool: a child would hold its catalogue. */
static struct resident elsewhere;

static int up(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .max_volumes = 100 };

	(void)state;
	elsewhere = resident_start();
	if (disk_up(&o, POOL_BYTES) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(f, sizeof(f), "%s", make_file("f"));
	for (size_t i = 0; i < N_OF(types); i++)
		assert_ok(create_fs(types[i], FS_BYTES, types[i]));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	pool_cycle();
	world_now(&at_rest);
	return 0;
}

static int down(void **state)
{
	if (pool) {
		assert_ok(kvol_pool_deactivate(pool, &err));
		kvol_pool_close(pool);
		pool = NULL;
	}
	resident_end(&elsewhere);
	return disk_down(state);
}

/* Nothing is mounted or active, and the pool can be taken out of use. */
static void assert_at_rest(const char *what)
{
	struct world now;

	assert_false(is_mounted(a) || is_mounted(b) || is_mounted(f));
	world_now(&now);
	assert_int_equal(now.devices, at_rest.devices);
	assert_int_equal(now.mounts, at_rest.mounts);
	watched(what);
	pool_cycle();
	unwatched();
}

static int unpublish(const char *name, const char *target, const char *ns)
{
	int r;

	watched("unpublish");
	r = unpublish_in(name, target, ns);
	unwatched();
	return r;
}

/* --- File systems that are shut down ---------------------------------------------- */

static void shut_down(const char *target)
{
	uint32_t how = GOINGDOWN_NO_LOG;
	int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, GOINGDOWN, &how), 0);
	(void)close(fd);
}

static bool answers(const char *target)
{
	struct stat st;

	return stat(target, &st) == 0;
}

/* At three targets, one of them in another namespace; with other volumes beside them. */
static void take_dead_away(const char *name, const char *ns)
{
	bool alive = answers(a);

	/* It stands where it stood. */
	assert_ok(kvol_publish(pool, name, a, NULL, &err));
	assert_kvol(publish(name, a, 0, "noexec"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_publish(pool, "raw", a, NULL, &err), -EINVAL,
		    KVOL_R_UNSUPPORTED);
	assert_kvol(kvol_delete(pool, name, 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	/* Nothing of ours under another volume's name, or covered. */
	assert_ok(unpublish("raw", a, NULL));
	assert_true(is_mounted(a));
	assert_int_equal(mount("none", a, "tmpfs", 0, NULL), 0);
	assert_kvol(unpublish(name, a, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_int_equal(umount(a), 0);
	assert_int_equal(answers(a), alive);
	assert_int_equal(info_of(name).n_targets, 3);

	assert_ok(unpublish(name, a, NULL));
	assert_false(is_mounted(a));
	assert_true(is_mounted(b));
	assert_ok(unpublish(name, a, NULL));
	assert_ok(unpublish(name, a, ns));
	assert_int_equal(info_of(name).n_targets, 1);
	assert_ok(unpublish(name, b, NULL));
	assert_int_equal(info_of(name).n_targets, 0);
	assert_string_equal(info_of(name).device, "");
}

static void publish_three_times(const char *name, const char *ns)
{
	assert_ok(kvol_publish(pool, name, a, NULL, &err));
	assert_ok(publish(name, b, READONLY, NULL));
	assert_ok(publish_in(name, a, 0, ns));
}

static void a_file_system_that_is_shut_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		publish_three_times(types[i], elsewhere.ns);
		shut_down(a);
		/* This is the one that needs the kernel's list. */
		assert_int_equal(answers(a), strcmp(types[i], "xfs") != 0);
		take_dead_away(types[i], elsewhere.ns);
		assert_at_rest(types[i]);
		/* And is well again. */
		assert_ok(kvol_publish(pool, types[i], a, NULL, &err));
		assert_true(answers(a));
		write_file(in_dir("a/file"), types[i]);
		assert_ok(unpublish(types[i], a, NULL));
	}
}

/* The directory above the target was renamed besides. */
static void a_dead_file_system_whose_target_was_renamed(void **state)
{
	(void)state;
	(void)make_dir("up");
	(void)make_dir("up/t");
	assert_ok(kvol_publish(pool, "xfs", in_dir("up/t"), NULL, &err));
	shut_down(in_dir("up/t"));
	assert_sh("mv %s %s", in_dir("up"), in_dir("moved"));
	(void)make_dir("up");
	(void)make_dir("up/t");
	assert_ok(unpublish("xfs", in_dir("up/t"), NULL));
	assert_false(is_mounted(in_dir("moved/t")));
	assert_at_rest("renamed");
}

static void a_file_system_whose_disk_is_gone(void **state)
{
	static const enum disk_fault dead[DISK_PARTS] = { [DISK_DATA] = DISK_DEAD };
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		publish_three_times(types[i], elsewhere.ns);
		write_file(in_dir("a/late"), "late");
		disk_set(dead);
		/* It finds out. */
		(void)sh("dd if=/dev/zero of=%s/more bs=1M count=4 conv=fsync; sync -f %s",
			 a, a);
		take_dead_away(types[i], elsewhere.ns);
		assert_nothing_frozen(types[i]);
		assert_at_rest(types[i]);
		disk_set(NULL);
		pool_cycle();
		assert_ok(kvol_publish(pool, types[i], a, NULL, &err));
		assert_ok(unpublish(types[i], a, NULL));
	}
}

/* --- Records that are damaged ----------------------------------------------------- */

static void damage_records(void)
{
	assert_sh("set -e; n=0; for r in /run/kvol/%s/publish/*/*; do "
		  "echo junk > $r; n=$((n + 1)); done; test $n -gt 0",
		  pool_info().uuid);
}

static void a_publish_whose_record_is_damaged(void **state)
{
	static const struct {
		const char *name;
		uint32_t flags;
		bool dead;
	} cases[] = {
		{ "xfs", 0, false },  { "xfs", 0, true },   { "ext4", READONLY, false },
		{ "ext4", 0, true },  { "btrfs", 0, false }, { "raw", BLOCK, false },
		{ "raw", BLOCK | READONLY, false },
	};
	(void)state;
	for (size_t i = 0; i < 2 * N_OF(cases); i++) {
		const char *name = cases[i / 2].name, *ns = i % 2 ? elsewhere.ns : NULL;
		const char *target = cases[i / 2].flags & BLOCK ? f : a;

		assert_ok(publish_in(name, target, cases[i / 2].flags, ns));
		if (cases[i / 2].dead && !ns)
			shut_down(a);
		damage_records();
		assert_int_equal(info_of(name).n_targets, 1);
		assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY,
			    KVOL_R_BUSY_PUBLISHED);
		assert_kvol(kvol_delete(pool, name, 0, &err), -EBUSY,
			    KVOL_R_BUSY_PUBLISHED);
		if (i < 2)
			pool_reopen();
		/* Elsewhere there is nothing of it. */
		assert_ok(unpublish(name, b, ns));
		assert_ok(unpublish(name, target, ns ? NULL : elsewhere.ns));
		assert_ok(unpublish(name, target, ns));
		assert_int_equal(info_of(name).n_targets, 0);
		assert_string_equal(info_of(name).device, "");
		assert_at_rest(name);
	}
}

/* Whoever takes the mount away himself has done enough. */
static void a_damaged_record_without_a_mount(void **state)
{
	(void)state;
	assert_ok(kvol_publish(pool, "ext4", a, NULL, &err));
	assert_ok(kvol_publish(pool, "btrfs", b, NULL, &err));
	assert_ok(publish("raw", f, BLOCK, NULL));
	damage_records();
	assert_int_equal(umount(a), 0);
	/* It may come as far as to drop what is of no use any more. */
	assert_int_equal(kvol_pool_deactivate(pool, &err), -EBUSY);
	assert_int_equal(err.reason, KVOL_R_BUSY_PUBLISHED);
	assert_int_equal(umount(b), 0);
	assert_int_equal(umount(f), 0);
	assert_ok(kvol_publish(pool, "ext4", a, NULL, &err));
	assert_int_equal(info_of("ext4").n_targets, 1);
	assert_ok(unpublish("ext4", a, NULL));
	pool_cycle();
	assert_int_equal(info_of("btrfs").n_targets, 0);
	assert_int_equal(info_of("raw").n_targets, 0);
	assert_at_rest("damaged records without mounts");
}

/* The node would be another volume's tomorrow. The last test: it ends the namespace. */
static void a_damaged_record_of_a_node_in_another_namespace(void **state)
{
	(void)state;
	assert_ok(publish_in("raw", f, BLOCK, elsewhere.ns));
	damage_records();
	assert_kvol(kvol_delete(pool, "raw", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	pool_reopen();
	assert_int_equal(info_of("raw").n_targets, 1);
	resident_end(&elsewhere);
	pool_cycle();
	assert_at_rest("a node in a namespace that is gone");
	assert_int_equal(info_of("raw").n_targets, 0);
}

/* What cannot be seen is not guessed at, and what is seen is somebody else's. */
static void a_damaged_publish_under_something_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		assert_ok(kvol_publish(pool, types[i], a, NULL, &err));
		damage_records();
		assert_int_equal(mount("none", a, "tmpfs", 0, NULL), 0);
		write_file(in_dir("a/foreign"), "x");
		assert_kvol(unpublish(types[i], a, NULL), -EUCLEAN, KVOL_R_CORRUPT);
		assert_string_equal(read_file(in_dir("a/foreign")), "x");
		assert_int_equal(umount(a), 0);
		assert_ok(unpublish(types[i], a, NULL));
		assert_at_rest(types[i]);
	}
	/* Another volume of ours, where the damaged one was. */
	assert_ok(kvol_publish(pool, "btrfs", a, NULL, &err));
	damage_records();
	assert_int_equal(umount(a), 0);
	assert_ok(kvol_publish(pool, "ext4", a, NULL, &err));
	assert_ok(unpublish("btrfs", a, NULL));
	assert_true(is_mounted(a));
	assert_int_equal(info_of("btrfs").n_targets, 0);
	assert_ok(unpublish("ext4", a, NULL));
	assert_at_rest("another volume");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_system_that_is_shut_down),
		cmocka_unit_test(a_dead_file_system_whose_target_was_renamed),
		cmocka_unit_test(a_file_system_whose_disk_is_gone),
		cmocka_unit_test(a_publish_whose_record_is_damaged),
		cmocka_unit_test(a_damaged_record_without_a_mount),
		cmocka_unit_test(a_damaged_publish_under_something_else),
		cmocka_unit_test(a_damaged_record_of_a_node_in_another_namespace),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("standing", tests, up, down);
}
