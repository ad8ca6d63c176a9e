/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stat, usage. Exit code 0 whatever the condition is: that it could be told is success.
 */

#include <inttypes.h>
#include <stdio.h>

#include "kvolctl.h"

static const char *condition_word(uint32_t condition)
{
	static const char *const words[] = {
		[KVOL_CONDITION_OK] = "ok",
		[KVOL_CONDITION_NO_SPACE] = "no_space",
		[KVOL_CONDITION_FS_ERROR] = "fs_error",
		[KVOL_CONDITION_READ_ONLY] = "read_only",
		[KVOL_CONDITION_DEVICE_ERROR] = "device_error",
	};

	return condition < sizeof(words) / sizeof(words[0]) ? words[condition] : "unknown";
}

static void print_json(const struct kvol_volume_stats *s)
{
	json_open('{');
	json_pair_number("flags", s->flags);
	json_pair_number("fs_bytes", s->fs_bytes);
	json_pair_number("fs_used", s->fs_used);
	json_pair_number("fs_available", s->fs_available);
	json_pair_number("fs_inodes", s->fs_inodes);
	json_pair_number("fs_inodes_used", s->fs_inodes_used);
	json_pair_number("fs_inodes_available", s->fs_inodes_available);
	json_pair_number("allocated", s->allocated);
	json_pair_string("condition", condition_word(s->condition));
	json_pair_string("message", s->message);
	json_close('}');
	putchar('\n');
}

static void print_text(const struct kvol_volume_stats *s)
{
	char a[SIZE_TEXT], b[SIZE_TEXT], c[SIZE_TEXT];

	printf("%-14s%s%s%s\n", "Condition:", condition_word(s->condition),
	       *s->message ? ": " : "", s->message);
	printf("%-14s%s\n", "Allocated:", format_size(s->allocated, a));
	if (!(s->flags & KVOL_STATS_FS)) {
		printf("%-14s%s\n", "File system:", "not mounted");
		return;
	}
	printf("%-14s%s of %s used, %s available\n", "File system:",
	       format_size(s->fs_used, a), format_size(s->fs_bytes, b),
	       format_size(s->fs_available, c));
	if (s->fs_inodes)
		printf("%-14s%" PRIu64 " of %" PRIu64 " used\n",
		       "Inodes:", s->fs_inodes_used, s->fs_inodes);
}

int run_stat(struct invocation *inv)
{
	struct kvol_volume_stats stats = { .size = sizeof(stats) };
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	if (kvol_volume_stat(inv->pool, inv->operands[0], &stats, &error) < 0)
		return fail(&error);
	if (inv->options[OPTION_JSON])
		print_json(&stats);
	else
		print_text(&stats);
	return DONE;
}

int run_usage(struct invocation *inv)
{
	struct kvol_usage_info info = { .size = sizeof(info) };
	char exclusive[SIZE_TEXT], shared[SIZE_TEXT];
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	if (kvol_usage(inv->pool, inv->operands[0], &info, &error) < 0)
		return fail(&error);
	if (inv->options[OPTION_JSON]) {
		json_open('{');
		json_pair_number("flags", info.flags);
		json_pair_number("exclusive", info.exclusive);
		json_pair_number("shared", info.shared);
		json_close('}');
		putchar('\n');
	} else {
		printf("%-14s%s\n%-14s%s\n", "Exclusive:",
		       format_size(info.exclusive, exclusive),
		       "Shared:", format_size(info.shared, shared));
	}
	return DONE;
}
