/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvolctl: the library's verbs, one per command line.
 *
 * This file owns the process: standard descriptors, exit codes and the lines on standard
 * error. 0 is success, 1 a refused or failed operation with the one line "kvolctl: MSG
 * (REASON)", 2 bad usage. Operands and sizes are checked before anything is opened, so
 * that bad usage never touches a pool. kvolctl keeps no state: a killed one leaves what
 * the library's contract says.
 *
 * It uses the public header and libc only, and must stay so: it is the proof that the
 * header is enough.
 */

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvolctl.h"

int fail(const struct kvol_error *error)
{
	fprintf(stderr, "kvolctl: %s (%s)\n", error->msg, kvol_reason_str(error->reason));
	return FAILED;
}

int fail_errno(int code, const char *what)
{
	struct kvol_error error = { .code = code, .reason = KVOL_R_SYSTEM };

	if (code == -EIO)
		error.reason = KVOL_R_IO;
	else if (code == -EUCLEAN)
		error.reason = KVOL_R_CORRUPT;
	else if (code == -ETIMEDOUT)
		error.reason = KVOL_R_TIMEOUT;
	(void)snprintf(error.msg, sizeof(error.msg), "%s: %s", what, strerror(-code));
	return fail(&error);
}

int usage_error(const struct invocation *inv, const char *fmt, ...)
{
	va_list args;

	fputs("kvolctl: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nTry 'kvolctl %s%s--help'.\n",
		inv->command ? inv->command->name : "", inv->command ? " " : "");
	return USAGE;
}

int open_context(struct invocation *inv)
{
	struct kvol_ctx_opts opts = { .size = sizeof(opts),
				      .log = inv->log,
				      .host_id = getenv("KVOL_HOST_ID") };
	struct kvol_error error;

	if (kvol_new(&opts, &inv->ctx, &error) < 0)
		return fail(&error);
	return DONE;
}

int open_pool(struct invocation *inv)
{
	struct kvol_open_opts opts = { .size = sizeof(opts) };
	const char *name = inv->options[OPTION_POOL];
	struct kvol_error error;
	char *path = NULL;
	int code = open_context(inv);
	int r;

	/* The library keeps a path to show it to others, who have another current
	 * directory. */
	if (code == DONE && strchr(name, '/'))
		code = absolute_path(name, &path);
	if (code)
		return code;
	if (inv->options[OPTION_TAKEOVER])
		opts.flags |= KVOL_OPEN_TAKEOVER;
	r = kvol_pool_open(inv->ctx, path ? path : name, &opts, &inv->pool, &error);
	free(path);
	return r < 0 ? fail(&error) : DONE;
}

/* Takes out empty components and ".", which a shell's completion or "." itself leave;
 * ".." stays, because what it means depends on links. */
static void tidy_path(char *path)
{
	char *to = path, *from = path;

	while (*from) {
		size_t n = strcspn(from, "/");

		if (n && !(n == 1 && *from == '.')) {
			*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n + (from[n] == '/');
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

int absolute_path(const char *path, char **ret_path)
{
	char *cwd, *joined;

	if (*path == '/') {
		joined = strdup(path);
		if (!joined)
			return fail_errno(-ENOMEM, path);
		tidy_path(joined);
		*ret_path = joined;
		return DONE;
	}
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return fail_errno(-errno, "the current directory");
	if (*cwd != '/') { /* outside of the root directory */
		free(cwd);
		return fail_errno(-ENOENT, "the current directory");
	}
	if (asprintf(&joined, "%s/%s", cwd, path) < 0)
		joined = NULL;
	free(cwd);
	if (!joined)
		return fail_errno(-ENOMEM, path);
	tidy_path(joined);
	*ret_path = joined;
	return DONE;
}

/* A closed standard descriptor would be given to the next file that is opened: a disk,
 * maybe, and then be printed to. What takes its place here refuses to be written. */
static int hold_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY); /* not close-on-exec: 0 to 2 stay */
		if (fd < 0)
			return -1;
	} while (fd <= STDERR_FILENO);
	return close(fd);
}

/* Names are UTF-8 whatever the locale is; only widths are asked of it. */
static void use_utf8(void)
{
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8");
}

static bool is_command(const struct invocation *inv, const char *name)
{
	return inv->command && strcmp(inv->command->name, name) == 0;
}

static int run_help(const struct invocation *inv)
{
	const struct command *about = inv->command;

	if (is_command(inv, "help") && (inv->n_operands || !inv->options[OPTION_HELP]))
		about = inv->n_operands ? find_command(inv->operands[0]) : NULL;
	if (inv->n_operands && !about)
		return usage_error(inv, "unknown command: %s", inv->operands[0]);
	print_help(about);
	return DONE;
}

static int run(struct invocation *inv)
{
	const struct command *command = inv->command;

	if (inv->options[OPTION_HELP] || is_command(inv, "help"))
		return run_help(inv);
	if (inv->options[OPTION_VERSION] || is_command(inv, "version")) {
		printf("kvolctl %d.%d.%d (libkvol %s)\n", KVOL_VERSION_MAJOR,
		       KVOL_VERSION_MINOR, KVOL_VERSION_PATCH, kvol_version());
		return DONE;
	}
	if (!command)
		return usage_error(inv, "no command given");
	if (command->needs_pool) {
		if (!inv->options[OPTION_POOL])
			inv->options[OPTION_POOL] = getenv("KVOL_POOL");
		if (!inv->options[OPTION_POOL] || !*inv->options[OPTION_POOL])
			return usage_error(inv,
					   "no pool given: use -p POOL or set KVOL_POOL");
	}
	return command->run(inv);
}

/* What was printed must have arrived, or a reader takes half for the whole. */
static int finish_output(void)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fclose(stdout) == 0 && !failed)
		return DONE;
	return fail_errno(errno ? -errno : -EIO, "standard output");
}

int main(int argc, char **argv)
{
	struct invocation inv = { 0 };
	int code;

	if (hold_standard_descriptors() < 0)
		return FAILED;
	(void)signal(SIGPIPE, SIG_IGN); /* a broken pipe is a failed write like others */
	use_utf8();
	code = parse_arguments(&inv, argc, argv);
	if (code == DONE)
		code = run(&inv);
	kvol_pool_close(inv.pool);
	kvol_free(inv.ctx);
	return code == DONE ? finish_output() : code;
}
