/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_NAMES_H
#define KV_NAMES_H

/* L2, pure: what names are allowed, and what devices are called. */

#include "util.h"

#define KV_NAME_MAX	 255
#define KV_POOL_NAME_MAX 64
#define KV_DM_NAME_SIZE	 128 /* as in <linux/dm-ioctl.h> */
#define KV_DM_UUID_SIZE	 129

/* How a device is called: name for people, uuid for the kernel's exclusion and for us. */
struct kv_dm_id {
	char name[KV_DM_NAME_SIZE];
	char uuid[KV_DM_UUID_SIZE];
};

bool kv_volume_name_valid(const char *name); /* 1-255 bytes UTF-8, no '/', NUL, control */
/* Of a template: begins like this, which no volume's name does; printable ASCII. */
#define KV_TEMPLATE_PREFIX "template/"
bool kv_template_name_valid(const char *name);
bool kv_pool_name_valid(const char *name);

/* A volume's devices, each standing on those before it that are there. */
enum kv_face {
	KV_FACE_THIN,	  /* NUMBER */
	KV_FACE_CRYPT,	  /* NUMBERc: what an encrypted one says; or a thick one */
	KV_FACE_READONLY, /* NUMBERr: of one that is published read-only as a device */
};
#define KV_FACES 3

/* kvol-<uuid8>-<part> and KVOL-<uuid>-<part>; parts: catalogue metadata data pool, and
 * those of kv_face. */
void kv_dm_id_part(struct kv_dm_id *ret, const char *pool_uuid, const char *part);
void kv_dm_id_volume(struct kv_dm_id *ret, const char *pool_uuid, uint32_t number,
		     enum kv_face face);
/* The reverse: true if uuid is a volume's device of this pool. */
bool kv_dm_uuid_volume(const char *uuid, const char *pool_uuid, uint32_t *ret_number,
		       enum kv_face *ret_face);
/* What the kernel's keyring calls the volume's key. */
#define KV_KEY_NAME_SIZE 64
void kv_key_name(char ret[KV_KEY_NAME_SIZE], const char *pool_uuid, uint32_t number);

#endif
