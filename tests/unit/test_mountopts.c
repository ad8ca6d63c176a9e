/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <linux/mount.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mount.h"

static struct kv_mount_opts parse(const char *options)
{
	struct kv_mount_opts opts;

	memset(&opts, 0xff, sizeof(opts));
	assert_int_equal(kv_mount_opts_parse(options, &opts, NULL), 0);
	return opts;
}

static void assert_refused(const char *options, int code, const char *bad)
{
	struct kv_mount_opts opts, before;
	char got[KV_OPTION_SIZE] = "untouched";

	memset(&opts, 0x5a, sizeof(opts));
	before = opts;
	if (kv_mount_opts_parse(options, &opts, got) != code || strcmp(got, bad) != 0)
		fail_msg("\"%s\": option \"%s\"", options, got);
	assert_memory_equal(&opts, &before, sizeof(opts));
	/* Who does not want the name need not give room for it. */
	assert_int_equal(kv_mount_opts_parse(options, &opts, NULL), code);
}

/* --- What belongs to the mount ---------------------------------------------------- */

static void nothing_is_nothing(void **state)
{
	static const char *const options[] = { NULL,  "",	  ",",
					       ",,,", "defaults", "defaults,," };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(options); i++) {
		struct kv_mount_opts opts = parse(options[i]);

		assert_int_equal(opts.attr_set, 0);
		assert_false(opts.readonly);
		assert_string_equal(opts.super, "");
	}
}

static void mount_flags_become_attributes(void **state)
{
	static const struct {
		const char *options;
		uint64_t attr;
	} cases[] = {
		{ "ro", MOUNT_ATTR_RDONLY },
		{ "nosuid", MOUNT_ATTR_NOSUID },
		{ "nodev", MOUNT_ATTR_NODEV },
		{ "noexec", MOUNT_ATTR_NOEXEC },
		{ "nodiratime", MOUNT_ATTR_NODIRATIME },
		{ "noatime", MOUNT_ATTR_NOATIME },
		{ "strictatime", MOUNT_ATTR_STRICTATIME },
		{ "relatime", MOUNT_ATTR_RELATIME },
		{ "nosymfollow", 0x00200000 },
		{ ",ro,,nosuid,", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID },
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		struct kv_mount_opts opts = parse(cases[i].options);

		assert_int_equal(opts.attr_set, cases[i].attr);
		assert_int_equal(opts.readonly, !!(cases[i].attr & MOUNT_ATTR_RDONLY));
		assert_string_equal(opts.super, "");
	}
}

static void later_flag_wins(void **state)
{
	(void)state;
	assert_int_equal(parse("ro,rw").attr_set, 0);
	assert_false(parse("ro,rw").readonly);
	assert_true(parse("rw,ro").readonly);
	assert_int_equal(parse("nosuid,nodev,noexec,suid,dev,exec").attr_set, 0);
	assert_int_equal(parse("exec,noexec").attr_set, MOUNT_ATTR_NOEXEC);
	assert_int_equal(parse("nodiratime,diratime,nosymfollow,symfollow").attr_set, 0);
	assert_int_equal(parse("noatime,strictatime").attr_set, MOUNT_ATTR_STRICTATIME);
	assert_int_equal(parse("strictatime,noatime").attr_set, MOUNT_ATTR_NOATIME);
	assert_int_equal(parse("noatime,relatime").attr_set, MOUNT_ATTR_RELATIME);
	assert_int_equal(parse("noatime,atime").attr_set, MOUNT_ATTR_RELATIME);
	assert_int_equal(parse("strictatime,nostrictatime").attr_set,
			 MOUNT_ATTR_RELATIME);
	/* Only takes back what it is the opposite of. */
	assert_int_equal(parse("strictatime,atime").attr_set, MOUNT_ATTR_STRICTATIME);
}

/* --- What belongs to the file system ---------------------------------------------- */

static void rest_goes_to_the_file_system_in_order(void **state)
{
	(void)state;
	assert_string_equal(parse("data=ordered").super, "data=ordered");
	assert_string_equal(parse("b,ro,a=1,noexec,b,a=2").super, "b,a=1,b,a=2");
	assert_string_equal(parse("sync,dirsync,lazytime").super,
			    "sync,dirsync,lazytime");
	assert_string_equal(parse("a=,b").super, "a=,b");
	/* Names that merely begin like one of libmount's. */
	assert_string_equal(parse("rox,offsets=3,loopy,bindings").super,
			    "rox,offsets=3,loopy,bindings");
	assert_string_equal(parse("fscontext=u:r:t:s0").super, "fscontext=u:r:t:s0");
}

static void commas_in_quotes_do_not_separate(void **state)
{
	static const char text[] = "a,context=\"u:r:t:s0:c1,c2\",b";
	struct kv_mount_opts opts = parse(text);
	const char *rest = opts.super;
	struct kv_mount_option o;

	(void)state;
	assert_string_equal(opts.super, text);
	assert_int_equal(kv_mount_option_next(&rest, &o), 1);
	assert_int_equal(o.name_len, 1);
	assert_null(o.value);
	assert_int_equal(kv_mount_option_next(&rest, &o), 1);
	assert_int_equal(o.name_len, strlen("context"));
	assert_int_equal(o.value_len, strlen("\"u:r:t:s0:c1,c2\""));
	assert_memory_equal(o.value, "\"u:r:t:s0:c1,c2\"", o.value_len);
	assert_int_equal(kv_mount_option_next(&rest, &o), 1);
	assert_memory_equal(o.text, "b", 2);
	assert_int_equal(kv_mount_option_next(&rest, &o), 0);
	assert_int_equal(kv_mount_option_next(&rest, &o), 0);
}

