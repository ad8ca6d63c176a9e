/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TAIL_H
#define TAIL_H

/* What goes on in the pool while tail.c measures, and what looks on (tail_load.c). */

#include <stdint.h>

#include "measure.h"

/* fio, writing under the directory until it is ended. */
void writer_start(const char *dir);
void writer_end(void);

/* Another handle, and another thread, that clone the volume and delete the clone, again
 * and again. *ret_ms: how long a delete took on average. */
void deletions_start(struct kvol_ctx *ctx, const char *disk, const char *volume);
void deletions_end(double *ret_ms, unsigned *ret_n);

/* A thread that writes a byte into a cached page of the file, with rests of 0.1 ms: only
 * a frozen file system makes it wait. */
void probe_start(const char *file);
void probe_end(void);
void probe_reset(void);
double probe_longest_ms(void); /* since the reset; waits for one under way */

#endif
