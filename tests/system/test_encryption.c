// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Encrypted volumes on the real dm-crypt: what is on the disk, who gets in, and that
 * everything that is done with other volumes is done with these.
 *
 * The secret is put together at run time, so that finding it anywhere means something.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#define SECRET_BYTES 32

static char *secret; /* in no core dump */
static char a[256], b[256], dev[256];

/* Not a word of it stands in the program. */
static void put_together(char *ret, unsigned n)
{
	for (unsigned i = 0; i < SECRET_BYTES; i++)
		ret[i] = (char)('a' + (i * 7 + n * 3 + i * i) % 26);
}

static bool long_form(void)
{
	return getenv("KVOL_TEST_LONG") != NULL;
}

static int up(void **state)
{
	if (pool_up(state) < 0)
		return -1;
	secret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	assert_true(secret != MAP_FAILED);
	assert_int_equal(madvise(secret, 4096, MADV_DONTDUMP), 0);
	put_together(secret, 1);
	put_together(secret + 64, 4);
	(void)snprintf(a, sizeof(a), "%s", make_dir("a"));
	(void)snprintf(b, sizeof(b), "%s", make_dir("b"));
	(void)snprintf(dev, sizeof(dev), "%s", make_file("dev"));
	return 0;
}

static int create_with(const char *name, uint64_t bytes, const char *fs, const void *data,
		       uint64_t n)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = fs,
				      .secret = data,
				      .secret_bytes = n };

	return kvol_create(pool, name, bytes, &o, &err);
}

static int create(const char *name, uint64_t bytes, const char *fs)
{
	return create_with(name, bytes, fs, secret, SECRET_BYTES);
}

static int publish_with(const char *name, const char *target, uint32_t flags,
			const void *data, uint64_t n)
{
	struct kvol_publish_opts o = {
		.size = sizeof(o), .flags = flags, .secret = data, .secret_bytes = n
	};

	return kvol_publish(pool, name, target, &o, &err);
}

static int open_at(const char *name, const char *target, uint32_t flags)
{
	return publish_with(name, target, flags, secret, SECRET_BYTES);
}

static int close_at(const char *name, const char *target)
{
	return kvol_unpublish(pool, name, target, NULL, &err);
}

/* 1: the file holds these bytes somewhere, 0: it does not; holes are not read. */
static int holds(const char *path, const void *bytes, size_t n)
{
	static char buf[1 << 20];
	off_t at = 0, end = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return 0; /* a process that has ended */
	for (;;) {
		if (at >= end) {
			at = lseek(fd, at, SEEK_DATA);
			end = at < 0 ? 0 : lseek(fd, at, SEEK_HOLE);
			if (at < 0 && errno == EINVAL) /* of /proc: read it through */
				at = 0, end = (off_t)1 << 60;
			if (at < 0)
				break;
		}
		got = pread(fd, buf, sizeof(buf), at);
		if (got <= 0)
			break;
		if (memmem(buf, (size_t)got, bytes, n)) {
			(void)close(fd);
			return 1;
		}
		at += got < (ssize_t)sizeof(buf) ? got : got - 256;
	}
	(void)close(fd);
	return 0;
}

static int pool_holds(const char *text)
{
	sync();
	return holds(pool_path, text, strlen(text));
}

static void no_key_is_left(void)
{
	assert_int_equal(sh("grep kvol: /proc/keys"), 1);
}

static void write_secret(const char *path, const char *which)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, which, SECRET_BYTES), SECRET_BYTES);
	assert_int_equal(close(fd), 0);
}

/* An argon2id takes seconds in the guest. Where it is not what is looked at, one more is
 * the last: the volume, which is active, gets a slot that costs nothing, as do its copies.
 */
static void make_cheap(const char *name)
{
	write_secret(in_dir("secret"), secret);
	assert_sh("set -e; d=%s\n"
		  "cryptsetup luksConvertKey -q -d %s/secret --pbkdf pbkdf2 "
		  "--pbkdf-force-iterations 1000 /dev/$(ls /sys/block/${d#/dev/}/slaves)",
		  info_of(name).device, dir);
	assert_int_equal(unlink(in_dir("secret")), 0);
}

