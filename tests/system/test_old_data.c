// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a deleted volume held is seen by nobody: volumes are filled with canaries,
 * deleted, and made again from the same blocks, as raw volumes, file systems, snapshots
 * and clones, and grown. All that was never written reads as zeros, also the rest of a
 * pool's block of which a little was written.
 *
 * The pool is small, so that blocks come back soon. A canary is a word that occurs every
 * 512 bytes and names the volume that wrote it; each volume has its own, and any but its
 * own is a leak.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#define ROUNDS_SHORT 40u
#define ROUNDS_LONG  1000u
#define BYTES	     MIB(4)
#define BLOCK_BYTES  KIB(64)
#define WORD	     UINT64_C(0x4b564f4c43414e00) /* the number of the volume is added */

static char node[256], place[256];
static uint64_t seed = 1;
static unsigned long long scanned, volumes;
static uint64_t *buf;

static uint64_t next_random(void)
{
	uint64_t x = seed += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 27;
}

static int open_device(const char *name)
{
	int fd;

	assert_ok(publish(name, node, KVOL_PUBLISH_BLOCK, NULL));
	fd = open(node, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fd = open(node, O_RDONLY | O_DIRECT | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void close_device(const char *name, int fd)
{
	assert_int_equal(close(fd), 0);
	assert_ok(kvol_unpublish(pool, name, node, NULL, &err));
}

static void fill(int fd, uint64_t from, uint64_t bytes, uint64_t number)
{
	for (size_t i = 0; i < BLOCK_BYTES / 8; i++)
		buf[i] = i % 64 ? i : WORD + number;
	for (uint64_t n; bytes; from += n, bytes -= n) {
		n = bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES;
		assert_int_equal(pwrite(fd, buf, n, (off_t)from), n);
	}
}

/* Canaries of others are the leak that is looked for; zeros says that there is to be
 * nothing. */
static void scan(int fd, uint64_t from, uint64_t bytes, uint64_t own, bool zeros)
{
	for (uint64_t n; bytes; from += n, bytes -= n) {
		n = bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES;
		assert_int_equal(pread(fd, buf, n, (off_t)from), n);
		for (size_t i = 0; i < n / 8; i++) {
			bool canary = buf[i] >> 32 == WORD >> 32 && buf[i] != WORD + own;

			if (canary || (zeros && buf[i]))
				fail_msg("volume %" PRIu64 ", byte %" PRIu64 ": %" PRIx64
					 " (seed %" PRIu64 ")",
					 own, from + i * 8, buf[i], seed);
		}
		scanned += n;
	}
}

/* Of a block in each quarter a little is written, anywhere in it: the rest of it is
 * zeros. */
static void write_a_little(int fd, uint64_t from, uint64_t bytes, uint64_t number)
{
	uint64_t pages = BLOCK_BYTES / 4096, blocks = bytes / 4 / BLOCK_BYTES;

	for (uint64_t quarter = 0; quarter < 4; quarter++) {
		uint64_t block = quarter * blocks + next_random() % blocks;
		uint64_t start = from + block * BLOCK_BYTES;
		uint64_t at = start + next_random() % pages * 4096;

		fill(fd, at, 4096, number);
		scan(fd, start, at - start, number, true);
		scan(fd, at + 4096, start + BLOCK_BYTES - at - 4096, number, true);
	}
}

static void raw_volume(unsigned number)
{
	int fd;

	assert_ok(kvol_create(pool, "v", BYTES, NULL, &err));
	fd = open_device("v");
	scan(fd, 0, BYTES, number, true);
	write_a_little(fd, 0, BYTES, number);
	scan(fd, 0, BYTES, number, false);
	fill(fd, 0, BYTES, number);
	close_device("v", fd);
	assert_ok(kvol_expand(pool, "v", 2 * BYTES, 0, &err));
	fd = open_device("v");
	scan(fd, BYTES, BYTES, number, true);
	write_a_little(fd, BYTES, BYTES, number);
	fill(fd, BYTES, BYTES, number);
	close_device("v", fd);
	assert_ok(kvol_delete(pool, "v", 0, &err));
	volumes++;
}

/* A copy shows its origin's canaries and nobody else's; and the origin nothing of the
 * copy's. */
static void copies(unsigned number)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = 2 * BYTES };
	int fd;

	assert_ok(kvol_create(pool, "v", BYTES, NULL, &err));
	fd = open_device("v");
	write_a_little(fd, 0, BYTES, number);
	close_device("v", fd);
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_ok(kvol_clone(pool, "s", "c", &o, &err));
	fd = open_device("c");
	scan(fd, 0, BYTES, number, false);
	scan(fd, BYTES, BYTES, number, true);
	fill(fd, 0, 2 * BYTES, number + 1000000);
	close_device("c", fd);
	assert_ok(kvol_delete(pool, "c", 0, &err));
	fd = open_device("v");
	scan(fd, 0, BYTES, number, false);
	fill(fd, 0, BYTES, number);
	close_device("v", fd);
	assert_ok(kvol_delete(pool, "v", 0, &err));
	fd = open_device("s");
	scan(fd, 0, BYTES, number, false);
	close_device("s", fd);
	assert_ok(kvol_delete(pool, "s", 0, &err));
	volumes += 3;
}

/* What mkfs and the kernel do not write over, with all of the device read. */
static void file_system(unsigned number)
{
	const uint64_t bytes = MIB(16);
	char path[512];
	int fd;

	assert_ok(create_fs("v", bytes, "ext4"));
	fd = open_device("v");
	scan(fd, 0, bytes, number, false);
	close_device("v", fd);
	assert_ok(kvol_publish(pool, "v", place, NULL, &err));
	(void)snprintf(path, sizeof(path), "%s/f", place);
	fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)MIB(2)), 0);
	fill(fd, MIB(1), 4096, number);
	scan(fd, 0, MIB(1), number, true);
	assert_int_equal(fallocate(fd, 0, (off_t)MIB(2), (off_t)MIB(4)), 0);
	scan(fd, MIB(2), MIB(4), number, true);
	fill(fd, 0, MIB(6), number);
	assert_int_equal(close(fd), 0);
	assert_ok(kvol_unpublish(pool, "v", place, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	volumes++;
}

static void nothing_of_deleted_volumes_is_seen(void **state)
{
	unsigned rounds = getenv("KVOL_TEST_LONG") ? ROUNDS_LONG : ROUNDS_SHORT;

	(void)state;
	for (unsigned number = 1; volumes < rounds; number++) {
		switch (number % 5) {
		case 0:
			file_system(number);
			break;
		case 3:
			copies(number);
			break;
		default:
			raw_volume(number);
		}
	}
}

/* That canaries can be found at all: they are on the disk, below. */
static void the_canaries_were_there(void **state)
{
	(void)state;
	pool_cycle();
	assert_sh("LC_ALL=C grep -caF LOVK '%s' >'%s/n' && test $(cat '%s/n') -gt 0",
		  pool_path, dir, dir);
}

static int up(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = MIB(128) };
	const char *given = getenv("KVOL_TEST_SEED");

	if (given)
		seed = strtoull(given, NULL, 10);
	else if (getenv("KVOL_TEST_LONG"))
		seed = (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
	if (dir_up(state) < 0 || posix_memalign((void **)&buf, 4096, BLOCK_BYTES))
		return -1;
	assert_ok(kvol_pool_format(ctx, pool_name, pool_path, &o, &err));
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	(void)snprintf(place, sizeof(place), "%s", make_dir("place"));
	return 0;
}

static int down(void **state)
{
	printf("# figure volumes scanned for canaries of earlier ones: %llu, %llu MiB, 0 found\n",
	       volumes, scanned >> 20);
	free(buf);
	return pool_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_deleted_volumes_is_seen),
		cmocka_unit_test(the_canaries_were_there),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("old data", tests, up, down);
}
