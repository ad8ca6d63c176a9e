// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Disks that go bad while a pool on them is in use: every verb meets every fault. It
 * refuses with its reason, what is on the disk can still be read and unpublished, nothing
 * freezes, and when the disk is well again everything that was acknowledged is there, and
 * nothing that had failed.
 *
 * A slice that fails writes also fails the flushes of the whole disk, for device-mapper
 * sends them everywhere; one that is dead lets them pass. So commits fail in both ways:
 * at their writes, and at their flush with the writes done.
 */
#include <unistd.h>

#include "scene.h"

#define POOL_BYTES MIB(512)

static unsigned cells;
static bool all_cells;

struct fault {
	const char *name;
	enum disk_fault parts[DISK_PARTS];
	bool alike; /* the short form takes every ninth verb, else every fourth */
	unsigned makes, copies_live, expands, publishes, deletes; /* answers */
	unsigned publishes_snapshot;
};

/* Flushes fail: a message's commit needs one, a mount perhaps. */
#define FLUSH_FAILS                                                      \
	.makes = A_CHECK | A_IO, .copies_live = A_CHECK | A_IO,          \
	.expands = A_CHECK | A_IO, .publishes = A_OK | A_IO | A_CORRUPT, \
	.publishes_snapshot = A_OK | A_IO, .deletes = A_CHECK | A_IO

static const struct fault faults[] = {
	{ "flushes fail", .parts = { [DISK_SPARE] = DISK_ERROR_WRITES }, FLUSH_FAILS },
	{ "metadata fails writes", .parts = { [DISK_METADATA] = DISK_ERROR_WRITES },
	  .alike = true, FLUSH_FAILS },
	{ "catalogue fails writes", .parts = { [DISK_CATALOGUE] = DISK_ERROR_WRITES },
	  .alike = true, FLUSH_FAILS },
	{ "data fails writes", .parts = { [DISK_DATA] = DISK_ERROR_WRITES },
	  .alike = true, FLUSH_FAILS },
	{ "metadata is dead",
	  .parts = { [DISK_SUPERBLOCK] = DISK_DEAD, [DISK_METADATA] = DISK_DEAD },
	  .makes = A_RO | A_IO, .copies_live = A_RO | A_IO,
	  /* Nothing of the thin pool's is needed but for blocks that are not mapped. */
	  .expands = A_OK | A_IO | A_RO | A_CORRUPT,
	  .publishes = A_OK | A_IO | A_RO | A_CORRUPT,
	  .publishes_snapshot = A_OK | A_IO | A_RO, .deletes = A_OK | A_RO },
	{ "catalogue is dead", .parts = { [DISK_CATALOGUE] = DISK_DEAD }, .makes = A_IO,
	  .copies_live = A_IO, .expands = A_IO, .publishes = A_OK | A_IO,
	  .publishes_snapshot = A_OK, .deletes = A_IO },
	{ "data is dead", .parts = { [DISK_DATA] = DISK_DEAD }, .makes = A_OK | A_IO,
	  .copies_live = A_OK | A_IO, .expands = A_OK | A_IO | A_CORRUPT,
	  .publishes = A_OK | A_IO | A_CORRUPT,
	  .publishes_snapshot = A_OK | A_IO | A_CORRUPT, .deletes = A_OK },
	{ "all is dead",
	  .parts = { DISK_DEAD, DISK_DEAD, DISK_DEAD, DISK_DEAD, DISK_DEAD },
	  .alike = true, .makes = A_IO | A_RO, .copies_live = A_IO | A_RO,
	  .expands = A_IO | A_RO, .publishes = A_OK | A_IO | A_RO | A_CORRUPT,
	  .publishes_snapshot = A_OK | A_IO | A_RO | A_CORRUPT, .deletes = A_IO | A_RO },
};

static unsigned allowed(const struct fault *f, enum verb v)
{
	switch (v) {
	case CREATE_RAW:
	case CREATE_FS:
	case SNAPSHOT_IDLE:
	case CLONE:
		return f->makes;
	case SNAPSHOT_LIVE:
		return f->copies_live;
	case EXPAND_RAW:
	case EXPAND_IDLE:
	case EXPAND_LIVE:
		return f->expands;
	case PUBLISH:
		return f->publishes;
	case PUBLISH_SNAPSHOT:
		return f->publishes_snapshot;
	case PUBLISH_BLOCK:
		return A_OK | (f->publishes & A_RO);
	case DELETE:
	case DELETE_SNAPSHOT:
		return f->deletes;
	default:
		return A_OK;
	}
}

