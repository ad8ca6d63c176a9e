// SPDX-License-Identifier: LGPL-2.1-or-later
#include "log.h"
#include "_cgo_export.h"

static void forward(void *arg, int priority, const char *msg)
{
	kvolGoLog((uintptr_t)arg, priority, (char *)msg);
}

void kvol_go_set_log(struct kvol_ctx_opts *opts, uintptr_t handle)
{
	opts->log = forward;
	opts->log_arg = (void *)handle;
}
