/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_H
#define BENCH_H

/* One contestant does the same operations as the others, each on a disk of its own. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "measure.h"

enum op {
	OP_SNAPSHOT, /* of a mounted, idle ext4 volume */
	OP_CREATE,   /* a raw 1 GiB volume */
	OP_PUBLISH,  /* an inactive 10 GiB ext4 volume */
	OP_UNPUBLISH,
	OP_DELETE, /* an inactive raw volume */
	OP_NEW,	   /* create and publish a 10 GiB ext4 volume */
	OP_LARGE,  /* the same of 1 TiB */
	OP_CLONE,  /* clone an inactive 10 GiB ext4 volume, publish the clone */
	OP_EXPAND, /* a published ext4 volume by 1 GiB */
	OP_UNLOCK, /* publish an inactive encrypted 1 GiB ext4 volume */
	N_OPS,
};

#define SECRET "open sesame"

struct contestant {
	const char *name;
	void (*open)(const char *disk,
		     const char *dir); /* makes the pool, and what ops need */
	/* NULL: all of them. */
	bool (*does)(enum op op);
	/* before and after are not timed. i numbers the repetition. */
	void (*before)(enum op op, int i);
	void (*run)(enum op op, int i);
	void (*after)(enum op op, int i);
	/* In a process that was forked: has it work there. May be NULL. */
	void (*join)(void);
	/* One thread's whole life cycle: snapshot, publish as a block device, unpublish,
	 * delete. */
	void (*cycle)(int thread, int i);
	/* One of many: a new 10 GiB ext4 volume, created and published; and its end. */
	void (*appear)(int n);
	void (*vanish)(int n);
	/* Instead of these: N_FLEET of them by N_THREADS threads, in ms. */
	double (*fleet)(void);
	/* A snapshot of a published ext4 volume, a thread's own; and its end, not timed. */
	void (*snapshot)(int thread, int i);
	void (*forget)(int thread, int i);
	void (*close)(void);
};

extern const struct contestant kvol, bare, lvm, containerd;

/* Options of a publish, held against none: kvol alone (variants.c). */
#define N_VARIANTS 6
struct variant {
	const char *name, *title;
	const char *mount_namespace, *user_namespace, *uid_map;
	bool again; /* the same maps were published before */
};
extern const struct variant variants[N_VARIANTS]; /* the first is the plain one */
void variants_start(void);
void variants_end(void);
void kvol_publish_variant(const struct variant *v);
void kvol_unpublish_variant(const struct variant *v);

void check(int r, const char *what);  /* dies if r is negative */
void spawn(const char *const argv[]); /* a command, its output only shown when it fails */
uint64_t now_ns(void);

#define N_THREADS   8
#define MAX_THREADS 16
#define N_FLEET	    100

/* Many at a time (fleet.c): threads, or processes of one thread each. */
struct crowd {
	int n;
	bool processes;
	int volumes; /* that they go over, one after the other; 0: one each */
};
/* How long it takes N_THREADS threads to have N_FLEET volumes appear, in ms. */
double fleet_ms(const struct contestant *c);
/* How many life cycles, and snapshots of published volumes, so many make in a second.
 * Rounds are numbered from 0. */
double cycles_per_second(const struct contestant *c, struct crowd crowd, int round);
double snapshots_per_second(const struct contestant *c, struct crowd crowd, int round);

#endif
