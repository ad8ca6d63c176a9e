// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The workload whose power is cut: workload SEED CALLS SLICE MARKS
 *
 * SLICE is the block device for the pool, MARKS one beside it on the same recorded disk.
 * Every call of the library, and every write that is followed by fsync, stands between
 * two marks (mark.h). One thread works through the verbs, drawn from SEED, another does
 * so with volumes of its own beside it, and a third one writes, syncs and removes files
 * in a published volume all the time, so that snapshots and growing meet a busy file
 * system. Now and then a call is made by a process of its own (workload --call) that is
 * killed in its middle; what became of it is asked of a handle that was opened, and so
 * recovered the pool, afterwards.
 *
 * Uses the public header only. Leaves the pool inactive. A call that fails ends it with
 * exit code 1. An odd SEED mounts with discards.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workload.h"

static struct set main_set = { .letter = 'm' }, side_set = { .letter = 's' };

/* --- Choosing --------------------------------------------------------------------- */

static struct vol *any(struct set *set, bool (*fits)(const struct vol *))
{
	unsigned at = (unsigned)below(&set->random, set->n + 1);

	for (unsigned i = 0; i < set->n; i++) {
		struct vol *v = &set->vols[(at + i) % set->n];

		if (v->there && fits(v))
			return v;
	}
	return NULL;
}

static bool is_any(const struct vol *v)
{
	(void)v;
	return true;
}

static bool is_idle(const struct vol *v)
{
	return !v->published;
}

static bool is_published(const struct vol *v)
{
	return v->published;
}

static bool is_file(const struct vol *v)
{
	return v->published && v->fs_type[0] && !v->snapshot;
}

static bool is_block(const struct vol *v)
{
	return v->published && !v->fs_type[0] && !v->snapshot;
}

static bool can_grow(const struct vol *v)
{
	return !v->snapshot && v->bytes <= MIB(300);
}

/* --- Calls that do not return ----------------------------------------------------- */

/* The process: workload --call SLICE, with the mark as its standard input. */
static int call_and_exit(const char *path)
{
	struct mark m;

	if (read(STDIN_FILENO, &m, sizeof(m)) != sizeof(m) ||
	    kvol_new(NULL, &ctx, &err) < 0)
		return 1;
	if (kvol_pool_open(ctx, path, NULL, &pool, &err) < 0 || call(pool, &m) < 0) {
		fprintf(stderr, "workload: killed call: %s\n", err.msg);
		return 1;
	}
	kvol_pool_close(pool);
	return 0;
}

static pid_t spawn_call(const struct mark *m)
{
	char *argv[] = { (char *)"workload", (char *)"--call", (char *)slice, NULL };
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || write(ends[1], m, sizeof(*m)) != sizeof(*m))
		die("pipe");
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
	errno = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ);
	if (errno)
		die("posix_spawn");
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return pid;
}

/* Did it happen? What opens the pool finishes or undoes it; it may be all that resumes a
 * volume that the third thread waits for. */
static bool ask(const struct mark *m)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct mark r = begin(VERB_OTHER, "recover", "", 0);
	struct kvol_pool *again;
	int found;

	MARKED(r, "open", kvol_pool_open(ctx, slice, NULL, &again, &err));
	found = kvol_stat(again, m->name, &info, &err);
	if (found < 0 && found != -ENOENT)
		acknowledge(&r, found, "stat");
	kvol_pool_close(again);
	if (m->verb == VERB_DELETE)
		return found == -ENOENT;
	return found == 0 && (m->verb != VERB_EXPAND || info.bytes == m->bytes);
}

static bool killed_call(struct set *set, struct mark *m)
{
	bool done;
	pid_t pid;

	put_mark(m);
	pid = spawn_call(m);
	(void)usleep((useconds_t)below(&set->random, 500000));
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	done = ask(m);
	m->kind = done ? MARK_ACK : MARK_ABORT;
	put_mark(m);
	return done;
}

static void random_killed_call(struct set *set)
{
	unsigned what = (unsigned)below(&set->random, 5);
	struct vol *from = any(set, is_any), *v = NULL;
	struct mark m;

	if (what == 0)
		v = plan_new(set, VERB_CREATE, NULL, "ext4", EXT4_BYTES, &m);
	else if (what == 1 && from)
		v = plan_new(set, VERB_SNAPSHOT, from, from->fs_type, 0, &m);
	else if (what == 2 && from)
		v = plan_new(set, VERB_CLONE, from, from->fs_type, 0, &m);
	if (v) {
		v->there = killed_call(set, &m);
		return;
	}
	if (what == 3 && (v = any(set, can_grow))) {
		m = begin(VERB_EXPAND, v->name, "", v->bytes * 2);
		if (killed_call(set, &m))
			v->bytes = m.bytes;
	} else if (what == 4 && (v = any(set, is_idle))) {
		m = begin(VERB_DELETE, v->name, "", 0);
		v->there = !killed_call(set, &m);
	}
}

/* --- The course of it ------------------------------------------------------------- */

/* One call drawn at random; what does not fit the state of things just then is passed
 * over. */
