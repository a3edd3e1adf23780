/* quotas.c - a holder for each client with limits; its windows' memory is taken at its first claim.
 */
#include "serve/quotas.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/wire.h"

struct ew_quotas_holder {
    char name[64];
    struct ew_config_limit asked[EW_CONFIG_LIMITS_MAX];
    unsigned count;
    struct ew_limits limits; /* empty until the first claim */
    struct ew_window_entry *entries;
    uint32_t claims; /* not settled yet */
    bool retired;    /* no longer configured: goes with its last claim */
    struct ew_quotas_holder *next;
};

struct ew_quotas {
    struct ew_quotas_holder *first;
};

static void drop_holder(struct ew_quotas_holder *holder)
{
    free(holder->entries);
    free(holder);
}

static void drop_retired(struct ew_quotas *quotas)
{
    for (struct ew_quotas_holder **at = &quotas->first, *h; (h = *at);) {
        if (h->retired && !h->claims) {
            *at = h->next;
            drop_holder(h);
        } else {
            at = &h->next;
        }
    }
}

static struct ew_quotas_holder *find(const struct ew_quotas *quotas, const char *client)
{
    struct ew_quotas_holder *h = quotas->first;
    while (h && (h->retired || strcmp(h->name, client) != 0))
        h = h->next;
    return h;
}

static bool same(const struct ew_quotas_holder *h, const struct ew_config_client *client)
{
    if (!h || h->count != client->limit_count)
        return false;
    for (unsigned i = 0; i < h->count; i++)
        if (h->asked[i].requests != client->limits[i].requests ||
            h->asked[i].tokens != client->limits[i].tokens ||
            h->asked[i].joules != client->limits[i].joules ||
            h->asked[i].cents != client->limits[i].cents ||
            h->asked[i].per_s != client->limits[i].per_s)
            return false;
    return true;
}

static struct ew_quotas_holder *make_holder(const struct ew_config_client *client)
{
    struct ew_quotas_holder *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    snprintf(h->name, sizeof h->name, "%s", client->name);
    h->count = client->limit_count;
    for (unsigned i = 0; i < h->count; i++)
        h->asked[i] = client->limits[i];
    return h;
}

static const struct ew_config_client *find_client(const struct ew_config *config, const char *name)
{
    for (unsigned i = 0; i < config->client_count; i++)
        if (strcmp(config->clients[i].name, name) == 0)
            return &config->clients[i];
    return NULL;
}

int ew_quotas_set(struct ew_quotas *quotas, const struct ew_config *config, struct ew_err *err)
{
    struct ew_quotas_holder *made = NULL, *h;
    for (unsigned i = 0; i < config->client_count; i++) {
        const struct ew_config_client *client = &config->clients[i];
        if (!client->limit_count || same(find(quotas, client->name), client))
            continue;
        if (!(h = make_holder(client))) {
            for (; (h = made); drop_holder(h))
                made = h->next;
            return ew_fail(err, EW_ENOMEM, "no memory for the limits of clients");
        }
        h->next = made;
        made = h;
    }
    for (h = quotas->first; h; h = h->next) {
        const struct ew_config_client *client = find_client(config, h->name);
        h->retired = h->retired || !client || !same(h, client);
    }
    while ((h = made)) {
        made = h->next;
        h->next = quotas->first;
        quotas->first = h;
    }
    drop_retired(quotas);
    return 0;
}

int ew_quotas_open(struct ew_quotas **gives, const struct ew_config *config, struct ew_err *err)
{
    struct ew_quotas *quotas = calloc(1, sizeof *quotas);
    if (!quotas)
        return ew_fail(err, EW_ENOMEM, "no memory for the limits of clients");
    int failed = ew_quotas_set(quotas, config, err);
    if (failed)
        ew_quotas_close(&quotas);
    *gives = quotas;
    return failed;
}

