// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The file `unfinished` in the pool's run directory: 64 slots of 8 bytes for suspended
 * volumes, and one word for a commit of the catalogue. Every call on the pool reads them
 * first, before anything that could wait for a frozen volume or believe the catalogue.
 * Reading costs one system call; there is no mapping that a truncated file could turn
 * into SIGBUS, and a word that is read torn is read again under its lock.
 *
 * Who is about to suspend a volume locks a slot's first byte (an open file description
 * lock, on a description of its own), writes the volume's number, and clears it after the
 * resume. A process killed in between leaves the number and no lock: whoever meets it
 * resumes the volume. A volume is suspended only under its lock, and resumed by others
 * only under it, too: otherwise a thaw for a dead process could end the suspend of a
 * living one, and tear its snapshot. Who has the volume's lock and finds its number in
 * another's slot knows that the other is dead or dying, whatever the slot's lock says,
 * and resumes it before he does anything else. So a thaw that finds the volume's lock
 * taken only waits a moment, for its holder to have done it.
 *
 * A process killed in COMMIT, most likely in its flush, leaves frames in the write-ahead
 * log that the living do not see, and that come into force when the next writer leaves
 * them standing and the log is read anew after the last connection is gone: a deletion
 * that was not seen would happen to a volume that is in use by then. So the committer
 * sets the word, under its lock and the database's write lock. A word without a lock is
 * settled by a commit of one's own, which writes over such frames, or makes them durable
 * where they have come into force.
 *
 * A crash in here leaves a slot for a volume that runs, or a word for a commit that is
 * over. They are cleared by whoever meets them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "pool_state.h"

#define WORD	       sizeof(uint64_t)
#define AT(i)	       ((uint64_t)(i)*WORD)
#define COMMIT	       KV_SUSPEND_SLOTS /* the word behind the slots */
#define WORDS	       (KV_SUSPEND_SLOTS + 1)
#define USED	       (UINT64_C(1) << 32) /* tells volume 0 from an empty slot */
#define WAIT_MS	       100		   /* for a lock, between two looks */
#define COMMIT_WAIT_MS 100
#define THAW_WAIT_MS   1000 /* for the one who thaws already */

static int open_file(int dir_fd)
{
	int fd = openat(dir_fd, "unfinished", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			0600);

	return fd < 0 ? -errno : fd;
}

int kv_unfinished_open(int dir_fd)
{
	int fd = open_file(dir_fd);

	/* So that a full /run stops no snapshot. It never touches what is there, and
	 * where it is not to be had a slot's write extends the file. */
	if (fd >= 0)
		(void)fallocate(fd, 0, 0, WORDS * WORD);
	return fd;
}

static uint64_t read_slot(int fd, unsigned slot)
{
	uint64_t word = 0;

	(void)kv_pread_full(fd, &word, sizeof(word), AT(slot));
	return word;
}

static int write_slot(int fd, unsigned slot, uint64_t word)
{
	return kv_pwrite_full(fd, &word, sizeof(word), AT(slot));
}

/* What a short file does not have is empty. */
static bool read_all(int fd, uint64_t words[WORDS])
{
	uint64_t any = 0;

	for (unsigned i = 0; i < WORDS; i++)
		words[i] = 0;
	(void)kv_pread_full(fd, words, WORDS * WORD, 0);
	for (unsigned i = 0; i < WORDS; i++)
		any |= words[i];
	return any;
}

/* Resumes what a dead process suspended, or sees it resumed: a volume's lock passes from
 * the dead to one who does that first of all (kv_lock_volume), if he is let run. */
static int thaw(const struct kvol_pool *pool, uint32_t id)
{
	int64_t deadline = kv_deadline(THAW_WAIT_MS);
	unsigned step = 0;
	int r;

	do {
		_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;

		r = kv_lock_take(pool->dir_fd, KV_LOCK_VOLUME(id), 0, &lock);
		if (r == 0)
			return kv_device_thaw(pool, id);
		if (r == -EBUSY && kv_device_suspended(pool, id) == 0)
			return 0;
	} while (r == -EBUSY && kv_backoff(&step, deadline) == 0);
	return r;
}

/* The slot's lock is held. True: it is empty now. */
static bool settle(const struct kvol_pool *pool, int fd, unsigned slot)
{
	uint64_t word = read_slot(fd, slot);
	uint32_t id = (uint32_t)word;

	if (!word)
		return true;
	if (word == (USED | id) && thaw(pool, id) < 0)
		return false;
	return write_slot(fd, slot, 0) == 0;
}

/* 1: the slot is empty and its lock is ours; 0: somebody has it. */
static int take(const struct kvol_pool *pool, int fd, unsigned slot)
{
	int r = kv_lock_exclusive(fd, AT(slot), 0);

	if (r < 0)
		return r == -EBUSY ? 0 : r;
	if (settle(pool, fd, slot))
		return 1;
	kv_lock_drop(fd, AT(slot));
	return 0;
}

