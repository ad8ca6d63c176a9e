// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each verb costs in a pool of 10, 100, ... 100,000 volumes and snapshots, by the
 * public header alone. From 1,000 on, 1,000 of them are published as block devices.
 *
 * usage: scale [-n REPETITIONS] [-s SIZE] [-m MOST] [-c COPIES] CSV DIR DISK CONTROL-DISK
 *
 * A second pool keeps 10 volumes all along, and each repetition is done in both, so that
 * what becomes of the machine meanwhile is not taken for what the number of volumes costs.
 * At the end come a chain of COPIES snapshots, each of the one before, and as many clones
 * of one volume. With -s it begins with that size; in pools that an earlier run with the
 * same options has left, all that is there already takes but a look.
 *
 * CSV: what,volumes,median,control,unit. A line is written as soon as it is known.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scale.h"

#define FEW	  10 /* the first size, and the control's for good */
#define ACTIVE	  1000
#define WINDOW	  100 /* of a chain, at its beginning and at its end */

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

static struct subject big = { .name = "big" }, control = { .name = "control" };
static FILE *csv;
static int repeat = 21;

/* --- Helpers ---------------------------------------------------------------------- */

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

/* --- Measuring -------------------------------------------------------------------- */

#define TIMED(s, op, i, call)                                  \
	do {                                                    \
		double from_ = now_ms();                        \
		call;                                           \
		(s)->ms[op][i] = now_ms() - from_;              \
	} while (0)

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

	target_of(s, SPARE_TARGET, target);
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
	TIMED(s, STAT_ACTIVE, i, stat_any(s, 0));
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
	struct subject *both[] = { &big, &control };
	double ms[2][5], from;

	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < 2; k++) {
			from = now_ms();
			tell_usage(both[k]);
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

static void fill_timed(long size)
{
	double from = now_ms();
	long n = size - big.n;

	fill(&big, size);
	if (n > 0)
		tell("fill", size, (now_ms() - from) / (double)n, -1, "ms/volume");
}

static void measure(long size)
{
	activate(&big, 0);
	activate(&control, 0);
	fill_timed(size);
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

/* --- A chain, and a fan ----------------------------------------------------------- */

/* Medians of the first and of the last WINDOW steps; what comes to stand at the end is
 * looked at as any other volume is. */
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
	snprintf(title, sizeof(title), "%s_delete", what);
	from = now_ms();
	delete (&big, name);
	tell(title, n, now_ms() - from, -1, "ms");
	from = now_ms();
	tell_usage(&big);
	snprintf(title, sizeof(title), "%s_usage", what);
	tell(title, n, now_ms() - from, -1, "ms");
	snprintf(title, sizeof(title), "%s_open_cold", what);
	tell(title, n, open_cold(&big), -1, "ms");
}

int main(int argc, char **argv)
{
	long first = FEW, most = 100000, copies = 10000;
	struct kvol_error e;
	int option;

	while ((option = getopt(argc, argv, "n:s:m:c:")) != -1) {
		if (option == 'n')
			repeat = atoi(optarg);
		else if (option == 's')
			first = atol(optarg);
		else if (option == 'm')
			most = atol(optarg);
		else if (option == 'c')
			copies = atol(optarg);
		else
			return 2;
	}
	if (argc - optind != 4 || repeat < 1 || repeat > REPEAT_MAX || first < FEW ||
	    (copies && copies < WINDOW)) {
		fprintf(stderr, "usage: scale [-n REPETITIONS] [-s SIZE] [-m MOST]"
				" [-c COPIES] CSV DIR DISK CONTROL-DISK\n");
		return 2;
	}
	csv = fopen(argv[optind], "we");
	if (!csv)
		die("%s: %s", argv[optind], strerror(errno));
	fprintf(csv, "what,volumes,median,control,unit\n");
	ok(kvol_new(NULL, &ctx, &e), &e);
	start(&big, argv[optind + 1], argv[optind + 2], (uint64_t)(most + 2 * copies + 1000));
	start(&control, argv[optind + 1], argv[optind + 3], (uint64_t)(most + 2 * copies + 1000));
	fill(&control, FEW);
	for (long size = first; size <= most; size *= 10)
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
