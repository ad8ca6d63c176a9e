// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Full pools, and every other state that a thin pool can be in: a table of what each verb
 * answers in each of them. Creations are refused while there is still room to work in,
 * deleting always works where the kernel takes any change at all, and brings a full pool
 * back by itself.
 *
 * Data is filled by writers in published volumes, and metadata as full.c does.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "full.h"
#include "scene.h"

#define POOL_BYTES MIB(160)

static unsigned cells;

/* --- The table -------------------------------------------------------------------- */

enum state {
	GOOD,
	LOW_DATA,
	OUT_OF_DATA,
	LOW_METADATA,
	OUT_OF_METADATA,
	NEEDS_CHECK,
	READ_ONLY,
	FAILED,
	AUDIT,
	STATES
};

#define X A_OK
#define D A_DATA
#define M A_META
#define C A_CHECK
#define R A_RO
/* A failed pool fails reads as well; the page cache may do without. */
#define F (A_RO | A_IO | A_CORRUPT | A_OK)

static const struct {
	const char *name;
	uint32_t flags; /* what kvol_pool_stat tells, and kvolctl says */
	const char *advice;
	unsigned answers[VERBS];
} states[STATES] = {
	[GOOD] = { "good",
		   0,
		   "Condition:      good",
		   { X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X } },
	[LOW_DATA] = { "low on data",
		       KVOL_POOL_LOW_DATA,
		       "delete volumes or snapshots, or discard",
		       { D, D, D, D, D, D, D, D, X, X, X, X, X, X, X, X, X, X, X } },
	[OUT_OF_DATA] = { "out of data",
			  KVOL_POOL_OUT_OF_DATA,
			  "delete volumes or snapshots, or discard",
			  { D, D, D, D, D, D, D, D, X, X, X, X, X, X, X, X, X, X, X } },
	[LOW_METADATA] = { "low on metadata",
			   KVOL_POOL_LOW_METADATA,
			   "those with the most blocks of their own first",
			   { M, M, M, M, M, M, M, M, X, X, X, X, X, X, X, X, X, X, X } },
	[OUT_OF_METADATA] = { "out of metadata",
			      KVOL_POOL_OUT_OF_METADATA,
			      "those with the most blocks of their own first",
			      { M, M, M, M, M, M, M, M, X, X, X, X, X, X, X, X, X, X,
				X } },
	[NEEDS_CHECK] = { "needs_check",
			  KVOL_POOL_NEEDS_CHECK | KVOL_POOL_READ_ONLY,
			  "repair",
			  { C, C, C, C, C, C, C, C, X, X, X, X, X, X, X, X, X, C, C } },
	[READ_ONLY] = { "read-only",
			KVOL_POOL_READ_ONLY,
			"deactivate the pool and open it again",
			{ R, R, R, R, R, R, R, R, X, X, X, X, X, X, X, X, X, R, R } },
	[FAILED] = { "failed",
		     KVOL_POOL_READ_ONLY,
		     "deactivate the pool and open it again",
		     { R, R, R, R, R, R, R, R, F, F, F, X, X, X, X, X, X, R, R } },
	[AUDIT] = { "audit",
		    KVOL_POOL_AUDIT,
		    "put the matching one back",
		    { R, R, R, R, R, R, R, R, R, X, R, X, X, X, X, X, X, R, R } },
};

#undef X
#undef D
#undef M
#undef C
#undef R
#undef F

static void try_all(enum state s)
{
	const char *name = states[s].name;
	unsigned got;

	assert_int_equal(pool_info().flags, states[s].flags);
	assert_kvolctl_says(states[s].advice);
	scene_again();
	for (enum verb v = 0; v < VERBS; v++) {
		/* Each is held against the state itself, not what the last one left. */
		if (v < DELETE_SNAPSHOT)
			assert_int_equal(pool_info().flags, states[s].flags);
		got = verb_try(v, states[s].answers[v], name);
		verb_assert_kept(v, got == A_OK, name);
		cells++;
		if (got == A_OK && v <= CLONE) /* in the way of the next */
			assert_ok(kvol_delete(pool, "new", 0, &err));
	}
	assert_ok(kvol_delete(pool, "absent", 0, &err));
	scene_assert_readable();
}

