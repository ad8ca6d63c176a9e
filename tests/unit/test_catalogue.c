/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The catalogue, on a real database: rows, tombstones, reservations, and what a stranger
 * may have put in.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalogue_db.h"
#include "db.h"
#include "fixture.h"
#include "thin.h"

#define UUID  "0a0a0a0a-0000-4000-8000-00000000000a"
#define OWNER 42

struct place {
	int n_fds;
	struct kv_catalogue *cat;
};

static int open_dir(void)
{
	char path[2 * MODEL_PATH];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/disk0", model->dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void open_it(struct place *p)
{
	assert_int_equal(kv_catalogue_open(open_dir(), &p->cat), 0);
}

static void close_it(struct place *p)
{
	kv_catalogue_close(p->cat);
	p->cat = NULL;
}

/* The machine serves for its directory and for commits that fail. */
static int setup(void **state)
{
	struct kv_pool_row row = {
		.uuid = UUID,
		.name = "tank",
		.block_bytes = 65536,
		.max_volumes = 1000,
	};
	struct place *p = calloc(1, sizeof(*p));
	int fd;

	assert_non_null(p);
	p->n_fds = count_fds();
	model_start();
	fd = open_dir();
	assert_int_equal(kv_catalogue_create(fd, &row), 0);
	assert_int_equal(kv_catalogue_create(fd, &row), -EUCLEAN); /* it is there */
	(void)close(fd);
	open_it(p);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	kv_catalogue_close(p->cat);
	assert_int_equal(count_fds(), p->n_fds);
	model_end();
	free(p);
	return 0;
}

static void sql(struct place *p, const char *text)
{
	_cleanup_close_ int fd = open_dir();
	struct kv_db *db;

	(void)p;
	assert_int_equal(kv_db_open(fd, "catalogue.db", 0, &db), 0);
	assert_int_equal(kv_db_exec(db, text), 0);
	kv_db_close(db);
}

static struct kv_row make(uint32_t id, const char *name)
{
	struct kv_row row = {
		.id = id,
		.kind = KVOL_KIND_VOLUME,
		.bytes = 4096,
		.created = 1600000000,
		.uuid = UUID,
	};

	(void)kv_strcpy(row.name, sizeof(row.name), name);
	return row;
}

static void insert(struct place *p, uint32_t id, const char *name)
{
	struct kv_row row = make(id, name);

	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
}

/* --- Rows ------------------------------------------------------------------------- */

static void row_is_read_as_it_was_written(void **state)
{
	struct kv_row row = make(KV_THIN_ID_MAX, "a'b\"%s"), got;
	struct place *p = *state;

	row.kind = KVOL_KIND_SNAPSHOT;
	row.flags = KV_ROW_GROW | KV_ROW_RENEW;
	row.bytes = UINT64_C(1) << 60;
	memset(row.source, 's', KV_NAME_MAX);
	(void)kv_strcpy(row.fs_type, sizeof(row.fs_type), "btrfs");
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	close_it(p);
	open_it(p);
	assert_int_equal(kv_catalogue_find(p->cat, row.name, &got), 0);
	assert_memory_equal(&row, &got, sizeof(row));
	memset(&got, 0, sizeof(got));
	assert_int_equal(kv_catalogue_get(p->cat, row.id, &got), 0);
	assert_memory_equal(&row, &got, sizeof(row));
	assert_int_equal(kv_catalogue_find(p->cat, "other", &got), -ENOENT);
	assert_int_equal(kv_catalogue_get(p->cat, 0, &got), -ENOENT);
}

static void name_and_id_are_taken_once(void **state)
{
	struct kv_row row = make(2, "a");
	struct place *p = *state;

	insert(p, 1, "a");
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EEXIST);
	insert(p, 2, "A");
	row = make(1, "b");
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EEXIST);
	assert_int_equal(kv_catalogue_id_used(p->cat, 1), 1);
	assert_int_equal(kv_catalogue_id_used(p->cat, 3), 0);
}

static void changes_need_a_row_with_a_name(void **state)
{
	struct place *p = *state;
	struct kv_row got;

	insert(p, 1, "a");
	assert_int_equal(kv_catalogue_resize(p->cat, 1, 8192, KV_ROW_GROW), 0);
	assert_int_equal(kv_catalogue_get(p->cat, 1, &got), 0);
	assert_int_equal(got.bytes, 8192);
	assert_int_equal(got.flags, KV_ROW_GROW);
	assert_int_equal(kv_catalogue_set_flags(p->cat, 1, 0), 0);
	assert_int_equal(kv_catalogue_bury(p->cat, 1), 0);
	assert_int_equal(kv_catalogue_bury(p->cat, 1), -ENOENT);
	assert_int_equal(kv_catalogue_resize(p->cat, 1, 4096, 0), -ENOENT);
	assert_int_equal(kv_catalogue_set_flags(p->cat, 1, 0), -ENOENT);
	assert_int_equal(kv_catalogue_get(p->cat, 1, &got), -ENOENT);
	assert_int_equal(kv_catalogue_find(p->cat, "a", &got), -ENOENT);
	assert_int_equal(kv_catalogue_id_used(p->cat, 1), 1);
}

