// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ownership of all that a file system holds. Whoever wrote it may be hostile, and may be
 * writing still: every step goes by one name from an open directory and follows no link,
 * so nothing outside of the tree is ever reached; what is opened is looked at again before
 * it is changed. Devices and pipes are not opened. A hard link changes what it names,
 * which is in the same file system.
 *
 * The root comes last. A crash, or an error, leaves some of it done and the root not, so
 * that whoever looks at the root alone does it again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

#define SPECIAL_BITS 07777

static mode_t wanted_mode(mode_t mode)
{
	mode |= S_IRGRP | S_IWGRP;
	if (S_ISDIR(mode))
		return mode | S_IXGRP | S_ISGID;
	return mode & (S_IXUSR | S_IXGRP | S_IXOTH) ? mode | S_IXGRP : mode;
}

/* What cannot be changed whoever asks. */
static int unchangeable(int error)
{
	return error == EPERM || error == EROFS ? 0 : -error;
}

/* Changing the group takes set-id bits of files away, and rightly so: they are not put
 * back. */
static int own(int fd, uint32_t group)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	if (st.st_gid != group) {
		if (fchown(fd, (uid_t)-1, group) < 0)
			return unchangeable(errno);
		if (fstat(fd, &st) < 0)
			return -errno;
	}
	if (wanted_mode(st.st_mode) == st.st_mode)
		return 0;
	return fchmod(fd, wanted_mode(st.st_mode) & SPECIAL_BITS) < 0
		       ? unchangeable(errno)
		       : 0;
}

/* Gone, or something else than it was. */
static bool has_changed(int error)
{
	return error == ENOENT || error == ELOOP || error == ENOTDIR || error == ENXIO ||
	       error == EACCES;
}

static int walk(int dir_fd, uint32_t group, unsigned depth, int64_t deadline_ms);

static int enter(int dir_fd, const char *name, mode_t mode, uint32_t group,
		 unsigned depth, int64_t deadline_ms)
{
	_cleanup_close_ int fd = -1;
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	fd = openat(dir_fd, name, S_ISDIR(mode) ? flags | O_DIRECTORY : flags);
	if (fd < 0)
		return has_changed(errno) ? 0 : -errno;
	return S_ISDIR(mode) ? walk(fd, group, depth + 1, deadline_ms) : own(fd, group);
}

static int visit(int dir_fd, const char *name, uint32_t group, unsigned depth,
		 int64_t deadline_ms)
{
	struct stat st;

	if (strchr(name, '/')) /* no name, whatever the disk says */
		return -EUCLEAN;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return has_changed(errno) ? 0 : -errno;
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))
		return enter(dir_fd, name, st.st_mode, group, depth, deadline_ms);
	if (st.st_gid == group ||
	    fchownat(dir_fd, name, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return has_changed(errno) ? 0 : unchangeable(errno);
}

struct walk {
	int dir_fd;
	uint32_t group;
	unsigned depth;
	int64_t deadline_ms;
};

static int visit_next(const char *name, void *arg)
{
	const struct walk *w = arg;

	return kv_expired(w->deadline_ms)
		       ? -ETIMEDOUT
		       : visit(w->dir_fd, name, w->group, w->depth, w->deadline_ms);
}

static int walk(int dir_fd, uint32_t group, unsigned depth, int64_t deadline_ms)
{
	struct walk w = { dir_fd, group, depth, deadline_ms };
	int r;

	if (depth > KV_TREE_DEPTH)
		return -ELOOP;
	r = kv_dir_each(dir_fd, visit_next, &w);
	return r < 0 ? r : own(dir_fd, group);
}

int kv_tree_group(int root_fd, uint32_t group, int64_t deadline_ms)
{
	return walk(root_fd, group, 0, deadline_ms);
}

int kv_tree_has_group(int root_fd, uint32_t group)
{
	struct stat st;

	if (fstat(root_fd, &st) < 0)
		return -errno;
	return st.st_gid == group && wanted_mode(st.st_mode) == st.st_mode;
}

int kv_tree_own(int fd, const struct kv_owner *owner)
{
	struct stat st;

	/* In this order: a change of the owner may take set-id bits away. */
	if ((owner->what & KV_OWN_IDS) && fchown(fd, owner->uid, owner->gid) < 0)
		return -errno;
	if (!(owner->what & KV_OWN_MODE))
		return 0;
	if (fchmod(fd, owner->mode & SPECIAL_BITS) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return (st.st_mode & SPECIAL_BITS) == owner->mode ? 0 : -EPERM;
}
