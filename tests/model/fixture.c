/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See fixture.h. The disk is a file of its own in the model's directory; the catalogue on
 * it is a real database, which is doctored by a connection of the test's own while no
 * handle has it open.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db.h"
#include "fixture.h"
#include "pool_state.h"

#define PATTERN 0xa5

/* --- Checks ----------------------------------------------------------------------- */

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

void prepare_error(struct fixture *f)
{
	memset(&f->e, PATTERN, sizeof(f->e));
}

static bool untouched(const struct kvol_error *e)
{
	const unsigned char *p = (const unsigned char *)e;

	for (size_t i = 0; i < sizeof(*e); i++)
		if (p[i] != PATTERN)
			return false;
	return true;
}

void check_success(struct fixture *f, int r, const char *call, const char *file, int line)
{
	if (r != 0) {
		print_error("%s: %d: %.*s\n", call, r, (int)sizeof(f->e.msg),
			    untouched(&f->e) ? "(no error text)" : f->e.msg);
		_assert_int_equal(r, 0, file, line);
	}
	if (!untouched(&f->e))
		print_error("%s: gave 0 and filled the error\n", call);
	_assert_true(untouched(&f->e), "error untouched on success", file, line);
}

void check_failure(struct fixture *f, int r, int code, uint32_t reason, const char *call,
		   const char *file, int line)
{
	if (r != code)
		print_error("%s: %s\n", call,
			    r < 0 && !untouched(&f->e) ? f->e.msg : "(no error text)");
	_assert_int_equal((uintmax_t)(intmax_t)r, (uintmax_t)(intmax_t)code, file, line);
	if (untouched(&f->e))
		print_error("%s: failed and left the error alone\n", call);
	_assert_true(!untouched(&f->e), "error filled on failure", file, line);
	if (f->e.reason != reason)
		print_error("%s: %s, not %s: %s\n", call, kvol_reason_str(f->e.reason),
			    kvol_reason_str(reason), f->e.msg);
	_assert_int_equal(f->e.code, r, file, line);
	_assert_int_equal(f->e.reason, reason, file, line);
	_assert_int_equal(f->e.index, f->index, file, line);
	_assert_int_equal(f->e.reserved0, 0, file, line);
	_assert_true(memchr(f->e.msg, 0, sizeof(f->e.msg)) != NULL, "message terminated",
		     file, line);
	_assert_true(f->e.msg[0] && !strpbrk(f->e.msg, "\r\n"), "one line", file, line);
}

/* --- Setup and teardown ----------------------------------------------------------- */

static void log_line(void *arg, int priority, const char *msg)
{
	struct fixture *f = arg;

	assert_true(msg[0] && !strchr(msg, '\n'));
	for (const struct model_dev *d = model->devs; d < model->devs + MODEL_DEVS; d++)
		assert_false(d->used && d->frozen); /* never while somebody is frozen */
	f->n_logged++;
	if (priority < f->log_priority)
		f->log_priority = priority;
}

static int setup_with(void **state, void (*start)(void))
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct kvol_ctx_opts opts = { .size = sizeof(opts),
				      .log = log_line,
				      .log_arg = f };

	assert_non_null(f);
	f->n_fds = count_fds();
	f->log_priority = 99;
	start();
	(void)snprintf(f->path, sizeof(f->path), "%s/pool.img", model->dir);
	(void)snprintf(f->run_dir, sizeof(f->run_dir), "%s/run", model->dir);
	opts.run_dir = f->run_dir;
	assert_int_equal(kvol_new(&opts, &f->ctx, NULL), 0);
	*state = f;
	return 0;
}

int setup_machine(void **state)
{
	return setup_with(state, model_start);
}

static void format_disk(struct fixture *f)
{
	struct kvol_format_opts opts = {
		.size = sizeof(opts),
		.file_bytes = POOL_BYTES,
		.max_volumes = MAX_VOLUMES,
	};

	succeeds(f, kvol_pool_format(f->ctx, POOL_NAME, f->path, &opts, &f->e));
}

int setup_disk(void **state)
{
	(void)setup_machine(state);
	format_disk(*state);
	return 0;
}

int setup_pool(void **state)
{
	(void)setup_disk(state);
	open_pool(*state);
	return 0;
}

int setup_pool_alone(void **state)
{
	(void)setup_with(state, model_start_alone);
	format_disk(*state);
	open_pool(*state);
	return 0;
}

int teardown(void **state)
{
	struct fixture *f = *state;
	int n_fds;

	kvol_pool_close(f->pool);
	kvol_free(f->ctx);
	n_fds = count_fds() - model_alone; /* it has one of its own */
	if (model->disaster[0])
		print_error("disaster: %s\n", model->disaster);
	assert_string_equal(model->disaster, "");
	for (int i = 0; i < MODEL_DISKS; i++)
		for (int j = 0; model->disks[i].used && j < MODEL_THINS; j++)
			if (model->disks[i].metadata.thins[j].used)
				assert_false(
					model->disks[i].metadata.thins[j].content.torn);
	for (int i = 0; i < MODEL_DEVS; i++)
		assert_false(model->devs[i].used && model->devs[i].suspended);
	assert_int_equal(n_fds, f->n_fds);
	model_end();
	free(f);
	return 0;
}

void open_pool(struct fixture *f)
{
	succeeds(f, kvol_pool_open(f->ctx, f->path, NULL, &f->pool, &f->e));
}

void close_pool(struct fixture *f)
{
	kvol_pool_close(f->pool);
	f->pool = NULL;
}

void reopen_pool(struct fixture *f)
{
	close_pool(f);
	open_pool(f);
}

