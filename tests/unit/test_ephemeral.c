/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Ephemeral volumes on the model: made by a publish, gone with the last unpublish, and
 * collected when their publishes ended in any other way; never while somebody has them.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

#define BYTES  (512 * MIB)
#define SECRET "open sesame"

/* A pool with volume v (ext4), its snapshot s, and raw; targets /t, /u, /f, /g. */
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
	succeeds(f, create_volume(f, "raw", NULL));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	return 0;
}

struct ask {
	struct kvol_ephemeral_opts of;
	uint32_t flags;
	const char *secret;
};

static int ask_for(struct kvol_pool *pool, const char *name, const char *target,
		   const struct ask *ask, struct kvol_error *e)
{
	struct kvol_ephemeral_opts of = ask->of;
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = ask->flags,
				       .secret = ask->secret,
				       .ephemeral = &of };

	of.size = sizeof(of);
	o.secret_bytes = ask->secret ? strlen(ask->secret) : 0;
	return kvol_publish(pool, name, target, &o, e);
}

#define ASK(f, name, target, ...) \
	ask_for((f)->pool, name, target, &(struct ask){ __VA_ARGS__ }, &(f)->e)
#define EXT4	.of = { .bytes = BYTES, .fs_type = "ext4" }

static unsigned thins(struct fixture *f)
{
	return model_thins(disk_of(f));
}

/* Only what setup() has made. */
static void nothing_is_left(struct fixture *f)
{
	assert_false(exists(f, "e"));
	assert_int_equal(thins(f), 3);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(model_n_keys(), 0);
	assert_int_equal(query(f, "SELECT count(*) FROM ephemeral"), 0);
	assert_int_equal(pool_info(f).n_published, 0);
}

static void is_ephemeral(struct fixture *f, unsigned targets)
{
	struct kvol_info info = info_of(f, "e");

	assert_int_equal(info.flags & KVOL_INFO_EPHEMERAL, KVOL_INFO_EPHEMERAL);
	assert_int_equal(info.n_targets, targets);
}

/* --- Living and dying ------------------------------------------------------------- */

static void publish_makes_it_and_the_last_unpublish_deletes_it(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	is_ephemeral(f, 1);
	assert_int_equal(info_of(f, "e").bytes, BYTES);
	succeeds(f, ASK(f, "e", "/t", EXT4)); /* a repeat */
	succeeds(f, ASK(f, "e", "/u", EXT4));
	is_ephemeral(f, 2);
	assert_int_equal(thins(f), 4);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	succeeds(f, unpublish(f, "e", "/t", NULL));
	is_ephemeral(f, 1);
	succeeds(f, unpublish(f, "e", "/u", NULL));
	nothing_is_left(f);
	succeeds(f, unpublish(f, "e", "/u", NULL));
}

static void plain_publish_shares_it_and_counts(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	succeeds(f, publish(f, "e", "/u", KVOL_PUBLISH_READONLY, NULL, NULL));
	succeeds(f, unpublish(f, "e", "/t", NULL));
	is_ephemeral(f, 1);
	succeeds(f, publish(f, "e", "/t", 0, NULL, NULL));
	succeeds(f, unpublish(f, "e", "/u", NULL));
	succeeds(f, unpublish(f, "e", "/t", NULL));
	nothing_is_left(f);
	fails(f, publish(f, "e", "/t", 0, NULL, NULL), -ENOENT, KVOL_R_NOT_FOUND);
}

static void raw_one_is_a_device(void **state)
{
	struct fixture *f = *state;

	fails(f, ASK(f, "e", "/t", .of = { .bytes = BYTES }), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	nothing_is_left(f);
	succeeds(f, ASK(f, "e", "/f", .of = { .bytes = 1 },
			.flags = KVOL_PUBLISH_BLOCK));
	assert_int_equal(info_of(f, "e").bytes, 4096);
	succeeds(f, ASK(f, "e", "/g", .of = { .bytes = 4096 },
			.flags = KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY));
	succeeds(f, unpublish(f, "e", "/f", NULL));
	is_ephemeral(f, 1);
	reopen_pool(f); /* bound, and held open by nobody */
	is_ephemeral(f, 1);
	succeeds(f, unpublish(f, "e", "/g", NULL));
	nothing_is_left(f);
}

static void encrypted_one_is_thrown_away_with_its_key(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4, .secret = SECRET));
	assert_true(info_of(f, "e").flags & KVOL_INFO_ENCRYPTED);
	assert_true(thin_of(f, "e")->content.luks);
	fails(f, ASK(f, "e", "/u", EXT4), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	fails(f, ASK(f, "e", "/u", EXT4, .secret = "another"), -EACCES,
	      KVOL_R_WRONG_SECRET);
	is_ephemeral(f, 1);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	nothing_is_left(f);
}

