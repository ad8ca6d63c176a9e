// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Catalogue and thin pool that do not belong together, disks that are there twice, and
 * one that is gone: nothing is ever deleted on a guess, and what the pool held is there
 * afterwards, to the byte.
 */
#include <unistd.h>

#include "member.h"

/* The thin ids on the copy's disk with what they map, as thin_ls sees them. */
static const char *ids(void)
{
	static char now[4096];

	part_out(copy, "kvol-metadata", in_dir("metadata.ids"));
	assert_sh("thin_ls --no-headers -o DEV,MAPPED_BLOCKS %s", in_dir("metadata.ids"));
	(void)snprintf(now, sizeof(now), "%s", sh_output());
	return now;
}

static char ids_before[4096];

static void remember_ids(void)
{
	(void)snprintf(ids_before, sizeof(ids_before), "%s", ids());
}

static void open_copy(void)
{
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
}

/* Two sessions with a new volume in each, and so two reservations. */
static void life_goes_on(void)
{
	for (int i = 0; i < 2; i++) {
		open_copy();
		assert_ok(kvol_create(pool, i ? "later" : "new", MIB(4), NULL, &err));
		deactivate_pool();
	}
}

/* A copy whose part is of before those two; it is kept as "older" and as "newer". */
static void put_back_older(const char *part)
{
	take_copy();
	part_out(copy, part, in_dir("older"));
	life_goes_on();
	part_out(copy, part, in_dir("newer"));
	part_in(copy, part, in_dir("older"));
}

#define AUDIT(call) assert_kvol(call, -EROFS, KVOL_R_POOL_READ_ONLY)

/* Opened twice: reading works, no change does, and nothing is deleted. */
static void assert_audit(void)
{
	remember_ids();
	for (int i = 0; i < 2; i++) {
		open_copy();
		assert_int_equal(pool_info().flags & KVOL_POOL_AUDIT, KVOL_POOL_AUDIT);
		AUDIT(kvol_create(pool, "x", MIB(4), NULL, &err));
		AUDIT(kvol_snapshot(pool, "fs", "x", NULL, &err));
		AUDIT(kvol_clone(pool, "fs@1", "x", NULL, &err));
		AUDIT(kvol_expand(pool, "raw", MIB(64), 0, &err));
		AUDIT(kvol_delete(pool, "raw", 0, &err));
		AUDIT(publish("fs", make_dir("rw"), 0, NULL));
		if (i)
			deactivate_pool();
		else
			close_pool();
	}
	assert_string_equal(ids(), ids_before);
}

static void accept_copy(uint64_t n_lost, uint64_t n_strays)
{
	struct kvol_repair_opts o = { .size = sizeof(o), .flags = KVOL_REPAIR_ACCEPT };
	struct kvol_repair_info info = { .size = sizeof(info) };

	o.backup_dir = kept;
	assert_ok(kvol_pool_repair(ctx, copy, &o, &info, &err));
	assert_int_equal(info.mended, KVOL_FAULT_EPOCH);
	assert_int_equal(info.n_lost, n_lost);
	assert_int_equal(info.n_strays, n_strays);
	assert_string_equal(ids(), ids_before);
	open_copy();
	assert_int_equal(pool_info().flags, 0);
}

static void a_restored_catalogue(void **state)
{
	(void)state;
	put_back_older("kvol-catalogue");
	assert_audit();
	/* The way on without the newer: what it does not list stays on the disk. */
	accept_copy(0, 2);
	assert_contents();
	assert_int_equal(count(0), CONTENTS);
	assert_ok(kvol_create(pool, "next", MIB(4), NULL, &err));
	deactivate_pool();
	open_copy();
	deactivate_pool();
	(void)ids();
	assert_sh("thin_ls --no-headers -o DEV %s | wc -l | grep -qx %u",
		  in_dir("metadata.ids"), CONTENTS + 4); /* the template, too */
}

static void the_newer_catalogue_put_back(void **state)
{
	(void)state;
	put_back_older("kvol-catalogue");
	open_copy();
	assert_true(pool_info().flags & KVOL_POOL_AUDIT);
	deactivate_pool();
	part_in(copy, "kvol-catalogue", in_dir("newer"));
	open_copy();
	assert_int_equal(pool_info().flags, 0);
	assert_true(exists("new") && exists("later"));
	assert_contents();
	deactivate_pool();
}

