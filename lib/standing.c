// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which publishes stand: records of the run directory held against what the kernel shows
 * at their targets.
 *
 * A record without its mount is what a crash, or somebody with umount(8), left; it is
 * dropped by whoever meets it under the volume's lock. A mount that is not to be seen at
 * its target is not gone yet: something may cover it, and whoever may rename a directory
 * above it can put a link or another directory in its place. So the namespace's whole
 * list is asked before a publish is taken for ended; one that was forgotten would leave a
 * container with a device whose number is another volume's tomorrow. In a namespace that
 * cannot be looked into a publish stands for as long as the volume's device is held open.
 * A device that was published as such may be held by nobody: there the doubt is an error.
 * Recovery, which nobody asked to look at the volume, doubts longer: it drops only what
 * it sees to be gone. Nothing is unmounted here.
 */
#include <errno.h>

#include "mount.h"
#include "verb.h"

struct look {
	const char *target;
	struct kv_target *ret;
};

static int look(void *arg)
{
	const struct look *x = arg;
	int r;

	r = kv_target_open(x->target, x->ret);
	if (r == 0)
		x->ret->fd = kv_close(x->ret->fd);
	return r;
}

int kv_publication_look(const struct kv_publication *p, struct kv_target *ret)
{
	struct look x = { p->target, ret };

	return kv_ns_run(p->ns_path[0] ? p->ns_path : NULL, look, &x);
}

/* A mount keeps its id from its making to its end, wherever it is moved; ids are used
 * again, so the device that is seen there must be the same as well. (It need not be the
 * volume's: btrfs shows a number of its own.) */
bool kv_publication_stands(const struct kv_publication *p, const struct kv_target *t)
{
	return t->mount_root && !t->dead && t->mnt_id == p->mnt_id &&
	       (p->flags & KVOL_PUBLISH_BLOCK ? t->rdev : t->dev) == p->dev;
}

int kv_publication_find(const struct kv_publication *p, const char *ns_path,
			char ret_point[PATH_MAX])
{
	return kv_mount_find(ns_path, p->mnt_id, p->dev, p->flags & KVOL_PUBLISH_BLOCK,
			     ret_point);
}

int kv_publication_stands_dead(const struct kv_publication *p, const char *ns_path,
			       const struct kv_target *t)
{
	return t->dead && t->mnt_id == p->mnt_id ? kv_publication_find(p, ns_path, NULL)
						 : 0;
}

static bool held_open(const struct kvol_pool *pool, const struct kv_publication *p)
{
	uint32_t openers;

	return !(p->flags & KVOL_PUBLISH_BLOCK) &&
	       (kv_device_openers(pool, p->volume, &openers) < 0 || openers);
}

/* 1 or 0, or the error that keeps us from knowing. */
static int is_live(const struct kvol_pool *pool, const struct kv_publication *p)
{
	const char *ns_path = p->ns_path[0] ? p->ns_path : NULL;
	struct kv_target t;
	struct kv_ns ns;
	int r;

	r = kv_ns_id(ns_path, &ns);
	if (r == 0 && (ns.dev != p->ns.dev || ns.ino != p->ns.ino))
		r = -ENOENT; /* the path is another namespace's by now */
	if (r == -ENOENT || r == -EINVAL)
		return held_open(pool, p);
	if (r == 0 && kv_publication_look(p, &t) == 0 && kv_publication_stands(p, &t))
		return 1;
	if (r == 0)
		r = kv_publication_find(p, ns_path, NULL);
	return r < 0 && !(p->flags & KVOL_PUBLISH_BLOCK) ? held_open(pool, p) : r;
}

/* As far as can be seen from here: not what a namespace that is not ours to look into may
 * have. */
static bool is_gone(const struct kv_publication *p)
{
	const char *ns_path = p->ns_path[0] ? p->ns_path : NULL;
	struct kv_ns ns;

	return kv_ns_id(ns_path, &ns) == 0 && ns.dev == p->ns.dev &&
	       ns.ino == p->ns.ino && kv_publication_find(p, ns_path, NULL) == 0;
}

struct tidy {
	struct kvol_pool *pool;
	struct kv_left *left;
};

static int tidy_one(const struct kv_publication *p, void *arg)
{
	const uint32_t face = KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY;
	struct tidy *x = arg;

	if (is_gone(p))
		return kv_publication_remove(x->pool->dir_fd, p);
	x->left->publishes++;
	x->left->faces += (p->flags & face) == face;
	return 0;
}

int kv_publications_tidy(struct kvol_pool *pool, uint32_t id, struct kv_left *ret)
{
	struct kv_left left = { 0 };
	struct tidy x = { pool, &left };
	int r;

	r = kv_publication_each(pool->dir_fd, id, tidy_one, &x);
	if (r == 0)
		*ret = left;
	return r;
}

struct prune {
	struct kvol_pool *pool;
	bool active;
	unsigned live;
	char *target;
};

static int prune_one(const struct kv_publication *p, void *arg)
{
	struct prune *x = arg;
	int live = x->active ? is_live(x->pool, p) : 0;

	if (live < 0)
		return live;
	if (!live)
		return kv_publication_remove(x->pool->dir_fd, p);
	x->live++;
	if (x->target)
		(void)kv_strcpy(x->target, 128, p->target);
	return 0;
}

int kv_publications_prune(struct kvol_pool *pool, uint32_t id, unsigned *ret_live,
			  char *target)
{
	struct prune x = { .pool = pool, .target = target };
	struct kv_dm_info info;
	int r;

	r = kv_device_info(pool, id, &info);
	if (r < 0 && r != -ENXIO)
		return r;
	x.active = r == 0;
	r = kv_publication_each(pool->dir_fd, id, prune_one, &x);
	if (r < 0)
		return r;
	*ret_live = x.live;
	return x.active;
}