static void it_is_a_clone_of_a_volume_or_snapshot(void **state)
{
	static const char *const sources[] = { "v", "s" };
	struct fixture *f = *state;

	thin_of(f, "v")->content.mark = thin_of(f, "v")->flushed.mark = 7;
	thin_of(f, "s")->content.mark = thin_of(f, "s")->flushed.mark = 7;
	for (size_t i = 0; i < KV_ARRAY_SIZE(sources); i++) {
		succeeds(f, ASK(f, "e", "/t", .of = { .source = sources[i] }));
		is_ephemeral(f, 1);
		assert_string_equal(info_of(f, "e").source, sources[i]);
		assert_int_equal(thin_of(f, "e")->content.mark, 7);
		succeeds(f, ASK(f, "e", "/u",
				.of = { .bytes = BYTES, .source = sources[i] }));
		succeeds(f, unpublish(f, "e", "/u", NULL));
		succeeds(f, unpublish(f, "e", "/t", NULL));
		nothing_is_left(f);
	}
	succeeds(f, ASK(f, "e", "/t", .of = { .bytes = 600 * MIB, .source = "s" }));
	assert_int_equal(info_of(f, "e").bytes, 600 * MIB);
	assert_int_equal(thin_of(f, "e")->content.bytes, 600 * MIB);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	nothing_is_left(f);
}

static void clone_of_an_encrypted_one_takes_its_secret(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "ext4",
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET) };
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "x", BYTES, &o, &f->e));
	fails(f, ASK(f, "e", "/t", .of = { .source = "x" }), -ENOKEY,
	      KVOL_R_NEEDS_SECRET);
	fails(f, ASK(f, "e", "/t", .of = { .source = "x" }, .secret = "another"), -EACCES,
	      KVOL_R_WRONG_SECRET);
	fails(f, ASK(f, "e", "/t", .of = { .source = "v" }, .secret = SECRET), -EINVAL,
	      KVOL_R_INVALID);
	assert_false(exists(f, "e"));
	succeeds(f, ASK(f, "e", "/t", .of = { .source = "x" }, .secret = SECRET));
	succeeds(f, unpublish(f, "e", "/t", NULL));
	succeeds(f, kvol_delete(f->pool, "x", 0, &f->e));
	nothing_is_left(f);
}

static void its_copies_outlive_it(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	succeeds(f, kvol_snapshot(f->pool, "e", "es", NULL, &f->e));
	succeeds(f, kvol_clone(f->pool, "e", "ec", NULL, &f->e));
	succeeds(f, unpublish(f, "e", "/t", NULL));
	assert_false(exists(f, "e"));
	reopen_pool(f);
	assert_false(info_of(f, "es").flags & KVOL_INFO_EPHEMERAL);
	assert_false(info_of(f, "ec").flags & KVOL_INFO_EPHEMERAL);
	succeeds(f, publish(f, "ec", "/t", 0, NULL, NULL));
	succeeds(f, unpublish(f, "ec", "/t", NULL));
	succeeds(f, kvol_delete(f->pool, "ec", 0, &f->e));
	succeeds(f, kvol_delete(f->pool, "es", 0, &f->e));
	nothing_is_left(f);
}

/* --- Refusing --------------------------------------------------------------------- */

