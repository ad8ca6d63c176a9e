/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Aligned columns for people. Widths are counted in cells of the screen, not in bytes: a
 * name is UTF-8. The last column is not padded, so that no line ends in blanks.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "kvolctl.h"

#define GAP 2

size_t text_width(const char *text)
{
	size_t left = strlen(text), width = 0;
	mbstate_t state;

	memset(&state, 0, sizeof(state));
	while (left > 0) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);
		int w = 1;

		if (n == 0 || n > left) { /* no character: a byte takes one cell */
			memset(&state, 0, sizeof(state));
			n = 1;
		} else {
			w = wcwidth(c);
		}
		width += w > 0 ? (size_t)w : 0;
		text += n;
		left -= n;
	}
	return width;
}

static int add_cell(struct table *table, const char *cell)
{
	if (table->n_cells == table->n_allocated) {
		size_t n = table->n_allocated ? 2 * table->n_allocated : 64;
		char **cells = reallocarray(table->cells, n, sizeof(*cells));

		if (!cells)
			return -ENOMEM;
		table->cells = cells;
		table->n_allocated = n;
	}
	table->cells[table->n_cells] = strdup(*cell ? cell : "-");
	if (!table->cells[table->n_cells])
		return -ENOMEM;
	table->n_cells++;
	return 0;
}

int table_add_row(struct table *table, const char *const *cells)
{
	int r = 0;

	for (size_t i = 0; i < table->n_columns && r == 0; i++)
		r = add_cell(table, cells[i]);
	return r;
}

static size_t column_width(const struct table *table, size_t column)
{
	size_t width = text_width(table->columns[column].title);

	for (size_t i = column; i < table->n_cells; i += table->n_columns) {
		size_t w = text_width(table->cells[i]);

		if (w > width)
			width = w;
	}
	return width;
}

static void print_cell(const struct table *table, const size_t *widths, size_t column,
		       const char *text)
{
	bool last = column == table->n_columns - 1;
	int blanks = (int)(widths[column] - text_width(text));

	if (table->columns[column].right)
		printf("%*s%s", blanks, "", text);
	else
		printf("%s%*s", text, last ? 0 : blanks, "");
	if (last)
		putchar('\n');
	else
		printf("%*s", GAP, "");
}

void table_print(const struct table *table)
{
	size_t widths[16];

	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = column_width(table, i);
	for (size_t i = 0; i < table->n_columns; i++)
		print_cell(table, widths, i, table->columns[i].title);
	for (size_t i = 0; i < table->n_cells; i++)
		print_cell(table, widths, i % table->n_columns, table->cells[i]);
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->n_cells = table->n_allocated = 0;
}
