// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * SIGKILL on the real kernel: workers on one pool are killed at random moments, and many
 * of them exactly between the suspend and the resume of a snapshot, and go on as new
 * processes. After each round all are dead, and a new handle must show what was
 * acknowledged, each call in flight wholly done or not at all, the stamped and fsynced
 * data, nothing suspended, and no device, mount or loop that no volume explains.
 *
 * KVOL_TEST_LONG=1: 5000 kills; KVOL_TEST_KILLS=N: so many. KVOL_TEST_SEED=N goes the
 * same way again as far as the kernel's timing lets it. A failure leaves the journal of
 * the round on stderr.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"
#include "soak.h"

#define KILLS_SHORT   48
#define KILLS_LONG    5000
#define COMMITS_SHORT 20
#define COMMITS_LONG  400
#define ROUND_EVENTS  8	     /* kills of one worker, before all are */
#define REST_EVERY    5	     /* rounds: metadata is looked at */
#define PATIENCE_MS   120000 /* for what must come; a loaded machine is slow */
#define STACK	      4	     /* devices of a pool without volumes */

static unsigned rng;
static pid_t workers[WORKERS], writer, witness;
static struct world at_rest;

static struct {
	unsigned kills, in_window, acknowledged, rounds, rests, came, came_not, late;
	uint64_t verbs[N_OPS];
	double by_open[KILLS_LONG], by_call[KILLS_LONG];
	unsigned n_by_open, n_by_call;
} figures;

static unsigned dice(unsigned n)
{
	return (unsigned)rand_r(&rng) % n;
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void nap(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	(void)nanosleep(&t, NULL);
}

/* --- Processes -------------------------------------------------------------------- */

static void show_journal(void)
{
	static const char *const states[] = { "-", "begun", "calling", "done" };

	for (unsigned k = 0; k < WORKERS; k++) {
		uint32_t n = atomic_load(&soak->w[k].n);

		for (uint32_t i = n > 12 ? n - 12 : 0; i < n; i++) {
			const struct rec *r = &soak->w[k].recs[i];

			print_error("  w%u #%u: op %u name %u source %u bytes %" PRIu64
				    " line %u/%u r %d %s\n",
				    k, i, r->op, r->name, r->source, r->bytes, r->line,
				    r->n, r->r, states[atomic_load(&r->state)]);
		}
	}
}

static void check_faults(void)
{
	if (!atomic_load(&soak->faulty))
		return;
	print_error("a call failed: %s\n", soak->fault);
	show_journal();
	fail();
}

static void reap(pid_t pid)
{
	double end = now_ms() + PATIENCE_MS;
	char path[64];

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (now_ms() > end) {
			(void)snprintf(path, sizeof(path), "/proc/%d/stack", pid);
			print_error("killed and still there, in\n%s\n", read_file(path));
			show_journal();
			fail();
		}
		nap(100);
	}
}

static pid_t start(void (*be)(void), unsigned k)
{
	unsigned seed = dice(1u << 30);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (be)
			be();
		be_worker(k, seed);
		_exit(1);
	}
	return pid;
}

static void end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	(void)kill(*pid, SIGKILL);
	reap(*pid);
	*pid = 0;
}

/* The witness's next call. *ret_there etc. of a name; NULL: about the pool. */
static int ask(const char *name, uint64_t *ret_bytes)
{
	uint32_t n = atomic_load(&soak->witness.asked) + 1;
	double until = now_ms() + PATIENCE_MS;

	(void)snprintf(soak->witness.name, sizeof(soak->witness.name), "%s",
		       name ? name : "");
	atomic_store(&soak->witness.asked, n);
	while (atomic_load(&soak->witness.answered) != n) {
		check_faults();
		if (now_ms() > until) {
			print_error("the witness does not answer\n");
			fail();
		}
		nap(50);
	}
	*ret_bytes = soak->witness.bytes;
	return soak->witness.r;
}

static void start_witness(void)
{
	uint32_t n = atomic_load(&soak->witness.asked) + 1;
	double until = now_ms() + PATIENCE_MS;

	atomic_store(&soak->witness.asked, n);
	atomic_store(&soak->witness.answered, n - 1);
	witness = start(be_witness, 0);
	while (atomic_load(&soak->witness.answered) != n) {
		check_faults();
		assert_true(now_ms() < until);
		nap(200);
	}
}

