/* tokenizer_open.c - reads a tokenizer from its GGUF keys and checks them.
 *
 * Where a file says nothing, the defaults are those that files in circulation were written for:
 * "llama" vocabularies begin with <unk>, <s>, </s> and add <s>; "gpt2" ones add nothing. */
#include "model/grammar_int.h"
#include "model/tokenizer_int.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a token is ---- */

static int read_kinds(struct ew_tokenizer *t, const struct ew_gguf *gguf, struct ew_err *err)
{
    static const char key[] = "tokenizer.ggml.token_type";
    struct ew_gguf_array array;
    t->kinds = malloc(t->vocab.count);
    if (!t->kinds)
        return ew_fail(err, EW_ENOMEM, "no memory for %u tokens", t->vocab.count);
    memset(t->kinds, EW_TOKEN_NORMAL, t->vocab.count);
    int code = ew_gguf_array(gguf, key, EW_GGUF_I32, &array, err);
    if (code <= 0)
        return code;
    if (array.count != t->vocab.count)
        return ew_fail(err, EW_EFORMAT, "key %s has %llu entries for %u tokens", key,
                       (unsigned long long)array.count, t->vocab.count);
    for (uint32_t i = 0; i < t->vocab.count; i++) {
        int32_t kind;
        memcpy(&kind, array.data + i * sizeof kind, sizeof kind);
        t->kinds[i] = (uint8_t)(kind >= 0 && kind <= EW_TOKEN_BYTE ? kind : EW_TOKEN_UNDEFINED);
    }
    return 0;
}

/* The token that a key names, or `absent`; 0 or negative. */
static int read_id(const struct ew_tokenizer *t, const struct ew_gguf *gguf, const char *key,
                   int32_t absent, int32_t *out, struct ew_err *err)
{
    uint32_t id;
    int code = ew_gguf_u32(gguf, key, &id, err);
    if (code < 0)
        return code;
    *out = absent < (int32_t)t->vocab.count ? absent : -1;
    if (code == 0)
        return 0;
    if (id >= t->vocab.count)
        return ew_fail(err, EW_EFORMAT, "key %s is %u, the vocabulary has %u tokens", key, id,
                       t->vocab.count);
    *out = (int32_t)id;
    return 0;
}

/* ---- tokens that end an answer ---- */

/* Names by which model families call the end of a turn or of a text, and what code models write
 * when they begin the next file. As published with the models, and as other engines treat them. */
static const char *const end_names[] = {
    "<|im_end|>",
    "<end_of_turn>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<end_of_utterance>",
    "<|return|>",
    "<|call|>",
    "<turn|>",
    "<\xEF\xBD\x9C"
    "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<|repo_name|>",
    "<|fim_repo|>",
    "<reponame>",
    "<|file_sep|>",
};

/* Names of tokens that some files don't mark as control tokens, though they are. */
static const char *const control_names[] = {
    "<|fim_prefix|>", "<fim-prefix>",   "<fim_prefix>", "<|fim_suffix|>", "<fim-suffix>",
    "<fim_suffix>",   "<|fim_middle|>", "<fim-middle>", "<fim_middle>",
};

static void add_end(struct ew_tokenizer *t, int32_t id)
{
    if (id >= 0 && !ew_tokenizer_is_end(t, id) && t->end_count < EW_TOKENIZER_ENDS_MAX)
        t->ends[t->end_count++] = id;
}

static bool is_named(const struct ew_tokenizer *t, int32_t id, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ew_str_is(ew_vocab_word(&t->vocab, (uint32_t)id), names[i]))
            return true;
    return false;
}

