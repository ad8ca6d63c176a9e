// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * lib/dm.c on a control device that this file plays: open() and ioctl() are wrapped by
 * the linker. It keeps devices with a live and an inactive table and checks each request
 * as the kernel's copy_params() does; a test can make the n-th ioctl fail, or answer
 * nonsense.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "dm.h"
#include "util.h"

#define DEVICES 8
#define UUID	"KVOL-0123-1"
#define MAJOR	253

struct table {
	bool there, readonly;
	uint64_t length;
	char type[DM_MAX_TYPE_NAME];
	char params[512];
};

struct device {
	bool used, suspended, deferred;
	char name[DM_NAME_LEN], uuid[DM_UUID_LEN];
	uint32_t minor;
	int32_t openers;
	struct table live, inactive;
};

static struct {
	struct device devices[DEVICES];
	int open_errno;
	unsigned ioctls, fail_at; /* 0: never */
	int fail_errno;
	unsigned long fail_cmd; /* 0: any, else every one of these fails */
	const char *bad_params; /* a table with these resumes with EINVAL */
	char message[256];
	uint32_t suspend_flags; /* of the last suspend */
	bool no_uuids;		/* an old kernel's list */
	void (*spoil)(struct dm_ioctl *dmi, unsigned long cmd);
} kernel;

/* --- The kernel's side ------------------------------------------------------------ */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long cmd, void *arg);
int __wrap_ioctl(int fd, unsigned long cmd, void *arg);

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/mapper/control") != 0)
		return __real_open(path, flags, 0600);
	assert_int_equal(flags, O_RDWR | O_CLOEXEC);
	errno = kernel.open_errno;
	return errno ? -1 : __real_open("/dev/null", flags);
}

static struct device *find(const struct dm_ioctl *dmi)
{
	for (struct device *d = kernel.devices; d < kernel.devices + DEVICES; d++)
		if (d->used && (*dmi->uuid ? strcmp(d->uuid, dmi->uuid) == 0
					   : strcmp(d->name, dmi->name) == 0))
			return d;
	return NULL;
}

static void tell(struct dm_ioctl *dmi, const struct device *d)
{
	const uint64_t minor = d->minor;

	/* huge_encode_dev() */
	dmi->dev = (minor & 0xff) | MAJOR << 8 | (minor & ~UINT64_C(0xff)) << 12;
	dmi->open_count = d->openers;
	dmi->flags = (d->suspended ? DM_SUSPEND_FLAG : 0) |
		     (d->live.there ? DM_ACTIVE_PRESENT_FLAG : 0) |
		     (d->inactive.there ? DM_INACTIVE_PRESENT_FLAG : 0) |
		     (d->live.readonly ? DM_READONLY_FLAG : 0) |
		     (d->deferred ? DM_DEFERRED_REMOVE : 0);
	dmi->target_count = d->live.there;
	(void)kv_strcpy(dmi->name, sizeof(dmi->name), d->name);
	(void)kv_strcpy(dmi->uuid, sizeof(dmi->uuid), d->uuid);
}

static int create_device(struct dm_ioctl *dmi)
{
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *d = &kernel.devices[i];

		if (d->used &&
		    (strcmp(d->name, dmi->name) == 0 || strcmp(d->uuid, dmi->uuid) == 0))
			return EBUSY;
	}
	for (unsigned i = 0; i < DEVICES; i++) {
		struct device *d = &kernel.devices[i];

		if (d->used)
			continue;
		*d = (struct device){ .used = true,
				      .suspended = false,
				      .minor = 300 + i };
		(void)kv_strcpy(d->name, sizeof(d->name), dmi->name);
		(void)kv_strcpy(d->uuid, sizeof(d->uuid), dmi->uuid);
		tell(dmi, d);
		return 0;
	}
	return ENOMEM;
}

