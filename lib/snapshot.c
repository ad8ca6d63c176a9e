// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Snapshots and clones: both are the kernel's create_snap, one read-only, one not.
 *
 * An active origin must be suspended for the message or the copy is torn, and the kernel
 * does not check. An encrypted one has two devices: its file system freezes with the
 * upper one. Between suspend and resume stand only ioctls, with signals blocked: no
 * allocation, no logging, no catalogue. What the file system has to write is flushed
 * before, so that the freeze is short, and the pool's mode is checked before, because a
 * flushing suspend on a pool without space waits long.
 *
 * A process killed in that window leaves the origin frozen, and its number in a slot of
 * unfinished.c: the next call of anybody on the pool resumes it. A crash before the
 * commit leaves an id without a row in a reservation: recovery deletes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "mount.h"
#include "verb.h"

/* What is asked for. */
struct copy {
	const char *name;
	uint32_t kind;
	uint64_t bytes;	     /* 0: the source's */
	const char *fs_type; /* NULL: not said */
	const struct kvol_label *labels;
	uint64_t n_labels;
	struct kv_limit limit;
	struct kv_made *ephemeral; /* NULL: it is to last */
};

/* --- The origin ------------------------------------------------------------------- */

static int any_mount(const struct kv_publication *p, void *arg)
{
	*(bool *)arg = !p->damaged[0] && !(p->flags & KVOL_PUBLISH_BLOCK);
	return *(bool *)arg;
}

/* Writes out what a published file system holds back, through a mount of our own on its
 * superblock. A help, not a need: the freeze would do the same, only with everybody
 * waiting. */
static void flush_origin(struct kvol_pool *pool, const struct kv_row *row, dev_t dev)
{
	_cleanup_close_ int node_fd = -1, mnt = -1, root = -1;
	char source[KV_DEV_PATH];
	const struct kv_fs *fs;
	bool mounted = false;

	(void)kv_publication_each(pool->dir_fd, row->id, any_mount, &mounted);
	if (!mounted || kv_row_fs(row, &fs, NULL) < 0 || !fs)
		return;
	if (kv_blockdev_name(dev, source, &node_fd) < 0)
		return;
	mnt = kv_mount_device(fs->name, source, fs->mount_options, NULL,
			      row->kind == KVOL_KIND_SNAPSHOT, NULL, 0);
	root = mnt < 0 ? -1 : kv_mount_root(mnt);
	if (root >= 0)
		(void)syncfs(root);
}

/* The origin's devices, topmost first: the file system is on that, the blocks are the
 * last one's. */
struct origin {
	struct kv_dm_id ids[2];
	unsigned n;	 /* 0: none is active */
	dev_t top;	 /* and who has it open */
	uint32_t openers;
};

/* The window. *made: the copy is there; *running: the origin is not left suspended. The
 * result is the first failure. */
static int copy_suspended(const struct kvol_pool *pool, const struct origin *o,
			  const char *msg, bool *made, bool *running)
{
	unsigned held = 0;
	sigset_t all, old;
	int r = 0, s = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (r == 0 && held < o->n) {
		r = kv_dm_suspend(&pool->dm, o->ids[held].uuid,
				  KV_DM_LOCKFS | KV_DM_FLUSH);
		held += r == 0;
	}
	if (r == 0) {
		r = kv_pool_send(pool, msg);
		*made = r == 0;
	}
	while (held > 0) {
		int t = kv_dm_resume(&pool->dm, o->ids[--held].uuid);

		if (t < 0) /* never leave it frozen: there is nothing else that could be
			      done */
			t = kv_dm_resume(&pool->dm, o->ids[held].uuid);
		s = s < 0 ? s : t;
	}
	*running = s == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r < 0 ? r : s;
}

/* What has come of it. */
struct outcome {
	bool made;   /* the copy is there */
	bool frozen; /* and the origin could not be resumed */
};

static int copy_running(struct kvol_pool *pool, uint32_t source, const struct origin *o,
			const char *msg, struct outcome *ret)
{
	struct kv_suspend suspend;
	bool running;
	int r;

	r = kv_suspend_begin(pool, source, &suspend);
	if (r < 0)
		return r;
	r = copy_suspended(pool, o, msg, &ret->made, &running);
	ret->frozen = !running;
	kv_suspend_end(&suspend, running);
	return r;
}

