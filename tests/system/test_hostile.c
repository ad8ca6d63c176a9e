// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Disks that were made to hurt: partition tables, claims, catalogues, thin metadata and
 * volumes' file systems with bits flipped, values that no program writes, and tricks.
 * Each ends in an error with a reason and a line of text, or in a pool that can be used;
 * never in a crash, a hang, anything left over, or a write outside the pool.
 *
 * Every case runs in a child, so that a crash is seen as such, and under a watchdog. The
 * fuzz targets do the same natively and far more often; here the kernel takes part.
 * hostile_disk.c has the cases of a pool's disk, hostile_volume.c those of a volume.
 */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

bool long_form;

static char canary[256];
static uint64_t seed = 1, state_of_random;
static unsigned n_cases, n_refused, n_stuck;

uint64_t next_random(void)
{
	uint64_t x = state_of_random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return x ^ x >> 27;
}

void flip_bits(const char *path, uint64_t from, uint64_t bytes, unsigned n)
{
	unsigned char c;

	while (n--) {
		uint64_t at = from + next_random() % bytes;

		read_at(path, at, &c, 1);
		c ^= (unsigned char)(1u << next_random() % 8);
		write_at(path, at, &c, 1);
	}
}

bool answered(int r, const char *call)
{
	const char *fault = answer_fault(r);

	if (!fault && r < 0 && (err.reason == KVOL_R_NONE || err.reason > KVOL_R_TIMEOUT))
		fault = "it has no reason";
	if (!fault)
		return true;
	(void)dprintf(STDERR_FILENO, "# %s = %d: %s\n", call, r, fault);
	return false;
}

size_t first(void)
{
	state_of_random = mix(seed, &n_cases, sizeof(n_cases));
	return next_random() % step();
}

size_t step(void)
{
	return long_form ? 1 : 6;
}

void case_begin(void)
{
	state_of_random = mix(seed, &n_cases, sizeof(n_cases));
}

/* What the pool could be opened with and not be taken down again. */
static void clean_up(void)
{
	(void)sh("umount '%s/place'; for i in 1 2 3; do dmsetup ls | "
		 "awk '/^kvol-/ { print $1 }' | sort -r | while read -r n; do "
		 "dmsetup resume --noflush --noudevsync $n; "
		 "dmsetup remove --noudevsync $n; done; done",
		 dir);
}

int case_run(const char *what, int (*fn)(void *arg), void *arg, int want)
{
	struct world w;
	int r;

	world_now(&w);
	watched(what);
	r = in_child(fn, arg);
	unwatched();
	if ((r != OPENED && r != REFUSED && r != STUCK) || (want != EITHER && r != want))
		fail_msg("%s: %d (KVOL_TEST_SEED=%" PRIu64 ", case %u)", what, r, seed,
			 n_cases);
	if (r == STUCK)
		clean_up();
	assert_nothing_frozen(what);
	assert_world(&w, what, __FILE__, __LINE__);
	assert_string_equal(read_file(canary), "alive");
	assert_sh("test -z \"$(ls -A '%s/place')\"", dir);
	n_cases++;
	n_refused += r == REFUSED;
	n_stuck += r == STUCK;
	return r;
}

static int up(void **state)
{
	const char *given = getenv("KVOL_TEST_SEED");

	long_form = getenv("KVOL_TEST_LONG") && getenv("KVOL_TEST_LONG")[0];
	if (given && given[0])
		seed = strtoull(given, NULL, 10);
	else if (long_form)
		seed = (uint64_t)time(NULL);
	printf("# seed %" PRIu64 "\n", seed);
	watch_start();
	if (contents_up(state) < 0)
		return -1;
	(void)snprintf(canary, sizeof(canary), "%s", in_dir("canary"));
	write_file(canary, "alive");
	(void)make_dir("place");
	return 0;
}

static int down(void **state)
{
	int r;

	printf("# figure hostile disks and volumes: %u, %u of them refused, %u opened and "
	       "not closed by themselves, 0 crashed\n",
	       n_cases, n_refused, n_stuck);
	r = contents_down(state);
	watch_end();
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partition_tables),
		cmocka_unit_test(claims_of_strangers),
		cmocka_unit_test(catalogues_of_strangers),
		cmocka_unit_test(rows_of_strangers),
		cmocka_unit_test(files_of_strangers),
		cmocka_unit_test(flipped_catalogues),
		cmocka_unit_test(flipped_file_system_of_the_catalogue),
		cmocka_unit_test(flipped_thin_metadata),
		cmocka_unit_test(thin_superblocks_that_add_up),
		cmocka_unit_test(run_directories_of_strangers),
		cmocka_unit_test(flipped_file_systems),
		cmocka_unit_test(contents_of_another_type),
		cmocka_unit_test(an_ext4_that_would_panic_the_host),
	};

	need_device_mapper();
	return cmocka_run_group_tests_name("hostile", tests, up, down);
}
