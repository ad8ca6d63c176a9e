// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Opens cut disks with the library, on a real kernel, and uses what is there:
 *
 *	opener [-n CUTS] [-s SEED] [-c CUT] LOG BASE SPARE
 *
 * BASE and SPARE are disks of the guest whose contents are lost. BASE gets the log up to
 * the flush; what was cut off is put on a dm-snapshot over it, with SPARE for what
 * changes, so that each image is thrown away by removing that device. On each: the pool
 * opens (or there rightly is none), lists what was acknowledged, every file system mounts,
 * holds the files that were synced and passes its fsck, a volume can be made and deleted;
 * and after deactivating nothing is left in the kernel, and on the disk nothing
 * unfinished.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include <dirent.h>

#include <kvol/kvol.h>
#include "check.h"
#include "cut.h"
#include "util.h"

#define DEVICE	    "powercut"
#define DEVICE_PATH "/dev/mapper/" DEVICE
#define FSCKS	    2 /* in one pool: they take longer than everything else */

static struct wlog rec;
static struct history history;
static struct expected expected;
static struct check check;
static struct kvol_ctx *ctx;
static struct kvol_error err;
static char dir[] = "/tmp/powercut-XXXXXX";
static char why[WHY_SIZE];
static unsigned n_pools, n_none, n_files, n_fs;

static int sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int sh(const char *fmt, ...)
{
	char command[1024];
	int status, n = snprintf(command, sizeof(command), "exec >%s/sh.log 2>&1; ", dir);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command + n, sizeof(command) - (size_t)n, fmt, ap);
	va_end(ap);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static const char *sh_output(void)
{
	static char text[256];
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/sh.log", dir);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		(void)fclose(f);
	text[n] = 0;
	return text;
}

static int call(int r, const char *what, const char *name)
{
	return r < 0 ? wrong(why, "%s '%s': %s (%s)", what, name, err.msg,
			     kvol_reason_str(err.reason))
		     : 0;
}

/* --- Files ------------------------------------------------------------------------ */

static const struct file *file_of(const struct volume *v, unsigned long long op)
{
	for (unsigned i = 0; i < v->n_files; i++)
		if (v->files[i].op->m.op == op)
			return &v->files[i];
	return NULL;
}

static int check_file(const char *target, const char *name, const struct file *file)
{
	static unsigned char is[1 << 18], want[1 << 18];
	uint64_t bytes = file->op->m.bytes;
	_cleanup_close_ int fd = -1;
	char path[400];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/f%llu", target,
		 (unsigned long long)file->op->m.op);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return wrong(why, "'%s': the synced file f%llu: %s", name,
			     (unsigned long long)file->op->m.op, strerror(errno));
	n = read(fd, is, sizeof(is));
	pattern_fill(want, bytes, file->op->m.op, 0);
	if (n != (ssize_t)bytes || memcmp(is, want, bytes))
		return wrong(why,
			     "'%s': the synced file f%llu does not hold what was written",
			     name, (unsigned long long)file->op->m.op);
	n_files++;
	return 0;
}

/* Nothing that was written after a snapshot may be in it. */
static int check_strangers(const char *target, const char *name, const struct volume *v)
{
	DIR *d = opendir(target);
	unsigned long long op;
	struct dirent *e;
	int r = 0;

	if (!d)
		return wrong(why, "'%s': %s", name, strerror(errno));
	while (r == 0 && (e = readdir(d)))
		if (sscanf(e->d_name, "f%llu", &op) == 1 && !file_of(v, op))
			r = wrong(why, "'%s': there should be no file %s", name,
				  e->d_name);
	(void)closedir(d);
	return r;
}

static int check_size(const char *target, const struct kvol_info *info)
{
	struct statfs st;

	if (statfs(target, &st) < 0)
		return wrong(why, "'%s': statfs: %s", info->name, strerror(errno));
	/* The rest is the log and inode tables; volumes grow by a half or more. */
	if (info->kind == KVOL_KIND_VOLUME &&
	    (uint64_t)st.f_blocks * (uint64_t)st.f_bsize < info->bytes / 100 * 70)
		return wrong(why, "'%s': the file system has %llu bytes, the volume %llu",
			     info->name,
			     (unsigned long long)st.f_blocks *
				     (unsigned long long)st.f_bsize,
			     (unsigned long long)info->bytes);
	return 0;
}

