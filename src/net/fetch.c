/* fetch.c - libcurl, one transfer at a time: resume, retries, limits.
 *
 * What is written to the file is only ever the body of a 200 or a 206 that continues exactly where
 * the file ends; anything else (an error page, another range) is refused before its first byte. */
#include "net/fetch.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECT_S = 20,
    STALL_S = 30,
    REDIRECTS = 5,
    WAIT_FIRST_MS = 500, /* between attempts, doubled each time */
    WAIT_MAX_MS = 20000,
    ATTEMPTS_MAX = 100, /* a server that sends one byte a connection ends here */
    TAG_BYTES = 200,
    ERROR_PAGE = 4096
};
#define BYTES_MAX (16ull << 30)

struct transfer {
    const struct ew_fetch *what;
    CURL *curl;
    int fd; /* -1: into text */
    struct ew_buf *text;
    const char *tag_path; /* NULL: into text */
    char *final_url;
    uint64_t from;        /* asked to continue at */
    uint64_t have;        /* bytes of the file that are good */
    uint64_t total;       /* of the whole file; 0: not known */
    uint64_t range_from;  /* Content-Range's first; UINT64_MAX: none */
    uint64_t range_total; /* of Content-Range; 0: not known */
    long retry_after_s;
    char tag[TAG_BYTES], date[TAG_BYTES], encoding[TAG_BYTES]; /* headers of this answer */
    char name[256];                                            /* the URL for messages */
    bool body_seen, restart, refused, stalled;
    uint64_t heard_ns, heard_at; /* when the last byte came, and how many had come */
    struct ew_err *err;
    struct ew_err why; /* set by a callback that stopped the transfer */
};

void ew_fetch_mask(const char *url, char *masked, size_t size)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t scheme = (size_t)(host - url), end = strcspn(host, "?#");
    size_t authority = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', authority);
    size_t skip = at ? (size_t)(at - host) + 1 : 0;
    snprintf(masked, size, "%.*s%.*s", (int)scheme, url, (int)(end - skip), host + skip);
}

static uint64_t limit(const struct ew_fetch *what)
{
    return what->bytes_max ? what->bytes_max : what->bytes ? what->bytes : BYTES_MAX;
}

/* "Name: value\r\n" -> value into out, when it is that header. */
static bool header_value(const char *line, size_t bytes, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    if (bytes <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    const char *from = line + n + 1, *to = line + bytes;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == '\n' || to[-1] == '\r' || to[-1] == ' '))
        to--;
    if ((size_t)(to - from) >= size)
        return false;
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = '\0';
    return true;
}

/* "bytes 100-199/200" and the "bytes *" "/200" of a 416. */
static void read_range(struct transfer *t, const char *value)
{
    if (strncasecmp(value, "bytes ", 6) != 0)
        return;
    const char *slash = strchr(value, '/');
    if (value[6] >= '0' && value[6] <= '9')
        t->range_from = strtoull(value + 6, NULL, 10);
    if (slash && slash[1] >= '0' && slash[1] <= '9')
        t->range_total = strtoull(slash + 1, NULL, 10);
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t bytes = size * count;
    char value[TAG_BYTES];
    if (bytes > 5 && strncmp(line, "HTTP/", 5) == 0) { /* another answer begins: a redirect's end */
        t->tag[0] = t->date[0] = t->encoding[0] = '\0';
        t->range_from = UINT64_MAX;
        t->range_total = 0;
        t->retry_after_s = 0;
    }
    header_value(line, bytes, "ETag", t->tag, sizeof t->tag);
    header_value(line, bytes, "Last-Modified", t->date, sizeof t->date);
    header_value(line, bytes, "Content-Encoding", t->encoding, sizeof t->encoding);
    if (header_value(line, bytes, "Content-Range", value, sizeof value))
        read_range(t, value);
    if (header_value(line, bytes, "Retry-After", value, sizeof value))
        t->retry_after_s = strtol(value, NULL, 10);
    return bytes;
}

/* The validator beside a partial file; "" when there is none. */
static void read_tag(const char *path, char tag[TAG_BYTES])
{
    FILE *in = fopen(path, "r");
    if (!in || !fgets(tag, TAG_BYTES, in))
        tag[0] = '\0';
    if (in)
        fclose(in);
}

