/* bpe.c - the merges and their index, and encoding by them.
 *
 * Merges are looked up by their text, not by pairs of ids: opening then needs one index entry a
 * merge and no search for ids, which is most of the time that opening takes. What a merge makes
 * must be a word; mostly it is the word behind that of the merge before, so we look there first. */
#include "model/bpe.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static const char key[] = "tokenizer.ggml.merges";

/* Tells "a bc" from "ab c", which join to the same text. */
static uint64_t pair_hash(uint64_t joined, size_t left_bytes)
{
    return joined ^ (uint64_t)left_bytes * 0xC2B2AE3D27D4EB4Fu;
}

/* Bytes that are printable in Latin-1 are their own letters, the others are letters from U+0100 on,
 * in order: so GPT-2 chose. */
static void make_alphabet(struct ew_bpe *bpe)
{
    for (int i = 0; i < EW_BPE_POINTS; i++)
        bpe->bytes_of[i] = -1;
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; byte++) {
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
        uint32_t point = printable ? byte : next++;
        bpe->bytes_of[point] = (int16_t)byte;
        char *letter = bpe->letters[byte];
        bpe->letter_bytes[byte] = point < 0x80 ? 1 : 2;
        letter[0] = (char)(point < 0x80 ? point : 0xC0 | point >> 6);
        letter[1] = (char)(point < 0x80 ? 0 : 0x80 | (point & 0x3F));
        bpe->letter_hashes[byte] = ew_hash(letter, bpe->letter_bytes[byte]);
    }
}

static bool is_joined(const struct ew_vocab *vocab, uint32_t id, struct ew_str left,
                      struct ew_str right)
{
    if (id >= vocab->count || vocab->words[id].bytes != left.bytes + right.bytes)
        return false;
    const char *word = ew_vocab_word(vocab, id).data;
    return memcmp(word, left.data, left.bytes) == 0 &&
           memcmp(word + left.bytes, right.data, right.bytes) == 0;
}

/* The id of left and right joined, -1: isn't a word. */
static int32_t find_joined(const struct ew_vocab *vocab, uint32_t guess, struct ew_str left,
                           struct ew_str right, uint64_t hash)
{
    if (is_joined(vocab, guess, left, right))
        return (int32_t)guess;
    for (struct ew_probe p = ew_index_find(&vocab->index, hash); ew_index_next(&vocab->index, &p);)
        if (is_joined(vocab, p.id, left, right))
            return (int32_t)p.id;
    return -1;
}

static int add_merge(struct ew_bpe *bpe, uint32_t index, int32_t *made, struct ew_err *err)
{
    struct ew_str rule = {bpe->text + bpe->merges[index].at, bpe->merges[index].bytes};
    const char *space = rule.bytes > 2 ? memchr(rule.data + 1, ' ', rule.bytes - 2) : NULL;
    if (!space)
        return ew_fail(err, EW_EFORMAT, "key %s, entry %u isn't two words with a space between",
                       key, index);
    struct ew_str left = {rule.data, (size_t)(space - rule.data)};
    struct ew_str right = {space + 1, rule.bytes - left.bytes - 1};
    uint64_t hash = 0;
    bool fits = left.bytes + right.bytes <= bpe->vocab->longest;
    if (fits) {
        hash = ew_hash(left.data, left.bytes) * bpe->vocab->powers[right.bytes] +
               ew_hash(right.data, right.bytes);
        *made = find_joined(bpe->vocab, (uint32_t)*made + 1, left, right, hash);
    }
    if (!fits || *made < 0)
        return ew_fail(err, EW_EFORMAT,
                       "key %s, entry %u (%s) makes a word that the vocabulary lacks", key, index,
                       ew_gguf_show(rule).text);
    struct ew_probe first = ew_index_find(&bpe->index, pair_hash(hash, left.bytes));
    for (struct ew_probe p = first; ew_index_next(&bpe->index, &p);)
        if (bpe->merges[p.id].bytes == rule.bytes &&
            memcmp(bpe->text + bpe->merges[p.id].at, rule.data, rule.bytes) == 0)
            return 0; /* given before: the first counts */
    return ew_index_add(&bpe->index, first, index, err);
}

