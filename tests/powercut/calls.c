// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the workload does, one function for each thing: the mark that says so, the call or
 * the write with its fsync, and the mark that says that it returned 0. A mark is written
 * with O_DIRECT by one request; what is written to volumes is a pattern of the call's
 * number.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "workload.h"

struct kvol_ctx *ctx;
struct kvol_pool *pool;
_Thread_local struct kvol_error err;
const char *slice;
char dir[] = "/run/powercut-XXXXXX";
uint64_t seed;
int marks_fd;
atomic_ulong last_op;
pthread_mutex_t busy_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct vol *busy; /* under busy_mutex */
static atomic_bool stop;
static pthread_t writer_thread;

void die(const char *what)
{
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- Marks ------------------------------------------------------------------------ */

void put_mark(const struct mark *m)
{
	_Alignas(4096) struct mark copy = *m;

	memcpy(copy.magic, MARK_MAGIC, sizeof(copy.magic));
	if (pwrite(marks_fd, &copy, sizeof(copy), 0) != sizeof(copy))
		die("write a mark");
}

struct mark begin(enum verb verb, const char *name, const char *source, uint64_t bytes)
{
	struct mark m = { .kind = MARK_INTENT, .verb = verb, .bytes = bytes };

	m.op = atomic_fetch_add(&last_op, 1) + 1;
	snprintf(m.name, sizeof(m.name), "%s", name);
	snprintf(m.source, sizeof(m.source), "%s", source);
	return m;
}

void acknowledge(struct mark *m, int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "workload: %s '%s': %s (%s)\n", what, m->name, err.msg,
			kvol_reason_str(err.reason));
		exit(1);
	}
	m->kind = MARK_ACK;
	put_mark(m);
}

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

void mark_slice(void)
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

/* --- Data ------------------------------------------------------------------------- */

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

/* Under busy_mutex. */
void new_file(struct vol *v, uint64_t *random)
{
	struct mark m;

	if (v->n_files >= FILES_MOST)
		return;
	m = begin(VERB_WRITE_FILE, v->name, "", 512 + below(random, 100000));
	v->n_files++;
	MARKED(m, "write a file in", write_file(v, m.op, m.bytes));
	v->own[v->n_own++] = m.op;
}

static int remove_file(const struct vol *v, uint64_t op)
{
	int fd = open(v->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[32];

	snprintf(name, sizeof(name), "f%llu", (unsigned long long)op);
	if (fd < 0 || unlinkat(fd, name, 0) < 0 || fsync(fd) < 0)
		die(name);
	(void)close(fd);
	return 0;
}

/* Under busy_mutex. */
static void old_file(struct vol *v, uint64_t *random)
{
	struct mark m;
	unsigned i;

	if (!v->n_own)
		return;
	i = (unsigned)below(random, v->n_own);
	m = begin(VERB_REMOVE_FILE, v->name, "", 0);
	m.offset = v->own[i];
	MARKED(m, "remove a file in", remove_file(v, m.offset));
	v->own[i] = v->own[--v->n_own];
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

void new_block(const struct vol *v, uint64_t *random)
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
		if (busy && below(&random, 4))
			new_file(busy, &random);
		else if (busy)
			old_file(busy, &random);
		pthread_mutex_unlock(&busy_mutex);
		(void)usleep(20000);
	}
	return NULL;
}

void start_writer(void)
{
	errno = pthread_create(&writer_thread, NULL, writer, NULL);
	if (errno)
		die("pthread_create");
}

void stop_writer(void)
{
	atomic_store(&stop, true);
	(void)pthread_join(writer_thread, NULL);
}

void keep_busy(struct vol *v)
{
	pthread_mutex_lock(&busy_mutex);
	busy = v;
	pthread_mutex_unlock(&busy_mutex);
}

/* --- Calls ------------------------------------------------------------------------ */

static struct vol *new_vol(struct set *set, const char *fs_type, uint64_t bytes)
{
	struct vol *v = &set->vols[set->n];

	if (set->n == VOLUMES_MAX)
		return NULL;
	snprintf(v->name, sizeof(v->name), "%c%u-%s", set->letter, set->n++,
		 fs_type[0] ? fs_type : "raw");
	snprintf(v->fs_type, sizeof(v->fs_type), "%s", fs_type);
	v->bytes = bytes;
	return v;
}

