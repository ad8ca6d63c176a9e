/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef MODEL_H
#define MODEL_H

/*
 * The adapters in memory: a kernel with device-mapper, loop devices, mounts and
 * namespaces, and disks below it. It links in the place of lib/libkvadapters.la, and
 * behaves as badly as the kernel does.
 *
 * One struct model, in memory that forked children share: a child that dies is a killed
 * process, and what it had in the kernel stays. Three lifetimes:
 *   - disks: what a power cut leaves (model_save, model_restore);
 *   - devices, loops, mounts, namespaces, and the run directory: what ends with the boot
 *     (model_power_cut);
 *   - file descriptors and locks: a process's own. They are real: each fd that the model
 * hands out is a file with a flock on it, so the model sees when the last copy is closed,
 * wherever.
 *
 * Every operation that is durable or can fail passes model_step() first.
 */

#include <pthread.h>

#include "fs.h"
#include "layout.h"
#include "mount.h"
#include "names.h"
#include "thin.h"

#define MODEL_DISKS  6
#define MODEL_THINS  640
#define MODEL_BLOCKS 16
#define MODEL_DEVS   160
#define MODEL_LOOPS  8
#define MODEL_MOUNTS 96
#define MODEL_HOLDS  256
#define MODEL_FILES  64
#define MODEL_NS     6
#define MODEL_KEYS   64
#define MODEL_PLANS  8
#define MODEL_PATH   256
#define MODEL_FS_USED 65536u /* what every file system says that it has used */

#define MODEL_DM_MAJOR	 253
#define MODEL_LOOP_MAJOR 7

/* --- Disks: what survives a power cut --------------------------------------------- */

/* What a thin device's blocks say. */
struct model_content {
	char fs[16]; /* "": blank */
	char uuid[KV_UUID_LEN + 1];
	uint64_t bytes; /* of the file system */
	bool torn;	/* copied from an active origin that was not suspended */
	bool unclean;	/* copied from a mounted origin that was not frozen */
	uint64_t mark;	/* what a test has written into it */
	uint32_t group; /* of all that is in it */
	uint32_t uid, gid, mode; /* of its root directory */
	uint64_t reserved; /* blocks from its beginning on that were touched one by one */
	bool luks;	/* begins with a header; the rest is behind dm-crypt */
	uint32_t key;
	char secret[24];
};

struct model_thin {
	bool used;
	uint32_t id;
	uint64_t mapped, own; /* blocks; own: not shared with its origin */
	uint64_t transaction_id;
	uint32_t created, snapshotted;
	/* Which ones, but for those that were reserved. */
	struct {
		uint64_t block;
		uint32_t time;
	} blocks[MODEL_BLOCKS];
	unsigned n_blocks;
	struct model_content content;
	struct model_content flushed; /* what a power cut can take it back to */
};

struct model_metadata {
	bool formatted;
	bool needs_check;
	uint64_t offset; /* where on the disk */
	uint64_t transaction_id;
	uint32_t time;
	uint32_t block_sectors;
	uint64_t data_blocks;
	uint64_t next_block; /* that was never given to any */
	bool snapshot;	     /* of itself: the kernel's only one */
	struct model_thin thins[MODEL_THINS];
};

/* As the kernel orders them: from MODEL_OUT_OF_METADATA on, a pool takes no message. */
enum model_mode {
	MODEL_RW,
	MODEL_OUT_OF_DATA,
	MODEL_OUT_OF_METADATA,
	MODEL_READ_ONLY,
	MODEL_FAIL,
};

struct model_disk {
	bool used;
	dev_t file_dev; /* the file that stands for it; its first block is real */
	ino_t file_ino;
	char path[MODEL_PATH]; /* where the file was when it was first seen */
	bool has_catalogue_fs;
	bool unflushed; /* what a format has made */
	struct model_metadata metadata;
	/* For tests to set. */
	bool table_damaged;	/* one of the copies of its partition table */
	bool catalogue_damaged; /* does not mount */
	bool catalogue_lost;	/* nor does a fsck without an answer mend it */
	bool metadata_damaged;	/* no pool starts on it */
	enum model_mode mode;	/* of the pool on it; a start resets it */
	uint64_t data_used,
		metadata_used; /* blocks in use beside those that are accounted for */
	unsigned lose_commits; /* so many messages to come return 0 and do not happen */
	bool rendered;	       /* somebody reads its metadata */
	bool stale;	       /* and it has changed since */
};

