/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Thick volumes, on the model: all blocks are there before the volume is, no discard
 * takes them away, and what does not fit leaves nothing.
 */

#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

#define SECRET "open sesame"
#define BLOCK  65536u

static int create(struct fixture *f, const char *name, uint64_t bytes, const char *fs,
		  const char *secret)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_THICK,
				      .fs_type = fs,
				      .secret = secret,
				      .secret_bytes = secret ? strlen(secret) : 0 };

	return kvol_create(f->pool, name, bytes, &o, &f->e);
}

static void is_thick(struct fixture *f, const char *name, uint64_t blocks)
{
	assert_int_equal(thin_of(f, name)->content.reserved, blocks);
	/* On the disk. */
	assert_int_equal(thin_of(f, name)->flushed.reserved, blocks);
	assert_int_equal(info_of(f, name).allocated, blocks * BLOCK);
	assert_int_equal(info_of(f, name).flags & KVOL_INFO_THICK, KVOL_INFO_THICK);
}

static void all_blocks_are_there(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "raw", 64 * MIB, NULL, NULL));
	is_thick(f, "raw", 1024);
	succeeds(f, create(f, "more", 64 * MIB + 4096, NULL, NULL));
	is_thick(f, "more", 1025);
	succeeds(f, create(f, "fs", 100 * MIB, "ext4", NULL));
	is_thick(f, "fs", 1600);
	succeeds(f, create(f, "safe", 16 * MIB, "ext4", SECRET));
	is_thick(f, "safe", 256 + 16);
	assert_int_equal(info_of(f, "safe").flags, KVOL_INFO_THICK | KVOL_INFO_ENCRYPTED);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(pool_info(f).data_used,
			 (1024 + 1025 + 1600 + 272) * (uint64_t)BLOCK);
	reopen_pool(f);
	is_thick(f, "fs", 1600);
}