static int load_table(const struct dm_ioctl *dmi, struct device *d)
{
	const struct dm_target_spec *spec =
		(const void *)((const char *)dmi + dmi->data_start);
	struct table *t = &d->inactive;

	assert_int_equal(dmi->target_count, 1);
	assert_int_equal(spec->sector_start, 0);
	*t = (struct table){ .there = true,
			     .readonly = dmi->flags & DM_READONLY_FLAG,
			     .length = spec->length };
	assert_true(kv_strcpy(t->type, sizeof(t->type), spec->target_type));
	assert_true(kv_strcpy(t->params, sizeof(t->params), (const char *)(spec + 1)));
	return 0;
}

/* Once the inactive table is swapped in there is no way back, even if it will not resume.
 */
static int suspend_resume(const struct dm_ioctl *dmi, struct device *d)
{
	if (dmi->flags & DM_SUSPEND_FLAG) {
		kernel.suspend_flags = dmi->flags;
		d->suspended = true;
		return 0;
	}
	if (d->inactive.there) {
		kernel.suspend_flags = dmi->flags;
		d->live = d->inactive;
		d->inactive = (struct table){ .there = false };
		d->suspended = true;
	}
	if (kernel.bad_params && d->live.there &&
	    strcmp(d->live.params, kernel.bad_params) == 0)
		return EINVAL;
	d->suspended = false;
	return 0;
}

static int remove_device(const struct dm_ioctl *dmi, struct device *d)
{
	if (d->openers && !(dmi->flags & DM_DEFERRED_REMOVE))
		return EBUSY;
	if (d->openers)
		d->deferred = true;
	else
		d->used = false;
	return 0;
}

static int show_table(struct dm_ioctl *dmi, const struct device *d)
{
	struct dm_target_spec *spec = (void *)((char *)dmi + dmi->data_start);
	const size_t room = dmi->data_size - dmi->data_start;
	const bool table = dmi->flags & DM_STATUS_TABLE_FLAG;
	const char *line = table ? d->live.params : "the status";

	tell(dmi, d);
	if (!d->live.there)
		return 0;
	if (sizeof(*spec) + strlen(line) + 1 > room) {
		dmi->flags |= DM_BUFFER_FULL_FLAG;
		return 0;
	}
	*spec = (struct dm_target_spec){ .length = d->live.length };
	(void)kv_strcpy(spec->target_type, sizeof(spec->target_type), d->live.type);
	memcpy(spec + 1, line, strlen(line) + 1);
	return 0;
}

static int take_message(const struct dm_ioctl *dmi, struct device *d)
{
	const struct dm_target_msg *msg =
		(const void *)((const char *)dmi + dmi->data_start);

	assert_int_equal(msg->sector, 0);
	assert_true(kv_strcpy(kernel.message, sizeof(kernel.message), msg->message));
	if (strcmp(msg->message, "@cancel_deferred_remove") == 0)
		d->deferred = false;
	return 0;
}

static int list(struct dm_ioctl *dmi)
{
	char *p = (char *)dmi + dmi->data_start, *end = (char *)dmi + dmi->data_size;
	struct dm_name_list *entry = NULL;

	for (const struct device *d = kernel.devices; d < kernel.devices + DEVICES; d++) {
		uint32_t extra[2] = { 0, DM_NAME_LIST_FLAG_HAS_UUID };
		char *q;

		if (!d->used)
			continue;
		if (end - p < 512) {
			dmi->flags |= DM_BUFFER_FULL_FLAG;
			return 0;
		}
		if (entry)
			entry->next = (uint32_t)(p - (char *)entry);
		entry = (struct dm_name_list *)p;
		entry->dev = (d->minor & 0xff) | MAJOR << 8 |
			     (d->minor & ~UINT64_C(0xff)) << 12;
		entry->next = 0;
		strcpy(entry->name, d->name);
		q = entry->name + strlen(d->name) + 1;
		q += -(uintptr_t)q & 7;
		if (!*d->uuid)
			extra[1] = DM_NAME_LIST_FLAG_DOESNT_HAVE_UUID;
		if (kernel.no_uuids)
			extra[1] = 0;
		memcpy(q, extra, sizeof(extra));
		q += sizeof(extra);
		if (extra[1] & DM_NAME_LIST_FLAG_HAS_UUID)
			q = stpcpy(q, d->uuid) + 1;
		p = q + (-(uintptr_t)q & 7);
	}
	return 0;
}

