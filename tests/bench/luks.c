// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a publish of an encrypted volume is held against: libcryptsetup itself, in the same
 * process, with a header of kvol's own making (so the same derivation) and the same
 * secret. It is given the volume's device, as cryptsetup(8) is.
 */
#include <errno.h>

#include "bench.h"
#include "luks.h"

#ifdef HAVE_CRYPTSETUP

#include <libcryptsetup.h>
#include <stdio.h>

bool luks_known(void)
{
	return true;
}

void luks_open(const char *device, const char *name, const char *secret, size_t bytes)
{
	struct crypt_device *cd;

	check(crypt_init(&cd, device), "crypt_init");
	check(crypt_load(cd, CRYPT_LUKS2, NULL), "crypt_load");
	check(crypt_activate_by_passphrase(cd, name, CRYPT_ANY_SLOT, secret, bytes,
					   CRYPT_ACTIVATE_KEYRING_KEY |
						   CRYPT_ACTIVATE_ALLOW_DISCARDS),
	      "crypt_activate_by_passphrase");
	crypt_free(cd);
}

static void drop(int level, const char *msg, void *arg)
{
	(void)level;
	(void)msg;
	(void)arg;
}

void luks_close(const char *name)
{
	/* It misses the name of the device below, which only udev would have made. */
	crypt_set_log_callback(NULL, drop, NULL);
	check(crypt_deactivate(NULL, name), "crypt_deactivate");
}

#else

bool luks_known(void)
{
	return false;
}

void luks_open(const char *device, const char *name, const char *secret, size_t bytes)
{
	(void)device;
	(void)name;
	(void)secret;
	(void)bytes;
	check(-EOPNOTSUPP, "libcryptsetup");
}

void luks_close(const char *name)
{
	(void)name;
}

#endif
