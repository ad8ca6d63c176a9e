/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The command line: which commands and options there are, how they are read, and their
 * help.
 *
 * The tables below are the only place that knows a command's name, operands and options;
 * reading and --help both follow them. Options stand before or after operands, with their
 * value after
 * '=' or as the next word; "--" ends them. Nothing is abbreviated, so that scripts do not
 * break when an option is added. The last one of a repeated option counts, but for labels,
 * which all do where something is made.
 */

#include <stdio.h>
#include <string.h>

#include "kvolctl.h"

static const struct {
	const char *name;
	const char *value; /* NULL: a switch */
	char letter;
} all_options[OPTION_COUNT] = {
	[OPTION_POOL] = { "pool", "POOL", 'p' },
	[OPTION_HELP] = { "help", NULL, 'h' },
	[OPTION_VERSION] = { "version", NULL, 0 },
	[OPTION_SIZE] = { "size", "BYTES", 0 },
	[OPTION_BLOCK_SIZE] = { "block-size", "BYTES", 0 },
	[OPTION_MAX_VOLUMES] = { "max-volumes", "N", 0 },
	[OPTION_FORCE] = { "force", NULL, 0 },
	[OPTION_FS] = { "fs", "TYPE", 0 },
	[OPTION_RO] = { "ro", NULL, 0 },
	[OPTION_BLOCK] = { "block", NULL, 0 },
	[OPTION_MNTNS] = { "mntns", "PATH", 0 },
	[OPTION_OPTIONS] = { "options", "LIST", 0 },
	[OPTION_VOLUMES] = { "volumes", NULL, 0 },
	[OPTION_SNAPSHOTS] = { "snapshots", NULL, 0 },
	[OPTION_JSON] = { "json", NULL, 0 },
	[OPTION_TAKEOVER] = { "takeover", NULL, 0 },
	[OPTION_CHECK] = { "check", NULL, 0 },
	[OPTION_ACCEPT] = { "accept", NULL, 0 },
	[OPTION_BACKUP_DIR] = { "backup-dir", "DIR", 0 },
	[OPTION_ACCESS] = { "access", "MODE", 0 },
	[OPTION_PROPAGATION] = { "propagation", "TYPE", 0 },
	[OPTION_USERNS] = { "userns", "PATH", 0 },
	[OPTION_UID_MAP] = { "uid-map", "MAP", 0 },
	[OPTION_GID_MAP] = { "gid-map", "MAP", 0 },
	[OPTION_GROUP] = { "group", "GID", 0 },
	[OPTION_MAX_PUBLISHED] = { "max-published", "N", 0 },
	[OPTION_OVERCOMMIT] = { "overcommit", "PERCENT", 0 },
	[OPTION_PUBLISH_FLAGS] = { "publish-flags", "LIST", 0 },
	[OPTION_READ_BPS] = { "read-bps", "BYTES", 0 },
	[OPTION_WRITE_BPS] = { "write-bps", "BYTES", 0 },
	[OPTION_READ_IOPS] = { "read-iops", "N", 0 },
	[OPTION_WRITE_IOPS] = { "write-iops", "N", 0 },
	[OPTION_LABEL] = { "label", "KEY[=VALUE]", 0 },
	[OPTION_SECRET_FILE] = { "secret-file", "FILE", 0 },
	[OPTION_OLD_FILE] = { "old-file", "FILE", 0 },
	[OPTION_NEW_FILE] = { "new-file", "FILE", 0 },
	[OPTION_OWNER] = { "owner", "UID:GID", 0 },
	[OPTION_MODE] = { "mode", "MODE", 0 },
	[OPTION_EPHEMERAL] = { "ephemeral", "BYTES", 0 },
	[OPTION_FROM] = { "from", "SOURCE", 0 },
	[OPTION_THICK] = { "thick", NULL, 0 },
};

static const struct command_option format_options[] = {
	{ OPTION_SIZE, "make PATH a sparse regular file of this size" },
	{ OPTION_FORCE, "overwrite whatever PATH holds" },
	{ OPTION_BLOCK_SIZE, "allocate in blocks of this size, a multiple of 64K" },
	{ OPTION_MAX_VOLUMES, "make room for this many volumes and snapshots" },
	{ 0, NULL }
};

