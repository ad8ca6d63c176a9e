// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * test_hostile: everything of a pool's disk that is read before its volumes are, and the
 * run directory. Each case spoils a copy of the pool's file, opens it, and tries every
 * verb if that worked.
 */
#include <unistd.h>

#include "hostile.h"

#define UUID "01234567-89ab-4def-8123-456789abcdef"

static unsigned cases(void)
{
	return long_form ? 150 : 2;
}

/* --- Using what is there ---------------------------------------------------------- */

static int list_all(struct kvol_pool *p)
{
	struct kvol_info info = { .size = sizeof(info) };
	char names[4][256];
	struct kvol_iter *iter;
	unsigned n = 0;
	int r;

	TRY(kvol_list(p, 0, &iter, &err));
	if (r < 0)
		return 0;
	while ((r = kvol_iter_next(iter, &info)) == 1 && n < 10000)
		(void)snprintf(names[n++ % N_OF(names)], sizeof(names[0]), "%s",
			       info.name);
	kvol_iter_free(iter);
	CHILD_CHECK(r <= 0);
	for (unsigned i = 0; i < n && i < N_OF(names); i++)
		TRY(kvol_stat(p, names[i], &info, &err));
	return 0;
}

static int change(struct kvol_pool *p)
{
	struct kvol_publish_opts block = { .size = sizeof(block),
					   .flags = KVOL_PUBLISH_BLOCK };
	int r;

	TRY(kvol_snapshot(p, "fs", "new-s", NULL, &err));
	TRY(kvol_publish(p, "fs", in_dir("place"), NULL, &err));
	TRY(kvol_expand(p, "fs", MIB(40), 0, &err));
	TRY(kvol_unpublish(p, "fs", in_dir("place"), NULL, &err));
	TRY(kvol_publish(p, "raw", in_dir("node"), &block, &err));
	TRY(kvol_unpublish(p, "raw", in_dir("node"), NULL, &err));
	TRY(kvol_clone(p, "fs@1", "new-c", NULL, &err));
	TRY(kvol_delete(p, "raw", 0, &err));
	TRY(kvol_delete(p, "fs", 0, &err));
	TRY(kvol_create(p, "new", MIB(16), NULL, &err));
	return 0;
}

static int use(struct kvol_pool *p)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	int r;

	TRY(kvol_pool_stat(p, &info, &err));
	r = list_all(p);
	return r ? r : change(p);
}

static int open_and_use(void *arg)
{
	struct kvol_pool *p = NULL;
	int r, used;

	(void)arg;
	TRY(kvol_pool_open(ctx, copy, NULL, &p, &err));
	CHILD_CHECK((r == 0) == (p != NULL));
	if (r < 0)
		return REFUSED;
	used = use(p);
	if (used)
		return used;
	TRY(kvol_pool_deactivate(p, &err));
	kvol_pool_close(p);
	return r == 0 ? OPENED : STUCK;
}

static int check(void *arg)
{
	struct kvol_repair_opts o = { .size = sizeof(o), .flags = KVOL_REPAIR_CHECK };
	struct kvol_repair_info info = { .size = sizeof(info) };
	int r;

	(void)arg;
	TRY(kvol_pool_repair(ctx, copy, &o, &info, &err));
	return r == 0 ? OPENED : REFUSED;
}

static void try_copy(const char *what, int want)
{
	(void)make_file("node");
	/* Checking must stand what opening stands. */
	if (next_random() % 4 == 0)
		(void)case_run(what, check, NULL, EITHER);
	(void)case_run(what, open_and_use, NULL, want);
}

static void flip(const char *part, uint64_t limit, unsigned n, const char *what)
{
	uint64_t start, bytes;

	part_of(part, &start, &bytes);
	flip_bits(copy, start, limit && limit < bytes ? limit : bytes, n);
	try_copy(what, EITHER);
}

/* --- Before the catalogue --------------------------------------------------------- */

void partition_tables(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cases(); i++) {
		case_begin();
		take_copy();
		flip_bits(copy, 0, 4096, 1 + (unsigned)(next_random() % 8));
		flip_bits(copy, GIB(8) - 17408, 17408, 1 + (unsigned)(next_random() % 8));
		try_copy("a partition table", EITHER);
	}
}