/* --- What is made ----------------------------------------------------------------- */

static void data_is_on_the_disk_encrypted(void **state)
{
	(void)state;
	assert_ok(create("v", MIB(64), "ext4"));
	assert_ok(create_fs("plain", MIB(64), "ext4"));
	assert_ok(open_at("v", a, 0));
	assert_ok(kvol_publish(pool, "plain", b, NULL, &err));
	assert_sh("for i in $(seq 500); do echo BEGIN-''hidden-END; done >%s/x", a);
	assert_sh("for i in $(seq 500); do echo BEGIN-''shown-END; done >%s/x; sync", b);
	assert_int_equal(pool_holds("BEGIN-shown-END"), 1);
	assert_int_equal(pool_holds("BEGIN-hidden-END"), 0);
	assert_int_equal(info_of("v").flags, KVOL_INFO_ENCRYPTED);
	assert_int_equal(info_of("plain").flags, 0);
	assert_int_equal(info_of("v").bytes, MIB(64));
	assert_ok(close_at("v", a));
	assert_ok(close_at("plain", b));
	no_key_is_left();
	assert_ok(open_at("v", a, 0));
	assert_sh("test $(sort -u %s/x) = BEGIN-hidden-END", a);
	make_cheap("v");
	assert_ok(close_at("v", a));
}

static void creating_again_compares(void **state)
{
	(void)state;
	assert_ok(create("v", MIB(64), "ext4"));
	assert_kvol(create_fs("v", MIB(64), "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	assert_kvol(create("plain", MIB(64), "ext4"), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
}

/* On the file system that is behind the encryption. The short form takes one type:
 * test_owner has all of them without. */
static void its_root_directory_can_have_an_owner(void **state)
{
	static const struct {
		const char *fs;
		uint64_t bytes;
	} types[] = { { "ext4", MIB(64) }, { "xfs", MIB(300) }, { "btrfs", MIB(256) } };
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_OWNER | KVOL_CREATE_MODE,
				      .secret = secret,
				      .secret_bytes = SECRET_BYTES,
				      .uid = 1000,
				      .gid = 2000,
				      .mode = 02770 };
	struct stat st;

	(void)state;
	for (size_t i = 0; i < (long_form() ? N_OF(types) : 1); i++) {
		o.fs_type = types[i].fs;
		assert_ok(kvol_create(pool, "owned", types[i].bytes, &o, &err));
		assert_string_equal(info_of("owned").device, "");
		assert_ok(open_at("owned", a, 0));
		assert_int_equal(stat(a, &st), 0);
		assert_int_equal(st.st_uid, 1000);
		assert_int_equal(st.st_gid, 2000);
		assert_int_equal(st.st_mode & 07777, 02770);
		assert_ok(close_at("owned", a));
		assert_ok(kvol_delete(pool, "owned", 0, &err));
	}
}

/* Header and all; and it takes no discards, also after it has grown. */
static void it_can_be_thick(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .flags = KVOL_CREATE_THICK,
				      .fs_type = "ext4",
				      .secret = secret,
				      .secret_bytes = SECRET_BYTES };
	const uint64_t header = MIB(1);

	(void)state;
	assert_ok(kvol_create(pool, "thick", MIB(32), &o, &err));
	assert_int_equal(info_of("thick").flags, KVOL_INFO_THICK | KVOL_INFO_ENCRYPTED);
	assert_int_equal(info_of("thick").allocated, MIB(32) + header);
	assert_ok(open_at("thick", a, 0));
	assert_sh("! fstrim %s 2>/dev/null", a);
	assert_ok(kvol_expand(pool, "thick", MIB(48), 0, &err));
	assert_int_equal(info_of("thick").allocated, MIB(48) + header);
	assert_sh("! fstrim %s 2>/dev/null", a);
	assert_true(fs_bytes(a) > MIB(32));
	assert_ok(close_at("thick", a));
	/* Nobody has it: the blocks come now, the file system grows with its next publish. */
	assert_ok(kvol_expand(pool, "thick", MIB(64), 0, &err));
	assert_int_equal(info_of("thick").allocated, MIB(64) + header);
	assert_ok(open_at("thick", a, 0));
	assert_true(fs_bytes(a) > MIB(48));
	assert_int_equal(info_of("thick").allocated, MIB(64) + header);
	assert_ok(close_at("thick", a));
	assert_ok(kvol_delete(pool, "thick", 0, &err));
}

