/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Disks, power cuts, and going back: to what was durable, or of a machine alone to all of
 * it, with its devices, mounts and run directory.
 *
 * A catalogue's files are real ones in the directory of its disk, or of a machine alone
 * those of model_catalogue.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

#define LABEL_SIZE	4096
#define CATALOGUE_FILES 5 /* and the host's claim */
#define MEMBER		4 /* which is a real file everywhere */

static const char *const catalogue_files[CATALOGUE_FILES] = {
	"catalogue.db",
	"catalogue.db-wal",
	"catalogue.db-shm",
	"catalogue.db-journal",
	"member",
};

struct saved_file {
	char *data;
	size_t size; /* 0: not there */
};

/* The kernel of a machine: the same fields as in struct model. */
struct saved_kernel {
	uint64_t ino;
	unsigned mount_order;
	struct model_dev devs[MODEL_DEVS];
	struct model_key keys[MODEL_KEYS];
	struct model_loop loops[MODEL_LOOPS];
	struct model_mount mounts[MODEL_MOUNTS];
	struct model_file files[MODEL_FILES];
	struct model_ns ns[MODEL_NS];
};

struct model_saved {
	struct model_disk disks[MODEL_DISKS];
	struct saved_file catalogue[MODEL_DISKS][CATALOGUE_FILES];
	struct model_saved_catalogue *in_memory; /* of a machine alone */
	struct saved_kernel *kernel;		 /* of a running one */
	struct model_saved_rundir *rundir;
};

static void run_directory(char ret[MODEL_PATH])
{
	(void)snprintf(ret, MODEL_PATH, "%s/run", model->dir);
}

/* --- The catalogue's files, where they are real ----------------------------------- */

static void catalogue_file(int disk, const char *name, char ret[MODEL_PATH])
{
	model_need(snprintf(ret, MODEL_PATH, "%s/disk%d/%s", model->dir, disk, name) <
			   MODEL_PATH,
		   "a path");
}

static void read_file(const char *path, struct saved_file *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	ret->size = 0;
	ret->data = NULL;
	if (fd < 0)
		return;
	model_need(fstat(fd, &st) == 0, path);
	ret->size = (size_t)st.st_size;
	ret->data = malloc(ret->size + 1);
	model_need(ret->data && kv_pread_full(fd, ret->data, ret->size, 0) == 0, path);
}

static void write_file(const char *path, const struct saved_file *file)
{
	_cleanup_close_ int fd = -1;

	(void)__real_unlink(path);
	if (!file->data)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	model_need(fd >= 0 && __real_kv_pwrite_full(fd, file->data, file->size, 0) == 0,
		   path);
}

/* --- Saving ----------------------------------------------------------------------- */

struct model_saved *model_save(void)
{
	struct model_saved *saved = calloc(1, sizeof(*saved));
	char path[MODEL_PATH];

	model_need(saved, "calloc");
	memcpy(saved->disks, model->disks, sizeof(saved->disks));
	if (model_alone)
		saved->in_memory = model_catalogue_save();
	for (int i = 0; i < MODEL_DISKS; i++) {
		for (int j = model_alone ? MEMBER : 0; j < CATALOGUE_FILES; j++) {
			catalogue_file(i, catalogue_files[j], path);
			read_file(path, &saved->catalogue[i][j]);
		}
	}
	return saved;
}

struct model_saved *model_save_running(void)
{
	struct model_saved *saved = model_save();
	struct saved_kernel *k = calloc(1, sizeof(*k));
	char path[MODEL_PATH];

	model_need(model_alone && k, "a machine alone");
	model_sweep();
	k->ino = model->ino;
	k->mount_order = model->mount_order;
	memcpy(k->devs, model->devs, sizeof(k->devs));
	memcpy(k->keys, model->keys, sizeof(k->keys));
	memcpy(k->loops, model->loops, sizeof(k->loops));
	memcpy(k->mounts, model->mounts, sizeof(k->mounts));
	memcpy(k->files, model->files, sizeof(k->files));
	memcpy(k->ns, model->ns, sizeof(k->ns));
	saved->kernel = k;
	run_directory(path);
	saved->rundir = model_rundir_save(path);
	return saved;
}

