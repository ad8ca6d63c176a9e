// SPDX-License-Identifier: LGPL-2.1-or-later
/* The contestant that this is about: the public header alone. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kvol/kvol.h>
#include "bench.h"
#include "luks.h"
#include "verbs.h"

#define GIB10 (UINT64_C(10) << 30)
#define TIB   (UINT64_C(1) << 40)

static const char *pool_disk;
static char mounted[256], target[256], block[MAX_THREADS][256];
static char busy[MAX_THREADS][256], fleet[N_FLEET][256];

static void create_encrypted(const char *name, uint64_t bytes, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = fs,
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET) };
	struct kvol_error e;

	if (luks_known())
		ok(kvol_create(pool, name, bytes, &o, &e), &e);
}

static void unlock(const char *name, const char *where)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .secret = SECRET,
				       .secret_bytes = strlen(SECRET) };
	struct kvol_error e;

	ok(kvol_publish(pool, name, where, &o, &e), &e);
}

static struct kvol_publish_opts options_of(const struct variant *v)
{
	return (struct kvol_publish_opts){ .size = sizeof(struct kvol_publish_opts),
					   .mount_namespace = v->mount_namespace,
					   .user_namespace = v->user_namespace,
					   .uid_map = v->uid_map };
}

void kvol_publish_variant(const struct variant *v)
{
	struct kvol_publish_opts o = options_of(v);
	struct kvol_error e;

	ok(kvol_publish(pool, "volume", target, &o, &e), &e);
}

void kvol_unpublish_variant(const struct variant *v)
{
	struct kvol_publish_opts o = options_of(v);
	struct kvol_error e;

	ok(kvol_unpublish(pool, "volume", target, &o, &e), &e);
}

static void clone_and_publish(void)
{
	struct kvol_error e;

	ok(kvol_clone(pool, "volume", "copy", NULL, &e), &e);
	publish("copy", target, 0);
}

static void expand(int i)
{
	struct kvol_error e;

	ok(kvol_expand(pool, "origin", (UINT64_C(11) + (uint64_t)i) << 30, 0, &e), &e);
}

/* In a child, so that what formatting touches does not hide what opening adds. */
static void format(const char *disk)
{
	struct kvol_error e;
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		ok(kvol_pool_format(ctx, "bench", disk, NULL, &e), &e);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		die("kvol: format");
}

static void open_pool(const char *disk, const char *dir)
{
	struct kvol_error e;
	char name[32];
	long before;

	snprintf(mounted, sizeof(mounted), "%s/kvol-origin", dir);
	snprintf(target, sizeof(target), "%s/kvol-target", dir);
	make_dir(mounted);
	make_dir(target);
	pool_disk = disk;
	ok(kvol_new(NULL, &ctx, &e), &e);
	format(disk);
	before = resident_kib();
	ok(kvol_pool_open(ctx, disk, NULL, &pool, &e), &e);
	printf("opening a pool adds %ld KiB of resident memory\n\n",
	       resident_kib() - before);
	create("origin", UINT64_C(10) << 30, "ext4");
	publish("origin", mounted, 0);
	create("volume", UINT64_C(10) << 30, "ext4");
	create_encrypted("safe", UINT64_C(1) << 30, "ext4");
	for (int t = 0; t < MAX_THREADS; t++) {
		snprintf(name, sizeof(name), "cycle-%d", t);
		create(name, UINT64_C(1) << 30, NULL);
		snprintf(block[t], sizeof(block[t]), "%s/kvol-block-%d", dir, t);
		make_file(block[t]);
		snprintf(name, sizeof(name), "busy-%d", t);
		snprintf(busy[t], sizeof(busy[t]), "%s/kvol-busy-%d", dir, t);
		make_dir(busy[t]);
		create(name, GIB10, "ext4");
		publish(name, busy[t], 0);
	}
	for (int n = 0; n < N_FLEET; n++) {
		snprintf(fleet[n], sizeof(fleet[n]), "%s/kvol-fleet-%d", dir, n);
		make_dir(fleet[n]);
	}
	ok(kvol_template_make(pool, "ext4", TIB, &e), &e);
}

