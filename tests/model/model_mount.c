/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Mounts, targets and namespaces. In the place of lib/mount.c and namespace.c.
 *
 * A mount hangs on its fd until it is attached. Its id is the lowest that is free, so
 * that ids come back soon, as the kernel's do; so do the numbers of namespaces. All
 * mounts of a device share one superblock: the options of the first hold, and a read-only
 * one does not go with a writable one. An XFS that is shut down gives EIO to statx, as
 * the others do not. Directories and files are the same in every namespace, mounts are
 * each one's own.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <kvol/kvol.h>

#include "holders.h"
#include "model.h"
#include "tree.h"
#include "userns.h"

#define FIRST_MNT_ID 100
#define ROOT_DEV     makedev(8, 1)
#define DEVTMPFS_DEV makedev(0, 5)
#define STRANGER_DEV makedev(8, 99)
#define ROOT_INO     2
#define NS_DEV	     makedev(0, 4)
#define NS_FIRST_INO 4026531840u

static _Thread_local int current_ns;

int model_swap_ns(int ns)
{
	int before = current_ns;

	current_ns = ns;
	return before;
}

/* --- Mounts ----------------------------------------------------------------------- */

static uint64_t lowest_free_id(void)
{
	uint64_t id = FIRST_MNT_ID;
	bool taken = true;

	while (taken) {
		taken = false;
		for (struct model_mount *m = model->mounts;
		     m < model->mounts + MODEL_MOUNTS; m++)
			taken = taken || (m->used && m->mnt_id == id);
		id += taken;
	}
	return id;
}

static struct model_mount *new_mount(const struct model_mount *as)
{
	uint64_t id = lowest_free_id();

	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS;
	     m++) {
		if (m->used)
			continue;
		*m = *as;
		m->used = true;
		m->mnt_id = id;
		return m;
	}
	model_disaster("too many mounts for the model");
	return NULL;
}

static struct model_mount *top_mount(int ns, const char *path)
{
	struct model_mount *top = NULL;

	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && m->ns == ns && !strcmp(m->path, path) &&
		    (!top || m->order > top->order))
			top = m;
	return top;
}

unsigned model_n_mounts(void)
{
	unsigned n = 0;

	model_sweep();
	for (int i = 0; i < MODEL_MOUNTS; i++)
		n += model->mounts[i].used;
	return n;
}

/* Does not even say whose root it is. */
static bool is_dead(const struct model_mount *m)
{
	const struct model_thin *thin = m->shut_down ? model_thin_under(m->dev) : NULL;

	return thin && !strcmp(thin->content.fs, "xfs");
}

static int hold_mount(const struct model_mount *m)
{
	struct model_hold hold = { .kind = MODEL_HOLD_MOUNT,
				   .mount = (int)(m - model->mounts) };

	return model_hold(&hold, NULL, O_RDWR | O_CREAT);
}

/* --- Mounts of devices ------------------------------------------------------------ */

/* The catalogue is a real directory. */
static int mount_catalogue(struct model_disk *disk, dev_t dev, char *detail,
			   size_t detail_size)
{
	struct model_hold hold = { .kind = MODEL_HOLD_DEVICE, .dev = dev };
	char file[64];

	if (disk->catalogue_damaged || !disk->has_catalogue_fs) {
		if (detail)
			(void)kv_strcpy(detail, detail_size,
					"ext4: no file system there");
		return disk->catalogue_damaged ? -EUCLEAN : -EINVAL;
	}
	(void)snprintf(file, sizeof(file), "disk%d", (int)(disk - model->disks));
	return model_hold(&hold, file, O_RDONLY | O_DIRECTORY);
}

static int refuse(char *detail, size_t size, int code, const char *why)
{
	if (detail && size)
		(void)kv_strcpy(detail, size, why);
	return code;
}

/* What a superblock that is mounted already, or another of the same identity, has against
 * it. */
