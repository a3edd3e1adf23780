/* token.c - signs, checks, and remembers what was used. */
#include "serve/token.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { SECRET_BYTES = 32, NONCE_BYTES = 12, SIGNATURE_DIGITS = 64, PATH_BYTES = 4096 };

struct used {
    char nonce[2 * NONCE_BYTES + 1];
    int64_t until_s;
};

struct ew_tokens {
    char secret[2 * SECRET_BYTES + 1]; /* as its file has it */
    char used_path[PATH_BYTES];
    struct used used[EW_TOKEN_USED_MAX];
    size_t used_count;
};

static const char *const marks[] = {[EW_TOKEN_JOIN] = "ewj1", [EW_TOKEN_MEMBER] = "ewm1"};

static void to_hex(const unsigned char *bytes, size_t count, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * count] = '\0';
}

static int random_hex(size_t count, char *hex, struct ew_err *err)
{
    unsigned char bytes[SECRET_BYTES];
    if (getrandom(bytes, count, 0) != (ssize_t)count)
        return ew_fail(err, EW_EIO, "no random bytes: %s", strerror(errno));
    to_hex(bytes, count, hex);
    return 0;
}

static void sign(const struct ew_tokens *tokens, const char *text, size_t bytes,
                 char hex[SIGNATURE_DIGITS + 1])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), tokens->secret, (int)strlen(tokens->secret), (const unsigned char *)text,
         bytes, digest, &length);
    to_hex(digest, SIGNATURE_DIGITS / 2, hex);
}

/* ---- the files ---- */

static int make_secret(const char *path, struct ew_err *err)
{
    char hex[2 * SECRET_BYTES + 1];
    int failed = random_hex(SECRET_BYTES, hex, err);
    mode_t old = umask(077);
    failed = failed ? failed : ew_file_write(path, hex, strlen(hex), err);
    umask(old);
    explicit_bzero(hex, sizeof hex);
    return failed;
}

static int read_secret(struct ew_tokens *tokens, const char *path, struct ew_err *err)
{
    struct ew_buf text;
    ew_buf_init(&text, PATH_BYTES);
    int failed = access(path, F_OK) == 0 ? 0 : make_secret(path, err);
    failed = failed ? failed : ew_file_read(&text, path, err);
    size_t bytes = failed ? 0 : strcspn(ew_buf_cstr(&text), "\r\n");
    if (!failed && (bytes < SECRET_BYTES || bytes >= sizeof tokens->secret))
        failed = ew_fail(err, EW_EFORMAT,
                         "%s isn't a secret: it has %zu characters, 32 to 64 are "
                         "needed",
                         path, bytes);
    if (!failed)
        snprintf(tokens->secret, sizeof tokens->secret, "%.*s", (int)bytes, ew_buf_cstr(&text));
    if (text.data)
        explicit_bzero(text.data, text.bytes);
    ew_buf_fini(&text);
    return failed;
}

static void add_used(struct ew_tokens *tokens, const char *nonce, int64_t until_s)
{
    struct used *slot = &tokens->used[tokens->used_count % EW_TOKEN_USED_MAX];
    snprintf(slot->nonce, sizeof slot->nonce, "%s", nonce);
    slot->until_s = until_s;
    if (tokens->used_count < EW_TOKEN_USED_MAX)
        tokens->used_count++;
}

static void forget_old(struct ew_tokens *tokens, int64_t now_s)
{
    size_t kept = 0;
    for (size_t i = 0; i < tokens->used_count; i++)
        if (tokens->used[i].until_s >= now_s)
            tokens->used[kept++] = tokens->used[i];
    tokens->used_count = kept;
}

static void read_used(struct ew_tokens *tokens)
{
    struct ew_buf text;
    ew_buf_init(&text, 1 << 20);
    if (ew_file_read(&text, tokens->used_path, NULL) == 0) {
        char *rest = text.data, *line;
        while (rest && (line = strsep(&rest, "\n"))) {
            const char *nonce = strsep(&line, " ");
            if (line && strlen(nonce) == 2 * NONCE_BYTES)
                add_used(tokens, nonce, strtoll(line, NULL, 10));
        }
    }
    ew_buf_fini(&text);
}

static int write_used(const struct ew_tokens *tokens, struct ew_err *err)
{
    struct ew_buf text;
    ew_buf_init(&text, 1 << 20);
    int failed = 0;
    for (size_t i = 0; i < tokens->used_count && !failed; i++)
        failed = ew_buf_printf(&text, err, "%s %" PRId64 "\n", tokens->used[i].nonce,
                               tokens->used[i].until_s);
    if (!failed)
        failed = ew_file_write(tokens->used_path, ew_buf_cstr(&text), text.bytes, err);
    ew_buf_fini(&text);
    return failed;
}

int ew_tokens_open(struct ew_tokens **gives, const char *path, struct ew_err *err)
{
    struct ew_tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens)
        return ew_fail(err, EW_ENOMEM, "no memory for join tokens");
    snprintf(tokens->used_path, sizeof tokens->used_path, "%s.used", path);
    int failed = read_secret(tokens, path, err);
    if (failed)
        ew_tokens_close(&tokens);
    else
        read_used(tokens);
    *gives = tokens;
    return failed;
}

