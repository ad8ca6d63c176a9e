/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a publish can be asked for beside its target, on the model: told apart when it is
 * repeated, refused where it cannot be, and nothing left of what was refused.
 */

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fixture.h"
#include "verb.h"

#define NS	"/proc/11/ns/mnt"
#define USER_NS "/proc/11/ns/user"

/* A pool with volumes v (ext4) and raw, and targets /t, /u (directories), /f (a file). */
static int setup(void **state)
{
	struct fixture *f;

	(void)setup_pool(state);
	f = *state;
	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	model_file("/f", S_IFREG);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, create_volume(f, "raw", NULL));
	return 0;
}

static void nothing_is_left(struct fixture *f)
{
	assert_int_equal(model_n_mounts(), 0);
	assert_int_equal(model_n_devs(), 4);
	assert_int_equal(info_of(f, "v").n_targets, 0);
}

static int publish_as(struct fixture *f, const char *target,
		      const struct kvol_publish_opts *opts)
{
	struct kvol_publish_opts o = *opts;

	o.size = sizeof(o);
	return kvol_publish(f->pool, o.flags & KVOL_PUBLISH_BLOCK ? "raw" : "v", target,
			    &o, &f->e);
}

#define PUBLISH(f, target, ...) \
	publish_as(f, target, &(struct kvol_publish_opts){ __VA_ARGS__ })

/* --- Access ----------------------------------------------------------------------- */

static void single_writer_is_alone(void **state)
{
	static const uint32_t all[] = { KVOL_ACCESS_ANY, KVOL_ACCESS_SINGLE_WRITER,
					KVOL_ACCESS_MULTI_WRITER, KVOL_ACCESS_READER };
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(all); i++) {
		succeeds(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_SINGLE_WRITER));
		assert_int_equal(info_of(f, "v").access, KVOL_ACCESS_SINGLE_WRITER);
		fails(f, PUBLISH(f, "/u", .access = all[i]), -EBUSY,
		      KVOL_R_ACCESS_CONFLICT);
		assert_non_null(strstr(f->e.msg, "'/t'"));
		fails(f, PUBLISH(f, "/u", .access = all[i], .flags = KVOL_PUBLISH_READONLY),
		      -EBUSY, KVOL_R_ACCESS_CONFLICT);
		succeeds(f, unpublish(f, "v", "/t", NULL));
		succeeds(f, PUBLISH(f, "/u", .access = all[i]));
		assert_int_equal(info_of(f, "v").access, all[i]);
		fails(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_SINGLE_WRITER), -EBUSY,
		      KVOL_R_ACCESS_CONFLICT);
		assert_non_null(strstr(f->e.msg, "'/u'"));
		succeeds(f, unpublish(f, "v", "/u", NULL));
		nothing_is_left(f);
	}
}

static void all_others_go_together(void **state)
{
	struct fixture *f = *state;

	model_file("/w", S_IFDIR);
	succeeds(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_MULTI_WRITER));
	succeeds(f, PUBLISH(f, "/u", .access = KVOL_ACCESS_READER));
	succeeds(f, PUBLISH(f, "/w", .access = KVOL_ACCESS_ANY));
	assert_int_equal(info_of(f, "v").n_targets, 3);
	assert_int_equal(info_of(f, "v").access, KVOL_ACCESS_ANY);
	assert_false(model_mount_at(NULL, "/t")->attr & 1);
	assert_true(model_mount_at(NULL, "/u")->attr & 1);
}

static void same_access_again_is_the_same_and_another_is_not(void **state)
{
	struct fixture *f = *state;

	for (uint32_t a = KVOL_ACCESS_ANY; a <= KVOL_ACCESS_READER; a++) {
		succeeds(f, PUBLISH(f, "/t", .access = a));
		for (uint32_t b = KVOL_ACCESS_ANY; b <= KVOL_ACCESS_READER; b++) {
			if (a == b)
				succeeds(f, PUBLISH(f, "/t", .access = b));
			else
				fails(f, PUBLISH(f, "/t", .access = b), -EEXIST,
				      KVOL_R_EXISTS_DIFFERENT);
		}
		succeeds(f, unpublish(f, "v", "/t", NULL));
	}
	nothing_is_left(f);
}

