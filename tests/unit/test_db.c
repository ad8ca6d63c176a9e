/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The SQLite adapter: through an fd of a directory, several connections at once, and
 * errnos for what goes wrong.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "db.h"

#define WAL_BYTES (64 * 4096) /* the distance of checkpoints */

struct place {
	char path[64];
	int dir_fd;
	struct kv_db *db;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->path, sizeof(p->path), "/tmp/kvol-db-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir_fd = open(p->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir_fd >= 0);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", KV_DB_CREATE, &p->db), 0);
	assert_int_equal(
		kv_db_exec(p->db,
			   "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)"),
		0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = {
		"x.db", "x.db-wal", "x.db-shm",	    "y.db",
		"z.db", "z.db-wal", "z.db-journal", "z.db-shm",
	};
	struct place *p = *state;

	kv_db_close(p->db);
	for (size_t i = 0; i < KV_ARRAY_SIZE(files); i++)
		(void)unlinkat(p->dir_fd, files[i], 0);
	(void)close(p->dir_fd);
	assert_int_equal(rmdir(p->path), 0);
	free(p);
	return 0;
}

static int64_t count(struct kv_db *db)
{
	struct kv_stmt *stmt;
	int64_t n;

	assert_int_equal(kv_db_query(db, &stmt, "SELECT count(*) FROM t", ""), 0);
	assert_int_equal(kv_stmt_step(stmt), 1);
	n = kv_stmt_int(stmt, 0);
	kv_stmt_reset(stmt);
	return n;
}

static int insert(struct kv_db *db, int64_t a, const char *b)
{
	return kv_db_do(db, "INSERT INTO t VALUES (?, ?)", "it", a, b);
}

static void values_come_back(void **state)
{
	struct place *p = *state;
	struct kv_stmt *stmt;

	assert_int_equal(insert(p->db, INT64_MIN, "'; DROP TABLE t; --"), 1);
	assert_int_equal(insert(p->db, INT64_MAX, NULL), 1);
	assert_int_equal(kv_db_query(p->db, &stmt, "SELECT a, b FROM t ORDER BY a", ""),
			 0);
	assert_int_equal(kv_stmt_step(stmt), 1);
	assert_true(kv_stmt_int(stmt, 0) == INT64_MIN);
	assert_string_equal(kv_stmt_text(stmt, 1), "'; DROP TABLE t; --");
	assert_int_equal(kv_stmt_step(stmt), 1);
	assert_true(kv_stmt_int(stmt, 0) == INT64_MAX);
	assert_string_equal(kv_stmt_text(stmt, 1), "");
	assert_int_equal(kv_stmt_step(stmt), 0);
	kv_stmt_reset(stmt);
	assert_int_equal(kv_db_do(p->db, "DELETE FROM t", ""), 2);
}

static void errors_are_errnos(void **state)
{
	struct place *p = *state;
	struct kv_db *db = NULL;
	struct kv_stmt *stmt;
	int fd;

	assert_int_equal(insert(p->db, 1, "x"), 1);
	assert_int_equal(insert(p->db, 1, "y"), -EEXIST);
	assert_int_equal(insert(p->db, 2, "x"), -EEXIST);
	assert_int_equal(kv_db_exec(p->db, "SELECT * FROM nothing"), -EUCLEAN);
	assert_int_equal(kv_db_query(p->db, &stmt, "SELECT c FROM t", ""), -EUCLEAN);
	assert_int_equal(kv_db_open(p->dir_fd, "none.db", 0, &db), -ENOENT);
	assert_int_equal(kv_db_open(p->dir_fd, "none.db", KV_DB_READONLY, &db), -ENOENT);
	fd = openat(p->dir_fd, "y.db", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "no database, and long enough to see", 35), 35);
	(void)close(fd);
	assert_int_equal(kv_db_open(p->dir_fd, "y.db", 0, &db), -EUCLEAN);
	assert_null(db);
	kv_db_close(NULL);
}

