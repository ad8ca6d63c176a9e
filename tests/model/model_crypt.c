/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * LUKS2 headers on thin devices, and the kernel's keyring. In the place of lib/crypt.c
 * and lib/keyring.c.
 *
 * A key is a number, repeated. A change of the secret takes the same steps as the real
 * one: what decides is the first copy of the header, and a failure behind it is undone as
 * long as the disk takes that. What is not flushed can be lost. The keyring ends with the
 * boot, and dm-crypt finds only what its thread was lent.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "crypt.h"
#include "keyring.h"
#include "model.h"

static _Thread_local int lent = -1; /* the number of a key */

/* --- The keyring ------------------------------------------------------------------ */

static struct model_key *find_key(const char *name)
{
	for (struct model_key *k = model->keys; k < model->keys + MODEL_KEYS; k++)
		if (k->used && !strcmp(k->name, name))
			return k;
	return NULL;
}

unsigned model_n_keys(void)
{
	unsigned n = 0;

	for (int i = 0; i < MODEL_KEYS; i++)
		n += model->keys[i].used;
	return n;
}

void model_revoke_keys(void)
{
	memset(model->keys, 0, sizeof(model->keys));
}

int kv_keyring_put(const char *name, const void *key, size_t bytes)
{
	struct model_key *k;
	int r = model_step("key put");

	if (r < 0)
		return r;
	model_need(bytes == KV_CRYPT_KEY_BYTES && strlen(name) < sizeof(k->name), name);
	model_lock();
	k = find_key(name);
	for (int i = 0; !k && i < MODEL_KEYS; i++)
		if (!model->keys[i].used)
			k = &model->keys[i];
	r = k ? 0 : -EDQUOT;
	if (k) {
		k->used = true;
		(void)kv_strcpy(k->name, sizeof(k->name), name);
		memcpy(&k->key, key, sizeof(k->key));
	}
	model_unlock();
	return r;
}

int kv_keyring_lend(const char *name, int32_t *ret_key)
{
	int r = model_step("key lend");
	struct model_key *k;

	if (r < 0)
		return r;
	model_lock();
	k = find_key(name);
	r = k ? 0 : -ENOKEY;
	if (k)
		lent = *ret_key = (int32_t)(k - model->keys);
	model_unlock();
	return r;
}

void kv_keyring_take_back(int32_t key)
{
	if (key != lent)
		model_disaster("a key is taken back that was not lent");
	lent = -1;
}

void kv_keyring_drop(const char *name)
{
	struct model_key *k;

	if (model_step("key drop") < 0)
		return;
	model_lock();
	k = find_key(name);
	if (k)
		memset(k, 0, sizeof(*k));
	model_unlock();
}

/* --- dm-crypt --------------------------------------------------------------------- */

int model_crypt_load(struct model_table *t)
{
	unsigned long long offset;
	struct model_thin *thin;
	unsigned a, b;
	char name[64];
	int n = 0;

	if (sscanf(t->params, "aes-xts-plain64 :64:logon:%63s 0 %u:%u %llu%n", name, &a,
		   &b, &offset, &n) != 4 ||
	    (t->params[n] && strcmp(t->params + n, " 1 allow_discards") != 0))
		return -EINVAL;
	t->below[0] = makedev(a, b);
	t->offset = offset;
	thin = model_thin_under(t->below[0]);
	if (!thin || (offset + t->sectors) * KV_SECTOR > model_dev_bytes(t->below[0]))
		return -EINVAL;
	if (lent < 0 || strcmp(model->keys[lent].name, name) != 0)
		return -ENOKEY;
	if (!thin->content.luks || thin->content.key != model->keys[lent].key ||
	    offset * KV_SECTOR != KV_CRYPT_HEADER_BYTES)
		model_disaster("dm-crypt has another key than its header: %s", name);
	return 0;
}

/* --- Headers ---------------------------------------------------------------------- */

static struct model_thin *thin_of_fd(int fd)
{
	const struct model_hold *hold = model_hold_of(fd);
	const struct model_dev *d = hold ? model_dev_by_number(hold->dev) : NULL;

