// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a publish or unpublish asks for: arguments and options checked, and put into the
 * form in which they are recorded and compared. Nothing of the volume or the target is
 * touched here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "publish.h"
#include "userns.h"

static int check_target_path(const char *target, struct kvol_error *e)
{
	if (kv_str_empty(target))
		return kv_error_invalid(e, "the target is %s", target ? "empty" : "NULL");
	if (target[0] != '/')
		return kv_error_invalid(e, "target '%.128s': not an absolute path",
					target);
	if (strlen(target) >= PATH_MAX)
		return kv_error(e, -ENAMETOOLONG, KVOL_R_INVALID,
				"target '%.64s...': longer than a "
				"path can be",
				target);
	return 0;
}

int kv_target_error(int r, const char *target, struct kvol_error *e)
{
	if (r == -ENOENT)
		return kv_error(e, r, KVOL_R_NOT_FOUND, "target '%s': does not exist",
				target);
	if (r == -ELOOP)
		return kv_error(e, r, KVOL_R_INVALID,
				"target '%s': a component is a symbolic link", target);
	if (r == -ENOTDIR)
		return kv_error(e, r, KVOL_R_INVALID,
				"target '%s': a component is not a directory", target);
	if (r == -EINVAL)
		return kv_error_invalid(e, "target '%s': its last component is no name",
					target);
	return kv_error_errno(e, r, "target '%s': open", target);
}

int kv_namespace_error(int r, const char *path, struct kvol_error *e)
{
	if (r == -ENOENT)
		return kv_error(e, r, KVOL_R_NOT_FOUND,
				"mount namespace '%s': does not exist", path);
	if (r == -EINVAL)
		return kv_error(e, r, KVOL_R_INVALID, "'%s': is not a mount namespace",
				path);
	return kv_error_errno(e, r, "mount namespace '%s': enter",
			      path ? path : "of the caller");
}

/* One spelling for one target: slashes too many and "." go. ".." stays, and is refused at
 * the end. */
