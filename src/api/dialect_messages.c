/* dialect_messages.c - the messages of a request as a tree that each dialect can write.
 *
 * ew_request has them as templates read them: contents are texts, arguments of calls are objects.
 * What clouds insist on and Ollama's clients leave out is filled in here: every call has an id, and
 * a result says which call it is of, and of which tool. Where a client tells neither, results
 * belong to the calls in their order. */
#include "api/dialect_int.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *call_name(const json_t *call)
{
    return text_of(json_object_get(call, "function"), "name");
}

/* The ids are the same whenever this conversation is told: "call_3_0". */
static int give_ids(json_t *calls, size_t message)
{
    int rc = 0;
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *call = json_array_get(calls, i);
        char id[48];
        snprintf(id, sizeof id, "call_%zu_%zu", message, i);
        if (!*text_of(call, "id"))
            rc |= json_object_set_new(call, "id", json_string(id));
    }
    return rc;
}

/* The call that the result is of: by its id, else the first open one with its name, else the first
 * open one; NULL: there is none. */
static const json_t *call_of(const json_t *calls, const bool *answered, const json_t *result)
{
    const char *id = text_of(result, "tool_call_id"), *name = text_of(result, "name");
    const json_t *first = NULL, *named = NULL;
    for (size_t i = json_array_size(calls); i-- > 0;) {
        const json_t *call = json_array_get(calls, i);
        if (*id && strcmp(id, text_of(call, "id")) == 0)
            return call;
        if (answered[i])
            continue;
        first = call;
        if (strcmp(name, call_name(call)) == 0)
            named = call;
    }
    return *id ? NULL : named ? named : *name ? NULL : first;
}

static int link_result(const json_t *calls, bool *answered, json_t *result)
{
    const json_t *call = call_of(calls, answered, result);
    int rc = 0;
    for (size_t i = 0; i < json_array_size(calls); i++)
        answered[i] = answered[i] || json_array_get(calls, i) == call;
    if (call && !*text_of(result, "tool_call_id"))
        rc |= json_object_set(result, "tool_call_id", json_object_get(call, "id"));
    if (call && !*text_of(result, "name"))
        rc |= json_object_set_new(result, "name", json_string(call_name(call)));
    return rc;
}

static int link_all(json_t *messages)
{
    bool answered[EW_REQUEST_TOOLS_MAX] = {false}; /* as many calls as a message may have */
    const json_t *calls = NULL;
    int rc = 0;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        json_t *own = json_object_get(message, "tool_calls");
        if (json_array_size(own)) {
            EW_ASSERT(json_array_size(own) <= EW_REQUEST_TOOLS_MAX);
            rc |= give_ids(own, i);
            calls = own;
            memset(answered, 0, sizeof answered);
        } else if (strcmp(text_of(message, "role"), "tool") == 0) {
            rc |= link_result(calls, answered, message);
        }
    }
    return rc;
}

/* Words behind a last message of the assistant's that the client itself wants continued are one
 * message with it. */
static int add_prefill(json_t *messages, struct ew_str prefill)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    bool joins = strcmp(text_of(last, "role"), "assistant") == 0 &&
                 !json_array_size(json_object_get(last, "tool_calls"));
    struct ew_buf words;
    ew_buf_init(&words, EW_ANSWER_BYTES_MAX);
    int rc = joins ? ew_buf_text(&words, text_of(last, "content"), NULL) : 0;
    rc = rc ? rc : ew_utf8_repair(&words, prefill.data, prefill.bytes, NULL);
    json_t *content = rc ? NULL : json_stringn(ew_buf_cstr(&words), words.bytes);
    ew_buf_fini(&words);
    if (joins)
        return json_object_set_new(last, "content", content);
    return json_array_append_new(messages,
                                 json_pack("{s:s, s:o}", "role", "assistant", "content", content));
}

json_t *ew_dialect_messages(const struct ew_dialect_ask *ask, struct ew_fault *fault)
{
    const struct ew_request *request = ask->request;
    json_t *messages = request->messages.data
                           ? json_loadb(request->messages.data, request->messages.bytes, 0, NULL)
                           : json_array();
    bool fine = messages && link_all(messages) == 0 &&
                (!ask->prefill.data || add_prefill(messages, ask->prefill) == 0);
    if (fine)
        return messages;
    ew_fault_set(fault, 503, NULL, "messages", "There is no memory for the messages.");
    json_decref(messages);
    return NULL;
}

json_t *ew_dialect_arguments(const json_t *call)
{
    json_t *arguments = json_object_get(json_object_get(call, "function"), "arguments");
    json_t *read = NULL;
    if (json_is_object(arguments))
        return json_incref(arguments);
    if (json_is_string(arguments))
        read = json_loads(json_string_value(arguments), 0, NULL);
    if (json_is_object(read))
        return read;
    json_decref(read);
    return json_object();
}
