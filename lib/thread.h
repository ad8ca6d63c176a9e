/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THREAD_H
#define KV_THREAD_H

/* L1: a short-lived thread whose root, working directory and umask are its own. */

/* Runs fn on such a thread, with all signals blocked, in the caller's namespaces, and
 * waits for its end. Returns what fn returns, or a negative errno when the thread
 * could not be had. */
int kv_thread_run(int (*fn)(void *arg), void *arg);

#endif
