/* wire_check.h - for the tests of src/api: a body through a parser, an answer through a writer.
 *
 * Inline, since what is compiled in this folder is linked to programs without src/api, too. */
#ifndef EW_WIRE_CHECK_H
#define EW_WIRE_CHECK_H

#include "api/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

enum { WIRE_CHECK_BYTES_MAX = 1 << 20 };

/* The body is given from memory of its very size, so that a byte too far is seen. */
static inline int wire_check_parse(const struct ew_wire *wire, const char *body, size_t bytes,
                                   struct ew_request *request, struct ew_fault *fault)
{
    char *copy = malloc(bytes + !bytes);
    assert_non_null(copy);
    memcpy(copy, body, bytes);
    int rc = wire->parse(request, (struct ew_str){copy, bytes}, fault);
    free(copy);
    return rc;
}

struct wire_fault_case {
    const char *body;
    const char *code, *param, *message; /* NULL code: null; "" param: null; message: its start */
};

static inline void wire_check_fault(const struct ew_wire *wire, const struct wire_fault_case *c)
{
    struct ew_request request;
    struct ew_fault fault;
    int rc = wire_check_parse(wire, c->body, strlen(c->body), &request, &fault);
    bool same_code = c->code ? fault.code && strcmp(c->code, fault.code) == 0 : !fault.code;
    if (rc != -1 || fault.status != 400 || !same_code || strcmp(fault.param, c->param) != 0 ||
        strncmp(fault.message, c->message, strlen(c->message)) != 0)
        fail_msg("%s\n  got %d: %d %s, param '%s': %s", c->body, rc, fault.status,
                 fault.code ? fault.code : "null", fault.param, fault.message);
    assert_null(request.memory);
    ew_request_fini(&request);
}

/* A request that must be accepted; the caller fini's it. */
static inline void wire_check_accept(const struct ew_wire *wire, const char *body,
                                     struct ew_request *request)
{
    struct ew_fault fault;
    if (wire_check_parse(wire, body, strlen(body), request, &fault))
        fail_msg("%s\n  refused: %s", body, fault.message);
    assert_int_equal(fault.status, 0);
}

static inline void wire_check_str(struct ew_str got, const char *wanted)
{
    assert_non_null(got.data);
    assert_int_equal(strlen(got.data), got.bytes);
    assert_string_equal(got.data, wanted);
}

/* Each line (without "data: ") of what was written must be JSON, or OpenAI's [DONE]. */
static inline void wire_check_lines(const char *text)
{
    while (*text) {
        size_t bytes = strcspn(text, "\n");
        const char *line = text;
        text += bytes + (text[bytes] == '\n');
        if (strncmp(line, "data: ", 6) == 0) {
            line += 6;
            bytes -= 6;
        }
        if (bytes == 0 || (bytes == 6 && memcmp(line, "[DONE]", 6) == 0))
            continue;
        json_error_t error;
        json_t *value = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &error);
        if (!value)
            fail_msg("%s in %.*s", error.text, (int)bytes, line);
        json_decref(value);
    }
}

static inline void wire_check_text(int rc, struct ew_buf *out, const char *wanted)
{
    assert_int_equal(rc, 0);
    assert_string_equal(ew_buf_cstr(out), wanted);
    wire_check_lines(ew_buf_cstr(out));
    ew_buf_clear(out);
}

#endif