static int check_others(const struct model_thin *thin, dev_t dev, const char *fs_options,
			bool super_readonly, char *detail, size_t detail_size)
{
	struct model_thin *other;

	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS;
	     m++) {
		if (!m->used || m->node)
			continue;
		if (m->dev == dev) {
			if (m->super_readonly != super_readonly)
				return -EBUSY;
			continue;
		}
		other = model_thin_under(m->dev);
		if (!other || strcmp(other->content.uuid, thin->content.uuid))
			continue;
		if (!strcmp(thin->content.fs, "btrfs"))
			model_disaster("two btrfs of one identity are mounted");
		if (!strcmp(thin->content.fs, "xfs") &&
		    (!fs_options || !strstr(fs_options, "nouuid")))
			return refuse(detail, detail_size, -EINVAL,
				      "XFS: duplicate UUID");
	}
	return 0;
}

static int check_fs(const char *fs_type, const struct model_thin *thin,
		    struct model_dev *d, const struct model_mount *want, char *detail,
		    size_t detail_size)
{
	if (strcmp(thin->content.fs, fs_type) ||
	    thin->content.luks != !strcmp(d->table.type, "crypt"))
		return refuse(detail, detail_size, -EINVAL, "bad magic number");
	if (thin->content.torn)
		model_disaster("a torn copy is mounted");
	if (thin->content.bytes > d->table.sectors * KV_SECTOR)
		return refuse(detail, detail_size, -EINVAL, "the device is too small");
	if (d->table.readonly && !want->super_readonly)
		return -EACCES;
	if (strstr(want->super, "bogus"))
		return refuse(detail, detail_size, -EINVAL,
			      "option \"bogus\" is refused");
	return 0;
}

static int mount_volume(const char *fs_type, dev_t dev, const char *fs_options,
			const struct model_mount *want, char *detail, size_t detail_size)
{
	static unsigned btrfs_devs;
	struct model_dev *d = model_dev_by_number(dev);
	struct model_thin *thin = model_thin_under(dev);
	struct model_mount *m;
	int r;

	if (!d || !thin)
		return -ENXIO;
	if (d->frozen) /* get_tree_bdev() */
		return refuse(detail, detail_size, -EBUSY,
			      "Can't mount, blockdev is frozen");
	r = model_wait_running(dev);
	if (r == 0)
		r = check_fs(fs_type, thin, d, want, detail, detail_size);
	if (r == 0)
		r = check_others(thin, dev, fs_options, want->super_readonly, detail,
				 detail_size);
	if (r < 0)
		return r;
	m = new_mount(want);
	if (!m)
		return -ENOSPC;
	m->dev = m->seen_dev = dev;
	if (!strcmp(fs_type, "btrfs"))
		m->seen_dev = makedev(0, 40 + btrfs_devs++ % 100);
	for (struct model_mount *x = model->mounts; x < model->mounts + MODEL_MOUNTS;
	     x++) {
		if (x == m || !x->used || x->node || x->dev != dev)
			continue;
		m->seen_dev =
			x->seen_dev; /* one superblock: the first one's options hold */
		m->shut_down = x->shut_down;
		memcpy(m->super, x->super, sizeof(m->super));
	}
	return hold_mount(m);
}

int kv_mount_device(const char *fs_type, const char *source, const char *fs_options,
		    const struct kv_mount_opts *opts, bool super_readonly, char *detail,
		    size_t detail_size)
{
	struct model_mount want = { .super_readonly = super_readonly, .ns = -1 };
	dev_t dev = model_dev_of_path(source);
	struct model_disk *disk;
	int r = model_step("mount");

	if (detail && detail_size)
		detail[0] = '\0';
	if (r < 0)
		return r;
	if (opts) {
		want.attr = opts->attr_set;
		memcpy(want.super, opts->super, sizeof(want.super));
	}
	model_lock();
	model_sweep();
	disk = model_catalogue_under(dev);
	if (!dev)
		r = -ENOENT;
	else if (disk)
		r = mount_catalogue(disk, dev, detail, detail_size);
	else
		r = mount_volume(fs_type, dev, fs_options, &want, detail, detail_size);
	model_unlock();
	return r;
}

