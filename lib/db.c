// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * SQLite, and nothing else of kvol: this is the only file that includes sqlite3.h.
 *
 * The database lies on a mount that no path leads to, so its name is
 * /proc/self/fd/N/NAME. SQLite would resolve that link to a path that is not there; a VFS
 * of our own, the stock one with another xFullPathname, leaves it alone. It is registered
 * under the name "kvol" and never becomes the default, so an embedder's own use of SQLite
 * does not notice it.
 *
 * Write-ahead log, synchronous=FULL: a commit that returned is on the disk. A WAL that
 * has to grow costs a journal commit of the file system beside the flush, so the file is
 * written to its lasting size once (kv_db_warm) and kept by every connection (persistent
 * WAL). A frame is not a page, so writing one into a file that is not cached has to read
 * it first: opening starts reading ahead. Checkpoints come every WAL_PAGES, not at close:
 * opening for one change must not pay for one.
 *
 * The files are a stranger's until proven otherwise: whoever had the disk may have put
 * anything there. A link would lead SQLite to the host's own files, and a rollback
 * journal names a further file, anywhere, that SQLite deletes once it has been played
 * back; so both are refused before SQLite sees them.
 *
 * A crash leaves the last commit that returned, or one that was about to; the next opener
 * replays the WAL. A killed process may have written its last commit and not flushed it:
 * it is seen by that opener, and would still be lost by a power cut (kv_db_flush). Waits
 * for another process's write are bounded by BUSY_MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db.h"

#define BUSY_MS		  30000
#define WAL_PAGES	  64
#define WAL_SUFFIX	  "-wal"
#define CACHED_STATEMENTS 64
#define LOOK_BYTES	  (INT64_C(256) << 20)

struct kv_db {
	sqlite3 *handle;
	int64_t busy_deadline_ms;
	unsigned busy_step;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} cache[CACHED_STATEMENTS];
};

static int full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
	(void)vfs;
	return kv_strcpy(ret, (size_t)size, name) ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int to_errno(int rc)
{
	if (rc == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -ETIMEDOUT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR: /* our SQL is fixed: a schema that it does not fit is damage */
	case SQLITE_MISMATCH:
		return -EUCLEAN;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
		return -EROFS;
	default:
		return -EIO;
	}
}

/* Does the disk fail to give a part of the file? A hostile one may be sparse, and huge. */
static bool is_unreadable(sqlite3_file *file)
{
	sqlite3_int64 size = 0;
	char page[4096];

	if (!file || !file->pMethods || file->pMethods->xFileSize(file, &size))
		return false;
	if (size > LOOK_BYTES)
		size = LOOK_BYTES;
	for (sqlite3_int64 at = 0; at < size; at += sizeof(page)) {
		int rc = file->pMethods->xRead(file, page, sizeof(page), at);

		if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ)
			return true;
	}
	return false;
}

/* SQLite's unix VFS calls a page that cannot be read damaged: SQLITE_IOERR_CORRUPTFS
 * becomes SQLITE_CORRUPT on its way out. So the files are read to tell the two apart. */
static int damage(sqlite3 *handle)
{
	sqlite3_file *db = NULL, *wal = NULL;

	(void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &db);
	(void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
	return is_unreadable(db) || is_unreadable(wal) ? -EIO : -EUCLEAN;
}

static int result(sqlite3 *handle, int rc)
{
	int error;

	switch (rc & 0xff) {
	case SQLITE_CORRUPT:
		return damage(handle);
	case SQLITE_CANTOPEN: /* it is missing, or this process has too many, ... */
		error = sqlite3_system_errno(handle);
		return error ? -error : -EIO;
	default:
		return to_errno(rc);
	}
}

static int add_vfs(void)
{
	static sqlite3_vfs vfs;
	const sqlite3_vfs *base;
	int rc;

	rc = sqlite3_initialize();
	if (rc != SQLITE_OK)
		return to_errno(rc);
	base = sqlite3_vfs_find("unix");
	if (!base)
		return -EIO;
	vfs = *base;
	vfs.pNext = NULL;
	vfs.zName = "kvol";
	vfs.xFullPathname = full_pathname;
	return to_errno(sqlite3_vfs_register(&vfs, 0));
}

/* Not pthread_once: what failed for want of memory is tried again by the next call. */
static int register_vfs(void)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static bool added;
	int r = 0;

	pthread_mutex_lock(&mutex);
	if (!added)
		r = add_vfs();
	added = r == 0;
	pthread_mutex_unlock(&mutex);
	return r;
}

