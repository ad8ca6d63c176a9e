/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MODEL_CATALOGUE_H
#define MODEL_CATALOGUE_H

/* Between model_catalogue.c, the files, and model_vfs.c, SQLite's way to them. */

#include <sqlite3.h>

#include "model.h"

#define MODEL_SHM_REGIONS 8

enum model_cached_kind { MODEL_DATABASE, MODEL_WAL, MODEL_JOURNAL, MODEL_N_KINDS };

struct model_range {
	size_t at, n;
};

struct model_cached_file {
	bool used, disk_used; /* it is there, and it is on the disk, too */
	unsigned char *data, *disk;
	size_t size, disk_size, room;
	struct model_range *unsynced;
	unsigned n_unsynced, room_unsynced;
	/* What may differ from what it was last restored from. */
	const struct model_saved_catalogue *origin;
	size_t touched_from, touched_to;
};

struct model_catalogue {
	struct model_cached_file files[MODEL_N_KINDS];
	unsigned shared; /* connections with a lock of at least this kind */
	bool reserved, pending, exclusive;
	unsigned shm_users;
	void *shm[MODEL_SHM_REGIONS];
	int shm_locks[SQLITE_SHM_NLOCK]; /* -1: exclusive */
};

extern struct model_catalogue model_catalogues[MODEL_DISKS];

void model_file_write(struct model_cached_file *f, const void *data, size_t n, size_t at);
void model_file_truncate(struct model_cached_file *f, size_t size);
void model_file_sync(struct model_cached_file *f);
void model_file_unlink(struct model_cached_file *f);

#endif
