/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Encrypted volumes, on the model: the layers of devices, whose key is where, and what is
 * left when somebody dies over it.
 */

#include <signal.h>
#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

#define SECRET "open sesame"
#define OTHER  "swordfish"

static int create_with(struct fixture *f, const char *name, const char *fs,
		       const void *secret, uint64_t n)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = fs,
				      .secret = secret,
				      .secret_bytes = n };

	return kvol_create(f->pool, name, 512 * MIB, &o, &f->e);
}

static int create(struct fixture *f, const char *name, const char *fs)
{
	return create_with(f, name, fs, SECRET, strlen(SECRET));
}

static int publish_with(struct fixture *f, const char *name, const char *target,
			uint32_t flags, const char *secret)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .secret = secret,
				       .secret_bytes = secret ? strlen(secret) : 0 };

	return kvol_publish(f->pool, name, target, &o, &f->e);
}

static int open_at(struct fixture *f, const char *name, const char *target,
		   uint32_t flags)
{
	model_file(target, flags & KVOL_PUBLISH_BLOCK ? S_IFREG : S_IFDIR);
	return publish_with(f, name, target, flags, SECRET);
}

static int change(struct fixture *f, const char *name, const char *from, const char *to)
{
	return kvol_change_secret(f->pool, name, from, from ? strlen(from) : 0, to,
				  to ? strlen(to) : 0, 0, &f->e);
}

static uint64_t bytes_of(struct fixture *f, const char *name, enum kv_face face)
{
	struct model_dev *d = face_of(f, name, face);

	return d ? d->table.sectors * KV_SECTOR : 0;
}

static int64_t flags_of(struct fixture *f, const char *name)
{
	char sql[128];

	(void)snprintf(sql, sizeof(sql), "SELECT flags FROM volume WHERE name = '%s'",
		       name);
	return query(f, sql);
}

/* --- Creating --------------------------------------------------------------------- */

static void it_has_a_header_and_its_whole_size(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	assert_int_equal(flags_of(f, "v"), KV_ROW_ENCRYPTED);
	assert_int_equal(info_of(f, "v").bytes, 512 * MIB);
	assert_int_equal(info_of(f, "v").flags, KVOL_INFO_ENCRYPTED);
	assert_string_equal(info_of(f, "v").device, "");
	assert_true(thin_of(f, "v")->content.luks);
	assert_int_equal(thin_of(f, "v")->content.bytes, 512 * MIB);
	assert_int_equal(model_n_keys(), 0);
	succeeds(f, open_at(f, "v", "/v", 0));
	assert_int_equal(bytes_of(f, "v", KV_FACE_THIN), 513 * MIB);
	assert_int_equal(bytes_of(f, "v", KV_FACE_CRYPT), 512 * MIB);
	assert_int_equal(model_n_keys(), 1);
	assert_string_not_equal(info_of(f, "v").device, "");
	succeeds(f, unpublish(f, "v", "/v", NULL));
	assert_null(face_of(f, "v", KV_FACE_CRYPT));
	assert_null(face_of(f, "v", KV_FACE_THIN));
	assert_int_equal(model_n_keys(), 0);
}

