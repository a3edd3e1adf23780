/* pull_show.h - the catalog, and what a pull did, for people and for programs. */
#ifndef EW_PULL_SHOW_H
#define EW_PULL_SHOW_H

#include "pull/pull.h"

#include <stdio.h>

enum ew_pull_form { EW_PULL_TABLE, EW_PULL_JSON };

/* The models, and which of them lie in `dir`. */
int ew_pull_show_list(const struct ew_catalog *catalog, const char *dir, enum ew_pull_form form,
                      FILE *out, struct ew_err *err);
/* JSON. */
int ew_pull_show_result(const struct ew_pull *how, const struct ew_pull_result *result,
                        double seconds, FILE *out, struct ew_err *err);

#endif