static void restore_kernel(const struct saved_kernel *k)
{
	model->ino = k->ino;
	model->mount_order = k->mount_order;
	memcpy(model->devs, k->devs, sizeof(k->devs));
	memcpy(model->keys, k->keys, sizeof(k->keys));
	memcpy(model->loops, k->loops, sizeof(k->loops));
	memcpy(model->mounts, k->mounts, sizeof(k->mounts));
	memcpy(model->files, k->files, sizeof(k->files));
	memcpy(model->ns, k->ns, sizeof(k->ns));
	memset(model->holds, 0, sizeof(model->holds));
	model_alone_boot();
}

static void restore_disks(const struct model_saved *saved)
{
	for (int i = 0; i < MODEL_DISKS; i++) {
		if (model->disks[i].used || saved->disks[i].used)
			model->disks[i] = saved->disks[i];
		model->disks[i].stale = true;
	}
}

void model_restore(const struct model_saved *saved)
{
	char path[MODEL_PATH];

	restore_disks(saved);
	if (saved->kernel) {
		restore_kernel(saved->kernel);
		run_directory(path);
		model_rundir_restore(saved->rundir, path);
	}
	if (model_alone)
		model_catalogue_restore(saved->in_memory);
	for (int i = 0; i < MODEL_DISKS; i++) {
		for (int j = model_alone ? MEMBER : 0; j < CATALOGUE_FILES; j++) {
			catalogue_file(i, catalogue_files[j], path);
			write_file(path, &saved->catalogue[i][j]);
		}
	}
}

void model_saved_free(struct model_saved *saved)
{
	if (!saved)
		return;
	for (int i = 0; i < MODEL_DISKS; i++)
		for (int j = 0; j < CATALOGUE_FILES; j++)
			free(saved->catalogue[i][j].data);
	model_catalogue_saved_free(saved->in_memory);
	model_rundir_saved_free(saved->rundir);
	free(saved->kernel);
	free(saved);
}

#define LANES 4

/* Words in lanes, not bytes one after the other: this is run over and over. */
uint64_t model_hash(const void *data, size_t n, uint64_t hash)
{
	const uint64_t prime = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t lanes[LANES] = { hash, hash + 1, hash + 2, hash + 3 }, word[LANES];
	const unsigned char *p = data;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(word, p, sizeof(word));
		for (int i = 0; i < LANES; i++) {
			lanes[i] = (lanes[i] ^ word[i]) * prime;
			lanes[i] ^= lanes[i] >> 29;
		}
	}
	memset(word, 0, sizeof(word));
	if (n)
		memcpy(word, p, n);
	for (int i = 0; i < LANES; i++) {
		hash = (hash ^ lanes[i] ^ word[i]) * prime;
		hash ^= hash >> 29;
	}
	return hash;
}

uint64_t model_state_hash(void)
{
	char path[MODEL_PATH];
	uint64_t hash = 1;

	model_sweep();
	for (int i = 0; i < MODEL_DISKS; i++) {
		model->disks[i].stale = model->disks[i].rendered = true;
		if (model->disks[i].used)
			hash = model_hash(&model->disks[i], sizeof(model->disks[i]),
					  hash + (uint64_t)i);
	}
	for (int i = 0; i < MODEL_DEVS; i++)
		if (model->devs[i].used)
			hash = model_hash(&model->devs[i], sizeof(model->devs[i]),
					  hash + (uint64_t)i);
	hash = model_hash(model->keys, sizeof(model->keys), hash);
	hash = model_hash(model->loops, sizeof(model->loops), hash);
	for (int i = 0; i < MODEL_MOUNTS; i++)
		if (model->mounts[i].used)
			hash = model_hash(&model->mounts[i], sizeof(model->mounts[i]),
					  hash + (uint64_t)i);
	run_directory(path);
	return model_rundir_hash(path, model_catalogue_hash(hash));
}

/* --- Power cuts ------------------------------------------------------------------- */

static void lose_contents(struct model_disk *disk, enum model_loss loss)
{
	for (int i = 0; i < MODEL_THINS; i++) {
		struct model_thin *t = &disk->metadata.thins[i];

		if (loss == MODEL_LOSE_NOTHING ||
		    (loss == MODEL_LOSE_SOME && (model_random() & 1)))
			t->flushed = t->content;
		t->content = t->flushed;
	}
	if (disk->unflushed && loss != MODEL_LOSE_NOTHING) {
		disk->has_catalogue_fs = false;
		disk->metadata.formatted = false;
		model_catalogue_format((int)(disk - model->disks));
	}
	disk->unflushed = false;
}

