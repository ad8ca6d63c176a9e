// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing and unpublishing. Nothing is staged: each publish makes a mount of its own,
 * out of sight, and moves it onto the target in the target's mount namespace. A publish
 * that does not finish vanishes with its file descriptor; what may be left is an active
 * device and a record without a mount, and both are recognised as such by whoever looks
 * next.
 *
 * What stands on a target is asked of the kernel, on file descriptors that were opened
 * without following links; the record only tells a repeat from a change. Nothing is ever
 * formatted here, and nothing is unmounted that is not this volume's device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "mount.h"
#include "verb.h"

/* How often a mount is looked for again that is renamed all the time. */
#define UNMOUNT_TRIES 3

/* One publish or unpublish under way. */
struct job {
	struct kvol_pool *pool;
	struct kv_row row;
	struct kv_secret secret;
	struct kv_publication want; /* what is asked for, as it would be recorded */
	const char *ns_path;	    /* NULL: the caller's */
	struct kv_mount_opts opts;
	bool block;
	dev_t dev;		 /* what appears: the volume's device or its read-only face */
	bool readonly;		 /* the thin device itself is read-only */
	int mnt_fd;		 /* the detached mount */
	struct kv_target target; /* as last seen */
	unsigned live;		 /* other publishes that stand */
};

/* --- Checking what is asked for --- */

static int check_target_path(const char *target, struct kvol_error *e)
{
	if (kv_str_empty(target))
		return kv_error_invalid(e, "the target is %s", target ? "empty" : "NULL");
	if (target[0] != '/')
		return kv_error_invalid(e, "target '%.128s': not an absolute path",
					target);
	if (strlen(target) >= PATH_MAX)
		return kv_error(e, -ENAMETOOLONG, KVOL_R_INVALID,
				"target '%.64s...': longer than a "
				"path can be",
				target);
	return 0;
}

static int target_error(int r, const char *target, struct kvol_error *e)
{
	if (r == -ENOENT)
		return kv_error(e, r, KVOL_R_NOT_FOUND, "target '%s': does not exist",
				target);
	if (r == -ELOOP)
		return kv_error(e, r, KVOL_R_INVALID,
				"target '%s': a component is a symbolic link", target);
	if (r == -ENOTDIR)
		return kv_error(e, r, KVOL_R_INVALID,
				"target '%s': a component is not a directory", target);
	if (r == -EINVAL)
		return kv_error_invalid(e, "target '%s': its last component is no name",
					target);
	return kv_error_errno(e, r, "target '%s': open", target);
}

static int namespace_error(int r, const char *path, struct kvol_error *e)
{
	if (r == -ENOENT)
		return kv_error(e, r, KVOL_R_NOT_FOUND,
				"mount namespace '%s': does not exist", path);
	if (r == -EINVAL)
		return kv_error(e, r, KVOL_R_INVALID, "'%s': is not a mount namespace",
				path);
	return kv_error_errno(e, r, "mount namespace '%s': enter",
			      path ? path : "of the caller");
}

/* One spelling for one target: slashes too many and "." go. ".." stays, and is refused at
 * the end. */
