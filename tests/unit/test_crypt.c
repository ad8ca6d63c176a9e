/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * lib/crypt.c on a file that stands for the device. What counts is what a change of the
 * secret leaves when it is cut short: after each of its writes, in the middle of each, and
 * when each fails.
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
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "crypt.h"

#define UUID   "01234567-89ab-4cde-8f01-23456789abcd"
#define HEADER ((size_t)KV_CRYPT_HEADER_BYTES)
#define COPY   ((size_t)16 << 10)

static const struct kv_secret old_secret = { "the old one", 11 };
static const struct kv_secret new_secret = { "another", 7 };
static const struct kv_secret no_secret = { "the old on", 10 };

static int fd;
static unsigned char *key;
static unsigned writes;	 /* and flushes, that are yet to come through; 0: no limit */
static bool failing;	 /* the next one fails, and nothing else does */
static bool torn;	 /* of the last one half comes through */
static unsigned counted;

/* --- The disk --------------------------------------------------------------------- */

int __real_kv_pwrite_full(int to, const void *buf, size_t n, uint64_t offset);
int __wrap_kv_pwrite_full(int to, const void *buf, size_t n, uint64_t offset);
int __real_kv_blockdev_flush(int to);
int __wrap_kv_blockdev_flush(int to);

/* 1: it is done; 0: nobody hears of it, the machine is off; -EIO. */
static int step(void)
{
	counted++;
	if (!writes || counted < writes)
		return 1;
	if (counted == writes && failing)
		return -EIO;
	return failing;
}

int __wrap_kv_pwrite_full(int to, const void *buf, size_t n, uint64_t offset)
{
	int r = step();

	if (r == 0 && torn && counted == writes)
		return __real_kv_pwrite_full(to, buf, n / 2 / 512 * 512, offset);
	return r == 1 ? __real_kv_pwrite_full(to, buf, n, offset) : r;
}

int __wrap_kv_blockdev_flush(int to)
{
	(void)to;
	return step() < 0 ? -EIO : 0;
}

static int setup(void **state)
{
	(void)state;
	fd = memfd_create("device", MFD_CLOEXEC);
	key = kv_secret_alloc(KV_CRYPT_KEY_BYTES);
	assert_true(fd >= 0 && key && ftruncate(fd, 4 << 20) == 0);
	writes = counted = 0;
	failing = torn = false;
	assert_int_equal(kv_crypt_format(fd, UUID, &old_secret, key), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kv_secret_free(key, KV_CRYPT_KEY_BYTES);
	(void)kv_close(fd);
	return 0;
}

/* 0 and the key as it was made, or what it says. */
static int unlock(const struct kv_secret *secret)
{
	unsigned char *got = kv_secret_alloc(KV_CRYPT_KEY_BYTES);
	int r;

	assert_non_null(got);
	r = kv_crypt_unlock(fd, secret, got);
	if (r == 0)
		assert_memory_equal(got, key, KV_CRYPT_KEY_BYTES);
	kv_secret_free(got, KV_CRYPT_KEY_BYTES);
	return r;
}

/* --- One after the other ---------------------------------------------------------- */

static void the_secret_gives_the_key(void **state)
{
	unsigned char zeros[KV_CRYPT_KEY_BYTES] = { 0 };

	(void)state;
	assert_memory_not_equal(key, zeros, sizeof(zeros));
	assert_int_equal(unlock(&old_secret), 0);
	assert_int_equal(unlock(&no_secret), -EACCES);
	assert_int_equal(unlock(&new_secret), -EACCES);
}

static void a_changed_secret_gives_the_same_key(void **state)
{
	(void)state;
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	assert_int_equal(unlock(&new_secret), 0);
	assert_int_equal(unlock(&old_secret), -EACCES);
	/* Again and again: slots do not run out. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kv_crypt_change(fd, &new_secret, &old_secret), 0);
		assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	}
	assert_int_equal(unlock(&new_secret), 0);
}

static void a_change_that_is_made_is_repeated(void **state)
{
	(void)state;
	assert_int_equal(kv_crypt_change(fd, &no_secret, &old_secret), 0);
	assert_int_equal(kv_crypt_change(fd, &old_secret, &old_secret), 0);
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	counted = 0;
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	assert_int_equal(counted, 0); /* nothing is written */
	assert_int_equal(unlock(&new_secret), 0);
}

static void a_change_by_another_secret_is_refused(void **state)
{
	(void)state;
	counted = 0;
	assert_int_equal(kv_crypt_change(fd, &no_secret, &new_secret), -EACCES);
	assert_int_equal(kv_crypt_change(fd, &no_secret, &no_secret), -EACCES);
	assert_int_equal(counted, 0);
	assert_int_equal(unlock(&old_secret), 0);
}

static void the_old_slot_is_wiped(void **state)
{
	static unsigned char before[HEADER], after[HEADER];
	size_t same = 0;

	(void)state;
	assert_int_equal(kv_pread_full(fd, before, HEADER, 0), 0);
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	assert_int_equal(kv_pread_full(fd, after, HEADER, 0), 0);
	/* The first slot begins behind the copies of the header and is 258048 bytes. */
	for (size_t at = 2 * COPY; at < 2 * COPY + 258048; at += 4096)
		same += !memcmp(before + at, after + at, 4096);
	assert_int_equal(same, 0);
}

/* --- Damage ----------------------------------------------------------------------- */

static void overwrite(size_t at, size_t n)
{
	static const unsigned char junk[HEADER];

	assert_int_equal(__real_kv_pwrite_full(fd, junk, n, at), 0);
}

static void one_copy_is_enough(void **state)
{
	(void)state;
	overwrite(0, COPY);
	assert_int_equal(unlock(&old_secret), 0);
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	/* The change has mended the first. */
	overwrite(COPY, COPY);
	assert_int_equal(unlock(&new_secret), 0);
}

static void what_is_no_header_is_damage(void **state)
{
	(void)state;
	overwrite(0, 2 * COPY);
	assert_int_equal(unlock(&old_secret), -EUCLEAN);
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), -EUCLEAN);
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_int_equal(unlock(&old_secret), -ENODATA);
}

