// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Transactions of the catalogue: one connection per handle, guarded by a mutex that is
 * held for SQL only.
 *
 * A commit is a flush of the disk, and threads need not pay for one each. A change that is
 * made while others are about to make theirs leaves the transaction open for them, and
 * waits; who finds nobody coming commits for all. Each change but the first has a
 * savepoint, and can fail by itself. Nobody else reads on this connection before the
 * commit: what is not on the disk yet must not be acted upon. Threads that come one at a
 * time have each a transaction and a commit, as before.
 *
 * A commit is announced to the other handles (unfinished.c) for as long as it takes. One
 * that failed, or whose process was killed in it, may have left frames in the write-ahead
 * log that come into force later: another commit, which changes nothing that counts,
 * settles that, before anybody acts on what he read or was told.
 *
 * A crash leaves each commit whole or absent.
 */
#include <errno.h>

#include "catalogue_db.h"
#include "unfinished.h"

#define CHANGES_MAX 32 /* in one commit */

void kv_catalogue_lock(struct kv_catalogue *cat)
{
	pthread_mutex_lock(&cat->mutex);
	while (cat->open)
		pthread_cond_wait(&cat->ended, &cat->mutex);
}

int kv_catalogue_unlock(struct kv_catalogue *cat, int r)
{
	pthread_mutex_unlock(&cat->mutex);
	return r;
}

/* Inside a transaction: what other calls left to be done. */
static int do_later(struct kv_catalogue *cat)
{
	int r = 0;

	for (unsigned i = 0; i < cat->n_later && r >= 0; i++) {
		const struct kv_later *x = &cat->later[i];

		r = x->renewed
			    ? kv_db_do(cat->db,
				       "UPDATE volume SET flags = flags & ~2 WHERE id = ?",
				       "i", (int64_t)x->id)
			    : kv_db_do(cat->db,
				       "DELETE FROM volume WHERE id = ? AND name IS NULL",
				       "i", (int64_t)x->id);
	}
	return r < 0 ? r : 0;
}

void kv_catalogue_share(struct kv_catalogue *cat, int unfinished_fd)
{
	cat->unfinished_fd = unfinished_fd;
}

/* What changes nothing is not written. This moves on the last row's number. */
static const char any_change[] =
	"INSERT INTO reservation (owner, first, count) VALUES (0, 0, 0);"
	"DELETE FROM reservation WHERE row = last_insert_rowid();";

/* One that succeeds takes the place of all that failed. */
static int try_commit(struct kv_catalogue *cat)
{
	int r = 0;

	if (cat->unfinished_fd >= 0)
		r = kv_commit_begin(cat->unfinished_fd);
	if (r < 0) {
		kv_db_rollback(cat->db);
		return r;
	}
	r = kv_db_commit(cat->db);
	if (cat->unfinished_fd >= 0)
		kv_commit_end(cat->unfinished_fd, r == 0);
	cat->in_doubt = r < 0;
	return r;
}

/* Who gets the error undoes what the commit was about: it must not come into force after
 * that. */
static int commit(struct kv_catalogue *cat)
{
	int r = try_commit(cat);

	if (r < 0 && cat->in_doubt && kv_db_begin(cat->db) == 0) {
		if (kv_db_exec(cat->db, any_change) == 0)
			(void)try_commit(cat); /* else the next call does it, or close */
		kv_db_rollback(cat->db);
	}
	return r;
}

bool kv_catalogue_in_doubt(struct kv_catalogue *cat)
{
	bool in_doubt;

	kv_catalogue_lock(cat);
	in_doubt = cat->in_doubt;
	return kv_catalogue_unlock(cat, in_doubt);
}

/* --- Many changes, one commit ----------------------------------------------------- */

/* They all are told what became of it. */
static void end_transaction(struct kv_catalogue *cat, int r)
{
	for (struct kv_change *x = cat->changes, *next; x; x = next) {
		next = x->link; /* x goes when its owner wakes up */
		x->result = r;
		x->ended = true;
	}
	cat->changes = NULL;
	cat->n_changes = 0;
	cat->open = false;
	pthread_cond_broadcast(&cat->ended);
}

