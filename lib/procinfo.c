// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is read of other processes in /proc. They choose names and paths in it, so a number
 * is looked for at the beginning of a line only, and must be decimal (or hexadecimal, in
 * maps) digits alone.
 *
 * Pure; the input may be cut off anywhere.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "procinfo.h"

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static bool take_number(const char **p, unsigned base, char end, uint64_t *ret)
{
	const char *s = *p;
	uint64_t n = 0;

	for (; (unsigned)digit_of(*s) < base; s++) {
		if (n > (UINT64_MAX - (unsigned)digit_of(*s)) / base)
			return false;
		n = n * base + (unsigned)digit_of(*s);
	}
	if (s == *p || *s != end)
		return false;
	*p = s + 1;
	*ret = n;
	return true;
}

/* What follows "KEY:" and blanks, at the beginning of a line. */
static const char *find_key(const char *text, const char *key)
{
	size_t n = strlen(key);

	while (strncmp(text, key, n) != 0) {
		text = strchr(text, '\n');
		if (!text)
			return NULL;
		text++;
	}
	text += n;
	return text + strspn(text, "\t ");
}

bool kv_procinfo_ns(const char *link, uint64_t *ret)
{
	static const char prefix[] = "mnt:[";
	const char *at = link + strlen(prefix);
	uint64_t n;

	if (strncmp(link, prefix, strlen(prefix)) != 0 ||
	    !take_number(&at, 10, ']', &n) || *at)
		return false;
	*ret = n;
	return true;
}

bool kv_procinfo_mnt_id(const char *fdinfo, uint64_t *ret)
{
	const char *at = find_key(fdinfo, "mnt_id:");

	return at && take_number(&at, 10, '\n', ret);
}

bool kv_procinfo_status(const char *status, char *ret_state, uint32_t *ret_uid)
{
	const char *state = find_key(status, "State:"), *uid = find_key(status, "Uid:");
	uint64_t real, effective;

	if (!state || *state < 'A' || *state > 'z' || !uid ||
	    !take_number(&uid, 10, '\t', &real) ||
	    !take_number(&uid, 10, '\t', &effective) || effective > UINT32_MAX)
		return false;
	*ret_state = *state;
	*ret_uid = (uint32_t)effective;
	return true;
}

/* FROM-TO PERMS OFFSET MAJOR:MINOR INODE PATH */
bool kv_procinfo_map(const char *s, dev_t *ret_dev, const char **ret_path)
{
	uint64_t n, dev_major, dev_minor, inode;

	if (!take_number(&s, 16, '-', &n) || !take_number(&s, 16, ' ', &n))
		return false;
	s = strchr(s, ' '); /* the permissions' end */
	if (!s)
		return false;
	s++;
	if (!take_number(&s, 16, ' ', &n) || !take_number(&s, 16, ':', &dev_major) ||
	    !take_number(&s, 16, ' ', &dev_minor) || !take_number(&s, 10, ' ', &inode))
		return false;
	if (!inode || dev_major > UINT32_MAX || dev_minor > UINT32_MAX)
		return false;
	*ret_dev = makedev((unsigned)dev_major, (unsigned)dev_minor);
	*ret_path = s + strspn(s, " ");
	return true;
}

bool kv_path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (n && dir[n - 1] == '/') /* the root */
		n--;
	return strncmp(path, dir, n) == 0 && (!path[n] || path[n] == '/');
}
