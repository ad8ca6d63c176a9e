/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_KVOL_H
#define KVOL_KVOL_H

/*
 * libkvol: volumes for containers, from inside the calling process.
 *
 * A pool is one disk (or one regular file). It holds volumes and snapshots, thinly provisioned
 * by the kernel's device-mapper, and a catalogue that cannot diverge from them. A volume is
 * published at as many targets as there are containers that need it.
 *
 * What every function keeps to:
 *
 *  1. The library never prints, exits, aborts, installs signal handlers, leaves threads or
 *     daemons behind, or runs a shell.
 *  2. One call is one durable, all-or-nothing change: 0 means that it survives a power cut; an
 *     error means that nothing changed. Publishes end with the boot, as mounts do.
 *  3. Every mutating verb is idempotent: same name and same parameters again gives 0; same name
 *     with other parameters gives -EEXIST; deleting or unpublishing what is not there gives 0.
 *  4. Every call takes a handle; there are no hidden globals. Volumes are named by strings;
 *     there is no per-volume handle to leak.
 *  5. Outputs are written only on success, the error struct only on failure.
 *  6. Required arguments are parameters; optional ones live in a size-first struct; NULL means
 *     defaults.
 *  7. A pool handle may be used by any number of threads, and a pool by any number of processes,
 *     at the same time. Iterators belong to one thread at a time. After fork the child gets
 *     -ECHILD from inherited handles (and may only free them).
 *  8. Only kvol_pool_format and the creation of a volume ever write a file system or wipe
 *     anything. Publishing never formats.
 *
 * Return values are 0, a positive count, or a negative errno. What a program branches on is the
 * reason in struct kvol_error; what a person reads is its one-line message.
 *
 * Errors that any function may return are listed here once, and not again below:
 *   -EINVAL    KVOL_R_INVALID            a NULL where the header does not allow it, a bad name,
 *                                        an options struct of an impossible size, an unknown flag
 *   -E2BIG     KVOL_R_INVALID            an options struct from a newer header with a field set
 *                                        that this library does not know
 *   -ECHILD    KVOL_R_INVALID            the handle was inherited through fork
 *   -EPERM     KVOL_R_SYSTEM             the caller lacks a capability
 *   -ENOMEM    KVOL_R_SYSTEM             out of memory
 *   -EIO       KVOL_R_IO                 the disk failed. When it failed in the middle of a commit
 *                                        and does not take it back either, only the next opening
 *                                        of the pool tells if the whole change was made or none;
 *                                        until one is taken back, every other change gets this
 *   -EUCLEAN   KVOL_R_CORRUPT            the catalogue or the pool's metadata is damaged
 *   -ETIMEDOUT KVOL_R_TIMEOUT            a lock was not had within its deadline (see "Waiting")
 *   -EOPNOTSUPP KVOL_R_NO_KERNEL_SUPPORT the kernel lacks device-mapper, thin provisioning, or a
 *                                        file system
 * and what changes the pool or a volume:
 *   -EROFS     KVOL_R_POOL_READ_ONLY, KVOL_R_POOL_NEEDS_CHECK     the pool takes no changes
 *   -ENOSPC    KVOL_R_NO_DATA_SPACE, KVOL_R_NO_METADATA_SPACE     (what makes or grows something)
 *                                        the pool is below its reserve
 * Other errors of the system calls behind a step are passed on with KVOL_R_SYSTEM.
 *
 * Waiting. A call waits for the disk, for other calls on the same volume (at most 30 seconds,
 * then -ETIMEDOUT) and for the catalogue (at most 30 seconds). Calls on different volumes do not
 * wait for each other, but for the catalogue's commits, which take one disk flush each.
 *
 * Units. Sizes are bytes, times are seconds since the epoch, strings are UTF-8.
 *
 * Privilege. Everything that touches a device needs CAP_SYS_ADMIN in the initial user namespace; growing
 * an ext4 file system needs CAP_SYS_RESOURCE as well.
 */

#include <stdint.h>

#include <kvol/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvol_ctx;	/* settings and logging; immutable after kvol_new() */
struct kvol_pool;	/* one open pool */
struct kvol_iter;	/* a consistent listing */
struct kvol_why_iter;	/* who holds a volume */
struct kvol_label_iter;
struct kvol_publish_iter;

/* --- Errors ----------------------------------------------------------------------- */

/* Why a call failed. Append-only: a number is never given a second meaning. */
#define KVOL_R_NONE              0u
#define KVOL_R_INVALID           1u	/* the arguments themselves are wrong */
#define KVOL_R_NOT_FOUND         2u	/* no such pool, volume, source or target */
#define KVOL_R_EXISTS_DIFFERENT  3u	/* the name (or the target) is taken, with other parameters */
#define KVOL_R_BUSY_OPEN         4u	/* somebody holds the device, the target or the pool open */
#define KVOL_R_BUSY_PUBLISHED    5u	/* the volume is published */
#define KVOL_R_HAS_SIGNATURE     6u	/* the device carries data of somebody else */
#define KVOL_R_NOT_A_POOL        7u	/* the device or file holds no kvol pool */
#define KVOL_R_POOL_READ_ONLY    8u	/* the pool takes no changes: the message says why */
#define KVOL_R_POOL_NEEDS_CHECK  9u	/* the thin pool's metadata must be checked offline first */
#define KVOL_R_NO_DATA_SPACE     10u	/* free data blocks are below the reserve */
#define KVOL_R_NO_METADATA_SPACE 11u	/* free metadata blocks are below the reserve */
#define KVOL_R_LIMIT             12u	/* a limit of the pool is reached */
#define KVOL_R_FOREIGN_HOST      13u	/* the pool is open on another host */
#define KVOL_R_UNSUPPORTED       14u	/* known, and not possible here */
#define KVOL_R_NO_KERNEL_SUPPORT 15u	/* the kernel lacks what the call needs */
#define KVOL_R_IO                16u	/* the disk failed */
#define KVOL_R_CORRUPT           17u	/* what is on the disk contradicts itself */
#define KVOL_R_SYSTEM            18u	/* a system call failed: code is its errno */
#define KVOL_R_TIMEOUT           19u	/* a deadline passed */
#define KVOL_R_ACCESS_CONFLICT   20u	/* another publish of the volume rules this one out */
#define KVOL_R_NEEDS_SECRET      21u	/* the volume is encrypted, and no secret or key is there */
#define KVOL_R_WRONG_SECRET      22u	/* the secret is not the volume's */

/*
 * Filled on failure, untouched on success. Caller-allocated, needs no initialising; wherever a
 * function takes one, NULL is allowed. Frozen: these 256 bytes never change.
 */
struct kvol_error {
	int32_t code;		/* the negative errno that was also returned */
	uint32_t reason;	/* KVOL_R_*: what programs branch on */
	uint32_t index;		/* failing element of an array argument, else 0 */
	uint32_t reserved0;
	char msg[240];		/* one line: object, failed step, errno text; never empty */
};

/*
 * The name of a reason, such as "KVOL_R_BUSY_OPEN"; "KVOL_R_UNKNOWN" for a number that this
 * library does not know. The string is static. Since: 0.1
 */
const char *kvol_reason_str(uint32_t reason);

