/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The pool's partition table: libfdisk writes it, libblkid reads it back. This file alone
 * knows our partition types, and alone includes libfdisk.
 *
 * Order: libfdisk writes the backup's entries and header, the primary's entries and
 * header, and the protective MBR last, with an fsync after each. The reader wants the
 * protective MBR and one whole copy (its parts carry checksums), so that the MBR is what
 * makes a pool: a crash before it leaves none, and even if the order were another,
 * whatever is left is the whole table or nothing.
 *
 * The protective MBR is insisted on, unlike in a rescue tool: mkfs and its like wipe the
 * first sector, and the backup at the end of a disk that somebody has since overwritten
 * must not bring the pool back.
 *
 * The kernel is never asked to scan for partitions, here or by libfdisk. Reading never
 * writes. Both functions move the fd's file offset: one fd, one thread.
 */

#include <blkid.h>
#include <errno.h>
#include <libfdisk.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "blockdev.h"
#include "gpt.h"

#define MIB	   (UINT64_C(1) << 20)
#define UNIT_BYTES UINT64_C(65536) /* what the size of the data is a multiple of */
#define N_PARTS	   3

#define GUID_SIZE   16
#define HEADER_SIZE 92 /* UEFI 2.10, 5.3.2 */
#define ENTRY_SIZE  128
#define ENTRIES_MAX 1024 /* 128 are usual */
#define SECTOR_MAX  4096

/* What the partitions are, in their order on the disk. doc/on-disk-format.md has the
 * types, too. */
static const struct part {
	const char *type;
	unsigned char raw[GUID_SIZE]; /* the same as it is on the disk */
	const char *name;
	size_t offset; /* its extent's, in struct kv_layout */
} parts[N_PARTS] = {
	{ "e4ae53b5-99d6-4c5c-aff7-e358a5e89730",
	  { 0xb5, 0x53, 0xae, 0xe4, 0xd6, 0x99, 0x5c, 0x4c, 0xaf, 0xf7, 0xe3, 0x58, 0xa5,
	    0xe8, 0x97, 0x30 },
	  "kvol-catalogue",
	  offsetof(struct kv_layout, catalogue) },
	{ "5106703d-c95c-4dfc-99f3-88bea1cfd8ba",
	  { 0x3d, 0x70, 0x06, 0x51, 0x5c, 0xc9, 0xfc, 0x4d, 0x99, 0xf3, 0x88, 0xbe, 0xa1,
	    0xcf, 0xd8, 0xba },
	  "kvol-metadata",
	  offsetof(struct kv_layout, metadata) },
	{ "49ce7365-aaed-470e-8ec3-0f8c7c03bfce",
	  { 0x65, 0x73, 0xce, 0x49, 0xed, 0xaa, 0x0e, 0x47, 0x8e, 0xc3, 0x0f, 0x8c, 0x7c,
	    0x03, 0xbf, 0xce },
	  "kvol-data",
	  offsetof(struct kv_layout, data) },
};

/* The attribute bit that systemd and Windows respect. */
#define NO_AUTOMOUNT "GUID:63"

static struct kv_extent *extent(struct kv_layout *l, size_t i)
{
	return (struct kv_extent *)((char *)l + parts[i].offset);
}

static int sector_size(int fd, unsigned *ret)
{
	struct stat st;
	int size;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISBLK(st.st_mode)) {
		*ret = 512;
		return 0;
	}
	if (ioctl(fd, BLKSSZGET, &size) < 0)
		return -errno;
	if (size < 512 || size > SECTOR_MAX)
		return -EOPNOTSUPP;
	*ret = (unsigned)size;
	return 0;
}

/* --- Writing ---------------------------------------------------------------------- */

/* libfdisk gives negative errnos, but for a few places that give 1. */
static int fdisk_result(int r)
{
	return r > 0 ? -EINVAL : r;
}

