/* grammar_trie.c - the words of a vocabulary as a tree of bytes, in the order of a walk.
 *
 * A mask asks of all tokens at once whether their bytes fit; what tokens begin with is then looked
 * at once for all of them. The arrays are read from front to back, so that the walk is as fast as
 * memory. Made when a model's first grammar is opened: the tokenizer keeps it. */
#include "model/grammar_int.h"

#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_int.h"

struct word {
    const char *data;
    uint32_t bytes;
    int32_t token;
};

static int compare(const void *x, const void *y)
{
    const struct word *a = x, *b = y;
    uint32_t n = a->bytes < b->bytes ? a->bytes : b->bytes;
    int by = memcmp(a->data, b->data, n);
    if (by)
        return by;
    return a->bytes != b->bytes ? (a->bytes > b->bytes) - (a->bytes < b->bytes)
                                : (a->token > b->token) - (a->token < b->token);
}

void ew__gr_trie_close(struct gr_trie **trie)
{
    struct gr_trie *t = *trie;
    if (!t)
        return;
    free(t->end);
    free(t->token);
    free(t->byte);
    free(t->depth);
    free(t->same);
    free(t);
    *trie = NULL;
}

static uint32_t shared(const struct word *a, const struct word *b)
{
    uint32_t n = 0;
    while (n < a->bytes && n < b->bytes && a->data[n] == b->data[n])
        n++;
    return n;
}

/* Words in order; the nodes are counted first. */
static int fill(struct gr_trie *t, const struct word *words, size_t count)
{
    size_t nodes = 1;
    for (size_t i = 0; i < count; i++)
        nodes += words[i].bytes - (i ? shared(&words[i - 1], &words[i]) : 0);
    t->end = calloc(nodes, sizeof *t->end);
    t->token = malloc(nodes * sizeof *t->token);
    t->byte = calloc(nodes, 1);
    t->depth = calloc(nodes, 1);
    if (!t->end || !t->token || !t->byte || !t->depth)
        return EW_ENOMEM;
    uint32_t open[GR_TOKEN_BYTES_MAX + 1] = {0}, depth = 0, at = 1;
    t->token[0] = -1;
    for (size_t i = 0; i < count; i++) {
        uint32_t keep = i ? shared(&words[i - 1], &words[i]) : 0;
        for (; depth > keep; depth--)
            t->end[open[depth]] = at;
        for (; depth < words[i].bytes; at++) {
            t->byte[at] = (uint8_t)words[i].data[depth++];
            t->depth[at] = (uint8_t)depth;
            t->token[at] = -1;
            open[depth] = at;
        }
        uint32_t node = open[depth];
        t->same[words[i].token] = t->token[node];
        t->token[node] = words[i].token;
        if (t->longest < depth)
            t->longest = depth;
    }
    for (; depth > 0; depth--)
        t->end[open[depth]] = at;
    t->end[0] = at;
    return 0;
}

static int make(struct gr_trie **gives, const struct ew_tokenizer *tokenizer, struct ew_err *err)
{
    uint32_t vocab = ew_tokenizer_vocab(tokenizer);
    struct gr_trie *t = calloc(1, sizeof *t);
    struct word *words = malloc(vocab * sizeof *words);
    size_t count = 0;
    int code = EW_ENOMEM;
    if (t && words && (t->same = malloc(vocab * sizeof *t->same))) {
        for (uint32_t i = 0; i < vocab; i++) {
            struct ew_str text = ew_tokenizer_bytes(tokenizer, (int32_t)i);
            t->same[i] = -1;
            if (text.bytes && text.bytes <= GR_TOKEN_BYTES_MAX &&
                !ew_tokenizer_is_end(tokenizer, (int32_t)i))
                words[count++] = (struct word){text.data, (uint32_t)text.bytes, (int32_t)i};
        }
        qsort(words, count, sizeof *words, compare);
        code = fill(t, words, count);
    }
    free(words);
    if (code)
        ew__gr_trie_close(&t);
    *gives = t;
    return code ? ew_fail(err, code, "no memory for a tree of %u tokens", vocab) : 0;
}

int ew__gr_trie_get(const struct gr_trie **out, const struct ew_tokenizer *tokenizer,
                    struct ew_err *err)
{
    /* The tokenizer is what it was, it only knows this by now. */
    struct ew_tokenizer *t = (struct ew_tokenizer *)(uintptr_t)tokenizer;
    struct gr_trie *trie = NULL;
    pthread_mutex_lock(&t->lock);
    *out = t->trie;
    pthread_mutex_unlock(&t->lock);
    if (*out)
        return 0;
    int code = make(&trie, tokenizer, err);
    if (code)
        return code;
    pthread_mutex_lock(&t->lock);
    if (!t->trie) {
        t->trie = trie;
        trie = NULL;
    }
    *out = t->trie;
    pthread_mutex_unlock(&t->lock);
    ew__gr_trie_close(&trie);
    return 0;
}
