/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mount options as mount(8) -o takes them, sorted by who has to act on them.
 *
 * libmount's tables say what an option is: a flag of the mount itself goes into attr_set,
 * what only fstab and mount(8) know is dropped, what would change the meaning of the
 * whole call (remount, bind, a loop device, propagation) is refused, and the rest belongs
 * to the file system.
 *
 * One splitter, kv_mount_option_next, serves the parser and whoever hands
 * kv_mount_opts.super to the kernel, so that both see the same options however oddly they
 * are quoted. Pure: no syscall, no allocation, no state. The input may be anything:
 * nothing here may assert on it.
 */

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include <libmount.h>

#include "mount.h"

/* What mount(2) itself takes is one page. */
#define OPTIONS_MAX 4096

/* The numbers of <linux/mount.h>, which clashes with <sys/mount.h>, which libmount.h
 * includes and which has all of them only since glibc 2.36. */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY      0x00000001
#define MOUNT_ATTR_NOSUID      0x00000002
#define MOUNT_ATTR_NODEV       0x00000004
#define MOUNT_ATTR_NOEXEC      0x00000008
#define MOUNT_ATTR__ATIME      0x00000070
#define MOUNT_ATTR_RELATIME    0x00000000
#define MOUNT_ATTR_NOATIME     0x00000010
#define MOUNT_ATTR_STRICTATIME 0x00000020
#define MOUNT_ATTR_NODIRATIME  0x00000080
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

int kv_mount_option_next(const char **options, struct kv_mount_option *ret)
{
	char *s = (char *)*options, *name = NULL, *value = NULL;
	size_t name_len = 0, value_len = 0;
	int r;

	/* libmount only reads, in spite of its prototype. */
	r = mnt_optstr_next_option(&s, &name, &name_len, &value, &value_len);
	if (r < 0)
		return -EINVAL;
	if (r > 0) {
		/* It also says "no more" in front of a quote that is never closed. */
		s = (char *)*options + strspn(*options, ",");
		if (*s)
			return -EINVAL;
		*options = s;
		return 0;
	}
	*ret = (struct kv_mount_option){
		.name = name,
		.name_len = name_len,
		.value = value,
		.value_len = value ? value_len : 0,
		.text = name,
		.text_len = value ? (size_t)(value + value_len - name) : name_len,
	};
	*options = s;
	return 1;
}

static void copy_bad(const struct kv_mount_option *o, char ret[KV_OPTION_SIZE])
{
	size_t n = o->text_len < KV_OPTION_SIZE ? o->text_len : KV_OPTION_SIZE - 1;

	if (!ret)
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)o->text[i];

		ret[i] = c < ' ' || c == 0x7f ? '?' : (char)c;
	}
	ret[n] = '\0';
}

static bool has_control(const struct kv_mount_option *o)
{
	for (size_t i = 0; i < o->text_len; i++) {
		unsigned char c = (unsigned char)o->text[i];

		if (c < ' ' || c == 0x7f)
			return true;
	}
	return false;
}

static bool is_named(const struct kv_mount_option *o, const char *name)
{
	return o->name_len == strlen(name) && memcmp(o->name, name, o->name_len) == 0;
}

/* Entries are called "ro", "offset=", "loop[=]", or "x-" with MNT_PREFIX. */
static const struct libmnt_optmap *find(const struct libmnt_optmap *map,
					const struct kv_mount_option *o)
{
	for (; map && map->name; map++) {
		size_t n = strcspn(map->name, "=[");

		if (n > o->name_len || memcmp(map->name, o->name, n) != 0)
			continue;
		if (n == o->name_len || (map->mask & MNT_PREFIX))
			return map;
	}
	return NULL;
}

static uint64_t attr_of(int ms)
{
	switch (ms) {
	case MS_RDONLY:
		return MOUNT_ATTR_RDONLY;
	case MS_NOSUID:
		return MOUNT_ATTR_NOSUID;
	case MS_NODEV:
		return MOUNT_ATTR_NODEV;
	case MS_NOEXEC:
		return MOUNT_ATTR_NOEXEC;
	case MS_NODIRATIME:
		return MOUNT_ATTR_NODIRATIME;
	case MS_NOSYMFOLLOW:
		return MOUNT_ATTR_NOSYMFOLLOW;
	default:
		return 0;
	}
}

/* The three ways of updating access times are one field of attr_set, relatime being
 * its zero. */