static void harmless_words_of_fstab_are_dropped(void **state)
{
	struct kv_mount_opts opts;

	(void)state;
	opts = parse(
		"auto,noauto,nofail,_netdev,comment=hello,x-systemd.automount,x-a=b,nouser");
	assert_int_equal(opts.attr_set, 0);
	assert_string_equal(opts.super, "");
}

/* --- What is refused -------------------------------------------------------------- */

static void what_changes_the_call_is_refused(void **state)
{
	static const char *const options[] = {
		"remount",	  "bind",
		"rbind",	  "move",
		"loop",		  "loop=/dev/loop0",
		"offset=512",	  "sizelimit=1",
		"user",		  "user=root",
		"users",	  "owner",
		"group",	  "shared",
		"rshared",	  "private",
		"rprivate",	  "slave",
		"rslave",	  "unbindable",
		"runbindable",	  "source=/dev/sda",
		"helper=x",	  "uhelper=x",
		"X-mount.mkdir",  "X-mount.subdir=a",
		"encryption=aes", "verity.roothash=00",
		"ro=vfs",	  "noatime=1",
	};
	char list[64];

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(options); i++) {
		assert_refused(options[i], -EINVAL, options[i]);
		assert_true(snprintf(list, sizeof(list), "ro,%s,a", options[i]) <
			    (int)sizeof(list));
		assert_refused(list, -EINVAL, options[i]);
	}
}

static void open_quote_is_refused(void **state)
{
	(void)state;
	assert_refused("a,b=\"c,ro", -EINVAL, "b=\"c,ro");
	assert_refused("\"", -EINVAL, "\"");
}

static void control_characters_are_refused(void **state)
{
	(void)state;
	assert_refused("ro,a=b\nc", -EINVAL, "a=b?c");
	assert_refused("\x7f", -EINVAL, "?");
	assert_refused("x-a=\t", -EINVAL, "x-a=?");
}

static void too_long_is_refused(void **state)
{
	struct kv_mount_opts opts;
	char text[8192], bad[KV_OPTION_SIZE];

	(void)state;
	/* super just fits, and is one too long */
	memset(text, 'a', sizeof(text));
	text[sizeof(opts.super) - 1] = '\0';
	assert_string_equal(parse(text).super, text);
	text[sizeof(opts.super) - 1] = 'a';
	text[sizeof(opts.super)] = '\0';
	assert_int_equal(kv_mount_opts_parse(text, &opts, bad), -E2BIG);
	assert_int_equal(strlen(bad), KV_OPTION_SIZE - 1);
	/* together */
	text[300] = ',';
	assert_int_equal(kv_mount_opts_parse(text, &opts, bad), -E2BIG);
	/* what would be dropped anyway does not count against super */
	text[0] = 'x';
	text[1] = '-';
	assert_int_equal(kv_mount_opts_parse(text, &opts, bad), 0);
	/* but there is an end to it */
	memset(text, ',', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(kv_mount_opts_parse(text, &opts, bad), -E2BIG);
}

/* --- Whatever comes --------------------------------------------------------------- */

/* What was sorted out once stays: super holds no flag of the mount and nothing that is
 * refused. */
static void parsing_the_result_again_changes_nothing(void **state)
{
	static const char *const words[] = {
		"ro", "rw",	 "a",	    "=",   "\"",   ",", "\\",
		"x-", "noatime", "context", "b,c", "sync", "",
	};
	struct kv_mount_opts once, again;
	unsigned accepted = 0;
	char text[256];

	(void)state;
	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		size_t used = 0;

		for (int n = rand() % 8; n > 0; n--) {
			const char *w = words[(size_t)rand() % KV_ARRAY_SIZE(words)];

			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 w, rand() % 2 ? "," : "");
		}
		text[used] = '\0';
		if (kv_mount_opts_parse(text, &once, NULL) < 0)
			continue;
		accepted++;
		if (kv_mount_opts_parse(once.super, &again, NULL) < 0 ||
		    again.attr_set != 0 || strcmp(once.super, again.super) != 0)
			fail_msg("\"%s\" -> \"%s\"", text, once.super);
	}
	assert_true(accepted > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(mount_flags_become_attributes),
		cmocka_unit_test(later_flag_wins),
		cmocka_unit_test(rest_goes_to_the_file_system_in_order),
		cmocka_unit_test(commas_in_quotes_do_not_separate),
		cmocka_unit_test(harmless_words_of_fstab_are_dropped),
		cmocka_unit_test(what_changes_the_call_is_refused),
		cmocka_unit_test(open_quote_is_refused),
		cmocka_unit_test(control_characters_are_refused),
		cmocka_unit_test(too_long_is_refused),
		cmocka_unit_test(parsing_the_result_again_changes_nothing),
	};

	return cmocka_run_group_tests_name("mountopts", tests, NULL, NULL);
}
