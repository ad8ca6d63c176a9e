/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rules of size-first structs, in one place.
 *
 * A caller's struct may be older or newer than this library. Of its memory only `size`
 * is read before `size` is known, and never a byte beyond it. Older: what it lacks is
 * zero, the old behaviour. Newer: taken as long as the fields that we do not know are
 * zero, so that a new program runs with an old library until it asks for something that
 * it cannot have.
 *
 * Every options struct begins with uint32_t size, flags; every info struct with
 * uint32_t size. A size beyond a page is garbage (an uninitialised struct) and refused,
 * as openat2(2) does: an info struct of that size would have us zero whatever lies
 * behind it.
 */

#include <errno.h>
#include <string.h>

#include "opts.h"

#define SIZE_MAX_BYTES 4096u
#define INFO_MIN_SIZE  8u

static uint32_t read_u32(const void *src, size_t offset)
{
	uint32_t n;

	memcpy(&n, (const char *)src + offset, sizeof(n));
	return n;
}

static int check_size(uint32_t size, size_t min_size, const char *what,
		      struct kvol_error *e)
{
	if (size < min_size)
		return kv_error_invalid(e, "%s: size is %u, less than the least, %zu",
					what, size, min_size);
	if (size > SIZE_MAX_BYTES)
		return kv_error(e, -E2BIG, KVOL_R_INVALID,
				"%s: size is %u, more than the most, %u", what, size,
				SIZE_MAX_BYTES);
	return 0;
}

int kv_opts_in(void *dst, size_t dst_size, size_t min_size, const void *src,
	       uint32_t known_flags, const char *what, struct kvol_error *e)
{
	uint32_t size = (uint32_t)dst_size, src_size, unknown;
	const char *bytes = src;
	size_t i;
	int r;

	if (!src) {
		memset(dst, 0, dst_size);
		memcpy(dst, &size, sizeof(size));
		return 0;
	}
	src_size = read_u32(src, 0);
	r = check_size(src_size, min_size, what, e);
	if (r < 0)
		return r;
	for (i = dst_size; i < src_size; i++)
		if (bytes[i])
			return kv_error(e, -E2BIG, KVOL_R_INVALID,
					"%s: unknown field at byte %zu is set", what, i);
	unknown = read_u32(src, sizeof(uint32_t)) & ~known_flags;
	if (unknown)
		return kv_error_invalid(e, "%s: unknown flags 0x%x", what, unknown);

	memset(dst, 0, dst_size);
	memcpy(dst, src, src_size < dst_size ? src_size : dst_size);
	memcpy(dst, &size, sizeof(size));
	return 0;
}

int kv_info_check(const void *dst, const char *what, struct kvol_error *e)
{
	if (!dst)
		return kv_error_invalid(e, "%s: NULL", what);
	return check_size(read_u32(dst, 0), INFO_MIN_SIZE, what, e);
}

void kv_info_out(void *dst, const void *src, size_t src_size)
{
	uint32_t size = read_u32(dst, 0), filled;

	filled = size < src_size ? size : (uint32_t)src_size;
	memcpy(dst, src, filled);
	memset((char *)dst + filled, 0, size - filled);
	memcpy(dst, &filled, sizeof(filled));
}
