/* wire.h - one table for each wire format: how a request is read, and how its answer is written.
 *
 * The server knows requests and replies; which JSON they are is known here alone. Writers append to
 * `out`, whose max bounds them, and fail only by that bound. A stream is start, any number of
 * deltas, end; framing ("data: …\n\n", NDJSON) included. */
#ifndef EW_WIRE_H
#define EW_WIRE_H

#include "flow/reply.h"

struct ew_wire {
    const char *stream_type; /* Content-Type of a stream */
    /* 0, or -1 with the fault filled. The request is empty then. */
    int (*parse)(struct ew_request *out, struct ew_str body, struct ew_fault *fault);
    int (*start)(const struct ew_reply *reply, struct ew_buf *out);
    int (*delta)(const struct ew_reply *reply, const struct ew_delta *delta, struct ew_buf *out);
    int (*end)(const struct ew_reply *reply, struct ew_buf *out);
    /* Not streamed: all choices, in order. */
    int (*whole)(const struct ew_reply *reply, const struct ew_delta *choices, size_t count,
                 struct ew_buf *out);
    /* The body of an answer that is an error; and the same in the midst of a stream, after which
     * nothing follows. */
    int (*error)(const struct ew_fault *fault, struct ew_buf *out);
    int (*stream_error)(const struct ew_fault *fault, struct ew_buf *out);
};

extern const struct ew_wire ew_openai_chat, ew_openai_completion, ew_ollama_chat,
    ew_ollama_generate;

/* Lists and single models, for the routes that tell of them. */
struct ew_wire_model {
    const char *name, *owner; /* "edgewise" */
    int64_t created_s;        /* of the file */
    uint64_t bytes;
    const char *sha256; /* "" unknown */
    const char *architecture, *quantization, *licence;
    uint64_t parameters;
    uint32_t ctx, embedding;
    bool tools, loaded;
    int64_t expires_s; /* of a loaded one: Unix time at which idleness unloads it; 0: not known;
                          < 0: never */
    const char *template_text; /* chat template; NULL: none */
};
int ew_openai_models(const struct ew_wire_model *models, size_t count, struct ew_buf *out);
int ew_openai_model(const struct ew_wire_model *model, struct ew_buf *out);
int ew_ollama_tags(const struct ew_wire_model *models, size_t count, struct ew_buf *out);
int ew_ollama_ps(const struct ew_wire_model *models, size_t count, struct ew_buf *out);
int ew_ollama_show(const struct ew_wire_model *model, struct ew_buf *out);
int ew_ollama_version(struct ew_buf *out);
/* The "model" (or "name") of a small body, as /api/show wants it; gives malloc'd text. */
int ew_ollama_name(struct ew_str body, char **gives, struct ew_fault *fault);

/* A fault of OpenAI's kinds by status: type and code as OpenAI answers them. */
void ew_fault_set(struct ew_fault *fault, int status, const char *code, const char *param,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
