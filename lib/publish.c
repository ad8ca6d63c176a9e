// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing. Nothing is staged: each publish makes a mount of its own,
 * out of sight, and moves it onto the target in the target's mount namespace. A publish
 * that does not finish vanishes with its file descriptor; what may be left is an active
 * device and a record without a mount, and both are recognised as such by whoever looks
 * next.
 *
 * What stands on a target is asked of the kernel, on file descriptors that were opened
 * without following links; the record only tells a repeat from a change. Nothing is ever
 * formatted here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "publish.h"

/* All mounts of a device share one superblock, and so the options of the file system
 * itself: the kernel would drop a second set without a word. */
static int other_super(const struct kv_publication *p, void *arg)
{
	const struct kv_job *job = arg;

	if (p->damaged[0])
		return -EUCLEAN;
	return !(p->flags & KVOL_PUBLISH_BLOCK) && strcmp(p->super, job->want.super);
}

static int check_super(struct kv_job *job, struct kvol_error *e)
{
	int r = 0;

	if (job->live && !job->block)
		r = kv_publication_each(job->pool->dir_fd, job->row.id, other_super, job);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look for its publishes",
				      job->row.name);
	return r ? kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
			    "volume '%s': published elsewhere with "
			    "other options of its file system",
			    job->row.name)
		 : 0;
}

struct conflict {
	bool asked; /* for a single writer */
	char target[128];
};

static int find_conflict(const struct kv_publication *p, void *arg)
{
	struct conflict *x = arg;

	if (p->damaged[0]) /* for whom is not known */
		return -EUCLEAN;
	if (!x->asked && p->access != KVOL_ACCESS_SINGLE_WRITER)
		return 0;
	(void)kv_strcpy(x->target, sizeof(x->target), p->target);
	return 1;
}

/* The records are all there is to it: who publishes holds the volume's lock. */
static int check_access(struct kv_job *job, struct kvol_error *e)
{
	struct conflict x = { .asked = job->want.access == KVOL_ACCESS_SINGLE_WRITER };
	int r;

	r = kv_publications_prune(job->pool, job->row.id, &job->live, NULL);
	if (r >= 0)
		r = kv_publication_each(job->pool->dir_fd, job->row.id, find_conflict,
					&x);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look for its publishes",
				      job->row.name);
	if (!r)
		return 0;
	return kv_error(e, -EBUSY, KVOL_R_ACCESS_CONFLICT,
			x.asked ? "volume '%s': a single writer is asked for, and it is "
				  "published at '%s'"
				: "volume '%s': published for a single writer at '%s'",
			job->row.name, x.target);
}

static int propagate(const struct kv_job *job, int fd)
{
	static const unsigned long as_kernel[] = {
		[KVOL_PROPAGATION_PRIVATE] = MS_PRIVATE,
		[KVOL_PROPAGATION_SLAVE] = MS_SLAVE,
		[KVOL_PROPAGATION_SHARED] = MS_SHARED,
	};

	if (!job->want.propagation)
		return 0;
	return kv_mount_propagate(fd, as_kernel[job->want.propagation]);
}

/* Whoever was killed between moving the mount and this has left it as the target's own
 * mount is: a repeat makes up for it. */
static int propagate_again(void *arg)
{
	const struct kv_job *job = arg;
	_cleanup_close_ int fd = -1;
	struct kv_target t;
	int r;

	r = kv_target_open(job->want.target, &t);
	if (r < 0)
		return r;
	fd = t.fd;
	return t.mnt_id == job->target.mnt_id ? propagate(job, fd) : -EBUSY;
}

/* In the target's namespace: look once more, then move. Two publishes on their way to one
 * target would be stacked by the kernel, so within a namespace this goes one after the
 * other. */
static int attach(void *arg)
{
	struct kv_job *job = arg;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_close_ int fd = -1;
	uint64_t key[2] = { job->want.ns.dev, job->want.ns.ino };
	int r;

	r = kv_unfinished_lock(job->pool, job->pool->run_fd,
			       kv_hash64(key, sizeof(key), 1) >> 2 | 1,
			       kv_deadline(KV_LOCK_WAIT_MS), &lock);
	if (r == 0)
		r = kv_target_open(job->want.target, &job->target);
	if (r < 0)
		return r;
	fd = job->target.fd;
	if (job->target.mount_root)
		return -EBUSY;
	if (job->block ? !S_ISREG(job->target.mode) : !S_ISDIR(job->target.mode))
		return S_ISDIR(job->target.mode) ? -EISDIR : -ENOTDIR;
	r = kv_target_attach(&job->target, job->mnt_fd);
	if (r < 0)
		return r;
	job->attached = true;
	/* Not before: a mount that is moved onto a shared one is shared whatever it was. */
	return propagate(job, job->mnt_fd);
}

