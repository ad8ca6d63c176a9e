/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_ERROR_H
#define KV_ERROR_H

/* L0: filling struct kvol_error. The message is written once, where the object's name is
 * known. */

/* The library is built with hidden visibility: what the public header declares is the
 * exception. */
#pragma GCC visibility push(default)
#include <kvol/kvol.h>
#pragma GCC visibility pop
#include "util.h"

/* Fills *e (NULL is fine) and returns code, which is negative. The message is one line:
 * "OBJECT: STEP", and ": ERRNO TEXT" is added for codes that come from a system call. */
int kv_error(struct kvol_error *e, int code, uint32_t reason, const char *fmt, ...)
	KV_PRINTF(4, 5);

/* The same for a plain negative errno from a lower layer: the reason follows from the
 * errno (EIO, EUCLEAN, ETIMEDOUT, else KVOL_R_SYSTEM) and the errno's text is appended.
 */
int kv_error_errno(struct kvol_error *e, int code, const char *fmt, ...) KV_PRINTF(3, 4);

/* Names what the caller asked for before what went wrong on the way to it. */
void kv_error_within(struct kvol_error *e, const char *fmt, ...) KV_PRINTF(2, 3);

/* For bad arguments: -EINVAL, KVOL_R_INVALID. */
#define kv_error_invalid(e, ...) kv_error((e), -EINVAL, KVOL_R_INVALID, __VA_ARGS__)

#endif