/* --- Killing ---------------------------------------------------------------------- */

static const struct rec *in_flight(unsigned k)
{
	uint32_t n = atomic_load(&soak->w[k].n);
	const struct rec *rec = n ? &soak->w[k].recs[n - 1] : NULL;

	return rec && atomic_load(&rec->state) == REC_CALLING ? rec : NULL;
}

/* May it be he who has this device suspended? */
static bool may_suspend(unsigned k, unsigned minor)
{
	const struct rec *rec = in_flight(k);
	uint32_t its;

	if (!rec || (rec->op != OP_SNAPSHOT && rec->op != OP_CLONE))
		return false;
	its = rec->source == SHARED ? atomic_load(&soak->shared_minor)
				    : atomic_load(&soak->w[k].minors[rec->source]);
	return its == minor + 1;
}

/* Those of `mask` die together. *ret_ms: when the first signal went out. */
static void kill_workers(unsigned mask, double *ret_ms)
{
	*ret_ms = now_ms();
	for (unsigned k = 0; k < WORKERS; k++)
		if (mask & 1u << k)
			(void)kill(workers[k], SIGKILL);
	for (unsigned k = 0; k < WORKERS; k++) {
		if (!(mask & 1u << k))
			continue;
		reap(workers[k]);
		workers[k] = 0;
		figures.kills++;
	}
}

static void respawn(void)
{
	for (unsigned k = 0; k < WORKERS; k++)
		if (!workers[k])
			workers[k] = start(NULL, k);
}

/* Waits for somebody's suspend, and stops all others from beginning a call. */
static unsigned catch_window(unsigned *ret_minor)
{
	double until;
	unsigned mask = 0;
	int minor;

	nap(dice(700000)); /* time to get some work done */
	until = now_ms() + 2000;
	while ((minor = suspended_now()) < 0 && now_ms() < until)
		check_faults();
	if (minor < 0)
		return 0;
	atomic_store(&soak->hold, 1);
	for (unsigned k = 0; k < WORKERS; k++)
		mask |= (unsigned)may_suspend(k, (unsigned)minor) << k;
	*ret_minor = (unsigned)minor;
	if (dice(2))
		nap(dice(3000));
	return mask;
}

/* A call leaves the thawing to whoever has got the volume's lock from the dead: that is
 * done next by him. */
static bool thaws(unsigned minor)
{
	double until = now_ms() + 10000;

	while (is_suspended(minor)) {
		if (now_ms() > until)
			return false;
		check_faults();
		nap(1000);
	}
	return true;
}

/* Killed in the window, with others alive: the next call of any of them must thaw. */
static void kill_in_window(void)
{
	unsigned mask, minor;
	uint64_t bytes;
	double t;

	mask = catch_window(&minor);
	if (mask) {
		kill_workers(mask, &t);
		if (is_suspended(minor)) {
			figures.in_window++;
			assert_int_equal(ask(NULL, &bytes), 0);
			if (!thaws(minor)) {
				print_error("dm-%u is frozen after the next call\n",
					    minor);
				show_journal();
				fail();
			}
			figures.by_call[figures.n_by_call++] = now_ms() - t;
		}
	}
	atomic_store(&soak->hold, 0);
}

static void kill_at_random(void)
{
	double t;

	nap(dice(1u << (10 + dice(11)))); /* up to 1 s, most of them short */
	kill_workers(1u << dice(WORKERS), &t);
}

/* What the living see of a dead one's last call must be what it stays. */
struct sight {
	bool any;
	int r;
	uint64_t bytes;
};
static struct sight sights[WORKERS][NAMES];

static void look_at_what_they_left(void)
{
	struct model m;
	char name[16];

	for (unsigned k = 0; k < WORKERS; k++) {
		if (workers[k])
			continue;
		model_of(k, &m);
		for (unsigned i = 0; i < NAMES; i++) {
			struct sight *s = &sights[k][i];

			if (!m.e[i].unsure || s->any)
				continue;
			s->r = ask(name_in(k, i, name), &s->bytes);
			s->any = true;
		}
	}
}

