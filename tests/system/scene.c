// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A pool with something for every verb to work on: see scene.h.
 *
 *   live   a file system, published at `live`, with a file in it that is on the disk
 *   idle   the same, never published
 *   raw    a raw volume
 *   shot   a snapshot of idle, which can be mounted
 *   away   a file system, published at `away`: for unpublishing
 *   gone0, snap0, gone1, ...   raw volumes, and snapshots of raw: for deleting
 *   new    what the creating verbs make
 */
#include <fcntl.h>
#include <unistd.h>

#include "scene.h"

#define CONTENTS "on the disk"

const char *scene_fs = "ext4";
unsigned verbs_tried;

static uint64_t size_before;
static unsigned n_gone, n_snap; /* the ones whose turn it is */

static uint64_t fs_size(void)
{
	return strcmp(scene_fs, "ext4") ? MIB(512) : MIB(16);
}

static int try_stat(const char *name)
{
	struct kvol_info info = { .size = sizeof(info) };
	int r = kvol_stat(pool, name, &info, &err);

	assert_true(r < 0 || !strcmp(info.name, name));
	return r;
}

static int try_list(void)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	int r;

	r = kvol_list(pool, 0, &iter, &err);
	if (r < 0)
		return r;
	while ((r = kvol_iter_next(iter, &info)) == 1)
		;
	kvol_iter_free(iter);
	if (r < 0) /* has no error struct */
		err = (struct kvol_error){ .code = r,
					   .reason = KVOL_R_IO,
					   .msg = "kvol_iter_next" };
	return r;
}

static int try_pool_stat(void)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	return kvol_pool_stat(pool, &info, &err);
}

static int try_open(void)
{
	struct kvol_pool *p;
	int r = kvol_pool_open(ctx, pool_path, NULL, &p, &err);

	if (r == 0)
		kvol_pool_close(p);
	return r;
}

static const char *numbered(const char *prefix, unsigned n)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "%s%u", prefix, n);
	return name;
}

static int call(enum verb v)
{
	switch (v) {
	case CREATE_RAW:
		return kvol_create(pool, "new", MIB(8), NULL, &err);
	case CREATE_FS:
		return create_fs("new", fs_size(), scene_fs);
	case SNAPSHOT_IDLE:
		return kvol_snapshot(pool, "raw", "new", NULL, &err);
	case SNAPSHOT_LIVE:
		return kvol_snapshot(pool, "live", "new", NULL, &err);
	case CLONE:
		return kvol_clone(pool, "raw", "new", NULL, &err);
	case EXPAND_RAW:
		return kvol_expand(pool, "raw", size_before + MIB(8), 0, &err);
	case EXPAND_IDLE:
		return kvol_expand(pool, "idle", size_before + MIB(8), 0, &err);
	case EXPAND_LIVE:
		return kvol_expand(pool, "live", size_before + MIB(8), 0, &err);
	case PUBLISH:
		return publish("idle", in_dir("idle"), 0, NULL);
	case PUBLISH_SNAPSHOT:
		return publish("shot", in_dir("shot"), 0, NULL);
	case PUBLISH_BLOCK:
		return publish("raw", in_dir("raw"), KVOL_PUBLISH_BLOCK, NULL);
	case UNPUBLISH:
		return kvol_unpublish(pool, "away", in_dir("away"), NULL, &err);
	case STAT_IDLE:
		return try_stat("idle");
	case STAT_LIVE:
		return try_stat("live");
	case LIST:
		return try_list();
	case POOL_STAT:
		return try_pool_stat();
	case OPEN:
		return try_open();
	case DELETE_SNAPSHOT:
		return kvol_delete(pool, numbered("snap", n_snap), 0, &err);
	case DELETE:
		return kvol_delete(pool, numbered("gone", n_gone), 0, &err);
	default:
		fail();
		return 0;
	}
}

const char *verb_name(enum verb v)
{
	static const char *const names[VERBS] = {
		[CREATE_RAW] = "create raw",
		[CREATE_FS] = "create with a file system",
		[SNAPSHOT_IDLE] = "snapshot of an inactive volume",
		[SNAPSHOT_LIVE] = "snapshot of a published volume",
		[CLONE] = "clone",
		[EXPAND_RAW] = "expand raw",
		[EXPAND_IDLE] = "expand inactive",
		[EXPAND_LIVE] = "expand published",
		[PUBLISH] = "publish",
		[PUBLISH_SNAPSHOT] = "publish a snapshot",
		[PUBLISH_BLOCK] = "publish as a device",
		[UNPUBLISH] = "unpublish",
		[STAT_IDLE] = "stat inactive",
		[STAT_LIVE] = "stat published",
		[LIST] = "list",
		[POOL_STAT] = "pool_stat",
		[OPEN] = "open",
		[DELETE_SNAPSHOT] = "delete a snapshot",
		[DELETE] = "delete",
	};

	return names[v];
}

