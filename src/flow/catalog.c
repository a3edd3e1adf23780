/* catalog.c - reads the catalog, checks it, and turns a MODEL argument into a file.
 *
 * What the schema can't say (a checksum's form, parts that add up, one kind per source) is checked
 * after it; those errors name the model and the line of its name. */
#include "flow/catalog.h"

#include "base/file.h"
#include "flow/data.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Chosen well above what lists by hand reach. */
#define MODELS_MAX     4096
#define SOURCES_MAX    16
#define PARTS_MAX      256
#define TEXT_MAX       1024
#define NAME_MAX_BYTES 64

struct ew_catalog {
    struct list {
        struct ew_catalog_model *models;
        unsigned count;
    } lists[2]; /* the user's first: it wins */
};

#define TEXT(key, type, field)                                                                     \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, struct type, field, 1, TEXT_MAX)
#define TEXT_OPTIONAL(key, type, field)                                                            \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct type, field, 1,   \
                           TEXT_MAX)

static const cyaml_schema_field_t part_fields[] = {
    TEXT("package", ew_catalog_part, package),
    TEXT("version", ew_catalog_part, version),
    TEXT("member", ew_catalog_part, member),
    CYAML_FIELD_UINT("bytes", CYAML_FLAG_DEFAULT, struct ew_catalog_part, bytes),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t part_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_catalog_part, part_fields),
};

static const cyaml_schema_field_t hub_fields[] = {
    TEXT("repo", ew_catalog_hub, repo),
    TEXT("file", ew_catalog_hub, file),
    TEXT_OPTIONAL("revision", ew_catalog_hub, revision),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t source_fields[] = {
    CYAML_FIELD_SEQUENCE("packages", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct ew_catalog_source, packages, &part_schema, 1, PARTS_MAX),
    CYAML_FIELD_MAPPING_PTR("hub", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                            struct ew_catalog_source, hub, hub_fields),
    TEXT_OPTIONAL("url", ew_catalog_source, url),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t source_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_catalog_source, source_fields),
};

static const cyaml_schema_field_t model_fields[] = {
    TEXT("name", ew_catalog_model, name),
    TEXT("title", ew_catalog_model, title),
    TEXT("quantization", ew_catalog_model, quantization),
    TEXT("licence", ew_catalog_model, licence),
    CYAML_FIELD_UINT("bytes", CYAML_FLAG_DEFAULT, struct ew_catalog_model, bytes),
    TEXT("sha256", ew_catalog_model, sha256),
    TEXT("as_of", ew_catalog_model, as_of),
    TEXT_OPTIONAL("note", ew_catalog_model, note),
    CYAML_FIELD_SEQUENCE("sources", CYAML_FLAG_POINTER, struct ew_catalog_model, sources,
                         &source_schema, 1, SOURCES_MAX),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t model_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ew_catalog_model, model_fields),
};
static const cyaml_schema_value_t list_schema = {
    CYAML_VALUE_SEQUENCE(CYAML_FLAG_POINTER, struct ew_catalog_model, &model_schema, 0, MODELS_MAX),
};

