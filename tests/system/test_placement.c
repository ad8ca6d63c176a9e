// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing as container runtimes need it.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

static char a[256], b[256], node[256]; /* targets */

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	assert_int_equal(chmod(dir, 0755), 0); /* others are to get to the targets */
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(node, sizeof(node), "%s", make_file("node"));
	assert_ok(create_fs("v", MIB(64), "ext4"));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	return 0;
}

static int publish_as(const char *name, const char *target,
		      const struct kvol_publish_opts *opts)
{
	struct kvol_publish_opts o = *opts;

	o.size = sizeof(o);
	return kvol_publish(pool, name, target, &o, &err);
}

#define PUBLISH(name, target, ...) \
	publish_as(name, target, &(struct kvol_publish_opts){ __VA_ARGS__ })
#define UNPUBLISH(name, target) kvol_unpublish(pool, name, target, NULL, &err)

/* --- Containers ------------------------------------------------------------------- */

static int is_mounted_there(void *arg)
{
	CHILD_CHECK(is_mounted(arg));
	return 0;
}

/* A process in a mount namespace whose mounts have this propagation. */
static struct resident resident_of(unsigned long propagation)
{
	struct resident r;
	int ready[2];
	char ok = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	r.pid = fork();
	assert_true(r.pid >= 0);
	if (r.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		ok = unshare(CLONE_NEWNS) == 0 &&
		     mount(NULL, "/", NULL, propagation, NULL) == 0;
		if (write(ready[1], &ok, 1) == 1)
			(void)close_range(3, ~0u, 0);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &ok, 1), 1);
	(void)close(ready[0]);
	assert_int_equal(ok, 1);
	(void)snprintf(r.ns, sizeof(r.ns), "/proc/%d/ns/mnt", r.pid);
	return r;
}

/* A process in user and mount namespaces of its own, where ids from 0 on are the host's
 * from 100000 on. */
static struct resident rootless_start(void)
{
	struct resident r;
	int to[2], from[2];
	char path[64], c = 0;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	r.pid = fork();
	assert_true(r.pid >= 0);
	if (r.pid == 0) {
		c = unshare(CLONE_NEWUSER) == 0;
		(void)!write(from[1], &c, 1);
		(void)!read(to[0], &c, 1);
		c = setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0 &&
		    unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(from[1], &c, 1) == 1)
			(void)close_range(3, ~0u, 0);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(from[0], &c, 1), 1);
	assert_int_equal(c, 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", r.pid);
	write_file(path, "0 100000 65536\n");
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", r.pid);
	write_file(path, "0 100000 65536\n");
	assert_int_equal(write(to[1], &c, 1), 1);
	assert_int_equal(read(from[0], &c, 1), 1);
	assert_int_equal(c, 1);
	for (int i = 0; i < 2; i++) {
		(void)close(to[i]);
		(void)close(from[i]);
	}
	(void)snprintf(r.ns, sizeof(r.ns), "/proc/%d/ns/mnt", r.pid);
	return r;
}

struct inside {
	const struct resident *r;
	int (*fn)(void *arg);
	void *arg;
};

static int enter(void *arg)
{
	const struct inside *x = arg;
	char user[64];
	int user_fd, mnt_fd;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(user, sizeof(user), "/proc/%d/ns/user", x->r->pid);
	user_fd = open(user, O_RDONLY | O_CLOEXEC);
	mnt_fd = open(x->r->ns, O_RDONLY | O_CLOEXEC);
	CHILD_CHECK(user_fd >= 0 && mnt_fd >= 0);
	CHILD_CHECK(setns(user_fd, CLONE_NEWUSER) == 0);
	CHILD_CHECK(setns(mnt_fd, CLONE_NEWNS) == 0);
	CHILD_CHECK(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0);
	return x->fn(x->arg);
}

/* In a child, as the container's root. */
static int in_container(const struct resident *r, int (*fn)(void *arg), void *arg)
{
	return in_child(enter, &(struct inside){ r, fn, arg });
}

/* --- Access ----------------------------------------------------------------------- */

