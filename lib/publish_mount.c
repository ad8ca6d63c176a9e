// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The mount that a publish is to be, before it is anywhere to be seen: of the volume's file
 * system, grown, given to its group and with its ids mapped as is asked for; or of the node
 * of its device. It vanishes with its file descriptor.
 */
#include <errno.h>
#include <sys/mount.h>

#include "blockdev.h"
#include "publish.h"
#include "tree.h"

/* How long the giving of a volume to a group may take. */
#define GROUP_MS (15 * 60 * 1000)

static int make_node_mount(struct kv_job *job, struct kvol_error *e)
{
	char path[KV_DEV_PATH];
	int r;

	if ((job->want.flags & KVOL_PUBLISH_READONLY) && !job->readonly) {
		r = kv_device_activate_readonly(job->pool, &job->row, job->dev,
						&job->dev);
		if (r < 0)
			return kv_error_errno(e, r, "volume '%s': activate read-only",
					      job->row.name);
	}
	r = kv_blockdev_path(job->dev, path);
	if (r == 0)
		r = job->mnt_fd = kv_mount_node(path, job->dev, job->opts.attr_set);
	if (r == -ENODEV || r == -ENOENT)
		return kv_error(e, -ENODEV, KVOL_R_UNSUPPORTED,
				"volume '%s': /dev has no node for its "
				"device that could appear on the target",
				job->row.name);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': bind its device node",
				      job->row.name)
		     : 0;
}

/* On another mount out of sight: its ids are not mapped, and it has no devices. */
static int own_group(struct kv_job *job, const char *fs_type, const char *source,
		     const char *fs_options, struct kvol_error *e)
{
	struct kv_mount_opts opts = { .attr_set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
						  MOUNT_ATTR_NOEXEC };
	_cleanup_close_ int mnt_fd = -1, root_fd = -1;
	int r;

	(void)kv_strcpy(opts.super, sizeof(opts.super), job->opts.super);
	r = mnt_fd = kv_mount_device(fs_type, source, fs_options, &opts, false, NULL, 0);
	if (r >= 0)
		r = root_fd = kv_mount_root(mnt_fd);
	if (r >= 0)
		r = kv_tree_has_group(root_fd, job->want.group);
	if (r == 0)
		r = kv_tree_group(root_fd, job->want.group, kv_deadline(GROUP_MS));
	if (r == -ELOOP)
		return kv_error(e, -EINVAL, KVOL_R_LIMIT,
				"volume '%s': give it to group %u: directories more than "
				"%d deep",
				job->row.name, job->want.group, KV_TREE_DEPTH);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': give it to group %u",
				      job->row.name, job->want.group)
		     : 0;
}

static int map_ids(struct kv_job *job, struct kvol_error *e)
{
	int r = 0;

	if (job->want.uid_map[0])
		r = job->userns_fd =
			kv_usermaps_get(&job->pool->usermaps, job->want.uid_map,
					job->want.gid_map);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': user namespaces are not to be had here",
				job->row.name);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': make a user namespace of its maps",
				      job->row.name);
	if (job->userns_fd >= 0)
		r = kv_mount_idmap(job->mnt_fd, job->userns_fd);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': the kernel maps no ids of %s", job->row.name,
				job->row.fs_type);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': map its ids", job->row.name) : 0;
}

static int make_fs_mount(struct kv_job *job, struct kvol_error *e)
{
	_cleanup_close_ int node_fd = -1;
	char source[KV_DEV_PATH], detail[128] = "";
	const struct kv_fs *fs;
	int r;

	r = kv_row_fs(&job->row, &fs, e);
	if (r == 0 && (job->row.flags & KV_ROW_GROW))
		r = kv_fs_grow(&job->row, job->dev, e);
	if (r == 0 && (job->row.flags & KV_ROW_GROW)) {
		r = kv_catalogue_set_flags(job->pool->cat, job->row.id,
					   job->row.flags & ~KV_ROW_GROW);
		if (r < 0)
			r = kv_error_errno(e, r, "volume '%s': commit to the catalogue",
					   job->row.name);
	}
	if (r < 0)
		return r;
	r = kv_blockdev_name(job->dev, source, &node_fd);
	if (r < 0)
		return kv_error_errno(e, r, "volume '%s': find its device",
				      job->row.name);
	job->mnt_fd = kv_mount_device(fs->name, source, fs->mount_options, &job->opts,
				      job->row.kind == KVOL_KIND_SNAPSHOT, detail,
				      sizeof(detail));
	if (job->mnt_fd == -EINVAL)
		return kv_error(e, -EINVAL, KVOL_R_INVALID, "volume '%s': mount: %s",
				job->row.name,
				detail[0] ? detail : "the file system refuses it");
	if (job->mnt_fd == -ENODEV)
		return kv_error(e, -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': the kernel does not have %s", job->row.name,
				fs->name);
	if (job->mnt_fd < 0 && job->readonly)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_PUBLISHED,
				"snapshot '%s': its %s has a log to replay, "
				"and its device is published read-only as a block device",
				job->row.name, fs->name);
	if (job->mnt_fd < 0)
		return kv_error_errno(e, job->mnt_fd, "volume '%s': mount (%s)",
				      job->row.name, detail);
	if (job->want.flags & KVOL_PUBLISH_GROUP) {
		r = own_group(job, fs->name, source, fs->mount_options, e);
		if (r < 0)
			return r;
	}
	return map_ids(job, e);
}

int kv_job_mount(struct kv_job *job, struct kvol_error *e)
{
	return job->block ? make_node_mount(job, e) : make_fs_mount(job, e);
}
