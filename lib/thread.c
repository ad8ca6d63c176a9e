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
#include <sched.h>
#include <signal.h>

#include "thread.h"

/* Plenty for what runs here; the default is 8 MiB of the embedder's address space. */
#define STACK_BYTES (256 * 1024)

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) < 0) /* EINTR: the caller has handlers */
		;
}

static void *run(void *arg)
{
	struct kv_thread *t = arg;
	int r = unshare(CLONE_FS) < 0 ? -errno : 0;

	for (;;) {
		wait_for(&t->asked);
		if (!t->fn)
			return NULL;
		t->result = r < 0 ? r : t->fn(t->arg);
		(void)sem_post(&t->answered);
	}
}

static int create(struct kv_thread *t)
{
	pthread_attr_t attr;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (r == 0)
		r = pthread_create(&t->thread, &attr, run, t);
	(void)pthread_attr_destroy(&attr);
	/* Thread-local variables take their room from the stack: an embedder may have
	 * many. */
	if (r == EINVAL)
		r = pthread_create(&t->thread, NULL, run, t);
	return -r;
}

static void clear(struct kv_thread *t)
{
	(void)sem_destroy(&t->asked);
	(void)sem_destroy(&t->answered);
	(void)pthread_setcancelstate(t->cancel, NULL);
}

int kv_thread_start(struct kv_thread *t)
{
	sigset_t all, old;
	int r;

	(void)sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r != 0)
		return -r;
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &t->cancel);
	(void)sem_init(&t->asked, 0, 0);
	(void)sem_init(&t->answered, 0, 0);
	r = create(t);
	/* The thread has inherited the mask: the caller's own may come back at once. */
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		clear(t);
	return r;
}

void kv_thread_ask(struct kv_thread *t, int (*fn)(void *arg), void *arg)
{
	t->fn = fn;
	t->arg = arg;
	(void)sem_post(&t->asked);
}

int kv_thread_answer(struct kv_thread *t)
{
	wait_for(&t->answered);
	return t->result;
}

void kv_thread_end(struct kv_thread *t)
{
	kv_thread_ask(t, NULL, NULL);
	(void)pthread_join(t->thread, NULL);
	clear(t);
}

int kv_thread_run(int (*fn)(void *arg), void *arg)
{
	struct kv_thread t;
	int r = kv_thread_start(&t);

	if (r < 0)
		return r;
	kv_thread_ask(&t, fn, arg);
	r = kv_thread_answer(&t);
	kv_thread_end(&t);
	return r;
}
