// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pool's policy: how much it promises, to how many, and how it is published.
 *
 * It lives in the catalogue, holds for every handle from the next call on, and takes
 * nothing away from what is there already: a limit below what is in use only keeps more
 * from coming. Volumes and sizes are held in the commit that makes them (the catalogue);
 * publishes by their records, which are counted when the new one is among them, so that
 * two at once never both get the last place.
 *
 * What a thick volume has nobody else can use: with an overcommit of 300 percent, say, of a
 * third of the pool, thin volumes are promised three times what is left, and not more. So
 * each of its bytes counts three times.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/mount.h>

#include "verb.h"

static int policy_error(const struct kvol_pool *pool, int r, struct kvol_error *e)
{
	return kv_error_errno(e, r, "pool '%s': read its policy from the catalogue",
			      pool->conf.name);
}

/* Percent of the data device, cut to what a sum can be. */
static uint64_t overcommitted(uint64_t data_bytes, uint64_t percent)
{
	uint64_t bytes;

	if (__builtin_mul_overflow(data_bytes / 100, percent, &bytes) ||
	    bytes > INT64_MAX - percent)
		return INT64_MAX;
	return bytes + data_bytes % 100 * percent / 100;
}

int kv_policy_limit(const struct kvol_pool *pool, struct kv_limit *ret,
		    struct kvol_error *e)
{
	struct kv_pool_status st;
	struct kv_policy policy;
	int r;

	*ret = (struct kv_limit){ 0 };
	r = kv_catalogue_policy(pool->cat, &policy);
	if (r < 0)
		return policy_error(pool, r, e);
	ret->volumes = policy.max_volumes;
	if (!policy.overcommit)
		return 0;
	r = kv_pool_status(pool, &st);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': read the thin pool's status",
				      pool->conf.name);
	ret->bytes = overcommitted(st.data_total * pool->conf.block_bytes,
				   policy.overcommit);
	ret->thick_percent = policy.overcommit > 100 ? policy.overcommit : 100;
	return 0;
}

int kv_limit_error(const struct kvol_pool *pool, const char *name, struct kvol_error *e)
{
	return kv_error(e, -ENOSPC, KVOL_R_LIMIT,
			"'%.64s': the policy of pool '%s' allows no more (max_volumes, or "
			"overcommit)",
			name, pool->conf.name);
}

int kv_policy_admit(const struct kvol_pool *pool, const char *name, uint64_t more_volumes,
		    uint64_t more_bytes, bool thick, struct kv_limit *ret,
		    struct kvol_error *e)
{
	int r = kv_policy_limit(pool, ret, e);

	if (r < 0)
		return r;
	if (thick && ret->bytes)
		more_bytes = overcommitted(more_bytes, ret->thick_percent);
	r = kv_catalogue_admits(pool->cat, ret, more_volumes, more_bytes);
	if (r == -EDQUOT)
		return kv_limit_error(pool, name, e);
	return r < 0 ? policy_error(pool, r, e) : 0;
}

/* --- Publishing ------------------------------------------------------------------- */

