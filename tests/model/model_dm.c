/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Device-mapper: devices, their tables, who has them open. In the place of lib/dm.c.
 *
 * A device is made in three steps (create, load, resume), and a process that dies between
 * them leaves one without a live table. Removing one that is open fails, or is put off to
 * the last close.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "dm.h"
#include "model.h"

#define BLOCKED_MS 5000

/* --- Devices ---------------------------------------------------------------------- */

dev_t model_dev_number(const struct model_dev *dev)
{
	return makedev(MODEL_DM_MAJOR, (unsigned)(dev - model->devs));
}

struct model_dev *model_dev_by_number(dev_t dev)
{
	if (major(dev) != MODEL_DM_MAJOR || minor(dev) >= MODEL_DEVS ||
	    !model->devs[minor(dev)].used)
		return NULL;
	return &model->devs[minor(dev)];
}

struct model_dev *model_dev(const char *uuid)
{
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		if (d->used && !strcmp(d->id.uuid, uuid))
			return d;
	return NULL;
}

unsigned model_n_devs(void)
{
	unsigned n = 0;

	model_sweep();
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		n += d->used;
	return n;
}

bool model_mounted(dev_t dev)
{
	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && !m->node && m->dev == dev)
			return true;
	return false;
}

/* Files, devices on top of it, and one for its superblock, however many mounts show it.
 */
unsigned model_openers(dev_t dev)
{
	unsigned n = model_mounted(dev);

	for (struct model_hold *h = model->holds; h < model->holds + MODEL_HOLDS; h++)
		n += h->used && h->kind == MODEL_HOLD_DEVICE && h->dev == dev;
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		for (int i = 0; i < 2; i++)
			n += d->used && d->table.live && d->table.below[i] == dev;
	return n;
}

uint64_t model_dev_bytes(dev_t dev)
{
	struct model_dev *d = model_dev_by_number(dev);

	return d && d->table.live ? d->table.sectors * KV_SECTOR : 0;
}

struct model_disk *model_disk_of_loop(dev_t dev)
{
	const struct model_loop *loop = &model->loops[minor(dev)];

	for (struct model_disk *x = model->disks; x < model->disks + MODEL_DISKS; x++)
		if (x->used && x->file_dev == loop->file_dev &&
		    x->file_ino == loop->file_ino)
			return x;
	return NULL;
}

/* What lies below a linear map, down to the disk. */
struct model_disk *model_disk_under(dev_t dev, uint64_t *ret_offset)
{
	struct model_dev *d = model_dev_by_number(dev);

	if (!d || !d->table.live || strcmp(d->table.type, "linear") ||
	    major(d->table.below[0]) != MODEL_LOOP_MAJOR)
		return NULL;
	if (ret_offset)
		*ret_offset = d->table.offset * KV_SECTOR;
	return model_disk_of_loop(d->table.below[0]);
}

struct model_disk *model_catalogue_under(dev_t dev)
{
	struct model_disk *disk =
		major(dev) == MODEL_LOOP_MAJOR ? model_disk_of_loop(dev) : NULL;

	return disk && disk->has_catalogue_fs ? disk : model_disk_under(dev, NULL);
}

int model_wait_running(dev_t dev)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int64_t deadline = kv_now_ms() + BLOCKED_MS;
	struct model_dev *d;

	while ((d = model_dev_by_number(dev)) && d->suspended) {
		if (kv_now_ms() > deadline) {
			model_disaster("blocked for ever on %s, which is suspended",
				       d->id.name);
			return -EIO;
		}
		model_unlock();
		if (!model_alone)
			(void)nanosleep(&moment, NULL);
		else if (!model_waiting || model_waiting() < 0)
			deadline = 0;
		model_lock();
		if (model_dead)
			return -EIO;
	}
	return d ? 0 : -ENXIO;
}

/* --- Tables ----------------------------------------------------------------------- */

static int load_linear(struct model_table *t)
{
	struct model_dev *below;
	uint64_t bytes;

	if (kv_thin_linear_parse(t->params, &t->below[0], &t->offset) < 0)
		return -EINVAL;
	if (major(t->below[0]) == MODEL_LOOP_MAJOR)
		return minor(t->below[0]) < MODEL_LOOPS &&
				       model->loops[minor(t->below[0])].used
			       ? 0
			       : -ENXIO;
	below = model_dev_by_number(t->below[0]);
	if (!below || !below->table.live)
		return -ENXIO;
	bytes = model_dev_bytes(t->below[0]);
	return (t->offset + t->sectors) * KV_SECTOR > bytes ? -EINVAL : 0;
}

