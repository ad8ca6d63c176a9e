/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Contexts and pools with each of their steps failing, on the model: making, opening,
 * describing, closing and deactivating them, and recovery.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failures.h"
#include "thinmeta.h"
#include "verb.h"

#define ANY_POOL "pool 'tank'|'tank': |/pool.img'|device-mapper: |run directory '"

/* --- Disks and boots -------------------------------------------------------------- */

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

/* Goes on as this host. */
static void become(struct fixture *f, const char *host_id)
{
	struct kvol_ctx_opts o = { .size = sizeof(o),
				   .run_dir = f->run_dir,
				   .host_id = host_id };

	kvol_free(f->ctx);
	f->ctx = NULL;
	succeeds(f, kvol_new(&o, &f->ctx, &f->e));
}

/* A disk that host "a" had when its power went. */
static void another_hosts(struct fixture *f)
{
	some_volumes(f);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	become(f, "a");
	open_pool(f);
	close_pool(f);
	model_power_cut();
	become(f, "b");
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

/* --- Repair: what is wrong with the disk ------------------------------------------ */

static char backup[2 * MODEL_PATH];

/* Empty again at each boot. */
static void with_backup(struct fixture *f)
{
	(void)f;
	(void)snprintf(backup, sizeof(backup), "%s/backup", model->dir);
	model_remove_all(backup);
	assert_int_equal(mkdir(backup, 0700), 0);
}

static void needs_check(struct fixture *f)
{
	with_backup(f);
	disk_of(f)->metadata.needs_check = true;
}

/* Garbage over some block of what stands for the metadata's device. */
static void damaged(struct fixture *f)
{
	static const char garbage[KV_THINMETA_BLOCK] = "garbage";
	_cleanup_close_ int fd = -1;
	char path[2 * MODEL_PATH];

	with_backup(f);
	(void)snprintf(path, sizeof(path), "%s/disk%d/metadata", model->dir,
		       (int)(disk_of(f) - model->disks));
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	model_render(disk_of(f), fd);
	assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 2 * sizeof(garbage)),
			 sizeof(garbage));
	disk_of(f)->metadata_damaged = true;
}

/* A catalogue of another day. */
static void of_two_times(struct fixture *f)
{
	some_volumes(f);
	doctor(f, "UPDATE pool SET epoch = epoch - 2, next_id = 0");
}

/* --- Calls ------------------------------------------------------------------------ */

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

static int open_by(struct fixture *f, const char *path, const struct kvol_open_opts *o)
{
	struct kvol_pool *pool;
	int r;

	close_pool(f); /* when it is repeated */
	memset(&pool, PATTERN, sizeof(pool));
	r = kvol_pool_open(f->ctx, path, o, &pool, &f->e);
	if (r == 0)
		f->pool = pool;
	else if (touched(&pool, sizeof(pool)))
		flaw("the output is touched");
	return r;
}

static int call_open(struct fixture *f)
{
	return open_by(f, f->path, NULL);
}

static int call_take_over(struct fixture *f)
{
	struct kvol_open_opts o = { .size = sizeof(o), .flags = KVOL_OPEN_TAKEOVER };

	return open_by(f, f->path, &o);
}

static int call_open_by_name(struct fixture *f)
{
	return open_by(f, POOL_NAME, NULL);
}

static int call_deactivate(struct fixture *f)
{
	int r = kvol_pool_deactivate(f->pool, &f->e);

	if (r == 0 && (model_n_devs() || model_n_loops()))
		flaw("it gave 0, and %u devices are active", model_n_devs());
	return r;
}

static int repair(struct fixture *f, uint32_t flags, bool somewhere, uint32_t found,
		  uint32_t mended)
{
	struct kvol_repair_opts o = { .size = sizeof(o),
				      .flags = flags,
				      .backup_dir = somewhere ? backup : NULL };
	struct kvol_repair_info info;
	int r;

	memset(&info, PATTERN, sizeof(info));
	info.size = sizeof(info);
	r = kvol_pool_repair(f->ctx, f->path, &o, &info, &f->e);
	if (r < 0 && touched(&info.flags, sizeof(info) - sizeof(info.size)))
		flaw("the output is touched");
	/* What an earlier call has mended is no more. */
	if (r == 0 && ((info.found & ~found) || (info.mended & ~mended) ||
		       info.found != info.mended))
		flaw("it tells something else: found %x, mended %x", info.found,
		     info.mended);
	return r;
}

static int call_repair_sound(struct fixture *f)
{
	return repair(f, 0, false, 0, 0);
}

static int call_repair_needs_check(struct fixture *f)
{
	return repair(f, 0, true, KVOL_FAULT_NEEDS_CHECK, KVOL_FAULT_NEEDS_CHECK);
}

static int call_repair_damaged(struct fixture *f)
{
	return repair(f, 0, true, KVOL_FAULT_METADATA, KVOL_FAULT_METADATA);
}

static int call_repair_epoch(struct fixture *f)
{
	return repair(f, KVOL_REPAIR_ACCEPT, true, KVOL_FAULT_EPOCH, KVOL_FAULT_EPOCH);
}