/* SQLite's own handler sleeps for up to 100 ms at a time; commits take 2. */
static int busy(void *arg, int count)
{
	struct kv_db *db = arg;

	if (count == 0) {
		db->busy_deadline_ms = kv_deadline(BUSY_MS);
		db->busy_step = 0;
	}
	return kv_backoff(&db->busy_step, db->busy_deadline_ms) == 0;
}

/* The literal's address is the key: comparing pointers is all a look-up costs. */
static int prepare(struct kv_db *db, const char *sql, sqlite3_stmt **ret)
{
	unsigned i;
	int r;

	for (i = 0; i < CACHED_STATEMENTS && db->cache[i].sql; i++) {
		if (db->cache[i].sql == sql) {
			*ret = db->cache[i].stmt;
			sqlite3_reset(*ret);
			return 0;
		}
	}
	if (i == CACHED_STATEMENTS)
		return -ENOMEM;
	r = result(db->handle,
		   sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
				      &db->cache[i].stmt, NULL));
	if (r < 0)
		return r;
	db->cache[i].sql = sql;
	*ret = db->cache[i].stmt;
	return 0;
}

/* Prepared when the connection is made: undoing must not need memory. */
static const char rollback_sql[] = "ROLLBACK";
static const char undo_sql[] = "ROLLBACK TO one";
static const char release_sql[] = "RELEASE one";

/* A new database gets its log; one without it is not ours to change. */
static int set_journal_mode(struct kv_db *db, unsigned flags)
{
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(db, &stmt,
			flags & KV_DB_CREATE ? "PRAGMA journal_mode=WAL"
					     : "PRAGMA journal_mode",
			"");
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	if (r >= 0)
		r = r == 1 && !strcmp(kv_stmt_text(stmt, 0), "wal") ? 0 : -EUCLEAN;
	/* The change of mode is a commit, and that comes after its row. */
	if (r == 0)
		r = kv_stmt_step(stmt);
	kv_stmt_reset(stmt);
	return r;
}

static int configure(struct kv_db *db, unsigned flags)
{
	static const char pragmas[] = "PRAGMA trusted_schema=OFF;"
				      "PRAGMA cell_size_check=ON;"
				      "PRAGMA mmap_size=0;"
				      "PRAGMA synchronous=FULL;"
				      "PRAGMA temp_store=MEMORY;"
				      "PRAGMA cache_size=-1024;";
	sqlite3_stmt *stmt;
	int on = 1;
	int r;

	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_handler(db->handle, busy, db);
	/* No clever schema, no oversized rows, no cells that lap over. */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, 8 << 20);
	r = kv_db_exec(db, pragmas);
	if (r == 0)
		r = set_journal_mode(db, flags);
	if (r == 0)
		r = prepare(db, rollback_sql, &stmt);
	if (r == 0)
		r = prepare(db, undo_sql, &stmt);
	if (r == 0)
		r = prepare(db, release_sql, &stmt);
	if (r < 0)
		return r;
	sqlite3_wal_autocheckpoint(db->handle, WAL_PAGES);
	sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
	return 0;
}

/* 1: there is a regular file of this name, 0: nothing. */
static int check_file(int dir_fd, const char *name, const char *suffix)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "%s%s", name, suffix);
	if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 1 : -EUCLEAN;
}

static int check_files(int dir_fd, const char *name)
{
	static const char *const suffixes[] = { "", WAL_SUFFIX, "-shm" };
	int r = 0;

	for (size_t i = 0; i < KV_ARRAY_SIZE(suffixes) && r >= 0; i++)
		r = check_file(dir_fd, name, suffixes[i]);
	if (r >= 0)
		r = check_file(dir_fd, name, "-journal");
	return r > 0 ? -EUCLEAN : r;
}

