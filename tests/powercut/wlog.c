// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reads a write log: Documentation/admin-guide/device-mapper/log-writes.rst and
 * drivers/md/dm-log-writes.c of the kernel. A superblock, then entries in the order in
 * which the disk completed the requests: one sector that describes it, and its data.
 *
 * A flush makes durable what completed before it was sent. QEMU's log has it where it was
 * sent if the file below takes no flushes (cache.no-flush), which is how tests/guest
 * records.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wlog.h"

#define MAGIC UINT64_C(0x6a736677736872)

struct disk_super {
	uint64_t magic;
	uint64_t version;
	uint64_t n_entries;
	uint32_t sector_size;
} __attribute__((packed));

struct disk_entry {
	uint64_t sector;
	uint64_t n_sectors;
	uint64_t flags;
	uint64_t data_len;
} __attribute__((packed));

static int map_log(const char *path, struct wlog *log)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)WLOG_SECTOR) {
		fprintf(stderr, "%s: no write log: %s\n", path, strerror(errno));
		(void)close(fd);
		return -1;
	}
	log->map_bytes = (uint64_t)st.st_size;
	log->map = mmap(NULL, log->map_bytes, PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (log->map == MAP_FAILED) {
		log->map = NULL;
		fprintf(stderr, "%s: mmap: %s\n", path, strerror(errno));
		return -1;
	}
	return 0;
}

/* Returns the offset behind the entry, or 0 if it is none. */
static uint64_t parse_entry(struct wlog *log, uint64_t at, struct wlog_entry *e)
{
	const unsigned char *base = log->map;
	struct disk_entry d;
	uint64_t bytes;

	if (at + WLOG_SECTOR > log->map_bytes)
		return 0;
	memcpy(&d, base + at, sizeof(d));
	e->sector = le64toh(d.sector);
	e->n_sectors = le64toh(d.n_sectors);
	e->flags = (uint32_t)le64toh(d.flags);
	e->data = NULL;
	at += WLOG_SECTOR;
	if (le64toh(d.flags) > 31 || e->n_sectors > UINT64_C(1) << 40)
		return 0;
	if (!e->flags && !e->n_sectors) /* a hole: nobody asks a disk for nothing */
		return 0;
	if (e->flags & (WLOG_DISCARD | WLOG_FLUSH) || !e->n_sectors)
		return at;
	bytes = e->n_sectors * WLOG_SECTOR;
	if (bytes > log->map_bytes - at)
		return 0;
	e->data = base + at;
	return at + bytes;
}

int wlog_open(const char *path, struct wlog *ret)
{
	struct wlog log = { 0 };
	struct disk_super super;
	uint64_t at = WLOG_SECTOR;

	if (map_log(path, &log) < 0)
		return -1;
	memcpy(&super, log.map, sizeof(super));
	if (le64toh(super.magic) != MAGIC || le64toh(super.version) != 1 ||
	    le32toh(super.sector_size) != WLOG_SECTOR ||
	    le64toh(super.n_entries) > log.map_bytes / WLOG_SECTOR) {
		fprintf(stderr, "%s: not a write log with sectors of 512 bytes\n", path);
		goto fail;
	}
	log.entries = calloc(le64toh(super.n_entries) + 1, sizeof(*log.entries));
	if (!log.entries) {
		fprintf(stderr, "%s: out of memory\n", path);
		goto fail;
	}
	for (; log.n < le64toh(super.n_entries); log.n++) {
		at = parse_entry(&log, at, &log.entries[log.n]);
		if (!at) {
			fprintf(stderr, "%s: entry %u is damaged\n", path, log.n);
			goto fail;
		}
		log.n_flushes += !!(log.entries[log.n].flags & WLOG_FLUSH);
	}
	*ret = log;
	return 0;

fail:
	wlog_close(&log);
	return -1;
}

void wlog_close(struct wlog *log)
{
	if (log->map)
		(void)munmap(log->map, log->map_bytes);
	free(log->entries);
}