int kv_mount_node(const char *path, dev_t dev, uint64_t attr_set)
{
	struct model_mount want = { .node = true,
				    .dev = dev,
				    .attr = attr_set,
				    .ns = -1 },
			   *m;
	int r = model_step("mount node");

	if (r < 0)
		return r;
	if (model->no_nodes || model_dev_of_path(path) != dev)
		return -ENODEV;
	model_lock();
	model_sweep();
	want.seen_dev = DEVTMPFS_DEV;
	m = new_mount(&want);
	r = m ? hold_mount(m) : -ENOSPC;
	model_unlock();
	return r;
}

int kv_mount_idmap(int mnt_fd, int userns_fd)
{
	struct model_hold *hold;
	struct model_mount *m;
	int r = model_step("mount idmap");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(mnt_fd);
	m = hold && hold->kind == MODEL_HOLD_MOUNT ? &model->mounts[hold->mount] : NULL;
	if (!m || !model_hold_of(userns_fd))
		r = -EBADF;
	else if (m->ns >= 0 || m->node) /* can_idmap_mount() */
		r = -EOPNOTSUPP;
	else if (m->idmapped)
		r = -EPERM;
	else
		m->idmapped = true;
	model_unlock();
	return r;
}

int kv_mount_root(int mnt_fd)
{
	struct model_hold *hold;
	int r = model_step("mount root");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(mnt_fd);
	if (!hold)
		r = -EBADF;
	else if (hold->kind == MODEL_HOLD_DEVICE)
		r = model_hold(hold, hold->file, O_RDONLY | O_DIRECTORY);
	else if (hold->kind == MODEL_HOLD_MOUNT && is_dead(&model->mounts[hold->mount]))
		r = -EIO;
	else if (hold->kind == MODEL_HOLD_MOUNT)
		r = hold_mount(&model->mounts[hold->mount]);
	else
		r = -ENOTDIR;
	model_unlock();
	return r;
}

static struct model_thin *thin_of_mount(int root_fd)
{
	struct model_hold *hold = model_hold_of(root_fd);

	return hold && hold->kind == MODEL_HOLD_MOUNT
		       ? model_thin_under(model->mounts[hold->mount].dev)
		       : NULL;
}

int kv_tree_has_group(int root_fd, uint32_t group)
{
	struct model_thin *thin;
	int r = model_step("tree look");

	if (r < 0)
		return r;
	model_lock();
	thin = thin_of_mount(root_fd);
	r = !thin ? -EBADF : thin->content.group == group;
	model_unlock();
	return r;
}

int kv_tree_group(int root_fd, uint32_t group, int64_t deadline_ms)
{
	struct model_thin *thin;
	int r = model_step("tree group");

	(void)deadline_ms;
	if (r < 0)
		return r;
	model_lock();
	thin = thin_of_mount(root_fd);
	if (thin)
		thin->content.group = group;
	model_unlock();
	return thin ? 0 : -EBADF;
}

int kv_tree_own(int fd, const struct kv_owner *owner)
{
	struct model_thin *thin;
	int r = model_step("tree own");

	if (r < 0)
		return r;
	model_lock();
	thin = thin_of_mount(fd);
	if (thin && (owner->what & KV_OWN_IDS)) {
		thin->content.uid = owner->uid;
		thin->content.gid = owner->gid;
	}
	if (thin && (owner->what & KV_OWN_MODE))
		thin->content.mode = owner->mode;
	model_unlock();
	return thin ? 0 : -EBADF;
}

/* --- Targets ---------------------------------------------------------------------- */

static struct model_file *find_file(const char *path, size_t n)
{
	for (struct model_file *f = model->files; f < model->files + MODEL_FILES; f++)
		if (f->used && strlen(f->path) == n && !memcmp(f->path, path, n))
			return f;
	return NULL;
}

static void describe(const struct model_mount *m, struct kv_target *ret)
{
	if (is_dead(m)) {
		*ret = (struct kv_target){
			.fd = -1, .mnt_id = m->mnt_id, .mount_root = true, .dead = true
		};
		return;
	}
	*ret = (struct kv_target){
		.fd = -1,
		.dev = m->seen_dev,
		.rdev = m->node ? m->dev : 0,
		.ino = m->node ? m->dev : ROOT_INO,
		.mnt_id = m->mnt_id,
		.mode = m->node ? S_IFBLK | 0600 : S_IFDIR | 0755,
		.mount_root = true,
	};
}

