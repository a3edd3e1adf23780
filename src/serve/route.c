/* route.c - makes policy's question of a request, and keeps what it answers. */
#include "serve/route.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"
#include "base/log.h"
#include "serve/exchange.h"

/* A model's name with this behind it stays at the edge. */
#define EDGE_SUFFIX "@edge"
/* What a chat template adds to a conversation, about: it matters for short prompts alone. */
#define TEMPLATE_TOKENS 24
/* Bytes of a whole prompt for each of its tokens are fewer than that in any language, and in code
 * with much white space, too: English has 4 to 5. */
#define TOKEN_BYTES_MOST 16
#define DEADLINE_MS_MAX  (24 * 3600 * 1000.0)

void ew_route_init(struct ew_route *r)
{
    *r = (struct ew_route){.quality_min = NAN, .edge_cents = NAN, .cloud_cents = NAN};
    ew_buf_init(&r->log, EW_ROUTE_LOG_BYTES);
}

void ew_route_fini(struct ew_route *r)
{
    EW_ASSERT(!r->visit.open);
    ew_buf_fini(&r->log);
}

/* ---- what the request allows ---- */

static bool is_yes(const char *value)
{
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0 ||
                     strcasecmp(value, "yes") == 0);
}

static int read_number(const struct ew_exchange *x, const char *header, double max, double *out,
                       struct ew_fault *fault)
{
    const char *text = ew_http_header(x->http, header);
    char *end;
    if (!text)
        return 0;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= max)) {
        ew_fault_set(fault, 400, NULL, header, "The header %s must be a number from 0 to %.0f.",
                     header, max);
        return -1;
    }
    *out = value;
    return 0;
}

static const struct ew_config_client *client_of(const struct ew_exchange *x)
{
    const struct ew_config *config = x->server->config;
    for (unsigned i = 0; i < config->client_count; i++)
        if (strcmp(config->clients[i].name, x->client) == 0)
            return &config->clients[i];
    return NULL;
}

/* A conversation is known by its client, its model, and its words up to the first answer in it:
 * those are the same in each of its turns. One without an answer yet can't have been anywhere. */
static uint64_t session_of(const struct ew_exchange *x, bool *goes_on)
{
    static const char turn[] = "{\"role\":\"assistant\"";
    const struct ew_config *config = x->server->config;
    const struct ew_request *q = &x->job.request;
    const char *named = ew_http_header(x->http, "X-Edgewise-Session");
    uint64_t sum = EW_HASH_START ^ ew_fleet_secret(x->server->fleet);
    sum = ew_hash_bytes(sum, x->client, strlen(x->client) + 1);
    *goes_on = true;
    sum = ew_hash_bytes(sum, q->model, strlen(q->model) + 1);
    if (config->sticky == EW_STICKY_OFF || (config->sticky == EW_STICKY_SESSION && !named))
        return 0;
    if (named)
        return ew_hash_bytes(sum, named, strlen(named)) | 1;
    if (!q->messages.data)
        return 0;
    const char *answer = memmem(q->messages.data, q->messages.bytes, turn, sizeof turn - 1);
    *goes_on = answer != NULL;
    size_t bytes = answer ? (size_t)(answer - q->messages.data) : q->messages.bytes;
    while (bytes && (q->messages.data[bytes - 1] == ',' || q->messages.data[bytes - 1] == ']'))
        bytes--;
    return ew_hash_bytes(sum, q->messages.data, bytes) | 1;
}

