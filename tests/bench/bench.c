// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The benchmark: kvol, the bare kernel calls that its operations cannot do without, LVM,
 * and containerd's devmapper snapshotter, in one run, on equal disks, taking turns at every
 * repetition so that a slow moment hits all of them.
 *
 * usage: bench [-c|-o] [-n REPETITIONS] [-j JSON-FILE] DIR KVOL-DISK BARE-DISK [LVM-DISK
 *	  [CONTAINERD-DISK]]
 *
 * -c: instead of all that, life cycles and snapshots by 1 to 16 threads and 1 to 8 processes.
 *
 * What counts are the ratios of the medians within one run; the milliseconds belong to
 * the machine. The bounds are those that the project set itself; a row that misses its
 * bound says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "luks.h"
#include "measure.h"

#define WARM_UP	   5
#define ROUNDS	   7
#define MAX_REPEAT 1000

/* Before a freeze: one that follows another closely finds its gates still open, or the
 * grace periods under way that it would wait for. */
#define PAUSE_US 100000

extern char **environ;

static const struct contestant *const all[] = { &kvol, &bare, &lvm, &containerd };
#define N_ALL	(sizeof(all) / sizeof(all[0]))
#define N_LEAST 2u /* the others take nearly all the time: they may be left out */
#define LVM	2u
#define CONTAINERD 3u

static unsigned n_run; /* how many of them run */

static const struct {
	const char *name, *title;
	double over_bare, under_lvm; /* bounds; 0: none */
} ops[N_OPS] = {
	[OP_SNAPSHOT] = { "snapshot", "snapshot of a published ext4 volume", 1.5, 80 },
	[OP_CREATE] = { "create", "create a raw volume", 1.5, 100 },
	[OP_PUBLISH] = { "publish", "publish an ext4 volume", 1.3, 15 },
	[OP_UNPUBLISH] = { "unpublish", "unpublish it", 1.3, 5 },
	[OP_DELETE] = { "delete", "delete an inactive volume", 1.5, 60 },
	[OP_NEW] = { "new", "create and publish a 10 GiB ext4 volume", 1.4, 50 },
	[OP_LARGE] = { "large", "... of 1 TiB", 1.4, 0 },
	[OP_CLONE] = { "clone", "clone an ext4 volume, publish the clone", 0, 0 },
	[OP_EXPAND] = { "expand", "expand a published ext4 volume", 0, 0 },
	[OP_UNLOCK] = { "unlock", "publish an encrypted ext4 volume", 1.3, 0 },
};

#define OVER_PLAIN 1.05 /* bound for options of a publish */
#define OVER_SMALL 1.1	/* 1 TiB over 10 GiB */
#define FLEET_OVER 1.5
#define FLEET_LVM  60
#define SNAPSHOTS_OVER 3 /* of one thread's rate */

/* --- Helpers ---------------------------------------------------------------------- */

void check(int r, const char *what)
{
	if (r < 0)
		die("%s: %s", what, strerror(-r));
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void spawn(const char *const argv[])
{
	posix_spawn_file_actions_t fa;
	char log[] = "/tmp/bench-XXXXXX";
	int fd, status, r;
	pid_t pid;

	fd = mkostemp(log, O_CLOEXEC);
	unlink(log);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd, 1);
	posix_spawn_file_actions_adddup2(&fa, fd, 2);
	r = posix_spawnp(&pid, argv[0], &fa, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (r)
		die("%s: %s", argv[0], strerror(r));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status) {
		char out[2048];
		ssize_t n = pread(fd, out, sizeof(out) - 1, 0);

		out[n > 0 ? n : 0] = 0;
		die("%s %s failed: %s", argv[0], argv[1], out);
	}
	close(fd);
}

/* --- Operations, one at a time ---------------------------------------------------- */

static double one(const struct contestant *c, enum op op, int i)
{
	uint64_t start, end;

	c->before(op, i);
	if (op == OP_SNAPSHOT)
		usleep(PAUSE_US);
	start = now_ns();
	c->run(op, i);
	end = now_ns();
	c->after(op, i);
	return (double)(end - start) / 1e6;
}

static bool takes_part(unsigned c, enum op op)
{
	return c < n_run && (!all[c]->does || all[c]->does(op));
}

static void measure(enum op op, int repeat, double ret[N_ALL])
{
	static double ms[N_ALL][MAX_REPEAT];

	/* Whoever comes first meets what the last one left to the kernel: take turns. */
	for (int i = 0; i < WARM_UP + repeat; i++) {
		for (unsigned turn = 0; turn < n_run; turn++) {
			unsigned c = (turn + (unsigned)i) % n_run;

			if (takes_part(c, op))
				ms[c][i < WARM_UP ? 0 : i - WARM_UP] = one(all[c], op, i);
		}
	}
	for (unsigned c = 0; c < N_ALL; c++)
		ret[c] = takes_part(c, op) ? median(ms[c], repeat) : 0;
}

