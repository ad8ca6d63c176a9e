/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOLCTL_H
#define KVOLCTL_H

/* kvolctl's own interfaces. Everything that it knows of volumes comes from <kvol/kvol.h>.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kvol/kvol.h>

#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Exit codes. */
#define DONE   0
#define FAILED 1
#define USAGE  2

/* An option means the same and takes (or does not take) a value wherever it appears, so
 * that a command line can be read before its command is known. */
enum option_id {
	OPTION_POOL,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_SIZE,
	OPTION_BLOCK_SIZE,
	OPTION_MAX_VOLUMES,
	OPTION_FORCE,
	OPTION_FS,
	OPTION_RO,
	OPTION_BLOCK,
	OPTION_MNTNS,
	OPTION_OPTIONS,
	OPTION_VOLUMES,
	OPTION_SNAPSHOTS,
	OPTION_JSON,
	OPTION_TAKEOVER,
	OPTION_CHECK,
	OPTION_ACCEPT,
	OPTION_BACKUP_DIR,
	OPTION_ACCESS,
	OPTION_PROPAGATION,
	OPTION_USERNS,
	OPTION_UID_MAP,
	OPTION_GID_MAP,
	OPTION_GROUP,
	OPTION_LABEL,
	OPTION_READ_BPS,
	OPTION_WRITE_BPS,
	OPTION_READ_IOPS,
	OPTION_WRITE_IOPS,
	OPTION_MAX_PUBLISHED,
	OPTION_OVERCOMMIT,
	OPTION_PUBLISH_FLAGS,
	OPTION_SECRET_FILE,
	OPTION_OLD_FILE,
	OPTION_NEW_FILE,
	OPTION_OWNER,
	OPTION_MODE,
	OPTION_EPHEMERAL,
	OPTION_FROM,
	OPTION_THICK,
	OPTION_COUNT
};

#define MAX_OPERANDS (1 + KVOL_LABELS_MAX)

struct invocation;

struct command_option {
	enum option_id id;
	const char *help;
};

struct command {
	const char *name;
	const char *operands; /* as the usage line shows them */
	unsigned min_operands, max_operands;
	bool needs_pool;
	const char *purpose;
	const struct command_option *options; /* until .help is NULL; NULL: none */
	int (*run)(struct invocation *inv);   /* gives the exit code */
};

/* A command line that has been read, and what it opened. */
struct invocation {
	const struct command *command;
	const char *operands[MAX_OPERANDS];
	unsigned n_operands;
	const char
		*options[OPTION_COUNT]; /* the value, "" for a switch, NULL: not given */
	const char *labels[KVOL_LABELS_MAX]; /* all of --label */
	unsigned n_labels;
	void (*log)(void *arg, int priority, const char *msg); /* for open_context */
	struct kvol_ctx *ctx;
	struct kvol_pool *pool;
};

/* kvolctl.c: failures are told on standard error and give the exit code to return. */
int fail(const struct kvol_error *error);
int fail_errno(int code, const char *what); /* for a bare negative errno */
int usage_error(const struct invocation *inv, const char *fmt, ...) PRINTF(2, 3);
int open_context(struct invocation *inv);
int open_pool(struct invocation *inv); /* 0, or the exit code */
/* Absolute against the current directory; links stay as they are. The caller frees it. */
int absolute_path(const char *path, char **ret_path); /* 0, or the exit code */

/* args.c */
const struct command *find_command(const char *name);
int parse_arguments(struct invocation *inv, int argc, char **argv); /* 0, or USAGE */
void print_help(const struct command *command); /* NULL: of kvolctl itself */

/* size.c */
#define SIZE_TEXT 24
int parse_size(const char *text, uint64_t *ret_bytes); /* -EINVAL, -ERANGE */
int parse_count(const char *text, uint64_t *ret_count);
const char *format_size(uint64_t bytes, char buf[SIZE_TEXT]);
/* An option's size or count, untouched if it is not given; an operand's size. 0, or
 * USAGE. */
