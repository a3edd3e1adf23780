/* http_tls.c - certificate files made into what connections need: TLS 1.2 and 1.3, ALPN http/1.1.
 *
 * Errors name the file, since that is what an administrator can mend; OpenSSL's own words are
 * appended where they say more. A key with a passphrase is refused: a server has nobody to ask. */
#include "net/http_int.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509err.h>
#include <string.h>
#include <unistd.h>

static int no_passphrase(char *out, int bytes, int writing, void *user)
{
    (void)out, (void)bytes, (void)writing;
    *(bool *)user = true; /* OpenSSL itself doesn't say plainly that this was the trouble */
    return -1;            /* without us it would ask at the terminal */
}

static const char *why(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : "OpenSSL doesn't say why";
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
                           const unsigned char *offered, unsigned offered_bytes, void *user)
{
    (void)ssl, (void)user;
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_bytes, ours, sizeof ours - 1, offered, offered_bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int load(SSL_CTX *tls, const char *certificate, const char *key, struct ew_err *err)
{
    if (access(certificate, R_OK) < 0)
        return ew_fail(err, EW_EIO, "certificate %s: %s", certificate, strerror(errno));
    if (access(key, R_OK) < 0)
        return ew_fail(err, EW_EIO, "key %s: %s", key, strerror(errno));
    if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1)
        return ew_fail(err, EW_EINVAL, "%s isn't a certificate in PEM: %s", certificate, why());
    ERR_clear_error();
    bool asked = false;
    SSL_CTX_set_default_passwd_cb(tls, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(tls, &asked);
    /* Mismatch is told apart from a bad file below: OpenSSL checks both in this call. */
    if (SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(tls) == 1)
        return 0;
    const int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH)
        return ew_fail(err, EW_EINVAL, "key %s doesn't belong to certificate %s", key, certificate);
    if (asked)
        return ew_fail(err, EW_EINVAL, "key %s has a passphrase, and nobody is there to ask", key);
    return ew_fail(err, EW_EINVAL, "%s isn't a private key in PEM: %s", key, why());
}

int ew_http_tls_open(SSL_CTX **gives, const char *certificate, const char *key, struct ew_err *err)
{
    *gives = NULL;
    if (!certificate || !key)
        return ew_fail(err, EW_EINVAL, "TLS needs both a certificate and a key");
    ERR_clear_error();
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1) {
        SSL_CTX_free(tls);
        return ew_fail(err, EW_ENOMEM, "TLS can't be set up: %s", why());
    }
    /* Idle connections give their buffers back: 34 kB each. */
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Clients that hang up without goodbye are an end like any other: bodies have lengths. */
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_alpn_select_cb(tls, select_protocol, NULL);
    int code = load(tls, certificate, key, err);
    ERR_clear_error();
    if (code != 0)
        SSL_CTX_free(tls);
    else
        *gives = tls;
    return code;
}
