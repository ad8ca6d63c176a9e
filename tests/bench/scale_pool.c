// SPDX-License-Identifier: LGPL-2.1-or-later
/* Verbs on the pools of scale.c, and filling those. What fails ends the run. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scale.h"

#define THREADS 4
#define BYTES	(UINT64_C(64) << 20)

struct kvol_ctx *ctx;

/* Names in an order of their own: in that of their making all would go to the index's
 * last page. Each second one is a snapshot of the one before. */
static void name_of(long i, char ret[32])
{
	uint32_t mixed = (uint32_t)(i / 2) * 2654435761u;

	snprintf(ret, 32, "pvc-%08" PRIx32 "%s", mixed, i % 2 ? "-snap" : "");
}

/* --- Verbs ------------------------------------------------------------------------ */

void create(struct subject *s, const char *name, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs };
	struct kvol_error e;

	ok(kvol_create(s->pool, name, BYTES, &o, &e), &e);
}

void snapshot(struct subject *s, const char *of, const char *name)
{
	struct kvol_error e;

	ok(kvol_snapshot(s->pool, of, name, NULL, &e), &e);
}

void copy(struct subject *s, const char *of, const char *name)
{
	struct kvol_error e;

	ok(kvol_clone(s->pool, of, name, NULL, &e), &e);
}

void delete (struct subject *s, const char *name)
{
	struct kvol_error e;

	ok(kvol_delete(s->pool, name, 0, &e), &e);
}

void publish(struct subject *s, const char *name, const char *target, uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = KVOL_PUBLISH_BLOCK | flags };
	struct kvol_error e;

	ok(kvol_publish(s->pool, name, target, &o, &e), &e);
}

void unpublish(struct subject *s, const char *name, const char *target)
{
	struct kvol_error e;

	ok(kvol_unpublish(s->pool, name, target, NULL, &e), &e);
}

void set_limits(struct subject *s, bool on)
{
	struct kvol_policy_opts o = {
		.size = sizeof(o),
		.flags = KVOL_SET_MAX_VOLUMES | KVOL_SET_MAX_PUBLISHED |
			 KVOL_SET_OVERCOMMIT,
		.max_volumes = on ? 200 : 0,
		.max_published = on ? 100000 : 0,
		.overcommit = on ? KVOL_OVERCOMMIT_MAX : 0,
	};
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error e;

	ok(kvol_pool_stat(s->pool, &info, &e), &e);
	if (on)
		o.max_volumes += info.n_volumes + info.n_snapshots;
	ok(kvol_pool_set(s->pool, &o, &e), &e);
}

struct kvol_pool *open_pool(const char *disk)
{
	struct kvol_pool *pool;
	struct kvol_error e;

	ok(kvol_pool_open(ctx, disk, NULL, &pool, &e), &e);
	return pool;
}

void stat_any(struct subject *s, long i)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_error e;
	char name[32] = "filled-snap";

	if (i >= 0)
		name_of(i, name);
	ok(kvol_stat(s->pool, name, &info, &e), &e);
}

void stat_pool(struct subject *s)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	struct kvol_error e;

	ok(kvol_pool_stat(s->pool, &info, &e), &e);
}

void label(struct subject *s, const char *name)
{
	const struct kvol_label one = { .key = "owner", .value = "somebody" };
	struct kvol_error e;

	ok(kvol_label_set(s->pool, name, &one, 1, &e), &e);
}

void expand(struct subject *s, const char *name)
{
	struct kvol_error e;

	ok(kvol_expand(s->pool, name, 2 * BYTES, 0, &e), &e);
}

void tell_usage(struct subject *s)
{
	struct kvol_usage_info usage = { .size = sizeof(usage) };
	struct kvol_error e;

	ok(kvol_usage(s->pool, "filled", &usage, &e), &e);
}

/* --- Filling ---------------------------------------------------------------------- */

struct fill {
	struct subject *s;
	atomic_long next;
	long end;
};

static void *fill_some(void *arg)
{
	struct fill *fill = arg;
	char name[32], source[32];
	long i;

	while ((i = atomic_fetch_add(&fill->next, 2)) < fill->end) {
		name_of(i, source);
		create(fill->s, source, NULL);
		name_of(i + 1, name);
		snapshot(fill->s, source, name);
	}
	return NULL;
}

void fill(struct subject *s, long size)
{
	struct fill fill = { .s = s, .next = s->n, .end = size };
	pthread_t threads[THREADS];

	for (int t = 0; t < THREADS; t++)
		if (pthread_create(&threads[t], NULL, fill_some, &fill))
			die("pthread_create");
	for (int t = 0; t < THREADS; t++)
		pthread_join(threads[t], NULL);
	s->n = size;
}

void target_of(const struct subject *s, long i, char ret[256])
{
	snprintf(ret, 256, "%s/%ld", s->dir, i);
}

void activate(struct subject *s, long n)
{
	char name[32], target[256];

	for (; s->active > n; s->active--) {
		name_of(s->active - 1, name);
		target_of(s, s->active - 1, target);
		unpublish(s, name, target);
	}
	for (; s->active < n; s->active++) {
		name_of(s->active, name);
		target_of(s, s->active, target);
		make_file(target);
		publish(s, name, target,
			s->active % 2 ? KVOL_PUBLISH_READONLY : 0);
	}
}

/* A volume with something in it: 8 MiB, 128 blocks. */
static void make_filled(struct subject *s)
{
	static char data[1 << 20];
	char target[256];
	int fd;

	target_of(s, SPARE_TARGET, target);
	make_file(target);
	create(s, "filled", NULL);
	publish(s, "filled", target, 0);
	memset(data, 'd', sizeof(data));
	fd = open(target, O_WRONLY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < 8; i++)
		if (write(fd, data, sizeof(data)) != sizeof(data))
			die("%s: %s", target, strerror(errno));
	if (fd < 0 || fsync(fd) < 0)
		die("%s: %s", target, strerror(errno));
	close(fd);
	unpublish(s, "filled", target);
	snapshot(s, "filled", "filled-snap");
}

void start(struct subject *s, const char *dir, const char *disk, uint64_t most)
{
	struct kvol_format_opts o = { .size = sizeof(o), .max_volumes = most };
	struct kvol_error e;

	s->disk = disk;
	snprintf(s->dir, sizeof(s->dir), "%s/%s", dir, s->name);
	if (mkdir(s->dir, 0755) < 0)
		die("%s: %s", s->dir, strerror(errno));
	ok(kvol_pool_format(ctx, s->name, disk, &o, &e), &e);
	s->pool = open_pool(disk);
	make_filled(s);
}
