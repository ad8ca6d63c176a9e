/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See failpoint.h. Every function that begins with failing_ stands in the place of its
 * namesake for the library's objects only (tests/fault/local.mk has the list). One
 * thread.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failpoint.h"
#include "model.h"
#include "util.h"

const char *const failpoint_names[FAILPOINT_KINDS] = {
	[FAIL_MEMORY] = "allocation",
	[FAIL_SQLITE_MEMORY] = "SQLite allocation",
	[FAIL_SQLITE] = "SQLite call",
	[FAIL_DB_READ] = "catalogue read",
	[FAIL_DB_WRITE] = "catalogue write",
	[FAIL_DB_FULL] = "catalogue full",
	[FAIL_DB_FLUSH] = "catalogue flush",
	[FAIL_DB_OTHER] = "catalogue file",
	[FAIL_DB_BUSY] = "catalogue busy",
	[FAIL_OPEN] = "open",
	[FAIL_READ] = "read",
	[FAIL_WRITE] = "write",
	[FAIL_FLUSH] = "flush",
	[FAIL_LOCK] = "lock",
	[FAIL_FILE] = "file",
	[FAIL_IOCTL] = "ioctl",
	[FAIL_IOCTL_MEMORY] = "ioctl without memory",
	[FAIL_IOCTL_BUSY] = "ioctl busy",
	[FAIL_MOUNT] = "mount",
	[FAIL_DEVICE] = "device",
};

static struct {
	bool on, forever;
	enum failpoint_kind kind;
	unsigned nth, failed;
	unsigned passed[FAILPOINT_KINDS];
} armed;

#define LIVE_MAX 4096

/* What the library has allocated; the model frees by its functions, too. */
static void *live[LIVE_MAX];
static unsigned n_live;

unsigned failpoint_disarm(unsigned ret_passed[FAILPOINT_KINDS])
{
	armed.on = false;
	if (ret_passed)
		memcpy(ret_passed, armed.passed, sizeof(armed.passed));
	return armed.failed;
}

static bool strikes(enum failpoint_kind kind)
{
	unsigned passed;

	if (!armed.on)
		return false;
	passed = ++armed.passed[kind];
	if (armed.kind != kind || passed < armed.nth ||
	    (passed > armed.nth && !armed.forever))
		return false;
	armed.failed++;
	return true;
}

static bool strikes_with(enum failpoint_kind kind, int error)
{
	bool now = strikes(kind);

	if (now)
		errno = error;
	return now;
}

/* --- Memory ----------------------------------------------------------------------- */

void *failing_malloc(size_t n);
void *failing_calloc(size_t n, size_t size);
void *failing_realloc(void *p, size_t n);
char *failing_strdup(const char *s);
char *failing_realpath(const char *path, char *resolved);
DIR *failing_fdopendir(int fd);
void failing_free(void *p);

static void *count(void *p)
{
	if (p && n_live == LIVE_MAX)
		abort();
	if (p)
		live[n_live++] = p;
	return p;
}

static void forget(const void *p)
{
	for (unsigned i = n_live; p && i-- > 0;) {
		if (live[i] == p) {
			live[i] = live[--n_live];
			return;
		}
	}
}

long failpoint_allocated(void)
{
	return n_live + (long)sqlite3_memory_used();
}

void *failing_malloc(size_t n)
{
	return strikes_with(FAIL_MEMORY, ENOMEM) ? NULL : count(malloc(n));
}

void *failing_calloc(size_t n, size_t size)
{
	return strikes_with(FAIL_MEMORY, ENOMEM) ? NULL : count(calloc(n, size));
}

void *failing_realloc(void *p, size_t n)
{
	if (strikes_with(FAIL_MEMORY, ENOMEM))
		return NULL;
	forget(p);
	return count(realloc(p, n));
}

char *failing_strdup(const char *s)
{
	return strikes_with(FAIL_MEMORY, ENOMEM) ? NULL : count(strdup(s));
}