/* The version of the library in use, such as "0.1.0". The string is static. Since: 0.1 */
const char *kvol_version(void);

/* --- Context ---------------------------------------------------------------------- */

/*
 * Options structs: set `size` to sizeof(struct ...) and zero the rest. Fields are only ever
 * appended; zero is always the old behaviour. Strings are borrowed for the call.
 */
struct kvol_ctx_opts {
	uint32_t size;
	uint32_t flags;		/* none defined: 0 */
	/* Called with one line at a time, from the thread of the call, never while a file system
	 * is suspended. Priorities are those of syslog(3). NULL: nothing is logged. */
	void (*log)(void *arg, int priority, const char *msg);
	void *log_arg;
	/* Where locks and the records of publishes live; made (mode 0700) if it is not there. All
	 * processes that share a pool must share it, and it must not survive a boot. NULL or "":
	 * /run/kvol. */
	const char *run_dir;
	/* What this host is called in the claim that it lays to a pool (see kvol_pool_open): 1 to
	 * 127 printable ASCII characters without blanks, the same after every boot, and no other
	 * host's. NULL or "": the machine's own id (its DMI product UUID, else /etc/machine-id). */
	const char *host_id;
};

/*
 * Makes a context. It is cheap: it opens nothing.
 * May not block. Errors: only those that any function returns. Since: 0.1
 */
int kvol_new(const struct kvol_ctx_opts *opts, struct kvol_ctx **ret_ctx, struct kvol_error *reterr);

/* Frees a context. Pools that were opened with it stay usable. NULL is a no-op. Since: 0.1 */
void kvol_free(struct kvol_ctx *ctx);

/* --- Pools ------------------------------------------------------------------------ */

#define KVOL_FORMAT_FORCE (1u << 0)	/* overwrite whatever the device holds */

struct kvol_format_opts {
	uint32_t size;
	uint32_t flags;		/* KVOL_FORMAT_* */
	uint64_t file_bytes;	/* make PATH a sparse regular file of this size; 0: it exists */
	uint64_t block_bytes;	/* a multiple of 65536, at most 1 GiB; 0: chosen by size */
	uint64_t max_volumes;	/* what catalogue and metadata are sized for; 0: chosen by size */
};

/*
 * Makes a pool called NAME on PATH, a block device or a regular file. Everything on it is lost;
 * so anything but blank space is refused unless KVOL_FORMAT_FORCE is set.
 *
 * Pool names: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with '.' or '-'.
 * Idempotent: PATH already being a pool of this name, and of these parameters where they are
 *   given, is 0 and changes nothing in it (with KVOL_FORMAT_FORCE it is made anew).
 * Durable: the partition table is written last, so that a crash leaves either no pool or a whole one.
 * Blocks: on the disk, for some seconds at the most (mkfs.ext4 runs for the catalogue).
 * Errors:
 *   -EEXIST  KVOL_R_HAS_SIGNATURE     PATH carries a signature (the message names it)
 *   -EEXIST  KVOL_R_EXISTS_DIFFERENT  PATH is a pool of another name or other parameters; or
 *                                     file_bytes is set and PATH has another size (but 0)
 *   -EBUSY   KVOL_R_BUSY_OPEN         PATH is mounted, an active pool, or held by somebody
 *   -EINVAL  KVOL_R_INVALID           too small (the message has the least size), a bad name,
 *                                     path or parameter
 *   -ENOENT  KVOL_R_NOT_FOUND         PATH does not exist, and file_bytes is 0
 * Since: 0.1
 */
int kvol_pool_format(struct kvol_ctx *ctx, const char *name, const char *path,
		     const struct kvol_format_opts *opts, struct kvol_error *reterr);

#define KVOL_OPEN_TAKEOVER (1u << 0)	/* end another host's claim: only when that host is down */

struct kvol_open_opts {
	uint32_t size;
	uint32_t flags;		/* KVOL_OPEN_* */
};

/*
 * Opens a pool. PATH with a '/' in it is a path of a member (block device or regular file);
 * without one it is the name of an active pool. An inactive pool is activated; a file is attached
 * through a loop device with direct I/O. What a crash left half-done is finished or undone.
 *
 * Idempotent: any number of handles, in any number of processes, may be open.
 * Durable: recovery commits what it does; opening changes nothing else.
 * Blocks: on the disk; for another process that activates the pool, at most 30 seconds.
 * A pool whose catalogue and thin pool do not belong together (a restored catalogue, a foreign
 * writer) opens for audit: reading works, every change is refused with KVOL_R_POOL_READ_ONLY. So
 * they are, until the next open, on a disk that fails to flush what a crash may have left.
 * One host: activating lays a claim to the disk, deactivating gives it back. Another host's claim
 *   refuses the open before anything of the pool is touched; it has no expiry, and ends by
 *   KVOL_OPEN_TAKEOVER only, which is right when that host is known to be down: two hosts on one
 *   pool destroy it. A host's own claim, left by a crash, is no obstacle. A pool that is active
 *   here and was taken over since is refused, with the flag too. The claim decides no race: that
 *   two hosts do not open at the same moment, and fencing, are the caller's business.
 * Errors:
 *   -EBUSY    KVOL_R_FOREIGN_HOST      in use on another host: the message has which, since when
 *   -ENOENT   KVOL_R_NOT_FOUND         no such path, or no active pool of that name
 *   -EMEDIUMTYPE KVOL_R_NOT_A_POOL     there is something else, or nothing
 *   -EUCLEAN  KVOL_R_CORRUPT           there is a pool, and it is truncated or damaged
 *   -EEXIST   KVOL_R_EXISTS_DIFFERENT  another active pool has this name, or the same UUID (a
 *                                      copy of the disk beside its original)
 *   -EBUSY    KVOL_R_BUSY_OPEN         the device is mounted or held by somebody
 * Since: 0.1
 */
int kvol_pool_open(struct kvol_ctx *ctx, const char *path, const struct kvol_open_opts *opts,
		   struct kvol_pool **ret_pool, struct kvol_error *reterr);

/*
 * Drops the handle; the pool stays active, and what is published stays so. No thread, file
 * descriptor or mount is left over. NULL is a no-op. May block for one commit. Since: 0.1
 */
void kvol_pool_close(struct kvol_pool *pool);

/*
 * Takes the pool out of use, so that its disk can move. After success the handle is good for
 * kvol_pool_close only (other calls give -ESHUTDOWN, KVOL_R_INVALID).
 *
 * Idempotent: deactivating through such a handle again is 0.
 * Durable: everything is on the disk when it returns.
 * Blocks: on the disk; for other threads' calls and listings on this handle, at most 30 seconds.
 *   Calls that begin meanwhile wait for it, and then give -ESHUTDOWN or go on.
 * Errors:
 *   -EBUSY  KVOL_R_BUSY_PUBLISHED  a volume is published (the message names one)
 *   -EBUSY  KVOL_R_BUSY_OPEN       another handle is open, a call or a listing on this one did
 *                                  not end, or somebody holds a device open
 * Since: 0.1
 */
int kvol_pool_deactivate(struct kvol_pool *pool, struct kvol_error *reterr);

