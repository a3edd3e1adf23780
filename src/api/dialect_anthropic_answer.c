/* dialect_anthropic_answer.c - the Messages API's answers, whole and as events.
 *
 * An answer is a list of blocks: text, thoughts, calls. A stream tells when a block begins, what is
 * new in it and when it ends; calls are told as pieces of JSON text. message_start has the counts
 * of the prompt and a placeholder for the output's; message_delta has that one, and the reason.
 * Events and blocks of other types are passed over: the API documents that there will be new
 * ones. */
#include "api/dialect_anthropic_int.h"

#include <string.h>

/* ---- what it took ---- */

/* Each count stays until it is told again: message_delta repeats some. What was read from a cache,
 * or written to one, isn't in input_tokens. */
static void read_usage(struct ew_answer *answer, const json_t *usage)
{
    static const char *const keys[] = {"input_tokens", "cache_read_input_tokens",
                                       "cache_creation_input_tokens", "output_tokens"};
    uint64_t prompt = 0;
    for (size_t i = 0; i < EW_COUNT(keys); i++)
        if (ew_answer_count(answer, usage, keys[i], &answer->counts[i]))
            answer->counted |= 1u << i;
    for (size_t i = 0; i < 3; i++)
        prompt += answer->counts[i];
    if (prompt > UINT32_MAX)
        ew_answer_fail(answer, "the counts of the prompt's tokens are too high");
    answer->news.prompt_tokens = (uint32_t)prompt;
    answer->news.cached_tokens = answer->counts[1];
    answer->news.output_tokens = answer->counts[3];
}

static bool knows_usage(const struct ew_answer *answer)
{
    return (answer->counted & 1u) && (answer->counted & 8u) && !ew_answer_failed(answer);
}

static enum ew_finish finish_of(const char *reason)
{
    if (!reason)
        return EW_FINISH_NONE;
    if (strcmp(reason, "max_tokens") == 0 || strcmp(reason, "model_context_window_exceeded") == 0)
        return EW_FINISH_LENGTH;
    return strcmp(reason, "tool_use") == 0 ? EW_FINISH_TOOL_CALLS : EW_FINISH_STOP;
}

/* ---- blocks ---- */

static void read_call(struct ew_answer *answer, const json_t *block, size_t index)
{
    const json_t *input = ew_answer_object(answer, block, "input");
    const char *name = ew_answer_word(answer, block, "name");
    struct ew_answer_call *call =
        ew_answer_call(answer, 0, index, ew_answer_text(answer, block, "id"));
    ew_answer_stir(answer);
    if (!call)
        return;
    if (name)
        ew_answer_call_add(answer, &call->name, (struct ew_str){name, strlen(name)});
    if (json_object_size(input)) /* of a stream it is {}, and pieces follow */
        ew_answer_call_object(answer, call, input);
}

static void read_block(struct ew_answer *answer, const json_t *block, size_t index)
{
    const char *type = ew_answer_word(answer, block, "type");
    if (!type)
        return;
    if (strcmp(type, "text") == 0)
        ew_answer_say(answer, 0, ew_answer_text(answer, block, "text"));
    else if (strcmp(type, "tool_use") == 0)
        read_call(answer, block, index);
    else if (ew_answer_text(answer, block, "thinking").bytes)
        ew_answer_stir(answer);
}

/* Calls of tools that are the server's own aren't ours to tell. */
static bool is_call(const struct ew_answer *answer, size_t index)
{
    const struct ew_answer_choice *choice = &answer->choices[0];
    for (size_t i = 0; i < choice->call_count; i++)
        if (choice->calls[i].index == index)
            return true;
    return false;
}

