// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The processes of test_kill: workers that go through the verbs on names of their own and
 * on one origin that they share, a writer that never stops writing to that origin, and a
 * witness that has the pool open and does nothing until it is asked.
 *
 * No cmocka assertion runs here: whatever the contract does not have is reported through
 * the shared memory.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

#define FS_BYTES   MIB(32)
#define RAW_BYTES  MIB(8)
#define GROWN_MAX  MIB(128)
#define RAW_PLACES 64

struct soak *soak;

void report(const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&soak->faulty, 1))
		return; /* the first one counts */
	va_start(ap, fmt);
	(void)vsnprintf(soak->fault, sizeof(soak->fault), fmt, ap);
	va_end(ap);
}

static void nap(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	(void)nanosleep(&t, NULL);
}

const char *target_of(unsigned worker, unsigned i, bool fs)
{
	return in_dir("%c%u.%u", fs ? 'd' : 'n', worker, i);
}

/* --- Stamps ----------------------------------------------------------------------- */

struct page {
	char magic[8];
	uint32_t line, n;
	uint32_t words[(PAGE - 16) / 4]; /* each follows from the two */
};

static uint32_t word_of(uint32_t line, uint32_t n, size_t i)
{
	return (line * 2654435761u ^ n * 40503u) + (uint32_t)i;
}

/* fs: path is the mount point. Raw: the node; a line has its place on the device. */
static int open_stamp(const char *path, bool fs, uint32_t line, int flags, off_t *ret)
{
	char file[1200];

	*ret = fs ? 0 : (off_t)(line % RAW_PLACES) * (64 << 10);
	if (!fs)
		return open(path, flags | O_CLOEXEC);
	(void)snprintf(file, sizeof(file), "%s/stamp-%u", path, line);
	return open(file, flags | (flags == O_RDONLY ? 0 : O_CREAT) | O_CLOEXEC, 0644);
}

