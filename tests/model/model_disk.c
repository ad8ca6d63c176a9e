/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Disks: their label, what a probe says, loop devices, opening devices by number, and
 * mkfs of the catalogue. In the place of lib/gpt.c, probe.c, blockdev.c, loop.c and
 * spawn.c.
 *
 * A disk is a sparse regular file, of which the first block alone is real: a label, or
 * "SIG:name" for the signature of somebody else, or zeros for blank. So files can be
 * copied, truncated and removed as in life.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blockdev.h"
#include "claim.h"
#include "gpt.h"
#include "loop.h"
#include "model.h"
#include "probe.h"
#include "spawn.h"
#include "thinmeta.h"

#define MAGIC		 "KVMODEL1"
#define SIGNATURE	 "SIG:"
#define HEAD_SIZE	 4096
#define READABLE_BYTES	 (1 << 20) /* of any device of a machine alone */
#define CATALOGUE	 "CATALOGUE ON DISK "
#define CATALOGUE_OFFSET (UINT64_C(1) << 20)

struct label {
	char magic[8];
	struct kv_layout layout;
	uint64_t hash;
};

/* --- Label and signatures --------------------------------------------------------- */

static int read_head(int fd, char head[HEAD_SIZE])
{
	int r = kv_pread_full(fd, head, HEAD_SIZE, 0);

	return r == -ENODATA ? -EMEDIUMTYPE : r; /* a file of no size */
}

static bool is_blank(const char head[HEAD_SIZE])
{
	return !head[0] && !memcmp(head, head + 1, HEAD_SIZE - 1);
}

int kv_gpt_write(int fd, const char *path, const struct kv_layout *layout)
{
	struct label label;
	int r = model_step("gpt write");

	(void)path;
	if (r < 0)
		return r;
	memset(&label, 0, sizeof(label));
	memcpy(label.magic, MAGIC, sizeof(label.magic));
	label.layout = *layout;
	label.hash = kv_hash64(&label.layout, sizeof(label.layout), 0);
	return __real_kv_pwrite_full(fd, &label, sizeof(label), 0);
}

int kv_gpt_read(int fd, struct kv_layout *ret)
{
	char head[HEAD_SIZE];
	struct label label;
	uint64_t bytes;
	int r = model_step("gpt read");

	if (r == 0)
		r = kv_blockdev_size(fd, &bytes);
	if (r == 0)
		r = read_head(fd, head);
	if (r < 0)
		return r;
	memcpy(&label, head, sizeof(label));
	if (memcmp(label.magic, MAGIC, sizeof(label.magic)))
		return -EMEDIUMTYPE;
	if (label.hash != kv_hash64(&label.layout, sizeof(label.layout), 0) ||
	    label.layout.device_bytes > bytes)
		return -EUCLEAN;
	*ret = label.layout;
	return 0;
}

/* The label is one block, with no second copy: whether one is damaged the disk says. */
int kv_gpt_check(int fd)
{
	struct kv_layout layout;
	int r = model_step("gpt check");

	if (r == 0)
		r = kv_gpt_read(fd, &layout);
	if (r < 0)
		return r;
	model_lock();
	r = model_disk_by_fd(fd)->table_damaged;
	model_unlock();
	return r;
}

int kv_gpt_mend(int fd, const char *path)
{
	int r = model_step("gpt mend");

	(void)path;
	if (r < 0)
		return r;
	model_lock();
	model_disk_by_fd(fd)->table_damaged = false;
	model_unlock();
	return 0;
}

int kv_probe_signature(int fd, char *ret, size_t size)
{
	char head[HEAD_SIZE];
	int r = model_step("probe");

	if (r == 0)
		r = read_head(fd, head);
	if (r < 0)
		return r == -EMEDIUMTYPE ? 0 : r;
	if (is_blank(head))
		return 0;
	head[31] = '\0';
	if (!strncmp(head, SIGNATURE, strlen(SIGNATURE)))
		(void)kv_strcpy(ret, size, head + strlen(SIGNATURE));
	else
		(void)kv_strcpy(ret, size, memcmp(head, MAGIC, 8) ? "unknown" : "gpt");
	return 1;
}

int kv_probe_wipe(int fd)
{
	const char zeros[HEAD_SIZE] = { 0 };
	int r = model_step("probe wipe");

	return r < 0 ? r : __real_kv_pwrite_full(fd, zeros, sizeof(zeros), 0);
}

