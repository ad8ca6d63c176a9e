/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * publish, unpublish, limit-io. A relative target is taken from the current directory; symbolic
 * links in it are left for the library to refuse.
 */

#include <stdlib.h>
#include <string.h>

#include "kvolctl.h"

typedef int verb(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_error *reterr);

/* The words of an option, by the number that each stands for. */
static const char *const access_words[] = {
	[KVOL_ACCESS_ANY] = "any",
	[KVOL_ACCESS_SINGLE_WRITER] = "single-writer",
	[KVOL_ACCESS_MULTI_WRITER] = "multi-writer",
	[KVOL_ACCESS_READER] = "reader",
};

static const char *const propagation_words[] = {
	[KVOL_PROPAGATION_DEFAULT] = "default",
	[KVOL_PROPAGATION_PRIVATE] = "private",
	[KVOL_PROPAGATION_SLAVE] = "slave",
	[KVOL_PROPAGATION_SHARED] = "shared",
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

const char *access_word(uint32_t access)
{
	return access < N_OF(access_words) ? access_words[access] : "unknown";
}

/* 0, or USAGE. */
static int option_word(const struct invocation *inv, enum option_id id, const char *what,
		       const char *const *words, size_t n_words, uint32_t *ret)
{
	const char *word = inv->options[id];

	for (size_t i = 0; word && i < n_words; i++) {
		if (strcmp(word, words[i]) != 0)
			continue;
		*ret = (uint32_t)i;
		return DONE;
	}
	return word ? usage_error(inv, "%s: not %s: %s", inv->command->name, what, word)
		    : DONE;
}

/* 0, or USAGE. */
static int option_group(const struct invocation *inv, struct kvol_publish_opts *opts)
{
	uint64_t group = 0;
	int code = option_count(inv, OPTION_GROUP, &group);

	if (code || !inv->options[OPTION_GROUP])
		return code;
	if (group >= UINT32_MAX)
		return usage_error(inv, "%s: not a group: %s", inv->command->name,
				   inv->options[OPTION_GROUP]);
	opts->flags |= KVOL_PUBLISH_GROUP;
	opts->group = (uint32_t)group;
	return DONE;
}

/* 0, or USAGE. */
static int option_ephemeral(const struct invocation *inv, struct kvol_ephemeral_opts *ret,
			    struct kvol_publish_opts *opts)
{
	ret->fs_type = inv->options[OPTION_FS];
	ret->source = inv->options[OPTION_FROM];
	if (inv->options[OPTION_EPHEMERAL] || ret->source)
		opts->ephemeral = ret;
	else if (ret->fs_type)
		return usage_error(inv, "%s: --fs without --ephemeral",
				   inv->command->name);
	return option_size(inv, OPTION_EPHEMERAL, &ret->bytes);
}

static int apply(struct invocation *inv, verb *call)
{
	struct kvol_ephemeral_opts ephemeral = { .size = sizeof(ephemeral) };
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
	code = option_group(inv, &opts);
	if (code)
		return code;
	opts.user_namespace = inv->options[OPTION_USERNS];
	opts.uid_map = inv->options[OPTION_UID_MAP];
	opts.gid_map = inv->options[OPTION_GID_MAP];
	code = option_word(inv, OPTION_ACCESS, "an access mode", access_words,
			   N_OF(access_words), &opts.access);
	if (code == DONE)
		code = option_word(inv, OPTION_PROPAGATION, "a propagation",
				   propagation_words, N_OF(propagation_words),
				   &opts.propagation);
	if (code == DONE)
		code = option_ephemeral(inv, &ephemeral, &opts);
	if (code == DONE)
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
