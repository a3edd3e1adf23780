/* pull.h - brings a model of the catalog onto this machine, whole and verified, or not at all.
 *
 * NAME.gguf appears by a rename once its sha256 is right; until then its pieces are called
 * NAME.gguf.part..., and a later pull goes on from them. Two pulls of one model wait for each
 * other. Sources are tried in the catalog's order. */
#ifndef EW_PULL_H
#define EW_PULL_H

#include "flow/catalog.h"

#include <limits.h>

struct ew_pull {
    const struct ew_catalog_model *model;
    const char *dir;  /* NULL: ew_catalog_dir() */
    bool force;       /* fetch even if it is here, from the first byte */
    bool verify;      /* if it is here, read it all and check the sha256 */
    unsigned stall_s; /* give a transfer up when nothing comes for so long; 0: 30 */
    unsigned retries; /* of a transfer, without anything new */
    /* What is being done, how far; anything but 0 stops with EW_ECANCELED. NULL: don't tell. */
    int (*progress)(void *user, const char *stage, uint64_t done, uint64_t total);
    void (*note)(void *user, const char *sentence); /* a source that failed; NULL: don't tell */
    void *user;
};

struct ew_pull_result {
    char path[PATH_MAX];
    char source[200]; /* where it came from; "" when it was here already */
    bool already;
};

int ew_pull_model(const struct ew_pull *how, struct ew_pull_result *out, struct ew_err *err);

#endif
