/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Running a program where the kernel refuses a call: one by one, in the caller, in the
 * minder and in the program's own process.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "spawning.h"

/* --- A kernel that refuses -------------------------------------------------------- */

/* The nth call of that number fails, or gives `value`; each process counts its own, from
 * where its parent was when it was cloned. */
static struct {
	long number;
	unsigned nth;
	int error;
	long value;
} plan;
/* The same of calls that only the caller makes. */
static const char *refused;
static int refused_errno;
static bool clock_jumps;

/* What the children have run counts, too: gcov writes it at exit(), which they never
 * call, and forgets it at execve(). Not beside other threads: it allocates memory. */
static bool counted;
void __gcov_dump(void) __attribute__((weak));
void __gcov_reset(void) __attribute__((weak));

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int __real_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset);
int __real_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int64_t __real_kv_now_ms(void);
int64_t __wrap_kv_now_ms(void);

/* As libc: six, however many there are. */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (size_t i = 0; i < KV_ARRAY_SIZE(a); i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (plan.nth && number == plan.number && --plan.nth == 0) {
		errno = plan.error;
		return plan.error ? -1 : plan.value;
	}
	if (counted && __gcov_dump && __gcov_reset &&
	    (number == SYS_execve || number == SYS_exit_group)) {
		__gcov_dump();
		__gcov_reset();
	}
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static bool refuses(const char *call)
{
	if (!refused || strcmp(refused, call) != 0)
		return false;
	refused = NULL;
	errno = refused_errno;
	return true;
}

int __wrap_pipe2(int fds[2], int flags)
{
	return refuses("pipe2") ? -1 : __real_pipe2(fds, flags);
}

int __wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	return refuses("poll") ? -1 : __real_poll(p, n, timeout);
}

int __wrap_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return refuses("pthread_sigmask") ? refused_errno
					  : __real_pthread_sigmask(how, set, old);
}

void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return refuses("mmap") ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, offset);
}

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	return refuses("waitid") ? -1 : __real_waitid(type, id, info, options);
}

int64_t __wrap_kv_now_ms(void)
{
	return __real_kv_now_ms() + (clock_jumps ? 2 * LONG_MS : 0);
}

static bool wait_until_gone(pid_t pid)
{
	int64_t deadline_ms = kv_deadline(LONG_MS);
	char path[64], buf[512];
	unsigned step = 0;

	/* A zombie is gone enough: who reaps orphans is the machine's business. */
	assert_true(snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid) <
		    (int)sizeof(path));
	while (kv_read_file_at(AT_FDCWD, path, buf, sizeof(buf)) == 0 &&
	       !strstr(buf, ") Z "))
		if (kv_backoff(&step, deadline_ms) < 0)
			return false;
	return true;
}

/* --- What fails ------------------------------------------------------------------- */

/* Each of the calls on the way to the program, in the caller and in both children. */
static void refusal_of_any_call_is_told(void **state)
{
	const struct {
		long number;
		unsigned nth;
		int error, result;
	} cases[] = {
		{ SYS_clone3, 1, EAGAIN, -EAGAIN },
		{ SYS_clone3, 1, ENOSYS, -EOPNOTSUPP },
		{ SYS_clone3, 2, ENOMEM, -ENOMEM },
		{ SYS_fcntl, 1, EMFILE, -EMFILE },
		{ SYS_fcntl, 2, EMFILE, -EMFILE },
		{ SYS_dup3, 1, EBUSY, -EBUSY },
		{ SYS_dup3, 2, EBUSY, -EBUSY },
		{ SYS_dup3, 3, EBUSY, -EBUSY },
		{ SYS_close_range, 1, ENOSYS, -ENOSYS },
		/* Of the program, but not of its status. */
		{ SYS_waitid, 1, ECHILD, -EIO },
		/* The wait for it is gone on with, or done without a deadline. */
		{ SYS_ppoll, 1, EINTR, 0 },
		{ SYS_ppoll, 1, ENOMEM, 0 },
	};
	unsigned before = count_fds();

	(void)state;
	counted = true;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		plan.number = cases[i].number;
		plan.nth = cases[i].nth;
		plan.error = cases[i].error;
		if (shell("true") != cases[i].result)
			fail_msg("case %zu", i);
		plan.nth = 0;
		assert_int_equal(count_fds(), before);
		assert_no_child_left();
	}
	counted = false;
}

