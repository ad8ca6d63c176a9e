/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How a disk is divided: GPT, catalogue, metadata, data, GPT. Pure arithmetic.
 *
 * Catalogue and metadata are sized for the whole life of the pool, since neither is ever
 * moved: the data comes last, where a disk that grows can give it more. Both sizes never
 * shrink when a disk or a parameter grows, which is what makes the least size of a pool
 * well defined: it is the least fixed point of least_bytes().
 *
 * Starts, and the sizes of catalogue and metadata, are multiples of 1 MiB: more than any
 * disk's optimal I/O size or erase block that is worth aligning to. The data is a
 * multiple of the thin pool's block and not necessarily of 1 MiB.
 */

#include <errno.h>

#include "layout.h"
#include "thin.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)

/* Each copy of a GPT takes 34 sectors of 512 or 6 of 4096 bytes; the rest is
 * alignment. */
#define GPT_BYTES MIB

#define VOLUMES_DEFAULT_LEAST UINT64_C(1024)
#define VOLUMES_DEFAULT_MOST  UINT64_C(1000000)

/* An ext4 with a small journal, a WAL at its full size, and a row of a volume with its
 * indices. */
#define CATALOGUE_FIXED	     (32 * MIB)
#define CATALOGUE_PER_VOLUME KIB

/* Space maps and roots; an entry of a mapping tree at its worst fill, twice (copy on
 * write); an empty thin device's own mapping tree of one node. */
#define METADATA_FIXED	    (4 * MIB)
#define METADATA_PER_BLOCK  UINT64_C(128)
#define METADATA_PER_VOLUME (4 * KIB)
#define METADATA_MOST	    (KV_THIN_METADATA_MAX / MIB * MIB)

#define DATA_LEAST (16 * MIB)

/* The data blocks that a device could have if it held nothing else: what metadata is
 * sized for. */
static uint64_t blocks_at_most(uint64_t device_bytes, uint64_t block_bytes)
{
	return device_bytes / block_bytes;
}

static int choose(uint64_t device_bytes, struct kv_geometry *geo)
{
	if (!geo->max_volumes) {
		geo->max_volumes = device_bytes / MIB;
		if (geo->max_volumes < VOLUMES_DEFAULT_LEAST)
			geo->max_volumes = VOLUMES_DEFAULT_LEAST;
		if (geo->max_volumes > VOLUMES_DEFAULT_MOST)
			geo->max_volumes = VOLUMES_DEFAULT_MOST;
	}
	if (geo->max_volumes > KV_THIN_ID_MAX)
		return -EINVAL;

	if (!geo->block_bytes) {
		geo->block_bytes = KV_THIN_BLOCK_MIN;
		while (geo->block_bytes < KV_THIN_BLOCK_MAX &&
		       blocks_at_most(device_bytes, geo->block_bytes) >
			       KV_THIN_METADATA_MAX / 2 / METADATA_PER_BLOCK)
			geo->block_bytes *= 2;
	}
	if (geo->block_bytes % KV_THIN_BLOCK_MIN || geo->block_bytes > KV_THIN_BLOCK_MAX)
		return -EINVAL;
	return 0;
}

static uint64_t catalogue_bytes(const struct kv_geometry *geo)
{
	return kv_round_up(CATALOGUE_FIXED + geo->max_volumes * CATALOGUE_PER_VOLUME,
			   MIB);
}

static uint64_t metadata_bytes(uint64_t device_bytes, const struct kv_geometry *geo)
{
	uint64_t bytes = METADATA_FIXED + geo->max_volumes * METADATA_PER_VOLUME;
	uint64_t blocks = blocks_at_most(device_bytes, geo->block_bytes);

	if (blocks > METADATA_MOST / METADATA_PER_BLOCK)
		return METADATA_MOST;
	bytes = kv_round_up(bytes + blocks * METADATA_PER_BLOCK, MIB);
	return bytes < METADATA_MOST ? bytes : METADATA_MOST;
}

/* What a device of device_bytes would have to be at least, with the parameters chosen
 * for it. */
static uint64_t least_bytes(uint64_t device_bytes, const struct kv_geometry *wanted)
{
	struct kv_geometry geo = *wanted;

	(void)choose(device_bytes, &geo); /* the caller has checked them */
	return GPT_BYTES + catalogue_bytes(&geo) + metadata_bytes(device_bytes, &geo) +
	       kv_round_up(DATA_LEAST, geo.block_bytes) + GPT_BYTES;
}

/* Ends: every round either stays or grows, and the tables take less than a percent of
 * what is added to a device. */
static uint64_t find_least(const struct kv_geometry *wanted)
{
	uint64_t bytes = 0, next;

	while ((next = kv_round_up(least_bytes(bytes, wanted), MIB)) > bytes)
		bytes = next;
	return bytes;
}

int kv_layout_plan(uint64_t device_bytes, struct kv_geometry *geo, struct kv_layout *ret,
		   uint64_t *ret_least_bytes)
{
	struct kv_geometry chosen = *geo;
	struct kv_layout l = { .device_bytes = device_bytes };
	int r;

	if (device_bytes > INT64_MAX)
		return -EINVAL;
	r = choose(device_bytes, &chosen);
	if (r < 0)
		return r;
	if (device_bytes < least_bytes(device_bytes, geo)) {
		if (ret_least_bytes)
			*ret_least_bytes = find_least(geo);
		return -ENOSPC;
	}

	l.catalogue.start_bytes = GPT_BYTES;
	l.catalogue.bytes = catalogue_bytes(&chosen);
	l.metadata.start_bytes = l.catalogue.start_bytes + l.catalogue.bytes;
	l.metadata.bytes = metadata_bytes(device_bytes, &chosen);
	l.data.start_bytes = l.metadata.start_bytes + l.metadata.bytes;
	l.data.bytes = device_bytes - GPT_BYTES - l.data.start_bytes;
	l.data.bytes -= l.data.bytes % chosen.block_bytes;

	*geo = chosen;
	*ret = l;
	return 0;
}
