/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * publish, unpublish, limit-io. A relative target is taken from the current directory; symbolic
 * links in it are left for the library to refuse.
 */

#include <stdlib.h>

#include "kvolctl.h"

typedef int verb(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_error *reterr);

static int apply(struct invocation *inv, verb *call)
{
	struct kvol_publish_opts opts = { .size = sizeof(opts) };
	struct kvol_error error;
	char *target;
	int code, r;

	if (inv->options[OPTION_RO])
		opts.flags |= KVOL_PUBLISH_READONLY;
	if (inv->options[OPTION_BLOCK])
		opts.flags |= KVOL_PUBLISH_BLOCK;
	opts.mount_options = inv->options[OPTION_OPTIONS];
	opts.mount_namespace = inv->options[OPTION_MNTNS];
	code = open_pool(inv);
	if (code)
		return code;
	code = absolute_path(inv->operands[1], &target);
	if (code)
		return code;
	r = call(inv->pool, inv->operands[0], target, &opts, &error);
	free(target);
	return r < 0 ? fail(&error) : DONE;
}

int run_limit_io(struct invocation *inv)
{
	struct kvol_io_limits limits = { .size = sizeof(limits) };
	struct kvol_error error;
	char *cgroup;
	int code = option_size(inv, OPTION_READ_BPS, &limits.read_bps);
	int r;

	if (code == DONE)
		code = option_size(inv, OPTION_WRITE_BPS, &limits.write_bps);
	if (code == DONE)
		code = option_count(inv, OPTION_READ_IOPS, &limits.read_iops);
	if (code == DONE)
		code = option_count(inv, OPTION_WRITE_IOPS, &limits.write_iops);
	if (code == DONE)
		code = open_pool(inv);
	if (code == DONE)
		code = absolute_path(inv->operands[1], &cgroup);
	if (code)
		return code;
	r = kvol_limit_io(inv->pool, inv->operands[0], cgroup, &limits, &error);
	free(cgroup);
	return r < 0 ? fail(&error) : DONE;
}

int run_publish(struct invocation *inv)
{
	return apply(inv, kvol_publish);
}

int run_unpublish(struct invocation *inv)
{
	return apply(inv, kvol_unpublish);
}
