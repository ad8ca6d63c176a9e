/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_CATALOGUE_H
#define KV_CATALOGUE_H

/* L3: what is durable about a pool. Safe from any thread. Each function that changes
 * something is one commit, on the disk when it returns 0. Errors are negative errnos. */

#include "label.h"
#include "names.h"

/* The kernel counts snapshots in 24 bits for the pool's life and never checks: stay well
 * below. */
#define KV_SNAPSHOTS_MAX ((UINT64_C(1) << 24) - (UINT64_C(1) << 16))

/* The last ones are for snapshots and clones alone: creations do without. */
#define KV_SNAPSHOTS_SPARE (UINT64_C(1) << 20)

/* 1 EiB: far below where the kernel's sums overflow. */
#define KV_ROW_BYTES_MAX (UINT64_C(1) << 60)

/* The most that one reservation may have: recovery sends a message for each of its ids.
 */
#define KV_RESERVATION_MAX 64

struct kv_catalogue;

/* Work that a row still owes. */
#define KV_ROW_GROW                                                        \
	(1u << 0) /* the device or file system may be smaller than `bytes` \
		   */
#define KV_ROW_RENEW                                                       \
	(1u << 1) /* a copy whose file system needs an identity of its own \
		   */
#define KV_ROW_OWES (KV_ROW_GROW | KV_ROW_RENEW)
/* Not work: the thin device begins with a LUKS2 header, which `bytes` leaves out. */
#define KV_ROW_ENCRYPTED (1u << 2)
/* Nor this: all of its blocks are allocated. */
#define KV_ROW_THICK (1u << 3)
/* It goes with its last publish; what boot it is of stands in a table of its own. */
#define KV_ROW_EPHEMERAL (1u << 4)
/* Of a thick one that was being grown: blocks beyond its end may be, and are to be given
 * back. */
#define KV_ROW_SPARE (1u << 5)
#define KV_ROW_KNOWN                                                        \
	(KV_ROW_OWES | KV_ROW_ENCRYPTED | KV_ROW_THICK | KV_ROW_EPHEMERAL | \
	 KV_ROW_SPARE)

struct kv_row {
	uint32_t id;	/* the thin id, and the number in device names */
	uint32_t kind;	/* KVOL_KIND_* */
	uint32_t flags; /* KV_ROW_* */
	uint64_t bytes;
	uint64_t created;
	char name[KV_NAME_MAX + 1];
	char source[KV_NAME_MAX + 1];
	char fs_type[16];
	char uuid[KV_UUID_LEN + 1];
};

struct kv_pool_row {
	char uuid[KV_UUID_LEN + 1];
	char name[KV_POOL_NAME_MAX + 1];
	uint64_t block_bytes;
	uint64_t max_volumes;
	uint64_t epoch;	    /* equals the thin pool's transaction id */
	uint64_t snapshots; /* taken or set aside in the pool's life: an upper bound */
};

/* As struct kvol_policy_opts has it. */
#define KV_POLICY_KNOWN (KVOL_POLICY_NOEXEC | KVOL_POLICY_NOSUID | KVOL_POLICY_NODEV)
struct kv_policy {
	uint64_t max_volumes;
	uint64_t max_published;
	uint64_t overcommit;
	uint64_t publish_flags;
};

/* What follows from it; 0: none. */
struct kv_limit {
	uint64_t volumes; /* and snapshots */
	uint64_t bytes;	  /* of volumes */
	uint64_t thick_percent; /* what a byte of a thick one counts: 100 at least */
};

/* A batch of ids that no row names yet. Whoever holds the owner's lock hands them out. */
struct kv_reservation {
	int64_t row;
	uint64_t owner;
	uint32_t first;
	uint32_t count;
	uint32_t snapshots; /* how many of them may be snapshots: count, or 0 */
	uint64_t taken;	    /* snapshots before it, in the pool's life; known to its maker */
};

/* Makes the database (kvol_pool_format only) in the directory dir_fd. */
int kv_catalogue_create(int dir_fd, const struct kv_pool_row *pool);
/* Takes over dir_fd, whether it succeeds or not. -EUCLEAN: no catalogue of ours, or
 * damaged. */
