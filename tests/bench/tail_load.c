// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tail.h"

/* --- The writer ------------------------------------------------------------------- */

static pid_t fio;

void writer_start(const char *dir)
{
	char directory[300];

	snprintf(directory, sizeof(directory), "--directory=%s", dir);
	fio = fork();
	if (fio == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execlp("fio", "fio", "--name=writer", directory, "--size=512M",
		       "--rw=randwrite", "--bs=64k", "--ioengine=psync", "--direct=1",
		       "--numjobs=2", "--fdatasync=32", "--time_based",
		       "--runtime=86400", "--output=/dev/null", (char *)NULL);
		_exit(127);
	}
	if (fio < 0)
		die("fork: %s", strerror(errno));
	/* It lays its files out first. */
	sleep(10);
	if (waitpid(fio, NULL, WNOHANG) != 0)
		die("fio has ended (package fio)");
}

void writer_end(void)
{
	int status;

	kill(fio, SIGINT);
	waitpid(fio, &status, 0);
}

/* --- Deletions -------------------------------------------------------------------- */

static struct {
	struct kvol_ctx *ctx;
	const char *disk, *volume;
	pthread_t thread;
	atomic_bool stop;
	double ms;
	unsigned n;
} deletions;

static void *delete_again(void *arg)
{
	struct kvol_pool *pool;
	struct kvol_error e;
	double from;

	(void)arg;
	ok(kvol_pool_open(deletions.ctx, deletions.disk, NULL, &pool, &e), &e);
	while (!atomic_load(&deletions.stop)) {
		ok(kvol_clone(pool, deletions.volume, "doomed", NULL, &e), &e);
		from = now_ms();
		ok(kvol_delete(pool, "doomed", 0, &e), &e);
		deletions.ms += now_ms() - from;
		deletions.n++;
	}
	kvol_pool_close(pool);
	return NULL;
}

void deletions_start(struct kvol_ctx *ctx, const char *disk, const char *volume)
{
	deletions.ctx = ctx;
	deletions.disk = disk;
	deletions.volume = volume;
	deletions.ms = 0;
	deletions.n = 0;
	atomic_store(&deletions.stop, false);
	if (pthread_create(&deletions.thread, NULL, delete_again, NULL))
		die("pthread_create");
}

void deletions_end(double *ret_ms, unsigned *ret_n)
{
	atomic_store(&deletions.stop, true);
	pthread_join(deletions.thread, NULL);
	*ret_ms = deletions.ms / deletions.n;
	*ret_n = deletions.n;
}

/* --- The probe -------------------------------------------------------------------- */

static struct {
	int fd;
	pthread_t thread;
	atomic_bool stop;
	pthread_mutex_t mutex; /* held while it writes */
	double longest;
} probe = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void *write_bytes(void *arg)
{
	const struct timespec rest = { .tv_nsec = 100000 };
	double from, took;

	(void)arg;
	while (!atomic_load(&probe.stop)) {
		pthread_mutex_lock(&probe.mutex);
		from = now_ms();
		if (pwrite(probe.fd, "x", 1, 0) != 1)
			die("probe: %s", strerror(errno));
		took = now_ms() - from;
		if (took > probe.longest)
			probe.longest = took;
		pthread_mutex_unlock(&probe.mutex);
		nanosleep(&rest, NULL);
	}
	return NULL;
}

void probe_start(const char *file)
{
	probe.fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (probe.fd < 0)
		die("%s: %s", file, strerror(errno));
	atomic_store(&probe.stop, false);
	if (pthread_create(&probe.thread, NULL, write_bytes, NULL))
		die("pthread_create");
}

void probe_end(void)
{
	atomic_store(&probe.stop, true);
	pthread_join(probe.thread, NULL);
	close(probe.fd);
}

void probe_reset(void)
{
	pthread_mutex_lock(&probe.mutex);
	probe.longest = 0;
	pthread_mutex_unlock(&probe.mutex);
}

double probe_longest_ms(void)
{
	double longest;

	pthread_mutex_lock(&probe.mutex);
	longest = probe.longest;
	pthread_mutex_unlock(&probe.mutex);
	return longest;
}
