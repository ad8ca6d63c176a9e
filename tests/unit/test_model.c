/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model itself: that it is as nasty as the kernel, so that the tests on it are worth
 * something. Each of these was seen on a real kernel.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "pool_state.h"

static int message(struct fixture *f, const char *msg)
{
	return kv_dm_message(&f->pool->dm, f->pool->pool_dm_uuid, msg);
}

/* Not through lib/device.c: what is asked here is the model. */
static struct kv_dm_id volume(struct fixture *f)
{
	struct kv_dm_id id;

	kv_dm_id_volume(&id, f->pool->conf.uuid, 7, KV_FACE_THIN);
	return id;
}

static int activate(struct fixture *f, dev_t *ret_dev)
{
	struct kv_dm_target t = { .length_sectors = MIB / KV_SECTOR, .type = "thin" };
	struct kv_dm_id id = volume(f);
	char params[KV_THIN_LINE];

	assert_int_equal(kv_thin_params(params, f->pool->stack.pool, 7), 0);
	t.params = params;
	return kv_dm_create(&f->pool->dm, &id, &t, 0, ret_dev);
}

static int halve(struct fixture *f)
{
	struct kv_dm_target t = { .length_sectors = MIB / 2 / KV_SECTOR, .type = "thin" };
	struct kv_dm_id id = volume(f);
	char params[KV_THIN_LINE];

	assert_int_equal(kv_thin_params(params, f->pool->stack.pool, 7), 0);
	t.params = params;
	return kv_dm_reload(&f->pool->dm, id.uuid, &t, 0);
}

static int deactivate(struct fixture *f)
{
	struct kv_dm_id id = volume(f);

	return kv_dm_remove(&f->pool->dm, id.uuid, 0);
}

static void messages_are_told_apart(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(message(f, "create_thin 7"), 0);
	assert_int_equal(message(f, "create_thin 7"), -EEXIST);
	assert_int_equal(message(f, "create_thin 16777215"), 0);
	assert_int_equal(message(f, "create_thin 16777216"), -EINVAL);
	assert_int_equal(message(f, "create_snap 8 9"), -ENODATA);
	assert_int_equal(message(f, "create_snap 7 7"), -EEXIST);
	assert_int_equal(message(f, "create_snap 8 7"), 0);
	assert_int_equal(message(f, "delete 9"), -ENODATA);
	assert_int_equal(message(f, "delete 8"), 0);
	assert_int_equal(message(f, "set_transaction_id 1 2"), -EINVAL);
	assert_int_equal(message(f, "set_transaction_id 0 1"), 0);
	assert_int_equal(message(f, "nonsense"), -EINVAL);
	assert_int_equal(message(f, "create_thin 7 8"), -EINVAL);
}

static void pool_that_is_read_only_or_full_takes_no_message(void **state)
{
	static const enum model_mode modes[] = { MODEL_READ_ONLY, MODEL_OUT_OF_METADATA,
						 MODEL_FAIL };
	struct fixture *f = *state;

	assert_int_equal(message(f, "create_thin 7"), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(modes); i++) {
		disk_of(f)->mode = modes[i];
		assert_int_equal(message(f, "create_thin 8"), -EOPNOTSUPP);
		assert_int_equal(message(f, "delete 7"), -EOPNOTSUPP);
	}
	disk_of(f)->mode = MODEL_OUT_OF_DATA;
	assert_int_equal(message(f, "delete 7"), 0);
}

static void lost_message_gives_zero_and_the_pool_needs_a_check(void **state)
{
	struct fixture *f = *state;
	struct kv_pool_status st;

	disk_of(f)->lose_commits = 1;
	assert_int_equal(message(f, "create_thin 7"), 0);
	assert_null(model_thin(disk_of(f), 7));
	assert_int_equal(kv_pool_status(f->pool, &st), 0);
	assert_int_equal(st.mode, KV_POOL_RO);
	assert_true(st.needs_check);
}

