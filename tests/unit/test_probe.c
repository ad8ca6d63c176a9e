/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is found on plain files, with images that real programs made. An image whose
 * program is not installed is skipped; blank, hand-made and unreadable ones always run.
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
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "gpt.h"
#include "probe.h"

#define MIB (UINT64_C(1) << 20)

struct image {
	char path[64];
	int fd;
};

static int setup(void **state)
{
	struct image *i = calloc(1, sizeof(*i));

	assert_non_null(i);
	strcpy(i->path, "/tmp/kvol-test-probe-XXXXXX");
	i->fd = mkostemp(i->path, O_CLOEXEC);
	assert_true(i->fd >= 0);
	*state = i;
	return 0;
}

static int teardown(void **state)
{
	struct image *i = *state;

	close(i->fd);
	unlink(i->path);
	free(i);
	return 0;
}

static void resize(const struct image *i, uint64_t bytes)
{
	assert_int_equal(ftruncate(i->fd, 0), 0);
	assert_int_equal(ftruncate(i->fd, (off_t)bytes), 0);
}

/* Runs a program, or skips the test if there is none. */
static void run(const char *const *argv)
{
	int status, null;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		null = open("/dev/null", O_RDWR);
		if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
		    setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1) < 0)
			_exit(1);
		execvp(argv[0], (char *const *)argv);
		_exit(errno == ENOENT ? 127 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 127) {
		print_message("%s is not installed\n", argv[0]);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect(const struct image *i, const char *name)
{
	char got[32];

	assert_int_equal(kv_probe_signature(i->fd, got, sizeof(got)), 1);
	assert_string_equal(got, name);
}

static void expect_blank(const struct image *i)
{
	char got[32] = "untouched";

	assert_int_equal(kv_probe_signature(i->fd, got, sizeof(got)), 0);
	assert_string_equal(got, "untouched");
}

/* Found under its name, and blank once wiped. */
static void check_wiped(const struct image *i, const char *name)
{
	expect(i, name);
	assert_int_equal(kv_probe_wipe(i->fd), 0);
	expect_blank(i);
}

static void finds_and_wipes_ext4(void **state)
{
	const struct image *i = *state;

	resize(i, 64 * MIB);
	run((const char *const[]){ "mkfs.ext4", "-q", "-F", i->path, NULL });
	check_wiped(i, "ext4");
}

static void finds_and_wipes_xfs(void **state)
{
	const struct image *i = *state;

	resize(i, 512 * MIB);
	run((const char *const[]){ "mkfs.xfs", "-q", "-f", i->path, NULL });
	check_wiped(i, "xfs");
}

/* It has a second superblock at 64 MiB. */
static void finds_and_wipes_btrfs(void **state)
{
	const struct image *i = *state;

	resize(i, 256 * MIB);
	run((const char *const[]){ "mkfs.btrfs", "-q", "-f", i->path, NULL });
	check_wiped(i, "btrfs");
}

static void finds_and_wipes_swap(void **state)
{
	const struct image *i = *state;

	resize(i, 16 * MIB);
	run((const char *const[]){ "mkswap", i->path, NULL });
	check_wiped(i, "swap");
}

static void plan(uint64_t bytes, struct kv_layout *ret)
{
	struct kv_geometry geo = { 0 };

	assert_int_equal(kv_layout_plan(bytes, &geo, ret, NULL), 0);
	assert_true(kv_strcpy(ret->uuid, sizeof(ret->uuid),
			      "0f1e2d3c-4b5a-4968-8776-655443322110"));
}

static void finds_and_wipes_both_copies_of_a_gpt(void **state)
{
	const struct image *i = *state;
	struct kv_layout l;
	char sector[512];

	resize(i, 128 * MIB);
	plan(128 * MIB, &l);
	assert_int_equal(kv_gpt_write(i->fd, i->path, &l), 0);
	check_wiped(i, "gpt");
	assert_int_equal(kv_gpt_read(i->fd, &l), -EMEDIUMTYPE);
	assert_int_equal(kv_pread_full(i->fd, sector, sizeof(sector), 128 * MIB - 512),
			 0);
	assert_memory_not_equal(sector, "EFI PART", 8);
}

/* What a format that was cut short leaves: it must be possible to format again. */
static void a_gpt_without_its_protective_mbr_is_none(void **state)
{
	static const char zeros[512];
	const struct image *i = *state;
	struct kv_layout l;

	resize(i, 128 * MIB);
	plan(128 * MIB, &l);
	assert_int_equal(kv_gpt_write(i->fd, i->path, &l), 0);
	assert_int_equal(kv_pwrite_full(i->fd, zeros, sizeof(zeros), 0), 0);
	expect_blank(i);
}

static void finds_and_wipes_a_dos_table(void **state)
{
	const struct image *i = *state;
	unsigned char mbr[512] = { 0 };

	mbr[446 + 4] = 0x83;
	mbr[446 + 9] = 0x08;  /* from sector 2048 */
	mbr[446 + 13] = 0x40; /* 16384 sectors */
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	resize(i, 16 * MIB);
	assert_int_equal(kv_pwrite_full(i->fd, mbr, sizeof(mbr), 0), 0);
	check_wiped(i, "dos");
}

static void a_label_of_lvm_counts(void **state)
{
	const struct image *i = *state;
	char label[512] = "LABELONE";

	label[8] = 1;	/* its sector */
	label[20] = 32; /* where the header is */
	memcpy(label + 24, "LVM2 001", 8);
	memset(label + 32, 'A', 32); /* uuid */
	resize(i, 16 * MIB);
	/* with a checksum that is wrong: it was somebody's all the same */
	assert_int_equal(kv_pwrite_full(i->fd, label, sizeof(label), 512), 0);
	check_wiped(i, "LVM2_member");
}

/* Two that libblkid cannot choose between. */
static void contradicting_signatures_count(void **state)
{
	const struct image *i = *state;

	resize(i, 64 * MIB);
	run((const char *const[]){ "mkfs.ext4", "-q", "-F", i->path, NULL });
	assert_int_equal(kv_pwrite_full(i->fd, "XFSB\0\0\x10\0", 8, 0), 0);
	/* a btrfs superblock's place and magic, as far as libblkid looks */
	assert_int_equal(kv_pwrite_full(i->fd, "_BHRfS_M", 8, 65536 + 64), 0);
	expect(i, "ambivalent");
	assert_int_equal(kv_probe_wipe(i->fd), 0);
	expect_blank(i);
}

static void a_damaged_file_system_counts(void **state)
{
	const struct image *i = *state;
	char c;

	resize(i, 64 * MIB);
	run((const char *const[]){ "mkfs.ext4", "-q", "-F", i->path, NULL });
	/* a byte of the superblock's checksum */
	assert_int_equal(kv_pread_full(i->fd, &c, 1, 1024 + 0x3fc), 0);
	c ^= 1;
	assert_int_equal(kv_pwrite_full(i->fd, &c, 1, 1024 + 0x3fc), 0);
	check_wiped(i, "ext4");
}

static void blank_files_are_blank(void **state)
{
	static const uint64_t sizes[] = {
		0, 1, 4096, MIB - 1, MIB, 3 * MIB / 2, 64 * MIB
	};
	const struct image *i = *state;

	for (size_t n = 0; n < KV_ARRAY_SIZE(sizes); n++) {
		resize(i, sizes[n]);
		expect_blank(i);
		assert_int_equal(kv_probe_wipe(i->fd), 0);
	}
}

static void data_without_a_signature_is_blank(void **state)
{
	const struct image *i = *state;

	resize(i, 16 * MIB);
	assert_int_equal(kv_pwrite_full(i->fd, "hello", 5, 8192), 0);
	expect_blank(i);
}

static void wiping_blanks_both_ends_and_nothing_between(void **state)
{
	const uint64_t kept[] = { MIB, 8 * MIB, 15 * MIB - 5 };
	const uint64_t blanked[] = { 0, 512, MIB - 5, 15 * MIB, 16 * MIB - 5 };
	const struct image *i = *state;
	char buf[5];

	resize(i, 16 * MIB);
	for (size_t n = 0; n < KV_ARRAY_SIZE(kept); n++)
		assert_int_equal(kv_pwrite_full(i->fd, "hello", 5, kept[n]), 0);
	for (size_t n = 0; n < KV_ARRAY_SIZE(blanked); n++)
		assert_int_equal(kv_pwrite_full(i->fd, "hello", 5, blanked[n]), 0);
	assert_int_equal(kv_probe_wipe(i->fd), 0);
	for (size_t n = 0; n < KV_ARRAY_SIZE(kept); n++) {
		assert_int_equal(kv_pread_full(i->fd, buf, 5, kept[n]), 0);
		assert_memory_equal(buf, "hello", 5);
	}
	for (size_t n = 0; n < KV_ARRAY_SIZE(blanked); n++) {
		assert_int_equal(kv_pread_full(i->fd, buf, 5, blanked[n]), 0);
		assert_memory_equal(buf, "\0\0\0\0", 5);
	}
}

static void unreadable_is_an_error_and_not_blank(void **state)
{
	const struct image *i = *state;
	char got[32];
	int fd;

	resize(i, 16 * MIB);
	fd = open(i->path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(kv_probe_signature(fd, got, sizeof(got)), -EBADF);
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(kv_probe_signature(fd, got, sizeof(got)), -ENOTBLK);
	close(fd);
	assert_int_equal(kv_probe_signature(-1, got, sizeof(got)), -EBADF);
}

static void wiping_through_a_readonly_fd_fails(void **state)
{
	const struct image *i = *state;
	int fd;

	resize(i, 64 * MIB);
	run((const char *const[]){ "mkfs.ext4", "-q", "-F", i->path, NULL });
	fd = open(i->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(kv_probe_wipe(fd) < 0);
	close(fd);
	expect(i, "ext4");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(finds_and_wipes_ext4),
		T(finds_and_wipes_xfs),
		T(finds_and_wipes_btrfs),
		T(finds_and_wipes_swap),
		T(finds_and_wipes_both_copies_of_a_gpt),
		T(a_gpt_without_its_protective_mbr_is_none),
		T(finds_and_wipes_a_dos_table),
		T(a_label_of_lvm_counts),
		T(contradicting_signatures_count),
		T(a_damaged_file_system_counts),
		T(blank_files_are_blank),
		T(data_without_a_signature_is_blank),
		T(wiping_blanks_both_ends_and_nothing_between),
		T(unreadable_is_an_error_and_not_blank),
		T(wiping_through_a_readonly_fd_fails),
	};

	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