/* --- The kernel: what ends with the boot ------------------------------------------ */

struct model_table {
	bool live;
	bool readonly;
	char type[16];
	char params[KV_THIN_LINE];
	uint64_t sectors;
	dev_t below[2];	 /* linear, crypt: device; thin: pool; thin-pool: metadata, data */
	uint64_t offset; /* linear, crypt: in sectors */
	uint32_t thin_id;
	uint32_t block_sectors;
};

struct model_dev {
	bool used;
	struct kv_dm_id id;
	struct model_table table;
	bool suspended, frozen, deferred;
	bool no_discards; /* it takes none */
};

/* In the user's keyring. */
struct model_key {
	bool used;
	char name[64];
	uint32_t key;
};

struct model_loop {
	bool used;
	dev_t file_dev;
	ino_t file_ino;
};

struct model_mount {
	bool used;
	uint64_t mnt_id;
	bool node;	/* a device node, bound; else the file system on dev */
	dev_t dev;	/* the device */
	dev_t seen_dev; /* st_dev there: btrfs has one of its own */
	uint64_t attr;
	bool super_readonly;
	unsigned long propagation;
	bool idmapped;
	char super[512];
	bool shut_down; /* its superblock, and so all mounts of that */
	int ns;		/* where it is attached, -1: nowhere */
	unsigned order; /* the higher, the further up on one target */
	char path[MODEL_PATH];
};

/* What an open file descriptor stands for. */
enum model_hold_kind {
	MODEL_HOLD_DEVICE, /* an open block device */
	MODEL_HOLD_MOUNT,  /* a mount, detached or not, or a file in it */
	MODEL_HOLD_PLACE,  /* a path that no mount stands on */
};

struct model_hold {
	bool used;
	enum model_hold_kind kind;
	dev_t dev;
	int mount;
	int ns;
	char path[MODEL_PATH]; /* MODEL_HOLD_PLACE */
	char file[64]; /* in the model's directory; who has it open holds a flock */
	ino_t ino;
	int fd; /* of a machine alone */
};

/* Directories, files and links that targets can be; the same in every namespace. */
struct model_file {
	bool used;
	char path[MODEL_PATH];
	mode_t mode;
	uint64_t ino;
};

struct model_ns {
	bool used;
	char path[64]; /* as /proc/N/ns/mnt */
};

/* --- Failures on demand ----------------------------------------------------------- */

#define MODEL_CRASHED 99 /* exit code of a process that model_crash() ended */

struct model_plan {
	bool used;
	char what[48]; /* first words of the step's name */
	unsigned nth;  /* counts down; 0: each of them */
	int error;     /* negative errno; 0: the process dies */
};

struct model {
	pthread_mutex_t mutex;
	char dir[128]; /* real files: catalogues, locked files, the run directory */
	unsigned serial;
	unsigned steps; /* passed so far */
	unsigned mount_order;
	uint64_t ino;
	char disaster[192]; /* the first thing that must never happen, "" if none did */
	struct model_disk disks[MODEL_DISKS];
	struct model_dev devs[MODEL_DEVS];
	struct model_key keys[MODEL_KEYS];
	struct model_loop loops[MODEL_LOOPS];
	struct model_mount mounts[MODEL_MOUNTS];
	struct model_hold holds[MODEL_HOLDS];
	struct model_file files[MODEL_FILES];
	struct model_ns ns[MODEL_NS];
	struct model_plan plans[MODEL_PLANS];
	/* For tests to set. */
	bool no_device_mapper, no_thin_target, no_crypt_target, no_nodes, no_io_controller;
	char io_max[160]; /* the last line that a cgroup got */
	bool fs_errors; /* ext4 says that it has met some */
	uint64_t mkfs_bytes; /* of its program: another one makes other templates; 0: none are
			      * to be made */
	unsigned deadline_divisor; /* makes deadlines come sooner */
};

extern struct model *model;

/* A new machine with an empty directory; ends the old one. */
void model_start(void);
void model_end(void);

/* 0, or the negative errno to fail with; or it does not return. The hook of this process,
 * if any, is asked first. */
int model_step(const char *what);
extern int (*model_hook)(const char *what, unsigned step);

/* The nth step (0: each) from here on whose name begins with the words `what` fails, or
 * kills its process. */
void model_fail(const char *what, unsigned nth, int error);
void model_crash(const char *what, unsigned nth);
void model_forget_plans(void);

/* Runs fn in a child and returns its exit code, MODEL_CRASHED if model_crash() ended it.
 */
