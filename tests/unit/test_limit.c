/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits of a volume's I/O, on the model. */

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fixture.h"

static void published(struct fixture *f)
{
	model_file("/v", S_IFDIR);
	model_file("/cg", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, publish(f, "v", "/v", 0, NULL, NULL));
}

static void limits_are_those_of_the_volume_s_device(void **state)
{
	struct kvol_io_limits o = { .size = sizeof(o),
				    .read_bps = UINT64_MAX,
				    .write_iops = UINT32_MAX };
	struct fixture *f = *state;
	char want[160];
	dev_t dev;

	published(f);
	dev = model_dev_number(dev_of(f, "v", false));
	succeeds(f, kvol_limit_io(f->pool, "v", "/cg", &o, &f->e));
	(void)snprintf(want, sizeof(want),
		       "%u:%u rbps=18446744073709551615 wbps=max riops=max "
		       "wiops=4294967295",
		       major(dev), minor(dev));
	assert_string_equal(model->io_max, want);
	succeeds(f, kvol_limit_io(f->pool, "v", "/cg", NULL, &f->e));
	(void)snprintf(want, sizeof(want), "%u:%u rbps=max wbps=max riops=max wiops=max",
		       major(dev), minor(dev));
	assert_string_equal(model->io_max, want);
}

static void only_a_published_volume_has_some(void **state)
{
	struct fixture *f = *state;

	published(f);
	fails(f, kvol_limit_io(f->pool, "x", "/cg", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	succeeds(f, unpublish(f, "v", "/v", NULL));
	fails(f, kvol_limit_io(f->pool, "v", "/cg", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	assert_string_equal(model->io_max, "");
}

static void bad_arguments_are_refused(void **state)
{
	struct kvol_io_limits o = { .size = sizeof(o) - 1 };
	struct fixture *f = *state;
	char longest[5000];

	published(f);
	model_file("/file", S_IFREG);
	model_file("/link", S_IFLNK);
	fails(f, kvol_limit_io(f->pool, "v", "/cg", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_io_limits){ .size = sizeof(o), .flags = 1 };
	fails(f, kvol_limit_io(f->pool, "v", "/cg", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_io_limits){ .size = sizeof(o), .read_iops = UINT64_C(1) << 32 };
	fails(f, kvol_limit_io(f->pool, "v", "/cg", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_io_limits){ .size = sizeof(o), .write_iops = UINT64_MAX };
	fails(f, kvol_limit_io(f->pool, "v", "/cg", &o, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_limit_io(f->pool, "v", NULL, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_limit_io(f->pool, "v", "cg", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	fails(f, kvol_limit_io(f->pool, "v", longest, NULL, &f->e), -ENAMETOOLONG,
	      KVOL_R_INVALID);
	fails(f, kvol_limit_io(f->pool, NULL, "/cg", NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_limit_io(f->pool, "v", "/absent", NULL, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_limit_io(f->pool, "v", "/file", NULL, &f->e), -ENOTDIR,
	      KVOL_R_INVALID);
	fails(f, kvol_limit_io(f->pool, "v", "/link", NULL, &f->e), -ELOOP,
	      KVOL_R_INVALID);
	model_fail("cgroup write", 1, -EMEDIUMTYPE);
	fails(f, kvol_limit_io(f->pool, "v", "/cg", NULL, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	model->no_io_controller = true;
	fails(f, kvol_limit_io(f->pool, "v", "/cg", NULL, &f->e), -EOPNOTSUPP,
	      KVOL_R_NO_KERNEL_SUPPORT);
	model_fail("cgroup write", 1, -ENODEV);
	fails(f, kvol_limit_io(f->pool, "v", "/cg", NULL, &f->e), -ENODEV, KVOL_R_SYSTEM);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(limits_are_those_of_the_volume_s_device),
		on_pool(only_a_published_volume_has_some),
		on_pool(bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("limit", tests, NULL, NULL);
}
