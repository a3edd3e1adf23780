/* fuzz_http.c - any bytes as what a client sends over one connection.
 *
 * LLVMFuzzerTestOneInput is what libFuzzer calls (make fuzz FUZZ=http, clang);
 * unit/test_fuzz_http.c replays a corpus through it in make check. Each request of the input is fed
 * whole, a byte at a time, and in two pieces that the input itself chooses: however bytes are cut,
 * they must mean the same. What is taken must keep what http_parse.h promises. */
#include <stdlib.h>
#include <string.h>

#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { BODY_MAX = 32, PARSERS = 3 };

/* Each piece in memory of its own size, so that a byte too far is seen. */
static size_t feed_piece(struct ew_http_parse *parse, const char *data, size_t bytes)
{
    char *copy = malloc(bytes);
    if (!copy)
        abort();
    memcpy(copy, data, bytes);
    size_t used = ew_http_parse_feed(parse, copy, bytes);
    free(copy);
    EW_ASSERT(used <= bytes && (used == bytes || parse->phase >= EW_HTTP_DONE));
    return used;
}

/* The first piece is `first` bytes long, the others `piece`; says how many were used. */
static size_t feed(struct ew_http_parse *parse, const char *data, size_t bytes, size_t first,
                   size_t piece)
{
    size_t at = 0;
    for (size_t n = first; at < bytes && parse->phase < EW_HTTP_DONE; n = piece)
        at += feed_piece(parse, data + at, n < bytes - at ? n : bytes - at);
    return at;
}

static void check_failed(const struct ew_http_parse *parse)
{
    static const int known[] = {400, 413, 414, 417, 431, 501, 505};
    bool is_known = false;
    for (size_t i = 0; i < EW_COUNT(known); i++)
        is_known |= parse->status == known[i];
    EW_ASSERT(is_known && parse->message && strlen(parse->message) > 10);
}

/* A string of the head: inside, ended, and without what could end a line of a log or an answer. */
static void check_text(const struct ew_http_parse *parse, size_t at)
{
    EW_ASSERT(at < parse->text.bytes);
    const char *text = parse->text.data + at;
    size_t length = strnlen(text, parse->text.bytes - at);
    EW_ASSERT(length < parse->text.bytes - at);
    for (size_t i = 0; i < length; i++)
        EW_ASSERT((unsigned char)text[i] >= ' ' || text[i] == '\t');
}

static void check_done(const struct ew_http_parse *parse)
{
    EW_ASSERT(parse->field_count <= EW_HTTP_HEADERS_MAX);
    EW_ASSERT(parse->head_bytes <= EW_HTTP_HEADER_BYTES_MAX);
    EW_ASSERT(parse->minor == 0 || parse->minor == 1);
    EW_ASSERT(parse->minor == 0 || parse->hosts == 1);
    EW_ASSERT(!(parse->has_length && parse->has_coding)); /* a smuggled request */
    EW_ASSERT(parse->body.bytes <= BODY_MAX && parse->left == 0);
    EW_ASSERT(parse->chunked || parse->body.bytes == parse->body_bytes);
    check_text(parse, 0);
    check_text(parse, parse->path);
    check_text(parse, parse->query);
    const char *path = parse->text.data + parse->path;
    EW_ASSERT(*path == '/' || strcmp(path, "*") == 0);
    for (int i = 0; i < parse->field_count; i++) {
        check_text(parse, parse->fields[i].name);
        check_text(parse, parse->fields[i].value);
        EW_ASSERT(parse->text.data[parse->fields[i].name]);
        EW_ASSERT(ew_http_parse_header(parse, parse->text.data + parse->fields[i].name));
    }
}

static bool buf_equal(const struct ew_buf *a, const struct ew_buf *b)
{
    return a->bytes == b->bytes && (!a->bytes || memcmp(a->data, b->data, a->bytes) == 0);
}

static void check_same(const struct ew_http_parse *a, const struct ew_http_parse *b)
{
    EW_ASSERT(a->phase == b->phase && a->status == b->status && a->message == b->message);
    if (a->phase != EW_HTTP_DONE)
        return;
    EW_ASSERT(buf_equal(&a->text, &b->text) && buf_equal(&a->body, &b->body));
    EW_ASSERT(a->path == b->path && a->query == b->query && a->field_count == b->field_count);
    EW_ASSERT(memcmp(a->fields, b->fields, (size_t)a->field_count * sizeof a->fields[0]) == 0);
    EW_ASSERT(a->minor == b->minor && a->head_only == b->head_only);
    EW_ASSERT(a->keep_alive == b->keep_alive && a->expects_continue == b->expects_continue);
}

/* One request of `bytes`; says how many it was, 0 when there is no next one. */
static size_t one_request(struct ew_http_parse *parses, const char *data, size_t bytes)
{
    const size_t cut = 1 + (unsigned char)data[bytes - 1] * bytes / 256;
    const size_t used[PARSERS] = {
        feed(&parses[0], data, bytes, bytes, bytes),
        feed(&parses[1], data, bytes, 1, 1),
        feed(&parses[2], data, bytes, cut, bytes),
    };
    for (int i = 1; i < PARSERS; i++) {
        check_same(&parses[0], &parses[i]);
        EW_ASSERT(parses[0].phase != EW_HTTP_DONE || used[0] == used[i]);
    }
    if (parses[0].phase == EW_HTTP_FAILED)
        check_failed(&parses[0]);
    if (parses[0].phase != EW_HTTP_DONE)
        return 0;
    check_done(&parses[0]);
    return used[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct ew_http_parse parses[PARSERS];
    for (int i = 0; i < PARSERS; i++)
        ew_http_parse_init(&parses[i], BODY_MAX);
    for (size_t at = 0, used = 1; at < bytes && used; at += used) {
        used = one_request(parses, (const char *)data + at, bytes - at);
        for (int i = 0; i < PARSERS; i++)
            ew_http_parse_reset(&parses[i]);
    }
    for (int i = 0; i < PARSERS; i++)
        ew_http_parse_fini(&parses[i]);
    return 0;
}
