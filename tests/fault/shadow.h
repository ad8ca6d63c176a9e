/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHADOW_H
#define SHADOW_H

/*
 * What was acknowledged: a model of volumes as simple as their contract. One name has one
 * owner, who does one thing after the other with it; so its volume is known, or is one of
 * two when the owner died over a verb. What nobody owns is not followed.
 */

#include "invariants.h"

#define TARGETS	  2
#define FORMS_MAX 4
#define MARK_ANY  UINT64_MAX /* it is whatever it is */

/* What may be under a name. */
struct form {
	bool there;
	uint32_t kind;
	uint64_t bytes;
	uint64_t mark;
	char fs[16];
	char source[32];
};

enum said { NO, YES, MAYBE };

struct shadow {
	char name[32];
	unsigned
		n; /* 1: it is known; more: one of them, to those who ask now the first */
	struct form forms[FORMS_MAX];
	enum said published[TARGETS];
};

/* It is as said; it is as it was, or as said. */
void shadow_set(struct shadow *s, const struct form *form);
void shadow_or(struct shadow *s, const struct form *form);
void shadow_power_cut(struct shadow *s); /* nothing is published any more */

/* NULL: as far as it is known it is so (v NULL: not there); then it is known. Else what
 * is wrong. With `targets` where it is published is compared as well. */
const char *shadow_meets(struct shadow *s, const struct seen_volume *v, bool targets);

#endif
