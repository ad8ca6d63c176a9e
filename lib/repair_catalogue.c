// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Repair of the catalogue: its file system by fsck.ext4, its database as far as indexes
 * go.
 *
 * fsck is given what it can do without losing anything (-p). Answering all its questions
 * with yes may, so that takes KVOL_REPAIR_FORCE, and a copy of the partition first. A
 * check works on a copy in memory, which may be replayed, fscked and mounted at will.
 *
 * A crash leaves what one of fsck leaves: another fsck goes on. Indexes are made anew in
 * one transaction.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blockdev.h"
#include "loop.h"
#include "mount.h"
#include "repair.h"

/* Exit status, fsck(8): a sum. */
#define FSCK_CORRECTED 3 /* 1, or 2: and the machine should be restarted */

/* The catalogue in memory. memfds are sparse: it costs what is not zero. */
static int copy_to_memory(struct kv_repair *x, dev_t *ret_dev, struct kvol_error *e)
{
	_cleanup_close_ int from_fd = -1;
	uint64_t bytes = x->m.layout.catalogue.bytes;
	int r;

	from_fd = kv_blockdev_open(x->stack.catalogue, O_RDONLY | O_DIRECT);
	if (from_fd < 0)
		return kv_error_errno(e, from_fd, "'%s': open the catalogue's partition",
				      x->path);
	x->copy_fd = memfd_create("kvol-catalogue", MFD_CLOEXEC);
	r = x->copy_fd < 0 || ftruncate(x->copy_fd, (off_t)bytes) < 0 ? -errno : 0;
	if (r == 0)
		r = kv_repair_copy(from_fd, x->copy_fd, 0, bytes, true);
	if (r == 0) {
		x->copy_loop_fd = kv_loop_attach(x->copy_fd, "kvol-catalogue", ret_dev);
		r = x->copy_loop_fd < 0 ? x->copy_loop_fd : 0;
	}
	return r < 0 ? kv_error_errno(e, r, "'%s': copy the catalogue to memory", x->path)
		     : 0;
}

static int keep_copy(struct kv_repair *x, struct kvol_error *e)
{
	_cleanup_close_ int from_fd = -1;
	struct kv_repair_file f = KV_REPAIR_FILE_NONE;
	uint64_t bytes = x->m.layout.catalogue.bytes;
	char token[KV_UUID_LEN + 1];
	int r;

	if (kv_str_empty(x->o.backup_dir))
		return kv_error(
			e, -EUCLEAN, KVOL_R_CORRUPT,
			"'%s': to force the catalogue's repair a backup directory "
			"is needed",
			x->path);
	r = kv_uuid_new(token);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': draw a number", x->path);
	token[8] = '\0';
	r = kv_repair_file(x, token, "catalogue", bytes, &f, e);
	if (r < 0)
		return r;
	from_fd = kv_blockdev_open(x->stack.catalogue, O_RDONLY | O_DIRECT);
	r = from_fd < 0 ? from_fd : kv_repair_copy(from_fd, f.fd, 0, bytes, true);
	if (r == 0)
		r = kv_repair_file_sync(&f);
	if (r < 0) {
		kv_repair_file_remove(&f);
		return kv_error_errno(e, r, "'%s': copy the catalogue to '%s'", x->path,
				      f.path);
	}
	kv_log(&x->ctx->log, LOG_NOTICE, "'%s': the catalogue as it was is in '%s'",
	       x->path, f.path);
	kv_repair_file_close(&f);
	return 0;
}

/* What -p leaves alone. */
static int force(struct kv_repair *x, const char *device, char detail[128],
		 struct kvol_error *e)
{
	const char *const yes[] = { "fsck.ext4", "-f", "-y", device, NULL };
	/* It only looks for other superblocks where mkfs puts them by default. */
	const char *const other[] = {
		"fsck.ext4", "-f",   "-y",   "-b", KV_CATALOGUE_GROUP,
		"-B",	     "4096", device, NULL,
	};
	int status, r;

