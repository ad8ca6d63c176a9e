/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A hook for OCI runtimes (runc, crun, and what stands on them): kvol volumes appear in a
 * container's own mount namespace, and nowhere else on the host. See README.md beside it.
 *
 *	kvol-oci-hook publish POOL	as createRuntime
 *	kvol-oci-hook unpublish POOL	as poststop
 *
 * It keeps no state: which volumes a container has stands in the labels of their publishes. A
 * runtime that is killed runs no poststop; then the namespace is gone with the container, and the
 * library takes what was published there as unpublished.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvol/kvol.h>

#include "container.h"

#define LABEL "io.kvol/container"

static struct kvol_error error;

static int publish_one(struct kvol_pool *pool, const struct container *c, const struct wish *w)
{
	const struct kvol_label label = { LABEL, c->id };
	struct kvol_publish_opts o = { .size = sizeof(o), .labels = &label, .n_labels = 1 };
	char path[4096], mounts[64], users[64];

	if (container_make_target(c, w->target, path, sizeof(path)) < 0)
		return -1;
	(void)snprintf(mounts, sizeof(mounts), "/proc/%d/ns/mnt", (int)c->pid);
	(void)snprintf(users, sizeof(users), "/proc/%d/ns/user", (int)c->pid);
	o.flags = w->readonly ? KVOL_PUBLISH_READONLY : 0;
	o.mount_options = w->options;
	o.mount_namespace = mounts;
	o.user_namespace = w->idmap ? users : NULL;
	if (kvol_publish(pool, w->volume, path, &o, &error) < 0)
		return complain("%s", error.msg);
	return 0;
}

static int is_of(const struct kvol_publish_info *info, const char *id)
{
	for (uint64_t i = 0; i < info->n_labels; i++)
		if (!strcmp(info->labels[i].key, LABEL))
			return !strcmp(info->labels[i].value, id);
	return 0;
}

/* All that can be taken away is, whatever happens to the others. */
static int unpublish_all(struct kvol_pool *pool, const struct container *c)
{
	struct kvol_publish_info info = { .size = sizeof(info) };
	struct kvol_publish_iter *iter;
	int r, failed = 0;

	if (kvol_publish_list(pool, NULL, &iter, &error) < 0)
		return complain("%s", error.msg);
	while ((r = kvol_publish_iter_next(iter, &info)) == 1) {
		struct kvol_publish_opts o = { .size = sizeof(o),
					       .mount_namespace = info.mount_namespace };

		if (is_of(&info, c->id) &&
		    kvol_unpublish(pool, info.volume, info.target, &o, &error) < 0)
			failed = complain("%s", error.msg);
	}
	kvol_publish_iter_free(iter);
	return r < 0 ? complain("the list of publishes: %s", strerror(-r)) : failed;
}

static int publish_all(struct kvol_pool *pool, const struct container *c)
{
	for (size_t i = 0; i < c->n_wishes; i++) {
		if (publish_one(pool, c, &c->wishes[i]) < 0) {
			(void)unpublish_all(pool, c);
			return -1;
		}
	}
	return 0;
}

/* Without a pool there is nothing to take away from a container that has stopped. */
static int run(const char *verb, const char *path, const struct container *c)
{
	int publishing = !strcmp(verb, "publish"), r;
	struct kvol_ctx *ctx;
	struct kvol_pool *pool;

	if (publishing && (!c->n_wishes || c->pid <= 0))
		return c->n_wishes ? complain("the container has no process") : 0;
	if (kvol_new(NULL, &ctx, &error) < 0)
		return complain("%s", error.msg);
	r = kvol_pool_open(ctx, path, NULL, &pool, &error);
	kvol_free(ctx);
	if (r == -ENOENT && !publishing)
		return 0;
	if (r < 0)
		return complain("%s", error.msg);
	r = publishing ? publish_all(pool, c) : unpublish_all(pool, c);
	kvol_pool_close(pool);
	return r;
}

int main(int argc, char **argv)
{
	struct container container;
	int r;

	if (argc != 3 || (strcmp(argv[1], "publish") && strcmp(argv[1], "unpublish"))) {
		fprintf(stderr, "usage: kvol-oci-hook publish|unpublish POOL <STATE\n");
		return 2;
	}
	if (container_read(&container) < 0)
		return 1;
	r = run(argv[1], argv[2], &container);
	container_free(&container);
	return r < 0 ? 1 : 0;
}
