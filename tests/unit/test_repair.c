/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Repair, on the model: what is refused, what is judged before it is written, and what a
 * crash at every step leaves. That the real programs do what the model's do is for
 * tests/system/test_repair.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "thinmeta.h"

#define LEAF 2 /* some block of the tree that is not its root */

static char backup[2 * MODEL_PATH];

static struct kvol_repair_info info;

static int repair(struct fixture *f, uint32_t flags, bool with_backup)
{
	struct kvol_repair_opts o = { .size = sizeof(o),
				      .flags = flags,
				      .backup_dir = with_backup ? backup : NULL };

	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);
	return kvol_pool_repair(f->ctx, f->path, &o, &info, &f->e);
}

/* A pool with three volumes and two snapshots, down. */
static int setup(void **state)
{
	struct fixture *f;

	(void)setup_pool(state);
	f = *state;
	(void)snprintf(backup, sizeof(backup), "%s/backup", model->dir);
	assert_int_equal(mkdir(backup, 0700), 0);
	succeeds(f, create_volume(f, "a", NULL));
	succeeds(f, create_volume(f, "b", "ext4"));
	succeeds(f, create_volume(f, "c", NULL));
	succeeds(f, kvol_snapshot(f->pool, "a", "s", NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "b", "t", NULL, &f->e));
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	return 0;
}

static void metadata_path(struct fixture *f, char ret[2 * MODEL_PATH])
{
	(void)snprintf(ret, 2 * MODEL_PATH, "%s/disk%d/metadata", model->dir,
		       (int)(disk_of(f) - model->disks));
}

