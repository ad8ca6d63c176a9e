// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How long a call may take when it is unlucky: median, 99th percentile and maximum of
 * each verb in a pool where nothing else goes on, where fio writes into another volume,
 * and where another handle deletes large volumes all the time.
 *
 * usage: tail [-n REPETITIONS] DIR DISK
 *
 * Beside the verbs: for how long a snapshot keeps a writer in its volume waiting, against
 * the floor, a bare suspend (with freezing the file system) and resume of the same device;
 * and writing a block that a volume did not have, which wants the pool's metadata as a
 * delete does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dm.h"
#include "tail.h"
#include "verbs.h"

#define MIB	   (UINT64_C(1) << 20)
#define REPEAT_MAX 1000
#define LARGE	   (2048 * MIB) /* 32,768 blocks: 128 slices of a delete */
#define BLOCK	   ((size_t)64 << 10)

enum row {
	CREATE,
	PUBLISH,
	SNAPSHOT,
	SNAPSHOT_BUSY, /* of a published volume that is written to */
	FREEZE,	       /* ... what its writer waited */
	FLOOR,	       /* ... and waits for a bare suspend and resume */
	CLONE,
	EXPAND,
	STAT,
	LIST,
	UNPUBLISH,
	DELETE,
	NEW_BLOCK,
	N_ROWS,
};

static const char *const titles[N_ROWS] = {
	[CREATE] = "create, ext4",
	[PUBLISH] = "publish it",
	[SNAPSHOT] = "snapshot, inactive",
	[SNAPSHOT_BUSY] = "snapshot, published",
	[FREEZE] = "... its writer waits",
	[FLOOR] = "... for a bare suspend",
	[CLONE] = "clone",
	[EXPAND] = "expand",
	[STAT] = "stat",
	[LIST] = "list",
	[UNPUBLISH] = "unpublish",
	[DELETE] = "delete",
	[NEW_BLOCK] = "write a new block",
};

static struct kv_dm dm;
static const char *disk;
static char busy[256], other[256], target[256], raw[256], busy_uuid[129];
static double ms[N_ROWS][REPEAT_MAX];
static int repeat = 200, raw_fd;
static off_t raw_at;

/* --- Verbs ------------------------------------------------------------------------ */

static void clone(const char *of, const char *name)
{
	struct kvol_error e;

	ok(kvol_clone(pool, of, name, NULL, &e), &e);
}

static void expand(const char *name, uint64_t bytes)
{
	struct kvol_error e;

	ok(kvol_expand(pool, name, bytes, 0, &e), &e);
}

static void stat_one(const char *name, struct kvol_info *info)
{
	struct kvol_error e;

	info->size = sizeof(*info);
	ok(kvol_stat(pool, name, info, &e), &e);
}

static void list_all(void)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	struct kvol_error e;

	ok(kvol_list(pool, 0, &iter, &e), &e);
	while (kvol_iter_next(iter, &info) == 1)
		;
	kvol_iter_free(iter);
}

static void suspend_and_resume(void)
{
	int r = kv_dm_suspend(&dm, busy_uuid, KV_DM_LOCKFS | KV_DM_FLUSH);

	if (r == 0)
		r = kv_dm_resume(&dm, busy_uuid);
	if (r < 0)
		die("suspend: %s", strerror(-r));
}

static void write_new_block(void)
{
	static _Alignas(4096) char data[BLOCK];

	if (pwrite(raw_fd, data, BLOCK, raw_at) != (ssize_t)BLOCK)
		die("%s: %s", raw, strerror(errno));
	raw_at += (off_t)BLOCK;
}

/* --- Measuring -------------------------------------------------------------------- */

#define TIMED(row, call)                            \
	do {                                        \
		double from_ = now_ms();            \
		call;                               \
		ms[row][i] = now_ms() - from_;      \
	} while (0)

static void one_round(int i)
{
	struct kvol_info info;

	TIMED(CREATE, create("x", 64 * MIB, "ext4"));
	TIMED(PUBLISH, publish("x", target, 0));
	TIMED(STAT, stat_one("x", &info));
	TIMED(LIST, list_all());
	TIMED(UNPUBLISH, unpublish("x", target));
	TIMED(SNAPSHOT, snapshot("x", "x-snap"));
	TIMED(CLONE, clone("x-snap", "x-clone"));
	TIMED(EXPAND, expand("x-clone", 128 * MIB));
	TIMED(DELETE, delete ("x-clone"));
	delete ("x-snap");
	delete ("x");
	probe_reset();
	TIMED(SNAPSHOT_BUSY, snapshot("busy", "busy-snap"));
	ms[FREEZE][i] = probe_longest_ms();
	delete ("busy-snap");
	probe_reset();
	suspend_and_resume();
	ms[FLOOR][i] = probe_longest_ms();
	TIMED(NEW_BLOCK, write_new_block());
}

