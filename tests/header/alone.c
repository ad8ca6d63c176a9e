/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public header alone, and the types of its functions: compiled as C89, C99 and
 * C++11. */
#include <kvol/kvol.h>

int main(void);

int main(void)
{
	struct kvol_ctx_opts opts = { sizeof(opts), 0, 0, 0, 0, 0 };

	return opts.size != sizeof(opts);
}