int kv_target_describe(int mnt_fd, struct kv_target *ret)
{
	struct model_hold *hold;
	int r = model_step("target describe");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(mnt_fd);
	if (hold && hold->kind == MODEL_HOLD_MOUNT &&
	    is_dead(&model->mounts[hold->mount]))
		r = -EIO;
	else if (hold && hold->kind == MODEL_HOLD_MOUNT)
		describe(&model->mounts[hold->mount], ret);
	else
		r = -EBADF;
	model_unlock();
	return r;
}

/* Walks to path without following a link. *ret_mount: what stands on it, or NULL. */
static int walk(const char *path, struct model_file **ret_file,
		struct model_mount **ret_mount)
{
	const char *slash, *base = strrchr(path, '/');
	struct model_file *f = NULL;
	char dir[MODEL_PATH];
	size_t n;

	if (path[0] != '/' || !base[1] || !strcmp(base, "/.") || !strcmp(base, "/.."))
		return -EINVAL;
	if (!kv_strcpy(dir, sizeof(dir), path))
		return -ENAMETOOLONG;
	for (slash = path + 1;; slash++) {
		slash = strchrnul(slash, '/');
		n = (size_t)(slash - path);
		f = find_file(path, n);
		if (!f)
			return -ENOENT;
		if (S_ISLNK(f->mode))
			return -ELOOP;
		if (!*slash)
			break;
		dir[n] = '\0';
		if (!S_ISDIR(f->mode))
			return -ENOTDIR;
		if (top_mount(current_ns, dir))
			return -ENOENT; /* volumes are empty */
		dir[n] = '/';
	}
	*ret_file = f;
	*ret_mount = top_mount(current_ns, path);
	return 0;
}

static int inspect(const char *path, struct kv_target *ret)
{
	struct model_mount *m;
	struct model_file *f;
	int r = walk(path, &f, &m);

	if (r < 0)
		return r;
	if (m) {
		describe(m, ret);
		return 0;
	}
	*ret = (struct kv_target){
		.fd = -1,
		.dev = ROOT_DEV,
		.ino = f->ino,
		.mnt_id = 20 + (uint64_t)current_ns,
		.mode = f->mode,
	};
	return 0;
}

static int open_target(const char *path, struct kv_target *ret)
{
	struct model_hold hold = { .kind = MODEL_HOLD_PLACE, .ns = current_ns };
	struct kv_target target;
	struct model_mount *m;
	int r = inspect(path, &target);

	if (r < 0)
		return r;
	m = top_mount(current_ns, path);
	if (m) {
		hold.kind = MODEL_HOLD_MOUNT;
		hold.mount = (int)(m - model->mounts);
	}
	(void)kv_strcpy(hold.path, sizeof(hold.path), path);
	r = model_hold(&hold, NULL, O_RDWR | O_CREAT);
	if (r < 0)
		return r;
	target.fd = r;
	*ret = target;
	return 0;
}

int kv_target_open(const char *path, struct kv_target *ret)
{
	int r = model_step("target open");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	r = open_target(path, ret);
	model_unlock();
	return r;
}

static int attach(const struct kv_target *target, int mnt_fd)
{
	struct model_hold *place = model_hold_of(target->fd),
			  *hold = model_hold_of(mnt_fd);
	struct model_mount *m;

	if (!place || !hold || hold->kind != MODEL_HOLD_MOUNT)
		return -EBADF;
	m = &model->mounts[hold->mount];
	if (m->ns >= 0)
		return -EINVAL;
	if (!place->path[0] || !model->ns[place->ns].used)
		return -ENOENT;
	if (m->node == S_ISDIR(target->mode))
		return -ENOTDIR;
	m->ns = place->ns;
	m->order = ++model->mount_order; /* on top of whatever is there by now */
	memcpy(m->path, place->path, sizeof(m->path));
	return 0;
}

