/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Creating and deleting volumes, on the model: each state of the pool, each documented
 * error, and what is left when a step fails or the process dies.
 */

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "verb.h"

/* --- Creating --------------------------------------------------------------------- */

static void created_volume_is_there_and_inactive(void **state)
{
	struct fixture *f = *state;
	struct kvol_info info;

	succeeds(f, kvol_create(f->pool, "v", 10 * MIB, NULL, &f->e));
	info = info_of(f, "v");
	assert_int_equal(info.bytes, 10 * MIB);
	assert_int_equal(info.kind, KVOL_KIND_VOLUME);
	assert_int_equal(info.allocated, 0);
	assert_int_equal(info.n_targets, 0);
	assert_string_equal(info.name, "v");
	assert_string_equal(info.source, "");
	assert_string_equal(info.fs_type, "");
	assert_string_equal(info.device, "");
	assert_true(kv_uuid_valid(info.uuid));
	assert_int_equal(model_thins(disk_of(f)), 1);
	assert_null(dev_of(f, "v", false));
	reopen_pool(f);
	assert_true(exists(f, "v"));
}

static void created_file_system_has_the_volumes_uuid_and_size(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;
	struct kvol_info info;

	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		succeeds(f, create_volume(f, types[i], types[i]));
		info = info_of(f, types[i]);
		assert_string_equal(info.fs_type, types[i]);
		assert_true(info.allocated > 0);
		assert_string_equal(thin_of(f, types[i])->content.fs, types[i]);
		assert_string_equal(thin_of(f, types[i])->content.uuid, info.uuid);
		assert_int_equal(thin_of(f, types[i])->content.bytes, info.bytes);
		assert_null(dev_of(f, types[i], false));
	}
}

