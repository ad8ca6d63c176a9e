// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The system tests' common ground: see system.h.
 *
 * Witnesses read /proc, /sys and the disk by themselves. What the library holds open once
 * and for its handle's life (the metadata's fd, the database's files) is warmed up by
 * pool_up, so that counts taken later only differ by leaks.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#define POOL_BYTES GIB(8)
#define SETTLE_MS  5000
#define UNTOUCHED  0xa5

struct kvol_ctx *ctx;
struct kvol_pool *pool;
struct kvol_error err;
char dir[128];
char pool_path[160];
char pool_name[32];

static struct world at_start;

const char *const bad_names[11] = {
	NULL,	    "",	     "/",    "a/b",  "../a",	     "a\nb",
	"\x1b[31m", "a\x7f", "\xff", "\xc3", "\xed\xa0\x80",
};

const char *const odd_names[8] = {
	".",
	"..",
	" ",
	"-rf",
	"a'b\"; DROP TABLE volume;--",
	"%s%n",
	"\xc3\xa4\xe2\x82\xac",
	"control",
};

const char *name_of_length(size_t n)
{
	static char name[512];

	assert_true(n < sizeof(name));
	memset(name, 'n', n);
	name[n] = 0;
	return name;
}

void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&t, NULL);
}

/* --- Counting --------------------------------------------------------------------- */

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static int count_lines(const char *path)
{
	FILE *f = fopen(path, "re");
	int c, n = 0;

	if (!f)
		return 0;
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	(void)fclose(f);
	return n;
}

/* Block devices called PREFIX* that have the attribute, which must begin with `value`. */
static int count_blocks(const char *prefix, const char *attribute, const char *value)
{
	char path[512], line[256];
	DIR *d = opendir("/sys/block");
	struct dirent *e;
	FILE *f;
	int n = 0;

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/sys/block/%s/%s", e->d_name,
			       attribute);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f) && !strncmp(line, value, strlen(value)))
			n++;
		(void)fclose(f);
	}
	if (d)
		(void)closedir(d);
	return n;
}

uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t listing_digest(void)
{
	uint64_t h = MIX_BASIS;
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;

	if (!pool || kvol_list(pool, 0, &iter, NULL) < 0)
		return 0;
	while (kvol_iter_next(iter, &info) == 1) {
		h = mix(h, &info.bytes, sizeof(info.bytes));
		h = mix(h, &info.created, sizeof(info.created));
		h = mix(h, &info.kind, sizeof(info.kind));
		h = mix(h, &info.n_targets, sizeof(info.n_targets));
		h = mix(h, info.name, sizeof(info.name));
		h = mix(h, info.source, sizeof(info.source));
		h = mix(h, info.fs_type, sizeof(info.fs_type));
		h = mix(h, info.uuid, sizeof(info.uuid));
	}
	kvol_iter_free(iter);
	return h;
}

void world_now(struct world *w)
{
	w->listing = listing_digest();
	w->fds = count_entries("/proc/self/fd");
	w->threads = count_entries("/proc/self/task");
	w->mounts = count_lines("/proc/self/mountinfo");
	w->loops = count_blocks("loop", "loop/backing_file", "/");
	w->devices = count_blocks("dm-", "dm/uuid", "KVOL-");
}

/* A thread that was joined may be seen for a moment yet: fewer is no fault. */
static bool same_world(const struct world *a, const struct world *b)
{
	return a->fds == b->fds && a->threads >= b->threads && a->mounts == b->mounts &&
	       a->loops == b->loops && a->devices == b->devices &&
	       a->listing == b->listing;
}

void assert_world(const struct world *before, const char *what, const char *file,
		  int line)
{
	struct world now;

	for (int waited = 0;; waited += 20) {
		world_now(&now);
		if (same_world(before, &now))
			return;
		if (waited >= SETTLE_MS)
			break;
		pause_ms(20);
	}
	print_error(
		"%s:%d: %s left something:\n"
		"  fds %d -> %d, threads %d -> %d, mounts %d -> %d, loops %d -> %d, devices %d -> %d, "
		"listing %s\n",
		file, line, what, before->fds, now.fds, before->threads, now.threads,
		before->mounts, now.mounts, before->loops, now.loops, before->devices,
		now.devices, before->listing == now.listing ? "same" : "changed");
	fail();
}

/* --- Checked calls ---------------------------------------------------------------- */

void before_call(struct world *w, bool look)
{
	if (look)
		world_now(w);
	memset(&err, UNTOUCHED, sizeof(err));
}

static bool untouched(void)
{
	const unsigned char *p = (const unsigned char *)&err;

	for (size_t i = 0; i < sizeof(err); i++)
		if (p[i] != UNTOUCHED)
			return false;
	return true;
}