#define KVOL_POOL_AUDIT       (1u << 0)	/* opened for audit: catalogue and thin pool disagree */
#define KVOL_POOL_READ_ONLY   (1u << 1)	/* the thin pool is read-only or failed; or the disk did
					 * not flush when it was opened */
#define KVOL_POOL_NEEDS_CHECK (1u << 2)	/* the thin pool's metadata needs an offline check */
#define KVOL_POOL_OUT_OF_DATA (1u << 3)	/* the thin pool is out of data space */
#define KVOL_POOL_OUT_OF_METADATA (1u << 4) /* ... of metadata space: nothing can be written to
					     * new blocks; deleting makes room */
#define KVOL_POOL_LOW_DATA     (1u << 5) /* free data blocks are below the reserve: */
#define KVOL_POOL_LOW_METADATA (1u << 6) /* ... metadata blocks: nothing new is made */

/*
 * Info structs: set `size` to sizeof(struct ...). The library fills what fits, zeroes what it
 * does not know and writes the filled size back. Strings are inline: there is nothing to free.
 */
struct kvol_pool_info {
	uint32_t size;
	uint32_t flags;			/* KVOL_POOL_* */
	uint64_t data_bytes;
	uint64_t data_used;
	uint64_t metadata_bytes;
	uint64_t metadata_used;
	uint64_t block_bytes;
	uint64_t n_volumes;
	uint64_t n_snapshots;
	char name[128];
	char uuid[40];
	char device[128];		/* the member: what the pool was activated from */
	uint64_t max_volumes;
	uint64_t snapshots_left;	/* snapshots and clones that can still be taken in its life */
	char host[128];			/* the name of this host's claim to it; "": it has none */
	uint64_t provisioned;		/* the sum of the volumes' sizes */
	uint64_t capacity;		/* bytes that new volumes can have: what overcommit leaves (of
					 * thick ones, that by its percentage); without it the free
					 * data space. 0: nothing new is made */
	uint64_t largest_volume;	/* what one volume could have now */
	uint64_t max_published;		/* the policy (kvol_pool_set), 0: none */
	uint64_t overcommit;
	uint64_t publish_flags;
	uint64_t n_published;		/* volumes that are published on this host */
};

/*
 * Tells about the pool. Reads the kernel's own figures: they may be ahead of the disk by what is
 * being written. May block for the catalogue. Since: 0.1
 */
int kvol_pool_stat(struct kvol_pool *pool, struct kvol_pool_info *ret_info,
		   struct kvol_error *reterr);

#define KVOL_REPAIR_CHECK    (1u << 0)	/* look and tell, change nothing */
#define KVOL_REPAIR_FORCE    (1u << 1)	/* the catalogue's file system: at any price (fsck -y) */
#define KVOL_REPAIR_ACCEPT   (1u << 2)	/* what is left of the volumes is taken as it is */
#define KVOL_REPAIR_TAKEOVER (1u << 3)	/* as KVOL_OPEN_TAKEOVER */

struct kvol_repair_opts {
	uint32_t size;
	uint32_t flags;		/* KVOL_REPAIR_* */
	/* An existing directory, with room for the pool's metadata twice, where what is overwritten
	 * is kept. Needed for damaged metadata and for KVOL_REPAIR_FORCE only. */
	const char *backup_dir;
};

/* What can be wrong with a pool. */
#define KVOL_FAULT_TABLE       (1u << 0)	/* one copy of its partition table is damaged */
#define KVOL_FAULT_CATALOGUE   (1u << 1)	/* the catalogue's file system has errors */
#define KVOL_FAULT_DATABASE    (1u << 2)	/* an index of the catalogue, or its count */
#define KVOL_FAULT_METADATA    (1u << 3)	/* the thin pool's metadata is damaged */
#define KVOL_FAULT_NEEDS_CHECK (1u << 4)	/* it is sound, and the kernel wants to be told so */
#define KVOL_FAULT_VOLUMES     (1u << 5)	/* it lacks volumes, or parts of them */
#define KVOL_FAULT_EPOCH       (1u << 6)	/* catalogue and thin pool are not of one time */
#define KVOL_FAULT_STRAYS      (1u << 7)	/* it holds volumes that the catalogue does not know */

struct kvol_repair_info {
	uint32_t size;
	uint32_t flags;		/* none defined: 0 */
	uint32_t found;		/* KVOL_FAULT_* */
	uint32_t mended;	/* of these; none with KVOL_REPAIR_CHECK */
	uint64_t n_lost;	/* volumes and snapshots that the metadata does not hold */
	uint64_t n_short;	/* those that lost blocks when it was repaired */
	uint64_t n_strays;	/* thin ids that nothing in the catalogue explains */
	char backup[256];	/* the file with the metadata as it was, "": it was not written */
};

/*
 * Checks an inactive pool, and mends what can be: a damaged copy of the partition table (from the
 * other one), the catalogue's file system (fsck.ext4 -p) and indexes, the thin pool's metadata
 * (thin_check, thin_repair). Each step, and each volume concerned by its name, is told to the
 * context's log, at LOG_NOTICE or more urgently. Needs the programs named here, as mkfs is needed
 * elsewhere.
 *
 * Damaged metadata is repaired into a file in backup_dir, which must pass thin_check and hold each
 * volume with no fewer blocks than before; the old is copied to a file beside it; then it is written back.
 * A repair that would lose something is refused, with the name of a volume, unless
 * KVOL_REPAIR_ACCEPT is set. The catalogue is not made to fit: lost volumes stay listed until they
 * are deleted, strays stay on the disk.
 * A pool that opens for audit stays so, unless KVOL_REPAIR_ACCEPT is set: then the catalogue is set
 * to the metadata's transaction id, and from then on the pool takes changes. Right when one of the
 * two was restored and no better one is to be had. Nothing is deleted by it.
 *
 * Idempotent: a pool in good order is left as it is. found without mended is what is left.
 * Durable: every step is, when it returns 0. A crash leaves the pool as it was, or mended, or, in
 *   the middle of writing metadata back, one that does not open; the same call, with the same
 *   backup_dir, then goes on from the file there.
 * Blocks: on the disk and on the programs, each at most an hour.
 * Errors:
 *   -EBUSY    KVOL_R_BUSY_OPEN      the pool is active, under this path or as a copy; or in use
 *   -EBUSY    KVOL_R_FOREIGN_HOST   as for kvol_pool_open
 *   -EUCLEAN  KVOL_R_CORRUPT        it cannot be mended, or not without the flag or directory that
 *                                   the message names
 *   -EINVAL   KVOL_R_UNSUPPORTED    fsck.ext4, thin_check or thin_repair is not installed
 *   -ENOENT   KVOL_R_NOT_FOUND      no such path
 *   -EMEDIUMTYPE KVOL_R_NOT_A_POOL  there is something else, or nothing
 * Since: 0.1
 */
int kvol_pool_repair(struct kvol_ctx *ctx, const char *path, const struct kvol_repair_opts *opts,
		     struct kvol_repair_info *ret_info, struct kvol_error *reterr);

#define KVOL_SET_MAX_VOLUMES   (1u << 0) /* which fields of struct kvol_policy_opts count */
#define KVOL_SET_MAX_PUBLISHED (1u << 1)
#define KVOL_SET_OVERCOMMIT    (1u << 2)
#define KVOL_SET_PUBLISH_FLAGS (1u << 3)

