// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Random calls of the public functions, sensible and not, on one pool: what each answers,
 * and what the listing, the pool and every target's count are after it. Names and targets
 * are few, so that the calls meet each other.
 *
 * Usage: script SEED STEPS DIR. Prints one line for each call and one for each volume.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <kvol/kvol.h>

#include "machine.h"

#define MIB(n)	   ((uint64_t)(n) << 20)
#define POOL_BYTES MIB(1024)
#define VOLUMES	   300
#define N_OF(a)	   (sizeof(a) / sizeof((a)[0]))

static struct kvol_ctx *ctx;
static struct kvol_pool *pool;
static unsigned step;

static const char *const names[] = { "a", "b", "c", "snap", "../d", "" };
static const char *const targets[] = { "dir1", "dir2", "file1", "file2", "link", "none" };

/* What a call answered: compared are its code and its reason. */
static void tell(const char *what, int r, const struct kvol_error *e)
{
	printf("%u %s: %s %s\n", step, what, result(r),
	       r < 0 ? kvol_reason_str(e->reason) : "");
}

/* The first two of three in names that are valid are the usual ones. */
static const char *some_name(void)
{
	return names[dice(12) ? dice(4) : dice(N_OF(names))];
}

static const char *some_target(void)
{
	return targets[dice(6) ? dice(4) : dice(N_OF(targets))];
}

/* --- What there is ---------------------------------------------------------------- */

static void show_pool(void)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error e;
	int r = kvol_pool_stat(pool, &info, &e);

	if (r < 0) {
		printf("  pool %s %s\n", result(r), kvol_reason_str(e.reason));
		return;
	}
	printf("  pool %s flags %" PRIx32 " data %" PRIu64 " metadata %" PRIu64
	       " block %" PRIu64 " volumes %" PRIu64 " snapshots %" PRIu64 " max %" PRIu64
	       " left %" PRIu64 "\n",
	       info.name, info.flags, info.data_bytes, info.metadata_bytes,
	       info.block_bytes, info.n_volumes, info.n_snapshots, info.max_volumes,
	       info.snapshots_left);
}

static void show_all(void)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	struct kvol_error e;
	int r;

	if (!pool)
		return;
	show_pool();
	r = kvol_list(pool, 0, &iter, &e);
	if (r < 0) {
		printf("  list %s %s\n", result(r), kvol_reason_str(e.reason));
		return;
	}
	while ((r = kvol_iter_next(iter, &info)) > 0)
		printf("  %s kind %" PRIu32 " bytes %" PRIu64
		       " source '%s' fs '%s' targets %" PRIu64 " %s\n",
		       info.name, info.kind, info.bytes, info.source, info.fs_type,
		       (uint64_t)info.n_targets, *info.device ? "active" : "inactive");
	if (r < 0)
		printf("  next %s\n", result(r));
	kvol_iter_free(iter);
}

/* --- Verbs ------------------------------------------------------------------------ */

static uint64_t some_bytes(void)
{
	static const uint64_t sizes[] = { MIB(16), MIB(16),	MIB(32),
					  MIB(48), MIB(16) - 1, MIB(2),
					  1,	   0,		UINT64_MAX };

	return sizes[dice(5) ? dice(4) : dice(N_OF(sizes))];
}

static const char *some_fs(void)
{
	switch (dice(8)) {
	case 0:
		return "ext4";
	case 1:
		return dice(3) ? "" : "vfat";
	}
	return NULL;
}

static void create(void)
{
	struct kvol_create_opts opts = { .size = sizeof(opts), .fs_type = some_fs() };
	const char *name = some_name();
	const uint64_t bytes = some_bytes();
	struct kvol_error e;
	char what[96];
	int r;

	if (dice(30) == 0)
		opts.flags = 1u << 31;
	r = kvol_create(pool, name, bytes, &opts, &e);
	(void)snprintf(what, sizeof(what), "create '%s' %" PRIu64 " %s", name, bytes,
		       opts.fs_type ? opts.fs_type : "-");
	tell(what, r, &e);
}

static void copy(void)
{
	struct kvol_create_opts opts = { .size = sizeof(opts) };
	const char *from = some_name(), *to = some_name();
	const bool snapshot = dice(2);
	struct kvol_error e;
	char what[96];
	int r;

	if (dice(3) == 0)
		opts.bytes = some_bytes();
	r = snapshot ? kvol_snapshot(pool, from, to, NULL, &e)
		     : kvol_clone(pool, from, to, &opts, &e);
	(void)snprintf(what, sizeof(what), "%s '%s' '%s' %" PRIu64,
		       snapshot ? "snapshot" : "clone", from, to, opts.bytes);
	tell(what, r, &e);
}

static void expand(void)
{
	const char *name = some_name();
	const uint64_t bytes = some_bytes();
	struct kvol_error e;
	char what[96];

	(void)snprintf(what, sizeof(what), "expand '%s' %" PRIu64, name, bytes);
	tell(what, kvol_expand(pool, name, bytes, 0, &e), &e);
}

