/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_THREAD_H
#define KV_THREAD_H

/* L1: a thread whose root, working directory and umask are its own, for as long as a call
 * takes. */

#include <pthread.h>
#include <semaphore.h>

/* It does one thing after the other. Stays where it is from start to end. */
struct kv_thread {
	pthread_t thread;
	sem_t asked, answered;
	int (*fn)(void *arg); /* NULL: it is to end */
	void *arg;
	int result;
	int cancel; /* the caller's state, which cannot be cancelled meanwhile */
};

/* Starts one with all signals blocked and little stack (256 KiB), in the caller's
 * namespaces. */
int kv_thread_start(struct kv_thread *t);
/* Gives it fn to do, and does not wait. Each must be answered before the next. */
void kv_thread_ask(struct kv_thread *t, int (*fn)(void *arg), void *arg);
/* Waits for it, and returns what fn returned, or a negative errno if the thread could not
 * get a root and a working directory of its own. */
int kv_thread_answer(struct kv_thread *t);
void kv_thread_end(struct kv_thread *t);

/* All of it for one fn. */
int kv_thread_run(int (*fn)(void *arg), void *arg);

#endif
