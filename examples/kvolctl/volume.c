/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * create, snapshot, clone, expand, change-secret, delete: one call each. Repeating one is harmless, as
 * the library's contract has it; nothing is printed on success.
 */

#include <stdio.h>

#include "kvolctl.h"

int run_create(struct invocation *inv)
{
	struct kvol_create_opts opts = { .size = sizeof(opts) };
	struct secret secret = { 0 };
	struct kvol_error error;
	uint64_t bytes;
	int code = operand_size(inv, 1, &bytes);

	if (code == DONE)
		code = option_secret(inv, OPTION_SECRET_FILE, &secret);
	if (code == DONE)
		code = open_pool(inv);
	opts.fs_type = inv->options[OPTION_FS];
	opts.secret = secret.data;
	opts.secret_bytes = secret.bytes;
	if (code == DONE &&
	    kvol_create(inv->pool, inv->operands[0], bytes, &opts, &error) < 0)
		code = fail(&error);
	secret_free(&secret);
	return code;
}

int run_change_secret(struct invocation *inv)
{
	struct secret from = { 0 }, to = { 0 };
	struct kvol_error error;
	int code;

	if (!inv->options[OPTION_OLD_FILE] || !inv->options[OPTION_NEW_FILE])
		return usage_error(inv, "change-secret needs --old-file and --new-file");
	code = option_secret(inv, OPTION_OLD_FILE, &from);
	if (code == DONE)
		code = option_secret(inv, OPTION_NEW_FILE, &to);
	if (code == DONE)
		code = open_pool(inv);
	if (code == DONE &&
	    kvol_change_secret(inv->pool, inv->operands[0], from.data, from.bytes,
			       to.data, to.bytes, 0, &error) < 0)
		code = fail(&error);
	secret_free(&from);
	secret_free(&to);
	return code;
}

int run_snapshot(struct invocation *inv)
{
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	if (kvol_snapshot(inv->pool, inv->operands[0], inv->operands[1], NULL, &error) <
	    0)
		return fail(&error);
	return DONE;
}

int run_clone(struct invocation *inv)
{
	struct kvol_create_opts opts = { .size = sizeof(opts) };
	struct kvol_error error;
	int code = option_size(inv, OPTION_SIZE, &opts.bytes);

	if (code == DONE)
		code = open_pool(inv);
	if (code)
		return code;
	if (kvol_clone(inv->pool, inv->operands[0], inv->operands[1], &opts, &error) < 0)
		return fail(&error);
	return DONE;
}

int run_expand(struct invocation *inv)
{
	struct kvol_error error;
	uint64_t bytes;
	int code = operand_size(inv, 1, &bytes);

	if (code == DONE)
		code = open_pool(inv);
	if (code)
		return code;
	if (kvol_expand(inv->pool, inv->operands[0], bytes, 0, &error) < 0)
		return fail(&error);
	return DONE;
}

int run_delete(struct invocation *inv)
{
	struct kvol_error error;
	int code = open_pool(inv);

	if (code)
		return code;
	return kvol_delete(inv->pool, inv->operands[0], 0, &error) < 0 ? fail(&error)
								       : DONE;
}
