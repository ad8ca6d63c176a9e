/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * label, label-pool, labels, publishes; --label. KEY=VALUE sets a label, KEY- removes one: a key
 * ends in a letter or digit, so neither can be mistaken. What a key may be is the
 * library's to say.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvolctl.h"

int split_label(char *word, struct kvol_label *ret)
{
	char *equals = strchr(word, '=');
	size_t n = strlen(word);

	ret->key = word;
	ret->value = NULL;
	if (equals) {
		*equals = '\0';
		ret->value = equals + 1;
		return 0;
	}
	if (n < 2 || word[n - 1] != '-')
		return -EINVAL;
	word[n - 1] = '\0';
	return 0;
}

int option_labels(const struct invocation *inv, struct labels *ret)
{
	ret->n = 0;
	for (unsigned i = 0; i < inv->n_labels; i++) {
		ret->words[i] = strdup(inv->labels[i]);
		if (!ret->words[i])
			return fail_errno(-ENOMEM, "label");
		ret->n++;
		if (!strchr(ret->words[i], '='))
			return usage_error(inv, "%s: not KEY=VALUE: %s",
					   inv->command->name, ret->words[i]);
		(void)split_label(ret->words[i], &ret->items[i]);
	}
	return DONE;
}

void labels_free(struct labels *labels)
{
	for (unsigned i = 0; i < labels->n; i++)
		free(labels->words[i]);
}

static int set_labels(struct invocation *inv, const char *name, unsigned from)
{
	struct kvol_label labels[MAX_OPERANDS];
	char *words[MAX_OPERANDS] = { NULL };
	unsigned n = inv->n_operands - from;
	struct kvol_error error;
	int code = DONE;

	for (unsigned i = 0; i < n && code == DONE; i++) {
		words[i] = strdup(inv->operands[from + i]);
		if (!words[i])
			code = fail_errno(-ENOMEM, "label");
		else if (split_label(words[i], &labels[i]) < 0)
			code = usage_error(inv, "neither KEY=VALUE nor KEY-: %s",
					   inv->operands[from + i]);
	}
	if (code == DONE)
		code = open_pool(inv);
	if (code == DONE && kvol_label_set(inv->pool, name, labels, n, &error) < 0)
		code = fail(&error);
	for (unsigned i = 0; i < n; i++)
		free(words[i]);
	return code;
}

int run_label(struct invocation *inv)
{
	return set_labels(inv, inv->operands[0], 1);
}

int run_label_pool(struct invocation *inv)
{
	return set_labels(inv, NULL, 0);
}

int run_labels(struct invocation *inv)
{
	const char *name = inv->n_operands ? inv->operands[0] : NULL;
	struct kvol_label_iter *iter;
	struct kvol_error error;
	struct kvol_label label;
	int code = open_pool(inv);

	if (code)
		return code;
	if (kvol_label_list(inv->pool, name, &iter, &error) < 0)
		return fail(&error);
	if (inv->options[OPTION_JSON])
		json_open('{');
	while (kvol_label_iter_next(iter, &label) > 0) {
		if (inv->options[OPTION_JSON])
			json_pair_string(label.key, label.value);
		else
			printf("%s=%s\n", label.key, label.value);
	}
	if (inv->options[OPTION_JSON]) {
		json_close('}');
		putchar('\n');
	}
	kvol_label_iter_free(iter);
	return DONE;
}

static void print_publish_json(const void *item)
{
	const struct kvol_publish_info *info = item;

	json_open('{');
	json_pair_number("flags", info->flags);
	json_pair_string("volume", info->volume);
	json_pair_string("target", info->target);
	json_pair_string("mount_namespace", info->mount_namespace);
	json_key("labels");
	json_open('{');
	for (uint64_t i = 0; i < info->n_labels; i++)
		json_pair_string(info->labels[i].key, info->labels[i].value);
	json_close('}');
	json_pair_number("dev_major", info->dev_major);
	json_pair_number("dev_minor", info->dev_minor);
	json_close('}');
}

static const struct column publish_columns[] = {
	{ "VOLUME", false }, { "TARGET", false }, { "MODE", false }, { "DEVICE", false },
	{ "NAMESPACE", false }
};

#define N_PUBLISH_COLUMNS (sizeof(publish_columns) / sizeof(publish_columns[0]))

static int add_publish(struct table *table, const void *item)
{
	const struct kvol_publish_info *info = item;
	const char *mode[] = { "rw", "ro", "rw,block", "ro,block" };
	char device[DEVICE_TEXT];
	const char *cells[N_PUBLISH_COLUMNS] = {
		info->volume,
		info->target,
		mode[(info->flags & KVOL_PUBLISH_BLOCK ? 2 : 0) +
		     (info->flags & KVOL_PUBLISH_READONLY ? 1 : 0)],
		format_device(info->dev_major, info->dev_minor, device),
		info->mount_namespace,
	};

	return table_add_row(table, cells);
}

static int next_publish(void *iter, void *info)
{
	((struct kvol_publish_info *)info)->size = sizeof(struct kvol_publish_info);
	return kvol_publish_iter_next(iter, info);
}

static const struct listing publishes = { next_publish, print_publish_json, add_publish,
					  publish_columns, N_PUBLISH_COLUMNS };

int run_publishes(struct invocation *inv)
{
	const char *name = inv->n_operands ? inv->operands[0] : NULL;
	struct kvol_publish_iter *iter;
	struct kvol_publish_info info;
	struct kvol_error error;
	int code = open_pool(inv);
	int r;

	if (code)
		return code;
	if (kvol_publish_list(inv->pool, name, &iter, &error) < 0)
		return fail(&error);
	r = print_listing(inv, &publishes, iter, &info);
	kvol_publish_iter_free(iter);
	return r < 0 ? fail_errno(r, "publishes") : DONE;
}