/* Those that are active, and have a table. */
static int find_origin(struct kvol_pool *pool, const struct kv_row *source,
		       struct origin *ret)
{
	static const enum kv_face faces[] = { KV_FACE_CRYPT, KV_FACE_THIN };
	struct kv_dm_info info;
	int r;

	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < KV_ARRAY_SIZE(faces); i++) {
		enum kv_face face = faces[i];

		if (face == KV_FACE_CRYPT && !kv_row_layered(source))
			continue;
		r = kv_device_info(pool, source->id, face, &info);
		if (r == -ENXIO || (r == 0 && !info.live_table))
			continue;
		if (r < 0)
			return r;
		if (ret->n == 0) {
			ret->top = info.dev;
			ret->openers = info.open_count;
		}
		kv_dm_id_volume(&ret->ids[ret->n++], pool->conf.uuid, source->id, face);
	}
	return 0;
}

static int copy_blocks(struct kvol_pool *pool, const struct kv_row *source, uint32_t id,
		       struct outcome *ret)
{
	char msg[KV_THIN_LINE];
	struct origin origin;
	int r;

	r = kv_thin_msg_snapshot(msg, id, source->id);
	if (r == 0)
		r = find_origin(pool, source, &origin);
	if (r < 0)
		return r;
	if (origin.n > 0) {
		if (origin.openers)
			flush_origin(pool, source, origin.top);
		r = copy_running(pool, source->id, &origin, msg, ret);
	} else {
		/* Inactive, or half made by somebody who died (and without a table the
		 * kernel would not resume it): the lock keeps it so. */
		r = kv_pool_send(pool, msg);
		ret->made = r == 0;
	}
	return r < 0 ? r : kv_pool_verify(pool);
}

/* --- The copy --------------------------------------------------------------------- */

static int check_existing(const struct kv_row *row, const char *source,
			  const struct copy *c, struct kvol_error *e)
{
	bool ephemeral = row->flags & KV_ROW_EPHEMERAL;

	if (c->ephemeral)
		return KV_NAME_TAKEN;
	if (row->kind == c->kind && !strcmp(row->source, source) && !ephemeral &&
	    (!c->bytes || row->bytes == c->bytes) &&
	    (kv_str_empty(c->fs_type) || kv_str_equal(row->fs_type, c->fs_type)))
		return 0;
	return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
			"'%s': there is %s%s of this name, with %" PRIu64 " bytes%s%.64s",
			row->name, ephemeral ? "an ephemeral " : "a ",
			row->kind == KVOL_KIND_VOLUME ? "volume" : "snapshot",
			row->bytes, row->source[0] ? ", of " : "", row->source);
}

static int make_row(struct kv_row *row, uint32_t id, const struct kv_row *source,
		    const struct copy *c)
{
	const struct kv_fs *fs = kv_fs_find(source->fs_type);
	int r;

	r = kv_row_init(row, id, c->name, c->kind, c->bytes ? c->bytes : source->bytes);
	if (r < 0)
		return r;
	(void)kv_strcpy(row->source, sizeof(row->source), source->name);
	(void)kv_strcpy(row->fs_type, sizeof(row->fs_type), source->fs_type);
	/* What the source still owes, the copy owes as well. It shares blocks, and is not
	 * thick. */
	row->flags = source->flags & ~(KV_ROW_THICK | KV_ROW_SPARE | KV_ROW_EPHEMERAL);
	if (c->ephemeral)
		row->flags |= KV_ROW_EPHEMERAL;
	if (row->bytes > source->bytes && source->fs_type[0])
		row->flags |= KV_ROW_GROW;
	if (fs && (c->kind == KVOL_KIND_VOLUME || fs->needs_identity))
		row->flags |= KV_ROW_RENEW;
	return 0;
}

/* Under the source's lock: from the id to the commit. 1: the name was taken meanwhile. */
static int copy_with_id(struct kvol_pool *pool, const struct kv_row *source,
			struct kv_id *id, const struct copy *c, struct kvol_error *e)
{
	struct outcome got = { .made = false };
	struct kv_row row;
	int r;

