/* decision.c - the words of decisions, and their log. */
#include "flow/decision.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

struct word {
    const char *name, *sentence;
};

#define X(name, word, sentence) {word, sentence},
static const struct word selects[EW_SELECT_COUNT] = {EW_SELECTS(X)};
static const struct word refusals[EW_REFUSAL_COUNT] = {EW_REFUSALS(X)};
static const struct word reasons[EW_REASON_COUNT] = {EW_REASONS(X)};
#undef X

const char *ew_select_name(enum ew_select select)
{
    return selects[select].name;
}

bool ew_select_find(const char *word, enum ew_select *out)
{
    for (unsigned i = 0; i < EW_SELECT_COUNT; i++)
        if (strcmp(selects[i].name, word) == 0) {
            *out = (enum ew_select)i;
            return true;
        }
    return false;
}

const char *ew_refusal_name(enum ew_refusal refusal)
{
    return refusals[refusal].name;
}

const char *ew_refusal_sentence(enum ew_refusal refusal)
{
    return refusals[refusal].sentence;
}

const char *ew_reason_name(enum ew_reason reason)
{
    return reasons[reason].name;
}

const char *ew_reason_sentence(enum ew_reason reason)
{
    return reasons[reason].sentence;
}

/* ---- the log ---- */

enum { DIGITS = 4 }; /* predictions aren't better than that */

/* What isn't known is left out: of a candidate that is most, and each request has a log. */
static void put_number(struct ew_jsonw *json, const char *key, double value)
{
    if (isfinite(value))
        ew_jsonw_put_digits(json, key, value, DIGITS);
}

static void put_word(struct ew_jsonw *json, const char *key, const char *word)
{
    if (word)
        ew_jsonw_put_text(json, key, word);
}

/* 0, not known, and EW_VERDICT_NEVER are both left out: no number of seconds is right. */
static void put_wait(struct ew_jsonw *json, uint64_t wait_ns)
{
    bool known = wait_ns != 0 && wait_ns != EW_VERDICT_NEVER;
    put_number(json, "wait_s", known ? (double)wait_ns / EW_NS_PER_S : NAN);
}

static void put_candidate(struct ew_jsonw *json, const struct ew_decision_candidate *candidate)
{
    const struct ew_verdict *v = &candidate->verdict;
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "name", candidate->name);
    ew_jsonw_put_bool(json, "cloud", candidate->cloud);
    put_word(json, "refusal", v->refusal ? ew_refusal_name(v->refusal) : NULL);
    put_wait(json, v->wait_ns);
    put_number(json, "score", v->score);
    put_number(json, "ttft_s", v->ttft_s);
    put_number(json, "total_s", v->total_s);
    put_number(json, "joules", v->joules);
    put_number(json, "cents", v->cents);
    put_number(json, "quality", v->quality);
    put_number(json, "pcr", v->pcr);
    ew_jsonw_end(json);
}

/* In what order candidates are told: the chosen one, able ones, those that could have been but for
 * a device, and the refused. */
enum rank { RANK_CHOSEN, RANK_ABLE, RANK_PREFERRED, RANK_REFUSED, RANK_COUNT };

static enum rank rank_of(const struct ew_decision *decision,
                         const struct ew_decision_candidate *candidates, size_t index)
{
    if (decision->chosen >= 0 && (size_t)decision->chosen == index)
        return RANK_CHOSEN;
    switch (candidates[index].verdict.refusal) {
    case EW_REFUSAL_NONE:
        return RANK_ABLE;
    case EW_REFUSAL_PREFERRED:
        return RANK_PREFERRED;
    default:
        return RANK_REFUSED;
    }
}

void ew_decision_json(struct ew_jsonw *json, enum ew_select select,
                      const struct ew_decision *decision,
                      const struct ew_decision_candidate *candidates, size_t count)
{
    static const char *const actions[] = {"go", "queue", "reject"};
    size_t told = 0;
    ew_jsonw_object(json);
    ew_jsonw_put_text(json, "select", ew_select_name(select));
    ew_jsonw_put_text(json, "action", actions[decision->action]);
    put_word(json, "chosen", decision->chosen >= 0 ? candidates[decision->chosen].name : NULL);
    ew_jsonw_put_text(json, "reason", ew_reason_name(decision->reason));
    put_wait(json, decision->wait_ns);
    put_number(json, "edge_cents", decision->edge_cents);
    put_number(json, "cloud_cents", decision->cloud_cents);
    ew_jsonw_key(json, "candidates");
    ew_jsonw_array(json);
    for (int rank = RANK_CHOSEN; rank < RANK_COUNT; rank++)
        for (size_t i = 0; i < count && told < EW_DECISION_LOGGED_MAX; i++)
            if ((int)rank_of(decision, candidates, i) == rank) {
                put_candidate(json, &candidates[i]);
                told++;
            }
    ew_jsonw_end(json);
    ew_jsonw_put_u64(json, "others", count - told);
    ew_jsonw_end(json);
}
