/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Records of publishes: what is written is read, each under its own namespace and target,
 * and no hostile contents are believed.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "publication.h"

#define KEY "0123456789abcdef"

struct place {
	char path[64];
	int dir_fd;
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->path, sizeof(p->path), "/tmp/kvol-pub-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->dir_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->dir_fd >= 0);
	*state = p;
	return 0;
}

/* Nothing of a volume may be left when its last record is removed. */
static int teardown(void **state)
{
	struct place *p = *state;

	(void)unlinkat(p->dir_fd, "publish", AT_REMOVEDIR);
	(void)close(p->dir_fd);
	assert_int_equal(rmdir(p->path), 0);
	free(p);
	return 0;
}

static struct kv_publication make(uint32_t volume, ino_t ns, const char *target)
{
	struct kv_publication p = {
		.volume = volume,
		.flags = 3,
		.ns = { 4, ns },
		.mnt_id = UINT64_MAX,
		.dev = 0xfd07,
		.attr = 0x12,
		.access = 2,
		.propagation = 3,
		.group = 1000,
		.user_ns = { 4, 7 },
	};

	(void)kv_strcpy(p.super, sizeof(p.super), "data=ordered,x=\"a,b\"");
	(void)kv_strcpy(p.uid_map, sizeof(p.uid_map), "0 100000 65536\n");
	(void)kv_strcpy(p.gid_map, sizeof(p.gid_map), "0 7 1\n1 9 1\n");
	(void)kv_strcpy(p.target, sizeof(p.target), target);
	(void)kv_strcpy(p.ns_path, sizeof(p.ns_path), "/proc/7/ns/mnt");
	return p;
}

static void path_of(const struct kv_ns *ns, const char *target, char ret[64])
{
	uint64_t id[2] = { ns->dev, ns->ino };

	(void)snprintf(ret, 64, "publish/7/%016" PRIx64,
		       kv_hash64(target, strlen(target), kv_hash64(id, sizeof(id), 0)));
}

static void assert_same(const struct kv_publication *a, const struct kv_publication *b)
{
	assert_int_equal(a->volume, b->volume);
	assert_string_equal(a->damaged, b->damaged);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->ns.dev, b->ns.dev);
	assert_int_equal(a->ns.ino, b->ns.ino);
	assert_true(a->mnt_id == b->mnt_id);
	assert_int_equal(a->dev, b->dev);
	assert_int_equal(a->attr, b->attr);
	assert_int_equal(a->access, b->access);
	assert_int_equal(a->propagation, b->propagation);
	assert_int_equal(a->group, b->group);
	assert_int_equal(a->user_ns.dev, b->user_ns.dev);
	assert_int_equal(a->user_ns.ino, b->user_ns.ino);
	assert_string_equal(a->uid_map, b->uid_map);
	assert_string_equal(a->gid_map, b->gid_map);
	assert_string_equal(a->super, b->super);
	assert_string_equal(a->target, b->target);
	assert_string_equal(a->ns_path, b->ns_path);
}

static void record_is_read_as_it_was_written(void **state)
{
	struct kv_publication a = make(7, 100, "/a/b\nc \xff"), b;
	struct place *p = *state;

	assert_int_equal(kv_publication_read(p->dir_fd, 7, &a.ns, a.target, &b), -ENOENT);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 0);
	assert_int_equal(kv_publication_write(p->dir_fd, &a), 0);
	assert_int_equal(kv_publication_read(p->dir_fd, 7, &a.ns, a.target, &b), 0);
	assert_same(&a, &b);
	a.flags = 0;
	a.super[0] = a.ns_path[0] = '\0';
	assert_int_equal(kv_publication_write(p->dir_fd, &a), 0);
	assert_int_equal(kv_publication_read(p->dir_fd, 7, &a.ns, a.target, &b), 0);
	assert_same(&a, &b);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 1);
	assert_int_equal(kv_publication_remove(p->dir_fd, &a), 0);
	assert_int_equal(kv_publication_remove(p->dir_fd, &a), 0);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 0);
}

