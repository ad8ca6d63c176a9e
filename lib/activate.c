// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Getting a pool up, or joining one that is up.
 *
 * Whoever gets the pool's lock byte exclusively is alone with it and may map its devices;
 * the others wait for him and join. What is mapped is compared with what was opened: a
 * copy of the disk, attached beside its original, has the same UUID and is refused. Two
 * active pools of one name are refused under the lock of all pools. Between hosts the
 * claim on the disk decides (host.c): no journal is replayed before it is ours.
 *
 * A crash in here leaves mapped devices, which the next open keeps or replaces, and a
 * claim of ours; the catalogue's mount and the loop device vanish with their last user.
 * Nothing else on the disk is written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "gpt.h"
#include "loop.h"
#include "mount.h"
#include "rundir.h"
#include "verb.h"

/* --- Finding ---------------------------------------------------------------------- */

struct find {
	const char *name;
	char uuid[KV_UUID_LEN + 1];
};

static int match_name(const char *uuid, const struct kv_run_pool *p, void *arg)
{
	struct find *find = arg;

	if (strcmp(p->name, find->name))
		return 0;
	(void)kv_strcpy(find->uuid, sizeof(find->uuid), uuid);
	return 1;
}

int kv_member_by_name(const struct kvol_pool *pool, const char *name, struct kv_member *m,
		      struct kvol_error *e)
{
	struct find find = { .name = name };
	struct kv_stack stack;
	int r;

	if (!kv_pool_name_valid(name))
		return kv_error_invalid(
			e, "pool '%s': not a valid pool name (a path has a '/')", name);
	r = kv_run_each(pool->run_fd, match_name, &find);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the run directory", name);
	r = r == 1 ? kv_stack_find(&pool->dm, find.uuid, &stack) : -ENXIO;
	if (r < 0 && r != -ENXIO)
		return kv_error_errno(e, r, "pool '%s': look at its devices", name);
	if (r < 0)
		return kv_error(e, -ENOENT, KVOL_R_NOT_FOUND,
				"pool '%s': no active pool has this name", name);
	m->fd = -1;
	memcpy(m->layout.uuid, find.uuid, sizeof(find.uuid));
	return 0;
}

int kv_member_by_path(const char *path, struct kv_member *m, struct kvol_error *e)
{
	int r;

	m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (m->fd < 0) {
		r = -errno;
		return r == -ENOENT || r == -ENOTDIR
			       ? kv_error(e, -ENOENT, KVOL_R_NOT_FOUND,
					  "'%s': no such device or file", path)
			       : kv_error_errno(e, r, "'%s': open", path);
	}
	if (fstat(m->fd, &m->st) < 0)
		return kv_error_errno(e, -errno, "'%s': stat", path);
	if (!S_ISBLK(m->st.st_mode) && !S_ISREG(m->st.st_mode))
		return kv_error(e, -EMEDIUMTYPE, KVOL_R_NOT_A_POOL,
				"'%s': neither a block device nor a regular file", path);
	r = kv_gpt_read(m->fd, &m->layout);
	if (r == -EMEDIUMTYPE)
		return kv_error(e, r, KVOL_R_NOT_A_POOL, "'%s': holds no kvol pool",
				path);
	if (r == -EUCLEAN)
		return kv_error(
			e, r, KVOL_R_CORRUPT,
			"'%s': the pool's partition table is damaged or truncated", path);
	return r < 0 ? kv_error_errno(e, r, "'%s': read the partition table", path) : 0;
}

/* --- Activating: alone with the pool ---------------------------------------------- */

int kv_device_is(dev_t dev, const struct stat *st)
{
	dev_t file_dev;
	ino_t ino;
	int r;

	if (S_ISBLK(st->st_mode))
		return dev == st->st_rdev;
	r = kv_loop_backing(dev, &file_dev, &ino);
	if (r == -ENXIO) /* no loop device, or a free one */
		return 0;
	return r < 0 ? r : file_dev == st->st_dev && ino == st->st_ino;
}

/* 1: what was opened is the device that the active pool lies on; 0: it is not. */
static int is_member(const struct kv_member *m, dev_t member)
{
	return m->fd < 0 ? 1 : kv_device_is(member, &m->st);
}

int kv_member_device(const struct kv_dm *dm, const struct kv_member *m, const char *path,
		     dev_t *ret_dev, int *ret_fd, struct kvol_error *e)
{
	_cleanup_close_ int fd = -1;
	struct kv_dm_id id;
	char line[KV_THIN_LINE];
	uint64_t offset;
	dev_t dev;
	int r;

	*ret_fd = -1;
	if (S_ISBLK(m->st.st_mode)) {
		*ret_dev = m->st.st_rdev;
		return 0;
	}
	/* Half-mapped by somebody who died: go on with his loop device. */
	kv_dm_id_part(&id, m->layout.uuid, "catalogue");
	r = kv_dm_status(dm, id.uuid, KV_DM_TABLE, line, sizeof(line), NULL);
	if (r == 0 && kv_thin_linear_parse(line, &dev, &offset) == 0 &&
	    is_member(m, dev) == 1) {
		*ret_dev = dev;
		return 0;
	}
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return kv_error_errno(e, -errno, "'%s': open for writing", path);
	*ret_fd = kv_loop_attach(fd, path, ret_dev);
	return *ret_fd < 0
		       ? kv_error_errno(e, *ret_fd, "'%s': attach a loop device", path)
		       : 0;
}

