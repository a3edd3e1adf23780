/* edgewise.h - run a small language model on this device's CPU.
 *
 * The only public header of libedgewise.a. A model is weights, tokenizer and chat template, read
 * from one GGUF file; a session is one conversation with it: a growing list of tokens whose
 * attention state is kept. Everything a caller does:
 *
 *     struct ew_err err = {0};
 *     struct ew_model *model = NULL;
 *     struct ew_session *session = NULL;
 *     struct ew_sampling how = ew_sampling_default();
 *     int32_t tokens[512], token;
 *     size_t n;
 *     if (ew_model_open(&model, path, NULL, &err) ||
 *         ew_model_tokenize(model, text, strlen(text), EW_TOKENIZE_BOS, tokens, 512, &n, &err) ||
 *         ew_session_open(&session, model, NULL, &err) ||
 *         ew_session_sampling(session, &how, &err) ||
 *         ew_session_prompt(session, tokens, n, &err))
 *         fprintf(stderr, "%s\n", err.text);
 *     else
 *         while (ew_session_next(session, &token, &err) == 0 && !ew_model_is_end(model, token)) {
 *             const char *piece = ew_model_token(model, token, &n);
 *             fwrite(piece, 1, n, stdout);
 *         }
 *     ew_session_close(&session);
 *     ew_model_close(&model);
 *
 * Errors: a fallible function returns 0 or a negative EW_E* code and, where err isn't NULL, writes
 * a sentence into it. Memory: what a function *gives* the caller closes; all else is borrowed.
 * Threads: a model may be shared by threads; a session belongs to one thread at a time, except for
 * ew_session_cancel, which any thread may call. The same input gives the same bits whatever the
 * number of threads, the chunk size of the prompt, or the instruction set. */
#ifndef EDGEWISE_H
#define EDGEWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One list of errors: name, number, HTTP status that says it best, exit status, meaning. */
#define EW_ERRORS(X)                                                                               \
    X(EW_EINVAL, -1, 400, 2, "wrong argument")                                                     \
    X(EW_EFORMAT, -2, 422, 1, "malformed file")                                                    \
    X(EW_EUNSUPPORTED, -3, 422, 1, "not supported")                                                \
    X(EW_ENOMEM, -4, 503, 1, "out of memory")                                                      \
    X(EW_EIO, -5, 500, 1, "input or output failed")                                                \
    X(EW_ENOTFOUND, -6, 404, 1, "not found")                                                       \
    X(EW_ECANCELED, -7, 499, 1, "cancelled")                                                       \
    X(EW_ELIMIT, -8, 413, 1, "limit reached")                                                      \
    X(EW_ENET, -9, 502, 1, "network failed")                                                       \
    X(EW_ECHECKSUM, -10, 502, 1, "checksum mismatch")                                              \
    X(EW_ECONTEXT, -11, 400, 1, "context full")

enum ew_error {
#define X(name, number, http, status, text) name = number,
    EW_ERRORS(X)
#undef X
};

struct ew_err {
    int code;       /* 0 or EW_E* */
    char text[240]; /* one sentence, no newline */
};

/* ---- the machine ---- */

struct ew_machine {
    char cpu[64];             /* model name as the kernel tells it */
    const char *isa;          /* the kernels that would be used: "scalar", "avx2", "avx512vnni" */
    int cores;                /* usable by this process */
    uint64_t memory_bytes;    /* physical, or the cgroup's limit where lower */
    uint64_t available_bytes; /* free to take now */
    bool huge_pages;          /* transparent huge pages can be had for our weights */
};
void ew_machine_describe(struct ew_machine *out);

/* What the hardware can do now, measured for about `ms` milliseconds: the denominators of every
 * "percent of the limit" that edgewise prints. */
struct ew_machine_speed {
    double read_bandwidth_bytes_per_s; /* all threads streaming a buffer larger than the caches */
    double int8_macs_per_s;            /* all threads, multiply-accumulates of 8-bit integers */
};
int ew_machine_measure(int threads, int ms, struct ew_machine_speed *out, struct ew_err *err);

/* ---- the model ---- */

struct ew_model;

