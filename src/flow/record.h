/* record.h - one request's row in the ledger: defined here once, as an X-macro that gives the
 * struct, the SQL schema, the CSV header, the JSON keys and the docs.
 *
 * EW_RECORD_FIELDS(TEXT, INT, REAL): TEXT(name, bytes, meaning), INT(name, meaning),
 * REAL(name, meaning). Unknown is "" (SQL NULL), EW_RECORD_UNKNOWN or NAN; never 0. */
#ifndef EW_RECORD_H
#define EW_RECORD_H

#include <math.h>
#include <stdint.h>

#define EW_RECORD_UNKNOWN INT64_MIN

#define EW_RECORD_FIELDS(TEXT, INT, REAL)                                                          \
    TEXT(request_id, 48, "as the client was told in X-Edgewise-Request-Id")                        \
    INT(arrived_ms, "Unix time of the request's first byte, milliseconds")                         \
    TEXT(client, 64, "name of the client's key; anonymous without keys")                           \
    TEXT(peer, 48, "address the request came from")                                                \
    TEXT(route, 32, "path of the API")                                                             \
    TEXT(model, 96, "as the client asked for it")                                                  \
    TEXT(device, 64, "which device answered")                                                      \
    TEXT(reason, 32, "why that device, or why none")                                               \
    TEXT(policy, 32, "version of the configuration that decided")                                  \
    INT(status, "HTTP status of the answer; 499: the client hung up")                              \
    TEXT(finish, 16, "stop, length, tool_calls, cancelled, error")                                 \
    TEXT(error, 160, "what the client was told was wrong")                                         \
    INT(stream, "1: the answer was streamed")                                                      \
    INT(choices, "answers asked for")                                                              \
    INT(prompt_tokens, "tokens of the prompt, template included")                                  \
    INT(cached_tokens, "of these, not computed again")                                             \
    INT(output_tokens, "tokens of the answer, those cancelled half-way too")                       \
    REAL(queue_ms, "waiting for a place")                                                          \
    REAL(load_ms, "waiting for the model to load")                                                 \
    REAL(ttft_ms, "request to first token")                                                        \
    REAL(decode_ms, "first to last token")                                                         \
    REAL(total_ms, "request to the end of the answer")                                             \
    REAL(energy_j, "joules, gross")                                                                \
    TEXT(energy_kind, 12, "measured, modelled or unknown")                                         \
    REAL(cost_cents, "electricity, or the cloud's price")                                          \
    TEXT(prompt, 4096, "the prompt's text, cut; only where the configuration asks for it")

struct ew_record {
#define TEXT(name, size, meaning) char name[size];
#define INT(name, meaning)        int64_t name;
#define REAL(name, meaning)       double name;
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
};

/* Everything unknown. */
static inline void ew_record_init(struct ew_record *record)
{
    *record = (struct ew_record){0};
#define TEXT(name, size, meaning)
#define INT(name, meaning)  record->name = EW_RECORD_UNKNOWN;
#define REAL(name, meaning) record->name = NAN;
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
}

#endif