static void failed_commit_changes_nothing(void **state)
{
	struct kv_row row = make(2, "b"), got;
	struct place *p = *state;

	insert(p, 1, "a");
	model_fail("commit", 0, -EIO);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EIO);
	assert_int_equal(kv_catalogue_resize(p->cat, 1, 8192, 0), -EIO);
	assert_int_equal(kv_catalogue_bury(p->cat, 1), -EIO);
	model_forget_plans();
	assert_int_equal(kv_catalogue_get(p->cat, 1, &got), 0);
	assert_int_equal(got.bytes, 4096);
	assert_int_equal(kv_catalogue_get(p->cat, 2, &got), -ENOENT);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
}

static void counts_are_of_what_has_a_name(void **state)
{
	struct kv_row row = make(9, "s");
	uint64_t volumes = 7, snapshots = 7;
	struct place *p = *state;

	assert_int_equal(kv_catalogue_counts(p->cat, &volumes, &snapshots), 0);
	assert_int_equal(volumes, 0);
	assert_int_equal(snapshots, 0);
	insert(p, 1, "a");
	insert(p, 2, "b");
	row.kind = KVOL_KIND_SNAPSHOT;
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	assert_int_equal(kv_catalogue_bury(p->cat, 2), 0);
	assert_int_equal(kv_catalogue_counts(p->cat, &volumes, &snapshots), 0);
	assert_int_equal(volumes, 1);
	assert_int_equal(snapshots, 1);
}

/* The sums of kv_catalogue_provisioned, by a limit that counts thick bytes threefold. */
static void assert_sums(struct place *p, uint64_t bytes, uint64_t promised)
{
	const struct kv_limit limit = { .thick_percent = 300 };
	uint64_t got_bytes, got_promised;

	assert_int_equal(
		kv_catalogue_provisioned(p->cat, &limit, &got_bytes, &got_promised), 0);
	assert_int_equal(got_bytes, bytes);
	assert_int_equal(got_promised, promised);
	assert_int_equal(kv_catalogue_check(p->cat, false), 0);
}

static void tally_goes_with_the_rows(void **state)
{
	struct kv_row row = make(1, "thin");
	struct place *p = *state;

	assert_sums(p, 0, 0);
	row.bytes = 3 * 4096;
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	assert_sums(p, 3 * 4096, 3 * 4096);
	row = make(2, "snapshot");
	row.kind = KVOL_KIND_SNAPSHOT;
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	row = make(3, "template/ext4/4096/0123456789abcdef");
	row.kind = KVOL_KIND_TEMPLATE;
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	assert_sums(p, 3 * 4096, 3 * 4096);
	row = make(4, "thick");
	row.flags = KV_ROW_THICK;
	row.bytes = 65536 + 4096; /* has two blocks */
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	assert_sums(p, 65536 + 4 * 4096, 3 * 4096 + 3 * 2 * 65536);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EEXIST);
	assert_sums(p, 65536 + 4 * 4096, 3 * 4096 + 3 * 2 * 65536);

	assert_int_equal(kv_catalogue_resize(p->cat, 4, 3 * 65536, KV_ROW_THICK), 0);
	assert_int_equal(kv_catalogue_resize(p->cat, 1, 4096, KV_ROW_GROW), 0);
	assert_int_equal(kv_catalogue_resize(p->cat, 2, 8192, 0), 0);
	assert_sums(p, 3 * 65536 + 4096, 4096 + 3 * 3 * 65536);
	for (uint32_t id = 1; id <= 4; id++)
		assert_int_equal(kv_catalogue_bury(p->cat, id), 0);
	assert_int_equal(kv_catalogue_bury(p->cat, 4), -ENOENT);
	assert_sums(p, 0, 0);
}

/* Sums are cut to what an integer holds, and exact again when they fall below it. */
static void tally_of_huge_volumes_is_exact(void **state)
{
	struct place *p = *state;
	struct kv_row row;
	char name[16];

	insert(p, 1, "small");
	for (uint32_t i = 0; i < 9; i++) {
		(void)snprintf(name, sizeof(name), "huge%d", (int)i);
		row = make(10 + i, name);
		row.bytes = KV_ROW_BYTES_MAX;
		assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	}
	assert_sums(p, INT64_MAX, INT64_MAX);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(kv_catalogue_bury(p->cat, 10 + i), 0);
	assert_sums(p, KV_ROW_BYTES_MAX + 4096, KV_ROW_BYTES_MAX + 4096);
	/* What cannot be counted is refused. */
	sql(p, "UPDATE pool SET pages = 9223372036854775807");
	row = make(9, "more");
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EDQUOT);
	assert_int_equal(kv_catalogue_find(p->cat, "more", &row), -ENOENT);
}

