// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pool handle: opening, closing, deactivating and describing a pool.
 *
 * Opening finds the pool's UUID (on the disk, or by name in the run directory), gets the
 * pool up or joins it (activate.c), and recovers (recover.c). An open handle holds the
 * pool's lock byte shared, its own owner byte exclusively, the catalogue's mount by a
 * file descriptor, and nothing else.
 *
 * A crash leaves what the kernel takes back with the process, and reservations for
 * recovery.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rundir.h"
#include "verb.h"

/* --- Calls under way -------------------------------------------------------------- */

/* Counts a call in, or begins to deactivate. What is asked while a deactivation is under
 * way waits for what becomes of it. */
static int begin(struct kvol_pool *pool, bool ends)
{
	int64_t deadline = kv_deadline(KV_LOCK_WAIT_MS);
	unsigned step = 0;
	int r;

	do {
		pthread_mutex_lock(&pool->calls_mutex);
		r = pool->ending ? -EBUSY : 0;
		/* One that stopped half-way may be repeated. */
		if (pool->deactivated && (pool->down || !ends))
			r = -ESHUTDOWN;
		if (r == 0 && ends)
			pool->ending = true;
		else if (r == 0)
			pool->calls++;
		pthread_mutex_unlock(&pool->calls_mutex);
	} while (r == -EBUSY && kv_backoff(&step, deadline) == 0);
	return r == -EBUSY ? -ETIMEDOUT : r;
}

static int begin_error(const struct kvol_pool *pool, int r, struct kvol_error *e)
{
	return r == -ESHUTDOWN
		       ? kv_error(e, r, KVOL_R_INVALID, "pool '%s': it was deactivated",
				  pool->conf.name)
		       : kv_error_errno(e, r, "pool '%s': wait for its deactivation",
					pool->conf.name);
}

static int check_handle(const struct kvol_pool *pool, struct kvol_error *e)
{
	if (!pool)
		return kv_error_invalid(e, "the pool handle is NULL");
	if (pool->pid != getpid())
		return kv_error(e, -ECHILD, KVOL_R_INVALID,
				"pool '%s': the handle was inherited through fork",
				pool->conf.name);
	return 0;
}

static int enter(struct kvol_pool *pool, struct kvol_pool **ret, struct kvol_error *e)
{
	int r;

	r = check_handle(pool, e);
	if (r < 0)
		return r;
	r = begin(pool, false);
	if (r < 0)
		return begin_error(pool, r, e);
	*ret = pool;
	return 0;
}

int kv_pool_enter(struct kvol_pool *pool, struct kvol_pool **ret, struct kvol_error *e)
{
	int r = enter(pool, ret, e);

	if (r == 0)
		(void)kv_unfinished_settle(pool);
	return r;
}

/* A commit that is in doubt may come into force at the next open: whatever had been found
 * to be so already, or made on top of what is there now, would not be so then. */
int kv_pool_certain(const struct kvol_pool *pool, struct kvol_error *e)
{
	int r = kv_unfinished_settle(pool);

	return r < 0 ? kv_error_errno(e, r,
				      "pool '%s': take back a commit that had failed",
				      pool->conf.name)
		     : 0;
}

int kv_pool_enter_to_change(struct kvol_pool *pool, struct kvol_pool **ret,
			    struct kvol_error *e)
{
	int r = enter(pool, ret, e);

	/* What is read there may go with the next power cut. */
	if (r == 0 && pool->unflushed)
		r = kv_pool_admit(pool, false, e);
	if (r == 0)
		r = kv_pool_certain(pool, e);
	if (r < 0)
		kv_pool_leave(ret);
	return r;
}

void kv_pool_leave(struct kvol_pool **pool)
{
	if (!*pool)
		return;
	pthread_mutex_lock(&(*pool)->calls_mutex);
	(*pool)->calls--;
	pthread_mutex_unlock(&(*pool)->calls_mutex);
	*pool = NULL;
}

/* Waits until the caller is alone with the handle. */
static int drain(struct kvol_pool *pool)
{
	int64_t deadline = kv_deadline(KV_LOCK_WAIT_MS);
	unsigned step = 0, calls;

	do {
		pthread_mutex_lock(&pool->calls_mutex);
		calls = pool->calls;
		pthread_mutex_unlock(&pool->calls_mutex);
	} while (calls && kv_backoff(&step, deadline) == 0);
	return calls ? -EBUSY : 0;
}

