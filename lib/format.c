// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Making pools: the one place, beside the creation of volumes, that wipes or formats
 * anything.
 *
 * The partition table comes last. Before it stand, at the places that it will name: the
 * catalogue's file system and database, and the thin pool's empty metadata, both made
 * through the same device-mapper maps as later use. A crash before the table is whole
 * leaves something that is no pool, and devices that the next format, of any path, takes
 * down (leftover.c). On failure every device is taken down again, and a file that was made
 * is removed.
 *
 * Anything but blank space is refused without KVOL_FORMAT_FORCE, and unreadable is not
 * blank. With it, old signatures go first, so that a crash in the middle leaves nothing
 * that looks whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "format.h"
#include "gpt.h"
#include "loop.h"
#include "mount.h"
#include "probe.h"
#include "rundir.h"
#include "spawn.h"

#define MKFS_MS	    120000
#define WIPE_BYTES  (UINT64_C(1) << 20)
#define UNMAP_TRIES 3

/* --- Making it -------------------------------------------------------------------- */

static int plan(struct kv_format *f, struct kvol_error *e)
{
	uint64_t bytes, least = 0;
	int r;

	r = kv_blockdev_size(f->fd, &bytes);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': read its size", f->path);
	f->geo.block_bytes = f->o.block_bytes;
	f->geo.max_volumes = f->o.max_volumes;
	r = kv_layout_plan(bytes, &f->geo, &f->layout, &least);
	if (r == -ENOSPC)
		return kv_error_invalid(e,
					"'%s': %" PRIu64
					" bytes are too small for a pool; it needs at "
					"least %" PRIu64,
					f->path, bytes, least);
	if (r < 0)
		return kv_error_invalid(
			e,
			"pool '%s': blocks of %" PRIu64 " bytes for %" PRIu64
			" volumes cannot be: blocks are a multiple of 65536 up to 1 GiB, "
			"volumes at most 2^24 - 1",
			f->name, f->o.block_bytes, f->o.max_volumes);
	r = kv_uuid_new(f->layout.uuid);
	return r < 0 ? kv_error_errno(e, r, "pool '%s': draw a UUID", f->name) : 0;
}

static int attach(struct kv_format *f, struct kvol_error *e)
{
	if (f->member)
		return 0;
	f->loop_fd = kv_loop_attach(f->fd, f->path, &f->member);
	return f->loop_fd < 0 ? kv_error_errno(e, f->loop_fd,
					       "'%s': attach a loop device", f->path)
			      : 0;
}

/* Old signatures, and the places where the next step looks for old contents. */
static int clear(struct kv_format *f, struct kvol_error *e)
{
	int r = 0;

	if (f->o.flags & KVOL_FORMAT_FORCE)
		r = kv_probe_wipe(f->fd);
	if (r == 0)
		r = kv_blockdev_zero(f->fd, f->layout.catalogue.start_bytes, WIPE_BYTES);
	if (r == 0)
		r = kv_blockdev_zero(f->fd, f->layout.metadata.start_bytes, WIPE_BYTES);
	if (r == 0)
		r = kv_blockdev_zero(f->fd, KV_CLAIM_OFFSET, KV_CLAIM_BLOCK);
	return r < 0 ? kv_error_errno(e, r, "'%s': clear it", f->path) : 0;
}

static int make_catalogue_fs(struct kv_format *f, const char *device, struct kvol_error *e)
{
	/* A small journal and few inodes: it holds one database. Everything is written
	 * now, nothing by a kernel thread later. No checksums: the superblock is two
	 * sectors and its checksum is in the second, so that a power cut between the two,
	 * at any mount, would leave what the kernel refuses to mount; without it nothing
	 * of use is in the second. The same goes for the journal's commit blocks. */
	const char *const argv[] = {
		"mkfs.ext4",
		"-q",
		"-F",
		"-b",
		"4096",
		"-g",
		KV_CATALOGUE_GROUP, /* more than one: each pool has a second superblock */
		"-m",
		"0",
		"-N",
		"64",
		"-J",
		"size=4",
		"-L",
		"kvol-catalogue",
		"-O",
		"^resize_inode,^metadata_csum",
		"-E",
		"nodiscard,lazy_itable_init=0,lazy_journal_init=0",
		device,
		NULL,
	};
	char detail[128] = "";
	int r;

	r = kv_spawn(argv, kv_deadline(MKFS_MS), detail, sizeof(detail));
	if (r == -ENOENT)
		return kv_error(e, -EINVAL, KVOL_R_UNSUPPORTED,
				"'%s': mkfs.ext4 is not installed", f->path);
	return r < 0 ? kv_error_errno(e, r, "'%s': make the catalogue's file system (%s)",
				      f->path, detail)
		     : 0;
}