static void read_only_connection_does_not_write(void **state)
{
	struct place *p = *state;
	struct kv_db *db;

	assert_int_equal(insert(p->db, 1, "x"), 1);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", KV_DB_READONLY, &db), 0);
	assert_int_equal(count(db), 1);
	assert_int_equal(insert(db, 2, "y"), -EROFS);
	kv_db_close(db);
}

static void rollback_takes_back_and_commit_keeps(void **state)
{
	struct place *p = *state;

	assert_true(kv_db_begin(p->db) >= 0);
	assert_int_equal(insert(p->db, 1, "x"), 1);
	kv_db_rollback(p->db);
	kv_db_rollback(p->db); /* nothing to take back */
	assert_int_equal(count(p->db), 0);
	assert_true(kv_db_begin(p->db) >= 0);
	assert_int_equal(insert(p->db, 1, "x"), 1);
	assert_int_equal(kv_db_commit(p->db), 0);
	kv_db_close(p->db);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", 0, &p->db), 0);
	assert_int_equal(count(p->db), 1);
}

static void readers_keep_their_snapshot(void **state)
{
	struct place *p = *state;
	struct kv_db *db;

	assert_int_equal(kv_db_open(p->dir_fd, "x.db", KV_DB_READONLY, &db), 0);
	assert_true(kv_db_begin_read(db) >= 0);
	assert_int_equal(count(db), 0);
	assert_int_equal(insert(p->db, 1, "x"), 1);
	assert_int_equal(count(db), 0);
	kv_db_rollback(db);
	assert_int_equal(count(db), 1);
	kv_db_close(db);
}

static void log_keeps_its_size(void **state)
{
	struct place *p = *state;
	struct stat before, after;
	char text[32];

	assert_int_equal(kv_db_warm(p->db), 0);
	assert_int_equal(fstatat(p->dir_fd, "x.db-wal", &before, 0), 0);
	assert_true(before.st_size >= WAL_BYTES);
	for (int i = 0; i < 600; i++) {
		(void)snprintf(text, sizeof(text), "row %d", i);
		assert_int_equal(insert(p->db, i, text), 1);
	}
	kv_db_close(p->db);
	p->db = NULL;
	assert_int_equal(fstatat(p->dir_fd, "x.db-wal", &after, 0), 0);
	assert_int_equal(after.st_size, before.st_size);
}

/* A child is killed inside its transaction: what it had committed is there, and nobody
 * waits for it. */
static void killed_writer_leaves_whole_commits(void **state)
{
	struct place *p = *state;
	int status;
	pid_t pid;

	kv_db_close(p->db);
	p->db = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct kv_db *db;

		if (kv_db_open(p->dir_fd, "x.db", 0, &db) == 0 &&
		    insert(db, 1, "x") == 1 && kv_db_begin(db) >= 0 &&
		    insert(db, 2, "y") == 1)
			(void)raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", 0, &p->db), 0);
	assert_int_equal(count(p->db), 1);
	assert_int_equal(insert(p->db, 2, "z"), 1);
}

static void *write_many(void *arg)
{
	struct place *p = arg;
	struct kv_db *db;
	intptr_t failed = 0;

	if (kv_db_open(p->dir_fd, "x.db", 0, &db) < 0)
		return (void *)1;
	for (int i = 0; i < 50; i++)
		failed += kv_db_do(db, "INSERT INTO t (b) VALUES (hex(randomblob(16)))",
				   "") != 1;
	kv_db_close(db);
	return (void *)failed;
}

static void connections_wait_for_each_other(void **state)
{
	struct place *p = *state;
	pthread_t threads[4];
	void *failed;

	for (size_t i = 0; i < KV_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, p), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(count(p->db), 200);
}

/* --- Files that somebody else left there ------------------------------------------ */

static void put(const char *path, const void *data, size_t n)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	(void)close(fd);
}

