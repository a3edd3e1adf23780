/* dialect_openai_answer.c - OpenAI's answers, chat and legacy, whole and in chunks, as OpenAI's own
 * service, edgewise, llama-server, vLLM, Ollama and clouds with a compatible address send them.
 *
 * They differ in what they leave out, so that much may be missing: the role, the index of a choice
 * or a call, a delta in the last chunk, usage. Thoughts (reasoning_content, reasoning) are tokens,
 * but no text; in EW_ANSWER_TEXT they pass with all else. */
#include "api/dialect_int.h"
#include "api/dialect_openai_int.h"
#include "api/dialect_openai_plain.h"
#include "api/scan.h"
#include "api/splice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- log probabilities ---- */

static float read_logprob(const json_t *value)
{
    return json_is_number(value) ? (float)json_number_value(value) : NAN;
}

/* The bytes of a token that is no whole character stand in "bytes" alone. */
static struct ew_str token_bytes(struct ew_answer *answer, const json_t *token)
{
    const json_t *bytes = ew_answer_array(answer, token, "bytes");
    size_t count = json_array_size(bytes);
    char *text = count ? ew_answer_alloc(answer, count, 1) : NULL;
    for (size_t i = 0; text && i < count; i++) {
        json_int_t byte = json_integer_value(json_array_get(bytes, i));
        if (byte < 0 || byte > UINT8_MAX)
            ew_answer_fail(answer, "'bytes' of a token of the answer has a number that is no byte");
        text[i] = (char)byte;
    }
    struct ew_str own =
        text ? (struct ew_str){text, count} : ew_answer_text(answer, token, "token");
    return own.data ? own : (struct ew_str){"", 0};
}

static struct ew_reply_token read_token(struct ew_answer *answer, const json_t *token)
{
    return (struct ew_reply_token){.text = token_bytes(answer, token),
                                   .id = -1,
                                   .logprob = read_logprob(json_object_get(token, "logprob"))};
}

void ew_openai_answer_tokens(struct ew_answer *answer, const json_t *content,
                             struct ew_delta *delta)
{
    size_t count = json_array_size(content);
    struct ew_reply_token *tokens = ew_answer_alloc(answer, count, sizeof *tokens);
    for (size_t i = 0; tokens && i < count; i++) {
        const json_t *token = json_array_get(content, i);
        const json_t *top = ew_answer_array(answer, token, "top_logprobs");
        size_t tops = json_array_size(top);
        tops = tops < EW_LOGPROBS_MAX ? tops : EW_LOGPROBS_MAX;
        struct ew_reply_token *told = tops ? ew_answer_alloc(answer, tops, sizeof *told) : NULL;
        for (size_t k = 0; told && k < tops; k++)
            told[k] = read_token(answer, json_array_get(top, k));
        tokens[i] = read_token(answer, token);
        tokens[i].top = told;
        tokens[i].top_count = told ? (uint32_t)tops : 0;
    }
    delta->tokens = tokens;
    delta->token_count = tokens ? count : 0;
}

static struct ew_str str_of(const json_t *string)
{
    return json_is_string(string)
               ? (struct ew_str){json_string_value(string), json_string_length(string)}
               : (struct ew_str){"", 0};
}

/* {" a": -0.5, …} */
static uint32_t read_legacy_top(struct ew_answer *answer, const json_t *top,
                                const struct ew_reply_token **gives)
{
    size_t count = json_object_size(top), at = 0;
    struct ew_reply_token *tokens = count ? ew_answer_alloc(answer, count, sizeof *tokens) : NULL;
    const char *key;
    json_t *value;
    if (!tokens)
        return 0;
    json_object_foreach((json_t *)top, key, value)
    {
        if (at < EW_LOGPROBS_MAX)
            tokens[at++] = (struct ew_reply_token){
                .text = {key, strlen(key)}, .id = -1, .logprob = read_logprob(value)};
    }
    *gives = tokens;
    return (uint32_t)at;
}

