/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The table of file systems. A new one is a file fs_NAME.c, a declaration in fs.h and a
 * line here.
 *
 * Drivers make a file system on a device that nobody uses yet, grow one through its root
 * directory, and say what a mount of it needs. They keep no state, take no locks, and
 * never decide whether a device may be written: that is the caller's business, who knows
 * what was there before.
 */

#include <string.h>

#include "fs.h"

static const struct kv_fs *const table[] = {
	&kv_fs_ext4,
	&kv_fs_xfs,
	&kv_fs_btrfs,
};

const struct kv_fs *kv_fs_find(const char *name)
{
	if (!name)
		return NULL;
	for (size_t i = 0; i < KV_ARRAY_SIZE(table); i++)
		if (strcmp(table[i]->name, name) == 0)
			return table[i];
	return NULL;
}