int stamp(const char *path, bool fs, uint32_t line, uint32_t n)
{
	struct page page = { .magic = "kvolkill", .line = line, .n = n };
	off_t at;
	int fd = open_stamp(path, fs, line, O_RDWR, &at), r = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < N_OF(page.words); i++)
		page.words[i] = word_of(line, n, i);
	if (pwrite(fd, &page, sizeof(page), at) != sizeof(page) || fsync(fd) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

int64_t stamp_read(const char *path, bool fs, uint32_t line)
{
	struct page page = { .n = 0 };
	off_t at;
	int fd = open_stamp(path, fs, line, O_RDONLY, &at);
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	n = pread(fd, &page, sizeof(page), at);
	(void)close(fd);
	if (n == 0) /* its size was not on the disk yet */
		return 0;
	if (n != sizeof(page))
		return -EIO;
	if (memcmp(page.magic, "kvolkill", 8) != 0 || page.line != line)
		return page.line == 0 && page.magic[0] == 0 ? 0 : fs ? -EBADMSG : 0;
	for (size_t i = 0; i < N_OF(page.words); i++)
		if (page.words[i] != word_of(line, page.n, i))
			return -EBADMSG;
	return page.n;
}

/* --- Workers ---------------------------------------------------------------------- */

static struct kvol_pool *handle;
static struct model mine;
static unsigned self, rng;

static unsigned dice(unsigned n)
{
	return (unsigned)rand_r(&rng) % n;
}

/* A name that is there, or is not, and of which that is known. */
static bool pick(bool there, unsigned *ret)
{
	for (unsigned i = 0, from = dice(NAMES); i < NAMES; i++) {
		struct entry *e = &mine.e[(from + i) % NAMES];

		if (!e->unsure && e->now.there == there) {
			*ret = (from + i) % NAMES;
			return true;
		}
	}
	return false;
}

static bool plan_copy(struct rec *rec)
{
	bool shared = dice(2);

	rec->op = dice(3) ? OP_SNAPSHOT : OP_CLONE;
	rec->source = SHARED;
	if (!pick(false, &rec->name) || (!shared && !pick(true, &rec->source)))
		return false;
	rec->bytes = rec->source == SHARED ? FS_BYTES : mine.e[rec->source].now.bytes;
	return true;
}

static bool plan_create(struct rec *rec)
{
	rec->op = OP_CREATE;
	rec->fs = dice(3) == 0;
	rec->bytes = rec->fs ? FS_BYTES : RAW_BYTES;
	return pick(false, &rec->name);
}

static bool plan_stamp(struct rec *rec, const struct look *l)
{
	uint32_t line = l->own.id;

	rec->op = OP_STAMP;
	if (!l->published || l->kind != KVOL_KIND_VOLUME)
		return false;
	while (!line || line % RAW_PLACES == l->inherited.id % RAW_PLACES)
		line = atomic_fetch_add(&soak->next_line, 1);
	rec->line = line;
	rec->n = l->own.hi + 1;
	return true;
}

static bool plan_commit(struct rec *rec)
{
	struct look *l = &mine.e[0].now;

	if (mine.e[0].unsure)
		return false;
	rec->op = !l->there ? OP_CREATE : l->bytes < GROWN_MAX ? OP_EXPAND : OP_DELETE;
	rec->bytes = l->there ? 2 * l->bytes : RAW_BYTES;
	return true;
}

/* False: not now. */
static bool plan(struct rec *rec)
{
	unsigned d = dice(100);
	struct look *l;

	memset(rec, 0, sizeof(*rec));
	if (atomic_load(&soak->commits))
		return plan_commit(rec);
	if (d < 28)
		return plan_copy(rec);
	if (d < 42)
		return plan_create(rec);
	if (!pick(true, &rec->name))
		return false;
	l = &mine.e[rec->name].now;
	rec->fs = l->fs;
	if (d < 62)
		return plan_stamp(rec, l);
	if (d < 70) {
		rec->op = OP_EXPAND;
		rec->bytes = 2 * l->bytes;
		return l->kind == KVOL_KIND_VOLUME && rec->bytes <= GROWN_MAX;
	}
	if (d < 82) {
		rec->op = OP_PUBLISH;
		return !l->published;
	}
	if (d < 88) {
		rec->op = OP_UNPUBLISH;
		return l->published;
	}
	if (d < 96) {
		rec->op = OP_DELETE;
		return !l->published;
	}
	rec->op = OP_LOOK;
	return true;
}

static void remember_minor(const char *name, unsigned i)
{
	struct kvol_info info = { .size = sizeof(info) };
	unsigned minor;

	if (kvol_stat(handle, name, &info, NULL) == 0 &&
	    sscanf(info.device, "/dev/dm-%u", &minor) == 1)
		atomic_store(&soak->w[self].minors[i], minor + 1);
}

static int look(const char *name, struct kvol_error *e)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	int r;

	if (dice(2))
		return kvol_stat(handle, name, &info, e);
	r = kvol_list(handle, 0, &iter, e);
	if (r < 0)
		return r;
	while ((r = kvol_iter_next(iter, &info)) == 1)
		;
	kvol_iter_free(iter);
	return r;
}

static int run(const struct rec *rec, struct kvol_error *e)
{
	struct kvol_create_opts create = { .size = sizeof(create),
					   .fs_type = rec->fs ? "ext4" : NULL };
	struct kvol_publish_opts block = { .size = sizeof(block),
					   .flags = KVOL_PUBLISH_BLOCK };
	const char *target = target_of(self, rec->name, rec->fs);
	char name[16], source[16];

	(void)name_in(self, rec->name, name);
	(void)name_in(self, rec->source, source);
	switch (rec->op) {
	case OP_CREATE:
		return kvol_create(handle, name, rec->bytes, &create, e);
	case OP_SNAPSHOT:
		return kvol_snapshot(handle, source, name, NULL, e);
	case OP_CLONE:
		return kvol_clone(handle, source, name, NULL, e);
	case OP_EXPAND:
		return kvol_expand(handle, name, rec->bytes, 0, e);
	case OP_DELETE:
		return kvol_delete(handle, name, 0, e);
	case OP_PUBLISH:
		return kvol_publish(handle, name, target, rec->fs ? NULL : &block, e);
	case OP_UNPUBLISH:
		return kvol_unpublish(handle, name, target, NULL, e);
	case OP_STAMP:
		e->reason = KVOL_R_NONE;
		(void)snprintf(e->msg, sizeof(e->msg), "write to %.200s", target);
		return stamp(target, rec->fs, rec->line, rec->n);
	default:
		return look(name, e);
	}
}

