/* fetch.h - downloads over HTTP and HTTPS: to a file, resuming what is there, or to memory.
 *
 * Certificates are verified; CURL_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR say where the trusted
 * ones lie, and the usual proxy variables are honoured. A transfer that stalls is given up, a
 * transfer that broke is taken up again where it stopped, a bounded number of times. Errors name
 * the URL without user, password and query (they may hold secrets), and the server's status.
 *
 * Beside a partial FILE lies FILE.tag: the validator (ETag or date) that the bytes belong to. It
 * goes back as If-Range, so that a file that changed on the server starts over. */
#ifndef EW_FETCH_H
#define EW_FETCH_H

#include "base/buf.h"
#include "net/sha256.h"

#define EW_FETCH_URL_MAX 4096

struct ew_fetch {
    const char *url;
    const char *accept; /* the Accept header; NULL: anything */
    const char *bearer; /* a token: goes to this URL's host alone, is in no message; or NULL */
    uint64_t bytes;     /* what it must be exactly; 0: not known */
    uint64_t bytes_max; /* refused above this; 0: `bytes`, or 16 GB where that is 0 */
    unsigned stall_s;   /* give up when nothing came for so long; 0: 30 */
    unsigned retries;   /* attempts after the first that brought nothing new */
    ew_progress_fn *progress;
    void *user;
};

int ew_fetch_file(const struct ew_fetch *what, const char *path, struct ew_err *err);
/* final_url (EW_FETCH_URL_MAX bytes, or NULL): where it was found after redirects. */
int ew_fetch_text(const struct ew_fetch *what, struct ew_buf *out, char *final_url,
                  struct ew_err *err);

/* The URL as messages may show it. */
void ew_fetch_mask(const char *url, char *masked, size_t size);

#endif