char *failing_realpath(const char *path, char *resolved)
{
	return strikes_with(FAIL_MEMORY, ENOMEM) ? NULL : count(realpath(path, resolved));
}

DIR *failing_fdopendir(int fd)
{
	return strikes_with(FAIL_MEMORY, ENOMEM) ? NULL : fdopendir(fd);
}

void failing_free(void *p)
{
	forget(p);
	free(p);
}

/* --- Files ------------------------------------------------------------------------ */

int failing_open(const char *path, int flags, ...);
int failing_openat(int dir_fd, const char *path, int flags, ...);
int failing_mkdirat(int dir_fd, const char *path, mode_t mode);
ssize_t failing_read(int fd, void *buf, size_t n);
ssize_t failing_pread(int fd, void *buf, size_t n, off_t offset);
ssize_t failing_pwrite(int fd, const void *buf, size_t n, off_t offset);
int failing_ftruncate(int fd, off_t size);
int failing_fsync(int fd);
int failing_syncfs(int fd);
int failing_fcntl(int fd, int cmd, ...);
int failing_flock(int fd, int operation);
int failing_fstat(int fd, struct stat *st);
int failing_fstatat(int dir_fd, const char *path, struct stat *st, int flags);
int failing_fallocate(int fd, int mode, off_t offset, off_t n);
int failing_renameat(int from_fd, const char *from, int to_fd, const char *to);
int failing_unlinkat(int dir_fd, const char *path, int flags);
struct dirent *failing_readdir(DIR *dir);
ssize_t failing_getrandom(void *buf, size_t n, unsigned flags);

int failing_kv_pread_full(int fd, void *buf, size_t n, uint64_t offset);
int failing_kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset);
int failing_kv_write_file_at(int dir_fd, const char *name, const void *data, size_t n);

/* The model reads and writes by the library's functions, too, and that does not count. */
static unsigned reading, writing;

static mode_t mode_of(int flags, va_list ap)
{
	return flags & O_CREAT ? va_arg(ap, mode_t) : 0;
}

int failing_open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	if (strikes_with(FAIL_OPEN, EMFILE))
		return -1;
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return open(path, flags, mode);
}

int failing_openat(int dir_fd, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	if (strikes_with(FAIL_OPEN, EMFILE))
		return -1;
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return openat(dir_fd, path, flags, mode);
}

int failing_mkdirat(int dir_fd, const char *path, mode_t mode)
{
	return strikes_with(FAIL_OPEN, ENOSPC) ? -1 : mkdirat(dir_fd, path, mode);
}

ssize_t failing_read(int fd, void *buf, size_t n)
{
	return strikes_with(FAIL_READ, EIO) ? -1 : read(fd, buf, n);
}

ssize_t failing_pread(int fd, void *buf, size_t n, off_t offset)
{
	return reading && strikes_with(FAIL_READ, EIO) ? -1 : pread(fd, buf, n, offset);
}

int failing_kv_pread_full(int fd, void *buf, size_t n, uint64_t offset)
{
	int r;

	reading++;
	r = kv_pread_full(fd, buf, n, offset);
	reading--;
	return r;
}

ssize_t failing_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	return writing && strikes_with(FAIL_WRITE, ENOSPC) ? -1
							   : pwrite(fd, buf, n, offset);
}

int failing_kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset)
{
	int r;

	writing++;
	r = kv_pwrite_full(fd, buf, n, offset);
	writing--;
	return r;
}

int failing_kv_write_file_at(int dir_fd, const char *name, const void *data, size_t n)
{
	int r;

	writing++;
	r = kv_write_file_at(dir_fd, name, data, n);
	writing--;
	return r;
}

int failing_ftruncate(int fd, off_t size)
{
	return strikes_with(FAIL_WRITE, ENOSPC) ? -1 : ftruncate(fd, size);
}

int failing_fsync(int fd)
{
	return strikes_with(FAIL_FLUSH, EIO) ? -1 : fsync(fd);
}

