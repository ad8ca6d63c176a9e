/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SCALE_H
#define SCALE_H

/* The pools that scale.c measures: the verbs on them, and filling them. */

#include <stdbool.h>
#include <stdint.h>

#include "measure.h"

#define REPEAT_MAX 200

enum op {
	CREATE,
	CREATE_FS,
	CREATE_LIMITED, /* under a policy of all kinds of limits */
	SNAPSHOT,
	SNAPSHOT_BUSY, /* of a published one */
	CLONE,
	PUBLISH,
	UNPUBLISH,
	EXPAND,
	STAT,
	STAT_ACTIVE,
	POOL_STAT,
	LABEL,
	DELETE,
	OPEN_BESIDE, /* while another handle is open */
	CLOSE_BESIDE,
	N_OPS,
};

/* One of the two pools. */
struct subject {
	const char *name, *disk;
	char dir[128]; /* of its targets */
	struct kvol_pool *pool;
	long n, active;
	double ms[N_OPS][REPEAT_MAX];
};

extern struct kvol_ctx *ctx;

void create(struct subject *s, const char *name, const char *fs);
void snapshot(struct subject *s, const char *of, const char *name);
void copy(struct subject *s, const char *of, const char *name);
void delete (struct subject *s, const char *name);
void expand(struct subject *s, const char *name);
void label(struct subject *s, const char *name);
void publish(struct subject *s, const char *name, const char *target, uint32_t flags);
void unpublish(struct subject *s, const char *name, const char *target);
/* Of the i-th that was filled in; negative: of one that is never active. */
void stat_any(struct subject *s, long i);
void stat_pool(struct subject *s);
/* Of a volume whose blocks a snapshot has as well. */
void tell_usage(struct subject *s);
void set_limits(struct subject *s, bool on);
struct kvol_pool *open_pool(const char *disk);

void target_of(const struct subject *s, long i, char ret[256]);
#define SPARE_TARGET 999999
/* Makes the pool, with a volume "filled" in it, and a snapshot "filled-snap" of it. */
void start(struct subject *s, const char *dir, const char *disk, uint64_t most);
void fill(struct subject *s, long size);
/* So many of the first are published from here on. */
void activate(struct subject *s, long n);

#endif