static const char NAME_CHARS[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";

static const char *source_fault(const struct ew_catalog_source *source, uint64_t bytes)
{
    if ((source->packages != NULL) + (source->hub != NULL) + (source->url != NULL) != 1)
        return "a source is exactly one of packages, hub and url";
    if (source->url && strncmp(source->url, "https://", 8) != 0 &&
        strncmp(source->url, "http://", 7) != 0)
        return "a url starts with https:// or http://";
    uint64_t sum = 0;
    for (unsigned i = 0; i < source->packages_count; i++) {
        if (source->packages[i].bytes == 0 || source->packages[i].bytes > bytes)
            return "a part can't be empty or larger than the model";
        sum += source->packages[i].bytes;
    }
    return source->packages && sum != bytes ? "the parts' bytes don't add up to the model's" : NULL;
}

/* What is wrong with an entry, or NULL. The name becomes a file's name, so it can't be a path. */
static const char *model_fault(const struct ew_catalog_model *model)
{
    if (strlen(model->name) > NAME_MAX_BYTES ||
        strspn(model->name, NAME_CHARS) != strlen(model->name) || model->name[0] == '.' ||
        model->name[0] == '-')
        return "a name is at most 64 of a-z, 0-9, dot, dash and underscore";
    if (strlen(model->sha256) != 64 || strspn(model->sha256, "0123456789abcdef") != 64)
        return "sha256 isn't 64 hexadecimal digits in lower case";
    if (model->bytes == 0 || model->bytes > INT64_MAX)
        return "bytes can't be 0";
    const char *fault = NULL;
    for (unsigned i = 0; i < model->sources_count && !fault; i++)
        fault = source_fault(&model->sources[i], model->bytes);
    return fault;
}

static int check(const struct list *list, struct ew_str text, const char *file, struct ew_err *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        const char *name = list->models[i].name, *fault = model_fault(&list->models[i]);
        for (unsigned j = 0; j < i && !fault; j++)
            if (strcmp(list->models[j].name, name) == 0)
                fault = "this name stands here twice";
        char key[NAME_MAX_BYTES + 16];
        snprintf(key, sizeof key, "name: %.*s", NAME_MAX_BYTES, name);
        if (fault)
            return ew_fail(err, EW_EFORMAT, "%s:%zu: model %.64s: %s", file,
                           ew_data_line(text, key), name, fault);
    }
    return 0;
}

static int load(struct list *list, struct ew_str text, const char *file, struct ew_err *err)
{
    int rc = ew_data_yaml_list(text, file, &list_schema, (void **)&list->models, &list->count, err);
    return rc ? rc : check(list, text, file, err);
}

int ew_catalog_parse(struct ew_catalog **gives, struct ew_str text, const char *file,
                     struct ew_err *err)
{
    struct ew_catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        return ew_fail(err, EW_ENOMEM, "no memory for the catalog");
    int rc = load(&catalog->lists[1], text, file, err);
    if (rc)
        ew_catalog_close(&catalog);
    *gives = catalog;
    return rc;
}

/* $XDG_CONFIG_HOME/edgewise/models.yaml, if there is such a file. */
static bool user_path(char *path, size_t size)
{
    char dir[PATH_MAX];
    if (ew_file_dir(EW_FILE_CONFIG, dir, sizeof dir, NULL))
        return false;
    int n = snprintf(path, size, "%s/models.yaml", dir);
    return n > 0 && (size_t)n < size && access(path, F_OK) == 0;
}

int ew_catalog_open(struct ew_catalog **gives, struct ew_err *err)
{
    struct ew_catalog *catalog = NULL;
    struct ew_buf text;
    char path[PATH_MAX];
    int rc =
        ew_catalog_parse(&catalog, ew_data_embedded("data/models.yaml"), "data/models.yaml", err);
    ew_buf_init(&text, EW_DATA_BYTES_MAX);
    if (rc == 0 && user_path(path, sizeof path)) {
        rc = ew_file_read(&text, path, err);
        if (rc == 0)
            rc = load(&catalog->lists[0], (struct ew_str){text.data, text.bytes}, path, err);
    }
    ew_buf_fini(&text);
    if (rc)
        ew_catalog_close(&catalog);
    *gives = catalog;
    return rc;
}

void ew_catalog_close(struct ew_catalog **catalog)
{
    for (size_t i = 0; *catalog && i < EW_COUNT((*catalog)->lists); i++)
        ew_data_free(&list_schema, (*catalog)->lists[i].models, (*catalog)->lists[i].count);
    free(*catalog);
    *catalog = NULL;
}

/* An entry of ours that the user's list replaces isn't counted. */
static bool replaced(const struct ew_catalog *catalog, const char *name)
{
    for (unsigned i = 0; i < catalog->lists[0].count; i++)
        if (strcmp(catalog->lists[0].models[i].name, name) == 0)
            return true;
    return false;
}

