/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THIN_H
#define KV_THIN_H

/* L2, pure: the language of the thin-pool and thin targets (tables, messages, status
 * lines), as Documentation/admin-guide/device-mapper/thin-provisioning.rst has it. */

#include "util.h"

#define KV_THIN_ID_MAX	       ((1u << 24) - 1)
#define KV_THIN_METADATA_BLOCK 4096u
#define KV_THIN_METADATA_MAX \
	(UINT64_C(255) * 16320 * 4096) /* 15.875 GiB: no more is used */
#define KV_THIN_BLOCK_MIN 65536u
#define KV_THIN_BLOCK_MAX (UINT64_C(1) << 30)
#define KV_THIN_LINE	  256 /* enough for each line below */

enum kv_pool_mode {
	KV_POOL_RW,
	KV_POOL_OUT_OF_DATA, /* takes messages; writes that need a block fail */
	KV_POOL_RO,
	KV_POOL_FAIL, /* "Fail" or "Error": nothing else is known */
};

struct kv_pool_status {
	enum kv_pool_mode mode;
	bool needs_check;
	uint64_t transaction_id;
	uint64_t metadata_used, metadata_total; /* 4 KiB blocks */
	uint64_t data_used, data_total;		/* data blocks */
	uint64_t held_root;			/* 0: none */
};

struct kv_thin_status {
	bool failed;
	uint64_t mapped_sectors;
	uint64_t highest_sector; /* of the highest mapped; 0 when nothing is */
};

int kv_thin_pool_params(char buf[KV_THIN_LINE], dev_t metadata, dev_t data,
			uint32_t block_sectors,
			uint64_t low_water_blocks); /* error_if_no_space, zeroing on */
int kv_thin_params(char buf[KV_THIN_LINE], dev_t pool, uint32_t id);
int kv_thin_linear_params(char buf[KV_THIN_LINE], dev_t dev, uint64_t offset_sectors);
/* A LUKS2 volume's data as lib/crypt.c makes it; the kernel looks for the key. */
int kv_thin_crypt_params(char buf[KV_THIN_LINE], dev_t dev, uint64_t offset_sectors,
			 size_t key_bytes, const char *key_name, bool discards);
/* The device under a linear table's line. */
int kv_thin_linear_parse(const char *line, dev_t *ret_dev, uint64_t *ret_offset_sectors);

int kv_thin_msg_create(char buf[KV_THIN_LINE], uint32_t id);
int kv_thin_msg_snapshot(char buf[KV_THIN_LINE], uint32_t id, uint32_t origin);
int kv_thin_msg_delete(char buf[KV_THIN_LINE], uint32_t id);
int kv_thin_msg_transaction(char buf[KV_THIN_LINE], uint64_t from, uint64_t to);

/* -EBADMSG: not a status line of this target. Outputs are untouched then. */
int kv_pool_status_parse(const char *line, struct kv_pool_status *ret);
int kv_thin_status_parse(const char *line, struct kv_thin_status *ret);

#endif
