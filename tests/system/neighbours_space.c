// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * test_neighbours: space, and what it held before.
 */
#include "neighbours.h"

/* Stratis: 500 MiB for an empty snapshot, as XFS's UUID is rewritten. */
void empty_snapshot_costs_no_data_space(void **state)
{
	uint64_t before;

	(void)state;
	(void)fs_volume("v", "xfs");
	before = pool_info().data_used;
	assert_ok(kvol_snapshot(pool, "v", "shot", NULL, &err));
	assert_ok(kvol_clone(pool, "v", "copied", NULL, &err));
	assert_int_equal(pool_info().data_used, before);
	assert_ok(kvol_delete(pool, "copied", 0, &err));
	assert_ok(kvol_delete(pool, "shot", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* containerd: what was deleted was not given back. */
void deleting_gives_the_space_back(void **state)
{
	uint64_t before = pool_info().data_used;
	const char *at = raw_volume("v");

	(void)state;
	assert_ok(publish("v", at, KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("dd if=/dev/urandom of=%s bs=1M count=8 conv=fsync,nocreat", at);
	assert_true(pool_info().data_used >= before + MIB(8));
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_int_equal(pool_info().data_used, before);
}

/* Stratis: ENOSPC while there was room. */
void no_space_is_said_only_when_there_is_none(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_ok(kvol_create(pool, "far larger", GIB(1024), NULL, &err));
		assert_ok(kvol_snapshot(pool, "far larger", "shot", NULL, &err));
		assert_ok(kvol_delete(pool, "far larger", 0, &err));
		assert_ok(kvol_delete(pool, "shot", 0, &err));
	}
	assert_int_equal(pool_info().flags, 0);
}

/* Docker: a thin pool that ran full was repaired by hand, or made anew. */
void full_pool_is_refused_early_and_comes_back_by_deleting(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o),
				      .file_bytes = MIB(128),
				      .max_volumes = 100 };
	struct kvol_publish_opts block = { .size = sizeof(block),
					   .flags = KVOL_PUBLISH_BLOCK };
	const char *node = make_file("node");
	struct kvol_pool *p = NULL;

	(void)state;
	assert_ok(kvol_pool_format(ctx, "small", in_dir("small"), &o, &err));
	assert_ok(kvol_pool_open(ctx, in_dir("small"), NULL, &p, &err));
	assert_ok(kvol_create(p, "v", MIB(256), NULL, &err));
	assert_ok(kvol_publish(p, "v", node, &block, &err));
	watched("filling a pool");
	assert_true(sh("dd if=/dev/urandom of=%s bs=1M count=256 conv=fsync,nocreat",
		       node) != 0);
	assert_kvol(kvol_create(p, "more", MIB(4), NULL, &err), -ENOSPC,
		    KVOL_R_NO_DATA_SPACE);
	assert_kvol(kvol_snapshot(p, "v", "more", NULL, &err), -ENOSPC,
		    KVOL_R_NO_DATA_SPACE);
	assert_ok(kvol_unpublish(p, "v", node, NULL, &err));
	assert_ok(kvol_delete(p, "v", 0, &err));
	assert_ok(kvol_create(p, "more", MIB(4), NULL, &err));
	unwatched();
	assert_ok(kvol_pool_deactivate(p, &err));
	kvol_pool_close(p);
	assert_sh("rm %s/small", dir);
}

/* Thin pools that do not zero: the next tenant reads what the last one wrote. */
void new_volume_shows_nothing_of_a_deleted_one(void **state)
{
	const char *at = raw_volume("v");

	(void)state;
	assert_ok(publish("v", at, KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("yes secret | dd of=%s bs=64K count=64 iflag=fullblock "
		  "conv=fsync,nocreat",
		  at);
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	(void)raw_volume("v");
	assert_ok(publish("v", at, KVOL_PUBLISH_BLOCK, NULL));
	/* One sector of each block is written: the kernel maps it all. */
	assert_sh("for i in $(seq 0 63); do echo x; done | dd of=%s bs=512 count=1 "
		  "conv=fsync,nocreat; ! grep -qa secret %s",
		  at, at);
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* lvreduce: a smaller size, and the end of the file system is gone. */
void smaller_size_never_shrinks(void **state)
{
	(void)state;
	(void)raw_volume("v");
	assert_ok(kvol_expand(pool, "v", MIB(1), 0, &err));
	assert_int_equal(info_of("v").bytes, MIB(16));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}
