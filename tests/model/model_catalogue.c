/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The catalogue's files in memory, of a machine that model_start_alone() made.
 *
 * Each file is kept twice, as the page cache shows it and as the disk has it. A write
 * goes to the first; a sync brings the second up to date. A killed process leaves the
 * first, what it did not sync included; a power cut leaves the second, and any of the
 * sectors that were still on their way.
 */

#include <stdlib.h>
#include <string.h>

#include "model_catalogue.h"

#define SECTOR 512

struct model_catalogue model_catalogues[MODEL_DISKS];

/* --- Files ------------------------------------------------------------------------ */

static void make_room(struct model_cached_file *f, size_t size)
{
	size_t room = f->room ? f->room : 65536;

	if (size <= f->room)
		return;
	while (room < size)
		room *= 2;
	f->data = realloc(f->data, room);
	f->disk = realloc(f->disk, room);
	if (!f->data || !f->disk)
		abort();
	memset(f->data + f->room, 0, room - f->room);
	memset(f->disk + f->room, 0, room - f->room);
	f->room = room;
}

static void touch(struct model_cached_file *f, size_t at, size_t n)
{
	if (f->touched_from == f->touched_to) {
		f->touched_from = at;
		f->touched_to = at + n;
		return;
	}
	if (at < f->touched_from)
		f->touched_from = at;
	if (at + n > f->touched_to)
		f->touched_to = at + n;
}

static void changed(struct model_cached_file *f, size_t at, size_t n)
{
	struct model_range *last = f->n_unsynced ? &f->unsynced[f->n_unsynced - 1] : NULL;

	touch(f, at, n);
	if (last && last->at + last->n == at) {
		last->n += n;
		return;
	}
	if (f->n_unsynced == f->room_unsynced) {
		f->room_unsynced = f->room_unsynced ? 2 * f->room_unsynced : 16;
		f->unsynced =
			realloc(f->unsynced, f->room_unsynced * sizeof(f->unsynced[0]));
		if (!f->unsynced)
			abort();
	}
	f->unsynced[f->n_unsynced++] = (struct model_range){ at, n };
}

void model_file_write(struct model_cached_file *f, const void *data, size_t n, size_t at)
{
	make_room(f, at + n);
	memcpy(f->data + at, data, n);
	changed(f, at, n);
	if (at + n > f->size)
		f->size = at + n;
}

void model_file_truncate(struct model_cached_file *f, size_t size)
{
	if (size < f->size) {
		memset(f->data + size, 0, f->size - size);
		changed(f, size, f->size - size);
	}
	make_room(f, size);
	f->size = size;
}

void model_file_sync(struct model_cached_file *f)
{
	for (unsigned i = 0; i < f->n_unsynced; i++)
		memcpy(f->disk + f->unsynced[i].at, f->data + f->unsynced[i].at,
		       f->unsynced[i].n);
	f->n_unsynced = 0;
	f->disk_size = f->size;
	f->disk_used = f->used;
}

void model_file_unlink(struct model_cached_file *f)
{
	if (!f->used)
		return;
	model_file_truncate(f, 0);
	f->used = false;
}

/* --- What a power cut leaves ------------------------------------------------------ */

static bool survives(enum model_loss loss)
{
	return loss == MODEL_LOSE_NOTHING ||
	       (loss == MODEL_LOSE_SOME && (model_random() & 1));
}

/* Sector by sector: each of those on their way arrived, or did not. */
static void lose(struct model_cached_file *f, enum model_loss loss)
{
	size_t longest = f->size > f->disk_size ? f->size : f->disk_size;

	if (!f->room) {
		model_file_sync(f);
		return;
	}
	for (unsigned i = 0; i < f->n_unsynced; i++) {
		size_t at = f->unsynced[i].at / SECTOR * SECTOR;
		size_t end = f->unsynced[i].at + f->unsynced[i].n;

		for (; at < end; at += SECTOR)
			if (survives(loss))
				memcpy(f->disk + at, f->data + at, SECTOR);
	}
	if (f->size != f->disk_size && survives(loss))
		f->disk_size = f->size;
	if (f->used != f->disk_used && survives(loss))
		f->disk_used = f->used;
	f->size = f->disk_size;
	f->used = f->disk_used;
	if (longest > f->size)
		changed(f, f->size, longest - f->size);
	memset(f->disk + f->size, 0, longest - f->size);
	for (unsigned i = 0; i < f->n_unsynced; i++) {
		size_t at = f->unsynced[i].at / SECTOR * SECTOR;
		size_t end = kv_round_up(f->unsynced[i].at + f->unsynced[i].n, SECTOR);

		memcpy(f->data + at, f->disk + at, end - at);
		touch(f, at, end - at);
	}
	f->n_unsynced = 0;
}

void model_catalogue_cut(enum model_loss loss)
{
	for (int i = 0; i < MODEL_DISKS; i++)
		for (int k = 0; k < MODEL_N_KINDS; k++)
			lose(&model_catalogues[i].files[k], loss);
}

