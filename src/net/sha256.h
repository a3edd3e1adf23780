/* sha256.h - the checksum that decides whether a download is what it should be. */
#ifndef EW_SHA256_H
#define EW_SHA256_H

#include "base/err.h"

#define EW_SHA256_HEX 65 /* 64 digits and a NUL */

/* Told how far it is; anything but 0 stops the work with EW_ECANCELED. */
typedef int ew_progress_fn(void *user, uint64_t done, uint64_t total);

int ew_sha256_bytes(const void *data, size_t bytes, char hex[EW_SHA256_HEX], struct ew_err *err);
/* Of a whole file; progress may be NULL. */
int ew_sha256_file(const char *path, char hex[EW_SHA256_HEX], ew_progress_fn *progress, void *user,
                   struct ew_err *err);

#endif
