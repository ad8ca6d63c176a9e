/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Fails the N-th call of each kind in each scenario, N = 1, 2, ..., once and from there
 * on, and holds these against what is left:
 *   - 0: the outcome is the whole of what the call promises, after the next open as well;
 *   - an error: negative, the same in the struct, a reason that blames nobody else, one
 *     line that names the object, outputs untouched; wholly old or wholly new after the
 *     next open; the same call on the same handle succeeds once the failure is over;
 *   - nothing leaks: memory, SQLite's memory, file descriptors, devices, mounts, loop
 *     devices, temporary files; nothing stays suspended;
 *   - a process that is killed right after a failure of the catalogue's I/O leaves wholly
 *     old or wholly new, too.
 * What is old and what is new is taken from two runs without a failure: a text that tells
 * all that can be seen of the pool and of the kernel.
 *
 * Each point is run twice or three times from the same state: to look at it after the
 * next open, to repeat the call, and to be killed. The short form takes one of each kind
 * in one scenario, once or from there on. KVOL_TEST_FAILPOINT runs one point
 * alone: "SCENARIO/KIND/once|forever/N", a beginning or a shell pattern of that; with
 * KVOL_TEST_LONG if the short form does not have it.
 */

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failures.h"
#include "verb.h"

#define HEAD_SIZE      4096
#define TEXT_SIZE      16384
#define FLAWS_MAX      6 /* printed of a kind in a scenario */
#define BETWEEN_MAX    8
#define POINTS_MAX     100000
#define VERBS_MAX      128
#define DEADLINES_LESS 1000

struct kvol_pool *other_pool;
struct kvol_iter *open_iter;
struct kvol_label_iter *open_labels;
struct kvol_publish_iter *open_publishes;

/* What is seen from outside, between calls. */
struct machine {
	unsigned devices, mounts, loops;
};

struct state {
	struct machine left; /* when all handles are closed */
	char text[TEXT_SIZE];
	int fds; /* when none is */
};

static struct {
	const struct scenario *s;
	enum failpoint_kind kind;
	bool forever;
	unsigned nth;
	const char *phase;
	struct model_saved *disk;
	char head[HEAD_SIZE];
	struct state old, new, between[BETWEEN_MAX];
	struct state killed; /* new, by one who was killed after it */
	size_t n_between;
	int fds;
	unsigned flaws, flaws_before; /* this kind */
	unsigned n_failed;
	/* How many there are of each, or about: a failure may lead past some, or to
	 * others. */
	unsigned points[FAILPOINT_KINDS];
} run;

static unsigned n_failed[FAILPOINT_KINDS], n_points[FAILPOINT_KINDS], n_runs;
static const char *failed_verbs[VERBS_MAX];
static size_t n_failed_verbs;

static bool long_form(void)
{
	const char *value = getenv("KVOL_TEST_LONG");

	return value && *value && strcmp(value, "0");
}

/* Which points the short form takes. */
static uint64_t seed(void)
{
	const char *value = getenv("KVOL_TEST_SEED");

	return value ? strtoull(value, NULL, 0) : 1;
}

static unsigned draw(unsigned below)
{
	return (unsigned)(kv_hash64(run.s->name, strlen(run.s->name),
				    FAILPOINT_KINDS * seed() + run.kind) %
			  below);
}

static bool takes(bool forever)
{
	return long_form() || draw(2) == forever;
}

/* --- Saying what is wrong --------------------------------------------------------- */

void flaw(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	run.flaws++;
	if (run.flaws - run.flaws_before > FLAWS_MAX)
		return;
	printf("# %s/%s/%s/%u, %s: %s\n", run.s->name, failpoint_names[run.kind],
	       run.forever ? "forever" : "once", run.nth, run.phase, text);
}

bool touched(const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		if (bytes[i] != PATTERN)
			return true;
	return false;
}

/* A few more forks than an allocator's memory of the past should be copied in. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

/* --- What is seen ----------------------------------------------------------------- */

struct text {
	char *at;
	size_t left;
};

