/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "names.h"

#define UUID "01234567-89ab-4cde-8f01-23456789abcd"

/* --- Names of volumes ------------------------------------------------------------- */

static void ordinary_volume_names_are_valid(void **state)
{
	static const char *const names[] = {
		"a",
		"pvc-0b5ad0a4-93ac-4a5f-a3b5-7c0e4a1d2c3b",
		".",
		"..",
		"-",
		" ",
		"a b",
		"'; --",
		"%s",
		"Gr\xc3\xb6\xc3\x9f"
		"e",
		"\xe5\xae\xb9\xe5\x99\xa8",
		"\xf0\x9f\x90\xb3",
		"\xc2\xa0",
	};
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(names); i++)
		assert_true(kv_volume_name_valid(names[i]));
}

static void bad_volume_names_are_refused(void **state)
{
	static const char *const names[] = {
		"",
		"/",
		"a/b",
		"a\n",
		"\t",
		"\x7f",
		"\xc2\x80",
		"a\xc2\x9f",
		"\xc0\xaf",
		"\xff",
		"a\xc3",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
	};
	size_t i;

	(void)state;
	assert_false(kv_volume_name_valid(NULL));
	for (i = 0; i < KV_ARRAY_SIZE(names); i++)
		assert_false(kv_volume_name_valid(names[i]));
}

static void volume_names_have_255_bytes_at_most(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	assert_true(kv_volume_name_valid(name));
	name[255] = 'a';
	name[256] = '\0';
	assert_false(kv_volume_name_valid(name));
	name[255] = '\0';
	name[254] = '\xc3'; /* a character cut by the limit */
	assert_false(kv_volume_name_valid(name));
}

/* --- Names of pools --------------------------------------------------------------- */

static void ordinary_pool_names_are_valid(void **state)
{
	static const char *const names[] = { "a", "A-b_c.9", "0", "_", "a.", "a-" };
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(names); i++)
		assert_true(kv_pool_name_valid(names[i]));
}

static void bad_pool_names_are_refused(void **state)
{
	static const char *const names[] = {
		"",    ".",   "..",	  ".a", "-a", "a/b", "a b",
		"a\n", "a:b", "\xc3\xb6", "a@", "a[", "a`",  "a{",
	};
	size_t i;

	(void)state;
	assert_false(kv_pool_name_valid(NULL));
	for (i = 0; i < KV_ARRAY_SIZE(names); i++)
		assert_false(kv_pool_name_valid(names[i]));
}

static void pool_names_have_64_bytes_at_most(void **state)
{
	char name[66];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[64] = '\0';
	assert_true(kv_pool_name_valid(name));
	name[64] = 'a';
	name[65] = '\0';
	assert_false(kv_pool_name_valid(name));
}

/* --- Devices ---------------------------------------------------------------------- */

static void devices_carry_uuid_and_part(void **state)
{
	struct kv_dm_id id;

	(void)state;
	kv_dm_id_part(&id, UUID, "metadata");
	assert_string_equal(id.name, "kvol-01234567-metadata");
	assert_string_equal(id.uuid, "KVOL-" UUID "-metadata");
	kv_dm_id_volume(&id, UUID, 0, KV_FACE_THIN);
	assert_string_equal(id.name, "kvol-01234567-0");
	kv_dm_id_volume(&id, UUID, 16777215, KV_FACE_CRYPT);
	assert_string_equal(id.name, "kvol-01234567-16777215c");
	kv_dm_id_volume(&id, UUID, UINT32_MAX, KV_FACE_READONLY);
	assert_string_equal(id.name, "kvol-01234567-4294967295r");
	assert_string_equal(id.uuid, "KVOL-" UUID "-4294967295r");
}

static void keys_carry_uuid_and_number(void **state)
{
	char name[KV_KEY_NAME_SIZE];

	(void)state;
	kv_key_name(name, UUID, UINT32_MAX);
	assert_string_equal(name, "kvol:" UUID "-4294967295");
}

static void volume_devices_are_recognised(void **state)
{
	static const uint32_t numbers[] = { 0, 1, 9, 10, 16777215, UINT32_MAX };
	struct kv_dm_id id;
	uint32_t number;
	enum kv_face face, seen;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(numbers); i++) {
		for (face = 0; face < KV_FACES; face++) {
			kv_dm_id_volume(&id, UUID, numbers[i], face);
			assert_true(kv_dm_uuid_volume(id.uuid, UUID, &number, &seen));
			assert_int_equal(number, numbers[i]);
			assert_int_equal(seen, face);
		}
	}
}

static void other_devices_are_not_volumes(void **state)
{
	static const char *const uuids[] = {
		"",
		"KVOL-",
		"KVOL-" UUID,
		"KVOL-" UUID "-",
		"KVOL-" UUID "-pool",
		"KVOL-" UUID "-r",
		"KVOL-" UUID "-01",
		"KVOL-" UUID "-00",
		"KVOL-" UUID "-1x",
		"KVOL-" UUID "-1rr",
		"KVOL-" UUID "-1cr",
		"KVOL-" UUID "-1 ",
		"KVOL-" UUID "-+1",
		"KVOL-" UUID "--1",
		"KVOL-" UUID "-4294967296",
		"KVOL-" UUID "-18446744073709551617",
		"kvol-" UUID "-1",
		"LVM-" UUID "-1",
		"KVOL-" UUID "0-1",
		"KVOL-11234567-89ab-4cde-8f01-23456789abcd-1",
	};
	uint32_t number = 77;
	enum kv_face face = KV_FACE_READONLY;
	size_t i;

	(void)state;
	for (i = 0; i < KV_ARRAY_SIZE(uuids); i++)
		assert_false(kv_dm_uuid_volume(uuids[i], UUID, &number, &face));
	assert_int_equal(number, 77);
	assert_int_equal(face, KV_FACE_READONLY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_volume_names_are_valid),
		cmocka_unit_test(bad_volume_names_are_refused),
		cmocka_unit_test(volume_names_have_255_bytes_at_most),
		cmocka_unit_test(ordinary_pool_names_are_valid),
		cmocka_unit_test(bad_pool_names_are_refused),
		cmocka_unit_test(pool_names_have_64_bytes_at_most),
		cmocka_unit_test(devices_carry_uuid_and_part),
		cmocka_unit_test(keys_carry_uuid_and_number),
		cmocka_unit_test(volume_devices_are_recognised),
		cmocka_unit_test(other_devices_are_not_volumes),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