static void measure(const char *during)
{
	double floor;

	for (int i = 0; i < repeat; i++)
		one_round(i);
	printf("\n%s: %d of each, ms\n%-24s %9s %9s %9s\n", during, repeat, "", "median",
	       "99 %", "maximum");
	for (int row = 0; row < N_ROWS; row++)
		printf("%-24s %9.2f %9.2f %9.2f\n", titles[row], median(ms[row], repeat),
		       percentile(ms[row], repeat, 99), percentile(ms[row], repeat, 100));
	floor = median(ms[FLOOR], repeat);
	printf("the writer's wait, 99 %%, over the median of the floor: %.2f; over its 99 %%:"
	       " %.2f\n",
	       percentile(ms[FREEZE], repeat, 99) / floor,
	       percentile(ms[FREEZE], repeat, 99) / percentile(ms[FLOOR], repeat, 99));
	fflush(stdout);
}

/* --- The scene -------------------------------------------------------------------- */

static void find_uuid(const char *name, char ret[129])
{
	struct kvol_info info;
	char path[64];
	FILE *f;

	stat_one(name, &info);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/uuid", info.dev_major,
		 info.dev_minor);
	f = fopen(path, "re");
	if (!f || !fgets(ret, 129, f))
		die("%s: %s", path, strerror(errno));
	ret[strcspn(ret, "\n")] = '\0';
	fclose(f);
}

static void fill(const char *where, uint64_t bytes)
{
	static _Alignas(4096) char data[MIB];
	int fd = open(where, O_WRONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", where, strerror(errno));
	memset(data, 'd', sizeof(data));
	for (uint64_t i = 0; i < bytes / sizeof(data); i++)
		if (write(fd, data, sizeof(data)) != (ssize_t)sizeof(data))
			die("%s: %s", where, strerror(errno));
	close(fd);
}

static void set_up(const char *dir)
{
	struct kvol_format_opts o = { .size = sizeof(o) };
	struct kvol_error e;
	char file[300];

	snprintf(busy, sizeof(busy), "%s/busy", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	snprintf(target, sizeof(target), "%s/target", dir);
	snprintf(raw, sizeof(raw), "%s/raw", dir);
	make_dir(busy);
	make_dir(other);
	make_dir(target);
	make_file(raw);
	ok(kvol_new(NULL, &ctx, &e), &e);
	ok(kvol_pool_format(ctx, "tail", disk, &o, &e), &e);
	ok(kvol_pool_open(ctx, disk, NULL, &pool, &e), &e);
	create("large", LARGE, NULL);
	publish("large", raw, KVOL_PUBLISH_BLOCK);
	fill(raw, LARGE);
	unpublish("large", raw);
	create("raw", 3 * REPEAT_MAX * BLOCK, NULL);
	publish("raw", raw, KVOL_PUBLISH_BLOCK);
	raw_fd = open(raw, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (raw_fd < 0)
		die("%s: %s", raw, strerror(errno));
	create("busy", 2048 * MIB, "ext4");
	publish("busy", busy, 0);
	create("other", 2048 * MIB, "ext4");
	publish("other", other, 0);
	find_uuid("busy", busy_uuid);
	if (kv_dm_open(&dm) < 0)
		die("device-mapper");
	snprintf(file, sizeof(file), "%s/probe", busy);
	probe_start(file);
}

static void tear_down(void)
{
	struct kvol_error e;

	probe_end();
	close(raw_fd);
	unpublish("raw", raw);
	unpublish("busy", busy);
	unpublish("other", other);
	kv_dm_close(&dm);
	ok(kvol_pool_deactivate(pool, &e), &e);
	kvol_pool_close(pool);
	kvol_free(ctx);
}

int main(int argc, char **argv)
{
	double delete_ms;
	unsigned n;
	int option;

	while ((option = getopt(argc, argv, "n:")) != -1)
		if (option == 'n')
			repeat = atoi(optarg);
	if (argc - optind != 2 || repeat < 1 || repeat > REPEAT_MAX) {
		fprintf(stderr, "usage: tail [-n REPETITIONS] DIR DISK\n");
		return 2;
	}
	disk = argv[optind + 1];
	set_up(argv[optind]);
	measure("nothing else goes on");
	writer_start(other);
	measure("fio writes into another volume");
	writer_end();
	deletions_start(ctx, disk, "large");
	measure("another handle deletes volumes of 2 GiB");
	deletions_end(&delete_ms, &n);
	printf("%u such deletes, %.0f ms each\n", n, delete_ms);
	tear_down();
	return 0;
}
