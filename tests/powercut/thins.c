// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The thin pool's metadata of a cut disk: thin_check must find nothing, and thin_dump
 * tells which thin devices there are and where their blocks lie.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reading.h"
#include "util.h"

void free_thins(struct thins *t)
{
	free(t->thins);
	free(t->mappings);
	memset(t, 0, sizeof(*t));
}

const struct thin *find_thin(const struct thins *t, uint32_t id)
{
	for (unsigned i = 0; i < t->n_thins; i++)
		if (t->thins[i].id == id)
			return &t->thins[i];
	return NULL;
}

/* One element of thin_dump's XML has one line. */
static uint64_t attribute(const char *line, const char *name)
{
	char key[64];
	const char *p;

	snprintf(key, sizeof(key), " %s=\"", name);
	p = strstr(line, key);
	return p ? strtoull(p + strlen(key), NULL, 10) : 0;
}

static int add_thin(struct thins *t, const char *line)
{
	struct thin *p = realloc(t->thins, (t->n_thins + 1) * sizeof(*p));

	if (!p)
		return -1;
	t->thins = p;
	p[t->n_thins++] =
		(struct thin){ (uint32_t)attribute(line, "dev_id"), t->n_mappings, 0 };
	return 0;
}

static int add_mapping(struct thins *t, const struct mapping *m)
{
	struct mapping *p;

	if (!t->n_thins)
		return -1;
	if (!(t->n_mappings & (t->n_mappings + 1)) || !t->mappings) {
		p = realloc(t->mappings, (2 * t->n_mappings + 2) * sizeof(*p));
		if (!p)
			return -1;
		t->mappings = p;
	}
	t->mappings[t->n_mappings++] = *m;
	t->thins[t->n_thins - 1].n++;
	return 0;
}

static int take_line(struct thins *t, const char *line)
{
	struct mapping m = { .length = 1 };

	if (strstr(line, "<superblock ")) {
		t->transaction = attribute(line, "transaction");
		t->time = attribute(line, "time");
		t->block_bytes = attribute(line, "data_block_size") * KV_SECTOR;
		t->n_blocks = attribute(line, "nr_data_blocks");
	} else if (strstr(line, "<device ")) {
		return add_thin(t, line);
	} else if (strstr(line, "<single_mapping ")) {
		m.origin = attribute(line, "origin_block");
		m.data = attribute(line, "data_block");
		return add_mapping(t, &m);
	} else if (strstr(line, "<range_mapping ")) {
		m.origin = attribute(line, "origin_begin");
		m.data = attribute(line, "data_begin");
		m.length = attribute(line, "length");
		return add_mapping(t, &m);
	}
	return 0;
}

static int dump(const char *image, struct thins *t, char why[WHY_SIZE])
{
	char line[1024];
	int r = 0;
	FILE *f;

	snprintf(line, sizeof(line), "exec thin_dump '%s' 2>/dev/null", image);
	f = popen(line, "re");
	if (!f)
		return wrong(why, "thin_dump: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		r = r < 0 ? r : take_line(t, line);
	if (pclose(f) != 0 || r < 0 || !t->block_bytes)
		return wrong(why, "thin_dump of the thin pool's metadata failed");
	return 0;
}

static int check(const char *image, char why[WHY_SIZE])
{
	char line[1024], first[200] = "";
	FILE *f;

	snprintf(line, sizeof(line), "exec thin_check '%s' 2>&1", image);
	f = popen(line, "re");
	if (!f)
		return wrong(why, "thin_check: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "examining", 9) && strncmp(line, "TRANSACTION", 11) &&
		    strncmp(line, "METADATA", 8) && !first[0])
			snprintf(first, sizeof(first), "%.199s", line);
	if (pclose(f) != 0)
		return wrong(why, "thin_check: %s", first);
	return 0;
}

int read_thins(const char *image, struct thins *ret, char why[WHY_SIZE])
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = check(image, why);
	if (r == 0)
		r = dump(image, ret, why);
	if (r < 0)
		free_thins(ret);
	return r;
}