	r = make_row(&row, id->id, source, c);
	if (r == 0)
		r = copy_blocks(pool, source, id->id, &got);
	if (r < 0) {
		r = kv_pool_error(pool, r, "take a snapshot of its source", c->name, e);
		goto undo;
	}
	r = c->ephemeral
		    ? kv_catalogue_insert_ephemeral(pool->cat, &row, pool->host.boot,
						    &c->limit)
		    : kv_catalogue_insert_labelled(pool->cat, &row, c->labels,
						   c->n_labels, &c->limit);
	if (r == -EEXIST) {
		r = 1;
		goto undo;
	}
	if (r < 0) {
		r = kv_insert_error(pool, r, c->name, e);
		goto undo;
	}
	kv_ids_done(pool, id, false);
	if (c->ephemeral)
		c->ephemeral->row = row;
	return 0;

undo:
	/* Not while somebody is frozen: undoing may log. The next open does it. */
	if (got.frozen)
		kv_ids_done(pool, id, got.made);
	else
		kv_volume_undo(pool, id, got.made);
	return r;
}

static int check_copy(const struct kv_row *source, const struct copy *c,
		      struct kvol_error *e)
{
	if (c->bytes && c->bytes < source->bytes)
		return kv_error_invalid(e,
					"clone '%s': %" PRIu64
					" bytes are less than the %" PRIu64
					" of its source",
					c->name, c->bytes, source->bytes);
	if (!kv_str_empty(c->fs_type) && !kv_str_equal(c->fs_type, source->fs_type))
		return kv_error_invalid(
			e, "clone '%s': its source has %s, not %.32s", c->name,
			source->fs_type[0] ? source->fs_type : "no file system",
			c->fs_type);
	return 0;
}

/* Both names mean something, and what they mean has to be true of both at one moment: "no
 * such source" while the copy is there, made before its source was deleted, would be true
 * of none. 1: go on to copy. */
static int look_at_both(struct kvol_pool *pool, const char *source, const struct copy *c,
			struct kvol_error *e)
{
	struct kv_row row;
	int r;

	r = kv_catalogue_find_first(pool->cat, c->name, source, &row);
	if (r == 0)
		return strcmp(row.name, c->name) ? 1 : check_existing(&row, source, c, e);
	if (r == -ENOENT)
		return kv_volume_none(pool, source, "source", e);
	return kv_error_errno(e, r, "'%s': look it up in the catalogue", c->name);
}

/* What it adds to the sum of the volumes' sizes. */
static uint64_t bytes_of(const struct kv_row *source, const struct copy *c)
{
	if (c->kind == KVOL_KIND_SNAPSHOT)
		return 0;
	return c->bytes ? c->bytes : source->bytes;
}

/* An ephemeral copy is locked before anybody can find it. */
static int lock_copy(struct kvol_pool *pool, struct kv_id *id, const struct copy *c,
		     struct kvol_error *e)
{
	int r = kv_lock_volume(pool, id->id, kv_deadline(KV_LOCK_WAIT_MS),
			       &c->ephemeral->lock);

	if (r == 0)
		return 0;
	kv_ids_done(pool, id, false);
	return kv_error_errno(e, r, "volume '%s': lock", c->name);
}

static int give_back(struct kvol_pool *pool, struct kv_row *row, struct kvol_error *e)
{
	int r = kv_thick_give_back(pool, row);

	return r < 0 ? kv_error_errno(e, r, "volume '%s': give back what lies beyond its end",
				      row->name)
		     : 0;
}

