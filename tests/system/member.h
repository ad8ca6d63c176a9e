/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_MEMBER_H
#define KVOL_TESTS_MEMBER_H

/*
 * A pool's disk behind the library's back: copies of it, its partitions and blocks; and
 * contents that are known, so that a test can prove them whole.
 */

#include "system.h"

extern char copy[256]; /* every test damages a copy of the pool's file */
extern char kept[256]; /* a directory for what repair overwrites */

/* Puts known volumes into `pool` and takes it down: raw, fs, fs@1 (before fs changed),
 * and clone, of fs@1. */
int contents_up(void **state);
int contents_down(void **state); /* and are proven whole, in the pool itself */
#define CONTENTS 4u

/* The volumes, of the pool at `path` or of `pool` as it is open: listed and to the byte
 * what they were. */
void assert_contents(void);
void assert_contents_of(const char *path);

void take_copy(void);
void part_of(const char *name, uint64_t *ret_start, uint64_t *ret_bytes);
void write_at(const char *path, uint64_t at, const void *data, size_t n);
void read_at(const char *path, uint64_t at, void *data, size_t n);
void spoil(uint64_t at, size_t n); /* in the copy */

/* One partition of a disk, out to a file and back. */
void part_out(const char *disk, const char *name, const char *file);
void part_in(const char *disk, const char *name, const char *file);

/* Thin metadata, in the copy. */
#define METADATA_BLOCK	4096u
#define SUPERBLOCK_SALT 160774u
void metadata_read(uint64_t block, unsigned char buf[METADATA_BLOCK]);
/* With a checksum, which each kind of block has a salt of its own in. */
void metadata_write(uint64_t block, unsigned char buf[METADATA_BLOCK], uint32_t salt);
uint32_t metadata_salt(const unsigned char buf[METADATA_BLOCK]);
void super_read(unsigned char block[METADATA_BLOCK]);
void super_write(unsigned char block[METADATA_BLOCK]); /* with its checksum */
uint64_t super_field(unsigned offset);
void spoil_metadata(uint64_t block);

/* Runs a command in the copy's catalogue. */
void in_copys_catalogue(const char *command);

void close_pool(void);	    /* which stays active */
void deactivate_pool(void); /* and closes */

#endif
