// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Records of publishes: RUN/publish/VOLUME/HASH, a file for each, where HASH spreads
 * namespace and target. What is mounted is always asked of the kernel; a record says what
 * was asked for (so that a repeat can be told from a change) and where to look.
 *
 * A record is written before the mount is moved into place and removed after it is gone,
 * so a crash leaves at worst a record without a mount: whoever meets it sees that nothing
 * stands there. The directory lives under /run, and with it everything here ends with the
 * boot, as mounts do.
 *
 * Callers hold the volume's lock. A file's contents are NUL-terminated fields in a fixed
 * order, with its labels behind them; one that does not parse tells only that the volume
 * was published somewhere, and is reported as that.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "publication.h"

#define FORMAT	    "2"
#define RECORD_SIZE (2 * PATH_MAX + 2 * KV_IDMAP_SIZE + 1024 + KV_PUBLICATION_LABELS)
#define DIR_SIZE    64

static void directory_of(uint32_t volume, char ret[DIR_SIZE])
{
	snprintf(ret, DIR_SIZE, "publish/%" PRIu32, volume);
}

static void key_of(const struct kv_ns *ns, const char *target,
		   char ret[KV_PUBLICATION_KEY])
{
	uint64_t id[2] = { ns->dev, ns->ino };
	uint64_t hash = kv_hash64(target, strlen(target), kv_hash64(id, sizeof(id), 0));

	snprintf(ret, KV_PUBLICATION_KEY, "%016" PRIx64, hash);
}

