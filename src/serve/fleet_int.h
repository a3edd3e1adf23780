/* fleet_int.h - what the files of the fleet share. */
#ifndef EW_FLEET_INT_H
#define EW_FLEET_INT_H

#include "policy/sticky.h"
#include "serve/fleet.h"

enum { EW_FLEET_SESSIONS = 8192 }; /* conversations that are remembered: 360 KB */

struct ew_habit_entry {
    uint64_t hash; /* of the model's name; 0: unused */
    struct ew_habit habit;
};

struct ew_fleet {
    struct ew_fleet_params params;
    struct ew_member *first;
    uint32_t numbers; /* given so far */
    struct ew_policy policy;
    double probe_s, connect_timeout_s;
    struct ew_price_table *prices;
    struct ew_quality_table *qualities;
    struct ew_habit_entry habits[EW_FLEET_HABITS];
    struct ew_sticky sticky;
    struct ew_sticky_slot *sessions; /* [EW_FLEET_SESSIONS] */
    uint64_t secret;                 /* what sessions are hashed with */
    bool stopped;
};

/* fleet.c */
/* Adds one to its list unless it is there; NULL: no room, or no memory. */
struct ew_member_model *ew_fleet_add_model(struct ew_member *member, const char *name);
void ew_fleet_clear_models(struct ew_member *member);
/* What follows from its facts: the place's, its windows, its configured models. */
int ew_fleet_apply(struct ew_member *member, struct ew_err *err);

struct ew_member *ew_fleet_make(struct ew_fleet *fleet, const char *name);
void ew_fleet_drop_retired(struct ew_fleet *fleet);

/* fleet_join.c */
void ew_fleet_tick_joined(struct ew_fleet *fleet, uint64_t now_ns);

/* fleet_facts.c */
void ew_facts_init(struct ew_facts *facts);
int ew_facts_device(struct ew_facts *facts, const struct ew_config_device *device,
                    struct ew_err *err);
int ew_facts_cloud(struct ew_facts *facts, const struct ew_config_cloud *cloud,
                   const struct ew_price_table *prices, struct ew_err *err);
void ew_facts_fini(struct ew_facts *facts);
bool ew_facts_same_way(const struct ew_facts *a, const struct ew_facts *b);
struct ew_limit ew_facts_limit(const struct ew_config_limit *limit);

/* fleet_probe.c */
void ew_fleet_set_health(struct ew_member *member, enum ew_health health, const char *why);
void ew_fleet_look(struct ew_member *member, uint64_t now_ns);
void ew_fleet_look_stop(struct ew_member *member);

#endif
