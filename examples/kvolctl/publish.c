/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * publish, unpublish. A relative target is taken from the current directory; symbolic
 * links in it are left for the library to refuse.
 */

#include <stdlib.h>

#include "kvolctl.h"

typedef int verb(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_error *reterr);

static int apply(struct invocation *inv, verb *call)
{
	struct kvol_publish_opts opts = { .size = sizeof(opts) };
	struct secret secret = { 0 };
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
	code = option_secret(inv, OPTION_SECRET_FILE, &secret);
	if (code == DONE) {
		opts.secret = secret.data;
		opts.secret_bytes = secret.bytes;
		r = call(inv->pool, inv->operands[0], target, &opts, &error);
		code = r < 0 ? fail(&error) : DONE;
	}
	secret_free(&secret);
	free(target);
	return code;
}

int run_publish(struct invocation *inv)
{
	return apply(inv, kvol_publish);
}

int run_unpublish(struct invocation *inv)
{
	return apply(inv, kvol_unpublish);
}
