// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An attacker at the target: processes that exchange every component of its path, as fast
 * as they can, for a link into a directory that is none of theirs, for a file, and for a
 * directory of their own, and that mount over it, while volumes are published there and
 * taken away again.
 *
 * The secret tree mirrors the open one, name by name, and has mounts of its own where the
 * links lead: canaries. A publish that followed a link would cover one, an unpublish
 * would take one away. Both, and that nothing of the volumes ever stands outside the open
 * tree, are read from mountinfo after every call, in each namespace that there is. A call
 * gives 0, and then what it says is so, or a refusal that names what it met.
 *
 * Flips are counted in memory that all share; each test goes on until there were enough
 * of them, and enough calls among them.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

#define FLIPS_SHORT 34000u /* in each test; there are three */
#define FLIPS_LONG  1000000u
#define PAIRS_LEAST 30u /* of a publish and an unpublish that gave 0, in each test */
#define REFUSED_MOST 5000u /* in a row, where about ten are */
#define READY_MS    60000
#define N_FLIPPERS  3

/* The open tree: p/q/t is a target for a file system, p/q/n for a device. */
enum { OPEN, P, Q, N_DIRS };

/* What changes places: NAME and OTHER in one directory, which is known by its fd. */
static const struct {
	int in;
	const char *name, *other;
} exchanges[] = {
	{ OPEN, "p", "p.link" }, { OPEN, "p", "p.dir" }, { P, "q", "q.link" },
	{ Q, "t", "t.link" },	 { Q, "t", "t.file" },	 { Q, "n", "n.link" },
};

struct shared {
	atomic_ullong flips;
	atomic_uint ready; /* attackers that have opened the directories */
	atomic_bool stop;
};

static struct shared *shared;
static int dirs[N_DIRS];
static char target[256], node[256];
static struct resident pod;
static pid_t flippers[N_FLIPPERS];
static uint64_t seed = 1;
static unsigned long long all_flips, all_calls, all_pairs, all_refused;

/* --- The attackers ---------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 27;
}

/* The target's directory, by whatever name it has just now; for the attackers' mounts
 * alone. */
