// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The catalogue of a disk that somebody made to hurt: an SQLite database and its
 * write-ahead log with any bytes, any schema, any rows. It is refused, or what is read
 * from it is in range and agrees with itself; every walk over it ends; ids that are
 * reserved are free; and no file comes into being beside it.
 *
 * Input: flags, SQL (length in 2 bytes) that is run on a good catalogue by plain SQLite,
 * then patches: file (1 byte: database, log), offset (3 bytes), length (1 byte),
 * contents.
 */
#include <dirent.h>
#include <sqlite3.h>

#include "catalogue.h"
#include "fuzz.h"
#include "scratch.h"

#include <kvol/kvol.h>

#define CHECKPOINT 0x01u /* the SQL's changes go to the database, not to the log */
#define NO_LOG	   0x02u
#define CUT	   0x04u /* both files end behind their last patch */

#define FILE_MAX   (1u << 20)
#define STEPS_MAX  1000u
#define ROUNDS_MAX 4096u
#define UUID	   "01234567-89ab-cdef-0123-456789abcdef"

static const char *const names[] = { "catalogue.db", "catalogue.db-wal",
				     "catalogue.db-shm" };

struct file {
	uint8_t bytes[FILE_MAX];
	size_t n;
};

static struct file original[2], patched;

/* --- A good catalogue ------------------------------------------------------------- */

static void load(int dir_fd, const char *name, struct file *f)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, f->bytes, sizeof(f->bytes));

	CHECK(n >= 0 && (size_t)n < sizeof(f->bytes));
	f->n = (size_t)n;
	(void)close(fd);
}

static sqlite3 *open_plainly(void)
{
	char path[128];
	sqlite3 *db;

	(void)snprintf(path, sizeof(path), "%s/%s", scratch_path, names[0]);
	CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return db;
}

static void add(struct kv_catalogue *cat, uint32_t id, const char *name, uint32_t kind,
		const char *source)
{
	struct kv_row row = { .id = id, .kind = kind, .bytes = 1 << 20, .uuid = UUID };

	(void)snprintf(row.name, sizeof(row.name), "%s", name);
	(void)snprintf(row.source, sizeof(row.source), "%s", source);
	(void)snprintf(row.fs_type, sizeof(row.fs_type), "ext4");
	CHECK(kv_catalogue_insert(cat, &row) == 0);
}

static void make_original(int dir_fd)
{
	static const struct kv_pool_row pool = {
		.uuid = UUID, .name = "tank", .block_bytes = 65536, .max_volumes = 1024
	};
	static const struct kvol_label label = { "kvol.io/k", "v" };
	struct kv_catalogue *cat;
	struct kv_reservation res;
	uint64_t epoch;
	sqlite3 *db;

	for (size_t i = 0; i < 3; i++)
		(void)unlinkat(dir_fd, names[i], 0);
	CHECK(kv_catalogue_create(dir_fd, &pool) == 0);
	CHECK(kv_catalogue_open(dup(dir_fd), &cat) == 0);
	CHECK(kv_catalogue_reserve(cat, 5, 4, NULL, 0, &res, &epoch) == 0);
	add(cat, 0, "a", KVOL_KIND_VOLUME, "");
	add(cat, 1, "b", KVOL_KIND_SNAPSHOT, "a");
	kv_catalogue_close(cat);
	db = open_plainly();
	CHECK(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) ==
	      SQLITE_OK);
	CHECK(sqlite3_close(db) == SQLITE_OK);
	CHECK(kv_catalogue_open(dup(dir_fd), &cat) == 0);
	add(cat, 2, "c", KVOL_KIND_VOLUME, "b");
	CHECK(kv_catalogue_resize(cat, 2, 2 << 20, KV_ROW_GROW) == 0);
	add(cat, 3, "d", KVOL_KIND_VOLUME, "");
	CHECK(kv_catalogue_bury(cat, 3) == 0);
	CHECK(kv_catalogue_label(cat, "c", &label, 1) == 0);
	CHECK(kv_catalogue_label(cat, NULL, &label, 1) == 0);
	kv_catalogue_close(cat);
	load(dir_fd, names[0], &original[0]);
	load(dir_fd, names[1], &original[1]);
	CHECK(original[0].n && original[1].n);
}

/* --- Making it a bad one ---------------------------------------------------------- */

/* What would reach out of the file, or stay for the next input. */
static int allow(void *arg, int action, const char *a, const char *b, const char *c,
		 const char *d)
{
	(void)arg, (void)b, (void)c, (void)d;
	if (action == SQLITE_ATTACH || action == SQLITE_DETACH)
		return SQLITE_DENY;
	if (action == SQLITE_PRAGMA && a && strstr(a, "directory"))
		return SQLITE_DENY;
	return SQLITE_OK;
}

static int too_long(void *arg)
{
	return ++*(unsigned *)arg > STEPS_MAX;
}

