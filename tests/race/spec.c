// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sequential pool: see spec.h. It is written from include/kvol/kvol.h, not from lib/.
 *
 * A volume's uuid is not known to whoever makes it, so a new volume has none here until
 * somebody sees it; from then on it is that, and no other volume ever has it: one that
 * comes back from the dead is found by it.
 *
 * When a process has been killed, the kernel may take a moment to close what it had open
 * (and a publish's record may be left without its mount). Until the round ends, delete
 * and unpublish are then allowed to find a volume in use that is there and not published;
 * nothing else is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "spec.h"

static int fails(int r, uint32_t reason, uint32_t *ret_reason)
{
	*ret_reason = reason;
	return r;
}

static int create(struct spec_volume *v, const struct event *e, uint32_t *reason)
{
	if (v->kind)
		return v->kind == KVOL_KIND_VOLUME && v->bytes == e->bytes &&
				       v->ext4 == e->ext4 && !v->source
			       ? 0
			       : fails(-EEXIST, KVOL_R_EXISTS_DIFFERENT, reason);
	v->kind = KVOL_KIND_VOLUME;
	v->bytes = e->bytes;
	v->ext4 = e->ext4;
	return 0;
}

static int copy(struct spec_state *state, const struct event *e, uint32_t *reason)
{
	struct spec_volume *to = &state->volumes[e->other];
	const struct spec_volume *from = &state->volumes[e->name];
	uint8_t kind = e->verb == VERB_CLONE ? KVOL_KIND_VOLUME : KVOL_KIND_SNAPSHOT;

	if (to->kind)
		return to->kind == kind && to->source == e->name + 1 &&
				       (!e->bytes || to->bytes == e->bytes)
			       ? 0
			       : fails(-EEXIST, KVOL_R_EXISTS_DIFFERENT, reason);
	if (!from->kind)
		return fails(-ENOENT, KVOL_R_NOT_FOUND, reason);
	if (e->bytes && e->bytes < from->bytes)
		return fails(-EINVAL, KVOL_R_INVALID, reason);
	to->kind = kind;
	to->bytes = e->bytes ? e->bytes : from->bytes;
	to->ext4 = from->ext4;
	to->source = (uint8_t)(e->name + 1);
	return 0;
}

static int expand(struct spec_volume *v, const struct event *e, uint32_t *reason)
{
	if (!v->kind)
		return fails(-ENOENT, KVOL_R_NOT_FOUND, reason);
	if (v->kind == KVOL_KIND_SNAPSHOT)
		return fails(-EINVAL, KVOL_R_UNSUPPORTED, reason);
	if (v->bytes < e->bytes)
		v->bytes = e->bytes;
	return 0;
}

static int delete (struct spec_state *state, const struct event *e, uint32_t *reason)
{
	for (int t = 0; t < SPEC_TARGETS; t++)
		if (state->at[t] == e->name + 1)
			return fails(-EBUSY, KVOL_R_BUSY_PUBLISHED, reason);
	memset(&state->volumes[e->name], 0, sizeof(state->volumes[0]));
	return 0;
}

static int publish(struct spec_state *state, const struct event *e, uint32_t *reason)
{
	const struct spec_volume *v = &state->volumes[e->name];
	uint8_t readonly = e->readonly || v->kind == KVOL_KIND_SNAPSHOT;
	bool block = e->target >= SPEC_TARGETS / 2;

	if (!v->kind)
		return fails(-ENOENT, KVOL_R_NOT_FOUND, reason);
	if (!block && !v->ext4)
		return fails(-EINVAL, KVOL_R_UNSUPPORTED, reason);
	if (state->at[e->target] && state->at[e->target] != e->name + 1)
		return fails(-EBUSY, KVOL_R_BUSY_OPEN, reason);
	if (state->at[e->target] && state->readonly[e->target] != readonly)
		return fails(-EEXIST, KVOL_R_EXISTS_DIFFERENT, reason);
	state->at[e->target] = (uint8_t)(e->name + 1);
	state->readonly[e->target] = readonly;
	return 0;
}

static int unpublish(struct spec_state *state, const struct event *e)
{
	if (state->at[e->target] == e->name + 1)
		state->at[e->target] = state->readonly[e->target] = 0;
	return 0;
}

int spec_apply(struct spec_state *state, const struct event *e, uint32_t *ret_reason)
{
	struct spec_volume *v = &state->volumes[e->name];

	*ret_reason = KVOL_R_NONE;
	switch (e->verb) {
	case VERB_CREATE:
		return create(v, e, ret_reason);
	case VERB_SNAPSHOT:
	case VERB_CLONE:
		return copy(state, e, ret_reason);
	case VERB_EXPAND:
		return expand(v, e, ret_reason);
	case VERB_DELETE:
		return delete (state, e, ret_reason);
	case VERB_STAT:
		return v->kind ? 0 : fails(-ENOENT, KVOL_R_NOT_FOUND, ret_reason);
	case VERB_LIST:
		return 0;
	case VERB_PUBLISH:
		return publish(state, e, ret_reason);
	default:
		return unpublish(state, e);
	}
}

/* --- What was seen ---------------------------------------------------------------- */

static uint16_t uuid_number(const struct spec *s, uint64_t uuid)
{
	for (unsigned i = 1; i < s->n_uuids; i++)
		if (s->uuids[i] == uuid)
			return (uint16_t)i;
	return 0;
}

static bool shows(const struct spec *s, struct spec_state *state, unsigned name,
		  const struct seen *seen)
{
	struct spec_volume *v = &state->volumes[name];
	uint16_t uuid;

	if (!v->kind || !seen->uuid)
		return !v->kind && !seen->uuid;
	uuid = uuid_number(s, seen->uuid);
	if (v->kind != seen->kind || v->bytes != seen->bytes || v->ext4 != seen->ext4 ||
	    v->source != seen->source || (v->uuid && v->uuid != uuid))
		return false;
	if (v->uuid)
		return true;
	if (state->met[uuid / 64] >> uuid % 64 & 1)
		return false;
	v->uuid = uuid;
	state->met[uuid / 64] |= UINT64_C(1) << uuid % 64;
	return true;
}

static unsigned n_targets(const struct spec_state *state, unsigned name)
{
	unsigned n = 0;

	for (int t = 0; t < SPEC_TARGETS; t++)
		n += state->at[t] == name + 1;
	return n;
}

static bool fits(const struct spec *s, const struct event *e, struct spec_state *state)
{
	if (e->odd)
		return false;
	if (e->quiet && n_targets(state, e->name) != e->seen[e->name].n_targets)
		return false;
	if (e->verb == VERB_STAT && e->r == 0)
		return shows(s, state, e->name, &e->seen[e->name]);
	for (unsigned i = 0; e->verb == VERB_LIST && i < SPEC_NAMES; i++)
		if (!shows(s, state, i, &e->seen[i]))
			return false;
	return true;
}

static bool step(const void *arg, unsigned i, void *state)
{
	const struct spec *s = arg;
	const struct event *e = s->events[i];
	struct spec_state before;
	uint32_t reason;
	int r;

	memcpy(&before, state, sizeof(before));
	if (e->after_kill && e->r == -EBUSY && e->reason == KVOL_R_BUSY_OPEN &&
	    (e->verb == VERB_DELETE || e->verb == VERB_UNPUBLISH))
		return before.volumes[e->name].kind;
	r = spec_apply(state, e, &reason);
	if (s->calls[i].pending) /* as good as not having happened */
		return memcmp(&before, state, sizeof(before)) != 0;
	return r == e->r && reason == e->reason && fits(s, e, state);
}

static bool add_uuid(struct spec *s, uint64_t uuid)
{
	if (!uuid || uuid_number(s, uuid))
		return true;
	if (s->n_uuids == SPEC_UUIDS)
		return false;
	s->uuids[s->n_uuids++] = uuid;
	return true;
}

static bool init_begin(struct spec *s, const struct seen begin[SPEC_NAMES])
{
	for (unsigned i = 0; i < SPEC_NAMES; i++) {
		struct spec_volume *v = &s->begin.volumes[i];

		if (!begin[i].uuid)
			continue;
		v->bytes = begin[i].bytes;
		v->kind = begin[i].kind;
		v->ext4 = begin[i].ext4;
		v->source = begin[i].source;
		if (!add_uuid(s, begin[i].uuid) || !shows(s, &s->begin, i, &begin[i]))
			return false;
	}
	return true;
}

bool spec_init(struct spec *ret, const struct event *const *events, unsigned n,
	       const struct seen begin[SPEC_NAMES], uint64_t budget)
{
	memset(ret, 0, sizeof(*ret));
	if (n > LIN_CALLS_MAX)
		return false;
	ret->events = events;
	ret->n = n;
	ret->n_uuids = 1;
	if (!init_begin(ret, begin))
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct event *e = events[i];

		ret->calls[i] = (struct lin_call){
			.begin = e->begin,
			.end = e->end,
			.pending = e->r > 0,
			.reads = e->verb == VERB_STAT || e->verb == VERB_LIST || e->r < 0,
		};
		for (unsigned j = 0; j < SPEC_NAMES; j++)
			if (!add_uuid(ret, e->seen[j].uuid))
				return false;
	}
	ret->history = (struct lin_history){
		.calls = ret->calls,
		.n = n,
		.state = &ret->begin,
		.state_size = sizeof(ret->begin),
		.step = step,
		.arg = ret,
		.budget = budget,
	};
	return true;
}

