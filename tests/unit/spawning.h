/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SPAWNING_H
#define SPAWNING_H

/* What the tests of lib/spawn.c share. */

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "spawn.h"

/* Far more than anything here takes: no test waits for it. */
#define LONG_MS 60000

static char detail[128];

static int shell(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return kv_spawn(argv, kv_deadline(LONG_MS), detail, sizeof(detail));
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void assert_no_child_left(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);
}

#endif
