// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The public functions, on the model of the kernel: options and info structs of any size
 * with anything in them, names, sizes, flags and strings of any kind. The struct rules of
 * kvol.h hold for every function alike; the error struct is untouched by a success and
 * one line after a failure; nothing is written behind what the caller gave.
 *
 * Input: up to 8 calls: function (1 byte), struct's size (2 bytes), flags (4 bytes), a
 * number (8 bytes), then two strings and what is in the struct behind its known fields,
 * each with its length in 1 byte.
 */
#include <fcntl.h>
#include <unistd.h>

#include "fixture.h"
#include "fuzz.h"
#include "opts.h"

#define CALLS_MAX  8
#define STRUCT_MAX 4096u
#define UNTOUCHED  0xa5
#define N_CALLS	   13u

struct call {
	unsigned function;
	uint32_t size, flags;
	uint64_t number;
	char a[256], b[256];
	uint8_t body[255];
	size_t n_body;
};

static struct fixture *f;
static unsigned n_opened; /* handles, by the calls */

static void take_text(struct input *in, char text[256])
{
	size_t n = take_le(in, 1);

	text[take(in, text, n)] = '\0';
}

static void take_call(struct input *in, struct call *c)
{
	c->function = (unsigned)take_le(in, 1) % N_CALLS;
	c->size = (uint32_t)take_le(in, 2);
	c->flags = (uint32_t)take_le(in, 4);
	c->number = take_le(in, 8);
	take_text(in, c->a);
	take_text(in, c->b);
	c->n_body = take_le(in, 1);
	take(in, c->body, c->n_body);
}

/* A struct of the size that it claims and not a byte more; its known fields are `known`.
 */
static void *make_struct(const struct call *c, const void *known, size_t n_known)
{
	size_t n = c->size < 4 ? 4 : c->size < STRUCT_MAX ? c->size : STRUCT_MAX;
	uint8_t *p = calloc(1, n);

	CHECK(p);
	memcpy(p, known, n < n_known ? n : n_known);
	if (n > n_known)
		memcpy(p + n_known, c->body,
		       c->n_body < n - n_known ? c->n_body : n - n_known);
	memcpy(p, &c->size, 4);
	if (n >= 8)
		memcpy(p + 4, &c->flags, 4);
	return p;
}

/* What the rules say of it: 0, or the error that must come before anything else. */
static int rule(const struct call *c, const void *s, size_t n_least, size_t n_known,
		uint32_t known_flags)
{
	const uint8_t *p = s;

	if (c->size < n_least)
		return -EINVAL;
	if (c->size > STRUCT_MAX)
		return -E2BIG;
	for (size_t i = n_known; i < c->size; i++)
		if (p[i])
			return -E2BIG;
	return c->flags & ~known_flags ? -EINVAL : 0;
}

static void check_error(int r, const struct kvol_error *e, int want)
{
	static const struct kvol_error *nothing;
	static uint8_t pattern[sizeof(*nothing)];

	memset(pattern, UNTOUCHED, sizeof(pattern));
	CHECK(!want || r == want);
	if (r >= 0) {
		CHECK(!memcmp(e, pattern, sizeof(*e)));
		return;
	}
	CHECK(e->code == r && e->reason > KVOL_R_NONE &&
	      e->reason <= KVOL_R_WRONG_SECRET);
	CHECK(!want || e->reason == KVOL_R_INVALID);
	CHECK(!e->index && !e->reserved0);
	CHECK(memchr(e->msg, 0, sizeof(e->msg)) && e->msg[0] && is_line(e->msg));
}

/* --- Calls with options ----------------------------------------------------------- */

/* last: the field that the first version of the struct ended with. */
#define WITH_OPTIONS(type, last, known_flags, good_name, call_expression, ...) \
	do {                                                                   \
		type known_ = { __VA_ARGS__ };                                 \
		type *o = make_struct(c, &known_, sizeof(known_));             \
		int rule_ = rule(c, o, KV_SIZE_TO(type, last), sizeof(known_), \
				 (known_flags));                               \
		struct kvol_error e;                                           \
		memset(&e, UNTOUCHED, sizeof(e));                              \
		int r_ = (call_expression);                                    \
		check_error(r_, &e, (good_name) ? rule_ : 0);                  \
		CHECK(r_ <= 0 && (!rule_ || r_ < 0));                          \
		free(o);                                                       \
	} while (0)