static int parse_table(const struct kv_dm_target *t, unsigned flags,
		       const struct model_dev *self, struct model_table *ret)
{
	*ret = (struct model_table){
		.readonly = flags & KV_DM_READONLY,
		.sectors = t->length_sectors,
	};
	if (!t->length_sectors || t->start_sectors ||
	    !kv_strcpy(ret->type, sizeof(ret->type), t->type) ||
	    !kv_strcpy(ret->params, sizeof(ret->params), t->params))
		return -EINVAL;
	if (!strcmp(t->type, "linear"))
		return load_linear(ret);
	if (!strcmp(t->type, "thin"))
		return model_thin_load(ret);
	if (!strcmp(t->type, "crypt"))
		return model->no_crypt_target ? -EINVAL : model_crypt_load(ret);
	if (!strcmp(t->type, "thin-pool"))
		return model->no_thin_target ? -EINVAL : model_pool_load(ret, self);
	return -EINVAL;
}

/* All that a table can tell of it: sysfs says so only until the next one. */
static bool takes_no_discards(const struct model_table *t)
{
	struct model_dev *below;

	if (!strcmp(t->type, "crypt") && !strstr(t->params, " allow_discards"))
		return true;
	if (strcmp(t->type, "crypt") && strcmp(t->type, "linear"))
		return false;
	below = model_dev_by_number(t->below[0]);
	return below && below->no_discards;
}

/* Nothing is lost by a smaller one that ends behind every device on top of it and behind
 * its file system, and that nobody has open. */
static bool is_used_beyond(const struct model_dev *d, uint64_t sectors)
{
	const struct model_thin *thin = model_thin_under(model_dev_number(d));
	unsigned uppers = 0;

	for (struct model_dev *u = model->devs; u < model->devs + MODEL_DEVS; u++) {
		if (!u->used || !u->table.live ||
		    u->table.below[0] != model_dev_number(d))
			continue;
		if (u->table.offset + u->table.sectors > sectors)
			return true;
		uppers++;
	}
	return model_openers(model_dev_number(d)) > uppers ||
	       (thin && thin->content.bytes > sectors * KV_SECTOR);
}

static int put_table(const char *uuid, const struct model_table *t)
{
	struct model_dev *d = model_dev(uuid);

	if (!d)
		return -ENXIO;
	if (d->table.live && d->table.sectors > t->sectors &&
	    is_used_beyond(d, t->sectors))
		model_disaster("%s: a smaller table was loaded", d->id.name);
	d->table = *t;
	d->table.live = true;
	d->suspended = d->frozen = false;
	d->no_discards = takes_no_discards(t);
	return 0;
}

/* --- lib/dm.h --------------------------------------------------------------------- */

int kv_dm_open(struct kv_dm *ret)
{
	int r = model_step("dm open"), fd;

	if (r < 0)
		return r;
	if (model->no_device_mapper)
		return -EOPNOTSUPP;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret->fd = fd;
	return 0;
}

void kv_dm_close(struct kv_dm *dm)
{
	dm->fd = kv_close(dm->fd);
}

/* Each ioctl goes through here: it must be on an open control fd. */
static int begin(const struct kv_dm *dm, const char *what)
{
	int r = model_step(what);

	if (r < 0)
		return r;
	if (fcntl(dm->fd, F_GETFD) < 0)
		return -EBADF;
	model_lock();
	model_sweep();
	return 0;
}

static int end(int r)
{
	model_unlock();
	return r;
}

int kv_dm_target_exists(const struct kv_dm *dm, const char *type)
{
	int r = begin(dm, "dm target");

	if (r < 0)
		return r;
	if (!strcmp(type, "crypt") && model->no_crypt_target)
		return end(-EOPNOTSUPP);
	return end(!strcmp(type, "thin-pool") && model->no_thin_target ? -EOPNOTSUPP : 0);
}

int kv_dm_info(const struct kv_dm *dm, const char *uuid, struct kv_dm_info *ret)
{
	int r = begin(dm, "dm info");
	struct model_dev *d;

	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	*ret = (struct kv_dm_info){
		.dev = model_dev_number(d),
		.open_count = model_openers(model_dev_number(d)),
		.suspended = d->suspended,
		.readonly = d->table.readonly,
		.live_table = d->table.live,
		.deferred_remove = d->deferred,
	};
	return end(0);
}

static int create_device(const struct kv_dm *dm, const struct kv_dm_id *id, dev_t *ret)
{
	int r = begin(dm, "dm create");
	struct model_dev *found = NULL;

	if (r < 0)
		return r;
	for (struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++) {
		if (d->used &&
		    (!strcmp(d->id.name, id->name) || !strcmp(d->id.uuid, id->uuid)))
			return end(-EEXIST);
		if (!d->used && !found)
			found = d;
	}
	if (!found)
		return end(-ENOSPC);
	*found = (struct model_dev){ .used = true, .id = *id };
	*ret = model_dev_number(found);
	return end(0);
}

/* load: the table is looked at; resume: it becomes the live one. */
static int load_and_resume(const struct kv_dm *dm, const char *uuid,
			   const struct kv_dm_target *t, unsigned flags)
{
	struct model_table table;
	struct model_dev *self;
	int r;

	r = begin(dm, "dm load");
	if (r < 0)
		return r;
	self = model_dev(uuid);
	r = end(self ? parse_table(t, flags, self, &table) : -ENXIO);
	if (r < 0)
		return r;
	r = begin(dm, "dm resume");
	return r < 0 ? r : end(put_table(uuid, &table));
}