static int make_catalogue(struct kv_format *f, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1, mnt = -1, root = -1;
	char device[KV_DEV_PATH], detail[128] = "";
	struct kv_pool_row row = { .epoch = 0 };
	int r;

	r = kv_blockdev_name(f->stack.catalogue, device, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': find the catalogue's device", f->path);
	r = make_catalogue_fs(f, device, e);
	if (r < 0)
		return r;
	mnt = kv_mount_device("ext4", device, "errors=remount-ro", NULL, false, detail,
			      sizeof(detail));
	if (mnt < 0)
		return kv_error_errno(e, mnt, "'%s': mount the catalogue (%s)", f->path,
				      detail);
	root = kv_mount_root(mnt);
	if (root < 0)
		return kv_error_errno(e, root, "'%s': open the catalogue", f->path);
	memcpy(row.uuid, f->layout.uuid, sizeof(row.uuid));
	(void)kv_strcpy(row.name, sizeof(row.name), f->name);
	row.block_bytes = f->geo.block_bytes;
	row.max_volumes = f->geo.max_volumes;
	r = kv_catalogue_create(root, &row);
	if (r == 0 && syncfs(root) < 0)
		r = -errno;
	return r < 0 ? kv_error_errno(e, r, "'%s': make the catalogue", f->path) : 0;
}

/* The kernel formats metadata that begins with zeros when the pool is started first. */
static int make_thin_pool(struct kv_format *f, struct kvol_error *e)
{
	struct kv_pool_status st;
	char line[KV_THIN_LINE];
	struct kv_dm_id id;
	int r;

	r = kv_stack_map_pool(&f->dm, &f->layout, f->member, f->geo.block_bytes, true,
			      &f->stack);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"'%s': the kernel lacks device-mapper's "
				"thin provisioning",
				f->path);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': start the thin pool", f->path);
	kv_dm_id_part(&id, f->layout.uuid, "pool");
	r = kv_dm_status(&f->dm, id.uuid, KV_DM_FLUSH, line, sizeof(line), NULL);
	if (r == 0)
		r = kv_pool_status_parse(line, &st);
	if (r == 0 && (st.mode != KV_POOL_RW || st.needs_check || st.transaction_id != 0))
		r = -EIO;
	return r < 0 ? kv_error_errno(e, r, "'%s': make the thin pool's metadata",
				      f->path)
		     : 0;
}