static void end(struct kvol_pool *pool, bool down)
{
	pthread_mutex_lock(&pool->calls_mutex);
	pool->ending = false;
	pool->deactivated = !pool->cat;
	pool->down = down;
	pthread_mutex_unlock(&pool->calls_mutex);
}

/* --- The handle ------------------------------------------------------------------- */

static void free_pool(struct kvol_pool *pool)
{
	(void)kv_close(pool->metadata_fd);
	(void)kv_close(pool->unfinished_fd);
	(void)kv_close(pool->lock_fd);
	(void)kv_close(pool->dir_fd);
	(void)kv_close(pool->run_fd);
	kv_dm_close(&pool->dm);
	pthread_mutex_destroy(&pool->ids.mutex);
	pthread_mutex_destroy(&pool->metadata_mutex);
	pthread_mutex_destroy(&pool->calls_mutex);
	kv_usermaps_free(&pool->usermaps);
	free(pool->run_dir);
	free(pool);
}

static int new_pool(const struct kvol_ctx *ctx, const char *path, struct kvol_pool **ret,
		    struct kvol_error *e)
{
	struct kvol_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return kv_error_errno(e, -ENOMEM, "'%s'", path);
	pool->pid = getpid();
	pool->log = ctx->log;
	pool->run_fd = pool->dir_fd = pool->lock_fd = pool->unfinished_fd =
		pool->metadata_fd = pool->dm.fd = -1;
	pthread_mutex_init(&pool->ids.mutex, NULL);
	pthread_mutex_init(&pool->metadata_mutex, NULL);
	pthread_mutex_init(&pool->calls_mutex, NULL);
	kv_usermaps_init(&pool->usermaps);
	pool->run_dir = strdup(ctx->run_dir);
	r = pool->run_dir ? 0 : kv_error_errno(e, -ENOMEM, "'%s'", path);
	if (r == 0) {
		r = kv_dm_open(&pool->dm);
		if (r == -EOPNOTSUPP)
			r = kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				     "device-mapper: the kernel does not have it");
		else if (r < 0)
			r = kv_error_errno(e, r,
					   "device-mapper: open the control device");
	}
	/* Second: what the caller may not do at all is told first. */
	if (r == 0) {
		pool->run_fd = kv_run_open(pool->run_dir);
		if (pool->run_fd < 0)
			r = kv_error_errno(e, pool->run_fd, "run directory '%s'",
					   pool->run_dir);
	}
	if (r == 0) {
		r = kv_host_self(ctx->host_id, &pool->host);
		if (r < 0)
			r = kv_error_errno(e, r, "'%s': read which host this is", path);
	}
	if (r < 0) {
		free_pool(pool);
		return r;
	}
	*ret = pool;
	return 0;
}

static int open_found(struct kvol_pool *pool, const struct kv_member *m, const char *path,
		      struct kvol_error *e)
{
	struct kv_dm_id id;
	int r;

	pool->dir_fd = kv_run_open_pool(pool->run_fd, m->layout.uuid);
	if (pool->dir_fd < 0)
		return kv_error_errno(e, pool->dir_fd,
				      "'%s': make the pool's run directory", path);
	pool->lock_fd = kv_lock_open(pool->dir_fd);
	if (pool->lock_fd < 0)
		return kv_error_errno(e, pool->lock_fd, "'%s': open the pool's lock",
				      path);
	pool->unfinished_fd = kv_unfinished_open(pool->dir_fd);
	if (pool->unfinished_fd < 0)
		return kv_error_errno(e, pool->unfinished_fd,
				      "'%s': open the pool's unfinished work", path);
	/* First of all, for somebody may be frozen. */
	memcpy(pool->conf.uuid, m->layout.uuid, sizeof(pool->conf.uuid));
	(void)kv_unfinished_settle(pool);
	kv_dm_id_part(&id, m->layout.uuid, "pool");
	memcpy(pool->pool_dm_uuid, id.uuid, sizeof(id.uuid));
	r = kv_pool_activate(pool, m, path, e);
	if (r < 0)
		return r;
	r = kv_unfinished_open(pool->dir_fd);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': open the pool's unfinished work",
				      path);
	kv_catalogue_share(pool->cat, r);
	(void)kv_unfinished_settle(pool);
	/* Alone or not, from here on as one of many. */
	r = kv_lock_shared(pool->lock_fd, KV_LOCK_POOL, kv_deadline(KV_LOCK_WAIT_MS));
	if (r == 0)
		r = kv_ids_init(pool);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': lock", pool->conf.name);
	return kv_recover(pool, e);
}