int kv_policy_publish(const struct kvol_pool *pool, uint64_t *ret_attr,
		      uint64_t *ret_max, struct kvol_error *e)
{
	struct kv_policy policy;
	int r;

	r = kv_catalogue_policy(pool->cat, &policy);
	if (r < 0)
		return policy_error(pool, r, e);
	*ret_attr = (policy.publish_flags & KVOL_POLICY_NOEXEC ? MOUNT_ATTR_NOEXEC : 0) |
		    (policy.publish_flags & KVOL_POLICY_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
		    (policy.publish_flags & KVOL_POLICY_NODEV ? MOUNT_ATTR_NODEV : 0);
	*ret_max = policy.max_published;
	return 0;
}

/* --- Setting and telling ---------------------------------------------------------- */

static int check(const struct kvol_pool *pool, const struct kvol_policy_opts *o,
		 struct kvol_error *e)
{
	if (o->max_volumes > pool->conf.max_volumes)
		return kv_error_invalid(e,
					"pool '%s': it was formatted for %" PRIu64
					" volumes at most",
					pool->conf.name, pool->conf.max_volumes);
	if (o->max_published > INT64_MAX)
		return kv_error_invalid(e, "pool '%s': max_published is no such number",
					pool->conf.name);
	if (o->overcommit > KVOL_OVERCOMMIT_MAX)
		return kv_error_invalid(e, "pool '%s': overcommit is at most %u percent",
					pool->conf.name, KVOL_OVERCOMMIT_MAX);
	if (o->publish_flags & ~(uint64_t)KV_POLICY_KNOWN)
		return kv_error_invalid(e, "pool '%s': unknown publish_flags 0x%" PRIx64,
					pool->conf.name, o->publish_flags);
	return 0;
}

int kvol_pool_set(struct kvol_pool *pool, const struct kvol_policy_opts *opts,
		  struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct kvol_policy_opts o;
	struct kv_policy policy;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_opts_in(&o, sizeof(o), sizeof(o), opts,
			       KVOL_SET_MAX_VOLUMES | KVOL_SET_MAX_PUBLISHED |
				       KVOL_SET_OVERCOMMIT | KVOL_SET_PUBLISH_FLAGS,
			       "kvol_policy_opts", reterr);
	if (r == 0)
		r = check(pool, &o, reterr);
	if (r == 0)
		r = kv_pool_admit(pool, false, reterr);
	if (r < 0)
		return r;
	policy = (struct kv_policy){ .max_volumes = o.max_volumes,
				     .max_published = o.max_published,
				     .overcommit = o.overcommit,
				     .publish_flags = o.publish_flags };
	r = kv_catalogue_set_policy(pool->cat, &policy, o.flags);
	return r < 0 ? kv_error_errno(reterr, r, "pool '%s': commit to the catalogue",
				      pool->conf.name)
		     : 0;
}

/* What a volume could have now. promised: what counts against the limit. */
static uint64_t capacity(const struct kv_pool_status *st, const struct kv_limit *limit,
			 const struct kvol_pool_info *info, uint64_t promised)
{
	if (st->mode != KV_POOL_RW || kv_pool_low_data(st) || kv_pool_low_metadata(st) ||
	    info->n_volumes + info->n_snapshots >= info->max_volumes)
		return 0;
	if (!limit->bytes)
		return info->data_bytes - info->data_used;
	return promised < limit->bytes ? (limit->bytes - promised) / KV_BYTES_UNIT *
						 KV_BYTES_UNIT
				       : 0;
}

int kv_policy_tell(struct kvol_pool *pool, const struct kv_pool_status *st,
		   struct kvol_pool_info *info, struct kvol_error *e)
{
	struct kv_policy policy;
	struct kv_limit limit;
	uint64_t promised;
	int r;

	r = kv_policy_limit(pool, &limit, e);
	if (r < 0)
		return r;
	r = kv_catalogue_policy(pool->cat, &policy);
	if (r == 0)
		r = kv_catalogue_provisioned(pool->cat, &limit, &info->provisioned,
					     &promised);
	if (r < 0)
		return policy_error(pool, r, e);
	r = kv_publication_count_volumes(pool->dir_fd, &info->n_published);
	if (r < 0)
		return kv_error_errno(e, r, "pool '%s': look for its publishes",
				      pool->conf.name);
	if (policy.max_volumes)
		info->max_volumes = policy.max_volumes;
	info->max_published = policy.max_published;
	info->overcommit = policy.overcommit;
	info->publish_flags = policy.publish_flags;
	info->capacity = capacity(st, &limit, info, promised);
	info->largest_volume = info->capacity;
	if (info->capacity && !limit.bytes)
		info->largest_volume = KV_BYTES_MAX;
	else if (info->capacity > KV_BYTES_MAX)
		info->largest_volume = KV_BYTES_MAX;
	return 0;
}
