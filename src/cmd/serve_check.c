/* serve_check.c - looks at what a configuration names, before a server depends on it. */
#include "cmd/serve_check.h"

#include <errno.h>
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/engine_options.h"
#include "flow/profile.h"
#include "serve/token.h"

enum { KEY_BYTES = 32 };

static int check_models(const struct ew_config_device *device, struct ew_err *err)
{
    const struct ew_engine_options options = {0};
    for (unsigned i = 0; i < device->model_count; i++) {
        struct ew_model *model = NULL;
        int rc = ew_engine_open(&model, device->models[i], &options, true, err);
        ew_model_close(&model);
        if (rc)
            return rc;
    }
    return 0;
}

/* A file that a device or cloud names. */
static int check_file(const char *name, const char *what, const char *path, struct ew_err *err)
{
    return path && access(path, R_OK)
               ? ew_fail(err, EW_EIO, "%.100s: %s%scan't read %.100s: %s", name, what,
                         *what ? ": " : "", path, strerror(errno))
               : 0;
}

/* The environment is the server's, not that of who checks: a key that is missing here is said, and
 * no fault. */
static int check_key(const char *at, const char *env, const char *file, struct ew_err *err)
{
    if (env && !getenv(env))
        ew_log(EW_LOG_WARNING, "%s: $%s isn't set here", at, env);
    return check_file(at, "", file, err);
}

static int check_fleet(const struct ew_config *config, struct ew_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i < config->device_count && !rc; i++) {
        const struct ew_config_device *device = &config->devices[i];
        struct ew_profile *profile = NULL;
        rc = device->profile ? ew_profile_open(&profile, device->profile, err) : 0;
        ew_profile_close(&profile);
        rc = rc ? rc : check_key(device->key_at, device->key_env, device->key_file, err);
        rc = rc ? rc : check_file(device->name, "ca", device->ca, err);
    }
    for (unsigned i = 0; i < config->cloud_count && !rc; i++) {
        const struct ew_config_cloud *cloud = &config->clouds[i];
        rc = check_key(cloud->key_at, cloud->key_env, cloud->key_file, err);
        rc = rc ? rc : check_file(cloud->name, "ca", cloud->ca, err);
    }
    return rc; /* a secret to join by is made where there is none yet */
}

static int check_pair(X509 *certificate, EVP_PKEY *key, const struct ew_config *config,
                      struct ew_err *err)
{
    if (!certificate)
        return ew_fail(err, EW_EFORMAT, "%.150s isn't a certificate in PEM",
                       config->tls_certificate);
    if (!key)
        return ew_fail(err, EW_EFORMAT, "%.150s isn't a private key in PEM", config->tls_key);
    if (!X509_check_private_key(certificate, key))
        return ew_fail(err, EW_EFORMAT, "the key %.90s isn't of the certificate %.90s",
                       config->tls_key, config->tls_certificate);
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return ew_fail(err, EW_EFORMAT, "the certificate %.150s has run out",
                       config->tls_certificate);
    return 0;
}

static int no_password(char *text, int size, int writing, void *user)
{
    (void)text, (void)size, (void)writing, (void)user;
    return 0; /* OpenSSL would ask at the terminal */
}

static int check_tls(const struct ew_config *config, struct ew_err *err)
{
    if (!config->tls_certificate)
        return 0;
    FILE *files[2] = {fopen(config->tls_certificate, "r"), fopen(config->tls_key, "r")};
    int rc = 0;
    if (!files[0] || !files[1]) {
        rc = ew_fail(err, EW_EIO, "can't read %.150s: %s",
                     files[0] ? config->tls_key : config->tls_certificate, strerror(errno));
    } else {
        X509 *certificate = PEM_read_X509(files[0], NULL, no_password, NULL);
        EVP_PKEY *key = PEM_read_PrivateKey(files[1], NULL, no_password, NULL);
        rc = check_pair(certificate, key, config, err);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    for (int i = 0; i < 2; i++)
        if (files[i])
            fclose(files[i]);
    return rc;
}

int ew_serve_check(const struct ew_config *config, struct ew_err *err)
{
    const struct ew_config_device *engine = ew_config_engine(config);
    int rc = engine ? check_models(engine, err) : 0;
    rc = rc ? rc : check_fleet(config, err);
    rc = rc ? rc : check_tls(config, err);
    if (rc)
        return rc;
    printf("%s: fine: %s://%s", config->file ? config->file : "options",
           config->tls_certificate ? "https" : "http", config->listen);
    for (unsigned i = 0; engine && i < engine->model_count; i++)
        printf("%s %s", i ? "," : ", serves", engine->models[i]);
    unsigned others = config->device_count - (engine ? 1 : 0);
    if (others)
        printf("; asks %u device%s", others, others > 1 ? "s" : "");
    if (config->cloud_count)
        printf("; %u cloud%s", config->cloud_count, config->cloud_count > 1 ? "s" : "");
    if (config->client_count)
        printf("; %u client%s", config->client_count, config->client_count > 1 ? "s" : "");
    else
        printf("; no keys");
    printf("; ledger %s\n", !config->ledger   ? "as usual"
                            : *config->ledger ? config->ledger
                                              : "none");
    return 0;
}

int ew_serve_new_key(const char *name, struct ew_err *err)
{
    static const char digits[] = "0123456789abcdef";
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    unsigned char bytes[KEY_BYTES];
    char key[3 + 2 * KEY_BYTES + 1] = "ew-", hash[65];
    if (!*name || strlen(name) > 63 || strspn(name, chars) != strlen(name))
        return ew_fail(err, EW_EINVAL,
                       "--new-key takes a name: at most 63 letters, digits, dots, "
                       "dashes and underscores");
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return ew_fail(err, EW_EIO, "no random bytes: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++) {
        key[3 + 2 * i] = digits[bytes[i] >> 4];
        key[4 + 2 * i] = digits[bytes[i] & 15];
    }
    int rc = ew_config_key_hash(key, hash, err);
    if (rc)
        return rc;
    puts(key);
    fflush(stdout);
    fprintf(stderr,
            "the key of %s, which nobody can show again; it goes into the header\n"
            "\"Authorization: Bearer KEY\". edgewise.yaml knows it by this:\n"
            "\n"
            "clients:\n"
            "  - name: %s\n"
            "    key_hash: \"%s\"\n",
            name, name, hash);
    return 0;
}

int ew_serve_new_token(const struct ew_config *config, const char *name, struct ew_err *err)
{
    struct ew_tokens *tokens = NULL;
    char text[EW_TOKEN_BYTES];
    if (!config->join_secret)
        return ew_fail(err, EW_EINVAL,
                       "the configuration has no join.secret: a front with one lets devices join");
    int rc = ew_tokens_open(&tokens, config->join_secret, err);
    rc = rc ? rc : ew_tokens_make(tokens, EW_TOKEN_JOIN, name, (int64_t)time(NULL), text, err);
    ew_tokens_close(&tokens);
    if (rc)
        return rc;
    puts(text);
    fflush(stdout);
    fprintf(stderr,
            "for one device, within %d minutes:\n  edgewise serve MODEL --join URL --token …\n",
            EW_TOKEN_JOIN_S / 60);
    return 0;
}
