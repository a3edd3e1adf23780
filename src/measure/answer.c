/* answer.c - prompt, then token after token: through the UTF-8 joiner and the stop strings to the
 * reader, with a stamp at each end. */
#include "measure/answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/stop.h"
#include "base/utf8.h"
#include "edgewise.h"
#include "flow/usage.h"

enum { TOKENS_FIRST = 256, CHAT_TEXT_MAX = 64 << 20 };

struct making {
    struct ew_answer *answer;
    const struct ew_answer_params *how;
    struct ew_utf8_stream utf8;
    struct ew_stop stop;
    struct ew_buf whole; /* characters of the newest token, before the stop strings saw them */
    uint64_t start_ns, prompt_ns, first_ns, last_ns;
};

const char *ew_answer_end_name(enum ew_answer_end end)
{
    static const char *const names[] = {"stop", "length", "context", "cancelled"};
    return names[end];
}

void ew_answer_init(struct ew_answer *answer)
{
    *answer = (struct ew_answer){.usage = ew_usage_none()};
    ew_buf_init(&answer->text, EW_ANSWER_TEXT_MAX);
}

void ew_answer_fini(struct ew_answer *answer)
{
    ew_buf_fini(&answer->text);
    free(answer->tokens);
    *answer = (struct ew_answer){0};
}

static int keep_token(struct ew_answer *answer, int32_t token, struct ew_err *err)
{
    if (answer->token_count == answer->token_capacity) {
        size_t capacity = answer->token_capacity ? 2 * answer->token_capacity : TOKENS_FIRST;
        int32_t *tokens = realloc(answer->tokens, capacity * sizeof *tokens);
        if (!tokens)
            return ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", capacity);
        answer->tokens = tokens;
        answer->token_capacity = capacity;
    }
    answer->tokens[answer->token_count++] = token;
    return 0;
}

enum part { SOME_PART, LAST_PART };

/* Passes the characters in m->whole on, as far as the stop strings let them. */
static int pass_on(struct making *m, enum part part, struct ew_err *err)
{
    struct ew_buf *text = &m->answer->text;
    size_t from = text->bytes;
    int failed = ew_stop_push(&m->stop, ew_buf_cstr(&m->whole), m->whole.bytes, text, err);
    ew_buf_clear(&m->whole);
    if (!failed && part == LAST_PART)
        failed = ew_stop_flush(&m->stop, text, err);
    if (!failed && text->bytes > from && m->how->tell) {
        failed = m->how->tell(m->how->user, text->data + from, text->bytes - from);
        if (failed)
            ew_fail(err, failed, "the answer can't be passed on");
    }
    return failed;
}

static uint64_t now(const struct making *m)
{
    return ew_clock_now_ns(m->how->clock);
}

static void mark(const struct making *m, enum ew_meter_phase phase, uint64_t at_ns)
{
    if (m->how->meter)
        ew_meter_mark(m->how->meter, phase, at_ns);
}

/* One token; *more says whether to go on. */
static int step(struct making *m, const struct ew_model *model, struct ew_session *session,
                bool *more, struct ew_err *err)
{
    struct ew_answer *answer = m->answer;
    int32_t token;
    *more = false;
    int failed = ew_session_next(session, &token, err);
    if (failed == EW_ECONTEXT || failed == EW_ECANCELED) {
        answer->end = failed == EW_ECONTEXT ? EW_ANSWER_CONTEXT : EW_ANSWER_CANCELED;
        return 0;
    }
    if (failed)
        return failed;
    if (ew_model_is_end(model, token)) {
        answer->end = EW_ANSWER_STOP;
        return 0;
    }
    m->last_ns = now(m);
    if (!m->first_ns) {
        m->first_ns = m->last_ns;
        mark(m, EW_METER_DECODE, m->first_ns);
    }
    size_t bytes;
    const char *piece = ew_model_token(model, token, &bytes);
    if ((failed = keep_token(answer, token, err)) ||
        (failed = ew_utf8_push(&m->utf8, piece, bytes, &m->whole, err)) ||
        (failed = pass_on(m, SOME_PART, err)))
        return failed;
    answer->end = m->stop.met ? EW_ANSWER_STOP : EW_ANSWER_LENGTH;
    *more = !m->stop.met && answer->token_count != m->how->max_tokens;
    return 0;
}

