/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The thin-pool and thin targets, as drivers/md/dm-thin.c and dm-thin-metadata.c behave:
 *   - ids are 24 bits, EEXIST and ENODATA are told apart, and an active id is not
 * deleted;
 *   - the transaction id is compared and swapped;
 *   - nobody checks that the origin of a snapshot is suspended: the copy is torn, that is
 * all;
 *   - a message whose commit fails returns 0, its effect is rolled back, and the pool is
 * read-only and needs a check from then on;
 *   - a pool that is read-only, or full of metadata, takes no message, not even delete;
 * the latter until its table is loaded again. Status lines are the kernel's to the byte,
 * with the blank at the end.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "model.h"

#define TIME_END	   (1u << 24)
#define METADATA_BASE	   16 /* superblock, space maps, roots */
#define METADATA_LOW_WATER 1024

/* --- Starting --------------------------------------------------------------------- */

struct model_thin *model_thin(struct model_disk *disk, uint32_t id)
{
	for (struct model_thin *t = disk->metadata.thins;
	     t < disk->metadata.thins + MODEL_THINS; t++)
		if (t->used && t->id == id)
			return t;
	return NULL;
}

unsigned model_thins(const struct model_disk *disk)
{
	unsigned n = 0;

	for (int i = 0; i < MODEL_THINS; i++)
		n += disk->metadata.thins[i].used;
	return n;
}

/* Metadata that begins with zeros is formatted by the first pool that starts on it. */
static int open_metadata(struct model_disk *disk, uint64_t offset,
			 const struct model_table *t, uint64_t data_blocks)
{
	struct model_metadata *md = &disk->metadata;

	if (disk->metadata_damaged)
		return -EILSEQ; /* what a bad checksum is to the kernel */
	if (!md->formatted) {
		memset(md, 0, sizeof(*md));
		disk->unflushed = true;
		md->formatted = true;
		md->offset = offset;
		md->block_sectors = t->block_sectors;
		md->data_blocks = data_blocks;
	}
	if (md->offset != offset || md->block_sectors != t->block_sectors)
		return -EINVAL;
	return data_blocks < md->data_blocks ? -EINVAL : 0;
}

int model_pool_load(struct model_table *t, const struct model_dev *self)
{
	bool again = self->table.live && !strcmp(self->table.type, "thin-pool");
	unsigned a, b, c, d, features;
	struct model_disk *disk;
	uint64_t low_water, offset;
	int n = 0, r;

	if (sscanf(t->params, "%u:%u %u:%u %" SCNu32 " %" SCNu64 " %u%n", &a, &b, &c, &d,
		   &t->block_sectors, &low_water, &features, &n) != 7)
		return -EINVAL;
	if (strcmp(t->params + n, features == 1 ? " error_if_no_space" : ""))
		model_disaster("a pool with other features: %s", t->params);
	t->below[0] = makedev(a, b);
	t->below[1] = makedev(c, d);
	disk = model_disk_under(t->below[0], &offset);
	if (!disk || model_disk_under(t->below[1], NULL) != disk || !t->block_sectors ||
	    t->sectors * KV_SECTOR > model_dev_bytes(t->below[1]))
		return -EINVAL;
	if (model_openers(t->below[0]) > (unsigned)again)
		return -EBUSY; /* two pools on one metadata */
	r = open_metadata(disk, offset, t, t->sectors / t->block_sectors);
	if (r == 0 && !(again && disk->mode == MODEL_FAIL))
		disk->mode = disk->metadata.needs_check ? MODEL_READ_ONLY : MODEL_RW;
	return r;
}

static struct model_disk *disk_of_pool(const struct model_dev *pool)
{
	return model_disk_under(pool->table.below[0], NULL);
}

