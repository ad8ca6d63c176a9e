// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * test_neighbours: processes, crashes, names, and threads.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "neighbours.h"

/* --- Programs --------------------------------------------------------------------- */

/* Of children that this process has waited for: none leaves this at 0. */
static long faults_of_children(void)
{
	struct rusage u;

	assert_int_equal(getrusage(RUSAGE_CHILDREN, &u), 0);
	return u.ru_minflt;
}

/* LVM-based CSI drivers: one process for each question, 40 a minute on an idle node. */
void no_program_is_started_for_what_needs_none(void **state)
{
	long before = faults_of_children();
	const char *at = fs_volume("v", "ext4");

	(void)state;
	/* As mkfs is seen, for a template that there is none of yet. */
	assert_ok(kvol_template_make(pool, "ext4", MIB(72), &err));
	assert_true(faults_of_children() > before);
	before = faults_of_children();
	assert_ok(
		kvol_clone(pool, "v", "copied", NULL, &err)); /* a file system, no mkfs */
	assert_ok(publish("copied", at, 0, NULL));
	assert_ok(kvol_snapshot(pool, "copied", "shot", NULL, &err));
	assert_ok(kvol_expand(pool, "copied", MIB(64), 0, &err));
	(void)info_of("copied");
	(void)pool_info();
	(void)count(0);
	assert_ok(kvol_unpublish(pool, "copied", at, NULL, &err));
	assert_ok(kvol_delete(pool, "copied", 0, &err));
	assert_ok(kvol_delete(pool, "shot", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	assert_ok(kvol_create(pool, "v", MIB(8), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	pool_cycle();
	assert_int_equal(faults_of_children(), before);
}

/* A program of ours in the place of mkfs.ext4. */
static void put_mkfs(const char *script)
{
	write_file(in_dir("mkfs"), script);
	assert_sh("cp /usr/sbin/mke2fs %s/mkfs.real && chmod 755 %s/mkfs && "
		  "mount --bind %s/mkfs /usr/sbin/mke2fs",
		  dir, dir, dir);
}

static void put_mkfs_back(void)
{
	assert_sh("umount /usr/sbin/mke2fs && rm %s/mkfs %s/mkfs.real", dir, dir);
}

static int create_slow(void *arg)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = "ext4" };
	struct kvol_pool *p = NULL;
	int r;

	(void)arg;
	CHILD_CHECK(kvol_pool_open(ctx, pool_path, NULL, &p, &err) == 0);
	r = kvol_create(p, "slow", MIB(32), &o, &err);
	kvol_pool_close(p);
	CHILD_CHECK(r == 0);
	return 0;
}

static pid_t start_child(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(arg) ? 1 : 0);
	return pid;
}

static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void wait_for_file(const char *path)
{
	watched(path);
	while (access(path, F_OK) < 0)
		(void)usleep(20000);
	unwatched();
}

/* containerd: 100 pods wait for 10 s, as a transaction is held across each mkfs. */
void slow_mkfs_stops_no_other_volume(void **state)
{
	char script[1024];
	pid_t pid;

	(void)state;
	(void)snprintf(script, sizeof(script),
		       "#!/bin/bash\n: > %s/begun\n"
		       "while ! test -e %s/go; do sleep 0.1; done\n"
		       "exec -a mkfs.ext4 %s/mkfs.real \"$@\"\n",
		       dir, dir, dir);
	put_mkfs(script);
	pid = start_child(create_slow, NULL);
	wait_for_file(in_dir("begun"));
	watched("work beside a mkfs");
	(void)raw_volume("v");
	assert_ok(publish("v", in_dir("v.raw"), KVOL_PUBLISH_BLOCK, NULL));
	assert_ok(kvol_snapshot(pool, "v", "shot", NULL, &err));
	assert_ok(kvol_unpublish(pool, "v", in_dir("v.raw"), NULL, &err));
	assert_ok(kvol_delete(pool, "shot", 0, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
	unwatched();
	assert_false(exists("slow"));
	(void)make_file("go");
	assert_int_equal(end_of(pid), 0);
	put_mkfs_back();
	assert_string_equal(info_of("slow").fs_type, "ext4");
	assert_ok(kvol_delete(pool, "slow", 0, &err));
}

/* libblockdev and udisks: what helpers print comes out of the embedding program. */
void words_of_a_failed_helper_stay_off_our_stderr(void **state)
{
	int out, saved[2] = { dup(1), dup(2) };

	(void)state;
	put_mkfs("#!/bin/sh\necho on stdout\necho the last words >&2\nexit 3\n");
	fflush(stdout);
	out = open(in_dir("words"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(out >= 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2);
	before_call(NULL, false);
	(void)create_fs("v", MIB(32), "ext4");
	fflush(stdout);
	assert_true(dup2(saved[0], 1) == 1 && dup2(saved[1], 2) == 2);
	(void)close(saved[0]);
	(void)close(saved[1]);
	(void)close(out);
	put_mkfs_back();
	assert_true(err.code < 0);
	assert_null(answer_fault(err.code));
	assert_non_null(strstr(err.msg, "the last words"));
	assert_string_equal(read_file(in_dir("words")), "");
	assert_false(exists("v"));
}

/* --- Crashes ---------------------------------------------------------------------- */

static int create_and_wait(void *arg)
{
	struct kvol_pool *p = NULL;

	CHILD_CHECK(kvol_pool_open(ctx, pool_path, NULL, &p, NULL) == 0);
	for (int i = 0;; i++) {
		if (i == 1)
			(void)creat(arg, 0600);
		CHILD_CHECK(kvol_create(p, "again", MIB(8), NULL, NULL) == 0);
		CHILD_CHECK(kvol_snapshot(p, "again", "again@1", NULL, NULL) == 0);
		CHILD_CHECK(kvol_delete(p, "again@1", 0, NULL) == 0);
		CHILD_CHECK(kvol_delete(p, "again", 0, NULL) == 0);
	}
}

/* containerd: "object already exists" for ever, after a crash in the middle. */
void killed_creation_is_repeated_without_object_already_exists(void **state)
{
	char at_work[256];

	(void)state;
	(void)snprintf(at_work, sizeof(at_work), "%s", in_dir("at-work"));
	for (unsigned i = 0; i < 5; i++) {
		struct timespec t = { 0, 7000000L * (1 + 3 * i) };
		pid_t pid = start_child(create_and_wait, at_work);

		wait_for_file(at_work);
		(void)nanosleep(&t, NULL);
		(void)kill(pid, SIGKILL);
		assert_int_equal(WTERMSIG(end_of(pid)), SIGKILL);
		assert_int_equal(unlink(at_work), 0);
		assert_ok(kvol_delete(pool, "again@1", 0, &err));
		assert_ok(kvol_delete(pool, "again", 0, &err));
		assert_ok(kvol_create(pool, "again", MIB(8), NULL, &err));
		assert_ok(kvol_delete(pool, "again", 0, &err));
	}
	/* Catalogue and thin pool list the same. */
	pool_rest();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_int_equal(count(0), CONTENTS);
}

static int publish_and_die(void *arg)
{
	struct kvol_pool *p = NULL;

	CHILD_CHECK(kvol_pool_open(ctx, pool_path, NULL, &p, NULL) == 0);
	CHILD_CHECK(kvol_publish(p, "v", arg, NULL, NULL) == 0);
	CHILD_CHECK(kvol_unpublish(p, "v", arg, NULL, NULL) == 0);
	(void)raise(SIGKILL);
	return 0;
}

/* Lock files and mounts of dead processes: everybody waits for one who is no more. */
void killed_process_leaves_no_mount_and_no_lock(void **state)
{
	const char *at = fs_volume("v", "ext4");
	struct world w;

	(void)state;
	world_now(&w);
	assert_int_equal(in_child(publish_and_die, (void *)(uintptr_t)at),
			 -(128 + SIGKILL));
	assert_world(&w, "a killed process", __FILE__, __LINE__);
	watched("work after a killed process");
	assert_ok(kvol_delete(pool, "v", 0, &err));
	pool_cycle();
	unwatched();
}

/* dmsetup suspend in a script that dies: every writer hangs until somebody resumes. */
void frozen_origin_of_a_killed_snapshot_is_thawed(void **state)
{
	const char *at = fs_volume("v", "ext4");

	(void)state;
	assert_ok(publish("v", at, 0, NULL));
	assert_sh("dmsetup suspend --noudevsync %s", dm_name_of("v"));
	watched("opening a pool with a frozen volume");
	pool_reopen();
	write_file(in_dir("v.at/file"), "thawed");
	unwatched();
	assert_nothing_frozen("opening");
	assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* containerd: "faulty ids", handed out again while the pool still knew them. */
void thin_ids_are_not_handed_out_twice(void **state)
{
	char names[4][64];

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++) {
		const char *at = raw_volume("v");

		assert_ok(publish("v", at, KVOL_PUBLISH_BLOCK, NULL));
		(void)snprintf(names[i], sizeof(names[i]), "%s", dm_name_of("v"));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(names[i], names[j]);
		assert_ok(kvol_unpublish(pool, "v", at, NULL, &err));
		assert_ok(kvol_delete(pool, "v", 0, &err));
		if (i == 1)
			pool_cycle();
	}
}

/* --- Names, threads, handles ------------------------------------------------------ */

/* The kernel takes "." and "control" for device names, and scripts take "-rf". */
void names_never_become_paths_or_device_names(void **state)
{
	const char *node = make_file("node");

	(void)state;
	for (size_t i = 0; i < N_OF(odd_names); i++) {
		assert_ok(kvol_create(pool, odd_names[i], MIB(4), NULL, &err));
		assert_ok(publish(odd_names[i], node, KVOL_PUBLISH_BLOCK, NULL));
		assert_sh("! dmsetup ls | grep '^kvol-' | "
			  "grep -qvE '^kvol-[0-9a-f]{8}-([0-9]+|[a-z]+)[[:space:]]'");
		assert_ok(kvol_unpublish(pool, odd_names[i], node, NULL, &err));
		assert_ok(kvol_delete(pool, odd_names[i], 0, &err));
	}
}

static void *lifecycles(void *arg)
{
	const char *const *names = arg;
	struct kvol_error e;

	for (int i = 0; i < 5; i++)
		if (kvol_clone(pool, "fs@1", names[0], NULL, &e) < 0 ||
		    kvol_snapshot(pool, names[0], names[1], NULL, &e) < 0 ||
		    kvol_delete(pool, names[0], 0, &e) < 0 ||
		    kvol_delete(pool, names[1], 0, &e) < 0)
			return strdup(e.msg);
	return NULL;
}

/* libdevmapper is not thread-safe: every embedder adds a global lock, or crashes. */
void threads_need_no_lock_around_the_library(void **state)
{
	static const char *const names[4][2] = {
		{ "a", "a@1" }, { "b", "b@1" }, { "c", "c@1" }, { "d", "d@1" }
	};
	pthread_t threads[N_OF(names)];
	char *fault;

	(void)state;
	for (size_t i = 0; i < N_OF(names); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, lifecycles,
						(void *)(uintptr_t)names[i]),
				 0);
	for (size_t i = 0; i < N_OF(names); i++) {
		assert_int_equal(pthread_join(threads[i], (void **)&fault), 0);
		if (fault)
			print_error("%s\n", fault);
		assert_null(fault);
	}
	assert_int_equal(count(0), CONTENTS);
}

static int use_inherited(void *arg)
{
	(void)arg;
	CHILD_CHECK(kvol_create(pool, "v", MIB(4), NULL, NULL) == -ECHILD);
	CHILD_CHECK(kvol_delete(pool, "raw", 0, NULL) == -ECHILD);
	kvol_pool_close(pool);
	return 0;
}

/* SQLite and libdevmapper beyond a fork: both processes write, and one is wrong. */
void forked_child_cannot_use_the_handle(void **state)
{
	(void)state;
	assert_int_equal(in_child(use_inherited, NULL), 0);
	assert_ok(kvol_create(pool, "v", MIB(4), NULL, &err));
	assert_ok(kvol_delete(pool, "v", 0, &err));
}

/* LVM: "File descriptor 3 leaked on vgs invocation", and a device that is held by it. */
void files_of_the_pool_are_not_inherited_by_programs(void **state)
{
	struct dirent *e;
	DIR *d = opendir("/proc/self/fd");
	int flags;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d))) {
		flags = fcntl(atoi(e->d_name), F_GETFD);
		if (e->d_name[0] != '.' && atoi(e->d_name) > 2 && !(flags & FD_CLOEXEC))
			fail_msg("fd %s is left to programs", e->d_name);
	}
	(void)closedir(d);
}

/* libdevmapper beside udev: cookies that nobody completes, and dmsetup that waits. */
void no_udev_cookie_is_left(void **state)
{
	(void)state;
	pool_cycle();
	assert_sh("! dmsetup udevcookies | grep -q 0x");
}

/* udisks: "Unknown error 5005"; containerd: parses what the English stderr says. */
void error_codes_are_errnos_with_a_reason(void **state)
{
	struct kvol_pool *p = NULL;
	int r[6];

	(void)state;
	for (size_t i = 0; i < N_OF(r); i++) {
		before_call(NULL, false);
		r[i] = i == 0	? kvol_create(pool, "", 0, NULL, &err)
		       : i == 1 ? kvol_delete(pool, "fs/x", 0, &err)
		       : i == 2 ? kvol_snapshot(pool, "absent", "x", NULL, &err)
		       : i == 3 ? create_fs("x", MIB(64), "ntfs")
		       : i == 4 ? kvol_pool_open(ctx, "/dev/null", NULL, &p, &err)
				: kvol_expand(pool, "fs@1", GIB(1), 0, &err);
		assert_true(r[i] < 0 && r[i] > -134);
		assert_null(answer_fault(r[i]));
		assert_string_not_equal(kvol_reason_str(err.reason), "KVOL_R_UNKNOWN");
		assert_int_not_equal(err.reason, KVOL_R_NONE);
	}
}
