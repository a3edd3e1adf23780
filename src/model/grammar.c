/* grammar.c - the door of the grammar: which tokens may come next, and what a token changes.
 *
 * A mask is computed for the upper part of a stack alone, and kept by it: inside of strings, where
 * nearly all tokens fit and a walk takes a millisecond, the next token finds it. Where such a walk
 * leaves that part downwards ("}" ends an object, and what may follow depends on what is around
 * it), the place in the trie is noted, and only from there on is the real stack asked: that is a
 * handful of tokens. Near the bound of depth nothing is kept.
 *
 * Memory of a grammar: its automaton (below 64 MB, usually some hundred KB), GRAMMAR_MASKS masks
 * of a bit for each token, and the walk's working space of 400 KB. Nothing is allocated after
 * open. */
#include "model/grammar_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_int.h"

enum { KEY_FRAMES = 4, LEAVES_MAX = 512, LEVELS = GR_TOKEN_BYTES_MAX + 1 };

struct key_frame {
    uint16_t state;
    uint8_t least, most; /* how many more are counted, as far as a token could tell */
};

struct mask {
    struct key_frame key[KEY_FRAMES];
    uint32_t key_count; /* 0: free */
    uint32_t reach;
    uint32_t leaf_count;
    const struct gr_trie *trie;  /* that was walked: nodes are of it */
    bool whole;                  /* LEAVES_MAX was enough */
    uint32_t leaves[LEAVES_MAX]; /* nodes of the trie where the walk may go on below */
    uint64_t used;               /* when */
    uint32_t *bits;
};

struct level {
    struct gr_top ready[GR_READY_MAX];
    uint32_t count, frames;
};

struct ew_grammar {
    const struct ew_tokenizer *tokenizer;
    const struct gr_trie *trie;
    struct gr_dfa dfa;
    uint32_t words; /* of a mask */
    int32_t ends[EW_TOKENIZER_ENDS_MAX];
    size_t end_count;
    pthread_mutex_t lock;
    /* Under the lock: */
    struct mask masks[GRAMMAR_MASKS];
    uint32_t *mask_bits;
    struct gr_below *frames;
    struct level *levels;
    uint64_t now;
};

void ew_grammar_close(struct ew_grammar **grammar)
{
    struct ew_grammar *g = *grammar;
    if (!g)
        return;
    ew__gr_dfa_fini(&g->dfa);
    free(g->mask_bits);
    free(g->frames);
    free(g->levels);
    pthread_mutex_destroy(&g->lock);
    free(g);
    *grammar = NULL;
}

static int make(struct ew_grammar *g, const struct ew_grammar_params *params, struct ew_err *err)
{
    struct gr_builder b;
    int code = ew__gr_trie_get(&g->trie, g->tokenizer, err);
    if (code || (code = ew__gr_init(&b, err)))
        return code;
    code = ew__schema_build(&b, params, err);
    if (!code)
        code = ew__gr_determine(&g->dfa, &b, err);
    ew__gr_fini(&b);
    return code;
}

int ew_grammar_make(struct ew_grammar **gives, const struct ew_tokenizer *tokenizer,
                    const struct ew_grammar_params *params, struct ew_err *err)
{
    *gives = NULL;
    struct ew_grammar *g = calloc(1, sizeof *g);
    if (!g)
        return ew_fail(err, EW_ENOMEM, "no memory for a grammar");
    pthread_mutex_init(&g->lock, NULL);
    g->tokenizer = tokenizer;
    g->words = (ew_tokenizer_vocab(tokenizer) + 31) / 32;
    for (uint32_t t = 0; t < ew_tokenizer_vocab(tokenizer); t++)
        if (ew_tokenizer_is_end(tokenizer, (int32_t)t) && g->end_count < EW_TOKENIZER_ENDS_MAX)
            g->ends[g->end_count++] = (int32_t)t;
    g->mask_bits = calloc((size_t)GRAMMAR_MASKS * g->words, sizeof *g->mask_bits);
    g->frames = calloc(GR_FRAMES_MAX, sizeof *g->frames);
    g->levels = calloc(LEVELS, sizeof *g->levels);
    int code = g->mask_bits && g->frames && g->levels
                   ? make(g, params, err)
                   : ew_fail(err, EW_ENOMEM, "no memory for a grammar");
    for (uint32_t i = 0; i < GRAMMAR_MASKS; i++)
        g->masks[i].bits = g->mask_bits ? g->mask_bits + (size_t)i * g->words : NULL;
    if (code)
        ew_grammar_close(&g);
    *gives = g;
    return code;
}

