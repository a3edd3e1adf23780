/* serve_check.h - what `edgewise serve --check` and `--new-key` say. */
#ifndef EW_SERVE_CHECK_H
#define EW_SERVE_CHECK_H

#include "flow/config.h"

/* What the file can't tell by itself: models that are here and can be read, a certificate that fits
 * its key and hasn't run out, profiles that are known, files with keys of others. Prints one line,
 * "FILE: fine: …". */
int ew_serve_check(const struct ew_config *config, struct ew_err *err);

/* A new join token of the front's secret, on stdout; what to do with it on stderr. */
int ew_serve_new_token(const struct ew_config *config, const char *name, struct ew_err *err);

/* A new key: itself on stdout, so that a script can keep it; what the file needs on stderr. */
int ew_serve_new_key(const char *name, struct ew_err *err);

#endif
