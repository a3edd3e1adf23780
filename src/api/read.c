/* read.c - fields of a request, by jansson; see read.h.
 *
 * Limits: what jansson has (2,048 levels, 64-bit integers); a value that is passed on, 48 levels.
 * A NUL inside a string would cut it short in everything behind, so it is a fault that names the
 * field. Keys that stand twice: the last one counts, as at OpenAI. */
#include "api/read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/json_leaf.h"

struct block {
    struct block *next;
    void *owned;
};

struct ew_read_memory {
    json_t *root;
    uint64_t root_keys; /* a bit for each by its first characters: most fields aren't there */
    struct block *blocks;
};

static void free_memory(void *opaque)
{
    struct ew_read_memory *memory = opaque;
    for (struct block *b = memory->blocks, *next; b; b = next) {
        next = b->next;
        free(b->owned);
        free(b);
    }
    json_decref(memory->root);
    free(memory);
}

bool ew_read_failed(const struct ew_read *in)
{
    return in->fault->status != 0;
}

static void no_memory(struct ew_read *in)
{
    if (!ew_read_failed(in))
        ew_fault_set(in->fault, 503, NULL, NULL, "There is no memory for the request.");
}

void ew_read_fail(struct ew_read *in, const char *code, const char *param, const char *format, ...)
{
    if (ew_read_failed(in))
        return;
    char message[sizeof in->fault->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    ew_fault_set(in->fault, 400, code, param, "%s", message);
}

/* ---- the body ---- */

static uint64_t bit_of(const char *key)
{
    unsigned first = (unsigned char)key[0], second = first ? (unsigned char)key[1] : 0;
    return (uint64_t)1 << ((first * 5 + second) & 63);
}

static void note_keys(struct ew_read_memory *memory)
{
    const char *key;
    json_t *value;
    json_object_foreach(memory->root, key, value) memory->root_keys |= bit_of(key);
}

const char *ew_read_type_words(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a decimal number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    default:
        return "null";
    }
}

const json_t *ew_read_open(struct ew_read *in, struct ew_request *request, struct ew_str body,
                           struct ew_scan_aside *aside, struct ew_fault *fault)
{
    *request = (struct ew_request){0};
    *fault = (struct ew_fault){0};
    *in = (struct ew_read){.request = request, .fault = fault};
    in->text_bytes_max = body.bytes * EW_READ_TEXT_SPREAD + EW_READ_TEXT_EXTRA;
    in->memory = malloc(sizeof *in->memory);
    if (!in->memory) {
        no_memory(in);
        return NULL;
    }
    *in->memory = (struct ew_read_memory){0};
    request->memory = in->memory;
    request->free_memory = free_memory;
    json_error_t error;
    in->memory->root = ew_scan_tree(body, aside, &error);
    if (!in->memory->root)
        ew_read_fail(in, NULL, NULL,
                     "We could not parse the JSON body of your request: %s (line %d, column %d).",
                     error.text, error.line, error.column);
    else if (!json_is_object(in->memory->root))
        ew_read_fail(in, "invalid_type", NULL,
                     "Invalid type for the body: expected an object, but got %s instead.",
                     ew_read_type_words(in->memory->root));
    else
        note_keys(in->memory);
    return ew_read_failed(in) ? NULL : in->memory->root;
}

int ew_read_close(struct ew_read *in)
{
    if (!ew_read_failed(in))
        return 0;
    ew_request_fini(in->request);
    return -1;
}

/* ---- faults ---- */

void ew_read_path(char path[EW_READ_PATH_BYTES], const char *where, const char *key)
{
    size_t bytes = 0; /* for each field that is asked for: printf would take most of its time */
    if (*where) {
        ew_str_copy(path, EW_READ_PATH_BYTES - 1, where);
        bytes = strlen(path);
        path[bytes++] = '.';
    }
    ew_str_copy(path + bytes, EW_READ_PATH_BYTES - bytes, key);
}

