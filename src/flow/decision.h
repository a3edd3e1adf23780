/* decision.h - which place answers a request, and why: what policy decides and the ledger keeps.
 *
 * A place is the built-in engine, another device, or a cloud. Of each that could answer there is a
 * verdict: able or refused (with one reason), its score, what it was predicted to take. */
#ifndef EW_DECISION_H
#define EW_DECISION_H

#include "base/jsonw.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a place is selected among those that are able. X(NAME, word, meaning) */
#define EW_SELECTS(X)                                                                              \
    X(RANDOM, "random", "each as likely as the other")                                             \
    X(WEIGHTED, "weighted", "as likely as its weight")                                             \
    X(ROUND_ROBIN, "round-robin", "in turn")                                                       \
    X(LEAST_BUSY, "least-busy", "fewest requests for its concurrency")                             \
    X(LOAD_AWARE, "load-aware", "least predicted work before and with this request")               \
    X(POWER_OF_TWO, "power-of-two", "the less loaded of two drawn at random")                      \
    X(FASTEST, "fastest", "soonest predicted end of the answer")                                   \
    X(GREENEST, "greenest", "fewest predicted joules more")                                        \
    X(BEST_PCR, "best-pcr", "highest predicted utility per cent")

enum ew_select {
#define X(name, word, meaning) EW_SELECT_##name,
    EW_SELECTS(X)
#undef X
        EW_SELECT_COUNT
};

/* What becomes of a request when every device that could answer it is full. */
enum ew_on_full { EW_ON_FULL_QUEUE, EW_ON_FULL_REJECT, EW_ON_FULL_CLOUD };

/* Why a place doesn't get the request. X(NAME, word, sentence) */
#define EW_REFUSALS(X)                                                                             \
    X(NONE, "", "it could answer")                                                                 \
    X(EDGE_ONLY, "edge_only", "the request must not leave the edge")                               \
    X(TRIED, "tried", "it failed at this request already")                                         \
    X(DOWN, "down", "it doesn't answer")                                                           \
    X(BREAKER, "breaker", "it failed too often and rests")                                         \
    X(LEAVING, "leaving", "it takes nothing new")                                                  \
    X(CAPABILITY, "capability", "it can't do what is asked")                                       \
    X(CONTEXT, "context", "the prompt is too long for it")                                         \
    X(QUALITY, "quality", "its model isn't good enough for what is asked")                         \
    X(FULL, "full", "all its places are taken")                                                    \
    X(LIMIT, "limit", "a limit of it is reached")                                                  \
    X(BUDGET, "budget", "what is left of its budget isn't enough")                                 \
    X(DEADLINE, "deadline", "it would be too late")                                                \
    X(POWER, "power", "its battery is low, or it is too hot")                                      \
    X(PREFERRED, "preferred", "a device takes precedence of a cloud")

enum ew_refusal {
#define X(name, word, sentence) EW_REFUSAL_##name,
    EW_REFUSALS(X)
#undef X
        EW_REFUSAL_COUNT
};

/* Why this place, or why none: the ledger's `reason`. Those of the cloud say what kept the edge
 * from it. X(NAME, word, sentence) */
#define EW_REASONS(X)                                                                              \
    X(NONE, "", "nothing was decided")                                                             \
    X(LOCAL, "local", "only the built-in engine could answer")                                     \
    X(ONLY, "only", "only this place could answer")                                                \
    X(SELECTED, "selected", "the policy's selection among several")                                \
    X(STICKY, "sticky", "the conversation's earlier requests went there")                          \
    X(FAILOVER, "failover", "another place failed before")                                         \
    X(CAPACITY, "capacity", "every device was full, or at a limit")                                \
    X(TOO_LATE, "deadline", "no device would have been in time")                                   \
    X(CONTEXT, "context", "the prompt was too long for every device")                              \
    X(CAPABILITY, "capability", "no device has the model, or can do what was asked")               \
    X(QUALITY, "quality", "no device's model was good enough")                                     \
    X(DOWN, "down", "no device answers")                                                           \
    X(POWER, "power", "the devices save power, or are too hot")                                    \
    X(BUDGET, "budget", "what is left of the cloud's budget isn't enough")                         \
    X(EDGE_ONLY, "edge_only", "the request must not leave the edge, which can't answer it")        \
    X(DEGRADED, "degraded", "a smaller model, because the one asked for was out of reach")

enum ew_reason {
#define X(name, word, sentence) EW_REASON_##name,
    EW_REASONS(X)
#undef X
        EW_REASON_COUNT
};

enum ew_action { EW_ACTION_GO, EW_ACTION_QUEUE, EW_ACTION_REJECT };

const char *ew_select_name(enum ew_select select);
bool ew_select_find(const char *word, enum ew_select *out);
const char *ew_refusal_name(enum ew_refusal refusal);
const char *ew_refusal_sentence(enum ew_refusal refusal);
const char *ew_reason_name(enum ew_reason reason);
const char *ew_reason_sentence(enum ew_reason reason);

/* What one place was predicted to be for this request; unknown: NAN. */
struct ew_verdict {
    enum ew_refusal refusal;
    double score; /* as the selection ranks: less is better; NAN: not ranked */
    double ttft_s, total_s, joules, cents, quality, pcr;
    /* Until what refuses it may have passed; 0: not known, or nothing does; EW_VERDICT_NEVER: more
     * than a limit ever admits. */
    uint64_t wait_ns;
};
#define EW_VERDICT_NEVER UINT64_MAX

struct ew_decision {
    enum ew_action action;
    int chosen; /* index among the candidates; -1: none */
    enum ew_reason reason;
    enum ew_reason edge; /* QUEUE, REJECT: why no device answers; NONE: there is none that could */
    bool hopeless;       /* REJECT: no place would ever answer it as it is */
    uint64_t wait_ns;    /* QUEUE, REJECT: when it is worth trying again; 0: not known */
    double edge_cents, cloud_cents; /* predicted: of the cheapest of each kind; NAN: unknown */
};

/* ---- the log: a JSON text in the ledger's column `decision` ---- */

enum { EW_DECISION_LOGGED_MAX = 12 }; /* candidates that are named; the others are counted */

/* One candidate as the log tells it. */
struct ew_decision_candidate {
    const char *name;
    bool cloud;
    struct ew_verdict verdict;
};
/* One decision of a request: there are several when a place failed, or after waiting.
 * {"select":"load-aware","action":"go","chosen":"agx","reason":"selected","wait_s":…,
 *  "edge_cents":…,"cloud_cents":…,"candidates":[{"name":…,"cloud":false,"refusal":"full",
 *  "wait_s":…,"score":…,"ttft_s":…,"total_s":…,"joules":…,"cents":…,"quality":…,"pcr":…}],
 *  "others":0}
 * What isn't known is left out, as is the `refusal` of an able one: of most candidates that is
 * most, and each row has a log (cmd/ledger_why.c tells it with nulls). Chosen and able ones come
 * first. Where the chosen place then failed, whoever saw it adds "failed": a sentence, and
 * "failed_j": what that took. */
void ew_decision_json(struct ew_jsonw *json, enum ew_select select,
                      const struct ew_decision *decision,
                      const struct ew_decision_candidate *candidates, size_t count);

#endif
