// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The records of the run directory: of a publish, and of an active pool. One that is
 * taken has fields in range, and is the same when it is written and read again; one that
 * is not is reported, and nothing is taken from it.
 *
 * Input: the contents of the file.
 */
#include <sys/stat.h>

#include "fuzz.h"
#include "publication.h"
#include "rundir.h"
#include "scratch.h"

#define KEY "publish/7/0123456789abcdef"

static int take_one(const struct kv_publication *p, void *arg)
{
	struct kv_publication **ret = arg;

	CHECK(!*ret);
	*ret = malloc(sizeof(*p));
	CHECK(*ret);
	**ret = *p;
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

static void check_publication(int fd, const uint8_t *data, size_t n)
{
	static struct kv_publication again;
	struct kv_publication *p = NULL;
	int r;

	CHECK(mkdirat(fd, "publish", 0700) == 0 || errno == EEXIST);
	CHECK(mkdirat(fd, "publish/7", 0700) == 0 || errno == EEXIST);
	scratch_write(fd, KEY, data, n);
	r = kv_publication_each(fd, 7, take_one, &p);
	CHECK(r == (p ? 0 : -EUCLEAN));
	CHECK(kv_publication_count(fd, 7) == (p ? 1 : -EUCLEAN));
	CHECK(unlinkat(fd, KEY, 0) == 0);
	if (!p)
		return;
	CHECK(p->volume == 7);
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
	      !strcmp(again.ns_path, p->ns_path));
	CHECK(kv_publication_remove(fd, p) == 0);
	CHECK(kv_publication_count(fd, 7) == 0);
	free(p);
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
