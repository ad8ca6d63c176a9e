/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Publishing and unpublishing, on the model: whole or not at all, in the right namespace,
 * and never a mount taken away that is not ours.
 */

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

#define NS_A "/proc/11/ns/mnt"
#define NS_B "/proc/12/ns/mnt"

/* A pool with volumes v and w (ext4) and raw, and targets /t, /u (directories), /f and /g
 * (files). */
static int setup(void **state)
{
	struct fixture *f;

	(void)setup_pool(state);
	f = *state;
	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	model_file("/f", S_IFREG);
	model_file("/g", S_IFREG);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "w", "ext4"));
	succeeds(f, create_volume(f, "raw", NULL));
	return 0;
}

static void nothing_is_left(struct fixture *f)
{
	assert_int_equal(model_n_mounts(), 0);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(info_of(f, "v").n_targets, 0);
}

/* --- The ways to publish ---------------------------------------------------------- */

static void published_volume_is_seen_and_unpublished_it_is_gone(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	assert_non_null(model_mount_at(NULL, "/t"));
	assert_int_equal(model_n_mounts(), 1);
	assert_int_equal(info_of(f, "v").n_targets, 1);
	assert_non_null(strstr(info_of(f, "v").device, "/dev/dm-"));
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	assert_int_equal(model_n_mounts(), 1);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	succeeds(f, publish(f, "v", "/t/", 0, NULL, NULL));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
}

static void device_appears_on_a_file(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	assert_true(model_mount_at(NULL, "/f")->node);
	assert_int_equal(model_mount_at(NULL, "/f")->dev,
			 model_dev_number(dev_of(f, "raw", false)));
	succeeds(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	succeeds(f, publish(f, "raw", "/g", KVOL_PUBLISH_BLOCK, NULL, NULL));
	succeeds(f, unpublish(f, "raw", "/f", NULL));
	assert_non_null(dev_of(f, "raw", false));
	succeeds(f, unpublish(f, "raw", "/g", NULL));
	nothing_is_left(f);
}

static void read_only_device_refuses_writers(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY,
			    NULL, NULL));
	assert_true(dev_of(f, "raw", true)->table.readonly);
	assert_int_equal(model_mount_at(NULL, "/f")->dev,
			 model_dev_number(dev_of(f, "raw", true)));
	assert_int_equal(kv_blockdev_open(model_mount_at(NULL, "/f")->dev, O_RDWR),
			 -EACCES);
	succeeds(f, publish(f, "raw", "/g", KVOL_PUBLISH_BLOCK, NULL, NULL));
	succeeds(f, unpublish(f, "raw", "/g", NULL));
	succeeds(f, unpublish(f, "raw", "/f", NULL));
	nothing_is_left(f);
}

static void read_only_is_read_only_however_it_is_said(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", KVOL_PUBLISH_READONLY, NULL, NULL));
	assert_true(model_mount_at(NULL, "/t")->attr & 1);
	succeeds(f, publish(f, "v", "/t", 0, "ro", NULL));
	fails(f, publish(f, "v", "/t", 0, NULL, NULL), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, publish(f, "v", "/u", 0, NULL, NULL));
	assert_false(model_mount_at(NULL, "/u")->attr & 1);
}