/* --- Writers ---------------------------------------------------------------------- */

static uint64_t free_data(void)
{
	struct kvol_pool_info p = pool_info();

	return (p.data_bytes - p.data_used) / p.block_bytes;
}

static void assert_good(void)
{
	assert_int_equal(pool_info().flags, 0);
	scene_set();
	scene_clear();
	scene_check();
}

/* --- Data ------------------------------------------------------------------------- */

static void good(void **state)
{
	(void)state;
	scene_set();
	try_all(GOOD);
}

/* A writer in a published file system that has more to write than there is room for. */
static int write_file_out(const char *path)
{
	static char buf[65536];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), r = 0;

	if (fd < 0)
		return -errno;
	memset(buf, 'y', sizeof(buf));
	for (int i = 0; i < 128 && r == 0; i++)
		r = write(fd, buf, sizeof(buf)) < 0 ? -errno : 0;
	if (fsync(fd) < 0 && r == 0)
		r = -errno;
	(void)close(fd);
	return r;
}

static void out_of_data(void **state)
{
	char filler[256];
	unsigned written = 0, n;

	(void)state;
	(void)snprintf(filler, sizeof(filler), "%s", make_file("filler"));
	scene_set();
	scene_set_spares(3);
	assert_ok(kvol_create(pool, "filler", POOL_BYTES, NULL, &err));
	assert_ok(create_fs("dirty", MIB(64), "ext4"));
	assert_ok(publish("dirty", make_dir("dirty"), 0, NULL));
	assert_ok(publish("filler", filler, KVOL_PUBLISH_BLOCK, NULL));
	do {
		n = free_data() > 120 ? 40 : 2;
		assert_int_equal(write_blocks(filler, written * BLOCK_BYTES, BLOCK_BYTES,
					      BLOCK_BYTES, n),
				 n);
		written += n;
	} while (!(pool_info().flags & KVOL_POOL_LOW_DATA));
	assert_true(free_data() > 0);
	try_all(LOW_DATA);

	/* Much of this is still to be written when the pool is out of room. */
	assert_true(write_file_out(in_dir("dirty/file")) <= 0);
	while (write_blocks(filler, written * BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES, 1))
		written++;
	/* A block that was taken for a write that failed comes back with the next commit. */
	assert_true(free_data() <= 1);
	try_all(OUT_OF_DATA);
	assert_true(write_file_out(in_dir("dirty/more")) < 0);
	watched("snapshot of a volume that cannot be written out");
	assert_kvol(kvol_snapshot(pool, "dirty", "s", NULL, &err), -ENOSPC,
		    KVOL_R_NO_DATA_SPACE);
	unwatched();
	watched("unpublish of a volume that cannot be written out");
	assert_ok(kvol_unpublish(pool, "dirty", in_dir("dirty"), NULL, &err));
	unwatched();
	assert_ok(kvol_unpublish(pool, "filler", filler, NULL, &err));
	assert_ok(kvol_delete(pool, "filler", 0, &err));
	/* By itself, and at once. */
	assert_int_equal(pool_info().flags, 0);
	assert_ok(kvol_create(pool, "filler", POOL_BYTES, NULL, &err));
	assert_ok(kvol_delete(pool, "filler", 0, &err));
	assert_ok(kvol_delete(pool, "dirty", 0, &err));
	assert_good();
}

