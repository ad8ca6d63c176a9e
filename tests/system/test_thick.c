// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thick volumes: what is written to one does not meet a full pool, whatever was discarded
 * before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

#define BYTES MIB(64)

static int create_thick(const char *name, uint64_t bytes, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_THICK,
				      .fs_type = fs };

	return kvol_create(pool, name, bytes, &o, &err);
}

static uint64_t data_free(void)
{
	struct kvol_pool_info info = pool_info();

	return info.data_bytes - info.data_used;
}

/* A small one of large blocks, that is soon full. */
static int up(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = MIB(512),
				      .block_bytes = MIB(1) };

	if (dir_up(state) < 0)
		return -1;
	assert_ok(kvol_pool_format(ctx, pool_name, pool_path, &o, &err));
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	return 0;
}

/* Another volume takes all that is left, until its writes fail. */
static void fill_the_pool(void)
{
	static _Alignas(4096) char block[MIB(1)] = "x"; /* whole: it need not be zeroed */
	off_t at = 0;
	int fd;

	assert_ok(kvol_create(pool, "filler", GIB(64), NULL, &err));
	assert_ok(publish("filler", make_file("filler"), KVOL_PUBLISH_BLOCK, NULL));
	fd = open(in_dir("filler"), O_WRONLY | O_DIRECT | O_CLOEXEC);
	assert_true(fd >= 0);
	while (pwrite(fd, block, sizeof(block), at) == (ssize_t)sizeof(block))
		at += MIB(1);
	assert_int_equal(errno, ENOSPC);
	(void)close(fd);
	assert_int_equal(data_free(), 0);
	assert_int_equal(pool_info().flags & KVOL_POOL_OUT_OF_DATA, KVOL_POOL_OUT_OF_DATA);
}

static void make_room(void)
{
	assert_ok(kvol_unpublish(pool, "filler", in_dir("filler"), NULL, &err));
	assert_ok(kvol_delete(pool, "filler", 0, &err));
	assert_true(data_free() > 0);
}

static uint64_t discard_max(const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/block/%s/queue/discard_max_bytes",
		       strrchr(info_of(name).device, '/') + 1);
	return strtoull(read_file(path), NULL, 10);
}

