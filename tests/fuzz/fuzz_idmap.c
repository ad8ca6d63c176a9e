// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Maps of ids. What is taken is read back as the same; its extents are within the ids that
 * there are, and none overlaps another.
 *
 * Input: the map.
 */
#include "fuzz.h"
#include "idmap.h"

static bool apart(uint64_t a, uint64_t b, uint64_t a_count, uint64_t b_count)
{
	return a + a_count <= b || b + b_count <= a;
}

static void check_extents(const char *text)
{
	static unsigned long long all[KV_IDMAP_EXTENTS][3];
	size_t n = 0;
	int used;

	for (const char *at = text; *at; at += used, n++) {
		CHECK(n < KV_IDMAP_EXTENTS);
		CHECK(sscanf(at, "%llu %llu %llu\n%n", &all[n][0], &all[n][1], &all[n][2],
			     &used) == 3);
		CHECK(all[n][2] > 0 && all[n][0] + all[n][2] <= UINT32_MAX &&
		      all[n][1] + all[n][2] <= UINT32_MAX);
		for (size_t i = 0; i < n; i++)
			CHECK(apart(all[i][0], all[n][0], all[i][2], all[n][2]) &&
			      apart(all[i][1], all[n][1], all[i][2], all[n][2]));
	}
	CHECK(n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[KV_IDMAP_SIZE], again[KV_IDMAP_SIZE];
	char *map = calloc(1, n + 1);
	int r;

	CHECK(map);
	if (n)
		memcpy(map, data, n);
	memset(text, 0x5a, sizeof(text));
	r = kv_idmap_parse(map, text);
	free(map);
	if (r < 0) {
		CHECK(r == -EINVAL || r == -ERANGE || r == -E2BIG);
		CHECK(text[0] == 0x5a);
		return 0;
	}
	CHECK(r == 0 && memchr(text, 0, sizeof(text)));
	check_extents(text);
	CHECK(kv_idmap_parse(text, again) == 0 && !strcmp(text, again));
	return 0;
}