/* Its record stays if it does: then it is published, and can be unpublished. */
static int undo_attach(struct kv_job *job, int r, struct kvol_error *e)
{
	job->mnt_fd = kv_close(job->mnt_fd);
	if (kv_job_unmount(job, NULL) == 0)
		(void)kv_publication_remove(job->pool->dir_fd, &job->want);
	return kv_error_errno(e, r, "target '%s': set the propagation of its mount",
			      job->want.target);
}

static int place_error(const struct kv_job *job, int r, struct kvol_error *e)
{
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN,
				"target '%s': something else is mounted on it",
				job->want.target);
	if (r == -EINVAL) /* the kernel's, of move_mount(2): the path is a good one */
		return kv_error_errno(e, r, "target '%s': move the mount onto it",
				      job->want.target);
	return kv_target_error(r, job->want.target, e);
}

/* With the record that was just written: two at once may both be refused, and never both
 * get the last place. */
static int check_published(const struct kv_job *job, struct kvol_error *e)
{
	uint64_t n;
	int r;

	if (!job->max_published || job->live)
		return 0;
	r = kv_publication_count_volumes(job->pool->dir_fd, &n);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': count publishes",
				      job->row.name);
	return n > job->max_published
		       ? kv_error(e, -ENOSPC, KVOL_R_LIMIT,
				  "volume '%s': the policy of pool '%s' allows no more to "
				  "be published here (max_published)",
				  job->row.name, job->pool->conf.name)
		       : 0;
}

static int place(struct kv_job *job, struct kvol_error *e)
{
	struct kv_target mnt;
	int r;

	r = kv_target_describe(job->mnt_fd, &mnt);
	if (r == 0) {
		job->want.mnt_id = mnt.mnt_id;
		job->want.dev = job->block ? mnt.rdev : mnt.dev;
		r = kv_publication_write(job->pool->dir_fd, &job->want);
	}
	if (r < 0)
		return kv_error_errno(e, r, "target '%s': write its record",
				      job->want.target);
	r = check_published(job, e);
	if (r < 0)
		goto undo_record;
	r = kv_visit_run(&job->visit, attach, job);
	if (r == 0)
		return 0;
	if (job->attached)
		return undo_attach(job, r, e);
	r = place_error(job, r, e);

undo_record:
	(void)kv_publication_remove(job->pool->dir_fd, &job->want);
	return r;
}

/* Whoever gets the device may put another file system on it, whose identity is his: from
 * here on none is given any more. What is no file system now is his already. */
static int renew_for_good(struct kv_job *job, dev_t dev, struct kvol_error *e)
{
	_cleanup_close_ int fd = -1;
	int r = kv_fs_renew(&job->row, dev);

	if (r == -EUCLEAN || r == -EOPNOTSUPP)
		r = 0;
	if (r < 0)
		return kv_renew_error(r, &job->row, e);
	r = fd = kv_blockdev_open(dev, O_RDONLY);
	if (r >= 0)
		r = kv_blockdev_flush(fd);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': flush", job->row.name);
	job->row.flags &= ~KV_ROW_RENEW;
	r = kv_catalogue_set_flags(job->pool->cat, job->row.id, job->row.flags);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': commit to the catalogue",
				      job->row.name)
		     : 0;
}

/* Each publish gets a device of the right size. What is on it is grown for a mount alone;
 * its identity is its own for whoever sees it first. */
static int settle(struct kv_job *job, const struct kv_device *device, struct kvol_error *e)
{
	bool fresh = !device->was_active;
	int r = 0;

	if (!job->block)
		return kv_volume_settle(job->pool, &job->row, device->dev, fresh, e);
	if ((job->row.flags & KV_ROW_GROW) && !fresh)
		r = kv_volume_resize(job->pool, &job->row, e);
	if (r == 0 && (job->row.flags & KV_ROW_RENEW) && fresh && !device->readonly)
		r = renew_for_good(job, device->dev, e);
	return r;
}

static int activate(struct kv_job *job, struct kv_device *device, struct kvol_error *e)
{
	bool readonly = job->block && job->row.kind == KVOL_KIND_SNAPSHOT;
	int r;

	r = kv_volume_activate(job->pool, &job->row, &job->secret, readonly, device, e);
	if (r == 0 && device->readonly && !readonly && !job->live) {
		/* Left over from a publish as a device: mounting may have a log to
		 * replay. */
		r = kv_device_deactivate(job->pool, job->row.id, 0);
		if (r < 0)
			return kv_pool_activate_error(job->pool, r, job->row.name, e);
		r = kv_volume_activate(job->pool, &job->row, &job->secret, false, device,
				       e);
	}
	if (r < 0)
		return r;
	job->dev = device->dev;
	job->readonly = device->readonly;
	return 0;
}