/* --- Devices by number ------------------------------------------------------------ */

int kv_blockdev_path(dev_t dev, char ret[KV_DEV_PATH])
{
	int r = model_step("device path");

	if (r == 0)
		(void)snprintf(ret, KV_DEV_PATH, "/dev/%s%u",
			       major(dev) == MODEL_LOOP_MAJOR ? "loop" : "dm-",
			       minor(dev));
	return r;
}

int kv_blockdev_name(dev_t dev, char ret[KV_DEV_PATH], int *ret_fd)
{
	int r = kv_blockdev_path(dev, ret);

	if (r == 0)
		*ret_fd = -1;
	return r;
}

dev_t model_dev_of_path(const char *path)
{
	unsigned n;
	char rest;

	if (sscanf(path, "/dev/dm-%u%c", &n, &rest) == 1)
		return makedev(MODEL_DM_MAJOR, n);
	if (sscanf(path, "/dev/loop%u%c", &n, &rest) == 1)
		return makedev(MODEL_LOOP_MAJOR, n);
	return 0;
}

/* The metadata device can be read: the thin pool's metadata is written to a file for it.
 */
static int open_metadata(struct model_disk *disk, const struct model_hold *hold)
{
	char file[64];
	int fd;

	(void)snprintf(file, sizeof(file), "disk%d/metadata", (int)(disk - model->disks));
	fd = model_hold(hold, file, O_RDWR | O_CREAT);
	if (fd >= 0 && __real_ftruncate(fd, (off_t)model_dev_bytes(hold->dev)) < 0)
		abort();
	/* What is damaged is what somebody wrote there. */
	if (fd >= 0 && !disk->metadata_damaged) {
		disk->rendered = disk->stale = true;
		if (!model_alone)
			model_render(disk, fd);
	}
	return fd;
}

/* Of a machine alone it is written when somebody reads it. */
int __wrap_kv_pread_full(int fd, void *buf, size_t n, uint64_t offset)
{
	struct model_hold *hold = model_alone ? model_alone_hold_of(fd) : NULL;
	struct model_disk *disk = hold ? model_disk_under(hold->dev, NULL) : NULL;

	if (disk && disk->stale && hold->file[0]) {
		model_render(disk, fd);
		disk->stale = false;
	}
	return __real_kv_pread_full(fd, buf, n, offset);
}

/* Of a disk itself only the block with the host's claim is there, beside its label. */
static int open_member(const struct model_hold *hold)
{
	const struct model_loop *loop = &model->loops[minor(hold->dev) % MODEL_LOOPS];
	struct model_disk *disk = model->disks;
	char file[64];
	int fd;

	while (disk < model->disks + MODEL_DISKS &&
	       !(disk->used && disk->file_dev == loop->file_dev &&
		 disk->file_ino == loop->file_ino))
		disk++;
	if (!loop->used || disk == model->disks + MODEL_DISKS)
		return -ENODEV;
	(void)snprintf(file, sizeof(file), "disk%d/member", (int)(disk - model->disks));
	fd = model_hold(hold, file, O_RDWR | O_CREAT);
	if (fd >= 0 && __real_ftruncate(fd, KV_CLAIM_OFFSET + KV_CLAIM_BLOCK) < 0)
		abort();
	return fd;
}

/* Anything else is zeros; but what a catalogue is on begins with its disk's name, by
 * which a copy is known. */
static int open_zeros(const struct model_hold *hold, const struct model_disk *disk,
		      uint64_t offset)
{
	uint64_t bytes = model_alone ? READABLE_BYTES : model_dev_bytes(hold->dev);
	char head[64];
	int fd;

	fd = model_hold(hold, NULL, O_RDWR | O_CREAT);
	if (fd < 0)
		return fd;
	if (__real_ftruncate(fd, (off_t)bytes) < 0)
		abort();
	if (model_alone || !disk || !disk->has_catalogue_fs || offset != CATALOGUE_OFFSET)
		return fd;
	(void)snprintf(head, sizeof(head), CATALOGUE "%d", (int)(disk - model->disks));
	if (__real_kv_pwrite_full(fd, head, sizeof(head), 0) < 0)
		abort();
	return fd;
}

