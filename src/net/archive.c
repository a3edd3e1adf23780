/* archive.c - libarchive, zip only: find one member, stream it, count its bytes.
 *
 * Nothing is ever written under a name that the archive chose. */
#include "net/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (256u << 10)
/* A wheel has tens of members; more than this is not one of ours. */
enum { MEMBERS_MAX = 10000 };

static int write_all(int fd, const char *data, size_t bytes, struct ew_err *err)
{
    while (bytes) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ew_fail(err, EW_EIO, "writing the unpacked file: %s", strerror(errno));
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int copy(struct archive *from, const char *member, uint64_t bytes, int fd,
                ew_progress_fn *progress, void *user, struct ew_err *err)
{
    uint64_t done = 0;
    char *block = malloc(BLOCK_BYTES);
    if (!block)
        return ew_fail(err, EW_ENOMEM, "no memory to unpack %s", member);
    int rc = 0;
    la_ssize_t n = 0;
    while (rc == 0 && (n = archive_read_data(from, block, BLOCK_BYTES)) > 0) {
        if ((uint64_t)n > bytes - done)
            rc = ew_fail(err, EW_ECHECKSUM, "%s is larger than %" PRIu64 " bytes", member, bytes);
        else if ((rc = write_all(fd, block, (size_t)n, err)) == 0) {
            done += (uint64_t)n;
            if (progress && progress(user, done, bytes))
                rc = ew_fail(err, EW_ECANCELED, "cancelled while unpacking %s", member);
        }
    }
    if (rc == 0 && n < 0)
        rc = ew_fail(err, EW_EFORMAT, "%s: %s", member, archive_error_string(from));
    if (rc == 0 && done != bytes)
        rc = ew_fail(err, EW_ECHECKSUM, "%s has %" PRIu64 " bytes, not %" PRIu64, member, done,
                     bytes);
    free(block);
    return rc;
}

int ew_archive_extract(const char *path, const char *member, uint64_t bytes, int fd,
                       ew_progress_fn *progress, void *user, struct ew_err *err)
{
    struct archive_entry *entry = NULL;
    struct archive *from = archive_read_new();
    if (!from)
        return ew_fail(err, EW_ENOMEM, "no memory to unpack %s", path);
    int rc = 0, found = 0;
    archive_read_support_format_zip(from);
    if (archive_read_open_filename(from, path, BLOCK_BYTES) != ARCHIVE_OK)
        rc = ew_fail(err, EW_EFORMAT, "%s: %s", path, archive_error_string(from));
    for (int i = 0; rc == 0 && !found && i < MEMBERS_MAX; i++) {
        int next = archive_read_next_header(from, &entry);
        if (next == ARCHIVE_EOF)
            break;
        if (next < ARCHIVE_WARN) {
            rc = ew_fail(err, EW_EFORMAT, "%s: %s", path, archive_error_string(from));
            break;
        }
        const char *name = archive_entry_pathname(entry);
        found = name && strcmp(name, member) == 0;
    }
    if (rc == 0 && !found)
        rc = ew_fail(err, EW_ENOTFOUND, "%s has no member %s", path, member);
    if (rc == 0)
        rc = copy(from, member, bytes, fd, progress, user, err);
    archive_read_free(from);
    return rc;
}
