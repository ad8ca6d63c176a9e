// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A disk that can be made bad while a pool on it is in use: see disk.h.
 *
 * It is a dm-linear device on a loop device on a sparse file, with one slice for each
 * part of the pool. A fault is another table, with `error` or `flakey` in the part's
 * slice, that takes the old one's place without flushing: what is on its way meets the
 * fault.
 *
 * The watchdog is a process of its own, because a call that hangs in the kernel sees no
 * signal. It is told when a call begins and ends, by a pipe, and ends the program's
 * process group when one does not end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "disk.h"

#define SUPERBLOCK_SECTORS 8

struct slice {
	uint64_t start, sectors;
};

static char loop[64], name[32];
static uint64_t disk_sectors;
static struct slice slices[DISK_PARTS];

/* --- The watchdog ----------------------------------------------------------------- */

struct word {
	char what[120]; /* "": the call is over */
};

static int watch_fd = -1;
static pid_t watcher;
static struct timespec begun;
static double longest;
static char longest_what[120], now_what[120];

static void watch(int fd, pid_t whom)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct word word = { "" };
	char path[64];

	for (;;) {
		if (poll(&p, 1, word.what[0] ? WATCH_SECONDS * 1000 : -1) == 0)
			break;
		if (read(fd, &word, sizeof(word)) != sizeof(word))
			_exit(0);
	}
	printf("\nBail out! over its deadline: %s\n", word.what);
	fflush(stdout);
	(void)snprintf(path, sizeof(path),
		       "cat /proc/%d/task/*/stack; dmsetup info -c; "
		       "dmsetup status",
		       (int)whom);
	(void)!system(path);
	(void)kill(whom, SIGKILL);
	_exit(1);
}

void watch_start(void)
{
	pid_t whom = getpid();
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	fflush(stdout);
	watcher = fork();
	assert_true(watcher >= 0);
	if (watcher == 0) {
		(void)close(fds[1]);
		watch(fds[0], whom);
	}
	(void)close(fds[0]);
	watch_fd = fds[1];
}

void watch_end(void)
{
	(void)close(watch_fd);
	watch_fd = -1;
	(void)waitpid(watcher, NULL, 0);
}

void watched(const char *what)
{
	struct word word;

	memset(&word, 0, sizeof(word));
	(void)snprintf(word.what, sizeof(word.what), "%s", what);
	(void)snprintf(now_what, sizeof(now_what), "%s", what);
	assert_int_equal(write(watch_fd, &word, sizeof(word)), sizeof(word));
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
}

void unwatched(void)
{
	struct word word;
	struct timespec now;
	double ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (double)(now.tv_sec - begun.tv_sec) * 1e3 +
	     (double)(now.tv_nsec - begun.tv_nsec) / 1e6;
	if (ms > longest) {
		longest = ms;
		(void)snprintf(longest_what, sizeof(longest_what), "%s", now_what);
	}
	memset(&word, 0, sizeof(word));
	assert_int_equal(write(watch_fd, &word, sizeof(word)), sizeof(word));
}

/* --- The disk --------------------------------------------------------------------- */

static void find_part(const char *label, struct slice *ret)
{
	unsigned long long start, sectors;

	assert_sh(
		"partx -rgo NAME,START,SECTORS %s | awk '$1 == \"%s\" { print $2, $3 }'",
		pool_path, label);
	assert_int_equal(sscanf(sh_output(), "%llu %llu", &start, &sectors), 2);
	ret->start = start;
	ret->sectors = sectors;
}

static void find_parts(void)
{
	find_part("kvol-catalogue", &slices[DISK_CATALOGUE]);
	find_part("kvol-metadata", &slices[DISK_METADATA]);
	find_part("kvol-data", &slices[DISK_DATA]);
	slices[DISK_SUPERBLOCK] = slices[DISK_METADATA];
	slices[DISK_SUPERBLOCK].sectors = SUPERBLOCK_SECTORS;
	slices[DISK_METADATA].start += SUPERBLOCK_SECTORS;
	slices[DISK_METADATA].sectors -= SUPERBLOCK_SECTORS;
	slices[DISK_SPARE].start = slices[DISK_DATA].start + slices[DISK_DATA].sectors;
	slices[DISK_SPARE].sectors = disk_sectors - slices[DISK_SPARE].start;
}

static void put_slice(FILE *f, uint64_t start, uint64_t sectors, enum disk_fault fault)
{
	if (!sectors)
		return;
	fprintf(f, "%" PRIu64 " %" PRIu64 " ", start, sectors);
	switch (fault) {
	case DISK_GOOD:
		fprintf(f, "linear %s %" PRIu64 "\n", loop, start);
		break;
	case DISK_DEAD:
		fprintf(f, "error\n");
		break;
	case DISK_ERROR_WRITES:
	case DISK_DROP_WRITES: /* 0 seconds up, 9999 down, over and over */
		fprintf(f, "flakey %s %" PRIu64 " 0 9999 1 %s\n", loop, start,
			fault == DISK_DROP_WRITES ? "drop_writes" : "error_writes");
		break;
	}
}

