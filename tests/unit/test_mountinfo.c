/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "mountinfo.h"

/* As the kernel writes it. */
#define LINE                                                                            \
	"36 35 98:4 /mnt1 /mnt2 rw,noatime master:1 propagate_from:7 - ext3 /dev/root " \
	"rw,errors=continue\n"

static struct kv_mountinfo parsed(const char *line)
{
	struct kv_mountinfo m;

	assert_int_equal(kv_mountinfo_parse(line, &m), 0);
	return m;
}

static void assert_span(const char *s, size_t n, const char *text)
{
	assert_int_equal(n, strlen(text));
	assert_memory_equal(s, text, n);
}

/* --- Lines ------------------------------------------------------------------------ */

static void fields_are_found(void **state)
{
	struct kv_mountinfo m = parsed(LINE);

	(void)state;
	assert_int_equal(m.id, 36);
	assert_int_equal(major(m.dev), 98);
	assert_int_equal(minor(m.dev), 4);
	assert_span(m.root, m.root_len, "/mnt1");
	assert_span(m.point, m.point_len, "/mnt2");
	assert_span(m.fs_type, m.fs_type_len, "ext3");
}

static void tags_may_be_none_or_many(void **state)
{
	struct kv_mountinfo m;

	(void)state;
	m = parsed("1 2 3:4 / /a rw - xfs s o");
	assert_span(m.fs_type, m.fs_type_len, "xfs");
	/* A tag that begins with the separator, or is as long, is none. */
	m = parsed("1 2 3:4 / /a rw -a a - btrfs s o");
	assert_span(m.fs_type, m.fs_type_len, "btrfs");
}

static void largest_numbers_are_taken(void **state)
{
	struct kv_mountinfo m;

	(void)state;
	m = parsed("18446744073709551615 0 4294967295:0 / /a rw - xfs s o");
	assert_int_equal(m.id, UINT64_MAX);
	assert_int_equal(major(m.dev), UINT32_MAX);
	m = parsed("1 0 0:4294967295 / /a rw - xfs s o");
	assert_int_equal(minor(m.dev), UINT32_MAX);
}

static void bad_lines_are_refused_and_output_stays(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"x 35 98:4 / /a rw - xfs s o",
		"36",
		"36\t35 98:4 / /a rw - xfs s o",
		" 36 35 98:4 / /a rw - xfs s o",
		"-36 35 98:4 / /a rw - xfs s o",
		"+36 35 98:4 / /a rw - xfs s o",
		"36  35 98:4 / /a rw - xfs s o",
		"36 y 98:4 / /a rw - xfs s o",
		"36 35 98 / /a rw - xfs s o",
		"36 35 98:/ / /a rw - xfs s o",
		"36 35 98:4",
		"36 35 98:4:5 / /a rw - xfs s o",
		/* Past 64 bits, by one and by a digit; past 32. */
		"18446744073709551616 35 98:4 / /a rw - xfs s o",
		"99999999999999999999 35 98:4 / /a rw - xfs s o",
		"36 35 4294967296:4 / /a rw - xfs s o",
		"36 35 98:4294967296 / /a rw - xfs s o",
		/* Cut short behind each word. */
		"36 35 98:4 ",
		"36 35 98:4 /",
		"36 35 98:4 / ",
		"36 35 98:4 / /a",
		"36 35 98:4 / /a\n",
		"36 35 98:4 / /a rw",
		"36 35 98:4 / /a rw ",
		"36 35 98:4 / /a rw -",
		"36 35 98:4 / /a rw - ",
		"36 35 98:4 / /a rw - xfs",
		"36 35 98:4 / /a rw - xfs\n",
		"36 35 98:4 / /a rw shared:1\n- xfs s o",
		"36 35 98:4 / /a rw -- xfs s o",
		/* Empty words. */
		"36 35 98:4  /a rw - xfs s o",
		"36 35 98:4 /  rw - xfs s o",
		"36 35 98:4 / /a  - xfs s o",
		"36 35 98:4 / /a rw -  s o",
	};
	struct kv_mountinfo m, before;

	(void)state;
	memset(&before, 0xa5, sizeof(before));
	for (size_t i = 0; i < KV_ARRAY_SIZE(lines); i++) {
		m = before;
		if (kv_mountinfo_parse(lines[i], &m) != -EBADMSG)
			fail_msg("taken: '%s'", lines[i]);
		assert_memory_equal(&m, &before, sizeof(m));
	}
}

/* --- Is it ours ------------------------------------------------------------------- */

static void mount_is_known_by_id_and_device(void **state)
{
	struct kv_mountinfo m = parsed(LINE);

	(void)state;
	assert_true(kv_mountinfo_is(&m, 36, makedev(98, 4), false));
	assert_false(kv_mountinfo_is(&m, 35, makedev(98, 4), false));
	assert_false(kv_mountinfo_is(&m, 36, makedev(98, 5), false));
	assert_false(kv_mountinfo_is(&m, 36, makedev(99, 4), false));
}

/* What stat shows on a btrfs is a number of the subvolume's own. */
static void btrfs_is_known_by_id_alone(void **state)
{
	struct kv_mountinfo m = parsed("36 35 0:40 / /a rw - btrfs s o");

	(void)state;
	assert_true(kv_mountinfo_is(&m, 36, makedev(253, 7), false));
	assert_false(kv_mountinfo_is(&m, 37, makedev(253, 7), false));
	m = parsed("36 35 0:40 / /a rw - btrfs2 s o");
	assert_false(kv_mountinfo_is(&m, 36, makedev(253, 7), false));
	m = parsed("36 35 0:40 / /a rw - btrf5 s o");
	assert_false(kv_mountinfo_is(&m, 36, makedev(253, 7), false));
}

