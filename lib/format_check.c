// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is on the path that a pool is to be made on: opened and locked, and whether it may
 * be overwritten.
 *
 * Anything but blank space is refused without KVOL_FORMAT_FORCE, and unreadable is not
 * blank. Nothing on a device is written here; a new file gets its size. A crash leaves
 * that file, empty or blank, which the next format takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "format.h"
#include "gpt.h"
#include "loop.h"
#include "probe.h"

#define LOCK_MS 10000

/* --- The device or file ----------------------------------------------------------- */

static int make_file(struct kv_format *f)
{
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd < 0)
		return -errno;
	f->made_file = true;
	return 0;
}

int kv_format_open(struct kv_format *f, struct kvol_error *e)
{
	struct stat st;
	int r;

	if (f->o.file_bytes) {
		r = make_file(f);
		if (r != -EEXIST)
			return r < 0 ? kv_error_errno(e, r, "'%s': make the file",
						      f->path)
				     : 0;
	}
	f->fd = open(f->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0 && errno == ENOENT)
		return kv_error(e, -ENOENT, KVOL_R_NOT_FOUND,
				"'%s': no such device or file", f->path);
	if (f->fd < 0 && errno == EISDIR)
		return kv_error_invalid(e, "'%s': is a directory", f->path);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return kv_error_errno(e, -errno, "'%s': open", f->path);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return kv_error_invalid(
			e, "'%s': neither a block device nor a regular file", f->path);
	f->member = S_ISBLK(st.st_mode) ? st.st_rdev : 0;
	return 0;
}

/* udev holds this lock while it looks at a device that has just appeared; and a loop device
 * that a killed format has left holds the file with that one's lock. */
int kv_format_lock(struct kv_format *f, struct kvol_error *e)
{
	int64_t deadline = kv_deadline(LOCK_MS);
	unsigned step = 0;
	int r;

	do {
		r = kv_leftover_remove(&f->dm, f->run_fd);
		if (r < 0)
			return kv_error_errno(e, r,
					      "'%s': remove what a killed format left",
					      f->path);
		r = flock(f->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
	} while (r == -EWOULDBLOCK && kv_backoff(&step, deadline) == 0);
	if (r == -EWOULDBLOCK)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN, "'%s': locked by somebody",
				f->path);
	return r < 0 ? kv_error_errno(e, r, "'%s': lock", f->path) : 0;
}

/* Under the lock: a new file may have become somebody else's pool before we had it. An
 * empty one is what a format leaves that is killed before this. */
int kv_format_size_file(struct kv_format *f, struct kvol_error *e)
{
	struct stat st;

	if (!f->o.file_bytes)
		return 0;
	if (fstat(f->fd, &st) < 0)
		return kv_error_errno(e, -errno, "'%s': stat", f->path);
	f->made_file = f->made_file && st.st_size == 0;
	if (f->member || (st.st_size && (uint64_t)st.st_size != f->o.file_bytes))
		return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
				"'%s': is there already, and is not a "
				"file of %" PRIu64 " bytes",
				f->path, f->o.file_bytes);
	f->sized_file = st.st_size == 0;
	if (f->sized_file && ftruncate(f->fd, (off_t)f->o.file_bytes) < 0)
		return kv_error_errno(e, -errno, "'%s': make it %" PRIu64 " bytes large",
				      f->path, f->o.file_bytes);
	return 0;
}

/* Somebody mounted it, or claims it otherwise. The claim is not kept: device-mapper makes
 * its own. */
int kv_format_check_unclaimed(struct kv_format *f, struct kvol_error *e)
{
	struct stat st;
	int fd, r;

	if (fstat(f->fd, &st) < 0)
		return kv_error_errno(e, -errno, "'%s': stat", f->path);
	if (!f->member) {
		r = kv_loop_attached(st.st_dev, st.st_ino);
		if (r < 0)
			return kv_error_errno(e, r, "'%s': look for its loop devices",
					      f->path);
		if (r > 0)
			return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN,
					"'%s': attached to a loop device", f->path);
		return 0;
	}
	fd = kv_blockdev_open_exclusive(f->path);
	if (fd == -EBUSY)
		return kv_error(e, fd, KVOL_R_BUSY_OPEN, "'%s': mounted or in use",
				f->path);
	if (fd < 0)
		return kv_error_errno(e, fd, "'%s': claim", f->path);
	(void)kv_close(fd);
	return 0;
}