int failing_syncfs(int fd)
{
	return strikes_with(FAIL_FLUSH, EIO) ? -1 : syncfs(fd);
}

/* Giving a lock back cannot fail. */
int failing_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (cmd == F_OFD_SETLK && ((const struct flock *)arg)->l_type != F_UNLCK &&
	    strikes_with(FAIL_LOCK, ENOLCK))
		return -1;
	if (cmd == F_DUPFD_CLOEXEC && strikes_with(FAIL_OPEN, EMFILE))
		return -1;
	return fcntl(fd, cmd, arg);
}

int failing_flock(int fd, int operation)
{
	return strikes_with(FAIL_LOCK, ENOLCK) ? -1 : flock(fd, operation);
}

int failing_fstat(int fd, struct stat *st)
{
	return strikes_with(FAIL_FILE, EIO) ? -1 : fstat(fd, st);
}

int failing_fstatat(int dir_fd, const char *path, struct stat *st, int flags)
{
	return strikes_with(FAIL_FILE, EIO) ? -1 : fstatat(dir_fd, path, st, flags);
}

int failing_fallocate(int fd, int mode, off_t offset, off_t n)
{
	return strikes_with(FAIL_WRITE, ENOSPC) ? -1 : fallocate(fd, mode, offset, n);
}

int failing_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return strikes_with(FAIL_FILE, ENOSPC) ? -1 : renameat(from_fd, from, to_fd, to);
}

int failing_unlinkat(int dir_fd, const char *path, int flags)
{
	return strikes_with(FAIL_FILE, EIO) ? -1 : unlinkat(dir_fd, path, flags);
}

struct dirent *failing_readdir(DIR *dir)
{
	return strikes_with(FAIL_READ, EIO) ? NULL : readdir(dir);
}

ssize_t failing_getrandom(void *buf, size_t n, unsigned flags)
{
	return strikes_with(FAIL_FILE, EIO) ? -1 : getrandom(buf, n, flags);
}

/* --- SQLite: calls ---------------------------------------------------------------- */

int failing_sqlite3_open_v2(const char *path, sqlite3 **ret, int flags, const char *vfs);
int failing_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int n, unsigned flags,
			       sqlite3_stmt **ret, const char **tail);
int failing_sqlite3_bind_int64(sqlite3_stmt *stmt, int i, sqlite3_int64 value);
int failing_sqlite3_bind_text(sqlite3_stmt *stmt, int i, const char *text, int n,
			      void (*destroy)(void *));
int failing_sqlite3_step(sqlite3_stmt *stmt);
int failing_sqlite3_exec(sqlite3 *db, const char *sql,
			 int (*fn)(void *, int, char **, char **), void *arg,
			 char **error);

int failing_sqlite3_open_v2(const char *path, sqlite3 **ret, int flags, const char *vfs)
{
	return strikes(FAIL_SQLITE) ? SQLITE_IOERR
				    : sqlite3_open_v2(path, ret, flags, vfs);
}

int failing_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int n, unsigned flags,
			       sqlite3_stmt **ret, const char **tail)
{
	return strikes(FAIL_SQLITE) ? SQLITE_IOERR
				    : sqlite3_prepare_v3(db, sql, n, flags, ret, tail);
}

int failing_sqlite3_bind_int64(sqlite3_stmt *stmt, int i, sqlite3_int64 value)
{
	return strikes(FAIL_SQLITE) ? SQLITE_NOMEM : sqlite3_bind_int64(stmt, i, value);
}

int failing_sqlite3_bind_text(sqlite3_stmt *stmt, int i, const char *text, int n,
			      void (*destroy)(void *))
{
	return strikes(FAIL_SQLITE) ? SQLITE_NOMEM
				    : sqlite3_bind_text(stmt, i, text, n, destroy);
}

/* Rolling back needs neither memory nor the disk. */
int failing_sqlite3_step(sqlite3_stmt *stmt)
{
	return strcmp(sqlite3_sql(stmt), "ROLLBACK") && strikes(FAIL_SQLITE)
		       ? SQLITE_IOERR
		       : sqlite3_step(stmt);
}