#define KVOL_POLICY_NOEXEC (1u << 0)	/* for every file system that is published from now on */
#define KVOL_POLICY_NOSUID (1u << 1)
#define KVOL_POLICY_NODEV  (1u << 2)

#define KVOL_OVERCOMMIT_MAX 1000000u

struct kvol_policy_opts {		/* 0: no limit but the pool's own */
	uint32_t size;
	uint32_t flags;			/* KVOL_SET_* */
	uint64_t max_volumes;		/* volumes and snapshots; not above what it was formatted for */
	uint64_t max_published;		/* volumes published on one host at a time */
	uint64_t overcommit;		/* sum of volumes' sizes, in percent of the data space; above
					 * 100 it leaves out what thick ones have, of both */
	uint64_t publish_flags;		/* KVOL_POLICY_* */
};

/*
 * Sets the pool's policy, all of the call's or none; what is in use above a new limit stays. Its
 * limits are -ENOSPC, KVOL_R_LIMIT at kvol_create, kvol_snapshot, kvol_clone, kvol_expand and
 * kvol_publish.
 *
 * Idempotent, durable when it returns 0. Blocks: for the catalogue.
 * Since: 0.1
 */
int kvol_pool_set(struct kvol_pool *pool, const struct kvol_policy_opts *opts,
		  struct kvol_error *reterr);

/* --- Volumes and snapshots -------------------------------------------------------- */

struct kvol_label {		/* see "Labels" for what they may be */
	const char *key;
	const char *value;
};

#define KVOL_CREATE_OWNER (1u << 0)	/* uid and gid count */
#define KVOL_CREATE_MODE  (1u << 1)	/* mode counts */
#define KVOL_CREATE_THICK (1u << 2)	/* all of its space is allocated */

/*
 * Names are 1 to 255 bytes of UTF-8 without '/', NUL or control characters. Volumes and snapshots
 * share one name space. Sizes are rounded up to 4096 bytes and otherwise exact.
 */
struct kvol_create_opts {
	uint32_t size;
	uint32_t flags;		/* KVOL_CREATE_*; none for a clone */
	const char *fs_type;	/* "ext4", "xfs", "btrfs"; NULL or "": a raw block volume. For a
				 * clone: NULL or "", or what the source has */
	uint64_t bytes;		/* kvol_clone only: at least this size; 0: the source's */
	/* Come with the volume, in the same commit. No parameters: a repeat leaves what is there. */
	const struct kvol_label *labels;
	uint64_t n_labels;
	const void *secret;	/* encrypts the volume; NULL: not. kvol_create only: a clone has its
				 * source's */
	uint64_t secret_bytes;	/* 1 to 4096 */
	/* Of the file system's root directory, as they stand on the disk; else 0, 0 and what its
	 * mkfs gives. What is in it (lost+found) stays root's. No parameters, as labels are none. */
	uint32_t uid, gid;
	uint32_t mode;		/* 07777 at most */
	uint32_t reserved0;
};

/*
 * Makes a volume of BYTES, blank, or with an empty file system.
 *
 * Encrypted: with a secret what is written to the volume is on the disk as AES-256-XTS alone. The
 *   key stands in a LUKS2 header of 1 MiB, beside BYTES, which the secret unlocks: by argon2id with
 *   32 MiB and 4 passes, some tenths of a second, once for each publish. What was never written to
 *   it reads as noise. Discards are passed on, or the pool would get nothing back. A secret is in no
 *   log, message, file or core dump of the library's making; the key, which is in the kernel while
 *   the volume is active, cannot be read back from there. The first use of libcryptsetup leaves
 *   two close-on-exec file descriptors open for the process's life: /dev/urandom and /dev/random.
 * Thick: every block of the volume is allocated in the pool, above its reserve, before it is there:
 *   what is written to it never meets a full pool. It takes no discards, and gives no space back
 *   while it lives. A snapshot or clone of it is thin; what is written after one was taken needs
 *   new blocks, as it would in any volume, until those copies are gone and it was written once.
 *   A pool in a sparse file has the space that the file's file system has. Two that do not fit
 *   together, made at the same time, may both be refused.
 * Idempotent: the volume being there with this size and file system, encrypted or not, thick or
 *   not, is 0; by which secret, and whose its root directory is, is not compared.
 * Durable: when it returns 0. A crash before leaves nothing.
 * Blocks: two flushes of the disk; for a file system of a size that the pool has no template of
 *   (<kvol/template.h>) on its mkfs, at most 5 minutes; thick: on the disk, for as long as it takes
 *   to write zeros over BYTES, or to be told to.
 * Errors:
 *   -EINVAL  KVOL_R_INVALID            0 bytes, or less than the file system can live in (the
 *                                      message has the least size), or more than the kernel takes;
 *                                      an owner or a mode for a raw volume, or that none can be
 *   -EINVAL  KVOL_R_UNSUPPORTED        an unknown file system, or its mkfs is not installed
 *   -EOPNOTSUPP KVOL_R_UNSUPPORTED     a secret, and no libcryptsetup in this library
 *   -EEXIST  KVOL_R_EXISTS_DIFFERENT   the name is taken: by a snapshot, another size or file system,
 *                                      or encryption, or by one that is not as thick
 *   -ENOSPC  KVOL_R_NO_DATA_SPACE, KVOL_R_NO_METADATA_SPACE  a thick volume does not fit above the
 *                                      reserve (the message has how much is needed, and there)
 *   -EOPNOTSUPP KVOL_R_NO_KERNEL_SUPPORT  thick, and no /sys
 *   -ENOSPC  KVOL_R_LIMIT              max_volumes, overcommit or a limit of labels is reached
 * Since: 0.1
 */
int kvol_create(struct kvol_pool *pool, const char *name, uint64_t bytes,
		const struct kvol_create_opts *opts, struct kvol_error *reterr);

struct kvol_snapshot_opts {
	uint32_t size;
	uint32_t flags;		/* none defined: 0 */
	const struct kvol_label *labels; /* as in struct kvol_create_opts */
	uint64_t n_labels;
};

/*
 * Takes a read-only snapshot of VOLUME (or of a snapshot) under the name SNAPSHOT. A published
 * file system is flushed first and frozen for the moment of the snapshot, so that the snapshot is
 * clean; a volume that is published as a block device is caught as a power cut would catch it.
 * A snapshot outlives its source.
 *
 * Idempotent: SNAPSHOT being there as a snapshot of VOLUME is 0.
 * Durable: when it returns 0. A crash before leaves nothing; a freeze that a killed process left
 *   is undone by the next call of any process that has the pool open, or by the next
 *   kvol_pool_open.
 * Blocks: two flushes of the disk, and what the published file system has to write.
 * Errors:
 *   -ENOENT  KVOL_R_NOT_FOUND          no VOLUME
 *   -EEXIST  KVOL_R_EXISTS_DIFFERENT   the name is taken by something else
 *   -ENOSPC  KVOL_R_LIMIT              max_volumes, or the kernel's 2^24 snapshots in a pool's
 *                                      life, are reached
 * Since: 0.1
 */
