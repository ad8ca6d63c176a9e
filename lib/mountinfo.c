// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lines of /proc/PID/mountinfo: enough of them to know one of our own mounts again,
 * wherever it has got to.
 *
 * Pure. Others name what stands in such a line (mount points, sources, options), so
 * fields are found by the blanks that the kernel escapes in them, and nothing is copied
 * or unescaped. What is read is strict: a number is decimal digits alone.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "mountinfo.h"

static bool take_number(const char **p, char end, uint64_t *ret)
{
	const char *s = *p;
	uint64_t n = 0, digit;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		digit = (uint64_t)(*s - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (*s != end)
		return false;
	*p = s + 1;
	*ret = n;
	return true;
}

static bool take_word(const char **p, const char **ret, size_t *ret_len)
{
	size_t n = strcspn(*p, " \n");

	if (!n || (*p)[n] != ' ')
		return false;
	*ret = *p;
	*ret_len = n;
	*p += n + 1;
	return true;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG...] - TYPE SOURCE SUPEROPTIONS */
int kv_mountinfo_parse(const char *s, struct kv_mountinfo *ret)
{
	struct kv_mountinfo m = { 0 };
	uint64_t parent, dev_major, dev_minor;
	const char *word;
	size_t n;

	if (!take_number(&s, ' ', &m.id) || !take_number(&s, ' ', &parent) ||
	    !take_number(&s, ':', &dev_major) || !take_number(&s, ' ', &dev_minor))
		return -EBADMSG;
	if (dev_major > UINT32_MAX || dev_minor > UINT32_MAX)
		return -EBADMSG;
	m.dev = makedev((unsigned)dev_major, (unsigned)dev_minor);
	if (!take_word(&s, &m.root, &m.root_len) ||
	    !take_word(&s, &m.point, &m.point_len) || !take_word(&s, &word, &n))
		return -EBADMSG;
	do {
		if (!take_word(&s, &word, &n))
			return -EBADMSG;
	} while (n != 1 || *word != '-');
	if (!take_word(&s, &m.fs_type, &m.fs_type_len))
		return -EBADMSG;
	m.source = s;
	m.source_len = strcspn(s, " \n");
	*ret = m;
	return 0;
}

static bool is_word(const char *word, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(word, text, n);
}

static bool is_btrfs(const struct kv_mountinfo *m)
{
	return is_word(m->fs_type, m->fs_type_len, "btrfs");
}

static bool is_node(const struct kv_mountinfo *m, dev_t dev)
{
	char root[32];

	(void)snprintf(root, sizeof(root), "/dm-%u", minor(dev));
	return is_word(m->root, m->root_len, root);
}

bool kv_mountinfo_is(const struct kv_mountinfo *m, uint64_t id, dev_t dev, bool node)
{
	if (m->id != id)
		return false;
	if (node)
		return is_node(m, dev);
	/* What is seen on a btrfs is a number of the subvolume's own. */
	return m->dev == dev || is_btrfs(m);
}

bool kv_mountinfo_shows(const struct kv_mountinfo *m, dev_t dev, bool node)
{
	char path[32];

	if (node)
		return is_node(m, dev);
	(void)snprintf(path, sizeof(path), "/dev/dm-%u", minor(dev));
	return m->dev == dev ||
	       (is_btrfs(m) && is_word(m->source, m->source_len, path));
}

static bool is_octal(const char *s, size_t n)
{
	return n >= 4 && s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
	       s[2] <= '7' && s[3] >= '0' && s[3] <= '7';
}

bool kv_mountinfo_point(const struct kv_mountinfo *m, char *ret, size_t size)
{
	const char *s = m->point, *end = s + m->point_len;
	size_t used = 0;

	while (s < end && used + 1 < size) {
		char c = *s;

		if (is_octal(s, (size_t)(end - s))) {
			c = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		}
		ret[used++] = c;
		s++;
	}
	if (!size || s < end)
		return false;
	ret[used] = '\0';
	return true;
}
