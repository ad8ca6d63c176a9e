// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Encrypted volumes: making and unlocking them, and changing the secret.
 *
 * The thin device begins with a LUKS2 header; what the volume says is dm-crypt's device
 * on the rest of it, and everything that is done with a plain volume's device is done
 * with that. The catalogue knows of an encrypted volume that it is one, and nothing else.
 *
 * A secret is borrowed from the caller and goes to libcryptsetup alone. The volume key
 * that it unlocks goes from memory that is locked into the kernel's keyring at once, and
 * is named, not contained, in every table. Neither is in any message.
 *
 * Changing the secret touches the header alone, so it does not matter whether the volume
 * is active. It is one write of 16 KiB that decides (crypt.c).
 */
#include <errno.h>
#include <fcntl.h>

#include "blockdev.h"
#include "keyring.h"
#include "verb.h"

#define SECRET_MAX 4096

int kv_secret_check(const char *what, const void *data, uint64_t bytes,
		    struct kv_secret *ret, struct kvol_error *e)
{
	if (!data != !bytes || bytes > SECRET_MAX)
		return kv_error_invalid(e, "volume '%s': a secret is 1 to %d bytes", what,
					SECRET_MAX);
	*ret = (struct kv_secret){ data, (size_t)bytes };
	return 0;
}

int kv_volume_secret(const struct kv_row *row, const struct kv_secret *secret,
		     struct kvol_error *e)
{
	bool encrypted = row->flags & KV_ROW_ENCRYPTED;

	if (secret->data && !encrypted)
		return kv_error_invalid(
			e, "volume '%s': is not encrypted, and takes no secret",
			row->name);
	if (!secret->data && encrypted)
		return kv_error(e, -ENOKEY, KVOL_R_NEEDS_SECRET,
				"volume '%s': is encrypted, and needs its secret",
				row->name);
	return 0;
}

/* What the adapters said. */
static int crypt_error(int r, const char *name, const char *step, struct kvol_error *e)
{
	if (r == -EACCES)
		return kv_error(e, r, KVOL_R_WRONG_SECRET,
				"volume '%s': the secret is not the right one", name);
	if (r == -EUCLEAN)
		return kv_error(e, r, KVOL_R_CORRUPT,
				"volume '%s': its LUKS2 header is damaged", name);
	if (r == -ENOKEY)
		return kv_error(e, r, KVOL_R_NEEDS_SECRET,
				"volume '%s': %s: the kernel does not have its key", name,
				step);
	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_UNSUPPORTED,
				"volume '%s': %s: there is no libcryptsetup in this "
				"library, or no keyring or /proc on this host",
				name, step);
	return kv_error_errno(e, r, "volume '%s': %s", name, step);
}

/* dm-crypt, or the error that there is none. */
static int check_target(const struct kvol_pool *pool, const char *name,
			struct kvol_error *e)
{
	int r = kv_dm_target_exists(&pool->dm, "crypt");

	if (r == -EOPNOTSUPP)
		return kv_error(e, r, KVOL_R_NO_KERNEL_SUPPORT,
				"volume '%s': the kernel does not have dm-crypt", name);
	return r < 0 ? kv_error_errno(e, r, "volume '%s': look for dm-crypt", name) : 0;
}

/* Makes the header or opens it; then the kernel has the key. */
static int give_key(struct kvol_pool *pool, const struct kv_row *row, dev_t dev,
		    bool make, const struct kv_secret *secret)
{
	_cleanup_close_ int fd = -1;
	char name[KV_KEY_NAME_SIZE];
	void *key;
	int r;

	fd = kv_blockdev_open(dev, (make ? O_RDWR : O_RDONLY) | O_DIRECT);
	if (fd < 0)
		return fd;
	key = kv_secret_alloc(KV_CRYPT_KEY_BYTES);
	if (!key)
		return -errno;
	r = make ? kv_crypt_format(fd, row->uuid, secret, key)
		 : kv_crypt_unlock(fd, secret, key);
	kv_key_name(name, pool->conf.uuid, row->id);
	if (r == 0)
		r = kv_keyring_put(name, key, KV_CRYPT_KEY_BYTES);
	kv_secret_free(key, KV_CRYPT_KEY_BYTES);
	return r;
}

/* Gives the kernel the key and puts dm-crypt on the thin device. */
static int add_crypt(struct kvol_pool *pool, const struct kv_row *row, bool make,
		     const struct kv_secret *secret, struct kv_device *device,
		     struct kvol_error *e)
{
	int r;

