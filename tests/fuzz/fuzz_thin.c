// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Status and table lines of the thin-pool, thin and linear targets. What a parser takes
 * is in range, is the same when it is written and read again, and outputs stay untouched
 * otherwise.
 *
 * Input: the line.
 */
#include <inttypes.h>

#include "fuzz.h"
#include "thin.h"

static const char *const modes[] = {
	[KV_POOL_RW] = "rw",
	[KV_POOL_OUT_OF_DATA] = "out_of_data_space",
	[KV_POOL_RO] = "ro",
};

static void check_pool(const char *s)
{
	struct kv_pool_status st, again, untouched;
	char line[512];

	memset(&untouched, 0xa5, sizeof(untouched));
	st = untouched;
	if (kv_pool_status_parse(s, &st) < 0) {
		CHECK(kv_pool_status_parse(s, &st) == -EBADMSG);
		CHECK(!memcmp(&st, &untouched, sizeof(st)));
		return;
	}
	CHECK(st.metadata_used <= st.metadata_total && st.data_used <= st.data_total);
	if (st.mode == KV_POOL_FAIL) {
		CHECK(!strncmp(s, "Fail", 4) || !strncmp(s, "Error", 5));
		CHECK(!st.data_total && !st.metadata_total && !st.transaction_id);
		return;
	}
	CHECK(st.mode <= KV_POOL_RO);
	(void)snprintf(line, sizeof(line),
		       "%" PRIu64 " %" PRIu64 "/%" PRIu64 " %" PRIu64 "/%" PRIu64
		       " %" PRIu64 " %s discard_passdown error_if_no_space %s 1024",
		       st.transaction_id, st.metadata_used, st.metadata_total,
		       st.data_used, st.data_total, st.held_root, modes[st.mode],
		       st.needs_check ? "needs_check" : "-");
	memset(&again, 0, sizeof(again));
	CHECK(kv_pool_status_parse(line, &again) == 0);
	CHECK(again.mode == st.mode && again.needs_check == st.needs_check &&
	      again.transaction_id == st.transaction_id &&
	      again.metadata_used == st.metadata_used &&
	      again.metadata_total == st.metadata_total &&
	      again.data_used == st.data_used && again.data_total == st.data_total &&
	      again.held_root == st.held_root);
}

static void check_thin(const char *s)
{
	struct kv_thin_status st, again, untouched;
	char line[128];

	memset(&untouched, 0xa5, sizeof(untouched));
	st = untouched;
	if (kv_thin_status_parse(s, &st) < 0) {
		CHECK(!memcmp(&st, &untouched, sizeof(st)));
		return;
	}
	if (st.failed) {
		CHECK(!strncmp(s, "Fail", 4) || !strncmp(s, "Error", 5));
		return;
	}
	(void)snprintf(line, sizeof(line), "%" PRIu64 " %" PRIu64, st.mapped_sectors,
		       st.highest_sector);
	CHECK(kv_thin_status_parse(line, &again) == 0 && !again.failed &&
	      again.mapped_sectors == st.mapped_sectors &&
	      again.highest_sector == st.highest_sector);
}

static void check_linear(const char *s)
{
	char params[KV_THIN_LINE];
	uint64_t offset = 1, again_offset;
	dev_t dev = 1, again;

	if (kv_thin_linear_parse(s, &dev, &offset) < 0) {
		CHECK(dev == 1 && offset == 1);
		return;
	}
	CHECK(kv_thin_linear_params(params, dev, offset) == 0);
	CHECK(kv_thin_linear_parse(params, &again, &again_offset) == 0);
	CHECK(again == dev && again_offset == offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };
	char *s = take_string(&in);

	check_pool(s);
	check_thin(s);
	check_linear(s);
	free(s);
	return 0;
}
