// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * test_neighbours: disks, their copies, their sectors, and what is beside and inside of
 * them.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neighbours.h"

static struct kvol_ctx *host(const char *id)
{
	struct kvol_ctx_opts o = { .size = sizeof(o), .host_id = id };
	struct kvol_ctx *c = NULL;

	assert_ok(kvol_new(&o, &c, &err));
	return c;
}

/* LVM, Stratis, btrfs: duplicate UUIDs after a disk was copied or a LUN was cloned. */
void copied_disk_is_refused_beside_its_original(void **state)
{
	struct kvol_pool *p = NULL;
	uint64_t digest;

	(void)state;
	take_copy();
	digest = file_digest(copy);
	assert_kvol(kvol_pool_open(ctx, copy, NULL, &p, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_true(file_digest(copy) == digest);
}

/* LVM: two volume groups of one name, and neither can be used. */
void second_pool_of_the_same_name_is_refused(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = MIB(128) };
	struct kvol_pool *p = NULL;

	(void)state;
	assert_ok(kvol_pool_format(ctx, pool_name, in_dir("twin"), &o, &err));
	assert_kvol(kvol_pool_open(ctx, in_dir("twin"), NULL, &p, &err), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(kvol_create(pool, "v", MIB(4), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_int_equal(unlink(in_dir("twin")), 0);
}

static int open_and_die(void *arg)
{
	struct kvol_pool *p = NULL;

	CHILD_CHECK(kvol_pool_open(ctx, arg, NULL, &p, NULL) == 0);
	(void)raise(SIGKILL);
	return 0;
}

/* losetup -f beside a process that dies: loop devices that nobody detaches. */
void loop_devices_do_not_leak(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = MIB(128) };
	struct kvol_pool *p = NULL;
	char path[256];
	struct world w;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s", in_dir("looped"));
	world_now(&w);
	assert_ok(kvol_pool_format(ctx, "looped", path, &o, &err));
	assert_world(&w, "formatting", __FILE__, __LINE__);
	for (int i = 0; i < 3; i++)
		assert_int_equal(in_child(open_and_die, path), -(128 + SIGKILL));
	assert_ok(kvol_pool_open(ctx, path, NULL, &p, &err));
	assert_ok(kvol_pool_deactivate(p, &err));
	kvol_pool_close(p);
	assert_world(&w, "a pool whose users were killed", __FILE__, __LINE__);
	assert_int_equal(unlink(path), 0);
}

/* --- Sectors ---------------------------------------------------------------------- */

/* With the first n_types of the file systems. */
static void work_on(const char *path, size_t n_types)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	struct kvol_create_opts o = { .size = sizeof(o) };
	struct kvol_pool *p = NULL;

	assert_ok(kvol_pool_open(ctx, path, NULL, &p, &err));
	for (size_t i = 0; i < N_OF(types) && i < n_types; i++) {
		o.fs_type = types[i];
		assert_ok(kvol_create(p, "v", i ? MIB(300) : MIB(32), &o, &err));
		assert_ok(kvol_publish(p, "v", make_dir("v.at"), NULL, &err));
		write_file(in_dir("v.at/file"), types[i]);
		assert_ok(kvol_snapshot(p, "v", "shot", NULL, &err));
		assert_ok(kvol_expand(p, "v", MIB(400), 0, &err));
		assert_ok(kvol_unpublish(p, "v", in_dir("v.at"), NULL, &err));
		assert_ok(kvol_publish(p, "shot", in_dir("v.at"), NULL, &err));
		assert_string_equal(read_file(in_dir("v.at/file")), types[i]);
		assert_ok(kvol_unpublish(p, "shot", in_dir("v.at"), NULL, &err));
		assert_ok(kvol_delete(p, "v", 0, &err));
		assert_ok(kvol_delete(p, "shot", 0, &err));
	}
	assert_ok(kvol_pool_deactivate(p, &err));
	kvol_pool_close(p);
}

/* All of them once, and where it is the pool that counts, in the short form, the first. */
static size_t some_types(void)
{
	return getenv("KVOL_TEST_LONG") ? SIZE_MAX : 1;
}

/* A disk of 4096-byte sectors on a file; its path. */
static const char *big_sectors(void)
{
	static char device[64];

	assert_sh("losetup -f --show --sector-size 4096 %s/disk", dir);
	assert_int_equal(sscanf(sh_output(), "%63s", device), 1);
	assert_sh("test $(blockdev --getss %s) = 4096", device);
	return device;
}

/* LVM refuses to mix them, and tables written for 512 bytes are not found on 4096. */
void pool_on_a_disk_of_4096_byte_sectors(void **state)
{
	const char *device;

	(void)state;
	assert_sh("rm -f %s/disk; truncate -s 1G %s/disk", dir, dir);
	device = big_sectors();
	assert_ok(kvol_pool_format(ctx, "large-sectors", device, NULL, &err));
	work_on(device, SIZE_MAX);
	assert_sh("losetup -d %s", device);
	/* The same disk as a file, whose sectors are 512 bytes. */
	work_on(in_dir("disk"), some_types());
	assert_sh("rm %s/disk", dir);
}

/* A disk image that moved to a disk of other sectors: nothing found its partitions. */
void pool_copied_from_512_to_4096_byte_sectors(void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o), .file_bytes = GIB(1) };
	const char *device;

	(void)state;
	assert_ok(kvol_pool_format(ctx, "small-sectors", in_dir("disk"), &o, &err));
	device = big_sectors();
	work_on(device, some_types());
	assert_sh("losetup -d %s", device);
	work_on(in_dir("disk"), some_types());
	assert_sh("rm %s/disk", dir);
}