void ew_read_wrong_type(struct ew_read *in, const char *path, const char *expected,
                        const json_t *got)
{
    ew_read_fail(in, "invalid_type", path,
                 "Invalid type for '%s': expected %s, but got %s instead.", path, expected,
                 ew_read_type_words(got));
}

void ew_read_wrong_value(struct ew_read *in, const char *path, const char *got,
                         const char *supported)
{
    ew_read_fail(in, "invalid_value", path, "Invalid value: '%.64s'. Supported values are: %s.",
                 got, supported);
}

/* ---- fields ---- */

const json_t *ew_read_get(const struct ew_read *in, const json_t *object, const char *key)
{
    const struct ew_read_memory *memory = in->memory;
    if (ew_read_failed(in) ||
        (memory && object == memory->root && !(memory->root_keys & bit_of(key))))
        return NULL;
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

const json_t *ew_read_need(struct ew_read *in, const json_t *object, const char *where,
                           const char *key)
{
    const json_t *value = ew_read_get(in, object, key);
    if (value)
        return value;
    char path[EW_READ_PATH_BYTES];
    ew_read_path(path, where, key);
    ew_read_fail(in, "missing_required_parameter", path, "Missing required parameter: '%s'.", path);
    return NULL;
}

const char *ew_read_string(struct ew_read *in, const json_t *value, const char *path)
{
    if (ew_read_failed(in))
        return NULL;
    if (!json_is_string(value)) {
        ew_read_wrong_type(in, path, "a string", value);
        return NULL;
    }
    if (strlen(json_string_value(value)) != json_string_length(value)) {
        ew_read_fail(in, "invalid_value", path,
                     "Invalid '%s': a string may not have the character U+0000 in it.", path);
        return NULL;
    }
    return json_string_value(value);
}

const char *ew_read_text(struct ew_read *in, const json_t *object, const char *where,
                         const char *key)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    if (!value)
        return NULL;
    ew_read_path(path, where, key);
    return ew_read_string(in, value, path);
}

bool ew_read_is_object(struct ew_read *in, const json_t *value, const char *path)
{
    if (!json_is_object(value))
        ew_read_wrong_type(in, path, "an object", value);
    return !ew_read_failed(in);
}

const json_t *ew_read_object(struct ew_read *in, const json_t *object, const char *where,
                             const char *key)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    if (!value)
        return NULL;
    ew_read_path(path, where, key);
    return ew_read_is_object(in, value, path) ? value : NULL;
}

const json_t *ew_read_array(struct ew_read *in, const json_t *object, const char *where,
                            const char *key, size_t count_max)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    if (!value)
        return NULL;
    ew_read_path(path, where, key);
    if (!json_is_array(value))
        ew_read_wrong_type(in, path, "an array of objects", value);
    else if (json_array_size(value) > count_max)
        ew_read_fail(in, "array_above_max_length", path,
                     "Invalid '%s': array too long. Expected an array with maximum length %zu, but "
                     "got an array with length %zu instead.",
                     path, count_max, json_array_size(value));
    return ew_read_failed(in) ? NULL : value;
}

void ew_read_flag(struct ew_read *in, const json_t *object, const char *where, const char *key,
                  bool *out)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    if (!value)
        return;
    ew_read_path(path, where, key);
    if (json_is_boolean(value))
        *out = json_is_true(value);
    else
        ew_read_wrong_type(in, path, "a boolean", value);
}

enum field_kind { FIELD_INTEGER, FIELD_DECIMAL };

