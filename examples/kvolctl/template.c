/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * template make, list, delete: what formatted volumes are cloned of. One command, whose
 * first operand says what is done; the table below knows what else each takes.
 */

#include <stdio.h>
#include <string.h>

#include "kvolctl.h"

static int make(struct invocation *inv)
{
	struct kvol_error error;
	uint64_t bytes;
	int code = operand_size(inv, 2, &bytes);

	if (code == DONE)
		code = open_pool(inv);
	if (code == DONE &&
	    kvol_template_make(inv->pool, inv->operands[1], bytes, &error) < 0)
		code = fail(&error);
	return code;
}

static int list(struct invocation *inv)
{
	struct kvol_list_opts opts = { .size = sizeof(opts),
				       .flags = KVOL_LIST_TEMPLATES };

	return print_list(inv, &opts);
}

static int delete(struct invocation *inv)
{
	const char *fs_type = inv->n_operands > 1 ? inv->operands[1] : NULL;
	struct kvol_error error;
	uint64_t bytes = 0;
	int code = inv->n_operands > 2 ? operand_size(inv, 2, &bytes) : DONE;

	if (code == DONE)
		code = open_pool(inv);
	if (code == DONE && kvol_template_delete(inv->pool, fs_type, bytes, &error) < 0)
		code = fail(&error);
	return code;
}

static const struct {
	const char *word;
	const char *operands;
	unsigned min_operands, max_operands;
	bool json;
	int (*run)(struct invocation *inv);
} actions[] = {
	{ "make", "FS SIZE", 3, 3, false, make },
	{ "list", "", 1, 1, true, list },
	{ "delete", "[FS [SIZE]]", 1, 3, false, delete },
};

#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

int run_template(struct invocation *inv)
{
	const char *word = inv->operands[0];
	size_t i = 0;

	while (i < N_ACTIONS && strcmp(actions[i].word, word) != 0)
		i++;
	if (i == N_ACTIONS)
		return usage_error(inv, "template: not make, list or delete: %s", word);
	if (inv->n_operands < actions[i].min_operands)
		return usage_error(inv, "template %s needs %s", word,
				   actions[i].operands);
	if (inv->n_operands > actions[i].max_operands)
		return usage_error(inv, "template %s: one argument too many: %s", word,
				   inv->operands[actions[i].max_operands]);
	if (inv->options[OPTION_JSON] && !actions[i].json)
		return usage_error(inv, "template %s takes no option --json", word);
	return actions[i].run(inv);
}
