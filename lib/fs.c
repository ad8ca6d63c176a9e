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

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs.h"
#include "spawn.h"

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

/* A file by what changes with its contents, and not with the host: packages keep the time. */
struct trace {
	int64_t size, sec, nsec;
};

static struct trace trace_of(const struct stat *st)
{
	return (struct trace){ st->st_size, st->st_mtim.tv_sec, st->st_mtim.tv_nsec };
}

void kv_fs_recipe(const struct kv_fs *fs, char ret[KV_FS_RECIPE_SIZE])
{
	struct trace traces[2] = { { 0 } };
	struct stat st;

	ret[0] = 0;
	if (kv_spawn_find(fs->program, &st) < 0)
		return;
	traces[0] = trace_of(&st);
	if (fs->defaults && stat(fs->defaults, &st) == 0)
		traces[1] = trace_of(&st);
	(void)snprintf(ret, KV_FS_RECIPE_SIZE, "%016llx",
		       (unsigned long long)kv_hash64(traces, sizeof(traces), fs->revision));
}