int ew_route_read(struct ew_exchange *x, struct ew_fault *fault)
{
    struct ew_route *r = &x->way;
    struct ew_request *q = &x->job.request;
    const struct ew_config *config = x->server->config;
    const struct ew_config_client *client = client_of(x);
    double deadline_ms = NAN, quality_least = NAN;
    size_t bytes = strlen(q->model), suffix = sizeof EDGE_SUFFIX - 1;
    const char *via = ew_http_header(x->http, "X-Edgewise-Via");
    if (ew_onward_is_round(via, x->server->own)) {
        ew_fault_set(fault, 508, "request_loop", NULL,
                     "This request has been here already, or at too many.");
        return -1;
    }
    ew_str_copy(r->via, sizeof r->via, via ? via : "");
    r->edge_only = is_yes(ew_http_header(x->http, "X-Edgewise-Edge-Only"));
    r->degrade = is_yes(ew_http_header(x->http, "X-Edgewise-Degrade"));
    r->quality_min = config->quality_min;
    if (bytes > suffix && strcmp(q->model + bytes - suffix, EDGE_SUFFIX) == 0) {
        r->edge_only = true;
        ((char *)q->model)[bytes - suffix] = '\0'; /* the request's own memory */
    }
    if (client) {
        r->edge_only = r->edge_only || client->edge_only;
        r->degrade = r->degrade || client->degrade;
        if (!isnan(client->quality_min))
            r->quality_min = quality_least = client->quality_min;
    }
    if (read_number(x, "X-Edgewise-Min-Quality", 1, &r->quality_min, fault) ||
        read_number(x, "X-Deadline-Ms", DEADLINE_MS_MAX, &deadline_ms, fault))
        return -1;
    if (r->quality_min < quality_least) /* its rule is the operator's word */
        r->quality_min = quality_least;
    if (r->quality_min <= 0)
        r->quality_min = NAN; /* any will do, the unknown too */
    if (!isnan(deadline_ms)) {
        r->deadline_ns = x->arrived_ns + (uint64_t)(deadline_ms * EW_NS_PER_MS);
        if (r->deadline_ns < x->deadline_ns)
            x->deadline_ns = r->deadline_ns;
    }
    r->session = session_of(x, &r->goes_on);
    return 0;
}

void ew_route_onward(const struct ew_exchange *x, uint64_t now_ns, struct ew_onward *onward)
{
    const struct ew_route *r = &x->way;
    double left_s = r->deadline_ns > now_ns ? (double)(r->deadline_ns - now_ns) / EW_NS_PER_S : 0;
    ew_onward_make(onward, &(struct ew_onward_ask){
                               .edge_only = r->edge_only,
                               .quality_min = r->quality_min,
                               .left_s = r->deadline_ns ? left_s : NAN,
                               .via = r->via,
                               .own = x->server->own,
                           });
}

/* ---- the places ---- */

/* The engine's, by its own list. */
static bool engine_has(struct ew_exchange *x, const char *name, struct ew_candidate *c)
{
    struct ew_server *server = x->server;
    const struct ew_models_entry *entry = ew_models_find(server->models, name);
    if (!entry)
        return false;
    c->ctx = entry->about.ctx;
    c->quality = isnan(c->quality) ? ew_fleet_quality(server->fleet, entry->name) : c->quality;
    c->resident = entry->state == EW_MODELS_READY;
    return true;
}

static bool other_has(const struct ew_member *m, const char *asked, struct ew_candidate *c,
                      const char **there)
{
    const struct ew_member_model *model = ew_fleet_model(m, asked, there);
    if (!model && (m->model_count || m->facts.model_count))
        return false;
    if (!model) { /* a cloud without a map; or nobody could ask it for its list yet */
        *there = asked;
        return true;
    }
    c->ctx = model->ctx;
    c->quality = model->quality;
    c->resident = model->resident;
    return true;
}

static bool was_tried(const struct ew_route *r, const struct ew_member *m)
{
    for (uint32_t i = 0; i < r->tried_count; i++)
        if (r->tried[i] == m->number)
            return true;
    return false;
}