static void thickness_is_a_parameter_and_copies_are_thin(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o), .flags = KVOL_CREATE_THICK };
	struct fixture *f = *state;

	succeeds(f, create(f, "v", 64 * MIB, NULL, NULL));
	succeeds(f, create(f, "v", 64 * MIB, NULL, NULL));
	fails(f, kvol_create(f->pool, "v", 64 * MIB, NULL, &f->e), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	assert_non_null(strstr(f->e.msg, "thick"));
	succeeds(f, kvol_create(f->pool, "thin", 64 * MIB, NULL, &f->e));
	fails(f, create(f, "thin", 64 * MIB, NULL, NULL), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, kvol_clone(f->pool, "v", "c", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	succeeds(f, kvol_clone(f->pool, "v", "c", NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	assert_int_equal(info_of(f, "c").flags, 0);
	assert_int_equal(info_of(f, "s").flags, 0);
	is_thick(f, "v", 1024);
}

/* Whatever happens to it: what it says takes none at any moment. */
static void it_takes_no_discards(void **state)
{
	static const char *const secrets[] = { NULL, SECRET };
	struct kvol_publish_opts o = { .size = sizeof(o) };
	struct fixture *f = *state;

	model_file("/t", S_IFDIR);
	for (size_t i = 0; i < KV_ARRAY_SIZE(secrets); i++) {
		o.secret = secrets[i];
		o.secret_bytes = secrets[i] ? strlen(secrets[i]) : 0;
		succeeds(f, create(f, "v", 64 * MIB, "ext4", secrets[i]));
		succeeds(f, kvol_publish(f->pool, "v", "/t", &o, &f->e));
		assert_true(face_of(f, "v", KV_FACE_CRYPT)->no_discards);
		assert_true(face_of(f, "v", KV_FACE_THIN)->no_discards);
		succeeds(f, kvol_expand(f->pool, "v", 80 * MIB, 0, &f->e));
		assert_true(face_of(f, "v", KV_FACE_CRYPT)->no_discards);
		assert_true(face_of(f, "v", KV_FACE_THIN)->no_discards);
		assert_int_equal(face_of(f, "v", KV_FACE_CRYPT)->table.sectors * KV_SECTOR,
				 80 * MIB);
		is_thick(f, "v", 1280 + (secrets[i] ? 16 : 0));
		succeeds(f, kvol_unpublish(f->pool, "v", "/t", NULL, &f->e));
		assert_null(face_of(f, "v", KV_FACE_CRYPT));
		succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	}
	model_fail("device no discards", 1, -EOPNOTSUPP);
	fails(f, create(f, "v", 64 * MIB, "ext4", NULL), -EOPNOTSUPP,
	      KVOL_R_NO_KERNEL_SUPPORT);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(model_thins(disk_of(f)), 0);
}

static void what_does_not_fit_is_refused_and_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t total = pool_info(f).data_bytes, reserve;
	uint64_t blocks = total / BLOCK;

	/* Exactly what the reserve leaves. */
	reserve = blocks / 100 > 1024 ? 1024 : blocks / 100 + 1;
	fails(f, create(f, "v", (blocks - reserve + 1) * BLOCK, NULL, NULL), -ENOSPC,
	      KVOL_R_NO_DATA_SPACE);
	assert_int_equal(model_thins(disk_of(f)), 0);
	succeeds(f, create(f, "v", (blocks - reserve) * BLOCK, NULL, NULL));
	is_thick(f, "v", blocks - reserve);
	fails(f, kvol_expand(f->pool, "v", (blocks - reserve + 1) * BLOCK, 0, &f->e),
	      -ENOSPC, KVOL_R_NO_DATA_SPACE);
	assert_int_equal(info_of(f, "v").bytes, (blocks - reserve) * BLOCK);
	is_thick(f, "v", blocks - reserve);
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_int_equal(pool_info(f).data_used, 0);
}

/* Somebody else takes space after the first look. */
static int taker(const char *what, unsigned step)
{
	static unsigned touched;

	(void)step;
	if (!strcmp(what, "device touch") && ++touched == 1)
		for (int i = 0; i < MODEL_DISKS; i++)
			model->disks[i].data_used = model->disks[i].used ? 13000 : 0;
	return 0;
}

static void space_is_looked_at_while_it_is_taken(void **state)
{
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "first", MIB, NULL, &f->e));
	model_hook = taker;
	fails(f, create(f, "v", 256 * MIB, NULL, NULL), -ENOSPC, KVOL_R_NO_DATA_SPACE);
	model_hook = NULL;
	assert_int_equal(model_thins(disk_of(f)), 1);
	disk_of(f)->data_used = 0;
	assert_int_equal(pool_info(f).data_used, 0);
	model_fail("device touch", 2, -ENOSPC);
	fails(f, create(f, "v", 256 * MIB, NULL, NULL), -ENOSPC, KVOL_R_NO_DATA_SPACE);
	assert_int_equal(pool_info(f).data_used, 0);
}

static void failed_growth_gives_its_blocks_back(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", 64 * MIB, "ext4", NULL));
	model_file("/t", S_IFDIR);
	for (int mounted = 0; mounted < 2; mounted++) {
		if (mounted)
			succeeds(f, kvol_publish(f->pool, "v", "/t", NULL, &f->e));
		model_fail("device touch", 2, -EIO);
		fails(f, kvol_expand(f->pool, "v", 256 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
		is_thick(f, "v", 1024);
		model_fail("commit", 2, -EIO);
		fails(f, kvol_expand(f->pool, "v", 256 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
		is_thick(f, "v", 1024);
		assert_int_equal(info_of(f, "v").bytes, 64 * MIB);
	}
	/* Neither can be done: the next open does it. */
	model_fail("device touch", 2, -EIO);
	model_fail("device discard", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", 256 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
	assert_true(thin_of(f, "v")->content.reserved > 1024);
	reopen_pool(f);
	is_thick(f, "v", 1024);
	succeeds(f, kvol_expand(f->pool, "v", 256 * MIB, 0, &f->e));
	is_thick(f, "v", 4096);
}

/* A snapshot would keep what was reserved beyond the end for as long as it lives. */
static void copies_do_not_get_what_lies_beyond_the_end(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create(f, "v", 64 * MIB, NULL, NULL));
	model_fail("device touch", 2, -EIO);
	model_fail("device discard", 1, -EIO);
	fails(f, kvol_expand(f->pool, "v", 256 * MIB, 0, &f->e), -EIO, KVOL_R_IO);
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	is_thick(f, "v", 1024);
	assert_int_equal(info_of(f, "s").allocated, 1024 * BLOCK);
}

static void overcommit_does_not_promise_it_twice(void **state)
{
	struct kvol_policy_opts p = { .size = sizeof(p), .flags = KVOL_SET_OVERCOMMIT };
	struct fixture *f = *state;
	uint64_t data = pool_info(f).data_bytes;

	p.overcommit = 300;
	succeeds(f, kvol_pool_set(f->pool, &p, &f->e));
	assert_int_equal(pool_info(f).capacity, 3 * data);
	succeeds(f, create(f, "v", 100 * MIB, NULL, NULL));
	assert_int_equal(pool_info(f).provisioned, 100 * MIB);
	assert_int_equal(pool_info(f).capacity, 3 * (data - 100 * MIB));
	succeeds(f, kvol_create(f->pool, "thin", 100 * MIB, NULL, &f->e));
	assert_int_equal(pool_info(f).capacity, 3 * (data - 100 * MIB) - 100 * MIB);
	fails(f, kvol_create(f->pool, "x", 3 * (data - 100 * MIB) - 99 * MIB, NULL, &f->e),
	      -ENOSPC, KVOL_R_LIMIT);
	succeeds(f, kvol_create(f->pool, "x", 3 * (data - 150 * MIB), NULL, &f->e));
	/* 50 MiB more, by three. */
	fails(f, create(f, "y", 17 * MIB, NULL, NULL), -ENOSPC, KVOL_R_LIMIT);
	fails(f, kvol_expand(f->pool, "v", 120 * MIB, 0, &f->e), -ENOSPC, KVOL_R_LIMIT);
	is_thick(f, "v", 1600);
	succeeds(f, kvol_expand(f->pool, "v", 116 * MIB, 0, &f->e));
	/* Below 100 percent each byte counts once, and a block whole. */
	succeeds(f, kvol_delete(f->pool, "x", 0, &f->e));
	p.overcommit = 50;
	succeeds(f, kvol_pool_set(f->pool, &p, &f->e));
	succeeds(f, create(f, "tiny", 4096, NULL, NULL));
	assert_int_equal(pool_info(f).capacity, data / 2 / 4096 * 4096 - 216 * MIB - BLOCK);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(all_blocks_are_there),
		on_pool(thickness_is_a_parameter_and_copies_are_thin),
		on_pool(it_takes_no_discards),
		on_pool(what_does_not_fit_is_refused_and_leaves_nothing),
		on_pool(space_is_looked_at_while_it_is_taken),
		on_pool(failed_growth_gives_its_blocks_back),
		on_pool(copies_do_not_get_what_lies_beyond_the_end),
		on_pool(overcommit_does_not_promise_it_twice),
	};

	return cmocka_run_group_tests_name("thick", tests, NULL, NULL);
}