int kv_mount_usage(int fd, struct kv_usage *ret)
{
	struct model_hold *hold;
	struct model_mount *m;
	struct model_thin *thin;
	int r = model_step("usage");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(fd);
	m = hold && hold->kind == MODEL_HOLD_MOUNT ? &model->mounts[hold->mount] : NULL;
	thin = m ? model_thin_under(m->dev) : NULL;
	if (thin)
		*ret = (struct kv_usage){
			.bytes = thin->content.bytes,
			.bytes_used = MODEL_FS_USED,
			.bytes_available = thin->content.bytes - MODEL_FS_USED,
			.inodes = 1000,
			.inodes_used = 11,
			.inodes_available = 989,
			.readonly = m->super_readonly || (m->attr & MOUNT_ATTR_RDONLY),
		};
	else
		r = -EBADF;
	model_unlock();
	return r;
}

int kv_target_attach(const struct kv_target *target, int mnt_fd)
{
	int r = model_step("target attach");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	r = attach(target, mnt_fd);
	model_unlock();
	return r;
}

int kv_mount_propagate(int fd, unsigned long propagation)
{
	struct model_hold *hold;
	struct model_mount *m;
	int r = model_step("mount propagate");

	if (r < 0)
		return r;
	model_lock();
	hold = model_hold_of(fd);
	m = hold && hold->kind == MODEL_HOLD_MOUNT ? &model->mounts[hold->mount] : NULL;
	if (!m)
		r = -EBADF;
	else if (m->ns != current_ns) /* check_mnt() */
		r = -EINVAL;
	else
		m->propagation = propagation;
	model_unlock();
	return r;
}

static int detach(const char *path, const struct kv_target *target)
{
	struct kv_target now;
	struct model_mount *m;
	int r = inspect(path, &now);

	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	if (!now.mount_root || now.mnt_id != target->mnt_id ||
	    (!now.dead && (now.dev != target->dev || now.ino != target->ino)))
		return -ESTALE;
	m = top_mount(current_ns, path);
	if (model_mount_held((int)(m - model->mounts)))
		return -EBUSY;
	m->used = false;
	model_stale = true;
	model_sweep();
	return 0;
}

int kv_target_detach(const char *path, const struct kv_target *target)
{
	int r = model_step("target detach");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	r = detach(path, target);
	model_unlock();
	return r;
}

/* --- Namespaces ------------------------------------------------------------------- */

/* -ENOENT: no more; -EINVAL: a path of something else. */
static int find_ns(const char *path)
{
	if (kv_str_empty(path))
		return current_ns;
	for (int i = 0; i < MODEL_NS; i++)
		if (model->ns[i].used && !strcmp(model->ns[i].path, path))
			return i;
	return strstr(path, "/ns/mnt") ? -ENOENT : -EINVAL;
}

int kv_ns_id(const char *ns_path, struct kv_ns *ret)
{
	int r = model_step("namespace id");

	if (r < 0)
		return r;
	model_lock();
	r = find_ns(ns_path);
	if (r >= 0)
		*ret = (struct kv_ns){ .dev = NS_DEV, .ino = NS_FIRST_INO + (ino_t)r };
	model_unlock();
	return r < 0 ? r : 0;
}

/* The user namespaces are those of the mount namespaces' processes. */
int kv_userns_open(const char *path, struct kv_ns *ret)
{
	struct model_hold hold = { .kind = MODEL_HOLD_PLACE };
	size_t n = strlen(path) - strlen("user");
	int r = model_step("user namespace open");

	if (r < 0)
		return r;
	if (!strstr(path, "/ns/user"))
		return -EINVAL;
	model_lock();
	r = -ENOENT;
	for (int i = 0; r == -ENOENT && i < MODEL_NS; i++) {
		if (!model->ns[i].used || strncmp(model->ns[i].path, path, n) != 0)
			continue;
		*ret = (struct kv_ns){ .dev = NS_DEV,
				       .ino = NS_FIRST_INO + MODEL_NS + (ino_t)i };
		r = model_hold(&hold, NULL, O_RDWR | O_CREAT);
	}
	model_unlock();
	return r;
}

int kv_userns_make(const char *uid_map, const char *gid_map)
{
	struct model_hold hold = { .kind = MODEL_HOLD_PLACE };
	int r = model_step("user namespace make");

	if (r < 0)
		return r;
	if (!uid_map[0] || !gid_map[0])
		return -EINVAL;
	model_lock();
	r = model_hold(&hold, NULL, O_RDWR | O_CREAT);
	model_unlock();
	return r;
}

