// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The floor: the ioctls and mount calls that the same work cannot do without, from one
 * process, through the library's own adapters, which add nothing to them; and for each
 * durable change one 4 KiB write with a flush, at a place of its own on the same disk.
 * There is no catalogue, no lock, no check, no status read back, and no recovery from
 * anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "bench.h"
#include "blockdev.h"
#include "crypt.h"
#include "dm.h"
#include "fs.h"
#include "layout.h"
#include "luks.h"
#include "mount.h"
#include "stack.h"
#include "thin.h"

#define ORIGIN	     1u
#define VOLUME	     2u
#define SCRATCH	     3u
#define SAFE	     4u
#define EMPTY	     5u /* file systems that were never mounted */
#define EMPTY_LARGE  6u
#define CYCLE_ORIGIN 100u
#define BUSY	     20u
#define FLEET	     300u
#define BUSY_COPY    30000u
#define CYCLE	     1000u

#define GIB    (UINT64_C(1) << 30)
#define TIB    (UINT64_C(1) << 40)
#define OPENED "bench-safe" /* what libcryptsetup calls the device */

static struct kv_dm dm;
static struct kv_layout layout;
static struct kv_stack stack;
static struct kv_dm_id pool_id;
static int disk_fd;
static char mounted[256], target[256], block[MAX_THREADS][256];
static char busy[MAX_THREADS][256], fleet[N_FLEET][256];

/* A thread's own 4 KiB of the catalogue partition, which nothing else uses here. */
static void write_flush(int slot)
{
	static _Alignas(4096) char page[4096];

	check(kv_pwrite_full(disk_fd, page, sizeof(page),
			     layout.catalogue.start_bytes +
				     (uint64_t)slot * sizeof(page)),
	      "write");
	if (fdatasync(disk_fd) < 0)
		die("flush: %s", strerror(errno));
}

static void message(int (*make)(char *, uint32_t), uint32_t id)
{
	char msg[KV_THIN_LINE];

	check(make(msg, id), "message");
	check(kv_dm_message(&dm, pool_id.uuid, msg), msg);
}

static void snapshot(uint32_t id, uint32_t origin)
{
	char msg[KV_THIN_LINE];

	check(kv_thin_msg_snapshot(msg, id, origin), "message");
	check(kv_dm_message(&dm, pool_id.uuid, msg), msg);
}

/* params has the room for the target's. */
static struct kv_dm_target table_of(uint32_t id, uint64_t bytes, struct kv_dm_id *ret_id,
				    char params[KV_THIN_LINE])
{
	kv_dm_id_volume(ret_id, layout.uuid, id, KV_FACE_THIN);
	check(kv_thin_params(params, stack.pool, id), "table");
	return (struct kv_dm_target){ .length_sectors = bytes / KV_SECTOR,
				      .type = "thin",
				      .params = params };
}

static dev_t activate(uint32_t id, uint64_t bytes)
{
	char params[KV_THIN_LINE];
	struct kv_dm_id dm_id;
	struct kv_dm_target t = table_of(id, bytes, &dm_id, params);
	dev_t dev;

	check(kv_dm_create(&dm, &dm_id, &t, 0, &dev), "activate");
	return dev;
}

static void deactivate(uint32_t id)
{
	struct kv_dm_id dm_id;

	kv_dm_id_volume(&dm_id, layout.uuid, id, KV_FACE_THIN);
	check(kv_dm_remove(&dm, dm_id.uuid, 0), "deactivate");
}

