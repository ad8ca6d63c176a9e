// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Disks that hold no pool, or a damaged one: a clear refusal, and not a byte changed by
 * it.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

static char copy[256];

/* A pool with something in it, closed, and a function of its own to copy it: every test
 * damages a copy. */
static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(copy, sizeof(copy), "%s", in_dir("copy"));
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	return 0;
}

static int down(void **state)
{
	if (!pool)
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	return pool_down(state);
}

static void take_copy(void)
{
	assert_sh("rm -f %s && cp --sparse=always %s %s", copy, pool_path, copy);
}

static void overwrite(uint64_t at, const char *what, size_t n)
{
	static char buf[1 << 20];
	int fd = open(copy, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && n <= sizeof(buf));
	for (size_t i = 0; i < n; i++)
		buf[i] = what[i % strlen(what)];
	assert_int_equal(pwrite(fd, buf, n, (off_t)at), n);
	assert_int_equal(close(fd), 0);
}

static void part(const char *name, uint64_t *ret_start, uint64_t *ret_bytes)
{
	unsigned long long start, bytes;

	assert_sh(
		"partx -rgo NAME,START,SECTORS %s | awk '$1 == \"%s\" { print $2, $3 }'",
		pool_path, name);
	assert_int_equal(sscanf(sh_output(), "%llu %llu", &start, &bytes), 2);
	*ret_start = start * 512;
	*ret_bytes = bytes * 512;
}

/* Refused, and no byte of it changed. */
static void assert_refused(const char *path, int code, uint32_t reason)
{
	uint64_t digest = file_digest(path);
	struct kvol_pool *p = NULL;

	assert_kvol(kvol_pool_open(ctx, path, NULL, &p, &err), code, reason);
	assert_null(p);
	assert_int_equal(file_digest(path), digest);
}