int kv_ns_run(const char *ns_path, int (*fn)(void *arg), void *arg)
{
	int before = current_ns, r = model_step("namespace enter");

	if (r < 0)
		return r;
	model_lock();
	r = find_ns(ns_path);
	model_unlock();
	if (r < 0)
		return r;
	current_ns = r;
	r = fn(arg);
	current_ns = before;
	return r;
}

int kv_visit_begin(const char *ns_path, struct kv_visit *ret)
{
	*ret = KV_VISIT_NONE;
	return kv_ns_id(ns_path, &ret->ns);
}

/* It is gone only with who visits it. */
int kv_visit_run(struct kv_visit *visit, int (*fn)(void *arg), void *arg)
{
	int before = current_ns, r = model_step("namespace visit");

	if (r < 0)
		return r;
	current_ns = (int)(visit->ns.ino - NS_FIRST_INO);
	r = fn(arg);
	current_ns = before;
	return r;
}

void kv_visit_end(struct kv_visit *visit)
{
	visit->ns_fd = -1;
}

static int find_mount(void *arg)
{
	struct model_mount *want = arg;
	int r = 0;

	model_lock();
	for (const struct model_mount *m = model->mounts;
	     m < model->mounts + MODEL_MOUNTS; m++) {
		if (!m->used || m->ns != current_ns || m->mnt_id != want->mnt_id)
			continue;
		memcpy(want->path, m->path, sizeof(want->path));
		r = (m->node ? m->dev : m->seen_dev) == want->dev;
		break;
	}
	model_unlock();
	return r;
}

int kv_mount_find(const char *ns_path, uint64_t mnt_id, dev_t dev, bool node,
		  char ret_point[PATH_MAX])
{
	struct model_mount want = { .mnt_id = mnt_id, .dev = dev, .node = node };
	int r = kv_ns_run(ns_path, find_mount, &want);

	if (r == 1 && ret_point)
		(void)kv_strcpy(ret_point, PATH_MAX, want.path);
	return r;
}

/* Nothing is copied: in here nobody unmounts meanwhile. */
int kv_mounts_read(struct kv_mounts *ret)
{
	struct kv_mounts m = { .n = 0 };
	int r = model_step("mounts read");

	if (r == 0)
		r = kv_ns_id(NULL, &m.ns);
	if (r == 0)
		*ret = m;
	return r;
}

bool kv_mounts_have(const struct kv_mounts *mounts, uint64_t mnt_id, dev_t dev, bool node)
{
	struct model_mount want = { .mnt_id = mnt_id, .dev = dev, .node = node };

	(void)mounts;
	return find_mount(&want) == 1;
}

void kv_mounts_free(struct kv_mounts *mounts)
{
	mounts->n = 0;
}

static int find_shown(void *arg)
{
	const struct model_mount *want = arg;
	int r = 0;

	model_lock();
	for (const struct model_mount *m = model->mounts;
	     m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && m->ns == current_ns && m->mnt_id == want->mnt_id)
			r = !m->node && m->dev == want->dev;
	model_unlock();
	return r;
}

int kv_mount_shows(const char *ns_path, uint64_t mnt_id, dev_t dev)
{
	struct model_mount want = { .mnt_id = mnt_id, .dev = dev };

	return kv_ns_run(ns_path, find_shown, &want);
}

int kv_node_bound(dev_t dev)
{
	int r = model_step("namespaces search");

	if (r < 0)
		return r;
	model_lock();
	model_sweep();
	for (const struct model_mount *m = model->mounts;
	     m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && m->ns >= 0 && m->node && m->dev == dev)
			r = 1;
	model_unlock();
	return r;
}

/* --- Who holds what --------------------------------------------------------------- */

