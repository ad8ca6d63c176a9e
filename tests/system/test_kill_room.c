// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * SIGKILL while a delete makes room: a pool whose metadata is full holds its volumes
 * suspended until the kernel has taken the delete. Whoever dies in there leaves all of
 * them frozen, published and in use as they are. The next call of a living process, or
 * the next open where there is none, must let them go on.
 *
 * KVOL_TEST_LONG=1: more kills.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "full.h"
#include "scene.h"

#define POOL_BYTES   MIB(160)
#define HELD	     16 /* published volumes: the more, the longer the window */
#define ROUNDS	     30 /* at most: what is there to be deleted */
#define IN_WINDOW    2	/* kills of each kind that are enough */
#define PATIENCE_MS  60000
#define MAPPED_BYTES 4096

static char half[256]; /* a clone of `many`, to fill the metadata by */
static uint64_t half_at;
static unsigned window_calls, window_opens, kills;
static double longest_ms[2];

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

#define NAME_SIZE 32

static const char *numbered(const char *prefix, unsigned n, char ret[NAME_SIZE])
{
	(void)snprintf(ret, NAME_SIZE, "%s%u", prefix, n);
	return ret;
}

/* --- The deleter ------------------------------------------------------------------ */

struct deleter {
	pid_t pid;
	int go; /* a byte begins the delete */
};

static void be_deleter(int ready, int go, const char *name)
{
	struct kvol_pool *p;
	char byte = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kvol_pool_open(ctx, pool_path, NULL, &p, NULL) < 0 ||
	    write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	_exit(kvol_delete(p, name, 0, NULL) < 0);
}

/* The caller has no handle: the child would hold it. */
static struct deleter deleter_start(const char *name)
{
	struct deleter d;
	int ready[2], go[2];
	char byte;

	assert_null(pool);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	d.pid = fork();
	assert_true(d.pid >= 0);
	if (d.pid == 0) {
		(void)close(go[1]);
		be_deleter(ready[1], go[0], name);
	}
	(void)close(ready[1]);
	(void)close(go[0]);
	d.go = go[1];
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return d;
}

/* Lets it begin, and kills it as soon as a volume is suspended. 1: it was killed; 0: it
 * was done before. */
static bool deleter_kill_in_window(struct deleter *d)
{
	double until = now_ms() + PATIENCE_MS;
	int status;
	pid_t r;

	assert_int_equal(write(d->go, "", 1), 1);
	(void)close(d->go);
	while (suspended_now() < 0 && (r = waitpid(d->pid, &status, WNOHANG)) == 0)
		assert_true(now_ms() < until);
	if (suspended_now() < 0 && r == d->pid) {
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		return false;
	}
	assert_int_equal(kill(d->pid, SIGKILL), 0);
	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	kills++;
	return WIFSIGNALED(status);
}

/* --- The volumes ------------------------------------------------------------------ */

/* Writes where there is a block already: that needs no room. */
static void assert_all_run(const char *what)
{
	char name[NAME_SIZE];

	assert_nothing_frozen(what);
	for (unsigned i = 0; i < HELD; i++) {
		watched("write to a volume that was held");
		assert_int_equal(write_blocks(in_dir("%s", numbered("held", i, name)), 0, 0,
					      MAPPED_BYTES, 1),
				 1);
		unwatched();
	}
}

static void make_volumes(void)
{
	char name[NAME_SIZE];

	for (unsigned i = 0; i < HELD; i++) {
		(void)numbered("held", i, name);
		assert_ok(kvol_create(pool, name, MIB(8), NULL, &err));
		assert_ok(publish(name, make_file(name), KVOL_PUBLISH_BLOCK, NULL));
		assert_int_equal(
			write_blocks(in_dir("%s", name), 0, 0, MAPPED_BYTES, 1), 1);
		assert_ok(kvol_unpublish(pool, name, in_dir("%s", name), NULL, &err));
	}
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_ok(kvol_create(pool, numbered("victim", i, name), MIB(8), NULL, &err));
}