int model_thin_load(struct model_table *t)
{
	struct model_dev *pool;
	struct model_disk *disk;
	unsigned a, b;

	if (sscanf(t->params, "%u:%u %" SCNu32, &a, &b, &t->thin_id) != 3)
		return -EINVAL;
	t->below[0] = makedev(a, b);
	pool = model_dev_by_number(t->below[0]);
	if (!pool || !pool->table.live || strcmp(pool->table.type, "thin-pool"))
		return -EINVAL;
	disk = disk_of_pool(pool);
	if (!disk || disk->mode == MODEL_FAIL)
		return -EINVAL;
	return model_thin(disk, t->thin_id) ? 0 : -ENODATA;
}

struct model_thin *model_thin_under(dev_t dev)
{
	struct model_dev *d = model_dev_by_number(dev), *pool;

	/* The read-only face, and dm-crypt. */
	while (d && d->table.live &&
	       (!strcmp(d->table.type, "linear") || !strcmp(d->table.type, "crypt")))
		d = model_dev_by_number(d->table.below[0]);
	if (!d || !d->table.live || strcmp(d->table.type, "thin"))
		return NULL;
	pool = model_dev_by_number(d->table.below[0]);
	return pool ? model_thin(disk_of_pool(pool), d->table.thin_id) : NULL;
}

static struct model_dev *pool_under(dev_t thin)
{
	struct model_dev *d = model_dev_by_number(thin);

	while (strcmp(d->table.type, "thin") != 0)
		d = model_dev_by_number(d->table.below[0]);
	return model_dev_by_number(d->table.below[0]);
}

struct model_disk *model_disk_of_thin(dev_t dev)
{
	return disk_of_pool(pool_under(dev));
}

void model_write(dev_t dev, unsigned at, unsigned n)
{
	struct model_thin *thin = model_thin_under(dev);
	struct model_metadata *md = &model_disk_of_thin(dev)->metadata;

	for (unsigned i = at; i < at + n; i++) {
		model_need(i < MODEL_BLOCKS && i <= thin->n_blocks, "too many blocks");
		if (i == thin->n_blocks) {
			thin->n_blocks++;
			thin->mapped++;
		} else if (thin->blocks[i].time >= thin->snapshotted) {
			continue; /* its own already */
		}
		thin->blocks[i].block = md->next_block++;
		thin->blocks[i].time = md->time;
		thin->own++;
	}
	model_metadata_changed(dev);
}

uint64_t model_mapped(const struct model_thin *thin)
{
	return thin->mapped + thin->content.reserved;
}

void model_metadata_changed(dev_t thin)
{
	struct model_disk *disk = model_disk_of_thin(thin);

	disk->stale = true;
	if (disk->rendered && !model_alone)
		model_render(disk, -1);
}

/* --- Messages --------------------------------------------------------------------- */

static struct model_dev *active(const struct model_dev *pool, uint32_t id)
{
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		if (d->used && d->table.live && !strcmp(d->table.type, "thin") &&
		    d->table.below[0] == model_dev_number(pool) && d->table.thin_id == id)
			return d;
	return NULL;
}

/* What a file system on it would be mounted from. */
static const struct model_dev *top_of(const struct model_dev *thin)
{
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		if (d->used && d->table.live && strcmp(d->table.type, "thin") != 0 &&
		    !d->table.readonly && d->table.below[0] == model_dev_number(thin))
			return d;
	return thin;
}

static struct model_thin *add_thin(struct model_metadata *md, uint32_t id)
{
	for (struct model_thin *t = md->thins; t < md->thins + MODEL_THINS; t++) {
		if (t->used)
			continue;
		*t = (struct model_thin){
			.used = true,
			.id = id,
			.transaction_id = md->transaction_id,
			.created = md->time,
			.snapshotted = md->time,
		};
		return t;
	}
	return NULL;
}

static int create_thin(struct model_disk *disk, uint32_t id)
{
	if (model_thin(disk, id))
		return -EEXIST;
	return add_thin(&disk->metadata, id) ? 0 : -ENOSPC;
}