static void longest_strings_fit(void **state)
{
	static struct kv_publication a, b;
	struct place *p = *state;

	a = make(7, 100, "");
	memset(a.target, 't', sizeof(a.target) - 1);
	memset(a.ns_path, 'n', sizeof(a.ns_path) - 1);
	memset(a.super, 's', sizeof(a.super) - 1);
	memset(a.uid_map, 'u', sizeof(a.uid_map) - 1);
	memset(a.gid_map, 'g', sizeof(a.gid_map) - 1);
	a.user_ns.dev = a.user_ns.ino = UINT64_MAX;
	a.ns.dev = a.ns.ino = a.dev = a.attr = UINT64_MAX;
	a.flags = a.access = a.propagation = a.group = UINT32_MAX;
	assert_int_equal(kv_publication_write(p->dir_fd, &a), 0);
	assert_int_equal(kv_publication_read(p->dir_fd, 7, &a.ns, a.target, &b), 0);
	assert_same(&a, &b);
	assert_int_equal(kv_publication_remove(p->dir_fd, &a), 0);
}

static void volumes_namespaces_and_targets_are_told_apart(void **state)
{
	struct kv_publication all[] = {
		make(7, 100, "/t"),
		make(7, 101, "/t"),
		make(7, 100, "/u"),
		make(8, 100, "/t"),
	};
	struct kv_publication got;
	struct place *p = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(all); i++) {
		all[i].mnt_id = i;
		assert_int_equal(kv_publication_write(p->dir_fd, &all[i]), 0);
	}
	for (size_t i = 0; i < KV_ARRAY_SIZE(all); i++) {
		assert_int_equal(kv_publication_read(p->dir_fd, all[i].volume, &all[i].ns,
						     all[i].target, &got),
				 0);
		assert_int_equal(got.mnt_id, i);
	}
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 3);
	assert_int_equal(kv_publication_count(p->dir_fd, 8), 1);
	for (size_t i = 0; i < KV_ARRAY_SIZE(all); i++)
		assert_int_equal(kv_publication_remove(p->dir_fd, &all[i]), 0);
}

struct visit {
	int dir_fd, n, stop_at;
};

static int remove_it(const struct kv_publication *p, void *arg)
{
	struct visit *v = arg;

	assert_int_equal(kv_publication_remove(v->dir_fd, p), 0);
	return ++v->n == v->stop_at ? 42 : 0;
}

static void visitor_may_remove_and_may_stop(void **state)
{
	struct place *p = *state;
	struct visit v = { .dir_fd = p->dir_fd, .stop_at = 3 };
	struct kv_publication a;
	char target[16];

	assert_int_equal(kv_publication_each(p->dir_fd, 7, remove_it, &v), 0);
	for (int i = 0; i < 10; i++) {
		(void)snprintf(target, sizeof(target), "/t%d", i);
		a = make(7, 100, target);
		assert_int_equal(kv_publication_write(p->dir_fd, &a), 0);
	}
	assert_int_equal(kv_publication_each(p->dir_fd, 7, remove_it, &v), 42);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 7);
	assert_int_equal(kv_publication_each(p->dir_fd, 7, remove_it, &v), 0);
	assert_int_equal(v.n, 10);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 0);
}

/* A record as it is written, taken apart. */
struct record {
	char data[3 * PATH_MAX];
	size_t n;
	const char *fields[32];
	unsigned n_fields;
};

static void read_record(const struct place *p, const char *key, struct record *ret)
{
	int fd = openat(p->dir_fd, key, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, ret->data, sizeof(ret->data));
	assert_true(n > 0 && (size_t)n < sizeof(ret->data));
	(void)close(fd);
	ret->n = (size_t)n;
	ret->n_fields = 0;
	for (const char *at = ret->data; at < ret->data + ret->n; at += strlen(at) + 1)
		ret->fields[ret->n_fields++] = at;
}

/* The record with another text in the place of one field; NULL: without it. */
static size_t with_field(const struct record *r, unsigned which, const char *text,
			 char *ret)
{
	size_t n = 0;

	for (unsigned i = 0; i < r->n_fields; i++) {
		const char *field = i == which ? text : r->fields[i];

		if (field)
			n += (size_t)snprintf(ret + n, 3 * PATH_MAX - n, "%s", field) + 1;
	}
	return n;
}

static void make_volume_directory(const struct place *p)
{
	assert_true(mkdirat(p->dir_fd, "publish", 0700) == 0 || errno == EEXIST);
	assert_int_equal(mkdirat(p->dir_fd, "publish/7", 0700), 0);
}

static const char *damaged_key = KEY;