int kvol_pool_open(struct kvol_ctx *ctx, const char *path,
		   const struct kvol_open_opts *opts, struct kvol_pool **ret_pool,
		   struct kvol_error *reterr)
{
	struct kv_member m = { .fd = -1 };
	struct kvol_open_opts o;
	struct kvol_pool *pool = NULL;
	int r;

	if (!ctx || kv_str_empty(path) || !ret_pool)
		return kv_error_invalid(reterr, "kvol_pool_open: %s is missing",
					!ctx	    ? "ctx"
					: !ret_pool ? "ret_pool"
						    : "path");
	r = kv_opts_in(&o, sizeof(o), sizeof(o), opts, KVOL_OPEN_TAKEOVER,
		       "kvol_open_opts", reterr);
	if (r < 0)
		return r;
	r = new_pool(ctx, path, &pool, reterr);
	if (r < 0)
		return r;
	m.takeover = o.flags & KVOL_OPEN_TAKEOVER;
	if (strchr(path, '/'))
		r = kv_member_by_path(path, &m, reterr);
	else
		r = kv_member_by_name(pool, path, &m, reterr);
	if (r == 0)
		r = open_found(pool, &m, path, reterr);
	(void)kv_close(m.fd);
	if (r < 0) {
		/* What this call has put up goes down with it, unless somebody has
		 * joined. */
		if (pool->activated)
			(void)kvol_pool_deactivate(pool, NULL);
		kv_catalogue_close(pool->cat);
		free_pool(pool);
		return r;
	}
	kv_log(&pool->log, LOG_DEBUG, "pool '%s': open%s", pool->conf.name,
	       kv_pool_only_reads(pool) ? " for reading only" : "");
	*ret_pool = pool;
	return 0;
}

void kvol_pool_close(struct kvol_pool *pool)
{
	if (!pool)
		return;
	/* In a forked child the connection and the locks are the parent's: leave them
	 * alone. */
	if (pool->pid == getpid()) {
		if (pool->cat) {
			(void)kv_unfinished_settle(pool);
			kv_ids_free(pool);
		}
		kv_catalogue_close(pool->cat);
		if (pool->lock_fd >= 0) {
			kv_lock_drop(pool->lock_fd, KV_LOCK_POOL);
			kv_lock_drop(pool->lock_fd, KV_LOCK_OWNER(pool->ids.owner));
		}
	}
	free_pool(pool);
}

/* Removes the pool's devices, and gives the claim back with the last one: until then its
 * disk may be written. */
static int take_down(struct kvol_pool *pool, struct kvol_error *e)
{
	/* Open before: a loop device goes with its last user. */
	_cleanup_close_ int member_fd = kv_claim_open(pool->stack.member);
	int64_t deadline = kv_deadline(5000);
	unsigned step = 0;
	int r;

	/* The mount of the catalogue went with its fd, but an udev worker may look for a
	 * moment. */
	while ((r = kv_stack_remove(&pool->dm, pool->conf.uuid)) == -EBUSY &&
	       kv_backoff(&step, deadline) == 0)
		;
	/* Half down: the next open puts it up again, or the next of this takes it down.
	 */
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN,
				"pool '%s': one of its devices is open", pool->conf.name);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': remove its devices",
				      pool->conf.name);
	(void)kv_run_remove(pool->dir_fd);
	/* Its loop device went with an earlier call, which told what it could not do. */
	if (member_fd == -ENODEV || member_fd == -ENXIO)
		return 0;
	r = member_fd < 0 ? member_fd
			  : kv_claim_give_back(member_fd, pool->conf.uuid, &pool->host);
	return r < 0 ? kv_error_errno(e, r,
				      "pool '%s': it is down, but this host's claim "
				      "stays on its disk",
				      pool->conf.name)
		     : 0;
}

/* Alone with the handle, and the pool is locked: everything goes. Without the catalogue
 * there is no return, but it can be repeated. */
static int deactivate(struct kvol_pool *pool, struct kvol_error *e)
{
	int r;

	r = pool->cat ? kv_devices_deactivate_all(pool, e) : 0;
	if (r < 0)
		return r;
	if (pool->cat)
		kv_ids_free(pool);
	kv_catalogue_close(pool->cat);
	pool->cat = NULL;
	pool->metadata_fd = kv_close(pool->metadata_fd);
	return take_down(pool, e);
}

