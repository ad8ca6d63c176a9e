/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The small things that everything else stands on: cleanup functions, deadlines,
 * bounded strings, UUIDs, whole reads and writes.
 *
 * Nothing here keeps state, logs, or knows what a volume is. Sums saturate instead of
 * wrapping: a size that came from outside never turns into a small one here.
 *
 * A crash in kv_write_file_at leaves a file ".tmp-*" beside the target, which readers
 * of a directory skip (all records of ours begin otherwise). Nothing is flushed: files
 * written by it are for the run directory, which does not outlive the boot.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

/* --- Cleanup ---------------------------------------------------------------------- */

void kv_freep(void *p)
{
	int saved = errno;

	free(*(void **)p);
	errno = saved;
}

void kv_closep(int *fd)
{
	*fd = kv_close(*fd);
}

int kv_close(int fd)
{
	int saved = errno;

	/* Linux releases the number even when close gives EINTR: trying again could hit
	 * another thread's new fd. */
	if (fd >= 0)
		(void)close(fd);
	errno = saved;
	return -1;
}

int kv_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* --- Time ------------------------------------------------------------------------- */

#define BACKOFF_FIRST_US 100u
#define BACKOFF_MAX_US	 10000u

int64_t kv_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t kv_deadline(int64_t timeout_ms)
{
	int64_t now = kv_now_ms();

	if (timeout_ms <= 0)
		return now;
	return timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
}

bool kv_expired(int64_t deadline_ms)
{
	return kv_now_ms() >= deadline_ms;
}

int kv_backoff(unsigned *step, int64_t deadline_ms)
{
	uint64_t us = BACKOFF_MAX_US;
	int64_t left_ms = deadline_ms - kv_now_ms();
	struct timespec ts;

	if (left_ms <= 0)
		return -ETIMEDOUT;
	if (*step < 7) { /* 100 us << 7 is beyond the longest */
		us = BACKOFF_FIRST_US << *step;
		(*step)++;
	}
	if (us > (uint64_t)left_ms * 1000)
		us = (uint64_t)left_ms * 1000;
	ts.tv_sec = 0;
	ts.tv_nsec = (long)us * 1000;
	/* Cut short by a signal: the caller looks again a little earlier, no harm. */
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	return 0;
}

/* --- Strings ---------------------------------------------------------------------- */

bool kv_strcpy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src);
	bool fits = n < size;

	if (!size)
		return false;
	if (!fits)
		n = size - 1;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return fits;
}

bool kv_str_empty(const char *s)
{
	return !s || !*s;
}

bool kv_str_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

size_t kv_utf8_char(const char *s, size_t n, uint32_t *ret_c)
{
	/* The least code point of each length: anything below is an overlong form. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	size_t len, i;
	uint32_t c;

	if (!n)
		return 0;
	if (p[0] < 0x80) {
		len = 1;
		c = p[0];
	} else if ((p[0] & 0xe0) == 0xc0) {
		len = 2;
		c = p[0] & 0x1f;
	} else if ((p[0] & 0xf0) == 0xe0) {
		len = 3;
		c = p[0] & 0x0f;
	} else if ((p[0] & 0xf8) == 0xf0) {
		len = 4;
		c = p[0] & 0x07;
	} else {
		return 0;
	}
	if (len > n)
		return 0;
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	if (ret_c)
		*ret_c = c;
	return len;
}

bool kv_control_char(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}

void kv_str_line(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src), used = 0, cut = 0, len;
	uint32_t c;

	while (n) {
		len = kv_utf8_char(src, n, &c);
		if (used + (len ? len : 1) >= size) {
			memcpy(dst + cut, "...", 4);
			return;
		}
		if (!len || kv_control_char(c)) {
			dst[used++] = '?';
			len = len ? len : 1;
		} else {
			memcpy(dst + used, src, len);
			used += len;
		}
		if (used + 3 < size)
			cut = used; /* the dots still fit here */
		src += len;
		n -= len;
	}
	dst[used] = '\0';
}

/* --- Numbers ---------------------------------------------------------------------- */

bool kv_is_zero(const void *p, size_t n)
{
	const char *bytes = p;

	return !bytes[0] && !memcmp(bytes, bytes + 1, n - 1);
}

uint64_t kv_round_up(uint64_t n, uint64_t multiple)
{
	uint64_t rest = multiple ? n % multiple : 0;

	if (!rest)
		return n;
	return n > UINT64_MAX - (multiple - rest) ? UINT64_MAX : n + (multiple - rest);
}

