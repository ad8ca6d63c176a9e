/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_FUZZ_H
#define KVOL_TESTS_FUZZ_H

/*
 * What the fuzz targets share. A target is one file with one function; libFuzzer calls it
 * with inputs that it makes up (tests/fuzz/run), and replay.c with those of the corpus
 * and with mutants of them, in every build.
 *
 * A target asserts what holds for any input. It must depend on its input alone: no clock,
 * no randomness, no state kept from one call to the next that could change a result.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Not assert(): it must hold in every build, and the sanitizers show the stack of an
 * abort. */
#define CHECK(x)                                                                \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

/* An input, taken off byte by byte; past its end everything is zero. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline size_t take(struct input *in, void *buf, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(buf, 0, n);
	if (have)
		memcpy(buf, in->at, have);
	in->at += have;
	in->left -= have;
	return have;
}

static inline uint64_t take_le(struct input *in, size_t bytes)
{
	uint8_t b[8];
	uint64_t v = 0;

	take(in, b, bytes);
	for (size_t i = bytes; i-- > 0;)
		v = v << 8 | b[i];
	return v;
}

/* The rest as a string of its own, so that reading past its end is seen. The caller frees
 * it. */
static inline char *take_string(struct input *in)
{
	char *s = malloc(in->left + 1);

	CHECK(s);
	if (in->left)
		memcpy(s, in->at, in->left);
	s[in->left] = '\0';
	in->left = 0;
	return s;
}

/* CRC-32C, as the file systems and thin metadata have it, some of them inverted at the end;
 * written down a second time. */
static inline uint32_t crc32c(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (; n; n--, p++) {
		c ^= *p;
		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
	}
	return c;
}

/* Strict UTF-8 as RFC 3629 has it, written down a second time: a table of ranges. */
static inline size_t utf8_length(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char first[2], second[2];
		size_t length;
	} forms[] = {
		{ { 0x00, 0x7f }, { 0, 0 }, 1 },
		{ { 0xc2, 0xdf }, { 0x80, 0xbf }, 2 },
		{ { 0xe0, 0xe0 }, { 0xa0, 0xbf }, 3 },
		{ { 0xe1, 0xec }, { 0x80, 0xbf }, 3 },
		{ { 0xed, 0xed }, { 0x80, 0x9f }, 3 },
		{ { 0xee, 0xef }, { 0x80, 0xbf }, 3 },
		{ { 0xf0, 0xf0 }, { 0x90, 0xbf }, 4 },
		{ { 0xf1, 0xf3 }, { 0x80, 0xbf }, 4 },
		{ { 0xf4, 0xf4 }, { 0x80, 0x8f }, 4 },
	};

	for (size_t i = 0; n && i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t length = forms[i].length;

		if (s[0] < forms[i].first[0] || s[0] > forms[i].first[1])
			continue;
		if (length > n)
			return 0;
		if (length > 1 &&
		    (s[1] < forms[i].second[0] || s[1] > forms[i].second[1]))
			return 0;
		for (size_t k = 2; k < length; k++)
			if (s[k] < 0x80 || s[k] > 0xbf)
				return 0;
		return length;
	}
	return 0;
}

/* One line of valid UTF-8 without control characters (C0, DEL, C1). */
static inline bool is_line(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = strlen(text), length;

	for (; n; s += length, n -= length) {
		length = utf8_length(s, n);
		if (!length || s[0] < 0x20 || s[0] == 0x7f ||
		    (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f))
			return false;
	}
	return true;
}

#endif
