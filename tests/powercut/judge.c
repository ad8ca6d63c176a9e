// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Cuts a recorded log at many places and judges what each leaves, without a kernel of its
 * own and without root:
 *
 *	judge [-f FLUSHES] [-b BETWEEN] [-t] [-s SEED] [-j JOBS] LOG DIRECTORY
 *	judge -c CUT LOG DIRECTORY	one cut; its image stays in DIRECTORY/cut.img
 *
 * FLUSHES: how many flushes to cut at (0: each one); BETWEEN: how many cuts between
 * flushes. DIRECTORY should be in memory. Prints a line for each violation, with the cut
 * to repeat it by, and the figures. The exit code is 1 if there was a violation, 3 if the
 * log itself is damaged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cut.h"

#define SHOWN 20

struct figures {
	unsigned judged, pools, none, violations, seen;
	unsigned by_mode[CUT_MODES];
	uint64_t n_catalogues, n_metadata;
};

static struct wlog rec;
static struct history history;
static const char *directory;

static void show(const struct cut *cut, const struct expected *x, const char *why)
{
	char text[CUT_TEXT];
	const struct op *last = NULL, *open = NULL;

	cut_print(cut, text);
	for (unsigned i = 0; i < history.n_ops && history.ops[i].intent < cut->end; i++) {
		const struct op *op = &history.ops[i];

		if (op->ack < cut->end)
			last = op;
		else
			open = op;
	}
	printf("# violation: cut %s: %s (acknowledged last: %llu %s '%s'; under way: %llu %s '%s'; "
	       "pool '%s', new '%s')\n",
	       text, why, last ? (unsigned long long)last->m.op : 0,
	       last ? verb_name(last->m.verb) : "", last ? last->m.name : "",
	       open ? (unsigned long long)open->m.op : 0,
	       open ? verb_name(open->m.verb) : "", open ? open->m.name : "",
	       x->pool ? x->pool : "", x->new ? x->new : "");
}

/* -1: the judge itself failed. */
static int judge_one(struct check *c, struct image *im, const struct cut *cut,
		     struct figures *f)
{
	static struct expected x;
	char why[WHY_SIZE] = "";
	enum verdict v;

	if (history_at(&history, cut->end, &x) < 0 ||
	    cut_apply(&rec, &history, cut, image_write, im) < 0)
		return -1;
	v = check_image(c, im, &x, 0, why);
	f->judged++;
	f->by_mode[cut->mode]++;
	f->pools += v == VERDICT_POOL;
	f->none += v == VERDICT_NONE;
	if (v == VERDICT_WRONG && f->violations++ < SHOWN)
		show(cut, &x, why);
	return 0;
}

static int judge_part(const struct cut *cuts, long n, unsigned job, struct figures *f)
{
	struct check *c = calloc(1, sizeof(*c));
	struct image im;
	char path[320];
	uint32_t at = 0;
	int r = 0;

	if (!c)
		return -1;
	snprintf(c->dir, sizeof(c->dir), "%s/judge.%u", directory, job);
	snprintf(path, sizeof(path), "%s/judge.%u/disk", directory, job);
	if ((mkdir(c->dir, 0700) < 0 && errno != EEXIST) ||
	    image_create(&im, path, history.slice_sectors * WLOG_SECTOR) < 0) {
		fprintf(stderr, "%s: %s\n", c->dir, strerror(errno));
		return -1;
	}
	for (long i = 0; i < n && r == 0; i++) {
		r = cut_replay(&rec, &history, at, cuts[i].base, image_write, &im);
		at = cuts[i].base;
		im.keep = true;
		if (r == 0)
			r = judge_one(c, &im, &cuts[i], f);
		if (r == 0)
			r = image_undo(&im);
	}
	f->n_catalogues = c->n_catalogues;
	f->n_metadata = c->n_metadata;
	check_free(c);
	free(c);
	image_close(&im);
	return r;
}

/* Each job works through a part of the log that is contiguous. */
static int judge_all(const struct cut *cuts, long n, unsigned jobs, struct figures *f)
{
	int status, r = 0;

	for (unsigned job = 0; job < jobs; job++) {
		long from = n * job / jobs, to = n * (job + 1) / jobs;
		pid_t pid;

		fflush(stdout);
		pid = fork();
		if (pid < 0)
			return -1;
		if (pid == 0) {
			r = judge_part(cuts + from, to - from, job, &f[job]);
			fflush(stdout);
			_exit(r < 0);
		}
	}
	for (unsigned job = 0; job < jobs; job++)
		if (wait(&status) < 0 || status)
			r = -1;
	return r;
}

