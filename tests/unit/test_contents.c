/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a new volume is made with, on the model: the owner and the mode of its root
 * directory.
 */

#include "fixture.h"
#include "verb.h"

#define SECRET "open sesame"

static int create_as(struct fixture *f, const char *name, const char *fs, uint32_t flags,
		     uint32_t uid, uint32_t gid, uint32_t mode)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = flags,
				      .fs_type = fs,
				      .uid = uid,
				      .gid = gid,
				      .mode = mode };

	return kvol_create(f->pool, name, 512 * MIB, &o, &f->e);
}

static void is(struct fixture *f, const char *name, uint32_t uid, uint32_t gid,
	       uint32_t mode)
{
	const struct model_content *c = &thin_of(f, name)->content;

	assert_int_equal(c->uid, uid);
	assert_int_equal(c->gid, gid);
	assert_int_equal(c->mode, mode);
	/* On the disk, and not only in memory. */
	assert_memory_equal(c, &thin_of(f, name)->flushed, sizeof(*c));
	assert_null(dev_of(f, name, false));
	assert_int_equal(model_n_mounts(), 0);
}

static void root_directory_gets_what_is_asked_for_and_no_more(void **state)
{
	const uint32_t both = KVOL_CREATE_OWNER | KVOL_CREATE_MODE;
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(types); i++) {
		succeeds(f, create_as(f, types[i], types[i], both, 1000, 2000, 02770));
		is(f, types[i], 1000, 2000, 02770);
	}
	succeeds(f, create_as(f, "owner", "ext4", KVOL_CREATE_OWNER, 7, 8, 0777));
	is(f, "owner", 7, 8, 0);
	succeeds(f, create_as(f, "mode", "ext4", KVOL_CREATE_MODE, 7, 8, 0777));
	is(f, "mode", 0, 0, 0777);
	succeeds(f, create_as(f, "none", "ext4", 0, 7, 8, 0777));
	is(f, "none", 0, 0, 0);
	succeeds(f, create_as(f, "most", "ext4", both, UINT32_MAX - 1, UINT32_MAX - 1,
			      07777));
	is(f, "most", UINT32_MAX - 1, UINT32_MAX - 1, 07777);
}

static void encrypted_volume_gets_it_behind_its_encryption(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_OWNER,
				      .fs_type = "xfs",
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET),
				      .uid = 5,
				      .gid = 6 };
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "v", 512 * MIB, &o, &f->e));
	is(f, "v", 5, 6, 0);
	assert_true(thin_of(f, "v")->content.luks);
	assert_int_equal(model_n_keys(), 0);
}

static void repeat_leaves_the_owner_that_is_there(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_as(f, "v", "ext4", KVOL_CREATE_OWNER, 1, 2, 0));
	succeeds(f, create_as(f, "v", "ext4", KVOL_CREATE_OWNER, 3, 4, 0));
	succeeds(f, create_volume(f, "v", "ext4"));
	is(f, "v", 1, 2, 0);
}

static void what_none_can_have_is_refused(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4", .reserved0 = 1 };
	struct fixture *f = *state;

	fails(f, create_as(f, "v", NULL, KVOL_CREATE_OWNER, 1, 2, 0), -EINVAL,
	      KVOL_R_INVALID);
	assert_non_null(strstr(f->e.msg, "raw"));
	fails(f, create_as(f, "v", "", KVOL_CREATE_MODE, 1, 2, 0700), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, create_as(f, "v", "ext4", KVOL_CREATE_OWNER, UINT32_MAX, 2, 0), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, create_as(f, "v", "ext4", KVOL_CREATE_OWNER, 1, UINT32_MAX, 0), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, create_as(f, "v", "ext4", KVOL_CREATE_MODE, 0, 0, 010000), -EINVAL,
	      KVOL_R_INVALID);
	assert_non_null(strstr(f->e.msg, "10000"));
	fails(f, kvol_create(f->pool, "v", 512 * MIB, &o, &f->e), -E2BIG, KVOL_R_INVALID);
	succeeds(f, create_volume(f, "source", "ext4"));
	fails(f, kvol_clone(f->pool, "source", "v", &o, &f->e), -E2BIG, KVOL_R_INVALID);
	o.reserved0 = 0;
	for (o.flags = 1; o.flags <= KVOL_CREATE_MODE; o.flags <<= 1) {
		fails(f, kvol_clone(f->pool, "source", "v", &o, &f->e), -EINVAL,
		      KVOL_R_INVALID);
		assert_non_null(strstr(f->e.msg, "clone 'v': "));
	}
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 1);
}

static int create_owned(struct kvol_pool *pool, void *arg)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_OWNER,
				      .fs_type = "ext4",
				      .uid = 1,
				      .gid = 2 };

	(void)arg;
	return kvol_create(pool, "v", 512 * MIB, &o, NULL);
}

static void volume_whose_root_could_not_be_given_away_is_none(void **state)
{
	static const struct {
		const char *step;
		int error, code;
		uint32_t reason;
	} steps[] = {
		{ "mount", -EIO, -EIO, KVOL_R_IO },
		{ "mount", -EOPNOTSUPP, -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT },
		{ "tree own", -EPERM, -EPERM, KVOL_R_SYSTEM },
		{ "tree own", -EIO, -EIO, KVOL_R_IO },
		{ "device flush", -EIO, -EIO, KVOL_R_IO },
	};
	struct fixture *f = *state;
	unsigned n_devs;

	succeeds(f, create_volume(f, "first", NULL));
	n_devs = model_n_devs();
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, 1, steps[i].error);
		fails(f, create_as(f, "v", "ext4", KVOL_CREATE_OWNER, 1, 2, 0),
		      steps[i].code, steps[i].reason);
		assert_int_equal(model_thins(disk_of(f)), 1);
		assert_int_equal(model_n_devs(), n_devs);
		assert_int_equal(model_n_mounts(), 0);
	}
	killed_at(f, "tree own", 1, create_owned, NULL);
	reopen_pool(f);
	assert_false(exists(f, "v"));
	assert_int_equal(model_thins(disk_of(f)), 1);
	succeeds(f, create_owned(f->pool, NULL));
	is(f, "v", 1, 2, 0);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(root_directory_gets_what_is_asked_for_and_no_more),
		on_pool(encrypted_volume_gets_it_behind_its_encryption),
		on_pool(repeat_leaves_the_owner_that_is_there),
		on_pool(what_none_can_have_is_refused),
		on_pool(volume_whose_root_could_not_be_given_away_is_none),
	};

	return cmocka_run_group_tests_name("contents", tests, NULL, NULL);
}
