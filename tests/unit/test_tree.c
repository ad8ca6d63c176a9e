/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Giving a tree to a group: what is in it, what is not, and what stays as it was; and one
 * directory to an owner. Needs to be root.
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
#include <unistd.h>

#include <cmocka.h>

#include "tree.h"

#define GROUP 4321

struct place {
	char dir[64];
	int fd; /* of the tree in it */
};

static void shell(const struct place *p, const char *command)
{
	char line[1024];

	(void)snprintf(line, sizeof(line), "cd %s && %s", p->dir, command);
	assert_int_equal(system(line), 0);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char path[80];

	assert_non_null(p);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/kvol-tree-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	shell(p, "umask 077 && mkdir -p t/d/e && : >outside && : >t/d/f && "
		 "cp /bin/true t/tool && chmod 6711 t/tool && ln -s ../outside t/out && "
		 "ln -s .. t/d/up && mkfifo t/fifo && ln t/d/f t/hard");
	(void)snprintf(path, sizeof(path), "%s/t", p->dir);
	p->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	shell(p, "rm -rf t outside");
	(void)close(p->fd);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static int64_t soon(void)
{
	return kv_deadline(60000);
}

static void is(const struct place *p, const char *name, gid_t gid, mode_t mode)
{
	struct stat st;

	assert_int_equal(fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	if (st.st_gid != gid || (st.st_mode & 07777) != mode)
		fail_msg("%s: group %u, mode %o", name, st.st_gid, st.st_mode & 07777);
}

static void all_of_it_and_nothing_else(void **state)
{
	struct place *p = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(kv_tree_has_group(p->fd, GROUP), 0);
	assert_int_equal(kv_tree_group(p->fd, GROUP, soon()), 0);
	is(p, ".", GROUP, 02770);
	is(p, "d", GROUP, 02770);
	is(p, "d/e", GROUP, 02770);
	is(p, "d/f", GROUP, 0660);
	is(p, "hard", GROUP, 0660);
	is(p, "tool", GROUP, 0771);
	is(p, "fifo", GROUP, 0600);
	is(p, "out", GROUP, 0777);
	is(p, "d/up", GROUP, 0777);
	is(p, "../outside", getegid(), 0600);
	is(p, "..", getegid(), 0700);
	assert_int_equal(kv_tree_has_group(p->fd, GROUP), 1);
	assert_int_equal(kv_tree_has_group(p->fd, GROUP + 1), 0);
	assert_int_equal(fchmod(p->fd, 0770), 0);
	assert_int_equal(kv_tree_has_group(p->fd, GROUP), 0);
}

static void root_is_the_last(void **state)
{
	struct place *p = *state;

	assert_int_equal(kv_tree_group(p->fd, GROUP, kv_now_ms() - 1), -ETIMEDOUT);
	is(p, ".", getegid(), 0700);
	assert_int_equal(kv_tree_has_group(p->fd, GROUP), 0);
}

static void tree_that_is_too_deep_is_refused(void **state)
{
	struct place *p = *state;
	int fd = p->fd, next;

	if (geteuid() != 0)
		skip();
	for (int i = 0; i < KV_TREE_DEPTH + 1; i++) {
		assert_int_equal(mkdirat(fd, "deep", 0700), 0);
		next = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		if (fd != p->fd)
			(void)close(fd);
		fd = next;
	}
	(void)close(fd);
	assert_int_equal(kv_tree_group(p->fd, GROUP, soon()), -ELOOP);
	is(p, ".", getegid(), 0700);
}

static void directory_alone_gets_owner_and_mode(void **state)
{
	const struct kv_owner ids = { .what = KV_OWN_IDS, .uid = 11, .gid = GROUP };
	const struct kv_owner mode = { .what = KV_OWN_MODE, .mode = 07751 };
	const struct kv_owner both = { KV_OWN_IDS | KV_OWN_MODE, 12, GROUP + 1, 02700 };
	struct place *p = *state;
	struct stat st;

	if (geteuid() != 0)
		skip();
	assert_int_equal(kv_tree_own(p->fd, &ids), 0);
	is(p, ".", GROUP, 0700);
	assert_int_equal(kv_tree_own(p->fd, &mode), 0);
	is(p, ".", GROUP, 07751);
	assert_int_equal(fstat(p->fd, &st), 0);
	assert_int_equal(st.st_uid, 11);
	assert_int_equal(kv_tree_own(p->fd, &both), 0);
	is(p, ".", GROUP + 1, 02700);
	assert_int_equal(fstat(p->fd, &st), 0);
	assert_int_equal(st.st_uid, 12);
	is(p, "d", getegid(), 0700);
	assert_int_equal(kv_tree_own(-1, &ids), -EBADF);
	assert_int_equal(kv_tree_own(-1, &mode), -EBADF);
}

#define in_place(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_place(all_of_it_and_nothing_else),
		in_place(root_is_the_last),
		in_place(directory_alone_gets_owner_and_mode),
		in_place(tree_that_is_too_deep_is_refused),
	};

	return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
