// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The context: where to log, where the run directory is, and what the host is called. It
 * opens nothing and is never changed, so pools copy what they need and outlive it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rundir.h"
#include "verb.h"

#define STRING(x)		#x
#define VERSION_STRING(a, b, c) STRING(a) "." STRING(b) "." STRING(c)

const char *kvol_version(void)
{
	return VERSION_STRING(KVOL_VERSION_MAJOR, KVOL_VERSION_MINOR, KVOL_VERSION_PATCH);
}

int kvol_new(const struct kvol_ctx_opts *opts, struct kvol_ctx **ret_ctx,
	     struct kvol_error *reterr)
{
	struct kvol_ctx_opts o;
	struct kvol_ctx *ctx;
	int r;

	if (!ret_ctx)
		return kv_error_invalid(reterr, "kvol_new: ret_ctx is NULL");
	r = kv_opts_in(&o, sizeof(o), KV_SIZE_TO(struct kvol_ctx_opts, run_dir), opts, 0,
		       "kvol_ctx_opts", reterr);
	if (r < 0)
		return r;
	if (kv_str_empty(o.run_dir))
		o.run_dir = KV_RUN_DIR;
	if (o.run_dir[0] != '/')
		return kv_error_invalid(reterr,
					"kvol_new: run_dir '%s' is not an absolute path",
					o.run_dir);
	if (kv_str_empty(o.host_id))
		o.host_id = "";
	else if (!kv_host_id_valid(o.host_id))
		return kv_error_invalid(
			reterr,
			"kvol_new: host_id '%.80s' is not 1 to %d printable "
			"ASCII characters without blanks",
			o.host_id, KV_HOST_ID_MAX);
	ctx = calloc(1, sizeof(*ctx));
	if (ctx)
		ctx->run_dir = strdup(o.run_dir);
	if (!ctx || !ctx->run_dir) {
		free(ctx);
		return kv_error_errno(reterr, -ENOMEM, "kvol_new");
	}
	ctx->log.fn = o.log;
	ctx->log.arg = o.log_arg;
	(void)kv_strcpy(ctx->host_id, sizeof(ctx->host_id), o.host_id);
	*ret_ctx = ctx;
	return 0;
}

void kvol_free(struct kvol_ctx *ctx)
{
	if (!ctx)
		return;
	free(ctx->run_dir);
	free(ctx);
}