/* --- Tombstones ------------------------------------------------------------------- */

static void tombstones_go_with_the_next_commit_or_the_close(void **state)
{
	struct place *p = *state;
	uint32_t ids[4];

	insert(p, 1, "a");
	insert(p, 2, "b");
	assert_int_equal(kv_catalogue_bury(p->cat, 1), 0);
	assert_int_equal(kv_catalogue_bury(p->cat, 2), 0);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 2);
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 2);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 2, ids, 4), 1);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 1), 1);
	kv_catalogue_forget_later(p->cat, 1);
	kv_catalogue_forget_later(p->cat, 2);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 2);
	close_it(p);
	open_it(p);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 0);
}

/* A batch of tombstones whose work is done. */
static void forget_batch(struct place *p)
{
	char name[16];

	for (uint32_t i = 0; i < KV_LATER_BATCH; i++) {
		(void)snprintf(name, sizeof(name), "v%u", i);
		insert(p, 100 + i, name);
	}
	for (uint32_t i = 0; i < KV_LATER_BATCH; i++)
		assert_int_equal(kv_catalogue_bury(p->cat, 100 + i), 0);
	for (uint32_t i = 0; i < KV_LATER_BATCH; i++)
		kv_catalogue_forget_later(p->cat, 100 + i);
}

static void batch_of_tombstones_goes_with_the_next_commit(void **state)
{
	struct place *p = *state;
	uint32_t ids[4];

	forget_batch(p);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 4);
	insert(p, 3, "c");
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 0);
}

static void forgotten_tombstone_survives_a_failed_commit(void **state)
{
	struct kv_row row = make(2, "b");
	struct place *p = *state;
	uint32_t ids[4];

	forget_batch(p);
	model_fail("commit", 1, -EIO);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EIO);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 4);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), 0);
}

/* A failed commit is written over; until that succeeds it is in doubt. */
static void failed_commit_is_in_doubt_until_one_succeeds(void **state)
{
	struct kv_row row = make(2, "b");
	struct place *p = *state;

	assert_false(kv_catalogue_in_doubt(p->cat));
	model_fail("commit", 1, -EIO);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EIO);
	assert_false(kv_catalogue_in_doubt(p->cat));
	model_fail("commit", 0, -EIO);
	assert_int_equal(kv_catalogue_insert(p->cat, &row), -EIO);
	assert_true(kv_catalogue_in_doubt(p->cat));
	model_forget_plans();
	assert_true(kv_catalogue_in_doubt(p->cat));
	assert_int_equal(kv_catalogue_insert(p->cat, &row), 0);
	assert_false(kv_catalogue_in_doubt(p->cat));
}

static void any_number_of_tombstones_may_be_forgotten(void **state)
{
	struct place *p = *state;
	uint32_t ids[256];
	char name[16];

	for (uint32_t i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "v%u", i);
		insert(p, i, name);
	}
	sql(p, "UPDATE volume SET name = NULL");
	for (uint32_t i = 0; i < 200; i++)
		kv_catalogue_forget_later(p->cat, i);
	close_it(p);
	open_it(p);
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 256), 0);
}

/* An id that has a name by now is nobody's tombstone. */
static void living_row_is_never_forgotten(void **state)
{
	struct place *p = *state;
	struct kv_row got;

	insert(p, 1, "a");
	for (int i = 0; i < KV_LATER_BATCH; i++)
		kv_catalogue_forget_later(p->cat, 1);
	insert(p, 2, "b");
	assert_int_equal(kv_catalogue_get(p->cat, 1, &got), 0);
}

static void spare_rows_are_found_in_order(void **state)
{
	struct place *p = *state;
	uint32_t ids[8];
	char name[16];

	for (uint32_t i = 0; i < 6; i++) {
		(void)snprintf(name, sizeof(name), "v%u", i);
		insert(p, i * 10, name);
		assert_int_equal(kv_catalogue_set_flags(p->cat, i * 10,
						i % 2 ? KV_ROW_SPARE : KV_ROW_GROW),
				 0);
	}
	assert_int_equal(kv_catalogue_spare(p->cat, 0, ids, 8), 3);
	assert_int_equal(ids[0], 10);
	assert_int_equal(ids[2], 50);
	assert_int_equal(kv_catalogue_bury(p->cat, 10), 0);
	assert_int_equal(kv_catalogue_spare(p->cat, 0, ids, 8), 2);
}

/* --- Reservations ----------------------------------------------------------------- */

