/* limits.h - all the windows of one holder: a client, a device, a cloud.
 *
 * A request is admitted when every window has room for what it may become, and is then reserved in
 * all of them at once; refused, it is told the exact time after which all would have had room, and
 * which limit stood in its way. Pure; the windows' entries are the caller's memory. */
#ifndef EW_LIMITS_H
#define EW_LIMITS_H

#include "policy/window.h"

enum ew_limit_kind {
    EW_LIMIT_REQUESTS,
    EW_LIMIT_TOKENS,
    EW_LIMIT_JOULES,
    EW_LIMIT_CENTS,
    EW_LIMIT_KINDS
};
const char *ew_limit_name(enum ew_limit_kind kind); /* "requests", "tokens", "joules", "cents" */

/* At most this much in any stretch of that length. */
struct ew_limit {
    enum ew_limit_kind kind;
    double max;
    uint64_t per_ns;
};

enum { EW_LIMITS_MAX = 8 }; /* windows of one holder: two of each kind */

/* What a request is, or was, in each kind. */
struct ew_amounts {
    double of[EW_LIMIT_KINDS];
};

struct ew_limits {
    unsigned count;
    struct ew_limit limits[EW_LIMITS_MAX];
    struct ew_window windows[EW_LIMITS_MAX];
};

struct ew_reservation {
    struct ew_amounts amounts;
    uint64_t numbers[EW_LIMITS_MAX];
};

struct ew_limits_refusal {
    const struct ew_limit *limit; /* the one that takes longest to have room */
    double used;                  /* of it, now */
    uint64_t wait_ns;             /* EW_WINDOW_NEVER: the request is more than it ever admits */
};

/* Entries that the window is to have: exact where memory allows. */
size_t ew_limits_entries(const struct ew_limit *limit);
void ew_limits_init(struct ew_limits *limits);
/* False when there are EW_LIMITS_MAX already. entries: [ew_limits_entries(limit)], borrowed. */
bool ew_limits_add(struct ew_limits *limits, const struct ew_limit *limit,
                   struct ew_window_entry *entries);

/* Whether all have room now; reserves nothing. The refusal is told where they haven't. */
bool ew_limits_admit(struct ew_limits *limits, const struct ew_amounts *amounts, uint64_t now_ns,
                     struct ew_limits_refusal *refusal);
/* True: reserved. False: nothing was, and the refusal says why. */
bool ew_limits_reserve(struct ew_limits *limits, const struct ew_amounts *amounts, uint64_t now_ns,
                       struct ew_reservation *reservation, struct ew_limits_refusal *refusal);
/* What was taken so long ago: ew_window_restore. */
void ew_limits_restore(struct ew_limits *limits, const struct ew_amounts *amounts, uint64_t age_ns,
                       uint64_t now_ns);
void ew_limits_settle(struct ew_limits *limits, const struct ew_reservation *reservation,
                      const struct ew_amounts *actual, uint64_t now_ns);

#endif