/* A name in the vocabulary of a gemma is an HTML tag and no end: only a control token ends. */
static int read_ends(struct ew_tokenizer *t, const struct ew_gguf *gguf, struct ew_err *err)
{
    static const char *const keys[] = {"tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    add_end(t, t->eos);
    for (size_t i = 0; i < EW_COUNT(keys); i++) {
        int32_t id;
        int code = read_id(t, gguf, keys[i], -1, &id, err);
        if (code)
            return code;
        add_end(t, id);
    }
    for (size_t i = 0; i < EW_COUNT(end_names); i++) {
        int32_t id = ew_vocab_find(&t->vocab, end_names[i], strlen(end_names[i]));
        if (id >= 0 && t->kinds[id] != EW_TOKEN_USER)
            add_end(t, id);
    }
    return 0;
}

/* ---- special tokens ---- */

static int read_special(struct ew_tokenizer *t, struct ew_err *err)
{
    ew_special_init(&t->special, &t->vocab);
    int code = 0;
    for (uint32_t id = 0; !code && id < t->vocab.count; id++) {
        uint8_t kind = t->kinds[id];
        if (kind == EW_TOKEN_CONTROL || kind == EW_TOKEN_UNKNOWN)
            code = ew_special_add(&t->special, id, EW_SPECIAL_ASKED, err);
        else if (kind == EW_TOKEN_USER)
            code = ew_special_add(&t->special, id,
                                  is_named(t, (int32_t)id, end_names, EW_COUNT(end_names))
                                      ? EW_SPECIAL_ASKED
                                      : EW_SPECIAL_ALWAYS,
                                  err);
    }
    /* Marked as normal, but known to be more. */
    for (size_t i = 0; !code && i < EW_COUNT(end_names) + EW_COUNT(control_names); i++) {
        const char *name =
            i < EW_COUNT(end_names) ? end_names[i] : control_names[i - EW_COUNT(end_names)];
        int32_t id = ew_vocab_find(&t->vocab, name, strlen(name));
        if (id >= 0 && t->kinds[id] != EW_TOKEN_CONTROL && t->kinds[id] != EW_TOKEN_USER)
            code = ew_special_add(&t->special, (uint32_t)id, EW_SPECIAL_ASKED, err);
    }
    return code;
}

/* Phi-3's own tokenizer swallows white space behind its control tokens; no key tells. */
static int read_strips(struct ew_tokenizer *t, const struct ew_gguf *gguf, struct ew_err *err)
{
    struct ew_str name;
    int code = ew_gguf_string(gguf, "general.name", &name, err);
    if (code <= 0)
        return code;
    for (size_t i = 0; i + 4 <= name.bytes; i++)
        if (tolower((unsigned char)name.data[i]) == 'p' &&
            tolower((unsigned char)name.data[i + 1]) == 'h' &&
            tolower((unsigned char)name.data[i + 2]) == 'i') {
            size_t digit = i + 3 + (name.data[i + 3] == '-');
            if (digit < name.bytes && name.data[digit] == '3')
                t->strips_after_special = true;
        }
    return 0;
}

/* ---- the door ---- */

static int read_flags(struct ew_tokenizer *t, const struct ew_gguf *gguf, struct ew_err *err)
{
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"tokenizer.ggml.add_bos_token", &t->adds_bos},
        {"tokenizer.ggml.add_eos_token", &t->adds_eos},
        {"tokenizer.ggml.add_space_prefix", &t->adds_space},
    };
    for (size_t i = 0; i < EW_COUNT(flags); i++) {
        int code = ew_gguf_bool(gguf, flags[i].key, flags[i].flag, err);
        if (code < 0)
            return code;
    }
    bool spm = t->family == EW_TOKENIZER_SPM;
    const struct {
        const char *key;
        int32_t absent, *id;
    } ids[] = {
        {"tokenizer.ggml.bos_token_id", spm ? 1 : -1, &t->bos},
        {"tokenizer.ggml.eos_token_id", spm ? 2 : -1, &t->eos},
        {"tokenizer.ggml.unknown_token_id", spm ? 0 : -1, &t->unknown},
    };
    for (size_t i = 0; i < EW_COUNT(ids); i++) {
        int code = read_id(t, gguf, ids[i].key, ids[i].absent, ids[i].id, err);
        if (code)
            return code;
    }
    /* Nothing to add: the same as not adding. */
    t->adds_bos = t->adds_bos && t->bos >= 0;
    t->adds_eos = t->adds_eos && t->eos >= 0;
    return 0;
}