int option_size(const struct invocation *inv, enum option_id id, uint64_t *ret_bytes);
int option_count(const struct invocation *inv, enum option_id id, uint64_t *ret_count);
int operand_size(const struct invocation *inv, unsigned index, uint64_t *ret_bytes);
/* UID:GID, and an octal mode. */
int parse_owner(const char *text, uint32_t *ret_uid, uint32_t *ret_gid); /* -EINVAL */
int parse_mode(const char *text, uint32_t *ret_mode);			 /* -EINVAL */

/* table.c: columns as wide as their widest cell on the screen. */
struct column {
	const char *title;
	bool right;
};

struct table {
	const struct column *columns;
	size_t n_columns;
	char **cells;
	size_t n_cells, n_allocated;
};

/* A cell for each column; "" shows as "-"; 0 or -ENOMEM. */
int table_add_row(struct table *table, const char *const *cells);
void table_print(const struct table *table);
void table_free(struct table *table);

/* listing.c: what an iterator gives, as a table or as JSON. */
struct listing {
	int (*next)(void *iter, void *info); /* fills info: 1, 0 at the end, or an error */
	void (*print_json)(const void *info);
	int (*add_row)(struct table *table, const void *info);
	const struct column *columns;
	size_t n_columns;
};
int print_listing(const struct invocation *inv, const struct listing *l, void *iter,
		  void *info);
size_t text_width(const char *text);

/* secret.c: what is in a file, or comes on standard input for "-"; in locked memory, which
 * the caller frees. 0, or the exit code; an option that is not given leaves it empty. */
struct secret {
	char *data; /* NULL: none */
	size_t bytes;
};
int option_secret(const struct invocation *inv, enum option_id id, struct secret *ret);
void secret_free(struct secret *secret);

/* json.c: values go straight to standard output. */
void json_open(char bracket);  /* '{' or '[' */
void json_close(char bracket); /* '}' or ']' */
void json_key(const char *key);
void json_string(const char *value);
void json_number(uint64_t value);
void json_pair_string(const char *key, const char *value);
void json_pair_number(const char *key, uint64_t value);
void json_line(void); /* a line break between values */

/* list.c: opens the pool and prints what is asked for; "MAJOR:MINOR", or "". */
int print_list(struct invocation *inv, const struct kvol_list_opts *opts);
#define DEVICE_TEXT 24
const char *format_device(uint32_t dev_major, uint32_t dev_minor, char buf[DEVICE_TEXT]);

/* publish.c */
const char *access_word(uint32_t access);
/* label.c: KEY=VALUE or KEY-, which is taken apart in place; -EINVAL: neither. */
int split_label(char *word, struct kvol_label *ret);
/* All of --label, KEY=VALUE; the caller frees them, also on failure. 0, or the exit code. */
struct labels {
	struct kvol_label items[KVOL_LABELS_MAX];
	char *words[KVOL_LABELS_MAX];
	unsigned n;
};
int option_labels(const struct invocation *inv, struct labels *ret);
void labels_free(struct labels *labels);

/* The commands. */
int run_format(struct invocation *inv);
int run_set(struct invocation *inv);
int run_pool(struct invocation *inv);
int run_deactivate(struct invocation *inv);
int run_repair(struct invocation *inv);
int run_create(struct invocation *inv);
int run_snapshot(struct invocation *inv);
int run_clone(struct invocation *inv);
int run_expand(struct invocation *inv);
int run_change_secret(struct invocation *inv);
int run_delete(struct invocation *inv);
int run_publish(struct invocation *inv);
int run_unpublish(struct invocation *inv);
int run_label(struct invocation *inv);
int run_label_pool(struct invocation *inv);
int run_labels(struct invocation *inv);
int run_publishes(struct invocation *inv);
int run_list(struct invocation *inv);
int run_template(struct invocation *inv);
int run_stat(struct invocation *inv);
int run_usage(struct invocation *inv);
int run_limit_io(struct invocation *inv);
int run_show(struct invocation *inv);
int run_why(struct invocation *inv);

#endif
