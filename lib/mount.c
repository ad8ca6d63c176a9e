/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Detached mounts, and the targets that they are moved onto.
 *
 * A mount is made by fsopen/fsmount or open_tree and hangs on nothing but its fd: a
 * process that closes the fd, or is killed, leaves no mount behind. Only kv_target_attach
 * makes it visible, in one step. Targets are opened without following a single link and
 * are then known by what the kernel says of the fd, never by their path.
 *
 * Unmounting takes a path again, because an fd of the mount would keep it busy; it goes
 * through an fd of the parent directory, so that no other component can be exchanged
 * under it. Who may rename the entries of that very directory (from a mount namespace
 * where they are not mount points) could still exchange two of our own targets between
 * the check and the unmounting.
 *
 * A file system that is shut down may answer nothing at all (XFS: EIO to statx), and has
 * to be unmounted all the more. What tells its mount then is the id, which
 * name_to_handle_at gives without asking it.
 *
 * This file keeps no state and must not know what a volume is. It never needs /proc.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mount.h"
#include "thread.h"

#define KEY_SIZE     256 /* fsconfig(2) takes no longer keys and values */
#define OPEN_RETRIES 100 /* openat2 gives EAGAIN while somebody renames */

#ifndef UMOUNT_NOFOLLOW
#define UMOUNT_NOFOLLOW 8 /* include/linux/fs.h; <sys/mount.h> clashes */
#endif

/* --- System calls ----------------------------------------------------------------- */

/* glibc has wrappers for them only from 2.36 on. */
static int sys_fsopen(const char *fs_type, unsigned flags)
{
	return (int)syscall(SYS_fsopen, fs_type, flags);
}

static int sys_fsconfig(int fs_fd, unsigned cmd, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, fs_fd, cmd, key, value, 0);
}

static int sys_fsmount(int fs_fd, unsigned flags, unsigned attr)
{
	return (int)syscall(SYS_fsmount, fs_fd, flags, attr);
}

static int sys_open_tree(int dir_fd, const char *path, unsigned flags)
{
	return (int)syscall(SYS_open_tree, dir_fd, path, flags);
}

static int sys_mount_setattr(int mnt_fd, const struct mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, mnt_fd, "", AT_EMPTY_PATH, attr,
			    sizeof(*attr));
}

static int sys_move_mount(int mnt_fd, int target_fd)
{
	return (int)syscall(SYS_move_mount, mnt_fd, "", target_fd, "",
			    MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int sys_openat2(int dir_fd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dir_fd, path, how, sizeof(*how));
}

/* --- The kernel's own words ------------------------------------------------------- */

/* Reads what the file system context has to say ("e ext4: Unknown parameter 'x'"): the
 * last error wins over the last warning. detail stays as it is when there is nothing. */
static void read_log(int fs_fd, char *detail, size_t detail_size)
{
	char line[512], best = 0;
	ssize_t n;

	if (!detail || detail_size == 0)
		return;
	for (;;) {
		n = read(fs_fd, line, sizeof(line) - 1);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		if (n < 3 || (best == 'e' && line[0] != 'e'))
			continue;
		while (n > 2 && line[n - 1] == '\n')
			n--;
		line[n] = '\0';
		for (char *p = line; *p; p++)
			if ((unsigned char)*p < ' ' || *p == 0x7f)
				*p = ' ';
		best = line[0];
		(void)kv_strcpy(detail, detail_size, line + 2);
	}
}

/* --- Mounts of devices ------------------------------------------------------------ */

static int set_option(int fs_fd, const struct kv_mount_option *o, char *detail,
		      size_t detail_size)
{
	char key[KEY_SIZE], value[KEY_SIZE];
	const char *v = o->value;
	size_t n = o->value_len;
	int r;

	/* Quotes only protect commas: fsconfig has no commas to protect. */
	if (n >= 2 && v[0] == '"' && v[n - 1] == '"') {
		v++;
		n -= 2;
	}
	if (o->name_len >= sizeof(key) || n >= sizeof(value)) {
		r = -EINVAL;
	} else {
		memcpy(key, o->name, o->name_len);
		key[o->name_len] = '\0';
		if (v)
			memcpy(value, v, n);
		value[n] = '\0';
		r = v ? sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, key, value)
		      : sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, key, NULL);
		r = r < 0 ? -errno : 0;
	}
	if (r < 0 && detail && detail_size > 0)
		(void)snprintf(detail, detail_size, "option \"%.*s\" is refused",
			       o->text_len < KEY_SIZE ? (int)o->text_len : KEY_SIZE,
			       o->text);
	return r;
}

