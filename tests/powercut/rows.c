// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue of a cut disk: is its superblock one that the kernel mounts, does its
 * journal replay, is the file system sound then, is the database, and what is in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reading.h"
#include "util.h"

#define SUPER_OFFSET  1024
#define SUPER_SIZE    1024
#define SUPER_CSUM    0x3fc
#define SUPER_RO      0x64 /* s_feature_ro_compat */
#define METADATA_CSUM 0x400u

int wrong(char why[WHY_SIZE], const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	(void)vsnprintf(why, WHY_SIZE, fmt, ap);
	va_end(ap);
	for (p = why; (p = strchr(p, '\n'));)
		*p = ' ';
	return -1;
}

/* --- The file system -------------------------------------------------------------- */

static uint32_t crc32c(const unsigned char *p, size_t n)
{
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* The kernel does not mount what e2fsck would mend from another copy. */
static int check_super(const char *image, char why[WHY_SIZE])
{
	_cleanup_close_ int fd = open(image, O_RDONLY | O_CLOEXEC);
	unsigned char super[SUPER_SIZE];
	uint32_t csum, features;

	if (fd < 0 || kv_pread_full(fd, super, sizeof(super), SUPER_OFFSET) < 0)
		return wrong(why, "%s: %s", image, strerror(errno));
	memcpy(&csum, super + SUPER_CSUM, sizeof(csum));
	memcpy(&features, super + SUPER_RO, sizeof(features));
	if (features & METADATA_CSUM && csum != crc32c(super, SUPER_CSUM))
		return wrong(why,
			     "the catalogue's ext4: the superblock's checksum is wrong");
	return 0;
}

/* Runs a command line; its last output goes to `why` if it exits with more than `most`.
 */
static int run(const char *what, int most, char why[WHY_SIZE], const char *fmt, ...)
{
	char command[1024], output[WHY_SIZE - 100] = "", line[256];
	va_list ap;
	int status;
	FILE *f;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	f = popen(command, "re");
	if (!f)
		return wrong(why, "%s: %s", what, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (strlen(output) + strlen(line) < sizeof(output))
			strcat(output, line);
	status = pclose(f);
	if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) > most)
		return wrong(why, "%s: exit %d: %s", what,
			     WIFEXITED(status) ? WEXITSTATUS(status) : 255, output);
	return 0;
}

/* e2fsck's exit code 1: what it found is what it is always allowed to correct. */
static int take_out(const char *image, const char *dir, char why[WHY_SIZE])
{
	int r = check_super(image, why);

	if (r == 0)
		r = run("the catalogue's ext4: e2fsck", 1, why,
			"exec e2fsck -fp '%s' 2>&1", image);
	if (r == 0)
		r = run("the catalogue's ext4: debugfs", 0, why,
			"cd '%s' && rm -f catalogue.db catalogue.db-wal catalogue.db-shm && "
			"printf 'dump catalogue.db catalogue.db\\ndump catalogue.db-wal "
			"catalogue.db-wal\\n' | debugfs -f - '%s' 2>&1 >/dev/null",
			dir, image);
	return r;
}

/* --- The database ----------------------------------------------------------------- */

struct query {
	struct rows *rows;
	char *why;
};

static const char *text(char **v, int i)
{
	return v[i] ? v[i] : "";
}

static bool fits(char *ret, size_t size, const char *s)
{
	return (size_t)snprintf(ret, size, "%s", s) < size;
}

static int take_integrity(void *arg, int n, char **v, char **names)
{
	struct query *q = arg;

	(void)n;
	(void)names;
	return strcmp(text(v, 0), "ok") ? wrong(q->why, "integrity_check: %s", text(v, 0))
					: 0;
}

static int take_pool(void *arg, int n, char **v, char **names)
{
	struct query *q = arg;
	struct rows *x = q->rows;

	(void)n;
	(void)names;
	x->block_bytes = strtoull(text(v, 2), NULL, 10);
	x->max_volumes = strtoull(text(v, 3), NULL, 10);
	x->epoch = strtoull(text(v, 4), NULL, 10);
	x->snapshots = strtoull(text(v, 5), NULL, 10);
	return fits(x->uuid, sizeof(x->uuid), text(v, 0)) &&
			       fits(x->name, sizeof(x->name), text(v, 1))
		       ? 0
		       : wrong(q->why, "the row of the pool makes no sense");
}

static int take_volume(void *arg, int n, char **v, char **names)
{
	struct query *q = arg;
	struct row *row = &q->rows->rows[q->rows->n_rows];

	(void)n;
	(void)names;
	if (q->rows->n_rows++ == ROWS_MAX)
		return wrong(q->why, "too many volumes");
	row->id = (uint32_t)strtoul(text(v, 0), NULL, 10);
	row->kind = (uint32_t)strtoul(text(v, 2), NULL, 10);
	row->bytes = strtoull(text(v, 3), NULL, 10);
	return fits(row->name, sizeof(row->name), text(v, 1)) &&
			       fits(row->source, sizeof(row->source), text(v, 4)) &&
			       fits(row->fs_type, sizeof(row->fs_type), text(v, 5))
		       ? 0
		       : wrong(q->why, "the row of volume %u makes no sense", row->id);
}

static int take_reservation(void *arg, int n, char **v, char **names)
{
	struct query *q = arg;
	unsigned i = q->rows->n_reservations++;

	(void)n;
	(void)names;
	if (i == RESERVATIONS_MAX)
		return wrong(q->why, "too many reservations");
	q->rows->reservations[i].first = (uint32_t)strtoul(text(v, 0), NULL, 10);
	q->rows->reservations[i].count = (uint32_t)strtoul(text(v, 1), NULL, 10);
	return 0;
}

static int query_all(sqlite3 *db, struct query *q)
{
	static const struct {
		const char *sql;
		int (*take)(void *, int, char **, char **);
	} queries[] = {
		{ "PRAGMA integrity_check", take_integrity },
		{ "SELECT uuid, name, block_bytes, max_volumes, epoch, snapshots FROM pool",
		  take_pool },
		{ "SELECT id, name, kind, bytes, source, fs_type FROM volume",
		  take_volume },
		{ "SELECT first, count FROM reservation", take_reservation },
	};

	for (size_t i = 0; i < KV_ARRAY_SIZE(queries); i++)
		if (sqlite3_exec(db, queries[i].sql, queries[i].take, q, NULL) !=
		    SQLITE_OK) {
			if (!q->why[0])
				(void)wrong(q->why, "%s: %s", queries[i].sql,
					    sqlite3_errmsg(db));
			return -1;
		}
	return q->rows->name[0] ? 0
				: wrong(q->why, "the catalogue has no row of the pool");
}

int read_rows(const char *image, const char *dir, struct rows *ret, char why[WHY_SIZE])
{
	struct query q = { ret, why };
	char path[512];
	sqlite3 *db;
	int r;

	memset(ret, 0, sizeof(*ret));
	why[0] = 0;
	r = take_out(image, dir, why);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/catalogue.db", dir);
	r = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK
		    ? query_all(db, &q)
		    : wrong(why, "catalogue.db: %s", sqlite3_errmsg(db));
	(void)sqlite3_close(db);
	return r;
}
