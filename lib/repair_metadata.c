// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Repair of the thin pool's metadata, by thin_check and thin_repair.
 *
 * Repaired metadata is made in a file, TOKEN.new, and judged there: thin_check must pass
 * it, and it must hold what the catalogue lists (repair_volumes.c). If the superblock or
 * a root is lost, thin_repair looks for trees and takes what fits: that may be of an
 * earlier commit, or nothing, and no check can tell, so a person has to accept it. Only
 * then, with the old in TOKEN.old and both flushed, is it written back: first a marker
 * with the token in the place of the superblock, then everything behind it, the
 * superblock last.
 *
 * So a crash before the marker leaves the damaged metadata, and after it metadata that
 * the kernel refuses and that says which file it is to be completed from. Files of a run
 * that did not get so far may stay in the directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "repair.h"
#include "thin.h"

#define MARKER	     "kvol repair 1\npool %s\ntoken %s\n"
#define TOKEN_LENGTH 8

struct metadata {
	struct kv_repair *x;
	uint64_t bytes;
	char device[KV_DEV_PATH];
	struct kv_repair_source source; /* the device, past the page cache */
	char token[KV_UUID_LEN + 1];
	struct kv_repair_file made; /* TOKEN.new */
	int roots;		    /* 0, or why thin_repair had to look for the trees */
};

/* --- Programs --------------------------------------------------------------------- */

/* 1: sound; 0: damaged. */
static int thin_check(struct metadata *m, const char *path, struct kvol_error *e)
{
	const char *const argv[] = { "thin_check", path, NULL };
	char detail[128];
	int status, r;

	r = kv_repair_run(m->x, argv, &status, detail, e);
	return r < 0 ? r : status == 0;
}

/* What thin_repair cannot find out without a superblock. */
struct overrides {
	char transaction[24], block[24], blocks[24];
};

static int thin_repair(struct metadata *m, const struct overrides *o,
		       struct kvol_error *e)
{
	const char *const plain[] = { "thin_repair", "-i",	   m->device,
				      "-o",	     m->made.path, NULL };
	const char *const helped[] = {
		"thin_repair",
		"--transaction-id",
		o ? o->transaction : "",
		"--data-block-size",
		o ? o->block : "",
		"--nr-data-blocks",
		o ? o->blocks : "",
		"-i",
		m->device,
		"-o",
		m->made.path,
		NULL,
	};
	char detail[128];
	int status, r;

	r = kv_repair_run(m->x, o ? helped : plain, &status, detail, e);
	if (r < 0)
		return r;
	if (status)
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': thin_repair cannot repair the metadata (%s)",
				m->x->path, detail);
	return 0;
}

/* --- Making it -------------------------------------------------------------------- */

/* thin_repair makes the snapshot counter 0 when it has to look for the trees. The kernel
 * tells by it which blocks are shared: with one that is behind it would write into
 * snapshots. The catalogue's is never behind. */
static int restore_counter(struct metadata *m, struct kvol_error *e)
{
	struct kv_repair_source made = { m->made.fd };
	unsigned char block[KV_THINMETA_BLOCK];
	struct kv_thinmeta_super super;
	struct kv_repair_tally t;
	uint64_t time = m->x->conf.snapshots;
	int r;

	r = kv_thinmeta_super(kv_repair_read, &made, &super);
	if (r == 0)
		r = kv_repair_compare(m->x, &made, NULL, false, &t);
	if (r == 0 && t.time > time)
		time = t.time;
	if (r == 0 && super.time < time) {
		r = kv_pread_full(m->made.fd, block, sizeof(block), 0);
		if (r == 0)
			r = kv_thinmeta_set_time(block, (uint32_t)time);
		if (r == 0)
			r = kv_pwrite_full(m->made.fd, block, sizeof(block), 0);
	}
	return r < 0 ? kv_error_errno(e, r, "'%s': set the snapshot counter in '%s'",
				      m->x->path, m->made.path)
		     : 0;
}

static int make(struct metadata *m, struct kvol_error *e)
{
	const struct kv_repair *x = m->x;
	struct kv_thinmeta_super super;
	struct overrides o;
	int r;

	m->roots = kv_thinmeta_roots(kv_repair_read, &m->source);
	if (m->roots == 0)
		return thin_repair(m, NULL, e);
	kv_log(&x->ctx->log, LOG_WARNING,
	       "'%s': what leads to the volumes is lost (%s): thin_repair has to look for "
	       "it, and what it finds may be old",
	       x->path, strerror(-m->roots));
	r = kv_thinmeta_super(kv_repair_read, &m->source, &super);
	if (r == 0) {
		r = thin_repair(m, NULL, e);
	} else {
		(void)snprintf(o.transaction, sizeof(o.transaction), "%" PRIu64,
			       x->conf.epoch);
		(void)snprintf(o.block, sizeof(o.block), "%" PRIu64,
			       x->conf.block_bytes / KV_SECTOR);
		(void)snprintf(o.blocks, sizeof(o.blocks), "%" PRIu64,
			       x->m.layout.data.bytes / x->conf.block_bytes);
		r = thin_repair(m, &o, e);
	}
	return r == 0 ? restore_counter(m, e) : r;
}