static int answer(unsigned long cmd, struct dm_ioctl *dmi)
{
	struct device *d;

	switch (cmd) {
	case DM_VERSION:
		return 0;
	case DM_GET_TARGET_VERSION:
		return strcmp(dmi->name, "thin-pool") == 0 ? 0 : EINVAL;
	case DM_DEV_CREATE:
		return create_device(dmi);
	case DM_LIST_DEVICES:
		return list(dmi);
	}
	d = find(dmi);
	if (!d)
		return ENXIO;
	switch (cmd) {
	case DM_TABLE_LOAD:
		return load_table(dmi, d);
	case DM_TABLE_CLEAR:
		d->inactive = (struct table){ .there = false };
		return 0;
	case DM_DEV_SUSPEND:
		return suspend_resume(dmi, d);
	case DM_DEV_REMOVE:
		return remove_device(dmi, d);
	case DM_TABLE_STATUS:
		return show_table(dmi, d);
	case DM_TARGET_MSG:
		return take_message(dmi, d);
	case DM_DEV_STATUS:
		tell(dmi, d);
		return 0;
	}
	return ENOTTY;
}

int __wrap_ioctl(int fd, unsigned long cmd, void *arg)
{
	struct dm_ioctl *dmi = arg;

	if (_IOC_TYPE(cmd) != DM_IOCTL)
		return __real_ioctl(fd, cmd, arg);
	assert_int_equal(dmi->version[0], DM_VERSION_MAJOR);
	assert_int_equal(dmi->data_start, sizeof(*dmi));
	assert_true(dmi->data_size >= sizeof(*dmi));
	/* check_name(), and either a name or a uuid but to create */
	assert_null(strchr(dmi->name, '/'));
	if (cmd != DM_DEV_CREATE && cmd != DM_LIST_DEVICES)
		assert_false(*dmi->name && *dmi->uuid);

	kernel.ioctls++;
	errno = 0;
	if (kernel.fail_at == kernel.ioctls ||
	    (kernel.fail_cmd && kernel.fail_cmd == cmd))
		errno = kernel.fail_errno;
	if (!errno)
		errno = answer(cmd, dmi);
	if (!errno && kernel.spoil)
		kernel.spoil(dmi, cmd);
	return errno ? -1 : 0;
}

/* --- Fixture ---------------------------------------------------------------------- */

static struct kv_dm dm;

static const struct kv_dm_id id = { .name = "kvol-01234567-1", .uuid = UUID };
static const struct kv_dm_target linear = {
	.length_sectors = 2048,
	.type = "linear",
	.params = "7:0 2048",
};
static const struct kv_dm_target larger = {
	.length_sectors = 4096,
	.type = "linear",
	.params = "7:0 4096",
};

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	return kv_dm_open(&dm);
}

static int teardown(void **state)
{
	(void)state;
	kv_dm_close(&dm);
	return dm.fd == -1 ? 0 : -1;
}

static struct device *created(void)
{
	assert_int_equal(kv_dm_create(&dm, &id, &linear, 0, NULL), 0);
	return &kernel.devices[0];
}

static void fail_nth(unsigned nth, int error)
{
	kernel.ioctls = 0;
	kernel.fail_at = nth;
	kernel.fail_errno = error;
}

/* --- The control device ----------------------------------------------------------- */

static void a_kernel_without_device_mapper_is_named_so(void **state)
{
	static const struct {
		int open_errno, expected;
	} cases[] = {
		{ ENOENT, -EOPNOTSUPP }, { ENODEV, -EOPNOTSUPP }, { ENXIO, -EOPNOTSUPP },
		{ EACCES, -EPERM },	 { EPERM, -EPERM },	  { EMFILE, -EMFILE },
	};
	struct kv_dm other = { .fd = 42 };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		kernel.open_errno = cases[i].open_errno;
		assert_int_equal(kv_dm_open(&other), cases[i].expected);
		assert_int_equal(other.fd, 42);
	}
}