static void caller_s_own_refusals_are_told(void **state)
{
	static const struct {
		const char *call;
		int error, result;
	} cases[] = {
		{ "mmap", ENOMEM, -ENOMEM },
		{ "pipe2", EMFILE, -EMFILE },
		{ "pthread_sigmask", EINVAL, -EINVAL },
		{ "poll", EINTR, 0 },
		{ "waitid", EINTR, 0 },
	};
	unsigned before = count_fds();

	(void)state;
	for (size_t i = 0; i < KV_ARRAY_SIZE(cases); i++) {
		refused = cases[i].call;
		refused_errno = cases[i].error;
		if (shell("true") != cases[i].result)
			fail_msg("%s", cases[i].call);
		assert_null(refused);
		assert_int_equal(count_fds(), before);
		assert_no_child_left();
	}
}

/* Its caller may have died before it could ask to die with it. */
static void orphaned_minder_runs_nothing(void **state)
{
	char path[] = "/tmp/kvol-test-spawn-XXXXXX", script[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(script, sizeof(script), "rm %s", path);
	counted = true;
	plan.number = SYS_getppid;
	plan.nth = 1;
	plan.error = 0;
	plan.value = 1;
	assert_int_equal(shell(script), -ESRCH);
	assert_int_equal(access(path, F_OK), 0);
	/* Not so one whose caller is outside of its pid namespace. */
	plan.nth = 1;
	plan.value = 0;
	assert_int_equal(shell(script), 0);
	assert_int_equal(access(path, F_OK), -1);
	counted = false;
}

/* The minder is killed, and the program dies with it. */
static void minder_that_hangs_is_given_up(void **state)
{
	char path[] = "/tmp/kvol-test-spawn-XXXXXX", script[128];
	const char *const argv[] = { "sh", "-c", script, NULL };
	int fd = mkstemp(path);
	pid_t program;

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 1000", path);
	/* It waits for the program without a deadline; nor does polling help. */
	plan.number = SYS_ppoll;
	plan.nth = 1;
	plan.error = ENOMEM;
	refused = "poll";
	refused_errno = ENOMEM;
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), NULL, 0), -ETIMEDOUT);
	assert_no_child_left();
	/* It may not have come so far as to be there. */
	plan.nth = 1;
	clock_jumps = true;
	assert_int_equal(kv_spawn(argv, __real_kv_now_ms() + LONG_MS, NULL, 0),
			 -ETIMEDOUT);
	clock_jumps = false;
	plan.nth = 0;
	assert_no_child_left();
	assert_int_equal(kv_read_file_at(AT_FDCWD, path, script, sizeof(script)), 0);
	program = (pid_t)atol(script);
	assert_true(program == 0 || wait_until_gone(program));
	(void)unlink(path);
}

static void program_s_name_has_a_limit(void **state)
{
	char name[128];
	const char *const argv[] = { name, NULL };

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), detail, sizeof(detail)),
			 -ENAMETOOLONG);
}

/* Programs that are found, not found and not to be executed, with the children's part
 * counted. */
static void children_tell_how_the_program_began(void **state)
{
	const char *const none[] = { "mkfs.of-no-such-kind", NULL };
	const char *const directory[] = { ".", NULL };
	const char *const sleeper[] = { "sleep", "1000", NULL };
	int status = -1;

	(void)state;
	counted = true;
	assert_int_equal(shell("exit 0"), 0);
	assert_int_equal(kv_spawn(none, kv_deadline(LONG_MS), NULL, 0), -ENOENT);
	assert_int_equal(kv_spawn(directory, kv_deadline(LONG_MS), NULL, 0), -EIO);
	assert_int_equal(kv_spawn_status(sleeper, kv_now_ms(), &status, NULL, 0),
			 -ETIMEDOUT);
	assert_int_equal(status, -1);
	counted = false;
	assert_no_child_left();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusal_of_any_call_is_told),
		cmocka_unit_test(caller_s_own_refusals_are_told),
		cmocka_unit_test(orphaned_minder_runs_nothing),
		cmocka_unit_test(minder_that_hangs_is_given_up),
		cmocka_unit_test(program_s_name_has_a_limit),
		cmocka_unit_test(children_tell_how_the_program_began),
	};

	return cmocka_run_group_tests_name("spawn_refused", tests, NULL, NULL);
}
