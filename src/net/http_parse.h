/* http_parse.h - the bytes of one HTTP/1.x request or answer, as they come, into its parts.
 *
 *     ew_http_parse_init(&parse, body_bytes_max);
 *     used = ew_http_parse_feed(&parse, data, bytes);     until phase is DONE or FAILED
 *     ew_http_parse_reset(&parse);                        what feed left over begins the next one
 *
 * A request is kept, body and all, until it is whole. Of an answer the head alone is kept: feed
 * returns at the head's end and at each piece of the body, which lies in what was fed.
 *
 *     ew_http_parse_init_answer(&parse, head_bytes_max);
 *     ew_http_parse_begin_answer(&parse, body_bytes_max, EW_HTTP_ASKED_ALL);    for each of them
 *
 * Strict (RFC 9110, 9112), since whatever a proxy in front reads differently is a smuggled request:
 * what the grammar doesn't allow is refused, with the status to answer, and the connection can't be
 * used any further. Pure: no socket, no clock; how the bytes are cut into pieces changes nothing.
 * Limits: EW_HTTP_HEADER_BYTES_MAX, EW_HTTP_HEADERS_MAX, those below, and the body's. */
#ifndef EW_HTTP_PARSE_H
#define EW_HTTP_PARSE_H

#include "base/buf.h"
#include "net/http_server.h"

enum {
    EW_HTTP_METHOD_BYTES_MAX = 32,
    EW_HTTP_TARGET_BYTES_MAX = 8192,          /* 414 above it; RFC 9112 asks for 8000 at least */
    EW_HTTP_CHUNK_EXTENSION_BYTES_MAX = 4096, /* all of a body's together: nobody uses them */
};

/* RFC 9110, 5.6.2: what methods and names of headers are made of. */
extern const bool ew_http_token[256];

enum ew_http_phase {
    EW_HTTP_START, /* nothing of a request yet */
    EW_HTTP_HEAD,
    EW_HTTP_BODY,
    EW_HTTP_DONE,
    EW_HTTP_FAILED,
};

/* Where a header lies in `text`; both end with a NUL. */
struct ew_http_field {
    uint16_t name, value;
};

struct ew_http_parse {
    enum ew_http_phase phase;
    int status;          /* FAILED: what to answer */
    const char *message; /* FAILED: a sentence, static */

    struct ew_buf text; /* method, path, query, names and values, each NUL-terminated */
    uint16_t path, query;
    struct ew_http_field fields[EW_HTTP_HEADERS_MAX];
    int field_count;
    int minor; /* of HTTP/1.minor: 0 or 1 */
    bool head_only, keep_alive, expects_continue;
    struct ew_buf body;

    /* Of an answer. */
    int code;            /* 200; 1xx are passed over, but for 101, which ends with its head */
    struct ew_str piece; /* of the body, by this feed; .bytes 0: none */
    bool until_close;    /* the body ends with the connection: ew_http_parse_closed */

    /* The parser's own. */
    int state;
    bool is_answer, stop;
    size_t head_bytes_max;
    uint64_t taken;                     /* of an answer's body */
    size_t head_bytes, extension_bytes; /* of the wire, so far */
    uint64_t left;                      /* of a body or chunk */
    uint64_t body_bytes;                /* Content-Length */
    int digits;                         /* of a chunk's size, or of the version */
    int hosts;
    bool has_length, chunked, has_coding, says_close, says_keep, blank_line, in_trailer;
    char version[8];
};

void ew_http_parse_init(struct ew_http_parse *parse, size_t body_bytes_max);
void ew_http_parse_fini(struct ew_http_parse *parse);
/* For the next request. Small allocations stay, large ones go. */
void ew_http_parse_reset(struct ew_http_parse *parse);
/* Takes up to `bytes`, never beyond the end of the request; says how many. */
size_t ew_http_parse_feed(struct ew_http_parse *parse, const char *data, size_t bytes);

enum ew_http_asked { EW_HTTP_ASKED_ALL, EW_HTTP_ASKED_HEAD };
void ew_http_parse_init_answer(struct ew_http_parse *parse, size_t head_bytes_max);
void ew_http_parse_begin_answer(struct ew_http_parse *parse, size_t body_bytes_max,
                                enum ew_http_asked asked);
/* The connection is closed: DONE where that is how the body ends, else as it was. */
void ew_http_parse_closed(struct ew_http_parse *parse);

/* From the end of the head on. */
const char *ew_http_parse_header(const struct ew_http_parse *parse, const char *name);

#endif
