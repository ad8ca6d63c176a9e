/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_OCI_CONTAINER_H
#define KVOL_OCI_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What one volume of the container is to be, from its annotations io.kvol.TAG.*. */
struct wish {
	char tag[64];
	const char *volume;
	const char *target;	/* absolute, as the container has it */
	const char *options;	/* as mount(8) -o takes them; NULL: none */
	bool readonly;
	bool idmap;		/* through the container's user namespace */
};

#define WISHES_MAX 64

struct container {
	char id[256];
	pid_t pid;		/* 0: it is no more */
	/* While there is a pid: */
	char rootfs[4096];	/* without symbolic links */
	struct wish wishes[WISHES_MAX];
	size_t n_wishes;
	void *json;		/* owns the strings */
};

/* Reads the state that an OCI runtime gives its hooks on standard input, and of the bundle's
 * config.json the root file system. Negative, with a line on standard error, if it is none. */
int container_read(struct container *ret);
void container_free(struct container *c);

/* Makes the target's directories in what the container has as its root. Never through a symbolic
 * link, whatever the image holds. On success `path` is the target before the container's root is
 * changed. */
int container_make_target(const struct container *c, const char *target, char *path, size_t size);

/* Prints "kvol-oci-hook: ..." on standard error, where runtimes look; returns -1. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
