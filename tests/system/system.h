/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KVOL_TESTS_SYSTEM_H
#define KVOL_TESTS_SYSTEM_H

/*
 * What the system tests share: a pool for each program, calls whose results are held
 * against the header's contract, and witnesses (fds, threads, mounts, devices, thin
 * metadata) that do not come from the library.
 *
 * Only the public header is used. Every call that is to fail goes through assert_kvol,
 * which also checks that nothing changed and nothing leaked, so no test has to say so
 * again.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#include <kvol/kvol.h>

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))
#define KIB(n)	((uint64_t)(n) << 10)
#define MIB(n)	((uint64_t)(n) << 20)
#define GIB(n)	((uint64_t)(n) << 30)

#define UNKNOWN_FLAG (1u << 31)

/* --- The program's context and pool ----------------------------------------------- */

extern struct kvol_ctx *ctx;
extern struct kvol_pool *pool;
extern struct kvol_error err; /* every checked call fills this one */
extern char dir[128];	      /* the program's own directory, removed at its end */
extern char pool_path[160];
extern char pool_name[32];

/* In main: ends the program with 77 where there is no device-mapper, or it is not root.
 */
void need_device_mapper(void);

/* Group fixtures. dir_up makes dir and ctx; pool_up makes and opens a pool, too.
 * pool_down takes it out of use, checks that nothing is left over on the host, and that
 * the thin pool's metadata is sound and holds exactly what the listing had. */
int dir_up(void **state);
int dir_down(void **state);
int pool_up(void **state);
int pool_up_for(uint64_t max_volumes, void **state); /* a smaller catalogue */
int pool_down(void **state);
/* The same of a program that has used encrypted volumes. */
int pool_down_encrypted(void **state);

/* Closes and opens `pool` again; pool_cycle deactivates it in between. */
void pool_reopen(void);
void pause_ms(long ms);
void pool_cycle(void);
/* Takes it out of use and holds the thin pool's metadata against the listing; `pool` is
 * NULL then. pool_down does so. */
void pool_rest(void);

/* --- Checked calls ---------------------------------------------------------------- */

/* Counts of what a process could leak, and a digest of the pool's listing. */
struct world {
	int fds, threads, mounts, loops, devices;
	uint64_t listing;
};

void world_now(struct world *w);
/* Waits a moment for what the kernel or udev removes a little later. */
void assert_world(const struct world *before, const char *what, const char *file,
		  int line);

void before_call(struct world *w, bool look);
void after_call(const struct world *w, int r, int code, uint32_t reason, const char *what,
		const char *file, int line);

/* What is wrong with how a call that returned r has treated err, after before_call; NULL:
 * nothing. */
const char *answer_fault(int r);

/* The call returns 0 and leaves err alone. */
#define assert_ok(call)                                                \
	do {                                                           \
		before_call(NULL, false);                              \
		int r_ = (call);                                       \
		after_call(NULL, r_, 0, 0, #call, __FILE__, __LINE__); \
	} while (0)

/* The call, which fills err, fails with this errno and reason and a one-line message, and
 * changes nothing. */
#define assert_kvol(call, code, reason)                                           \
	do {                                                                      \
		struct world w_;                                                  \
		before_call(&w_, true);                                           \
		int r_ = (call);                                                  \
		after_call(&w_, r_, (code), (reason), #call, __FILE__, __LINE__); \
	} while (0)

#define assert_invalid(call) assert_kvol(call, -EINVAL, KVOL_R_INVALID)

/* A call that takes options by the name `o`, which is right but for them, refuses every
 * form that an options struct must not have, and takes one from a newer header whose new
 * fields are zero. last: the field that the first version of the struct ended with. */
#define assert_opts_rules(type, last, call)                \
	do {                                               \
		struct {                                   \
			type s;                            \
			unsigned char tail[64];            \
		} big_;                                    \
		type *o = &big_.s;                         \
		memset(&big_, 0, sizeof(big_));            \
		assert_invalid(call);                      \
		o->size = 4;                               \
		assert_invalid(call);                      \
		o->size = offsetof(type, last);            \
		assert_invalid(call);                      \
		o->size = sizeof(type);                    \
		o->flags = UNKNOWN_FLAG;                   \
		assert_invalid(call);                      \
		o->flags = 0;                              \
		o->size = UINT32_MAX;                      \
		assert_kvol(call, -E2BIG, KVOL_R_INVALID); \
		o->size = sizeof(big_);                    \
		big_.tail[sizeof(big_.tail) - 1] = 1;      \
		assert_kvol(call, -E2BIG, KVOL_R_INVALID); \
		big_.tail[sizeof(big_.tail) - 1] = 0;      \
		assert_ok(call);                           \
	} while (0)

/* What cannot be a volume's name; NULL is among them. */
extern const char *const bad_names[11];
/* Names that look dangerous and are fine. */
extern const char *const odd_names[8];
const char *name_of_length(size_t n); /* static storage */

/* --- Looking ---------------------------------------------------------------------- */

struct kvol_info info_of(const char *name);
bool exists(const char *name);
uint64_t count(uint32_t list_flags);
struct kvol_pool_info pool_info(void);
void assert_listing(const char *const *names, size_t n, uint32_t flags);

/* 64-bit FNV-1a, as the library's own records have it. */
#define MIX_BASIS UINT64_C(0xcbf29ce484222325)
uint64_t mix(uint64_t h, const void *data, size_t n);

/* A digest of a file's data; holes and zeros are the same. */
uint64_t file_digest(const char *path);

/* --- The host --------------------------------------------------------------------- */

/* Paths below dir, in static storage that goes round after 16 calls. */
const char *in_dir(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *make_dir(const char *name);
const char *make_file(const char *name);

void write_file(const char *path, const char *text);
/* The first bytes of a file; "" if it is not there. Static storage. */
const char *read_file(const char *path);
bool is_mounted(const char *path);
/* The mount's own and its superblock's options, from /proc/self/mountinfo; "" if there is
 * no mount. */
const char *mount_options(const char *path, bool super);
uint64_t fs_bytes(const char *path);

/* Runs a shell command and returns its exit code; its output is shown when assert_sh
 * fails. */
int sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *sh_output(void);
#define assert_sh(...)                                                              \
	do {                                                                        \
		int r_ = sh(__VA_ARGS__);                                           \
		if (r_) {                                                           \
			print_error("%s:%d: exit %d\n%s\n", __FILE__, __LINE__, r_, \
				    sh_output());                                   \
			fail();                                                     \
		}                                                                   \
	} while (0)

/* Publishing with the options in one line. */
int publish(const char *name, const char *target, uint32_t flags, const char *options);
int publish_in(const char *name, const char *target, uint32_t flags, const char *ns);
int unpublish_in(const char *name, const char *target, const char *ns);
int create_fs(const char *name, uint64_t bytes, const char *fs_type);

/* Fails in a child: no cmocka assertion may run there, so fn returns 0 or the line that
 * failed. Negative: what the child ended by, as a shell has it. */
int in_child(int (*fn)(void *arg), void *arg);
/* The same on a thread or in a child that has entered the namespace. */
int in_namespace(const char *ns, int (*fn)(void *arg), void *arg);
#define CHILD_CHECK(x)                   \
	do {                             \
		if (!(x))                \
			return __LINE__; \
	} while (0)

/* A process that sits in a mount namespace of its own. */
struct resident {
	pid_t pid;
	char ns[64]; /* /proc/PID/ns/mnt */
};

struct resident resident_start(void);
void resident_end(struct resident *r);

#endif
