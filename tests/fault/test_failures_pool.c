/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Contexts and pools with each of their steps failing, on the model: making, opening,
 * describing, closing and deactivating them, and recovery.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failures.h"
#include "verb.h"

#define ANY_POOL "pool 'tank'|'tank': |/pool.img'|device-mapper: |run directory '"

/* --- Disks and boots --- */

static void empty_pool(struct fixture *f)
{
	(void)f;
}

static void some_volumes(struct fixture *f)
{
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_create(f->pool, "raw", 64 * MIB, NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	model_file("/v", S_IFDIR);
}

static int create_x(struct kvol_pool *pool, void *arg)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };

	(void)arg;
	return kvol_create(pool, "x", 512 * MIB, &o, NULL);
}

static int delete_raw(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_delete(pool, "raw", 0, NULL);
}

static int snapshot_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_snapshot(pool, "v", "x", NULL, NULL);
}

static int expand_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_expand(pool, "v", 600 * MIB, 0, NULL);
}

static void publish_v(struct fixture *f)
{
	open_pool(f);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
}

static void nothing(struct fixture *f)
{
	(void)f;
}

static void active(struct fixture *f)
{
	open_pool(f);
	close_pool(f);
}

static void open_here(struct fixture *f)
{
	open_pool(f);
}

static void open_elsewhere(struct fixture *f)
{
	open_pool(f);
	other_pool = f->pool;
	f->pool = NULL;
}

/* All that killed processes can leave: a thin device without a row, a tombstone, a frozen
 * origin, a mark, epochs one apart. The kernel is still the one that it was. */
static void left_by_the_dead(struct fixture *f)
{
	publish_v(f);
	killed_at(f, "message delete", 1, delete_raw, NULL);
	killed_at(f, "commit", 2, create_x, NULL);
	killed_at(f, "dm load", 1, expand_v, NULL);
	killed_at(f, "message create_snap", 1, snapshot_v, NULL);
	close_pool(f);
	model_umount(NULL, "/v");
}

/* The same, and then the power went. */
static void left_by_a_power_cut(struct fixture *f)
{
	left_by_the_dead(f);
	model_power_cut();
}

static void published(struct fixture *f)
{
	publish_v(f);
}

/* Unmounted behind our back: the device is still active, and the record there. */
static void unmounted(struct fixture *f)
{
	publish_v(f);
	model_umount(NULL, "/v");
}

static void ids_taken(struct fixture *f)
{
	open_pool(f);
	succeeds(f, kvol_create(f->pool, "a", MIB, NULL, &f->e));
	succeeds(f, kvol_delete(f->pool, "a", 0, &f->e));
}

static void blank_file(struct fixture *f)
{
	int fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && ftruncate(fd, POOL_BYTES) == 0);
	(void)close(fd);
}

static void no_file(struct fixture *f)
{
	(void)unlink(f->path);
}

static void strangers_file(struct fixture *f)
{
	int fd;

	blank_file(f);
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && pwrite(fd, "SIG:xfs", 7, 0) == 7);
	(void)close(fd);
}

/* --- Calls --- */

static int call_new(struct fixture *f)
{
	struct kvol_ctx_opts o = { .size = sizeof(o), .run_dir = f->run_dir };
	struct kvol_ctx *ctx;
	int r;

	memset(&ctx, PATTERN, sizeof(ctx));
	r = kvol_new(&o, &ctx, &f->e);
	if (r < 0 && touched(&ctx, sizeof(ctx)))
		flaw("the output is touched");
	if (r == 0)
		kvol_free(ctx);
	return r;
}

static int format(struct fixture *f, uint64_t file_bytes, uint32_t flags)
{
	struct kvol_format_opts o = {
		.size = sizeof(o),
		.flags = flags,
		.file_bytes = file_bytes,
		.max_volumes = MAX_VOLUMES,
	};

	return kvol_pool_format(f->ctx, POOL_NAME, f->path, &o, &f->e);
}

static int call_format_file(struct fixture *f)
{
	int r = format(f, POOL_BYTES, 0);

	if (r < 0 && access(f->path, F_OK) == 0)
		flaw("the file is left");
	return r;
}

static int call_format(struct fixture *f)
{
	return format(f, 0, 0);
}

static int call_format_force(struct fixture *f)
{
	return format(f, 0, KVOL_FORMAT_FORCE);
}

