// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The workload whose power is cut: workload SEED CALLS SLICE MARKS
 *
 * SLICE is the block device for the pool, MARKS one beside it on the same recorded disk.
 * Every call of the library, and every write that is followed by fsync, stands between
 * two marks (mark.h). One thread works through the verbs, drawn from SEED; a second one
 * writes and syncs files in a published volume all the time, so that snapshots and
 * growing meet a busy file system.
 *
 * Uses the public header only. Leaves the pool inactive. A call that fails ends it with
 * exit code 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kvol/kvol.h>
#include "mark.h"

#define MIB(n)	    ((uint64_t)(n) << 20)
#define EXT4_BYTES  MIB(32)
#define XFS_BYTES   MIB(300)
#define RAW_BYTES   MIB(16)
#define VOLUMES_MAX 80
#define FILES_MOST \
	40 /* in one volume: history.c has room for 96, with those of its sources */

struct vol {
	char name[64];
	char fs_type[16];
	uint64_t bytes;
	bool there, snapshot, published;
	atomic_uint n_files;
	char target[128];
};

static struct vol vols[VOLUMES_MAX];
static unsigned n_vols;
static struct kvol_ctx *ctx;
static struct kvol_pool *pool;
static struct kvol_error err;
static const char *slice;
static char dir[] = "/run/powercut-XXXXXX";
static uint64_t seed;
static int marks_fd;
static atomic_ulong last_op;

/* The second thread's volume; the lock is held while a file is written. */
static pthread_mutex_t busy_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct vol *busy;
static atomic_bool stop;

static void die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- Marks --- */

static void put_mark(const struct mark *m)
{
	_Alignas(4096) struct mark copy = *m;

	memcpy(copy.magic, MARK_MAGIC, sizeof(copy.magic));
	if (pwrite(marks_fd, &copy, sizeof(copy), 0) != sizeof(copy))
		die("write a mark");
}

static struct mark begin(enum verb verb, const char *name, const char *source,
			 uint64_t bytes)
{
	struct mark m = { .kind = MARK_INTENT, .verb = verb, .bytes = bytes };

	m.op = atomic_fetch_add(&last_op, 1) + 1;
	snprintf(m.name, sizeof(m.name), "%s", name);
	snprintf(m.source, sizeof(m.source), "%s", source);
	return m;
}

static void acknowledge(struct mark *m, int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "workload: %s '%s': %s (%s)\n", what, m->name, err.msg,
			kvol_reason_str(err.reason));
		exit(1);
	}
	m->kind = MARK_ACK;
	put_mark(m);
}

/* CALL is evaluated between the marks. */
#define MARKED(m, what, call)                    \
	do {                                     \
		put_mark(&(m));                  \
		acknowledge(&(m), (call), what); \
	} while (0)

static uint64_t slice_start(void)
{
	char path[256];
	unsigned long long sectors;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/block/%s/start",
		 strrchr(slice, '/') + 1);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &sectors) != 1)
		die(path);
	(void)fclose(f);
	return sectors * 512;
}

static void mark_slice(void)
{
	struct mark m = { .kind = MARK_SLICE, .offset = slice_start() };
	int fd = open(slice, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (end <= 0)
		die(slice);
	(void)close(fd);
	m.bytes = (uint64_t)end;
	put_mark(&m);
}

/* --- Data --- */

static void write_all(int fd, uint64_t op, uint64_t offset, uint64_t bytes)
{
	static _Thread_local char buf[1 << 18];

	if (bytes > sizeof(buf))
		bytes = sizeof(buf);
	pattern_fill(buf, bytes, op, offset);
	if (pwrite(fd, buf, bytes, (off_t)offset) != (ssize_t)bytes || fsync(fd) < 0)
		die("write and fsync");
}

static int write_file(const struct vol *v, uint64_t op, uint64_t bytes)
{
	char path[256];
	int fd, dir_fd;

	snprintf(path, sizeof(path), "%s/f%llu", v->target, (unsigned long long)op);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	dir_fd = open(v->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || dir_fd < 0)
		die(path);
	write_all(fd, op, 0, bytes);
	if (fsync(dir_fd) < 0)
		die(v->target);
	(void)close(fd);
	(void)close(dir_fd);
	return 0;
}

static void new_file(struct vol *v, uint64_t *random)
{
	struct mark m;

	if (atomic_load(&v->n_files) >= FILES_MOST)
		return;
	m = begin(VERB_WRITE_FILE, v->name, "", 512 + below(random, 100000));
	atomic_fetch_add(&v->n_files, 1);
	MARKED(m, "write a file in", write_file(v, m.op, m.bytes));
}

static int write_block(const struct vol *v, uint64_t op, uint64_t offset, uint64_t bytes)
{
	int fd = open(v->target, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(v->target);
	write_all(fd, op, offset, bytes);
	(void)close(fd);
	return 0;
}

static void new_block(const struct vol *v, uint64_t *random)
{
	uint64_t bytes = (1 + below(random, 40)) * 4096;
	struct mark m = begin(VERB_WRITE_BLOCK, v->name, "", bytes);

	m.offset = below(random, (BLOCK_AREA - bytes) / 4096 + 1) * 4096;
	MARKED(m, "write to", write_block(v, m.op, m.offset, bytes));
}

static void *writer(void *arg)
{
	uint64_t random = seed ^ 0x77;

	(void)arg;
	while (!atomic_load(&stop)) {
		pthread_mutex_lock(&busy_mutex);
		if (busy)
			new_file(busy, &random);
		pthread_mutex_unlock(&busy_mutex);
		(void)usleep(20000);
	}
	return NULL;
}

static void keep_busy(struct vol *v)
{
	pthread_mutex_lock(&busy_mutex);
	busy = v;
	pthread_mutex_unlock(&busy_mutex);
}

/* --- Calls --- */

static struct vol *new_vol(const char *fs_type, uint64_t bytes)
{
	struct vol *v = &vols[n_vols];

	if (n_vols == VOLUMES_MAX)
		return NULL;
	snprintf(v->name, sizeof(v->name), "%s%u", fs_type[0] ? fs_type : "raw",
		 n_vols++);
	snprintf(v->fs_type, sizeof(v->fs_type), "%s", fs_type);
	v->bytes = bytes;
	return v;
}

static struct vol *create(const char *fs_type, uint64_t bytes)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs_type };
	struct vol *v = new_vol(fs_type, bytes);
	struct mark m;

	if (!v)
		return NULL;
	m = begin(VERB_CREATE, v->name, "", bytes);
	snprintf(m.fs_type, sizeof(m.fs_type), "%s", fs_type);
	MARKED(m, "create", kvol_create(pool, v->name, bytes, &o, &err));
	v->there = true;
	return v;
}

