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
 *
 * A record that somebody has damaged does not say where its mount would be. It is taken
 * to stand while the volume's device is held open, or its node is bound in the namespace
 * of any process, and is dropped after that. Before that, whoever names the target can
 * have it unmounted: the device that is seen there is the volume's, or it is not. The same
 * goes for a caller who has come into another mount namespace, which got the mount by
 * propagation: the record is of the namespace that it was made in.
 */
#include <errno.h>
#include <inttypes.h>

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

int kv_publication_look(const struct kv_publication *p, struct kv_visit *visit,
			struct kv_target *ret)
{
	struct look x = { p->target, ret };

	return visit ? kv_visit_run(visit, look, &x) : kv_ns_run(p->ns_path, look, &x);
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

/* A face's number; -ENXIO: it is not active. */
static int device_number(const struct kvol_pool *pool, uint32_t id, enum kv_face face,
			 dev_t *ret)
{
	struct kv_dm_info info;
	struct kv_dm_id dm_id;
	int r;

	kv_dm_id_volume(&dm_id, pool->conf.uuid, id, face);
	r = kv_dm_info(&pool->dm, dm_id.uuid, &info);
	if (r == 0)
		*ret = info.dev;
	return r;
}

int kv_volume_in_use(const struct kvol_pool *pool, uint32_t id)
{
	uint32_t openers;
	dev_t dev;
	int r;

	r = kv_device_openers(pool, id, &openers);
	if (r < 0 || openers)
		return r < 0 ? r : 1;
	for (enum kv_face face = 0; face < KV_FACES; face++) {
		r = device_number(pool, id, face, &dev);
		if (r == 0)
			r = kv_node_bound(dev);
		if (r != 0 && r != -ENXIO)
			return r;
	}
	return 0;
}

static int drop_damaged(const struct kvol_pool *pool, const struct kv_publication *p)
{
	int r = kv_publication_remove(pool->dir_fd, p);

	if (r == 0)
		kv_log(&pool->log, LOG_WARNING,
		       "pool '%s': a damaged record of a publish of volume %" PRIu32
		       " is dropped: the volume is not in use",
		       pool->conf.name, p->volume);
	return r;
}

int kv_publication_seen(const struct kvol_pool *pool, const char *ns_path,
			struct kv_publication *p)
{
	struct kv_target t;
	dev_t dev = 0;
	int r;

	r = kv_publication_look(p, NULL, &t);
	if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR)
		return 0;
	if (r < 0 || !t.mount_root)
		return r;
	for (enum kv_face face = 0; S_ISBLK(t.mode) && face < KV_FACES; face++) {
		r = device_number(pool, p->volume, face, &dev);
		if (r < 0 && r != -ENXIO)
			return r;
		if (r < 0 || dev != t.rdev)
			continue;
		p->flags = KVOL_PUBLISH_BLOCK;
		p->dev = dev;
		p->mnt_id = t.mnt_id;
		return 1;
	}
	/* The file system is on what an encrypted volume says. */
	r = device_number(pool, p->volume, KV_FACE_CRYPT, &dev);
	if (r == -ENXIO)
		r = device_number(pool, p->volume, KV_FACE_THIN, &dev);
	if (r == 0)
		r = kv_mount_shows(ns_path, t.mnt_id, dev);
	if (r != 1)
		return r == -ENXIO ? 0 : r;
	p->flags = 0;
	p->dev = t.dead ? dev : t.dev;
	p->mnt_id = t.mnt_id;
	return 1;
}

int kv_publication_recognise(const struct kvol_pool *pool, const char *ns_path,
			     struct kv_publication *p)
{
	int r = kv_publication_seen(pool, ns_path, p);

	if (r != 0)
		return r;
	r = kv_volume_in_use(pool, p->volume);
	if (r != 0)
		return r < 0 ? r : -EUCLEAN;
	return drop_damaged(pool, p);
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

	if (p->damaged[0])
		return kv_volume_in_use(pool, p->volume);
	r = kv_ns_id(ns_path, &ns);
	if (r == 0 && (ns.dev != p->ns.dev || ns.ino != p->ns.ino))
		r = -ENOENT; /* the path is another namespace's by now */
	if (r == -ENOENT || r == -EINVAL)
		return held_open(pool, p);
	if (r == 0 && kv_publication_look(p, NULL, &t) == 0 && kv_publication_stands(p, &t))
		return 1;
	if (r == 0)
		r = kv_publication_find(p, ns_path, NULL);
	return r < 0 && !(p->flags & KVOL_PUBLISH_BLOCK) ? held_open(pool, p) : r;
}

/* As far as can be seen from here: not what a namespace that is not ours to look into may
 * have. */
static bool is_gone(const struct kv_publication *p, const struct kv_mounts *seen)
{
	const bool node = p->flags & KVOL_PUBLISH_BLOCK;
	const char *ns_path = p->ns_path[0] ? p->ns_path : NULL;
	struct kv_ns ns;

	if (kv_ns_id(ns_path, &ns) < 0 || ns.dev != p->ns.dev || ns.ino != p->ns.ino)
		return false;
	if (seen->ns.dev == ns.dev && seen->ns.ino == ns.ino &&
	    kv_mounts_have(seen, p->mnt_id, p->dev, node))
		return false;
	return kv_publication_find(p, ns_path, NULL) == 0;
}

struct tidy {
	struct kvol_pool *pool;
	const struct kv_mounts *seen;
	struct kv_left *left;
};

static int tidy_one(const struct kv_publication *p, void *arg)
{
	const uint32_t face = KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY;
	struct tidy *x = arg;

	if (!p->damaged[0] && is_gone(p, x->seen))
		return kv_publication_remove(x->pool->dir_fd, p);
	x->left->publishes++;
	x->left->faces += p->damaged[0] || (p->flags & face) == face;
	return 0;
}

int kv_publications_tidy(struct kvol_pool *pool, uint32_t id, const struct kv_mounts *seen,
			 struct kv_left *ret)
{
	struct kv_left left = { 0 };
	struct tidy x = { pool, seen, &left };
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
		return p->damaged[0] ? drop_damaged(x->pool, p)
				     : kv_publication_remove(x->pool->dir_fd, p);
	x->live++;
	if (x->target)
		(void)kv_strcpy(x->target, 128,
				p->damaged[0] ? "(unknown: its record is damaged)"
					      : p->target);
	return 0;
}

int kv_publications_prune(struct kvol_pool *pool, uint32_t id, unsigned *ret_live,
			  char *target)
{
	struct prune x = { .pool = pool, .target = target };
	struct kv_dm_info info;
	int r;

	r = kv_device_info(pool, id, KV_FACE_THIN, &info);
	if (r < 0 && r != -ENXIO)
		return r;
	x.active = r == 0;
	r = kv_publication_each(pool->dir_fd, id, prune_one, &x);
	if (r < 0)
		return r;
	*ret_live = x.live;
	return x.active;
}

void kv_volume_put_down(struct kvol_pool *pool, uint32_t id)
{
	unsigned live;

	if (kv_publications_prune(pool, id, &live, NULL) >= 0 && !live)
		(void)kv_device_deactivate(pool, id, KV_DM_DEFERRED);
}
