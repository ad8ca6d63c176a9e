// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Recovery, at every open: finish or undo what dead processes left. doc/crash-protocol.md
 * has the table of what each verb leaves at each point.
 *
 * Suspended volumes are resumed first of all, for somebody may be frozen on them. Then
 * the epochs are compared: if catalogue and thin pool do not belong together, nothing is
 * changed and the pool is open for audit. Then reservations of dead owners, tombstones,
 * ephemeral volumes that are left over, marks, and devices that nobody uses.
 *
 * Living processes are not disturbed: everything here is done under a lock that was free,
 * and what is locked is left to its holder. Every step may be repeated, so a crash in
 * here needs nothing new. No step scans the metadata or the rows; the work is as large as what was
 * left.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "verb.h"

#define IDS_AT_ONCE 64

static int fail(struct kvol_pool *pool, int r, const char *step, struct kvol_error *e)
{
	return kv_error_errno(e, r, "pool '%s': recovery: %s", pool->conf.name, step);
}

/* --- Devices ---------------------------------------------------------------------- */

struct tidy {
	struct kvol_pool *pool;
	bool looked;
	struct kv_mounts seen; /* once: among them is each device that is published */
	bool grows; /* some volume that is in use may have to be grown */
};

/* A device whose volume nobody is working on: resumed if it is suspended, removed if it
 * is useless, and so is its read-only face. */
static int tidy_device(struct tidy *x, uint32_t id)
{
	struct kvol_pool *pool = x->pool;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_left left = { 0 };
	struct kv_device_look look;
	struct kv_row row;
	int r;

	r = kv_lock_volume(pool, id, 0, &lock);
	if (r == 0)
		r = kv_device_look(pool, id, &look);
	if (r == 0 && look.suspended)
		r = kv_device_thaw(pool, id);
	if (r < 0)
		return r == -EBUSY ? 0 : r;
	if (!pool->cat)
		return 0;
	r = kv_catalogue_get(pool->cat, id, &row);
	x->grows = x->grows || (r == 0 && row.flags & KV_ROW_GROW);
	if (look.openers && !look.has_readonly)
		return 0;
	if (r == 0 && !x->looked) {
		x->looked = true; /* without them each is looked for by itself */
		(void)kv_mounts_read(&x->seen);
	}
	if (r == 0) /* a publish as a device holds nothing open */
		r = kv_publications_tidy(pool, id, &x->seen, &left);
	if (r < 0 && r != -ENOENT)
		return r;
	r = look.has_readonly && !left.faces ? kv_device_drop_face(pool, id) : 0;
	if (r < 0 || look.openers || left.publishes)
		return r;
	r = kv_device_deactivate(pool, id, 0);
	return r == -EBUSY ? 0 : r;
}

static int tidy_one(const struct kv_dm_id *id, dev_t dev, void *arg)
{
	struct tidy *x = arg;
	enum kv_face face;
	uint32_t number;

	(void)dev;
	return kv_dm_uuid_volume(id->uuid, x->pool->conf.uuid, &number, &face) &&
			       face == KV_FACE_THIN
		       ? tidy_device(x, number)
		       : 0;
}

static void uuid_prefix(const struct kvol_pool *pool, struct kv_dm_id *ret)
{
	kv_dm_id_part(ret, pool->conf.uuid, "");
}

static int tidy_devices(struct kvol_pool *pool, bool *ret_grows)
{
	struct tidy x = { .pool = pool };
	struct kv_dm_id prefix;
	int r;

	uuid_prefix(pool, &prefix);
	r = kv_dm_list(&pool->dm, prefix.uuid, tidy_one, &x);
	kv_mounts_free(&x.seen);
	*ret_grows = x.grows;
	return r;
}

struct deactivate {
	struct kvol_pool *pool;
	struct kvol_error *e;
	bool told; /* the failure is a volume's, and in e */
};

static int deactivate_volume(struct kvol_pool *pool, uint32_t id, struct kvol_error *e)
{
	struct kv_row row;
	char target[128];
	unsigned live;
	int r;

	/* For messages only: half made or half deleted it has no name, and on a disk that
	 * is gone nobody reads it. */
	if (kv_catalogue_get(pool->cat, id, &row) < 0)
		snprintf(row.name, sizeof(row.name), "%" PRIu32, id);
	r = kv_publications_prune(pool, id, &live, target);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': look for its publishes",
				      row.name);
	if (live)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_PUBLISHED,
				"volume '%s': published at '%s'", row.name, target);
	r = kv_device_deactivate(pool, id, 0);
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN, "volume '%s': its device is open",
				row.name);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': deactivate", row.name) : 0;
}

static int deactivate_one(const struct kv_dm_id *id, dev_t dev, void *arg)
{
	struct deactivate *x = arg;
	enum kv_face face;
	uint32_t number;
	int r;

	(void)dev;
	if (!kv_dm_uuid_volume(id->uuid, x->pool->conf.uuid, &number, &face) ||
	    face != KV_FACE_THIN)
		return 0;
	r = deactivate_volume(x->pool, number, x->e);
	x->told = r < 0;
	return r;
}

