/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_VERB_H
#define KV_VERB_H

/* L4: what the public verbs share. */

#include <sys/stat.h>

#include "crypt.h"
#include "fs.h"
#include "host.h"
#include "metasnap.h"
#include "opts.h"
#include "pool_state.h"
#include "publication.h"
#include "tree.h"

struct kvol_ctx {
	struct kv_log log;
	char *run_dir;
	char host_id[KV_HOST_ID_MAX + 1]; /* "": not given */
};

#define KV_BYTES_MAX  KV_ROW_BYTES_MAX
#define KV_BYTES_UNIT UINT64_C(4096)

/* Blocks of 4096 bytes in a group of the catalogue's ext4; the second begins with a copy
 * of the superblock. */
#define KV_CATALOGUE_GROUP "4096"

/* What kvol_pool_open was pointed at. */
struct kv_member {
	int fd; /* the device or file; -1 when the pool was named */
	struct stat st;
	struct kv_layout layout; /* only the uuid when the pool was named */
	bool takeover;		 /* another host's claim is no obstacle */
};
int kv_member_by_name(const struct kvol_pool *pool, const char *name, struct kv_member *m,
		      struct kvol_error *e);
int kv_member_by_path(const char *path, struct kv_member *m, struct kvol_error *e);
/* 1: the device is that one, or the loop device of that file; 0: it is not. */
int kv_device_is(dev_t dev, const struct stat *st);
/* The member as a block device: *ret_fd keeps a loop device alive until it is mapped. */
int kv_member_device(const struct kv_dm *dm, const struct kv_member *m, const char *path,
		     dev_t *ret_dev, int *ret_fd, struct kvol_error *e);
/* The error for what kv_stack_map_* gave. */
int kv_map_error(int r, const char *path, const char *step, struct kvol_error *e);
/* Maps the pool's devices, or joins those that stand; opens the catalogue. Holds the
 * pool's lock on pool->lock_fd when it succeeds, exclusively or shared. On failure the
 * caller closes pool->cat. */
int kv_pool_activate(struct kvol_pool *pool, const struct kv_member *m, const char *path,
		     struct kvol_error *e);

/* Each public function on a pool begins with this; the handle is not deactivated before
 * *ret is left. */
int kv_pool_enter(struct kvol_pool *pool, struct kvol_pool **ret, struct kvol_error *e);
/* The same for what changes something; refused while a commit is in doubt. */
int kv_pool_enter_to_change(struct kvol_pool *pool, struct kvol_pool **ret,
			    struct kvol_error *e);
/* Refuses if a commit is in doubt, and cannot be settled. */
int kv_pool_certain(const struct kvol_pool *pool, struct kvol_error *e);
void kv_pool_leave(struct kvol_pool **pool); /* sets it to NULL, which is a no-op */
#define _cleanup_call_ _cleanup_(kv_pool_leave)
int kv_volume_name_check(const char *name, const char *what, struct kvol_error *e);
/* Rounds up; refuses 0 and what is too much. */
int kv_bytes_check(const char *name, uint64_t bytes, uint64_t *ret, struct kvol_error *e);

/* How often a call starts over because a name came to mean something else under its
 * hands; then this is its error. */
#define KV_NAME_TRIES 100
int kv_name_unstable(const char *name, struct kvol_error *e);

/* The error of a name that means nothing: `what` is what the name should have been. */
int kv_volume_none(const struct kvol_pool *pool, const char *name, const char *what,
		   struct kvol_error *e);
/* The volume's row. -ENOENT: there is none; the error says so, unless `what` is NULL, for
 * verbs to which that is success. */
int kv_volume_find(struct kvol_pool *pool, const char *name, const char *what,
		   struct kv_row *ret, struct kvol_error *e);
/* The same with its lock, under which the row was read. */
int kv_volume_lock(struct kvol_pool *pool, const char *name, const char *what,
		   struct kv_lock *ret_lock, struct kv_row *ret, struct kvol_error *e);
