/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mount namespaces: telling them apart, and doing something inside one.
 *
 * A namespace is known by the device and inode number of its file, as two paths
 * (/proc/123/ns/mnt, a bind mount of it) may well name the same one. The caller's thread
 * never changes its namespace: a foreign one is entered by a thread that ends with the
 * call, and that is on its way there while the call does other things. What fn opens in
 * there stays usable outside.
 *
 * The caller's own /proc is needed, and only that: nothing of a foreign /proc is
 * believed. It also tells whether a mount is still there whose target can no longer be
 * found where it was: somebody may have renamed a directory above it.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount.h"
#include "mountinfo.h"

#define OWN_NS "/proc/thread-self/ns/mnt"

static int own_id(struct kv_ns *ret)
{
	struct stat st;

	/* Without /proc no namespace can be named: that must not look like one that is
	 * gone. */
	if (stat(OWN_NS, &st) < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	ret->dev = st.st_dev;
	ret->ino = st.st_ino;
	return 0;
}

static int open_ns(const char *ns_path, struct kv_ns *ret_id)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	do {
		/* O_NONBLOCK: whatever the path names, opening it must not wait. */
		fd = open(ns_path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNS)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	ret_id->dev = st.st_dev;
	ret_id->ino = st.st_ino;
	return kv_take_fd(&fd);
}

int kv_ns_id(const char *ns_path, struct kv_ns *ret)
{
	_cleanup_close_ int fd = -1;
	struct kv_ns own, id;
	int r;

	r = own_id(&own);
	if (r < 0)
		return r;
	if (kv_str_empty(ns_path)) {
		*ret = own;
		return 0;
	}
	fd = open_ns(ns_path, &id);
	if (fd < 0)
		return fd;
	*ret = id;
	return 0;
}

static int enter(void *arg)
{
	const struct kv_visit *visit = arg;

	return setns(visit->ns_fd, CLONE_NEWNS) < 0 ? -errno : 0;
}

int kv_visit_begin(const char *ns_path, struct kv_visit *ret)
{
	_cleanup_close_ int fd = -1;
	struct kv_ns own = { 0 }, id;
	int r;

	*ret = KV_VISIT_NONE;
	r = own_id(&own);
	if (r < 0)
		return r;
	ret->ns = own;
	if (kv_str_empty(ns_path))
		return 0;
	fd = open_ns(ns_path, &id);
	if (fd < 0)
		return fd;
	if (id.dev == own.dev && id.ino == own.ino)
		return 0;
	r = kv_thread_start(&ret->thread);
	if (r < 0)
		return r;
	ret->ns = id;
	ret->ns_fd = kv_take_fd(&fd);
	ret->entering = true;
	kv_thread_ask(&ret->thread, enter, ret);
	return 0;
}

int kv_visit_run(struct kv_visit *visit, int (*fn)(void *arg), void *arg)
{
	if (visit->ns_fd < 0)
		return fn(arg);
	if (visit->entering)
		visit->entered = kv_thread_answer(&visit->thread);
	visit->entering = false;
	if (visit->entered < 0)
		return visit->entered;
	kv_thread_ask(&visit->thread, fn, arg);
	return kv_thread_answer(&visit->thread);
}

void kv_visit_end(struct kv_visit *visit)
{
	if (visit->ns_fd < 0)
		return;
	if (visit->entering)
		(void)kv_thread_answer(&visit->thread);
	kv_thread_end(&visit->thread);
	visit->ns_fd = kv_close(visit->ns_fd);
}

int kv_ns_run(const char *ns_path, int (*fn)(void *arg), void *arg)
{
	_cleanup_visit_ struct kv_visit visit = KV_VISIT_NONE;
	int r;

	if (kv_str_empty(ns_path))
		return fn(arg);
	r = kv_visit_begin(ns_path, &visit);
	return r < 0 ? r : kv_visit_run(&visit, fn, arg);
}

/* --- What is mounted in one ------------------------------------------------------- */

struct search {
	int proc_fd;
	bool (*is)(const struct kv_mountinfo *m, const struct search *x);
	uint64_t mnt_id;
	dev_t dev;
	bool node;
	char *point; /* may be NULL */
};

static bool is_recorded(const struct kv_mountinfo *m, const struct search *x)
{
	return kv_mountinfo_is(m, x->mnt_id, x->dev, x->node);
}

static bool shows_device(const struct kv_mountinfo *m, const struct search *x)
{
	return m->id == x->mnt_id && kv_mountinfo_shows(m, x->dev, false);
}

static bool shows_node(const struct kv_mountinfo *m, const struct search *x)
{
	return kv_mountinfo_shows(m, x->dev, true);
}

/* The ids of one namespace are those of no other at the same time: one that fits is the
 * mount, or it is none of ours. */
static int search_lines(FILE *f, const struct search *x)
{
	_cleanup_free_ char *line = NULL;
	struct kv_mountinfo m;
	size_t size = 0;

	while (errno = 0, getline(&line, &size, f) > 0) {
		if (kv_mountinfo_parse(line, &m) < 0 || !x->is(&m, x))
			continue;
		if (x->point && !kv_mountinfo_point(&m, x->point, PATH_MAX))
			x->point[0] = '\0';
		return 1;
	}
	return errno ? -errno : 0;
}

static int search_file(const char *path, const struct search *x)
{
	_cleanup_close_ int fd = -1;
	FILE *f;
	int r;

	fd = openat(x->proc_fd, path, O_RDONLY | O_CLOEXEC);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return -errno;
	(void)kv_take_fd(&fd);
	r = search_lines(f, x);
	(void)fclose(f);
	return r;
}

/* In the namespace, but by the /proc of the one that we came from. */
static int search(void *arg)
{
	int r = search_file("thread-self/mountinfo", arg);

	return r == -ENOENT ? -EOPNOTSUPP : r;
}

static int open_proc(int flags)
{
	int fd = open("/proc", flags | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? errno == ENOENT ? -EOPNOTSUPP : -errno : fd;
}

static int search_namespace(const char *ns_path, struct search *x)
{
	_cleanup_close_ int proc_fd = open_proc(O_PATH);

	if (proc_fd < 0)
		return proc_fd;
	x->proc_fd = proc_fd;
	return kv_ns_run(ns_path, search, x);
}

int kv_mount_find(const char *ns_path, uint64_t mnt_id, dev_t dev, bool node,
		  char ret_point[PATH_MAX])
{
	struct search x = { .is = is_recorded,
			    .mnt_id = mnt_id,
			    .dev = dev,
			    .node = node,
			    .point = ret_point };

	return search_namespace(ns_path, &x);
}

int kv_mount_shows(const char *ns_path, uint64_t mnt_id, dev_t dev)
{
	struct search x = { .is = shows_device, .mnt_id = mnt_id, .dev = dev };

	return search_namespace(ns_path, &x);
}

/* All of it, with a NUL behind it. */
static int read_lines(char **ret)
{
	_cleanup_close_ int proc_fd = open_proc(O_PATH), fd = -1;
	_cleanup_free_ char *text = NULL;
	size_t size = 0, used = 0;
	char *larger;
	ssize_t n;

	if (proc_fd < 0)
		return proc_fd;
	fd = openat(proc_fd, "thread-self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	do {
		if (size - used < 2) {
			size += size / 2 + 16384;
			larger = realloc(text, size);
			if (!larger)
				return -ENOMEM;
			text = larger;
		}
		n = read(fd, text + used, size - used - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? (size_t)n : 0;
	} while (n != 0);
	text[used] = '\0';
	*ret = text;
	text = NULL;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = ((const struct kv_mountinfo *)a)->id;
	uint64_t y = ((const struct kv_mountinfo *)b)->id;

	return (x > y) - (x < y);
}

int kv_mounts_read(struct kv_mounts *ret)
{
	struct kv_mounts m = { .n = 0 };
	size_t lines = 0;
	int r;

	r = kv_ns_id(NULL, &m.ns);
	if (r == 0)
		r = read_lines(&m.text);
	if (r < 0)
		return r;
	for (const char *s = m.text; (s = strchr(s, '\n')); s++)
		lines++;
	m.of = calloc(lines + 1, sizeof(*m.of));
	if (!m.of) {
		free(m.text);
		return -ENOMEM;
	}
	for (const char *s = m.text, *end; (end = strchr(s, '\n')); s = end + 1)
		m.n += kv_mountinfo_parse(s, &m.of[m.n]) == 0;
	qsort(m.of, m.n, sizeof(*m.of), compare_ids);
	*ret = m;
	return 0;
}

bool kv_mounts_have(const struct kv_mounts *mounts, uint64_t mnt_id, dev_t dev, bool node)
{
	const struct kv_mountinfo key = { .id = mnt_id }, *m = NULL;

	if (mounts->n)
		m = bsearch(&key, mounts->of, mounts->n, sizeof(key), compare_ids);
	return m && kv_mountinfo_is(m, mnt_id, dev, node);
}

void kv_mounts_free(struct kv_mounts *mounts)
{
	free(mounts->of);
	free(mounts->text);
	*mounts = (struct kv_mounts){ .n = 0 };
}

/* A process may end while it is looked at: what it had in its namespace alone is gone. */
static int search_processes(DIR *proc, const struct search *x)
{
	struct dirent *d;
	char path[300];
	int r = 0;

	while (r == 0) {
		errno = 0;
		d = readdir(proc);
		if (!d)
			return -errno;
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof(path), "%s/mountinfo", d->d_name);
		r = search_file(path, x);
		if (r == -ENOENT || r == -ESRCH || r == -EINVAL)
			r = 0;
	}
	return r;
}

int kv_node_bound(dev_t dev)
{
	struct search x = { .is = shows_node, .dev = dev };
	int r, fd = open_proc(O_RDONLY);
	DIR *proc;

	if (fd < 0)
		return fd;
	proc = fdopendir(fd);
	if (!proc) {
		r = -errno;
		(void)kv_close(fd);
		return r;
	}
	x.proc_fd = fd;
	r = search_processes(proc, &x);
	(void)closedir(proc);
	return r;
}