static void what_is_not_the_control_device_is_refused(void **state)
{
	static const struct {
		int error, expected;
	} cases[] = {
		{ ENOTTY, -EOPNOTSUPP },
		{ EINVAL, -EOPNOTSUPP },
		{ EACCES, -EPERM },
		{ EIO, -EIO },
	};
	struct kv_dm other = { .fd = 42 };

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		fail_nth(1, cases[i].error);
		assert_int_equal(kv_dm_open(&other), cases[i].expected);
		assert_int_equal(other.fd, 42);
	}
}

static void an_interrupted_ioctl_is_repeated(void **state)
{
	(void)state;
	fail_nth(1, EINTR);
	assert_int_equal(kv_dm_target_exists(&dm, "thin-pool"), 0);
	assert_int_equal(kernel.ioctls, 2);
}

static void a_missing_target_is_told_from_a_failure(void **state)
{
	(void)state;
	assert_int_equal(kv_dm_target_exists(&dm, "thin-pool"), 0);
	assert_int_equal(kv_dm_target_exists(&dm, "no-such"), -EOPNOTSUPP);
	fail_nth(1, ENOTTY); /* before 5.x */
	assert_int_equal(kv_dm_target_exists(&dm, "thin-pool"), -EOPNOTSUPP);
	fail_nth(1, EIO);
	assert_int_equal(kv_dm_target_exists(&dm, "thin-pool"), -EIO);
}

/* --- Devices ---------------------------------------------------------------------- */

static void create_makes_a_live_device(void **state)
{
	struct kv_dm_info info;
	dev_t dev;

	(void)state;
	assert_int_equal(kv_dm_create(&dm, &id, &linear, KV_DM_READONLY, &dev), 0);
	assert_int_equal(dev, makedev(MAJOR, 300));
	kernel.devices[0].openers = 3;
	assert_int_equal(kv_dm_info(&dm, UUID, &info), 0);
	assert_int_equal(info.dev, dev);
	assert_int_equal(info.open_count, 3);
	assert_true(info.live_table && info.readonly);
	assert_false(info.suspended || info.deferred_remove);
}

static void a_taken_name_is_eexist(void **state)
{
	dev_t dev = 42;

	(void)state;
	(void)created();
	assert_int_equal(kv_dm_create(&dm, &id, &linear, 0, &dev), -EEXIST);
	assert_int_equal(dev, 42);
}

static void a_failed_create_leaves_no_device(void **state)
{
	dev_t dev = 42;

	(void)state;
	for (unsigned nth = 1; nth <= 3; nth++) {
		fail_nth(nth, EIO);
		assert_int_equal(kv_dm_create(&dm, &id, &linear, 0, &dev), -EIO);
		assert_int_equal(kernel.ioctls, nth == 1 ? 1 : nth + 1);
		assert_false(kernel.devices[0].used);
		assert_int_equal(dev, 42);
	}
}

