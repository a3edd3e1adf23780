/* dialect_int.h - what the dialects share: an answer being read, and requests made for others.
 *
 * Readers are lists of fields, as in read.h: the first failure sticks (answer->err), after it every
 * call does nothing, and whoever began looks once, at the end. Failures are EW_EFORMAT and a
 * sentence that names the field and never what stands in it: it may be somebody's secret.
 *
 * Texts of deltas lie in the tree of the event that is being read, or in the answer's blocks; both
 * are given back when the next one is. Family-private to src/api. */
#ifndef EW_DIALECT_INT_H
#define EW_DIALECT_INT_H

#include "api/dialect.h"
#include "api/read.h"
#include "api/write.h"
#include "base/rng.h"

enum {
    EW_ANSWER_SAID_MAX = 4 << 20, /* of what ew_answer_said keeps */
    EW_ANSWER_CALL_MAX = 4 << 20, /* of one call's arguments: as long as an event may be */
    EW_ANSWER_CALLS_MAX = 64,     /* of one choice, as tools.c has it */
};

struct ew_dialect_own {
    const char *(*lacks)(const struct ew_request *request);
    /* The bytes are answer->data; what is new goes to answer->news, failures to answer->err. */
    void (*whole)(struct ew_answer *answer);
    void (*event)(struct ew_answer *answer, const char *name);
    const char *list_key, *name_key; /* of a list of models: where it is, what has the name */
};

/* A call that comes in pieces. */
struct ew_answer_call {
    size_t index; /* as the upstream counts */
    char id[64];
    struct ew_buf name, arguments;
};

struct ew_answer_choice {
    size_t text_bytes;            /* so far */
    struct ew_answer_call *calls; /* [EW_ANSWER_CALLS_MAX], NULL before the first */
    size_t call_count, call_told; /* told: given in a delta */
    bool finished;
};

struct ew_answer_block;

struct ew_answer {
    const struct ew_dialect *dialect;
    const struct ew_request *request;
    enum ew_answer_form form;
    struct ew_err err; /* the first failure */
    struct ew_answer_news news;
    char id[128];
    int64_t created_s;
    bool has_rng;
    struct ew_rng rng;  /* of ids for calls that have none */
    struct ew_str data; /* the event's bytes: borrowed during the call */
    json_t *root;       /* what they are */
    struct ew_answer_block *blocks;
    struct ew_buf text; /* EW_ANSWER_TEXT: what was made of them */
    struct ew_str body; /* EW_ANSWER_TEXT: the whole answer, to be rewritten; borrowed */
    struct ew_buf said;
    uint32_t counts[4];      /* Anthropic's, as they were told last */
    unsigned counted;        /* which of them: a bit for each */
    struct ew_delta *deltas; /* EW_ANSWER_DELTAS: [choice_count], one for each that has news */
    size_t delta_count;
    size_t choice_count; /* as the request asks for */
    struct ew_answer_choice choices[];
};

bool ew_answer_failed(const struct ew_answer *answer);
/* EW_EFORMAT and the sentence, unless something failed before. */
void ew_answer_fail(struct ew_answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *ew_answer_alloc(struct ew_answer *answer, size_t count, size_t bytes); /* NULL: failed */
/* The object that the bytes are; NULL: failed. */
const json_t *ew_answer_load(struct ew_answer *answer);
/* Whether it says that it failed, in band: then news.fault is set, or for want of memory err. */
bool ew_answer_refused(struct ew_answer *answer, const json_t *root);

/* ---- fields; absent and null are alike: NULL, .data NULL, false ---- */

const json_t *ew_answer_object(struct ew_answer *answer, const json_t *object, const char *key);
const json_t *ew_answer_array(struct ew_answer *answer, const json_t *object, const char *key);
struct ew_str ew_answer_text(struct ew_answer *answer, const json_t *object, const char *key);
const char *ew_answer_word(struct ew_answer *answer, const json_t *object, const char *key);
bool ew_answer_count(struct ew_answer *answer, const json_t *object, const char *key,
                     uint32_t *out);

/* ---- what is new ---- */

/* Whether the request asks for so many choices; failed otherwise. */
bool ew_answer_in_range(struct ew_answer *answer, uint32_t choice);
/* There is text of a choice. */
void ew_answer_say(struct ew_answer *answer, uint32_t choice, struct ew_str text);
/* There are tokens that are no text for the client: thoughts, pieces of a call. */
void ew_answer_stir(struct ew_answer *answer);
/* The delta of the choice in this event, made if need be; NULL: failed. EW_ANSWER_DELTAS only. */
struct ew_delta *ew_answer_delta(struct ew_answer *answer, uint32_t choice);
/* The call that a piece belongs to: the last one of that index, or a new one if there is none, or
 * if it has another id (.data NULL: not told). NULL: failed. EW_ANSWER_DELTAS only. */
struct ew_answer_call *ew_answer_call(struct ew_answer *answer, uint32_t choice, size_t index,
                                      struct ew_str id);
void ew_answer_call_add(struct ew_answer *answer, struct ew_buf *to, struct ew_str text);
/* The arguments as a value, at once. */
void ew_answer_call_object(struct ew_answer *answer, struct ew_answer_call *call,
                           const json_t *value);
/* The choice has ended: its calls are whole, and told. */
void ew_answer_finish(struct ew_answer *answer, uint32_t choice, enum ew_finish finish);
/* The answer has ended: calls that are still held back are told. */
void ew_answer_end(struct ew_answer *answer);
/* Device, joules and the like, from an object that may have their keys; what isn't of their types
 * is somebody else's, and unknown. */
void ew_answer_extra(struct ew_answer *answer, const json_t *object);

/* ---- faults ---- */

/* An object that tells an error in one of the ways of any dialect; status 0: by its type. */
bool ew_dialect_fault_read(const json_t *root, int status, struct ew_fault *fault);

/* ---- requests ---- */

/* The messages as a tree that each dialect can write: every call has an id, and a result says which
 * call it is of (tool_call_id) and of which tool (name); words that the answer has begun with are a
 * last message of the assistant's. NULL and the fault: no memory. The caller gives it back. */
json_t *ew_dialect_messages(const struct ew_dialect_ask *ask, struct ew_fault *fault);
/* The arguments of a call as the object that they are; malformed ones are {}. A new reference. */
json_t *ew_dialect_arguments(const json_t *call);
/* Of those that are still to come; 0: as many as the context allows. */
uint32_t ew_dialect_max_tokens(const struct ew_dialect_ask *ask);
/* What no continuation can hold to, in whatever words; NULL: nothing, or it is none. */
const char *ew_dialect_unlike(const struct ew_dialect_ask *ask);
/* "lacks" as a fault. */
int ew_dialect_refuse(struct ew_fault *fault, const struct ew_dialect *dialect, const char *what);
int ew_dialect_too_large(struct ew_fault *fault);

#endif