static void read_ahead(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = -1;
	char wal[64];

	snprintf(wal, sizeof(wal), "%s" WAL_SUFFIX, name);
	fd = openat(dir_fd, wal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED);
}

int kv_db_open(int dir_fd, const char *name, unsigned flags, struct kv_db **ret)
{
	int mode = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	struct kv_db *db;
	char path[64];
	int r, rc;

	r = register_vfs();
	if (r < 0)
		return r;
	if (flags & KV_DB_READONLY)
		mode |= SQLITE_OPEN_READONLY;
	else
		mode |= SQLITE_OPEN_READWRITE;
	if (flags & KV_DB_CREATE)
		mode |= SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	r = check_files(dir_fd, name);
	if (r < 0)
		return r;
	if (!(flags & (KV_DB_READONLY | KV_DB_CREATE)))
		read_ahead(dir_fd, name);

	db = calloc(1, sizeof(*db));
	if (!db)
		return -ENOMEM;
	rc = sqlite3_open_v2(path, &db->handle, mode, "kvol");
	r = result(db->handle, rc);
	if (r == 0)
		r = configure(db, flags);
	if (r < 0) {
		kv_db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

void kv_db_close(struct kv_db *db)
{
	if (!db)
		return;
	for (unsigned i = 0; i < CACHED_STATEMENTS; i++)
		sqlite3_finalize(db->cache[i].stmt);
	(void)sqlite3_close(db->handle);
	free(db);
}

int kv_db_exec(struct kv_db *db, const char *sql)
{
	return result(db->handle, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int kv_db_begin(struct kv_db *db)
{
	int r = kv_db_do(db, "BEGIN IMMEDIATE", "");

	return r < 0 ? r : 0;
}

int kv_db_begin_read(struct kv_db *db)
{
	int r = kv_db_do(db, "BEGIN", "");

	return r < 0 ? r : 0;
}

int kv_db_commit(struct kv_db *db)
{
	int r = kv_db_do(db, "COMMIT", "");

	if (r < 0)
		kv_db_rollback(db);
	return r < 0 ? r : 0;
}

void kv_db_rollback(struct kv_db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		(void)kv_db_do(db, rollback_sql, "");
}

int kv_db_savepoint(struct kv_db *db)
{
	int r = kv_db_do(db, "SAVEPOINT one", "");

	return r < 0 ? r : 0;
}

void kv_db_release(struct kv_db *db, bool undo)
{
	int r = undo ? kv_db_do(db, undo_sql, "") : 0;

	if (r >= 0)
		r = kv_db_do(db, release_sql, "");
	if (r < 0) /* what cannot be told apart goes together */
		kv_db_rollback(db);
}

bool kv_db_in_transaction(struct kv_db *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

static int bind(sqlite3_stmt *stmt, const char *types, va_list ap)
{
	int r = 0;

	for (int i = 0; types[i] && r == 0; i++) {
		if (types[i] == 'i')
			r = to_errno(
				sqlite3_bind_int64(stmt, i + 1, va_arg(ap, int64_t)));
		else
			r = to_errno(sqlite3_bind_text(stmt, i + 1,
						       va_arg(ap, const char *), -1,
						       types[i] == 'T'
							       ? SQLITE_TRANSIENT
							       : SQLITE_STATIC));
	}
	return r;
}

static int query(struct kv_db *db, sqlite3_stmt **ret, const char *sql, const char *types,
		 va_list ap)
{
	int r = prepare(db, sql, ret);

	return r < 0 ? r : bind(*ret, types, ap);
}

int kv_db_query(struct kv_db *db, struct kv_stmt **ret, const char *sql,
		const char *types, ...)
{
	sqlite3_stmt *stmt = NULL;
	va_list ap;
	int r;

	va_start(ap, types);
	r = query(db, &stmt, sql, types, ap);
	va_end(ap);
	if (r == 0)
		*ret = (struct kv_stmt *)stmt;
	return r;
}

int kv_db_do(struct kv_db *db, const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt = NULL;
	va_list ap;
	int r;

	va_start(ap, types);
	r = query(db, &stmt, sql, types, ap);
	va_end(ap);
	if (r < 0)
		return r;
	r = result(db->handle, sqlite3_step(stmt));
	sqlite3_reset(stmt);
	return r < 0 ? r : sqlite3_changes(db->handle);
}

int kv_stmt_step(struct kv_stmt *stmt)
{
	int rc = sqlite3_step((sqlite3_stmt *)stmt);

	return rc == SQLITE_ROW ? 1 : result(sqlite3_db_handle((sqlite3_stmt *)stmt), rc);
}

static bool column_is(sqlite3_stmt *stmt, int column, char type)
{
	int is = sqlite3_column_type(stmt, column);

	if (type == '*' || (type == 'n' && is == SQLITE_NULL))
		return true;
	if (type == 'i')
		return is == SQLITE_INTEGER;
	return is == SQLITE_TEXT &&
	       strlen((const char *)sqlite3_column_text(stmt, column)) ==
		       (size_t)sqlite3_column_bytes(stmt, column);
}

int kv_stmt_check(struct kv_stmt *stmt, const char *types)
{
	for (int i = 0; types[i]; i++)
		if (!column_is((sqlite3_stmt *)stmt, i, types[i]))
			return -EUCLEAN;
	return 0;
}

void kv_stmt_reset(struct kv_stmt *stmt)
{
	sqlite3_reset((sqlite3_stmt *)stmt);
}

int64_t kv_stmt_int(struct kv_stmt *stmt, int column)
{
	return sqlite3_column_int64((sqlite3_stmt *)stmt, column);
}

const char *kv_stmt_text(struct kv_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text((sqlite3_stmt *)stmt, column);

	return text ? (const char *)text : "";
}

int kv_db_flush(struct kv_db *db)
{
	sqlite3_file *log = NULL;
	int r;

	r = to_errno(sqlite3_file_control(db->handle, "main",
					  SQLITE_FCNTL_JOURNAL_POINTER, &log));
	if (r == 0 && log && log->pMethods)
		r = to_errno(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL));
	return r;
}

int kv_db_warm(struct kv_db *db)
{
	/* One commit of twice the checkpoint distance; then the room in the database is
	 * given back, and the log starts over in a file that stays as long as it got. */
	return kv_db_exec(db, "CREATE TABLE warm (x BLOB);"
			      "INSERT INTO warm VALUES (zeroblob(2 * 64 * 4096));"
			      "DROP TABLE warm;"
			      "VACUUM;"
			      "PRAGMA wal_checkpoint(RESTART);");
}

/* What the kernel last refused on the database's file or its log; 0: nothing. */
static int refused(struct kv_db *db)
{
	sqlite3_file *log = NULL;
	int error = 0;

	(void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
	(void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER,
				   &log);
	if (!error && log && log->pMethods)
		(void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error);
	return -error;
}

/* 1: the pragma says "ok". Not cached: it is asked once in a connection's life. */
static int says_ok(struct kv_db *db, const char *pragma)
{
	sqlite3_stmt *stmt = NULL;
	const char *text;
	int r, rc, ok = 0;

	r = to_errno(sqlite3_prepare_v3(db->handle, pragma, -1, 0, &stmt, NULL));
	if (r == 0) {
		rc = sqlite3_step(stmt);
		r = to_errno(rc);
		text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0)
					: NULL;
		ok = text && !strcmp(text, "ok");
	}
	sqlite3_finalize(stmt);
	/* A page that cannot be read is a result for it, like one that is damaged. */
	if (r == 0 && !ok)
		r = refused(db);
	/* What it reports are results; an error is one that kept it from looking. */
	return r < 0 && r != -EUCLEAN ? r : ok;
}

int kv_db_check(struct kv_db *db, bool mend)
{
	int r = says_ok(db, "PRAGMA integrity_check(1)");

	if (r != 0)
		return r < 0 ? r : 0;
	r = says_ok(db, "PRAGMA quick_check(1)"); /* all of it but the indexes */
	if (r <= 0)
		return r < 0 ? r : -EUCLEAN;
	if (!mend)
		return 1;
	r = kv_db_exec(db, "REINDEX");
	if (r == 0)
		r = says_ok(db, "PRAGMA integrity_check(1)");
	if (r < 0)
		return r;
	return r ? 1 : -EUCLEAN;
}