int failing_sqlite3_exec(sqlite3 *db, const char *sql,
			 int (*fn)(void *, int, char **, char **), void *arg,
			 char **error)
{
	return strikes(FAIL_SQLITE) ? SQLITE_IOERR
				    : sqlite3_exec(db, sql, fn, arg, error);
}

/* --- SQLite: memory --------------------------------------------------------------- */

static sqlite3_mem_methods memory;

static void *sqlite_malloc(int n)
{
	return strikes(FAIL_SQLITE_MEMORY) ? NULL : memory.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
	return strikes(FAIL_SQLITE_MEMORY) ? NULL : memory.xRealloc(p, n);
}

/* --- SQLite: files ---------------------------------------------------------------- */

/* A file of ours is followed in memory by the stock VFS's. */
static sqlite3_vfs vfs;
static sqlite3_vfs *real_vfs;

sqlite3_vfs *failing_sqlite3_vfs_find(const char *name);

static int read_errno; /* of any file's last read that failed */

static sqlite3_file *real_file(sqlite3_file *f)
{
	return f + 1;
}

static int file_close(sqlite3_file *f)
{
	return real_file(f)->pMethods->xClose(real_file(f));
}

static int file_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 offset)
{
	if (strikes_with(FAIL_DB_READ, EIO)) {
		read_errno = EIO;
		return SQLITE_IOERR_READ;
	}
	return real_file(f)->pMethods->xRead(real_file(f), buf, n, offset);
}

