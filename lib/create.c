// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Creating volumes, pool first: reserved id, message, status read back, contents, and
 * last one commit that makes the volume exist. A crash before leaves an id without a row
 * in a reservation whose owner is dead: recovery deletes it, without looking at the
 * metadata.
 *
 * An empty file system is not made but cloned of the pool's template (template.c), if
 * nothing stands against it, or copied of it when snapshots run low; the template itself
 * is created in here as volumes are.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "template.h"

#define CREATE_FLAGS (KVOL_CREATE_OWNER | KVOL_CREATE_MODE | KVOL_CREATE_THICK)

/* What is asked for. */
struct wanted {
	const char *name;
	uint32_t kind; /* a volume, or a template */
	uint64_t bytes;
	struct kv_contents contents;
	const struct kvol_label *labels;
	uint64_t n_labels;
	struct kv_limit limit;
	struct kv_made *ephemeral; /* NULL: it is to last */
};

static int check_existing(const struct kv_row *row, const struct wanted *w,
			  struct kvol_error *e)
{
	bool encrypted = row->flags & KV_ROW_ENCRYPTED;
	bool ephemeral = row->flags & KV_ROW_EPHEMERAL;
	bool thick = row->flags & KV_ROW_THICK;

	if (w->ephemeral)
		return KV_NAME_TAKEN;
	if (row->kind == w->kind && row->bytes == w->bytes && !row->source[0] &&
	    !ephemeral &&
	    kv_str_equal(row->fs_type, w->contents.fs ? w->contents.fs->name : "") &&
	    encrypted == !!w->contents.secret.data && thick == w->contents.thick)
		return 0;
	return kv_error(e, -EEXIST, KVOL_R_EXISTS_DIFFERENT,
			"volume '%s': there is %s%s of this name, "
			"with %" PRIu64 " bytes, %s%s%s%s",
			row->name, ephemeral ? "an ephemeral " : "a ",
			row->kind == KVOL_KIND_VOLUME ? "volume" : "snapshot",
			row->bytes, row->fs_type[0] ? row->fs_type : "raw",
			encrypted ? ", encrypted" : "", thick ? ", thick" : "",
			row->source[0] ? ", copied" : "");
}

static uint32_t flags_of(const struct wanted *w)
{
	return (w->contents.secret.data ? KV_ROW_ENCRYPTED : 0) |
	       (w->contents.thick ? KV_ROW_THICK : 0) |
	       (w->ephemeral ? KV_ROW_EPHEMERAL : 0);
}

/* May it be made now? */
static int admit(struct kvol_pool *pool, struct wanted *w, struct kvol_error *e)
{
	struct kv_row row = { .bytes = w->bytes, .flags = flags_of(w) };
	int r;

	r = kv_pool_admit(pool, true, e);
	if (r == 0 && w->kind == KVOL_KIND_VOLUME)
		r = kv_policy_admit(pool, w->name, 1, w->bytes, w->contents.thick,
				    &w->limit, e);
	if (r < 0 || !w->contents.thick)
		return r;
	(void)kv_strcpy(row.name, sizeof(row.name), w->name);
	return kv_thick_check(pool, &row, 0, w->bytes, e);
}

enum method { BY_MAKING, BY_CLONE, BY_COPY };

/* How one attempt goes about it. */
struct attempt {
	enum method method;
	struct kv_id id;
	struct kv_template from; /* for a clone or a copy; then contents.copied, too */
	bool lost;		 /* ... but the pool does not have its blocks any more */
	struct kv_contents contents;
	struct kv_lock lock; /* its own */
};

/* 1: start over. */
#define AGAIN 1

static bool may_copy(const struct wanted *w)
{
	return w->kind == KVOL_KIND_VOLUME && w->contents.fs &&
	       !w->contents.secret.data && !w->contents.thick;
}

/* The id, and the template if there is to be one. */
static int prepare(struct kvol_pool *pool, const struct wanted *w, struct attempt *a,
		   struct kvol_error *e)
{
	int r = 0;

	a->contents = w->contents;
	if (may_copy(w)) {
		r = kv_template_take(pool, w->contents.fs, w->bytes, &a->from, e);
		if (r < 0)
			kv_error_within(e, "volume '%s'", w->name);
		if (r == 0)
			a->method = kv_ids_plenty(pool) ? BY_CLONE : BY_COPY;
		a->contents.copied = r == 0;
	}
	return r < 0 ? r
		     : kv_ids_take(pool, a->method == BY_CLONE, w->name, &a->id, e);
}

/* Is there anything to do on its device before it is there? */
static bool must_fill(const struct attempt *a)
{
	return a->contents.copied ? a->contents.root.what
				  : kv_contents_any(&a->contents);
}

