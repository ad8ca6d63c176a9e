/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_GPT_H
#define KV_GPT_H

/* L1: the pool's partition table: libfdisk writes it, libblkid reads it back. No kernel
 * partition scan is asked for; partitions are mapped by dm-linear. */

#include "layout.h"

/* Writes label, disk GUID and the three partitions (types of our own, no-automount
 * attribute) and flushes. The protective MBR and primary header come last. path is for
 * libfdisk's use only. */
int kv_gpt_write(int fd, const char *path, const struct kv_layout *layout);

/* -EMEDIUMTYPE: no GPT, or one without our partitions. -EUCLEAN: our partitions, but
 * missing, overlapping, misaligned or beyond the device's end (a truncated file). */
int kv_gpt_read(int fd, struct kv_layout *ret);

/* Of a table that kv_gpt_read has read: is one of its copies damaged? 1: yes; 0: no. */
int kv_gpt_check(int fd);
/* Writes the damaged copy anew from the whole one. path as above. */
int kv_gpt_mend(int fd, const char *path);

#endif
