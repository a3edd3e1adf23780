/* fuzz_answer.c - any bytes as what a server answers, and its body as a stream of events.
 *
 * LLVMFuzzerTestOneInput is what libFuzzer calls (make fuzz FUZZ=answer, clang);
 * unit/test_fuzz_answer.c replays a corpus through it in make check. Each input is fed whole, a
 * byte at a time, and in two pieces that the input itself chooses: however bytes are cut, head,
 * body and events must be the same. What is taken must keep what http_parse.h promises. */
#include <stdlib.h>
#include <string.h>

#include "net/events.h"
#include "net/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { HEAD_MAX = 4096, BODY_MAX = 1 << 16, TOLD_MAX = 1 << 20, WAYS = 3 };

/* One way of feeding, and what came of it. */
struct way {
    struct ew_http_parse parse;
    struct ew_events sse, lines;
    struct ew_buf body, told_sse, told_lines; /* names and data of events */
};

static int take(void *user, const char *name, struct ew_str data, struct ew_err *err)
{
    struct ew_buf *told = user;
    (void)err;
    EW_ASSERT(strlen(name) < sizeof((struct ew_events *)0)->name);
    EW_ASSERT(ew_buf_text(told, name, NULL) == 0 && ew_buf_add(told, "|", 2, NULL) == 0 &&
              ew_buf_add(told, data.data, data.bytes, NULL) == 0 &&
              ew_buf_add(told, ";", 2, NULL) == 0);
    return 0;
}

static void take_piece(struct way *way, struct ew_str piece)
{
    EW_ASSERT(way->parse.phase == EW_HTTP_BODY || way->parse.phase == EW_HTTP_DONE);
    EW_ASSERT(ew_buf_add(&way->body, piece.data, piece.bytes, NULL) == 0);
    EW_ASSERT(ew_events_push(&way->sse, piece.data, piece.bytes, take, &way->told_sse, NULL) == 0);
    EW_ASSERT(ew_events_push(&way->lines, piece.data, piece.bytes, take, &way->told_lines, NULL) ==
              0);
}

/* A piece in memory of its own size, so that a byte too far is seen. */
static void feed_piece(struct way *way, const char *data, size_t bytes)
{
    char *copy = malloc(bytes);
    if (!copy)
        abort();
    memcpy(copy, data, bytes);
    for (size_t at = 0; at < bytes && way->parse.phase < EW_HTTP_DONE;) {
        size_t used = ew_http_parse_feed(&way->parse, copy + at, bytes - at);
        EW_ASSERT(used <= bytes - at && (used > 0 || way->parse.phase == EW_HTTP_FAILED));
        const struct ew_str piece = way->parse.piece;
        EW_ASSERT(!piece.bytes ||
                  (piece.data >= copy + at && piece.data + piece.bytes <= copy + at + used));
        if (piece.bytes)
            take_piece(way, piece);
        at += used;
    }
    free(copy);
}

static void feed(struct way *way, const char *data, size_t bytes, size_t first, size_t rest)
{
    ew_http_parse_init_answer(&way->parse, HEAD_MAX);
    ew_http_parse_begin_answer(&way->parse, BODY_MAX, EW_HTTP_ASKED_ALL);
    ew_events_init(&way->sse, EW_EVENTS_SSE);
    ew_events_init(&way->lines, EW_EVENTS_LINES);
    ew_buf_init(&way->body, BODY_MAX);
    ew_buf_init(&way->told_sse, TOLD_MAX);
    ew_buf_init(&way->told_lines, TOLD_MAX);
    for (size_t at = 0, n = first; at < bytes; at += n, n = rest) {
        n = n < bytes - at ? n : bytes - at;
        feed_piece(way, data + at, n);
    }
    ew_http_parse_closed(&way->parse);
}

static void check(const struct way *way)
{
    const struct ew_http_parse *parse = &way->parse;
    EW_ASSERT(parse->head_bytes <= HEAD_MAX && parse->field_count <= EW_HTTP_HEADERS_MAX);
    EW_ASSERT(parse->taken == way->body.bytes);
    if (parse->phase == EW_HTTP_FAILED)
        EW_ASSERT((parse->status == 400 || parse->status == 413 || parse->status == 431 ||
                   parse->status == 501) &&
                  strlen(parse->message) > 10);
    if (parse->phase != EW_HTTP_DONE)
        return;
    EW_ASSERT((parse->code >= 200 && parse->code <= 999) || parse->code == 101);
    EW_ASSERT(parse->until_close || parse->left == 0);
    EW_ASSERT(!(parse->until_close && parse->keep_alive));
    for (int i = 0; i < parse->field_count; i++) {
        const char *text = parse->text.data + parse->fields[i].value;
        EW_ASSERT(parse->fields[i].value < parse->text.bytes);
        for (; *text; text++)
            EW_ASSERT((unsigned char)*text >= ' ' || *text == '\t');
    }
}

static bool buf_equal(const struct ew_buf *a, const struct ew_buf *b)
{
    return a->bytes == b->bytes && (!a->bytes || memcmp(a->data, b->data, a->bytes) == 0);
}

/* A stream that fails has told what came before, of which pieces may have more or less. */
static void check_same(const struct way *a, const struct way *b)
{
    EW_ASSERT(a->parse.phase == b->parse.phase && a->parse.status == b->parse.status);
    EW_ASSERT(a->parse.message == b->parse.message);
    if (a->parse.phase == EW_HTTP_FAILED)
        return;
    EW_ASSERT(a->parse.code == b->parse.code && a->parse.keep_alive == b->parse.keep_alive);
    EW_ASSERT(a->parse.until_close == b->parse.until_close);
    EW_ASSERT(buf_equal(&a->parse.text, &b->parse.text) && buf_equal(&a->body, &b->body));
    EW_ASSERT(ew_events_cut(&a->sse) == ew_events_cut(&b->sse));
    EW_ASSERT(ew_events_cut(&a->lines) == ew_events_cut(&b->lines));
    EW_ASSERT(buf_equal(&a->told_sse, &b->told_sse));
    EW_ASSERT(buf_equal(&a->told_lines, &b->told_lines));
}

static void fini(struct way *way)
{
    ew_http_parse_fini(&way->parse);
    ew_events_fini(&way->sse);
    ew_events_fini(&way->lines);
    ew_buf_fini(&way->body);
    ew_buf_fini(&way->told_sse);
    ew_buf_fini(&way->told_lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct way ways[WAYS];
    if (bytes == 0 || bytes > BODY_MAX)
        return 0;
    const size_t cut = 1 + data[bytes - 1] * bytes / 256;
    const size_t firsts[WAYS] = {bytes, 1, cut}, rests[WAYS] = {bytes, 1, bytes};
    for (int i = 0; i < WAYS; i++) {
        feed(&ways[i], (const char *)data, bytes, firsts[i], rests[i]);
        check(&ways[i]);
    }
    for (int i = 1; i < WAYS; i++)
        check_same(&ways[0], &ways[i]);
    for (int i = 0; i < WAYS; i++)
        fini(&ways[i]);
    return 0;
}
