/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_KEYRING_H
#define KV_KEYRING_H

/* L1: keys that the kernel keeps for dm-crypt. -EOPNOTSUPP: it keeps none. */

#include "util.h"

/* Gives the kernel a key, in the place of one that it has under this name. */
int kv_keyring_put(const char *name, const void *key, size_t bytes);
/* Lets dm-crypt find the key when this thread loads a table, until it is taken back.
 * -ENOKEY: the kernel does not have it. */
int kv_keyring_lend(const char *name, int32_t *ret_key);
void kv_keyring_take_back(int32_t key);
/* It need not be there. */
void kv_keyring_drop(const char *name);

#endif
