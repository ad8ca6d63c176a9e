/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Publishing and unpublishing with each of their steps failing, on the model.
 */

#include <sys/stat.h>

#include "failures.h"
#include "util.h"

#define NS	    "/proc/11/ns/mnt"
#define USER_NS	    "/proc/11/ns/user"
#define ANY_PUBLISH \
	"volume '|snapshot '|target '|mount namespace '|user namespace '|'tank'"
#define GROWN	    (600 * MIB)

/* --- Disks and boots -------------------------------------------------------------- */

static void one_of_each(struct fixture *f)
{
	struct kvol_create_opts larger = { .size = sizeof(larger), .bytes = GROWN };

	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "b", "btrfs"));
	succeeds(f, create_volume(f, "x", "xfs"));
	succeeds(f, kvol_create(f->pool, "raw", 64 * MIB, NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "v", "s", NULL, &f->e));
	succeeds(f, kvol_clone(f->pool, "v", "larger", &larger, &f->e));
	succeeds(f, kvol_clone(f->pool, "b", "twin", NULL, &f->e));
	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	model_file("/f", S_IFREG);
	model_file("/g", S_IFREG);
}

static void open_here(struct fixture *f)
{
	open_pool(f);
}

static void with_namespace(struct fixture *f)
{
	open_pool(f);
	model_ns_start(NS);
}

static void published(struct fixture *f)
{
	open_pool(f);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NULL));
}

static void published_twice(struct fixture *f)
{
	published(f);
	succeeds(f, publish(f, "v", "/u", KVOL_PUBLISH_READONLY, NULL, NULL));
}

static void published_in_namespace(struct fixture *f)
{
	with_namespace(f);
	succeeds(f, publish(f, "v", "/t", 0, NULL, NS));
}

static void published_in_gone_namespace(struct fixture *f)
{
	published_in_namespace(f);
	model_ns_end(NS);
}

static void block_published(struct fixture *f)
{
	open_pool(f);
	succeeds(f, publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL));
}

static void block_published_twice(struct fixture *f)
{
	block_published(f);
	succeeds(f, publish(f, "raw", "/g", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY,
			    NULL, NULL));
}

static int single_writer(struct fixture *f, const char *target)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .access = KVOL_ACCESS_SINGLE_WRITER };

	return kvol_publish(f->pool, "v", target, &o, &f->e);
}

static int shared(struct fixture *f)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .propagation = KVOL_PROPAGATION_SHARED };

	return kvol_publish(f->pool, "v", "/t", &o, &f->e);
}

static int mapped(struct fixture *f)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .uid_map = "0 100000 65536" };

	return kvol_publish(f->pool, "v", "/t", &o, &f->e);
}

static int mapped_by_namespace(struct fixture *f)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .user_namespace = USER_NS };

	return kvol_publish(f->pool, "v", "/t", &o, &f->e);
}

static int for_group(struct fixture *f)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = KVOL_PUBLISH_GROUP,
				       .group = 1000 };

	return kvol_publish(f->pool, "v", "/t", &o, &f->e);
}

static void published_shared(struct fixture *f)
{
	open_pool(f);
	succeeds(f, shared(f));
}

static void has_single_writer(struct fixture *f)
{
	open_pool(f);
	succeeds(f, single_writer(f, "/t"));
}

static void unmounted(struct fixture *f)
{
	published(f);
	model_umount(NULL, "/t");
}

static void dead(struct fixture *f)
{
	open_pool(f);
	succeeds(f, publish(f, "x", "/t", 0, NULL, NULL));
	model_shut_down(NULL, "/t");
}

static void damaged(struct fixture *f)
{
	published(f);
	damage_records(f, "v");
}

static void block_damaged(struct fixture *f)
{
	block_published(f);
	damage_records(f, "raw");
}

static void damaged_and_unmounted(struct fixture *f)
{
	damaged(f);
	model_umount(NULL, "/t");
}

static void covered(struct fixture *f)
{
	open_pool(f);
	model_mount_stranger(NULL, "/t");
}

static void covered_after(struct fixture *f)
{
	published(f);
	model_mount_stranger(NULL, "/t");
}

/* Where an unpublish can stop: the mount is gone, its record not yet. */
static void without_mount(struct fixture *f)
{
	(void)f;
	model_umount(NULL, "/t");
}

