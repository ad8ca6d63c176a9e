// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * kvol_list, its iterator, kvol_stat and kvol_pool_stat.
 */
#include <unistd.h>

#include "system.h"

static void an_empty_pool(void **state)
{
	struct kvol_pool_info p = pool_info();

	(void)state;
	assert_int_equal(count(0), 0);
	assert_int_equal(p.size, sizeof(p));
	assert_int_equal(p.flags, 0);
	assert_int_equal(p.n_volumes, 0);
	assert_int_equal(p.n_snapshots, 0);
	assert_int_equal(p.data_used, 0);
	assert_true(p.data_bytes > GIB(7) && p.data_bytes < GIB(8));
	assert_true(p.metadata_used > 0 && p.metadata_used < p.metadata_bytes);
	assert_int_equal(p.block_bytes, 65536);
	assert_string_equal(p.name, pool_name);
	assert_string_equal(p.device, pool_path);
	assert_int_equal(strlen(p.uuid), 36);
	assert_true(p.max_volumes >= 1024);
	assert_true(p.snapshots_left > 0);
}

static void in_the_order_of_bytes(void **state)
{
	static const char *const all[] = { "A", "B", "a", "a b", "aa", "b", "\xc3\xa4" };
	static const char *const snapshots[] = { "B", "a b" };
	static const char *const volumes[] = { "A", "a", "aa", "b", "\xc3\xa4" };
	static const size_t order[] = { 4, 0, 6, 2, 5 };
	struct kvol_pool_info p;

	(void)state;
	for (size_t i = 0; i < N_OF(order); i++)
		assert_ok(kvol_create(pool, all[order[i]], MIB(1) * (i + 1), NULL, &err));
	assert_ok(kvol_snapshot(pool, "a", "a b", NULL, &err));
	assert_ok(kvol_snapshot(pool, "a", "B", NULL, &err));
	assert_listing(all, N_OF(all), 0);
	assert_listing(all, N_OF(all), KVOL_LIST_VOLUMES | KVOL_LIST_SNAPSHOTS);
	assert_listing(volumes, N_OF(volumes), KVOL_LIST_VOLUMES);
	assert_listing(snapshots, N_OF(snapshots), KVOL_LIST_SNAPSHOTS);
	p = pool_info();
	assert_int_equal(p.n_volumes, N_OF(volumes));
	assert_int_equal(p.n_snapshots, N_OF(snapshots));
}

static void items_are_what_stat_tells(void **state)
{
	struct kvol_info item, one;
	struct kvol_iter *iter;
	unsigned n = 0;

	(void)state;
	assert_ok(kvol_list(pool, 0, &iter, &err));
	for (;;) {
		memset(&item, 0x5a, sizeof(item));
		item.size = sizeof(item);
		if (kvol_iter_next(iter, &item) != 1)
			break;
		one = info_of(item.name);
		assert_memory_equal(&item, &one, sizeof(item));
		n++;
	}
	/* The end stays the end, and leaves its argument alone. */
	assert_int_equal(item.kind, 0x5a5a5a5a);
	assert_int_equal(kvol_iter_next(iter, &item), 0);
	kvol_iter_free(iter);
	assert_int_equal(n, 7);
}

/* Later changes are not seen by an iterator, and do not wait for it. */
static void a_listing_stands_still(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *first, *second;
	unsigned n = 0;

	(void)state;
	assert_ok(kvol_list(pool, 0, &first, &err));
	assert_int_equal(kvol_iter_next(first, &info), 1);
	assert_ok(kvol_create(pool, "zz", MIB(1), NULL, &err));
	assert_ok(kvol_delete(pool, "b", 0, &err));
	assert_ok(kvol_list(pool, 0, &second, &err));
	assert_int_equal(kvol_iter_next(second, &info), 1);
	while (kvol_iter_next(first, &info) == 1) {
		assert_string_not_equal(info.name, "zz");
		n += !strcmp(info.name, "b");
	}
	assert_int_equal(n, 1);
	kvol_iter_free(first);
	n = 0;
	while (kvol_iter_next(second, &info) == 1) {
		assert_string_not_equal(info.name, "b");
		n += !strcmp(info.name, "zz");
	}
	assert_int_equal(n, 1);
	kvol_iter_free(second);
	assert_ok(kvol_create(pool, "b", MIB(1), NULL, &err));
	assert_ok(kvol_delete(pool, "zz", 0, &err));
}

static void iterators_that_are_left_early(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	struct world w;

	(void)state;
	world_now(&w);
	for (int i = 0; i < 20; i++) {
		assert_ok(kvol_list(pool, 0, &iter, &err));
		if (i % 2)
			assert_int_equal(kvol_iter_next(iter, &info), 1);
		kvol_iter_free(iter);
	}
	assert_world(&w, "kvol_list", __FILE__, __LINE__);
	kvol_iter_free(NULL);
}