static void run_sql(const char *sql, uint8_t flags)
{
	sqlite3 *db = open_plainly();
	unsigned steps = 0;

	(void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 16);
	(void)sqlite3_set_authorizer(db, allow, NULL);
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
	sqlite3_progress_handler(db, 1000, too_long, &steps);
	(void)sqlite3_exec(db, sql, NULL, NULL, NULL);
	sqlite3_progress_handler(db, 0, NULL, NULL);
	(void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	(void)sqlite3_set_authorizer(db, NULL, NULL);
	if (flags & CHECKPOINT)
		(void)sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL,
				   NULL);
	(void)sqlite3_close_v2(db);
}

static void patch(int dir_fd, struct input *in, uint8_t flags)
{
	struct input again;

	for (unsigned which = 0; which < 2; which++) {
		size_t end = 0;

		load(dir_fd, names[which], &patched);
		for (again = *in; again.left;) {
			bool mine = take_le(&again, 1) % 2 == which;
			size_t at = take_le(&again, 3), n = take_le(&again, 1);
			uint8_t bytes[255];

			n = take(&again, bytes, n);
			if (!mine || !patched.n)
				continue;
			at %= patched.n;
			n = n < patched.n - at ? n : patched.n - at;
			memcpy(patched.bytes + at, bytes, n);
			end = at + n > end ? at + n : end;
		}
		if ((flags & CUT) && end)
			patched.n = end;
		scratch_write(dir_fd, names[which], patched.bytes, patched.n);
	}
}

static void make_bad(int dir_fd, struct input *in)
{
	uint8_t flags = (uint8_t)take_le(in, 1);
	size_t n = take_le(in, 2);
	struct input sql = { in->at, n < in->left ? n : in->left };
	char *text;

	in->at += sql.left;
	in->left -= sql.left;
	(void)unlinkat(dir_fd, names[2], 0);
	for (size_t i = 0; i < 2; i++)
		scratch_write(dir_fd, names[i], original[i].bytes, original[i].n);
	if (sql.left) {
		text = take_string(&sql);
		run_sql(text, flags);
		free(text);
		(void)unlinkat(dir_fd, names[2], 0);
	}
	patch(dir_fd, in, flags);
	if (flags & NO_LOG)
		(void)unlinkat(dir_fd, names[1], 0);
}

/* --- What must hold --------------------------------------------------------------- */

static int known_error(int r)
{
	CHECK(r >= 0 || r == -EUCLEAN || r == -EIO || r == -ENOSPC || r == -EROFS ||
	      r == -ENOMEM || r == -EEXIST || r == -ENOENT || r == -EDQUOT || r == -EFBIG);
	return r;
}

static void check_row(const struct kv_row *row)
{
	CHECK(row->id <= 0xffffff && row->bytes && row->bytes % 4096 == 0);
	CHECK(row->bytes <= UINT64_C(1) << 60);
	CHECK(row->kind == KVOL_KIND_VOLUME || row->kind == KVOL_KIND_SNAPSHOT);
	CHECK(!(row->flags & ~(uint32_t)KV_ROW_KNOWN));
	CHECK(kv_volume_name_valid(row->name) && kv_uuid_valid(row->uuid));
	CHECK(!row->source[0] || kv_volume_name_valid(row->source));
	CHECK(is_line(row->fs_type) && row->created <= INT64_MAX);
}

/* Damage may hide a row from one way of looking and not from the other; it must not make
 * two volumes of one, or another one of it. */
static void check_found(struct kv_catalogue *cat, const struct kv_row *want)
{
	struct kv_row row;

	if (known_error(kv_catalogue_find(cat, want->name, &row)) == 0) {
		check_row(&row);
		CHECK(!strcmp(row.name, want->name));
	}
	if (known_error(kv_catalogue_get(cat, want->id, &row)) == 0) {
		check_row(&row);
		CHECK(row.id == want->id);
	}
}

static void check_labels(struct kv_catalogue *cat, const char *name)
{
	struct kv_labels set = { 0 };

	if (known_error(kv_catalogue_labels(cat, name, &set)) < 0) {
		CHECK(!set.text && !set.of);
		return;
	}
	CHECK(set.n <= KVOL_LABELS_MAX);
	for (uint64_t i = 0; i < set.n; i++)
		CHECK(kv_label_key_valid(set.of[i].key) &&
		      kv_label_value_valid(set.of[i].value));
	kv_labels_clear(&set);
}

static void check_listing(struct kv_catalogue *cat)
{
	struct kv_cursor *cur;
	struct kv_row row;
	unsigned n = 0;
	int r;

	for (uint32_t kind = 0; kind <= 2; kind++) {
		if (known_error(kv_cursor_open(cat, kind, &cur)) < 0)
			continue;
		while ((r = known_error(kv_cursor_next(cur, &row))) == 1) {
			check_row(&row);
			CHECK(!kind || row.kind == kind);
			check_found(cat, &row);
			check_labels(cat, row.name);
			CHECK(++n < 3 * ROUNDS_MAX);
		}
		CHECK(known_error(kv_cursor_next(cur, &row)) == r);
		kv_cursor_close(cur);
	}
}