int kvol_snapshot(struct kvol_pool *pool, const char *volume, const char *snapshot,
		  const struct kvol_snapshot_opts *opts, struct kvol_error *reterr);

/*
 * Makes a writable volume NAME with the contents of SOURCE, a volume or a snapshot. It shares
 * SOURCE's blocks until one of them is written, and can be published beside it. Of an encrypted
 * SOURCE it has the key, and the secret as it is now (so has a snapshot). With opts->bytes
 * above SOURCE's size the file system is grown at the first publish.
 *
 * Idempotent: NAME being there as a clone of SOURCE with this size is 0.
 * Durable, blocks, errors: as kvol_snapshot, and
 *   -EINVAL  KVOL_R_INVALID  opts->bytes is below SOURCE's size, or another file system is asked
 *                            for, or what is kvol_create's only
 * Since: 0.1
 */
int kvol_clone(struct kvol_pool *pool, const char *source, const char *name,
	       const struct kvol_create_opts *opts, struct kvol_error *reterr);

/*
 * Makes the volume at least BYTES large, device and file system; never shrinks. A published file
 * system is grown while in use; otherwise it is mounted out of sight for the purpose, but for an
 * encrypted one, which is grown by its next publish. The new part of a thick volume is allocated
 * first.
 *
 * Idempotent: a volume of BYTES or more is 0.
 * Durable: when it returns 0. After a crash the volume has its old size, or its new one with the
 *   file system grown at the next publish or kvol_expand. The same holds when growing the file
 *   system fails: the error is returned, and the next publish or kvol_expand takes it up again.
 * Blocks: on the disk, and on the file system's own growing; for a thick volume as kvol_create.
 * Errors:
 *   -ENOENT  KVOL_R_NOT_FOUND     no such volume
 *   -EINVAL  KVOL_R_INVALID       0 bytes, or more than the kernel takes
 *   -EINVAL  KVOL_R_UNSUPPORTED   NAME is a snapshot
 *   -ENOKEY  KVOL_R_NEEDS_SECRET  it is encrypted and published by another user, who has its key:
 *                                 the next publish grows it
 *   -ENOSPC  KVOL_R_LIMIT         overcommit is reached
 * `flags`: none defined, 0. Since: 0.1
 */
int kvol_expand(struct kvol_pool *pool, const char *name, uint64_t bytes, uint32_t flags,
		struct kvol_error *reterr);

/*
 * Deletes a volume or a snapshot for good. Its snapshots and clones stay whole.
 *
 * Idempotent: no such name is 0.
 * Durable: when it returns 0. After a crash the volume is wholly there or gone.
 * Blocks: two flushes of the disk; a volume with more than 16384 blocks of the pool (1 GiB) is
 *   emptied first, 256 blocks at a time so that others get their turn, for at most 30 seconds: what
 *   is left then is freed by later opens of the pool.
 * Errors:
 *   -EBUSY  KVOL_R_BUSY_PUBLISHED  it is published (the message names a target)
 *   -EBUSY  KVOL_R_BUSY_OPEN       somebody holds its device open
 * `flags`: none defined, 0. Since: 0.1
 */
int kvol_delete(struct kvol_pool *pool, const char *name, uint32_t flags,
		struct kvol_error *reterr);

/*
 * Replaces the secret of an encrypted volume or snapshot, published or not. Its key and its data stay;
 * so do the secrets of snapshots and clones that were made of it before.
 *
 * Idempotent: TO being its secret already is 0, whatever FROM is.
 * Durable: when it returns 0. After a crash one of the two is its secret, and the same call repeated
 *   makes an end to traces of the other.
 * Blocks: four flushes of the disk; and about a second of computing, see kvol_create.
 * Errors:
 *   -EACCES  KVOL_R_WRONG_SECRET   FROM is not its secret, and neither is TO
 *   -EINVAL  KVOL_R_INVALID        the volume is not encrypted; a secret of 0 or more than 4096 bytes
 *   -ENOENT  KVOL_R_NOT_FOUND      no such volume
 *   -EBUSY   KVOL_R_BUSY_PUBLISHED a snapshot that is published as a device
 *   -EUCLEAN KVOL_R_CORRUPT        its LUKS2 header is damaged
 *   -EOPNOTSUPP KVOL_R_UNSUPPORTED no libcryptsetup in this library
 * `flags`: none defined, 0. Since: 0.1
 */
int kvol_change_secret(struct kvol_pool *pool, const char *name, const void *from,
		       uint64_t from_bytes, const void *to, uint64_t to_bytes, uint32_t flags,
		       struct kvol_error *reterr);

#define KVOL_KIND_VOLUME   1u
#define KVOL_KIND_SNAPSHOT 2u
#define KVOL_KIND_TEMPLATE 3u	/* see <kvol/template.h> */

#define KVOL_INFO_ENCRYPTED (1u << 0)
#define KVOL_INFO_THICK     (1u << 1)
#define KVOL_INFO_EPHEMERAL (1u << 2)	/* its last kvol_unpublish deletes it */

struct kvol_info {
	uint32_t size;
	uint32_t flags;		/* KVOL_INFO_* */
	uint64_t bytes;
	uint64_t allocated;	/* bytes of pool space mapped, shared blocks included; of an inactive
				 * volume as of the pool's last commit, a second ago at the most; 0
				 * where the pool's metadata cannot be read */
	uint64_t created;	/* seconds since the epoch */
	uint32_t kind;		/* KVOL_KIND_* */
	uint32_t n_targets;	/* targets that it is published at on this host; one that was unmounted
				 * by hand counts until the next call on the volume */
	char name[256];
	char source[256];	/* what it was snapshotted or cloned from, else "" */
	char fs_type[16];	/* "": raw */
	char uuid[40];
	char device[128];	/* the block device while it is active, else "" */
	uint32_t access;	/* KVOL_ACCESS_* of its publishes, if they have one in common */
	uint32_t reserved0;
	uint32_t dev_major;	/* the block device's number, for a container's list of devices; */
	uint32_t dev_minor;	/* both 0 while it is not active */
};

/*
 * Tells about one volume or snapshot. May block for the catalogue and for a few reads of the
 * disk. Errors: -ENOENT KVOL_R_NOT_FOUND. Since: 0.1
 */
int kvol_stat(struct kvol_pool *pool, const char *name, struct kvol_info *ret_info,
	      struct kvol_error *reterr);

#define KVOL_STATS_ACTIVE (1u << 0)	/* the volume's device is active */
#define KVOL_STATS_FS     (1u << 1)	/* it is mounted somewhere: the fs_ fields are filled */

/* The worst that is known of a volume. */
#define KVOL_CONDITION_OK           0u
#define KVOL_CONDITION_NO_SPACE     1u	/* the pool is out of space: writes fail */
#define KVOL_CONDITION_FS_ERROR     2u	/* its file system has met errors; it may take no writes */
#define KVOL_CONDITION_READ_ONLY    3u	/* its file system, or the pool, takes no writes any more */
#define KVOL_CONDITION_DEVICE_ERROR 4u	/* it, or the pool below it, has failed */

