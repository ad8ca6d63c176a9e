/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * lib/secret.c and lib/keyring.c: memory for keys, and keys that the kernel keeps.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "keyring.h"
#include "secret.h"

/* The line of /proc/self/smaps that says what holds of the page at p. */
static void flags_of(const void *p, char ret[128])
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	char line[256];
	bool in = false;

	assert_non_null(f);
	ret[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			in = (uintptr_t)p >= from && (uintptr_t)p < to;
		if (in && !strncmp(line, "VmFlags:", 8))
			(void)kv_strcpy(ret, 128, line);
	}
	(void)fclose(f);
}

static void key_memory_is_locked_and_dumped_nowhere(void **state)
{
	unsigned char *p = kv_secret_alloc(64);
	char flags[128];

	(void)state;
	assert_non_null(p);
	memset(p, 0xa5, 64);
	flags_of(p, flags);
	if (!flags[0])
		skip();
	assert_non_null(strstr(flags, " lo")); /* locked */
	assert_non_null(strstr(flags, " dd")); /* not in a dump */
	assert_non_null(strstr(flags, " dc")); /* nor in a child */
	kv_secret_free(p, 64);
	kv_secret_free(NULL, 64);
}

static void memory_that_cannot_be_locked_is_none(void **state)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		/* Root may lock what it likes. */
		if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 ||
		    (geteuid() == 0 && setuid(65534) < 0))
			_exit(2);
		_exit(kv_secret_alloc(64) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void keys_are_kept_lent_and_dropped(void **state)
{
	static const char name[] = "kvol:test-of-the-keyring";
	int32_t key = 0;
	int r;

	(void)state;
	kv_keyring_drop(name);
	r = kv_keyring_put(name, "0123456789abcdef", 16);
	if (r == -EOPNOTSUPP || r == -EPERM || r == -EACCES)
		skip(); /* a container may be denied the system call */
	assert_int_equal(r, 0);
	assert_int_equal(kv_keyring_put(name, "fedcba9876543210", 16), 0);
	assert_int_equal(kv_keyring_lend(name, &key), 0);
	assert_true(key > 0);
	kv_keyring_take_back(key);
	assert_int_equal(kv_keyring_lend(name, &key), 0);
	kv_keyring_take_back(key);
	kv_keyring_drop(name);
	key = 7;
	assert_int_equal(kv_keyring_lend(name, &key), -ENOKEY);
	assert_int_equal(key, 7);
	kv_keyring_drop(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_memory_is_locked_and_dumped_nowhere),
		cmocka_unit_test(memory_that_cannot_be_locked_is_none),
		cmocka_unit_test(keys_are_kept_lent_and_dropped),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
