/* grammar_trie.c - the words of a vocabulary as a tree of bytes, in the order of a walk.
 *
 * A mask asks of all tokens at once whether their bytes fit; what tokens begin with is then looked
 * at once for all of them. The arrays are read from front to back, so that the walk is as fast as
 * memory. Made when a model's first grammar is opened: the tokenizer keeps it. */
#include "model/grammar_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
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
    free(t->plain);
    ew__gr_trie_close(&t->rest);
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

/* Characters, if all of them stand in a string as they are; else 0. */
static uint32_t plain_characters(const struct word *w)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->bytes; i++) {
        unsigned char c = (unsigned char)w->data[i];
        if (c < 0x20 || c == '"' || c == '\\')
            return 0;
        count += (c & 0xc0) != 0x80;
    }
    return ew_utf8_valid(w->data, w->bytes) == w->bytes ? count : 0;
}

/* Counting sort of the plain ones by characters; the others stay, in their order. */
static size_t part(struct gr_trie *t, struct word *words, size_t count)
{
    uint32_t at[GR_TOKEN_BYTES_MAX + 2] = {0};
    size_t others = 0;
    for (size_t i = 0; i < count; i++)
        at[plain_characters(&words[i]) + 1]++;
    at[1] = 0; /* not plain */
    for (uint32_t n = 1; n <= GR_TOKEN_BYTES_MAX; n++) {
        at[n + 1] += at[n];
        t->plain_upto[n] = at[n + 1];
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t n = plain_characters(&words[i]);
        if (n)
            t->plain[at[n]++] = words[i].token;
        else
            words[others++] = words[i];
    }
    return others;
}

static struct gr_trie *empty(uint32_t vocab)
{
    struct gr_trie *t = calloc(1, sizeof *t);
    if (!t || !(t->same = malloc(vocab * sizeof *t->same)) ||
        !(t->plain = malloc(vocab * sizeof *t->plain))) {
        ew__gr_trie_close(&t);
        return NULL;
    }
    memset(t->same, 0xff, vocab * sizeof *t->same);
    return t;
}

static int make(struct gr_trie **gives, const struct ew_tokenizer *tokenizer, struct ew_err *err)
{
    uint32_t vocab = ew_tokenizer_vocab(tokenizer);
    struct gr_trie *t = empty(vocab);
    struct word *words = malloc(vocab * sizeof *words);
    size_t count = 0;
    int code = EW_ENOMEM;
    if (t && words && (t->rest = empty(vocab))) {
        for (uint32_t i = 0; i < vocab; i++) {
            struct ew_str text = ew_tokenizer_bytes(tokenizer, (int32_t)i);
            if (text.bytes && text.bytes <= GR_TOKEN_BYTES_MAX &&
                !ew_tokenizer_is_end(tokenizer, (int32_t)i))
                words[count++] = (struct word){text.data, (uint32_t)text.bytes, (int32_t)i};
        }
        qsort(words, count, sizeof *words, compare);
        code = fill(t, words, count);
        if (!code)
            code = fill(t->rest, words, part(t, words, count));
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
