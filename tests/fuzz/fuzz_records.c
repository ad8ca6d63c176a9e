// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The records of the run directory: of a publish, and of an active pool. One that is
 * taken has fields in range, and is the same when it is written and read again; one that
 * is not is reported as damaged, nothing is taken from it, and it can be removed.
 *
 * Input: the contents of the file.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "publication.h"
#include "rundir.h"
#include "scratch.h"

#define NAMELESS "0123456789abcdef"

/* What was read of the one record. */
struct taken {
	unsigned n, damaged;
	struct kv_publication p;
};

static int take_one(const struct kv_publication *p, void *arg)
{
	struct taken *taken = arg;

	taken->n++;
	taken->damaged += p->damaged[0] != 0;
	taken->p = *p;
	return 0;
}

/* The numbers stand in the record as they were taken: none was cut to fit its field. */
static void check_numbers(const struct kv_publication *p, const uint8_t *data, size_t n)
{
	const uint64_t taken[] = { p->flags,  p->ns.dev, p->ns.ino,
				   p->mnt_id, p->dev,	 p->attr,
				   p->access, p->propagation,
				   p->group, p->user_ns.dev, p->user_ns.ino };
	const char *at = (const char *)data, *end = at + n;

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		at += strlen(at) + 1;
		CHECK(at < end && strtoull(at, NULL, 10) == taken[i]);
	}
}

/* Of a record; the target is the last. */
#define FIELDS 17

/* Where a record with these contents belongs, if it has any. */
static void place_of(const uint8_t *data, size_t n, char ret[64])
{
	const char *field[FIELDS] = { NULL }, *at = (const char *)data, *end = at + n;
	size_t fields = 0;
	uint64_t id[2];

	while (at < end && fields < FIELDS && memchr(at, 0, (size_t)(end - at))) {
		field[fields++] = at;
		at += strlen(at) + 1;
	}
	(void)snprintf(ret, 64, "publish/7/" NAMELESS);
	if (fields < FIELDS)
		return;
	id[0] = strtoull(field[2], NULL, 10);
	id[1] = strtoull(field[3], NULL, 10);
	(void)snprintf(
		ret, 64, "publish/7/%016" PRIx64,
		kv_hash64(field[FIELDS - 1], strlen(field[FIELDS - 1]),
			   kv_hash64(id, sizeof(id), 0)));
}

/* They are a set as it would be made of them. */
static void check_labels(const struct kv_publication *p)
{
	struct kv_labels set = { 0 }, again = { 0 };

	CHECK(p->labels_size <= sizeof(p->labels));
	set.text = malloc(p->labels_size + 1);
	CHECK(set.text);
	memcpy(set.text, p->labels, p->labels_size);
	set.size = p->labels_size;
	CHECK(kv_labels_finish(&set) == 0 && set.n <= KVOL_LABELS_MAX);
	for (uint64_t i = 0; i < set.n; i++) {
		CHECK(kv_label_key_valid(set.of[i].key) &&
		      kv_label_value_valid(set.of[i].value));
		CHECK(kv_labels_add(&again, set.of[i].key, set.of[i].value) == 0);
	}
	CHECK(again.size == set.size &&
	      (!set.size || !memcmp(again.text, set.text, set.size)));
	kv_labels_clear(&set);
	kv_labels_clear(&again);
}

static void check_publication(int fd, const uint8_t *data, size_t n)
{
	static struct kv_publication again;
	static struct taken taken;
	const struct kv_publication *p = &taken.p;
	char place[64];

	place_of(data, n, place);
	CHECK(mkdirat(fd, "publish", 0700) == 0 || errno == EEXIST);
	CHECK(mkdirat(fd, "publish/7", 0700) == 0 || errno == EEXIST);
	scratch_write(fd, place, data, n);
	taken.n = taken.damaged = 0;
	CHECK(kv_publication_each(fd, 7, take_one, &taken) == 0);
	CHECK(kv_publication_count(fd, 7) == 1 && taken.n == 1);
	CHECK(p->volume == 7);
	CHECK(kv_publication_remove(fd, p) == 0);
	CHECK(kv_publication_count(fd, 7) == 0);
	if (taken.damaged) {
		CHECK(!strcmp(p->damaged, place + strlen("publish/7/")));
		CHECK(!p->target[0] && !p->ns_path[0] && !p->mnt_id && !p->dev);
		return;
	}
	check_numbers(p, data, n);
	CHECK(memchr(p->super, 0, sizeof(p->super)) &&
	      memchr(p->target, 0, sizeof(p->target)) &&
	      memchr(p->ns_path, 0, sizeof(p->ns_path)));
	CHECK(kv_publication_write(fd, p) == 0);
	CHECK(kv_publication_read(fd, 7, &p->ns, p->target, &again) == 0);
	CHECK(again.volume == p->volume && again.flags == p->flags &&
	      again.ns.dev == p->ns.dev && again.ns.ino == p->ns.ino &&
	      again.mnt_id == p->mnt_id && again.dev == p->dev && again.attr == p->attr &&
	      again.access == p->access &&
	      again.propagation == p->propagation && again.group == p->group &&
	      again.user_ns.dev == p->user_ns.dev && again.user_ns.ino == p->user_ns.ino &&
	      !strcmp(again.uid_map, p->uid_map) && !strcmp(again.gid_map, p->gid_map) &&
	      !strcmp(again.super, p->super) && !strcmp(again.target, p->target) &&
	      !strcmp(again.ns_path, p->ns_path) &&
	      again.labels_size == p->labels_size &&
	      !memcmp(again.labels, p->labels, p->labels_size));
	check_labels(p);
	CHECK(kv_publication_remove(fd, p) == 0);
	CHECK(kv_publication_count(fd, 7) == 0);
}

static void check_pool(int fd, const uint8_t *data, size_t n)
{
	struct kv_run_pool p, again;
	int r;

	scratch_write(fd, "pool", data, n);
	memset(&p, 0xa5, sizeof(p));
	r = kv_run_read(fd, &p);
	if (r < 0) {
		CHECK(r == -EUCLEAN || r == -EFBIG);
		CHECK((unsigned char)p.name[0] == 0xa5 &&
		      (unsigned char)p.device[0] == 0xa5);
		return;
	}
	CHECK(kv_pool_name_valid(p.name));
	CHECK(memchr(p.device, 0, sizeof(p.device)));
	CHECK(kv_run_write(fd, &p) == 0);
	CHECK(kv_run_read(fd, &again) == 0);
	CHECK(!strcmp(p.name, again.name) && !strcmp(p.device, again.device));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_publication(scratch(), data, n);
	check_pool(scratch(), data, n);
	return 0;
}
