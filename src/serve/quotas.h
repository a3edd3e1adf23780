/* quotas.h - what each client may use in a stretch of time: the configuration's clients[].limits.
 *
 * A request claims itself and its tokens before it is queued: its prompt, and the longest answer it
 * may get; joules and cents as far as somebody can tell. Who has no room is told when it will have;
 * what wasn't used is given back at the end, what it took beyond is counted. A request that could
 * never fit because it names no max_tokens is given as many as would. Windows outlive a reload
 * where client and limits stay the same, and a restart (restore.h). On the loop's thread. */
#ifndef EW_QUOTAS_H
#define EW_QUOTAS_H

#include "flow/config.h"
#include "flow/request.h"
#include "net/http_server.h"
#include "policy/limits.h"

struct ew_quotas;
struct ew_quotas_holder;
struct ew_quotas_claim {
    struct ew_quotas_holder *holder; /* NULL: nothing is claimed */
    struct ew_reservation reservation;
};

int ew_quotas_open(struct ew_quotas **gives, const struct ew_config *config, struct ew_err *err);
void ew_quotas_close(struct ew_quotas **quotas); /* no claim is left */
/* On failure all is as it was. */
int ew_quotas_set(struct ew_quotas *quotas, const struct ew_config *config, struct ew_err *err);

/* The most tokens that one request of this client may ever take; UINT64_MAX: no limit. */
uint64_t ew_quotas_tokens_max(const struct ew_quotas *quotas, const char *client);
/* 0, or -1 with a 429. A client without limits claims nothing. An amount that isn't known (NAN) is
 * claimed as 0: the client is refused once what its answers took has reached the limit. */
int ew_quotas_claim(struct ew_quotas *quotas, const char *client, const struct ew_amounts *amounts,
                    uint64_t now_ns, struct ew_quotas_claim *claim, struct ew_fault *fault);
/* What it has become; not counted at all: all 0. Not known (NAN): as it was claimed. */
void ew_quotas_settle(struct ew_quotas *quotas, struct ew_quotas_claim *claim,
                      const struct ew_amounts *amounts, uint64_t now_ns);
/* The longest of all windows, 0: there is none; and what a client took so long ago, before the
 * server was started: ew_window_restore. */
uint64_t ew_quotas_longest_ns(const struct ew_quotas *quotas);
void ew_quotas_restore(struct ew_quotas *quotas, const char *client,
                       const struct ew_amounts *amounts, uint64_t age_ns, uint64_t now_ns);
/* X-RateLimit-Limit-, -Remaining- and -Reset- of requests and tokens, as OpenAI tells them. */
void ew_quotas_headers(struct ew_quotas *quotas, const char *client, uint64_t now_ns,
                       struct ew_http_request *http);

#endif
