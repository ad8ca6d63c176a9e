/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "claim.h"

#define POOL	"01234567-89ab-4cde-8f01-23456789abcd"
#define BOOT	"11111111-2222-4333-8444-555555555555"
#define REBOOT	"66666666-2222-4333-8444-555555555555"
#define MACHINE "9f1c7e0a4b6d4f6e8a2b3c4d5e6f7081"

static struct kv_claim a_claim(void)
{
	return (struct kv_claim){
		.pool = POOL,
		.held = true,
		.since = 1790000000,
		.host = { .given = "node-7", .machine = MACHINE, .boot = BOOT },
	};
}

static void assert_same_claim(const struct kv_claim *a, const struct kv_claim *b)
{
	assert_string_equal(a->pool, b->pool);
	assert_int_equal(a->held, b->held);
	assert_int_equal(a->since, b->since);
	assert_string_equal(a->host.given, b->host.given);
	assert_string_equal(a->host.machine, b->host.machine);
	assert_string_equal(a->host.boot, b->host.boot);
}

/* --- The record ------------------------------------------------------------------- */

static void record_is_as_it_is_documented(void **state)
{
	const struct kv_claim claim = a_claim();
	char buf[KV_CLAIM_BYTES];
	const char text[] = "kvol host claim 1\npool " POOL
			    "\nstate held\nsince 1790000000\ngiven node-7\n"
			    "machine " MACHINE "\nboot " BOOT "\nsum ";

	(void)state;
	kv_claim_format(buf, &claim);
	assert_memory_equal(buf, text, strlen(text));
	assert_int_equal(buf[strlen(text) + 16], '\n');
	for (size_t i = strlen(text) + 17; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
}

static void what_was_written_is_read(void **state)
{
	struct kv_claim claim = a_claim(), read;
	char buf[KV_CLAIM_BYTES];

	(void)state;
	kv_claim_format(buf, &claim);
	assert_int_equal(kv_claim_parse(buf, &read), 0);
	assert_same_claim(&claim, &read);
	claim.held = false;
	claim.since = UINT64_MAX;
	memset(&claim.host, 0, sizeof(claim.host));
	kv_claim_format(buf, &claim);
	assert_int_equal(kv_claim_parse(buf, &read), 0);
	assert_same_claim(&claim, &read);
	/* As long as it can get. */
	memset(claim.host.given, 'g', KV_HOST_ID_MAX);
	memset(claim.host.machine, 'm', KV_MACHINE_MAX);
	(void)kv_strcpy(claim.host.boot, sizeof(claim.host.boot), BOOT);
	kv_claim_format(buf, &claim);
	assert_int_equal(kv_claim_parse(buf, &read), 0);
	assert_same_claim(&claim, &read);
}

static void what_is_no_claim_is_none(void **state)
{
	char buf[KV_CLAIM_BYTES] = { 0 };
	struct kv_claim read;

	(void)state;
	assert_int_equal(kv_claim_parse(buf, &read), -ENODATA);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(kv_claim_parse(buf, &read), -ENODATA);
	memset(buf, 'k', sizeof(buf));
	assert_int_equal(kv_claim_parse(buf, &read), -ENODATA);
}

/* Any byte of it, in any way. */
static void damaged_claim_is_told_from_none(void **state)
{
	const struct kv_claim claim = a_claim();
	char whole[KV_CLAIM_BYTES], buf[KV_CLAIM_BYTES];
	struct kv_claim read, untouched;

	(void)state;
	kv_claim_format(whole, &claim);
	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < sizeof(buf); i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(buf, whole, sizeof(buf));
			memcpy(&read, &untouched, sizeof(read));
			buf[i] = (char)(buf[i] ^ 1 << bit);
			assert_int_equal(kv_claim_parse(buf, &read),
					 i < strlen("kvol host claim ") ? -ENODATA
									: -EBADMSG);
			assert_memory_equal(&read, &untouched, sizeof(read));
		}
	}
	for (size_t n = strlen("kvol host claim "); n < strlen(whole); n++) {
		memset(buf, 0, sizeof(buf));
		memcpy(buf, whole, n);
		assert_int_equal(kv_claim_parse(buf, &read), -EBADMSG);
		memset(buf + n, 'x', sizeof(buf) - n);
		assert_int_equal(kv_claim_parse(buf, &read), -EBADMSG);
	}
}

