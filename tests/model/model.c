/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model's frame: its memory, its steps, its file descriptors, and what a power cut
 * is.
 *
 * An fd of the model is a real one, of a file in the model's directory, and holds a
 * shared flock on it. A flock belongs to the open file: it goes with the last copy of the
 * fd, in whatever process, so asking for an exclusive one tells whether anybody still has
 * it. Nothing is told by closing.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db.h"
#include "model.h"

#define LABEL_SIZE	4096
#define CATALOGUE_FILES 3

struct model *model;
int (*model_hook)(const char *what, unsigned step);

static const char *const catalogue_files[CATALOGUE_FILES] = {
	"catalogue.db",
	"catalogue.db-wal",
	"catalogue.db-shm",
};

/* The tests cannot go on without what these need. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "model: %s: %s\n", what, strerror(errno));
	abort();
}

/* --- Files of our own
 * ------------------------------------------------------------------------ */

static void remove_all(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *d;
	DIR *dir;

	if (fd < 0) {
		(void)unlinkat(dir_fd, name, 0);
		return;
	}
	dir = fdopendir(fd);
	need(dir, "fdopendir");
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			remove_all(dirfd(dir), d->d_name);
	(void)closedir(dir);
	(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static void path_of(const char *name, char ret[MODEL_PATH])
{
	need(snprintf(ret, MODEL_PATH, "%s/%s", model->dir, name) < MODEL_PATH, "a path");
}

static void make_directory(const char *name)
{
	char path[MODEL_PATH];

	path_of(name, path);
	need(mkdir(path, 0700) == 0, path);
}

/* --- Beginning and end
 * ----------------------------------------------------------------------- */

static void init_mutex(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;

	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	need(pthread_mutex_init(mutex, &attr) == 0, "pthread_mutex_init");
	(void)pthread_mutexattr_destroy(&attr);
}

/* A flush of a memory file system costs nothing. */
static void make_temporary(void)
{
	const char *tmp = getenv("TMPDIR");

	if (access("/dev/shm", W_OK) == 0)
		tmp = "/dev/shm";
	(void)snprintf(model->dir, sizeof(model->dir), "%s/kvol-model-XXXXXX",
		       tmp ? tmp : "/tmp");
	need(mkdtemp(model->dir), model->dir);
}

static void boot(void)
{
	memset(model->devs, 0, sizeof(model->devs));
	memset(model->loops, 0, sizeof(model->loops));
	memset(model->mounts, 0, sizeof(model->mounts));
	memset(model->holds, 0, sizeof(model->holds));
	memset(model->ns, 0, sizeof(model->ns));
	model->ns[0].used = true;
	make_directory("run");
	make_directory("hold");
}

void model_start(void)
{
	char name[16];

	model_end();
	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(model != MAP_FAILED, "mmap");
	init_mutex(&model->mutex);
	make_temporary();
	model->ino = 1000;
	model->deadline_divisor = 1;
	for (int i = 0; i < MODEL_DISKS; i++) {
		(void)snprintf(name, sizeof(name), "disk%d", i);
		make_directory(name);
	}
	boot();
}

void model_end(void)
{
	if (!model)
		return;
	remove_all(AT_FDCWD, model->dir);
	(void)munmap(model, sizeof(*model));
	model = NULL;
	model_hook = NULL;
}

void model_lock(void)
{
	/* Its holder was killed between two statements of ours: tests only die in steps.
	 */
	if (pthread_mutex_lock(&model->mutex) == EOWNERDEAD)
		(void)pthread_mutex_consistent(&model->mutex);
}

void model_unlock(void)
{
	(void)pthread_mutex_unlock(&model->mutex);
}

void model_disaster(const char *fmt, ...)
{
	va_list ap;

	if (model->disaster[0])
		return;
	va_start(ap, fmt);
	(void)vsnprintf(model->disaster, sizeof(model->disaster), fmt, ap);
	va_end(ap);
}

/* --- Steps
 * ----------------------------------------------------------------------------------- */

/* In whole words. */
static bool begins_with(const char *what, const char *words)
{
	size_t n = strlen(words);

	return !strncmp(what, words, n) && (!what[n] || what[n] == ' ');
}

static int carry_out(const char *what)
{
	int error = 0;
	bool die = false;

	model_lock();
	(void)__atomic_add_fetch(&model->steps, 1, __ATOMIC_RELAXED);
	for (struct model_plan *p = model->plans; p < model->plans + MODEL_PLANS; p++) {
		if (!p->used || !begins_with(what, p->what))
			continue;
		if (p->nth > 1) {
			p->nth--;
			continue;
		}
		if (p->nth == 1)
			p->used = false;
		error = p->error;
		die = !error;
		break;
	}
	model_unlock();
	if (die)
		_exit(MODEL_CRASHED);
	return error;
}

int model_step(const char *what)
{
	unsigned step = __atomic_load_n(&model->steps, __ATOMIC_RELAXED);
	int r = model_hook ? model_hook(what, step) : 0;

	return r < 0 ? r : carry_out(what);
}

static void plan(const char *what, unsigned nth, int error)
{
	model_lock();
	for (struct model_plan *p = model->plans; p < model->plans + MODEL_PLANS; p++) {
		if (p->used)
			continue;
		p->used = true;
		p->nth = nth;
		p->error = error;
		need(kv_strcpy(p->what, sizeof(p->what), what), "a step's name");
		model_unlock();
		return;
	}
	need(false, "too many plans");
}

void model_fail(const char *what, unsigned nth, int error)
{
	plan(what, nth, error);
}

void model_crash(const char *what, unsigned nth)
{
	plan(what, nth, 0);
}

void model_forget_plans(void)
{
	model_lock();
	memset(model->plans, 0, sizeof(model->plans));
	model_unlock();
}

int model_in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	(void)fflush(NULL);
	pid = fork();
	need(pid >= 0, "fork");
	if (pid == 0)
		_exit(fn(arg));
	while (waitpid(pid, &status, 0) < 0)
		need(errno == EINTR, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int64_t __wrap_kv_deadline(int64_t timeout_ms)
{
	return __real_kv_deadline(model ? timeout_ms / model->deadline_divisor
					: timeout_ms);
}

int __wrap_kv_db_commit(struct kv_db *db)
{
	int r = model ? model_step("commit") : 0;

	if (r < 0) {
		kv_db_rollback(db);
		return r;
	}
	return __real_kv_db_commit(db);
}

int __wrap_kv_write_file_at(int dirfd, const char *name, const void *data, size_t n)
{
	int r = model ? model_step("record") : 0;

	return r < 0 ? r : __real_kv_write_file_at(dirfd, name, data, n);
}

/* --- File descriptors
 * ------------------------------------------------------------------------ */

int model_hold(const struct model_hold *hold, const char *file, int flags)
{
	struct model_hold *h = model->holds;
	char path[MODEL_PATH];
	struct stat st;
	int fd;

	while (h < model->holds + MODEL_HOLDS && h->used)
		h++;
	need(h < model->holds + MODEL_HOLDS, "too many holds");
	*h = *hold;
	if (file)
		(void)kv_strcpy(h->file, sizeof(h->file), file);
	else
		(void)snprintf(h->file, sizeof(h->file), "hold/%u", ++model->serial);
	path_of(h->file, path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	need(flock(fd, LOCK_SH) == 0 && fstat(fd, &st) == 0, path);
	h->ino = st.st_ino;
	h->used = true;
	return fd;
}

struct model_hold *model_hold_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	for (struct model_hold *h = model->holds; h < model->holds + MODEL_HOLDS; h++)
		if (h->used && h->ino == st.st_ino)
			return h;
	return NULL;
}

static bool is_held(const struct model_hold *h)
{
	_cleanup_close_ int fd = -1;
	char path[MODEL_PATH];

	path_of(h->file, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	need(fd >= 0, path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		need(errno == EWOULDBLOCK, path);
		return true;
	}
	return false;
}

bool model_mount_held(int mount)
{
	for (struct model_hold *h = model->holds; h < model->holds + MODEL_HOLDS; h++)
		if (h->used && h->kind == MODEL_HOLD_MOUNT && h->mount == mount)
			return true;
	return false;
}

static void sweep_holds(void)
{
	char path[MODEL_PATH];

	for (struct model_hold *h = model->holds; h < model->holds + MODEL_HOLDS; h++) {
		if (!h->used || is_held(h))
			continue;
		path_of(h->file, path);
		if (!strncmp(h->file, "hold/", 5))
			(void)unlink(path);
		h->used = false;
	}
}

void model_sweep(void)
{
	bool again = true;

	sweep_holds();
	for (int i = 0; i < MODEL_MOUNTS; i++)
		if (model->mounts[i].used && model->mounts[i].ns < 0 &&
		    !model_mount_held(i))
			model->mounts[i].used = false;
	while (again) {
		again = false;
		for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS;
		     d++) {
			if (d->used && d->deferred &&
			    !model_openers(model_dev_number(d))) {
				d->used = false;
				again = true;
			}
		}
	}
	for (unsigned i = 0; i < MODEL_LOOPS; i++) /* autoclear */
		if (model->loops[i].used && !model_openers(makedev(MODEL_LOOP_MAJOR, i)))
			model->loops[i].used = false;
}

/* --- Disks and power cuts
 * -------------------------------------------------------------------- */

struct saved_file {
	char *data;
	size_t size; /* 0: not there */
};

struct model_saved {
	struct model_disk disks[MODEL_DISKS];
	struct saved_file catalogue[MODEL_DISKS][CATALOGUE_FILES];
};

static void catalogue_file(int disk, const char *name, char ret[MODEL_PATH])
{
	need(snprintf(ret, MODEL_PATH, "%s/disk%d/%s", model->dir, disk, name) <
		     MODEL_PATH,
	     "a path");
}

static void read_file(const char *path, struct saved_file *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	ret->size = 0;
	ret->data = NULL;
	if (fd < 0)
		return;
	need(fstat(fd, &st) == 0, path);
	ret->size = (size_t)st.st_size;
	ret->data = malloc(ret->size + 1);
	need(ret->data && kv_pread_full(fd, ret->data, ret->size, 0) == 0, path);
}

static void write_file(const char *path, const struct saved_file *file)
{
	_cleanup_close_ int fd = -1;

	(void)unlink(path);
	if (!file->data)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	need(fd >= 0 && kv_pwrite_full(fd, file->data, file->size, 0) == 0, path);
}

struct model_saved *model_save(void)
{
	struct model_saved *saved = calloc(1, sizeof(*saved));
	char path[MODEL_PATH];

	need(saved, "calloc");
	memcpy(saved->disks, model->disks, sizeof(saved->disks));
	for (int i = 0; i < MODEL_DISKS; i++) {
		for (int j = 0; j < CATALOGUE_FILES; j++) {
			catalogue_file(i, catalogue_files[j], path);
			read_file(path, &saved->catalogue[i][j]);
		}
	}
	return saved;
}

void model_restore(const struct model_saved *saved)
{
	char path[MODEL_PATH];

	memcpy(model->disks, saved->disks, sizeof(saved->disks));
	for (int i = 0; i < MODEL_DISKS; i++) {
		for (int j = 0; j < CATALOGUE_FILES; j++) {
			catalogue_file(i, catalogue_files[j], path);
			write_file(path, &saved->catalogue[i][j]);
		}
	}
}

void model_saved_free(struct model_saved *saved)
{
	for (int i = 0; saved && i < MODEL_DISKS; i++)
		for (int j = 0; j < CATALOGUE_FILES; j++)
			free(saved->catalogue[i][j].data);
	free(saved);
}

void model_power_cut(void)
{
	char path[MODEL_PATH];

	path_of("run", path);
	remove_all(AT_FDCWD, path);
	path_of("hold", path);
	remove_all(AT_FDCWD, path);
	boot();
}

/* Its file was removed, or is another one by now. */
static bool is_gone(const struct model_disk *d)
{
	struct stat st;

	return stat(d->path, &st) < 0 || st.st_dev != d->file_dev ||
	       st.st_ino != d->file_ino;
}

static struct model_disk *disk_of(const struct stat *st, const char *path)
{
	struct model_disk *free_one = NULL;

	for (struct model_disk *d = model->disks; d < model->disks + MODEL_DISKS; d++) {
		if (d->used && d->file_dev == st->st_dev && d->file_ino == st->st_ino)
			return d;
		if (!d->used || (!free_one && is_gone(d)))
			free_one = d;
	}
	need(free_one, "too many disks");
	*free_one = (struct model_disk){
		.used = true,
		.file_dev = st->st_dev,
		.file_ino = st->st_ino,
	};
	need(kv_strcpy(free_one->path, sizeof(free_one->path), path), "a path");
	return free_one;
}

struct model_disk *model_disk_by_fd(int fd)
{
	char link[64], path[MODEL_PATH];
	struct stat st;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	need(n > 0 && fstat(fd, &st) == 0, link);
	path[n] = '\0';
	return disk_of(&st, path);
}

struct model_disk *model_disk(const char *path)
{
	struct stat st;

	need(stat(path, &st) == 0, path);
	return disk_of(&st, path);
}

void model_catalogue_path(const char *disk_path, char ret[MODEL_PATH])
{
	catalogue_file((int)(model_disk(disk_path) - model->disks), catalogue_files[0],
		       ret);
}

void model_disk_copy(const char *from, const char *to)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct model_disk *a, *b, identity;
	struct saved_file file;
	char label[LABEL_SIZE], path[MODEL_PATH];
	struct stat st;

	need(in >= 0 && out >= 0 && fstat(in, &st) == 0 &&
		     ftruncate(out, st.st_size) == 0 &&
		     kv_pread_full(in, label, sizeof(label), 0) == 0 &&
		     kv_pwrite_full(out, label, sizeof(label), 0) == 0,
	     to);
	a = model_disk(from);
	b = model_disk(to);
	identity = *b;
	*b = *a;
	b->file_dev = identity.file_dev;
	b->file_ino = identity.file_ino;
	for (int j = 0; j < CATALOGUE_FILES; j++) {
		catalogue_file((int)(a - model->disks), catalogue_files[j], path);
		read_file(path, &file);
		catalogue_file((int)(b - model->disks), catalogue_files[j], path);
		write_file(path, &file);
		free(file.data);
	}
}