/* --- For people to read ----------------------------------------------------------- */

static size_t put_seen(char *buf, size_t size, unsigned name, const struct seen *x)
{
	int n = snprintf(buf, size, " n%u=%s,%" PRIu64 "M,%s,of:%d,%04x", name,
			 x->kind == KVOL_KIND_VOLUME ? "vol" : "snap", x->bytes >> 20,
			 x->ext4 ? "ext4" : "raw", x->source - 1,
			 (unsigned)(x->uuid & 0xffff));

	return n < 0 || (size_t)n >= size ? 0 : (size_t)n;
}

void spec_print_event(const struct event *e, uint64_t origin, char *buf, size_t size)
{
	static const char *const verbs[N_VERBS] = {
		"create", "snapshot", "clone",	 "expand",    "delete",
		"stat",	  "list",     "publish", "unpublish",
	};
	char what[96] = "", result[96];
	size_t at;
	int n;

	if (e->verb == VERB_SNAPSHOT || e->verb == VERB_CLONE)
		(void)snprintf(what, sizeof(what), "n%u -> n%u %" PRIu64 "M", e->name,
			       e->other, e->bytes >> 20);
	else if (e->verb == VERB_PUBLISH || e->verb == VERB_UNPUBLISH)
		(void)snprintf(what, sizeof(what), "n%u at t%u%s", e->name, e->target,
			       e->readonly ? " ro" : "");
	else if (e->verb == VERB_CREATE || e->verb == VERB_EXPAND)
		(void)snprintf(what, sizeof(what), "n%u %" PRIu64 "M%s", e->name,
			       e->bytes >> 20, e->ext4 ? " ext4" : "");
	else if (e->verb != VERB_LIST)
		(void)snprintf(what, sizeof(what), "n%u", e->name);
	if (e->r > 0)
		(void)snprintf(result, sizeof(result), "killed");
	else
		(void)snprintf(result, sizeof(result), "%d%s%s%s", e->r, e->r ? " " : "",
			       e->r ? kvol_reason_str(e->reason) : "",
			       e->odd ? " ODD" : "");
	n = snprintf(buf, size, "%10.3f..%10.3f ms %6d: %s %s = %s",
		     (double)(e->begin - origin) / 1e6, (double)(e->end - origin) / 1e6,
		     e->tid, verbs[e->verb], what, result);
	at = n < 0 ? 0 : (size_t)n;
	for (unsigned i = 0; i < SPEC_NAMES && at < size; i++)
		if (e->seen[i].uuid)
			at += put_seen(buf + at, size - at, i, &e->seen[i]);
}

void spec_print_state(const struct spec *s, const struct spec_state *state, char *buf,
		      size_t size)
{
	size_t at = 0;
	int n;

	buf[0] = '\0';
	for (unsigned i = 0; i < SPEC_NAMES && at < size; i++) {
		const struct spec_volume *v = &state->volumes[i];
		struct seen x = { v->bytes, s->uuids[v->uuid], v->kind,
				  v->ext4,  v->source,	       0 };

		if (v->kind)
			at += put_seen(buf + at, size - at, i, &x);
	}
	for (unsigned t = 0; t < SPEC_TARGETS && at < size; t++) {
		n = snprintf(buf + at, size - at, " t%u=%d%s", t, state->at[t] - 1,
			     state->readonly[t] ? "ro" : "");
		at += n < 0 ? 0 : (size_t)n;
	}
}
