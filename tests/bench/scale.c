// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each verb costs in a pool of 10, 100, ... 100,000 volumes and snapshots, by the
 * public header alone. From 1,000 on, 1,000 of them are published as block devices.
 *
 * usage: scale [-n REPETITIONS] [-m MOST] [-c COPIES] CSV DIR DISK CONTROL-DISK
 *
 * A second pool keeps 10 volumes all along, and each repetition is done in both, so that
 * what becomes of the machine meanwhile is not taken for what the number of volumes costs.
 * At the end come a chain of COPIES snapshots, each of the one before, and as many clones
 * of one volume.
 *
 * CSV: what,volumes,median,control,unit. A line is written as soon as it is known.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <kvol/kvol.h>
#include <kvol/template.h>

#define FEW	  10 /* the first size, and the control's for good */
#define ACTIVE	  1000
#define THREADS	  4
#define BYTES	  (UINT64_C(64) << 20)
#define REPEAT_MAX 200
#define WINDOW	  100 /* of a chain, at its beginning and at its end */

enum op {
	CREATE,
	CREATE_FS,
	CREATE_LIMITED, /* under a policy of all kinds of limits */
	SNAPSHOT,
	SNAPSHOT_BUSY, /* of a published one */
	CLONE,
	PUBLISH,
	UNPUBLISH,
	EXPAND,
	STAT,
	STAT_ACTIVE,
	POOL_STAT,
	LABEL,
	DELETE,
	OPEN_BESIDE, /* while another handle is open */
	CLOSE_BESIDE,
	N_OPS,
};

static const char *const titles[N_OPS] = {
	[CREATE] = "create",
	[CREATE_FS] = "create_ext4",
	[CREATE_LIMITED] = "create_limited",
	[SNAPSHOT] = "snapshot",
	[SNAPSHOT_BUSY] = "snapshot_published",
	[CLONE] = "clone",
	[PUBLISH] = "publish",
	[UNPUBLISH] = "unpublish",
	[EXPAND] = "expand",
	[STAT] = "stat",
	[STAT_ACTIVE] = "stat_active",
	[POOL_STAT] = "pool_stat",
	[LABEL] = "label",
	[DELETE] = "delete",
	[OPEN_BESIDE] = "open_beside",
	[CLOSE_BESIDE] = "close_beside",
};

/* One of the two pools. */
struct subject {
	const char *name, *disk;
	char dir[128]; /* of its targets */
	struct kvol_pool *pool;
	long n, active;
	double ms[N_OPS][REPEAT_MAX];
};

static struct kvol_ctx *ctx;
static struct subject big = { .name = "big" }, control = { .name = "control" };
static FILE *csv;
static int repeat = 21;

/* --- Helpers --- */

static void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("scale: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void ok(int r, const struct kvol_error *e)
{
	if (r < 0)
		die("%s", e->msg);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static long resident_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmRSS:", 6))
			kib = atol(line + 6);
	if (f)
		fclose(f);
	return kib;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* of_control negative: there is none. */
static void tell(const char *what, long volumes, double value, double of_control,
		 const char *unit)
{
	char other[32] = "";

	if (of_control >= 0)
		snprintf(other, sizeof(other), "%.4f", of_control);
	fprintf(csv, "%s,%ld,%.4f,%s,%s\n", what, volumes, value, other, unit);
	fflush(csv);
	printf("%-20s %7ld %12.3f %12s %s\n", what, volumes, value, other, unit);
	fflush(stdout);
}

static void make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

/* --- Verbs --- */

static void create(struct subject *s, const char *name, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs };
	struct kvol_error e;

	ok(kvol_create(s->pool, name, BYTES, &o, &e), &e);
}

static void snapshot(struct subject *s, const char *of, const char *name)
{
	struct kvol_error e;

	ok(kvol_snapshot(s->pool, of, name, NULL, &e), &e);
}

static void copy(struct subject *s, const char *of, const char *name)
{
	struct kvol_error e;

	ok(kvol_clone(s->pool, of, name, NULL, &e), &e);
}

static void delete (struct subject *s, const char *name)
{
	struct kvol_error e;

	ok(kvol_delete(s->pool, name, 0, &e), &e);
}

static void publish(struct subject *s, const char *name, const char *target, uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = KVOL_PUBLISH_BLOCK | flags };
	struct kvol_error e;

	ok(kvol_publish(s->pool, name, target, &o, &e), &e);
}

static void unpublish(struct subject *s, const char *name, const char *target)
{
	struct kvol_error e;

	ok(kvol_unpublish(s->pool, name, target, NULL, &e), &e);
}

