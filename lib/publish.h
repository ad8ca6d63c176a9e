/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_PUBLISH_H
#define KV_PUBLISH_H

/* L4: what publishing and unpublishing share. */

#include "mount.h"
#include "verb.h"

/* One publish or unpublish under way. */
struct kv_job {
	struct kvol_pool *pool;
	struct kv_row row;
	struct kv_secret secret;
	struct kv_publication want; /* what is asked for, as it would be recorded */
	const char *ns_path;	    /* NULL: the caller's */
	struct kv_visit visit;	    /* in it */
	int visited;		    /* 0, or why it is not to be had */
	struct kv_mount_opts opts;
	bool block;
	dev_t dev;		 /* what appears: the volume's device or its read-only face */
	bool readonly;		 /* the thin device itself is read-only */
	int userns_fd;		 /* maps the ids; -1: none, or one of want's maps */
	int mnt_fd;		 /* the detached mount */
	struct kv_target target; /* as last seen */
	unsigned live;		 /* other publishes that stand */
	bool attached;		 /* the mount is on its target */
	uint64_t max_published;	 /* volumes on this host; 0: any */
	bool ephemeral;		 /* the volume is to be made, as `make` says, if there is none */
	bool made;		 /* and this call has made it */
	struct kvol_ephemeral_opts make;
};

/* What both verbs begin with: all of a job but the volume. *ret is the caller's to end
 * as soon as it is set. */
int kv_job_start(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_publish_opts *ret_opts,
		 struct kv_job **ret, struct kvol_error *e);
void kv_job_end(struct kv_job **job);
#define _cleanup_job_ _cleanup_(kv_job_end)
/* The rest of what a publish asks for. The job has its row. */
int kv_job_options(struct kv_job *job, const struct kvol_publish_opts *o,
		   struct kvol_error *e);

/* What an ephemeral volume is to be (publish_ephemeral.c). */
int kv_job_ephemeral(struct kv_job *job, const struct kvol_ephemeral_opts *opts,
		     struct kvol_error *e);
/* The volume is there: is it that one? */
int kv_job_same(const struct kv_job *job, struct kvol_error *e);
/* There is none: fills the row as far as the checks before it is made need it. */
int kv_job_plan(struct kv_job *job, const char *name, struct kvol_error *e);
/* Makes it, under its lock. 1: somebody was faster. */
int kv_job_make(struct kv_job *job, struct kv_lock *ret_lock, struct kvol_error *e);

/* The volume's device is active: makes job->mnt_fd (publish_mount.c). */
int kv_job_mount(struct kv_job *job, struct kvol_error *e);
/* 0: the target is free; 1: it stands there as asked for; negative: refused. */
int kv_job_check_target(struct kv_job *job, struct kvol_error *e);
/* Takes the mount of job->want away, wherever it has got to. */
int kv_job_unmount(struct kv_job *job, struct kvol_error *e);

int kv_target_error(int r, const char *target, struct kvol_error *e);
int kv_namespace_error(int r, const char *path, struct kvol_error *e);

#endif
