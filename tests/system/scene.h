/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_SCENE_H
#define KVOL_TESTS_SCENE_H

/*
 * A pool with something for every verb to work on, and the verbs as a list, for tests
 * that try each of them in each state of a disk or pool. Each verb is called under the
 * watchdog of disk.h, and held against what it may answer in that state.
 */

#include "disk.h"

enum verb {
	CREATE_RAW,
	CREATE_FS,
	SNAPSHOT_IDLE,
	SNAPSHOT_LIVE,
	CLONE,
	EXPAND_RAW,
	EXPAND_IDLE,
	EXPAND_LIVE,
	PUBLISH,
	PUBLISH_SNAPSHOT,
	PUBLISH_BLOCK,
	UNPUBLISH,
	STAT_IDLE,
	STAT_LIVE,
	LIST,
	POOL_STAT,
	OPEN,
	DELETE_SNAPSHOT, /* last, as it makes room */
	DELETE,
	VERBS
};

#define FIRST_READ STAT_IDLE
#define LAST_READ  POOL_STAT

/* What a call may answer. */
#define A_OK	  (1u << 0)
#define A_IO	  (1u << 1) /* -EIO, KVOL_R_IO */
#define A_RO	  (1u << 2) /* -EROFS, KVOL_R_POOL_READ_ONLY */
#define A_CHECK	  (1u << 3) /* -EROFS, KVOL_R_POOL_NEEDS_CHECK */
#define A_DATA	  (1u << 4) /* -ENOSPC, KVOL_R_NO_DATA_SPACE */
#define A_META	  (1u << 5) /* -ENOSPC, KVOL_R_NO_METADATA_SPACE */
#define A_CORRUPT (1u << 6) /* -EUCLEAN, KVOL_R_CORRUPT */
#define A_FS                                                                \
	(1u << 7) /* what a file system without room or on a bad disk says: \
		     KVOL_R_SYSTEM */

const char *verb_name(enum verb v);

/* The file system of the scene's volumes; ext4 if it is not set. */
extern const char *scene_fs;

/* Makes whatever of the scene is missing, in a pool that takes changes: volumes, what is
 * published, and ids in reserve. */
void scene_set(void);
/* What the verbs delete, for so many rounds of them. */
void scene_set_spares(unsigned rounds);
/* Sets it again as far as it can be where nothing new can be made: after each round. */
void scene_again(void);
/* Takes away what is published. */
void scene_clear(void);
/* What was written and synced is there, and nothing that was not made. */
void scene_check(void);
/* Data that is on the disk can be read where it is published. */
void scene_assert_readable(void);

/* Clears it and takes the pool out of use; and the other way. */
void scene_close_down(void);
void scene_open_up(void);

/* Calls the verb; fails unless the answer is one of those, and nothing is frozen. Returns
 * the answer. *ret_changed: the verb has changed the catalogue. */
unsigned verb_try(enum verb v, unsigned allowed, const char *state);
/* After the pool was opened anew: it is there if it was acknowledged, else it is not. */
void verb_assert_kept(enum verb v, bool acknowledged, const char *state);

/* How often verb_try was called. */
extern unsigned verbs_tried;

/* kvolctl pool: its output has the text. */
void assert_kvolctl_says(const char *text);

#endif
