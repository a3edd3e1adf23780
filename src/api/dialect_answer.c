/* dialect_answer.c - an answer being read, whatever the dialect: what is new, calls that come in
 * pieces, what was said so far.
 *
 * Limits: an answer of EW_ANSWER_BYTES_MAX, what is said of EW_ANSWER_SAID_MAX (the rest isn't
 * kept), choices as the request asks for, EW_ANSWER_CALLS_MAX calls of EW_ANSWER_CALL_MAX bytes in
 * each. */
#include "api/dialect_int.h"
#include "api/scan_tree.h"
#include "api/splice.h"
#include "api/tools.h"
#include "base/hash.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_NAME_MAX = 256 }; /* OpenAI has 64 */

struct ew_answer_block {
    struct ew_answer_block *next;
    max_align_t data[];
};

/* ---- its life ---- */

int ew_answer_open(struct ew_answer **gives, const struct ew_dialect *dialect,
                   const struct ew_request *request, enum ew_answer_form form, struct ew_err *err)
{
    const size_t prompts = request->prompt_count ? request->prompt_count : 1;
    const size_t count = prompts * (request->n ? request->n : 1);
    const size_t deltas = form == EW_ANSWER_DELTAS ? count : 0;
    EW_ASSERT(deltas || dialect == &ew_dialect_openai);
    EW_ASSERT(count <= EW_REQUEST_CHOICES_MAX);
    const size_t bytes = count * sizeof(struct ew_answer_choice) + deltas * sizeof(struct ew_delta);
    struct ew_answer *answer = malloc(sizeof *answer + bytes);
    *gives = answer;
    if (!answer)
        return ew_fail(err, EW_ENOMEM, "no memory to read an answer");
    *answer = (struct ew_answer){
        .dialect = dialect, .request = request, .form = form, .choice_count = count};
    memset(answer->choices, 0, bytes);
    answer->deltas = (struct ew_delta *)(answer->choices + count);
    ew_buf_init(&answer->text, EW_ANSWER_BYTES_MAX);
    ew_buf_init(&answer->said, EW_ANSWER_SAID_MAX);
    struct ew_answer_extra *extra = &answer->news.extra;
    extra->energy_j = extra->cost_cents = extra->ttft_ms = extra->tokens_per_s = NAN;
    return 0;
}