static void unknown_access_is_refused(void **state)
{
	struct fixture *f = *state;

	fails(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_READER + 1), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/f", .access = UINT32_MAX, .flags = KVOL_PUBLISH_BLOCK),
	      -EINVAL, KVOL_R_INVALID);
	nothing_is_left(f);
}

/* Somebody unmounted it: what is left of it rules nothing out. */
static void single_writer_that_is_gone_is_in_nobodys_way(void **state)
{
	struct fixture *f = *state;

	succeeds(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_SINGLE_WRITER));
	model_umount(NULL, "/t");
	succeeds(f, PUBLISH(f, "/u", .access = KVOL_ACCESS_SINGLE_WRITER));
	succeeds(f, unpublish(f, "v", "/u", NULL));
	nothing_is_left(f);
}

static void devices_have_access_modes_too(void **state)
{
	struct fixture *f = *state;

	model_file("/g", S_IFREG);
	succeeds(f, PUBLISH(f, "/f", .access = KVOL_ACCESS_SINGLE_WRITER,
			    .flags = KVOL_PUBLISH_BLOCK));
	fails(f, PUBLISH(f, "/g", .flags = KVOL_PUBLISH_BLOCK), -EBUSY,
	      KVOL_R_ACCESS_CONFLICT);
	succeeds(f, unpublish(f, "raw", "/f", NULL));
	succeeds(f, PUBLISH(f, "/f", .access = KVOL_ACCESS_READER,
			    .flags = KVOL_PUBLISH_BLOCK));
	assert_true(dev_of(f, "raw", true)->table.readonly);
}

/* --- Propagation ------------------------------------------------------------------ */

static void propagation_is_set_where_the_mount_is(void **state)
{
	static const unsigned long kernel[] = { 0, MS_PRIVATE, MS_SLAVE, MS_SHARED };
	struct fixture *f = *state;
	struct kvol_publish_opts o = { .size = sizeof(o), .mount_namespace = NS };

	model_ns_start(NS);
	for (o.propagation = 0; o.propagation <= KVOL_PROPAGATION_SHARED; o.propagation++) {
		succeeds(f, publish_as(f, "/t", &o));
		assert_int_equal(model_mount_at(NS, "/t")->propagation,
				 kernel[o.propagation]);
		succeeds(f, publish_as(f, "/t", &o));
		fails(f,
		      PUBLISH(f, "/t", .mount_namespace = NS,
			      .propagation = (o.propagation + 1) % 4),
		      -EEXIST, KVOL_R_EXISTS_DIFFERENT);
		succeeds(f, unpublish(f, "v", "/t", NS));
	}
	nothing_is_left(f);
}

static void unknown_propagation_is_refused(void **state)
{
	struct fixture *f = *state;

	fails(f, PUBLISH(f, "/t", .propagation = KVOL_PROPAGATION_SHARED + 1), -EINVAL,
	      KVOL_R_INVALID);
	fails(f,
	      PUBLISH(f, "/f", .propagation = KVOL_PROPAGATION_SHARED,
		      .flags = KVOL_PUBLISH_BLOCK),
	      -EINVAL, KVOL_R_INVALID);
	nothing_is_left(f);
}

static void publish_whose_propagation_fails_is_taken_back(void **state)
{
	struct fixture *f = *state;

	model_fail("mount propagate", 1, -ENOMEM);
	fails(f, PUBLISH(f, "/t", .propagation = KVOL_PROPAGATION_SHARED), -ENOMEM,
	      KVOL_R_SYSTEM);
	nothing_is_left(f);
}