/* {"tokens": […], "token_logprobs": […], "top_logprobs": [{…}, …]} */
static void read_legacy_tokens(struct ew_answer *answer, const json_t *logprobs,
                               struct ew_delta *delta)
{
    const json_t *texts = ew_answer_array(answer, logprobs, "tokens");
    const json_t *values = ew_answer_array(answer, logprobs, "token_logprobs");
    const json_t *tops = ew_answer_array(answer, logprobs, "top_logprobs");
    size_t count = json_array_size(texts);
    struct ew_reply_token *tokens = count ? ew_answer_alloc(answer, count, sizeof *tokens) : NULL;
    for (size_t i = 0; tokens && i < count; i++) {
        tokens[i] = (struct ew_reply_token){.text = str_of(json_array_get(texts, i)),
                                            .id = -1,
                                            .logprob = read_logprob(json_array_get(values, i))};
        tokens[i].top_count = read_legacy_top(answer, json_array_get(tops, i), &tokens[i].top);
    }
    delta->tokens = tokens;
    delta->token_count = tokens ? count : 0;
}

static void read_logprobs(struct ew_answer *answer, const json_t *choice, uint32_t index)
{
    if (answer->form == EW_ANSWER_TEXT || !answer->request->logprobs)
        return;
    const json_t *logprobs = ew_answer_object(answer, choice, "logprobs");
    const json_t *content = ew_answer_array(answer, logprobs, "content");
    struct ew_delta *delta = logprobs ? ew_answer_delta(answer, index) : NULL;
    if (delta && content) /* llama-server has this form in legacy answers, too */
        ew_openai_answer_tokens(answer, content, delta);
    else if (delta)
        read_legacy_tokens(answer, logprobs, delta);
}

/* ---- text and calls ---- */

/* Parts, as Mistral's thinking models send: text, and thoughts. */
static void read_parts(struct ew_answer *answer, uint32_t index, const json_t *parts)
{
    for (size_t i = 0; i < json_array_size(parts); i++) {
        struct ew_str text = ew_answer_text(answer, json_array_get(parts, i), "text");
        if (text.data)
            ew_answer_say(answer, index, text);
        else
            ew_answer_stir(answer);
    }
}

static void read_call(struct ew_answer *answer, uint32_t index, const json_t *piece, size_t at)
{
    uint32_t place = (uint32_t)at;
    (void)ew_answer_count(answer, piece, "index", &place);
    const json_t *function = ew_answer_object(answer, piece, "function");
    struct ew_str id = ew_answer_text(answer, piece, "id");
    struct ew_answer_call *call = ew_answer_call(answer, index, place, id);
    const char *name = ew_answer_word(answer, function, "name");
    struct ew_str arguments = ew_answer_text(answer, function, "arguments");
    if (!call)
        return;
    if (name && !call->name.bytes) /* a name comes once, whole; some repeat it in each piece */
        ew_answer_call_add(answer, &call->name, (struct ew_str){name, strlen(name)});
    ew_answer_call_add(answer, &call->arguments, arguments);
}

static void read_message(struct ew_answer *answer, uint32_t index, const json_t *message)
{
    static const char *const thoughts[] = {"reasoning_content", "reasoning"};
    const json_t *content = json_object_get(message, "content");
    const json_t *calls = ew_answer_array(answer, message, "tool_calls");
    for (size_t i = 0; i < EW_COUNT(thoughts); i++)
        if (ew_answer_text(answer, message, thoughts[i]).bytes)
            ew_answer_stir(answer);
    if (json_is_array(content))
        read_parts(answer, index, content);
    else
        ew_answer_say(answer, index, ew_answer_text(answer, message, "content"));
    ew_answer_say(answer, index, ew_answer_text(answer, message, "refusal"));
    for (size_t i = 0; i < json_array_size(calls); i++) {
        ew_answer_stir(answer);
        if (answer->form == EW_ANSWER_DELTAS)
            read_call(answer, index, json_array_get(calls, i), i);
    }
}

/* ---- choices ---- */

static enum ew_finish finish_of(const char *word)
{
    if (!word || !*word)
        return EW_FINISH_NONE;
    if (strcmp(word, "length") == 0)
        return EW_FINISH_LENGTH;
    if (strcmp(word, "tool_calls") == 0 || strcmp(word, "function_call") == 0)
        return EW_FINISH_TOOL_CALLS;
    return EW_FINISH_STOP; /* also content_filter, eos, and what others there may be */
}