static int sync_directory(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;
	char *slash;

	if (!copy)
		return -ENOMEM;
	slash = strrchr(copy, '/');
	if (slash)
		slash[slash == copy] = 0;
	fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* What is taken down right after its making may still be looked at by an udev worker. Any
 * other failure is not taken for the last word at once, either: no disk will carry the
 * UUID of what stays, and nobody would ever take it down. */
static int unmap(struct kv_format *f)
{
	int64_t deadline = kv_deadline(5000);
	unsigned step = 0, tries = UNMAP_TRIES;
	int r;

	while ((r = kv_stack_remove(&f->dm, f->layout.uuid)) < 0 &&
	       (r == -EBUSY || --tries > 0) && kv_backoff(&step, deadline) == 0)
		;
	return r;
}

static int make_parts(struct kv_format *f, struct kvol_error *e)
{
	int r;

	r = kv_stack_map_catalogue(&f->dm, &f->layout, f->member, &f->stack);
	if (r == -EBUSY)
		return kv_error(e, r, KVOL_R_BUSY_OPEN, "'%s': mounted or in use",
				f->path);
	if (r < 0)
		return kv_error_errno(e, r, "'%s': map the catalogue", f->path);
	r = make_catalogue(f, e);
	return r == 0 ? make_thin_pool(f, e) : r;
}

/* Nobody would ever find the maps by the disk. */
static int make_announced_parts(struct kv_format *f, struct kvol_error *e)
{
	_cleanup_close_ int announced_fd = kv_leftover_announce(f->run_fd,
								f->layout.uuid);
	int r, s;

	if (announced_fd < 0)
		return kv_error_errno(e, announced_fd,
				      "'%s': announce the new pool in the run directory",
				      f->path);
	r = make_parts(f, e);
	s = unmap(f);
	if (s == 0)
		kv_leftover_withdraw(f->run_fd, f->layout.uuid);
	if (r < 0)
		return r;
	return s < 0 ? kv_error_errno(e, s, "'%s': take the new devices down", f->path)
		     : 0;
}

static int make_pool(struct kv_format *f, struct kvol_error *e)
{
	int r;

	r = attach(f, e);
	if (r == 0)
		r = clear(f, e);
	if (r == 0)
		r = make_announced_parts(f, e);
	if (r < 0)
		return r;
	r = kv_blockdev_flush(f->loop_fd >= 0 ? f->loop_fd : f->fd);
	if (r == 0)
		r = kv_blockdev_flush(f->fd);
	if (r == 0)
		r = kv_gpt_write(f->fd, f->path, &f->layout);
	if (r == 0 && f->made_file)
		r = sync_directory(f->path);
	return r < 0 ? kv_error_errno(e, r, "'%s': write the partition table", f->path)
		     : 0;
}

static int format(struct kv_format *f, struct kvol_error *e)
{
	int r;

	r = kv_dm_open(&f->dm);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"device-mapper: the kernel does not have it");
	if (r < 0)
		return kv_error_errno(e, r, "device-mapper: open the control device");
	f->run_fd = kv_run_open(f->ctx->run_dir);
	if (f->run_fd < 0)
		return kv_error_errno(e, f->run_fd, "'%s': make the run directory",
				      f->path);
	r = kv_format_open(f, e);
	if (r < 0)
		return r;
	r = kv_format_lock(f, e);
	if (r == 0)
		r = kv_format_size_file(f, e);
	if (r < 0)
		return r;
	r = kv_format_check_contents(f, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = kv_format_check_unclaimed(f, e);
	if (r == 0)
		r = plan(f, e);
	return r == 0 ? make_pool(f, e) : r;
}

int kvol_pool_format(struct kvol_ctx *ctx, const char *name, const char *path,
		     const struct kvol_format_opts *opts, struct kvol_error *reterr)
{
	struct kv_format f = {
		.ctx = ctx, .name = name, .path = path, .fd = -1, .run_fd = -1,
		.loop_fd = -1,
	};
	int r;

	f.dm.fd = -1;
	if (!ctx || !name || kv_str_empty(path))
		return kv_error_invalid(reterr, "kvol_pool_format: %s is missing",
					!ctx	? "ctx"
					: !name ? "name"
						: "path");
	if (!kv_pool_name_valid(name))
		return kv_error_invalid(
			reterr,
			"pool '%.80s': a name is 1 to 64 of A-Z a-z 0-9 . _ - and "
			"does not begin with '.' or '-'",
			name);
	r = kv_opts_in(&f.o, sizeof(f.o), sizeof(f.o), opts, KVOL_FORMAT_FORCE,
		       "kvol_format_opts", reterr);
	if (r < 0)
		return r;
	if (f.o.file_bytes > INT64_MAX)
		return kv_error_invalid(
			reterr, "'%s': %" PRIu64 " bytes are more than a file can have",
			path, f.o.file_bytes);
	r = format(&f, reterr);
	if (r < 0 && f.made_file)
		(void)unlink(path);
	else if (r < 0 && f.sized_file)
		(void)ftruncate(f.fd, 0);
	(void)kv_close(f.run_fd);
	(void)kv_close(f.loop_fd);
	(void)kv_close(f.fd);
	kv_dm_close(&f.dm);
	return r;
}
