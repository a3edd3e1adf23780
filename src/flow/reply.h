/* reply.h - an answer on its way out: choices that grow, and what they took. The server fills it,
 * src/api writes it as the client's wire wants it. */
#ifndef EW_REPLY_H
#define EW_REPLY_H

#include "flow/flow.h"
#include "flow/request.h"

enum ew_finish {
    EW_FINISH_NONE, /* not yet */
    EW_FINISH_STOP,
    EW_FINISH_LENGTH,
    EW_FINISH_TOOL_CALLS,
};

struct ew_reply_token {
    struct ew_str text; /* the token's bytes; may be part of a character */
    int32_t id;
    float logprob;
    const struct ew_reply_token *top; /* [top_count] */
    uint32_t top_count;
};

struct ew_reply_call {
    char id[64]; /* "call_" and 24 characters; or as an upstream calls it */
    struct ew_str name;
    struct ew_str arguments; /* JSON text */
};

/* What is new in one choice (stream), or all of it (whole). Everything is borrowed. */
struct ew_delta {
    uint32_t choice;
    struct ew_str text;
    const struct ew_reply_token *tokens; /* with logprobs only; NULL: not asked for */
    size_t token_count;
    const struct ew_reply_call *calls; /* complete ones */
    size_t call_count, call_first;     /* index of calls[0] in the choice */
    enum ew_finish finish;
    size_t text_offset; /* bytes of the choice's text before this delta: legacy logprobs want it */
};

struct ew_reply {
    const struct ew_request *request;
    char id[48];       /* "chatcmpl-…" or "cmpl-…" */
    int64_t created_s; /* Unix time */
    const char *model; /* as the client is told: the name it asked for */
    const char *fingerprint;
    const char *device;         /* which device answered */
    struct ew_usage usage;      /* whole by the end */
    enum ew_finish finish;      /* of the first choice, by the end: Ollama's last line tells it */
    uint64_t load_ns, total_ns; /* Ollama tells them */
};

#endif
