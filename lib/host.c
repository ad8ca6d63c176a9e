// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which host we are, and the claim that a host lays to a pool's disk.
 *
 * Two kernels with one pool active destroy it, and mounting the catalogue is already a
 * write (its journal is replayed). So the claim is no part of the catalogue: it is one
 * block in the room behind the primary GPT, read and written past the page cache, with no
 * file system to be mounted first.
 *
 * A claim ends when its host gives it back, or another takes it over, by order; never by
 * itself, for there is no thread that could renew it. Nor does it decide a race: whoever
 * starts two hosts on one disk at the same moment needs fencing of his own.
 *
 * A crash leaves a claim of ours, which is ours again at the next activation, also after
 * a reboot.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "blockdev.h"
#include "host.h"

/* --- Who we are ------------------------------------------------------------------- */

/* Not there, not ours to read, or not what it should be: the same at any time, unlike
 * what cannot be read just now. */
static bool is_unknown(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -EACCES || r == -EPERM ||
	       r == -ELOOP || r == -EFBIG;
}

/* A file's first line, in lower case; "" if there is none of use. */
static int first_line(const char *file, char *ret, size_t size)
{
	char buf[256];
	int r;

	ret[0] = '\0';
	r = kv_read_file_at(AT_FDCWD, file, buf, sizeof(buf));
	if (r < 0)
		return is_unknown(r) ? 0 : r;
	buf[strcspn(buf, "\n")] = '\0';
	for (char *p = buf; *p; p++) {
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
		else if (*p <= ' ' || *p > '~')
			return 0;
	}
	if (!kv_strcpy(ret, size, buf))
		ret[0] = '\0';
	return 0;
}

/* What boards and virtual machines say that were never given a UUID of their own. */
static bool is_placeholder(const char *uuid)
{
	static const char *const known[] = {
		"00000000-0000-0000-0000-000000000000",
		"ffffffff-ffff-ffff-ffff-ffffffffffff",
		"03000200-0400-0500-0006-000700080009",
		"12345678-1234-5678-90ab-cddeefaabbcc",
	};

	for (size_t i = 0; i < KV_ARRAY_SIZE(known); i++)
		if (!strcmp(uuid, known[i]))
			return true;
	return false;
}

int kv_host_self(const char *given, struct kv_host *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if (given)
		(void)kv_strcpy(ret->given, sizeof(ret->given), given);
	/* The board's before the file's: a container has an /etc of its own. */
	r = first_line("/sys/class/dmi/id/product_uuid", ret->machine,
		       sizeof(ret->machine));
	if (r == 0 && (!kv_uuid_valid(ret->machine) || is_placeholder(ret->machine)))
		r = first_line("/etc/machine-id", ret->machine, sizeof(ret->machine));
	/* What an image has before its first boot. */
	if (!strcmp(ret->machine, "uninitialized"))
		ret->machine[0] = '\0';
	if (r == 0)
		r = first_line("/proc/sys/kernel/random/boot_id", ret->boot,
			       sizeof(ret->boot));
	return r;
}

/* --- The record ------------------------------------------------------------------- */

static int read_block(int fd, const char *pool_uuid, char block[KV_CLAIM_BLOCK],
		      struct kv_claim *ret)
{
	struct kv_claim claim;
	int r = kv_pread_full(fd, block, KV_CLAIM_BLOCK, KV_CLAIM_OFFSET);

	if (r == 0)
		r = kv_claim_parse(block, &claim);
	/* Of a pool that was here before. */
	if (r == 0 && strcmp(claim.pool, pool_uuid) != 0)
		r = -ENODATA;
	if (r == 0)
		*ret = claim;
	return r;
}

static int write_block(int fd, const char block[KV_CLAIM_BLOCK])
{
	int r = kv_pwrite_full(fd, block, KV_CLAIM_BLOCK, KV_CLAIM_OFFSET);

	return r < 0 ? r : kv_blockdev_flush(fd);
}

static int write_claim(int fd, const struct kv_claim *claim)
{
	_Alignas(KV_CLAIM_BLOCK) char block[KV_CLAIM_BLOCK] = { 0 };

	kv_claim_format(block, claim);
	return write_block(fd, block);
}

int kv_claim_read(dev_t member, const char *pool_uuid, struct kv_claim *ret)
{
	_Alignas(KV_CLAIM_BLOCK) char block[KV_CLAIM_BLOCK];
	_cleanup_close_ int fd = kv_blockdev_open(member, O_RDONLY | O_DIRECT);

	return fd < 0 ? fd : read_block(fd, pool_uuid, block, ret);
}

/* --- Claiming --------------------------------------------------------------------- */

static void time_text(uint64_t since, char ret[32])
{
	time_t t = (time_t)since;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(ret, 32, "%Y-%m-%d %H:%M:%S UTC", &tm))
		(void)snprintf(ret, 32, "%" PRIu64, since);
}

static int foreign(const struct kv_claim *claim, const char *path, const char *advice,
		   struct kvol_error *e)
{
	char since[32];

	time_text(claim->since, since);
	return kv_error(e, -EBUSY, KVOL_R_FOREIGN_HOST,
			"'%s': in use on host %s since %s%s", path,
			kv_host_name(&claim->host), since, advice);
}

