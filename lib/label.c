// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What labels are allowed, and sets of them.
 *
 * Keys are those of Kubernetes, so that a driver can hand on what it was given, and so
 * that a key is a word on a command line and in a file. Values are for people and
 * programs to make sense of; they are lines of UTF-8, as names are, and survive any tool.
 *
 * A set is kept as text, one string after the other: that is also how it stands in the
 * record of a publish. Text comes from files that somebody else may have written, so
 * nothing is taken from it before all of it has been found to be valid.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "label.h"

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Of letters, digits and others. */
static bool consists_of(const char *s, size_t n, const char *others)
{
	for (size_t i = 0; i < n; i++)
		if (!s[i] || (!is_alphanumeric(s[i]) && !strchr(others, s[i])))
			return false;
	return true;
}

bool kv_label_key_valid(const char *key)
{
	const char *slash;
	size_t n;

	if (kv_str_empty(key) || strnlen(key, KVOL_LABEL_KEY_MAX + 1) > KVOL_LABEL_KEY_MAX)
		return false;
	slash = strchr(key, '/');
	if (slash) {
		n = (size_t)(slash - key);
		if (!n || n > KV_LABEL_PREFIX_MAX || !consists_of(key, n, ".-"))
			return false;
		key = slash + 1;
	}
	n = strlen(key);
	return n && n <= KV_LABEL_NAME_MAX && consists_of(key, n, "._-") &&
	       is_alphanumeric(key[0]) && is_alphanumeric(key[n - 1]);
}

bool kv_label_value_valid(const char *value)
{
	size_t n = strnlen(value, KVOL_LABEL_VALUE_MAX + 1), len;
	uint32_t c;

	if (n > KVOL_LABEL_VALUE_MAX)
		return false;
	for (; n; value += len, n -= len) {
		len = kv_utf8_char(value, n, &c);
		if (!len || kv_control_char(c))
			return false;
	}
	return true;
}

/* What is wrong with the label at `i`, or NULL. */
static const char *fault(const struct kvol_label *labels, uint64_t i, bool removes)
{
	if (!labels[i].key)
		return "its key is NULL";
	if (!kv_label_key_valid(labels[i].key))
		return "a key is [PREFIX/]NAME, of letters, digits, '.', '_' and '-'";
	if (!labels[i].value)
		return removes ? NULL : "its value is NULL";
	if (!kv_label_value_valid(labels[i].value))
		return "a value is at most 4096 bytes of UTF-8 without control "
		       "characters";
	return NULL;
}

static bool is_earlier(const struct kvol_label *labels, uint64_t i)
{
	for (uint64_t j = 0; j < i; j++)
		if (!strcmp(labels[j].key, labels[i].key))
			return true;
	return false;
}

int kv_labels_check(const struct kvol_label *labels, uint64_t n, bool removes,
		    const char *what, struct kvol_error *e)
{
	const char *why;

	if (n && !labels)
		return kv_error_invalid(e, "'%.64s': its labels are NULL", what);
	if (n > KVOL_LABELS_MAX)
		return kv_error(e, -ENOSPC, KVOL_R_LIMIT,
				"'%.64s': more than %u labels at once", what,
				KVOL_LABELS_MAX);
	for (uint64_t i = 0; i < n; i++) {
		why = fault(labels, i, removes);
		if (!why && is_earlier(labels, i))
			why = "its key was there before";
		if (!why)
			continue;
		(void)kv_error_invalid(e, "'%.64s': label '%.64s': %s", what,
				       labels[i].key ? labels[i].key : "", why);
		if (e)
			e->index = (uint32_t)i;
		return -EINVAL;
	}
	return 0;
}

int kv_labels_add(struct kv_labels *set, const char *key, const char *value)
{
	size_t key_size = strlen(key) + 1, value_size = strlen(value) + 1;
	char *text = realloc(set->text, set->size + key_size + value_size);

	if (!text)
		return -ENOMEM;
	memcpy(text + set->size, key, key_size);
	memcpy(text + set->size + key_size, value, value_size);
	set->text = text;
	set->size += key_size + value_size;
	set->n++;
	return 0;
}

/* The string at *at, or NULL: it does not end. */
static const char *next_string(const struct kv_labels *set, size_t *at)
{
	const char *s, *nul;

	if (*at >= set->size)
		return NULL;
	s = set->text + *at;
	nul = memchr(s, 0, set->size - *at);
	if (!nul)
		return NULL;
	*at += (size_t)(nul - s) + 1;
	return s;
}

static uint64_t count_strings(const struct kv_labels *set)
{
	uint64_t n = 0;

	for (size_t at = 0; next_string(set, &at);)
		n++;
	return n;
}

int kv_labels_finish(struct kv_labels *set)
{
	uint64_t n = count_strings(set);
	struct kvol_label *of;
	size_t at = 0;

	if (n % 2 || n / 2 > KVOL_LABELS_MAX || (set->size && set->text[set->size - 1]))
		return -EUCLEAN;
	if (!n)
		return 0;
	of = calloc(n / 2, sizeof(*of));
	if (!of)
		return -ENOMEM;
	for (uint64_t i = 0; i < n / 2; i++) {
		of[i].key = next_string(set, &at);
		of[i].value = next_string(set, &at);
	}
	if (kv_labels_check(of, n / 2, false, "", NULL) < 0) {
		free(of);
		return -EUCLEAN;
	}
	free(set->of);
	set->of = of;
	set->n = n / 2;
	return 0;
}

void kv_labels_clear(struct kv_labels *set)
{
	free(set->text);
	free(set->of);
	memset(set, 0, sizeof(*set));
}
