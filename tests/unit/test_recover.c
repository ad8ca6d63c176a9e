/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Recovery, on the model: what each killed verb leaves is finished or undone by the next
 * open, living processes are left alone, and a catalogue and a thin pool that do not
 * belong together are only read.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

static int create_x(struct kvol_pool *pool, void *arg)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };

	(void)arg;
	return kvol_create(pool, "x", 512 * MIB, &o, NULL);
}

static int snapshot_x(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_snapshot(pool, "v", "x", NULL, NULL);
}

/* arg: somebody has unmounted it by hand, so that its device is still active. */
static int delete_v(struct kvol_pool *pool, void *arg)
{
	if (arg)
		model_umount(NULL, "/v");
	return kvol_delete(pool, "v", 0, NULL);
}

static void nothing_is_owed(struct fixture *f)
{
	close_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
	assert_int_equal(query(f, "SELECT count(*) FROM volume WHERE name IS NULL"), 0);
	assert_int_equal(query(f, "SELECT epoch FROM pool"),
			 disk_of(f)->metadata.transaction_id);
	open_pool(f);
}

static void killed_create_leaves_nothing(void **state)
{
	/* The first commit and the first message are the reservation's. */
	static const struct {
		const char *step;
		unsigned nth;
	} steps[] = {
		{ "commit", 1 },
		{ "message set_transaction_id", 1 },
		{ "message create_thin", 1 },
		{ "dm create", 1 },
		{ "dm load", 1 },
		{ "dm resume", 1 },
		{ "mkfs", 1 },
		{ "device flush", 1 },
		{ "dm remove", 1 },
		{ "dm remove", 2 },
		{ "commit", 2 },
	};
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		killed_at(f, steps[i].step, steps[i].nth, create_x, NULL);
		reopen_pool(f);
		assert_false(exists(f, "x"));
		assert_int_equal(model_thins(disk_of(f)), 1);
		assert_int_equal(model_n_devs(), 4);
		nothing_is_owed(f);
		succeeds(f, create_volume(f, "x", "ext4"));
		succeeds(f, kvol_delete(f->pool, "x", 0, &f->e));
	}
}

static void killed_snapshot_leaves_nothing_and_nobody_frozen(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
	} steps[] = {
		{ "commit", 1 },
		{ "message set_transaction_id", 1 },
		{ "mount", 1 },
		{ "dm suspend", 1 },
		{ "message create_snap", 1 },
		{ "dm resume", 1 },
		{ "dm status", 4 },
		{ "commit", 2 },
	};
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		killed_at(f, steps[i].step, steps[i].nth, snapshot_x, NULL);
		reopen_pool(f);
		assert_false(dev_of(f, "v", false)->suspended);
		assert_false(exists(f, "x"));
		assert_int_equal(model_thins(disk_of(f)), 1);
		nothing_is_owed(f);
		succeeds(f, kvol_snapshot(f->pool, "v", "x", NULL, &f->e));
		succeeds(f, kvol_delete(f->pool, "x", 0, &f->e));
	}
}

/* Not only by the next to activate it: by whoever opens it, while others have it open. */
static void frozen_volume_is_resumed_by_any_open(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	killed_at(f, "message create_snap", 1, snapshot_x, NULL);
	assert_true(dev_of(f, "v", false)->suspended);
	f->log_priority = 99;
	kvol_pool_close(another_handle(f));
	assert_false(dev_of(f, "v", false)->suspended);
	assert_int_equal(f->log_priority, LOG_WARNING);
}

static void volume_that_somebody_works_on_is_not_resumed(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	dir = open_run_pool(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_VOLUME(id_of(f, "v")), 0, &lock), 0);
	dev_of(f, "v", false)->suspended = true;
	kvol_pool_close(another_handle(f));
	assert_true(dev_of(f, "v", false)->suspended);
	kv_lock_release(&lock);
	kvol_pool_close(another_handle(f));
	assert_false(dev_of(f, "v", false)->suspended);
}