uint64_t kv_div_round_up(uint64_t n, uint64_t d)
{
	return n / d + (n % d != 0);
}

int kv_uuid_new(char ret[KV_UUID_LEN + 1])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t bytes[16];
	size_t done = 0;
	unsigned i;
	char *p = ret;
	ssize_t n;

	while (done < sizeof(bytes)) {
		n = getrandom(bytes + done, sizeof(bytes) - done, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	bytes[6] = (bytes[6] & 0x0f) | 0x40; /* RFC 9562: version 4 */
	bytes[8] = (bytes[8] & 0x3f) | 0x80; /* and its variant */
	for (i = 0; i < sizeof(bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[bytes[i] >> 4];
		*p++ = hex[bytes[i] & 0x0f];
	}
	*p = '\0';
	return 0;
}

bool kv_uuid_valid(const char *s)
{
	unsigned i;

	if (!s)
		return false;
	for (i = 0; i < KV_UUID_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return false;
		} else if (!(s[i] >= '0' && s[i] <= '9') &&
			   !(s[i] >= 'a' && s[i] <= 'f')) {
			return false;
		}
	}
	return s[i] == '\0';
}

void kv_uuid_bytes(const char *uuid, unsigned char ret[KV_UUID_BYTES])
{
	unsigned at = 0;

	for (const char *p = uuid; *p; p++) {
		unsigned digit;

		if (*p == '-')
			continue;
		digit = *p <= '9' ? (unsigned)(*p - '0') : (unsigned)(*p - 'a' + 10);
		ret[at / 2] = (unsigned char)(at % 2 ? ret[at / 2] | digit : digit << 4);
		at++;
	}
}

/* Four bits at a time. */
uint32_t kv_crc32c(const unsigned char *p, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = ~0u;

	while (n--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

uint64_t kv_hash64(const void *data, size_t n, uint64_t seed)
{
	const unsigned char *p = data;
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;

	while (n--) {
		hash ^= *p++;
		hash *= UINT64_C(0x100000001b3);
	}
	return hash;
}

/* --- Files ------------------------------------------------------------------------ */

int kv_pread_full(int fd, void *buf, size_t n, uint64_t offset)
{
	char *p = buf;
	ssize_t r;

	while (n) {
		r = pread(fd, p, n, (off_t)offset);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return -ENODATA;
		p += r;
		n -= (size_t)r;
		offset += (uint64_t)r;
	}
	return 0;
}

int kv_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset)
{
	const char *p = buf;
	ssize_t r;

	while (n) {
		r = pwrite(fd, p, n, (off_t)offset);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return -EIO; /* never seen, but not to be looped on */
		p += r;
		n -= (size_t)r;
		offset += (uint64_t)r;
	}
	return 0;
}

int kv_read_file_at(int dirfd, const char *name, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	size_t used = 0;
	char more;
	ssize_t r;

	if (!size)
		return -EINVAL;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (fd < 0)
		return -errno;
	/* By read, not pread: files of /proc and /sys may come in pieces. */
	for (;;) {
		if (used < size - 1)
			r = read(fd, buf + used, size - 1 - used);
		else
			r = read(fd, &more, 1);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		if (used == size - 1)
			return -EFBIG;
		used += (size_t)r;
	}
	buf[used] = '\0';
	return 0;
}

int kv_write_file_at(int dirfd, const char *name, const void *data, size_t n)
{
	const char *base = strrchr(name, '/');
	_cleanup_close_ int fd = -1;
	char uuid[KV_UUID_LEN + 1], tmp[PATH_MAX];
	int r;

	base = base ? base + 1 : name;
	r = kv_uuid_new(uuid);
	if (r < 0)
		return r;
	r = snprintf(tmp, sizeof(tmp), "%.*s.tmp-%s", (int)(base - name), name, uuid);
	if (r < 0 || (size_t)r >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	r = kv_pwrite_full(fd, data, n, 0);
	if (r < 0)
		goto undo_file;
	if (renameat(dirfd, tmp, dirfd, name) < 0) {
		r = -errno;
		goto undo_file;
	}
	return 0;

undo_file:
	(void)unlinkat(dirfd, tmp, 0);
	return r;
}

int kv_dir_each(int dirfd, int (*fn)(const char *name, void *arg), void *arg)
{
	/* An open of its own: the caller's may have been read already. */
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)kv_close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		d = readdir(dir);
		if (!d) {
			r = -errno;
			break;
		}
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			r = fn(d->d_name, arg);
	}
	(void)closedir(dir);
	return r;
}