static int open_target(void)
{
	static const char *const names[] = { "t", "t.link", "t.file" };
	int fd = -1;

	for (size_t i = 0; i < N_OF(names) && fd < 0; i++)
		fd = openat(dirs[Q], names[i],
			    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

static bool cover(void)
{
	int fd = open_target();
	char path[64];
	bool done;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	done = fd >= 0 && mount("attacker", path, "tmpfs", 0, "size=4k") == 0;
	(void)close(fd);
	return done;
}

/* 1: a mount of the attackers' is gone; 0: none stands there; -1: it was not seen, as the
 * others exchange the directory's names. */
static int uncover(void)
{
	int fd = open_target(), done = 0;
	struct statfs st;
	char path[64];

	if (fd < 0 || fstatfs(fd, &st) < 0)
		done = -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (done == 0 && st.f_type == TMPFS_MAGIC)
		done = umount2(path, MNT_DETACH) == 0 ? 1 : -1;
	(void)close(fd);
	return done;
}

/* By the mounts of this process's namespace: a mount is put nowhere else. Before anybody
 * exchanges anything. */
static bool open_dirs(void)
{
	static const char *const paths[N_DIRS] = { "open", "open/p", "open/p/q" };

	for (size_t i = 0; i < N_DIRS; i++) {
		dirs[i] = open(in_dir("%s", paths[i]),
			       O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dirs[i] < 0)
			return false;
	}
	return true;
}

static bool exchange(size_t i)
{
	int fd = dirs[exchanges[i].in];

	return renameat2(fd, exchanges[i].name, fd, exchanges[i].other,
			 RENAME_EXCHANGE) == 0;
}

static void attack(uint64_t state)
{
	bool covers = false;

	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < N_FLIPPERS)
		(void)sched_yield();
	while (!atomic_load(&shared->stop)) {
		uint64_t r = next_random(&state);
		bool done;

		if (r % 256 == 0 || (covers && r % 4 == 0)) {
			done = covers ? uncover() == 1 : cover();
			covers = covers != done;
		} else {
			done = exchange((r >> 16) % N_OF(exchanges));
		}
		if (done)
			atomic_fetch_add(&shared->flips, 1);
		else /* refused: the volume stands just there */
			(void)sched_yield();
	}
	/* What is left would keep every later publish out, for good. */
	while (uncover() != 0)
		(void)sched_yield();
}

/* ns: the namespace that they live in, NULL for the caller's. */
static void start_attack(const char *ns)
{
	atomic_store(&shared->flips, 0);
	atomic_store(&shared->ready, 0);
	atomic_store(&shared->stop, false);
	for (size_t i = 0; i < N_FLIPPERS; i++) {
		flippers[i] = fork();
		assert_true(flippers[i] >= 0);
		if (flippers[i] == 0) {
			int fd = ns ? open(ns, O_RDONLY | O_CLOEXEC) : -1;

			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			if ((ns && setns(fd, CLONE_NEWNS) < 0) || !open_dirs())
				_exit(1);
			attack(seed * 1000 + i);
			_exit(0);
		}
	}
	for (long ms = 0; atomic_load(&shared->ready) < N_FLIPPERS; ms++) {
		assert_true(ms < READY_MS);
		pause_ms(1);
	}
}

/* The attackers' own mounts and flips, undone: the original directories have a file in
 * them. */
static void set_right(void)
{
	struct stat st;

	for (int tries = 0; tries < 100; tries++) {
		if (faccessat(dirs[OPEN], "p/original", F_OK, 0) < 0 ||
		    fstatat(dirs[OPEN], "p", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISDIR(st.st_mode))
			(void)exchange((size_t)tries % 2);
		if (fstatat(dirs[P], "q", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISDIR(st.st_mode))
			(void)exchange(2);
		if (fstatat(dirs[Q], "t", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISDIR(st.st_mode))
			(void)exchange(3 + (size_t)tries % 2);
		if (fstatat(dirs[Q], "n", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISLNK(st.st_mode))
			(void)exchange(5);
	}
	assert_int_equal(faccessat(dirs[OPEN], "p/q/original", F_OK, 0), 0);
}

static void end_attack(void)
{
	int status;

	atomic_store(&shared->stop, true);
	for (size_t i = 0; i < N_FLIPPERS; i++) {
		assert_int_equal(waitpid(flippers[i], &status, 0), flippers[i]);
		assert_int_equal(status, 0);
	}
	all_flips += atomic_load(&shared->flips);
}

/* --- What must hold --------------------------------------------------------------- */

/* Ours in this namespace; fails if one of them, or a canary, is not where it belongs. */
static unsigned look(const char *mountinfo)
{
	char line[4096], root[1024], point[1024], open_dir[160], secret[160];
	unsigned ours = 0, canaries = 0;
	FILE *f = fopen(mountinfo, "re");

	assert_non_null(f);
	(void)snprintf(open_dir, sizeof(open_dir), "%s/open/", dir);
	(void)snprintf(secret, sizeof(secret), "%s/secret/", dir);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(sscanf(line, "%*s %*s %*s %1023s %1023s", root, point),
				 2);
		if (strstr(line, " - ext4 /dev/dm-") || !strncmp(root, "/dm-", 4)) {
			ours++;
			if (strncmp(point, open_dir, strlen(open_dir)) != 0)
				fail_msg("escaped: %s", line);
		} else if (!strncmp(point, secret, strlen(secret))) {
			canaries++;
			if (!strstr(line, " - tmpfs canary "))
				fail_msg("over a canary: %s", line);
		}
	}
	(void)fclose(f);
	assert_int_equal(canaries, 3);
	return ours;
}

static void check(const char *ns, unsigned want, const char *what)
{
	char path[64];
	unsigned here = look("/proc/self/mountinfo"), there;

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", pod.pid);
	there = look(path);
	if ((ns ? there : here) != want || (ns ? here : there) != 0)
		fail_msg("%s: %u mounts here, %u in the pod", what, here, there);
}

/* A refusal names what it met, and leaves all as it was. */
static void check_refusal(int r, const char *what)
{
	bool known = (r == -ELOOP && err.reason == KVOL_R_INVALID) ||
		     (r == -ENOTDIR && err.reason == KVOL_R_INVALID) ||
		     (r == -EISDIR && err.reason == KVOL_R_INVALID) ||
		     (r == -EBUSY && err.reason == KVOL_R_BUSY_OPEN);

	if (!known)
		fail_msg("%s: %d, %s: %s", what, r, kvol_reason_str(err.reason), err.msg);
	all_refused++;
}

/* Until it gives 0, although it is refused again and again. */
static void insist(bool out, const char *ns, bool block)
{
	const char *name = block ? "raw" : "v", *at = block ? node : target;
	const char *what = out ? "unpublish" : "publish";
	unsigned refused = 0;
	int r;

	do {
		if (refused++ == REFUSED_MOST)
			fail_msg("%s: always refused: %s", what, err.msg);
		memset(&err, 0, sizeof(err));
		r = out ? unpublish_in(name, at, ns)
			: publish_in(name, at, block ? KVOL_PUBLISH_BLOCK : 0, ns);
		all_calls++;
		check(ns, (r == 0) != out, what);
		if (r < 0)
			check_refusal(r, what);
	} while (r < 0);
}

static void under_attack(const char *publish_ns, const char *attack_ns)
{
	unsigned long long flips = getenv("KVOL_TEST_LONG") ? FLIPS_LONG : FLIPS_SHORT;
	unsigned pairs;

	start_attack(attack_ns);
	for (pairs = 0; pairs < PAIRS_LEAST || atomic_load(&shared->flips) < flips;
	     pairs++) {
		insist(false, publish_ns, pairs % 2);
		insist(true, publish_ns, pairs % 2);
	}
	end_attack();
	all_pairs += pairs;
	set_right();
	check(publish_ns, 0, "at the end");
	for (int block = 0; block < 2; block++) {
		insist(false, publish_ns, block);
		insist(true, publish_ns, block);
	}
	assert_int_equal(info_of("v").n_targets, 0);
	assert_string_equal(info_of("v").device, "");
	assert_string_equal(info_of("raw").device, "");
}

/* --- The tests -------------------------------------------------------------------- */

static void in_the_callers_namespace(void **state)
{
	(void)state;
	under_attack(NULL, NULL);
}

/* The container's owner is the attacker. */
static void in_a_hostile_pod(void **state)
{
	(void)state;
	under_attack(pod.ns, pod.ns);
}

/* Where nothing is mounted on the target, it can be renamed itself. */
static void from_another_namespace(void **state)
{
	(void)state;
	under_attack(NULL, pod.ns);
}

static int up(void **state)
{
	const char *given = getenv("KVOL_TEST_SEED");

	if (given)
		seed = strtoull(given, NULL, 10);
	else if (getenv("KVOL_TEST_LONG"))
		seed = (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
	if (pool_up(state) < 0)
		return -1;
	assert_ok(create_fs("v", MIB(64), "ext4"));
	assert_ok(kvol_create(pool, "raw", MIB(8), NULL, &err));
	assert_sh(
		"set -e; cd '%s'; mkdir -p open/p/q/t open/p.dir/q/t secret/p/q/t; "
		": >open/p/q/n; : >open/p.dir/q/n; : >open/p/q/t.file; : >secret/p/q/n; "
		": >open/p/original; : >open/p/q/original; "
		"ln -s '%s/secret/p' open/p.link; ln -s '%s/secret/p/q' open/p/q.link; "
		"ln -s '%s/secret/p/q/t' open/p/q/t.link; ln -s '%s/secret/p/q/n' open/p/q/n.link; "
		"mount -t tmpfs canary secret/p/q/t; mkdir secret/p/q/t/deep; "
		"mount -t tmpfs canary secret/p/q/t/deep; mkdir -p secret/c; "
		"mount -t tmpfs canary secret/c; : >secret/c/n; mount --bind secret/c/n secret/p/q/n",
		dir, dir, dir, dir, dir);
	/* The bind mount of a canary's file counts as one; the mount that it is of would
	 * be a fourth. */
	assert_int_equal(umount2(in_dir("secret/c"), MNT_DETACH), 0);
	(void)snprintf(target, sizeof(target), "%s", in_dir("open/p/q/t"));
	(void)snprintf(node, sizeof(node), "%s", in_dir("open/p/q/n"));
	assert_true(open_dirs());
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	pod = resident_start();
	return 0;
}

static int down(void **state)
{
	printf("# figure flips of a target's path under publishes: %llu, in %llu calls; %llu pairs, "
	       "%llu refused, 0 escaped\n",
	       all_flips, all_calls, all_pairs, all_refused);
	resident_end(&pod);
	for (size_t i = 0; i < N_DIRS; i++)
		(void)close(dirs[i]);
	assert_sh("cd '%s/secret' && umount p/q/n p/q/t/deep p/q/t", dir);
	return pool_down(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_the_callers_namespace),
		cmocka_unit_test(in_a_hostile_pod),
		cmocka_unit_test(from_another_namespace),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("flips", tests, up, down);
}
