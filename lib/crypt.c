/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * LUKS2 headers: making one, unlocking with a secret, and changing the secret.
 *
 * libcryptsetup gets a copy of the header in memory and never sees a device. So it does
 * not come to libdevmapper, udev, loop devices or /run/cryptsetup, and what is written to
 * the disk, in which order, is said here. It does say nothing either: each of its handles
 * has a callback that drops what it logs.
 *
 * The header has two copies of 16 KiB, each with a sequence number and a checksum, and
 * behind them the slots. A change writes the new slot where none was, then one copy of
 * the header, which already leaves the old slot out, then the other copy, and wipes the
 * old slot last, with a flush after each. The newer copy that is whole counts: so a crash
 * leaves the old secret until the first copy is written, and the new one from then on.
 *
 * What a slot costs is fixed, and measured nowhere: argon2id with 32 MiB, 4 passes and
 * one thread, a third of a second. A header that asks for far more, as a hostile disk's
 * may, is refused. Our own key memory is kv_secret_alloc's; what libcryptsetup allocates
 * in a call it locks and wipes itself.
 *
 * Its initialisation and end count users in plain variables: hence the lock, the only
 * thing that handles share. It is not held while a key is derived.
 */

#include <errno.h>

#include "crypt.h"

#ifdef HAVE_CRYPTSETUP

#include <libcryptsetup.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blockdev.h"

#define CIPHER	     "aes"
#define MODE	     "xts-plain64"
#define SECTOR	     512u /* a volume's block size is the same with and without it */
#define COPY_BYTES   ((size_t)16 << 10)
#define SLOTS_OFFSET (2 * COPY_BYTES)
#define HEADER	     ((size_t)KV_CRYPT_HEADER_BYTES)
#define FILE_BYTES   (HEADER + BLOCK) /* libcryptsetup wants some data, too */
#define BLOCK	     ((size_t)4096)
#define MAX_SLOTS    32

/* Limits for what a header can ask of us. */
#define MAX_MEMORY_KB	(1u << 20)
#define MAX_PASSES	64
#define MAX_ITERATIONS	20000000u

static const struct crypt_pbkdf_type pbkdf = {
	.type = CRYPT_KDF_ARGON2ID,
	.hash = "sha256",
	.iterations = 4,
	.max_memory_kb = 32 << 10,
	.parallel_threads = 1, /* this one */
	.flags = CRYPT_PBKDF_NO_BENCHMARK,
};

static pthread_mutex_t init_mutex = PTHREAD_MUTEX_INITIALIZER;

/* The header in memory, and libcryptsetup's handle on it. */
struct image {
	int fd;
	unsigned char *map;
	struct crypt_device *cd;
};

static void drop(int level, const char *msg, void *arg)
{
	(void)level;
	(void)msg;
	(void)arg;
}

static void image_free(struct image *image)
{
	if (image->cd) {
		pthread_mutex_lock(&init_mutex);
		crypt_free(image->cd);
		pthread_mutex_unlock(&init_mutex);
	}
	if (image->map)
		(void)munmap(image->map, FILE_BYTES);
	(void)kv_close(image->fd);
}

#define _cleanup_image_ _cleanup_(image_free)
#define IMAGE_NONE	{ .fd = -1 }

static int image_new(struct image *image)
{
	void *map;

	image->fd = memfd_create("kvol-header", MFD_CLOEXEC);
	if (image->fd < 0 || ftruncate(image->fd, (off_t)FILE_BYTES) < 0)
		return -errno;
	map = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	image->map = map;
	return 0;
}

/* Opens what is in the image: -EINVAL when that is no LUKS2 header. */
static int image_load(struct image *image)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", image->fd);
	if (access(path, F_OK) < 0) /* it would be told to the terminal */
		return -EOPNOTSUPP;
	pthread_mutex_lock(&init_mutex);
	r = crypt_init(&image->cd, path);
	if (r == 0) {
		crypt_set_log_callback(image->cd, drop, NULL);
		r = crypt_load(image->cd, CRYPT_LUKS2, NULL);
	} else {
		image->cd = NULL;
		r = r == -EINVAL ? -EIO : r;
	}
	pthread_mutex_unlock(&init_mutex);
	return r;
}

