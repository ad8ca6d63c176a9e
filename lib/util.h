/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef KV_UTIL_H
#define KV_UTIL_H

/* L0: memory, file descriptors, time, small strings. Nothing here knows what a volume is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KV_UUID_LEN 36	 /* without the NUL */
#define KV_SECTOR   512u /* the unit of device-mapper tables */

#define KV_ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define KV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Released at the end of the scope. Only memory and fds: kernel and disk state never is.
 */
#define _cleanup_(f)	__attribute__((cleanup(f)))
#define _cleanup_free_	_cleanup_(kv_freep)
#define _cleanup_close_ _cleanup_(kv_closep)

void kv_freep(void *p);
void kv_closep(int *fd);
int kv_close(int fd);	 /* closes if >= 0, keeps errno, returns -1 */
int kv_take_fd(int *fd); /* returns *fd and sets it to -1 */

/* Time. A deadline is a CLOCK_MONOTONIC instant in milliseconds. */
int64_t kv_now_ms(void);
int64_t kv_deadline(int64_t timeout_ms);
bool kv_expired(int64_t deadline_ms);
/* Waits a moment that grows from 100 us to 10 ms with *step (start it at 0): -ETIMEDOUT
 * past the deadline. For the few things that the kernel offers no bounded wait for. */
int kv_backoff(unsigned *step, int64_t deadline_ms);

/* Copies at most size - 1 bytes and terminates; false if it did not fit. */
bool kv_strcpy(char *dst, size_t size, const char *src);
bool kv_str_empty(const char *s);		 /* NULL or "" */
bool kv_str_equal(const char *a, const char *b); /* NULL equals "" */
/* Length of the UTF-8 character at s, of which n bytes may be read; 0 if it is none
 * (overlong, surrogate, beyond U+10FFFF, cut short). ret_c may be NULL. */
size_t kv_utf8_char(const char *s, size_t n, uint32_t *ret_c);
bool kv_control_char(uint32_t c); /* C0, DEL, C1 */
/* Copies src as one line of valid UTF-8, with '?' for control characters and stray bytes.
 * What does not fit is replaced by "...", between two characters. size is at least 4. */
void kv_str_line(char *dst, size_t size, const char *src);

bool kv_is_zero(const void *p, size_t n); /* n is not 0 */

uint64_t kv_round_up(uint64_t n, uint64_t multiple);
uint64_t kv_div_round_up(uint64_t n, uint64_t d);

int kv_uuid_new(char ret[KV_UUID_LEN + 1]); /* random, version 4, lower case */
bool kv_uuid_valid(const char *s);	    /* 8-4-4-4-12 lower case hex digits */
#define KV_UUID_BYTES 16
void kv_uuid_bytes(const char *uuid, unsigned char ret[KV_UUID_BYTES]); /* of a valid one */
/* CRC-32C as the kernel computes it: seeded with ones, not inverted at the end. */
uint32_t kv_crc32c(const unsigned char *p, size_t n);
uint64_t kv_hash64(const void *data, size_t n,
		   uint64_t seed); /* FNV-1a: spreads, no secret */

/* Whole reads and writes: EINTR handled; a short read is -ENODATA. */
int kv_pread_full(int fd, void *buf, size_t n, uint64_t offset);
int kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset);
/* A small file at once. Reading: NUL-terminated, -EFBIG if it does not fit. Writing: by a
 * temporary name and a rename, so that a reader sees the old or the new, never half. */
int kv_read_file_at(int dirfd, const char *name, char *buf, size_t size);
int kv_write_file_at(int dirfd, const char *name, const void *data, size_t n);
/* Calls fn with the name of each entry of a directory, but not "." and "..", until it
 * returns anything but 0. */
int kv_dir_each(int dirfd, int (*fn)(const char *name, void *arg), void *arg);

#endif
