// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Space comes back: from deletes large and small, from fstrim in a volume, in the pool and
 * in the file that it lies in; and while a large volume goes, others get new blocks.
 *
 * KVOL_TEST_LONG=1: 10,000 rounds instead of some.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#define ROUNDS	    60
#define ROUNDS_LONG 10000
#define LARGE	    GIB(2) /* twice what a message alone deletes */

static uint64_t data_used(void)
{
	return pool_info().data_used;
}

/* What the pool's file takes of the disk below. */
static uint64_t file_used(void)
{
	struct stat st;

	assert_sh("sync");
	assert_int_equal(stat(pool_path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static void rounds_leave_nothing(void **state)
{
	int rounds = getenv("KVOL_TEST_LONG") ? ROUNDS_LONG : ROUNDS;
	uint64_t data, metadata;

	(void)state;
	assert_ok(kvol_template_make(pool, "ext4", MIB(64), &err));
	pool_cycle();
	data = data_used();
	metadata = pool_info().metadata_used;
	for (int i = 0; i < rounds; i++) {
		const char *fs = i % 3 ? "ext4" : NULL;

		assert_ok(create_fs("v", MIB(64), fs));
		assert_ok(publish("v", fs ? make_dir("a") : make_file("f"),
				  fs ? 0 : KVOL_PUBLISH_BLOCK, NULL));
		write_file(in_dir(fs ? "a/file" : "f"), "something");
		if (i % 5 == 0)
			assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
		assert_ok(kvol_unpublish(pool, "v", in_dir(fs ? "a" : "f"), NULL, &err));
		assert_ok(kvol_delete(pool, "v", 0, &err));
		assert_ok(kvol_delete(pool, "s", 0, &err));
	}
	pool_cycle();
	printf("# figure rounds of create, write, delete: %d\n", rounds);
	assert_int_equal(data_used(), data);
	/* Trees that were rebalanced may be a block or two larger. */
	assert_true(pool_info().metadata_used <= metadata + 16 * 4096);
}

static void trimmed_file_system_gives_its_space_back(void **state)
{
	uint64_t before, with;

	(void)state;
	assert_ok(create_fs("v", MIB(300), "ext4"));
	assert_ok(publish("v", make_dir("a"), 0, NULL));
	assert_sh("sync -f %s", in_dir("a"));
	before = data_used();
	assert_sh("dd if=/dev/urandom of=%s bs=1M count=128 conv=fsync status=none",
		  in_dir("a/bulk"));
	with = data_used();
	assert_true(with >= before + MIB(128));
	assert_sh("rm %s && sync -f %s && fstrim %s", in_dir("a/bulk"), in_dir("a"),
		  in_dir("a"));
	pause_ms(1500); /* the pool tells as of its last commit */
	assert_true(data_used() < with - MIB(120));
	assert_ok(kvol_unpublish(pool, "v", in_dir("a"), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

static void fill(const char *name, uint64_t bytes)
{
	assert_ok(kvol_create(pool, name, bytes, NULL, &err));
	assert_ok(publish(name, make_file(name), KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("dd if=/dev/zero of=%s bs=1M count=%llu oflag=direct conv=notrunc,nocreat "
		  "status=none",
		  in_dir("%s", name), (unsigned long long)(bytes / MIB(1)));
	assert_ok(kvol_unpublish(pool, name, in_dir("%s", name), NULL, &err));
}

struct writer {
	atomic_bool stop;
	uint64_t longest_ns, n;
	int fd;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Each write wants a block of the pool. */
static void *take_blocks(void *arg)
{
	static _Alignas(4096) char page[4096];
	struct writer *w = arg;

	while (!atomic_load(&w->stop)) {
		uint64_t from = now(), took;

		if (pwrite(w->fd, page, sizeof(page), (off_t)(w->n * KIB(64))) < 0)
			break;
		took = now() - from;
		if (took > w->longest_ns)
			w->longest_ns = took;
		w->n++;
	}
	return NULL;
}

/* Most of the pool's file is the large volume's; the disk below gets it back, too. */
static void large_volume_goes_in_slices(void **state)
{
	struct writer w = { .n = 0 };
	uint64_t before, file;
	pthread_t id;

	(void)state;
	before = data_used();
	fill("large", LARGE);
	file = file_used();
	assert_ok(kvol_create(pool, "other", GIB(64), NULL, &err));
	assert_ok(publish("other", make_file("other"), KVOL_PUBLISH_BLOCK, NULL));
	w.fd = open(in_dir("other"), O_RDWR | O_DIRECT | O_CLOEXEC);
	assert_true(w.fd >= 0);
	assert_int_equal(pthread_create(&id, NULL, take_blocks, &w), 0);
	assert_ok(kvol_delete(pool, "large", 0, &err));
	atomic_store(&w.stop, true);
	(void)pthread_join(id, NULL);
	(void)close(w.fd);
	printf("# figure longest wait for a new block while %llu MiB were deleted, ms: %.1f "
	       "of %llu\n",
	       (unsigned long long)(LARGE / MIB(1)), (double)w.longest_ns / 1e6,
	       (unsigned long long)w.n);
	assert_true(w.n > 0);
	assert_ok(kvol_unpublish(pool, "other", in_dir("other"), NULL, &err));
	assert_ok(kvol_delete(pool, "other", 0, &err));
	pool_cycle();
	assert_int_equal(data_used(), before);
	assert_true(file_used() < file - LARGE / 2);
}


int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_leave_nothing),
		cmocka_unit_test(trimmed_file_system_gives_its_space_back),
		cmocka_unit_test(large_volume_goes_in_slices),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("space", tests, pool_up, pool_down);
}