/* Writes garbage over some blocks of what stands for the metadata's device. */
static void damage(struct fixture *f, uint64_t block, uint64_t n)
{
	static const char garbage[KV_THINMETA_BLOCK] = "garbage";
	_cleanup_close_ int fd = -1;
	char path[2 * MODEL_PATH];

	metadata_path(f, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	model_render(disk_of(f), fd);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(kv_pwrite_full(fd, garbage, sizeof(garbage),
						(block + i) * sizeof(garbage)),
				 0);
	disk_of(f)->metadata_damaged = true;
}

static void assert_all_there(struct fixture *f)
{
	open_pool(f);
	assert_int_equal(pool_info(f).flags, 0);
	assert_int_equal(pool_info(f).n_volumes, 3);
	assert_int_equal(pool_info(f).n_snapshots, 2);
	succeeds(f, create_volume(f, "new", NULL));
	succeeds(f, kvol_delete(f->pool, "new", 0, &f->e));
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
}

static unsigned files(const char *suffix)
{
	DIR *dir = opendir(backup);
	struct dirent *d;
	unsigned n = 0;

	assert_non_null(dir);
	while ((d = readdir(dir)))
		n += strlen(d->d_name) > strlen(suffix) &&
		     !strcmp(d->d_name + strlen(d->d_name) - strlen(suffix), suffix);
	(void)closedir(dir);
	return n;
}

/* --- What is refused -------------------------------------------------------------- */

static void bad_arguments_are_refused(void **state)
{
	struct kvol_repair_opts o = { .size = sizeof(o), .flags = 1u << 31 };
	struct kvol_repair_info small = { .size = 4 };
	struct fixture *f = *state;

	info.size = sizeof(info);
	fails(f, kvol_pool_repair(NULL, f->path, NULL, &info, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_repair(f->ctx, NULL, NULL, &info, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_repair(f->ctx, POOL_NAME, NULL, &info, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_repair(f->ctx, f->path, &o, &info, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_repair(f->ctx, f->path, NULL, NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_repair(f->ctx, f->path, NULL, &small, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_pool_repair(f->ctx, "/no/such/path", NULL, &info, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
}

static void active_pool_is_refused(void **state)
{
	struct fixture *f = *state;
	char copy[2 * MODEL_PATH];
	unsigned devs;

	(void)snprintf(copy, sizeof(copy), "%s/copy", model->dir);
	model_disk_copy(f->path, copy);
	open_pool(f);
	devs = model_n_devs();
	fails(f, repair(f, 0, true), -EBUSY, KVOL_R_BUSY_OPEN);
	fails(f, repair(f, KVOL_REPAIR_CHECK, true), -EBUSY, KVOL_R_BUSY_OPEN);
	/* Also without a handle, and as a copy. */
	close_pool(f);
	fails(f, repair(f, 0, true), -EBUSY, KVOL_R_BUSY_OPEN);
	fails(f, kvol_pool_repair(f->ctx, copy, NULL, &info, &f->e), -EBUSY,
	      KVOL_R_BUSY_OPEN);
	assert_int_equal(model_n_devs(), devs);
	reopen_pool(f);
}

static void other_hosts_pool_is_refused(void **state)
{
	struct kvol_ctx_opts o = { .size = sizeof(o) };
	struct fixture *f = *state;

	o.run_dir = f->run_dir;
	o.host_id = "a";
	kvol_free(f->ctx);
	f->ctx = NULL;
	succeeds(f, kvol_new(&o, &f->ctx, &f->e));
	open_pool(f);
	close_pool(f);
	model_power_cut();
	kvol_free(f->ctx);
	f->ctx = NULL;
	o.host_id = "b";
	succeeds(f, kvol_new(&o, &f->ctx, &f->e));
	model_fail("spawn", 0, -EIO); /* it must not come to that */
	fails(f, repair(f, 0, true), -EBUSY, KVOL_R_FOREIGN_HOST);
	assert_int_equal(model_n_devs(), 0);
	model_forget_plans();
	succeeds(f, repair(f, KVOL_REPAIR_TAKEOVER, true));
	open_pool(f);
}

static void missing_programs_are_named(void **state)
{
	static const char *const programs[] = { "fsck.ext4", "thin_check",
						"thin_repair" };
	struct fixture *f = *state;
	char what[32];

	damage(f, LEAF, 1);
	for (size_t i = 0; i < KV_ARRAY_SIZE(programs); i++) {
		(void)snprintf(what, sizeof(what), "spawn %s", programs[i]);
		model_fail(what, 1, -ENOENT);
		fails(f, repair(f, 0, true), -EINVAL, KVOL_R_UNSUPPORTED);
		assert_non_null(strstr(f->e.msg, programs[i]));
		assert_int_equal(model_n_devs(), 0);
		assert_int_equal(files(".new") + files(".old"), 0);
	}
}

/* --- What is mended --------------------------------------------------------------- */

static void sound_pool_is_left_alone(void **state)
{
	struct fixture *f = *state;

	succeeds(f, repair(f, 0, false));
	assert_int_equal(info.size, sizeof(info));
	assert_int_equal(info.found | info.mended, 0);
	assert_string_equal(info.backup, "");
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
	assert_all_there(f);
}

static void needs_check_is_cleared(void **state)
{
	struct fixture *f = *state;

	disk_of(f)->metadata.needs_check = true;
	open_pool(f);
	assert_true(pool_info(f).flags & KVOL_POOL_NEEDS_CHECK);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	succeeds(f, repair(f, 0, false));
	assert_int_equal(info.found, KVOL_FAULT_NEEDS_CHECK);
	assert_int_equal(info.mended, KVOL_FAULT_NEEDS_CHECK);
	assert_all_there(f);
}

static void damaged_metadata_is_repaired(void **state)
{
	struct fixture *f = *state;
	char path[2 * MODEL_PATH];
	struct stat st;

	damage(f, LEAF, 1);
	fails(f, kvol_pool_open(f->ctx, f->path, NULL, &f->pool, &f->e), -EUCLEAN,
	      KVOL_R_CORRUPT);
	fails(f, repair(f, 0, false), -EUCLEAN, KVOL_R_CORRUPT); /* nowhere to keep it */
	succeeds(f, repair(f, 0, true));
	assert_int_equal(info.found, KVOL_FAULT_METADATA);
	assert_int_equal(info.mended, KVOL_FAULT_METADATA);
	assert_int_equal(info.n_lost + info.n_short + info.n_strays, 0);
	assert_int_equal(stat(info.backup, &st), 0);
	metadata_path(f, path);
	assert_int_equal(files(".old"), 1);
	assert_int_equal(files(".new"), 0);
	assert_all_there(f);
}

/* The counter by which the kernel tells what is shared must not go back to 0. */
static void lost_superblock_is_made_anew(void **state)
{
	struct fixture *f = *state;

	/* Nobody can say that what was found is the newest. */
	damage(f, 0, 1);
	fails(f, repair(f, 0, true), -EUCLEAN, KVOL_R_CORRUPT);
	assert_int_equal(files(".new") + files(".old"), 0);
	succeeds(f, repair(f, KVOL_REPAIR_ACCEPT, true));
	assert_int_equal(info.mended, KVOL_FAULT_METADATA);
	assert_true(disk_of(f)->metadata.time >= query(f, "SELECT snapshots FROM pool"));
	assert_true(query(f, "SELECT snapshots FROM pool") >= 2);
	assert_all_there(f);
}

static void repair_that_loses_something_is_refused(void **state)
{
	uint32_t faults = KVOL_FAULT_METADATA | KVOL_FAULT_VOLUMES;
	struct fixture *f = *state;
	uint32_t id = id_of(f, "b");

	damage(f, LEAF, 1);
	model_thin(disk_of(f), id)->used = false; /* thin_repair will not find it */
	fails(f, repair(f, 0, true), -EUCLEAN, KVOL_R_CORRUPT);
	assert_non_null(strstr(f->e.msg, "'b'"));
	assert_true(disk_of(f)->metadata_damaged); /* nothing was written */
	assert_int_equal(files(".new") + files(".old"), 0);
	succeeds(f, repair(f, KVOL_REPAIR_ACCEPT, true));
	assert_int_equal(info.found, faults);
	assert_int_equal(info.mended, KVOL_FAULT_METADATA);
	assert_int_equal(info.n_lost, 1);
	/* It is still listed, and can be deleted; then all is well. */
	open_pool(f);
	assert_true(exists(f, "b"));
	assert_true(exists(f, "t"));
	fails(f, kvol_publish(f->pool, "b", "/b", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	succeeds(f, kvol_delete(f->pool, "b", 0, &f->e));
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	succeeds(f, repair(f, 0, false));
	assert_int_equal(info.found, 0);
}

static void strays_are_counted_and_stay(void **state)
{
	struct fixture *f = *state;
	unsigned n = model_thins(disk_of(f));

	doctor(f, "DELETE FROM volume WHERE name = 'c';" TALLY_ANEW);
	succeeds(f, repair(f, KVOL_REPAIR_ACCEPT, true));
	assert_int_equal(info.found, KVOL_FAULT_STRAYS);
	assert_int_equal(info.n_strays, 1);
	open_pool(f);
	assert_int_equal(model_thins(disk_of(f)), n);
}

/* --- Catalogue and thin pool of different times ----------------------------------- */

static void epochs_are_settled_by_order_only(void **state)
{
	struct fixture *f = *state;
	unsigned n = model_thins(disk_of(f));
	uint64_t last;

	/* An older catalogue: without the last volumes, with a reservation of its own day
	 * that names their ids. */
	last = (uint64_t)query(f, "SELECT max(id) FROM volume");
	doctor(f, "DELETE FROM volume WHERE name IN ('b', 't');" TALLY_ANEW
		  "INSERT INTO reservation (owner, first, count) VALUES (1, 0, 64);"
		  "UPDATE pool SET epoch = epoch - 2, next_id = 0, snapshots = 0;");
	open_pool(f);
	assert_true(pool_info(f).flags & KVOL_POOL_AUDIT);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);

	succeeds(f, repair(f, 0, true));
	assert_int_equal(info.found, KVOL_FAULT_EPOCH);
	assert_int_equal(info.mended, 0);
	succeeds(f, repair(f, KVOL_REPAIR_ACCEPT, true));
	assert_int_equal(info.mended, KVOL_FAULT_EPOCH);
	assert_int_equal(query(f, "SELECT count(*) FROM reservation"), 0);
	assert_true(query(f, "SELECT snapshots FROM pool") >= 2);

	/* Open for changes again; and what the catalogue does not know is still there. */
	open_pool(f);
	assert_int_equal(pool_info(f).flags, 0);
	succeeds(f, create_volume(f, "later", NULL));
	assert_true(id_of(f, "later") > last);
	assert_int_equal(model_thins(disk_of(f)), n + 1);
	succeeds(f, kvol_pool_deactivate(f->pool, &f->e));
	close_pool(f);
	succeeds(f, repair(f, 0, true));
	assert_int_equal(info.found, KVOL_FAULT_STRAYS);
	assert_int_equal(info.n_strays, 2);
}

/* --- The catalogue ---------------------------------------------------------------- */

static void catalogue_s_file_system_is_forced_by_order_only(void **state)
{
	struct fixture *f = *state;

	disk_of(f)->catalogue_damaged = true;
	fails(f, repair(f, 0, true), -EUCLEAN, KVOL_R_CORRUPT);
	fails(f, repair(f, KVOL_REPAIR_FORCE, false), -EUCLEAN, KVOL_R_CORRUPT);
	assert_true(disk_of(f)->catalogue_damaged);
	model_fail("spawn fsck.ext4", 2, -EIO);
	fails(f, repair(f, KVOL_REPAIR_FORCE, true), -EIO, KVOL_R_IO);
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(files(".catalogue"), 0);
	/* It is copied before. */
	succeeds(f, repair(f, KVOL_REPAIR_FORCE, true));
	assert_int_equal(info.found, KVOL_FAULT_CATALOGUE);
	assert_int_equal(info.mended, KVOL_FAULT_CATALOGUE);
	assert_int_equal(files(".catalogue"), 1);
	assert_all_there(f);
}

static void catalogue_that_nothing_mends_is_told(void **state)
{
	struct fixture *f = *state;

	disk_of(f)->catalogue_damaged = disk_of(f)->catalogue_lost = true;
	fails(f, repair(f, KVOL_REPAIR_FORCE, true), -EUCLEAN, KVOL_R_CORRUPT);
	assert_non_null(strstr(f->e.msg, "cannot mend"));
	assert_int_equal(files(".catalogue"), 1); /* as it was before the attempt */
	assert_int_equal(model_n_devs(), 0);
	/* What is not sound after its fsck is not taken for a catalogue. */
	disk_of(f)->catalogue_damaged = disk_of(f)->catalogue_lost = false;
	disk_of(f)->has_catalogue_fs = false;
	fails(f, repair(f, 0, true), -EUCLEAN, KVOL_R_CORRUPT);
	assert_non_null(strstr(f->e.msg, "mount the catalogue"));
	assert_int_equal(model_n_devs(), 0);
}

/* Want of memory, or a disk that fails, is nothing to mend. */
static void catalogue_that_cannot_be_mounted_is_not_called_damaged(void **state)
{
	struct fixture *f = *state;

	model_fail("mount", 1, -EIO);
	fails(f, repair(f, 0, true), -EIO, KVOL_R_IO);
	model_fail("mount", 1, -ENOMEM);
	fails(f, repair(f, 0, true), -ENOMEM, KVOL_R_SYSTEM);
	model_fail("mount", 1, -EUCLEAN);
	fails(f, repair(f, 0, true), -EUCLEAN, KVOL_R_CORRUPT);
	model_fail("mount", 1, -EINVAL);
	fails(f, repair(f, 0, true), -EUCLEAN, KVOL_R_CORRUPT);
	assert_int_equal(model_n_devs(), 0);
	succeeds(f, repair(f, 0, true));
	assert_int_equal(info.found, 0);
}

/* --- A check ---------------------------------------------------------------------- */

/* Says what it found, and neither mends nor writes anything. */
static void check_tells_and_leaves(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	before = (uint64_t)query(f, "SELECT epoch FROM pool");
	succeeds(f, repair(f, KVOL_REPAIR_CHECK, false));
	assert_int_equal(info.found, 0);
	disk_of(f)->table_damaged = true;
	disk_of(f)->catalogue_damaged = true;
	disk_of(f)->metadata.needs_check = true;
	succeeds(f, repair(f, KVOL_REPAIR_CHECK, false));
	assert_int_equal(info.found, KVOL_FAULT_TABLE | KVOL_FAULT_CATALOGUE |
					     KVOL_FAULT_NEEDS_CHECK);
	assert_int_equal(info.mended, 0);
	assert_true(disk_of(f)->table_damaged);
	assert_true(disk_of(f)->catalogue_damaged);
	assert_true(disk_of(f)->metadata.needs_check);
	disk_of(f)->catalogue_damaged = false;
	damage(f, LEAF, 1);
	succeeds(f, repair(f, KVOL_REPAIR_CHECK, false));
	assert_true(info.found & KVOL_FAULT_METADATA);
	assert_int_equal(info.mended, 0);
	assert_true(disk_of(f)->metadata_damaged);
	assert_int_equal(model_n_devs(), 0);
	assert_int_equal(model_n_loops(), 0);
	assert_int_equal(files(".new") + files(".old") + files(".catalogue"), 0);
	assert_int_equal(query(f, "SELECT epoch FROM pool"), before);
}

static void check_finds_what_fits_no_longer(void **state)
{
	struct fixture *f = *state;

	doctor(f, "DELETE FROM volume WHERE name = 'c';" TALLY_ANEW);
	succeeds(f, repair(f, KVOL_REPAIR_CHECK, false));
	assert_int_equal(info.found, KVOL_FAULT_STRAYS);
	assert_int_equal(info.n_strays, 1);
	doctor(f, "UPDATE pool SET epoch = epoch - 2");
	succeeds(f, repair(f, KVOL_REPAIR_CHECK | KVOL_REPAIR_ACCEPT, false));
	assert_true(info.found & KVOL_FAULT_EPOCH);
	assert_int_equal(info.mended, 0);
	open_pool(f);
	assert_true(pool_info(f).flags & KVOL_POOL_AUDIT);
}

/* The numbers that verbs go by instead of counting rows. */
static void tally_is_found_and_made_anew(void **state)
{
	static const char *const wrong[] = {
		"n_volumes = 4",	"n_snapshots = 0",	"n_volumes = -1",
		"n_snapshots = 'many'", "pages = pages - 1",	"pages = 1e30",
		"thick_pages = 1",	"thick_blocks = 1",	"thick_blocks = x'00'",
	};
	struct fixture *f = *state;
	char sql[96];

	for (size_t i = 0; i < KV_ARRAY_SIZE(wrong); i++) {
		(void)snprintf(sql, sizeof(sql), "UPDATE pool SET %s", wrong[i]);
		doctor(f, sql);
		succeeds(f, repair(f, KVOL_REPAIR_CHECK, false));
		assert_int_equal(info.found, KVOL_FAULT_DATABASE);
		assert_int_equal(info.mended, 0);
		succeeds(f, repair(f, 0, false));
		assert_int_equal(info.mended, KVOL_FAULT_DATABASE);
		assert_int_equal(query(f, "SELECT (" TALLY_COLUMNS ") = (" TALLY_OF_ROWS
					  ") FROM pool"),
				 1);
		succeeds(f, repair(f, KVOL_REPAIR_CHECK, false));
		assert_int_equal(info.found, 0);
		assert_all_there(f);
	}
}

/* Whatever of it fails: an error, and nothing left. */
static void check_that_fails_leaves_nothing(void **state)
{
	static const char *const steps[] = { "spawn", "device", "mount",
					     "dm",    "gpt",	"loop" };
	struct fixture *f = *state;
	unsigned failures = 0;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		for (unsigned nth = 1;; nth++) {
			bool fired;
			int r;

			model_fail(steps[i], nth, -EIO);
			r = repair(f, KVOL_REPAIR_CHECK, false);
			fired = !model->plans[0].used;
			model_forget_plans();
			if (!fired) {
				assert_int_equal(r, 0);
				break;
			}
			assert_true(r <= 0);
			failures++;
			if (model_n_devs())
				model_power_cut();
			assert_int_equal(model_n_loops(), 0);
		}
	}
	assert_true(failures > 25);
	assert_all_there(f);
}

/* --- The partition table ---------------------------------------------------------- */

static void damaged_table_is_written_anew(void **state)
{
	struct fixture *f = *state;

	disk_of(f)->table_damaged = true;
	model_fail("gpt mend", 1, -ENOSPC);
	fails(f, repair(f, 0, false), -ENOSPC, KVOL_R_SYSTEM);
	assert_non_null(strstr(f->e.msg, "partition table"));
	assert_int_equal(model_n_devs(), 0);
	model_fail("gpt check", 1, -EIO);
	fails(f, repair(f, 0, false), -EIO, KVOL_R_IO);
	assert_true(disk_of(f)->table_damaged);
	succeeds(f, repair(f, 0, false));
	assert_int_equal(info.found, KVOL_FAULT_TABLE);
	assert_int_equal(info.mended, KVOL_FAULT_TABLE);
	assert_false(disk_of(f)->table_damaged);
	assert_all_there(f);
}

/* --- The database ----------------------------------------------------------------- */

static void damaged_database_is_left_to_a_person(void **state)
{
	struct fixture *f = *state;
	char path[MODEL_PATH], page[4096];
	_cleanup_close_ int fd = -1;

	model_catalogue_path(f->path, path);
	doctor(f, "PRAGMA wal_checkpoint(TRUNCATE)");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	/* All but the first page, by which it is known for a database. */
	memset(page, 0x5a, sizeof(page));
	for (uint64_t at = sizeof(page); kv_pread_full(fd, page, 1, at) == 0;
	     at += sizeof(page)) {
		memset(page, 0x5a, sizeof(page));
		assert_int_equal(kv_pwrite_full(fd, page, sizeof(page), at), 0);
	}
	fails(f, repair(f, KVOL_REPAIR_CHECK, false), -EUCLEAN, KVOL_R_CORRUPT);
	fails(f, repair(f, KVOL_REPAIR_FORCE, true), -EUCLEAN, KVOL_R_CORRUPT);
	assert_int_equal(model_n_devs(), 0);
}

static void database_of_another_pool_is_refused(void **state)
{
	struct fixture *f = *state;

	doctor(f, "UPDATE pool SET uuid = '01234567-89ab-4cde-8f01-23456789abcd'");
	fails(f, repair(f, KVOL_REPAIR_ACCEPT, true), -EUCLEAN, KVOL_R_CORRUPT);
}

/* --- Crashes ---------------------------------------------------------------------- */

static int repair_in_child(void *arg)
{
	return repair(arg, 0, true) < 0;
}

/* Each step of the repair of a lost superblock, in turn: the same call then mends it. */
static void crash_at_every_step_is_gone_on_from(void **state)
{
	static const char *const steps[] = { "spawn", "device flush", "device open",
					     "mount", "dm",	      "gpt" };
	struct model_saved *saved;
	struct fixture *f = *state;
	unsigned crashes = 0;

	saved = model_save();
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		for (unsigned nth = 1;; nth++) {
			int r;

			model_restore(saved);
			damage(f, LEAF, 1);
			model_crash(steps[i], nth);
			r = model_in_child(repair_in_child, f);
			model_forget_plans();
			if (nth % 3 == 0)
				model_power_cut();
			if (r != MODEL_CRASHED) {
				assert_int_equal(r, 0);
				break;
			}
			crashes++;
			succeeds(f, repair(f, 0, true));
			assert_int_equal(info.found & ~info.mended, 0);
			assert_int_equal(model_n_devs(), 0);
			assert_all_there(f);
		}
	}
	model_saved_free(saved);
	print_message("# figure crash points of a repair: %u\n", crashes);
	assert_true(crashes > 25);
}

static bool is_marked(struct fixture *f)
{
	char path[2 * MODEL_PATH], block[16] = "";
	_cleanup_close_ int fd = -1;

	metadata_path(f, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && kv_pread_full(fd, block, sizeof(block) - 1, 0) == 0);
	return !strncmp(block, "kvol repair 1\n", 14);
}

/* While it is written, and not before, the metadata is marked: no pool starts on it, and
 * it is completed from the file, not repaired from what is half of one and half of
 * another. */
static void half_written_metadata_is_completed_from_its_file(void **state)
{
	struct model_saved *saved = model_save();
	struct fixture *f = *state;
	unsigned marked = 0;
	int r = MODEL_CRASHED;

	for (unsigned nth = 1; r == MODEL_CRASHED; nth++) {
		model_restore(saved);
		damage(f, LEAF, 1);
		model_crash("device flush", nth);
		r = model_in_child(repair_in_child, f);
		model_forget_plans();
		if (r != MODEL_CRASHED || !is_marked(f))
			continue;
		marked++;
		assert_int_equal(files(".new"), 1);
		model_power_cut();
		fails(f, kvol_pool_open(f->ctx, f->path, NULL, &f->pool, &f->e), -EUCLEAN,
		      KVOL_R_CORRUPT);
		model_fail("spawn thin_repair", 0, -EIO);
		succeeds(f, repair(f, 0, true));
		model_forget_plans();
		assert_int_equal(info.mended, KVOL_FAULT_METADATA);
		assert_int_equal(files(".new"), 0);
		assert_all_there(f);
	}
	model_saved_free(saved);
	assert_int_equal(marked, 2); /* the marker's flush, and the rest's */
}

/* Nor does a failure leave anything, and the same call mends it later. */
static void failure_at_every_step_leaves_nothing(void **state)
{
	static const char *const steps[] = { "spawn", "device flush", "device open",
					     "mount", "dm",	      "gpt" };
	struct model_saved *saved;
	struct fixture *f = *state;
	unsigned failures = 0;

	saved = model_save();
	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		for (unsigned nth = 1;; nth++) {
			bool fired;

			model_restore(saved);
			damage(f, LEAF, 1);
			model_fail(steps[i], nth, -EIO);
			(void)repair(f, 0, true); /* some are no harm */
			fired = !model->plans[0].used;
			model_forget_plans();
			if (!fired)
				break;
			failures++;
			if (model_n_devs())
				model_power_cut();
			succeeds(f, repair(f, 0, true));
			assert_all_there(f);
		}
	}
	model_saved_free(saved);
	print_message("# figure failing steps of a repair: %u\n", failures);
	assert_true(failures > 25);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(bad_arguments_are_refused),
		on_pool(active_pool_is_refused),
		on_pool(other_hosts_pool_is_refused),
		on_pool(missing_programs_are_named),
		on_pool(sound_pool_is_left_alone),
		on_pool(needs_check_is_cleared),
		on_pool(damaged_metadata_is_repaired),
		on_pool(lost_superblock_is_made_anew),
		on_pool(repair_that_loses_something_is_refused),
		on_pool(strays_are_counted_and_stay),
		on_pool(epochs_are_settled_by_order_only),
		on_pool(catalogue_s_file_system_is_forced_by_order_only),
		on_pool(catalogue_that_nothing_mends_is_told),
		on_pool(catalogue_that_cannot_be_mounted_is_not_called_damaged),
		on_pool(check_tells_and_leaves),
		on_pool(check_finds_what_fits_no_longer),
		on_pool(tally_is_found_and_made_anew),
		on_pool(check_that_fails_leaves_nothing),
		on_pool(damaged_table_is_written_anew),
		on_pool(damaged_database_is_left_to_a_person),
		on_pool(database_of_another_pool_is_refused),
		on_pool(crash_at_every_step_is_gone_on_from),
		on_pool(half_written_metadata_is_completed_from_its_file),
		on_pool(failure_at_every_step_leaves_nothing),
	};

	return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