int kv_catalogue_open(int dir_fd, struct kv_catalogue **ret);
/* After it, what the opener reads there survives a power cut, also where its writer was
 * killed before he had flushed it. To be called before anything is done about it:
 * recovery sends messages to the thin pool, and verbs take what is there for done. */
int kv_catalogue_flush(struct kv_catalogue *cat);
void kv_catalogue_close(struct kv_catalogue *cat); /* NULL is a no-op */
/* Takes over an fd of kv_unfinished_open: from here on others can tell when we die in a
 * commit. */
void kv_catalogue_share(struct kv_catalogue *cat, int unfinished_fd);
/* Makes an end to a commit that somebody died in: what of it was seen stays so. */
int kv_catalogue_settle(struct kv_catalogue *cat);

/* A commit failed, and could not be taken back: only the next opener of the database can
 * tell whether it was made. What its rows name must be left as it is until then. */
bool kv_catalogue_in_doubt(struct kv_catalogue *cat);

int kv_catalogue_pool(struct kv_catalogue *cat, struct kv_pool_row *ret);
/* Without templates, as everything below that counts, sums or lists. */
int kv_catalogue_counts(struct kv_catalogue *cat, uint64_t *ret_volumes,
			uint64_t *ret_snapshots);

/* -ENOENT: no such row. */
int kv_catalogue_find(struct kv_catalogue *cat, const char *name, struct kv_row *ret);
/* The row of name, or else that of other: both looked for at one moment. */
int kv_catalogue_find_first(struct kv_catalogue *cat, const char *name, const char *other,
			    struct kv_row *ret);
int kv_catalogue_get(struct kv_catalogue *cat, uint32_t id, struct kv_row *ret);
/* -EEXIST: the name is taken. */
int kv_catalogue_insert(struct kv_catalogue *cat, const struct kv_row *row);
/* With labels, in the same commit, and within a limit (may be NULL). Also -EFBIG: no room
 * for labels; -EDQUOT: the limit is reached. */
int kv_catalogue_insert_labelled(struct kv_catalogue *cat, const struct kv_row *row,
				 const struct kvol_label *labels, uint64_t n,
				 const struct kv_limit *limit);
/* The same of one with KV_ROW_EPHEMERAL, made in this boot ("": which is not known). */
int kv_catalogue_insert_ephemeral(struct kv_catalogue *cat, const struct kv_row *row,
				  const char *boot, const struct kv_limit *limit);
/* -ENOENT: the volume is a lasting one. */
int kv_catalogue_boot(struct kv_catalogue *cat, uint32_t id, char ret[KV_UUID_LEN + 1]);
int kv_catalogue_resize(struct kv_catalogue *cat, uint32_t id, uint64_t bytes,
			uint32_t flags);
int kv_catalogue_resize_within(struct kv_catalogue *cat, uint32_t id, uint64_t bytes,
			       uint32_t flags, const struct kv_limit *limit);
/* KV_ROW_THICK stays as it is. */
int kv_catalogue_set_flags(struct kv_catalogue *cat, uint32_t id, uint32_t flags);

/* Sets labels, or removes those without a value; name NULL: of the pool. No commit if
 * nothing changes. -EDQUOT: too many; -EFBIG: no room in the catalogue for them. */
int kv_catalogue_label(struct kv_catalogue *cat, const char *name,
		       const struct kvol_label *labels, uint64_t n);
/* The caller clears *ret. */
int kv_catalogue_labels(struct kv_catalogue *cat, const char *name,
			struct kv_labels *ret);

int kv_catalogue_policy(struct kv_catalogue *cat, struct kv_policy *ret);
/* which: KVOL_SET_*. No commit if nothing changes. */
int kv_catalogue_set_policy(struct kv_catalogue *cat, const struct kv_policy *p,
			    uint32_t which);
/* The sum of the volumes' sizes, at most INT64_MAX. */
int kv_catalogue_provisioned(struct kv_catalogue *cat, const struct kv_limit *limit,
			     uint64_t *ret_bytes, uint64_t *ret_promised);
/* -EDQUOT: with so many more the limit would be passed. */
int kv_catalogue_admits(struct kv_catalogue *cat, const struct kv_limit *limit,
			uint64_t more_volumes, uint64_t more_bytes);

