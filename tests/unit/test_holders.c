/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who holds a device, by a /proc and a /sys of the test's own making: what is told of, and
 * what is not even looked at.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include <kvol/kvol.h>

#include "holders.h"

#define DEV makedev(253, 7)

struct world {
	char dir[64];
	int proc_fd, sys_fd;
	struct {
		struct kv_holder h;
		char what[64], target[256];
	} got[32];
	unsigned n;
};

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/* Its links point nowhere: who followed one would fail. */
static void add_process(const struct world *w, const char *pid, const char *comm,
			unsigned ns, const char *cwd)
{
	shell("cd %s/proc && mkdir -p %s/ns %s/fd %s/fdinfo %s/task/%s && cd %s && "
	      "ln -s 'mnt:[%u]' ns/mnt && echo '%s' >comm && ln -s '%s' cwd && ln -s / root && "
	      "ln -s /usr/bin/x exe && : >maps && : >mountinfo && "
	      "printf 'Name:\\tx\\nState:\\tS (sleeping)\\nUid:\\t5\\t6\\t7\\t8\\n' >status && "
	      "cp status task/%s/",
	      w->dir, pid, pid, pid, pid, pid, pid, ns, comm, cwd, pid);
}

static void add_mount(const struct world *w, const char *pid, const char *line)
{
	shell("echo '%s' >>%s/proc/%s/mountinfo", line, w->dir, pid);
}

static void add_fd(const struct world *w, const char *pid, int fd, const char *path,
		   unsigned mnt_id)
{
	shell("cd %s/proc/%s && ln -s '%s' fd/%d && "
	      "printf 'pos:\\t0\\nmnt_id:\\t%u\\n' >fdinfo/%d",
	      w->dir, pid, path, fd, mnt_id, fd);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/kvol-holders-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	shell("mkdir -p %s/proc %s/sys/dev/block/253:7/holders", w->dir, w->dir);
	add_process(w, "10", "self", 100, "/");
	shell("ln -s 10 %s/proc/thread-self", w->dir);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	shell("rm -rf %s", w->dir);
	free(w);
	return 0;
}

static int take(const struct kv_holder *h, void *arg)
{
	struct world *w = arg;

	assert_true(w->n < KV_ARRAY_SIZE(w->got));
	w->got[w->n].h = *h;
	(void)kv_strcpy(w->got[w->n].what, sizeof(w->got[0].what), h->what);
	(void)kv_strcpy(w->got[w->n].target, sizeof(w->got[0].target), h->target);
	w->n++;
	return 0;
}

static int scan_by(struct world *w, const struct kv_holders_query *q)
{
	char path[128];
	int r;

	w->n = 0;
	(void)snprintf(path, sizeof(path), "%s/proc", w->dir);
	w->proc_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/sys", w->dir);
	w->sys_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = kv_holders_scan(w->proc_fd, w->sys_fd, q, take, w);
	(void)close(w->proc_fd);
	(void)close(w->sys_fd);
	return r;
}

static int scan(struct world *w)
{
	return scan_by(w, &(struct kv_holders_query){ .devs = { DEV },
						      .deadline_ms = kv_deadline(60000) });
}

static void is(const struct world *w, unsigned i, uint32_t kind, uint32_t pid, uint32_t how,
	       const char *what, const char *target)
{
	assert_true(i < w->n);
	assert_int_equal(w->got[i].h.kind, kind);
	assert_int_equal(w->got[i].h.pid, pid);
	assert_int_equal(w->got[i].h.how, how);
	assert_string_equal(w->got[i].what, what);
	assert_string_equal(w->got[i].target, target);
}

static void nobody_holds_it(void **state)
{
	struct world *w = *state;

	add_mount(w, "10", "29 1 253:8 / /other rw - ext4 /dev/dm-8 rw");
	add_fd(w, "10", 3, "/other/x", 29);
	assert_int_equal(scan(w), 0);
	assert_int_equal(w->n, 0);
}

static void mounts_here_and_one_of_each_other_namespace(void **state)
{
	struct world *w = *state;

	add_mount(w, "10", "30 1 253:7 / /srv/a\\\\040b rw - ext4 /dev/dm-7 rw");
	add_mount(w, "10", "31 1 253:7 / /srv/c rw - ext4 /dev/dm-7 rw");
	add_process(w, "20", "init", 200, "/");
	add_process(w, "21", "child", 200, "/");
	add_mount(w, "20", "40 1 253:7 / /data rw - ext4 /dev/dm-7 rw");
	add_mount(w, "20", "41 1 253:7 / /more rw - ext4 /dev/dm-7 rw");
	add_mount(w, "21", "40 1 253:7 / /data rw - ext4 /dev/dm-7 rw");
	assert_int_equal(scan(w), 0);
	assert_int_equal(w->n, 3);
	for (unsigned i = 0; i < w->n; i++) {
		if (w->got[i].h.kind != KVOL_WHY_NAMESPACE)
			continue;
		assert_int_equal(w->got[i].h.ns, 200);
		assert_int_equal(w->got[i].h.mnt_id, 40);
		assert_true(w->got[i].h.pid == 20 || w->got[i].h.pid == 21);
		assert_string_equal(w->got[i].target, "/data");
	}
}