static const struct command_option create_options[] = {
	{ OPTION_FS,
	  "make a file system: ext4, xfs or btrfs (default: none, a raw volume)" },
	{ OPTION_THICK, "allocate all of its space now" },
	{ OPTION_OWNER, "whom its root directory is to belong to" },
	{ OPTION_MODE, "the mode of its root directory, octal" },
	{ OPTION_LABEL, "set this label with it; may be repeated" },
	{ OPTION_SECRET_FILE, "encrypt it; the secret is all of FILE, '-' is stdin" },
	{ 0, NULL }
};

static const struct command_option snapshot_options[] = {
	{ OPTION_LABEL, "set this label with it; may be repeated" }, { 0, NULL }
};

static const struct command_option secret_options[] = {
	{ OPTION_OLD_FILE, "all of FILE is the secret that it has, '-' is stdin" },
	{ OPTION_NEW_FILE, "all of FILE is the secret that it gets, '-' is stdin" },
	{ 0, NULL }
};

static const struct command_option clone_options[] = {
	{ OPTION_SIZE, "make the clone at least this large (default: as its source)" },
	{ OPTION_LABEL, "set this label with it; may be repeated" },
	{ 0, NULL }
};

static const struct command_option publish_options[] = {
	{ OPTION_RO, "read-only" },
	{ OPTION_BLOCK, "the device itself; TARGET is a regular file" },
	{ OPTION_MNTNS, "TARGET is in this mount namespace, such as /proc/PID/ns/mnt" },
	{ OPTION_OPTIONS, "mount options, separated by commas" },
	{ OPTION_ACCESS, "any, single-writer, multi-writer or reader" },
	{ OPTION_PROPAGATION, "default, private, slave or shared" },
	{ OPTION_USERNS, "map ids as this user namespace does, such as /proc/PID/ns/user" },
	{ OPTION_UID_MAP, "map ids: INSIDE OUTSIDE COUNT, several separated by commas" },
	{ OPTION_GID_MAP, "the same for groups (default: as --uid-map)" },
	{ OPTION_GROUP, "give all that is in it to this group first" },
	{ OPTION_SECRET_FILE, "unlock it; the secret is all of FILE, '-' is stdin" },
	{ OPTION_EPHEMERAL, "make it for this; its last unpublish deletes it" },
	{ OPTION_FS, "... with a file system: ext4, xfs or btrfs" },
	{ OPTION_FROM, "... as a clone of this volume or snapshot (then any size)" },
	{ 0, NULL }
};

static const struct command_option unpublish_options[] = {
	{ OPTION_MNTNS, "TARGET is in this mount namespace, such as /proc/PID/ns/mnt" },
	{ 0, NULL }
};

static const struct command_option list_options[] = { { OPTION_VOLUMES, "volumes only" },
						      { OPTION_SNAPSHOTS,
							"snapshots only" },
						      { OPTION_LABEL,
							"only what has this label" },
						      { OPTION_JSON, "print JSON" },
						      { 0, NULL } };

static const struct command_option pool_options[] = {
	{ OPTION_TAKEOVER, "end another host's claim: only when that host is down" },
	{ OPTION_JSON, "print JSON" },
	{ 0, NULL }
};

static const struct command_option limit_options[] = {
	{ OPTION_READ_BPS, "bytes read a second" },
	{ OPTION_WRITE_BPS, "bytes written a second" },
	{ OPTION_READ_IOPS, "reads a second" },
	{ OPTION_WRITE_IOPS, "writes a second" },
	{ 0, NULL }
};

static const struct command_option set_options[] = {
	{ OPTION_MAX_VOLUMES, "no more volumes and snapshots than this" },
	{ OPTION_MAX_PUBLISHED, "no more volumes published on a host than this" },
	{ OPTION_OVERCOMMIT, "sizes of volumes together, in percent of the data space" },
	{ OPTION_PUBLISH_FLAGS, "of noexec, nosuid, nodev; for all file systems" },
	{ 0, NULL }
};

static const struct command_option repair_options[] = {
	{ OPTION_CHECK, "look and tell, change nothing" },
	{ OPTION_BACKUP_DIR, "keep there what is overwritten" },
	{ OPTION_FORCE, "mend the catalogue's file system at any price (fsck -y)" },
	{ OPTION_ACCEPT, "take what is left of the volumes as it is" },
	{ OPTION_TAKEOVER, "end another host's claim: only when that host is down" },
	{ 0, NULL }
};

static const struct command_option json_option[] = { { OPTION_JSON, "print JSON" },
						     { 0, NULL } };

