/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The host's claim, on the model: laid by activation before the catalogue is mounted,
 * given back by deactivation, refused and taken over, and what a crash at each step
 * leaves.
 */

#include <fcntl.h>
#include <unistd.h>

#include "fixture.h"
#include "host.h"

#define REBOOT "66666666-2222-4333-8444-555555555555"

/* The claim on the fixture's disk, behind the library's back. */
static int open_member(struct fixture *f)
{
	char path[2 * MODEL_PATH];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/disk%d/member", model->dir,
		       (int)(disk_of(f) - model->disks));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int read_claim(struct fixture *f, struct kv_claim *ret)
{
	_cleanup_close_ int fd = open_member(f);
	char buf[KV_CLAIM_BYTES];

	assert_int_equal(kv_pread_full(fd, buf, sizeof(buf), KV_CLAIM_OFFSET), 0);
	return kv_claim_parse(buf, ret);
}

static void write_raw(struct fixture *f, const char buf[KV_CLAIM_BYTES])
{
	_cleanup_close_ int fd = open_member(f);

	assert_int_equal(kv_pwrite_full(fd, buf, KV_CLAIM_BYTES, KV_CLAIM_OFFSET), 0);
}

static void write_claim(struct fixture *f, const struct kv_claim *claim)
{
	char buf[KV_CLAIM_BYTES];

	kv_claim_format(buf, claim);
	write_raw(f, buf);
}

static struct kv_claim claim_of(struct fixture *f)
{
	struct kv_claim claim;

	assert_int_equal(read_claim(f, &claim), 0);
	return claim;
}

/* The fixture goes on as another host. */
static void become(struct fixture *f, const char *host_id)
{
	struct kvol_ctx_opts opts = { .size = sizeof(opts),
				      .run_dir = f->run_dir,
				      .host_id = host_id };

	kvol_free(f->ctx);
	f->ctx = NULL;
	succeeds(f, kvol_new(&opts, &f->ctx, &f->e));
}

static int take_over(struct fixture *f)
{
	struct kvol_open_opts o = { .size = sizeof(o), .flags = KVOL_OPEN_TAKEOVER };

	return kvol_pool_open(f->ctx, f->path, &o, &f->pool, &f->e);
}

/* A pool on the disk that host "a" left active: it lost its power, or lives elsewhere. */
static void left_by_a(struct fixture *f)
{
	become(f, "a");
	open_pool(f);
	succeeds(f, create_volume(f, "v", NULL));
	close_pool(f);
	model_power_cut();
}

static void claim_is_laid_and_given_back(void **state)
{
	struct kvol_pool_info info;
	struct fixture *f = *state;
	struct kv_claim claim;

	become(f, "a");
	open_pool(f);
	info = pool_info(f);
	claim = claim_of(f);
	assert_true(claim.held);
	assert_string_equal(claim.host.given, "a");
	assert_string_equal(claim.pool, info.uuid);
	assert_string_equal(info.host, "a");
	/* Who joins sees the same. */
	reopen_pool(f);
	assert_string_equal(pool_info(f).host, "a");
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	claim = claim_of(f);
	assert_false(claim.held);
	assert_string_equal(claim.host.given, "a");
	close_pool(f);
	become(f, "b");
	open_pool(f);
	assert_string_equal(claim_of(f).host.given, "b");
}

static void machine_s_own_id_is_the_default(void **state)
{
	struct fixture *f = *state;
	struct kv_claim claim;
	struct kv_host self;

	assert_int_equal(kv_host_self(NULL, &self), 0);
	open_pool(f);
	claim = claim_of(f);
	assert_string_equal(claim.host.given, "");
	assert_string_equal(claim.host.machine, self.machine);
	assert_string_equal(claim.host.boot, self.boot);
	assert_string_equal(pool_info(f).host, kv_host_name(&self));
}

static void bad_host_ids_are_refused(void **state)
{
	struct kvol_ctx_opts o = { .size = sizeof(o), .host_id = "two words" };
	struct kvol_ctx *ctx = NULL;
	struct fixture *f = *state;

	fails(f, kvol_new(&o, &ctx, &f->e), -EINVAL, KVOL_R_INVALID);
	o.host_id = "-";
	fails(f, kvol_new(&o, &ctx, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_null(ctx);
}

static void foreign_claim_is_refused_before_anything_is_touched(void **state)
{
	struct fixture *f = *state;
	struct kvol_pool *pool;
	struct kv_claim before;

	left_by_a(f);
	before = claim_of(f);
	become(f, "b");
	model_fail("mount", 0, -EIO); /* it must not come to that */
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e), -EBUSY,
	      KVOL_R_FOREIGN_HOST);
	assert_non_null(strstr(f->e.msg, "on host a since 20"));
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
	assert_int_equal(claim_of(f).since, before.since);
	assert_string_equal(claim_of(f).host.given, "a");
	model_forget_plans();
	become(f, "a");
	open_pool(f);
	assert_true(exists(f, "v"));
}