static const char *message_fault(void)
{
	size_t n = strnlen(err.msg, sizeof(err.msg));

	if (n == 0)
		return "the message is empty";
	if (n == sizeof(err.msg))
		return "the message does not end";
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)err.msg[i] < ' ' || err.msg[i] == 0x7f)
			return "the message is not one line of text";
	if (err.index != 0 || err.reserved0 != 0)
		return "index or reserved0 is not 0";
	return NULL;
}

const char *answer_fault(int r)
{
	if (r >= 0)
		return untouched() ? NULL : "err was touched by a success";
	if (untouched())
		return "err was not filled";
	return err.code == r ? message_fault() : "err.code is not what was returned";
}

void after_call(const struct world *w, int r, int code, uint32_t reason, const char *what,
		const char *file, int line)
{
	const char *fault = answer_fault(r);

	if (r == code && !fault && (r == 0 || err.reason == reason)) {
		if (w)
			assert_world(w, what, file, line);
		return;
	}
	print_error("%s:%d: %s\n  returned %d (%s), expected %d (%s), %s\n", file, line,
		    what, r, r < 0 ? kvol_reason_str(err.reason) : "success", code,
		    code < 0 ? kvol_reason_str(reason) : "success",
		    fault ? fault : "err is in order");
	if (r < 0)
		print_error("  message: %.240s\n", err.msg);
	fail();
}

/* --- Looking ---------------------------------------------------------------------- */

struct kvol_info info_of(const char *name)
{
	struct kvol_info info = { .size = sizeof(info) };

	assert_ok(kvol_stat(pool, name, &info, &err));
	assert_int_equal(info.size, sizeof(info));
	assert_string_equal(info.name, name);
	return info;
}

bool exists(const char *name)
{
	struct kvol_info info = { .size = sizeof(info) };
	int r = kvol_stat(pool, name, &info, NULL);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

uint64_t count(uint32_t list_flags)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	uint64_t n = 0;
	int r;

	assert_ok(kvol_list(pool, list_flags, &iter, &err));
	while ((r = kvol_iter_next(iter, &info)) == 1)
		n++;
	kvol_iter_free(iter);
	assert_int_equal(r, 0);
	return n;
}

struct kvol_pool_info pool_info(void)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	assert_ok(kvol_pool_stat(pool, &info, &err));
	return info;
}

void assert_listing(const char *const *names, size_t n, uint32_t flags)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;

	assert_ok(kvol_list(pool, flags, &iter, &err));
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(kvol_iter_next(iter, &info), 1);
		assert_string_equal(info.name, names[i]);
	}
	assert_int_equal(kvol_iter_next(iter, &info), 0);
	kvol_iter_free(iter);
}

uint64_t file_digest(const char *path)
{
	static uint64_t buf[8192];
	uint64_t h = 0;
	off_t from = 0, to;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	while ((from = lseek(fd, from, SEEK_DATA)) >= 0) {
		to = lseek(fd, from, SEEK_HOLE);
		for (; from < to; from += n) {
			memset(buf, 0, sizeof(buf));
			n = pread(fd, buf, sizeof(buf), from);
			assert_true(n > 0);
			for (size_t i = 0; i < N_OF(buf); i++)
				if (buf[i])
					h += (buf[i] ^ ((uint64_t)from + i * 8)) *
						     UINT64_C(0x9e3779b97f4a7c15) ^
					     buf[i] >> 29;
		}
	}
	(void)close(fd);
	return h;
}

/* --- The host --------------------------------------------------------------------- */

