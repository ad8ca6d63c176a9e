// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_pool_repair: checking an inactive pool and mending what can be.
 *
 * Alone with the pool by its lock, by the kernel (the maps of catalogue and metadata have
 * the same device-mapper uuids as an active pool's) and by the host's claim. Then, each
 * on what the one before has made sound: partition table, catalogue, metadata, and
 * whether the last two belong together. Nothing that is the only copy is overwritten
 * before what replaces it has been checked.
 *
 * A crash leaves maps and a claim of ours, as one while activating does, and the step
 * undone or done; only writing metadata back has a middle (repair_metadata.c). The same
 * call goes on from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockdev.h"
#include "gpt.h"
#include "repair.h"
#include "rundir.h"
#include "spawn.h"

#define COPY_CHUNK (UINT64_C(1) << 20)
#define COPY_ALIGN 4096

/* --- Telling ---------------------------------------------------------------------- */

void kv_repair_found(struct kv_repair *x, uint32_t fault, const char *what)
{
	x->info.found |= fault;
	kv_log(&x->ctx->log, LOG_WARNING, "'%s': %s", x->path, what);
}

void kv_repair_mended(struct kv_repair *x, uint32_t fault, const char *how)
{
	x->info.mended |= fault;
	kv_log(&x->ctx->log, LOG_NOTICE, "'%s': %s", x->path, how);
}

/* --- Programs and files ----------------------------------------------------------- */

int kv_repair_run(struct kv_repair *x, const char *const argv[], int *ret_status,
		  char detail[128], struct kvol_error *e)
{
	int r;

	detail[0] = '\0';
	r = kv_spawn_status(argv, kv_deadline(KV_REPAIR_PROGRAM_MS), ret_status, detail,
			    128);
	if (r == -ENOENT)
		return kv_error(e, -EINVAL, KVOL_R_UNSUPPORTED,
				"'%s': %s is not installed", x->path, argv[0]);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': run %s (%s)", x->path, argv[0],
				      detail);
	/* It did not stand what it met. */
	if (*ret_status >= 128)
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': %s was killed by signal %d", x->path, argv[0],
				*ret_status - 128);
	return 0;
}

int kv_repair_file(struct kv_repair *x, const char *token, const char *suffix,
		   uint64_t bytes, struct kv_repair_file *ret, struct kvol_error *e)
{
	struct kv_repair_file f = KV_REPAIR_FILE_NONE;
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW, n, r;

	(void)snprintf(f.name, sizeof(f.name), "kvol-%.8s-%s.%s", x->m.layout.uuid, token,
		       suffix);
	n = snprintf(f.path, sizeof(f.path), "%s/%s", x->o.backup_dir, f.name);
	if (n < 0 || (size_t)n >= sizeof(f.path))
		return kv_error_invalid(e, "kvol_pool_repair: the path of backup_dir is "
					   "too long");
	f.dir_fd = open(x->o.backup_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f.dir_fd >= 0)
		f.fd = openat(f.dir_fd, f.name, bytes ? flags | O_CREAT | O_EXCL : flags,
			      0600);
	r = f.fd < 0 ? -errno : 0;
	if (r == 0 && bytes && ftruncate(f.fd, (off_t)bytes) < 0) {
		r = -errno;
		kv_repair_file_remove(&f);
	}
	if (r < 0) {
		kv_repair_file_close(&f);
		return kv_error_errno(e, r, "'%s': %s '%s'", x->path,
				      bytes ? "make" : "open", f.path);
	}
	*ret = f;
	return 0;
}

void kv_repair_file_close(struct kv_repair_file *f)
{
	f->fd = kv_close(f->fd);
	f->dir_fd = kv_close(f->dir_fd);
}

void kv_repair_file_remove(struct kv_repair_file *f)
{
	if (f->fd >= 0)
		(void)unlinkat(f->dir_fd, f->name, 0);
	kv_repair_file_close(f);
}

int kv_repair_file_sync(const struct kv_repair_file *f)
{
	return fsync(f->fd) < 0 || fsync(f->dir_fd) < 0 ? -errno : 0;
}

