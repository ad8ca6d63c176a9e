/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Snapshots and clones, on the model: an active origin is always suspended and frozen for
 * the copy, and always resumed after it, whatever fails in between.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

static void publish_at(struct fixture *f, const char *name, const char *target,
		       uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = flags };

	model_file(target, flags & KVOL_PUBLISH_BLOCK ? S_IFREG : S_IFDIR);
	succeeds(f, kvol_publish(f->pool, name, target, &o, &f->e));
}

static void assert_running(struct fixture *f, const char *name)
{
	struct model_dev *d = dev_of(f, name, false);

	assert_non_null(d);
	assert_false(d->suspended);
}

static void snapshot_has_what_its_source_has(void **state)
{
	struct fixture *f = *state;
	struct kvol_info v, s;

	succeeds(f, create_volume(f, "v", "xfs"));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	v = info_of(f, "v");
	s = info_of(f, "s");
	assert_int_equal(s.kind, KVOL_KIND_SNAPSHOT);
	assert_int_equal(s.bytes, v.bytes);
	assert_int_equal(s.allocated, v.allocated);
	assert_string_equal(s.source, "v");
	assert_string_equal(s.fs_type, "xfs");
	assert_string_not_equal(s.uuid, v.uuid);
	assert_string_equal(thin_of(f, "s")->content.uuid, v.uuid);
	assert_int_equal(pool_info(f).n_snapshots, 1);
	succeeds(f, kvol_snapshot(f->pool, "s", "of s", NULL, &f->e));
	assert_string_equal(info_of(f, "of s").source, "s");
	reopen_pool(f);
	assert_true(exists(f, "s"));
}

