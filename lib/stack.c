// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A pool's own devices: three dm-linear maps of the partitions and the thin-pool on two
 * of them.
 *
 * The kernel refuses a second device with the same uuid, so a pool cannot be active twice
 * on a host, and claims the member exclusively, so a disk that is mounted or used
 * otherwise is never touched. Callers that map or remove hold the pool's lock
 * exclusively.
 *
 * A crash while mapping leaves some of the devices, the last perhaps without a table:
 * mapping again keeps what is right and replaces what has no table. Nothing here reads or
 * writes the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "blockdev.h"
#include "stack.h"
#include "thin.h"

static int map_linear(const struct kv_dm *dm, const char *pool_uuid, const char *part,
		      const struct kv_extent *extent, dev_t member, dev_t *ret)
{
	struct kv_dm_target t = { .length_sectors = extent->bytes / KV_SECTOR,
				  .type = "linear" };
	char params[KV_THIN_LINE], line[KV_THIN_LINE];
	uint64_t offset = 0;
	struct kv_dm_info info;
	struct kv_dm_id id;
	dev_t dev = 0;
	int r;

	kv_dm_id_part(&id, pool_uuid, part);
	r = kv_thin_linear_params(params, member, extent->start_bytes / KV_SECTOR);
	if (r < 0)
		return r;
	t.params = params;
	r = kv_dm_create(dm, &id, &t, 0, ret);
	if (r != -EEXIST)
		return r;

	r = kv_dm_info(dm, id.uuid, &info);
	if (r < 0)
		return r == -ENXIO ? -EEXIST
				   : r; /* the name is there with another uuid */
	if (!info.live_table) {
		r = kv_dm_remove(dm, id.uuid, 0);
		return r < 0 ? r : kv_dm_create(dm, &id, &t, 0, ret);
	}
	r = kv_dm_status(dm, id.uuid, KV_DM_TABLE, line, sizeof(line), NULL);
	if (r == 0)
		r = kv_thin_linear_parse(line, &dev, &offset);
	if (r < 0)
		return r;
	if (dev != member || offset != extent->start_bytes / KV_SECTOR)
		return -EEXIST;
	if (info.suspended) {
		r = kv_dm_resume(dm, id.uuid);
		if (r < 0)
			return r;
	}
	*ret = info.dev;
	return 0;
}

int kv_stack_map_catalogue(const struct kv_dm *dm, const struct kv_layout *layout,
			   dev_t member, struct kv_stack *stack)
{
	stack->member = member;
	return map_linear(dm, layout->uuid, "catalogue", &layout->catalogue, member,
			  &stack->catalogue);
}

static int map_thin_pool(const struct kv_dm *dm, const struct kv_layout *layout,
			 uint64_t block_bytes, struct kv_stack *stack)
{
	struct kv_dm_target t = { .type = "thin-pool" };
	char params[KV_THIN_LINE];
	struct kv_dm_info info;
	struct kv_dm_id id;
	int r;

	kv_dm_id_part(&id, layout->uuid, "pool");
	t.length_sectors = layout->data.bytes / block_bytes * (block_bytes / KV_SECTOR);
	r = kv_thin_pool_params(params, stack->metadata, stack->data,
				(uint32_t)(block_bytes / KV_SECTOR), 0);
	if (r < 0)
		return r;
	t.params = params;
	r = kv_dm_create(dm, &id, &t, 0, &stack->pool);
	if (r != -EEXIST)
		return r;
	r = kv_dm_info(dm, id.uuid, &info);
	if (r < 0)
		return r == -ENXIO ? -EEXIST : r;
	if (!info.live_table) {
		r = kv_dm_remove(dm, id.uuid, 0);
		return r < 0 ? r : kv_dm_create(dm, &id, &t, 0, &stack->pool);
	}
	if (info.suspended) {
		r = kv_dm_resume(dm, id.uuid);
		if (r < 0)
			return r;
	}
	stack->pool = info.dev;
	return 0;
}

/* The kernel takes metadata that begins with zeros for new and formats it: right for a
 * new pool, and the end of one whose first block was lost. */
static int check_not_blank(dev_t metadata)
{
	_Alignas(KV_THIN_METADATA_BLOCK) char block[KV_THIN_METADATA_BLOCK];
	_cleanup_close_ int fd = kv_blockdev_open(metadata, O_RDONLY | O_DIRECT);
	int r;

	r = fd < 0 ? fd : kv_pread_full(fd, block, sizeof(block), 0);
	for (size_t i = 0; r == 0 && i < sizeof(block); i++)
		if (block[i])
			return 0;
	return r < 0 ? r : -EUCLEAN;
}

int kv_stack_map_metadata(const struct kv_dm *dm, const struct kv_layout *layout,
			  dev_t member, struct kv_stack *stack)
{
	return map_linear(dm, layout->uuid, "metadata", &layout->metadata, member,
			  &stack->metadata);
}

int kv_stack_map_pool(const struct kv_dm *dm, const struct kv_layout *layout,
		      dev_t member, uint64_t block_bytes, bool blank,
		      struct kv_stack *stack)
{
	int r;

	r = kv_dm_target_exists(dm, "thin-pool");
	if (r < 0)
		return r;
	r = kv_stack_map_metadata(dm, layout, member, stack);
	if (r == 0 && !blank)
		r = check_not_blank(stack->metadata);
	if (r < 0)
		return r;
	r = map_linear(dm, layout->uuid, "data", &layout->data, member, &stack->data);
	if (r < 0)
		return r;
	return map_thin_pool(dm, layout, block_bytes, stack);
}

static int find_part(const struct kv_dm *dm, const char *pool_uuid, const char *part,
		     dev_t *ret)
{
	struct kv_dm_info info;
	struct kv_dm_id id;
	int r;

	kv_dm_id_part(&id, pool_uuid, part);
	r = kv_dm_info(dm, id.uuid, &info);
	if (r < 0)
		return r;
	if (!info.live_table || info.suspended)
		return -ENXIO;
	*ret = info.dev;
	return 0;
}

int kv_stack_find(const struct kv_dm *dm, const char *pool_uuid, struct kv_stack *ret)
{
	struct kv_stack stack = { 0 };
	char line[KV_THIN_LINE];
	struct kv_dm_id id;
	uint64_t offset;
	int r;

	r = find_part(dm, pool_uuid, "catalogue", &stack.catalogue);
	if (r == 0)
		r = find_part(dm, pool_uuid, "metadata", &stack.metadata);
	if (r == 0)
		r = find_part(dm, pool_uuid, "data", &stack.data);
	if (r == 0)
		r = find_part(dm, pool_uuid, "pool", &stack.pool);
	if (r < 0)
		return r;
	kv_dm_id_part(&id, pool_uuid, "catalogue");
	r = kv_dm_status(dm, id.uuid, KV_DM_TABLE, line, sizeof(line), NULL);
	if (r == 0)
		r = kv_thin_linear_parse(line, &stack.member, &offset);
	if (r == 0)
		*ret = stack;
	return r;
}

int kv_stack_remove(const struct kv_dm *dm, const char *pool_uuid)
{
	static const char *const parts[] = { "pool", "data", "metadata", "catalogue" };
	struct kv_dm_id id;
	int r;

	for (unsigned i = 0; i < KV_ARRAY_SIZE(parts); i++) {
		kv_dm_id_part(&id, pool_uuid, parts[i]);
		r = kv_dm_remove(dm, id.uuid, 0);
		if (r < 0 && r != -ENXIO)
			return r;
	}
	return 0;
}
