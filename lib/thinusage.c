// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which blocks of a thin device no other maps: what deleting it would give back.
 *
 * Reference counts would tell, but the kernel keeps them out of a metadata snapshot, and
 * those of the live metadata change beneath a reader. So the mappings themselves are
 * compared. They say enough for most not to be looked at. A mapping carries the time of
 * its making, a count of the pool's snapshots, and a device that of the last snapshot that
 * it was part of, as origin or as copy. Two devices share a block only by a snapshot that
 * came after its mapping, and that each of them, or one that it was copied from, was part
 * of; so both times of theirs are later than the mapping's. The kernel goes by the same
 * rule when it decides whether a write must copy.
 *
 * So a mapping that is not older than its device's time is exclusive. The others are
 * marked in a map of the pool's blocks, and taken out of it by the mappings of all other
 * devices whose time is later than the oldest of them. Trees that were copied share nodes:
 * none is read twice.
 *
 * Nothing that is read is believed (thinnode.c). Frees what it allocates.
 */
#include <errno.h>
#include <stdlib.h>

#include "thin.h"
#include "thinnode.h"
#include "thinusage.h"

/* Bits of a mapping's value below its block. */
#define TIME_BITS 24
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

#define DEVICES_AT_ONCE 64

struct walk {
	kv_thinmeta_read_fn *read;
	void *arg;
	struct kv_thinmeta_super super;
	uint64_t data_blocks;
	unsigned char *buffers;	 /* one for each level of a tree */
	unsigned char *seen;	 /* nodes, by their number */
	unsigned char *unproven; /* blocks that others may have */
	uint64_t n_unproven;
	uint32_t time; /* of the device asked about */
	uint32_t oldest;
	struct kv_thinusage usage;
};

static bool test_and_set(unsigned char *bits, uint64_t i)
{
	unsigned char bit = (unsigned char)(1u << i % 8);
	bool was = bits[i / 8] & bit;

	bits[i / 8] |= bit;
	return was;
}

static bool test_and_clear(unsigned char *bits, uint64_t i)
{
	unsigned char bit = (unsigned char)(1u << i % 8);
	bool was = bits[i / 8] & bit;

	bits[i / 8] &= (unsigned char)~bit;
	return was;
}

typedef int mapping_fn(struct walk *w, uint64_t block, uint32_t time);

/* Calls fn for each mapping below a node. With `once`, not for what was seen before. */
static int walk_node(struct walk *w, uint64_t number, const struct kv_thinrange *range,
		     unsigned depth, bool once, mapping_fn *fn)
{
	unsigned char *buf = w->buffers + (size_t)depth * KV_THINMETA_BLOCK;
	struct kv_thinnode node;
	struct kv_thinrange below;
	uint64_t value;
	int r;

	if (depth == KV_THINNODE_DEPTH || number >= w->super.metadata_blocks)
		return -EUCLEAN;
	if (once && test_and_set(w->seen, number))
		return 0;
	r = kv_thinnode_read(w->read, w->arg, number, w->super.metadata_blocks, range,
			     sizeof(uint64_t), buf, &node);
	if (r == 0 && !node.n && depth) /* it could stand anywhere, and often */
		r = -EUCLEAN;
	for (uint32_t i = 0; r == 0 && i < node.n; i++) {
		value = kv_thinnode_value(&node, i);
		if (node.leaf) {
			r = value >> TIME_BITS < w->data_blocks
				    ? fn(w, value >> TIME_BITS,
					 (uint32_t)(value & TIME_MASK))
				    : -EUCLEAN;
			continue;
		}
		below = kv_thinnode_below(&node, i, range);
		r = walk_node(w, value, &below, depth + 1, once, fn);
	}
	return r;
}

