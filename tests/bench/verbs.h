/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VERBS_H
#define VERBS_H

/* Verbs on a program's one pool. What fails ends the run. */

#include "measure.h"

extern struct kvol_ctx *ctx;
extern struct kvol_pool *pool;

void create(const char *name, uint64_t bytes, const char *fs);
void publish(const char *name, const char *where, uint32_t flags);
void unpublish(const char *name, const char *where);
void delete (const char *name);
void snapshot(const char *of, const char *name);

#endif
