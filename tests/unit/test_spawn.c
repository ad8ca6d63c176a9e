/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "spawning.h"

/* --- Results ---------------------------------------------------------------------- */

static void exit_status_decides(void **state)
{
	const char *const yes[] = { "true", NULL }, *const no[] = { "false", NULL };

	(void)state;
	assert_int_equal(kv_spawn(yes, kv_deadline(LONG_MS), NULL, 0), 0);
	assert_int_equal(kv_spawn(no, kv_deadline(LONG_MS), NULL, 0), -EIO);
	/* 127 is for shells. */
	assert_int_equal(shell("exit 127"), -EIO);
	assert_int_equal(shell("kill -9 $$"), -EIO);
}

static void exit_status_is_told(void **state)
{
	const char *const three[] = { "sh", "-c", "exit 3", NULL };
	const char *const killed[] = { "sh", "-c", "kill -11 $$", NULL };
	const char *const nowhere[] = { "mkfs.of-no-such-kind", NULL };
	int status = -1;

	(void)state;
	assert_int_equal(kv_spawn_status(nowhere, kv_deadline(LONG_MS), &status, NULL, 0),
			 -ENOENT);
	assert_int_equal(status, -1);
	assert_int_equal(kv_spawn_status(three, kv_deadline(LONG_MS), &status, NULL, 0),
			 0);
	assert_int_equal(status, 3);
	assert_int_equal(kv_spawn_status(killed, kv_deadline(LONG_MS), &status, NULL, 0),
			 0);
	assert_int_equal(status, 128 + 11);
}

static void program_that_is_nowhere_is_enoent(void **state)
{
	const char *const argv[] = { "mkfs.of-no-such-kind", NULL };

	(void)state;
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), detail, sizeof(detail)),
			 -ENOENT);
	assert_string_equal(detail, "");
}

static void unexecutable_program_is_not_missing(void **state)
{
	/* A directory: the kernel says EACCES. */
	const char *const argv[] = { ".", NULL };

	(void)state;
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), NULL, 0), -EIO);
}

static void last_line_is_kept(void **state)
{
	(void)state;
	assert_int_equal(shell("echo first; echo '  second one' >&2; exit 1"), -EIO);
	assert_string_equal(detail, "second one");
	assert_int_equal(shell("printf 'no end'"), 0);
	assert_string_equal(detail, "no end");
	assert_int_equal(shell("printf 'real\\n\\n  \\n\\n'"), 0);
	assert_string_equal(detail, "real");
	assert_int_equal(shell("printf '10%%\\r20%%\\r\\033[1mdone\\n'"), 0);
	assert_string_equal(detail, "[1mdone");
	assert_int_equal(shell("seq 200000"), 0);
	assert_string_equal(detail, "200000");
	assert_int_equal(shell("true"), 0);
	assert_string_equal(detail, "");
}

static void long_line_is_cut(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo short; echo 123456789", NULL };
	char five[5], one[1] = { 'x' };

	(void)state;
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), five, sizeof(five)), 0);
	assert_string_equal(five, "1234");
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), one, sizeof(one)), 0);
	assert_string_equal(one, "");
}

static void deadline_kills(void **state)
{
	const char *const argv[] = { "sh", "-c", "echo begun; exec sleep 1000", NULL };

	(void)state;
	assert_int_equal(kv_spawn(argv, kv_deadline(300), detail, sizeof(detail)),
			 -ETIMEDOUT);
	assert_int_equal(kv_spawn(argv, kv_now_ms() - 1, detail, sizeof(detail)),
			 -ETIMEDOUT);
	assert_no_child_left();
}

static void process_that_keeps_the_pipe_is_not_waited_for(void **state)
{
	(void)state;
	/* It would be there for longer than the deadline. */
	assert_int_equal(shell("sleep 120 & echo $!"), 0);
	assert_int_equal(kill((pid_t)atol(detail), SIGKILL), 0);
}

/* --- What the program is given ---------------------------------------------------- */

static void nothing_is_inherited_but_stdio(void **state)
{
	const char *const argv[] = { "ls", "-m", "/proc/self/fd", NULL };
	int fd = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), detail, sizeof(detail)), 0);
	/* The fourth is the one that ls reads. */
	assert_string_equal(detail, "0, 1, 2, 3");
	(void)close(fd);
	assert_int_equal(shell("readlink /proc/self/fd/0"), 0);
	assert_string_equal(detail, "/dev/null");
}

static void environment_is_fixed(void **state)
{
	const char *const argv[] = { "env", NULL };

	(void)state;
	assert_int_equal(setenv("MKE2FS_CONFIG", "/nowhere", 1), 0);
	assert_int_equal(setenv("LC_ALL", "xx", 1), 0);
	assert_int_equal(kv_spawn(argv, kv_deadline(LONG_MS), detail, sizeof(detail)), 0);
	assert_string_equal(detail, "LC_ALL=C");
	assert_int_equal(shell("echo \"$PATH+$MKE2FS_CONFIG\""), 0);
	assert_string_equal(detail, "/usr/sbin:/usr/bin:/sbin:/bin+");
	(void)unsetenv("MKE2FS_CONFIG");
	(void)unsetenv("LC_ALL");
}