/* The root of a device's own tree: a leaf's value in the tree of devices. */
static int find_root(struct walk *w, uint32_t id, uint64_t *ret)
{
	struct kv_thinrange range = { 0, (uint64_t)KV_THIN_ID_MAX + 1 };
	uint64_t number = w->super.data_mapping_root;
	struct kv_thinnode node;
	uint32_t i;
	int r;

	for (unsigned depth = 0; depth < KV_THINNODE_DEPTH; depth++) {
		r = kv_thinnode_read(w->read, w->arg, number, w->super.metadata_blocks,
				     &range, sizeof(uint64_t), w->buffers, &node);
		if (r < 0)
			return r;
		i = kv_thinnode_count_up_to(&node, id);
		if (!i || (node.leaf && kv_thinnode_key(&node, i - 1) != id))
			return -ENODATA;
		number = kv_thinnode_value(&node, i - 1);
		if (node.leaf) {
			*ret = number;
			return 0;
		}
		range = kv_thinnode_below(&node, i - 1, &range);
	}
	return -EUCLEAN;
}

static int walk_device(struct walk *w, uint32_t id, bool once, mapping_fn *fn)
{
	const struct kv_thinrange all = { 0, UINT64_MAX };
	uint64_t root;
	int r = find_root(w, id, &root);

	return r < 0 ? r : walk_node(w, root, &all, 0, once, fn);
}

/* Of the device asked about. */
static int take_down(struct walk *w, uint64_t block, uint32_t time)
{
	if (time >= w->time) {
		w->usage.exclusive++;
		return 0;
	}
	if (test_and_set(w->unproven, block))
		return -EUCLEAN; /* twice in one device */
	if (time < w->oldest)
		w->oldest = time;
	w->n_unproven++;
	return 0;
}

/* Of another. */
static int strike_out(struct walk *w, uint64_t block, uint32_t time)
{
	(void)time;
	if (test_and_clear(w->unproven, block)) {
		w->n_unproven--;
		w->usage.shared++;
	}
	return 0;
}

static int walk_others(struct walk *w, uint32_t id)
{
	struct kv_thinmeta_entry entries[DEVICES_AT_ONCE];
	uint32_t from = 0;
	int n, r;

	while (w->n_unproven && from <= KV_THIN_ID_MAX) {
		n = kv_thinmeta_list_at(w->read, w->arg, &w->super, from, entries,
					DEVICES_AT_ONCE, &from);
		if (n < 0)
			return n;
		for (int i = 0; i < n && w->n_unproven; i++) {
			if (entries[i].id == id ||
			    entries[i].device.snapshotted_time <= w->oldest)
				continue;
			r = walk_device(w, entries[i].id, true, strike_out);
			if (r < 0)
				return r == -ENODATA ? -EUCLEAN : r;
		}
	}
	return 0;
}

static int start(struct walk *w, uint64_t held, uint32_t id)
{
	struct kv_thinmeta_device device;
	int r;

	r = kv_thinmeta_held(w->read, w->arg, held, &w->super);
	if (r == 0)
		r = kv_thinmeta_device_at(w->read, w->arg, &w->super, id, &device);
	if (r < 0)
		return r;
	w->time = w->oldest = device.snapshotted_time;
	w->buffers = aligned_alloc(KV_THINMETA_BLOCK,
				   KV_THINNODE_DEPTH * KV_THINMETA_BLOCK);
	w->seen = calloc(w->super.metadata_blocks / 8 + 1, 1);
	w->unproven = calloc(w->data_blocks / 8 + 1, 1);
	return w->buffers && w->seen && w->unproven ? 0 : -ENOMEM;
}

int kv_thinusage(kv_thinmeta_read_fn *read, void *arg, uint64_t held,
		 uint64_t data_blocks, uint32_t id, struct kv_thinusage *ret)
{
	struct walk w = { .read = read, .arg = arg, .data_blocks = data_blocks };
	int r;

	r = start(&w, held, id);
	if (r == 0)
		r = walk_device(&w, id, false, take_down);
	if (r == 0)
		r = walk_others(&w, id);
	if (r == 0) {
		ret->exclusive = w.usage.exclusive + w.n_unproven;
		ret->shared = w.usage.shared;
	}
	free(w.unproven);
	free(w.seen);
	free(w.buffers);
	return r;
}
