/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef BENCH_LUKS_H
#define BENCH_LUKS_H

/* libcryptsetup, as anybody uses it. They die on failure. */

#include <stdbool.h>
#include <stddef.h>

bool luks_known(void); /* false: built without it */
void luks_open(const char *device, const char *name, const char *secret, size_t bytes);
void luks_close(const char *name);

#endif