/* Killed between the move and the setting. */
static void repeat_sets_what_a_crash_has_left_out(void **state)
{
	struct fixture *f = *state;

	succeeds(f, PUBLISH(f, "/t", .propagation = KVOL_PROPAGATION_SLAVE));
	model_mount_at(NULL, "/t")->propagation = 0;
	succeeds(f, PUBLISH(f, "/t", .propagation = KVOL_PROPAGATION_SLAVE));
	assert_int_equal(model_mount_at(NULL, "/t")->propagation, MS_SLAVE);
	model_fail("mount propagate", 1, -EPERM);
	fails(f, PUBLISH(f, "/t", .propagation = KVOL_PROPAGATION_SLAVE), -EPERM,
	      KVOL_R_SYSTEM);
	assert_non_null(model_mount_at(NULL, "/t"));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
}

/* --- Ids that are mapped ---------------------------------------------------------- */

#define MAPS .uid_map = "0 100000 65536", .gid_map = "0 200000 65536"

static void ids_are_mapped_by_maps_or_by_a_namespace(void **state)
{
	struct fixture *f = *state;

	model_ns_start(NS);
	succeeds(f, PUBLISH(f, "/t", MAPS));
	assert_true(model_mount_at(NULL, "/t")->idmapped);
	succeeds(f, PUBLISH(f, "/t", .uid_map = " 0 100000 65536\n",
			    .gid_map = "0 0200000 65536,"));
	succeeds(f, PUBLISH(f, "/u", .user_namespace = USER_NS));
	assert_true(model_mount_at(NULL, "/u")->idmapped);
	succeeds(f, PUBLISH(f, "/u", .user_namespace = USER_NS));
	succeeds(f, unpublish(f, "v", "/t", NULL));
	succeeds(f, unpublish(f, "v", "/u", NULL));
	succeeds(f, PUBLISH(f, "/t", .uid_map = "", .gid_map = "", .user_namespace = ""));
	assert_false(model_mount_at(NULL, "/t")->idmapped);
	succeeds(f, unpublish(f, "v", "/t", NULL));
	nothing_is_left(f);
}

static void namespace_of_maps_is_made_once(void **state)
{
	struct fixture *f = *state;

	model_file("/w", S_IFDIR);
	succeeds(f, PUBLISH(f, "/t", MAPS));
	model_fail("user namespace make", 1, -EIO);
	succeeds(f, PUBLISH(f, "/u", MAPS));
	assert_true(model_mount_at(NULL, "/u")->idmapped);
	succeeds(f, unpublish(f, "v", "/u", NULL));
	fails(f, PUBLISH(f, "/u", .uid_map = "0 100000 65536"), -EIO, KVOL_R_IO);
	/* What failed has not taken its place. */
	model_fail("user namespace make", 1, -EIO);
	succeeds(f, PUBLISH(f, "/u", MAPS));
	succeeds(f, unpublish(f, "v", "/u", NULL));
	reopen_pool(f);
	fails(f, PUBLISH(f, "/u", MAPS), -EIO, KVOL_R_IO);
	succeeds(f, PUBLISH(f, "/u", .uid_map = "0 5 5"));
	succeeds(f, PUBLISH(f, "/w", MAPS));
	assert_true(model_mount_at(NULL, "/w")->idmapped);
}