static int add_partition(struct fdisk_context *cxt, const struct kv_layout *l, size_t i)
{
	uint64_t sector = fdisk_get_sector_size(cxt);
	const struct kv_extent *e = extent((struct kv_layout *)l, i);
	struct fdisk_parttype *type = fdisk_new_unknown_parttype(0, parts[i].type);
	struct fdisk_partition *pa = fdisk_new_partition();
	int r = -ENOMEM;

	if (type && pa)
		r = fdisk_partition_set_type(pa, type);
	if (!r)
		r = fdisk_partition_set_partno(pa, i);
	if (!r)
		r = fdisk_partition_set_start(pa, e->start_bytes / sector);
	if (!r)
		r = fdisk_partition_set_size(pa, e->bytes / sector);
	if (!r)
		r = fdisk_partition_size_explicit(pa, 1);
	if (!r)
		r = fdisk_partition_set_name(pa, parts[i].name);
	if (!r)
		r = fdisk_partition_set_attrs(pa, NO_AUTOMOUNT);
	if (!r)
		r = fdisk_add_partition(cxt, pa, NULL);

	fdisk_unref_partition(pa);
	fdisk_unref_parttype(type);
	return fdisk_result(r);
}

static int write_label(struct fdisk_context *cxt, const struct kv_layout *l)
{
	int r = fdisk_create_disklabel(cxt, "gpt");

	if (!r)
		r = fdisk_set_disklabel_id_from_string(cxt, l->uuid);
	for (size_t i = 0; !r && i < N_PARTS; i++)
		r = add_partition(cxt, l, i);
	if (!r)
		r = fdisk_write_disklabel(cxt);
	return fdisk_result(r);
}

int kv_gpt_write(int fd, const char *path, const struct kv_layout *layout)
{
	struct fdisk_context *cxt = fdisk_new_context();
	int r;

	if (!cxt)
		return -ENOMEM;
	/* Without an ask function libfdisk has nobody to ask or tell; this says it
	 * aloud. */
	r = fdisk_result(fdisk_disable_dialogs(cxt, 1));
	if (!r)
		r = fdisk_result(fdisk_assign_device_by_fd(cxt, fd, path, 0));
	if (!r) {
		int r2;

		r = write_label(cxt, layout);
		/* "nosync" spares the rest of the host a sync(); the device is flushed
		 * below. */
		r2 = fdisk_result(fdisk_deassign_device(cxt, 1));
		if (!r)
			r = r2;
	}
	fdisk_unref_context(cxt);
	return r < 0 ? r : kv_blockdev_flush(fd);
}

/* --- Reading ---------------------------------------------------------------------- */

/* What libblkid does not tell of a header, or refuses to: how large the disk was. */
struct header {
	uint64_t alternate_lba;
	uint64_t entries_lba;
	uint32_t n_entries;
	uint32_t entries_crc;
};