static void a_lost_slot_opens_for_nobody(void **state)
{
	(void)state;
	overwrite(2 * COPY, 258048);
	assert_int_equal(unlock(&old_secret), -EACCES);
}

/* --- Cut short -------------------------------------------------------------------- */

static bool exactly_one(bool *ret_new)
{
	int old = unlock(&old_secret), new = unlock(&new_secret);

	*ret_new = new == 0;
	return (old == 0 && new == -EACCES) || (old == -EACCES && new == 0);
}

static void a_crash_leaves_one_of_the_two(void **state)
{
	static unsigned char before[HEADER];
	unsigned n, n_old = 0, n_new = 0;
	bool is_new;

	(void)state;
	assert_int_equal(kv_pread_full(fd, before, HEADER, 0), 0);
	counted = 0;
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	n = counted;
	assert_true(n >= 8); /* four writes, four flushes */
	for (unsigned i = 0; i < 2 * n; i++) {
		assert_int_equal(__real_kv_pwrite_full(fd, before, HEADER, 0), 0);
		counted = 0;
		writes = i / 2 + 1;
		torn = i % 2;
		(void)kv_crypt_change(fd, &old_secret, &new_secret);
		writes = 0;
		assert_true(exactly_one(&is_new));
		/* Never back again. */
		assert_true(is_new || !n_new);
		n_new += is_new;
		n_old += !is_new;
		if (i % 3)
			continue;
		/* And the same call makes an end to it. */
		assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
		overwrite(0, COPY);
		assert_int_equal(unlock(&new_secret), 0);
		assert_int_equal(unlock(&old_secret), -EACCES);
	}
	assert_true(n_old > 2 && n_new > 2);
}

static void a_failure_leaves_the_old_one(void **state)
{
	static unsigned char before[HEADER];
	unsigned n;
	int r;

	(void)state;
	assert_int_equal(kv_pread_full(fd, before, HEADER, 0), 0);
	counted = 0;
	assert_int_equal(kv_crypt_change(fd, &old_secret, &new_secret), 0);
	n = counted;
	for (unsigned i = 1; i <= n; i++) {
		assert_int_equal(__real_kv_pwrite_full(fd, before, HEADER, 0), 0);
		counted = 0;
		writes = i;
		failing = true;
		r = kv_crypt_change(fd, &old_secret, &new_secret);
		writes = 0;
		failing = false;
		assert_true(r == 0 || r == -EIO);
		assert_true(r == 0 || i + 2 <= n); /* the wiping is not waited for */
		assert_int_equal(unlock(&old_secret), r == 0 ? -EACCES : 0);
		assert_int_equal(unlock(&new_secret), r == 0 ? 0 : -EACCES);
	}
}

int main(void)
{
#define TEST(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_secret_gives_the_key),
		TEST(a_changed_secret_gives_the_same_key),
		TEST(a_change_that_is_made_is_repeated),
		TEST(a_change_by_another_secret_is_refused),
		TEST(the_old_slot_is_wiped),
		TEST(one_copy_is_enough),
		TEST(what_is_no_header_is_damage),
		TEST(a_lost_slot_opens_for_nobody),
		TEST(a_crash_leaves_one_of_the_two),
		TEST(a_failure_leaves_the_old_one),
	};
	struct kv_secret secret = { "x", 1 };

	if (kv_crypt_unlock(-1, &secret, NULL) == -EOPNOTSUPP) {
		printf("1..0 # SKIP built without libcryptsetup\n");
		return 77;
	}
	return cmocka_run_group_tests_name("crypt", tests, NULL, NULL);
}