static void normalise(char *target)
{
	char *to = target, *from = target;

	while (*from) {
		size_t n = strcspn(from, "/");

		if (n && !(n == 1 && *from == '.')) {
			*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n + (from[n] == '/');
	}
	if (to == target)
		*to++ = '/';
	*to = 0;
}

static int parse_options(struct job *job, const struct kvol_publish_opts *o,
			 struct kvol_error *e)
{
	char bad[KV_OPTION_SIZE] = "";
	int r;

	r = kv_mount_opts_parse(o->mount_options ? o->mount_options : "", &job->opts,
				bad);
	if (r < 0)
		return kv_error(e, -EINVAL, KVOL_R_INVALID,
				"volume '%s': mount option '%s' is not "
				"allowed",
				job->row.name, bad);
	if (job->block && !kv_str_empty(o->mount_options))
		return kv_error_invalid(
			e, "volume '%s': mount options do not go with a block device",
			job->row.name);
	if (job->opts.readonly || job->row.kind == KVOL_KIND_SNAPSHOT)
		job->want.flags |= KVOL_PUBLISH_READONLY;
	if (job->want.flags & KVOL_PUBLISH_READONLY) {
		job->opts.readonly = true;
		job->opts.attr_set |= MOUNT_ATTR_RDONLY;
	}
	job->want.attr = job->opts.attr_set;
	(void)kv_strcpy(job->want.super, sizeof(job->want.super), job->opts.super);
	return 0;
}

/* Fills a job from the arguments, but for the volume. */
static int set_place(struct job *job, const char *target,
		     const struct kvol_publish_opts *o, struct kvol_error *e)
{
	int r;

	r = check_target_path(target, e);
	if (r < 0)
		return r;
	(void)kv_strcpy(job->want.target, sizeof(job->want.target), target);
	normalise(job->want.target);
	job->ns_path = kv_str_empty(o->mount_namespace) ? NULL : o->mount_namespace;
	if (job->ns_path &&
	    !kv_strcpy(job->want.ns_path, sizeof(job->want.ns_path), job->ns_path))
		return kv_error(e, -ENAMETOOLONG, KVOL_R_INVALID,
				"mount namespace '%.64s...': longer than a path can be",
				job->ns_path);
	return 0;
}

/* --- Publishing --- */

static bool same_publish(const struct kv_publication *a, const struct kv_publication *b)
{
	return a->flags == b->flags && a->attr == b->attr && !strcmp(a->super, b->super);
}

/* A publish at this target whose mount went elsewhere with a directory that was renamed:
 * a second record would take the place of its own. */
static int check_moved(const struct job *job, struct kv_publication *old,
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

/* 0: free to publish; 1: it stands already as asked for; negative: refused. */
static int check_target(struct job *job, struct kvol_error *e)
{
	_cleanup_free_ struct kv_publication *old = malloc(sizeof(*old));
	int r;

	if (!old)
		return kv_error_errno(e, -ENOMEM, "target '%s'", job->want.target);
	r = kv_publication_look(&job->want, &job->target);
	if (r < 0)
		return target_error(r, job->want.target, e);
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
	if (r < 0 && r != -ENOENT)
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

/* All mounts of a device share one superblock, and so the options of the file system
 * itself: the kernel would drop a second set without a word. */
static int other_super(const struct kv_publication *p, void *arg)
{
	const struct job *job = arg;

	if (p->damaged[0])
		return -EUCLEAN;
	return !(p->flags & KVOL_PUBLISH_BLOCK) && strcmp(p->super, job->want.super);
}

static int check_super(struct job *job, struct kvol_error *e)
{
	int r;

	r = kv_publications_prune(job->pool, job->row.id, &job->live, NULL);
	if (r >= 0)
		r = 0;
	if (r == 0 && job->live && !job->block)
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

static int make_node_mount(struct job *job, struct kvol_error *e)
{
	char path[KV_DEV_PATH];
	int r;

	if ((job->want.flags & KVOL_PUBLISH_READONLY) && !job->readonly) {
		r = kv_device_activate_readonly(job->pool, &job->row, job->dev,
						&job->dev);
		if (r < 0)
			return kv_error_errno(e, r, "volume '%s': activate read-only",
					      job->row.name);
	}
	r = kv_blockdev_path(job->dev, path);
	if (r == 0)
		r = job->mnt_fd = kv_mount_node(path, job->dev, job->opts.attr_set);
	if (r == -ENODEV || r == -ENOENT)
		return kv_error(e, -ENODEV, KVOL_R_UNSUPPORTED,
				"volume '%s': /dev has no node for its "
				"device that could appear on the target",
				job->row.name);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': bind its device node",
				      job->row.name)
		     : 0;
}

static int make_fs_mount(struct job *job, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1;
	char source[KV_DEV_PATH], detail[128] = "";
	const struct kv_fs *fs;
	int r;

	r = kv_row_fs(&job->row, &fs, e);
	if (r == 0 && (job->row.flags & KV_ROW_GROW))
		r = kv_fs_grow(&job->row, job->dev, e);
	if (r == 0 && (job->row.flags & KV_ROW_GROW)) {
		r = kv_catalogue_set_flags(job->pool->cat, job->row.id,
					   job->row.flags & ~KV_ROW_GROW);
		if (r < 0)
			r = kv_error_errno(e, r, "volume '%s': commit to the catalogue",
					   job->row.name);
	}
	if (r < 0)
		return r;
	r = kv_blockdev_name(job->dev, source, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': find its device",
				      job->row.name);
	job->mnt_fd = kv_mount_device(fs->name, source, fs->mount_options, &job->opts,
				      job->row.kind == KVOL_KIND_SNAPSHOT, detail,
				      sizeof(detail));
	if (job->mnt_fd == -EINVAL)
		return kv_error(e, -EINVAL, KVOL_R_INVALID, "volume '%s': mount: %s",
				job->row.name,
				detail[0] ? detail : "the file system refuses it");
	if (job->mnt_fd == -ENODEV)
		return kv_error(e, -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': the kernel does not have %s", job->row.name,
				fs->name);
	if (job->mnt_fd < 0 && job->readonly)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_PUBLISHED,
				"snapshot '%s': its %s has a log to replay, "
				"and its device is published read-only as a block device",
				job->row.name, fs->name);
	if (job->mnt_fd < 0)
		return kv_error_errno(e, job->mnt_fd, "volume '%s': mount (%s)",
				      job->row.name, detail);
	return 0;
}

/* In the target's namespace: look once more, then move. Two publishes on their way to one
 * target would be stacked by the kernel, so within a namespace this goes one after the
 * other. */
static int attach(void *arg)
{
	struct job *job = arg;
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
	return kv_target_attach(&job->target, job->mnt_fd);
}

static int place(struct job *job, struct kvol_error *e)
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
	r = kv_ns_run(job->ns_path, attach, job);
	if (r == 0)
		return 0;
	(void)kv_publication_remove(job->pool->dir_fd, &job->want);
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN,
				"target '%s': something else is mounted on it",
				job->want.target);
	if (r == -EINVAL) /* the kernel's, of move_mount(2): the path is a good one */
		return kv_error_errno(e, r, "target '%s': move the mount onto it",
				      job->want.target);
	return target_error(r, job->want.target, e);
}

