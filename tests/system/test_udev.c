// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Beside a running udev, whose workers open every device that appears.
 */
#include <unistd.h>

#include "system.h"

static void lifecycles(void **state)
{
	int n = getenv("KVOL_TEST_LONG") ? 1000 : 25;
	char a[256], node[256];

	(void)state;
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	assert_ok(create_fs("template", MIB(32), "ext4"));
	for (int i = 0; i < n; i++) {
		assert_ok(kvol_clone(pool, "template", "v", NULL, &err));
		assert_ok(kvol_publish(pool, "v", a, NULL, &err));
		write_file(in_dir("a/file"), "x");
		assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
		assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
		assert_ok(publish("s", node, KVOL_PUBLISH_BLOCK, NULL));
		assert_ok(kvol_unpublish(pool, "s", node, NULL, &err));
		assert_ok(kvol_delete(pool, "v", 0, &err));
		assert_ok(kvol_delete(pool, "s", 0, &err));
	}
	assert_int_equal(count(0), 1);
}

static void the_pool_goes_and_comes(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		pool_cycle();
}

/* Nothing of us waits for udev: no cookie is left behind. */
static void no_cookies(void **state)
{
	(void)state;
	assert_sh("! dmsetup udevcookies | grep -q 0x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lifecycles),
		cmocka_unit_test(the_pool_goes_and_comes),
		cmocka_unit_test(no_cookies),
	};

	need_device_mapper();
	if (access("/run/udev/control", F_OK) < 0) {
		printf("1..0 # SKIP udev is not running\n");
		return 77;
	}
	return cmocka_run_group_tests_name("udev", tests, pool_up, pool_down);
}