int kv_repair_copy(int from_fd, int to_fd, uint64_t skip, uint64_t bytes, bool sparse)
{
	_cleanup_free_ char *buf = aligned_alloc(COPY_ALIGN, COPY_CHUNK);
	uint64_t n;
	int r = buf ? 0 : -ENOMEM;

	for (uint64_t at = skip; r == 0 && at < bytes; at += n) {
		n = bytes - at < COPY_CHUNK ? bytes - at : COPY_CHUNK;
		r = kv_pread_full(from_fd, buf, n, at);
		if (r == 0 && !(sparse && kv_is_zero(buf, n)))
			r = kv_pwrite_full(to_fd, buf, n, at);
	}
	return r;
}

/* --- Alone with the pool ---------------------------------------------------------- */

static int lock_pool(struct kv_repair *x, struct kvol_error *e)
{
	struct kv_dm_info info;
	struct kv_dm_id id;
	int r;

	x->run_fd = kv_run_open(x->ctx->run_dir);
	if (x->run_fd >= 0)
		x->dir_fd = kv_run_open_pool(x->run_fd, x->m.layout.uuid);
	if (x->dir_fd >= 0)
		x->lock_fd = kv_lock_open(x->dir_fd);
	r = x->run_fd < 0 ? x->run_fd : x->dir_fd < 0 ? x->dir_fd : x->lock_fd;
	if (r < 0)
		return kv_error_errno(e, r, "'%s': open the pool's lock", x->path);
	r = kv_lock_exclusive(x->lock_fd, KV_LOCK_POOL, 0);
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN, "'%s': the pool is open",
				x->path);
	/* Whatever its run directory. What is there without it was left by a crash. */
	if (r == 0) {
		kv_dm_id_part(&id, x->m.layout.uuid, "pool");
		r = kv_dm_info(&x->dm, id.uuid, &info);
		if (r == 0 && info.live_table)
			return kv_error(
				e, -EBUSY, KVOL_R_BUSY_OPEN,
				"'%s': the pool, or a copy of it, is active: deactivate "
				"it first",
				x->path);
	}
	return r < 0 && r != -ENXIO ? kv_error_errno(e, r, "'%s': lock", x->path) : 0;
}

static int map(struct kv_repair *x, struct kvol_error *e)
{
	int r;

	r = kv_member_device(&x->dm, &x->m, x->path, &x->member, &x->loop_fd, e);
	if (r < 0)
		return r;
	r = kv_stack_map_catalogue(&x->dm, &x->m.layout, x->member, &x->stack);
	if (r == 0)
		r = kv_stack_map_metadata(&x->dm, &x->m.layout, x->member, &x->stack);
	if (r == -EEXIST)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_OPEN,
				"'%s': a copy of the pool is being used", x->path);
	return r < 0 ? kv_map_error(r, x->path, "map catalogue and metadata", e) : 0;
}

static int claim(struct kv_repair *x, struct kvol_error *e)
{
	bool takeover = x->o.flags & KVOL_REPAIR_TAKEOVER;

	if (kv_repair_checks(x))
		return kv_claim_look(x->member, x->m.layout.uuid, &x->self, takeover,
				     x->path, e);
	return kv_claim_take(x->member, x->m.layout.uuid, &x->self, takeover, x->path,
			     &x->claim, &x->before, e);
}

/* --- The partition table ---------------------------------------------------------- */