static __attribute__((format(printf, 2, 3))) void say(struct text *t, const char *fmt,
						      ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	assert_true(n >= 0 && (size_t)n < t->left);
	t->at += n;
	t->left -= (size_t)n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Numbers of devices and mounts are not the same in every run. */
static void sort_lines(char *text)
{
	char *lines[256], *copy = strdup(text), *save = NULL, *to = text;
	size_t n = 0;

	assert_non_null(copy);
	for (char *p = strtok_r(copy, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		assert_true(n < KV_ARRAY_SIZE(lines));
		lines[n++] = p;
	}
	qsort(lines, n, sizeof(lines[0]), by_text);
	for (size_t i = 0; i < n; i++)
		to += sprintf(to, "%s\n", lines[i]);
	free(copy);
}

static void say_labels(struct text *t, struct kvol_pool *pool, const char *name)
{
	struct kvol_label_iter *iter = NULL;
	struct kvol_label label;

	if (kvol_label_list(pool, name, &iter, NULL) < 0)
		say(t, "the labels cannot be listed\n");
	while (iter && kvol_label_iter_next(iter, &label) == 1)
		say(t, "label of %s %s=%s\n", name ? name : "the pool", label.key,
		    label.value);
	kvol_label_iter_free(iter);
}

static void say_publishes(struct text *t, struct kvol_pool *pool)
{
	struct kvol_publish_info info = { .size = sizeof(info) };
	struct kvol_publish_iter *iter = NULL;

	if (kvol_publish_list(pool, NULL, &iter, NULL) < 0)
		say(t, "the publishes cannot be listed\n");
	while (iter && kvol_publish_iter_next(iter, &info) == 1)
		say(t, "publish of %s at %s:%s flags %u labels %llu\n", info.volume,
		    info.mount_namespace, info.target, info.flags,
		    (unsigned long long)info.n_labels);
	kvol_publish_iter_free(iter);
}

static void say_volumes(struct text *t, struct kvol_pool *pool)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter = NULL;
	int r;

	assert_int_equal(kvol_list(pool, 0, &iter, NULL), 0);
	while ((r = kvol_iter_next(iter, &info)) == 1) {
		say(t,
		    "volume %s kind %u bytes %llu fs '%s' of '%s' targets %u allocated %llu%s\n",
		    info.name, info.kind, (unsigned long long)info.bytes, info.fs_type,
		    info.source, info.n_targets, (unsigned long long)info.allocated,
		    info.device[0] ? " active" : "");
		say_labels(t, pool, info.name);
	}
	kvol_iter_free(iter);
	if (r < 0)
		say(t, "the listing fails: %d\n", r);
}

static void say_pool(struct text *t, struct kvol_pool *pool)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	assert_int_equal(kvol_pool_stat(pool, &info, NULL), 0);
	say(t, "policy %llu %llu %llu\n", (unsigned long long)info.max_volumes,
	    (unsigned long long)info.max_published, (unsigned long long)info.overcommit);
	say(t, "pool %s flags %u volumes %llu snapshots %llu data %llu metadata %llu\n",
	    info.name, info.flags, (unsigned long long)info.n_volumes,
	    (unsigned long long)info.n_snapshots, (unsigned long long)info.data_used,
	    (unsigned long long)info.metadata_used);
}

static void say_thins(struct text *t, struct model_disk *disk)
{
	char *begin = t->at;

	for (struct model_thin *x = disk->metadata.thins;
	     x < disk->metadata.thins + MODEL_THINS; x++)
		if (x->used)
			say(t, "thin %llu mapped, %s of %llu%s%s\n",
			    (unsigned long long)x->mapped,
			    x->content.fs[0] ? x->content.fs : "nothing",
			    (unsigned long long)x->content.bytes,
			    x->content.torn ? ", torn" : "",
			    x->content.unclean ? ", unclean" : "");
	sort_lines(begin);
}

static void say_kernel(struct text *t, struct kvol_pool *pool)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	char *begin = t->at;
	struct kv_dm_id id;

	assert_int_equal(kvol_pool_stat(pool, &info, NULL), 0);
	kv_dm_id_part(&id, info.uuid, "");
	model_sweep();
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		if (d->used && !strncmp(d->id.uuid, id.uuid, strlen(id.uuid)))
			say(t, "device %s %llu%s%s%s\n", d->table.type,
			    (unsigned long long)d->table.sectors,
			    d->table.readonly ? " read-only" : "",
			    d->suspended ? " suspended" : "",
			    d->deferred ? " deferred" : "");
	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && m->ns >= 0)
			say(t, "mount %d:%s attr %llx%s%s '%s'\n", m->ns, m->path,
			    (unsigned long long)m->attr, m->node ? " node" : "",
			    m->super_readonly ? " ro" : "", m->super);
	sort_lines(begin);
}