static void maps_are_told_apart(void **state)
{
	struct fixture *f = *state;

	model_ns_start(NS);
	model_ns_start("/proc/12/ns/mnt");
	succeeds(f, PUBLISH(f, "/t", .uid_map = "0 100000 65536"));
	succeeds(f, PUBLISH(f, "/t", .uid_map = "0 100000 65536",
			    .gid_map = "0 100000 65536"));
	fails(f, PUBLISH(f, "/t", MAPS), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	fails(f, PUBLISH(f, "/t", .uid_map = "0 100000 65535"), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, PUBLISH(f, "/t", .user_namespace = USER_NS), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
	fails(f, PUBLISH(f, "/t", .flags = 0), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	succeeds(f, PUBLISH(f, "/u", .user_namespace = USER_NS));
	fails(f, PUBLISH(f, "/u", .user_namespace = "/proc/12/ns/user"), -EEXIST,
	      KVOL_R_EXISTS_DIFFERENT);
}

static void bad_maps_are_refused(void **state)
{
	static const char *const bad[] = { " ", "0", "0 1 2 3", "0 0 0", "0 1 1,0 2 1" };
	struct fixture *f = *state;

	model_ns_start(NS);
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		fails(f, PUBLISH(f, "/t", .uid_map = bad[i]), -EINVAL, KVOL_R_INVALID);
		assert_non_null(strstr(f->e.msg, "uid_map"));
		fails(f, PUBLISH(f, "/t", .uid_map = "0 1 1", .gid_map = bad[i]), -EINVAL,
		      KVOL_R_INVALID);
		assert_non_null(strstr(f->e.msg, "gid_map"));
	}
	fails(f, PUBLISH(f, "/t", .gid_map = "0 1 1"), -EINVAL, KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", .user_namespace = USER_NS, .uid_map = "0 1 1"), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", .user_namespace = USER_NS, .gid_map = "0 1 1"), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", .user_namespace = "/dev/null"), -EINVAL, KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", .user_namespace = "/proc/13/ns/user"), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, PUBLISH(f, "/f", .flags = KVOL_PUBLISH_BLOCK, MAPS), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/f", .flags = KVOL_PUBLISH_BLOCK, .user_namespace = USER_NS),
	      -EINVAL, KVOL_R_INVALID);
	nothing_is_left(f);
}

static void publish_whose_mapping_fails_leaves_nothing(void **state)
{
	static const struct {
		const char *step;
		int code;
		uint32_t reason;
	} steps[] = {
		{ "user namespace make", -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT },
		{ "user namespace make", -EPERM, KVOL_R_SYSTEM },
		{ "mount idmap", -EOPNOTSUPP, KVOL_R_NO_KERNEL_SUPPORT },
		{ "mount idmap", -ENOMEM, KVOL_R_SYSTEM },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, 1, steps[i].code);
		fails(f, PUBLISH(f, "/t", MAPS), steps[i].code, steps[i].reason);
		nothing_is_left(f);
	}
	model_ns_start(NS);
	model_fail("user namespace open", 1, -EMFILE);
	fails(f, PUBLISH(f, "/t", .user_namespace = USER_NS), -EMFILE, KVOL_R_SYSTEM);
	nothing_is_left(f);
}

/* --- Groups ----------------------------------------------------------------------- */

#define GROUP(n) .flags = KVOL_PUBLISH_GROUP, .group = (n)

static void contents_are_given_to_the_group(void **state)
{
	struct fixture *f = *state;

	succeeds(f, PUBLISH(f, "/t", GROUP(1000)));
	assert_int_equal(thin_of(f, "v")->content.group, 1000);
	assert_int_equal(model_n_mounts(), 1);
	succeeds(f, PUBLISH(f, "/t", GROUP(1000)));
	fails(f, PUBLISH(f, "/t", GROUP(1001)), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	fails(f, PUBLISH(f, "/t", .flags = 0), -EEXIST, KVOL_R_EXISTS_DIFFERENT);
	model_fail("tree group", 1, -EIO); /* it is so already */
	succeeds(f, PUBLISH(f, "/u", GROUP(1000)));
	model_forget_plans();
	succeeds(f, unpublish(f, "v", "/t", NULL));
	succeeds(f, unpublish(f, "v", "/u", NULL));
	nothing_is_left(f);
}

static void bad_groups_are_refused(void **state)
{
	struct fixture *f = *state;

	fails(f, PUBLISH(f, "/t", .group = 1000), -EINVAL, KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", GROUP(UINT32_MAX)), -EINVAL, KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", .group = 7, .flags = KVOL_PUBLISH_GROUP | KVOL_PUBLISH_READONLY),
	      -EINVAL, KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/t", GROUP(7), .access = KVOL_ACCESS_READER), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, PUBLISH(f, "/f", .group = 7, .flags = KVOL_PUBLISH_GROUP | KVOL_PUBLISH_BLOCK),
	      -EINVAL, KVOL_R_INVALID);
	nothing_is_left(f);
}