/* --- The scene -------------------------------------------------------------------- */

static void fill_in(const char *name, const char *target)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/file", target);
	if (!strcmp(read_file(path), CONTENTS))
		return;
	write_file(path, CONTENTS);
	/* To where it belongs: the blocks there are the template's until they are written, and
	 * a pool that has failed gives no others, while ext4 takes its journal's copy for
	 * written. */
	assert_sh("sync -f '%s'", target);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
	(void)name;
}

/* A file system that has met errors is not grown before it was checked, and so not
 * published if it owes that. The way out is to publish it as a device. */
static void mend(const char *name)
{
	const char *device = make_file("mend");

	assert_ok(publish(name, device, KVOL_PUBLISH_BLOCK, NULL));
	(void)sh("e2fsck -fy '%s'", device);
	assert_sh("e2fsck -fn '%s'", device);
	assert_ok(kvol_unpublish(pool, name, device, NULL, &err));
}

static void set_published(const char *name)
{
	const char *target = make_dir(name);

	if (!exists(name))
		assert_ok(create_fs(name, fs_size(), scene_fs));
	if (publish(name, target, 0, NULL) == -EUCLEAN && !strcmp(scene_fs, "ext4"))
		mend(name);
	assert_ok(publish(name, target, 0, NULL));
	fill_in(name, target);
}

void scene_set_spares(unsigned rounds)
{
	const char *name;

	for (unsigned i = 0; i < rounds; i++) {
		name = numbered("gone", n_gone + i);
		if (!exists(name))
			assert_ok(kvol_create(pool, name, MIB(8), NULL, &err));
		name = numbered("snap", n_snap + i);
		if (!exists(name))
			assert_ok(kvol_snapshot(pool, "raw", name, NULL, &err));
	}
}

void scene_again(void)
{
	static const char *const names[] = { "idle", "shot", "raw" };

	for (size_t i = 0; i < N_OF(names); i++)
		assert_ok(kvol_unpublish(pool, names[i], in_dir("%s", names[i]), NULL,
					 &err));
	(void)publish("away", in_dir("away"), 0, NULL);
}

void scene_set(void)
{
	(void)make_dir("shot");
	(void)make_file("raw");
	assert_ok(kvol_delete(pool, "new", 0, &err));
	set_published("live");
	set_published("away");
	set_published("idle");
	assert_ok(kvol_unpublish(pool, "idle", in_dir("idle"), NULL, &err));
	if (!exists("raw"))
		assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	if (!exists("shot"))
		assert_ok(kvol_snapshot(pool, "idle", "shot", NULL, &err));
	scene_set_spares(1);
	/* The last creation of the handle: there are ids in reserve now, and verbs come
	 * as far as the thin pool. */
	assert_ok(kvol_create(pool, "new", MIB(8), NULL, &err));
	assert_ok(kvol_delete(pool, "new", 0, &err));
}

void scene_clear(void)
{
	static const char *const names[] = { "live", "away", "idle", "shot", "raw" };

	for (size_t i = 0; i < N_OF(names); i++)
		if (exists(names[i]))
			assert_ok(kvol_unpublish(pool, names[i], in_dir("%s", names[i]),
						 NULL, &err));
}

void scene_assert_readable(void)
{
	assert_string_equal(read_file(in_dir("live/file")), CONTENTS);
}

void scene_check(void)
{
	static const char *const names[] = { "live", "away", "idle" };
	const char *target = make_dir("check");

	for (size_t i = 0; i < N_OF(names); i++) {
		if (publish(names[i], target, 0, NULL) == -EUCLEAN &&
		    !strcmp(scene_fs, "ext4"))
			mend(names[i]);
		assert_ok(publish(names[i], target, 0, NULL));
		assert_string_equal(read_file(in_dir("check/file")), CONTENTS);
		assert_ok(kvol_unpublish(pool, names[i], target, NULL, &err));
	}
	assert_true(exists("raw"));
	assert_true(exists("shot"));
}

