/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Helper programs (mkfs.*, fsck.ext4, thin_*), run so that the process around
 * us does not notice.
 *
 * A child that has called execve sends SIGCHLD whatever it was cloned with, and the
 * embedder's waitpid(-1) or SA_NOCLDWAIT may take it away from us. So there are two: a
 * minder, cloned with no exit signal, which never execs and is found by its pidfd alone,
 * and below it the program. The minder waits for the program, kills it at the deadline,
 * and leaves word in a shared page.
 *
 * Both are forks of a process with threads: until execve they make raw system calls only,
 * and touch nothing but their stack and that page. The program dies with the minder, and
 * the minder with the calling thread: a killed embedder leaves no mkfs behind that goes
 * on writing.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spawn.h"

/* A program that hangs in the kernel outlives its SIGKILL; we wait no longer than this
 * for it. */
#define GRACE_MS	    5000
#define PATH_SIZE	    64
#define KERNEL_SIGSET_BYTES 8
#define KERNEL_SIGNALS	    64

static const char *const dirs[] = { "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/" };
static const char *const environment[] = {
	"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	"LC_ALL=C",
	NULL,
};

/* What the minder tells. */
struct word {
	volatile int exec_errno;  /* of the program's process; 0: it runs */
	volatile int setup_errno; /* of the minder */
	volatile bool timed_out;
	volatile bool exited; /* status is valid */
	volatile int status;
};

struct job {
	const char *const *argv;
	char paths[KV_ARRAY_SIZE(dirs)][PATH_SIZE];
	int64_t deadline_ms;
	int null_fd, pipe_fd;
	pid_t caller;
	struct word *word;
};

/* --- In the children -------------------------------------------------------------- */

/* fork(2) without what libc does at it. 0 in the child, which may make raw system calls
 * only; in the caller its pid, or -1 and errno. */
static long clone_self(uint64_t exit_signal, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = exit_signal,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

static void reset_signals(void)
{
	/* struct sigaction of the kernel, of any architecture: SIG_DFL is all zeros.
	 * libc's own would leave out the signals that it uses itself. */
	static const unsigned char dfl[64];

	for (int sig = 1; sig <= KERNEL_SIGNALS; sig++)
		(void)syscall(SYS_rt_sigaction, sig, dfl, NULL, KERNEL_SIGSET_BYTES);
}

_Noreturn static void run_program(const struct job *job)
{
	static const unsigned char none[KERNEL_SIGSET_BYTES];
	int error = ENOENT;

	(void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, KERNEL_SIGSET_BYTES);
	for (size_t i = 0; i < KV_ARRAY_SIZE(dirs); i++) {
		(void)syscall(SYS_execve, job->paths[i], job->argv, environment);
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
	}
	job->word->exec_errno = error;
	for (;;)
		(void)syscall(SYS_exit_group, 1);
}

/* stdin, stdout and stderr; nothing else stays open. The two fds may be any, 0 to 2
 * too. */
static int set_stdio(const struct job *job)
{
	long null_fd, pipe_fd;

	null_fd = syscall(SYS_fcntl, job->null_fd, F_DUPFD, 3);
	pipe_fd = syscall(SYS_fcntl, job->pipe_fd, F_DUPFD, 3);
	if (null_fd < 0 || pipe_fd < 0)
		return -errno;
	if (syscall(SYS_dup3, null_fd, 0, 0) < 0 ||
	    syscall(SYS_dup3, pipe_fd, 1, 0) < 0 || syscall(SYS_dup3, pipe_fd, 2, 0) < 0)
		return -errno;
	if (syscall(SYS_close_range, 3U, ~0U, 0U) < 0)
		return -errno;
	return 0;
}

static int64_t raw_now_ms(void)
{
	struct timespec ts = { .tv_sec = 0 };

	(void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until the program ends, or kills it at the deadline. */
static void mind(const struct job *job, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	siginfo_t info = { .si_pid = 0 };
	struct timespec ts;
	int64_t left_ms;
	long n;

	do {
		left_ms = job->deadline_ms - raw_now_ms();
		if (left_ms < 0)
			left_ms = 0;
		ts.tv_sec = (time_t)(left_ms / 1000);
		ts.tv_nsec = (long)(left_ms % 1000) * 1000000;
		n = syscall(SYS_ppoll, &p, 1, &ts, NULL, KERNEL_SIGSET_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		job->word->timed_out = true;
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	}
	if (syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED | __WALL, NULL) < 0)
		return;
	job->word->status = info.si_status + (info.si_code == CLD_EXITED ? 0 : 128);
	job->word->exited = true;
}

_Noreturn static void run_minder(const struct job *job)
{
	int pidfd = -1;
	pid_t parent;
	long pid = -1;
	int r;

	reset_signals();
	(void)syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	/* The caller may have died before that; 0 is a caller outside of our pid
	 * namespace. */
	parent = (pid_t)syscall(SYS_getppid);
	r = parent == job->caller || parent == 0 ? set_stdio(job) : -ESRCH;
	if (r == 0) {
		pid = clone_self(SIGCHLD, &pidfd);
		if (pid == 0)
			run_program(job);
		r = pid < 0 ? -errno : 0;
	}
	job->word->setup_errno = -r;
	/* The pipe's end is the program's alone now. */
	for (unsigned fd = 0; fd < 3; fd++)
		(void)syscall(SYS_close, fd);
	if (pid > 0)
		mind(job, pidfd);
	for (;;)
		(void)syscall(SYS_exit_group, 0);
}

/* --- In the caller ---------------------------------------------------------------- */

/* The last line that is not blank, with what a terminal would do wrong left out. */
struct last_line {
	char *text;
	size_t size, used;
	bool ended; /* the next character begins a new one */
};

static void feed(struct last_line *l, const char *data, size_t n)
{
	if (l->size == 0)
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c == '\n' || c == '\r') {
			l->ended = true;
			continue;
		}
		if (c < ' ' || c == 0x7f || (c == ' ' && (l->ended || l->used == 0)))
			continue;
		if (l->ended)
			l->used = 0;
		l->ended = false;
		if (l->used + 1 < l->size)
			l->text[l->used++] = (char)c;
		l->text[l->used] = '\0';
	}
}

/* Takes what is there: 1, or 0 when nothing will come any more. */
static int read_some(int fd, struct last_line *l)
{
	char buf[512];
	ssize_t n;

	for (;;) {
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			feed(l, buf, (size_t)n);
		else if (n == 0 || (errno != EINTR && errno != EAGAIN))
			return 0;
		else if (errno == EAGAIN)
			return 1;
	}
}

void kv_reap(int pidfd)
{
	siginfo_t info;

	int r;

	do {
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL);
	} while (r < 0 && errno == EINTR);
}

