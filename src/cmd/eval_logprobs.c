/* eval_logprobs.c - for each line of a file, what a model expects next. */
#include "cmd/eval_logprobs.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jsonw.h"
#include "measure/answer.h"
#include "measure/perplexity.h"

enum { TEXT_MAX = 1 << 30, LINE_OUT_MAX = 1 << 20 };

static int print_top(const struct ew_model *model, const float *logits, int k, struct ew_err *err)
{
    struct ew_model_info info;
    struct ew_logprob top[EW_EVAL_TOP_MAX];
    struct ew_buf out;
    struct ew_jsonw w;
    ew_model_describe(model, &info);
    k = (uint32_t)k < info.vocab ? k : (int)info.vocab;
    ew_logprob_top(logits, info.vocab, top, k);
    ew_buf_init(&out, LINE_OUT_MAX);
    ew_jsonw_init(&w, &out, EW_JSONW_COMPACT);
    ew_jsonw_object(&w);
    ew_jsonw_key(&w, "top");
    ew_jsonw_array(&w);
    for (int i = 0; i < k; i++) {
        size_t bytes;
        const char *name = ew_model_token_name(model, top[i].token, &bytes);
        ew_jsonw_object(&w);
        ew_jsonw_put_int(&w, "token", top[i].token);
        ew_jsonw_key(&w, "text");
        ew_jsonw_str(&w, (struct ew_str){name, bytes});
        ew_jsonw_put_real(&w, "logprob", top[i].logprob);
        ew_jsonw_end(&w);
    }
    ew_jsonw_end(&w);
    ew_jsonw_end(&w);
    int failed = ew_jsonw_finish(&w, err);
    if (!failed)
        fwrite(out.data, 1, out.bytes, stdout);
    ew_buf_fini(&out);
    return failed;
}

/* A line is {"text": "..."} or {"tokens": [1, 2]}. */
static int line_tokens(const struct ew_model *model, const json_t *line, int32_t **tokens,
                       size_t *count, struct ew_err *err)
{
    const json_t *text = json_object_get(line, "text"), *ids = json_object_get(line, "tokens");
    if (json_is_string(text))
        return ew_answer_tokens(model, json_string_value(text), json_string_length(text),
                                EW_TOKENIZE_BOS, tokens, count, err);
    *count = json_array_size(ids);
    if (!*count)
        return ew_fail(err, EW_EFORMAT, "neither a \"text\" nor \"tokens\"");
    *tokens = malloc(*count * sizeof **tokens);
    if (!*tokens)
        return ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", *count);
    for (size_t i = 0; i < *count; i++)
        (*tokens)[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    return 0;
}

static int logprobs_of_line(const struct ew_model *model, struct ew_session *session,
                            const char *text, size_t bytes, int k, struct ew_err *err)
{
    json_error_t wrong;
    json_t *line = json_loadb(text, bytes, 0, &wrong);
    int32_t *tokens = NULL;
    size_t count;
    int failed = line ? line_tokens(model, line, &tokens, &count, err)
                      : ew_fail(err, EW_EFORMAT, "%s", wrong.text);
    ew_session_rewind(session, 0);
    if (!failed)
        failed = ew_session_prompt(session, tokens, count, err);
    if (!failed)
        failed = print_top(model, ew_session_logits(session), k, err);
    free(tokens);
    json_decref(line);
    return failed;
}

int ew_eval_logprobs(struct ew_model *model, const char *file, int k, struct ew_err *err)
{
    struct ew_buf text;
    struct ew_session *session = NULL;
    ew_buf_init(&text, TEXT_MAX);
    int failed = ew_file_read(&text, file, err);
    if (!failed)
        failed = ew_session_open(&session, model, NULL, err);
    size_t number = 1;
    for (size_t at = 0; at < text.bytes && !failed; number++) {
        size_t bytes = strcspn(text.data + at, "\n");
        if (bytes)
            failed = logprobs_of_line(model, session, text.data + at, bytes, k, err);
        at += bytes + 1;
    }
    if (failed && session)
        ew_fail_in(err, failed, "%s:%zu", file, number - 1);
    ew_session_close(&session);
    ew_buf_fini(&text);
    return failed;
}