static void size_is_rounded_up_to_4096(void **state)
{
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "v", 1, NULL, &f->e));
	assert_int_equal(info_of(f, "v").bytes, 4096);
	succeeds(f, kvol_create(f->pool, "v", 4096, NULL, &f->e));
	succeeds(f, kvol_create(f->pool, "w", 4097, NULL, &f->e));
	assert_int_equal(info_of(f, "w").bytes, 8192);
	succeeds(f, kvol_create(f->pool, "max", KV_BYTES_MAX, NULL, &f->e));
	fails(f, kvol_create(f->pool, "more", KV_BYTES_MAX + 1, NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
}

static void create_again_is_nothing_and_different_is_refused(void **state)
{
	struct kvol_create_opts ext4 = { .size = sizeof(ext4), .fs_type = "ext4" };
	struct kvol_create_opts xfs = { .size = sizeof(xfs), .fs_type = "xfs" };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "v", "ext4"));
	assert_int_equal(model_thins(disk_of(f)), 1);
	fails(f, kvol_create(f->pool, "v", 511 * MIB, &ext4, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_create(f->pool, "v", 513 * MIB, &ext4, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_create(f->pool, "v", 512 * MIB, &xfs, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_create(f->pool, "v", 512 * MIB, NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	fails(f, create_volume(f, "s", "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	fails(f, create_volume(f, "c", "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
}

static void create_again_is_nothing_even_when_the_pool_takes_no_changes(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	disk_of(f)->mode = MODEL_READ_ONLY;
	succeeds(f, create_volume(f, "v", NULL));
}

static void bad_arguments_of_create_are_refused(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o) };
	struct {
		struct kvol_create_opts o;
		uint64_t more;
	} newer = { .o = { .size = sizeof(newer) } };
	struct fixture *f = *state;
	char long_name[KV_NAME_MAX + 2];

	memset(long_name, 'x', sizeof(long_name));
	long_name[KV_NAME_MAX + 1] = '\0';
	fails(f, kvol_create(NULL, "v", MIB, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, NULL, MIB, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, "", MIB, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, "a/b", MIB, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, "a\nb", MIB, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, "\xff", MIB, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, long_name, MIB, NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_create(f->pool, "v", 0, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	o.flags = 1u << 31;
	fails(f, kvol_create(f->pool, "v", MIB, &o, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_create_opts){ .size = 4 };
	fails(f, kvol_create(f->pool, "v", MIB, &o, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_create_opts){ .size = sizeof(o), .bytes = MIB };
	fails(f, kvol_create(f->pool, "v", MIB, &o, &f->e), -EINVAL, KVOL_R_INVALID);
	newer.more = 1;
	fails(f, kvol_create(f->pool, "v", MIB, &newer.o, &f->e), -E2BIG, KVOL_R_INVALID);
	newer.more = 0;
	long_name[KV_NAME_MAX] = '\0';
	succeeds(f, kvol_create(f->pool, long_name, MIB, &newer.o, &f->e));
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static void names_are_values_and_nothing_else(void **state)
{
	static const char *const names[] = {
		".",	"..",	    "control", "-", " ", "'; DROP TABLE volume; --",
		"%s%n", "\xc3\xa4", "V",       "v",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++)
		succeeds(f, kvol_create(f->pool, names[i], MIB, NULL, &f->e));
	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++)
		assert_string_equal(info_of(f, names[i]).name, names[i]);
	assert_int_equal(pool_info(f).n_volumes, KV_ARRAY_SIZE(names));
}

static void file_systems_have_least_sizes_and_must_be_known(void **state)
{
	static const struct {
		const char *fs;
		uint64_t least;
	} fs[] = {
		{ "ext4", 8 * MIB },
		{ "xfs", 300 * MIB },
		{ "btrfs", 256 * MIB },
	};
	struct kvol_create_opts o = { .size = sizeof(o) };
	struct fixture *f = *state;
	char digits[24];

	for (size_t i = 0; i < KV_ARRAY_SIZE(fs); i++) {
		o.fs_type = fs[i].fs;
		fails(f, kvol_create(f->pool, fs[i].fs, fs[i].least - 4096, &o, &f->e),
		      -EINVAL, KVOL_R_INVALID);
		(void)snprintf(digits, sizeof(digits), "%llu",
			       (unsigned long long)fs[i].least);
		assert_non_null(strstr(f->e.msg, digits));
		succeeds(f, kvol_create(f->pool, fs[i].fs, fs[i].least, &o, &f->e));
	}
	o.fs_type = "reiserfs";
	fails(f, kvol_create(f->pool, "v", MIB, &o, &f->e), -EINVAL, KVOL_R_UNSUPPORTED);
	o.fs_type = "";
	succeeds(f, kvol_create(f->pool, "v", MIB, &o, &f->e));
}

static void failed_mkfs_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "first", NULL));
	model_fail("mkfs ext4", 1, -EIO);
	fails(f, create_volume(f, "v", "ext4"), -EIO, KVOL_R_IO);
	assert_non_null(strstr(f->e.msg, "the model says no"));
	model_fail("mkfs ext4", 1, -ENOENT);
	fails(f, create_volume(f, "v", "ext4"), -EINVAL, KVOL_R_UNSUPPORTED);
	model_fail("mkfs ext4", 1, -ETIMEDOUT);
	fails(f, create_volume(f, "v", "ext4"), -ETIMEDOUT, KVOL_R_TIMEOUT);
	model_fail("device flush", 1, -EIO);
	fails(f, create_volume(f, "v", "ext4"), -EIO, KVOL_R_IO);
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 1);
	assert_int_equal(model_n_devs(), 4);
	assert_true(f->log_priority > LOG_WARNING);
	succeeds(f, create_volume(f, "v", "ext4"));
}

static void failed_commit_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "first", NULL));
	model_fail("commit", 1, -ENOSPC);
	fails(f, create_volume(f, "v", "ext4"), -ENOSPC, KVOL_R_SYSTEM);
	model_fail("commit", 1, -EIO);
	fails(f, create_volume(f, "v", NULL), -EIO, KVOL_R_IO);
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static void what_could_not_be_undone_is_done_by_the_next_open(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "first", NULL));
	model_fail("commit", 1, -EIO);
	model_fail("message delete", 1, -EIO);
	fails(f, create_volume(f, "v", NULL), -EIO, KVOL_R_IO);
	assert_int_equal(model_thins(disk_of(f)), 2);
	assert_int_equal(f->log_priority, LOG_WARNING);
	succeeds(f, create_volume(f, "w", NULL));
	assert_int_equal(id_of(f, "w"), 2);
	reopen_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 2);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
}

/* --- The pool's states ------------------------------------------------------------ */