static void what_does_not_fit_is_refused_before_the_kernel_sees_it(void **state)
{
	char longer[2048], type[64];
	struct kv_dm_target t = linear;

	(void)state;
	(void)created();
	kernel.ioctls = 0;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memset(type, 't', sizeof(type) - 1);
	type[sizeof(type) - 1] = '\0';

	t.params = longer;
	assert_int_equal(kv_dm_message(&dm, UUID, longer), -EINVAL);
	assert_int_equal(kv_dm_target_exists(&dm, longer), -EINVAL);
	assert_int_equal(kv_dm_info(&dm, longer, NULL), -EINVAL);
	assert_int_equal(kv_dm_suspend(&dm, longer, 0), -EINVAL);
	assert_int_equal(kv_dm_resume(&dm, longer), -EINVAL);
	assert_int_equal(kv_dm_remove(&dm, longer, 0), -EINVAL);
	assert_int_equal(kv_dm_message(&dm, longer, "m"), -EINVAL);
	assert_int_equal(kv_dm_status(&dm, longer, 0, type, sizeof(type), NULL), -EINVAL);
	assert_int_equal(kv_dm_reload(&dm, longer, &linear, 0), -EINVAL);
	assert_int_equal(kv_dm_list(&dm, longer, NULL, NULL), -EINVAL);
	assert_int_equal(kernel.ioctls, 0);

	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(kv_dm_create(&dm, &id, &t, 0, NULL), -EINVAL);
	assert_false(kernel.devices[0].used);
	t = linear;
	t.type = type;
	assert_int_equal(kv_dm_create(&dm, &id, &t, 0, NULL), -EINVAL);
	assert_false(kernel.devices[0].used);
}

static void an_unknown_device_is_enxio(void **state)
{
	struct kv_dm_info info = { .open_count = 7 };
	char line[64];

	(void)state;
	assert_int_equal(kv_dm_info(&dm, UUID, &info), -ENXIO);
	assert_int_equal(info.open_count, 7);
	assert_int_equal(kv_dm_suspend(&dm, UUID, 0), -ENXIO);
	assert_int_equal(kv_dm_resume(&dm, UUID), -ENXIO);
	assert_int_equal(kv_dm_remove(&dm, UUID, 0), -ENXIO);
	assert_int_equal(kv_dm_message(&dm, UUID, "m"), -ENXIO);
	assert_int_equal(kv_dm_reload(&dm, UUID, &linear, 0), -ENXIO);
	assert_int_equal(kv_dm_status(&dm, UUID, 0, line, sizeof(line), NULL), -ENXIO);
}

static void an_open_device_is_removed_at_once_or_later(void **state)
{
	struct device *d = created();

	(void)state;
	d->openers = 1;
	assert_int_equal(kv_dm_remove(&dm, UUID, 0), -EBUSY);
	assert_int_equal(kv_dm_remove(&dm, UUID, KV_DM_DEFERRED), 0);
	assert_true(d->deferred);
	assert_int_equal(kv_dm_cancel_remove(&dm, UUID), 0);
	assert_false(d->deferred);
	d->openers = 0;
	assert_int_equal(kv_dm_remove(&dm, UUID, 0), 0);
	assert_false(d->used);
}

static void a_message_reaches_the_target(void **state)
{
	(void)state;
	(void)created();
	assert_int_equal(kv_dm_message(&dm, UUID, "create_snap 1 0"), 0);
	assert_string_equal(kernel.message, "create_snap 1 0");
}