/* Whether it might answer; for the engine `there` stays as asked. */
static bool could(struct ew_exchange *x, struct ew_member *m, struct ew_candidate *c,
                  const char **there)
{
    const struct ew_request *q = &x->job.request;
    const struct ew_models_entry *first = ew_models_first(x->server->models);
    *c = (struct ew_candidate){.place = &m->place, .quality = m->facts.quality};
    *there = q->model;
    if (m->retired)
        return false;
    bool has = m->facts.dialect ? other_has(m, q->model, c, there) : engine_has(x, q->model, c);
    if (!has && x->way.degrade && m->place.kind != EW_PLACE_CLOUD) {
        c->smaller = true;
        if (m->facts.dialect)
            has = ew_fleet_default(m, there) && other_has(m, *there, c, there);
        else if (first)
            has = engine_has(x, (*there = first->name), c);
    }
    c->lacks = has && m->facts.dialect && ew_dialect_lacks(m->facts.dialect, q);
    c->tried = was_tried(&x->way, m);
    if (x->way.continues && !m->facts.dialect)
        c->lacks = true; /* its prompt is prepared by another way */
    return has;
}

size_t ew_route_places(struct ew_exchange *x)
{
    struct ew_candidate c;
    const char *there;
    size_t count = 0;
    bool others = false;
    for (struct ew_member *m = ew_fleet_first(x->server->fleet); m; m = m->next)
        if (could(x, m, &c, &there)) {
            count++;
            others = others || m->facts.dialect || c.smaller;
        }
    x->way.only_engine = count && !others;
    return count;
}

void ew_route_forecast(struct ew_exchange *x)
{
    struct ew_route *r = &x->way;
    const struct ew_request *q = &x->job.request;
    const struct ew_habit habit = ew_fleet_habit(x->server->fleet, q->model);
    struct ew_forecast *f = &r->forecast;
    double tokens = 0, answers = q->n;
    r->prompt_bytes = q->messages.bytes + q->tools.bytes;
    for (size_t i = 0; i < q->prompt_count; i++)
        r->prompt_bytes += q->prompts[i].text.bytes + 4 * q->prompts[i].count;
    for (size_t i = 0; i < x->job.prompt_count; i++)
        tokens += (double)x->job.prompts[i].count;
    if (q->prompt_count)
        answers *= (double)q->prompt_count;
    r->counted = tokens > 0;
    f->prompt_tokens =
        r->counted ? tokens : TEMPLATE_TOKENS + (double)r->prompt_bytes * habit.tokens_per_byte;
    f->cached_tokens = 0;
    double each = habit.output_tokens;
    if (q->max_tokens && q->max_tokens < each)
        each = q->max_tokens;
    f->output_tokens = each * answers;
    f->output_tokens_max = (q->max_tokens ? q->max_tokens : 4 * habit.output_tokens) * answers;
}

/* ---- deciding ---- */

struct scratch {
    struct ew_candidate candidates[EW_POLICY_CANDIDATES_MAX];
    struct ew_member *members[EW_POLICY_CANDIDATES_MAX];
    const char *there[EW_POLICY_CANDIDATES_MAX];
    struct ew_verdict verdicts[EW_POLICY_CANDIDATES_MAX];
    struct ew_decision_candidate told[EW_POLICY_CANDIDATES_MAX];
};

/* The loop's thread alone decides; 200 KB are no matter for a stack of 8 MB, but for one of 128 K
 * they would be. */
static struct scratch scratch;

static void log_decision(struct ew_exchange *x, const struct ew_decision *decision, size_t count)
{
    struct ew_route *r = &x->way;
    struct ew_jsonw json;
    struct ew_buf text;
    if (decision->action == EW_ACTION_QUEUE && r->waited)
        return; /* once is enough: it is tried again every few milliseconds */
    r->waited = r->waited || decision->action == EW_ACTION_QUEUE;
    r->logged = false;
    for (size_t i = 0; i < count; i++)
        scratch.told[i] = (struct ew_decision_candidate){
            scratch.members[i]->name, scratch.members[i]->place.kind == EW_PLACE_CLOUD,
            scratch.verdicts[i]};
    ew_buf_init(&text, EW_ROUTE_LOG_BYTES);
    ew_jsonw_init(&json, &text, EW_JSONW_COMPACT);
    ew_decision_json(&json, ew_fleet_policy(x->server->fleet)->select, decision, scratch.told,
                     count);
    if (!ew_jsonw_finish(&json, NULL)) {
        if (r->log.bytes + text.bytes + 1 >= r->log.max)
            ew_buf_clear(&r->log); /* where there is no room for all, the latest says most */
        if (r->log.bytes)
            (void)!ew_buf_text(&r->log, ",", NULL);
        r->logged = !ew_buf_add(&r->log, text.data, text.bytes - 1, NULL); /* not its newline */
    }
    ew_buf_fini(&text);
}