/* A link in a file's place leads to the host's own files; a pipe is waited for. */
static void links_and_pipes_are_no_files(void **state)
{
	static const char *const names[] = { "x.db", "x.db-wal", "x.db-shm" };
	static const unsigned flags[] = { 0, KV_DB_READONLY };
	char host[128], path[128], aside[128];
	struct place *p = *state;
	struct kv_db *db = NULL;
	struct stat st;

	(void)snprintf(host, sizeof(host), "%s/host", p->path);
	(void)snprintf(aside, sizeof(aside), "%s/aside", p->path);
	kv_db_close(p->db);
	p->db = NULL;
	for (size_t i = 0; i < KV_ARRAY_SIZE(names) * 3; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", p->path, names[i / 3]);
		assert_int_equal(rename(path, aside), 0);
		put(host, "", 0);
		if (i % 3 == 0)
			assert_int_equal(symlink(host, path), 0);
		else if (i % 3 == 1)
			assert_int_equal(mkfifo(path, 0600), 0);
		else
			assert_int_equal(mkdir(path, 0700), 0);
		for (size_t k = 0; k < KV_ARRAY_SIZE(flags); k++)
			assert_int_equal(kv_db_open(p->dir_fd, "x.db", flags[k], &db),
					 -EUCLEAN);
		assert_null(db);
		assert_int_equal(stat(host, &st), 0);
		assert_int_equal(st.st_size, 0);
		assert_int_equal(remove(path), 0);
		assert_int_equal(rename(aside, path), 0);
	}
	assert_int_equal(unlink(host), 0);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", 0, &p->db), 0);
}

static size_t put_be32(unsigned char *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(v >> (24 - 8 * i));
	return 4;
}

/* https://www.sqlite.org/fileformat.html#the_rollback_journal: one with no pages in it,
 * whose end names a super-journal, which SQLite deletes after it has played the journal
 * back. */
static void journals_delete_nothing(void **state)
{
	static const unsigned char magic[8] = { 0xd9, 0xd5, 0x05, 0xf9,
						0x20, 0xa1, 0x63, 0xd7 };
	unsigned char journal[1024] = { 0 }, *at = journal + 512;
	char canary[128], path[128];
	struct place *p = *state;
	struct kv_db *db = NULL;
	uint32_t sum = 0;

	kv_db_close(p->db);
	p->db = NULL;
	(void)snprintf(canary, sizeof(canary), "%s/canary", p->path);
	(void)snprintf(path, sizeof(path), "%s/x.db-journal", p->path);
	put(canary, "alive", 5);
	memcpy(journal, magic, sizeof(magic));
	put_be32(journal + 16, 1);
	put_be32(journal + 20, 512);
	put_be32(journal + 24, 4096);
	at += put_be32(at, 0x40000000 / 4096 + 1); /* the page that is for locks */
	for (size_t i = 0; i < strlen(canary); i++)
		sum += *at++ = (unsigned char)canary[i];
	at += put_be32(at, (uint32_t)strlen(canary));
	at += put_be32(at, sum);
	memcpy(at, magic, sizeof(magic));
	put(path, journal, (size_t)(at + sizeof(magic) - journal));

	assert_int_equal(kv_db_open(p->dir_fd, "x.db", 0, &db), -EUCLEAN);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", KV_DB_READONLY, &db), -EUCLEAN);
	assert_int_equal(access(canary, F_OK), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(canary), 0);
	assert_int_equal(unlink(path), 0);
}