static struct kv_reservation reserve(struct place *p, uint32_t count)
{
	struct kv_reservation res = { .row = -1 };
	uint64_t epoch;

	assert_int_equal(
		kv_catalogue_reserve(p->cat, OWNER, count, NULL, 0, &res, &epoch), 0);
	return res;
}

static void reservations_ascend_and_move_the_epoch_on(void **state)
{
	struct kv_reservation a, b, next;
	struct place *p = *state;
	struct kv_pool_row row;

	a = reserve(p, 64);
	assert_int_equal(a.first, 0);
	assert_int_equal(a.count, 64);
	assert_int_equal(a.snapshots, 64);
	b = reserve(p, 64);
	assert_int_equal(b.first, 64);
	assert_true(b.row > a.row);
	assert_int_equal(kv_catalogue_pool(p->cat, &row), 0);
	assert_int_equal(row.epoch, 2);
	assert_int_equal(row.snapshots, 128);
	assert_int_equal(kv_catalogue_next_reservation(p->cat, 0, &next), 0);
	assert_int_equal(next.row, a.row);
	assert_int_equal(next.owner, OWNER);
	assert_int_equal(next.first, 0);
	assert_int_equal(next.count, 64);
	assert_int_equal(kv_catalogue_next_reservation(p->cat, a.row, &next), 0);
	assert_int_equal(next.row, b.row);
	assert_int_equal(kv_catalogue_next_reservation(p->cat, b.row, &next), -ENOENT);
}

static void what_was_not_used_is_given_back(void **state)
{
	struct kv_reservation a, b;
	struct place *p = *state;
	struct kv_pool_row row;

	a = reserve(p, 64);
	assert_int_equal(kv_catalogue_release(p->cat, &a, 60, 62), 0);
	b = reserve(p, 64);
	assert_int_equal(b.first, 4);
	assert_int_equal(kv_catalogue_pool(p->cat, &row), 0);
	assert_int_equal(row.snapshots, 2 + 64);
	/* Behind somebody else's, ids are not given back, snapshots are. */
	a = reserve(p, 10);
	assert_int_equal(kv_catalogue_release(p->cat, &b, 64, 64), 0);
	assert_int_equal(kv_catalogue_pool(p->cat, &row), 0);
	assert_int_equal(row.snapshots, 2 + 10);
	assert_int_equal(reserve(p, 1).first, a.first + 10);
	/* Once is enough. */
	assert_int_equal(kv_catalogue_release(p->cat, &b, 64, 64), 0);
	assert_int_equal(kv_catalogue_pool(p->cat, &row), 0);
	assert_int_equal(row.snapshots, 2 + 10 + 1);
	assert_int_equal(row.epoch, 4);
}

static void finished_reservations_go_with_the_next(void **state)
{
	struct kv_finished done[2];
	struct kv_reservation res;
	struct place *p = *state;
	struct kv_pool_row row;
	uint64_t epoch;

	done[0] = (struct kv_finished){ reserve(p, 64).row, 60 };
	done[1] = (struct kv_finished){ reserve(p, 64).row, 0 };
	assert_int_equal(kv_catalogue_reserve(p->cat, OWNER, 8, done, 2, &res, &epoch),
			 0);
	assert_int_equal(epoch, 3);
	assert_int_equal(kv_catalogue_pool(p->cat, &row), 0);
	assert_int_equal(row.snapshots, 4 + 64 + 8);
	assert_int_equal(kv_catalogue_next_reservation(p->cat, 0, &res), 0);
	assert_int_equal(res.first, 128);
	assert_int_equal(kv_catalogue_next_reservation(p->cat, res.row, &res), -ENOENT);
}

static void failed_reservation_leaves_its_outputs_alone(void **state)
{
	struct kv_reservation res = { .row = 77, .first = 5 };
	struct place *p = *state;
	struct kv_pool_row row;
	uint64_t epoch = 99;

	model_fail("commit", 1, -EIO);
	assert_int_equal(kv_catalogue_reserve(p->cat, OWNER, 8, NULL, 0, &res, &epoch),
			 -EIO);
	assert_int_equal(res.row, 77);
	assert_int_equal(epoch, 99);
	assert_int_equal(kv_catalogue_pool(p->cat, &row), 0);
	assert_int_equal(row.epoch, 0);
	assert_int_equal(kv_catalogue_next_reservation(p->cat, 0, &res), -ENOENT);
}

