/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_LOG_H
#define KV_LOG_H

/* L0: the caller's log function. Never called between suspend and resume. */

#include <syslog.h>
#include "util.h"

struct kv_log {
	void (*fn)(void *arg, int priority, const char *msg);
	void *arg;
};

void kv_log(const struct kv_log *log, int priority, const char *fmt, ...) KV_PRINTF(3, 4);

#endif