static void say_owed(struct text *t, struct fixture *f)
{
	say(t, "reservations %d tombstones %d flags %d epoch %s\n",
	    (int)query(f, "SELECT count(*) FROM reservation"),
	    (int)query(f, "SELECT count(*) FROM volume WHERE name IS NULL"),
	    (int)query(f, "SELECT coalesce(sum(flags), 0) FROM volume"),
	    query(f, "SELECT epoch FROM pool") ==
			    (int64_t)disk_of(f)->metadata.transaction_id
		    ? "settled"
		    : "not settled");
}

static struct machine machine_now(void)
{
	return (struct machine){ model_n_devs(), model_n_mounts(), model_n_loops() };
}

/* Opens the pool as the next process would, and tells all. */
static void look(struct fixture *f, struct state *ret)
{
	struct text t = { ret->text, sizeof(ret->text) };
	struct kvol_pool *pool = NULL;
	struct kvol_error e;
	int r;

	ret->left = machine_now();
	r = kvol_pool_open(f->ctx, f->path, NULL, &pool, &e);
	if (r == -ENOENT || r == -EMEDIUMTYPE) {
		say(&t, "no pool: %s\n", kvol_reason_str(e.reason));
		return;
	}
	if (r < 0) {
		say(&t, "the pool does not open: %s\n", e.msg);
		return;
	}
	say_pool(&t, pool);
	say_labels(&t, pool, NULL);
	say_volumes(&t, pool);
	say_publishes(&t, pool);
	say_thins(&t, disk_of(f));
	say_kernel(&t, pool);
	say_owed(&t, f);
	kvol_pool_close(pool);
}

/* --- One run ---------------------------------------------------------------------- */

static void close_all(struct fixture *f)
{
	kvol_iter_free(open_iter);
	kvol_label_iter_free(open_labels);
	open_labels = NULL;
	kvol_publish_iter_free(open_publishes);
	open_publishes = NULL;
	open_iter = NULL;
	kvol_pool_close(other_pool);
	other_pool = NULL;
	kvol_pool_close(f->pool);
	f->pool = NULL;
}

/* The disk's own file, of which the first block is real. */
static void get_head(struct fixture *f, char head[HEAD_SIZE])
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && pread(fd, head, HEAD_SIZE, 0) == HEAD_SIZE);
}

static void put_head(struct fixture *f, const char head[HEAD_SIZE])
{
	_cleanup_close_ int fd = open(f->path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0 && pwrite(fd, head, HEAD_SIZE, 0) == HEAD_SIZE);
}

static void boot(struct fixture *f)
{
	model_power_cut();
	model_restore(run.disk);
	if (run.s->disk)
		put_head(f, run.head);
	if (run.s->boot && !run.s->running)
		run.s->boot(f);
}

static void check_message(const struct kvol_error *e)
{
	char words[256], *save = NULL;

	if (!memchr(e->msg, 0, sizeof(e->msg)) || !e->msg[0] || strpbrk(e->msg, "\r\n")) {
		flaw("the message is not one line");
		return;
	}
	(void)kv_strcpy(words, sizeof(words), run.s->object);
	for (char *p = strtok_r(words, "|", &save); p; p = strtok_r(NULL, "|", &save))
		if (strstr(e->msg, p))
			return;
	flaw("the message names no object: %s", e->msg);
}

/* What failed is a disk, memory, or the like: nobody may be told to mend, or to make
 * anew, something else. */
static bool blames_right(uint32_t reason)
{
	return reason == KVOL_R_SYSTEM || reason == KVOL_R_IO ||
	       reason == KVOL_R_TIMEOUT ||
	       (reason == KVOL_R_BUSY_OPEN && run.kind == FAIL_IOCTL_BUSY);
}

static void check_error(struct fixture *f, int r)
{
	bool filled = touched(&f->e, sizeof(f->e));

	if (r >= 0 && filled)
		flaw("gave %d and filled the error: %s", r, f->e.msg);
	if (r >= 0 || run.s->silent)
		return;
	if (!filled) {
		flaw("failed with %d and left the error alone", r);
		return;
	}
	if (f->e.code != r)
		flaw("returned %d, the error says %d: %s", r, f->e.code, f->e.msg);
	if (r != run.s->result && !blames_right(f->e.reason))
		flaw("the reason is %s: %s", kvol_reason_str(f->e.reason), f->e.msg);
	check_message(&f->e);
}

static unsigned suspended_devices(void)
{
	unsigned n = 0;

	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		n += d->used && d->suspended;
	return n;
}