static void rows_tombstones_and_reservations_are_stepped_over(void **state)
{
	struct place *p = *state;

	insert(p, 0, "a");
	insert(p, 1, "b");
	insert(p, 5, "c");
	assert_int_equal(kv_catalogue_bury(p->cat, 1), 0);
	sql(p,
	    "INSERT INTO reservation (owner, first, count) VALUES (1, 8, 4), (1, 12, 2)");
	assert_int_equal(reserve(p, 64).first, 2); /* 2 to 4 */
	assert_int_equal(reserve(p, 64).first, 6); /* 6 and 7 */
	assert_int_equal(reserve(p, 64).first, 14);
	sql(p, "UPDATE pool SET next_id = 2");
	assert_int_equal(reserve(p, 64).first, 78);
}

static void ids_wrap_around_over_what_is_in_the_way(void **state)
{
	struct kv_reservation res;
	struct place *p = *state;

	insert(p, KV_THIN_ID_MAX - 1, "last but one");
	insert(p, 0, "first");
	insert(p, 3, "fourth");
	sql(p, "UPDATE pool SET next_id = 16777212");
	res = reserve(p, 64);
	assert_int_equal(res.first, KV_THIN_ID_MAX - 3);
	assert_int_equal(res.count, 2);
	res = reserve(p, 64);
	assert_int_equal(res.first, KV_THIN_ID_MAX);
	assert_int_equal(res.count, 1);
	res = reserve(p, 64);
	assert_int_equal(res.first, 1);
	assert_int_equal(res.count, 2);
	res = reserve(p, 64);
	assert_int_equal(res.first, 4);
	assert_int_equal(res.count, 64);
}

static void next_id_out_of_range_begins_anew(void **state)
{
	static const char *const doctored[] = {
		"UPDATE pool SET next_id = 16777216",
		"UPDATE pool SET next_id = -5",
		"UPDATE pool SET next_id = 9223372036854775807",
	};
	struct place *p = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(doctored); i++) {
		sql(p, "DELETE FROM reservation");
		sql(p, doctored[i]);
		assert_int_equal(reserve(p, 64).first, 0);
	}
}

static void limit_counts_rows_and_reservations_but_no_tombstones(void **state)
{
	struct kv_reservation res = { .row = -1 };
	struct place *p = *state;
	uint64_t epoch;

	sql(p, "UPDATE pool SET max_volumes = 9");
	insert(p, 100, "a");
	insert(p, 101, "b");
	assert_int_equal(kv_catalogue_bury(p->cat, 101), 0);
	for (int i = 0; i < 8; i++) /* near the limit batches shrink */
		assert_int_equal(reserve(p, 64).count, 1);
	assert_int_equal(kv_catalogue_reserve(p->cat, OWNER, 64, NULL, 0, &res, &epoch),
			 -EDQUOT);
	assert_int_equal(res.row, -1);
	sql(p, "UPDATE pool SET max_volumes = 10");
	assert_int_equal(reserve(p, 64).count, 1);
	sql(p, "UPDATE pool SET max_volumes = -1");
	assert_int_equal(kv_catalogue_reserve(p->cat, OWNER, 64, NULL, 0, &res, &epoch),
			 -EDQUOT);
}

static void snapshots_are_refused_where_the_count_ends(void **state)
{
	struct place *p = *state;
	char text[96];

	(void)snprintf(text, sizeof(text), "UPDATE pool SET snapshots = %d",
		       (int)KV_SNAPSHOTS_MAX - 8);
	sql(p, text);
	assert_int_equal(reserve(p, 9).snapshots, 0);
	assert_int_equal(reserve(p, 8).snapshots, 8);
	assert_int_equal(reserve(p, 1).snapshots, 0);
	sql(p, "UPDATE pool SET snapshots = -1");
	assert_int_equal(reserve(p, 1).snapshots, 0);
	sql(p, "UPDATE pool SET snapshots = 9223372036854775807");
	assert_int_equal(reserve(p, 1).snapshots, 0);
}

/* --- A stranger's contents -------------------------------------------------------- */

static void hostile_rows_are_refused(void **state)
{
	static const char *const bad[] = {
		"id = -1",
		"id = 16777216",
		"id = 4294967297",
		"kind = 0",
		"kind = 3", /* of a name that no template has */
		"kind = 4",
		"name = 'template/a'",
		"kind = 4294967297",
		"bytes = 0",
		"bytes = -4096",
		"bytes = 4097",
		"bytes = 'x'",
		"name = 'a/b'",
		"name = char(10)",
		"name = ''",
		"name = printf('%256s', 'x')",
		"name = x'ff'",
		"source = printf('%256s', 'x')",
		"fs_type = printf('%16s', 'x')",
		"uuid = ''",
		"uuid = 'x'",
		"uuid = '0A0A0A0A-0000-4000-8000-00000000000A'",
	};
	struct kv_row before = make(7, "untouched"), got = before;
	struct place *p = *state;
	struct kv_cursor *cur;
	char text[128];

	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		sql(p, "DELETE FROM volume");
		insert(p, 1, "a");
		(void)snprintf(text, sizeof(text), "UPDATE volume SET %s", bad[i]);
		sql(p, text);
		assert_int_equal(kv_cursor_open(p->cat, 0, &cur), 0);
		if (!strncmp(bad[i], "kind = 3", 8)) { /* not among the volumes */
			assert_int_equal(kv_cursor_next(cur, &got), 0);
			kv_cursor_close(cur);
			assert_int_equal(kv_cursor_open(p->cat, 3, &cur), 0);
		}
		if (kv_cursor_next(cur, &got) != -EUCLEAN)
			print_error("hostile row: %s\n", bad[i]);
		assert_int_equal(kv_cursor_next(cur, &got), -EUCLEAN);
		kv_cursor_close(cur);
		assert_memory_equal(&got, &before, sizeof(got));
		if (strncmp(bad[i], "name", 4))
			assert_int_equal(kv_catalogue_find(p->cat, "a", &got), -EUCLEAN);
		if (strncmp(bad[i], "id", 2))
			assert_int_equal(kv_catalogue_get(p->cat, 1, &got), -EUCLEAN);
	}
}

