/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RACE_SPEC_H
#define RACE_SPEC_H

/*
 * A pool as the public header describes it, for one caller at a time: what each verb
 * returns and leaves, on a few names and a few targets. And what a history of calls
 * consists of.
 *
 * Checked as one object, so that a snapshot or a clone is one step on two names, a listing
 * one look at all of them, and a publish one step on a volume and a target.
 *
 * Not part of it: kvol_info.allocated, created and device, and n_targets but for a stat
 * while nobody else is about (the header promises no one moment for all of them); errors of
 * the disk and of limits, which must not occur here.
 */

#include <stdbool.h>
#include <stdint.h>

#include <kvol/kvol.h>

#include "linearize.h"

#define SPEC_NAMES   6
#define SPEC_TARGETS 4 /* the first half are directories, the others files */
#define SPEC_UUIDS   512

enum verb {
	VERB_CREATE,
	VERB_SNAPSHOT,
	VERB_CLONE,
	VERB_EXPAND,
	VERB_DELETE,
	VERB_STAT,
	VERB_LIST,
	VERB_PUBLISH,
	VERB_UNPUBLISH,
	N_VERBS,
};

/* A volume as stat and list show it. */
struct seen {
	uint64_t bytes;
	uint64_t uuid;	/* a hash of it; 0: there is no such volume */
	uint8_t kind;
	uint8_t ext4;	/* else raw */
	uint8_t source; /* number of a name + 1; 0: none */
	uint8_t n_targets;
};

struct event {
	uint64_t begin, end; /* ns of CLOCK_MONOTONIC; end 0: never came back */
	uint64_t bytes;
	int32_t r;
	uint32_t reason;
	int32_t pid, tid;
	uint8_t verb;
	uint8_t name;	/* the volume, or the source of a copy */
	uint8_t other;	/* the copy */
	uint8_t target;
	uint8_t ext4, readonly;
	uint8_t odd;	  /* what it showed is no volume of ours */
	uint8_t after_kill; /* somebody had been killed when it ended: see spec.c */
	uint8_t quiet;	    /* stat while nobody else is about: n_targets counts */
	struct seen seen[SPEC_NAMES];
};

struct spec_volume {
	uint64_t bytes;
	uint16_t uuid; /* number in struct spec.uuids; 0: not seen yet */
	uint8_t kind;  /* 0: there is none */
	uint8_t ext4;
	uint8_t source;
	uint8_t unused[3];
};

struct spec_state {
	struct spec_volume volumes[SPEC_NAMES];
	uint64_t met[SPEC_UUIDS / 64]; /* uuids that were a volume's at some time */
	uint8_t at[SPEC_TARGETS];      /* number of the name published there + 1; 0: none */
	uint8_t readonly[SPEC_TARGETS];
};

/* One history, and what is needed to check it. */
struct spec {
	const struct event *const *events;
	unsigned n;
	struct spec_state begin;
	uint64_t uuids[SPEC_UUIDS];
	unsigned n_uuids;
	struct lin_call calls[LIN_CALLS_MAX];
	struct lin_history history;
};

/* Sequentially: what the call returns, and the state that it leaves. */
int spec_apply(struct spec_state *state, const struct event *e, uint32_t *ret_reason);

/* Fills *ret for a history that begins with what `begin` shows, and nothing published. False:
 * it is too long. events and begin must outlive it. */
bool spec_init(struct spec *ret, const struct event *const *events, unsigned n,
	       const struct seen begin[SPEC_NAMES], uint64_t budget);

/* One line. */
void spec_print_event(const struct event *e, uint64_t origin, char *buf, size_t size);
void spec_print_state(const struct spec *s, const struct spec_state *state, char *buf,
		      size_t size);

#endif