/* --- Who is the same -------------------------------------------------------------- */

static bool same(const char *given_a, const char *machine_a, const char *boot_a,
		 const char *given_b, const char *machine_b, const char *boot_b)
{
	struct kv_host a = { .given = "" }, b = a;

	(void)kv_strcpy(a.given, sizeof(a.given), given_a);
	(void)kv_strcpy(a.machine, sizeof(a.machine), machine_a);
	(void)kv_strcpy(a.boot, sizeof(a.boot), boot_a);
	(void)kv_strcpy(b.given, sizeof(b.given), given_b);
	(void)kv_strcpy(b.machine, sizeof(b.machine), machine_b);
	(void)kv_strcpy(b.boot, sizeof(b.boot), boot_b);
	assert_int_equal(kv_host_same(&a, &b), kv_host_same(&b, &a));
	return kv_host_same(&a, &b);
}

static void given_ids_decide_if_both_were_given(void **state)
{
	(void)state;
	assert_true(same("a", "m", BOOT, "a", "n", REBOOT));
	assert_false(same("a", "m", BOOT, "b", "m", BOOT));
}

static void machine_is_the_same_after_a_reboot(void **state)
{
	(void)state;
	assert_true(same("", "m", BOOT, "", "m", REBOOT));
	assert_true(same("a", "m", BOOT, "", "m", REBOOT));
	assert_false(same("", "m", BOOT, "", "n", REBOOT));
	assert_false(same("a", "m", BOOT, "", "n", REBOOT));
}

static void boot_joins_what_nothing_else_does(void **state)
{
	(void)state;
	assert_true(same("a", "", BOOT, "", "m", BOOT)); /* a container without /sys */
	assert_true(same("", "", BOOT, "", "", BOOT));
	assert_false(same("", "", BOOT, "", "", REBOOT));
	assert_false(same("", "", "", "", "", "")); /* nothing is equal to nothing */
}

static void host_ids_are_one_word(void **state)
{
	char longest[KV_HOST_ID_MAX + 2];

	(void)state;
	assert_true(kv_host_id_valid("node-7.example.org"));
	assert_true(kv_host_id_valid("--"));
	memset(longest, 'n', sizeof(longest));
	longest[KV_HOST_ID_MAX] = '\0';
	assert_true(kv_host_id_valid(longest));
	longest[KV_HOST_ID_MAX] = 'n';
	longest[KV_HOST_ID_MAX + 1] = '\0';
	assert_false(kv_host_id_valid(longest));
	assert_false(kv_host_id_valid(NULL));
	assert_false(kv_host_id_valid(""));
	assert_false(kv_host_id_valid("-"));
	assert_false(kv_host_id_valid("two words"));
	assert_false(kv_host_id_valid("line\n"));
	assert_false(kv_host_id_valid("\xc3\xa4"));
	assert_false(kv_host_id_valid("\x7f"));
}

static void name_is_what_is_known(void **state)
{
	struct kv_host host = a_claim().host;

	(void)state;
	assert_string_equal(kv_host_name(&host), "node-7");
	assert_false(kv_host_anonymous(&host));
	host.given[0] = '\0';
	assert_string_equal(kv_host_name(&host), MACHINE);
	assert_false(kv_host_anonymous(&host));
	host.machine[0] = '\0';
	assert_string_equal(kv_host_name(&host), "unknown");
	assert_true(kv_host_anonymous(&host));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_is_as_it_is_documented),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(what_is_no_claim_is_none),
		cmocka_unit_test(damaged_claim_is_told_from_none),
		cmocka_unit_test(given_ids_decide_if_both_were_given),
		cmocka_unit_test(machine_is_the_same_after_a_reboot),
		cmocka_unit_test(boot_joins_what_nothing_else_does),
		cmocka_unit_test(host_ids_are_one_word),
		cmocka_unit_test(name_is_what_is_known),
	};

	return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
