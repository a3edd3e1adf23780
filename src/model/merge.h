/* merge.h - what both families of tokenizers do: join neighbours, the best pair first.
 *
 * Text becomes a chain of symbols; a rule gives each pair of neighbours a rank or none; the pair of
 * the lowest rank, of equal ranks the leftmost, is joined, until no pair has a rank. With a heap of
 * pairs that is O(n log n), also for one word of a megabyte. */
#ifndef EW_MERGE_H
#define EW_MERGE_H

#include "model/vocab.h"

struct ew_symbol {
    uint64_t hash;      /* ew_hash of its text */
    uint32_t at, bytes; /* bytes 0: joined to the one before */
    int32_t prev, next; /* -1: none */
};

/* Working memory of one encode: grown to the longest piece of text it meets, then reused. All zero
 * to begin. */
struct ew_merge {
    struct ew_symbol *symbols;
    struct ew_pair *heap;
    size_t capacity; /* symbols */
    size_t count;    /* symbols */
    char *text;      /* a caller's buffer that lives as long */
    size_t text_capacity;
};

void ew_merge_fini(struct ew_merge *merge);
/* An empty chain with room for so many symbols. */
int ew_merge_begin(struct ew_merge *merge, size_t symbols, struct ew_err *err);
/* merge->text with room for so many bytes; what was in it is lost. */
int ew_merge_text(struct ew_merge *merge, size_t bytes, struct ew_err *err);

/* The next symbol of the chain; there must be room. */
static inline void ew_merge_add(struct ew_merge *merge, uint32_t at, uint32_t bytes, uint64_t hash)
{
    int32_t i = (int32_t)merge->count++;
    merge->symbols[i] = (struct ew_symbol){hash, at, bytes, i - 1, -1};
    if (i)
        merge->symbols[i - 1].next = i;
}

/* hash is that of both joined. False: the pair is never joined. */
typedef bool ew_merge_rank_fn(const void *rules, const struct ew_symbol *left,
                              const struct ew_symbol *right, uint64_t hash, uint32_t *rank);

/* Joins all that can be. Pairs longer than the vocabulary's longest word aren't asked for. */
void ew_merge_run(struct ew_merge *merge, const struct ew_vocab *vocab, ew_merge_rank_fn *rank,
                  const void *rules);

/* Where tokens go: counted beyond capacity, but not written. */
struct ew_ids {
    int32_t *tokens;
    size_t capacity, count;
};

static inline void ew_ids_add(struct ew_ids *ids, int32_t token)
{
    if (ids->count < ids->capacity)
        ids->tokens[ids->count] = token;
    ids->count++;
}

#endif
