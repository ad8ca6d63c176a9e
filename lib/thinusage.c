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
 * none is read twice. Frees what it allocates.
 */
#include <errno.h>
#include <stdlib.h>

#include "thin.h"
#include "thinusage.h"
#include "thinwalk.h"

#define DEVICES_AT_ONCE 64

struct count {
	struct kv_thinwalk w;
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

/* Of the device asked about. */
static int take_down(void *arg, const struct kv_thinmapping *m)
{
	struct count *c = arg;

	if (m->time >= c->time) {
		c->usage.exclusive++;
		return 0;
	}
	if (test_and_set(c->unproven, m->block))
		return -EUCLEAN; /* twice in one device */
	if (m->time < c->oldest)
		c->oldest = m->time;
	c->n_unproven++;
	return 0;
}

/* Of another. */
static int strike_out(void *arg, const struct kv_thinmapping *m)
{
	struct count *c = arg;

	if (test_and_clear(c->unproven, m->block)) {
		c->n_unproven--;
		c->usage.shared++;
	}
	return 0;
}

static int walk_others(struct count *c, uint32_t id)
{
	struct kv_thinmeta_entry entries[DEVICES_AT_ONCE];
	uint32_t from = 0;
	int n, r;

	while (c->n_unproven && from <= KV_THIN_ID_MAX) {
		n = kv_thinmeta_list_at(c->w.read, c->w.arg, &c->w.super, from, entries,
					DEVICES_AT_ONCE, &from);
		if (n < 0)
			return n;
		for (int i = 0; i < n && c->n_unproven; i++) {
			if (entries[i].id == id ||
			    entries[i].device.snapshotted_time <= c->oldest)
				continue;
			r = kv_thinwalk_device(&c->w, entries[i].id, true, strike_out, c);
			if (r < 0)
				return r == -ENODATA ? -EUCLEAN : r;
		}
	}
	return 0;
}

static int start(struct count *c, uint32_t id)
{
	struct kv_thinmeta_device device;
	int r = kv_thinmeta_device_at(c->w.read, c->w.arg, &c->w.super, id, &device);

	if (r < 0)
		return r;
	c->time = c->oldest = device.snapshotted_time;
	c->unproven = calloc(c->w.data_blocks / 8 + 1, 1);
	return c->unproven ? 0 : -ENOMEM;
}

int kv_thinusage(kv_thinmeta_read_fn *read, void *arg, uint64_t held,
		 uint64_t data_blocks, uint32_t id, struct kv_thinusage *ret)
{
	struct count c = { .n_unproven = 0 };
	int r;

	r = kv_thinwalk_start(&c.w, read, arg, held, data_blocks);
	if (r == 0)
		r = start(&c, id);
	if (r == 0)
		r = kv_thinwalk_device(&c.w, id, false, take_down, &c);
	if (r == 0)
		r = walk_others(&c, id);
	if (r == 0) {
		ret->exclusive = c.usage.exclusive + c.n_unproven;
		ret->shared = c.usage.shared;
	}
	free(c.unproven);
	kv_thinwalk_end(&c.w);
	return r;
}
