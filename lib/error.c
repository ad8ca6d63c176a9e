/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Filling struct kvol_error, and the names of its reasons.
 *
 * A message is one line of valid UTF-8, at most 239 bytes, never empty, whatever bytes
 * were in the names and paths that went into it: it ends up in logs and in other
 * languages' strings. What is too long loses the end of its text, but not the errno
 * behind it.
 *
 * Nothing here allocates, and errno is left as it was, so that it may be called from
 * any undo path. It must not decide what an error means: the caller names the reason,
 * and only what is plain from an errno alone is mapped here.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

/* So much longer than a message that it is always kv_str_line that cuts, even where it
 * makes one '?' of two bytes. */
#define TEXT_SIZE 1024

const char *kvol_reason_str(uint32_t reason)
{
	static const char *const names[] = {
#define R(x) [x] = #x
		R(KVOL_R_NONE),
		R(KVOL_R_INVALID),
		R(KVOL_R_NOT_FOUND),
		R(KVOL_R_EXISTS_DIFFERENT),
		R(KVOL_R_BUSY_OPEN),
		R(KVOL_R_BUSY_PUBLISHED),
		R(KVOL_R_HAS_SIGNATURE),
		R(KVOL_R_NOT_A_POOL),
		R(KVOL_R_POOL_READ_ONLY),
		R(KVOL_R_POOL_NEEDS_CHECK),
		R(KVOL_R_NO_DATA_SPACE),
		R(KVOL_R_NO_METADATA_SPACE),
		R(KVOL_R_LIMIT),
		R(KVOL_R_FOREIGN_HOST),
		R(KVOL_R_UNSUPPORTED),
		R(KVOL_R_NO_KERNEL_SUPPORT),
		R(KVOL_R_IO),
		R(KVOL_R_CORRUPT),
		R(KVOL_R_SYSTEM),
		R(KVOL_R_TIMEOUT),
		R(KVOL_R_ACCESS_CONFLICT),
		R(KVOL_R_NEEDS_SECRET),
		R(KVOL_R_WRONG_SECRET),
#undef R
	};

	if (reason >= KV_ARRAY_SIZE(names) || !names[reason])
		return "KVOL_R_UNKNOWN";
	return names[reason];
}

#ifdef __GLIBC__
/* Not strerror: glibc's is translated, and its buffer dies with the thread. */
#define ERRNO_TEXT(errnum) strerrordesc_np(errnum)
#else
#define ERRNO_TEXT(errnum) strerror(errnum)
#endif

static const char *errno_text(int code)
{
	const char *text;

	if (code == -ETIMEDOUT) /* "Connection timed out" would mislead */
		return "Timed out";
	text = ERRNO_TEXT(-code);
	return text ? text : "Unknown error";
}

static KV_PRINTF(5, 0) void fill(struct kvol_error *e, int code, uint32_t reason,
				 bool with_errno, const char *fmt, va_list ap)
{
	char text[TEXT_SIZE];
	const char *tail;
	size_t tail_size;

	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	if (!text[0]) {
		(void)kv_strcpy(text, sizeof(text), kvol_reason_str(reason));
		with_errno = true;
	}
	memset(e, 0, sizeof(*e));
	e->code = code;
	e->reason = reason;
	if (!with_errno) {
		kv_str_line(e->msg, sizeof(e->msg), text);
		return;
	}
	tail = errno_text(code);
	tail_size = strlen(tail) + strlen(": ");
	kv_str_line(e->msg, sizeof(e->msg) - tail_size, text);
	(void)strcat(strcat(e->msg, ": "), tail);
}

void kv_error_within(struct kvol_error *e, const char *fmt, ...)
{
	char text[TEXT_SIZE], inner[sizeof(e->msg)];
	int n;
	va_list ap;

	if (!e)
		return;
	memcpy(inner, e->msg, sizeof(inner));
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) / 2, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = (int)strlen(text);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, ": %s", inner);
	kv_str_line(e->msg, sizeof(e->msg), text);
}

int kv_error(struct kvol_error *e, int code, uint32_t reason, const char *fmt, ...)
{
	int saved = errno;
	bool with_errno;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		with_errno = reason == KVOL_R_SYSTEM || reason == KVOL_R_IO;
		fill(e, code, reason, with_errno, fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return code;
}

int kv_error_errno(struct kvol_error *e, int code, const char *fmt, ...)
{
	int saved = errno;
	uint32_t reason;
	va_list ap;

	switch (code) {
	case -EIO:
		reason = KVOL_R_IO;
		break;
	case -EUCLEAN:
		reason = KVOL_R_CORRUPT;
		break;
	case -ETIMEDOUT:
		reason = KVOL_R_TIMEOUT;
		break;
	default:
		reason = KVOL_R_SYSTEM;
	}
	if (e) {
		va_start(ap, fmt);
		fill(e, code, reason, true, fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return code;
}