static void a_device_can_be_written_whole(void **state)
{
	uint64_t before = data_free();

	(void)state;
	assert_ok(create_thick("v", BYTES, NULL));
	assert_int_equal(data_free(), before - BYTES);
	assert_int_equal(info_of("v").allocated, BYTES);
	assert_int_equal(info_of("v").flags, KVOL_INFO_THICK);
	assert_string_equal(info_of("v").device, "");
	assert_ok(publish("v", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("! blkdiscard %s 2>/dev/null", in_dir("dev"));
	assert_sh("cmp -n %llu %s /dev/zero", (unsigned long long)BYTES, in_dir("dev"));
	fill_the_pool();
	assert_sh("dd if=/dev/zero of=%s bs=1M count=64 oflag=direct status=none",
		  in_dir("dev"));
	assert_int_equal(info_of("v").allocated, BYTES);
	make_room();
	assert_ok(kvol_unpublish(pool, "v", in_dir("dev"), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_int_equal(data_free(), before);
}

/* All of it, again and again, with discards from all sides in between. */
static void a_file_system_can_be_filled(const char *fs, uint64_t bytes)
{
	uint64_t allocated;
	char lost[32];

	assert_sh("dmesg | grep -c 'lost async page write' || true"); /* of other tests */
	(void)snprintf(lost, sizeof(lost), "%.16s", sh_output());
	assert_ok(create_thick("v", bytes, fs));
	assert_ok(publish("v", make_dir("a"), 0, "discard"));
	assert_int_equal(discard_max("v"), 0);
	allocated = info_of("v").allocated;
	assert_int_equal(allocated, bytes);
	for (int i = 0; i < 2; i++) {
		(void)sh("dd if=/dev/zero of=%s/all bs=1M 2>/dev/null; sync -f %s/all",
			 in_dir("a"), in_dir("a"));
		assert_sh("rm %s/all && sync -f %s", in_dir("a"), in_dir("a"));
		(void)sh("fstrim %s 2>/dev/null", in_dir("a"));
		assert_int_equal(info_of("v").allocated, allocated);
		if (i == 0)
			fill_the_pool();
	}
	/* The file system's own limit, and not the pool's. */
	assert_sh("dd if=/dev/zero of=%s/most bs=1M count=%llu conv=fsync status=none",
		  in_dir("a"), (unsigned long long)(bytes / 2 / MIB(1)));
	assert_sh("dmesg | grep -c 'lost async page write' || true");
	assert_int_equal(atoi(sh_output()), atoi(lost));
	make_room();
	assert_ok(kvol_unpublish(pool, "v", in_dir("a"), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

static void file_systems_can_be_filled(void **state)
{
	(void)state;
	(void)sh("dmesg -C");
	a_file_system_can_be_filled("ext4", BYTES);
	a_file_system_can_be_filled("xfs", MIB(300));
	a_file_system_can_be_filled("btrfs", MIB(256));
}

static void it_grows_by_what_is_reserved_first(void **state)
{
	uint64_t before = data_free();

	(void)state;
	assert_ok(create_thick("v", BYTES, "ext4"));
	assert_ok(publish("v", make_dir("a"), 0, NULL));
	assert_kvol(kvol_expand(pool, "v", BYTES + before, 0, &err), -ENOSPC,
		    KVOL_R_NO_DATA_SPACE);
	assert_int_equal(info_of("v").allocated, BYTES);
	assert_ok(kvol_expand(pool, "v", 2 * BYTES, 0, &err));
	assert_int_equal(info_of("v").allocated, 2 * BYTES);
	assert_int_equal(discard_max("v"), 0);
	assert_true(fs_bytes(in_dir("a")) > BYTES + BYTES / 2);
	fill_the_pool();
	assert_sh("dd if=/dev/zero of=%s/f bs=1M count=96 conv=fsync status=none",
		  in_dir("a"));
	make_room();
	assert_ok(kvol_unpublish(pool, "v", in_dir("a"), NULL, &err));
	/* Nobody has it: the same, and once more after the pool was down. */
	assert_ok(kvol_expand(pool, "v", 3 * BYTES, 0, &err));
	assert_int_equal(info_of("v").allocated, 3 * BYTES);
	pool_cycle();
	assert_int_equal(info_of("v").allocated, 3 * BYTES);
	assert_int_equal(info_of("v").flags, KVOL_INFO_THICK);
	assert_ok(publish("v", make_dir("a"), 0, NULL));
	assert_int_equal(discard_max("v"), 0);
	assert_true(fs_bytes(in_dir("a")) > 2 * BYTES + BYTES / 2);
	assert_ok(kvol_unpublish(pool, "v", in_dir("a"), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

static void copies_are_thin(void **state)
{
	(void)state;
	assert_ok(create_thick("v", BYTES, "ext4"));
	assert_ok(publish("v", make_dir("a"), 0, NULL));
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	assert_ok(kvol_clone(pool, "s", "c", NULL, &err));
	assert_int_equal(info_of("s").flags | info_of("c").flags, 0);
	assert_ok(publish("c", make_dir("b"), 0, NULL));
	assert_true(discard_max("c") > 0);
	assert_ok(kvol_unpublish(pool, "c", in_dir("b"), NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", in_dir("a"), NULL, &err));
	assert_ok(kvol_delete(pool, "c", 0, &err));
	assert_ok(kvol_delete(pool, "s", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

static void what_does_not_fit_is_refused(void **state)
{
	uint64_t before = data_free();

	(void)state;
	assert_kvol(create_thick("v", before, NULL), -ENOSPC, KVOL_R_NO_DATA_SPACE);
	assert_int_equal(data_free(), before);
	assert_ok(kvol_create(pool, "v", MIB(1), NULL, &err));
	assert_kvol(create_thick("v", MIB(1), NULL), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_can_be_written_whole),
		cmocka_unit_test(file_systems_can_be_filled),
		cmocka_unit_test(it_grows_by_what_is_reserved_first),
		cmocka_unit_test(copies_are_thin),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("thick", tests, up, pool_down);
}
