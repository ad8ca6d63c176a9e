// SPDX-License-Identifier: LGPL-2.1-or-later
/* This kernel: see machine.h. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"

static char top[128];

const char *machine_path(const char *name)
{
	static char paths[4][256];
	static unsigned n;
	char *path = paths[n++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

void machine_start(const char *dir)
{
	(void)snprintf(top, sizeof(top), "%s", dir);
	need(mkdir(dir, 0700) == 0, dir);
}

/* What stands in it is the script's, and goes with the guest. */
void machine_end(void)
{
}

void machine_make_directory(const char *name)
{
	need(mkdir(machine_path(name), 0755) == 0, name);
}

void machine_make_file(const char *name)
{
	need(close(open(machine_path(name), O_CREAT | O_EXCL | O_CLOEXEC, 0644)) == 0,
	     name);
}

void machine_make_link(const char *name)
{
	need(symlink("nowhere", machine_path(name)) == 0, name);
}
