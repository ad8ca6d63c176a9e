/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The language of the thin-pool, thin, linear and crypt targets: tables, messages and
 * status lines, as Documentation/admin-guide/device-mapper/thin-provisioning.rst,
 * linear.rst and dm-crypt.rst have them.
 *
 * Pure: bytes in, bytes out. Parsers take anything, read numbers strictly (decimal
 * digits alone, no sign, no overflow), touch their outputs only on success, and never
 * guess: a line that lacks a word that we need is -EBADMSG. Words beyond those that we
 * know are ignored, since newer kernels append.
 *
 * Pools are always loaded with error_if_no_space (a full pool fails writes at once
 * instead of hanging them for a minute) and with zeroing left on (a new block would
 * show the last owner's data otherwise).
 *
 * Encrypted volumes let discards through. Without them nothing that was ever written
 * would come back to the pool; and what they give away, which blocks are in use, the thin
 * pool's metadata shows anyway.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "thin.h"

/* The kernel's MINORBITS is 20: dev_t numbers beyond are no devices. */
#define MAJOR_MAX ((UINT64_C(1) << 12) - 1)
#define MINOR_MAX ((UINT64_C(1) << 20) - 1)

/* --- Writing ---------------------------------------------------------------------- */

static KV_PRINTF(2, 3) int line(char buf[KV_THIN_LINE], const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(buf, KV_THIN_LINE, fmt, ap);
	va_end(ap);
	return r < 0 || r >= KV_THIN_LINE ? -EOVERFLOW : 0;
}

int kv_thin_pool_params(char buf[KV_THIN_LINE], dev_t metadata, dev_t data,
			uint32_t block_sectors, uint64_t low_water_blocks)
{
	uint64_t bytes = (uint64_t)block_sectors * KV_SECTOR;

	if (bytes < KV_THIN_BLOCK_MIN || bytes > KV_THIN_BLOCK_MAX ||
	    bytes % KV_THIN_BLOCK_MIN)
		return -EINVAL;
	return line(buf, "%u:%u %u:%u %" PRIu32 " %" PRIu64 " 1 error_if_no_space",
		    major(metadata), minor(metadata), major(data), minor(data),
		    block_sectors, low_water_blocks);
}

int kv_thin_params(char buf[KV_THIN_LINE], dev_t pool, uint32_t id)
{
	if (id > KV_THIN_ID_MAX)
		return -EINVAL;
	return line(buf, "%u:%u %" PRIu32, major(pool), minor(pool), id);
}

int kv_thin_linear_params(char buf[KV_THIN_LINE], dev_t dev, uint64_t offset_sectors)
{
	return line(buf, "%u:%u %" PRIu64, major(dev), minor(dev), offset_sectors);
}

int kv_thin_crypt_params(char buf[KV_THIN_LINE], dev_t dev, uint64_t offset_sectors,
			 size_t key_bytes, const char *key_name, bool discards)
{
	return line(buf, "aes-xts-plain64 :%zu:logon:%s 0 %u:%u %" PRIu64 "%s", key_bytes,
		    key_name, major(dev), minor(dev), offset_sectors,
		    discards ? " 1 allow_discards" : "");
}

int kv_thin_msg_create(char buf[KV_THIN_LINE], uint32_t id)
{
	if (id > KV_THIN_ID_MAX)
		return -EINVAL;
	return line(buf, "create_thin %" PRIu32, id);
}

int kv_thin_msg_snapshot(char buf[KV_THIN_LINE], uint32_t id, uint32_t origin)
{
	if (id > KV_THIN_ID_MAX || origin > KV_THIN_ID_MAX)
		return -EINVAL;
	return line(buf, "create_snap %" PRIu32 " %" PRIu32, id, origin);
}

int kv_thin_msg_delete(char buf[KV_THIN_LINE], uint32_t id)
{
	if (id > KV_THIN_ID_MAX)
		return -EINVAL;
	return line(buf, "delete %" PRIu32, id);
}

int kv_thin_msg_transaction(char buf[KV_THIN_LINE], uint64_t from, uint64_t to)
{
	return line(buf, "set_transaction_id %" PRIu64 " %" PRIu64, from, to);
}

/* --- Reading ---------------------------------------------------------------------- */

static bool take_number(const char **p, uint64_t *ret)
{
	const char *s = *p;
	uint64_t n = 0, digit;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		digit = (uint64_t)(*s - '0');
		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*p = s;
	*ret = n;
	return true;
}

static bool take_char(const char **p, char c)
{
	if (**p != c)
		return false;
	(*p)++;
	return true;
}

/* The end of a word; the blanks behind it are skipped. */
static bool take_end(const char **p)
{
	if (**p && **p != ' ')
		return false;
	*p += strspn(*p, " ");
	return true;
}

static bool take_word(const char **p, const char *word)
{
	size_t n = strlen(word);
	const char *s = *p;

	if (strncmp(s, word, n) != 0)
		return false;
	s += n;
	if (!take_end(&s))
		return false;
	*p = s;
	return true;
}

/* "USED/TOTAL" */
static bool take_pair(const char **p, uint64_t *ret_used, uint64_t *ret_total)
{
	return take_number(p, ret_used) && take_char(p, '/') &&
	       take_number(p, ret_total) && take_end(p) && *ret_used <= *ret_total;
}

static bool take_dev(const char **p, dev_t *ret)
{
	uint64_t major_number, minor_number;

	if (!take_number(p, &major_number) || !take_char(p, ':') ||
	    !take_number(p, &minor_number) || !take_end(p))
		return false;
	if (major_number > MAJOR_MAX || minor_number > MINOR_MAX)
		return false;
	*ret = makedev((unsigned)major_number, (unsigned)minor_number);
	return true;
}

/* "Fail" is a mode; "Error" stands for figures that the kernel could not read. */
static bool failed(const char *s)
{
	return take_word(&s, "Fail") || take_word(&s, "Error");
}

static bool take_mode(const char **p, enum kv_pool_mode *ret)
{
	if (take_word(p, "rw"))
		*ret = KV_POOL_RW;
	else if (take_word(p, "ro"))
		*ret = KV_POOL_RO;
	else if (take_word(p, "out_of_data_space"))
		*ret = KV_POOL_OUT_OF_DATA;
	else
		return false;
	return true;
}

/*
 * <transaction id> <used>/<total metadata> <used>/<total data> <held root|->
 * rw|ro|out_of_data_space [no_]discard_passdown|ignore_discard
 * error_if_no_space|queue_if_no_space needs_check|- <metadata low water>
 */
int kv_pool_status_parse(const char *s, struct kv_pool_status *ret)
{
	struct kv_pool_status st = { 0 };

	if (failed(s)) {
		*ret = (struct kv_pool_status){ .mode = KV_POOL_FAIL };
		return 0;
	}
	if (!take_number(&s, &st.transaction_id) || !take_end(&s) ||
	    !take_pair(&s, &st.metadata_used, &st.metadata_total) ||
	    !take_pair(&s, &st.data_used, &st.data_total))
		return -EBADMSG;
	if (!take_word(&s, "-") && (!take_number(&s, &st.held_root) || !take_end(&s)))
		return -EBADMSG;
	if (!take_mode(&s, &st.mode))
		return -EBADMSG;
	if (!take_word(&s, "discard_passdown") && !take_word(&s, "no_discard_passdown") &&
	    !take_word(&s, "ignore_discard"))
		return -EBADMSG;
	if (!take_word(&s, "error_if_no_space") && !take_word(&s, "queue_if_no_space"))
		return -EBADMSG;
	if (take_word(&s, "needs_check"))
		st.needs_check = true;
	else if (!take_word(&s, "-"))
		return -EBADMSG;
	/* The metadata low water mark, and whatever newer kernels add, follow. */
	*ret = st;
	return 0;
}

/* <mapped sectors> <highest mapped sector|-> */
int kv_thin_status_parse(const char *s, struct kv_thin_status *ret)
{
	struct kv_thin_status st = { 0 };

	if (failed(s)) {
		*ret = (struct kv_thin_status){ .failed = true };
		return 0;
	}
	if (!take_number(&s, &st.mapped_sectors) || !take_end(&s))
		return -EBADMSG;
	if (!take_word(&s, "-") &&
	    (!take_number(&s, &st.highest_sector) || !take_end(&s)))
		return -EBADMSG;
	*ret = st;
	return 0;
}

int kv_thin_linear_parse(const char *s, dev_t *ret_dev, uint64_t *ret_offset_sectors)
{
	uint64_t offset;
	dev_t dev;

	if (!take_dev(&s, &dev) || !take_number(&s, &offset) || !take_end(&s) || *s)
		return -EBADMSG;
	*ret_dev = dev;
	*ret_offset_sectors = offset;
	return 0;
}