void scene_close_down(void)
{
	scene_clear();
	watched("deactivate");
	assert_ok(kvol_pool_deactivate(pool, &err));
	unwatched();
	kvol_pool_close(pool);
	pool = NULL;
}

void scene_open_up(void)
{
	watched("open");
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	unwatched();
}

/* --- The verbs -------------------------------------------------------------------- */

static const char *expanded(enum verb v)
{
	return v == EXPAND_RAW	  ? "raw"
	       : v == EXPAND_IDLE ? "idle"
	       : v == EXPAND_LIVE ? "live"
				  : NULL;
}

static unsigned answer(int r)
{
	static const struct {
		unsigned answer;
		int code;
		uint32_t reason;
	} answers[] = {
		{ A_IO, -EIO, KVOL_R_IO },
		{ A_RO, -EROFS, KVOL_R_POOL_READ_ONLY },
		{ A_CHECK, -EROFS, KVOL_R_POOL_NEEDS_CHECK },
		{ A_DATA, -ENOSPC, KVOL_R_NO_DATA_SPACE },
		{ A_META, -ENOSPC, KVOL_R_NO_METADATA_SPACE },
		{ A_CORRUPT, -EUCLEAN, KVOL_R_CORRUPT },
	};

	if (r == 0)
		return A_OK;
	for (size_t i = 0; i < N_OF(answers); i++)
		if (r == answers[i].code && err.reason == answers[i].reason)
			return answers[i].answer;
	return err.reason == KVOL_R_SYSTEM ? A_FS : 0;
}

unsigned verb_try(enum verb v, unsigned allowed, const char *state)
{
	char what[120];
	unsigned got;
	int r;

	if (expanded(v))
		size_before = info_of(expanded(v)).bytes;
	(void)snprintf(what, sizeof(what), "%s, %s", verb_name(v), state);
	before_call(NULL, false);
	watched(what);
	r = call(v);
	unwatched();
	verbs_tried++;
	got = answer(r);
	if (getenv("KVOL_TEST_VERBOSE"))
		printf("# %s: %d %s\n", what, r, r < 0 ? err.msg : "");
	if (r < 0 && (err.code != r || !err.msg[0]))
		got = 0;
	if (!(got & allowed)) {
		print_error("%s: returned %d (%s) %.240s\n", what, r,
			    r < 0 ? kvol_reason_str(err.reason) : "success",
			    r < 0 ? err.msg : "");
		(void)sh(
			"dmesg | tail -12; dmsetup status --noflush; dmsetup status --target thin-pool; dmesg | tail -5");
		print_error("%s\n", sh_output());
		fail();
	}
	assert_nothing_frozen(what);
	return got;
}

static void assert_is(bool is, bool wanted, const char *what, enum verb v,
		      const char *state)
{
	if (is == wanted)
		return;
	print_error("%s, %s: '%s' %s\n", verb_name(v), state, what,
		    wanted ? "was acknowledged and is not there"
			   : "is there though it failed");
	fail();
}

void verb_assert_kept(enum verb v, bool acknowledged, const char *state)
{
	if (v <= CLONE)
		assert_is(exists("new"), acknowledged, "new", v, state);
	else if (expanded(v) && (acknowledged || v == EXPAND_RAW))
		/* Of the others, a new size whose file system could not be grown stays.
		 */
		assert_is(info_of(expanded(v)).bytes > size_before, acknowledged,
			  expanded(v), v, state);
	else if (v == DELETE)
		assert_is(!exists(numbered("gone", n_gone)), acknowledged, "gone", v,
			  state);
	else if (v == DELETE_SNAPSHOT)
		assert_is(!exists(numbered("snap", n_snap)), acknowledged, "snap", v,
			  state);
	n_gone += v == DELETE && acknowledged;
	n_snap += v == DELETE_SNAPSHOT && acknowledged;
}

/* --- kvolctl ---------------------------------------------------------------------- */

void assert_kvolctl_says(const char *text)
{
	char self[400];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	assert_true(n > 0);
	self[n] = 0;
	for (int i = 0; i < 3; i++) { /* BUILD/tests/system/PROGRAM */
		slash = strrchr(self, '/');
		assert_non_null(slash);
		*slash = 0;
	}
	assert_sh("LD_LIBRARY_PATH='%s/lib/.libs' "
		  "'%s/examples/kvolctl/.libs/kvolctl' -p '%s' pool",
		  self, self, pool_path);
	if (!strstr(sh_output(), text)) {
		print_error("kvolctl pool does not say '%s' but:\n%s\n", text,
			    sh_output());
		fail();
	}
}