static void random_call(struct set *set)
{
	static const char *const types[] = { "", "ext4", "ext4", "" };
	uint64_t *random = &set->random;
	unsigned what = (unsigned)below(random, 18);
	struct vol *v;

	if (what < 2) {
		const char *type = types[below(random, 4)];

		(void)create(set, type, type[0] ? EXT4_BYTES : RAW_BYTES);
	} else if (what < 4 && (v = any(set, is_any))) {
		(void)derive(set, v, VERB_SNAPSHOT, 0);
	} else if (what < 6 && (v = any(set, is_any))) {
		(void)derive(set, v, VERB_CLONE, below(random, 2) ? 0 : v->bytes * 3 / 2);
	} else if (what < 7 && (v = any(set, can_grow))) {
		expand(v);
	} else if (what < 9 && (v = any(set, is_idle))) {
		delete (v);
	} else if (what < 11 && (v = any(set, is_idle)) && !v->snapshot) {
		publish(v);
	} else if (what < 12 && (v = any(set, is_published))) {
		unpublish(v);
	} else if (what < 13 && (v = any(set, is_file))) {
		keep_busy(v);
	} else if (what < 14 && (v = any(set, is_file))) {
		pthread_mutex_lock(&busy_mutex);
		new_file(v, random);
		pthread_mutex_unlock(&busy_mutex);
	} else if (what < 15) {
		random_killed_call(set);
	} else if ((v = any(set, is_block))) {
		new_block(v, random);
	}
}

static void *random_calls(void *arg)
{
	struct set *set = arg;

	for (unsigned i = 0; i < set->calls; i++)
		random_call(set);
	return NULL;
}

/* Two threads at once. */
static void both(unsigned calls)
{
	pthread_t thread;

	main_set.calls = calls;
	side_set.calls = calls / 3;
	if (pthread_create(&thread, NULL, random_calls, &side_set))
		die("pthread_create");
	(void)random_calls(&main_set);
	(void)pthread_join(thread, NULL);
}

/* Each verb once on each kind of volume, and what is bound to go wrong first. */
static void tour(struct set *set)
{
	struct vol *raw = create(set, "", RAW_BYTES),
		   *ext4 = create(set, "ext4", EXT4_BYTES);
	struct vol *xfs = create(set, "xfs", XFS_BYTES), *copy;

	publish(raw);
	publish(ext4);
	publish(xfs);
	for (int i = 0; i < 3; i++) {
		new_block(raw, &set->random);
		new_file(ext4, &set->random);
		new_file(xfs, &set->random);
	}
	keep_busy(xfs);
	(void)derive(set, xfs, VERB_SNAPSHOT, 0);
	keep_busy(ext4);
	(void)derive(set, raw, VERB_SNAPSHOT, 0);
	copy = derive(set, derive(set, ext4, VERB_SNAPSHOT, 0), VERB_CLONE, 0);
	expand(ext4);
	publish(copy);
	keep_busy(copy);
	new_block(raw, &set->random);
	delete (derive(set, raw, VERB_CLONE, 0));
	expand(raw);
	unpublish(ext4);
	delete (ext4);
	unpublish(xfs);
	expand(copy);
	for (int i = 0; i < 3; i++)
		random_killed_call(set);
}

static void unpublish_all(struct set *set)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->vols[i].there && set->vols[i].published)
			unpublish(&set->vols[i]);
}

static void wind_down(void)
{
	unpublish_all(&main_set);
	unpublish_all(&side_set);
	close_pool(true);
}

static void run(unsigned calls)
{
	struct set *set = &main_set;
	struct vol *v;

	format("first", 0);
	open_pool();
	tour(set);
	both(calls / 3);
	close_pool(false); /* published and busy: as a plugin that is restarted */
	open_pool();
	both(calls / 3);
	wind_down();
	open_pool();
	both(calls - calls / 3 * 2);
	wind_down();

	set->n = 0;
	memset(set->vols, 0, sizeof(set->vols));
	format("second", KVOL_FORMAT_FORCE);
	open_pool();
	v = create(set, "ext4", EXT4_BYTES);
	publish(v);
	new_file(v, &set->random);
	(void)derive(set, v, VERB_SNAPSHOT, 0);
	unpublish(v);
	close_pool(true);
}

int main(int argc, char **argv)
{
	struct mark end = { .kind = MARK_END };

	if (argc == 3 && !strcmp(argv[1], "--call"))
		return call_and_exit(argv[2]);
	if (argc != 5 || !strrchr(argv[3], '/')) {
		fprintf(stderr, "usage: workload SEED CALLS SLICE MARKS\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	main_set.random = seed;
	side_set.random = seed ^ 0x5151;
	slice = argv[3];
	marks_fd = open(argv[4], O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (marks_fd < 0 || !mkdtemp(dir))
		die(argv[4]);
	mark_slice();
	if (kvol_new(NULL, &ctx, &err) < 0)
		die(err.msg);
	start_writer();
	run((unsigned)strtoul(argv[2], NULL, 0));
	stop_writer();
	kvol_free(ctx);
	put_mark(&end);
	if (fsync(marks_fd) < 0) /* the log's own superblock is written at a flush */
		die("flush");
	printf("workload: %lu calls\n", atomic_load(&last_op));
	return 0;
}