static void delete (void)
{
	const char *name = some_name();
	struct kvol_error e;
	char what[96];

	(void)snprintf(what, sizeof(what), "delete '%s'", name);
	tell(what, kvol_delete(pool, name, 0, &e), &e);
}

static const char *some_options(void)
{
	static const char *const lists[] = { "ro", "noatime,nodev", "rw", "no-such",
					     "ro,rw" };

	return dice(3) ? NULL : lists[dice(N_OF(lists))];
}

static void publish(void)
{
	struct kvol_publish_opts opts = { .size = sizeof(opts) };
	const char *name = some_name(), *target = some_target();
	const bool file = !strncmp(target, "file", 4);
	struct kvol_error e;
	char what[128];
	int r;

	if (dice(10) ? file : !file)
		opts.flags |= KVOL_PUBLISH_BLOCK;
	if (dice(4) == 0)
		opts.flags |= KVOL_PUBLISH_READONLY;
	if (dice(30) == 0)
		opts.mount_namespace = "/proc/0/ns/mnt";
	opts.mount_options = some_options();
	r = kvol_publish(pool, name, machine_path(target), &opts, &e);
	(void)snprintf(what, sizeof(what), "publish '%s' %s %" PRIx32 " %s", name, target,
		       opts.flags, opts.mount_options ? opts.mount_options : "-");
	tell(what, r, &e);
}

static void unpublish(void)
{
	const char *name = some_name(), *target = some_target();
	struct kvol_error e;
	char what[96];

	(void)snprintf(what, sizeof(what), "unpublish '%s' %s", name, target);
	tell(what, kvol_unpublish(pool, name, machine_path(target), NULL, &e), &e);
}

static void look(void)
{
	struct kvol_info info = { .size = sizeof(info) };
	const char *name = some_name();
	struct kvol_error e;
	char what[96];

	(void)snprintf(what, sizeof(what), "stat '%s'", name);
	tell(what, kvol_stat(pool, name, &info, &e), &e);
}

/* --- The pool --------------------------------------------------------------------- */

static void open_pool(void)
{
	struct kvol_error e;
	int r = kvol_pool_open(ctx, machine_path("disk"), NULL, &pool, &e);

	tell("open", r, &e);
	need(r == 0, r < 0 ? e.msg : "");
}

/* Another handle, which is in the way of a deactivation. */
static void reopen(void)
{
	struct kvol_pool *other = NULL;
	struct kvol_error e;

	if (dice(3) == 0)
		tell("open again",
		     kvol_pool_open(ctx, dice(2) ? "tank" : machine_path("disk"), NULL,
				    &other, &e),
		     &e);
	if (dice(2))
		tell("deactivate", kvol_pool_deactivate(pool, &e), &e);
	kvol_pool_close(other);
	kvol_pool_close(pool);
	open_pool();
}

static void format(void)
{
	struct kvol_format_opts opts = { .size = sizeof(opts),
					 .file_bytes = POOL_BYTES,
					 .max_volumes = VOLUMES };
	struct kvol_error e;

	if (step && dice(2))
		opts.max_volumes = VOLUMES * 2;
	tell("format",
	     kvol_pool_format(ctx, step && dice(3) == 0 ? "other" : "tank",
			      machine_path("disk"), &opts, &e),
	     &e);
}

static void set_up(void)
{
	struct kvol_ctx_opts opts = { .size = sizeof(opts),
				      .run_dir = machine_path("run") };
	struct kvol_error e;

	machine_make_directory("dir1");
	machine_make_directory("dir2");
	machine_make_file("file1");
	machine_make_file("file2");
	machine_make_link("link");
	opts.run_dir = machine_path("run");
	need(kvol_new(&opts, &ctx, &e) == 0, "kvol_new");
	format();
	open_pool();
}

static void tear_down(void)
{
	struct kvol_error e;

	for (size_t i = 0; i < 4; i++) {
		for (size_t k = 0; k < 4; k++)
			(void)kvol_unpublish(pool, names[i], machine_path(targets[k]),
					     NULL, &e);
		tell("delete at the end", kvol_delete(pool, names[i], 0, &e), &e);
	}
	show_all();
	tell("deactivate", kvol_pool_deactivate(pool, &e), &e);
	kvol_pool_close(pool);
	kvol_free(ctx);
}

int main(int argc, char **argv)
{
	static void (*const verbs[])(void) = {
		create,	 create,    create,    copy,	  copy,	   expand,
		delete,	 look,	    publish,   publish,	  publish, publish,
		publish, unpublish, unpublish, unpublish, reopen,  format,
	};
	unsigned steps;

	need(argc == 4, "usage: script SEED STEPS DIR");
	dice_seed(strtoull(argv[1], NULL, 0));
	steps = (unsigned)strtoul(argv[2], NULL, 0);
	machine_start(argv[3]);
	set_up();
	for (step = 1; step <= steps; step++) {
		verbs[dice(N_OF(verbs))]();
		show_all();
	}
	tear_down();
	machine_end();
	return 0;
}
