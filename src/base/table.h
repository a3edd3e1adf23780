/* table.h - a table of text for people: columns as wide as their widest cell, numbers to the right.
 *
 *     struct ew_table table;
 *     const struct ew_table_column columns[] = {{"model", EW_TABLE_LEFT},
 *                                               {"tokens/s", EW_TABLE_RIGHT}};
 *     ew_table_init(&table, columns, 2);
 *     ew_table_cell(&table, "%s", name);
 *     ew_table_number(&table, tokens_per_s, 1);
 *     rc = ew_table_print(&table, stdout, err);
 *     ew_table_fini(&table);
 *
 * Cells come row by row; a failure (too much text) sticks and is told at the end. Headings are bold
 * where the stream is a terminal that may be coloured. For programs there is --json instead. */
#ifndef EW_TABLE_H
#define EW_TABLE_H

#include "base/buf.h"

#include <stdio.h>

#define EW_TABLE_COLUMNS_MAX 24         /* more doesn't fit on a screen */
#define EW_TABLE_BYTES_MAX   (4u << 20) /* of all cells; nobody reads a longer table */

enum ew_table_side { EW_TABLE_LEFT, EW_TABLE_RIGHT };

struct ew_table_column {
    const char *name;
    enum ew_table_side side;
};

struct ew_table {
    const struct ew_table_column *columns; /* borrowed */
    size_t column_count, cell_count;
    struct ew_buf cells; /* each ends with NUL */
    int width[EW_TABLE_COLUMNS_MAX];
    struct ew_err err;
};

void ew_table_init(struct ew_table *table, const struct ew_table_column *columns, size_t count);
void ew_table_fini(struct ew_table *table);
void ew_table_cell(struct ew_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Fixed decimals; NAN is "unknown". */
void ew_table_number(struct ew_table *table, double value, int decimals);
/* Lines as they are printed, without colours. */
int ew_table_format(const struct ew_table *table, struct ew_buf *out, struct ew_err *err);
int ew_table_print(const struct ew_table *table, FILE *out, struct ew_err *err);

#endif
