/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_HOST_H
#define KV_HOST_H

/* L3: which host we are, and the claim that a host lays to a pool's disk. */

#include "claim.h"
#include "error.h"

/* given: "" or NULL for none. What the host does not have is not known; what cannot be
 * read just now is an error, or the next call would take us for somebody else. */
int kv_host_self(const char *given, struct kv_host *ret);

/* The block that a claim was written over. */
struct kv_claim_before {
	bool written; /* there is something to put back */
	_Alignas(KV_CLAIM_BLOCK) char block[KV_CLAIM_BLOCK];
};

/* The claim as it stands. -ENODATA: none, or another pool's; -EBADMSG: unreadable. */
int kv_claim_read(dev_t member, const char *pool_uuid, struct kv_claim *ret);

/* Claims the member for the host, which must be alone with the pool here. -EBUSY,
 * KVOL_R_FOREIGN_HOST: another host's, and takeover is false. On the disk when it
 * returns. path is for messages. */
int kv_claim_take(dev_t member, const char *pool_uuid, const struct kv_host *self,
		  bool takeover, const char *path, struct kv_claim *ret,
		  struct kv_claim_before *ret_before, struct kvol_error *e);
/* The refusal alone, for who only wants to look. */
int kv_claim_look(dev_t member, const char *pool_uuid, const struct kv_host *self,
		  bool takeover, const char *path, struct kvol_error *e);
/* Undoes it. */
void kv_claim_put_back(dev_t member, const struct kv_claim_before *before);

/* For joining a pool that is active here: refuses if the claim is not ours any more. */
int kv_claim_check(dev_t member, const char *pool_uuid, const struct kv_host *self,
		   const char *path, struct kv_claim *ret, struct kvol_error *e);

/* Gives the claim back, if it is the host's. fd: the member, from kv_claim_open, opened
 * before the last device on it went. */
int kv_claim_open(dev_t member);
int kv_claim_give_back(int fd, const char *pool_uuid, const struct kv_host *self);

#endif
