/* fleet_join.c - devices that dial in: members that no configuration names.
 *
 * One is a member as long as it has a connection to us, and for EW_FLEET_AWAY_S after its last: a
 * device that comes back within that time is the same member, with all that was learned of it. */
#include "serve/fleet_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static struct ew_member *find(const struct ew_fleet *fleet, const char *name)
{
    struct ew_member *m = fleet->first;
    while (m && (m->retired || strcmp(m->name, name) != 0))
        m = m->next;
    return m;
}

static int make_facts(struct ew_facts *facts, struct ew_err *err)
{
    ew_facts_init(facts);
    facts->kind = EW_PLACE_DEVICE;
    facts->dialect = ew_dialect_find("openai");
    facts->url = strdup("http://joined/v1"); /* the path below it is all that counts */
    return facts->url ? 0 : ew_fail(err, EW_ENOMEM, "no memory for a device");
}

struct ew_member *ew_fleet_join(struct ew_fleet *fleet, const char *name, bool again,
                                struct ew_err *err)
{
    struct ew_member *m = find(fleet, name), **end = &fleet->first;
    if (m && m->origin && (again || m->lost_ns))
        return m;
    if (m) {
        ew_fail(err, EW_EINVAL, "there is a device called %s already", name);
        return NULL;
    }
    if (ew_fleet_size(fleet) >= EW_POLICY_CANDIDATES_MAX || !(m = ew_fleet_make(fleet, name))) {
        ew_fail(err, EW_ENOMEM, "there is no room for another device");
        return NULL;
    }
    m->origin = m->name;
    m->edgewise = true;
    m->lost_ns = ew_clock_now_ns(&ew_clock_real); /* away, until it has a connection */
    m->number = ++fleet->numbers;
    while (*end)
        end = &(*end)->next;
    *end = m;
    int failed = make_facts(&m->facts, err);
    ew_place_init(&m->place, EW_PLACE_DEVICE);
    m->place.tariff_cents_per_kwh = fleet->policy.tariff_cents_per_kwh;
    m->place.health = EW_HEALTH_OFFLINE; /* until it was looked at */
    failed = failed ? failed : ew_fleet_apply(m, err);
    if (!failed)
        return m;
    m->retired = true;
    ew_fleet_drop_retired(fleet);
    return NULL;
}

void ew_fleet_joined(struct ew_member *m)
{
    if (m->lost_ns || m->place.health == EW_HEALTH_OFFLINE) {
        ew_log(EW_LOG_INFO, "%s has joined", m->name);
        m->place.health = EW_HEALTH_WARMING;
        ew_fleet_look(m, ew_clock_now_ns(&ew_clock_real));
    }
    m->lost_ns = 0;
}

void ew_fleet_lost(void *user, const char *origin)
{
    struct ew_fleet *fleet = user;
    struct ew_member *m = find(fleet, origin);
    if (!m || !m->origin)
        return;
    m->lost_ns = ew_clock_now_ns(&ew_clock_real);
    ew_fleet_set_health(m, EW_HEALTH_OFFLINE, "it has no connection to us any more");
}

void ew_fleet_tick_joined(struct ew_fleet *fleet, uint64_t now_ns)
{
    bool gone = false;
    for (struct ew_member *m = fleet->first; m; m = m->next) {
        bool away = m->origin && m->lost_ns && !m->retired &&
                    now_ns - m->lost_ns > (uint64_t)(EW_FLEET_AWAY_S * EW_NS_PER_S);
        if (away)
            ew_log(EW_LOG_INFO, "%s hasn't come back: it is forgotten", m->name);
        m->retired = m->retired || away;
        gone = gone || away;
    }
    if (gone)
        ew_fleet_drop_retired(fleet);
}
