// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Repair with the real programs: each kind of damage is done to a copy of a pool, found
 * by a check that changes no byte, mended, and then every volume is there with its data.
 */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "member.h"

static struct kvol_repair_info info;

static int repair(uint32_t flags)
{
	struct kvol_repair_opts o = { .size = sizeof(o), .flags = flags };

	o.backup_dir = kept;
	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);
	return kvol_pool_repair(ctx, copy, &o, &info, &err);
}

/* Finds exactly this, without changing anything. */
static void assert_found(uint32_t faults)
{
	uint64_t digest = file_digest(copy);
	struct world before;

	world_now(&before);
	assert_ok(repair(KVOL_REPAIR_CHECK));
	assert_world(&before, "a check", __FILE__, __LINE__);
	assert_int_equal(info.found, faults);
	assert_int_equal(info.mended, 0);
	assert_true(file_digest(copy) == digest);
}

/* The world, but for the file in `kept`. */
static void assert_mended(uint32_t flags, uint32_t faults)
{
	struct world before;

	world_now(&before);
	assert_ok(repair(flags));
	assert_world(&before, "a repair", __FILE__, __LINE__);
	assert_int_equal(info.found, faults);
	assert_int_equal(info.mended, faults);
	assert_contents_of(copy);
}

static void a_sound_pool(void **state)
{
	(void)state;
	take_copy();
	assert_found(0);
	assert_ok(repair(0));
	assert_int_equal(info.found, 0);
}

static void an_active_pool(void **state)
{
	struct kvol_repair_opts o = { .size = sizeof(o) };

	(void)state;
	take_copy();
	info.size = sizeof(info);
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_kvol(kvol_pool_repair(ctx, pool_path, &o, &info, &err), -EBUSY,
		    KVOL_R_BUSY_OPEN);
	assert_kvol(repair(0), -EBUSY, KVOL_R_BUSY_OPEN); /* under its UUID */
	assert_kvol(repair(KVOL_REPAIR_CHECK), -EBUSY, KVOL_R_BUSY_OPEN);
	close_pool();
	assert_kvol(repair(0), -EBUSY, KVOL_R_BUSY_OPEN); /* nobody has it open */
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	deactivate_pool();
}

static void needs_check(void **state)
{
	unsigned char block[METADATA_BLOCK];

	(void)state;
	take_copy();
	super_read(block);
	block[4] |= 1;
	super_write(block);
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_true(pool_info().flags & KVOL_POOL_NEEDS_CHECK);
	assert_kvol(kvol_create(pool, "x", MIB(4), NULL, &err), -EROFS,
		    KVOL_R_POOL_NEEDS_CHECK);
	deactivate_pool();
	assert_found(KVOL_FAULT_NEEDS_CHECK);
	assert_mended(0, KVOL_FAULT_NEEDS_CHECK);
}

/* What thin_repair makes anew without losing anything: the data's space map. */
static void a_damaged_space_map(void **state)
{
	struct kvol_repair_opts o = { .size = sizeof(o) };

	(void)state;
	take_copy();
	spoil_metadata(super_field(80));
	assert_found(KVOL_FAULT_METADATA);
	info.size = sizeof(info);
	assert_kvol(kvol_pool_repair(ctx, copy, &o, &info, &err), -EUCLEAN,
		    KVOL_R_CORRUPT); /* without a place for the old */
	assert_mended(0, KVOL_FAULT_METADATA);
}

static uint64_t metadata_digest(void)
{
	part_out(copy, "kvol-metadata", in_dir("metadata.now"));
	return file_digest(in_dir("metadata.now"));
}

/* thin_repair then takes what trees it finds, old ones or none, and thin_check has
 * nothing against that: it must not be written unless somebody wants it. */
static void a_lost_superblock(void **state)
{
	uint64_t start, bytes, digest;

	(void)state;
	part_of("kvol-metadata", &start, &bytes);
	take_copy();
	/* Zeros: what the kernel takes for blank. */
	assert_sh("fallocate -p -o %llu -l 4096 %s", (unsigned long long)start, copy);
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &pool, &err), -EUCLEAN,
		    KVOL_R_CORRUPT);
	digest = metadata_digest();
	assert_kvol(repair(0), -EUCLEAN, KVOL_R_CORRUPT);
	assert_true(metadata_digest() == digest);
}

/* The block with a volume's mappings, found through the root of all. */
static uint64_t mappings_of_a_volume(void)
{
	unsigned char node[METADATA_BLOCK];
	uint64_t start, bytes, block;
	uint32_t max;

	part_of("kvol-metadata", &start, &bytes);
	read_at(copy, start + super_field(320) * METADATA_BLOCK, node, sizeof(node));
	memcpy(&max, node + 20, sizeof(max));
	memcpy(&block, node + 32 + 8 * (uint64_t)max, sizeof(block));
	return block;
}

static void a_repair_that_would_lose_data(void **state)
{
	uint32_t both = KVOL_FAULT_METADATA | KVOL_FAULT_VOLUMES;
	uint64_t digest;

	(void)state;
	take_copy();
	spoil_metadata(mappings_of_a_volume());
	assert_found(both);
	assert_int_equal(info.n_short, 1);
	digest = metadata_digest();
	assert_kvol(repair(0), -EUCLEAN, KVOL_R_CORRUPT);
	assert_non_null(strstr(err.msg, "'raw'"));
	assert_true(metadata_digest() == digest);
	assert_ok(repair(KVOL_REPAIR_ACCEPT));
	assert_int_equal(info.found, both);
	assert_int_equal(info.mended, KVOL_FAULT_METADATA);
	assert_int_equal(info.n_short, 1);
	/* What was there can be had again. */
	assert_true(file_digest(info.backup) == digest);
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_int_equal(pool_info().flags, 0);
	assert_int_equal(count(0), CONTENTS);
	assert_ok(kvol_delete(pool, "raw", 0, &err));
	deactivate_pool();
	assert_ok(repair(0));
	assert_int_equal(info.found, 0);
}