static void hostile_tombstones_and_reservations_are_refused(void **state)
{
	static const char *const bad[] = {
		"-1, 1",
		"16777216, 1",
		"16777215, 2",
		"0, -1",
		"0, 16777217",
		"4294967296, 1",
		"9223372036854775807, 1",
		"1, 9223372036854775807",
	};
	struct kv_reservation res;
	struct place *p = *state;
	char text[128];
	uint32_t ids[4];

	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		sql(p, "DELETE FROM reservation");
		(void)snprintf(
			text, sizeof(text),
			"INSERT INTO reservation (owner, first, count) VALUES (1, %s)",
			bad[i]);
		sql(p, text);
		assert_int_equal(kv_catalogue_next_reservation(p->cat, 0, &res),
				 -EUCLEAN);
	}
	sql(p, "INSERT INTO volume VALUES (16777216, NULL, 1, 0, 4096, 0, '', '', '')");
	assert_int_equal(kv_catalogue_tombstones(p->cat, 0, ids, 4), -EUCLEAN);
}

static void what_is_no_catalogue_is_refused(void **state)
{
	struct place *p = *state;
	char path[2 * MODEL_PATH];
	int fd;

	close_it(p);
	sql(p, "PRAGMA user_version = 2");
	assert_int_equal(kv_catalogue_open(open_dir(), &p->cat), -EUCLEAN);
	sql(p, "PRAGMA user_version = 1; PRAGMA application_id = 0");
	assert_int_equal(kv_catalogue_open(open_dir(), &p->cat), -EUCLEAN);
	(void)snprintf(path, sizeof(path), "%s/disk0/catalogue.db-wal", model->dir);
	(void)unlink(path);
	path[strlen(path) - 4] = '\0';
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "This is no database at all", 26), 26);
	(void)close(fd);
	assert_int_equal(kv_catalogue_open(open_dir(), &p->cat), -EUCLEAN);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kv_catalogue_open(open_dir(), &p->cat), -EUCLEAN);
	assert_null(p->cat);
}

/* Triggers and views run somebody else's SQL: they are off. */
/* Not ours, however little of it differs: nothing in it is run, and nothing is guessed.
 */
static void strangers_schemas_are_refused(void **state)
{
	static const char *const changes[][2] = {
		{ "CREATE TRIGGER t AFTER INSERT ON volume BEGIN DELETE FROM volume; END",
		  "DROP TRIGGER t" },
		{ "CREATE TABLE x (y)", "DROP TABLE x" },
		{ "CREATE VIEW x AS SELECT 1", "DROP VIEW x" },
		{ "CREATE INDEX x ON volume (abs(bytes))", "DROP INDEX x" },
		{ "DROP INDEX spare",
		  "CREATE INDEX spare ON volume (id) WHERE flags & 32" },
		{ "ALTER TABLE reservation RENAME COLUMN first TO f",
		  "ALTER TABLE reservation RENAME COLUMN f TO first" },
		{ "ANALYZE", "DROP TABLE sqlite_stat1" },
	};
	struct place *p = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(changes); i++) {
		struct kv_catalogue *cat = NULL;

		sql(p, changes[i][0]);
		close_it(p);
		assert_int_equal(kv_catalogue_open(open_dir(), &cat), -EUCLEAN);
		assert_null(cat);
		sql(p, changes[i][1]);
		open_it(p);
	}
}

/* SQLite takes anything for any column: what could not have been written here is damage.
 */
