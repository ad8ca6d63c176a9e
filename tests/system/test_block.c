// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing devices: KVOL_PUBLISH_BLOCK.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "system.h"

#define BLOCK KVOL_PUBLISH_BLOCK
#define RO    KVOL_PUBLISH_READONLY

#define SECRET "open sesame"

static char a[256], b[256];

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	(void)snprintf(a, sizeof(a), "%s", make_file("a"));
	(void)snprintf(b, sizeof(b), "%s", make_file("b"));
	assert_ok(kvol_create(pool, "v", MIB(16), NULL, &err));
	return 0;
}

/* By its secret, if it has one. */
static int publish_unlocked(const char *name, const char *target, uint32_t flags)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = flags };

	if (info_of(name).flags & KVOL_INFO_ENCRYPTED) {
		o.secret = SECRET;
		o.secret_bytes = strlen(SECRET);
	}
	return kvol_publish(pool, name, target, &o, &err);
}

static uint64_t device_bytes(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t bytes = 0;

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, BLKGETSIZE64, &bytes), 0);
	(void)close(fd);
	return bytes;
}

static void put(const char *path, const char *text)
{
	static char page[4096];
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	(void)snprintf(page, sizeof(page), "%s", text);
	assert_int_equal(pwrite(fd, page, sizeof(page), 0), sizeof(page));
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(close(fd), 0);
}

/* The first refusal that a writer meets: at open, or at the write. */
static int refusal_to_write(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), e;

	if (fd < 0)
		return errno;
	e = pwrite(fd, "x", 1, 0) == 1 && fsync(fd) == 0 ? 0 : errno;
	(void)close(fd);
	return e;
}

