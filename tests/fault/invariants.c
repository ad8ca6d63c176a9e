/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See invariants.h. The catalogue is read by SQL on a connection of its own, the thin
 * pool, the devices and the mounts are read in the model: nothing is asked of the library
 * that the library could have wrong.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fixture.h"
#include "invariants.h"
#include "verb.h"

#define PROBE_BYTES (UINT64_C(512) << 20)
#define PROBE_NAME  "zz probe"
#define STACK_DEVS  4

static char line[512];

static const char *say(const char *fmt, ...) KV_PRINTF(1, 2);
static const char *say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	return line;
}

/* --- The catalogue, read by SQL --------------------------------------------------- */

static sqlite3 *open_catalogue(const char *path)
{
	_cleanup_close_ int fd = -1;
	char catalogue[MODEL_PATH], name[64];
	sqlite3 *db = NULL;
	int rc;

	model_catalogue_path(path, catalogue);
	*strrchr(catalogue, '/') = '\0';
	fd = open(catalogue, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d/catalogue.db", fd);
	rc = sqlite3_open_v2(name, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			     NULL);
	/* Where its files lie is asked again when the log is opened. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "SELECT 1 FROM pool", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return db;
	sqlite3_close(db);
	return NULL;
}

static void copy_text(sqlite3_stmt *stmt, int column, char *ret, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	(void)kv_strcpy(ret, size, text ? text : "");
}

static const char *read_rows(sqlite3 *db, struct seen *ret)
{
	sqlite3_stmt *stmt = NULL;
	int rc;

	rc = sqlite3_prepare_v2(
		db,
		"SELECT id, name, kind, flags, bytes, source, fs_type, uuid,"
		" (SELECT group_concat(key || '=' || value) FROM label"
		"  WHERE volume = id),"
		" coalesce((SELECT group_concat(key || '=' || value) FROM label"
		"  WHERE volume = -1), '')"
		" || coalesce((SELECT ' policy ' || overcommit FROM policy), '')"
		" FROM volume WHERE name IS NOT NULL ORDER BY name",
		-1, &stmt, NULL);
	ret->n = 0;
	ret->labels[0] = '\0';
	while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW && ret->n < SEEN_MAX) {
		struct seen_volume *v = &ret->volumes[ret->n++];

		memset(v, 0, sizeof(*v));
		v->id = (uint32_t)sqlite3_column_int64(stmt, 0);
		copy_text(stmt, 1, v->name, sizeof(v->name));
		v->kind = (uint32_t)sqlite3_column_int64(stmt, 2);
		v->flags = (uint32_t)sqlite3_column_int64(stmt, 3);
		v->bytes = (uint64_t)sqlite3_column_int64(stmt, 4);
		copy_text(stmt, 5, v->source, sizeof(v->source));
		copy_text(stmt, 6, v->fs, sizeof(v->fs));
		copy_text(stmt, 7, v->uuid, sizeof(v->uuid));
		copy_text(stmt, 8, v->labels, sizeof(v->labels));
		copy_text(stmt, 9, ret->labels, sizeof(ret->labels));
	}
	rc = sqlite3_finalize(stmt);
	return rc == SQLITE_OK ? NULL : say("the catalogue cannot be read: %d", rc);
}

static const char *check_numbers(sqlite3_stmt *stmt, const struct model_disk *disk)
{
	if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok"))
		return "the catalogue's integrity is broken";
	if (sqlite3_column_int(stmt, 1))
		return say("%d tombstones are left", sqlite3_column_int(stmt, 1));
	if (sqlite3_column_int(stmt, 2))
		return say("%d reservations are left", sqlite3_column_int(stmt, 2));
	if (sqlite3_column_int(stmt, 4))
		return say("%d labels are nobody's", sqlite3_column_int(stmt, 4));
	if (sqlite3_column_int(stmt, 5))
		return say("%d boots are nobody's", sqlite3_column_int(stmt, 5));
	if (!sqlite3_column_int(stmt, 6))
		return "the tally is not that of the rows";
	if (disk->metadata.snapshot)
		return "a metadata snapshot is held";
	if ((uint64_t)sqlite3_column_int64(stmt, 3) != disk->metadata.transaction_id)
		return say("the catalogue's epoch is %d, the thin pool's %" PRIu64,
			   sqlite3_column_int(stmt, 3), disk->metadata.transaction_id);
	return NULL;
}

static const char *check_catalogue(sqlite3 *db, const struct model_disk *disk)
{
	sqlite3_stmt *stmt = NULL;
	const char *bad = "the catalogue cannot be checked";

	(void)sqlite3_prepare_v2(db,
				 "SELECT (SELECT * FROM pragma_integrity_check),"
				 " (SELECT count(*) FROM volume WHERE name IS NULL),"
				 " (SELECT count(*) FROM reservation),"
				 " (SELECT epoch FROM pool),"
				 " (SELECT count(*) FROM label WHERE volume <> -1 AND"
				 "  volume NOT IN (SELECT id FROM volume"
				 "   WHERE name IS NOT NULL)),"
				 " (SELECT count(*) FROM ephemeral WHERE volume NOT IN"
				 "  (SELECT id FROM volume WHERE flags & 16)),"
				 " (SELECT (" TALLY_COLUMNS ") = (" TALLY_OF_ROWS ") FROM pool)",
				 -1, &stmt, NULL);
	if (stmt && sqlite3_step(stmt) == SQLITE_ROW)
		bad = check_numbers(stmt, disk);
	sqlite3_finalize(stmt);
	return bad;
}

/* --- The volumes, as the model has them ------------------------------------------- */

static bool is_volume(const struct kvol_pool *pool, const struct model_dev *d,
		      uint32_t *ret_id, enum kv_face *ret_face)
{
	return kv_dm_uuid_volume(d->id.uuid, pool->conf.uuid, ret_id, ret_face);
}

static const struct seen_volume *by_id(const struct seen *seen, uint32_t id)
{
	for (unsigned i = 0; i < seen->n; i++)
		if (seen->volumes[i].id == id)
			return &seen->volumes[i];
	return NULL;
}

static unsigned mounts_of(dev_t dev)
{
	unsigned n = 0;

	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS; m++)
		n += m->used && m->dev == dev && m->ns >= 0;
	return n;
}

static const char *fill(const struct kvol_pool *pool, struct model_disk *disk,
			struct seen *seen)
{
	uint32_t id;
	enum kv_face face;

	for (unsigned i = 0; i < seen->n; i++) {
		struct seen_volume *v = &seen->volumes[i];
		struct model_thin *thin = model_thin(disk, v->id);
		int n;

		if (!thin)
			return say("'%s' has no thin device", v->name);
		v->mark = thin->content.mark;
		v->fs_bytes = thin->content.bytes;
		(void)kv_strcpy(v->secret, sizeof(v->secret), thin->content.secret);
		v->uid = thin->content.uid;
		v->gid = thin->content.gid;
		v->mode = thin->content.mode;
		v->thick = v->flags & KV_ROW_THICK;
		for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
			if (d->used && is_volume(pool, d, &id, &face) && id == v->id)
				v->targets += mounts_of(model_dev_number(d));
		n = kv_publication_count(pool->dir_fd, v->id);
		if (n < 0)
			return say("'%s': its publishes cannot be read: %d", v->name, n);
		v->records = (unsigned)n;
	}
	return NULL;
}

/* Whoever says that it is thick has all of its blocks, and no more. */
static const char *check_blocks(const struct model_disk *disk, const struct seen_volume *v,
				const struct model_content *c)
{
	uint64_t block = disk->metadata.block_sectors * KV_SECTOR;
	uint64_t bytes =
		v->bytes + (v->flags & KV_ROW_ENCRYPTED ? KV_CRYPT_HEADER_BYTES : 0);
	uint64_t want = v->flags & KV_ROW_THICK ? (bytes + block - 1) / block : 0;

	if (v->flags & KV_ROW_SPARE)
		return say("'%s' has blocks beyond its end", v->name);
	return c->reserved == want ? NULL
				   : say("'%s' has %" PRIu64 " blocks reserved, not %" PRIu64,
					 v->name, c->reserved, want);
}

static const char *check_contents(struct model_disk *disk, const struct seen *seen)
{
	for (unsigned i = 0; i < seen->n; i++) {
		const struct seen_volume *v = &seen->volumes[i], *w;
		const struct model_content *c = &model_thin(disk, v->id)->content;
		const char *bad = check_blocks(disk, v, c);

		if (bad)
			return bad;
		if ((v->flags & KV_ROW_EPHEMERAL) && !v->targets)
			return say("'%s' is ephemeral, and left over", v->name);
		if (c->torn || c->unclean)
			return say("'%s' is a torn copy", v->name);
		if (c->luks != !!(v->flags & KV_ROW_ENCRYPTED))
			return say("'%s' has a header and should not, or none", v->name);
		if (strcmp(c->fs, v->fs))
			return say("'%s' should have %s, and has %s", v->name,
				   v->fs[0] ? v->fs : "nothing", c->fs);
		if (!v->fs[0])
			continue;
		if (c->bytes > v->bytes ||
		    (c->bytes < v->bytes && !(v->flags & KV_ROW_GROW)))
			return say("'%s' has %" PRIu64 " bytes, its %s %" PRIu64
				   ", and nobody knows",
				   v->name, v->bytes, v->fs, c->bytes);
		if (!v->source[0] && !(v->flags & KV_ROW_RENEW) && strcmp(c->uuid, v->uuid))
			return say("'%s' has not its own file system", v->name);
		for (w = seen->volumes; w < v; w++)
			if (!strcmp(v->fs, "btrfs") && !strcmp(w->fs, "btrfs") &&
			    !((v->flags | w->flags) & KV_ROW_RENEW) &&
			    !strcmp(c->uuid, model_thin(disk, w->id)->content.uuid))
				return say("'%s' and '%s' are btrfs of one identity",
					   v->name, w->name);
	}
	return NULL;
}

/* --- The kernel ------------------------------------------------------------------- */

static const char *check_devices(const struct kvol_pool *pool, const struct seen *seen)
{
	const struct seen_volume *v;
	unsigned stack = 0;
	uint64_t bytes;
	uint32_t id;
	enum kv_face face;

	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++) {
		if (!d->used)
			continue;
		if (d->suspended)
			return say("%s is suspended", d->id.name);
		if (!d->table.live)
			return say("%s has no table", d->id.name);
		if (d->deferred)
			return say("%s waits for its removal", d->id.name);
		if (!is_volume(pool, d, &id, &face)) {
			stack++;
			continue;
		}
		v = by_id(seen, id);
		if (!v)
			return say("%s is nobody's device", d->id.name);
		if (!v->targets)
			return say("'%s' is active and published nowhere", v->name);
		if (face == KV_FACE_READONLY && !mounts_of(model_dev_number(d)))
			return say("'%s' has a read-only face that is nowhere", v->name);
		if (face == KV_FACE_CRYPT && v->thick != d->no_discards)
			return say("'%s' takes discards, or should", v->name);
		bytes = d->table.sectors * KV_SECTOR;
		if (face == KV_FACE_THIN && (v->flags & KV_ROW_ENCRYPTED))
			bytes -= KV_CRYPT_HEADER_BYTES;
		if (bytes != v->bytes)
			return say("'%s' has %" PRIu64 " bytes, its device %" PRIu64,
				   v->name, v->bytes, bytes);
	}
	return stack == STACK_DEVS ? NULL : say("the pool has %u devices", stack);
}

