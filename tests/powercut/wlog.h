/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WLOG_H
#define WLOG_H

/* A write log in the format of dm-log-writes, as QEMU's blklogwrites driver makes it. */

#include <stdint.h>

#define WLOG_SECTOR 512u

#define WLOG_FLUSH   (1u << 0)
#define WLOG_FUA     (1u << 1)
#define WLOG_DISCARD (1u << 2)
#define WLOG_MARK    (1u << 3)

struct wlog_entry {
	uint64_t sector; /* of the whole disk */
	uint64_t n_sectors;
	uint32_t flags;
	const unsigned char *data; /* NULL: none (a flush, a discard) */
};

struct wlog {
	struct wlog_entry *entries;
	uint32_t n;
	uint32_t n_flushes;
	void *map;
	uint64_t map_bytes;
};

/* 0, or -1 with one line in the standard error. */
int wlog_open(const char *path, struct wlog *ret);
void wlog_close(struct wlog *log);

#endif
