/* tools.c - a model's words to tool calls, as they stream.
 *
 * Outside of a call all text passes but its last bytes, which may be the start of a tag. Inside
 * one the text is held until </tool_call>; if what stands between is a call it becomes one, if not
 * it is text again. A tag inside a JSON string doesn't end the call: JSON that merely isn't
 * complete waits for the next tag.
 *
 * Small models forget the tags (qwen2.5-coder always does, and fences the object as code). So an
 * answer that is nothing but one object which starts with the name of a tool of the request is a
 * call, too; where a call was demanded any object is. Such an answer is held back to its end, and
 * every other one only until it differs from that start.
 *
 * Limits: a call is held up to HELD_BYTES_MAX, or CUTS_MAX closing tags in its strings, and is text
 * beyond it, so that no words make the reading of an answer slow; CALLS_MAX calls in an answer,
 * one where the client wants no parallel ones: further ones are text. */
#include "api/tools.h"

#include "api/read.h"
#include "base/rng.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char tag_open[] = "<tool_call>", tag_close[] = "</tool_call>";

enum {
    HELD_BYTES_MAX = 64 << 10,
    CALLS_MAX = 64,
    CUTS_MAX = 32,
    TEXT_BYTES_MAX = HELD_BYTES_MAX * EW_READ_TEXT_SPREAD,
    ID_CHARACTERS = 24,
};

enum state {
    STATE_START, /* what came so far may be the start of a bare object */
    STATE_TEXT,
    STATE_CALL,  /* held begins with the tag */
    STATE_AFTER, /* white space behind a call belongs to it */
    STATE_BARE,  /* held is to be an object alone, fenced or not */
};

struct ew_tools {
    enum state state;
    bool forced;
    size_t calls_max; /* 0: no tools, all is text */
    json_t *known;    /* the request's tools */
    struct ew_rng rng;
    struct ew_buf held;
    size_t sought; /* in a call: bytes of held that no closing tag is to be looked for in */
    unsigned cuts; /* in a call: closing tags that stood within its JSON */
    struct ew_reply_call calls[CALLS_MAX]; /* names and arguments owned */
    size_t count;
};

int ew_tools_open(struct ew_tools **gives, const struct ew_request *request, struct ew_err *err)
{
    struct ew_tools *tools = calloc(1, sizeof *tools);
    *gives = tools;
    if (!tools)
        return ew_fail(err, EW_ENOMEM, "no memory to read tool calls");
    tools->forced =
        request->tool_choice == EW_TOOLS_REQUIRED || request->tool_choice == EW_TOOLS_NAMED;
    if (request->tools.data && request->tool_choice != EW_TOOLS_NONE) {
        tools->calls_max = request->parallel_tool_calls ? CALLS_MAX : 1;
        tools->known = json_loadb(request->tools.data, request->tools.bytes, 0, NULL);
    }
    tools->state = STATE_START;
    ew_rng_init(&tools->rng, request->sampling.seed);
    ew_buf_init(&tools->held, HELD_BYTES_MAX);
    return 0;
}

void ew_tools_close(struct ew_tools **tools)
{
    struct ew_tools *t = *tools;
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++) {
        free((char *)t->calls[i].name.data);
        free((char *)t->calls[i].arguments.data);
    }
    json_decref(t->known);
    ew_buf_fini(&t->held);
    free(t);
    *tools = NULL;
}

void ew_tools_seed(struct ew_tools *tools, uint64_t seed)
{
    ew_rng_init(&tools->rng, seed);
}

size_t ew_tools_count(const struct ew_tools *tools)
{
    return tools->count;
}

const struct ew_reply_call *ew_tools_calls(const struct ew_tools *tools)
{
    return tools->calls;
}

/* ---- one call ---- */

/* Takes the buffer's bytes. */
static struct ew_str take(struct ew_buf *buf)
{
    struct ew_str text = {buf->data, buf->bytes};
    ew_buf_init(buf, buf->max);
    return text;
}

