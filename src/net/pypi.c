/* pypi.c - index pages in both forms, and where the index is.
 *
 * A file's link may be relative, and may carry "#sha256=..." behind it. User and password in the
 * index's URL go to files on the same host alone, as pip does it. */
#include "net/pypi.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INDEX_DEFAULT "https://pypi.org/simple/"
/* The largest pages of the index (packages with thousands of releases) are a few MB. */
#define PAGE_BYTES_MAX (32u << 20)
#define ACCEPT                                                                                     \
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "             \
    "text/html;q=0.1"
enum { NAME_BYTES = 256, CONFIG_BYTES = 65536 };

/* PEP 503: lower case, runs of dash, underscore and dot are one dash. */
static void normalize(const char *name, size_t bytes, char out[NAME_BYTES])
{
    size_t n = 0;
    for (size_t i = 0; i < bytes && n + 1 < NAME_BYTES; i++) {
        char c = name[i];
        bool separator = c == '-' || c == '_' || c == '.';
        if (separator && n && out[n - 1] == '-')
            continue;
        out[n++] = separator ? '-' : c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[n] = '\0';
}

/* NAME-VERSION-…-PLATFORM.whl: 0 isn't it, 1 it is, 2 it is and runs anywhere. */
static int match(struct ew_str file, const char *package, const char *version)
{
    char want[NAME_BYTES], have[NAME_BYTES];
    const char *dash = file.data ? memchr(file.data, '-', file.bytes) : NULL;
    size_t v = strlen(version);
    if (!dash || file.bytes < 5 || memcmp(file.data + file.bytes - 4, ".whl", 4) != 0)
        return 0;
    size_t rest = file.bytes - (size_t)(dash + 1 - file.data);
    normalize(package, strlen(package), want);
    normalize(file.data, (size_t)(dash - file.data), have);
    if (strcmp(want, have) != 0 || rest <= v || memcmp(dash + 1, version, v) != 0 ||
        dash[1 + v] != '-')
        return 0;
    static const char anywhere[] = "-none-any.whl";
    size_t n = sizeof anywhere - 1;
    return file.bytes > n && memcmp(file.data + file.bytes - n, anywhere, n) == 0 ? 2 : 1;
}

/* Makes the link absolute and takes its checksum off. */
static int set_link(const char *link, const char *page_url, struct ew_pypi_wheel *out,
                    struct ew_err *err)
{
    const char *hash = strstr(link, "#sha256=");
    char *url = NULL, *host = NULL, *page_host = NULL, *user = NULL, *password = NULL;
    CURLU *parsed = curl_url(), *page = curl_url();
    int rc = EW_EFORMAT;
    if (hash && strspn(hash + 8, "0123456789abcdef") >= 64)
        snprintf(out->sha256, sizeof out->sha256, "%.64s", hash + 8);
    if (!parsed || !page || curl_url_set(page, CURLUPART_URL, page_url, 0) ||
        curl_url_set(parsed, CURLUPART_URL, page_url, 0) ||
        curl_url_set(parsed, CURLUPART_URL, link, 0))
        goto out;
    curl_url_get(parsed, CURLUPART_HOST, &host, 0);
    curl_url_get(page, CURLUPART_HOST, &page_host, 0);
    bool same = host && page_host && strcasecmp(host, page_host) == 0;
    if (same && !curl_url_get(page, CURLUPART_USER, &user, 0))
        curl_url_set(parsed, CURLUPART_USER, user, 0);
    if (same && !curl_url_get(page, CURLUPART_PASSWORD, &password, 0))
        curl_url_set(parsed, CURLUPART_PASSWORD, password, 0);
    curl_url_set(parsed, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(parsed, CURLUPART_URL, &url, 0) || strlen(url) >= sizeof out->url)
        goto out;
    snprintf(out->url, sizeof out->url, "%s", url);
    rc = 0;
out:
    curl_free(url), curl_free(host), curl_free(page_host), curl_free(user), curl_free(password);
    curl_url_cleanup(parsed);
    curl_url_cleanup(page);
    return rc ? ew_fail(err, rc, "the package index has a link that is no URL: %.80s", link) : 0;
}

static int parse_json(struct ew_str text, const char *page_url, const char *package,
                      const char *version, struct ew_pypi_wheel *out, struct ew_err *err)
{
    json_error_t why;
    json_t *page = json_loadb(text.data, text.bytes, 0, &why), *file;
    if (!page)
        return ew_fail(err, EW_EFORMAT, "the package index, line %d: %s", why.line, why.text);
    const json_t *files = json_object_get(page, "files");
    int best = 0, rc = 0;
    size_t i;
    if (!json_is_array(files))
        rc = ew_fail(err, EW_EFORMAT, "the package index has no list of files for %s", package);
    json_array_foreach(files, i, file)
    {
        const char *name = json_string_value(json_object_get(file, "filename"));
        const char *url = json_string_value(json_object_get(file, "url"));
        int rank = name ? match((struct ew_str){name, strlen(name)}, package, version) : 0;
        if (rank <= best || !url || rc)
            continue;
        best = rank;
        *out = (struct ew_pypi_wheel){0};
        rc = set_link(url, page_url, out, err);
        const char *sha256 =
            json_string_value(json_object_get(json_object_get(file, "hashes"), "sha256"));
        json_int_t bytes = json_integer_value(json_object_get(file, "size"));
        if (sha256 && strlen(sha256) == 64)
            snprintf(out->sha256, sizeof out->sha256, "%s", sha256);
        out->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    }
    json_decref(page);
    if (rc == 0 && best == 0)
        rc =
            ew_fail(err, EW_ENOTFOUND, "the package index has no wheel of %s %s", package, version);
    return rc;
}

/* The value of href in a tag; &amp; is the one entity that URLs need. */
static bool read_href(const char *tag, const char *end, char *link, size_t size)
{
    const char *at = tag;
    while (at < end && strncasecmp(at, "href", 4) != 0)
        at++;
    for (at += at < end ? 4 : 0; at < end && (*at == ' ' || *at == '='); at++)
        ;
    if (at >= end || (*at != '"' && *at != '\''))
        return false;
    const char *close = memchr(at + 1, *at, (size_t)(end - at - 1));
    size_t n = 0;
    if (!close)
        return false;
    for (at++; at < close && n + 1 < size; n++) {
        link[n] = *at;
        at += close - at >= 5 && strncmp(at, "&amp;", 5) == 0 ? 5 : 1;
    }
    link[n] = '\0';
    return at == close;
}

static int parse_html(struct ew_str text, const char *page_url, const char *package,
                      const char *version, struct ew_pypi_wheel *out, struct ew_err *err)
{
    const char *at = text.data, *end = text.data + text.bytes;
    char link[EW_FETCH_URL_MAX];
    int best = 0, rc = 0;
    while (rc == 0 && at && (at = memmem(at, (size_t)(end - at), "<a", 2)) && best < 2) {
        const char *tag_end = memchr(at, '>', (size_t)(end - at));
        const char *name_end = tag_end ? memchr(tag_end, '<', (size_t)(end - tag_end)) : NULL;
        if (!name_end)
            break;
        struct ew_str name = {tag_end + 1, (size_t)(name_end - tag_end) - 1};
        while (name.bytes && strchr(" \t\r\n", name.data[0]))
            name.data++, name.bytes--;
        while (name.bytes && strchr(" \t\r\n", name.data[name.bytes - 1]))
            name.bytes--;
        int rank = match(name, package, version);
        if (rank > best && read_href(at, tag_end, link, sizeof link)) {
            best = rank;
            *out = (struct ew_pypi_wheel){0};
            rc = set_link(link, page_url, out, err);
        }
        at = name_end;
    }
    if (rc == 0 && best == 0)
        rc =
            ew_fail(err, EW_ENOTFOUND, "the package index has no wheel of %s %s", package, version);
    return rc;
}

int ew_pypi_parse(struct ew_str page, const char *page_url, const char *package,
                  const char *version, struct ew_pypi_wheel *out, struct ew_err *err)
{
    size_t first = 0;
    while (first < page.bytes && strchr(" \t\r\n", page.data[first]))
        first++;
    *out = (struct ew_pypi_wheel){0};
    bool json = first < page.bytes && page.data[first] == '{';
    return (json ? parse_json : parse_html)(page, page_url, package, version, out, err);
}

bool ew_pypi_config(const char *text, char *url, size_t size)
{
    bool global = false;
    for (const char *line = text; *line;) {
        size_t bytes = strcspn(line, "\r\n");
        size_t key = strcspn(line, "=:\r\n");
        if (line[0] == '[')
            global = bytes >= 8 && strncmp(line, "[global]", 8) == 0;
        else if (global && key < bytes &&
                 (strncasecmp(line, "index-url", 9) == 0 ||
                  strncasecmp(line, "index_url", 9) == 0) &&
                 strspn(line + 9, " \t") == key - 9) {
            const char *from = line + key + 1, *to = line + bytes;
            while (from < to && (*from == ' ' || *from == '\t'))
                from++;
            while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
                to--;
            int n = snprintf(url, size, "%.*s", (int)(to - from), from);
            return n > 0 && (size_t)n < size;
        }
        line += bytes;
        line += strspn(line, "\r\n");
    }
    return false;
}

static bool index_of_file(const char *path, char *url, size_t size)
{
    FILE *in = fopen(path, "r");
    char *text = in ? calloc(1, CONFIG_BYTES) : NULL;
    bool found =
        text && fread(text, 1, CONFIG_BYTES - 1, in) > 0 && ew_pypi_config(text, url, size);
    free(text);
    if (in)
        fclose(in);
    return found;
}

/* pip's order, nearest to the user first. */
static bool index_of_pip(char *url, size_t size)
{
    const char *file = getenv("PIP_CONFIG_FILE"), *home = getenv("HOME");
    const char *config = getenv("XDG_CONFIG_HOME");
    char path[1024];
    if (file && *file && index_of_file(file, url, size))
        return true;
    if (config && *config) {
        snprintf(path, sizeof path, "%s/pip/pip.conf", config);
        if (index_of_file(path, url, size))
            return true;
    }
    static const char *const below[] = {"/.config/pip/pip.conf", "/.pip/pip.conf"};
    for (size_t i = 0; home && i < EW_COUNT(below); i++) {
        snprintf(path, sizeof path, "%s%s", home, below[i]);
        if (index_of_file(path, url, size))
            return true;
    }
    return index_of_file("/etc/pip.conf", url, size) ||
           index_of_file("/etc/xdg/pip/pip.conf", url, size);
}

void ew_pypi_index(char *url, size_t size)
{
    const char *own = getenv("EDGEWISE_PYPI_INDEX"), *pip = getenv("PIP_INDEX_URL");
    if (own && *own)
        snprintf(url, size, "%s", own);
    else if (pip && *pip)
        snprintf(url, size, "%s", pip);
    else if (!index_of_pip(url, size))
        snprintf(url, size, "%s", INDEX_DEFAULT);
}

int ew_pypi_find(const char *package, const char *version, const struct ew_fetch *limits,
                 struct ew_pypi_wheel *out, struct ew_err *err)
{
    char index[EW_FETCH_URL_MAX / 2], url[EW_FETCH_URL_MAX], found[EW_FETCH_URL_MAX];
    char name[NAME_BYTES];
    struct ew_buf page;
    ew_pypi_index(index, sizeof index);
    normalize(package, strlen(package), name);
    size_t n = strlen(index);
    snprintf(url, sizeof url, "%s%s%s/", index, n && index[n - 1] == '/' ? "" : "/", name);
    struct ew_fetch ask = *limits;
    ask.url = url;
    ask.accept = ACCEPT;
    ask.bytes = 0;
    ask.bytes_max = PAGE_BYTES_MAX;
    ew_buf_init(&page, PAGE_BYTES_MAX);
    int rc = ew_fetch_text(&ask, &page, found, err);
    if (rc == 0)
        rc = ew_pypi_parse((struct ew_str){ew_buf_cstr(&page), page.bytes}, found, package, version,
                           out, err);
    ew_buf_fini(&page);
    return rc;
}