struct ew_model_params {
    int threads;         /* 0: one for each usable core */
    const char *isa;     /* NULL: the best this CPU has; else "scalar", "avx2" or "avx512vnni" */
    uint32_t ctx;        /* positions that sessions will ask for: part of the memory plan; 0: 4096
                            or what the model was trained for, whichever is less */
    uint64_t memory_max; /* 0: what the machine has available; opening fails above it */
    bool vocab_only;     /* tokenizer and template, no weights: sessions can't be opened */
};
int ew_model_open(struct ew_model **gives, const char *path, const struct ew_model_params *params,
                  struct ew_err *err);
void ew_model_close(struct ew_model **model);

/* What a model and its batch would take, from the file's metadata alone: nothing is loaded. */
struct ew_batch_params;
struct ew_memory {
    uint64_t weight_bytes, vocabulary_bytes, work_bytes;
    uint64_t kv_bytes;     /* as asked for, or chosen */
    uint64_t kv_bytes_min; /* one stream of the whole ctx: less isn't opened */
    uint64_t total_bytes;  /* with kv_bytes */
};
int ew_model_plan(const char *path, const struct ew_model_params *params,
                  const struct ew_batch_params *batch, struct ew_memory *out, struct ew_err *err);

struct ew_model_info {
    const char *name;         /* general.name, or the file's name */
    const char *architecture; /* llama, qwen2, … */
    const char *isa;
    const char *quantization; /* type that most weights have: "Q4_1" */
    int threads;
    uint32_t ctx_train, ctx; /* positions: trained for, planned */
    uint32_t vocab, layers, embedding, heads, kv_heads, head_dim;
    uint64_t parameters;
    uint64_t file_bytes, weight_bytes, kv_bytes_per_position, planned_bytes;
    uint64_t macs_per_token, head_macs; /* of the linear layers; of the vocabulary head alone */
    uint64_t bytes_per_token;           /* weights read to decode one token */
    bool adds_bos, has_chat_template;
};
void ew_model_describe(const struct ew_model *model, struct ew_model_info *out);

enum ew_tokenize_flags {
    EW_TOKENIZE_BOS = 1,    /* add what the file says belongs in front (and behind) */
    EW_TOKENIZE_SPECIAL = 2 /* "<|im_end|>" in the text is the token, not ten characters */
};
/* Bytes of text -> token ids. *count is what the text needs, also when it exceeds capacity
 * (EW_ELIMIT then, and nothing beyond capacity is written). Invalid UTF-8 is replaced by U+FFFD. */
int ew_model_tokenize(const struct ew_model *model, const char *text, size_t bytes, unsigned flags,
                      int32_t *tokens, size_t capacity, size_t *count, struct ew_err *err);
/* The bytes one token stands for; may be part of a UTF-8 character. Special tokens are "" here. */
const char *ew_model_token(const struct ew_model *model, int32_t token, size_t *bytes);
/* How the vocabulary writes the token, special ones too: "<|im_end|>". */
const char *ew_model_token_name(const struct ew_model *model, int32_t token, size_t *bytes);
bool ew_model_is_end(const struct ew_model *model, int32_t token);
/* Joins the bytes of tokens; as tokenize, *bytes is what is needed. */
int ew_model_detokenize(const struct ew_model *model, const int32_t *tokens, size_t count,
                        char *text, size_t capacity, size_t *bytes, struct ew_err *err);

struct ew_message {
    const char *role; /* "system", "user", "assistant", "tool" */
    const char *content;
};
/* Messages -> the text that the model's own template makes of them, NUL-terminated in text.
 * Tokenize it with EW_TOKENIZE_SPECIAL and without EW_TOKENIZE_BOS where has_bos comes back. A last
 * message of the assistant is continued: no new turn is opened. */
int ew_model_chat(const struct ew_model *model, const struct ew_message *messages, size_t count,
                  char *text, size_t capacity, size_t *bytes, bool *has_bos, struct ew_err *err);
/* The same from JSON: an array of messages as OpenAI's API has them (content a string, parts, or
 * null; all other keys pass to the template, too), and an array of tools or NULL. The arguments of
 * tool_calls are objects for the template, or the text they came as where it can't take objects.
 * EW_EINVAL says which byte of the JSON, or which message, is wrong. */
int ew_model_chat_json(const struct ew_model *model, const char *messages, size_t message_bytes,
                       const char *tools, size_t tool_bytes, char *text, size_t capacity,
                       size_t *bytes, bool *has_bos, struct ew_err *err);
/* Whether the template does anything with tools; where it doesn't, the caller tells the model of
 * them in words. */
