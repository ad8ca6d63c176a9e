// SPDX-License-Identifier: LGPL-2.1-or-later
/* The model: see machine.h. What it takes for a disaster is what scripts are after. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"
#include "model.h"

const char *machine_path(const char *name)
{
	static char paths[4][256];
	static unsigned n;
	char *path = paths[n++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", model->dir, name);
	return path;
}

/* The way to a target is looked at, too. */
void machine_start(const char *dir)
{
	char path[MODEL_PATH];

	(void)dir;
	model_start();
	model->mkfs_bytes = 4096; /* as the kernel's side has one: templates are made */
	(void)snprintf(path, sizeof(path), "%s/", model->dir);
	for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		model_file(path, S_IFDIR);
		*slash = '/';
	}
}

void machine_end(void)
{
	model_end();
}

void machine_make_directory(const char *name)
{
	model_file(machine_path(name), S_IFDIR);
}

void machine_make_file(const char *name)
{
	model_file(machine_path(name), S_IFREG);
}

void machine_make_link(const char *name)
{
	model_file(machine_path(name), S_IFLNK);
}