static int mend_table(struct kv_repair *x, struct kvol_error *e)
{
	_cleanup_close_ int fd = -1;
	struct kv_layout layout;
	int r;

	r = kv_gpt_check(x->m.fd);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': check the partition table", x->path);
	if (r == 0)
		return 0;
	kv_repair_found(x, KVOL_FAULT_TABLE,
			"one of the two copies of the partition table is damaged");
	if (kv_repair_checks(x))
		return 0;
	fd = open(x->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? -errno : kv_gpt_mend(fd, x->path);
	if (r == 0)
		r = kv_gpt_read(fd, &layout);
	if (r == 0 &&
	    (memcmp(&layout.catalogue, &x->m.layout.catalogue,
		    sizeof(layout.catalogue)) ||
	     memcmp(&layout.metadata, &x->m.layout.metadata, sizeof(layout.metadata)) ||
	     memcmp(&layout.data, &x->m.layout.data, sizeof(layout.data))))
		r = -EUCLEAN;
	if (r < 0)
		return kv_error_errno(e, r, "'%s': write the partition table anew",
				      x->path);
	kv_repair_mended(x, KVOL_FAULT_TABLE,
			 "the partition table was written anew from its whole copy");
	return 0;
}

/* --- All of it -------------------------------------------------------------------- */

static void close_catalogue(struct kv_repair *x)
{
	kv_catalogue_close(x->cat);
	x->cat = NULL;
	x->copy_loop_fd = kv_close(x->copy_loop_fd);
	x->copy_fd = kv_close(x->copy_fd);
}

static int unmap(struct kv_repair *x)
{
	int64_t deadline = kv_deadline(5000);
	unsigned step = 0;
	int r;

	while ((r = kv_stack_remove(&x->dm, x->m.layout.uuid)) == -EBUSY &&
	       kv_backoff(&step, deadline) == 0)
		;
	return r;
}

/* Mapped and claimed; both end here. */
static int mend(struct kv_repair *x, struct kvol_error *e)
{
	_cleanup_close_ int member_fd = -1;
	int r, s;

	r = mend_table(x, e);
	if (r == 0)
		r = kv_repair_catalogue(x, e);
	if (r == 0)
		r = kv_repair_metadata(x, e);
	if (r == 0)
		r = kv_repair_volumes(x, e);
	close_catalogue(x);
	if (r < 0) {
		kv_claim_put_back(x->member, &x->before);
		return r;
	}
	member_fd = kv_claim_open(x->member);
	s = unmap(x);
	if (s < 0)
		return kv_error_errno(e, s, "'%s': remove the maps", x->path);
	if (kv_repair_checks(x))
		return 0;
	s = member_fd < 0 ? member_fd
			  : kv_claim_give_back(member_fd, x->m.layout.uuid, &x->self);
	return s < 0 ? kv_error_errno(e, s, "'%s': give the host's claim back", x->path)
		     : 0;
}

static int repair(struct kv_repair *x, struct kvol_error *e)
{
	int r;

	r = kv_dm_open(&x->dm);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"device-mapper: the kernel does not have it");
	if (r < 0)
		return kv_error_errno(e, r, "device-mapper: open the control device");
	r = kv_member_by_path(x->path, &x->m, e);
	if (r == 0)
		r = lock_pool(x, e);
	if (r < 0)
		return r;
	r = map(x, e);
	if (r == 0)
		r = claim(x, e);
	if (r == 0)
		r = mend(x, e);
	/* Not what a copy on another device stands on. */
	if (r < 0 && x->stack.catalogue)
		(void)unmap(x);
	return r;
}

int kvol_pool_repair(struct kvol_ctx *ctx, const char *path,
		     const struct kvol_repair_opts *opts,
		     struct kvol_repair_info *ret_info, struct kvol_error *reterr)
{
	struct kv_repair x = {
		.ctx = ctx,
		.path = path,
		.dm.fd = -1,
		.m.fd = -1,
		.run_fd = -1,
		.dir_fd = -1,
		.lock_fd = -1,
		.loop_fd = -1,
		.copy_fd = -1,
		.copy_loop_fd = -1,
	};
	int r;

	if (!ctx || kv_str_empty(path))
		return kv_error_invalid(reterr, "kvol_pool_repair: %s is missing",
					!ctx ? "ctx" : "path");
	if (!strchr(path, '/'))
		return kv_error_invalid(reterr,
					"'%s': repair takes a path (with a '/'): the "
					"pool must not be active",
					path);
	r = kv_opts_in(&x.o, sizeof(x.o), sizeof(x.o), opts,
		       KVOL_REPAIR_CHECK | KVOL_REPAIR_FORCE | KVOL_REPAIR_ACCEPT |
			       KVOL_REPAIR_TAKEOVER,
		       "kvol_repair_opts", reterr);
	if (r == 0)
		r = kv_info_check(ret_info, "kvol_repair_info", reterr);
	if (r < 0)
		return r;
	r = kv_host_self(ctx->host_id, &x.self);
	if (r < 0)
		return kv_error_errno(reterr, r, "'%s': read which host this is", path);
	r = repair(&x, reterr);
	(void)kv_close(x.m.fd);
	(void)kv_close(x.loop_fd);
	(void)kv_close(x.lock_fd);
	(void)kv_close(x.dir_fd);
	(void)kv_close(x.run_fd);
	kv_dm_close(&x.dm);
	if (r == 0)
		kv_info_out(ret_info, &x.info, sizeof(x.info));
	return r;
}