static void bad_secrets_are_refused(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .secret = secret,
				      .secret_bytes = SECRET_BYTES };

	(void)state;
	assert_invalid(create_with("x", MIB(64), NULL, secret, 0));
	assert_invalid(create_with("x", MIB(64), NULL, NULL, 1));
	assert_invalid(create_with("x", MIB(64), NULL, secret, 4097));
	assert_invalid(kvol_clone(pool, "v", "x", &o, &err));
	assert_invalid(publish_with("v", a, 0, secret, 0));
	assert_invalid(publish_with("v", a, 0, secret, 4097));
	assert_invalid(open_at("plain", a, 0));
}

/* --- Who gets in ------------------------------------------------------------------ */

static void the_secret_is_needed_and_looked_at(void **state)
{
	char other[SECRET_BYTES];

	(void)state;
	put_together(other, 2);
	assert_kvol(kvol_publish(pool, "v", a, NULL, &err), -ENOKEY, KVOL_R_NEEDS_SECRET);
	assert_kvol(publish_with("v", a, 0, other, sizeof(other)), -EACCES,
		    KVOL_R_WRONG_SECRET);
	assert_kvol(publish_with("v", a, 0, secret, SECRET_BYTES - 1), -EACCES,
		    KVOL_R_WRONG_SECRET);
	no_key_is_left();
	/* Also where it is in use, and for a repeat. */
	assert_ok(open_at("v", a, 0));
	assert_ok(open_at("v", a, 0));
	assert_kvol(publish_with("v", a, 0, other, sizeof(other)), -EACCES,
		    KVOL_R_WRONG_SECRET);
	assert_kvol(publish_with("v", b, 0, other, sizeof(other)), -EACCES,
		    KVOL_R_WRONG_SECRET);
	assert_string_equal(info_of("v").name, "v");
	write_file(in_dir("a/still"), "there");
	assert_ok(open_at("v", b, 0));
	assert_ok(close_at("v", b));
	assert_ok(close_at("v", a));
	no_key_is_left();
}

static int change(const char *name, const void *from, const void *to)
{
	return kvol_change_secret(pool, name, from, SECRET_BYTES, to, SECRET_BYTES, 0,
				  &err);
}

static void the_secret_can_be_changed(void **state)
{
	char other[SECRET_BYTES], third[SECRET_BYTES];

	(void)state;
	put_together(other, 2);
	put_together(third, 3);
	assert_ok(kvol_snapshot(pool, "v", "before", NULL, &err));
	assert_ok(change("v", secret, other));
	assert_ok(change("v", secret, other));
	/* A copy that was made before kept the old one. */
	assert_ok(open_at("before", a, 0));
	assert_ok(close_at("before", a));
	assert_ok(kvol_delete(pool, "before", 0, &err));
	assert_kvol(change("v", secret, third), -EACCES, KVOL_R_WRONG_SECRET);
	assert_ok(publish_with("v", a, 0, other, sizeof(other)));
	/* In use, and across a boot, as it were. */
	assert_ok(change("v", other, third));
	assert_ok(close_at("v", a));
	pool_cycle();
	assert_kvol(publish_with("v", a, 0, other, sizeof(other)), -EACCES,
		    KVOL_R_WRONG_SECRET);
	assert_ok(publish_with("v", a, 0, third, sizeof(third)));
	assert_ok(change("v", third, secret));
	make_cheap("v");
	assert_ok(close_at("v", a));
	no_key_is_left();
}

static void bad_changes_are_refused(void **state)
{
	(void)state;
	assert_kvol(change("absent", secret, secret), -ENOENT, KVOL_R_NOT_FOUND);
	assert_invalid(change("plain", secret, secret));
	assert_invalid(change("v", NULL, secret));
	assert_invalid(kvol_change_secret(pool, "v", NULL, 0, secret, 1, 0, &err));
	assert_invalid(kvol_change_secret(pool, "v", secret, SECRET_BYTES, secret, 4097,
					  0, &err));
	assert_invalid(kvol_change_secret(pool, "v", secret, SECRET_BYTES, secret, 1,
					  UNKNOWN_FLAG, &err));
	assert_invalid(kvol_change_secret(NULL, "v", secret, 1, secret, 1, 0, &err));
	for (size_t i = 0; i < N_OF(bad_names); i++)
		assert_invalid(change(bad_names[i], secret, secret));
}

