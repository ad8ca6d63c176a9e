/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Labels of pools, volumes and publishes, and listings by them, on the model.
 */

#include <sys/stat.h>

#include "fixture.h"
#include "verb.h"

static const struct kvol_label three[] = { { "a", "1" },
					   { "kvol.io/b", "two words" },
					   { "c", "" } };

/* "k=v k=v" of an object; "-" where there is none. */
static const char *labels_of(struct fixture *f, const char *name)
{
	struct kvol_label_iter *iter;
	struct kvol_label label;
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	if (kvol_label_list(f->pool, name, &iter, &f->e) < 0)
		return "-";
	while (kvol_label_iter_next(iter, &label) == 1)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s", n ? " " : "",
				      label.key, label.value);
	assert_int_equal(kvol_label_iter_next(iter, &label), 0);
	kvol_label_iter_free(iter);
	return text;
}

static int set(struct fixture *f, const char *name, const char *key, const char *value)
{
	const struct kvol_label label = { key, value };

	return kvol_label_set(f->pool, name, &label, 1, &f->e);
}

static void labels_are_set_changed_and_removed(void **state)
{
	static const struct kvol_label change[] = { { "a", "2" },
						    { "c", NULL },
						    { "none", NULL },
						    { "d", "\xc3\xa4" } };
	struct fixture *f = *state;
	char value[16];

	succeeds(f, create_volume(f, "v", NULL));
	assert_string_equal(labels_of(f, "v"), "");
	succeeds(f, kvol_label_set(f->pool, "v", three, 3, &f->e));
	assert_string_equal(labels_of(f, "v"), "a=1 c= kvol.io/b=two words");
	succeeds(f, kvol_label_set(f->pool, "v", change, 4, &f->e));
	reopen_pool(f);
	assert_string_equal(labels_of(f, "v"), "a=2 d=\xc3\xa4 kvol.io/b=two words");
	assert_string_equal(labels_of(f, NULL), "");
	succeeds(f, kvol_label_get(f->pool, "v", "kvol.io/b", value, 10, &f->e));
	assert_string_equal(value, "two words");
	fails(f, kvol_label_get(f->pool, "v", "kvol.io/b", value, 9, &f->e), -ERANGE,
	      KVOL_R_INVALID);
	fails(f, kvol_label_get(f->pool, "v", "c", value, 16, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	succeeds(f, kvol_label_set(f->pool, "v", NULL, 0, &f->e));
}

static void pool_has_its_own(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, set(f, NULL, "zone", "b"));
	assert_string_equal(labels_of(f, NULL), "zone=b");
	assert_string_equal(labels_of(f, "v"), "");
	assert_int_equal(id_of(f, "v"), 0);
	succeeds(f, set(f, "v", "zone", "c"));
	assert_string_equal(labels_of(f, NULL), "zone=b");
	succeeds(f, set(f, NULL, "zone", NULL));
	assert_string_equal(labels_of(f, NULL), "");
}

static void labels_come_and_go_with_their_object(void **state)
{
	struct kvol_snapshot_opts so = { .size = sizeof(so),
					 .labels = three,
					 .n_labels = 2 };
	struct kvol_create_opts o = { .size = sizeof(o), .labels = three, .n_labels = 3 };
	struct fixture *f = *state;

	succeeds(f, kvol_create(f->pool, "v", 512 * MIB, &o, &f->e));
	assert_string_equal(labels_of(f, "v"), "a=1 c= kvol.io/b=two words");
	succeeds(f, kvol_snapshot(f->pool, "v", "s", &so, &f->e));
	assert_string_equal(labels_of(f, "s"), "a=1 kvol.io/b=two words");
	succeeds(f, kvol_snapshot(f->pool, "v", "bare", NULL, &f->e));
	assert_string_equal(labels_of(f, "bare"), "");
	succeeds(f, kvol_clone(f->pool, "s", "c", NULL, &f->e));
	assert_string_equal(labels_of(f, "c"), "");
	o.n_labels = 1;
	succeeds(f, kvol_clone(f->pool, "s", "d", &o, &f->e));
	assert_string_equal(labels_of(f, "d"), "a=1");
	/* A repeat is one, whatever has become of the labels since. */
	succeeds(f, set(f, "v", "a", NULL));
	succeeds(f, kvol_create(f->pool, "v", 512 * MIB, &o, &f->e));
	assert_string_equal(labels_of(f, "v"), "c= kvol.io/b=two words");
	succeeds(f, kvol_delete(f->pool, "v", 0, &f->e));
	assert_string_equal(labels_of(f, "v"), "-");
	assert_int_equal(query(f, "SELECT count(*) FROM label"), 3);
	succeeds(f, kvol_create(f->pool, "v", 512 * MIB, NULL, &f->e));
	assert_string_equal(labels_of(f, "v"), "");
}

static void what_is_set_already_costs_no_commit(void **state)
{
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	succeeds(f, kvol_label_set(f->pool, "v", three, 3, &f->e));
	model_fail("commit", 0, -EIO);
	succeeds(f, kvol_label_set(f->pool, "v", three, 3, &f->e));
	succeeds(f, set(f, "v", "none", NULL));
	fails(f, set(f, "v", "a", "3"), -EIO, KVOL_R_IO);
	model_forget_plans();
	assert_string_equal(labels_of(f, "v"), "a=1 c= kvol.io/b=two words");
}

static void one_bad_label_refuses_all(void **state)
{
	struct kvol_label labels[] = { { "new", "1" }, { "b", "x\n" } };
	struct kvol_create_opts o = { .size = sizeof(o), .labels = labels, .n_labels = 2 };
	struct kvol_snapshot_opts so = { .size = sizeof(so),
					 .labels = labels,
					 .n_labels = 2 };
	struct fixture *f = *state;

	succeeds(f, create_volume(f, "v", NULL));
	fails_at(f, kvol_label_set(f->pool, "v", labels, 2, &f->e), -EINVAL, KVOL_R_INVALID, 1);
	fails_at(f, kvol_create(f->pool, "w", MIB, &o, &f->e), -EINVAL, KVOL_R_INVALID, 1);
	fails_at(f, kvol_clone(f->pool, "v", "w", &o, &f->e), -EINVAL, KVOL_R_INVALID, 1);
	fails_at(f, kvol_snapshot(f->pool, "v", "w", &so, &f->e), -EINVAL, KVOL_R_INVALID, 1);
	labels[1].value = NULL; /* nothing is removed where nothing was */
	fails_at(f, kvol_create(f->pool, "w", MIB, &o, &f->e), -EINVAL, KVOL_R_INVALID, 1);
	assert_string_equal(labels_of(f, "v"), "");
	assert_false(exists(f, "w"));
}

static void bad_arguments_are_refused(void **state)
{
	struct kvol_publish_info small = { .size = 7 };
	struct kvol_publish_iter *publishes = NULL;
	struct kvol_label_iter *iter = NULL;
	struct fixture *f = *state;
	struct kvol_label label;
	char value[8];

	succeeds(f, create_volume(f, "v", NULL));
	fails(f, kvol_label_set(NULL, "v", three, 1, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_label_set(f->pool, "", three, 1, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_label_set(f->pool, "v", NULL, 1, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_label_set(f->pool, "x", three, 1, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_label_get(f->pool, "v", NULL, value, 8, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_label_get(f->pool, "v", "a b", value, 8, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_label_get(f->pool, "v", "a", NULL, 8, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	fails(f, kvol_label_get(f->pool, "x", "a", value, 8, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_label_list(f->pool, "v", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_label_list(f->pool, "x", &iter, &f->e), -ENOENT, KVOL_R_NOT_FOUND);
	fails(f, kvol_publish_list(f->pool, "v", NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	fails(f, kvol_publish_list(f->pool, "x", &publishes, &f->e), -ENOENT,
	      KVOL_R_NOT_FOUND);
	fails(f, kvol_publish_list(f->pool, "", &publishes, &f->e), -EINVAL,
	      KVOL_R_INVALID);
	assert_null(iter);
	assert_null(publishes);
	assert_int_equal(kvol_label_iter_next(NULL, &label), -EINVAL);
	assert_int_equal(kvol_publish_iter_next(NULL, &small), -EINVAL);
	succeeds(f, kvol_publish_list(f->pool, NULL, &publishes, &f->e));
	assert_int_equal(kvol_publish_iter_next(publishes, NULL), -EINVAL);
	assert_int_equal(kvol_publish_iter_next(publishes, &small), -EINVAL);
	kvol_publish_iter_free(publishes);
	kvol_label_iter_free(NULL);
	kvol_publish_iter_free(NULL);
}

static void an_object_has_so_many_and_no_more(void **state)
{
	struct kvol_label labels[KVOL_LABELS_MAX + 1];
	char keys[KVOL_LABELS_MAX + 1][8];
	struct fixture *f = *state;

	for (unsigned i = 0; i <= KVOL_LABELS_MAX; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		labels[i] = (struct kvol_label){ keys[i], "v" };
	}
	succeeds(f, create_volume(f, "v", NULL));
	fails(f, kvol_label_set(f->pool, "v", labels, KVOL_LABELS_MAX + 1, &f->e),
	      -ENOSPC, KVOL_R_LIMIT);
	succeeds(f, kvol_label_set(f->pool, "v", labels, KVOL_LABELS_MAX, &f->e));
	fails(f, set(f, "v", "another", ""), -ENOSPC, KVOL_R_LIMIT);
	succeeds(f, set(f, "v", "k0", "changed"));
	labels[1].value = NULL;
	succeeds(f, kvol_label_set(f->pool, "v", labels + 1, KVOL_LABELS_MAX, &f->e));
	assert_int_equal(query(f, "SELECT count(*) FROM label"), KVOL_LABELS_MAX);
}

/* What labels may take of the catalogue is bounded; volumes are made and deleted all the
 * same. */
static void room_in_the_catalogue_is_left_to_volumes(void **state)
{
	struct kvol_label labels[KVOL_LABELS_MAX];
	char keys[KVOL_LABELS_MAX][8], value[KVOL_LABEL_VALUE_MAX + 1], name[16];
	struct kvol_create_opts o = { .size = sizeof(o), .labels = labels };
	struct fixture *f = *state;
	int r = 0, n;

	memset(value, 'v', KVOL_LABEL_VALUE_MAX);
	value[KVOL_LABEL_VALUE_MAX] = '\0';
	for (unsigned i = 0; i < KVOL_LABELS_MAX; i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		labels[i] = (struct kvol_label){ keys[i], value };
	}
	for (n = 0; n < 200 && r == 0; n++) {
		(void)snprintf(name, sizeof(name), "v%d", n);
		succeeds(f, kvol_create(f->pool, name, MIB, NULL, &f->e));
		r = kvol_label_set(f->pool, name, labels, KVOL_LABELS_MAX, &f->e);
	}
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(f->e.reason, KVOL_R_LIMIT);
	assert_in_range(n, 20, 150);
	o.n_labels = KVOL_LABELS_MAX;
	fails(f, kvol_create(f->pool, "more", MIB, &o, &f->e), -ENOSPC, KVOL_R_LIMIT);
	assert_false(exists(f, "more"));
	succeeds(f, kvol_create(f->pool, "more", MIB, NULL, &f->e));
	labels[0].value = NULL;
	succeeds(f, kvol_label_set(f->pool, "v0", labels, 1, &f->e));
	succeeds(f, kvol_delete(f->pool, "v1", 0, &f->e));
	succeeds(f, set(f, "more", "k", "v"));
}

/* --- Listings --------------------------------------------------------------------- */

/* Strings that are gone after the call. */
static const char *lend(char room[32], const char *s)
{
	return s ? strcpy(room, s) : NULL;
}

static struct kvol_iter *list_with_lent_strings(struct fixture *f,
						const struct kvol_list_opts *o)
{
	struct kvol_list_opts lent = *o;
	struct kvol_iter *iter = NULL;
	char room[4][32];

	lent.label_key = lend(room[0], o->label_key);
	lent.label_value = lend(room[1], o->label_value);
	lent.source = lend(room[2], o->source);
	lent.after = lend(room[3], o->after);
	succeeds(f, kvol_list_filtered(f->pool, &lent, &iter, &f->e));
	memset(room, 'x', sizeof(room));
	return iter;
}

static const char *filtered(struct fixture *f, const struct kvol_list_opts *o)
{
	struct kvol_info info = { .size = sizeof(info) };
	static char text[1024];
	struct kvol_iter *iter;
	size_t n = 0;
	int r;

	text[0] = '\0';
	if (o)
		iter = list_with_lent_strings(f, o);
	else
		succeeds(f, kvol_list_filtered(f->pool, NULL, &iter, &f->e));
	while ((r = kvol_iter_next(iter, &info)) == 1)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "",
				      info.name);
	assert_int_equal(r, 0);
	kvol_iter_free(iter);
	return text;
}

static void five_of_them(struct fixture *f)
{
	succeeds(f, create_volume(f, "a", NULL));
	succeeds(f, create_volume(f, "b", NULL));
	succeeds(f, kvol_snapshot(f->pool, "a", "a1", NULL, &f->e));
	succeeds(f, kvol_snapshot(f->pool, "b", "b1", NULL, &f->e));
	succeeds(f, kvol_clone(f->pool, "a1", "c", NULL, &f->e));
	succeeds(f, set(f, "a", "tier", "gold"));
	succeeds(f, set(f, "a1", "tier", ""));
	succeeds(f, set(f, "c", "tier", "gold"));
	succeeds(f, set(f, "b", "tier/x", "gold"));
}

static void listing_is_of_what_was_asked_for(void **state)
{
	struct kvol_list_opts o = { .size = sizeof(o) };
	struct fixture *f = *state;

	five_of_them(f);
	assert_string_equal(filtered(f, NULL), "a a1 b b1 c");
	assert_string_equal(filtered(f, &o), "a a1 b b1 c");
	o.label_key = "tier";
	assert_string_equal(filtered(f, &o), "a a1 c");
	o.label_value = "gold";
	assert_string_equal(filtered(f, &o), "a c");
	o.label_value = "";
	assert_string_equal(filtered(f, &o), "a1");
	o.label_value = NULL;
	o.flags = KVOL_LIST_SNAPSHOTS;
	assert_string_equal(filtered(f, &o), "a1");
	o.label_key = NULL;
	o.source = "b";
	assert_string_equal(filtered(f, &o), "b1");
	o.source = "nobody";
	assert_string_equal(filtered(f, &o), "");
	o = (struct kvol_list_opts){ .size = sizeof(o), .source = "a1" };
	assert_string_equal(filtered(f, &o), "c");
}

static void pages_are_together_the_whole(void **state)
{
	struct kvol_list_opts o = { .size = sizeof(o), .limit = 2 };
	struct fixture *f = *state;

	five_of_them(f);
	assert_string_equal(filtered(f, &o), "a a1");
	o.after = "a1";
	assert_string_equal(filtered(f, &o), "b b1");
	succeeds(f, kvol_delete(f->pool, "b1", 0, &f->e));
	o.after = "b1"; /* is no more */
	assert_string_equal(filtered(f, &o), "c");
	o.after = "c";
	assert_string_equal(filtered(f, &o), "");
	o.after = NULL;
	o.limit = UINT64_MAX;
	assert_string_equal(filtered(f, &o), "a a1 b c");
}

static void bad_filters_are_refused(void **state)
{
	struct kvol_list_opts o = { .size = sizeof(o) - 1 };
	struct kvol_iter *iter = NULL;
	struct fixture *f = *state;

	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o), .flags = 8 };
	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o), .label_key = "a b" };
	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o), .label_value = "v" };
	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o),
				     .label_key = "k",
				     .label_value = "\n" };
	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o), .source = "a/b" };
	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o), .after = "a\nb" };
	fails(f, kvol_list_filtered(f->pool, &o, &iter, &f->e), -EINVAL, KVOL_R_INVALID);
	o = (struct kvol_list_opts){ .size = sizeof(o) };
	fails(f, kvol_list_filtered(f->pool, &o, NULL, &f->e), -EINVAL, KVOL_R_INVALID);
	assert_null(iter);
}

