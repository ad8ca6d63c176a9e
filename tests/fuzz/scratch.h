/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_FUZZ_SCRATCH_H
#define KVOL_TESTS_FUZZ_SCRATCH_H

/*
 * A directory in memory for targets that read files: one below /dev/shm for each process,
 * removed at its exit. A process that crashes leaves it behind, for a look.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static char scratch_path[64];
static pid_t scratch_owner;

static inline void scratch_remove(void)
{
	char command[128];

	if (getpid() != scratch_owner)
		return;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", scratch_path);
	if (system(command))
		fprintf(stderr, "%s: not removed\n", scratch_path);
}

/* One for each process: those that replay.c forks make their own. */
static inline int scratch(void)
{
	static int fd = -1;

	if (fd >= 0 && scratch_owner == getpid())
		return fd;
	(void)snprintf(scratch_path, sizeof(scratch_path), "%s/kvol-fuzz-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(scratch_path));
	scratch_owner = getpid();
	(void)atexit(scratch_remove);
	fd = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static inline void scratch_write(int dir_fd, const char *name, const void *data, size_t n)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && write(fd, data, n) == (ssize_t)n);
	(void)close(fd);
}

#endif