/* 1: a name came to mean something else in between. */
static int copy_once(struct kvol_pool *pool, const char *source, struct copy *c,
		     struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row, existing;
	struct kv_id id;
	int r;

	r = look_at_both(pool, source, c, e);
	if (r != 1)
		return r;
	r = kv_volume_lock(pool, source, NULL, &lock, &row, e);
	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return r;
	/* The source stays as it is from here on: so this is the moment. */
	r = kv_volume_find(pool, c->name, NULL, &existing, e);
	if (r == 0)
		return check_existing(&existing, source, c, e);
	if (r != -ENOENT)
		return r;
	r = check_copy(&row, c, e);
	if (r == 0)
		r = kv_pool_admit(pool, true, e);
	if (r == 0) /* it would keep them for good */
		r = give_back(pool, &row, e);
	if (r == 0)
		r = kv_policy_admit(pool, c->name, 1, bytes_of(&row, c), false,
				    &c->limit, e);
	if (r == 0)
		r = kv_ids_take(pool, true, c->name, &id, e);
	if (r == 0 && c->ephemeral)
		r = lock_copy(pool, &id, c, e);
	if (r < 0)
		return r;
	r = copy_with_id(pool, &row, &id, c, e);
	if (r != 0 && c->ephemeral)
		kv_lock_release(&c->ephemeral->lock);
	if (r != 1)
		return r;
	r = kv_volume_find(pool, c->name, NULL, &existing, e);
	if (r == -ENOENT)
		return 1;
	return r == 0 ? check_existing(&existing, source, c, e) : r;
}

static int copy(struct kvol_pool *pool, const char *source, struct copy *c,
		struct kvol_error *e)
{
	int r = 1;

	for (int i = 0; r == 1 && i < KV_NAME_TRIES; i++)
		r = copy_once(pool, source, c, e);
	return r == 1 ? kv_name_unstable(c->name, e) : r;
}

int kvol_snapshot(struct kvol_pool *pool, const char *volume, const char *snapshot,
		  const struct kvol_snapshot_opts *opts, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct copy c = { .name = snapshot, .kind = KVOL_KIND_SNAPSHOT };
	struct kvol_snapshot_opts o;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(volume, "volume", reterr);
	if (r == 0)
		r = kv_volume_name_check(snapshot, "snapshot", reterr);
	if (r == 0)
		r = kv_opts_in(&o, sizeof(o), KV_SIZE_TO(struct kvol_snapshot_opts, flags),
			       opts, 0, "kvol_snapshot_opts", reterr);
	if (r == 0)
		r = kv_labels_check(o.labels, o.n_labels, false, snapshot, reterr);
	if (r < 0)
		return r;
	c.labels = o.labels;
	c.n_labels = o.n_labels;
	return copy(pool, volume, &c, reterr);
}

/* Known, and refused by name. */
#define NOT_FOR_CLONES (KVOL_CREATE_OWNER | KVOL_CREATE_MODE | KVOL_CREATE_THICK)

int kvol_clone(struct kvol_pool *pool, const char *source, const char *name,
	       const struct kvol_create_opts *opts, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct copy c = { .name = name, .kind = KVOL_KIND_VOLUME };
	struct kvol_create_opts o;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(source, "source", reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "clone", reterr);
	if (r == 0)
		r = kv_opts_in(&o, sizeof(o), KV_SIZE_TO(struct kvol_create_opts, bytes),
			       opts, NOT_FOR_CLONES, "kvol_create_opts", reterr);
	if (r == 0 && o.reserved0)
		r = kv_reserved_error("clone", name, reterr);
	if (r == 0 && o.flags)
		r = kv_error_invalid(reterr,
				     "clone '%s': has its source's root directory and "
				     "blocks; owner, mode and thick are for kvol_create",
				     name);
	if (r == 0 && o.bytes)
		r = kv_bytes_check(name, o.bytes, &c.bytes, reterr);
	if (r == 0)
		r = kv_labels_check(o.labels, o.n_labels, false, name, reterr);
	if (r == 0 && (o.secret || o.secret_bytes))
		r = kv_error_invalid(reterr,
				     "clone '%s': has its source's secret, and takes none",
				     name);
	if (r < 0)
		return r;
	c.fs_type = o.fs_type;
	c.labels = o.labels;
	c.n_labels = o.n_labels;
	return copy(pool, source, &c, reterr);
}

int kv_clone_ephemeral(struct kvol_pool *pool, const char *name,
		       const struct kvol_ephemeral_opts *o, struct kv_made *ret,
		       struct kvol_error *e)
{
	struct copy c = { .name = name,
			  .kind = KVOL_KIND_VOLUME,
			  .fs_type = o->fs_type,
			  .ephemeral = ret };
	int r = o->bytes ? kv_bytes_check(name, o->bytes, &c.bytes, e) : 0;

	return r < 0 ? r : copy(pool, o->source, &c, e);
}