void model_power_cut_losing(enum model_loss loss)
{
	char path[MODEL_PATH];

	if (model_alone)
		model_catalogue_cut(loss);
	for (int i = 0; i < MODEL_DISKS; i++)
		if (model->disks[i].used)
			lose_contents(&model->disks[i], loss);
	run_directory(path);
	model_remove_all(path);
	(void)snprintf(path, sizeof(path), "%s/hold", model->dir);
	model_remove_all(path);
	model_boot();
}

void model_power_cut(void)
{
	model_power_cut_losing(MODEL_LOSE_NOTHING);
}

/* --- Disks ------------------------------------------------------------------------ */

/* Its file was removed, or is another one by now. */
static bool is_gone(const struct model_disk *d)
{
	struct stat st;

	return stat(d->path, &st) < 0 || st.st_dev != d->file_dev ||
	       st.st_ino != d->file_ino;
}

static struct model_disk *known_disk(const struct stat *st)
{
	for (struct model_disk *d = model->disks; d < model->disks + MODEL_DISKS; d++)
		if (d->used && d->file_dev == st->st_dev && d->file_ino == st->st_ino)
			return d;
	return NULL;
}

static struct model_disk *disk_of(const struct stat *st, const char *path)
{
	struct model_disk *free_one = known_disk(st);

	if (free_one)
		return free_one;
	for (struct model_disk *d = model->disks; d < model->disks + MODEL_DISKS; d++)
		if (!d->used || (!free_one && is_gone(d)))
			free_one = d;
	model_need(free_one, "too many disks");
	*free_one = (struct model_disk){
		.used = true,
		.file_dev = st->st_dev,
		.file_ino = st->st_ino,
	};
	model_need(kv_strcpy(free_one->path, sizeof(free_one->path), path), "a path");
	return free_one;
}

struct model_disk *model_disk_by_fd(int fd)
{
	char link[64], path[MODEL_PATH];
	struct model_disk *known;
	struct stat st;
	ssize_t n;

	model_need(fstat(fd, &st) == 0, "fstat");
	known = known_disk(&st);
	if (known)
		return known;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	model_need(n > 0, link);
	path[n] = '\0';
	return disk_of(&st, path);
}

struct model_disk *model_disk(const char *path)
{
	struct stat st;

	model_need(stat(path, &st) == 0, path);
	return disk_of(&st, path);
}

void model_catalogue_path(const char *disk_path, char ret[MODEL_PATH])
{
	catalogue_file((int)(model_disk(disk_path) - model->disks), catalogue_files[0],
		       ret);
}

static void copy_catalogue(const struct model_disk *from, const struct model_disk *to)
{
	struct saved_file file;
	char path[MODEL_PATH];

	for (int j = 0; j < CATALOGUE_FILES; j++) {
		catalogue_file((int)(from - model->disks), catalogue_files[j], path);
		read_file(path, &file);
		catalogue_file((int)(to - model->disks), catalogue_files[j], path);
		write_file(path, &file);
		free(file.data);
	}
}

/* In memory there is only ever one: the last one is gone. */
void model_catalogue_copied(struct model_disk *from, int memory_fd)
{
	struct model_disk *to;

	for (to = model->disks; to < model->disks + MODEL_DISKS; to++)
		if (to->used && !strncmp(to->path, "/memfd:", 7))
			to->used = false;
	to = model_disk_by_fd(memory_fd);
	to->has_catalogue_fs = true;
	to->catalogue_damaged = from->catalogue_damaged;
	to->catalogue_lost = from->catalogue_lost;
	copy_catalogue(from, to);
}

void model_disk_copy(const char *from, const char *to)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct model_disk *a, *b, identity;
	char label[LABEL_SIZE];
	struct stat st;

	model_need(in >= 0 && out >= 0 && fstat(in, &st) == 0 &&
			   __real_ftruncate(out, st.st_size) == 0 &&
			   kv_pread_full(in, label, sizeof(label), 0) == 0 &&
			   __real_kv_pwrite_full(out, label, sizeof(label), 0) == 0,
		   to);
	a = model_disk(from);
	b = model_disk(to);
	identity = *b;
	*b = *a;
	b->file_dev = identity.file_dev;
	b->file_ino = identity.file_ino;
	copy_catalogue(a, b);
}
