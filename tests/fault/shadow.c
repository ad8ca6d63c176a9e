/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See shadow.h.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shadow.h"

void shadow_set(struct shadow *s, const struct form *form)
{
	s->forms[0] = *form;
	s->n = 1;
	if (!form->there)
		memset(s->published, NO, sizeof(s->published));
}

void shadow_or(struct shadow *s, const struct form *form)
{
	if (s->n < FORMS_MAX)
		s->forms[s->n++] = *form;
}

void shadow_power_cut(struct shadow *s)
{
	for (int i = 0; i < TARGETS; i++)
		s->published[i] = NO;
}

static bool fits(const struct form *form, const struct seen_volume *v)
{
	if (!form->there || !v)
		return form->there == !!v;
	return form->kind == v->kind && form->bytes == v->bytes &&
	       (form->mark == v->mark || form->mark == MARK_ANY) &&
	       !strcmp(form->fs, v->fs) && !strcmp(form->source, v->source);
}

static const char *describe(const struct form *form, char *buf, size_t size)
{
	if (!form->there)
		return "nothing";
	(void)snprintf(
		buf, size, "a %s of %" PRIu64 " bytes, %s, of '%s', contents %" PRIu64,
		form->kind == KVOL_KIND_VOLUME ? "volume" : "snapshot", form->bytes,
		form->fs[0] ? form->fs : "raw", form->source, form->mark);
	return buf;
}

static const char *wrong(const struct shadow *s, const struct seen_volume *v)
{
	static char line[600];
	char buf[160];
	int n;
	struct form form = { .there = false };

	if (v) {
		form = (struct form){ true, v->kind, v->bytes, v->mark, "", "" };
		memcpy(form.fs, v->fs, sizeof(form.fs));
		memcpy(form.source, v->source, sizeof(form.source));
	}
	n = snprintf(line, sizeof(line), "'%s' is %s; it should be", s->name,
		     describe(&form, buf, sizeof(buf)));
	for (unsigned i = 0; i < s->n && n > 0 && n < (int)sizeof(line); i++)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%s %s",
			      i ? ", or" : "", describe(&s->forms[i], buf, sizeof(buf)));
	return line;
}

static const char *check_targets(struct shadow *s, const struct seen_volume *v)
{
	static char line[160];
	unsigned least = 0, most = 0;

	for (int i = 0; i < TARGETS; i++) {
		least += s->published[i] == YES;
		most += s->published[i] != NO;
	}
	if (v->targets >= least && v->targets <= most)
		return NULL;
	(void)snprintf(line, sizeof(line), "'%s' is published %u times, not %u to %u",
		       s->name, v->targets, least, most);
	return line;
}

const char *shadow_meets(struct shadow *s, const struct seen_volume *v, bool targets)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (!fits(&s->forms[i], v))
			continue;
		s->forms[0] = s->forms[i];
		if (v) /* now it is known */
			s->forms[0].mark = v->mark;
		s->n = 1;
		if (!v)
			memset(s->published, NO, sizeof(s->published));
		return v && targets ? check_targets(s, v) : NULL;
	}
	return wrong(s, v);
}
