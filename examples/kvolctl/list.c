/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list, show.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kvolctl.h"

#define TIME_TEXT 32

static const struct column list_columns[] = {
	{ "NAME", false }, { "KIND", false },	{ "SIZE", true },    { "USED", true },
	{ "FS", false },   { "SOURCE", false }, { "TARGETS", true }, { "DEVICE", false },
	{ "CREATED", false },
};

#define N_LIST_COLUMNS (sizeof(list_columns) / sizeof(list_columns[0]))

static const char *kind_word(uint32_t kind)
{
	return kind == KVOL_KIND_VOLUME	    ? "volume"
	       : kind == KVOL_KIND_SNAPSHOT ? "snapshot"
	       : kind == KVOL_KIND_TEMPLATE ? "template"
					    : "unknown";
}

static const char *format_time(uint64_t seconds, char buf[TIME_TEXT])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buf, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm))
		(void)snprintf(buf, TIME_TEXT, "%" PRIu64, seconds);
	return buf;
}

const char *format_device(uint32_t dev_major, uint32_t dev_minor, char buf[DEVICE_TEXT])
{
	buf[0] = '\0';
	if (dev_major)
		(void)snprintf(buf, DEVICE_TEXT, "%" PRIu32 ":%" PRIu32, dev_major,
			       dev_minor);
	return buf;
}

static void print_info_json(const void *item)
{
	const struct kvol_info *info = item;

	json_open('{');
	json_pair_number("flags", info->flags);
	json_pair_number("bytes", info->bytes);
	json_pair_number("allocated", info->allocated);
	json_pair_number("created", info->created);
	json_pair_string("kind", kind_word(info->kind));
	json_pair_number("n_targets", info->n_targets);
	json_pair_string("name", info->name);
	json_pair_string("source", info->source);
	json_pair_string("fs_type", info->fs_type);
	json_pair_string("uuid", info->uuid);
	json_pair_string("device", info->device);
	json_pair_string("access", access_word(info->access));
	json_pair_number("dev_major", info->dev_major);
	json_pair_number("dev_minor", info->dev_minor);
	json_close('}');
}

static int add_row(struct table *table, const void *item)
{
	const struct kvol_info *info = item;
	char bytes[SIZE_TEXT], allocated[SIZE_TEXT], targets[16], created[TIME_TEXT];
	char device[DEVICE_TEXT];
	const char *cells[N_LIST_COLUMNS] = {
		info->name,
		kind_word(info->kind),
		format_size(info->bytes, bytes),
		format_size(info->allocated, allocated),
		info->fs_type,
		info->source,
		targets,
		format_device(info->dev_major, info->dev_minor, device),
		format_time(info->created, created),
	};

	(void)snprintf(targets, sizeof(targets), "%" PRIu32, info->n_targets);
	return table_add_row(table, cells);
}

static int next_info(void *iter, void *info)
{
	((struct kvol_info *)info)->size = sizeof(struct kvol_info);
	return kvol_iter_next(iter, info);
}

static const struct listing volumes = { next_info, print_info_json, add_row, list_columns,
					N_LIST_COLUMNS };

int print_list(struct invocation *inv, const struct kvol_list_opts *opts)
{
	struct kvol_error error;
	struct kvol_info info;
	struct kvol_iter *iter;
	int code = open_pool(inv);
	int r;

	if (code)
		return code;
	if (kvol_list_filtered(inv->pool, opts, &iter, &error) < 0)
		return fail(&error);
	r = print_listing(inv, &volumes, iter, &info);
	kvol_iter_free(iter);
	return r < 0 ? fail_errno(r, "list") : DONE;
}

int run_list(struct invocation *inv)
{
	struct kvol_list_opts opts = { .size = sizeof(opts) };
	char *label = NULL, *equals;
	int code;

	if (inv->options[OPTION_VOLUMES])
		opts.flags |= KVOL_LIST_VOLUMES;
	if (inv->options[OPTION_SNAPSHOTS])
		opts.flags |= KVOL_LIST_SNAPSHOTS;
	if (inv->options[OPTION_LABEL]) {
		label = strdup(inv->options[OPTION_LABEL]);
		if (!label)
			return fail_errno(-ENOMEM, "list");
		equals = strchr(label, '=');
		if (equals)
			*equals = '\0';
		opts.label_key = label;
		opts.label_value = equals ? equals + 1 : NULL;
	}
	code = print_list(inv, &opts);
	free(label);
	return code;
}

static void print_info(const struct kvol_info *info)
{
	char size[SIZE_TEXT], created[TIME_TEXT];

	printf("%-14s%s\n", "Name:", info->name);
	printf("%-14s%s%s\n", "Kind:", kind_word(info->kind),
	       info->flags & KVOL_INFO_EPHEMERAL ? ", ephemeral" : "");
	printf("%-14s%s (%" PRIu64 " bytes)\n", "Size:", format_size(info->bytes, size),
	       info->bytes);
	printf("%-14s%s\n", "Used:", format_size(info->allocated, size));
	printf("%-14s%s\n",
	       "File system:", *info->fs_type ? info->fs_type : "none (raw)");
	printf("%-14s%s\n", "Source:", *info->source ? info->source : "-");
	printf("%-14s%" PRIu32 "\n", "Targets:", info->n_targets);
	printf("%-14s%s\n", "Access:", access_word(info->access));
	if (info->dev_major)
		printf("%-14s%s (%" PRIu32 ":%" PRIu32 ")\n", "Device:", info->device,
		       info->dev_major, info->dev_minor);
	else
		printf("%-14s%s\n", "Device:", "- (not active)");
	printf("%-14s%s\n", "UUID:", info->uuid);
	printf("%-14s%s\n", "Created:", format_time(info->created, created));
}

int run_show(struct invocation *inv)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	if (kvol_stat(inv->pool, inv->operands[0], &info, &error) < 0)
		return fail(&error);
	if (inv->options[OPTION_JSON]) {
		print_info_json(&info);
		putchar('\n');
	} else {
		print_info(&info);
	}
	return DONE;
}