static void strangers_values_are_refused(void **state)
{
	static const char *const changes[] = {
		"name = x'61'",	      "name = 'a' || char(0)", "name = 'a' || char(10)",
		"name = '../a'",      "source = char(27)",     "source = x'61'",
		"fs_type = char(10)", "fs_type = '/'",	       "bytes = 4096.5",
		"bytes = '4096x'",    "bytes = 1 << 61",       "flags = 64",
		"flags = -1",	      "flags = 4294967296",    "created = -1",
		"kind = '1x'",	      "uuid = upper(uuid)",
	};
	struct place *p = *state;
	struct kv_row got;
	char text[128];

	insert(p, 10, "aa");
	sql(p, "UPDATE volume SET uuid = 'abcdef01-2345-4789-abcd-ef0123456789'");
	assert_int_equal(kv_catalogue_get(p->cat, 10, &got), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(changes); i++) {
		sql(p, "CREATE TABLE keep AS SELECT * FROM volume");
		(void)snprintf(text, sizeof(text), "UPDATE volume SET %s WHERE id = 10",
			       changes[i]);
		sql(p, text);
		assert_int_equal(kv_catalogue_get(p->cat, 10, &got), -EUCLEAN);
		sql(p, "DELETE FROM volume; INSERT INTO volume SELECT * FROM keep;"
		       "DROP TABLE keep");
	}
	assert_int_equal(kv_catalogue_get(p->cat, 10, &got), 0);
}

/* Recovery sends a message for each id, and takes a lock by the owner's number. */
static void strangers_reservations_are_refused(void **state)
{
	static const char *const rows[] = {
		"(99, 7, 0, 65)",	"(99, 7, -1, 1)",  "(99, -1, 0, 1)",
		"(99, 1 << 40, 0, 1)",	"(99, 7, 0, 1.5)", "(99, 7, 0, -1)",
		"(99, 7, 16777215, 2)",
	};
	struct place *p = *state;
	struct kv_reservation res;
	char text[128];

	for (size_t i = 0; i < KV_ARRAY_SIZE(rows); i++) {
		(void)snprintf(text, sizeof(text), "INSERT INTO reservation VALUES %s",
			       rows[i]);
		sql(p, text);
		assert_int_equal(kv_catalogue_next_reservation(p->cat, 0, &res),
				 -EUCLEAN);
		sql(p, "DELETE FROM reservation");
	}
}

static void strangers_pools_are_refused(void **state)
{
	static const char *const changes[] = {
		"max_volumes = 0",	     "max_volumes = -1",
		"max_volumes = 1 << 24",     "snapshots = -1",
		"block_bytes = 0",	     "block_bytes = 65536.5",
		"uuid = CAST(uuid AS BLOB)", "name = 'a' || char(0)",
	};
	struct place *p = *state;
	struct kv_pool_row got;
	char text[128];

	for (size_t i = 0; i < KV_ARRAY_SIZE(changes); i++) {
		sql(p, "CREATE TABLE keep AS SELECT * FROM pool");
		(void)snprintf(text, sizeof(text), "UPDATE pool SET %s", changes[i]);
		sql(p, text);
		assert_int_equal(kv_catalogue_pool(p->cat, &got), -EUCLEAN);
		sql(p,
		    "DELETE FROM pool; INSERT INTO pool SELECT * FROM keep; DROP TABLE keep");
	}
	assert_int_equal(kv_catalogue_pool(p->cat, &got), 0);
}

/* Changes are refused, and nothing else: repair has to get at the rows. */
static void strangers_tallies_are_refused(void **state)
{
	static const char *const changes[] = {
		"n_volumes = -1",
		"n_volumes = 16777217",
		"n_volumes = 1.5",
		"n_volumes = 'x'",
		"n_volumes = x'31'",
		"n_snapshots = -1",
		"n_snapshots = 16777217",
		"n_volumes = 16777216, n_snapshots = 1",
		"pages = -1",
		"pages = 1e30",
		"thick_pages = -1",
		"thick_pages = 2, thick_blocks = 1",	   /* of 1 page in all */
		"thick_pages = 1",			   /* in no block */
		"thick_blocks = -1",
		"thick_blocks = 1 << 60",
		"block_bytes = 0",
	};
	uint64_t a = 7, b = 7, epoch = 7;
	struct kv_reservation res = { .row = -1 };
	struct kv_row row = make(2, "b"), got;
	struct place *p = *state;
	char text[128];

	insert(p, 1, "a");
	for (size_t i = 0; i < KV_ARRAY_SIZE(changes); i++) {
		sql(p, "CREATE TABLE keep AS SELECT * FROM pool");
		(void)snprintf(text, sizeof(text), "UPDATE pool SET %s", changes[i]);
		sql(p, text);
		if (kv_catalogue_counts(p->cat, &a, &b) != -EUCLEAN)
			print_error("hostile tally: %s\n", changes[i]);
		assert_int_equal(kv_catalogue_counts(p->cat, &a, &b), -EUCLEAN);
		assert_int_equal(kv_catalogue_provisioned(p->cat, NULL, &a, &b), -EUCLEAN);
		assert_int_equal(kv_catalogue_insert(p->cat, &row), -EUCLEAN);
		assert_int_equal(kv_catalogue_resize(p->cat, 1, 8192, 0), -EUCLEAN);
		assert_int_equal(kv_catalogue_bury(p->cat, 1), -EUCLEAN);
		assert_int_equal(
			kv_catalogue_reserve(p->cat, OWNER, 1, NULL, 0, &res, &epoch),
			-EUCLEAN);
		assert_int_equal(kv_catalogue_get(p->cat, 1, &got), 0);
		assert_int_equal(got.bytes, 4096);
		sql(p,
		    "DELETE FROM pool; INSERT INTO pool SELECT * FROM keep; DROP TABLE keep");
	}
	assert_int_equal(a + b + epoch, 21);
	assert_int_equal(res.row, -1);

	/* One that could be, and is not: what was never in it cannot go. */
	sql(p, "UPDATE pool SET n_volumes = 0, pages = 0");
	assert_int_equal(kv_catalogue_bury(p->cat, 1), -EUCLEAN);
	assert_int_equal(kv_catalogue_get(p->cat, 1, &got), 0);
	assert_int_equal(kv_catalogue_check(p->cat, false), 1);
	assert_int_equal(kv_catalogue_check(p->cat, true), 1);
	assert_int_equal(kv_catalogue_check(p->cat, false), 0);
	assert_int_equal(kv_catalogue_bury(p->cat, 1), 0);
}

