/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The kernel's keyring, as dm-crypt uses it: a table names a key of type "logon", which
 * no process can read back, and which therefore is in no table line, no status and no
 * message of ours.
 *
 * Keys of volumes that are active lie in the user's own keyring, which lives as long as
 * the boot, so that a device can be grown without the secret. A session need not be
 * linked with it (a service's is not), so dm-crypt would not find them there: while a
 * table is loaded the key is linked into the calling thread's keyring as well. Who is not
 * the user that published a volume has no key to grow it with.
 *
 * A crash leaves a key beside an active device: whoever deactivates that drops it.
 */

#include <errno.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keyring.h"

#define TYPE "logon"

static long control(int op, long a, const char *b, const char *c, long d)
{
	long r = syscall(SYS_keyctl, op, a, b, c, d);

	if (r < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return r;
}

int kv_keyring_put(const char *name, const void *key, size_t bytes)
{
	if (syscall(SYS_add_key, TYPE, name, key, bytes, KEY_SPEC_USER_KEYRING) >= 0)
		return 0;
	/* ENODEV: there are keyrings, and no keys of this type. */
	return errno == ENOSYS || errno == ENODEV ? -EOPNOTSUPP : -errno;
}

/* Also links it to a keyring, unless that is 0. Gone, in whatever way, is -ENOKEY. */
static long find(const char *name, long to)
{
	long r = control(KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, TYPE, name, to);

	return r == -EKEYREVOKED || r == -EKEYEXPIRED ? -ENOKEY : r;
}

static void unlink_from(long key, long keyring)
{
	(void)syscall(SYS_keyctl, KEYCTL_UNLINK, key, keyring);
}

int kv_keyring_lend(const char *name, int32_t *ret_key)
{
	long r = find(name, KEY_SPEC_THREAD_KEYRING);

	if (r < 0)
		return (int)r;
	*ret_key = (int32_t)r;
	return 0;
}

void kv_keyring_take_back(int32_t key)
{
	unlink_from(key, KEY_SPEC_THREAD_KEYRING);
}

void kv_keyring_drop(const char *name)
{
	long key = find(name, 0);

	if (key >= 0)
		unlink_from(key, KEY_SPEC_USER_KEYRING);
}