static void bad_arguments(void **state)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter = (void *)0x10;
	struct kvol_pool_info p = { .size = sizeof(p) };

	(void)state;
	assert_invalid(kvol_list(NULL, 0, &iter, &err));
	assert_invalid(kvol_list(pool, 0, NULL, &err));
	assert_invalid(kvol_list(pool, 8, &iter, &err));
	assert_invalid(kvol_list(pool, UNKNOWN_FLAG, &iter, &err));
	assert_ptr_equal(iter, (void *)0x10);
	assert_int_equal(kvol_iter_next(NULL, &info), -EINVAL);
	assert_ok(kvol_list(pool, 0, &iter, &err));
	assert_int_equal(kvol_iter_next(iter, NULL), -EINVAL);
	info.size = 0;
	assert_int_equal(kvol_iter_next(iter, &info), -EINVAL);
	/* A refused call takes no item. */
	info.size = sizeof(info);
	assert_int_equal(kvol_iter_next(iter, &info), 1);
	assert_string_equal(info.name, "A");
	kvol_iter_free(iter);

	assert_invalid(kvol_stat(NULL, "a", &info, &err));
	assert_invalid(kvol_stat(pool, "a", NULL, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++)
		assert_invalid(kvol_stat(pool, bad_names[i], &info, &err));
	assert_invalid(kvol_stat(pool, name_of_length(256), &info, &err));
	assert_kvol(kvol_stat(pool, "absent", &info, &err), -ENOENT, KVOL_R_NOT_FOUND);
	assert_kvol(kvol_stat(pool, name_of_length(255), &info, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_string_equal(info.name, "A"); /* untouched */
	info.size = 7;
	assert_invalid(kvol_stat(pool, "a", &info, &err));
	assert_int_equal(info.size, 7);

	assert_invalid(kvol_pool_stat(NULL, &p, &err));
	assert_invalid(kvol_pool_stat(pool, NULL, &err));
	p.size = 0;
	p.data_bytes = 42;
	assert_invalid(kvol_pool_stat(pool, &p, &err));
	assert_int_equal(p.data_bytes, 42);
}

/* A caller of an older header: nothing is written behind what it has. */
static void smaller_infos(void **state)
{
	struct kvol_info whole = info_of("a"), part;
	const size_t size = offsetof(struct kvol_info, kind);
	struct kvol_pool_info p;

	(void)state;
	memset(&part, 0x5a, sizeof(part));
	part.size = (uint32_t)size;
	assert_ok(kvol_stat(pool, "a", &part, &err));
	assert_int_equal(part.size, size);
	assert_memory_equal((char *)&part + 4, (char *)&whole + 4, size - 4);
	for (size_t i = size; i < sizeof(part); i++)
		assert_int_equal(((unsigned char *)&part)[i], 0x5a);
	memset(&p, 0x5a, sizeof(p));
	p.size = offsetof(struct kvol_pool_info, name);
	assert_ok(kvol_pool_stat(pool, &p, &err));
	assert_int_equal(p.size, offsetof(struct kvol_pool_info, name));
	assert_int_equal(p.n_volumes, 5);
	assert_int_equal((unsigned char)p.name[0], 0x5a);
}

/* A caller of a newer header: what we do not know is zeroed, and the size says how much
 * we do. */
static void larger_infos(void **state)
{
	struct kvol_info whole = info_of("a");
	struct {
		struct kvol_info info;
		unsigned char tail[64];
	} big;
	struct {
		struct kvol_pool_info info;
		unsigned char tail[64];
	} p;
	struct kvol_iter *iter;

	(void)state;
	memset(&big, 0x5a, sizeof(big));
	big.info.size = sizeof(big);
	assert_ok(kvol_stat(pool, "a", &big.info, &err));
	assert_memory_equal(&big.info, &whole, sizeof(whole));
	for (size_t i = 0; i < sizeof(big.tail); i++)
		assert_int_equal(big.tail[i], 0);
	memset(&big, 0x5a, sizeof(big));
	big.info.size = sizeof(big);
	assert_ok(kvol_list(pool, 0, &iter, &err));
	assert_int_equal(kvol_iter_next(iter, &big.info), 1);
	kvol_iter_free(iter);
	assert_int_equal(big.info.size, sizeof(big.info));
	for (size_t i = 0; i < sizeof(big.tail); i++)
		assert_int_equal(big.tail[i], 0);
	memset(&p, 0x5a, sizeof(p));
	p.info.size = sizeof(p);
	assert_ok(kvol_pool_stat(pool, &p.info, &err));
	assert_int_equal(p.info.size, sizeof(p.info));
	for (size_t i = 0; i < sizeof(p.tail); i++)
		assert_int_equal(p.tail[i], 0);
}

static void the_device_while_it_is_active(void **state)
{
	struct kvol_info info;

	(void)state;
	assert_string_equal(info_of("aa").device, "");
	assert_ok(publish("aa", make_file("dev"), KVOL_PUBLISH_BLOCK, NULL));
	info = info_of("aa");
	assert_int_equal(info.n_targets, 1);
	assert_int_equal(strncmp(info.device, "/dev/", 5), 0);
	assert_sh("test -b %s && test $(blockdev --getsize64 %s) = %llu", info.device,
		  info.device, (unsigned long long)info.bytes);
	assert_ok(kvol_unpublish(pool, "aa", in_dir("dev"), NULL, &err));
	info = info_of("aa");
	assert_int_equal(info.n_targets, 0);
	assert_string_equal(info.device, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_pool),
		cmocka_unit_test(in_the_order_of_bytes),
		cmocka_unit_test(items_are_what_stat_tells),
		cmocka_unit_test(a_listing_stands_still),
		cmocka_unit_test(iterators_that_are_left_early),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(smaller_infos),
		cmocka_unit_test(larger_infos),
		cmocka_unit_test(the_device_while_it_is_active),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("list", tests, pool_up, pool_down);
}