static void move(int mnt, const char *where)
{
	int fd = open(where, O_PATH | O_CLOEXEC);

	if (fd < 0 || mnt < 0)
		die("%s: %s", where, strerror(errno));
	if (move_mount(mnt, "", fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		die("%s: %s", where, strerror(errno));
	close(fd);
	close(mnt);
}

static void mount_volume(dev_t dev, const char *where)
{
	char path[KV_DEV_PATH];

	check(kv_blockdev_path(dev, path), "device");
	move(kv_mount_device("ext4", path, NULL, NULL, false, NULL, 0), where);
}

static void unmount(const char *where)
{
	if (umount2(where, UMOUNT_NOFOLLOW) < 0)
		die("umount %s: %s", where, strerror(errno));
}

static void make_fs(dev_t dev)
{
	char path[KV_DEV_PATH];

	check(kv_blockdev_path(dev, path), "device");
	check(kv_fs_find("ext4")->make(path, layout.uuid, true, NULL, 0), "mkfs");
}

static void make_volume(uint32_t id, uint64_t bytes)
{
	message(kv_thin_msg_create, id);
	make_fs(activate(id, bytes));
	deactivate(id);
}

static void new_volume(uint32_t id, uint32_t empty, uint64_t bytes, int thread,
		       const char *where)
{
	snapshot(id, empty);
	mount_volume(activate(id, bytes), where);
	write_flush(thread);
}

/* The device's table, and the file system: a volume on its mount. */
static void expand(uint32_t id, uint64_t bytes, const char *where)
{
	char params[KV_THIN_LINE];
	struct kv_dm_id dm_id;
	struct kv_dm_target t = table_of(id, bytes, &dm_id, params);
	int fd;

	check(kv_dm_reload(&dm, dm_id.uuid, &t, 0), "reload");
	check(kv_dm_suspend(&dm, dm_id.uuid, 0), "suspend");
	check(kv_dm_resume(&dm, dm_id.uuid), "resume");
	fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", where, strerror(errno));
	check(kv_fs_find("ext4")->grow(fd, bytes), "grow");
	close(fd);
	write_flush(0);
}

/* From the thin device to the mount. */
static void unlock(const char *where)
{
	char path[KV_DEV_PATH];
	struct stat st;

	check(kv_blockdev_path(activate(SAFE, GIB + KV_CRYPT_HEADER_BYTES), path), "device");
	luks_open(path, OPENED, SECRET, strlen(SECRET));
	if (stat("/dev/mapper/" OPENED, &st) < 0)
		die("/dev/mapper/" OPENED ": %s", strerror(errno));
	mount_volume(st.st_rdev, where);
}

static void lock_again(const char *where)
{
	unmount(where);
	luks_close(OPENED);
	deactivate(SAFE);
}

/* With the header that kvol makes. */
static void make_encrypted(void)
{
	const struct kv_secret secret = { SECRET, strlen(SECRET) };
	_Alignas(64) char key[KV_CRYPT_KEY_BYTES];
	char path[KV_DEV_PATH];
	struct stat st;
	int fd;

	if (!luks_known())
		return;
	message(kv_thin_msg_create, SAFE);
	check(kv_blockdev_path(activate(SAFE, GIB + KV_CRYPT_HEADER_BYTES), path), "device");
	fd = open(path, O_RDWR | O_CLOEXEC);
	check(kv_crypt_format(fd, layout.uuid, &secret, key), "LUKS2 header");
	close(fd);
	luks_open(path, OPENED, SECRET, strlen(SECRET));
	if (stat("/dev/mapper/" OPENED, &st) < 0)
		die("/dev/mapper/" OPENED ": %s", strerror(errno));
	make_fs(st.st_rdev);
	luks_close(OPENED);
	deactivate(SAFE);
}

static void open_pool(const char *disk, const char *dir)
{
	struct kv_geometry geo = { 0 };
	uint64_t bytes, least;
	struct stat st;

	snprintf(mounted, sizeof(mounted), "%s/bare-origin", dir);
	snprintf(target, sizeof(target), "%s/bare-target", dir);
	make_dir(mounted);
	make_dir(target);
	check(kv_dm_open(&dm), "device-mapper");
	disk_fd = open(disk, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk_fd < 0 || fstat(disk_fd, &st) < 0)
		die("%s: %s", disk, strerror(errno));
	check(kv_blockdev_size(disk_fd, &bytes), disk);
	check(kv_layout_plan(bytes, &geo, &layout, &least), disk);
	check(kv_uuid_new(layout.uuid), "uuid");
	check(kv_blockdev_zero(disk_fd, layout.metadata.start_bytes, 1 << 20), disk);
	check(kv_stack_map_pool(&dm, &layout, st.st_rdev, geo.block_bytes, true, &stack),
	      "thin pool");
	kv_dm_id_part(&pool_id, layout.uuid, "pool");
	make_volume(ORIGIN, 10 * GIB);
	mount_volume(activate(ORIGIN, 10 * GIB), mounted);
	make_volume(VOLUME, 10 * GIB);
	make_volume(EMPTY, 10 * GIB);
	make_volume(EMPTY_LARGE, TIB);
	make_encrypted();
	for (uint32_t t = 0; t < MAX_THREADS; t++) {
		message(kv_thin_msg_create, CYCLE_ORIGIN + t);
		snprintf(block[t], sizeof(block[t]), "%s/bare-block-%" PRIu32, dir, t);
		make_file(block[t]);
		snprintf(busy[t], sizeof(busy[t]), "%s/bare-busy-%" PRIu32, dir, t);
		make_dir(busy[t]);
		make_volume(BUSY + t, 10 * GIB);
		mount_volume(activate(BUSY + t, 10 * GIB), busy[t]);
	}
	for (int n = 0; n < N_FLEET; n++) {
		snprintf(fleet[n], sizeof(fleet[n]), "%s/bare-fleet-%d", dir, n);
		make_dir(fleet[n]);
	}
}

static void before(enum op op, int i)
{
	(void)i;
	if (op == OP_UNPUBLISH)
		mount_volume(activate(VOLUME, 10 * GIB), target);
	else if (op == OP_DELETE)
		message(kv_thin_msg_create, SCRATCH);
}

static void snapshot_mounted(uint32_t id, uint32_t source, int slot)
{
	struct kv_dm_id origin;

	kv_dm_id_volume(&origin, layout.uuid, source, KV_FACE_THIN);
	check(kv_dm_suspend(&dm, origin.uuid, KV_DM_LOCKFS | KV_DM_FLUSH), "suspend");
	snapshot(id, source);
	check(kv_dm_resume(&dm, origin.uuid), "resume");
	write_flush(slot);
}

static void run(enum op op, int i)
{
	switch (op) {
	case OP_SNAPSHOT:
		snapshot_mounted(SCRATCH, ORIGIN, 0);
		break;
	case OP_CREATE:
		message(kv_thin_msg_create, SCRATCH);
		write_flush(0);
		break;
	case OP_PUBLISH:
		mount_volume(activate(VOLUME, 10 * GIB), target);
		break;
	case OP_UNPUBLISH:
		unmount(target);
		deactivate(VOLUME);
		break;
	case OP_DELETE:
		message(kv_thin_msg_delete, SCRATCH);
		write_flush(0);
		break;
	case OP_NEW:
		new_volume(SCRATCH, EMPTY, 10 * GIB, 0, target);
		break;
	case OP_LARGE:
		new_volume(SCRATCH, EMPTY_LARGE, TIB, 0, target);
		break;
	case OP_CLONE:
		new_volume(SCRATCH, VOLUME, 10 * GIB, 0, target);
		break;
	case OP_EXPAND:
		expand(ORIGIN, (11 + (uint64_t)i) * GIB, mounted);
		break;
	case OP_UNLOCK:
		unlock(target);
		break;
	case N_OPS:
		break;
	}
}

static void after(enum op op, int i)
{
	(void)i;
	if (op == OP_SNAPSHOT || op == OP_CREATE) {
		message(kv_thin_msg_delete, SCRATCH);
	} else if (op == OP_PUBLISH) {
		unmount(target);
		deactivate(VOLUME);
	} else if (op == OP_UNLOCK) {
		lock_again(target);
	} else if (op == OP_NEW || op == OP_LARGE || op == OP_CLONE) {
		unmount(target);
		deactivate(SCRATCH);
		message(kv_thin_msg_delete, SCRATCH);
	}
}

static void cycle(int thread, int i)
{
	uint32_t id = CYCLE + (uint32_t)thread * 1000 + (uint32_t)i % 1000;
	char path[KV_DEV_PATH];
	dev_t dev;

	snapshot(id, CYCLE_ORIGIN + (uint32_t)thread);
	write_flush(thread);
	dev = activate(id, GIB);
	check(kv_blockdev_path(dev, path), "device");
	move(kv_mount_node(path, dev, 0), block[thread]);
	unmount(block[thread]);
	deactivate(id);
	message(kv_thin_msg_delete, id);
	write_flush(thread);
}

static void appear(int n)
{
	new_volume(FLEET + (uint32_t)n, EMPTY, 10 * GIB, n % N_THREADS, fleet[n]);
}

static void vanish(int n)
{
	unmount(fleet[n]);
	deactivate(FLEET + (uint32_t)n);
	message(kv_thin_msg_delete, FLEET + (uint32_t)n);
}

static uint32_t busy_copy(int thread, int i)
{
	return BUSY_COPY + (uint32_t)(thread * 32 + i);
}

static void snapshot_busy(int thread, int i)
{
	snapshot_mounted(busy_copy(thread, i), BUSY + (uint32_t)thread, thread);
}

static void forget_busy(int thread, int i)
{
	message(kv_thin_msg_delete, busy_copy(thread, i));
}

static void close_pool(void)
{
	for (uint32_t t = 0; t < MAX_THREADS; t++) {
		unmount(busy[t]);
		deactivate(BUSY + t);
	}
	unmount(mounted);
	deactivate(ORIGIN);
	check(kv_stack_remove(&dm, layout.uuid), "thin pool");
	close(disk_fd);
	kv_dm_close(&dm);
}

const struct contestant bare = {
	.name = "bare",
	.open = open_pool,
	.before = before,
	.run = run,
	.after = after,
	.cycle = cycle,
	.appear = appear,
	.vanish = vanish,
	.snapshot = snapshot_busy,
	.forget = forget_busy,
	.close = close_pool,
};