const struct ew_catalog_model *ew_catalog_at(const struct ew_catalog *catalog, size_t index)
{
    if (index < catalog->lists[0].count)
        return &catalog->lists[0].models[index];
    index -= catalog->lists[0].count;
    for (unsigned i = 0; i < catalog->lists[1].count; i++)
        if (!replaced(catalog, catalog->lists[1].models[i].name) && index-- == 0)
            return &catalog->lists[1].models[i];
    return NULL;
}

size_t ew_catalog_count(const struct ew_catalog *catalog)
{
    size_t count = 0;
    while (ew_catalog_at(catalog, count))
        count++;
    return count;
}

const struct ew_catalog_model *ew_catalog_get(const struct ew_catalog *catalog, const char *name)
{
    const struct ew_catalog_model *model;
    for (size_t i = 0; (model = ew_catalog_at(catalog, i)); i++)
        if (strcmp(model->name, name) == 0)
            return model;
    return NULL;
}

int ew_catalog_dir(char *path, size_t size, struct ew_err *err)
{
    char dir[PATH_MAX];
    const char *own = getenv("EDGEWISE_CACHE");
    int rc = own && *own ? 0 : ew_file_dir(EW_FILE_CACHE, dir, sizeof dir, err);
    if (rc)
        return rc;
    int n = snprintf(path, size, "%s/models", own && *own ? own : dir);
    if (n < 0 || (size_t)n >= size)
        return ew_fail(err, EW_ELIMIT, "the path of the cache is longer than %zu bytes", size);
    return 0;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* A path says so: a slash or the suffix. Other words are names first, files second. */
static bool looks_like_path(const char *model)
{
    size_t n = strlen(model);
    return strchr(model, '/') || model[0] == '.' || (n > 5 && strcmp(model + n - 5, ".gguf") == 0);
}

static int unknown(const struct ew_catalog *catalog, const char *model, struct ew_err *err)
{
    char names[160] = "";
    const struct ew_catalog_model *known;
    for (size_t i = 0, at = 0; (known = ew_catalog_at(catalog, i)) && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", known->name);
    return ew_fail(err, EW_ENOTFOUND, "%.64s is neither a file nor a model of the catalog: %s",
                   model, names);
}

static int find_name(const struct ew_catalog *catalog, const char *model, char *path, size_t size,
                     struct ew_err *err)
{
    char dir[PATH_MAX];
    if (!ew_catalog_get(catalog, model))
        return unknown(catalog, model, err);
    int rc = ew_catalog_dir(dir, sizeof dir, err);
    if (rc)
        return rc;
    int n = snprintf(path, size, "%s/%s.gguf", dir, model);
    if (n < 0 || (size_t)n >= size)
        return ew_fail(err, EW_ELIMIT, "the model's path is longer than %zu bytes", size);
    return is_file(path)
               ? 0
               : ew_fail(err, EW_ENOTFOUND, "the model %s isn't here yet; run: edgewise pull %s",
                         model, model);
}

int ew_catalog_find(const char *model, char *path, size_t size, struct ew_err *err)
{
    bool as_path = looks_like_path(model);
    if (!as_path) {
        struct ew_catalog *catalog = NULL;
        int rc = ew_catalog_open(&catalog, err);
        if (rc)
            return rc;
        bool named = ew_catalog_get(catalog, model) != NULL;
        if (named || !is_file(model)) {
            rc = find_name(catalog, model, path, size, err);
            ew_catalog_close(&catalog);
            return rc;
        }
        ew_catalog_close(&catalog);
    }
    struct stat st;
    if (!is_file(model))
        return ew_fail(err, EW_ENOTFOUND, "%s: %s", model,
                       stat(model, &st) == 0 && S_ISDIR(st.st_mode) ? "is a folder, not a model"
                                                                    : "no such file");
    int n = snprintf(path, size, "%s", model);
    return n >= 0 && (size_t)n < size
               ? 0
               : ew_fail(err, EW_ELIMIT, "the model's path is longer than %zu bytes", size);
}