/* --- Judging it ------------------------------------------------------------------- */

static int refuse_what_was_found(const struct metadata *m, struct kvol_error *e)
{
	static const char unless[] = "what thin_repair found may be old: it is written only "
				     "if that is accepted";

	if (m->roots != -EUCLEAN)
		return kv_error_errno(e, m->roots,
				      "'%s': %s; read what leads to the volumes",
				      m->x->path, unless);
	return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
			"'%s': what leads to the volumes is lost, and %s", m->x->path,
			unless);
}

static int judge(struct metadata *m, struct kvol_error *e)
{
	struct kv_repair_source made = { m->made.fd };
	struct kv_repair *x = m->x;
	struct kv_thinmeta_super super;
	struct kv_repair_tally t;
	int r;

	r = thin_check(m, m->made.path, e);
	if (r < 0)
		return r;
	if (r == 1)
		r = kv_thinmeta_super(kv_repair_read, &made, &super);
	else
		r = -EUCLEAN;
	if (r == 0 && super.data_block_sectors != x->conf.block_bytes / KV_SECTOR)
		r = -EUCLEAN;
	if (r == 0)
		r = kv_repair_compare(x, &made, &m->source, true, &t);
	if (r < 0)
		return kv_error_errno(
			e, r, "'%s': thin_repair did not give sound metadata", x->path);
	x->info.n_short = t.cut;
	if ((t.lost || t.cut) && !kv_repair_checks(x) &&
	    !(x->o.flags & KVOL_REPAIR_ACCEPT))
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': the repaired metadata lacks %" PRIu64
				" volumes and parts of %" PRIu64
				" (such as '%.60s'): it is written only if that is "
				"accepted",
				x->path, t.lost, t.cut, t.example);
	if (m->roots && !kv_repair_checks(x) && !(x->o.flags & KVOL_REPAIR_ACCEPT))
		return refuse_what_was_found(m, e);
	if (t.lost || t.cut) {
		x->info.n_lost = t.lost;
		kv_repair_found(x, KVOL_FAULT_VOLUMES,
				"the repaired metadata lacks what is named above");
	}
	return 0;
}

/* --- Writing it back -------------------------------------------------------------- */

static int write_marker(struct metadata *m, int fd)
{
	_Alignas(KV_THINMETA_BLOCK) char block[KV_THINMETA_BLOCK] = { 0 };
	int r;

	(void)snprintf(block, sizeof(block), MARKER, m->x->m.layout.uuid, m->token);
	r = kv_pwrite_full(fd, block, sizeof(block), 0);
	return r < 0 ? r : kv_blockdev_flush(fd);
}

/* The token of a repair of this pool that was cut short while writing back. */
static bool find_marker(struct metadata *m)
{
	_Alignas(KV_THINMETA_BLOCK) char block[KV_THINMETA_BLOCK];
	char expected[128], token[TOKEN_LENGTH + 1] = "";
	const char *at;

	if (kv_pread_full(m->source.fd, block, sizeof(block), 0) < 0)
		return false;
	block[sizeof(block) - 1] = '\0';
	at = strstr(block, "\ntoken ");
	if (!at || strspn(at + 7, "0123456789abcdef") != TOKEN_LENGTH)
		return false;
	memcpy(token, at + 7, TOKEN_LENGTH);
	(void)snprintf(expected, sizeof(expected), MARKER, m->x->m.layout.uuid, token);
	if (strcmp(block, expected) != 0)
		return false;
	(void)kv_strcpy(m->token, sizeof(m->token), token);
	return true;
}

static int write_back(struct metadata *m, struct kvol_error *e)
{
	_cleanup_close_ int fd =
		kv_blockdev_open(m->x->stack.metadata, O_RDWR | O_DIRECT);
	int r;

	r = fd < 0 ? fd : write_marker(m, fd);
	if (r == 0)
		r = kv_repair_copy(m->made.fd, fd, KV_THINMETA_BLOCK, m->bytes, false);
	if (r == 0)
		r = kv_blockdev_flush(fd);
	if (r == 0)
		r = kv_repair_copy(m->made.fd, fd, 0, KV_THINMETA_BLOCK, false);
	if (r == 0)
		r = kv_blockdev_flush(fd);
	if (r < 0)
		return kv_error_errno(e, r,
				      "'%s': write the metadata back: repeat it with the "
				      "same backup directory",
				      m->x->path);
	r = thin_check(m, m->device, e);
	if (r < 0)
		return r;
	if (r == 0)
		return kv_error(e, -EIO, KVOL_R_IO,
				"'%s': the metadata reads otherwise than it was written",
				m->x->path);
	kv_repair_mended(m->x, KVOL_FAULT_METADATA, "the metadata was repaired");
	return 0;
}

