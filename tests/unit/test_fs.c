/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs.h"
#include "spawn.h"

#define UUID "0f2b7a52-5a3c-4c43-9d9f-5a0c6a3c8b11"
#define COPY "1d3c8b63-6b4d-4d54-8eae-6b1d7b4d9c22"
#define NEXT "2e4d9c74-7c5e-4e65-9fbf-7c2e8c5ead33"

static char file[] = "/tmp/kvol-test-fs-XXXXXX";
static char detail[128];

/* The real mkfs, on a blank sparse file. */
static int make(const char *fs, uint64_t bytes)
{
	int r;

	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(truncate(file, (off_t)bytes), 0);
	r = kv_fs_find(fs)->make(file, UUID, true, detail, sizeof(detail));
	if (r == -ENOENT)
		skip();
	return r;
}

/* The last line that a tool prints about the file. */
static const char *ask(const char *command)
{
	static char answer[128];
	char script[256];
	const char *const argv[] = { "sh", "-c", script, NULL };

	assert_true(snprintf(script, sizeof(script), command, file) <
		    (int)sizeof(script));
	assert_int_equal(kv_spawn(argv, kv_deadline(60000), answer, sizeof(answer)), 0);
	return answer;
}

static void assert_is(const char *fs)
{
	assert_string_equal(ask("blkid -p -o value -s TYPE %s"), fs);
	assert_string_equal(ask("blkid -p -o value -s UUID %s"), UUID);
}

static void drivers_are_found_by_name(void **state)
{
	static const char *const names[] = { "ext4", "xfs", "btrfs" };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++) {
		const struct kv_fs *fs = kv_fs_find(names[i]);

		assert_non_null(fs);
		assert_string_equal(fs->name, names[i]);
		assert_non_null(fs->make);
		assert_non_null(fs->grow);
		assert_int_equal(fs->min_bytes % 4096, 0);
	}
	assert_null(kv_fs_find("ext3"));
	assert_null(kv_fs_find("EXT4"));
	assert_null(kv_fs_find(""));
	assert_null(kv_fs_find(NULL));
}

/* XFS refuses a second mount of its UUID, btrfs corrupts itself: each has its remedy. */
static void copies_can_be_told_apart(void **state)
{
	(void)state;
	assert_string_equal(kv_fs_find("ext4")->mount_options, "errors=remount-ro");
	assert_string_equal(kv_fs_find("xfs")->mount_options, "nouuid");
	assert_true(kv_fs_find("btrfs")->needs_identity);
	assert_false(kv_fs_find("ext4")->needs_identity);
}

/* What mkfs would make is called by its program, and what that depends on. */
static void recipe_is_the_same_until_its_program_is_not(void **state)
{
	struct kv_fs fs = *kv_fs_find("ext4");
	char recipe[KV_FS_RECIPE_SIZE], other[KV_FS_RECIPE_SIZE];

	(void)state;
	kv_fs_recipe(&fs, recipe);
	assert_int_equal(strlen(recipe), KV_FS_RECIPE_SIZE - 1);
	kv_fs_recipe(kv_fs_find("ext4"), other);
	assert_string_equal(recipe, other);
	fs.revision++;
	kv_fs_recipe(&fs, other);
	assert_string_not_equal(recipe, other);
	fs.revision--;
	fs.defaults = "/etc/hostname";
	kv_fs_recipe(&fs, other);
	assert_string_not_equal(recipe, other);
	kv_fs_recipe(kv_fs_find("btrfs"), other);
	assert_string_not_equal(recipe, other);
	fs.program = "mkfs.nothing";
	kv_fs_recipe(&fs, other);
	assert_string_equal(other, "");
}

static void ext4_lives_in_its_least_size(void **state)
{
	uint64_t least = kv_fs_find("ext4")->min_bytes;

	(void)state;
	assert_int_equal(make("ext4", least), 0);
	assert_is("ext4");
	assert_string_equal(ask("dumpe2fs -h %s | grep -c has_journal"), "1");
	assert_int_equal(make("ext4", least - 4096), 0);
	assert_string_equal(ask("dumpe2fs -h %s | grep -c has_journal || true"), "0");
}

static void xfs_lives_in_its_least_size(void **state)
{
	uint64_t least = kv_fs_find("xfs")->min_bytes;

	(void)state;
	assert_int_equal(make("xfs", least), 0);
	assert_is("xfs");
	assert_int_equal(make("xfs", least - 4096), -EIO);
}

/* Its bound is the kernel's, which grows nothing smaller; mkfs has one of its own. */
static void btrfs_lives_in_its_least_size(void **state)
{
	(void)state;
	assert_int_equal(make("btrfs", kv_fs_find("btrfs")->min_bytes), 0);
	assert_string_equal(ask("blkid -p -o value -s TYPE %s"), "btrfs");
	assert_int_equal(make("btrfs", (109 << 20) - 4096), -EIO);
	assert_non_null(strstr(detail, "minimum size"));
}

/* What growing depends on must not follow from the size to begin with, or from
 * mke2fs.conf. */