static void what_is_no_pool(void **state)
{
	(void)state;
	assert_refused(make_file("empty"), -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
	assert_sh("truncate -s 1G %s", in_dir("blank"));
	assert_refused(in_dir("blank"), -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
	write_file(in_dir("text"), "a few words\n");
	assert_refused(in_dir("text"), -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
	assert_sh("mkfs.ext4 -q -F %s", in_dir("blank"));
	assert_refused(in_dir("blank"), -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
	assert_kvol(kvol_pool_open(ctx, dir, NULL, &pool, &err), -EMEDIUMTYPE,
		    KVOL_R_NOT_A_POOL);
	assert_kvol(kvol_pool_open(ctx, "/dev/null", NULL, &pool, &err), -EMEDIUMTYPE,
		    KVOL_R_NOT_A_POOL);
	assert_sh("mkfifo %s", in_dir("fifo"));
	assert_kvol(kvol_pool_open(ctx, in_dir("fifo"), NULL, &pool, &err), -EMEDIUMTYPE,
		    KVOL_R_NOT_A_POOL);
}

static uint32_t crc32(const unsigned char *p, size_t n)
{
	uint32_t c = ~0u;

	for (; n; n--, p++) {
		c ^= *p;
		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
	}
	return ~c;
}

/* Gives all partitions another type, in one copy of the table, with the right checksums.
 */
static void retype(uint64_t header_at, uint64_t entries_at)
{
	static unsigned char entries[128 * 128];
	unsigned char header[512];
	int fd = open(copy, O_RDWR | O_CLOEXEC);
	uint32_t crc;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, header, sizeof(header), (off_t)header_at),
			 sizeof(header));
	assert_int_equal(pread(fd, entries, sizeof(entries), (off_t)entries_at),
			 sizeof(entries));
	assert_memory_equal(header, "EFI PART", 8);
	for (int i = 0; i < 3; i++)
		entries[i * 128] ^= 0xff;
	crc = crc32(entries, sizeof(entries));
	memcpy(header + 88, &crc, sizeof(crc));
	memset(header + 16, 0, sizeof(crc));
	crc = crc32(header, 92);
	memcpy(header + 16, &crc, sizeof(crc));
	assert_int_equal(pwrite(fd, header, sizeof(header), (off_t)header_at),
			 sizeof(header));
	assert_int_equal(pwrite(fd, entries, sizeof(entries), (off_t)entries_at),
			 sizeof(entries));
	assert_int_equal(close(fd), 0);
}

static void somebody_elses_partitions(void **state)
{
	(void)state;
	take_copy();
	retype(512, 1024);
	retype(GIB(8) - 512, GIB(8) - 33 * 512);
	assert_refused(copy, -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
	assert_kvol(kvol_pool_format(ctx, "new", copy, NULL, &err), -EEXIST,
		    KVOL_R_HAS_SIGNATURE);
	assert_non_null(strstr(err.msg, "gpt"));
}

static void truncated(void **state)
{
	(void)state;
	take_copy();
	assert_int_equal(truncate(copy, (off_t)GIB(4)), 0);
	assert_refused(copy, -EUCLEAN, KVOL_R_CORRUPT);
	assert_int_equal(truncate(copy, 65536), 0);
	assert_refused(copy, -EUCLEAN, KVOL_R_CORRUPT);
	/* Nor is it formatted as if it were blank. */
	assert_kvol(kvol_pool_format(ctx, "new", copy, NULL, &err), -EEXIST,
		    KVOL_R_HAS_SIGNATURE);
}

/* Opens the copy and finds all there. */
static void assert_whole(void)
{
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_int_equal(pool_info().flags, 0);
	assert_true(exists("v"));
	assert_true(exists("s"));
	assert_ok(kvol_create(pool, "new", MIB(8), NULL, &err));
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
}

static void one_copy_of_the_table_is_enough(void **state)
{
	(void)state;
	take_copy();
	overwrite(512, "X", 512); /* the primary header */
	assert_whole();
	take_copy();
	overwrite(1024, "X", 512); /* its entries */
	assert_whole();
	take_copy();
	overwrite(GIB(8) - 512, "X", 512); /* the backup's header */
	assert_whole();
}

static void both_copies_are_gone(void **state)
{
	(void)state;
	take_copy();
	/* Nothing that a checksum vouches for says what it was, and yet it is not blank.
	 */
	overwrite(512, "X", 512);
	overwrite(GIB(8) - 512, "X", 512);
	assert_refused(copy, -EMEDIUMTYPE, KVOL_R_NOT_A_POOL);
	assert_kvol(kvol_pool_format(ctx, "new", copy, NULL, &err), -EEXIST,
		    KVOL_R_HAS_SIGNATURE);
}

static void the_catalogues_file_system(void **state)
{
	uint64_t start, bytes;

	(void)state;
	part("kvol-catalogue", &start, &bytes);
	take_copy();
	overwrite(start, "garbage ", 1 << 20);
	assert_refused(copy, -EUCLEAN, KVOL_R_CORRUPT);
	take_copy();
	overwrite(start, "garbage ", 4096); /* the superblock, alone */
	assert_refused(copy, -EUCLEAN, KVOL_R_CORRUPT);
}

/* Runs a command in the copy's catalogue. */
static void in_catalogue(const char *command)
{
	uint64_t start, bytes;

	part("kvol-catalogue", &start, &bytes);
	assert_sh(
		"set -e; mkdir -p %s/mnt; mount -o loop,offset=%llu,sizelimit=%llu %s %s/mnt; "
		"cd %s/mnt; (set -e; %s) || { cd /; umount %s/mnt; exit 1; }; cd /; umount %s/mnt",
		dir, (unsigned long long)start, (unsigned long long)bytes, copy, dir, dir,
		command, dir, dir);
}

static void the_database(void **state)
{
	struct kvol_pool *p = NULL;

	(void)state;
	take_copy();
	in_catalogue("ls; rm -f catalogue.db-wal catalogue.db-shm; "
		     "yes garbage | head -c 65536 > catalogue.db");
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	take_copy();
	in_catalogue("rm -f catalogue.db catalogue.db-wal catalogue.db-shm");
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	take_copy();
	in_catalogue("rm -f catalogue.db-wal catalogue.db-shm; : > catalogue.db");
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	/* One of a program from the future: another schema. */
	take_copy();
	in_catalogue("rm -f catalogue.db*; sqlite3 catalogue.db 'CREATE TABLE pool (x); "
		     "INSERT INTO pool VALUES (1);'");
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
}

static void the_thin_metadata(void **state)
{
	uint64_t start, bytes;
	struct kvol_pool *p = NULL;

	(void)state;
	part("kvol-metadata", &start, &bytes);
	take_copy();
	overwrite(start, "garbage ", 4096);
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	/* Zeros are what the kernel takes for blank metadata: they must not become an
	 * empty pool. */
	take_copy();
	assert_sh("fallocate -p -o %llu -l 4096 %s", (unsigned long long)start, copy);
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	assert_sh(
		"dd if=%s bs=4096 count=1 iflag=skip_bytes skip=%llu status=none | tr -d '\\0' | wc -c | "
		"grep -qx 0",
		copy, (unsigned long long)start);
}

/* The catalogue's contents of another pool: they name another UUID. */
static void another_pools_catalogue(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = GIB(8) };
	uint64_t start, bytes;
	struct kvol_pool *p = NULL;

	(void)state;
	take_copy();
	assert_ok(kvol_pool_format(ctx, "another", in_dir("another"), &o, &err));
	part("kvol-catalogue", &start, &bytes);
	assert_sh(
		"dd if=%s of=%s bs=1M iflag=skip_bytes,count_bytes oflag=seek_bytes skip=%llu seek=%llu "
		"count=%llu conv=notrunc status=none",
		in_dir("another"), copy, (unsigned long long)start,
		(unsigned long long)start, (unsigned long long)bytes);
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EUCLEAN, KVOL_R_CORRUPT);
	assert_int_equal(unlink(in_dir("another")), 0);
}

#define AUDIT(call) assert_kvol(call, -EROFS, KVOL_R_POOL_READ_ONLY)

/* The catalogue of yesterday, with the thin pool of today: for reading only. */
static void a_restored_catalogue(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };

	(void)state;
	take_copy();
	in_catalogue("tar cf ../backup.tar .");
	/* Life goes on: more than one reservation of ids. */
	for (int i = 0; i < 2; i++) {
		assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
		assert_ok(kvol_create(pool, i ? "later" : "new", MIB(8), NULL, &err));
		assert_ok(kvol_pool_deactivate(pool, &err));
		kvol_pool_close(pool);
		pool = NULL;
	}
	in_catalogue("rm -rf *; tar xf ../backup.tar");
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_true(pool_info().flags & KVOL_POOL_AUDIT);
	assert_ok(kvol_stat(pool, "v", &info, &err));
	assert_int_equal(count(0), 2);
	AUDIT(kvol_create(pool, "x", MIB(8), NULL, &err));
	AUDIT(create_fs("x", MIB(16), "ext4"));
	AUDIT(kvol_snapshot(pool, "v", "x", NULL, &err));
	AUDIT(kvol_clone(pool, "s", "x", NULL, &err));
	AUDIT(kvol_expand(pool, "v", MIB(16), 0, &err));
	AUDIT(kvol_delete(pool, "v", 0, &err));
	AUDIT(kvol_delete(pool, "s", 0, &err));
	/* A writer's device is a change in waiting; a reader's is what audits are for. */
	AUDIT(publish("v", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_ok(publish("v", in_dir("dev"), KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY,
			  NULL));
	assert_ok(kvol_unpublish(pool, "v", in_dir("dev"), NULL, &err));
	/* What is no change is 0 as ever. */
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(kvol_delete(pool, "absent", 0, &err));
	assert_ok(kvol_expand(pool, "v", MIB(4), 0, &err));
	/* It stays so for the next, too. */
	kvol_pool_close(pool);
	pool = NULL;
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_true(pool_info().flags & KVOL_POOL_AUDIT);
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
}

/* After all of that the pool itself is as it was. */
static void the_original_is_whole(void **state)
{
	(void)state;
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_int_equal(pool_info().flags, 0);
	assert_int_equal(count(0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_pool),
		cmocka_unit_test(somebody_elses_partitions),
		cmocka_unit_test(truncated),
		cmocka_unit_test(one_copy_of_the_table_is_enough),
		cmocka_unit_test(both_copies_are_gone),
		cmocka_unit_test(the_catalogues_file_system),
		cmocka_unit_test(the_database),
		cmocka_unit_test(the_thin_metadata),
		cmocka_unit_test(another_pools_catalogue),
		cmocka_unit_test(a_restored_catalogue),
		cmocka_unit_test(the_original_is_whole),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("damage", tests, up, down);
}
