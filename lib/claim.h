/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_CLAIM_H
#define KV_CLAIM_H

/* L2, pure: the record on a pool's disk that says which host has the pool in use. */

#include "util.h"

#define KV_HOST_ID_MAX 127
#define KV_MACHINE_MAX 63
#define KV_CLAIM_OFFSET \
	(UINT64_C(1) << 19)  /* behind the primary GPT, which ends at 1 MiB */
#define KV_CLAIM_BLOCK 4096u /* read and written at once */
#define KV_CLAIM_BYTES 512u  /* what counts of it: no disk tears a sector */

/* A host, by as much as is known of it; "" where it is not. */
struct kv_host {
	char given[KV_HOST_ID_MAX + 1];	  /* what the embedder calls it */
	char machine[KV_MACHINE_MAX + 1]; /* what the machine calls itself */
	char boot[KV_UUID_LEN + 1];	  /* the kernel's boot id */
};

struct kv_claim {
	char pool[KV_UUID_LEN + 1];
	bool held;	/* false: given back, by this host */
	uint64_t since; /* seconds since the epoch */
	struct kv_host host;
};

/* 1 to 127 printable ASCII characters without blanks; not "-". */
bool kv_host_id_valid(const char *id);
/* What people are told: the given id, or the machine's. */
const char *kv_host_name(const struct kv_host *host);
/* Ids that were given decide, if both were; else one machine is one host, and so is one
 * boot. */
bool kv_host_same(const struct kv_host *a, const struct kv_host *b);
/* Nothing known of it lasts longer than a boot. */
bool kv_host_anonymous(const struct kv_host *host);

/* Fills all of buf. The claim's strings are valid. */
void kv_claim_format(char buf[KV_CLAIM_BYTES], const struct kv_claim *claim);
/* -ENODATA: something else, or nothing; -EBADMSG: a claim that is damaged, or of a
 * version that is not known here. */
int kv_claim_parse(const char buf[KV_CLAIM_BYTES], struct kv_claim *ret);

#endif
