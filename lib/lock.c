// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Owner liveness and exclusion: open file description locks (fcntl(2), F_OFD_SETLK) on
 * single bytes of the file `lock` in the pool's run directory. The kernel drops them when
 * the last fd of the description goes, so a killed process holds nothing, and a pid is
 * never compared.
 *
 * OFD locks exclude descriptions, not processes: a call opens the file anew for each lock
 * that it takes, and so excludes the other threads of its process as well. There is no
 * bounded wait for them in the kernel: waiting polls, from 100 us to 10 ms apart.
 *
 * A child that was forked while a lock was held shares its description until it execs or
 * exits (every fd is close-on-exec); that is why releasing unlocks before it closes.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lock.h"

int kv_lock_open(int dir_fd)
{
	int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

static int set(int fd, short type, uint64_t byte)
{
	struct flock fl = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	while (fcntl(fd, F_OFD_SETLK, &fl) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	}
	return 0;
}

static int wait_for(int fd, short type, uint64_t byte, int64_t deadline_ms)
{
	unsigned step = 0;
	int r;

	while ((r = set(fd, type, byte)) == -EBUSY && deadline_ms) {
		r = kv_backoff(&step, deadline_ms);
		if (r < 0)
			return r;
	}
	return r;
}

int kv_lock_exclusive(int fd, uint64_t byte, int64_t deadline_ms)
{
	return wait_for(fd, F_WRLCK, byte, deadline_ms);
}

int kv_lock_shared(int fd, uint64_t byte, int64_t deadline_ms)
{
	return wait_for(fd, F_RDLCK, byte, deadline_ms);
}

bool kv_lock_held(int fd, uint64_t byte)
{
	struct flock fl = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

void kv_lock_drop(int fd, uint64_t byte)
{
	(void)set(fd, F_UNLCK, byte);
}

static int take(int dir_fd, short type, uint64_t byte, int64_t deadline_ms,
		struct kv_lock *ret)
{
	_cleanup_close_ int fd = kv_lock_open(dir_fd);
	int r;

	if (fd < 0)
		return fd;
	r = wait_for(fd, type, byte, deadline_ms);
	if (r < 0)
		return r;
	ret->byte = byte;
	ret->fd = kv_take_fd(&fd);
	return 0;
}

int kv_lock_take(int dir_fd, uint64_t byte, int64_t deadline_ms, struct kv_lock *ret)
{
	return take(dir_fd, F_WRLCK, byte, deadline_ms, ret);
}

int kv_lock_share(int dir_fd, uint64_t byte, int64_t deadline_ms, struct kv_lock *ret)
{
	return take(dir_fd, F_RDLCK, byte, deadline_ms, ret);
}

void kv_lock_release(struct kv_lock *lock)
{
	if (lock->fd < 0)
		return;
	kv_lock_drop(lock->fd, lock->byte);
	lock->fd = kv_close(lock->fd);
}
