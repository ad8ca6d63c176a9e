// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Publishing what is not there yet: an ephemeral volume, as the options say. It is made
 * after all that can be refused was looked at, under a lock of its own that is kept until
 * it is published. What becomes of it is in ephemeral.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "publish.h"
#include "thin.h"

int kv_job_ephemeral(struct kv_job *job, const struct kvol_ephemeral_opts *opts,
		     struct kvol_error *e)
{
	int r = kv_opts_in(&job->make, sizeof(job->make), sizeof(job->make), opts, 0,
			   "kvol_ephemeral_opts", e);

	if (r == 0 && !kv_str_empty(job->make.source))
		r = kv_volume_name_check(job->make.source, "source", e);
	job->ephemeral = r == 0;
	return r;
}

static bool same(const struct kv_row *row, const struct kvol_ephemeral_opts *o,
		 bool encrypted)
{
	if (!kv_str_equal(row->source, o->source))
		return false;
	if (row->source[0])
		return (!o->bytes || row->bytes == kv_round_up(o->bytes, KV_BYTES_UNIT)) &&
		       (kv_str_empty(o->fs_type) ||
			kv_str_equal(row->fs_type, o->fs_type));
	return o->bytes <= KV_BYTES_MAX &&
	       row->bytes == kv_round_up(o->bytes, KV_BYTES_UNIT) &&
	       kv_str_equal(row->fs_type, o->fs_type) &&
	       !(row->flags & KV_ROW_ENCRYPTED) == !encrypted;
}

int kv_job_same(const struct kv_job *job, struct kvol_error *e)
{
	const struct kv_row *row = &job->row;
	bool ephemeral = row->flags & KV_ROW_EPHEMERAL;

	if (ephemeral && same(row, &job->make, job->secret.data))
		return 0;
	return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
			"volume '%s': there is %s of this name, "
			"with %" PRIu64 " bytes, %s%s%s%.64s",
			row->name,
			ephemeral			? "another ephemeral volume"
			: row->kind == KVOL_KIND_VOLUME ? "a lasting volume"
							: "a snapshot",
			row->bytes, row->fs_type[0] ? row->fs_type : "raw",
			row->flags & KV_ROW_ENCRYPTED ? ", encrypted" : "",
			row->source[0] ? ", of " : "", row->source);
}

int kv_job_plan(struct kv_job *job, const char *name, struct kvol_error *e)
{
	struct kv_row source;
	int r;

	memset(&job->row, 0, sizeof(job->row));
	job->row.id = KV_THIN_ID_MAX + 1; /* nobody's: nothing of it is published */
	job->row.kind = KVOL_KIND_VOLUME;
	(void)kv_strcpy(job->row.name, sizeof(job->row.name), name);
	if (kv_str_empty(job->make.source)) {
		job->row.flags = job->secret.data ? KV_ROW_ENCRYPTED : 0;
		if (job->make.fs_type) /* creating refuses what is none */
			(void)kv_strcpy(job->row.fs_type, sizeof(job->row.fs_type),
					job->make.fs_type);
		return 0;
	}
	r = kv_volume_find(job->pool, job->make.source, "source", &source, e);
	if (r < 0)
		return r;
	(void)kv_strcpy(job->row.fs_type, sizeof(job->row.fs_type), source.fs_type);
	job->row.flags = source.flags & KV_ROW_ENCRYPTED;
	return 0;
}

int kv_job_make(struct kv_job *job, struct kv_lock *ret_lock, struct kvol_error *e)
{
	struct kv_made made = { .lock = KV_LOCK_NONE };
	int r;

	kv_ephemeral_sweep(job->pool);
	if (kv_str_empty(job->make.source))
		r = kv_volume_make_ephemeral(job->pool, job->row.name, &job->make,
					     &job->secret, &made, e);
	else
		r = kv_clone_ephemeral(job->pool, job->row.name, &job->make, &made, e);
	if (r != 0)
		return r == KV_NAME_TAKEN ? 1 : r;
	*ret_lock = made.lock;
	job->row = made.row;
	job->want.volume = made.row.id;
	job->made = true;
	return 0;
}