static void set_limits(struct subject *s, bool on)
{
	struct kvol_policy_opts o = {
		.size = sizeof(o),
		.flags = KVOL_SET_MAX_VOLUMES | KVOL_SET_MAX_PUBLISHED |
			 KVOL_SET_OVERCOMMIT,
		.max_volumes = on ? 200 : 0,
		.max_published = on ? 100000 : 0,
		.overcommit = on ? KVOL_OVERCOMMIT_MAX : 0,
	};
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error e;

	ok(kvol_pool_stat(s->pool, &info, &e), &e);
	if (on)
		o.max_volumes += info.n_volumes + info.n_snapshots;
	ok(kvol_pool_set(s->pool, &o, &e), &e);
}

static struct kvol_pool *open_pool(const char *disk)
{
	struct kvol_pool *pool;
	struct kvol_error e;

	ok(kvol_pool_open(ctx, disk, NULL, &pool, &e), &e);
	return pool;
}

/* --- Filling --- */

/* Names in an order of their own: in that of their making all would go to the index's
 * last page. Each second one is a snapshot of the one before. */
static void name_of(long i, char ret[32])
{
	uint32_t mixed = (uint32_t)(i / 2) * 2654435761u;

	snprintf(ret, 32, "pvc-%08" PRIx32 "%s", mixed, i % 2 ? "-snap" : "");
}

struct fill {
	struct subject *s;
	atomic_long next;
	long end;
};

static void *fill_some(void *arg)
{
	struct fill *fill = arg;
	char name[32], source[32];
	long i;

	while ((i = atomic_fetch_add(&fill->next, 2)) < fill->end) {
		name_of(i, source);
		create(fill->s, source, NULL);
		name_of(i + 1, name);
		snapshot(fill->s, source, name);
	}
	return NULL;
}

static void fill(struct subject *s, long size)
{
	struct fill fill = { .s = s, .next = s->n, .end = size };
	pthread_t threads[THREADS];
	double from = now_ms();

	for (int t = 0; t < THREADS; t++)
		if (pthread_create(&threads[t], NULL, fill_some, &fill))
			die("pthread_create");
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	if (s == &big && size > s->n)
		tell("fill", size, (now_ms() - from) / (double)(size - s->n), -1,
		     "ms/volume");
	s->n = size;
}

static void target_of(const struct subject *s, long i, char ret[256])
{
	snprintf(ret, 256, "%s/%ld", s->dir, i);
}

/* So many of the first are published from here on. */
static void activate(struct subject *s, long n)
{
	char name[32], target[256];

	for (; s->active > n; s->active--) {
		name_of(s->active - 1, name);
		target_of(s, s->active - 1, target);
		unpublish(s, name, target);
	}
	for (; s->active < n; s->active++) {
		name_of(s->active, name);
		target_of(s, s->active, target);
		make_file(target);
		publish(s, name, target,
			s->active % 2 ? KVOL_PUBLISH_READONLY : 0);
	}
}

/* --- Measuring --- */

#define TIMED(s, op, i, call)                                  \
	do {                                                    \
		double from_ = now_ms();                        \
		call;                                           \
		(s)->ms[op][i] = now_ms() - from_;              \
	} while (0)

static void stat_any(struct subject *s, long i)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_error e;
	char name[32] = "filled-snap";

	if (i >= 0)
		name_of(i, name);
	ok(kvol_stat(s->pool, name, &info, &e), &e);
}

static void stat_pool(struct subject *s)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error e;

	ok(kvol_pool_stat(s->pool, &info, &e), &e);
}

static void label(struct subject *s, const char *name)
{
	const struct kvol_label one = { .key = "owner", .value = "somebody" };
	struct kvol_error e;

	ok(kvol_label_set(s->pool, name, &one, 1, &e), &e);
}

static void expand(struct subject *s, const char *name)
{
	struct kvol_error e;

	ok(kvol_expand(s->pool, name, 2 * BYTES, 0, &e), &e);
}

static void beside(struct subject *s, int i)
{
	struct kvol_pool *other;

	TIMED(s, OPEN_BESIDE, i, other = open_pool(s->disk));
	TIMED(s, CLOSE_BESIDE, i, kvol_pool_close(other));
}

