/* table.c - keeps cells as text, remembers the widest of each column, prints them aligned. */
#include "base/table.h"

#include "base/term.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

enum { GAP = 2 }; /* columns of space between cells */

enum weight { PLAIN, BOLD };

void ew_table_init(struct ew_table *table, const struct ew_table_column *columns, size_t count)
{
    EW_ASSERT(count > 0 && count <= EW_TABLE_COLUMNS_MAX);
    *table = (struct ew_table){.columns = columns, .column_count = count};
    ew_buf_init(&table->cells, EW_TABLE_BYTES_MAX);
    for (size_t i = 0; i < count; i++)
        table->width[i] = ew_term_width(columns[i].name, strlen(columns[i].name));
}

void ew_table_fini(struct ew_table *table)
{
    ew_buf_fini(&table->cells);
}

void ew_table_cell(struct ew_table *table, const char *format, ...)
{
    if (table->err.code)
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (ew_buf_add(&table->cells, text, strlen(text) + 1, &table->err))
        return;
    int width = ew_term_width(text, strlen(text));
    int *widest = &table->width[table->cell_count++ % table->column_count];
    if (width > *widest)
        *widest = width;
}

void ew_table_number(struct ew_table *table, double value, int decimals)
{
    if (isnan(value))
        ew_table_cell(table, "unknown");
    else
        ew_table_cell(table, "%.*f", decimals, value);
}

static int put_cell(const struct ew_table *table, size_t column, const char *text,
                    struct ew_buf *out, struct ew_err *err)
{
    int room = table->width[column] - ew_term_width(text, strlen(text));
    bool last = column + 1 == table->column_count;
    bool right = table->columns[column].side == EW_TABLE_RIGHT;
    return ew_buf_printf(out, err, "%*s%s%*s", right ? room : 0, "", text,
                         last ? 0 : (right ? 0 : room) + GAP, "");
}

static int format_table(const struct ew_table *table, enum weight heading, struct ew_buf *out,
                        struct ew_err *err)
{
    EW_ASSERT(table->err.code || table->cell_count % table->column_count == 0);
    if (table->err.code) {
        if (err)
            *err = table->err;
        return table->err.code;
    }
    int rc = heading == BOLD ? ew_buf_text(out, "\033[1m", err) : 0;
    for (size_t i = 0; i < table->column_count && !rc; i++)
        rc = put_cell(table, i, table->columns[i].name, out, err);
    if (!rc)
        rc = ew_buf_text(out, heading == BOLD ? "\033[0m\n" : "\n", err);
    const char *cell = table->cells.data;
    for (size_t i = 0; i < table->cell_count && !rc; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->column_count;
        rc = put_cell(table, column, cell, out, err);
        if (!rc && column + 1 == table->column_count)
            rc = ew_buf_text(out, "\n", err);
    }
    return rc;
}

int ew_table_format(const struct ew_table *table, struct ew_buf *out, struct ew_err *err)
{
    return format_table(table, PLAIN, out, err);
}

int ew_table_print(const struct ew_table *table, FILE *out, struct ew_err *err)
{
    struct ew_buf text;
    /* Padding multiplies: a wide cell widens its whole column. */
    ew_buf_init(&text, (size_t)EW_TABLE_BYTES_MAX * 16);
    int rc = format_table(table, ew_term_colors(fileno(out)) ? BOLD : PLAIN, &text, err);
    if (!rc && fwrite(text.data, 1, text.bytes, out) != text.bytes)
        rc = ew_fail(err, EW_EIO, "can't print a table");
    ew_buf_fini(&text);
    return rc;
}
