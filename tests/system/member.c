// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A pool's disk behind the library's back: see member.h.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "member.h"

char copy[256];
char kept[256];

static char digests[CONTENTS][128];

/* --- Known contents --------------------------------------------------------------- */

static const char *const names[CONTENTS] = { "raw", "fs", "fs@1", "clone" };

/* Of the volume's data, as somebody sees it who may only read. */
static void digest(const char *name, char ret[128])
{
	bool raw = !strcmp(name, "raw");
	const char *target = raw ? make_file("seen.block") : make_dir("seen");

	assert_ok(publish(name, target,
			  KVOL_PUBLISH_READONLY | (raw ? KVOL_PUBLISH_BLOCK : 0), NULL));
	assert_sh("set -e; cd %s; cat %s | sha256sum", dir,
		  raw ? "seen.block" : "seen/data seen/more");
	(void)snprintf(ret, 128, "%.64s", sh_output());
	assert_ok(kvol_unpublish(pool, name, target, NULL, &err));
}

static void make_contents(void)
{
	const char *target;

	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	target = make_file("raw.block");
	assert_ok(publish("raw", target, KVOL_PUBLISH_BLOCK, NULL));
	assert_sh(
		"dd if=/dev/urandom of=%s bs=1M count=3 seek=1 conv=notrunc,fsync status=none",
		target);
	assert_ok(kvol_unpublish(pool, "raw", target, NULL, &err));

	assert_ok(create_fs("fs", MIB(32), "ext4"));
	target = make_dir("fs");
	assert_ok(publish("fs", target, 0, NULL));
	assert_sh(
		"head -c 3000000 /dev/urandom > %s/data; echo one > %s/more; sync -f %s",
		target, target, target);
	assert_ok(kvol_snapshot(pool, "fs", "fs@1", NULL, &err));
	assert_sh("dd if=/dev/urandom of=%s/data bs=1M count=1 conv=notrunc status=none; "
		  "echo two > %s/more",
		  target, target);
	assert_ok(kvol_unpublish(pool, "fs", target, NULL, &err));
	assert_ok(kvol_clone(pool, "fs@1", "clone", NULL, &err));
	for (unsigned i = 0; i < CONTENTS; i++)
		digest(names[i], digests[i]);
	assert_string_equal(digests[2], digests[3]);
	assert_string_not_equal(digests[1], digests[2]);
}

int contents_up(void **state)
{
	/* Its partitions are copied all the time. */
	if (pool_up_for(64, state) < 0)
		return -1;
	(void)snprintf(copy, sizeof(copy), "%s", in_dir("copy"));
	(void)snprintf(kept, sizeof(kept), "%s", make_dir("kept"));
	make_contents();
	deactivate_pool();
	return 0;
}

int contents_down(void **state)
{
	if (!pool)
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_int_equal(pool_info().flags, 0);
	assert_contents();
	return pool_down(state);
}

void assert_contents(void)
{
	char now[128];

	for (unsigned i = 0; i < CONTENTS; i++) {
		assert_true(exists(names[i]));
		digest(names[i], now);
		assert_string_equal(now, digests[i]);
	}
}

void assert_contents_of(const char *path)
{
	assert_ok(kvol_pool_open(ctx, path, NULL, &pool, &err));
	assert_int_equal(pool_info().flags, 0);
	assert_contents();
	assert_int_equal(count(0), CONTENTS);
	assert_ok(kvol_create(pool, "new", MIB(4), NULL, &err));
	assert_ok(kvol_delete(pool, "new", 0, &err));
	deactivate_pool();
}

void close_pool(void)
{
	kvol_pool_close(pool);
	pool = NULL;
}

void deactivate_pool(void)
{
	assert_ok(kvol_pool_deactivate(pool, &err));
	close_pool();
}

/* --- Bytes ------------------------------------------------------------------------ */

void take_copy(void)
{
	assert_sh("rm -f %s && cp --sparse=always %s %s", copy, pool_path, copy);
}

