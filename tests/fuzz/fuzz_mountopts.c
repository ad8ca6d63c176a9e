// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mount options, which may come from anybody who may ask for a volume. What is left for
 * the file system is parsed to the same again; nothing in it is an option that was to be
 * refused; what is refused is named in a line that can be printed.
 *
 * Input: the options.
 */
#include <sys/mount.h>

#include "fuzz.h"
#include "mount.h"

#define ATTR_RDONLY 0x1u
#define ATTR_KNOWN  0x2000bfu /* the MOUNT_ATTR_* that options can ask for */

/* What must never get to the kernel as an option of the file system. */
static const char *const never[] = {
	"remount",    "bind",	   "rbind",    "move",	  "loop",
	"offset",     "sizelimit", "private",  "shared",  "slave",
	"unbindable", "source",	   "rprivate", "rshared", "encryption",
};

static void check_super(const char *super)
{
	struct kv_mount_option o;
	const char *at = super;
	int r;

	while ((r = kv_mount_option_next(&at, &o)) > 0) {
		CHECK(o.name >= super && o.name_len > 0 && o.text == o.name);
		CHECK(o.text + o.text_len <= super + strlen(super));
		CHECK(!o.value || (o.value > o.name && o.value_len <= o.text_len));
		for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			CHECK(o.name_len != strlen(never[i]) ||
			      memcmp(o.name, never[i], o.name_len));
		for (size_t i = 0; i < o.text_len; i++)
			CHECK((unsigned char)o.text[i] >= ' ' && o.text[i] != 0x7f);
	}
	CHECK(r == 0);
}

static void check_bad(const char bad[KV_OPTION_SIZE])
{
	CHECK(memchr(bad, 0, KV_OPTION_SIZE));
	for (const char *p = bad; *p; p++)
		CHECK((unsigned char)*p >= ' ' && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kv_mount_opts opts, again, untouched;
	struct input in = { data, n };
	char *s = take_string(&in);
	char bad[KV_OPTION_SIZE];
	int r;

	memset(bad, 0xa5, sizeof(bad));
	memset(&untouched, 0xa5, sizeof(untouched));
	opts = untouched;
	r = kv_mount_opts_parse(s, &opts, bad);
	if (r < 0) {
		CHECK(r == -EINVAL || r == -E2BIG);
		CHECK(!memcmp(&opts, &untouched, sizeof(opts)));
		check_bad(bad);
		CHECK(kv_mount_opts_parse(s, &opts, NULL) == r);
		free(s);
		return 0;
	}
	CHECK(!(opts.attr_set & ~(uint64_t)ATTR_KNOWN));
	CHECK(opts.readonly == !!(opts.attr_set & ATTR_RDONLY));
	CHECK(memchr(opts.super, 0, sizeof(opts.super)));
	check_super(opts.super);
	CHECK(kv_mount_opts_parse(opts.super, &again, bad) == 0);
	CHECK(!again.attr_set && !again.readonly && !strcmp(again.super, opts.super));
	free(s);
	return 0;
}
