// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_pool_format.
 */
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

static int format(const char *name, const char *path, uint32_t flags, uint64_t file_bytes)
{
	struct kvol_format_opts o = { .size = sizeof(o),
				      .flags = flags,
				      .file_bytes = file_bytes };

	return kvol_pool_format(ctx, name, path, &o, &err);
}

/* Opens it for a moment. */
static struct kvol_pool_info look(const char *path)
{
	struct kvol_pool_info info;

	assert_ok(kvol_pool_open(ctx, path, NULL, &pool, &err));
	info = pool_info();
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	return info;
}

static void a_file_is_made(void **state)
{
	struct stat st;

	(void)state;
	assert_ok(format("one", pool_path, 0, GIB(4)));
	assert_int_equal(stat(pool_path, &st), 0);
	assert_int_equal(st.st_size, GIB(4));
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true((uint64_t)st.st_blocks * 512 < MIB(64)); /* sparse */
	assert_string_equal(look(pool_path).name, "one");
	/* Stock tools know what it is: nobody takes it for an empty disk. */
	assert_sh("blkid -p -o value -s PTTYPE %s | grep -qx gpt", pool_path);
}

static void repeating(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .block_bytes = KIB(128) };
	struct kvol_pool_info before, after;

	(void)state;
	assert_ok(format("one", pool_path, 0, GIB(4)));
	before = look(pool_path);
	assert_kvol(format("two", pool_path, 0, 0), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(format("two", pool_path, 0, GIB(4)), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(format("one", pool_path, 0, GIB(5)), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(kvol_pool_format(ctx, "one", pool_path, &o, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	o.block_bytes = 0;
	o.max_volumes = 77;
	assert_kvol(kvol_pool_format(ctx, "one", pool_path, &o, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	o.max_volumes = 0;
	o.block_bytes = KIB(64);
	assert_ok(kvol_pool_format(ctx, "one", pool_path, &o, &err));
	assert_ok(kvol_pool_format(ctx, "one", pool_path, NULL, &err));
	after = look(pool_path);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void while_it_is_active(void **state)
{
	(void)state;
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(format("one", pool_path, 0, 0));
	assert_kvol(format("two", pool_path, 0, 0), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(format("one", pool_path, KVOL_FORMAT_FORCE, 0), -EBUSY,
		    KVOL_R_BUSY_OPEN);
	assert_kvol(format("two", pool_path, KVOL_FORMAT_FORCE, 0), -EBUSY,
		    KVOL_R_BUSY_OPEN);
	assert_true(exists("v"));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
}

static void force_makes_it_anew(void **state)
{
	struct kvol_pool_info before = look(pool_path), after;

	(void)state;
	assert_int_equal(before.n_volumes, 1);
	assert_ok(format("two", pool_path, KVOL_FORMAT_FORCE, 0));
	after = look(pool_path);
	assert_string_equal(after.name, "two");
	assert_string_not_equal(after.uuid, before.uuid);
	assert_int_equal(after.n_volumes, 0);
}

static void names(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", ".a", "-a", "a/b", "a b", "\xc3\xa4", "a\n", "a:b", "a@b",
	};

	(void)state;
	for (size_t i = 0; i < N_OF(bad); i++)
		assert_invalid(format(bad[i], in_dir("new"), 0, GIB(1)));
	assert_invalid(format(name_of_length(65), in_dir("new"), 0, GIB(1)));
	assert_invalid(format(NULL, in_dir("new"), 0, GIB(1)));
	assert_int_equal(access(in_dir("new"), F_OK), -1);
	assert_ok(format(name_of_length(64), in_dir("new"), 0, GIB(1)));
	assert_string_equal(look(in_dir("new")).name, name_of_length(64));
	assert_int_equal(unlink(in_dir("new")), 0);
	assert_ok(format("A-z.0_", in_dir("new"), 0, GIB(1)));
	assert_int_equal(unlink(in_dir("new")), 0);
}

static void bad_arguments(void **state)
{
	const char *new = in_dir("new");

	(void)state;
	assert_invalid(kvol_pool_format(NULL, "x", new, NULL, &err));
	assert_invalid(format("x", NULL, 0, GIB(1)));
	assert_invalid(format("x", "", 0, GIB(1)));
	assert_opts_rules(struct kvol_format_opts, max_volumes,
			  kvol_pool_format(ctx, "two", pool_path, o, &err));
	assert_kvol(format("x", new, 0, 0), -ENOENT, KVOL_R_NOT_FOUND);
	assert_kvol(format("x", in_dir("absent/new"), 0, 0), -ENOENT, KVOL_R_NOT_FOUND);
	assert_invalid(format("x", dir, 0, 0));
	assert_invalid(format("x", "/dev/null", 0, 0));
	assert_invalid(format("x", "/dev/null", KVOL_FORMAT_FORCE, 0));
	assert_invalid(format("x", new, 0, UINT64_MAX));
	for (int i = 0; i < 5; i++) {
		static const uint64_t blocks[] = { 4096, 65535, 65536 + 4096, MIB(2048),
						   UINT64_MAX };
		struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = GIB(1) };

		o.block_bytes = blocks[i];
		assert_invalid(kvol_pool_format(ctx, "x", new, &o, &err));
		o.block_bytes = 0;
		o.max_volumes = UINT64_MAX >> i;
		assert_invalid(kvol_pool_format(ctx, "x", new, &o, &err));
		/* What was made on the way is gone again. */
		assert_int_equal(access(new, F_OK), -1);
	}
}

static void the_least_size(void **state)
{
	const char *new = in_dir("new"), *p;
	uint64_t least;

	(void)state;
	assert_invalid(format("x", new, 0, 1));
	assert_invalid(format("x", new, 0, MIB(16)));
	p = strstr(err.msg, "at least ");
	assert_non_null(p);
	least = strtoull(p + strlen("at least "), NULL, 10);
	assert_invalid(format("x", new, 0, least - MIB(1)));
	assert_int_equal(access(new, F_OK), -1);
	assert_ok(format("x", new, 0, least));
	assert_true(look(new).data_bytes >= MIB(16));
	assert_int_equal(unlink(new), 0);
}

static void parameters(void **state)
{
	struct kvol_format_opts o = {
		.size = sizeof(o),
		.file_bytes = GIB(2) + 12345,
		.block_bytes = MIB(1),
		.max_volumes = 5000,
	};
	struct kvol_pool_info info;

	(void)state;
	assert_ok(kvol_pool_format(ctx, "parameters", in_dir("new"), &o, &err));
	info = look(in_dir("new"));
	assert_int_equal(info.block_bytes, MIB(1));
	assert_int_equal(info.max_volumes, 5000);
	assert_int_equal(info.data_bytes % MIB(1), 0);
	assert_int_equal(unlink(in_dir("new")), 0);
}

static void what_belongs_to_somebody(void **state)
{
	static const char *const makers[] = {
		"mkfs.ext4 -q -F",
		"mkfs.xfs -q -f",
		"mkfs.btrfs -q -f",
		"mkswap",
	};
	const char *disk = in_dir("disk");
	uint64_t digest;

	(void)state;
	for (size_t i = 0; i < N_OF(makers); i++) {
		assert_sh("rm -f %s && truncate -s 1G %s && %s %s", disk, disk, makers[i],
			  disk);
		digest = file_digest(disk);
		assert_kvol(format("x", disk, 0, 0), -EEXIST, KVOL_R_HAS_SIGNATURE);
		assert_kvol(format("x", disk, 0, GIB(1)), -EEXIST, KVOL_R_HAS_SIGNATURE);
		assert_int_equal(file_digest(disk), digest);
	}
	assert_non_null(strstr(err.msg, "swap"));
	assert_ok(format("x", disk, KVOL_FORMAT_FORCE, 0));
	assert_string_equal(look(disk).name, "x");
	/* Nothing of the old owner is left for a prober to find. */
	assert_sh("! blkid -p %s | grep -q swap", disk);
	assert_int_equal(unlink(disk), 0);
}

/* FORCE overwrites contents, not use. */
static void what_is_in_use(void **state)
{
	char loop[64], mnt[256];

	(void)state;
	assert_sh("truncate -s 1G %s && mkfs.ext4 -q -F %s", in_dir("disk"),
		  in_dir("disk"));
	assert_sh("losetup -f --show %s", in_dir("disk"));
	(void)snprintf(loop, sizeof(loop), "%.*s", (int)strcspn(sh_output(), "\n"),
		       sh_output());
	(void)snprintf(mnt, sizeof(mnt), "%s", make_dir("mnt"));
	assert_int_equal(mount(loop, mnt, "ext4", 0, NULL), 0);
	assert_kvol(format("x", loop, 0, 0), -EEXIST, KVOL_R_HAS_SIGNATURE);
	assert_kvol(format("x", loop, KVOL_FORMAT_FORCE, 0), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_kvol(format("x", in_dir("disk"), KVOL_FORMAT_FORCE, 0), -EBUSY,
		    KVOL_R_BUSY_OPEN);
	write_file(in_dir("mnt/file"), "fine");
	assert_int_equal(umount(mnt), 0);
	assert_sh("e2fsck -fn %s", loop);

	/* The same as a block device that is free. */
	assert_ok(format("disk", loop, KVOL_FORMAT_FORCE, 0));
	assert_ok(format("disk", loop, 0, 0));
	assert_string_equal(look(loop).device, loop);
	assert_kvol(format("disk", loop, 0, GIB(1)), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_sh("losetup -d %s && rm %s", loop, in_dir("disk"));
}

/* --- Killed formats --------------------------------------------------------------- */

#define RUN_DIR "/run/kvol"

/* Device-mapper's side of it, without the library: a map that has no table yet. */
static int map_ioctl(unsigned long cmd, const char *uuid, bool named)
{
	struct dm_ioctl io = { .version = { DM_VERSION_MAJOR, 0, 0 },
			       .data_size = sizeof(io) };
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), r;

	assert_true(fd >= 0);
	if (named)
		(void)snprintf(io.name, sizeof(io.name), "kvol-%s-catalogue", uuid);
	(void)snprintf(io.uuid, sizeof(io.uuid), "KVOL-%s-catalogue", uuid);
	r = ioctl(fd, cmd, &io);
	(void)close(fd);
	return r;
}

static bool is_mapped(const char *uuid)
{
	return map_ioctl(DM_DEV_STATUS, uuid, false) == 0; /* not in /sys before its table */
}

static bool is_announced(const char *uuid)
{
	return sh("test -e " RUN_DIR "/format-%s", uuid) == 0;
}

/* The fd holds the lock that tells a living format's from a dead one's. */
static int announce(const char *uuid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	char path[128];
	int fd;

	(void)mkdir(RUN_DIR, 0700);
	(void)snprintf(path, sizeof(path), RUN_DIR "/format-%s", uuid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static void format_another(void)
{
	assert_ok(format("one", in_dir("another"), 0, GIB(1)));
	assert_int_equal(unlink(in_dir("another")), 0);
}

/* The maps of a dead format go, whatever it was on; nobody else's do. */
static void map_without_a_table(void **state)
{
	static const char dead[] = "3a6bd5c1-0000-4000-8000-000000000001",
			  living[] = "3a6bd5c1-0000-4000-8000-000000000002",
			  stranger[] = "3a6bd5c1-0000-4000-8000-000000000003";
	int dead_fd, living_fd;

	(void)state;
	dead_fd = announce(dead);
	living_fd = announce(living);
	assert_int_equal(map_ioctl(DM_DEV_CREATE, dead, true), 0);
	assert_int_equal(map_ioctl(DM_DEV_CREATE, living, true), 0);
	assert_int_equal(map_ioctl(DM_DEV_CREATE, stranger, true), 0);
	format_another();
	assert_true(is_mapped(dead) && is_announced(dead));
	(void)close(dead_fd);
	format_another();
	assert_false(is_mapped(dead) || is_announced(dead));
	assert_true(is_mapped(living) && is_announced(living));
	(void)close(living_fd);
	format_another();
	assert_false(is_mapped(living) || is_announced(living));
	assert_true(is_mapped(stranger));
	assert_int_equal(map_ioctl(DM_DEV_REMOVE, stranger, false), 0);
}

/* mkfs may outlive who has started it, by a moment. */
static int format_soon(const char *path)
{
	int r = -EBUSY;

	for (int i = 0; i < 100 && r == -EBUSY; i++) {
		r = format("one", path, 0, GIB(1));
		if (r == -EBUSY)
			pause_ms(100);
	}
	return r;
}

static void killed_at_any_moment(void **state)
{
	const char *path = in_dir("killed");
	struct world before;
	int status;
	pid_t pid;

	(void)state;
	srand(20261128);
	world_now(&before);
	for (int i = 0; i < 5; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(format("one", path, 0, GIB(1)) < 0);
		pause_ms(rand() % 800);
		(void)kill(pid, SIGKILL);
		assert_true(waitpid(pid, &status, 0) == pid);
		assert_int_equal(format_soon(path), 0);
		assert_int_not_equal(sh("ls " RUN_DIR "/format-*"), 0);
		assert_int_equal(look(path).n_volumes, 0);
		assert_int_equal(unlink(path), 0);
		assert_world(&before, "killed formats", __FILE__, __LINE__);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_made),
		cmocka_unit_test(repeating),
		cmocka_unit_test(while_it_is_active),
		cmocka_unit_test(force_makes_it_anew),
		cmocka_unit_test(names),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(the_least_size),
		cmocka_unit_test(parameters),
		cmocka_unit_test(what_belongs_to_somebody),
		cmocka_unit_test(what_is_in_use),
		cmocka_unit_test(map_without_a_table),
		cmocka_unit_test(killed_at_any_moment),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("format", tests, dir_up, dir_down);
}
