/* price.c - reads the price table: a CSV without quotes, # comments, one header line. */
#include "flow/price.h"

#include "base/args.h"
#include "base/file.h"
#include "flow/data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 20000 /* decades of prices */
enum { FIELDS = 10 };
/* Above any price per million tokens or per request ever asked; catches a wrong unit. */
#define USD_MAX 10000.0

static const char HEADER[] =
    "provider,model,input,cached_input,output,request_fee,from,to,source,as_of";

struct ew_price_table {
    struct ew_price *rows;
    size_t count;
};

static bool copy(struct ew_str field, char *out, size_t size)
{
    if (field.bytes >= size)
        return false;
    memcpy(out, field.data, field.bytes);
    out[field.bytes] = '\0';
    return true;
}

/* An empty field is `none`. */
static bool number(struct ew_str field, double none, double *out)
{
    char text[32], *end;
    if (field.bytes == 0) {
        *out = none;
        return true;
    }
    if (!copy(field, text, sizeof text) || strspn(text, "0123456789.") != field.bytes)
        return false;
    *out = strtod(text, &end);
    return *end == '\0' && *out <= USD_MAX;
}

static bool date(struct ew_str field, char out[11])
{
    if (field.bytes == 0) {
        out[0] = '\0';
        return true;
    }
    if (field.bytes != 10 || !copy(field, out, 11) || out[4] != '-' || out[7] != '-')
        return false;
    return strspn(out, "0123456789") == 4 && strspn(out + 5, "0123456789") == 2 &&
           strspn(out + 8, "0123456789") == 2;
}

/* NULL or what is wrong with the row. */
static const char *read_row(struct ew_str line, struct ew_price *row)
{
    struct ew_str fields[FIELDS] = {{line.data, 0}};
    size_t count = 1;
    for (size_t i = 0; i < line.bytes; i++) {
        if (line.data[i] == '"')
            return "quotes aren't understood here";
        if (line.data[i] == ',' && count == FIELDS)
            return "more than 10 fields";
        if (line.data[i] == ',')
            fields[count++] = (struct ew_str){line.data + i + 1, 0};
        else
            fields[count - 1].bytes++;
    }
    if (count != FIELDS)
        return "fewer than 10 fields";
    if (!fields[0].bytes || !copy(fields[0], row->provider, sizeof row->provider) ||
        !fields[1].bytes || !copy(fields[1], row->model, sizeof row->model))
        return "provider or model is empty or too long";
    if (!number(fields[2], NAN, &row->input) || isnan(row->input) ||
        !number(fields[4], NAN, &row->output) || isnan(row->output))
        return "input and output are dollars per million tokens, 0 to 10000";
    if (!number(fields[3], NAN, &row->cached_input) || !number(fields[5], 0, &row->request_fee))
        return "cached_input and request_fee are empty or dollars, 0 to 10000";
    if (!date(fields[6], row->from) || !date(fields[7], row->to) || !date(fields[9], row->as_of))
        return "a date is YYYY-MM-DD";
    if (!fields[8].bytes || !copy(fields[8], row->source, sizeof row->source) || !row->as_of[0])
        return "source and as_of say where the price was read and when";
    return row->to[0] && strcmp(row->from, row->to) >= 0 ? "it ends before it begins" : NULL;
}

static int add_row(struct ew_price_table *table, struct ew_str line, const char *file,
                   size_t number_of_line, struct ew_err *err)
{
    if (table->count == ROWS_MAX)
        return ew_fail(err, EW_ELIMIT, "%s: more than %d prices", file, ROWS_MAX);
    if (table->count % 64 == 0) {
        struct ew_price *rows = realloc(table->rows, (table->count + 64) * sizeof *rows);
        if (!rows)
            return ew_fail(err, EW_ENOMEM, "no memory for the price table");
        table->rows = rows;
    }
    struct ew_price *row = &table->rows[table->count];
    *row = (struct ew_price){0};
    const char *fault = read_row(line, row);
    if (fault)
        return ew_fail(err, EW_EFORMAT, "%s:%zu: %s", file, number_of_line, fault);
    table->count++;
    return 0;
}

int ew_price_parse(struct ew_price_table **gives, const char *text, const char *file,
                   struct ew_err *err)
{
    struct ew_price_table *table = calloc(1, sizeof *table);
    bool header = false;
    size_t line_number = 0;
    int rc = table ? 0 : ew_fail(err, EW_ENOMEM, "no memory for the price table");
    while (rc == 0 && *text) {
        struct ew_str line = {text, strcspn(text, "\r\n")};
        line_number++;
        text += line.bytes;
        text += *text == '\r';
        text += *text == '\n';
        if (line.bytes == 0 || line.data[0] == '#')
            continue;
        if (header)
            rc = add_row(table, line, file, line_number, err);
        else if (!ew_str_is(line, HEADER))
            rc =
                ew_fail(err, EW_EFORMAT, "%s:%zu: the first line is %s", file, line_number, HEADER);
        header = true;
    }
    if (rc == 0 && !header)
        rc = ew_fail(err, EW_EFORMAT, "%s is empty", file);
    if (rc)
        ew_price_close(&table);
    *gives = table;
    return rc;
}