/* NULL: it is no copy of a catalogue's partition. */
static struct model_disk *disk_copied_to(int fd)
{
	char head[64];
	int i;

	if (__real_kv_pread_full(fd, head, sizeof(head), 0) < 0)
		return NULL;
	head[sizeof(head) - 1] = '\0';
	return sscanf(head, CATALOGUE "%d", &i) == 1 && i >= 0 && i < MODEL_DISKS
		       ? &model->disks[i]
		       : NULL;
}

int kv_blockdev_open(dev_t dev, int flags)
{
	struct model_hold hold = { .kind = MODEL_HOLD_DEVICE, .dev = dev };
	struct model_disk *disk;
	struct model_dev *d;
	uint64_t offset;
	int r = model_step("device open");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	d = model_dev_by_number(dev);
	disk = model_disk_under(dev, &offset);
	if (major(dev) == MODEL_LOOP_MAJOR) {
		r = open_member(&hold);
		model_unlock();
		return r;
	}
	if (!d || !d->table.live)
		r = -ENODEV;
	else if (d->table.readonly && (flags & O_ACCMODE) != O_RDONLY)
		r = -EACCES;
	else if (disk && disk->metadata.formatted && disk->metadata.offset == offset)
		r = open_metadata(disk, &hold);
	else
		r = open_zeros(&hold, disk, offset);
	model_unlock();
	return r;
}

int kv_blockdev_open_exclusive(const char *path)
{
	dev_t dev = model_dev_of_path(path);
	int r = model_step("device claim");

	if (r < 0)
		return r;
	if (!dev)
		return -ENOTBLK;
	model_lock();
	model_sweep();
	r = model_openers(dev) ? -EBUSY : 0;
	model_unlock();
	return r < 0 ? r : kv_blockdev_open(dev, O_RDWR);
}

int kv_blockdev_size(int fd, uint64_t *ret_bytes)
{
	struct model_hold *hold;
	struct stat st;
	int r = model_step("device size");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(fd);
	if (hold)
		*ret_bytes = model_dev_bytes(hold->dev);
	else if (fstat(fd, &st) < 0)
		r = -errno;
	else
		*ret_bytes = (uint64_t)st.st_size;
	model_unlock();
	return r;
}

/* A flush of the member takes everything on it along. */
static void flush(const struct model_hold *hold, int fd)
{
	struct model_thin *thin = hold ? model_thin_under(hold->dev) : NULL;

	if (thin)
		thin->flushed = thin->content;
	else if (!hold)
		model_disk_by_fd(fd)->unflushed = false;
	else if (major(hold->dev) == MODEL_LOOP_MAJOR)
		model_disk_of_loop(hold->dev)->unflushed = false;
}

int kv_blockdev_flush(int fd)
{
	struct model_hold *hold;
	int r = model_step("device flush");

	if (r < 0)
		return r;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	model_lock();
	hold = model_hold_of(fd);
	if (hold && major(hold->dev) == MODEL_DM_MAJOR)
		r = model_wait_running(hold->dev);
	if (r == 0)
		flush(hold, fd);
	model_unlock();
	return r;
}

/* Of a thin device: what was reserved and lies in it goes back. */
static int discard(const struct model_hold *hold, uint64_t offset, uint64_t bytes)
{
	struct model_dev *d = model_dev_by_number(hold->dev);
	struct model_thin *thin = model_thin_under(hold->dev);
	uint64_t block, end;

	if (!thin)
		return 0;
	if (d->no_discards)
		return -EOPNOTSUPP;
	if (offset + bytes > model_dev_bytes(hold->dev))
		return -EINVAL;
	block = model_disk_of_thin(hold->dev)->metadata.block_sectors * KV_SECTOR;
	end = (offset + bytes + block - 1) / block;
	offset = (offset + block - 1) / block;
	if (end >= thin->content.reserved && offset < thin->content.reserved)
		thin->content.reserved = offset;
	model_metadata_changed(hold->dev);
	return 0;
}

int kv_blockdev_discard(int fd, uint64_t offset, uint64_t bytes)
{
	struct model_hold *hold;
	int r = model_step("device discard");

	if (r < 0)
		return r;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	model_lock();
	hold = model_hold_of(fd);
	if (hold && major(hold->dev) == MODEL_DM_MAJOR) {
		r = model_wait_running(hold->dev);
		if (r == 0)
			r = discard(hold, offset, bytes);
	}
	model_unlock();
	return r;
}