static void publish_whose_group_fails_leaves_nothing(void **state)
{
	static const struct {
		const char *step;
		int code, gives;
		uint32_t reason;
	} steps[] = {
		{ "tree look", -EIO, -EIO, KVOL_R_IO },
		{ "tree group", -ETIMEDOUT, -ETIMEDOUT, KVOL_R_TIMEOUT },
		{ "tree group", -ELOOP, -EINVAL, KVOL_R_LIMIT },
		{ "mount root", -EMFILE, -EMFILE, KVOL_R_SYSTEM },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < KV_ARRAY_SIZE(steps); i++) {
		model_fail(steps[i].step, 1, steps[i].code);
		fails(f, PUBLISH(f, "/t", GROUP(1000)), steps[i].gives, steps[i].reason);
		nothing_is_left(f);
	}
}

/* --- Programs that were built before there was anything of that ------------------- */

/* What lies behind their structs is none of ours. */
/* --- Devices ---------------------------------------------------------------------- */

/* As the list has it of the volume's publish at a target; 0: none. */
static dev_t listed(struct fixture *f, const char *name, const char *target)
{
	struct kvol_publish_info info = { .size = sizeof(info) };
	struct kvol_publish_iter *iter;
	dev_t dev = 1;

	succeeds(f, kvol_publish_list(f->pool, name, &iter, &f->e));
	while (kvol_publish_iter_next(iter, &info) == 1)
		if (!strcmp(info.target, target))
			dev = makedev(info.dev_major, info.dev_minor);
	kvol_publish_iter_free(iter);
	assert_int_not_equal(dev, 1);
	return dev;
}

static dev_t told(struct fixture *f, const char *name)
{
	struct kvol_info info = info_of(f, name);

	return makedev(info.dev_major, info.dev_minor);
}

static void devices_are_told_by_number(void **state)
{
	const uint32_t ro = KVOL_PUBLISH_BLOCK | KVOL_PUBLISH_READONLY;
	struct fixture *f = *state;
	dev_t thin, face;

	model_file("/g", S_IFREG);
	assert_int_equal(told(f, "v"), 0);
	succeeds(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_ANY));
	assert_int_equal(told(f, "v"), model_dev_number(dev_of(f, "v", false)));
	assert_int_equal(listed(f, "v", "/t"), told(f, "v"));
	succeeds(f, PUBLISH(f, "/f", .flags = KVOL_PUBLISH_BLOCK));
	succeeds(f, PUBLISH(f, "/g", .flags = ro));
	thin = model_dev_number(dev_of(f, "raw", false));
	face = model_dev_number(dev_of(f, "raw", true));
	assert_int_equal(told(f, "raw"), thin);
	assert_int_equal(listed(f, "raw", "/f"), thin);
	assert_int_equal(listed(f, "raw", "/g"), face);
	assert_int_not_equal(thin, face);
}

static void devices_of_an_encrypted_volume_are_not_its_thin_one(void **state)
{
	struct kvol_create_opts o = { .size = sizeof(o), .secret = "x", .secret_bytes = 1 };
	struct kvol_publish_opts p = { .size = sizeof(p),
				       .flags = KVOL_PUBLISH_BLOCK,
				       .secret = "x",
				       .secret_bytes = 1 };
	struct fixture *f = *state;
	dev_t crypt;

	succeeds(f, kvol_create(f->pool, "x", 64 * MIB, &o, &f->e));
	succeeds(f, kvol_publish(f->pool, "x", "/f", &p, &f->e));
	crypt = model_dev_number(face_of(f, "x", KV_FACE_CRYPT));
	assert_int_equal(told(f, "x"), crypt);
	assert_int_equal(listed(f, "x", "/f"), crypt);
}

