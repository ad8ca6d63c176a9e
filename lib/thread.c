/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A thread for what a thread can only do to itself: entering a mount namespace, or
 * changing the working directory, without the rest of the process noticing.
 *
 * The thread is joined before the call returns, sees no signal (the caller's handlers
 * must not run in a foreign namespace), and never outlives the call through cancellation
 * of the caller. A crash leaves nothing: namespaces and working directory die with the
 * thread. Nothing else may be kept here, above all no pool of threads.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "thread.h"

/* Plenty for what runs here; the default is 8 MiB of the embedder's address space. */
#define STACK_BYTES (256 * 1024)

struct job {
	int (*fn)(void *arg);
	void *arg;
	int result;
};

static void *run(void *arg)
{
	struct job *job = arg;

	job->result = unshare(CLONE_FS) < 0 ? -errno : job->fn(job->arg);
	return NULL;
}

static int start(pthread_t *ret, struct job *job)
{
	pthread_attr_t attr;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (r == 0)
		r = pthread_create(ret, &attr, run, job);
	(void)pthread_attr_destroy(&attr);
	/* Thread-local variables take their room from the stack: an embedder may have
	 * many. */
	if (r == EINVAL)
		r = pthread_create(ret, NULL, run, job);
	return -r;
}

int kv_thread_run(int (*fn)(void *arg), void *arg)
{
	struct job job = { .fn = fn, .arg = arg };
	sigset_t all, old;
	pthread_t thread;
	int cancel, r;

	(void)sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r != 0)
		return -r;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	r = start(&thread, &job);
	/* The thread has inherited the mask: the caller's own may come back at once. */
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0) {
		r = -pthread_join(thread, NULL);
		if (r == 0)
			r = job.result;
	}
	(void)pthread_setcancelstate(cancel, NULL);
	return r;
}
