/* sha256.c - SHA-256 through OpenSSL's EVP, which uses the CPU's instructions for it. */
#include "net/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Large enough to keep reads cheap, small enough to report progress often. */
#define BLOCK_BYTES (256u << 10)

static int finish(EVP_MD_CTX *context, char hex[EW_SHA256_HEX], struct ew_err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    if (!EVP_DigestFinal_ex(context, digest, &bytes) || bytes != 32)
        return ew_fail(err, EW_EIO, "SHA-256 can't be computed");
    for (unsigned i = 0; i < bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

static EVP_MD_CTX *start(struct ew_err *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        return context;
    EVP_MD_CTX_free(context);
    ew_fail(err, EW_EIO, "OpenSSL offers no SHA-256");
    return NULL;
}

int ew_sha256_bytes(const void *data, size_t bytes, char hex[EW_SHA256_HEX], struct ew_err *err)
{
    EVP_MD_CTX *context = start(err);
    if (!context)
        return EW_EIO;
    EVP_DigestUpdate(context, data, bytes);
    int rc = finish(context, hex, err);
    EVP_MD_CTX_free(context);
    return rc;
}

static int update(EVP_MD_CTX *context, int fd, const char *path, ew_progress_fn *progress,
                  void *user, struct ew_err *err)
{
    struct stat st;
    uint64_t total = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0, done = 0;
    unsigned char *block = malloc(BLOCK_BYTES);
    if (!block)
        return ew_fail(err, EW_ENOMEM, "no memory to read %s", path);
    int rc = 0;
    ssize_t n;
    while (rc == 0 && (n = read(fd, block, BLOCK_BYTES)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = ew_fail(err, EW_EIO, "%s: %s", path, strerror(errno));
            break;
        }
        EVP_DigestUpdate(context, block, (size_t)n);
        done += (uint64_t)n;
        if (progress && progress(user, done, total))
            rc = ew_fail(err, EW_ECANCELED, "cancelled while verifying %s", path);
    }
    free(block);
    return rc;
}

int ew_sha256_file(const char *path, char hex[EW_SHA256_HEX], ew_progress_fn *progress, void *user,
                   struct ew_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ew_fail(err, EW_EIO, "%s: %s", path, strerror(errno));
    EVP_MD_CTX *context = start(err);
    int rc = context ? update(context, fd, path, progress, user, err) : EW_EIO;
    if (rc == 0)
        rc = finish(context, hex, err);
    EVP_MD_CTX_free(context);
    close(fd);
    return rc;
}