/* A bind mount of a node: its file system is whatever /dev is. */
static void node_is_known_by_what_is_bound(void **state)
{
	struct kv_mountinfo m = parsed("36 35 0:5 /dm-7 /target rw - devtmpfs udev rw");

	(void)state;
	assert_true(kv_mountinfo_is(&m, 36, makedev(253, 7), true));
	assert_false(kv_mountinfo_is(&m, 36, makedev(253, 8), true));
	assert_false(kv_mountinfo_is(&m, 36, makedev(253, 77), true));
	assert_false(kv_mountinfo_is(&m, 37, makedev(253, 7), true));
	/* The node's own file system is no device-mapper device. */
	assert_false(kv_mountinfo_is(&m, 36, makedev(253, 7), false));
	m = parsed("36 35 0:5 /dm-7//deleted /target rw - devtmpfs udev rw");
	assert_false(kv_mountinfo_is(&m, 36, makedev(253, 7), true));
}

static void device_that_a_mount_shows_is_known(void **state)
{
	static const struct {
		const char *line;
		bool fs, node; /* of 253:7 */
	} cases[] = {
		{ "36 35 253:7 / /a rw - ext4 /dev/dm-7 rw", true, false },
		{ "36 35 253:7 /sub /a rw - xfs - rw", true, false },
		{ "36 35 253:8 / /a rw - ext4 /dev/dm-7 rw", false, false },
		{ "36 35 253:77 / /a rw - ext4 /dev/dm-77 rw", false, false },
		/* A btrfs has a number of its own, and says itself what it is on. */
		{ "36 35 0:40 / /a rw - btrfs /dev/dm-7 rw", true, false },
		{ "36 35 0:40 / /a rw - btrfs /dev/dm-77 rw", false, false },
		{ "36 35 0:40 / /a rw - btrfs /dev/dm-", false, false },
		{ "36 35 0:40 / /a rw - btrfs  rw", false, false },
		{ "36 35 0:40 / /a rw - tmpfs /dev/dm-7 rw", false, false },
		{ "36 35 0:5 /dm-7 /a rw - devtmpfs udev rw", false, true },
		{ "36 35 0:5 /dm-8 /a rw - devtmpfs udev rw", false, false },
		{ "36 35 0:5 / /dev rw - devtmpfs udev rw", false, false },
	};
	struct kv_mountinfo m;

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		m = parsed(cases[i].line);
		if (kv_mountinfo_shows(&m, makedev(253, 7), false) != cases[i].fs ||
		    kv_mountinfo_shows(&m, makedev(253, 7), true) != cases[i].node)
			fail_msg("'%s'", cases[i].line);
	}
}

/* --- Where it is ------------------------------------------------------------------ */

static void point_is_unescaped(void **state)
{
	static const struct {
		const char *line, *point;
	} cases[] = {
		{ "1 2 3:4 / /a rw - xfs s o", "/a" },
		{ "1 2 3:4 / /a\\040b\\011c\\012d\\134e rw - xfs s o", "/a b\tc\nd\\e" },
		{ "1 2 3:4 / /\\303\\266 rw - xfs s o", "/\xc3\xb6" },
		{ "1 2 3:4 / /\\377 rw - xfs s o", "/\xff" },
		/* None of the kernel's: taken as they stand. */
		{ "1 2 3:4 / /a\\04 rw - xfs s o", "/a\\04" },
		{ "1 2 3:4 / /a\\ rw - xfs s o", "/a\\" },
		{ "1 2 3:4 / /a\\400b rw - xfs s o", "/a\\400b" },
		{ "1 2 3:4 / /a\\/00b rw - xfs s o", "/a\\/00b" },
		{ "1 2 3:4 / /a\\080b rw - xfs s o", "/a\\080b" },
		{ "1 2 3:4 / /a\\0/0b rw - xfs s o", "/a\\0/0b" },
		{ "1 2 3:4 / /a\\008b rw - xfs s o", "/a\\008b" },
		{ "1 2 3:4 / /a\\00/b rw - xfs s o", "/a\\00/b" },
		{ "1 2 3:4 / /a\\\\040b rw - xfs s o", "/a\\ b" },
	};
	struct kv_mountinfo m;
	char point[64];

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		m = parsed(cases[i].line);
		assert_true(kv_mountinfo_point(&m, point, sizeof(point)));
		assert_string_equal(point, cases[i].point);
	}
}

static void point_that_does_not_fit_is_refused(void **state)
{
	struct kv_mountinfo m = parsed("1 2 3:4 / /a\\040b rw - xfs s o");
	char point[8];

	(void)state;
	assert_true(kv_mountinfo_point(&m, point, 5)); /* "/a b" and its end */
	assert_string_equal(point, "/a b");
	memset(point, 'x', sizeof(point));
	for (size_t size = 0; size < 5; size++) {
		assert_false(kv_mountinfo_point(&m, point, size));
		assert_int_equal(point[size], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_found),
		cmocka_unit_test(tags_may_be_none_or_many),
		cmocka_unit_test(largest_numbers_are_taken),
		cmocka_unit_test(bad_lines_are_refused_and_output_stays),
		cmocka_unit_test(mount_is_known_by_id_and_device),
		cmocka_unit_test(btrfs_is_known_by_id_alone),
		cmocka_unit_test(node_is_known_by_what_is_bound),
		cmocka_unit_test(device_that_a_mount_shows_is_known),
		cmocka_unit_test(point_is_unescaped),
		cmocka_unit_test(point_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