void ew_grammar_start(const struct ew_grammar *grammar, struct ew_grammar_state *state)
{
    state->count = 1;
    state->paths[0].depth = 1;
    state->paths[0].frames[0] = (struct ew_grammar_frame){grammar->dfa.root, 0};
}

/* ---- the walk through the vocabulary ---- */

struct search {
    struct ew_grammar *g;
    const struct gr_trie *trie;
    struct gr_walk walk;
    uint32_t *bits;
    struct mask *mask; /* being filled; NULL: none */
};

static void set_tokens(const struct search *s, uint32_t node)
{
    for (int32_t t = s->trie->token[node]; t >= 0; t = s->trie->same[t])
        s->bits[t / 32] |= (uint32_t)1 << (t % 32);
}

static void note_leaf(struct search *s, uint32_t node)
{
    if (!s->mask || !s->walk.left)
        return;
    if (s->mask->leaf_count == LEAVES_MAX)
        s->mask->whole = false;
    else
        s->mask->leaves[s->mask->leaf_count++] = node;
}

/* What follows `top` without a byte, at a node of the trie. */
static void enter(struct search *s, uint32_t node, uint32_t depth, const struct gr_top *tops,
                  uint32_t count)
{
    struct level *level = &s->g->levels[depth];
    level->count = ew__gr_expand(&s->walk, tops, count, level->ready);
    level->frames = s->walk.frame_count;
    note_leaf(s, node);
}

static void search_from(struct search *s, uint32_t root, struct gr_top top)
{
    const struct gr_trie *trie = s->trie;
    const uint8_t *classes = s->g->dfa.classes;
    uint32_t end = trie->end[root], node = root + 1;
    enter(s, root, trie->depth[root], &top, 1);
    while (node < end) {
        struct gr_top tops[EW_GRAMMAR_PATHS_MAX];
        const struct level *above = &s->g->levels[trie->depth[node] - 1];
        s->walk.frame_count = above->frames;
        uint32_t count =
            ew__gr_step(&s->walk, above->ready, above->count, classes[trie->byte[node]], tops);
        if (!count) {
            node = trie->end[node];
            continue;
        }
        set_tokens(s, node);
        if (trie->end[node] > node + 1)
            enter(s, node, trie->depth[node], tops, count);
        node++;
    }
}

/* ---- masks that are kept ---- */

static uint8_t at_most(uint32_t value, uint32_t most)
{
    return (uint8_t)(value < most ? value : most);
}

static struct key_frame key_of(const struct ew_grammar *g, struct ew_grammar_frame frame)
{
    const struct gr_state *s = &g->dfa.states[frame.state];
    struct key_frame key = {.state = frame.state};
    if (!(s->flags & GR_REPEATS))
        return key;
    uint32_t cap =
        GR_TOKEN_BYTES_MAX < g->trie->longest + 1 ? GR_TOKEN_BYTES_MAX : g->trie->longest + 1;
    key.least = at_most(frame.count < s->min ? (uint32_t)(s->min - frame.count) : 0, cap);
    key.most =
        s->max == GRAMMAR_NO_MAX ? (uint8_t)cap : at_most((uint32_t)s->max - frame.count, cap);
    return key;
}

