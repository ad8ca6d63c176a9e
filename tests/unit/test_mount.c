/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Detached mounts, targets and namespaces, on real file systems in loop devices. Needs
 * root, and works in a mount namespace of its own, whose end takes everything with it.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "blockdev.h"
#include "fs.h"
#include "loop.h"
#include "mount.h"

#define UUID "0f2b7a52-5a3c-4c43-9d9f-5a0c6a3c8b11"
#define COPY "1d3c8b63-6b4d-4d54-8eae-6b1d7b4d9c22"
#define MIB  (UINT64_C(1) << 20)

/* <sys/mount.h> and <linux/mount.h> do not go together. */
int mount(const char *source, const char *target, const char *type, unsigned long flags,
	  const void *data);
int umount(const char *target);
int umount2(const char *target, int flags);

static char top[] = "/tmp/kvol-test-mount-XXXXXX";
static char detail[256];

struct volume {
	char file[64];
	char path[KV_DEV_PATH];
	dev_t dev;
	int file_fd, loop_fd;
};

static void attach_file(struct volume *v)
{
	v->file_fd = open(v->file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(v->file_fd >= 0);
	v->loop_fd = kv_loop_attach(v->file_fd, v->file, &v->dev);
	assert_true(v->loop_fd >= 0);
	assert_int_equal(kv_blockdev_path(v->dev, v->path), 0);
}

static void make_volume(struct volume *v, const char *name, const char *fs,
			uint64_t bytes)
{
	(void)snprintf(v->file, sizeof(v->file), "%s/%s.img", top, name);
	(void)unlink(v->file);
	assert_int_equal(mknod(v->file, S_IFREG | 0600, 0), 0);
	assert_int_equal(truncate(v->file, (off_t)bytes), 0);
	if (fs)
		assert_int_equal(
			kv_fs_find(fs)->make(v->file, UUID, true, detail, sizeof(detail)), 0);
	attach_file(v);
}

static void resize_volume(struct volume *v, uint64_t bytes)
{
	assert_int_equal(ftruncate(v->file_fd, (off_t)bytes), 0);
	assert_int_equal(ioctl(v->loop_fd, LOOP_SET_CAPACITY), 0);
}

/* That the device is free afterwards is what most tests here are about. */
static void drop_volume(struct volume *v)
{
	int fd = kv_blockdev_open_exclusive(v->path);

	assert_true(fd >= 0);
	(void)close(fd);
	(void)close(v->loop_fd);
	(void)close(v->file_fd);
	assert_int_equal(unlink(v->file), 0);
}

static const char *path_of(const char *name)
{
	static char paths[32][128];
	static unsigned next;
	char *p = paths[next++ % 32];

	(void)snprintf(p, sizeof(paths[0]), "%s/%s", top, name);
	return p;
}

static const char *make_dir(const char *name)
{
	const char *p = path_of(name);

	assert_true(mkdir(p, 0700) == 0 || errno == EEXIST);
	return p;
}

static uint64_t hash_mounts(void)
{
	static char buf[1 << 18];

	assert_int_equal(kv_read_file_at(AT_FDCWD, "/proc/thread-self/mountinfo", buf,
					 sizeof(buf)),
			 0);
	return kv_hash64(buf, strlen(buf), 0);
}

/* Mounts and attaches in one go. */
static void publish(const char *fs, const struct volume *v,
		    const struct kv_mount_opts *opts, const char *path)
{
	struct kv_target t;
	int mnt_fd;

	mnt_fd = kv_mount_device(fs, v->path, kv_fs_find(fs)->mount_options, opts, false,
				 detail, sizeof(detail));
	if (mnt_fd < 0)
		fail_msg("%s: %s (%d)", fs, detail, mnt_fd);
	assert_int_equal(kv_target_open(path, &t), 0);
	assert_false(t.mount_root);
	assert_int_equal(kv_target_attach(&t, mnt_fd), 0);
	(void)close(t.fd);
	(void)close(mnt_fd);
}

static void inspect(const char *path, struct kv_target *t)
{
	assert_int_equal(kv_target_open(path, t), 0);
	t->fd = kv_close(t->fd);
}

static void unpublish(const char *path)
{
	struct kv_target t;

	inspect(path, &t);
	assert_true(t.mount_root);
	assert_int_equal(kv_target_detach(path, &t), 0);
}

/* --- Detached mounts -------------------------------------------------------------- */

static void closed_mount_leaves_nothing(void **state)
{
	uint64_t before = hash_mounts();
	struct volume v;
	int mnt_fd, fd;

	(void)state;
	make_volume(&v, "a", "ext4", 16 * MIB);
	mnt_fd = kv_mount_device("ext4", v.path, NULL, NULL, false, detail,
				 sizeof(detail));
	assert_true(mnt_fd >= 0);
	assert_true(fcntl(mnt_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(kv_blockdev_open_exclusive(v.path), -EBUSY);
	fd = kv_mount_root(mnt_fd);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(syncfs(fd), 0);
	assert_int_equal(hash_mounts(), before);
	(void)close(fd);
	(void)close(mnt_fd);
	assert_int_equal(hash_mounts(), before);
	drop_volume(&v);
}

static void mount_appears_with_its_options(void **state)
{
	const char *dir = make_dir("t");
	struct kv_mount_opts opts;
	uint64_t before = hash_mounts();
	struct statvfs st;
	struct volume v;

	(void)state;
	assert_int_equal(
		kv_mount_opts_parse("ro,nosuid,nodev,noexec,noatime,errors=remount-ro",
				    &opts, NULL),
		0);
	make_volume(&v, "a", "ext4", 16 * MIB);
	publish("ext4", &v, &opts, dir);
	assert_int_equal(statvfs(dir, &st), 0);
	assert_int_equal(
		st.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME),
		ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME);
	unpublish(dir);
	assert_int_equal(hash_mounts(), before);
	drop_volume(&v);
}

/* One publish is read-only, the other is not: both are of one superblock. */
static void read_only_is_the_mount_s_own(void **state)
{
	const char *a = make_dir("a"), *b = make_dir("b");
	struct kv_mount_opts ro;
	struct volume v;

	(void)state;
	assert_int_equal(kv_mount_opts_parse("ro", &ro, NULL), 0);
	make_volume(&v, "a", "ext4", 16 * MIB);
	publish("ext4", &v, &ro, a);
	publish("ext4", &v, NULL, b);
	assert_int_equal(mkdir(path_of("a/x"), 0700), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(mkdir(path_of("b/x"), 0700), 0);
	assert_int_equal(access(path_of("a/x"), F_OK), 0);
	unpublish(a);
	unpublish(b);
	drop_volume(&v);
}

static void read_only_superblock_excludes_a_writable_one(void **state)
{
	struct volume v;
	int mnt_fd;

	(void)state;
	make_volume(&v, "a", "ext4", 16 * MIB);
	mnt_fd =
		kv_mount_device("ext4", v.path, NULL, NULL, true, detail, sizeof(detail));
	assert_true(mnt_fd >= 0);
	assert_int_equal(kv_mount_device("ext4", v.path, NULL, NULL, false, detail,
					 sizeof(detail)),
			 -EBUSY);
	(void)close(mnt_fd);
	drop_volume(&v);
}

static void kernel_s_refusal_is_explained(void **state)
{
	struct kv_mount_opts opts;
	struct volume v;

	(void)state;
	make_volume(&v, "a", "ext4", 16 * MIB);
	assert_int_equal(kv_mount_opts_parse("nonsense=1", &opts, NULL), 0);
	assert_int_equal(kv_mount_device("ext4", v.path, NULL, &opts, false, detail,
					 sizeof(detail)),
			 -EINVAL);
	assert_non_null(strstr(detail, "nonsense"));
	assert_int_equal(kv_mount_device("ext4", v.path, NULL, &opts, false, NULL, 0),
			 -EINVAL);
	assert_int_equal(
		kv_mount_opts_parse("a=\"" UUID UUID UUID UUID UUID UUID UUID UUID "\"",
				    &opts, NULL),
		0);
	assert_int_equal(kv_mount_device("ext4", v.path, NULL, &opts, false, detail,
					 sizeof(detail)),
			 -EINVAL);
	assert_int_equal(kv_mount_device("ext5", v.path, NULL, NULL, false, detail,
					 sizeof(detail)),
			 -EOPNOTSUPP);
	assert_int_equal(kv_mount_device("ext4", "/dev/no-such", NULL, NULL, false,
					 detail, sizeof(detail)),
			 -ENOENT);
	drop_volume(&v);
}

/* --- Targets ---------------------------------------------------------------------- */

static void links_are_not_followed(void **state)
{
	struct kv_target t = { .fd = -7 };

	(void)state;
	(void)make_dir("real");
	(void)make_dir("real/sub");
	assert_int_equal(symlink("real", path_of("link")), 0);
	assert_int_equal(kv_target_open(path_of("link"), &t), -ELOOP);
	assert_int_equal(kv_target_open(path_of("link/sub"), &t), -ELOOP);
	assert_int_equal(kv_target_open("/proc/self/cwd/x", &t), -ELOOP);
	assert_int_equal(kv_target_open(path_of("real/none"), &t), -ENOENT);
	assert_int_equal(kv_target_open("tmp", &t), -EINVAL);
	assert_int_equal(kv_target_open("", &t), -EINVAL);
	assert_int_equal(kv_target_open(NULL, &t), -EINVAL);
	assert_int_equal(kv_target_open("/", &t), -EINVAL);
	assert_int_equal(kv_target_open(path_of("real/sub/.."), &t), -EINVAL);
	assert_int_equal(t.fd, -7);
	assert_int_equal(kv_target_open(path_of("real/sub"), &t), 0);
	assert_true(S_ISDIR(t.mode));
	assert_false(t.mount_root);
	(void)close(t.fd);
	assert_int_equal(unlink(path_of("link")), 0);
}

static void only_the_inspected_mount_is_detached(void **state)
{
	const char *dir = make_dir("t");
	struct kv_target bare, first, second;
	struct volume v;

	(void)state;
	make_volume(&v, "a", "ext4", 16 * MIB);
	inspect(dir, &bare);
	assert_int_equal(kv_target_detach(dir, &bare), -ESTALE);
	publish("ext4", &v, NULL, dir);
	inspect(dir, &first);
	assert_true(first.mount_root);
	assert_int_equal(first.dev, v.dev);
	assert_int_equal(kv_target_detach(dir, &bare), -ESTALE);
	/* something else on top */
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
	inspect(dir, &second);
	assert_int_equal(kv_target_detach(dir, &first), -ESTALE);
	assert_int_equal(kv_target_detach(dir, &second), 0);
	assert_int_equal(kv_target_detach(dir, &second), -ESTALE);
	assert_int_equal(kv_target_detach(dir, &first), 0);
	assert_int_equal(kv_target_detach(dir, &first), -ESTALE);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(kv_target_detach(dir, &first), -ESTALE);
	assert_int_equal(kv_target_detach(path_of("gone/t"), &first), -ESTALE);
	drop_volume(&v);
}

/* XFS_IOC_GOINGDOWN, and ext4's word for it; <linux/...> has neither. */
#define GOINGDOWN	 _IOR('X', 125, uint32_t)
#define GOINGDOWN_NO_LOG 2

static void shut_down(const char *dir)
{
	uint32_t how = GOINGDOWN_NO_LOG;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, GOINGDOWN, &how), 0);
	(void)close(fd);
}

/* XFS answers no statx then; only the mount's id is known, and nothing of what is below
 * its root. */
static void mount_of_a_dead_file_system_is_detached(void **state)
{
	const char *dir = make_dir("t");
	struct kv_target alive, dead, below, other;
	struct volume v;
	int mnt_fd;

	(void)state;
	make_volume(&v, "a", "xfs", 320 * MIB);
	publish("xfs", &v, NULL, dir);
	(void)make_dir("t/below");
	inspect(dir, &alive);
	assert_false(alive.dead);
	shut_down(dir);
	inspect(dir, &dead);
	assert_true(dead.dead && dead.mount_root);
	assert_int_equal(dead.mnt_id, alive.mnt_id);
	assert_int_equal(kv_target_open(path_of("t/below"), &below), -EIO);
	assert_int_equal(kv_target_open(path_of("t/none"), &below), -EIO);
	/* Another mount of it is dead from its beginning. */
	mnt_fd = kv_mount_device("xfs", v.path, NULL, NULL, false, detail,
				 sizeof(detail));
	assert_true(mnt_fd >= 0);
	assert_int_equal(kv_target_describe(mnt_fd, &below), -EIO);
	assert_int_equal(kv_mount_root(mnt_fd), -EIO);
	(void)close(mnt_fd);

	other = dead;
	other.mnt_id++;
	assert_int_equal(kv_target_detach(dir, &other), -ESTALE);
	/* Something else on top, that answers. */
	assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
	assert_int_equal(kv_target_detach(dir, &dead), -ESTALE);
	assert_int_equal(umount(dir), 0);
	/* Looked at while it was alive, or not. */
	assert_int_equal(kv_target_detach(dir, &alive), 0);
	assert_int_equal(kv_target_detach(dir, &dead), -ESTALE);
	publish("xfs", &v, NULL, dir);
	shut_down(dir);
	inspect(dir, &dead);
	assert_int_equal(kv_target_detach(dir, &dead), 0);
	assert_int_equal(rmdir(dir), 0);
	drop_volume(&v);
}

static void exchanged_parent_is_not_followed(void **state)
{
	struct kv_target t;
	struct volume v;

	(void)state;
	(void)make_dir("p");
	(void)make_dir("p/t");
	make_volume(&v, "a", "ext4", 16 * MIB);
	publish("ext4", &v, NULL, path_of("p/t"));
	inspect(path_of("p/t"), &t);
	assert_int_equal(rename(path_of("p"), path_of("q")), 0);
	assert_int_equal(symlink("q", path_of("p")), 0);
	assert_int_equal(kv_target_detach(path_of("p/t"), &t), -ESTALE);
	assert_int_equal(unlink(path_of("p")), 0);
	(void)make_dir("p");
	(void)make_dir("p/t");
	assert_int_equal(kv_target_detach(path_of("p/t"), &t), -ESTALE);
	assert_int_equal(kv_target_detach(path_of("q/t"), &t), 0);
	drop_volume(&v);
}

static void used_mount_is_busy(void **state)
{
	const char *dir = make_dir("t");
	char before[256], after[256];
	struct kv_target t;
	struct volume v;
	int fd;

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	make_volume(&v, "a", "ext4", 16 * MIB);
	publish("ext4", &v, NULL, dir);
	inspect(dir, &t);
	fd = open(path_of("t/lost+found"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(kv_target_detach(dir, &t), -EBUSY);
	(void)close(fd);
	(void)make_dir("t/sub");
	assert_int_equal(mount("tmpfs", path_of("t/sub"), "tmpfs", 0, NULL), 0);
	assert_int_equal(kv_target_detach(dir, &t), -EBUSY);
	assert_int_equal(umount(path_of("t/sub")), 0);
	assert_int_equal(kv_target_detach(dir, &t), 0);
	assert_non_null(getcwd(after, sizeof(after)));
	assert_string_equal(before, after);
	drop_volume(&v);
}

static void directory_does_not_go_onto_a_file(void **state)
{
	struct kv_target t;
	struct volume v;
	int mnt_fd;

	(void)state;
	assert_int_equal(mknod(path_of("f"), S_IFREG | 0600, 0), 0);
	make_volume(&v, "a", "ext4", 16 * MIB);
	mnt_fd = kv_mount_device("ext4", v.path, NULL, NULL, false, detail,
				 sizeof(detail));
	assert_true(mnt_fd >= 0);
	assert_int_equal(kv_target_open(path_of("f"), &t), 0);
	assert_true(S_ISREG(t.mode));
	assert_int_equal(kv_target_attach(&t, mnt_fd), -EINVAL);
	(void)close(t.fd);
	(void)close(mnt_fd);
	assert_int_equal(unlink(path_of("f")), 0);
	drop_volume(&v);
}

/* --- Device nodes ----------------------------------------------------------------- */

static bool is_shared(const char *path)
{
	static char buf[1 << 18];
	char *line, *end;

	assert_int_equal(kv_read_file_at(AT_FDCWD, "/proc/thread-self/mountinfo", buf,
					 sizeof(buf)),
			 0);
	line = strstr(buf, path);
	assert_non_null(line);
	end = strchr(line, '\n');
	assert_non_null(end);
	*end = '\0';
	return strstr(line, "shared:") != NULL;
}

static void node_appears_on_a_file(void **state)
{
	const char *file = path_of("node");
	uint64_t before = hash_mounts();
	struct kv_target t;
	struct volume v;
	struct stat st;
	int mnt_fd;

	(void)state;
	make_volume(&v, "a", NULL, 1 * MIB);
	assert_int_equal(mknod(file, S_IFREG | 0600, 0), 0);
	/* What stands on a shared mount must not be of its peers at the target. */
	assert_int_equal(mount(NULL, "/dev", NULL, MS_SHARED, NULL), 0);
	mnt_fd = kv_mount_node(v.path, v.dev, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOATIME);
	assert_true(mnt_fd >= 0);
	assert_int_equal(kv_target_open(file, &t), 0);
	assert_int_equal(kv_target_attach(&t, mnt_fd), 0);
	(void)close(t.fd);
	(void)close(mnt_fd);
	assert_true(is_shared(" /dev "));
	assert_false(is_shared(file));
	assert_int_equal(mount(NULL, "/dev", NULL, MS_PRIVATE, NULL), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_true(S_ISBLK(st.st_mode) && st.st_rdev == v.dev);
	inspect(file, &t);
	assert_true(t.mount_root);
	assert_int_equal(t.rdev, v.dev);
	assert_int_equal(kv_target_detach(file, &t), 0);
	assert_int_equal(hash_mounts(), before);
	assert_int_equal(unlink(file), 0);
	drop_volume(&v);
}

static void wrong_node_is_refused(void **state)
{
	struct volume v;

	(void)state;
	make_volume(&v, "a", NULL, 1 * MIB);
	assert_int_equal(kv_mount_node("/dev/no-such", v.dev, 0), -ENODEV);
	assert_int_equal(kv_mount_node("/dev/null", v.dev, 0), -ENODEV);
	assert_int_equal(kv_mount_node(v.path, v.dev + 1, 0), -ENODEV);
	assert_int_equal(symlink(v.path, path_of("link")), 0);
	assert_int_equal(kv_mount_node(path_of("link"), v.dev, 0), -ENODEV);
	assert_int_equal(unlink(path_of("link")), 0);
	drop_volume(&v);
}

/* --- Namespaces ------------------------------------------------------------------- */

/* A process in a mount namespace of its own, which may lack /proc. */
static pid_t start_container(bool without_proc)
{
	int fds[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0)
			_exit(1);
		if (without_proc && mount("tmpfs", "/proc", "tmpfs", 0, NULL) < 0)
			_exit(1);
		(void)write(fds[1], "x", 1);
		for (;;)
			(void)pause();
	}
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	(void)close(fds[0]);
	return pid;
}

static void stop_container(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static const char *ns_of(pid_t pid)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return path;
}

struct inside {
	const char *path;
	int mnt_fd;
	struct kv_target target;
	pthread_t thread;
	pid_t tid;
};

static int do_attach(void *arg)
{
	struct inside *in = arg;
	int r = kv_target_open(in->path, &in->target);

	in->thread = pthread_self();
	in->tid = (pid_t)syscall(SYS_gettid);
	if (r < 0)
		return r;
	r = kv_target_attach(&in->target, in->mnt_fd);
	in->target.fd = kv_close(in->target.fd);
	return r;
}

static int do_detach(void *arg)
{
	struct inside *in = arg;
	int r = kv_target_open(in->path, &in->target);

	if (r < 0)
		return r;
	in->target.fd = kv_close(in->target.fd);
	return kv_target_detach(in->path, &in->target);
}

static int note_thread(void *arg)
{
	struct inside *in = arg;

	in->tid = (pid_t)syscall(SYS_gettid);
	return 42;
}

static void own_namespace_is_worked_in_in_place(void **state)
{
	struct inside in = { .tid = 0 };
	struct kv_ns a, b;

	(void)state;
	assert_int_equal(kv_ns_id(NULL, &a), 0);
	assert_int_equal(kv_ns_id("/proc/self/ns/mnt", &b), 0);
	assert_true(a.dev == b.dev && a.ino == b.ino);
	assert_int_equal(kv_ns_run(NULL, note_thread, &in), 42);
	assert_int_equal(in.tid, syscall(SYS_gettid));
	in.tid = 0;
	assert_int_equal(kv_ns_run("/proc/self/ns/mnt", note_thread, &in), 42);
	assert_int_equal(in.tid, syscall(SYS_gettid));
}

static void mount_goes_into_another_namespace(void **state)
{
	struct inside in = { .path = make_dir("c") };
	pid_t pid = start_container(true);
	char ns[64], there[160], cwd[256], cwd_after[256];
	uint64_t before = hash_mounts();
	struct kv_ns own, other;
	struct volume v;

	(void)state;
	(void)kv_strcpy(ns, sizeof(ns), ns_of(pid));
	assert_int_equal(kv_ns_id(NULL, &own), 0);
	assert_int_equal(kv_ns_id(ns, &other), 0);
	assert_true(own.ino != other.ino);
	assert_non_null(getcwd(cwd, sizeof(cwd)));

	make_volume(&v, "a", "ext4", 16 * MIB);
	in.mnt_fd = kv_mount_device("ext4", v.path, NULL, NULL, false, detail,
				    sizeof(detail));
	assert_true(in.mnt_fd >= 0);
	assert_int_equal(kv_ns_run(ns, do_attach, &in), 0);
	(void)close(in.mnt_fd);
	assert_int_not_equal(in.tid, syscall(SYS_gettid));
	(void)snprintf(there, sizeof(there), "/proc/%d/root%s/lost+found", (int)pid,
		       in.path);
	assert_int_equal(access(there, F_OK), 0);
	assert_int_equal(access(path_of("c/lost+found"), F_OK), -1);
	assert_int_equal(hash_mounts(), before);
	assert_int_equal(kv_blockdev_open_exclusive(v.path), -EBUSY);

	assert_int_equal(kv_ns_run(ns, do_detach, &in), 0);
	assert_int_equal(access(there, F_OK), -1);
	assert_int_equal(kv_ns_run(ns, do_detach, &in), -ESTALE);
	assert_int_equal(kv_ns_id(NULL, &other), 0);
	assert_true(own.ino == other.ino);
	assert_non_null(getcwd(cwd_after, sizeof(cwd_after)));
	assert_string_equal(cwd, cwd_after);
	drop_volume(&v);
	stop_container(pid);
}

static void ended_namespace_is_enoent(void **state)
{
	pid_t pid = start_container(false);
	struct inside in = { .tid = 0 };
	struct kv_ns ns;

	(void)state;
	stop_container(pid);
	assert_int_equal(kv_ns_id(ns_of(pid), &ns), -ENOENT);
	assert_int_equal(kv_ns_run(ns_of(pid), note_thread, &in), -ENOENT);
	assert_int_equal(in.tid, 0);
}

static void what_is_no_mount_namespace_is_refused(void **state)
{
	struct inside in = { .tid = 0 };
	struct kv_ns ns;

	(void)state;
	assert_int_equal(kv_ns_run("/proc/self/ns/net", note_thread, &in), -EINVAL);
	assert_int_equal(kv_ns_run("/dev/null", note_thread, &in), -EINVAL);
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_int_equal(kv_ns_id(path_of("fifo"), &ns), -EINVAL);
	assert_int_equal(kv_ns_id(top, &ns), -EINVAL);
	assert_int_equal(in.tid, 0);
}

/* --- File systems ----------------------------------------------------------------- */

static uint64_t size_of(const char *path)
{
	struct statvfs st;

	assert_int_equal(statvfs(path, &st), 0);
	return (uint64_t)st.f_blocks * st.f_frsize;
}

static void grows(const char *fs, uint64_t from, uint64_t to)
{
	const struct kv_fs *driver = kv_fs_find(fs);
	const char *dir = make_dir("t");
	struct volume v;
	int fd, r;

	make_volume(&v, fs, fs, from);
	publish(fs, &v, NULL, dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	r = driver->grow(fd, from);
	if (r == -EPERM) {
		(void)close(fd);
		unpublish(dir);
		drop_volume(&v);
		print_message("%s: growing needs CAP_SYS_RESOURCE\n", fs);
		skip();
	}
	assert_int_equal(r, 0);
	/* 4096 bytes more may be too few for anything of use: no error. */
	for (uint64_t bytes = from + 4096; bytes; bytes = bytes < to ? to : 0) {
		resize_volume(&v, bytes);
		assert_int_equal(driver->grow(fd, bytes), 0);
		assert_int_equal(driver->grow(fd, bytes), 0);
	}
	assert_true(size_of(dir) > to - to / 20);
	(void)close(fd);
	unpublish(dir);
	drop_volume(&v);
}

static void ext4_grows(void **state)
{
	(void)state;
	grows("ext4", kv_fs_find("ext4")->min_bytes, 20 * 1024 * MIB);
}

static void xfs_grows(void **state)
{
	(void)state;
	grows("xfs", kv_fs_find("xfs")->min_bytes, 2000 * MIB);
}

static void btrfs_grows(void **state)
{
	(void)state;
	grows("btrfs", kv_fs_find("btrfs")->min_bytes, 2000 * MIB);
}

static void copy_file(const struct volume *from, struct volume *to)
{
	static char buf[1 << 16];
	uint64_t bytes;
	off_t end, at;

	/* What the loop device has written is in the file. */
	assert_int_equal(kv_blockdev_size(from->file_fd, &bytes), 0);
	(void)snprintf(to->file, sizeof(to->file), "%s/copy.img", top);
	assert_int_equal(mknod(to->file, S_IFREG | 0600, 0), 0);
	assert_int_equal(truncate(to->file, (off_t)bytes), 0);
	to->file_fd = open(to->file, O_RDWR | O_CLOEXEC);
	assert_true(to->file_fd >= 0);
	for (at = 0; (at = lseek(from->file_fd, at, SEEK_DATA)) >= 0; at = end) {
		end = lseek(from->file_fd, at, SEEK_HOLE);
		for (off_t o = at; o < end; o += (off_t)sizeof(buf)) {
			size_t n = (size_t)(end - o) < sizeof(buf) ? (size_t)(end - o)
								   : sizeof(buf);

			assert_int_equal(
				kv_pread_full(from->file_fd, buf, n, (uint64_t)o), 0);
			assert_int_equal(kv_pwrite_full(to->file_fd, buf, n, (uint64_t)o),
					 0);
		}
	}
	(void)close(to->file_fd);
	attach_file(to);
}

static void write_and_sync(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
}

/* A copy of a mounted file system, whose journal is to be replayed, is mounted beside
 * it: read-only at the target, but on a writable device. */
static void copy_mounts_beside_its_original(const char *fs)
{
	const struct kv_fs *driver = kv_fs_find(fs);
	const char *a = make_dir("a"), *b = make_dir("b");
	struct volume v, copy;
	struct kv_mount_opts ro;
	struct stat st;

	assert_int_equal(kv_mount_opts_parse("ro", &ro, NULL), 0);
	make_volume(&v, fs, fs, driver->min_bytes);
	publish(fs, &v, NULL, a);
	write_and_sync(path_of("a/file"));
	copy_file(&v, &copy);
	assert_int_equal(driver->renew(copy.path, COPY), 0);
	assert_int_equal(driver->renew(copy.path, COPY), 0);
	publish(fs, &copy, &ro, b);
	assert_int_equal(stat(path_of("b/file"), &st), 0);
	assert_int_equal(st.st_size, 5);
	/* Two file systems, not two views of one. */
	write_and_sync(path_of("a/later"));
	assert_int_equal(access(path_of("b/later"), F_OK), -1);
	assert_int_equal(access(path_of("a/later"), F_OK), 0);
	unpublish(b);
	publish(fs, &copy, NULL, b);
	write_and_sync(path_of("b/of-the-copy"));
	assert_int_equal(access(path_of("a/of-the-copy"), F_OK), -1);
	unpublish(a);
	unpublish(b);
	drop_volume(&v);
	drop_volume(&copy);
}

static void ext4_copy_mounts_beside_its_original(void **state)
{
	(void)state;
	copy_mounts_beside_its_original("ext4");
}

static void xfs_copy_mounts_beside_its_original(void **state)
{
	(void)state;
	copy_mounts_beside_its_original("xfs");
}

static void btrfs_copy_mounts_beside_its_original(void **state)
{
	(void)state;
	copy_mounts_beside_its_original("btrfs");
}

/* --- Frame ------------------------------------------------------------------------ */

static bool prepare(void)
{
	if (geteuid() != 0 || access("/dev/loop-control", R_OK | W_OK) < 0 ||
	    !mkdtemp(top))
		return false;
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", top, "tmpfs", 0, NULL) < 0) {
		(void)rmdir(top);
		return false;
	}
	return true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closed_mount_leaves_nothing),
		cmocka_unit_test(mount_appears_with_its_options),
		cmocka_unit_test(read_only_is_the_mount_s_own),
		cmocka_unit_test(read_only_superblock_excludes_a_writable_one),
		cmocka_unit_test(kernel_s_refusal_is_explained),
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(only_the_inspected_mount_is_detached),
		cmocka_unit_test(mount_of_a_dead_file_system_is_detached),
		cmocka_unit_test(exchanged_parent_is_not_followed),
		cmocka_unit_test(used_mount_is_busy),
		cmocka_unit_test(directory_does_not_go_onto_a_file),
		cmocka_unit_test(node_appears_on_a_file),
		cmocka_unit_test(wrong_node_is_refused),
		cmocka_unit_test(own_namespace_is_worked_in_in_place),
		cmocka_unit_test(mount_goes_into_another_namespace),
		cmocka_unit_test(ended_namespace_is_enoent),
		cmocka_unit_test(what_is_no_mount_namespace_is_refused),
		cmocka_unit_test(ext4_grows),
		cmocka_unit_test(xfs_grows),
		cmocka_unit_test(btrfs_grows),
		cmocka_unit_test(ext4_copy_mounts_beside_its_original),
		cmocka_unit_test(xfs_copy_mounts_beside_its_original),
		cmocka_unit_test(btrfs_copy_mounts_beside_its_original),
	};
	int r;

	if (!prepare()) {
		(void)fprintf(stderr, "mount: SKIPPED, needs root and loop devices\n");
		return 77;
	}
	r = cmocka_run_group_tests_name("mount", tests, NULL, NULL);
	/* Loop devices let go of their files a moment later: MNT_DETACH. */
	(void)umount2(top, 2);
	(void)rmdir(top);
	return r;
}