/* The volume's directory, made if make says so. */
static int open_directory(int dir_fd, uint32_t volume, bool make)
{
	char path[DIR_SIZE];
	int fd;

	directory_of(volume, path);
	fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 || errno != ENOENT || !make)
		return fd < 0 ? -errno : fd;
	if (mkdirat(dir_fd, "publish", 0700) < 0 && errno != EEXIST)
		return -errno;
	if (mkdirat(dir_fd, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int kv_publication_write(int dir_fd, const struct kv_publication *p)
{
	_cleanup_free_ char *record = malloc(RECORD_SIZE);
	_cleanup_close_ int fd = -1;
	char key[KV_PUBLICATION_KEY];
	int n;

	if (!record)
		return -ENOMEM;
	fd = open_directory(dir_fd, p->volume, true);
	if (fd < 0)
		return fd;
	n = snprintf(record, RECORD_SIZE,
		     FORMAT "%c%" PRIu32 "%c%" PRIu64 "%c%" PRIu64 "%c%" PRIu64
			    "%c%" PRIu64 "%c%" PRIu64 "%c%" PRIu32 "%c%" PRIu32 "%c%" PRIu32
			    "%c%" PRIu64 "%c%" PRIu64 "%c%s%c%s%c%s%c%s%c%s",
		     0, p->flags, 0, (uint64_t)p->ns.dev, 0, (uint64_t)p->ns.ino, 0,
		     p->mnt_id, 0, (uint64_t)p->dev, 0, p->attr, 0, p->access, 0,
		     p->propagation, 0, p->group, 0, (uint64_t)p->user_ns.dev, 0,
		     (uint64_t)p->user_ns.ino, 0, p->uid_map, 0, p->gid_map, 0, p->super,
		     0, p->ns_path, 0, p->target);
	if (n < 0 || (size_t)n + 1 + p->labels_size > RECORD_SIZE)
		return -ENAMETOOLONG;
	memcpy(record + n + 1, p->labels, p->labels_size);
	key_of(&p->ns, p->target, key);
	return kv_write_file_at(fd, key, record, (size_t)n + 1 + p->labels_size);
}

/* Fields of a record, one after the other. */
struct fields {
	const char *at, *end;
};

static const char *next_field(struct fields *f)
{
	const char *field = f->at, *nul;

	if (!field || field >= f->end)
		return NULL;
	nul = memchr(field, 0, (size_t)(f->end - field));
	if (!nul)
		return NULL;
	f->at = nul + 1;
	return field;
}

static bool next_number(struct fields *f, uint64_t *ret)
{
	const char *field = next_field(f);
	char *end;

	if (!field || field[0] < '0' || field[0] > '9')
		return false;
	errno = 0;
	*ret = strtoull(field, &end, 10);
	return *end == 0 && errno == 0;
}

static bool next_string(struct fields *f, char *ret, size_t size)
{
	const char *field = next_field(f);

	return field && kv_strcpy(ret, size, field);
}

/* All that is left: valid labels, or none. */
static int rest_is_labels(struct fields *f, struct kv_publication *ret)
{
	struct kv_labels set = { .size = (size_t)(f->end - f->at) };
	int r;

	if (set.size > sizeof(ret->labels))
		return -EUCLEAN;
	ret->labels_size = (uint32_t)set.size;
	memcpy(ret->labels, f->at, set.size);
	set.text = ret->labels;
	r = kv_labels_finish(&set);
	free(set.of);
	return r;
}

static int parse(const char *record, size_t n, uint32_t volume,
		 struct kv_publication *ret)
{
	struct fields f = { record, record + n };
	uint64_t flags, ns_dev, ns_ino, dev, access, propagation, group, user_dev, user_ino;
	char format[8];
	int r;

	if (!next_string(&f, format, sizeof(format)) || strcmp(format, FORMAT) ||
	    !next_number(&f, &flags) || flags > UINT32_MAX || !next_number(&f, &ns_dev) ||
	    !next_number(&f, &ns_ino) || !next_number(&f, &ret->mnt_id) ||
	    !next_number(&f, &dev) || !next_number(&f, &ret->attr) ||
	    !next_number(&f, &access) || access > UINT32_MAX ||
	    !next_number(&f, &propagation) || propagation > UINT32_MAX ||
	    !next_number(&f, &group) || group > UINT32_MAX ||
	    !next_number(&f, &user_dev) || !next_number(&f, &user_ino) ||
	    !next_string(&f, ret->uid_map, sizeof(ret->uid_map)) ||
	    !next_string(&f, ret->gid_map, sizeof(ret->gid_map)) ||
	    !next_string(&f, ret->super, sizeof(ret->super)) ||
	    !next_string(&f, ret->ns_path, sizeof(ret->ns_path)) ||
	    !next_string(&f, ret->target, sizeof(ret->target)))
		return -EUCLEAN;
	r = rest_is_labels(&f, ret);
	if (r < 0)
		return r;
	ret->volume = volume;
	ret->damaged[0] = '\0';
	ret->flags = (uint32_t)flags;
	ret->access = (uint32_t)access;
	ret->propagation = (uint32_t)propagation;
	ret->group = (uint32_t)group;
	ret->user_ns.dev = (dev_t)user_dev;
	ret->user_ns.ino = (ino_t)user_ino;
	ret->ns.dev = (dev_t)ns_dev;
	ret->ns.ino = (ino_t)ns_ino;
	ret->dev = (dev_t)dev;
	return 0;
}

static int read_record(int fd, const char *key, uint32_t volume,
		       struct kv_publication *ret)
{
	_cleanup_free_ char *record = malloc(RECORD_SIZE);
	_cleanup_close_ int file = -1;
	struct stat st;
	int r;

	if (!record)
		return -ENOMEM;
	file = openat(fd, key,
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (file < 0 && errno == ELOOP)
		return -EUCLEAN;
	if (file < 0 || fstat(file, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > RECORD_SIZE)
		return -EUCLEAN;
	r = kv_pread_full(file, record, (size_t)st.st_size, 0);
	return r < 0 ? r : parse(record, (size_t)st.st_size, volume, ret);
}

int kv_publication_read(int dir_fd, uint32_t volume, const struct kv_ns *ns,
			const char *target, struct kv_publication *ret)
{
	_cleanup_free_ struct kv_publication *p = malloc(sizeof(*p));
	_cleanup_close_ int fd = open_directory(dir_fd, volume, false);
	char key[KV_PUBLICATION_KEY];
	int r;

	if (fd < 0)
		return fd;
	if (!p)
		return -ENOMEM;
	key_of(ns, target, key);
	r = read_record(fd, key, volume, p);
	if (r < 0)
		return r;
	if (p->ns.dev != ns->dev || p->ns.ino != ns->ino || strcmp(p->target, target))
		return -EUCLEAN;
	*ret = *p;
	return 0;
}

int kv_publication_remove(int dir_fd, const struct kv_publication *p)
{
	_cleanup_close_ int fd = open_directory(dir_fd, p->volume, false);
	char key[KV_PUBLICATION_KEY], dir[DIR_SIZE];

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (p->damaged[0])
		(void)kv_strcpy(key, sizeof(key), p->damaged);
	else
		key_of(&p->ns, p->target, key);
	if (unlinkat(fd, key, 0) < 0 && errno != ENOENT)
		return -errno;
	directory_of(p->volume, dir);
	/* Stays, with ENOTEMPTY, while there are others. */
	if (unlinkat(dir_fd, dir, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
	    errno != EEXIST && errno != ENOENT)
		return -errno;
	return 0;
}

static bool is_key(const char *name)
{
	return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

/* As read_record, only that a damaged one is an answer, too. One in another's place is
 * damaged: nobody would find it there. */
static int read_any(int fd, const char *key, uint32_t volume, struct kv_publication *ret)
{
	char own[KV_PUBLICATION_KEY];
	int r = read_record(fd, key, volume, ret);

	if (r == 0) {
		key_of(&ret->ns, ret->target, own);
		r = strcmp(own, key) ? -EUCLEAN : 0;
	}
	if (r != -EUCLEAN)
		return r;
	*ret = (struct kv_publication){ .volume = volume };
	(void)kv_strcpy(ret->damaged, sizeof(ret->damaged), key);
	return 0;
}

struct each {
	int fd; /* of the volume's records */
	uint32_t volume;
	struct kv_publication *p;
	int (*fn)(const struct kv_publication *p, void *arg);
	void *arg;
};

static int each_record(const char *key, void *arg)
{
	const struct each *each = arg;
	int r;

	if (!is_key(key))
		return 0;
	r = read_any(each->fd, key, each->volume, each->p);
	if (r == -ENOENT) /* gone since: a reader without the volume's lock */
		return 0;
	return r < 0 ? r : each->fn(each->p, each->arg);
}

int kv_publication_each(int dir_fd, uint32_t volume,
			int (*fn)(const struct kv_publication *p, void *arg), void *arg)
{
	_cleanup_free_ struct kv_publication *p = malloc(sizeof(*p));
	_cleanup_close_ int fd = open_directory(dir_fd, volume, false);
	struct each each = { fd, volume, p, fn, arg };

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return p ? kv_dir_each(fd, each_record, &each) : -ENOMEM;
}

/* A directory's name, as directory_of() has it. */
static bool is_volume(const char *name, uint32_t *ret)
{
	char again[DIR_SIZE];
	uint64_t n = 0;

	for (const char *c = name; *c; c++) {
		if (*c < '0' || *c > '9' || n > UINT32_MAX / 10)
			return false;
		n = n * 10 + (uint64_t)(*c - '0');
	}
	*ret = (uint32_t)n;
	(void)snprintf(again, sizeof(again), "%" PRIu32, *ret);
	return n <= UINT32_MAX && !strcmp(again, name);
}

struct volumes {
	int (*fn)(uint32_t volume, void *arg);
	void *arg;
};

static int each_volume(const char *name, void *arg)
{
	const struct volumes *volumes = arg;
	uint32_t volume;

	return is_volume(name, &volume) ? volumes->fn(volume, volumes->arg) : 0;
}

int kv_publication_volumes(int dir_fd, int (*fn)(uint32_t volume, void *arg), void *arg)
{
	_cleanup_close_ int fd = openat(dir_fd, "publish",
					O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct volumes volumes = { fn, arg };

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return kv_dir_each(fd, each_volume, &volumes);
}

static int count_volume(uint32_t volume, void *arg)
{
	(void)volume;
	++*(uint64_t *)arg;
	return 0;
}

/* A tmpfs, which /run is, knows how many directories are in one; nobody else makes any in
 * here. */
int kv_publication_count_volumes(int dir_fd, uint64_t *ret)
{
	_cleanup_close_ int fd = openat(dir_fd, "publish",
					O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct statfs fs;
	struct stat st;

	*ret = 0;
	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
	    fstat(fd, &st) == 0 && st.st_nlink >= 2) {
		*ret = st.st_nlink - 2;
		return 0;
	}
	return kv_publication_volumes(dir_fd, count_volume, ret);
}

static int count_one(const struct kv_publication *p, void *arg)
{
	(void)p;
	++*(int *)arg;
	return 0;
}

int kv_publication_count(int dir_fd, uint32_t volume)
{
	int n = 0, r;

	r = kv_publication_each(dir_fd, volume, count_one, &n);
	return r < 0 ? r : n;
}
