/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util.h"

/* --- Cleanup ---------------------------------------------------------------------- */

static void close_keeps_errno_and_gives_minus_one(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	errno = EXDEV;
	assert_int_equal(kv_close(fd), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	errno = EXDEV;
	assert_int_equal(kv_close(-1), -1);
	assert_int_equal(errno, EXDEV);
}

static void taken_fd_outlives_its_scope(void **state)
{
	int kept;

	(void)state;
	{
		_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		assert_true(fd >= 0);
		kept = kv_take_fd(&fd);
		assert_int_equal(fd, -1);
	}
	assert_true(fcntl(kept, F_GETFD) >= 0);
	(void)kv_close(kept);
}

static void fd_is_closed_at_the_end_of_its_scope(void **state)
{
	int number;

	(void)state;
	{
		_cleanup_close_ int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		number = fd;
	}
	assert_true(number >= 0);
	assert_int_equal(fcntl(number, F_GETFD), -1);
}

/* --- Time ------------------------------------------------------------------------- */

static void deadlines_saturate(void **state)
{
	(void)state;
	assert_true(kv_deadline(INT64_MAX) == INT64_MAX);
	assert_false(kv_expired(INT64_MAX));
	assert_false(kv_expired(kv_deadline(1000000)));
	assert_true(kv_expired(kv_deadline(0)));
	assert_true(kv_expired(kv_deadline(INT64_MIN)));
}

static void backoff_ends_at_the_deadline(void **state)
{
	int64_t deadline = kv_deadline(20);
	unsigned step = 0, rounds = 0;
	int r;

	(void)state;
	do {
		r = kv_backoff(&step, deadline);
		rounds++;
	} while (r == 0);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(kv_expired(deadline));
	assert_true(rounds > 1);
	assert_true(step > 0);
	assert_int_equal(kv_backoff(&step, deadline), -ETIMEDOUT);
}

static void backoff_takes_any_step(void **state)
{
	unsigned step = UINT_MAX;

	(void)state;
	assert_int_equal(kv_backoff(&step, kv_deadline(1000)), 0);
	assert_true(step == UINT_MAX);
}

/* --- Strings ---------------------------------------------------------------------- */

static void strcpy_terminates_and_tells_what_did_not_fit(void **state)
{
	char buf[4];

	(void)state;
	assert_true(kv_strcpy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(kv_strcpy(buf, sizeof(buf), "defg"));
	assert_string_equal(buf, "def");
	assert_true(kv_strcpy(buf, 1, ""));
	assert_string_equal(buf, "");
	assert_false(kv_strcpy(buf, 0, ""));
}

static void null_equals_the_empty_string(void **state)
{
	(void)state;
	assert_true(kv_str_empty(NULL));
	assert_true(kv_str_empty(""));
	assert_false(kv_str_empty("a"));
	assert_true(kv_str_equal(NULL, ""));
	assert_true(kv_str_equal(NULL, NULL));
	assert_true(kv_str_equal("a", "a"));
	assert_false(kv_str_equal("a", NULL));
	assert_false(kv_str_equal("a", "A"));
}

static void utf8_is_strict(void **state)
{
	static const struct {
		const char *s;
		size_t len;
		uint32_t c;
	} cases[] = {
		{ "a", 1, 'a' },
		{ "\x7f", 1, 0x7f },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbf", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xee\x80\x80", 3, 0xe000 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		{ "\x80", 0, 0 }, /* a continuation alone */
		{ "\xbf", 0, 0 },
		{ "\xc0\x80", 0, 0 }, /* overlong NUL */
		{ "\xc0\xaf", 0, 0 }, /* overlong '/' */
		{ "\xc1\xbf", 0, 0 },
		{ "\xe0\x9f\xbf", 0, 0 },
		{ "\xf0\x8f\xbf\xbf", 0, 0 },
		{ "\xed\xa0\x80", 0, 0 }, /* surrogates */
		{ "\xed\xbf\xbf", 0, 0 },
		{ "\xf4\x90\x80\x80", 0, 0 }, /* U+110000 */
		{ "\xf8\x88\x80\x80\x80", 0, 0 },
		{ "\xfe", 0, 0 },
		{ "\xff", 0, 0 },
		{ "\xc2", 0, 0 }, /* cut short */
		{ "\xe2\x82", 0, 0 },
		{ "\xf0\x90\x80", 0, 0 },
		{ "\xc2"
		  "a",
		  0, 0 },
		{ "\xe2\x82"
		  "a",
		  0, 0 },
		{ "", 0, 0 },
	};
	size_t i, n;
	uint32_t c;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		c = 0;
		n = strlen(cases[i].s);
		assert_int_equal(kv_utf8_char(cases[i].s, n, &c), cases[i].len);
		assert_int_equal(c, cases[i].c);
		assert_int_equal(kv_utf8_char(cases[i].s, n, NULL), cases[i].len);
	}
	/* Not a byte beyond n is looked at. */
	assert_int_equal(kv_utf8_char("\xe2\x82\xac", 2, &c), 0);
	assert_int_equal(kv_utf8_char("\xe2\x82\xac", 3, &c), 3);
}

static void controls_are_c0_del_and_c1(void **state)
{
	(void)state;
	assert_true(kv_control_char(0));
	assert_true(kv_control_char('\n'));
	assert_true(kv_control_char(0x1f));
	assert_false(kv_control_char(' '));
	assert_false(kv_control_char('~'));
	assert_true(kv_control_char(0x7f));
	assert_true(kv_control_char(0x80));
	assert_true(kv_control_char(0x9f));
	assert_false(kv_control_char(0xa0));
}

static void line_replaces_controls_and_stray_bytes(void **state)
{
	char buf[64];

	(void)state;
	kv_str_line(buf, sizeof(buf),
		    "a\tb\nc\x7f"
		    "d\xc2\x85"
		    "e\xff"
		    "f\xe2\x82\xac");
	assert_string_equal(buf, "a?b?c?d?e?f\xe2\x82\xac");
	kv_str_line(buf, sizeof(buf), "");
	assert_string_equal(buf, "");
}

static void line_is_cut_between_characters(void **state)
{
	char buf[10];

	(void)state;
	kv_str_line(buf, sizeof(buf), "123456789");
	assert_string_equal(buf, "123456789");
	kv_str_line(buf, sizeof(buf), "1234567890");
	assert_string_equal(buf, "123456...");
	kv_str_line(buf, sizeof(buf),
		    "12345\xe2\x82\xac"
		    "89"); /* 10 bytes */
	assert_string_equal(buf, "12345...");
	kv_str_line(buf, sizeof(buf), "123456\xe2\x82\xac"); /* 9 bytes */
	assert_string_equal(buf, "123456\xe2\x82\xac");
	kv_str_line(buf, 4, "1234");
	assert_string_equal(buf, "...");
}

/* --- Numbers ---------------------------------------------------------------------- */

static void rounding_saturates(void **state)
{
	(void)state;
	assert_true(kv_round_up(0, 4096) == 0);
	assert_true(kv_round_up(1, 4096) == 4096);
	assert_true(kv_round_up(4096, 4096) == 4096);
	assert_true(kv_round_up(4097, 4096) == 8192);
	assert_true(kv_round_up(UINT64_MAX, 4096) == UINT64_MAX);
	assert_true(kv_round_up(7, 0) == 7);
	assert_true(kv_div_round_up(0, 3) == 0);
	assert_true(kv_div_round_up(7, 3) == 3);
	assert_true(kv_div_round_up(UINT64_MAX, 2) == (UINT64_C(1) << 63));
}

static void new_uuids_are_valid_version_4_and_differ(void **state)
{
	char a[KV_UUID_LEN + 1], b[KV_UUID_LEN + 1];

	(void)state;
	assert_int_equal(kv_uuid_new(a), 0);
	assert_int_equal(kv_uuid_new(b), 0);
	assert_true(kv_uuid_valid(a));
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
	assert_string_not_equal(a, b);
}

static void uuids_have_one_spelling(void **state)
{
	(void)state;
	assert_true(kv_uuid_valid("01234567-89ab-4cde-8f01-23456789abcd"));
	assert_false(kv_uuid_valid(NULL));
	assert_false(kv_uuid_valid(""));
	assert_false(kv_uuid_valid("01234567-89AB-4cde-8f01-23456789abcd"));
	assert_false(kv_uuid_valid("01234567-89ab-4cde-8f01-23456789abc"));
	assert_false(kv_uuid_valid("01234567-89ab-4cde-8f01-23456789abcde"));
	assert_false(kv_uuid_valid("0123456789ab4cde8f0123456789abcd"));
	assert_false(kv_uuid_valid("01234567-89ab-4cde-8f01-23456789abcg"));
	assert_false(kv_uuid_valid("01234567-89ab-4cde-8f01023456789abcd"));
}

static void hash_is_fnv_1a(void **state)
{
	(void)state;
	assert_true(kv_hash64("", 0, 0) == UINT64_C(0xcbf29ce484222325));
	assert_true(kv_hash64("a", 1, 0) == UINT64_C(0xaf63dc4c8601ec8c));
	assert_true(kv_hash64("foobar", 6, 0) == UINT64_C(0x85944171f73967e8));
	assert_true(kv_hash64("a", 1, 1) != kv_hash64("a", 1, 0));
}

/* --- Files ------------------------------------------------------------------------ */

struct dir {
	char path[64];
	int fd;
};

static int dir_setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));

	if (!d)
		return -1;
	(void)kv_strcpy(d->path, sizeof(d->path), "/tmp/kvol-test_util-XXXXXX");
	if (!mkdtemp(d->path))
		return -1;
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = d;
	return d->fd < 0 ? -1 : 0;
}