static void suspend_freezes_and_flushes_only_when_asked(void **state)
{
	struct device *d = created();

	(void)state;
	assert_int_equal(kv_dm_suspend(&dm, UUID, KV_DM_LOCKFS | KV_DM_FLUSH), 0);
	assert_int_equal(kernel.suspend_flags, DM_SUSPEND_FLAG);
	assert_true(d->suspended);
	assert_int_equal(kv_dm_resume(&dm, UUID), 0);
	assert_false(d->suspended);
	assert_int_equal(kv_dm_suspend(&dm, UUID, 0), 0);
	assert_int_equal(kernel.suspend_flags,
			 DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
	assert_int_equal(kv_dm_resume(&dm, UUID), 0);
}

/* --- Tables ----------------------------------------------------------------------- */

static void reload_swaps_the_table_without_freezing(void **state)
{
	struct device *d = created();

	(void)state;
	assert_int_equal(kv_dm_reload(&dm, UUID, &larger, 0), 0);
	assert_int_equal(d->live.length, 4096);
	assert_false(d->suspended || d->inactive.there);
	assert_int_equal(kernel.suspend_flags, DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG);
}

static void a_table_that_does_not_resume_gives_way_to_the_old_one(void **state)
{
	struct device *d;

	(void)state;
	assert_int_equal(kv_dm_create(&dm, &id, &linear, KV_DM_READONLY, NULL), 0);
	d = &kernel.devices[0];
	kernel.bad_params = larger.params;
	assert_int_equal(kv_dm_reload(&dm, UUID, &larger, KV_DM_READONLY), -EINVAL);
	assert_string_equal(d->live.params, linear.params);
	assert_int_equal(d->live.length, linear.length_sectors);
	assert_true(d->live.readonly);
	assert_false(d->suspended || d->inactive.there);
}

static void a_reload_that_fails_early_changes_nothing(void **state)
{
	struct device *d = created();

	(void)state;
	for (unsigned nth = 1; nth <= 3; nth++) {
		fail_nth(nth, ENOMEM);
		assert_int_equal(kv_dm_reload(&dm, UUID, &larger, 0), -ENOMEM);
		assert_string_equal(d->live.params, linear.params);
		assert_false(d->suspended || d->inactive.there);
	}
}

static void status_and_table_are_the_first_targets_line(void **state)
{
	char line[64], type[16];

	(void)state;
	(void)created();
	assert_int_equal(kv_dm_status(&dm, UUID, KV_DM_TABLE, line, sizeof(line), type),
			 0);
	assert_string_equal(line, linear.params);
	assert_string_equal(type, "linear");
	assert_int_equal(kv_dm_status(&dm, UUID, KV_DM_FLUSH, line, sizeof(line), NULL),
			 0);
	assert_string_equal(line, "the status");
	strcpy(line, "untouched");
	assert_int_equal(kv_dm_status(&dm, UUID, 0, line, 10, NULL), -ENOSPC);
	assert_string_equal(line, "untouched");
}

static void a_device_without_a_live_table_has_no_status(void **state)
{
	struct device *d = created();
	char line[64];

	(void)state;
	d->live.there = false;
	assert_int_equal(kv_dm_status(&dm, UUID, 0, line, sizeof(line), NULL), -ENODATA);
}

static void spoil_full(struct dm_ioctl *dmi, unsigned long cmd)
{
	if (cmd == DM_TABLE_STATUS || cmd == DM_LIST_DEVICES)
		dmi->flags |= DM_BUFFER_FULL_FLAG;
}

static void spoil_start(struct dm_ioctl *dmi, unsigned long cmd)
{
	if (cmd == DM_TABLE_STATUS)
		dmi->data_start += 8;
	if (cmd == DM_LIST_DEVICES)
		dmi->data_start = dmi->data_size + 1;
}

static void spoil_end(struct dm_ioctl *dmi, unsigned long cmd)
{
	if (cmd == DM_TABLE_STATUS || cmd == DM_LIST_DEVICES)
		memset((char *)dmi + dmi->data_start, 'x',
		       dmi->data_size - dmi->data_start);
}

static void spoil_next(struct dm_ioctl *dmi, unsigned long cmd)
{
	if (cmd == DM_LIST_DEVICES)
		((struct dm_name_list *)((char *)dmi + dmi->data_start))->next =
			0x7ffffff0;
}

static void spoil_tail(struct dm_ioctl *dmi, unsigned long cmd)
{
	if (cmd == DM_LIST_DEVICES)
		dmi->data_start = dmi->data_size - 4;
}

static int none(const struct kv_dm_id *found, dev_t dev, void *arg)
{
	(void)found, (void)dev, (void)arg;
	return 0;
}

static void an_impossible_answer_is_an_error(void **state)
{
	char line[64];

	(void)state;
	(void)created();
	kernel.spoil = spoil_full;
	assert_int_equal(kv_dm_status(&dm, UUID, 0, line, sizeof(line), NULL), -ENOSPC);
	assert_int_equal(kv_dm_list(&dm, "", none, NULL), -EFBIG);
	kernel.spoil = spoil_start;
	assert_int_equal(kv_dm_status(&dm, UUID, 0, line, sizeof(line), NULL), -EPROTO);
	assert_int_equal(kv_dm_list(&dm, "", none, NULL), -EPROTO);
	kernel.spoil = spoil_end;
	assert_int_equal(kv_dm_status(&dm, UUID, 0, line, sizeof(line), NULL), -EPROTO);
	assert_int_equal(kv_dm_list(&dm, "", none, NULL), -EPROTO);
	kernel.spoil = spoil_next;
	assert_int_equal(kv_dm_list(&dm, "", none, NULL), -EPROTO);
	kernel.spoil = spoil_tail;
	assert_int_equal(kv_dm_list(&dm, "", none, NULL), -EPROTO);
}

/* --- Listing ---------------------------------------------------------------------- */

static void make(const char *name, const char *uuid)
{
	struct kv_dm_id other;

	assert_true(kv_strcpy(other.name, sizeof(other.name), name));
	assert_true(kv_strcpy(other.uuid, sizeof(other.uuid), uuid));
	assert_int_equal(kv_dm_create(&dm, &other, &linear, 0, NULL), 0);
}

struct seen {
	unsigned n, stop_at;
	char uuids[4][DM_UUID_LEN];
};

static int see(const struct kv_dm_id *found, dev_t dev, void *arg)
{
	struct seen *seen = arg;

	assert_int_equal(major(dev), MAJOR);
	strcpy(seen->uuids[seen->n++], found->uuid);
	return seen->n == seen->stop_at ? 5 : 0;
}

static void list_tells_the_devices_of_a_prefix(void **state)
{
	struct seen seen = { .n = 0 };

	(void)state;
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), 0);
	assert_int_equal(seen.n, 0);
	make("vg-root", "LVM-abc");
	make("kvol-a-1", "KVOL-a-1");
	make("plain", "KVOL-for-now");
	make("kvol-a-2", "KVOL-a-2");
	*kernel.devices[2].uuid = '\0'; /* as dmsetup makes them */
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_string_equal(seen.uuids[0], "KVOL-a-1");
	assert_string_equal(seen.uuids[1], "KVOL-a-2");
	seen = (struct seen){ .stop_at = 1 };
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), 5);
	assert_int_equal(seen.n, 1);
	fail_nth(1, EIO);
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), -EIO);
}

