/* fuzz_dialect.c - any bytes as an upstream's answer, and any client's request in its dialect.
 *
 * LLVMFuzzerTestOneInput is what libFuzzer calls (make fuzz FUZZ=dialect, clang);
 * unit/test_fuzz_dialect.c replays a corpus through it in make check. The first byte chooses the
 * dialect, the second the client's wire and how it is asked; then comes the client's body, behind a
 * NUL the upstream's answer, whose events are cut by \x01. What is composed must be JSON, what is
 * read must be what the server relies on and be written in the client's wire as JSON, and nothing
 * may be read that isn't there. */
#include "api/dialect.h"
#include "api/wire.h"
#include "flow/usage.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { TEXT_BYTES_MAX = 8 << 20 };

static const struct ew_wire *const wires[] = {
    &ew_openai_chat,
    &ew_openai_completion,
    &ew_ollama_chat,
    &ew_ollama_generate,
};
static const char *const dialects[] = {"openai", "ollama", "anthropic"};

static void must(bool fine)
{
    if (!fine)
        abort();
}

/* A copy of the exact size, so that a byte too far is seen. */
static struct ew_str copy_of(struct ew_str text)
{
    char *copy = malloc(text.bytes + !text.bytes);
    must(copy != NULL);
    if (text.bytes)
        memcpy(copy, text.data, text.bytes);
    return (struct ew_str){copy, text.bytes};
}

static void must_be_object(struct ew_str text)
{
    json_t *value = json_loadb(text.data, text.bytes, JSON_ALLOW_NUL, NULL);
    must(json_is_object(value));
    json_decref(value);
}

static void must_be_lines(const struct ew_buf *out)
{
    const char *text = ew_buf_cstr(out);
    while (*text) {
        size_t bytes = strcspn(text, "\n"), skip = strncmp(text, "data: ", 6) == 0 ? 6 : 0;
        if (bytes && strncmp(text + skip, "[DONE]", 6) != 0)
            must_be_object((struct ew_str){text + skip, bytes - skip});
        text += bytes + (text[bytes] == '\n');
    }
}

/* ---- asking ---- */

static void ask_with(const struct ew_dialect *dialect, const struct ew_dialect_ask *ask)
{
    struct ew_buf out;
    struct ew_fault fault;
    ew_buf_init(&out, TEXT_BYTES_MAX);
    bool lacks = ew_dialect_lacks(dialect, ask->request) != NULL;
    int rc = dialect->compose(ask, &out, &fault);
    must(rc == 0 || rc == -1);
    must((rc == 0) == (fault.status == 0) && (rc == 0 || out.bytes == 0));
    must(!lacks || fault.status == 400);
    must(lacks || rc == 0 || ask->prefill.data || fault.status == 400);
    if (rc == 0)
        must_be_object((struct ew_str){out.data, out.bytes});
    ew_buf_fini(&out);
}

static void ask_all(const struct ew_dialect *dialect, const struct ew_request *request,
                    struct ew_str body, struct ew_str words)
{
    for (int how = 0; how < 16; how++) {
        struct ew_dialect_ask ask = {.request = request,
                                     .model = "m",
                                     .stream = how & 1,
                                     .strict = how & 2,
                                     .prefill_tokens = 3};
        if (how & 4)
            ask.body = body;
        if (how & 8)
            ask.prefill = words;
        ask_with(dialect, &ask);
    }
}

/* ---- reading ---- */

static void check_delta(const struct ew_request *request, const struct ew_delta *d)
{
    must(d->choice < EW_REQUEST_CHOICES_MAX && d->text.data);
    must(!d->token_count || request->logprobs);
    for (size_t i = 0; i < d->call_count; i++) {
        must(*d->calls[i].id && d->calls[i].name.bytes);
        must_be_object(d->calls[i].arguments);
        must(!memchr(d->calls[i].arguments.data, '\n', d->calls[i].arguments.bytes));
    }
}

static void check_news(const struct ew_request *request, enum ew_answer_form form,
                       const struct ew_answer_news *news)
{
    must(form == EW_ANSWER_DELTAS ? !news->text.data : !news->delta_count);
    must(!news->has_usage || news->cached_tokens <= news->prompt_tokens);
    must(!news->fault || (news->fault->status >= 400 && *news->fault->message));
    for (size_t i = 0; i < news->delta_count; i++)
        check_delta(request, &news->deltas[i]);
}

struct reading {
    const struct ew_dialect *dialect;
    const struct ew_wire *wire;
    struct ew_reply reply;
    struct ew_answer *answer;
    struct ew_answer_news news;
    struct ew_err err;
    struct ew_buf out;
};

static void begin(struct reading *r, enum ew_answer_form form)
{
    must(ew_answer_open(&r->answer, r->dialect, r->reply.request, form, &r->err) == 0);
    ew_buf_init(&r->out, TEXT_BYTES_MAX);
}