static void snapshot_again_is_nothing_and_different_is_refused(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "w", "ext4"));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_int_equal(model_thins(disk_of(f)), 3);
	fails(f, kvol_snapshot(f->pool, "w", "s", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_snapshot(f->pool, "v", "w", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_snapshot(f->pool, "v", "v", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	fails(f, kvol_snapshot(f->pool, "v", "c", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_clone(f->pool, "v", "s", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	/* It stays what it is when its source is gone. */
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
}

static void bad_arguments_of_copies_are_refused(void **state)
{
	struct kvol_snapshot_opts so = { .size = sizeof(so), .flags = 1 };
	struct kvol_create_opts co = { .size = sizeof(co), .flags = 1 };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	fails(f, kvol_snapshot(NULL, "v", "s", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_snapshot(f->pool, NULL, "s", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_snapshot(f->pool, "v", NULL, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_snapshot(f->pool, "v", "a/b", NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_snapshot(f->pool, "v", "s", &so, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_snapshot(f->pool, "none", "s", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_clone(NULL, "v", "c", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_clone(f->pool, NULL, "c", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_clone(f->pool, "v", "", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_clone(f->pool, "v", "c", &co, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_clone(f->pool, "none", "c", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	co = (struct kvol_create_opts){ .size = sizeof(co), .bytes = 512 * MIB - 4096 };
	fails(f, kvol_clone(f->pool, "v", "c", &co, &f->e), -EINVAL, KVOL_R_INVALID);
	co = (struct kvol_create_opts){ .size = sizeof(co), .fs_type = "xfs" };
	fails(f, kvol_clone(f->pool, "v", "c", &co, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static void clone_again_is_nothing_and_different_is_refused(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .bytes = 600 * MIB,
				      .fs_type = "ext4" };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_clone(f->pool, "v", "c", &o, &f->e));
	succeeds(f, kvol_clone(f->pool, "v", "c", &o, &f->e));
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	assert_int_equal(info_of(f, "c").bytes, 600 * MIB);
	assert_int_equal(info_of(f, "c").kind, KVOL_KIND_VOLUME);
	o.bytes = 601 * MIB;
	fails(f, kvol_clone(f->pool, "v", "c", &o, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	o.bytes = 600 * MIB;
	o.fs_type = "xfs";
	fails(f, kvol_clone(f->pool, "v", "c", &o, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(model_thins(disk_of(f)), 2);
}

static void larger_clone_is_grown_by_its_first_publish(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = 600 * MIB };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_clone(f->pool, "v", "c", &o, &f->e));
	assert_int_equal(thin_of(f, "c")->content.bytes, 512 * MIB);
	publish_at(f, "c", "/c", 0);
	assert_int_equal(thin_of(f, "c")->content.bytes, 600 * MIB);
	assert_int_equal(query(f, "SELECT flags FROM volume WHERE name = 'c'"), 0);
	succeeds(f, kvol_unpublish(f->pool, "c", "/c", NULL, &f->e));
	assert_int_equal(thin_of(f, "v")->content.bytes, 512 * MIB);
}

static void clones_of_all_file_systems_are_published_beside_their_source(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;
	char clone[32], a[32], b[40];

	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		(void)snprintf(clone, sizeof(clone), "%s-clone", types[i]);
		(void)snprintf(a, sizeof(a), "/%s", types[i]);
		(void)snprintf(b, sizeof(b), "/%s", clone);
		succeeds(f, create_volume(f, types[i], types[i]));
		publish_at(f, types[i], a, 0);
		succeeds(f, kvol_clone(f->pool, types[i], clone, NULL, &f->e));
		publish_at(f, clone, b, 0);
		assert_non_null(model_mount_at(NULL, a));
		assert_non_null(model_mount_at(NULL, b));
	}
	/* The kernel knows a btrfs by its identity: the clone has got one of its own. */
	assert_string_not_equal(thin_of(f, "btrfs-clone")->content.uuid,
				info_of(f, "btrfs").uuid);
}

static void failed_renewal_is_done_again(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "btrfs"));
	publish_at(f, "v", "/v", 0);
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	model_file("/c", S_IFDIR);
	model_fail("fs renew", 1, -EIO);
	fails(f, kvol_publish(f->pool, "c", "/c", NULL, &f->e), -EIO, KVOL_R_IO);
	assert_null(dev_of(f, "c", false));
	succeeds(f, kvol_publish(f->pool, "c", "/c", NULL, &f->e));
	assert_string_equal(thin_of(f, "c")->content.uuid, info_of(f, "c").uuid);
}

/* The catalogue learns of it with a later commit. Until then each publish asks again, and
 * finds that there is nothing to do. */
static void renewal_is_noted_later(void **state)
{
	static const char flags[] = "SELECT flags FROM volume WHERE name = 'c'";
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "btrfs"));
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	publish_at(f, "c", "/c", 0);
	assert_int_equal(query(f, flags), KV_ROW_RENEW);
	publish_at(f, "c", "/d", 0);
	succeeds(f, kvol_unpublish(f->pool, "c", "/c", NULL, &f->e));
	succeeds(f, kvol_unpublish(f->pool, "c", "/d", NULL, &f->e));
	succeeds(f, kvol_publish(f->pool, "c", "/c", NULL, &f->e));
	assert_string_equal(thin_of(f, "c")->content.uuid, info_of(f, "c").uuid);
	reopen_pool(f);
	assert_int_equal(query(f, flags), 0);
}

/* --- Active origins --------------------------------------------------------------- */

static void snapshot_of_a_published_volume_is_clean(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_false(thin_of(f, "s")->content.torn);
	assert_false(thin_of(f, "s")->content.unclean);
	assert_running(f, "v");
	assert_int_equal(model_n_mounts(), 1); /* the one for flushing is gone */
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	assert_false(thin_of(f, "c")->content.unclean);
	assert_running(f, "v");
}

static void snapshot_of_a_block_volume_is_not_torn(void **state)
{
	_cleanup_close_ int fd = -1;
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	publish_at(f, "v", "/v", KVOL_PUBLISH_BLOCK);
	fd = kv_blockdev_open(model_dev_number(dev_of(f, "v", false)), O_RDWR);
	assert_true(fd >= 0);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_false(thin_of(f, "s")->content.torn);
	assert_running(f, "v");
}

static void snapshot_of_a_published_snapshot_works(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	publish_at(f, "s", "/s", 0);
	succeeds(f, kvol_snapshot(f->pool, "s", "t", NULL, &f->e));
	assert_running(f, "s");
}

static void origin_is_resumed_whatever_fails(void **state)
{
	static const struct {
		const char *step;
		int code;
		uint32_t reason;
		bool made;
	} steps[] = {
		{ "message create_snap", -ENOMEM, KVOL_R_SYSTEM, false },
		{ "message create_snap", -EIO, KVOL_R_IO, false },
		/* its metadata cannot be read */
		{ "message create_snap", -EINVAL, KVOL_R_IO, false },
		{ "dm suspend", -EINVAL, KVOL_R_SYSTEM, false },
		{ "dm resume", -EINTR, KVOL_R_SYSTEM, true }, /* once: tried again */
		{ "commit", -EIO, KVOL_R_IO, true },
	};
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, 1, steps[i].code);
		if (!strcmp(steps[i].step, "dm resume")) {
			succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
			succeeds(f, kvol_delete(f->pool, "s", 0, &f->e));
		} else {
			fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e),
			      steps[i].reason == KVOL_R_IO ? -EIO : steps[i].code,
			      steps[i].reason);
		}
		assert_running(f, "v");
		assert_false(exists(f, "s"));
		assert_int_equal(model_thins(disk_of(f)), 1);
	}
	disk_of(f)->lose_commits = 1;
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -EROFS,
	      KVOL_R_POOL_NEEDS_CHECK);
	assert_running(f, "v");
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static void signals_are_as_they_were_after_a_snapshot(void **state)
{
	struct fixture *f = *state;
	sigset_t before, after;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &before, NULL), 0);
	(void)pthread_sigmask(SIG_SETMASK, NULL, &before);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	(void)pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	(void)pthread_sigmask(SIG_UNBLOCK, &before, NULL);
}

/* Between suspend and resume come the message and nothing else. */
static bool frozen;
static unsigned n_in_window, n_windows;

static int watch_window(const char *what, unsigned step)
{
	(void)step;
	if (!strcmp(what, "dm suspend")) {
		frozen = true;
		n_windows++;
	} else if (!strcmp(what, "dm resume")) {
		frozen = false;
	} else if (frozen) {
		assert_true(!strncmp(what, "message create_snap", 19));
		n_in_window++;
	}
	return 0;
}

static void only_the_message_comes_between_suspend_and_resume(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	frozen = false;
	n_in_window = n_windows = 0;
	model_hook = watch_window;
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	model_hook = NULL;
	assert_int_equal(n_windows, 1);
	assert_int_equal(n_in_window, 1);
	assert_false(frozen);
}

static void full_pool_is_seen_before_anything_is_suspended(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	publish_at(f, "v", "/v", 0);
	disk_of(f)->mode = MODEL_OUT_OF_DATA;
	n_windows = 0;
	model_hook = watch_window;
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ENOSPC,
	      KVOL_R_NO_DATA_SPACE);
	model_hook = NULL;
	assert_int_equal(n_windows, 0);
}

static int publish_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_publish(pool, "v", "/v", NULL, NULL);
}

/* What a killed publisher leaves: a device that nothing was ever loaded into. */
static void snapshot_of_a_half_activated_volume_works(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	killed_at(f, "dm load", 1, publish_v, NULL);
	assert_non_null(dev_of(f, "v", false));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_false(dev_of(f, "v", false)->suspended);
	succeeds(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e));
}

/* --- Limits ----------------------------------------------------------------------- */

static void snapshots_of_a_pools_life_are_counted(void **state)
{
	struct fixture *f = *state;
	uint64_t left;

	left = pool_info(f).snapshots_left;
	assert_int_equal(left, (1 << 24) - (1 << 16));
	succeeds(f, create_volume(f, "v", "ext4"));
	for (int i = 0; i < 3; i++) {
		succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
		succeeds(f, kvol_delete(f->pool, "s", 0, &f->e));
	}
	reopen_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, left - 3);
	assert_int_equal(disk_of(f)->metadata.time, 3);
}

static void snapshots_end_where_the_kernel_cannot_count_on(void **state)
{
	struct fixture *f = *state;
	char sql[64];

	succeeds(f, create_volume(f, "v", "ext4"));
	close_pool(f);
	(void)snprintf(sql, sizeof(sql), "UPDATE pool SET snapshots = %d",
		       (1 << 24) - (1 << 16));
	doctor(f, sql);
	open_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, 0);
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	fails(f, kvol_clone(f->pool, "v", "c", NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	succeeds(f, create_volume(f, "w", NULL)); /* volumes need no count */
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(pool_info(f).snapshots_left, 0);
	reopen_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, 0);
}

static void the_last_snapshots_can_be_taken(void **state)
{
	struct fixture *f = *state;
	char sql[64];

	succeeds(f, create_volume(f, "v", "ext4"));
	close_pool(f);
	(void)snprintf(sql, sizeof(sql), "UPDATE pool SET snapshots = %d",
		       (1 << 24) - (1 << 16) - 64);
	doctor(f, sql);
	open_pool(f);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_int_equal(pool_info(f).snapshots_left, 0);
	reopen_pool(f);
	assert_int_equal(pool_info(f).snapshots_left, 63);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(snapshot_has_what_its_source_has),
		on_pool(snapshot_again_is_nothing_and_different_is_refused),
		on_pool(bad_arguments_of_copies_are_refused),
		on_pool(clone_again_is_nothing_and_different_is_refused),
		on_pool(larger_clone_is_grown_by_its_first_publish),
		on_pool(clones_of_all_file_systems_are_published_beside_their_source),
		on_pool(failed_renewal_is_done_again),
		on_pool(renewal_is_noted_later),
		on_pool(snapshot_of_a_published_volume_is_clean),
		on_pool(snapshot_of_a_block_volume_is_not_torn),
		on_pool(snapshot_of_a_published_snapshot_works),
		on_pool(origin_is_resumed_whatever_fails),
		on_pool(signals_are_as_they_were_after_a_snapshot),
		on_pool(only_the_message_comes_between_suspend_and_resume),
		on_pool(full_pool_is_seen_before_anything_is_suspended),
		on_pool(snapshot_of_a_half_activated_volume_works),
		on_pool(snapshots_of_a_pools_life_are_counted),
		on_pool(snapshots_end_where_the_kernel_cannot_count_on),
		on_pool(the_last_snapshots_can_be_taken),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
