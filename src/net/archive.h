/* archive.h - takes one member out of an archive (a Python wheel is a zip). */
#ifndef EW_ARCHIVE_H
#define EW_ARCHIVE_H

#include "net/sha256.h"

/* Writes the member's bytes to fd at its present offset. They must be exactly `bytes`: unpacking
 * stops there, so that no archive can fill the disk. EW_ENOTFOUND: no such member. */
int ew_archive_extract(const char *path, const char *member, uint64_t bytes, int fd,
                       ew_progress_fn *progress, void *user, struct ew_err *err);

#endif