/* --- As with other volumes -------------------------------------------------------- */

/* It is in use at a: nothing is synced by hand. */
static void beside_its_copies(void)
{
	write_file(in_dir("a/file"), "first");
	assert_ok(kvol_snapshot(pool, "o", "s", NULL, &err));
	write_file(in_dir("a/file"), "second");
	assert_int_equal(info_of("s").flags, KVOL_INFO_ENCRYPTED);
	assert_ok(open_at("s", b, 0));
	assert_string_equal(read_file(in_dir("b/file")), "first");
	assert_ok(close_at("s", b));
	assert_ok(kvol_clone(pool, "s", "c", NULL, &err));
	assert_ok(open_at("c", b, 0));
	write_file(in_dir("b/file"), "third");
	assert_string_equal(read_file(in_dir("a/file")), "second");
	assert_ok(close_at("c", b));
}

/* And its snapshot outlives it. */
static void grown_without_the_secret(void)
{
	assert_ok(kvol_expand(pool, "o", MIB(448), 0, &err));
	assert_true(fs_bytes(a) > MIB(380));
	assert_sh("test $(blockdev --getsize64 %s) = %llu", info_of("o").device,
		  (unsigned long long)MIB(448));
	assert_string_equal(read_file(in_dir("a/file")), "second");
	assert_sh("dd if=/dev/urandom of=%s/more bs=1M count=20 conv=fsync", a);
	assert_ok(close_at("o", a));
	/* Not in use it has to wait for the secret. */
	assert_ok(kvol_expand(pool, "o", MIB(576), 0, &err));
	assert_int_equal(info_of("o").bytes, MIB(576));
	assert_ok(open_at("o", a, 0));
	assert_true(fs_bytes(a) > MIB(500));
	assert_string_equal(read_file(in_dir("a/file")), "second");
	assert_ok(close_at("o", a));
	assert_ok(kvol_delete(pool, "o", 0, &err));
	assert_ok(open_at("s", b, 0));
	assert_string_equal(read_file(in_dir("b/file")), "first");
	assert_ok(close_at("s", b));
	assert_ok(kvol_delete(pool, "s", 0, &err));
	assert_ok(kvol_delete(pool, "c", 0, &err));
}

/* One after the other does what is done with volumes; all of it to one, for what takes the
 * time is not the disk. The short form leaves out ext4, which the other tests have. */
static void its_file_systems_are_like_others(void **state)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs" };

	(void)state;
	for (size_t i = long_form() ? 0 : 1; i < N_OF(types); i++) {
		assert_ok(create("o", MIB(320), types[i]));
		assert_ok(open_at("o", a, 0));
		assert_sh("test $(blockdev --getsize64 %s) = %llu", info_of("o").device,
			  (unsigned long long)MIB(320));
		make_cheap("o");
		beside_its_copies();
		grown_without_the_secret();
	}
	no_key_is_left();
}

