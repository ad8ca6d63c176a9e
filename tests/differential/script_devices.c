// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Random calls of lib/dm.h, sensible and not, on a thin pool over a file: what
 * device-mapper answers, and what its devices are after each. Everything that the kernel
 * does and does not check (DESIGN.md's "facts to respect") is among them: copies of
 * running origins, tables that load and do not resume, smaller tables, ids beyond 24
 * bits, names and uuids taken.
 *
 * Usage: script SEED STEPS DIR. Prints one line for each call and one for each device.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blockdev.h"
#include "dm.h"
#include "loop.h"
#include "machine.h"
#include "thin.h"
#include "util.h"

#define UUID	      "01234567-89ab-4cde-8f01-23456789abcd"
#define IDS	      5 /* thin ids that are played with */
#define BLOCK_SECTORS 128
#define META_SECTORS  8192
#define DATA_SECTORS  65536
#define THIN_SECTORS  16384
#define FILE_BYTES    (UINT64_C(64) << 20)

static struct kv_dm dm;
static dev_t loop;
static struct kv_dm_id metadata, data, pool;
static int fds[IDS] = { -1, -1, -1, -1, -1 }; /* that the script holds open */
static unsigned step;

#define say(...) (printf("%u ", step), printf(__VA_ARGS__), putchar('\n'))

/* --- What there is ---------------------------------------------------------------- */

static dev_t number_of(const struct kv_dm_id *id)
{
	struct kv_dm_info info;

	return kv_dm_info(&dm, id->uuid, &info) == 0 ? info.dev : 0;
}

static void show_device(const char *name, const struct kv_dm_id *id)
{
	struct kv_dm_info info;
	char type[16] = "";
	char line[KV_THIN_LINE] = "";
	int r;

	r = kv_dm_info(&dm, id->uuid, &info);
	if (r < 0) {
		printf("  %s %s\n", name, result(r));
		return;
	}
	r = kv_dm_status(&dm, id->uuid, KV_DM_TABLE, line, sizeof(line), type);
	printf("  %s openers %u%s%s%s%s %s %s\n", name, info.open_count,
	       info.suspended ? " suspended" : "", info.readonly ? " readonly" : "",
	       info.live_table ? " live" : "", info.deferred_remove ? " deferred" : "",
	       result(r), type);
}

/* Without the metadata's use, which the model does not know to the block. */
static void show_pool(void)
{
	struct kv_pool_status st;
	char line[KV_THIN_LINE];
	int r;

	show_device("pool", &pool);
	r = kv_dm_status(&dm, pool.uuid, 0, line, sizeof(line), NULL);
	if (r == 0)
		r = kv_pool_status_parse(line, &st);
	if (r < 0)
		printf("  status %s\n", result(r));
	else
		printf("  status mode %d%s transaction %" PRIu64 " data %" PRIu64
		       "/%" PRIu64 " metadata /%" PRIu64 "\n",
		       (int)st.mode, st.needs_check ? " needs_check" : "",
		       st.transaction_id, st.data_used, st.data_total, st.metadata_total);
}

static int count(const struct kv_dm_id *id, dev_t dev, void *arg)
{
	(void)id;
	(void)dev;
	++*(unsigned *)arg;
	return 0;
}

static void show_all(void)
{
	struct kv_dm_id id;
	unsigned n = 0;
	char name[8];
	int r;

	show_pool();
	for (unsigned i = 0; i < IDS; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		kv_dm_id_volume(&id, UUID, i, KV_FACE_THIN);
		show_device(name, &id);
	}
	r = kv_dm_list(&dm, "KVOL-" UUID, count, &n);
	printf("  list %s %u\n", result(r), n);
}

/* --- Messages --------------------------------------------------------------------- */

static uint64_t some_id(void)
{
	switch (dice(20)) {
	case 0:
		return KV_THIN_ID_MAX;
	case 1:
		return KV_THIN_ID_MAX + 1u;
	case 2:
		return UINT32_MAX;
	}
	return dice(IDS);
}

static void send(const char *msg)
{
	say("message %s: %s", msg, result(kv_dm_message(&dm, pool.uuid, msg)));
}

static uint64_t transaction_id(void)
{
	struct kv_pool_status st = { .transaction_id = 0 };
	char line[KV_THIN_LINE];

	if (kv_dm_status(&dm, pool.uuid, 0, line, sizeof(line), NULL) == 0)
		(void)kv_pool_status_parse(line, &st);
	return st.transaction_id;
}

static void send_some_message(void)
{
	static const char *const others[] = {
		"create_thin", "create_thin x", "create_thin -1", "create_snap 1",
		"delete 1 2",  "delete",	"nonsense",	  "set_transaction_id 1",
	};
	const uint64_t now = transaction_id();
	char msg[KV_THIN_LINE];

	switch (dice(9)) {
	case 0:
	case 1:
		(void)snprintf(msg, sizeof(msg), "create_thin %" PRIu64, some_id());
		break;
	case 2:
	case 3:
		(void)snprintf(msg, sizeof(msg), "create_snap %" PRIu64 " %u", some_id(),
			       dice(IDS));
		break;
	case 4:
	case 5:
		(void)snprintf(msg, sizeof(msg), "delete %" PRIu64, some_id());
		break;
	case 6:
		(void)snprintf(msg, sizeof(msg),
			       "set_transaction_id %" PRIu64 " %" PRIu64, now, now + 1);
		break;
	case 7:
		(void)snprintf(msg, sizeof(msg),
			       "set_transaction_id %" PRIu64 " %" PRIu64, now + dice(3),
			       now + 2);
		break;
	default:
		(void)kv_strcpy(msg, sizeof(msg), others[dice(KV_ARRAY_SIZE(others))]);
	}
	send(msg);
}

/* --- Tables ----------------------------------------------------------------------- */

/* The text lives until the next call. */
static struct kv_dm_target thin_target(unsigned id)
{
	static char params[KV_THIN_LINE];
	struct kv_dm_target t = { .type = "thin", .params = params };

	t.length_sectors = THIN_SECTORS << dice(3);
	switch (dice(12)) {
	case 0:
		t.type = "no-such";
		break;
	case 1:
		t.length_sectors = 0;
		break;
	case 2:
		id = IDS + 7; /* is not there */
		break;
	case 3: /* no pool */
		need(kv_thin_params(params, number_of(&data), id) == 0, "thin table");
		return t;
	case 4:
		(void)snprintf(params, sizeof(params), "nonsense");
		return t;
	}
	need(kv_thin_params(params, number_of(&pool), id) == 0, "thin table");
	return t;
}

static struct kv_dm_target pool_target(uint64_t sectors)
{
	static char params[KV_THIN_LINE];

	need(kv_thin_pool_params(params, number_of(&metadata), number_of(&data),
				 BLOCK_SECTORS, 0) == 0,
	     "pool table");
	return (struct kv_dm_target){ .length_sectors = sectors,
				      .type = "thin-pool",
				      .params = params };
}

static void activate_some(void)
{
	const unsigned id = dice(IDS), flags = dice(4) ? 0 : KV_DM_READONLY;
	const struct kv_dm_target t = thin_target(id);
	struct kv_dm_id as, other;

	kv_dm_id_volume(&as, UUID, id, KV_FACE_THIN);
	if (dice(8) == 0) { /* half of another's name */
		kv_dm_id_volume(&other, UUID, dice(IDS), KV_FACE_THIN);
		memcpy(as.name, other.name, sizeof(as.name));
	}
	say("create %u %s%s: %s", id, t.type, flags ? " readonly" : "",
	    result(kv_dm_create(&dm, &as, &t, flags, NULL)));
}

static void reload_some(void)
{
	const unsigned id = dice(IDS);
	const struct kv_dm_target t = thin_target(id);
	struct kv_dm_id as;

	kv_dm_id_volume(&as, UUID, id, KV_FACE_THIN);
	say("reload %u %s %" PRIu64 ": %s", id, t.type, t.length_sectors,
	    result(kv_dm_reload(&dm, as.uuid, &t, 0)));
}

/* A smaller or larger pool than its data device: the first loads and does not resume. */
static void reload_pool(void)
{
	static const uint64_t sizes[] = { DATA_SECTORS, DATA_SECTORS / 2,
					  DATA_SECTORS * 2 };
	const uint64_t sectors = sizes[dice(KV_ARRAY_SIZE(sizes))];
	const struct kv_dm_target t = pool_target(sectors);

	say("reload pool %" PRIu64 ": %s", sectors,
	    result(kv_dm_reload(&dm, pool.uuid, &t, 0)));
}

/* --- Devices ---------------------------------------------------------------------- */

static void suspend_or_resume(void)
{
	const unsigned id = dice(IDS), flags = dice(2) ? KV_DM_LOCKFS | KV_DM_FLUSH : 0;
	struct kv_dm_id as;

	kv_dm_id_volume(&as, UUID, id, KV_FACE_THIN);
	if (dice(2))
		say("suspend %u %u: %s", id, flags,
		    result(kv_dm_suspend(&dm, as.uuid, flags)));
	else
		say("resume %u: %s", id, result(kv_dm_resume(&dm, as.uuid)));
}

static void remove_some(void)
{
	const unsigned id = dice(IDS), flags = dice(2) ? KV_DM_DEFERRED : 0;
	struct kv_dm_id as;

	kv_dm_id_volume(&as, UUID, id, KV_FACE_THIN);
	if (dice(3) == 0)
		say("cancel %u: %s", id, result(kv_dm_cancel_remove(&dm, as.uuid)));
	else
		say("remove %u%s: %s", id, flags ? " deferred" : "",
		    result(kv_dm_remove(&dm, as.uuid, flags)));
}

static uint32_t pool_openers(void)
{
	struct kv_dm_info info;

	return kv_dm_info(&dm, pool.uuid, &info) == 0 ? info.open_count : 0;
}

/* Closes the last fd of a device. A deferred removal is the kernel's own, a moment after,
 * and lets go of the pool another moment after that. */
static void close_and_settle(const struct kv_dm_id *id, int fd)
{
	const int64_t deadline = kv_deadline(30000);
	const uint32_t before = pool_openers();
	struct kv_dm_info info;
	unsigned backoff = 0;
	bool going;

	going = kv_dm_info(&dm, id->uuid, &info) == 0 && info.deferred_remove &&
		info.open_count == 1;
	(void)kv_close(fd);
	while (going &&
	       (kv_dm_info(&dm, id->uuid, &info) == 0 || pool_openers() == before) &&
	       kv_backoff(&backoff, deadline) == 0)
		;
}

static void hold_or_let_go(void)
{
	const unsigned id = dice(IDS);
	struct kv_dm_id as;
	dev_t dev;

	kv_dm_id_volume(&as, UUID, id, KV_FACE_THIN);
	if (fds[id] >= 0) {
		close_and_settle(&as, fds[id]);
		fds[id] = -1;
		say("close %u", id);
		return;
	}
	dev = number_of(&as);
	if (!dev)
		return;
	fds[id] = kv_blockdev_open(dev, O_RDONLY);
	say("open %u: %s", id, result(fds[id]));
}

/* --- The pool --------------------------------------------------------------------- */

static void start_pool(void)
{
	const struct kv_dm_target t = pool_target(DATA_SECTORS);

	say("create pool: %s", result(kv_dm_create(&dm, &pool, &t, 0, NULL)));
}

static void remove_volumes(void)
{
	struct kv_dm_id as;

	for (unsigned id = 0; id < IDS; id++) {
		kv_dm_id_volume(&as, UUID, id, KV_FACE_THIN);
		if (fds[id] >= 0)
			close_and_settle(&as, fds[id]);
		fds[id] = -1;
		(void)kv_dm_resume(&dm, as.uuid);
		(void)kv_dm_remove(&dm, as.uuid, 0);
	}
}

/* What was committed is there again. */
static void restart_pool(void)
{
	if (dice(2))
		remove_volumes();
	say("remove pool: %s", result(kv_dm_remove(&dm, pool.uuid, 0)));
	start_pool();
}

static void linear(const char *part, struct kv_dm_id *id, uint64_t offset,
		   uint64_t sectors)
{
	char params[KV_THIN_LINE];
	const struct kv_dm_target t = { .length_sectors = sectors,
					.type = "linear",
					.params = params };
	int r;

	kv_dm_id_part(id, UUID, part);
	need(kv_thin_linear_params(params, loop, offset) == 0, "linear table");
	r = kv_dm_create(&dm, id, &t, 0, NULL);
	errno = -r;
	need(r == 0, part);
}

static void set_up(void)
{
	const char *path = machine_path("disk");
	int fd, loop_fd;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	need(fd >= 0 && ftruncate(fd, FILE_BYTES) == 0, path);
	need(kv_dm_open(&dm) == 0, "device-mapper");
	loop_fd = kv_loop_attach(fd, path, &loop);
	need(loop_fd >= 0, "loop");
	linear("metadata", &metadata, 2048, META_SECTORS);
	linear("data", &data, 2048 + META_SECTORS, DATA_SECTORS);
	kv_dm_id_part(&pool, UUID, "pool");
	start_pool();
	(void)kv_close(loop_fd);
	(void)kv_close(fd);
}

static void tear_down(void)
{
	remove_volumes();
	(void)kv_dm_remove(&dm, pool.uuid, 0);
	(void)kv_dm_remove(&dm, data.uuid, 0);
	(void)kv_dm_remove(&dm, metadata.uuid, 0);
	show_all();
	kv_dm_close(&dm);
}

int main(int argc, char **argv)
{
	unsigned steps;

	need(argc == 4, "usage: script SEED STEPS DIR");
	dice_seed(strtoull(argv[1], NULL, 0));
	steps = (unsigned)strtoul(argv[2], NULL, 0);
	machine_start(argv[3]);
	set_up();
	for (step = 1; step <= steps; step++) {
		switch (dice(16)) {
		case 0 ... 4:
			send_some_message();
			break;
		case 5 ... 7:
			activate_some();
			break;
		case 8:
			reload_some();
			break;
		case 9 ... 10:
			suspend_or_resume();
			break;
		case 11 ... 12:
			remove_some();
			break;
		case 13:
			hold_or_let_go();
			break;
		case 14:
			reload_pool();
			break;
		default:
			restart_pool();
		}
		show_all();
	}
	tear_down();
	machine_end();
	return 0;
}
