/* pypi.h - finds a wheel in a Python package index (PEP 503 and its JSON form, PEP 691).
 *
 * The index is the user's: EDGEWISE_PYPI_INDEX, PIP_INDEX_URL, index-url in the [global] section of
 * pip's configuration files, or https://pypi.org/simple/. Users who reach packages through a mirror
 * reach models through it too. */
#ifndef EW_PYPI_H
#define EW_PYPI_H

#include "base/buf.h"
#include "net/fetch.h"

struct ew_pypi_wheel {
    char url[EW_FETCH_URL_MAX];
    char sha256[EW_SHA256_HEX]; /* "" where the index doesn't tell */
    uint64_t bytes;             /* 0 where the index doesn't tell */
};

void ew_pypi_index(char *url, size_t size);
/* Asks the index. `limits` lends its stall_s, retries, progress and user. */
int ew_pypi_find(const char *package, const char *version, const struct ew_fetch *limits,
                 struct ew_pypi_wheel *out, struct ew_err *err);
/* Reads an index page, JSON or HTML, that was found at page_url. EW_ENOTFOUND when it lists no
 * wheel of that version; a wheel for any platform wins. */
int ew_pypi_parse(struct ew_str page, const char *page_url, const char *package,
                  const char *version, struct ew_pypi_wheel *out, struct ew_err *err);
/* index-url of the [global] section of a pip configuration text; false when it has none. */
bool ew_pypi_config(const char *text, char *url, size_t size);

#endif
