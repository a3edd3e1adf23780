/* vocab.c - reads, checks and indexes the words. See vocab.h for why it looks as it does. */
#include "model/vocab.h"

#include <stdlib.h>
#include <string.h>

enum { PROBES_MAX = 4096 };

int ew_index_init(struct ew_index *index, size_t ids, struct ew_err *err)
{
    size_t slots = 16;
    while (slots < ids * 2)
        slots *= 2;
    index->mask = (uint32_t)(slots - 1);
    index->slots = calloc(slots, sizeof *index->slots);
    return index->slots ? 0 : ew_fail(err, EW_ENOMEM, "no memory for an index of %zu words", ids);
}

void ew_index_fini(struct ew_index *index)
{
    free(index->slots);
    *index = (struct ew_index){0};
}

int ew_index_add(struct ew_index *index, struct ew_probe p, uint32_t id, struct ew_err *err)
{
    uint32_t at = p.at;
    for (int probes = 0; index->slots[at]; at = (at + 1) & index->mask)
        if (++probes > PROBES_MAX)
            return ew_fail(err, EW_EFORMAT, "words chosen to collide in an index");
    index->slots[at] = (id + 1) << EW_INDEX_TAG_BITS | p.tag;
    return 0;
}

int ew_vocab_words(const struct ew_gguf_array *array, const char *key, size_t max_bytes,
                   struct ew_word **gives, uint32_t *longest, struct ew_err *err)
{
    if (array->count > EW_VOCAB_WORDS_MAX)
        return ew_fail(err, EW_ELIMIT, "key %s has %llu entries, at most %u", key,
                       (unsigned long long)array->count, EW_VOCAB_WORDS_MAX);
    struct ew_word *words = malloc((size_t)(array->count + 1) * sizeof *words);
    if (!words)
        return ew_fail(err, EW_ENOMEM, "no memory for %llu words",
                       (unsigned long long)array->count);
    *gives = words;
    size_t at = 0;
    *longest = 0;
    for (uint32_t i = 0; i < array->count; i++) {
        struct ew_str word = ew_gguf_array_next(array, &at);
        if (word.bytes > max_bytes)
            return ew_fail(err, EW_ELIMIT, "key %s, entry %u has %zu bytes, at most %zu", key, i,
                           word.bytes, max_bytes);
        if (at > UINT32_MAX)
            return ew_fail(err, EW_ELIMIT, "key %s has more than 4 GiB of text", key);
        words[i] = (struct ew_word){(uint32_t)(at - word.bytes), (uint32_t)word.bytes};
        if (words[i].bytes > *longest)
            *longest = words[i].bytes;
    }
    return 0;
}

static int add_word(struct ew_vocab *vocab, uint32_t id, const char *key, struct ew_err *err)
{
    struct ew_str word = ew_vocab_word(vocab, id);
    if (!word.bytes)
        return 0;
    uint64_t hash = ew_hash(word.data, word.bytes);
    struct ew_probe first = ew_index_find(&vocab->index, hash);
    for (struct ew_probe p = first; ew_index_next(&vocab->index, &p);)
        if (vocab->words[p.id].bytes == word.bytes &&
            memcmp(ew_vocab_word(vocab, p.id).data, word.data, word.bytes) == 0)
            return ew_fail(err, EW_EFORMAT, "key %s, entries %u and %u are the same word", key,
                           p.id, id);
    return ew_index_add(&vocab->index, first, id, err);
}

int ew_vocab_init(struct ew_vocab *vocab, const struct ew_gguf *gguf, const char *key,
                  struct ew_err *err)
{
    *vocab = (struct ew_vocab){0};
    struct ew_gguf_array array;
    int code = ew_gguf_array(gguf, key, EW_GGUF_STRING, &array, err);
    if (code < 0)
        return code;
    if (code == 0 || array.count == 0)
        return ew_fail(err, EW_EFORMAT, "key %s %s", key, code ? "is empty" : "is missing");
    vocab->text = (const char *)array.data;
    code =
        ew_vocab_words(&array, key, EW_VOCAB_WORD_BYTES_MAX, &vocab->words, &vocab->longest, err);
    if (code)
        return code;
    vocab->count = (uint32_t)array.count;
    vocab->powers = malloc((vocab->longest + 1) * sizeof *vocab->powers);
    if (!vocab->powers)
        return ew_fail(err, EW_ENOMEM, "no memory for a vocabulary");
    vocab->powers[0] = 1;
    for (uint32_t i = 1; i <= vocab->longest; i++)
        vocab->powers[i] = vocab->powers[i - 1] * EW_HASH_STEP;
    code = ew_index_init(&vocab->index, vocab->count, err);
    for (uint32_t id = 0; !code && id < vocab->count; id++)
        code = add_word(vocab, id, key, err);
    return code;
}

void ew_vocab_fini(struct ew_vocab *vocab)
{
    free(vocab->words);
    free(vocab->powers);
    ew_index_fini(&vocab->index);
    *vocab = (struct ew_vocab){0};
}

int32_t ew_vocab_find_hashed(const struct ew_vocab *vocab, const char *data, size_t bytes,
                             uint64_t hash)
{
    for (struct ew_probe p = ew_index_find(&vocab->index, hash); ew_index_next(&vocab->index, &p);)
        if (vocab->words[p.id].bytes == bytes &&
            memcmp(ew_vocab_word(vocab, p.id).data, data, bytes) == 0)
            return (int32_t)p.id;
    return -1;
}

int32_t ew_vocab_find(const struct ew_vocab *vocab, const char *data, size_t bytes)
{
    if (bytes > vocab->longest)
        return -1;
    return ew_vocab_find_hashed(vocab, data, bytes, ew_hash(data, bytes));
}
