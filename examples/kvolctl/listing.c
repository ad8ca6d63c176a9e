/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a command lists: JSON item by item, or a table, which needs all items first for its
 * widths. A list that breaks off ends in a failure: its JSON array is left open, so that
 * no reader can take it for the whole, and there is no table.
 */

#include <stdio.h>

#include "kvolctl.h"

static int print_json(const struct listing *l, void *iter, void *info)
{
	int r;

	json_open('[');
	while ((r = l->next(iter, info)) > 0 && !ferror(stdout)) {
		json_line();
		l->print_json(info);
	}
	if (r == 0) {
		fputs("\n", stdout);
		json_close(']');
	}
	putchar('\n');
	return r < 0 ? r : 0;
}

static int print_table(const struct listing *l, void *iter, void *info)
{
	struct table table = { .columns = l->columns, .n_columns = l->n_columns };
	int added = 0, r = 0;

	while (added == 0 && (r = l->next(iter, info)) > 0)
		added = l->add_row(&table, info);
	r = added < 0 ? added : r;
	if (r == 0)
		table_print(&table);
	table_free(&table);
	return r;
}

int print_listing(const struct invocation *inv, const struct listing *l, void *iter,
		  void *info)
{
	return inv->options[OPTION_JSON] ? print_json(l, iter, info)
					 : print_table(l, iter, info);
}