static const char *check_mounts(const struct kvol_pool *pool)
{
	unsigned loops = model_n_loops();
	uint32_t id;
	enum kv_face face;

	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS;
	     m++) {
		const struct model_dev *d = m->used ? model_dev_by_number(m->dev) : NULL;

		if (m->used && m->ns < 0)
			return "a mount is left that is nowhere";
		if (m->used && (!d || !is_volume(pool, d, &id, &face)))
			return say("at '%s' is no volume's mount", m->path);
	}
	return loops == 1 ? NULL : say("there are %u loop devices", loops);
}

const char *look(struct kvol_pool *pool, const char *path, struct seen *ret)
{
	sqlite3 *db = open_catalogue(path);
	const char *bad;

	if (!db)
		return "the catalogue cannot be opened";
	bad = read_rows(db, ret);
	sqlite3_close(db);
	return bad ? bad : fill(pool, model_disk(path), ret);
}

static const char *check_ids(const struct model_disk *disk, const struct seen *seen)
{
	for (int i = 0; i < MODEL_THINS; i++)
		if (disk->metadata.thins[i].used &&
		    !by_id(seen, disk->metadata.thins[i].id))
			return say("thin id %" PRIu32 " is nobody's",
				   disk->metadata.thins[i].id);
	return NULL;
}