static int keep_old(struct metadata *m, struct kvol_error *e)
{
	struct kv_repair_file f = KV_REPAIR_FILE_NONE;
	int r;

	r = kv_repair_file(m->x, m->token, "old", m->bytes, &f, e);
	if (r < 0)
		return r;
	r = kv_repair_copy(m->source.fd, f.fd, 0, m->bytes, true);
	if (r == 0)
		r = kv_repair_file_sync(&f);
	if (r == 0)
		r = kv_repair_file_sync(&m->made);
	if (r < 0) {
		kv_repair_file_remove(&f);
		return kv_error_errno(e, r, "'%s': copy the metadata to '%s'", m->x->path,
				      f.path);
	}
	(void)kv_strcpy(m->x->info.backup, sizeof(m->x->info.backup), f.path);
	kv_log(&m->x->ctx->log, LOG_NOTICE, "'%s': the metadata as it was is in '%s'",
	       m->x->path, f.path);
	kv_repair_file_close(&f);
	return 0;
}

/* --- All of it -------------------------------------------------------------------- */

static int rebuild(struct metadata *m, struct kvol_error *e)
{
	int r;

	r = kv_uuid_new(m->token);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': draw a number", m->x->path);
	m->token[TOKEN_LENGTH] = '\0';
	r = kv_repair_file(m->x, m->token, "new", m->bytes, &m->made, e);
	if (r < 0)
		return r;
	r = make(m, e);
	if (r == 0)
		r = judge(m, e);
	if (r == 0 && !kv_repair_checks(m->x))
		r = keep_old(m, e);
	if (r < 0 || kv_repair_checks(m->x)) {
		kv_repair_file_remove(&m->made);
		return r < 0 ? r : 1;
	}
	r = write_back(m, e);
	if (r < 0) /* the device may need it yet */
		kv_repair_file_close(&m->made);
	else
		kv_repair_file_remove(&m->made);
	return r;
}

/* The device is half written, from a file that was judged then. */
static int resume(struct metadata *m, struct kvol_error *e)
{
	int r;

	kv_log(&m->x->ctx->log, LOG_NOTICE,
	       "'%s': a repair was interrupted: it goes on from its file", m->x->path);
	r = kv_repair_file(m->x, m->token, "new", 0, &m->made, e);
	if (r < 0)
		return r;
	r = thin_check(m, m->made.path, e);
	if (r == 0)
		r = kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
			     "'%s': '%s', from which the interrupted repair would go on, "
			     "is damaged",
			     m->x->path, m->made.path);
	if (r > 0)
		r = kv_repair_checks(m->x) ? 1 : write_back(m, e);
	if (r == 0)
		kv_repair_file_remove(&m->made);
	else
		kv_repair_file_close(&m->made);
	return r;
}

static int clear_flag(struct metadata *m, struct kvol_error *e)
{
	const char *const argv[] = { "thin_check", "--clear-needs-check-flag", m->device,
				     NULL };
	struct kv_thinmeta_super super;
	char detail[128];
	int status, r;

	r = kv_thinmeta_super(kv_repair_read, &m->source, &super);
	if (r == 0 && !super.needs_check)
		return 0;
	if (r == 0) {
		kv_repair_found(m->x, KVOL_FAULT_NEEDS_CHECK,
				"the metadata is sound, and marked as to be checked");
		if (kv_repair_checks(m->x))
			return 0;
		r = kv_repair_run(m->x, argv, &status, detail, e);
		if (r < 0)
			return r;
		r = kv_blockdev_flush(m->source.fd);
	}
	if (r == 0)
		r = kv_thinmeta_super(kv_repair_read, &m->source, &super);
	if (r == 0 && super.needs_check)
		r = -EIO;
	if (r < 0)
		return kv_error_errno(e, r, "'%s': clear the needs_check flag",
				      m->x->path);
	kv_repair_mended(m->x, KVOL_FAULT_NEEDS_CHECK, "that mark was cleared");
	return 0;
}

static int mend_metadata(struct metadata *m, struct kvol_error *e)
{
	int r;

	r = thin_check(m, m->device, e);
	if (r < 0)
		return r;
	if (r == 1)
		return clear_flag(m, e);
	kv_repair_found(m->x, KVOL_FAULT_METADATA, "the thin pool's metadata is damaged");
	if (kv_str_empty(m->x->o.backup_dir))
		return kv_repair_checks(m->x)
			       ? 1
			       : kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
					  "'%s': the thin pool's metadata is damaged: to "
					  "repair it a backup directory is needed",
					  m->x->path);
	r = find_marker(m) ? resume(m, e) : rebuild(m, e);
	return r == 0 ? clear_flag(m, e) : r;
}

int kv_repair_metadata(struct kv_repair *x, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1, fd = -1;
	struct metadata m = {
		.x = x,
		.bytes = x->m.layout.metadata.bytes,
		.made = KV_REPAIR_FILE_NONE,
	};
	int r;

	r = kv_blockdev_name(x->stack.metadata, m.device, &node_fd);
	if (r == 0) {
		fd = kv_blockdev_open(x->stack.metadata, O_RDONLY | O_DIRECT);
		r = fd < 0 ? fd : 0;
	}
	if (r < 0)
		return kv_error_errno(e, r, "'%s': find the metadata's device", x->path);
	m.source.fd = fd;
	return mend_metadata(&m, e);
}
