/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sizes as people write and read them: K, M, G, T are powers of 1024. And other numbers.
 *
 * Reading is strict (digits and one suffix, nothing around them): a size that is
 * misunderstood makes a wrong volume. A "GB", which means two things, is refused; "GiB"
 * is the same as "G". Writing is for the eye only; programs read the exact bytes from
 * --json.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kvolctl.h"

/* The digits at *text, which moves behind them. */
static int parse_digits(const char **text, uint64_t *ret)
{
	uint64_t n = 0;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; (*text)++)
		if (__builtin_mul_overflow(n, UINT64_C(10), &n) ||
		    __builtin_add_overflow(n, (uint64_t)(**text - '0'), &n))
			return -ERANGE;
	*ret = n;
	return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char letters[] = "KkMmGgTt";
	const char *letter;
	uint64_t n;
	int r;

	r = parse_digits(&text, &n);
	if (r < 0)
		return r;
	if (*text) {
		letter = strchr(letters, *text++);
		if (!letter || (*text && strcmp(text, "iB") != 0))
			return -EINVAL;
		if (__builtin_mul_overflow(
			    n, UINT64_C(1024) << (letter - letters) / 2 * 10, &n))
			return -ERANGE;
	}
	*ret_bytes = n;
	return 0;
}

int parse_owner(const char *text, uint32_t *ret_uid, uint32_t *ret_gid)
{
	uint64_t uid, gid;

	if (parse_digits(&text, &uid) < 0 || *text++ != ':' ||
	    parse_digits(&text, &gid) < 0 || *text || uid > UINT32_MAX ||
	    gid > UINT32_MAX)
		return -EINVAL;
	*ret_uid = (uint32_t)uid;
	*ret_gid = (uint32_t)gid;
	return 0;
}

int parse_mode(const char *text, uint32_t *ret_mode)
{
	uint32_t mode = 0;
	size_t n = strlen(text);

	if (n == 0 || n > 5 || strspn(text, "01234567") != n)
		return -EINVAL;
	while (*text)
		mode = mode * 8 + (uint32_t)(*text++ - '0');
	*ret_mode = mode;
	return 0;
}

int parse_count(const char *text, uint64_t *ret_count)
{
	uint64_t n;
	int r = parse_digits(&text, &n);

	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret_count = n;
	return 0;
}

const char *format_size(uint64_t bytes, char buf[SIZE_TEXT])
{
	static const char letters[] = "KMGTPE";
	unsigned unit = 0;
	uint64_t tenths;

	if (bytes < 1024) {
		(void)snprintf(buf, SIZE_TEXT, "%" PRIu64 "B", bytes);
		return buf;
	}
	while (unit < sizeof(letters) - 2 &&
	       bytes >> (10 * unit) >= UINT64_C(1024) * 1024)
		unit++;
	/* The last ten bits are the fraction; rounding may carry into the next unit. */
	tenths = ((bytes >> (10 * unit)) * 10 + 512) / 1024;
	if (tenths >= 10240 && unit < sizeof(letters) - 2) {
		unit++;
		tenths = 10;
	}
	(void)snprintf(buf, SIZE_TEXT, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
		       tenths % 10, letters[unit]);
	return buf;
}

static int bad_number(const struct invocation *inv, const char *what, const char *text,
		      int r)
{
	return usage_error(inv, "%s: %s %s: %s", inv->command->name,
			   r == -ERANGE ? "too large a" : "not a", what, text);
}

int option_size(const struct invocation *inv, enum option_id id, uint64_t *ret_bytes)
{
	const char *text = inv->options[id];
	int r = text ? parse_size(text, ret_bytes) : 0;

	return r < 0 ? bad_number(inv, "size", text, r) : 0;
}

int option_count(const struct invocation *inv, enum option_id id, uint64_t *ret_count)
{
	const char *text = inv->options[id];
	int r = text ? parse_count(text, ret_count) : 0;

	return r < 0 ? bad_number(inv, "number", text, r) : 0;
}

int operand_size(const struct invocation *inv, unsigned index, uint64_t *ret_bytes)
{
	const char *text = inv->operands[index];
	int r = parse_size(text, ret_bytes);

	return r < 0 ? bad_number(inv, "size", text, r) : 0;
}