struct kvol_volume_stats {
	uint32_t size;
	uint32_t flags;			/* KVOL_STATS_* */
	uint64_t fs_bytes;		/* as the file system itself has it (statvfs(3)) */
	uint64_t fs_used;
	uint64_t fs_available;
	uint64_t fs_inodes;		/* 0: it does not count them */
	uint64_t fs_inodes_used;
	uint64_t fs_inodes_available;
	uint64_t allocated;		/* as in struct kvol_info */
	uint32_t condition;		/* KVOL_CONDITION_* */
	uint32_t reserved0;
	char message[160];		/* one line about it; "": it is OK */
};

/*
 * Tells how full and how well a volume is. Nothing is mounted for it, and the file system is asked
 * for its figures alone, through a publish that can be seen from here. May block for the
 * catalogue, and for a few reads of the pool's disk. Errors: -ENOENT KVOL_R_NOT_FOUND. Since: 0.1
 */
int kvol_volume_stat(struct kvol_pool *pool, const char *name,
		     struct kvol_volume_stats *ret_stats, struct kvol_error *reterr);

struct kvol_usage_info {
	uint32_t size;
	uint32_t flags;		/* none defined: 0 */
	uint64_t exclusive;	/* bytes of the pool that deleting it would give back */
	uint64_t shared;	/* ... that snapshots, clones or its source have as well */
};

/*
 * Tells what a volume or snapshot alone has in the pool, as of the call: reads the pool's metadata,
 * in a metadata snapshot that is held meanwhile. The pool's one metadata snapshot is the library's:
 * whatever holds it otherwise loses it. Not done below the reserve of metadata.
 *
 * Durable: nothing changes; what a crash leaves held is let go by the next call, or open.
 * Blocks: for another such call on the pool; on the disk: for a volume that was never copied 1 read
 *   of 4096 bytes for some 100 of its blocks, else at most the same for all volumes of the pool that
 *   were. Each of the two for at most 2 minutes, then -ETIMEDOUT. Memory: meanwhile a bit for each
 *   block of the pool (8 MiB at the most, unless block_bytes was given) and less than 1 MiB.
 * Errors:
 *   -ENOENT  KVOL_R_NOT_FOUND          no such volume
 *   -EROFS   KVOL_R_POOL_READ_ONLY, KVOL_R_POOL_NEEDS_CHECK    the pool takes no changes
 *   -ENOSPC  KVOL_R_NO_METADATA_SPACE  the pool's metadata is below its reserve
 * Since: 0.1
 */
int kvol_usage(struct kvol_pool *pool, const char *name, struct kvol_usage_info *ret_info,
	       struct kvol_error *reterr);

#define KVOL_LIST_VOLUMES   (1u << 0)
#define KVOL_LIST_SNAPSHOTS (1u << 1)
#define KVOL_LIST_TEMPLATES (1u << 2)	/* by itself */

/*
 * Lists volumes and snapshots (flags 0: both), or templates, in the order of their names' bytes, as
 * the catalogue stood at the call. The iterator belongs to one thread at a time and must be freed before the
 * pool is closed. May block for the catalogue. Since: 0.1
 */
int kvol_list(struct kvol_pool *pool, uint32_t flags, struct kvol_iter **ret_iter,
	      struct kvol_error *reterr);

struct kvol_list_opts {
	uint32_t size;
	uint32_t flags;			/* KVOL_LIST_* */
	const char *label_key;		/* only what has this label; NULL or "": whatever it has */
	const char *label_value;	/* ... with this value; NULL: any */
	const char *source;		/* only what was copied from this name; NULL or "": all */
	const char *after;		/* only names behind this one; NULL or "": from the first */
	uint64_t limit;			/* no more items than this; 0: all */
};

/*
 * As kvol_list, of what opts ask for. A page ends at `limit`; the next one begins after its last
 * name, whether or not that still exists. Since: 0.1
 */
int kvol_list_filtered(struct kvol_pool *pool, const struct kvol_list_opts *opts,
		       struct kvol_iter **ret_iter, struct kvol_error *reterr);

/* The next item: 1 and an item, 0 at the end, negative on an error. Since: 0.1 */
int kvol_iter_next(struct kvol_iter *iter, struct kvol_info *ret_info);

/* NULL is a no-op. Since: 0.1 */
void kvol_iter_free(struct kvol_iter *iter);

/* --- Labels ----------------------------------------------------------------------- */

#define KVOL_LABELS_MAX      64u	/* of one object, and of one call */
#define KVOL_LABEL_KEY_MAX   317u
#define KVOL_LABEL_VALUE_MAX 4096u

/*
 * Labels are strings that the library keeps for its callers, and never acts upon. Keys are
 * Kubernetes': an optional prefix of 1 to 253 of A-Z a-z 0-9 . - and a '/', then 1 to 63 of
 * A-Z a-z 0-9 . _ -, beginning and ending with a letter or digit. Values are 0 to 4096 bytes of
 * UTF-8 without control characters. They go with their object; a copy does not inherit any.
 *
 * Sets labels of the volume or snapshot NAME, or with NAME NULL of the pool, and removes those
 * whose value is NULL; all of them or none. It may be published or not.
 *
 * Idempotent: labels that are so already, and removing what is not there, is 0.
 * Durable: when it returns 0.
 * Blocks: for the catalogue.
 * Errors (`index` is the label's that is at fault):
 *   -ENOENT  KVOL_R_NOT_FOUND  no NAME
 *   -EINVAL  KVOL_R_INVALID    a key or value that none can be, or a key twice
 *   -ENOSPC  KVOL_R_LIMIT      more than KVOL_LABELS_MAX; or half of the room that the catalogue
 *                              has is taken: the rest is for volumes
 * Since: 0.1
 */
int kvol_label_set(struct kvol_pool *pool, const char *name, const struct kvol_label *labels,
		   uint64_t n_labels, struct kvol_error *reterr);

/*
 * Copies the value of one label, with a NUL, into SIZE bytes. May block for the catalogue.
 * Errors: -ENOENT KVOL_R_NOT_FOUND (no such object, or label); -ERANGE KVOL_R_INVALID: it does not
 * fit. Since: 0.1
 */
int kvol_label_get(struct kvol_pool *pool, const char *name, const char *key, char *ret_value,
		   uint64_t size, struct kvol_error *reterr);

/*
 * All labels of NAME (NULL: the pool), in the order of their keys' bytes, as they are at the call.
 * The iterator does not need the pool. May block for the catalogue. Errors: -ENOENT
 * KVOL_R_NOT_FOUND. Since: 0.1
 */
int kvol_label_list(struct kvol_pool *pool, const char *name, struct kvol_label_iter **ret_iter,
		    struct kvol_error *reterr);
/* 1 and a label, whose strings live as long as the iterator; 0 at the end. Since: 0.1 */
int kvol_label_iter_next(struct kvol_label_iter *iter, struct kvol_label *ret_label);
/* NULL is a no-op. Since: 0.1 */
void kvol_label_iter_free(struct kvol_label_iter *iter);

/* --- Publishing ------------------------------------------------------------------- */

#define KVOL_PUBLISH_READONLY (1u << 0)
#define KVOL_PUBLISH_BLOCK    (1u << 1)	/* the target is a file on which the device appears */
#define KVOL_PUBLISH_GROUP    (1u << 2)	/* all in it belongs to `group` before it appears */