static void write_table(const enum disk_fault faults[DISK_PARTS])
{
	FILE *f = fopen(in_dir("table"), "we");
	uint64_t at = 0;

	assert_non_null(f);
	for (int i = 0; i < DISK_PARTS; i++) {
		put_slice(f, at, slices[i].start - at, DISK_GOOD);
		put_slice(f, slices[i].start, slices[i].sectors,
			  faults ? faults[i] : DISK_GOOD);
		at = slices[i].start + slices[i].sectors;
	}
	assert_int_equal(fclose(f), 0);
}

void disk_set(const enum disk_fault faults[DISK_PARTS])
{
	write_table(faults);
	assert_sh("dmsetup reload %s %s/table && "
		  "dmsetup resume --noudevsync --noflush --nolockfs %s",
		  name, dir, name);
}

int disk_up(const struct kvol_format_opts *o, uint64_t bytes)
{
	void *state = NULL;

	watch_start();
	if (dir_up(&state) < 0)
		return -1;
	disk_sectors = bytes / 512;
	(void)snprintf(name, sizeof(name), "test-disk-%d", getpid());
	assert_sh("truncate -s %" PRIu64 " %s/disk && losetup -f --show %s/disk", bytes,
		  dir, dir);
	assert_int_equal(sscanf(sh_output(), "%63s", loop), 1);
	assert_sh("dmsetup create --noudevsync %s --table '0 %" PRIu64 " linear %s 0' && "
		  "dmsetup info -c --noheadings -o blkdevname %s",
		  name, disk_sectors, loop, name);
	(void)snprintf(pool_path, sizeof(pool_path), "/dev/%.32s",
		       strtok((char *)sh_output(), "\n"));
	assert_ok(kvol_pool_format(ctx, pool_name, pool_path, o, &err));
	find_parts();
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	return 0;
}

int disk_down(void **state)
{
	assert_sh("dmsetup remove --noudevsync %s && losetup -d %s", name, loop);
	(void)dir_down(state);
	watch_end();
	printf("# figure longest call, ms: %.0f (%s)\n", longest, longest_what);
	return 0;
}

/* --- The thin pool ---------------------------------------------------------------- */

const char *thin_pool_name(void)
{
	static char pool_device[64];

	(void)snprintf(pool_device, sizeof(pool_device), "kvol-%.8s-pool",
		       pool_info().uuid);
	return pool_device;
}

const char *thin_pool_status(void)
{
	assert_sh("dmsetup status --noflush --target thin-pool");
	return strtok((char *)sh_output(), "\n");
}

static void with_part(const struct slice *part, const char *variable,
		      const char *commands)
{
	assert_sh(
		"set -e; n=%s-part; "
		"dmsetup create --noudevsync $n --table '0 %" PRIu64 " linear %s %" PRIu64
		"'; %s=/dev/$(dmsetup info -c --noheadings -o blkdevname $n); r=0; "
		"(set -e; cd %s; %s) || r=$?; dmsetup remove --noudevsync --retry $n; exit $r",
		name, part->sectors, loop, part->start, variable, dir, commands);
}

void with_metadata(const char *commands)
{
	struct slice part = slices[DISK_SUPERBLOCK];

	part.sectors += slices[DISK_METADATA].sectors;
	with_part(&part, "metadata", commands);
}

void in_catalogue(const char *commands)
{
	char all[1024];

	(void)snprintf(all, sizeof(all),
		       "mkdir -p mnt; mount -t ext4 $catalogue mnt; r=0; "
		       "(set -e; cd mnt; %s) || r=$?; umount mnt; exit $r",
		       commands);
	with_part(&slices[DISK_CATALOGUE], "catalogue", all);
}

/* --- Frozen, as sysfs shows it ---------------------------------------------------- */

static bool attribute(unsigned minor, const char *which, char ret[128])
{
	char path[96];
	int fd;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/sys/block/dm-%u/dm/%s", minor, which);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, ret, 127);
	(void)close(fd);
	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

bool is_suspended(unsigned minor)
{
	char text[128];

	return attribute(minor, "suspended", text) && text[0] == '1';
}

int suspended_now(void)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	unsigned minor;
	char uuid[128];
	int found = -1;

	while (d && found < 0 && (e = readdir(d)))
		if (sscanf(e->d_name, "dm-%u", &minor) == 1 && is_suspended(minor) &&
		    attribute(minor, "uuid", uuid) && !strncmp(uuid, "KVOL-", 5))
			found = (int)minor;
	if (d)
		(void)closedir(d);
	return found;
}

static unsigned suspended_devices(char *which, size_t size)
{
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	char path[512];
	unsigned n = 0;

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "dm-", 3) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/sys/block/%s/dm/suspended",
			       e->d_name);
		if (read_file(path)[0] != '1')
			continue;
		n++;
		(void)snprintf(path, sizeof(path), "/sys/block/%s/dm/name", e->d_name);
		(void)snprintf(which, size, "%s", read_file(path));
	}
	if (d)
		(void)closedir(d);
	return n;
}

void assert_nothing_frozen(const char *what)
{
	char which[128] = "";

	if (suspended_devices(which, sizeof(which)) == 0)
		return;
	print_error("%s: left suspended: %s\n", what, which);
	fail();
}
