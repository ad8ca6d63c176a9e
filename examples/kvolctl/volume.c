/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * create, snapshot, clone, expand, change-secret, delete: one call each. Repeating one is harmless, as
 * the library's contract has it; nothing is printed on success.
 */

#include <stdio.h>

#include "kvolctl.h"

/* What the root directory is to be given. */
static int option_owner(const struct invocation *inv, struct kvol_create_opts *opts)
{
	const char *owner = inv->options[OPTION_OWNER], *mode = inv->options[OPTION_MODE];

	if (owner) {
		if (parse_owner(owner, &opts->uid, &opts->gid) < 0)
			return usage_error(inv, "create: not UID:GID: %s", owner);
		opts->flags |= KVOL_CREATE_OWNER;
	}
	if (mode) {
		if (parse_mode(mode, &opts->mode) < 0)
			return usage_error(inv, "create: not an octal mode: %s", mode);
		opts->flags |= KVOL_CREATE_MODE;
	}
	return DONE;
}

int run_create(struct invocation *inv)
{
	struct kvol_create_opts opts = { .size = sizeof(opts) };
	struct secret secret = { 0 };
	struct labels labels = { .n = 0 };
	struct kvol_error error;
	uint64_t bytes;
	int code = operand_size(inv, 1, &bytes);

	if (code == DONE)
		code = option_owner(inv, &opts);
	if (code == DONE)
		code = option_labels(inv, &labels);
	if (code == DONE)
		code = option_secret(inv, OPTION_SECRET_FILE, &secret);
	if (code == DONE)
		code = open_pool(inv);
	if (inv->options[OPTION_THICK])
		opts.flags |= KVOL_CREATE_THICK;
	opts.fs_type = inv->options[OPTION_FS];
	opts.labels = labels.items;
	opts.n_labels = labels.n;
	opts.secret = secret.data;
	opts.secret_bytes = secret.bytes;
	if (code == DONE &&
	    kvol_create(inv->pool, inv->operands[0], bytes, &opts, &error) < 0)
		code = fail(&error);
	secret_free(&secret);
	labels_free(&labels);
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
	struct kvol_snapshot_opts opts = { .size = sizeof(opts) };
	struct labels labels;
	struct kvol_error error;
	int code = option_labels(inv, &labels);

	if (code == DONE)
		code = open_pool(inv);
	opts.labels = labels.items;
	opts.n_labels = labels.n;
	if (code == DONE && kvol_snapshot(inv->pool, inv->operands[0], inv->operands[1],
					  &opts, &error) < 0)
		code = fail(&error);
	labels_free(&labels);
	return code;
}

int run_clone(struct invocation *inv)
{
	struct kvol_create_opts opts = { .size = sizeof(opts) };
	struct labels labels = { .n = 0 };
	struct kvol_error error;
	int code = option_size(inv, OPTION_SIZE, &opts.bytes);

	if (code == DONE)
		code = option_labels(inv, &labels);
	if (code == DONE)
		code = open_pool(inv);
	opts.labels = labels.items;
	opts.n_labels = labels.n;
	if (code == DONE &&
	    kvol_clone(inv->pool, inv->operands[0], inv->operands[1], &opts, &error) < 0)
		code = fail(&error);
	labels_free(&labels);
	return code;
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
