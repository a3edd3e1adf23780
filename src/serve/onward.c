/* onward.c - see onward.h. */
#include "serve/onward.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ID_DIGITS = 16 };

static void add(struct ew_onward *o, const char *name, const char *value)
{
    o->headers[o->count++] = (struct ew_http_header){name, value};
}

bool ew_onward_is_round(const char *via, uint64_t own)
{
    char id[ID_DIGITS + 1];
    if (!via)
        return false;
    (void)ew_str_hex(id, sizeof id, own, ID_DIGITS);
    return strlen(via) + 1 + ID_DIGITS >= EW_ONWARD_VIA_MAX || strstr(via, id);
}

void ew_onward_make(struct ew_onward *o, const struct ew_onward_ask *ask)
{
    o->count = 0;
    size_t bytes = ew_str_copy(o->via, sizeof o->via, ask->via ? ask->via : "");
    bytes += ew_str_copy(o->via + bytes, sizeof o->via - bytes, bytes ? "," : "");
    (void)ew_str_hex(o->via + bytes, sizeof o->via - bytes, ask->own, ID_DIGITS);
    add(o, "X-Edgewise-Via", o->via);
    if (ask->edge_only)
        add(o, "X-Edgewise-Edge-Only", "1");
    if (!isnan(ask->quality_min)) {
        snprintf(o->quality, sizeof o->quality, "%.6g", ask->quality_min);
        add(o, "X-Edgewise-Min-Quality", o->quality);
    }
    if (!isnan(ask->left_s)) {
        snprintf(o->deadline, sizeof o->deadline, "%.0f", ceil(1000 * fmax(ask->left_s, 0)));
        add(o, "X-Deadline-Ms", o->deadline);
    }
}
