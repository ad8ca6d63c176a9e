/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The model's frame: its memory, its steps and its file descriptors.
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
#include <time.h>
#include <unistd.h>

#include "db.h"
#include "model.h"

struct model *model;
int (*model_hook)(const char *what, unsigned step);

/* The tests cannot go on without what these need. */
void model_need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "model: %s: %s\n", what, strerror(errno));
	abort();
}

/* --- Files of our own ------------------------------------------------------------- */

static void remove_all(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent *d;
	DIR *dir;

	if (fd < 0) {
		(void)__real_unlinkat(dir_fd, name, 0);
		return;
	}
	dir = fdopendir(fd);
	model_need(dir, "fdopendir");
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			remove_all(dirfd(dir), d->d_name);
	(void)closedir(dir);
	(void)__real_unlinkat(dir_fd, name, AT_REMOVEDIR);
}

void model_remove_all(const char *path)
{
	remove_all(AT_FDCWD, path);
}

static void path_of(const char *name, char ret[MODEL_PATH])
{
	model_need(snprintf(ret, MODEL_PATH, "%s/%s", model->dir, name) < MODEL_PATH,
		   "a path");
}

static void make_directory(const char *name)
{
	char path[MODEL_PATH];

	path_of(name, path);
	model_need(mkdir(path, 0700) == 0, path);
}

/* --- Beginning and end ------------------------------------------------------------ */

static void init_mutex(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;

	(void)pthread_mutexattr_init(&attr);
	(void)pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	model_need(pthread_mutex_init(mutex, &attr) == 0, "pthread_mutex_init");
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
	model_need(mkdtemp(model->dir), model->dir);
}

void model_boot(void)
{
	memset(model->devs, 0, sizeof(model->devs));
	memset(model->keys, 0, sizeof(model->keys));
	memset(model->loops, 0, sizeof(model->loops));
	memset(model->mounts, 0, sizeof(model->mounts));
	memset(model->holds, 0, sizeof(model->holds));
	memset(model->ns, 0, sizeof(model->ns));
	model->ns[0].used = true;
	make_directory("run");
	make_directory("hold");
	if (model_alone)
		model_alone_boot();
}

void model_start(void)
{
	char name[16];

	model_end();
	model_vfs_register();
	model = mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	model_need(model != MAP_FAILED, "mmap");
	init_mutex(&model->mutex);
	make_temporary();
	model->ino = 1000;
	model->deadline_divisor = 1;
	for (int i = 0; i < MODEL_DISKS; i++) {
		(void)snprintf(name, sizeof(name), "disk%d", i);
		make_directory(name);
	}
	model_boot();
}

void model_end(void)
{
	if (!model)
		return;
	if (model_alone)
		model_alone_end();
	remove_all(AT_FDCWD, model->dir);
	(void)munmap(model, sizeof(*model));
	model = NULL;
	model_hook = NULL;
}

/* Asks again and again: where processes with threads are killed, a thread that dies
 * between being woken and taking the lock takes the wake-up with it, and who waits asleep
 * behind it waits for ever. Futexes are like that, robust ones as well. */
void model_lock(void)
{
	const struct timespec moment = { .tv_nsec = 50000 };
	int r;

	while ((r = pthread_mutex_trylock(&model->mutex)) == EBUSY)
		(void)nanosleep(&moment, NULL);
	/* Its holder was killed between two statements of ours: tests only die in steps.
	 */
	if (r == EOWNERDEAD)
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

/* --- Steps ------------------------------------------------------------------------ */

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
	if (die && !model_alone)
		_exit(MODEL_CRASHED);
	if (die) {
		model_dead = true;
		error = -EIO;
	}
	return error;
}

int model_step(const char *what)
{
	int r;

	if (model_dead)
		return -EIO;
	r = model_hook
		    ? model_hook(what, __atomic_load_n(&model->steps, __ATOMIC_RELAXED))
		    : 0;
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
		model_need(kv_strcpy(p->what, sizeof(p->what), what), "a step's name");
		model_unlock();
		return;
	}
	model_need(false, "too many plans");
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
	model_need(pid >= 0, "fork");
	if (pid == 0)
		_exit(fn(arg));
	while (waitpid(pid, &status, 0) < 0)
		model_need(errno == EINTR, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- File descriptors ------------------------------------------------------------- */

/* Whether a named file is open its lock tells, for all that have it open together: they
 * are one hold, or the holds of the closed would stay as long as there is anybody. */
static struct model_hold *free_hold(const struct model_hold *hold, const char *file)
{
	struct model_hold *end = model->holds + MODEL_HOLDS, *h;

	for (h = model->holds; file && !model_alone && h < end; h++)
		if (h->used && h->kind == hold->kind && h->dev == hold->dev &&
		    !strcmp(h->file, file))
			return h;
	for (h = model->holds; h < end && h->used; h++)
		;
	return h;
}

int model_hold(const struct model_hold *hold, const char *file, int flags)
{
	struct model_hold *h;
	char path[MODEL_PATH];
	struct stat st;
	bool again;
	int fd;

	h = free_hold(hold, file);
	model_need(h < model->holds + MODEL_HOLDS, "too many holds");
	again = h->used;
	if (!again)
		*h = *hold;
	if (model_alone) {
		h->file[0] = '\0';
		if (file && kv_strcpy(h->file, sizeof(h->file), file))
			path_of(file, path);
		fd = model_alone_open(h, file ? path : NULL, flags);
		h->used = fd >= 0;
		return fd;
	}
	if (file && !again)
		(void)kv_strcpy(h->file, sizeof(h->file), file);
	else if (!file)
		(void)snprintf(h->file, sizeof(h->file), "hold/%u", ++model->serial);
	path_of(h->file, path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	h->used = again;
	if (fd < 0)
		return -errno;
	model_need(flock(fd, LOCK_SH) == 0 && fstat(fd, &st) == 0, path);
	h->ino = st.st_ino;
	h->used = true;
	return fd;
}

struct model_hold *model_hold_of(int fd)
{
	struct stat st;

	if (model_alone)
		return model_alone_hold_of(fd);
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
	model_need(fd >= 0, path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		model_need(errno == EWOULDBLOCK, path);
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
			(void)__real_unlink(path);
		h->used = false;
	}
}

void model_sweep(void)
{
	bool again = true;

	if (model_alone && !model_stale)
		return;
	model_stale = false;
	if (!model_alone)
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
