/* edgewise.c - the words of a model: tokens and chats, as edgewise.h has them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "model/grammar.h"

enum {
    /* A conversation as JSON, and what a template may make of it. */
    CHAT_CONTEXT_MAX = 64 << 20,
    CHAT_TEXT_MAX = 64 << 20,
    MESSAGES_MAX = 100000,
};

const char *ew_version(void)
{
    return EW_VERSION; /* the Makefile's */
}

int ew_model_tokenize(const struct ew_model *model, const char *text, size_t bytes, unsigned flags,
                      int32_t *tokens, size_t capacity, size_t *count, struct ew_err *err)
{
    return ew_tokenizer_encode(model->tokenizer, text, bytes, flags, tokens, capacity, count, err);
}

const char *ew_model_token(const struct ew_model *model, int32_t token, size_t *bytes)
{
    struct ew_str text = ew_tokenizer_bytes(model->tokenizer, token);
    *bytes = text.bytes;
    return text.data;
}

const char *ew_model_token_name(const struct ew_model *model, int32_t token, size_t *bytes)
{
    struct ew_str text = ew_tokenizer_name(model->tokenizer, token);
    *bytes = text.bytes;
    return text.data;
}

bool ew_model_is_end(const struct ew_model *model, int32_t token)
{
    return ew_tokenizer_is_end(model->tokenizer, token);
}

int ew_model_detokenize(const struct ew_model *model, const int32_t *tokens, size_t count,
                        char *text, size_t capacity, size_t *bytes, struct ew_err *err)
{
    size_t need = 0;
    for (size_t i = 0; i < count; i++) {
        struct ew_str piece = ew_tokenizer_bytes(model->tokenizer, tokens[i]);
        if (need + piece.bytes <= capacity)
            memcpy(text + need, piece.data, piece.bytes);
        need += piece.bytes;
    }
    *bytes = need;
    if (need > capacity)
        return ew_fail(err, EW_ELIMIT, "%zu tokens are %zu bytes, room for %zu", count, need,
                       capacity);
    return 0;
}

static int add_string(struct ew_buf *json, const char *text, size_t bytes, struct ew_err *err)
{
    int failed = ew_buf_text(json, "\"", err);
    for (size_t i = 0, from = 0; i <= bytes && !failed; i++) {
        unsigned char c = i < bytes ? (unsigned char)text[i] : 0;
        if (i < bytes && c >= 0x20 && c != '"' && c != '\\')
            continue;
        failed = ew_buf_add(json, text + from, i - from, err);
        from = i + 1;
        if (i < bytes && !failed)
            failed = ew_buf_printf(json, err, "\\u%04x", c);
    }
    return failed ? failed : ew_buf_text(json, "\"", err);
}

static int messages_json(const struct ew_message *messages, size_t count, struct ew_buf *json,
                         struct ew_err *err)
{
    int failed = ew_buf_text(json, "[", err);
    for (size_t i = 0; i < count && !failed; i++) {
        const struct ew_message *m = &messages[i];
        if (!m->role || !m->content)
            return ew_fail(err, EW_EINVAL, "message %zu has no %s", i,
                           m->role ? "content" : "role");
        if ((failed = ew_buf_text(json, i ? ", {\"role\": " : "{\"role\": ", err)) ||
            (failed = add_string(json, m->role, strlen(m->role), err)) ||
            (failed = ew_buf_text(json, ", \"content\": ", err)) ||
            (failed = add_string(json, m->content, strlen(m->content), err)) ||
            (failed = ew_buf_text(json, "}", err)))
            break;
    }
    return failed ? failed : ew_buf_text(json, "]", err);
}

static struct ew_str chat_token(const struct ew_model *model, int32_t token)
{
    return ew_tokenizer_name(model->tokenizer, token);
}

int ew_model_chat_json(const struct ew_model *model, const char *messages, size_t message_bytes,
                       const char *tools, size_t tool_bytes, char *text, size_t capacity,
                       size_t *bytes, bool *has_bos, struct ew_err *err)
{
    if (!messages)
        return ew_fail(err, EW_EINVAL, "no messages");
    if (message_bytes > CHAT_CONTEXT_MAX || tool_bytes > CHAT_CONTEXT_MAX)
        return ew_fail(err, EW_ELIMIT, "messages of %zu bytes and tools of %zu, at most %d",
                       message_bytes, tool_bytes, CHAT_CONTEXT_MAX);
    const struct ew_template_chat chat = {
        .messages = {messages, message_bytes},
        .tools = {tools, tools ? tool_bytes : 0},
        .bos = chat_token(model, ew_tokenizer_bos(model->tokenizer)),
        .eos = chat_token(model, ew_tokenizer_eos(model->tokenizer)),
    };
    struct ew_buf out;
    ew_buf_init(&out, CHAT_TEXT_MAX);
    int failed = ew_template_chat(model->chat, &chat, &out, err);
    if (failed)
        goto out;
    *has_bos = chat.bos.bytes && out.bytes >= chat.bos.bytes &&
               !memcmp(out.data, chat.bos.data, chat.bos.bytes);
    *bytes = out.bytes;
    if (out.bytes >= capacity)
        failed = ew_fail(err, EW_ELIMIT, "the chat is %zu bytes of text, room for %zu", out.bytes,
                         capacity);
    else
        memcpy(text, ew_buf_cstr(&out), out.bytes + 1);
out:
    ew_buf_fini(&out);
    return failed;
}

int ew_model_chat(const struct ew_model *model, const struct ew_message *messages, size_t count,
                  char *text, size_t capacity, size_t *bytes, bool *has_bos, struct ew_err *err)
{
    if (count > MESSAGES_MAX)
        return ew_fail(err, EW_ELIMIT, "%zu messages, at most %d", count, MESSAGES_MAX);
    struct ew_buf json;
    ew_buf_init(&json, CHAT_CONTEXT_MAX);
    int failed = messages_json(messages, count, &json, err);
    if (!failed)
        failed = ew_model_chat_json(model, ew_buf_cstr(&json), json.bytes, NULL, 0, text, capacity,
                                    bytes, has_bos, err);
    ew_buf_fini(&json);
    return failed;
}

bool ew_model_chat_has_tools(const struct ew_model *model)
{
    return ew_template_reads_tools(model->chat);
}

int ew_grammar_open(struct ew_grammar **gives, const struct ew_model *model,
                    const struct ew_grammar_params *params, struct ew_err *err)
{
    return ew_grammar_make(gives, model->tokenizer, params, err);
}
