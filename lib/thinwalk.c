// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The mappings of thin devices: the tree of devices leads to a tree for each.
 *
 * Nothing that is read is believed (thinnode.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "thin.h"
#include "thinnode.h"
#include "thinwalk.h"

/* Bits of a mapping's value below its block. */
#define TIME_BITS 24
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)

/* One device's. */
struct visit {
	struct kv_thinwalk *w;
	bool once;
	kv_thinwalk_fn *fn;
	void *arg;
};

static bool was_seen(struct kv_thinwalk *w, uint64_t number)
{
	unsigned char bit = (unsigned char)(1u << number % 8);
	bool was = w->seen[number / 8] & bit;

	w->seen[number / 8] |= bit;
	return was;
}

static int call(const struct visit *v, uint64_t at, uint64_t value)
{
	struct kv_thinmapping m = { .at = at,
				    .block = value >> TIME_BITS,
				    .time = (uint32_t)(value & TIME_MASK) };

	return m.block < v->w->data_blocks ? v->fn(v->arg, &m) : -EUCLEAN;
}

static int walk_node(const struct visit *v, uint64_t number,
		     const struct kv_thinrange *range, unsigned depth)
{
	struct kv_thinwalk *w = v->w;
	unsigned char *buf = w->buffers + (size_t)depth * KV_THINMETA_BLOCK;
	struct kv_thinnode node;
	struct kv_thinrange below;
	int r;

	if (depth == KV_THINNODE_DEPTH || number >= w->super.metadata_blocks)
		return -EUCLEAN;
	if (v->once && was_seen(w, number))
		return 0;
	r = kv_thinnode_read(w->read, w->arg, number, w->super.metadata_blocks, range,
			     sizeof(uint64_t), buf, &node);
	if (r == 0 && !node.n && depth) /* it could stand anywhere, and often */
		r = -EUCLEAN;
	for (uint32_t i = 0; r == 0 && i < node.n; i++) {
		if (node.leaf) {
			r = call(v, kv_thinnode_key(&node, i),
				 kv_thinnode_value(&node, i));
			continue;
		}
		below = kv_thinnode_below(&node, i, range);
		r = walk_node(v, kv_thinnode_value(&node, i), &below, depth + 1);
	}
	return r;
}

/* The root of a device's own tree: a leaf's value in the tree of devices. */
static int find_root(struct kv_thinwalk *w, uint32_t id, uint64_t *ret)
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

int kv_thinwalk_device(struct kv_thinwalk *w, uint32_t id, bool once, kv_thinwalk_fn *fn,
		       void *fn_arg)
{
	const struct kv_thinrange all = { 0, UINT64_MAX };
	const struct visit v = { w, once, fn, fn_arg };
	uint64_t root;
	int r = find_root(w, id, &root);

	return r < 0 ? r : walk_node(&v, root, &all, 0);
}

int kv_thinwalk_start(struct kv_thinwalk *w, kv_thinmeta_read_fn *read, void *arg,
		      uint64_t held, uint64_t data_blocks)
{
	int r;

	*w = (struct kv_thinwalk){ .read = read, .arg = arg, .data_blocks = data_blocks };
	r = kv_thinmeta_held(read, arg, held, &w->super);
	if (r < 0)
		return r;
	w->buffers = aligned_alloc(KV_THINMETA_BLOCK,
				   KV_THINNODE_DEPTH * KV_THINMETA_BLOCK);
	w->seen = calloc(w->super.metadata_blocks / 8 + 1, 1);
	return w->buffers && w->seen ? 0 : -ENOMEM;
}

void kv_thinwalk_end(struct kv_thinwalk *w)
{
	free(w->seen);
	free(w->buffers);
}
