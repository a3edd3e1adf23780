/* spm.c - scores as ranks, and encoding by them. */
#include "model/spm.h"

#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char key[] = "tokenizer.ggml.scores";
static const char space_mark[] = "\xE2\x96\x81";
enum { SPACE_MARK_BYTES = 3 };

/* Floats in order as integers in the opposite order. */
static uint32_t rank_of_score(float score)
{
    uint32_t bits;
    score += 0.0f; /* -0 and 0 are equal scores */
    memcpy(&bits, &score, sizeof bits);
    uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

static int read_scores(struct ew_spm *spm, const struct ew_gguf *gguf, struct ew_err *err)
{
    struct ew_gguf_array array;
    int code = ew_gguf_array(gguf, key, EW_GGUF_F32, &array, err);
    if (code <= 0)
        return code ? code : ew_fail(err, EW_EFORMAT, "key %s is missing", key);
    if (array.count != spm->vocab->count)
        return ew_fail(err, EW_EFORMAT, "key %s has %llu scores for %u words", key,
                       (unsigned long long)array.count, spm->vocab->count);
    spm->ranks = malloc(spm->vocab->count * sizeof *spm->ranks);
    if (!spm->ranks)
        return ew_fail(err, EW_ENOMEM, "no memory for %u scores", spm->vocab->count);
    for (uint32_t i = 0; i < spm->vocab->count; i++) {
        float score;
        memcpy(&score, array.data + i * sizeof score, sizeof score);
        if (!isfinite(score))
            return ew_fail(err, EW_EFORMAT, "key %s, entry %u isn't a finite number", key, i);
        spm->ranks[i] = rank_of_score(score);
    }
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int ew_spm_byte(struct ew_str word)
{
    if (word.bytes != 6 || memcmp(word.data, "<0x", 3) || word.data[5] != '>')
        return -1;
    int high = hex_digit(word.data[3]), low = hex_digit(word.data[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int ew_spm_init(struct ew_spm *spm, const struct ew_gguf *gguf, const struct ew_vocab *vocab,
                int32_t unknown, struct ew_err *err)
{
    *spm = (struct ew_spm){.vocab = vocab, .unknown = unknown};
    static const char digits[] = "0123456789ABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        char name[6] = {'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
        char raw = (char)byte;
        int32_t id = ew_vocab_find(vocab, name, sizeof name);
        spm->byte_ids[byte] = id >= 0 ? id : ew_vocab_find(vocab, &raw, 1);
    }
    return read_scores(spm, gguf, err);
}

void ew_spm_fini(struct ew_spm *spm)
{
    free(spm->ranks);
    *spm = (struct ew_spm){0};
}

struct rules {
    const struct ew_spm *spm;
    const char *text;
};

static bool rank_of(const void *user, const struct ew_symbol *left, const struct ew_symbol *right,
                    uint64_t hash, uint32_t *rank)
{
    const struct rules *rules = user;
    int32_t id = ew_vocab_find_hashed(rules->spm->vocab, rules->text + left->at,
                                      left->bytes + right->bytes, hash);
    if (id < 0)
        return false;
    *rank = rules->spm->ranks[id];
    return true;
}

/* The text with marks for spaces into merge->text, each character a symbol. */
static void spell(struct ew_merge *merge, struct ew_str text, enum ew_spm_prefix prefix)
{
    uint64_t mark_hash = ew_hash(space_mark, SPACE_MARK_BYTES);
    size_t bytes = 0;
    if (prefix == EW_SPM_SPACE_PREFIX) {
        memcpy(merge->text, space_mark, SPACE_MARK_BYTES);
        ew_merge_add(merge, 0, SPACE_MARK_BYTES, mark_hash);
        bytes = SPACE_MARK_BYTES;
    }
    for (size_t at = 0; at < text.bytes;) {
        const char *c = text.data + at;
        uint32_t take = 1, give = 1;
        if (*c == ' ') {
            c = space_mark;
            give = SPACE_MARK_BYTES;
        } else {
            take = give = (uint32_t)ew_utf8_next(c, text.bytes - at).bytes;
        }
        memcpy(merge->text + bytes, c, give);
        ew_merge_add(merge, (uint32_t)bytes, give, ew_hash(c, give));
        bytes += give;
        at += take;
    }
}

int ew_spm_encode(const struct ew_spm *spm, struct ew_merge *merge, struct ew_str text,
                  enum ew_spm_prefix prefix, struct ew_ids *out, struct ew_err *err)
{
    int code = ew_merge_begin(merge, text.bytes + 1, err);
    if (!code)
        code = ew_merge_text(merge, (text.bytes + 1) * SPACE_MARK_BYTES, err);
    if (code)
        return code;
    spell(merge, text, prefix);
    if (!merge->count)
        return 0;
    struct rules rules = {spm, merge->text};
    ew_merge_run(merge, spm->vocab, rank_of, &rules);
    for (int32_t i = 0; i >= 0; i = merge->symbols[i].next) {
        const struct ew_symbol *s = &merge->symbols[i];
        const char *piece = merge->text + s->at;
        int32_t id = ew_vocab_find_hashed(spm->vocab, piece, s->bytes, s->hash);
        if (id >= 0) {
            ew_ids_add(out, id);
            continue;
        }
        for (uint32_t j = 0; j < s->bytes; j++) {
            id = spm->byte_ids[(unsigned char)piece[j]];
            if (id < 0)
                id = spm->unknown;
            if (id >= 0)
                ew_ids_add(out, id);
        }
    }
    return 0;
}

size_t ew_spm_decode(struct ew_str word, char *out)
{
    size_t bytes = 0;
    for (size_t at = 0; at < word.bytes;) {
        if (word.bytes - at >= SPACE_MARK_BYTES &&
            memcmp(word.data + at, space_mark, SPACE_MARK_BYTES) == 0) {
            out[bytes++] = ' ';
            at += SPACE_MARK_BYTES;
        } else {
            out[bytes++] = word.data[at++];
        }
    }
    return bytes;
}
