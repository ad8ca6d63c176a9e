// SPDX-License-Identifier: LGPL-2.1-or-later
/* What both kinds of scripts share on both machines: dice, and how results are told. */
#include <stdlib.h>
#include <string.h>

#include "machine.h"

static uint64_t state;

void dice_seed(uint64_t seed)
{
	state = seed;
}

/* splitmix64 */
unsigned dice(unsigned sides)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ z >> 31) % sides);
}

const char *result(int r)
{
	return r >= 0 ? "ok" : strerrorname_np(-r);
}

void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(3);
}