/* Not turned into one of ours by looking at it. */
static void databases_without_our_log_are_left_alone(void **state)
{
	struct place *p = *state;
	struct kv_db *db = NULL;
	unsigned char modes[2] = { 1, 1 }; /* reading and writing by rollback journal */
	char path[128];
	int fd;

	assert_int_equal(kv_db_exec(p->db, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
	kv_db_close(p->db);
	p->db = NULL;
	assert_int_equal(unlinkat(p->dir_fd, "x.db-wal", 0), 0);
	(void)snprintf(path, sizeof(path), "%s/x.db", p->path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, modes, 2, 18), 2);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", 0, &db), -EUCLEAN);
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", KV_DB_READONLY, &db), -EUCLEAN);
	assert_int_equal(pread(fd, modes, 2, 18), 2);
	(void)close(fd);
	assert_int_equal(modes[0], 1);
	assert_int_equal(modes[1], 1);
}

static void types_are_checked(void **state)
{
	struct place *p = *state;
	struct kv_stmt *stmt;

	assert_int_equal(
		kv_db_query(p->db, &stmt,
			    "SELECT 1, 'x', NULL, x'78', 1.5, 'a' || char(0), ''", ""),
		0);
	assert_int_equal(kv_stmt_step(stmt), 1);
	assert_int_equal(kv_stmt_check(stmt, "itn***t"), 0);
	assert_int_equal(kv_stmt_check(stmt, "*n"), 0);
	assert_int_equal(kv_stmt_check(stmt, "t"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "*i"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "**t"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "**i"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "***t"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "***n"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "****i"), -EUCLEAN);
	assert_int_equal(kv_stmt_check(stmt, "*****t"), -EUCLEAN);
	kv_stmt_reset(stmt);
}

/* --- Damage ----------------------------------------------------------------------- */

/* Changes the last byte of the last (or first) place in the file that says `text`. */
static void change(struct place *p, const char *text, bool last)
{
	static char buf[1 << 20];
	int fd = openat(p->dir_fd, "x.db", O_RDWR | O_CLOEXEC);
	ssize_t n = pread(fd, buf, sizeof(buf), 0);
	size_t size = strlen(text);
	off_t found = -1;

	for (ssize_t i = 0; i + (ssize_t)size <= n; i++)
		if (!memcmp(buf + i, text, size) && (last || found < 0))
			found = i;
	assert_true(found > 0);
	assert_int_equal(pwrite(fd, "!", 1, found + (off_t)size - 1), 1);
	(void)close(fd);
}

/* Out of the log, and open again. */
static void reopen(struct place *p)
{
	assert_int_equal(kv_db_open(p->dir_fd, "x.db", 0, &p->db), 0);
}

static void settle(struct place *p)
{
	assert_int_equal(kv_db_exec(p->db, "INSERT INTO t VALUES (1, 'needle')"), 0);
	assert_int_equal(kv_db_exec(p->db, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
	kv_db_close(p->db);
	p->db = NULL;
}

static void wrong_index_is_made_anew(void **state)
{
	struct place *p = *state;
	struct kv_stmt *stmt;

	assert_int_equal(kv_db_check(p->db, false), 0);
	settle(p);
	change(p, "needle", true); /* the index comes behind the table */
	reopen(p);
	assert_int_equal(kv_db_check(p->db, false), 1);
	assert_int_equal(kv_db_check(p->db, false), 1);
	assert_int_equal(kv_db_check(p->db, true), 1);
	assert_int_equal(kv_db_check(p->db, true), 0);
	assert_int_equal(
		kv_db_query(p->db, &stmt, "SELECT a FROM t WHERE b = 'needle'", ""), 0);
	assert_int_equal(kv_stmt_step(stmt), 1);
	kv_stmt_reset(stmt);
}

static void damaged_table_is_not_mended(void **state)
{
	struct place *p = *state;
	char garbage[512];
	int fd;

	settle(p);
	fd = openat(p->dir_fd, "x.db", O_RDWR | O_CLOEXEC);
	memset(garbage, 0xa5, sizeof(garbage));
	assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 4096), sizeof(garbage));
	(void)close(fd);
	reopen(p);
	assert_int_equal(kv_db_check(p->db, false), -EUCLEAN);
	assert_int_equal(kv_db_check(p->db, true), -EUCLEAN);
}

/* --- A disk that fails ------------------------------------------------------------ */

/* SQLite's stock VFS calls these in the place of the kernel's. */
static unsigned reads_left, unlinks_left, writes_left;

static bool fails_now(unsigned *left)
{
	if (!*left || --*left)
		return false;
	errno = EIO;
	return true;
}

static ssize_t failing_pread(int fd, void *buf, size_t n, off_t offset)
{
	return fails_now(&reads_left) ? -1 : pread(fd, buf, n, offset);
}

static ssize_t failing_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	return fails_now(&writes_left) ? -1 : pwrite(fd, buf, n, offset);
}