static void an_old_kernel_is_asked_for_each_uuid(void **state)
{
	struct seen seen = { .n = 0 };

	(void)state;
	kernel.no_uuids = true;
	make("vg-root", "KVOL-but-not-by-name");
	make("kvol-a-1", "KVOL-a-1");
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.uuids[0], "KVOL-a-1");
	fail_nth(2, ENXIO); /* removed meanwhile */
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), 0);
	assert_int_equal(seen.n, 1);
	fail_nth(2, EIO);
	assert_int_equal(kv_dm_list(&dm, "KVOL-", see, &seen), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_kernel_without_device_mapper_is_named_so),
		T(what_is_not_the_control_device_is_refused),
		T(an_interrupted_ioctl_is_repeated),
		T(a_missing_target_is_told_from_a_failure),
		T(create_makes_a_live_device),
		T(a_taken_name_is_eexist),
		T(a_failed_create_leaves_no_device),
		T(what_does_not_fit_is_refused_before_the_kernel_sees_it),
		T(an_unknown_device_is_enxio),
		T(an_open_device_is_removed_at_once_or_later),
		T(a_message_reaches_the_target),
		T(suspend_freezes_and_flushes_only_when_asked),
		T(reload_swaps_the_table_without_freezing),
		T(a_table_that_does_not_resume_gives_way_to_the_old_one),
		T(a_reload_that_fails_early_changes_nothing),
		T(status_and_table_are_the_first_targets_line),
		T(a_device_without_a_live_table_has_no_status),
		T(an_impossible_answer_is_an_error),
		T(list_tells_the_devices_of_a_prefix),
		T(an_old_kernel_is_asked_for_each_uuid),
	};

	return cmocka_run_group_tests_name("dm", tests, NULL, NULL);
}
