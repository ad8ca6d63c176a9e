/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef READING_H
#define READING_H

/* What lies on a cut disk, read by tools that are not the library: e2fsprogs and SQLite
 * for the catalogue, thin-provisioning-tools for the metadata. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROWS_MAX	 512
#define RESERVATIONS_MAX 64
#define WHY_SIZE	 400

struct row {
	uint32_t id;
	char name[64]; /* "": a tombstone */
	uint32_t kind;
	uint64_t bytes;
	char source[64];
	char fs_type[16];
};

struct rows {
	char uuid[64], name[64];
	uint64_t block_bytes, max_volumes, epoch, snapshots;
	unsigned n_rows;
	struct row rows[ROWS_MAX];
	unsigned n_reservations;
	struct {
		uint32_t first, count;
	} reservations[RESERVATIONS_MAX];
};

struct mapping {
	uint64_t origin, data, length; /* blocks */
};

struct thin {
	uint32_t id;
	unsigned first, n; /* in mappings */
};

struct thins {
	uint64_t transaction, time, block_bytes, n_blocks;
	unsigned n_thins;
	struct thin *thins;
	unsigned n_mappings;
	struct mapping *mappings;
};

/* A copy of the catalogue's partition; it is changed. `dir` is for files in between. 0,
 * or -1 with what is wrong in `why`. */
int read_rows(const char *image, const char *dir, struct rows *ret, char why[WHY_SIZE]);
/* A copy of the metadata's partition. */
int read_thins(const char *image, struct thins *ret, char why[WHY_SIZE]);
void free_thins(struct thins *t);
const struct thin *find_thin(const struct thins *t, uint32_t id);

int wrong(char why[WHY_SIZE], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