static int failing_unlink(const char *path)
{
	return fails_now(&unlinks_left) ? -1 : unlink(path);
}

static void replace(const char *name, sqlite3_syscall_ptr call)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find("unix");

	assert_non_null(vfs);
	assert_int_equal(vfs->xSetSystemCall(vfs, name, call), SQLITE_OK);
}

static int setup_failing(void **state)
{
	replace("pread", (sqlite3_syscall_ptr)failing_pread);
	replace("pread64", (sqlite3_syscall_ptr)failing_pread);
	replace("pwrite", (sqlite3_syscall_ptr)failing_pwrite);
	replace("pwrite64", (sqlite3_syscall_ptr)failing_pwrite);
	replace("unlink", (sqlite3_syscall_ptr)failing_unlink);
	return setup(state);
}

static int teardown_failing(void **state)
{
	reads_left = writes_left = unlinks_left = 0;
	replace(NULL, NULL); /* all of them */
	return teardown(state);
}

/* A database that was made can be opened; one that cannot was not made. */
static bool made(struct place *p, unsigned *left, unsigned nth)
{
	static const char *const files[] = { "z.db", "z.db-wal", "z.db-journal" };
	struct kv_db *db = NULL;
	bool met;
	int r;

	*left = nth;
	r = kv_db_open(p->dir_fd, "z.db", KV_DB_CREATE, &db);
	met = *left == 0;
	*left = 0;
	kv_db_close(db);
	if (r == 0) {
		assert_int_equal(kv_db_open(p->dir_fd, "z.db", 0, &db), 0);
		kv_db_close(db);
	} else {
		assert_true(met);
		assert_int_equal(r, -EIO);
	}
	for (size_t i = 0; i < KV_ARRAY_SIZE(files); i++)
		(void)unlinkat(p->dir_fd, files[i], 0);
	return met;
}

static void log_that_was_not_begun_is_an_error(void **state)
{
	struct place *p = *state;
	unsigned n = 0;

	while (made(p, &unlinks_left, n + 1))
		n++;
	assert_true(n > 0); /* the rollback journal's: by it the change is committed */
	n = 0;
	while (made(p, &writes_left, n + 1))
		n++;
	assert_true(n > 2);
}

/* Nobody is sent to mend a database whose disk did not answer. */
static void what_cannot_be_read_is_not_damaged(void **state)
{
	struct place *p = *state;
	unsigned n = 0;
	bool met;
	int r;

	settle(p);
	do {
		reopen(p);
		reads_left = n + 1;
		r = kv_db_check(p->db, true);
		met = reads_left == 0;
		reads_left = 0;
		assert_int_equal(r, met ? -EIO : 0);
		kv_db_close(p->db);
		p->db = NULL;
		n += met;
	} while (met);
	assert_true(n > 1); /* the table and its index */
	reopen(p);
	assert_int_equal(kv_db_check(p->db, true), 0);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define on_failing_disk(test) \
	cmocka_unit_test_setup_teardown(test, setup_failing, teardown_failing)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(values_come_back),
		in_place(errors_are_errnos),
		in_place(read_only_connection_does_not_write),
		in_place(rollback_takes_back_and_commit_keeps),
		in_place(readers_keep_their_snapshot),
		in_place(log_keeps_its_size),
		in_place(killed_writer_leaves_whole_commits),
		in_place(connections_wait_for_each_other),
		in_place(wrong_index_is_made_anew),
		in_place(damaged_table_is_not_mended),
		in_place(links_and_pipes_are_no_files),
		in_place(journals_delete_nothing),
		in_place(databases_without_our_log_are_left_alone),
		in_place(types_are_checked),
		on_failing_disk(log_that_was_not_begun_is_an_error),
		on_failing_disk(what_cannot_be_read_is_not_damaged),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