static void put_claim(const char *lines, const char *uuid)
{
	char text[400], sector[512] = { 0 };
	uint64_t sum;
	int n;

	n = snprintf(text, sizeof(text), "kvol host claim 1\npool %s\n%s", uuid, lines);
	sum = mix(MIX_BASIS, text, (size_t)n);
	(void)snprintf(sector, sizeof(sector), "%ssum %016" PRIx64 "\n", text, sum);
	write_at(copy, 524288, sector, sizeof(sector));
}

/* A claim that is not understood is somebody's, and what it says is shown to a person. */
void claims_of_strangers(void **state)
{
	static const char *const claims[] = {
		"state held\nsince 1\ngiven \x1b[2J\nmachine -\nboot -\n",
		"state held\nsince -1\ngiven x\nmachine -\nboot -\n",
		"state held\nsince 99999999999999999999\ngiven x\nmachine -\nboot -\n",
		"state held\nsince 9223372036854775807\ngiven x\nmachine -\nboot -\n",
		"state\nsince\ngiven\nmachine\nboot\n",
		"state held\nsince 1\ngiven %s%n%s\nmachine %s\nboot %s\n",
		"",
		"\n\n\n\n\n\n",
		"state held\nsince 1\ngiven x\nmachine -\nboot -\nmore x\n",
	};
	char uuid[40];

	(void)state;
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	(void)snprintf(uuid, sizeof(uuid), "%s", pool_info().uuid);
	deactivate_pool();
	for (size_t i = first(); i < N_OF(claims); i += step()) {
		case_begin();
		take_copy();
		put_claim(claims[i], uuid);
		try_copy(claims[i], REFUSED);
	}
	case_begin();
	take_copy();
	put_claim("state free\nsince 1\ngiven a\nmachine -\nboot -\n", uuid);
	try_copy("a claim that is in order", OPENED);
	for (unsigned i = 0; i < cases(); i++) {
		case_begin();
		take_copy();
		put_claim("state held\nsince 1\ngiven b\nmachine -\nboot -\n", uuid);
		flip_bits(copy, 524288 + 16 * (i % 2), 200,
			  1 + (unsigned)(next_random() % 64));
		try_copy("a flipped claim", EITHER);
	}
}

/* --- The catalogue ---------------------------------------------------------------- */

static void by_sql(const char *sql, int want)
{
	char script[2048];

	case_begin();
	take_copy();
	(void)snprintf(script, sizeof(script), "sqlite3 catalogue.db \"%s\"", sql);
	in_copys_catalogue(script);
	try_copy(sql, want);
}

/* What no version of the library has written: all of it is refused. */
void catalogues_of_strangers(void **state)
{
	static const char *const sql[] = {
		"CREATE TRIGGER t AFTER UPDATE ON pool BEGIN DELETE FROM volume; END;",
		"DROP TABLE volume; CREATE VIEW volume AS SELECT 1 AS id, 'v' AS name, "
		"1 AS kind, 0 AS flags, 4096 AS bytes, 0 AS created, '' AS source, "
		"'' AS fs_type, '" UUID "' AS uuid;",
		"DROP TABLE volume; CREATE TABLE volume (id, name, kind, flags, bytes, "
		"created, source, fs_type, uuid);",
		"DROP TABLE reservation;",
		"DROP INDEX spare; CREATE INDEX spare ON volume (abs(bytes)) WHERE "
		"flags & 1;",
		"CREATE TABLE more (x);",
		"PRAGMA user_version = 2;",
		"UPDATE pool SET uuid = '" UUID "';",
		"UPDATE pool SET uuid = x'00';",
		"UPDATE pool SET block_bytes = 0;",
		"UPDATE pool SET block_bytes = 1 << 40;",
		"UPDATE pool SET name = '../../etc';",
		"UPDATE pool SET max_volumes = -1;",
		"DELETE FROM pool;",
	};

	(void)state;
	for (size_t i = first(); i < N_OF(sql); i += step())
		by_sql(sql[i], REFUSED);
}