static void round_of_kills(void)
{
	memset(sights, 0, sizeof(sights));
	start_witness();
	respawn();
	for (unsigned i = 0; i < ROUND_EVENTS; i++) {
		if (dice(2))
			kill_in_window();
		else
			kill_at_random();
		check_faults();
		look_at_what_they_left();
		respawn();
	}
	nap(dice(200000));
}

/* --- After a round ---------------------------------------------------------------- */

/* The last ones die; now and then in the window, with nobody left to thaw. */
static void kill_all_and_open(void)
{
	unsigned minor = 0;
	double t;
	bool frozen;

	end(&witness);
	(void)catch_window(&minor);
	kill_workers((1u << WORKERS) - 1, &t);
	atomic_store(&soak->hold, 0);
	frozen = suspended_now() >= 0;
	check_faults();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	t = now_ms() - t;
	if (suspended_now() >= 0) {
		print_error("dm-%d is frozen after the next open\n", suspended_now());
		show_journal();
		fail();
	}
	if (frozen) {
		figures.in_window++;
		figures.by_open[figures.n_by_open++] = t;
	}
}

static void resolve(unsigned k, unsigned i, struct entry *e)
{
	struct kvol_info info = { .size = sizeof(info) };
	char name[16];
	int r = kvol_stat(pool, name_in(k, i, name), &info, NULL);
	const char *fault = look_differs(&e->now, r, &info), *other = NULL;
	struct sight *s = &sights[k][i];

	assert_true(r == 0 || r == -ENOENT);
	if (fault && e->unsure) {
		other = look_differs(&e->other, r, &info);
		if (!other) {
			e->now = e->other;
			fault = NULL;
			figures.came++;
		}
	} else if (e->unsure) {
		figures.came_not++;
	}
	if (fault) {
		print_error("%s: %s%s%s\n", name, fault, other ? ", and if not: " : "",
			    other ? other : "");
		show_journal();
		fail();
	}
	if (s->any && (s->r != r || (r == 0 && s->bytes != info.bytes))) {
		print_error("%s: %d with %" PRIu64 " bytes after the death, "
			    "%d with %" PRIu64 " after all's\n",
			    name, s->r, s->bytes, r, r ? 0 : info.bytes);
		figures.late++;
	}
}

static void check_line(const char *name, const char *path, bool fs,
		       const struct line *line)
{
	int64_t n;

	if (!line->id)
		return;
	n = stamp_read(path, fs, line->id);
	if (n >= (int64_t)line->lo && n <= (int64_t)line->hi)
		return;
	print_error("%s: line %u says %" PRId64 ", and must be from %u to %u\n", name,
		    line->id, n, line->lo, line->hi);
	show_journal();
	fail();
}

static void check_data(unsigned k, unsigned i, const struct look *l, const char *path)
{
	char name[16];

	(void)name_in(k, i, name);
	check_line(name, path, l->fs, &l->own);
	check_line(name, path, l->fs, &l->inherited);
	/* Grown by a power of two, and the file system with it. */
	if (l->fs && fs_bytes(path) <= l->bytes / 2) {
		print_error("%s: a file system of %" PRIu64 " on %" PRIu64 " bytes\n",
			    name, fs_bytes(path), l->bytes);
		fail();
	}
}

/* What was published stands, and goes away without a trace; now and then another is
 * looked into. */
static void check_contents(unsigned k, unsigned i, struct entry *e)
{
	struct look *l = &e->now;
	const char *target = target_of(k, i, l->fs);
	bool mounted = is_mounted(target);
	char name[16];

	(void)name_in(k, i, name);
	if (!e->unsure && mounted != l->published) {
		print_error("%s: %spublished, and %smounted\n", name,
			    l->published ? "" : "not ", mounted ? "" : "not ");
		show_journal();
		fail();
	}
	if (l->there && !mounted && (e->unsure || dice(4) == 0)) {
		assert_ok(publish(name, target, l->fs ? 0 : KVOL_PUBLISH_BLOCK, NULL));
		mounted = true;
	}
	/* What a killed expand owes a file system that is in use, the next one gives. */
	if (l->there && e->unsure && l->kind == KVOL_KIND_VOLUME)
		assert_ok(kvol_expand(pool, name, l->bytes, 0, &err));
	if (l->there && mounted)
		check_data(k, i, l, target);
	assert_ok(kvol_unpublish(pool, name, target_of(k, i, true), NULL, &err));
	assert_ok(kvol_unpublish(pool, name, target_of(k, i, false), NULL, &err));
	assert_false(is_mounted(target_of(k, i, true)));
	assert_false(is_mounted(target_of(k, i, false)));
	l->published = false;
	e->unsure = false;
}