/* --- Beside, and inside ----------------------------------------------------------- */

/* Thin pools on bare devices look empty to installers and to mkfs. */
void stock_tools_see_that_the_disk_is_taken(void **state)
{
	(void)state;
	assert_sh("test \"$(blkid -p -o value -s PTTYPE %s)\" = gpt", pool_path);
	assert_sh("sgdisk -v %s | grep -q 'No problems found'", pool_path);
	assert_sh("sgdisk -p %s | grep -q kvol-data", pool_path);
}

/* pvcreate -ff and its like, in a script: somebody's data was overwritten. */
void disk_with_data_is_not_formatted(void **state)
{
	static const char *const makers[] = { "mkfs.ext4 -qF", "mkfs.btrfs -q", "mkswap",
					      "sgdisk -n 1:0:0" };
	uint64_t digest;

	(void)state;
	for (size_t i = 0; i < N_OF(makers); i++) {
		assert_sh("rm -f %s/disk; truncate -s 256M %s/disk; %s %s/disk", dir, dir,
			  makers[i], dir);
		digest = file_digest(in_dir("disk"));
		assert_kvol(kvol_pool_format(ctx, "taken", in_dir("disk"), NULL, &err),
			    -EEXIST, KVOL_R_HAS_SIGNATURE);
		assert_true(file_digest(in_dir("disk")) == digest);
	}
	assert_sh("rm %s/disk", dir);
}