/* A weak ETag can't vouch for bytes (RFC 9110 §13.1.5): the date serves then. */
static void write_tag(const char *path, const struct transfer *t)
{
    const char *tag = t->tag[0] && strncmp(t->tag, "W/", 2) != 0 ? t->tag : t->date;
    FILE *out = *tag ? fopen(path, "w") : NULL;
    if (!out) {
        unlink(path);
        return;
    }
    fputs(tag, out);
    fclose(out);
}

/* Judges the answer at its first byte; 0 when its body may be taken. */
static int accept_body(struct transfer *t)
{
    long status = 0;
    curl_off_t length = -1;
    const char *type = NULL;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
    if (status != 200 && status != 206)
        return 0; /* the status is the error; on_body drops the page */
    if (t->encoding[0] && strcasecmp(t->encoding, "identity") != 0)
        return ew_fail(&t->why, EW_ENET, "%s: the server sends it as %s unasked", t->name,
                       t->encoding);
    if (t->fd >= 0 && type && strncasecmp(type, "text/html", 9) == 0)
        return ew_fail(&t->why, EW_ENET,
                       "%s: the server sent a web page, not the file (a login or "
                       "a proxy?)",
                       t->name);
    if (status == 206 && t->range_from != t->from) {
        t->restart = true; /* never glue a range that isn't ours */
        return ew_fail(&t->why, EW_ENET, "%s: the server sent another range than asked", t->name);
    }
    if (status == 200)
        t->have = 0; /* no ranges there, or the file changed: from the start */
    if (t->fd >= 0 &&
        (ftruncate(t->fd, (off_t)t->have) || lseek(t->fd, (off_t)t->have, SEEK_SET) < 0))
        return ew_fail(&t->why, EW_EIO, "%s: %s", t->name, strerror(errno));
    t->total = t->range_total ? t->range_total : length >= 0 ? t->have + (uint64_t)length : 0;
    if (t->what->bytes && t->total && t->total != t->what->bytes)
        return ew_fail(&t->why, EW_ECHECKSUM, "%s is %" PRIu64 " bytes there, not %" PRIu64,
                       t->name, t->total, t->what->bytes);
    if (t->total > limit(t->what))
        return ew_fail(&t->why, EW_ELIMIT,
                       "%s is %" PRIu64 " bytes, at most %" PRIu64 " are accepted", t->name,
                       t->total, limit(t->what));
    if (t->tag_path)
        write_tag(t->tag_path, t); /* before the first byte: a kill leaves something to resume */
    return 0;
}

static int write_all(struct transfer *t, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(t->fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ew_fail(&t->why, EW_EIO, "writing the download: %s", strerror(errno));
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    size_t bytes = size * count;
    long status = 0;
    if (!t->body_seen) {
        t->body_seen = true;
        if (accept_body(t)) {
            t->refused = true;
            return 0;
        }
    }
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206)
        return bytes;
    if (bytes > limit(t->what) - t->have) {
        ew_fail(&t->why, EW_ELIMIT, "%s is larger than the %" PRIu64 " bytes accepted", t->name,
                limit(t->what));
        t->refused = true;
        return 0;
    }
    if (t->fd >= 0 ? write_all(t, data, bytes) : ew_buf_add(t->text, data, bytes, &t->why)) {
        t->refused = true;
        return 0;
    }
    t->have += bytes;
    return bytes;
}

/* Called about once a second, also when nothing comes. libcurl's own limit is on an average, which
 * lets a server that fell silent live on for long; ours is on the last byte. */
static int on_progress(void *user, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
                       curl_off_t ul)
{
    struct transfer *t = user;
    const struct ew_fetch *what = t->what;
    unsigned stall_s = what->stall_s ? what->stall_s : STALL_S;
    uint64_t now = ew_clock_now_ns(&ew_clock_real);
    (void)dl_total, (void)dl, (void)ul_total, (void)ul;
    if (t->have != t->heard_at || !t->heard_ns) {
        t->heard_at = t->have;
        t->heard_ns = now;
    }
    t->stalled = now - t->heard_ns > (uint64_t)stall_s * EW_NS_PER_S;
    if (t->stalled)
        return 1;
    return what->progress && what->progress(what->user, t->have, t->total ? t->total : what->bytes);
}

