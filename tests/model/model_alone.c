/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A machine with one process on it at a time, which never forks: see model_start_alone().
 *
 * File descriptors of the model need no flock here, since every close of this program
 * comes by; so sweeping costs nothing while nothing was closed. Dying costs nothing
 * either: a process whose steps have no effect any more is as good as dead, and its error
 * paths give back what the kernel would take. For this every change that the library
 * makes must pass a step, the run directory's files and a file that was made included.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "db.h"
#include "model.h"

#define MAX_FD	   4096
#define ALONE_TIME 1000000000
#define BOOT_MS	   1000

bool model_alone, model_dead, model_stale;
int (*model_waiting)(void);

static uint64_t random_state = 1;
static int64_t clock_ms = BOOT_MS;
static int base_fd = -1;
static short hold_at[MAX_FD]; /* 1 + index of the hold that the fd is */

void model_start_alone(void)
{
	model_start();
	model_alone = true;
	model_dead = false;
	model_waiting = NULL;
	model_seed(1);
	model_alone_boot();
}

/* Nobody has anything open. */
void model_alone_boot(void)
{
	char path[MODEL_PATH];

	memset(hold_at, 0, sizeof(hold_at));
	clock_ms = BOOT_MS;
	model_stale = true;
	if (base_fd >= 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/base", model->dir);
	base_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (base_fd < 0)
		abort();
}

void model_alone_end(void)
{
	if (base_fd >= 0)
		(void)__real_close(base_fd);
	base_fd = -1;
	model_catalogue_end();
	model_alone = model_dead = false;
}

/* --- Chance ----------------------------------------------------------------------- */

void model_seed(uint64_t seed)
{
	/* Mixed first: of two seeds neither's numbers are a part of the other's. */
	random_state = seed;
	random_state = model_random();
}

/* splitmix64 */
uint64_t model_random(void)
{
	uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags)
{
	unsigned char *p = buf;

	if (!model_alone)
		return __real_getrandom(buf, n, flags);
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(model_random() >> 24);
	return (ssize_t)n;
}

/* A constant: states are compared. */
time_t __wrap_time(time_t *ret)
{
	if (!model_alone)
		return __real_time(ret);
	if (ret)
		*ret = ALONE_TIME;
	return ALONE_TIME;
}

/* --- File descriptors ------------------------------------------------------------- */

int model_alone_open(struct model_hold *hold, const char *path, int flags)
{
	int fd;

	if (path)
		fd = open(path, flags | O_CLOEXEC, 0600);
	else
		fd = fcntl(base_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	if (fd >= MAX_FD)
		abort();
	hold->fd = fd;
	hold_at[fd] = (short)(hold - model->holds + 1);
	return fd;
}

struct model_hold *model_alone_hold_of(int fd)
{
	return fd >= 0 && fd < MAX_FD && hold_at[fd] ? &model->holds[hold_at[fd] - 1]
						     : NULL;
}

int __wrap_close(int fd)
{
	struct model_hold *hold = model_alone ? model_alone_hold_of(fd) : NULL;

	if (hold) {
		hold->used = false;
		hold_at[fd] = 0;
		model_stale = true;
	}
	return __real_close(fd);
}

int model_catalogue_disk(int fd)
{
	struct model_hold *hold = model_alone_hold_of(fd);
	struct model_disk *disk;
	char link[64], path[MODEL_PATH];
	ssize_t n;
	int i;

	if (hold) {
		disk = model_disk_under(hold->dev, NULL);
		return disk ? (int)(disk - model->disks) : -1;
	}
	/* A test's own look at the catalogue. */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -1;
	path[n] = '\0';
	return sscanf(strrchr(path, '/'), "/disk%d", &i) == 1 ? i : -1;
}

/* --- Changes and waits that the library makes without an adapter ------------------ */

static int refused(int r)
{
	errno = -r;
	return -1;
}

int __wrap_ftruncate(int fd, off_t size)
{
	int r = model ? model_step("file size") : 0;

	return r < 0 ? refused(r) : __real_ftruncate(fd, size);
}

int __wrap_unlink(const char *path)
{
	int r = model ? model_step("file remove") : 0;

	return r < 0 ? refused(r) : __real_unlink(path);
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	int r = model ? model_step("run remove") : 0;

	return r < 0 ? refused(r) : __real_unlinkat(dirfd, path, flags);
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	int r = model ? model_step("run directory") : 0;

	return r < 0 ? refused(r) : __real_mkdirat(dirfd, path, mode);
}

int __wrap_kv_write_file_at(int dirfd, const char *name, const void *data, size_t n)
{
	int r = model ? model_step("record") : 0;

	return r < 0 ? r : __real_kv_write_file_at(dirfd, name, data, n);
}

/* The words of `unfinished`. */
int __wrap_kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset)
{
	int r = model_alone ? model_step("run write") : 0;

	return r < 0 ? r : __real_kv_pwrite_full(fd, buf, n, offset);
}

static void sync_hold(const struct model_hold *hold)
{
	struct model_disk *disk;
	struct model_thin *thin;

	if (hold->kind == MODEL_HOLD_MOUNT) {
		thin = model_thin_under(model->mounts[hold->mount].dev);
		if (thin)
			thin->flushed = thin->content;
		return;
	}
	disk = model_disk_under(hold->dev, NULL);
	if (disk && model_alone)
		model_catalogue_sync((int)(disk - model->disks));
}

int __wrap_syncfs(int fd)
{
	struct model_hold *hold;
	int r = model ? model_step("fs sync") : 0;

	if (r < 0)
		return refused(r);
	if (!model)
		return __real_syncfs(fd);
	model_lock();
	hold = model_hold_of(fd);
	if (hold)
		sync_hold(hold);
	model_unlock();
	return 0;
}

/* --- Time: a millisecond for each wait, and none for the dead --------------------- */

int64_t __wrap_kv_now_ms(void)
{
	return model_alone ? clock_ms : __real_kv_now_ms();
}

int64_t __wrap_kv_deadline(int64_t timeout_ms)
{
	if (model)
		timeout_ms /= model->deadline_divisor;
	if (model_alone)
		return clock_ms + timeout_ms;
	return __real_kv_deadline(timeout_ms);
}

bool __wrap_kv_expired(int64_t deadline_ms)
{
	if (!model_alone)
		return __real_kv_expired(deadline_ms);
	return model_dead || clock_ms >= deadline_ms;
}

int __wrap_kv_backoff(unsigned *step, int64_t deadline_ms)
{
	if (!model_alone)
		return __real_kv_backoff(step, deadline_ms);
	if (model_dead || clock_ms >= deadline_ms)
		return -ETIMEDOUT;
	if (!model_waiting || model_waiting() < 0) {
		clock_ms = deadline_ms;
		return -ETIMEDOUT;
	}
	clock_ms++;
	return 0;
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