/* By its id, for whoever tidies up: 1: locked, and there; 0: somebody works on it, or there
 * is none any more. */
int kv_volume_try_lock(struct kvol_pool *pool, uint32_t id, struct kv_lock *ret_lock,
		       struct kv_row *ret);
/* The error for kvol_create_opts.reserved0. */
int kv_reserved_error(const char *what, const char *name, struct kvol_error *e);
/* Fills what a new row of any kind has. */
int kv_row_init(struct kv_row *row, uint32_t id, const char *name, uint32_t kind,
		uint64_t bytes);
/* The fs of a row, NULL for raw. -EOPNOTSUPP: one that this library does not know. */
int kv_row_fs(const struct kv_row *row, const struct kv_fs **ret, struct kvol_error *e);

/* The error for labels that the catalogue did not take. */
int kv_label_error(int r, const char *object, struct kvol_error *e);
/* ... or for a row that it did not: labels, or the policy's limit. */
int kv_insert_error(const struct kvol_pool *pool, int r, const char *name,
		    struct kvol_error *e);

/* The pool's policy (policy.c). The limit is for the commit that is to keep it; refused at
 * once where so much more would pass it. */
int kv_policy_limit(const struct kvol_pool *pool, struct kv_limit *ret,
		    struct kvol_error *e);
int kv_policy_admit(const struct kvol_pool *pool, const char *name, uint64_t more_volumes,
		    uint64_t more_bytes, bool thick, struct kv_limit *ret,
		    struct kvol_error *e);
int kv_limit_error(const struct kvol_pool *pool, const char *name, struct kvol_error *e);
/* MOUNT_ATTR_* for each publish, and how many volumes may be published (0: any). */
int kv_policy_publish(const struct kvol_pool *pool, uint64_t *ret_attr,
		      uint64_t *ret_max, struct kvol_error *e);
/* Fills what kvol_pool_info tells of it. */
int kv_policy_tell(struct kvol_pool *pool, const struct kv_pool_status *st,
		   struct kvol_pool_info *info, struct kvol_error *e);

/* Takes back what a creation has done: the device, and the thin id if it was made. `made`
 * false: the message was refused. Afterwards the id is done with. */
void kv_volume_undo(struct kvol_pool *pool, struct kv_id *id, bool made);

/* What a new volume is made with. */
struct kv_contents {
	const struct kv_fs *fs;	 /* NULL: raw */
	struct kv_secret secret; /* data NULL: not encrypted */
	struct kv_owner root;
	bool thick; /* all blocks are allocated */
	bool copied; /* the file system is there, and a template's */
};
static inline bool kv_contents_any(const struct kv_contents *c)
{
	return c->fs || c->secret.data || c->thick;
}
/* The error for a file system that cannot be made here. */
int kv_no_mkfs(const struct kv_fs *fs, const char *what, const char *name,
	       struct kvol_error *e);
/* Makes it, on the thin device of a row that is not committed yet; it is inactive again
 * afterwards. What fails in here is undone, device and all, by kv_volume_undo. */
int kv_contents_make(struct kvol_pool *pool, const struct kv_row *row,
		     const struct kv_contents *c, struct kvol_error *e);

/* Makes it a tombstone: from then on it is gone, and its blocks as soon as they can. It
 * is out of use, and under its lock. */
int kv_volume_bury(struct kvol_pool *pool, const struct kv_row *row, struct kvol_error *e);

/* Frees the blocks and the thin id of what is buried; its device is down. -ETIMEDOUT: not
 * all of them by the deadline; the next call goes on. */
int kv_volume_free(struct kvol_pool *pool, uint32_t id, uint64_t bytes,
		   int64_t deadline_ms);
/* How long a call frees blocks at most, and recovery for each volume. */
#define KV_FREE_MS	   30000
#define KV_FREE_RECOVER_MS 300