int ew_bpe_init(struct ew_bpe *bpe, const struct ew_gguf *gguf, const struct ew_vocab *vocab,
                const struct ew_pretok_info *pretok, struct ew_err *err)
{
    *bpe = (struct ew_bpe){.vocab = vocab, .pretok = pretok};
    make_alphabet(bpe);
    struct ew_gguf_array array;
    int code = ew_gguf_array(gguf, key, EW_GGUF_STRING, &array, err);
    if (code <= 0)
        return code ? code : ew_fail(err, EW_EFORMAT, "key %s is missing", key);
    bpe->text = (const char *)array.data;
    uint32_t longest;
    code = ew_vocab_words(&array, key, EW_VOCAB_WORD_BYTES_MAX + 1, &bpe->merges, &longest, err);
    if (!code)
        code = ew_index_init(&bpe->index, (size_t)array.count, err);
    int32_t made = -1;
    for (uint32_t i = 0; !code && i < array.count; i++)
        code = add_merge(bpe, i, &made, err);
    return code;
}

void ew_bpe_fini(struct ew_bpe *bpe)
{
    free(bpe->merges);
    ew_index_fini(&bpe->index);
    *bpe = (struct ew_bpe){0};
}

struct rules {
    const struct ew_bpe *bpe;
    const char *text; /* the word in letters */
};

static bool rank_of(const void *user, const struct ew_symbol *left, const struct ew_symbol *right,
                    uint64_t hash, uint32_t *rank)
{
    const struct rules *rules = user;
    const struct ew_bpe *bpe = rules->bpe;
    struct ew_probe p = ew_index_find(&bpe->index, pair_hash(hash, left->bytes));
    while (ew_index_next(&bpe->index, &p)) {
        struct ew_word word = bpe->merges[p.id];
        const char *rule = bpe->text + word.at;
        if (word.bytes != left->bytes + right->bytes + 1 || rule[left->bytes] != ' ')
            continue;
        if (memcmp(rule, rules->text + left->at, left->bytes) ||
            memcmp(rule + left->bytes + 1, rules->text + right->at, right->bytes))
            continue;
        *rank = p.id;
        return true;
    }
    return false;
}

/* The word's letters into merge->text, each a symbol. Returns their bytes. */
static size_t spell(const struct ew_bpe *bpe, struct ew_merge *merge, struct ew_str word)
{
    size_t bytes = 0;
    for (size_t i = 0; i < word.bytes; i++) {
        unsigned char byte = (unsigned char)word.data[i];
        memcpy(merge->text + bytes, bpe->letters[byte], 2);
        ew_merge_add(merge, (uint32_t)bytes, bpe->letter_bytes[byte], bpe->letter_hashes[byte]);
        bytes += bpe->letter_bytes[byte];
    }
    return bytes;
}

static int encode_word(const struct ew_bpe *bpe, struct ew_merge *merge, struct ew_str word,
                       struct ew_ids *out, struct ew_err *err)
{
    int code = ew_merge_begin(merge, word.bytes, err);
    if (!code)
        code = ew_merge_text(merge, word.bytes * 2 + 2, err);
    if (code)
        return code;
    size_t bytes = spell(bpe, merge, word);
    if (bpe->pretok->whole_words) {
        int32_t id = ew_vocab_find(bpe->vocab, merge->text, bytes);
        if (id >= 0) {
            ew_ids_add(out, id);
            return 0;
        }
    }
    struct rules rules = {bpe, merge->text};
    ew_merge_run(merge, bpe->vocab, rank_of, &rules);
    for (int32_t i = 0; i >= 0; i = merge->symbols[i].next) {
        const struct ew_symbol *s = &merge->symbols[i];
        int32_t id = ew_vocab_find_hashed(bpe->vocab, merge->text + s->at, s->bytes, s->hash);
        if (id >= 0)
            ew_ids_add(out, id);
    }
    return 0;
}

int ew_bpe_encode(const struct ew_bpe *bpe, struct ew_merge *merge, struct ew_str text,
                  struct ew_ids *out, struct ew_err *err)
{
    struct ew_pretok it;
    struct ew_str word;
    ew_pretok_init(&it, bpe->pretok->kind, text);
    while (ew_pretok_next(&it, &word)) {
        int code = encode_word(bpe, merge, word, out, err);
        if (code)
            return code;
    }
    return 0;
}

size_t ew_bpe_decode(const struct ew_bpe *bpe, struct ew_str word, char *out)
{
    size_t bytes = 0;
    for (size_t at = 0; at < word.bytes;) {
        struct ew_utf8_char c = ew_utf8_next(word.data + at, word.bytes - at);
        if (c.state == EW_UTF8_WHOLE && c.point < EW_BPE_POINTS && bpe->bytes_of[c.point] >= 0) {
            out[bytes++] = (char)bpe->bytes_of[c.point];
        } else { /* not of the alphabet: such words stand for themselves */
            memcpy(out + bytes, word.data + at, (size_t)c.bytes);
            bytes += (size_t)c.bytes;
        }
        at += (size_t)c.bytes;
    }
    return bytes;
}