static void read_choice(struct ew_answer *answer, const json_t *choice, size_t at,
                        enum ew_openai_part part)
{
    bool legacy = answer->request->kind == EW_REQUEST_COMPLETION;
    const char *key = legacy ? "text" : part == EW_OPENAI_WHOLE ? "message" : "delta";
    uint32_t index = (uint32_t)at;
    if (!json_is_object(choice)) {
        ew_answer_fail(answer, "a choice of the answer is %s, not an object",
                       ew_read_type_words(choice));
        return;
    }
    (void)ew_answer_count(answer, choice, "index", &index);
    (void)ew_answer_in_range(answer, index);
    if (part == EW_OPENAI_WHOLE && !json_object_get(choice, key))
        ew_answer_fail(answer, "a choice of the answer has no '%s'", key);
    if (legacy)
        ew_answer_say(answer, index, ew_answer_text(answer, choice, key));
    else
        read_message(answer, index, ew_answer_object(answer, choice, key));
    read_logprobs(answer, choice, index);
    ew_answer_finish(answer, index, finish_of(ew_answer_word(answer, choice, "finish_reason")));
}

static void read_usage(struct ew_answer *answer, const json_t *usage)
{
    struct ew_answer_news *news = &answer->news;
    uint32_t prompt, output, cached = 0;
    if (!usage)
        return;
    bool known = ew_answer_count(answer, usage, "prompt_tokens", &prompt);
    known = ew_answer_count(answer, usage, "completion_tokens", &output) && known;
    const json_t *details = ew_answer_object(answer, usage, "prompt_tokens_details");
    (void)ew_answer_count(answer, details, "cached_tokens", &cached);
    ew_answer_extra(answer, usage);
    if (!known || ew_answer_failed(answer))
        return;
    news->has_usage = true;
    news->prompt_tokens = prompt;
    news->output_tokens = output;
    news->cached_tokens = cached < prompt ? cached : prompt;
}

static void read_head(struct ew_answer *answer, const json_t *root)
{
    const json_t *created = json_object_get(root, "created");
    const char *id = *answer->id ? NULL : ew_answer_word(answer, root, "id");
    if (id)
        snprintf(answer->id, sizeof answer->id, "%s", id);
    if (json_is_number(created) && !answer->created_s) /* some have fractions */
        answer->created_s = (int64_t)fmin(fmax(json_number_value(created), 0), 0x1p52);
}

/* False: there is nothing more to read. */
static bool read_root(struct ew_answer *answer, const json_t *root, enum ew_openai_part part)
{
    if (!root || ew_answer_refused(answer, root))
        return false;
    const json_t *choices = ew_answer_array(answer, root, "choices");
    const json_t *usage = ew_answer_object(answer, root, "usage");
    bool enough = part == EW_OPENAI_WHOLE ? json_array_size(choices) > 0 : choices || usage;
    if (!enough)
        ew_answer_fail(answer, "the answer has no choices");
    read_head(answer, root);
    for (size_t i = 0; i < json_array_size(choices) && !ew_answer_failed(answer); i++)
        read_choice(answer, json_array_get(choices, i), i, part);
    read_usage(answer, usage);
    return !ew_answer_failed(answer);
}

/* ---- as it nearly always is ---- */

/* Text lies in the event's bytes, or in the answer's blocks. */
static struct ew_str meaning(struct ew_answer *answer, struct ew_str raw)
{
    if (!raw.bytes || !memchr(raw.data, '\\', raw.bytes))
        return raw;
    char *text = ew_answer_alloc(answer, raw.bytes, 1);
    return (struct ew_str){text, text ? ew_scan_unescape(raw, text) : 0};
}

static void take_plain_usage(struct ew_answer_news *news, const struct ew_openai_plain *p)
{
    if (p->prompt_tokens < 0 || p->output_tokens < 0)
        return;
    uint32_t cached = p->cached_tokens > 0 ? (uint32_t)p->cached_tokens : 0;
    news->has_usage = true;
    news->prompt_tokens = (uint32_t)p->prompt_tokens;
    news->output_tokens = (uint32_t)p->output_tokens;
    news->cached_tokens = cached < news->prompt_tokens ? cached : news->prompt_tokens;
}

