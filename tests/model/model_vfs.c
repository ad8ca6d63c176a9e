/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A VFS of SQLite for the catalogue's files in memory. It takes the name "unix" before
 * the library asks for it, and leaves everything to the real one on a machine that is not
 * alone.
 *
 * Every write, truncation, sync and removal is a step. Locks and the shared memory of the
 * WAL index belong to the connections and go with them.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_catalogue.h"

#define NAME "catalogue.db"

static const char *const suffixes[MODEL_N_KINDS] = { "", "-wal", "-journal" };

static sqlite3_vfs *real;

struct connection {
	sqlite3_file base;
	struct model_catalogue *cat;
	struct model_cached_file *file;
	enum model_cached_kind kind;
	int lock;
	int persist_wal;
	bool shm;
	unsigned shm_shared, shm_exclusive;
};

/* --- SQLite's files --------------------------------------------------------------- */

static int xclose(sqlite3_file *file)
{
	(void)file; /* SQLite has unlocked by now */
	return SQLITE_OK;
}

static int xread(sqlite3_file *file, void *buf, int n, sqlite3_int64 at)
{
	const struct model_cached_file *f = ((struct connection *)file)->file;
	size_t there = (size_t)at < f->size ? f->size - (size_t)at : 0;

	if (there >= (size_t)n) {
		memcpy(buf, f->data + at, (size_t)n);
		return SQLITE_OK;
	}
	if (there)
		memcpy(buf, f->data + at, there);
	memset((char *)buf + there, 0, (size_t)n - there);
	return SQLITE_IOERR_SHORT_READ;
}

static int step(const char *what, int rc)
{
	int r = model_step(what);

	if (r == -ENOSPC)
		return SQLITE_FULL;
	return r < 0 ? rc : SQLITE_OK;
}

static int xwrite(sqlite3_file *file, const void *buf, int n, sqlite3_int64 at)
{
	struct connection *c = (struct connection *)file;
	int rc = step("catalogue write", SQLITE_IOERR_WRITE);

	if (rc == SQLITE_OK)
		model_file_write(c->file, buf, (size_t)n, (size_t)at);
	return rc;
}

static int xtruncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct connection *c = (struct connection *)file;
	int rc = step("catalogue truncate", SQLITE_IOERR_TRUNCATE);

	if (rc == SQLITE_OK)
		model_file_truncate(c->file, (size_t)size);
	return rc;
}

static int xsync(sqlite3_file *file, int flags)
{
	struct connection *c = (struct connection *)file;
	int rc = step("catalogue sync", SQLITE_IOERR_FSYNC);

	(void)flags;
	if (rc == SQLITE_OK)
		model_file_sync(c->file);
	return rc;
}

static int xfilesize(sqlite3_file *file, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)((struct connection *)file)->file->size;
	return SQLITE_OK;
}

static int xlock(sqlite3_file *file, int level)
{
	struct connection *c = (struct connection *)file;
	struct model_catalogue *cat = c->cat;

	if (level <= c->lock)
		return SQLITE_OK;
	if (level == SQLITE_LOCK_SHARED) {
		if (cat->pending || cat->exclusive)
			return SQLITE_BUSY;
		cat->shared++;
	} else if (level == SQLITE_LOCK_RESERVED) {
		if (cat->reserved)
			return SQLITE_BUSY;
		cat->reserved = true;
	} else {
		if (cat->reserved && c->lock < SQLITE_LOCK_RESERVED)
			return SQLITE_BUSY;
		cat->reserved = cat->pending = true;
		c->lock = SQLITE_LOCK_PENDING;
		if (cat->shared > 1)
			return SQLITE_BUSY;
		cat->exclusive = true;
	}
	c->lock = level;
	return SQLITE_OK;
}

static int xunlock(sqlite3_file *file, int level)
{
	struct connection *c = (struct connection *)file;
	struct model_catalogue *cat = c->cat;

	if (level >= c->lock)
		return SQLITE_OK;
	if (c->lock >= SQLITE_LOCK_RESERVED)
		cat->reserved = cat->pending = cat->exclusive = false;
	if (level == SQLITE_LOCK_NONE)
		cat->shared--;
	c->lock = level;
	return SQLITE_OK;
}

static int xcheckreserved(sqlite3_file *file, int *ret)
{
	*ret = ((struct connection *)file)->cat->reserved;
	return SQLITE_OK;
}