/* What a mark says, done. */
int call(struct kvol_pool *p, const struct mark *m)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = m->fs_type };

	switch (m->verb) {
	case VERB_CREATE:
		return kvol_create(p, m->name, m->bytes, &o, &err);
	case VERB_SNAPSHOT:
		return kvol_snapshot(p, m->source, m->name, NULL, &err);
	case VERB_CLONE:
		o.bytes = m->bytes;
		return kvol_clone(p, m->source, m->name, &o, &err);
	case VERB_EXPAND:
		return kvol_expand(p, m->name, m->bytes, 0, &err);
	default:
		return kvol_delete(p, m->name, 0, &err);
	}
}

/* A new volume, and the mark for making it: blank, or from another one. */
struct vol *plan_new(struct set *set, enum verb verb, struct vol *from,
		     const char *fs_type, uint64_t bytes, struct mark *ret)
{
	struct vol *v = new_vol(set, fs_type, from && !bytes ? from->bytes : bytes);

	if (!v)
		return NULL;
	*ret = begin(verb, v->name, from ? from->name : "", bytes);
	if (!from)
		snprintf(ret->fs_type, sizeof(ret->fs_type), "%s", fs_type);
	v->snapshot = verb == VERB_SNAPSHOT;
	if (from)
		v->n_files = from->n_files + 4; /* and those that are being written */
	return v;
}

struct vol *create(struct set *set, const char *fs_type, uint64_t bytes)
{
	struct mark m;
	struct vol *v = plan_new(set, VERB_CREATE, NULL, fs_type, bytes, &m);

	if (!v)
		return NULL;
	MARKED(m, "create", call(pool, &m));
	v->there = true;
	return v;
}

struct vol *derive(struct set *set, struct vol *from, enum verb verb, uint64_t bytes)
{
	struct mark m;
	struct vol *v = plan_new(set, verb, from, from->fs_type, bytes, &m);

	if (!v)
		return NULL;
	MARKED(m, "copy", call(pool, &m));
	v->there = true;
	return v;
}

void publish(struct vol *v)
{
	struct kvol_publish_opts o = { .size = sizeof(o) };
	struct mark m = begin(VERB_OTHER, v->name, "", 0);
	int fd;

	snprintf(v->target, sizeof(v->target), "%s/%s", dir, v->name);
	if (v->fs_type[0]) {
		if (seed % 2)
			o.mount_options = "discard";
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

void unpublish(struct vol *v)
{
	struct mark m = begin(VERB_OTHER, v->name, "", 0);

	pthread_mutex_lock(&busy_mutex);
	if (busy == v)
		busy = NULL;
	pthread_mutex_unlock(&busy_mutex);
	MARKED(m, "unpublish", kvol_unpublish(pool, v->name, v->target, NULL, &err));
	v->published = false;
}

void expand(struct vol *v)
{
	struct mark m = begin(VERB_EXPAND, v->name, "", v->bytes * 2);

	MARKED(m, "expand", call(pool, &m));
	v->bytes = m.bytes;
}

void delete (struct vol *v)
{
	struct mark m;

	if (v->published)
		unpublish(v);
	m = begin(VERB_DELETE, v->name, "", 0);
	MARKED(m, "delete", call(pool, &m));
	v->there = false;
}

void open_pool(void)
{
	struct mark m = begin(VERB_OTHER, "open", "", 0);

	MARKED(m, "open", kvol_pool_open(ctx, slice, NULL, &pool, &err));
}

void close_pool(bool deactivate)
{
	struct mark m = begin(VERB_OTHER, "close", "", 0);

	put_mark(&m);
	acknowledge(&m, deactivate ? kvol_pool_deactivate(pool, &err) : 0, "deactivate");
	kvol_pool_close(pool);
	pool = NULL;
}

void format(const char *name, uint32_t flags)
{
	struct kvol_format_opts o = { .size = sizeof(o), .flags = flags };
	struct mark m = begin(VERB_FORMAT, name, "", 0);

	MARKED(m, "format", kvol_pool_format(ctx, name, slice, &o, &err));
}