static void read_piece(struct ew_answer *answer, const json_t *delta, size_t index)
{
    const char *type = ew_answer_word(answer, delta, "type");
    if (!type)
        return;
    if (strcmp(type, "text_delta") == 0) {
        ew_answer_say(answer, 0, ew_answer_text(answer, delta, "text"));
    } else if (strcmp(type, "input_json_delta") == 0) {
        struct ew_str json = ew_answer_text(answer, delta, "partial_json");
        struct ew_answer_call *call =
            is_call(answer, index) ? ew_answer_call(answer, 0, index, (struct ew_str){0}) : NULL;
        ew_answer_stir(answer);
        if (call)
            ew_answer_call_add(answer, &call->arguments, json);
    } else if (strcmp(type, "thinking_delta") == 0) {
        ew_answer_stir(answer);
    }
}

/* ---- events ---- */

static void read_index(struct ew_answer *answer, const json_t *root, size_t *out)
{
    uint32_t index = 0;
    if (!ew_answer_count(answer, root, "index", &index))
        ew_answer_fail(answer, "an event of the answer has no index");
    *out = index;
}

static void read_start(struct ew_answer *answer, const json_t *root)
{
    const json_t *message = ew_answer_object(answer, root, "message");
    if (!message)
        ew_answer_fail(answer, "the answer begins without a message");
    read_usage(answer, ew_answer_object(answer, message, "usage"));
}

static void read_block_start(struct ew_answer *answer, const json_t *root)
{
    size_t index;
    read_index(answer, root, &index);
    read_block(answer, ew_answer_object(answer, root, "content_block"), index);
}

static void read_block_delta(struct ew_answer *answer, const json_t *root)
{
    size_t index;
    read_index(answer, root, &index);
    read_piece(answer, ew_answer_object(answer, root, "delta"), index);
}

static void read_delta(struct ew_answer *answer, const json_t *root)
{
    const json_t *delta = ew_answer_object(answer, root, "delta");
    const json_t *usage = ew_answer_object(answer, root, "usage");
    read_usage(answer, usage);
    if (usage)
        answer->news.has_usage = knows_usage(answer);
    ew_answer_finish(answer, 0, finish_of(ew_answer_word(answer, delta, "stop_reason")));
}

static void read_stop(struct ew_answer *answer, const json_t *root)
{
    (void)root;
    ew_answer_end(answer);
    answer->news.ended = true;
}

void ew_anthropic_answer_event(struct ew_answer *answer, const char *name)
{
    static const struct {
        const char *type;
        void (*read)(struct ew_answer *answer, const json_t *root);
    } events[] = {
        {"message_start", read_start},
        {"content_block_start", read_block_start},
        {"content_block_delta", read_block_delta},
        {"message_delta", read_delta},
        {"message_stop", read_stop},
    };
    const json_t *root = ew_answer_load(answer);
    if (!root || ew_answer_refused(answer, root))
        return;
    const char *type = ew_answer_word(answer, root, "type");
    if (!type && *name)
        type = name; /* it says the same */
    else if (!type)
        ew_answer_fail(answer, "an event of the answer has no type");
    for (size_t i = 0; type && i < EW_COUNT(events); i++)
        if (strcmp(type, events[i].type) == 0)
            events[i].read(answer, root);
}

void ew_anthropic_answer_whole(struct ew_answer *answer)
{
    const json_t *root = ew_answer_load(answer);
    if (!root || ew_answer_refused(answer, root))
        return;
    const json_t *content = ew_answer_array(answer, root, "content");
    if (!content)
        ew_answer_fail(answer, "the answer has no content");
    for (size_t i = 0; i < json_array_size(content) && !ew_answer_failed(answer); i++) {
        const json_t *block = json_array_get(content, i);
        if (!json_is_object(block))
            ew_answer_fail(answer, "a block of the answer is %s, not an object",
                           ew_read_type_words(block));
        read_block(answer, block, i);
    }
    read_usage(answer, ew_answer_object(answer, root, "usage"));
    answer->news.has_usage = knows_usage(answer);
    ew_answer_finish(answer, 0, finish_of(ew_answer_word(answer, root, "stop_reason")));
}