/* An ephemeral volume that was just made: nobody has had its lock but we. */
struct kv_made {
	struct kv_lock lock;
	struct kv_row row;
};
#define KV_NAME_TAKEN 2 /* somebody else has made what has the name */
int kv_volume_make_ephemeral(struct kvol_pool *pool, const char *name,
			     const struct kvol_ephemeral_opts *o,
			     const struct kv_secret *secret, struct kv_made *ret,
			     struct kvol_error *e);
int kv_clone_ephemeral(struct kvol_pool *pool, const char *name,
		       const struct kvol_ephemeral_opts *o, struct kv_made *ret,
		       struct kvol_error *e);

/* Under the volume's lock. 1: it was an ephemeral one that nothing publishes, nor is about
 * to, and nobody has open: it is gone. 0: it is none, or in use. */
int kv_ephemeral_collect(struct kvol_pool *pool, const struct kv_row *row,
			 struct kvol_error *e);
/* The same for an id that may have become anything; what another one works on is left to
 * him. Negative: it could not be looked at, or deleted. */
int kv_ephemeral_collect_id(struct kvol_pool *pool, uint32_t id);
/* A few others, in turn, with each that is made. */
void kv_ephemeral_sweep(struct kvol_pool *pool);
/* One of its publishes was taken away: after the last it is deleted. */
int kv_ephemeral_unpublished(struct kvol_pool *pool, const struct kv_row *row,
			     struct kvol_error *e);
/* It was made for a publish that failed. */
void kv_ephemeral_undo(struct kvol_pool *pool, const struct kv_row *row);

/* A secret as it came in options. what: the volume's name, for messages. */
int kv_secret_check(const char *what, const void *data, uint64_t bytes,
		    struct kv_secret *ret, struct kvol_error *e);
/* Refuses a secret for a volume that takes none, and none for one that needs it. */
int kv_volume_secret(const struct kv_row *row, const struct kv_secret *secret,
		     struct kvol_error *e);
/* Encrypts a new thin device: from then on *device is what it says. */
int kv_volume_encrypt(struct kvol_pool *pool, const struct kv_row *row,
		      const struct kv_secret *secret, struct kv_device *device,
		      struct kvol_error *e);
/* Puts the upper device on the thin one of a thick volume that is not encrypted. */
int kv_volume_layer(struct kvol_pool *pool, const struct kv_row *row,
		    struct kv_device *device, struct kvol_error *e);
/* Activates the volume's device, for an encrypted one by its secret and up to what it
 * says. On failure nothing is active that was not. */
int kv_volume_activate(struct kvol_pool *pool, const struct kv_row *row,
		       const struct kv_secret *secret, bool readonly,
		       struct kv_device *ret, struct kvol_error *e);
/* The device that shows what is in an active volume. -ENXIO: there is none. */
int kv_volume_top(const struct kvol_pool *pool, const struct kv_row *row,
		  struct kv_dm_info *ret);

/* Thick volumes (thick.c). Is there room for what lies between two sizes of one (0: its
 * beginning), and what its header takes? */
int kv_thick_check(const struct kvol_pool *pool, const struct kv_row *row, uint64_t from,
		   uint64_t to, struct kvol_error *e);
/* Allocates the blocks between them; dev: the thin device. */
int kv_thick_fill(const struct kvol_pool *pool, const struct kv_row *row, dev_t dev,
		  uint64_t from, uint64_t to, struct kvol_error *e);
/* Reserves what lies between the row's size and `bytes`. Then row->flags has KV_ROW_SPARE,
 * which is for the commit of the new size to take away, or for kv_thick_forget. On failure
 * all is given back. */
int kv_thick_grow(struct kvol_pool *pool, struct kv_row *row, uint64_t bytes,
		  struct kvol_error *e);
void kv_thick_forget(struct kvol_pool *pool, struct kv_row *row);
/* Makes an end to KV_ROW_SPARE. */
int kv_thick_give_back(struct kvol_pool *pool, struct kv_row *row);

/* Makes active devices as large as the row says. */
int kv_volume_resize(const struct kvol_pool *pool, const struct kv_row *row,
		     struct kvol_error *e);