static void fill(void)
{
	fill_the_rest(half, &half_at);
	assert_true(pool_info().flags & KVOL_POOL_OUT_OF_METADATA);
}

static int up(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .max_volumes = 100 };
	char name[NAME_SIZE];

	(void)state;
	if (disk_up(&o, POOL_BYTES) < 0)
		return -1;
	(void)snprintf(half, sizeof(half), "%s", make_file("half"));
	make_volumes();
	fill_metadata(pool_info().metadata_bytes / 4096 / 32 + 32 + 30);
	assert_ok(kvol_clone(pool, "many", "half", NULL, &err));
	assert_ok(publish("half", half, KVOL_PUBLISH_BLOCK, NULL));
	for (unsigned i = 0; i < HELD; i++) {
		(void)numbered("held", i, name);
		assert_ok(publish(name, in_dir("%s", name), KVOL_PUBLISH_BLOCK, NULL));
	}
	return 0;
}

static int down(void **state)
{
	char name[NAME_SIZE];

	for (unsigned i = 0; i < HELD; i++) {
		(void)numbered("held", i, name);
		assert_ok(
			kvol_unpublish(pool, name, in_dir("%s", name), NULL, &err));
	}
	assert_ok(kvol_unpublish(pool, "half", half, NULL, &err));
	assert_ok(kvol_delete(pool, "half", 0, &err));
	assert_int_equal(pool_info().flags & ~KVOL_POOL_LOW_METADATA, 0);
	scene_close_down();
	with_metadata("thin_check $metadata");
	return disk_down(state);
}

/* --- The test --------------------------------------------------------------------- */

/* One delete, killed in its window or not; then it is made good by the next call of who
 * is there, or by the next open. */
static void round_of(unsigned i, bool by_open)
{
	struct deleter d;
	char name[NAME_SIZE];
	unsigned *window = by_open ? &window_opens : &window_calls;
	bool frozen;
	double t;

	(void)numbered("victim", i, name);
	kvol_pool_close(pool);
	pool = NULL;
	d = deleter_start(name);
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	/* After the opens: what they had to finish has made room. */
	fill();
	if (by_open) {
		kvol_pool_close(pool);
		pool = NULL;
	}
	frozen = deleter_kill_in_window(&d) && suspended_now() >= 0;
	t = now_ms();
	watched(by_open ? "open after a death" : "call after a death");
	if (by_open)
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	else
		(void)pool_info();
	unwatched();
	t = now_ms() - t;
	assert_all_run(by_open ? "the next open" : "the next call");
	if (frozen) {
		++*window;
		longest_ms[by_open] = t > longest_ms[by_open] ? t : longest_ms[by_open];
	}
	/* Done or not, it can be repeated. */
	watched("the delete again");
	assert_ok(kvol_delete(pool, name, 0, &err));
	unwatched();
	assert_false(exists(name));
	assert_false(pool_info().flags & (KVOL_POOL_NEEDS_CHECK | KVOL_POOL_READ_ONLY));
	assert_all_run("the delete");
}

static void killed_deleters_leave_nothing_frozen(void **state)
{
	unsigned wanted = getenv("KVOL_TEST_LONG") ? ROUNDS / 3 : IN_WINDOW;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		bool by_open = window_opens < window_calls;

		if (window_calls >= wanted && window_opens >= wanted)
			break;
		round_of(i, by_open);
	}
	printf("# figure deleters killed for room: %u, %u of them with volumes held\n",
	       kills, window_calls + window_opens);
	printf("# figure volumes held by a dead deleter run again, longest, ms: %.0f by the "
	       "next call, %.0f by the next open\n",
	       longest_ms[0], longest_ms[1]);
	(void)fflush(stdout);
	/* Else nothing of it was tested. */
	assert_true(window_calls >= IN_WINDOW && window_opens >= IN_WINDOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_deleters_leave_nothing_frozen),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("kill room", tests, up, down);
}