/* A number that is not the volume's any more may be another's. */
static void devices_that_are_gone_are_not_told(void **state)
{
	struct fixture *f = *state;

	succeeds(f, PUBLISH(f, "/f", .flags = KVOL_PUBLISH_BLOCK));
	succeeds(f, PUBLISH(f, "/t", .access = KVOL_ACCESS_ANY));
	model_umount(NULL, "/f");
	model_umount(NULL, "/t");
	dev_of(f, "raw", false)->used = false;
	dev_of(f, "v", false)->used = false;
	assert_int_equal(listed(f, "raw", "/f"), 0);
	assert_int_equal(listed(f, "v", "/t"), 0);
	assert_int_equal(told(f, "raw"), 0);
}

static void structs_as_short_as_the_first_ones_are_taken(void **state)
{
	struct fixture *f = *state;
	struct kvol_create_opts create;
	struct kvol_snapshot_opts snapshot;
	struct kvol_publish_opts publish;

	memset(&create, 0xff, sizeof(create));
	create.size = offsetof(struct kvol_create_opts, bytes) + sizeof(create.bytes);
	create.flags = 0;
	create.fs_type = "ext4";
	create.bytes = 0;
	succeeds(f, kvol_create(f->pool, "old", 512 * MIB, &create, &f->e));
	memset(&snapshot, 0xff, sizeof(snapshot));
	snapshot.size = 8;
	snapshot.flags = 0;
	succeeds(f, kvol_snapshot(f->pool, "old", "old snapshot", &snapshot, &f->e));
	memset(&publish, 0xff, sizeof(publish));
	publish.size = offsetof(struct kvol_publish_opts, access);
	publish.flags = 0;
	publish.mount_options = publish.mount_namespace = NULL;
	succeeds(f, kvol_publish(f->pool, "old", "/t", &publish, &f->e));
	publish.size = 8;
	fails(f, kvol_publish(f->pool, "old", "/t", &publish, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	publish.size = offsetof(struct kvol_publish_opts, access);
	succeeds(f, kvol_unpublish(f->pool, "old", "/t", &publish, &f->e));
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(single_writer_is_alone),
		on_pool(all_others_go_together),
		on_pool(same_access_again_is_the_same_and_another_is_not),
		on_pool(unknown_access_is_refused),
		on_pool(single_writer_that_is_gone_is_in_nobodys_way),
		on_pool(devices_have_access_modes_too),
		on_pool(propagation_is_set_where_the_mount_is),
		on_pool(unknown_propagation_is_refused),
		on_pool(publish_whose_propagation_fails_is_taken_back),
		on_pool(repeat_sets_what_a_crash_has_left_out),
		on_pool(ids_are_mapped_by_maps_or_by_a_namespace),
		on_pool(namespace_of_maps_is_made_once),
		on_pool(maps_are_told_apart),
		on_pool(bad_maps_are_refused),
		on_pool(publish_whose_mapping_fails_leaves_nothing),
		on_pool(contents_are_given_to_the_group),
		on_pool(bad_groups_are_refused),
		on_pool(publish_whose_group_fails_leaves_nothing),
		on_pool(devices_are_told_by_number),
		on_pool(devices_of_an_encrypted_volume_are_not_its_thin_one),
		on_pool(devices_that_are_gone_are_not_told),
		on_pool(structs_as_short_as_the_first_ones_are_taken),
	};

	return cmocka_run_group_tests_name("publish options", tests, NULL, NULL);
}