/* The frame from which on the stack tells all but a few tokens. */
static uint32_t base_of(const struct ew_grammar *g, const struct ew_grammar_path *path)
{
    uint32_t base = path->depth - 1;
    while (base > 0 && path->depth - base < KEY_FRAMES &&
           g->dfa.states[path->frames[base].state].flags & GR_THIN)
        base--;
    return base;
}

static struct mask *find(struct ew_grammar *g, const struct key_frame *key, uint32_t count,
                         bool *found)
{
    struct mask *oldest = &g->masks[0];
    *found = true;
    for (uint32_t i = 0; i < GRAMMAR_MASKS; i++) {
        struct mask *m = &g->masks[i];
        if (m->key_count == count && !memcmp(m->key, key, count * sizeof *key))
            return m;
        if (m->used < oldest->used)
            oldest = m;
    }
    *found = false;
    return oldest;
}

/* How many characters of any kind may follow at least, as far as a token could tell. */
static uint32_t plain_most(const struct ew_grammar *g, struct ew_grammar_frame top)
{
    const struct gr_state *s = &g->dfa.states[top.state];
    if (s->flags & GR_REPEATS && s->inner == g->dfa.character)
        return s->max == GRAMMAR_NO_MAX ? GR_TOKEN_BYTES_MAX
                                        : at_most((uint32_t)s->max - top.count, GR_TOKEN_BYTES_MAX);
    bool any = top.state == g->dfa.inside;
    for (uint32_t i = 0; i < s->call_count && !any; i++) {
        const struct gr_call *call = &g->dfa.calls[s->calls + i];
        any = call->start == g->dfa.character && call->after == top.state;
    }
    return any ? GR_TOKEN_BYTES_MAX : 0;
}

static void fill(struct ew_grammar *g, struct mask *m, const struct ew_grammar_frame *frames,
                 const struct key_frame *key, uint32_t count)
{
    memcpy(m->key, key, count * sizeof *key);
    m->key_count = count;
    m->leaf_count = 0;
    m->whole = true;
    memset(m->bits, 0, g->words * sizeof *m->bits);
    uint32_t plain = plain_most(g, frames[count - 1]);
    m->trie = plain ? g->trie->rest : g->trie;
    for (uint32_t i = 0; i < g->trie->plain_upto[plain]; i++)
        m->bits[g->trie->plain[i] / 32] |= (uint32_t)1 << (g->trie->plain[i] % 32);
    struct search s = {.g = g, .trie = m->trie, .bits = m->bits, .mask = m};
    s.walk = (struct gr_walk){.dfa = &g->dfa, .frames = g->frames};
    struct gr_top top = ew__gr_load(&s.walk, frames, count, GR_BELOW_BASE);
    search_from(&s, 0, top);
    m->reach = s.walk.reach;
}

static void search_whole(struct ew_grammar *g, const struct ew_grammar_frame *frames,
                         uint32_t count, const struct gr_trie *trie, uint32_t node, uint32_t *bits)
{
    struct search s = {.g = g, .trie = trie, .bits = bits};
    s.walk = (struct gr_walk){.dfa = &g->dfa, .frames = g->frames};
    struct gr_top top = ew__gr_load(&s.walk, frames, count, GR_BELOW_END);
    search_from(&s, node, top);
}

static void mask_path(struct ew_grammar *g, const struct ew_grammar_path *path, uint32_t *bits)
{
    struct key_frame key[KEY_FRAMES];
    uint32_t base = base_of(g, path), count = path->depth - base;
    bool found;
    for (uint32_t i = 0; i < count; i++)
        key[i] = key_of(g, path->frames[base + i]);
    struct mask *m = find(g, key, count, &found);
    if (!found)
        fill(g, m, path->frames + base, key, count);
    m->used = ++g->now;
    if (!m->whole || base + m->reach >= EW_GRAMMAR_DEPTH_MAX) {
        search_whole(g, path->frames, path->depth, g->trie, 0, bits);
        return;
    }
    for (uint32_t i = 0; i < g->words; i++)
        bits[i] |= m->bits[i];
    for (uint32_t i = 0; i < m->leaf_count && base > 0; i++)
        search_whole(g, path->frames, base, m->trie, m->leaves[i], bits);
}

