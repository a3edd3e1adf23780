/* special.c - the trie of special tokens, and the choice among overlapping ones. */
#include "model/special.h"

#include <stdlib.h>
#include <string.h>

/* A byte of some tokens. Children are a list: few have more than a dozen, and the first byte, which
 * decides most walks, has a table. */
struct ew_special_node {
    int32_t child, sibling, parent; /* -1: none */
    int32_t token;                  /* that ends here; -1: none */
    uint32_t depth;                 /* bytes from the root */
    uint8_t byte, kind;
};

void ew_special_init(struct ew_special *special, const struct ew_vocab *vocab)
{
    *special = (struct ew_special){.vocab = vocab};
    for (int i = 0; i < 256; i++)
        special->roots[i] = -1;
}

void ew_special_fini(struct ew_special *special)
{
    free(special->nodes);
    *special = (struct ew_special){0};
}

/* The node of `byte` in the list that begins at `first`; -1: none. */
static int32_t find_node(const struct ew_special *special, int32_t first, uint8_t byte)
{
    while (first >= 0 && special->nodes[first].byte != byte)
        first = special->nodes[first].sibling;
    return first;
}

/* Nodes of the trie, about 30 MB: a hostile file may call all its tokens special. Gemma, which has
 * most, needs a tenth of this. */
enum { NODES_MAX = 1 << 20 };

static int reserve(struct ew_special *special, size_t nodes, struct ew_err *err)
{
    size_t need = special->count + nodes;
    if (need <= special->capacity)
        return 0;
    if (need > NODES_MAX)
        return ew_fail(err, EW_ELIMIT, "special tokens of more than %d bytes in all", NODES_MAX);
    size_t capacity = special->capacity ? special->capacity : 1024;
    while (capacity < need)
        capacity *= 2;
    void *grown = realloc(special->nodes, capacity * sizeof *special->nodes);
    if (!grown)
        return ew_fail(err, EW_ENOMEM, "no memory for special tokens of %zu bytes", need);
    special->nodes = grown;
    special->capacity = (uint32_t)capacity;
    return 0;
}

int ew_special_add(struct ew_special *special, uint32_t id, enum ew_special_kind kind,
                   struct ew_err *err)
{
    struct ew_str word = ew_vocab_word(special->vocab, id);
    int code = reserve(special, word.bytes, err);
    if (code || !word.bytes)
        return code;
    int32_t at = -1;
    for (size_t i = 0; i < word.bytes; i++) {
        uint8_t byte = (uint8_t)word.data[i];
        int32_t *first = i ? &special->nodes[at].child : &special->roots[byte];
        int32_t next = find_node(special, *first, byte);
        if (next < 0) {
            next = (int32_t)special->count++;
            special->nodes[next] = (struct ew_special_node){.child = -1,
                                                            .sibling = *first,
                                                            .parent = at,
                                                            .token = -1,
                                                            .depth = (uint32_t)i + 1,
                                                            .byte = byte};
            *first = next;
        }
        at = next;
    }
    special->nodes[at].token = (int32_t)id;
    special->nodes[at].kind = (uint8_t)kind;
    return 0;
}

/* Where the longest of some tokens begins; later, when that doesn't fit, a shorter one. */
struct place {
    uint32_t at;
    int32_t node;
};

struct search {
    const struct ew_special *special;
    enum ew_special_kind kind;
    struct place *places; /* ascending by `at` */
    size_t count, capacity;
    bool *taken; /* [text] */
};

/* The node itself, or the nearest one towards the root, where a wanted token ends; -1: none. */
static int32_t token_node(const struct search *s, int32_t node)
{
    const struct ew_special_node *nodes = s->special->nodes;
    while (node >= 0 && (nodes[node].token < 0 || nodes[node].kind > s->kind))
        node = nodes[node].parent;
    return node;
}

