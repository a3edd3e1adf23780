/* merge.c - the chain of symbols and the heap of pairs.
 *
 * A pair in the heap goes stale when one of its symbols has grown or is gone. Symbols only grow, so
 * a pair is fresh exactly if the bytes of both still add up to what they were. A join takes one
 * pair out and puts at most two in, so 2n pairs are room enough for ever. */
#include "model/merge.h"

#include <stdlib.h>

struct ew_pair {
    uint64_t order; /* rank << 32 | index of the left symbol */
    uint32_t bytes; /* of both when it was put in */
};

struct heap {
    struct ew_pair *pairs;
    size_t count;
};

void ew_merge_fini(struct ew_merge *merge)
{
    free(merge->symbols);
    free(merge->heap);
    free(merge->text);
    *merge = (struct ew_merge){0};
}

int ew_merge_begin(struct ew_merge *merge, size_t symbols, struct ew_err *err)
{
    merge->count = 0;
    if (symbols <= merge->capacity)
        return 0;
    size_t capacity = merge->capacity ? merge->capacity : 256;
    while (capacity < symbols)
        capacity *= 2;
    free(merge->symbols);
    free(merge->heap);
    merge->capacity = 0;
    merge->symbols = malloc(capacity * sizeof *merge->symbols);
    merge->heap = malloc(2 * capacity * sizeof *merge->heap);
    if (!merge->symbols || !merge->heap)
        return ew_fail(err, EW_ENOMEM, "no memory to tokenize a word of %zu characters", symbols);
    merge->capacity = capacity;
    return 0;
}

int ew_merge_text(struct ew_merge *merge, size_t bytes, struct ew_err *err)
{
    if (bytes <= merge->text_capacity)
        return 0;
    size_t capacity = merge->text_capacity ? merge->text_capacity : 512;
    while (capacity < bytes)
        capacity *= 2;
    free(merge->text);
    merge->text_capacity = 0;
    merge->text = malloc(capacity);
    if (!merge->text)
        return ew_fail(err, EW_ENOMEM, "no memory to tokenize %zu bytes", bytes);
    merge->text_capacity = capacity;
    return 0;
}

static void heap_push(struct heap *heap, struct ew_pair pair)
{
    size_t at = heap->count++;
    for (; at; at = (at - 1) / 2) {
        size_t parent = (at - 1) / 2;
        if (heap->pairs[parent].order <= pair.order)
            break;
        heap->pairs[at] = heap->pairs[parent];
    }
    heap->pairs[at] = pair;
}

static struct ew_pair heap_pop(struct heap *heap)
{
    struct ew_pair top = heap->pairs[0], last = heap->pairs[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->pairs[child + 1].order < heap->pairs[child].order)
            child++;
        if (heap->pairs[child].order >= last.order)
            break;
        heap->pairs[at] = heap->pairs[child];
        at = child;
    }
    heap->pairs[at] = last;
    return top;
}

struct run {
    struct ew_symbol *symbols;
    const struct ew_vocab *vocab;
    ew_merge_rank_fn *rank;
    const void *rules;
    struct heap heap;
};

/* Puts the pair that begins at symbol `at` into the heap, if there is one and it has a rank. */
static void consider(struct run *run, int32_t at)
{
    if (at < 0 || run->symbols[at].next < 0)
        return;
    const struct ew_symbol *left = &run->symbols[at], *right = &run->symbols[left->next];
    uint32_t bytes = left->bytes + right->bytes, order;
    if (bytes > run->vocab->longest)
        return;
    uint64_t hash = left->hash * run->vocab->powers[right->bytes] + right->hash;
    if (run->rank(run->rules, left, right, hash, &order))
        heap_push(&run->heap, (struct ew_pair){(uint64_t)order << 32 | (uint32_t)at, bytes});
}

/* False: the pair is stale. */
static bool join(struct run *run, struct ew_pair pair)
{
    struct ew_symbol *left = &run->symbols[(uint32_t)pair.order];
    if (!left->bytes || left->next < 0)
        return false;
    struct ew_symbol *right = &run->symbols[left->next];
    if (left->bytes + right->bytes != pair.bytes)
        return false;
    left->hash = left->hash * run->vocab->powers[right->bytes] + right->hash;
    left->bytes += right->bytes;
    left->next = right->next;
    if (right->next >= 0)
        run->symbols[right->next].prev = right->prev;
    right->bytes = 0;
    return true;
}

void ew_merge_run(struct ew_merge *merge, const struct ew_vocab *vocab, ew_merge_rank_fn *rank,
                  const void *rules)
{
    struct run run = {merge->symbols, vocab, rank, rules, {merge->heap, 0}};
    for (size_t i = 0; i < merge->count; i++)
        consider(&run, (int32_t)i);
    while (run.heap.count) {
        struct ew_pair pair = heap_pop(&run.heap);
        if (!join(&run, pair))
            continue;
        int32_t left = (int32_t)(uint32_t)pair.order;
        consider(&run, run.symbols[left].prev);
        consider(&run, left);
    }
}