static void the_device_is_the_decrypted_one(void **state)
{
	const uint32_t block = KVOL_PUBLISH_BLOCK;

	(void)state;
	assert_ok(create("raw", MIB(16), NULL));
	assert_ok(open_at("raw", dev, block));
	make_cheap("raw");
	assert_sh("test $(blockdev --getsize64 %s) = %llu", dev,
		  (unsigned long long)MIB(16));
	assert_sh("yes words-in-clear | dd of=%s bs=4096 count=64 conv=fsync iflag=fullblock",
		  dev);
	assert_int_equal(pool_holds("words-in-clear"), 0);
	assert_ok(kvol_snapshot(pool, "raw", "raws", NULL, &err));
	assert_ok(open_at("raw", make_file("ro"), block | KVOL_PUBLISH_READONLY));
	assert_sh("head -c 4096 %s | grep -q words-in-clear", in_dir("ro"));
	assert_int_equal(sh("dd if=/dev/zero of=%s bs=4096 count=1", in_dir("ro")), 1);
	assert_ok(close_at("raw", in_dir("ro")));
	assert_ok(close_at("raw", dev));
	assert_ok(open_at("raws", dev, block));
	assert_sh("head -c 4096 %s | grep -q words-in-clear", dev);
	assert_int_equal(sh("dd if=/dev/zero of=%s bs=4096 count=1", dev), 1);
	assert_kvol(change("raws", secret, secret), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_ok(close_at("raws", dev));
	assert_ok(kvol_delete(pool, "raws", 0, &err));
	assert_ok(open_at("raw", dev, block));
	assert_ok(kvol_expand(pool, "raw", MIB(32), 0, &err));
	assert_sh("test $(blockdev --getsize64 %s) = %llu", dev,
		  (unsigned long long)MIB(32));
	assert_ok(close_at("raw", dev));
	assert_ok(kvol_expand(pool, "raw", MIB(48), 0, &err));
	assert_ok(open_at("raw", dev, block));
	assert_sh("test $(blockdev --getsize64 %s) = %llu", dev,
		  (unsigned long long)MIB(48));
	assert_ok(close_at("raw", dev));
	assert_ok(kvol_delete(pool, "raw", 0, &err));
	no_key_is_left();
}

static void space_comes_back(void **state)
{
	uint64_t full;

	(void)state;
	assert_ok(open_at("v", a, 0));
	assert_sh("dd if=/dev/urandom of=%s/big bs=1M count=30 conv=fsync", a);
	full = info_of("v").allocated;
	assert_sh("rm %s/big && sync -f %s && fstrim %s", a, a, a);
	assert_true(info_of("v").allocated < full - MIB(20));
	assert_ok(close_at("v", a));
}

static void a_published_one_keeps_the_pool(void **state)
{
	(void)state;
	assert_ok(open_at("v", a, 0));
	assert_kvol(kvol_delete(pool, "v", 0, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_kvol(kvol_pool_deactivate(pool, &err), -EBUSY, KVOL_R_BUSY_PUBLISHED);
	assert_ok(close_at("v", a));
	pool_cycle();
}

/* What cryptsetup makes of a thin device that dmsetup has made. */
static void stock_tools_can_rescue_it(void **state)
{
	char path[256], name[128];
	unsigned id;

	(void)state;
	assert_ok(open_at("v", a, 0));
	assert_sh("cat /sys/block/%s/dm/name", info_of("v").device + strlen("/dev/"));
	assert_int_equal(sscanf(sh_output(), "%127s", name), 1);
	assert_int_equal(sscanf(strrchr(name, '-'), "-%uc", &id), 1);
	assert_ok(close_at("v", a));
	*strrchr(name, '-') = '\0';
	(void)snprintf(path, sizeof(path), "%s", in_dir("secret"));
	write_secret(path, secret);
	assert_sh("set -e; export DM_DISABLE_UDEV=1\n"
		  "pool=$(dmsetup info -c --noheadings -o major,minor --separator : %s-pool)\n"
		  "dmsetup create rescue --table \"0 $((65 << 11)) thin $pool %u\"\n"
		  "cryptsetup open --readonly -d %s /dev/mapper/rescue rescued\n"
		  "mount -o ro /dev/mapper/rescued %s\n"
		  "test $(sort -u %s/x) = BEGIN-hidden-END\n"
		  "umount %s\n"
		  "cryptsetup close rescued\n"
		  "dmsetup remove rescue\n",
		  name, id, path, a, a, a);
	assert_int_equal(unlink(path), 0);
}

/* --- Where secrets do not go ------------------------------------------------------ */

struct spy {
	char log[256];
};

static void log_line(void *arg, int priority, const char *msg)
{
	struct spy *spy = arg;
	int fd = open(spy->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)priority;
	(void)!write(fd, msg, strlen(msg));
	(void)close(fd);
}

/* Everything that takes a secret, and then it dies with a core dump. */
static int use_and_dump(void *arg)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct kvol_ctx_opts co = { .size = sizeof(co), .log = log_line, .log_arg = arg };
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "ext4",
				      .secret = secret,
				      .secret_bytes = SECRET_BYTES };
	struct kvol_publish_opts po = { .size = sizeof(po),
					.secret = secret,
					.secret_bytes = SECRET_BYTES };
	struct kvol_ctx *c;
	struct kvol_pool *p;

	CHILD_CHECK(chdir(dir) == 0 && setrlimit(RLIMIT_CORE, &unlimited) == 0);
	CHILD_CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	CHILD_CHECK(kvol_new(&co, &c, NULL) == 0);
	CHILD_CHECK(kvol_pool_open(c, pool_path, NULL, &p, NULL) == 0);
	CHILD_CHECK(kvol_create(p, "spied", MIB(32), &o, NULL) == 0);
	CHILD_CHECK(kvol_change_secret(p, "spied", secret, SECRET_BYTES, secret + 64,
				       SECRET_BYTES, 0, NULL) == 0);
	CHILD_CHECK(kvol_publish(p, "spied", a, &po, &err) == -EACCES);
	CHILD_CHECK(kvol_change_secret(p, "spied", secret + 64, SECRET_BYTES, secret,
				       SECRET_BYTES, 0, NULL) == 0);
	CHILD_CHECK(kvol_publish(p, "spied", a, &po, NULL) == 0);
	(void)signal(SIGQUIT, SIG_DFL);
	(void)raise(SIGQUIT);
	return __LINE__;
}

/* The volume key, as cryptsetup gets it from the header. */
static void dump_key(char ret[64])
{
	int fd;

	assert_sh("set -e; d=%s; export DM_DISABLE_UDEV=1; cd %s\n"
		  "thin=/dev/$(ls /sys/block/${d#/dev/}/slaves)\n"
		  "cryptsetup luksDump -q -d secret --dump-volume-key "
		  "--volume-key-file key $thin",
		  info_of("spied").device, dir);
	fd = open(in_dir("key"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, ret, 64), 64);
	(void)close(fd);
	assert_int_equal(unlink(in_dir("key")), 0);
}

/* In which of the files that the command names it is; how many. */
static unsigned search(const char *command, const void *bytes, size_t n)
{
	unsigned found = 0, seen = 0;
	char names[65536], *rest = names, *name;

	assert_sh("cd %s && %s", dir, command);
	(void)snprintf(names, sizeof(names), "%s", sh_output());
	assert_int_equal(chdir(dir), 0);
	while ((name = strtok_r(rest, "\n", &rest))) {
		seen++;
		if (!holds(name, bytes, n))
			continue;
		print_error("found in %s\n", name);
		found++;
	}
	assert_true(seen > 0);
	return found;
}

static void secrets_and_keys_are_nowhere(void **state)
{
	char in_pool[256], key[64];
	struct spy spy;

	(void)state;
	(void)snprintf(in_pool, sizeof(in_pool), "echo %s", pool_path);
	(void)snprintf(spy.log, sizeof(spy.log), "%s", in_dir("log"));
	log_line(&spy, 0, "begun");
	assert_sh("echo core >/proc/sys/kernel/core_pattern");
	assert_sh("echo 0 >/proc/sys/kernel/core_uses_pid");
	assert_int_equal(in_child(use_and_dump, &spy), -(128 + SIGQUIT));
	assert_true(is_mounted(a));

	write_secret(in_dir("secret"), secret);
	dump_key(key);
	assert_sh("test -s %s", in_dir("core"));
	for (int i = 0; i < 3; i++) {
		const char *what = i == 2 ? key : secret + 64 * i;
		size_t n = i == 2 ? sizeof(key) : SECRET_BYTES;

		assert_int_equal(search("echo core; echo log", what, n), 0);
		assert_int_equal(search("find /run/kvol -type f", what, n), 0);
		assert_int_equal(search(in_pool, what, n), 0);
		assert_int_equal(search("ls /proc/[0-9]*/cmdline /proc/[0-9]*/environ",
					what, n),
				 0);
	}
	/* They would be found. */
	assert_int_equal(search("echo secret", secret, SECRET_BYTES), 1);
	assert_int_equal(sh("dmsetup table --showkeys | grep crypt | grep -v :logon:"), 1);
	assert_sh("rm %s %s", in_dir("secret"), in_dir("core"));
	assert_ok(close_at("spied", a));
	assert_ok(kvol_delete(pool, "spied", 0, &err));
	no_key_is_left();
}

/* --- Deaths ----------------------------------------------------------------------- */

static void busy(unsigned seed)
{
	struct kvol_create_opts o = { .size = sizeof(o),
				      .fs_type = "ext4",
				      .secret = secret,
				      .secret_bytes = SECRET_BYTES };
	struct kvol_publish_opts po = { .size = sizeof(po),
					.secret = secret,
					.secret_bytes = SECRET_BYTES };
	struct kvol_pool *p;

	if (kvol_pool_open(ctx, pool_path, NULL, &p, NULL) < 0)
		_exit(1);
	for (unsigned i = seed;; i++) {
		if (i % 3 == 0)
			(void)kvol_create(p, "k", MIB(32), &o, NULL);
		else if (i % 3 == 1)
			(void)kvol_publish(p, "v", a, &po, NULL);
		(void)kvol_snapshot(p, "v", "vs", NULL, NULL);
		(void)kvol_expand(p, "v", MIB(64) + MIB(16) * (seed + 1), 0, NULL);
		(void)kvol_change_secret(p, "v", secret, SECRET_BYTES, secret + 64,
					 SECRET_BYTES, 0, NULL);
		(void)kvol_change_secret(p, "v", secret + 64, SECRET_BYTES, secret,
					 SECRET_BYTES, 0, NULL);
		(void)kvol_unpublish(p, "v", a, NULL, NULL);
		(void)kvol_delete(p, "vs", 0, NULL);
		(void)kvol_delete(p, "k", 0, NULL);
	}
}

static void killed_at_any_moment_it_is_whole(void **state)
{
	unsigned rounds = long_form() ? 60 : 4;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			busy(i % 9);
			_exit(1);
		}
		pause_ms(150 + (long)(i * 977 % 3000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		pool_reopen();
		/* By one or the other; then by the first again. */
		if (open_at("v", a, 0) < 0) {
			assert_int_equal(err.reason, KVOL_R_WRONG_SECRET);
			assert_ok(change("v", secret + 64, secret));
			assert_ok(open_at("v", a, 0));
		}
		write_file(in_dir("a/alive"), "yes");
		assert_sh("test $(sort -u %s/x) = BEGIN-hidden-END", a);
		assert_ok(close_at("v", a));
		no_key_is_left();
	}
	assert_ok(kvol_delete(pool, "vs", 0, &err));
	assert_ok(kvol_delete(pool, "k", 0, &err));
}

/* The library says it, with the first volume. */
static void need_encryption(void)
{
	char why[sizeof(err.msg)];

	if (create("v", MIB(64), "ext4") != -EOPNOTSUPP)
		return;
	memcpy(why, err.msg, sizeof(why));
	(void)pool_down(NULL);
	printf("1..0 # SKIP %s\n", why);
	exit(77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_is_on_the_disk_encrypted),
		cmocka_unit_test(creating_again_compares),
		cmocka_unit_test(its_root_directory_can_have_an_owner),
		cmocka_unit_test(it_can_be_thick),
		cmocka_unit_test(bad_secrets_are_refused),
		cmocka_unit_test(the_secret_is_needed_and_looked_at),
		cmocka_unit_test(the_secret_can_be_changed),
		cmocka_unit_test(bad_changes_are_refused),
		cmocka_unit_test(its_file_systems_are_like_others),
		cmocka_unit_test(the_device_is_the_decrypted_one),
		cmocka_unit_test(space_comes_back),
		cmocka_unit_test(a_published_one_keeps_the_pool),
		cmocka_unit_test(stock_tools_can_rescue_it),
		cmocka_unit_test(secrets_and_keys_are_nowhere),
		cmocka_unit_test(killed_at_any_moment_it_is_whole),
	};

	need_device_mapper();
	if (up(NULL) < 0)
		return 1;
	need_encryption();
	return cmocka_run_group_tests_name("encryption", tests, NULL,
					   pool_down_encrypted);
}