static const struct command commands[] = {
	{ "format", "NAME PATH", 2, 2, false, "make a pool on a block device or a file",
	  format_options, run_format },
	{ "pool", "", 0, 0, true, "show the pool, its space and its condition",
	  pool_options, run_pool },
	{ "set", "", 0, 0, true, "set the pool's policy; 0, or an empty list, is none",
	  set_options, run_set },
	{ "deactivate", "", 0, 0, true,
	  "take the pool out of use, so that its disk can move", NULL, run_deactivate },
	{ "repair", "", 0, 0, true, "check a pool that is not active, and mend it",
	  repair_options, run_repair },
	{ "create", "VOL SIZE", 2, 2, true,
	  "make a volume, blank or with an empty file system", create_options,
	  run_create },
	{ "snapshot", "VOL SNAP", 2, 2, true, "take a read-only snapshot of a volume",
	  snapshot_options, run_snapshot },
	{ "clone", "SOURCE VOL", 2, 2, true,
	  "make a writable copy of a volume or a snapshot", clone_options, run_clone },
	{ "expand", "VOL SIZE", 2, 2, true, "make a volume and its file system larger",
	  NULL, run_expand },
	{ "change-secret", "VOL", 1, 1, true, "replace an encrypted volume's secret",
	  secret_options, run_change_secret },
	{ "publish", "VOL TARGET", 2, 2, true,
	  "make a volume appear at a directory or a file", publish_options, run_publish },
	{ "unpublish", "VOL TARGET", 2, 2, true, "take a volume away from there",
	  unpublish_options, run_unpublish },
	{ "delete", "NAME", 1, 1, true, "delete a volume or a snapshot for good", NULL,
	  run_delete },
	{ "label", "NAME LABEL...", 2, MAX_OPERANDS, true,
	  "set labels (KEY=VALUE) of a volume, or remove them (KEY-)", NULL, run_label },
	{ "label-pool", "LABEL...", 1, KVOL_LABELS_MAX, true,
	  "the same for the pool", NULL, run_label_pool },
	{ "labels", "[NAME]", 0, 1, true, "show the labels of a volume, or of the pool",
	  json_option, run_labels },
	{ "publishes", "[NAME]", 0, 1, true, "show where volumes are published",
	  json_option, run_publishes },
	{ "list", "", 0, 0, true, "list volumes and snapshots", list_options, run_list },
	{ "template", "make|list|delete [FS [SIZE]]", 1, 3, true,
	  "keep ready what formatted volumes are cloned of", json_option, run_template },
	{ "show", "NAME", 1, 1, true, "show one volume or snapshot", json_option,
	  run_show },
	{ "why", "NAME", 1, 1, true, "tell who holds a volume or snapshot", json_option,
	  run_why },
	{ "stat", "NAME", 1, 1, true, "show how full and how well a volume is",
	  json_option, run_stat },
	{ "usage", "NAME", 1, 1, true, "show what a volume alone has, and what it shares",
	  json_option, run_usage },
	{ "limit-io", "VOL CGROUP", 2, 2, true,
	  "limit what a cgroup reads and writes; without options: not", limit_options,
	  run_limit_io },
	{ "version", "", 0, 0, false, "print the version", NULL, NULL },
	{ "help", "[COMMAND]", 0, 1, false, "print this, or about one command", NULL,
	  NULL },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Stores an option; *next is the word after it and is used up if it is the value. */
static int take_option(struct invocation *inv, enum option_id id, const char *value,
		       char ***next)
{
	const char *name = all_options[id].name;

	if (!all_options[id].value) {
		if (value)
			return usage_error(inv, "option --%s takes no value", name);
		value = "";
	} else if (!value) {
		value = **next;
		if (!value)
			return usage_error(inv, "option --%s needs a value: %s", name,
					   all_options[id].value);
		(*next)++;
	}
	inv->options[id] = value;
	if (id == OPTION_LABEL) {
		if (inv->n_labels == KVOL_LABELS_MAX)
			return usage_error(inv, "more than %u times --%s",
					   KVOL_LABELS_MAX, name);
		inv->labels[inv->n_labels++] = value;
	}
	return 0;
}

static int take_long(struct invocation *inv, const char *word, char ***next)
{
	size_t length = strcspn(word, "=");

	for (int id = 0; id < OPTION_COUNT; id++) {
		const char *name = all_options[id].name;

		if (strlen(name) == length && strncmp(name, word, length) == 0)
			return take_option(inv, (enum option_id)id,
					   word[length] ? word + length + 1 : NULL, next);
	}
	return usage_error(inv, "unknown option: --%s", word);
}

static int take_short(struct invocation *inv, const char *word, char ***next)
{
	for (int id = 0; id < OPTION_COUNT; id++)
		if (all_options[id].letter && all_options[id].letter == word[0])
			return take_option(inv, (enum option_id)id,
					   word[1] ? word + 1 : NULL, next);
	return usage_error(inv, "unknown option: -%s", word);
}

static int take_operand(struct invocation *inv, const char *word)
{
	if (!inv->command) {
		inv->command = find_command(word);
		return inv->command ? 0 : usage_error(inv, "unknown command: %s", word);
	}
	if (inv->n_operands >= inv->command->max_operands)
		return usage_error(inv, "%s: one argument too many: %s",
				   inv->command->name, word);
	inv->operands[inv->n_operands++] = word;
	return 0;
}

static bool has_option(const struct command *command, enum option_id id)
{
	const struct command_option *option = command->options;

	while (option && option->help && option->id != id)
		option++;
	return option && option->help;
}

/* What can only be checked once all has been read. */
static int check(const struct invocation *inv)
{
	const struct command *command = inv->command;

	for (int id = OPTION_VERSION + 1; id < OPTION_COUNT; id++)
		if (inv->options[id] && command &&
		    !has_option(command, (enum option_id)id))
			return usage_error(inv, "%s takes no option --%s", command->name,
					   all_options[id].name);
	if (inv->options[OPTION_HELP] || inv->options[OPTION_VERSION])
		return 0;
	if (command && inv->n_operands < command->min_operands)
		return usage_error(inv, "%s needs %s", command->name, command->operands);
	return 0;
}

int parse_arguments(struct invocation *inv, int argc, char **argv)
{
	char **next = argv + (argc > 0);
	bool operands_only = false;
	int code = 0;

	while (*next && code == 0) {
		const char *word = *next++;

		if (operands_only || word[0] != '-' || !word[1])
			code = take_operand(inv, word);
		else if (strcmp(word, "--") == 0)
			operands_only = true;
		else if (word[1] == '-')
			code = take_long(inv, word + 2, &next);
		else
			code = take_short(inv, word + 1, &next);
	}
	return code ? code : check(inv);
}

static void print_option(enum option_id id, const char *help)
{
	const char *value = all_options[id].value;
	char text[40];

	(void)snprintf(text, sizeof(text), "%s--%s%s%s",
		       id == OPTION_POOL   ? "-p, "
		       : id == OPTION_HELP ? "-h, "
					   : "",
		       all_options[id].name, value ? " " : "", value ? value : "");
	printf("  %-20s  %s\n", text, help);
}

static void print_command_help(const struct command *command)
{
	printf("Usage: kvolctl %s%s%s%s%s\n", command->needs_pool ? "[-p POOL] " : "",
	       command->name, command->options ? " [OPTION...]" : "",
	       *command->operands ? " " : "", command->operands);
	printf("%s: %s.\n\nOptions:\n", command->name, command->purpose);
	for (const struct command_option *o = command->options; o && o->help; o++)
		print_option(o->id, o->help);
	if (command->needs_pool)
		print_option(OPTION_POOL,
			     "a path of the pool's member, or an active pool's name");
	print_option(OPTION_HELP, "print this");
}

void print_help(const struct command *command)
{
	if (command) {
		print_command_help(command);
		return;
	}
	puts("Usage: kvolctl [-p POOL] COMMAND [OPTION...] [ARGUMENT...]\n"
	     "Volumes for containers, in pools on one disk or file.\n\nCommands:");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "%s %s", commands[i].name,
			       commands[i].operands);
		printf("  %-22s  %s\n", text, commands[i].purpose);
	}
	puts("\nOptions:");
	print_option(OPTION_POOL,
		     "a path with a '/', or an active pool's name (else $KVOL_POOL)");
	print_option(OPTION_HELP, "print this, or about the command");
	print_option(OPTION_VERSION, "print the version");
	puts("\nSizes are bytes, or take K, M, G or T (powers of 1024).\n"
	     "Exit code: 0 success, 1 refused or failed, 2 bad usage.");
}