int kvol_pool_deactivate(struct kvol_pool *pool, struct kvol_error *reterr)
{
	int r;

	r = check_handle(pool, reterr);
	if (r < 0)
		return r;
	r = begin(pool, true);
	if (r < 0)
		return r == -ESHUTDOWN ? 0 : begin_error(pool, r, reterr);
	(void)kv_unfinished_settle(pool);
	r = kv_lock_exclusive(pool->lock_fd, KV_LOCK_POOL, 0);
	if (r == -EBUSY)
		r = kv_error(reterr, r, KVOL_R_BUSY_OPEN,
			     "pool '%s': open through another handle", pool->conf.name);
	else if (r < 0)
		r = kv_error_errno(reterr, r, "pool '%s': lock", pool->conf.name);
	if (r < 0)
		goto undo_begin;
	r = drain(pool);
	if (r < 0) {
		r = kv_error(reterr, r, KVOL_R_BUSY_OPEN,
			     "pool '%s': another call or a listing on this handle",
			     pool->conf.name);
		goto undo_lock;
	}
	r = deactivate(pool, reterr);
	if (r < 0)
		goto undo_lock;
	kv_lock_drop(pool->lock_fd, KV_LOCK_POOL);
	end(pool, true);
	return 0;

undo_lock:
	(void)kv_lock_shared(pool->lock_fd, KV_LOCK_POOL, 0);
undo_begin:
	end(pool, false);
	return r;
}

static uint32_t pool_flags(const struct kv_pool_status *st)
{
	uint32_t flags = 0;

	if (st->needs_check)
		flags |= KVOL_POOL_NEEDS_CHECK;
	if (kv_pool_metadata_full(st))
		flags |= KVOL_POOL_OUT_OF_METADATA;
	else if (st->mode == KV_POOL_RO || st->mode == KV_POOL_FAIL)
		flags |= KVOL_POOL_READ_ONLY;
	else if (kv_pool_low_metadata(st))
		flags |= KVOL_POOL_LOW_METADATA;
	if (st->mode == KV_POOL_OUT_OF_DATA)
		flags |= KVOL_POOL_OUT_OF_DATA;
	else if (kv_pool_low_data(st))
		flags |= KVOL_POOL_LOW_DATA;
	return flags;
}

int kvol_pool_stat(struct kvol_pool *pool, struct kvol_pool_info *ret_info,
		   struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_pool_info info = { 0 };
	struct kv_pool_status st = { 0 };
	struct kv_pool_row row;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_info_check(ret_info, "kvol_pool_info", reterr);
	if (r < 0)
		return r;
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(reterr, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	r = kv_catalogue_pool(pool->cat, &row);
	if (r == 0)
		r = kv_catalogue_counts(pool->cat, &info.n_volumes, &info.n_snapshots);
	if (r < 0)
		return kv_error_errno(reterr, r, "pool '%s': read the catalogue",
				      pool->conf.name);
	info.flags = (pool->audit ? KVOL_POOL_AUDIT : 0) |
		     (pool->unflushed ? KVOL_POOL_READ_ONLY : 0) | pool_flags(&st);
	info.block_bytes = row.block_bytes;
	info.data_bytes = st.data_total * row.block_bytes;
	info.data_used = st.data_used * row.block_bytes;
	info.metadata_bytes = st.metadata_total * KV_THIN_METADATA_BLOCK;
	info.metadata_used = st.metadata_used * KV_THIN_METADATA_BLOCK;
	info.max_volumes = row.max_volumes;
	info.snapshots_left =
		row.snapshots < KV_SNAPSHOTS_MAX ? KV_SNAPSHOTS_MAX - row.snapshots : 0;
	(void)kv_strcpy(info.name, sizeof(info.name), row.name);
	(void)kv_strcpy(info.uuid, sizeof(info.uuid), row.uuid);
	(void)kv_strcpy(info.device, sizeof(info.device), pool->device);
	if (pool->claim.held)
		(void)kv_strcpy(info.host, sizeof(info.host),
				kv_host_name(&pool->claim.host));
	r = kv_policy_tell(pool, &st, &info, reterr);
	if (r < 0)
		return r;
	kv_info_out(ret_info, &info, sizeof(info));
	return 0;
}