static int create_snap(struct model_dev *pool, struct model_disk *disk, uint32_t id,
		       uint32_t origin)
{
	struct model_thin *from, *to;
	const struct model_dev *dev;

	if (model_thin(disk, id))
		return -EEXIST;
	from = model_thin(disk, origin);
	if (!from)
		return -ENODATA;
	if (++disk->metadata.time >= TIME_END)
		model_disaster("the snapshot time has overflowed");
	to = add_thin(&disk->metadata, id);
	if (!to)
		return -ENOSPC;
	from->snapshotted = disk->metadata.time;
	to->mapped = model_mapped(from);
	memcpy(to->blocks, from->blocks, sizeof(to->blocks));
	to->n_blocks = from->n_blocks;
	to->snapshotted = disk->metadata.time;
	to->content = from->content;
	to->flushed = from->flushed;
	to->content.reserved = to->flushed.reserved = 0; /* they are its origin's */
	dev = active(pool, origin);
	if (dev && !dev->suspended) {
		to->content.torn = to->flushed.torn = true;
		model_disaster("thin id %" PRIu32 " was copied while it was active",
			       origin);
	}
	if (dev)
		dev = top_of(dev);
	if (dev && model_mounted(model_dev_number(dev)) && !dev->frozen)
		to->content.unclean = to->flushed.unclean = true;
	return 0;
}

static int delete_thin(struct model_dev *pool, struct model_disk *disk, uint32_t id)
{
	struct model_thin *t = model_thin(disk, id);

	if (!t)
		return -ENODATA;
	if (active(pool, id))
		return -EBUSY;
	t->used = false;
	return 0;
}

static int set_transaction_id(struct model_disk *disk, uint64_t from, uint64_t to)
{
	if (disk->metadata.transaction_id != from)
		return -EINVAL;
	disk->metadata.transaction_id = to;
	return 0;
}

static int metadata_snapshot(struct model_disk *disk, bool reserve)
{
	if (disk->metadata.snapshot == reserve)
		return reserve ? -EBUSY : -EINVAL;
	disk->metadata.snapshot = reserve;
	return 0;
}

static int act(struct model_dev *pool, struct model_disk *disk, const char *msg)
{
	uint64_t a, b;
	char rest;

	if (!strcmp(msg, "reserve_metadata_snap"))
		return metadata_snapshot(disk, true);
	if (!strcmp(msg, "release_metadata_snap"))
		return metadata_snapshot(disk, false);
	if (sscanf(msg, "set_transaction_id %" SCNu64 " %" SCNu64 "%c", &a, &b, &rest) ==
	    2)
		return set_transaction_id(disk, a, b);
	if (sscanf(msg, "create_thin %" SCNu64 "%c", &a, &rest) == 1)
		return a > KV_THIN_ID_MAX ? -EINVAL : create_thin(disk, (uint32_t)a);
	if (sscanf(msg, "create_snap %" SCNu64 " %" SCNu64 "%c", &a, &b, &rest) == 2)
		return a > KV_THIN_ID_MAX || b > KV_THIN_ID_MAX
			       ? -EINVAL
			       : create_snap(pool, disk, (uint32_t)a, (uint32_t)b);
	if (sscanf(msg, "delete %" SCNu64 "%c", &a, &rest) == 1)
		return a > KV_THIN_ID_MAX ? -EINVAL
					  : delete_thin(pool, disk, (uint32_t)a);
	return -EINVAL;
}

/* The kernel ignores what its commit returns: (void) commit(pool). */
static void commit(struct model_disk *disk, const struct model_metadata *before)
{
	if (!disk->lose_commits)
		return;
	disk->lose_commits--;
	disk->metadata = *before;
	disk->metadata.needs_check = true;
	disk->mode = MODEL_READ_ONLY;
}