static int read_family(struct ew_tokenizer *t, const struct ew_gguf *gguf,
                       const struct ew_pretok_info **pretok, struct ew_err *err)
{
    struct ew_str model, pre = {"default", 7};
    int code = ew_gguf_string(gguf, "tokenizer.ggml.model", &model, err);
    if (code <= 0)
        return code ? code : ew_fail(err, EW_EFORMAT, "key tokenizer.ggml.model is missing");
    if (ew_str_is(model, "llama")) {
        t->family = EW_TOKENIZER_SPM;
        t->adds_bos = t->adds_space = true;
        return 0;
    }
    if (!ew_str_is(model, "gpt2"))
        return ew_fail(err, EW_EUNSUPPORTED,
                       "tokenizer %s isn't supported: gpt2 (byte-level BPE) and llama "
                       "(SentencePiece) are",
                       ew_gguf_show(model).text);
    t->family = EW_TOKENIZER_BPE;
    code = ew_gguf_string(gguf, "tokenizer.ggml.pre", &pre, err);
    if (code < 0)
        return code;
    *pretok = ew_pretok_info(pre);
    if (!*pretok)
        return ew_fail(err, EW_EUNSUPPORTED,
                       "pre-tokenizer %s isn't supported: default, gpt-2, smollm, qwen2 and "
                       "llama-bpe are",
                       ew_gguf_show(pre).text);
    t->adds_bos = (*pretok)->adds_bos;
    return 0;
}

static int read_all(struct ew_tokenizer *t, const struct ew_gguf *gguf, struct ew_err *err)
{
    const struct ew_pretok_info *pretok = NULL;
    int code = read_family(t, gguf, &pretok, err);
    if (!code)
        code = ew_vocab_init(&t->vocab, gguf, "tokenizer.ggml.tokens", err);
    if (!code)
        code = read_kinds(t, gguf, err);
    if (!code)
        code = read_flags(t, gguf, err);
    if (!code)
        code = t->family == EW_TOKENIZER_SPM
                   ? ew_spm_init(&t->spm, gguf, &t->vocab, t->unknown, err)
                   : ew_bpe_init(&t->bpe, gguf, &t->vocab, pretok, err);
    if (!code)
        code = read_ends(t, gguf, err);
    if (!code)
        code = read_special(t, err);
    if (!code)
        code = read_strips(t, gguf, err);
    if (code)
        return code;
    struct ew_word last = t->vocab.words[t->vocab.count - 1];
    t->pieces = calloc((size_t)last.at + last.bytes + 1, 1);
    t->sizes = calloc(t->vocab.count, sizeof *t->sizes);
    if (!t->pieces || !t->sizes)
        return ew_fail(err, EW_ENOMEM, "no memory for %u tokens", t->vocab.count);
    return 0;
}

int ew_tokenizer_open(struct ew_tokenizer **gives, const struct ew_gguf *gguf, struct ew_err *err)
{
    struct ew_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return ew_fail(err, EW_ENOMEM, "no memory for a tokenizer");
    pthread_mutex_init(&t->lock, NULL);
    struct ew_err own = {0};
    err = err ? err : &own;
    int code = read_all(t, gguf, err);
    if (code) {
        /* What gguf.c says names the file already. */
        if (strncmp(err->text, ew_gguf_path(gguf), strlen(ew_gguf_path(gguf))) != 0)
            ew_fail_in(err, code, "%s", ew_gguf_path(gguf));
        ew_tokenizer_close(&t);
        return code;
    }
    *gives = t;
    return 0;
}

void ew_tokenizer_close(struct ew_tokenizer **tokenizer)
{
    struct ew_tokenizer *t = *tokenizer;
    if (!t)
        return;
    ew_bpe_fini(&t->bpe);
    ew_spm_fini(&t->spm);
    ew_special_fini(&t->special);
    ew_vocab_fini(&t->vocab);
    ew__gr_trie_close(&t->trie);
    free(t->kinds);
    free(t->pieces);
    free((void *)t->sizes);
    pthread_mutex_destroy(&t->lock);
    free(t);
    *tokenizer = NULL;
}