static void creating_again_compares_encryption(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, create(f, "v", "ext4"));
	fails(f, create_volume(f, "v", "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, create_volume(f, "p", "ext4"));
	fails(f, create(f, "p", "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
}

static void a_kernel_without_dm_crypt_is_told(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	model->no_crypt_target = true;
	fails(f, create(f, "x", "ext4"), -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT);
	assert_false(exists(f, "x"));
	fails(f, open_at(f, "v", "/v", 0), -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT);
	assert_null(face_of(f, "v", KV_FACE_THIN));
}

static void without_libcryptsetup_it_is_unsupported(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	model_fail("crypt", 0, -EOPNOTSUPP);
	fails(f, create(f, "x", "ext4"), -EOPNOTSUPP, KVOL_R_UNSUPPORTED);
	fails(f, open_at(f, "v", "/v", 0), -EOPNOTSUPP, KVOL_R_UNSUPPORTED);
	fails(f, change(f, "v", SECRET, OTHER), -EOPNOTSUPP, KVOL_R_UNSUPPORTED);
	model_forget_plans();
	assert_false(exists(f, "x"));
	assert_null(face_of(f, "v", KV_FACE_THIN));
}

static void bad_secrets_are_refused(void **state)
{
	static char many[5000];
	struct fixture *f = *state;
	struct kvol_create_opts o = { .size = sizeof(o),
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET) };

	memset(many, 'x', sizeof(many));
	fails(f, create_with(f, "v", NULL, SECRET, 0), -EINVAL, KVOL_R_INVALID);
	fails(f, create_with(f, "v", NULL, NULL, 3), -EINVAL, KVOL_R_INVALID);
	fails(f, create_with(f, "v", NULL, many, 4097), -EINVAL, KVOL_R_INVALID);
	succeeds(f, create(f, "v", "ext4"));
	fails(f, kvol_clone(f->pool, "v", "c", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	succeeds(f, create_volume(f, "p", "ext4"));
	fails(f, open_at(f, "p", "/p", 0), -EINVAL, KVOL_R_INVALID);
	fails(f, change(f, "p", SECRET, OTHER), -EINVAL, KVOL_R_INVALID);
	fails(f, change(f, "v", NULL, OTHER), -EINVAL, KVOL_R_INVALID);
	fails(f, change(f, "v", SECRET, NULL), -EINVAL, KVOL_R_INVALID);
	fails(f, change(f, "absent", SECRET, OTHER), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, change(f, "", SECRET, OTHER), -EINVAL, KVOL_R_INVALID);
	fails(f,
	      kvol_change_secret(f->pool, "v", SECRET, 11, OTHER, 9, 1, &f->e), -EINVAL,
	      KVOL_R_INVALID);
}

/* --- Publishing ------------------------------------------------------------------- */

static void the_secret_is_asked_for(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	fails(f, publish_with(f, "v", "/v", 0, NULL), -ENOKEY, KVOL_R_NEEDS_SECRET);
	fails(f, publish_with(f, "v", "/v", 0, OTHER), -EACCES, KVOL_R_WRONG_SECRET);
	assert_null(face_of(f, "v", KV_FACE_THIN));
	assert_int_equal(model_n_keys(), 0);
	succeeds(f, open_at(f, "v", "/v", 0));
	succeeds(f, open_at(f, "v", "/v", 0));
	/* Not for a repeat, and not beside one that is there, either. */
	fails(f, publish_with(f, "v", "/v", 0, OTHER), -EACCES, KVOL_R_WRONG_SECRET);
	model_file("/w", S_IFDIR);
	fails(f, publish_with(f, "v", "/w", 0, OTHER), -EACCES, KVOL_R_WRONG_SECRET);
	fails(f, publish_with(f, "v", "/w", 0, NULL), -ENOKEY, KVOL_R_NEEDS_SECRET);
	assert_non_null(face_of(f, "v", KV_FACE_CRYPT));
	assert_int_equal(model_n_keys(), 1);
}

static void a_damaged_header_is_damage(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	thin_of(f, "v")->content.luks = false;
	fails(f, open_at(f, "v", "/v", 0), -EUCLEAN, KVOL_R_CORRUPT);
	fails(f, change(f, "v", SECRET, OTHER), -EUCLEAN, KVOL_R_CORRUPT);
	assert_null(face_of(f, "v", KV_FACE_THIN));
}

static void as_a_device_it_is_the_decrypted_one(void **state)
{
	const uint32_t block = KVOL_PUBLISH_BLOCK;
	struct fixture *f = *state;

	succeeds(f, create(f, "v", NULL));
	succeeds(f, open_at(f, "v", "/v", block));
	assert_int_equal(model_mount_at(NULL, "/v")->dev,
			 model_dev_number(face_of(f, "v", KV_FACE_CRYPT)));
	succeeds(f, open_at(f, "v", "/r", block | KVOL_PUBLISH_READONLY));
	assert_int_equal(bytes_of(f, "v", KV_FACE_READONLY), 512 * MIB);
	succeeds(f, unpublish(f, "v", "/v", NULL));
	succeeds(f, unpublish(f, "v", "/r", NULL));
	assert_int_equal(model_n_keys(), 0);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	succeeds(f, open_at(f, "s", "/s", block));
	assert_true(face_of(f, "s", KV_FACE_CRYPT)->table.readonly);
	fails(f, change(f, "s", SECRET, OTHER), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	succeeds(f, unpublish(f, "s", "/s", NULL));
	succeeds(f, change(f, "s", SECRET, OTHER));
	assert_string_equal(thin_of(f, "v")->content.secret, SECRET);
}

static void a_published_one_is_not_deleted(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, open_at(f, "v", "/v", 0));
	fails(f, kvol_delete(f->pool, "v", 0, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	model_umount(NULL, "/v");
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(model_n_keys(), 0);
}

/* --- Changing the secret ---------------------------------------------------------- */

static void the_secret_changes_in_use_or_not(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, change(f, "v", SECRET, OTHER));
	succeeds(f, change(f, "v", SECRET, OTHER));
	assert_null(face_of(f, "v", KV_FACE_THIN));
	fails(f, open_at(f, "v", "/v", 0), -EACCES, KVOL_R_WRONG_SECRET);
	succeeds(f, publish_with(f, "v", "/v", 0, OTHER));
	succeeds(f, change(f, "v", OTHER, SECRET));
	assert_int_equal(info_of(f, "v").n_targets, 1);
	fails(f, change(f, "v", OTHER, "third"), -EACCES, KVOL_R_WRONG_SECRET);
	assert_int_equal(model_n_keys(), 1);
	succeeds(f, open_at(f, "v", "/v", 0));
}

/* --- Growing ---------------------------------------------------------------------- */

static void in_use_it_grows_by_the_key_that_is_there(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, open_at(f, "v", "/v", 0));
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(bytes_of(f, "v", KV_FACE_THIN), 601 * MIB);
	assert_int_equal(bytes_of(f, "v", KV_FACE_CRYPT), 600 * MIB);
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
	assert_int_equal(flags_of(f, "v"), KV_ROW_ENCRYPTED);
}

static void without_the_key_the_next_publish_grows_it(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, open_at(f, "v", "/v", 0));
	model_revoke_keys();
	fails(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e), -ENOKEY,
	      KVOL_R_NEEDS_SECRET);
	assert_int_equal(bytes_of(f, "v", KV_FACE_CRYPT), 512 * MIB);
	succeeds(f, open_at(f, "v", "/w", 0));
	assert_int_equal(bytes_of(f, "v", KV_FACE_CRYPT), 600 * MIB);
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
	assert_int_equal(flags_of(f, "v"), KV_ROW_ENCRYPTED);
}

static void not_in_use_it_waits_for_the_secret(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(info_of(f, "v").bytes, 600 * MIB);
	assert_int_equal(flags_of(f, "v"), KV_ROW_ENCRYPTED | KV_ROW_GROW);
	assert_int_equal(thin_of(f, "v")->content.bytes, 512 * MIB);
	succeeds(f, open_at(f, "v", "/v", 0));
	assert_int_equal(thin_of(f, "v")->content.bytes, 600 * MIB);
	assert_int_equal(flags_of(f, "v"), KV_ROW_ENCRYPTED);
}

static void a_raw_one_grows_as_well(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", NULL));
	succeeds(f, kvol_expand(f->pool, "v", 520 * MIB, 0, &f->e));
	assert_int_equal(flags_of(f, "v"), KV_ROW_ENCRYPTED);
	succeeds(f, open_at(f, "v", "/v", KVOL_PUBLISH_BLOCK));
	succeeds(f, open_at(f, "v", "/r", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY));
	succeeds(f, kvol_expand(f->pool, "v", 600 * MIB, 0, &f->e));
	assert_int_equal(bytes_of(f, "v", KV_FACE_THIN), 601 * MIB);
	assert_int_equal(bytes_of(f, "v", KV_FACE_CRYPT), 600 * MIB);
	assert_int_equal(bytes_of(f, "v", KV_FACE_READONLY), 600 * MIB);
}

/* --- Copies ----------------------------------------------------------------------- */

static void copies_have_its_key_and_secret(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		struct kvol_create_opts o = { .size = sizeof(o), .bytes = 600 * MIB };

		succeeds(f, create(f, "v", types[i]));
		succeeds(f, open_at(f, "v", "/v", 0));
		succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
		succeeds(f, kvol_clone(f->pool, "v", "c", &o, &f->e));
		assert_false(thin_of(f, "s")->content.unclean);
		assert_false(thin_of(f, "c")->content.unclean);
		assert_int_equal(info_of(f, "s").flags, KVOL_INFO_ENCRYPTED);
		succeeds(f, open_at(f, "s", "/s", 0));
		succeeds(f, open_at(f, "c", "/c", 0));
		assert_int_equal(thin_of(f, "c")->content.bytes, 600 * MIB);
		assert_int_equal(model_n_keys(), 3);
		succeeds(f, unpublish(f, "v", "/v", NULL));
		succeeds(f, unpublish(f, "s", "/s", NULL));
		succeeds(f, unpublish(f, "c", "/c", NULL));
		succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
		succeeds(f, kvol_delete(f->pool, "s", 0, &f->e));
		succeeds(f, kvol_delete(f->pool, "c", 0, &f->e));
	}
}

static int snapshot_v(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_snapshot(pool, "v", "s", NULL, NULL);
}

/* Both devices are suspended at once, and both run again after the next call. */
static void a_death_in_the_window_freezes_nobody(void **state)
{
	static const char *const steps[] = { "dm suspend", "message create_snap",
					     "dm resume" };
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, open_at(f, "v", "/v", 0));
	for (unsigned i = 0; i < 5; i++) {
		killed_at(f, steps[i < 2 ? 0 : i < 3 ? 1 : 2],
			  i == 1 || i == 4 ? 2 : 1, snapshot_v, NULL);
		(void)info_of(f, "v");
		assert_false(face_of(f, "v", KV_FACE_CRYPT)->suspended);
		assert_false(face_of(f, "v", KV_FACE_THIN)->suspended);
	}
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
}