/* As recovery goes through them. */
static void check_ids(struct kv_catalogue *cat,
		      int (*list)(struct kv_catalogue *, uint32_t, uint32_t *, unsigned))
{
	uint32_t ids[16], from = 0;
	unsigned rounds = 0;
	int n;

	do {
		n = known_error(list(cat, from, ids, 16));
		CHECK(n <= 16);
		for (int i = 0; i < n; i++) {
			CHECK(ids[i] >= from && ids[i] <= 0xffffff);
			from = ids[i] + 1;
		}
		CHECK(++rounds < ROUNDS_MAX);
	} while (n == 16);
}

static void check_reservations(struct kv_catalogue *cat)
{
	struct kv_reservation res = { .row = 0 };
	int64_t after = 0;
	unsigned rounds = 0;

	while (known_error(kv_catalogue_next_reservation(cat, after, &res)) == 0) {
		CHECK(res.row > after);
		CHECK(res.count <= 64 && (uint64_t)res.first + res.count <= 1 << 24);
		CHECK(res.owner < UINT64_C(1) << 40);
		after = res.row;
		CHECK(++rounds < ROUNDS_MAX);
	}
}

static void check_pool(struct kv_catalogue *cat)
{
	struct kv_pool_row pool;
	struct kv_policy policy;
	uint64_t volumes, snapshots;

	if (known_error(kv_catalogue_pool(cat, &pool)) == 0) {
		CHECK(kv_uuid_valid(pool.uuid) && kv_pool_name_valid(pool.name));
		CHECK(pool.block_bytes >= 65536 && pool.block_bytes <= 1 << 30);
		CHECK(pool.block_bytes % 65536 == 0);
		CHECK(pool.max_volumes > 0 && pool.max_volumes < 1 << 24);
		CHECK(pool.snapshots <= INT64_MAX);
	}
	if (known_error(kv_catalogue_policy(cat, &policy)) == 0)
		CHECK(policy.overcommit <= KVOL_OVERCOMMIT_MAX &&
		      policy.max_volumes <= INT64_MAX &&
		      !(policy.publish_flags & ~(uint64_t)KV_POLICY_KNOWN));
	if (known_error(kv_catalogue_provisioned(cat, NULL, &volumes, &snapshots)) == 0)
		CHECK(volumes <= INT64_MAX);
	if (known_error(kv_catalogue_counts(cat, &volumes, &snapshots)) == 0)
		CHECK(volumes <= INT64_MAX && snapshots <= INT64_MAX);
}

static void change(struct kv_catalogue *cat)
{
	struct kv_row row = { .kind = KVOL_KIND_VOLUME, .bytes = 4096, .uuid = UUID },
		      back;
	static const struct kvol_label label = { "k", "v" };
	struct kv_reservation res;
	uint64_t epoch;

	if (known_error(kv_catalogue_reserve(cat, 9, 8, NULL, 0, &res, &epoch)) < 0)
		return;
	CHECK(res.count >= 1 && res.count <= 8 &&
	      (uint64_t)res.first + res.count <= 1 << 24);
	for (uint32_t i = 0; i < res.count; i++)
		CHECK(known_error(kv_catalogue_id_used(cat, res.first + i)) <= 0);
	row.id = res.first;
	(void)strcpy(row.name, "new");
	if (known_error(kv_catalogue_insert(cat, &row)) == 0 &&
	    known_error(kv_catalogue_get(cat, row.id, &back)) == 0)
		CHECK(back.bytes == row.bytes && !strcmp(back.name, row.name));
	(void)known_error(kv_catalogue_label(cat, "new", &label, 1));
	(void)known_error(kv_catalogue_bury(cat, row.id));
	kv_catalogue_forget_later(cat, row.id);
	(void)known_error(kv_catalogue_forget_now(cat));
	(void)known_error(kv_catalogue_release(cat, &res, res.count - 1, res.snapshots));
}

static void check_directory(int dir_fd)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fdopendir(copy);
	struct dirent *e;

	CHECK(d);
	while ((e = readdir(d)))
		CHECK(e->d_name[0] == '.' || !strncmp(e->d_name, "catalogue.db", 12));
	(void)closedir(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };
	char boot[KV_UUID_LEN + 1];
	struct kv_catalogue *cat;
	int dir_fd = scratch();

	if (!original[0].n)
		make_original(dir_fd);
	make_bad(dir_fd, &in);
	if (known_error(kv_catalogue_open(dup(dir_fd), &cat)) == 0) {
		check_pool(cat);
		check_labels(cat, NULL);
		check_listing(cat);
		check_ids(cat, kv_catalogue_tombstones);
		check_ids(cat, kv_catalogue_spare);
		check_ids(cat, kv_catalogue_ephemerals);
		(void)known_error(kv_catalogue_boot(cat, 0, boot));
		check_reservations(cat);
		change(cat);
		check_listing(cat);
		kv_catalogue_close(cat);
	}
	check_directory(dir_fd);
	return 0;
}
