/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Handing a line to the caller's log function.
 *
 * The line is valid UTF-8 without control characters and at most 1023 bytes; nothing is
 * formatted when nobody listens. No allocation, no lock, no state: the function runs on
 * the thread of the call, and errno survives it.
 *
 * It must not be called between a suspend and its resume: the caller's function may
 * well write to the very file system that is frozen.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "log.h"

#define LINE_SIZE 1024

void kv_log(const struct kv_log *log, int priority, const char *fmt, ...)
{
	char text[2 * LINE_SIZE], line[LINE_SIZE];
	int saved = errno, r;
	va_list ap;

	if (!log || !log->fn)
		return;
	va_start(ap, fmt);
	r = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r > 0) {
		kv_str_line(line, sizeof(line), text);
		log->fn(log->arg, priority, line);
	}
	errno = saved;
}