static void commit_changes(struct kv_catalogue *cat)
{
	int r = commit(cat);

	if (r == 0 && cat->with_later)
		cat->n_later = 0;
	end_transaction(cat, r);
}

static bool somebody_comes(struct kv_catalogue *cat)
{
	return cat->coming > 0 && cat->n_changes < CHANGES_MAX;
}

/* A change has failed, and was taken back; r is what it failed with. */
static void leave(struct kv_catalogue *cat, int r)
{
	if (!kv_db_in_transaction(cat->db))
		end_transaction(cat, r); /* it took the others with it */
	else if (!cat->n_changes) {
		kv_db_rollback(cat->db);
		end_transaction(cat, r);
	} else if (!somebody_comes(cat))
		commit_changes(cat);
}

static int open_transaction(struct kv_catalogue *cat)
{
	int r = kv_db_begin(cat->db);

	if (r < 0)
		return r;
	cat->open = true;
	cat->with_later = cat->n_later >= KV_LATER_BATCH;
	return cat->with_later ? do_later(cat) : 0;
}

int kv_catalogue_begin(struct kv_catalogue *cat)
{
	int r;

	cat->coming++;
	pthread_mutex_lock(&cat->mutex);
	cat->coming--;
	r = cat->open ? kv_db_savepoint(cat->db) : open_transaction(cat);
	if (r == 0)
		return 0;
	if (cat->open)
		leave(cat, r);
	return kv_catalogue_unlock(cat, r);
}

int kv_catalogue_finish(struct kv_catalogue *cat, int r)
{
	struct kv_change change = { .link = cat->changes };

	if (cat->n_changes && kv_db_in_transaction(cat->db))
		kv_db_release(cat->db, r < 0);
	if (r >= 0 && !kv_db_in_transaction(cat->db))
		r = -EIO;
	if (r < 0) {
		leave(cat, r);
		return kv_catalogue_unlock(cat, r);
	}
	cat->changes = &change;
	cat->n_changes++;
	if (!somebody_comes(cat))
		commit_changes(cat);
	while (!change.ended)
		pthread_cond_wait(&cat->ended, &cat->mutex);
	return kv_catalogue_unlock(cat, change.result);
}

int kv_catalogue_forget_now(struct kv_catalogue *cat)
{
	int r = 0;

	kv_catalogue_lock(cat);
	if (cat->n_later > 0)
		r = kv_db_begin(cat->db);
	if (r == 0 && cat->n_later > 0) {
		r = do_later(cat);
		if (r == 0)
			r = commit(cat);
		else
			kv_db_rollback(cat->db);
		if (r == 0)
			cat->n_later = 0;
	}
	return kv_catalogue_unlock(cat, r);
}

static void later(struct kv_catalogue *cat, struct kv_later x)
{
	kv_catalogue_lock(cat);
	if (cat->n_later == KV_LATER_MAX) {
		/* Nobody committed for a long time. */
		kv_catalogue_unlock(cat, 0);
		(void)kv_catalogue_forget_now(cat);
		kv_catalogue_lock(cat);
	}
	if (cat->n_later < KV_LATER_MAX)
		cat->later[cat->n_later++] = x;
	kv_catalogue_unlock(cat, 0);
}

void kv_catalogue_forget_later(struct kv_catalogue *cat, uint32_t id)
{
	later(cat, (struct kv_later){ .id = id });
}

void kv_catalogue_renewed_later(struct kv_catalogue *cat, uint32_t id)
{
	later(cat, (struct kv_later){ .id = id, .renewed = true });
}

int kv_catalogue_settle(struct kv_catalogue *cat)
{
	int r = kv_catalogue_begin(cat);

	if (r < 0)
		return r;
	/* Now that no other writer is left. Any commit since has settled it. */
	if (!cat->in_doubt &&
	    (cat->unfinished_fd < 0 || !kv_commit_unfinished(cat->unfinished_fd))) {
		(void)kv_catalogue_finish(cat, -ECANCELED);
		return 0;
	}
	r = kv_db_exec(cat->db, any_change);
	return kv_catalogue_finish(cat, r);
}