static int remove_damaged(const struct kv_publication *p, void *arg)
{
	static const struct kv_publication nothing;
	struct kv_publication rest = *p;
	struct visit *v = arg;

	assert_int_equal(p->volume, 7);
	assert_string_equal(p->damaged, damaged_key);
	rest.volume = 0;
	rest.damaged[0] = '\0';
	memset(rest.damaged, 0, sizeof(rest.damaged));
	assert_memory_equal(&rest, &nothing, sizeof(rest));
	return remove_it(p, v);
}

/* It is there, and it can be removed; nothing else is taken from it. */
static void assert_damaged(const struct place *p, const char *what)
{
	struct visit v = { .dir_fd = p->dir_fd };
	int r;

	assert_int_equal(kv_publication_count(p->dir_fd, 7), 1);
	r = kv_publication_each(p->dir_fd, 7, remove_damaged, &v);
	if (r != 0 || v.n != 1)
		fail_msg("%s: %d, %d visited", what, r, v.n);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 0);
	assert_int_equal(faccessat(p->dir_fd, "publish/7", F_OK, 0), -1);
}

static void refused(const struct place *p, const void *record, size_t n)
{
	struct kv_ns ns = { 4, 100 };
	char path[64];

	/* Where it belongs: elsewhere a whole one is damaged, too. */
	path_of(&ns, "/t", path);
	damaged_key = strrchr(path, '/') + 1;
	make_volume_directory(p);
	assert_int_equal(kv_write_file_at(p->dir_fd, path, record, n), 0);
	assert_damaged(p, "a hostile record");
	damaged_key = KEY;
}

/* A whole record. */
static void write_record(struct place *p, struct record *ret)
{
	struct kv_publication a = make(7, 100, "/t");
	char path[64];

	assert_int_equal(kv_publication_write(p->dir_fd, &a), 0);
	path_of(&a.ns, a.target, path);
	read_record(p, path, ret);
	assert_int_equal(kv_publication_remove(p->dir_fd, &a), 0);
}

static void hostile_records_are_damaged(void **state)
{
	static const char *const bad_numbers[] = { NULL, "",   "-1",  "+1", "x",
						   " 1", "1x", "0x1", "99999999999999999999" };
	static char big[65536], record[3 * PATH_MAX];
	static struct record good;
	struct place *p = *state;

	write_record(p, &good);
	for (unsigned i = 0; i < good.n_fields; i++) {
		refused(p, record, with_field(&good, i, NULL, record));
		if (strspn(good.fields[i], "0123456789") != strlen(good.fields[i]))
			continue;
		for (size_t k = 0; k < KV_ARRAY_SIZE(bad_numbers); k++)
			refused(p, record, with_field(&good, i, bad_numbers[k], record));
	}
	refused(p, record, with_field(&good, 0, "1", record));
	refused(p, record, with_field(&good, 1, "4294967296", record));
	for (size_t n = 0; n < good.n; n++)
		refused(p, good.data, n);
	memcpy(big, good.data, good.n);
	refused(p, big, good.n + 1);
	refused(p, big, sizeof(big));
}

/* Nor is one followed, or waited for. */
static void what_is_no_file_is_damaged(void **state)
{
	struct place *p = *state;

	make_volume_directory(p);
	assert_int_equal(symlinkat("/etc/passwd", p->dir_fd, "publish/7/" KEY), 0);
	assert_damaged(p, "a link");
	make_volume_directory(p);
	assert_int_equal(mkfifoat(p->dir_fd, "publish/7/" KEY, 0600), 0);
	assert_damaged(p, "a fifo");
}

static int count_whole(const struct kv_publication *p, void *arg)
{
	*(int *)arg += !p->damaged[0];
	return 0;
}

static int whole_records(const struct place *p)
{
	int n = 0;

	assert_int_equal(kv_publication_each(p->dir_fd, 7, count_whole, &n), 0);
	return n;
}

static void strings_that_are_too_long_are_refused(void **state)
{
	static char record[3 * PATH_MAX], text[PATH_MAX + 1];
	static struct record good;
	struct kv_publication a = make(7, 100, "");
	struct place *p = *state;
	char path[64];
	size_t n;

	write_record(p, &good);
	make_volume_directory(p);
	for (size_t longest = PATH_MAX - 1; longest <= PATH_MAX; longest++) {
		memset(text, 't', longest);
		n = with_field(&good, good.n_fields - 1, text, record);
		path_of(&a.ns, text, path);
		assert_int_equal(kv_write_file_at(p->dir_fd, path, record, n), 0);
		assert_int_equal(whole_records(p), longest < PATH_MAX);
		assert_int_equal(kv_publication_count(p->dir_fd, 7), 1);
		assert_int_equal(unlinkat(p->dir_fd, path, 0), 0);
	}
	assert_int_equal(unlinkat(p->dir_fd, "publish/7", AT_REMOVEDIR), 0);
}

