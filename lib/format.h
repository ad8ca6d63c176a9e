/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_FORMAT_H
#define KV_FORMAT_H

/* L4: what the parts of kvol_pool_format share. */

#include "verb.h"

/* One format under way. */
struct kv_format {
	const struct kvol_ctx *ctx;
	const char *name;
	const char *path;
	struct kvol_format_opts o;
	struct kv_dm dm;
	int fd;	    /* the device or file, locked */
	int run_fd; /* the run directory */
	bool made_file, sized_file;
	int loop_fd;
	dev_t member;
	struct kv_geometry geo;
	struct kv_layout layout;
	struct kv_stack stack;
};

/* In this order: opens the path, or makes the file; locks it, when what a killed format
 * has left of it is gone; gives a new file its size. */
int kv_format_open(struct kv_format *f, struct kvol_error *e);
int kv_format_lock(struct kv_format *f, struct kvol_error *e);
int kv_format_size_file(struct kv_format *f, struct kvol_error *e);
/* 0: it may be formatted; 1: it is the pool that is asked for. */
int kv_format_check_contents(struct kv_format *f, struct kvol_error *e);
/* Refuses what somebody has mounted, or uses otherwise. */
int kv_format_check_unclaimed(struct kv_format *f, struct kvol_error *e);

#endif