/* Each verb once, on volumes of its own, which are gone afterwards. */
static void round_of(struct subject *s, int i)
{
	/* Some volume that is not active, if there is one. */
	long idle = s->n > s->active ? s->active + i * 7919L % (s->n - s->active) : -1;
	char target[256];

	target_of(s, 999999, target);
	TIMED(s, CREATE, i, create(s, "x", NULL));
	TIMED(s, CREATE_FS, i, create(s, "fs", "ext4"));
	TIMED(s, SNAPSHOT, i, snapshot(s, "x", "x-snap"));
	TIMED(s, CLONE, i, copy(s, "x-snap", "x-clone"));
	TIMED(s, EXPAND, i, expand(s, "x-clone"));
	TIMED(s, LABEL, i, label(s, "x-clone"));
	TIMED(s, PUBLISH, i, publish(s, "x", target, 0));
	TIMED(s, SNAPSHOT_BUSY, i, snapshot(s, "x", "x-busy"));
	TIMED(s, UNPUBLISH, i, unpublish(s, "x", target));
	TIMED(s, STAT, i, stat_any(s, idle));
	TIMED(s, STAT_ACTIVE, i, stat_any(s, i * 7919L % s->active));
	TIMED(s, POOL_STAT, i, stat_pool(s));
	TIMED(s, DELETE, i, delete (s, "x"));
	delete (s, "x-clone");
	delete (s, "x-snap");
	delete (s, "x-busy");
	delete (s, "fs");
	set_limits(s, true);
	TIMED(s, CREATE_LIMITED, i, create(s, "limited", NULL));
	delete (s, "limited");
	set_limits(s, false);
	beside(s, i);
}

/* Nobody else has it open: down, and up again from its disk. */
static double open_cold(struct subject *s)
{
	struct kvol_error e;
	double from;

	ok(kvol_pool_deactivate(s->pool, &e), &e);
	kvol_pool_close(s->pool);
	from = now_ms();
	s->pool = open_pool(s->disk);
	return now_ms() - from;
}

static void measure_cold(long size)
{
	double ms[2][5];

	for (int i = 0; i < 5; i++) {
		ms[0][i] = open_cold(&big);
		ms[1][i] = open_cold(&control);
	}
	tell("open_cold", size, median(ms[0], 5), median(ms[1], 5), "ms");
}

static void measure_list(long size)
{
	struct kvol_info info = { .size = sizeof(info) };
	long before = resident_kib(), most = before, now, n = 0;
	double from = now_ms(), first;
	struct kvol_iter *iter;
	struct kvol_error e;
	int r;

	ok(kvol_list(big.pool, 0, &iter, &e), &e);
	first = now_ms() - from;
	while ((r = kvol_iter_next(iter, &info)) == 1) {
		n++;
		now = n % 500 ? 0 : resident_kib();
		most = now > most ? now : most;
	}
	now = resident_kib();
	most = now > most ? now : most;
	kvol_iter_free(iter);
	if (r < 0 || n < size)
		die("a listing of %ld volumes ended after %ld: %d", size, n, r);
	tell("list_first", size, first, -1, "ms");
	tell("list_item", size, (now_ms() - from) / (double)n, -1, "ms");
	tell("list_memory", size, (double)(most - before), -1, "KiB");
	tell("resident", size, (double)most, -1, "KiB");
}

static void measure_usage(long size)
{
	struct kvol_usage_info usage = { .size = sizeof(usage) };
	struct subject *both[] = { &big, &control };
	double ms[2][5], from;
	struct kvol_error e;

	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 2; k++) {
			from = now_ms();
			ok(kvol_usage(both[k]->pool, "filled", &usage, &e), &e);
			ms[k][i] = now_ms() - from;
		}
	}
	tell("usage", size, median(ms[0], 5), median(ms[1], 5), "ms");
}

static void measure_pool(long size)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error e;

	ok(kvol_pool_stat(big.pool, &info, &e), &e);
	tell("metadata", size, (double)info.metadata_used, -1, "bytes");
}

static void measure(long size)
{
	activate(&big, 0);
	activate(&control, 0);
	fill(&big, size);
	measure_cold(size);
	activate(&big, size < ACTIVE ? size / FEW : ACTIVE);
	activate(&control, 1);
	tell("active", size, (double)big.active, (double)control.active, "volumes");
	for (int i = 0; i < repeat + 2; i++) {
		/* The first two warm up. */
		round_of(i % 2 ? &big : &control, i < 2 ? 0 : i - 2);
		round_of(i % 2 ? &control : &big, i < 2 ? 0 : i - 2);
	}
	for (int op = 0; op < N_OPS; op++)
		tell(titles[op], size, median(big.ms[op], repeat),
		     median(control.ms[op], repeat), "ms");
	measure_usage(size);
	measure_list(size);
	measure_pool(size);
}