int kv_map_error(int r, const char *path, const char *step, struct kvol_error *e)
{
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN, "'%s': %s: the device is in use",
				path, step);
	if (r == -EEXIST)
		return kv_error(e, r, KVOL_R_EXISTS_DIFFERENT,
				"'%s': %s: a pool with the same UUID is "
				"active on another device",
				path, step);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"'%s': %s: the kernel lacks "
				"device-mapper's thin provisioning",
				path, step);
	return kv_error_errno(e, r, "'%s': %s", path, step);
}

static int mount_catalogue(struct kvol_pool *pool, const char *path, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1;
	char source[KV_DEV_PATH], detail[128] = "";
	struct kv_mount_opts opts;
	int fd, r;

	r = kv_blockdev_name(pool->stack.catalogue, source, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': find the catalogue's device", path);
	/* Whoever had the disk may have put a device node there; and what the superblock
	 * says is to be done about damage is not asked. */
	r = kv_mount_opts_parse("nodev,nosuid,noexec", &opts, NULL);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': mount the catalogue", path);
	fd = kv_mount_device("ext4", source, "errors=remount-ro", &opts, false, detail,
			     sizeof(detail));
	if (fd == -EINVAL || fd == -EUCLEAN)
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': mount the catalogue: its file system "
				"is damaged (%s)",
				path, detail);
	if (fd < 0)
		return kv_error_errno(e, fd, "'%s': mount the catalogue (%s)", path,
				      detail);
	r = kv_catalogue_open(fd, &pool->cat);
	if (r == 0)
		r = kv_catalogue_pool(pool->cat, &pool->conf);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': open the catalogue", path);
	r = kv_catalogue_flush(pool->cat);
	/* A disk that flushes nothing can still be read. */
	pool->unflushed = r == -EIO || r == -EROFS;
	if (pool->unflushed)
		kv_log(&pool->log, LOG_ERR,
		       "pool '%s': its disk does not flush (%s): open for reading only",
		       pool->conf.name, strerror(-r));
	else if (r < 0)
		return kv_error_errno(e, r, "'%s': flush the catalogue", path);
	return 0;
}

struct name_taken {
	struct kvol_pool *pool;
	bool taken;
};

static int check_name(const char *uuid, const struct kv_run_pool *p, void *arg)
{
	struct name_taken *x = arg;
	struct kv_stack stack;
	int r;

	if (!strcmp(uuid, x->pool->conf.uuid) || strcmp(p->name, x->pool->conf.name))
		return 0;
	r = kv_stack_find(&x->pool->dm, uuid, &stack);
	if (r < 0)
		return r == -ENXIO ? 0 : r;
	x->taken = true;
	return 1;
}

/* Writes the run record, under the lock of all pools: two of one name cannot both get
 * through. */
static int take_name(struct kvol_pool *pool, struct kvol_error *e)
{
	_cleanup_lock_ struct kv_lock all = KV_LOCK_NONE;
	struct name_taken x = { .pool = pool };
	struct kv_run_pool record = { 0 };
	int r;

	r = kv_lock_take(pool->run_fd, KV_LOCK_POOL, kv_deadline(KV_LOCK_WAIT_MS), &all);
	if (r == 0)
		r = kv_run_each(pool->run_fd, check_name, &x);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the run directory",
				      pool->conf.name);
	if (x.taken)
		return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
				"pool '%s': another active pool has this name",
				pool->conf.name);
	(void)kv_strcpy(record.name, sizeof(record.name), pool->conf.name);
	(void)kv_strcpy(record.device, sizeof(record.device), pool->device);
	r = kv_run_write(pool->dir_fd, &record);
	return r < 0 ? kv_error_errno(e, r, "pool '%s': write the run record",
				      pool->conf.name)
		     : 0;
}

/* The member as a person would look for it: where its file is, else the block device. */
static void set_device(struct kvol_pool *pool, const struct kv_member *m,
		       const char *path, dev_t member)
{
	_cleanup_free_ char *real = m->fd < 0 ? NULL : realpath(path, NULL);

	if (!real || !kv_strcpy(pool->device, sizeof(pool->device), real))
		(void)kv_blockdev_path(member, pool->device);
}

static int check_conf(const struct kvol_pool *pool, const struct kv_member *m,
		      const char *path, struct kvol_error *e)
{
	if (strcmp(pool->conf.uuid, m->layout.uuid))
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': the catalogue belongs to pool %s, "
				"the disk to pool %s",
				path, pool->conf.uuid, m->layout.uuid);
	return 0;
}