int kv_blockdev_touch(int fd, uint64_t offset, uint64_t step, uint64_t count)
{
	struct model_hold *hold;
	struct model_thin *thin;
	uint64_t end;
	int r = model_step("device touch");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(fd);
	model_need(hold, "touching what is no device");
	r = model_wait_running(hold->dev);
	thin = r < 0 ? NULL : model_thin_under(hold->dev);
	if (r == 0 && (!thin || offset + step * (count - 1) >= model_dev_bytes(hold->dev)))
		r = -EIO;
	if (r == 0) {
		end = offset / step + count;
		if (offset / step > thin->content.reserved)
			model_disaster("a hole before what is reserved");
		if (end > thin->content.reserved) {
			if (end - thin->content.reserved > model_free_blocks(hold->dev))
				r = -ENOSPC;
			else
				thin->content.reserved = end;
		}
		model_metadata_changed(hold->dev);
	}
	model_unlock();
	return r;
}

/* The thin device that had a block of the pool's first, before any copy of it. */
static struct model_thin *first_with(struct model_disk *disk, uint64_t block,
				     unsigned *ret_at)
{
	struct model_thin *first = NULL;

	for (struct model_thin *t = disk->metadata.thins;
	     t < disk->metadata.thins + MODEL_THINS; t++) {
		if (!t->used || (first && t->created >= first->created))
			continue;
		for (unsigned i = 0; i < t->n_blocks; i++)
			if (t->blocks[i].block == block) {
				first = t;
				*ret_at = i;
			}
	}
	return first;
}

/* From the pool's data to a thin device. A file system is there with its last block. */
static int copy(const struct model_hold *from, uint64_t block, uint64_t n,
		const struct model_hold *to, uint64_t at)
{
	struct model_disk *disk = model_disk_under(from->dev, NULL);
	struct model_thin *source, *thin = model_thin_under(to->dev);
	unsigned source_at = 0;

	for (; n; n--, block++, at++) {
		source = first_with(disk, block, &source_at);
		model_need(source && source_at == at, "copying what is not there");
		if (!model_free_blocks(to->dev))
			return -ENOSPC;
		model_write(to->dev, (unsigned)at, 1);
		thin->content.torn = thin->n_blocks < source->n_blocks;
		if (!thin->content.torn)
			thin->content = source->content;
	}
	return 0;
}

int kv_blockdev_copy(int from_fd, uint64_t from, int to_fd, uint64_t to, uint64_t bytes)
{
	struct model_hold *from_hold, *to_hold;
	uint64_t block;
	int r = model_step("device copy");

	if (r < 0)
		return r;
	model_lock();
	from_hold = model_hold_of(from_fd);
	to_hold = model_hold_of(to_fd);
	model_need(from_hold && to_hold && model_thin_under(to_hold->dev),
		   "copying to what is no volume");
	r = model_wait_running(to_hold->dev);
	block = model_disk_of_thin(to_hold->dev)->metadata.block_sectors * KV_SECTOR;
	if (r == 0 && to + bytes > model_dev_bytes(to_hold->dev))
		r = -ENOSPC;
	if (r == 0)
		r = copy(from_hold, from / block, (bytes + block - 1) / block, to_hold,
			 to / block);
	model_unlock();
	return r;
}

int kv_blockdev_no_discards(dev_t dev)
{
	struct model_dev *d;
	int r = model_step("device no discards");

	if (r < 0)
		return r;
	model_lock();
	d = model_dev_by_number(dev);
	if (d)
		d->no_discards = true;
	model_unlock();
	return d ? 0 : -EOPNOTSUPP;
}

/* Only ever the places where a new pool's parts begin. */
int kv_blockdev_zero(int fd, uint64_t offset, uint64_t bytes)
{
	struct model_disk *disk;
	int r = model_step("device zero");

	if (r < 0)
		return r;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	model_lock();
	disk = model_disk_by_fd(fd);
	if (disk->metadata.offset >= offset && disk->metadata.offset < offset + bytes)
		disk->metadata.formatted = false;
	if (offset <= CATALOGUE_OFFSET)
		disk->has_catalogue_fs = false;
	model_unlock();
	return 0;
}

