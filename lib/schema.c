// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue's tables, which doc/on-disk-format.md describes: making them, and telling
 * ours from anybody else's.
 *
 * A schema can carry SQL: triggers, views, generated columns, indices on expressions,
 * tables that are code. A disk may come from anybody, so every object in it is held
 * against ours, word for word; one more, one less or one that differs is -EUCLEAN, before
 * any of it is used. A later version of the schema has another user_version, and a table
 * of its own in here.
 *
 * A crash while the tables are made leaves a pool that is not there yet (format.c).
 */
#include <errno.h>
#include <string.h>

#include "catalogue_db.h"

static const char pragmas[] = "PRAGMA page_size = 4096;"
			      "PRAGMA application_id = 0x6b766f6c;"
			      "PRAGMA user_version = 1;";

/* As SQLite keeps them. */
static const char *const schema[] = {
	"CREATE TABLE pool ("
	"  one INTEGER PRIMARY KEY CHECK (one = 1),"
	"  uuid TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,"
	"  block_bytes INTEGER NOT NULL, max_volumes INTEGER NOT NULL,"
	"  epoch INTEGER NOT NULL, next_id INTEGER NOT NULL, snapshots INTEGER NOT NULL,"
	"  n_volumes INTEGER NOT NULL, n_snapshots INTEGER NOT NULL,"
	"  pages INTEGER NOT NULL,"
	"  thick_pages INTEGER NOT NULL, thick_blocks INTEGER NOT NULL)",
	"CREATE TABLE volume ("
	"  id INTEGER PRIMARY KEY,"
	"  name TEXT UNIQUE,"
	"  kind INTEGER NOT NULL, flags INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	"  created INTEGER NOT NULL, source TEXT NOT NULL, fs_type TEXT NOT NULL,"
	"  uuid TEXT NOT NULL)",
	"CREATE INDEX template ON volume (id) WHERE kind = 3",
	"CREATE INDEX spare ON volume (id) WHERE " KV_SQL_SPARE,
	"CREATE TABLE reservation ("
	"  row INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  owner INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL)",
	"CREATE TABLE label ("
	"  volume INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
	"  PRIMARY KEY (volume, key)) WITHOUT ROWID",
	"CREATE TABLE policy ("
	"  one INTEGER PRIMARY KEY CHECK (one = 1),"
	"  max_volumes INTEGER NOT NULL, max_published INTEGER NOT NULL,"
	"  overcommit INTEGER NOT NULL, publish_flags INTEGER NOT NULL)",
	"CREATE TABLE ephemeral ("
	"  volume INTEGER PRIMARY KEY, boot TEXT NOT NULL)",
};

/* What SQLite adds: the table that AUTOINCREMENT counts in, and an index for UNIQUE. */
#define SEQUENCE_TABLE "CREATE TABLE sqlite_sequence(name,seq)"
#define UNIQUE_INDEX   "sqlite_autoindex_volume_1"
#define N_OBJECTS      (KV_ARRAY_SIZE(schema) + 2)

int kv_schema_create(struct kv_db *db)
{
	int r = kv_db_exec(db, pragmas);

	for (size_t i = 0; i < KV_ARRAY_SIZE(schema) && r == 0; i++)
		r = kv_db_exec(db, schema[i]);
	return r;
}

/* Another program's database, or a newer kvol's, is not for us to touch. */
static int check_version(struct kv_db *db)
{
	struct kv_stmt *stmt;
	int r;

	r = kv_db_query(db, &stmt,
			"SELECT a.application_id = 0x6b766f6c AND v.user_version = 1"
			" FROM pragma_application_id a, pragma_user_version v",
			"");
	if (r < 0)
		return r;
	r = kv_stmt_step(stmt);
	if (r >= 0)
		r = r == 1 && kv_stmt_int(stmt, 0) ? 0 : -EUCLEAN;
	kv_stmt_reset(stmt);
	return r;
}

/* The number of an object that belongs to the schema, or -EUCLEAN. */
static int find_object(const char *name, const char *sql)
{
	for (size_t i = 0; i < KV_ARRAY_SIZE(schema); i++)
		if (!strcmp(sql, schema[i]))
			return (int)i;
	if (!strcmp(sql, SEQUENCE_TABLE))
		return KV_ARRAY_SIZE(schema);
	if (!sql[0] && !strcmp(name, UNIQUE_INDEX))
		return KV_ARRAY_SIZE(schema) + 1;
	return -EUCLEAN;
}

/* No more than ours, and no less: no view, trigger, function or collation can be in it.
 */
int kv_schema_check(struct kv_db *db)
{
	struct kv_stmt *stmt;
	unsigned seen = 0;
	int r, i;

	r = check_version(db);
	if (r == 0)
		r = kv_db_query(db, &stmt, "SELECT name, sql FROM sqlite_master", "");
	if (r < 0)
		return r;
	while ((r = kv_stmt_step(stmt)) == 1) {
		r = kv_stmt_check(stmt, "tn");
		i = r < 0 ? r : find_object(kv_stmt_text(stmt, 0), kv_stmt_text(stmt, 1));
		if (i < 0 || seen & 1u << i) {
			r = -EUCLEAN;
			break;
		}
		seen |= 1u << i;
	}
	kv_stmt_reset(stmt);
	if (r == 0 && seen != (1u << N_OBJECTS) - 1)
		r = -EUCLEAN;
	return r;
}
