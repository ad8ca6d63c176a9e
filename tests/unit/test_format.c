/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Making pools, on the model: blank space only, the partition table last, and nothing
 * left of a failure.
 */

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

static int format(struct fixture *f, uint64_t file_bytes, uint32_t flags)
{
	struct kvol_format_opts o = { .size = sizeof(o),
				      .file_bytes = file_bytes,
				      .flags = flags };

	return kvol_pool_format(f->ctx, POOL_NAME, f->path, &o, &f->e);
}

static void make_file(struct fixture *f, const char *head, off_t bytes)
{
	int fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_int_equal(kv_pwrite_full(fd, head, strlen(head), 0), 0);
	(void)close(fd);
}

static void nothing_is_left(struct fixture *f)
{
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
	assert_int_equal(model_n_mounts(), 0);
	(void)f;
}

static void formatted_file_is_a_pool(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	succeeds(f, format(f, POOL_BYTES, 0));
	nothing_is_left(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, POOL_BYTES);
	assert_int_equal(st.st_mode & 07777, 0600);
	open_pool(f);
	assert_string_equal(pool_info(f).name, POOL_NAME);
	assert_int_equal(pool_info(f).max_volumes, 1024);
}

static void format_again_is_nothing_and_different_is_refused(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o) };
	struct fixture *f = *state;
	char uuid[40];

	succeeds(f, format(f, POOL_BYTES, 0));
	succeeds(f, format(f, POOL_BYTES, 0));
	succeeds(f, format(f, 0, 0));
	nothing_is_left(f);
	open_pool(f);
	memcpy(uuid, pool_info(f).uuid, sizeof(uuid));
	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, format(f, POOL_BYTES, 0)); /* active, and stays so */
	assert_true(exists(f, "v"));
	fails(f, format(f, POOL_BYTES, KVOL_FORMAT_FORCE), -EBUSY, KVOL_R_BUSY_OPEN);
	fails(f, format(f, POOL_BYTES + 65536, 0), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_pool_format(f->ctx, "other", f->path, &o, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	o.block_bytes = 1 << 20;
	fails(f, kvol_pool_format(f->ctx, POOL_NAME, f->path, &o, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	o.block_bytes = 65536;
	o.max_volumes = 1024;
	succeeds(f, kvol_pool_format(f->ctx, POOL_NAME, f->path, &o, &f->e));
	o.max_volumes = 1025;
	fails(f, kvol_pool_format(f->ctx, POOL_NAME, f->path, &o, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	succeeds(f, format(f, 0, KVOL_FORMAT_FORCE));
	open_pool(f);
	assert_string_not_equal(pool_info(f).uuid, uuid);
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 0);
}

static void signatures_are_respected_unless_forced(void **state)
{
	static const char *const heads[] = { "SIG:xfs", "SIG:LVM2_member",
					     "what is this" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(heads); i++) {
		make_file(f, heads[i], POOL_BYTES);
		fails(f, format(f, 0, 0), -EEXIST, KVOL_R_HAS_SIGNATURE);
		if (!strncmp(heads[i], "SIG:", 4))
			assert_non_null(strstr(f->e.msg, heads[i] + 4));
		fails(f, format(f, POOL_BYTES, 0), -EEXIST, KVOL_R_HAS_SIGNATURE);
		nothing_is_left(f);
	}
	succeeds(f, format(f, 0, KVOL_FORMAT_FORCE));
	open_pool(f);
}

static void unreadable_is_not_blank(void **state)
{
	struct fixture *f = *state;

	make_file(f, "", POOL_BYTES);
	model_fail("probe", 1, -EIO);
	fails(f, format(f, 0, 0), -EIO, KVOL_R_IO);
	model_fail("gpt read", 1, -EIO);
	fails(f, format(f, 0, 0), -EIO, KVOL_R_IO);
	succeeds(f, format(f, 0, 0));
}

static void damaged_pool_is_not_blank(void **state)
{
	struct fixture *f = *state;

	succeeds(f, format(f, POOL_BYTES, 0));
	assert_int_equal(truncate(f->path, POOL_BYTES / 2), 0);
	fails(f, format(f, 0, 0), -EEXIST, KVOL_R_HAS_SIGNATURE);
	succeeds(f, format(f, 0, KVOL_FORMAT_FORCE));
}

static void bad_arguments_are_refused(void **state)
{
	static const char *const names[] = { "", ".", "-x", "a/b", "a b", "\xc3\xa4" };
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = POOL_BYTES };
	struct fixture *f = *state;
	char long_name[KV_POOL_NAME_MAX + 2];

	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++)
		fails(f, kvol_pool_format(f->ctx, names[i], f->path, &o, &f->e), -EINVAL,
		      KVOL_R_INVALID);
	memset(long_name, 'x', sizeof(long_name));
	long_name[KV_POOL_NAME_MAX + 1] = '\0';
	fails(f, kvol_pool_format(f->ctx, long_name, f->path, &o, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_format(NULL, "x", f->path, &o, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_format(f->ctx, NULL, f->path, &o, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_format(f->ctx, "x", NULL, &o, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_pool_format(f->ctx, "x", "", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, format(f, POOL_BYTES, 1u << 30), -EINVAL, KVOL_R_INVALID);
	fails(f, format(f, UINT64_MAX, 0), -EINVAL, KVOL_R_INVALID);
	fails(f, format(f, 4096, 0), -EINVAL, KVOL_R_INVALID);
	assert_non_null(strstr(f->e.msg, "at least"));
	o.block_bytes = 65537;
	fails(f, kvol_pool_format(f->ctx, "x", f->path, &o, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	o.block_bytes = UINT64_C(2) << 30;
	fails(f, kvol_pool_format(f->ctx, "x", f->path, &o, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	o.block_bytes = 0;
	o.max_volumes = 1 << 24;
	fails(f, kvol_pool_format(f->ctx, "x", f->path, &o, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, format(f, 0, 0), -ENOENT, KVOL_R_NOT_FOUND);
	assert_int_equal(access(f->path, F_OK), -1);
	fails(f, kvol_pool_format(f->ctx, "x", model->dir, NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_format(f->ctx, "x", "/dev/null", NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	nothing_is_left(f);
}

static void file_that_somebody_locked_is_busy(void **state)
{
	struct fixture *f = *state;
	int fd;

	make_file(f, "", POOL_BYTES);
	fd = open(f->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	fails(f, format(f, 0, 0), -EBUSY, KVOL_R_BUSY_OPEN);
	(void)close(fd);
	succeeds(f, format(f, 0, 0));
}

static const struct {
	const char *step;
	unsigned nth;
} all_steps[] = {
	{ "loop attach", 1 },	  { "device zero", 1 },	 { "device zero", 2 },
	{ "dm create", 1 },	  { "dm load", 1 },	 { "dm resume", 1 },
	{ "spawn mkfs.ext4", 1 }, { "mount", 1 },	 { "mount root", 1 },
	{ "dm create", 2 },	  { "dm load", 3 },	 { "dm create", 4 },
	{ "dm load", 4 },	  { "dm status", 1 },	 { "dm remove", 1 },
	{ "device flush", 1 },	  { "device flush", 2 }, { "gpt write", 1 },
};

static void failed_format_leaves_neither_file_nor_devices(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(all_steps); i++) {
		/* Taking down is tried again: nobody else would do it later. */
		model_fail(all_steps[i].step,
			   strcmp(all_steps[i].step, "dm remove") ? all_steps[i].nth : 0,
			   -EIO);
		fails(f, format(f, POOL_BYTES, 0), -EIO, KVOL_R_IO);
		assert_int_equal(access(f->path, F_OK), -1);
		model_forget_plans();
		if (strcmp(all_steps[i].step, "dm remove"))
			nothing_is_left(f);
		model_power_cut();
	}
	model_fail("dm remove", 1, -EIO);
	succeeds(f, format(f, POOL_BYTES, 0));
	nothing_is_left(f);
	assert_int_equal(unlink(f->path), 0);
	model_fail("spawn mkfs.ext4", 1, -ENOENT);
	fails(f, format(f, POOL_BYTES, 0), -EINVAL, KVOL_R_UNSUPPORTED);
	model->no_device_mapper = true;
	fails(f, format(f, POOL_BYTES, 0), -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT);
	model->no_device_mapper = false;
	model->no_thin_target = true;
	fails(f, format(f, POOL_BYTES, 0), -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT);
	assert_int_equal(access(f->path, F_OK), -1);
	nothing_is_left(f);
}

/* Killed between making the file and giving it its size. */
static void empty_file_is_given_its_size(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	make_file(f, "", 0);
	model_fail("spawn mkfs.ext4", 1, -EIO);
	fails(f, format(f, POOL_BYTES, 0), -EIO, KVOL_R_IO);
	assert_int_equal(stat(f->path, &st), 0); /* it was there before */
	assert_int_equal(st.st_size, 0);
	succeeds(f, format(f, POOL_BYTES, 0));
	open_pool(f);
}

static void announce(struct fixture *f, const char *uuid)
{
	char path[MODEL_PATH + 64];
	int fd;

	(void)mkdir(f->run_dir, 0700);
	(void)snprintf(path, sizeof(path), "%s/format-%s", f->run_dir, uuid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	(void)close(fd);
}

/* Announced, and open: it stays, and is in nobody's way. */
static void leftover_that_is_open_waits_for_the_next_format(void **state)
{
	static const char uuid[] = "3a6bd5c1-0000-4000-8000-000000000001";
	struct fixture *f = *state;
	struct kv_dm_id id;
	int fd;

	kv_dm_id_part(&id, uuid, "catalogue");
	announce(f, uuid);
	announce(f, "3A6BD5C1-not-a-uuid");
	model_lock();
	model->devs[0] = (struct model_dev){ .used = true, .id = id };
	model->devs[0].table.live = true;
	model_unlock();
	fd = kv_blockdev_open(model_dev_number(&model->devs[0]), O_RDONLY);
	assert_true(fd >= 0);
	succeeds(f, format(f, POOL_BYTES, 0));
	assert_int_equal(model_n_devs(), 1);
	(void)close(fd);
	assert_int_equal(unlink(f->path), 0);
	succeeds(f, format(f, POOL_BYTES, 0));
	nothing_is_left(f);
}

static int open_only(void *arg)
{
	struct fixture *f = arg;
	struct kvol_pool *pool;

	return kvol_pool_open(f->ctx, f->path, NULL, &pool, NULL) < 0;
}

/* Under a UUID that will be on no disk any more. */
static void killed_open_is_no_obstacle_to_force(void **state)
{
	static const char *const steps[] = { "dm load", "dm resume", "mount" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		succeeds(f, format(f, POOL_BYTES, KVOL_FORMAT_FORCE));
		model_crash(steps[i], 1);
		assert_int_equal(model_in_child(open_only, f), MODEL_CRASHED);
		model_forget_plans();
		assert_true(model_n_devs() > 0);
		succeeds(f, format(f, POOL_BYTES, KVOL_FORMAT_FORCE));
		nothing_is_left(f);
	}
}

static int format_only(void *arg)
{
	struct fixture *f = arg;

	return format(f, 0, KVOL_FORMAT_FORCE) < 0;
}

/* Not even what it was before. */
static void killed_format_leaves_no_pool(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *pool;

	for (size_t i = 0; i < KV_ARRAY_SIZE(all_steps); i++) {
		make_file(f, "", POOL_BYTES);
		succeeds(f, format(f, 0, 0));
		model_crash(all_steps[i].step, all_steps[i].nth);
		assert_int_equal(model_in_child(format_only, f), MODEL_CRASHED);
		model_forget_plans();
		if (i > 0)
			fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e),
			      -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
		model_power_cut();
		succeeds(f, format(f, 0, KVOL_FORMAT_FORCE));
		succeeds(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e));
		assert_int_equal(kvol_pool_deactivate(pool, NULL), 0);
		kvol_pool_close(pool);
	}
}

/* By the next process, of the same kernel: what the first has mapped is in the way. */
static void killed_format_is_made_up_for_at_once(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(all_steps); i++) {
		make_file(f, "", POOL_BYTES);
		model_crash(all_steps[i].step, all_steps[i].nth);
		assert_int_equal(model_in_child(format_only, f), MODEL_CRASHED);
		model_forget_plans();
		succeeds(f, format(f, 0, 0));
		nothing_is_left(f);
		model_power_cut();
	}
}

/* Whose disk somebody has cleared meanwhile. */
static void active_pool_is_nobodys_leftover(void **state)
{
	const char zeros[4096] = { 0 };
	struct fixture *f = *state;
	int fd;

	succeeds(f, format(f, POOL_BYTES, 0));
	open_pool(f);
	fd = open(f->path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	(void)close(fd);
	fails(f, format(f, 0, 0), -EBUSY, KVOL_R_BUSY_OPEN);
	fails(f, format(f, 0, KVOL_FORMAT_FORCE), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_int_equal(model_n_devs(), 4);
	succeeds(f, create_volume(f, "v", NULL));
}

static void device_that_is_looked_at_for_a_moment_does_no_harm(void **state)
{
	struct fixture *f = *state;

	model_fail("dm remove", 1, -EBUSY);
	succeeds(f, format(f, POOL_BYTES, 0));
	nothing_is_left(f);
	open_pool(f);
}

#define on_machine(test) cmocka_unit_test_setup_teardown(test, setup_machine, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_machine(formatted_file_is_a_pool),
		on_machine(format_again_is_nothing_and_different_is_refused),
		on_machine(signatures_are_respected_unless_forced),
		on_machine(unreadable_is_not_blank),
		on_machine(damaged_pool_is_not_blank),
		on_machine(bad_arguments_are_refused),
		on_machine(file_that_somebody_locked_is_busy),
		on_machine(failed_format_leaves_neither_file_nor_devices),
		on_machine(empty_file_is_given_its_size),
		on_machine(leftover_that_is_open_waits_for_the_next_format),
		on_machine(killed_open_is_no_obstacle_to_force),
		on_machine(killed_format_leaves_no_pool),
		on_machine(killed_format_is_made_up_for_at_once),
		on_machine(active_pool_is_nobodys_leftover),
		on_machine(device_that_is_looked_at_for_a_moment_does_no_harm),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