static int check_mounted(struct kvol_pool *pool, const struct kvol_info *info,
			 const struct volume *v)
{
	char target[100];
	int r, s;

	snprintf(target, sizeof(target), "%s/mnt", dir);
	r = call(kvol_publish(pool, info->name, target, NULL, &err), "publish",
		 info->name);
	if (r < 0)
		return r;
	r = check_size(target, info);
	for (unsigned i = 0; i < v->n_files && r == 0; i++)
		if (v->files[i].must)
			r = check_file(target, info->name, &v->files[i]);
	if (r == 0)
		r = check_strangers(target, info->name, v);
	s = kvol_unpublish(pool, info->name, target, NULL, &err);
	return r < 0 ? r : call(s, "unpublish", info->name);
}

static int check_fsck(struct kvol_pool *pool, const struct kvol_info *info)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .flags = KVOL_PUBLISH_BLOCK };
	char target[100];
	int r, s;

	snprintf(target, sizeof(target), "%s/device", dir);
	r = call(kvol_publish(pool, info->name, target, &o, &err),
		 "publish the device of", info->name);
	if (r < 0)
		return r;
	if (sh(!strcmp(info->fs_type, "xfs") ? "exec xfs_repair -n '%s'"
					     : "exec e2fsck -fn '%s'",
	       target) != 0)
		r = wrong(why, "'%s': its %s has faults: %s", info->name, info->fs_type,
			  sh_output());
	n_fs++;
	s = kvol_unpublish(pool, info->name, target, NULL, &err);
	return r < 0 ? r : call(s, "unpublish the device of", info->name);
}

/* --- The pool --------------------------------------------------------------------- */

struct names {
	unsigned n;
	char names[ITEMS_MAX][256];
};

static bool is_listed(void *arg, const char *name)
{
	const struct names *names = arg;

	for (unsigned i = 0; i < names->n; i++)
		if (!strcmp(names->names[i], name))
			return true;
	return false;
}

static int check_volume(struct kvol_pool *pool, const struct kvol_info *info, bool is_new,
			unsigned *fscks_left)
{
	const struct volume *v = check_find(&expected, info->name, info->kind,
					    info->bytes, info->source, info->fs_type);
	int r;

	if (!v || is_new)
		return wrong(why, "there is a volume '%s', which should not be there",
			     info->name);
	if (!info->fs_type[0])
		return 0;
	r = check_mounted(pool, info, v);
	if (r < 0 || info->kind == KVOL_KIND_SNAPSHOT || !*fscks_left)
		return r;
	--*fscks_left;
	return check_fsck(pool, info);
}

static int check_volumes(struct kvol_pool *pool, bool is_new)
{
	static struct names names;
	unsigned fscks_left = FSCKS;
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;
	const char *missing;
	int r;

	names.n = 0;
	r = call(kvol_list(pool, 0, &iter, &err), "list", "");
	if (r < 0)
		return r;
	while ((r = kvol_iter_next(iter, &info)) == 1 && names.n < ITEMS_MAX) {
		memcpy(names.names[names.n++], info.name, sizeof(info.name));
		r = check_volume(pool, &info, is_new, &fscks_left);
		if (r < 0)
			break;
	}
	kvol_iter_free(iter);
	if (r < 0)
		return why[0] ? r : wrong(why, "the listing failed: %s", strerror(-r));
	missing = is_new ? NULL : check_missing(&expected, is_listed, &names);
	return missing ? wrong(why, "'%s' was acknowledged and is not listed", missing)
		       : 0;
}

