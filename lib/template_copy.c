// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copying a template, for when the pool's count of snapshots runs low, which every clone
 * takes one of. Only the blocks that it has are copied: that costs what mkfs has written,
 * whatever the size.
 *
 * They are listed in a metadata snapshot (metasnap.c). Nothing writes to a template, and
 * its lock keeps it from being deleted: so the list stays true when the snapshot is let
 * go, and the blocks can be read where they lie, from the pool's data device. The template
 * stays inactive, as those who clone it meanwhile expect.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "blockdev.h"
#include "template.h"
#include "thinwalk.h"

/* For another one's look at the metadata to end; or mkfs is faster. */
#define WAIT_MS 1000
#define LIST_MS 10000

/* 1.5 MiB of memory. What is in more pieces is no empty file system. */
#define RUNS_MAX 65536

/* Blocks that follow each other in the device and in the pool. */
struct run {
	uint64_t at, block, n;
};

struct list {
	uint64_t end; /* of the device, in blocks */
	struct run *runs;
	size_t n, room;
};

static int make_room(struct list *l)
{
	size_t room = l->room ? 2 * l->room : 64;
	struct run *runs;

	if (l->n < l->room)
		return 0;
	if (l->n == RUNS_MAX)
		return -E2BIG;
	runs = reallocarray(l->runs, room, sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	l->runs = runs;
	l->room = room;
	return 0;
}

static int add(void *arg, const struct kv_thinmapping *m)
{
	struct list *l = arg;
	struct run *last = l->n ? &l->runs[l->n - 1] : NULL;
	int r;

	if (m->at >= l->end)
		return -EUCLEAN;
	if (last && m->at == last->at + last->n && m->block == last->block + last->n) {
		last->n++;
		return 0;
	}
	r = make_room(l);
	if (r == 0)
		l->runs[l->n++] = (struct run){ m->at, m->block, 1 };
	return r;
}

static int list_blocks(const struct kvol_pool *pool, uint32_t id, struct list *l)
{
	struct kv_metasnap snap;
	struct kv_thinwalk w;
	int r, s;

	r = kv_metasnap_take(pool, kv_deadline(WAIT_MS), LIST_MS, &snap);
	if (r < 0)
		return r;
	r = kv_thinwalk_start(&w, kv_metasnap_read, &snap, snap.held, snap.data_blocks);
	if (r == 0)
		r = kv_thinwalk_device(&w, id, false, add, l);
	kv_thinwalk_end(&w);
	s = kv_metasnap_let_go(&snap);
	return r < 0 ? r : s;
}

static int copy_blocks(const struct kvol_pool *pool, const struct list *l, uint64_t bytes,
		       dev_t dev)
{
	_cleanup_close_ int from_fd = -1, to_fd = -1;
	uint64_t block = pool->conf.block_bytes, at, n;
	int64_t deadline = kv_deadline(KV_FS_MAKE_MS);
	int r = 0;

	from_fd = kv_blockdev_open(pool->stack.data, O_RDONLY | O_DIRECT);
	if (from_fd < 0)
		return from_fd;
	to_fd = kv_blockdev_open(dev, O_RDWR | O_DIRECT);
	if (to_fd < 0)
		return to_fd;
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		at = l->runs[i].at * block;
		n = l->runs[i].n * block;
		if (n > bytes - at) /* the device's last block may end early */
			n = bytes - at;
		r = kv_expired(deadline) ? -ETIMEDOUT
					 : kv_blockdev_copy(from_fd,
							    l->runs[i].block * block,
							    to_fd, at, n);
	}
	return r < 0 ? r : kv_blockdev_flush(to_fd);
}

static int fill(const struct kvol_pool *pool, const struct kv_row *row,
		const struct list *l, struct kvol_error *e)
{
	struct kv_device device;
	int r, s;

	r = kv_device_activate(pool, row, false, &device);
	if (r < 0)
		return kv_pool_activate_error(pool, r, row->name, e);
	r = copy_blocks(pool, l, row->bytes, device.dev);
	s = kv_device_deactivate(pool, row->id, KV_DM_DEFERRED);
	if (r < 0)
		return kv_pool_write_error(pool, r, row->name, "copy the template", e);
	return s < 0 ? kv_error_errno(e, s, "volume '%s': deactivate", row->name) : 0;
}

int kv_template_copy(struct kvol_pool *pool, const struct kv_template *t,
		     const struct kv_row *row, struct kvol_error *e)
{
	struct list l = { .end = kv_div_round_up(row->bytes, pool->conf.block_bytes) };
	int r = list_blocks(pool, t->row.id, &l);

	if (r == 0)
		r = fill(pool, row, &l, e);
	else if (r == -ETIMEDOUT || r == -E2BIG)
		r = KV_COPY_NOT_NOW;
	else if (r == -ENODATA)
		r = KV_COPY_LOST;
	else
		r = kv_pool_error(pool, r, "list the template's blocks", row->name, e);
	free(l.runs);
	return r;
}