static bool set_atime(uint64_t *attr, int ms, bool invert)
{
	uint64_t value;

	if (ms == MS_NOATIME)
		value = MOUNT_ATTR_NOATIME;
	else if (ms == MS_STRICTATIME)
		value = MOUNT_ATTR_STRICTATIME;
	else if (ms == MS_RELATIME)
		value = MOUNT_ATTR_RELATIME;
	else
		return false;
	if (!invert)
		*attr = (*attr & ~(uint64_t)MOUNT_ATTR__ATIME) | value;
	else if ((*attr & MOUNT_ATTR__ATIME) == value)
		*attr &= ~(uint64_t)MOUNT_ATTR__ATIME;
	return true;
}

static int add_super(struct kv_mount_opts *opts, const struct kv_mount_option *o)
{
	size_t used = strlen(opts->super), comma = used ? 1 : 0;

	if (used + comma + o->text_len >= sizeof(opts->super))
		return -E2BIG;
	if (comma)
		opts->super[used++] = ',';
	memcpy(opts->super + used, o->text, o->text_len);
	opts->super[used + o->text_len] = '\0';
	return 0;
}

/* A word that mount(2) knows as a flag. */
static int add_flag(struct kv_mount_opts *opts, const struct libmnt_optmap *e,
		    const struct kv_mount_option *o)
{
	bool invert = e->mask & MNT_INVERT;
	uint64_t attr;

	if (e->id & (MS_REMOUNT | MS_BIND | MS_MOVE | PROPAGATION))
		return -EINVAL;
	attr = attr_of(e->id);
	if (attr || e->id == MS_NOATIME || e->id == MS_STRICTATIME ||
	    e->id == MS_RELATIME) {
		if (o->value)
			return -EINVAL;
		if (set_atime(&opts->attr_set, e->id, invert))
			return 0;
		if (invert)
			opts->attr_set &= ~attr;
		else
			opts->attr_set |= attr;
		return 0;
	}
	/* Only tells mount(2) how much to log: there is no such thing in fsconfig(2). */
	if (e->id == MS_SILENT)
		return 0;
	return add_super(opts, o);
}

static bool ignored(const struct libmnt_optmap *e)
{
	/* nouser, noowner and the like ask for what is the case anyway. */
	if (e->mask & MNT_INVERT)
		return true;
	switch (e->id) {
	case 0: /* defaults */
	case MNT_MS_NOAUTO:
	case MNT_MS_NOFAIL:
	case MNT_MS_NETDEV:
	case MNT_MS_COMMENT:
	case MNT_MS_XCOMMENT: /* x-..., but not X-..., which mount(8) acts on */
		return true;
	default:
		return false;
	}
}

static int add(struct kv_mount_opts *opts, const struct kv_mount_option *o)
{
	const struct libmnt_optmap *e;

	if (has_control(o))
		return -EINVAL;
	e = find(mnt_get_builtin_optmap(MNT_LINUX_MAP), o);
	if (e)
		return add_flag(opts, e, o);
	e = find(mnt_get_builtin_optmap(MNT_USERSPACE_MAP), o);
	if (e)
		return ignored(e) ? 0 : -EINVAL;
	/* What is mounted is ours to say; "move" is a word of mount(8) alone. */
	if (is_named(o, "source") || is_named(o, "move"))
		return -EINVAL;
	return add_super(opts, o);
}

int kv_mount_opts_parse(const char *options, struct kv_mount_opts *ret,
			char ret_bad[KV_OPTION_SIZE])
{
	struct kv_mount_opts opts = { .attr_set = 0 };
	struct kv_mount_option o = { .text = "" };
	int r;

	if (!options)
		options = "";
	if (strnlen(options, OPTIONS_MAX) == OPTIONS_MAX) {
		o.text = options;
		o.text_len = KV_OPTION_SIZE;
		copy_bad(&o, ret_bad);
		return -E2BIG;
	}
	while ((r = kv_mount_option_next(&options, &o)) > 0) {
		r = add(&opts, &o);
		if (r < 0) {
			copy_bad(&o, ret_bad);
			return r;
		}
	}
	if (r < 0) {
		o.text = options;
		o.text_len = strlen(options);
		copy_bad(&o, ret_bad);
		return r;
	}
	opts.readonly = opts.attr_set & MOUNT_ATTR_RDONLY;
	*ret = opts;
	return 0;
}
