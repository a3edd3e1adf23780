/* dialect.c - which dialects there are, and what is alike in them: lists of models, refusals. */
#include "api/dialect_int.h"

#include <string.h>

static const struct ew_dialect *const dialects[] = {
    &ew_dialect_openai,
    &ew_dialect_ollama,
    &ew_dialect_anthropic,
};

const struct ew_dialect *ew_dialect_find(const char *name)
{
    for (size_t i = 0; i < EW_COUNT(dialects); i++)
        if (strcmp(name, dialects[i]->name) == 0)
            return dialects[i];
    return NULL;
}

const char *ew_dialect_lacks(const struct ew_dialect *dialect, const struct ew_request *request)
{
    return dialect->own->lacks(request);
}

int ew_dialect_refuse(struct ew_fault *fault, const struct ew_dialect *dialect, const char *what)
{
    ew_fault_set(fault, 400, "unsupported_parameter", what,
                 "Unsupported parameter: '%s' can't be said in the API '%s'.", what, dialect->name);
    return -1;
}

int ew_dialect_too_large(struct ew_fault *fault)
{
    ew_fault_set(fault, 413, NULL, NULL, "The request is too large to be passed on.");
    return -1;
}

uint32_t ew_dialect_max_tokens(const struct ew_dialect_ask *ask)
{
    uint32_t max = ask->request->max_tokens, gone = ask->prefill.data ? ask->prefill_tokens : 0;
    if (!max)
        return 0;
    return max > gone ? max - gone : 1; /* none would mean no limit */
}

/* Schemas, and the forms of forced calls, are held to from an answer's first character on; the rest
 * of one that has begun doesn't fit them. */
const char *ew_dialect_unlike(const struct ew_dialect_ask *ask)
{
    const struct ew_request *request = ask->request;
    if (!ask->prefill.data)
        return NULL;
    if (request->n > 1)
        return "n";
    if (request->format != EW_FORMAT_TEXT)
        return "response_format";
    if (request->tool_choice == EW_TOOLS_REQUIRED || request->tool_choice == EW_TOOLS_NAMED)
        return "tool_choice";
    return request->echo ? "echo" : NULL;
}

/* ---- lists of models ---- */

/* Tokens of context, as those tell who tell it: what the server gives before what the model was
 * trained for. 0: unknown. */
static uint32_t context_of(const json_t *model)
{
    static const struct {
        const char *in, *key;
    } hints[] = {
        {"meta", "n_ctx"},            /* llama-server, since 2025 */
        {NULL, "max_model_len"},      /* vLLM */
        {NULL, "context_length"},     /* OpenRouter, Together */
        {NULL, "context_window"},     /* Groq */
        {NULL, "max_context_length"}, /* Mistral, LM Studio */
        {NULL, "max_input_tokens"},   /* Anthropic */
        {"meta", "n_ctx_train"},      /* llama-server */
    };
    for (size_t i = 0; i < EW_COUNT(hints); i++) {
        const json_t *in = hints[i].in ? json_object_get(model, hints[i].in) : model;
        const json_t *value = json_object_get(in, hints[i].key);
        double tokens = json_number_value(value);
        if (tokens >= 1 && tokens <= UINT32_MAX)
            return (uint32_t)tokens;
    }
    return 0;
}

static int take_models(const struct ew_dialect *dialect, const json_t *root,
                       void (*take)(void *user, const char *name, uint32_t ctx), void *user,
                       struct ew_err *err)
{
    const struct ew_dialect_own *own = dialect->own;
    /* Together sends the array alone. */
    const json_t *list = json_is_array(root) ? root : json_object_get(root, own->list_key);
    if (!json_is_array(list))
        return ew_fail(err, EW_EFORMAT, "the list of models has no array '%s'", own->list_key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *name = json_object_get(json_array_get(list, i), own->name_key);
        if (!json_string_length(name) ||
            strlen(json_string_value(name)) != json_string_length(name))
            return ew_fail(err, EW_EFORMAT, "model %zu of the list has no name '%s'", i,
                           own->name_key);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *model = json_array_get(list, i);
        take(user, json_string_value(json_object_get(model, own->name_key)), context_of(model));
    }
    return 0;
}

int ew_dialect_models(const struct ew_dialect *dialect, struct ew_str body,
                      void (*take)(void *user, const char *name, uint32_t ctx), void *user,
                      struct ew_err *err)
{
    json_error_t error;
    json_t *root = json_loadb(body.data ? body.data : "", body.bytes, JSON_ALLOW_NUL, &error);
    if (!root)
        return ew_fail(err, EW_EFORMAT, "the list of models isn't JSON (at byte %d of %zu)",
                       error.position, body.bytes);
    int rc = take_models(dialect, root, take, user, err);
    json_decref(root);
    return rc;
}
