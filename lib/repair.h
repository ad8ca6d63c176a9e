/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_REPAIR_H
#define KV_REPAIR_H

/* L4: what the files of kvol_pool_repair share, and nobody else includes. */

#include "thinmeta.h"
#include "verb.h"

#define KV_REPAIR_PROGRAM_MS (60 * 60 * 1000) /* fsck, thin_check, thin_repair: each */

struct kv_repair {
	const struct kvol_ctx *ctx;
	const char *path;
	struct kvol_repair_opts o;
	struct kvol_repair_info info;
	struct kv_dm dm;
	struct kv_host self;
	struct kv_claim claim;
	struct kv_claim_before before;
	struct kv_member m;
	int run_fd, dir_fd, lock_fd, loop_fd;
	dev_t member;
	struct kv_stack stack; /* catalogue and metadata */
	/* KVOL_REPAIR_CHECK: the catalogue, copied to memory, and a loop device on it. */
	int copy_fd, copy_loop_fd;
	struct kv_catalogue *cat;
	struct kv_pool_row conf;
};

/* A file that is made in backup_dir. */
struct kv_repair_file {
	int dir_fd, fd;
	char name[64];
	char path[256];
};

#define KV_REPAIR_FILE_NONE ((struct kv_repair_file){ .dir_fd = -1, .fd = -1 })

static inline bool kv_repair_checks(const struct kv_repair *x)
{
	return x->o.flags & KVOL_REPAIR_CHECK;
}

/* Notes a fault, or that it is no more. */
void kv_repair_found(struct kv_repair *x, uint32_t fault, const char *what);
void kv_repair_mended(struct kv_repair *x, uint32_t fault, const char *how);

/* Runs a program. 0 and its exit status, or an error with its name. */
int kv_repair_run(struct kv_repair *x, const char *const argv[], int *ret_status,
		  char detail[128], struct kvol_error *e);

/* backup_dir/kvol-UUID8-TOKEN.SUFFIX, opened or (bytes > 0) made anew of that size. */
int kv_repair_file(struct kv_repair *x, const char *token, const char *suffix,
		   uint64_t bytes, struct kv_repair_file *ret, struct kvol_error *e);
void kv_repair_file_close(struct kv_repair_file *f);
void kv_repair_file_remove(struct kv_repair_file *f); /* and close it */
/* File and directory are on the disk. */
int kv_repair_file_sync(const struct kv_repair_file *f);
/* Copies bytes from the start of one to the start of the other; sparse: zeros are left
 * out, for a file that has none but zeros. skip: so many bytes at the start. */
int kv_repair_copy(int from_fd, int to_fd, uint64_t skip, uint64_t bytes, bool sparse);

/* Opens the catalogue, sound, as x->cat, and fills x->conf. */
int kv_repair_catalogue(struct kv_repair *x, struct kvol_error *e);

/* Makes the metadata sound. 1: it is not, and only a check was asked for. */
int kv_repair_metadata(struct kv_repair *x, struct kvol_error *e);

/* Metadata to read: a device or a file. */
struct kv_repair_source {
	int fd;
};
kv_thinmeta_read_fn kv_repair_read;

struct kv_repair_tally {
	uint64_t lost, cut, strays;
	uint32_t end;	   /* the highest id in the metadata, plus one */
	uint32_t time;	   /* the highest count of snapshots in it */
	char example[256]; /* a volume that lost something */
};

/* Holds metadata against the catalogue's rows, and against older metadata (NULL: none) as
 * far as that can be read. tell: each volume concerned goes to the log. */
int kv_repair_compare(struct kv_repair *x, struct kv_repair_source *metadata,
		      struct kv_repair_source *older, bool tell,
		      struct kv_repair_tally *ret);
/* The same for the pool as it is now, with its verdict; settles the epoch if that was
 * asked for. */
int kv_repair_volumes(struct kv_repair *x, struct kvol_error *e);

#endif