/* Deleting: the row becomes a tombstone, its name is free and its labels are gone; later
 * the tombstone goes. */
int kv_catalogue_bury(struct kv_catalogue *cat, uint32_t id);
/* Not durable by itself: goes with others of its kind in a later commit of this handle,
 * or with its close. */
void kv_catalogue_forget_later(struct kv_catalogue *cat, uint32_t id);
int kv_catalogue_forget_now(struct kv_catalogue *cat);
/* The same for KV_ROW_RENEW, of a row whose copy has its identity. */
void kv_catalogue_renewed_later(struct kv_catalogue *cat, uint32_t id);

/* Up to n ids from `from` on, ascending; returns how many. */
int kv_catalogue_tombstones(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			    unsigned n);
int kv_catalogue_spare(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			 unsigned n);
int kv_catalogue_templates(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			   unsigned n);
int kv_catalogue_ephemerals(struct kv_catalogue *cat, uint32_t from, uint32_t *ret,
			    unsigned n);
/* 1: a row or tombstone has this id, 0: none. */
int kv_catalogue_id_used(struct kv_catalogue *cat, uint32_t id);

/* Of a tombstone; -ENOENT: there is none. */
int kv_catalogue_buried_bytes(struct kv_catalogue *cat, uint32_t id, uint64_t *ret);

/* A reservation that is over, and how many of its snapshots were not taken. */
struct kv_finished {
	int64_t row;
	uint32_t snapshots_left;
};

/* Moves the epoch on by one and sets up to `count` ids aside for owner; finished
 * reservations go in the same commit. -EDQUOT: max_volumes is reached. ret->count may be
 * less than what was asked for; ret->snapshots is 0 when the pool has used up its
 * snapshots. */
int kv_catalogue_reserve(struct kv_catalogue *cat, uint64_t owner, uint32_t count,
			 const struct kv_finished *finished, unsigned n_finished,
			 struct kv_reservation *ret, uint64_t *ret_epoch);
/* Gives a reservation up. unused: ids at its end that were never handed out;
 * snapshots_left: how many of its snapshots were not taken. */
int kv_catalogue_release(struct kv_catalogue *cat, const struct kv_reservation *res,
			 uint32_t unused, uint32_t snapshots_left);
/* The pool has taken so many snapshots at least. */
int kv_catalogue_count_snapshots(struct kv_catalogue *cat, uint64_t taken);
/* One reservation after row `after`; -ENOENT: no more. */
int kv_catalogue_next_reservation(struct kv_catalogue *cat, int64_t after,
				  struct kv_reservation *ret);

/* For repair, which is alone with the catalogue. As kv_db_check, of the tally as well. */
int kv_catalogue_check(struct kv_catalogue *cat, bool mend);
/* The first id from `from` on that has a row, or (not named) a tombstone; -ENOENT: none.
 */
int kv_catalogue_next_id(struct kv_catalogue *cat, uint32_t from, uint32_t *ret_id,
			 bool *ret_named);
/* 1: a reservation explains this id. */
int kv_catalogue_reserved(struct kv_catalogue *cat, uint32_t id);
/* Makes the catalogue one of a thin pool with this transaction id, which has counted so
 * many snapshots and has no id from next_id on. */
int kv_catalogue_accept(struct kv_catalogue *cat, uint64_t epoch, uint64_t snapshots,
			uint32_t next_id);

/* A consistent listing on a connection of its own, in the order of the names' bytes. kind
 * 0: both. */
struct kv_cursor;
int kv_cursor_open(struct kv_catalogue *cat, uint32_t kind, struct kv_cursor **ret);
/* NULL, and 0: whatever it is. */
struct kv_filter {
	uint32_t kind;
	const char *label_key, *label_value;
	const char *source;
	const char *after; /* names behind this one */
	uint64_t limit;
};
int kv_cursor_open_filtered(struct kv_catalogue *cat, const struct kv_filter *filter,
			    struct kv_cursor **ret);
int kv_cursor_next(struct kv_cursor *cur, struct kv_row *ret); /* 1 a row, 0 the end */
void kv_cursor_close(struct kv_cursor *cur);		       /* NULL is a no-op */

#endif