/* The arguments as JSON text of an object: an object, the text of one, or none at all. */
static bool copy_arguments(const json_t *value, struct ew_buf *out)
{
    struct ew_fault fault = {0};
    struct ew_read in = {.fault = &fault};
    struct ew_jsonw json;
    json_t *parsed = NULL;
    if (json_is_string(value))
        value = parsed = json_loads(json_string_value(value), 0, NULL);
    else if (!value || json_is_null(value))
        value = parsed = json_object();
    ew_jsonw_init(&json, out, EW_JSONW_COMPACT);
    bool fine = json_is_object(value);
    if (fine) {
        ew_read_copy(&in, &json, value, "arguments");
        fine = ew_jsonw_finish(&json, NULL) == 0 && !fault.status;
    }
    if (fine)
        out->data[--out->bytes] = '\0'; /* jsonw ends a text with a newline */
    json_decref(parsed);
    return fine;
}

void ew_tools_draw_id(struct ew_rng *rng, char id[EW_TOOLS_ID_BYTES])
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t at = (size_t)snprintf(id, EW_TOOLS_ID_BYTES, "call_");
    for (int i = 0; i < ID_CHARACTERS; i++)
        id[at++] = letters[ew_rng_below(rng, sizeof letters - 1)];
    id[at] = '\0';
}

enum verdict { VERDICT_CALL, VERDICT_TEXT, VERDICT_CUT };

static bool add_call(struct ew_tools *tools, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const json_t *arguments = json_object_get(object, "arguments");
    struct ew_buf name_text, arguments_text;
    if (!name || !*name || tools->count >= tools->calls_max)
        return false;
    if (!arguments)
        arguments = json_object_get(object, "parameters");
    ew_buf_init(&name_text, HELD_BYTES_MAX);
    ew_buf_init(&arguments_text, TEXT_BYTES_MAX);
    bool fine =
        copy_arguments(arguments, &arguments_text) && ew_buf_text(&name_text, name, NULL) == 0;
    if (fine) {
        struct ew_reply_call *call = &tools->calls[tools->count++];
        ew_tools_draw_id(&tools->rng, call->id);
        call->name = take(&name_text);
        call->arguments = take(&arguments_text);
    }
    ew_buf_fini(&name_text);
    ew_buf_fini(&arguments_text);
    return fine;
}

static enum verdict judge(struct ew_tools *tools, const char *data, size_t bytes)
{
    json_error_t error;
    json_t *value = json_loadb(data, bytes, 0, &error);
    enum verdict verdict = VERDICT_TEXT;
    if (!value && json_error_code(&error) == json_error_premature_end_of_input)
        verdict = VERDICT_CUT;
    if (json_is_object(value) && add_call(tools, value))
        verdict = VERDICT_CALL;
    json_decref(value);
    return verdict;
}

/* ---- the stream ---- */

/* Forgets the first bytes of what is held. */
static void drop(struct ew_buf *held, size_t bytes)
{
    memmove(held->data, held->data + bytes, held->bytes - bytes);
    held->bytes -= bytes;
    held->data[held->bytes] = '\0';
}

static int pass(struct ew_tools *tools, size_t bytes, struct ew_buf *plain, struct ew_err *err)
{
    int rc = bytes ? ew_buf_add(plain, tools->held.data, bytes, err) : 0;
    if (!rc && bytes)
        drop(&tools->held, bytes);
    return rc;
}

/* How many of the last bytes may be the start of a tag. */
static size_t tag_started(const char *data, size_t bytes)
{
    size_t most = bytes < sizeof tag_open - 2 ? bytes : sizeof tag_open - 2;
    while (most && memcmp(data + bytes - most, tag_open, most) != 0)
        most--;
    return most;
}

static const char *find(const char *data, size_t bytes, const char *tag)
{
    return bytes ? memmem(data, bytes, tag, strlen(tag)) : NULL;
}