/* As a crash leaves it: the marker, some of the new blocks, and the file. */
static void an_interrupted_repair(void **state)
{
	char block[METADATA_BLOCK] = { 0 }, file[300], uuid[64];
	uint64_t start, bytes;

	(void)state;
	take_copy();
	part_of("kvol-metadata", &start, &bytes);
	spoil_metadata(super_field(80));
	part_out(copy, "kvol-metadata", in_dir("metadata.before"));
	assert_sh("blkid -p -o value -s PTUUID %s", copy);
	assert_int_equal(sscanf(sh_output(), "%63s", uuid), 1);
	(void)snprintf(file, sizeof(file), "%s/kvol-%.8s-0123abcd.new", kept, uuid);
	(void)snprintf(block, sizeof(block), "kvol repair 1\npool %s\ntoken 0123abcd\n",
		       uuid);
	assert_sh("truncate -s %llu %s && thin_repair -i %s -o %s",
		  (unsigned long long)bytes, file, in_dir("metadata.before"), file);
	write_at(copy, start, block, sizeof(block));
	spoil(start + METADATA_BLOCK, 1 << 16);
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &pool, &err), -EUCLEAN,
		    KVOL_R_CORRUPT);
	assert_found(KVOL_FAULT_METADATA);
	assert_sh("mv %s %s.away", file, file);
	assert_kvol(repair(0), -ENOENT,
		    KVOL_R_SYSTEM); /* and says which file is missing */
	assert_non_null(strstr(err.msg, "0123abcd.new"));
	assert_sh("mv %s.away %s", file, file);
	assert_mended(0, KVOL_FAULT_METADATA);
	assert_int_equal(access(file, F_OK), -1);
}

static void the_partition_table(void **state)
{
	(void)state;
	take_copy();
	spoil(512, 512);
	assert_found(KVOL_FAULT_TABLE);
	/* An open reads the other copy, and mends nothing. */
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	deactivate_pool();
	assert_mended(0, KVOL_FAULT_TABLE);
	assert_sh("sgdisk -v %s | grep 'No problems found'", copy);
	if (!getenv("KVOL_TEST_LONG")) /* tests/unit/test_gpt has them all */
		return;
	take_copy();
	spoil(1024, 512); /* the primary's entries */
	assert_mended(0, KVOL_FAULT_TABLE);
	take_copy();
	spoil(GIB(8) - 512, 512); /* the backup's header */
	assert_mended(0, KVOL_FAULT_TABLE);
	assert_sh("sgdisk -v %s | grep 'No problems found'", copy);
}

static void the_catalogues_file_system(void **state)
{
	uint64_t start, bytes;

	(void)state;
	part_of("kvol-catalogue", &start, &bytes);
	/* What fsck mends by itself. */
	take_copy();
	part_out(copy, "kvol-catalogue", in_dir("catalogue"));
	assert_sh("debugfs -w -R 'ssv free_blocks_count 5' %s", in_dir("catalogue"));
	part_in(copy, "kvol-catalogue", in_dir("catalogue"));
	assert_found(KVOL_FAULT_CATALOGUE);
	assert_mended(0, KVOL_FAULT_CATALOGUE);
	/* What has to be forced. */
	take_copy();
	spoil(start, 4096);
	assert_found(KVOL_FAULT_CATALOGUE);
	assert_kvol(repair(0), -EUCLEAN, KVOL_R_CORRUPT);
	assert_mended(KVOL_REPAIR_FORCE, KVOL_FAULT_CATALOGUE);
	assert_sh("ls %s/*.catalogue", kept);
}

static void the_database(void **state)
{
	(void)state;
	take_copy();
	in_copys_catalogue("rm -f catalogue.db-wal catalogue.db-shm; "
			   "yes garbage | head -c 65536 > catalogue.db");
	assert_kvol(repair(KVOL_REPAIR_CHECK), -EUCLEAN, KVOL_R_CORRUPT);
	assert_kvol(repair(0), -EUCLEAN, KVOL_R_CORRUPT);
}

/* A journal and a write-ahead log that nobody replayed yet are no faults. */
static void a_pool_after_a_power_cut(void **state)
{
	(void)state;
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_ok(kvol_create(pool, "last", MIB(4), NULL, &err));
	assert_sh("sync");
	take_copy();
	assert_ok(kvol_delete(pool, "last", 0, &err));
	deactivate_pool();
	assert_found(0);
	assert_ok(repair(0));
	assert_int_equal(info.found, 0);
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_true(exists("last"));
	assert_contents();
	deactivate_pool();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_pool),
		cmocka_unit_test(an_active_pool),
		cmocka_unit_test(needs_check),
		cmocka_unit_test(a_damaged_space_map),
		cmocka_unit_test(a_lost_superblock),
		cmocka_unit_test(a_repair_that_would_lose_data),
		cmocka_unit_test(an_interrupted_repair),
		cmocka_unit_test(the_partition_table),
		cmocka_unit_test(the_catalogues_file_system),
		cmocka_unit_test(the_database),
		cmocka_unit_test(a_pool_after_a_power_cut),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("repair", tests, contents_up, contents_down);
}
