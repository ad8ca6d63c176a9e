/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The verbs on encrypted volumes with each of their steps failing, on the model.
 */

#include <sys/stat.h>

#include "failures.h"
#include "util.h"

#define ANY    "volume '|snapshot '|target '|mount namespace '|'v'|'x'|'tank'"
#define GROWN  (600 * MIB)
#define SECRET "open sesame"
#define OTHER  "swordfish"

static int create(struct fixture *f, const char *name, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = fs,
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET) };

	return kvol_create(f->pool, name, 512 * MIB, &o, &f->e);
}

static int publish_with(struct fixture *f, const char *target, uint32_t flags,
			const char *secret)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .secret = secret,
				       .secret_bytes = strlen(secret) };

	return kvol_publish(f->pool, "v", target, &o, &f->e);
}

/* --- Disks and boots -------------------------------------------------------------- */

static void empty_pool(struct fixture *f)
{
	(void)f;
}

static void one(struct fixture *f)
{
	succeeds(f, create(f, "v", "ext4"));
	model_file("/v", S_IFDIR);
	model_file("/v.img", S_IFREG);
}

static void one_grown(struct fixture *f)
{
	one(f);
	succeeds(f, kvol_expand(f->pool, "v", GROWN, 0, &f->e));
}

static void open_here(struct fixture *f)
{
	open_pool(f);
}

static void published(struct fixture *f)
{
	open_pool(f);
	succeeds(f, publish_with(f, "/v", 0, SECRET));
}

/* --- Calls ------------------------------------------------------------------------ */

static int call_create(struct fixture *f)
{
	return create(f, "x", "ext4");
}

static int call_create_raw(struct fixture *f)
{
	return create(f, "x", NULL);
}

static int call_publish(struct fixture *f)
{
	return publish_with(f, "/v", 0, SECRET);
}

static int call_publish_block(struct fixture *f)
{
	return publish_with(f, "/v.img", KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY,
			    SECRET);
}

static int call_publish_wrong(struct fixture *f)
{
	return publish_with(f, "/v", 0, OTHER);
}

static int call_unpublish(struct fixture *f)
{
	return unpublish(f, "v", "/v", NULL);
}

/* Where an unpublish can stop: the mount is gone, its record not yet. */
static void without_mount(struct fixture *f)
{
	(void)f;
	model_umount(NULL, "/v");
}

static int call_change(struct fixture *f)
{
	return kvol_change_secret(f->pool, "v", SECRET, strlen(SECRET), OTHER,
				  strlen(OTHER), 0, &f->e);
}

static int call_change_wrong(struct fixture *f)
{
	return kvol_change_secret(f->pool, "v", OTHER, strlen(OTHER), "third", 5, 0,
				  &f->e);
}

static int call_expand(struct fixture *f)
{
	return kvol_expand(f->pool, "v", GROWN, 0, &f->e);
}

static int call_snapshot(struct fixture *f)
{
	return kvol_snapshot(f->pool, "v", "x", NULL, &f->e);
}

static int call_delete(struct fixture *f)
{
	return kvol_delete(f->pool, "v", 0, &f->e);
}

#define KILLED "!target attach"

static const struct scenario scenarios[] = {
	{ "create encrypted", "kvol_create", ANY, empty_pool, open_here,
	  .call = call_create },
	{ "create raw encrypted", "kvol_create", ANY, empty_pool, open_here,
	  .call = call_create_raw },
	{ "publish encrypted", "kvol_publish", ANY, one, open_here, .call = call_publish,
	  .between = KILLED },
	{ "publish encrypted again", "kvol_publish", ANY, one, published,
	  .call = call_publish },
	{ "publish a grown encrypted", "kvol_publish", ANY, one_grown, open_here,
	  .call = call_publish, .between = "fs grow|commit|target attach|" KILLED },
	{ "publish encrypted as a read-only block", "kvol_publish", ANY, one, open_here,
	  .call = call_publish_block, .between = KILLED },
	{ "publish encrypted by a wrong secret", "kvol_publish", ANY, one, open_here,
	  .call = call_publish_wrong, .result = -EACCES, .idle_left = 1 },
	{ "unpublish encrypted", "kvol_unpublish", ANY, one, published,
	  .call = call_unpublish, .stopped = without_mount, .idle_left = 1 },
	{ "change a secret", "kvol_change_secret", ANY, one, open_here,
	  .call = call_change, .idle_left = 1 },
	{ "change a secret in use", "kvol_change_secret", ANY, one, published,
	  .call = call_change },
	{ "change a secret by a wrong one", "kvol_change_secret", ANY, one, open_here,
	  .call = call_change_wrong, .result = -EACCES, .idle_left = 1 },
	{ "expand encrypted", "kvol_expand", ANY, one, open_here, .call = call_expand },
	{ "expand a published encrypted", "kvol_expand", ANY, one, published,
	  .call = call_expand, .between = "dm load|dm load#2|fs grow|commit#2" },
	{ "snapshot of a published encrypted", "kvol_snapshot", ANY, one, published,
	  .call = call_snapshot },
	{ "delete encrypted", "kvol_delete", ANY, one, open_here, .call = call_delete },
};

const struct group encrypt_failures = { "failures of encryption", scenarios,
					KV_ARRAY_SIZE(scenarios) };