static size_t space_at_start(const char *data, size_t bytes)
{
    size_t count = 0;
    while (count < bytes && isspace((unsigned char)data[count]))
        count++;
    return count;
}

/* ---- an object without tags ---- */

enum fit { FIT_NO, FIT_SO_FAR, FIT_YES };

/* The rest of a text that is compared with what it should be. */
struct rest {
    const char *data;
    size_t bytes;
};

static void skip_space(struct rest *rest)
{
    size_t space = space_at_start(rest->data, rest->bytes);
    rest->data += space;
    rest->bytes -= space;
}

/* Takes the word off the rest where it's there. */
static enum fit fit_word(struct rest *rest, const char *word)
{
    size_t bytes = strlen(word), most = rest->bytes < bytes ? rest->bytes : bytes;
    if (memcmp(rest->data, word, most) != 0)
        return FIT_NO;
    if (most < bytes)
        return FIT_SO_FAR;
    rest->data += bytes;
    rest->bytes -= bytes;
    return FIT_YES;
}

static enum fit fit_name(const struct ew_tools *tools, struct rest rest)
{
    enum fit best = FIT_NO;
    for (size_t i = 0; i < json_array_size(tools->known) && best != FIT_YES; i++) {
        const json_t *function = json_object_get(json_array_get(tools->known, i), "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        struct rest copy = rest;
        enum fit fit = name ? fit_word(&copy, name) : FIT_NO;
        if (fit == FIT_YES)
            fit = fit_word(&copy, "\"");
        best = fit > best ? fit : best;
    }
    return best;
}

/* The fence that models put around code. */
static enum fit skip_fence(struct rest *rest)
{
    skip_space(rest);
    enum fit fit = fit_word(rest, "```");
    if (fit == FIT_YES && rest->bytes && *rest->data == 'j')
        fit = fit_word(rest, "json");
    else if (fit == FIT_NO)
        fit = FIT_YES; /* there needn't be one */
    skip_space(rest);
    return fit;
}

/* Does the answer start as a call without tags does? */
static enum fit fit_bare(const struct ew_tools *tools)
{
    static const char *const usual[] = {"{", "\"name\"", ":"};
    struct rest rest = {tools->held.data, tools->held.bytes};
    enum fit fit = skip_fence(&rest);
    for (size_t i = 0; fit == FIT_YES && i < (tools->forced ? 1 : EW_COUNT(usual)); i++) {
        fit = fit_word(&rest, usual[i]);
        skip_space(&rest);
    }
    if (fit != FIT_YES || tools->forced)
        return fit;
    fit = fit_word(&rest, "\"");
    return fit == FIT_YES ? fit_name(tools, rest) : fit;
}

static enum verdict judge_bare(struct ew_tools *tools)
{
    struct rest rest = {tools->held.data, tools->held.bytes};
    skip_fence(&rest);
    size_t bytes = rest.bytes;
    while (bytes && isspace((unsigned char)rest.data[bytes - 1]))
        bytes--;
    if (bytes > 3 && memcmp(rest.data + bytes - 3, "```", 3) == 0)
        bytes -= 3; /* no object ends so by itself */
    return judge(tools, rest.data, bytes);
}

/* Each step looks at what is held in one state. true: look again, the state has changed. */
static bool step_text(struct ew_tools *tools, struct ew_buf *plain, int *rc, struct ew_err *err)
{
    const struct ew_buf *held = &tools->held;
    const char *tag =
        tools->count < tools->calls_max ? find(held->data, held->bytes, tag_open) : NULL;
    size_t fine = tag ? (size_t)(tag - held->data) : held->bytes;
    if (!tag && tools->count < tools->calls_max)
        fine -= tag_started(held->data, held->bytes);
    *rc = pass(tools, fine, plain, err);
    tools->state = tag ? STATE_CALL : STATE_TEXT;
    tools->sought = sizeof tag_open - 1;
    tools->cuts = 0;
    return tag && !*rc;
}

static bool step_call(struct ew_tools *tools, struct ew_buf *plain, int *rc, struct ew_err *err)
{
    const char *from = tools->held.data + sizeof tag_open - 1;
    const char *at = tools->held.data + tools->sought;
    const char *end = tools->held.data + tools->held.bytes;
    while ((at = find(at, (size_t)(end - at), tag_close)) != NULL) {
        enum verdict verdict = judge(tools, from, (size_t)(at - from));
        at += sizeof tag_close - 1;
        tools->sought = (size_t)(at - tools->held.data);
        if (verdict == VERDICT_CUT && ++tools->cuts <= CUTS_MAX)
            continue;
        tools->state = verdict == VERDICT_CALL ? STATE_AFTER : STATE_TEXT;
        if (verdict == VERDICT_CALL)
            drop(&tools->held, (size_t)(at - tools->held.data));
        else
            *rc = pass(tools, (size_t)(at - tools->held.data), plain, err);
        return !*rc;
    }
    /* The start of a tag may stand at the end. */
    size_t whole = tools->held.bytes - (sizeof tag_close - 2);
    if (tools->held.bytes > sizeof tag_close && whole > tools->sought)
        tools->sought = whole;
    return false;
}

static bool step_after(struct ew_tools *tools)
{
    size_t space = space_at_start(tools->held.data, tools->held.bytes);
    if (space)
        drop(&tools->held, space);
    if (tools->held.bytes == 0)
        return false;
    tools->state = STATE_TEXT;
    return true;
}

static bool step_start(struct ew_tools *tools)
{
    enum fit fit = fit_bare(tools);
    if (fit != FIT_SO_FAR)
        tools->state = fit == FIT_YES ? STATE_BARE : STATE_TEXT;
    return fit != FIT_SO_FAR;
}

static int look(struct ew_tools *tools, struct ew_buf *plain, struct ew_err *err)
{
    bool again = true;
    int rc = 0;
    while (again && !rc && tools->held.bytes)
        switch (tools->state) {
        case STATE_START:
            again = step_start(tools);
            break;
        case STATE_TEXT:
            again = step_text(tools, plain, &rc, err);
            break;
        case STATE_CALL:
            again = step_call(tools, plain, &rc, err);
            break;
        case STATE_AFTER:
            again = step_after(tools);
            break;
        case STATE_BARE:
            again = false;
            break;
        }
    return rc;
}

/* What is held can't become a call any more. */
static int give_up(struct ew_tools *tools, struct ew_buf *plain, struct ew_err *err)
{
    tools->state = STATE_TEXT;
    return pass(tools, tools->held.bytes, plain, err);
}

int ew_tools_push(struct ew_tools *tools, const char *text, size_t bytes, struct ew_buf *plain,
                  struct ew_err *err)
{
    int rc = 0;
    if (tools->calls_max == 0)
        return bytes ? ew_buf_add(plain, text, bytes, err) : 0;
    while (bytes && !rc) {
        size_t room = tools->held.max - tools->held.bytes, piece = bytes < room ? bytes : room;
        if (piece == 0) {
            rc = give_up(tools, plain, err);
            continue;
        }
        rc = ew_buf_add(&tools->held, text, piece, err);
        text += piece;
        bytes -= piece;
        if (!rc)
            rc = look(tools, plain, err);
    }
    return rc;
}

int ew_tools_flush(struct ew_tools *tools, struct ew_buf *plain, struct ew_err *err)
{
    const struct ew_buf *held = &tools->held;
    const size_t tag = sizeof tag_open - 1;
    enum verdict verdict = VERDICT_TEXT;
    /* Models end their turn without the closing tag, too. */
    if (tools->state == STATE_CALL)
        verdict = judge(tools, held->data + tag, held->bytes - tag);
    else if (tools->state == STATE_BARE)
        verdict = judge_bare(tools);
    if (verdict == VERDICT_CALL)
        ew_buf_clear(&tools->held);
    return held->bytes ? give_up(tools, plain, err) : 0;
}