static void pool_states_refuse_with_their_reasons(void **state)
{
	static const struct {
		enum model_mode mode;
		bool check;
		int code;
		uint32_t reason;
	} states[] = {
		{ MODEL_READ_ONLY, false, -EROFS, KVOL_R_POOL_READ_ONLY },
		{ MODEL_READ_ONLY, true, -EROFS, KVOL_R_POOL_NEEDS_CHECK },
		{ MODEL_FAIL, false, -EROFS, KVOL_R_POOL_READ_ONLY },
	};
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	for (size_t i = 0; i < KV_ARRAY_SIZE(states); i++) {
		disk_of(f)->mode = states[i].mode;
		disk_of(f)->metadata.needs_check = states[i].check;
		fails(f, create_volume(f, "w", NULL), states[i].code, states[i].reason);
		fails(f, kvol_delete(f->pool, "v", 0, &f->e), states[i].code,
		      states[i].reason);
		fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), states[i].code,
		      states[i].reason);
		fails(f, kvol_clone(f->pool, "v", "c", NULL, &f->e), states[i].code,
		      states[i].reason);
		fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), states[i].code,
		      states[i].reason);
		assert_true(exists(f, "v"));
	}
}

/* The kernel takes no message in this state, and only loading the table again ends it. */
static void pool_without_metadata_space_still_deletes(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		succeeds(f, create_volume(f, "v", "ext4"));
		disk_of(f)->mode = MODEL_OUT_OF_METADATA;
		assert_int_equal(pool_info(f).flags, KVOL_POOL_OUT_OF_METADATA);
		fails(f, create_volume(f, "w", NULL), -ENOSPC, KVOL_R_NO_METADATA_SPACE);
		fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ENOSPC,
		      KVOL_R_NO_METADATA_SPACE);
		fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -ENOSPC,
		      KVOL_R_NO_METADATA_SPACE);
		if (i == 1) /* deleted it is, and the next open frees its blocks */
			model_fail("dm load", 1, -ENOMEM);
		succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
		assert_false(exists(f, "v"));
		assert_int_equal(model_thins(disk_of(f)), i);
		assert_int_equal(pool_info(f).flags, i ? KVOL_POOL_OUT_OF_METADATA : 0);
	}
	close_pool(f);
	open_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(pool_info(f).flags, 0);
}

static void full_pool_refuses_creations_and_still_deletes(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	disk_of(f)->mode = MODEL_OUT_OF_DATA;
	fails(f, create_volume(f, "w", NULL), -ENOSPC, KVOL_R_NO_DATA_SPACE);
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ENOSPC,
	      KVOL_R_NO_DATA_SPACE);
	fails(f, kvol_clone(f->pool, "v", "c", NULL, &f->e), -ENOSPC,
	      KVOL_R_NO_DATA_SPACE);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -ENOSPC,
	      KVOL_R_NO_DATA_SPACE);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(model_thins(disk_of(f)), 0);
}

static void creations_are_refused_below_the_reserves(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool_info info = pool_info(f);
	uint64_t data = info.data_bytes / info.block_bytes,
		 metadata = info.metadata_bytes / 4096;

	disk_of(f)->data_used = data - data / 100;
	fails(f, create_volume(f, "v", NULL), -ENOSPC, KVOL_R_NO_DATA_SPACE);
	disk_of(f)->data_used = data - data / 100 - 1;
	succeeds(f, create_volume(f, "v", NULL));
	disk_of(f)->data_used = 0;

	disk_of(f)->metadata_used = metadata - 17 - (metadata / 32 + 31);
	fails(f, create_volume(f, "w", NULL), -ENOSPC, KVOL_R_NO_METADATA_SPACE);
	disk_of(f)->metadata_used--;
	succeeds(f, create_volume(f, "w", NULL));
	disk_of(f)->metadata_used++;
	succeeds(f, kvol_delete(f->pool, "w", 0, &f->e));
}

/* The kernel says 0, and nothing happened. */
static void lost_message_is_noticed(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "first", NULL));
	disk_of(f)->lose_commits = 1;
	fails(f, create_volume(f, "v", NULL), -EROFS, KVOL_R_POOL_NEEDS_CHECK);
	assert_false(exists(f, "v"));
	assert_true(exists(f, "first"));
	assert_int_equal(model_thins(disk_of(f)), 1);
	assert_int_equal(pool_info(f).flags, KVOL_POOL_READ_ONLY | KVOL_POOL_NEEDS_CHECK);
}