static void other_parameters_are_another_one(void **state)
{
	static const struct ask others[] = {
		{ .of = { .bytes = BYTES + 4096, .fs_type = "ext4" } },
		{ .of = { .bytes = BYTES, .fs_type = "xfs" } },
		{ .of = { .bytes = UINT64_MAX, .fs_type = "ext4" } },
		{ .of = { .fs_type = "ext4" } },
		{ .of = { .source = "v" } },
		{ .of = { .source = "e" } },
		{ EXT4, .secret = SECRET },
	};
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	for (size_t i = 0; i < KV_ARRAY_SIZE(others); i++)
		fails(f, ask_for(f->pool, "e", "/u", &others[i], &f->e), -EEXIST,
		      KVOL_R_EXISTS_DIFFERENT);
	is_ephemeral(f, 1);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	succeeds(f, ASK(f, "e", "/t", .of = { .source = "v" }));
	fails(f, ASK(f, "e", "/u", .of = { .source = "s" }), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, ASK(f, "e", "/u", .of = { .source = "v", .fs_type = "xfs" }), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, ASK(f, "e", "/u", EXT4), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	nothing_is_left(f);
}

static void lasting_and_ephemeral_do_not_pass_for_each_other(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct fixture *f = *state;

	fails(f, ASK(f, "v", "/t", EXT4), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	fails(f, ASK(f, "s", "/t", .of = { .source = "v" }), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
	fails(f, ASK(f, "v", "/t", EXT4), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_true(exists(f, "v"));
	succeeds(f, ASK(f, "e", "/t", EXT4));
	fails(f, kvol_create(f->pool, "e", BYTES, &o, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_clone(f->pool, "v", "e", NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_delete(f->pool, "e", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	nothing_is_left(f);
}

static void bad_options_are_refused(void **state)
{
	struct kvol_ephemeral_opts of = { .size = 8, .bytes = BYTES };
	struct kvol_publish_opts o = { .size = sizeof(o), .ephemeral = &of };
	struct fixture *f = *state;

	fails(f, kvol_publish(f->pool, "e", "/t", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .flags = 1, .bytes = BYTES }), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .fs_type = "ext4" }), -EINVAL, KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .bytes = 4096, .fs_type = "ext4" }), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .bytes = UINT64_MAX, .fs_type = "ext4" }),
	      -EINVAL, KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .bytes = BYTES, .fs_type = "vfat" }), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	fails(f, ASK(f, "e", "/t", .of = { .source = "a/b" }), -EINVAL, KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .source = "none" }), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, ASK(f, "e", "/t", .of = { .source = "e" }), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, ASK(f, "e", "/t", .of = { .bytes = MIB, .source = "v" }), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .source = "v", .fs_type = "xfs" }), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, ASK(f, "e", "/t", .of = { .source = "raw" }), -EINVAL,
	      KVOL_R_UNSUPPORTED);
	nothing_is_left(f);
	assert_int_equal(query(f, "SELECT count(*) FROM volume WHERE name IS NULL"), 0);
}

static void limits_hold_for_it(void **state)
{
	struct kvol_policy_opts o = { .size = sizeof(o),
				      .flags = KVOL_SET_MAX_VOLUMES,
				      .max_volumes = 3 };
	struct fixture *f = *state;

	succeeds(f, kvol_pool_set(f->pool, &o, &f->e));
	fails(f, ASK(f, "e", "/t", EXT4), -ENOSPC, KVOL_R_LIMIT);
	fails(f, ASK(f, "e", "/t", .of = { .source = "v" }), -ENOSPC, KVOL_R_LIMIT);
	o.flags |= KVOL_SET_MAX_PUBLISHED;
	o.max_volumes = 0;
	o.max_published = 1;
	succeeds(f, kvol_pool_set(f->pool, &o, &f->e));
	succeeds(f, publish(f, "v", "/u", 0, NULL, NULL));
	fails(f, ASK(f, "e", "/t", EXT4), -ENOSPC, KVOL_R_LIMIT); /* made, and undone */
	succeeds(f, unpublish(f, "v", "/u", NULL));
	nothing_is_left(f);
}

/* --- A publish that fails --------------------------------------------------------- */

static void publish_that_is_refused_makes_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned formatted = thins(f);

	model_mount_stranger(NULL, "/u");
	fails(f, ASK(f, "e", "/u", EXT4), -EBUSY, KVOL_R_BUSY_OPEN);
	model_umount(NULL, "/u");
	fails(f, ASK(f, "e", "/nowhere", EXT4), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, ASK(f, "e", "/f", EXT4), -ENOTDIR, KVOL_R_INVALID);
	fails(f, ASK(f, "e", "t", EXT4), -EINVAL, KVOL_R_INVALID);
	assert_int_equal(thins(f), formatted);
	nothing_is_left(f);
}

static void publish_that_fails_leaves_nothing(void **state)
{
	static const char *const steps[] = { "dm create", "mkfs",   "commit",
					     "mount",	  "target attach", "message create_thin" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i], 1, -EIO);
		prepare_error(f);
		assert_int_not_equal(ASK(f, "e", "/t", EXT4), 0);
		model_forget_plans();
		nothing_is_left(f);
		model_fail(steps[i], 1, -EIO);
		prepare_error(f);
		(void)ASK(f, "e", "/t", .of = { .source = "v" });
		model_forget_plans();
		succeeds(f, unpublish(f, "e", "/t", NULL));
		nothing_is_left(f);
	}
}

/* --- What is left over ------------------------------------------------------------ */