/* Whether somebody else's claim stands. A host without a name cannot be known again after
 * its boot; its claim must not outlive it, or every power cut would take a human. */
static bool is_foreign(const struct kv_claim *claim, const struct kv_host *self)
{
	return claim->held && !kv_host_same(&claim->host, self) &&
	       !kv_host_anonymous(&claim->host);
}

/* What was read (r, claim) lets the host in? */
static int admit(int r, const struct kv_claim *claim, const struct kv_host *self,
		 bool takeover, const char *path, struct kvol_error *e)
{
	if (r == -EBADMSG && !takeover)
		return kv_error(e, -EBUSY, KVOL_R_FOREIGN_HOST,
				"'%s': claimed by a host that this version cannot read: "
				"the record is damaged or newer",
				path);
	/* A sector that cannot be read is written anew, if that is wanted. */
	if (r < 0 && r != -ENODATA && r != -EBADMSG && !(r == -EIO && takeover))
		return kv_error_errno(e, r, "'%s': read the host's claim", path);
	if (r == 0 && is_foreign(claim, self) && !takeover)
		return foreign(claim, path,
			       "; if that host is down for good, take the pool over", e);
	return 0;
}

int kv_claim_look(dev_t member, const char *pool_uuid, const struct kv_host *self,
		  bool takeover, const char *path, struct kvol_error *e)
{
	struct kv_claim claim;
	int r = kv_claim_read(member, pool_uuid, &claim);

	return admit(r, &claim, self, takeover, path, e);
}

static bool identical(const struct kv_host *a, const struct kv_host *b)
{
	return !strcmp(a->given, b->given) && !strcmp(a->machine, b->machine) &&
	       !strcmp(a->boot, b->boot);
}

int kv_claim_take(dev_t member, const char *pool_uuid, const struct kv_host *self,
		  bool takeover, const char *path, struct kv_claim *ret,
		  struct kv_claim_before *ret_before, struct kvol_error *e)
{
	_cleanup_close_ int fd = kv_blockdev_open(member, O_RDWR | O_DIRECT);
	struct kv_claim claim = { .held = false };
	int r;

	ret_before->written = false;
	r = fd < 0 ? fd : read_block(fd, pool_uuid, ret_before->block, &claim);
	r = admit(r, &claim, self, takeover, path, e);
	if (r < 0)
		return r;
	if (claim.held && identical(&claim.host, self)) {
		*ret = claim;
		return 0;
	}
	claim = (struct kv_claim){ .held = true, .since = (uint64_t)time(NULL) };
	(void)kv_strcpy(claim.pool, sizeof(claim.pool), pool_uuid);
	claim.host = *self;
	r = write_claim(fd, &claim);
	if (r < 0) {
		(void)write_block(fd, ret_before->block);
		return kv_error_errno(e, r, "'%s': write the host's claim", path);
	}
	ret_before->written = true;
	*ret = claim;
	return 0;
}

void kv_claim_put_back(dev_t member, const struct kv_claim_before *before)
{
	_cleanup_close_ int fd = -1;

	if (!before->written)
		return;
	fd = kv_blockdev_open(member, O_RDWR | O_DIRECT);
	if (fd >= 0)
		(void)write_block(fd, before->block);
}

int kv_claim_check(dev_t member, const char *pool_uuid, const struct kv_host *self,
		   const char *path, struct kv_claim *ret, struct kvol_error *e)
{
	struct kv_claim claim;
	int r = kv_claim_read(member, pool_uuid, &claim);

	/* Activated by a version without claims; or a disk that has failed or gone since,
	 * which is no reason to keep anybody from unpublishing. */
	if (r == -ENODATA || r == -EIO || r == -ENODEV || r == -ENXIO)
		return 0;
	if (r < 0 && r != -EBADMSG)
		return kv_error_errno(e, r, "'%s': read the host's claim", path);
	/* Given back by another is as bad: it has been there since. */
	if (r == 0 && kv_host_same(&claim.host, self)) {
		*ret = claim;
		return 0;
	}
	if (r == -EBADMSG)
		return kv_error(e, -EBUSY, KVOL_R_FOREIGN_HOST,
				"'%s': its host's claim was overwritten while it was "
				"active here",
				path);
	return foreign(&claim, path,
		       strcmp(claim.host.boot, self->boot) != 0
			       ? ", and active here: it was taken over, restart this host"
			       : ", which is this machine by another id",
		       e);
}

int kv_claim_open(dev_t member)
{
	return kv_blockdev_open(member, O_RDWR | O_DIRECT);
}

int kv_claim_give_back(int fd, const char *pool_uuid, const struct kv_host *self)
{
	_Alignas(KV_CLAIM_BLOCK) char block[KV_CLAIM_BLOCK];
	struct kv_claim claim;
	int r = read_block(fd, pool_uuid, block, &claim);

	if (r == -ENODATA || r == -EBADMSG)
		return 0;
	if (r < 0 || !claim.held || !kv_host_same(&claim.host, self))
		return r;
	claim.held = false;
	return write_claim(fd, &claim);
}