static uint32_t get_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t get_le64(const unsigned char *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

/* IEEE 802.3, as in zlib. */
static uint32_t crc32_more(uint32_t crc, const unsigned char *p, size_t n)
{
	while (n--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

static uint32_t crc32(const unsigned char *p, size_t n)
{
	return ~crc32_more(~0u, p, n);
}

/* 1: the first sector says that a GPT follows. 0: it does not, and then none counts. */
static int read_protective_mbr(int fd)
{
	unsigned char buf[512];
	int r;

	r = kv_pread_full(fd, buf, sizeof(buf), 0);
	if (r < 0)
		return r;
	if (buf[510] != 0x55 || buf[511] != 0xaa)
		return 0;
	for (size_t at = 446; at < 510; at += 16)
		if (buf[at + 4] == 0xee)
			return 1;
	return 0;
}

/* 1: there is a whole header at lba. 0: there is none. */
static int read_header(int fd, unsigned sector, uint64_t lba, struct header *ret)
{
	unsigned char buf[SECTOR_MAX];
	uint32_t size, crc;
	int r;

	r = kv_pread_full(fd, buf, sector, lba * sector);
	if (r < 0)
		return r;
	size = get_le32(buf + 12);
	crc = get_le32(buf + 16);
	if (memcmp(buf, "EFI PART", 8) || size < HEADER_SIZE || size > sector)
		return 0;
	memset(buf + 16, 0, 4);
	if (crc32(buf, size) != crc || get_le64(buf + 24) != lba ||
	    get_le32(buf + 84) != ENTRY_SIZE)
		return 0;

	ret->alternate_lba = get_le64(buf + 32);
	ret->entries_lba = get_le64(buf + 72);
	ret->n_entries = get_le32(buf + 80);
	ret->entries_crc = get_le32(buf + 88);
	return 1;
}

/* Is one of our types among the entries, however little else of them makes sense? */
static int mentions_us(int fd, unsigned sector, uint64_t device_bytes,
		       const struct header *h)
{
	unsigned char entry[ENTRY_SIZE];
	uint64_t at;
	int r;

	for (uint32_t n = 0; n < h->n_entries && n < ENTRIES_MAX; n++) {
		if (h->entries_lba > device_bytes / sector)
			return 0;
		at = h->entries_lba * sector + n * ENTRY_SIZE;
		if (at + ENTRY_SIZE > device_bytes)
			return 0;
		r = kv_pread_full(fd, entry, sizeof(entry), at);
		if (r < 0)
			return r;
		for (size_t i = 0; i < N_PARTS; i++)
			if (!memcmp(entry, parts[i].raw, GUID_SIZE))
				return 1;
	}
	return 0;
}

/* Sums that come from the disk: true if e lies within the room for partitions. */
static bool within(const struct kv_extent *e, uint64_t device_bytes)
{
	return e->start_bytes >= MIB && e->start_bytes < device_bytes && e->bytes &&
	       e->bytes <= device_bytes - e->start_bytes;
}

static bool overlap(const struct kv_extent *a, const struct kv_extent *b)
{
	return a->start_bytes < b->start_bytes + b->bytes &&
	       b->start_bytes < a->start_bytes + a->bytes;
}

static bool layout_valid(const struct kv_layout *l)
{
	if (!within(&l->catalogue, l->device_bytes) ||
	    !within(&l->metadata, l->device_bytes) || !within(&l->data, l->device_bytes))
		return false;
	if (l->catalogue.start_bytes + l->catalogue.bytes > l->metadata.start_bytes ||
	    l->metadata.start_bytes + l->metadata.bytes > l->data.start_bytes)
		return false;
	return !(l->catalogue.start_bytes % MIB || l->catalogue.bytes % MIB ||
		 l->metadata.start_bytes % MIB || l->metadata.bytes % MIB ||
		 l->data.start_bytes % MIB || l->data.bytes % UNIT_BYTES);
}

/* libblkid counts in 512 bytes, whatever the sectors are. What no disk can hold
 * becomes empty, which no check lets pass. */
static void partition_extent(blkid_partition p, struct kv_extent *ret)
{
	blkid_loff_t start = blkid_partition_get_start(p);
	blkid_loff_t size = blkid_partition_get_size(p);

	memset(ret, 0, sizeof(*ret));
	if (start < 0 || start > INT64_MAX / KV_SECTOR || size < 0 ||
	    size > INT64_MAX / KV_SECTOR)
		return;
	ret->start_bytes = (uint64_t)start * KV_SECTOR;
	ret->bytes = (uint64_t)size * KV_SECTOR;
}

static int partition_index(blkid_partition p)
{
	const char *type = blkid_partition_get_type_string(p);

	for (int i = 0; type && i < N_PARTS; i++)
		if (!strcasecmp(type, parts[i].type))
			return i;
	return -1;
}

/* Partitions of others beside ours are none of our business, unless they share their
 * space. */
static bool strangers_valid(blkid_partlist list, const struct kv_layout *l)
{
	for (int n = 0; n < blkid_partlist_numof_partitions(list); n++) {
		blkid_partition p = blkid_partlist_get_partition(list, n);
		struct kv_extent e;

		if (partition_index(p) >= 0)
			continue;
		partition_extent(p, &e);
		if (!within(&e, l->device_bytes) || overlap(&e, &l->catalogue) ||
		    overlap(&e, &l->metadata) || overlap(&e, &l->data))
			return false;
	}
	return true;
}

static int take_partitions(blkid_partlist list, struct kv_layout *l)
{
	blkid_parttable table = blkid_partlist_get_table(list);
	const char *id = table ? blkid_parttable_get_id(table) : NULL;
	unsigned seen = 0;

	for (int n = 0; n < blkid_partlist_numof_partitions(list); n++) {
		blkid_partition p = blkid_partlist_get_partition(list, n);
		int i = partition_index(p);

		if (i < 0)
			continue;
		if (seen & 1u << i)
			return -EUCLEAN;
		seen |= 1u << i;
		partition_extent(p, extent(l, (size_t)i));
	}
	if (!seen)
		return -EMEDIUMTYPE;
	if (seen != (1u << N_PARTS) - 1 || !layout_valid(l) || !strangers_valid(list, l))
		return -EUCLEAN;
	if (!id || !kv_strcpy(l->uuid, sizeof(l->uuid), id) || !kv_uuid_valid(l->uuid))
		return -EUCLEAN;
	return 0;
}

static int probe(int fd, unsigned sector, struct kv_layout *l)
{
	blkid_probe pr = blkid_new_probe();
	blkid_partlist list;
	blkid_parttable table;
	const char *type;
	int r = -EMEDIUMTYPE;

	if (!pr)
		return -ENOMEM;
	errno = 0;
	if (blkid_probe_set_device(pr, fd, 0, 0) < 0 ||
	    blkid_probe_set_sectorsize(pr, sector) < 0 ||
	    blkid_probe_enable_superblocks(pr, 0) < 0 ||
	    blkid_probe_enable_partitions(pr, 1) < 0) {
		r = errno ? -errno : -EIO;
		goto out;
	}
	list = blkid_probe_get_partitions(pr);
	table = list ? blkid_partlist_get_table(list) : NULL;
	type = table ? blkid_parttable_get_type(table) : NULL;
	if (type && !strcmp(type, "gpt"))
		r = take_partitions(list, l);
out:
	blkid_free_probe(pr);
	return r;
}

static int read_label(int fd, unsigned sector, uint64_t device_bytes, struct kv_layout *l)
{
	struct header h;
	int have, r;

	have = read_header(fd, sector, 1, &h);
	if (have < 0)
		return have;
	if (!have) {
		/* The backup then: a disk that has grown since has it elsewhere, and
		 * none is found. */
		r = read_header(fd, sector, device_bytes / sector - 1, &h);
		if (r <= 0)
			return r < 0 ? r : -EMEDIUMTYPE;
	}
	/* Beyond reason, and libblkid would read it all. */
	if (h.n_entries > ENTRIES_MAX)
		return -EMEDIUMTYPE;

	l->device_bytes = device_bytes;
	/* Gone with the end of a truncated file is also the backup; libblkid refuses
	 * most primaries whose disk ends early. That it was ours is still there to be
	 * read. */
	if (have && h.alternate_lba > device_bytes / sector - 1) {
		r = mentions_us(fd, sector, device_bytes, &h);
		return r > 0 ? -EUCLEAN : r < 0 ? r : -EMEDIUMTYPE;
	}
	r = probe(fd, sector, l);
	if (r == -EMEDIUMTYPE) {
		int ours = mentions_us(fd, sector, device_bytes, &h);

		return ours > 0 ? -EUCLEAN : ours < 0 ? ours : r;
	}
	if (!r && have)
		l->device_bytes = (h.alternate_lba + 1) * sector;
	return r;
}

int kv_gpt_read(int fd, struct kv_layout *ret)
{
	unsigned sectors[] = { 0, 512, 4096 };
	uint64_t bytes;
	int r;

	r = kv_blockdev_size(fd, &bytes);
	if (r < 0)
		return r;
	r = sector_size(fd, &sectors[0]);
	if (r < 0)
		return r;
	if (bytes < 2 * SECTOR_MAX)
		return -EMEDIUMTYPE;
	r = read_protective_mbr(fd);
	if (r <= 0)
		return r < 0 ? r : -EMEDIUMTYPE;

	/* A pool may have been copied from a disk of other sectors, or into a file. */
	for (size_t i = 0; i < KV_ARRAY_SIZE(sectors); i++) {
		struct kv_layout l = { .device_bytes = bytes };

		if (i && sectors[i] == sectors[0])
			continue;
		r = read_label(fd, sectors[i], bytes, &l);
		if (!r)
			*ret = l;
		if (r != -EMEDIUMTYPE)
			return r;
	}
	return r;
}

/* --- Mending ---------------------------------------------------------------------- */

/* 1: the copy whose header is at lba is whole, entries and all. */
static int read_copy(int fd, unsigned sector, uint64_t device_bytes, uint64_t lba,
		     struct header *h)
{
	unsigned char entry[ENTRY_SIZE];
	uint32_t crc = ~0u;
	uint64_t at;
	int r;

	if (lba >= device_bytes / sector)
		return 0;
	r = read_header(fd, sector, lba, h);
	if (r <= 0)
		return r;
	if (h->n_entries > ENTRIES_MAX || h->entries_lba > device_bytes / sector)
		return 0;
	for (uint32_t n = 0; n < h->n_entries; n++) {
		at = h->entries_lba * sector + n * ENTRY_SIZE;
		if (at + ENTRY_SIZE > device_bytes)
			return 0;
		r = kv_pread_full(fd, entry, sizeof(entry), at);
		if (r < 0)
			return r;
		crc = crc32_more(crc, entry, sizeof(entry));
	}
	return ~crc == h->entries_crc;
}

int kv_gpt_check(int fd)
{
	unsigned sectors[] = { 0, 512, 4096 };
	struct header first, second;
	uint64_t bytes, last;
	int primary, backup, r;

	r = kv_blockdev_size(fd, &bytes);
	if (r == 0)
		r = sector_size(fd, &sectors[0]);
	for (size_t i = 0; r == 0 && i < KV_ARRAY_SIZE(sectors); i++) {
		primary = read_copy(fd, sectors[i], bytes, 1, &first);
		if (primary < 0)
			return primary;
		/* On a disk that has grown it is where the primary says. */
		last = primary ? first.alternate_lba : bytes / sectors[i] - 1;
		backup = read_copy(fd, sectors[i], bytes, last, &second);
		if (backup < 0)
			return backup;
		if (primary || backup)
			return !primary || !backup;
	}
	return r < 0 ? r : -EUCLEAN;
}

int kv_gpt_mend(int fd, const char *path)
{
	struct fdisk_context *cxt = fdisk_new_context();
	int r, r2;

	if (!cxt)
		return -ENOMEM;
	r = fdisk_result(fdisk_disable_dialogs(cxt, 1));
	/* Reading it takes the copy that is whole, whichever that is. */
	if (!r)
		r = fdisk_result(fdisk_assign_device_by_fd(cxt, fd, path, 0));
	if (!r) {
		r = fdisk_is_labeltype(cxt, FDISK_DISKLABEL_GPT)
			    ? fdisk_result(fdisk_write_disklabel(cxt))
			    : -EOPNOTSUPP; /* of other sectors than the disk's */
		r2 = fdisk_result(fdisk_deassign_device(cxt, 1));
		if (!r)
			r = r2;
	}
	fdisk_unref_context(cxt);
	if (!r)
		r = kv_blockdev_flush(fd);
	if (!r)
		r = kv_gpt_check(fd);
	return r > 0 ? -EIO : r;
}
