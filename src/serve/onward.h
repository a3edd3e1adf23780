/* onward.h - what goes along with a request to another device: what it may, where it has been.
 *
 * The other device may be a front itself, with clouds of its own. So it is told that the request
 * must not leave the edge, by when it must be answered, and how good a model must be; and the ids
 * of the servers that passed it on, so that two fronts that know each other don't send it round and
 * round until all their places are full of it. Clouds are told nothing of this. */
#ifndef EW_ONWARD_H
#define EW_ONWARD_H

#include "net/http_server.h"

#include <stddef.h>
#include <stdint.h>

enum {
    EW_ONWARD_HOPS_MAX = 8,                      /* more fronts behind each other are a mistake */
    EW_ONWARD_VIA_MAX = EW_ONWARD_HOPS_MAX * 17, /* 16 digits and a comma each; NUL for the last */
    EW_ONWARD_HEADERS_MAX = 4,
};

struct ew_onward {
    struct ew_http_header headers[EW_ONWARD_HEADERS_MAX]; /* into the texts below */
    size_t count;
    char via[EW_ONWARD_VIA_MAX], deadline[24], quality[24];
};

struct ew_onward_ask {
    bool edge_only;
    double quality_min; /* NAN: any */
    double left_s;      /* NAN: no deadline of its own */
    const char *via;    /* as the request came; NULL: from a client */
    uint64_t own;       /* this server's id */
};
/* via is one that ew_onward_is_round let pass. */
void ew_onward_make(struct ew_onward *onward, const struct ew_onward_ask *ask);

/* It was here before, or at too many: it isn't to be passed on again. */
bool ew_onward_is_round(const char *via, uint64_t own);

#endif