static void a_single_writer_is_alone(void **state)
{
	(void)state;
	assert_ok(PUBLISH("v", a, .access = KVOL_ACCESS_SINGLE_WRITER));
	assert_int_equal(info_of("v").access, KVOL_ACCESS_SINGLE_WRITER);
	assert_ok(PUBLISH("v", a, .access = KVOL_ACCESS_SINGLE_WRITER));
	assert_kvol(PUBLISH("v", a, .access = KVOL_ACCESS_MULTI_WRITER), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(PUBLISH("v", b, .flags = 0), -EBUSY, KVOL_R_ACCESS_CONFLICT);
	assert_non_null(strstr(err.msg, a));
	assert_kvol(PUBLISH("v", b, .access = KVOL_ACCESS_READER), -EBUSY,
		    KVOL_R_ACCESS_CONFLICT);
	assert_ok(UNPUBLISH("v", a));
	assert_ok(PUBLISH("v", a, .access = KVOL_ACCESS_READER));
	assert_int_equal(open(in_dir("a/x"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EROFS);
	assert_ok(PUBLISH("v", b, .access = KVOL_ACCESS_MULTI_WRITER));
	assert_ok(UNPUBLISH("v", a));
	assert_kvol(PUBLISH("v", a, .access = KVOL_ACCESS_SINGLE_WRITER), -EBUSY,
		    KVOL_R_ACCESS_CONFLICT);
	assert_ok(UNPUBLISH("v", b));
	assert_invalid(PUBLISH("v", a, .access = 4));
}

/* Of several processes that want to be the only one, one is. */
static void one_of_several_processes_gets_it(void **state)
{
	enum { PROCESSES = 4 };
	int status, won = 0, lost = 0;
	char target[256];
	pid_t pids[PROCESSES];

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		(void)snprintf(target, sizeof(target), "t%d", i);
		(void)make_dir(target);
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		if (kvol_pool_open(ctx, pool_path, NULL, &pool, &err) < 0)
			_exit(9);
		status = PUBLISH("v", in_dir("t%d", i), .access = KVOL_ACCESS_SINGLE_WRITER);
		_exit(status == 0					? 1
		      : err.reason == KVOL_R_ACCESS_CONFLICT ? 2
								: 3);
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(waitpid(pids[i], &status, 0) == pids[i]);
		assert_true(WIFEXITED(status));
		won += WEXITSTATUS(status) == 1;
		lost += WEXITSTATUS(status) == 2;
	}
	assert_int_equal(won, 1);
	assert_int_equal(lost, PROCESSES - 1);
	assert_int_equal(info_of("v").n_targets, 1);
	for (int i = 0; i < PROCESSES; i++)
		assert_ok(UNPUBLISH("v", in_dir("t%d", i)));
}

/* --- Propagation ------------------------------------------------------------------ */

static bool has_tag(const char *path, const char *tag)
{
	return sh("awk '$5 == \"%s\"' /proc/self/mountinfo | tail -n 1 | grep -q ' %s:'", path,
		  tag) == 0;
}

static int mounts_below(void *arg)
{
	CHILD_CHECK(mount("none", arg, "tmpfs", 0, NULL) == 0);
	return 0;
}

/* On a shared mount, beside a namespace that has a copy of that. */
static void propagation_is_as_asked_for(void **state)
{
	char parent[256], target[256], below[256];
	bool there;

	(void)state;
	(void)snprintf(parent, sizeof(parent), "%s", make_dir("shared"));
	(void)snprintf(target, sizeof(target), "%s", in_dir("shared/t"));
	(void)snprintf(below, sizeof(below), "%s", in_dir("shared/t/below"));
	assert_int_equal(mount("none", parent, "tmpfs", 0, NULL), 0);
	assert_int_equal(mount(NULL, parent, NULL, MS_SHARED, NULL), 0);
	assert_int_equal(mkdir(target, 0755), 0);
	for (uint32_t p = 0; p <= KVOL_PROPAGATION_SHARED; p++) {
		struct resident copy = resident_of(MS_REC | MS_SLAVE);

		assert_ok(PUBLISH("v", target, .propagation = p));
		assert_ok(PUBLISH("v", target, .propagation = p));
		assert_int_equal(has_tag(target, "shared"),
				 p == KVOL_PROPAGATION_DEFAULT ||
					 p == KVOL_PROPAGATION_SHARED);
		assert_kvol(PUBLISH("v", target, .propagation = (p + 1) % 4), -EEXIST,
			    KVOL_R_EXISTS_DIFFERENT);
		(void)mkdir(below, 0755);
		assert_int_equal(mounts_below(below), 0);
		there = in_namespace(copy.ns, is_mounted_there, below) == 0;
		assert_int_equal(there, p == KVOL_PROPAGATION_DEFAULT ||
						p == KVOL_PROPAGATION_SHARED);
		assert_kvol(UNPUBLISH("v", target), -EBUSY, KVOL_R_BUSY_OPEN);
		assert_int_equal(umount(below), 0);
		assert_ok(UNPUBLISH("v", target));
		assert_string_equal(info_of("v").device, "");
		resident_end(&copy);
	}
	assert_int_equal(umount(parent), 0);
	assert_invalid(PUBLISH("v", a, .propagation = 4));
	assert_invalid(PUBLISH("raw", node, .flags = KVOL_PUBLISH_BLOCK,
			       .propagation = KVOL_PROPAGATION_SHARED));
}

/* --- Rootless containers ---------------------------------------------------------- */

static struct resident container;

static int start(void **state)
{
	(void)state;
	container = rootless_start();
	return 0;
}

static int end(void **state)
{
	(void)state;
	resident_end(&container);
	return 0;
}

static int sees_the_volume(void *arg)
{
	struct stat st;

	(void)arg;
	CHILD_CHECK(is_mounted(a));
	CHILD_CHECK(stat(a, &st) == 0);
	CHILD_CHECK(st.st_uid == 65534); /* the host's root is nobody in there */
	CHILD_CHECK(open(in_dir("a/x"), O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	return 0;
}

static void a_rootless_container_gets_a_volume(void **state)
{
	(void)state;
	assert_ok(PUBLISH("v", a, .mount_namespace = container.ns));
	assert_false(is_mounted(a));
	assert_int_equal(in_container(&container, sees_the_volume, NULL), 0);
	assert_ok(PUBLISH("v", a, .mount_namespace = container.ns));
	assert_ok(unpublish_in("v", a, container.ns));
	assert_ok(PUBLISH("v", a, .mount_namespace = container.ns,
			  .propagation = KVOL_PROPAGATION_SHARED));
	assert_ok(unpublish_in("v", a, container.ns));
	assert_ok(PUBLISH("raw", node, .mount_namespace = container.ns,
			  .flags = KVOL_PUBLISH_BLOCK));
	assert_ok(unpublish_in("raw", node, container.ns));
}

static int holds_a_file_open(void *arg)
{
	int *pipes = arg;
	char c = 1;

	CHILD_CHECK(chdir(a) == 0);
	CHILD_CHECK(write(pipes[1], &c, 1) == 1);
	for (;;)
		(void)pause();
}

static void a_container_that_holds_a_file_is_busy(void **state)
{
	int pipes[2];
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_ok(PUBLISH("v", a, .mount_namespace = container.ns));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(enter(&(struct inside){ &container, holds_a_file_open, pipes }) ? 1
										: 0);
	(void)close(pipes[1]);
	assert_int_equal(read(pipes[0], &c, 1), 1);
	(void)close(pipes[0]);
	assert_kvol(unpublish_in("v", a, container.ns), -EBUSY, KVOL_R_BUSY_OPEN);
	assert_non_null(strstr(err.msg, a));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(waitpid(pid, NULL, 0) == pid);
	assert_ok(unpublish_in("v", a, container.ns));
}

static void a_container_that_died_is_unpublished(void **state)
{
	char ns[64];

	(void)state;
	assert_ok(PUBLISH("v", a, .mount_namespace = container.ns));
	(void)snprintf(ns, sizeof(ns), "%s", container.ns);
	resident_end(&container);
	assert_ok(unpublish_in("v", a, ns));
	assert_ok(unpublish_in("v", a, ns));
	assert_int_equal(info_of("v").n_targets, 0);
	for (int i = 0; i < 1500 && info_of("v").device[0]; i++)
		pause_ms(20);
	assert_string_equal(info_of("v").device, "");
}

/* --- Ids that are mapped ---------------------------------------------------------- */

static int writes_as_root_and_as_1000(void *arg)
{
	struct stat st;
	int fd;

	(void)arg;
	CHILD_CHECK(stat(a, &st) == 0 && st.st_uid == 0 && st.st_gid == 0);
	fd = open(in_dir("a/root"), O_CREAT | O_WRONLY, 0600);
	CHILD_CHECK(fd >= 0 && close(fd) == 0);
	CHILD_CHECK(mkdir(in_dir("a/home"), 0755) == 0);
	CHILD_CHECK(chown(in_dir("a/home"), 1000, 1001) == 0);
	CHILD_CHECK(setresgid(1001, 1001, 1001) == 0 && setresuid(1000, 1000, 1000) == 0);
	fd = open(in_dir("a/home/mine"), O_CREAT | O_WRONLY, 0600);
	CHILD_CHECK(fd >= 0 && close(fd) == 0);
	CHILD_CHECK(open(in_dir("a/root"), O_RDONLY) < 0 && errno == EACCES);
	return 0;
}

static bool is_owned(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == uid && st.st_gid == gid;
}

/* Inside root is root and 1000 is 1000, and so it stands on the disk. */
static void check_mapped(const char *fs, const struct kvol_publish_opts *opts)
{
	struct kvol_publish_opts o = *opts;

	o.mount_namespace = container.ns;
	assert_ok(create_fs(fs, MIB(320), fs));
	assert_ok(publish_as(fs, a, &o));
	assert_ok(publish_as(fs, a, &o));
	assert_int_equal(in_container(&container, writes_as_root_and_as_1000, NULL), 0);
	assert_kvol(PUBLISH(fs, a, .mount_namespace = container.ns), -EEXIST,
		    KVOL_R_EXISTS_DIFFERENT);
	assert_ok(PUBLISH(fs, b, .flags = 0)); /* the same file system, not mapped */
	assert_true(is_owned(in_dir("b/root"), 0, 0));
	assert_true(is_owned(in_dir("b/home"), 1000, 1001));
	assert_true(is_owned(in_dir("b/home/mine"), 1000, 1001));
	assert_ok(UNPUBLISH(fs, b));
	assert_ok(unpublish_in(fs, a, container.ns));
	assert_string_equal(info_of(fs).device, "");
	assert_ok(kvol_delete(pool, fs, 0, &err));
}

static void ids_are_mapped_on_every_file_system(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	char user_ns[64];

	(void)state;
	(void)snprintf(user_ns, sizeof(user_ns), "/proc/%d/ns/user", container.pid);
	for (size_t i = 0; i < N_OF(types); i++) {
		check_mapped(types[i],
			     &(struct kvol_publish_opts){ .uid_map = "0 100000 65536" });
		check_mapped(types[i],
			     &(struct kvol_publish_opts){ .user_namespace = user_ns });
	}
}

static void users_and_groups_have_maps_of_their_own(void **state)
{
	(void)state;
	assert_ok(PUBLISH("v", a, .uid_map = "0 5000 10,10 0 10", .gid_map = "0 7000 10"));
	assert_true(is_owned(a, 5000, 7000));
	assert_ok(PUBLISH("v", a, .uid_map = "0 5000 10\n10 0 10\n", .gid_map = "0 7000 10"));
	assert_int_equal(open(in_dir("a/unmapped"), O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, EOVERFLOW); /* this gid 0 is none of its ids */
	assert_ok(UNPUBLISH("v", a));
}

static void bad_maps_are_refused(void **state)
{
	char path[64];

	(void)state;
	assert_invalid(PUBLISH("v", a, .uid_map = "0 0"));
	assert_invalid(PUBLISH("v", a, .uid_map = "0 0 0"));
	assert_invalid(PUBLISH("v", a, .uid_map = "0 1 2,1 9 1"));
	assert_invalid(PUBLISH("v", a, .gid_map = "0 1 2"));
	assert_invalid(PUBLISH("v", a, .uid_map = "0 1 2", .gid_map = "x"));
	assert_invalid(PUBLISH("raw", node, .uid_map = "0 1 2", .flags = KVOL_PUBLISH_BLOCK));
	assert_invalid(PUBLISH("v", a, .user_namespace = "/proc/self/ns/user"));
	assert_invalid(PUBLISH("v", a, .user_namespace = "/proc/self/ns/mnt"));
	assert_kvol(PUBLISH("v", a, .user_namespace = "/proc/0/ns/user"), -ENOENT,
		    KVOL_R_NOT_FOUND);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", container.pid);
	assert_invalid(PUBLISH("v", a, .user_namespace = path, .uid_map = "0 1 2"));
}

/* The child that carries the maps is nobody's business. */
static void mapping_leaves_no_child(void **state)
{
	(void)state;
	(void)signal(SIGCHLD, SIG_IGN);
	assert_ok(PUBLISH("v", a, .uid_map = "0 100000 65536"));
	assert_ok(UNPUBLISH("v", a));
	(void)signal(SIGCHLD, SIG_DFL);
	assert_true(waitpid(-1, NULL, WNOHANG | __WALL) <= 0);
}

/* --- Groups ----------------------------------------------------------------------- */

static bool has_mode(const char *path, gid_t gid, mode_t mode)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return false;
	if (st.st_gid == gid && (st.st_mode & 07777) == mode)
		return true;
	print_error("%s: group %u, mode %o\n", path, st.st_gid, st.st_mode & 07777);
	return false;
}

/* What is in it wants to get out, or to keep the publish from coming to an end. */
static void all_in_it_is_given_to_a_group(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	char outside[256];

	(void)state;
	(void)snprintf(outside, sizeof(outside), "%s", make_file("outside"));
	assert_int_equal(chmod(outside, 0600), 0);
	for (size_t i = 0; i < N_OF(types); i++) {
		assert_ok(create_fs(types[i], MIB(320), types[i]));
		assert_ok(PUBLISH(types[i], a, .flags = 0));
		assert_sh("cd %s && mkdir -p d/e && echo x >d/e/file && chmod 640 d/e/file && "
			  "cp /bin/true d/tool && chmod 4711 d/tool && ln d/e/file d/hard && "
			  "ln -s %s out && ln -s .. d/up && mkfifo d/fifo && mknod d/null c 1 3 && "
			  "chmod 600 d/null",
			  a, outside);
		assert_ok(UNPUBLISH(types[i], a));

		assert_ok(PUBLISH(types[i], a, .flags = KVOL_PUBLISH_GROUP, .group = 4321));
		assert_true(has_mode(a, 4321, 02775));
		assert_true(has_mode(in_dir("a/d/e"), 4321, 02775));
		assert_true(has_mode(in_dir("a/d/e/file"), 4321, 0660));
		assert_true(has_mode(in_dir("a/d/tool"), 4321, 0771)); /* no longer set-uid */
		assert_true(has_mode(in_dir("a/d/null"), 4321, 0600));
		assert_true(has_mode(in_dir("a/out"), 4321, 0777));
		assert_true(has_mode(outside, 0, 0600));
		assert_kvol(PUBLISH(types[i], a, .flags = KVOL_PUBLISH_GROUP, .group = 1),
			    -EEXIST, KVOL_R_EXISTS_DIFFERENT);
		assert_int_equal(chmod(in_dir("a/d/e/file"), 0600), 0);
		assert_ok(UNPUBLISH(types[i], a));

		/* The root is so already: nothing is looked at. */
		assert_ok(PUBLISH(types[i], a, .flags = KVOL_PUBLISH_GROUP, .group = 4321));
		assert_true(has_mode(in_dir("a/d/e/file"), 4321, 0600));
		assert_ok(UNPUBLISH(types[i], a));
		assert_string_equal(info_of(types[i]).device, "");
		assert_ok(kvol_delete(pool, types[i], 0, &err));
	}
	assert_invalid(PUBLISH("v", a, .group = 1));
	assert_invalid(PUBLISH("v", a, .group = 1,
			       .flags = KVOL_PUBLISH_GROUP | KVOL_PUBLISH_READONLY));
	assert_invalid(PUBLISH("raw", node, .group = 1,
			       .flags = KVOL_PUBLISH_GROUP | KVOL_PUBLISH_BLOCK));
	assert_invalid(PUBLISH("v", a, .group = UINT32_MAX, .flags = KVOL_PUBLISH_GROUP));
}

/* --- Who holds a volume ----------------------------------------------------------- */

/* The item of this kind and, for a process, pid; flags tell if there is one. */
static bool find_holder(const char *name, uint32_t kind, pid_t pid, struct kvol_why_info *ret)
{
	struct kvol_why_info info = { .size = sizeof(info) };
	struct kvol_why_iter *iter;
	bool found = false;
	int r;

	assert_ok(kvol_why(pool, name, 0, &iter, &err));
	while ((r = kvol_why_next(iter, &info)) == 1) {
		if (info.kind == kind && (!pid || info.pid == (uint32_t)pid)) {
			*ret = info;
			found = true;
		}
		info.size = sizeof(info);
	}
	assert_int_equal(r, 0);
	kvol_why_free(iter);
	return found;
}

static pid_t holder_start(const char *command)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close_range(3, ~0u, 0);
	(void)execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(9);
}

/* Until it holds the volume so: in the middle of an exec it is seen by halves. */
static void await_holder(const char *name, pid_t pid, uint32_t how,
			 struct kvol_why_info *ret)
{
	for (int i = 0; i < 1500; i++) {
		if (find_holder(name, KVOL_WHY_PROCESS, pid, ret) &&
		    (ret->how & how) == how)
			return;
		pause_ms(20);
	}
	fail_msg("%s is not held so by %d", name, pid);
}

static void holder_end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_true(waitpid(pid, NULL, 0) == pid);
}

static void processes_that_hold_are_named(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };
	char command[512];
	struct kvol_why_info info;
	pid_t pid;

	(void)state;
	for (size_t i = 0; i < N_OF(types); i++) {
		assert_ok(create_fs(types[i], MIB(320), types[i]));
		assert_false(find_holder(types[i], KVOL_WHY_MOUNT, 0, &info));
		assert_ok(PUBLISH(types[i], a, .flags = 0));
		assert_true(find_holder(types[i], KVOL_WHY_MOUNT, 0, &info));
		assert_int_equal(info.flags, KVOL_WHY_PUBLISHED);
		assert_string_equal(info.target, a);
		assert_false(find_holder(types[i], KVOL_WHY_PROCESS, 0, &info));

		(void)snprintf(command, sizeof(command),
			       "exec 5>%s/open; exec sleep 1000", a);
		pid = holder_start(command);
		await_holder(types[i], pid, KVOL_WHY_BY_FILE, &info);
		assert_true(!strcmp(info.what, "sh") || !strcmp(info.what, "sleep"));
		assert_int_equal(info.uid, 0);
		assert_kvol(UNPUBLISH(types[i], a), -EBUSY, KVOL_R_BUSY_OPEN);
		assert_null(strchr(err.msg, '\n'));
		holder_end(pid);

		(void)snprintf(command, sizeof(command), "cd %s; exec sleep 1000", a);
		pid = holder_start(command);
		await_holder(types[i], pid, KVOL_WHY_BY_CWD, &info);
		assert_int_equal(info.how, KVOL_WHY_BY_CWD);
		holder_end(pid);

		assert_sh("cp /bin/sleep %s/sleeper", a);
		(void)snprintf(command, sizeof(command), "exec %s/sleeper 1000", a);
		pid = holder_start(command);
		await_holder(types[i], pid,
			     KVOL_WHY_BY_EXE |
				     (strcmp(types[i], "ext4") ? 0 : KVOL_WHY_BY_MMAP),
			     &info);
		holder_end(pid);
		assert_ok(UNPUBLISH(types[i], a));
		assert_ok(kvol_delete(pool, types[i], 0, &err));
	}
}

/* A namespace that copied a mount, which is unpublished here. */
static void copied_namespaces_are_named(void **state)
{
	struct kvol_why_info info;
	struct resident copy;

	(void)state;
	assert_ok(PUBLISH("v", a, .flags = 0));
	copy = resident_start();
	assert_true(find_holder("v", KVOL_WHY_NAMESPACE, 0, &info));
	assert_int_equal(info.flags, 0);
	assert_ok(UNPUBLISH("v", a));
	assert_true(find_holder("v", KVOL_WHY_NAMESPACE, copy.pid, &info));
	assert_string_equal(info.target, a);
	assert_false(find_holder("v", KVOL_WHY_MOUNT, 0, &info));
	resident_end(&copy);

	copy = resident_start();
	assert_ok(PUBLISH("v", a, .mount_namespace = copy.ns));
	assert_true(find_holder("v", KVOL_WHY_NAMESPACE, copy.pid, &info));
	assert_int_equal(info.flags, KVOL_WHY_PUBLISHED);
	assert_ok(unpublish_in("v", a, copy.ns));
	resident_end(&copy);
}

static void who_has_the_device_open_is_named(void **state)
{
	struct kvol_why_info info;
	char command[256];
	pid_t pid;

	(void)state;
	assert_ok(PUBLISH("raw", node, .flags = KVOL_PUBLISH_BLOCK));
	assert_true(find_holder("raw", KVOL_WHY_MOUNT, 0, &info));
	assert_string_equal(info.target, node);
	(void)snprintf(command, sizeof(command), "exec 5<%s; exec sleep 1000",
		       info_of("raw").device);
	pid = holder_start(command);
	await_holder("raw", pid, KVOL_WHY_BY_DEVICE, &info);
	assert_int_equal(info.how, KVOL_WHY_BY_DEVICE);
	holder_end(pid);
	assert_sh("echo 0 2048 linear %s 0 | dmsetup create kvol-test-top", info_of("raw").device);
	assert_true(find_holder("raw", KVOL_WHY_DEVICE, 0, &info));
	assert_string_equal(info.what, "kvol-test-top");
	assert_sh("dmsetup remove kvol-test-top");
	assert_ok(UNPUBLISH("raw", node));
}

/* Writers hang in it; who asks does not. */
static void a_frozen_file_system_can_be_asked_about(void **state)
{
	struct kvol_why_info info;
	char command[512];
	pid_t pid;

	(void)state;
	assert_ok(PUBLISH("v", a, .flags = 0));
	assert_sh("fsfreeze -f %s", a);
	(void)snprintf(command, sizeof(command), "cd %s; : >written", a);
	pid = holder_start(command);
	await_holder("v", pid, KVOL_WHY_BY_CWD, &info);
	assert_sh("fsfreeze -u %s", a);
	assert_true(waitpid(pid, NULL, 0) == pid);
	assert_ok(UNPUBLISH("v", a));
}

static void asking_about_nothing(void **state)
{
	struct kvol_why_info small = { .size = 4 };
	struct kvol_why_iter *iter;

	(void)state;
	assert_kvol(kvol_why(pool, "absent", 0, &iter, &err), -ENOENT, KVOL_R_NOT_FOUND);
	assert_invalid(kvol_why(pool, "v", UNKNOWN_FLAG, &iter, &err));
	assert_invalid(kvol_why(pool, "v", 0, NULL, &err));
	assert_ok(kvol_why(pool, "v", 0, &iter, &err));
	assert_int_equal(kvol_why_next(iter, &small), -EINVAL);
	kvol_why_free(iter);
	kvol_why_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_single_writer_is_alone),
		cmocka_unit_test(one_of_several_processes_gets_it),
		cmocka_unit_test(propagation_is_as_asked_for),
		cmocka_unit_test_setup_teardown(a_rootless_container_gets_a_volume, start,
						end),
		cmocka_unit_test_setup_teardown(a_container_that_holds_a_file_is_busy,
						start, end),
		cmocka_unit_test_setup_teardown(a_container_that_died_is_unpublished,
						start, end),
		cmocka_unit_test_setup_teardown(ids_are_mapped_on_every_file_system,
						start, end),
		cmocka_unit_test(users_and_groups_have_maps_of_their_own),
		cmocka_unit_test_setup_teardown(bad_maps_are_refused, start, end),
		cmocka_unit_test(mapping_leaves_no_child),
		cmocka_unit_test(all_in_it_is_given_to_a_group),
		cmocka_unit_test(processes_that_hold_are_named),
		cmocka_unit_test(copied_namespaces_are_named),
		cmocka_unit_test(who_has_the_device_open_is_named),
		cmocka_unit_test(a_frozen_file_system_can_be_asked_about),
		cmocka_unit_test(asking_about_nothing),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("placement", tests, up, pool_down);
}