/* Which other publishes of the volume on this host one goes with. A namespace that copied a
 * mount, and whoever has the device open, is none. */
#define KVOL_ACCESS_ANY           0u	/* all but a single writer's */
#define KVOL_ACCESS_SINGLE_WRITER 1u	/* none: it is the only one */
#define KVOL_ACCESS_MULTI_WRITER  2u	/* all but a single writer's */
#define KVOL_ACCESS_READER        3u	/* the same, and is read-only itself */

/* Where mounts that somebody makes below the published one show up as well. */
#define KVOL_PROPAGATION_DEFAULT 0u	/* as those below the mount that the target is on */
#define KVOL_PROPAGATION_PRIVATE 1u	/* nowhere */
#define KVOL_PROPAGATION_SLAVE   2u	/* nowhere; those made below its copies show up here */
#define KVOL_PROPAGATION_SHARED  3u	/* below its copies, and theirs here */

/* A volume that lives as long as it is published. */
struct kvol_ephemeral_opts {
	uint32_t size;
	uint32_t flags;			/* none defined: 0 */
	uint64_t bytes;			/* as kvol_create and kvol_clone have it */
	const char *fs_type;
	const char *source;		/* a clone of this volume or snapshot; NULL or "": new */
};

struct kvol_publish_opts {
	uint32_t size;
	uint32_t flags;			/* KVOL_PUBLISH_* */
	const char *mount_options;	/* as mount(8) -o takes them, comma-separated; NULL: none */
	/* A path such as /proc/123/ns/mnt; NULL: the caller's, with what came into it by propagation:
	 * a container that is started anew finds its earlier publishes at their targets. */
	const char *mount_namespace;
	uint32_t access;		/* KVOL_ACCESS_* */
	uint32_t propagation;		/* KVOL_PROPAGATION_*; not for devices */
	/* Maps the ids of the file system: on the disk stands what the user namespace has inside.
	 * The path of one, such as /proc/123/ns/user; or maps, each a list of INSIDE OUTSIDE COUNT,
	 * separated by commas or line breaks ("0 100000 65536"). NULL or "": none. */
	const char *user_namespace;
	const char *uid_map;
	const char *gid_map;		/* NULL or "": the same as uid_map */
	/* With KVOL_PUBLISH_GROUP: the group as it stands on the disk. If the root directory does not
	 * belong to it with g+rwx and set-group-id, all files and directories are given to it, with
	 * g+rwX, the root last; set-id bits of files are dropped, links not followed, and what is
	 * immutable stays. Not for devices and read-only publishes. */
	uint32_t group;
	uint32_t reserved0;
	/* Whom it is for, say; told by kvol_publish_list. No options of the publish: a repeat leaves
	 * those that are there. 8192 bytes in all, each string with its NUL. */
	const struct kvol_label *labels;
	uint64_t n_labels;
	const void *secret;		/* of an encrypted volume; NULL: none */
	uint64_t secret_bytes;
	/* NAME is an ephemeral volume, and made if it is not there, encrypted if there is a
	 * secret; NULL: NAME is there. */
	const struct kvol_ephemeral_opts *ephemeral;
};

/*
 * Makes the volume's file system, or with KVOL_PUBLISH_BLOCK its device, appear at TARGET: an
 * absolute path of an existing directory, or of an existing regular file for a device, as seen in
 * the mount namespace. No component of TARGET may be a symbolic link. A snapshot is always
 * published read-only. The volume's device is activated if it was not; nothing is ever formatted.
 * What appears is one mount with none below it: what is asked for holds for all of it. The mount
 * namespace may belong to another user namespace, as a rootless container's does.
 * An encrypted volume's secret is needed, and looked at, each time, also for a repeat.
 *
 * Ephemeral: with opts->ephemeral NAME is made, blank, with an empty file system or as a clone,
 *   and published as one act: when the publish fails, nothing of it is left. More publishes, with
 *   the same opts->ephemeral or with none, share it; its last kvol_unpublish deletes it. When its
 *   publishes end in another way (a reboot, umount(8), a kill in the middle of this call) what
 *   they leave is deleted, once nobody has it open, by the next kvol_pool_open, or by the next
 *   publish or unpublish of NAME; and some of it by each publish that makes another. The data is
 *   then gone: a publish never finds that of an earlier one. Its snapshots and clones stay.
 *
 * Idempotent: the same volume on the same target with the same options is 0.
 * Durable: no. Publishes end with the boot, as mounts do. A crash leaves the target published or not.
 * Blocks: on the disk (a journal may be replayed); on the file system's growing after a clone
 *   that was made larger than its source; with KVOL_PUBLISH_GROUP on each file that is changed,
 *   at most 15 minutes, then -ETIMEDOUT: the next publish goes on.
 * Errors:
 *   -ENOENT   KVOL_R_NOT_FOUND         no such volume, target or namespace
 *   -ENOTDIR, -EISDIR  KVOL_R_INVALID  the target is not what the flags ask for
 *   -ELOOP    KVOL_R_INVALID           a component of the target is a symbolic link
 *   -EINVAL   KVOL_R_INVALID           an option that is not allowed here or that the file system
 *                                      refuses (the message says which)
 *   -EINVAL   KVOL_R_UNSUPPORTED       a raw volume without KVOL_PUBLISH_BLOCK
 *   -ENOKEY   KVOL_R_NEEDS_SECRET      the volume is encrypted, and there is no secret
 *   -EACCES   KVOL_R_WRONG_SECRET      it is not this one
 *   -EINVAL   KVOL_R_INVALID           a secret for a volume that is not encrypted
 *   -EOPNOTSUPP KVOL_R_UNSUPPORTED     it is encrypted, and there is no libcryptsetup in this library
 *   -EUCLEAN  KVOL_R_CORRUPT           its LUKS2 header is damaged
 *   -EEXIST   KVOL_R_EXISTS_DIFFERENT  published there with other options; or published elsewhere
 *                                      with other options of the file system itself; or an
 *                                      ephemeral volume is asked for, and NAME is a lasting one,
 *                                      or another one
 *   with opts->ephemeral also those of kvol_create, or of kvol_clone
 *   -EBUSY    KVOL_R_BUSY_OPEN         something else is mounted on the target; or the volume is
 *                                      still mounted where the target was before it was renamed
 *   -EBUSY    KVOL_R_ACCESS_CONFLICT   it is published for a single writer, or is to be, and is
 *                                      published at all (the message names the other target)
 *   -EBUSY    KVOL_R_BUSY_PUBLISHED    a snapshot that is published as a device, and has a log to
 *                                      replay before it can be mounted
 *   -EOPNOTSUPP KVOL_R_NO_KERNEL_SUPPORT  ids cannot be mapped: Linux 5.12, for btrfs 5.15; user
 *                                      namespaces are switched off
 *   -EINVAL   KVOL_R_LIMIT             KVOL_PUBLISH_GROUP: directories more than 200 deep
 *   -ENOSPC   KVOL_R_LIMIT             max_published is reached; or too many labels
 *   -EROFS    KVOL_R_POOL_READ_ONLY    the pool takes no changes, and the publish would make some:
 *                                      it is not a read-only one
 * Since: 0.1
 */