static void lost_reservation_is_noticed_and_settled_after_the_repair(void **state)
{
	struct fixture *f = *state;

	disk_of(f)->lose_commits = 1;
	fails(f, create_volume(f, "v", NULL), -EROFS, KVOL_R_POOL_NEEDS_CHECK);
	assert_int_equal(query(f, "SELECT epoch FROM pool"), 1);
	assert_int_equal(disk_of(f)->metadata.transaction_id, 0);
	reopen_pool(f);
	assert_int_equal(pool_info(f).flags & KVOL_POOL_AUDIT, 0);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	disk_of(f)->metadata.needs_check = false;
	reopen_pool(f);
	succeeds(f, create_volume(f, "v", NULL));
	assert_int_equal(disk_of(f)->metadata.transaction_id,
			 query(f, "SELECT epoch FROM pool"));
}

static void refused_message_is_passed_on(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "first", NULL));
	model_fail("message create_thin", 1, -ENOMEM);
	fails(f, create_volume(f, "v", NULL), -ENOMEM, KVOL_R_SYSTEM);
	model_fail("dm status", 2, -EIO);
	fails(f, create_volume(f, "v", NULL), -EIO, KVOL_R_IO);
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 1);
}

/* --- Limits ----------------------------------------------------------------------- */

static void max_volumes_is_exact(void **state)
{
	struct kvol_format_opts opts = {
		.size = sizeof(opts),
		.file_bytes = POOL_BYTES,
		.max_volumes = 21,
	};
	struct kvol_pool *other;
	struct fixture *f = *state;
	char name[16];

	succeeds(f, kvol_pool_format(f->ctx, POOL_NAME, f->path, &opts, &f->e));
	open_pool(f);
	for (int i = 0; i < 21; i++) {
		(void)snprintf(name, sizeof(name), "v%d", i);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
	}
	fails(f, kvol_create(f->pool, "more", MIB, NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	fails(f, kvol_snapshot(f->pool, "v0", "more", NULL, &f->e), -ENOSPC,
	      KVOL_R_LIMIT);
	succeeds(f, kvol_create(f->pool, "v20", MIB, NULL, &f->e));
	other = another_handle(f);
	fails(f, kvol_create(other, "more", MIB, NULL, &f->e), -ENOSPC, KVOL_R_LIMIT);
	kvol_pool_close(other);
	succeeds(f, kvol_delete(f->pool, "v7", 0, &f->e));
	succeeds(f, kvol_create(f->pool, "more", MIB, NULL, &f->e));
	fails(f, kvol_create(f->pool, "still more", MIB, NULL, &f->e), -ENOSPC,
	      KVOL_R_LIMIT);
	assert_int_equal(pool_info(f).n_volumes, 21);
}

/* --- Deleting --------------------------------------------------------------------- */

static void delete_frees_name_id_and_blocks(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 0);
	assert_int_equal(pool_info(f).data_used, 0);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	succeeds(f, create_volume(f, "v", "xfs"));
	reopen_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM volume"), 1);
}

static void bad_arguments_of_delete_are_refused(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	fails(f, kvol_delete(NULL, "v", 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_delete(f->pool, NULL, 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_delete(f->pool, "", 0, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_delete(f->pool, "v", 1, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_true(exists(f, "v"));
}

static void published_or_open_volume_is_not_deleted(void **state)
{
	struct fixture *f = *state;
	int fd;

	model_file("/t", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_publish(f->pool, "v", "/t", NULL, &f->e));
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_non_null(strstr(f->e.msg, "/t"));
	fd = kv_blockdev_open(model_dev_number(dev_of(f, "v", false)), O_RDONLY);
	assert_true(fd >= 0);
	succeeds(f, kvol_unpublish(f->pool, "v", "/t", NULL, &f->e));
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_true(exists(f, "v"));
	(void)close(fd);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

/* The row may turn up at the next open, and must find its blocks then. */
static void creation_in_doubt_is_left_to_recovery(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	for (int i = 0; i < 2; i++) {
		succeeds(f, create_volume(f, "warm", NULL)); /* ids are reserved */
		succeeds(f, kvol_delete(f->pool, "warm", 0, &f->e));
		model_fail("commit", 0, -EIO);
		if (i == 0)
			fails(f, create_volume(f, "w", "ext4"), -EIO, KVOL_R_IO);
		else
			fails(f, kvol_snapshot(f->pool, "v", "w", NULL, &f->e), -EIO,
			      KVOL_R_IO);
		assert_false(exists(f, "w"));
		assert_int_equal(model_thins(disk_of(f)), 2);
		model_forget_plans();
		close_pool(f);
		open_pool(f);
		assert_false(exists(f, "w"));
		assert_int_equal(model_thins(disk_of(f)), 1);
	}
}

static void snapshots_outlive_their_deleted_source(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_string_equal(info_of(f, "s").source, "v");
	assert_string_equal(thin_of(f, "s")->content.fs, "ext4");
}

static void deleted_is_deleted_though_its_blocks_could_not_be_freed(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_fail("message delete", 1, -EIO);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_false(exists(f, "v"));
	assert_int_equal(f->log_priority, LOG_WARNING);
	assert_int_equal(model_thins(disk_of(f)), 1);
	reopen_pool(f);
	assert_int_equal(model_thins(disk_of(f)), 0);
	reopen_pool(f);
	assert_int_equal(query(f, "SELECT count(*) FROM volume"), 0);
}

static void failed_commit_of_delete_keeps_the_volume(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", "ext4"));
	model_fail("commit", 1, -EIO);
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EIO, KVOL_R_IO);
	assert_true(exists(f, "v"));
	assert_non_null(thin_of(f, "v"));
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

/* --- Handles, threads, processes -------------------------------------------------- */

static int use_inherited(void *arg)
{
	struct fixture *f = arg;
	struct kvol_error e;
	int r = kvol_create(f->pool, "v", MIB, NULL, &e);

	if (r != -ECHILD || e.code != r || e.reason != KVOL_R_INVALID)
		return 1;
	if (kvol_delete(f->pool, "v", 0, NULL) != -ECHILD ||
	    kvol_snapshot(f->pool, "v", "s", NULL, NULL) != -ECHILD ||
	    kvol_expand(f->pool, "v", MIB, 0, NULL) != -ECHILD ||
	    kvol_publish(f->pool, "v", "/t", NULL, NULL) != -ECHILD ||
	    kvol_unpublish(f->pool, "v", "/t", NULL, NULL) != -ECHILD)
		return 2;
	kvol_pool_close(f->pool);
	return 0;
}

static void forked_child_may_only_free_its_handles(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *other;

	assert_int_equal(model_in_child(use_inherited, f), 0);
	succeeds(f, create_volume(f, "v", NULL));
	/* The child's close has not dropped the parent's locks: its batch is not taken
	 * for a dead one's. */
	other = another_handle(f);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 1);
	kvol_pool_close(other);
	succeeds(f, create_volume(f, "w", NULL));
}

struct worker {
	struct fixture *f;
	pthread_t thread;
	int number;
	int failed;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	char name[32], snap[32];

	for (int i = 0; i < 8; i++) {
		(void)snprintf(name, sizeof(name), "v-%d-%d", w->number, i);
		(void)snprintf(snap, sizeof(snap), "s-%d-%d", w->number, i);
		w->failed += kvol_create(w->f->pool, name, MIB, NULL, NULL) < 0;
		w->failed += kvol_create(w->f->pool, "everybody's", MIB, NULL, NULL) < 0;
		w->failed += kvol_snapshot(w->f->pool, name, snap, NULL, NULL) < 0;
		w->failed += kvol_snapshot(w->f->pool, "everybody's", "its snapshot",
					   NULL, NULL) < 0;
		if (i % 2)
			w->failed += kvol_delete(w->f->pool, name, 0, NULL) < 0;
	}
	return NULL;
}

static void threads_share_a_handle(void **state)
{
	struct fixture *f = *state;
	struct worker workers[4];

	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){ .f = f, .number = i };
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].failed, 0);
	}
	assert_int_equal(pool_info(f).n_volumes, 4 * 4 + 1);
	assert_int_equal(pool_info(f).n_snapshots, 4 * 8 + 1);
	assert_int_equal(model_thins(disk_of(f)), 4 * 4 + 1 + 4 * 8 + 1);
}

/* Somebody is faster between the look and the commit. */
static struct kvol_pool *rival;
static uint64_t rival_bytes;

static int create_as_rival(const char *what, unsigned step)
{
	(void)step;
	if (!strncmp(what, "message create_thin", 19)) {
		model_hook = NULL;
		assert_int_equal(kvol_create(rival, "v", rival_bytes, NULL, NULL), 0);
	}
	return 0;
}

static void loser_of_a_race_looks_at_what_the_winner_made(void **state)
{
	struct fixture *f = *state;

	rival = another_handle(f);
	rival_bytes = MIB;
	model_hook = create_as_rival;
	succeeds(f, kvol_create(f->pool, "v", MIB, NULL, &f->e));
	assert_int_equal(model_thins(disk_of(f)), 1);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	rival_bytes = 2 * MIB;
	model_hook = create_as_rival;
	fails(f, kvol_create(f->pool, "v", MIB, NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(model_thins(disk_of(f)), 1);
	kvol_pool_close(rival);
}

static void wait_for_a_volume_ends_at_its_deadline(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;

	model_file("/t", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	dir = open_run_pool(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_VOLUME(id_of(f, "v")), 0, &lock), 0);
	model->deadline_divisor = 600; /* 30 s are 50 ms */
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -ETIMEDOUT, KVOL_R_TIMEOUT);
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	fails(f, kvol_publish(f->pool, "v", "/t", NULL, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	fails(f, kvol_unpublish(f->pool, "v", "/t", NULL, &f->e), -ETIMEDOUT,
	      KVOL_R_TIMEOUT);
	succeeds(f, create_volume(f, "w", NULL)); /* others do not wait */
	kv_lock_release(&lock);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
}

static void wait_for_a_reservation_ends_at_its_deadline(void **state)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int dir = -1;
	struct fixture *f = *state;

	dir = open_run_pool(f);
	assert_int_equal(kv_lock_take(dir, KV_LOCK_MESSAGE, 0, &lock), 0);
	model->deadline_divisor = 600;
	fails(f, create_volume(f, "v", NULL), -ETIMEDOUT, KVOL_R_TIMEOUT);
	kv_lock_release(&lock);
	succeeds(f, create_volume(f, "v", NULL));
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(created_volume_is_there_and_inactive),
		on_pool(created_file_system_has_the_volumes_uuid_and_size),
		on_pool(size_is_rounded_up_to_4096),
		on_pool(create_again_is_nothing_and_different_is_refused),
		on_pool(create_again_is_nothing_even_when_the_pool_takes_no_changes),
		on_pool(bad_arguments_of_create_are_refused),
		on_pool(names_are_values_and_nothing_else),
		on_pool(file_systems_have_least_sizes_and_must_be_known),
		on_pool(failed_mkfs_leaves_nothing),
		on_pool(failed_commit_leaves_nothing),
		on_pool(what_could_not_be_undone_is_done_by_the_next_open),
		on_pool(pool_states_refuse_with_their_reasons),
		on_pool(pool_without_metadata_space_still_deletes),
		on_pool(full_pool_refuses_creations_and_still_deletes),
		on_pool(creations_are_refused_below_the_reserves),
		on_pool(lost_message_is_noticed),
		on_pool(lost_reservation_is_noticed_and_settled_after_the_repair),
		on_pool(refused_message_is_passed_on),
		cmocka_unit_test_setup_teardown(max_volumes_is_exact, setup_machine,
						teardown),
		on_pool(delete_frees_name_id_and_blocks),
		on_pool(bad_arguments_of_delete_are_refused),
		on_pool(published_or_open_volume_is_not_deleted),
		on_pool(snapshots_outlive_their_deleted_source),
		on_pool(creation_in_doubt_is_left_to_recovery),
		on_pool(deleted_is_deleted_though_its_blocks_could_not_be_freed),
		on_pool(failed_commit_of_delete_keeps_the_volume),
		on_pool(forked_child_may_only_free_its_handles),
		on_pool(threads_share_a_handle),
		on_pool(loser_of_a_race_looks_at_what_the_winner_made),
		on_pool(wait_for_a_volume_ends_at_its_deadline),
		on_pool(wait_for_a_reservation_ends_at_its_deadline),
	};

	return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