static int open_by(struct fixture *f, const char *path)
{
	struct kvol_pool *pool;
	int r;

	close_pool(f); /* when it is repeated */
	memset(&pool, PATTERN, sizeof(pool));
	r = kvol_pool_open(f->ctx, path, NULL, &pool, &f->e);
	if (r == 0)
		f->pool = pool;
	else if (touched(&pool, sizeof(pool)))
		flaw("the output is touched");
	return r;
}

static int call_open(struct fixture *f)
{
	return open_by(f, f->path);
}

static int call_open_by_name(struct fixture *f)
{
	return open_by(f, POOL_NAME);
}

static int call_deactivate(struct fixture *f)
{
	int r = kvol_pool_deactivate(f->pool, &f->e);

	if (r == 0 && (model_n_devs() || model_n_loops()))
		flaw("it gave 0, and %u devices are active", model_n_devs());
	return r;
}

static int call_close(struct fixture *f)
{
	kvol_pool_close(f->pool);
	f->pool = NULL;
	return 0;
}

static int call_pool_stat(struct fixture *f)
{
	struct kvol_pool_info info;
	int r;

	memset(&info, PATTERN, sizeof(info));
	info.size = sizeof(info);
	r = kvol_pool_stat(f->pool, &info, &f->e);
	if (r < 0 && touched(&info.flags, sizeof(info) - sizeof(info.size)))
		flaw("the output is touched");
	if (r == 0 && (info.n_volumes != 2 || info.n_snapshots != 1 || info.flags ||
		       strcmp(info.name, POOL_NAME)))
		flaw("it tells something else");
	return r;
}

static const struct scenario scenarios[] = {
	{ "new", "kvol_new", NULL, no_file, .call = call_new },
	{ "format a new file", ANY_POOL, NULL, no_file, .call = call_format_file },
	{ "format a blank file", ANY_POOL, NULL, blank_file, .call = call_format },
	{ "format a stranger's file", ANY_POOL, NULL, strangers_file, .call = call_format,
	  .result = -EEXIST },
	{ "format a stranger's file all the same", ANY_POOL, NULL, strangers_file,
	  .call = call_format_force, .between = "mount" },
	{ "format again", ANY_POOL, empty_pool, nothing, .call = call_format },
	{ "format again an active pool", ANY_POOL, empty_pool, active,
	  .call = call_format },
	{ "format again an open pool", ANY_POOL, empty_pool, open_here,
	  .call = call_format },
	{ "format anew", ANY_POOL, some_volumes, nothing, .call = call_format_force,
	  .between = "mount" },
	{ "format anew an active pool", ANY_POOL, some_volumes, active,
	  .call = call_format_force, .result = -EBUSY },
	{ "open", ANY_POOL, some_volumes, nothing, .call = call_open },
	{ "open an active pool", ANY_POOL, some_volumes, active, .call = call_open },
	{ "open an active pool by name", ANY_POOL, some_volumes, active,
	  .call = call_open_by_name },
	{ "open an open pool", ANY_POOL, some_volumes, open_elsewhere,
	  .call = call_open },
	{ "open what the dead left", ANY_POOL, some_volumes, left_by_the_dead,
	  .call = call_open },
	{ "open after a power cut", ANY_POOL, some_volumes, left_by_a_power_cut,
	  .call = call_open },
	{ "pool_stat", ANY_POOL, some_volumes, open_here, .call = call_pool_stat },
	{ "deactivate", ANY_POOL, some_volumes, open_here, .call = call_deactivate },
	{ "deactivate with ids", ANY_POOL, some_volumes, ids_taken,
	  .call = call_deactivate },
	{ "deactivate with a device", ANY_POOL "|volume 'v'", some_volumes, unmounted,
	  .call = call_deactivate },
	{ "deactivate with a publish", ANY_POOL "|volume 'v'", some_volumes, published,
	  .call = call_deactivate, .result = -EBUSY },
	{ "close", ANY_POOL, some_volumes, open_here, .call = call_close,
	  .no_repeat = true },
	{ "close with ids", ANY_POOL, some_volumes, ids_taken, .call = call_close,
	  .no_repeat = true },
};

int main(void)
{
	return run_scenarios("failures of pools", scenarios, KV_ARRAY_SIZE(scenarios));
}
