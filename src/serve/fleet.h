/* fleet.h - every place that can answer: the built-in engine, other devices, clouds.
 *
 * A member is what policy knows of a place (struct ew_place), and what it takes to ask there: its
 * address, its dialect, its key, its models. The configuration makes members, a reload keeps those
 * that stay, with all that was learned of them; who goes leaves when its last request has ended.
 * Devices are looked at every few seconds (fleet_probe.c): whether they answer, which models they
 * have, and of an edgewise device how busy, hot and charged it is. Clouds are not: each look would
 * tell them that we are here, and the first request tells us as much.
 *
 * Habits: of each model, how many tokens a byte of its prompts makes and how long its answers are,
 * learned from what is accounted; a forecast needs both. On the loop's thread. */
#ifndef EW_FLEET_H
#define EW_FLEET_H

#include "api/dialect.h"
#include "flow/config.h"
#include "flow/price.h"
#include "flow/quality.h"
#include "net/upstream.h"
#include "policy/policy.h"

#define EW_FLEET_AWAY_S 600.0 /* a device that dialled in is remembered for so long */

enum {
    EW_FLEET_MODELS_MAX = 256, /* of one member */
    EW_FLEET_NAME_BYTES = 64,
    EW_FLEET_HABITS = 256, /* models whose habits are known; a new one takes the place of another */
};

struct ew_member_model {
    char *name;
    uint32_t ctx;   /* 0: not known */
    double quality; /* NAN: not known */
    bool resident;  /* in its memory, as far as is known */
};

struct ew_member_counts {
    uint64_t begun, answered, failed, cancelled;
    uint64_t prompt_tokens, output_tokens;
    double joules, cents; /* of those that are known */
};

/* What the configuration says of a member, or it itself when it dialled in; owned. */
struct ew_facts {
    enum ew_place_kind kind;
    const struct ew_dialect *dialect; /* NULL: the built-in engine */
    char *url, *key, *ca;             /* key NULL: none */
    bool wants_key;                   /* and where there is none, nothing is asked */
    struct ew_config_name *names;     /* a cloud's map */
    unsigned name_count;
    char **models; /* of a device; none: it is asked for them */
    unsigned model_count;
    double weight, quality; /* quality NAN: by the table */
    uint32_t concurrency;
    double watts_busy, watts_idle;
    double prefill_tokens_per_s, decode_tokens_per_s; /* of its profile; NAN */
    double input_cents, cached_cents, output_cents, fee_cents;
    struct ew_config_limit limits[EW_CONFIG_LIMITS_MAX];
    unsigned limit_count;
};

struct ew_fleet;
struct ew_member {
    struct ew_fleet *fleet;
    struct ew_member *next;
    char name[EW_FLEET_NAME_BYTES];
    uint32_t number; /* never given twice */
    struct ew_facts facts;
    struct ew_place place;
    struct ew_window_entry *entries; /* of its windows */
    struct ew_member_model *models;  /* live; a cloud's in the order of its map */
    unsigned model_count;
    const char *origin; /* a device that dialled in: its name; NULL otherwise */
    bool edgewise;      /* it is one of ours: tells more */
    /* Its life. */
    uint32_t users;   /* requests, and the look at it */
    uint64_t lost_ns; /* of one that dialled in: since when it has no connection; 0: it has */
    bool retired;     /* goes when nobody uses it */
    struct ew_member_counts counts;
    /* Of its streams that told their usage, lately: how many tokens it sends in a piece. */
    double streamed_pieces, streamed_tokens;
    char trouble[200]; /* "" when well */
    /* fleet_probe.c */
    struct ew_upstream_call *look;
    struct ew_buf look_body;
    uint64_t look_ns; /* of the next one */
    uint32_t looks_failed;
    int look_status;
    bool looks_at_state; /* an edgewise's; else at its list of models */
};

struct ew_fleet_params {
    struct ew_loop *loop;
    struct ew_upstreams *upstreams;
    uint64_t seed; /* of random selections */
    void *user;
    void (*changed)(void *user); /* who waits may find a place now */
};

int ew_fleet_open(struct ew_fleet **gives, const struct ew_fleet_params *params,
                  const struct ew_config *config, struct ew_err *err);
void ew_fleet_close(struct ew_fleet **fleet); /* nobody uses a member */
/* Another configuration. On failure all is as it was. */
int ew_fleet_set(struct ew_fleet *fleet, const struct ew_config *config, struct ew_err *err);
/* No look begins after this; those under way end. */
void ew_fleet_stop(struct ew_fleet *fleet);