static void takeover_ends_it(void **state)
{
	struct fixture *f = *state;

	left_by_a(f);
	become(f, "b");
	succeeds(f, take_over(f));
	assert_true(exists(f, "v"));
	assert_string_equal(claim_of(f).host.given, "b");
	close_pool(f);
	model_power_cut();
	become(f, "a");
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &f->pool, &f->e), -EBUSY,
	      KVOL_R_FOREIGN_HOST);
}

static void takeover_of_what_is_ours_or_free_is_an_open(void **state)
{
	struct fixture *f = *state;

	become(f, "a");
	succeeds(f, take_over(f));
	close_pool(f);
	succeeds(f, take_over(f));
	assert_string_equal(pool_info(f).host, "a");
}

static void failed_takeover_leaves_the_claim_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct kv_claim before, after;

	left_by_a(f);
	before = claim_of(f);
	become(f, "b");
	model_fail("mount", 1, -EIO);
	fails(f, take_over(f), -EIO, KVOL_R_IO);
	after = claim_of(f);
	assert_memory_equal(&before, &after, sizeof(before));
	model_fail("device flush", 1, -EIO); /* of the claim itself */
	fails(f, take_over(f), -EIO, KVOL_R_IO);
	after = claim_of(f);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(model_n_devs(), 0);
}

/* No human is needed after a power cut. */
static void rebooted_host_finds_its_own_claim(void **state)
{
	struct fixture *f = *state;
	struct kv_claim claim;

	left_by_a(f);
	claim = claim_of(f);
	(void)kv_strcpy(claim.host.boot, sizeof(claim.host.boot), REBOOT);
	claim.since = 1;
	write_claim(f, &claim);
	open_pool(f);
	claim = claim_of(f);
	assert_string_not_equal(claim.host.boot, REBOOT);
	assert_true(claim.since > 1); /* laid anew */
	close_pool(f);
	model_power_cut();
	/* Nor for one that is called differently by another program of the machine. */
	(void)kv_strcpy(claim.host.boot, sizeof(claim.host.boot), REBOOT);
	write_claim(f, &claim);
	become(f, NULL);
	if (claim.host.machine[0])
		open_pool(f);
}

/* One whose name nobody knows holds its claim for a boot, and no longer. */
static void nameless_claim_ends_with_its_boot(void **state)
{
	struct fixture *f = *state;
	struct kv_claim claim;

	left_by_a(f);
	claim = claim_of(f);
	memset(&claim.host, 0, sizeof(claim.host));
	(void)kv_strcpy(claim.host.boot, sizeof(claim.host.boot), REBOOT);
	write_claim(f, &claim);
	become(f, "b");
	open_pool(f);
	assert_string_equal(claim_of(f).host.given, "b");
}

static void programs_of_one_boot_are_one_host(void **state)
{
	struct kvol_pool *second = NULL;
	struct fixture *f = *state;

	become(f, "a");
	open_pool(f);
	become(f, NULL);
	succeeds(f, kvol_pool_open(f->ctx, f->path, NULL, &second, &f->e));
	kvol_pool_close(second);
	become(f, "b");
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &second, &f->e), -EBUSY,
	      KVOL_R_FOREIGN_HOST);
	assert_non_null(strstr(f->e.msg, "another id"));
}

/* It went on elsewhere while it was active here: what this kernel knows of it is old. */
static void pool_that_was_taken_over_is_not_joined(void **state)
{
	struct kvol_pool *second = NULL;
	struct fixture *f = *state;
	struct kv_claim claim;

	become(f, "a");
	open_pool(f);
	claim = claim_of(f);
	for (int held = 1; held >= 0; held--) {
		(void)kv_strcpy(claim.host.given, sizeof(claim.host.given), "b");
		(void)kv_strcpy(claim.host.boot, sizeof(claim.host.boot), REBOOT);
		claim.held = held;
		write_claim(f, &claim);
		fails(f, kvol_pool_open(f->ctx, f->path, NULL, &second, &f->e), -EBUSY,
		      KVOL_R_FOREIGN_HOST);
		assert_non_null(strstr(f->e.msg, "taken over"));
		fails(f, kvol_pool_open(f->ctx, POOL_NAME, NULL, &second, &f->e), -EBUSY,
		      KVOL_R_FOREIGN_HOST);
		/* Not even by order. */
		struct kvol_open_opts o = { .size = sizeof(o),
					    .flags = KVOL_OPEN_TAKEOVER };
		fails(f, kvol_pool_open(f->ctx, f->path, &o, &second, &f->e), -EBUSY,
		      KVOL_R_FOREIGN_HOST);
	}
	/* Nor is another's claim given back. */
	claim.held = true;
	write_claim(f, &claim);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	assert_true(claim_of(f).held);
	assert_string_equal(claim_of(f).host.given, "b");
}

