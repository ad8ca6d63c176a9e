/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHECK_H
#define CHECK_H

/* Is what lies on a disk what the history demands? */

#include "history.h"
#include "image.h"
#include "reading.h"

/* Results for contents that were seen before. */
#define REMEMBERED 16

struct check {
	char dir[256]; /* for files in between */
	unsigned turn;
	struct {
		uint64_t version;
		int r;
		char why[WHY_SIZE];
		struct rows rows;
	} catalogues[REMEMBERED];
	struct {
		uint64_t version;
		int r;
		char why[WHY_SIZE];
		struct thins thins;
	} metadata[REMEMBERED];
	uint64_t n_catalogues, n_metadata; /* really read */
};

/* Nothing unfinished may be left either: what must hold once the library has recovered
 * the pool and deactivated it. */
#define CHECK_SETTLED (1u << 0)

enum verdict {
	VERDICT_WRONG = -1, /* `why` says what */
	VERDICT_POOL,	    /* a whole pool, as it should be */
	VERDICT_NONE,	    /* no pool, and none need be there */
};

enum verdict check_image(struct check *c, const struct image *im,
			 const struct expected *x, unsigned flags, char why[WHY_SIZE]);
void check_free(struct check *c);

/* What a volume of the catalogue should be; NULL: it should not be. */
const struct volume *check_find(const struct expected *x, const char *name, uint32_t kind,
				uint64_t bytes, const char *source, const char *fs_type);
/* Is a volume missing that must be there? Returns its name. */
const char *check_missing(const struct expected *x,
			  bool (*is_there)(void *arg, const char *name), void *arg);

#endif