void ew_quotas_close(struct ew_quotas **quotas)
{
    struct ew_quotas *q = *quotas;
    if (!q)
        return;
    for (struct ew_quotas_holder *h = q->first; h; h = h->next) {
        EW_ASSERT(!h->claims);
        h->retired = true;
    }
    drop_retired(q);
    free(q);
    *quotas = NULL;
}

/* ---- claims ---- */

/* One of the four is set: the configuration's reader saw to it. */
static struct ew_limit limit_of(const struct ew_config_limit *asked)
{
    const double max[EW_LIMIT_KINDS] = {[EW_LIMIT_REQUESTS] = asked->requests,
                                        [EW_LIMIT_TOKENS] = asked->tokens,
                                        [EW_LIMIT_JOULES] = asked->joules,
                                        [EW_LIMIT_CENTS] = asked->cents};
    int kind = 0;
    while (kind < EW_LIMIT_KINDS - 1 && !(max[kind] > 0))
        kind++;
    return (struct ew_limit){.kind = (enum ew_limit_kind)kind,
                             .max = max[kind],
                             .per_ns = (uint64_t)(asked->per_s * EW_NS_PER_S)};
}

static bool make_windows(struct ew_quotas_holder *h)
{
    struct ew_limit limit;
    size_t count = 0;
    if (h->entries)
        return true;
    for (unsigned i = 0; i < h->count; i++)
        count += (limit = limit_of(&h->asked[i]), ew_limits_entries(&limit));
    h->entries = calloc(count, sizeof *h->entries);
    if (!h->entries)
        return false;
    count = 0;
    for (unsigned i = 0; i < h->count; i++) {
        limit = limit_of(&h->asked[i]);
        ew_limits_add(&h->limits, &limit, h->entries + count);
        count += ew_limits_entries(&limit);
    }
    return true;
}

uint64_t ew_quotas_tokens_max(const struct ew_quotas *quotas, const char *client)
{
    const struct ew_quotas_holder *h = find(quotas, client);
    uint64_t most = UINT64_MAX;
    for (unsigned i = 0; h && i < h->count; i++)
        if (h->asked[i].tokens && h->asked[i].tokens < most)
            most = h->asked[i].tokens;
    return most;
}

static void refuse(const struct ew_quotas_holder *h, const struct ew_limits_refusal *refusal,
                   const struct ew_amounts *amounts, struct ew_fault *fault)
{
    const struct ew_limit *limit = refusal->limit;
    const char *kind = ew_limit_name(limit->kind);
    int digits = limit->kind == EW_LIMIT_REQUESTS || limit->kind == EW_LIMIT_TOKENS ? 0 : 3;
    double per_s = (double)limit->per_ns / EW_NS_PER_S;
    double wait_s = (double)refusal->wait_ns / EW_NS_PER_S;
    if (refusal->wait_ns == EW_WINDOW_NEVER) {
        ew_fault_set(fault, 429, NULL, NULL,
                     "Request too large for %s: it may become %.*f %s, and the limit is %.*f in "
                     "%g s.",
                     h->name, digits, amounts->of[limit->kind], kind, digits, limit->max, per_s);
    } else {
        ew_fault_set(fault, 429, NULL, NULL,
                     "Rate limit reached for %s: %.*f %s in %g s, of which %.*f are used. Try "
                     "again in %.3f s.",
                     h->name, digits, limit->max, kind, per_s, digits, refusal->used, wait_s);
        fault->retry_after_s = wait_s;
    }
    fault->type = kind;
}

int ew_quotas_claim(struct ew_quotas *quotas, const char *client, const struct ew_amounts *amounts,
                    uint64_t now_ns, struct ew_quotas_claim *claim, struct ew_fault *fault)
{
    struct ew_quotas_holder *h = find(quotas, client);
    struct ew_amounts known = *amounts;
    struct ew_limits_refusal refusal;
    claim->holder = NULL;
    if (!h)
        return 0;
    if (!make_windows(h)) {
        ew_fault_set(fault, 503, NULL, NULL, "no memory for the limits of %s", h->name);
        return -1;
    }
    for (int kind = 0; kind < EW_LIMIT_KINDS; kind++)
        if (isnan(known.of[kind]))
            known.of[kind] = 0;
    if (!ew_limits_reserve(&h->limits, &known, now_ns, &claim->reservation, &refusal)) {
        refuse(h, &refusal, &known, fault);
        return -1;
    }
    claim->holder = h;
    h->claims++;
    return 0;
}