/* Each publish gets a device of the right size; what is on it is touched for a mount
 * alone. */
static int settle(struct job *job, const struct kv_device *device, struct kvol_error *e)
{
	int r = 0;

	if (!job->block)
		return kv_volume_settle(job->pool, &job->row, device->dev,
					!device->was_active, e);
	if ((job->row.flags & KV_ROW_GROW) && device->was_active)
		r = kv_volume_resize(job->pool, &job->row, e);
	return r;
}

static int activate(struct job *job, struct kv_device *device, struct kvol_error *e)
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

static int publish(struct job *job, struct kvol_error *e)
{
	struct kv_device device;
	int r;

	r = check_super(job, e);
	if (r == 0)
		r = activate(job, &device, e);
	if (r < 0)
		return r;
	r = settle(job, &device, e);
	if (r == 0)
		r = job->block ? make_node_mount(job, e) : make_fs_mount(job, e);
	if (r == 0)
		r = place(job, e);
	job->mnt_fd = kv_close(job->mnt_fd);
	if (r < 0)
		kv_volume_put_down(job->pool, job->row.id);
	return r;
}

/* What both verbs begin with: *ret is the caller's to free as soon as it is set. */
static int start(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_publish_opts *ret_opts,
		 struct job **ret, struct kvol_error *e)
{
	int r;

	r = kv_volume_name_check(name, "volume", e);
	if (r == 0)
		r = kv_opts_in(ret_opts, sizeof(*ret_opts), sizeof(*ret_opts), opts,
			       KVOL_PUBLISH_READONLY | KVOL_PUBLISH_BLOCK,
			       "kvol_publish_opts", e);
	if (r < 0)
		return r;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return kv_error_errno(e, -ENOMEM, "volume '%s'", name);
	(*ret)->pool = pool;
	(*ret)->mnt_fd = -1;
	return set_place(*ret, target, ret_opts, e);
}