static void restored_metadata(void **state)
{
	(void)state;
	put_back_older("kvol-metadata");
	assert_audit();
	open_copy();
	assert_contents();
	/* Listed, and not there: refused in words. */
	assert_true(exists("later"));
	assert_true(publish("later", make_file("dev"),
			    KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY, NULL) < 0);
	deactivate_pool();
	part_in(copy, "kvol-metadata", in_dir("newer"));
	open_copy();
	assert_int_equal(pool_info().flags, 0);
	assert_contents();
	deactivate_pool();
	/* And the way on without the newer. */
	part_in(copy, "kvol-metadata", in_dir("older"));
	remember_ids();
	accept_copy(2, 0);
	assert_contents();
	assert_ok(kvol_delete(pool, "new", 0, &err));
	assert_ok(kvol_delete(pool, "later", 0, &err));
	assert_ok(kvol_create(pool, "next", MIB(4), NULL, &err));
	deactivate_pool();
}

/* --- Somebody else writes to the thin pool ---------------------------------------- */

/* Sends messages to the copy's thin pool, with kvol nowhere near it. */
static void send(const char *messages)
{
	uint64_t meta, meta_bytes, data, data_bytes;

	part_of("kvol-metadata", &meta, &meta_bytes);
	part_of("kvol-data", &data, &data_bytes);
	assert_sh(
		"set -e; loop=$(losetup -f --show %s); "
		"dmsetup create foreign-meta --table \"0 %llu linear $loop %llu\"; "
		"dmsetup create foreign-data --table \"0 %llu linear $loop %llu\"; "
		"dmsetup create foreign --table \"0 %llu thin-pool "
		"$(dmsetup info -c --noheadings -o major,minor --separator : foreign-meta) "
		"$(dmsetup info -c --noheadings -o major,minor --separator : foreign-data) "
		"128 0\"; "
		"IFS=';'; for m in $(echo '%s'); do dmsetup message foreign 0 \"$m\"; done; "
		"dmsetup remove foreign; dmsetup remove foreign-data; "
		"dmsetup remove foreign-meta; losetup -d $loop",
		copy, (unsigned long long)meta_bytes / 512,
		(unsigned long long)meta / 512, (unsigned long long)data_bytes / 512,
		(unsigned long long)data / 512, (unsigned long long)data_bytes / 512,
		messages);
}

/* As every program does that keeps books of its own. */
static void a_writer_who_counts(void **state)
{
	unsigned long long epoch;
	char messages[128];

	(void)state;
	take_copy();
	epoch = (unsigned long long)super_field(48);
	(void)snprintf(messages, sizeof(messages),
		       "create_thin 5000;set_transaction_id %llu %llu;"
		       "set_transaction_id %llu %llu",
		       epoch, epoch + 1, epoch + 1, epoch + 2);
	send(messages);
	assert_audit();
	accept_copy(0, 1);
	assert_contents();
	deactivate_pool();
}

/* One who does not leaves no trace but his volumes; they are not ours to delete. */
static void a_writer_who_does_not(void **state)
{
	(void)state;
	take_copy();
	send("create_thin 5000");
	open_copy();
	assert_contents();
	assert_ok(kvol_create(pool, "x", MIB(4), NULL, &err));
	assert_ok(kvol_delete(pool, "x", 0, &err));
	deactivate_pool();
	(void)ids();
	assert_sh("thin_ls --no-headers -o DEV %s | grep -w 5000",
		  in_dir("metadata.ids"));
}

/* A volume's id is gone: refused in words, and the others are whole. */
static void a_writer_who_deletes(void **state)
{
	(void)state;
	take_copy();
	send("delete 1"); /* 0 was pool_up's; raw */
	open_copy();
	assert_true(exists("raw"));
	assert_true(publish("raw", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL) < 0);
	assert_non_null(strstr(err.msg, "raw"));
	assert_true(kvol_snapshot(pool, "raw", "x", NULL, &err) < 0);
	assert_true(exists("fs") && exists("fs@1") && exists("clone"));
	assert_ok(publish("fs@1", make_dir("seen"), 0, NULL));
	assert_ok(kvol_unpublish(pool, "fs@1", in_dir("seen"), NULL, &err));
	assert_ok(kvol_delete(pool, "raw", 0, &err)); /* the user's word is good */
	deactivate_pool();
}

/* --- Of another pool, and twice --------------------------------------------------- */

