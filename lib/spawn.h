/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_SPAWN_H
#define KV_SPAWN_H

/* L1: running a helper program (mkfs.*, fsck, thin_*) with a fixed argument
 * vector; never a shell. */

#include "util.h"

/* Runs argv[0] from a fixed list of system directories, with an empty environment but
 * PATH and LC_ALL=C, stdin from /dev/null, and nothing inherited. 0 when it exits with
 * 0. ret_detail (may be NULL) gets the last line that it printed. -ENOENT: not
 * installed; -ETIMEDOUT: killed at the deadline; -EIO: it failed. The caller's SIGCHLD
 * handling neither sees it nor disturbs it. */
int kv_spawn(const char *const argv[], int64_t deadline_ms, char *ret_detail,
	     size_t detail_size);
/* Which file kv_spawn would run. -ENOENT: none. */
struct stat;
int kv_spawn_find(const char *program, struct stat *ret);
/* For programs whose exit status says more: 0 and *ret_status, whatever it is; 128 and
 * the signal's number for one that was killed (but not at the deadline). */
int kv_spawn_status(const char *const argv[], int64_t deadline_ms, int *ret_status,
		    char *ret_detail, size_t detail_size);

/* Waits for the end of a child that has exited, or was sent SIGKILL. */
void kv_reap(int pidfd);

#endif
