/* prepare.c - template, tokens, checks, grammar. */
#include "serve/prepare.h"

#include <stdlib.h>
#include <string.h>

#include "api/tools.h"
#include "api/wire.h"
#include "serve/jobs.h"

#define CHAT_TEXT_MAX (64u << 20) /* four times the largest body that is the default */

/* Whose fault an error is follows from its code: what the client sent, or what we lack. */
static int tell(struct ew_fault *fault, const char *param, const struct ew_err *err)
{
    switch (err->code) {
    case EW_ENOMEM:
        ew_fault_set(fault, 503, NULL, NULL, "%s", err->text);
        break;
    case EW_EIO:
    case EW_ENET:
        ew_fault_set(fault, 500, NULL, NULL, "%s", err->text);
        break;
    default:
        ew_fault_set(fault, 400, NULL, param, "%s", err->text);
    }
    return -1;
}

static int tokenize(const struct ew_model *model, struct ew_str text, unsigned flags,
                    struct ew_job_prompt *out, struct ew_err *err)
{
    size_t capacity = text.bytes + 2; /* what the file may want in front and behind */
    int failed = EW_ELIMIT;
    for (int try = 0; try < 2 && failed == EW_ELIMIT; try++) {
        int32_t *tokens = realloc(out->tokens, capacity * sizeof *tokens);
        if (!tokens)
            return ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", capacity);
        out->tokens = tokens;
        failed = ew_model_tokenize(model, text.data ? text.data : "", text.bytes, flags, tokens,
                                   capacity, &out->count, err);
        capacity = out->count;
    }
    return failed;
}

/* ---- chat ---- */

static int render(const struct ew_model *model, struct ew_str messages, struct ew_str tools,
                  struct ew_buf *text, bool *has_bos, struct ew_err *err)
{
    size_t capacity = messages.bytes + tools.bytes + (1 << 14), bytes = 0;
    int failed = EW_ELIMIT;
    for (int try = 0; try < 2 && failed == EW_ELIMIT; try++) {
        ew_buf_clear(text);
        if (!ew_buf_extend(text, capacity, err))
            return err->code;
        failed = ew_model_chat_json(model, messages.data, messages.bytes, tools.data, tools.bytes,
                                    text->data, capacity, &bytes, has_bos, err);
        capacity = bytes + 1;
    }
    text->bytes = failed ? 0 : bytes;
    return failed;
}

static int prepare_chat(struct ew_job *job, struct ew_fault *fault)
{
    const struct ew_request *r = &job->request;
    const struct ew_model *model = job->slot->model;
    bool wants_tools = r->tools.data && r->tool_choice != EW_TOOLS_NONE, has_bos = false;
    struct ew_str messages = r->messages, tools = wants_tools ? r->tools : (struct ew_str){0};
    struct ew_err err = {0};
    struct ew_buf text, words;
    int failed = 0;
    ew_buf_init(&text, CHAT_TEXT_MAX);
    ew_buf_init(&words, CHAT_TEXT_MAX);
    if (wants_tools && !ew_model_chat_has_tools(model)) {
        failed = ew_tools_in_words(r, &words, &err);
        messages = (struct ew_str){words.data, words.bytes};
        tools = (struct ew_str){0};
    }
    if (!failed)
        failed = render(model, messages, tools, &text, &has_bos, &err);
    if (!failed)
        failed =
            tokenize(model, (struct ew_str){text.data, text.bytes},
                     EW_TOKENIZE_SPECIAL | (has_bos ? 0 : EW_TOKENIZE_BOS), &job->prompts[0], &err);
    ew_buf_fini(&text);
    ew_buf_fini(&words);
    return failed ? tell(fault, "messages", &err) : 0;
}

/* ---- completion ---- */

static int prepare_prompt(const struct ew_model *model, const struct ew_request_prompt *from,
                          struct ew_job_prompt *to, struct ew_err *err)
{
    if (!from->tokens)
        return tokenize(model, from->text, EW_TOKENIZE_BOS | EW_TOKENIZE_SPECIAL, to, err);
    to->tokens = malloc((from->count + 1) * sizeof *to->tokens);
    if (!to->tokens)
        return ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", from->count);
    memcpy(to->tokens, from->tokens, from->count * sizeof *to->tokens);
    to->count = from->count;
    return 0;
}

static int prepare_completion(struct ew_job *job, struct ew_fault *fault)
{
    const struct ew_request *r = &job->request;
    struct ew_err err = {0};
    for (size_t i = 0; i < job->prompt_count; i++)
        if (prepare_prompt(job->slot->model, &r->prompts[i], &job->prompts[i], &err))
            return tell(fault, "prompt", &err);
    return 0;
}

/* ---- checks ---- */