static void another_pools_catalogue(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = GIB(8) };
	struct kvol_pool *p = NULL;

	(void)state;
	take_copy();
	assert_ok(kvol_pool_format(ctx, "another", in_dir("another"), &o, &err));
	part_out(in_dir("another"), "kvol-catalogue", in_dir("others"));
	part_out(copy, "kvol-catalogue", in_dir("own"));
	part_in(copy, "kvol-catalogue", in_dir("others"));
	remember_ids();
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	assert_string_equal(ids(), ids_before);
	part_in(copy, "kvol-catalogue", in_dir("own"));
	open_copy();
	assert_contents();
	deactivate_pool();
	assert_int_equal(unlink(in_dir("another")), 0);
}

static void a_copy_beside_its_original(void **state)
{
	struct kvol_pool *p = NULL;

	(void)state;
	take_copy();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_contents();
	deactivate_pool();
	open_copy();
	assert_kvol(kvol_pool_open(ctx, pool_path, NULL, &p, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_delete(pool, "raw", 0, &err)); /* of the copy alone */
	deactivate_pool();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_contents();
	deactivate_pool();
}

/* --- A disk that goes away -------------------------------------------------------- */

static int call(int r, const char *what)
{
	if (r < 0) /* the message is in order in any case */
		assert_true(err.msg[0] && err.code == r);
	print_message("# %s: %d\n", what, r);
	return r;
}

#define CALL(x) call(x, #x)

static void swap_table(const char *target)
{
	assert_sh("set -e; n=$(dmsetup table under | cut -d' ' -f2); "
		  "dmsetup suspend --noflush --nolockfs under; "
		  "dmsetup load under --table \"0 $n %s\"; dmsetup resume under",
		  target);
}

static void a_disk_that_is_pulled(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter = NULL;
	char device[64], loop[64];

	(void)state;
	take_copy();
	assert_sh("losetup -f --show %s", copy);
	assert_int_equal(sscanf(sh_output(), "%63s", loop), 1);
	assert_sh(
		"dmsetup create under --table \"0 $(blockdev --getsz %s) linear %s 0\"; "
		"echo /dev/dm-$(dmsetup info -c --noheadings -o minor under)",
		loop, loop);
	assert_int_equal(sscanf(sh_output(), "%63s", device), 1);
	assert_ok(kvol_pool_open(ctx, device, NULL, &pool, &err));
	assert_ok(publish("fs", make_dir("pulled"), 0, NULL));
	assert_sh("cat %s/data > /dev/null", in_dir("pulled"));
	swap_table("error");

	/* Nothing of it hangs, and nothing says that it happened. */
	assert_true(CALL(kvol_create(pool, "x", MIB(4), NULL, &err)) < 0);
	assert_true(CALL(create_fs("y", MIB(32), "ext4")) < 0);
	assert_true(CALL(kvol_snapshot(pool, "fs", "x", NULL, &err)) < 0);
	assert_true(CALL(kvol_clone(pool, "raw", "x", NULL, &err)) < 0);
	assert_true(CALL(kvol_expand(pool, "fs", MIB(64), 0, &err)) < 0);
	assert_true(CALL(kvol_delete(pool, "raw", 0, &err)) < 0);
	assert_true(CALL(publish("clone", make_dir("other"), 0, NULL)) < 0);
	(void)CALL(kvol_stat(pool, "fs", &info, &err));
	if (CALL(kvol_list(pool, 0, &iter, &err)) == 0) {
		while (kvol_iter_next(iter, &info) == 1)
			;
		kvol_iter_free(iter);
	}
	/* No writer is left frozen. */
	assert_sh("dmsetup info -c --noheadings -o uuid,suspended | grep KVOL | "
		  "grep -v Active; test $? = 1");
	assert_sh("umount %s", in_dir("pulled"));
	(void)CALL(kvol_unpublish(pool, "fs", in_dir("pulled"), NULL, &err));
	/* Only the claim on the disk cannot be given back. */
	if (kvol_pool_deactivate(pool, &err) != -EIO)
		fail_msg("deactivating gave %d (%s)", err.code, err.msg);
	close_pool();
	assert_sh("dmsetup ls | grep kvol-; test $? = 1");

	/* It is plugged in again. */
	assert_sh("dmsetup remove under");
	assert_sh("losetup -d %s", loop);
	assert_contents_of(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restored_catalogue),
		cmocka_unit_test(the_newer_catalogue_put_back),
		cmocka_unit_test(restored_metadata),
		cmocka_unit_test(a_writer_who_counts),
		cmocka_unit_test(a_writer_who_does_not),
		cmocka_unit_test(a_writer_who_deletes),
		cmocka_unit_test(another_pools_catalogue),
		cmocka_unit_test(a_copy_beside_its_original),
		cmocka_unit_test(a_disk_that_is_pulled),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("wrong_catalogue", tests, contents_up,
					   contents_down);
}
