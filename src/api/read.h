/* read.h - reading a request's JSON: fields by name, each with its type, its bounds, and OpenAI's
 * words for what is wrong with it.
 *
 * The first fault sticks, as in jsonw: after it every call does nothing, so that a parser is a
 * plain list of fields and looks at the fault once, at its end. A field that is absent, or null,
 * leaves what the caller had put there as a default. `where` is the object's place in the request
 * ("" on top, "messages[2]"), and becomes the `param` of a fault.
 *
 * All memory belongs to the request: the parsed tree, whose strings are borrowed for as long, and
 * what ew_read_alloc and ew_read_keep hang to it. Family-private to src/api. */
#ifndef EW_READ_H
#define EW_READ_H

#include "api/scan_tree.h"
#include "api/wire.h"
#include "base/jsonw.h"

#include <jansson.h>

enum {
    EW_READ_PATH_BYTES = 96,   /* as ew_fault.param */
    EW_READ_DEPTH_MAX = 48,    /* of a value that is copied: tools, schemas, arguments */
    EW_READ_TEXT_SPREAD = 6,   /* one byte of JSON is at most "\u007f" when written again */
    EW_READ_TEXT_EXTRA = 4096, /* and what we add to it */
};

struct ew_read {
    struct ew_request *request;
    struct ew_fault *fault;
    struct ew_read_memory *memory;
    size_t text_bytes_max; /* of any text made from this body */
};

/* The object that the body is; NULL and a fault when it is none. Empties the request first.
 * aside: NULL, or what isn't to be in the tree (scan_tree.h). */
const json_t *ew_read_open(struct ew_read *in, struct ew_request *request, struct ew_str body,
                           struct ew_scan_aside *aside, struct ew_fault *fault);
/* 0, or -1 when there was a fault: the request is empty then. */
int ew_read_close(struct ew_read *in);
bool ew_read_failed(const struct ew_read *in);
/* A fault of status 400, unless there is one already. */
void ew_read_fail(struct ew_read *in, const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "an object", "a string", … */
const char *ew_read_type_words(const json_t *value);
/* "Invalid type for 'stop': expected a string, but got an object instead." */
void ew_read_wrong_type(struct ew_read *in, const char *path, const char *expected,
                        const json_t *got);
/* "Invalid value: 'x'. Supported values are: …" */
void ew_read_wrong_value(struct ew_read *in, const char *path, const char *got,
                         const char *supported);
void ew_read_path(char path[EW_READ_PATH_BYTES], const char *where, const char *key);

/* NULL: absent, null, or a fault before. */
const json_t *ew_read_get(const struct ew_read *in, const json_t *object, const char *key);
/* The same, but that it isn't there is a fault. */
const json_t *ew_read_need(struct ew_read *in, const json_t *object, const char *where,
                           const char *key);
/* NULL (or false) and a fault when it is there and of another type. */
const char *ew_read_text(struct ew_read *in, const json_t *object, const char *where,
                         const char *key);
const json_t *ew_read_object(struct ew_read *in, const json_t *object, const char *where,
                             const char *key);
const json_t *ew_read_array(struct ew_read *in, const json_t *object, const char *where,
                            const char *key, size_t count_max);
void ew_read_flag(struct ew_read *in, const json_t *object, const char *where, const char *key,
                  bool *out);
struct ew_read_range {
    double min, max;
};
void ew_read_number(struct ew_read *in, const json_t *object, const char *where, const char *key,
                    struct ew_read_range range, float *out);
void ew_read_int(struct ew_read *in, const json_t *object, const char *where, const char *key,
                 struct ew_read_range range, int64_t *out);
/* A value that must be a string without NUL; NULL and a fault otherwise. */
const char *ew_read_string(struct ew_read *in, const json_t *value, const char *path);
/* One value of an array: must be an object. */
bool ew_read_is_object(struct ew_read *in, const json_t *value, const char *path);

/* Zeroed, freed with the request; NULL and a fault when there is no memory. */
void *ew_read_alloc(struct ew_read *in, size_t count, size_t bytes);
/* Takes what the buffer has; the text is NUL-terminated. */
struct ew_str ew_read_keep(struct ew_read *in, struct ew_buf *takes);
/* Writes the value as it came, numbers in their shortest form. */
void ew_read_copy(struct ew_read *in, struct ew_jsonw *json, const json_t *value, const char *path);
struct ew_str ew_read_json(struct ew_read *in, const json_t *value, const char *path);

#endif
