/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Dying at every step of kvol_pool_format. What that leaves is no pool or a whole one, for
 * who opens it; and the same format once more makes a whole one, with nothing left beside
 * it: no device, loop device or mount, no announcement in the run directory. That format
 * dies at each of its steps as well.
 *
 * Most steps write into a catalogue that the next format makes anew. So states are told
 * apart by all but that, and each is judged once; in the thorough form every single one
 * is.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crash.h"

#define SEED	   78
#define HEAD	   4096 /* of a file: all of it that the model knows */
#define STATES_MAX 1024
#define STEPS_MAX  4096
#define SAY_MAX	   10

/* A machine, with the file: the model goes back to everything but that. */
struct snapshot {
	struct model_saved *machine;
	char head[HEAD];
	off_t bytes;
	bool there;
};

struct run {
	const struct format_case *c;
	struct machine m;
	struct snapshot start;
	struct seen old;
	bool thorough;
	uint64_t states[STATES_MAX];
	unsigned n_states, points, bad;
	bool differs[STEPS_MAX];
	struct figures *figures;
	char where[200];
};

/* --- To go back ------------------------------------------------------------------- */

static void take(struct run *run, struct snapshot *ret)
{
	int fd = open(run->m.path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	ret->machine = model_save_running();
	if (fd < 0)
		return;
	assert_int_equal(fstat(fd, &st), 0);
	ret->there = true;
	ret->bytes = st.st_size;
	assert_true(pread(fd, ret->head, HEAD, 0) >= 0);
	(void)close(fd);
}

static void go_back(struct run *run, const struct snapshot *s)
{
	int fd;

	model_restore(s->machine);
	if (!s->there) {
		(void)unlink(run->m.path);
		return;
	}
	fd = open(run->m.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, s->bytes) == 0);
	if (s->bytes)
		assert_int_equal(pwrite(fd, s->head, HEAD, 0), HEAD);
	(void)close(fd);
}

static uint64_t hash_kernel(uint64_t hash)
{
	for (const struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		if (d->used)
			hash = model_hash(d->id.uuid, strlen(d->id.uuid),
					  hash * 8 + 4 * d->table.live +
						  2 * d->suspended + d->deferred);
	for (int i = 0; i < MODEL_LOOPS; i++) /* each new file is another one */
		hash = hash * 2 + model->loops[i].used;
	return hash * MODEL_MOUNTS + model_n_mounts();
}

/* Of all that the next format meets. */
static uint64_t hash_now(const struct run *run)
{
	char head[HEAD] = "";
	int fd = open(run->m.path, O_RDONLY | O_CLOEXEC);
	struct stat st = { .st_size = -1 };
	uint64_t hash;

	if (run->c->kept)
		return model_state_hash();
	model_sweep();
	if (fd >= 0) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(pread(fd, head, HEAD, 0) >= 0);
		(void)close(fd);
	}
	hash = model_hash(head, sizeof(head), (uint64_t)st.st_size);
	hash = hash_kernel(hash);
	for (int i = 0; i < MODEL_DISKS; i++)
		hash = hash * 8 + 4 * model->disks[i].has_catalogue_fs +
		       2 * model->disks[i].metadata.formatted +
		       model->disks[i].unflushed;
	return model_rundir_hash(run->m.run_dir, hash);
}

static bool seen_before(struct run *run, enum way way)
{
	uint64_t hash = hash_now(run) * N_WAYS + way;

	for (unsigned i = 0; i < run->n_states; i++)
		if (run->states[i] == hash)
			return true;
	assert_true(run->n_states < STATES_MAX);
	run->states[run->n_states++] = hash;
	return false;
}

/* --- Judging ---------------------------------------------------------------------- */

static void complain(struct run *run, const char *bad)
{
	if (run->bad++ < SAY_MAX)
		print_error("%s: %s: %s\n", run->c->name, run->where, bad);
}