struct kvol_pool *another_handle(struct fixture *f)
{
	struct kvol_pool *pool = NULL;

	succeeds(f, kvol_pool_open(f->ctx, f->path, NULL, &pool, &f->e));
	return pool;
}

/* --- Killed processes ------------------------------------------------------------- */

struct killed {
	struct fixture *f;
	const char *step;
	unsigned nth;
	verb_fn *verb;
	void *arg;
};

static int open_and_die(void *arg)
{
	struct killed *k = arg;
	struct kvol_pool *pool;

	if (kvol_pool_open(k->f->ctx, k->f->path, NULL, &pool, NULL) < 0)
		return 1;
	model_crash(k->step, k->nth);
	(void)k->verb(pool, k->arg);
	return 2;
}

void killed_at(struct fixture *f, const char *step, unsigned nth, verb_fn *verb,
	       void *arg)
{
	struct killed k = { f, step, nth, verb, arg };

	assert_int_equal(model_in_child(open_and_die, &k), MODEL_CRASHED);
	model_forget_plans();
}

/* --- Catalogue -------------------------------------------------------------------- */

static struct kv_db *open_catalogue(struct fixture *f, int *ret_fd)
{
	char path[MODEL_PATH];
	struct kv_db *db = NULL;

	model_catalogue_path(f->path, path);
	*strrchr(path, '/') = '\0';
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(*ret_fd >= 0);
	assert_int_equal(kv_db_open(*ret_fd, "catalogue.db", 0, &db), 0);
	return db;
}

void doctor(struct fixture *f, const char *sql)
{
	_cleanup_close_ int fd = -1;
	struct kv_db *db = open_catalogue(f, &fd);

	assert_int_equal(kv_db_exec(db, sql), 0);
	kv_db_close(db);
}

int64_t query(struct fixture *f, const char *sql)
{
	_cleanup_close_ int fd = -1;
	struct kv_db *db = open_catalogue(f, &fd);
	struct kv_stmt *stmt = NULL;
	int64_t n;

	assert_true(kv_db_query(db, &stmt, sql, "") >= 0);
	assert_int_equal(kv_stmt_step(stmt), 1);
	n = kv_stmt_int(stmt, 0);
	kv_stmt_reset(stmt);
	kv_db_close(db);
	return n;
}

/* --- Asking ----------------------------------------------------------------------- */

int create_volume(struct fixture *f, const char *name, const char *fs)
{
	struct kvol_create_opts opts = { .size = sizeof(opts), .fs_type = fs };

	return kvol_create(f->pool, name, 512 * MIB, &opts, &f->e);
}

struct kvol_info info_of(struct fixture *f, const char *name)
{
	struct kvol_info info = { .size = sizeof(info) };

	succeeds(f, kvol_stat(f->pool, name, &info, &f->e));
	return info;
}

struct kvol_pool_info pool_info(struct fixture *f)
{
	struct kvol_pool_info info = { .size = sizeof(info) };

	succeeds(f, kvol_pool_stat(f->pool, &info, &f->e));
	return info;
}

bool exists(struct fixture *f, const char *name)
{
	struct kvol_info info = { .size = sizeof(info) };
	int r = kvol_stat(f->pool, name, &info, NULL);

	assert_true(r == 0 || r == -ENOENT);
	return r == 0;
}

uint32_t id_of(struct fixture *f, const char *name)
{
	char sql[512];

	(void)snprintf(sql, sizeof(sql), "SELECT id FROM volume WHERE name = '%s'", name);
	return (uint32_t)query(f, sql);
}

struct model_dev *dev_of(struct fixture *f, const char *name, bool readonly)
{
	return face_of(f, name, readonly ? KV_FACE_READONLY : KV_FACE_THIN);
}

struct model_dev *face_of(struct fixture *f, const char *name, enum kv_face face)
{
	struct kv_dm_id id;
	struct model_dev *dev;

	/* By no call: calls thaw what is frozen. */
	kv_dm_id_volume(&id, f->pool->conf.uuid, id_of(f, name), face);
	model_lock(); /* other threads may be in the middle of a call */
	model_sweep();
	dev = model_dev(id.uuid);
	model_unlock();
	return dev;
}

struct model_disk *disk_of(struct fixture *f)
{
	return model_disk(f->path);
}

struct model_thin *thin_of(struct fixture *f, const char *name)
{
	return model_thin(disk_of(f), id_of(f, name));
}

int open_run_pool(struct fixture *f)
{
	char path[2 * MODEL_PATH];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", f->run_dir, f->pool->conf.uuid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

void damage_records(struct fixture *f, const char *name)
{
	char path[2 * MODEL_PATH];
	struct dirent *d;
	unsigned n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/%s/publish/%u", f->run_dir,
		       f->pool->conf.uuid, id_of(f, name));
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		assert_int_equal(
			__real_kv_write_file_at(dirfd(dir), d->d_name, "junk", 4), 0);
		n++;
	}
	(void)closedir(dir);
	assert_true(n > 0);
}

/* --- Publishing ------------------------------------------------------------------- */

int publish(struct fixture *f, const char *name, const char *target, uint32_t flags,
	    const char *options, const char *ns)
{
	struct kvol_publish_opts o = {
		.size = sizeof(o),
		.flags = flags,
		.mount_options = options,
		.mount_namespace = ns,
	};

	return kvol_publish(f->pool, name, target, &o, &f->e);
}

int unpublish(struct fixture *f, const char *name, const char *target, const char *ns)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .mount_namespace = ns };

	return kvol_unpublish(f->pool, name, target, &o, &f->e);
}