static void count_acknowledged(void)
{
	for (unsigned k = 0; k < WORKERS; k++) {
		for (uint32_t i = 0; i < atomic_load(&soak->w[k].n); i++) {
			const struct rec *r = &soak->w[k].recs[i];

			if (atomic_load(&r->state) != REC_DONE)
				continue;
			figures.acknowledged++;
			figures.verbs[r->op]++;
		}
	}
}

static void publish_shared(void)
{
	unsigned minor;

	assert_ok(kvol_publish(pool, SHARED_NAME, in_dir(SHARED_NAME), NULL, &err));
	assert_int_equal(sscanf(info_of(SHARED_NAME).device, "/dev/dm-%u", &minor), 1);
	atomic_store(&soak->shared_minor, minor + 1);
}

static void check_round(void)
{
	uint64_t expected = 1;
	struct line shared = { .id = SHARED_LINE };

	/* The writer was waiting for a thaw, if anybody was. */
	shared.lo = atomic_load(&soak->shared_done);
	end(&writer);
	shared.hi = atomic_load(&soak->shared_begun);
	check_line(SHARED_NAME, in_dir(SHARED_NAME), true, &shared);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		; /* what they had started */
	for (unsigned k = 0; k < WORKERS; k++) {
		struct model *m = &soak->w[k].start, now;

		model_of(k, &now);
		for (unsigned i = 0; i < NAMES; i++)
			resolve(k, i, &now.e[i]);
		pool_reopen(); /* what a program of a dead one held is gone now */
		for (unsigned i = 0; i < NAMES; i++) {
			check_contents(k, i, &now.e[i]);
			expected += now.e[i].now.there;
		}
		*m = now;
	}
	assert_int_equal(count(0), expected);
	assert_int_equal(suspended_now(), -1);
	assert_ok(kvol_unpublish(pool, SHARED_NAME, in_dir(SHARED_NAME), NULL, &err));
	at_rest.listing = 0;
	{
		struct kvol_pool *p = pool;

		pool = NULL; /* no digest of the listing, which is a new one */
		kvol_pool_close(p);
		assert_world(&at_rest, "a round", __FILE__, __LINE__);
	}
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	count_acknowledged();
	for (unsigned k = 0; k < WORKERS; k++)
		atomic_store(&soak->w[k].n, 0);
}

