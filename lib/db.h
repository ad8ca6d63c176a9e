/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_DB_H
#define KV_DB_H

/* L1: SQLite. One connection, for one thread at a time (the caller's lock). Errors are
 * negative errnos: -ETIMEDOUT busy, -EUCLEAN damaged, -EEXIST a constraint, -EIO,
 * -ENOSPC, -ENOMEM, -EROFS. */

#include "util.h"

struct kv_db;
struct kv_stmt;

#define KV_DB_CREATE   (1u << 0) /* the file must not be there */
#define KV_DB_READONLY (1u << 1)

/* Opens `name` in the directory dir_fd, which may be on a detached mount. The fd is
 * borrowed for the connection's life. Sets write-ahead logging, a flush at each commit,
 * and a WAL file that keeps its size. -EUCLEAN also for what we would not have left
 * there: a database without write-ahead logging, a rollback journal, a link in a file's
 * place. */
int kv_db_open(int dir_fd, const char *name, unsigned flags, struct kv_db **ret);
void kv_db_close(struct kv_db *db); /* NULL is a no-op */

int kv_db_exec(struct kv_db *db, const char *sql);
int kv_db_begin(struct kv_db *db);	/* takes the write lock */
int kv_db_begin_read(struct kv_db *db); /* a snapshot to read from */
int kv_db_commit(struct kv_db *db);	/* on failure the transaction is rolled back */
void kv_db_rollback(struct kv_db *db);
/* Inside a transaction: what is done between the two can be taken back by itself. Undoing
 * it, and errors of some kinds, may end the whole transaction: kv_db_in_transaction says
 * so. */
int kv_db_savepoint(struct kv_db *db);
void kv_db_release(struct kv_db *db, bool undo);
bool kv_db_in_transaction(struct kv_db *db);

/*
 * Statements are prepared once per connection and cached by the address of their text:
 * pass literals only. `types` has a letter for each parameter: 'i' int64_t, 't' const
 * char * that stays until the statement is reset, 'T' one that need not. kv_db_query
 * readies one for stepping; kv_db_do runs one and returns the number of rows changed.
 */
int kv_db_query(struct kv_db *db, struct kv_stmt **ret, const char *sql,
		const char *types, ...);
int kv_db_do(struct kv_db *db, const char *sql, const char *types, ...);

int kv_stmt_step(struct kv_stmt *stmt); /* 1 a row, 0 the end */
/* The row's columns, a letter for each: 'i' an integer, 't' text without a NUL in it, 'n'
 * such a text or NULL, '*' anything. -EUCLEAN otherwise: SQLite keeps in a column
 * whatever was put there, and converts it without a word. */
int kv_stmt_check(struct kv_stmt *stmt, const char *types);
void kv_stmt_reset(struct kv_stmt *stmt); /* gives the read snapshot back */
int64_t kv_stmt_int(struct kv_stmt *stmt, int column);
const char *kv_stmt_text(struct kv_stmt *stmt,
			 int column); /* "" for NULL; until the next step */

/* What is read from now on survives a power cut, also where its writer was killed before
 * it had flushed it. After the first read. */
int kv_db_flush(struct kv_db *db);

/* Reads all of the database and its indexes. 1: only an index is wrong; -EUCLEAN: more
 * is. mend: a wrong index is made anew. */
int kv_db_check(struct kv_db *db, bool mend);

/* Writes the WAL file up to its lasting size, so that no later commit has to grow it. */
int kv_db_warm(struct kv_db *db);

#endif