/* What the kernel wrote down stands in the way until somebody checked. */
static void check_if_needed(void)
{
	if (!(pool_info().flags & KVOL_POOL_NEEDS_CHECK))
		return;
	assert_kvol(kvol_create(pool, "new", MIB(8), NULL, &err), -EROFS,
		    KVOL_R_POOL_NEEDS_CHECK);
	assert_kvol(kvol_delete(pool, "raw", 0, &err), -EROFS, KVOL_R_POOL_NEEDS_CHECK);
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	with_metadata("thin_check --clear-needs-check-flag $metadata");
	scene_open_up();
}

static void cell(const struct fault *f, enum verb v)
{
	unsigned got;

	scene_set();
	scene_assert_readable();
	disk_set(f->parts);
	got = verb_try(v, allowed(f, v), f->name);
	for (enum verb read = FIRST_READ; read <= LAST_READ; read++)
		(void)verb_try(read, A_OK, f->name);
	(void)verb_try(OPEN, A_OK, f->name);
	scene_assert_readable();
	/* What is published can be taken away before the disk is replaced. */
	(void)verb_try(UNPUBLISH, A_OK, f->name);
	disk_set(NULL);
	scene_close_down();
	scene_open_up();
	check_if_needed();
	assert_int_equal(pool_info().flags, 0);
	verb_assert_kept(v, got == A_OK, f->name);
	cells++;
}

static void every_verb_meets_every_fault(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_OF(faults); i++) {
		for (enum verb v = 0; v < VERBS; v++) {
			if ((v >= FIRST_READ && v <= LAST_READ) || v == OPEN ||
			    v == UNPUBLISH)
				continue; /* in each cell */
			if (!all_cells && (v + i) % (faults[i].alike ? 9 : 4))
				continue;
			cell(&faults[i], v);
		}
	}
	scene_set();
	scene_clear();
	scene_check();
}

/* Taking the pool out of use on a disk that is gone: nothing of it may stay. */
static void deactivating_on_a_dead_disk(void **state)
{
	static const enum disk_fault dead[DISK_PARTS] = { DISK_DEAD, DISK_DEAD, DISK_DEAD,
							  DISK_DEAD, DISK_DEAD };
	struct kvol_pool *p = NULL;

	(void)state;
	scene_set();
	disk_set(dead);
	scene_close_down();
	assert_nothing_frozen("deactivate");
	assert_kvol(kvol_pool_open(ctx, pool_path, NULL, &p, &err), -EIO, KVOL_R_IO);
	assert_null(p);
	disk_set(NULL);
	scene_open_up();
	assert_int_equal(pool_info().flags, 0);
	scene_check();
}

/* Drops what this handle, and the kernel, remember of the catalogue's pages: the handle
 * because another one has changed them, the kernel by order. */
static void forget_the_catalogue(void)
{
	struct kvol_pool *other = NULL;

	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &other, &err));
	assert_ok(kvol_create(other, "new", MIB(8), NULL, &err));
	assert_ok(kvol_delete(other, "new", 0, &err));
	kvol_pool_close(other);
	assert_sh("sync; echo 1 > /proc/sys/vm/drop_caches");
}

/* The names that the messages have are on the disk, and nothing else is needed of it. */
static void deactivating_without_a_catalogue(void **state)
{
	static const enum disk_fault dead[DISK_PARTS] = { DISK_DEAD, DISK_DEAD, DISK_DEAD,
							  DISK_DEAD, DISK_DEAD };
	struct kvol_info info = { .size = sizeof(info) };

	(void)state;
	scene_set();
	forget_the_catalogue();
	disk_set(dead);
	/* Or nothing of it was tested. */
	assert_kvol(kvol_stat(pool, "live", &info, &err), -EIO, KVOL_R_IO);
	assert_true(kvol_unpublish(pool, "live", in_dir("live"), NULL, &err) < 0);
	assert_true(is_mounted(in_dir("live")));
	watched("deactivate with a publish");
	assert_int_equal(kvol_pool_deactivate(pool, &err), -EBUSY);
	unwatched();
	assert_int_equal(err.reason, KVOL_R_BUSY_PUBLISHED);
	assert_null(strstr(err.msg, "'live'"));
	assert_null(strstr(err.msg, "'away'"));
	assert_non_null(strstr(err.msg, "published at"));
	/* Without the catalogue nobody can say which volume is meant; umount(8) can. */
	assert_sh("umount %s; umount %s", in_dir("live"), in_dir("away"));
	watched("deactivate without a catalogue");
	assert_ok(kvol_pool_deactivate(pool, &err));
	unwatched();
	kvol_pool_close(pool);
	pool = NULL;
	assert_nothing_frozen("deactivate");
	assert_sh("dmsetup ls | grep kvol-; test $? = 1");
	disk_set(NULL);
	scene_open_up();
	assert_int_equal(pool_info().flags, 0);
	scene_check();
}