/* Room for the snapshot, and not for what has to be written before it. */
static void snapshot_of_more_than_there_is_room_for(void **state)
{
	char filler[256];
	unsigned n;
	int r;

	(void)state;
	(void)snprintf(filler, sizeof(filler), "%s", make_file("filler"));
	scene_set();
	assert_ok(kvol_create(pool, "filler", POOL_BYTES, NULL, &err));
	assert_ok(create_fs("dirty", MIB(64), "ext4"));
	assert_ok(publish("dirty", make_dir("dirty"), 0, NULL));
	assert_ok(publish("filler", filler, KVOL_PUBLISH_BLOCK, NULL));
	n = (unsigned)free_data() - 40;
	assert_int_equal(write_blocks(filler, 0, BLOCK_BYTES, BLOCK_BYTES, n), n);
	assert_int_equal(pool_info().flags, 0);
	assert_sh("head -c 8M /dev/zero > %s", in_dir("dirty/file"));
	watched("snapshot of a volume that has more to write than there is room for");
	before_call(NULL, false);
	r = kvol_snapshot(pool, "dirty", "s", NULL, &err);
	unwatched();
	printf("# with too little room: %d %s\n", r, r < 0 ? err.msg : "");
	assert_nothing_frozen("snapshot");
	assert_true(r == 0 || err.reason == KVOL_R_IO ||
		    err.reason == KVOL_R_NO_DATA_SPACE);
	assert_int_equal(exists("s"), r == 0);
	assert_ok(kvol_unpublish(pool, "dirty", in_dir("dirty"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "filler", filler, NULL, &err));
	assert_ok(kvol_delete(pool, "filler", 0, &err));
	assert_ok(kvol_delete(pool, "dirty", 0, &err));
	assert_ok(kvol_delete(pool, "s", 0, &err));
	assert_good();
}

/* --- Metadata --------------------------------------------------------------------- */

static pid_t start_writer(const char *path)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		for (uint64_t i = 0;; i++)
			(void)write_blocks(path, i % 4000 * 61 * BLOCK_BYTES, BLOCK_BYTES,
					   4096, 1);
	return pid;
}

static void out_of_metadata(void **state)
{
	char half[256];
	uint64_t reserve, at = 0;
	pid_t writer;

	(void)state;
	(void)snprintf(half, sizeof(half), "%s", make_file("half"));
	scene_set();
	scene_set_spares(3);
	reserve = pool_info().metadata_bytes / 4096 / 32 + 32;
	fill_metadata(reserve + 30);
	scene_set();
	assert_ok(kvol_clone(pool, "many", "half", NULL, &err));
	assert_ok(publish("half", half, KVOL_PUBLISH_BLOCK, NULL));
	/* A commit gives some of what a write took back: go well below. */
	break_sharing(half, &at, reserve - 20);
	try_all(LOW_METADATA);
	fill_the_rest(half, &at);
	/* The deletes at its end make room, while others try to write. */
	writer = start_writer(half);
	try_all(OUT_OF_METADATA);
	assert_int_equal(kill(writer, SIGKILL), 0);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	assert_false(pool_info().flags & (KVOL_POOL_NEEDS_CHECK | KVOL_POOL_READ_ONLY));

	assert_ok(kvol_unpublish(pool, "half", half, NULL, &err));
	watched("delete of a large volume in a full pool");
	assert_ok(kvol_delete(pool, "half", 0, &err));
	assert_ok(kvol_delete(pool, "many", 0, &err));
	unwatched();
	assert_good();
}

/* --- What a bad disk, or an administrator, makes of a pool ------------------------ */

static void thin_pool(const char *command)
{
	assert_sh("set -e; p=kvol-%.8s-pool; %s", pool_info().uuid, command);
}

static void needs_check(void **state)
{
	const enum disk_fault bad[DISK_PARTS] = { [DISK_METADATA] = DISK_ERROR_WRITES };

	(void)state;
	scene_set();
	disk_set(bad);
	(void)verb_try(CREATE_RAW, A_CHECK | A_IO, "on the way to needs_check");
	disk_set(NULL);
	try_all(NEEDS_CHECK);
	/* It is written down: taking it out of use does not help. */
	scene_close_down();
	scene_open_up();
	assert_int_equal(pool_info().flags, states[NEEDS_CHECK].flags);
	scene_close_down();
	with_metadata("thin_check --clear-needs-check-flag $metadata");
	scene_open_up();
	assert_good();
}

static void read_only(void **state)
{
	(void)state;
	scene_set();
	thin_pool("dmsetup table $p | sed 's/ 1 error_if_no_space/ 2 error_if_no_space "
		  "read_only/' > table; dmsetup reload $p table; "
		  "dmsetup resume --noudevsync --noflush --nolockfs $p");
	try_all(READ_ONLY);
	scene_close_down();
	scene_open_up();
	assert_good();
}