static const char *left_behind(struct run *run)
{
	static char line[64];
	DIR *dir = opendir(run->m.run_dir);
	struct dirent *d;
	bool announced = false;

	while (dir && (d = readdir(dir)))
		announced = announced || !strncmp(d->d_name, "format-", 7);
	if (dir)
		(void)closedir(dir);
	if (announced)
		return "an announcement is left";
	(void)snprintf(line, sizeof(line), "%u devices, %u loops, %u mounts are left",
		       model_n_devs(), model_n_loops(), model_n_mounts());
	return model_n_devs() || model_n_loops() || model_n_mounts() ? line : NULL;
}

/* A whole pool: the new one, or the old one. */
static const char *check_pool(struct run *run, struct kvol_pool *pool, bool old_allowed)
{
	struct seen seen;
	const char *bad = broken(pool, run->m.path, &seen);

	run->figures->opened++;
	if (!bad && run->c->kept)
		bad = differs(&seen, &run->old, true);
	else if (!bad && seen.n)
		bad = old_allowed ? differs(&seen, &run->old, true)
				  : "the new pool has volumes";
	if (bad) {
		kvol_pool_close(pool);
		return bad;
	}
	return broken_in_use(pool, run->m.path, &seen);
}

/* What is there to be opened after a death. */
static void open_what_is_left(struct run *run)
{
	struct kvol_pool *pool;
	struct kvol_error e;
	const char *bad;
	int r = kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, &e);

	if (r == 0)
		bad = check_pool(run, pool, run->c->pool);
	else if (run->c->kept)
		bad = e.msg;
	else
		bad = r == -EMEDIUMTYPE || r == -ENOENT ? NULL : e.msg;
	if (bad)
		complain(run, bad);
}

static int format(struct run *run, struct kvol_error *e)
{
	return kvol_pool_format(run->m.ctx, POOL_NAME, run->m.path, &run->c->opts, e);
}

/* `before`: what the format found that died. The pool that it found, and had opened to
 * look at, is an open pool. */
static void format_and_judge(struct run *run, const struct snapshot *before)
{
	bool may_be_open = before->head[0] && !(run->c->opts.flags & KVOL_FORMAT_FORCE);
	struct kvol_pool *pool;
	struct kvol_error e;
	const char *bad = NULL;

	if (format(run, &e) < 0) {
		complain(run, e.msg);
		return;
	}
	if (!may_be_open)
		bad = left_behind(run);
	if (!bad && kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, &e) < 0)
		bad = e.msg;
	else if (!bad)
		bad = check_pool(run, pool, false);
	if (!bad)
		bad = left_behind(run);
	if (bad)
		complain(run, bad);
}

/* --- Dying ------------------------------------------------------------------------ */

static struct run *watched; /* whose steps are told apart, or NULL */
static unsigned steps, deadly;
static uint64_t hash_before;
static bool differs_at[STEPS_MAX];

static int count_and_die(const char *what, unsigned step)
{
	uint64_t hash;

	(void)what;
	(void)step;
	steps++;
	if (watched) {
		assert_true(steps < STEPS_MAX);
		hash = hash_now(watched);
		differs_at[steps] = steps == 1 || hash != hash_before;
		hash_before = hash;
	}
	if (steps != deadly)
		return 0;
	model_dead = true;
	return -EIO;
}

/* At its nth step, 0: not at all. */
static void format_and_die(struct run *run, unsigned nth)
{
	struct kvol_error e = { .msg = "" };
	int r;

	steps = 0;
	deadly = nth;
	model_hook = count_and_die;
	r = format(run, &e);
	if (r < 0 && !model_dead)
		print_error("%s: %s\n", run->c->name, e.msg);
	assert_true(r == 0 || model_dead);
	model_hook = NULL;
	model_dead = false;
}