/* What read_root does, without a tree. */
static bool take_plain(struct ew_answer *answer, const struct ew_openai_plain *p)
{
    if (!*answer->id && p->id.data)
        (void)ew_str_cut(answer->id, sizeof answer->id, p->id);
    if (p->created_s >= 0 && !answer->created_s)
        answer->created_s = p->created_s < (int64_t)1 << 52 ? p->created_s : (int64_t)1 << 52;
    uint32_t index = p->index > 0 ? (uint32_t)p->index : 0;
    if (p->has_choice && ew_answer_in_range(answer, index)) {
        char finish[32];
        (void)ew_str_cut(finish, sizeof finish, p->finish);
        if (p->has_thoughts)
            ew_answer_stir(answer);
        ew_answer_say(answer, index, meaning(answer, p->content));
        ew_answer_say(answer, index, meaning(answer, p->refusal));
        ew_answer_finish(answer, index, finish_of(finish));
    }
    if (!ew_answer_failed(answer))
        take_plain_usage(&answer->news, p);
    return !ew_answer_failed(answer);
}

/* Legacy answers have their text elsewhere. */
static bool is_plain(struct ew_answer *answer, struct ew_openai_plain *plain,
                     enum ew_openai_part part)
{
    return answer->request->kind == EW_REQUEST_CHAT && answer->form == EW_ANSWER_TEXT &&
           ew_openai_plain_read(plain, answer->data, part);
}

void ew_openai_answer_whole(struct ew_answer *answer)
{
    struct ew_openai_plain plain;
    if (is_plain(answer, &plain, EW_OPENAI_WHOLE))
        (void)take_plain(answer, &plain);
    else
        (void)read_root(answer, ew_answer_load(answer), EW_OPENAI_WHOLE);
}

/* ---- EW_ANSWER_TEXT ---- */

static void cut_usage(struct ew_answer *answer)
{
    struct ew_write text;
    struct ew_splice splice;
    ew_buf_clear(&answer->text);
    ew_write_begin(&text, &answer->text);
    ew_jsonw_object(&text.json);
    ew_splice_open(&splice, answer->data);
    while (ew_splice_next(&splice))
        if (!ew_splice_is(&splice, "usage"))
            ew_jsonw_put_raw(&text.json, splice.key, splice.value);
    ew_jsonw_end(&text.json);
    if (splice.broken)
        ew_answer_fail(answer, "the answer can't be taken apart");
    if (ew_jsonw_finish(&text.json, &answer->err) == 0)
        answer->news.text = (struct ew_str){answer->text.data, answer->text.bytes - 1};
}

/* A line end within would end the event, too, that it becomes. */
static void on_one_line(struct ew_answer *answer)
{
    struct ew_str *text = &answer->news.text;
    struct ew_buf line;
    if (!memchr(text->data, '\n', text->bytes) && !memchr(text->data, '\r', text->bytes))
        return;
    ew_buf_init(&line, answer->text.max);
    if (ew_splice_compact(&line, *text, &answer->err) == 0)
        *text = (struct ew_str){line.data, line.bytes};
    ew_buf_fini(&answer->text);
    answer->text = line;
}

struct shape {
    bool has_choices; /* at least one */
    bool has_usage, usage_is_object, usage_is_null;
};

static void make_text(struct ew_answer *answer, struct shape shape)
{
    if (shape.usage_is_object && !shape.has_choices)
        return;
    /* A client that wants the usage is told null until then. */
    bool passes = !shape.has_usage || (shape.usage_is_null && answer->request->include_usage);
    if (passes)
        answer->news.text = answer->data;
    else
        cut_usage(answer);
    if (!ew_answer_failed(answer))
        on_one_line(answer);
}

static struct shape shape_of(const json_t *root)
{
    const json_t *usage = json_object_get(root, "usage");
    return (struct shape){json_array_size(json_object_get(root, "choices")) > 0, usage != NULL,
                          json_is_object(usage), json_is_null(usage)};
}

static bool is_done(struct ew_str data)
{
    while (data.bytes && (data.data[data.bytes - 1] == ' ' || data.data[data.bytes - 1] == '\r'))
        data.bytes--;
    return ew_str_is(data, "[DONE]");
}

