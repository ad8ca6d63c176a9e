// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * dm-thin's metadata. A device that is found is one that a leaf on the disk has, key and
 * value; the walk reads a few blocks, all of them within the metadata; a read that fails
 * is passed on. So it is when a metadata snapshot, the block HELD, is asked what a device
 * alone has: no more blocks than there are.
 *
 * Input: flags, the id looked for (3 bytes), the block whose reading fails (1 byte, from
 * flag FAILS), and then blocks: number (1 byte), length of what is in it (2 bytes),
 * contents. All other blocks are zeros. With flag FIX each gets its number and a right
 * checksum.
 */
#include "fuzz.h"
#include "thinmeta.h"
#include "thinusage.h"

#define FIX	  0x01u
#define FAILS	  0x02u
#define CHANGES	  0x04u /* the superblock is another one from the second time on */
#define BLOCKS	  32u
#define READS_MAX 256u
#define HELD	  15u /* the superblock of a metadata snapshot */
/* A node is read as the device's own, and as another's; each device's is looked for. */
#define USAGE_READS_MAX (BLOCKS * 127u * 8u + 2u * BLOCKS + 64u)
#define DATA_BLOCKS	4096u

struct disk {
	uint8_t flags, failing;
	uint8_t (*blocks)[KV_THINMETA_BLOCK];
	uint64_t limit; /* blocks beyond must not be asked for */
	unsigned reads, reads_max, supers;
	bool failed;
};

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

static void fix(uint8_t *b, uint8_t number)
{
	uint32_t crc;

	memset(b + 8, 0, 8);
	b[8] = number;
	crc = crc32c(b + 4, KV_THINMETA_BLOCK - 4) ^ (number && number != HELD ? 121107u : 160774u);
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(crc >> 8 * i);
}

static int read_block(void *arg, uint64_t block, void *buf)
{
	struct disk *d = arg;

	CHECK(++d->reads <= d->reads_max);
	CHECK(!block || block < d->limit);
	if ((d->flags & FAILS) && block == d->failing) {
		d->failed = true;
		return -EIO;
	}
	if (block < BLOCKS)
		memcpy(buf, d->blocks[block], KV_THINMETA_BLOCK);
	else
		memset(buf, 0, KV_THINMETA_BLOCK);
	if (!block && d->supers++ && (d->flags & CHANGES)) {
		((uint8_t *)buf)[48] = (uint8_t)d->supers; /* of the transaction id */
		fix(buf, 0);
	}
	return 0;
}

static bool leaf_has(const struct disk *d, uint32_t id,
		     const struct kv_thinmeta_device *want)
{
	for (unsigned b = 1; b < BLOCKS; b++) {
		const uint8_t *p = d->blocks[b], *v;
		uint32_t n = get_le32(p + 16), max = get_le32(p + 20);

		if (get_le32(p + 4) != 2 || max > 127 || n > max)
			continue;
		for (uint32_t i = 0; i < n; i++) {
			v = p + 32 + max * 8 + i * 24;
			if (get_le64(p + 32 + i * 8) == id &&
			    get_le64(v) == want->mapped_blocks &&
			    get_le64(v + 8) == want->transaction_id &&
			    get_le32(v + 16) == want->creation_time &&
			    get_le32(v + 20) == want->snapshotted_time)
				return true;
		}
	}
	return false;
}

/* The way to it, once more: no node has a key before the one that leads to it, or after
 * the next. */
static void check_way(const struct disk *d, uint64_t block, uint32_t id)
{
	uint64_t first = 0, end = UINT64_C(1) << 24;

	for (;;) {
		CHECK(block < BLOCKS);
		const uint8_t *p = d->blocks[block];
		uint32_t n = get_le32(p + 16), max = get_le32(p + 20), at = 0;

		CHECK(n <= max);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t key = get_le64(p + 32 + i * 8);

			CHECK(key >= first && key < end);
			CHECK(!i || key > get_le64(p + 32 + (i - 1) * 8));
			at = key <= id ? i : at;
		}
		if (get_le32(p + 4) == 2)
			return;
		first = get_le64(p + 32 + at * 8);
		if (at + 1 < n)
			end = get_le64(p + 32 + (at + 1) * 8);
		block = get_le64(p + 32 + max * 8 + at * 8);
	}
}

static void make_disk(struct disk *d, struct input *in)
{
	d->blocks = calloc(BLOCKS, KV_THINMETA_BLOCK);
	CHECK(d->blocks);
	while (in->left) {
		uint8_t number = (uint8_t)(take_le(in, 1) % BLOCKS);
		size_t n = take_le(in, 2) % (KV_THINMETA_BLOCK + 1);

		take(in, d->blocks[number], n);
		if (d->flags & FIX)
			fix(d->blocks[number], number);
	}
}

static void check_usage(struct disk *d, uint32_t id)
{
	struct kv_thinusage usage, untouched;
	int r;

	d->reads = d->supers = 0;
	d->reads_max = USAGE_READS_MAX;
	memset(&untouched, 0xa5, sizeof(untouched));
	usage = untouched;
	r = kv_thinusage(read_block, d, HELD, DATA_BLOCKS, id, &usage);
	CHECK(r == 0 || r == -EUCLEAN || r == -ENODATA || (r == -EIO && d->failed));
	if (r < 0)
		CHECK(!memcmp(&usage, &untouched, sizeof(usage)));
	else
		CHECK(usage.shared <= DATA_BLOCKS &&
		      usage.exclusive + usage.shared <= BLOCKS * 252u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct input in = { data, n };
	struct disk d = { .flags = (uint8_t)take_le(&in, 1),
			  .limit = 1,
			  .reads_max = READS_MAX };
	struct kv_thinmeta_device device, untouched;
	struct kv_thinmeta_super super;
	uint32_t id = (uint32_t)take_le(&in, 3);
	int r;

	d.failing = (uint8_t)take_le(&in, 1);
	make_disk(&d, &in);
	r = kv_thinmeta_super(read_block, &d, &super);
	CHECK(r == 0 || r == -EUCLEAN || (r == -EIO && d.failed));
	if (r == 0) {
		CHECK(super.metadata_blocks > 0 && super.metadata_blocks <= 255 * 16320);
		CHECK(super.device_details_root && super.data_mapping_root);
		CHECK(super.device_details_root < super.metadata_blocks);
		CHECK(super.data_block_sectors && super.data_block_sectors % 128 == 0);
		d.limit = super.metadata_blocks;
	}
	d.reads = d.supers = 0;
	memset(&untouched, 0xa5, sizeof(untouched));
	device = untouched;
	r = kv_thinmeta_device(read_block, &d, id, &device);
	CHECK(r == 0 || r == -EUCLEAN || r == -ENODATA || (r == -EIO && d.failed) ||
	      (r == -EAGAIN && (d.flags & CHANGES)));
	if (r == 0) {
		CHECK(leaf_has(&d, id, &device));
		check_way(&d, super.device_details_root, id);
	} else {
		CHECK(!memcmp(&device, &untouched, sizeof(device)));
	}
	check_usage(&d, id);
	free(d.blocks);
	return 0;
}
