/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_CRYPT_H
#define KV_CRYPT_H

/* L1: LUKS2 headers, through libcryptsetup, which alone crypt.c includes. */

#include "secret.h"

#define KV_CRYPT_HEADER_BYTES (UINT64_C(1) << 20) /* before the data */
#define KV_CRYPT_KEY_BYTES    64		  /* aes-xts-plain64 with 256 bits */

/* All take an fd of the device that the header is at the beginning of, and a key in
 * memory of kv_secret_alloc, which is only written on success. -EOPNOTSUPP: built without
 * libcryptsetup; -EUCLEAN: no header that we could have made, or damaged. None of them
 * logs, or touches anything but fd. */

/* Makes a header with a new volume key, and flushes it. */
int kv_crypt_format(int fd, const char *uuid, const struct kv_secret *secret,
		    void *ret_key);
/* -EACCES: not the secret. */
int kv_crypt_unlock(int fd, const struct kv_secret *secret, void *ret_key);
/* Puts a secret in the place of another: on the disk when it returns 0; a crash or an
 * error leaves one or the other. 0 if that was done already. -EACCES: neither fits. */
int kv_crypt_change(int fd, const struct kv_secret *from, const struct kv_secret *to);

#endif
