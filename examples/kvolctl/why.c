/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * why: who holds a volume, one line or one JSON object each.
 */

#include <inttypes.h>
#include <stdio.h>

#include "kvolctl.h"

static const struct column columns[] = {
	{ "KIND", false }, { "PID", true },  { "UID", true },
	{ "WHAT", false }, { "HOW", false }, { "TARGET", false },
};

#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define HOW_TEXT  64

static const struct {
	uint32_t bit;
	const char *word;
} ways[] = {
	{ KVOL_WHY_BY_FILE, "file" }, { KVOL_WHY_BY_CWD, "cwd" },
	{ KVOL_WHY_BY_ROOT, "root" }, { KVOL_WHY_BY_EXE, "exe" },
	{ KVOL_WHY_BY_MMAP, "mmap" }, { KVOL_WHY_BY_DEVICE, "device" },
};

#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

static const char *why_word(uint32_t kind)
{
	static const char *const words[] = {
		[KVOL_WHY_MOUNT] = "mount",
		[KVOL_WHY_NAMESPACE] = "namespace",
		[KVOL_WHY_PROCESS] = "process",
		[KVOL_WHY_DEVICE] = "device",
	};

	return kind && kind < sizeof(words) / sizeof(words[0]) ? words[kind] : "unknown";
}

static void print_json(const void *item)
{
	const struct kvol_why_info *info = item;

	json_open('{');
	json_pair_string("kind", why_word(info->kind));
	json_pair_number("flags", info->flags);
	json_key("how");
	json_open('[');
	for (size_t i = 0; i < N_WAYS; i++)
		if (info->how & ways[i].bit)
			json_string(ways[i].word);
	json_close(']');
	json_pair_number("pid", info->pid);
	json_pair_number("uid", info->uid);
	json_pair_number("mount_namespace", info->mount_namespace);
	json_pair_string("what", info->what);
	json_pair_string("target", info->target);
	json_close('}');
}

static int add_row(struct table *table, const void *item)
{
	const struct kvol_why_info *info = item;
	char pid[16] = "", uid[16] = "", how[HOW_TEXT] = "";
	const char *cells[N_COLUMNS] = {
		why_word(info->kind), pid, uid, info->what, how, info->target,
	};
	size_t used = 0;

	if (info->pid)
		(void)snprintf(pid, sizeof(pid), "%" PRIu32, info->pid);
	if (info->kind == KVOL_WHY_PROCESS)
		(void)snprintf(uid, sizeof(uid), "%" PRIu32, info->uid);
	if (info->flags & KVOL_WHY_PUBLISHED)
		(void)snprintf(how, sizeof(how), "published");
	for (size_t i = 0; i < N_WAYS; i++)
		if (info->how & ways[i].bit)
			used += (size_t)snprintf(how + used, sizeof(how) - used, "%s%s",
						 used ? "," : "", ways[i].word);
	return table_add_row(table, cells);
}

static int next_info(void *iter, void *info)
{
	((struct kvol_why_info *)info)->size = sizeof(struct kvol_why_info);
	return kvol_why_next(iter, info);
}

static const struct listing holders = { next_info, print_json, add_row, columns, N_COLUMNS };

int run_why(struct invocation *inv)
{
	struct kvol_why_iter *iter;
	struct kvol_why_info info;
	struct kvol_error error;
	int code = open_pool(inv);
	int r;

	if (code)
		return code;
	if (kvol_why(inv->pool, inv->operands[0], 0, &iter, &error) < 0)
		return fail(&error);
	r = print_listing(inv, &holders, iter, &info);
	kvol_why_free(iter);
	return r < 0 ? fail_errno(r, "the list is not whole") : DONE;
}
