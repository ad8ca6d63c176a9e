/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Secrets: read from a file or from standard input, never from the command line, which
 * every user of the host can see. All bytes count, a line break at the end too.
 *
 * They are kept in pages of their own, which are not swapped out nor dumped, and are
 * wiped when they are no longer needed.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvolctl.h"

#define ROOM 8192 /* more than the library takes: it says what is too much */

int option_secret(const struct invocation *inv, enum option_id id, struct secret *ret)
{
	const char *path = inv->options[id];
	ssize_t n = 1;
	int fd;

	if (!path)
		return DONE;
	fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (fd < 0)
		return fail_errno(-errno, path);
	ret->data = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (ret->data == MAP_FAILED) {
		ret->data = NULL;
		n = -1;
	} else if (mlock(ret->data, ROOM) < 0 ||
		   madvise(ret->data, ROOM, MADV_DONTDUMP) < 0) {
		n = -1;
	}
	while (n > 0 && ret->bytes < ROOM) {
		n = read(fd, ret->data + ret->bytes, ROOM - ret->bytes);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			ret->bytes += (size_t)n;
	}
	if (n < 0)
		(void)fail_errno(-errno, path);
	if (fd != STDIN_FILENO)
		(void)close(fd);
	return n < 0 ? FAILED : DONE;
}

void secret_free(struct secret *secret)
{
	if (!secret->data)
		return;
	explicit_bzero(secret->data, ROOM);
	(void)munmap(secret->data, ROOM);
}