	if (!d || strcmp(d->table.type, "thin") != 0)
		return NULL;
	return model_wait_running(hold->dev) < 0 ? NULL : model_thin_under(hold->dev);
}

static bool fits(const struct model_thin *thin, const struct kv_secret *secret)
{
	const char *s = thin->content.secret;

	return strlen(s) == secret->bytes && !memcmp(s, secret->data, secret->bytes);
}

static void set_secret(struct model_thin *thin, const struct kv_secret *secret)
{
	model_need(secret->bytes < sizeof(thin->content.secret), "a short secret");
	memset(thin->content.secret, 0, sizeof(thin->content.secret));
	memcpy(thin->content.secret, secret->data, secret->bytes);
}

static void key_of(uint32_t key, void *ret)
{
	for (size_t i = 0; i < KV_CRYPT_KEY_BYTES / sizeof(key); i++)
		memcpy((char *)ret + i * sizeof(key), &key, sizeof(key));
}

static int header(int fd, const char *step, struct model_thin **ret)
{
	int r = model_step(step);

	if (r < 0)
		return r;
	model_lock();
	*ret = thin_of_fd(fd);
	if (*ret)
		return 0;
	model_unlock();
	return -EIO;
}

static int flush(int fd)
{
	struct model_thin *thin;
	int r = header(fd, "crypt flush", &thin);

	if (r < 0)
		return r;
	thin->flushed = thin->content;
	model_unlock();
	return 0;
}

int kv_crypt_format(int fd, const char *uuid, const struct kv_secret *secret,
		    void *ret_key)
{
	struct model_thin *thin;
	uint32_t key = (uint32_t)kv_hash64(uuid, strlen(uuid), 0) | 1;
	int r = header(fd, "crypt format", &thin);

	if (r < 0)
		return r;
	if (thin->content.luks || thin->content.fs[0])
		model_disaster("a LUKS2 header over something");
	thin->content.luks = true;
	thin->content.key = key;
	set_secret(thin, secret);
	if (!thin->content.reserved)
		model_write(model_hold_of(fd)->dev, 0, 1);
	model_unlock();
	key_of(key, ret_key);
	return flush(fd);
}

int kv_crypt_unlock(int fd, const struct kv_secret *secret, void *ret_key)
{
	struct model_thin *thin;
	int r = header(fd, "crypt unlock", &thin);

	if (r < 0)
		return r;
	if (!thin->content.luks)
		r = -EUCLEAN;
	else if (!fits(thin, secret))
		r = -EACCES;
	else
		key_of(thin->content.key, ret_key);
	model_unlock();
	return r;
}

/* The newer of two copies counts, so the first decides. */
static int write_copies(int fd, const struct kv_secret *to)
{
	char before[sizeof(((struct model_content *)0)->secret)];
	struct model_thin *thin;
	int r;

	r = header(fd, "crypt copy", &thin);
	if (r < 0)
		return r;
	memcpy(before, thin->content.secret, sizeof(before));
	set_secret(thin, to);
	model_unlock();
	r = flush(fd);
	if (r == 0)
		r = model_step("crypt second");
	if (r == 0)
		r = flush(fd);
	if (r == 0 || header(fd, "crypt undo", &thin) < 0)
		return r;
	memcpy(thin->content.secret, before, sizeof(before));
	model_unlock();
	(void)flush(fd);
	return r;
}

int kv_crypt_change(int fd, const struct kv_secret *from, const struct kv_secret *to)
{
	struct model_thin *thin;
	bool old, new;
	int r = header(fd, "crypt change", &thin);

	if (r < 0)
		return r;
	old = fits(thin, from);
	new = fits(thin, to);
	r = !thin->content.luks ? -EUCLEAN : !old && !new ? -EACCES : 0;
	model_unlock();
	if (r < 0 || new)
		return r;
	r = model_step("crypt slot");
	if (r == 0)
		r = flush(fd);
	if (r == 0)
		r = write_copies(fd, to);
	if (r == 0)
		(void)model_step("crypt wipe");
	return r;
}
