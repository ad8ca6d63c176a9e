/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * format, pool, deactivate: what is done to a pool as a whole.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvolctl.h"

static const struct {
	uint32_t flag;
	const char *word; /* in --json: stable */
	const char *state;
	const char *advice;
} conditions[] = {
	{ KVOL_POOL_AUDIT, "audit",
	  "open for audit: catalogue and thin pool disagree, every change is refused",
	  "one of them was restored or written by something else; put the matching one back, "
	  "copy the data out, or deactivate the pool and see 'kvolctl repair --accept'" },
	{ KVOL_POOL_NEEDS_CHECK, "needs_check",
	  "the thin pool's metadata needs an offline check",
	  "deactivate the pool, then run 'kvolctl -p PATH repair'" },
	{ KVOL_POOL_READ_ONLY, "read_only",
	  "the thin pool is read-only or has failed, every change is refused",
	  "see the kernel's log (dmesg) for the cause; when that is mended, deactivate the pool "
	  "and open it again" },
	{ KVOL_POOL_OUT_OF_DATA, "out_of_data",
	  "out of data space, writes to new blocks fail",
	  "delete volumes or snapshots, or discard unused space (fstrim)" },
	{ KVOL_POOL_OUT_OF_METADATA, "out_of_metadata",
	  "out of metadata space, writes to new blocks fail",
	  "delete volumes or snapshots, those with the most blocks of their own first" },
	{ KVOL_POOL_LOW_DATA, "low_data",
	  "free data space is below the reserve, nothing new is made",
	  "delete volumes or snapshots, or discard unused space (fstrim)" },
	{ KVOL_POOL_LOW_METADATA, "low_metadata",
	  "free metadata space is below the reserve, nothing new is made",
	  "delete volumes or snapshots, those with the most blocks of their own first" },
};

#define N_CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

int run_format(struct invocation *inv)
{
	struct kvol_format_opts opts = { .size = sizeof(opts) };
	struct kvol_error error;
	char *path;
	int code, r;

	if (option_size(inv, OPTION_SIZE, &opts.file_bytes) ||
	    option_size(inv, OPTION_BLOCK_SIZE, &opts.block_bytes) ||
	    option_count(inv, OPTION_MAX_VOLUMES, &opts.max_volumes))
		return USAGE;
	if (inv->options[OPTION_FORCE])
		opts.flags |= KVOL_FORMAT_FORCE;
	code = open_context(inv);
	if (code)
		return code;
	/* Here a path needs no '/': there is no pool yet whose name it could be. */
	code = absolute_path(inv->operands[1], &path);
	if (code)
		return code;
	r = kvol_pool_format(inv->ctx, inv->operands[0], path, &opts, &error);
	free(path);
	return r < 0 ? fail(&error) : DONE;
}

static void print_pool_json(const struct kvol_pool_info *info)
{
	json_open('{');
	json_pair_number("flags", info->flags);
	json_pair_number("data_bytes", info->data_bytes);
	json_pair_number("data_used", info->data_used);
	json_pair_number("metadata_bytes", info->metadata_bytes);
	json_pair_number("metadata_used", info->metadata_used);
	json_pair_number("block_bytes", info->block_bytes);
	json_pair_number("n_volumes", info->n_volumes);
	json_pair_number("n_snapshots", info->n_snapshots);
	json_pair_string("name", info->name);
	json_pair_string("uuid", info->uuid);
	json_pair_string("device", info->device);
	json_pair_number("max_volumes", info->max_volumes);
	json_pair_number("snapshots_left", info->snapshots_left);
	json_pair_string("host", info->host);
	json_pair_number("provisioned", info->provisioned);
	json_pair_number("capacity", info->capacity);
	json_pair_number("largest_volume", info->largest_volume);
	json_pair_number("max_published", info->max_published);
	json_pair_number("overcommit", info->overcommit);
	json_pair_number("publish_flags", info->publish_flags);
	json_pair_number("n_published", info->n_published);
	json_key("conditions");
	json_open('[');
	for (size_t i = 0; i < N_CONDITIONS; i++)
		if (info->flags & conditions[i].flag)
			json_string(conditions[i].word);
	json_close(']');
	json_close('}');
	putchar('\n');
}

static void print_space(const char *title, uint64_t used, uint64_t total)
{
	char a[SIZE_TEXT], b[SIZE_TEXT];

	printf("%-16s%s of %s used (%.1f%%)\n", title, format_size(used, a),
	       format_size(total, b), total ? 100.0 * (double)used / (double)total : 0.0);
}