/* A whole record, under the name of another. */
static void record_in_anothers_place_is_refused(void **state)
{
	struct kv_publication a = make(7, 100, "/t"), b = make(7, 100, "/u"), got;
	struct place *p = *state;
	char from[64], to[64];

	assert_int_equal(kv_publication_write(p->dir_fd, &a), 0);
	path_of(&a.ns, "/t", from);
	path_of(&a.ns, "/u", to);
	assert_int_equal(whole_records(p), 1);
	assert_int_equal(renameat(p->dir_fd, from, p->dir_fd, to), 0);
	assert_int_equal(kv_publication_read(p->dir_fd, 7, &a.ns, "/t", &got), -ENOENT);
	assert_int_equal(kv_publication_read(p->dir_fd, 7, &b.ns, "/u", &got), -EUCLEAN);
	assert_int_equal(whole_records(p), 0);
	assert_int_equal(kv_publication_count(p->dir_fd, 7), 1);
	assert_int_equal(kv_publication_remove(p->dir_fd, &b), 0);
}

static void other_files_are_not_records(void **state)
{
	static const char *const names[] = { ".tmp-x", "0123456789ABCDEF", "0123",
					     KEY "0" };
	struct place *p = *state;
	char path[64];

	assert_int_equal(mkdirat(p->dir_fd, "publish", 0700), 0);
	assert_int_equal(mkdirat(p->dir_fd, "publish/7", 0700), 0);
	for (size_t i = 0; i < KV_ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "publish/7/%s", names[i]);
		assert_int_equal(kv_write_file_at(p->dir_fd, path, "junk", 4), 0);
		assert_int_equal(kv_publication_count(p->dir_fd, 7), 0);
		assert_int_equal(unlinkat(p->dir_fd, path, 0), 0);
	}
	assert_int_equal(unlinkat(p->dir_fd, "publish/7", AT_REMOVEDIR), 0);
}

/* On /dev/shm, which is a tmpfs as /run is, and where the tests are. */
static void volumes_are_counted(void **state)
{
	char shm[] = "/dev/shm/kvol-pub-XXXXXX";
	struct place *p = *state;
	struct kv_publication of[5];
	uint64_t n = 7;
	int shm_fd = mkdtemp(shm) ? open(shm, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int fds[] = { p->dir_fd, shm_fd };

	for (int k = 0; k < (shm_fd < 0 ? 1 : 2); k++) {
		assert_int_equal(kv_publication_count_volumes(fds[k], &n), 0);
		assert_int_equal(n, 0);
		for (uint32_t i = 0; i < 5; i++) { /* of four volumes */
			of[i] = make(i ? i : 1, i + 1, "/a");
			assert_int_equal(kv_publication_write(fds[k], &of[i]), 0);
		}
		assert_int_equal(kv_publication_count_volumes(fds[k], &n), 0);
		assert_int_equal(n, 4);
		for (uint32_t i = 0; i < 5; i++) {
			assert_int_equal(kv_publication_remove(fds[k], &of[i]), 0);
			assert_int_equal(kv_publication_count_volumes(fds[k], &n), 0);
			assert_int_equal(n, i ? 4 - i : 4);
		}
	}
	if (shm_fd >= 0) {
		assert_int_equal(unlinkat(shm_fd, "publish", AT_REMOVEDIR), 0);
		(void)close(shm_fd);
		assert_int_equal(rmdir(shm), 0);
	}
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(volumes_are_counted),
		in_place(record_is_read_as_it_was_written),
		in_place(longest_strings_fit),
		in_place(volumes_namespaces_and_targets_are_told_apart),
		in_place(visitor_may_remove_and_may_stop),
		in_place(hostile_records_are_damaged),
		in_place(what_is_no_file_is_damaged),
		in_place(strings_that_are_too_long_are_refused),
		in_place(record_in_anothers_place_is_refused),
		in_place(other_files_are_not_records),
	};

	return cmocka_run_group_tests_name("publication", tests, NULL, NULL);
}