/* Rows that could not have been written here: refused, or what they are of is. */
void rows_of_strangers(void **state)
{
	static const char *const sql[] = {
		"UPDATE volume SET name = x'76' WHERE name = 'fs';",
		"UPDATE volume SET name = 'v' || char(0) || 'w' WHERE name = 'fs';",
		"UPDATE volume SET name = hex(zeroblob(4000)) WHERE name = 'raw';",
		"UPDATE volume SET bytes = 9223372036854771712;",
		"UPDATE volume SET bytes = 'many';",
		"UPDATE volume SET kind = 7;",
		"UPDATE volume SET fs_type = '../../x';",
		"UPDATE volume SET fs_type = 'btrfs';",
		"UPDATE volume SET source = char(27) || '[2J';",
		"UPDATE volume SET id = 16777216 WHERE name = 'fs';",
		"UPDATE volume SET id = -5 WHERE name = 'fs';",
		"UPDATE volume SET id = 99 WHERE name = 'fs';",
		"UPDATE volume SET flags = -1;",
		"UPDATE volume SET uuid = '';",
		"UPDATE volume SET created = -1;",
		"UPDATE pool SET next_id = -1;",
		"UPDATE pool SET snapshots = 16777215;",
		"UPDATE pool SET epoch = -1;",
		"INSERT INTO reservation VALUES (99, 7, 0, 16777216);",
		"INSERT INTO reservation VALUES (99, -7, 5, 3);",
		"INSERT INTO reservation VALUES (99, 0, 9223372036854775807, "
		"9223372036854775807);",
		"WITH RECURSIVE c(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM c LIMIT "
		"5000) INSERT INTO volume SELECT i, NULL, 1, 0, 4096, 0, '', '', '' FROM c;",
	};

	(void)state;
	for (size_t i = first(); i < N_OF(sql); i += step())
		by_sql(sql[i], EITHER);
}

/* Files that are something else; a link and a journal would lead out of the pool. */
void files_of_strangers(void **state)
{
	static const char *const scripts[] = {
		"rm catalogue.db && ln -s ../canary catalogue.db",
		"rm catalogue.db && ln -s \"$PWD/../canary\" catalogue.db",
		"rm -f catalogue.db-wal && ln -s \"$PWD/../canary\" catalogue.db-wal",
		"rm -f catalogue.db-shm && ln -s \"$PWD/../canary\" catalogue.db-shm",
		"rm catalogue.db && mkfifo catalogue.db",
		"rm catalogue.db && mknod catalogue.db b 8 0",
		"rm catalogue.db && mkdir catalogue.db",
		"rm -f catalogue.db-wal && mkdir catalogue.db-wal",
		"truncate -s 1T catalogue.db",
		"truncate -s 100 catalogue.db",
		/* A hot journal whose super-journal is a file outside. */
		"python3 -c 'import struct, os\n"
		"name = os.path.abspath(\"../canary\").encode()\n"
		"magic = bytes.fromhex(\"d9d505f920a163d7\")\n"
		"head = (magic + struct.pack(\">IIIII\", 0, 0, 9, 512, 4096))\n"
		"open(\"catalogue.db-journal\", \"wb\").write(head.ljust(512, b\"\\0\") + "
		"struct.pack(\">I\", 262145) + name + "
		"struct.pack(\">II\", len(name), sum(name)) + magic)'",
	};

	(void)state;
	for (size_t i = first(); i < N_OF(scripts); i += step()) {
		case_begin();
		take_copy();
		in_copys_catalogue(scripts[i]);
		try_copy(scripts[i], EITHER);
	}
}

void flipped_catalogues(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cases(); i++) {
		const char *file = i % 2 ? "catalogue.db-wal" : "catalogue.db";

		case_begin();
		take_copy();
		in_copys_catalogue(
			i % 4 < 2 ? "cp catalogue.db* .."
				  : "sqlite3 catalogue.db 'PRAGMA wal_checkpoint' && "
				    "touch catalogue.db-wal && cp catalogue.db* ..");
		assert_sh("stat -c %%s %s/%s", dir, file);
		if (atoll(sh_output()) > 0)
			flip_bits(in_dir("%s", file), 0, (uint64_t)atoll(sh_output()),
				  1 + (unsigned)(next_random() % 64));
		in_copys_catalogue("cp ../catalogue.db ../catalogue.db-wal .; "
				   "rm -f catalogue.db-shm");
		try_copy("a flipped catalogue", EITHER);
	}
	assert_sh("rm -f '%s'/catalogue.db*", dir);
}