static int check_tokens(const struct ew_job *job, uint32_t vocab, struct ew_fault *fault)
{
    for (size_t i = 0; i < job->prompt_count; i++)
        for (size_t k = 0; k < job->prompts[i].count; k++) {
            int32_t token = job->prompts[i].tokens[k];
            if (token < 0 || (uint32_t)token >= vocab) {
                ew_fault_set(fault, 400, NULL, "prompt",
                             "token %d: the model's vocabulary has 0"
                             " to %u",
                             (int)token, vocab - 1);
                return -1;
            }
        }
    const struct ew_sampling *s = &job->request.sampling;
    for (size_t i = 0; i < s->bias_count; i++)
        if (s->bias[i].token < 0 || (uint32_t)s->bias[i].token >= vocab) {
            ew_fault_set(fault, 400, NULL, "logit_bias",
                         "token %d: the model's vocabulary has 0"
                         " to %u",
                         (int)s->bias[i].token, vocab - 1);
            return -1;
        }
    return 0;
}

static int check_context(const struct ew_job *job, uint32_t ctx, struct ew_fault *fault)
{
    bool chat = job->request.kind == EW_REQUEST_CHAT;
    for (size_t i = 0; i < job->prompt_count; i++) {
        size_t count = job->prompts[i].count;
        if (!count) {
            ew_fault_set(fault, 400, NULL, chat ? "messages" : "prompt", "the prompt is empty");
            return -1;
        }
        if (count < ctx)
            continue;
        ew_fault_set(fault, 400, "context_length_exceeded", chat ? "messages" : "prompt",
                     "This model's maximum context length is %u tokens. However, your %s resulted "
                     "in %zu tokens. Please reduce the length of the %s.",
                     ctx, chat ? "messages" : "prompt", count, chat ? "messages" : "prompt");
        return -1;
    }
    return 0;
}

/* ---- the grammar ---- */

/* What an answer may be: as the client wants it, or a call of one of the tools, with its tags or
 * without, since models forget them. */
struct forms {
    struct ew_grammar_params answer, tagged, bare;
    struct ew_buf calls; /* the schema of both */
};

static int add_calls(const struct ew_request *r, enum ew_tools_hold hold, struct forms *forms,
                     struct ew_err *err)
{
    struct ew_grammar_params *tagged = &forms->tagged;
    ew_buf_clear(&forms->calls);
    int failed = ew_tools_schema(r, hold, &forms->calls, &tagged->before, &tagged->after, err);
    tagged->schema = forms->bare.schema = forms->calls.data;
    tagged->schema_bytes = forms->bare.schema_bytes = forms->calls.bytes;
    tagged->otherwise = &forms->bare;
    forms->answer.otherwise = tagged;
    return failed;
}

static int prepare_grammar(struct ew_job *job, struct ew_grammars *grammars,
                           struct ew_grammars_entry **entry, struct ew_fault *fault)
{
    const struct ew_request *r = &job->request;
    const struct ew_model *model = job->slot->model;
    bool calls = r->tools.data && r->tool_choice != EW_TOOLS_NONE;
    bool forced = calls && r->tool_choice != EW_TOOLS_AUTO;
    struct forms forms = {0};
    struct ew_err err = {0};
    int failed = 0;
    if (!forced && r->format == EW_FORMAT_TEXT)
        return 0;
    ew_buf_init(&forms.calls, CHAT_TEXT_MAX);
    if (r->format == EW_FORMAT_JSON_SCHEMA) {
        forms.answer.schema = r->schema.data;
        forms.answer.schema_bytes = r->schema.bytes;
    }
    if (calls)
        failed = add_calls(r, EW_TOOLS_HOLD_ARGUMENTS, &forms, &err);
    if (forced)
        forms.tagged.otherwise = NULL;
    if (!failed)
        failed =
            ew_grammars_get(grammars, model, forced ? &forms.tagged : &forms.answer, entry, &err);
    /* Nobody asked for a call: parameters that can't be held are no reason to refuse. */
    if (failed && calls && !forced) {
        failed = add_calls(r, EW_TOOLS_HOLD_NAMES, &forms, &err);
        if (!failed)
            failed = ew_grammars_get(grammars, model, &forms.answer, entry, &err);
    }
    if (!failed)
        job->grammar = ew_grammars_grammar(*entry);
    ew_buf_fini(&forms.calls);
    return failed ? tell(fault, forced ? "tools" : "response_format", &err) : 0;
}

int ew_prepare(struct ew_job *job, uint32_t ctx, struct ew_grammars *grammars,
               struct ew_grammars_entry **entry, struct ew_fault *fault)
{
    const struct ew_request *r = &job->request;
    bool chat = r->kind == EW_REQUEST_CHAT;
    struct ew_model_info info;
    struct ew_err err = {0};
    *entry = NULL;
    ew_model_describe(job->slot->model, &info);
    if (r->echo && r->logprobs) {
        ew_fault_set(fault, 400, NULL, "logprobs", "logprobs of an echoed prompt aren't supported");
        return -1;
    }
    if (ew_job_make_streams(job, chat ? 1 : r->prompt_count, &err))
        return tell(fault, err.code == EW_EINVAL ? "n" : NULL, &err);
    if (chat ? prepare_chat(job, fault) : prepare_completion(job, fault))
        return -1;
    if (check_tokens(job, info.vocab, fault) || check_context(job, ctx, fault))
        return -1;
    return prepare_grammar(job, grammars, entry, fault);
}
