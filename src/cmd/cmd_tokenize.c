/* cmd_tokenize.c - `edgewise tokenize`: text to token ids as the model sees them, and back. */
#include "cmd/cmd.h"

#include "base/args.h"
#include "base/file.h"
#include "base/jsonw.h"
#include "base/utf8.h"
#include "edgewise.h"
#include "flow/catalog.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As much text as the engine takes at once. */
#define TEXT_BYTES_MAX ((size_t)256 << 20)

struct tokenize {
    bool ids, bos, special, decode;
    struct ew_model *model;
    struct ew_buf in, out;
    int32_t *tokens;
    size_t count;
};

/* ---- tokens of the text ---- */

static int encode(struct tokenize *t, struct ew_err *err)
{
    unsigned flags = (t->bos ? EW_TOKENIZE_BOS : 0) | (t->special ? EW_TOKENIZE_SPECIAL : 0);
    /* A byte is three tokens at most (a broken one becomes U+FFFD), and two may be added. */
    size_t capacity = t->in.bytes * 3 + 2;
    t->tokens = malloc(capacity * sizeof *t->tokens);
    if (!t->tokens)
        return ew_fail(err, EW_ENOMEM, "no memory for %zu tokens", capacity);
    return ew_model_tokenize(t->model, ew_buf_cstr(&t->in), t->in.bytes, flags, t->tokens, capacity,
                             &t->count, err);
}

static int put_ids(struct tokenize *t, struct ew_err *err)
{
    struct ew_jsonw json;
    ew_jsonw_init(&json, &t->out, EW_JSONW_COMPACT);
    ew_jsonw_array(&json);
    for (size_t i = 0; i < t->count; i++)
        ew_jsonw_int(&json, t->tokens[i]);
    ew_jsonw_end(&json);
    return ew_jsonw_finish(&json, err);
}

/* In quotes; what can't be shown, also a part of a character, as \xE2. */
static int put_piece(struct ew_buf *out, const char *piece, size_t bytes, struct ew_err *err)
{
    static const char plain[] = "\n\t\r\"\\", letters[] = "ntr\"\\";
    int rc = ew_buf_text(out, "\"", err);
    for (size_t at = 0; rc == 0 && at < bytes;) {
        struct ew_utf8_char c = ew_utf8_next(piece + at, bytes - at);
        const char *found = piece[at] ? strchr(plain, piece[at]) : NULL;
        if (found)
            rc = ew_buf_printf(out, err, "\\%c", letters[found - plain]);
        else if (c.state == EW_UTF8_WHOLE && c.point >= ' ' && c.point != 0x7F)
            rc = ew_buf_add(out, piece + at, (size_t)c.bytes, err);
        else
            for (int i = 0; rc == 0 && i < c.bytes; i++)
                rc = ew_buf_printf(out, err, "\\x%02X", (unsigned char)piece[at + (size_t)i]);
        at += (size_t)c.bytes;
    }
    return rc ? rc : ew_buf_text(out, "\"\n", err);
}

static int put_table(struct tokenize *t, struct ew_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->count; i++) {
        size_t bytes;
        const char *piece = ew_model_token(t->model, t->tokens[i], &bytes);
        if (bytes == 0) /* a control token: its name */
            piece = ew_model_token_name(t->model, t->tokens[i], &bytes);
        rc = ew_buf_printf(&t->out, err, "%8d  ", t->tokens[i]);
        if (rc == 0)
            rc = put_piece(&t->out, piece, bytes, err);
    }
    return rc;
}

/* ---- text of the tokens ---- */

static int put_text(struct tokenize *t, struct ew_err *err)
{
    struct ew_model_info info;
    ew_model_describe(t->model, &info);
    const char *at = ew_buf_cstr(&t->in), *end = at + t->in.bytes;
    int rc = 0;
    while (rc == 0) {
        at += strspn(at, "[], \t\r\n");
        if (at == end)
            break;
        char *behind;
        unsigned long long id = strtoull(at, &behind, 10);
        if (behind == at || *at == '-' || *at == '+')
            return ew_fail(err, EW_EINVAL, "byte %zu of the ids isn't part of a number",
                           (size_t)(at - ew_buf_cstr(&t->in)) + 1);
        if (id >= info.vocab)
            return ew_fail(err, EW_EINVAL, "token %llu isn't one of the model's %u", id,
                           info.vocab);
        size_t bytes;
        const char *piece = ew_model_token(t->model, (int32_t)id, &bytes);
        if (bytes == 0 && t->special)
            piece = ew_model_token_name(t->model, (int32_t)id, &bytes);
        rc = ew_buf_add(&t->out, piece, bytes, err);
        at = behind;
    }
    return rc;
}

static int tokenize(struct tokenize *t, const char *model, struct ew_err *err)
{
    char path[PATH_MAX];
    const struct ew_model_params params = {.vocab_only = true};
    int rc = ew_catalog_find(model, path, sizeof path, err);
    if (rc == 0)
        rc = ew_model_open(&t->model, path, &params, err);
    if (rc == 0)
        rc = ew_file_read(&t->in, "-", err);
    if (rc)
        return rc;
    if (t->decode)
        return put_text(t, err);
    rc = encode(t, err);
    if (rc == 0)
        rc = t->ids ? put_ids(t, err) : put_table(t, err);
    return rc;
}

int ew_cmd_tokenize(int argc, char **argv)
{
    int status;
    struct tokenize t = {0};
    const struct ew_opt options[] = {
        {"ids", 'i', NULL, "print one JSON array of ids", .flag = &t.ids},
        {"bos", 'b', NULL, "add what the model says belongs in front and behind", .flag = &t.bos},
        {"special", 's', NULL,
         "take \"<|im_end|>\" in the text for the token;\nwith --decode, print it",
         .flag = &t.special},
        {"decode", 'd', NULL, "read ids, print the bytes they stand for", .flag = &t.decode},
        {0},
    };
    struct ew_args args = {
        .command = "tokenize",
        .words_usage = "MODEL < TEXT",
        .about = "Shows the tokens that a model makes of a text: all of standard input, as one\n"
                 "text. MODEL is a name of the catalog or a GGUF file; its weights aren't read.\n"
                 "Broken UTF-8 counts as U+FFFD.",
        .options = options,
        .examples = "  echo 'Hello, world!' | edgewise tokenize smollm2-135m\n"
                    "  edgewise tokenize --ids --bos gemma3-270m < prompt.txt\n"
                    "  echo '[19556, 28]' | edgewise tokenize --decode smollm2-135m\n",
        .words_min = 1,
        .words_max = 1,
    };
    if (ew_args_read(&args, argc, argv, &status))
        return status;
    if (t.decode && (t.ids || t.bos))
        return ew_args_wrong(&args, "--decode reads ids: --ids and --bos don't go with it");
    struct ew_err err = {0};
    ew_buf_init(&t.in, TEXT_BYTES_MAX);
    ew_buf_init(&t.out, SIZE_MAX / 2);
    int rc = tokenize(&t, args.words[0], &err);
    if (rc == 0 &&
        (fwrite(ew_buf_cstr(&t.out), 1, t.out.bytes, stdout) != t.out.bytes || fflush(stdout) != 0))
        rc = ew_fail(&err, EW_EIO, "standard output can't be written");
    if (rc)
        fprintf(stderr, "edgewise tokenize: %s\n", err.text);
    free(t.tokens);
    ew_buf_fini(&t.in);
    ew_buf_fini(&t.out);
    ew_model_close(&t.model);
    return ew_error_exit(rc);
}