int kv_suspend_begin(const struct kvol_pool *pool, uint32_t id, struct kv_suspend *ret)
{
	_cleanup_close_ int fd = open_file(pool->dir_fd);
	int64_t deadline = kv_deadline(KV_LOCK_WAIT_MS);
	unsigned step = 0, slot = 0;
	int r = fd < 0 ? fd : 0;

	while (r == 0) {
		for (unsigned i = 0; r == 0 && i < KV_SUSPEND_SLOTS; i++) {
			slot = (id + i) % KV_SUSPEND_SLOTS;
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

void kv_suspend_end(struct kv_suspend *suspend, bool running)
{
	if (running)
		(void)write_slot(suspend->fd, suspend->slot, 0);
	kv_lock_drop(suspend->fd, AT(suspend->slot));
	suspend->fd = kv_close(suspend->fd);
}

/* --- Commits ---------------------------------------------------------------------- */

int kv_commit_begin(int fd)
{
	uint64_t word = ((uint64_t)kv_now_ms() << 1) | 1;
	int r;

	/* The last writer may not have come to its end; nobody else takes it. If somebody
	 * has it for long, it is a forked child of the dead, and we go on without. */
	(void)kv_lock_exclusive(fd, AT(COMMIT), kv_deadline(COMMIT_WAIT_MS));
	/* Another one than the last, so that who waits for this one sees its end. */
	if (word == read_slot(fd, COMMIT))
		word += 2;
	r = write_slot(fd, COMMIT, word);
	if (r < 0)
		kv_lock_drop(fd, AT(COMMIT));
	return r;
}

void kv_commit_end(int fd, bool settled)
{
	if (settled)
		(void)write_slot(fd, COMMIT, 0);
	kv_lock_drop(fd, AT(COMMIT));
}

bool kv_commit_unfinished(int fd)
{
	return read_slot(fd, COMMIT) != 0;
}

/* Waits for the commit to be over that was under way, or to have nobody any more, and
 * then for its end to be certain. By who holds a volume's lock, which may have come to
 * him from one who is just dying. */
static void wait_for_commit(const struct kvol_pool *pool, uint64_t word)
{
	int64_t deadline = kv_deadline(COMMIT_WAIT_MS);
	unsigned step = 0;

	while (read_slot(pool->unfinished_fd, COMMIT) == word &&
	       kv_lock_held(pool->unfinished_fd, AT(COMMIT)) &&
	       kv_backoff(&step, deadline) == 0)
		;
	/* Past the deadline (a forked child keeps the dead one's lock) the database's own
	 * write lock says who lives. A catalogue that takes no commit does not keep
	 * anybody from unpublishing. */
	if (read_slot(pool->unfinished_fd, COMMIT) == word)
		(void)kv_catalogue_settle(pool->cat);
}

/* --- For everybody ---------------------------------------------------------------- */

/* The handle's own commit that failed is in doubt whatever the word says: to write it may
 * have failed, too. */
static int settle_commit(const struct kvol_pool *pool, uint64_t word)
{
	if (!pool->cat || (!kv_catalogue_in_doubt(pool->cat) &&
			   (!word || kv_lock_held(pool->unfinished_fd, AT(COMMIT)))))
		return 0;
	return kv_catalogue_settle(pool->cat);
}

int kv_unfinished_settle(const struct kvol_pool *pool)
{
	uint64_t words[WORDS];
	_cleanup_close_ int fd = -1;
	bool slots = false;

	if (!read_all(pool->unfinished_fd, words))
		return settle_commit(pool, 0);
	for (unsigned i = 0; i < KV_SUSPEND_SLOTS; i++)
		slots = slots || words[i];
	/* On the handle's own fd two of its threads would not exclude each other. */
	if (slots)
		fd = open_file(pool->dir_fd);
	for (unsigned i = 0; fd >= 0 && i < KV_SUSPEND_SLOTS; i++)
		if (words[i] && take(pool, fd, i) == 1)
			kv_lock_drop(fd, AT(i));
	return settle_commit(pool, words[COMMIT]);
}

int kv_unfinished_lock(const struct kvol_pool *pool, int dir_fd, uint64_t byte,
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
		(void)kv_unfinished_settle(pool);
	}
}

int kv_lock_volume(const struct kvol_pool *pool, uint32_t id, int64_t deadline_ms,
		   struct kv_lock *ret)
{
	_cleanup_lock_ struct kv_lock lock = KV_LOCK_NONE;
	uint64_t words[WORDS];
	bool left = false;
	int r;

	r = kv_unfinished_lock(pool, pool->dir_fd, KV_LOCK_VOLUME(id), deadline_ms,
			       &lock);
	if (r < 0)
		return r;
	if (read_all(pool->unfinished_fd, words)) {
		for (unsigned i = 0; i < KV_SUSPEND_SLOTS; i++)
			left = left || words[i] == (USED | id);
		/* The slot itself goes with the next thaw: its lock may be held yet, by
		 * a process that is just dying. */
		r = left ? kv_device_thaw(pool, id) : 0;
		if (r < 0)
			return r;
		if (words[COMMIT] && pool->cat)
			wait_for_commit(pool, words[COMMIT]);
	}
	*ret = lock;
	lock.fd = -1;
	return 0;
}