/* Returns whether anything failed. */
static bool call(struct fixture *f, int *ret_r)
{
	unsigned suspended = suspended_devices(), failed;

	prepare_error(f);
	n_runs++;
	failpoint_arm(run.kind, run.nth, run.forever);
	*ret_r = run.s->call(f);
	failed = failpoint_disarm(NULL);
	if (*ret_r >= 0 && *ret_r != run.s->result)
		flaw("gave %d, not %d", *ret_r, run.s->result);
	if (!failed && *ret_r != run.s->result)
		flaw("nothing failed, and it gave %d: %s", *ret_r,
		     touched(&f->e, sizeof(f->e)) ? f->e.msg : "");
	check_error(f, *ret_r);
	if (suspended_devices() > suspended && !run.forever)
		flaw("a device is suspended");
	return failed;
}

static unsigned temporary_files(const char *path)
{
	char below[2 * MODEL_PATH];
	struct dirent *d;
	unsigned n = 0;
	DIR *dir = opendir(path);

	if (!dir)
		return 0;
	while ((d = readdir(dir))) {
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") &&
		    strcmp(d->d_name, "..")) {
			(void)snprintf(below, sizeof(below), "%s/%.250s", path,
				       d->d_name);
			n += temporary_files(below);
		}
		n += !strncmp(d->d_name, ".tmp-", 5);
	}
	(void)closedir(dir);
	return n;
}

static void check_count(const char *what, size_t offset, const struct machine *is)
{
#define COUNT(m) (*(const unsigned *)((const char *)(m) + offset))
	if (COUNT(is) == COUNT(&run.old.left) || COUNT(is) == COUNT(&run.new.left))
		return;
	/* A deactivation that stopped half-way is repeated. */
	if (!strcmp(run.s->verb, "kvol_pool_deactivate") && KIND(run.kind) & IOCTL_KINDS)
		return;
	if (KIND(run.kind) & IOCTL_KINDS && is->devices >= run.new.left.devices &&
	    is->devices <= run.new.left.devices + run.s->idle_left)
		return;
	for (size_t i = 0; i < run.n_between; i++)
		if (COUNT(is) == COUNT(&run.between[i].left))
			return;
	flaw("%u %s are left, not %u or %u", COUNT(is), what, COUNT(&run.old.left),
	     COUNT(&run.new.left));
#undef COUNT
}

/* After a single failure the undoing worked: nothing is left of the call in the kernel.
 */
static void check_machine(struct fixture *f, const struct machine *is)
{
	check_count("devices", offsetof(struct machine, devices), is);
	check_count("mounts", offsetof(struct machine, mounts), is);
	check_count("loop devices", offsetof(struct machine, loops), is);
	if (temporary_files(f->run_dir))
		flaw("a temporary file is left");
}

static void check_closed(void)
{
	int fds = count_fds();

	if (fds != run.fds)
		flaw("%d file descriptors are open, not %d", fds, run.fds);
	if (model->disaster[0])
		flaw("disaster: %s", model->disaster);
	model->disaster[0] = '\0';
}

static void check_allocated(long before)
{
	long now = failpoint_allocated();

	if (now != before)
		flaw("%ld allocations are left", now - before);
}

static bool has_line(const char *text, const char *line, size_t n)
{
	for (const char *p = text; *p; p = strchr(p, '\n') + 1)
		if (!strncmp(p, line, n) && p[n] == '\n')
			return true;
	return false;
}

static void print_lines(char sign, const char *text, const char *but_not)
{
	const char *end;

	for (const char *p = text; *p; p = end + 1) {
		end = strchr(p, '\n');
		if (!has_line(but_not, p, (size_t)(end - p)))
			printf("#   %c %.*s\n", sign, (int)(end - p), p);
	}
}

static void differs(const struct state *is, const struct state *from, const char *what,
		    int r)
{
	flaw("it gave %d, and what there is differs from the %s:", r, what);
	if (run.flaws - run.flaws_before > FLAWS_MAX)
		return;
	print_lines('+', is->text, from->text);
	print_lines('-', from->text, is->text);
}

static void check_state(const struct state *is, const struct state *new, int r)
{
	if (r == run.s->result) {
		if (strcmp(is->text, new->text))
			differs(is, new, "new", r);
		return;
	}
	if (!strcmp(is->text, run.old.text) || !strcmp(is->text, run.new.text))
		return;
	for (size_t i = 0; i < run.n_between; i++)
		if (!strcmp(is->text, run.between[i].text))
			return;
	differs(is, &run.old, "old", r);
	differs(is, &run.new, "new", r);
}

