// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Statistics and condition of a volume: what its file system has used, and whether
 * something is wrong with it.
 *
 * The file system is asked through a mount that stands already, by its publish's target,
 * which is opened as a path without following links and asked for its figures alone:
 * nothing is read from the disk, and nothing is mounted. Where the mount is not to be
 * seen the figures are left out. A mount that was asked for writable and is not any more
 * is what a file system makes of itself after an error.
 *
 * Nothing is locked and nothing changed; what is told is as of the moment of asking.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mount.h"
#include "verb.h"

/* What the publishes of a volume have shown. */
struct view {
	struct kv_usage usage;
	bool seen;	/* usage is there */
	bool writable;	/* seen by a mount that was asked for writable */
	int error;	/* the file system could not even be asked */
};

struct asking {
	const struct kv_publication *p;
	struct kv_usage *usage;
};

/* In the publish's namespace. -ESTALE: it is not to be seen there. */
static int ask(void *arg)
{
	const struct asking *x = arg;
	struct kv_target t;
	int r;

	r = kv_target_open(x->p->target, &t);
	if (r < 0)
		return r == -EIO ? r : -ESTALE;
	if (t.dead && t.mnt_id == x->p->mnt_id)
		r = -EIO;
	else
		r = kv_publication_stands(x->p, &t) ? kv_mount_usage(t.fd, x->usage) : -ESTALE;
	(void)kv_close(t.fd);
	return r;
}

/* One that was asked for writable tells more than others: no need to look on. */
static int look_at(const struct kv_publication *p, void *arg)
{
	struct view *view = arg;
	struct kv_usage usage;
	struct asking x = { p, &usage };
	int r;

	if (p->damaged[0] || (p->flags & KVOL_PUBLISH_BLOCK))
		return 0;
	r = kv_ns_run(p->ns_path[0] ? p->ns_path : NULL, ask, &x);
	if (r == -EIO)
		view->error = r;
	if (r == -ENOMEM)
		return r;
	if (r < 0) /* a namespace that is gone, or not ours to look into */
		return 0;
	view->usage = usage;
	view->seen = true;
	view->writable = !(p->flags & KVOL_PUBLISH_READONLY);
	return view->writable;
}

static void put(struct kvol_volume_stats *s, uint32_t condition, const char *message)
{
	if (condition <= s->condition)
		return;
	s->condition = condition;
	(void)kv_strcpy(s->message, sizeof(s->message), message);
}

static void judge_pool(const struct kv_pool_status *st, struct kvol_volume_stats *s)
{
	if (st->mode == KV_POOL_FAIL)
		put(s, KVOL_CONDITION_DEVICE_ERROR, "the thin pool has failed");
	else if (kv_pool_metadata_full(st))
		put(s, KVOL_CONDITION_NO_SPACE,
		    "the pool's metadata is full: writes to new blocks fail");
	else if (st->mode == KV_POOL_RO || st->needs_check)
		put(s, KVOL_CONDITION_READ_ONLY, "the thin pool takes no writes");
	else if (st->mode == KV_POOL_OUT_OF_DATA)
		put(s, KVOL_CONDITION_NO_SPACE,
		    "the pool is out of data space: writes to new blocks fail");
}

static void judge_errors(const struct kv_row *row, dev_t dev, struct kvol_volume_stats *s)
{
	const struct kv_fs *fs = kv_fs_find(row->fs_type);

	if (fs && fs->has_errors && fs->has_errors(dev) == 1)
		put(s, KVOL_CONDITION_FS_ERROR,
		    "the file system has met errors, and wants to be checked");
}

static void judge_fs(const struct view *view, struct kvol_volume_stats *s)
{
	if (view->error)
		put(s, KVOL_CONDITION_DEVICE_ERROR,
		    "the file system answers with I/O errors");
	if (!view->seen)
		return;
	s->flags |= KVOL_STATS_FS;
	s->fs_bytes = view->usage.bytes;
	s->fs_used = view->usage.bytes_used;
	s->fs_available = view->usage.bytes_available;
	s->fs_inodes = view->usage.inodes;
	s->fs_inodes_used = view->usage.inodes_used;
	s->fs_inodes_available = view->usage.inodes_available;
	if (view->writable && view->usage.readonly)
		put(s, KVOL_CONDITION_READ_ONLY,
		    "the file system is read-only, as after an error");
}

static int judge_device(struct kvol_pool *pool, const struct kv_row *row,
			struct kvol_volume_stats *s)
{
	int r = kv_device_allocated(pool, row->id, &s->allocated);

	if (r == -EIO || r == -EUCLEAN)
		put(s, KVOL_CONDITION_DEVICE_ERROR,
		    r == -EIO ? "the volume's device, or the disk below it, fails"
			      : "the thin pool's metadata is damaged");
	/* Being made or deleted just now; or told of by the condition. */
	return r == -EIO || r == -EUCLEAN || r == -ENODATA || r == -EAGAIN ? 0 : r;
}

static int fill(struct kvol_pool *pool, const struct kv_row *row,
		struct kvol_volume_stats *s, struct kvol_error *e)
{
	struct view view = { .seen = false };
	struct kv_pool_status st;
	struct kv_dm_info info;
	int r;

	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	judge_pool(&st, s);
	r = judge_device(pool, row, s);
	if (r == 0)
		r = kv_volume_top(pool, row, &info);
	if (r == -ENXIO)
		return 0;
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look at its device", row->name);
	s->flags |= KVOL_STATS_ACTIVE;
	/* It would not answer before it runs again. */
	if (info.suspended)
		return 0;
	r = kv_publication_each(pool->dir_fd, row->id, look_at, &view);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look for its publishes",
				      row->name);
	judge_fs(&view, s);
	judge_errors(row, info.dev, s);
	return 0;
}

int kvol_volume_stat(struct kvol_pool *pool, const char *name,
		     struct kvol_volume_stats *ret_stats, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_volume_stats stats = { 0 };
	struct kv_row row;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0)
		r = kv_info_check(ret_stats, "kvol_volume_stats", reterr);
	if (r < 0)
		return r;
	r = kv_volume_find(pool, name, "volume", &row, reterr);
	if (r == 0)
		r = fill(pool, &row, &stats, reterr);
	if (r < 0)
		return r;
	kv_info_out(ret_stats, &stats, sizeof(stats));
	return 0;
}