const char *broken(struct kvol_pool *pool, const char *path, struct seen *ret)
{
	struct model_disk *disk = model_disk(path);
	sqlite3 *db;
	const char *bad;

	if (model->disaster[0])
		return model->disaster;
	model_sweep();
	db = open_catalogue(path);
	if (!db)
		return "the catalogue cannot be opened";
	bad = check_catalogue(db, disk);
	if (!bad)
		bad = read_rows(db, ret);
	sqlite3_close(db);
	if (!bad)
		bad = fill(pool, disk, ret);
	if (!bad)
		bad = check_ids(disk, ret);
	if (!bad)
		bad = check_contents(disk, ret);
	if (!bad)
		bad = check_devices(pool, ret);
	return bad ? bad : check_mounts(pool);
}

/* --- Comparing -------------------------------------------------------------------- */

static const char *volume_differs(const struct seen_volume *a,
				  const struct seen_volume *b, bool any_targets)
{
	if (strcmp(a->name, b->name))
		return say("'%s' instead of '%s'", a->name, b->name);
	if (a->kind != b->kind || a->bytes != b->bytes || strcmp(a->source, b->source) ||
	    strcmp(a->fs, b->fs))
		return say("'%s' is another one: %" PRIu64 " bytes, not %" PRIu64,
			   a->name, a->bytes, b->bytes);
	if (strcmp(a->labels, b->labels))
		return say("'%s' has labels %s, not %s", a->name, a->labels, b->labels);
	if (a->mark != b->mark)
		return say("'%s' has contents %" PRIu64 ", not %" PRIu64, a->name,
			   a->mark, b->mark);
	if (a->uid != b->uid || a->gid != b->gid || a->mode != b->mode)
		return say("'%s' is %u:%u's with %o, not %u:%u's with %o", a->name, a->uid,
			   a->gid, a->mode, b->uid, b->gid, b->mode);
	if (a->thick != b->thick)
		return say("'%s' is %sthick", a->name, a->thick ? "" : "not ");
	if (strcmp(a->secret, b->secret))
		return say("'%s' has the secret '%s', not '%s'", a->name, a->secret,
			   b->secret);
	if (b->uuid[0] && strcmp(a->uuid, b->uuid))
		return say("'%s' is another one: its UUID", a->name);
	if (!any_targets && a->targets != b->targets)
		return say("'%s' is published %u times, not %u", a->name, a->targets,
			   b->targets);
	return NULL;
}

