/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON (RFC 8259) on standard output, as it comes: nothing is collected, so that a list
 * of any length costs no memory. Numbers are exact integers up to 2^64 - 1. A byte that
 * is no UTF-8 (a device's path may hold one) becomes U+FFFD: the output is always valid.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kvolctl.h"

/* Whether the next value of the innermost object or array follows another one. Closing
 * makes it true again, so that no stack is needed. */
static bool follows;

static void separate(void)
{
	if (follows)
		fputs(", ", stdout);
	follows = true;
}

void json_open(char bracket)
{
	separate();
	putchar(bracket);
	follows = false;
}

void json_close(char bracket)
{
	putchar(bracket);
	follows = true;
}

void json_line(void)
{
	if (follows)
		putchar(',');
	putchar('\n');
	follows = false;
}

/* The length of the UTF-8 character at s, 0 if there is none (RFC 3629: no surrogates,
 * nothing overlong, nothing past U+10FFFF). */
static size_t utf8_length(const unsigned char *s)
{
	size_t n = s[0] < 0x80	 ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void print_string(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putchar('"');
	while (*s) {
		size_t n = utf8_length(s);

		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			printf("\\u%04x", *s);
		else if (n == 0)
			fputs("\\ufffd", stdout);
		else
			fwrite(s, 1, n, stdout);
		s += n ? n : 1;
	}
	putchar('"');
}

void json_key(const char *key)
{
	separate();
	print_string(key);
	fputs(": ", stdout);
	follows = false;
}

void json_string(const char *value)
{
	separate();
	print_string(value);
}

void json_number(uint64_t value)
{
	separate();
	printf("%" PRIu64, value);
}

void json_pair_string(const char *key, const char *value)
{
	json_key(key);
	json_string(value);
}

void json_pair_number(const char *key, uint64_t value)
{
	json_key(key);
	json_number(value);
}
