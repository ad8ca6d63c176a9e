// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What stands on a publish's target already: nothing, the same publish, or something that
 * is in the way. The kernel is asked; records only tell a repeat from a change.
 *
 * Nothing is changed here but for the record of a publish that is taken over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "publish.h"

static bool same_publish(const struct kv_publication *a, const struct kv_publication *b)
{
	return a->flags == b->flags && a->attr == b->attr && a->access == b->access &&
	       a->group == b->group &&
	       a->propagation == b->propagation && a->user_ns.dev == b->user_ns.dev &&
	       a->user_ns.ino == b->user_ns.ino && !strcmp(a->uid_map, b->uid_map) &&
	       !strcmp(a->gid_map, b->gid_map) && !strcmp(a->super, b->super);
}

/* A publish at this target whose mount went elsewhere with a directory that was renamed:
 * a second record would take the place of its own. */
static int check_moved(const struct kv_job *job, struct kv_publication *old,
		       struct kvol_error *e)
{
	int r = kv_publication_read(job->pool->dir_fd, job->row.id, &job->want.ns,
				    job->want.target, old);

	if (r == -ENOENT)
		return 0;
	if (r == -EUCLEAN) {
		*old = job->want;
		r = kv_publication_recognise(job->pool, job->ns_path, old);
	} else if (r == 0) {
		r = kv_publication_find(old, job->ns_path, NULL);
	}
	if (r < 0)
		return kv_error_errno(e, r, "target '%s': look for its mount",
				      job->want.target);
	return r ? kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN,
			    "target '%s': the volume is mounted where it was before",
			    job->want.target)
		 : 0;
}

/* A publish at this target that was made in another namespace, by a caller in it. */
static int same_target(const struct kv_publication *p, void *arg)
{
	struct kv_publication *old = arg;

	if (p->damaged[0] || p->ns_path[0] || strcmp(p->target, old->target))
		return 0;
	*old = *p;
	return 1;
}

/* The volume's own mount stands there without a record of this namespace: a caller who was
 * started anew has got it by propagation. It gets a record. As check_target. */
static int take_over(struct kv_job *job, struct kv_publication *old, struct kvol_error *e)
{
	struct kv_publication here = job->want;
	int r = job->ns_path ? 0 : kv_publication_seen(job->pool, NULL, &here);

	*old = job->want;
	if (r == 1)
		r = kv_publication_each(job->pool->dir_fd, job->row.id, same_target, old);
	if (r < 0)
		return kv_error_errno(e, r, "target '%s': look for its record",
				      job->want.target);
	if (r == 0)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN,
				"target '%s': something else is mounted on it",
				job->want.target);
	if (!same_publish(old, &job->want))
		return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
				"volume '%s': published at '%s' with other options",
				job->row.name, job->want.target);
	job->want.mnt_id = here.mnt_id;
	job->want.dev = here.dev;
	r = kv_publication_write(job->pool->dir_fd, &job->want);
	return r < 0 ? kv_error_errno(e, r, "target '%s': write its record",
				      job->want.target)
		     : 1;
}

int kv_job_check_target(struct kv_job *job, struct kvol_error *e)
{
	_cleanup_free_ struct kv_publication *old = malloc(sizeof(*old));
	int r;

	if (!old)
		return kv_error_errno(e, -ENOMEM, "target '%s'", job->want.target);
	r = kv_publication_look(&job->want, &job->visit, &job->target);
	if (r < 0)
		return kv_target_error(r, job->want.target, e);
	if (!job->target.mount_root) {
		r = check_moved(job, old, e);
		if (r < 0)
			return r;
		if (job->block ? S_ISREG(job->target.mode) : S_ISDIR(job->target.mode))
			return 0;
		return kv_error(e, S_ISDIR(job->target.mode) ? -EISDIR : -ENOTDIR,
				KVOL_R_INVALID, "target '%s': is not a %s",
				job->want.target,
				job->block ? "regular file" : "directory");
	}
	r = kv_publication_read(job->pool->dir_fd, job->row.id, &job->want.ns,
				job->want.target, old);
	if (r == -ENOENT)
		return take_over(job, old, e);
	if (r < 0)
		return kv_error_errno(e, r, "target '%s': read its record",
				      job->want.target);
	if (r == 0 && kv_publication_stands(old, &job->target))
		r = 1;
	else if (r == 0)
		r = kv_publication_stands_dead(old, job->ns_path, &job->target);
	if (r < 0 && r != -ENOENT)
		return kv_error_errno(e, r, "target '%s': look for its mount",
				      job->want.target);
	if (r != 1)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN,
				"target '%s': something else is mounted on it",
				job->want.target);
	if (same_publish(old, &job->want))
		return 1;
	return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
			"volume '%s': published at '%s' with other options",
			job->row.name, job->want.target);
}