/* --- Publishes -------------------------------------------------------------------- */

static void publishes_are_told_with_their_labels(void **state)
{
	struct kvol_publish_opts o = { .size = sizeof(o), .labels = three, .n_labels = 2 };
	struct kvol_publish_info info = { .size = sizeof(info) };
	struct kvol_publish_iter *iter;
	struct fixture *f = *state;

	model_file("/t", S_IFDIR);
	model_file("/u", S_IFDIR);
	model_file("/f", S_IFREG);
	model_ns_start("/proc/7/ns/mnt");
	succeeds(f, create_volume(f, "w", "ext4"));
	succeeds(f, create_volume(f, "v", "ext4"));
	succeeds(f, publish(f, "w", "/u", KVOL_PUBLISH_READONLY, NULL, NULL));
	succeeds(f, kvol_publish(f->pool, "v", "/t", &o, &f->e));
	o.n_labels = 0; /* a repeat leaves them */
	succeeds(f, kvol_publish(f->pool, "v", "/t", &o, &f->e));
	succeeds(f, publish(f, "v", "/u", 0, NULL, "/proc/7/ns/mnt"));
	succeeds(f, kvol_publish_list(f->pool, NULL, &iter, &f->e));
	assert_int_equal(kvol_publish_iter_next(iter, &info), 1);
	assert_string_equal(info.volume, "v");
	assert_string_equal(info.target, "/t");
	assert_string_equal(info.mount_namespace, "");
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.n_labels, 2);
	assert_string_equal(info.labels[1].key, "kvol.io/b");
	assert_string_equal(info.labels[1].value, "two words");
	assert_int_equal(kvol_publish_iter_next(iter, &info), 1);
	assert_string_equal(info.target, "/u");
	assert_string_equal(info.mount_namespace, "/proc/7/ns/mnt");
	assert_int_equal(info.n_labels, 0);
	assert_int_equal(kvol_publish_iter_next(iter, &info), 1);
	assert_string_equal(info.volume, "w");
	assert_int_equal(info.flags, KVOL_PUBLISH_READONLY);
	/* It has been read: nothing changes it. */
	succeeds(f, unpublish(f, "v", "/t", NULL));
	assert_int_equal(kvol_publish_iter_next(iter, &info), 0);
	assert_string_equal(info.volume, "w");
	kvol_publish_iter_free(iter);
	succeeds(f, kvol_publish_list(f->pool, "v", &iter, &f->e));
	assert_int_equal(kvol_publish_iter_next(iter, &info), 1);
	assert_string_equal(info.target, "/u");
	assert_int_equal(kvol_publish_iter_next(iter, &info), 0);
	kvol_publish_iter_free(iter);
}