/* --- Loop devices ----------------------------------------------------------------- */

static int attach(int file_fd, dev_t *ret_dev)
{
	struct model_disk *from = model_alone ? NULL : disk_copied_to(file_fd);
	struct model_hold hold = { .kind = MODEL_HOLD_DEVICE };
	struct stat st;
	int fd;

	if (fstat(file_fd, &st) < 0)
		return -errno;
	if (from)
		model_catalogue_copied(from, file_fd);
	for (unsigned i = 0; i < MODEL_LOOPS; i++) {
		if (model->loops[i].used)
			continue;
		hold.dev = makedev(MODEL_LOOP_MAJOR, i);
		fd = model_hold(&hold, NULL, O_RDWR | O_CREAT);
		if (fd < 0)
			return fd;
		model->loops[i] = (struct model_loop){
			.used = true,
			.file_dev = st.st_dev,
			.file_ino = st.st_ino,
		};
		(void)model_disk_by_fd(file_fd);
		*ret_dev = hold.dev;
		return fd;
	}
	return -ENOSPC;
}

int kv_loop_attach(int file_fd, const char *path, dev_t *ret_dev)
{
	int r = model_step("loop attach");

	(void)path;
	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	r = attach(file_fd, ret_dev);
	model_unlock();
	return r;
}

int kv_loop_attached(dev_t file_dev, ino_t file_ino)
{
	int r = model_step("loop attached");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	for (int i = 0; i < MODEL_LOOPS; i++)
		r |= model->loops[i].used && model->loops[i].file_dev == file_dev &&
		     model->loops[i].file_ino == file_ino;
	model_unlock();
	return r;
}

int kv_loop_backing(dev_t dev, dev_t *ret_file_dev, ino_t *ret_file_ino)
{
	int r = model_step("loop backing");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	if (major(dev) != MODEL_LOOP_MAJOR || minor(dev) >= MODEL_LOOPS ||
	    !model->loops[minor(dev)].used) {
		r = -ENXIO;
	} else {
		*ret_file_dev = model->loops[minor(dev)].file_dev;
		*ret_file_ino = model->loops[minor(dev)].file_ino;
	}
	model_unlock();
	return r;
}

unsigned model_n_loops(void)
{
	unsigned n = 0;

	model_sweep();
	for (int i = 0; i < MODEL_LOOPS; i++)
		n += model->loops[i].used;
	return n;
}

/* --- Programs --------------------------------------------------------------------- */

static int mkfs_catalogue(const char *device)
{
	static const char *const files[] = { "catalogue.db", "catalogue.db-wal",
					     "catalogue.db-shm", "catalogue.db-journal" };
	dev_t dev = model_dev_of_path(device);
	struct model_disk *disk = model_disk_under(dev, NULL);
	char path[MODEL_PATH];

	if (!disk)
		return -EIO;
	if (model_openers(dev))
		model_disaster("mkfs on %s, which is in use", device);
	for (size_t i = 0; i < KV_ARRAY_SIZE(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/disk%d/%s", model->dir,
			       (int)(disk - model->disks), files[i]);
		(void)__real_unlink(path);
	}
	if (model_alone)
		model_catalogue_format((int)(disk - model->disks));
	disk->has_catalogue_fs = disk->unflushed = true;
	return 0;
}

static bool has_argument(const char *const argv[], const char *word)
{
	while (*argv && strcmp(*argv, word) != 0)
		argv++;
	return *argv;
}

static int fsck(const char *const argv[], const char *device)
{
	struct model_disk *disk = model_catalogue_under(model_dev_of_path(device));

	if (!disk || has_argument(argv, "journal_only") || !disk->catalogue_damaged)
		return 0;
	if (!has_argument(argv, "-y"))
		return 4;
	if (disk->catalogue_lost) /* but for its other superblocks */
		return has_argument(argv, "-b") ? 8 : 4;
	disk->catalogue_damaged = false;
	return 1;
}

static int read_metadata(void *arg, uint64_t block, void *buf)
{
	return kv_pread_full(*(int *)arg, buf, KV_THINMETA_BLOCK,
			     block * KV_THINMETA_BLOCK);
}

