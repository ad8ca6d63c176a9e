// SPDX-License-Identifier: LGPL-2.1-or-later
/* containerd's devmapper snapshotter, in a process of its own (containerd/main.go), which
 * takes its orders by lines; KVOL_BENCH_CONTAINERD is the program. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "bench.h"

static FILE *orders, *answers;
static pid_t pid;
static char target[256];

static double answer(void)
{
	char line[64];

	if (!fgets(line, sizeof(line), answers))
		die("containerd: the process has ended");
	return atof(line);
}

static double tell(const char *what)
{
	if (fprintf(orders, "%s\n", what) < 0 || fflush(orders))
		die("containerd: the process takes no orders");
	return answer();
}

static void tell_of_target(const char *what)
{
	char line[300];

	snprintf(line, sizeof(line), "%s %s", what, target);
	(void)tell(line);
}

static void open_pool(const char *disk, const char *dir)
{
	const char *program = getenv("KVOL_BENCH_CONTAINERD");
	int in[2], out[2];

	if (!program)
		die("containerd: KVOL_BENCH_CONTAINERD is not set");
	snprintf(target, sizeof(target), "%s/containerd-target", dir);
	make_dir(target);
	if (pipe(in) < 0 || pipe(out) < 0)
		die("pipe");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		setenv("DM_DISABLE_UDEV", "1", 1);
		execl(program, program, disk, dir, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	orders = fdopen(in[1], "w");
	answers = fdopen(out[0], "r");
	if (pid < 0 || !orders || !answers)
		die("containerd: start");
	(void)answer(); /* its pool is there */
}

static bool does(enum op op)
{
	return op == OP_NEW || op == OP_CLONE;
}

static void before(enum op op, int i)
{
	(void)op;
	(void)i;
}

static void run(enum op op, int i)
{
	(void)i;
	tell_of_target(op == OP_CLONE ? "clone" : "new");
}

static void after(enum op op, int i)
{
	(void)op;
	(void)i;
	tell_of_target("gone");
}

static double fleet(void)
{
	char line[64];

	snprintf(line, sizeof(line), "fleet %d %d", N_FLEET, N_THREADS);
	return tell(line);
}

static void close_pool(void)
{
	int status;

	fclose(orders);
	if (waitpid(pid, &status, 0) < 0 || status)
		die("containerd: status %d", status);
	fclose(answers);
}

const struct contestant containerd = {
	.name = "containerd",
	.open = open_pool,
	.does = does,
	.before = before,
	.run = run,
	.after = after,
	.fleet = fleet,
	.close = close_pool,
};
