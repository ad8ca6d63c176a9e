/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MARK_H
#define MARK_H

/*
 * What the workload writes beside the pool, on the same recorded disk: before each call
 * what it is about to do, and after it that the call returned 0. A mark is one sector,
 * written with O_DIRECT by one request that is waited for: so all that a call had on the
 * disk when it returned stands in the log before its second mark.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MARK_MAGIC "KVOLMARK"
#define MARK_SIZE  512u

#define MARK_SLICE \
	1u /* the first: offset and bytes say where on the disk the pool's slice is */
#define MARK_INTENT 2u
#define MARK_ACK    3u
#define MARK_END    4u
#define MARK_ABORT \
	5u /* instead of MARK_ACK: its process was killed, and it has not happened */

enum verb {
	VERB_OTHER, /* changes nothing that lasts: open, close, publish, unpublish,
		       deactivate */
	VERB_FORMAT,
	VERB_CREATE,
	VERB_SNAPSHOT,
	VERB_CLONE,
	VERB_EXPAND,
	VERB_DELETE,
	VERB_WRITE_FILE,  /* file "f<op>" of bytes, and fsync of it and its directory */
	VERB_REMOVE_FILE, /* file "f<offset>", and fsync of its directory */
	VERB_WRITE_BLOCK, /* bytes at offset of the device, and fsync */
};

struct mark {
	char magic[8];
	uint32_t kind;
	uint32_t verb;
	uint64_t op; /* the call's number, from 1 */
	uint64_t bytes;
	uint64_t offset;
	char name[64];
	char source[64];
	char fs_type[16];
	char zero[328];
};

_Static_assert(sizeof(struct mark) == MARK_SIZE, "a mark is one sector");

/* What op writes at offset of its file or device: no two sectors of a disk are the same.
 */
static inline uint64_t pattern_word(uint64_t op, uint64_t offset)
{
	uint64_t x = op << 40 ^ (offset + 1);

	x ^= x >> 31;
	x *= UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static inline void pattern_fill(void *buf, size_t n, uint64_t op, uint64_t offset)
{
	uint64_t word;

	for (size_t i = 0; i < n; i += sizeof(word)) {
		word = pattern_word(op, offset + i);
		memcpy((char *)buf + i, &word,
		       n - i < sizeof(word) ? n - i : sizeof(word));
	}
}

/* Blocks that are written one by one; nothing tears within a sector, so it is what is
 * looked at. */
#define BLOCK_AREA \
	(UINT64_C(1) << 20) /* writes go to the first part of a raw volume only */
#define BLOCK_UNIT  512u
#define BLOCK_UNITS (BLOCK_AREA / BLOCK_UNIT)

/* xorshift64*: the same on every machine, whatever the C library's rand() is. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state ? *state : UINT64_C(0x2545f4914f6cdd1d);

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t below(uint64_t *state, uint64_t n)
{
	return (next_random(state) >> 11) % n;
}

#endif
