/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Freeing what a large volume had, on the model: in slices, before its thin id goes, and
 * from where a crash left it.
 */

#include "fixture.h"
#include "verb.h"

#define GIB	  (UINT64_C(1) << 30)
#define LARGE	  (2 * GIB)
#define SLICES	  128 /* of 16 MiB each */

static int discards;

static int count_discards(const char *what, unsigned step)
{
	(void)step;
	discards += !strcmp(what, "device discard");
	return 0;
}

static int setup(void **state)
{
	struct kvol_format_opts opts = { .size = sizeof(opts),
					 .file_bytes = 16 * GIB,
					 .max_volumes = MAX_VOLUMES };
	struct fixture *f;

	(void)setup_machine(state);
	f = *state;
	succeeds(f, kvol_pool_format(f->ctx, POOL_NAME, f->path, &opts, &f->e));
	open_pool(f);
	discards = 0;
	model_hook = count_discards;
	return 0;
}

/* All of its blocks are there. */
static void create_thick(struct fixture *f, const char *name, uint64_t bytes)
{
	struct kvol_create_opts o = { .size = sizeof(o), .flags = KVOL_CREATE_THICK };

	succeeds(f, kvol_create(f->pool, name, bytes, &o, &f->e));
	discards = 0;
}

static int64_t tombstones(struct fixture *f)
{
	return query(f, "SELECT count(*) FROM volume WHERE name IS NULL");
}

static int delete_it(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_delete(pool, "v", 0, NULL);
}

static void large_volume_is_emptied_first(void **state)
{
	struct fixture *f = *state;

	create_thick(f, "v", LARGE);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(discards, SLICES);
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(model_n_devs(), 4);
}

static void small_or_empty_one_goes_by_its_message(void **state)
{
	struct fixture *f = *state;

	create_thick(f, "v", GIB);
	succeeds(f, kvol_create(f->pool, "w", 1024 * GIB, NULL, &f->e));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	succeeds(f, kvol_delete(f->pool, "w", 0, &f->e));
	assert_int_equal(discards, 0);
	assert_int_equal(model_thins(disk_of(f)), 0);
}

static void recovery_goes_on_where_a_crash_left_it(void **state)
{
	struct fixture *f = *state;

	create_thick(f, "v", LARGE);
	killed_at(f, "device discard", 3, delete_it, NULL);
	assert_int_equal(model_thins(disk_of(f)), 1);
	reopen_pool(f);
	assert_int_equal(discards, SLICES - 2);
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(model_n_devs(), 4);
	close_pool(f); /* notes it */
	open_pool(f);
	assert_int_equal(tombstones(f), 0);
}

/* A disk, or a pool, that takes no discards. */
static void without_discards_it_goes_all_the_same(void **state)
{
	struct fixture *f = *state;

	create_thick(f, "v", LARGE);
	model_fail("device discard", 1, -EOPNOTSUPP);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(model_n_devs(), 4);
}

static void deleted_is_deleted_though_its_device_is_held(void **state)
{
	struct fixture *f = *state;

	create_thick(f, "v", LARGE);
	model_fail("dm remove", 1, -EBUSY);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_false(exists(f, "v"));
	assert_int_equal(tombstones(f), 1);
	reopen_pool(f);
	close_pool(f);
	open_pool(f);
	assert_int_equal(tombstones(f), 0);
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(model_n_devs(), 4);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(large_volume_is_emptied_first),
		on_pool(small_or_empty_one_goes_by_its_message),
		on_pool(recovery_goes_on_where_a_crash_left_it),
		on_pool(without_discards_it_goes_all_the_same),
		on_pool(deleted_is_deleted_though_its_device_is_held),
	};

	return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