static void killed_delete_is_whole_or_nothing(void **state)
{
	static const struct {
		const char *step;
		unsigned nth;
		bool gone;
	} steps[] = {
		{ "dm remove", 1, false },
		{ "commit", 1, false },
		{ "message delete", 1, true },
		{ "dm status", 2, true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_file("/v", S_IFDIR);
		succeeds(f, create_volume(f, "v", "ext4"));
		if (i == 0)
			succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
		killed_at(f, steps[i].step, steps[i].nth, delete_v, i == 0 ? f : NULL);
		reopen_pool(f);
		assert_int_equal(exists(f, "v"), !steps[i].gone);
		assert_int_equal(model_thins(disk_of(f)), !steps[i].gone);
		succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
		nothing_is_owed(f);
	}
}

static int open_only(void *arg)
{
	struct fixture *f = arg;
	struct kvol_pool *pool;

	return -kvol_pool_open(f->ctx, f->path, NULL, &pool, NULL);
}

static void killed_recovery_is_done_again(void **state)
{
	static const char *const steps[] = { "dm list", "message delete", "commit",
					     "dm status" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		succeeds(f, create_volume(f, "v", "ext4"));
		close_pool(f);
		killed_at(f, "message delete", 1, delete_v, NULL);
		killed_at(f, "commit", 2, create_x, NULL);
		/* Opening is what is killed now. */
		model_crash(steps[i], 1);
		assert_int_equal(model_in_child(open_only, f), MODEL_CRASHED);
		model_forget_plans();
		open_pool(f);
		assert_int_equal(model_thins(disk_of(f)), 0);
		nothing_is_owed(f);
	}
}

static void living_owners_reservations_are_respected(void **state)
{
	struct kvol_pool *other;
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	for (int i = 0; i < 3; i++) {
		other = another_handle(f);
		succeeds(f, kvol_create(other, i ? "w" : "x", MIB, NULL, &f->e));
		kvol_pool_close(other);
		assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 1);
	}
	succeeds(f, create_volume(f, "y", NULL));
	assert_int_equal(id_of(f, "y"), id_of(f, "v") + 1);
	assert_int_equal(model_thins(disk_of(f)), 4);
}

/* A device that the dead one's own child still has open. */
static void busy_leftover_is_left_to_the_next_open(void **state)
{
	struct fixture *f = *state;
	struct kv_dm_id id;
	int fd;

	close_pool(f);
	killed_at(f, "device flush", 1, create_x, NULL);
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		if (d->used && !strcmp(d->table.type, "thin"))
			id = d->id;
	fd = kv_blockdev_open(model_dev_number(model_dev(id.uuid)), O_RDONLY);
	assert_true(fd >= 0);
	open_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 1);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 1);
	(void)close(fd);
	reopen_pool(f);
	nothing_is_owed(f);
	assert_int_equal(model_thins(disk_of(f)), 0);
}

static void useless_devices_are_removed_and_used_ones_stay(void **state)
{
	struct fixture *f = *state;
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };

	model_file("/v", S_IFDIR);
	model_file("/r", S_IFREG);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "w", "ext4"));
	succeeds(f, create_volume(f, "raw", NULL));
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	succeeds(f, kvol_publish(f->pool, "raw", "/r", &o, &f->e));
	model_file("/w", S_IFDIR);
	succeeds(f, kvol_publish(f->pool, "w", "/w", NULL, &f->e));
	model_fail("dm remove", 2, -EIO);
	fails(f, kvol_unpublish(f->pool, "w", "/w", NULL, &f->e), -EIO, KVOL_R_IO);
	assert_non_null(dev_of(f, "w", false));
	reopen_pool(f);
	assert_null(dev_of(f, "w", false));
	assert_non_null(dev_of(f, "v", false));
	assert_non_null(
		dev_of(f, "raw", false)); /* nothing holds it open, and it is in use */
}

static int publish_v(struct kvol_pool *pool, void *arg)
{
	return kvol_publish(pool, "v", "/v", arg, NULL);
}

