/* config_access.c - who may reach the server: addresses, what a public one needs, and keys.
 *
 * A key is known by its sha256 alone: 32 random bytes need no salt and no slow hash. */
#include "flow/config_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

/* Made once: for each request, OpenSSL would look for it and make it anew, which takes longer than
 * the hash. */
static EVP_MD_CTX *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t sha256_mutex = PTHREAD_MUTEX_INITIALIZER;

static void make_sha256(void)
{
    EVP_MD *kind = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha256 = EVP_MD_CTX_new();
    if (!kind || !sha256 || !EVP_DigestInit_ex2(sha256, kind, NULL)) {
        EVP_MD_CTX_free(sha256);
        sha256 = NULL;
    }
    EVP_MD_free(kind); /* the context holds it */
}

int ew_config_text_hash(struct ew_str text, char hex[65], struct ew_err *err)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    pthread_once(&sha256_once, make_sha256);
    pthread_mutex_lock(&sha256_mutex);
    bool done = sha256 && EVP_DigestInit_ex2(sha256, NULL, NULL) &&
                EVP_DigestUpdate(sha256, text.data ? text.data : "", text.bytes) &&
                EVP_DigestFinal_ex(sha256, hash, &bytes);
    pthread_mutex_unlock(&sha256_mutex);
    if (!done)
        return ew_fail(err, EW_ENOMEM, "sha256 can't be computed");
    for (unsigned i = 0; i < bytes; i++) {
        hex[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    hex[2 * bytes] = '\0';
    return 0;
}

int ew_config_key_hash(const char *key, char hex[65], struct ew_err *err)
{
    return ew_config_text_hash((struct ew_str){key, strlen(key)}, hex, err);
}

/* Always looks at all clients, each to its last digit. */
const struct ew_config_client *ew_config_client(const struct ew_config *config, const char *key)
{
    char hex[65];
    if (!key || !*key || strnlen(key, EW_CONFIG_KEY_MAX + 1) > EW_CONFIG_KEY_MAX ||
        ew_config_key_hash(key, hex, NULL))
        return NULL;
    const struct ew_config_client *found = NULL;
    for (unsigned i = 0; i < config->client_count; i++)
        if (CRYPTO_memcmp(hex, config->clients[i].key_hash, 64) == 0)
            found = &config->clients[i];
    return found;
}

/* ---- addresses ---- */

static bool is_loopback(const char *host, bool *known)
{
    struct in_addr v4;
    struct in6_addr v6;
    *known = true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
    *known = false;
    return false;
}

int ew_config_address(const char *listen, char *host, size_t size, int *port, bool *is_public,
                      struct ew_err *err)
{
    static const char expected[] = "an address and a port, as 127.0.0.1:8080 or [::1]:8080";
    char name[INET6_ADDRSTRLEN + 1], *end;
    const char *colon = strrchr(listen, ':');
    size_t bytes = colon ? (size_t)(colon - listen) : 0;
    bool bracketed = bytes > 2 && listen[0] == '[' && colon[-1] == ']', known;
    if (!colon || bytes - (bracketed ? 2 : 0) >= sizeof name)
        return ew_fail(err, EW_EFORMAT, "%s, not '%.60s'", expected, listen);
    snprintf(name, sizeof name, "%.*s", (int)(bracketed ? bytes - 2 : bytes), listen + bracketed);
    if (strcmp(name, "localhost") == 0)
        snprintf(name, sizeof name, "127.0.0.1");
    bool loopback = is_loopback(name, &known);
    if (!known || (strchr(name, ':') != NULL) != bracketed)
        return ew_fail(err, EW_EFORMAT, "%s (numbers, no name), not '%.60s'", expected, listen);
    long number = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end || number > 65535)
        return ew_fail(err, EW_EFORMAT, "the port is 0 to 65535, not '%.20s'", colon + 1);
    if (host)
        snprintf(host, size, "%s", name);
    *port = (int)number;
    *is_public = !loopback;
    return 0;
}

/* ---- file and options together ---- */

/* A model of the command line may have made one device more. */
static int check_names(const struct ew_config *config, struct ew_err *err)
{
    char place[32];
    for (unsigned i = 0; i < config->device_count; i++)
        if (ew_config_name_taken(config, config->devices[i].name, i, config->cloud_count, place))
            return ew_fail(err, EW_EINVAL,
                           "the engine built in is called %.63s, and so is %s: give that one "
                           "another name",
                           config->devices[i].name, place);
    return 0;
}

static int check_fleet(const struct ew_config *config, struct ew_err *err)
{
    const struct ew_config_device *engine = ew_config_engine(config);
    bool upstream =
        config->device_count > (engine ? 1 : 0) || config->cloud_count || config->join_secret;
    if (!upstream && !config->join_secret && (!engine || !engine->model_count))
        return ew_fail(err, EW_EINVAL, "no model to serve");
    for (unsigned i = 1; engine && i < engine->model_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(engine->models[i], engine->models[j]) == 0)
                return ew_fail(err, EW_EINVAL, "the model %.100s is named twice",
                               engine->models[i]);
    return check_names(config, err);
}

int ew_config_check(const struct ew_config *config, struct ew_err *err)
{
    struct ew_err own = {0};
    int port;
    bool is_public;
    if (ew_config_address(config->listen, NULL, 0, &port, &is_public, &own))
        return ew_fail(err, EW_EINVAL, "listen: %s", own.text);
    if (is_public && !config->client_count && !config->insecure)
        return ew_fail(err, EW_EINVAL,
                       "%s can be reached from outside, and no client has a key: add clients "
                       "(edgewise serve --new-key NAME), or say --insecure",
                       config->listen);
    return check_fleet(config, err);
}

const struct ew_config_device *ew_config_engine(const struct ew_config *config)
{
    for (unsigned i = 0; i < config->device_count; i++)
        if (!config->devices[i].url)
            return &config->devices[i];
    return NULL;
}
