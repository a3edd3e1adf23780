/* choice.c - the joiner of characters, then the stop strings; tokens follow the text they made. */
#include "serve/choice.h"

#include <string.h>

#define TOKENS_BYTES_MAX (64u << 20) /* a context of 128k tokens with 20 alternatives each: 22 MB */

void ew_piece_init(struct ew_piece *piece)
{
    ew_buf_init(&piece->text, EW_CHOICE_TEXT_MAX);
    ew_buf_init(&piece->tokens, TOKENS_BYTES_MAX);
    ew_buf_init(&piece->top, TOKENS_BYTES_MAX);
}

void ew_piece_fini(struct ew_piece *piece)
{
    ew_buf_fini(&piece->text);
    ew_buf_fini(&piece->tokens);
    ew_buf_fini(&piece->top);
}

void ew_piece_clear(struct ew_piece *piece)
{
    ew_buf_clear(&piece->text);
    ew_buf_clear(&piece->tokens);
    ew_buf_clear(&piece->top);
}

int ew_choice_init(struct ew_choice *choice, const char *const *stops, size_t count,
                   enum ew_choice_tokens tokens, struct ew_err *err)
{
    *choice = (struct ew_choice){.keep_tokens = tokens == EW_CHOICE_KEEP_TOKENS};
    ew_buf_init(&choice->chars, EW_CHOICE_TEXT_MAX);
    ew_buf_init(&choice->ends, TOKENS_BYTES_MAX);
    ew_piece_init(&choice->held);
    return ew_stop_init(&choice->stop, stops, count, err);
}

void ew_choice_fini(struct ew_choice *choice)
{
    ew_buf_fini(&choice->chars);
    ew_buf_fini(&choice->ends);
    ew_piece_fini(&choice->held);
}

static int hold(struct ew_choice *choice, const struct ew_stream_event *event, struct ew_err *err)
{
    const struct ew_choice_token token = {event->token, event->logprob, event->top_count};
    int failed;
    if ((failed = ew_buf_add(&choice->ends, &choice->pushed, sizeof choice->pushed, err)) ||
        (failed = ew_buf_add(&choice->held.tokens, &token, sizeof token, err)))
        return failed;
    return event->top_count ? ew_buf_add(&choice->held.top, event->top,
                                         event->top_count * sizeof *event->top, err)
                            : 0;
}

static void drop_front(struct ew_buf *buf, size_t bytes)
{
    if (!bytes)
        return;
    memmove(buf->data, buf->data + bytes, buf->bytes - bytes);
    buf->bytes -= bytes;
}

/* Passes on the tokens that end within the first `bytes` bytes pushed. */
static int release(struct ew_choice *choice, uint64_t bytes, struct ew_piece *out,
                   struct ew_err *err)
{
    const uint64_t *ends = (const uint64_t *)(const void *)choice->ends.data;
    const struct ew_choice_token *tokens = (const void *)choice->held.tokens.data;
    size_t count = choice->ends.bytes / sizeof *ends, n = 0, top = 0;
    for (; n < count && ends[n] <= bytes; n++)
        top += tokens[n].top_count * sizeof(struct ew_token_logprob);
    if (!n)
        return 0;
    int failed = ew_buf_add(&out->tokens, choice->held.tokens.data, n * sizeof *tokens, err);
    if (!failed && top)
        failed = ew_buf_add(&out->top, choice->held.top.data, top, err);
    drop_front(&choice->ends, n * sizeof *ends);
    drop_front(&choice->held.tokens, n * sizeof *tokens);
    drop_front(&choice->held.top, top);
    return failed;
}

enum part { SOME_PART, LAST_PART };

static int pass_on(struct ew_choice *choice, enum part part, struct ew_piece *out,
                   struct ew_err *err)
{
    size_t before = out->text.bytes;
    int failed = ew_stop_push(&choice->stop, ew_buf_cstr(&choice->chars), choice->chars.bytes,
                              &out->text, err);
    ew_buf_clear(&choice->chars);
    if (!failed && part == LAST_PART && !choice->stop.met)
        failed = ew_stop_flush(&choice->stop, &out->text, err);
    choice->shown += out->text.bytes - before;
    if (failed || !choice->keep_tokens)
        return failed;
    /* Broken characters grow when they are repaired, so bytes pushed and bytes shown are not the
     * same count; what is held back is. */
    uint64_t settled = choice->pushed - (uint64_t)choice->utf8.bytes - choice->stop.held_bytes;
    if (choice->stop.met)
        settled = choice->shown;
    return release(choice, settled, out, err);
}

int ew_choice_push(struct ew_choice *choice, const char *bytes, size_t count,
                   const struct ew_stream_event *event, struct ew_piece *out, struct ew_err *err)
{
    choice->pushed += count;
    int failed = choice->keep_tokens ? hold(choice, event, err) : 0;
    if (!failed)
        failed = ew_utf8_push(&choice->utf8, bytes, count, &choice->chars, err);
    return failed ? failed : pass_on(choice, SOME_PART, out, err);
}

int ew_choice_flush(struct ew_choice *choice, struct ew_piece *out, struct ew_err *err)
{
    if (choice->stop.met)
        return 0;
    int failed = ew_utf8_flush(&choice->utf8, &choice->chars, err);
    choice->utf8.bytes = 0;
    if (!failed)
        failed = pass_on(choice, LAST_PART, out, err);
    return failed || !choice->keep_tokens ? failed : release(choice, UINT64_MAX, out, err);
}
