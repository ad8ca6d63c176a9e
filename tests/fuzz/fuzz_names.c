// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Names of volumes, pools and devices, labels, UUIDs, and the lines that messages are made of.
 * Valid is what a second definition of it says; a device's uuid that is taken is the one
 * that would be written; a message is one line of UTF-8, whatever it is made of.
 *
 * Input: one byte, the size that a line has; the rest is the string.
 */
#include <inttypes.h>

#include "error.h"
#include "fuzz.h"
#include "label.h"
#include "names.h"

#define POOL "01234567-89ab-cdef-0123-456789abcdef"

static bool should_be_volume(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 255 && is_line(s) && !strchr(s, '/');
}

static bool should_be_pool(const char *s)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(s);

	return n >= 1 && n <= 64 && s[0] != '.' && s[0] != '-' && strspn(s, chars) == n;
}

static bool should_be_key(const char *s)
{
	static const char prefix[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
	static const char name[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *slash = strchr(s, '/');
	size_t n;

	if (slash && (slash == s || strspn(s, prefix) != (size_t)(slash - s) ||
		      slash - s > 253))
		return false;
	s = slash ? slash + 1 : s;
	n = strlen(s);
	return n >= 1 && n <= 63 && strspn(s, name) == n && !strchr("._-", s[0]) &&
	       !strchr("._-", s[n - 1]);
}

static void check_uuid(const char *s)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool good = strlen(s) == sizeof(form) - 1;

	for (size_t i = 0; good && form[i]; i++)
		good = form[i] == '-' ? s[i] == '-'
				      : strchr("0123456789abcdef", s[i]) != NULL;
	CHECK(kv_uuid_valid(s) == good);
}

static void check_device(const char *s)
{
	uint32_t number = 7, again;
	enum kv_face face = KV_FACE_THIN, same;
	struct kv_dm_id id;

	if (!kv_dm_uuid_volume(s, POOL, &number, &face)) {
		CHECK(number == 7 && face == KV_FACE_THIN);
		return;
	}
	kv_dm_id_volume(&id, POOL, number, face);
	CHECK(!strcmp(id.uuid, s));
	CHECK(kv_dm_uuid_volume(id.uuid, POOL, &again, &same));
	CHECK(again == number && same == face);
}

static void check_line(const char *s, size_t size)
{
	char *line = malloc(size);
	size_t n;

	CHECK(line);
	memset(line, 0xa5, size);
	kv_str_line(line, size, s);
	n = strnlen(line, size);
	CHECK(n < size && is_line(line));
	if (is_line(s) && strlen(s) < size)
		CHECK(!strcmp(line, s));
	else if (is_line(s))
		CHECK(n >= 3 && !strcmp(line + n - 3, "..."));
	free(line);
}

static void check_message(const char *s)
{
	struct kvol_error e;

	memset(&e, 0xa5, sizeof(e));
	CHECK(kv_error(&e, -EINVAL, KVOL_R_INVALID, "volume '%s': %s", s, s) == -EINVAL);
	CHECK(e.code == -EINVAL && e.reason == KVOL_R_INVALID && !e.index &&
	      !e.reserved0);
	CHECK(memchr(e.msg, 0, sizeof(e.msg)) && e.msg[0] && is_line(e.msg));
	CHECK(kv_error_errno(&e, -EIO, "%s", s) == -EIO && e.reason == KVOL_R_IO);
	CHECK(memchr(e.msg, 0, sizeof(e.msg)) && e.msg[0] && is_line(e.msg));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };
	size_t size = 4 + take_le(&in, 1);
	char *s = take_string(&in);

	CHECK(kv_volume_name_valid(s) == should_be_volume(s));
	CHECK(kv_pool_name_valid(s) == should_be_pool(s));
	CHECK(kv_label_key_valid(s) == should_be_key(s));
	CHECK(kv_label_value_valid(s) == (strlen(s) <= 4096 && is_line(s)));
	check_uuid(s);
	check_device(s);
	check_line(s, size);
	check_message(s);
	free(s);
	return 0;
}
