/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Every public function with each call that it makes failing, the N-th for each N, once
 * and from there on, natively on the model. What that means is in failures.c; what the
 * functions are is asked of lib/libkvol.sym, so that none is added without being here.
 *
 * Several programs, so that they run side by side: GROUP is what one of them fails.
 */

#include <ctype.h>

#include "failures.h"

static const struct group *const groups[] = {
	&encrypt_failures,
	&label_failures,
	&pool_failures,
	&publish_failures,
	&volume_failures,
};

static bool any_group_has(const char *verb)
{
	for (size_t i = 0; i < KV_ARRAY_SIZE(groups); i++)
		if (group_has(groups[i], verb))
			return true;
	return false;
}

static void every_public_function_was_failed(void **state)
{
	unsigned n = 0, n_tried = 0, n_missing = 0;
	char line[256], *verb, *end;
	FILE *file;

	(void)state;
	if (getenv("KVOL_TEST_FAILPOINT"))
		skip();
	file = fopen(LIBKVOL_SYM, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		verb = line;
		while (isspace((unsigned char)*verb))
			verb++;
		end = strchr(verb, ';');
		if (!end || strncmp(verb, "kvol_", 5) != 0)
			continue;
		*end = '\0';
		if (!any_group_has(verb)) {
			print_error("%s is in no group\n", verb);
			n_missing++;
		}
		if (!group_has(&GROUP, verb))
			continue;
		n++;
		if (verb_was_failed(verb))
			n_tried++;
		else
			print_error("%s is never failed\n", verb);
	}
	(void)fclose(file);
	printf("# figure %s, public functions with each of their calls failing: %u of %u\n",
	       GROUP.name, n_tried, n);
	assert_true(n > 0);
	assert_int_equal(n_tried, n);
	assert_int_equal(n_missing, 0);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(every_public_function_was_failed),
	};
	int failed;

	failpoint_start();
	failed = run_group(&GROUP);
	failed += cmocka_run_group_tests_name("functions", all, NULL, NULL);
	print_figures(&GROUP);
	return failed;
}