/* The call fails; then what the next process sees. Returns whether it met the failure. */
static bool run_and_look(struct fixture *f)
{
	static struct state is;
	long before = failpoint_allocated();
	bool met;
	int r;

	run.phase = "looked at";
	boot(f);
	met = call(f, &r);
	close_all(f);
	check_closed();
	check_allocated(before);
	look(f, &is);
	if (!run.forever)
		check_machine(f, &is.left);
	check_state(&is, &run.new, r);
	check_closed();
	check_allocated(before);
	return met;
}

/* The call fails, and is repeated when nothing fails any more. */
static void run_and_repeat(struct fixture *f)
{
	static struct state is;
	int r;

	run.phase = "repeated";
	boot(f);
	(void)call(f, &r);
	prepare_error(f);
	r = run.s->call(f);
	if (r != run.s->result)
		flaw("repeated without failures it gives %d: %s", r,
		     touched(&f->e, sizeof(f->e)) ? f->e.msg : "");
	close_all(f);
	look(f, &is);
	/* Where nothing worked any more, what was to be undone may stay. */
	if (memcmp(&is.left, &run.new.left, sizeof(is.left)) && !run.forever &&
	    !(run.s->idle_left && KIND(run.kind) & IOCTL_KINDS))
		flaw("devices %u, mounts %u, loops %u are left, not %u, %u, %u",
		     is.left.devices, is.left.mounts, is.left.loops, run.new.left.devices,
		     run.new.left.mounts, run.new.left.loops);
	check_state(&is, &run.new, run.s->result);
	check_closed();
}

static int boot_and_die(void *arg)
{
	struct fixture *f = arg;
	int r;

	boot(f);
	prepare_error(f);
	failpoint_arm(run.kind, run.nth, run.forever);
	r = run.s->call(f);
	return r == run.s->result ? 1 : 2;
}

/* The call fails, and its process is killed before it can do anything about it. */
static void run_and_die(struct fixture *f)
{
	static struct state is;
	int code;

	run.phase = "killed";
	code = model_in_child(boot_and_die, f);
	if (code != 1 && code != 2)
		flaw("the child ended with %d", code);
	look(f, &is);
	check_state(&is, &run.killed, code == 1 ? run.s->result : -1);
	check_closed();
}

/* --- All runs --------------------------------------------------------------------- */

static bool wanted(void)
{
	const char *one = getenv("KVOL_TEST_FAILPOINT");
	char name[160];

	if (!one)
		return true;
	(void)snprintf(name, sizeof(name), "%s/%s/%s/%u", run.s->name,
		       failpoint_names[run.kind], run.forever ? "forever" : "once",
		       run.nth);
	return !strncmp(name, one, strlen(one)) || !fnmatch(one, name, FNM_EXTMATCH);
}

static void fail_each(struct fixture *f)
{
	unsigned n = run.points[run.kind], by = 1, first = 1;
	bool met = n > 0;

	if (!long_form() && n > 1) {
		by = n;
		first += draw(2 * n) / 2;
	}
	n_points[run.kind] += n;
	for (run.nth = first; met; run.nth += by) {
		if (run.nth > POINTS_MAX) {
			flaw("there is no end");
			return;
		}
		if (!wanted()) {
			met = run.nth < n;
			continue;
		}
		met = run_and_look(f);
		if (!met)
			break;
		n_failed[run.kind]++;
		run.n_failed++;
		if (!run.s->no_repeat)
			run_and_repeat(f);
		if (long_form() || (run.nth == first && KIND(run.kind) & DB_IO_KINDS))
			run_and_die(f);
	}
}

struct stop {
	struct fixture *f;
	const char *step;
	unsigned nth;
};

static int boot_and_crash(void *arg)
{
	struct stop *x = arg;

	boot(x->f);
	model_crash(x->step, x->nth);
	(void)run.s->call(x->f);
	return 0;
}

static void stop_at(struct fixture *f, const char *step, unsigned nth)
{
	struct stop x = { f, step + 1, nth };

	if (step[0] == '!') {
		if (model_in_child(boot_and_crash, &x) != MODEL_CRASHED)
			flaw("it is not killed at %s", step);
		model_forget_plans();
		return;
	}
	boot(f);
	model_fail(step, nth, -EIO);
	if (run.s->call(f) >= 0)
		flaw("it does not fail at %s", step);
	model_forget_plans();
	close_all(f);
}

