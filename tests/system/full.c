// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A pool whose metadata is full: see full.h.
 *
 * Writers would take long. Most of it is filled by thin_restore, with a volume of many
 * mappings to few blocks, and the rest by a writer that breaks the sharing of a clone's
 * mapping tree, leaf by leaf.
 */
#include <fcntl.h>
#include <unistd.h>

#include "full.h"
#include "scene.h"

#define LEAF_STEP (126 * BLOCK_BYTES) /* about what one leaf of a mapping tree maps */

unsigned write_blocks(const char *path, uint64_t from, uint64_t step,
			     uint64_t size, unsigned n)
{
	char *buf = aligned_alloc(4096, size);
	int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	unsigned i;

	assert_true(buf && fd >= 0);
	memset(buf, 'x', size);
	for (i = 0; i < n; i++)
		if (pwrite(fd, buf, size, (off_t)(from + i * step)) != (ssize_t)size)
			break;
	(void)close(fd);
	free(buf);
	return i;
}

uint64_t free_metadata(void)
{
	struct kvol_pool_info p = pool_info();

	return (p.metadata_bytes - p.metadata_used) / 4096;
}

#define SHARED_BLOCKS 600 /* of data, behind what the scene takes */

/* Gives the newest volume, which is empty, mappings of the same data blocks over and
 * over: without a byte of data written. */
static void restore_mappings(unsigned runs)
{
	char commands[1200];

	(void)snprintf(
		commands, sizeof(commands),
		"thin_dump $metadata > dump; "
		"awk -v runs=%u -v n=%u '"
		"{ line[NR] = $0 } /<device / { last = NR } "
		"/nr_data_blocks=/ { match($0, /nr_data_blocks=\"[0-9]+/); "
		"  from = substr($0, RSTART + 16, RLENGTH - 16) - n } "
		"END { for (i = 1; i <= NR; i++) { "
		"  if (i == last) sub(/mapped_blocks=\"0\"/, \"mapped_blocks=\\\"\" runs * n \"\\\"\", line[i]); "
		"  print line[i]; "
		"  for (r = 0; i == last && r < runs; r++) "
		"    printf \"<range_mapping origin_begin=\\\"%%d\\\" data_begin=\\\"%%d\\\" length=\\\"%%d\\\" time=\\\"0\\\"/>\\n\", r * n, from, n "
		"} }' dump > new; "
		"thin_restore -i new -o $metadata",
		runs, SHARED_BLOCKS);
	with_metadata(commands);
}

void fill_metadata(uint64_t wanted)
{
	uint64_t empty = free_metadata(), left;
	unsigned runs = 40;

	for (int i = 0; i < 6; i++) {
		assert_ok(kvol_delete(pool, "many", 0, &err));
		assert_ok(kvol_create(pool, "many", GIB(64), NULL, &err));
		scene_close_down();
		restore_mappings(runs);
		scene_open_up();
		left = free_metadata();
		printf("# %u mappings leave %" PRIu64 " metadata blocks\n",
		       runs * SHARED_BLOCKS, left);
		if (left >= wanted && left < wanted + 60)
			return;
		assert_true(left < empty);
		runs = (unsigned)((empty - wanted - 20) * runs / (empty - left));
	}
	print_error("metadata could not be filled\n");
	fail();
}

void break_sharing(const char *path, uint64_t *at, uint64_t left)
{
	for (; free_metadata() > left; *at += LEAF_STEP)
		assert_int_equal(write_blocks(path, *at, 0, 4096, 1), 1);
}

void fill_the_rest(const char *path, uint64_t *at)
{
	for (; write_blocks(path, *at, 0, 4096, 1) == 1; *at += LEAF_STEP)
		assert_true(*at < GIB(16));
}
