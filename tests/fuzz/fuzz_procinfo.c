// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Files of other processes in /proc, which name themselves and what they open as they
 * like. What is refused leaves the outputs alone; a path that is found is in the input.
 *
 * Input: the file.
 */
#include <ctype.h>

#include "fuzz.h"
#include "procinfo.h"

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t a = UNTOUCHED, b = UNTOUCHED;
	char *text = calloc(1, n + 1), state = 0;
	const char *path = NULL;
	uint32_t uid = 7;
	dev_t dev = 7;

	CHECK(text);
	if (n)
		memcpy(text, data, n);
	CHECK(kv_procinfo_ns(text, &a) || a == UNTOUCHED);
	CHECK(kv_procinfo_mnt_id(text, &b) || b == UNTOUCHED);
	if (kv_procinfo_status(text, &state, &uid))
		CHECK(isalpha((unsigned char)state) || strchr("[\\]^_`", state));
	else
		CHECK(!state && uid == 7);
	if (kv_procinfo_map(text, &dev, &path))
		CHECK(path >= text && path <= text + strlen(text));
	else
		CHECK(!path && dev == 7);
	CHECK(kv_path_below(text, text) && kv_path_below(text, "/") == (*text == '/' || !*text));
	free(text);
	return 0;
}