static void status_lines_are_the_kernels(void **state)
{
	struct fixture *f = *state;
	char line[KV_THIN_LINE];

	assert_int_equal(kv_dm_status(&f->pool->dm, f->pool->pool_dm_uuid, 0, line,
				      sizeof(line), NULL),
			 0);
	assert_non_null(strstr(line, " - rw discard_passdown error_if_no_space - 1024 "));
	disk_of(f)->mode = MODEL_OUT_OF_DATA;
	assert_int_equal(kv_dm_status(&f->pool->dm, f->pool->pool_dm_uuid, 0, line,
				      sizeof(line), NULL),
			 0);
	assert_non_null(strstr(line, " - out_of_data_space discard_passdown "));
	assert_int_equal(
		kv_dm_status(&f->pool->dm, f->pool->pool_dm_uuid, 0, line, 8, NULL),
		-ENOSPC);
	disk_of(f)->mode = MODEL_FAIL;
	assert_int_equal(kv_dm_status(&f->pool->dm, f->pool->pool_dm_uuid, 0, line,
				      sizeof(line), NULL),
			 0);
	assert_string_equal(line, "Fail");
}

static void active_id_is_not_deleted_and_missing_one_not_activated(void **state)
{
	struct fixture *f = *state;
	dev_t dev;

	assert_int_equal(activate(f, &dev), -ENODATA);
	assert_int_equal(message(f, "create_thin 7"), 0);
	assert_int_equal(activate(f, &dev), 0);
	assert_int_equal(message(f, "delete 7"), -EBUSY);
	assert_int_equal(deactivate(f), 0);
	assert_int_equal(message(f, "delete 7"), 0);
}

static void names_and_uuids_are_taken_once(void **state)
{
	struct fixture *f = *state;
	struct kv_dm_id id = { "a", "A" };
	struct kv_dm_target t = { .length_sectors = 8, .type = "linear" };
	char params[KV_THIN_LINE];

	assert_int_equal(kv_thin_linear_params(params, f->pool->stack.member, 0), 0);
	t.params = params;
	assert_int_equal(kv_dm_create(&f->pool->dm, &id, &t, 0, NULL), 0);
	id.uuid[0] = 'B';
	assert_int_equal(kv_dm_create(&f->pool->dm, &id, &t, 0, NULL), -EEXIST);
	id.uuid[0] = 'A';
	id.name[0] = 'b';
	assert_int_equal(kv_dm_create(&f->pool->dm, &id, &t, 0, NULL), -EEXIST);
	assert_int_equal(kv_dm_remove(&f->pool->dm, "A", 0), 0);
	assert_int_equal(kv_dm_remove(&f->pool->dm, "A", 0), -ENXIO);
}

/* The teardown's assertions have something to see. */
static void disasters_are_seen(void **state)
{
	_cleanup_close_ int fd = -1;
	struct fixture *f = *state;
	dev_t dev;
	struct kv_dm_id id;

	assert_int_equal(message(f, "create_thin 7"), 0);
	assert_int_equal(activate(f, &dev), 0);
	assert_int_equal(message(f, "create_snap 8 7"), 0);
	assert_true(model_thin(disk_of(f), 8)->content.torn);
	assert_string_not_equal(model->disaster, "");
	model->disaster[0] = '\0';
	assert_int_equal(message(f, "delete 8"), 0);
	id = volume(f);
	assert_int_equal(kv_dm_suspend(&f->pool->dm, id.uuid, KV_DM_LOCKFS), 0);
	assert_string_not_equal(model->disaster, ""); /* signals were not blocked */
	model->disaster[0] = '\0';
	assert_int_equal(message(f, "create_snap 8 7"), 0);
	assert_string_equal(model->disaster, "");
	assert_int_equal(kv_dm_resume(&f->pool->dm, id.uuid), 0);
	fd = kv_blockdev_open(dev, O_RDWR);
	assert_int_equal(halve(f), 0);
	assert_string_not_equal(model->disaster, ""); /* smaller, for who has it open */
	model->disaster[0] = '\0';
	fd = kv_close(fd);
	assert_int_equal(kv_device_deactivate(f->pool, 7, 0), 0);
	assert_int_equal(activate(f, &dev), 0);
	model_thin(disk_of(f), 7)->content.bytes = MIB;
	assert_int_equal(halve(f), 0);
	assert_string_not_equal(model->disaster, ""); /* than its file system */
	model->disaster[0] = '\0';
}