/* A record without a mount, and a read-only face without a table. */
static void what_a_killed_publish_leaves_is_removed(void **state)
{
	struct kvol_publish_opts rw = { .size = sizeof(rw), .flags = KVOL_PUBLISH_BLOCK };
	struct kvol_publish_opts ro = rw;
	struct fixture *f = *state;

	ro.flags |= KVOL_PUBLISH_READONLY;
	model_file("/v", S_IFREG);
	model_file("/w", S_IFREG);
	succeeds(f, create_volume(f, "v", NULL));
	killed_at(f, "target attach", 1, publish_v, &rw);
	assert_non_null(dev_of(f, "v", false));
	assert_int_equal(info_of(f, "v").n_targets, 1);
	reopen_pool(f);
	assert_null(dev_of(f, "v", false));
	assert_int_equal(info_of(f, "v").n_targets, 0);

	succeeds(f, kvol_publish(f->pool, "v", "/w", &rw, &f->e));
	killed_at(f, "dm load", 1, publish_v, &ro);
	assert_non_null(dev_of(f, "v", true));
	reopen_pool(f);
	assert_null(dev_of(f, "v", true));
	assert_non_null(dev_of(f, "v", false));
	killed_at(f, "mount node", 1, publish_v, &ro);
	reopen_pool(f);
	assert_null(dev_of(f, "v", true));
	assert_int_equal(info_of(f, "v").n_targets, 1);
}

/* Of a publish in a namespace that we are not in, nothing can be seen. */
static void publish_that_cannot_be_seen_is_left_alone(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };
	struct fixture *f = *state;
	int before;

	model_file("/v", S_IFREG);
	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, kvol_publish(f->pool, "v", "/v", &o, &f->e));
	model_ns_start("/proc/7/ns/mnt");
	before = model_swap_ns(1);
	kvol_pool_close(another_handle(f));
	(void)model_swap_ns(before);
	assert_non_null(dev_of(f, "v", false));
	assert_int_equal(info_of(f, "v").n_targets, 1);
}

/* --- What an open costs ----------------------------------------------------------- */

static const char *counted;
static unsigned n_counted;

static int count_steps(const char *what, unsigned step)
{
	(void)step;
	n_counted += !strncmp(what, counted, strlen(counted));
	return 0;
}

/* How often the next opener does what begins with these words. */
static unsigned steps_of_an_open(struct fixture *f, const char *what)
{
	counted = what;
	n_counted = 0;
	model_hook = count_steps;
	kvol_pool_close(another_handle(f));
	model_hook = NULL;
	return n_counted;
}

/* Each look reads all that is mounted in a namespace: many times many would take minutes. */
static void publishes_are_looked_for_all_at_once(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };
	struct fixture *f = *state;
	char name[16], target[16];

	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		(void)snprintf(target, sizeof(target), "/v%d", i);
		model_file(target, S_IFREG);
		succeeds(f, create_volume(f, name, NULL));
		succeeds(f, kvol_publish(f->pool, name, target, &o, &f->e));
		assert_int_equal(steps_of_an_open(f, "mounts read"), 1);
		assert_int_equal(steps_of_an_open(f, "namespace enter"), 0);
	}
	/* Without that, one by one. */
	model_fail("mounts read", 1, -ENOMEM);
	assert_int_equal(steps_of_an_open(f, "namespace enter"), 8);
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(info_of(f, name).n_targets, 1);
	}
	model_umount(NULL, "/v3");
	kvol_pool_close(another_handle(f));
	assert_int_equal(info_of(f, "v3").n_targets, 0);
	assert_int_equal(info_of(f, "v4").n_targets, 1);
}

/* They wait for their next publish, and however many there are, an open does not look. */
static void what_was_grown_out_of_use_is_left_to_its_publish(void **state)
{
	struct fixture *f = *state;
	unsigned before;
	char name[16];

	succeeds(f, create_volume(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	before = steps_of_an_open(f, "");
	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "g%d", i);
		succeeds(f, create_volume(f, name, "ext4"));
		succeeds(f, kvol_expand(f->pool, name, 600 * MIB, 0, &f->e));
	}
	doctor(f, "UPDATE volume SET flags = flags | 1 WHERE name <> 'v'");
	assert_int_equal(steps_of_an_open(f, ""), before);
}

/* --- Epochs ----------------------------------------------------------------------- */

