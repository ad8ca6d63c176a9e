// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who holds a volume: found in /proc and /sys alone, so that it can be asked about a file
 * system that hangs. Links in /proc are read, never followed, and no path that somebody
 * else names is opened. The one file whose reading may wait for its process is maps: it is
 * left out where a thread of the process waits in the kernel.
 *
 * First the mounts, in each mount namespace that some process is in; an open file is known
 * by the mount that it is on, a working directory by its path, a mapped file by its
 * device. A namespace without a process, a detached mount, and a device node outside of
 * /dev are not seen. Everything may change meanwhile: who is gone in between is left out.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <kvol/kvol.h>

#include "holders.h"
#include "mountinfo.h"
#include "procinfo.h"

#define TEXT_SIZE 256
#define FILE_SIZE 4096

/* A mount of the volume's in some namespace. */
struct place {
	uint64_t ns, mnt_id;
	char *point;
};

struct scan {
	const struct kv_holders_query *q;
	int (*fn)(const struct kv_holder *h, void *arg);
	void *arg;
	int proc_fd, sys_fd;
	uint64_t own_ns;
	char node[KV_HOLDERS_DEVS][32]; /* "/dev/dm-7", of the volume's own devices */
	dev_t btrfs;	  /* the number that it has made up for itself */
	uint64_t *seen;	  /* namespaces */
	size_t n_seen;
	struct place *places;
	size_t n_places;
	bool more;
};

/* --- Reading ---------------------------------------------------------------------- */

static bool read_link(int dir_fd, const char *name, char *buf, size_t size)
{
	ssize_t n = readlinkat(dir_fd, name, buf, size - 1);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

/* As much of it as fits. */
static bool read_text(int dir_fd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

static FILE *open_lines(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f && fd >= 0)
		(void)kv_close(fd);
	return f;
}

static bool is_number(const char *name)
{
	return *name && strspn(name, "0123456789") == strlen(name);
}

/* Calls fn for each entry of a directory that is a number (or for all) until it returns
 * non-zero. One that is gone has none. */
static int each_entry(int dir_fd, const char *name, bool numbers,
		      int (*fn)(struct scan *s, int fd, const char *entry, void *arg),
		      struct scan *s, void *arg)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		(void)kv_close(fd);
		return 0;
	}
	while (r == 0 && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || (numbers && !is_number(d->d_name)))
			continue;
		r = kv_expired(s->q->deadline_ms) ? -ETIMEDOUT
						  : fn(s, fd, d->d_name, arg);
	}
	(void)closedir(dir);
	return r;
}

/* --- Mounts ----------------------------------------------------------------------- */

static bool is_word(const char *word, size_t n, const char *text)
{
	return n == strlen(text) && !memcmp(word, text, n);
}

static bool is_published(const struct scan *s, uint64_t mnt_id)
{
	for (size_t i = 0; i < s->q->n_mnt_ids; i++)
		if (s->q->mnt_ids[i] == mnt_id)
			return true;
	return false;
}

static bool is_own(const struct scan *s, dev_t dev)
{
	for (int i = 0; i < KV_HOLDERS_DEVS; i++)
		if (s->q->devs[i] && dev == s->q->devs[i])
			return true;
	return false;
}

static bool is_own_node(const struct scan *s, const char *path)
{
	for (int i = 0; i < KV_HOLDERS_DEVS; i++)
		if (s->node[i][0] && !strcmp(path, s->node[i]))
			return true;
	return false;
}

static bool is_ours(struct scan *s, const struct kv_mountinfo *m)
{
	bool btrfs = is_word(m->fs_type, m->fs_type_len, "btrfs");

	if (is_own(s, m->dev) || is_published(s, m->id) ||
	    (s->btrfs && m->dev == s->btrfs))
		return true;
	for (int i = 0; i < KV_HOLDERS_DEVS; i++) {
		if (!s->node[i][0])
			continue;
		if (btrfs && is_word(m->source, m->source_len, s->node[i])) {
			s->btrfs = m->dev;
			return true;
		}
		if (is_word(m->fs_type, m->fs_type_len, "devtmpfs") &&
		    is_word(m->root, m->root_len, s->node[i] + strlen("/dev")))
			return true;
	}
	return false;
}

static int add_place(struct scan *s, uint64_t ns, const struct kv_mountinfo *m)
{
	struct place *p;

	if (s->n_places == KV_HOLDERS_MAX) {
		s->more = true;
		return 0;
	}
	p = &s->places[s->n_places];
	p->point = malloc(m->point_len + 1);
	if (!p->point)
		return -ENOMEM;
	s->n_places++;
	if (!kv_mountinfo_point(m, p->point, m->point_len + 1))
		p->point[0] = '\0';
	p->ns = ns;
	p->mnt_id = m->id;
	return 0;
}