static int tell_mount(const struct model_mount *m,
		      int (*fn)(const struct kv_holder *h, void *arg), void *arg)
{
	bool own = m->ns == current_ns;
	struct kv_holder h = {
		.kind = own ? KVOL_WHY_MOUNT : KVOL_WHY_NAMESPACE,
		.pid = own ? 0 : 1000 + (uint32_t)m->ns,
		.ns = NS_FIRST_INO + (uint64_t)m->ns,
		.mnt_id = m->mnt_id,
		.what = own ? "" : "init",
		.target = m->path,
	};

	return fn(&h, arg);
}

static bool is_own(const struct kv_holders_query *q, dev_t dev)
{
	for (int i = 0; i < KV_HOLDERS_DEVS; i++)
		if (q->devs[i] == dev)
			return true;
	return false;
}

/* Mounts only; the model's processes have no names. */
int kv_holders_each(const struct kv_holders_query *q,
		    int (*fn)(const struct kv_holder *h, void *arg), void *arg)
{
	bool told[MODEL_NS] = { false };
	int r = model_step("holders");

	for (struct model_mount *m = model->mounts; r == 0 && m < model->mounts + MODEL_MOUNTS;
	     m++) {
		if (!m->used || m->ns < 0 || !is_own(q, m->dev))
			continue;
		if (m->ns != current_ns && told[m->ns])
			continue;
		told[m->ns] = true;
		r = tell_mount(m, fn, arg);
	}
	return r;
}

/* --- What others do --------------------------------------------------------------- */

void model_file(const char *path, mode_t mode)
{
	for (struct model_file *f = model->files; f < model->files + MODEL_FILES; f++) {
		if (f->used)
			continue;
		f->used = kv_strcpy(f->path, sizeof(f->path), path);
		f->mode = mode | 0755;
		f->ino = ++model->ino;
		return;
	}
	model_disaster("too many files for the model");
}

void model_file_remove(const char *path)
{
	struct model_file *f = find_file(path, strlen(path));

	if (f)
		f->used = false;
}

struct model_mount *model_mount_at(const char *ns_path, const char *path)
{
	int ns = find_ns(ns_path);

	model_sweep();
	return ns < 0 ? NULL : top_mount(ns, path);
}

void model_mount_stranger(const char *ns_path, const char *path)
{
	struct model_mount want = { .dev = STRANGER_DEV, .seen_dev = STRANGER_DEV }, *m;

	model_sweep();
	want.ns = find_ns(ns_path);
	want.order = ++model->mount_order;
	(void)kv_strcpy(want.path, sizeof(want.path), path);
	m = new_mount(&want);
	if (!m || want.ns < 0)
		model_disaster("no such place: %s", path);
}

void model_umount(const char *ns_path, const char *path)
{
	struct model_mount *m = model_mount_at(ns_path, path);

	if (m)
		m->used = false;
	model_stale = true;
	model_sweep();
}

void model_shut_down(const char *ns_path, const char *path)
{
	struct model_mount *at = model_mount_at(ns_path, path);

	if (!at || at->node)
		model_disaster("nothing to shut down at %s", path);
	for (struct model_mount *m = model->mounts;
	     at && m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && !m->node && m->dev == at->dev)
			m->shut_down = true;
}

void model_ns_start(const char *ns_path)
{
	struct model_mount copies[MODEL_MOUNTS], *m;
	int ns = 0;

	model_sweep();
	while (ns < MODEL_NS && model->ns[ns].used)
		ns++;
	if (ns == MODEL_NS) {
		model_disaster("too many namespaces for the model");
		return;
	}
	model->ns[ns].used =
		kv_strcpy(model->ns[ns].path, sizeof(model->ns[ns].path), ns_path);
	memcpy(copies, model->mounts, sizeof(copies));
	for (int i = 0; i < MODEL_MOUNTS; i++) {
		if (!copies[i].used || copies[i].ns != current_ns)
			continue;
		m = new_mount(&copies[i]);
		if (m)
			m->ns = ns;
	}
}

void model_ns_end(const char *ns_path)
{
	int ns = find_ns(ns_path);

	if (ns < 0)
		return;
	for (struct model_mount *m = model->mounts; m < model->mounts + MODEL_MOUNTS; m++)
		if (m->used && m->ns == ns)
			m->used = false;
	memset(&model->ns[ns], 0, sizeof(model->ns[ns]));
	model_stale = true;
	model_sweep();
}
