// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * test_hostile: a tenant writes what he likes to his volume's device; then it, and copies
 * of it, are published, expanded, copied and deleted.
 */
#include <unistd.h>

#include "hostile.h"

/* All that can be done with the volume "bad". The parent's handle is not ours. */
static int use_bad(void *arg)
{
	struct kvol_pool *p = NULL;
	int r, published;

	(void)arg;
	TRY(kvol_pool_open(ctx, pool_path, NULL, &p, &err));
	CHILD_CHECK(r == 0);
	TRY(kvol_publish(p, "bad", in_dir("place"), NULL, &err));
	published = r == 0;
	watched("its files");
	if (published)
		(void)sh("cd '%s/place' && { ls -lR; cat f; cp f g; rm -rf d; sync .; }",
			 dir);
	unwatched();
	TRY(kvol_snapshot(p, "bad", "bad-s", NULL, &err));
	CHILD_CHECK(r == 0 || published);
	TRY(kvol_expand(p, "bad", MIB(400), 0, &err));
	if (published) {
		TRY(kvol_unpublish(p, "bad", in_dir("place"), NULL, &err));
		CHILD_CHECK(r == 0);
	}
	TRY(kvol_publish(p, "bad-s", in_dir("place"), NULL, &err));
	if (r == 0) {
		TRY(kvol_unpublish(p, "bad-s", in_dir("place"), NULL, &err));
		CHILD_CHECK(r == 0);
	}
	TRY(kvol_delete(p, "bad-s", 0, &err));
	CHILD_CHECK(r == 0);
	TRY(kvol_delete(p, "bad", 0, &err));
	CHILD_CHECK(r == 0);
	kvol_pool_close(p);
	return published ? OPENED : REFUSED;
}

static const struct {
	const char *fs;
	uint64_t bytes;
	uint64_t super, near; /* where its superblock is, and its neighbourhood */
} types[] = {
	{ "ext4", MIB(32), 1024, MIB(1) },
	{ "xfs", MIB(300), 0, KIB(64) },
	{ "btrfs", MIB(256), KIB(64), KIB(4) },
};

static void open_pool(void)
{
	if (pool) /* a test failed */
		close_pool();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_ok(kvol_create(pool, "warm", MIB(1), NULL, &err));
	assert_ok(kvol_delete(pool, "warm", 0, &err));
}

static void make_good(size_t t)
{
	assert_ok(create_fs("good", types[t].bytes, types[t].fs));
	assert_ok(kvol_publish(pool, "good", in_dir("place"), NULL, &err));
	assert_sh("cd '%s/place' && mkdir -p d/e && seq 100000 >f && cp f d/e/f", dir);
	assert_ok(kvol_unpublish(pool, "good", in_dir("place"), NULL, &err));
}

/* Runs commands on the volume's device, $n. */
static void on_device(const char *name, const char *commands)
{
	const char *node = make_file("node");

	assert_ok(publish(name, node, KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("set -e; n=%s; %s", node, commands);
	assert_ok(kvol_unpublish(pool, name, node, NULL, &err));
}

static void try_bad(const char *what, int want)
{
	/* What it left in the catalogue is seen by the listing. */
	assert_true(exists("bad"));
	close_pool();
	(void)case_run(what, use_bad, NULL, want);
	open_pool();
	assert_false(exists("bad"));
}

void flipped_file_systems(void **state)
{
	const char *node = make_file("node");
	char what[64];

	(void)state;
	open_pool();
	for (size_t t = 0; t < N_OF(types); t++) {
		make_good(t);
		for (unsigned i = 0; i < (long_form ? 60 : 2); i++) {
			unsigned where;
			uint64_t from, range;

			case_begin();
			where = (unsigned)(next_random() % 3);
			from = where == 0 ? types[t].super : 0;
			range = where == 0   ? 512
				: where == 1 ? types[t].super + types[t].near
					     : types[t].bytes;
			assert_ok(kvol_clone(pool, "good", "bad", NULL, &err));
			assert_ok(publish("bad", node, KVOL_PUBLISH_BLOCK, NULL));
			flip_bits(node, from, range,
				  where == 2 ? 300 : 1 + (unsigned)(next_random() % 16));
			assert_ok(kvol_unpublish(pool, "bad", node, NULL, &err));
			(void)snprintf(what, sizeof(what), "a flipped %s", types[t].fs);
			try_bad(what, EITHER);
		}
		assert_ok(kvol_delete(pool, "good", 0, &err));
	}
	deactivate_pool();
}

/* Contents that are not what the catalogue says: never mounted as what they are, and
 * never taken for blank. */
void contents_of_another_type(void **state)
{
	static const struct {
		size_t type;
		const char *commands;
	} tricks[] = {
		{ 0, "mkfs.btrfs -q -f $n" },
		{ 0, "blkdiscard -z $n || dd if=/dev/zero of=$n bs=1M count=32" },
		{ 0, "dd if=/dev/urandom of=$n bs=1M count=2" },
		{ 0, "mkswap -f $n" },
		{ 0, "dd if=/dev/zero of=$n bs=64K count=4 && sgdisk -n 1:0:0 $n" },
		{ 0,
		  "dd if=/dev/zero of=$n bs=64K count=4 && printf 'LUKS\\272\\276\\0\\1' | "
		  "dd of=$n conv=notrunc" },
		{ 1, "mkfs.ext4 -q -F $n" },
		{ 1, "mkfs.btrfs -q -f $n" },
		{ 2, "mkfs.ext4 -q -F $n && printf XFSB | dd of=$n conv=notrunc" },
		{ 2, "wipefs -a $n" },
	};

	(void)state;
	open_pool();
	for (size_t i = first(); i < N_OF(tricks); i += step()) {
		case_begin();
		assert_ok(create_fs("bad", MIB(300), types[tricks[i].type].fs));
		on_device("bad", tricks[i].commands);
		try_bad(tricks[i].commands, REFUSED);
	}
	deactivate_pool();
}

/* It says errors=panic in its superblock, and has one: the host lives on, or nobody
 * prints this. */
void an_ext4_that_would_panic_the_host(void **state)
{
	(void)state;
	open_pool();
	case_begin();
	assert_ok(create_fs("bad", MIB(32), "ext4"));
	on_device("bad", "tune2fs -e panic $n && debugfs -w -R 'clri <2>' $n");
	try_bad("a file system that panics", EITHER);
	/* A root that is whole, and a directory in it that is not: met while mounted. */
	assert_ok(create_fs("bad", MIB(32), "ext4"));
	on_device("bad", "tune2fs -e panic $n && debugfs -w -R 'mkdir d' $n && "
			 "debugfs -w -R 'set_inode_field d mode 0' $n && "
			 "debugfs -w -R 'set_inode_field d links_count 0' $n");
	assert_ok(kvol_publish(pool, "bad", in_dir("place"), NULL, &err));
	assert_non_null(
		strstr(mount_options(in_dir("place"), true), "errors=remount-ro"));
	(void)sh("ls -lR '%s/place'", dir);
	assert_ok(kvol_unpublish(pool, "bad", in_dir("place"), NULL, &err));
	assert_ok(kvol_delete(pool, "bad", 0, &err));
	deactivate_pool();
}
