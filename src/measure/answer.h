/* answer.h - one answer of a model, told as it is made, timed and accounted.
 *
 * The loop that `run`, `bench` and later rooms share: prompt tokens in, pieces of text out, and an
 * ew_usage that says what it took. The text that is told is whole UTF-8 characters, and never part
 * of a stop string. Times are by the clock given; a token counts when it is chosen. */
#ifndef EW_ANSWER_H
#define EW_ANSWER_H

#include "base/buf.h"
#include "base/clock.h"
#include "flow/flow.h"
#include "meter/meter.h"

enum {
    EW_ANSWER_TEXT_MAX = 16 << 20, /* bytes */
};

enum ew_answer_end {
    EW_ANSWER_STOP,    /* the model ended its turn, or a stop string came */
    EW_ANSWER_LENGTH,  /* max_tokens */
    EW_ANSWER_CONTEXT, /* the context is full */
    EW_ANSWER_CANCELED
};
const char *ew_answer_end_name(enum ew_answer_end end);

struct ew_answer_params {
    const char *const *stops;
    size_t stop_count;
    uint32_t max_tokens; /* 0: until the context is full */
    const struct ew_clock *clock;
    struct ew_meter *meter; /* NULL: energy unknown */
    double tariff_cents_per_kwh;
    uint64_t start_ns; /* when the question was asked; 0: now */
    /* Told pieces of text as they come; a non-zero result ends the answer with that code. */
    int (*tell)(void *user, const char *text, size_t bytes);
    void *user;
};

struct ew_answer {
    struct ew_buf text;
    int32_t *tokens; /* the end token isn't among them */
    size_t token_count, token_capacity;
    enum ew_answer_end end;
    struct ew_usage usage;
};

void ew_answer_init(struct ew_answer *answer);
void ew_answer_fini(struct ew_answer *answer);

/* Replaces what the answer held. A cancelled answer is no failure: it holds what came until then.
 * Sampling is as the session has it set. */
int ew_answer_make(struct ew_answer *answer, const struct ew_model *model,
                   struct ew_session *session, const int32_t *prompt, size_t count,
                   const struct ew_answer_params *params, struct ew_err *err);

/* Text as tokens, and a conversation by the model's template as tokens; *gives is malloc'd. */
int ew_answer_tokens(const struct ew_model *model, const char *text, size_t bytes, unsigned flags,
                     int32_t **gives, size_t *count, struct ew_err *err);
int ew_answer_chat(const struct ew_model *model, const struct ew_message *messages,
                   size_t message_count, int32_t **gives, size_t *count, struct ew_err *err);

#endif