static int xcontrol(sqlite3_file *file, int op, void *arg)
{
	struct connection *c = (struct connection *)file;
	int *value = arg;

	if (op != SQLITE_FCNTL_PERSIST_WAL)
		return SQLITE_NOTFOUND;
	if (*value < 0)
		*value = c->persist_wal;
	else
		c->persist_wal = *value;
	return SQLITE_OK;
}

static int xsectorsize(sqlite3_file *file)
{
	(void)file;
	return 4096;
}

static int xcharacteristics(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as the real one says */
}

/* --- The WAL index ---------------------------------------------------------------- */

static int xshmmap(sqlite3_file *file, int region, int size, int extend,
		   void volatile **ret)
{
	struct connection *c = (struct connection *)file;

	*ret = NULL;
	if (region >= MODEL_SHM_REGIONS)
		return SQLITE_FULL;
	if (!c->shm) {
		c->shm = true;
		c->cat->shm_users++;
	}
	if (!c->cat->shm[region] && extend)
		c->cat->shm[region] = calloc(1, (size_t)size);
	*ret = c->cat->shm[region];
	return SQLITE_OK;
}

static int shm_take(struct connection *c, unsigned mask, int first, int n, bool exclusive)
{
	int *locks = c->cat->shm_locks;

	for (int i = first; i < first + n; i++)
		if (exclusive ? locks[i] != 0 : locks[i] < 0)
			return SQLITE_BUSY;
	for (int i = first; i < first + n; i++)
		locks[i] = exclusive ? -1 : locks[i] + 1;
	if (exclusive)
		c->shm_exclusive |= mask;
	else
		c->shm_shared |= mask;
	return SQLITE_OK;
}

static int xshmlock(sqlite3_file *file, int first, int n, int flags)
{
	struct connection *c = (struct connection *)file;
	unsigned mask = ((1u << n) - 1) << first;

	if (flags & SQLITE_SHM_LOCK)
		return model_dead ? SQLITE_IOERR_SHMLOCK
				  : shm_take(c, mask, first, n,
					     flags & SQLITE_SHM_EXCLUSIVE);
	for (int i = first; i < first + n; i++) {
		if (c->shm_exclusive & 1u << i)
			c->cat->shm_locks[i] = 0;
		else if (c->shm_shared & 1u << i)
			c->cat->shm_locks[i]--;
	}
	c->shm_exclusive &= ~mask;
	c->shm_shared &= ~mask;
	return SQLITE_OK;
}

static void xshmbarrier(sqlite3_file *file)
{
	(void)file;
}

static int xshmunmap(sqlite3_file *file, int delete_it)
{
	struct connection *c = (struct connection *)file;

	(void)delete_it;
	if (!c->shm)
		return SQLITE_OK;
	(void)xshmlock(file, 0, SQLITE_SHM_NLOCK, SQLITE_SHM_UNLOCK);
	c->shm = false;
	if (--c->cat->shm_users)
		return SQLITE_OK;
	/* The real one truncates it when the next first one comes. */
	for (int i = 0; i < MODEL_SHM_REGIONS; i++) {
		free(c->cat->shm[i]);
		c->cat->shm[i] = NULL;
	}
	return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = xclose,
	.xRead = xread,
	.xWrite = xwrite,
	.xTruncate = xtruncate,
	.xSync = xsync,
	.xFileSize = xfilesize,
	.xLock = xlock,
	.xUnlock = xunlock,
	.xCheckReservedLock = xcheckreserved,
	.xFileControl = xcontrol,
	.xSectorSize = xsectorsize,
	.xDeviceCharacteristics = xcharacteristics,
	.xShmMap = xshmmap,
	.xShmLock = xshmlock,
	.xShmBarrier = xshmbarrier,
	.xShmUnmap = xshmunmap,
};

/* --- The VFS ---------------------------------------------------------------------- */

/* "/proc/self/fd/N/catalogue.db-wal": of which disk, and which file. */
static struct model_catalogue *find(const char *path, enum model_cached_kind *ret_kind)
{
	const char *name = strrchr(path, '/');
	int fd, disk;