void part_of(const char *name, uint64_t *ret_start, uint64_t *ret_bytes)
{
	unsigned long long start, bytes;

	assert_sh(
		"partx -rgo NAME,START,SECTORS %s | awk '$1 == \"%s\" { print $2, $3 }'",
		pool_path, name);
	assert_int_equal(sscanf(sh_output(), "%llu %llu", &start, &bytes), 2);
	*ret_start = start * 512;
	*ret_bytes = bytes * 512;
}

void write_at(const char *path, uint64_t at, const void *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, n, (off_t)at), n);
	assert_int_equal(close(fd), 0);
}

void read_at(const char *path, uint64_t at, void *data, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, n, (off_t)at), n);
	assert_int_equal(close(fd), 0);
}

void spoil(uint64_t at, size_t n)
{
	static char buf[1 << 20];

	assert_true(n <= sizeof(buf));
	for (size_t i = 0; i < n; i++)
		buf[i] = "garbage "[i % 8];
	write_at(copy, at, buf, n);
}

static void copy_part(const char *from, uint64_t skip, const char *to, uint64_t seek,
		      uint64_t bytes)
{
	assert_sh(
		"dd if=%s of=%s bs=1M iflag=skip_bytes,count_bytes oflag=seek_bytes skip=%llu "
		"seek=%llu count=%llu conv=notrunc status=none",
		from, to, (unsigned long long)skip, (unsigned long long)seek,
		(unsigned long long)bytes);
}

void part_out(const char *disk, const char *name, const char *file)
{
	uint64_t start, bytes;

	part_of(name, &start, &bytes);
	copy_part(disk, start, file, 0, bytes);
}

void part_in(const char *disk, const char *name, const char *file)
{
	uint64_t start, bytes;

	part_of(name, &start, &bytes);
	copy_part(file, 0, disk, start, bytes);
}

/* --- Thin metadata ---------------------------------------------------------------- */

static uint64_t metadata_start(void)
{
	uint64_t start, bytes;

	part_of("kvol-metadata", &start, &bytes);
	return start;
}

static uint32_t crc32c(const unsigned char *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return crc;
}

void metadata_read(uint64_t block, unsigned char buf[METADATA_BLOCK])
{
	read_at(copy, metadata_start() + block * METADATA_BLOCK, buf, METADATA_BLOCK);
}

void metadata_write(uint64_t block, unsigned char buf[METADATA_BLOCK], uint32_t salt)
{
	uint32_t sum = crc32c(buf + 4, METADATA_BLOCK - 4) ^ salt;

	memcpy(buf, &sum, sizeof(sum));
	write_at(copy, metadata_start() + block * METADATA_BLOCK, buf, METADATA_BLOCK);
}

uint32_t metadata_salt(const unsigned char buf[METADATA_BLOCK])
{
	uint32_t sum;

	memcpy(&sum, buf, sizeof(sum));
	return sum ^ crc32c(buf + 4, METADATA_BLOCK - 4);
}

void super_read(unsigned char block[METADATA_BLOCK])
{
	metadata_read(0, block);
}

void super_write(unsigned char block[METADATA_BLOCK])
{
	metadata_write(0, block, SUPERBLOCK_SALT);
}

uint64_t super_field(unsigned offset)
{
	unsigned char block[METADATA_BLOCK];
	uint64_t value;

	super_read(block);
	memcpy(&value, block + offset, sizeof(value));
	return value;
}

void spoil_metadata(uint64_t block)
{
	spoil(metadata_start() + block * METADATA_BLOCK, METADATA_BLOCK);
}

/* --- The catalogue ---------------------------------------------------------------- */

void in_copys_catalogue(const char *command)
{
	uint64_t start, bytes;

	part_of("kvol-catalogue", &start, &bytes);
	assert_sh(
		"set -e; mkdir -p %s/mnt; mount -o loop,offset=%llu,sizelimit=%llu %s %s/mnt; "
		"cd %s/mnt; (set -e; %s) || { cd /; umount %s/mnt; exit 1; }; cd /; umount %s/mnt",
		dir, (unsigned long long)start, (unsigned long long)bytes, copy, dir, dir,
		command, dir, dir);
}