int model_in_child(int (*fn)(void *arg), void *arg);

/* --- A machine alone: for tests that never fork ----------------------------------- */

/*
 * Like model_start(), only that one process is all there is. So what it closes is closed
 * at once, time is what model_waiting says, everything random comes from model_seed(),
 * and the catalogue's files are in memory, where it is known what was synced.
 *
 * A process dies here by model_dead: from then on no step does anything or is refused,
 * whatever the library makes of it; when it has closed its handles, what is left is what
 * a kill would have left, and model_dead may be false again for the next process.
 */
void model_start_alone(void);
extern bool model_alone, model_dead;

void model_seed(uint64_t seed);
uint64_t model_random(void);
/* Called where the library or the kernel would sleep: 0, or -ETIMEDOUT. NULL: -ETIMEDOUT.
 */
extern int (*model_waiting)(void);

/* What becomes of that which was written and not flushed. */
enum model_loss {
	MODEL_LOSE_NOTHING,
	MODEL_LOSE_ALL,
	MODEL_LOSE_SOME,
};
void model_power_cut_losing(enum model_loss loss);

/* The whole machine, running: disks, kernel and run directory. Nothing may be open. */
struct model_saved *model_save_running(void);
/* Of the same: equal where nothing differs. */
uint64_t model_state_hash(void);

/* --- To go back to ---------------------------------------------------------------- */

/* The whole of what is durable, to go back to. The files behind disks are only told by
 * their first block. No process may have anything open. */
struct model_saved;
struct model_saved *model_save(void);
void model_restore(const struct model_saved *saved);
void model_saved_free(struct model_saved *saved);
/* Kernel and run directory are gone, disks are as they are. */
void model_power_cut(void);

/* --- For tests to ask and to change ----------------------------------------------- */

struct model_disk *model_disk(const char *path); /* of the file; made if need be */
/* The file and what is modelled of its contents, to another file. */
void model_disk_copy(const char *from, const char *to);
struct model_thin *model_thin(struct model_disk *disk, uint32_t id); /* NULL: none */
unsigned model_thins(const struct model_disk *disk);
struct model_dev *model_dev(const char *uuid); /* NULL: none */
unsigned model_n_devs(void);
unsigned model_n_mounts(void); /* attached or detached */
unsigned model_n_loops(void);
unsigned model_n_keys(void);
void model_revoke_keys(void); /* as somebody with keyctl(1) could */
void model_catalogue_path(const char *disk_path, char ret[MODEL_PATH]);

/* mode: S_IFDIR, S_IFREG or S_IFLNK */
void model_file(const char *path, mode_t mode);
void model_file_remove(const char *path);
/* The topmost mount at path in a namespace (NULL: the caller's), or NULL. */
struct model_mount *model_mount_at(const char *ns_path, const char *path);
/* What others do: mounts a stranger's file system there; unmounts the topmost. */
void model_mount_stranger(const char *ns_path, const char *path);
void model_umount(const char *ns_path, const char *path);
/* The file system that is mounted there shuts down, for errors or by order. */
void model_shut_down(const char *ns_path, const char *path);
void model_ns_start(const char *ns_path); /* a copy of the caller's, mounts and all */
void model_ns_end(const char *ns_path);

/* The caller's namespace; for those who run several processes on one thread. */
int model_swap_ns(int ns);

/* --- Between the model's files; all under the mutex ------------------------------- */

void model_boot(void);
void model_need(bool ok, const char *what); /* the tests cannot go on without it */

void model_lock(void);
void model_unlock(void);
void model_disaster(const char *fmt, ...) KV_PRINTF(1, 2);
void model_sweep(void); /* what the last close has ended, ends */

/* An fd that stands for *hold; file NULL: a new file; else that one in the model's
 * directory. */
int model_hold(const struct model_hold *hold, const char *file, int flags);
struct model_hold *model_hold_of(int fd); /* NULL: none */
bool model_mount_held(int mount);