static void small_ext4_is_made_to_grow(void **state)
{
	(void)state;
	assert_int_equal(make("ext4", 16 << 20), 0);
	assert_string_equal(ask("dumpe2fs -h %s | sed -n 's/^Block size: *//p'"), "4096");
	assert_string_equal(ask("dumpe2fs -h %s | sed -n 's/^Inode size:[ \t]*//p'"),
			    "256");
	assert_string_equal(ask("dumpe2fs -h %s | sed -n 's/^Inode count: *//p'"),
			    "1024");
	assert_string_equal(
		ask("dumpe2fs -h %s | sed -n 's/^Reserved block count: *//p'"), "0");
	assert_string_equal(
		ask("dumpe2fs -h %s | grep -c 'features:.*resize_inode.*64bit'"), "1");
}

/* The first mount would zero the inode tables, and so allocate them. */
static void ext4_leaves_nothing_to_be_zeroed(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(make("ext4", UINT64_C(10) << 30), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < 8 << 20);
	assert_string_equal(ask("dumpe2fs %s | grep -c 'ITABLE_ZEROED'"), "80");
}

static void making_it_again_overwrites(void **state)
{
	(void)state;
	assert_int_equal(make("xfs", UINT64_C(512) << 20), 0);
	assert_int_equal(kv_fs_find("btrfs")->make(file, UUID, true, detail, sizeof(detail)),
			 0);
	assert_string_equal(ask("blkid -p -o value -s TYPE %s"), "btrfs");
	assert_int_equal(kv_fs_find("ext4")->make(file, UUID, true, detail, sizeof(detail)), 0);
	assert_is("ext4");
	assert_int_equal(kv_fs_find("xfs")->make(file, UUID, true, detail, sizeof(detail)), 0);
	assert_is("xfs");
}

static void failed_program_says_why(void **state)
{
	static const char *const names[] = { "ext4", "xfs", "btrfs" };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++) {
		detail[0] = '\0';
		assert_int_equal(kv_fs_find(names[i])->make("/nowhere/at/all", UUID, true,
							    detail, sizeof(detail)),
				 -EIO);
		assert_string_not_equal(detail, "");
	}
}

static const char *uuid_of_file(void)
{
	return ask("blkid -p -o value -s UUID %s");
}

static const char *const checks[] = {
	"e2fsck -fn %s",
	"xfs_repair -n -f %s",
	"btrfs check %s",
};

/* A clone of a template gets the volume's identity; the second time there is nothing to do. */
static void each_can_be_given_another_identity(void **state)
{
	static const char *const names[] = { "ext4", "xfs", "btrfs" };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++) {
		const struct kv_fs *fs = kv_fs_find(names[i]);

		assert_int_equal(make(names[i], UINT64_C(1) << 30), 0);
		assert_int_equal(fs->renew(file, COPY), 0);
		assert_string_equal(uuid_of_file(), COPY);
		(void)ask(checks[i]);
		(void)ask("sha256sum < %s > /tmp/kvol-fs-before");
		assert_int_equal(fs->renew(file, COPY), 0);
		(void)ask("sha256sum < %s | cmp - /tmp/kvol-fs-before");
		assert_int_equal(fs->renew(file, NEXT), 0);
		assert_string_equal(uuid_of_file(), NEXT);
		(void)ask(checks[i]);
		assert_int_equal(truncate(file, 0), 0);
		assert_int_equal(truncate(file, 1 << 30), 0);
		assert_int_equal(fs->renew(file, COPY), -EUCLEAN);
		assert_int_equal(fs->renew("/nowhere/at/all", COPY), -ENOENT);
	}
	(void)unlink("/tmp/kvol-fs-before");
}

/* Where a power cut comes between: what was not written yet is written again. */
static void xfs_renewal_that_was_cut_off_is_finished(void **state)
{
	const struct kv_fs *xfs = kv_fs_find("xfs");
	char super[512];
	int fd;

	(void)state;
	assert_int_equal(make("xfs", UINT64_C(1) << 30), 0);
	fd = open(file, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, super, sizeof(super), 0), sizeof(super));
	assert_int_equal(xfs->renew(file, COPY), 0);
	assert_int_equal(pwrite(fd, super, sizeof(super), 0), sizeof(super));
	(void)close(fd);
	assert_string_equal(uuid_of_file(), UUID);
	assert_int_equal(xfs->renew(file, COPY), 0);
	assert_string_equal(uuid_of_file(), COPY);
	(void)ask("xfs_repair -n -f %s");
}

/* What cannot be told from its journal keeps the identity that is in there. */
static void mounted_ext4_keeps_its_identity(void **state)
{
	const struct kv_fs *ext4 = kv_fs_find("ext4");

	(void)state;
	assert_int_equal(make("ext4", 16 << 20), 0);
	(void)ask("debugfs -w -R 'feature needs_recovery' %s");
	assert_int_equal(ext4->renew(file, COPY), 0);
	assert_string_equal(uuid_of_file(), UUID);
	/* Checksums that are seeded with the UUID would all be wrong. */
	(void)ask("mkfs.ext4 -q -F -O metadata_csum,^metadata_csum_seed -U " UUID " %s");
	assert_int_equal(ext4->renew(file, COPY), 0);
	assert_string_equal(uuid_of_file(), UUID);
}

