// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a kvol_pool_format that was killed has left in the kernel: the maps of a pool that
 * no disk carries, for the partition table comes last. They hold the disk or file, so
 * that neither it could be formatted again nor anything else be done with it.
 *
 * They are told from an active pool by the run directory: opening makes a pool's own
 * directory there before it maps anything, formatting makes none. From a format under way
 * they are told by its lock on the device or file, which the caller holds now. What
 * somebody has open stays.
 *
 * A crash in here leaves fewer of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "rundir.h"
#include "verb.h"

#define PREFIX	 "KVOL-"
#define LEFT_MAX 16

struct find {
	const struct kv_dm *dm;
	const struct stat *st; /* the device or file that they lie on */
	int run_fd;
	char uuid[KV_UUID_LEN + 1];
};

/* 1: the map lies on it. */
static int lies_on(const struct find *find, const struct kv_dm_id *id)
{
	char line[KV_THIN_LINE];
	uint64_t offset;
	dev_t dev;
	int r;

	r = kv_dm_status(find->dm, id->uuid, KV_DM_TABLE, line, sizeof(line), NULL);
	if (r == -ENXIO || r == -ENODATA) /* gone, or nothing is mapped yet */
		return 0;
	if (r < 0)
		return r;
	if (kv_thin_linear_parse(line, &dev, &offset) < 0)
		return 0;
	return kv_device_is(dev, find->st);
}

static int find_one(const struct kv_dm_id *id, dev_t dev, void *arg)
{
	struct find *find = arg;
	char uuid[KV_UUID_LEN + 1];
	struct kv_dm_id part;
	struct stat st;
	int r;

	(void)dev;
	(void)kv_strcpy(uuid, sizeof(uuid), id->uuid + strlen(PREFIX));
	kv_dm_id_part(&part, uuid, "catalogue");
	if (!kv_uuid_valid(uuid) || strcmp(part.uuid, id->uuid))
		return 0;
	r = lies_on(find, id);
	if (r <= 0)
		return r;
	if (fstatat(find->run_fd, uuid, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	memcpy(find->uuid, uuid, sizeof(uuid));
	return 1;
}

int kv_leftover_remove(const struct kv_dm *dm, const char *run_dir, const struct stat *st)
{
	_cleanup_close_ int run_fd = kv_run_open(run_dir);
	struct find find = { .dm = dm, .st = st, .run_fd = run_fd };
	int r;

	if (run_fd < 0)
		return run_fd;
	for (int i = 0; i < LEFT_MAX; i++) {
		r = kv_dm_list(dm, PREFIX, find_one, &find);
		if (r == 1)
			r = kv_stack_remove(dm, find.uuid);
		else
			return r;
		if (r < 0)
			return r == -EBUSY ? 0 : r;
	}
	return 0;
}