static void reboot_ends_it(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	succeeds(f, ASK(f, "e2", "/f", .of = { .bytes = BYTES },
			.flags = KVOL_PUBLISH_BLOCK));
	close_pool(f);
	model_power_cut();
	open_pool(f);
	assert_false(exists(f, "e2"));
	nothing_is_left(f);
}

static void what_was_unmounted_by_hand_is_collected_by_open(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	model_umount(NULL, "/t");
	assert_true(exists(f, "e"));
	reopen_pool(f);
	nothing_is_left(f);
}

static void what_was_unmounted_by_hand_is_never_found_again(void **state)
{
	struct fixture *f = *state;

	for (int plain = 0; plain < 2; plain++) {
		succeeds(f, ASK(f, "e", "/t", EXT4));
		thin_of(f, "e")->content.mark = thin_of(f, "e")->flushed.mark = 9;
		model_umount(NULL, "/t");
		if (plain) {
			fails(f, publish(f, "e", "/t", 0, NULL, NULL), -ENOENT,
			      KVOL_R_NOT_FOUND);
			nothing_is_left(f);
			continue;
		}
		succeeds(f, ASK(f, "e", "/t", EXT4));
		assert_int_not_equal(thin_of(f, "e")->content.mark, 9);
		is_ephemeral(f, 1);
		succeeds(f, unpublish(f, "e", "/t", NULL));
		nothing_is_left(f);
	}
}

static void unpublish_and_delete_take_a_leftover_away(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	model_umount(NULL, "/t");
	succeeds(f, unpublish(f, "e", "/u", NULL)); /* any target */
	nothing_is_left(f);
	succeeds(f, ASK(f, "e", "/t", EXT4));
	model_umount(NULL, "/t");
	succeeds(f, kvol_delete(f->pool, "e", 0, &f->e));
	nothing_is_left(f);
}

static int publish_e(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return ask_for(pool, "e", "/t", &(struct ask){ EXT4 }, NULL);
}

static int unpublish_e(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_unpublish(pool, "e", "/t", NULL, NULL);
}

static const struct {
	const char *step;
	bool listed; /* its row is there */
} kills[] = { { "mkfs", false }, { "mount", true }, { "target attach", true } };

static void what_a_kill_leaves_is_collected_by_open(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(kills); i++) {
		killed_at(f, kills[i].step, 1, publish_e, NULL);
		assert_int_equal(exists(f, "e"), kills[i].listed);
		reopen_pool(f);
		nothing_is_left(f);
	}
}

static void what_a_kill_leaves_is_made_anew_by_a_repeat(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(kills); i++) {
		killed_at(f, kills[i].step, 1, publish_e, NULL);
		succeeds(f, ASK(f, "e", "/t", EXT4));
		is_ephemeral(f, 1);
		succeeds(f, unpublish(f, "e", "/t", NULL));
		reopen_pool(f);
		nothing_is_left(f);
	}
}

static void what_a_kill_leaves_is_swept_up_by_others(void **state)
{
	struct fixture *f = *state;

	killed_at(f, "mount", 1, publish_e, NULL);
	assert_true(exists(f, "e"));
	succeeds(f, ASK(f, "other", "/u", EXT4));
	assert_false(exists(f, "e"));
	succeeds(f, unpublish(f, "other", "/u", NULL));
	nothing_is_left(f);
}

static void unpublish_that_was_killed_is_finished(void **state)
{
	static const char *const steps[] = { "dm remove", "commit", "message delete" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		succeeds(f, ASK(f, "e", "/t", EXT4));
		killed_at(f, steps[i], 1, unpublish_e, NULL);
		succeeds(f, unpublish(f, "e", "/t", NULL));
		assert_false(exists(f, "e"));
		reopen_pool(f);
		nothing_is_left(f);
	}
}

static void another_boots_is_collected_whatever_its_records_say(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	doctor(f, "UPDATE ephemeral SET boot = 'another'");
	reopen_pool(f); /* but not while it is in use */
	is_ephemeral(f, 1);
	damage_records(f, "e");
	reopen_pool(f);
	is_ephemeral(f, 1);
	model_umount(NULL, "/t");
	reopen_pool(f);
	nothing_is_left(f);
}

/* --- What must not be deleted ----------------------------------------------------- */