/* After this the call may be in flight for all that the killer knows. */
static void enter(struct rec *rec)
{
	for (;;) {
		atomic_store(&rec->state, REC_CALLING);
		if (!atomic_load(&soak->hold))
			return;
		atomic_store(&rec->state, REC_BEGUN);
		while (atomic_load(&soak->hold))
			nap(200);
	}
}

static void step(void)
{
	static const char *const ops[N_OPS] = { "create",    "snapshot", "clone",
						"expand",    "delete",	 "publish",
						"unpublish", "stamp",	 "look" };
	uint32_t n = atomic_load(&soak->w[self].n);
	struct rec *rec = &soak->w[self].recs[n];
	struct kvol_error e = { .reason = 0 };
	char name[16];

	if (n >= RECORDS || !plan(rec)) {
		nap(200);
		return;
	}
	rec->lo = atomic_load(&soak->shared_done);
	rec->hi = UINT32_MAX;
	atomic_store(&rec->state, REC_BEGUN);
	atomic_store(&soak->w[self].n, n + 1);
	enter(rec);
	rec->r = run(rec, &e);
	rec->hi = atomic_load(&soak->shared_begun);
	atomic_store(&rec->state, REC_DONE);
	if (rec->r < 0)
		report("%s of %s: %d (%s) %s", ops[rec->op],
		       name_in(self, rec->name, name), rec->r, kvol_reason_str(e.reason),
		       e.msg);
	model_apply(&mine, rec, self);
	if (rec->op == OP_PUBLISH)
		remember_minor(name_in(self, rec->name, name), rec->name);
}

static void open_handle(bool by_name)
{
	struct kvol_error e;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kvol_pool_open(ctx, by_name ? pool_name : pool_path, NULL, &handle, &e) < 0) {
		report("open: %s", e.msg);
		_exit(1);
	}
}

void be_worker(unsigned k, unsigned seed)
{
	self = k;
	rng = seed;
	model_of(k, &mine);
	open_handle(dice(2));
	while (!atomic_load(&soak->faulty))
		step();
	_exit(1);
}

void be_writer(void)
{
	const char *path = in_dir(SHARED_NAME);
	uint32_t n;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		n = atomic_fetch_add(&soak->shared_begun, 1) + 1;
		r = stamp(path, true, SHARED_LINE, n);
		if (r < 0) {
			report("write to the shared volume: %s", strerror(-r));
			_exit(1);
		}
		atomic_store(&soak->shared_done, n);
		nap(2000);
	}
}

void be_witness(void)
{
	struct kvol_pool_info p = { .size = sizeof(p) };
	struct kvol_info info = { .size = sizeof(info) };
	uint32_t seen = atomic_load(&soak->witness.answered);

	open_handle(true);
	atomic_store(&soak->witness.answered, ++seen); /* ready */
	for (;; nap(100)) {
		if (atomic_load(&soak->witness.asked) == seen)
			continue;
		soak->witness.r =
			soak->witness.name[0]
				? kvol_stat(handle, soak->witness.name, &info, NULL)
				: kvol_pool_stat(handle, &p, NULL);
		soak->witness.bytes = info.bytes;
		atomic_store(&soak->witness.answered, ++seen);
	}
}