static void there_and_away(void **state)
{
	struct world w;
	struct stat st;

	(void)state;
	world_now(&w);
	assert_ok(publish("v", a, BLOCK, NULL));
	assert_int_equal(stat(a, &st), 0);
	assert_true(S_ISBLK(st.st_mode));
	assert_int_equal(device_bytes(a), MIB(16));
	put(a, "text");
	assert_ok(publish("v", a, BLOCK, NULL));
	assert_kvol(publish("v", a, BLOCK | RO, NULL), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_int_equal(info_of("v").n_targets, 1);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_int_equal(stat(a, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_world(&w, "a publish", __FILE__, __LINE__);
	assert_ok(publish("v", a, BLOCK, NULL));
	assert_string_equal(read_file(a), "text");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
}

static void refused(void **state)
{
	(void)state;
	assert_kvol(publish("v", make_dir("d"), BLOCK, NULL), -EISDIR, KVOL_R_INVALID);
	assert_kvol(publish("v", in_dir("absent"), BLOCK, NULL), -ENOENT,
		    KVOL_R_NOT_FOUND);
	assert_sh("cd %s && ln -s a link && mkfifo fifo", dir);
	assert_kvol(publish("v", in_dir("link"), BLOCK, NULL), -ELOOP, KVOL_R_INVALID);
	assert_kvol(publish("v", in_dir("fifo"), BLOCK, NULL), -ENOTDIR, KVOL_R_INVALID);
	assert_invalid(publish("v", a, BLOCK, "noatime"));
	assert_invalid(publish("v", a, BLOCK, "nonsense"));
	assert_kvol(publish("v", a, 0, NULL), -EINVAL, KVOL_R_UNSUPPORTED);
	assert_ok(kvol_create(pool, "w", MIB(8), NULL, &err));
	assert_ok(publish("w", a, BLOCK, NULL));
	assert_kvol(publish("v", a, BLOCK, NULL), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_int_equal(device_bytes(a), MIB(8));
	assert_ok(kvol_unpublish(pool, "w", a, NULL, &err));
}

static void read_only(void **state)
{
	(void)state;
	assert_ok(publish("v", b, BLOCK | RO, NULL));
	assert_int_not_equal(refusal_to_write(b), 0);
	assert_string_equal(read_file(b), "text");
	/* Writable beside it, and both see the same. */
	assert_ok(publish("v", a, BLOCK, NULL));
	put(a, "newer");
	assert_int_not_equal(refusal_to_write(b), 0);
	assert_string_equal(read_file(a), "newer");
	assert_int_equal(info_of("v").n_targets, 2);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_int_equal(device_bytes(b), MIB(16));
	assert_ok(kvol_unpublish(pool, "v", b, NULL, &err));
	assert_string_equal(info_of("v").device, "");
}

static void snapshots(void **state)
{
	(void)state;
	assert_ok(publish("v", a, BLOCK, NULL));
	put(a, "before");
	assert_ok(kvol_snapshot(pool, "v", "s", NULL, &err));
	put(a, "after");
	assert_ok(publish("s", b, BLOCK, NULL));
	assert_string_equal(read_file(b), "before");
	assert_string_equal(read_file(a), "after");
	assert_int_not_equal(refusal_to_write(b), 0);
	assert_ok(publish("s", b, BLOCK | RO, NULL));
	assert_ok(kvol_unpublish(pool, "s", b, NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_ok(kvol_delete(pool, "s", 0, &err));
}

static void held_open(void **state)
{
	int fd;

	(void)state;
	assert_ok(publish("v", a, BLOCK, NULL));
	fd = open(a, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_kvol(kvol_unpublish(pool, "v", a, NULL, &err), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_int_equal(close(fd), 0);
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
}

static void grown_while_in_use(void **state)
{
	(void)state;
	assert_ok(publish("v", a, BLOCK, NULL));
	assert_ok(publish("v", b, BLOCK | RO, NULL));
	assert_ok(kvol_expand(pool, "v", MIB(32), 0, &err));
	assert_int_equal(device_bytes(a), MIB(32));
	assert_int_equal(device_bytes(b), MIB(32));
	assert_string_equal(read_file(a), "after");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", b, NULL, &err));
}

static void discards_give_space_back(void **state)
{
	uint64_t range[2] = { 0, MIB(32) };
	int fd;

	(void)state;
	assert_ok(publish("v", a, BLOCK, NULL));
	assert_sh("dd if=/dev/urandom of=%s bs=1M count=8 conv=fsync", a);
	assert_true(info_of("v").allocated >= MIB(8));
	fd = open(a, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, BLKDISCARD, range), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(info_of("v").allocated, 0);
	assert_string_equal(read_file(a), "");
	assert_ok(kvol_unpublish(pool, "v", a, NULL, &err));
	/* Of an inactive volume the disk is asked, which follows with the pool's next
	 * commit. */
	for (int i = 0; info_of("v").allocated && i < 100; i++)
		(void)usleep(50000);
	assert_int_equal(info_of("v").allocated, 0);
}

/* What a container runtime does with a list of devices. */
static const char *make_node(const char *name, uint32_t dev_major, uint32_t dev_minor)
{
	const char *path = in_dir("%s", name);

	assert_true(dev_major > 0);
	assert_int_equal(mknod(path, S_IFBLK | 0600, makedev(dev_major, dev_minor)), 0);
	return path;
}

/* The device of the publish at a target. */
static const char *node_of(const char *volume, const char *target, const char *name)
{
	struct kvol_publish_info info = { .size = sizeof(info) };
	const char *path = NULL;
	struct kvol_publish_iter *iter;

	assert_ok(kvol_publish_list(pool, volume, &iter, &err));
	while (kvol_publish_iter_next(iter, &info) == 1)
		if (!strcmp(info.target, target))
			path = make_node(name, info.dev_major, info.dev_minor);
	kvol_publish_iter_free(iter);
	assert_non_null(path);
	return path;
}

static void devices_for_containers(const char *name)
{
	struct kvol_info info;
	const char *n, *m, *k;

	info = info_of(name);
	assert_int_equal(info.dev_major, 0);
	assert_int_equal(info.dev_minor, 0);
	assert_ok(publish_unlocked(name, a, BLOCK));
	assert_ok(publish_unlocked(name, b, BLOCK | RO));
	info = info_of(name);
	n = make_node("n", info.dev_major, info.dev_minor);
	m = node_of(name, a, "m");
	k = node_of(name, b, "k");
	put(n, "by the node");
	assert_string_equal(read_file(a), "by the node");
	assert_string_equal(read_file(b), "by the node");
	assert_string_equal(read_file(m), "by the node");
	assert_string_equal(read_file(k), "by the node");
	put(a, "by the publish");
	assert_string_equal(read_file(n), "by the publish");
	assert_int_equal(refusal_to_write(m), 0);
	assert_int_not_equal(refusal_to_write(k), 0);
	assert_int_not_equal(refusal_to_write(b), 0);
	assert_ok(kvol_unpublish(pool, name, a, NULL, &err));
	/* The read-only one is not the volume's. */
	info = info_of(name);
	assert_sh("test $(stat -c %%t:%%T %s) != $(printf %%x:%%x %u %u)", b,
		  info.dev_major, info.dev_minor);
	assert_ok(kvol_unpublish(pool, name, b, NULL, &err));
	assert_int_equal(info_of(name).dev_major, 0);
	assert_sh("cd %s && rm n m k", dir);
}

static uint64_t bytes_of(int fd)
{
	uint64_t bytes = 0;

	assert_int_equal(ioctl(fd, BLKGETSIZE64, &bytes), 0);
	return bytes;
}

/* Who holds it open sees it grow. */
static void grown_under_a_holder(const char *name, uint64_t from, uint64_t to)
{
	int fd, ro;

	assert_ok(publish_unlocked(name, a, BLOCK));
	assert_ok(publish_unlocked(name, b, BLOCK | RO));
	fd = open(a, O_RDWR | O_CLOEXEC);
	ro = open(b, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && ro >= 0);
	assert_int_equal(bytes_of(fd), from);
	assert_int_equal(bytes_of(ro), from);
	assert_ok(kvol_expand(pool, name, to, 0, &err));
	assert_int_equal(bytes_of(fd), to);
	assert_int_equal(bytes_of(ro), to);
	assert_int_equal(pwrite(fd, "end", 3, (off_t)to - 512), 3);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(ro), 0);
	assert_sh("test $(tail -c 512 %s | head -c 3) = end", b);
	assert_ok(kvol_unpublish(pool, name, a, NULL, &err));
	assert_ok(kvol_unpublish(pool, name, b, NULL, &err));
}

static void nodes_and_holders(void **state)
{
	(void)state;
	devices_for_containers("v");
	grown_under_a_holder("v", MIB(32), MIB(48));
}

static void nodes_and_holders_encrypted(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .secret = SECRET,
				      .secret_bytes = strlen(SECRET) };
	int r;

	(void)state;
	r = kvol_create(pool, "safe", MIB(16), &o, &err);
	if (r == -EOPNOTSUPP && err.reason == KVOL_R_UNSUPPORTED) {
		print_message("# no libcryptsetup in this library: %s\n", err.msg);
		skip();
	}
	assert_int_equal(r, 0);
	devices_for_containers("safe");
	grown_under_a_holder("safe", MIB(16), MIB(24));
}

/* A file system as a device: for a virtual machine, say. */
static void of_a_file_system(void **state)
{
	(void)state;
	assert_ok(create_fs("fs", MIB(64), "ext4"));
	assert_ok(publish("fs", a, BLOCK, NULL));
	assert_sh("e2fsck -fn %s", a);
	assert_ok(kvol_expand(pool, "fs", MIB(128), 0, &err));
	assert_int_equal(device_bytes(a), MIB(128));
	assert_ok(kvol_unpublish(pool, "fs", a, NULL, &err));
	/* Nobody touched the file system while somebody had the device; now it follows.
	 */
	assert_ok(kvol_publish(pool, "fs", make_dir("d"), NULL, &err));
	assert_true(fs_bytes(in_dir("d")) > MIB(100));
	assert_ok(kvol_unpublish(pool, "fs", in_dir("d"), NULL, &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_away),
		cmocka_unit_test(refused),
		cmocka_unit_test(read_only),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(held_open),
		cmocka_unit_test(grown_while_in_use),
		cmocka_unit_test(discards_give_space_back),
		cmocka_unit_test(nodes_and_holders),
		cmocka_unit_test(nodes_and_holders_encrypted),
		cmocka_unit_test(of_a_file_system),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("block", tests, up, pool_down_encrypted);
}