/* False and a fault when the value lies outside. `got` is how the client wrote it. */
static bool in_range(struct ew_read *in, const json_t *value, const char *path,
                     struct ew_read_range range, enum field_kind kind)
{
    double x = json_number_value(value);
    if (x >= range.min && x <= range.max)
        return true;
    bool low = x < range.min, integer = kind == FIELD_INTEGER;
    char got[40], bound[40];
    if (json_is_integer(value))
        snprintf(got, sizeof got, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        snprintf(got, sizeof got, "%g", x);
    snprintf(bound, sizeof bound, "%.10g", low ? range.min : range.max);
    static const char *const codes[2][2] = {
        {"decimal_above_max_value", "decimal_below_min_value"},
        {"integer_above_max_value", "integer_below_min_value"},
    };
    ew_read_fail(in, codes[integer][low], path,
                 "Invalid '%s': %s %s value. Expected a value %s %s, but got %s instead.", path,
                 integer ? "integer" : "decimal", low ? "below minimum" : "above maximum",
                 low ? ">=" : "<=", bound, got);
    return false;
}

void ew_read_number(struct ew_read *in, const json_t *object, const char *where, const char *key,
                    struct ew_read_range range, float *out)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    if (!value)
        return;
    ew_read_path(path, where, key);
    if (!json_is_number(value))
        ew_read_wrong_type(in, path, "a decimal", value);
    else if (in_range(in, value, path, range, FIELD_DECIMAL))
        *out = (float)json_number_value(value);
}

void ew_read_int(struct ew_read *in, const json_t *object, const char *where, const char *key,
                 struct ew_read_range range, int64_t *out)
{
    const json_t *value = ew_read_get(in, object, key);
    char path[EW_READ_PATH_BYTES];
    if (!value)
        return;
    ew_read_path(path, where, key);
    if (!json_is_integer(value))
        ew_read_wrong_type(in, path, "an integer", value);
    else if (in_range(in, value, path, range, FIELD_INTEGER))
        *out = json_integer_value(value);
}

/* ---- memory ---- */

static bool hang(struct ew_read *in, void *takes)
{
    struct block *block = malloc(sizeof *block);
    if (!block || !takes) {
        free(block);
        free(takes);
        no_memory(in);
        return false;
    }
    *block = (struct block){in->memory->blocks, takes};
    in->memory->blocks = block;
    return true;
}

void *ew_read_alloc(struct ew_read *in, size_t count, size_t bytes)
{
    void *block = calloc(count + !count, bytes);
    return hang(in, block) ? block : NULL;
}

struct ew_str ew_read_keep(struct ew_read *in, struct ew_buf *takes)
{
    struct ew_str text = {takes->data, takes->bytes};
    if (text.bytes && text.data[text.bytes - 1] == '\n') /* jsonw ends a text with one */
        takes->data[--text.bytes] = '\0';
    if (!hang(in, takes->data))
        text = (struct ew_str){0};
    ew_buf_init(takes, takes->max);
    return text;
}

void ew_read_copy(struct ew_read *in, struct ew_jsonw *json, const json_t *value, const char *path)
{
    if (json->depth >= EW_READ_DEPTH_MAX)
        ew_read_fail(in, "invalid_value", path, "Invalid '%s': nested deeper than %d levels.", path,
                     EW_READ_DEPTH_MAX);
    if (ew_read_failed(in)) {
        ew_jsonw_null(json);
    } else if (json_is_object(value)) {
        const char *key;
        json_t *item;
        ew_jsonw_object(json);
        json_object_foreach((json_t *)value, key, item)
        {
            ew_jsonw_key(json, key);
            ew_read_copy(in, json, item, path);
        }
        ew_jsonw_end(json);
    } else if (json_is_array(value)) {
        ew_jsonw_array(json);
        for (size_t i = 0; i < json_array_size(value); i++)
            ew_read_copy(in, json, json_array_get(value, i), path);
        ew_jsonw_end(json);
    } else if (json_is_string(value)) {
        ew_jsonw_text(json, ew_read_string(in, value, path));
    } else {
        ew_json_leaf(json, value);
    }
}

struct ew_str ew_read_json(struct ew_read *in, const json_t *value, const char *path)
{
    struct ew_buf out;
    struct ew_jsonw json;
    ew_buf_init(&out, in->text_bytes_max);
    ew_jsonw_init(&json, &out, EW_JSONW_COMPACT);
    ew_read_copy(in, &json, value, path);
    if (ew_jsonw_finish(&json, NULL))
        no_memory(in);
    if (!ew_read_failed(in))
        return ew_read_keep(in, &out);
    ew_buf_fini(&out);
    return (struct ew_str){0};
}