static void account(struct making *m, size_t prompt_tokens)
{
    struct ew_usage *usage = &m->answer->usage;
    *usage = ew_usage_none();
    usage->prompt_tokens = (uint32_t)prompt_tokens;
    usage->output_tokens = (uint32_t)m->answer->token_count;
    usage->prefill_ns = m->prompt_ns;
    if (m->first_ns) {
        usage->ttft_ns = m->first_ns - m->start_ns;
        usage->decode_ns = m->last_ns - m->first_ns;
    }
    if (!m->how->meter)
        return;
    uint64_t end_ns = now(m);
    mark(m, EW_METER_IDLE, end_ns);
    struct ew_energy energy = ew_meter_between(m->how->meter, m->start_ns, end_ns);
    ew_usage_set_energy(usage, &energy, m->how->tariff_cents_per_kwh);
}

int ew_answer_make(struct ew_answer *answer, const struct ew_model *model,
                   struct ew_session *session, const int32_t *prompt, size_t count,
                   const struct ew_answer_params *params, struct ew_err *err)
{
    struct making m = {.answer = answer, .how = params};
    answer->token_count = 0;
    answer->end = EW_ANSWER_CANCELED;
    ew_buf_clear(&answer->text);
    int failed = ew_stop_init(&m.stop, params->stops, params->stop_count, err);
    if (failed)
        return failed;
    ew_buf_init(&m.whole, EW_ANSWER_TEXT_MAX);
    uint64_t begin_ns = now(&m);
    m.start_ns = params->start_ns ? params->start_ns : begin_ns;
    mark(&m, EW_METER_PREFILL, m.start_ns);
    failed = ew_session_prompt(session, prompt, count, err);
    m.prompt_ns = now(&m) - begin_ns;
    bool more = !failed;
    while (more)
        failed = step(&m, model, session, &more, err);
    if (failed == EW_ECANCELED)
        failed = 0;
    if (!failed && !m.stop.met) {
        failed = ew_utf8_flush(&m.utf8, &m.whole, err);
        if (!failed)
            failed = pass_on(&m, LAST_PART, err);
    }
    account(&m, count);
    ew_buf_fini(&m.whole);
    return failed;
}

int ew_answer_tokens(const struct ew_model *model, const char *text, size_t bytes, unsigned flags,
                     int32_t **gives, size_t *count, struct ew_err *err)
{
    /* Two tokens more than bytes: what the file may want in front and behind. Where a replaced
     * character needs more tokens than it had bytes, the second try knows how many. */
    size_t capacity = bytes + 2;
    int failed = EW_ELIMIT;
    *gives = NULL;
    for (int try = 0; try < 2 && failed == EW_ELIMIT; try++) {
        int32_t *tokens = realloc(*gives, capacity * sizeof *tokens);
        if (!tokens) {
            failed = ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", capacity);
            break;
        }
        *gives = tokens;
        failed = ew_model_tokenize(model, text, bytes, flags, tokens, capacity, count, err);
        capacity = *count;
    }
    if (failed) {
        free(*gives);
        *gives = NULL;
    }
    return failed;
}

int ew_answer_chat(const struct ew_model *model, const struct ew_message *messages,
                   size_t message_count, int32_t **gives, size_t *count, struct ew_err *err)
{
    size_t capacity = 1 << 16, bytes = 0;
    bool has_bos = false;
    char *text = NULL;
    int failed = EW_ELIMIT;
    *gives = NULL;
    for (size_t i = 0; i < message_count; i++)
        capacity += strlen(messages[i].content);
    for (int try = 0; try < 2 && failed == EW_ELIMIT && capacity <= CHAT_TEXT_MAX; try++) {
        free(text);
        text = malloc(capacity);
        if (!text)
            return ew_fail(err, EW_ENOMEM, "no memory for a chat of %zu bytes", capacity);
        failed =
            ew_model_chat(model, messages, message_count, text, capacity, &bytes, &has_bos, err);
        capacity = bytes + 1;
    }
    if (!failed)
        failed = ew_answer_tokens(model, text, bytes,
                                  EW_TOKENIZE_SPECIAL | (has_bos ? 0 : EW_TOKENIZE_BOS), gives,
                                  count, err);
    free(text);
    return failed;
}
