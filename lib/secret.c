/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Memory for keys. Each piece has pages of its own, which are never swapped out, are in no
 * core dump and in no forked child, and are wiped before they are given back: from here a
 * key goes nowhere but into the kernel's keyring.
 *
 * A secret that unlocks a volume is the caller's and stays where he has it; nothing here
 * copies one.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "secret.h"

static size_t whole_pages(size_t bytes)
{
	return (size_t)kv_round_up(bytes, (uint64_t)sysconf(_SC_PAGESIZE));
}

void *kv_secret_alloc(size_t bytes)
{
	size_t n = whole_pages(bytes);
	void *p;
	int saved;

	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (mlock2(p, n, 0) == 0 && madvise(p, n, MADV_DONTDUMP) == 0 &&
	    madvise(p, n, MADV_DONTFORK) == 0)
		return p;
	saved = errno;
	(void)munmap(p, n);
	errno = saved;
	return NULL;
}

void kv_secret_free(void *p, size_t bytes)
{
	if (!p)
		return;
	explicit_bzero(p, bytes);
	(void)munmap(p, whole_pages(bytes));
}