void ew_route_failed(struct ew_exchange *x, const char *why, double joules)
{
    struct ew_route *r = &x->way;
    struct ew_jsonw json;
    struct ew_buf text;
    ew_buf_init(&text, EW_ROUTE_LOG_BYTES);
    ew_jsonw_init(&json, &text, EW_JSONW_COMPACT);
    ew_jsonw_object(&json);
    ew_jsonw_put_text(&json, "failed", why);
    if (isfinite(joules))
        ew_jsonw_put_digits(&json, "failed_j", joules, 6);
    ew_jsonw_end(&json);
    if (!ew_jsonw_finish(&json, NULL) && r->logged && r->log.bytes + text.bytes < r->log.max) {
        size_t end = r->log.bytes; /* of the decision's object, which gets one key more */
        if (ew_buf_add(&r->log, text.data + 1, text.bytes - 2, NULL) == 0)
            r->log.data[end - 1] = ',';
    }
    r->logged = false;
    ew_buf_fini(&text);
}

static size_t gather(struct ew_exchange *x, uint64_t now_ns, int *sticky)
{
    struct ew_fleet *fleet = x->server->fleet;
    bool goes_on = x->way.session && x->way.goes_on;
    uint32_t where = goes_on ? ew_fleet_recall(fleet, x->way.session, now_ns) : 0;
    size_t n = 0;
    bool known = true;
    *sticky = -1;
    x->way.ctx_most = 0;
    for (struct ew_member *m = ew_fleet_first(fleet); m && n < EW_POLICY_CANDIDATES_MAX;
         m = m->next) {
        if (!could(x, m, &scratch.candidates[n], &scratch.there[n]))
            continue;
        uint32_t ctx = scratch.candidates[n].ctx;
        known = known && ctx;
        x->way.ctx_most = ctx > x->way.ctx_most ? ctx : x->way.ctx_most;
        if (m->place.kind == EW_PLACE_ENGINE) { /* its places are the queue's to count */
            m->place.running = ew_queue_places(x->server->queue);
            m->place.concurrency = ew_queue_places_max(x->server->queue);
        }
        scratch.members[n] = m;
        if (where && m->number == where)
            *sticky = (int)n;
        n++;
    }
    if (!known)
        x->way.ctx_most = 0;
    if (goes_on)
        x->way.sticky = where ? EW_ROUTE_MOVED : EW_ROUTE_MISS;
    return n;
}

/* The visit begins; false: a window said no after all. */
static bool go(struct ew_exchange *x, size_t index, enum ew_reason reason, uint64_t now_ns)
{
    struct ew_route *r = &x->way;
    struct ew_member *m = scratch.members[index];
    if (!ew_place_begin(&m->place, &r->forecast, now_ns, &r->visit))
        return false;
    ew_fleet_use(m);
    r->member = m;
    r->kind = m->place.kind;
    r->reason = reason;
    r->attempts++;
    m->counts.begun++;
    ew_str_copy(r->there, sizeof r->there, scratch.there[index]);
    ew_str_copy(r->place, sizeof r->place, m->name);
    return true;
}

static double least(double a, double b)
{
    return isnan(a) || b < a ? b : a;
}

/* An estimate may prefer one place to another, but is no reason to refuse: who has the tokenizer
 * shall say that the prompt is too long. */
static bool only_guessed(const struct ew_route *r, const struct ew_decision *decision, size_t count)
{
    bool context = false;
    for (size_t i = 0; i < count; i++)
        context = context || scratch.verdicts[i].refusal == EW_REFUSAL_CONTEXT;
    return !r->counted && context && decision->action == EW_ACTION_REJECT;
}