static void next_round(void)
{
	publish_shared();
	kvol_pool_close(pool);
	pool = NULL;
	writer = start(be_writer, 0);
	round_of_kills();
	kill_all_and_open();
	check_round();
	if (++figures.rounds % REST_EVERY == 0) {
		pool_rest();
		figures.rests++;
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void show_times(const char *what, double *ms, unsigned n)
{
	qsort(ms, n, sizeof(*ms), by_value);
	if (n)
		printf("# figure killed in the window, thawed by the next %s: "
		       "median %.1f ms, longest %.1f ms of %u\n",
		       what, ms[n / 2], ms[n - 1], n);
}

static void show_figures(void)
{
	const uint64_t *v = figures.verbs;

	printf("# figure kills: %u\n", figures.kills);
	printf("# figure rounds of kills checked against the model: %u\n",
	       figures.rounds);
	printf("# figure calls acknowledged: %u (create %" PRIu64 ", snapshot %" PRIu64
	       ", clone %" PRIu64 ", expand %" PRIu64 ", delete %" PRIu64
	       ", publish %" PRIu64 ", unpublish %" PRIu64 ", stat and list %" PRIu64
	       ", fsynced writes %" PRIu64 ")\n",
	       figures.acknowledged, v[OP_CREATE], v[OP_SNAPSHOT], v[OP_CLONE],
	       v[OP_EXPAND], v[OP_DELETE], v[OP_PUBLISH], v[OP_UNPUBLISH], v[OP_LOOK],
	       v[OP_STAMP]);
	printf("# figure calls in flight at a kill: %u came about, %u did not\n",
	       figures.came, figures.came_not);
	printf("# figure calls in flight whose outcome changed later: %u\n",
	       figures.late);
	printf("# figure kills between suspend and resume: %u\n", figures.in_window);
	show_times("open", figures.by_open, figures.n_by_open);
	show_times("call of another process", figures.by_call, figures.n_by_call);
	printf("# figure metadata checked by thin_check after kills: %u times\n",
	       figures.rests + 1);
	(void)fflush(stdout);
}

static unsigned kills_wanted(void)
{
	const char *given = getenv("KVOL_TEST_KILLS");

	if (given)
		return (unsigned)strtoul(given, NULL, 0);
	return getenv("KVOL_TEST_LONG") ? KILLS_LONG : KILLS_SHORT;
}

static void killed_workers_lose_nothing(void **state)
{
	unsigned kills = kills_wanted();

	(void)state;
	memset(&figures, 0, sizeof(figures));
	atomic_store(&soak->commits, 0);
	if (!pool) /* the other test failed */
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	while (figures.kills < kills)
		next_round();
	show_figures();
	assert_int_equal(figures.late, 0);
	assert_true(figures.in_window > 0); /* else nothing of it was tested */
}

/* A commit that its maker's death cut short is there or not, and what a living process
 * saw of it stays so when all handles are closed and the catalogue is opened anew. */
static void what_the_living_saw_of_a_killed_commit_stays(void **state)
{
	unsigned rounds = getenv("KVOL_TEST_LONG") ? COMMITS_LONG : COMMITS_SHORT;
	unsigned in_commit = 0;
	double t, until;
	struct model m;

	(void)state;
	atomic_store(&soak->commits, 1);
	for (unsigned i = 0; i < rounds; i++) {
		kvol_pool_close(pool);
		pool = NULL;
		memset(sights, 0, sizeof(sights));
		memset(&soak->w[0].start, 0, sizeof(soak->w[0].start));
		atomic_store(&soak->w[0].n, 0);
		start_witness();
		workers[0] = start(NULL, 0);
		for (until = now_ms() + PATIENCE_MS; atomic_load(&soak->w[0].n) < 4;) {
			check_faults();
			assert_true(now_ms() < until);
			nap(100);
		}
		nap(dice(20000));
		kill_workers(1, &t);
		model_of(0, &m);
		look_at_what_they_left();
		end(&witness);
		assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
		in_commit += m.e[0].unsure;
		resolve(0, 0, &m.e[0]);
		assert_ok(kvol_delete(pool, "w0.0", 0, &err));
	}
	atomic_store(&soak->commits, 0);
	memset(&soak->w[0].start, 0, sizeof(soak->w[0].start));
	atomic_store(&soak->w[0].n, 0);
	printf("# figure kills in a call of one commit, seen by the living and by the next open "
	       "alike: %u of %u\n",
	       in_commit - figures.late, in_commit);
	assert_int_equal(figures.late, 0);
}

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	soak = mmap(NULL, sizeof(*soak), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(soak != MAP_FAILED);
	atomic_store(&soak->next_line, SHARED_LINE + 1);
	(void)make_dir(SHARED_NAME);
	for (unsigned k = 0; k < WORKERS; k++) {
		for (unsigned i = 0; i < NAMES; i++) {
			(void)make_dir(strrchr(target_of(k, i, true), '/') + 1);
			(void)make_file(strrchr(target_of(k, i, false), '/') + 1);
		}
	}
	assert_ok(create_fs(SHARED_NAME, MIB(32), "ext4"));
	kvol_pool_close(pool);
	pool = NULL;
	world_now(&at_rest);
	assert_int_equal(at_rest.devices, STACK);
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_living_saw_of_a_killed_commit_stays),
		cmocka_unit_test(killed_workers_lose_nothing),
	};
	const char *seed = getenv("KVOL_TEST_SEED");

	need_device_mapper();
	rng = seed			 ? (unsigned)strtoul(seed, NULL, 0)
	      : getenv("KVOL_TEST_LONG") ? (unsigned)time(NULL)
					 : 1;
	printf("# seed %u\n", rng);
	(void)fflush(stdout);
	return cmocka_run_group_tests_name("kill", tests, up, pool_down);
}