static struct vol *derive(struct vol *from, enum verb verb, uint64_t bytes)
{
	struct kvol_create_opts o = { .size = sizeof(o), .bytes = bytes };
	struct vol *v = new_vol(from->fs_type, bytes ? bytes : from->bytes);
	struct mark m;

	if (!v)
		return NULL;
	m = begin(verb, v->name, from->name, bytes);
	if (verb == VERB_SNAPSHOT)
		MARKED(m, "snapshot",
		       kvol_snapshot(pool, from->name, v->name, NULL, &err));
	else
		MARKED(m, "clone", kvol_clone(pool, from->name, v->name, &o, &err));
	v->there = true;
	v->snapshot = verb == VERB_SNAPSHOT;
	atomic_store(&v->n_files, atomic_load(&from->n_files) + 4);
	return v;
}

static void publish(struct vol *v)
{
	struct kvol_publish_opts o = { .size = sizeof(o) };
	struct mark m = begin(VERB_OTHER, v->name, "", 0);
	int fd;

	snprintf(v->target, sizeof(v->target), "%s/%s", dir, v->name);
	if (v->fs_type[0]) {
		if (mkdir(v->target, 0755) < 0 && errno != EEXIST)
			die(v->target);
	} else {
		o.flags = KVOL_PUBLISH_BLOCK;
		fd = open(v->target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			die(v->target);
		(void)close(fd);
	}
	MARKED(m, "publish", kvol_publish(pool, v->name, v->target, &o, &err));
	v->published = true;
}

static void unpublish(struct vol *v)
{
	struct mark m = begin(VERB_OTHER, v->name, "", 0);

	pthread_mutex_lock(&busy_mutex);
	if (busy == v)
		busy = NULL;
	pthread_mutex_unlock(&busy_mutex);
	MARKED(m, "unpublish", kvol_unpublish(pool, v->name, v->target, NULL, &err));
	v->published = false;
}

static void expand(struct vol *v)
{
	struct mark m = begin(VERB_EXPAND, v->name, "", v->bytes * 2);

	MARKED(m, "expand", kvol_expand(pool, v->name, m.bytes, 0, &err));
	v->bytes = m.bytes;
}

static void delete (struct vol *v)
{
	struct mark m;

	if (v->published)
		unpublish(v);
	m = begin(VERB_DELETE, v->name, "", 0);
	MARKED(m, "delete", kvol_delete(pool, v->name, 0, &err));
	v->there = false;
}

static void open_pool(void)
{
	struct mark m = begin(VERB_OTHER, "open", "", 0);

	MARKED(m, "open", kvol_pool_open(ctx, slice, NULL, &pool, &err));
}

static void close_pool(bool deactivate)
{
	struct mark m = begin(VERB_OTHER, "close", "", 0);

	put_mark(&m);
	acknowledge(&m, deactivate ? kvol_pool_deactivate(pool, &err) : 0, "deactivate");
	kvol_pool_close(pool);
	pool = NULL;
}

static void format(const char *name, uint32_t flags)
{
	struct kvol_format_opts o = { .size = sizeof(o), .flags = flags };
	struct mark m = begin(VERB_FORMAT, name, "", 0);

	MARKED(m, "format", kvol_pool_format(ctx, name, slice, &o, &err));
}

/* --- The course of it --- */

static struct vol *any(uint64_t *random, bool (*fits)(const struct vol *))
{
	unsigned at = (unsigned)below(random, n_vols + 1);

	for (unsigned i = 0; i < n_vols; i++) {
		struct vol *v = &vols[(at + i) % n_vols];

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

/* One call drawn at random; what does not fit the state of things just then is passed
 * over. */
static void random_call(uint64_t *random)
{
	static const char *const types[] = { "", "ext4", "ext4", "" };
	unsigned what = (unsigned)below(random, 16);
	struct vol *v;

	if (what < 2) {
		const char *type = types[below(random, 4)];

		(void)create(type, type[0] ? EXT4_BYTES : RAW_BYTES);
	} else if (what < 4 && (v = any(random, is_any))) {
		(void)derive(v, VERB_SNAPSHOT, 0);
	} else if (what < 6 && (v = any(random, is_any))) {
		(void)derive(v, VERB_CLONE, below(random, 2) ? 0 : v->bytes * 3 / 2);
	} else if (what < 7 && (v = any(random, can_grow))) {
		expand(v);
	} else if (what < 9 && (v = any(random, is_idle))) {
		delete (v);
	} else if (what < 11 && (v = any(random, is_idle)) && !v->snapshot) {
		publish(v);
	} else if (what < 12 && (v = any(random, is_published))) {
		unpublish(v);
	} else if (what < 13 && (v = any(random, is_file))) {
		keep_busy(v);
	} else if (what < 14 && (v = any(random, is_file))) {
		pthread_mutex_lock(&busy_mutex);
		new_file(v, random);
		pthread_mutex_unlock(&busy_mutex);
	} else if ((v = any(random, is_block))) {
		new_block(v, random);
	}
}

/* Each verb once on each kind of volume, and what is bound to go wrong first. */
static void tour(uint64_t *random)
{
	struct vol *raw = create("", RAW_BYTES), *ext4 = create("ext4", EXT4_BYTES);
	struct vol *xfs = create("xfs", XFS_BYTES), *copy;

	publish(raw);
	publish(ext4);
	publish(xfs);
	for (int i = 0; i < 3; i++) {
		new_block(raw, random);
		new_file(ext4, random);
		new_file(xfs, random);
	}
	keep_busy(xfs);
	(void)derive(xfs, VERB_SNAPSHOT, 0);
	keep_busy(ext4);
	(void)derive(raw, VERB_SNAPSHOT, 0);
	copy = derive(derive(ext4, VERB_SNAPSHOT, 0), VERB_CLONE, 0);
	expand(ext4);
	publish(copy);
	keep_busy(copy);
	new_block(raw, random);
	delete (derive(raw, VERB_CLONE, 0));
	expand(raw);
	unpublish(ext4);
	delete (ext4);
	unpublish(xfs);
	expand(copy);
}

static void wind_down(bool deactivate)
{
	for (unsigned i = 0; i < n_vols; i++)
		if (vols[i].there && vols[i].published)
			unpublish(&vols[i]);
	close_pool(deactivate);
}

static void run(unsigned calls)
{
	uint64_t random = seed;

	format("first", 0);
	open_pool();
	tour(&random);
	for (unsigned i = 0; i < calls; i++) {
		if (i == calls / 3) {
			close_pool(false); /* published and busy: as a plugin that is
					      restarted */
			open_pool();
		} else if (i == calls / 2) {
			wind_down(true);
			open_pool();
		}
		random_call(&random);
	}
	wind_down(true);

	memset(vols, 0, sizeof(vols));
	n_vols = 0;
	format("second", KVOL_FORMAT_FORCE);
	open_pool();
	publish(create("ext4", EXT4_BYTES));
	new_file(&vols[0], &random);
	(void)derive(&vols[0], VERB_SNAPSHOT, 0);
	wind_down(true);
}

int main(int argc, char **argv)
{
	struct mark end = { .kind = MARK_END };
	pthread_t thread;

	if (argc != 5 || !strrchr(argv[3], '/')) {
		fprintf(stderr, "usage: workload SEED CALLS SLICE MARKS\n");
		return 2;
	}
	seed = strtoull(argv[1], NULL, 0);
	slice = argv[3];
	marks_fd = open(argv[4], O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (marks_fd < 0 || !mkdtemp(dir))
		die(argv[4]);
	mark_slice();
	if (kvol_new(NULL, &ctx, &err) < 0)
		die(err.msg);
	if (pthread_create(&thread, NULL, writer, NULL))
		die("pthread_create");
	run((unsigned)strtoul(argv[2], NULL, 0));
	atomic_store(&stop, true);
	(void)pthread_join(thread, NULL);
	kvol_free(ctx);
	put_mark(&end);
	if (fsync(marks_fd) < 0) /* the log's own superblock is written at a flush */
		die("flush");
	printf("workload: %lu calls\n", atomic_load(&last_op));
	return 0;
}
