// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the options of a publish cost beside a plain one: publishes of one ext4 volume, in
 * turn. The namespaces are those of a process that is there all the time.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static pid_t resident;
static char mntns[64], userns[64];

static void write_map(const char *file)
{
	static const char map[] = "0 100000 65536";
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", resident, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, map, strlen(map)) < 0)
		die("%s: cannot be written", path);
	close(fd);
}

/* Before any pool is open: a child would hold its catalogue. */
void variants_start(void)
{
	int ready[2];
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe2");
	resident = fork();
	if (resident < 0)
		die("fork");
	if (resident == 0) {
		if (unshare(CLONE_NEWNS) < 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    unshare(CLONE_NEWUSER) < 0 || write(ready[1], "", 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		die("a process with namespaces of its own");
	close(ready[0]);
	write_map("uid_map");
	write_map("gid_map");
	snprintf(mntns, sizeof(mntns), "/proc/%d/ns/mnt", resident);
	snprintf(userns, sizeof(userns), "/proc/%d/ns/user", resident);
}

void variants_end(void)
{
	kill(resident, SIGKILL);
	while (waitpid(resident, NULL, 0) < 0)
		;
}

const struct variant variants[N_VARIANTS] = {
	{ .name = "plain", .title = "publish an ext4 volume" },
	{ .name = "userns",
	  .title = "... ids mapped by a user namespace",
	  .user_namespace = userns },
	{ .name = "new_maps",
	  .title = "... ids mapped by maps",
	  .uid_map = "0 100000 65536" },
	{ .name = "maps",
	  .title = "... by the same maps as before",
	  .uid_map = "0 200000 65536",
	  .again = true },
	{ .name = "mntns",
	  .title = "... in another mount namespace",
	  .mount_namespace = mntns },
	{ .name = "both",
	  .title = "... both, as for a rootless container",
	  .mount_namespace = mntns,
	  .user_namespace = userns },
};