	r = check_target(pool, row->name, e);
	if (r < 0)
		return r;
	r = give_key(pool, row, device->dev, make, secret);
	if (r < 0)
		return crypt_error(r, row->name, make ? "encrypt it" : "unlock it", e);
	r = kv_device_activate_upper(pool, row, device);
	return r < 0 ? crypt_error(r, row->name, "start dm-crypt", e) : 0;
}

/* What was not active cannot be published. */
static void put_down(struct kvol_pool *pool, uint32_t id, const struct kv_device *device)
{
	if (device->was_active)
		kv_volume_put_down(pool, id);
	else
		(void)kv_device_deactivate(pool, id, KV_DM_DEFERRED);
}

int kv_volume_encrypt(struct kvol_pool *pool, const struct kv_row *row,
		      const struct kv_secret *secret, struct kv_device *device,
		      struct kvol_error *e)
{
	return add_crypt(pool, row, true, secret, device, e);
}

int kv_volume_layer(struct kvol_pool *pool, const struct kv_row *row,
		    struct kv_device *device, struct kvol_error *e)
{
	int r = kv_device_activate_upper(pool, row, device);

	return r < 0 ? kv_pool_activate_error(pool, r, row->name, e) : 0;
}

int kv_volume_activate(struct kvol_pool *pool, const struct kv_row *row,
		       const struct kv_secret *secret, bool readonly,
		       struct kv_device *ret, struct kvol_error *e)
{
	struct kv_device device;
	int r;

	r = kv_device_activate(pool, row, readonly, &device);
	if (r < 0)
		return kv_pool_activate_error(pool, r, row->name, e);
	if (row->flags & KV_ROW_ENCRYPTED)
		r = add_crypt(pool, row, false, secret, &device, e);
	else if (kv_row_layered(row))
		r = kv_volume_layer(pool, row, &device, e);
	if (r < 0)
		goto undo_device;
	*ret = device;
	return 0;

undo_device:
	put_down(pool, row->id, &device);
	return r;
}

int kv_volume_top(const struct kvol_pool *pool, const struct kv_row *row,
		  struct kv_dm_info *ret)
{
	return kv_device_info(pool, row->id,
			      kv_row_layered(row) ? KV_FACE_CRYPT : KV_FACE_THIN, ret);
}

/* --- Changing the secret ---------------------------------------------------------- */

static int change(struct kvol_pool *pool, const struct kv_row *row,
		  const struct kv_secret *from, const struct kv_secret *to,
		  struct kvol_error *e)
{
	_cleanup_close_ int fd = -1;
	struct kv_device device;
	int r;

	r = kv_device_activate(pool, row, false, &device);
	if (r < 0)
		return kv_pool_activate_error(pool, r, row->name, e);
	if (device.readonly)
		return kv_error(e, -EBUSY, KVOL_R_BUSY_PUBLISHED,
				"snapshot '%s': is published read-only as a block device",
				row->name);
	r = fd = kv_blockdev_open(device.dev, O_RDWR | O_DIRECT);
	if (r >= 0)
		r = kv_crypt_change(fd, from, to);
	fd = kv_close(fd);
	put_down(pool, row->id, &device);
	return r < 0 ? crypt_error(r, row->name, "change its secret", e) : 0;
}

int kvol_change_secret(struct kvol_pool *pool, const char *name, const void *from,
		       uint64_t from_bytes, const void *to, uint64_t to_bytes,
		       uint32_t flags, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	struct kv_secret old, new;
	struct kv_row row;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0 && flags)
		r = kv_error_invalid(reterr, "volume '%s': unknown flags 0x%x", name,
				     flags);
	if (r == 0)
		r = kv_secret_check(name, from, from_bytes, &old, reterr);
	if (r == 0)
		r = kv_secret_check(name, to, to_bytes, &new, reterr);
	if (r == 0 && (!old.data || !new.data))
		r = kv_error_invalid(reterr,
				     "volume '%s': both secrets have to be given", name);
	if (r == 0)
		r = kv_volume_lock(pool, name, "volume", &lock, &row, reterr);
	if (r == 0)
		r = kv_volume_secret(&row, &old, reterr);
	if (r == 0)
		r = kv_pool_admit(pool, true, reterr);
	return r < 0 ? r : change(pool, &row, &old, &new, reterr);
}