static int set_options(int fs_fd, const char *options, char *detail, size_t detail_size)
{
	struct kv_mount_option o;
	int r;

	if (!options)
		return 0;
	while ((r = kv_mount_option_next(&options, &o)) > 0) {
		r = set_option(fs_fd, &o, detail, detail_size);
		if (r < 0)
			return r;
	}
	return r;
}

static int configure(int fs_fd, const char *source, const char *fs_options,
		     const char *super, bool super_readonly, char *detail,
		     size_t detail_size)
{
	int r;

	if (sys_fsconfig(fs_fd, FSCONFIG_SET_STRING, "source", source) < 0)
		return -errno;
	r = set_options(fs_fd, fs_options, detail, detail_size);
	if (r < 0)
		return r;
	r = set_options(fs_fd, super, detail, detail_size);
	if (r < 0)
		return r;
	if (super_readonly && sys_fsconfig(fs_fd, FSCONFIG_SET_FLAG, "ro", NULL) < 0)
		return -errno;
	/* Not to be repeated after EINTR: a failed context is spent. */
	if (sys_fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
		return -errno;
	return 0;
}

int kv_mount_device(const char *fs_type, const char *source, const char *fs_options,
		    const struct kv_mount_opts *opts, bool super_readonly, char *detail,
		    size_t detail_size)
{
	_cleanup_close_ int fs_fd = -1;
	int mnt_fd, r;

	if (detail && detail_size > 0)
		detail[0] = '\0';
	fs_fd = sys_fsopen(fs_type, FSOPEN_CLOEXEC);
	if (fs_fd < 0)
		return errno == ENODEV || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	r = configure(fs_fd, source, fs_options, opts ? opts->super : NULL,
		      super_readonly, detail, detail_size);
	if (r < 0) {
		read_log(fs_fd, detail, detail_size);
		return r;
	}
	mnt_fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, opts ? (unsigned)opts->attr_set : 0);
	if (mnt_fd < 0) {
		r = -errno;
		read_log(fs_fd, detail, detail_size);
		return r;
	}
	return mnt_fd;
}