struct ew_decision ew_route_decide(struct ew_exchange *x, uint64_t now_ns)
{
    struct ew_route *r = &x->way;
    struct ew_decision decision;
    int sticky;
    size_t count = gather(x, now_ns, &sticky);
    struct ew_policy_ask ask = {
        .forecast = r->forecast,
        .deadline_s =
            r->deadline_ns
                ? r->deadline_ns > now_ns ? (double)(r->deadline_ns - now_ns) / EW_NS_PER_S : 0
                : NAN,
        .quality_min = r->quality_min,
        .edge_only = r->edge_only,
        .queue_has_room = x->may_wait,
        .patience_s = x->patience_ns > now_ns ? (double)(x->patience_ns - now_ns) / EW_NS_PER_S : 0,
        .sticky = sticky,
    };
    EW_ASSERT(!r->visit.open);
    ew_policy_decide(ew_fleet_policy(x->server->fleet), &ask, scratch.candidates, count, now_ns,
                     scratch.verdicts, &decision);
    if (only_guessed(r, &decision, count)) {
        ask.forecast.prompt_tokens = (double)r->prompt_bytes / TOKEN_BYTES_MOST;
        ew_policy_decide(ew_fleet_policy(x->server->fleet), &ask, scratch.candidates, count, now_ns,
                         scratch.verdicts, &decision);
    }
    if (decision.action == EW_ACTION_GO &&
        !go(x, (size_t)decision.chosen, decision.reason, now_ns)) {
        decision.action = ask.queue_has_room ? EW_ACTION_QUEUE : EW_ACTION_REJECT;
        decision.chosen = -1;
    }
    if (r->tried_count >= EW_ROUTE_TRIES_MAX && decision.action == EW_ACTION_QUEUE)
        decision.action = EW_ACTION_REJECT;
    r->engine_is_full = false;
    for (size_t i = 0; i < count; i++)
        if (scratch.members[i]->place.kind == EW_PLACE_ENGINE)
            r->engine_is_full = scratch.verdicts[i].refusal == EW_REFUSAL_FULL;
    r->edge_cents = least(r->edge_cents, decision.edge_cents);
    r->cloud_cents = least(r->cloud_cents, decision.cloud_cents);
    if (decision.action != EW_ACTION_GO)
        r->reason = decision.reason;
    else if (sticky == decision.chosen && r->goes_on)
        r->sticky = EW_ROUTE_HIT;
    log_decision(x, &decision, count);
    return decision;
}

/* ---- the end of a visit ---- */

void ew_route_leave(struct ew_exchange *x, enum ew_outcome outcome, enum ew_route_again again,
                    uint64_t now_ns)
{
    struct ew_route *r = &x->way;
    struct ew_member *m = r->member;
    if (!r->visit.open)
        return;
    if (x->relay)
        ew_relay_settle(x);
    /* What this place did, without what another had said before. */
    const struct ew_usage usage = x->relay ? ew_relay_usage(x) : ew_exchange_engine_usage(x);
    bool counted = outcome == EW_OUTCOME_GOOD || usage.output_tokens;
    const struct ew_visit_actual actual = {
        .outcome = outcome,
        .prompt_tokens = counted ? usage.prompt_tokens : 0,
        .cached_tokens = counted ? usage.cached_tokens : 0,
        .output_tokens = counted ? usage.output_tokens : 0,
        .joules = usage.energy.kind != EW_ENERGY_UNKNOWN ? usage.energy.joules : NAN,
        .cents = usage.cost_cents,
    };
    struct ew_member_counts *c = &m->counts;
    *(outcome == EW_OUTCOME_GOOD        ? &c->answered
      : outcome == EW_OUTCOME_CANCELLED ? &c->cancelled
                                        : &c->failed) += 1;
    c->prompt_tokens += (uint64_t)actual.prompt_tokens;
    c->output_tokens += (uint64_t)actual.output_tokens;
    c->joules += isnan(actual.joules) ? 0 : actual.joules;
    c->cents += isnan(actual.cents) ? 0 : actual.cents;
    ew_place_end(&m->place, &r->visit, &actual, now_ns);
    if (again == EW_ROUTE_NEVER_AGAIN && r->tried_count < EW_ROUTE_TRIES_MAX)
        r->tried[r->tried_count++] = m->number;
    if (outcome == EW_OUTCOME_GOOD) {
        if (x->relay && x->relay->streams && !usage.estimated)
            ew_fleet_learn_pieces(m, x->relay->pieces, usage.output_tokens);
        if (!usage.estimated && !r->continues) /* nothing is learned from one's own guess */
            ew_fleet_learn(x->server->fleet, x->job.request.model, r->prompt_bytes,
                           usage.prompt_tokens,
                           usage.output_tokens / (x->job.request.n + !x->job.request.n));
        if (r->session)
            ew_fleet_remember(x->server->fleet, r->session, m->number, now_ns);
    }
    r->member = NULL;
    ew_fleet_done(m);
}