static void normalise(char *target)
{
	char *to = target, *from = target;

	while (*from) {
		size_t n = strcspn(from, "/");

		if (n && !(n == 1 && *from == '.')) {
			*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n + (from[n] == '/');
	}
	if (to == target)
		*to++ = '/';
	*to = 0;
}

static int parse_map(const struct kv_job *job, const char *field, const char *map,
		     char ret[KV_IDMAP_SIZE], struct kvol_error *e)
{
	switch (kv_idmap_parse(map, ret)) {
	case 0:
		return 0;
	case -ERANGE:
		return kv_error_invalid(
			e, "volume '%s': %s: an id is out of range, or mapped twice",
			job->row.name, field);
	case -E2BIG:
		return kv_error_invalid(e, "volume '%s': %s: more than the kernel takes",
					job->row.name, field);
	default:
		return kv_error_invalid(
			e, "volume '%s': %s: is not a list of INSIDE OUTSIDE COUNT",
			job->row.name, field);
	}
}

/* Whose ids are mapped, and how; a namespace is opened, but none is made yet. */
static int parse_id_maps(struct kv_job *job, const struct kvol_publish_opts *o,
			 struct kvol_error *e)
{
	bool by_path = !kv_str_empty(o->user_namespace);
	const char *gid_map = kv_str_empty(o->gid_map) ? o->uid_map : o->gid_map;
	int r;

	if (!by_path && kv_str_empty(gid_map))
		return 0;
	if (job->block)
		return kv_error_invalid(
			e, "volume '%s': id maps do not go with a block device",
			job->row.name);
	if (by_path ? !kv_str_empty(gid_map) : kv_str_empty(o->uid_map))
		return kv_error_invalid(e,
					by_path ? "volume '%s': a user namespace and maps, too"
						: "volume '%s': gid_map without uid_map",
					job->row.name);
	if (!by_path) {
		r = parse_map(job, "uid_map", o->uid_map, job->want.uid_map, e);
		return r < 0 ? r
			     : parse_map(job, "gid_map", gid_map, job->want.gid_map, e);
	}
	r = job->userns_fd = kv_userns_open(o->user_namespace, &job->want.user_ns);
	if (r == -ENOENT)
		return kv_error(e, r, KVOL_R_NOT_FOUND,
				"user namespace '%s': does not exist", o->user_namespace);
	if (r == -EINVAL)
		return kv_error_invalid(e, "'%s': is not a user namespace that maps ids",
					o->user_namespace);
	return r < 0 ? kv_error_errno(e, r, "user namespace '%s': open", o->user_namespace)
		     : 0;
}

static int check_group(struct kv_job *job, const struct kvol_publish_opts *o,
		       struct kvol_error *e)
{
	if (!(o->flags & KVOL_PUBLISH_GROUP))
		return o->group ? kv_error_invalid(e,
						   "volume '%s': a group without "
						   "KVOL_PUBLISH_GROUP",
						   job->row.name)
				: 0;
	if (o->group == UINT32_MAX)
		return kv_error_invalid(e, "volume '%s': %u is no group", job->row.name,
					o->group);
	if (job->block || (job->want.flags & KVOL_PUBLISH_READONLY))
		return kv_error_invalid(e,
					"volume '%s': a group does not go with a block "
					"device or a read-only publish",
					job->row.name);
	job->want.group = o->group;
	return 0;
}

static int take_labels(struct kv_job *job, const struct kvol_publish_opts *o,
		       struct kvol_error *e)
{
	const char *name = job->row.name;
	_cleanup_labels_ struct kv_labels set = { 0 };
	int r;

	r = kv_labels_check(o->labels, o->n_labels, false, name, e);
	if (r < 0)
		return r;
	for (uint64_t i = 0; i < o->n_labels; i++) {
		if (kv_labels_add(&set, o->labels[i].key, o->labels[i].value) < 0)
			return kv_error_errno(e, -ENOMEM, "volume '%s'", name);
		if (set.size <= sizeof(job->want.labels))
			continue;
		(void)kv_error(e, -ENOSPC, KVOL_R_LIMIT,
			       "volume '%s': the labels of a publish are more than %zu "
			       "bytes",
			       name, sizeof(job->want.labels));
		if (e)
			e->index = (uint32_t)i;
		return -ENOSPC;
	}
	if (set.size)
		memcpy(job->want.labels, set.text, set.size);
	job->want.labels_size = (uint32_t)set.size;
	return 0;
}

/* Of the mount, and not of what was asked for: so that a repeat is one under another
 * policy, too. A device's node is not a file system. */
static int take_policy(struct kv_job *job, struct kvol_error *e)
{
	uint64_t attr;
	int r;

	r = kv_policy_publish(job->pool, &attr, &job->max_published, e);
	if (r == 0 && !job->block)
		job->opts.attr_set |= attr;
	return r;
}

/* How it is mounted, who may publish it besides, and where mounts below it show up. */
static int parse_mount(struct kv_job *job, const struct kvol_publish_opts *o,
		       struct kvol_error *e)
{
	char bad[KV_OPTION_SIZE] = "";
	int r;

	r = kv_mount_opts_parse(o->mount_options ? o->mount_options : "", &job->opts,
				bad);
	if (r < 0)
		return kv_error(e, -EINVAL, KVOL_R_INVALID,
				"volume '%s': mount option '%s' is not "
				"allowed",
				job->row.name, bad);
	if (job->block && !kv_str_empty(o->mount_options))
		return kv_error_invalid(
			e, "volume '%s': mount options do not go with a block device",
			job->row.name);
	if (o->access > KVOL_ACCESS_READER)
		return kv_error_invalid(e, "volume '%s': unknown access %u",
					job->row.name, o->access);
	if (o->propagation > KVOL_PROPAGATION_SHARED)
		return kv_error_invalid(e, "volume '%s': unknown propagation %u",
					job->row.name, o->propagation);
	if (job->block && o->propagation)
		return kv_error_invalid(
			e, "volume '%s': propagation does not go with a block device",
			job->row.name);
	job->want.access = o->access;
	job->want.propagation = o->propagation;
	if (job->opts.readonly || job->row.kind == KVOL_KIND_SNAPSHOT ||
	    o->access == KVOL_ACCESS_READER)
		job->want.flags |= KVOL_PUBLISH_READONLY;
	if (job->want.flags & KVOL_PUBLISH_READONLY) {
		job->opts.readonly = true;
		job->opts.attr_set |= MOUNT_ATTR_RDONLY;
	}
	job->want.attr = job->opts.attr_set;
	(void)kv_strcpy(job->want.super, sizeof(job->want.super), job->opts.super);
	return 0;
}

int kv_job_options(struct kv_job *job, const struct kvol_publish_opts *o,
		   struct kvol_error *e)
{
	int r;

	r = parse_mount(job, o, e);
	if (r == 0)
		r = check_group(job, o, e);
	if (r == 0)
		r = take_labels(job, o, e);
	if (r == 0)
		r = take_policy(job, e);
	/* Last: it leaves a file descriptor open. */
	return r == 0 ? parse_id_maps(job, o, e) : r;
}

/* Fills a job from the arguments, but for the volume. */
static int set_place(struct kv_job *job, const char *target,
		     const struct kvol_publish_opts *o, struct kvol_error *e)
{
	int r;

	r = check_target_path(target, e);
	if (r < 0)
		return r;
	(void)kv_strcpy(job->want.target, sizeof(job->want.target), target);
	normalise(job->want.target);
	job->ns_path = kv_str_empty(o->mount_namespace) ? NULL : o->mount_namespace;
	if (job->ns_path &&
	    !kv_strcpy(job->want.ns_path, sizeof(job->want.ns_path), job->ns_path))
		return kv_error(e, -ENAMETOOLONG, KVOL_R_INVALID,
				"mount namespace '%.64s...': longer than a path can be",
				job->ns_path);
	return 0;
}

int kv_job_start(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_publish_opts *ret_opts,
		 struct kv_job **ret, struct kvol_error *e)
{
	int r;

	r = kv_volume_name_check(name, "volume", e);
	if (r == 0)
		r = kv_opts_in(ret_opts, sizeof(*ret_opts),
			       KV_SIZE_TO(struct kvol_publish_opts, mount_namespace), opts,
			       KVOL_PUBLISH_READONLY | KVOL_PUBLISH_BLOCK |
				       KVOL_PUBLISH_GROUP,
			       "kvol_publish_opts", e);
	if (r < 0)
		return r;
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return kv_error_errno(e, -ENOMEM, "volume '%s'", name);
	(*ret)->pool = pool;
	(*ret)->mnt_fd = (*ret)->userns_fd = -1;
	(*ret)->visit = KV_VISIT_NONE;
	r = set_place(*ret, target, ret_opts, e);
	/* So early, for it to be there when there is something to do. */
	if (r == 0)
		(*ret)->visited = kv_visit_begin((*ret)->ns_path, &(*ret)->visit);
	return r;
}

void kv_job_end(struct kv_job **job)
{
	if (*job)
		kv_visit_end(&(*job)->visit);
	free(*job);
}
