/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_MOUNT_H
#define KV_MOUNT_H

/* L1: mounts that are made out of sight and moved into place. Nothing here keeps
 * state. */

#include <limits.h>

#include "thread.h"
#include "util.h"

/* A mount's options, sorted by who takes them. */
struct kv_mount_opts {
	uint64_t attr_set; /* MOUNT_ATTR_* for mount_setattr */
	bool readonly;	   /* "ro" was asked for */
	char super[512];   /* superblock options, comma-separated, as they came */
};

#define KV_OPTION_SIZE 64

/* Parses mount(8) options (libmount). -EINVAL: one that is not allowed (remount, bind,
 * move, loop, a propagation flag, ...), -E2BIG: too long; ret_bad (may be NULL) gets
 * the option. */
int kv_mount_opts_parse(const char *options, struct kv_mount_opts *ret,
			char ret_bad[KV_OPTION_SIZE]);

/* One option of a comma-separated list: spans of the list itself, without a NUL. */
struct kv_mount_option {
	const char *name, *value; /* value: NULL without '='; quotes are in it */
	size_t name_len, value_len;
	const char *text; /* both, as they came */
	size_t text_len;
};

/* Takes the next option off the list: 1, 0 at the end, -EINVAL for a quote that is
 * never closed. */
int kv_mount_option_next(const char **options, struct kv_mount_option *ret);

/* Makes a detached mount of the device: fsopen, fsconfig, fsmount. super_readonly: the
 * superblock itself is read-only. `fs_options` is added to opts->super (may be NULL).
 * opts may be NULL. Returns a mount fd (O_PATH); closing it undoes it. detail gets the
 * kernel's own last error line. */
int kv_mount_device(const char *fs_type, const char *source, const char *fs_options,
		    const struct kv_mount_opts *opts, bool super_readonly, char *detail,
		    size_t detail_size);
/* Makes a detached bind mount of a device node (path as kv_blockdev_path gives it,
 * checked to be dev): -ENODEV when there is no attached node. attr_set as above. */
int kv_mount_node(const char *path, dev_t dev, uint64_t attr_set);
/* Maps the ids of a detached mount by a user namespace, once. -EOPNOTSUPP: the file system
 * or the kernel cannot. */
int kv_mount_idmap(int mnt_fd, int userns_fd);
/* An ordinary fd of a detached mount's root, for ioctls, syncfs and openat. */
int kv_mount_root(int mnt_fd);

/* A target, opened without following any link. Lives in the namespace of the thread
 * that opened it. */
struct kv_target {
	int fd;	    /* O_PATH */
	dev_t dev;  /* st_dev of what is seen there */
	dev_t rdev; /* st_rdev, for a device node */
	uint64_t ino;
	uint64_t mnt_id;
	mode_t mode;
	bool mount_root; /* a mount stands on it */
	bool dead; /* it is of a file system that is shut down and does not answer: nothing
		      but mnt_id is known */
};

/* What the file system says of its space; nothing is read for that, and it need not be
 * more than a path (O_PATH). */
struct kv_usage {
	uint64_t bytes, bytes_used, bytes_available;
	uint64_t inodes, inodes_used, inodes_available; /* 0: it does not count them */
	bool readonly; /* the mount, or the file system itself */
};
int kv_mount_usage(int fd, struct kv_usage *ret);

/* Describes a detached mount as it will look on its target; ret->fd is -1. -EIO: it is
 * dead. */
int kv_target_describe(int mnt_fd, struct kv_target *ret);
/* Absolute paths that end in a name (-EINVAL). -ELOOP: a link in it. */
int kv_target_open(const char *path, struct kv_target *ret);
/* Moves a detached mount onto the target. -EINVAL: one is a directory and the other is
 * not. */
int kv_target_attach(const struct kv_target *target, int mnt_fd);
/* Sets the propagation (MS_PRIVATE, MS_SLAVE, MS_SHARED) of a mount that is attached in the
 * caller's namespace; fd: as of kv_mount_*, or a target's. */
int kv_mount_propagate(int fd, unsigned long propagation);
/* Unmounts the topmost mount at path, which must be the one that target was opened on:
 * -ESTALE if something changed in between. -EBUSY: in use, also by target->fd: it must
 * be closed before. Needs no /proc, and leaves the caller's working directory alone. */
int kv_target_detach(const char *path, const struct kv_target *target);

/* An identity for a mount namespace: equal means the same one. */
struct kv_ns {
	dev_t dev;
	ino_t ino;
};

/* NULL or "": the caller's. -ENOENT: it is no more; -EINVAL: no mount namespace;
 * -EOPNOTSUPP: no /proc. */
int kv_ns_id(const char *ns_path, struct kv_ns *ret);
/* 1: the mount that had this id when it was made (see kv_mountinfo_is) is still somewhere
 * in the namespace, whatever has become of its target; 0: it is gone. ret_point (may be
 * NULL) gets where it is now; "" if that is longer than a path can be. */
int kv_mount_find(const char *ns_path, uint64_t mnt_id, dev_t dev, bool node,
		  char ret_point[PATH_MAX]);
/* The mounts of a namespace as they were at one moment, for who has many to look for: each
 * kv_mount_find reads all of them. One that is not among them may have come since. */
struct kv_mounts {
	struct kv_ns ns;
	char *text; /* the lines */
	struct kv_mountinfo *of; /* ascending by id */
	size_t n;
};
#define _cleanup_mounts_ _cleanup_(kv_mounts_free)
/* The caller's, and ns is what kv_ns_id says of it. */
int kv_mounts_read(struct kv_mounts *ret);
bool kv_mounts_have(const struct kv_mounts *mounts, uint64_t mnt_id, dev_t dev, bool node);
void kv_mounts_free(struct kv_mounts *mounts);
/* 1: the mount of that id in the namespace is of the file system on device-mapper's device
 * dev; 0: of another, or there is none. */
int kv_mount_shows(const char *ns_path, uint64_t mnt_id, dev_t dev);
/* 1: a bind mount of the node of device-mapper's device dev is in the namespace of some
 * process that this /proc shows; 0: in none. */
int kv_node_bound(dev_t dev);
/* A stay in a namespace, for the time of a call: it is the same one each time that
 * something is done there, whatever its path has come to name meanwhile. What is done runs
 * in place if the namespace is the caller's own, and else on a thread that has entered it. */
struct kv_visit {
	struct kv_ns ns;
	int ns_fd; /* -1: the caller's own */
	bool entering;
	int entered; /* 0, or why not */
	struct kv_thread thread;
};
#define KV_VISIT_NONE	((struct kv_visit){ .ns_fd = -1 })
#define _cleanup_visit_ _cleanup_(kv_visit_end)
/* Does not wait for the thread to be there. Returns as kv_ns_id. */
int kv_visit_begin(const char *ns_path, struct kv_visit *ret);
/* Returns what fn returns, or the error that kept us from entering. */
int kv_visit_run(struct kv_visit *visit, int (*fn)(void *arg), void *arg);
/* May be called for one that was not begun. */
void kv_visit_end(struct kv_visit *visit);

/* All of it for one fn. */
int kv_ns_run(const char *ns_path, int (*fn)(void *arg), void *arg);

#endif