/* As we make them, and at a price that we are ready to pay. */
static bool is_ours(struct crypt_device *cd)
{
	struct crypt_pbkdf_type p;

	if (strcmp(crypt_get_cipher(cd), CIPHER) != 0 ||
	    strcmp(crypt_get_cipher_mode(cd), MODE) != 0 ||
	    crypt_get_volume_key_size(cd) != KV_CRYPT_KEY_BYTES ||
	    crypt_get_data_offset(cd) != HEADER / KV_SECTOR ||
	    crypt_get_sector_size(cd) != (int)SECTOR)
		return false;
	for (int i = 0; i < MAX_SLOTS; i++) {
		if (crypt_keyslot_status(cd, i) < CRYPT_SLOT_ACTIVE)
			continue;
		if (crypt_keyslot_get_pbkdf(cd, i, &p) < 0 ||
		    p.max_memory_kb > MAX_MEMORY_KB ||
		    p.iterations > (p.max_memory_kb ? MAX_PASSES : MAX_ITERATIONS))
			return false;
	}
	return true;
}

static int image_read(struct image *image, int fd)
{
	int r;

	r = image_new(image);
	if (r == 0)
		r = kv_pread_full(fd, image->map, HEADER, 0);
	if (r == 0)
		r = image_load(image);
	if (r == -EINVAL || (r == 0 && !is_ours(image->cd)))
		return -EUCLEAN;
	return r;
}

/* EPERM is what it says when no slot opens, ENOENT when there is none. */
static int unlock_error(int r)
{
	return r == -EPERM ? -EACCES : r == -ENOENT || r == -EINVAL ? -EUCLEAN : r;
}

int kv_crypt_unlock(int fd, const struct kv_secret *secret, void *ret_key)
{
	_cleanup_image_ struct image image = IMAGE_NONE;
	size_t n = KV_CRYPT_KEY_BYTES;
	int r;

	r = image_read(&image, fd);
	if (r < 0)
		return r;
	r = crypt_volume_key_get(image.cd, CRYPT_ANY_SLOT, ret_key, &n, secret->data,
				 secret->bytes);
	return r < 0 ? unlock_error(r) : 0;
}

int kv_crypt_format(int fd, const char *uuid, const struct kv_secret *secret,
		    void *ret_key)
{
	struct crypt_params_luks2 params = { .sector_size = SECTOR, .pbkdf = &pbkdf };
	_cleanup_image_ struct image image = IMAGE_NONE;
	int r;

	r = image_new(&image);
	if (r < 0)
		return r;
	r = image_load(&image); /* there is nothing: for the initialisation */
	if (r != -EINVAL)
		return r < 0 ? r : -EIO;
	if (getentropy(ret_key, KV_CRYPT_KEY_BYTES) < 0)
		return -errno;
	r = crypt_set_metadata_size(image.cd, COPY_BYTES, HEADER - SLOTS_OFFSET);
	if (r == 0)
		r = crypt_set_data_offset(image.cd, HEADER / KV_SECTOR);
	if (r == 0)
		r = crypt_format(image.cd, CRYPT_LUKS2, CIPHER, MODE, uuid, ret_key,
				 KV_CRYPT_KEY_BYTES, &params);
	if (r == 0)
		r = crypt_keyslot_add_by_volume_key(image.cd, CRYPT_ANY_SLOT, NULL, 0,
						    secret->data, secret->bytes);
	if (r >= 0)
		r = kv_pwrite_full(fd, image.map, HEADER, 0);
	return r < 0 ? r : kv_blockdev_flush(fd);
}

/* --- Changing the secret ---------------------------------------------------------- */

/* Where slots are, as a bit for each block of the header. */
struct taken {
	bool block[HEADER / BLOCK];
};

static void find_slots(struct crypt_device *cd, struct taken *ret)
{
	uint64_t offset, bytes;

	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < MAX_SLOTS; i++) {
		if (crypt_keyslot_area(cd, i, &offset, &bytes) < 0)
			continue;
		for (uint64_t at = offset; at < offset + bytes && at < HEADER;
		     at += BLOCK)
			ret->block[at / BLOCK] = true;
	}
}