static int dir_teardown(void **state)
{
	struct dir *d = *state;

	(void)unlinkat(d->fd, "f", 0);
	(void)unlinkat(d->fd, "link", 0);
	(void)kv_close(d->fd);
	/* Fails if a temporary file was left over. */
	if (rmdir(d->path) < 0)
		return -1;
	free(d);
	return 0;
}

static void written_file_is_read_back(void **state)
{
	struct dir *d = *state;
	char buf[16];
	struct stat st;

	assert_int_equal(kv_write_file_at(d->fd, "f", "hello", 5), 0);
	assert_int_equal(kv_read_file_at(d->fd, "f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "hello");
	assert_int_equal(fstatat(d->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(kv_write_file_at(d->fd, "f", "", 0), 0);
	assert_int_equal(kv_read_file_at(d->fd, "f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
}

static void open_reader_keeps_the_old_content(void **state)
{
	struct dir *d = *state;
	char buf[4] = "";
	int fd;

	assert_int_equal(kv_write_file_at(d->fd, "f", "old", 3), 0);
	fd = openat(d->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(kv_write_file_at(d->fd, "f", "new", 3), 0);
	assert_int_equal(kv_pread_full(fd, buf, 3, 0), 0);
	(void)kv_close(fd);
	assert_string_equal(buf, "old");
}

static void file_written_by_absolute_path(void **state)
{
	struct dir *d = *state;
	char path[128], buf[16];

	(void)snprintf(path, sizeof(path), "%s/f", d->path);
	assert_int_equal(kv_write_file_at(AT_FDCWD, path, "abs", 3), 0);
	assert_int_equal(kv_read_file_at(AT_FDCWD, path, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "abs");
}

static void file_that_does_not_fit_is_refused(void **state)
{
	struct dir *d = *state;
	char buf[6];

	assert_int_equal(kv_write_file_at(d->fd, "f", "hello", 5), 0);
	assert_int_equal(kv_read_file_at(d->fd, "f", buf, 6), 0);
	assert_int_equal(kv_read_file_at(d->fd, "f", buf, 5), -EFBIG);
	assert_int_equal(kv_read_file_at(d->fd, "f", buf, 0), -EINVAL);
}

static void missing_file_and_link_are_refused(void **state)
{
	struct dir *d = *state;
	char buf[16];

	assert_int_equal(kv_read_file_at(d->fd, "f", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", d->fd, "link"), 0);
	assert_int_equal(kv_read_file_at(d->fd, "link", buf, sizeof(buf)), -ELOOP);
}

static void failed_write_leaves_nothing_behind(void **state)
{
	struct dir *d = *state;
	char name[PATH_MAX + 1];

	assert_int_equal(mkdirat(d->fd, "dir", 0700), 0);
	assert_int_equal(kv_write_file_at(d->fd, "dir", "x", 1), -EISDIR);
	assert_int_equal(unlinkat(d->fd, "dir", AT_REMOVEDIR), 0);
	assert_int_equal(kv_write_file_at(d->fd, "nodir/f", "x", 1), -ENOENT);
	memset(name, '/', PATH_MAX);
	name[PATH_MAX] = '\0';
	assert_int_equal(kv_write_file_at(d->fd, name, "x", 1), -ENAMETOOLONG);
}

static void proc_files_are_read_whole(void **state)
{
	const char *path = "/proc/self/status";
	char buf[65536];

	(void)state;
	assert_int_equal(kv_read_file_at(AT_FDCWD, path, buf, sizeof(buf)), 0);
	assert_non_null(strstr(buf, "Pid:"));
}

static void short_read_is_enodata(void **state)
{
	struct dir *d = *state;
	char buf[8];
	int fd = openat(d->fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(kv_pwrite_full(fd, "abcdef", 6, 2), 0);
	assert_int_equal(kv_pread_full(fd, buf, 6, 2), 0);
	assert_memory_equal(buf, "abcdef", 6);
	assert_int_equal(kv_pread_full(fd, buf, 7, 2), -ENODATA);
	assert_int_equal(kv_pread_full(fd, buf, 0, 1000), 0);
	assert_int_equal(kv_pread_full(fd, buf, 1, UINT64_MAX), -EINVAL);
	(void)kv_close(fd);
	assert_int_equal(kv_pread_full(-1, buf, 1, 0), -EBADF);
	assert_int_equal(kv_pwrite_full(-1, buf, 1, 0), -EBADF);
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_keeps_errno_and_gives_minus_one),
		cmocka_unit_test(taken_fd_outlives_its_scope),
		cmocka_unit_test(fd_is_closed_at_the_end_of_its_scope),
		cmocka_unit_test(deadlines_saturate),
		cmocka_unit_test(backoff_ends_at_the_deadline),
		cmocka_unit_test(backoff_takes_any_step),
		cmocka_unit_test(strcpy_terminates_and_tells_what_did_not_fit),
		cmocka_unit_test(null_equals_the_empty_string),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(controls_are_c0_del_and_c1),
		cmocka_unit_test(line_replaces_controls_and_stray_bytes),
		cmocka_unit_test(line_is_cut_between_characters),
		cmocka_unit_test(rounding_saturates),
		cmocka_unit_test(new_uuids_are_valid_version_4_and_differ),
		cmocka_unit_test(uuids_have_one_spelling),
		cmocka_unit_test(hash_is_fnv_1a),
		FILE_TEST(written_file_is_read_back),
		FILE_TEST(open_reader_keeps_the_old_content),
		FILE_TEST(file_written_by_absolute_path),
		FILE_TEST(file_that_does_not_fit_is_refused),
		FILE_TEST(missing_file_and_link_are_refused),
		FILE_TEST(failed_write_leaves_nothing_behind),
		cmocka_unit_test(proc_files_are_read_whole),
		FILE_TEST(short_read_is_enodata),
	};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