static int add_place(struct search *s, struct place place, struct ew_err *err)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        void *grown = realloc(s->places, capacity * sizeof *s->places);
        if (!grown)
            return ew_fail(err, EW_ENOMEM, "no memory for %zu special tokens", capacity);
        s->places = grown;
        s->capacity = capacity;
    }
    s->places[s->count++] = place;
    return 0;
}

static int find_places(struct search *s, struct ew_str text, struct ew_err *err)
{
    const struct ew_special *special = s->special;
    for (size_t at = 0; at < text.bytes; at++) {
        int32_t node = special->roots[(uint8_t)text.data[at]], deepest = -1;
        for (size_t i = at + 1; node >= 0; i++) {
            deepest = node;
            if (i == text.bytes)
                break;
            node = find_node(special, special->nodes[node].child, (uint8_t)text.data[i]);
        }
        deepest = token_node(s, deepest);
        if (deepest >= 0) {
            int code = add_place(s, (struct place){(uint32_t)at, deepest}, err);
            if (code)
                return code;
        }
    }
    return 0;
}

static int add_match(struct ew_special_matches *out, struct ew_special_match match,
                     struct ew_err *err)
{
    if (out->count == out->capacity) {
        size_t capacity = out->capacity ? out->capacity * 2 : 64;
        void *grown = realloc(out->list, capacity * sizeof *out->list);
        if (!grown)
            return ew_fail(err, EW_ENOMEM, "no memory for %zu special tokens", capacity);
        out->list = grown;
        out->capacity = capacity;
    }
    out->list[out->count++] = match;
    return 0;
}

/* Takes all tokens of one length that fit, and keeps the places where shorter ones still may.
 * *length becomes the next length to look at, 0: done. */
static int take_length(struct search *s, uint32_t *length, struct ew_special_matches *out,
                       struct ew_err *err)
{
    const struct ew_special_node *nodes = s->special->nodes;
    uint32_t next = 0;
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct place place = s->places[i];
        uint32_t depth = nodes[place.node].depth;
        if (s->taken[place.at])
            continue;
        if (depth == *length) {
            if (!s->taken[place.at + depth - 1]) {
                memset(s->taken + place.at, true, depth);
                int code = add_match(
                    out, (struct ew_special_match){place.at, nodes[place.node].token}, err);
                if (code)
                    return code;
                continue;
            }
            place.node = token_node(s, nodes[place.node].parent);
            if (place.node < 0)
                continue;
            depth = nodes[place.node].depth;
        }
        next = depth > next ? depth : next;
        s->places[kept++] = place;
    }
    s->count = kept;
    *length = next;
    return 0;
}

static int by_place(const void *a, const void *b)
{
    uint32_t x = ((const struct ew_special_match *)a)->at;
    uint32_t y = ((const struct ew_special_match *)b)->at;
    return (x > y) - (x < y);
}

int ew_special_find(const struct ew_special *special, struct ew_str text, enum ew_special_kind kind,
                    struct ew_special_matches *out, struct ew_err *err)
{
    struct search s = {.special = special, .kind = kind};
    uint32_t length = 0;
    int code = find_places(&s, text, err);
    if (code || !s.count)
        goto out;
    s.taken = calloc(text.bytes, sizeof *s.taken);
    if (!s.taken) {
        code = ew_fail(err, EW_ENOMEM, "no memory to tokenize %zu bytes", text.bytes);
        goto out;
    }
    for (size_t i = 0; i < s.count; i++)
        if (special->nodes[s.places[i].node].depth > length)
            length = special->nodes[s.places[i].node].depth;
    while (length && !code)
        code = take_length(&s, &length, out, err);
    if (out->count)
        qsort(out->list, out->count, sizeof *out->list, by_place);
out:
    free(s.places);
    free(s.taken);
    return code;
}

void ew_special_matches_fini(struct ew_special_matches *matches)
{
    free(matches->list);
    *matches = (struct ew_special_matches){0};
}
