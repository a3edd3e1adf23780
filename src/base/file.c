/* file.c - reads and writes whole files; names the path and the cause in every error.
 *
 * Limits: paths of PATH_MAX bytes. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK = 65536,
    SUFFIX_BYTES = 12 /* ".tmp-XXXXXX" */
};

static int fail_errno(struct ew_err *err, const char *what, const char *path)
{
    int code = errno == ENOENT ? EW_ENOTFOUND : EW_EIO;
    return ew_fail(err, code, "%s %s: %s", what, path, strerror(errno));
}

int ew_file_read(struct ew_buf *out, const char *path, struct ew_err *err)
{
    struct ew_err own = {0};
    err = err ? err : &own;
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    if (fd < 0)
        return fail_errno(err, "can't open", path);
    for (;;) {
        char chunk[CHUNK];
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = fail_errno(err, "can't read", is_stdin ? "standard input" : path);
        else if (got > 0 && ew_buf_add(out, chunk, (size_t)got, err))
            rc = ew_fail_in(err, err->code, "%s", path);
        if (got <= 0 || rc)
            break;
    }
    if (!is_stdin)
        close(fd);
    return rc;
}

static int write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, data, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        bytes -= (size_t)put;
    }
    return 0;
}

/* The rename itself is on disk only once the folder is. Not every file system can sync a folder,
 * so its refusal isn't a failure. */
static void sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t bytes = slash ? (size_t)(slash - path) + (slash == path) : 0;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash ? bytes : 1), slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* mkstemp makes files for the owner alone; a new file should be what open() would have made. */
static mode_t mode_for(const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0)
        return about.st_mode & 0777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

int ew_file_write(const char *path, const void *data, size_t bytes, struct ew_err *err)
{
    char target[PATH_MAX], draft[PATH_MAX + SUFFIX_BYTES];
    if (!realpath(path, target)) { /* not there yet: the name is the target */
        if (errno != ENOENT)
            return fail_errno(err, "can't write", path);
        if ((size_t)snprintf(target, sizeof target, "%s", path) >= sizeof target)
            return ew_fail(err, EW_ELIMIT, "can't write: a path longer than %d bytes", PATH_MAX);
    }
    snprintf(draft, sizeof draft, "%s.tmp-XXXXXX", target);
    int fd = mkstemp(draft), rc = 0;
    if (fd < 0)
        return fail_errno(err, "can't write", path);
    if (write_all(fd, data, bytes) || fchmod(fd, mode_for(target)) || fsync(fd))
        rc = fail_errno(err, "can't write", path);
    if (close(fd) && !rc)
        rc = fail_errno(err, "can't write", path);
    if (!rc && rename(draft, target))
        rc = fail_errno(err, "can't replace", path);
    if (rc)
        unlink(draft);
    else
        sync_folder_of(target);
    return rc;
}

int ew_file_mkdirs(const char *path, struct ew_err *err)
{
    char folder[PATH_MAX];
    if ((size_t)snprintf(folder, sizeof folder, "%s", path) >= sizeof folder)
        return ew_fail(err, EW_ELIMIT, "can't make a folder: a path longer than %d bytes",
                       PATH_MAX);
    for (char *at = folder + 1; folder[0]; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char was = *at;
        *at = '\0';
        struct stat about;
        if (mkdir(folder, 0777) && errno != EEXIST)
            return fail_errno(err, "can't make folder", folder);
        if (stat(folder, &about) == 0 && !S_ISDIR(about.st_mode))
            return ew_fail(err, EW_EIO, "can't make folder %s: a file has that name", folder);
        *at = was;
        if (!was)
            return 0;
    }
    return ew_fail(err, EW_EINVAL, "can't make a folder without a name");
}

int ew_file_dir(enum ew_file_dir which, char *path, size_t max, struct ew_err *err)
{
    static const struct {
        const char *variable, *below_home;
    } dirs[] = {
        [EW_FILE_CACHE] = {"XDG_CACHE_HOME", ".cache"},
        [EW_FILE_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
        [EW_FILE_DATA] = {"XDG_DATA_HOME", ".local/share"},
    };
    const char *base = getenv(dirs[which].variable), *home = getenv("HOME");
    int n;
    if (base && base[0] == '/') /* the specification: a relative path is to be ignored */
        n = snprintf(path, max, "%s/edgewise", base);
    else if (home && *home)
        n = snprintf(path, max, "%s/%s/edgewise", home, dirs[which].below_home);
    else
        return ew_fail(err, EW_ENOTFOUND, "neither HOME nor %s says where files go",
                       dirs[which].variable);
    if (n < 0 || (size_t)n >= max)
        return ew_fail(err, EW_ELIMIT, "the path in %s is too long", dirs[which].variable);
    return 0;
}
