// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Thousands of images differ by a few writes each, so there is one file: cuts are applied
 * to it and taken back. A version number per MiB, taken back as well, lets the judges
 * skip what they have seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "util.h"

#define CHUNK	   (UINT64_C(1) << 20)
#define COPY_BYTES (1u << 16)

struct saved {
	struct saved *next;
	uint64_t offset, bytes;
	unsigned char data[];
};

int image_create(struct image *im, const char *path, uint64_t bytes)
{
	memset(im, 0, sizeof(*im));
	im->bytes = bytes;
	im->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	im->versions = calloc(bytes / CHUNK + 1, sizeof(*im->versions));
	if (im->fd < 0 || ftruncate(im->fd, (off_t)bytes) < 0 || !im->versions) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		image_close(im);
		return -1;
	}
	return 0;
}

void image_close(struct image *im)
{
	while (im->saved) {
		struct saved *s = im->saved;

		im->saved = s->next;
		free(s);
	}
	free(im->versions);
	(void)kv_close(im->fd);
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "image: %s: %s\n", what, strerror(-r));
	return -1;
}

static bool is_zero(const unsigned char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

/* A sector's part in the number of its chunk; that of zeros is 0. */
static uint64_t sector_number(const unsigned char *p, uint64_t offset)
{
	uint64_t h = 0, word;

	if (is_zero(p, KV_SECTOR))
		return 0;
	for (unsigned i = 0; i < KV_SECTOR; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	h = (h ^ offset) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 31;
}

static uint64_t range_number(const unsigned char *p, uint64_t offset, uint64_t bytes)
{
	uint64_t x = 0;

	for (uint64_t i = 0; i < bytes; i += KV_SECTOR)
		x ^= sector_number(p + i, offset + i);
	return x;
}

static int write_zeros(struct image *im, uint64_t offset, uint64_t bytes)
{
	static const unsigned char zeros[COPY_BYTES];
	int r = 0;

	for (uint64_t n; bytes && r == 0; offset += n, bytes -= n) {
		n = bytes < sizeof(zeros) ? bytes : sizeof(zeros);
		r = kv_pwrite_full(im->fd, zeros, n, offset);
	}
	return r;
}

/* Whole sectors within one chunk. */
static int write_part(struct image *im, uint64_t offset, const void *data, uint64_t bytes)
{
	struct saved *s;
	int r;

	if (im->versions) {
		s = malloc(sizeof(*s) + bytes);
		r = s ? kv_pread_full(im->fd, s->data, bytes, offset) : -ENOMEM;
		if (r < 0) {
			free(s);
			return r;
		}
		im->versions[offset / CHUNK] ^= range_number(s->data, offset, bytes);
		if (data)
			im->versions[offset / CHUNK] ^= range_number(data, offset, bytes);
		s->offset = offset;
		s->bytes = bytes;
		s->next = im->saved;
		if (im->keep)
			im->saved = s;
		else
			free(s);
	}
	return data ? kv_pwrite_full(im->fd, data, bytes, offset)
		    : write_zeros(im, offset, bytes);
}

int image_write(void *arg, uint64_t offset, const void *data, uint64_t bytes)
{
	struct image *im = arg;
	const unsigned char *p = data;
	int r = 0;

	if (offset > im->bytes || bytes > im->bytes - offset)
		return fail("write beyond its end", -EINVAL);
	for (uint64_t n; bytes && r == 0; offset += n, bytes -= n) {
		n = CHUNK - offset % CHUNK;
		n = n < bytes ? n : bytes;
		r = write_part(im, offset, p, n);
		p = p ? p + n : NULL;
	}
	return r < 0 ? fail("write", r) : 0;
}

int image_undo(struct image *im)
{
	int r = 0;

	im->keep = false;
	while (im->saved) {
		struct saved *s = im->saved;

		if (r == 0)
			r = write_part(im, s->offset, s->data, s->bytes);
		im->saved = s->next;
		free(s);
	}
	return r < 0 ? fail("take back", r) : 0;
}

uint64_t image_version(const struct image *im, const struct kv_extent *extent)
{
	uint64_t first = extent->start_bytes / CHUNK;
	uint64_t last = (extent->start_bytes + extent->bytes - 1) / CHUNK;

	if (!im->versions)
		return 0;
	return kv_hash64(&im->versions[first], (last - first + 1) * sizeof(*im->versions),
			 first) |
	       1;
}

static int copy_range(int from, uint64_t offset, int to, uint64_t at, uint64_t bytes)
{
	static unsigned char buf[COPY_BYTES];
	int r = 0;

	for (uint64_t n; bytes && r == 0; offset += n, at += n, bytes -= n) {
		n = bytes < sizeof(buf) ? bytes : sizeof(buf);
		r = kv_pread_full(from, buf, n, offset);
		if (r == 0 && !is_zero(buf, n))
			r = kv_pwrite_full(to, buf, n, at);
	}
	return r;
}

int image_extract(const struct image *im, const struct kv_extent *extent,
		  const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = (off_t)extent->start_bytes,
	      end = (off_t)(extent->start_bytes + extent->bytes);
	int r = 0;

	if (fd < 0 || ftruncate(fd, (off_t)extent->bytes) < 0)
		return fail(path, -errno);
	while (at < end && r == 0) {
		off_t data = lseek(im->fd, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0) { /* a device */
			data = at;
			hole = end;
		} else {
			hole = lseek(im->fd, data, SEEK_HOLE);
		}
		if (data >= end)
			break;
		if (hole < 0 || hole > end)
			hole = end;
		r = copy_range(im->fd, (uint64_t)data, fd,
			       (uint64_t)data - extent->start_bytes,
			       (uint64_t)(hole - data));
		at = hole;
	}
	return r < 0 ? fail("extract", r) : 0;
}