int kv_devices_deactivate_all(struct kvol_pool *pool, struct kvol_error *e)
{
	struct deactivate x = { .pool = pool, .e = e };
	struct kv_dm_id prefix;
	int r;

	uuid_prefix(pool, &prefix);
	r = kv_dm_list(&pool->dm, prefix.uuid, deactivate_one, &x);
	if (r < 0 && !x.told)
		return kv_error_errno(e, r, "pool '%s': list its devices",
				      pool->conf.name);
	return r;
}

/* --- What the catalogue says is unfinished ---------------------------------------- */

/* Under the volume's lock, or where its owner is dead: device and thin id go. */
static int erase(struct kvol_pool *pool, uint32_t id)
{
	int r;

	r = kv_device_deactivate(pool, id, 0);
	return r < 0 ? r : kv_pool_delete_id(pool, id);
}

static int clear_reservation(struct kvol_pool *pool, const struct kv_reservation *res)
{
	int r;

	for (uint32_t i = 0; i < res->count; i++) {
		r = kv_catalogue_id_used(pool->cat, res->first + i);
		if (r == 0)
			r = erase(pool, res->first + i);
		if (r == -EBUSY) /* a forked child of the dead has it open: the next
				    open's work */
			return 0;
		if (r < 0)
			return r;
	}
	return kv_catalogue_release(pool->cat, res, 0, 0);
}

static int reservations(struct kvol_pool *pool)
{
	struct kv_reservation res = { .row = 0 };
	int r;

	while ((r = kv_catalogue_next_reservation(pool->cat, res.row, &res)) == 0) {
		_cleanup_lock_ struct kv_lock owner = KV_LOCK_NONE;

		if (res.owner == pool->ids.owner)
			continue;
		r = kv_lock_take(pool->dir_fd, KV_LOCK_OWNER(res.owner), 0, &owner);
		if (r == -EBUSY)
			continue; /* it lives */
		/* A row of the dead one's last commit comes now, or never. */
		if (r == 0)
			r = kv_catalogue_settle(pool->cat);
		if (r == 0)
			r = clear_reservation(pool, &res);
		if (r < 0)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}

static int tombstone(struct kvol_pool *pool, uint32_t id)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	uint64_t bytes;
	int r;

	r = kv_lock_volume(pool, id, 0, &lock);
	if (r < 0)
		return r == -EBUSY ? 0 : r; /* being deleted just now */
	r = kv_catalogue_buried_bytes(pool->cat, id, &bytes);
	if (r == 0)
		r = kv_device_deactivate(pool, id, 0);
	if (r == 0)
		r = kv_volume_free(pool, id, bytes, kv_deadline(KV_FREE_RECOVER_MS));
	if (r == 0)
		kv_catalogue_forget_later(pool->cat, id);
	/* In use by a child of the dead, or large: the next open goes on. */
	return r == -EBUSY || r == -ETIMEDOUT || r == -ENOENT ? 0 : r;
}

/* What a thick volume that was being grown has reserved for that goes back. */
static int spare(struct kvol_pool *pool, uint32_t id)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_row row;
	int r;

	r = kv_volume_try_lock(pool, id, &lock, &row);
	if (r <= 0)
		return r;
	kv_thick_forget(pool, &row);
	return 0;
}

/* A volume that is in use and was being grown. One that is not is grown by its next
 * publish: there may be many of those. */
static int grow(struct kvol_pool *pool, uint32_t id)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_dm_info info;
	struct kv_row row;
	int r;

	r = kv_volume_try_lock(pool, id, &lock, &row);
	if (r <= 0 || !(row.flags & KV_ROW_GROW))
		return r < 0 ? r : 0;
	r = kv_device_info(pool, id, KV_FACE_THIN, &info);
	if (r < 0)
		return r == -ENXIO ? 0 : r;
	r = kv_device_resize(pool, &row);
	if (r < 0)
		kv_log(&pool->log, LOG_WARNING,
		       "volume '%s': its device could not be grown (%s); the "
		       "next publish tries again",
		       row.name, strerror(-r));
	return 0;
}

static int grow_one(const struct kv_dm_id *id, dev_t dev, void *arg)
{
	struct kvol_pool *pool = arg;
	enum kv_face face;
	uint32_t number;

	(void)dev;
	return kv_dm_uuid_volume(id->uuid, pool->conf.uuid, &number, &face) &&
			       face == KV_FACE_THIN
		       ? grow(pool, number)
		       : 0;
}

static int grow_devices(struct kvol_pool *pool)
{
	struct kv_dm_id prefix;

	uuid_prefix(pool, &prefix);
	return kv_dm_list(&pool->dm, prefix.uuid, grow_one, pool);
}

