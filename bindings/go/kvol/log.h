/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <kvol/kvol.h>

/* Has the context's lines sent to the Go function behind the handle. */
void kvol_go_set_log(struct kvol_ctx_opts *opts, uintptr_t handle);