/* No verb will ever take one of them out of it. */
static void strangers_rows_are_not_in_the_tally(void **state)
{
	struct place *p = *state;
	uint64_t volumes, snapshots;

	insert(p, 1, "a");
	insert(p, 2, "b");
	sql(p, "UPDATE volume SET bytes = -4096 WHERE id = 2");
	assert_int_equal(kv_catalogue_bury(p->cat, 2), -EUCLEAN);
	assert_int_equal(kv_catalogue_check(p->cat, true), 1);
	assert_int_equal(kv_catalogue_counts(p->cat, &volumes, &snapshots), 0);
	assert_int_equal(volumes, 1);
}

/* --- Two handles ------------------------------------------------------------------ */

static void two_handles_see_each_others_commits(void **state)
{
	struct kv_catalogue *other;
	struct place *p = *state;
	struct kv_row got;

	assert_int_equal(kv_catalogue_open(open_dir(), &other), 0);
	insert(p, 1, "a");
	assert_int_equal(kv_catalogue_find(other, "a", &got), 0);
	assert_int_equal(kv_catalogue_bury(other, 1), 0);
	assert_int_equal(kv_catalogue_find(p->cat, "a", &got), -ENOENT);
	kv_catalogue_close(other);
	kv_catalogue_close(NULL);
	kv_cursor_close(NULL);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(row_is_read_as_it_was_written),
		in_place(name_and_id_are_taken_once),
		in_place(changes_need_a_row_with_a_name),
		in_place(failed_commit_changes_nothing),
		in_place(counts_are_of_what_has_a_name),
		in_place(tally_goes_with_the_rows),
		in_place(tally_of_huge_volumes_is_exact),
		in_place(tombstones_go_with_the_next_commit_or_the_close),
		in_place(batch_of_tombstones_goes_with_the_next_commit),
		in_place(forgotten_tombstone_survives_a_failed_commit),
		in_place(failed_commit_is_in_doubt_until_one_succeeds),
		in_place(any_number_of_tombstones_may_be_forgotten),
		in_place(living_row_is_never_forgotten),
		in_place(spare_rows_are_found_in_order),
		in_place(reservations_ascend_and_move_the_epoch_on),
		in_place(what_was_not_used_is_given_back),
		in_place(finished_reservations_go_with_the_next),
		in_place(failed_reservation_leaves_its_outputs_alone),
		in_place(rows_tombstones_and_reservations_are_stepped_over),
		in_place(ids_wrap_around_over_what_is_in_the_way),
		in_place(next_id_out_of_range_begins_anew),
		in_place(limit_counts_rows_and_reservations_but_no_tombstones),
		in_place(snapshots_are_refused_where_the_count_ends),
		in_place(hostile_rows_are_refused),
		in_place(hostile_tombstones_and_reservations_are_refused),
		in_place(what_is_no_catalogue_is_refused),
		in_place(strangers_schemas_are_refused),
		in_place(strangers_values_are_refused),
		in_place(strangers_reservations_are_refused),
		in_place(strangers_pools_are_refused),
		in_place(strangers_tallies_are_refused),
		in_place(strangers_rows_are_not_in_the_tally),
		in_place(two_handles_see_each_others_commits),
	};

	return cmocka_run_group_tests_name("catalogue", tests, NULL, NULL);
}