/* --- A chain, and a fan --- */

/* Medians of the first and of the last WINDOW steps. */
static void measure_copies(const char *what, long n, bool chain)
{
	double first[WINDOW], last[WINDOW], from, all = now_ms();
	char name[32], source[32] = "filled", title[48];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s-%ld", what, i);
		from = now_ms();
		if (chain)
			snapshot(&big, source, name);
		else
			copy(&big, source, name);
		if (i < WINDOW)
			first[i] = now_ms() - from;
		last[i % WINDOW] = now_ms() - from;
		if (chain)
			memcpy(source, name, sizeof(source));
	}
	snprintf(title, sizeof(title), "%s_all", what);
	tell(title, n, (now_ms() - all) / (double)n, -1, "ms");
	snprintf(title, sizeof(title), "%s_first", what);
	tell(title, n, median(first, WINDOW), -1, "ms");
	snprintf(title, sizeof(title), "%s_last", what);
	tell(title, n, median(last, WINDOW), -1, "ms");

	/* What is at its end is a volume like any other. */
	snprintf(title, sizeof(title), "%s_delete", what);
	from = now_ms();
	delete (&big, name);
	tell(title, n, now_ms() - from, -1, "ms");
	measure_usage(n);
	tell("open_cold", n, open_cold(&big), -1, "ms");
}

/* A volume with something in it: 8 MiB, 128 blocks. */
static void make_filled(struct subject *s)
{
	static char data[1 << 20];
	char target[256];
	int fd;

	target_of(s, 999999, target);
	make_file(target);
	create(s, "filled", NULL);
	publish(s, "filled", target, 0);
	memset(data, 'd', sizeof(data));
	fd = open(target, O_WRONLY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < 8; i++)
		if (write(fd, data, sizeof(data)) != sizeof(data))
			die("%s: %s", target, strerror(errno));
	if (fd < 0 || fsync(fd) < 0)
		die("%s: %s", target, strerror(errno));
	close(fd);
	unpublish(s, "filled", target);
	snapshot(s, "filled", "filled-snap");
}

static void start(struct subject *s, const char *dir, const char *disk, uint64_t most)
{
	struct kvol_format_opts o = { .size = sizeof(o), .max_volumes = most };
	struct kvol_error e;

	s->disk = disk;
	snprintf(s->dir, sizeof(s->dir), "%s/%s", dir, s->name);
	if (mkdir(s->dir, 0755) < 0)
		die("%s: %s", s->dir, strerror(errno));
	ok(kvol_pool_format(ctx, s->name, disk, &o, &e), &e);
	s->pool = open_pool(disk);
	make_filled(s);
	fill(s, FEW);
}

int main(int argc, char **argv)
{
	long most = 100000, copies = 10000;
	struct kvol_error e;
	int option;

	while ((option = getopt(argc, argv, "n:m:c:")) != -1) {
		if (option == 'n')
			repeat = atoi(optarg);
		else if (option == 'm')
			most = atol(optarg);
		else if (option == 'c')
			copies = atol(optarg);
		else
			return 2;
	}
	if (argc - optind != 4 || repeat < 1 || repeat > REPEAT_MAX ||
	    (copies && copies < WINDOW)) {
		fprintf(stderr, "usage: scale [-n REPETITIONS] [-m MOST] [-c COPIES] CSV DIR"
				" DISK CONTROL-DISK\n");
		return 2;
	}
	csv = fopen(argv[optind], "we");
	if (!csv)
		die("%s: %s", argv[optind], strerror(errno));
	fprintf(csv, "what,volumes,median,control,unit\n");
	ok(kvol_new(NULL, &ctx, &e), &e);
	start(&big, argv[optind + 1], argv[optind + 2], (uint64_t)(most + 2 * copies + 1000));
	start(&control, argv[optind + 1], argv[optind + 3], (uint64_t)(most + 2 * copies + 1000));
	for (long size = FEW; size <= most; size *= 10)
		measure(size);
	activate(&big, 0);
	activate(&control, 0);
	if (copies) {
		measure_copies("chain", copies, true);
		measure_copies("fan", copies, false);
	}
	ok(kvol_pool_deactivate(big.pool, &e), &e);
	kvol_pool_close(big.pool);
	ok(kvol_pool_deactivate(control.pool, &e), &e);
	kvol_pool_close(control.pool);
	kvol_free(ctx);
	return fclose(csv) ? 1 : 0;
}