/* LVM-based CSI drivers scan: one dead NBD or iSCSI device, and all are in D state. */
void dead_device_beside_the_pool_stops_nothing(void **state)
{
	const char *at;

	(void)state;
	/* Opening it works, and a read never comes back. */
	assert_sh("dmsetup create --noudevsync dead --table '0 204800 zero' && "
		  "dmsetup suspend --noudevsync dead");
	watched("work beside a dead device");
	at = fs_volume("v", "ext4");
	assert_ok(publish("v", at, 0, NULL));
	assert_ok(kvol_snapshot(pool, "v", "shot", NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	pool_cycle();
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_ok(kvol_delete(pool, "shot", 0, &err));
	unwatched();
	assert_sh("test $(dmsetup info -c --noheadings -o open dead) = 0 && "
		  "dmsetup resume --noudevsync dead && "
		  "dmsetup remove --noudevsync --retry dead");
}

/* LVM activated the volume groups, and udev the partitions, that guests had made. */
void guests_disk_inside_a_volume_stays_its_own(void **state)
{
	struct kvol_pool *p = NULL;
	struct world w;

	(void)state;
	assert_ok(kvol_create(pool, "guest", MIB(256), NULL, &err));
	assert_ok(publish("guest", make_file("guest.at"), KVOL_PUBLISH_BLOCK, NULL));
	assert_ok(kvol_pool_format(ctx, "inner", info_of("guest").device, NULL, &err));
	world_now(&w);
	pool_reopen();
	assert_world(&w, "opening it again", __FILE__, __LINE__);
	assert_kvol(kvol_pool_open(ctx, "inner", NULL, &p, &err), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_int_equal(count(0), CONTENTS + 1);
	/* Nor is it a pool as long as nobody asks for it by its path. */
	assert_ok(kvol_unpublish(pool, "guest", in_dir("guest.at"), NULL, &err));
	pool_cycle();
	assert_ok(kvol_delete(pool, "guest", 0, &err));
}

/* Shared disks: two hosts that had one thin pool active, and lost it. */
void pool_of_another_host_is_refused(void **state)
{
	struct kvol_ctx *a = host("a"), *b = host("b");
	struct kvol_pool *p = NULL;

	(void)state;
	deactivate_pool();
	assert_ok(kvol_pool_open(a, pool_path, NULL, &pool, &err));
	assert_sh("sync");
	take_copy();
	deactivate_pool();
	assert_kvol(kvol_pool_open(b, copy, NULL, &p, &err), -EBUSY, KVOL_R_FOREIGN_HOST);
	assert_non_null(strstr(err.msg, "host a"));
	kvol_free(a);
	kvol_free(b);
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
}

/* containerd: a database that was put back, and ids in it that were others' by then. */
void catalogue_behind_the_thin_pool_opens_for_audit(void **state)
{
	(void)state;
	pool_reopen();
	assert_sh("p=%s; id=$(dmsetup status --noflush $p | awk '{ print $4 }'); "
		  "dmsetup message $p 0 set_transaction_id $id $((id + 7))",
		  thin_pool_name());
	pool_reopen();
	assert_int_equal(pool_info().flags, KVOL_POOL_AUDIT);
	assert_kvol(kvol_create(pool, "v", MIB(4), NULL, &err), -EROFS,
		    KVOL_R_POOL_READ_ONLY);
	assert_kvol(kvol_delete(pool, "raw", 0, &err), -EROFS, KVOL_R_POOL_READ_ONLY);
	assert_contents();
	assert_sh("p=%s; id=$(dmsetup status --noflush $p | awk '{ print $4 }'); "
		  "dmsetup message $p 0 set_transaction_id $id $((id - 7))",
		  thin_pool_name());
	pool_reopen();
	assert_int_equal(pool_info().flags, 0);
}

/* dm-thin: past 2^24 snapshots the kernel's counter wraps, and mappings corrupt. */
void snapshots_for_life_are_refused_before_the_kernel_wraps(void **state)
{
	(void)state;
	deactivate_pool();
	take_copy();
	in_copys_catalogue("sqlite3 catalogue.db "
			   "'UPDATE pool SET snapshots = (1 << 24) - (1 << 16)'");
	assert_ok(kvol_pool_open(ctx, copy, NULL, &pool, &err));
	assert_int_equal(pool_info().snapshots_left, 0);
	assert_kvol(kvol_snapshot(pool, "raw", "shot", NULL, &err), -ENOSPC,
		    KVOL_R_LIMIT);
	deactivate_pool();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
}
