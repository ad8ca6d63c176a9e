// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Unpublishing: the mount that the record names is taken away, wherever it has got to, and
 * then the record. In between a crash leaves a record without a mount, which whoever meets
 * it recognises. Nothing is unmounted that is not this volume's own mount.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "publish.h"

/* How often a mount is looked for again that is renamed all the time. */
#define UNMOUNT_TRIES 3

struct detach {
	const struct kv_publication *p;
	const char *path;
	bool found; /* the namespace has p's mount; its id tells it when it is dead */
};

/* -ESTALE: it is not to be seen there. */
static int detach(void *arg)
{
	const struct detach *x = arg;
	struct kv_target t;
	int r;

	r = kv_target_open(x->path, &t);
	if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR)
		return -ESTALE;
	if (r < 0)
		return r;
	t.fd = kv_close(t.fd); /* it would hold the mount */
	if (!kv_publication_stands(x->p, &t) &&
	    !(x->found && t.dead && t.mnt_id == x->p->mnt_id))
		return -ESTALE;
	return kv_target_detach(x->path, &t);
}

/* At its target; or wherever it has got to, with a directory that somebody renamed, or
 * where it is known only by the kernel's list, for it is dead. */
int kv_job_unmount(struct kv_job *job, struct kvol_error *e)
{
	_cleanup_free_ char *point = malloc(PATH_MAX);
	struct detach x = { .p = &job->want, .path = job->want.target };
	int r;

	if (!point)
		return kv_error_errno(e, -ENOMEM, "target '%s'", job->want.target);
	r = kv_visit_run(&job->visit, detach, &x);
	for (int i = 0; r == -ESTALE && i < UNMOUNT_TRIES; i++) {
		r = kv_publication_find(&job->want, job->ns_path, point);
		if (r <= 0)
			break; /* somebody unmounted it */
		x.path = point;
		x.found = true;
		r = kv_visit_run(&job->visit, detach, &x);
	}
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN, "volume '%s': in use at '%s'",
				job->row.name, job->want.target);
	if (r == -ESTALE || r == -EINVAL) /* EINVAL: what is left of a path has no name */
		return kv_error(
			e, -EBUSY, KVOL_R_BUSY_OPEN,
			"volume '%s': mounted, but out of reach: '%s' is covered or "
			"being exchanged",
			job->row.name, job->want.target);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': unmount '%s'", job->row.name,
				      job->want.target)
		     : 0;
}

struct gone {
	const struct kv_job *job;
	struct kvol_pool *pool;
};

/* The namespace is no more: whatever was recorded under its path went with it. */
static int drop_gone(const struct kv_publication *p, void *arg)
{
	const struct gone *x = arg;

	if (p->damaged[0] || strcmp(p->ns_path, x->job->want.ns_path) ||
	    strcmp(p->target, x->job->want.target))
		return 0;
	return kv_publication_remove(x->pool->dir_fd, p);
}

/* It may be here by propagation, with its record under another namespace. */
static int take_unrecorded(struct kv_job *job, struct kvol_error *e)
{
	int r = kv_publication_seen(job->pool, job->ns_path, &job->want);

	if (r == 0)
		return 0;
	if (r < 0)
		return kv_error_errno(e, r, "target '%s': look for its mount",
				      job->want.target);
	return kv_job_unmount(job, e);
}

/* How many publishes are left. A record of a namespace that its maker has left may be of
 * the mount that just went. */
static int count_left(struct kvol_pool *pool, uint32_t id)
{
	unsigned live;
	int r = kv_publication_count(pool->dir_fd, id);

	if (r <= 0)
		return r;
	/* What cannot be looked at is left to whoever needs to know. */
	return kv_publications_prune(pool, id, &live, NULL) < 0 ? r : (int)live;
}

static int take_away(struct kv_job *job, struct kvol_error *e)
{
	struct gone gone = { .job = job, .pool = job->pool };
	int r;

	if (job->visited == -ENOENT) {
		r = kv_publication_each(job->pool->dir_fd, job->row.id, drop_gone, &gone);
		return r < 0 ? kv_error_errno(e, r, "target '%s': drop its record",
					      job->want.target)
			     : 0;
	}
	if (job->visited < 0)
		return kv_namespace_error(job->visited, job->ns_path, e);
	job->want.ns = job->visit.ns;
	r = kv_publication_read(job->pool->dir_fd, job->row.id, &job->want.ns,
				job->want.target, &job->want);
	if (r == -ENOENT)
		return take_unrecorded(job, e);
	if (r == -EUCLEAN) {
		r = kv_publication_recognise(job->pool, job->ns_path, &job->want);
		if (r == 0)
			return 0;
	}
	if (r == -EUCLEAN)
		return kv_error(e, r, KVOL_R_CORRUPT,
				"target '%s': its record is damaged, and the volume is "
				"not seen there but in use",
				job->want.target);
	if (r < 0)
		return kv_error_errno(e, r, "target '%s': read its record",
				      job->want.target);
	r = kv_job_unmount(job, e);
	if (r < 0)
		return r;
	r = kv_publication_remove(job->pool->dir_fd, &job->want);
	return r < 0 ? kv_error_errno(e, r, "target '%s': drop its record",
				      job->want.target)
		     : 0;
}

int kvol_unpublish(struct kvol_pool *pool, const char *name, const char *target,
		   const struct kvol_publish_opts *opts, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_job_ struct kv_job *job = NULL;
	struct kvol_publish_opts o;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_job_start(pool, name, target, opts, &o, &job, reterr);
	if (r < 0)
		return r;
	r = kv_volume_lock(pool, name, NULL, &lock, &job->row, reterr);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	job->want.volume = job->row.id;
	r = take_away(job, reterr);
	if (r < 0)
		return r;
	if (job->row.flags & KV_ROW_EPHEMERAL)
		return kv_ephemeral_unpublished(pool, &job->row, reterr);
	r = count_left(pool, job->row.id);
	if (r == 0)
		r = kv_device_deactivate(pool, job->row.id, KV_DM_DEFERRED);
	if (r < 0)
		return kv_error_errno(reterr, r, "volume '%s': deactivate", name);
	return 0;
}