static void *resume_soon(void *arg)
{
	struct fixture *f = arg;
	struct kv_dm_id id;

	(void)usleep(20000);
	kv_dm_id_volume(&id, f->pool->conf.uuid, 7, KV_FACE_THIN);
	return kv_dm_resume(&f->pool->dm, id.uuid) < 0 ? arg : NULL;
}

static void io_on_a_suspended_device_waits(void **state)
{
	_cleanup_close_ int fd = -1;
	struct fixture *f = *state;
	dev_t dev;
	struct kv_dm_id id;
	pthread_t thread;
	void *failed;

	assert_int_equal(message(f, "create_thin 7"), 0);
	assert_int_equal(activate(f, &dev), 0);
	fd = kv_blockdev_open(dev, O_RDWR);
	id = volume(f);
	assert_int_equal(kv_dm_suspend(&f->pool->dm, id.uuid, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, resume_soon, f), 0);
	assert_int_equal(kv_blockdev_flush(fd), 0);
	assert_int_equal(pthread_join(thread, &failed), 0);
	assert_null(failed);
	assert_false(model_dev(id.uuid)->suspended);
}

static int open_and_leave(void *arg)
{
	return kv_blockdev_open(*(dev_t *)arg, O_RDWR) < 0;
}

static void dead_processes_have_nothing_open(void **state)
{
	struct fixture *f = *state;
	dev_t dev;
	int fd, copy;

	assert_int_equal(message(f, "create_thin 7"), 0);
	assert_int_equal(activate(f, &dev), 0);
	assert_int_equal(model_in_child(open_and_leave, &dev), 0);
	model_sweep();
	assert_int_equal(model_openers(dev), 0);
	fd = kv_blockdev_open(dev, O_RDWR);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	(void)close(fd);
	assert_int_equal(deactivate(f), -EBUSY);
	(void)close(copy);
	assert_int_equal(deactivate(f), 0);
}

static void mount_ids_are_used_again_lowest_first(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	(void)f;
	model_file("/a", S_IFDIR);
	model_file("/b", S_IFDIR);
	model_mount_stranger(NULL, "/a");
	model_mount_stranger(NULL, "/b");
	id = model_mount_at(NULL, "/a")->mnt_id;
	assert_int_equal(model_mount_at(NULL, "/b")->mnt_id, id + 1);
	model_umount(NULL, "/a");
	model_mount_stranger(NULL, "/b");
	assert_int_equal(model_mount_at(NULL, "/b")->mnt_id, id);
	model_umount(NULL, "/b");
	assert_int_equal(model_mount_at(NULL, "/b")->mnt_id, id + 1);
}

static void saved_disks_come_back_whole(void **state)
{
	struct fixture *f = *state;
	struct model_saved *saved;

	succeeds(f, create_volume(f, "v", "ext4"));
	close_pool(f);
	saved = model_save();
	open_pool(f);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	succeeds(f, create_volume(f, "w", NULL));
	close_pool(f);
	for (int i = 0; i < 2; i++) {
		model_power_cut();
		model_restore(saved);
		open_pool(f);
		assert_int_equal(pool_info(f).flags, 0);
		assert_true(exists(f, "v"));
		assert_false(exists(f, "w"));
		assert_string_equal(thin_of(f, "v")->content.fs, "ext4");
		close_pool(f);
	}
	model_saved_free(saved);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(messages_are_told_apart),
		on_pool(pool_that_is_read_only_or_full_takes_no_message),
		on_pool(lost_message_gives_zero_and_the_pool_needs_a_check),
		on_pool(status_lines_are_the_kernels),
		on_pool(active_id_is_not_deleted_and_missing_one_not_activated),
		on_pool(names_and_uuids_are_taken_once),
		on_pool(disasters_are_seen),
		on_pool(io_on_a_suspended_device_waits),
		on_pool(dead_processes_have_nothing_open),
		on_pool(mount_ids_are_used_again_lowest_first),
		on_pool(saved_disks_come_back_whole),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