static int make_device(struct kvol_pool *pool, const struct attempt *a, bool *made)
{
	char msg[KV_THIN_LINE];
	int r;

	r = a->method == BY_CLONE ? kv_thin_msg_snapshot(msg, a->id.id, a->from.row.id)
				  : kv_thin_msg_create(msg, a->id.id);
	if (r == 0)
		r = kv_pool_send(pool, msg);
	*made = r == 0;
	return r == 0 ? kv_pool_verify(pool) : r;
}

/* What its thin device is made of. AGAIN: a repair has lost the template. */
static int make_blocks(struct kvol_pool *pool, const struct wanted *w, struct attempt *a,
		       const struct kv_row *row, bool *made, struct kvol_error *e)
{
	int r = make_device(pool, a, made);

	a->lost = r == -ENODATA && a->method == BY_CLONE && !*made;
	if (a->lost)
		return AGAIN;
	if (r < 0)
		return kv_pool_error(pool, r, "create the thin device", w->name, e);
	if (a->method != BY_COPY)
		return 0;
	r = kv_template_copy(pool, &a->from, row, e);
	a->lost = r == KV_COPY_LOST;
	a->contents.copied = r == 0;
	return a->lost ? AGAIN : r < 0 ? r : 0;
}

static int insert(struct kvol_pool *pool, const struct wanted *w, const struct kv_row *row,
		  struct kvol_error *e)
{
	int r = w->ephemeral
			? kv_catalogue_insert_ephemeral(pool->cat, row, pool->host.boot,
							&w->limit)
			: kv_catalogue_insert_labelled(pool->cat, row, w->labels,
						       w->n_labels, &w->limit);

	if (r == -EEXIST) /* somebody was faster: the caller looks at what he made */
		return AGAIN;
	return r < 0 ? kv_insert_error(pool, r, w->name, e) : 0;
}

/* From the message to the commit. */
static int create_with_id(struct kvol_pool *pool, const struct wanted *w,
			  struct attempt *a, struct kvol_error *e)
{
	struct kv_row row;
	bool made = false;
	int r;

	r = kv_row_init(&row, a->id.id, w->name, w->kind, w->bytes);
	if (r < 0)
		r = kv_error_errno(e, r, "volume '%s'", w->name);
	if (w->contents.fs)
		(void)kv_strcpy(row.fs_type, sizeof(row.fs_type), w->contents.fs->name);
	row.flags = flags_of(w);
	if (r == 0)
		r = make_blocks(pool, w, a, &row, &made, e);
	if (r == 0 && must_fill(a))
		r = kv_contents_make(pool, &row, &a->contents, e);
	else if (r == 0 && a->contents.copied)
		row.flags |= KV_ROW_RENEW; /* at the first publish */
	if (r == 0)
		r = insert(pool, w, &row, e);
	if (r != 0) {
		kv_volume_undo(pool, &a->id, made);
		if (a->lost)
			kv_template_lost(pool, &a->from);
		return r;
	}
	kv_ids_done(pool, &a->id, false);
	if (w->ephemeral)
		w->ephemeral->row = row;
	return 0;
}

static int create_prepared(struct kvol_pool *pool, struct wanted *w, struct attempt *a,
			   struct kvol_error *e)
{
	int r = 0;

	/* For a recovery elsewhere that meets the device while it is filled, or the row
	 * before it is published. */
	if (must_fill(a) || a->method == BY_COPY || w->ephemeral)
		r = kv_lock_volume(pool, a->id.id, kv_deadline(KV_LOCK_WAIT_MS), &a->lock);
	if (r < 0) {
		kv_ids_done(pool, &a->id, false);
		return kv_error_errno(e, r, "volume '%s': lock", w->name);
	}
	r = create_with_id(pool, w, a, e);
	if (r == 0 && w->ephemeral) {
		w->ephemeral->lock = a->lock;
		a->lock = KV_LOCK_NONE;
	}
	return r;
}

static int create_once(struct kvol_pool *pool, struct wanted *w, struct kvol_error *e)
{
	struct attempt a = { .from = KV_TEMPLATE_NONE, .lock = KV_LOCK_NONE };
	struct kv_row row;
	int r;

	r = kv_volume_find(pool, w->name, NULL, &row, e);
	if (r == 0)
		return check_existing(&row, w, e);
	if (r != -ENOENT)
		return r;
	r = admit(pool, w, e);
	if (r == 0)
		r = prepare(pool, w, &a, e);
	if (r == 0)
		r = create_prepared(pool, w, &a, e);
	kv_lock_release(&a.lock);
	kv_template_release(&a.from);
	if (r != AGAIN)
		return r;
	r = kv_volume_find(pool, w->name, NULL, &row, e);
	if (r == -ENOENT)
		return AGAIN;
	return r == 0 ? check_existing(&row, w, e) : r;
}