/* Maps everything anew. On failure nothing of it stays. */
static int activate(struct kvol_pool *pool, const struct kv_member *m, const char *path,
		    struct kvol_error *e)
{
	struct kv_claim_before before = { .written = false };
	_cleanup_close_ int loop_fd = -1;
	dev_t member;
	int r;

	r = kv_member_device(&pool->dm, m, path, &member, &loop_fd, e);
	if (r < 0)
		return r;
	r = kv_stack_map_catalogue(&pool->dm, &m->layout, member, &pool->stack);
	if (r < 0) {
		r = kv_map_error(r, path, "map the catalogue", e);
		goto undo_map;
	}
	/* The map holds the member against other users of this host; from here on it may
	 * be written. Mounting replays a journal: that is for the claim's owner only. */
	r = kv_claim_take(member, m->layout.uuid, &pool->host, m->takeover, path,
			  &pool->claim, &before, e);
	if (r < 0)
		goto undo_map;
	r = mount_catalogue(pool, path, e);
	if (r == 0)
		r = check_conf(pool, m, path, e);
	if (r < 0)
		goto undo_mount;
	r = kv_stack_map_pool(&pool->dm, &m->layout, member, pool->conf.block_bytes,
			      false, &pool->stack);
	if (r < 0) {
		/* ENOTBLK: its superblock is no block of dm-thin's. */
		r = r == -EINVAL || r == -EILSEQ || r == -ENOTBLK || r == -EUCLEAN
			    ? kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				       "'%s': start the thin pool: its metadata is "
				       "damaged",
				       path)
			    : kv_map_error(r, path, "start the thin pool", e);
		goto undo_mount;
	}
	set_device(pool, m, path, member);
	r = take_name(pool, e);
	if (r < 0)
		goto undo_mount;
	pool->activated = true;
	return 0;

undo_mount:
	kv_catalogue_close(pool->cat);
	pool->cat = NULL;
	kv_claim_put_back(member, &before);
undo_map:
	/* Not what a pool on another device stands on. */
	if (r != -EEXIST || pool->stack.catalogue)
		(void)kv_stack_remove(&pool->dm, m->layout.uuid);
	return r;
}

/* Joins a pool that is active. -ENXIO (no error text): it is not. */
static int join(struct kvol_pool *pool, const struct kv_member *m, const char *path,
		struct kvol_error *e)
{
	struct kv_run_pool record;
	int r;

	r = kv_stack_find(&pool->dm, m->layout.uuid, &pool->stack);
	if (r == -ENXIO)
		return r;
	if (r < 0)
		return kv_error_errno(e, r, "'%s': look at the pool's devices", path);
	r = is_member(m, pool->stack.member);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': look at the pool's loop device", path);
	if (r == 0)
		return kv_map_error(-EEXIST, path, "join the pool", e);
	r = kv_claim_check(pool->stack.member, m->layout.uuid, &pool->host, path,
			   &pool->claim, e);
	if (r < 0)
		return r;
	r = mount_catalogue(pool, path, e);
	if (r == 0)
		r = check_conf(pool, m, path, e);
	if (r < 0)
		return r;
	if (kv_run_read(pool->dir_fd, &record) == 0) {
		(void)kv_strcpy(pool->device, sizeof(pool->device), record.device);
		return 0;
	}
	/* Its activator died before it wrote the record. */
	set_device(pool, m, path, pool->stack.member);
	return take_name(pool, e);
}

static int lock_error(int r, const char *path, struct kvol_error *e)
{
	return kv_error_errno(e, r, "'%s': wait for the pool's lock", path);
}

int kv_pool_activate(struct kvol_pool *pool, const struct kv_member *m, const char *path,
		     struct kvol_error *e)
{
	int64_t deadline = kv_deadline(KV_LOCK_WAIT_MS);
	unsigned step = 0;
	int r;

	for (;;) {
		r = kv_lock_exclusive(pool->lock_fd, KV_LOCK_POOL, 0);
		if (r == 0) {
			r = join(pool, m, path, e);
			if (r == -ENXIO && m->fd >= 0)
				return activate(pool, m, path, e);
			break;
		}
		if (r == -EBUSY)
			r = kv_lock_shared(pool->lock_fd, KV_LOCK_POOL, deadline);
		if (r < 0)
			return lock_error(r, path, e);
		r = join(pool, m, path, e);
		if (r != -ENXIO)
			break;
		/* The one that we waited for did not get it up: try alone. */
		kv_lock_drop(pool->lock_fd, KV_LOCK_POOL);
		if (kv_backoff(&step, deadline) < 0)
			return lock_error(-ETIMEDOUT, path, e);
	}
	if (r == -ENXIO)
		return kv_error(e, -ENOENT, KVOL_R_NOT_FOUND,
				"pool '%s': not active any more", path);
	return r;
}