static void snapshot_is_always_read_only(void **state)
{
	struct fixture *f = *state;

	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	succeeds(f, publish(f, "s", "/t", 0, NULL, NULL));
	assert_true(model_mount_at(NULL, "/t")->attr & 1);
	assert_true(model_mount_at(NULL, "/t")->super_readonly);
	succeeds(f, publish(f, "s", "/t", KVOL_PUBLISH_READONLY, NULL, NULL));
	succeeds(f, publish(f, "s", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	assert_non_null(dev_of(f, "s", true));
}

static void options_are_told_apart(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, "noatime,nodev,data=ordered", NULL));
	assert_int_equal(model_mount_at(NULL, "/t")->attr, 0x14);
	assert_string_equal(model_mount_at(NULL, "/t")->super, "data=ordered");
	succeeds(f, publish(f, "v", "/t", 0, "nodev,data=ordered,noatime", NULL));
	fails(f, publish(f, "v", "/t", 0, "nodev,data=ordered", NULL), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, publish(f, "v", "/t", 0, "nodev,noatime", NULL), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	/* Another target may differ in what is the mount's own, not in what is the file
	 * system's. */
	fails(f, publish(f, "v", "/u", 0, "data=journal", NULL), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, publish(f, "v", "/u", 0, "nosuid,data=ordered", NULL));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	succeeds(f, unpublish(f, "v", "/u", NULL));
	succeeds(f, publish(f, "v", "/u", 0, "data=journal", NULL));
}

/* --- What is refused -------------------------------------------------------------- */

static void bad_arguments_are_refused(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = 1u << 31 };
	struct fixture *f = *state;
	char path[PATH_MAX + 2];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	fails(f, kvol_publish(NULL, "v", "/t", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, NULL, "/t", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, "v", NULL, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, "v", "", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, "v", "t", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, "v", path, NULL, &f->e), -ENAMETOOLONG,
	      KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, "v", "/t", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish(f->pool, "none", "/t", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_publish(f->pool, "raw", "/t", NULL, &f->e), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	fails(f, kvol_unpublish(NULL, "v", "/t", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_unpublish(f->pool, "a/b", "/t", NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_unpublish(f->pool, "v", NULL, NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_unpublish(f->pool, "v", "t", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	succeeds(f, kvol_unpublish(f->pool, "none", "/t", NULL, &f->e));
	nothing_is_left(f);
}

static void bad_targets_are_refused(void **state)
{
	struct fixture *f = *state;

	model_file("/link", S_IFLNK);
	model_file("/link/t", S_IFDIR);
	model_file("/f/t", S_IFDIR);
	fails(f, publish(f, "v", "/none", 0, NULL, NULL), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, publish(f, "v", "/none/t", 0, NULL, NULL), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, publish(f, "v", "/link", 0, NULL, NULL), -ELOOP, KVOL_R_INVALID);
	fails(f, publish(f, "v", "/link/t", 0, NULL, NULL), -ELOOP, KVOL_R_INVALID);
	fails(f, publish(f, "v", "/f/t", 0, NULL, NULL), -ENOTDIR, KVOL_R_INVALID);
	fails(f, publish(f, "v", "/f", 0, NULL, NULL), -ENOTDIR, KVOL_R_INVALID);
	fails(f, publish(f, "v", "/t", KVOL_PUBLISH_BLOCK, NULL, NULL), -EISDIR,
	      KVOL_R_INVALID);
	model_mount_stranger(NULL, "/t");
	fails(f, publish(f, "v", "/t", 0, NULL, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	model_umount(NULL, "/t");
	succeeds(f, publish(f, "w", "/t", 0, NULL, NULL));
	fails(f, publish(f, "v", "/t", 0, NULL, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	succeeds(f, unpublish(f, "w", "/t", NULL));
	nothing_is_left(f);
}

static void bad_options_are_refused(void **state)
{
	static const char *const bad[] = {
		"remount",	   "bind", "loop", "shared", "rshared", "offset=4",
		"source=/dev/sda", "x\ny", "\"",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++)
		fails(f, publish(f, "v", "/t", 0, bad[i], NULL), -EINVAL, KVOL_R_INVALID);
	fails(f, publish(f, "v", "/t", 0, "bogus", NULL), -EINVAL, KVOL_R_INVALID);
	assert_non_null(strstr(f->e.msg, "bogus"));
	fails(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, "noatime", NULL), -EINVAL,
	      KVOL_R_INVALID);
	nothing_is_left(f);
}

static void pool_that_has_failed_or_lost_the_volume_is_named(void **state)
{
	struct fixture *f = *state;

	model_file("/v", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	disk_of(f)->mode = MODEL_FAIL;
	fails(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e), -EROFS,
	      KVOL_R_POOL_READ_ONLY);
	disk_of(f)->mode = MODEL_RW;
	thin_of(f, "v")->used = false;
	fails(f, kvol_publish(f->pool, "v", "/v", NULL, &f->e), -EUCLEAN, KVOL_R_CORRUPT);
}

static void failed_publish_leaves_nothing(void **state)
{
	static const struct {
		const char *step;
		int code;
		int gives;
		uint32_t reason;
	} steps[] = {
		{ "dm create", -ENOMEM, -ENOMEM, KVOL_R_SYSTEM },
		{ "dm load", -EIO, -EIO, KVOL_R_IO },
		{ "dm resume", -EIO, -EIO, KVOL_R_IO },
		{ "device path", -ENOENT, -ENOENT, KVOL_R_SYSTEM },
		{ "mount", -EIO, -EIO, KVOL_R_IO },
		{ "mount", -ENODEV, -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT },
		{ "target describe", -EOPNOTSUPP, -EOPNOTSUPP, KVOL_R_SYSTEM },
		{ "record", -ENOSPC, -ENOSPC, KVOL_R_SYSTEM },
		{ "namespace visit", -ENOENT, -ENOENT, KVOL_R_NOT_FOUND },
		{ "target open", -ELOOP, -ELOOP, KVOL_R_INVALID },
		{ "target attach", -EPERM, -EPERM, KVOL_R_SYSTEM },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, 1, steps[i].code);
		fails(f, publish(f, "v", "/t", 0, NULL, NULL), steps[i].gives,
		      steps[i].reason);
		nothing_is_left(f);
	}
	model_fail("mount node", 1, -ENODEV);
	fails(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL), -ENODEV,
	      KVOL_R_UNSUPPORTED);
	nothing_is_left(f);
	model_fail("target attach", 1, -EIO);
	fails(f,
	      publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY, NULL,
		      NULL),
	      -EIO, KVOL_R_IO);
	nothing_is_left(f);
}

/* Between the first look and the move somebody else is faster. */
static int mount_stranger_first(const char *what, unsigned step)
{
	(void)step;
	if (!strcmp(what, "mount")) {
		model_hook = NULL;
		model_mount_stranger(NULL, "/t");
	}
	return 0;
}

static int remove_target_first(const char *what, unsigned step)
{
	(void)step;
	if (!strcmp(what, "mount")) {
		model_hook = NULL;
		model_file_remove("/t");
	}
	return 0;
}

static void target_is_looked_at_again_before_the_move(void **state)
{
	struct fixture *f = *state;

	model_hook = mount_stranger_first;
	fails(f, publish(f, "v", "/t", 0, NULL, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	model_umount(NULL, "/t");
	nothing_is_left(f);
	model_hook = remove_target_first;
	fails(f, publish(f, "v", "/t", 0, NULL, NULL), -ENOENT, KVOL_R_NOT_FOUND);
	nothing_is_left(f);
}

/* --- Unpublishing ----------------------------------------------------------------- */

static void only_our_own_mount_is_taken_away(void **state)
{
	struct fixture *f = *state;

	/* Somebody has unmounted ours and mounted his. The id comes back at once. */
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	model_umount(NULL, "/t");
	model_mount_stranger(NULL, "/t");
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_int_equal(model_n_mounts(), 1);
	assert_int_equal(info_of(f, "v").n_targets, 0);
	model_umount(NULL, "/t");
	/* Somebody has mounted over ours. */
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	model_mount_stranger(NULL, "/t");
	fails(f, publish(f, "v", "/t", 0, NULL, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	model_umount(NULL, "/t");
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	succeeds(f, unpublish(f, "w", "/t", NULL));
	assert_non_null(model_mount_at(NULL, "/t"));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
}

static void mount_of_another_volume_with_the_same_id_is_not_ours(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	id = model_mount_at(NULL, "/t")->mnt_id;
	model_umount(NULL, "/t");
	succeeds(f, publish(f, "w", "/t", 0, NULL, NULL));
	assert_int_equal(model_mount_at(NULL, "/t")->mnt_id, id);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_non_null(model_mount_at(NULL, "/t"));
	assert_int_equal(info_of(f, "w").n_targets, 1);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

static void busy_target_stays_published(void **state)
{
	struct fixture *f = *state;
	struct kv_target t;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	assert_int_equal(kv_target_open("/t", &t), 0); /* somebody's working directory */
	fails(f, unpublish(f, "v", "/t", NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_int_equal(info_of(f, "v").n_targets, 1);
	(void)close(t.fd);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
}

static void device_goes_when_its_last_opener_goes(void **state)
{
	struct fixture *f = *state;
	int fd;

	succeeds(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	fd = kv_blockdev_open(model_dev_number(dev_of(f, "raw", false)), O_RDWR);
	assert_true(fd >= 0);
	succeeds(f, unpublish(f, "raw", "/f", NULL));
	assert_true(dev_of(f, "raw", false)->deferred);
	/* Wanted again before that: the removal is taken back. */
	succeeds(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
	assert_false(dev_of(f, "raw", false)->deferred);
	(void)close(fd);
	assert_non_null(dev_of(f, "raw", false));
	fd = kv_blockdev_open(model_dev_number(dev_of(f, "raw", false)), O_RDWR);
	succeeds(f, unpublish(f, "raw", "/f", NULL));
	(void)close(fd);
	nothing_is_left(f);
}

static void removed_target_is_unpublished(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	model_umount(NULL, "/t");
	model_file_remove("/t");
	assert_int_equal(info_of(f, "v").n_targets,
			 1); /* a record, until somebody looks */
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
}

/* --- Namespaces ------------------------------------------------------------------- */

static void namespaces_are_told_apart(void **state)
{
	struct fixture *f = *state;

	model_ns_start(NS_A);
	model_ns_start(NS_B);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS_A));
	assert_non_null(model_mount_at(NS_A, "/t"));
	assert_null(model_mount_at(NULL, "/t"));
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS_A));
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS_B));
	succeeds(f, publish(f, "w", "/t", 0, NULL, NULL));
	assert_int_equal(info_of(f, "v").n_targets, 2);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_non_null(model_mount_at(NULL, "/t"));
	succeeds(f, unpublish(f, "v", "/t", NS_A));
	assert_null(model_mount_at(NS_A, "/t"));
	assert_non_null(model_mount_at(NS_B, "/t"));
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	succeeds(f, unpublish(f, "v", "/t", NS_B));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

static void namespace_that_is_gone_is_unpublished(void **state)
{
	struct fixture *f = *state;

	model_ns_start(NS_A);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS_A));
	succeeds(f, publish(f, "v", "/u", 0, NULL, NS_A));
	model_ns_end(NS_A);
	fails(f, publish(f, "v", "/t", 0, NULL, NS_A), -ENOENT, KVOL_R_NOT_FOUND);
	succeeds(f, unpublish(f, "v", "/t", NS_A));
	assert_int_equal(info_of(f, "v").n_targets, 0); /* the other one went with it */
	assert_null(dev_of(f, "v", false));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	fails(f, publish(f, "w", "/t", 0, NULL, "/etc/passwd"), -EINVAL, KVOL_R_INVALID);
}

/* The model's file of this path, made into something else, as a rename does. */
static mode_t exchange(const char *path, mode_t mode)
{
	mode_t was = 0;

	for (struct model_file *x = model->files; x < model->files + MODEL_FILES; x++) {
		if (x->used && !strcmp(x->path, path)) {
			was = x->mode;
			x->mode = mode;
		}
	}
	assert_int_not_equal(was, 0);
	return was;
}

/* Who may rename a directory above the target can hide it; that ends no publish. */
static void target_that_was_exchanged_is_published_still(void **state)
{
	static const mode_t modes[] = { S_IFLNK | 0777, S_IFREG | 0644 };
	struct fixture *f = *state;

	model_file("/d", S_IFDIR);
	model_file("/d/t", S_IFDIR);
	for (size_t i = 0; i < KV_ARRAY_SIZE(modes); i++) {
		mode_t was;

		succeeds(f, publish(f, "v", "/d/t", 0, NULL, NULL));
		was = exchange("/d", modes[i]);
		fails(f, unpublish(f, "v", "/d/t", NULL), -EBUSY, KVOL_R_BUSY_OPEN);
		fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY,
		      KVOL_R_BUSY_PUBLISHED);
		assert_int_equal(info_of(f, "v").n_targets, 1);
		(void)exchange("/d", was);
		succeeds(f, unpublish(f, "v", "/d/t", NULL));
		assert_int_equal(info_of(f, "v").n_targets, 0);
	}
}

/* The node would be another volume's tomorrow. */
static void device_that_is_covered_is_published_still(void **state)
{
	struct fixture *f = *state;

	model_file("/node", S_IFREG);
	succeeds(f, publish(f, "v", "/node", KVOL_PUBLISH_BLOCK, NULL, NULL));
	model_mount_stranger(NULL, "/node");
	fails(f, unpublish(f, "v", "/node", NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	model_umount(NULL, "/node");
	succeeds(f, unpublish(f, "v", "/node", NULL));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

/* Its number is used again by the next one, and so is the mount's. */
static void next_namespace_of_the_same_number_has_nothing_published(void **state)
{
	struct fixture *f = *state;

	model_ns_start(NS_A);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS_A));
	model_ns_end(NS_A);
	model_ns_start(NS_B);
	model_mount_stranger(NS_B, "/t");
	succeeds(f, unpublish(f, "v", "/t", NS_B));
	assert_non_null(model_mount_at(NS_B, "/t"));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

/* A copied namespace has copies of our mounts, which hold the device. */
static void copy_of_a_mount_keeps_the_device(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	model_ns_start(NS_A);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_true(dev_of(f, "v", false)->deferred);
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_OPEN);
	model_ns_end(NS_A);
	assert_null(dev_of(f, "v", false));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

/* --- Crashes ---------------------------------------------------------------------- */

static int publish_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_publish(pool, "v", "/t", NULL, NULL);
}

static int unpublish_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_unpublish(pool, "v", "/t", NULL, NULL);
}

static void killed_publish_stands_or_not(void **state)
{
	static const char *const steps[] = {
		"dm create",	   "dm load", "dm resume",     "mount",
		"target describe", "record",  "target attach",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		killed_at(f, steps[i], 1, publish_v, NULL);
		assert_int_equal(model_n_mounts(), 0);
		succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
		succeeds(f, unpublish(f, "v", "/t", NULL));
		nothing_is_left(f);
		killed_at(f, steps[i], 1, publish_v, NULL);
		succeeds(f, unpublish(f, "v", "/t", NULL));
		reopen_pool(f);
		nothing_is_left(f);
		killed_at(f, steps[i], 1, publish_v, NULL);
		succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
		succeeds(f, create_volume(f, "v", "ext4"));
	}
}

static void killed_unpublish_is_done_by_the_next(void **state)
{
	static const char *const steps[] = { "target open", "target detach",
					     "dm remove" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
		killed_at(f, steps[i], 1, unpublish_v, NULL);
		succeeds(f, unpublish(f, "v", "/t", NULL));
		reopen_pool(f);
		nothing_is_left(f);
	}
}

/* --- File systems that are shut down ---------------------------------------------- */

static void dead_file_system_is_unpublished(void **state)
{
	static const char *const types[] = { "xfs", "ext4", "btrfs" };
	struct fixture *f = *state;

	model_ns_start(NS_A);
	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		succeeds(f, create_volume(f, "dead", types[i]));
		succeeds(f, publish(f, "dead", "/t", 0, NULL, NULL));
		succeeds(f, publish(f, "dead", "/u", 0, "ro", NULL));
		succeeds(f, publish(f, "dead", "/t", 0, NULL, NS_A));
		model_shut_down(NULL, "/t");
		/* It stands where it stood. */
		succeeds(f, publish(f, "dead", "/t", 0, NULL, NULL));
		fails(f, publish(f, "dead", "/t", 0, "noatime", NULL), -EEXIST,
		      KVOL_R_EXISTS_DIFFERENT);
		fails(f, publish(f, "v", "/t", 0, NULL, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
		succeeds(f, unpublish(f, "v", "/t", NULL));
		assert_non_null(model_mount_at(NULL, "/t"));
		fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY,
		      KVOL_R_BUSY_PUBLISHED);
		succeeds(f, unpublish(f, "dead", "/t", NULL));
		assert_null(model_mount_at(NULL, "/t"));
		assert_int_equal(info_of(f, "dead").n_targets, 2);
		succeeds(f, unpublish(f, "dead", "/u", NULL));
		succeeds(f, unpublish(f, "dead", "/t", NS_A));
		nothing_is_left(f);
		succeeds(f, kvol_delete(f->pool, "dead", 0, &f->e));
	}
}

/* Dead as well, and with its id; but it is of another device. */
static void dead_mount_of_another_volume_is_not_ours(void **state)
{
	struct fixture *f = *state;
	uint64_t id;

	succeeds(f, create_volume(f, "x", "xfs"));
	succeeds(f, create_volume(f, "y", "xfs"));
	succeeds(f, publish(f, "x", "/t", 0, NULL, NULL));
	id = model_mount_at(NULL, "/t")->mnt_id;
	model_umount(NULL, "/t");
	succeeds(f, publish(f, "y", "/t", 0, NULL, NULL));
	assert_int_equal(model_mount_at(NULL, "/t")->mnt_id, id);
	model_shut_down(NULL, "/t");
	fails(f, publish(f, "x", "/t", 0, NULL, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	succeeds(f, unpublish(f, "x", "/t", NULL));
	assert_non_null(model_mount_at(NULL, "/t"));
	succeeds(f, unpublish(f, "y", "/t", NULL));
	nothing_is_left(f);
}

static void dead_file_system_that_is_covered_is_published_still(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "x", "xfs"));
	succeeds(f, publish(f, "x", "/t", 0, NULL, NULL));
	model_shut_down(NULL, "/t");
	model_mount_stranger(NULL, "/t");
	fails(f, unpublish(f, "x", "/t", NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	fails(f, kvol_delete(f->pool, "x", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	model_umount(NULL, "/t");
	succeeds(f, unpublish(f, "x", "/t", NULL));
	nothing_is_left(f);
}

/* --- Damaged records -------------------------------------------------------------- */

static void write_stray(struct fixture *f, const char *name)
{
	_cleanup_close_ int dir = open_run_pool(f);
	char path[64];

	(void)snprintf(path, sizeof(path), "publish/%u", id_of(f, name));
	assert_true(mkdirat(dir, "publish", 0700) == 0 || errno == EEXIST);
	assert_true(mkdirat(dir, path, 0700) == 0 || errno == EEXIST);
	(void)snprintf(path, sizeof(path), "publish/%u/0123456789abcdef", id_of(f, name));
	assert_int_equal(kv_write_file_at(dir, path, "junk", 4), 0);
}

/* It tells nothing: what it stands for may be there for as long as the volume is in use.
 */
static void stray_record_stands_while_the_volume_is_in_use(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	write_stray(f, "v");
	assert_int_equal(info_of(f, "v").n_targets, 2);
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	fails(f, publish(f, "v", "/u", 0, NULL, NULL), -EUCLEAN, KVOL_R_CORRUPT);
	fails(f, kvol_expand(f->pool, "v", 1 << 30, 0, &f->e), -EUCLEAN, KVOL_R_CORRUPT);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	reopen_pool(f);
	assert_int_equal(info_of(f, "v").n_targets, 2);
	assert_non_null(model_mount_at(NULL, "/t"));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_int_equal(info_of(f, "v").n_targets, 0);
	succeeds(f, publish(f, "v", "/u", 0, NULL, NULL));
	assert_int_equal(info_of(f, "v").n_targets, 1);
	succeeds(f, unpublish(f, "v", "/u", NULL));
	nothing_is_left(f);
}

/* A node that is bound somewhere is held open by nobody, and must not become another
 * volume's. */
static void stray_record_stands_while_the_node_is_bound(void **state)
{
	static const uint32_t flags[] = { KVOL_PUBLISH_BLOCK,
					  KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY };
	struct fixture *f = *state;

	model_ns_start(NS_A);
	for (size_t i = 0; i < KV_ARRAY_SIZE(flags); i++) {
		succeeds(f, publish(f, "raw", "/f", flags[i], NULL, NS_A));
		damage_records(f, "raw");
		fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY,
		      KVOL_R_BUSY_PUBLISHED);
		fails(f, kvol_delete(f->pool, "raw", 0, &f->e), -EBUSY,
		      KVOL_R_BUSY_PUBLISHED);
		reopen_pool(f);
		model_umount(NS_A, "/f");
		succeeds(f, unpublish(f, "raw", "/f", NS_A));
		nothing_is_left(f);
		assert_int_equal(info_of(f, "raw").n_targets, 0);
	}
}

static void damaged_publish_is_known_by_the_device_that_is_seen(void **state)
{
	static const struct {
		const char *fs, *target;
		uint32_t flags;
		bool shut_down;
	} cases[] = {
		{ "ext4", "/t", 0, false },
		{ "ext4", "/t", KVOL_PUBLISH_READONLY, false },
		{ "xfs", "/t", 0, false },
		{ "xfs", "/t", 0, true },
		{ "btrfs", "/t", 0, false },
		{ NULL, "/f", KVOL_PUBLISH_BLOCK, false },
		{ NULL, "/f", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY, false },
	};
	struct fixture *f = *state;

	model_ns_start(NS_A);
	for (size_t i = 0; i < 2 * KV_ARRAY_SIZE(cases); i++) {
		const char *ns = i % 2 ? NS_A : NULL;

		succeeds(f, create_volume(f, "x", cases[i / 2].fs));
		succeeds(f, publish(f, "x", cases[i / 2].target, cases[i / 2].flags, NULL,
				    ns));
		if (cases[i / 2].shut_down)
			model_shut_down(ns, cases[i / 2].target);
		damage_records(f, "x");
		fails(f, publish(f, "x", cases[i / 2].target, cases[i / 2].flags, NULL,
				 ns),
		      -EUCLEAN, KVOL_R_CORRUPT);
		assert_int_equal(info_of(f, "x").n_targets, 1);
		succeeds(f, unpublish(f, "x", cases[i / 2].target, ns));
		nothing_is_left(f);
		assert_int_equal(info_of(f, "x").n_targets, 0);
		succeeds(f, kvol_delete(f->pool, "x", 0, &f->e));
	}
}

static void killed_unpublish_of_a_damaged_record_is_done_by_the_next(void **state)
{
	static const char *const steps[] = { "target open",   "namespace enter",
					     "namespace visit", "target detach",
					     "run remove",    "dm remove" };
	struct fixture *f = *state;

	for (size_t i = 0; i < 2 * KV_ARRAY_SIZE(steps); i++) {
		succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
		damage_records(f, "v");
		killed_at(f, steps[i / 2], 1, unpublish_v, NULL);
		if (i % 2)
			reopen_pool(f);
		succeeds(f, unpublish(f, "v", "/t", NULL));
		reopen_pool(f);
		nothing_is_left(f);
	}
}

/* Covered, or another volume's by now: there is nothing that could be told. */
static void damaged_publish_that_is_not_seen_is_left_alone(void **state)
{
	struct fixture *f = *state;

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	damage_records(f, "v");
	model_mount_stranger(NULL, "/t");
	fails(f, unpublish(f, "v", "/t", NULL), -EUCLEAN, KVOL_R_CORRUPT);
	assert_int_equal(model_n_mounts(), 2);
	model_umount(NULL, "/t");
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);

	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	damage_records(f, "v");
	model_umount(NULL, "/t");
	succeeds(f, publish(f, "w", "/t", 0, NULL, NULL));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_non_null(model_mount_at(NULL, "/t"));
	assert_int_equal(info_of(f, "v").n_targets, 0);
	succeeds(f, unpublish(f, "w", "/t", NULL));
	nothing_is_left(f);
}

static void damaged_record_without_a_mount_is_no_obstacle(void **state)
{
	struct fixture *f = *state;

	/* Published again; deleted; taken out of use. */
	for (int i = 0; i < 4; i++) {
		succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
		damage_records(f, "v");
		model_umount(NULL, "/t");
		if (i == 0) {
			succeeds(f, publish(f, "v", "/t", 0, "noatime", NULL));
			assert_int_equal(info_of(f, "v").n_targets, 1);
			succeeds(f, unpublish(f, "v", "/t", NULL));
		} else if (i == 1) {
			model_file_remove("/t");
			succeeds(f, unpublish(f, "v", "/t", NULL));
			model_file("/t", S_IFDIR);
		} else if (i == 2) {
			succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
			succeeds(f, create_volume(f, "v", "ext4"));
		} else {
			succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
			kvol_pool_close(f->pool);
			f->pool = NULL;
			open_pool(f);
		}
		nothing_is_left(f);
	}
}

static void damaged_record_in_a_gone_namespace_goes_with_the_volume(void **state)
{
	struct fixture *f = *state;

	model_ns_start(NS_A);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS_A));
	damage_records(f, "v");
	model_ns_end(NS_A);
	succeeds(f, unpublish(f, "v", "/t", NS_A));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(published_volume_is_seen_and_unpublished_it_is_gone),
		on_pool(device_appears_on_a_file),
		on_pool(read_only_device_refuses_writers),
		on_pool(read_only_is_read_only_however_it_is_said),
		on_pool(snapshot_is_always_read_only),
		on_pool(options_are_told_apart),
		on_pool(bad_arguments_are_refused),
		on_pool(bad_targets_are_refused),
		on_pool(bad_options_are_refused),
		on_pool(pool_that_has_failed_or_lost_the_volume_is_named),
		on_pool(failed_publish_leaves_nothing),
		on_pool(target_is_looked_at_again_before_the_move),
		on_pool(only_our_own_mount_is_taken_away),
		on_pool(mount_of_another_volume_with_the_same_id_is_not_ours),
		on_pool(busy_target_stays_published),
		on_pool(device_goes_when_its_last_opener_goes),
		on_pool(removed_target_is_unpublished),
		on_pool(namespaces_are_told_apart),
		on_pool(namespace_that_is_gone_is_unpublished),
		on_pool(target_that_was_exchanged_is_published_still),
		on_pool(device_that_is_covered_is_published_still),
		on_pool(next_namespace_of_the_same_number_has_nothing_published),
		on_pool(copy_of_a_mount_keeps_the_device),
		on_pool(killed_publish_stands_or_not),
		on_pool(killed_unpublish_is_done_by_the_next),
		on_pool(dead_file_system_is_unpublished),
		on_pool(dead_mount_of_another_volume_is_not_ours),
		on_pool(dead_file_system_that_is_covered_is_published_still),
		on_pool(stray_record_stands_while_the_volume_is_in_use),
		on_pool(stray_record_stands_while_the_node_is_bound),
		on_pool(damaged_publish_is_known_by_the_device_that_is_seen),
		on_pool(killed_unpublish_of_a_damaged_record_is_done_by_the_next),
		on_pool(damaged_publish_that_is_not_seen_is_left_alone),
		on_pool(damaged_record_without_a_mount_is_no_obstacle),
		on_pool(damaged_record_in_a_gone_namespace_goes_with_the_volume),
	};

	return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