void model_catalogue_sync(int disk)
{
	for (int k = 0; k < MODEL_N_KINDS; k++)
		model_file_sync(&model_catalogues[disk].files[k]);
}

void model_catalogue_format(int disk)
{
	for (int k = 0; k < MODEL_N_KINDS; k++)
		model_file_unlink(&model_catalogues[disk].files[k]);
}

/* --- To go back to ---------------------------------------------------------------- */

struct saved_file {
	bool used, disk_used;
	unsigned char *data, *disk;
	size_t size, disk_size, room;
	struct model_range *unsynced;
	unsigned n_unsynced;
};

struct model_saved_catalogue {
	struct saved_file files[MODEL_DISKS][MODEL_N_KINDS];
};

static void *copy_of(const void *p, size_t n)
{
	void *copy = malloc(n + 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, p, n);
	return copy;
}

struct model_saved_catalogue *model_catalogue_save(void)
{
	struct model_saved_catalogue *saved = calloc(1, sizeof(*saved));

	if (!saved)
		abort();
	for (int i = 0; i < MODEL_DISKS; i++) {
		for (int k = 0; k < MODEL_N_KINDS; k++) {
			const struct model_cached_file *f = &model_catalogues[i].files[k];

			saved->files[i][k] = (struct saved_file){
				.used = f->used,
				.disk_used = f->disk_used,
				.data = copy_of(f->data, f->room),
				.disk = copy_of(f->disk, f->room),
				.size = f->size,
				.disk_size = f->disk_size,
				.room = f->room,
				.unsynced =
					copy_of(f->unsynced,
						f->n_unsynced * sizeof(f->unsynced[0])),
				.n_unsynced = f->n_unsynced,
			};
		}
	}
	return saved;
}

static void restore_file(struct model_cached_file *f, const struct saved_file *s,
			 const struct model_saved_catalogue *saved)
{
	make_room(f, s->room);
	if (f->origin != saved && f->room) {
		memset(f->data, 0, f->room);
		memset(f->disk, 0, f->room);
		touch(f, 0, s->room);
	} else if (f->room > s->room && f->touched_to > s->room) {
		memset(f->data + s->room, 0, f->room - s->room);
		memset(f->disk + s->room, 0, f->room - s->room);
	}
	if (f->touched_to > s->room)
		f->touched_to = s->room;
	if (f->touched_from < f->touched_to) {
		memcpy(f->data + f->touched_from, s->data + f->touched_from,
		       f->touched_to - f->touched_from);
		memcpy(f->disk + f->touched_from, s->disk + f->touched_from,
		       f->touched_to - f->touched_from);
	}
	f->n_unsynced = 0;
	for (unsigned i = 0; i < s->n_unsynced; i++)
		changed(f, s->unsynced[i].at, s->unsynced[i].n);
	f->used = s->used;
	f->disk_used = s->disk_used;
	f->size = s->size;
	f->disk_size = s->disk_size;
	f->touched_from = f->touched_to = 0;
	f->origin = saved;
}

void model_catalogue_restore(const struct model_saved_catalogue *saved)
{
	for (int i = 0; i < MODEL_DISKS; i++)
		for (int k = 0; k < MODEL_N_KINDS; k++)
			restore_file(&model_catalogues[i].files[k], &saved->files[i][k],
				     saved);
}

void model_catalogue_saved_free(struct model_saved_catalogue *saved)
{
	for (int i = 0; saved && i < MODEL_DISKS; i++) {
		for (int k = 0; k < MODEL_N_KINDS; k++) {
			struct saved_file *s = &saved->files[i][k];

			free(s->data);
			free(s->disk);
			free(s->unsynced);
			if (model_catalogues[i].files[k].origin == saved)
				model_catalogues[i].files[k].origin = NULL;
		}
	}
	free(saved);
}

uint64_t model_catalogue_hash(uint64_t hash)
{
	for (int i = 0; i < MODEL_DISKS; i++) {
		for (int k = 0; k < MODEL_N_KINDS; k++) {
			const struct model_cached_file *f = &model_catalogues[i].files[k];

			hash = model_hash(f->data, f->size, hash);
			hash = model_hash(&f->disk_size, sizeof(f->disk_size), hash);
			/* Elsewhere the disk has the same. */
			for (unsigned j = 0; j < f->n_unsynced; j++)
				hash = model_hash(f->disk + f->unsynced[j].at,
						  f->unsynced[j].n,
						  hash + f->unsynced[j].at);
		}
	}
	return hash;
}

void model_catalogue_end(void)
{
	for (int i = 0; i < MODEL_DISKS; i++) {
		struct model_catalogue *cat = &model_catalogues[i];

		for (int k = 0; k < MODEL_N_KINDS; k++) {
			free(cat->files[k].data);
			free(cat->files[k].disk);
			free(cat->files[k].unsynced);
		}
		for (int k = 0; k < MODEL_SHM_REGIONS; k++)
			free(cat->shm[k]);
		memset(cat, 0, sizeof(*cat));
	}
}
