// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One host at a time: a pool that another host left active is refused before a byte of it
 * changes, until it is taken over by order. The other host is another context with
 * another id; what it left active is a copy of its disk, taken while it was.
 */
#include <unistd.h>

#include "member.h"

#define CLAIM_AT    524288u
#define CLAIM_BYTES 512u

static struct kvol_ctx *host_a, *host_b;

static struct kvol_ctx *host(const char *id)
{
	struct kvol_ctx_opts o = { .size = sizeof(o), .host_id = id };
	struct kvol_ctx *c = NULL;

	assert_ok(kvol_new(&o, &c, &err));
	return c;
}

static int up(void **state)
{
	int r = contents_up(state);

	if (r == 0) {
		host_a = host("a");
		host_b = host("b");
	}
	return r;
}

static int down(void **state)
{
	kvol_free(host_a);
	kvol_free(host_b);
	return contents_down(state);
}

/* The copy as host "a" left it when its power went. */
static void left_by_a(void)
{
	assert_ok(kvol_pool_open(host_a, pool_path, NULL, &pool, &err));
	assert_ok(kvol_create(pool, "last", MIB(4), NULL, &err));
	assert_string_equal(pool_info().host, "a");
	assert_sh("sync");
	take_copy();
	assert_ok(kvol_delete(pool, "last", 0, &err));
	deactivate_pool();
}

static int take_over(struct kvol_ctx *who, const char *path)
{
	struct kvol_open_opts o = { .size = sizeof(o), .flags = KVOL_OPEN_TAKEOVER };

	return kvol_pool_open(who, path, &o, &pool, &err);
}

static void assert_foreign(struct kvol_ctx *who, const char *path)
{
	uint64_t digest = file_digest(path);
	struct kvol_pool *p = NULL;

	assert_kvol(kvol_pool_open(who, path, NULL, &p, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	assert_null(p);
	assert_true(file_digest(path) == digest);
}

static void left_active_by_another(void **state)
{
	(void)state;
	left_by_a();
	/* Its journal and its log wait to be replayed, and still do after it. */
	assert_foreign(host_b, copy);
	assert_non_null(strstr(err.msg, "host a since 20"));
	/* Nor is it formatted, repaired, or looked into. */
	struct kvol_repair_info info = { .size = sizeof(info) };
	assert_kvol(kvol_pool_repair(host_b, copy, NULL, &info, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	assert_kvol(kvol_pool_format(host_b, pool_name, copy, NULL, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	/* Its own host is not kept out. */
	assert_ok(kvol_pool_open(host_a, copy, NULL, &pool, &err));
	assert_contents();
	assert_true(exists("last"));
	deactivate_pool();
	/* What is given back is free. */
	assert_ok(kvol_pool_open(host_b, copy, NULL, &pool, &err));
	assert_string_equal(pool_info().host, "b");
	deactivate_pool();
}

static void taken_over(void **state)
{
	(void)state;
	left_by_a();
	assert_ok(take_over(host_b, copy));
	assert_string_equal(pool_info().host, "b");
	assert_contents();
	assert_true(exists("last"));
	/* While b has it. */
	struct kvol_pool *p = NULL;
	assert_kvol(kvol_pool_open(host_a, copy, NULL, &p, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	deactivate_pool();
	assert_ok(kvol_pool_open(host_a, copy, NULL, &pool, &err));
	deactivate_pool();
}

/* The programs of one machine, some of which name the host and some do not. */
static void one_machine(void **state)
{
	struct kvol_pool *p = NULL;

	(void)state;
	take_copy();
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_ok(kvol_pool_open(host_a, copy, NULL, &p, &err));
	kvol_pool_close(p);
	deactivate_pool();
	assert_ok(kvol_pool_open(host_a, copy, NULL, &pool, &err));
	assert_ok(kvol_pool_open(ctx, pool_name, NULL, &p, &err));
	kvol_pool_close(p);
	assert_kvol(kvol_pool_open(host_b, pool_name, NULL, &p, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	deactivate_pool();
}

/* b's claim, on the disk that is active under a: what a's host sees after it was believed
 * to be dead. */
static void taken_over_while_active(void **state)
{
	char claim[CLAIM_BYTES], now[CLAIM_BYTES];
	struct kvol_pool *p = NULL;

	(void)state;
	left_by_a();
	assert_ok(take_over(host_b, copy));
	read_at(copy, CLAIM_AT, claim, sizeof(claim));
	deactivate_pool();
	take_copy();
	assert_ok(kvol_pool_open(host_a, copy, NULL, &pool, &err));
	write_at(copy, CLAIM_AT, claim, sizeof(claim));
	assert_sh("sync %s", copy);
	assert_kvol(kvol_pool_open(host_a, copy, NULL, &p, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	assert_kvol(kvol_pool_open(host_a, pool_name, NULL, &p, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	assert_contents();
	deactivate_pool();
	read_at(copy, CLAIM_AT, now, sizeof(now));
	assert_memory_equal(claim, now, sizeof(now)); /* not a's to give back */
	assert_foreign(host_a, copy);
	assert_ok(kvol_pool_open(host_b, copy, NULL, &pool, &err));
	assert_contents();
	deactivate_pool();
}

/* On a block device, and as it is documented. */
static void on_a_device(void **state)
{
	char device[64];

	(void)state;
	left_by_a();
	assert_sh("losetup -f --show %s", copy);
	assert_int_equal(sscanf(sh_output(), "%63s", device), 1);
	assert_sh("dd if=%s bs=512 skip=1024 count=1 status=none | tr -d '\\0' | "
		  "grep -x 'given a'",
		  device);
	struct kvol_pool *p = NULL;
	assert_kvol(kvol_pool_open(host_b, device, NULL, &p, &err), -EBUSY,
		    KVOL_R_FOREIGN_HOST);
	/* Freed by hand, as the page on the format says. */
	assert_sh(
		"dd if=/dev/zero of=%s bs=512 seek=1024 count=1 conv=notrunc,fsync status=none",
		device);
	assert_ok(kvol_pool_open(host_b, device, NULL, &pool, &err));
	assert_contents();
	deactivate_pool();
	assert_sh("losetup -d %s", device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(left_active_by_another),
		cmocka_unit_test(taken_over),
		cmocka_unit_test(one_machine),
		cmocka_unit_test(taken_over_while_active),
		cmocka_unit_test(on_a_device),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("host", tests, up, down);
}