/* The first of the variables that is set. */
static const char *from_environment(const char *a, const char *b)
{
    const char *value = getenv(a);
    if (!value || !*value)
        value = b ? getenv(b) : NULL;
    return value && *value ? value : NULL;
}

static void set_options(struct transfer *t, struct curl_slist **headers, const char *validator)
{
    const struct ew_fetch *what = t->what;
    CURL *curl = t->curl;
    char line[TAG_BYTES + 64];
    curl_easy_setopt(curl, CURLOPT_URL, what->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
                     strncmp(what->url, "https:", 6) == 0 ? "https" : "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "edgewise");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    const char *bundle = from_environment("CURL_CA_BUNDLE", "SSL_CERT_FILE");
    if (bundle)
        curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
    const char *dir = from_environment("SSL_CERT_DIR", NULL);
    if (dir)
        curl_easy_setopt(curl, CURLOPT_CAPATH, dir);
    if (what->bearer) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, what->bearer);
    }
    if (what->accept) {
        char accept[256];
        snprintf(accept, sizeof accept, "Accept: %s", what->accept);
        *headers = curl_slist_append(*headers, accept);
    }
    if (t->from) {
        snprintf(line, sizeof line, "Range: bytes=%" PRIu64 "-", t->from);
        *headers = curl_slist_append(*headers, line);
        snprintf(line, sizeof line, "If-Range: %s", validator);
        *headers = curl_slist_append(*headers, line);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
}

enum outcome { DONE, AGAIN, FAILED };

static enum outcome judge_status(struct transfer *t, long status)
{
    if (status == 416 && t->from && t->range_total == t->from &&
        (!t->what->bytes || t->what->bytes == t->from))
        return DONE; /* nothing is left to send: we have it all */
    if (status == 416 && t->from) {
        t->restart = true;
        ew_fail(t->err, EW_ENET, "%s: the server can't continue it (HTTP 416)", t->name);
        return AGAIN;
    }
    ew_fail(t->err, status == 404 || status == 410 ? EW_ENOTFOUND : EW_ENET,
            "%s: the server says HTTP %ld%s", t->name, status,
            status == 401 || status == 403 ? " (not allowed)" : "");
    return status == 408 || status == 429 || status >= 500 ? AGAIN : FAILED;
}

static enum outcome judge(struct transfer *t, CURLcode rc, const char *detail)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->refused) {
        ew_fail(t->err, t->why.code, "%s", t->why.text);
        return t->restart ? AGAIN : FAILED;
    }
    if (rc == CURLE_ABORTED_BY_CALLBACK && t->stalled) {
        ew_fail(t->err, EW_ENET, "%s: nothing came for %u s", t->name,
                t->what->stall_s ? t->what->stall_s : STALL_S);
        return AGAIN;
    }
    if (rc == CURLE_ABORTED_BY_CALLBACK) {
        ew_fail(t->err, EW_ECANCELED, "cancelled; what came of %s is kept", t->name);
        return FAILED;
    }
    if (rc == CURLE_OK && status != 200 && status != 206)
        return judge_status(t, status);
    if (rc == CURLE_OK && !t->body_seen && accept_body(t)) { /* an empty body was never judged */
        ew_fail(t->err, t->why.code, "%s", t->why.text);
        return FAILED;
    }
    uint64_t want = t->total ? t->total : t->what->bytes;
    if (rc == CURLE_OK && (!want || t->have == want))
        return DONE;
    if (rc == CURLE_OK) {
        ew_fail(t->err, EW_ENET, "%s ended after %" PRIu64 " of %" PRIu64 " bytes", t->name,
                t->have, want);
        return AGAIN;
    }
    ew_fail(t->err, EW_ENET, "%s: %s", t->name, detail[0] ? detail : curl_easy_strerror(rc));
    bool hopeless = rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_COULDNT_RESOLVE_HOST ||
                    rc == CURLE_URL_MALFORMAT || rc == CURLE_UNSUPPORTED_PROTOCOL ||
                    rc == CURLE_TOO_MANY_REDIRECTS || rc == CURLE_SSL_CACERT_BADFILE ||
                    rc == CURLE_COULDNT_RESOLVE_PROXY;
    return hopeless ? FAILED : AGAIN;
}