bool ew_model_chat_has_tools(const struct ew_model *model);

/* ---- the grammar ---- */

/* What an answer may be: a JSON schema made into an automaton over the bytes of the vocabulary's
 * tokens. Immutable once open: threads and streams share one. */
struct ew_grammar;

struct ew_grammar_params {
    const char *schema; /* JSON Schema as text; NULL: any JSON object */
    size_t schema_bytes;
    const char *before, *after; /* text that must stand around the JSON; NULL: none */
    const struct ew_grammar_params *otherwise; /* or an answer of this form; NULL: no other */
};
/* EW_EUNSUPPORTED names the keyword, EW_EFORMAT what is wrong with the schema, EW_ELIMIT which
 * limit it exceeds. */
int ew_grammar_open(struct ew_grammar **gives, const struct ew_model *model,
                    const struct ew_grammar_params *params, struct ew_err *err);
void ew_grammar_close(struct ew_grammar **grammar);

/* ---- the session ---- */

struct ew_session;

struct ew_session_params {
    uint32_t ctx;   /* positions at most; 0: all that the model was opened for */
    uint32_t chunk; /* prompt tokens computed at a time; 0: 128; the answer doesn't depend on it */
};
/* The model's memory plan has one session with a chunk of 128 in it; what further sessions and
 * longer chunks take comes on top. */
int ew_session_open(struct ew_session **gives, struct ew_model *model,
                    const struct ew_session_params *params, struct ew_err *err);
void ew_session_close(struct ew_session **session);

struct ew_bias {
    int32_t token;
    float add; /* to its logit; -100 bans in practice */
};

struct ew_sampling {
    float temperature;                                         /* 0: the likeliest token always */
    int top_k;                                                 /* 0: off */
    float top_p;                                               /* 1: off */
    float min_p;                                               /* 0: off */
    float repeat_penalty, frequency_penalty, presence_penalty; /* 1, 0, 0: off */
    int penalty_last;                                          /* tokens looked back on; -1: all */
    uint64_t seed;
    const struct ew_bias *bias; /* borrowed for the call that sets it */
    size_t bias_count;
};
struct ew_sampling ew_sampling_default(void); /* greedy, all off, seed 0 */
int ew_session_sampling(struct ew_session *session, const struct ew_sampling *how,
                        struct ew_err *err);

/* Appends tokens and computes them. EW_ECONTEXT when they don't fit: nothing is appended then. */
int ew_session_prompt(struct ew_session *session, const int32_t *tokens, size_t count,
                      struct ew_err *err);
/* Chooses the next token by the sampling set, and appends it. */
int ew_session_next(struct ew_session *session, int32_t *token, struct ew_err *err);
/* Like prompt, and hands over the logits that follow each token from index `first` on. What isn't 0
 * from `each` ends the call, which returns it. `each` may cancel the session, nothing else. */
typedef int ew_logits_fn(void *user, size_t index, const float *logits, uint32_t vocab);
int ew_session_score(struct ew_session *session, const int32_t *tokens, size_t count, size_t first,
                     ew_logits_fn *each, void *user, struct ew_err *err);
/* The logits after the last token, [vocab]; valid until the next call. NULL before a prompt, and
 * when their computation is cancelled or fails. */
const float *ew_session_logits(struct ew_session *session);
size_t ew_session_length(const struct ew_session *session);
/* Forgets all tokens from position `length` on. */
void ew_session_rewind(struct ew_session *session, size_t length);
/* Any thread, and signal handlers: the call under way, or the next one, ends with EW_ECANCELED
 * within milliseconds; tokens whose computation hadn't ended are not appended. */
void ew_session_cancel(struct ew_session *session);

/* ---- the batch: many answers at once ---- */

/* One step computes one token of every stream that decodes and a piece of the prompts that wait,
 * in the same matrix products, so that eight streams cost little more than one. Attention state
 * lies in pages that streams share: a prompt that begins as an earlier one did isn't computed
 * again. The answer of a stream is bit for bit what a session would give, whoever is beside it.
 * A batch belongs to one thread, except for ew_stream_cancel. */
struct ew_batch;

struct ew_batch_params {
    uint32_t streams;      /* computed together at most, 1 to EW_STREAMS_MAX; 0: 16 */
    uint32_t ctx;          /* positions of one stream; 0: all that the model was opened for */
    uint64_t kv_bytes_max; /* of all pages; 0: four streams of the whole ctx */
};
#define EW_STREAMS_MAX 64