static void options_call(const struct call *c)
{
	bool good_a = kv_volume_name_valid(c->a), good_b = kv_volume_name_valid(c->b);
	struct kvol_ctx *ctx = NULL;
	struct kvol_pool *pool = NULL;

	switch (c->function) {
	case 0:
		WITH_OPTIONS(struct kvol_ctx_opts, run_dir, 0, true, kvol_new(o, &ctx, &e),
			     .run_dir = c->b);
		kvol_free(ctx);
		break;
	case 1:
		/* On a pool that stands: it is refused, or is this one. */
		WITH_OPTIONS(struct kvol_format_opts, max_volumes, KVOL_FORMAT_FORCE,
			     kv_pool_name_valid(c->a),
			     kvol_pool_format(f->ctx, c->a, f->path, o, &e),
			     .file_bytes = c->number);
		break;
	case 2:
		WITH_OPTIONS(struct kvol_open_opts, flags, KVOL_OPEN_TAKEOVER, c->a[0],
			     kvol_pool_open(f->ctx, c->a, o, &pool, &e), .size = 0);
		kvol_pool_close(pool);
		break;
	case 3:
		WITH_OPTIONS(struct kvol_create_opts, bytes,
			     KVOL_CREATE_OWNER | KVOL_CREATE_MODE | KVOL_CREATE_THICK, good_a,
			     kvol_create(f->pool, c->a, c->number, o, &e),
			     .fs_type = c->b, .uid = (uint32_t)c->number,
			     .mode = (uint32_t)(c->number >> 32));
		break;
	case 4:
		WITH_OPTIONS(struct kvol_snapshot_opts, flags, 0, good_a && good_b,
			     kvol_snapshot(f->pool, c->a, c->b, o, &e), .size = 0);
		break;
	case 5:
		WITH_OPTIONS(struct kvol_create_opts, bytes, 0, good_a && good_b,
			     kvol_clone(f->pool, c->a, c->b, o, &e), .bytes = c->number);
		break;
	case 6:
		WITH_OPTIONS(struct kvol_publish_opts, mount_namespace,
			     KVOL_PUBLISH_READONLY | KVOL_PUBLISH_BLOCK |
				     KVOL_PUBLISH_GROUP,
			     good_a,
			     kvol_publish(f->pool, c->a, c->b, o, &e),
			     .mount_options = (const char *)c->b);
		break;
	default:
		WITH_OPTIONS(struct kvol_publish_opts, mount_namespace,
			     KVOL_PUBLISH_READONLY | KVOL_PUBLISH_BLOCK |
				     KVOL_PUBLISH_GROUP,
			     good_a,
			     kvol_unpublish(f->pool, c->a, c->b, o, &e),
			     .mount_namespace = c->number & 1 ? c->b : NULL);
	}
}

/* --- The others ------------------------------------------------------------------- */

#define INFO_CALL(type, call_expression)                                             \
	do {                                                                         \
		type nothing_;                                                       \
		memset(&nothing_, 0x5a, sizeof(nothing_));                           \
		type *info = make_struct(c, &nothing_, sizeof(nothing_));            \
		r = (call_expression);                                               \
		check_error(r, &e,                                                   \
			    c->size<8 ? -EINVAL : c->size> STRUCT_MAX ? -E2BIG : 0); \
		if (r == 0)                                                          \
			check_info((uint8_t *)info, c->size, sizeof(type));          \
		free(info);                                                          \
	} while (0)

static void check_info(const uint8_t *info, size_t size, size_t n_known)
{
	uint32_t filled;

	memcpy(&filled, info, 4);
	CHECK(filled == (size < n_known ? size : n_known));
	for (size_t i = filled; i < size; i++)
		CHECK(!info[i]);
}