/* What is to be compared; of what was there before a power cut, what that leaves. */
static void choose(const struct seen *from, bool cut, struct seen *ret)
{
	*ret = *from;
	ret->n = 0;
	for (unsigned i = 0; i < from->n; i++) {
		const struct seen_volume *v = &from->volumes[i];

		if (v->kind != KVOL_KIND_TEMPLATE &&
		    !(cut && (v->flags & KV_ROW_EPHEMERAL)))
			ret->volumes[ret->n++] = *v;
	}
}

const char *differs(const struct seen *is, const struct seen *was, bool any_targets)
{
	static struct seen now, before;
	const char *bad = NULL;
	unsigned n;

	choose(is, false, &now);
	choose(was, any_targets, &before);
	is = &now;
	was = &before;
	n = is->n < was->n ? is->n : was->n;

	if (n && strcmp(is->labels, was->labels))
		return say("the pool has labels %s, not %s", is->labels, was->labels);
	for (unsigned i = 0; i < n && !bad; i++)
		bad = volume_differs(&is->volumes[i], &was->volumes[i], any_targets);
	if (!bad && is->n != was->n)
		bad = say("%u volumes, not %u", is->n, was->n);
	return bad;
}

/* --- Use -------------------------------------------------------------------------- */

static const char *failed(const char *what, const char *name, const struct kvol_error *e)
{
	return say("%s '%s': %.240s", what, name, e->msg);
}