static void add_up(struct figures *f, unsigned jobs)
{
	for (unsigned job = 1; job < jobs; job++) {
		f[0].judged += f[job].judged;
		f[0].pools += f[job].pools;
		f[0].none += f[job].none;
		f[0].violations += f[job].violations;
		f[0].n_catalogues += f[job].n_catalogues;
		f[0].n_metadata += f[job].n_metadata;
		for (unsigned m = 0; m < CUT_MODES; m++)
			f[0].by_mode[m] += f[job].by_mode[m];
	}
}

static int keep_one(const struct cut *cut)
{
	static struct check c;
	struct figures f = { 0 };
	struct image im;
	char path[300];
	int r;

	snprintf(c.dir, sizeof(c.dir), "%s", directory);
	snprintf(path, sizeof(path), "%s/cut.img", directory);
	if (image_create(&im, path, history.slice_sectors * WLOG_SECTOR) < 0)
		return -1;
	r = cut_replay(&rec, &history, 0, cut->base, image_write, &im);
	if (r == 0)
		r = judge_one(&c, &im, cut, &f);
	printf("%s: %s\n", path,
	       f.violations ? "wrong"
	       : f.none	    ? "no pool"
			    : "as it should be");
	check_free(&c);
	image_close(&im);
	return r < 0 ? r : (int)f.violations;
}

static int run(const struct cut_choice *choice, unsigned jobs)
{
	struct figures *f = mmap(NULL, jobs * sizeof(*f), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct cut *cuts;
	long n = cut_choose(&rec, &history, choice, &cuts);
	int r;

	if (n < 0 || f == MAP_FAILED)
		return -1;
	r = judge_all(cuts, n, jobs, f);
	add_up(f, jobs);
	printf("# judged %u images: %u at flushes, %u between; %u pools, %u without one; read %llu "
	       "catalogues and %llu times metadata\n",
	       f->judged, f->by_mode[CUT_NONE], f->judged - f->by_mode[CUT_NONE],
	       f->pools, f->none, (unsigned long long)f->n_catalogues,
	       (unsigned long long)f->n_metadata);
	printf("entries %u\nflushes %u\ncalls %u\nimages %u\nviolations %u\n", rec.n,
	       rec.n_flushes, history.n_ops, f->judged, f->violations);
	free(cuts);
	if (r == 0 && f->judged != (unsigned)n)
		r = -1;
	return r < 0 ? r : !!f->violations;
}

int main(int argc, char **argv)
{
	struct cut_choice choice = { .seed = 1 };
	long jobs = sysconf(_SC_NPROCESSORS_ONLN);
	const char *only = NULL;
	struct cut cut;
	int opt, r;

	while ((opt = getopt(argc, argv, "f:b:ts:j:c:")) != -1) {
		switch (opt) {
		case 'f':
			choice.n_flushes = strtol(optarg, NULL, 10);
			break;
		case 'b':
			choice.n_between = strtol(optarg, NULL, 10);
			break;
		case 't':
			choice.torn = true;
			break;
		case 's':
			choice.seed = strtoull(optarg, NULL, 10);
			break;
		case 'j':
			jobs = strtol(optarg, NULL, 10);
			break;
		case 'c':
			only = optarg;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 2 || choice.n_between < 0) {
		fprintf(stderr,
			"usage: judge [-f FLUSHES] [-b BETWEEN] [-t] [-s SEED] [-j JOBS] [-c CUT] "
			"LOG DIRECTORY\n");
		return 2;
	}
	directory = argv[optind + 1];
	if (wlog_open(argv[optind], &rec) < 0)
		return 3;
	if (history_read(&rec, &history) < 0)
		return 2;
	if (only)
		r = cut_parse(only, &rec, &cut) < 0 ? -1 : keep_one(&cut);
	else
		r = run(&choice, jobs > 0 ? (unsigned)jobs : 1);
	history_free(&history);
	wlog_close(&rec);
	return r < 0 ? 2 : r;
}
