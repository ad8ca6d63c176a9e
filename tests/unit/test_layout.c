/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a disk is divided: order, alignment, defaults, and the exact least size. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "layout.h"
#include "thin.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* A layout that every successful plan must satisfy. */
static void assert_layout(uint64_t device_bytes, const struct kv_geometry *geo,
			  const struct kv_layout *l)
{
	uint64_t catalogue_end = l->catalogue.start_bytes + l->catalogue.bytes;
	uint64_t metadata_end = l->metadata.start_bytes + l->metadata.bytes;

	assert_true(l->device_bytes == device_bytes);
	assert_true(l->catalogue.start_bytes >= MIB);
	assert_true(catalogue_end <= l->metadata.start_bytes);
	assert_true(metadata_end <= l->data.start_bytes);
	assert_true(l->data.start_bytes + l->data.bytes <= device_bytes - MIB);

	assert_true(l->catalogue.start_bytes % MIB == 0 && l->catalogue.bytes % MIB == 0);
	assert_true(l->metadata.start_bytes % MIB == 0 && l->metadata.bytes % MIB == 0);
	assert_true(l->data.start_bytes % MIB == 0);
	assert_true(l->data.bytes % geo->block_bytes == 0);

	assert_true(l->catalogue.bytes >= 32 * MIB + geo->max_volumes * 1024);
	assert_true(l->metadata.bytes <= KV_THIN_METADATA_MAX);
	assert_true(l->data.bytes >= 16 * MIB);
}

static void plan(uint64_t device_bytes, struct kv_geometry *geo, struct kv_layout *ret)
{
	assert_int_equal(kv_layout_plan(device_bytes, geo, ret, NULL), 0);
	assert_layout(device_bytes, geo, ret);
}

static void defaults_follow_the_size(void **state)
{
	static const struct {
		uint64_t device_bytes, max_volumes, block_bytes;
	} cases[] = {
		{ 100 * MIB, 1024, 65536 },	   { 1024 * MIB, 1024, 65536 },
		{ 1025 * MIB, 1025, 65536 },	   { 10 * GIB, 10240, 65536 },
		{ 1 * TIB, 1000000, 65536 },	   { 5 * TIB, 1000000, 131072 },
		{ 1024 * TIB, 1000000, 32 * MIB }, { INT64_MAX, 1000000, GIB },
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		struct kv_geometry geo = { 0 };
		struct kv_layout l;

		plan(cases[i].device_bytes, &geo, &l);
		assert_int_equal(geo.max_volumes, cases[i].max_volumes);
		assert_int_equal(geo.block_bytes, cases[i].block_bytes);
	}
}

/* A block is the least whose mappings fit in half of the metadata that the kernel can
 * use. */
static void blocks_are_doubled_just_when_needed(void **state)
{
	const uint64_t turn = KV_THIN_METADATA_MAX / 2 / 128 * 65536;
	struct kv_geometry below = { 0 }, above = { 0 };
	struct kv_layout l;

	(void)state;
	plan(turn, &below, &l);
	assert_int_equal(below.block_bytes, 65536);
	plan(turn + 65536, &above, &l);
	assert_int_equal(above.block_bytes, 131072);
}

static void what_is_given_is_kept(void **state)
{
	struct kv_geometry geo = { .block_bytes = 192 * 1024, .max_volumes = 7 };
	struct kv_layout l;

	(void)state;
	plan(10 * GIB, &geo, &l);
	assert_int_equal(geo.block_bytes, 192 * 1024);
	assert_int_equal(geo.max_volumes, 7);
	assert_int_equal(l.catalogue.bytes, 33 * MIB);
	/* 54613 blocks of 128 bytes and 7 * 4 KiB on top of 4 MiB, rounded up */
	assert_int_equal(l.metadata.bytes, 11 * MIB);
	assert_string_equal(l.uuid, "");
}

static void metadata_is_capped_at_the_kernels_maximum(void **state)
{
	struct kv_geometry geo = { .block_bytes = 65536, .max_volumes = KV_THIN_ID_MAX };
	struct kv_layout l;

	(void)state;
	plan(100 * TIB, &geo, &l);
	assert_true(l.metadata.bytes <= KV_THIN_METADATA_MAX);
	assert_true(l.metadata.bytes > KV_THIN_METADATA_MAX - MIB);
}