static const char *unpublish_at(struct kvol_pool *pool, const struct seen *seen,
				const struct model_mount *m)
{
	const struct model_dev *d = model_dev_by_number(m->dev);
	struct kvol_publish_opts o = { .size = sizeof(o) };
	const struct seen_volume *v;
	char target[MODEL_PATH];
	struct kvol_error e;
	uint32_t id;
	enum kv_face face;

	if (!d || !is_volume(pool, d, &id, &face) || !(v = by_id(seen, id)))
		return say("at '%s' is no volume's mount", m->path);
	(void)kv_strcpy(target, sizeof(target), m->path);
	if (m->ns)
		o.mount_namespace = model->ns[m->ns].path;
	return kvol_unpublish(pool, v->name, target, &o, &e) < 0
		       ? failed("unpublish", v->name, &e)
		       : NULL;
}

static const char *unpublish_all(struct kvol_pool *pool, const struct seen *seen)
{
	const char *bad = NULL;

	for (struct model_mount *m = model->mounts;
	     !bad && m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && m->ns >= 0)
			bad = unpublish_at(pool, seen, m);
	return bad;
}

/* For what only a publish can do. */
static int publish_once(struct kvol_pool *pool, const struct seen_volume *v,
			struct kvol_error *e)
{
	struct kvol_publish_opts o = {
		.size = sizeof(o),
		.secret = v->secret,
		.secret_bytes = strlen(v->secret),
	};
	int r = kvol_publish(pool, v->name, "/a", &o, e);

	return r < 0 ? r : kvol_unpublish(pool, v->name, "/a", NULL, e);
}

/* Whatever was owed, the next expand does, or publish. */
static const char *settle(struct kvol_pool *pool, const char *path,
			  const struct seen *seen)
{
	struct kvol_error e;

	for (unsigned i = 0; i < seen->n; i++) {
		const struct seen_volume *v = &seen->volumes[i];

		if (!(v->flags & KV_ROW_GROW) || v->kind == KVOL_KIND_SNAPSHOT ||
		    (v->flags & KV_ROW_EPHEMERAL)) /* which is gone by now */
			continue;
		if (kvol_expand(pool, v->name, v->bytes, 0, &e) < 0)
			return failed("expand", v->name, &e);
		if (v->secret[0] && v->fs[0] && publish_once(pool, v, &e) < 0)
			return failed("publish", v->name, &e);
		if (v->fs[0] &&
		    model_thin(model_disk(path), v->id)->content.bytes != v->bytes)
			return say("'%s' did not grow", v->name);
	}
	return NULL;
}

static const char *use(struct kvol_pool *pool, const char *path, const struct seen *seen)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct kvol_error e;
	const char *bad;

	bad = unpublish_all(pool, seen);
	if (!bad) /* a file system on a device that is out as such is not grown */
		bad = settle(pool, path, seen);
	if (bad)
		return bad;
	if (kvol_create(pool, PROBE_NAME, PROBE_BYTES, &o, &e) < 0)
		return failed("create", PROBE_NAME, &e);
	if (kvol_delete(pool, PROBE_NAME, 0, &e) < 0)
		return failed("delete", PROBE_NAME, &e);
	if (kvol_pool_deactivate(pool, &e) < 0)
		return failed("deactivate", "the pool", &e);
	return NULL;
}

const char *broken_in_use(struct kvol_pool *pool, const char *path,
			  const struct seen *seen)
{
	const char *bad = use(pool, path, seen);

	kvol_pool_close(pool);
	if (bad)
		return bad;
	if (model_n_devs() || model_n_loops() || model_n_mounts() || model_n_keys())
		return say("%u devices, %u loops, %u mounts, %u keys are left",
			   model_n_devs(), model_n_loops(), model_n_mounts(),
			   model_n_keys());
	return model->disaster[0] ? model->disaster : NULL;
}