/* --- A pool that is there --------------------------------------------------------- */

static int compare(struct kvol_pool *pool, struct kv_format *f, struct kvol_error *e)
{
	const struct kv_pool_row *is = &pool->conf;

	if (strcmp(is->name, f->name))
		return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
				"'%s': is a pool of the name '%s'", f->path, is->name);
	if ((f->o.block_bytes && f->o.block_bytes != is->block_bytes) ||
	    (f->o.max_volumes && f->o.max_volumes != is->max_volumes))
		return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
				"'%s': is a pool of blocks of %" PRIu64
				" bytes for %" PRIu64 " volumes",
				f->path, is->block_bytes, is->max_volumes);
	return 0;
}

/* 1: the pool on PATH is active, 0: it is not. */
static int find_active(struct kv_format *f, struct kvol_error *e)
{
	struct kv_stack stack;
	int r;

	r = kv_stack_find(&f->dm, f->layout.uuid, &stack);
	if (r < 0 && r != -ENXIO)
		return kv_error_errno(e, r, "'%s': look whether it is active", f->path);
	return r == 0;
}

/* Twice, whatever failed: a pool that is left up keeps its disk busy, and nobody asked for
 * it. */
static int put_down(struct kvol_pool *pool, struct kvol_error *e)
{
	struct kvol_error why;
	int r = kvol_pool_deactivate(pool, NULL);

	if (r < 0)
		r = kvol_pool_deactivate(pool, &why);
	if (r == 0 || r == -EBUSY) /* somebody has opened it since: let him */
		return 0;
	if (e)
		*e = why;
	return r;
}

/* Opening is the only way to read a pool's name. It goes down again if it was down
 * before. */
static int compare_existing(struct kv_format *f, struct kvol_error *e)
{
	struct kvol_pool *pool;
	bool was_active;
	int r, s = 0;

	r = find_active(f, e);
	if (r < 0)
		return r;
	was_active = r;
	r = kvol_pool_open((struct kvol_ctx *)f->ctx, f->path, NULL, &pool, e);
	if (r < 0)
		return r;
	r = compare(pool, f, e);
	if (!was_active)
		s = put_down(pool, r < 0 ? NULL : e);
	kvol_pool_close(pool);
	return r < 0 ? r : s;
}

int kv_format_check_contents(struct kv_format *f, struct kvol_error *e)
{
	bool force = f->o.flags & KVOL_FORMAT_FORCE;
	char what[32];
	int r, active = 0;

	if (f->made_file)
		return 0;
	r = kv_gpt_read(f->fd, &f->layout);
	if (r == 0 && !force) {
		r = compare_existing(f, e);
		return r < 0 ? r : 1;
	}
	if (r == 0)
		active = find_active(f, e);
	if (active < 0)
		return active;
	if (r == 0 && !active)
		active = kv_leftover_remove_pool(&f->dm, f->run_fd, f->layout.uuid);
	if (active < 0 && active != -EBUSY)
		return kv_error_errno(e, active, "'%s': remove what a killed open left",
				      f->path);
	if (active)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN, "'%s': is an active pool",
				f->path);
	if (force)
		return 0;
	if (r == -EUCLEAN)
		return kv_error(e, -EEXIST, KVOL_R_HAS_SIGNATURE,
				"'%s': carries a damaged kvol pool", f->path);
	if (r < 0 && r != -EMEDIUMTYPE)
		return kv_error_errno(e, r, "'%s': read", f->path);
	r = kv_probe_signature(f->fd, what, sizeof(what));
	if (r > 0)
		return kv_error(e, -EEXIST, KVOL_R_HAS_SIGNATURE,
				"'%s': carries a signature: %s", f->path, what);
	return r < 0 ? kv_error_errno(e, r, "'%s': look for signatures", f->path) : 0;
}