int kv_dm_create(const struct kv_dm *dm, const struct kv_dm_id *id,
		 const struct kv_dm_target *t, unsigned flags, dev_t *ret_dev)
{
	dev_t dev;
	int r;

	r = create_device(dm, id, &dev);
	if (r < 0)
		return r;
	r = load_and_resume(dm, id->uuid, t, flags);
	if (r < 0) {
		(void)kv_dm_remove(dm, id->uuid, KV_DM_DEFERRED);
		return r;
	}
	if (ret_dev)
		*ret_dev = dev;
	return 0;
}

int kv_dm_reload(const struct kv_dm *dm, const char *uuid, const struct kv_dm_target *t,
		 unsigned flags)
{
	return load_and_resume(dm, uuid, t, flags);
}

/* A signal handler that touches the frozen file system would hang for good. */
static void check_signals(void)
{
	sigset_t set;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &set);
	if (!sigismember(&set, SIGTERM) || !sigismember(&set, SIGALRM))
		model_disaster("a device is frozen while signals can come");
}

int kv_dm_suspend(const struct kv_dm *dm, const char *uuid, unsigned flags)
{
	int r = begin(dm, "dm suspend");
	struct model_thin *thin;
	struct model_dev *d;

	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	if (flags & KV_DM_LOCKFS)
		check_signals();
	d->suspended = true;
	d->frozen = flags & KV_DM_LOCKFS;
	thin = model_thin_under(model_dev_number(d));
	if (thin && (flags & KV_DM_FLUSH))
		thin->flushed = thin->content;
	return end(0);
}

int kv_dm_resume(const struct kv_dm *dm, const char *uuid)
{
	int r = begin(dm, "dm resume");
	struct model_dev *d;

	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	if (d->suspended && !d->table.live) /* nothing to resume into */
		return end(-EINVAL);
	d->suspended = d->frozen = false;
	return end(0);
}

int kv_dm_remove(const struct kv_dm *dm, const char *uuid, unsigned flags)
{
	int r = begin(dm, "dm remove");
	struct model_dev *d;

	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	model_stale = true;
	if (!model_openers(model_dev_number(d))) {
		d->used = false;
		model_sweep();
		return end(0);
	}
	if (!(flags & KV_DM_DEFERRED))
		return end(-EBUSY);
	d->deferred = true;
	return end(0);
}

int kv_dm_cancel_remove(const struct kv_dm *dm, const char *uuid)
{
	int r = begin(dm, "dm cancel remove");
	struct model_dev *d;

	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	d->deferred = false;
	return end(0);
}

int kv_dm_message(const struct kv_dm *dm, const char *uuid, const char *msg)
{
	struct model_dev *d;
	char what[48];
	int r;

	(void)snprintf(what, sizeof(what), "message %.32s", msg);
	r = begin(dm, what);
	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	if (!d->table.live || strcmp(d->table.type, "thin-pool"))
		return end(-EINVAL);
	return end(model_pool_message(d, msg));
}

int kv_dm_status(const struct kv_dm *dm, const char *uuid, unsigned flags, char *buf,
		 size_t size, char *ret_type)
{
	int r = begin(dm, flags & KV_DM_TABLE ? "dm table" : "dm status");
	struct model_dev *d;

	if (r < 0)
		return r;
	d = model_dev(uuid);
	if (!d)
		return end(-ENXIO);
	if (!d->table.live)
		return end(-ENODATA);
	if (flags & KV_DM_TABLE)
		r = kv_strcpy(buf, size, d->table.params) ? 0 : -ENOSPC;
	else if (!strcmp(d->table.type, "thin-pool"))
		r = model_pool_status(d, flags & KV_DM_FLUSH, buf, size);
	else if (!strcmp(d->table.type, "thin"))
		r = model_thin_status(d, buf, size);
	else if (size)
		buf[0] = '\0'; /* linear and crypt have none */
	if (r == 0 && ret_type)
		(void)kv_strcpy(ret_type, 16, d->table.type);
	return end(r);
}

int kv_dm_list(const struct kv_dm *dm, const char *prefix,
	       int (*fn)(const struct kv_dm_id *id, dev_t dev, void *arg), void *arg)
{
	_cleanup_free_ struct model_dev *copy = malloc(sizeof(model->devs));
	int r = begin(dm, "dm list");

	if (r < 0)
		return r;
	if (!copy)
		return end(-ENOMEM);
	memcpy(copy, model->devs, sizeof(model->devs));
	(void)end(0);
	for (unsigned i = 0; i < MODEL_DEVS && r == 0; i++)
		if (copy[i].used && !strncmp(copy[i].id.uuid, prefix, strlen(prefix)))
			r = fn(&copy[i].id, makedev(MODEL_DM_MAJOR, i), arg);
	return r;
}