static int create(struct kvol_pool *pool, struct wanted *w, struct kvol_error *e)
{
	int r = AGAIN;

	for (int i = 0; r == AGAIN && i < KV_NAME_TRIES; i++)
		r = create_once(pool, w, e);
	return r == AGAIN ? kv_name_unstable(w->name, e) : r;
}

int kv_fs_fits(const struct kv_fs *fs, const char *name, uint64_t bytes,
	       struct kvol_error *e)
{
	if (bytes >= fs->min_bytes)
		return 0;
	return kv_error_invalid(e, "volume '%s': %s needs at least %" PRIu64 " bytes", name,
				fs->name, fs->min_bytes);
}

static int choose_fs(struct wanted *w, const char *fs_type, struct kvol_error *e)
{
	if (kv_str_empty(fs_type))
		return 0;
	w->contents.fs = kv_fs_find(fs_type);
	if (!w->contents.fs)
		return kv_error(e, -EINVAL, KVOL_R_UNSUPPORTED,
				"volume '%s': unknown file system '%.32s'", w->name,
				fs_type);
	return kv_fs_fits(w->contents.fs, w->name, w->bytes, e);
}

/* Whom the root directory is to belong to. */
static int choose_owner(struct wanted *w, const struct kvol_create_opts *o,
			struct kvol_error *e)
{
	struct kv_owner *root = &w->contents.root;

	if (o->flags & KVOL_CREATE_OWNER)
		root->what |= KV_OWN_IDS;
	if (o->flags & KVOL_CREATE_MODE)
		root->what |= KV_OWN_MODE;
	if (o->reserved0)
		return kv_reserved_error("volume", w->name, e);
	if (root->what && !w->contents.fs)
		return kv_error_invalid(e,
					"volume '%s': a raw one has no root directory to "
					"give an owner or a mode",
					w->name);
	if ((root->what & KV_OWN_IDS) && (o->uid == UINT32_MAX || o->gid == UINT32_MAX))
		return kv_error_invalid(e, "volume '%s': %" PRIu32 " is no user or group",
					w->name, UINT32_MAX);
	if ((root->what & KV_OWN_MODE) && o->mode > 07777)
		return kv_error_invalid(e, "volume '%s': mode %" PRIo32 " is beyond 7777",
					w->name, o->mode);
	root->uid = o->uid;
	root->gid = o->gid;
	root->mode = o->mode;
	return 0;
}

int kvol_create(struct kvol_pool *pool, const char *name, uint64_t bytes,
		const struct kvol_create_opts *opts, struct kvol_error *reterr)
{
	_cleanup_call_ struct kvol_pool *call = NULL;
	struct wanted w = { .name = name, .kind = KVOL_KIND_VOLUME };
	struct kvol_create_opts o;
	int r;

	r = kv_pool_enter_to_change(pool, &call, reterr);
	if (r == 0)
		r = kv_volume_name_check(name, "volume", reterr);
	if (r == 0)
		r = kv_opts_in(&o, sizeof(o), KV_SIZE_TO(struct kvol_create_opts, bytes),
			       opts, CREATE_FLAGS, "kvol_create_opts", reterr);
	if (r == 0)
		r = kv_bytes_check(name, bytes, &w.bytes, reterr);
	if (r == 0)
		r = kv_labels_check(o.labels, o.n_labels, false, name, reterr);
	if (r == 0)
		r = kv_secret_check(name, o.secret, o.secret_bytes, &w.contents.secret, reterr);
	if (r < 0)
		return r;
	if (o.bytes)
		return kv_error_invalid(
			reterr, "volume '%s': kvol_create_opts.bytes is for clones",
			name);
	w.contents.thick = o.flags & KVOL_CREATE_THICK;
	w.labels = o.labels;
	w.n_labels = o.n_labels;
	r = choose_fs(&w, o.fs_type, reterr);
	if (r == 0)
		r = choose_owner(&w, &o, reterr);
	return r < 0 ? r : create(pool, &w, reterr);
}

int kv_volume_make_ephemeral(struct kvol_pool *pool, const char *name,
			     const struct kvol_ephemeral_opts *o,
			     const struct kv_secret *secret, struct kv_made *ret,
			     struct kvol_error *e)
{
	struct wanted w = { .name = name,
			    .kind = KVOL_KIND_VOLUME,
			    .contents.secret = *secret,
			    .ephemeral = ret };
	int r;

	r = kv_bytes_check(name, o->bytes, &w.bytes, e);
	if (r == 0)
		r = choose_fs(&w, o->fs_type, e);
	return r < 0 ? r : create(pool, &w, e);
}

int kv_volume_make_template(struct kvol_pool *pool, const char *name,
			    const struct kv_fs *fs, uint64_t bytes, struct kvol_error *e)
{
	struct wanted w = { .name = name,
			    .kind = KVOL_KIND_TEMPLATE,
			    .bytes = bytes,
			    .contents.fs = fs };

	return create(pool, &w, e);
}
