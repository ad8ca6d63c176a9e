/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Control groups: every directory that a test has made is one, and keeps the last line
 * that was written to its io.max.
 */

#include <errno.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "model.h"

int kv_cgroup_io_max(const char *path, const char *line)
{
	struct model_file *f, *found = NULL;
	int r = model_step("cgroup write");

	if (r < 0)
		return r;
	model_lock();
	for (f = model->files; f < model->files + MODEL_FILES && !found; f++)
		if (f->used && kv_str_equal(f->path, path))
			found = f;
	if (!found)
		r = -ENOENT;
	else if (!S_ISDIR(found->mode))
		r = S_ISLNK(found->mode) ? -ELOOP : -ENOTDIR;
	else if (model->no_io_controller)
		r = -EOPNOTSUPP;
	else
		(void)kv_strcpy(model->io_max, sizeof(model->io_max), line);
	model_unlock();
	return r;
}