/* Names of a hashed directory are found by the seed that they were stored with. */
static void hash_seed_changes_before_the_first_mount_only(void **state)
{
	static const char seed[] = "dumpe2fs -h %s | sed -n 's/^Directory Hash Seed: *//p'";
	const struct kv_fs *ext4 = kv_fs_find("ext4");
	char made[40];

	(void)state;
	assert_int_equal(make("ext4", 16 << 20), 0);
	assert_true(kv_strcpy(made, sizeof(made), ask(seed)));
	assert_int_equal(ext4->renew(file, COPY), 0);
	assert_string_not_equal(ask(seed), made);
	assert_true(kv_strcpy(made, sizeof(made), ask(seed)));
	(void)ask("debugfs -w -R 'ssv mtime 20240101' %s");
	assert_int_equal(ext4->renew(file, NEXT), 0);
	assert_string_equal(uuid_of_file(), NEXT);
	assert_string_equal(ask(seed), made);
}

static void damage(off_t at)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "damage", 6, at), 6);
	(void)close(fd);
}

/* Where a power cut leaves half of a superblock, its mirror has been written before. */
static void torn_renewal_is_finished(void **state)
{
	const struct kv_fs *btrfs = kv_fs_find("btrfs");

	(void)state;
	assert_int_equal(make("btrfs", btrfs->min_bytes), 0);
	assert_int_equal(btrfs->renew(file, COPY), 0);
	damage((64 << 10) + 512);
	assert_int_equal(btrfs->renew(file, COPY), 0);
	assert_string_equal(uuid_of_file(), COPY);
	(void)ask("btrfs check %s");
	damage((64 << 10) + 512);
	damage((64 << 20) + 512);
	assert_int_equal(btrfs->renew(file, COPY), -EUCLEAN);
}

/* The mirror of a superblock that was never renewed may lack what was fsynced last. */
static void damaged_superblock_is_not_replaced_by_an_older_one(void **state)
{
	const struct kv_fs *btrfs = kv_fs_find("btrfs");

	(void)state;
	assert_int_equal(make("btrfs", btrfs->min_bytes), 0);
	damage((64 << 10) + 512);
	assert_int_equal(btrfs->renew(file, COPY), -EUCLEAN);
	/* A checksum that we cannot make is not one that does not match. */
	assert_int_equal(truncate(file, 0), 0);
	assert_int_equal(truncate(file, (off_t)btrfs->min_bytes), 0);
	(void)ask("mkfs.btrfs -q --csum sha256 %s >/dev/null");
	assert_int_equal(btrfs->renew(file, COPY), -EOPNOTSUPP);
}

/* The superblock says how large the device is, and anybody may have written it: nothing
 * is written where it only claims that there is something. */
static void btrfs_larger_than_its_device_is_refused(void **state)
{
	const struct kv_fs *btrfs = kv_fs_find("btrfs");
	struct stat st;
	char made[40];

	(void)state;
	assert_int_equal(make("btrfs", btrfs->min_bytes * 2), 0);
	assert_true(kv_strcpy(made, sizeof(made), ask("blkid -p -o value -s UUID %s")));
	assert_int_equal(truncate(file, (off_t)btrfs->min_bytes), 0);
	assert_int_equal(btrfs->renew(file, COPY), -EUCLEAN);
	assert_string_equal(ask("blkid -p -o value -s UUID %s"), made);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, btrfs->min_bytes);
}

static int setup(void **state)
{
	int fd = mkstemp(file);

	(void)state;
	if (fd < 0)
		return -1;
	return close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drivers_are_found_by_name),
		cmocka_unit_test(copies_can_be_told_apart),
		cmocka_unit_test(ext4_lives_in_its_least_size),
		cmocka_unit_test(xfs_lives_in_its_least_size),
		cmocka_unit_test(btrfs_lives_in_its_least_size),
		cmocka_unit_test(small_ext4_is_made_to_grow),
		cmocka_unit_test(ext4_leaves_nothing_to_be_zeroed),
		cmocka_unit_test(making_it_again_overwrites),
		cmocka_unit_test(failed_program_says_why),
		cmocka_unit_test(recipe_is_the_same_until_its_program_is_not),
		cmocka_unit_test(each_can_be_given_another_identity),
		cmocka_unit_test(xfs_renewal_that_was_cut_off_is_finished),
		cmocka_unit_test(mounted_ext4_keeps_its_identity),
		cmocka_unit_test(hash_seed_changes_before_the_first_mount_only),
		cmocka_unit_test(torn_renewal_is_finished),
		cmocka_unit_test(btrfs_larger_than_its_device_is_refused),
		cmocka_unit_test(damaged_superblock_is_not_replaced_by_an_older_one),
	};

	return cmocka_run_group_tests_name("fs", tests, setup, teardown);
}