static int check_alive(struct kvol_pool *pool)
{
	int r;

	r = call(kvol_create(pool, "after", 1 << 20, NULL, &err), "create", "after");
	if (r == 0)
		r = call(kvol_snapshot(pool, "after", "later", NULL, &err), "snapshot",
			 "later");
	if (r == 0)
		r = call(kvol_delete(pool, "after", 0, &err), "delete", "after");
	if (r == 0)
		r = call(kvol_delete(pool, "later", 0, &err), "delete", "later");
	return r;
}

static int use_pool(struct kvol_pool *pool)
{
	struct kvol_pool_info info = { .size = sizeof(info) };
	bool is_new;
	int r;

	r = call(kvol_pool_stat(pool, &info, &err), "stat", DEVICE);
	if (r < 0)
		return r;
	is_new = expected.new && !strcmp(info.name, expected.new);
	if (!is_new && (!expected.pool || strcmp(info.name, expected.pool)))
		return wrong(why, "the pool is called '%s'", info.name);
	if (info.flags)
		return wrong(why, "the pool has the flags 0x%x", info.flags);
	r = check_volumes(pool, is_new);
	return r < 0 ? r : check_alive(pool);
}

/* --- Afterwards ------------------------------------------------------------------- */

static int check_kernel(void)
{
	char uuid[128];
	glob_t found;
	int r = 0;

	if (glob("/sys/block/dm-*/dm/uuid", 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++) {
		FILE *f = fopen(found.gl_pathv[i], "re");

		if (f && fgets(uuid, sizeof(uuid), f) && !strncmp(uuid, "KVOL-", 5))
			r = wrong(why, "a device is left: %s", uuid);
		if (f)
			(void)fclose(f);
	}
	globfree(&found);
	return r;
}

/* What lies on the device now, by other tools. */
static int check_disk(void)
{
	struct image im = { .fd = open(DEVICE_PATH, O_RDONLY | O_CLOEXEC) };
	int r;

	if (im.fd < 0)
		return wrong(why, DEVICE_PATH ": %s", strerror(errno));
	r = check_image(&check, &im, &expected, CHECK_SETTLED, why) == VERDICT_POOL ? 0
										    : -1;
	image_close(&im);
	return r;
}

static int check_open(void)
{
	struct kvol_pool *pool;
	int r;

	r = kvol_pool_open(ctx, DEVICE_PATH, NULL, &pool, &err);
	if (r == -EMEDIUMTYPE && (expected.new || !expected.pool)) {
		n_none++;
		return check_kernel();
	}
	if (r < 0)
		return call(r, "open", DEVICE);
	n_pools++;
	r = use_pool(pool);
	if (kvol_pool_deactivate(pool, &err) < 0 && r == 0)
		r = call(-1, "deactivate", DEVICE);
	kvol_pool_close(pool);
	if (r == 0)
		r = check_kernel();
	return r < 0 ? r : check_disk();
}

/* --- Images ----------------------------------------------------------------------- */

static int device_open(struct image *im, const char *path)
{
	memset(im, 0, sizeof(*im));
	im->bytes = history.slice_sectors * WLOG_SECTOR;
	im->fd = open(path, O_RDWR | O_CLOEXEC);
	if (im->fd < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return im->fd < 0 ? -1 : 0;
}

static int device_sync(struct image *im, int r)
{
	if (r == 0 && fsync(im->fd) < 0) {
		fprintf(stderr, "fsync: %s\n", strerror(errno));
		r = -1;
	}
	image_close(im);
	return r;
}

static int advance(const char *base, uint32_t from, uint32_t to)
{
	struct image im;

	if (device_open(&im, base) < 0)
		return -1;
	return device_sync(&im, cut_replay(&rec, &history, from, to, image_write, &im));
}

static int make_image(const struct cut *cut, const char *base, const char *spare)
{
	unsigned long long n = history.slice_sectors;
	struct image im;

	if (sh("exec dmsetup create " DEVICE " --table '0 %llu snapshot %s %s N 16'", n,
	       base, spare) != 0) {
		fprintf(stderr, "dmsetup: %s\n", sh_output());
		return -1;
	}
	if (device_open(&im, DEVICE_PATH) < 0)
		return -1;
	return device_sync(&im, cut_apply(&rec, &history, cut, image_write, &im));
}

static int remove_image(void)
{
	if (sh("exec dmsetup remove " DEVICE) == 0)
		return 0;
	fprintf(stderr, "dmsetup: %s\n", sh_output());
	return -1;
}

static int open_all(const struct cut *cuts, long n, const char *base, const char *spare)
{
	char text[CUT_TEXT];
	unsigned violations = 0;
	uint32_t at = 0;
	int r = 0;

	for (long i = 0; i < n; i++) {
		r = advance(base, at, cuts[i].base);
		at = cuts[i].base;
		if (r == 0)
			r = history_at(&history, cuts[i].end, &expected);
		if (r == 0)
			r = make_image(&cuts[i], base, spare);
		if (r < 0)
			return -1;
		why[0] = 0;
		if (check_open() < 0) {
			cut_print(&cuts[i], text);
			printf("# violation: opened cut %s: %s\n", text, why);
			violations++;
		}
		fflush(stdout);
		/* What still stands on it would spoil the rest. */
		if (remove_image() < 0) {
			printf("# violation: the disk cannot be let go; %ld cuts were not opened\n",
			       n - i - 1);
			violations++;
			n = i + 1;
		}
	}
	printf("# opened %ld images: %u pools, %u without one; %u synced files read, %u file systems "
	       "checked\nopened %ld\nviolations %u\n",
	       n, n_pools, n_none, n_files, n_fs, n, violations);
	return !!violations;
}

static int prepare(const char *log)
{
	const char *scratch = getenv("KVOL_GUEST_SCRATCH");
	char path[64];
	int fd;

	if (wlog_open(log, &rec) < 0 || history_read(&rec, &history) < 0)
		return -1;
	if (!mkdtemp(dir)) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return -1;
	}
	/* thin_check wants O_DIRECT, which a tmpfs did not have for long. */
	snprintf(check.dir, sizeof(check.dir), "%s", scratch ? scratch : dir);
	snprintf(path, sizeof(path), "%s/mnt", dir);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/device", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	(void)kv_close(fd);
	/* dmsetup makes its node itself then. */
	(void)setenv("DM_DISABLE_UDEV", "1", 1);
	return kvol_new(NULL, &ctx, &err);
}

/* Where there is nothing to open yet the native judge has seen enough. So it has of torn
 * requests; here they would find again and again that a torn superblock is the end of a
 * volume's ext4, whose checksums are its owner's. */
static long choose(long n, uint64_t seed, struct cut **ret)
{
	struct cut_choice choice = { .n_flushes = n / 2,
				     .n_between = n - n / 2,
				     .seed = seed };

	for (unsigned i = 0; i < history.n_ops; i++)
		if (history.ops[i].m.verb == VERB_FORMAT) {
			choice.from = history.ops[i].ack;
			break;
		}
	return cut_choose(&rec, &history, &choice, ret);
}

int main(int argc, char **argv)
{
	struct cut cut, *cuts = &cut;
	const char *only = NULL;
	uint64_t seed = 1;
	long n = 10;
	int opt, r;

	while ((opt = getopt(argc, argv, "n:s:c:")) != -1) {
		switch (opt) {
		case 'n':
			n = strtol(optarg, NULL, 10);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 10);
			break;
		case 'c':
			only = optarg;
			break;
		default:
			return 2;
		}
	}
	if (argc - optind != 3 || n < 2) {
		fprintf(stderr,
			"usage: opener [-n CUTS] [-s SEED] [-c CUT] LOG BASE SPARE\n");
		return 2;
	}
	if (prepare(argv[optind]) < 0)
		return 2;
	if (only)
		n = cut_parse(only, &rec, &cut) < 0 ? -1 : 1;
	else
		n = choose(n, seed, &cuts);
	if (n < 0)
		return 2;
	r = open_all(cuts, n, argv[optind + 1], argv[optind + 2]);
	return r < 0 ? 2 : r;
}
