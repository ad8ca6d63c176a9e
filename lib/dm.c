/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Device-mapper's control device, by the ioctls of <linux/dm-ioctl.h>.
 *
 * Not through libdevmapper, because its calls print on stderr when an ioctl fails as we
 * expect it to, keep an unlocked process-wide list of node operations (threads crash in
 * it), and either make nodes behind udevd's back or need a System V semaphore.
 * doc/device-mapper.md has what was seen, and why udevd is told nothing here (no
 * cookie): its rules leave such devices alone.
 *
 * Nothing is shared but the control fd, and nothing is remembered: the kernel answers
 * each call. Requests live on the stack, because a message, a status or a resume may
 * run while a file system is frozen; only kv_dm_list allocates. No device node is made
 * or waited for: see kv_blockdev_open.
 *
 * A crash within kv_dm_create leaves a device without a live table; within kv_dm_reload
 * one that is suspended, or running with a second table in the inactive slot.
 * kv_dm_info tells the first two; the third is overwritten by the next load.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "dm.h"

#define CONTROL_PATH	"/dev/mapper/control"
#define DATA_SIZE	1024 /* for one target's line, or one message */
#define LIST_FIRST_SIZE (16u << 10)
#define LIST_MAX_SIZE	(64u << 20)
#define NAME_PREFIX	"kvol-"

_Static_assert(KV_DM_NAME_SIZE == DM_NAME_LEN && KV_DM_UUID_SIZE == DM_UUID_LEN,
	       "names.h does not match <linux/dm-ioctl.h>");

struct request {
	struct dm_ioctl dmi;
	union {
		struct dm_target_spec spec;
		struct dm_target_msg msg;
		char bytes[DATA_SIZE];
	} data;
};

_Static_assert(offsetof(struct request, data) == sizeof(struct dm_ioctl),
	       "padding in struct request");

/* --- One ioctl -------------------------------------------------------------------- */

static void prepare(struct dm_ioctl *dmi, size_t size, unsigned flags)
{
	/* 4.0.0: any kernel that answers with major 4 will do. */
	dmi->version[0] = DM_VERSION_MAJOR;
	dmi->data_size = (uint32_t)size;
	dmi->data_start = sizeof(*dmi);
	dmi->flags = flags;
}

static int request_init(struct request *rq, const char *uuid, unsigned flags)
{
	memset(rq, 0, sizeof(*rq));
	prepare(&rq->dmi, sizeof(*rq), flags);
	return kv_strcpy(rq->dmi.uuid, sizeof(rq->dmi.uuid), uuid) ? 0 : -EINVAL;
}

