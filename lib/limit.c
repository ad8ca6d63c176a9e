// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Limits of a volume's I/O in a container: the cgroup's io.max for the volume's device.
 *
 * The kernel keeps them, by the device's number, and drops them with the device or the
 * cgroup; nothing is recorded here. The volume's lock is held, so that the number is
 * still the volume's when it is written. A crash leaves the old limits or the new ones.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cgroup.h"
#include "verb.h"

static int add_limit(char *line, const char *key, uint64_t value)
{
	size_t n = strlen(line);
	int m;

	if (value)
		m = snprintf(line + n, KV_CGROUP_LINE - n, " %s=%" PRIu64, key, value);
	else
		m = snprintf(line + n, KV_CGROUP_LINE - n, " %s=max", key);
	return m < 0 || (size_t)m >= KV_CGROUP_LINE - n ? -ENAMETOOLONG : 0;
}

static int make_line(dev_t dev, const struct kvol_io_limits *o, char *line)
{
	int r;

	(void)snprintf(line, KV_CGROUP_LINE, "%u:%u", major(dev), minor(dev));
	r = add_limit(line, "rbps", o->read_bps);
	if (r == 0)
		r = add_limit(line, "wbps", o->write_bps);
	if (r == 0)
		r = add_limit(line, "riops", o->read_iops);
	return r < 0 ? r : add_limit(line, "wiops", o->write_iops);
}

static int check(const char *path, const struct kvol_io_limits *o, struct kvol_error *e)
{
	if (kv_str_empty(path) || path[0] != '/')
		return kv_error_invalid(e, "cgroup '%.128s': not an absolute path",
					path ? path : "");
	if (strnlen(path, PATH_MAX) == PATH_MAX)
		return kv_error(e, -ENAMETOOLONG, KVOL_R_INVALID,
				"cgroup '%.64s...': longer than a path can be", path);
	/* The kernel keeps the counts in 32 bits, and cuts what does not fit. */
	if (o->read_iops > UINT32_MAX || o->write_iops > UINT32_MAX)
		return kv_error_invalid(
			e, "cgroup '%.128s': more operations a second than 2^32 - 1",
			path);
	return 0;
}

static int write_error(int r, const char *path, struct kvol_error *e)
{
	if (r == -ENOENT)
		return kv_error(e, r, KVOL_R_NOT_FOUND, "cgroup '%s': does not exist",
				path);
	if (r == -ELOOP)
		return kv_error(e, r, KVOL_R_INVALID,
				"cgroup '%s': a component is a symbolic link", path);
	if (r == -ENOTDIR)
		return kv_error(e, r, KVOL_R_INVALID, "cgroup '%s': is not a directory",
				path);
	if (r == -EMEDIUMTYPE)
		return kv_error(e, -EINVAL, KVOL_R_INVALID,
				"'%s': is not a cgroup of version 2", path);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"cgroup '%s': the io controller is not enabled in it",
				path);
	return kv_error_errno(e, r, "cgroup '%s': write its io.max", path);
}

int kvol_limit_io(struct kvol_pool *pool, const char *name, const char *cgroup,
		  const struct kvol_io_limits *limits, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	char line[KV_CGROUP_LINE];
	struct kvol_io_limits o;
	struct kv_dm_info info;
	struct kv_row row;
	int r;

	r = kv_pool_enter(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0)
		r = kv_opts_in(&o, sizeof(o), sizeof(o), limits, 0, "kvol_io_limits",
			       reterr);
	if (r == 0)
		r = check(cgroup, &o, reterr);
	if (r == 0)
		r = kv_volume_lock(pool, name, "volume", &lock, &row, reterr);
	if (r < 0)
		return r;
	r = kv_volume_top(pool, &row, &info);
	if (r == -ENXIO || (r == 0 && !info.live_table))
		return kv_error(reterr, -ENOENT, KVOL_R_NOT_FOUND,
				"volume '%s': is not published, and has no device to limit",
				name);
	if (r == 0)
		r = make_line(info.dev, &o, line);
	if (r < 0)
		return kv_error_errno(reterr, r, "volume '%s': look at its device", name);
	r = kv_cgroup_io_max(cgroup, line);
	return r < 0 ? write_error(r, cgroup, reterr) : 0;
}