static void labels_of_a_publish_are_checked(void **state)
{
	char value[KVOL_LABEL_VALUE_MAX + 1];
	struct kvol_label labels[] = { { "a", value }, { "b", value }, { "c", "\n" } };
	struct kvol_publish_opts o = { .size = sizeof(o), .labels = labels, .n_labels = 3 };
	struct fixture *f = *state;

	memset(value, 'v', KVOL_LABEL_VALUE_MAX);
	value[KVOL_LABEL_VALUE_MAX] = '\0';
	model_file("/t", S_IFDIR);
	succeeds(f, create_volume(f, "v", "ext4"));
	fails_at(f, kvol_publish(f->pool, "v", "/t", &o, &f->e), -EINVAL, KVOL_R_INVALID,
		 2);
	o.n_labels = 2;
	fails_at(f, kvol_publish(f->pool, "v", "/t", &o, &f->e), -ENOSPC, KVOL_R_LIMIT,
		 1);
	assert_int_equal(info_of(f, "v").n_targets, 0);
	value[KVOL_LABEL_VALUE_MAX - 6] = '\0'; /* exactly as many bytes as there may be */
	labels[1].key = "bb";
	succeeds(f, kvol_publish(f->pool, "v", "/t", &o, &f->e));
}

static void damaged_labels_are_not_told(void **state)
{
	static const char *const bad[] = {
		"INSERT INTO label VALUES (0, 'a b', 'v')",
		"INSERT INTO label VALUES (0, 'k', x'0a')",
		"INSERT INTO label VALUES (0, 'k', 'a' || char(10))",
		"INSERT INTO label VALUES (0, '', '1')",
		"INSERT INTO label VALUES (0, x'6b', '1')",
	};
	struct kvol_label_iter *iter = NULL;
	struct fixture *f = *state;
	struct model_saved *saved;

	succeeds(f, create_volume(f, "v", NULL));
	close_pool(f);
	saved = model_save();
	for (size_t i = 0; i < KV_ARRAY_SIZE(bad); i++) {
		doctor(f, bad[i]);
		open_pool(f);
		fails(f, kvol_label_list(f->pool, "v", &iter, &f->e), -EUCLEAN,
		      KVOL_R_CORRUPT);
		close_pool(f);
		model_restore(saved);
	}
	open_pool(f);
	model_saved_free(saved);
	assert_null(iter);
}

#define on_pool(test) cmocka_unit_test_setup_teardown(test, setup_pool, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pool(labels_are_set_changed_and_removed),
		on_pool(pool_has_its_own),
		on_pool(labels_come_and_go_with_their_object),
		on_pool(what_is_set_already_costs_no_commit),
		on_pool(one_bad_label_refuses_all),
		on_pool(bad_arguments_are_refused),
		on_pool(an_object_has_so_many_and_no_more),
		on_pool(room_in_the_catalogue_is_left_to_volumes),
		on_pool(listing_is_of_what_was_asked_for),
		on_pool(pages_are_together_the_whole),
		on_pool(bad_filters_are_refused),
		on_pool(publishes_are_told_with_their_labels),
		on_pool(labels_of_a_publish_are_checked),
		on_pool(damaged_labels_are_not_told),
	};

	return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
