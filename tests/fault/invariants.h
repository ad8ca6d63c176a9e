/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef INVARIANTS_H
#define INVARIANTS_H

/*
 * What must hold of a pool after a clean open, whatever died before; and what is to be
 * seen of its volumes, to compare with what was there before and what was asked for.
 *
 * Nothing here asserts: what is broken comes back as a line of text, so that the caller
 * can say how to repeat it.
 */

#include <kvol/kvol.h>

#include "model.h"

#define SEEN_MAX 40

/* One volume, by all that can be told of it. */
struct seen_volume {
	char name[64];
	char source[32];
	char fs[16];
	char uuid[KV_UUID_LEN + 1];
	char labels[64]; /* KEY=VALUE,... */
	uint32_t kind;	 /* templates are not compared: they come and go */
	uint64_t bytes;
	uint64_t mark;	   /* identifies what is written in it */
	char secret[24];   /* "": not encrypted */
	uint32_t uid, gid, mode; /* of its root directory */
	bool thick;
	uint32_t id;	   /* not compared */
	uint32_t flags;	   /* KV_ROW_*; not compared: work that is still owed */
	unsigned targets;  /* mounts of it that stand */
	unsigned records;  /* not compared: what is said to stand */
	uint64_t fs_bytes; /* not compared: see flags */
};

struct seen {
	char labels[64]; /* the pool's own, and its policy */
	unsigned n;
	struct seen_volume volumes[SEEN_MAX];
};

/* A line about what is broken, or NULL and the volumes in the order of their names.
 * `path` is the pool's file; the pool is open through this one handle alone, which has
 * changed nothing yet. */
const char *broken(struct kvol_pool *pool, const char *path, struct seen *ret);

/* The volumes alone, whoever else is at work. */
const char *look(struct kvol_pool *pool, const char *path, struct seen *ret);

/* NULL: the same. With `any_targets` it makes no difference where they are published. A
 * uuid is compared where `was` has one: each making draws another. */
const char *differs(const struct seen *is, const struct seen *was, bool any_targets);

/* Is it all still good for something? Everything is unpublished, what is owed is done, a
 * volume is made and deleted, and the pool taken down: then nothing must be left. Closes
 * the pool. */
const char *broken_in_use(struct kvol_pool *pool, const char *path,
			  const struct seen *seen);

#endif