static void print_policy(const struct kvol_pool_info *info)
{
	char a[SIZE_TEXT], b[SIZE_TEXT];

	printf("%-16s%s in volumes, %s left for more\n", "Promised:",
	       format_size(info->provisioned, a), format_size(info->capacity, b));
	if (info->overcommit)
		printf("%-16s%" PRIu64 "%% of the data space\n",
		       "Overcommit:", info->overcommit);
	printf("%-16s%" PRIu64, "Published:", info->n_published);
	if (info->max_published)
		printf(" of %" PRIu64, info->max_published);
	putchar('\n');
	if (info->publish_flags)
		printf("%-16s%s%s%s\n", "With flags:",
		       info->publish_flags & KVOL_POLICY_NOEXEC ? "noexec " : "",
		       info->publish_flags & KVOL_POLICY_NOSUID ? "nosuid " : "",
		       info->publish_flags & KVOL_POLICY_NODEV ? "nodev" : "");
}

static void print_pool(const struct kvol_pool_info *info)
{
	char text[SIZE_TEXT];
	bool good = true;

	printf("%-16s%s\n", "Name:", info->name);
	printf("%-16s%s\n", "UUID:", info->uuid);
	printf("%-16s%s\n", "Device:", info->device);
	if (info->host[0])
		printf("%-16s%s\n", "Host:", info->host);
	print_space("Data:", info->data_used, info->data_bytes);
	print_space("Metadata:", info->metadata_used, info->metadata_bytes);
	printf("%-16s%s\n", "Block size:", format_size(info->block_bytes, text));
	printf("%-16s%" PRIu64 "\n", "Volumes:", info->n_volumes);
	printf("%-16s%" PRIu64 " (%" PRIu64 " more in the pool's life)\n",
	       "Snapshots:", info->n_snapshots, info->snapshots_left);
	printf("%-16s%" PRIu64 " volumes and snapshots\n",
	       "Room for:", info->max_volumes);
	print_policy(info);
	for (size_t i = 0; i < N_CONDITIONS; i++) {
		if (!(info->flags & conditions[i].flag))
			continue;
		printf("%-16s%s:\n%-18s%s\n", good ? "Condition:" : "",
		       conditions[i].state, "", conditions[i].advice);
		good = false;
	}
	if (good)
		printf("%-16sgood\n", "Condition:");
}

int run_pool(struct invocation *inv)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	if (kvol_pool_stat(inv->pool, &info, &error) < 0)
		return fail(&error);
	if (inv->options[OPTION_JSON])
		print_pool_json(&info);
	else
		print_pool(&info);
	return DONE;
}

/* -1: one that there is not. */
static int64_t publish_flags(const char *list)
{
	static const char *const words[] = { "noexec", "nosuid", "nodev" };
	int64_t flags = 0, flag;

	while (*list) {
		size_t n = strcspn(list, ",");

		flag = 0;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (strlen(words[i]) == n && !strncmp(words[i], list, n))
				flag = 1 << i; /* as KVOL_POLICY_* go */
		if (!flag)
			return -1;
		flags |= flag;
		list += n + (list[n] == ',');
	}
	return flags;
}

int run_set(struct invocation *inv)
{
	static const struct {
		enum option_id option;
		uint32_t flag;
	} fields[] = {
		{ OPTION_MAX_VOLUMES, KVOL_SET_MAX_VOLUMES },
		{ OPTION_MAX_PUBLISHED, KVOL_SET_MAX_PUBLISHED },
		{ OPTION_OVERCOMMIT, KVOL_SET_OVERCOMMIT },
		{ OPTION_PUBLISH_FLAGS, KVOL_SET_PUBLISH_FLAGS },
	};
	struct kvol_policy_opts opts = { .size = sizeof(opts) };
	struct kvol_error error;
	int64_t flags = 0;
	int code = option_count(inv, OPTION_MAX_VOLUMES, &opts.max_volumes);

	if (code == DONE)
		code = option_count(inv, OPTION_MAX_PUBLISHED, &opts.max_published);
	if (code == DONE)
		code = option_count(inv, OPTION_OVERCOMMIT, &opts.overcommit);
	if (code == DONE && inv->options[OPTION_PUBLISH_FLAGS])
		flags = publish_flags(inv->options[OPTION_PUBLISH_FLAGS]);
	if (code == DONE && flags < 0)
		code = usage_error(inv, "not of noexec, nosuid, nodev: %s",
				   inv->options[OPTION_PUBLISH_FLAGS]);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (inv->options[fields[i].option])
			opts.flags |= fields[i].flag;
	if (code == DONE && !opts.flags)
		code = usage_error(inv, "set needs an option");
	opts.publish_flags = (uint64_t)flags;
	if (code == DONE)
		code = open_pool(inv);
	if (code)
		return code;
	return kvol_pool_set(inv->pool, &opts, &error) < 0 ? fail(&error) : DONE;
}

int run_deactivate(struct invocation *inv)
{
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	return kvol_pool_deactivate(inv->pool, &error) < 0 ? fail(&error) : DONE;
}