/* With NOSIGNAL, curl leaves SIGPIPE to us: a server that hangs up is an error, not our end. */
static CURLcode perform(CURL *curl)
{
    void (*was)(int) = signal(SIGPIPE, SIG_IGN);
    CURLcode rc = curl_easy_perform(curl);
    signal(SIGPIPE, was);
    return rc;
}

static enum outcome attempt(struct transfer *t)
{
    char detail[CURL_ERROR_SIZE] = "", validator[TAG_BYTES] = "";
    struct curl_slist *headers = NULL;
    t->curl = curl_easy_init();
    if (!t->curl) {
        ew_fail(t->err, EW_ENOMEM, "no memory for a transfer");
        return FAILED;
    }
    if (t->fd >= 0)
        read_tag(t->tag_path, validator);
    t->from = t->have = t->fd >= 0 && validator[0] ? t->have : 0;
    t->total = 0;
    t->range_from = UINT64_MAX;
    t->range_total = 0;
    t->body_seen = t->restart = t->refused = t->stalled = false;
    t->heard_ns = 0;
    if (t->text)
        ew_buf_clear(t->text);
    set_options(t, &headers, validator);
    curl_easy_setopt(t->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode rc = perform(t->curl);
    enum outcome outcome = judge(t, rc, detail);
    const char *at = NULL;
    if (t->final_url && !curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &at) && at)
        snprintf(t->final_url, EW_FETCH_URL_MAX, "%s", at);
    if (t->restart) {
        t->have = 0;
        if (t->tag_path)
            unlink(t->tag_path);
    }
    curl_slist_free_all(headers);
    return outcome;
}

/* Sleeps in short steps, so that a cancel is heard. */
static bool wait_ms(struct transfer *t, long ms)
{
    t->heard_ns = 0; /* our silence, not the server's */
    for (; ms > 0; ms -= 100, t->heard_ns = 0) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        if (on_progress(t, 0, 0, 0, 0))
            return false;
    }
    return true;
}

static int run(struct transfer *t)
{
    unsigned barren = 0; /* attempts in a row that brought nothing new */
    ew_fetch_mask(t->what->url, t->name, sizeof t->name);
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        uint64_t before = t->have;
        enum outcome outcome = attempt(t);
        long wait = t->retry_after_s > 0 ? t->retry_after_s * 1000 : WAIT_FIRST_MS << barren;
        curl_easy_cleanup(t->curl);
        if (outcome == DONE)
            return 0;
        barren = t->have > before ? 0 : barren + 1;
        if (outcome == FAILED || barren > t->what->retries)
            break;
        if (!wait_ms(t, wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS))
            return ew_fail(t->err, EW_ECANCELED, "cancelled; what came of %s is kept", t->name);
    }
    return t->err->code;
}

static int file_size(int fd, uint64_t *bytes)
{
    struct stat st;
    if (fstat(fd, &st))
        return -1;
    *bytes = (uint64_t)st.st_size;
    return 0;
}

int ew_fetch_file(const struct ew_fetch *what, const char *path, struct ew_err *err)
{
    struct ew_err own = {0};
    char tag_path[EW_FETCH_URL_MAX];
    struct transfer t = {.what = what, .tag_path = tag_path, .err = err ? err : &own};
    if (snprintf(tag_path, sizeof tag_path, "%s.tag", path) >= (int)sizeof tag_path)
        return ew_fail(err, EW_ELIMIT, "the path of the download is too long");
    t.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (t.fd < 0 || file_size(t.fd, &t.have)) {
        if (t.fd >= 0)
            close(t.fd);
        return ew_fail(err, EW_EIO, "%s: %s", path, strerror(errno));
    }
    int rc = what->bytes && t.have == what->bytes ? 0 : run(&t);
    if (rc == 0 && fsync(t.fd))
        rc = ew_fail(err, EW_EIO, "%s: %s", path, strerror(errno));
    close(t.fd);
    return rc;
}

int ew_fetch_text(const struct ew_fetch *what, struct ew_buf *out, char *final_url,
                  struct ew_err *err)
{
    struct ew_err own = {0};
    struct transfer t = {
        .what = what, .fd = -1, .text = out, .final_url = final_url, .err = err ? err : &own};
    return run(&t);
}
