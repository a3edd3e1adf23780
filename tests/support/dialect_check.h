/* dialect_check.h - for the tests of dialects: a client's request in another server's words, and
 * that server's answer as a line that says what was read.
 *
 * Inline, as wire_check.h is. */
#ifndef EW_DIALECT_CHECK_H
#define EW_DIALECT_CHECK_H

#include "support/wire_check.h"

#include "api/dialect.h"

static inline struct ew_str dialect_str(const char *text)
{
    return text ? (struct ew_str){text, strlen(text)} : (struct ew_str){0};
}

/* ---- asking ---- */

struct dialect_ask_case {
    const struct ew_wire *wire; /* the client's */
    const char *client;         /* its body */
    const char *upstream;       /* the body that is wanted; of a refusal: its param */
    bool stream, strict;
    const char *prefill;
    uint32_t prefill_tokens;
};

static inline bool dialect_is_openai(const struct ew_wire *wire)
{
    return wire == &ew_openai_chat || wire == &ew_openai_completion;
}

/* The client's bytes are of their very size and gone with the request, as in the server. */
static inline int dialect_compose(const struct ew_dialect *dialect,
                                  const struct dialect_ask_case *c, struct ew_buf *out,
                                  struct ew_fault *fault)
{
    struct ew_request request;
    size_t bytes = strlen(c->client);
    char *body = malloc(bytes);
    assert_non_null(body);
    memcpy(body, c->client, bytes);
    if (c->wire->parse(&request, (struct ew_str){body, bytes}, fault))
        fail_msg("%s\n  refused by us: %s", c->client, fault->message);
    struct ew_dialect_ask ask = {.request = &request,
                                 .model = "up\"1",
                                 .stream = c->stream,
                                 .strict = c->strict,
                                 .prefill = dialect_str(c->prefill),
                                 .prefill_tokens = c->prefill_tokens};
    if (dialect_is_openai(c->wire))
        ask.body = (struct ew_str){body, bytes};
    int rc = dialect->compose(&ask, out, fault);
    ew_request_fini(&request);
    free(body);
    return rc;
}

static inline void dialect_check_ask(const struct ew_dialect *dialect,
                                     const struct dialect_ask_case *c)
{
    struct ew_buf out;
    struct ew_fault fault;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    int rc = dialect_compose(dialect, c, &out, &fault);
    if (rc || fault.status)
        fail_msg("%s\n  refused: %d '%s' %s", c->client, fault.status, fault.param, fault.message);
    wire_check_lines(ew_buf_cstr(&out));
    assert_int_equal(out.data[--out.bytes], '\n');
    out.data[out.bytes] = '\0';
    if (strcmp(out.data, c->upstream) != 0)
        fail_msg("%s\n  got    %s\n  wanted %s", c->client, out.data, c->upstream);
    ew_buf_fini(&out);
}

static inline void dialect_check_refusal(const struct ew_dialect *dialect,
                                         const struct dialect_ask_case *c)
{
    struct ew_buf out;
    struct ew_fault fault;
    ew_buf_init(&out, WIRE_CHECK_BYTES_MAX);
    assert_int_equal(ew_buf_text(&out, "before", NULL), 0);
    int rc = dialect_compose(dialect, c, &out, &fault);
    if (rc != -1 || fault.status != 400 || strcmp(fault.param, c->upstream) != 0)
        fail_msg("%s\n  got %d: %d '%s' %s", c->client, rc, fault.status, fault.param,
                 fault.message);
    assert_string_equal(ew_buf_cstr(&out), "before");
    ew_buf_fini(&out);
}

/* What ew_dialect_lacks says of the client's body. */
static inline void dialect_check_lacks(const struct ew_dialect *dialect, const struct ew_wire *wire,
                                       const char *body, const char *wanted)
{
    struct ew_request request;
    wire_check_accept(wire, body, &request);
    const char *lack = ew_dialect_lacks(dialect, &request);
    if (!!lack != !!wanted || (lack && strcmp(lack, wanted) != 0))
        fail_msg("%s\n  lacks '%s', wanted '%s'", body, lack ? lack : "", wanted ? wanted : "");
    ew_request_fini(&request);
}

/* ---- reading ---- */

static inline void dialect_say_delta(struct ew_buf *out, const struct ew_delta *d)
{
    static const char *const finish[] = {"", " stop", " length", " tool_calls"};
    ew_buf_printf(out, NULL, "%u@%zu'", d->choice, d->text_offset);
    ew_buf_add(out, d->text.data, d->text.bytes, NULL);
    ew_buf_text(out, "'", NULL);
    for (size_t i = 0; i < d->token_count; i++) {
        const struct ew_reply_token *t = &d->tokens[i];
        ew_buf_printf(out, NULL, " [%.*s %g", (int)t->text.bytes, t->text.data, (double)t->logprob);
        for (uint32_t k = 0; k < t->top_count; k++)
            ew_buf_printf(out, NULL, " %.*s=%g", (int)t->top[k].text.bytes, t->top[k].text.data,
                          (double)t->top[k].logprob);
        ew_buf_text(out, "]", NULL);
    }
    for (size_t i = 0; i < d->call_count; i++)
        ew_buf_printf(out, NULL, " #%zu %s %.*s(%.*s)", d->call_first + i, d->calls[i].id,
                      (int)d->calls[i].name.bytes, d->calls[i].name.data,
                      (int)d->calls[i].arguments.bytes, d->calls[i].arguments.data);
    ew_buf_printf(out, NULL, "%s; ", finish[d->finish]);
}