static void who_has_it_open_keeps_it(void **state)
{
	struct fixture *f = *state;
	int fd;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	fd = kv_blockdev_open(model_dev_number(dev_of(f, "e", false)), O_RDONLY);
	assert_true(fd >= 0);
	fails(f, unpublish(f, "e", "/t", NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_null(model_mount_at(NULL, "/t"));
	reopen_pool(f);
	is_ephemeral(f, 0);
	assert_int_equal(kv_close(fd), -1);
	succeeds(f, unpublish(f, "e", "/t", NULL));
	nothing_is_left(f);
}

/* As somebody does who cleans up the run directory. */
static void lose_records(struct fixture *f, const char *name)
{
	_cleanup_close_ int run = open_run_pool(f);
	char path[64];
	struct dirent *d;
	DIR *dir;
	int fd;

	(void)snprintf(path, sizeof(path), "publish/%u", id_of(f, name));
	fd = openat(run, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fdopendir(fd);
	assert_non_null(dir);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.')
			assert_int_equal(unlinkat(fd, d->d_name, 0), 0);
	(void)closedir(dir);
	assert_int_equal(unlinkat(run, path, AT_REMOVEDIR), 0);
}

static void lost_records_do_not_kill_it(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	lose_records(f, "e");
	reopen_pool(f);
	is_ephemeral(f, 0);
	succeeds(f, ASK(f, "other", "/u", EXT4));
	is_ephemeral(f, 0);
	fails(f, unpublish(f, "e", "/u", NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	is_ephemeral(f, 0);
	assert_non_null(model_mount_at(NULL, "/t"));
	model_umount(NULL, "/t");
	succeeds(f, unpublish(f, "other", "/u", NULL));
	reopen_pool(f);
	nothing_is_left(f);
}

static void half_a_word_is_none(void **state)
{
	struct fixture *f = *state;

	/* The flag alone, and the table alone. */
	succeeds(f, ASK(f, "e", "/t", EXT4));
	doctor(f, "DELETE FROM ephemeral");
	doctor(f, "INSERT INTO ephemeral SELECT id, 'another' FROM volume WHERE name = 'v'");
	model_umount(NULL, "/t");
	reopen_pool(f);
	assert_true(exists(f, "e"));
	assert_true(exists(f, "v"));
	succeeds(f, kvol_delete(f->pool, "e", 0, &f->e));
	doctor(f, "DELETE FROM ephemeral");
	nothing_is_left(f);
}

static void pool_that_takes_no_changes_lets_it_be_unpublished(void **state)
{
	struct fixture *f = *state;

	succeeds(f, ASK(f, "e", "/t", EXT4));
	disk_of(f)->mode = MODEL_READ_ONLY;
	succeeds(f, unpublish(f, "e", "/t", NULL));
	is_ephemeral(f, 0);
	assert_null(dev_of(f, "e", false));
	fails(f, ASK(f, "e", "/t", EXT4), -EROFS, KVOL_R_POOL_READ_ONLY);
	reopen_pool(f);
	is_ephemeral(f, 0);
	disk_of(f)->mode = MODEL_RW;
	reopen_pool(f);
	nothing_is_left(f);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(publish_makes_it_and_the_last_unpublish_deletes_it),
		on_pool(plain_publish_shares_it_and_counts),
		on_pool(raw_one_is_a_device),
		on_pool(encrypted_one_is_thrown_away_with_its_key),
		on_pool(it_is_a_clone_of_a_volume_or_snapshot),
		on_pool(clone_of_an_encrypted_one_takes_its_secret),
		on_pool(its_copies_outlive_it),
		on_pool(other_parameters_are_another_one),
		on_pool(lasting_and_ephemeral_do_not_pass_for_each_other),
		on_pool(bad_options_are_refused),
		on_pool(limits_hold_for_it),
		on_pool(publish_that_is_refused_makes_nothing),
		on_pool(publish_that_fails_leaves_nothing),
		on_pool(reboot_ends_it),
		on_pool(what_was_unmounted_by_hand_is_collected_by_open),
		on_pool(what_was_unmounted_by_hand_is_never_found_again),
		on_pool(unpublish_and_delete_take_a_leftover_away),
		on_pool(what_a_kill_leaves_is_collected_by_open),
		on_pool(what_a_kill_leaves_is_made_anew_by_a_repeat),
		on_pool(what_a_kill_leaves_is_swept_up_by_others),
		on_pool(unpublish_that_was_killed_is_finished),
		on_pool(another_boots_is_collected_whatever_its_records_say),
		on_pool(who_has_it_open_keeps_it),
		on_pool(lost_records_do_not_kill_it),
		on_pool(half_a_word_is_none),
		on_pool(pool_that_takes_no_changes_lets_it_be_unpublished),
	};

	return cmocka_run_group_tests_name("ephemeral volumes", tests, NULL, NULL);
}