/* A disk that says "done" and writes nothing. Nobody can keep what was promised on it;
 * but the pool says that something is wrong, or works, and neither hangs nor deletes. */
static void disk_that_lies(void **state)
{
	static const enum disk_part parts[] = { DISK_METADATA, DISK_CATALOGUE,
						DISK_DATA };
	struct kvol_format_opts o = { .size = sizeof(o), .flags = KVOL_FORMAT_FORCE };
	struct kvol_info info = { .size = sizeof(info) };

	(void)state;
	for (size_t i = 0; i < N_OF(parts); i++) {
		enum disk_fault lies[DISK_PARTS] = { DISK_GOOD };
		int r;

		scene_set();
		lies[parts[i]] = DISK_DROP_WRITES;
		if (parts[i] == DISK_METADATA)
			lies[DISK_SUPERBLOCK] = DISK_DROP_WRITES;
		disk_set(lies);
		for (enum verb v = 0; v < VERBS; v++) {
			if (v == PUBLISH || v == PUBLISH_SNAPSHOT)
				continue;
			(void)verb_try(v, ~0u, "writes are lost");
			if (v <= CLONE)
				(void)kvol_delete(pool, "new", 0, NULL);
		}
		/* More than one reservation of ids: the two parts go apart. */
		for (int n = 0; n < 30; n++) {
			(void)kvol_create(pool, "new", MIB(8), NULL, NULL);
			(void)kvol_delete(pool, "new", 0, NULL);
		}
		disk_set(NULL);
		scene_close_down();
		watched("open after lies");
		r = kvol_pool_open(ctx, pool_path, NULL, &pool, &err);
		unwatched();
		printf("# after lies about part %d: open %d, flags 0x%x\n", (int)parts[i],
		       r, r == 0 ? pool_info().flags : 0);
		if (r == 0) {
			/* What the catalogue lost may have been written once more by a
			 * checkpoint, after the disk was well: then all is there. */
			bool raw = exists("raw"); /* or its delete was written */

			if (pool_info().flags & KVOL_POOL_AUDIT) {
				assert_kvol(kvol_create(pool, "works", MIB(8), NULL, &err),
					    -EROFS, KVOL_R_POOL_READ_ONLY);
				if (raw)
					assert_kvol(kvol_delete(pool, "raw", 0, &err), -EROFS,
						    KVOL_R_POOL_READ_ONLY);
				assert_kvolctl_says("put the matching one back");
			} else {
				assert_int_not_equal(parts[i], DISK_METADATA);
				assert_ok(kvol_create(pool, "works", MIB(8), NULL, &err));
			}
			if (raw)
				assert_ok(kvol_stat(pool, "raw", &info, &err));
			(void)count(0);
			scene_close_down();
		} else {
			assert_int_equal(r, -EUCLEAN);
			assert_int_equal(err.reason, KVOL_R_CORRUPT);
		}
		assert_ok(kvol_pool_format(ctx, pool_name, pool_path, &o, &err));
		scene_open_up();
	}
}

static int up(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .max_volumes = 100 };

	(void)state;
	all_cells = getenv("KVOL_TEST_LONG") != NULL;
	return disk_up(&o, POOL_BYTES);
}

static int down(void **state)
{
	if (pool)
		scene_close_down();
	printf("# figure bad-disk cells: %u (%u calls)\n", cells, verbs_tried);
	return disk_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_meets_every_fault),
		cmocka_unit_test(deactivating_on_a_dead_disk),
		cmocka_unit_test(deactivating_without_a_catalogue),
		cmocka_unit_test(disk_that_lies),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("bad disk", tests, up, down);
}