int kvol_publish(struct kvol_pool *pool, const char *name, const char *target,
		 const struct kvol_publish_opts *opts, struct kvol_error *reterr);

/*
 * Takes the volume away from TARGET in the namespace that opts name (its other fields are
 * ignored). After the last target its device is deactivated, or will be as soon as nobody holds
 * it open any more. A volume or namespace that is no more is taken as unpublished. Where a
 * directory above TARGET was renamed, the volume is taken away from where it is now.
 * An ephemeral volume is deleted with its last publish.
 *
 * Idempotent: the volume not being published there is 0; nothing but the volume's own mount is
 *   ever unmounted.
 * Durable: no need; an ephemeral volume's end is, when it returns 0. A pool that takes no changes
 *   keeps it until it does, and is opened.
 * Blocks: on the file system's last writes; for an ephemeral volume as kvol_delete.
 * Errors:
 *   -EBUSY  KVOL_R_BUSY_OPEN  a file, a working directory or another mount below it is in use; or
 *                             it cannot be reached: something covers it, or somebody keeps
 *                             exchanging the directories above it; or an ephemeral volume is
 *                             unpublished, and somebody has its device open yet, such as another
 *                             namespace's copy of the mount: a repeat deletes it
 *   -EUCLEAN KVOL_R_CORRUPT   its record is damaged, and the volume in use but not seen there
 * Since: 0.1
 */
int kvol_unpublish(struct kvol_pool *pool, const char *name, const char *target,
		   const struct kvol_publish_opts *opts, struct kvol_error *reterr);

#define KVOL_WHY_MOUNT     1u	/* a mount in the caller's namespace, or a publish out of sight */
#define KVOL_WHY_NAMESPACE 2u	/* another mount namespace that has it, by one of its processes */
#define KVOL_WHY_PROCESS   3u	/* a process that uses what is mounted, or the device */
#define KVOL_WHY_DEVICE    4u	/* a device on top of the volume's */

#define KVOL_WHY_PUBLISHED (1u << 0)	/* it is a publish: kvol_unpublish takes it away */

#define KVOL_WHY_BY_FILE   (1u << 0)	/* an open file or directory */
#define KVOL_WHY_BY_CWD    (1u << 1)
#define KVOL_WHY_BY_ROOT   (1u << 2)
#define KVOL_WHY_BY_EXE    (1u << 3)
#define KVOL_WHY_BY_MMAP   (1u << 4)
#define KVOL_WHY_BY_DEVICE (1u << 5)	/* the device, by its node in /dev */

struct kvol_why_info {
	uint32_t size;
	uint32_t flags;			/* KVOL_WHY_PUBLISHED */
	uint32_t kind;			/* KVOL_WHY_MOUNT to _DEVICE */
	uint32_t how;			/* of a process: KVOL_WHY_BY_*, all that were found */
	uint32_t pid;			/* of the process, or of one in the namespace; else 0 */
	uint32_t uid;			/* of the process */
	uint64_t mount_namespace;	/* its inode number, as in /proc/PID/ns/mnt; 0: unknown */
	char what[256];			/* the process's or device's name; the namespace's path */
	char target[256];		/* where it is mounted, what is open, the device's node */
};

/*
 * Tells who holds a volume: why it cannot be unpublished, deactivated or deleted. Reads /proc and
 * /sys alone and touches neither the volume nor its file system: one that hangs does not hang the
 * caller. What is told was so a moment ago; a namespace without a process that is no publish's, a
 * detached mount and a device node outside of /dev are not seen. A process whose thread waits in
 * the kernel is not asked for what it has mapped.
 *
 * May block for the catalogue; then at most 10 seconds. Items are bounded at 4096 (2 MiB).
 * `flags`: none defined, 0. Errors: -ENOENT KVOL_R_NOT_FOUND. Since: 0.1
 */
int kvol_why(struct kvol_pool *pool, const char *name, uint32_t flags,
	     struct kvol_why_iter **ret_iter, struct kvol_error *reterr);

/* The next item: 1 and an item, 0 at the end. The end of a list that is not whole: -ETIMEDOUT for
 * the time, -E2BIG for the bound. Since: 0.1 */
int kvol_why_next(struct kvol_why_iter *iter, struct kvol_why_info *ret_info);

/* NULL is a no-op. It may outlive the pool's handle. Since: 0.1 */
void kvol_why_free(struct kvol_why_iter *iter);
struct kvol_publish_info {	/* the strings live as long as the iterator */
	uint32_t size;
	uint32_t flags;			/* KVOL_PUBLISH_* in effect */
	const char *volume;
	const char *target;		/* "": its record is damaged, and tells no more */
	const char *mount_namespace;	/* as it was given; "": the caller's own */
	const struct kvol_label *labels;
	uint64_t n_labels;
	uint32_t dev_major;		/* of what was published: a read-only KVOL_PUBLISH_BLOCK has */
	uint32_t dev_minor;		/* a device of its own, which takes no writes; 0, 0: none */
};

/*
 * The publishes of NAME, or with NAME NULL of the whole pool, on this host, as they are at the
 * call; by volume, target and namespace. One that was unmounted by hand is told of until the next
 * call on its volume. The iterator does not need the pool. May block for the catalogue.
 * Errors: -ENOENT KVOL_R_NOT_FOUND. Since: 0.1
 */
int kvol_publish_list(struct kvol_pool *pool, const char *name,
		      struct kvol_publish_iter **ret_iter, struct kvol_error *reterr);
/* The next one: 1 and a publish, 0 at the end, negative on an error. Since: 0.1 */
int kvol_publish_iter_next(struct kvol_publish_iter *iter, struct kvol_publish_info *ret_info);
/* NULL is a no-op. Since: 0.1 */
void kvol_publish_iter_free(struct kvol_publish_iter *iter);

struct kvol_io_limits {			/* 0: no limit */
	uint32_t size;
	uint32_t flags;			/* none defined: 0 */
	uint64_t read_bps;		/* bytes a second */
	uint64_t write_bps;
	uint64_t read_iops;		/* operations a second, at most 2^32 - 1 */
	uint64_t write_iops;
};

/*
 * Limits what the processes of a cgroup (version 2), an absolute path without a symbolic link, read
 * from and write to a published volume: io.max of the volume's device. NULL: no limits. May be
 * changed at any time.
 *
 * Idempotent. Durable: no; it ends with the cgroup, and with the last publish of the volume.
 * Blocks: for other calls on the volume.
 * Errors:
 *   -ENOENT  KVOL_R_NOT_FOUND           no such volume or cgroup, or the volume is not published
 *   -EINVAL, -ELOOP, -ENOTDIR  KVOL_R_INVALID  the path is no cgroup's
 *   -EOPNOTSUPP  KVOL_R_NO_KERNEL_SUPPORT  the io controller is not enabled in the cgroup
 * Since: 0.1
 */
int kvol_limit_io(struct kvol_pool *pool, const char *name, const char *cgroup,
		  const struct kvol_io_limits *limits, struct kvol_error *reterr);

#ifdef __cplusplus
}
#endif

#include <kvol/template.h>

#endif
