// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thick volumes: every block is allocated before the volume, or its new part, is there,
 * so that writing to it never needs a block of the pool's.
 *
 * The kernel allocates a block when something is written to it: so one page of zeros is
 * written at the start of each that is new, through the thin device, which nobody else
 * uses. What the volume says is a device on top of it (device.c), dm-crypt or a linear
 * map, which takes no discards and can be smaller. So the blocks of a new part are there
 * before anybody sees it.
 *
 * While a new part is being reserved the row has KV_ROW_SPARE: there may be blocks beyond
 * its end. The commit of the new size takes the mark away; after a failure they are given
 * back, and after a crash recovery does that.
 *
 * Space is looked at before each slice, with all that is still to come: whoever else
 * takes some meanwhile, the pool is left with its reserve.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "blockdev.h"
#include "verb.h"

/* Written at once, and then flushed: 4 MiB of memory at most. */
#define SLICE_BLOCKS UINT64_C(1024)

/* A leaf of the kernel's tree has at least half of its 252 entries. */
#define LEAF_BLOCKS UINT64_C(126)

/* Blocks of the thin device up to a size of the volume; those that it shares with what
 * lies beyond are in. */
static uint64_t blocks_to(const struct kvol_pool *pool, const struct kv_row *row,
			  uint64_t bytes)
{
	return kv_round_up(kv_row_thin_bytes(row, bytes), pool->conf.block_bytes) /
	       pool->conf.block_bytes;
}

static int check_room(const struct kvol_pool *pool, const char *name, uint64_t blocks,
		      struct kvol_error *e)
{
	struct kv_pool_status st;
	int r;

	r = kv_pool_admit(pool, true, e);
	if (r < 0)
		return r;
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	if (blocks > kv_pool_spare_data(&st))
		return kv_error(e, -ENOSPC, KVOL_R_NO_DATA_SPACE,
				"volume '%s': needs %" PRIu64 " data blocks; pool '%s' has "
				"%" PRIu64 " above its reserve",
				name, blocks, pool->conf.name, kv_pool_spare_data(&st));
	if (blocks / LEAF_BLOCKS > kv_pool_spare_metadata(&st))
		return kv_error(e, -ENOSPC, KVOL_R_NO_METADATA_SPACE,
				"volume '%s': needs %" PRIu64
				" metadata blocks; pool '%s' has %" PRIu64
				" above its reserve",
				name, blocks / LEAF_BLOCKS, pool->conf.name,
				kv_pool_spare_metadata(&st));
	return 0;
}

int kv_thick_check(const struct kvol_pool *pool, const struct kv_row *row, uint64_t from,
		   uint64_t to, struct kvol_error *e)
{
	return check_room(pool, row->name,
			  blocks_to(pool, row, to) - (from ? blocks_to(pool, row, from) : 0),
			  e);
}

int kv_thick_fill(const struct kvol_pool *pool, const struct kv_row *row, dev_t dev,
		  uint64_t from, uint64_t to, struct kvol_error *e)
{
	uint64_t first = from ? blocks_to(pool, row, from) : 0;
	uint64_t end = blocks_to(pool, row, to), n;
	_cleanup_close_ int fd = -1;
	int r;

	fd = kv_blockdev_open(dev, O_RDWR);
	if (fd < 0)
		return kv_error_errno(e, fd, "volume '%s': open its device to reserve it",
				      row->name);
	for (; first < end; first += n) {
		n = end - first < SLICE_BLOCKS ? end - first : SLICE_BLOCKS;
		r = check_room(pool, row->name, end - first, e);
		if (r < 0)
			return r;
		r = kv_blockdev_touch(fd, first * pool->conf.block_bytes,
				      pool->conf.block_bytes, n);
		if (r == 0)
			r = kv_blockdev_flush(fd);
		if (r < 0)
			return kv_pool_write_error(pool, r, row->name, "reserve it", e);
	}
	return 0;
}

/* --- A new part ------------------------------------------------------------------- */