int kv_mount_node(const char *path, dev_t dev, uint64_t attr_set)
{
	/* The clone of a shared mount is its peer: what happens at the target must not
	 * reach it. */
	struct mount_attr attr = { .attr_set = attr_set, .propagation = MS_PRIVATE };
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = sys_open_tree(AT_FDCWD, path,
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
	if (fd < 0) {
		/* EINVAL: it is on a mount that belongs to no namespace, or not to
		 * ours. */
		if (errno == ENOENT || errno == ENOTDIR || errno == EINVAL)
			return -ENODEV;
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode) || st.st_rdev != dev)
		return -ENODEV;
	if (attr_set & MOUNT_ATTR__ATIME)
		attr.attr_clr = MOUNT_ATTR__ATIME;
	if (sys_mount_setattr(fd, &attr) < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return kv_take_fd(&fd);
}

int kv_mount_idmap(int mnt_fd, int userns_fd)
{
	const struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP,
					 .userns_fd = (uint64_t)userns_fd };

	if (sys_mount_setattr(mnt_fd, &attr) == 0)
		return 0;
	return errno == ENOSYS || errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int kv_mount_root(int mnt_fd)
{
	int fd;

	do {
		fd = openat(mnt_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/* --- Targets ---------------------------------------------------------------------- */

/* Splits an absolute path at its last component, which must be a name: a target that
 * has none ("/", "/a/..") could be mounted on, but not unmounted through its parent
 * again. */
static int split(const char *path, char dir[PATH_MAX], const char **ret_base)
{
	const char *base;
	size_t n;

	if (!path || path[0] != '/')
		return -EINVAL;
	base = strrchr(path, '/') + 1;
	if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
		return -EINVAL;
	n = (size_t)(base - path);
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(dir, path, n);
	dir[n] = '\0';
	*ret_base = base;
	return 0;
}

static int open_no_links(int dir_fd, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC | flags,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	unsigned tries = 0;
	int fd;

	do {
		fd = sys_openat2(dir_fd, path, &how);
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN) && ++tries < OPEN_RETRIES);
	if (fd < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return fd;
}

static int inspect(int fd, const char *name, struct kv_target *ret)
{
	struct statx stx;

	if (statx(fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_TYPE | STATX_MODE | STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID) ||
	    !(stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
		return -EOPNOTSUPP;
	*ret = (struct kv_target){
		.fd = -1,
		.dev = makedev(stx.stx_dev_major, stx.stx_dev_minor),
		.rdev = makedev(stx.stx_rdev_major, stx.stx_rdev_minor),
		.ino = stx.stx_ino,
		.mnt_id = stx.stx_mnt_id,
		.mode = stx.stx_mode,
		.mount_root = stx.stx_attributes & STATX_ATTR_MOUNT_ROOT,
	};
	return 0;
}

int kv_target_describe(int mnt_fd, struct kv_target *ret)
{
	return inspect(mnt_fd, "", ret);
}

/* What answers no statx: the root of a mount whose file system is shut down. One step
 * without links from a directory that answers, onto another mount, leads to a root and
 * nowhere else. Returns an fd. */
static int open_dead(int parent_fd, const char *base, struct kv_target *ret)
{
	struct file_handle handle = { .handle_bytes = 0 };
	_cleanup_close_ int fd = -1;
	struct kv_target parent;
	int mnt_id, r;

	r = inspect(parent_fd, "", &parent);
	if (r < 0)
		return r;
	fd = open_no_links(parent_fd, base, 0);
	if (fd < 0)
		return fd;
	/* EOVERFLOW: there is no room for the handle; the id comes all the same. */
	if (name_to_handle_at(fd, "", &handle, &mnt_id, AT_EMPTY_PATH) == 0 ||
	    errno != EOVERFLOW || (uint64_t)mnt_id == parent.mnt_id)
		return -EIO;
	*ret = (struct kv_target){
		.fd = -1,
		.mnt_id = (uint64_t)mnt_id,
		.mount_root = true,
		.dead = true,
	};
	return kv_take_fd(&fd);
}

int kv_target_open(const char *path, struct kv_target *ret)
{
	_cleanup_close_ int fd = -1;
	struct kv_target target;
	char dir[PATH_MAX];
	const char *base;
	int r;

	r = split(path, dir, &base);
	if (r < 0)
		return r;
	fd = open_no_links(AT_FDCWD, path, 0);
	if (fd < 0)
		return fd;
	r = inspect(fd, "", &target);
	if (r == -EIO) {
		_cleanup_close_ int parent_fd =
			open_no_links(AT_FDCWD, dir, O_DIRECTORY);

		(void)kv_close(fd);
		r = fd = parent_fd < 0 ? parent_fd : open_dead(parent_fd, base, &target);
	}
	if (r < 0)
		return r;
	target.fd = kv_take_fd(&fd);
	*ret = target;
	return 0;
}

int kv_mount_usage(int fd, struct kv_usage *ret)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return -errno;
	*ret = (struct kv_usage){
		.bytes = (uint64_t)st.f_blocks * st.f_frsize,
		.bytes_used = (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize,
		.bytes_available = (uint64_t)st.f_bavail * st.f_frsize,
		.inodes = st.f_files,
		.inodes_used = st.f_files - st.f_ffree,
		.inodes_available = st.f_favail,
		.readonly = st.f_flag & ST_RDONLY,
	};
	return 0;
}

int kv_target_attach(const struct kv_target *target, int mnt_fd)
{
	return sys_move_mount(mnt_fd, target->fd) < 0 ? -errno : 0;
}

int kv_mount_propagate(int fd, unsigned long propagation)
{
	const struct mount_attr attr = { .propagation = propagation };

	return sys_mount_setattr(fd, &attr) < 0 ? -errno : 0;
}

struct detach {
	int parent_fd;
	const char *base;
	const struct kv_target *target;
};

/* Runs where the working directory is nobody else's. */
static int detach_in_parent(void *arg)
{
	const struct detach *d = arg;
	struct kv_target now;
	int r;

	if (fchdir(d->parent_fd) < 0)
		return -errno;
	r = inspect(AT_FDCWD, d->base, &now);
	if (r == -EIO) {
		r = open_dead(AT_FDCWD, d->base, &now);
		(void)kv_close(r); /* it would hold the mount */
	}
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	/* It may have been shut down since. */
	if (!now.mount_root || now.mnt_id != d->target->mnt_id ||
	    (!now.dead && (now.dev != d->target->dev || now.ino != d->target->ino)))
		return -ESTALE;
	if (syscall(SYS_umount2, d->base, UMOUNT_NOFOLLOW) == 0)
		return 0;
	/* EINVAL: no longer a mount; ENOENT: no longer there. */
	return errno == EINVAL || errno == ENOENT ? -ESTALE : -errno;
}

int kv_target_detach(const char *path, const struct kv_target *target)
{
	_cleanup_close_ int parent_fd = -1;
	char dir[PATH_MAX];
	const char *base;
	int r;

	r = split(path, dir, &base);
	if (r < 0)
		return r;
	parent_fd = open_no_links(AT_FDCWD, dir, O_DIRECTORY);
	if (parent_fd == -ENOENT || parent_fd == -ELOOP || parent_fd == -ENOTDIR)
		return -ESTALE;
	if (parent_fd < 0)
		return parent_fd;
	return kv_thread_run(detach_in_parent,
			     &(struct detach){ parent_fd, base, target });
}