/* One that cannot be judged, or not be deleted now, keeps nobody from opening. */
static int ephemeral(struct kvol_pool *pool, uint32_t id)
{
	int r = kv_ephemeral_collect_id(pool, id);

	if (r >= 0 || r == -EIO || r == -EROFS)
		return r < 0 ? r : 0;
	kv_log(&pool->log, LOG_WARNING,
	       "pool '%s': ephemeral volume %" PRIu32
	       ": whether it is left over cannot be told, or it could not be deleted (%s)",
	       pool->conf.name, id, strerror(-r));
	return 0;
}

static int each_id(struct kvol_pool *pool,
		   int (*list)(struct kv_catalogue *, uint32_t, uint32_t *, unsigned),
		   int (*fn)(struct kvol_pool *, uint32_t))
{
	uint32_t ids[IDS_AT_ONCE], from = 0;
	int n, r;

	do {
		n = list(pool->cat, from, ids, IDS_AT_ONCE);
		if (n < 0)
			return n;
		for (int i = 0; i < n; i++) {
			r = fn(pool, ids[i]);
			if (r < 0)
				return r;
			from = ids[i] + 1;
		}
	} while (n == IDS_AT_ONCE);
	return 0;
}

static int settle_epoch(struct kvol_pool *pool, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock message = KV_LOCK_NONE;
	bool known;
	int r;

	r = kv_lock_take(pool->dir_fd, KV_LOCK_MESSAGE, kv_deadline(KV_LOCK_WAIT_MS),
			 &message);
	if (r < 0)
		return fail(pool, r, "wait for a reservation", e);
	r = kv_ids_settle_epoch(pool, &known);
	if (!known) /* then deleting would be a guess */
		return fail(pool, r, "compare the epochs", e);
	if (r > 0) {
		pool->audit = true;
		kv_log(&pool->log, LOG_ERR,
		       "pool '%s': catalogue and thin pool do not belong together: "
		       "open for audit only",
		       pool->conf.name);
	}
	return 0; /* a pool that takes no message now is still there to be read */
}

/* The kernel counts snapshots in 24 bits and does not look at what they come to. What we
 * count is never less than that, unless somebody else took some: then his count too. A
 * superblock that cannot be read is what the thin pool complains of, not we. */
static int settle_snapshots(struct kvol_pool *pool)
{
	struct kv_pool_row row;
	uint32_t time;
	int r;

	if (kv_pool_snapshot_time(pool, &time) < 0)
		return 0;
	r = kv_catalogue_pool(pool->cat, &row);
	if (r < 0 || time <= row.snapshots)
		return r;
	kv_log(&pool->log, LOG_WARNING,
	       "pool '%s': the kernel has counted %" PRIu32
	       " snapshots, the catalogue %" PRIu64
	       ": somebody else has used the thin pool",
	       pool->conf.name, time, row.snapshots);
	kv_ids_counted(pool, time);
	return kv_catalogue_count_snapshots(pool->cat, time);
}

static bool writable(const struct kvol_pool *pool)
{
	struct kv_pool_status st;

	return kv_pool_status(pool, &st) == 0 && !st.needs_check &&
	       (st.mode == KV_POOL_RW || st.mode == KV_POOL_OUT_OF_DATA ||
		kv_pool_metadata_full(&st)); /* deleting is what helps there */
}

/* The second is what the catalogue's file system says when it has met errors. */
static bool no_writes(int r)
{
	return r == -EIO || r == -EROFS;
}

int kv_recover(struct kvol_pool *pool, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	bool grows;
	int r;

	r = kv_lock_take(pool->dir_fd, KV_LOCK_RECOVERY, kv_deadline(KV_LOCK_WAIT_MS),
			 &lock);
	if (r < 0)
		return fail(pool, r, "wait for another one", e);
	r = tidy_devices(pool, &grows);
	if (r < 0)
		return fail(pool, r, "look at the volumes' devices", e);
	if (pool->unflushed)
		return 0;
	r = settle_epoch(pool, e);
	if (r < 0 || pool->audit || !writable(pool))
		return r;
	kv_metasnap_recover(pool);
	r = settle_snapshots(pool);
	if (r == 0)
		r = reservations(pool);
	if (r == 0)
		r = each_id(pool, kv_catalogue_tombstones, tombstone);
	if (r == 0)
		r = each_id(pool, kv_catalogue_ephemerals, ephemeral);
	if (r == 0)
		r = kv_catalogue_forget_now(pool->cat);
	if (r == 0)
		r = each_id(pool, kv_catalogue_spare, spare);
	if (r == 0 && grows)
		r = grow_devices(pool);
	/* A pool that goes read-only under our hands, or a disk that takes no writes, is
	 * what the verbs report, not a reason to be kept from reading and unpublishing.
	 * What is left can wait: it has waited for this open. */
	if (r < 0 && (no_writes(r) || !writable(pool))) {
		kv_log(&pool->log, LOG_WARNING,
		       "pool '%s': recovery: finish what was left: %s; the next open does it",
		       pool->conf.name, strerror(-r));
		return 0;
	}
	return r < 0 ? fail(pool, r, "finish what was left", e) : 0;
}