struct ew_member *ew_fleet_first(const struct ew_fleet *fleet); /* then ->next; retired ones, too */
struct ew_member *ew_fleet_engine(const struct ew_fleet *fleet); /* NULL: there is none */
struct ew_member *ew_fleet_find(const struct ew_fleet *fleet, uint32_t number); /* NULL: gone */
unsigned ew_fleet_size(const struct ew_fleet *fleet);                           /* not retired */
struct ew_policy *ew_fleet_policy(struct ew_fleet *fleet);
struct ew_upstreams *ew_fleet_upstreams(struct ew_fleet *fleet);

/* Whether a model is meant: ":latest" behind either name is as good as nothing. */
bool ew_fleet_is_called(const char *name, const char *asked);
/* The model of that name at the member; for a cloud what its map makes of it. NULL: it has none of
 * that name. `there` is how it is called there. The engine's are src/serve/models.h's to know. */
const struct ew_member_model *ew_fleet_model(const struct ew_member *member, const char *asked,
                                             const char **there);
/* Its first model, for clients that would rather have a smaller one than none. */
const struct ew_member_model *ew_fleet_default(const struct ew_member *member, const char **there);
double ew_fleet_quality(const struct ew_fleet *fleet, const char *model); /* NAN: unknown */

enum { EW_FLEET_BEARER_BYTES = 4200 }; /* of a key as it is shown */
/* How the member is shown our key: one header into `header`, whose value may be `bearer`, which the
 * caller wipes. False: it wants none. */
bool ew_fleet_auth(const struct ew_member *member, struct ew_http_header *header,
                   char bearer[EW_FLEET_BEARER_BYTES]);

void ew_fleet_use(struct ew_member *member);
void ew_fleet_done(struct ew_member *member);

/* The longest of all windows, 0: there is none; and what the member of that name took so long ago,
 * before the server was started: ew_window_restore. */
uint64_t ew_fleet_longest_ns(const struct ew_fleet *fleet);
void ew_fleet_restore(struct ew_fleet *fleet, const char *name, const struct ew_amounts *amounts,
                      uint64_t age_ns, uint64_t now_ns);

struct ew_habit {
    double tokens_per_byte, output_tokens;
};
struct ew_habit ew_fleet_habit(const struct ew_fleet *fleet, const char *model);
/* What an answer of it was; 0: not known. */
void ew_fleet_learn(struct ew_fleet *fleet, const char *model, size_t prompt_bytes,
                    uint32_t prompt_tokens, uint32_t output_tokens);
/* A whole stream of the member's had so many; and the tokens of a piece, NAN: none was seen. */
void ew_fleet_learn_pieces(struct ew_member *member, uint32_t pieces, uint32_t output_tokens);
double ew_fleet_tokens_per_piece(const struct ew_member *member);

uint64_t ew_fleet_secret(const struct ew_fleet *fleet); /* nobody can choose hashes that collide */
/* Where a conversation was answered last: the member's number; 0: not known, or too long ago. */
uint32_t ew_fleet_recall(struct ew_fleet *fleet, uint64_t session, uint64_t now_ns);
void ew_fleet_remember(struct ew_fleet *fleet, uint64_t session, uint32_t number, uint64_t now_ns);

/* fleet_join.c: devices that dial in. The member of that name, made where there is none; NULL: the
 * name is another's (EW_EINVAL), or no memory. `again`: it showed a membership, so that it may be
 * one that was here before. */
struct ew_member *ew_fleet_join(struct ew_fleet *fleet, const char *name, bool again,
                                struct ew_err *err);
void ew_fleet_joined(struct ew_member *member);      /* it has a connection: it is looked at now */
void ew_fleet_lost(void *fleet, const char *origin); /* it has none any more */

/* Time goes on: looks that are due begin. Call every second or so. */
void ew_fleet_tick(struct ew_fleet *fleet, uint64_t now_ns);
/* A request found it well, or didn't: faster news than a look's. */
void ew_fleet_note(struct ew_member *member, enum ew_outcome outcome, int status, const char *why,
                   uint64_t now_ns);

/* fleet_tell.c: series of /metrics, and the state as JSON (GET /v1/edgewise/fleet). */
int ew_fleet_metrics(const struct ew_fleet *fleet, struct ew_buf *out, struct ew_err *err);
int ew_fleet_json(const struct ew_fleet *fleet, struct ew_buf *out);

#endif
