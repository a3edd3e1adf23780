/* limits.c - asks every window first, then takes from all. */
#include "policy/limits.h"

/* A window has as many entries as it may admit amounts; above this many (48 KB) neighbours are
 * joined, and who comes may wait a thousandth of the window's length longer than needed. */
enum { ENTRIES_MAX = 2048 };

const char *ew_limit_name(enum ew_limit_kind kind)
{
    static const char *const names[EW_LIMIT_KINDS] = {"requests", "tokens", "joules", "cents"};
    return names[kind];
}

size_t ew_limits_entries(const struct ew_limit *limit)
{
    bool counted = limit->kind == EW_LIMIT_REQUESTS || limit->kind == EW_LIMIT_TOKENS;
    return counted && limit->max < ENTRIES_MAX ? (size_t)limit->max + 1 : ENTRIES_MAX;
}

void ew_limits_init(struct ew_limits *limits)
{
    *limits = (struct ew_limits){0};
}

bool ew_limits_add(struct ew_limits *limits, const struct ew_limit *limit,
                   struct ew_window_entry *entries)
{
    if (limits->count == EW_LIMITS_MAX)
        return false;
    limits->limits[limits->count] = *limit;
    ew_window_init(&limits->windows[limits->count++], limit->max, limit->per_ns, entries,
                   ew_limits_entries(limit));
    return true;
}

bool ew_limits_admit(struct ew_limits *limits, const struct ew_amounts *amounts, uint64_t now_ns,
                     struct ew_limits_refusal *refusal)
{
    uint64_t longest_ns = 0;
    for (unsigned i = 0; i < limits->count; i++) {
        const struct ew_limit *limit = &limits->limits[i];
        uint64_t wait_ns = ew_window_wait_ns(&limits->windows[i], amounts->of[limit->kind], now_ns);
        if (wait_ns > longest_ns) {
            longest_ns = wait_ns;
            *refusal = (struct ew_limits_refusal){
                limit, ew_window_used(&limits->windows[i], now_ns), wait_ns};
        }
    }
    return longest_ns == 0;
}

bool ew_limits_reserve(struct ew_limits *limits, const struct ew_amounts *amounts, uint64_t now_ns,
                       struct ew_reservation *reservation, struct ew_limits_refusal *refusal)
{
    if (!ew_limits_admit(limits, amounts, now_ns, refusal))
        return false;
    *reservation = (struct ew_reservation){.amounts = *amounts};
    for (unsigned i = 0; i < limits->count; i++)
        reservation->numbers[i] =
            ew_window_reserve(&limits->windows[i], amounts->of[limits->limits[i].kind], now_ns);
    return true;
}

void ew_limits_restore(struct ew_limits *limits, const struct ew_amounts *amounts, uint64_t age_ns,
                       uint64_t now_ns)
{
    for (unsigned i = 0; i < limits->count; i++) {
        double amount = amounts->of[limits->limits[i].kind];
        if (amount > 0)
            ew_window_restore(&limits->windows[i], amount, age_ns, now_ns);
    }
}

void ew_limits_settle(struct ew_limits *limits, const struct ew_reservation *reservation,
                      const struct ew_amounts *actual, uint64_t now_ns)
{
    for (unsigned i = 0; i < limits->count; i++) {
        enum ew_limit_kind kind = limits->limits[i].kind;
        ew_window_settle(&limits->windows[i], reservation->numbers[i],
                         reservation->amounts.of[kind], actual->of[kind], now_ns);
    }
}