static int publish(struct kv_job *job, struct kvol_error *e)
{
	struct kv_device device;
	int r;

	r = check_access(job, e);
	if (r == 0)
		r = check_super(job, e);
	if (r == 0)
		r = activate(job, &device, e);
	if (r < 0)
		return r;
	r = settle(job, &device, e);
	if (r == 0)
		r = kv_job_mount(job, e);
	if (r == 0)
		r = place(job, e);
	job->mnt_fd = kv_close(job->mnt_fd);
	if (r < 0)
		kv_volume_put_down(job->pool, job->row.id);
	return r;
}

/* It stands as asked for. */
static int publish_again(struct kv_job *job, struct kvol_error *e)
{
	struct kv_device device;
	int r = 0;

	/* A secret is not right because another was. A plain volume's device is of no
	 * concern here. */
	if (job->row.flags & KV_ROW_ENCRYPTED)
		r = kv_volume_activate(job->pool, &job->row, &job->secret, false, &device,
				       e);
	if (r < 0 || !job->want.propagation)
		return r;
	r = kv_visit_run(&job->visit, propagate_again, job);
	return r < 0 ? kv_error_errno(e, r,
				      "target '%s': set the propagation of its mount",
				      job->want.target)
		     : 0;
}

/* Everything that can be refused before anything is done. 0: to be published; 1: it
 * stands already. */
static int check(struct kv_job *job, const struct kvol_publish_opts *o,
		 struct kvol_error *e)
{
	int r;

	job->block = o->flags & KVOL_PUBLISH_BLOCK;
	job->want.volume = job->row.id;
	job->want.flags = o->flags;
	if (!job->block && !job->row.fs_type[0])
		return kv_error(e, -EINVAL, KVOL_R_UNSUPPORTED,
				"volume '%s': is a raw one, and is "
				"published as a block device only",
				job->row.name);
	r = kv_volume_secret(&job->row, &job->secret, e);
	if (r == 0)
		r = kv_job_options(job, o, e);
	if (r == 0 && kv_pool_only_reads(job->pool) &&
	    (!(job->want.flags & KVOL_PUBLISH_READONLY) ||
	     ((job->row.flags & KV_ROW_OWES) && !job->block)))
		r = kv_pool_admit(job->pool, false, e);
	if (r < 0)
		return r;
	if (job->visited < 0)
		return kv_namespace_error(job->visited, job->ns_path, e);
	job->want.ns = job->visit.ns;
	return kv_job_check_target(job, e);
}

/* 1: the volume's name came to mean something else. */
static int check_and_publish(struct kv_job *job, const struct kvol_publish_opts *o,
			     bool absent, struct kv_lock *lock, struct kvol_error *e)
{
	int r = check(job, o, e);

	if (r == 1)
		return publish_again(job, e);
	if (r == 0 && absent)
		r = kv_job_make(job, lock, e);
	if (r != 0)
		return r;
	r = publish(job, e);
	if (r < 0 && job->made)
		kv_ephemeral_undo(job->pool, &job->row);
	return r;
}

/* 1: the volume's name came to mean something else. */
static int publish_once(struct kv_job *job, const char *name,
			const struct kvol_publish_opts *o, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kvol_pool *pool = job->pool;
	bool absent;
	int r;

	r = kv_volume_lock(pool, name, job->ephemeral ? NULL : "volume", &lock, &job->row,
			   e);
	absent = r == -ENOENT && job->ephemeral;
	if (r < 0 && !absent)
		return r;
	/* Under the lock: whoever had it may have failed to delete the volume. */
	r = kv_pool_only_reads(pool) ? 0 : kv_pool_certain(pool, e);
	if (r == 0 && !absent)
		r = kv_ephemeral_collect(pool, &job->row, e);
	if (r == 0 && job->ephemeral)
		r = absent ? kv_job_plan(job, name, e) : kv_job_same(job, e);
	if (r == 0)
		r = check_and_publish(job, o, absent, &lock, e);
	job->userns_fd = kv_close(job->userns_fd);
	return r;
}

int kvol_publish(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_job_ struct kv_job *job = NULL;
	struct kvol_publish_opts o;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_job_start(pool, name, target, opts, &o, &job, reterr);
	if (r == 0)
		r = kv_secret_check(name, o.secret, o.secret_bytes, &job->secret, reterr);
	if (r == 0 && o.ephemeral)
		r = kv_job_ephemeral(job, o.ephemeral, reterr);
	if (r < 0)
		return r;
	r = 1;
	for (int i = 0; r == 1 && i < KV_NAME_TRIES; i++)
		r = publish_once(job, name, &o, reterr);
	return r == 1 ? kv_name_unstable(name, reterr) : r;
}