static void a_ragged_end_is_left_out(void **state)
{
	struct kv_geometry geo = { 0 };
	struct kv_layout even, ragged;

	(void)state;
	plan(1100 * MIB, &geo, &even);
	plan(1100 * MIB + 65535, &geo, &ragged);
	assert_int_equal(ragged.data.bytes, even.data.bytes);
	plan(1100 * MIB + 65536, &geo, &ragged);
	assert_int_equal(ragged.data.bytes, even.data.bytes + 65536);
}

static void impossible_parameters_are_refused(void **state)
{
	static const struct kv_geometry bad[] = {
		{ .block_bytes = 1 },
		{ .block_bytes = 65535 },
		{ .block_bytes = 65537 },
		{ .block_bytes = 65536 + 4096 },
		{ .block_bytes = GIB + 65536 },
		{ .block_bytes = UINT64_MAX - 65535 },
		{ .max_volumes = KV_THIN_ID_MAX + 1 },
		{ .max_volumes = UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		struct kv_geometry geo = bad[i];
		struct kv_layout l;
		uint64_t least = 1;

		assert_int_equal(kv_layout_plan(100 * GIB, &geo, &l, &least), -EINVAL);
		assert_int_equal(kv_layout_plan(0, &geo, &l, &least), -EINVAL);
		assert_int_equal(least, 1);
	}
}

static void a_size_beyond_all_files_is_refused(void **state)
{
	struct kv_geometry geo = { 0 };
	struct kv_layout l;
	uint64_t least = 0;

	(void)state;
	assert_int_equal(kv_layout_plan((uint64_t)INT64_MAX + 1, &geo, &l, &least),
			 -EINVAL);
	assert_int_equal(kv_layout_plan(UINT64_MAX, &geo, &l, &least), -EINVAL);
}

static void outputs_are_untouched_on_failure(void **state)
{
	struct kv_geometry geo = { 0 };
	struct kv_layout l, before;
	uint64_t least;

	(void)state;
	memset(&l, 0x5a, sizeof(l));
	before = l;
	assert_int_equal(kv_layout_plan(MIB, &geo, &l, &least), -ENOSPC);
	assert_memory_equal(&l, &before, sizeof(l));
	assert_int_equal(geo.block_bytes, 0);
	assert_int_equal(geo.max_volumes, 0);
}

static void the_least_size_is_exact(void **state)
{
	static const uint64_t blocks[] = {
		0,	  65536,      3 * 65536,	MIB,
		16 * MIB, 17 * 65536, 16 * MIB + 65536, GIB - 65536,
		GIB,
	};
	static const uint64_t volumes[] = {
		0, 1, 1000, 1024, 1025, 65536, 1000000, KV_THIN_ID_MAX,
	};

	(void)state;
	for (size_t b = 0; b < KV_ARRAY_SIZE(blocks); b++) {
		for (size_t v = 0; v < KV_ARRAY_SIZE(volumes); v++) {
			const struct kv_geometry given = { blocks[b], volumes[v] };
			struct kv_geometry geo = given;
			struct kv_layout l;
			uint64_t least, again;

			assert_int_equal(kv_layout_plan(0, &geo, &l, &least), -ENOSPC);
			assert_int_equal(least % MIB, 0);
			plan(least, &geo, &l);
			geo = given;
			assert_int_equal(kv_layout_plan(least - MIB, &geo, &l, &again),
					 -ENOSPC);
			assert_int_equal(again, least); /* whatever size was tried */
			/* and no size beyond it fails again */
			for (uint64_t more = 0; more < 1100 * MIB; more += MIB) {
				geo = given;
				plan(least + more, &geo, &l);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_follow_the_size),
		cmocka_unit_test(blocks_are_doubled_just_when_needed),
		cmocka_unit_test(what_is_given_is_kept),
		cmocka_unit_test(metadata_is_capped_at_the_kernels_maximum),
		cmocka_unit_test(a_ragged_end_is_left_out),
		cmocka_unit_test(impossible_parameters_are_refused),
		cmocka_unit_test(a_size_beyond_all_files_is_refused),
		cmocka_unit_test(outputs_are_untouched_on_failure),
		cmocka_unit_test(the_least_size_is_exact),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
