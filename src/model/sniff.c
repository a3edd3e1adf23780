/* sniff.c - what a file that isn't GGUF probably is.
 *
 * People hand us the wrong file far more often than a broken one: the model in another format, or
 * what a failed download left behind. The first bytes tell most of them apart. */
#include "model/sniff.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

enum {
    TEXT_LOOKED_AT = 256, /* bytes that must all be printable for "a text file" */
    ZIP_LOOKED_AT = 128   /* the first member's name lies within these */
};

struct magic {
    const char *bytes;
    size_t count;
    const char *what;
};

#define M(bytes, what)                                                                             \
    {                                                                                              \
        bytes, sizeof bytes - 1, what                                                              \
    }
static const struct magic magics[] = {
    M("FUGG", "GGUF with its magic byte-swapped (big-endian), which isn't supported"),
    M("lmgg", "a model in the old GGML format; convert it to GGUF"),
    M("fmgg", "a model in the old GGMF format; convert it to GGUF"),
    M("tjgg", "a model in the old GGJT format; convert it to GGUF"),
    M("algg", "a GGLA adapter (LoRA), not a model"),
    M("version https://git-lfs", "a Git LFS pointer: the file it stands for wasn't fetched "
                                 "(git lfs pull)"),
    M("version https://hawser", "an old Git LFS pointer: the file it stands for wasn't fetched"),
    M("\x1f\x8b", "something gzip-compressed; decompress it first"),
    M("\x28\xb5\x2f\xfd", "something zstd-compressed; decompress it first"),
    M("\xfd"
      "7zXZ",
      "something xz-compressed; decompress it first"),
    M("BZh", "something bzip2-compressed; decompress it first"),
    M("7z\xbc\xaf", "a 7-Zip archive; unpack it first"),
    M("\x89HDF", "an HDF5 file (Keras or TensorFlow weights); convert it to GGUF"),
    M("\x93NUMPY", "a NumPy array, not a model"),
    M("\x7f"
      "ELF",
      "a program (ELF), not a model"),
    M("%PDF", "a PDF document, not a model"),
    M("<?xml", "an XML page: probably the error of a failed download"),
};
#undef M

static bool begins(const uint8_t *data, size_t bytes, const char *what, size_t count)
{
    return bytes >= count && memcmp(data, what, count) == 0;
}

static bool has(const uint8_t *data, size_t bytes, const char *what)
{
    return memmem(data, bytes, what, strlen(what)) != NULL;
}

static const char *sniff_zip(const uint8_t *data, size_t bytes)
{
    size_t n = bytes < ZIP_LOOKED_AT ? bytes : ZIP_LOOKED_AT;
    if (has(data, n, "data.pkl") || has(data, n, "archive/") || has(data, n, "/byteorder"))
        return "a PyTorch checkpoint (zip with a pickle); convert it to GGUF";
    if (has(data, n, ".py") || has(data, n, "dist-info"))
        return "a Python wheel (zip); the model has to be taken out of it";
    return "a zip archive (a wheel, a PyTorch file …); unpack or convert it";
}

/* safetensors: the length of a JSON object as u64, then the object. */
static bool is_safetensors(const uint8_t *data, size_t bytes)
{
    if (bytes < 10)
        return false;
    uint64_t length;
    memcpy(&length, data, sizeof length);
    return length < (uint64_t)1 << 32 && data[8] == '{' && (data[9] == '"' || isspace(data[9]));
}

static const char *sniff_text(const uint8_t *data, size_t bytes)
{
    size_t n = bytes < TEXT_LOOKED_AT ? bytes : TEXT_LOOKED_AT;
    for (size_t i = 0; i < n; i++)
        if (data[i] < ' ' && !isspace(data[i]))
            return NULL;
    size_t at = 0;
    if (begins(data, n, "\xef\xbb\xbf", 3))
        at = 3;
    while (at < n && isspace(data[at]))
        at++;
    const char *text = (const char *)data + at;
    size_t left = n - at;
    if ((left >= 9 && strncasecmp(text, "<!doctype", 9) == 0) ||
        (left >= 5 && strncasecmp(text, "<html", 5) == 0))
        return "an HTML page: probably the page of a failed download";
    if (left && (*text == '{' || *text == '['))
        return "JSON text: a config file, or the error of a failed download";
    return "a text file";
}

const char *ew_sniff_describe(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < EW_COUNT(magics); i++)
        if (begins(data, bytes, magics[i].bytes, magics[i].count))
            return magics[i].what;
    if (begins(data, bytes, "PK\3\4", 4))
        return sniff_zip(data, bytes);
    if (is_safetensors(data, bytes))
        return "a safetensors file; convert it to GGUF";
    if (bytes >= 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5)
        return "a Python pickle (an old PyTorch checkpoint?); convert it to GGUF";
    if (bytes >= 262 && memcmp(data + 257, "ustar", 5) == 0)
        return "a tar archive; unpack it first";
    size_t zeros = 0;
    while (zeros < bytes && zeros < TEXT_LOOKED_AT && data[zeros] == 0)
        zeros++;
    if (zeros && (zeros == bytes || zeros == TEXT_LOOKED_AT))
        return "an unfinished download: it starts with zeros";
    return sniff_text(data, bytes);
}
