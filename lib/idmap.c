// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Maps of ids, read more strictly than the kernel does: what it would refuse without
 * saying why is told apart here, before anything is made for it.
 *
 * Pure. The extents stay in the order in which they were given; only blanks, separators
 * and leading zeros are made uniform.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "idmap.h"

struct extent {
	uint64_t inside, outside, count;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_separator(char c)
{
	return c == ',' || c == '\n';
}

/* Decimal digits alone, and no more than fit into 32 bits. */
static int take_number(const char **p, uint64_t *ret)
{
	const char *s = *p;
	uint64_t n = 0;

	while (is_blank(*s))
		s++;
	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > UINT32_MAX)
			return -ERANGE;
	}
	if (*s && !is_blank(*s) && !is_separator(*s))
		return -EINVAL;
	*p = s;
	*ret = n;
	return 0;
}

static int take_extent(const char **p, struct extent *ret)
{
	int r;

	r = take_number(p, &ret->inside);
	if (r == 0)
		r = take_number(p, &ret->outside);
	if (r == 0)
		r = take_number(p, &ret->count);
	if (r < 0)
		return r;
	while (is_blank(**p))
		(*p)++;
	if (**p && !is_separator(**p))
		return -EINVAL;
	/* 2^32 - 1 is no id: it says "none" wherever there may be one. */
	if (!ret->count || ret->inside + ret->count > UINT32_MAX ||
	    ret->outside + ret->count > UINT32_MAX)
		return -ERANGE;
	return 0;
}

static bool overlap(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
	return a < b + b_count && b < a + a_count;
}

static int add(struct extent *all, size_t n, const struct extent *x)
{
	if (n == KV_IDMAP_EXTENTS)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		if (overlap(all[i].inside, all[i].count, x->inside, x->count) ||
		    overlap(all[i].outside, all[i].count, x->outside, x->count))
			return -ERANGE;
	all[n] = *x;
	return 0;
}

static int print(const struct extent *all, size_t n, char *ret)
{
	size_t used = 0;
	char text[KV_IDMAP_SIZE];

	for (size_t i = 0; i < n; i++) {
		int len = snprintf(text + used, sizeof(text) - used,
				   "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", all[i].inside,
				   all[i].outside, all[i].count);

		if (len < 0 || (size_t)len >= sizeof(text) - used)
			return -E2BIG;
		used += (size_t)len;
	}
	memcpy(ret, text, used + 1);
	return 0;
}

int kv_idmap_parse(const char *map, char ret[KV_IDMAP_SIZE])
{
	struct extent all[KV_IDMAP_EXTENTS], x;
	size_t n = 0;
	int r;

	for (;;) {
		while (is_blank(*map) || is_separator(*map))
			map++;
		if (!*map)
			break;
		r = take_extent(&map, &x);
		if (r == 0)
			r = add(all, n, &x);
		if (r < 0)
			return r;
		n++;
	}
	return n ? print(all, n, ret) : -EINVAL;
}