static int call_repair_taken_over(struct fixture *f)
{
	return repair(f, KVOL_REPAIR_TAKEOVER, false, 0, 0);
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

static struct kvol_ctx *spare;

static void another_context(struct fixture *f)
{
	kvol_free(spare);
	spare = NULL;
	succeeds(f, kvol_new(NULL, &spare, &f->e));
}

static int call_free(struct fixture *f)
{
	(void)f;
	kvol_free(spare);
	spare = NULL;
	return 0;
}

static int call_strings(struct fixture *f)
{
	(void)f;
	return kvol_version() && kvol_reason_str(KVOL_R_IO) ? 0 : -EINVAL;
}

static const struct scenario scenarios[] = {
	{ "new", "kvol_new", "kvol_new", NULL, no_file, .call = call_new },
	{ "format a new file", "kvol_pool_format", ANY_POOL, NULL, no_file,
	  .call = call_format_file },
	{ "format a blank file", "kvol_pool_format", ANY_POOL, NULL, blank_file,
	  .call = call_format },
	{ "format a stranger's file", "kvol_pool_format", ANY_POOL, NULL, strangers_file,
	  .call = call_format, .result = -EEXIST },
	{ "format a stranger's file all the same", "kvol_pool_format", ANY_POOL, NULL,
	  strangers_file, .call = call_format_force, .between = "mount" },
	{ "format again", "kvol_pool_format", ANY_POOL, empty_pool, nothing,
	  .call = call_format },
	{ "format again an active pool", "kvol_pool_format", ANY_POOL, empty_pool, active,
	  .call = call_format },
	{ "format again an open pool", "kvol_pool_format", ANY_POOL, empty_pool,
	  open_here, .call = call_format },
	{ "format anew", "kvol_pool_format", ANY_POOL, some_volumes, nothing,
	  .call = call_format_force, .between = "mount" },
	{ "format anew an active pool", "kvol_pool_format", ANY_POOL, some_volumes,
	  active, .call = call_format_force, .result = -EBUSY },
	{ "open", "kvol_pool_open", ANY_POOL, some_volumes, nothing, .call = call_open },
	{ "open an active pool", "kvol_pool_open", ANY_POOL, some_volumes, active,
	  .call = call_open },
	{ "open an active pool by name", "kvol_pool_open", ANY_POOL, some_volumes, active,
	  .call = call_open_by_name },
	{ "open an open pool", "kvol_pool_open", ANY_POOL, some_volumes, open_elsewhere,
	  .call = call_open },
	{ "open what the dead left", "kvol_pool_open", ANY_POOL, some_volumes,
	  left_by_the_dead, .call = call_open },
	{ "open after a power cut", "kvol_pool_open", ANY_POOL, some_volumes,
	  left_by_a_power_cut, .call = call_open },
	{ "pool_stat", "kvol_pool_stat", ANY_POOL, some_volumes, open_here,
	  .call = call_pool_stat },
	{ "deactivate", "kvol_pool_deactivate", ANY_POOL, some_volumes, open_here,
	  .call = call_deactivate },
	{ "deactivate with ids", "kvol_pool_deactivate", ANY_POOL, some_volumes,
	  ids_taken, .call = call_deactivate },
	{ "deactivate with a device", "kvol_pool_deactivate", ANY_POOL "|volume '",
	  some_volumes, unmounted, .call = call_deactivate },
	{ "deactivate with a publish", "kvol_pool_deactivate", ANY_POOL "|volume '",
	  some_volumes, published, .call = call_deactivate, .result = -EBUSY },
	{ "close", "kvol_pool_close", ANY_POOL, some_volumes, open_here,
	  .call = call_close, .no_repeat = true },
	{ "close with ids", "kvol_pool_close", ANY_POOL, some_volumes, ids_taken,
	  .call = call_close, .no_repeat = true },
	{ "take over", "kvol_pool_open", ANY_POOL, another_hosts, nothing,
	  .call = call_take_over },
	{ "repair a sound pool", "kvol_pool_repair", ANY_POOL, some_volumes, nothing,
	  .call = call_repair_sound },
	{ "repair what needs a check", "kvol_pool_repair", ANY_POOL, some_volumes,
	  needs_check, .call = call_repair_needs_check },
	{ "repair damaged metadata", "kvol_pool_repair", ANY_POOL, some_volumes, damaged,
	  .call = call_repair_damaged },
	{ "repair a catalogue of another time", "kvol_pool_repair", ANY_POOL,
	  of_two_times, with_backup, .call = call_repair_epoch },
	{ "repair and take over", "kvol_pool_repair", ANY_POOL, another_hosts, nothing,
	  .call = call_repair_taken_over },
	{ "free", "kvol_free", "", NULL, another_context, .call = call_free,
	  .cannot_fail = true },
	{ "version", "kvol_version", "", NULL, no_file, .call = call_strings,
	  .cannot_fail = true },
	{ "reason_str", "kvol_reason_str", "", NULL, no_file, .call = call_strings,
	  .cannot_fail = true },
};

const struct group pool_failures = { "failures of pools", scenarios,
				     KV_ARRAY_SIZE(scenarios) };