/* --- Options of a publish --------------------------------------------------------- */

static void shuffle(unsigned *order, unsigned n)
{
	static uint64_t state = 1;

	for (unsigned i = n - 1; i > 0; i--) {
		unsigned j, swap = order[i];

		state = state * 6364136223846793005u + 1442695040888963407u;
		j = (unsigned)(state >> 33) % (i + 1);
		order[i] = order[j];
		order[j] = swap;
	}
}

static void measure_variants(int repeat, double ret[N_VARIANTS])
{
	static double ms[N_VARIANTS][MAX_REPEAT];
	unsigned order[N_VARIANTS];

	for (unsigned v = 0; v < N_VARIANTS; v++)
		order[v] = v;
	for (int i = 0; i < WARM_UP + repeat; i++) {
		/* Taking turns is not enough: each would always come after the same one,
		 * and wait for what the kernel has still to do for that. */
		shuffle(order, N_VARIANTS);
		for (unsigned turn = 0; turn < N_VARIANTS; turn++) {
			unsigned v = order[turn];
			uint64_t start;

			if (variants[v].again) {
				kvol_publish_variant(&variants[v]);
				kvol_unpublish_variant(&variants[v]);
			}
			start = now_ns();
			kvol_publish_variant(&variants[v]);
			ms[v][i < WARM_UP ? 0 : i - WARM_UP] =
				(double)(now_ns() - start) / 1e6;
			kvol_unpublish_variant(&variants[v]);
		}
	}
	for (unsigned v = 0; v < N_VARIANTS; v++)
		ret[v] = median(ms[v], repeat);
}

/* --- Many at a time --------------------------------------------------------------- */

typedef double rate_fn(const struct contestant *c, struct crowd crowd, int round);

/* LVM's own lock makes its threads wait for each other: it is left out. */
static void measure_rate(rate_fn *rate, struct crowd crowd, double ret[N_ALL])
{
	double rates[N_LEAST][ROUNDS];

	for (int round = 0; round <= ROUNDS; round++)
		for (unsigned c = 0; c < N_LEAST; c++)
			rates[c][round ? round - 1 : 0] = rate(all[c], crowd, round);
	for (unsigned c = 0; c < N_ALL; c++)
		ret[c] = c < N_LEAST ? median(rates[c], ROUNDS) : 0;
}

static void measure_fleet(double ret[N_ALL])
{
	double ms[N_ALL][ROUNDS];

	for (int round = 0; round < ROUNDS; round++)
		for (unsigned c = 0; c < N_LEAST; c++)
			ms[c][round] = fleet_ms(all[c]);
	for (unsigned c = 0; c < N_ALL; c++) {
		if (c < N_LEAST)
			ret[c] = median(ms[c], ROUNDS);
		else
			ret[c] = c < n_run ? fleet_ms(all[c]) : 0; /* minutes: once */
	}
}

/* --- Telling ---------------------------------------------------------------------- */

static const char *verdict(double value, double bound, int at_most)
{
	if (bound == 0)
		return "";
	return (at_most ? value <= bound : value >= bound) ? " met" : " MISSED";
}

/* A column of the table: "-" where nobody ran. */
static void column(int width, int digits, double value)
{
	if (value > 0)
		printf(" %*.*f", width, digits, value);
	else
		printf(" %*s", width, "-");
}

static void print_op(enum op op, const double ms[N_ALL], FILE *json)
{
	double over = ms[0] / ms[1], under = ms[LVM] / ms[0];
	char bounds[64] = "";

	int n = 0;

	if (ops[op].over_bare > 0)
		n = snprintf(bounds, sizeof(bounds), "<= %.1f%s", ops[op].over_bare,
			     verdict(over, ops[op].over_bare, 1));
	if (ops[op].under_lvm > 0 && under > 0)
		snprintf(bounds + n, sizeof(bounds) - (size_t)n, ", >= %.0f%s",
			 ops[op].under_lvm, verdict(under, ops[op].under_lvm, 0));
	printf("%-40s %9.2f %9.2f", ops[op].title, ms[0], ms[1]);
	column(9, 1, ms[LVM]);
	column(10, 1, ms[CONTAINERD]);
	printf(" %7.2f", over);
	column(8, 1, under);
	column(8, 1, ms[CONTAINERD] / ms[0]);
	printf("  %s\n", bounds);
	fflush(stdout);
	if (json)
		fprintf(json,
			"  \"%s\": {\"unit\": \"ms\", \"kvol\": %.4f, \"bare\": %.4f, "
			"\"lvm\": %.4f, \"containerd\": %.4f, \"over_bare\": %.4f, "
			"\"under_lvm\": %.4f},\n",
			ops[op].name, ms[0], ms[1], ms[LVM], ms[CONTAINERD], over, under);
}