/* Reads along until the minder is gone. -ETIMEDOUT: it had to be killed. */
static int follow(int pidfd, int read_fd, int64_t deadline_ms, struct last_line *l)
{
	struct pollfd p[2] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = read_fd, .events = POLLIN },
	};
	int64_t left_ms;
	int n;

	for (;;) {
		left_ms = deadline_ms - kv_now_ms();
		if (left_ms <= 0)
			break;
		n = poll(p, 2, left_ms > 60000 ? 60000 : (int)left_ms);
		if (n < 0 && errno != EINTR)
			break;
		if (n <= 0)
			continue;
		/* A process of the program's own may keep the pipe: its end is not
		 * waited for. */
		if (p[1].revents && !read_some(read_fd, l))
			p[1].fd = -1;
		if (p[0].revents) {
			kv_reap(pidfd);
			return 0;
		}
	}
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	kv_reap(pidfd);
	return -ETIMEDOUT;
}

static int start(const struct job *job, int *ret_pidfd)
{
	sigset_t all, old;
	long pid;
	int r;

	/* A handler of the embedder's must not run in a child. */
	(void)sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &old);
	if (r != 0)
		return -r;
	pid = clone_self(0, ret_pidfd);
	if (pid == 0)
		run_minder(job);
	r = pid < 0 ? -errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == -ENOSYS ? -EOPNOTSUPP : r;
}

static int judge(const struct word *word, int *ret_status)
{
	if (word->setup_errno)
		return -word->setup_errno;
	if (word->timed_out)
		return -ETIMEDOUT;
	if (word->exec_errno)
		return word->exec_errno == ENOENT ? -ENOENT : -EIO;
	if (!word->exited)
		return -EIO;
	*ret_status = word->status;
	return 0;
}

static int run(struct job *job, struct last_line *line, int *ret_status)
{
	_cleanup_close_ int null_fd = -1, read_fd = -1, write_fd = -1, pidfd = -1;
	int pipe_fds[2], r;

	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return -errno;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = pipe_fds[0];
	write_fd = pipe_fds[1];
	if (fcntl(read_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	job->null_fd = null_fd;
	job->pipe_fd = write_fd;
	r = start(job, &pidfd);
	if (r < 0)
		return r;
	write_fd = kv_close(write_fd);
	r = follow(pidfd, read_fd,
		   job->deadline_ms < INT64_MAX - GRACE_MS ? job->deadline_ms + GRACE_MS
							   : INT64_MAX,
		   line);
	(void)read_some(read_fd, line);
	return r < 0 ? r : judge(job->word, ret_status);
}

int kv_spawn_status(const char *const argv[], int64_t deadline_ms, int *ret_status,
		    char *ret_detail, size_t detail_size)
{
	struct last_line line = {
		.text = ret_detail,
		.size = ret_detail ? detail_size : 0,
	};
	struct job job = { .argv = argv, .deadline_ms = deadline_ms, .caller = getpid() };
	struct word *word;
	int r;

	if (line.size > 0)
		line.text[0] = '\0';
	for (size_t i = 0; i < KV_ARRAY_SIZE(dirs); i++) {
		r = snprintf(job.paths[i], PATH_SIZE, "%s%s", dirs[i], argv[0]);
		if (r < 0 || r >= PATH_SIZE)
			return -ENAMETOOLONG;
	}
	word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (word == MAP_FAILED)
		return -errno;
	job.word = word;
	r = run(&job, &line, ret_status);
	(void)munmap(word, sizeof(*word));
	return r;
}

int kv_spawn(const char *const argv[], int64_t deadline_ms, char *ret_detail,
	     size_t detail_size)
{
	int status, r;

	r = kv_spawn_status(argv, deadline_ms, &status, ret_detail, detail_size);
	if (r < 0)
		return r;
	return status ? -EIO : 0;
}

int kv_spawn_find(const char *program, struct stat *ret)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < KV_ARRAY_SIZE(dirs); i++) {
		int n = snprintf(path, sizeof(path), "%s%s", dirs[i], program);

		if (n < PATH_SIZE && stat(path, ret) == 0 && S_ISREG(ret->st_mode))
			return 0;
	}
	return -ENOENT;
}