/* Of a whole format; and which of them change anything, or were not looked at. */
static unsigned count_steps(struct run *run, bool ret_differs[STEPS_MAX])
{
	watched = run->thorough ? NULL : run;
	format_and_die(run, 0);
	watched = NULL;
	assert_true(steps > 0 && steps + 1 < STEPS_MAX);
	for (unsigned i = 0; i < STEPS_MAX; i++)
		ret_differs[i] = run->thorough || differs_at[i] || i > steps;
	return steps;
}

/* The format that makes up for it dies, too. */
static void die_again(struct run *run, const struct snapshot *left)
{
	static bool differs[STEPS_MAX];
	char outer[100];
	unsigned n;

	(void)kv_strcpy(outer, sizeof(outer), run->where);
	model_seed(SEED + 1);
	n = count_steps(run, differs);
	run->figures->states++;
	for (unsigned i = 1; i <= n; i++) {
		if (!differs[i])
			continue;
		run->figures->nested++;
		go_back(run, left);
		model_seed(SEED + 1);
		format_and_die(run, i);
		(void)snprintf(run->where, sizeof(run->where),
			       "%s; the next one died at step %u of %u", outer, i, n);
		if (run->thorough || !seen_before(run, KILLED))
			format_and_judge(run, left);
	}
}

static void crash_once(struct run *run, unsigned nth, enum way way)
{
	struct snapshot left;
	bool fresh;

	go_back(run, &run->start);
	model_seed(SEED);
	format_and_die(run, nth);
	model_seed(SEED + nth);
	lose_power(way);
	(void)snprintf(run->where, sizeof(run->where), "died at step %u of %u (%s)", nth,
		       run->points, way_names[way]);
	fresh = !seen_before(run, way);
	if (!fresh && !run->thorough)
		return;
	take(run, &left);
	open_what_is_left(run);
	go_back(run, &left);
	format_and_judge(run, &run->start);
	if (fresh && way == KILLED && !run->bad) {
		go_back(run, &left);
		die_again(run, &left);
	}
	model_saved_free(left.machine);
}

static int make_old(struct run *run)
{
	struct kvol_format_opts o = run->c->opts;
	struct kvol_pool *pool;
	int r;

	o.flags = 0;
	r = kvol_pool_format(run->m.ctx, POOL_NAME, run->m.path, &o, NULL);
	if (r == 0)
		r = kvol_pool_open(run->m.ctx, run->m.path, NULL, &pool, NULL);
	if (r < 0)
		return r;
	r = kvol_create(pool, "old", 512 * MIB, NULL, NULL);
	if (r == 0)
		write_mark(pool, "old", 1);
	if (r == 0 && look(pool, run->m.path, &run->old))
		r = -EIO;
	if (r == 0)
		r = kvol_pool_deactivate(pool, NULL);
	kvol_pool_close(pool);
	return r;
}

static void prepare(struct run *run)
{
	int fd;

	machine_start(&run->m);
	if (run->c->size_before) {
		fd = open(run->m.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_true(fd >= 0 && ftruncate(fd, (off_t)run->c->size_before) == 0);
		(void)close(fd);
	}
	if (run->c->pool)
		assert_int_equal(make_old(run), 0);
	take(run, &run->start);
	model_seed(SEED);
	run->points = count_steps(run, run->differs);
}

unsigned run_format(const struct format_case *c, bool thorough, struct figures *figures)
{
	struct run *run = calloc(1, sizeof(*run));
	struct figures before = *figures;
	unsigned bad;

	assert_non_null(run);
	run->c = c;
	run->figures = figures;
	run->thorough = thorough;
	prepare(run);
	figures->points += run->points;
	for (unsigned i = 1; i <= run->points + 1; i++) {
		for (enum way way = KILLED; run->differs[i] && way < N_WAYS; way++)
			crash_once(run, i, way);
		figures->died += run->differs[i] && i <= run->points;
	}
	print_message("# %s: %u points, %u states, %u points inside the next format\n",
		      c->name, run->points, figures->states - before.states,
		      figures->nested - before.nested);
	bad = run->bad;
	model_saved_free(run->start.machine);
	machine_end(&run->m);
	free(run);
	return bad;
}