static void print_cycles(int threads, const double rate[N_ALL], double bound, FILE *json)
{
	double over = rate[1] / rate[0];
	char title[64], bounds[32] = "";

	snprintf(title, sizeof(title), "life cycles a second, %d thread%s", threads,
		 threads == 1 ? "" : "s");
	if (bound > 0)
		snprintf(bounds, sizeof(bounds), "<= %.1f%s", bound,
			 verdict(over, bound, 1));
	printf("%-40s %9.2f %9.2f %9s %10s %7.2f %8s %8s  %s\n", title, rate[0], rate[1],
	       "-", "-", over, "-", "-", bounds);
	fflush(stdout);
	if (json)
		fprintf(json,
			"  \"cycles_%d\": {\"unit\": \"1/s\", \"kvol\": %.4f, \"bare\": %.4f, "
			"\"over_bare\": %.4f},\n",
			threads, rate[0], rate[1], over);
}

static void print_variants(const double ms[N_VARIANTS], FILE *json)
{
	printf("\n%-40s %9s %9s\n", "options of a publish, ms", "kvol", "x plain");
	for (unsigned v = 0; v < N_VARIANTS; v++) {
		double over = ms[v] / ms[0];

		printf("%-40s %9.2f %9.3f", variants[v].title, ms[v], over);
		if (v)
			printf("  <= %.2f%s", OVER_PLAIN, verdict(over, OVER_PLAIN, 1));
		printf("\n");
		if (json)
			fprintf(json,
				"  \"publish_%s\": {\"unit\": \"ms\", \"kvol\": %.4f, "
				"\"over_plain\": %.4f},\n",
				variants[v].name, ms[v], over);
	}
	fflush(stdout);
}

static void print_fleet(const double ms[N_ALL], FILE *json)
{
	double over = ms[0] / ms[1], under = ms[LVM] / ms[0];

	printf("%-40s %9.0f %9.0f", "100 new volumes by 8 threads", ms[0], ms[1]);
	column(9, 0, ms[LVM]);
	column(10, 0, ms[CONTAINERD]);
	printf(" %7.2f", over);
	column(8, 1, under);
	column(8, 1, ms[CONTAINERD] / ms[0]);
	printf("  <= %.1f%s", FLEET_OVER, verdict(over, FLEET_OVER, 1));
	if (under > 0)
		printf(", >= %d%s", FLEET_LVM, verdict(under, FLEET_LVM, 0));
	printf("\n");
	if (json)
		fprintf(json,
			"  \"fleet\": {\"unit\": \"ms\", \"kvol\": %.4f, \"bare\": %.4f, "
			"\"lvm\": %.4f, \"containerd\": %.4f, \"over_bare\": %.4f, "
			"\"under_lvm\": %.4f},\n",
			ms[0], ms[1], ms[LVM], ms[CONTAINERD], over, under);
}

/* A volume that was thawed a moment ago is frozen again without a grace period, which only
 * one thread on one volume is quick enough for: so the same work by one is another row. */
static void run_snapshots(FILE *json)
{
	static const struct {
		const char *title, *name;
		struct crowd crowd;
	} rows[] = {
		{ "snapshots a second, 1 thread, 1 volume", "one", { .n = 1 } },
		{ "... 1 thread over 8 volumes", "over",
		  { .n = 1, .volumes = N_THREADS } },
		{ "... 8 threads on 8 volumes", "many", { .n = N_THREADS } },
	};
	double rate[3][N_ALL];

	if (json)
		fprintf(json, "  \"snapshots\": {\"unit\": \"1/s\"");
	for (unsigned i = 0; i < 3; i++) {
		measure_rate(snapshots_per_second, rows[i].crowd, rate[i]);
		printf("%-40s %9.2f %9.2f %43.2f\n", rows[i].title, rate[i][0], rate[i][1],
		       rate[i][1] / rate[i][0]);
		if (json)
			fprintf(json, ", \"%s\": %.4f, \"bare_%s\": %.4f", rows[i].name,
				rate[i][0], rows[i].name, rate[i][1]);
	}
	for (unsigned i = 0; i < 2; i++)
		printf("%-40s %9.2f x that of 1 thread%s  >= %d%s\n", "",
		       rate[2][0] / rate[i][0], i ? " over them" : " on 1 volume",
		       SNAPSHOTS_OVER,
		       verdict(rate[2][0] / rate[i][0], SNAPSHOTS_OVER, 0));
	if (json)
		fprintf(json, "},\n");
}