static void half_done_reservation_is_settled(void **state)
{
	struct fixture *f = *state;

	close_pool(f);
	killed_at(f, "message set_transaction_id", 1, create_x, NULL);
	assert_int_equal(disk_of(f)->metadata.transaction_id, 0);
	assert_int_equal(query(f, "SELECT epoch FROM pool"), 1);
	open_pool(f);
	assert_int_equal(pool_info(f).flags, 0);
	assert_int_equal(disk_of(f)->metadata.transaction_id, 1);
}

static void failed_epoch_message_is_made_up_for(void **state)
{
	struct fixture *f = *state;

	model_fail("message set_transaction_id", 1, -EIO);
	fails(f, create_volume(f, "v", NULL), -EIO, KVOL_R_IO);
	succeeds(f, create_volume(f, "v", NULL));
	reopen_pool(f);
	nothing_is_owed(f);
	succeeds(f, create_volume(f, "w", NULL));
	nothing_is_owed(f);
}

static void foreign_epoch_opens_for_audit(void **state)
{
	static const int64_t epochs[] = { 0, 2, 3, 1000000, -1, INT64_MAX, INT64_MIN };
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	struct fixture *f = *state;
	char sql[64];

	model_file("/v", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	disk_of(f)->metadata.transaction_id = 5;
	close_pool(f);
	for (size_t i = 0; i < KV_ARRAY_SIZE(epochs); i++) {
		(void)snprintf(sql, sizeof(sql), "UPDATE pool SET epoch = %lld",
			       (long long)epochs[i]);
		doctor(f, sql);
		doctor(f,
		       "INSERT INTO reservation (owner, first, count) VALUES (7, 0, 64)");
		doctor(f,
		       "INSERT OR REPLACE INTO volume VALUES (9, NULL, 1, 0, 4096, 0, '', '', '')");
		open_pool(f);
		assert_int_equal(f->log_priority, LOG_ERR);
		assert_int_equal(pool_info(f).flags, KVOL_POOL_AUDIT);
		fails(f, create_volume(f, "w", NULL), -EROFS, KVOL_R_POOL_READ_ONLY);
		fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -EROFS,
		      KVOL_R_POOL_READ_ONLY);
		fails(f, kvol_clone(f->pool, "v", "s", NULL, &f->e), -EROFS,
		      KVOL_R_POOL_READ_ONLY);
		fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -EROFS,
		      KVOL_R_POOL_READ_ONLY);
		fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EROFS,
		      KVOL_R_POOL_READ_ONLY);
		assert_int_equal(info_of(f, "v").bytes, 512 * MIB);
		succeeds(f, kvol_list(f->pool, 0, &iter, &f->e));
		assert_int_equal(kvol_iter_next(iter, &info), 1);
		assert_int_equal(kvol_iter_next(iter, &info), 0);
		kvol_iter_free(iter);
		close_pool(f);
		assert_int_equal(model_thins(disk_of(f)), 1);
		assert_int_equal(disk_of(f)->metadata.transaction_id, 5);
		assert_int_equal(query(f, "SELECT count(*) FROM reservation"), i + 1);
		assert_int_equal(query(f, "SELECT count(*) FROM volume"), 2);
	}
}

/* It was right when it was opened, and then somebody else wrote. */
static void foreign_writer_is_noticed_at_the_next_reservation(void **state)
{
	struct fixture *f = *state;

	disk_of(f)->metadata.transaction_id = 77;
	fails(f, create_volume(f, "v", NULL), -EROFS, KVOL_R_POOL_READ_ONLY);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
}

static void restored_catalogue_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct model_saved *saved;
	struct model_metadata now;

	close_pool(f);
	saved = model_save();
	open_pool(f);
	succeeds(f, create_volume(f, "v", NULL));
	reopen_pool(f);
	succeeds(f, create_volume(f, "w", NULL));
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	now = disk_of(f)->metadata;
	model_restore(saved);
	disk_of(f)->metadata = now;
	open_pool(f);
	assert_int_equal(pool_info(f).flags, KVOL_POOL_AUDIT);
	assert_int_equal(model_thins(disk_of(f)), 2);
	model_saved_free(saved);
}

