// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The file `frozen` in the pool's run directory: 64 slots of 8 bytes. Who is about to
 * suspend a volume locks a slot's first byte (an open file description lock, on a
 * description of its own), writes the volume's number, and clears it after the resume.
 *
 * A process killed in between leaves the number and no lock. Every call on the pool reads
 * the slots first, before anything that could wait for a frozen volume, and resumes what
 * it finds so. Reading costs one system call; there is no mapping that a truncated file
 * could turn into SIGBUS, and a word that is read torn is read again under its lock.
 *
 * A volume is suspended only under its lock, and resumed by others only under it, too:
 * otherwise a thaw for a dead process could end the suspend of a living one, and tear its
 * snapshot. Who has the volume's lock and finds its number in another's slot knows that
 * the other is dead or dying, whatever the slot's lock says, and resumes it before he
 * does anything else. So a thaw that finds the volume's lock taken has nothing to do: its
 * holder does it.
 *
 * A crash in here leaves a slot for a volume that runs. It is cleared by whoever meets
 * it.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "pool_state.h"

#define SLOT_SIZE    sizeof(uint64_t)
#define USED	     (UINT64_C(1) << 32) /* tells volume 0 from an empty slot */
#define WAIT_MS	     100		 /* for a lock, between two thaws */
#define SLOT_BYTE(i) ((uint64_t)(i)*SLOT_SIZE)

static int open_file(int dir_fd)
{
	int fd =
		openat(dir_fd, "frozen", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

int kv_frozen_open(int dir_fd)
{
	int fd = open_file(dir_fd);

	/* So that a full /run stops no snapshot. It never touches what is there, and
	 * where it is not to be had a slot's write extends the file. */
	if (fd >= 0)
		(void)fallocate(fd, 0, 0, KV_FROZEN_SLOTS * SLOT_SIZE);
	return fd;
}

static uint64_t read_slot(int fd, unsigned slot)
{
	uint64_t word = 0;

	(void)kv_pread_full(fd, &word, sizeof(word), SLOT_BYTE(slot));
	return word;
}

static int write_slot(int fd, unsigned slot, uint64_t word)
{
	return kv_pwrite_full(fd, &word, sizeof(word), SLOT_BYTE(slot));
}

/* A short file's missing slots are empty. */
static bool read_all(int fd, uint64_t slots[KV_FROZEN_SLOTS])
{
	uint64_t any = 0;

	for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
		slots[i] = 0;
	(void)kv_pread_full(fd, slots, KV_FROZEN_SLOTS * SLOT_SIZE, 0);
	for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
		any |= slots[i];
	return any;
}

/* The slot's lock is held. True: it is empty now. */
static bool settle(const struct kvol_pool *pool, int fd, unsigned slot)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	uint64_t word = read_slot(fd, slot);
	uint32_t id = (uint32_t)word;

	if (!word)
		return true;
	if (word == (USED | id)) {
		if (kv_lock_take(pool->dir_fd, KV_LOCK_VOLUME(id), 0, &lock) < 0 ||
		    kv_device_thaw(pool, id) < 0)
			return false;
	}
	return write_slot(fd, slot, 0) == 0;
}

/* 1: the slot is empty and its lock is ours; 0: somebody has it. */
static int take(const struct kvol_pool *pool, int fd, unsigned slot)
{
	int r = kv_lock_exclusive(fd, SLOT_BYTE(slot), 0);

	if (r < 0)
		return r == -EBUSY ? 0 : r;
	if (settle(pool, fd, slot))
		return 1;
	kv_lock_drop(fd, SLOT_BYTE(slot));
	return 0;
}

int kv_frozen_begin(const struct kvol_pool *pool, uint32_t id, struct kv_frozen *ret)
{
	_cleanup_close_ int fd = open_file(pool->dir_fd);
	int64_t deadline = kv_deadline(KV_LOCK_WAIT_MS);
	unsigned step = 0, slot = 0;
	int r = fd < 0 ? fd : 0;

	while (r == 0) {
		for (unsigned i = 0; r == 0 && i < KV_FROZEN_SLOTS; i++) {
			slot = (id + i) % KV_FROZEN_SLOTS;
			r = take(pool, fd, slot);
		}
		/* All taken: nobody keeps one for long. Going on without would leave a
		 * volume that no call would thaw. */
		if (r == 0)
			r = kv_backoff(&step, deadline);
	}
	if (r == 1)
		r = write_slot(fd, slot, USED | id);
	if (r < 0)
		return r;
	ret->slot = slot;
	ret->fd = kv_take_fd(&fd);
	return 0;
}

void kv_frozen_end(struct kv_frozen *frozen, bool running)
{
	if (running)
		(void)write_slot(frozen->fd, frozen->slot, 0);
	kv_lock_drop(frozen->fd, SLOT_BYTE(frozen->slot));
	frozen->fd = kv_close(frozen->fd);
}

void kv_frozen_thaw(const struct kvol_pool *pool)
{
	uint64_t slots[KV_FROZEN_SLOTS];
	_cleanup_close_ int fd = -1;

	if (!read_all(pool->frozen_fd, slots))
		return;
	/* On the handle's own fd two of its threads would not exclude each other. */
	fd = open_file(pool->dir_fd);
	for (unsigned i = 0; fd >= 0 && i < KV_FROZEN_SLOTS; i++)
		if (slots[i] && take(pool, fd, i) == 1)
			kv_lock_drop(fd, SLOT_BYTE(i));
}

int kv_frozen_lock(const struct kvol_pool *pool, int dir_fd, uint64_t byte,
		   int64_t deadline_ms, struct kv_lock *ret)
{
	int64_t until;
	int r;

	if (!deadline_ms)
		return kv_lock_take(dir_fd, byte, 0, ret);
	for (;;) {
		until = kv_deadline(WAIT_MS);
		if (until > deadline_ms)
			until = deadline_ms;
		r = kv_lock_take(dir_fd, byte, until, ret);
		if (r != -ETIMEDOUT || kv_expired(deadline_ms))
			return r;
		kv_frozen_thaw(pool);
	}
}

int kv_lock_volume(const struct kvol_pool *pool, uint32_t id, int64_t deadline_ms,
		   struct kv_lock *ret)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	uint64_t slots[KV_FROZEN_SLOTS];
	bool left = false;
	int r;

	r = kv_frozen_lock(pool, pool->dir_fd, KV_LOCK_VOLUME(id), deadline_ms, &lock);
	if (r < 0)
		return r;
	if (read_all(pool->frozen_fd, slots)) {
		for (unsigned i = 0; i < KV_FROZEN_SLOTS; i++)
			left = left || slots[i] == (USED | id);
		/* The slot itself goes with the next thaw: its lock may be held yet, by
		 * a process that is just dying. */
		r = left ? kv_device_thaw(pool, id) : 0;
		if (r < 0)
			return r;
	}
	*ret = lock;
	lock.fd = -1;
	return 0;
}