static void without_block_mount(struct fixture *f)
{
	(void)f;
	model_umount(NULL, "/f");
}

static void without_mount_in_namespace(struct fixture *f)
{
	(void)f;
	model_umount(NS, "/t");
}

/* --- Calls ------------------------------------------------------------------------ */

static int call_publish(struct fixture *f)
{
	return publish(f, "v", "/t", 0, "noatime", NULL);
}

static int call_publish_plain(struct fixture *f)
{
	return publish(f, "v", "/t", 0, NULL, NULL);
}

static int call_publish_readonly(struct fixture *f)
{
	return publish(f, "v", "/u", KVOL_PUBLISH_READONLY, NULL, NULL);
}

static int call_publish_single(struct fixture *f)
{
	return single_writer(f, "/t");
}

static int call_publish_snapshot(struct fixture *f)
{
	return publish(f, "s", "/t", 0, NULL, NULL);
}

static int call_publish_in_namespace(struct fixture *f)
{
	return publish(f, "v", "/t", 0, NULL, NS);
}

static int call_publish_larger(struct fixture *f)
{
	return publish(f, "larger", "/t", 0, NULL, NULL);
}

static int call_publish_twin(struct fixture *f)
{
	return publish(f, "twin", "/t", 0, NULL, NULL);
}

static int call_publish_block(struct fixture *f)
{
	return publish(f, "raw", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL);
}

static int call_publish_block_readonly(struct fixture *f)
{
	return publish(f, "raw", "/g", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY, NULL,
		       NULL);
}

static int call_publish_block_snapshot(struct fixture *f)
{
	return publish(f, "s", "/f", KVOL_PUBLISH_BLOCK, NULL, NULL);
}

static int call_unpublish(struct fixture *f)
{
	return unpublish(f, "v", "/t", NULL);
}

static int call_unpublish_dead(struct fixture *f)
{
	return unpublish(f, "x", "/t", NULL);
}

static int call_unpublish_in_namespace(struct fixture *f)
{
	return unpublish(f, "v", "/t", NS);
}

static int call_unpublish_block(struct fixture *f)
{
	return unpublish(f, "raw", "/f", NULL);
}

static int call_unpublish_none(struct fixture *f)
{
	return unpublish(f, "none", "/t", NULL);
}

static int ephemeral(struct fixture *f, const char *target, const char *source)
{
	struct kvol_ephemeral_opts of = { .size = sizeof(of), .source = source };
	struct kvol_publish_opts o = { .size = sizeof(o), .ephemeral = &of };

	if (!source) {
		of.bytes = 512 * MIB;
		of.fs_type = "ext4";
	}
	return kvol_publish(f->pool, "e", target, &o, &f->e);
}

static void has_ephemeral(struct fixture *f)
{
	open_pool(f);
	succeeds(f, ephemeral(f, "/t", NULL));
}

static void has_ephemeral_twice(struct fixture *f)
{
	has_ephemeral(f);
	succeeds(f, ephemeral(f, "/u", NULL));
}

static void has_ephemeral_leftover(struct fixture *f)
{
	has_ephemeral(f);
	model_umount(NULL, "/t");
}

static int call_ephemeral(struct fixture *f)
{
	return ephemeral(f, "/t", NULL);
}

static int call_ephemeral_again(struct fixture *f)
{
	return ephemeral(f, "/u", NULL);
}

static int call_ephemeral_clone_at_u(struct fixture *f)
{
	return ephemeral(f, "/u", "v");
}

static int call_unpublish_ephemeral(struct fixture *f)
{
	return unpublish(f, "e", "/t", NULL);
}

/* A publish that was killed leaves a record without a mount. */
#define KILLED "!target attach"

static struct kvol_why_iter *open_why;

static void asked_why(struct fixture *f)
{
	published_twice(f);
	succeeds(f, kvol_why(f->pool, "v", 0, &open_why, &f->e));
}

static int call_why(struct fixture *f)
{
	struct kvol_why_iter *iter;
	int r;

	memset(&iter, PATTERN, sizeof(iter));
	r = kvol_why(f->pool, "v", 0, &iter, &f->e);
	if (r < 0 && touched(&iter, sizeof(iter)))
		flaw("the output is touched");
	if (r == 0)
		kvol_why_free(iter);
	return r;
}