struct model_disk *model_disk_by_fd(int fd);
void model_catalogue_copied(struct model_disk *from, int memory_fd);
struct model_disk *model_disk_of_loop(dev_t dev);		      /* NULL: none */
struct model_disk *model_disk_under(dev_t dev, uint64_t *ret_offset); /* NULL: none */
struct model_dev *model_dev_by_number(dev_t dev);
dev_t model_dev_number(const struct model_dev *dev);
unsigned model_openers(dev_t dev);
bool model_mounted(dev_t dev);
uint64_t model_dev_bytes(dev_t dev);
struct model_disk *model_catalogue_under(dev_t dev); /* as those, or a copy; NULL */
dev_t model_dev_of_path(const char *path); /* "/dev/dm-N", "/dev/loopN"; else 0 */
struct model_thin *model_thin_under(dev_t dev);
void model_metadata_changed(dev_t thin); /* and is committed */
struct model_disk *model_disk_of_thin(dev_t dev); /* or of what is on it */
uint64_t model_free_blocks(dev_t dev);		  /* of its pool */
uint64_t model_mapped(const struct model_thin *thin);
/* New blocks of its own, in the place of its i-th ones from `at` on, or behind them. */
void model_write(dev_t dev, unsigned at, unsigned n);
#define MODEL_HELD_ROOT 1022u /* where the snapshot's superblock is */
int model_wait_running(dev_t dev); /* I/O on a suspended device waits; -EIO: for ever */

/* model_pool.c */
int model_pool_load(struct model_table *t, const struct model_dev *self);
int model_pool_message(struct model_dev *pool, const char *msg);
int model_pool_status(const struct model_dev *pool, bool flush, char *buf, size_t size);
int model_thin_load(struct model_table *t);
int model_thin_status(const struct model_dev *dev, char *buf, size_t size);

/* model_crypt.c */
int model_crypt_load(struct model_table *t);

/* model_alone.c */
void model_alone_start(void);
void model_alone_boot(void);
void model_alone_end(void);
int model_alone_open(struct model_hold *hold, const char *path, int flags);
struct model_hold *model_alone_hold_of(int fd);
extern bool model_stale; /* something was closed, or went, since the last sweep */
uint64_t model_hash(const void *data, size_t n, uint64_t seed);

/* model_catalogue.c */
struct model_saved_catalogue;
void model_catalogue_end(void);
int model_catalogue_disk(int fd); /* whose catalogue is mounted there, or -1 */
void model_catalogue_format(int disk);
void model_catalogue_sync(int disk);
void model_catalogue_cut(enum model_loss loss);
struct model_saved_catalogue *model_catalogue_save(void);
void model_catalogue_restore(const struct model_saved_catalogue *saved);
void model_catalogue_saved_free(struct model_saved_catalogue *saved);
uint64_t model_catalogue_hash(uint64_t hash);

/* model_vfs.c */
void model_vfs_register(void);

/* model_rundir.c: the run directory's files, to go back to. */
struct model_saved_rundir;
struct model_saved_rundir *model_rundir_save(const char *path);
void model_rundir_restore(const struct model_saved_rundir *saved, const char *path);
void model_rundir_saved_free(struct model_saved_rundir *saved);
uint64_t model_rundir_hash(const char *path, uint64_t hash);
void model_remove_all(const char *path);

/* model_metadata.c: the disk's thin metadata, as the kernel would have written it. */
void model_render(const struct model_disk *disk, int fd);

/* Link with --wrap for these, see tests/local.mk. */
struct kv_db;
int64_t __real_kv_now_ms(void);
int64_t __wrap_kv_now_ms(void);
bool __real_kv_expired(int64_t deadline_ms);
bool __wrap_kv_expired(int64_t deadline_ms);
int64_t __real_kv_deadline(int64_t timeout_ms);
int64_t __wrap_kv_deadline(int64_t timeout_ms);
int __real_kv_db_commit(struct kv_db *db);
int __wrap_kv_db_commit(struct kv_db *db);
int __real_kv_write_file_at(int dirfd, const char *name, const void *data, size_t n);
int __wrap_kv_write_file_at(int dirfd, const char *name, const void *data, size_t n);
int __real_kv_pread_full(int fd, void *buf, size_t n, uint64_t offset);
int __wrap_kv_pread_full(int fd, void *buf, size_t n, uint64_t offset);
int __real_kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset);
int __wrap_kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset);
int __real_kv_backoff(unsigned *step, int64_t deadline_ms);
int __wrap_kv_backoff(unsigned *step, int64_t deadline_ms);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __wrap_unlinkat(int dirfd, const char *path, int flags);
int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __wrap_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_syncfs(int fd);
int __wrap_syncfs(int fd);
ssize_t __real_getrandom(void *buf, size_t n, unsigned flags);
ssize_t __wrap_getrandom(void *buf, size_t n, unsigned flags);
time_t __real_time(time_t *ret);
time_t __wrap_time(time_t *ret);

#endif
