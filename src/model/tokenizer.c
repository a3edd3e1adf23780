/* tokenizer.c - encode and decode: special tokens first, the rest by the vocabulary's family.
 *
 * Limits: a text of EW_TOKENIZER_TEXT_MAX bytes, so that offsets fit in 32 bits also when every
 * byte becomes three. */
#include "model/tokenizer_int.h"

#include "base/utf8.h"

#include <string.h>

#define EW_TOKENIZER_TEXT_MAX ((size_t)256 << 20)

/* ---- encode ---- */

struct encoding {
    const struct ew_tokenizer *tokenizer;
    struct ew_merge merge;
    struct ew_special_matches matches;
    struct ew_ids out;
    bool after_special; /* SentencePiece puts its space there, and at the start */
};

static int encode_plain(struct encoding *e, struct ew_str text, struct ew_err *err)
{
    const struct ew_tokenizer *t = e->tokenizer;
    if (!text.bytes)
        return 0;
    if (t->family == EW_TOKENIZER_BPE)
        return ew_bpe_encode(&t->bpe, &e->merge, text, &e->out, err);
    enum ew_spm_prefix prefix =
        t->adds_space && e->after_special ? EW_SPM_SPACE_PREFIX : EW_SPM_NO_PREFIX;
    e->after_special = false;
    return ew_spm_encode(&t->spm, &e->merge, text, prefix, &e->out, err);
}

/* White space as C's isspace in the "C" locale. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t behind_special(const struct ew_tokenizer *t, struct ew_str text, size_t at,
                             int32_t token)
{
    at += t->vocab.words[token].bytes;
    /* Phi-3's first three, <unk>, <s> and <|endoftext|>, don't swallow. */
    static const char *const keep[] = {"<unk>", "<s>", "<|endoftext|>"};
    if (!t->strips_after_special)
        return at;
    for (size_t i = 0; i < EW_COUNT(keep); i++)
        if (ew_str_is(ew_vocab_word(&t->vocab, (uint32_t)token), keep[i]))
            return at;
    while (at < text.bytes && is_space(text.data[at]))
        at++;
    return at;
}

static int encode_text(struct encoding *e, struct ew_str text, unsigned flags, struct ew_err *err)
{
    enum ew_special_kind kind = flags & EW_TOKENIZE_SPECIAL ? EW_SPECIAL_ASKED : EW_SPECIAL_ALWAYS;
    int code = ew_special_find(&e->tokenizer->special, text, kind, &e->matches, err);
    size_t at = 0;
    e->after_special = true;
    for (size_t i = 0; !code && i < e->matches.count; i++) {
        struct ew_special_match match = e->matches.list[i];
        if (match.at > at)
            code = encode_plain(e, (struct ew_str){text.data + at, match.at - at}, err);
        ew_ids_add(&e->out, match.token);
        e->after_special = true;
        at = behind_special(e->tokenizer, text, match.at, match.token);
    }
    return code ? code : encode_plain(e, (struct ew_str){text.data + at, text.bytes - at}, err);
}

int ew_tokenizer_encode(const struct ew_tokenizer *tokenizer, const char *text, size_t bytes,
                        unsigned flags, int32_t *tokens, size_t capacity, size_t *count,
                        struct ew_err *err)
{
    *count = 0;
    if (bytes > EW_TOKENIZER_TEXT_MAX)
        return ew_fail(err, EW_ELIMIT, "%zu bytes of text, at most %zu", bytes,
                       EW_TOKENIZER_TEXT_MAX);
    struct encoding e = {.tokenizer = tokenizer, .out = {tokens, capacity, 0}};
    struct ew_buf repaired;
    ew_buf_init(&repaired, EW_TOKENIZER_TEXT_MAX);
    int code = 0;
    if (ew_utf8_valid(text, bytes) < bytes) {
        code = ew_utf8_repair(&repaired, text, bytes, err);
        text = repaired.data;
        bytes = repaired.bytes;
    }
    bool adds = flags & EW_TOKENIZE_BOS;
    if (adds && tokenizer->adds_bos)
        ew_ids_add(&e.out, tokenizer->bos);
    if (!code && bytes)
        code = encode_text(&e, (struct ew_str){text, bytes}, flags, err);
    if (adds && tokenizer->adds_eos)
        ew_ids_add(&e.out, tokenizer->eos);
    ew_buf_fini(&repaired);
    ew_merge_fini(&e.merge);
    ew_special_matches_fini(&e.matches);
    if (code)
        return code;
    *count = e.out.count;
    if (e.out.count > capacity)
        return ew_fail(err, EW_ELIMIT, "the text is %zu tokens, there is room for %zu", e.out.count,
                       capacity);
    return 0;
}

/* ---- decode ---- */

static size_t decode(const struct ew_tokenizer *t, uint32_t token, char *out)
{
    struct ew_str word = ew_vocab_word(&t->vocab, token);
    int byte = t->kinds[token] == EW_TOKEN_BYTE ? ew_spm_byte(word) : -1;
    switch (t->kinds[token]) {
    case EW_TOKEN_BYTE:
        if (byte < 0)
            return 0;
        *out = (char)byte;
        return 1;
    case EW_TOKEN_USER:
        memcpy(out, word.data, word.bytes);
        return word.bytes;
    case EW_TOKEN_NORMAL:
        return t->family == EW_TOKENIZER_SPM ? ew_spm_decode(word, out)
                                             : ew_bpe_decode(&t->bpe, word, out);
    default: /* control, unknown, unused, undefined */
        return 0;
    }
}

struct ew_str ew_tokenizer_bytes(const struct ew_tokenizer *tokenizer, int32_t token)
{
    if (token < 0 || (uint32_t)token >= tokenizer->vocab.count)
        return (struct ew_str){"", 0};
    char *piece = tokenizer->pieces + tokenizer->vocab.words[token].at;
    uint16_t size = atomic_load_explicit(&tokenizer->sizes[token], memory_order_acquire);
    if (!size) {
        /* The tokenizer is what it was, it only knows this by now. */
        pthread_mutex_t *lock = (pthread_mutex_t *)&tokenizer->lock;
        pthread_mutex_lock(lock);
        size = atomic_load_explicit(&tokenizer->sizes[token], memory_order_relaxed);
        if (!size) {
            size = (uint16_t)(decode(tokenizer, (uint32_t)token, piece) + 1);
            atomic_store_explicit(&tokenizer->sizes[token], size, memory_order_release);
        }
        pthread_mutex_unlock(lock);
    }
    return (struct ew_str){piece, size - 1u};
}

struct ew_str ew_tokenizer_name(const struct ew_tokenizer *tokenizer, int32_t token)
{
    if (token < 0 || (uint32_t)token >= tokenizer->vocab.count)
        return (struct ew_str){"", 0};
    return ew_vocab_word(&tokenizer->vocab, (uint32_t)token);
}

/* ---- what it is ---- */

uint32_t ew_tokenizer_vocab(const struct ew_tokenizer *tokenizer)
{
    return tokenizer->vocab.count;
}

int32_t ew_tokenizer_bos(const struct ew_tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t ew_tokenizer_eos(const struct ew_tokenizer *tokenizer)
{
    return tokenizer->eos;
}

bool ew_tokenizer_adds_bos(const struct ew_tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

bool ew_tokenizer_is_end(const struct ew_tokenizer *tokenizer, int32_t token)
{
    for (size_t i = 0; i < tokenizer->end_count; i++)
        if (tokenizer->ends[i] == token)
            return true;
    return false;
}