/* What was borrowed until now. */
static void forget(struct ew_answer *answer)
{
    for (struct ew_answer_block *b = answer->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    answer->blocks = NULL;
    json_decref(answer->root);
    answer->root = NULL;
    answer->delta_count = 0;
    answer->news.text = (struct ew_str){0};
    answer->news.has_content = false;
    answer->news.fault = NULL;
    answer->body = (struct ew_str){0};
}

void ew_answer_close(struct ew_answer **gone)
{
    struct ew_answer *answer = *gone;
    if (!answer)
        return;
    forget(answer);
    for (size_t i = 0; i < answer->choice_count; i++) {
        struct ew_answer_choice *choice = &answer->choices[i];
        for (size_t k = 0; k < choice->call_count; k++) {
            ew_buf_fini(&choice->calls[k].name);
            ew_buf_fini(&choice->calls[k].arguments);
        }
        free(choice->calls);
    }
    ew_buf_fini(&answer->text);
    ew_buf_fini(&answer->said);
    free(answer);
    *gone = NULL;
}

static int told(struct ew_answer *answer, struct ew_answer_news *news, struct ew_err *err)
{
    answer->data = (struct ew_str){0};
    answer->news.deltas = answer->deltas;
    answer->news.delta_count = answer->delta_count;
    *news = answer->news;
    if (answer->err.code && err)
        *err = answer->err;
    return answer->err.code;
}

int ew_answer_whole(struct ew_answer *answer, struct ew_str body, struct ew_answer_news *news,
                    struct ew_err *err)
{
    forget(answer);
    answer->data = body;
    if (!answer->err.code && body.bytes > EW_ANSWER_BYTES_MAX)
        (void)ew_fail(&answer->err, EW_ELIMIT, "the answer has %zu bytes, at most %u are taken",
                      body.bytes, EW_ANSWER_BYTES_MAX);
    if (!answer->err.code && answer->form == EW_ANSWER_TEXT)
        answer->body = body;
    if (!answer->err.code)
        answer->dialect->own->whole(answer);
    if (!answer->err.code && !answer->news.fault) {
        ew_answer_end(answer);
        answer->news.ended = true;
    }
    return told(answer, news, err);
}

int ew_answer_event(struct ew_answer *answer, const char *name, struct ew_str data,
                    struct ew_answer_news *news, struct ew_err *err)
{
    forget(answer);
    answer->data = data;
    if (!answer->err.code && !answer->news.ended)
        answer->dialect->own->event(answer, name ? name : "");
    return told(answer, news, err);
}

const char *ew_answer_id(const struct ew_answer *answer)
{
    return answer->id;
}

int64_t ew_answer_created_s(const struct ew_answer *answer)
{
    return answer->created_s;
}

struct ew_str ew_answer_said(const struct ew_answer *answer)
{
    return (struct ew_str){ew_buf_cstr(&answer->said), answer->said.bytes};
}

/* ---- failures and memory ---- */

bool ew_answer_failed(const struct ew_answer *answer)
{
    return answer->err.code != 0;
}

void ew_answer_fail(struct ew_answer *answer, const char *format, ...)
{
    if (answer->err.code)
        return;
    char why[sizeof answer->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    (void)ew_fail(&answer->err, EW_EFORMAT, "%s", why);
}

void *ew_answer_alloc(struct ew_answer *answer, size_t count, size_t bytes)
{
    if (answer->err.code)
        return NULL;
    struct ew_answer_block *block = calloc(1, sizeof *block + count * bytes);
    if (!block) {
        (void)ew_fail(&answer->err, EW_ENOMEM, "no memory to read an answer");
        return NULL;
    }
    block->next = answer->blocks;
    answer->blocks = block;
    return block->data;
}

const json_t *ew_answer_load(struct ew_answer *answer)
{
    json_error_t error;
    answer->root = ew_scan_tree(answer->data, NULL, &error);
    if (!answer->root) /* not jansson's words, which have a piece of the text in them */
        ew_answer_fail(answer, "the answer isn't JSON (at byte %d of %zu)", error.position,
                       answer->data.bytes);
    else if (!json_is_object(answer->root))
        ew_answer_fail(answer, "the answer is %s, not an object", ew_read_type_words(answer->root));
    return ew_answer_failed(answer) ? NULL : answer->root;
}

/* Nearly no answer is one, and a fault has half a kilobyte: it hangs to the event that told it. */
bool ew_answer_refused(struct ew_answer *answer, const json_t *root)
{
    struct ew_fault fault;
    if (!ew_dialect_fault_read(root, 0, &fault))
        return false;
    struct ew_fault *kept = ew_answer_alloc(answer, 1, sizeof *kept);
    if (kept)
        *kept = fault;
    answer->news.fault = kept;
    return true;
}

/* ---- fields ---- */

static const json_t *field(struct ew_answer *answer, const json_t *object, const char *key,
                           json_type type, const char *expected)
{
    const json_t *value = answer->err.code ? NULL : json_object_get(object, key);
    if (!value || json_is_null(value))
        return NULL;
    if (json_typeof(value) == type)
        return value;
    ew_answer_fail(answer, "'%s' of the answer is %s, not %s", key, ew_read_type_words(value),
                   expected);
    return NULL;
}

const json_t *ew_answer_object(struct ew_answer *answer, const json_t *object, const char *key)
{
    return field(answer, object, key, JSON_OBJECT, "an object");
}

const json_t *ew_answer_array(struct ew_answer *answer, const json_t *object, const char *key)
{
    return field(answer, object, key, JSON_ARRAY, "an array");
}

static struct ew_str str_of(const json_t *string)
{
    return string ? (struct ew_str){json_string_value(string), json_string_length(string)}
                  : (struct ew_str){0};
}

struct ew_str ew_answer_text(struct ew_answer *answer, const json_t *object, const char *key)
{
    return str_of(field(answer, object, key, JSON_STRING, "a string"));
}

const char *ew_answer_word(struct ew_answer *answer, const json_t *object, const char *key)
{
    struct ew_str text = ew_answer_text(answer, object, key);
    if (text.data && memchr(text.data, '\0', text.bytes)) {
        ew_answer_fail(answer, "'%s' of the answer has the character U+0000 in it", key);
        return NULL;
    }
    return text.data;
}

/* Some write whole numbers as 12.0. */
bool ew_answer_count(struct ew_answer *answer, const json_t *object, const char *key, uint32_t *out)
{
    const json_t *value = answer->err.code ? NULL : json_object_get(object, key);
    if (!value || json_is_null(value))
        return false;
    double x = json_number_value(value);
    if (!json_is_number(value) || x < 0 || x > UINT32_MAX || x != floor(x)) {
        ew_answer_fail(answer, "'%s' of the answer is no count of tokens", key);
        return false;
    }
    *out = (uint32_t)x;
    return true;
}

/* ---- what is new ---- */

bool ew_answer_in_range(struct ew_answer *answer, uint32_t choice)
{
    if (choice >= answer->choice_count)
        ew_answer_fail(answer, "the answer has a choice %u, but only %zu were asked for", choice,
                       answer->choice_count);
    return !ew_answer_failed(answer);
}

struct ew_delta *ew_answer_delta(struct ew_answer *answer, uint32_t choice)
{
    EW_ASSERT(answer->form == EW_ANSWER_DELTAS);
    if (!ew_answer_in_range(answer, choice))
        return NULL;
    for (size_t i = 0; i < answer->delta_count; i++)
        if (answer->deltas[i].choice == choice)
            return &answer->deltas[i];
    struct ew_delta *delta = &answer->deltas[answer->delta_count++];
    *delta = (struct ew_delta){.choice = choice, .text = {"", 0}};
    delta->text_offset = answer->choices[choice].text_bytes;
    return delta;
}

void ew_answer_stir(struct ew_answer *answer)
{
    if (ew_answer_failed(answer) || answer->news.has_content)
        return;
    answer->news.has_content = true;
    answer->news.pieces++;
}

static void add_text(struct ew_answer *answer, struct ew_delta *delta, struct ew_str text)
{
    if (delta->text.bytes == 0) {
        delta->text = text;
        return;
    }
    char *joined = ew_answer_alloc(answer, delta->text.bytes + text.bytes + 1, 1);
    if (!joined)
        return;
    memcpy(joined, delta->text.data, delta->text.bytes);
    memcpy(joined + delta->text.bytes, text.data, text.bytes);
    delta->text = (struct ew_str){joined, delta->text.bytes + text.bytes};
}

void ew_answer_say(struct ew_answer *answer, uint32_t choice, struct ew_str text)
{
    if (!text.bytes || !ew_answer_in_range(answer, choice))
        return;
    ew_answer_stir(answer);
    if (choice == 0 && ew_buf_add(&answer->said, text.data, text.bytes, NULL))
        answer->said.max = answer->said.bytes; /* no gap: nothing more is kept */
    if (answer->form == EW_ANSWER_TEXT)
        return;
    struct ew_delta *delta = ew_answer_delta(answer, choice);
    add_text(answer, delta, text);
    answer->choices[choice].text_bytes += text.bytes;
}

/* ---- calls ---- */

static struct ew_answer_call *new_call(struct ew_answer *answer, struct ew_answer_choice *choice)
{
    if (!choice->calls)
        choice->calls = calloc(EW_ANSWER_CALLS_MAX, sizeof *choice->calls);
    if (!choice->calls) {
        (void)ew_fail(&answer->err, EW_ENOMEM, "no memory for the calls of an answer");
        return NULL;
    }
    if (choice->call_count == EW_ANSWER_CALLS_MAX) {
        ew_answer_fail(answer, "the answer has more than %d calls", EW_ANSWER_CALLS_MAX);
        return NULL;
    }
    struct ew_answer_call *call = &choice->calls[choice->call_count++];
    ew_buf_init(&call->name, CALL_NAME_MAX);
    ew_buf_init(&call->arguments, EW_ANSWER_CALL_MAX);
    return call;
}

/* Ids are ASCII everywhere; of longer ones the first characters tell them apart, too. */
static void keep_id(struct ew_answer *answer, struct ew_answer_call *call, struct ew_str id)
{
    if (id.data && memchr(id.data, '\0', id.bytes))
        ew_answer_fail(answer, "the id of a call has the character U+0000 in it");
    else if (id.bytes)
        snprintf(call->id, sizeof call->id, "%s", id.data);
}

struct ew_answer_call *ew_answer_call(struct ew_answer *answer, uint32_t index_of_choice,
                                      size_t index, struct ew_str id)
{
    EW_ASSERT(answer->form == EW_ANSWER_DELTAS);
    if (!ew_answer_in_range(answer, index_of_choice))
        return NULL;
    struct ew_answer_choice *choice = &answer->choices[index_of_choice];
    struct ew_answer_call *call = NULL;
    for (size_t i = choice->call_told; i < choice->call_count; i++)
        if (choice->calls[i].index == index)
            call = &choice->calls[i];
    /* Some count every call as 0: then the ids tell them apart. */
    bool other = call && id.bytes && *call->id && strncmp(call->id, id.data, sizeof call->id - 1);
    if (!call || other) {
        call = new_call(answer, choice);
        if (!call)
            return NULL;
        call->index = index;
    }
    keep_id(answer, call, id);
    return ew_answer_failed(answer) ? NULL : call;
}

void ew_answer_call_add(struct ew_answer *answer, struct ew_buf *to, struct ew_str text)
{
    if (!ew_answer_failed(answer) && text.bytes)
        (void)ew_buf_add(to, text.data, text.bytes, &answer->err);
}

void ew_answer_call_object(struct ew_answer *answer, struct ew_answer_call *call,
                           const json_t *value)
{
    struct ew_fault fault = {0};
    struct ew_read in = {.fault = &fault};
    struct ew_jsonw json;
    ew_jsonw_init(&json, &call->arguments, EW_JSONW_COMPACT);
    ew_read_copy(&in, &json, value, "arguments");
    if (ew_jsonw_finish(&json, NULL) || ew_read_failed(&in))
        ew_answer_fail(answer, "the arguments of a call are too long, too deep, or have U+0000");
}

/* Drawn from what was asked: the same request gets the same ids, and the turns of one conversation
 * different ones (clouds refuse one id twice). */
static void draw_id(struct ew_answer *answer, struct ew_answer_call *call)
{
    const struct ew_request *request = answer->request;
    const struct ew_str *asked = &request->messages;
    if (!answer->has_rng)
        ew_rng_init(&answer->rng, ew_hash_bytes(EW_HASH_START, asked->data, asked->bytes) ^
                                      request->sampling.seed);
    answer->has_rng = true;
    ew_tools_draw_id(&answer->rng, call->id);
}

/* The arguments on one line, as an object that every wire can write as it is. */
static struct ew_str whole_arguments(struct ew_answer *answer, struct ew_answer_call *call)
{
    struct ew_buf *text = &call->arguments, line;
    if (text->bytes == 0) /* of functions without any */
        return (struct ew_str){"{}", 2};
    json_t *value = json_loadb(text->data, text->bytes, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(value))
        ew_answer_fail(answer, "the arguments of a call aren't an object");
    json_decref(value);
    ew_buf_init(&line, text->max);
    if (!ew_answer_failed(answer))
        (void)ew_splice_compact(&line, (struct ew_str){text->data, text->bytes}, &answer->err);
    ew_buf_fini(text);
    *text = line;
    return (struct ew_str){ew_buf_cstr(text), text->bytes};
}

static void tell_calls(struct ew_answer *answer, uint32_t index)
{
    struct ew_answer_choice *choice = &answer->choices[index];
    size_t count = choice->call_count - choice->call_told;
    struct ew_delta *delta = count ? ew_answer_delta(answer, index) : NULL;
    if (!delta)
        return;
    size_t before = delta->call_count;
    struct ew_reply_call *calls = ew_answer_alloc(answer, before + count, sizeof *calls);
    if (!calls)
        return;
    if (before)
        memcpy(calls, delta->calls, before * sizeof *calls);
    else
        delta->call_first = choice->call_told;
    for (size_t i = 0; i < count; i++) {
        struct ew_answer_call *call = &choice->calls[choice->call_told + i];
        if (!call->name.bytes)
            ew_answer_fail(answer, "the answer has a call without a name");
        if (!*call->id)
            draw_id(answer, call);
        calls[before + i].name = (struct ew_str){ew_buf_cstr(&call->name), call->name.bytes};
        calls[before + i].arguments = whole_arguments(answer, call);
        memcpy(calls[before + i].id, call->id, sizeof call->id);
    }
    delta->calls = calls;
    delta->call_count = before + count;
    choice->call_told = choice->call_count;
}

void ew_answer_finish(struct ew_answer *answer, uint32_t index, enum ew_finish finish)
{
    if (finish == EW_FINISH_NONE || !ew_answer_in_range(answer, index) ||
        answer->choices[index].finished)
        return; /* some say it in more than one event */
    answer->choices[index].finished = true;
    if (index == 0)
        answer->news.finish = finish;
    if (answer->form == EW_ANSWER_TEXT)
        return;
    tell_calls(answer, index);
    struct ew_delta *delta = ew_answer_delta(answer, index);
    if (delta)
        delta->finish = finish;
}

void ew_answer_end(struct ew_answer *answer)
{
    for (uint32_t i = 0; i < answer->choice_count && !ew_answer_failed(answer); i++)
        if (answer->form == EW_ANSWER_DELTAS)
            tell_calls(answer, i);
}

/* ---- what an edgewise device tells ---- */

static void read_figure(const json_t *object, const char *key, double *out)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_number(value) && json_number_value(value) >= 0)
        *out = json_number_value(value);
}

void ew_answer_extra(struct ew_answer *answer, const json_t *object)
{
    struct ew_answer_extra *extra = &answer->news.extra;
    const char *device = json_string_value(json_object_get(object, "device"));
    const char *kind = json_string_value(json_object_get(object, "energy_kind"));
    if (ew_answer_failed(answer))
        return;
    if (device && strlen(device) < sizeof extra->device)
        snprintf(extra->device, sizeof extra->device, "%s", device);
    read_figure(object, "cost_cents", &extra->cost_cents);
    read_figure(object, "ttft_ms", &extra->ttft_ms);
    read_figure(object, "tokens_per_s", &extra->tokens_per_s);
    /* Joules without a word of how they are known are no figure of ours. */
    enum ew_energy_kind known[] = {EW_ENERGY_MEASURED, EW_ENERGY_MODELLED};
    for (size_t i = 0; kind && i < EW_COUNT(known); i++)
        if (strcmp(kind, ew_energy_kind_name(known[i])) == 0) {
            extra->energy_kind = known[i];
            read_figure(object, "energy_j", &extra->energy_j);
        }
}