/* Whether the text may end, and whether anything may follow. */
static void look(const struct ew_grammar *g, const struct ew_grammar_state *state, bool *ends,
                 bool *more)
{
    struct gr_below frames[EW_GRAMMAR_DEPTH_MAX + GR_READY_MAX];
    struct gr_top ready[GR_READY_MAX];
    *ends = *more = false;
    for (uint32_t i = 0; i < state->count; i++) {
        struct gr_walk w = {.dfa = &g->dfa, .frames = frames};
        const struct ew_grammar_path *path = &state->paths[i];
        struct gr_top top = ew__gr_load(&w, path->frames, path->depth, GR_BELOW_END);
        *more |= ew__gr_expand(&w, &top, 1, ready) > 0;
        *ends |= w.ended;
    }
}

void ew_grammar_mask(const struct ew_grammar *grammar, const struct ew_grammar_state *state,
                     uint32_t *bits)
{
    /* The grammar is what it was, it only knows a mask by now. */
    struct ew_grammar *g = (struct ew_grammar *)(uintptr_t)grammar;
    bool ends, more;
    memset(bits, 0, g->words * sizeof *bits);
    pthread_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < state->count; i++)
        mask_path(g, &state->paths[i], bits);
    pthread_mutex_unlock(&g->lock);
    look(g, state, &ends, &more);
    for (size_t i = 0; ends && i < g->end_count; i++)
        bits[g->ends[i] / 32] |= (uint32_t)1 << (g->ends[i] % 32);
}

bool ew_grammar_done(const struct ew_grammar *grammar, const struct ew_grammar_state *state)
{
    bool ends, more;
    look(grammar, state, &ends, &more);
    return ends && !more;
}

/* ---- a token ---- */

static void add_path(struct ew_grammar_state *state, const struct gr_walk *w,
                     const struct gr_top *top)
{
    if (state->count == EW_GRAMMAR_PATHS_MAX)
        return;
    struct ew_grammar_path *path = &state->paths[state->count];
    ew__gr_store(w, top, path);
    for (uint32_t i = 0; i < state->count; i++)
        if (state->paths[i].depth == path->depth &&
            !memcmp(state->paths[i].frames, path->frames, path->depth * sizeof *path->frames))
            return;
    state->count++;
}

int ew_grammar_accept(const struct ew_grammar *grammar, struct ew_grammar_state *state,
                      int32_t token, struct ew_err *err)
{
    struct gr_below frames[GR_FRAMES_MAX];
    struct gr_top ready[GR_READY_MAX], tops[EW_GRAMMAR_PATHS_MAX];
    struct ew_str text = ew_tokenizer_bytes(grammar->tokenizer, token);
    bool is_end = ew_tokenizer_is_end(grammar->tokenizer, token), ends, more;
    if (is_end) {
        look(grammar, state, &ends, &more);
        return ends ? 0 : ew_fail(err, EW_EINVAL, "the text can't end here");
    }
    struct ew_grammar_state before = *state;
    state->count = 0;
    for (uint32_t i = 0; i < before.count && text.bytes; i++) {
        struct gr_walk w = {.dfa = &grammar->dfa, .frames = frames};
        const struct ew_grammar_path *path = &before.paths[i];
        tops[0] = ew__gr_load(&w, path->frames, path->depth, GR_BELOW_END);
        uint32_t count = 1;
        for (size_t k = 0; k < text.bytes && count; k++) {
            uint8_t class = grammar->dfa.classes[(unsigned char)text.data[k]];
            uint32_t n = ew__gr_expand(&w, tops, count, ready);
            count = ew__gr_step(&w, ready, n, class, tops);
        }
        for (uint32_t k = 0; k < count; k++)
            add_path(state, &w, &tops[k]);
    }
    if (state->count)
        return 0;
    *state = before;
    return ew_fail(err, EW_EINVAL, "token %d isn't allowed here", token);
}