static int control(const struct kv_dm *dm, unsigned long cmd, struct dm_ioctl *dmi)
{
	int r;

	do
		r = ioctl(dm->fd, cmd, dmi);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static dev_t decode_dev(uint64_t dev)
{
	/* The kernel's huge_encode_dev(). */
	return makedev((unsigned)((dev & 0xfff00) >> 8),
		       (unsigned)((dev & 0xff) | ((dev >> 12) & 0xfff00)));
}

/* --- The control device ----------------------------------------------------------- */

int kv_dm_open(struct kv_dm *ret)
{
	_cleanup_close_ int fd = -1;
	struct request rq;
	struct kv_dm dm;
	int r;

	fd = open(CONTROL_PATH, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return -EOPNOTSUPP;
	if (fd < 0)
		return errno == EACCES ? -EPERM : -errno;
	dm.fd = fd;
	(void)request_init(&rq, "", 0);
	r = control(&dm, DM_VERSION, &rq.dmi);
	if (r == -ENOTTY || r == -EINVAL) /* not it, or another major version */
		return -EOPNOTSUPP;
	if (r == -EACCES) /* how device-mapper says that CAP_SYS_ADMIN is missing */
		return -EPERM;
	if (r < 0)
		return r;
	ret->fd = kv_take_fd(&fd);
	return 0;
}

void kv_dm_close(struct kv_dm *dm)
{
	dm->fd = kv_close(dm->fd);
}

int kv_dm_target_exists(const struct kv_dm *dm, const char *type)
{
	struct request rq;
	int r;

	(void)request_init(&rq, "", 0);
	if (!kv_strcpy(rq.dmi.name, sizeof(rq.dmi.name), type))
		return -EINVAL;
	/* Loads the module if need be; -EINVAL when there is none. */
	r = control(dm, DM_GET_TARGET_VERSION, &rq.dmi);
	return r == -EINVAL || r == -ENOTTY ? -EOPNOTSUPP : r;
}

/* --- Tables ----------------------------------------------------------------------- */

static int load(const struct kv_dm *dm, const char *uuid, const struct kv_dm_target *t,
		unsigned flags)
{
	struct request rq;
	struct dm_target_spec *spec = &rq.data.spec;
	size_t n = strlen(t->params) + 1;
	int r;

	r = request_init(&rq, uuid, flags & KV_DM_READONLY ? DM_READONLY_FLAG : 0);
	if (r < 0)
		return r;
	if (sizeof(*spec) + n > sizeof(rq.data) ||
	    !kv_strcpy(spec->target_type, sizeof(spec->target_type), t->type))
		return -EINVAL;
	rq.dmi.target_count = 1;
	spec->sector_start = t->start_sectors;
	spec->length = t->length_sectors;
	memcpy(rq.data.bytes + sizeof(*spec), t->params, n);
	return control(dm, DM_TABLE_LOAD, &rq.dmi);
}

/* Makes the inactive table live and ends a suspension, whichever of the two there is. */
static int resume(const struct kv_dm *dm, const char *uuid, unsigned flags)
{
	struct request rq;
	int r;

	r = request_init(&rq, uuid, flags);
	return r < 0 ? r : control(dm, DM_DEV_SUSPEND, &rq.dmi);
}

static int clear(const struct kv_dm *dm, const char *uuid)
{
	struct request rq;
	int r;

	r = request_init(&rq, uuid, 0);
	return r < 0 ? r : control(dm, DM_TABLE_CLEAR, &rq.dmi);
}

/* Gets the first target's line, or its status, into rq; *ret_line points there. */
static int table_status(const struct kv_dm *dm, const char *uuid, unsigned flags,
			struct request *rq, const char **ret_line)
{
	size_t start, n;
	int r;

	r = request_init(rq, uuid, flags);
	if (r < 0)
		return r;
	r = control(dm, DM_TABLE_STATUS, &rq->dmi);
	if (r < 0)
		return r;
	if (rq->dmi.flags & DM_BUFFER_FULL_FLAG)
		return -ENOSPC;
	if (rq->dmi.target_count == 0)
		return -ENODATA;
	if (rq->dmi.data_start != offsetof(struct request, data))
		return -EPROTO;
	start = sizeof(rq->data.spec);
	n = strnlen(rq->data.bytes + start, sizeof(rq->data) - start);
	if (start + n == sizeof(rq->data))
		return -EPROTO;
	rq->data.spec.target_type[sizeof(rq->data.spec.target_type) - 1] = '\0';
	*ret_line = rq->data.bytes + start;
	return 0;
}

int kv_dm_status(const struct kv_dm *dm, const char *uuid, unsigned flags, char *buf,
		 size_t size, char *ret_type)
{
	unsigned dm_flags = 0;
	struct request rq;
	const char *line;
	int r;

	if (!(flags & KV_DM_FLUSH))
		dm_flags |= DM_NOFLUSH_FLAG;
	if (flags & KV_DM_TABLE)
		dm_flags |= DM_STATUS_TABLE_FLAG;
	r = table_status(dm, uuid, dm_flags, &rq, &line);
	if (r < 0)
		return r;
	if (strlen(line) >= size)
		return -ENOSPC;
	(void)kv_strcpy(buf, size, line);
	if (ret_type)
		memcpy(ret_type, rq.data.spec.target_type, DM_MAX_TYPE_NAME);
	return 0;
}

/* --- Devices ---------------------------------------------------------------------- */

int kv_dm_info(const struct kv_dm *dm, const char *uuid, struct kv_dm_info *ret)
{
	struct request rq;
	int r;

	r = request_init(&rq, uuid, 0);
	if (r < 0)
		return r;
	r = control(dm, DM_DEV_STATUS, &rq.dmi);
	if (r < 0)
		return r;
	*ret = (struct kv_dm_info){
		.dev = decode_dev(rq.dmi.dev),
		.open_count = rq.dmi.open_count > 0 ? (uint32_t)rq.dmi.open_count : 0,
		.suspended = rq.dmi.flags & DM_SUSPEND_FLAG,
		.readonly = rq.dmi.flags & DM_READONLY_FLAG,
		.live_table = rq.dmi.flags & DM_ACTIVE_PRESENT_FLAG,
		.deferred_remove = rq.dmi.flags & DM_DEFERRED_REMOVE,
	};
	return 0;
}

int kv_dm_create(const struct kv_dm *dm, const struct kv_dm_id *id,
		 const struct kv_dm_target *t, unsigned flags, dev_t *ret_dev)
{
	struct request rq;
	dev_t dev;
	int r;

	r = request_init(&rq, id->uuid, 0);
	if (r < 0)
		return r;
	if (!kv_strcpy(rq.dmi.name, sizeof(rq.dmi.name), id->name))
		return -EINVAL;
	r = control(dm, DM_DEV_CREATE, &rq.dmi);
	if (r == -EBUSY) /* what the kernel says when the name or uuid is taken */
		return -EEXIST;
	if (r < 0)
		return r;
	dev = decode_dev(rq.dmi.dev);
	r = load(dm, id->uuid, t, flags);
	if (r < 0)
		goto undo_device;
	r = resume(dm, id->uuid, 0);
	if (r < 0)
		goto undo_device;
	if (ret_dev)
		*ret_dev = dev;
	return 0;

undo_device:
	/* Deferred, in case that somebody (udevd) looks at it right now. */
	(void)kv_dm_remove(dm, id->uuid, KV_DM_DEFERRED);
	return r;
}

int kv_dm_reload(const struct kv_dm *dm, const char *uuid, const struct kv_dm_target *t,
		 unsigned flags)
{
	const unsigned quick = DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG;
	const unsigned query = DM_STATUS_TABLE_FLAG | DM_NOFLUSH_FLAG;
	struct kv_dm_target old;
	struct request rq;
	int r;

	/* Remembered, because the kernel does not: when a target refuses to resume, the
	 * old table is gone, and the device is suspended with the bad one live. */
	r = table_status(dm, uuid, query, &rq, &old.params);
	if (r < 0)
		return r;
	old.start_sectors = rq.data.spec.sector_start;
	old.length_sectors = rq.data.spec.length;
	old.type = rq.data.spec.target_type;

	r = load(dm, uuid, t, flags);
	if (r < 0)
		return r;
	r = resume(dm, uuid, quick);
	if (r < 0)
		goto undo_table;
	return 0;

undo_table:
	(void)clear(dm, uuid);
	(void)load(dm, uuid, &old, rq.dmi.flags & DM_READONLY_FLAG ? KV_DM_READONLY : 0);
	(void)resume(dm, uuid, quick);
	return r;
}

int kv_dm_suspend(const struct kv_dm *dm, const char *uuid, unsigned flags)
{
	unsigned dm_flags = DM_SUSPEND_FLAG;
	struct request rq;
	int r;

	if (!(flags & KV_DM_LOCKFS))
		dm_flags |= DM_SKIP_LOCKFS_FLAG;
	if (!(flags & KV_DM_FLUSH))
		dm_flags |= DM_NOFLUSH_FLAG;
	r = request_init(&rq, uuid, dm_flags);
	return r < 0 ? r : control(dm, DM_DEV_SUSPEND, &rq.dmi);
}

int kv_dm_resume(const struct kv_dm *dm, const char *uuid)
{
	return resume(dm, uuid, 0);
}

int kv_dm_remove(const struct kv_dm *dm, const char *uuid, unsigned flags)
{
	struct request rq;
	int r;

	r = request_init(&rq, uuid, flags & KV_DM_DEFERRED ? DM_DEFERRED_REMOVE : 0);
	return r < 0 ? r : control(dm, DM_DEV_REMOVE, &rq.dmi);
}

int kv_dm_message(const struct kv_dm *dm, const char *uuid, const char *msg)
{
	size_t n = strlen(msg) + 1;
	struct request rq;
	int r;

	r = request_init(&rq, uuid, 0);
	if (r < 0)
		return r;
	if (sizeof(rq.data.msg) + n > sizeof(rq.data))
		return -EINVAL;
	memcpy(rq.data.msg.message, msg, n); /* sector 0: our tables have one target */
	return control(dm, DM_TARGET_MSG, &rq.dmi);
}

int kv_dm_cancel_remove(const struct kv_dm *dm, const char *uuid)
{
	return kv_dm_message(dm, uuid, "@cancel_deferred_remove");
}

/* --- Listing ---------------------------------------------------------------------- */

/* The list of devices in a buffer that the caller frees; its end is *ret_end. */
static int list_devices(const struct kv_dm *dm, const char *prefix, struct dm_ioctl **ret,
			const char **ret_end)
{
	_cleanup_free_ struct dm_ioctl *dmi = NULL;
	size_t size;
	int r;

	for (size = LIST_FIRST_SIZE; size <= LIST_MAX_SIZE; size *= 2) {
		kv_freep(&dmi);
		/* Zeroed: a kernel that lists no uuids does not write the flags. */
		dmi = calloc(1, size);
		if (!dmi)
			return -ENOMEM;
		prepare(dmi, size, DM_UUID_FLAG);
		if (!kv_strcpy(dmi->uuid, sizeof(dmi->uuid), prefix))
			return -EINVAL;
		r = control(dm, DM_LIST_DEVICES, dmi);
		if (r < 0)
			return r;
		if (dmi->flags & DM_BUFFER_FULL_FLAG)
			continue;
		if (dmi->data_start < sizeof(*dmi) || dmi->data_start > size)
			return -EPROTO;
		*ret_end = (char *)dmi + size;
		*ret = dmi;
		dmi = NULL;
		return 0;
	}
	return -EFBIG;
}

static const char *align8(const char *p)
{
	return (const char *)(((uintptr_t)p + 7) & ~(uintptr_t)7);
}

/* For kernels that do not list uuids. 1: found. */
static int uuid_by_name(const struct kv_dm *dm, const char *name, struct kv_dm_id *id)
{
	struct request rq;
	int r;

	if (strncmp(name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
		return 0;
	(void)request_init(&rq, "", 0);
	if (!kv_strcpy(rq.dmi.name, sizeof(rq.dmi.name), name))
		return 0;
	r = control(dm, DM_DEV_STATUS, &rq.dmi);
	if (r == -ENXIO) /* removed since */
		return 0;
	if (r < 0)
		return r;
	return kv_strcpy(id->uuid, sizeof(id->uuid), rq.dmi.uuid);
}

/* 1: the entry has a uuid, now in id. */
static int entry_id(const struct kv_dm *dm, const struct dm_name_list *entry,
		    const char *end, struct kv_dm_id *id)
{
	size_t room = (size_t)(end - entry->name), n;
	uint32_t extra[2] = { 0, 0 }; /* event number, flags */
	const char *p;

	n = strnlen(entry->name, room);
	if (n == room || !kv_strcpy(id->name, sizeof(id->name), entry->name))
		return -EPROTO;
	p = align8(entry->name + n + 1);
	if (end - p >= (ptrdiff_t)sizeof(extra))
		memcpy(extra, p, sizeof(extra));
	if (extra[1] & DM_NAME_LIST_FLAG_DOESNT_HAVE_UUID)
		return 0;
	if (!(extra[1] & DM_NAME_LIST_FLAG_HAS_UUID))
		return uuid_by_name(dm, id->name, id);
	p += sizeof(extra);
	room = (size_t)(end - p);
	if (strnlen(p, room) == room || !kv_strcpy(id->uuid, sizeof(id->uuid), p))
		return -EPROTO;
	return 1;
}

int kv_dm_list(const struct kv_dm *dm, const char *prefix,
	       int (*fn)(const struct kv_dm_id *id, dev_t dev, void *arg), void *arg)
{
	_cleanup_free_ struct dm_ioctl *dmi = NULL;
	const struct dm_name_list *entry;
	const char *p, *end;
	struct kv_dm_id id;
	int r;

	r = list_devices(dm, prefix, &dmi, &end);
	if (r < 0)
		return r;
	for (p = (char *)dmi + dmi->data_start;; p += entry->next) {
		entry = (const struct dm_name_list *)p;
		if (end - p < (ptrdiff_t)sizeof(*entry))
			return -EPROTO;
		if (!entry->dev) /* an empty list */
			return 0;
		r = entry_id(dm, entry, end, &id);
		if (r < 0)
			return r;
		if (r > 0 && strncmp(id.uuid, prefix, strlen(prefix)) == 0) {
			r = fn(&id, decode_dev(entry->dev), arg);
			if (r)
				return r;
		}
		if (!entry->next)
			return 0;
		if ((ptrdiff_t)entry->next > end - p)
			return -EPROTO;
	}
}