static void pool_without_a_claim_is_free(void **state)
{
	char zeros[KV_CLAIM_BYTES] = { 0 };
	struct fixture *f = *state;
	struct kv_claim claim;

	become(f, "a");
	open_pool(f);
	write_raw(f, zeros);
	reopen_pool(f); /* activated by a version without claims */
	assert_string_equal(pool_info(f).host, "");
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	assert_int_equal(read_claim(f, &claim), -ENODATA);
	close_pool(f);
	open_pool(f);
	assert_string_equal(claim_of(f).host.given, "a");
}

static void claim_of_another_pool_is_none(void **state)
{
	struct fixture *f = *state;
	struct kv_claim claim;

	left_by_a(f);
	claim = claim_of(f);
	claim.pool[0] = claim.pool[0] == '0' ? '1' : '0';
	write_claim(f, &claim);
	become(f, "b");
	open_pool(f);
	assert_string_equal(claim_of(f).pool, pool_info(f).uuid);
}

static void unreadable_claim_is_somebody_s(void **state)
{
	char buf[KV_CLAIM_BYTES] = "kvol host claim 2\n";
	struct fixture *f = *state;

	left_by_a(f);
	write_raw(f, buf);
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &f->pool, &f->e), -EBUSY,
	      KVOL_R_FOREIGN_HOST);
	succeeds(f, take_over(f));
	assert_string_equal(claim_of(f).host.given, "a");
	write_raw(f, buf);
	fails(f, take_over(f), -EBUSY, KVOL_R_FOREIGN_HOST);
}

static int open_only(void *arg)
{
	struct fixture *f = arg;
	struct kvol_pool *pool;

	return kvol_pool_open(f->ctx, f->path, NULL, &pool, NULL) < 0;
}

static int deactivate(struct kvol_pool *pool, void *arg)
{
	(void)arg;
	return kvol_pool_deactivate(pool, NULL);
}

static void crashes_leave_a_claim_of_ours(void **state)
{
	static const char *const steps[] = { "device flush", "mount", "dm create",
					     "record" };
	struct fixture *f = *state;

	become(f, "a");
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_crash(steps[i], i == 2 ? 2 : 1);
		assert_int_equal(model_in_child(open_only, f), MODEL_CRASHED);
		model_forget_plans();
		model_power_cut();
		open_pool(f);
		assert_true(claim_of(f).held);
		succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
		close_pool(f);
	}
	/* After the devices, before the claim is given back. */
	killed_at(f, "device flush", 1, deactivate, NULL);
	assert_int_equal(model_n_devs(), 0);
	open_pool(f);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	assert_false(claim_of(f).held);
}

static void claim_that_cannot_be_given_back_is_told(void **state)
{
	struct fixture *f = *state;

	become(f, "a");
	open_pool(f);
	model_fail("device flush", 1, -EIO);
	fails(f, kvol_pool_deactivate(f->pool, &f->e), -EIO, KVOL_R_IO);
	assert_non_null(strstr(f->e.msg, "claim"));
	assert_int_equal(model_n_devs(), 0);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	open_pool(f);
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, setup_disk, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_disk(claim_is_laid_and_given_back),
		on_disk(machine_s_own_id_is_the_default),
		on_disk(bad_host_ids_are_refused),
		on_disk(foreign_claim_is_refused_before_anything_is_touched),
		on_disk(takeover_ends_it),
		on_disk(takeover_of_what_is_ours_or_free_is_an_open),
		on_disk(failed_takeover_leaves_the_claim_as_it_was),
		on_disk(rebooted_host_finds_its_own_claim),
		on_disk(nameless_claim_ends_with_its_boot),
		on_disk(programs_of_one_boot_are_one_host),
		on_disk(pool_that_was_taken_over_is_not_joined),
		on_disk(pool_without_a_claim_is_free),
		on_disk(claim_of_another_pool_is_none),
		on_disk(unreadable_claim_is_somebody_s),
		on_disk(crashes_leave_a_claim_of_ours),
		on_disk(claim_that_cannot_be_given_back_is_told),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