static int file_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 offset)
{
	if (strikes(FAIL_DB_WRITE))
		return SQLITE_IOERR_WRITE;
	if (strikes(FAIL_DB_FULL))
		return SQLITE_FULL;
	return real_file(f)->pMethods->xWrite(real_file(f), buf, n, offset);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	if (strikes(FAIL_DB_OTHER))
		return SQLITE_IOERR_TRUNCATE;
	return real_file(f)->pMethods->xTruncate(real_file(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
	if (strikes(FAIL_DB_FLUSH))
		return SQLITE_IOERR_FSYNC;
	return real_file(f)->pMethods->xSync(real_file(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	if (strikes(FAIL_DB_OTHER))
		return SQLITE_IOERR_FSTAT;
	return real_file(f)->pMethods->xFileSize(real_file(f), ret);
}

static int file_lock(sqlite3_file *f, int how)
{
	if (strikes(FAIL_DB_OTHER))
		return SQLITE_IOERR_LOCK;
	if (strikes(FAIL_DB_BUSY))
		return SQLITE_BUSY;
	return real_file(f)->pMethods->xLock(real_file(f), how);
}

static int file_unlock(sqlite3_file *f, int how)
{
	return real_file(f)->pMethods->xUnlock(real_file(f), how);
}

static int file_check_reserved(sqlite3_file *f, int *ret)
{
	return real_file(f)->pMethods->xCheckReservedLock(real_file(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	if (op == SQLITE_FCNTL_LAST_ERRNO && read_errno) {
		*(int *)arg = read_errno;
		return SQLITE_OK;
	}
	return real_file(f)->pMethods->xFileControl(real_file(f), op, arg);
}

static int file_sector_size(sqlite3_file *f)
{
	return real_file(f)->pMethods->xSectorSize(real_file(f));
}

static int file_characteristics(sqlite3_file *f)
{
	return real_file(f)->pMethods->xDeviceCharacteristics(real_file(f));
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend,
			void volatile **ret)
{
	if (strikes(FAIL_DB_OTHER))
		return SQLITE_IOERR_SHMMAP;
	return real_file(f)->pMethods->xShmMap(real_file(f), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	if (!(flags & SQLITE_SHM_UNLOCK)) {
		if (strikes(FAIL_DB_OTHER))
			return SQLITE_IOERR_SHMLOCK;
		if (strikes(FAIL_DB_BUSY))
			return SQLITE_BUSY;
	}
	return real_file(f)->pMethods->xShmLock(real_file(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
	real_file(f)->pMethods->xShmBarrier(real_file(f));
}

static int file_shm_unmap(sqlite3_file *f, int remove)
{
	return real_file(f)->pMethods->xShmUnmap(real_file(f), remove);
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 2, /* without xFetch: every read is a read */
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_check_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector_size,
	.xDeviceCharacteristics = file_characteristics,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *self, const char *name, sqlite3_file *f, int flags,
		    int *ret_flags)
{
	int rc;

	(void)self;
	f->pMethods = NULL;
	if (strikes_with(FAIL_DB_OTHER, EMFILE))
		return SQLITE_CANTOPEN;
	rc = real_vfs->xOpen(real_vfs, name, real_file(f), flags, ret_flags);
	if (real_file(f)->pMethods)
		f->pMethods = &file_methods;
	return rc;
}

static int vfs_access(sqlite3_vfs *self, const char *name, int flags, int *ret)
{
	(void)self;
	if (strikes(FAIL_DB_OTHER))
		return SQLITE_IOERR_ACCESS;
	return real_vfs->xAccess(real_vfs, name, flags, ret);
}

static int vfs_delete(sqlite3_vfs *self, const char *name, int sync)
{
	(void)self;
	if (strikes(FAIL_DB_OTHER))
		return SQLITE_IOERR_DELETE;
	return real_vfs->xDelete(real_vfs, name, sync);
}

/* SQLite waits for up to ten seconds in a hundred steps of its own for a WAL in motion.
 */
static int vfs_sleep(sqlite3_vfs *self, int us)
{
	(void)self;
	return us;
}

/* The library builds its own VFS on the one that it finds. */
sqlite3_vfs *failing_sqlite3_vfs_find(const char *name)
{
	real_vfs = sqlite3_vfs_find(name);
	if (!real_vfs)
		return NULL;
	vfs = *real_vfs;
	vfs.szOsFile = (int)sizeof(sqlite3_file) + real_vfs->szOsFile;
	vfs.xOpen = vfs_open;
	vfs.xAccess = vfs_access;
	vfs.xDelete = vfs_delete;
	vfs.xSleep = vfs_sleep;
	return &vfs;
}

/* --- The model's steps ------------------------------------------------------------ */

static bool begins_with(const char *what, const char *word)
{
	return !strncmp(what, word, strlen(word));
}

static int hook(const char *what, unsigned step)
{
	(void)step;
	/* Those below fail as what they are, where the library calls them. */
	if (begins_with(what, "file ") || begins_with(what, "run ") ||
	    begins_with(what, "record") || begins_with(what, "fs sync"))
		return 0;
	if (begins_with(what, "dm ") || begins_with(what, "message "))
		return strikes(FAIL_IOCTL)	    ? -EIO
		       : strikes(FAIL_IOCTL_MEMORY) ? -ENOMEM
		       : strikes(FAIL_IOCTL_BUSY)   ? -EBUSY
						    : 0;
	if (begins_with(what, "mount") || begins_with(what, "target") ||
	    begins_with(what, "namespace"))
		return strikes(FAIL_MOUNT) ? -EIO : 0;
	return strikes(FAIL_DEVICE) ? -EIO : 0;
}

void failpoint_arm(enum failpoint_kind kind, unsigned nth, bool forever)
{
	armed.kind = kind;
	armed.nth = nth;
	armed.forever = forever;
	armed.failed = 0;
	read_errno = 0;
	memset(armed.passed, 0, sizeof(armed.passed));
	armed.on = true;
	model_hook = hook; /* each new model forgets it */
}

void failpoint_start(void)
{
	sqlite3_mem_methods ours;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK)
		abort();
	ours = memory;
	ours.xMalloc = sqlite_malloc;
	ours.xRealloc = sqlite_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK)
		abort();
}