static void list(const struct call *c)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter = NULL;
	struct kvol_error e;
	int r;

	memset(&e, UNTOUCHED, sizeof(e));
	r = kvol_list(f->pool, c->flags, &iter, &e);
	check_error(r, &e,
		    c->flags > KVOL_LIST_TEMPLATES ? -EINVAL : 0);
	while (r == 0 && (r = kvol_iter_next(iter, &info)) == 1) {
		CHECK(kv_volume_name_valid(info.name) && info.bytes &&
		      info.bytes % 4096 == 0);
		r = 0;
	}
	kvol_iter_free(iter);
}

static void plain_call(const struct call *c)
{
	struct kvol_error e;
	int r = 0;

	memset(&e, UNTOUCHED, sizeof(e));
	switch (c->function) {
	case 8:
		r = kvol_expand(f->pool, c->a, c->number, c->flags, &e);
		check_error(r, &e, kv_volume_name_valid(c->a) && c->flags ? -EINVAL : 0);
		break;
	case 9:
		r = kvol_delete(f->pool, c->a, c->flags, &e);
		check_error(r, &e, kv_volume_name_valid(c->a) && c->flags ? -EINVAL : 0);
		break;
	case 10:
		INFO_CALL(struct kvol_pool_info, kvol_pool_stat(f->pool, info, &e));
		break;
	case 11:
		if (kv_volume_name_valid(c->a) && exists(f, c->a))
			INFO_CALL(struct kvol_info, kvol_stat(f->pool, c->a, info, &e));
		break;
	default:
		list(c);
	}
}

/* ---------------------------------------------------------------------------------------------
 */

/* All that the calls have made goes again: an input starts with what the first one found.
 */
static void clear(const struct call *calls, unsigned n)
{
	struct kvol_info info = { .size = sizeof(info) };
	struct kvol_iter *iter;

	for (unsigned i = 0; i < n; i++)
		(void)kvol_unpublish(f->pool, calls[i].a, calls[i].b, NULL, NULL);
	for (;;) {
		CHECK(kvol_list(f->pool, 0, &iter, NULL) == 0);
		int r = kvol_iter_next(iter, &info);

		kvol_iter_free(iter);
		if (r != 1)
			break;
		CHECK(kvol_delete(f->pool, info.name, 0, NULL) == 0);
	}
}

/* Not the fixture's teardown, which counts libFuzzer's own fds. */
static void stop(void)
{
	if (!f)
		return;
	kvol_pool_close(f->pool);
	kvol_free(f->ctx);
	model_end();
	free(f);
	f = NULL;
}

static void start(void)
{
	static pid_t owner;
	struct kvol_pool *second;
	struct kvol_iter *iter;
	void *state = NULL;

	/* The model does not see that one of two fds of the catalogue is closed. */
	if (owner == getpid() && n_opened > 100)
		stop();
	if (owner == getpid() && f)
		return;
	if (owner != getpid())
		(void)atexit(stop);
	owner = getpid();
	n_opened = 0;
	CHECK(setup_pool(&state) == 0);
	f = state;
	/* What a handle opens when it is first needed and keeps; and SQLite closes no
	 * file that another connection of the process has locked, but uses it for the
	 * next one. */
	second = another_handle(f);
	CHECK(kvol_list(second, 0, &iter, NULL) == 0);
	kvol_iter_free(iter);
	kvol_pool_close(second);
	CHECK(kvol_create(f->pool, "warm", MIB, NULL, NULL) == 0);
	(void)info_of(f, "warm");
	clear(NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct call calls[CALLS_MAX];
	struct input in = { data, n };
	unsigned n_calls = 0;
	int n_fds;

	start();
	n_fds = count_fds();
	while (in.left && n_calls < CALLS_MAX) {
		struct call *c = &calls[n_calls++];

		take_call(&in, c);
		n_opened += c->function == 1 || c->function == 2;
		if (c->function < 8)
			options_call(c);
		else
			plain_call(c);
	}
	clear(calls, n_calls);
	CHECK(!model->disaster[0]); /* what must never be asked of a kernel */
	CHECK(count_fds() == n_fds);
	return 0;
}
