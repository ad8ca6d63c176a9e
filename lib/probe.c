/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a device carries, by libblkid's superblock and partition table probers.
 *
 * libblkid says "nothing" of what it could not read, too, so the first and the last MiB,
 * where nearly all signatures are, are read here first: an unreadable device is an error
 * and never blank. A signature with a bad checksum counts: it was somebody's. So does a
 * device with several signatures that contradict each other.
 *
 * A GPT without its protective MBR does not count, as for every mkfs: it is what remains
 * of a disk that somebody cleared, or of a kvol_pool_format that was cut short. Wiping
 * removes it all the same.
 *
 * Wiping also blanks the first and the last MiB, which a pool leaves to its GPT: libblkid
 * looks for a GPT of the device's own sector size alone, and one of another size, or what
 * libblkid does not know, would come to light when the disk is copied.
 *
 * Nothing here decides whether to overwrite; kv_probe_wipe only ever runs for
 * kvol_pool_format. A crash in it leaves some of the signatures. Both functions move the
 * fd's file offset: one fd, one thread.
 */

#include <blkid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blockdev.h"
#include "probe.h"

#define MIB	   (UINT64_C(1) << 20)
#define END_BYTES  MIB
#define READ_CHUNK (UINT64_C(64) << 10)

/* A device carries a handful at the worst: backups, and what older owners left. */
#define WIPE_MAX 256

#define SIGNATURE_AMBIVALENT "ambivalent"
#define SIGNATURE_UNNAMED    "unknown"

static int check_readable(int fd, uint64_t from, uint64_t to)
{
	_cleanup_free_ char *buf = malloc(READ_CHUNK);
	int r;

	if (!buf)
		return -ENOMEM;
	for (uint64_t n; from < to; from += n) {
		n = to - from < READ_CHUNK ? to - from : READ_CHUNK;
		r = kv_pread_full(fd, buf, n, from);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_ends(int fd)
{
	uint64_t bytes;
	int r;

	r = kv_blockdev_size(fd, &bytes);
	if (r < 0)
		return r;
	r = check_readable(fd, 0, bytes < END_BYTES ? bytes : END_BYTES);
	if (r < 0)
		return r;
	return check_readable(fd, bytes < END_BYTES ? 0 : bytes - END_BYTES, bytes);
}

/* libblkid reports by -1 and, mostly, errno. */
static int probe_error(void)
{
	return errno ? -errno : -EIO;
}

static int probe_new(int fd, int superblock_flags, int partition_flags, blkid_probe *ret)
{
	blkid_probe pr = blkid_new_probe();
	int r;

	if (!pr)
		return -ENOMEM;
	errno = 0;
	if (blkid_probe_set_device(pr, fd, 0, 0) < 0 ||
	    blkid_probe_enable_superblocks(pr, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(pr, superblock_flags) < 0 ||
	    blkid_probe_enable_partitions(pr, 1) < 0 ||
	    blkid_probe_set_partitions_flags(pr, partition_flags) < 0) {
		r = probe_error();
		blkid_free_probe(pr);
		return r;
	}
	*ret = pr;
	return 0;
}

int kv_probe_signature(int fd, char *ret, size_t size)
{
	const char *name = NULL;
	blkid_probe pr;
	int found, r;

	r = check_ends(fd);
	if (r < 0)
		return r;
	r = probe_new(fd, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_BADCSUM, 0, &pr);
	if (r < 0)
		return r;

	errno = 0;
	found = blkid_do_safeprobe(pr);
	switch (found) {
	case 0:
		if (blkid_probe_lookup_value(pr, "TYPE", &name, NULL) < 0 &&
		    blkid_probe_lookup_value(pr, "PTTYPE", &name, NULL) < 0)
			name = SIGNATURE_UNNAMED;
		break;
	case 1:
		break;
	case -2:
		name = SIGNATURE_AMBIVALENT;
		break;
	default:
		r = probe_error();
		break;
	}
	if (name) {
		(void)kv_strcpy(ret, size, name);
		r = 1;
	}
	blkid_free_probe(pr);
	return r;
}

static int blank_ends(int fd)
{
	uint64_t bytes;
	int r;

	r = kv_blockdev_size(fd, &bytes);
	if (r < 0)
		return r;
	if (bytes <= 2 * END_BYTES)
		return kv_blockdev_zero(fd, 0, bytes);
	r = kv_blockdev_zero(fd, 0, END_BYTES);
	if (r < 0)
		return r;
	return kv_blockdev_zero(fd, bytes - END_BYTES, END_BYTES);
}

int kv_probe_wipe(int fd)
{
	blkid_probe pr;
	int left = WIPE_MAX;
	int r;

	r = probe_new(fd, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM,
		      BLKID_PARTS_MAGIC, &pr);
	if (r < 0)
		return r;

	/* Each wipe steps the prober back, so that it finds the next copy of the same
	 * thing. */
	errno = 0;
	while ((r = blkid_do_probe(pr)) == 0) {
		if (!left--) {
			r = -ELOOP;
			break;
		}
		errno = 0;
		if (blkid_do_wipe(pr, 0) < 0) {
			r = -1;
			break;
		}
		errno = 0;
	}
	if (r == -1)
		r = probe_error();
	blkid_free_probe(pr);
	return r < 0 ? r : blank_ends(fd);
}