static void a_suspend_that_fails_is_taken_back(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	succeeds(f, open_at(f, "v", "/v", 0));
	model_fail("dm suspend", 2, -EIO);
	fails(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e), -EIO, KVOL_R_IO);
	assert_false(face_of(f, "v", KV_FACE_CRYPT)->suspended);
	assert_false(exists(f, "s"));
}

/* --- Recovery --------------------------------------------------------------------- */

static int publish_v(struct kvol_pool *pool, void *arg)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .secret = SECRET,
				       .secret_bytes = strlen(SECRET) };

	(void)arg;
	return kvol_publish(pool, "v", "/v", &o, NULL);
}

static void what_a_killed_publish_left_goes(void **state)
{
	static const char *const steps[] = { "crypt unlock", "key put", "key lend",
					     "dm load", "mount" };
	struct fixture *f = *state;

	succeeds(f, create(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		killed_at(f, steps[i], i == 3 ? 2 : 1, publish_v, NULL);
		reopen_pool(f);
		assert_null(face_of(f, "v", KV_FACE_THIN));
		assert_null(face_of(f, "v", KV_FACE_CRYPT));
		assert_int_equal(model_n_keys(), 0);
	}
	/* Or the next publish goes on from there. */
	killed_at(f, "dm load", 2, publish_v, NULL);
	succeeds(f, open_at(f, "v", "/v", 0));
}

int main(void)
{
#define TEST(x) cmocka_unit_test_setup_teardown(x, setup_pool, teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_has_a_header_and_its_whole_size),
		TEST(creating_again_compares_encryption),
		TEST(a_kernel_without_dm_crypt_is_told),
		TEST(without_libcryptsetup_it_is_unsupported),
		TEST(bad_secrets_are_refused),
		TEST(the_secret_is_asked_for),
		TEST(a_damaged_header_is_damage),
		TEST(as_a_device_it_is_the_decrypted_one),
		TEST(a_published_one_is_not_deleted),
		TEST(the_secret_changes_in_use_or_not),
		TEST(in_use_it_grows_by_the_key_that_is_there),
		TEST(without_the_key_the_next_publish_grows_it),
		TEST(not_in_use_it_waits_for_the_secret),
		TEST(a_raw_one_grows_as_well),
		TEST(copies_have_its_key_and_secret),
		TEST(a_death_in_the_window_freezes_nobody),
		TEST(a_suspend_that_fails_is_taken_back),
		TEST(what_a_killed_publish_left_goes),
	};

	return cmocka_run_group_tests_name("encrypt", tests, NULL, NULL);
}