static int call_why_none(struct fixture *f)
{
	struct kvol_why_iter *iter;

	return kvol_why(f->pool, "none", 0, &iter, &f->e);
}

static int call_why_next(struct fixture *f)
{
	struct kvol_why_info info = { .size = sizeof(info) };
	unsigned n = 0;

	(void)f;
	while (kvol_why_next(open_why, &info) == 1)
		n++;
	if (n != 2)
		flaw("it tells of %u holders", n);
	kvol_why_free(open_why);
	open_why = NULL;
	return 0;
}

static int call_why_free(struct fixture *f)
{
	(void)f;
	kvol_why_free(open_why);
	open_why = NULL;
	return 0;
}

static int call_limit_io(struct fixture *f)
{
	struct kvol_io_limits o = { .size = sizeof(o), .write_bps = MIB };

	return kvol_limit_io(f->pool, "v", "/u", &o, &f->e);
}

static const struct scenario scenarios[] = {
	{ "limit_io", "kvol_limit_io", ANY_PUBLISH "|cgroup '", one_of_each, published,
	  .call = call_limit_io },
	{ "publish", "kvol_publish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_publish, .between = KILLED },
	{ "publish again", "kvol_publish", ANY_PUBLISH, one_of_each, published,
	  .call = call_publish_plain },
	{ "publish with other options", "kvol_publish", ANY_PUBLISH, one_of_each,
	  published, .call = call_publish, .result = -EEXIST },
	{ "publish a second time", "kvol_publish", ANY_PUBLISH, one_of_each, published,
	  .call = call_publish_readonly, .between = KILLED },
	{ "publish for a single writer", "kvol_publish", ANY_PUBLISH, one_of_each,
	  open_here, .call = call_publish_single, .between = KILLED },
	{ "publish beside a single writer", "kvol_publish", ANY_PUBLISH, one_of_each,
	  has_single_writer, .call = call_publish_readonly, .result = -EBUSY },
	{ "publish with a propagation", "kvol_publish", ANY_PUBLISH, one_of_each,
	  open_here, .call = shared, .between = KILLED },
	{ "publish with a propagation again", "kvol_publish", ANY_PUBLISH, one_of_each,
	  published_shared, .call = shared },
	{ "publish with maps of ids", "kvol_publish", ANY_PUBLISH, one_of_each,
	  open_here, .call = mapped, .between = KILLED },
	{ "publish with a user namespace", "kvol_publish", ANY_PUBLISH, one_of_each,
	  with_namespace, .call = mapped_by_namespace, .between = KILLED },
	{ "publish for a group", "kvol_publish", ANY_PUBLISH, one_of_each, open_here,
	  .call = for_group, .between = "target attach|" KILLED },
	{ "publish a snapshot", "kvol_publish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_publish_snapshot, .between = KILLED },
	{ "publish in a namespace", "kvol_publish", ANY_PUBLISH, one_of_each,
	  with_namespace, .call = call_publish_in_namespace, .between = KILLED },
	{ "publish a larger clone", "kvol_publish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_publish_larger,
	  .between = "fs grow|commit|!commit|target attach|" KILLED },
	{ "publish a twin", "kvol_publish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_publish_twin, .between = "target attach|" KILLED },
	{ "publish over a stranger", "kvol_publish", ANY_PUBLISH, one_of_each, covered,
	  .call = call_publish, .result = -EBUSY },
	{ "publish what was unmounted", "kvol_publish", ANY_PUBLISH, one_of_each,
	  unmounted, .call = call_publish,
	  .between = "target attach|!dm create|" KILLED },
	{ "publish a block", "kvol_publish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_publish_block, .between = KILLED },
	{ "publish a block read-only", "kvol_publish", ANY_PUBLISH, one_of_each,
	  open_here, .call = call_publish_block_readonly, .between = KILLED },
	{ "publish a block a second time", "kvol_publish", ANY_PUBLISH, one_of_each,
	  block_published, .call = call_publish_block_readonly,
	  .between = "target attach|!dm load|" KILLED },
	{ "publish a snapshot as block", "kvol_publish", ANY_PUBLISH, one_of_each,
	  open_here, .call = call_publish_block_snapshot, .between = KILLED },
	{ "publish an ephemeral", "kvol_publish", ANY_PUBLISH "|'e'", one_of_each, open_here,
	  .call = call_ephemeral },
	{ "publish an ephemeral clone", "kvol_publish", ANY_PUBLISH "|'e'", one_of_each,
	  published, .call = call_ephemeral_clone_at_u },
	{ "publish an ephemeral a second time", "kvol_publish", ANY_PUBLISH "|'e'",
	  one_of_each, has_ephemeral, .call = call_ephemeral_again, .between = KILLED },
	{ "publish an ephemeral after a dead one", "kvol_publish", ANY_PUBLISH "|'e'",
	  one_of_each, has_ephemeral_leftover, .call = call_ephemeral_again,
	  .between = "target attach" },
	{ "unpublish an ephemeral", "kvol_unpublish", ANY_PUBLISH "|'e'", one_of_each,
	  has_ephemeral, .call = call_unpublish_ephemeral, .stopped = without_mount },
	{ "unpublish one of two of an ephemeral", "kvol_unpublish", ANY_PUBLISH "|'e'",
	  one_of_each, has_ephemeral_twice, .call = call_unpublish_ephemeral,
	  .stopped = without_mount },
	{ "unpublish an ephemeral that is left", "kvol_unpublish", ANY_PUBLISH "|'e'",
	  one_of_each, has_ephemeral_leftover, .call = call_unpublish_ephemeral },
	{ "unpublish", "kvol_unpublish", ANY_PUBLISH, one_of_each, published,
	  .call = call_unpublish, .stopped = without_mount },
	{ "unpublish one of two", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  published_twice, .call = call_unpublish, .stopped = without_mount },
	{ "unpublish what was unmounted", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  unmounted, .call = call_unpublish },
	{ "unpublish what is covered", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  covered_after, .call = call_unpublish, .result = -EBUSY },
	{ "unpublish in a namespace", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  published_in_namespace, .call = call_unpublish_in_namespace,
	  .stopped = without_mount_in_namespace },
	{ "unpublish in a gone namespace", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  published_in_gone_namespace, .call = call_unpublish_in_namespace },
	{ "unpublish a block", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  block_published, .call = call_unpublish_block, .stopped = without_block_mount },
	{ "unpublish one of two blocks", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  block_published_twice, .call = call_unpublish_block,
	  .stopped = without_block_mount },
	{ "unpublish what is shut down", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  dead, .call = call_unpublish_dead, .stopped = without_mount },
	{ "unpublish with a damaged record", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  damaged, .call = call_unpublish, .stopped = without_mount },
	{ "unpublish a block with a damaged record", "kvol_unpublish", ANY_PUBLISH,
	  one_of_each, block_damaged, .call = call_unpublish_block,
	  .stopped = without_block_mount },
	{ "unpublish by a damaged record", "kvol_unpublish", ANY_PUBLISH, one_of_each,
	  damaged_and_unmounted, .call = call_unpublish },
	{ "publish over a damaged record", "kvol_publish", ANY_PUBLISH, one_of_each,
	  damaged_and_unmounted, .call = call_publish,
	  .between = "target attach|!dm create|" KILLED },
	{ "unpublish nothing", "kvol_unpublish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_unpublish },
	{ "unpublish no volume", "kvol_unpublish", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_unpublish_none },
	{ "why", "kvol_why", ANY_PUBLISH, one_of_each, published_twice,
	  .call = call_why },
	{ "why, in another namespace", "kvol_why", ANY_PUBLISH, one_of_each,
	  published_in_namespace, .call = call_why },
	{ "why of nothing", "kvol_why", ANY_PUBLISH, one_of_each, open_here,
	  .call = call_why_none, .result = -ENOENT },
	{ "why_next", "kvol_why_next", "", one_of_each, asked_why, .call = call_why_next,
	  .silent = true, .no_repeat = true, .cannot_fail = true },
	{ "why_free", "kvol_why_free", "", one_of_each, asked_why, .call = call_why_free,
	  .no_repeat = true, .cannot_fail = true },
};

const struct group publish_failures = { "failures of publishes", scenarios,
					KV_ARRAY_SIZE(scenarios) };
