/* pull_show.c - the catalog as a table or JSON, and what a pull did as JSON. */
#include "pull/pull_show.h"

#include "base/jsonw.h"
#include "base/table.h"

#include <sys/stat.h>

static bool is_pulled(const char *dir, const struct ew_catalog_model *model, char *path,
                      size_t size)
{
    struct stat st;
    int n = snprintf(path, size, "%s/%s.gguf", dir, model->name);
    return n > 0 && (size_t)n < size && stat(path, &st) == 0 &&
           (uint64_t)st.st_size == model->bytes;
}

static void put_model(struct ew_jsonw *json, const struct ew_catalog_model *model, const char *path)
{
    ew_jsonw_put_text(json, "name", model->name);
    ew_jsonw_put_text(json, "title", model->title);
    ew_jsonw_put_text(json, "quantization", model->quantization);
    ew_jsonw_put_text(json, "licence", model->licence);
    ew_jsonw_put_u64(json, "bytes", model->bytes);
    ew_jsonw_put_text(json, "sha256", model->sha256);
    ew_jsonw_put_text(json, "as_of", model->as_of);
    ew_jsonw_put_text(json, "note", model->note);
    ew_jsonw_put_text(json, "path", path);
}

static int print_json(struct ew_jsonw *json, FILE *out, struct ew_err *err)
{
    int rc = ew_jsonw_finish(json, err);
    if (rc == 0)
        fputs(ew_buf_cstr(json->out), out);
    ew_buf_fini(json->out);
    return rc;
}

static int list_json(const struct ew_catalog *catalog, const char *dir, FILE *out,
                     struct ew_err *err)
{
    struct ew_buf text;
    struct ew_jsonw json;
    const struct ew_catalog_model *model;
    char path[PATH_MAX];
    ew_buf_init(&text, EW_TABLE_BYTES_MAX);
    ew_jsonw_init(&json, &text, EW_JSONW_PRETTY);
    ew_jsonw_array(&json);
    for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++) {
        ew_jsonw_object(&json);
        put_model(&json, model, is_pulled(dir, model, path, sizeof path) ? path : NULL);
        ew_jsonw_end(&json);
    }
    ew_jsonw_end(&json);
    return print_json(&json, out, err);
}

static int list_table(const struct ew_catalog *catalog, const char *dir, FILE *out,
                      struct ew_err *err)
{
    static const struct ew_table_column columns[] = {
        {"name", EW_TABLE_LEFT},    {"quantized", EW_TABLE_LEFT}, {"MB", EW_TABLE_RIGHT},
        {"licence", EW_TABLE_LEFT}, {"here", EW_TABLE_LEFT},      {"what it is", EW_TABLE_LEFT}};
    struct ew_table table;
    const struct ew_catalog_model *model;
    char path[PATH_MAX];
    ew_table_init(&table, columns, EW_COUNT(columns));
    for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++) {
        ew_table_cell(&table, "%s", model->name);
        ew_table_cell(&table, "%s", model->quantization);
        ew_table_number(&table, (double)model->bytes / 1e6, 1);
        ew_table_cell(&table, "%s", model->licence);
        ew_table_cell(&table, "%s", is_pulled(dir, model, path, sizeof path) ? "yes" : "no");
        ew_table_cell(&table, "%s", model->title);
    }
    int rc = ew_table_print(&table, out, err);
    ew_table_fini(&table);
    return rc;
}

int ew_pull_show_result(const struct ew_pull *how, const struct ew_pull_result *result,
                        double seconds, FILE *out, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_jsonw json;
    ew_buf_init(&text, EW_TABLE_BYTES_MAX);
    ew_jsonw_init(&json, &text, EW_JSONW_PRETTY);
    ew_jsonw_object(&json);
    put_model(&json, how->model, result->path);
    ew_jsonw_put_bool(&json, "already", result->already);
    ew_jsonw_put_text(&json, "source", result->already ? NULL : result->source);
    ew_jsonw_put_digits(&json, "seconds", seconds, 4);
    ew_jsonw_end(&json);
    return print_json(&json, out, err);
}

int ew_pull_show_list(const struct ew_catalog *catalog, const char *dir, enum ew_pull_form form,
                      FILE *out, struct ew_err *err)
{
    return form == EW_PULL_JSON ? list_json(catalog, dir, out, err)
                                : list_table(catalog, dir, out, err);
}
