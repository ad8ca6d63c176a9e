/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_FULL_H
#define KVOL_TESTS_FULL_H

/*
 * What fills a thin pool's metadata, for tests of pools without room for more. The disk
 * is disk.h's.
 */

#include "disk.h"

#define BLOCK_BYTES KIB(64) /* of the pool's */

/* Writes a block every `step` bytes; returns how many until one fails. */
unsigned write_blocks(const char *path, uint64_t from, uint64_t step, uint64_t size,
		      unsigned n);
uint64_t free_metadata(void); /* blocks */
/* Makes the volume `many`, of mappings that share their data, so that there are `wanted`
 * blocks of metadata left, or a little more. Takes the pool out of use and back. */
void fill_metadata(uint64_t wanted);
/* Writes on a device on which a clone of `many` appears, from *at on: each write makes a
 * leaf of its mapping tree its own. Until so many blocks are left; or until one fails. */
void break_sharing(const char *path, uint64_t *at, uint64_t left);
void fill_the_rest(const char *path, uint64_t *at);

#endif