const char *in_dir(const char *fmt, ...)
{
	static char paths[16][1024];
	static unsigned next;
	char *path = paths[next++ % N_OF(paths)];
	int n = snprintf(path, sizeof(paths[0]), "%s/", dir);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path + n, sizeof(paths[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return path;
}

const char *make_dir(const char *name)
{
	const char *path = in_dir("%s", name);

	assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
	return path;
}

const char *make_file(const char *name)
{
	const char *path = in_dir("%s", name);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	(void)close(fd);
	return path;
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

const char *read_file(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return "";
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

const char *mount_options(const char *path, bool super)
{
	static char found[1024];
	char line[4096], point[1024], own[1024], tail[1024];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *dash;

	found[0] = 0;
	while (f && fgets(line, sizeof(line), f)) {
		dash = strstr(line, " - ");
		if (!dash ||
		    sscanf(line, "%*s %*s %*s %*s %1023s %1023s", point, own) != 2 ||
		    strcmp(point, path) != 0)
			continue;
		tail[0] = 0;
		(void)sscanf(dash, " - %*s %*s %1023s", tail);
		(void)snprintf(found, sizeof(found), "%s", super ? tail : own);
	}
	if (f)
		(void)fclose(f);
	return found;
}

bool is_mounted(const char *path)
{
	return mount_options(path, false)[0] != 0;
}

uint64_t fs_bytes(const char *path)
{
	struct statfs st;

	assert_int_equal(statfs(path, &st), 0);
	return (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
}

const char *sh_output(void)
{
	return read_file(in_dir("sh.log"));
}

int sh(const char *fmt, ...)
{
	char command[4096];
	int status, n;
	va_list ap;

	n = snprintf(command, sizeof(command), "exec >'%s/sh.log' 2>&1 </dev/null; ",
		     dir);
	va_start(ap, fmt);
	(void)vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int publish(const char *name, const char *target, uint32_t flags, const char *options)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .mount_options = options };

	return kvol_publish(pool, name, target, &o, &err);
}

int publish_in(const char *name, const char *target, uint32_t flags, const char *ns)
{
	struct kvol_publish_opts o = { .size = sizeof(o),
				       .flags = flags,
				       .mount_namespace = ns };

	return kvol_publish(pool, name, target, &o, &err);
}

int unpublish_in(const char *name, const char *target, const char *ns)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .mount_namespace = ns };

	return kvol_unpublish(pool, name, target, &o, &err);
}

int create_fs(const char *name, uint64_t bytes, const char *fs_type)
{
	struct kvol_create_opts o = { .size = sizeof(o), .fs_type = fs_type };

	return kvol_create(pool, name, bytes, &o, &err);
}

/* --- Other processes -------------------------------------------------------------- */

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Exit codes are bytes, and lines are not. */
static int run_child(const char *ns, int (*fn)(void *arg), void *arg)
{
	int result[2], line = -1, r, status;
	pid_t pid;

	assert_int_equal(pipe(result), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = ns ? open(ns, O_RDONLY | O_CLOEXEC) : -1;

		line = ns && (fd < 0 || setns(fd, CLONE_NEWNS) < 0) ? __LINE__ : fn(arg);
		r = write(result[1], &line, sizeof(line)) == sizeof(line) ? 0 : 1;
		_exit(r);
	}
	(void)close(result[1]);
	if (read(result[0], &line, sizeof(line)) != sizeof(line))
		line = -1;
	(void)close(result[0]);
	status = wait_for(pid);
	return status ? -status : line;
}

int in_child(int (*fn)(void *arg), void *arg)
{
	return run_child(NULL, fn, arg);
}

int in_namespace(const char *ns, int (*fn)(void *arg), void *arg)
{
	return run_child(ns, fn, arg);
}

struct resident resident_start(void)
{
	struct resident r;
	int ready[2];
	char ok = 0;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	r.pid = fork();
	assert_true(r.pid >= 0);
	if (r.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
			ok = 1;
		/* What was inherited must not count as held by a container. */
		if (write(ready[1], &ok, 1) == 1)
			(void)close_range(3, ~0u, 0);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &ok, 1), 1);
	(void)close(ready[0]);
	assert_int_equal(ok, 1);
	(void)snprintf(r.ns, sizeof(r.ns), "/proc/%d/ns/mnt", r.pid);
	return r;
}

void resident_end(struct resident *r)
{
	if (r->pid <= 0)
		return;
	(void)kill(r->pid, SIGKILL);
	(void)wait_for(r->pid);
	r->pid = 0;
}

/* --- Fixtures --------------------------------------------------------------------- */

void need_device_mapper(void)
{
	const char *why = NULL;
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	if (geteuid() != 0)
		why = "not root";
	else if (fd < 0)
		why = "no device-mapper here";
	(void)close(fd);
	if (why) {
		printf("1..0 # SKIP %s\n", why);
		exit(77);
	}
	/* What a program has said before its time limit kills it must not go with it. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)setenv("PATH",
		     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
}

int dir_up(void **state)
{
	const char *base = getenv("KVOL_TEST_DIR");

	(void)state;
	if (!base)
		base = getenv("KVOL_GUEST_SCRATCH");
	(void)snprintf(dir, sizeof(dir), "%s/kvol-XXXXXX", base ? base : "/scratch");
	if (!mkdtemp(dir)) {
		print_error("%s: %s\n", dir, strerror(errno));
		return -1;
	}
	(void)snprintf(pool_path, sizeof(pool_path), "%s/pool", dir);
	(void)snprintf(pool_name, sizeof(pool_name), "system-%d", getpid());
	world_now(&at_start);
	assert_ok(kvol_new(NULL, &ctx, &err));
	return 0;
}

int dir_down(void **state)
{
	(void)state;
	kvol_free(ctx);
	ctx = NULL;
	assert_world(&at_start, "the program", __FILE__, __LINE__);
	assert_sh("cd / && rm -rf --one-file-system '%s'", dir);
	return 0;
}

int pool_up(void **state)
{
	return pool_up_for(0, state);
}

int pool_up_for(uint64_t max_volumes, void **state)
{
	struct kvol_format_opts o = { .size = sizeof(o),
				      .file_bytes = POOL_BYTES,
				      .max_volumes = max_volumes };

	if (dir_up(state) < 0)
		return -1;
	assert_ok(kvol_pool_format(ctx, pool_name, pool_path, &o, &err));
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
	assert_ok(kvol_create(pool, "warm", MIB(1), NULL, &err));
	(void)count(0);
	assert_ok(kvol_delete(pool, "warm", 0, &err));
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Where the partition of this name begins, read from the primary GPT by hand. */
static uint64_t partition_start(const char *name)
{
	unsigned char entry[128];
	int fd = open(pool_path, O_RDONLY | O_CLOEXEC);
	uint64_t lba = 0;
	size_t i;

	assert_true(fd >= 0);
	for (int n = 0; n < 128 && !lba; n++) {
		assert_int_equal(pread(fd, entry, sizeof(entry), 1024 + n * 128),
				 sizeof(entry));
		for (i = 0; name[i] && entry[56 + 2 * i] == name[i]; i++)
			;
		if (!name[i])
			memcpy(&lba, entry + 32, sizeof(lba));
	}
	(void)close(fd);
	assert_true(lba > 0);
	return lba * 512;
}

/* The thin pool as thin-provisioning-tools see it: sound, and as many devices with as
 * many blocks as the library listed. */
static void check_metadata(const uint64_t *allocated, size_t n,
			   const struct kvol_pool_info *info)
{
	uint64_t found[4096], blocks;
	size_t n_found = 0;
	unsigned id;
	FILE *f;

	if (sh("command -v thin_check && command -v thin_ls") != 0)
		return;
	assert_sh(
		"dd if='%s' of='%s/metadata' bs=1M skip=%llu count=%llu iflag=skip_bytes,count_bytes "
		"conv=sparse status=none",
		pool_path, dir, (unsigned long long)partition_start("kvol-metadata"),
		(unsigned long long)info->metadata_bytes);
	assert_sh("thin_check '%s/metadata'", dir);
	assert_sh("thin_ls --no-headers -o DEV,MAPPED_BLOCKS '%s/metadata'", dir);
	f = fopen(in_dir("sh.log"), "re");
	assert_non_null(f);
	while (n_found < N_OF(found) && fscanf(f, "%u %" SCNu64, &id, &blocks) == 2)
		found[n_found++] = blocks * info->block_bytes;
	(void)fclose(f);
	qsort(found, n_found, sizeof(found[0]), by_value);
	assert_int_equal(n_found, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(found[i], allocated[i]);
}

/* Of the volumes and snapshots, or of the templates. */
static size_t list_allocated(uint32_t flags, uint64_t *ret, size_t room)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	size_t n = 0;

	assert_ok(kvol_list(pool, flags, &iter, &err));
	while (n < room && kvol_iter_next(iter, &info) == 1)
		ret[n++] = info.allocated;
	kvol_iter_free(iter);
	return n;
}

void pool_rest(void)
{
	struct kvol_pool_info p = pool_info();
	uint64_t allocated[4096];
	size_t n;

	pool_cycle(); /* all volumes inactive: what is allocated is what is on the disk */
	n = list_allocated(0, allocated, N_OF(allocated));
	assert_int_equal(n, p.n_volumes + p.n_snapshots);
	n += list_allocated(KVOL_LIST_TEMPLATES, allocated + n, N_OF(allocated) - n);
	assert_ok(kvol_pool_deactivate(pool, &err));
	kvol_pool_close(pool);
	pool = NULL;
	qsort(allocated, n, sizeof(allocated[0]), by_value);
	check_metadata(allocated, n, &p);
}

int pool_down(void **state)
{
	if (pool)
		pool_rest();
	return dir_down(state);
}

/* libcryptsetup keeps two files open once it was used: they are not ours to close, and no
 * others are left. */
int pool_down_encrypted(void **state)
{
	char link[64], to[64];
	int left = 0;

	for (int fd = 3; fd < 1024; fd++) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		memset(to, 0, sizeof(to));
		if (readlink(link, to, sizeof(to) - 1) > 0 &&
		    (!strcmp(to, "/dev/urandom") || !strcmp(to, "/dev/random"))) {
			assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			(void)close(fd);
			left++;
		}
	}
	assert_true(left <= 2);
	return pool_down(state);
}

void pool_reopen(void)
{
	kvol_pool_close(pool);
	pool = NULL;
	assert_ok(kvol_pool_open(ctx, pool_path, NULL, &pool, &err));
}

void pool_cycle(void)
{
	assert_ok(kvol_pool_deactivate(pool, &err));
	pool_reopen();
}