void ew_openai_answer_event(struct ew_answer *answer, const char *name)
{
    (void)name; /* errors are told by their key */
    if (is_done(answer->data)) {
        ew_answer_end(answer);
        answer->news.ended = true;
        return;
    }
    struct ew_openai_plain plain;
    if (is_plain(answer, &plain, EW_OPENAI_CHUNK)) {
        if (take_plain(answer, &plain))
            make_text(answer,
                      (struct shape){plain.has_choice, plain.usage_is_object || plain.usage_is_null,
                                     plain.usage_is_object, plain.usage_is_null});
        return;
    }
    const json_t *root = ew_answer_load(answer);
    if (read_root(answer, root, EW_OPENAI_CHUNK) && answer->form == EW_ANSWER_TEXT)
        make_text(answer, shape_of(root));
}

/* ---- the body of an answer in whole ---- */

static bool is_ours(const struct ew_splice *field)
{
    return ew_splice_is(field, "device") || ew_splice_is(field, "energy_j") ||
           ew_splice_is(field, "energy_kind") || ew_splice_is(field, "cost_cents") ||
           ew_splice_is(field, "ttft_ms") || ew_splice_is(field, "tokens_per_s") ||
           ew_splice_is(field, "estimated");
}

/* The counts of usage. */
enum { COUNT_PROMPT, COUNT_COMPLETION, COUNT_TOTAL, COUNTS };

/* Which of them the field is; COUNTS: none. */
static int count_of(const struct ew_splice *field)
{
    return ew_splice_is(field, "prompt_tokens")       ? COUNT_PROMPT
           : ew_splice_is(field, "completion_tokens") ? COUNT_COMPLETION
           : ew_splice_is(field, "total_tokens")      ? COUNT_TOTAL
                                                      : COUNTS;
}

static bool is_number(struct ew_str value)
{
    return value.bytes && strchr("-0123456789", *value.data) && *value.data;
}

/* Theirs, and of counts ours where they have none, or something else than a number. */
static void write_usage(struct ew_jsonw *json, const struct ew_reply *reply, struct ew_str theirs)
{
    const struct ew_usage *u = &reply->usage;
    bool told[COUNTS + 1] = {false};
    struct ew_splice field;
    ew_jsonw_key(json, "usage");
    ew_jsonw_object(json);
    ew_splice_open(&field, theirs);
    while (ew_splice_next(&field)) {
        int count = count_of(&field);
        if (count < COUNTS && !is_number(field.value))
            continue;
        told[count] = true;
        if (!is_ours(&field))
            ew_jsonw_put_raw(json, field.key, field.value);
    }
    if (!told[COUNT_PROMPT])
        ew_jsonw_put_u64(json, "prompt_tokens", u->prompt_tokens);
    if (!told[COUNT_COMPLETION])
        ew_jsonw_put_u64(json, "completion_tokens", u->output_tokens);
    if (!told[COUNT_TOTAL])
        ew_jsonw_put_u64(json, "total_tokens", (uint64_t)u->prompt_tokens + u->output_tokens);
    ew_write_extension(json, reply);
    ew_jsonw_end(json);
}

int ew_answer_rewrite(struct ew_answer *answer, const struct ew_reply *reply, struct ew_buf *out,
                      struct ew_err *err)
{
    struct ew_write text;
    struct ew_splice splice;
    struct ew_str theirs = {0};
    ew_write_begin(&text, out);
    ew_jsonw_object(&text.json);
    ew_splice_open(&splice, answer->body);
    while (ew_splice_next(&splice)) {
        if (ew_splice_is(&splice, "usage"))
            theirs = splice.value;
        else
            ew_jsonw_put_raw(&text.json, splice.key, splice.value);
    }
    if (splice.broken) /* it was no answer, or hasn't been read */
        text.json.err.code = ew_fail(&text.json.err, EW_EFORMAT, "there is no answer to rewrite");
    if (theirs.bytes && *theirs.data == '{')
        write_usage(&text.json, reply, theirs);
    else
        ew_openai_usage(&text.json, reply);
    ew_jsonw_end(&text.json);
    return ew_write_undo(&text, ew_jsonw_finish(&text.json, err));
}