static void print_crowd(struct crowd crowd, FILE *json)
{
	double cycles[N_ALL], snapshots[N_ALL];
	const char *what = crowd.processes ? "processes" : "threads";

	measure_rate(cycles_per_second, crowd, cycles);
	measure_rate(snapshots_per_second, crowd, snapshots);
	printf("%2d %-10s %9.1f %9.1f %7.2f   %9.1f %9.1f %7.2f\n", crowd.n, what,
	       cycles[0], cycles[1], cycles[1] / cycles[0], snapshots[0], snapshots[1],
	       snapshots[1] / snapshots[0]);
	fflush(stdout);
	if (json)
		fprintf(json,
			"  \"%s_%d\": {\"unit\": \"1/s\", \"cycles\": %.4f, "
			"\"bare_cycles\": %.4f, \"snapshots\": %.4f, "
			"\"bare_snapshots\": %.4f},\n",
			what, crowd.n, cycles[0], cycles[1], snapshots[0], snapshots[1]);
}

/* The same work by more and more. */
static void run_crowds(FILE *json)
{
	printf("%-13s %29s   %29s\n", "", "life cycles a second", "snapshots a second");
	printf("%-13s %9s %9s %9s   %9s %9s %9s\n", "", "kvol", "bare", "x bare", "kvol",
	       "bare", "x bare");
	for (int n = 1; n <= MAX_THREADS; n *= 2)
		print_crowd((struct crowd){ .n = n }, json);
	for (int n = 1; n <= N_THREADS; n *= 2)
		print_crowd((struct crowd){ .n = n, .processes = true }, json);
	printf("\n%-40s %9s %9s %43s\n", "", "kvol", "bare", "x bare");
	run_snapshots(json);
}

static void run_variants(int repeat, FILE *json)
{
	double ms[N_VARIANTS];

	measure_variants(repeat, ms);
	print_variants(ms, json);
}

static void run_all(int repeat, FILE *json)
{
	const struct crowd one = { .n = 1 }, eight = { .n = N_THREADS };
	double value[N_ALL], small = 0;

	printf("%-40s %9s %9s %9s %10s %7s %8s %8s  %s\n", "medians, ms", "kvol", "bare",
	       "LVM", "containerd", "x bare", "LVM is x", "cd is x", "bounds");
	for (int op = 0; op < N_OPS; op++) {
		if (op == OP_UNLOCK && !luks_known()) {
			printf("%-40s built without libcryptsetup\n", ops[op].title);
			continue;
		}
		measure((enum op)op, repeat, value);
		print_op((enum op)op, value, json);
		if (op == OP_NEW)
			small = value[0];
		if (op == OP_LARGE)
			printf("%-40s %9.2f x that of 10 GiB  <= %.1f%s\n", "",
			       value[0] / small, OVER_SMALL,
			       verdict(value[0] / small, OVER_SMALL, 1));
	}
	measure_rate(cycles_per_second, one, value);
	print_cycles(1, value, 0, json);
	measure_rate(cycles_per_second, eight, value);
	print_cycles(N_THREADS, value, 1.5, json);
	measure_fleet(value);
	print_fleet(value, json);
	run_snapshots(json);
	run_variants(repeat, json);
}

int main(int argc, char **argv)
{
	const char *json_path = NULL;
	int repeat = 50, option;
	bool crowds = false, options = false;
	FILE *json = NULL;

	while ((option = getopt(argc, argv, "con:j:")) != -1) {
		if (option == 'c')
			crowds = true;
		else if (option == 'o')
			options = true;
		else if (option == 'n')
			repeat = atoi(optarg);
		else if (option == 'j')
			json_path = optarg;
		else
			return 2;
	}
	n_run = argc > optind ? (unsigned)(argc - optind - 1) : 0;
	if (n_run < N_LEAST || n_run > N_ALL || repeat < 1 || repeat > MAX_REPEAT) {
		fprintf(stderr,
			"usage: bench [-c|-o] [-n REPETITIONS] [-j JSON-FILE] DIR KVOL-DISK BARE-DISK "
			"[LVM-DISK [CONTAINERD-DISK]]\n");
		return 2;
	}
	if (json_path) {
		json = fopen(json_path, "we");
		if (!json)
			die("%s: %s", json_path, strerror(errno));
		fprintf(json, "{\n");
	}
	variants_start();
	for (unsigned c = 0; c < n_run; c++)
		all[c]->open(argv[optind + 1 + (int)c], argv[optind]);
	if (crowds)
		run_crowds(json);
	else if (options)
		run_variants(repeat, json);
	else
		run_all(repeat, json);
	for (unsigned c = 0; c < n_run; c++)
		all[c]->close();
	variants_end();
	if (json) {
		fprintf(json, "  \"repetitions\": %d\n}\n", repeat);
		fclose(json);
	}
	return 0;
}