static void failed(void **state)
{
	const enum disk_fault dead[DISK_PARTS] = {
		[DISK_SUPERBLOCK] = DISK_DEAD, [DISK_METADATA] = DISK_DEAD
	};

	(void)state;
	scene_set();
	disk_set(dead);
	while (!(pool_info().flags & KVOL_POOL_READ_ONLY))
		(void)verb_try(CREATE_RAW, A_RO | A_IO, "on the way to failing");
	disk_set(NULL);
	try_all(FAILED);
	scene_close_down();
	scene_open_up();
	assert_good();
}

static void audit(void **state)
{
	(void)state;
	scene_set();
	thin_pool("id=$(dmsetup status --noflush $p | awk '{ print $4 }'); "
		  "dmsetup message $p 0 set_transaction_id $id $((id + 7))");
	pool_reopen();
	try_all(AUDIT);
	thin_pool("id=$(dmsetup status --noflush $p | awk '{ print $4 }'); "
		  "dmsetup message $p 0 set_transaction_id $id $((id - 7))");
	pool_reopen();
	assert_good();
}

/* --- The kernel's snapshot counter ------------------------------------------------ */

#define SNAPSHOTS_MAX ((1u << 24) - (1u << 16))

static void snapshots_are_counted_for_life(void **state)
{
	char command[128];

	(void)state;
	scene_set();
	scene_close_down();
	(void)snprintf(command, sizeof(command),
		       "sqlite3 catalogue.db 'UPDATE pool SET snapshots = %u'",
		       SNAPSHOTS_MAX - 100);
	in_catalogue(command);
	scene_open_up();
	assert_int_equal(pool_info().snapshots_left, 100);
	assert_ok(kvol_snapshot(pool, "raw", "one more", NULL, &err));
	scene_close_down();
	(void)snprintf(command, sizeof(command),
		       "sqlite3 catalogue.db 'UPDATE pool SET snapshots = %u'",
		       SNAPSHOTS_MAX);
	in_catalogue(command);
	scene_open_up();
	assert_int_equal(pool_info().snapshots_left, 0);
	assert_kvol(kvol_snapshot(pool, "raw", "too many", NULL, &err), -ENOSPC,
		    KVOL_R_LIMIT);
	assert_kvol(kvol_clone(pool, "raw", "too many", NULL, &err), -ENOSPC,
		    KVOL_R_LIMIT);
	/* What is there is there, and everything else goes on. */
	assert_ok(kvol_snapshot(pool, "raw", "one more", NULL, &err));
	assert_ok(kvol_create(pool, "new", MIB(8), NULL, &err));
	assert_ok(kvol_delete(pool, "new", 0, &err));
	assert_ok(kvol_delete(pool, "one more", 0, &err));
	scene_close_down();

	/* Somebody else took snapshots in this thin pool: the kernel's count decides. */
	in_catalogue("sqlite3 catalogue.db 'UPDATE pool SET snapshots = 0'");
	with_metadata("thin_dump $metadata | sed 's/ time=\"[0-9]*\" transaction/ "
		      "time=\"16000000\" transaction/' > new; "
		      "thin_restore -i new -o $metadata");
	scene_open_up();
	assert_int_equal(pool_info().snapshots_left, SNAPSHOTS_MAX - 16000000);
	assert_ok(kvol_snapshot(pool, "raw", "one more", NULL, &err));
	assert_ok(kvol_delete(pool, "one more", 0, &err));
	assert_good();
}

static int up(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .max_volumes = 100 };

	(void)state;
	return disk_up(&o, POOL_BYTES);
}

static int down(void **state)
{
	scene_close_down();
	/* Nothing of all that may have left a trace. */
	with_metadata("thin_check $metadata");
	printf("# figure full-pool cells, verbs by states: %u of %u\n", cells,
	       (unsigned)STATES * VERBS);
	return disk_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(out_of_data),
		cmocka_unit_test(snapshot_of_more_than_there_is_room_for),
		cmocka_unit_test(out_of_metadata),
		cmocka_unit_test(needs_check),
		cmocka_unit_test(read_only),
		cmocka_unit_test(audit),
		cmocka_unit_test(snapshots_are_counted_for_life),
		cmocka_unit_test(failed),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("full pool", tests, up, down);
}