int kvol_publish(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	_cleanup_free_ struct job *job = NULL;
	struct kvol_publish_opts o;
	struct kv_device device;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = start(pool, name, target, opts, &o, &job, reterr);
	if (r < 0)
		return r;
	r = kv_secret_check(name, o.secret, o.secret_bytes, &job->secret, reterr);
	if (r == 0)
		r = kv_volume_lock(pool, name, "volume", &lock, &job->row, reterr);
	/* Under the lock: whoever had it may have failed to delete the volume. */
	if (r == 0 && !kv_pool_only_reads(pool))
		r = kv_pool_certain(pool, reterr);
	if (r < 0)
		return r;
	job->block = o.flags & KVOL_PUBLISH_BLOCK;
	job->want.volume = job->row.id;
	job->want.flags = o.flags;
	if (!job->block && !job->row.fs_type[0])
		return kv_error(reterr, -EINVAL, KVOL_R_UNSUPPORTED,
				"volume '%s': is a raw one, and is "
				"published as a block device only",
				name);
	r = kv_volume_secret(&job->row, &job->secret, reterr);
	if (r == 0)
		r = parse_options(job, &o, reterr);
	if (r == 0 && kv_pool_only_reads(pool) &&
	    (!(job->want.flags & KVOL_PUBLISH_READONLY) ||
	     ((job->row.flags & KV_ROW_OWES) && !job->block)))
		r = kv_pool_admit(pool, false, reterr);
	if (r < 0)
		return r;
	r = kv_ns_id(job->ns_path, &job->want.ns);
	if (r < 0)
		return namespace_error(r, job->ns_path, reterr);
	r = check_target(job, reterr);
	if (r == 1) /* a secret is not right because another was */
		return kv_volume_activate(pool, &job->row, &job->secret, false, &device,
					  reterr);
	return r < 0 ? r : publish(job, reterr);
}

/* --- Unpublishing --- */

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
static int unmount(struct job *job, struct kvol_error *e)
{
	_cleanup_free_ char *point = malloc(PATH_MAX);
	struct detach x = { .p = &job->want, .path = job->want.target };
	int r;

	if (!point)
		return kv_error_errno(e, -ENOMEM, "target '%s'", job->want.target);
	r = kv_ns_run(job->ns_path, detach, &x);
	for (int i = 0; r == -ESTALE && i < UNMOUNT_TRIES; i++) {
		r = kv_publication_find(&job->want, job->ns_path, point);
		if (r <= 0)
			break; /* somebody unmounted it */
		x.path = point;
		x.found = true;
		r = kv_ns_run(job->ns_path, detach, &x);
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
	const struct job *job;
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

static int take_away(struct job *job, struct kvol_error *e)
{
	struct gone gone = { .job = job, .pool = job->pool };
	int r;

	r = kv_ns_id(job->ns_path, &job->want.ns);
	if (r == -ENOENT) {
		r = kv_publication_each(job->pool->dir_fd, job->row.id, drop_gone, &gone);
		return r < 0 ? kv_error_errno(e, r, "target '%s': drop its record",
					      job->want.target)
			     : 0;
	}
	if (r < 0)
		return namespace_error(r, job->ns_path, e);
	r = kv_publication_read(job->pool->dir_fd, job->row.id, &job->want.ns,
				job->want.target, &job->want);
	if (r == -ENOENT)
		return 0;
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
	r = unmount(job, e);
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
	_cleanup_free_ struct job *job = NULL;
	struct kvol_publish_opts o;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = start(pool, name, target, opts, &o, &job, reterr);
	if (r < 0)
		return r;
	r = kv_volume_lock(pool, name, NULL, &lock, &job->row, reterr);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	job->want.volume = job->row.id;
	r = take_away(job, reterr);
	if (r < 0)
		return r;
	r = kv_publication_count(pool->dir_fd, job->row.id);
	if (r == 0)
		r = kv_device_deactivate(pool, job->row.id, KV_DM_DEFERRED);
	if (r < 0)
		return kv_error_errno(reterr, r, "volume '%s': deactivate", name);
	return 0;
}