static void btrfs_and_nodes_are_known_by_their_device(void **state)
{
	struct world *w = *state;

	add_mount(w, "10", "30 1 0:44 / /b rw - btrfs /dev/dm-7 rw");
	add_mount(w, "10", "31 1 0:45 / /other rw - btrfs /dev/dm-70 rw");
	add_mount(w, "10", "32 1 0:5 /dm-7 /node rw - devtmpfs udev rw");
	add_mount(w, "10", "33 1 0:5 /dm-70 /no rw - devtmpfs udev rw");
	assert_int_equal(scan(w), 0);
	assert_int_equal(w->n, 2);
	is(w, 0, KVOL_WHY_MOUNT, 0, 0, "", "/b");
	is(w, 1, KVOL_WHY_MOUNT, 0, 0, "", "/node");
}

static void a_publish_is_known_by_its_mount(void **state)
{
	struct world *w = *state;
	const uint64_t ids[] = { 5, 77 };
	struct kv_holders_query q = { .devs = { DEV },
				      .mnt_ids = ids,
				      .n_mnt_ids = 2,
				      .deadline_ms = kv_deadline(60000) };

	add_mount(w, "10", "77 1 0:99 / /odd rw - tmpfs x rw");
	assert_int_equal(scan_by(w, &q), 0);
	assert_int_equal(w->n, 1);
	is(w, 0, KVOL_WHY_MOUNT, 0, 0, "", "/odd");
}

static void processes_are_told_with_all_their_ways(void **state)
{
	struct world *w = *state;

	add_mount(w, "10", "30 1 253:7 / /srv rw - ext4 /dev/dm-7 rw");
	add_process(w, "20", "holder", 100, "/srv/dir");
	add_fd(w, "20", 0, "/dev/null", 5);
	add_fd(w, "20", 4, "/srv/file", 30);
	add_fd(w, "20", 5, "pipe:[1]", 30);
	shell("echo '7f00-7f10 r--p 0 fd:07 5 /srv/lib' >%s/proc/20/maps", w->dir);
	add_process(w, "21", "device", 900, "/");
	add_fd(w, "21", 9, "/dev/dm-7", 5);
	add_process(w, "22", "near", 100, "/srvx");
	shell("cd %s/proc && cp 10/mountinfo 20/ && cp 10/mountinfo 22/", w->dir);
	assert_int_equal(scan(w), 0);
	assert_int_equal(w->n, 3);
	for (unsigned i = 1; i < 3; i++)
		if (w->got[i].h.pid == 20)
			is(w, i, KVOL_WHY_PROCESS, 20,
			   KVOL_WHY_BY_CWD | KVOL_WHY_BY_FILE | KVOL_WHY_BY_MMAP, "holder",
			   "/srv/dir");
		else
			is(w, i, KVOL_WHY_PROCESS, 21, KVOL_WHY_BY_DEVICE, "device",
			   "/dev/dm-7");
	assert_int_equal(w->got[1].h.uid, 6); /* the effective one */
}

/* Reading maps would wait for it. */
static void maps_of_who_waits_in_the_kernel_are_left_alone(void **state)
{
	struct world *w = *state;

	add_process(w, "20", "stuck", 100, "/");
	shell("cd %s/proc/20 && rm maps && mkfifo maps && mkdir task/21 && "
	      "sed 's/S (s/D (s/' status >task/21/status",
	      w->dir);
	assert_int_equal(scan(w), 0);
	assert_int_equal(w->n, 0);
}

static void devices_on_top_are_told_but_for_the_face(void **state)
{
	struct world *w = *state;
	struct kv_holders_query q = { .devs = { DEV, makedev(253, 9) },
				      .deadline_ms = kv_deadline(60000) };

	shell("cd %s/sys/dev/block/253:7/holders && mkdir -p dm-8/dm dm-9/dm && "
	      "echo crypt >dm-8/dm/name && echo face >dm-9/dm/name",
	      w->dir);
	assert_int_equal(scan_by(w, &q), 0);
	assert_int_equal(w->n, 1);
	is(w, 0, KVOL_WHY_DEVICE, 0, 0, "crypt", "/dev/dm-8");
}

static void what_is_not_whole_says_so(void **state)
{
	struct world *w = *state;
	struct kv_holders_query q = { .devs = { DEV }, .deadline_ms = kv_now_ms() - 1 };

	assert_int_equal(scan_by(w, &q), -ETIMEDOUT);
	shell("for i in $(seq 5000); do echo \"$i 1 0:4 / /m$i rw - tmpfs x rw\"; done "
	      ">>%s/proc/10/mountinfo",
	      w->dir);
	assert_int_equal(scan(w), 0); /* others' mounts do not count */
	shell("rm %s/proc/thread-self", w->dir);
	assert_int_equal(scan(w), -EOPNOTSUPP);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_world(nobody_holds_it),
		in_world(mounts_here_and_one_of_each_other_namespace),
		in_world(btrfs_and_nodes_are_known_by_their_device),
		in_world(a_publish_is_known_by_its_mount),
		in_world(processes_are_told_with_all_their_ways),
		in_world(maps_of_who_waits_in_the_kernel_are_left_alone),
		in_world(devices_on_top_are_told_but_for_the_face),
		in_world(what_is_not_whole_says_so),
	};

	return cmocka_run_group_tests_name("holders", tests, NULL, NULL);
}