/* The thin device as large as `bytes` wants it. */
static int stretch(const struct kvol_pool *pool, const struct kv_row *row, uint64_t bytes,
		   struct kv_device *ret)
{
	struct kv_row wide = *row;
	int r;

	wide.bytes = bytes;
	r = kv_device_activate(pool, &wide, false, ret);
	return r < 0 || !ret->was_active ? r : kv_device_stretch(pool, &wide);
}

static int put_down(const struct kvol_pool *pool, uint32_t id, const struct kv_device *d)
{
	return d->was_active ? kv_blockdev_no_discards(d->dev)
			     : kv_device_deactivate(pool, id, KV_DM_DEFERRED);
}

static int discard_beyond(const struct kvol_pool *pool, const struct kv_row *row)
{
	uint64_t from = blocks_to(pool, row, row->bytes) * pool->conf.block_bytes;
	_cleanup_close_ int fd = -1;
	struct kv_row wide = *row;
	struct kv_device device;
	uint64_t to;
	int r, s;

	r = kv_device_activate(pool, row, false, &device);
	if (r < 0)
		return r;
	r = kv_device_highest(pool, row->id, &to);
	if (r == 0 && to > from) {
		wide.bytes = to; /* its header makes it a little more */
		r = kv_device_stretch(pool, &wide);
		fd = r < 0 ? r : kv_blockdev_open(device.dev, O_RDWR);
		r = fd < 0 ? fd : kv_blockdev_discard(fd, from, to - from);
		if (r == 0) /* then it is committed */
			r = kv_blockdev_flush(fd);
		fd = kv_close(fd);
	}
	/* No larger than it was: nothing is beyond, and nobody has it open but what ends
	 * before. */
	if (r == 0 && device.was_active)
		r = kv_device_stretch(pool, row);
	s = put_down(pool, row->id, &device);
	return r < 0 ? r : s;
}

int kv_thick_give_back(struct kvol_pool *pool, struct kv_row *row)
{
	int r;

	if (!(row->flags & KV_ROW_SPARE))
		return 0;
	r = discard_beyond(pool, row);
	if (r == 0)
		r = kv_catalogue_set_flags(pool->cat, row->id, row->flags & ~KV_ROW_SPARE);
	if (r == 0)
		row->flags &= ~KV_ROW_SPARE;
	return r;
}

static int reserve(struct kvol_pool *pool, const struct kv_row *row, uint64_t bytes,
		   struct kvol_error *e)
{
	struct kv_device device;
	int r, s;

	r = stretch(pool, row, bytes, &device);
	if (r < 0)
		return kv_pool_activate_error(pool, r, row->name, e);
	r = kv_thick_fill(pool, row, device.dev, row->bytes, bytes, e);
	s = put_down(pool, row->id, &device);
	if (r == 0 && s < 0)
		r = kv_error_errno(e, s, "volume '%s': take its device down", row->name);
	return r;
}

int kv_thick_grow(struct kvol_pool *pool, struct kv_row *row, uint64_t bytes,
		  struct kvol_error *e)
{
	uint32_t flags = row->flags | KV_ROW_SPARE;
	int r;

	r = kv_thick_check(pool, row, row->bytes, bytes, e);
	if (r < 0)
		return r;
	r = kv_catalogue_set_flags(pool->cat, row->id, flags);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': commit to the catalogue",
				      row->name);
	row->flags = flags;
	r = reserve(pool, row, bytes, e);
	if (r < 0)
		kv_thick_forget(pool, row);
	return r;
}

void kv_thick_forget(struct kvol_pool *pool, struct kv_row *row)
{
	int r = kv_catalogue_in_doubt(pool->cat) ? -EIO : kv_thick_give_back(pool, row);

	if (r < 0)
		kv_log(&pool->log, LOG_WARNING,
		       "volume '%s': what was reserved for its new part could not be given "
		       "back now (%s); the next open does it",
		       row->name, strerror(-r));
}