static void signals_are_as_a_program_expects_them(void **state)
{
	sigset_t set, old;

	(void)state;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	assert_int_equal(
		shell("grep -E 'Sig(Blk|Ign)' /proc/self/status | grep -c '\t0*$'"), 0);
	assert_string_equal(detail, "2");
	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	/* The caller's mask is what it was. */
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, &set), 0);
	assert_true(sigismember(&set, SIGTERM));
	assert_false(sigismember(&set, SIGUSR1));
}

/* --- What the caller notices ------------------------------------------------------ */

static volatile sig_atomic_t seen;

static void count_signal(int sig)
{
	(void)sig;
	seen++;
}

static void sigchld_is_not_sent(void **state)
{
	(void)state;
	seen = 0;
	assert_true(signal(SIGCHLD, count_signal) != SIG_ERR);
	assert_int_equal(shell("true"), 0);
	assert_int_equal(shell("false"), -EIO);
	assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
	assert_int_equal(seen, 0);
}

static void status_is_known_where_children_are_reaped_by_the_kernel(void **state)
{
	struct sigaction sa = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	(void)state;
	assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	assert_int_equal(shell("exit 3"), -EIO);
	assert_int_equal(shell("exit 0"), 0);
	assert_int_equal(sigaction(SIGCHLD, &sa, NULL), 0);
	assert_int_equal(shell("exit 3"), -EIO);
	assert_int_equal(shell("exit 0"), 0);
	assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

static atomic_bool stop;
static atomic_int reaped;

static void *reap_whatever_comes(void *arg)
{
	(void)arg;
	while (!stop) {
		if (waitpid(-1, NULL, 0) > 0)
			reaped++;
		(void)usleep(100);
	}
	return NULL;
}

static void reaping_thread_of_the_caller_finds_no_child(void **state)
{
	pthread_t thread;

	(void)state;
	stop = false;
	reaped = 0;
	assert_int_equal(pthread_create(&thread, NULL, reap_whatever_comes, NULL), 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(shell("exit 0"), 0);
		assert_int_equal(shell("exit 5"), -EIO);
	}
	stop = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(reaped, 0);
	assert_no_child_left();
}

static void fds_are_not_leaked(void **state)
{
	const char *const none[] = { "mkfs.of-no-such-kind", NULL };
	unsigned before = count_fds();

	(void)state;
	assert_int_equal(shell("true"), 0);
	assert_int_equal(shell("false"), -EIO);
	assert_int_equal(kv_spawn(none, kv_deadline(LONG_MS), NULL, 0), -ENOENT);
	assert_int_equal(count_fds(), before);
	assert_no_child_left();
}

static void closed_stdio_of_the_caller_does_not_matter(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	for (unsigned mask = 0; mask < 8; mask++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			int r;

			for (int fd = 0; fd < 3; fd++)
				if (mask & (1u << fd))
					(void)close(fd);
			r = shell(
				"echo out; echo err >&2; ! read x && test ! -t 1 && echo fine");
			_exit(r == 0 && strcmp(detail, "fine") == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

/* The pid of the running program, or 0 when it did not come up. */
static pid_t wait_for_pid(const char *path)
{
	int64_t deadline_ms = kv_deadline(LONG_MS);
	char buf[32];
	unsigned step = 0;

	while (kv_read_file_at(AT_FDCWD, path, buf, sizeof(buf)) < 0 ||
	       !strchr(buf, '\n'))
		if (kv_backoff(&step, deadline_ms) < 0)
			return 0;
	return (pid_t)atol(buf);
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

static void program_dies_with_its_caller(void **state)
{
	char path[] = "/tmp/kvol-test-spawn-XXXXXX", script[128];
	pid_t caller, program;
	int fd, status;

	(void)state;
	fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	(void)snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 1000", path);
	caller = fork();
	assert_true(caller >= 0);
	if (caller == 0)
		_exit(shell(script) == 0 ? 0 : 1);
	program = wait_for_pid(path);
	assert_true(program > 0);
	assert_int_equal(kill(caller, SIGKILL), 0);
	assert_int_equal(waitpid(caller, &status, 0), caller);
	assert_true(wait_until_gone(program));
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_status_decides),
		cmocka_unit_test(exit_status_is_told),
		cmocka_unit_test(program_that_is_nowhere_is_enoent),
		cmocka_unit_test(unexecutable_program_is_not_missing),
		cmocka_unit_test(last_line_is_kept),
		cmocka_unit_test(long_line_is_cut),
		cmocka_unit_test(deadline_kills),
		cmocka_unit_test(process_that_keeps_the_pipe_is_not_waited_for),
		cmocka_unit_test(nothing_is_inherited_but_stdio),
		cmocka_unit_test(environment_is_fixed),
		cmocka_unit_test(signals_are_as_a_program_expects_them),
		cmocka_unit_test(sigchld_is_not_sent),
		cmocka_unit_test(status_is_known_where_children_are_reaped_by_the_kernel),
		cmocka_unit_test(reaping_thread_of_the_caller_finds_no_child),
		cmocka_unit_test(fds_are_not_leaked),
		cmocka_unit_test(closed_stdio_of_the_caller_does_not_matter),
		cmocka_unit_test(program_dies_with_its_caller),
	};

	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