/* ---- what is told ---- */

/* 400 says that asking again is in vain, and clients of OpenAI's don't; the others they repeat. */
static int status_of(enum ew_reason why, bool hopeless)
{
    if (hopeless)
        return 400;
    switch (why) {
    case EW_REASON_BUDGET:
        return 429;
    case EW_REASON_TOO_LATE:
        return 504;
    default:
        return 503;
    }
}

/* In OpenAI's words, which clients look for. */
static void too_long(const struct ew_exchange *x, struct ew_fault *fault)
{
    const char *what = x->job.request.kind == EW_REQUEST_CHAT ? "messages" : "prompt";
    ew_fault_set(fault, 400, "context_length_exceeded", what,
                 "This model's maximum context length is %u tokens. However, your %s resulted in "
                 "about %.0f tokens. Please reduce the length of the %s.%s",
                 x->way.ctx_most, what, x->way.forecast.prompt_tokens, what,
                 x->way.edge_only ? " It must not leave the edge." : "");
}

void ew_route_fault(const struct ew_exchange *x, const struct ew_decision *decision,
                    struct ew_fault *fault)
{
    if (decision->reason == EW_REASON_CONTEXT && x->way.ctx_most) {
        too_long(x, fault);
        return;
    }
    double wait_s = (double)decision->wait_ns / EW_NS_PER_S;
    bool stays = decision->reason == EW_REASON_EDGE_ONLY && decision->edge != EW_REASON_NONE;
    enum ew_reason why = stays ? decision->edge : decision->reason;
    int status = status_of(why, decision->hopeless);
    const char *code = ew_reason_name(decision->reason);
    if (status == 400 && why == EW_REASON_CONTEXT)
        code = "context_length_exceeded";
    if (decision->wait_ns == EW_VERDICT_NEVER || (!decision->wait_ns && status != 400))
        wait_s = ew_queue_retry_s(x->server->queue);
    ew_fault_set(fault, status, code, NULL, "No place can answer this%s: %s.%s",
                 status == 400 ? "" : " now", ew_reason_sentence(why),
                 stays ? " It must not leave the edge." : "");
    if (status != 400)
        fault->retry_after_s = wait_s;
}

void ew_route_headers(const struct ew_exchange *x)
{
    static const char *const sticky[] = {NULL, "hit", "miss", "moved"};
    const struct ew_route *r = &x->way;
    char number[16];
    if (!x->http)
        return;
    if (*r->place)
        ew_http_add_header(x->http, "X-Edgewise-Device", r->place);
    if (r->reason != EW_REASON_NONE)
        ew_http_add_header(x->http, "X-Edgewise-Reason", ew_reason_name(r->reason));
    if (r->attempts) {
        (void)ew_str_u64(number, sizeof number, r->attempts);
        ew_http_add_header(x->http, "X-Edgewise-Attempts", number);
    }
    if (sticky[r->sticky])
        ew_http_add_header(x->http, "X-Edgewise-Sticky", sticky[r->sticky]);
}