int ew_batch_open(struct ew_batch **gives, struct ew_model *model,
                  const struct ew_batch_params *params, struct ew_err *err);
void ew_batch_close(struct ew_batch **batch); /* after its streams */

#define EW_LOGPROBS_MAX 20
struct ew_token_logprob {
    int32_t token;
    float logprob; /* natural, of the model itself: before bias, penalties, temperature */
};

struct ew_stream_params {
    const int32_t *tokens; /* the prompt; copied */
    size_t count;
    struct ew_sampling sampling;      /* copied, its bias too */
    uint32_t max_tokens;              /* 0: until the context is full */
    bool logprobs;                    /* wanted for each token, */
    int top_logprobs;                 /* and for so many likeliest ones, 0 to EW_LOGPROBS_MAX */
    const struct ew_grammar *grammar; /* NULL: none; borrowed until the stream is closed */
    void *user;
};

/* One answer in the making. Opened, it waits; added, it is computed with the others; it leaves by
 * its end, or by a pause, and may then be added again and go on as if nothing had been. */
struct ew_stream;
/* EW_ECONTEXT where prompt and one token don't fit. */
int ew_stream_open(struct ew_stream **gives, struct ew_batch *batch,
                   const struct ew_stream_params *params, struct ew_err *err);
void ew_stream_close(struct ew_stream **stream); /* leaves the batch first if need be */
/* EW_ELIMIT: all places are taken, or there is no memory for the prompt now: try after a step. */
int ew_stream_add(struct ew_stream *stream, struct ew_err *err);
void ew_stream_pause(struct ew_stream *stream);
/* Any thread. The stream ends with EW_STREAM_CANCELED, within milliseconds, in its prompt too. */
void ew_stream_cancel(struct ew_stream *stream);

enum ew_stream_end {
    EW_STREAM_RUNS,    /* hasn't ended */
    EW_STREAM_STOP,    /* the model ended its turn, the grammar its text, or the reader it */
    EW_STREAM_LENGTH,  /* max_tokens */
    EW_STREAM_CONTEXT, /* the context is full */
    EW_STREAM_CANCELED,
    EW_STREAM_PREEMPTED, /* out of memory for all: paused by the batch; add it again later */
    EW_STREAM_FAILED     /* err of the event says why */
};

struct ew_stream_event {
    struct ew_stream *stream;
    void *user;
    int32_t token;                      /* -1: none, the stream only ends */
    float logprob;                      /* NAN: not asked for */
    const struct ew_token_logprob *top; /* [top_count], likeliest first; borrowed for the call */
    uint32_t top_count;
    enum ew_stream_end end;   /* the token, if there is one, is the last (it is no end token) */
    const struct ew_err *err; /* of EW_STREAM_FAILED */
};
/* 0: go on; anything else ends the stream with EW_STREAM_STOP (no further event comes). It may
 * cancel streams, nothing else. */
typedef int ew_stream_fn(void *user, const struct ew_stream_event *event);

/* One step of all added streams; events are told on this thread, in the order of adding. Nothing
 * to do: returns at once. A failure of one stream is its event; what this returns concerns all. */
int ew_batch_step(struct ew_batch *batch, ew_stream_fn *each, void *user, struct ew_err *err);

struct ew_stream_info {
    uint32_t prompt_tokens, output_tokens;
    uint32_t cached_tokens;   /* of the prompt, found computed when first added */
    uint32_t computed_tokens; /* of the prompt, so far, cached ones included */
    uint32_t preemptions;
};
void ew_stream_describe(const struct ew_stream *stream, struct ew_stream_info *out);

struct ew_batch_info {
    uint32_t streams, running, prefilling; /* places, taken, of these still in their prompt */
    uint32_t page_positions;
    uint64_t pages, pages_used, pages_cached; /* used: by streams; cached: by kept prefixes alone */
    uint64_t bytes;                           /* of pages in use or kept, and of working space */
    uint64_t steps, prompt_tokens, cached_tokens, output_tokens, preemptions; /* since open */
};
void ew_batch_describe(const struct ew_batch *batch, struct ew_batch_info *out);

const char *ew_error_text(int code);
const char *ew_version(void);

#endif
