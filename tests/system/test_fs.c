// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The file systems: what each goes through, from its creation to its check.
 */
#include <endian.h>
#include <fcntl.h>
#include <unistd.h>

#include "system.h"

struct type {
	const char *name;
	uint64_t bytes;	   /* a small one */
	const char *check; /* a read-only check; %s is the device */
};

static struct type types[] = {
	{ "ext4", MIB(64), "e2fsck -fn %s" },
	{ "xfs", MIB(300), "xfs_repair -n %s" },
	{ "btrfs", MIB(256), "btrfs check --readonly %s" },
};

static char a[256], b[256], c[256];

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(c, sizeof(c), "%s", make_dir("c"));
	return 0;
}

/* As somebody would who has the device. */
static void check(const struct type *t, const char *name)
{
	char command[256];

	assert_ok(publish(name, make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	(void)snprintf(command, sizeof(command), t->check, in_dir("dev"));
	assert_sh("%s", command);
	assert_ok(kvol_unpublish(pool, name, in_dir("dev"), NULL, &err));
}

static void make(const struct type *t)
{
	assert_ok(create_fs("v", t->bytes, t->name));
	assert_ok(create_fs("v", t->bytes, t->name));
	assert_string_equal(info_of("v").fs_type, t->name);
	assert_kvol(create_fs("v", t->bytes, t == types ? "xfs" : "ext4"),
		    t == types ? -EINVAL : -EEXIST,
		    t == types ? KVOL_R_INVALID : KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_sh("grep -q ' %s .* - %s ' /proc/self/mountinfo", a, t->name);
	write_file(in_dir("a/file"), "first");
	assert_sh("dd if=/dev/urandom of=%s bs=64K count=32 status=none",
		  in_dir("a/bulk"));
}

/* Origin, live snapshot, clone of it and live clone, all published at once. */
static void side_by_side(const struct type *t)
{
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	write_file(in_dir("a/file"), "second");
	assert_ok(kvol_publish(pool, "s", b, NULL, &err));
	assert_string_equal(read_file(in_dir("b/file")), "first");
	assert_int_equal(open(in_dir("b/new"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	assert_ok(kvol_clone(pool, "s", "k", NULL, &err));
	assert_string_equal(info_of("k").fs_type, t->name);
	assert_ok(kvol_publish(pool, "k", c, NULL, &err));
	assert_string_equal(read_file(in_dir("c/file")), "first");
	write_file(in_dir("c/file"), "clone");
	assert_ok(kvol_clone(pool, "v", "live", NULL, &err));
	assert_ok(kvol_publish(pool, "live", make_dir("d"), NULL, &err));
	assert_string_equal(read_file(in_dir("d/file")), "second");
	write_file(in_dir("d/file"), "live");
	assert_string_equal(read_file(in_dir("a/file")), "second");
	assert_string_equal(read_file(in_dir("b/file")), "first");
	assert_string_equal(read_file(in_dir("c/file")), "clone");
	assert_sh("cmp %s/bulk %s/bulk && cmp %s/bulk %s/bulk", a, b, a, c);
	assert_ok(kvol_unpublish(pool, "live", in_dir("d"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "k", c, NULL, &err));
	assert_ok(kvol_unpublish(pool, "s", b, NULL, &err));
}

/* Online, offline, and at the first publish of a larger clone. */
static void grow(const struct type *t)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = t->bytes * 2 };
	uint64_t was = fs_bytes(a);

	assert_ok(kvol_expand(pool, "v", t->bytes * 2, 0, &err));
	assert_true(fs_bytes(a) > was + t->bytes / 2);
	assert_string_equal(read_file(in_dir("a/file")), "second");
	write_file(in_dir("a/file"), "third");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	check(t, "v");
	was = t->bytes * 2;
	assert_ok(kvol_expand(pool, "v", t->bytes * 3, 0, &err));
	assert_string_equal(info_of("v").device, "");
	check(t, "v");
	assert_ok(kvol_publish(pool, "v", a, NULL, &err));
	assert_true(fs_bytes(a) > was);
	assert_string_equal(read_file(in_dir("a/file")), "third");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));

	was = t->bytes;
	assert_ok(kvol_clone(pool, "s", "wide", &o, &err));
	assert_ok(kvol_publish(pool, "wide", a, NULL, &err));
	assert_true(fs_bytes(a) > was);
	assert_string_equal(read_file(in_dir("a/file")), "first");
	assert_ok(kvol_unpublish(pool, "wide", a, NULL, &err));
	check(t, "wide");
}

static void through_its_life(void **state)
{
	const struct type *t = *state;
	static const char *const names[] = { "v", "k", "live", "wide", "s" };

	make(t);
	side_by_side(t);
	grow(t);
	check(t, "k");
	check(t, "live");
	pool_cycle();
	assert_ok(kvol_publish(pool, "k", a, NULL, &err));
	assert_string_equal(read_file(in_dir("a/file")), "clone");
	assert_ok(kvol_unpublish(pool, "k", a, NULL, &err));
	for (size_t i = 0; i < N_OF(names); i++)
		assert_ok(kvol_delete(pool, names[i], 0, &err));
	assert_int_equal(count(0), 0);
}

#define SECTOR	   512
#define GROUPS_MAX 8

static uint32_t field(const unsigned char *super, size_t at)
{
	uint32_t value;

	memcpy(&value, super + at, sizeof(value));
	return be32toh(value);
}

/* The superblocks of an XFS's groups but the first one's, which stands at the device's
 * beginning and tells of them; the file system writes the sectors beside them. */
static unsigned move_supers(int fd, unsigned char supers[GROUPS_MAX][SECTOR], unsigned n)
{
	static _Alignas(4096) unsigned char first[SECTOR];
	unsigned groups = n;
	uint64_t bytes;

	assert_int_equal(pread(fd, first, SECTOR, 0), SECTOR);
	bytes = (uint64_t)field(first, 84) * field(first, 4);
	if (!n)
		groups = field(first, 88);
	assert_true(groups > 1 && groups <= GROUPS_MAX);
	for (unsigned i = 1; i < groups; i++) {
		off_t at = (off_t)(i * bytes);

		assert_int_equal(n ? pwrite(fd, supers[i], SECTOR, at)
				   : pread(fd, supers[i], SECTOR, at),
				 SECTOR);
	}
	return groups;
}

/* The kernel commits the growth, and then writes the groups' superblocks: between the two
 * the power may go. The next publish has nothing to grow, and still has to write them. */
static void power_cut_in_the_growth_of_an_xfs(void **state)
{
	static _Alignas(4096) unsigned char old[GROUPS_MAX][SECTOR];
	const struct type *xfs = &types[1];
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = xfs->bytes * 2 };
	unsigned groups;
	int fd;

	(void)state;
	assert_ok(create_fs("v", xfs->bytes, xfs->name));
	assert_ok(kvol_clone(pool, "v", "wide", &o, &err));
	assert_ok(publish("wide", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	fd = open(in_dir("dev"), O_RDWR | O_DIRECT | O_SYNC | O_CLOEXEC);
	assert_true(fd >= 0);
	groups = move_supers(fd, old, 0);
	assert_sh("mount -t xfs -o nouuid %s %s && xfs_growfs %s && umount %s",
		  in_dir("dev"), a, a, a);
	(void)move_supers(fd, old, groups);
	(void)close(fd);
	assert_sh("! xfs_repair -n %s", in_dir("dev"));
	assert_ok(kvol_unpublish(pool, "wide", in_dir("dev"), NULL, &err));

	assert_ok(kvol_publish(pool, "wide", a, NULL, &err));
	assert_true(fs_bytes(a) > xfs->bytes);
	assert_ok(kvol_unpublish(pool, "wide", a, NULL, &err));
	check(xfs, "wide");
	assert_ok(kvol_delete(pool, "wide", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "ext4", through_its_life, NULL, NULL, &types[0] },
		{ "xfs", through_its_life, NULL, NULL, &types[1] },
		{ "btrfs", through_its_life, NULL, NULL, &types[2] },
		cmocka_unit_test(power_cut_in_the_growth_of_an_xfs),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("fs", tests, up, pool_down);
}