void ew_quotas_settle(struct ew_quotas *quotas, struct ew_quotas_claim *claim,
                      const struct ew_amounts *amounts, uint64_t now_ns)
{
    struct ew_quotas_holder *h = claim->holder;
    struct ew_amounts known = *amounts;
    if (!h)
        return;
    for (int kind = 0; kind < EW_LIMIT_KINDS; kind++)
        if (isnan(known.of[kind]))
            known.of[kind] = claim->reservation.amounts.of[kind];
    ew_limits_settle(&h->limits, &claim->reservation, &known, now_ns);
    claim->holder = NULL;
    h->claims--;
    drop_retired(quotas);
}

/* ---- before the start ---- */

uint64_t ew_quotas_longest_ns(const struct ew_quotas *quotas)
{
    uint64_t longest_ns = 0;
    for (const struct ew_quotas_holder *h = quotas->first; h; h = h->next)
        for (unsigned i = 0; i < h->count; i++) {
            const struct ew_limit limit = limit_of(&h->asked[i]);
            longest_ns = limit.per_ns > longest_ns ? limit.per_ns : longest_ns;
        }
    return longest_ns;
}

void ew_quotas_restore(struct ew_quotas *quotas, const char *client,
                       const struct ew_amounts *amounts, uint64_t age_ns, uint64_t now_ns)
{
    struct ew_quotas_holder *h = find(quotas, client);
    if (h && make_windows(h)) /* else its first claim says that there is no memory */
        ew_limits_restore(&h->limits, amounts, age_ns, now_ns);
}

/* ---- headers ---- */

/* In each answer six of them: printf would take as long as the decision. `decimals` at the end of
 * the number stand behind its point. */
static void add_header(struct ew_http_request *http, const char *name, double number, int decimals)
{
    char text[32], *at = text + sizeof text;
    uint64_t rest = (uint64_t)llround(fmin(number, 0x1p62));
    *--at = '\0';
    if (decimals)
        *--at = 's';
    for (int i = 0; i <= decimals || rest; i++, rest /= 10) {
        if (decimals && i == decimals)
            *--at = '.';
        *--at = (char)('0' + rest % 10);
    }
    ew_http_add_header(http, name, at);
}

void ew_quotas_headers(struct ew_quotas *quotas, const char *client, uint64_t now_ns,
                       struct ew_http_request *http)
{
    struct ew_quotas_holder *h = find(quotas, client);
    enum { MS_DECIMALS = 3 };
    static const struct {
        const char *limit, *remaining, *reset;
    } names[] = {
        [EW_LIMIT_REQUESTS] = {"X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Requests",
                               "X-RateLimit-Reset-Requests"},
        [EW_LIMIT_TOKENS] = {"X-RateLimit-Limit-Tokens", "X-RateLimit-Remaining-Tokens",
                             "X-RateLimit-Reset-Tokens"},
    };
    for (int kind = 0; h && h->entries && kind <= EW_LIMIT_TOKENS; kind++) {
        struct ew_window *tightest = NULL;
        double least = 0;
        for (unsigned i = 0; i < h->limits.count; i++) {
            struct ew_window *w = &h->limits.windows[i];
            double rest = w->max - ew_window_used(w, now_ns);
            if ((int)h->limits.limits[i].kind == kind && (!tightest || rest < least)) {
                tightest = w;
                least = rest;
            }
        }
        if (!tightest)
            continue;
        add_header(http, names[kind].limit, tightest->max, 0);
        add_header(http, names[kind].remaining, least > 0 ? least : 0, 0);
        add_header(http, names[kind].reset,
                   (double)ew_window_rest_ns(tightest, now_ns) / EW_NS_PER_MS, MS_DECIMALS);
    }
}