int ew_price_open(struct ew_price_table **gives, const char *path, struct ew_err *err)
{
    struct ew_buf text;
    *gives = NULL;
    if (!path)
        return ew_price_parse(gives, ew_data_embedded("data/prices.csv").data, "data/prices.csv",
                              err);
    ew_buf_init(&text, EW_DATA_BYTES_MAX);
    int rc = ew_file_read(&text, path, err);
    if (rc == 0)
        rc = ew_price_parse(gives, ew_buf_cstr(&text), path, err);
    ew_buf_fini(&text);
    return rc;
}

void ew_price_close(struct ew_price_table **table)
{
    if (*table)
        free((*table)->rows);
    free(*table);
    *table = NULL;
}

size_t ew_price_count(const struct ew_price_table *table)
{
    return table->count;
}

const struct ew_price *ew_price_at(const struct ew_price_table *table, size_t index)
{
    return index < table->count ? &table->rows[index] : NULL;
}

static bool is_named(const struct ew_price *row, const char *name)
{
    size_t n = strlen(row->provider);
    return strncmp(name, row->provider, n) == 0 && name[n] == '/' &&
           strcmp(name + n + 1, row->model) == 0;
}

/* ---- names that may have been meant ---- */

enum { SIMILAR_MAX = 3, NAME_BYTES = 97 /* provider, slash, model */ };

struct names {
    char (*full)[NAME_BYTES];
    const char **compared; /* the whole name, or what stands behind the provider's */
    size_t count;
};

static void drop_name(struct names *names, size_t index)
{
    names->count--;
    for (size_t i = index; i < names->count; i++) {
        memcpy(names->full[i], names->full[i + 1], NAME_BYTES);
        names->compared[i] = names->full[i] + (names->compared[i + 1] - names->full[i + 1]);
    }
}

static void add_names(const struct ew_price_table *table, bool whole, struct names *names)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct ew_price *row = &table->rows[i];
        char *full = names->full[names->count];
        snprintf(full, NAME_BYTES, "%s/%s", row->provider, row->model);
        if (names->count && strcmp(full, names->full[names->count - 1]) == 0)
            continue; /* the same, at another time */
        names->compared[names->count++] = whole ? full : full + strlen(row->provider) + 1;
    }
}

/* "; similar: a/b, a/c", or what names look like. Only errors pay for it. */
static void say_similar(const struct ew_price_table *table, const char *name, char *text,
                        size_t size)
{
    struct names names = {.full = calloc(table->count + 1, sizeof *names.full),
                          .compared = calloc(table->count + 1, sizeof *names.compared)};
    size_t used = 0, said = 0;
    const char *near;
    if (names.full && names.compared)
        add_names(table, strchr(name, '/') != NULL, &names);
    while (said < SIMILAR_MAX && used < size &&
           (near = ew_args_nearest(name, names.compared, names.count))) {
        size_t i = 0;
        while (names.compared[i] != near)
            i++;
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 said++ ? ", " : "similar: ", names.full[i]);
        drop_name(&names, i);
    }
    if (!said)
        snprintf(text, size, "names look like openai/gpt-5.4-mini");
    free(names.full);
    free(names.compared);
}

int ew_price_find(const struct ew_price_table *table, const char *name, const char *day,
                  const struct ew_price **out, struct ew_err *err)
{
    bool known = false;
    char checked[11];
    if (day && (!*day || !date((struct ew_str){day, strlen(day)}, checked)))
        return ew_fail(err, EW_EINVAL, "%.40s is no day of the form YYYY-MM-DD", day);
    for (size_t i = 0; i < table->count; i++) {
        const struct ew_price *row = &table->rows[i];
        if (!is_named(row, name))
            continue;
        known = true;
        bool begun = !day || strcmp(row->from, day) <= 0;
        bool ended = row->to[0] && (!day || strcmp(row->to, day) <= 0);
        if (begun && !ended) {
            *out = row;
            return 0;
        }
    }
    if (known)
        return ew_fail(err, EW_ENOTFOUND, "the table has no price of %.90s on %s", name,
                       day ? day : "this day");
    char similar[120];
    say_similar(table, name, similar, sizeof similar);
    return ew_fail(err, EW_ENOTFOUND, "the table has no price of %.60s; %s", name, similar);
}

double ew_price_cents(const struct ew_price *price, double prompt, double cached, double output)
{
    double cached_price = isnan(price->cached_input) ? price->input : price->cached_input;
    double usd =
        ((prompt - cached) * price->input + cached * cached_price + output * price->output) / 1e6;
    return 100 * (usd + price->request_fee);
}