	if (!name || sscanf(path, "/proc/self/fd/%d/", &fd) != 1 ||
	    strncmp(name + 1, NAME, strlen(NAME)))
		return NULL;
	disk = model_catalogue_disk(fd);
	for (int k = 0; disk >= 0 && k < MODEL_N_KINDS; k++) {
		if (strcmp(name + 1 + strlen(NAME), suffixes[k]))
			continue;
		*ret_kind = (enum model_cached_kind)k;
		return &model_catalogues[disk];
	}
	return NULL;
}

static int xopen(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags,
		 int *ret_flags)
{
	struct connection *c = (struct connection *)file;

	(void)vfs;
	if (!model_alone)
		return real->xOpen(real, path, file, flags, ret_flags);
	memset(c, 0, sizeof(*c));
	c->cat = path ? find(path, &c->kind) : NULL;
	if (!c->cat)
		return SQLITE_CANTOPEN;
	c->file = &c->cat->files[c->kind];
	if (c->file->used && (flags & SQLITE_OPEN_EXCLUSIVE) && c->kind == MODEL_DATABASE)
		return SQLITE_CANTOPEN;
	if (!c->file->used) {
		errno = ENOENT;
		if (!(flags & SQLITE_OPEN_CREATE) ||
		    step("catalogue create", SQLITE_CANTOPEN) != SQLITE_OK)
			return SQLITE_CANTOPEN;
		c->file->used = true;
	}
	c->base.pMethods = &methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int xdelete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
	enum model_cached_kind kind;
	struct model_catalogue *cat;
	int rc;

	(void)vfs;
	if (!model_alone)
		return real->xDelete(real, path, sync_dir);
	cat = find(path, &kind);
	rc = step("catalogue remove", SQLITE_IOERR_DELETE);
	if (rc != SQLITE_OK)
		return rc;
	if (!cat || !cat->files[kind].used)
		return SQLITE_IOERR_DELETE_NOENT;
	model_file_unlink(&cat->files[kind]);
	if (sync_dir)
		model_file_sync(&cat->files[kind]);
	return SQLITE_OK;
}

static int xaccess(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
	enum model_cached_kind kind;
	struct model_catalogue *cat;

	(void)vfs;
	if (!model_alone)
		return real->xAccess(real, path, flags, ret);
	cat = find(path, &kind);
	*ret = cat && cat->files[kind].used && cat->files[kind].size > 0;
	return SQLITE_OK;
}

static int xfullpathname(sqlite3_vfs *vfs, const char *path, int size, char *ret)
{
	(void)vfs;
	if (!model_alone)
		return real->xFullPathname(real, path, size, ret);
	return kv_strcpy(ret, (size_t)size, path) ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int xrandomness(sqlite3_vfs *vfs, int n, char *ret)
{
	(void)vfs;
	if (!model_alone)
		return real->xRandomness(real, n, ret);
	for (int i = 0; i < n; i++)
		ret[i] = (char)model_random();
	return n;
}

static int xsleep(sqlite3_vfs *vfs, int us)
{
	(void)vfs;
	return model_alone ? us : real->xSleep(real, us);
}

/* Why a file could not be opened. */
static int xlasterror(sqlite3_vfs *vfs, int size, char *text)
{
	(void)vfs;
	(void)size;
	(void)text;
	return errno;
}

static int xtime(sqlite3_vfs *vfs, sqlite3_int64 *ret)
{
	(void)vfs;
	if (!model_alone)
		return real->xCurrentTimeInt64(real, ret);
	*ret = INT64_C(210866760000) * 1000; /* 1970 */
	return SQLITE_OK;
}

void model_vfs_register(void)
{
	static sqlite3_vfs vfs = {
		.iVersion = 2,
		.szOsFile = sizeof(struct connection),
		.mxPathname = MODEL_PATH,
		.zName = "unix",
		.xOpen = xopen,
		.xDelete = xdelete,
		.xAccess = xaccess,
		.xFullPathname = xfullpathname,
		.xRandomness = xrandomness,
		.xSleep = xsleep,
		.xGetLastError = xlasterror,
		.xCurrentTimeInt64 = xtime,
	};

	if (real)
		return;
	if (sqlite3_initialize() != SQLITE_OK)
		abort();
	real = sqlite3_vfs_find("unix");
	if (!real)
		abort();
	if (real->szOsFile > vfs.szOsFile)
		vfs.szOsFile = real->szOsFile;
	if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK)
		abort();
}
