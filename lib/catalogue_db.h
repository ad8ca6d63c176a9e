/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_CATALOGUE_DB_H
#define KV_CATALOGUE_DB_H

/* L3: what catalogue*.c, reservation.c and schema.c share, and nobody else includes. */

#include <pthread.h>

#include "catalogue.h"
#include "db.h"

/* The row's flags as SQL knows them: the schema, an index of it and queries have to agree. */
#define KV_SQL_SPARE "flags & 32"
_Static_assert(KV_ROW_SPARE == 32, "KV_SQL_SPARE");
_Static_assert(KV_ROW_RENEW == 2 && KVOL_KIND_TEMPLATE == 3, "as statements have them");

#define KV_CATALOGUE_FILE "catalogue.db"

/* A row as kv_row_read wants it, and what it holds. -EUCLEAN: nobody could have written it
 * here. */
#define KV_SQL_ROW "id, name, kind, flags, bytes, created, source, fs_type, uuid"
int kv_row_read(struct kv_stmt *stmt, struct kv_row *ret);

#define KV_LATER_MAX   64
#define KV_LATER_BATCH 16 /* done together, with the next commit */

/* What is not worth a commit of its own: crashes cost the next recovery, or the next
 * publish, a look. */
struct kv_later {
	uint32_t id;
	bool renewed; /* the row's KV_ROW_RENEW goes; else it is a tombstone, and goes */
};

/* A change that is in the open transaction, and waits for its commit. */
struct kv_change {
	struct kv_change *link;
	bool ended;
	int result;
};

struct kv_catalogue {
	int dir_fd;
	int unfinished_fd; /* -1: nobody else can be there */
	struct kv_db *db;
	pthread_mutex_t mutex;
	/* The transaction that is open (transaction.c). */
	bool open, with_later;
	struct kv_change *changes;
	unsigned n_changes;
	_Atomic unsigned coming; /* threads that are about to change something */
	pthread_cond_t ended;
	struct kv_later later[KV_LATER_MAX];
	unsigned n_later;
	bool in_doubt; /* a commit failed, and may be on the disk all the same */
};

/* Inside a transaction. object: a volume's id, or -1 for the pool. How many labels it
 * changed; -EDQUOT: too many of the object; -EFBIG: no room in the catalogue for them. */
int kv_catalogue_put_labels(struct kv_catalogue *cat, int64_t object,
			    const struct kvol_label *labels, uint64_t n);
int kv_catalogue_drop_labels(struct kv_catalogue *cat, uint32_t id);

/* As kv_catalogue_admits, inside a transaction. */
int kv_catalogue_within(struct kv_catalogue *cat, const struct kv_limit *limit,
			uint64_t more_volumes, uint64_t more_bytes);

/* The tally (catalogue_tally.c). Inside a transaction, or at least under the lock. */
#define KV_TALLY_PAGE UINT64_C(4096)
struct kv_tally {
	uint64_t volumes;
	uint64_t snapshots;
	uint64_t pages;	       /* of volumes; of them, in thick ones: */
	uint64_t thick_pages;
	uint64_t thick_blocks; /* which these are, in whole blocks of the pool */
	uint64_t block_bytes;
};
int kv_tally_read(struct kv_catalogue *cat, struct kv_tally *ret);
/* One goes, one comes (may be NULL): of each the kind, the size and KV_ROW_THICK count.
 * -EDQUOT: more than can be counted. */
int kv_tally_change(struct kv_catalogue *cat, const struct kv_row *gone,
		    const struct kv_row *come);
/* What of a row counts. -ENOENT: none, or a tombstone. */
int kv_tally_row(struct kv_catalogue *cat, uint32_t id, struct kv_row *ret);
/* A transaction of its own. 1: it was not the rows', and is now if `mend`. */
int kv_tally_check(struct kv_catalogue *cat, bool mend);

int kv_schema_create(struct kv_db *db);
int kv_schema_check(struct kv_db *db); /* -EUCLEAN: it is not exactly ours */

void kv_catalogue_lock(struct kv_catalogue *cat);
int kv_catalogue_unlock(struct kv_catalogue *cat, int r); /* returns r */
/* A change, under the lock: whoever changes something at the same time shares its commit.
 * finish takes it back if r, the result so far, is negative. */
int kv_catalogue_begin(struct kv_catalogue *cat);
int kv_catalogue_finish(struct kv_catalogue *cat, int r);

#endif
