/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pool's policy, on a real pool. */

#include "system.h"

static int set(const struct kvol_policy_opts *o)
{
	return kvol_pool_set(pool, o, &err);
}

static void limits_hold_and_outlive_the_activation(void **state)
{
	struct kvol_policy_opts o = { .size = sizeof(o),
				      .flags = KVOL_SET_OVERCOMMIT | KVOL_SET_MAX_VOLUMES,
				      .overcommit = 100,
				      .max_volumes = 2 };
	uint64_t all = pool_info().data_bytes;

	(void)state;
	assert_ok(set(&o));
	pool_cycle();
	assert_int_equal(pool_info().overcommit, 100);
	assert_int_equal(pool_info().max_volumes, 2);
	assert_kvol(kvol_create(pool, "a", all + 4096, NULL, &err), -ENOSPC,
		    KVOL_R_LIMIT);
	assert_ok(kvol_create(pool, "a", all - MIB(64), NULL, &err));
	assert_kvol(kvol_expand(pool, "a", all + 4096, 0, &err), -ENOSPC, KVOL_R_LIMIT);
	assert_kvol(kvol_clone(pool, "a", "b", NULL, &err), -ENOSPC, KVOL_R_LIMIT);
	assert_int_equal(pool_info().capacity, MIB(64));
	assert_ok(kvol_create(pool, "b", MIB(1), NULL, &err));
	assert_kvol(kvol_snapshot(pool, "a", "s", NULL, &err), -ENOSPC, KVOL_R_LIMIT);
	o.overcommit = o.max_volumes = 0;
	assert_ok(set(&o));
	assert_ok(kvol_snapshot(pool, "a", "s", NULL, &err));
	assert_ok(kvol_delete(pool, "s", 0, &err));
	assert_ok(kvol_delete(pool, "b", 0, &err));
	assert_ok(kvol_delete(pool, "a", 0, &err));
}

static void publishes_are_counted_and_get_their_flags(void **state)
{
	struct kvol_policy_opts o = { .size = sizeof(o),
				      .flags = KVOL_SET_MAX_PUBLISHED |
					       KVOL_SET_PUBLISH_FLAGS,
				      .max_published = 1,
				      .publish_flags = KVOL_POLICY_NOEXEC |
						       KVOL_POLICY_NOSUID };
	const char *a = make_dir("a"), *b = make_dir("b");

	(void)state;
	assert_ok(set(&o));
	assert_ok(create_fs("a", MIB(64), "ext4"));
	assert_ok(create_fs("b", MIB(64), "ext4"));
	assert_ok(publish("a", a, 0, NULL));
	assert_non_null(strstr(mount_options(a, false), "noexec"));
	assert_non_null(strstr(mount_options(a, false), "nosuid"));
	assert_null(strstr(mount_options(a, false), "nodev"));
	assert_kvol(publish("b", b, 0, NULL), -ENOSPC, KVOL_R_LIMIT);
	assert_false(is_mounted(b));
	assert_int_equal(pool_info().n_published, 1);
	assert_ok(kvol_unpublish(pool, "a", a, NULL, &err));
	assert_ok(publish("b", b, 0, NULL));
	assert_ok(kvol_unpublish(pool, "b", b, NULL, &err));
	o.max_published = o.publish_flags = 0;
	assert_ok(set(&o));
	assert_ok(kvol_delete(pool, "a", 0, &err));
	assert_ok(kvol_delete(pool, "b", 0, &err));
}

static void options_keep_to_the_rules(void **state)
{
	(void)state;
	assert_opts_rules(struct kvol_policy_opts, publish_flags, set(o));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_hold_and_outlive_the_activation),
		cmocka_unit_test(publishes_are_counted_and_get_their_flags),
		cmocka_unit_test(options_keep_to_the_rules),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("policy", tests, pool_up, pool_down);
}