/* What is new, in a line: "0@0'Hi'; content1 usage 7/4/3 ended". */
static inline void dialect_say(struct ew_buf *out, const struct ew_answer_news *news)
{
    ew_buf_clear(out);
    if (news->text.data) {
        assert_null(memchr(news->text.data, '\n', news->text.bytes));
        ew_buf_add(out, news->text.data, news->text.bytes, NULL);
        ew_buf_text(out, " ", NULL);
    }
    for (size_t i = 0; i < news->delta_count; i++)
        dialect_say_delta(out, &news->deltas[i]);
    if (news->has_content)
        ew_buf_printf(out, NULL, "content%u ", news->pieces);
    if (news->has_usage)
        ew_buf_printf(out, NULL, "usage %u/%u/%u ", news->prompt_tokens, news->cached_tokens,
                      news->output_tokens);
    if (*news->extra.device)
        ew_buf_printf(out, NULL, "by %s %gJ %d %gc %gms %g/s ", news->extra.device,
                      news->extra.energy_j, (int)news->extra.energy_kind, news->extra.cost_cents,
                      news->extra.ttft_ms, news->extra.tokens_per_s);
    if (news->fault)
        ew_buf_printf(out, NULL, "fault %d %s %s ", news->fault->status,
                      news->fault->code ? news->fault->code : "-", news->fault->message);
    if (news->ended)
        ew_buf_text(out, "ended ", NULL);
    if (out->bytes)
        out->data[--out->bytes] = '\0';
}

/* Nothing that isn't given may be read: the bytes are of their very size. */
static inline int dialect_read(struct ew_answer *answer, const char *name, struct ew_str data,
                               bool whole, struct ew_answer_news *news, struct ew_err *err)
{
    char *copy = malloc(data.bytes + !data.bytes);
    assert_non_null(copy);
    memcpy(copy, data.data, data.bytes);
    struct ew_str own = {copy, data.bytes};
    int rc = whole ? ew_answer_whole(answer, own, news, err)
                   : ew_answer_event(answer, name, own, news, err);
    if (news->text.data == copy) /* borrowed until the next call: here, the sample's own */
        news->text.data = data.data;
    free(copy);
    return rc;
}

struct dialect_event {
    const char *name, *data; /* data NULL: the end of the list */
    const char *said;        /* as dialect_say has it; NULL: EW_EFORMAT */
};

/* A stream, event by event; a sample that must fail is the last one. */
static inline void dialect_check_stream(const struct ew_dialect *dialect,
                                        const struct ew_request *request, enum ew_answer_form form,
                                        const struct dialect_event *events)
{
    struct ew_answer *answer;
    struct ew_answer_news news;
    struct ew_buf said;
    struct ew_err err = {0};
    assert_int_equal(ew_answer_open(&answer, dialect, request, form, &err), 0);
    ew_buf_init(&said, WIRE_CHECK_BYTES_MAX);
    for (; events->data; events++) {
        int rc = dialect_read(answer, events->name, dialect_str(events->data), false, &news, &err);
        dialect_say(&said, &news);
        if (rc != (events->said ? 0 : EW_EFORMAT))
            fail_msg("%s\n  got %d: %s", events->data, rc, err.text);
        if (events->said && strcmp(ew_buf_cstr(&said), events->said) != 0)
            fail_msg("%s\n  got    %s\n  wanted %s", events->data, ew_buf_cstr(&said),
                     events->said);
    }
    ew_buf_fini(&said);
    ew_answer_close(&answer);
    assert_null(answer);
}

/* An answer in one piece, by one or two choices as the request has it. */
static inline void dialect_check_whole(const struct ew_dialect *dialect,
                                       const struct ew_request *request, const char *body,
                                       const char *wanted)
{
    struct ew_answer *answer;
    struct ew_answer_news news;
    struct ew_buf said;
    struct ew_err err = {0};
    assert_int_equal(ew_answer_open(&answer, dialect, request, EW_ANSWER_DELTAS, &err), 0);
    ew_buf_init(&said, WIRE_CHECK_BYTES_MAX);
    int rc = dialect_read(answer, NULL, dialect_str(body), true, &news, &err);
    dialect_say(&said, &news);
    if (rc != (wanted ? 0 : EW_EFORMAT))
        fail_msg("%s\n  got %d: %s", body, rc, err.text);
    if (wanted && strcmp(ew_buf_cstr(&said), wanted) != 0)
        fail_msg("%s\n  got    %s\n  wanted %s", body, ew_buf_cstr(&said), wanted);
    if (!wanted && strlen(err.text) < 10)
        fail_msg("%s\n  no sentence: '%s'", body, err.text);
    ew_buf_fini(&said);
    ew_answer_close(&answer);
}

#endif
