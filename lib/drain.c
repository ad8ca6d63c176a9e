// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Freeing the blocks of a volume that is buried.
 *
 * One message deletes a thin id with all that it maps, under the lock of the pool's
 * metadata, and whoever needs a new block waits for as long as that takes: a second for
 * every million of blocks, on a fast machine. So what is large is emptied first, by
 * discards of a slice at a time, which also tell the disk below; the others get their
 * turn in between. What is small is not worth a device.
 *
 * A crash, or the deadline, leaves a tombstone and what is not discarded yet; recovery
 * goes on from there.
 */
#include <errno.h>
#include <fcntl.h>

#include "blockdev.h"
#include "verb.h"

/* In blocks of the pool: what is deleted by a message alone, and what a discard frees at
 * most. The thin target works off what discards have come in before it lets a flush
 * through, and a freeze is several flushes: beside a delete by slices of 4096 blocks a
 * snapshot of another volume takes five times as long. Smaller ones cost the delete a
 * fifth. */
#define DRAIN_FROM 16384u
#define SLICE	   256u

/* From the end: the kernel knows the highest block that is left, and so where to go on. */
static int discard_slices(const struct kvol_pool *pool, const struct kv_row *row,
			  dev_t dev, int64_t deadline_ms)
{
	const uint64_t slice = SLICE * pool->conf.block_bytes;
	_cleanup_close_ int fd = kv_blockdev_open(dev, O_RDWR);
	uint64_t end;
	int r;

	r = fd < 0 ? fd : kv_device_highest(pool, row->id, &end);
	if (r == 0 && end > row->bytes)
		end = row->bytes; /* the message takes the rest */
	while (r == 0 && end > 0) {
		uint64_t at = (end - 1) / slice * slice;

		if (kv_expired(deadline_ms))
			return -ETIMEDOUT;
		r = kv_blockdev_discard(fd, at, end - at);
		end = at;
	}
	return r;
}

static int drain(struct kvol_pool *pool, const struct kv_row *row, int64_t deadline_ms)
{
	struct kv_device device;
	uint64_t allocated;
	int r, s;

	r = kv_device_allocated(pool, row->id, &allocated);
	if (r < 0 || allocated <= DRAIN_FROM * pool->conf.block_bytes)
		return 0;
	r = kv_device_activate(pool, row, false, &device);
	if (r < 0)
		return r;
	r = discard_slices(pool, row, device.dev, deadline_ms);
	s = kv_device_deactivate(pool, row->id, 0);
	return r < 0 ? r : s;
}

int kv_volume_free(struct kvol_pool *pool, uint32_t id, uint64_t bytes,
		   int64_t deadline_ms)
{
	struct kv_row row = { .id = id, .bytes = bytes };
	int r = 0;

	if (bytes > DRAIN_FROM * pool->conf.block_bytes)
		r = drain(pool, &row, deadline_ms);
	/* Without discards the message does it all. */
	return r == -ETIMEDOUT || r == -EBUSY ? r : kv_pool_delete_id(pool, id);
}