/* The disk behind a metadata device, and the file that stands for its blocks. */
static struct model_disk *metadata_file(const char *device, char ret[MODEL_PATH])
{
	struct model_disk *disk = model_disk_under(model_dev_of_path(device), NULL);

	if (disk)
		(void)snprintf(ret, MODEL_PATH, "%s/disk%d/metadata", model->dir,
			       (int)(disk - model->disks));
	else
		(void)kv_strcpy(ret, MODEL_PATH, device);
	return disk;
}

static bool is_sound(int fd)
{
	struct kv_thinmeta_entry entries[64];
	uint32_t next = 0;
	int r = 0;

	while (r >= 0 && next <= KV_THIN_ID_MAX)
		r = kv_thinmeta_list(read_metadata, &fd, next, entries, 64, &next);
	return r >= 0;
}

static int thin_check(const char *const argv[], const char *device)
{
	struct kv_thinmeta_super super;
	char path[MODEL_PATH];
	struct model_disk *disk = metadata_file(device, path);
	_cleanup_close_ int fd = -1;

	if (disk && !disk->metadata_damaged) {
		if (has_argument(argv, "--clear-needs-check-flag"))
			disk->metadata.needs_check = false;
		if (disk->rendered)
			model_render(disk, -1);
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !is_sound(fd))
		return 1;
	if (disk) { /* somebody wrote it anew: this is what a kernel would find */
		disk->metadata_damaged = false;
		if (kv_thinmeta_super(read_metadata, &fd, &super) == 0)
			disk->metadata.time = super.time;
	}
	return 0;
}

/* Finds all that is there; what the superblock said has to be told if that is lost. */
static int thin_repair(const char *const argv[], const char *output)
{
	struct kv_thinmeta_super super;
	unsigned char block[KV_THINMETA_BLOCK];
	char path[MODEL_PATH];
	_cleanup_close_ int in = -1, out = -1;
	struct model_disk *disk;
	unsigned i = 1;

	while (strcmp(argv[i], "-i") != 0)
		i++;
	disk = metadata_file(argv[i + 1], path);
	in = open(path, O_RDONLY | O_CLOEXEC);
	out = open(output, O_RDWR | O_CLOEXEC);
	if (!disk || in < 0 || out < 0)
		return 1;
	model_render(disk, out);
	if (kv_thinmeta_super(read_metadata, &in, &super) == 0)
		return 0;
	if (!has_argument(argv, "--transaction-id"))
		return 1;
	return kv_pread_full(out, block, sizeof(block), 0) < 0 ||
	       kv_thinmeta_set_time(block, 0) < 0 ||
	       kv_pwrite_full(out, block, sizeof(block), 0) < 0;
}

int kv_spawn_status(const char *const argv[], int64_t deadline_ms, int *ret_status,
		    char *ret_detail, size_t detail_size)
{
	const char *last = argv[0];
	char what[48];
	int r;

	(void)deadline_ms;
	(void)snprintf(what, sizeof(what), "spawn %.32s", argv[0]);
	r = model_step(what);
	if (r < 0) {
		if (ret_detail && detail_size)
			(void)kv_strcpy(ret_detail, detail_size, "the model says no");
		return r;
	}
	for (int i = 0; argv[i]; i++)
		last = argv[i];
	model_lock();
	model_sweep();
	*ret_status = 0;
	if (!strcmp(argv[0], "mkfs.ext4"))
		r = mkfs_catalogue(last);
	else if (!strcmp(argv[0], "fsck.ext4"))
		*ret_status = fsck(argv, last);
	else if (!strcmp(argv[0], "thin_check"))
		*ret_status = thin_check(argv, last);
	else if (!strcmp(argv[0], "thin_repair"))
		*ret_status = thin_repair(argv, last);
	else
		r = -ENOENT;
	model_unlock();
	return r;
}

int kv_spawn(const char *const argv[], int64_t deadline_ms, char *ret_detail,
	     size_t detail_size)
{
	int status, r;

	r = kv_spawn_status(argv, deadline_ms, &status, ret_detail, detail_size);
	if (r < 0)
		return r;
	return status ? -EIO : 0;
}

int kv_spawn_find(const char *program, struct stat *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->st_size = (off_t)model->mkfs_bytes;
	return model->mkfs_bytes && !strncmp(program, "mkfs.", 5) ? 0 : -ENOENT;
}
