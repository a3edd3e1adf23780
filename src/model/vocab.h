/* vocab.h - the words of a vocabulary, as they lie in the file, and the way from text to id.
 *
 * Opening must be quick: the time to the first token contains it. So no word is copied: a word is
 * an offset into the mapped file, and the index is one table of 32-bit slots. Read-only once
 * filled; borrows from the GGUF file. */
#ifndef EW_VOCAB_H
#define EW_VOCAB_H

#include "model/gguf.h"

/* Limits. Slots hold an id and 12 bits of the hash in 32 bits, which bounds the number of words;
 * the largest vocabulary known to us has 262,144. The longest known words are of 512 bytes. */
#define EW_VOCAB_WORDS_MAX      ((1u << 20) - 2)
#define EW_VOCAB_WORD_BYTES_MAX 4096

/* hash(ab) = hash(a) * step^|b| + hash(b): merging two pieces of text needs no second look at their
 * bytes. The step is odd and its bits look random. */
#define EW_HASH_STEP 0x9FB21C651E98DF25u

/* Four bytes a round: a multiplication takes longer than the next can wait for, and hashing words
 * is a third of opening. */
static inline uint64_t ew_hash(const char *data, size_t bytes)
{
    const uint64_t s1 = EW_HASH_STEP, s2 = s1 * s1, s3 = s2 * s1, s4 = s2 * s2;
    const unsigned char *at = (const unsigned char *)data;
    uint64_t hash = 0;
    for (; bytes >= 4; at += 4, bytes -= 4)
        hash = hash * s4 + (at[0] * s3 + at[1] * s2 + at[2] * s1 + at[3] + (s3 + s2 + s1 + 1));
    for (; bytes; at++, bytes--)
        hash = hash * s1 + *at + 1;
    return hash;
}

/* Ids by hash: open addressing, linear probes. Equality of what the ids stand for is the caller's
 * business, hence the loop in his code:
 *     for (struct ew_probe p = ew_index_find(&index, hash); ew_index_next(&index, &p);)
 *         if (same(p.id)) ... */
struct ew_index {
    uint32_t *slots; /* (id + 1) << 12 | 12 bits of the hash; 0: free */
    uint32_t mask;
};

struct ew_probe {
    uint32_t at, tag;
    uint32_t id; /* valid after ew_index_next gave true */
};

enum { EW_INDEX_TAG_BITS = 12, EW_INDEX_TAG_MASK = (1 << EW_INDEX_TAG_BITS) - 1 };

static inline struct ew_probe ew_index_find(const struct ew_index *index, uint64_t hash)
{
    hash ^= hash >> 32;
    hash *= 0xD6E8FEB86659FD93u;
    hash ^= hash >> 29;
    return (struct ew_probe){(uint32_t)(hash >> EW_INDEX_TAG_BITS) & index->mask,
                             (uint32_t)hash & EW_INDEX_TAG_MASK, 0};
}

/* True: p->id has the same tag, is it the one? False: it isn't in the table; p->at is free. */
static inline bool ew_index_next(const struct ew_index *index, struct ew_probe *p)
{
    for (;;) {
        uint32_t slot = index->slots[p->at];
        if (!slot)
            return false;
        p->at = (p->at + 1) & index->mask;
        if ((slot & EW_INDEX_TAG_MASK) == p->tag) {
            p->id = (slot >> EW_INDEX_TAG_BITS) - 1;
            return true;
        }
    }
}

int ew_index_init(struct ew_index *index, size_t ids, struct ew_err *err);
void ew_index_fini(struct ew_index *index);
/* Puts id at the first free slot behind the probe. A file whose words all collide must not make
 * opening slow: EW_EFORMAT after 4096 slots in use (random words: 30 or so). */
int ew_index_add(struct ew_index *index, struct ew_probe p, uint32_t id, struct ew_err *err);

struct ew_word {
    uint32_t at, bytes;
};

struct ew_vocab {
    const char *text; /* borrowed; what ew_word.at counts from */
    struct ew_word *words;
    uint32_t count;
    uint32_t longest; /* bytes */
    uint64_t *powers; /* of EW_HASH_STEP, 0 .. longest */
    struct ew_index index;
};

/* Reads the array of strings `key`, checks it, and indexes it; an empty word is a hole that no text
 * finds, a word given twice is an error. Fini also after a failure. */
int ew_vocab_init(struct ew_vocab *vocab, const struct ew_gguf *gguf, const char *key,
                  struct ew_err *err);
void ew_vocab_fini(struct ew_vocab *vocab);

/* Offsets of an array's strings, freed by the caller; each at most max_bytes. */
int ew_vocab_words(const struct ew_gguf_array *array, const char *key, size_t max_bytes,
                   struct ew_word **gives, uint32_t *longest, struct ew_err *err);

/* -1: isn't a word. hash is ew_hash of it. */
int32_t ew_vocab_find_hashed(const struct ew_vocab *vocab, const char *data, size_t bytes,
                             uint64_t hash);
int32_t ew_vocab_find(const struct ew_vocab *vocab, const char *data, size_t bytes);

static inline struct ew_str ew_vocab_word(const struct ew_vocab *vocab, uint32_t id)
{
    return (struct ew_str){vocab->text + vocab->words[id].at, vocab->words[id].bytes};
}

#endif