void flipped_file_system_of_the_catalogue(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cases(); i++) {
		case_begin();
		take_copy();
		flip("kvol-catalogue", i % 2 ? MIB(4) : KIB(64),
		     1 + (unsigned)(next_random() % 200), "a flipped catalogue's ext4");
	}
}

/* --- The thin pool ---------------------------------------------------------------- */

void flipped_thin_metadata(void **state)
{
	(void)state;
	for (unsigned i = 0; i < cases(); i++) {
		case_begin();
		take_copy();
		flip("kvol-metadata", i % 4 ? KIB(256) : 4096,
		     1 + (unsigned)(next_random() % 100), "flipped thin metadata");
	}
}

/* Fields of the superblock, under a checksum that says that all is well. */
void thin_superblocks_that_add_up(void **state)
{
	/* Flags, transaction id, held root, three roots, block sizes, features. */
	static const unsigned fields[] = { 4,	40,  48,  56,  64,  88,
					   320, 328, 332, 336, 344, 352 };
	unsigned char block[METADATA_BLOCK];
	uint64_t value;

	(void)state;
	for (unsigned i = (unsigned)first(); i < (long_form ? cases() : N_OF(fields));
	     i += (unsigned)step()) {
		case_begin();
		take_copy();
		super_read(block);
		value = next_random() >> next_random() % 64;
		memcpy(block + fields[i % N_OF(fields)], &value,
		       i % 2 ? sizeof(value) : sizeof(uint32_t));
		super_write(block);
		try_copy("a superblock that adds up", EITHER);
	}
}

/* --- The run directory ------------------------------------------------------------ */

static int use_spoiled(void *arg)
{
	const char *script = arg;
	struct kvol_pool *p = NULL;
	int r, used;

	TRY(kvol_pool_open(ctx, copy, NULL, &p, &err));
	if (r < 0)
		return REFUSED;
	TRY(kvol_publish(p, "clone", in_dir("place"), NULL, &err));
	CHILD_CHECK(sh("cd /run/kvol/*-*-*/ && %s", script) == 0);
	used = use(p);
	if (used)
		return used;
	TRY(kvol_unpublish(p, "clone", in_dir("place"), NULL, &err));
	if (r < 0)
		CHILD_CHECK(sh("umount %s", in_dir("place")) == 0);
	TRY(kvol_pool_deactivate(p, &err));
	kvol_pool_close(p);
	CHILD_CHECK(sh("rm -rf /run/kvol/*-*-*/") == 0);
	return r == 0 ? OPENED : STUCK;
}

void run_directories_of_strangers(void **state)
{
	static const char *const scripts[] = {
		"head -c 520 /dev/urandom > unfinished",
		": > unfinished",
		"truncate -s 3 unfinished",
		"yes | head -c 100000 > unfinished",
		"rm unfinished && mkdir unfinished",
		"rm unfinished && ln -s ../../../etc/passwd unfinished",
		"for f in publish/*/*; do head -c 300 /dev/urandom > $f; done",
		"for f in publish/*/*; do : > $f; done",
		"for f in publish/*/*; do tr / . < $f > x && mv x $f; done",
		"rm -rf publish && ln -s /etc publish",
		"for d in publish/*; do mkdir $d/more && touch $d/x $d/.. ; done",
		"mkdir -p publish/99999999 publish/-1 publish/x && touch publish/99999999/x",
	};

	(void)state;
	for (size_t i = first(); i < N_OF(scripts); i += step()) {
		case_begin();
		take_copy();
		(void)make_file("node");
		(void)case_run(scripts[i], use_spoiled, (void *)(uintptr_t)scripts[i],
			       EITHER);
	}
}