	if (!kv_repair_checks(x)) {
		if (!(x->o.flags & KVOL_REPAIR_FORCE))
			return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
					"'%s': the catalogue's file system is damaged "
					"beyond what fsck mends by itself: it has to be "
					"forced (%s)",
					x->path, detail);
		r = keep_copy(x, e);
		if (r < 0)
			return r;
	}
	r = kv_repair_run(x, yes, &status, detail, e);
	if (r == 0 && status & ~FSCK_CORRECTED)
		r = kv_repair_run(x, other, &status, detail, e);
	if (r < 0)
		return r;
	if (status & ~FSCK_CORRECTED)
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': fsck.ext4 cannot mend the catalogue's file system "
				"(%s)",
				x->path, detail);
	return 0;
}

static int fsck(struct kv_repair *x, const char *device, struct kvol_error *e)
{
	/* Replaying the journal is no repair, and must not look like one. */
	const char *const replay[] = { "fsck.ext4",    "-p",   "-E",
				       "journal_only", device, NULL };
	const char *const preen[] = { "fsck.ext4", "-f", "-p", device, NULL };
	char detail[128];
	int status, r;

	r = kv_repair_run(x, replay, &status, detail, e);
	if (r == 0)
		r = kv_repair_run(x, preen, &status, detail, e);
	if (r < 0 || status == 0)
		return r;
	if (status & ~FSCK_CORRECTED) {
		kv_repair_found(x, KVOL_FAULT_CATALOGUE,
				"the catalogue's file system is damaged beyond what fsck "
				"mends by itself");
		r = force(x, device, detail, e);
		if (r < 0)
			return r;
	} else {
		kv_repair_found(x, KVOL_FAULT_CATALOGUE,
				"the catalogue's file system has errors");
	}
	if (!kv_repair_checks(x))
		kv_repair_mended(x, KVOL_FAULT_CATALOGUE,
				 "the catalogue's file system was mended by fsck.ext4");
	return 0;
}

static int mount_it(struct kv_repair *x, const char *device, struct kvol_error *e)
{
	char detail[128] = "";
	int fd, r;

	fd = kv_mount_device("ext4", device, "errors=remount-ro", NULL, false, detail,
			     sizeof(detail));
	if (fd < 0 && fd != -EINVAL && fd != -EUCLEAN)
		return kv_error_errno(e, fd, "'%s': mount the catalogue (%s)", x->path,
				      detail);
	if (fd < 0)
		return kv_error(e, -EUCLEAN, KVOL_R_CORRUPT,
				"'%s': mount the catalogue after its check (%s)", x->path,
				detail);
	r = kv_catalogue_open(fd, &x->cat);
	if (r == 0)
		r = kv_catalogue_flush(x->cat);
	if (r == -ENOENT)
		r = -EUCLEAN;
	return r < 0 ? kv_error_errno(e, r, "'%s': open the catalogue", x->path) : 0;
}

static int check_database(struct kv_repair *x, struct kvol_error *e)
{
	int r;

	r = kv_catalogue_check(x->cat, !kv_repair_checks(x));
	if (r == 1) {
		kv_repair_found(x, KVOL_FAULT_DATABASE,
				"an index or the tally of the catalogue's database "
				"has errors");
		if (!kv_repair_checks(x))
			kv_repair_mended(x, KVOL_FAULT_DATABASE,
					 "the database's indexes and its tally were made anew");
		r = 0;
	}
	if (r == -EUCLEAN)
		return kv_error(e, r, KVOL_R_CORRUPT,
				"'%s': the catalogue's database is damaged: sqlite3's "
				".recover by hand is what is left",
				x->path);
	if (r == 0)
		r = kv_catalogue_pool(x->cat, &x->conf);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': read the catalogue", x->path);
	if (strcmp(x->conf.uuid, x->m.layout.uuid) != 0)
		return kv_error(
			e, -EUCLEAN, KVOL_R_CORRUPT,
			"'%s': the catalogue belongs to pool %s, the disk to pool "
			"%s",
			x->path, x->conf.uuid, x->m.layout.uuid);
	return 0;
}

int kv_repair_catalogue(struct kv_repair *x, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1;
	dev_t dev = x->stack.catalogue;
	char device[KV_DEV_PATH];
	int r;

	if (kv_repair_checks(x)) {
		r = copy_to_memory(x, &dev, e);
		if (r < 0)
			return r;
	}
	r = kv_blockdev_name(dev, device, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': find the catalogue's device", x->path);
	r = fsck(x, device, e);
	if (r == 0)
		r = mount_it(x, device, e);
	return r == 0 ? check_database(x, e) : r;
}