static void before(enum op op, int i)
{
	(void)i;
	if (op == OP_UNPUBLISH)
		publish("volume", target, 0);
	else if (op == OP_DELETE)
		create("raw", UINT64_C(1) << 30, NULL);
}

static void run(enum op op, int i)
{
	switch (op) {
	case OP_SNAPSHOT:
		snapshot("origin", "snap");
		break;
	case OP_CREATE:
		create("raw", UINT64_C(1) << 30, NULL);
		break;
	case OP_PUBLISH:
		publish("volume", target, 0);
		break;
	case OP_UNPUBLISH:
		unpublish("volume", target);
		break;
	case OP_DELETE:
		delete ("raw");
		break;
	case OP_NEW:
		create("new", UINT64_C(10) << 30, "ext4");
		publish("new", target, 0);
		break;
	case OP_LARGE:
		create("new", TIB, "ext4");
		publish("new", target, 0);
		break;
	case OP_CLONE:
		clone_and_publish();
		break;
	case OP_EXPAND:
		expand(i);
		break;
	case OP_UNLOCK:
		unlock("safe", target);
		break;
	case N_OPS:
		break;
	}
}

static void after(enum op op, int i)
{
	(void)i;
	if (op == OP_SNAPSHOT)
		delete ("snap");
	else if (op == OP_CREATE)
		delete ("raw");
	else if (op == OP_PUBLISH)
		unpublish("volume", target);
	else if (op == OP_UNLOCK)
		unpublish("safe", target);
	else if (op == OP_NEW || op == OP_LARGE) {
		unpublish("new", target);
		delete ("new");
	} else if (op == OP_CLONE) {
		unpublish("copy", target);
		delete ("copy");
	}
}

/* The parent's handles are of no use here. A handle's first volume pays for the ids of the
 * next 63 as well: this is about processes that have been at work for a while. */
static void join_in(void)
{
	struct kvol_error e;
	char name[32];

	ok(kvol_new(NULL, &ctx, &e), &e);
	ok(kvol_pool_open(ctx, pool_disk, NULL, &pool, &e), &e);
	snprintf(name, sizeof(name), "first-of-%d", (int)getpid());
	create(name, 1 << 20, NULL);
	delete (name);
}

static void cycle(int thread, int i)
{
	char origin[32], name[32];

	snprintf(origin, sizeof(origin), "cycle-%d", thread);
	snprintf(name, sizeof(name), "cycle-%d-%d", thread, i);
	snapshot(origin, name);
	publish(name, block[thread], KVOL_PUBLISH_BLOCK);
	unpublish(name, block[thread]);
	delete (name);
}

static void appear(int n)
{
	char name[32];

	snprintf(name, sizeof(name), "fleet-%d", n);
	create(name, GIB10, "ext4");
	publish(name, fleet[n], 0);
}

static void vanish(int n)
{
	char name[32];

	snprintf(name, sizeof(name), "fleet-%d", n);
	unpublish(name, fleet[n]);
	delete (name);
}

static void snapshot_busy(int thread, int i)
{
	char origin[32], name[32];

	snprintf(origin, sizeof(origin), "busy-%d", thread);
	snprintf(name, sizeof(name), "busy-%d-%d", thread, i);
	snapshot(origin, name);
}

static void forget_busy(int thread, int i)
{
	char name[32];

	snprintf(name, sizeof(name), "busy-%d-%d", thread, i);
	delete (name);
}

static void close_pool(void)
{
	struct kvol_error e;
	char name[32];

	for (int t = 0; t < MAX_THREADS; t++) {
		snprintf(name, sizeof(name), "busy-%d", t);
		unpublish(name, busy[t]);
	}
	unpublish("origin", mounted);
	ok(kvol_pool_deactivate(pool, &e), &e);
	kvol_pool_close(pool);
	kvol_free(ctx);
}

const struct contestant kvol = {
	.name = "kvol",
	.open = open_pool,
	.before = before,
	.run = run,
	.after = after,
	.join = join_in,
	.cycle = cycle,
	.appear = appear,
	.vanish = vanish,
	.snapshot = snapshot_busy,
	.forget = forget_busy,
	.close = close_pool,
};