/* Grows the file system on an active device to the device's end, through a mount out of
 * sight. */
int kv_fs_grow(const struct kv_row *row, dev_t dev, struct kvol_error *e);
/* Gives the file system on an active device the identity that the row has. */
int kv_fs_renew(const struct kv_row *row, dev_t dev);
int kv_renew_error(int r, const struct kv_row *row, struct kvol_error *e);
/* Does what row->flags owe that needs no mount: the device's size, a copy's identity.
 * The catalogue learns of that later: to be asked again is no harm. The device is active, and `fresh` if nobody can
 * have it open. */
int kv_volume_settle(struct kvol_pool *pool, struct kv_row *row, dev_t dev, bool fresh,
		     struct kvol_error *e);

/* What is seen at a publication's target, in its namespace (NULL: that of its path);
 * ret->fd is -1. */
int kv_publication_look(const struct kv_publication *p, struct kv_visit *visit,
			struct kv_target *ret);
bool kv_publication_stands(const struct kv_publication *p, const struct kv_target *seen);
/* The same of a target that is dead: 1, 0, or the error that keeps us from knowing. */
int kv_publication_stands_dead(const struct kv_publication *p, const char *ns_path,
			       const struct kv_target *seen);
/* 1: what is seen at p's target in this namespace is the volume's, and p has its mount,
 * whoever put it there; 0: it is not. */
int kv_publication_seen(const struct kvol_pool *pool, const char *ns_path,
			struct kv_publication *p);
/* Of a damaged record, with its volume, namespace and target given in p: 1: the volume's
 * device is seen there, and p has its mount; 0: the volume is not in use, and the record
 * is dropped; -EUCLEAN: it is in use, and nothing can be told. */
int kv_publication_recognise(const struct kvol_pool *pool, const char *ns_path,
			     struct kv_publication *p);
/* 1: its mount is somewhere in its namespace (by this path, NULL: the caller's), seen or
 * not, and ret_point (may be NULL) gets where; 0: it is gone. */
int kv_publication_find(const struct kv_publication *p, const char *ns_path,
			char ret_point[PATH_MAX]);
/* Drops records of publishes that no longer stand. *ret_live: how many do; target (may be
 * NULL, 128 bytes) gets one. 1: the volume's device is active; 0: it is not. Under the
 * volume's lock. */
int kv_publications_prune(struct kvol_pool *pool, uint32_t id, unsigned *ret_live,
			  char *target);

/* 1: some mount or node of the volume may be anywhere, or its device is open; 0: not. */
int kv_volume_in_use(const struct kvol_pool *pool, uint32_t id);

/* Deactivates its device, or has that done at its last close, if it is published nowhere.
 */
void kv_volume_put_down(struct kvol_pool *pool, uint32_t id);

/* What recovery found to stand, or could not see; `faces`: of them, those as a read-only
 * device. Drops the records of the others. Under the volume's lock. seen: from before it;
 * what is in there is looked for nowhere else. */
struct kv_left {
	unsigned publishes;
	unsigned faces;
};
int kv_publications_tidy(struct kvol_pool *pool, uint32_t id, const struct kv_mounts *seen,
			 struct kv_left *ret);

/* Before a new pool's first map: returns an fd, to be kept open until the last is gone and
 * the announcement withdrawn. */
int kv_leftover_announce(int run_fd, const char *uuid);
void kv_leftover_withdraw(int run_fd, const char *uuid);
/* Removes what killed formats have announced and left. */
int kv_leftover_remove(const struct kv_dm *dm, int run_fd);
/* Removes what a killed activation left of a pool that is about to be wiped. -EBUSY:
 * somebody uses it. */
int kv_leftover_remove_pool(const struct kv_dm *dm, int run_fd, const char *uuid);

int kv_recover(struct kvol_pool *pool, struct kvol_error *e);

/* The devices of all volumes, deactivated; for kvol_pool_deactivate and a failed
 * activation. */
int kv_devices_deactivate_all(struct kvol_pool *pool, struct kvol_error *e);

#endif
