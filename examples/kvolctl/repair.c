/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * repair: what the library tells while it works goes to standard output, as fsck's does;
 * then a line with the verdict. Faults that are left make it a failure.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "kvolctl.h"

static const struct {
	uint32_t fault;
	const char *words;
} faults[] = {
	{ KVOL_FAULT_TABLE, "partition table" },
	{ KVOL_FAULT_CATALOGUE, "catalogue's file system" },
	{ KVOL_FAULT_DATABASE, "catalogue's indexes" },
	{ KVOL_FAULT_METADATA, "metadata" },
	{ KVOL_FAULT_NEEDS_CHECK, "needs_check mark" },
	{ KVOL_FAULT_VOLUMES, "volumes that lost something" },
	{ KVOL_FAULT_EPOCH, "catalogue and thin pool of different times" },
	{ KVOL_FAULT_STRAYS, "thin ids that are not in the catalogue" },
};

static void tell(void *arg, int priority, const char *msg)
{
	(void)arg;
	if (priority <= LOG_NOTICE)
		puts(msg);
}

/* "table, metadata" of these faults. */
static void list_faults(uint32_t which, char *ret, size_t size)
{
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]) && n < size; i++)
		if (which & faults[i].fault)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", n ? ", " : "",
					      faults[i].words);
}

static uint32_t repair_flags(const struct invocation *inv)
{
	uint32_t flags = 0;

	if (inv->options[OPTION_CHECK])
		flags |= KVOL_REPAIR_CHECK;
	if (inv->options[OPTION_FORCE])
		flags |= KVOL_REPAIR_FORCE;
	if (inv->options[OPTION_ACCEPT])
		flags |= KVOL_REPAIR_ACCEPT;
	if (inv->options[OPTION_TAKEOVER])
		flags |= KVOL_REPAIR_TAKEOVER;
	return flags;
}

int run_repair(struct invocation *inv)
{
	struct kvol_repair_info info = { .size = sizeof(info) };
	struct kvol_repair_opts opts = { .size = sizeof(opts),
					 .flags = repair_flags(inv),
					 .backup_dir = inv->options[OPTION_BACKUP_DIR] };
	const char *name = inv->options[OPTION_POOL];
	struct kvol_error error;
	char *path = NULL, list[200];
	int code, r;

	inv->log = tell;
	code = open_context(inv);
	if (code == DONE && strchr(name, '/'))
		code = absolute_path(name, &path);
	if (code)
		return code;
	r = kvol_pool_repair(inv->ctx, path ? path : name, &opts, &info, &error);
	free(path);
	if (r < 0)
		return fail(&error);
	list_faults(info.mended, list, sizeof(list));
	if (info.mended)
		printf("Mended: %s\n", list);
	if (!info.found)
		puts("Good.");
	if (!(info.found & ~info.mended))
		return DONE;
	list_faults(info.found & ~info.mended, list, sizeof(list));
	error = (struct kvol_error){ .reason = KVOL_R_CORRUPT };
	(void)snprintf(error.msg, sizeof(error.msg), "%s: %s",
		       inv->options[OPTION_CHECK] ? "found" : "left", list);
	return fail(&error);
}
