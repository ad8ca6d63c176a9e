// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stddef.h>

#include "verbs.h"

struct kvol_ctx *ctx;
struct kvol_pool *pool;

void create(const char *name, uint64_t bytes, const char *fs)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs };
	struct kvol_error e;

	ok(kvol_create(pool, name, bytes, &o, &e), &e);
}

void publish(const char *name, const char *where, uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = flags };
	struct kvol_error e;

	ok(kvol_publish(pool, name, where, &o, &e), &e);
}

void unpublish(const char *name, const char *where)
{
	struct kvol_error e;

	ok(kvol_unpublish(pool, name, where, NULL, &e), &e);
}

void delete (const char *name)
{
	struct kvol_error e;

	ok(kvol_delete(pool, name, 0, &e), &e);
}

void snapshot(const char *of, const char *name)
{
	struct kvol_error e;

	ok(kvol_snapshot(pool, of, name, NULL, &e), &e);
}