/* --- Pools that take no message --------------------------------------------------- */

static void recovery_waits_for_a_pool_that_takes_changes(void **state)
{
	static const struct {
		enum model_mode mode;
		bool check;
		uint32_t flags;
	} modes[] = {
		{ MODEL_READ_ONLY, false, KVOL_POOL_READ_ONLY },
		{ MODEL_READ_ONLY, true, KVOL_POOL_READ_ONLY | KVOL_POOL_NEEDS_CHECK },
		{ MODEL_FAIL, false, KVOL_POOL_READ_ONLY },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(modes); i++) {
		succeeds(f, create_volume(f, "v", NULL));
		killed_at(f, "message delete", 1, delete_v, NULL);
		close_pool(f);
		disk_of(f)->mode = modes[i].mode;
		disk_of(f)->metadata.needs_check = modes[i].check;
		open_pool(f);
		assert_int_equal(pool_info(f).flags, modes[i].flags);
		assert_false(exists(f, "v"));
		assert_int_equal(model_thins(disk_of(f)), 1);
		close_pool(f);
		disk_of(f)->mode = MODEL_RW;
		disk_of(f)->metadata.needs_check = false;
		open_pool(f);
		assert_int_equal(model_thins(disk_of(f)), 0);
	}
}

static void full_pool_is_recovered(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	killed_at(f, "message delete", 1, delete_v, NULL);
	close_pool(f);
	disk_of(f)->mode = MODEL_OUT_OF_DATA;
	open_pool(f);
	assert_int_equal(pool_info(f).flags, KVOL_POOL_OUT_OF_DATA);
	assert_int_equal(model_thins(disk_of(f)), 0);
}

/* The count that matters is the kernel's. */
static void snapshots_of_somebody_else_count(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	close_pool(f);
	disk_of(f)->metadata.time = 70000;
	open_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, (1 << 24) - (1 << 16) - 70000);
	close_pool(f);
	disk_of(f)->metadata.time = 10;
	open_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, (1 << 24) - (1 << 16) - 70000);
	close_pool(f);
	disk_of(f)->metadata.time = (1 << 24) - 5;
	open_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, 0);
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
}

static void pool_without_metadata_space_is_recovered(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	killed_at(f, "message delete", 1, delete_v, NULL);
	close_pool(f);
	disk_of(f)->mode = MODEL_OUT_OF_METADATA;
	open_pool(f);
	assert_int_equal(pool_info(f).flags, 0);
	assert_int_equal(model_thins(disk_of(f)), 0);
}

/* The pool can be read, and its volumes unpublished, and the next open does the work. */
static void disk_that_takes_no_commits_is_no_hindrance(void **state)
{
	static const int failures[] = { -EIO, -EROFS };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(failures); i++) {
		succeeds(f, create_volume(f, "v", NULL));
		killed_at(f, "message delete", 1, delete_v, NULL);
		close_pool(f);
		model_fail("commit", 0, failures[i]);
		open_pool(f);
		assert_false(exists(f, "v"));
		close_pool(f);
		model_forget_plans();
		open_pool(f);
		assert_int_equal(model_thins(disk_of(f)), 0);
		nothing_is_owed(f);
	}
}

static void pool_that_fails_during_recovery_opens_all_the_same(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	killed_at(f, "message delete", 1, delete_v, NULL);
	close_pool(f);
	disk_of(f)->lose_commits = 1;
	open_pool(f);
	assert_int_equal(pool_info(f).flags, KVOL_POOL_READ_ONLY | KVOL_POOL_NEEDS_CHECK);
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static void many_tombstones_are_all_redone(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (int i = 0; i < 150; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
	}
	close_pool(f);
	doctor(f, "UPDATE volume SET name = NULL WHERE id != 100");
	open_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 1);
	nothing_is_owed(f);
}

/* --- Power cuts ------------------------------------------------------------------- */

