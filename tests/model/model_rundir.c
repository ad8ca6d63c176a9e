/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The run directory's files, to go back to: small ones, and few.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

struct saved_file {
	struct saved_file *link;
	char path[MODEL_PATH];
	bool directory;
	char *data;
	size_t size;
};

struct model_saved_rundir {
	struct saved_file *files; /* a directory before what is in it */
	struct saved_file **end;
};

static void read_data(const char *path, struct saved_file *f)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	model_need(fd >= 0 && fstat(fd, &st) == 0, path);
	f->size = (size_t)st.st_size;
	f->data = malloc(f->size + 1);
	model_need(f->data && kv_pread_full(fd, f->data, f->size, 0) == 0, path);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void save_directory(struct model_saved_rundir *saved, const char *top,
			   const char *below)
{
	char path[2 * MODEL_PATH];
	struct dirent **names;
	struct saved_file *f;
	int n;

	(void)snprintf(path, sizeof(path), "%s%s", top, below);
	n = scandir(path, &names, NULL, by_name);
	model_need(n >= 0, path);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		if (!strcmp(name, ".") || !strcmp(name, "..")) {
			free(names[i]);
			continue;
		}
		f = calloc(1, sizeof(*f));
		model_need(f, "calloc");
		model_need(snprintf(f->path, sizeof(f->path), "%s/%s", below, name) <
				   (int)sizeof(f->path),
			   name);
		f->directory = names[i]->d_type == DT_DIR;
		*saved->end = f;
		saved->end = &f->link;
		(void)snprintf(path, sizeof(path), "%s%s", top, f->path);
		if (f->directory)
			save_directory(saved, top, f->path);
		else
			read_data(path, f);
		free(names[i]);
	}
	free(names);
}

struct model_saved_rundir *model_rundir_save(const char *path)
{
	struct model_saved_rundir *saved = calloc(1, sizeof(*saved));

	model_need(saved, "calloc");
	saved->end = &saved->files;
	save_directory(saved, path, "");
	return saved;
}

void model_rundir_restore(const struct model_saved_rundir *saved, const char *path)
{
	char name[2 * MODEL_PATH];

	model_remove_all(path);
	model_need(mkdir(path, 0700) == 0, path);
	for (const struct saved_file *f = saved->files; f; f = f->link) {
		_cleanup_close_ int fd = -1;

		(void)snprintf(name, sizeof(name), "%s%s", path, f->path);
		if (f->directory) {
			model_need(mkdir(name, 0700) == 0, name);
			continue;
		}
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		model_need(fd >= 0 && __real_kv_pwrite_full(fd, f->data, f->size, 0) == 0,
			   name);
	}
}

void model_rundir_saved_free(struct model_saved_rundir *saved)
{
	struct saved_file *f;

	while (saved && (f = saved->files)) {
		saved->files = f->link;
		free(f->data);
		free(f);
	}
	free(saved);
}

uint64_t model_rundir_hash(const char *path, uint64_t hash)
{
	struct model_saved_rundir *saved = model_rundir_save(path);

	for (const struct saved_file *f = saved->files; f; f = f->link) {
		hash = model_hash(f->path, strlen(f->path), hash);
		hash = model_hash(f->data, f->size, hash);
	}
	model_rundir_saved_free(saved);
	return hash;
}
