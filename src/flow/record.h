/* record.h - one request's row in the ledger: defined here once, as an X-macro that gives the
 * struct, the SQL schema, the CSV header, the JSON keys and the docs.
 *
 * EW_RECORD_FIELDS(TEXT, INT, REAL): TEXT(name, bytes, meaning), INT(name, meaning),
 * REAL(name, meaning). Unknown is "" (SQL NULL), EW_RECORD_UNKNOWN or NAN; never 0. */
#ifndef EW_RECORD_H
#define EW_RECORD_H

#include "base/buf.h"
#include "base/jsonw.h"

#include <math.h>
#include <string.h>

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
    REAL(energy_j, "joules, gross; of places that failed before, too, where known")                \
    TEXT(energy_kind, 12, "measured, modelled or unknown")                                         \
    REAL(cost_cents, "electricity, or the cloud's price; of places that failed before, too")       \
    TEXT(prompt, 4096, "the prompt's text, cut; only where the configuration asks for it")         \
    TEXT(place, 8, "engine (the one built in), device or cloud: what answered")                    \
    INT(attempts, "places that were asked, one after the other")                                   \
    TEXT(tokens_kind, 12, "counted (here), reported (by what answered) or estimated")              \
    REAL(edge_cents, "what the cheapest device was predicted to cost")                             \
    REAL(cloud_cents, "what the cheapest cloud was predicted to cost")                             \
    TEXT(decision, 4096, "who could have answered and why who did, as JSON")

struct ew_record {
#define TEXT(name, size, meaning) char name[size];
#define INT(name, meaning)        int64_t name;
#define REAL(name, meaning)       double name;
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
};

enum ew_record_kind { EW_RECORD_TEXT, EW_RECORD_INT, EW_RECORD_REAL };

/* The same list as data, for whoever walks over all columns. */
struct ew_record_field {
    const char *name;
    enum ew_record_kind kind;
    size_t offset, size; /* of the member */
    const char *meaning;
};

enum {
#define TEXT(name, size, meaning) +1
#define INT(name, meaning)        +1
#define REAL(name, meaning)       +1
    EW_RECORD_FIELD_COUNT = 0 EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
};
extern const struct ew_record_field ew_record_fields[EW_RECORD_FIELD_COUNT];

/* Index of the column of that name, or -1. */
int ew_record_find(const char *name);

static inline const char *ew_record_text(const struct ew_record *record, size_t field)
{
    return (const char *)record + ew_record_fields[field].offset;
}
static inline int64_t ew_record_int(const struct ew_record *record, size_t field)
{
    return *(const int64_t *)(const void *)ew_record_text(record, field);
}
static inline double ew_record_real(const struct ew_record *record, size_t field)
{
    return *(const double *)(const void *)ew_record_text(record, field);
}

/* Copies text of strangers into a member: `ew_record_set(r.model, sizeof r.model, text)`. Cut at a
 * whole character; broken UTF-8 becomes U+FFFD, control characters (also U+0080..9F, and lines' and
 * paragraphs' ends) become spaces, so that a row stays a row wherever it is printed. */
void ew_record_set(char *to, size_t size, struct ew_str text);

static inline bool ew_record_estimated(const struct ew_record *record)
{
    return strcmp(record->tokens_kind, "estimated") == 0;
}

/* One object, every column a key, unknown null. */
void ew_record_json(struct ew_jsonw *json, const struct ew_record *record);
/* RFC 4180: CRLF, quotes where needed; unknown is an empty field. A text that a spreadsheet would
 * take for a formula (= + - @ first) gets an apostrophe in front: clients choose these texts. */
int ew_record_csv_header(struct ew_buf *out, struct ew_err *err);
int ew_record_csv(struct ew_buf *out, const struct ew_record *record, struct ew_err *err);

/* Everything unknown. Of texts only the first byte is set: they are 10 KB together, and most stay
 * empty. */
static inline void ew_record_init(struct ew_record *record)
{
#define TEXT(name, size, meaning) record->name[0] = '\0';
#define INT(name, meaning)        record->name = EW_RECORD_UNKNOWN;
#define REAL(name, meaning)       record->name = NAN;
    EW_RECORD_FIELDS(TEXT, INT, REAL)
#undef TEXT
#undef INT
#undef REAL
}

#endif