/* Writes the blocks from start to end that have changed, and are a slot's as `taken` says
 * or are not; and flushes. */
static int put(int fd, const struct image *image, const unsigned char *before,
	       size_t start, size_t end, const struct taken *taken, bool slots)
{
	bool any = false;
	size_t n;
	int r;

	for (size_t at = start; at < end; at += n) {
		for (n = 0; at + n < end; n += BLOCK)
			if (taken->block[(at + n) / BLOCK] != slots ||
			    !memcmp(image->map + at + n, before + at + n, BLOCK))
				break;
		if (n == 0) {
			n = BLOCK;
			continue;
		}
		r = kv_pwrite_full(fd, image->map + at, n, at);
		if (r < 0)
			return r;
		any = true;
	}
	return any ? kv_blockdev_flush(fd) : 0;
}

static int store(int fd, const struct image *image, const unsigned char *before,
		 const struct taken *slots)
{
	int r;

	r = put(fd, image, before, SLOTS_OFFSET, HEADER, slots, false);
	if (r < 0)
		return r;
	r = put(fd, image, before, 0, COPY_BYTES, slots, false);
	if (r < 0)
		goto undo_copy;
	r = put(fd, image, before, COPY_BYTES, SLOTS_OFFSET, slots, false);
	if (r < 0)
		goto undo_copy;
	/* The change is made: what it replaced is of no use without the header. */
	(void)put(fd, image, before, SLOTS_OFFSET, HEADER, slots, true);
	return 0;

undo_copy:
	if (kv_pwrite_full(fd, before, SLOTS_OFFSET, 0) == 0)
		(void)kv_blockdev_flush(fd);
	return r;
}

static bool same_secret(const struct kv_secret *a, const struct kv_secret *b)
{
	return a->bytes == b->bytes && !memcmp(a->data, b->data, a->bytes);
}

static int opens(struct crypt_device *cd, const struct kv_secret *secret)
{
	return crypt_activate_by_passphrase(cd, NULL, CRYPT_ANY_SLOT, secret->data,
					    secret->bytes, 0);
}

int kv_crypt_change(int fd, const struct kv_secret *from, const struct kv_secret *to)
{
	_cleanup_free_ unsigned char *before = aligned_alloc(BLOCK, HEADER);
	_cleanup_image_ struct image image = IMAGE_NONE;
	struct taken slots;
	int r;

	if (!before)
		return -ENOMEM;
	/* Loading mends, in memory, a copy that a crash has left behind: so what is there
	 * is what is on the disk. */
	r = kv_pread_full(fd, before, HEADER, 0);
	if (r == 0)
		r = image_read(&image, fd);
	if (r < 0)
		return r;
	find_slots(image.cd, &slots);
	if (same_secret(from, to)) {
		r = opens(image.cd, from);
	} else {
		r = crypt_set_pbkdf_type(image.cd, &pbkdf);
		if (r == 0)
			r = crypt_keyslot_change_by_passphrase(
				image.cd, CRYPT_ANY_SLOT, CRYPT_ANY_SLOT, from->data,
				from->bytes, to->data, to->bytes);
		if (r == -EPERM)
			r = opens(image.cd, to);
	}
	return r < 0 ? unlock_error(r) : store(fd, &image, before, &slots);
}

#else

int kv_crypt_format(int fd, const char *uuid, const struct kv_secret *secret,
		    void *ret_key)
{
	(void)fd;
	(void)uuid;
	(void)secret;
	(void)ret_key;
	return -EOPNOTSUPP;
}

int kv_crypt_unlock(int fd, const struct kv_secret *secret, void *ret_key)
{
	(void)fd;
	(void)secret;
	(void)ret_key;
	return -EOPNOTSUPP;
}

int kv_crypt_change(int fd, const struct kv_secret *from, const struct kv_secret *to)
{
	(void)fd;
	(void)from;
	(void)to;
	return -EOPNOTSUPP;
}

#endif