static void take_states(struct fixture *f)
{
	char steps[256], *save = NULL, *nth;
	int r;

	run.kind = FAIL_MEMORY;
	run.nth = 0;
	run.phase = "without failures";
	boot(f);
	close_all(f);
	look(f, &run.old);
	boot(f);
	prepare_error(f);
	failpoint_arm(run.kind, UINT_MAX, false);
	r = run.s->call(f);
	(void)failpoint_disarm(run.points);
	if (r != run.s->result)
		flaw("it gives %d: %s", r, r < 0 && !run.s->silent ? f->e.msg : "");
	close_all(f);
	look(f, &run.new);
	/* What can be told to the catalogue later is not told by one who is killed. */
	run.nth = UINT_MAX;
	if (model_in_child(boot_and_die, f) != 1)
		flaw("it gives something else in a child");
	look(f, &run.killed);
	run.n_between = 0;
	(void)kv_strcpy(steps, sizeof(steps), run.s->between ? run.s->between : "");
	for (char *p = strtok_r(steps, "|", &save); p; p = strtok_r(NULL, "|", &save)) {
		assert_true(run.n_between < BETWEEN_MAX);
		nth = strchr(p, '#');
		if (nth)
			*nth++ = '\0';
		stop_at(f, p, nth ? (unsigned)atoi(nth) : 1);
		look(f, &run.between[run.n_between++]);
	}
	if (run.s->stopped) {
		assert_true(run.n_between < BETWEEN_MAX);
		boot(f);
		run.s->stopped(f);
		close_all(f);
		look(f, &run.between[run.n_between++]);
	}
}

static void note_verb(void)
{
	if (!run.n_failed != run.s->cannot_fail) {
		if (!getenv("KVOL_TEST_FAILPOINT"))
			flaw("%u failures came to it", run.n_failed);
		return;
	}
	assert_true(n_failed_verbs < VERBS_MAX);
	failed_verbs[n_failed_verbs++] = run.s->verb;
}

static void run_scenario(void **state)
{
	struct fixture *f;

	run.s = *state;
	run.flaws = 0;
	run.n_failed = 0;
	run.fds = count_fds();
	(void)(run.s->disk ? setup_pool(state) : setup_machine(state));
	f = *state;
	if (run.s->disk) {
		run.s->disk(f);
		close_pool(f);
		get_head(f, run.head);
	}
	if (run.s->running) {
		run.s->boot(f);
		close_all(f);
	}
	run.disk = run.s->running ? model_save_running() : model_save();
	model->deadline_divisor = DEADLINES_LESS;
	run.fds = count_fds();
	take_states(f);
	for (int kind = 0; kind < FAILPOINT_KINDS; kind++) {
		run.kind = (enum failpoint_kind)kind;
		for (int forever = 0; forever < 2; forever++) {
			run.forever = forever;
			run.flaws_before = run.flaws;
			if (takes(forever))
				fail_each(f);
			else
				n_points[kind] += run.points[kind];
		}
	}
	note_verb();
	model_saved_free(run.disk);
	model_power_cut();
	(void)teardown(state);
	assert_int_equal(run.flaws, 0);
}

void print_figures(const struct group *group)
{
	unsigned failed = 0;

	for (int kind = 0; kind < FAILPOINT_KINDS; kind++) {
		failed += n_failed[kind];
		if (n_points[kind])
			printf("# figure %s, each %s once and from there on: %u of %u\n",
			       group->name, failpoint_names[kind], n_failed[kind],
			       n_points[kind]);
	}
	if (!long_form())
		printf("# KVOL_TEST_SEED=%" PRIu64 " chose them\n", seed());
	printf("# figure %s injected: %u\n", group->name, failed);
	printf("# figure %s, calls with one in them: %u\n", group->name, n_runs);
}

bool group_has(const struct group *group, const char *verb)
{
	for (size_t i = 0; i < group->n; i++)
		if (!strcmp(group->scenarios[i].verb, verb))
			return true;
	return false;
}

bool verb_was_failed(const char *verb)
{
	for (size_t i = 0; i < n_failed_verbs; i++)
		if (!strcmp(failed_verbs[i], verb))
			return true;
	return false;
}

int run_group(const struct group *group)
{
	struct CMUnitTest *tests = calloc(group->n, sizeof(*tests));
	int failed;

	assert_non_null(tests);
	for (size_t i = 0; i < group->n; i++)
		tests[i] = (struct CMUnitTest){
			.name = group->scenarios[i].name,
			.test_func = run_scenario,
			.initial_state = (void *)&group->scenarios[i],
		};
	failed = _cmocka_run_group_tests(group->name, tests, group->n, NULL, NULL);
	free(tests);
	return failed;
}