static void power_cut_keeps_what_was_acknowledged(void **state)
{
	struct fixture *f = *state;

	model_file("/v", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	close_pool(f);
	killed_at(f, "commit", 2, create_x, NULL);
	model_power_cut();
	open_pool(f);
	assert_int_equal(info_of(f, "v").bytes, 600 * MIB);
	assert_int_equal(info_of(f, "v").n_targets, 0);
	assert_string_equal(info_of(f, "v").device, "");
	assert_true(exists(f, "s"));
	assert_false(exists(f, "x"));
	assert_int_equal(model_thins(disk_of(f)), 2);
	nothing_is_owed(f);
}

/* SQLite reads a commit that its writer had not flushed when it was killed. */
static void unflushed_commit_is_flushed_before_it_is_acted_upon(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	for (int i = 0; i < 2; i++) {
		reopen_pool(f);
		model_crash("catalogue sync", 1);
		if (i == 0)
			(void)kvol_delete(f->pool, "v", 0, NULL);
		else
			(void)create_volume(f, "x", NULL);
		close_pool(f);
		assert_true(model_dead);
		model_dead = false;
		/* Recovery finishes what it sees, up to its own commit. */
		model_crash("commit", 1);
		(void)kvol_pool_open(f->ctx, f->path, NULL, &f->pool, NULL);
		assert_true(model_dead);
		close_pool(f);
		model_dead = false;
		model_power_cut_losing(MODEL_LOSE_ALL);
		open_pool(f);
		assert_int_equal(pool_info(f).flags, 0);
		assert_false(exists(f, "v"));
		assert_int_equal(model_thins(disk_of(f)), 0);
	}
}

/* What the last writer left may not be on the disk: nothing is done because of it. */
static void disk_that_does_not_flush_is_read_only(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	reopen_pool(f);
	model_crash("catalogue sync", 1);
	(void)kvol_delete(f->pool, "v", 0, NULL);
	close_pool(f);
	model_dead = false;
	model_fail("catalogue sync", 0, -EIO);
	open_pool(f);
	assert_int_equal(pool_info(f).flags, KVOL_POOL_READ_ONLY);
	model_forget_plans();
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 1);
	fails(f, create_volume(f, "x", NULL), -EROFS, KVOL_R_POOL_READ_ONLY);
	close_pool(f);
	open_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 0);
	nothing_is_owed(f);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(killed_create_leaves_nothing),
		on_pool(killed_snapshot_leaves_nothing_and_nobody_frozen),
		on_pool(frozen_volume_is_resumed_by_any_open),
		on_pool(volume_that_somebody_works_on_is_not_resumed),
		on_pool(killed_delete_is_whole_or_nothing),
		on_pool(killed_recovery_is_done_again),
		on_pool(living_owners_reservations_are_respected),
		on_pool(busy_leftover_is_left_to_the_next_open),
		on_pool(useless_devices_are_removed_and_used_ones_stay),
		on_pool(what_a_killed_publish_leaves_is_removed),
		on_pool(publish_that_cannot_be_seen_is_left_alone),
		on_pool(publishes_are_looked_for_all_at_once),
		on_pool(what_was_grown_out_of_use_is_left_to_its_publish),
		on_pool(half_done_reservation_is_settled),
		on_pool(failed_epoch_message_is_made_up_for),
		on_pool(foreign_epoch_opens_for_audit),
		on_pool(foreign_writer_is_noticed_at_the_next_reservation),
		on_pool(restored_catalogue_is_noticed),
		on_pool(recovery_waits_for_a_pool_that_takes_changes),
		on_pool(full_pool_is_recovered),
		on_pool(snapshots_of_somebody_else_count),
		on_pool(pool_without_metadata_space_is_recovered),
		on_pool(disk_that_takes_no_commits_is_no_hindrance),
		cmocka_unit_test_setup_teardown(disk_that_does_not_flush_is_read_only,
						setup_pool_alone, teardown),
		on_pool(pool_that_fails_during_recovery_opens_all_the_same),
		on_pool(many_tombstones_are_all_redone),
		on_pool(power_cut_keeps_what_was_acknowledged),
		cmocka_unit_test_setup_teardown(
			unflushed_commit_is_flushed_before_it_is_acted_upon,
			setup_pool_alone, teardown),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
