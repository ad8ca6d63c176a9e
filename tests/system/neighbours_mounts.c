// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * test_neighbours: mounts, namespaces, devices in use, and file systems that are there
 * twice.
 */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "neighbours.h"

/* Docker, moby: "device is busy", for a mount that another namespace had copied. */
void mount_copied_into_another_namespace_does_not_wedge_delete(void **state)
{
	const char *at = fs_volume("v", "ext4");
	struct resident copied;

	(void)state;
	assert_ok(publish("v", at, 0, NULL));
	copied = resident_start();
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	watched("delete of what a namespace holds");
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	unwatched();
	resident_end(&copied);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* containerd: a container that was killed kept its mount, and the volume with it. */
void killed_container_leaves_no_mount_that_holds_the_volume(void **state)
{
	const char *at = fs_volume("v", "ext4");
	struct resident container = resident_start();

	(void)state;
	assert_ok(publish_in("v", at, 0, container.ns));
	assert_false(is_mounted(at));
	resident_end(&container);
	/* The kernel takes a namespace's mounts away a little after its last process. */
	watched("delete after the container");
	while (kvol_delete(pool, "v", 0, NULL) == -EBUSY)
		(void)usleep(20000);
	unwatched();
	assert_false(exists("v"));
}

/* CSI drivers: a retried publish mounted once more, and one unpublish was not enough. */
void double_publish_makes_one_mount(void **state)
{
	const char *at = fs_volume("v", "ext4");
	struct world w;

	(void)state;
	world_now(&w);
	for (int i = 0; i < 3; i++)
		assert_ok(publish("v", at, 0, NULL));
	assert_int_equal(info_of("v").n_targets, 1);
	assert_sh("test $(grep -c ' %s ' /proc/self/mountinfo) = 1", at);
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_false(is_mounted(at));
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* CSI drivers: staging mounts and bind mounts that nobody took away. */
void nothing_is_staged_beside_a_publish(void **state)
{
	const char *at = fs_volume("v", "ext4");
	struct world before, published;

	(void)state;
	world_now(&before);
	assert_ok(publish("v", at, 0, NULL));
	world_now(&published);
	assert_int_equal(published.mounts, before.mounts + 1);
	assert_int_equal(published.loops, before.loops);
	assert_int_equal(published.fds, before.fds);
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* Convoy: JSON files that said what was mounted, and were wrong. */
void mount_taken_away_by_hand_is_noticed(void **state)
{
	const char *at = fs_volume("v", "ext4");

	(void)state;
	assert_ok(publish("v", at, 0, NULL));
	assert_int_equal(umount(at), 0);
	assert_ok(publish("v", at, 0, NULL));
	assert_true(is_mounted(at));
	assert_int_equal(umount(at), 0);
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_int_equal(info_of("v").n_targets, 0);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* Kubelet and its subpaths: a symbolic link in a pod's target led onto the host. */
void symbolic_link_as_target_leads_nowhere(void **state)
{
	(void)state;
	(void)fs_volume("v", "ext4");
	(void)make_dir("host");
	assert_sh("ln -sfn host %s/link && mkdir -p %s/host/sub", dir, dir);
	assert_kvol(publish("v", in_dir("link"), 0, NULL), -ELOOP, KVOL_R_INVALID);
	assert_kvol(publish("v", in_dir("link/sub"), 0, NULL), -ELOOP, KVOL_R_INVALID);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* LVM: a removal that fails half way, because somebody has the device open. */
void busy_device_is_refused_and_kept(void **state)
{
	const char *at = raw_volume("v");
	int fd;

	(void)state;
	assert_ok(publish("v", at, KVOL_PUBLISH_BLOCK, NULL));
	fd = open(info_of("v").device, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	watched("delete of an open device");
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	unwatched();
	assert_non_null(strstr(err.msg, "'v'"));
	assert_true(exists("v"));
	assert_int_equal(close(fd), 0);
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* df and mountinfo showed a source that was no device: what reads them broke. */
void mount_source_is_a_device_that_exists(void **state)
{
	const char *at = fs_volume("v", "xfs");
	struct stat st;
	char source[64];

	(void)state;
	assert_ok(publish("v", at, 0, NULL));
	assert_sh("findmnt -no SOURCE %s", at);
	assert_int_equal(sscanf(sh_output(), "%63s", source), 1);
	assert_string_equal(source, info_of("v").device);
	assert_int_equal(stat(source, &st), 0);
	assert_true(S_ISBLK(st.st_mode));
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* --- File systems that are there twice -------------------------------------------- */

/* Origin, clone, and a clone of a live snapshot, all mounted at once. */
static void clones_beside_their_origin(const char *fs_type)
{
	static const char *const names[] = { "v", "copied", "later" };
	const char *at = fs_volume("v", fs_type);

	assert_ok(publish("v", at, 0, NULL));
	write_file(in_dir("v.at/file"), "v");
	assert_ok(kvol_clone(pool, "v", "copied", NULL, &err));
	assert_ok(kvol_snapshot(pool, "v", "shot", NULL, &err));
	assert_ok(kvol_clone(pool, "shot", "later", NULL, &err));
	assert_ok(publish("copied", make_dir("copied.at"), 0, NULL));
	assert_ok(publish("later", make_dir("later.at"), 0, NULL));
	assert_ok(publish("shot", make_dir("shot.at"), 0, NULL));
	for (size_t i = 1; i < N_OF(names); i++) {
		assert_string_equal(read_file(in_dir("%s.at/file", names[i])), "v");
		write_file(in_dir("%s.at/file", names[i]), names[i]);
	}
	for (size_t i = 0; i < N_OF(names); i++)
		assert_string_equal(read_file(in_dir("%s.at/file", names[i])), names[i]);
	assert_string_equal(read_file(in_dir("shot.at/file")), "v");
	assert_ok(kvol_unpublish(pool, "shot", in_dir("shot.at"), NULL, &err));
	assert_ok(kvol_delete(pool, "shot", 0, &err));
	for (size_t i = 0; i < N_OF(names); i++) {
		assert_ok(kvol_unpublish(pool, names[i], in_dir("%s.at", names[i]), NULL,
					 &err));
		assert_ok(kvol_delete(pool, names[i], 0, &err));
	}
}

/* Stratis and CSI drivers: XFS refuses a second file system of the same UUID. */
void xfs_clone_mounts_beside_its_origin(void **state)
{
	(void)state;
	clones_beside_their_origin("xfs");
}

/* Btrfs mixes up two devices of the same UUID: the clone shows what the origin has. */
void btrfs_clone_mounts_beside_its_origin(void **state)
{
	(void)state;
	clones_beside_their_origin("btrfs");
}

void ext4_clone_mounts_beside_its_origin(void **state)
{
	(void)state;
	clones_beside_their_origin("ext4");
}

/* Kubernetes' FormatAndMount: a device that could not be read was taken for blank. */
void publishing_never_formats_a_blank_device(void **state)
{
	const char *at = fs_volume("v", "ext4"), *node = make_file("node");

	(void)state;
	assert_ok(publish("v", node, KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("dd if=/dev/zero of=%s bs=1M count=32 conv=fsync,nocreat", node);
	assert_ok(kvol_unpublish(pool, "v", node, NULL, &err));
	before_call(NULL, false);
	assert_true(publish("v", at, 0, NULL) < 0);
	assert_null(answer_fault(err.code));
	assert_ok(publish("v", node, KVOL_PUBLISH_BLOCK, NULL));
	assert_sh("cmp -n 33554432 %s /dev/zero", node);
	assert_ok(kvol_unpublish(pool, "v", node, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* dm-thin takes a snapshot of an origin that was not suspended, and it is torn. */
void snapshot_of_a_mounted_volume_is_not_torn(void **state)
{
	const char *at = fs_volume("v", "ext4"), *node = make_file("node");

	(void)state;
	assert_ok(publish("v", at, 0, NULL));
	assert_sh("cd %s && seq 20000 > numbers && mkdir -p a/b && cp numbers a/b", at);
	assert_ok(kvol_snapshot(pool, "v", "shot", NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(
		publish("shot", node, KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY, NULL));
	assert_sh("e2fsck -fn %s", node);
	assert_ok(kvol_unpublish(pool, "shot", node, NULL, &err));
	assert_ok(publish("shot", at, 0, NULL));
	assert_sh("seq 20000 | cmp - %s/a/b/numbers", at);
	assert_ok(kvol_unpublish(pool, "shot", at, NULL, &err));
	assert_ok(kvol_delete(pool, "shot", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}
