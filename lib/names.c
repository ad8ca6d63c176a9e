/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What names are allowed, and what devices are called.
 *
 * A volume's name is a value in the catalogue, never part of a path or of a device's
 * name: so "." and ".." are names like others. It must be printable and survive any
 * tool that takes UTF-8, and CSI's and Kubernetes' names all fit. A pool's name is
 * typed by people and stands where a path could (kvol_pool_open), hence the short
 * alphabet.
 *
 * A device is called by its pool's UUID and a number. The kernel refuses a second
 * device of the same UUID, which is what makes activation exclusive: the UUID carries
 * the pool's whole one, the name only its first eight digits, for people.
 */

#include <stdio.h>
#include <string.h>

#include "names.h"

#define UUID_SHORT 8

static const char *const suffixes[KV_FACES] = {
	[KV_FACE_THIN] = "",
	[KV_FACE_CRYPT] = "c",
	[KV_FACE_READONLY] = "r",
};

bool kv_volume_name_valid(const char *name)
{
	size_t n, len;
	uint32_t c;

	if (kv_str_empty(name))
		return false;
	/* Not strlen: the caller's string may be far longer than we care for. */
	n = strnlen(name, KV_NAME_MAX + 1);
	if (n > KV_NAME_MAX)
		return false;
	for (; n; name += len, n -= len) {
		len = kv_utf8_char(name, n, &c);
		if (!len || c == '/' || kv_control_char(c))
			return false;
	}
	return true;
}

static bool pool_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool kv_template_name_valid(const char *name)
{
	size_t n = 0;

	if (!name || strncmp(name, KV_TEMPLATE_PREFIX, sizeof(KV_TEMPLATE_PREFIX) - 1) != 0)
		return false;
	while (name[n] > ' ' && name[n] <= '~')
		n++;
	return !name[n] && n <= KV_NAME_MAX;
}

bool kv_pool_name_valid(const char *name)
{
	size_t n, i;

	if (kv_str_empty(name) || name[0] == '.' || name[0] == '-')
		return false;
	n = strnlen(name, KV_POOL_NAME_MAX + 1);
	if (n > KV_POOL_NAME_MAX)
		return false;
	for (i = 0; i < n; i++)
		if (!pool_name_char(name[i]))
			return false;
	return true;
}

void kv_dm_id_part(struct kv_dm_id *ret, const char *pool_uuid, const char *part)
{
	(void)snprintf(ret->name, sizeof(ret->name), "kvol-%.*s-%s", UUID_SHORT,
		       pool_uuid, part);
	(void)snprintf(ret->uuid, sizeof(ret->uuid), "KVOL-%s-%s", pool_uuid, part);
}

void kv_dm_id_volume(struct kv_dm_id *ret, const char *pool_uuid, uint32_t number,
		     enum kv_face face)
{
	char part[16];

	(void)snprintf(part, sizeof(part), "%u%s", number, suffixes[face]);
	kv_dm_id_part(ret, pool_uuid, part);
}

void kv_key_name(char ret[KV_KEY_NAME_SIZE], const char *pool_uuid, uint32_t number)
{
	(void)snprintf(ret, KV_KEY_NAME_SIZE, "kvol:%.*s-%u", KV_UUID_LEN, pool_uuid,
		       number);
}

bool kv_dm_uuid_volume(const char *uuid, const char *pool_uuid, uint32_t *ret_number,
		       enum kv_face *ret_face)
{
	size_t n = strlen(pool_uuid);
	enum kv_face face = KV_FACE_THIN;
	uint64_t number = 0;
	const char *p;

	if (strncmp(uuid, "KVOL-", 5) != 0 || strncmp(uuid + 5, pool_uuid, n) != 0 ||
	    uuid[5 + n] != '-')
		return false;
	p = uuid + 5 + n + 1;
	/* One spelling for each number: what we would not have written is not ours. */
	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		number = number * 10 + (uint64_t)(*p - '0');
		if (number > UINT32_MAX)
			return false;
	}
	while (face < KV_FACES && strcmp(p, suffixes[face]) != 0)
		face++;
	if (face == KV_FACES)
		return false;
	*ret_number = (uint32_t)number;
	*ret_face = face;
	return true;
}