int model_pool_message(struct model_dev *pool, const char *msg)
{
	_cleanup_free_ struct model_metadata *before = NULL;
	struct model_disk *disk = disk_of_pool(pool);
	int r;

	if (disk->mode >= MODEL_OUT_OF_METADATA)
		return -EOPNOTSUPP;
	if (disk->lose_commits) {
		before = malloc(sizeof(*before));
		if (!before)
			return -ENOMEM;
		*before = disk->metadata;
	}
	r = act(pool, disk, msg);
	if (r == 0)
		commit(disk, before);
	disk->stale = true;
	if (disk->rendered && !model_alone)
		model_render(disk, -1);
	return r;
}

/* --- Status ----------------------------------------------------------------------- */

static void usage(const struct model_dev *pool, const struct model_disk *disk,
		  uint64_t *ret_data, uint64_t *ret_metadata)
{
	const struct model_metadata *md = &disk->metadata;
	uint64_t total = pool->table.sectors / pool->table.block_sectors;
	uint64_t metadata_total =
		model_dev_bytes(pool->table.below[0]) / KV_THIN_METADATA_BLOCK;

	*ret_data = disk->data_used;
	*ret_metadata = METADATA_BASE + disk->metadata_used;
	for (int i = 0; i < MODEL_THINS; i++) {
		if (md->thins[i].used)
			*ret_data += md->thins[i].own + md->thins[i].content.reserved;
		*ret_metadata += md->thins[i].used;
	}
	if (*ret_data > total || disk->mode == MODEL_OUT_OF_DATA)
		*ret_data = total;
	if (*ret_metadata > metadata_total || disk->mode == MODEL_OUT_OF_METADATA)
		*ret_metadata = metadata_total;
}

int model_pool_status(const struct model_dev *pool, bool flush, char *buf, size_t size)
{
	struct model_disk *disk = disk_of_pool(pool);
	uint64_t data, metadata;
	char held[24] = "-";
	const char *mode;
	int n;

	(void)flush; /* nothing is ever uncommitted here */
	if (disk->mode == MODEL_FAIL) {
		n = snprintf(buf, size, "Fail");
		return n < (int)size ? 0 : -ENOSPC;
	}
	usage(pool, disk, &data, &metadata);
	mode = disk->mode == MODEL_RW		 ? "rw"
	       : disk->mode == MODEL_OUT_OF_DATA ? "out_of_data_space"
						 : "ro";
	if (disk->metadata.snapshot)
		(void)snprintf(held, sizeof(held), "%u", MODEL_HELD_ROOT);
	n = snprintf(buf, size,
		     "%" PRIu64 " %" PRIu64 "/%" PRIu64 " %" PRIu64 "/%" PRIu64
		     " %s %s discard_passdown error_if_no_space %s %u ",
		     disk->metadata.transaction_id, metadata,
		     model_dev_bytes(pool->table.below[0]) / KV_THIN_METADATA_BLOCK, data,
		     pool->table.sectors / pool->table.block_sectors, held, mode,
		     disk->metadata.needs_check ? "needs_check" : "-",
		     METADATA_LOW_WATER);
	return n < (int)size ? 0 : -ENOSPC;
}

uint64_t model_free_blocks(dev_t dev)
{
	const struct model_dev *pool = pool_under(dev);
	uint64_t data, metadata;

	usage(pool, disk_of_pool(pool), &data, &metadata);
	return pool->table.sectors / pool->table.block_sectors - data;
}

int model_thin_status(const struct model_dev *dev, char *buf, size_t size)
{
	struct model_dev *pool = model_dev_by_number(dev->table.below[0]);
	struct model_disk *disk = disk_of_pool(pool);
	struct model_thin *t = model_thin(disk, dev->table.thin_id);
	uint64_t sectors;
	int n;

	if (disk->mode == MODEL_FAIL || !t) {
		n = snprintf(buf, size, "Fail");
		return n < (int)size ? 0 : -ENOSPC;
	}
	sectors = model_mapped(t) * disk->metadata.block_sectors;
	if (sectors)
		n = snprintf(buf, size, "%" PRIu64 " %" PRIu64, sectors, sectors - 1);
	else
		n = snprintf(buf, size, "0 -");
	return n < (int)size ? 0 : -ENOSPC;
}
