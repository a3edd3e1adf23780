/* quality.c - the table of published scores, by schema, and whose score a MODEL argument has. */
#include "flow/quality.h"

#include "flow/data.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 256
#define ROWS_MAX 4096

struct ew_quality_table {
    struct ew_quality *rows;
    unsigned count;
};

#define TEXT(field)                                                                                \
    CYAML_FIELD_STRING_PTR(#field, CYAML_FLAG_POINTER, struct ew_quality, field, 1, TEXT_MAX)

static const cyaml_schema_field_t fields[] = {
    TEXT(model),     TEXT(title),
    TEXT(benchmark), CYAML_FIELD_FLOAT("score", CYAML_FLAG_DEFAULT, struct ew_quality, score),
    TEXT(protocol),  TEXT(source),
    TEXT(as_of),     CYAML_FIELD_END,
};
static const cyaml_schema_value_t row_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_quality, fields),
};
static const cyaml_schema_value_t list_schema = {
    CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER, struct ew_quality, &row_schema, 0, ROWS_MAX),
};

int ew_quality_parse(struct ew_quality_table **gives, struct ew_str text, const char *file,
                     struct ew_err *err)
{
    void *rows = NULL;
    *gives = NULL;
    struct ew_quality_table *table = calloc(1, sizeof *table);
    if (!table)
        return ew_fail(err, EW_ENOMEM, "no memory for %s", file);
    int rc = ew_data_yaml_list(text, file, &list_schema, &rows, &table->count, err);
    table->rows = rows;
    for (unsigned i = 0; rc == 0 && i < table->count; i++) {
        const struct ew_quality *row = &table->rows[i];
        /* Also false for a score that is no number. */
        if (!(row->score >= 0 && row->score <= 1))
            rc = ew_fail(err, EW_EFORMAT, "%s: the score of %s is %g, must be 0 to 1", file,
                         row->model, row->score);
    }
    if (rc)
        ew_quality_close(&table);
    *gives = table;
    return rc;
}

int ew_quality_open(struct ew_quality_table **gives, struct ew_err *err)
{
    return ew_quality_parse(gives, ew_data_embedded("data/quality.yaml"), "data/quality.yaml", err);
}

void ew_quality_close(struct ew_quality_table **table)
{
    if (*table)
        ew_data_free(&list_schema, (*table)->rows, (*table)->count);
    free(*table);
    *table = NULL;
}

const struct ew_quality *ew_quality_find(const struct ew_quality_table *table, const char *model,
                                         const char *benchmark)
{
    static const char suffix[] = ".gguf";
    const char *slash = strrchr(model, '/');
    const char *name = slash ? slash + 1 : model;
    size_t bytes = strlen(name), tail = sizeof suffix - 1;
    if (bytes > tail && strcmp(name + bytes - tail, suffix) == 0)
        bytes -= tail;
    for (unsigned i = 0; i < table->count; i++) {
        const struct ew_quality *row = &table->rows[i];
        if (strlen(row->model) == bytes && memcmp(row->model, name, bytes) == 0 &&
            strcmp(row->benchmark, benchmark) == 0)
            return row;
    }
    return NULL;
}
