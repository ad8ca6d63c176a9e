/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef HISTORY_H
#define HISTORY_H

/* What the workload did, read from the marks in the log; and what must therefore be on a
 * disk whose power went at a given point of the log. */

#include <stdbool.h>

#include "mark.h"
#include "wlog.h"

#define NEVER UINT32_MAX

struct op {
	struct mark m;
	uint32_t intent; /* entries of the log */
	uint32_t ack;	 /* NEVER: the log ends before, or it was aborted */
	uint32_t abort;	 /* it is known not to have happened; mostly NEVER */
};

struct history {
	uint64_t slice_sector; /* where the pool lies on the recorded disk */
	uint64_t slice_sectors;
	uint32_t first; /* entry of the first intent: before it there is nothing to judge
			 */
	uint32_t end;	/* entry of the last mark */
	struct op *ops; /* by intent */
	unsigned n_ops;
};

#define FILES_MAX 160
#define ITEMS_MAX 160

struct file {
	const struct op *op;
	bool must; /* else it may be missing or unfinished */
	const struct op *removed;
};

/* Sectors of a raw volume: 0 is one that was never written. */
struct unit {
	uint32_t op;	/* what it holds */
	uint32_t maybe; /* or this, if not 0 */
};

struct volume {
	bool there;
	bool copy; /* a snapshot or a clone */
	uint32_t kind;
	uint64_t bytes;
	char source[64];
	char fs_type[16];
	unsigned n_files;
	struct file files[FILES_MAX];
	struct unit units[BLOCK_UNITS];
};

/* A name, with what it must stand for; if a call was under way, either of two. */
struct item {
	char name[64];
	const struct op *made; /* the call that made it */
	bool two;
	struct volume was, will;
};

struct expected {
	const char *pool; /* NULL: none was acknowledged */
	const char *new;  /* being formatted: then it, or none, or the one before may be
			     there */
	unsigned n_items;
	struct item items[ITEMS_MAX];
};

int history_read(const struct wlog *log, struct history *ret);
void history_free(struct history *h);

/* Power went when `end` entries of the log had completed. -1: the tables are too small.
 */
int history_at(const struct history *h, uint32_t end, struct expected *ret);

const char *verb_name(uint32_t verb);

#endif