static void tell_comm(int pid_fd, char ret[TEXT_SIZE])
{
	if (!read_text(pid_fd, "comm", ret, TEXT_SIZE))
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static int tell_mount(struct scan *s, int pid_fd, uint32_t pid, const struct place *p,
		      bool own)
{
	char comm[TEXT_SIZE] = "";
	struct kv_holder h = {
		.kind = own ? KVOL_WHY_MOUNT : KVOL_WHY_NAMESPACE,
		.pid = own ? 0 : pid,
		.ns = p->ns,
		.mnt_id = p->mnt_id,
		.what = comm,
		.target = p->point,
	};

	if (!own)
		tell_comm(pid_fd, comm);
	return s->fn(&h, s->arg);
}

/* All mounts of the caller's own namespace are told of, and one of each other. */
static int read_mounts(struct scan *s, int pid_fd, uint32_t pid, uint64_t ns)
{
	_cleanup_free_ char *line = NULL;
	struct kv_mountinfo m;
	size_t size = 0, first = s->n_places;
	FILE *f = open_lines(pid_fd, "mountinfo");
	int r = 0;

	if (!f)
		return 0;
	while (r == 0 && getline(&line, &size, f) > 0) {
		if (kv_mountinfo_parse(line, &m) < 0 || !is_ours(s, &m))
			continue;
		r = add_place(s, ns, &m);
		if (r == 0 && !s->more && (ns == s->own_ns || s->n_places == first + 1))
			r = tell_mount(s, pid_fd, pid, &s->places[s->n_places - 1],
				       ns == s->own_ns);
	}
	(void)fclose(f);
	return r;
}

static int open_pid(int proc_fd, const char *name)
{
	return openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool ns_of(int pid_fd, uint64_t *ret)
{
	char link[64];

	return read_link(pid_fd, "ns/mnt", link, sizeof(link)) &&
	       kv_procinfo_ns(link, ret);
}

static int look_for_mounts(struct scan *s, int proc_fd, const char *name, void *arg)
{
	_cleanup_close_ int pid_fd = open_pid(proc_fd, name);
	uint64_t ns;

	(void)arg;
	if (pid_fd < 0 || !ns_of(pid_fd, &ns))
		return 0;
	for (size_t i = 0; i < s->n_seen; i++)
		if (s->seen[i] == ns)
			return 0;
	if (s->n_seen == KV_HOLDERS_MAX) {
		s->more = true;
		return 0;
	}
	s->seen[s->n_seen++] = ns;
	return read_mounts(s, pid_fd, (uint32_t)atoi(name), ns);
}

/* --- Processes -------------------------------------------------------------------- */

/* What has been found of one; the path is that of the first finding. */
struct found {
	uint64_t ns;
	uint32_t how;
	char path[TEXT_SIZE];
};

static void add_finding(struct found *x, uint32_t how, const char *path)
{
	if (!x->how)
		(void)kv_strcpy(x->path, sizeof(x->path), path);
	x->how |= how;
}

/* By its path, as its namespace has it: what is mounted below the volume holds it, too. */
static bool is_below(const struct scan *s, uint64_t ns, const char *path)
{
	for (size_t i = 0; i < s->n_places; i++)
		if (s->places[i].ns == ns && s->places[i].point[0] &&
		    kv_path_below(path, s->places[i].point))
			return true;
	return false;
}

static void look_at_links(const struct scan *s, int pid_fd, struct found *x)
{
	static const struct {
		const char *name;
		uint32_t how;
	} links[] = {
		{ "cwd", KVOL_WHY_BY_CWD },
		{ "root", KVOL_WHY_BY_ROOT },
		{ "exe", KVOL_WHY_BY_EXE },
	};
	char path[PATH_MAX];

	for (size_t i = 0; i < KV_ARRAY_SIZE(links); i++)
		if (read_link(pid_fd, links[i].name, path, sizeof(path)) &&
		    is_below(s, x->ns, path))
			add_finding(x, links[i].how, path);
}

static int look_at_fd(struct scan *s, int dir_fd, const char *name, void *arg)
{
	char path[PATH_MAX], info_name[32], info[FILE_SIZE];
	struct found *x = arg;
	uint64_t mnt_id;

	if (!read_link(dir_fd, name, path, sizeof(path)) || path[0] != '/')
		return 0;
	if (is_own_node(s, path)) {
		add_finding(x, KVOL_WHY_BY_DEVICE, path);
		return 0;
	}
	(void)snprintf(info_name, sizeof(info_name), "../fdinfo/%.16s", name);
	if (!read_text(dir_fd, info_name, info, sizeof(info)) ||
	    !kv_procinfo_mnt_id(info, &mnt_id))
		return 0;
	for (size_t i = 0; i < s->n_places; i++)
		if (s->places[i].mnt_id == mnt_id) {
			add_finding(x, KVOL_WHY_BY_FILE, path);
			break;
		}
	return 0;
}

static int look_at_state(struct scan *s, int task_fd, const char *name, void *arg)
{
	char path[32], text[FILE_SIZE], state;
	uint32_t uid;

	(void)s;
	(void)arg;
	(void)snprintf(path, sizeof(path), "%.16s/status", name);
	return read_text(task_fd, path, text, sizeof(text)) &&
	       kv_procinfo_status(text, &state, &uid) && state == 'D';
}

static void look_at_maps(const struct scan *s, int pid_fd, struct found *x)
{
	_cleanup_free_ char *line = NULL;
	FILE *f = open_lines(pid_fd, "maps");
	const char *path;
	size_t size = 0;
	dev_t dev;

	while (f && !(x->how & KVOL_WHY_BY_MMAP) && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (kv_procinfo_map(line, &dev, &path) &&
		    (is_own(s, dev) || (s->btrfs && dev == s->btrfs)))
			add_finding(x, KVOL_WHY_BY_MMAP, path);
	}
	if (f)
		(void)fclose(f);
}

static int look_at_process(struct scan *s, int proc_fd, const char *name, void *arg)
{
	_cleanup_close_ int pid_fd = open_pid(proc_fd, name);
	char comm[TEXT_SIZE], status[FILE_SIZE], state;
	struct found x = { .how = 0 };
	struct kv_holder h = { .kind = KVOL_WHY_PROCESS, .what = comm, .target = x.path };
	int r;

	(void)arg;
	if (pid_fd < 0 || !ns_of(pid_fd, &x.ns))
		return 0;
	look_at_links(s, pid_fd, &x);
	r = each_entry(pid_fd, "fd", true, look_at_fd, s, &x);
	if (r < 0)
		return r;
	r = each_entry(pid_fd, "task", true, look_at_state, s, NULL);
	if (r < 0)
		return r;
	if (r == 0)
		look_at_maps(s, pid_fd, &x);
	if (!x.how || !read_text(pid_fd, "status", status, sizeof(status)) ||
	    !kv_procinfo_status(status, &state, &h.uid))
		return 0;
	tell_comm(pid_fd, comm);
	h.how = x.how;
	h.pid = (uint32_t)atoi(name);
	h.ns = x.ns;
	return s->fn(&h, s->arg);
}

/* --- Devices ---------------------------------------------------------------------- */

static int tell_device(struct scan *s, int dir_fd, const char *name, void *arg)
{
	char path[TEXT_SIZE], what[TEXT_SIZE] = "", target[TEXT_SIZE];
	struct kv_holder h = { .kind = KVOL_WHY_DEVICE, .what = what, .target = target };

	(void)arg;
	(void)snprintf(target, sizeof(target), "/dev/%.200s", name);
	if (is_own_node(s, target))
		return 0;
	(void)snprintf(path, sizeof(path), "%.200s/dm/name", name);
	if (!read_text(dir_fd, path, what, sizeof(what)))
		what[0] = '\0';
	what[strcspn(what, "\n")] = '\0';
	return s->fn(&h, s->arg);
}

static int look_at_devices(struct scan *s)
{
	const dev_t *devs = s->q->devs;
	char path[64];
	int r = 0;

	for (size_t i = 0; r == 0 && i < KV_HOLDERS_DEVS; i++) {
		(void)snprintf(path, sizeof(path), "dev/block/%u:%u/holders",
			       major(devs[i]), minor(devs[i]));
		if (devs[i])
			r = each_entry(s->sys_fd, path, false, tell_device, s, NULL);
	}
	return r;
}

static int scan_all(struct scan *s)
{
	_cleanup_close_ int own_fd = open_pid(s->proc_fd, "thread-self");
	int r;

	if (own_fd < 0 || !ns_of(own_fd, &s->own_ns))
		return -EOPNOTSUPP;
	for (int i = 0; i < KV_HOLDERS_DEVS; i++)
		if (s->q->devs[i])
			(void)snprintf(s->node[i], sizeof(s->node[i]), "/dev/dm-%u",
				       minor(s->q->devs[i]));
	r = each_entry(s->proc_fd, ".", true, look_for_mounts, s, NULL);
	if (r == 0)
		r = look_at_devices(s);
	if (r == 0)
		r = each_entry(s->proc_fd, ".", true, look_at_process, s, NULL);
	return r == 0 && s->more ? -E2BIG : r;
}

int kv_holders_scan(int proc_fd, int sys_fd, const struct kv_holders_query *q,
		    int (*fn)(const struct kv_holder *h, void *arg), void *arg)
{
	struct scan s = {
		.q = q, .fn = fn, .arg = arg, .proc_fd = proc_fd, .sys_fd = sys_fd
	};
	int r = -ENOMEM;

	s.seen = calloc(KV_HOLDERS_MAX, sizeof(*s.seen));
	s.places = calloc(KV_HOLDERS_MAX, sizeof(*s.places));
	if (s.seen && s.places)
		r = scan_all(&s);
	for (size_t i = 0; i < s.n_places; i++)
		free(s.places[i].point);
	free(s.places);
	free(s.seen);
	return r;
}

int kv_holders_each(const struct kv_holders_query *q,
		    int (*fn)(const struct kv_holder *h, void *arg), void *arg)
{
	_cleanup_close_ int proc_fd = -1, sys_fd = -1;

	proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	sys_fd = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc_fd < 0 || sys_fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	return kv_holders_scan(proc_fd, sys_fd, q, fn, arg);
}