static void end(struct reading *r)
{
    must_be_lines(&r->out);
    ew_answer_close(&r->answer);
    ew_buf_fini(&r->out);
}

static void check_rc(int rc, const struct ew_err *err)
{
    must(rc == 0 || ((rc == EW_EFORMAT || rc == EW_ELIMIT) && *err->text));
}

static void read_whole(struct reading *r, enum ew_answer_form form, struct ew_str body)
{
    begin(r, form);
    struct ew_str copy = copy_of(body);
    int rc = ew_answer_whole(r->answer, copy, &r->news, &r->err);
    check_rc(rc, &r->err);
    if (rc == 0) {
        check_news(r->reply.request, form, &r->news);
        if (form == EW_ANSWER_TEXT && !r->news.fault)
            must(ew_answer_rewrite(r->answer, &r->reply, &r->out, NULL) == 0);
        else if (form == EW_ANSWER_DELTAS)
            must(r->wire->whole(&r->reply, r->news.deltas, r->news.delta_count, &r->out) == 0);
    }
    if (form == EW_ANSWER_TEXT && rc == 0 && !r->news.fault) {
        must_be_object((struct ew_str){r->out.data, r->out.bytes}); /* it may be on many lines */
        ew_buf_clear(&r->out);
    }
    end(r);
    free((char *)copy.data);
}

static void read_stream(struct reading *r, enum ew_answer_form form, struct ew_str events)
{
    int rc = 0;
    begin(r, form);
    for (size_t at = 0; at <= events.bytes && rc == 0;) {
        const char *from = events.data + at, *cut = memchr(from, 1, events.bytes - at);
        size_t count = cut ? (size_t)(cut - from) : events.bytes - at;
        struct ew_str copy = copy_of((struct ew_str){from, count});
        rc = ew_answer_event(r->answer, "", copy, &r->news, &r->err);
        check_rc(rc, &r->err);
        if (rc == 0)
            check_news(r->reply.request, form, &r->news);
        if (rc == 0 && r->news.text.data) {
            must_be_object(r->news.text);
            must(!memchr(r->news.text.data, '\n', r->news.text.bytes));
        }
        for (size_t i = 0; rc == 0 && i < r->news.delta_count; i++)
            must(r->wire->delta(&r->reply, &r->news.deltas[i], &r->out) == 0);
        free((char *)copy.data);
        at += count + 1;
    }
    must(ew_answer_said(r->answer).data != NULL && ew_answer_id(r->answer) != NULL);
    end(r);
}

static void take_name(void *user, const char *name, uint32_t ctx)
{
    (void)user;
    (void)ctx;
    must(*name);
}

static void read_all(const struct ew_dialect *dialect, const struct ew_wire *wire,
                     const struct ew_request *request, struct ew_str answer)
{
    struct reading r = {.dialect = dialect, .wire = wire};
    struct ew_fault fault;
    struct ew_err err = {0};
    bool openai = wire == &ew_openai_chat || wire == &ew_openai_completion;
    r.reply = (struct ew_reply){.request = request,
                                .model = "m",
                                .device = "d",
                                .fingerprint = "f",
                                .usage = ew_usage_none()};
    for (int form = 0; form < (openai && strcmp(dialect->name, "openai") == 0 ? 2 : 1); form++) {
        read_whole(&r, (enum ew_answer_form)form, answer);
        read_stream(&r, (enum ew_answer_form)form, answer);
    }
    struct ew_str copy = copy_of(answer);
    ew_dialect_fault(dialect, 400, copy, &fault);
    must(fault.status == 400 && *fault.message && !strstr(fault.message, "sk-0123456789"));
    check_rc(ew_dialect_models(dialect, copy, take_name, NULL, &err), &err);
    free((char *)copy.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2)
        return 0;
    const struct ew_dialect *dialect = ew_dialect_find(dialects[data[0] % EW_COUNT(dialects)]);
    const struct ew_wire *wire = wires[data[1] % EW_COUNT(wires)];
    const char *text = (const char *)data + 2, *end = memchr(text, '\0', bytes - 2);
    struct ew_str body = {text, end ? (size_t)(end - text) : bytes - 2}, answer = {"", 0};
    struct ew_request request;
    struct ew_fault fault;
    must(dialect != NULL);
    if (end)
        answer = (struct ew_str){end + 1, bytes - 3 - body.bytes};
    struct ew_str copy = copy_of(body);
    if (wire->parse(&request, copy, &fault) == 0) {
        ask_all(dialect, &request, copy, answer);
        read_all(dialect, wire, &request, answer);
    }
    ew_request_fini(&request);
    free((char *)copy.data);
    return 0;
}
