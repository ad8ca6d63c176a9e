/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Labels of pools, volumes and publishes, and listings by them, on a real pool.
 */

#include "system.h"

static const struct kvol_label pod[] = {
	{ "csi.storage.k8s.io/pod.name", "db-0" },
	{ "csi.storage.k8s.io/pod.namespace", "prod" },
};

static const char *label(const char *name, const char *key)
{
	static char value[KVOL_LABEL_VALUE_MAX + 1];

	return kvol_label_get(pool, name, key, value, sizeof(value), &err) < 0 ? NULL
									       : value;
}

static void labels_outlive_the_pool_s_activation(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o), .labels = pod, .n_labels = 2 };
	struct kvol_label zone = { "topology.kvol.io/zone", "b" };

	(void)state;
	assert_ok(kvol_create(pool, "a", MIB(64), &o, &err));
	assert_ok(kvol_label_set(pool, NULL, &zone, 1, &err));
	pool_cycle();
	assert_string_equal(label("a", pod[0].key), "db-0");
	assert_string_equal(label(NULL, zone.key), "b");
	zone.value = NULL;
	assert_ok(kvol_label_set(pool, NULL, &zone, 1, &err));
	assert_null(label(NULL, zone.key));
	assert_kvol(kvol_label_set(pool, "absent", pod, 1, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	zone.key = "no key";
	assert_invalid(kvol_label_set(pool, "a", &zone, 1, &err));
	assert_ok(kvol_delete(pool, "a", 0, &err));
	assert_ok(kvol_create(pool, "a", MIB(64), NULL, &err));
	assert_null(label("a", pod[0].key));
	assert_ok(kvol_delete(pool, "a", 0, &err));
}

static void a_live_volume_takes_labels(void **state)
{
	struct kvol_label tier = { "tier", "gold" };
	const char *target = make_dir("live");

	(void)state;
	assert_ok(create_fs("live", MIB(64), "ext4"));
	assert_ok(publish("live", target, 0, NULL));
	assert_ok(kvol_label_set(pool, "live", &tier, 1, &err));
	assert_string_equal(label("live", "tier"), "gold");
	assert_ok(kvol_unpublish(pool, "live", target, NULL, &err));
	assert_ok(kvol_delete(pool, "live", 0, &err));
}

static unsigned page(const struct kvol_list_opts *o, char last[256])
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	unsigned n = 0;

	assert_ok(kvol_list_filtered(pool, o, &iter, &err));
	for (; kvol_iter_next(iter, &info) == 1; n++)
		(void)strcpy(last, info.name);
	kvol_iter_free(iter);
	return n;
}

static void a_page_and_then_exactly_the_rest(void **state)
{
	struct kvol_list_opts o = { .size = sizeof(o), .limit = 2 };
	struct kvol_label tier = { "tier", "gold" };
	char name[16], last[256] = "";

	(void)state;
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		assert_ok(kvol_create(pool, name, MIB(1), NULL, &err));
	}
	assert_int_equal(page(&o, last), 2);
	assert_string_equal(last, "p1");
	o.after = last;
	o.limit = 0;
	assert_int_equal(page(&o, last), 3);
	o.after = NULL;
	o.label_key = "tier";
	assert_int_equal(page(&o, last), 0);
	assert_ok(kvol_label_set(pool, "p3", &tier, 1, &err));
	assert_int_equal(page(&o, last), 1);
	assert_string_equal(last, "p3");
	for (int i = 0; i < 5; i++) {
		(void)snprintf(name, sizeof(name), "p%d", i);
		assert_ok(kvol_delete(pool, name, 0, &err));
	}
}

static int only_open(const struct kvol_list_opts *opts)
{
	struct kvol_iter *iter = NULL;
	int r = kvol_list_filtered(pool, opts, &iter, &err);

	kvol_iter_free(iter);
	return r;
}

static void options_keep_to_the_rules(void **state)
{
	(void)state;
	assert_opts_rules(struct kvol_list_opts, limit, only_open(o));
}

static void publishes_tell_whom_they_are_for(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .labels = pod, .n_labels = 2 };
	struct kvol_publish_info info = { .size = sizeof(info) };
	struct resident r = resident_start();
	const char *target = make_dir("for");
	struct kvol_publish_iter *iter;

	(void)state;
	assert_ok(create_fs("v", MIB(64), "ext4"));
	assert_ok(kvol_publish(pool, "v", target, &o, &err));
	assert_ok(publish_in("v", target, KVOL_PUBLISH_READONLY, r.ns));
	pool_reopen();
	assert_ok(kvol_publish_list(pool, NULL, &iter, &err));
	assert_int_equal(kvol_publish_iter_next(iter, &info), 1);
	assert_string_equal(info.volume, "v");
	assert_string_equal(info.target, target);
	assert_int_equal(info.n_labels, 2);
	assert_string_equal(info.labels[1].value, "prod");
	assert_int_equal(kvol_publish_iter_next(iter, &info), 1);
	assert_string_equal(info.mount_namespace, r.ns);
	assert_int_equal(info.flags, KVOL_PUBLISH_READONLY);
	assert_int_equal(kvol_publish_iter_next(iter, &info), 0);
	kvol_publish_iter_free(iter);
	assert_ok(unpublish_in("v", target, r.ns));
	assert_ok(kvol_unpublish(pool, "v", target, NULL, &err));
	assert_ok(kvol_publish_list(pool, "v", &iter, &err));
	assert_int_equal(kvol_publish_iter_next(iter, &info), 0);
	kvol_publish_iter_free(iter);
	resident_end(&r);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(labels_outlive_the_pool_s_activation),
		cmocka_unit_test(a_live_volume_takes_labels),
		cmocka_unit_test(a_page_and_then_exactly_the_rest),
		cmocka_unit_test(options_keep_to_the_rules),
		cmocka_unit_test(publishes_tell_whom_they_are_for),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("labels", tests, pool_up, pool_down);
}