void ew_tokens_close(struct ew_tokens **tokens)
{
    if (*tokens)
        explicit_bzero((*tokens)->secret, sizeof(*tokens)->secret);
    free(*tokens);
    *tokens = NULL;
}

/* ---- tokens ---- */

static bool is_name(const char *name)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return strlen(name) < EW_TOKEN_NAME_BYTES && strspn(name, chars) == strlen(name);
}

int ew_tokens_make(struct ew_tokens *tokens, enum ew_token_kind kind, const char *name,
                   int64_t now_s, char text[EW_TOKEN_BYTES], struct ew_err *err)
{
    char nonce[2 * NONCE_BYTES + 1], signature[SIGNATURE_DIGITS + 1];
    if (!is_name(name))
        return ew_fail(err, EW_EINVAL,
                       "a device's name is at most 63 letters, digits, dashes and underscores");
    int failed = random_hex(NONCE_BYTES, nonce, err);
    if (failed)
        return failed;
    int64_t until_s = now_s + (kind == EW_TOKEN_JOIN ? EW_TOKEN_JOIN_S : EW_TOKEN_MEMBER_S);
    int bytes =
        snprintf(text, EW_TOKEN_BYTES, "%s.%s.%" PRId64 ".%s", marks[kind], name, until_s, nonce);
    sign(tokens, text, (size_t)bytes, signature);
    snprintf(text + bytes, EW_TOKEN_BYTES - (size_t)bytes, ".%s", signature);
    return 0;
}

/* The four parts of a text whose signature is right; false: it isn't ours. */
static bool take_apart(const struct ew_tokens *tokens, const char *text, enum ew_token_kind *kind,
                       char name[EW_TOKEN_NAME_BYTES], int64_t *until_s,
                       char nonce[2 * NONCE_BYTES + 1])
{
    char copy[EW_TOKEN_BYTES], signature[SIGNATURE_DIGITS + 1];
    const char *dot = strrchr(text, '.');
    if (!dot || strlen(text) >= sizeof copy || strlen(dot + 1) != SIGNATURE_DIGITS)
        return false;
    sign(tokens, text, (size_t)(dot - text), signature);
    if (CRYPTO_memcmp(signature, dot + 1, SIGNATURE_DIGITS) != 0)
        return false;
    snprintf(copy, sizeof copy, "%.*s", (int)(dot - text), text);
    char *rest = copy, *end;
    const char *mark = strsep(&rest, "."), *called = strsep(&rest, ".");
    const char *until = strsep(&rest, ".");
    if (!called || !until || !rest || !is_name(called) || strlen(rest) != 2 * NONCE_BYTES)
        return false;
    *kind = strcmp(mark, marks[EW_TOKEN_JOIN]) == 0 ? EW_TOKEN_JOIN : EW_TOKEN_MEMBER;
    *until_s = strtoll(until, &end, 10);
    snprintf(name, EW_TOKEN_NAME_BYTES, "%s", called);
    snprintf(nonce, 2 * NONCE_BYTES + 1, "%s", rest);
    return !*end;
}

int ew_tokens_check(struct ew_tokens *tokens, const char *text, int64_t now_s,
                    enum ew_token_kind *kind, char name[EW_TOKEN_NAME_BYTES], struct ew_err *err)
{
    char nonce[2 * NONCE_BYTES + 1];
    int64_t until_s;
    if (!take_apart(tokens, text, kind, name, &until_s, nonce))
        return ew_fail(err, EW_EINVAL, "this token isn't of this front");
    if (until_s < now_s)
        return ew_fail(err, EW_EINVAL,
                       "this token has run out: `edgewise serve --new-token` makes "
                       "another");
    if (*kind != EW_TOKEN_JOIN)
        return 0;
    forget_old(tokens, now_s);
    for (size_t i = 0; i < tokens->used_count; i++)
        if (strcmp(tokens->used[i].nonce, nonce) == 0)
            return ew_fail(err, EW_EINVAL, "this token was used already: each is for one device");
    if (tokens->used_count == EW_TOKEN_USED_MAX)
        return ew_fail(err, EW_ELIMIT, "%d devices joined within %d s: later", EW_TOKEN_USED_MAX,
                       EW_TOKEN_JOIN_S);
    return 0;
}

int ew_tokens_use(struct ew_tokens *tokens, const char *text, int64_t now_s, struct ew_err *err)
{
    char name[EW_TOKEN_NAME_BYTES], nonce[2 * NONCE_BYTES + 1];
    enum ew_token_kind kind;
    int64_t until_s;
    int failed = ew_tokens_check(tokens, text, now_s, &kind, name, err);
    if (failed || kind != EW_TOKEN_JOIN)
        return failed;
    (void)take_apart(tokens, text, &kind, name, &until_s, nonce);
    add_used(tokens, nonce, until_s);
    failed = write_used(tokens, err);
    if (failed) /* its device isn't let in, and tries again */
        tokens->used_count--;
    return failed;
}
