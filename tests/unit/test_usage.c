/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a volume alone has in the pool, on the model: which blocks count, and that the
 * metadata snapshot is held for no longer than a call, or a process, lives.
 */

#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

#define BLOCK 65536u
#define MKFS  4u /* blocks that the model's file systems take */

static struct kvol_usage_info usage_of(struct fixture *f, const char *name)
{
	struct kvol_usage_info info = { .size = sizeof(info) };

	succeeds(f, kvol_usage(f->pool, name, &info, &f->e));
	assert_int_equal(info.flags, 0);
	assert_false(disk_of(f)->metadata.snapshot);
	return info;
}

static void is(struct fixture *f, const char *name, uint64_t exclusive, uint64_t shared)
{
	struct kvol_usage_info info = usage_of(f, name);

	assert_int_equal(info.exclusive, exclusive * BLOCK);
	assert_int_equal(info.shared, shared * BLOCK);
	assert_int_equal(info.exclusive + info.shared, info_of(f, name).allocated);
}

/* Somebody writes to n blocks, from the one at `at` on. */
static void write_to(struct fixture *f, const char *name, unsigned at, unsigned n)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };

	model_file("/dev.img", S_IFREG);
	succeeds(f, kvol_publish(f->pool, name, "/dev.img", &o, &f->e));
	model_write(model_dev_number(dev_of(f, name, false)), at, n);
	succeeds(f, kvol_unpublish(f->pool, name, "/dev.img", NULL, &f->e));
}

static void what_nobody_copied_is_exclusive(void **state)
{
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "raw", MIB, NULL, &f->e));
	is(f, "raw", 0, 0);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "w", "ext4"));
	is(f, "v", MKFS, 0);
	is(f, "w", MKFS, 0);
}

static void copies_share_until_they_are_written_or_gone(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "other", "ext4"));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	is(f, "v", 0, MKFS);
	is(f, "s", 0, MKFS);
	write_to(f, "v", 1, 4); /* three of them, and one more */
	is(f, "v", 4, 1);
	is(f, "s", 3, 1);
	succeeds(f, kvol_clone(f->pool, "s", "c", NULL, &f->e));
	is(f, "s", 0, 4);
	is(f, "c", 0, 4);
	is(f, "v", 4, 1);
	write_to(f, "c", 0, 1);
	is(f, "c", 1, 3);
	is(f, "s", 0, 4); /* with v and with c */
	succeeds(f, kvol_delete(f->pool, "s", 0, &f->e));
	is(f, "c", 4, 0);
	is(f, "v", 5, 0);
	is(f, "other", MKFS, 0);
}

static void many_devices_are_looked_at(void **state)
{
	struct fixture *f = *state;
	char name[16];

	succeeds(f, create_volume(f, "v", "ext4"));
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
	}
	succeeds(f, kvol_clone(f->pool, "v", "last", NULL, &f->e));
	is(f, "v", 0, MKFS);
	is(f, "last", 0, MKFS);
	write_to(f, "last", 0, 2);
	is(f, "v", 2, 2);
}

static int ask(struct kvol_pool *pool, void *arg)
{
	struct kvol_usage_info info = { .size = sizeof(info) };

	return kvol_usage(pool, arg, &info, NULL);
}

static void crash_leaves_no_metadata_snapshot(void **state)
{
	struct fixture *f = *state;
	char name[] = "v";

	succeeds(f, create_volume(f, "v", "ext4"));
	/* The next call, and the next open. */
	killed_at(f, "message release_metadata_snap", 1, ask, name);
	assert_true(disk_of(f)->metadata.snapshot);
	is(f, "v", MKFS, 0);
	killed_at(f, "message release_metadata_snap", 1, ask, name);
	assert_true(disk_of(f)->metadata.snapshot);
	reopen_pool(f);
	assert_false(disk_of(f)->metadata.snapshot);
	/* What cannot be let go keeps nobody from opening. */
	killed_at(f, "message release_metadata_snap", 1, ask, name);
	close_pool(f);
	model_fail("message release_metadata_snap", 1, -EIO);
	open_pool(f);
	is(f, "v", MKFS, 0);
}

static void one_asks_after_the_other(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir = -1;
	struct kvol_usage_info info = { .size = sizeof(info) };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	dir = open_run_pool(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_SNAPSHOT, 0, &lock), 0);
	disk_of(f)->metadata.snapshot = true; /* of the one who has the lock */
	model->deadline_divisor = 2400;
	fails(f, kvol_usage(f->pool, "v", &info, &f->e), -ETIMEDOUT, KVOL_R_TIMEOUT);
	model->deadline_divisor = 1;
	reopen_pool(f);
	assert_true(disk_of(f)->metadata.snapshot);
	kv_lock_release(&lock);
	is(f, "v", MKFS, 0);
}

static void errors_are_told(void **state)
{
	struct kvol_usage_info info = { .size = sizeof(info) }, small = { .size = 4 };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	fails(f, kvol_usage(NULL, "v", &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_usage(f->pool, NULL, &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_usage(f->pool, "a/b", &info, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_usage(f->pool, "v", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_usage(f->pool, "v", &small, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_usage(f->pool, "none", &info, &f->e), -ENOENT, KVOL_R_NOT_FOUND);
	model_fail("device open", 1, -EIO);
	fails(f, kvol_usage(f->pool, "v", &info, &f->e), -EIO, KVOL_R_IO);
	assert_false(disk_of(f)->metadata.snapshot);
	model_fail("message reserve_metadata_snap", 1, -EIO);
	fails(f, kvol_usage(f->pool, "v", &info, &f->e), -EIO, KVOL_R_IO);
	assert_int_equal(info.exclusive, 0);
	disk_of(f)->mode = MODEL_READ_ONLY;
	fails(f, kvol_usage(f->pool, "v", &info, &f->e), -EROFS, KVOL_R_POOL_READ_ONLY);
	disk_of(f)->mode = MODEL_OUT_OF_DATA;
	is(f, "v", MKFS, 0);
	disk_of(f)->mode = MODEL_RW;
	disk_of(f)->metadata_used = 1 << 20;
	fails(f, kvol_usage(f->pool, "v", &info, &f->e), -ENOSPC,
	      KVOL_R_NO_METADATA_SPACE);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(what_nobody_copied_is_exclusive),
		on_pool(copies_share_until_they_are_written_or_gone),
		on_pool(many_devices_are_looked_at),
		on_pool(crash_leaves_no_metadata_snapshot),
		on_pool(one_asks_after_the_other),
		on_pool(errors_are_told),
	};

	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
