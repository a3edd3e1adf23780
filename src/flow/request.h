/* request.h - what a client asks for, whatever wire it came by.
 *
 * src/api makes it of OpenAI's or Ollama's JSON; the rooms behind it never see that JSON. All
 * pointers are into memory that the request owns (`memory`), which ew_request_fini gives back. What
 * the client left out has the default that OpenAI documents. */
#ifndef EW_REQUEST_H
#define EW_REQUEST_H

#include "base/buf.h"

enum {
    EW_REQUEST_CHOICES_MAX = 16, /* n, times prompts of a completion */
    EW_REQUEST_STOPS_MAX = 16,
    EW_REQUEST_BIAS_MAX = 1024,
    EW_REQUEST_TOOLS_MAX = 128,
    EW_REQUEST_MESSAGES_MAX = 10000,
};

enum ew_request_kind { EW_REQUEST_CHAT, EW_REQUEST_COMPLETION };

enum ew_response_format { EW_FORMAT_TEXT, EW_FORMAT_JSON_OBJECT, EW_FORMAT_JSON_SCHEMA };

enum ew_tool_choice { EW_TOOLS_NONE, EW_TOOLS_AUTO, EW_TOOLS_REQUIRED, EW_TOOLS_NAMED };

/* A prompt of a completion: text, or tokens where the client sent ids. */
struct ew_request_prompt {
    struct ew_str text;
    const int32_t *tokens; /* NULL: text */
    size_t count;
};

/* A bias by token id; what the vocabulary doesn't have is refused when the model is known. */
struct ew_request {
    enum ew_request_kind kind;
    const char *model; /* as the client wrote it */

    struct ew_str messages; /* chat: JSON array, contents flattened to strings */
    struct ew_str tools;    /* chat: JSON array; .data NULL: none */
    enum ew_tool_choice tool_choice;
    const char *tool_name; /* of EW_TOOLS_NAMED */
    bool parallel_tool_calls;

    struct ew_request_prompt *prompts; /* completion: at least one */
    size_t prompt_count;
    bool echo;
    bool raw; /* completion by Ollama with "raw": no template; without it kind is chat */

    enum ew_response_format format;
    struct ew_str schema; /* of EW_FORMAT_JSON_SCHEMA: the schema itself as JSON text */

    bool stream, include_usage;
    uint32_t n;          /* choices for each prompt */
    uint32_t max_tokens; /* 0: until the context is full */
    const char *stops[EW_REQUEST_STOPS_MAX];
    size_t stop_count;
    bool logprobs;
    int top_logprobs;
    bool has_seed;               /* without it the server draws one */
    struct ew_sampling sampling; /* bias points into `memory` */
    const char *user;            /* NULL: not given */
    double keep_alive_s;         /* Ollama: unload after so long; NAN: as configured; < 0: never */
    bool load_only;              /* Ollama: no prompt at all: load (or with 0 unload) the model */

    void *memory; /* owned by the wire that made it */
    void (*free_memory)(void *memory);
};

static inline void ew_request_fini(struct ew_request *request)
{
    if (request->free_memory)
        request->free_memory(request->memory);
    *request = (struct ew_request){0};
}

/* Why a request isn't answered, as the client will read it. */
struct ew_fault {
    int status;           /* HTTP */
    const char *type;     /* "invalid_request_error", … static */
    const char *code;     /* "model_not_found", … static; NULL: null */
    char param[96];       /* "messages[2].content"; "": null */
    char message[512];    /* a sentence */
    double retry_after_s; /* 0: no such header */
};

#endif
