/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A pool's own devices, on the model: mapped once, found again, replaced where somebody
 * died on the way, and never those of a disk that only looks like ours.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "blockdev.h"
#include "fixture.h"
#include "loop.h"
#include "stack.h"

#define UUID	    "0a0a0a0a-0000-4000-8000-00000000000a"
#define BLOCK_BYTES 65536

struct machine {
	struct fixture *f;
	struct kv_dm dm;
	struct kv_layout layout;
	int loop_fd;
	dev_t member;
};

static int attach(const char *path, dev_t *ret_dev)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), loop_fd;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, POOL_BYTES), 0);
	loop_fd = kv_loop_attach(fd, path, ret_dev);
	assert_true(loop_fd >= 0);
	(void)close(fd);
	return loop_fd;
}

static int setup(void **state)
{
	struct kv_geometry geo = { .block_bytes = BLOCK_BYTES };
	struct machine *m = calloc(1, sizeof(*m));
	void *fixture;

	assert_non_null(m);
	(void)setup_machine(&fixture);
	m->f = fixture;
	assert_int_equal(kv_dm_open(&m->dm), 0);
	assert_int_equal(kv_layout_plan(POOL_BYTES, &geo, &m->layout, NULL), 0);
	memcpy(m->layout.uuid, UUID, sizeof(UUID));
	m->loop_fd = attach(m->f->path, &m->member);
	*state = m;
	return 0;
}

static int end(void **state)
{
	struct machine *m = *state;
	void *fixture = m->f;

	(void)kv_close(m->loop_fd);
	kv_dm_close(&m->dm);
	free(m);
	return teardown(&fixture);
}

static int map(struct machine *m, struct kv_stack *stack)
{
	int r;

	memset(stack, 0, sizeof(*stack));
	r = kv_stack_map_catalogue(&m->dm, &m->layout, m->member, stack);
	return r < 0 ? r
		     : kv_stack_map_pool(&m->dm, &m->layout, m->member, BLOCK_BYTES, true,
					 stack);
}

static struct model_dev *part(const char *name)
{
	struct kv_dm_id id;

	kv_dm_id_part(&id, UUID, name);
	return model_dev(id.uuid);
}

static void mapped_stack_is_found_and_removed(void **state)
{
	struct machine *m = *state;
	struct kv_stack a, b = { .member = 7 };

	assert_int_equal(kv_stack_find(&m->dm, UUID, &b), -ENXIO);
	assert_int_equal(b.member, 7);
	assert_int_equal(map(m, &a), 0);
	assert_int_equal(kv_stack_find(&m->dm, UUID, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(model_dev_bytes(a.data), m->layout.data.bytes);
	assert_int_equal(model_dev_bytes(a.pool), m->layout.data.bytes);
	assert_int_equal(part("metadata")->table.offset,
			 m->layout.metadata.start_bytes / 512);
	m->loop_fd = kv_close(m->loop_fd);
	assert_int_equal(model_n_loops(), 1); /* the maps keep it */
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
	assert_int_equal(model_n_devs() + model_n_loops(), 0);
}

static void mapping_again_keeps_what_is_right(void **state)
{
	static const char *const parts[] = { "catalogue", "metadata", "data", "pool" };
	struct machine *m = *state;
	struct kv_stack a, b;

	assert_int_equal(map(m, &a), 0);
	assert_int_equal(map(m, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	for (size_t i = 0; i < KV_ARRAY_SIZE(parts); i++) {
		part(parts[i])->suspended = true;
		assert_int_equal(kv_stack_find(&m->dm, UUID, &b), -ENXIO);
		assert_int_equal(map(m, &b), 0);
		assert_memory_equal(&a, &b, sizeof(a));
	}
	/* The pool's is first: it holds the others. */
	part("pool")->table.live = false;
	assert_int_equal(kv_stack_find(&m->dm, UUID, &b), -ENXIO);
	assert_int_equal(map(m, &b), 0);
	assert_true(part("pool")->table.live);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
}

static void stack_on_another_disk_is_not_touched(void **state)
{
	struct machine *m = *state;
	char path[2 * MODEL_PATH];
	struct kv_stack a, b;
	dev_t other;
	int fd;

	assert_int_equal(map(m, &a), 0);
	(void)snprintf(path, sizeof(path), "%s/other.img", model->dir);
	fd = attach(path, &other);
	assert_int_equal(kv_stack_map_catalogue(&m->dm, &m->layout, other, &b), -EEXIST);
	m->layout.catalogue.start_bytes += 1 << 20;
	assert_int_equal(kv_stack_map_catalogue(&m->dm, &m->layout, m->member, &b),
			 -EEXIST);
	assert_int_equal(kv_stack_find(&m->dm, UUID, &b), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	(void)kv_close(fd);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
}

static void device_of_our_name_and_anothers_uuid_is_not_ours(void **state)
{
	struct machine *m = *state;
	struct kv_dm_target t = { .length_sectors = 8, .type = "linear" };
	char params[KV_THIN_LINE];
	struct kv_stack stack;
	struct kv_dm_id id;

	kv_dm_id_part(&id, UUID, "catalogue");
	(void)kv_strcpy(id.uuid, sizeof(id.uuid), "LVM-something");
	assert_int_equal(kv_thin_linear_params(params, m->member, 0), 0);
	t.params = params;
	assert_int_equal(kv_dm_create(&m->dm, &id, &t, 0, NULL), 0);
	assert_int_equal(map(m, &stack), -EEXIST);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
	assert_int_equal(model_n_devs(), 1);
	assert_int_equal(kv_dm_remove(&m->dm, id.uuid, 0), 0);
}

static void open_part_keeps_the_stack(void **state)
{
	struct machine *m = *state;
	struct kv_stack stack;
	int fd;

	assert_int_equal(map(m, &stack), 0);
	fd = kv_blockdev_open(stack.pool, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), -EBUSY);
	assert_int_equal(kv_stack_find(&m->dm, UUID, &stack), 0);
	(void)close(fd);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
}

static void kernel_without_thin_pools_is_told(void **state)
{
	struct machine *m = *state;
	struct kv_stack stack;

	model->no_thin_target = true;
	assert_int_equal(map(m, &stack), -EOPNOTSUPP);
	assert_int_equal(kv_stack_remove(&m->dm, UUID), 0);
	assert_int_equal(model_n_devs(), 0);
}

#define on_machine(test) cmocka_unit_test_setup_teardown(test, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_machine(mapped_stack_is_found_and_removed),
		on_machine(mapping_again_keeps_what_is_right),
		on_machine(stack_on_another_disk_is_not_touched),
		on_machine(device_of_our_name_and_anothers_uuid_is_not_ours),
		on_machine(open_part_keeps_the_stack),
		on_machine(kernel_without_thin_pools_is_told),
	};

	return cmocka_run_group_tests_name("stack", tests, NULL, NULL);
}
