/* dialect.h - what other engines and clouds are asked in, and how their answers are read.
 *
 * The mirror of wire.h: a wire is what our clients speak to us, a dialect what we speak to others.
 *
 *     dialect->compose(&ask, &body, &fault);            the request's body
 *     ew_answer_open(&answer, dialect, request, form, &err);
 *     ew_answer_whole(answer, body, &news, &err);       an answer in one piece, or
 *     ew_answer_event(answer, name, data, &news, &err); each event of a stream
 *     ew_answer_close(&answer);
 *
 * Two forms. EW_ANSWER_DELTAS: what is new as `struct ew_delta`, for any wire to write; tool calls
 * are gathered until they are whole. EW_ANSWER_TEXT, for a client and an upstream that both speak
 * OpenAI's: the JSON text that the client is to get, as the upstream sent it, so that fields which
 * we don't know pass; only `usage` is taken out (the end of the answer tells it, with ours).
 *
 * Limits: a whole answer of EW_ANSWER_BYTES_MAX; JSON as deep as jansson's own limit; choices, as a
 * request may ask for. What isn't what the dialect promises is EW_EFORMAT: a sentence that names
 * it. */
#ifndef EW_DIALECT_H
#define EW_DIALECT_H

#include "flow/reply.h"
#include "flow/request.h"

#define EW_ANSWER_BYTES_MAX (64u << 20)

enum ew_dialect_framing { EW_FRAMING_SSE, EW_FRAMING_LINES };
enum ew_dialect_auth { EW_AUTH_BEARER, EW_AUTH_X_API_KEY }; /* Authorization: Bearer; x-api-key */

struct ew_dialect_ask {
    const struct ew_request *request;
    struct ew_str body; /* as the client sent it, where it spoke OpenAI's; .data NULL: it didn't */
    const char *model;  /* as the upstream calls it */
    bool stream;        /* ask for a stream, with its usage, whatever the client asked */
    bool strict;        /* only fields that the API documents: clouds refuse others */
    struct ew_str prefill;   /* words that the answer has begun with; .data NULL: none */
    uint32_t prefill_tokens; /* what they are of max_tokens */
};

struct ew_dialect_own;

struct ew_dialect {
    const char *name; /* "openai", "anthropic", "ollama" */
    enum ew_dialect_framing framing;
    enum ew_dialect_auth auth;
    /* Below the base URL, whose end the configuration gives as that API documents it:
     * http://host/v1 for OpenAI's and Anthropic's, http://host for Ollama's. */
    const char *chat_path, *completion_path; /* NULL: it has none */
    const char *models_path;
    const char *version_header, *version; /* "anthropic-version", "2023-06-01"; NULL: none */
    /* Appends the body; 0, or -1 with the fault filled and nothing appended. Status 400 and the
     * feature's name as param where the dialect can't say what was asked (n > 1, logprobs, a
     * completion …): then that upstream isn't able to, others may be. */
    int (*compose)(const struct ew_dialect_ask *ask, struct ew_buf *body, struct ew_fault *fault);
    const struct ew_dialect_own *own; /* how its answers are read: dialect_int.h */
};
extern const struct ew_dialect ew_dialect_openai, ew_dialect_anthropic, ew_dialect_ollama;
const struct ew_dialect *ew_dialect_find(const char *name); /* NULL: there is none */
/* Whether compose would take it, without composing: what it can't say ("logprobs"), or NULL. */
const char *ew_dialect_lacks(const struct ew_dialect *dialect, const struct ew_request *request);

/* What an edgewise device tells of an answer beside its usage; unknown: NAN, "". */
struct ew_answer_extra {
    char device[64];
    double energy_j, cost_cents, ttft_ms, tokens_per_s;
    enum ew_energy_kind energy_kind;
};

/* Borrowed until the next call. */
struct ew_answer_news {
    /* Of this event, or of the whole answer. */
    struct ew_str text; /* EW_ANSWER_TEXT: JSON on one line for the client; .data NULL: nothing */
    const struct ew_delta *deltas;
    size_t delta_count;
    bool has_content; /* a token of the answer is in it: the first one stops the clock of TTFT */
    const struct ew_fault *fault; /* not NULL: the upstream says that it failed, in band */
    /* Of all events so far. */
    uint32_t pieces; /* events with content: tokens, where nobody counts them better */
    bool ended;      /* [DONE], message_stop, done: true; a whole answer is. Ollama's last line,
                        and calls that nobody ended, are deltas of the event that ends */
    bool has_usage;
    uint32_t prompt_tokens, cached_tokens, output_tokens; /* with has_usage */
    struct ew_answer_extra extra;
    enum ew_finish finish; /* of the first choice, once known */
};

enum ew_answer_form { EW_ANSWER_DELTAS, EW_ANSWER_TEXT };

struct ew_answer;
/* The request is borrowed. */
int ew_answer_open(struct ew_answer **gives, const struct ew_dialect *dialect,
                   const struct ew_request *request, enum ew_answer_form form, struct ew_err *err);
void ew_answer_close(struct ew_answer **answer);
/* The body is borrowed until the next call, or the end; the data of an event until it returns. */
int ew_answer_whole(struct ew_answer *answer, struct ew_str body, struct ew_answer_news *news,
                    struct ew_err *err);
int ew_answer_event(struct ew_answer *answer, const char *name, struct ew_str data,
                    struct ew_answer_news *news, struct ew_err *err);
/* What the upstream called the answer, once an event told; "" before. OpenAI's forms. */
const char *ew_answer_id(const struct ew_answer *answer);
int64_t ew_answer_created_s(const struct ew_answer *answer); /* 0: not told */
/* The text of the first choice so far: what a continuation begins with, and what is counted where
 * no usage comes. Kept up to 4 MB. */
struct ew_str ew_answer_said(const struct ew_answer *answer);

/* EW_ANSWER_TEXT, after ew_answer_whole: the client's body out of the upstream's, with our usage.
 * What the upstream tells in its own stays; counts are the reply's where it tells none. */
int ew_answer_rewrite(struct ew_answer *answer, const struct ew_reply *reply, struct ew_buf *out,
                      struct ew_err *err);

/* An answer that is an error (status >= 400, any body) as a fault; what isn't JSON is told as the
 * status alone. Texts that look like keys are masked. */
void ew_dialect_fault(const struct ew_dialect *dialect, int status, struct ew_str body,
                      struct ew_fault *fault);
/* The names in a list of models; `take` is called for each. EW_EFORMAT: it is none. */
int ew_dialect_models(const struct ew_dialect *dialect, struct ew_str body,
                      void (*take)(void *user, const char *name, uint32_t ctx), void *user,
                      struct ew_err *err);

#endif
