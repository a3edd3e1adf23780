/* file.h - whole files: read with a limit, written all or nothing, and the user's folders. */
#ifndef EW_FILE_H
#define EW_FILE_H

#include "base/buf.h"

/* Appends the file's bytes; "-" is stdin. The limit is the buffer's: EW_ELIMIT beyond it. */
int ew_file_read(struct ew_buf *out, const char *path, struct ew_err *err);

/* The file is either as it was or has all the bytes, also after a crash: written beside itself,
 * synced, renamed. An existing file keeps its mode; links are followed. */
int ew_file_write(const char *path, const void *data, size_t bytes, struct ew_err *err);

/* Makes the folder and those above it; what exists already is fine. */
int ew_file_mkdirs(const char *path, struct ew_err *err);

enum ew_file_dir { EW_FILE_CACHE, EW_FILE_CONFIG, EW_FILE_DATA };
/* Our folder among the user's (XDG Base Directory Specification 0.8): $XDG_CACHE_HOME/edgewise,
 * else $HOME/.cache/edgewise. Isn't made. EW_ENOTFOUND when neither variable says where. */
int ew_file_dir(enum ew_file_dir which, char *path, size_t max, struct ew_err *err);

#endif
